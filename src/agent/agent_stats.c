/* The sections of `serf info` (agent specification, 6). Every value is a text, numbers too, since
 * clients print them as they come. What only a garbage-collected program has (goroutines) is
 * answered with what comes nearest: this one has one thread. */
#include "agent_state.h"
#include "config_check.h"

#include "msgpack.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

static void write_text(struct buffer *out, const char *key, const char *value)
{
    msgpack_write_string_text(out, key);
    msgpack_write_string_text(out, value);
}

static void write_number(struct buffer *out, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    write_text(out, key, text);
}

/* By the names that operators' scripts compare with. */
static const char *architecture(const struct utsname *system)
{
    if (strcmp(system->machine, "x86_64") == 0)
        return "amd64";
    if (strcmp(system->machine, "aarch64") == 0)
        return "arm64";
    return system->machine;
}

static void write_runtime(struct buffer *out)
{
    struct utsname system;
    if (uname(&system) != 0)
        memset(&system, 0, sizeof(system));
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    msgpack_write_string_text(out, "runtime");
    msgpack_write_map(out, 6);
    write_text(out, "arch", architecture(&system));
    write_number(out, "cpu_count", processors > 0 ? (uint64_t)processors : 1);
    write_number(out, "goroutines", 1);
    write_number(out, "max_procs", 1);
    write_text(out, "os", "linux");
    write_text(out, "version", "cserf " CSERF_VERSION);
}

static void write_serf(struct buffer *out, const struct agent *agent)
{
    struct serf_stats stats;
    serf_stats(node_serf(agent->node), &stats);
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"coordinate_resets", stats.coordinate_resets},
        {"event_queue", stats.event_queue},
        {"event_time", stats.event_time},
        {"failed", stats.failed},
        {"health_score", stats.health_score},
        {"intent_queue", stats.intent_queue},
        {"left", stats.left},
        {"member_time", stats.member_time},
        {"members", stats.members},
        {"query_queue", stats.query_queue},
        {"query_time", stats.query_time},
    };
    const uint32_t count = sizeof(numbers) / sizeof(numbers[0]);
    /* Only while the door is open; whoever closes it looks whether these stand still. */
    const struct agent_config *config = &agent->config;
    const bool takes_plaintext = stats.encrypted && !config->encrypt_verify_incoming;
    const bool takes_unlabelled = config->label && agent_config_label_mode(config) != LABEL_STRICT;
    msgpack_write_string_text(out, "serf");
    msgpack_write_map(out, count + 1 + takes_plaintext + takes_unlabelled);
    write_text(out, "encrypted", stats.encrypted ? "true" : "false");
    for (uint32_t i = 0; i < count; i++)
        write_number(out, numbers[i].key, numbers[i].value);
    if (takes_plaintext)
        write_number(out, "plaintext_accepted", stats.plaintext_accepted);
    if (takes_unlabelled)
        write_number(out, "unlabelled_accepted", stats.unlabelled_accepted);
}

static void write_tags(struct buffer *out, const struct text_map *tags)
{
    msgpack_write_string_text(out, "tags");
    msgpack_write_map(out, (uint32_t)tags->count);
    for (size_t i = 0; i < tags->count; i++)
        write_text(out, tags->pairs[i].key, tags->pairs[i].value);
}

void agent_stats(void *context, struct buffer *out)
{
    const struct agent *agent = context;
    msgpack_write_map(out, 5);
    msgpack_write_string_text(out, "agent");
    msgpack_write_map(out, 1);
    write_text(out, "name", agent->config.node_name);
    msgpack_write_string_text(out, "event_handlers");
    event_handlers_describe(agent->handlers, out);
    write_runtime(out);
    write_serf(out, agent);
    write_tags(out, &agent->tags);
}

void agent_metric_sources(void *context, struct metric_sources *sources)
{
    const struct agent *agent = context;
    const struct serf *serf = node_serf(agent->node);
    const struct agent_config *config = &agent->config;
    enum label_mode label_mode = config->label ? agent_config_label_mode(config) : LABEL_STRICT;
    *sources = (struct metric_sources){
        .swim = serf_swim_metrics(serf),
        .serf = serf_metrics(serf),
        .node = node_metrics(agent->node),
        .agent = &agent->metrics,
        .keyring = agent->keyring,
        .sends_plaintext = agent->keyring && !config->encrypt_verify_outgoing,
        .accepts_plaintext = agent->keyring && !config->encrypt_verify_incoming,
        .sends_unlabelled = label_mode == LABEL_ACCEPT,
        .accepts_unlabelled = label_mode != LABEL_STRICT,
        .peers = config->metrics_per_peer ? serf : NULL,
    };
    serf_stats(serf, &sources->stats);
}

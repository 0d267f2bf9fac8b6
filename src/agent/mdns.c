/* Found addresses are gathered until nothing new has come for a moment, and joined together. What
 * could be joined is not joined again, nor is a live member that was met in another way; what could
 * not is tried again when it is found the next time. A member that is alone has lost whom it had
 * joined, and tries all that it finds.
 *
 * The agent hears its own answer, and joins itself once, as the reference does: the count in the
 * log includes it. */
#include "mdns.h"

#include "join_log.h"
#include "mdns_service.h"
#include "multicast.h"

#include <stdlib.h>
#include <unistd.h>

struct mdns {
    struct mdns_config config;
    struct mdns_service service;
    struct multicast *multicast;
    struct loop_timer poll, quiet;
    uint64_t collect_until;
    uint32_t responses;            /* since the last question */
    bool heard_self, heard_others; /* likewise */
    bool was_the_only_one;         /* to answer an earlier one */
    uint64_t replies_since;
    uint32_t replies;
    bool unseen_told; /* that no interface takes multicast */

    struct endpoint batch[MDNS_BATCH_MAX]; /* found, and not joined yet */
    size_t batch_count;
    struct endpoint joining[MDNS_BATCH_MAX];
    size_t joining_count; /* 0: no join is under way */
    struct endpoint joined[MDNS_JOINED_MAX];
    size_t joined_count;
};

static bool contains(const struct endpoint *list, size_t count, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < count; i++)
        if (endpoint_equal(&list[i], endpoint))
            return true;
    return false;
}

/* --- joining --- */

static void remember_joined(struct mdns *mdns)
{
    for (size_t i = 0; i < mdns->joining_count && mdns->joined_count < MDNS_JOINED_MAX; i++)
        mdns->joined[mdns->joined_count++] = mdns->joining[i];
}

static void on_joined(void *context, bool ok, uint32_t count, struct span error)
{
    struct mdns *mdns = context;
    struct agent_log *log = mdns->config.log;
    struct buffer line;
    join_log_end(log, count, error);
    buffer_init(&line, LOG_LINE_SIZE_MAX);
    join_error_line(&line, error);
    if (!ok || count == 0)
        agent_log_printf(log, LOG_LEVEL_ERR, "agent.mdns: Failed to join: %s", buffer_text(&line));
    buffer_fini(&line);
    if (count > 0)
        agent_log_printf(log, LOG_LEVEL_INFO, "agent.mdns: Joined %u hosts", count);
    if (count == mdns->joining_count)
        remember_joined(mdns);
    mdns->joining_count = 0;
    if (mdns->batch_count > 0)
        loop_timer_set(&mdns->quiet, loop_now() + MDNS_QUIET_NS);
}

static void on_quiet(void *context)
{
    struct mdns *mdns = context;
    char texts[MDNS_BATCH_MAX][ENDPOINT_TEXT_SIZE];
    struct span addresses[MDNS_BATCH_MAX];
    if (mdns->joining_count > 0 || mdns->batch_count == 0)
        return; /* the end of that join comes back to the batch */
    for (size_t i = 0; i < mdns->batch_count; i++) {
        mdns->joining[i] = mdns->batch[i];
        addresses[i] = span_text(endpoint_text(&mdns->batch[i], texts[i]));
    }
    mdns->joining_count = mdns->batch_count;
    mdns->batch_count = 0;
    join_log_begin(mdns->config.log, addresses, mdns->joining_count, mdns->config.replay);
    node_join(mdns->config.node, addresses, mdns->joining_count, mdns->config.replay, on_joined,
              mdns);
}

/* --- finding --- */

static bool is_live_member(const struct mdns *mdns, const struct mdns_host *host)
{
    struct buffer name;
    struct member_view member;
    struct endpoint self = node_advertised(mdns->config.node);
    if (endpoint_equal(&self, &host->endpoint))
        return false;
    buffer_init(&name, DNS_NAME_SIZE_MAX);
    mdns_host_name(&mdns->service, host, &name);
    bool live = serf_find_member(node_serf(mdns->config.node), buffer_span(&name), &member) &&
                member.status == STATUS_ALIVE && endpoint_equal(&member.endpoint, &host->endpoint);
    buffer_fini(&name);
    return live;
}

static void take_host(struct mdns *mdns, const struct mdns_host *host)
{
    const struct endpoint *endpoint = &host->endpoint;
    struct endpoint self = node_advertised(mdns->config.node);
    bool own = endpoint_equal(endpoint, &self);
    mdns->heard_self = mdns->heard_self || own;
    mdns->heard_others = mdns->heard_others || !own;
    if (mdns->batch_count == MDNS_BATCH_MAX || contains(mdns->batch, mdns->batch_count, endpoint) ||
        contains(mdns->joining, mdns->joining_count, endpoint) ||
        contains(mdns->joined, mdns->joined_count, endpoint) || is_live_member(mdns, host))
        return;
    mdns->batch[mdns->batch_count++] = *endpoint;
    loop_timer_set(&mdns->quiet, loop_now() + MDNS_QUIET_NS);
}

static void take_response(struct mdns *mdns, struct span response)
{
    struct mdns_host hosts[MDNS_HOSTS_MAX];
    if (loop_now() > mdns->collect_until || ++mdns->responses > MDNS_RESPONSES_MAX ||
        serf_state(node_serf(mdns->config.node)) != SERF_ALIVE)
        return;
    size_t count = mdns_read_hosts(&mdns->service, response, hosts);
    for (size_t i = 0; i < count; i++)
        take_host(mdns, &hosts[i]);
}

/* Whoever is alone forgets whom it had joined, but not itself. */
static void forget_if_alone(struct mdns *mdns)
{
    struct serf_stats stats;
    struct endpoint self = node_advertised(mdns->config.node);
    serf_stats(node_serf(mdns->config.node), &stats);
    if (stats.members - stats.failed - stats.left > 1)
        return;
    bool met_self = contains(mdns->joined, mdns->joined_count, &self);
    mdns->joined_count = 0;
    if (met_self)
        mdns->joined[mdns->joined_count++] = self;
}

static void on_poll(void *context)
{
    struct mdns *mdns = context;
    struct buffer query;
    mdns->was_the_only_one = mdns->was_the_only_one || (mdns->heard_self && !mdns->heard_others);
    loop_timer_set(&mdns->poll, loop_now() + mdns->config.poll_interval);
    forget_if_alone(mdns);
    if (multicast_refresh(mdns->multicast) == 0) {
        if (!mdns->unseen_told)
            agent_log_printf(mdns->config.log, LOG_LEVEL_ERR,
                             "agent.mdns: Failed to poll for new hosts: no interface that is up "
                             "takes multicast; looking again every 60s");
        mdns->unseen_told = true;
        return;
    }
    mdns->unseen_told = false;
    buffer_init(&query, MDNS_MESSAGE_SIZE_MAX);
    if (mdns_write_query(&mdns->service, &query)) {
        mdns->responses = 0;
        mdns->heard_self = mdns->heard_others = false;
        mdns->collect_until = loop_now() + MDNS_COLLECT_NS;
        multicast_ask(mdns->multicast, buffer_span(&query));
    }
    buffer_fini(&query);
}

/* --- answering --- */

static bool may_reply(struct mdns *mdns)
{
    uint64_t now = loop_now();
    if (now - mdns->replies_since >= NANOSECONDS_PER_S) {
        mdns->replies_since = now;
        mdns->replies = 0;
    }
    return mdns->replies < MDNS_REPLIES_PER_SECOND;
}

static void take_query(struct mdns *mdns, const struct multicast_peer *from, struct span query)
{
    struct buffer reply;
    struct endpoint asker;
    if (!may_reply(mdns) || !socket_address_read(&asker, &from->address) ||
        serf_state(node_serf(mdns->config.node)) != SERF_ALIVE)
        return;
    buffer_init(&reply, MDNS_MESSAGE_SIZE_MAX);
    enum mdns_reply kind = mdns_write_reply(&mdns->service, query, asker.port, &reply);
    if (kind != MDNS_NO_REPLY) {
        mdns->replies++;
        multicast_answer(mdns->multicast, from, kind == MDNS_REPLY_TO_GROUP, buffer_span(&reply));
    }
    buffer_fini(&reply);
}

static void on_received(void *context, const struct multicast_peer *from, struct span datagram,
                        bool answer)
{
    if (answer)
        take_response(context, datagram);
    else
        take_query(context, from, datagram);
}

/* --- life --- */

static bool start(struct mdns *mdns, const struct mdns_config *config, struct buffer *error)
{
    char host[256] = "";
    struct endpoint address = node_advertised(config->node);
    struct multicast_config multicast = {
        .loop = config->loop,
        .interface = config->interface,
        .ipv4 = config->ipv4,
        .ipv6 = config->ipv6,
        .callbacks = {mdns, on_received},
    };
    gethostname(host, sizeof host - 1);
    if (!mdns_service_init(&mdns->service, span_text(config->cluster), span_text(config->node_name),
                           span_text(host[0] ? host : "localhost"), &address, error))
        return false;
    if (!loop_timer_init(&mdns->poll, config->loop, on_poll, mdns) ||
        !loop_timer_init(&mdns->quiet, config->loop, on_quiet, mdns)) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    mdns->multicast = multicast_new(&multicast, error);
    return mdns->multicast != NULL;
}

struct mdns *mdns_new(const struct mdns_config *config, struct buffer *error)
{
    struct mdns *mdns = calloc(1, sizeof *mdns);
    if (!mdns) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    mdns->config = *config;
    if (mdns->config.poll_interval == 0)
        mdns->config.poll_interval = MDNS_POLL_NS;
    if (!start(mdns, config, error)) {
        mdns_free(mdns);
        return NULL;
    }
    loop_timer_set(&mdns->poll, 0);
    return mdns;
}

void mdns_free(struct mdns *mdns)
{
    if (!mdns)
        return;
    multicast_free(mdns->multicast);
    if (mdns->poll.loop)
        loop_timer_fini(&mdns->poll);
    if (mdns->quiet.loop)
        loop_timer_fini(&mdns->quiet);
    free(mdns);
}

bool mdns_found_nobody_else(const struct mdns *mdns)
{
    bool collected = loop_now() > mdns->collect_until;
    return mdns->was_the_only_one || (collected && mdns->heard_self && !mdns->heard_others);
}

/* A member without a cluster and an RPC server without clients, for the tests of the daemon. What
 * they are told appears in the log. The address "nobody" can't be joined, a node named "stuck"
 * never finishes its leave, one named "loser" is told to stop when it retries joining,
 * and of one named "keyed" the keyring changes. */
#include "node.h"
#include "serf_metrics.h"
#include "rpc_server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
    struct node_config config;
    struct loop *loop;
    struct loop_task task;
    node_done *done;
    void *context;
    bool ok;
    uint32_t count;
    char error[128];
    char name[64];
    bool left;
};

static void say(struct node *node, const char *text)
{
    node->config.callbacks.log(node->config.callbacks.context, LOG_LEVEL_INFO, span_text(text));
}

/* What of the configuration concerns events and queries. */
static void say_limits(struct node *node)
{
    const struct serf_config *serf = &node->config.serf;
    char text[192];
    snprintf(text, sizeof(text),
             "fake: events %u, queries %u, answers %u, coordinates %d, vote %d, "
             "expressions %d, queues %u %u",
             serf->user_event_size_limit, serf->query_size_limit, serf->query_response_size_limit,
             serf->coordinates, serf->resolve_name_conflicts, serf->expression_matches != NULL,
             serf->queue_depth_warning, serf->max_queue_depth);
    say(node, text);
}

/* And what keeps strangers out. */
static void say_protection(struct node *node)
{
    const struct serf_config *serf = &node->config.serf;
    char text[128];
    snprintf(text, sizeof(text), "fake: label '%.*s' mode %d, verify %d %d, leave within %llu s",
             SPAN_PRINT(serf->swim.label), (int)serf->swim.label_mode, serf->swim.verify_incoming,
             serf->swim.verify_outgoing, (unsigned long long)(serf->leave_timeout / 1000000000));
    say(node, text);
}

static void change_keyring(void *context)
{
    struct node *node = context;
    node->config.callbacks.keyring_changed(node->config.callbacks.context, 7);
}

struct node *node_new(struct loop *loop, const struct node_config *config, struct buffer *error)
{
    struct node *node = calloc(1, sizeof(*node));
    char text[64];
    if (strcmp(config->bind_address, "192.0.2.1") == 0) {
        free(node);
        buffer_append_text(error, "cannot assign requested address");
        return NULL;
    }
    node->config = *config;
    node->loop = loop;
    snprintf(node->name, sizeof(node->name), "%.*s", SPAN_PRINT(config->serf.swim.name));
    snprintf(text, sizeof(text), "fake: meta of %zu bytes", config->serf.swim.meta.size);
    say(node, text);
    say_limits(node);
    say_protection(node);
    if (strcmp(node->name, "keyed") == 0) {
        loop_task_init(&node->task, node->loop, change_keyring, node);
        loop_defer(&node->task);
    }
    return node;
}

void node_free(struct node *node)
{
    if (node->task.loop)
        loop_task_cancel(&node->task);
    free(node);
}

const struct serf *node_serf(const struct node *node)
{
    return (const struct serf *)node;
}

struct endpoint node_bound(const struct node *node)
{
    (void)node;
    struct endpoint bound;
    endpoint_from_text(&bound, "127.0.0.1", 4321);
    return bound;
}

struct endpoint node_advertised(const struct node *node)
{
    return node->config.serf.swim.advertise.address_size > 0 ? node->config.serf.swim.advertise
                                                             : node_bound(node);
}

static void finish(void *context)
{
    struct node *node = context;
    node->done(node->context, node->ok, node->count, span_text(node->error));
}

static void answer(struct node *node, bool ok, uint32_t count, const char *error, node_done *done,
                   void *context)
{
    node->ok = ok;
    node->count = count;
    snprintf(node->error, sizeof(node->error), "%s", error);
    node->done = done;
    node->context = context;
    loop_task_init(&node->task, node->loop, finish, node);
    loop_defer(&node->task);
}

void node_join(struct node *node, const struct span *addresses, size_t count, bool replay,
               node_done *done, void *context)
{
    bool nobody = span_equal_text(addresses[0], "nobody");
    (void)replay;
    answer(node, !nobody, nobody ? 0 : (uint32_t)count,
           nobody ? "1 error occurred:\n\t* Failed to resolve nobody: lookup nobody: no such host\n"
                  : "",
           done, context);
}

void node_leave(struct node *node, node_done *done, void *context)
{
    if (strcmp(node->name, "stuck") == 0)
        return;
    node->left = true;
    answer(node, true, 0, "", done, context);
}

void node_force_leave(struct node *node, struct span name, bool prune, node_done *done,
                      void *context)
{
    (void)name;
    (void)prune;
    answer(node, true, 0, "", done, context);
}

void node_set_tags(struct node *node, const struct tag *tags, size_t count, node_done *done,
                   void *context)
{
    char text[256] = "fake: tags";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, " %.*s=%.*s", SPAN_PRINT(tags[i].key),
                 SPAN_PRINT(tags[i].value));
    }
    say(node, text);
    answer(node, true, 0, "", done, context);
}

static void stop_node(void *context)
{
    struct node *node = context;
    say(node, "fake: stopping");
    node->config.callbacks.stopped(node->config.callbacks.context, STOP_NAME_CONFLICT);
}

void node_retry_join(struct node *node, const struct span *addresses, size_t count,
                     const struct retry_join *options)
{
    char text[128];
    snprintf(text, sizeof(text), "fake: retry join %.*s of %zu, %llu s, %u attempts, %d%s",
             count > 0 ? (int)addresses[0].size : 0,
             count > 0 ? (const char *)addresses[0].data : "", count,
             (unsigned long long)(options->interval / NANOSECONDS_PER_S), options->max_attempts,
             options->replay, options->watch ? ", for life" : "");
    say(node, text);
    if (strcmp(node->name, "loser") == 0) {
        loop_task_init(&node->task, node->loop, stop_node, node);
        loop_defer(&node->task);
    }
}

bool node_respond(struct node *node, uint32_t query, struct span payload, struct buffer *error)
{
    (void)node;
    (void)query;
    (void)payload;
    (void)error;
    return true;
}

/* --- what the daemon asks of the core --- */

void serf_config_init(struct serf_config *config, void (*profile)(struct swim_config *config))
{
    memset(config, 0, sizeof(*config));
    profile(&config->swim);
}

enum serf_state serf_state(const struct serf *serf)
{
    return ((const struct node *)serf)->left ? SERF_LEFT : SERF_ALIVE;
}

void serf_stats(const struct serf *serf, struct serf_stats *stats)
{
    (void)serf;
    memset(stats, 0, sizeof(*stats));
}

bool serf_encode_tags(struct buffer *out, uint8_t protocol_version, const struct tag *tags,
                      size_t count)
{
    (void)protocol_version;
    buffer_append_u8(out, 0xff);
    for (size_t i = 0; i < count; i++) {
        buffer_append_span(out, tags[i].key);
        buffer_append_span(out, tags[i].value);
    }
    return out->size <= META_SIZE_MAX && !out->failed;
}

/* --- RPC --- */

struct rpc_server {
    struct rpc_server_config config;
};

struct rpc_server *rpc_server_new(const struct rpc_server_config *config, struct buffer *error)
{
    if (strcmp(config->address, "busy:1") == 0) {
        buffer_append_text(error, "listen tcp 127.0.0.1:1: bind: address already in use");
        return NULL;
    }
    struct rpc_server *server = calloc(1, sizeof(*server));
    server->config = *config;
    return server;
}

void rpc_server_free(struct rpc_server *server)
{
    free(server);
}

void rpc_server_member_event(struct rpc_server *server, enum member_event_type type,
                             const struct member_view *members, size_t count)
{
    (void)server;
    (void)type;
    (void)members;
    (void)count;
}

void rpc_server_user_event(struct rpc_server *server, uint64_t ltime, struct span name,
                           struct span payload, bool coalesce)
{
    (void)server;
    (void)ltime;
    (void)name;
    (void)payload;
    (void)coalesce;
}

void rpc_server_query(struct rpc_server *server, uint32_t query, uint64_t ltime, uint64_t deadline,
                      struct span name, struct span payload)
{
    (void)server, (void)query, (void)ltime, (void)deadline, (void)name, (void)payload;
}

void rpc_server_query_ack(struct rpc_server *server, uint32_t query, struct span from)
{
    (void)server, (void)query, (void)from;
}

void rpc_server_query_response(struct rpc_server *server, uint32_t query, struct span from,
                               struct span payload)
{
    (void)server, (void)query, (void)from, (void)payload;
}

void rpc_server_query_done(struct rpc_server *server, uint32_t query)
{
    (void)server, (void)query;
}

void node_keyring_saved(struct node *node, uint32_t query, const char *error)
{
    char text[256];
    snprintf(text, sizeof(text), "fake: keyring of query %u: %s", query, error ? error : "saved");
    say(node, text);
}

const struct swim_metrics *serf_swim_metrics(const struct serf *serf)
{
    static const struct swim_metrics metrics;
    (void)serf;
    return &metrics;
}

const struct serf_metrics *serf_metrics(const struct serf *serf)
{
    static const struct serf_metrics metrics;
    (void)serf;
    return &metrics;
}

const struct node_metrics *node_metrics(const struct node *node)
{
    static const struct node_metrics metrics;
    (void)node;
    return &metrics;
}

bool serf_find_member(const struct serf *serf, struct span name, struct member_view *member)
{
    (void)serf;
    (void)name;
    (void)member;
    return false;
}

bool serf_found_nobody_else(const struct serf *serf)
{
    (void)serf;
    return false;
}

bool serf_next_member(const struct serf *serf, uint32_t *position, struct member_view *member)
{
    (void)serf;
    (void)position;
    (void)member;
    return false;
}

bool serf_coordinate(const struct serf *serf, struct span name, struct coordinate *coordinate)
{
    (void)serf;
    (void)name;
    (void)coordinate;
    return false;
}

void serf_local_member(const struct serf *serf, struct member_view *member)
{
    (void)serf;
    *member = (struct member_view){.status = STATUS_ALIVE};
}

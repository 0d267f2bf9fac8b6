/* The core is called with one thing that happened, and then asked for what it wants done until it
 * wants nothing more. That is the whole of a node; the rest is order.
 *
 * Sockets before timers: when a deadline has come, everything that has arrived meanwhile is handed
 * over first. A process that was stopped for a while wakes with its deadlines past and the answers
 * it waited for in the kernel's buffers; it must not suspect everyone who has answered. Each turn
 * reads only so much, so a due timer may wait for several turns, but not for ever: a flood must not
 * stop the clock.
 *
 * Callbacks may free the node. Whatever enters from the loop therefore holds it until it leaves. */
#include "node_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "socket_text.h"
#include "swim_metrics.h"

enum {
    LOG_LINE_SIZE_MAX = 2048,
    READS_BEFORE_TIMER_MAX = 64, /* turns: 4096 datagrams, more than a receive buffer holds */
};

#define STREAMS_TURN_NS UINT64_C(4000000) /* reading streams before a timer, in one turn */

void node_log(struct node *node, enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_SIZE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size >= (int)sizeof line)
        size = (int)sizeof line - 1;
    if (size > 0 && node->callbacks.log)
        node->callbacks.log(node->callbacks.context, level, span_make(line, (size_t)size));
}

/* --- what the core wants --- */

static void on_resolved(void *context, const struct endpoint *endpoints, size_t count,
                        const char *error)
{
    struct node_resolve *resolve = context;
    struct node *node = resolve->node;
    uint32_t request = resolve->request;
    *resolve->link = resolve->next;
    if (resolve->next)
        resolve->next->link = resolve->link;
    free(resolve);
    if (node_enter(node)) {
        bool in_part = count > 0 && error;
        (in_part ? serf_resolved_in_part : serf_resolved)(node->serf, loop_now(), request,
                                                          endpoints, count, error);
    }
    node_leave_entry(node);
}

/* False when memory is out: on_resolved will then not be called. */
static bool look_up(struct node *node, const struct effect *effect, struct node_resolve *resolve)
{
    struct span name = effect->resolve.name;
    uint16_t port = effect->resolve.port;
    switch (effect->resolve.kind) {
    case RESOLVE_SERVICE:
        return resolver_lookup_service(node->resolver, name, port, on_resolved, resolve);
    case RESOLVE_PROVIDER:
        return node->callbacks.discover(node->callbacks.context, name, port, on_resolved, resolve);
    default:
        return resolver_lookup(node->resolver, name, port, on_resolved, resolve);
    }
}

/* What nobody can be asked is answered at once, since remembering it would take the memory that is
 * missing: a question without an answer would hold a join up for ever. */
static void resolve(struct node *node, const struct effect *effect)
{
    uint32_t request = effect->resolve.request;
    bool known = effect->resolve.kind != RESOLVE_PROVIDER || node->callbacks.discover;
    struct node_resolve *resolve = known ? malloc(sizeof *resolve) : NULL;
    if (resolve && look_up(node, effect, resolve)) {
        *resolve = (struct node_resolve){node->resolves, &node->resolves, node, request};
        if (resolve->next)
            resolve->next->link = &resolve->next;
        node->resolves = resolve;
        return;
    }
    free(resolve);
    serf_resolved(node->serf, loop_now(), request, NULL, 0,
                  known ? "lookup: out of memory" : "this program knows no providers");
}

static void append_to_snapshot(struct node *node, const struct effect *effect)
{
    uint64_t begin = loop_now();
    snapshot_file_append(node->snapshot, effect->record.lines, effect->record.leaving);
    measure(&node->metrics.snapshot_append, loop_now() - begin);
}

static void perform(struct node *node, const struct effect *effect)
{
    const struct node_callbacks *to = &node->callbacks;
    switch (effect->kind) {
    case EFFECT_PACKET:
        udp_send(node->udp, &effect->packet.to, effect->packet.datagram);
        break;
    case EFFECT_STREAM_OPEN:
    case EFFECT_STREAM_WRITE:
    case EFFECT_STREAM_CLOSE:
        node_stream_perform(node, effect);
        break;
    case EFFECT_RESOLVE:
        resolve(node, effect);
        break;
    case EFFECT_LOG:
        if (to->log)
            to->log(to->context, effect->log.level, effect->log.text);
        break;
    case EFFECT_MEMBER_EVENT:
        if (to->member_event)
            to->member_event(to->context, effect->members.type, effect->members.members,
                             effect->members.count);
        break;
    case EFFECT_USER_EVENT:
        if (to->user_event)
            to->user_event(to->context, effect->user.ltime, effect->user.name, effect->user.payload,
                           effect->user.coalesce);
        break;
    case EFFECT_COMMAND_DONE:
        node_command_done(node, effect);
        break;
    case EFFECT_RECORD:
        if (node->snapshot)
            append_to_snapshot(node, effect);
        break;
    case EFFECT_STOP:
        node->stop_reason = effect->stop.reason;
        loop_defer(&node->stop);
        break;
    default:
        node_query_perform(node, effect);
        break;
    }
}

static void drain(struct node *node)
{
    struct effect effect;
    while (!node->freed && serf_next_effect(node->serf, &effect))
        perform(node, &effect);
}

static void on_stop(void *context)
{
    struct node *node = context;
    if (node_enter(node) && node->callbacks.stopped)
        node->callbacks.stopped(node->callbacks.context, node->stop_reason);
    node_leave_entry(node);
}

/* --- the snapshot --- */

static bool write_snapshot(void *context, struct buffer *out)
{
    struct node *node = context;
    return serf_write_snapshot(node->serf, out);
}

static void complain(void *context, const char *text)
{
    node_log(context, LOG_LEVEL_ERR, "%s", text);
}

static void inform(void *context, const char *text)
{
    node_log(context, LOG_LEVEL_INFO, "%s", text);
}

/* The last words of a life: what the core has still to record. */
static void close_snapshot(struct node *node)
{
    struct effect effect;
    if (!node->snapshot)
        return;
    if (node->serf) {
        serf_record_clock(node->serf, loop_now());
        while (serf_next_effect(node->serf, &effect))
            if (effect.kind == EFFECT_RECORD)
                perform(node, &effect);
    }
    snapshot_file_close(node->snapshot);
    node->snapshot = NULL;
}

/* --- entries --- */

static void destroy(struct node *node)
{
    close_snapshot(node);
    loop_timer_fini(&node->timer);
    loop_task_cancel(&node->stop);
    node_commands_free(node);
    node_queries_free(node);
    node_streams_free(node);
    listener_free(node->listener);
    udp_free(node->udp);
    resolver_free(node->resolver);
    while (node->resolves) {
        struct node_resolve *resolve = node->resolves;
        node->resolves = resolve->next;
        free(resolve);
    }
    if (node->serf)
        serf_free(node->serf);
    if (node->pool_ready)
        intern_fini(&node->pool);
    free(node);
}

bool node_enter(struct node *node)
{
    if (node->held++ == 0)
        drain(node);
    return !node->freed;
}

void node_leave_entry(struct node *node)
{
    if (!node->freed)
        drain(node);
    if (--node->held > 0)
        return;
    if (node->freed)
        destroy(node);
    else
        loop_timer_set(&node->timer, serf_next_deadline(node->serf));
}

static void on_datagram(void *context, const struct endpoint *from, struct span datagram)
{
    struct node *node = context;
    if (node_enter(node))
        serf_packet(node->serf, loop_now(), from, datagram);
    node_leave_entry(node);
}

static void on_send_failed(void *context, const struct endpoint *to, int error_number)
{
    struct node *node = context;
    char address[ENDPOINT_TEXT_SIZE];
    if (node_enter(node)) {
        node_log(node, LOG_LEVEL_DEBUG, "memberlist: Failed to send UDP packet to %s: %s",
                 endpoint_text(to, address), system_error_text(error_number));
        serf_packet_failed(node->serf, loop_now(), to);
    }
    node_leave_entry(node);
}

const struct udp_callbacks node_udp_callbacks = {
    .received = on_datagram,
    .send_failed = on_send_failed,
};

/* True when more may have arrived than one turn may read. */
static bool read_sockets(struct node *node)
{
    bool more = udp_receive(node->udp);
    return node_streams_receive(node, loop_now() + STREAMS_TURN_NS) || more;
}

/* Gossip is measured from the tick to the system's queue: the core has no clock of its own. */
static void advance(struct node *node)
{
    const struct swim_metrics *metrics = serf_swim_metrics(node->serf);
    uint64_t ticks = metrics->gossip_ticks, begin = loop_now();
    serf_advance(node->serf, begin);
    if (metrics->gossip_ticks == ticks)
        return;
    drain(node);
    if (!node->freed)
        measure(&node->metrics.gossip, loop_now() - begin);
}

static void on_deadline(void *context)
{
    struct node *node = context;
    if (!node_enter(node)) {
        node_leave_entry(node);
        return;
    }
    /* Leaving arms the timer for the deadline that is still due: the next turn goes on here. */
    if (read_sockets(node) && ++node->reads_before_timer < READS_BEFORE_TIMER_MAX) {
        node_leave_entry(node);
        return;
    }
    node->reads_before_timer = 0;
    if (!node->freed)
        advance(node);
    node_leave_entry(node);
}

/* --- life --- */

static bool draw(void *out, size_t size, struct buffer *error)
{
    if (getrandom(out, size, 0) == (ssize_t)size)
        return true;
    buffer_printf(error, "getrandom: %s", system_error_text(errno));
    return false;
}

static bool start_core(struct node *node, const struct serf_config *config, struct buffer *error)
{
    uint8_t seed[RANDOM_SEED_SIZE];
    if (!draw(seed, sizeof seed, error))
        return false;
    struct serf_config dated = *config;
    dated.time_of_day = (uint64_t)time(NULL);
    node->serf = serf_new(&dated, &node->pool, seed, loop_now(), error);
    explicit_bzero(seed, sizeof seed);
    return node->serf != NULL;
}

static bool start_pool(struct node *node, struct buffer *error)
{
    struct siphash_key key;
    if (!draw(&key, sizeof key, error))
        return false;
    intern_init(&node->pool, &key);
    node->pool_ready = true;
    return true;
}

/* Opens the snapshot, then starts the core with what it says. */
static bool start_remembering(struct node *node, const struct node_config *config,
                              struct serf_config *serf, struct buffer *error)
{
    struct snapshot_file_callbacks callbacks = {.context = node,
                                                .write_anew = write_snapshot,
                                                .complain = complain,
                                                .inform = inform,
                                                .compact_times = &node->metrics.snapshot_compact};
    struct snapshot snapshot;
    struct buffer reason;
    bool good = false;
    snapshot_init(&snapshot, &node->pool);
    buffer_init(&reason, 4096);
    node->snapshot = snapshot_file_open(node->loop, config->snapshot_path,
                                        config->rejoin_after_leave, &callbacks, &snapshot, &reason);
    if (node->snapshot) {
        serf->record = true;
        serf->restored = &snapshot;
        good = start_core(node, serf, error);
    } else {
        buffer_printf(error, "Failed to setup snapshot: %s", buffer_text(&reason));
    }
    buffer_fini(&reason);
    snapshot_fini(&snapshot);
    return good;
}

static void warn(void *context, const char *text)
{
    node_log(context, LOG_LEVEL_WARN, "serf: %s", text);
}

static bool start(struct node *node, const struct node_config *config, struct buffer *error)
{
    struct serf_config serf = config->serf;
    struct resolver_config resolver = {.warn = warn, .warn_context = node};
    node->resolver = resolver_new(node->loop, &resolver);
    if (!node->resolver || !loop_timer_init(&node->timer, node->loop, on_deadline, node)) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    if (!start_pool(node, error) || !node_bind(node, config, &serf, error))
        return false;
    return config->snapshot_path ? start_remembering(node, config, &serf, error)
                                 : start_core(node, &serf, error);
}

struct node *node_new(struct loop *loop, const struct node_config *config, struct buffer *error)
{
    struct node *node = calloc(1, sizeof *node);
    if (!node) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    node->loop = loop;
    node->callbacks = config->callbacks;
    node->close_patience = config->serf.swim.tcp_timeout;
    loop_task_init(&node->stop, loop, on_stop, node);
    node_commands_init(node);
    node_queries_init(node);
    if (!start(node, config, error)) {
        destroy(node);
        return NULL;
    }
    /* The first effects are performed by the loop, since callbacks come from nowhere else. */
    loop_timer_set(&node->timer, 0);
    return node;
}

void node_free(struct node *node)
{
    if (!node)
        return;
    node->freed = true;
    if (node->held == 0)
        destroy(node);
}

const struct serf *node_serf(const struct node *node)
{
    return node->serf;
}

const struct node_metrics *node_metrics(const struct node *node)
{
    return &node->metrics;
}

struct endpoint node_bound(const struct node *node)
{
    return node->bound;
}

struct endpoint node_advertised(const struct node *node)
{
    return node->advertised;
}

/* The Serf layer's frame: construction, the inputs, and the pump that turns what the membership
 * core reports into what the Serf layer does. The parts are members.c (statuses, reaping,
 * reconnecting), intents.c, queues.c, user_events.c and event_coalesce.c, queries.c,
 * internal_queries.c and query_collector.c, key_commands.c, name_vote.c, positions.c and
 * coordinate.c, exchange.c (push/pull), commands.c, join.c,
 * join_policy.c, rejoin.c, recording.c and snapshot.c, coalesce.c and tags.c. */
#include "serf_internal.h"

#include <assert.h>
#include <stdlib.h>

void serf_config_init(struct serf_config *config, void (*profile)(struct swim_config *config))
{
    *config = (struct serf_config){
        .protocol_version = SERF_PROTOCOL_MAX,
        .broadcast_timeout = 5 * NANOSECONDS_PER_S,
        .leave_timeout = 15 * NANOSECONDS_PER_S,
        .leave_propagate_delay = 1 * NANOSECONDS_PER_S,
        .coalesce_period = 3 * NANOSECONDS_PER_S,
        .quiescent_period = 1 * NANOSECONDS_PER_S,
        .reap_interval = 15 * NANOSECONDS_PER_S,
        .recent_intent_timeout = 300 * NANOSECONDS_PER_S,
        .reconnect_interval = 30 * NANOSECONDS_PER_S,
        .reconnect_timeout = 86400 * NANOSECONDS_PER_S,
        .tombstone_timeout = 86400 * NANOSECONDS_PER_S,
        .queue_check_interval = 30 * NANOSECONDS_PER_S,
        .queue_depth_warning = 128,
        .max_queue_depth = 4096,
        .user_coalesce_period = 3 * NANOSECONDS_PER_S,
        .user_quiescent_period = 1 * NANOSECONDS_PER_S,
        .user_event_size_limit = 512,
        .query_size_limit = 1024,
        .query_response_size_limit = 1024,
        .coordinates = true,
        .resolve_name_conflicts = true,
        .event_buffer = 512,
        .query_buffer = 512,
    };
    profile(&config->swim);
}

/* --- clocks (Serf specification, section 2) --- */

void clock_witness(uint64_t *clock, uint64_t time)
{
    if (time >= *clock && time < LTIME_MAX)
        *clock = time + 1;
}

bool ltime_is_sane(struct serf *serf, const char *what, uint64_t ltime)
{
    uint64_t known = serf->clock > serf->event_clock ? serf->clock : serf->event_clock;
    if (serf->query_clock > known)
        known = serf->query_clock;
    if (ltime < LTIME_FREE_MAX || ltime <= known + LTIME_JUMP_MAX)
        return true;
    serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                     "serf: Ignoring %s with the Lamport time %llu: no cluster counts that far, "
                     "and following it would stop all clocks",
                     what, (unsigned long long)ltime);
    return false;
}

/* --- construction --- */

static bool name_is_valid(const struct serf_config *config, struct buffer *error)
{
    struct span name = config->swim.name;
    if (name.size < 1 || name.size > MEMBER_NAME_SIZE_MAX) {
        buffer_printf(error, "Node name is %zu bytes long. Valid length is between 1 and %u bytes",
                      name.size, (unsigned)MEMBER_NAME_SIZE_MAX);
        return false;
    }
    /* A slash would be read as the end of the name in "name/address", and a control character
     * would break the lines of logs and snapshots. */
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] == '/' || name.data[i] < 0x20 || name.data[i] == 0x7f) {
            buffer_printf(error,
                          "Node name contains invalid characters: byte %zu is 0x%02x; a name has "
                          "neither '/' nor control characters",
                          i + 1, name.data[i]);
            return false;
        }
    if (!config->validate_node_names)
        return true;
    if (name.size > NODE_NAME_SIZE_MAX) {
        buffer_printf(error,
                      "Node name is %zu characters. Valid length is between 1 and 128 characters",
                      name.size);
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool valid = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.';
        if (!valid) {
            buffer_printf(error,
                          "Node name contains invalid characters %.*s , Valid characters include "
                          "all alpha-numerics and dashes and '.' ",
                          SPAN_PRINT(name));
            return false;
        }
    }
    return true;
}

static bool config_is_valid(const struct serf_config *config, struct buffer *error)
{
    if (config->protocol_version < SERF_PROTOCOL_MIN ||
        config->protocol_version > SERF_PROTOCOL_MAX) {
        buffer_printf(error, "Protocol version '%u' too %s. Must be in range: [%u, %u]",
                      config->protocol_version,
                      config->protocol_version < SERF_PROTOCOL_MIN ? "low" : "high",
                      (unsigned)SERF_PROTOCOL_MIN, (unsigned)SERF_PROTOCOL_MAX);
        return false;
    }
    if (config->swim.meta.size > META_SIZE_MAX) {
        buffer_append_text(error, "Encoded length of tags exceeds limit of 512 bytes");
        return false;
    }
    if (config->swim.advertise.address_size == 0 || config->swim.advertise.port == 0) {
        buffer_append_text(error, "no address to advertise");
        return false;
    }
    if (config->swim.label.size > LABEL_SIZE_MAX) {
        buffer_append_text(error, "could not use ");
        buffer_append_quoted(error, config->swim.label);
        buffer_append_text(error, " as a label: too long");
        return false;
    }
    return name_is_valid(config, error);
}

static void start_timers(struct serf *serf)
{
    struct timer_heap *timers = &serf->swim.timers;
    uint64_t now = serf->swim.now;
    serf->reap_timer.kind = TIMER_REAP;
    serf->reconnect_timer.kind = TIMER_RECONNECT;
    serf->queue_timer.kind = TIMER_QUEUE_CHECK;
    serf->quantum_timer.kind = TIMER_COALESCE_QUANTUM;
    serf->quiescent_timer.kind = TIMER_COALESCE_QUIESCENT;
    serf->policy.timer.kind = TIMER_POLICY;
    serf->event_quantum.kind = TIMER_EVENT_QUANTUM;
    serf->event_quiescent.kind = TIMER_EVENT_QUIESCENT;
    serf->rejoin.timer.kind = TIMER_REJOIN;
    serf->recording.timer.kind = TIMER_RECORD;
    if (serf->config.reap_interval)
        timer_set(timers, &serf->reap_timer, now + serf->config.reap_interval);
    if (serf->config.reconnect_interval)
        timer_set(timers, &serf->reconnect_timer, now + serf->config.reconnect_interval);
    if (serf->config.queue_check_interval)
        timer_set(timers, &serf->queue_timer, now + serf->config.queue_check_interval);
}

/* The clocks go on where the last life stopped, and its events are not told again (Serf
 * specification, section 2). */
static void restore_clocks(struct serf *serf)
{
    const struct snapshot *restored = serf->config.restored;
    if (restored) {
        serf->recording.resumed = restored->peer_count > 0;
        serf->recording.clock = restored->clock;
        serf->recording.event_clock = restored->event_clock;
        serf->recording.query_clock = restored->query_clock;
        clock_witness(&serf->clock, restored->clock);
        clock_witness(&serf->event_clock, restored->event_clock);
        clock_witness(&serf->query_clock, restored->query_clock);
    }
    if (restored || serf->config.record) {
        serf->event_min_time = serf->recording.event_clock + 1;
        serf->query_min_time = serf->recording.query_clock + 1;
    }
}

struct serf *serf_new(const struct serf_config *config, struct intern_pool *pool,
                      const uint8_t *seed, uint64_t now, struct buffer *error)
{
    if (!config_is_valid(config, error))
        return NULL;
    struct serf *serf = calloc(1, sizeof *serf);
    if (!serf) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    serf->config = *config;
    serf->clock = serf->event_clock = serf->query_clock = 1;
    serf->recording.began = now;
    restore_clocks(serf);
    buffer_init(&serf->received, USER_MESSAGE_MAX + 1);
    buffer_init(&serf->scratch, PUSH_PULL_STATE_MAX);
    queues_init(serf);
    intents_init(serf);
    /* The core always speaks protocol 2, whatever Serf speaks on top of it (Serf specification,
     * section 11). */
    static const uint8_t versions[VERSIONS_SIZE] = {1, 5, 2, SERF_PROTOCOL_MIN, SERF_PROTOCOL_MAX,
                                                    0};
    memcpy(serf->config.swim.versions, versions, sizeof versions);
    serf->config.swim.versions[5] = config->protocol_version;
    static const uint8_t no_tags[] = {TAGS_MAGIC, 0x80};
    if (config->swim.meta.size == 0 && config->protocol_version >= 3)
        serf->config.swim.meta = span_make(no_tags, sizeof no_tags);
    struct swim_hooks hooks = {.context = serf,
                               .broadcasts = queues_draw,
                               .reserve = queues_reserve,
                               .local_state = write_local_state};
    if (serf->config.coordinates) {
        hooks.ack_payload = position_write;
        hooks.ping_completed = position_learn;
    }
    coordinate_model_init(&serf->position);
    if (!swim_init(&serf->swim, &serf->config.swim, &hooks, pool, seed, now)) {
        buffer_append_text(error, "out of memory");
        queues_fini(serf);
        intents_fini(serf);
        free(serf);
        return NULL;
    }
    start_timers(serf);
    if (config->reconnect_timeout_tag.size > 0 &&
        !(serf->timeout_tag = intern(pool, config->reconnect_timeout_tag))) {
        buffer_append_text(error, "out of memory");
        serf_free(serf);
        return NULL;
    }
    if (serf->config.restored && !rejoin_begin(serf, serf->config.restored)) {
        buffer_append_text(error, "out of memory");
        serf_free(serf);
        return NULL;
    }
    serf->config.restored = NULL;
    serf_pump(serf);
    return serf;
}

void serf_free(struct serf *serf)
{
    if (!serf)
        return;
    policy_fini(serf);
    inquiries_stop(serf);
    rejoin_fini(serf);
    joins_fini(serf);
    commands_fini(serf);
    key_commands_fini(serf);
    collectors_fini(serf);
    queries_fini(serf);
    events_held_fini(serf);
    positions_fini(serf);
    serf_free_prunes(serf);
    coalesce_fini(serf);
    intents_fini(serf);
    rings_fini(serf);
    queues_fini(serf);
    name_counts_fini(&serf->metrics.events_by_name);
    name_counts_fini(&serf->metrics.queries_by_name);
    buffer_fini(&serf->received);
    buffer_fini(&serf->scratch);
    intern_release(serf->swim.pool, serf->timeout_tag);
    swim_fini(&serf->swim);
    free(serf);
}

/* --- the pump --- */

/* Bytes of a report are moved out of the outbox, which may move while they are handled. */
static struct span take_bytes(struct serf *serf, struct span bytes)
{
    buffer_reset(&serf->received);
    if (!buffer_append_span(&serf->received, bytes))
        return SPAN_EMPTY;
    return buffer_span(&serf->received);
}

enum { RECEIVED_KEPT_BYTES = 16384 }; /* a state of a large cluster takes more, once in minutes */

static void give_back_what_a_state_took(struct serf *serf)
{
    if (serf->received.capacity > RECEIVED_KEPT_BYTES)
        buffer_fini(&serf->received);
}

static void handle_report(struct serf *serf, struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_SWIM_JOIN:
        serf_member_joined(serf, effect->swim_member.member);
        break;
    case EFFECT_SWIM_LEAVE:
        serf_member_departed(serf, effect->swim_member.member);
        command_listener_gone(serf);
        break;
    case EFFECT_SWIM_UPDATE:
        serf_member_updated(serf, effect->swim_member.member);
        break;
    case EFFECT_SWIM_CONFLICT:
        serf_member_conflict(serf, effect->conflict.member, &effect->conflict.other);
        break;
    case EFFECT_SWIM_USER_MESSAGE:
        handle_user_message(serf, take_bytes(serf, effect->payload.bytes));
        break;
    case EFFECT_SWIM_REMOTE_STATE:
        merge_remote_state(serf, take_bytes(serf, effect->payload.bytes), effect->payload.join);
        give_back_what_a_state_took(serf);
        break;
    case EFFECT_SWIM_SYNC_DONE:
        effect->sync.error = take_bytes(serf, effect->sync.error);
        join_synced(serf, effect);
        break;
    case EFFECT_SWIM_ACK:
        inquiry_answered(serf, effect->ack.sequence);
        break;
    case EFFECT_SWIM_LEFT:
        command_left(serf, effect->broadcast.timed_out);
        break;
    case EFFECT_SWIM_NAMESAKE:
        name_vote_begin(serf);
        break;
    case EFFECT_SWIM_MOVING:
        tell_leave_of_former_life(serf);
        break;
    case EFFECT_SWIM_MOVED:
        /* Newer than what was said of the former life, which counts as left where it was missed. */
        broadcast_join_intent(serf);
        break;
    case EFFECT_SWIM_UPDATED:
        command_updated(serf, effect->broadcast.timed_out);
        break;
    default:
        break;
    }
}

void serf_pump(struct serf *serf)
{
    struct outbox *outbox = &serf->swim.outbox;
    while (outbox->processed < outbox->count) {
        struct effect effect = outbox->entries[outbox->processed++].effect;
        if (effect.kind < EFFECT_SWIM_JOIN)
            continue;
        outbox_resolve(outbox, &effect);
        handle_report(serf, &effect);
    }
    record_clock_soon(serf);
}

/* --- inputs --- */

static void enter(struct serf *serf, uint64_t now)
{
    assert(now >= serf->swim.now);
    serf->swim.now = now;
    key_commands_forget_ended(serf);
}

void serf_packet(struct serf *serf, uint64_t now, const struct endpoint *from, struct span datagram)
{
    enter(serf, now);
    swim_packet(&serf->swim, from, datagram);
    serf_pump(serf);
}

void serf_packet_failed(struct serf *serf, uint64_t now, const struct endpoint *to)
{
    enter(serf, now);
    swim_packet_failed(&serf->swim, to);
    serf_pump(serf);
}

uint32_t serf_stream_accepted(struct serf *serf, uint64_t now, const struct endpoint *from)
{
    enter(serf, now);
    uint32_t stream = swim_stream_accepted(&serf->swim, from);
    serf_pump(serf);
    return stream;
}

void serf_stream_opened(struct serf *serf, uint64_t now, uint32_t stream)
{
    enter(serf, now);
    swim_stream_opened(&serf->swim, stream);
    serf_pump(serf);
}

void serf_stream_failed(struct serf *serf, uint64_t now, uint32_t stream, const char *reason)
{
    enter(serf, now);
    swim_stream_failed(&serf->swim, stream, reason);
    serf_pump(serf);
}

void serf_stream_data(struct serf *serf, uint64_t now, uint32_t stream, struct span bytes)
{
    enter(serf, now);
    swim_stream_data(&serf->swim, stream, bytes);
    serf_pump(serf);
}

void serf_stream_ended(struct serf *serf, uint64_t now, uint32_t stream)
{
    enter(serf, now);
    swim_stream_ended(&serf->swim, stream);
    serf_pump(serf);
}

void serf_resolved(struct serf *serf, uint64_t now, uint32_t request,
                   const struct endpoint *endpoints, size_t count, const char *error)
{
    enter(serf, now);
    join_resolved(serf, request, endpoints, count, true, error);
    serf_pump(serf);
}

void serf_resolved_in_part(struct serf *serf, uint64_t now, uint32_t request,
                           const struct endpoint *endpoints, size_t count, const char *error)
{
    enter(serf, now);
    join_resolved(serf, request, endpoints, count, false, error);
    serf_pump(serf);
}

static void fire(struct serf *serf, struct timer *timer)
{
    struct timer_heap *timers = &serf->swim.timers;
    uint64_t now = serf->swim.now;
    switch (timer->kind) {
    case TIMER_REAP:
        timer_set(timers, timer, now + serf->config.reap_interval);
        serf_reap(serf);
        rejoin_age(serf);
        intents_expire(serf);
        break;
    case TIMER_RECONNECT:
        timer_set(timers, timer, now + serf->config.reconnect_interval);
        serf_reconnect(serf);
        break;
    case TIMER_QUEUE_CHECK:
        timer_set(timers, timer, now + serf->config.queue_check_interval);
        queues_check(serf);
        break;
    case TIMER_COALESCE_QUANTUM:
    case TIMER_COALESCE_QUIESCENT:
        coalesce_flush(serf);
        break;
    case TIMER_COMMAND:
        command_timer(serf, timer);
        break;
    case TIMER_PRUNE:
        serf_prune_timer(serf, timer);
        break;
    case TIMER_POLICY:
        policy_timer(serf);
        break;
    case TIMER_OPEN_QUERY:
        query_timer(serf, timer);
        break;
    case TIMER_COLLECTOR:
        collector_timer(serf, timer);
        break;
    case TIMER_EVENT_QUANTUM:
    case TIMER_EVENT_QUIESCENT:
        events_flush(serf);
        break;
    case TIMER_REJOIN:
        rejoin_timer(serf);
        break;
    case TIMER_INQUIRY:
        inquiry_timer(serf, timer);
        break;
    case TIMER_RECORD:
        record_clock(serf);
        break;
    default:
        swim_fire(&serf->swim, timer);
    }
}

void serf_advance(struct serf *serf, uint64_t now)
{
    enter(serf, now);
    /* What fires now and is set again for now (a merge that goes on) waits for the next call. */
    uint64_t first_new = serf->swim.timers.next_order;
    struct timer *timer;
    while ((timer = timer_heap_expire(&serf->swim.timers, now))) {
        if (timer->order >= first_new) {
            timer_set(&serf->swim.timers, timer, timer->deadline);
            break;
        }
        fire(serf, timer);
        serf_pump(serf);
    }
}

uint64_t serf_next_deadline(const struct serf *serf)
{
    return timer_heap_next(&serf->swim.timers);
}

bool serf_next_effect(struct serf *serf, struct effect *effect)
{
    return outbox_next(&serf->swim.outbox, effect);
}

/* --- questions --- */

static void view_member(const struct serf *serf, uint32_t member, struct member_view *view)
{
    const struct member_record *record = member_at(&serf->swim.table, member);
    identity_view(record->identity, view);
    view->status = (enum member_status)record->status;
    view->status_ltime = record->status_ltime;
}

bool serf_next_member(const struct serf *serf, uint32_t *position, struct member_view *member)
{
    const struct member_table *table = &serf->swim.table;
    while (*position < table->slot_count) {
        uint32_t slot = (*position)++;
        if (table->records[slot].identity && table->records[slot].in_serf) {
            view_member(serf, slot, member);
            return true;
        }
    }
    return false;
}

bool serf_find_member(const struct serf *serf, struct span name, struct member_view *member)
{
    uint32_t slot = member_table_find(&serf->swim.table, name);
    if (slot == MEMBER_NONE || !member_at(&serf->swim.table, slot)->in_serf)
        return false;
    view_member(serf, slot, member);
    return true;
}

void serf_local_member(const struct serf *serf, struct member_view *member)
{
    view_member(serf, serf->swim.self, member);
}

const struct swim_metrics *serf_swim_metrics(const struct serf *serf)
{
    return &serf->swim.metrics;
}

const struct serf_metrics *serf_metrics(const struct serf *serf)
{
    return &serf->metrics;
}

void serf_stats(const struct serf *serf, struct serf_stats *stats)
{
    const struct member_table *table = &serf->swim.table;
    *stats = (struct serf_stats){
        .members = table->serf_count,
        .failed = table->status_count[STATUS_FAILED],
        .left = table->status_count[STATUS_LEFT],
        .health_score = serf->swim.health,
        .member_time = serf->clock,
        .event_time = serf->event_clock,
        .query_time = serf->query_clock,
        .intent_queue = serf->intents.count,
        .event_queue = serf->events.count,
        .query_queue = serf->queries.count,
        .coordinate_resets = serf->position.resets,
        .encrypted = serf->config.swim.keyring != NULL,
        .plaintext_accepted = serf->swim.metrics.plaintext_accepted,
        .unlabelled_accepted = serf->swim.metrics.unlabelled_accepted,
        .labels_refused = serf->swim.metrics.labels_refused,
        .answers_withheld = serf->swim.metrics.answers_withheld,
        .incarnation = serf->swim.incarnation,
        .membership_queue = swim_queue_depth(&serf->swim),
        .node_states = {table->state_count[NODE_ALIVE], table->state_count[NODE_SUSPECT],
                        table->state_count[NODE_DEAD], table->state_count[NODE_LEFT]},
        .suspicions = serf->swim.suspicions.count,
        .relays = serf->swim.relays.count,
        .streams = serf->swim.streams.count,
    };
}

enum serf_state serf_state(const struct serf *serf)
{
    return serf->state;
}

/* The core's frame: construction, the dispatch of packets and timers, and what all parts share. The
 * parts are state.c (what a message changes), probe.c (failure detection), gossip.c (what goes out)
 * and sync.c (push/pull and the other streams). */
#include "swim_internal.h"

#include "logarithm.h"

#include <assert.h>
#include <stdio.h>

enum {
    COARSE_SHIFT = 26, /* a coarse tick is 2^26 ns, 67 ms: 32 bits of it last for nine years */
    LIMITED_LINES = 10,
    HEARD_AHEAD = 8, /* messages of a datagram that are decoded before the first is handled */
};

static const uint64_t limited_window = 10 * NANOSECONDS_PER_S;

uint32_t swim_coarse_time(const struct swim *swim)
{
    return (uint32_t)((swim->now - swim->epoch) >> COARSE_SHIFT);
}

uint64_t swim_age(const struct swim *swim, uint32_t member)
{
    uint32_t ticks = swim_coarse_time(swim) - member_at(&swim->table, member)->changed;
    return (uint64_t)ticks << COARSE_SHIFT;
}

uint32_t swim_transmit_limit(const struct swim *swim, uint32_t members)
{
    return swim->config.retransmit_mult * log10_ceiling((uint64_t)members + 1);
}

uint32_t swim_other_live_count(const struct swim *swim)
{
    uint32_t live = swim->table.state_count[NODE_ALIVE] + swim->table.state_count[NODE_SUSPECT];
    uint8_t own = member_at(&swim->table, swim->self)->state;
    return own == NODE_ALIVE || own == NODE_SUSPECT ? live - 1 : live;
}

const char *swim_from_text(const struct endpoint *from, char *text)
{
    char address[ENDPOINT_TEXT_SIZE];
    snprintf(text, FROM_TEXT_SIZE, "from=%s", endpoint_text(from, address));
    return text;
}

bool swim_log_allowed(struct swim *swim, enum limited_log kind, enum log_level level)
{
    if (swim->now - swim->limits[kind].since >= limited_window || swim->limits[kind].count == 0) {
        if (swim->limits[kind].suppressed > 0)
            outbox_log(&swim->outbox, level, "memberlist: %u lines like the next were left out",
                       swim->limits[kind].suppressed);
        swim->limits[kind].since = swim->now;
        swim->limits[kind].count = 0;
        swim->limits[kind].suppressed = 0;
    }
    if (swim->limits[kind].count >= LIMITED_LINES) {
        swim->limits[kind].suppressed++;
        return false;
    }
    swim->limits[kind].count++;
    return true;
}

static void start_ticks(struct swim *swim)
{
    const struct swim_config *config = &swim->config;
    /* A random phase spreads the members of a cluster that was started at one instant. */
    if (config->probe_interval)
        timer_set(&swim->timers, &swim->probe_tick,
                  swim->now + config->probe_interval / 2 +
                      random_below(&swim->random, config->probe_interval / 2 + 1));
    if (config->gossip_interval && config->gossip_nodes) {
        /* the phase: the first tick is one interval after it */
        swim->gossip_ticked =
            swim->now - random_below(&swim->random, config->gossip_interval < swim->now
                                                        ? config->gossip_interval
                                                        : swim->now + 1);
        swim_gossip_wanted(swim);
    }
    if (config->push_pull_interval)
        timer_set(&swim->timers, &swim->push_pull_tick,
                  swim->now + config->push_pull_interval +
                      random_below(&swim->random, config->push_pull_interval));
}

bool swim_init(struct swim *swim, const struct swim_config *config, const struct swim_hooks *hooks,
               struct intern_pool *pool, const uint8_t *seed, uint64_t now)
{
    *swim = (struct swim){.config = *config,
                          .hooks = *hooks,
                          .pool = pool,
                          .now = now,
                          .epoch = now,
                          .self = MEMBER_NONE};
    if (swim->config.gossip_nodes > GOSSIP_NODES_MAX)
        swim->config.gossip_nodes = GOSSIP_NODES_MAX;
    if (swim->config.indirect_checks > INDIRECT_CHECKS_MAX)
        swim->config.indirect_checks = INDIRECT_CHECKS_MAX;
    random_init(&swim->random, seed);
    wire_codec_init(&swim->codec, &swim->random);
    swim->codec.keyring = config->keyring;
    swim->codec.label = config->label;
    swim->codec.label_mode = config->label_mode;
    swim->codec.skip_inbound_label_check = config->skip_inbound_label_check;
    swim->codec.verify_incoming = config->verify_incoming;
    swim->codec.verify_outgoing = config->verify_outgoing;
    swim->codec.compress = config->compress;
    swim->codec.encryption_version = config->versions[2] >= 2 ? 1 : 0;
    member_table_init(&swim->table, pool, config->members_max);
    broadcast_queue_init(&swim->changes, swim_broadcast_finished, swim);
    broadcast_queue_init(&swim->arrivals, swim_broadcast_finished, swim);
    member_table_expect(&swim->table, config->members_expected);
    broadcast_queue_expect(&swim->arrivals, config->members_expected < ARRIVALS_MAX
                                                ? config->members_expected
                                                : ARRIVALS_MAX + ARRIVALS_SLACK);
    timer_heap_init(&swim->timers);
    compound_init(&swim->compound);
    buffer_init(&swim->scratch, PACKET_SIZE_MAX);
    swim->probe_tick.kind = TIMER_PROBE_TICK;
    swim->gossip_tick.kind = TIMER_GOSSIP;
    swim->push_pull_tick.kind = TIMER_PUSH_PULL;
    swim->probe.timer.kind = TIMER_PROBE;
    swim->leave_timer.kind = TIMER_LEAVE;
    swim->update_timer.kind = TIMER_UPDATE;
    swim->catch_up.kind = TIMER_CATCH_UP;
    swim->move.timer.kind = TIMER_MOVE;
    if (!outbox_init(&swim->outbox, pool) || !timer_heap_reserve(&swim->timers, 16) ||
        !swim_start_self(swim, config->name, config->meta)) {
        swim_fini(swim);
        return false;
    }
    probe_order_begin(&swim->order, &swim->random, swim->table.slot_count);
    start_ticks(swim);
    return true;
}

void swim_fini(struct swim *swim)
{
    swim_free_streams(swim);
    swim_free_relays(swim);
    swim_free_suspicions(swim);
    swim_free_claims(swim);
    broadcast_queue_fini(&swim->changes, swim_broadcast_dropped);
    broadcast_queue_fini(&swim->arrivals, swim_broadcast_dropped);
    outbox_fini(&swim->outbox);
    timer_heap_fini(&swim->timers);
    member_table_fini(&swim->table);
    compound_fini(&swim->compound);
    buffer_fini(&swim->scratch);
    wire_codec_fini(&swim->codec);
}

/* --- packets --- */

static void handle_suspect(struct swim *swim, const struct endpoint *from, struct span body)
{
    struct suspect_message suspect;
    char text[FROM_TEXT_SIZE];
    if (message_read(body, &suspect_structure, &suspect)) {
        if (swim_believes(swim, suspect.node, suspect.incarnation, true)) {
            swim_apply_suspect(swim, &suspect);
            swim_answer_accuser(swim, from, &suspect);
        }
    } else {
        swim_log_limited(swim, LIMITED_MESSAGE, LOG_LEVEL_ERR,
                         "memberlist: Failed to decode suspect message: malformed %s",
                         swim_from_text(from, text));
    }
}

static void handle_dead(struct swim *swim, const struct endpoint *from, struct span body)
{
    struct suspect_message dead;
    char text[FROM_TEXT_SIZE];
    if (message_read(body, &suspect_structure, &dead)) {
        if (swim_believes(swim, dead.node, dead.incarnation, true)) {
            swim_apply_dead(swim, &dead);
            swim_answer_accuser(swim, from, &dead);
        }
    } else {
        swim_log_limited(swim, LIMITED_MESSAGE, LOG_LEVEL_ERR,
                         "memberlist: Failed to decode dead message: malformed %s",
                         swim_from_text(from, text));
    }
}

/* A message of a datagram that is about to be handled. Most say "alive": these are decoded ahead,
 * so that the look-ups of their names can overlap. */
struct heard {
    struct span message;
    struct alive_message alive;
    uint32_t hash; /* of the name */
    bool is_alive; /* well-formed */
};

static void hear(struct swim *swim, struct heard *heard, struct span message)
{
    heard->message = message;
    heard->is_alive = message.data[0] == MESSAGE_ALIVE &&
                      message_read(span_from(message, 1), &alive_structure, &heard->alive);
    if (heard->is_alive)
        heard->hash = member_table_hash(&swim->table, heard->alive.node);
}

static void handle_alive(struct swim *swim, const struct endpoint *from, struct heard *heard)
{
    char text[FROM_TEXT_SIZE];
    if (!heard->is_alive) {
        swim_log_limited(swim, LIMITED_MESSAGE, LOG_LEVEL_ERR,
                         "memberlist: Failed to decode alive message: malformed %s",
                         swim_from_text(from, text));
        return;
    }
    if (heard->alive.port == 0) /* a protocol 1 peer sends no port */
        heard->alive.port = swim->config.bind_port;
    swim_apply_alive(swim, &heard->alive, heard->hash, true);
}

static void handle_user(struct swim *swim, struct span body)
{
    if (body.size == 0)
        return;
    struct effect *effect = outbox_add(&swim->outbox, EFFECT_SWIM_USER_MESSAGE);
    if (effect && !outbox_copy(&swim->outbox, &effect->payload.bytes, body))
        outbox_drop_last(&swim->outbox);
}

static void handle_message(struct swim *swim, const struct endpoint *from, struct heard *heard)
{
    char text[FROM_TEXT_SIZE];
    struct span message = heard->message;
    struct span body = span_from(message, 1);
    switch (message.data[0]) {
    case MESSAGE_PING:
        swim_handle_ping(swim, from, body);
        break;
    case MESSAGE_INDIRECT_PING:
        swim_handle_indirect_ping(swim, from, body);
        break;
    case MESSAGE_ACK:
        swim_handle_ack(swim, from, body);
        break;
    case MESSAGE_NACK:
        swim_handle_nack(swim, from, body);
        break;
    case MESSAGE_SUSPECT:
        handle_suspect(swim, from, body);
        break;
    case MESSAGE_ALIVE:
        handle_alive(swim, from, heard);
        break;
    case MESSAGE_DEAD:
        handle_dead(swim, from, body);
        break;
    case MESSAGE_USER:
        handle_user(swim, body);
        break;
    default:
        swim_log_limited(swim, LIMITED_MESSAGE, LOG_LEVEL_ERR,
                         "memberlist: msg type (%u) not supported %s", message.data[0],
                         swim_from_text(from, text));
    }
}

static void handle_heard(struct swim *swim, const struct endpoint *from, struct heard *heard,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (heard[i].is_alive)
            member_table_expect_record(&swim->table, heard[i].hash);
    for (size_t i = 0; i < count; i++)
        handle_message(swim, from, &heard[i]);
}

static void log_packet_problem(struct swim *swim, const struct endpoint *from,
                               const struct packet_problem *problem)
{
    enum log_level level =
        problem->error == PACKET_BAD_CHECKSUM || problem->error == PACKET_COMPOUND_PARTS_LOST
            ? LOG_LEVEL_WARN
            : LOG_LEVEL_ERR;
    if (level < swim->config.log_level || !swim_log_allowed(swim, LIMITED_PACKET, level))
        return;
    char text[FROM_TEXT_SIZE];
    buffer_reset(&swim->scratch);
    packet_problem_text(problem, &swim->scratch);
    outbox_log(&swim->outbox, level, "memberlist: %s %s", buffer_text(&swim->scratch),
               swim_from_text(from, text));
}

void swim_packet(struct swim *swim, const struct endpoint *from, struct span datagram)
{
    swim->metrics.packets_received++;
    swim->metrics.packet_bytes_received += datagram.size;
    struct packet_reader reader;
    struct packet_problem problem = packet_open(&reader, &swim->codec, datagram);
    if (problem.error != PACKET_OK) {
        swim->metrics.labels_refused += problem.error == PACKET_LABEL_UNACCEPTABLE;
        log_packet_problem(swim, from, &problem);
        return;
    }
    swim->metrics.plaintext_accepted += reader.was_plain;
    swim->metrics.unlabelled_accepted += reader.was_unlabelled;
    struct heard heard[HEARD_AHEAD];
    size_t count = 0;
    struct span message;
    while (packet_next(&reader, &message, &problem)) {
        if (problem.error == PACKET_OK)
            hear(swim, &heard[count++], message);
        if (problem.error == PACKET_OK && count < HEARD_AHEAD)
            continue;
        handle_heard(swim, from, heard, count);
        count = 0;
        if (problem.error != PACKET_OK)
            log_packet_problem(swim, from, &problem);
    }
    handle_heard(swim, from, heard, count);
}

void swim_packet_failed(struct swim *swim, const struct endpoint *to)
{
    swim_probe_send_failed(swim, to);
}

/* --- leaving and updating --- */

/* The next live member after `*slot` but ourselves, for at most one round; MEMBER_NONE at its end.
 */
static uint32_t next_listener(const struct swim *swim, uint32_t *slot, uint32_t *looked)
{
    while (*looked < swim->table.slot_count) {
        uint32_t member = *slot;
        const struct member_record *record = member_at(&swim->table, member);
        *slot = member + 1 < swim->table.slot_count ? member + 1 : 0;
        (*looked)++;
        if (record->identity && record->in_swim && member != swim->self &&
            (record->state == NODE_ALIVE || record->state == NODE_SUSPECT))
            return member;
    }
    return MEMBER_NONE;
}

/* Sends one message (its type byte first) to every live member by itself. What must have been heard
 * when we are gone is not left to the luck of gossip, which misses a member now and then. */
void swim_tell_each(struct swim *swim, struct span message)
{
    uint32_t slot = (uint32_t)random_below(&swim->random, swim->table.slot_count);
    uint32_t looked = 0, member;
    for (int told = 0; told < TOLD_DIRECTLY_MAX; told++) {
        if ((member = next_listener(swim, &slot, &looked)) == MEMBER_NONE)
            return;
        compound_reset(&swim->compound);
        size_t begin = compound_begin(&swim->compound);
        buffer_append_span(&swim->compound.parts, message);
        if (!compound_end(&swim->compound, begin))
            return;
        struct endpoint to = member_endpoint(&swim->table, member);
        swim_send(swim, &to, swim_wants_checksum(swim, member));
    }
}

void swim_tell_all(struct swim *swim, struct span message)
{
    buffer_reset(&swim->scratch);
    buffer_append_u8(&swim->scratch, MESSAGE_USER);
    buffer_append_span(&swim->scratch, message);
    if (!swim->scratch.failed && swim->scratch.size <= swim_gossip_limit(swim))
        swim_tell_each(swim, buffer_span(&swim->scratch));
}

static void leave_done(struct swim *swim, bool timed_out)
{
    timer_cancel(&swim->timers, &swim->leave_timer);
    struct effect *effect = outbox_add(&swim->outbox, EFFECT_SWIM_LEFT);
    if (effect)
        effect->broadcast.timed_out = timed_out;
}

void swim_leave(struct swim *swim, uint64_t timeout)
{
    swim_prepare_leave(swim);
    swim->leaving = true;
    uint32_t listeners = swim_other_live_count(swim);
    struct span name = swim_own_name(swim);
    timer_set(&swim->timers, &swim->leave_timer, swim->now + timeout);
    struct suspect_message dead = {.incarnation = member_at(&swim->table, swim->self)->incarnation,
                                   .node = name,
                                   .from = name};
    swim_apply_dead(swim, &dead);
    buffer_reset(&swim->scratch);
    message_write(&swim->scratch, MESSAGE_DEAD, &suspect_structure, &dead);
    if (!swim->scratch.failed)
        swim_tell_each(swim, buffer_span(&swim->scratch));
    if (listeners == 0 && timer_armed(&swim->leave_timer))
        leave_done(swim, false);
}

bool swim_update_meta(struct swim *swim, struct span meta, uint64_t timeout)
{
    const struct identity *own = member_identity(&swim->table, swim->self);
    struct atom *identity = identity_intern(swim->pool, identity_name(own), identity_address(own),
                                            own->port, meta, own->versions);
    if (!identity)
        return false;
    member_table_set_identity(&swim->table, swim->self, identity);
    swim_next_incarnation(swim, 0);
    struct effect *effect = outbox_add(&swim->outbox, EFFECT_SWIM_UPDATE);
    if (effect)
        effect->swim_member.member = swim->self;
    /* What the new broadcast replaces ends no wait: an earlier change has been overtaken, and this
     * one is only beginning. */
    timer_cancel(&swim->timers, &swim->update_timer);
    bool queued = swim_queue_broadcast(swim, swim->self, BROADCAST_ALIVE, SPAN_EMPTY, true);
    timer_set(&swim->timers, &swim->update_timer, swim->now + timeout);
    if (swim_other_live_count(swim) == 0 || !queued) {
        timer_cancel(&swim->timers, &swim->update_timer);
        effect = outbox_add(&swim->outbox, EFFECT_SWIM_UPDATED);
        if (effect)
            effect->broadcast.timed_out = false;
    }
    return true;
}

void swim_send_user_message(struct swim *swim, const struct endpoint *to, struct span message)
{
    compound_reset(&swim->compound);
    size_t begin = compound_begin(&swim->compound);
    buffer_append_u8(&swim->compound.parts, MESSAGE_USER);
    buffer_append_span(&swim->compound.parts, message);
    if (compound_end(&swim->compound, begin))
        swim_send(swim, to, false);
}

/* --- timers --- */

void swim_fire(struct swim *swim, struct timer *timer)
{
    struct effect *effect;
    switch (timer->kind) {
    case TIMER_PROBE_TICK:
        swim_probe_tick(swim);
        break;
    case TIMER_PROBE:
        swim_probe_timer(swim);
        break;
    case TIMER_GOSSIP:
        swim_gossip_tick(swim);
        break;
    case TIMER_PUSH_PULL:
        swim_push_pull_tick(swim);
        break;
    case TIMER_CLAIM:
        swim_claim_timer(swim, timer);
        break;
    case TIMER_MOVE:
        swim_move_timer(swim);
        break;
    case TIMER_CATCH_UP:
        swim_catch_up(swim);
        break;
    case TIMER_SUSPICION:
        swim_suspicion_expired(swim, (struct suspicion *)(void *)timer);
        break;
    case TIMER_RELAY:
        swim_relay_timer(swim, timer);
        break;
    case TIMER_STREAM:
        swim_stream_timer(swim, timer);
        break;
    case TIMER_LEAVE:
        leave_done(swim, true);
        break;
    case TIMER_UPDATE:
        effect = outbox_add(&swim->outbox, EFFECT_SWIM_UPDATED);
        if (effect)
            effect->broadcast.timed_out = true;
        break;
    default:
        assert(false && "a timer of the core has a kind of the core");
    }
}

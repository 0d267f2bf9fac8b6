/* Failure detection (SWIM, section 4; Lifeguard; memberlist specification, 7.3 to 7.5).
 *
 * One member is probed at a time: first by a ping of our own, then, when no ack came in time,
 * through up to three helpers and by TCP at once. What nobody could reach becomes suspect. */
#include "swim_internal.h"

#include <assert.h>
#include <stdlib.h>

struct relay { /* an indirect probe that we carry out for somebody */
    struct timer timer;
    uint32_t sequence;       /* of our ping */
    uint32_t asked_sequence; /* of the request */
    struct endpoint reply_to;
    bool nack_wanted;
    bool to_asker; /* reply_to is where the request came from */
};

void swim_change_health(struct swim *swim, int delta)
{
    int64_t health = (int64_t)swim->health + delta;
    int64_t highest = (int64_t)swim->config.awareness_max_multiplier - 1;
    if (health > highest)
        health = highest;
    swim->health = health < 0 ? 0 : (uint32_t)health;
}

static struct ping_message own_ping(const struct swim *swim, uint32_t sequence, struct span node)
{
    const struct identity *own = member_identity(&swim->table, swim->self);
    return (struct ping_message){
        .sequence = sequence,
        .node = node,
        .source_address = identity_address(own),
        .source_port = own->port,
        .source_node = identity_name(own),
    };
}

/* --- choosing --- */

static bool may_be_probed(const struct swim *swim, uint32_t member)
{
    const struct member_record *record = member_at(&swim->table, member);
    return record->in_swim && member != swim->self &&
           (record->state == NODE_ALIVE || record->state == NODE_SUSPECT);
}

/* The next member in this round's order, going over into the next round once. */
static uint32_t next_target(struct swim *swim)
{
    for (int rounds = 0; rounds < 2; rounds++) {
        uint32_t member;
        while ((member = probe_order_next(&swim->order, swim->table.slot_count)) != MEMBER_NONE)
            if (may_be_probed(swim, member))
                return member;
        swim_reap(swim);
        probe_order_begin(&swim->order, &swim->random, swim->table.slot_count);
    }
    return MEMBER_NONE;
}

static bool may_help(const void *context, uint32_t member)
{
    const struct swim *swim = context;
    const struct member_record *record = member_at(&swim->table, member);
    return record->in_swim && record->state == NODE_ALIVE && member != swim->self &&
           member != swim->probe.member;
}

/* --- the probe --- */

static void end_probe(struct swim *swim)
{
    struct probe *probe = &swim->probe;
    timer_cancel(&swim->timers, &probe->timer);
    probe->phase = PROBE_IDLE;
    measure(&swim->metrics.probes, swim->now - probe->sent_at);
    if (probe->stream != 0) {
        uint32_t stream = probe->stream;
        probe->stream = 0;
        swim_close_stream(swim, stream);
    }
    if (swim->probe_pending) { /* a tick passed meanwhile: it counts now */
        swim->probe_pending = false;
        timer_set(&swim->timers, &swim->probe_tick, swim->now);
    }
}

static void fail_probe(struct swim *swim)
{
    struct probe *probe = &swim->probe;
    struct span name = member_name(&swim->table, probe->member);
    if (probe->nacks_expected > 0) {
        if (probe->nacks_received < probe->nacks_expected)
            swim_change_health(swim, (int)(probe->nacks_expected - probe->nacks_received));
    } else {
        swim_change_health(swim, 1);
    }
    swim_log(swim, LOG_LEVEL_INFO, "memberlist: Suspect %.*s has failed, no acks received",
             SPAN_PRINT(name));
    struct suspect_message suspect = {
        .incarnation = probe->incarnation, .node = name, .from = swim_own_name(swim)};
    swim_tcp_ping_timed_out(swim, probe->stream);
    end_probe(swim);
    swim_apply_suspect(swim, &suspect);
}

static void succeed_probe(struct swim *swim)
{
    swim_change_health(swim, -1);
    end_probe(swim);
}

static void send_direct_ping(struct swim *swim)
{
    struct probe *probe = &swim->probe;
    struct span name = member_name(&swim->table, probe->member);
    struct endpoint to = member_endpoint(&swim->table, probe->member);
    struct ping_message ping = own_ping(swim, probe->sequence, name);
    if (!swim_begin_datagram(swim, MESSAGE_PING, &ping_structure, &ping))
        return;
    if (member_at(&swim->table, probe->member)->state == NODE_ALIVE) {
        swim_piggyback(swim);
        swim_send(swim, &to, false);
        return;
    }
    /* A suspect hears of it together with the ping, so that it can refute. */
    struct suspect_message suspect = {.incarnation =
                                          member_at(&swim->table, probe->member)->incarnation,
                                      .node = name,
                                      .from = swim_own_name(swim)};
    swim_add_message(swim, MESSAGE_SUSPECT, &suspect_structure, &suspect);
    swim_send(swim, &to, swim_wants_checksum(swim, probe->member));
}

static void start_probe(struct swim *swim, uint32_t member)
{
    struct probe *probe = &swim->probe;
    uint64_t interval = swim->config.probe_interval * (swim->health + 1);
    swim->metrics.degraded_probes += swim->health > 0;
    probe->phase = PROBE_DIRECT;
    probe->member = member;
    probe->sequence = ++swim->sequence;
    probe->incarnation = member_at(&swim->table, member)->incarnation;
    probe->nacks_expected = probe->nacks_received = 0;
    probe->sent_at = swim->now;
    probe->deadline = swim->now + interval;
    probe->stream = 0;
    probe->reached_by_tcp = false;
    uint64_t first = swim->config.probe_timeout < interval ? swim->config.probe_timeout : interval;
    timer_set(&swim->timers, &probe->timer, swim->now + first);
    send_direct_ping(swim);
}

static void ask_helper(struct swim *swim, uint32_t helper)
{
    struct probe *probe = &swim->probe;
    const struct identity *target = member_identity(&swim->table, probe->member);
    const struct identity *own = member_identity(&swim->table, swim->self);
    struct indirect_ping_message request = {
        .sequence = probe->sequence,
        .target = identity_address(target),
        .port = target->port,
        .node = identity_name(target),
        .nack = member_identity(&swim->table, helper)->versions[1] >= 4,
        .source_address = identity_address(own),
        .source_port = own->port,
        .source_node = identity_name(own),
    };
    probe->nacks_expected += request.nack;
    if (!swim_begin_datagram(swim, MESSAGE_INDIRECT_PING, &indirect_ping_structure, &request))
        return;
    struct endpoint to = member_endpoint(&swim->table, helper);
    swim_piggyback(swim);
    swim_send(swim, &to, false);
}

/* No ack came to our own ping: others try, and we try by TCP. */
static void probe_indirectly(struct swim *swim)
{
    struct probe *probe = &swim->probe;
    probe->phase = PROBE_INDIRECT;
    timer_set(&swim->timers, &probe->timer, probe->deadline);
    uint32_t helpers[INDIRECT_CHECKS_MAX];
    uint32_t count = member_table_pick(&swim->table, &swim->random, swim->config.indirect_checks,
                                       helpers, may_help, swim);
    for (uint32_t i = 0; i < count; i++)
        ask_helper(swim, helpers[i]);
    if (swim->config.tcp_pings && member_identity(&swim->table, probe->member)->versions[1] >= 3)
        probe->stream = swim_open_tcp_ping(swim, probe->member, probe->sequence, probe->deadline);
}

void swim_probe_timer(struct swim *swim)
{
    struct probe *probe = &swim->probe;
    struct span name = member_name(&swim->table, probe->member);
    if (probe->phase == PROBE_DIRECT) {
        swim_log(swim, LOG_LEVEL_DEBUG, "memberlist: Failed UDP ping: %.*s (timeout reached)",
                 SPAN_PRINT(name));
        probe_indirectly(swim);
    } else if (probe->reached_by_tcp) {
        swim_log(swim, LOG_LEVEL_WARN,
                 "memberlist: Was able to connect to %.*s over TCP but UDP probes failed, network "
                 "may be misconfigured",
                 SPAN_PRINT(name));
        succeed_probe(swim);
    } else {
        fail_probe(swim);
    }
}

void swim_probe_tcp_done(struct swim *swim, uint32_t stream, bool reached)
{
    if (swim->probe.phase != PROBE_INDIRECT || swim->probe.stream != stream)
        return;
    swim->probe.stream = 0;
    swim->probe.reached_by_tcp = reached;
}

void swim_probe_send_failed(struct swim *swim, const struct endpoint *to)
{
    if (swim->probe.phase != PROBE_DIRECT)
        return;
    struct endpoint target = member_endpoint(&swim->table, swim->probe.member);
    if (endpoint_equal(&target, to))
        probe_indirectly(swim);
}

void swim_probe_tick(struct swim *swim)
{
    uint64_t next = swim->probe_tick.deadline + swim->config.probe_interval;
    timer_set(&swim->timers, &swim->probe_tick,
              next > swim->now ? next : swim->now + swim->config.probe_interval);
    if (swim->probe.phase != PROBE_IDLE) {
        swim->probe_pending = true;
        return;
    }
    uint32_t member = next_target(swim);
    if (member != MEMBER_NONE)
        start_probe(swim, member);
}

/* --- asking for the Serf layer --- */

uint32_t swim_next_sequence(struct swim *swim)
{
    return ++swim->sequence;
}

/* Nothing rides along: who is there may be a stranger. */
void swim_ping(struct swim *swim, const struct endpoint *to, struct span name, uint32_t sequence)
{
    struct ping_message ping = own_ping(swim, sequence, name);
    if (swim_begin_datagram(swim, MESSAGE_PING, &ping_structure, &ping))
        swim_send(swim, to, false);
}

static bool may_help_to_ask(const void *context, uint32_t member)
{
    const struct swim *swim = context;
    const struct member_record *record = member_at(&swim->table, member);
    return record->in_swim && record->state == NODE_ALIVE && member != swim->self;
}

void swim_ping_by_helpers(struct swim *swim, struct span address, uint16_t port, struct span name,
                          uint32_t sequence)
{
    const struct identity *own = member_identity(&swim->table, swim->self);
    struct indirect_ping_message request = {
        .sequence = sequence,
        .target = address,
        .port = port,
        .node = name,
        .source_address = identity_address(own),
        .source_port = own->port,
        .source_node = identity_name(own),
    };
    uint32_t helpers[INDIRECT_CHECKS_MAX];
    uint32_t count = member_table_pick(&swim->table, &swim->random, swim->config.indirect_checks,
                                       helpers, may_help_to_ask, swim);
    for (uint32_t i = 0; i < count; i++) {
        struct endpoint to = member_endpoint(&swim->table, helpers[i]);
        if (swim_begin_datagram(swim, MESSAGE_INDIRECT_PING, &indirect_ping_structure, &request))
            swim_send(swim, &to, false);
    }
}

/* --- being asked --- */

/* Where an answer goes: the address that the message names, or else where it came from. */
static struct endpoint reply_address(const struct endpoint *from, struct span address,
                                     uint16_t port)
{
    struct endpoint named;
    if (port != 0 && endpoint_from_bytes(&named, address, port))
        return named;
    return *from;
}

static void decode_failed(struct swim *swim, const struct endpoint *from, const char *what)
{
    char text[FROM_TEXT_SIZE];
    swim_log_limited(swim, LIMITED_MESSAGE, LOG_LEVEL_ERR,
                     "memberlist: Failed to decode %s: malformed %s", what,
                     swim_from_text(from, text));
}

bool swim_may_answer(const struct swim *swim, struct answer_count *answers, uint32_t limit)
{
    if (swim->now - answers->since >= NANOSECONDS_PER_S)
        *answers = (struct answer_count){.since = swim->now};
    if (answers->count >= limit)
        return false;
    answers->count++;
    return true;
}

/* Whether one more answer may go where its question only said that it came from. Members behind
 * address translation are answered so, about once in a probe interval each way; but whoever forges
 * a question could have us send to anybody. */
static bool may_answer_elsewhere(struct swim *swim, const struct endpoint *to)
{
    if (swim_may_answer(swim, &swim->answers_elsewhere, ANSWERS_ELSEWHERE_MAX))
        return true;
    char text[ENDPOINT_TEXT_SIZE];
    swim->metrics.answers_withheld++;
    swim_log_limited(swim, LIMITED_LIMIT, LOG_LEVEL_WARN,
                     "memberlist: Not answering %s, for whom others say they ask: %u such answers "
                     "in a second are the limit",
                     endpoint_text(to, text), (unsigned)ANSWERS_ELSEWHERE_MAX);
    return false;
}

/* A payload goes, and gossip rides along, only to where the question came from: an answer that a
 * stranger had sent to somebody else must not grow, nor use up what others should hear. */
static void send_ack(struct swim *swim, const struct endpoint *to, uint32_t sequence,
                     struct span payload, bool to_asker)
{
    struct ack_message ack = {.sequence = sequence, .payload = payload};
    if (!to_asker && !may_answer_elsewhere(swim, to))
        return;
    if (!swim_begin_datagram(swim, MESSAGE_ACK, &ack_structure, &ack))
        return;
    if (to_asker)
        swim_piggyback(swim);
    swim_send(swim, to, false);
}

void swim_handle_ping(struct swim *swim, const struct endpoint *from, struct span body)
{
    struct ping_message ping;
    if (!message_read(body, &ping_structure, &ping)) {
        decode_failed(swim, from, "ping request");
        return;
    }
    if (ping.node.size > 0 && !swim_is_self(swim, ping.node)) {
        char text[FROM_TEXT_SIZE];
        struct span shown = ping.node.size > 128 ? span_make(ping.node.data, 128) : ping.node;
        swim_log_limited(swim, LIMITED_MESSAGE, LOG_LEVEL_WARN,
                         "memberlist: Got ping for unexpected node '%.*s' %s", SPAN_PRINT(shown),
                         swim_from_text(from, text));
        return;
    }
    struct endpoint to = reply_address(from, ping.source_address, ping.source_port);
    bool to_asker = endpoint_equal(&to, from);
    buffer_reset(&swim->scratch);
    if (to_asker && swim->hooks.ack_payload)
        swim->hooks.ack_payload(swim->hooks.context, &swim->scratch);
    struct span payload = swim->scratch.failed ? SPAN_EMPTY : buffer_span(&swim->scratch);
    send_ack(swim, &to, ping.sequence, payload, to_asker);
}

static bool add_relay(struct swim *swim, struct relay *relay)
{
    if (swim->relays.count >= RELAYS_MAX) {
        swim_log_limited(swim, LIMITED_LIMIT, LOG_LEVEL_WARN,
                         "memberlist: Refusing an indirect ping: %u are in progress, the limit",
                         (unsigned)RELAYS_MAX);
        return false;
    }
    return timer_heap_reserve(&swim->timers, 1) &&
           number_map_insert(&swim->relays, relay->sequence, relay);
}

/* Whether a live member has this name and this address. Gossip rides along to members only. */
static bool is_known_at(const struct swim *swim, struct span name, const struct endpoint *endpoint)
{
    uint32_t member = name.size ? member_table_find(&swim->table, name) : MEMBER_NONE;
    if (member == MEMBER_NONE || !member_at(&swim->table, member)->in_swim)
        return false;
    struct endpoint known = member_endpoint(&swim->table, member);
    return endpoint_equal(&known, endpoint);
}

void swim_handle_indirect_ping(struct swim *swim, const struct endpoint *from, struct span body)
{
    struct indirect_ping_message request;
    struct endpoint target;
    if (!message_read(body, &indirect_ping_structure, &request) ||
        !endpoint_from_bytes(&target, request.target,
                             request.port ? request.port : swim->config.bind_port)) {
        decode_failed(swim, from, "indirect ping request");
        return;
    }
    struct ping_message ping = own_ping(swim, ++swim->sequence, request.node);
    struct relay *relay = malloc(sizeof *relay);
    if (!relay)
        return;
    *relay = (struct relay){
        .timer.kind = TIMER_RELAY,
        .sequence = ping.sequence,
        .asked_sequence = request.sequence,
        .reply_to = reply_address(from, request.source_address, request.source_port),
        .nack_wanted = request.nack,
    };
    relay->to_asker = endpoint_equal(&relay->reply_to, from);
    if (!add_relay(swim, relay)) {
        free(relay);
        return;
    }
    timer_set(&swim->timers, &relay->timer, swim->now + swim->config.probe_timeout);
    if (swim_begin_datagram(swim, MESSAGE_PING, &ping_structure, &ping)) {
        if (is_known_at(swim, request.node, &target))
            swim_piggyback(swim);
        swim_send(swim, &target, false);
    }
}

static void free_relay(struct swim *swim, struct relay *relay)
{
    timer_cancel(&swim->timers, &relay->timer);
    number_map_remove(&swim->relays, relay->sequence);
    free(relay);
}

void swim_relay_timer(struct swim *swim, struct timer *timer)
{
    struct relay *relay = (struct relay *)(void *)timer;
    struct nack_message nack = {.sequence = relay->asked_sequence};
    if (relay->nack_wanted && (relay->to_asker || may_answer_elsewhere(swim, &relay->reply_to)) &&
        swim_begin_datagram(swim, MESSAGE_NACK, &nack_structure, &nack)) {
        if (relay->to_asker)
            swim_piggyback(swim);
        swim_send(swim, &relay->reply_to, false);
    }
    free_relay(swim, relay);
}

void swim_free_relays(struct swim *swim)
{
    uint32_t position = 0;
    struct relay *relay;
    while ((relay = number_map_next(&swim->relays, &position)))
        free(relay);
    number_map_fini(&swim->relays);
}

void swim_handle_ack(struct swim *swim, const struct endpoint *from, struct span body)
{
    struct ack_message ack;
    if (!message_read(body, &ack_structure, &ack)) {
        decode_failed(swim, from, "ack response");
        return;
    }
    if (swim->probe.phase != PROBE_IDLE && swim->probe.sequence == ack.sequence) {
        /* An answer that came through helpers says nothing about the time to the member itself. */
        if (swim->probe.phase == PROBE_DIRECT) {
            uint64_t round_trip = swim->now - swim->probe.sent_at;
            swim_count_round_trip(&swim->metrics, round_trip);
            if (swim->hooks.ping_completed)
                swim->hooks.ping_completed(swim->hooks.context, swim->probe.member, round_trip,
                                           ack.payload);
        }
        succeed_probe(swim);
        return;
    }
    if (swim_move_answered(swim, ack.sequence) || swim_claim_answered(swim, ack.sequence))
        return;
    struct relay *relay = number_map_find(&swim->relays, ack.sequence);
    if (!relay) {
        struct effect *effect = outbox_add(&swim->outbox, EFFECT_SWIM_ACK);
        if (effect)
            effect->ack.sequence = ack.sequence;
        return;
    }
    send_ack(swim, &relay->reply_to, relay->asked_sequence, SPAN_EMPTY, relay->to_asker);
    free_relay(swim, relay);
}

void swim_handle_nack(struct swim *swim, const struct endpoint *from, struct span body)
{
    struct nack_message nack;
    if (!message_read(body, &nack_structure, &nack))
        decode_failed(swim, from, "nack response");
    else if (swim->probe.phase != PROBE_IDLE && swim->probe.sequence == nack.sequence)
        swim->probe.nacks_received++;
}

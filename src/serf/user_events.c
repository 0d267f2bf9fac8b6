/* The messages that gossip carries for the Serf layer (Serf specification, 1.1), and the user
 * events among them (section 4). */
#include "serf_internal.h"

#include <stdlib.h>

static void decode_failed(struct serf *serf, const char *what)
{
    serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                     "serf: Error decoding %s: malformed message", what);
}

struct ring_slot *ring_slot_for(struct ring_slot **ring, uint32_t size, uint64_t ltime, bool *fresh)
{
    if (!*ring && !(*ring = calloc(size, sizeof **ring)))
        return NULL;
    struct ring_slot *slot = &(*ring)[ltime % size];
    *fresh = slot->count == 0 || slot->ltime != ltime;
    return slot;
}

/* True when the time is before what the ring remembers. */
bool ring_is_past(uint64_t clock, uint32_t size, uint64_t ltime)
{
    return clock > size && ltime < clock - size;
}

/* --- user events --- */

static void empty_event_slot(struct serf *serf, struct ring_slot *slot)
{
    for (uint32_t i = 0; i < slot->count; i++) {
        serf->event_ring_bytes -= slot->events[i]->size;
        intern_release(serf->swim.pool, slot->events[i]);
    }
    free(slot->events);
    *slot = (struct ring_slot){0};
}

/* Remembers an event. False when it is known, or can't be remembered. */
static bool remember_event(struct serf *serf, const struct user_event_message *event)
{
    bool fresh;
    struct ring_slot *slot =
        ring_slot_for(&serf->event_ring, serf->config.event_buffer, event->ltime, &fresh);
    if (!slot)
        return false;
    struct event_slot_entry entry = {.name = event->name, .payload = event->payload};
    if (entry.payload.size == 0)
        entry.payload = SPAN_EMPTY; /* nil and empty are the same event */
    buffer_reset(&serf->scratch);
    msgpack_write_structure(&serf->scratch, &event_slot_entry_structure, MSGPACK_GOSSIP, &entry);
    if (serf->scratch.failed)
        return false;
    struct atom *atom = intern(serf->swim.pool, buffer_span(&serf->scratch));
    if (!atom)
        return false;
    if (fresh)
        empty_event_slot(serf, slot);
    bool known = false;
    for (uint32_t i = 0; i < slot->count && !known; i++)
        known = slot->events[i] == atom;
    bool room =
        slot->count < RING_IDS_MAX && serf->event_ring_bytes + atom->size <= EVENT_RING_BYTES_MAX;
    if (!known && !room)
        serf_log_limited(serf, LIMITED_LIMIT, LOG_LEVEL_WARN,
                         "serf: Dropping user event '%.*s': %u events of one Lamport time and %zu "
                         "bytes of recent events are remembered, the limits are %u and %u",
                         SPAN_PRINT(event->name), slot->count, serf->event_ring_bytes,
                         (unsigned)RING_IDS_MAX, (unsigned)EVENT_RING_BYTES_MAX);
    struct atom **events =
        known || !room ? NULL : realloc(slot->events, (slot->count + 1) * sizeof *events);
    if (!events) {
        intern_release(serf->swim.pool, atom);
        return false;
    }
    slot->ltime = event->ltime;
    slot->events = events;
    slot->events[slot->count++] = atom;
    serf->event_ring_bytes += atom->size;
    return true;
}

bool handle_user_event(struct serf *serf, const struct user_event_message *event)
{
    if (!ltime_is_sane(serf, "a user event", event->ltime))
        return false;
    clock_witness(&serf->event_clock, event->ltime);
    if (event->ltime < serf->event_min_time)
        return false;
    if (ring_is_past(serf->event_clock, serf->config.event_buffer, event->ltime)) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: received old event %.*s from time %llu (current: %llu)",
                         SPAN_PRINT(event->name), (unsigned long long)event->ltime,
                         (unsigned long long)serf->event_clock);
        return false;
    }
    if (!remember_event(serf, event))
        return false;
    record_event_time(serf, event->ltime);
    serf->metrics.events++;
    name_counts_add(&serf->metrics.events_by_name, event->name);
    if (event_is_held(serf, event))
        event_hold(serf, event);
    else
        event_tell(serf, event);
    return true;
}

void write_event_ring(const struct serf *serf, struct buffer *out)
{
    uint32_t used = 0;
    for (uint32_t i = 0; serf->event_ring && i < serf->config.event_buffer; i++)
        used += serf->event_ring[i].count > 0;
    /* The reference writes all slots, most of them nil; readers take a list of any length. */
    msgpack_write_array(out, used);
    for (uint32_t i = 0; used > 0 && i < serf->config.event_buffer; i++) {
        const struct ring_slot *slot = &serf->event_ring[i];
        if (slot->count == 0)
            continue;
        msgpack_write_map(out, 2);
        msgpack_write_raw_text(out, "Events");
        msgpack_write_array(out, slot->count);
        for (uint32_t k = 0; k < slot->count; k++)
            buffer_append_span(out, atom_span(slot->events[k]));
        msgpack_write_raw_text(out, "LTime");
        msgpack_write_unsigned(out, slot->ltime);
    }
}

/* --- sending --- */

static bool exceeds(size_t size, uint32_t limit, const char *before, struct buffer *error)
{
    if (size <= limit)
        return false;
    buffer_printf(error, before, limit);
    return true;
}

bool serf_user_event(struct serf *serf, uint64_t now, struct span name, struct span payload,
                     bool coalesce, struct buffer *error)
{
    serf->swim.now = now;
    uint32_t limit = serf->config.user_event_size_limit;
    struct user_event_message event = {
        .ltime = serf->event_clock, .name = name, .payload = payload, .coalesce = coalesce};
    struct buffer message;
    if (exceeds(name.size + payload.size, limit,
                "user event exceeds configured limit of %u bytes before encoding", error) ||
        exceeds(name.size + payload.size, USER_EVENT_SIZE_MAX,
                "user event exceeds sane limit of %u bytes before encoding", error))
        return false;
    buffer_init(&message, USER_MESSAGE_MAX);
    serf_message_write(&message, SERF_USER_EVENT, &user_event_structure, &event);
    bool good = !message.failed;
    if (!good)
        buffer_append_text(error, "out of memory");
    good =
        good &&
        !exceeds(message.size, limit,
                 "encoded user event exceeds configured limit of %u bytes after encoding", error) &&
        !exceeds(message.size, USER_EVENT_SIZE_MAX,
                 "encoded user event exceeds reasonable limit of %u bytes after encoding", error);
    if (good) {
        handle_user_event(serf, &event);
        queue_message(serf, &serf->events, buffer_span(&message), false);
    }
    buffer_fini(&message);
    serf_pump(serf);
    return good;
}

void rings_fini(struct serf *serf)
{
    for (uint32_t i = 0; serf->event_ring && i < serf->config.event_buffer; i++)
        empty_event_slot(serf, &serf->event_ring[i]);
    for (uint32_t i = 0; serf->query_ring && i < serf->config.query_buffer; i++)
        free(serf->query_ring[i].ids);
    free(serf->event_ring);
    free(serf->query_ring);
}

/* --- dispatch --- */

static void take_leave(struct serf *serf, struct span message)
{
    struct leave_intent intent;
    if (!message_read(span_from(message, 1), &leave_intent_structure, &intent)) {
        decode_failed(serf, "leave message");
        return;
    }
    serf_log(serf, LOG_LEVEL_DEBUG, "serf: messageLeaveType: %.*s", SPAN_PRINT(intent.node));
    if (handle_leave_intent(serf, &intent))
        queue_message(serf, &serf->intents, message, false);
}

static void take_join(struct serf *serf, struct span message)
{
    struct join_intent intent;
    if (!message_read(span_from(message, 1), &join_intent_structure, &intent)) {
        decode_failed(serf, "join message");
        return;
    }
    serf_log(serf, LOG_LEVEL_DEBUG, "serf: messageJoinType: %.*s", SPAN_PRINT(intent.node));
    if (handle_join_intent(serf, &intent))
        queue_message(serf, &serf->intents, message, false);
}

static void take_user_event(struct serf *serf, struct span message)
{
    struct user_event_message event;
    if (!message_read(span_from(message, 1), &user_event_structure, &event)) {
        decode_failed(serf, "user event message");
        return;
    }
    if (serf->swim.config.log_level <= LOG_LEVEL_DEBUG)
        outbox_log_about(&serf->swim.outbox, LOG_LEVEL_DEBUG,
                         "serf: messageUserEventType: ", event.name);
    if (handle_user_event(serf, &event))
        queue_message(serf, &serf->events, message, false);
}

static void take_query(struct serf *serf, struct span message)
{
    struct query_message query;
    if (!message_read(span_from(message, 1), &query_structure, &query)) {
        decode_failed(serf, "query message");
        return;
    }
    serf_log(serf, LOG_LEVEL_DEBUG, "serf: messageQueryType: %.*s", SPAN_PRINT(query.name));
    if (handle_query(serf, &query))
        queue_message(serf, &serf->queries, message, false);
}

/* A response that is to be handed on to the member that asked. Only responses are: anything else
 * would let a stranger send what he likes from our address. */
static void take_relay(struct serf *serf, struct span message)
{
    struct msgpack_reader reader = msgpack_reader_of(span_from(message, 1));
    struct relay_header header;
    struct relay_address address;
    struct endpoint to;
    if (msgpack_read_structure(&reader, &relay_header_structure, &header) != MSGPACK_OK ||
        !message_read(header.destination, &relay_address_structure, &address) || address.port < 1 ||
        address.port > UINT16_MAX ||
        !endpoint_from_bytes(&to, address.address, (uint16_t)address.port)) {
        decode_failed(serf, "relay header");
        return;
    }
    struct span inner = msgpack_rest(&reader);
    if (inner.size < 2 || inner.data[0] != SERF_QUERY_RESPONSE ||
        inner.size > swim_gossip_limit(&serf->swim))
        return;
    char text[ENDPOINT_TEXT_SIZE];
    serf_log(serf, LOG_LEVEL_DEBUG, "serf: Relaying response to addr: %s",
             endpoint_text(&to, text));
    swim_send_user_message(&serf->swim, &to, inner);
}

static void take_response(struct serf *serf, struct span message)
{
    struct query_response_message response;
    if (!message_read(span_from(message, 1), &query_response_structure, &response)) {
        decode_failed(serf, "query response message");
        return;
    }
    serf_log(serf, LOG_LEVEL_DEBUG, "serf: messageQueryResponseType: %.*s",
             SPAN_PRINT(response.from));
    handle_query_response(serf, &response);
}

void handle_user_message(struct serf *serf, struct span message)
{
    if (message.size == 0)
        return;
    measure(&serf->metrics.messages_received, message.size);
    switch (message.data[0]) {
    case SERF_LEAVE:
        take_leave(serf, message);
        break;
    case SERF_JOIN:
        take_join(serf, message);
        break;
    case SERF_USER_EVENT:
        take_user_event(serf, message);
        break;
    case SERF_QUERY:
        take_query(serf, message);
        break;
    case SERF_QUERY_RESPONSE:
        take_response(serf, message);
        break;
    case SERF_RELAY:
        take_relay(serf, message);
        break;
    default:
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: Received message of unknown type: %u", message.data[0]);
    }
}

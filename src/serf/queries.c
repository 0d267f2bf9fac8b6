/* Queries that others ask (Serf specification, 5.2 to 5.5): passed on, answered with an ack where
 * one is wanted, and handed to the application if their filters select this member. An answer goes
 * straight to whom it concerns, and, where the query says so, also through a few other members. */
#include "serf_internal.h"

#include <stdlib.h>

enum { FILTER_NODE = 0, FILTER_TAG = 1 };

static const char internal_prefix[] = "_serf_";

/* --- filters (Serf specification, 5.3) --- */

static bool node_filter_selects(struct serf *serf, struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct span own = member_name(&serf->swim.table, serf->swim.self), name;
    uint32_t count = 0;
    bool found = false;
    enum msgpack_status status = msgpack_read_array(&reader, &count);
    for (; status == MSGPACK_OK && count > 0; count--) {
        status = msgpack_read_bytes(&reader, &name);
        found = found || (status == MSGPACK_OK && span_equal(name, own));
    }
    if (status == MSGPACK_OK)
        return found;
    serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                     "serf: failed to decode filterNodeType: malformed filter");
    return false;
}

/* The value of one of our own tags; empty when there is none of that name. */
static struct span own_tag(const struct serf *serf, struct span name)
{
    struct tag_reader reader;
    struct span key, value;
    if (tag_reader_open(&reader,
                        identity_meta(member_identity(&serf->swim.table, serf->swim.self))))
        while (tag_reader_next(&reader, &key, &value))
            if (span_equal(key, name))
                return value;
    return SPAN_EMPTY;
}

static bool tag_filter_selects(struct serf *serf, struct span body)
{
    struct tag_filter_message filter;
    struct msgpack_reader reader = msgpack_reader_of(body);
    if (msgpack_read_structure(&reader, &tag_filter_structure, &filter) != MSGPACK_OK) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: failed to decode filterTagType: malformed filter");
        return false;
    }
    if (!serf->config.expression_matches)
        return false;
    struct buffer error;
    buffer_init(&error, 512);
    bool selects =
        serf->config.expression_matches(filter.expression, own_tag(serf, filter.tag), &error);
    if (error.size > 0)
        serf_log_limited(
            serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
            "serf: failed to compile filter regex (%.*s): %s",
            SPAN_PRINT(span_make(filter.expression.data,
                                 filter.expression.size < 256 ? filter.expression.size : 256)),
            buffer_text(&error));
    buffer_fini(&error);
    return selects;
}

static bool filter_selects(struct serf *serf, struct span filter)
{
    if (filter.size == 0)
        return false; /* what kills the reference selects nobody */
    struct span body = span_from(filter, 1);
    switch (filter.data[0]) {
    case FILTER_NODE:
        return node_filter_selects(serf, body);
    case FILTER_TAG:
        return tag_filter_selects(serf, body);
    default:
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: query has unrecognized filter type: %u", filter.data[0]);
        return false;
    }
}

static bool filters_select(struct serf *serf, struct span filters)
{
    struct msgpack_reader reader = msgpack_reader_of(filters);
    uint32_t count = 0;
    if (filters.size == 0)
        return true;
    if (msgpack_read_array(&reader, &count) != MSGPACK_OK)
        return false;
    for (; count > 0; count--) {
        struct span filter;
        if (msgpack_read_bytes(&reader, &filter) != MSGPACK_OK || !filter_selects(serf, filter))
            return false;
    }
    return true;
}

/* --- answering --- */

static bool may_relay(const void *context, uint32_t member)
{
    const struct serf *serf = context;
    const struct member_record *record = member_at(&serf->swim.table, member);
    return record->in_serf && record->status == STATUS_ALIVE && member != serf->swim.self &&
           identity_of(record->identity)->versions[1] >= 5;
}

/* Sends the answer through `factor` other members, too: a copy may come through where the direct
 * one is lost. */
static bool relay_answer(struct serf *serf, const struct open_query *query, struct span answer,
                         struct buffer *error)
{
    if (query->relay_factor == 0 || serf->swim.table.serf_count < query->relay_factor + 1u)
        return true;
    uint8_t address[16];
    memcpy(address, query->origin.address, sizeof address);
    struct relay_address destination = {.address = span_make(address, query->origin.address_size),
                                        .port = query->origin.port};
    struct buffer message, encoded;
    buffer_init(&encoded, 256);
    buffer_init(&message, USER_MESSAGE_MAX);
    msgpack_write_structure(&encoded, &relay_address_structure, MSGPACK_GOSSIP, &destination);
    struct relay_header header = {.destination = buffer_span(&encoded),
                                  .destination_name = atom_span(query->origin_name)};
    serf_message_write(&message, SERF_RELAY, &relay_header_structure, &header);
    buffer_append_span(&message, answer);
    bool good = !message.failed && !encoded.failed;
    if (!good)
        buffer_append_text(error, "out of memory");
    if (good && message.size > serf->config.query_response_size_limit) {
        buffer_printf(error, "relayed response exceeds limit of %u bytes",
                      serf->config.query_response_size_limit);
        good = false;
    }
    if (good) {
        uint32_t helpers[RELAY_FACTOR_MAX];
        uint32_t count = member_table_pick(&serf->swim.table, &serf->swim.random,
                                           query->relay_factor, helpers, may_relay, serf);
        for (uint32_t i = 0; i < count; i++) {
            struct endpoint to = member_endpoint(&serf->swim.table, helpers[i]);
            swim_send_user_message(&serf->swim, &to, buffer_span(&message));
        }
    }
    buffer_fini(&message);
    buffer_fini(&encoded);
    return good;
}

static void send_ack(struct serf *serf, const struct open_query *query)
{
    struct query_response_message ack = {
        .ltime = query->ltime,
        .id = query->query_id,
        .from = member_name(&serf->swim.table, serf->swim.self),
        .flags = QUERY_FLAG_ACK,
    };
    struct buffer message, error;
    buffer_init(&message, USER_MESSAGE_MAX);
    buffer_init(&error, 256);
    serf_message_write(&message, SERF_QUERY_RESPONSE, &query_response_structure, &ack);
    if (message.failed) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                         "serf: failed to send ack: out of memory");
    } else {
        swim_send_user_message(&serf->swim, &query->origin, buffer_span(&message));
        if (!relay_answer(serf, query, buffer_span(&message), &error))
            serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                             "serf: failed to relay ack: %s", buffer_text(&error));
    }
    buffer_fini(&message);
    buffer_fini(&error);
}

bool query_answer_encode(const struct serf *serf, const struct open_query *query,
                         struct span payload, struct buffer *message)
{
    struct query_response_message response = {
        .ltime = query->ltime,
        .id = query->query_id,
        .from = member_name(&serf->swim.table, serf->swim.self),
        .payload = payload,
    };
    buffer_reset(message);
    serf_message_write(message, SERF_QUERY_RESPONSE, &query_response_structure, &response);
    return !message->failed;
}

bool query_answer(struct serf *serf, struct open_query *query, struct span payload,
                  struct buffer *error)
{
    struct buffer message;
    uint32_t limit = serf->config.query_response_size_limit;
    bool good = false;
    buffer_init(&message, USER_MESSAGE_MAX);
    if (!query_answer_encode(serf, query, payload, &message) || message.size > limit) {
        buffer_printf(error, "response exceeds limit of %u bytes", limit);
    } else if (query->answered) {
        buffer_append_text(error, "response already sent");
    } else if (serf->swim.now > query->timer.deadline) {
        buffer_append_text(error, "response is past the deadline");
    } else {
        swim_send_user_message(&serf->swim, &query->origin, buffer_span(&message));
        good = relay_answer(serf, query, buffer_span(&message), error);
        query->answered = good;
    }
    buffer_fini(&message);
    return good;
}

bool serf_respond(struct serf *serf, uint64_t now, uint32_t query, struct span payload,
                  struct buffer *error)
{
    serf->swim.now = now;
    struct open_query *open = number_map_find(&serf->open_queries, query);
    struct buffer reason;
    buffer_init(&reason, 256);
    bool good = open && query_answer(serf, open, payload, &reason);
    if (!open)
        buffer_append_text(&reason, "response is past the deadline");
    if (!good) /* the reference's words, whatever the query was about */
        buffer_printf(error, "failed to respond to key query: %s", buffer_text(&reason));
    buffer_fini(&reason);
    serf_pump(serf);
    return good;
}

/* --- queries that may be answered --- */

static void free_query(struct serf *serf, struct open_query *query)
{
    timer_cancel(&serf->swim.timers, &query->timer);
    number_map_remove(&serf->open_queries, query->id);
    intern_release(serf->swim.pool, query->origin_name);
    free(query);
}

void query_timer(struct serf *serf, struct timer *timer)
{
    free_query(serf, (struct open_query *)(void *)timer);
}

void queries_fini(struct serf *serf)
{
    uint32_t position = 0;
    struct open_query *query;
    while ((query = number_map_next(&serf->open_queries, &position))) {
        intern_release(serf->swim.pool, query->origin_name);
        free(query);
    }
    number_map_fini(&serf->open_queries);
}

static struct open_query *open_query(struct serf *serf, const struct query_message *message,
                                     const struct endpoint *origin)
{
    if (serf->open_queries.count >= OPEN_QUERIES_MAX) {
        serf_log_limited(serf, LIMITED_LIMIT, LOG_LEVEL_WARN,
                         "serf: Not answering query '%.*s': %u queries are being answered, the "
                         "limit",
                         SPAN_PRINT(message->name), serf->open_queries.count);
        return NULL;
    }
    struct open_query *query = calloc(1, sizeof *query);
    struct atom *name = intern(serf->swim.pool, message->source_node);
    do
        serf->last_query++;
    while (serf->last_query == 0 || number_map_find(&serf->open_queries, serf->last_query));
    if (!query || !name || !timer_heap_reserve(&serf->swim.timers, 1) ||
        !number_map_insert(&serf->open_queries, serf->last_query, query)) {
        intern_release(serf->swim.pool, name);
        free(query);
        return NULL;
    }
    uint64_t timeout = message->timeout_ns > 0 ? (uint64_t)message->timeout_ns : 0;
    if (timeout > QUERY_TIMEOUT_MAX)
        timeout = QUERY_TIMEOUT_MAX;
    query->timer.kind = TIMER_OPEN_QUERY;
    query->id = serf->last_query;
    query->ltime = message->ltime;
    query->query_id = message->id;
    query->origin = *origin;
    query->origin_name = name;
    query->relay_factor = message->relay_factor;
    timer_set(&serf->swim.timers, &query->timer, serf->swim.now + timeout);
    return query;
}

static void deliver(struct serf *serf, const struct query_message *message,
                    const struct open_query *query)
{
    struct outbox *outbox = &serf->swim.outbox;
    struct effect *effect = outbox_add(outbox, EFFECT_QUERY);
    if (!effect)
        return;
    effect->query.query = query->id;
    effect->query.ltime = message->ltime;
    effect->query.deadline = query->timer.deadline;
    outbox_copy(outbox, &effect->query.name, message->name);
    outbox_copy(outbox, &effect->query.payload, message->payload);
    outbox_copy(outbox, &effect->query.source, message->source_node);
}

/* Who asked, when the message says it in a form that can be answered. */
static bool read_origin(const struct query_message *message, struct endpoint *origin)
{
    return message->port != 0 && endpoint_from_bytes(origin, message->address, message->port);
}

static void take_up(struct serf *serf, const struct query_message *message)
{
    struct endpoint origin;
    if (!filters_select(serf, message->filters) || !read_origin(message, &origin))
        return;
    struct open_query *query = open_query(serf, message, &origin);
    if (!query)
        return;
    if (message->flags & QUERY_FLAG_ACK)
        send_ack(serf, query);
    size_t prefix = sizeof internal_prefix - 1;
    if (message->name.size >= prefix && memcmp(message->name.data, internal_prefix, prefix) == 0)
        internal_query(serf, query, span_from(message->name, prefix), message->payload);
    else
        deliver(serf, message, query);
}

/* --- receiving --- */

/* Remembers that the query was seen. False when it was before, or can't be remembered. */
static bool remember_query(struct serf *serf, const struct query_message *query)
{
    bool fresh;
    struct ring_slot *slot =
        ring_slot_for(&serf->query_ring, serf->config.query_buffer, query->ltime, &fresh);
    if (!slot)
        return false;
    if (fresh) {
        free(slot->ids);
        *slot = (struct ring_slot){0};
    }
    for (uint32_t i = 0; i < slot->count; i++)
        if (slot->ids[i] == query->id)
            return false;
    if (slot->count >= RING_IDS_MAX) {
        serf_log_limited(serf, LIMITED_LIMIT, LOG_LEVEL_WARN,
                         "serf: Dropping query '%.*s': %u queries of one Lamport time are "
                         "remembered, the limit",
                         SPAN_PRINT(query->name), slot->count);
        return false;
    }
    uint32_t *ids = realloc(slot->ids, (slot->count + 1) * sizeof *ids);
    if (!ids)
        return false;
    slot->ltime = query->ltime;
    slot->ids = ids;
    slot->ids[slot->count++] = query->id;
    return true;
}

bool handle_query(struct serf *serf, const struct query_message *query)
{
    if (!ltime_is_sane(serf, "a query", query->ltime))
        return false;
    clock_witness(&serf->query_clock, query->ltime);
    if (query->ltime < serf->query_min_time)
        return false;
    if (ring_is_past(serf->query_clock, serf->config.query_buffer, query->ltime)) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: received old query %.*s from time %llu (current: %llu)",
                         SPAN_PRINT(query->name), (unsigned long long)query->ltime,
                         (unsigned long long)serf->query_clock);
        return false;
    }
    if (!remember_query(serf, query))
        return false;
    record_query_time(serf, query->ltime);
    serf->metrics.queries++;
    name_counts_add(&serf->metrics.queries_by_name, query->name);
    take_up(serf, query);
    return !(query->flags & QUERY_FLAG_NO_BROADCAST);
}

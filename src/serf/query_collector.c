/* Queries of our own: asking, and gathering the answers until the time is up (Serf specification,
 * 5.1 and 5.4). The application asks some; the vote on a name and the commands about keys are
 * others. Each sender counts once, however many copies relays bring. */
#include "serf_internal.h"

#include "logarithm.h"

#include <stdlib.h>

enum { TIMEOUT_MULT = 16, SENDERS_SLACK = 16 };

/* --- who has answered --- */

static uint64_t sender_hash(const void *table, uint32_t item)
{
    const struct sender_set *set = table;
    return set->names[item]->hash;
}

static bool sender_is(const void *table, uint32_t item, const void *name)
{
    const struct sender_set *set = table;
    return set->names[item] == name;
}

static void sender_set_init(struct sender_set *set)
{
    hash_index_init(&set->index, set, sender_hash, sender_is);
}

static void sender_set_fini(struct serf *serf, struct sender_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        intern_release(serf->swim.pool, set->names[i]);
    free(set->names);
    hash_index_fini(&set->index);
}

enum sender_verdict { SENDER_NEW, SENDER_KNOWN, SENDER_REFUSED };

static enum sender_verdict sender_set_add(struct serf *serf, struct sender_set *set,
                                          struct span name, uint32_t maximum)
{
    struct atom *atom = intern(serf->swim.pool, name);
    if (!atom)
        return SENDER_REFUSED;
    enum sender_verdict verdict = SENDER_KNOWN;
    if (hash_index_find(&set->index, atom->hash, atom) == HASH_INDEX_NONE) {
        struct atom **names = NULL;
        if (set->count < maximum && hash_index_reserve(&set->index))
            names = realloc(set->names, (set->count + 1) * sizeof *names);
        verdict = names ? SENDER_NEW : SENDER_REFUSED;
        if (names) {
            set->names = names;
            set->names[set->count] = intern_retain(atom);
            hash_index_insert(&set->index, atom->hash, set->count++);
        }
    }
    intern_release(serf->swim.pool, atom);
    return verdict;
}

/* --- asking --- */

static uint32_t live_count(const struct serf *serf)
{
    const struct member_table *table = &serf->swim.table;
    return table->state_count[NODE_ALIVE] + table->state_count[NODE_SUSPECT];
}

uint64_t serf_query_timeout(const struct serf *serf)
{
    return serf->config.swim.gossip_interval * TIMEOUT_MULT *
           log10_ceiling((uint64_t)live_count(serf) + 1);
}

static void write_filter(struct buffer *filters, struct buffer *one)
{
    msgpack_write_raw(filters, buffer_span(one));
    buffer_reset(one);
}

/* One filter for all nodes, then one for each tag; nil when there is none. */
static void write_filters(const struct serf_query_parameters *parameters, struct buffer *filters)
{
    struct buffer one;
    buffer_init(&one, USER_MESSAGE_MAX);
    if (parameters->node_count + parameters->tag_count == 0) {
        msgpack_write_nil(filters);
        return;
    }
    msgpack_write_array(filters, (uint32_t)(parameters->tag_count + (parameters->node_count > 0)));
    if (parameters->node_count > 0) {
        buffer_append_u8(&one, 0);
        msgpack_write_array(&one, (uint32_t)parameters->node_count);
        for (size_t i = 0; i < parameters->node_count; i++)
            msgpack_write_raw(&one, parameters->nodes[i]);
        write_filter(filters, &one);
    }
    for (size_t i = 0; i < parameters->tag_count; i++) {
        struct tag_filter_message filter = {.expression = parameters->tags[i].value,
                                            .tag = parameters->tags[i].key};
        buffer_append_u8(&one, 1);
        msgpack_write_structure(&one, &tag_filter_structure, MSGPACK_GOSSIP, &filter);
        write_filter(filters, &one);
    }
    filters->failed = filters->failed || one.failed;
    buffer_fini(&one);
}

static struct collector *new_collector(struct serf *serf, enum query_purpose purpose)
{
    struct collector *collector =
        serf->collectors.count < COLLECTORS_MAX ? calloc(1, sizeof *collector) : NULL;
    if (!collector)
        return NULL;
    do
        serf->last_collector++;
    while (serf->last_collector == 0 || number_map_find(&serf->collectors, serf->last_collector));
    if (!timer_heap_reserve(&serf->swim.timers, 1) ||
        !number_map_insert(&serf->collectors, serf->last_collector, collector)) {
        free(collector);
        return NULL;
    }
    collector->timer.kind = TIMER_COLLECTOR;
    collector->id = serf->last_collector;
    collector->purpose = purpose;
    collector->senders_max = live_count(serf) + SENDERS_SLACK;
    sender_set_init(&collector->acked);
    sender_set_init(&collector->answered);
    return collector;
}

static void free_collector(struct serf *serf, struct collector *collector)
{
    timer_cancel(&serf->swim.timers, &collector->timer);
    number_map_remove(&serf->collectors, collector->id);
    sender_set_fini(serf, &collector->acked);
    sender_set_fini(serf, &collector->answered);
    free(collector);
}

void collectors_fini(struct serf *serf)
{
    uint32_t position = 0;
    struct collector *collector;
    while ((collector = number_map_next(&serf->collectors, &position))) {
        sender_set_fini(serf, &collector->acked);
        sender_set_fini(serf, &collector->answered);
        free(collector);
    }
    number_map_fini(&serf->collectors);
}

struct collector *query_ask(struct serf *serf, enum query_purpose purpose,
                            const struct serf_query_parameters *parameters, struct buffer *error)
{
    struct endpoint own = member_endpoint(&serf->swim.table, serf->swim.self);
    struct buffer filters, message;
    struct collector *collector = NULL;
    buffer_init(&filters, USER_MESSAGE_MAX);
    buffer_init(&message, USER_MESSAGE_MAX);
    write_filters(parameters, &filters);
    uint64_t timeout = parameters->timeout ? parameters->timeout : serf_query_timeout(serf);
    struct query_message query = {
        .ltime = serf->query_clock,
        .id = random_u32(&serf->swim.random) >> 1,
        .address = span_make(own.address, own.address_size),
        .port = own.port,
        .source_node = member_name(&serf->swim.table, serf->swim.self),
        .filters = buffer_span(&filters),
        .flags = parameters->acknowledge ? QUERY_FLAG_ACK : 0,
        .relay_factor = parameters->relay_factor,
        .timeout_ns = (int64_t)(timeout < QUERY_TIMEOUT_MAX ? timeout : QUERY_TIMEOUT_MAX),
        .name = parameters->name,
        .payload = parameters->payload,
    };
    serf_message_write(&message, SERF_QUERY, &query_structure, &query);
    if (serf->config.protocol_version < 4)
        buffer_append_text(error, "Feature not supported");
    else if (filters.failed || message.failed)
        buffer_append_text(error, "out of memory");
    else if (message.size > serf->config.query_size_limit)
        buffer_printf(error, "query exceeds limit of %u bytes", serf->config.query_size_limit);
    else if (!(collector = new_collector(serf, purpose)))
        buffer_printf(error, "%u queries are in progress: no more at once",
                      (unsigned)COLLECTORS_MAX);
    if (collector) {
        collector->ltime = query.ltime;
        collector->query_id = query.id;
        collector->acks_wanted = parameters->acknowledge;
        timer_set(&serf->swim.timers, &collector->timer,
                  serf->swim.now + (uint64_t)query.timeout_ns);
        handle_query(serf, &query);
        queue_message(serf, &serf->queries, buffer_span(&message), false);
    }
    buffer_fini(&filters);
    buffer_fini(&message);
    return collector;
}

uint32_t serf_query(struct serf *serf, uint64_t now, const struct serf_query_parameters *parameters,
                    struct buffer *error)
{
    serf->swim.now = now;
    struct collector *collector = query_ask(serf, QUERY_OF_APPLICATION, parameters, error);
    uint32_t id = collector ? collector->id : 0;
    serf_pump(serf);
    return id;
}

void serf_query_cancel(struct serf *serf, uint32_t query)
{
    struct collector *collector = number_map_find(&serf->collectors, query);
    if (collector && collector->purpose == QUERY_OF_APPLICATION)
        free_collector(serf, collector);
}

/* --- the end --- */

static void end_collector(struct serf *serf, struct collector *collector)
{
    struct effect *effect;
    switch (collector->purpose) {
    case QUERY_OF_APPLICATION:
        effect = outbox_add(&serf->swim.outbox, EFFECT_QUERY_DONE);
        if (effect)
            effect->answer.query = collector->id;
        break;
    case QUERY_OF_CONFLICT:
        name_vote_ended(serf);
        break;
    case QUERY_OF_KEYS:
        key_query_ended(serf, collector->id);
        break;
    }
    free_collector(serf, collector);
}

void collector_timer(struct serf *serf, struct timer *timer)
{
    end_collector(serf, (struct collector *)(void *)timer);
}

void query_end_now(struct serf *serf, uint32_t query)
{
    struct collector *collector = number_map_find(&serf->collectors, query);
    if (collector)
        timer_set(&serf->swim.timers, &collector->timer, serf->swim.now);
}

/* --- answers --- */

static struct collector *find_collector(struct serf *serf, uint64_t ltime)
{
    uint32_t position = 0;
    struct collector *collector;
    while ((collector = number_map_next(&serf->collectors, &position)))
        if (collector->ltime == ltime)
            return collector;
    return NULL;
}

static void tell_answer(struct serf *serf, enum effect_kind kind, const struct collector *collector,
                        const struct query_response_message *response)
{
    struct effect *effect = outbox_add(&serf->swim.outbox, kind);
    if (!effect)
        return;
    effect->answer.query = collector->id;
    outbox_copy(&serf->swim.outbox, &effect->answer.from, response->from);
    outbox_copy(&serf->swim.outbox, &effect->answer.payload, response->payload);
}

static void take_ack(struct serf *serf, struct collector *collector,
                     const struct query_response_message *response)
{
    enum sender_verdict verdict = SENDER_REFUSED;
    if (collector->acks_wanted)
        verdict = sender_set_add(serf, &collector->acked, response->from, collector->senders_max);
    serf->metrics.query_acks += verdict == SENDER_NEW;
    serf->metrics.query_duplicate_acks += verdict == SENDER_KNOWN;
    if (verdict == SENDER_NEW && collector->purpose == QUERY_OF_APPLICATION)
        tell_answer(serf, EFFECT_QUERY_ACK, collector, response);
    else if (verdict == SENDER_REFUSED)
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: Failed to deliver query ack, dropping");
}

static void take_answer(struct serf *serf, struct collector *collector,
                        const struct query_response_message *response)
{
    switch (sender_set_add(serf, &collector->answered, response->from, collector->senders_max)) {
    case SENDER_KNOWN:
        serf->metrics.query_duplicate_responses++;
        return;
    case SENDER_REFUSED:
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: Failed to deliver query response, dropping");
        return;
    case SENDER_NEW:
        serf->metrics.query_responses++;
        break;
    }
    switch (collector->purpose) {
    case QUERY_OF_APPLICATION:
        tell_answer(serf, EFFECT_QUERY_RESPONSE, collector, response);
        break;
    case QUERY_OF_CONFLICT:
        name_vote_take(serf, response->payload);
        break;
    case QUERY_OF_KEYS:
        key_query_take(serf, collector->id, response->from, response->payload);
        break;
    }
}

void handle_query_response(struct serf *serf, const struct query_response_message *response)
{
    struct collector *collector = find_collector(serf, response->ltime);
    if (!collector)
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: reply for non-running query (LTime: %llu, ID: %u) From: %.*s",
                         (unsigned long long)response->ltime, response->id,
                         SPAN_PRINT(response->from));
    else if (collector->query_id != response->id)
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: query reply ID mismatch (Local: %u, Response: %u)",
                         collector->query_id, response->id);
    else if (response->flags & QUERY_FLAG_ACK)
        take_ack(serf, collector, response);
    else
        take_answer(serf, collector, response);
}

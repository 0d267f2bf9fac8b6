/* The Serf layer's part of a push/pull (Serf specification, section 9): clocks, the Lamport time of
 * everybody's last intent, who left, and recent user events. Nothing that is learned here is
 * broadcast again: the other side has told everybody already. */
#include "serf_internal.h"

#include <stdlib.h>

static bool writable(const struct member_record *record)
{
    return record->identity && record->in_serf;
}

/* The time of whoever is on its way out is that of a leave intent, and would be read as a join's:
 * who then hears the intent itself has heard "newer" already, and never believes it. */
static bool has_joined_last(const struct member_record *record)
{
    return writable(record) && record->status != STATUS_LEAVING;
}

void write_local_state(void *context, bool join, struct buffer *out)
{
    const struct serf *serf = context;
    const struct member_table *table = &serf->swim.table;
    (void)join;
    buffer_append_u8(out, SERF_PUSH_PULL);
    msgpack_write_map(out, 6);
    msgpack_write_raw_text(out, "EventLTime");
    msgpack_write_unsigned(out, serf->event_clock);
    msgpack_write_raw_text(out, "Events");
    write_event_ring(serf, out);
    msgpack_write_raw_text(out, "LTime");
    msgpack_write_unsigned(out, serf->clock);
    msgpack_write_raw_text(out, "LeftMembers");
    msgpack_write_array(out, table->status_count[STATUS_LEFT]);
    for (uint32_t member = 0; member < table->slot_count; member++)
        if (writable(member_at(table, member)) && member_at(table, member)->status == STATUS_LEFT)
            msgpack_write_raw(out, member_name(table, member));
    msgpack_write_raw_text(out, "QueryLTime");
    msgpack_write_unsigned(out, serf->query_clock);
    msgpack_write_raw_text(out, "StatusLTimes");
    msgpack_write_map(out, table->serf_count - table->status_count[STATUS_LEAVING]);
    for (uint32_t member = 0; member < table->slot_count; member++)
        if (has_joined_last(member_at(table, member))) {
            msgpack_write_raw(out, member_name(table, member));
            msgpack_write_unsigned(out, member_at(table, member)->status_ltime);
        }
}

/* --- the names of those that left, with their times --- */

struct departed {
    struct siphash_key key;
    struct span *names; /* borrowed from the state */
    uint64_t *ltimes;
    uint32_t count, capacity;
    struct hash_index index;
};

static uint64_t departed_hash(const void *context, uint32_t item)
{
    const struct departed *departed = context;
    return siphash(&departed->key, departed->names[item]);
}

static bool departed_has_name(const void *context, uint32_t item, const void *name)
{
    const struct departed *departed = context;
    return span_equal(departed->names[item], *(const struct span *)name);
}

static uint32_t departed_find(const struct departed *departed, struct span name)
{
    return hash_index_find(&departed->index, siphash(&departed->key, name), &name);
}

static bool departed_add(struct departed *departed, struct span name)
{
    if (departed_find(departed, name) != HASH_INDEX_NONE)
        return true;
    if (departed->count == departed->capacity) {
        uint32_t capacity = departed->capacity ? departed->capacity * 2 : 16;
        struct span *names = realloc(departed->names, capacity * sizeof *names);
        if (names)
            departed->names = names;
        uint64_t *ltimes = names ? realloc(departed->ltimes, capacity * sizeof *ltimes) : NULL;
        if (!ltimes)
            return false;
        departed->ltimes = ltimes;
        departed->capacity = capacity;
    }
    if (!hash_index_reserve(&departed->index))
        return false;
    departed->names[departed->count] = name;
    departed->ltimes[departed->count] = 0;
    hash_index_insert(&departed->index, siphash(&departed->key, name), departed->count);
    departed->count++;
    return true;
}

static void departed_fini(struct departed *departed)
{
    hash_index_fini(&departed->index);
    free(departed->names);
    free(departed->ltimes);
}

static bool read_departed(struct departed *departed, struct span encoded)
{
    struct msgpack_reader reader = msgpack_reader_of(encoded);
    uint32_t count = 0;
    if (encoded.size == 0)
        return true;
    if (msgpack_read_array(&reader, &count) != MSGPACK_OK)
        return false;
    for (; count > 0; count--) {
        struct span name;
        if (msgpack_read_bytes(&reader, &name) != MSGPACK_OK || !departed_add(departed, name))
            return false;
    }
    return true;
}

/* --- merging --- */

/* A later intent about us than any of ours: an earlier life's, or one to leave that others put out
 * and a member of the reference tells as if it were a join's. Should that reach us yet, it would
 * seem old, and never be refuted. */
static void answer_for_ourselves(struct serf *serf, struct span name)
{
    if (serf->state == SERF_ALIVE &&
        span_equal(name, member_name(&serf->swim.table, serf->swim.self)))
        broadcast_join_intent(serf);
}

/* Visits the StatusLTimes: first to learn the times of those that left, then for the others. */
static bool visit_ltimes(struct serf *serf, struct span encoded, struct departed *departed,
                         bool for_others)
{
    struct msgpack_reader reader = msgpack_reader_of(encoded);
    uint32_t count = 0;
    if (encoded.size == 0)
        return true;
    if (msgpack_read_map(&reader, &count) != MSGPACK_OK)
        return false;
    for (; count > 0; count--) {
        struct join_intent join = {0};
        if (msgpack_read_bytes(&reader, &join.node) != MSGPACK_OK ||
            msgpack_read_unsigned(&reader, UINT64_MAX, &join.ltime) != MSGPACK_OK)
            return false;
        uint32_t item = departed->count ? departed_find(departed, join.node) : HASH_INDEX_NONE;
        if (for_others && item == HASH_INDEX_NONE) {
            if (handle_join_intent(serf, &join))
                answer_for_ourselves(serf, join.node);
        } else if (!for_others && item != HASH_INDEX_NONE) {
            departed->ltimes[item] = join.ltime;
        }
    }
    return true;
}

/* With serf NULL the slot is only read. */
static bool merge_event_slot(struct serf *serf, struct span encoded)
{
    struct event_slot_message slot;
    struct msgpack_reader reader = msgpack_reader_of(encoded);
    uint32_t count = 0;
    if (msgpack_read_structure(&reader, &event_slot_structure, &slot) != MSGPACK_OK)
        return false;
    reader = msgpack_reader_of(slot.events);
    if (slot.events.size > 0 && msgpack_read_array(&reader, &count) != MSGPACK_OK)
        return false;
    for (; count > 0; count--) {
        struct event_slot_entry entry;
        if (msgpack_read_structure(&reader, &event_slot_entry_structure, &entry) != MSGPACK_OK)
            return false;
        struct user_event_message event = {
            .ltime = slot.ltime, .name = entry.name, .payload = entry.payload};
        if (serf)
            handle_user_event(serf, &event);
    }
    return true;
}

/* With serf NULL the events are only read. */
static bool merge_events(struct serf *serf, struct span encoded)
{
    struct msgpack_reader reader = msgpack_reader_of(encoded);
    uint32_t count = 0;
    if (encoded.size == 0)
        return true;
    if (msgpack_read_array(&reader, &count) != MSGPACK_OK)
        return false;
    for (; count > 0; count--) {
        size_t start = reader.offset;
        if (msgpack_skip(&reader) != MSGPACK_OK)
            return false;
        struct span slot = span_make(encoded.data + start, reader.offset - start);
        bool nil = slot.size == 1 && slot.data[0] == 0xc0;
        if (!nil && !merge_event_slot(serf, slot))
            return false;
    }
    return true;
}

/* We hear that somebody left who is alive for all we know: a stale list, or one that is ahead of
 * the news. Nothing else that is learned here is broadcast, but without this nobody would ever tell
 * the member itself, who would refute it, and we would hold it leaving for good. */
static void tell_the_living(struct serf *serf, const struct leave_intent *leave)
{
    uint32_t member = member_table_find(&serf->swim.table, leave->node);
    if (member == MEMBER_NONE || member == serf->swim.self ||
        !member_at(&serf->swim.table, member)->in_swim ||
        member_at(&serf->swim.table, member)->state != NODE_ALIVE)
        return;
    struct buffer message;
    buffer_init(&message, 1024);
    serf_message_write(&message, SERF_LEAVE, &leave_intent_structure, leave);
    queue_message(serf, &serf->intents, buffer_span(&message), false);
    buffer_fini(&message);
}

static bool merge_members(struct serf *serf, const struct serf_push_pull *state)
{
    struct departed departed = {.key = serf->swim.pool->key};
    hash_index_init(&departed.index, &departed, departed_hash, departed_has_name);
    bool complete =
        read_departed(&departed, state->left_members) &&
        (departed.count == 0 || visit_ltimes(serf, state->status_ltimes, &departed, false));
    for (uint32_t i = 0; complete && i < departed.count; i++) {
        /* One more than the recorded time, so that a join of the same time does not hide it. */
        struct leave_intent leave = {
            .node = departed.names[i],
            .ltime = departed.ltimes[i] == UINT64_MAX ? UINT64_MAX : departed.ltimes[i] + 1};
        if (handle_leave_intent(serf, &leave))
            tell_the_living(serf, &leave);
    }
    complete = complete && visit_ltimes(serf, state->status_ltimes, &departed, true);
    departed_fini(&departed);
    return complete;
}

/* Reads all of it once before anything is changed: a state that is broken in the middle must not
 * have been half believed. */
static bool state_is_well_formed(const struct serf_push_pull *state)
{
    struct msgpack_reader reader = msgpack_reader_of(state->left_members);
    struct span name;
    uint64_t ltime;
    uint32_t count = 0;
    if (state->left_members.size > 0 && msgpack_read_array(&reader, &count) != MSGPACK_OK)
        return false;
    for (; count > 0; count--)
        if (msgpack_read_bytes(&reader, &name) != MSGPACK_OK)
            return false;
    reader = msgpack_reader_of(state->status_ltimes);
    if (state->status_ltimes.size > 0 && msgpack_read_map(&reader, &count) != MSGPACK_OK)
        return false;
    for (; count > 0; count--)
        if (msgpack_read_bytes(&reader, &name) != MSGPACK_OK ||
            msgpack_read_unsigned(&reader, UINT64_MAX, &ltime) != MSGPACK_OK)
            return false;
    return merge_events(NULL, state->events);
}

static void state_malformed(struct serf *serf)
{
    serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                     "serf: Failed to decode remote state: malformed state");
}

void merge_remote_state(struct serf *serf, struct span bytes, bool join)
{
    if (bytes.size == 0)
        return;
    if (bytes.data[0] != SERF_PUSH_PULL) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                         "serf: Remote state has bad type prefix: %u", bytes.data[0]);
        return;
    }
    struct serf_push_pull state;
    if (!message_read(span_from(bytes, 1), &serf_push_pull_structure, &state) ||
        !state_is_well_formed(&state)) {
        state_malformed(serf);
        return;
    }
    if (!ltime_is_sane(serf, "a state", state.ltime) ||
        !ltime_is_sane(serf, "a state", state.event_ltime) ||
        !ltime_is_sane(serf, "a state", state.query_ltime))
        return;
    /* The times in a state are the next ones that are unused. */
    if (state.ltime > 0)
        clock_witness(&serf->clock, state.ltime - 1);
    if (state.event_ltime > 0)
        clock_witness(&serf->event_clock, state.event_ltime - 1);
    if (state.query_ltime > 0)
        clock_witness(&serf->query_clock, state.query_ltime - 1);
    bool complete = merge_members(serf, &state);
    if (join && joins_ignore_old(serf) && state.event_ltime > serf->event_min_time) {
        serf->event_min_time = state.event_ltime;
        /* What is not wanted now is not wanted after a restart either. */
        record_event_time(serf, state.event_ltime - 1);
    }
    if (!merge_events(serf, state.events) || !complete)
        state_malformed(serf);
}

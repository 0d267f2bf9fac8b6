/* Join and leave intents (Serf specification, 3.2 and 3.3): what a member says it does, which makes
 * the difference between a member that left and one that failed. Gossip brings them in any order
 * and more than once; the Lamport time of the last one accepted decides. */
#include "serf_internal.h"

#include <stdlib.h>

static uint64_t intent_hash(const void *context, uint32_t place)
{
    const struct serf *serf = context;
    return serf->recent.places[place].name->hash;
}

static bool intent_has_name(const void *context, uint32_t place, const void *name)
{
    const struct serf *serf = context;
    return serf->recent.places[place].name == name;
}

void intents_init(struct serf *serf)
{
    serf->recent.free = HASH_INDEX_NONE;
    hash_index_init(&serf->recent.index, serf, intent_hash, intent_has_name);
}

void intents_fini(struct serf *serf)
{
    for (uint32_t i = 0; i < serf->recent.used; i++)
        intern_release(serf->swim.pool, serf->recent.places[i].name);
    free(serf->recent.places);
    hash_index_fini(&serf->recent.index);
}

/* --- intents about members that are not known yet --- */

static uint32_t free_place(struct serf *serf)
{
    if (serf->recent.free != HASH_INDEX_NONE) {
        uint32_t place = serf->recent.free;
        serf->recent.free = serf->recent.places[place].next_free;
        return place;
    }
    if (serf->recent.used == serf->recent.capacity) {
        uint32_t capacity = serf->recent.capacity ? serf->recent.capacity * 2 : 8;
        struct intent *places = realloc(serf->recent.places, capacity * sizeof *places);
        if (!places)
            return HASH_INDEX_NONE;
        serf->recent.places = places;
        serf->recent.capacity = capacity;
    }
    return serf->recent.used++;
}

static bool remember(struct serf *serf, struct atom *name, uint64_t ltime, bool leave)
{
    if (serf->recent.count >= RECENT_INTENTS_MAX) {
        serf_log_limited(serf, LIMITED_LIMIT, LOG_LEVEL_WARN,
                         "serf: Dropping an intent about '%.*s', who is not known: %u such names "
                         "are remembered, the limit",
                         SPAN_PRINT(atom_span(name)), serf->recent.count);
        return false;
    }
    if (!hash_index_reserve(&serf->recent.index))
        return false;
    uint32_t place = free_place(serf);
    if (place == HASH_INDEX_NONE)
        return false;
    serf->recent.places[place] = (struct intent){
        .name = intern_retain(name), .ltime = ltime, .received = serf->swim.now, .leave = leave};
    hash_index_insert(&serf->recent.index, name->hash, place);
    serf->recent.count++;
    return true;
}

/* Keeps the newest intent about a name. True when it is news. */
static bool buffer_intent(struct serf *serf, struct span name, uint64_t ltime, bool leave)
{
    if (name.size < 1 || name.size > MEMBER_NAME_SIZE_MAX)
        return false;
    struct atom *atom = intern(serf->swim.pool, name);
    if (!atom)
        return false;
    bool news = false;
    uint32_t place = hash_index_find(&serf->recent.index, atom->hash, atom);
    if (place == HASH_INDEX_NONE) {
        news = remember(serf, atom, ltime, leave);
    } else if (ltime > serf->recent.places[place].ltime) {
        serf->recent.places[place].ltime = ltime;
        serf->recent.places[place].received = serf->swim.now;
        serf->recent.places[place].leave = leave;
        news = true;
    }
    intern_release(serf->swim.pool, atom);
    return news;
}

void intents_apply(struct serf *serf, uint32_t member)
{
    struct atom *name = intern(serf->swim.pool, member_name(&serf->swim.table, member));
    if (!name)
        return;
    uint32_t place = hash_index_find(&serf->recent.index, name->hash, name);
    if (place != HASH_INDEX_NONE) {
        const struct intent *intent = &serf->recent.places[place];
        member_at(&serf->swim.table, member)->status_ltime = intent->ltime;
        if (intent->leave)
            member_set_status(&serf->swim.table, member, STATUS_LEAVING);
    }
    intern_release(serf->swim.pool, name);
}

void intents_expire(struct serf *serf)
{
    for (uint32_t place = 0; place < serf->recent.used; place++) {
        struct intent *intent = &serf->recent.places[place];
        if (!intent->name ||
            serf->swim.now - intent->received <= serf->config.recent_intent_timeout)
            continue;
        hash_index_remove(&serf->recent.index, intent->name->hash, place);
        intern_release(serf->swim.pool, intent->name);
        *intent = (struct intent){.next_free = serf->recent.free};
        serf->recent.free = place;
        serf->recent.count--;
    }
}

/* --- intents about members that are known --- */

static uint32_t find_member(const struct serf *serf, struct span name)
{
    uint32_t member = member_table_find(&serf->swim.table, name);
    return member != MEMBER_NONE && member_at(&serf->swim.table, member)->in_serf ? member
                                                                                  : MEMBER_NONE;
}

static void send_join_intent(struct serf *serf, uint64_t ltime)
{
    struct join_intent join = {.ltime = ltime,
                               .node = member_name(&serf->swim.table, serf->swim.self)};
    handle_join_intent(serf, &join);
    buffer_reset(&serf->scratch);
    serf_message_write(&serf->scratch, SERF_JOIN, &join_intent_structure, &join);
    queue_message(serf, &serf->intents, buffer_span(&serf->scratch), false);
}

void broadcast_join_intent(struct serf *serf)
{
    /* It would end the leave of a former life, whose goodbye would then look like a failure. Our
     * word follows when we have moved. */
    if (swim_is_moving(&serf->swim))
        return;
    uint64_t time = serf->clock;
    clock_witness(&serf->clock, time);
    send_join_intent(serf, time);
}

void tell_leave_of_former_life(struct serf *serf)
{
    struct leave_intent leave = {.ltime = serf->clock,
                                 .node = member_name(&serf->swim.table, serf->swim.self)};
    if (serf->state != SERF_ALIVE)
        return;
    serf->clock++;
    /* It is about ourselves, and not to be refuted when it comes back. */
    member_at(&serf->swim.table, serf->swim.self)->status_ltime = leave.ltime;
    buffer_reset(&serf->scratch);
    serf_message_write(&serf->scratch, SERF_LEAVE, &leave_intent_structure, &leave);
    swim_tell_all(&serf->swim, buffer_span(&serf->scratch));
}

bool handle_join_intent(struct serf *serf, const struct join_intent *intent)
{
    if (!ltime_is_sane(serf, "a join intent", intent->ltime))
        return false;
    clock_witness(&serf->clock, intent->ltime);
    uint32_t member = find_member(serf, intent->node);
    if (member == MEMBER_NONE)
        return buffer_intent(serf, intent->node, intent->ltime, false);
    struct member_record *record = member_at(&serf->swim.table, member);
    if (intent->ltime <= record->status_ltime)
        return false;
    record->status_ltime = intent->ltime;
    if (record->status == STATUS_LEAVING)
        member_set_status(&serf->swim.table, member, STATUS_ALIVE);
    return true;
}

bool handle_leave_intent(struct serf *serf, const struct leave_intent *intent)
{
    if (!ltime_is_sane(serf, "a leave intent", intent->ltime))
        return false;
    clock_witness(&serf->clock, intent->ltime);
    uint32_t member = find_member(serf, intent->node);
    if (member == MEMBER_NONE) {
        if (rejoin_forget(serf, intent->node))
            record_gone(serf, intent->node);
        return buffer_intent(serf, intent->node, intent->ltime, true);
    }
    struct member_record *record = member_at(&serf->swim.table, member);
    if (intent->ltime <= record->status_ltime)
        return false;
    if (member == serf->swim.self && serf->state == SERF_ALIVE) {
        if (swim_is_moving(&serf->swim))
            return false; /* our own word of a former life, or what a state makes of it */
        serf_log(serf, LOG_LEVEL_DEBUG, "serf: Refuting an older leave intent");
        broadcast_join_intent(serf);
        return false;
    }
    record->status_ltime = intent->ltime;
    if (record->status == STATUS_ALIVE)
        member_set_status(&serf->swim.table, member, STATUS_LEAVING);
    else if (record->status == STATUS_FAILED)
        serf_member_forced_left(serf, member);
    if (intent->prune && member != serf->swim.self)
        serf_prune(serf, member);
    return true;
}

/* Member events are held back until a second of quiet, or three seconds at most, and then handed
 * out together, one event a type (Serf specification, 4.4). What was delivered last is remembered
 * for each member, so that a member that only blinked is no news. Unlike the reference, what has
 * been delivered is forgotten: an update is told once. */
#include "serf_internal.h"

#include <stdlib.h>

static bool enabled(const struct serf *serf)
{
    return serf->config.coalesce_period > 0 && serf->config.quiescent_period > 0;
}

static struct outbox_member member_now(const struct serf *serf, uint32_t member)
{
    const struct member_record *record = member_at(&serf->swim.table, member);
    return (struct outbox_member){.identity = intern_retain(record->identity),
                                  .status_ltime = record->status_ltime,
                                  .status = (enum member_status)record->status};
}

static struct pending_event *pending_for(struct serf *serf, uint32_t member)
{
    uintptr_t place = (uintptr_t)number_map_find(&serf->pending_of, member);
    if (place)
        return &serf->pending[place - 1];
    if (serf->pending_count == serf->pending_capacity) {
        uint32_t capacity = serf->pending_capacity ? serf->pending_capacity * 2 : 8;
        struct pending_event *pending = realloc(serf->pending, capacity * sizeof *pending);
        if (!pending)
            return NULL;
        serf->pending = pending;
        serf->pending_capacity = capacity;
    }
    place = serf->pending_count + 1;
    if (!number_map_insert(&serf->pending_of, member, (void *)place))
        return NULL;
    serf->pending[serf->pending_count] = (struct pending_event){.member = member};
    return &serf->pending[serf->pending_count++];
}

static void deliver(struct serf *serf, uint32_t member, enum member_event_type type)
{
    struct outbox_member now = member_now(serf, member);
    member_at(&serf->swim.table, member)->last_event = (uint8_t)(1 + type);
    outbox_member_event(&serf->swim.outbox, type, &now, 1);
}

void coalesce_event(struct serf *serf, uint32_t member, enum member_event_type type)
{
    struct pending_event *pending = enabled(serf) ? pending_for(serf, member) : NULL;
    if (!pending) { /* off, or no memory to wait: at once is better than never */
        deliver(serf, member, type);
        return;
    }
    struct outbox_member now = member_now(serf, member);
    intern_release(serf->swim.pool, pending->identity);
    pending->identity = now.identity;
    pending->status = now.status;
    pending->status_ltime = now.status_ltime;
    pending->type = type;
    if (type == MEMBER_EVENT_REAP) /* the slot may soon be another member's */
        number_map_remove(&serf->pending_of, member);
    if (!timer_armed(&serf->quantum_timer))
        timer_set(&serf->swim.timers, &serf->quantum_timer,
                  serf->swim.now + serf->config.coalesce_period);
    timer_set(&serf->swim.timers, &serf->quiescent_timer,
              serf->swim.now + serf->config.quiescent_period);
}

/* Whether this is what was delivered of the member last. */
static bool is_repetition(const struct serf *serf, const struct pending_event *pending)
{
    const struct member_record *record = member_at(&serf->swim.table, pending->member);
    return pending->type != MEMBER_EVENT_UPDATE && pending->type != MEMBER_EVENT_REAP &&
           record->last_event == 1 + pending->type;
}

static void flush_type(struct serf *serf, enum member_event_type type,
                       struct outbox_member *members)
{
    size_t count = 0;
    for (uint32_t i = 0; i < serf->pending_count; i++) {
        struct pending_event *pending = &serf->pending[i];
        if (pending->type != type || !pending->identity)
            continue;
        if (is_repetition(serf, pending)) {
            intern_release(serf->swim.pool, pending->identity);
        } else {
            members[count++] =
                (struct outbox_member){pending->identity, pending->status_ltime, pending->status};
            if (type != MEMBER_EVENT_REAP)
                member_at(&serf->swim.table, pending->member)->last_event = (uint8_t)(1 + type);
        }
        pending->identity = NULL;
    }
    if (count > 0)
        outbox_member_event(&serf->swim.outbox, type, members, count);
}

void coalesce_flush(struct serf *serf)
{
    timer_cancel(&serf->swim.timers, &serf->quantum_timer);
    timer_cancel(&serf->swim.timers, &serf->quiescent_timer);
    struct outbox_member *members = malloc((serf->pending_count + 1) * sizeof *members);
    if (!members) { /* later, then */
        timer_set(&serf->swim.timers, &serf->quiescent_timer,
                  serf->swim.now + serf->config.quiescent_period);
        return;
    }
    /* Who was forgotten first: one who came back since must not end as forgotten. */
    static const enum member_event_type order[] = {MEMBER_EVENT_REAP, MEMBER_EVENT_JOIN,
                                                   MEMBER_EVENT_LEAVE, MEMBER_EVENT_FAILED,
                                                   MEMBER_EVENT_UPDATE};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        flush_type(serf, order[i], members);
    free(members);
    serf->pending_count = 0;
    number_map_fini(&serf->pending_of);
    serf->pending_of = (struct number_map){0};
}

void coalesce_fini(struct serf *serf)
{
    for (uint32_t i = 0; i < serf->pending_count; i++)
        intern_release(serf->swim.pool, serf->pending[i].identity);
    free(serf->pending);
    number_map_fini(&serf->pending_of);
}

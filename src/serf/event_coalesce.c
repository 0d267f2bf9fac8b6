/* User events that may be coalesced are held back until a second of quiet, or three at most; of
 * those with one name only the newest Lamport time is delivered (Serf specification, 4.4). */
#include "serf_internal.h"

#include <stdlib.h>

struct held_event {
    struct atom *name, *payload; /* references held */
    uint64_t ltime;
};

bool event_is_held(const struct serf *serf, const struct user_event_message *event)
{
    return event->coalesce && serf->config.user_coalesce_period > 0 &&
           serf->config.user_quiescent_period > 0 && serf->held_count < HELD_EVENTS_MAX;
}

void event_tell(struct serf *serf, const struct user_event_message *event)
{
    struct outbox *outbox = &serf->swim.outbox;
    struct effect *effect = outbox_add(outbox, EFFECT_USER_EVENT);
    if (!effect)
        return;
    effect->user.ltime = event->ltime;
    effect->user.coalesce = event->coalesce;
    outbox_copy(outbox, &effect->user.name, event->name);
    outbox_copy(outbox, &effect->user.payload, event->payload);
}

static void release(struct serf *serf, const struct held_event *event)
{
    intern_release(serf->swim.pool, event->name);
    intern_release(serf->swim.pool, event->payload);
}

/* Drops what is held under this name with an earlier time. False when something later is held. */
static bool make_way(struct serf *serf, const struct atom *name, uint64_t ltime)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < serf->held_count; i++)
        if (serf->held[i].name == name && serf->held[i].ltime > ltime)
            return false;
    for (uint32_t i = 0; i < serf->held_count; i++) {
        struct held_event *event = &serf->held[i];
        if (event->name == name && event->ltime < ltime)
            release(serf, event);
        else
            serf->held[kept++] = *event;
    }
    serf->held_count = kept;
    return true;
}

static bool reserve(struct serf *serf)
{
    if (serf->held_count < serf->held_capacity)
        return true;
    uint32_t capacity = serf->held_capacity ? serf->held_capacity * 2 : 8;
    struct held_event *held = realloc(serf->held, capacity * sizeof *held);
    if (!held)
        return false;
    serf->held = held;
    serf->held_capacity = capacity;
    return true;
}

void event_hold(struct serf *serf, const struct user_event_message *event)
{
    struct timer_heap *timers = &serf->swim.timers;
    struct held_event held = {.name = intern(serf->swim.pool, event->name),
                              .payload = intern(serf->swim.pool, event->payload),
                              .ltime = event->ltime};
    if (!held.name || !held.payload || !reserve(serf)) {
        release(serf, &held);
        event_tell(serf, event); /* no memory to wait: at once is better than never */
        return;
    }
    if (!timer_armed(&serf->event_quantum))
        timer_set(timers, &serf->event_quantum, serf->swim.now + serf->config.user_coalesce_period);
    timer_set(timers, &serf->event_quiescent, serf->swim.now + serf->config.user_quiescent_period);
    if (make_way(serf, held.name, held.ltime))
        serf->held[serf->held_count++] = held;
    else
        release(serf, &held);
}

void events_flush(struct serf *serf)
{
    timer_cancel(&serf->swim.timers, &serf->event_quantum);
    timer_cancel(&serf->swim.timers, &serf->event_quiescent);
    for (uint32_t i = 0; i < serf->held_count; i++) {
        struct user_event_message event = {.ltime = serf->held[i].ltime,
                                           .name = atom_span(serf->held[i].name),
                                           .payload = atom_span(serf->held[i].payload),
                                           .coalesce = true};
        event_tell(serf, &event);
        release(serf, &serf->held[i]);
    }
    serf->held_count = 0;
}

void events_held_fini(struct serf *serf)
{
    for (uint32_t i = 0; i < serf->held_count; i++)
        release(serf, &serf->held[i]);
    free(serf->held);
}

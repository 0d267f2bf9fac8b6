/* Is it still they who live there? An address that is remembered may belong to somebody else by
 * now, and to exchange states with a stranger would make one cluster of two. So before a member
 * goes by itself to an address that it remembers, it pings that address under the name that it
 * remembers: a member, of the reference too, answers to its own name only. Joins that a person asks
 * for, and the join addresses, are not asked first: they are meant. Nor does it give its vote to an
 * address that it remembers, when somebody else says that the name is his, without asking there. */
#include "serf_internal.h"

#include <stdlib.h>

static const uint64_t ping_interval = 500 * NANOSECONDS_PER_MS;
static const uint64_t last_wait = 1 * NANOSECONDS_PER_S;
/* Who asks all which of two members bears a name rightly waits only a few seconds for answers. */
static const uint64_t conflict_interval = 300 * NANOSECONDS_PER_MS;
static const uint64_t conflict_last_wait = 400 * NANOSECONDS_PER_MS;

static void forget(struct serf *serf, struct inquiry *inquiry)
{
    timer_cancel(&serf->swim.timers, &inquiry->timer);
    number_map_remove(&serf->inquiries, inquiry->sequence);
    intern_release(serf->swim.pool, inquiry->name);
    free(inquiry);
}

bool inquire(struct serf *serf, enum inquiry_purpose purpose, struct span name,
             const struct endpoint *endpoint, uint32_t query)
{
    if (serf->inquiries.count >= INQUIRIES_MAX)
        return false;
    struct inquiry *inquiry = calloc(1, sizeof *inquiry);
    struct atom *atom = inquiry ? intern(serf->swim.pool, name) : NULL;
    uint32_t sequence = swim_next_sequence(&serf->swim);
    if (!atom || !timer_heap_reserve(&serf->swim.timers, 1) ||
        !number_map_insert(&serf->inquiries, sequence, inquiry)) {
        intern_release(serf->swim.pool, atom);
        free(inquiry);
        return false;
    }
    *inquiry = (struct inquiry){.timer.kind = TIMER_INQUIRY,
                                .purpose = purpose,
                                .sequence = sequence,
                                .query = query,
                                .name = atom,
                                .endpoint = *endpoint};
    timer_set(&serf->swim.timers, &inquiry->timer, serf->swim.now);
    return true;
}

static uint64_t wait_after_ping(const struct inquiry *inquiry)
{
    bool last = inquiry->pings == INQUIRY_PINGS;
    if (inquiry->purpose == INQUIRY_CONFLICT)
        return last ? conflict_last_wait : conflict_interval;
    return last ? last_wait : ping_interval;
}

void inquiry_timer(struct serf *serf, struct timer *timer)
{
    struct inquiry *inquiry = (struct inquiry *)(void *)timer;
    if (inquiry->pings < INQUIRY_PINGS) {
        inquiry->pings++;
        swim_ping(&serf->swim, &inquiry->endpoint, atom_span(inquiry->name), inquiry->sequence);
        timer_set(&serf->swim.timers, timer, serf->swim.now + wait_after_ping(inquiry));
        return;
    }
    char text[ENDPOINT_TEXT_SIZE];
    serf_log(serf, LOG_LEVEL_DEBUG, "serf: nobody answers to the name %.*s at %s",
             SPAN_PRINT(atom_span(inquiry->name)), endpoint_text(&inquiry->endpoint, text));
    enum inquiry_purpose purpose = inquiry->purpose;
    if (purpose == INQUIRY_CONFLICT)
        answer_conflict_at_last(serf, inquiry, false);
    forget(serf, inquiry);
    if (purpose == INQUIRY_REJOIN)
        rejoin_unanswered(serf);
}

void inquiry_answered(struct serf *serf, uint32_t sequence)
{
    struct inquiry *inquiry = number_map_find(&serf->inquiries, sequence);
    if (!inquiry)
        return; /* the ack to a probe that came late */
    if (inquiry->purpose == INQUIRY_REJOIN)
        rejoin_answered(serf, inquiry->name, &inquiry->endpoint);
    else if (inquiry->purpose == INQUIRY_CONFLICT)
        answer_conflict_at_last(serf, inquiry, true);
    else
        swim_join(&serf->swim, &inquiry->endpoint, serf->config.swim.tcp_timeout);
    forget(serf, inquiry);
}

void inquiries_stop(struct serf *serf)
{
    uint32_t position = 0;
    struct inquiry *inquiry;
    while ((inquiry = number_map_next(&serf->inquiries, &position))) {
        timer_cancel(&serf->swim.timers, &inquiry->timer);
        intern_release(serf->swim.pool, inquiry->name);
        free(inquiry);
    }
    number_map_fini(&serf->inquiries);
}

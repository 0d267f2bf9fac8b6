/* Somebody bears a name that we hold at another address. Either a member came back elsewhere, whose
 * former life nobody has seen end, or two members have one name. Who is right shows by asking both
 * addresses for the name, directly and through helpers: when the old one is silent for a second and
 * the new one answers, the member has moved, whatever state it was held in. When the old one
 * answers, the name stays there, and the two settle it among themselves by a vote.
 *
 * The reference never lets a name move unless it has left. Members of ours that come back see to it
 * themselves (move.c); this is for those of the reference, and for views that nobody told. */
#include "swim_internal.h"

#include <stdlib.h>

static const uint64_t ping_interval = 300 * NANOSECONDS_PER_MS;
static const uint64_t patience = 1 * NANOSECONDS_PER_S;
/* Who was refused is not looked into again for a while: it repeats itself with every exchange. */
static const uint64_t quiet_after_answer = 30 * NANOSECONDS_PER_S;

enum { CLAIMS_MAX = 16 };

struct claim {
    struct timer timer; /* the next ping, then the verdict, then the end of the quiet */
    struct claim *next;
    struct atom *identity; /* the reference is ours: what was claimed */
    uint32_t incarnation;
    uint8_t held_address[16], held_address_size; /* as it was received */
    struct endpoint held;
    uint32_t held_sequence, claimed_sequence; /* of the pings */
    uint64_t deadline;
    bool claimed_answered, refused;
};

static void forget(struct swim *swim, struct claim *claim)
{
    struct claim **link = &swim->claims;
    while (*link != claim)
        link = &(*link)->next;
    *link = claim->next;
    swim->claim_count--;
    timer_cancel(&swim->timers, &claim->timer);
    intern_release(swim->pool, claim->identity);
    free(claim);
}

void swim_free_claims(struct swim *swim)
{
    while (swim->claims) {
        struct claim *claim = swim->claims;
        swim->claims = claim->next;
        intern_release(swim->pool, claim->identity);
        free(claim);
    }
}

static struct claim *find(struct swim *swim, struct span name)
{
    for (struct claim *claim = swim->claims; claim; claim = claim->next)
        if (span_equal(identity_name(identity_of(claim->identity)), name))
            return claim;
    return NULL;
}

void swim_claimed(struct swim *swim, uint32_t member, const struct alive_message *alive)
{
    const struct identity *held = member_identity(&swim->table, member);
    const uint8_t *versions =
        alive->versions.size >= VERSIONS_SIZE ? alive->versions.data : held->versions;
    if (swim->claim_count >= CLAIMS_MAX || find(swim, alive->node))
        return;
    struct claim *claim = calloc(1, sizeof *claim);
    struct atom *identity = identity_intern(swim->pool, alive->node, alive->address, alive->port,
                                            alive->meta, versions);
    if (!claim || !identity || !timer_heap_reserve(&swim->timers, 1)) {
        intern_release(swim->pool, identity);
        free(claim);
        return;
    }
    *claim = (struct claim){.timer.kind = TIMER_CLAIM,
                            .next = swim->claims,
                            .identity = identity,
                            .incarnation = alive->incarnation,
                            .held = identity_endpoint(held),
                            .held_address_size = held->address_size,
                            .held_sequence = swim_next_sequence(swim),
                            .claimed_sequence = swim_next_sequence(swim),
                            .deadline = swim->now + patience};
    memcpy(claim->held_address, held->address, sizeof claim->held_address);
    swim->claims = claim;
    swim->claim_count++;
    timer_set(&swim->timers, &claim->timer, swim->now);
}

bool swim_claim_answered(struct swim *swim, uint32_t sequence)
{
    for (struct claim *claim = swim->claims; claim; claim = claim->next) {
        if (claim->refused)
            continue;
        if (claim->claimed_sequence == sequence) {
            claim->claimed_answered = true;
            return true;
        }
        if (claim->held_sequence == sequence) {
            claim->refused = true;
            timer_set(&swim->timers, &claim->timer, swim->now + quiet_after_answer);
            return true;
        }
    }
    return false;
}

static void ask_both(struct swim *swim, const struct claim *claim)
{
    const struct identity *claimed = identity_of(claim->identity);
    struct endpoint elsewhere = identity_endpoint(claimed);
    struct span name = identity_name(claimed);
    swim_ping(swim, &claim->held, name, claim->held_sequence);
    swim_ping_by_helpers(swim, span_make(claim->held_address, claim->held_address_size),
                         claim->held.port, name, claim->held_sequence);
    swim_ping(swim, &elsewhere, name, claim->claimed_sequence);
}

/* The member as it is held, if that is still where the claim found it. */
static uint32_t still_held(struct swim *swim, const struct claim *claim)
{
    uint32_t member = member_table_find(&swim->table, identity_name(identity_of(claim->identity)));
    if (member == MEMBER_NONE || !member_at(&swim->table, member)->in_swim || swim->leaving)
        return MEMBER_NONE;
    struct endpoint held = member_endpoint(&swim->table, member);
    return endpoint_equal(&held, &claim->held) ? member : MEMBER_NONE;
}

void swim_claim_timer(struct swim *swim, struct timer *timer)
{
    struct claim *claim = (struct claim *)(void *)timer;
    uint32_t member = claim->refused ? MEMBER_NONE : still_held(swim, claim);
    if (member != MEMBER_NONE && swim->now < claim->deadline) {
        ask_both(swim, claim);
        uint64_t next = swim->now + ping_interval;
        timer_set(&swim->timers, timer, next < claim->deadline ? next : claim->deadline);
        return;
    }
    if (member != MEMBER_NONE && claim->claimed_answered)
        swim_grant_claim(swim, member, claim->identity, claim->incarnation);
    forget(swim, claim);
}

/* After a restart: whoever was alive in the last life is asked, in random order, until one answers
 * (Serf specification, 8.6); then those that had failed by then, for up to reconnect_timeout. No
 * join intent is sent, since nobody need know that we were away, and events that were missed are
 * taken.
 *
 * Each is asked first whether it is still the one that we remember (inquiry.c). That costs so
 * little that the next one is asked a moment later, answer or not.
 *
 * The reference asks once, and never those that failed: where all members of a cluster lost their
 * power, the last ones saw the others fail, and later nobody knows anybody. Here a member that is
 * alone asks again and again. Once it has found somebody, those of whom it has heard nothing are
 * looked for as failed members are (members.c): two halves of the cluster may have come back side
 * by side. */
#include "serf_internal.h"

#include <stdlib.h>

static const uint64_t dial_timeout = 2 * NANOSECONDS_PER_S;
static const uint64_t next_after = 100 * NANOSECONDS_PER_MS;

static uint64_t peer_hash(const void *context, uint32_t place)
{
    const struct rejoin *rejoin = context;
    return rejoin->peers[place].name->hash;
}

static bool peer_has_name(const void *context, uint32_t place, const void *name)
{
    const struct rejoin *rejoin = context;
    return rejoin->peers[place].name == name;
}

static void swap(struct rejoin *rejoin, uint32_t a, uint32_t b)
{
    struct snapshot_peer peer = rejoin->peers[a];
    rejoin->peers[a] = rejoin->peers[b];
    rejoin->peers[b] = peer;
}

/* Draws the order of those from `begin` on. */
static void shuffle(struct serf *serf, uint32_t begin, uint32_t end)
{
    for (uint32_t i = begin; i + 1 < end; i++)
        swap(&serf->rejoin, i, i + (uint32_t)random_below(&serf->swim.random, end - i));
}

static bool index_peers(struct rejoin *rejoin)
{
    hash_index_fini(&rejoin->index);
    hash_index_init(&rejoin->index, rejoin, peer_hash, peer_has_name);
    for (uint32_t i = 0; i < rejoin->count; i++) {
        if (!hash_index_reserve(&rejoin->index))
            return false;
        hash_index_insert(&rejoin->index, rejoin->peers[i].name->hash, i);
    }
    return true;
}

static bool is_overdue(const struct serf *serf, uint64_t failed_at)
{
    uint64_t now = record_time(serf);
    uint64_t timeout = serf->config.reconnect_timeout / NANOSECONDS_PER_S;
    return serf->config.time_of_day && failed_at > 0 && failed_at < now &&
           now - failed_at > timeout;
}

static void take_peers(struct serf *serf, const struct snapshot *snapshot, bool failed)
{
    struct rejoin *rejoin = &serf->rejoin;
    struct span own = member_name(&serf->swim.table, serf->swim.self);
    uint32_t begin = rejoin->count;
    for (uint32_t i = 0; i < snapshot->peer_count; i++) {
        const struct snapshot_peer *peer = &snapshot->peers[i];
        if ((peer->failed_at > 0) != failed || is_overdue(serf, peer->failed_at) ||
            span_equal(atom_span(peer->name), own))
            continue;
        rejoin->peers[rejoin->count++] = *peer;
        intern_retain(peer->name);
    }
    shuffle(serf, begin, rejoin->count);
}

bool rejoin_begin(struct serf *serf, const struct snapshot *snapshot)
{
    struct rejoin *rejoin = &serf->rejoin;
    if (snapshot->peer_count == 0)
        return true;
    rejoin->peers = malloc(snapshot->peer_count * sizeof *rejoin->peers);
    if (!rejoin->peers)
        return false;
    take_peers(serf, snapshot, false);
    take_peers(serf, snapshot, true);
    if (!index_peers(rejoin))
        return false;
    if (rejoin->count > 0)
        timer_set(&serf->swim.timers, &rejoin->timer, serf->swim.now);
    return true;
}

void rejoin_fini(struct serf *serf)
{
    struct rejoin *rejoin = &serf->rejoin;
    timer_cancel(&serf->swim.timers, &rejoin->timer);
    for (uint32_t i = 0; i < rejoin->count; i++)
        intern_release(serf->swim.pool, rejoin->peers[i].name);
    intern_release(serf->swim.pool, rejoin->candidate);
    free(rejoin->peers);
    hash_index_fini(&rejoin->index);
    rejoin->peers = NULL;
    rejoin->candidate = NULL;
    rejoin->count = rejoin->next = rejoin->asked = 0;
}

/* --- asking --- */

/* Somebody is found: the others are no longer asked one after the other. */
static void settle(struct serf *serf)
{
    serf->rejoin.settled = true;
    timer_cancel(&serf->swim.timers, &serf->rejoin.timer);
}

/* All were asked in vain. */
static void give_up_for_now(struct serf *serf)
{
    struct rejoin *rejoin = &serf->rejoin;
    if (swim_other_live_count(&serf->swim) > 0) {
        settle(serf); /* others have found us, or we them */
        return;
    }
    serf_log(serf, LOG_LEVEL_WARN, "serf: Failed to re-join any previously known node");
    rejoin->all_asked = true;
    shuffle(serf, 0, rejoin->count);
    rejoin->next = 0;
    if (!index_peers(rejoin)) {
        rejoin_fini(serf);
        return;
    }
    uint64_t wait = serf->config.reconnect_interval ? serf->config.reconnect_interval
                                                    : serf->config.swim.tcp_timeout;
    timer_set(&serf->swim.timers, &rejoin->timer,
              serf->swim.now + wait / 2 + random_below(&serf->swim.random, wait / 2 + 1));
}

void rejoin_timer(struct serf *serf)
{
    struct rejoin *rejoin = &serf->rejoin;
    if (rejoin->next == rejoin->count) {
        if (rejoin->count > 0 && rejoin->asked == 0)
            give_up_for_now(serf);
        return; /* or when the last one has had its time */
    }
    const struct snapshot_peer *peer = &rejoin->peers[rejoin->next];
    timer_set(&serf->swim.timers, &rejoin->timer, serf->swim.now + next_after);
    if (!inquire(serf, INQUIRY_REJOIN, atom_span(peer->name), &peer->endpoint, 0))
        return; /* too many at once, or no memory: later */
    char address[ENDPOINT_TEXT_SIZE];
    serf_log(serf, LOG_LEVEL_INFO, "serf: Attempting re-join to previously known node: %.*s: %s",
             SPAN_PRINT(atom_span(peer->name)), endpoint_text(&peer->endpoint, address));
    rejoin->asked++;
    rejoin->next++;
}

static void go_on(struct serf *serf)
{
    struct rejoin *rejoin = &serf->rejoin;
    if (!rejoin->settled && !rejoin->candidate && rejoin->count > 0 && !timer_armed(&rejoin->timer))
        timer_set(&serf->swim.timers, &rejoin->timer, serf->swim.now);
}

void rejoin_unanswered(struct serf *serf)
{
    serf->rejoin.asked--;
    go_on(serf);
}

void rejoin_answered(struct serf *serf, struct atom *name, const struct endpoint *endpoint)
{
    struct rejoin *rejoin = &serf->rejoin;
    rejoin->asked--;
    if (rejoin->settled || rejoin->candidate || serf->state != SERF_ALIVE)
        return;
    char address[ENDPOINT_TEXT_SIZE];
    struct span list = span_text(endpoint_text(endpoint, address));
    uint64_t timeout = serf->config.swim.tcp_timeout;
    struct join *join = join_start(serf, JOIN_REJOIN, &list, 1, true,
                                   timeout < dial_timeout ? timeout : dial_timeout);
    if (!join) { /* too many at once, or no memory: another one */
        go_on(serf);
        return;
    }
    timer_cancel(&serf->swim.timers, &rejoin->timer);
    rejoin->candidate = intern_retain(name);
    join_end_if_done(serf, join);
}

void rejoin_ended(struct serf *serf, const struct join *join)
{
    struct rejoin *rejoin = &serf->rejoin;
    struct atom *name = rejoin->candidate;
    rejoin->candidate = NULL;
    if (!name)
        return; /* we are leaving */
    if (join->peers == 0) {
        go_on(serf); /* nobody there, or only we ourselves */
    } else {
        serf_log(serf, LOG_LEVEL_INFO, "serf: Re-joined to previously known node: %.*s: %s",
                 SPAN_PRINT(atom_span(name)), join->entries[0].text);
        settle(serf);
    }
    intern_release(serf->swim.pool, name);
}

bool rejoin_is_resuming(const struct serf *serf)
{
    const struct rejoin *rejoin = &serf->rejoin;
    return rejoin->count > 0 && !rejoin->settled && !rejoin->all_asked;
}

/* --- those of whom nothing has been heard --- */

/* The order in which they are asked is kept as far as it matters: who was asked stays before who
 * was not. */
static void remove_peer(struct serf *serf, uint32_t place)
{
    struct rejoin *rejoin = &serf->rejoin;
    struct atom *name = rejoin->peers[place].name;
    uint32_t last = rejoin->count - 1;
    hash_index_remove(&rejoin->index, name->hash, place);
    if (place < rejoin->next) {
        uint32_t hole = --rejoin->next;
        if (hole != place) {
            hash_index_remove(&rejoin->index, rejoin->peers[hole].name->hash, hole);
            rejoin->peers[place] = rejoin->peers[hole];
            hash_index_insert(&rejoin->index, rejoin->peers[place].name->hash, place);
        }
        place = hole;
    }
    if (place != last) {
        hash_index_remove(&rejoin->index, rejoin->peers[last].name->hash, last);
        rejoin->peers[place] = rejoin->peers[last];
        hash_index_insert(&rejoin->index, rejoin->peers[place].name->hash, place);
    }
    rejoin->count = last;
    intern_release(serf->swim.pool, name);
}

bool rejoin_forget(struct serf *serf, struct span name)
{
    struct rejoin *rejoin = &serf->rejoin;
    struct atom *atom = rejoin->count > 0 ? intern(serf->swim.pool, name) : NULL;
    if (!atom)
        return false;
    uint32_t place = hash_index_find(&rejoin->index, atom->hash, atom);
    if (place != HASH_INDEX_NONE)
        remove_peer(serf, place);
    intern_release(serf->swim.pool, atom);
    return place != HASH_INDEX_NONE;
}

void rejoin_age(struct serf *serf)
{
    struct rejoin *rejoin = &serf->rejoin;
    for (uint32_t place = rejoin->count; place-- > 0;) {
        struct snapshot_peer *peer = &rejoin->peers[place];
        if (peer->failed_at == 0) {
            peer->failed_at = record_time(serf);
            record_absent(serf, peer);
        } else if (is_overdue(serf, peer->failed_at)) {
            record_gone(serf, atom_span(peer->name));
            remove_peer(serf, place);
        }
    }
}

const struct snapshot_peer *rejoin_pick(const struct serf *serf, uint32_t number)
{
    return &serf->rejoin.peers[number];
}

uint32_t rejoin_lost_count(const struct serf *serf)
{
    return serf->rejoin.settled ? serf->rejoin.count : 0;
}

/* After a restart: whoever was alive in the last life is asked, one after the other in random
 * order, until one answers (Serf specification, 8.6). No join intent is sent, since nobody need
 * know that we were away, and events that were missed are taken.
 *
 * The reference asks once. A cluster that was powered off as a whole comes back at different
 * speeds, so here a member that is still alone asks again. */
#include "serf_internal.h"

#include <stdlib.h>

static const uint64_t dial_timeout = 2 * NANOSECONDS_PER_S;

static void shuffle(struct serf *serf)
{
    struct rejoin *rejoin = &serf->rejoin;
    for (uint32_t i = 0; i + 1 < rejoin->count; i++) {
        uint32_t other = i + (uint32_t)random_below(&serf->swim.random, rejoin->count - i);
        struct snapshot_peer peer = rejoin->peers[i];
        rejoin->peers[i] = rejoin->peers[other];
        rejoin->peers[other] = peer;
    }
    rejoin->next = 0;
}

bool rejoin_begin(struct serf *serf, const struct snapshot *snapshot)
{
    struct rejoin *rejoin = &serf->rejoin;
    if (snapshot->peer_count == 0)
        return true;
    rejoin->peers = malloc(snapshot->peer_count * sizeof *rejoin->peers);
    if (!rejoin->peers)
        return false;
    struct span own = member_name(&serf->swim.table, serf->swim.self);
    for (uint32_t i = 0; i < snapshot->peer_count; i++) {
        if (span_equal(atom_span(snapshot->peers[i].name), own))
            continue;
        rejoin->peers[rejoin->count] = snapshot->peers[i];
        intern_retain(rejoin->peers[rejoin->count++].name);
    }
    shuffle(serf);
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
    free(rejoin->peers);
    rejoin->peers = NULL;
    rejoin->count = rejoin->next = 0;
}

/* All were asked in vain. */
static void give_up_for_now(struct serf *serf)
{
    struct rejoin *rejoin = &serf->rejoin;
    if (swim_other_live_count(&serf->swim) > 0) {
        rejoin_fini(serf); /* others have found us, or we them */
        return;
    }
    serf_log(serf, LOG_LEVEL_WARN, "serf: Failed to re-join any previously known node");
    shuffle(serf);
    uint64_t wait = serf->config.reconnect_interval ? serf->config.reconnect_interval
                                                    : serf->config.swim.tcp_timeout;
    timer_set(&serf->swim.timers, &rejoin->timer,
              serf->swim.now + wait / 2 + random_below(&serf->swim.random, wait / 2 + 1));
}

void rejoin_timer(struct serf *serf)
{
    struct rejoin *rejoin = &serf->rejoin;
    if (rejoin->next == rejoin->count) {
        give_up_for_now(serf);
        return;
    }
    const struct snapshot_peer *peer = &rejoin->peers[rejoin->next++];
    char address[ENDPOINT_TEXT_SIZE];
    endpoint_text(&peer->endpoint, address);
    serf_log(serf, LOG_LEVEL_INFO, "serf: Attempting re-join to previously known node: %.*s: %s",
             SPAN_PRINT(atom_span(peer->name)), address);
    struct span list = span_text(address);
    uint64_t timeout = serf->config.swim.tcp_timeout;
    struct join *join = join_start(serf, JOIN_REJOIN, &list, 1, true,
                                   timeout < dial_timeout ? timeout : dial_timeout);
    if (!join) /* too many at once, or no memory: the next one later */
        timer_set(&serf->swim.timers, &rejoin->timer, serf->swim.now + NANOSECONDS_PER_S);
    else
        join_end_if_done(serf, join);
}

void rejoin_ended(struct serf *serf, const struct join *join)
{
    struct rejoin *rejoin = &serf->rejoin;
    if (rejoin->next == 0)
        return;             /* we are leaving */
    if (join->peers == 0) { /* nobody there, or only we ourselves */
        timer_set(&serf->swim.timers, &rejoin->timer, serf->swim.now);
        return;
    }
    const struct snapshot_peer *peer = &rejoin->peers[rejoin->next - 1];
    char address[ENDPOINT_TEXT_SIZE];
    serf_log(serf, LOG_LEVEL_INFO, "serf: Re-joined to previously known node: %.*s: %s",
             SPAN_PRINT(atom_span(peer->name)), endpoint_text(&peer->endpoint, address));
    rejoin_fini(serf);
}

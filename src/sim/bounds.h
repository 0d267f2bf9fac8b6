/* How long the protocol may take at most for what it promises. Each bound is the sum of the steps
 * that the promise needs, with the settings of a configuration and at a number of members; "the
 * memberlist specification" and "the Serf specification" are where the settings come from.
 *
 *   spread   a message reaches everybody: log2(N) + T gossip intervals, where T is the number of
 *            times that a member sends it (memberlist, 7.10), and before it the time in which a
 *            queue with one message for each member drains at gossip_nodes datagrams an interval.
 *   repair   whoever gossip missed asks somebody at the next push/pull: push_pull_interval, scaled
 *            by ceil(log2(N)) - 4 above 32 members (memberlist, 7.2), and tcp_timeout.
 *   crash    PROBE_ROUNDS probe intervals until somebody's probe hits the dead member: in each
 *            interval every member probes one at random, so that it is missed k times in a row
 *            with a chance of e^-k (SWIM, 3.1; 2N - 1 intervals are certain, SWIM, 4.3);
 *            the probe itself, stretched by the health multiplier's maximum (Lifeguard);
 *            the suspicion at its longest, when nobody confirms it: suspicion_max_timeout_mult *
 *            suspicion_mult * max(1, log10(N)) probe intervals (memberlist, 7.6); the spread.
 *   healing  a repair in which a member that was held failed unawares learns of it; the spread of
 *            its refutation; a repair for whoever that missed.
 *   reconnect  where two sides hold each other failed, or only one knows of the other, a member
 *            calls one that it holds failed, drawn at random, at each reconnect_interval (Serf,
 *            3.6). Where D members are really dead a call goes to one that is not with a chance of
 *            1 / (D + 1) at least, so that RECONNECT_ROUNDS * (D + 1) intervals are needed for
 *            the same certainty as above; `reconnect` is that without the factor.
 *   move     a member that came back at another address: the crash of its old self, the time for
 *            which a dead name is kept (gossip_to_the_dead_time), and the rest of a probe round,
 *            at whose end it is forgotten (memberlist, 7.4).
 */
#ifndef SIM_BOUNDS_H
#define SIM_BOUNDS_H

#include "serf.h"

enum {
    PROBE_ROUNDS = 20, /* e^-20: one crash in 500 million is found later */
    RECONNECT_ROUNDS = 20,
    BOUND_MESSAGE_BYTES = 128, /* of an alive message with its framing */
};

struct bounds { /* nanoseconds */
    uint64_t spread, repair;
    uint64_t crash, healing, reconnect, move;
};

/* `longest_delay` is that of the slowest link, one way. */
struct bounds bounds_for(const struct serf_config *config, uint32_t members,
                         uint64_t longest_delay);

#endif

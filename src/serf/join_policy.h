/* How a member finds its cluster, and makes sure that it found all of it.
 *
 * A member that is started behind a service address meets whom the address picks: nobody yet, any
 * member, or itself. So that every start ends in one cluster:
 *
 *   trying    The join addresses are asked until a peer answers. The first retry comes within half
 *             a second, later ones further apart (half of each wait is drawn at random), up to the
 *             retry interval. Tries overlap: one that hangs holds nobody up. Names are resolved
 *             again at every try. Reaching oneself is no peer.
 *   checking  Then the addresses are asked again, at least CHECKS_MIN times in five seconds and
 *             until several exchanges in a row have taught no new member: {1,2} and {3,4,5} would
 *             otherwise both be content. Of many addresses a check asks a few, drawn at random. It
 *             sends no join intent.
 *   watching  From then on the addresses are asked while the member is alone, at the retry
 * interval, for ever: a member that lost everybody finds whoever is there now. And, rarely, while
 *             it is not, the more rarely the more members there are, so that all of them together
 *             look about once an interval: clusters that came into being on both sides of a broken
 *             network find each other when it is whole again.
 */
#ifndef SERF_JOIN_POLICY_H
#define SERF_JOIN_POLICY_H

#include "timer_heap.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TRIES_AT_ONCE_MAX = 8, /* overlapping tries; more wait for one to end */
    LONELY_TRIES = 3,      /* behind a service address one alone may be chance */
    CHECKS_MIN = 6,
    CHECKS_MAX = 24,    /* when every check keeps failing or leads back to oneself */
    CHECK_CONTACTS = 3, /* addresses that one check asks, out of all that were found */
    QUIET_CHECKS = 3,   /* real exchanges in a row that taught nothing */
};

enum join_policy_phase {
    POLICY_OFF,
    POLICY_TRYING,
    POLICY_CHECKING,
    POLICY_WATCHING,
};

struct join_policy {
    enum join_policy_phase phase;
    struct timer timer; /* the next try or check */
    uint64_t started;
    uint64_t interval;     /* the longest wait between tries */
    uint32_t max_attempts; /* 0: for ever */
    bool replay;
    bool satisfied; /* somebody answered, if only oneself: max_attempts no longer counts */
    uint32_t failures;
    uint32_t lonely; /* tries in a row in which every address led to oneself */
    uint32_t waits;  /* tries since the phase began, for the back-off */
    uint32_t in_flight;
    uint32_t checks, quiet_checks;
    uint64_t next_look; /* while watching */
    char **addresses;   /* owned */
    uint32_t address_count;
};

#endif

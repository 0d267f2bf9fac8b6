/* How a member finds its cluster, and makes sure that it found all of it.
 *
 * A member that is started behind a service address meets whom the address picks: nobody yet, any
 * member, or itself. So that every start ends in one cluster:
 *
 *   trying    The join addresses are asked until a peer answers: one at a time in random order, and
 *             three peers are enough. The first retry comes within half a second, later ones
 * further apart (half of each wait is drawn at random), up to the retry interval. Tries overlap:
 *             one that hangs holds nobody up. Names are resolved again at every try. Reaching
 *             oneself is no peer.
 *   checking  Then one address is asked again, at least CHECKS_MIN times in five seconds and until
 *             several exchanges in a row have taught no new member: {1,2} and {3,4,5} would
 *             otherwise both be content. Addresses of members that are alive to us, and our own,
 * are left out: they tell nothing new, and nothing else is behind them. A check sends no join
 * intent. watching  From then on the addresses are asked while the member is alone, at the retry
 * interval, for ever: a member that lost everybody finds whoever is there now. And, where that
 *             can't bring strangers in (a label or a key keeps them out, or the host says so), a
 *             check is made now and then although others are known, the more rarely the more there
 *             are: clusters that came into being on both sides of a broken network find each other
 *             when it is whole again. Without that an old address on bare metal would one day merge
 *             two clusters that have nothing to do with each other.
 */
#ifndef SERF_JOIN_POLICY_H
#define SERF_JOIN_POLICY_H

#include "timer_heap.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TRIES_AT_ONCE_MAX = 8, /* overlapping tries; more wait for one to end */
    LONELY_TRIES = 3,      /* behind a service address one alone may be chance */
    TRY_PEERS = 3,         /* whose state is enough for one try */
    CHECKS_MIN = 4,
    CHECKS_MAX = 24,    /* when every check keeps failing or leads back to oneself */
    CHECK_CONTACTS = 3, /* addresses that one check asks, until one answers */
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
    uint64_t young_until;  /* tries are close together so long */
    uint64_t interval;     /* the longest wait between tries */
    uint32_t max_attempts; /* 0: for ever */
    bool replay, watch;
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

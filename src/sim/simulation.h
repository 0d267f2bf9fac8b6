/* A cluster in virtual time: machines that run the production core, joined by virtual links.
 *
 * It is a host of the core, as the agent is: it carries datagrams and streams, answers names, tells
 * the time, and does what the effects ask for. What happens is a function of the configuration, of
 * the seed and of the calls made here; nothing comes from the machine it runs on.
 *
 * Members are numbers from 0; people see them as m00001 and so on. Times are virtual nanoseconds
 * since the beginning. The name "serf" is that of a service address which leads each connection to
 * a member drawn at random, the caller included; "headless" is the name of all that run. */
#ifndef SIM_SIMULATION_H
#define SIM_SIMULATION_H

#include "checker.h"
#include "event_queue.h"
#include "links.h"
#include "machine.h"
#include "sim_memory.h"
#include "sim_trace.h"

enum { PROFILES_MAX = 3, MEMBERS_MAX = 65536 };

struct simulation_config {
    uint32_t member_count; /* 1 to MEMBERS_MAX */
    uint64_t seed;
    struct link link;
    uint64_t plane;     /* see links_place; 0: none */
    uint64_t names_lag; /* "headless" names who ran that long ago, where they were then */
    struct serf_config profiles[PROFILES_MAX]; /* lan, wan, local: everything but the name, the
                                                  tags and the address */
    const uint8_t *profile_of; /* borrowed; a byte a member; NULL: the first for all */
    struct bounds bounds;
};

struct simulation_counts {
    uint64_t datagrams, datagram_bytes, datagrams_lost;
    uint64_t streams, stream_bytes;
    uint64_t steps; /* calls of a core */
};

struct simulation {
    uint64_t now;
    struct random random; /* of links, names and everything else that is not the members' own */
    struct intern_pool pool;
    struct event_queue queue;
    struct slab slab;
    struct links links;
    struct machine *machines; /* owned */
    uint32_t member_count;
    uint32_t *owner_of; /* owned: the machine that has, or had, an address */
    uint32_t address_count, address_capacity;
    uint32_t *up; /* owned: the machines whose process runs, for draws; see up_position */
    uint32_t *up_position;
    uint32_t up_count;
    uint64_t names_lag;
    uint32_t *listed; /* owned: the addresses that "headless" names, when it lags */
    uint32_t listed_count, listed_capacity;
    uint32_t paused_count, slowed_count; /* machines that are so for a while */
    struct serf_config profiles[PROFILES_MAX];
    struct checker *checker; /* owned */
    struct sim_trace trace;
    struct simulation_counts counts;

    /* What was scheduled with simulation_schedule comes due. */
    void (*happens)(void *context, uint32_t number, uint32_t detail);
    /* A member that was told to leave has left; its process is still there. */
    void (*left)(void *context, uint32_t member);
    void *context;
};

struct simulation *simulation_new(const struct simulation_config *config);
void simulation_free(struct simulation *simulation);

/* --- running --- */

/* Lets the next thing happen, if it is due by `end`; false when there is none. When it returns
 * false, `now` is `end`. */
bool simulation_step(struct simulation *simulation, uint64_t end);

/* Calls `happens` at that time. */
void simulation_schedule(struct simulation *simulation, uint64_t time, uint32_t number,
                         uint32_t detail);

/* --- what befalls members; those that make no sense at the time are ignored --- */

bool simulation_is_up(const struct simulation *simulation, uint32_t member);

/* Starts the member's process, at its address or at a new one; with what it remembers, if that is
 * anything. Whoever was alive then is asked again, by the core. */
void simulation_start(struct simulation *simulation, uint32_t member, bool new_address);
/* Saves what the process would find in its snapshot if it were killed now, for its next start; or
 * loses it. */
void simulation_remember(struct simulation *simulation, uint32_t member);
void simulation_forget(struct simulation *simulation, uint32_t member);
/* The process is killed: its system answers for it, with refusals; or, when `silent`, nobody. */
void simulation_crash(struct simulation *simulation, uint32_t member, bool silent);
void simulation_leave(struct simulation *simulation, uint32_t member);
/* Ends the process of a member that has left. */
void simulation_stop(struct simulation *simulation, uint32_t member);
/* The process neither sends nor reads until then. */
void simulation_pause(struct simulation *simulation, uint32_t member, uint64_t duration);
/* The process gets a turn only every `turn`; for a while, or until it is healed (duration 0). A
 * turn of 0 makes it fast again. */
void simulation_slow(struct simulation *simulation, uint32_t member, uint64_t turn,
                     uint64_t duration);
/* The machine's monotonic clock leaps forward. */
void simulation_jump(struct simulation *simulation, uint32_t member, uint64_t by);
void simulation_change_tags(struct simulation *simulation, uint32_t member);
/* A foreign peer hands the member a user event of its own. */
void simulation_user_event(struct simulation *simulation, uint32_t member);

/* The member asks everybody something. */
void simulation_query(struct simulation *simulation, uint32_t member);
/* The member is told that another one has left. */
void simulation_force_leave(struct simulation *simulation, uint32_t member, uint32_t other);

/* Changed links: the checker learns whether there is peace. */
void simulation_links_changed(struct simulation *simulation);

/* The member looks for its cluster: once, or by the policy that retries. */
void simulation_join(struct simulation *simulation, uint32_t member, const struct span *addresses,
                     size_t count, bool once);

/* A member that runs, drawn at random; UINT32_MAX when none does. */
uint32_t simulation_any_up(struct simulation *simulation);
struct endpoint simulation_endpoint(const struct simulation *simulation, uint32_t member);

/* Asks every process for its members and compares with what its events said. */
void simulation_cross_check(struct simulation *simulation);

#endif

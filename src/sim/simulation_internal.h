/* What the source files of the virtual host share. */
#ifndef SIM_SIMULATION_INTERNAL_H
#define SIM_SIMULATION_INTERNAL_H

#include "simulation.h"

enum happening {                    /* kinds of events in the queue */
                 HAPPENS_DATAGRAM,  /* pointer: struct datagram */
                 HAPPENS_STREAM,    /* pointer: struct stream_end with something due to arrive */
                 HAPPENS_WAKE,      /* number: machine */
                 HAPPENS_TURN,      /* number: slow machine */
                 HAPPENS_RESUME,    /* number: machine; detail: life */
                 HAPPENS_FAST,      /* number: machine; detail: life */
                 HAPPENS_RESOLVED,  /* pointer: struct resolution */
                 HAPPENS_SCHEDULED, /* the owner's */
                 HAPPENS_LISTED,    /* number: address; detail: 1 named by "headless", 0 no more */
};

struct resolution {
    uint32_t machine, life, request;
    uint16_t port;
    char host[64];
};

/* --- addresses: 10.x.y.z, where x.y.z is a number; the service address is above all others --- */

enum { ADDRESS_SERVICE = 0xfffffe, ADDRESS_NONE = 0xffffff, MEMBER_PORT = 7946 };

void address_endpoint(uint32_t address, struct endpoint *endpoint);
/* ADDRESS_NONE when it is none of ours. */
uint32_t address_number(const struct endpoint *endpoint);

/* --- simulation.c --- */

/* What a member's process sees on its clock. */
static inline uint64_t machine_now(const struct simulation *simulation,
                                   const struct machine *machine)
{
    return simulation->now + machine->clock_offset;
}

/* The process does not run just now; what comes for it waits. */
static inline bool machine_waits(const struct machine *machine)
{
    return machine->paused || machine->slow > 0;
}

/* Drains the effects after a call of the core, checks what it says of itself, and sets its
 * wake-up. */
void machine_settle(struct simulation *simulation, struct machine *machine);
/* A slow machine has something to do: it gets its next turn. */
void machine_want_turn(struct simulation *simulation, struct machine *machine);

/* --- streams.c --- */

void stream_open(struct simulation *simulation, struct machine *machine,
                 const struct effect *effect);
void stream_write(struct simulation *simulation, struct machine *machine, uint32_t id,
                  struct span bytes);
void stream_close(struct simulation *simulation, struct machine *machine, uint32_t id);
/* Something arrives at an end. */
void stream_arrives(struct simulation *simulation, struct stream_end *end);
/* The process reads what has arrived while it did not run. */
void streams_read(struct simulation *simulation, struct machine *machine);
/* The simulation ends with an event of this end still in the queue. */
void stream_abandon(struct simulation *simulation, struct stream_end *end);
/* The process is gone; its system tells the peers, unless the machine is silent. */
void streams_end_life(struct simulation *simulation, struct machine *machine);

#endif

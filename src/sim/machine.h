/* The machine that a member runs on: its process (the core), its clock, its address and its socket
 * buffers. A machine outlives its process: a restart is a new process on the same machine. */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "number_map.h"
#include "serf.h"

enum {
    SOCKET_BUFFER_BYTES = 2 * 1024 * 1024, /* what the agent asks the kernel for (host/udp.h) */
    SOCKET_BUFFER_OVERHEAD = 768,          /* what Linux charges for a small datagram beyond it */
    ACCEPT_BACKLOG = 128,                  /* connections that wait for a stopped process */
    MEMBER_NAME_SIZE = 12,
};

struct datagram { /* in flight, or in a socket buffer */
    struct datagram *next;
    uint32_t from_address, to_address;
    uint32_t size;
    uint8_t bytes[];
};

struct stream_end;

struct machine {
    struct serf *serf; /* owned; NULL: no process runs */
    uint32_t number;
    uint32_t address; /* number of the present one: see address_endpoint */
    uint32_t life;    /* of the process; counts starts and ends */
    uint32_t profile; /* index into the simulation's configurations */
    uint32_t tag_version;
    bool silent;      /* the machine itself is off: nothing answers, not even a refusal */
    bool paused;      /* the process is stopped: it neither sends nor reads */
    bool leaving;     /* a graceful leave is under way */
    bool turn_queued; /* of a slow machine: its next turn is in the event queue */
    uint64_t pause_until, slow_until;
    uint64_t slow;         /* the process gets a turn only this often; 0: at once */
    uint64_t clock_offset; /* the machine's monotonic clock minus virtual time */
    uint64_t wake_at;      /* of the wake-up in the event queue that counts; TIME_NEVER: none */
    uint32_t leave_command;

    struct datagram *waiting, **waiting_end; /* the UDP socket's buffer */
    size_t waiting_bytes;
    struct stream_end *ready, **ready_end; /* ends with something to read, in order */
    uint32_t unaccepted;
    struct number_map streams; /* the process's open ends, by the core's number */
    struct stream_end *ends;   /* the same as a list, in order of opening, for the end of a life */

    struct buffer snapshot; /* what the last process left in its file; empty: nothing */
};

/* "m00042" for number 41. */
void machine_name(uint32_t number, char name[MEMBER_NAME_SIZE]);
/* The number in such a name, or UINT32_MAX. */
uint32_t machine_number(struct span name);

#endif

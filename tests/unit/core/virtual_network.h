/* A small network in virtual time: a handful of cores, links with a delay, streams, names, and a
 * service address that picks a live member at random. Everything that happens is a function of the
 * seed. It drives the production core through the same seam as the agent does. */
#ifndef TESTS_VIRTUAL_NETWORK_H
#define TESTS_VIRTUAL_NETWORK_H

#include "serf.h"

enum { HOSTS_MAX = 128 };

struct host {
    struct serf *serf; /* NULL: not running */
    struct endpoint endpoint;
    uint32_t number;
    uint32_t life; /* counts restarts: what was under way to an earlier life is lost */
    bool paused;   /* neither sends nor reads, as a stopped process */
    bool stopped;  /* EFFECT_STOP came */
    char name[32];
    struct buffer log;      /* every log line, newline-terminated */
    struct buffer snapshot; /* what was recorded, over all lives */
    struct buffer answers;  /* "ack N from\n", "answer N from payload\n", "done N\n", "keys ..." */
    struct buffer events;   /* "member-join a b\n" as the application sees them */
    uint32_t done_command, done_count; /* the last EFFECT_COMMAND_DONE */
    bool done_ok;
    struct buffer done_error;
    const char *answer;        /* to every query; NULL: none */
    const char *keyring_error; /* why its keyring can't be saved; NULL: it can */
    uint32_t queries[16];      /* waiting for the answer */
    uint32_t query_count;
    uint32_t saves[16]; /* keyrings to be saved */
    uint32_t save_count;
};

struct link_rule {
    bool packets_lost, streams_lost;
};

struct network {
    uint64_t now;
    struct random random;
    struct intern_pool pool;
    struct host hosts[HOSTS_MAX];
    uint32_t host_count;
    struct link_rule links[HOSTS_MAX][HOSTS_MAX];
    double packet_loss;                 /* 0 to 1, on every link */
    uint64_t delay;                     /* one way, at least; up to as much again is drawn */
    struct endpoint service;            /* leads to a random running host */
    bool rejoin_after_leave;            /* members that record a snapshot ignore its "leave" */
    bool service_down;                  /* it refuses all connections */
    const struct endpoint *stale_names; /* what "headless" answers in place of all who run; NULL: */
    size_t stale_name_count;            /* it doesn't */
    bool watch;          /* who joins by the policy looks for life whether there is more */
    struct buffer trace; /* a line a packet, when `tracing` */
    bool tracing;
    /* Sees every datagram that is sent, also those that get lost. */
    void (*look)(void *context, const struct host *from, const struct effect *effect);
    void *look_context;

    struct network_event *events; /* a heap */
    size_t event_count, event_capacity;
    uint64_t next_order;
    struct connection *connections;
    uint32_t connection_count, connection_capacity;
};

struct network *network_new(uint64_t seed);
void network_free(struct network *network);

/* Starts host `number` (addresses 10.0.0.1 on) under the name, with what its earlier lives recorded
 * if `config` says record; `config` may be NULL: LAN profile,
 * no coalescing. */
struct host *network_start(struct network *network, uint32_t number, const char *name,
                           const struct serf_config *config);
struct serf_config network_config(void);
void network_kill(struct network *network, struct host *host);
/* The next start of this host has this address. */
void network_move(struct network *network, struct host *host, const char *address);

void network_cut(struct network *network, struct host *a, struct host *b, bool packets,
                 bool streams);
void network_heal(struct network *network);

void network_run(struct network *network, uint64_t duration);
/* Runs until the condition holds, at most `limit`; false when it never did. */
bool network_run_until(struct network *network, uint64_t limit,
                       bool (*condition)(struct network *network));

uint32_t host_join(struct network *network, struct host *host, const char *address);
void host_retry_join(struct network *network, struct host *host, const char *address,
                     uint32_t max_attempts);
uint32_t host_leave(struct network *network, struct host *host);
uint32_t host_force_leave(struct network *network, struct host *host, const char *name, bool prune);
/* Drains the effects of a host after a call that the test made itself. */
void host_drain(struct network *network, struct host *host);
void host_deliver(struct network *network, struct host *host, struct span datagram);
void host_deliver_from(struct network *network, struct host *host, const char *address,
                       struct span datagram);

/* STATUS_NONE when it is not known. */
enum member_status host_sees(const struct host *host, const char *name);
uint32_t host_count(const struct host *host, enum member_status status);
bool host_logged(struct host *host, const char *text);
uint32_t host_logged_times(struct host *host, const char *text);
/* All running hosts see exactly all running hosts alive. */
bool network_agrees(struct network *network);

#define SECONDS(n) ((uint64_t)(n)*NANOSECONDS_PER_S)

#endif

/* The membership core: SWIM with the extensions that memberlist made (memberlist specification,
 * sections 3, 6, 7 and 9). A pure state machine that the Serf layer drives; what happens shows up
 * as effects in `outbox`, some for the host and some (EFFECT_SWIM_*) for the Serf layer. */
#ifndef SWIM_SWIM_H
#define SWIM_SWIM_H

#include "broadcast_queue.h"
#include "member_table.h"
#include "number_map.h"
#include "outbox.h"
#include "packet.h"
#include "swim_config.h"
#include "swim_metrics.h"
#include "timer_heap.h"

/* Incarnations count up from 1, by one for each accusation and each change of tags. A peer that
 * claims one of the last numbers there are would leave a member none to refute with, so what it
 * says is believed up to a limit: lower for accusations, so that the answer to one stays below the
 * limit for what a member says of itself; or when it is at most INCARNATION_JUMP_MAX above what is
 * known. Of oneself all is believed that can still be answered. */
#define INCARNATION_ACCUSED_MAX UINT32_C(0x7fffffff)
#define INCARNATION_ALIVE_MAX   UINT32_C(0xbfffffff)

enum {
    INCARNATION_JUMP_MAX = 1024,
    RELAYS_MAX = 1024,           /* indirect probes in progress for others */
    ANSWERS_ELSEWHERE_MAX = 128, /* in a second, to others than who asked */
    PUSH_PULLS_MAX = 128,        /* incoming at once, as in the reference */
    GOSSIP_NODES_MAX = 16,
    INDIRECT_CHECKS_MAX = 16,
    USER_MESSAGE_OVERHEAD = 3,  /* part length and type byte */
    MERGE_SLICE = 1024,         /* members merged before the loop gets its turn */
    MERGE_AHEAD = 8,            /* of them read ahead */
    FIRST_STATE_TOLD = 512,     /* members of the first state that one tells on */
    ARRIVALS_MAX = 4096,        /* waiting to be told; further ones come with an exchange */
    ARRIVALS_SLACK = 512,       /* as QUEUE_SLACK of the Serf layer */
    TOLD_DIRECTLY_MAX = 1024,   /* members that a leaver tells itself; gossip tells the others */
    ACCUSERS_ANSWERED_MAX = 64, /* directly in a second; gossip tells the others */
    CATCH_UPS = 2,              /* extra push/pulls after the view grew */
    CATCH_UPS_OF_ALL = 128,     /* of a larger cluster, only about so many members make them */
};

/* Kinds of timers; the Serf layer's start at TIMER_SERF. */
enum timer_kind {
    TIMER_PROBE_TICK = 1,
    TIMER_PROBE,
    TIMER_GOSSIP,
    TIMER_PUSH_PULL,
    TIMER_SUSPICION,
    TIMER_RELAY,
    TIMER_STREAM,
    TIMER_LEAVE,
    TIMER_UPDATE,
    TIMER_CATCH_UP,
    TIMER_MOVE,
    TIMER_CLAIM,
    TIMER_SERF = 32,
};

/* Questions the core asks at once. They may not call back into it. */
struct swim_hooks {
    void *context;
    /* Adds user messages (type byte MESSAGE_USER first) to a datagram; each costs
     * USER_MESSAGE_OVERHEAD and its own size out of `limit` bytes. */
    void (*broadcasts)(void *context, size_t limit, struct compound *compound);
    /* Of the `limit` bytes for gossip in the datagram that is about to be filled, those to be left
     * to user messages. */
    size_t (*reserve)(void *context, size_t limit);
    /* Appends the state for a push/pull. */
    void (*local_state)(void *context, bool join, struct buffer *out);
    /* Appends what an ack carries; NULL: nothing. */
    void (*ack_payload)(void *context, struct buffer *out);
    /* A member has answered a ping of our own in time: `round_trip` in nanoseconds, and what its
     * ack carried. NULL: nobody wants to know. */
    void (*ping_completed)(void *context, uint32_t member, uint64_t round_trip,
                           struct span payload);
};

/* Kinds of log lines that a peer can provoke; each has a budget of its own. */
enum limited_log {
    LIMITED_PACKET,
    LIMITED_MESSAGE,
    LIMITED_MEMBER,
    LIMITED_CONFLICT,
    LIMITED_STREAM,
    LIMITED_LIMIT,
    LIMITED_QUEUE,
    LIMITED_USER_MESSAGE,
    LIMITED_KINDS,
};

enum probe_phase {
    PROBE_IDLE,
    PROBE_DIRECT,   /* waiting for the ack to our own ping */
    PROBE_INDIRECT, /* helpers were asked and a TCP ping is under way */
};

struct probe {
    enum probe_phase phase;
    struct timer timer;
    uint32_t member;
    uint32_t sequence;
    uint32_t incarnation; /* of the member when the probe began */
    uint32_t nacks_expected, nacks_received;
    uint64_t sent_at, deadline;
    uint32_t stream; /* of the TCP ping, or 0 */
    bool reached_by_tcp;
};

enum move_phase {
    MOVE_IDLE,
    MOVE_ASK,
    MOVE_REVIVE,
    MOVE_INTEND,
    MOVE_LEAVE,
    MOVE_ARRIVE,
    MOVE_SETTLE,
};

/* The own name is held at another address (move.c). */
struct move {
    enum move_phase phase;
    bool barred;   /* the member is about to leave */
    uint32_t step; /* how often this phase has spoken */
    struct timer timer;
    struct endpoint old; /* where, and below as it was received */
    uint8_t address[16], address_size;
    uint32_t incarnation; /* held there, at least */
    uint32_t sequence;    /* of the pings */
    uint64_t quiet_until; /* somebody answered: ask no more until then */
};

struct swim {
    struct swim_config config; /* name and meta are not used after swim_init */
    struct swim_hooks hooks;
    struct intern_pool *pool; /* borrowed */
    struct random random;
    struct wire_codec codec;
    struct member_table table;
    /* What has changed about members that are known goes before who is new: until it is told, all
     * others are wrong, while who is new comes with the next state, too. Those who arrive by the
     * thousand do not hold up the news of a failure. */
    struct broadcast_queue changes, arrivals;
    struct timer_heap timers;
    struct outbox outbox;
    uint64_t now, epoch;

    uint32_t self; /* own slot in the table */
    uint32_t incarnation;
    uint32_t sequence;
    uint32_t health;        /* Lifeguard's local health score, 0 is healthy */
    uint64_t joins;         /* members that turned alive, ever */
    uint64_t grown;         /* when the last of them did */
    uint64_t gossip_ticked; /* the last gossip tick, or before the first the phase of the clock */
    uint32_t catch_ups_due;
    uint64_t caught_up;       /* when that was done last; 0: never */
    uint32_t spacing_doubled; /* how often, since the view went on growing */

    struct probe probe;
    struct move move;
    struct claim *claims; /* owned: names that are borne elsewhere, see claim.c */
    uint32_t claim_count;
    struct probe_order order;
    struct timer probe_tick, gossip_tick, push_pull_tick, catch_up;
    bool probe_pending;           /* a tick passed while a probe was running */
    struct number_map suspicions; /* by member */
    struct number_map relays;     /* by sequence number */

    struct number_map streams; /* by id */
    uint32_t last_stream;
    uint32_t push_pulls; /* incoming ones under way */
    size_t stream_bytes; /* held by all readers */

    struct answer_count {
        uint64_t since; /* one second long */
        uint32_t count;
    } answers_elsewhere, answers_to_accusers;

    bool leaving;
    struct timer leave_timer, update_timer;

    struct swim_metrics metrics;
    struct compound compound; /* scratch for the datagram being made */
    struct buffer scratch;
    struct {
        uint64_t since;
        uint32_t count, suppressed;
    } limits[LIMITED_KINDS];
};

/* False when memory is out. `config` holds valid values (the Serf layer checks them). */
bool swim_init(struct swim *swim, const struct swim_config *config, const struct swim_hooks *hooks,
               struct intern_pool *pool, const uint8_t *seed, uint64_t now);
void swim_fini(struct swim *swim);

void swim_packet(struct swim *swim, const struct endpoint *from, struct span datagram);
void swim_packet_failed(struct swim *swim, const struct endpoint *to);

uint32_t swim_stream_accepted(struct swim *swim, const struct endpoint *from);
void swim_stream_opened(struct swim *swim, uint32_t stream);
void swim_stream_failed(struct swim *swim, uint32_t stream, const char *reason);
void swim_stream_data(struct swim *swim, uint32_t stream, struct span bytes);
void swim_stream_ended(struct swim *swim, uint32_t stream);

/* Lets a timer of the core do its work. */
void swim_fire(struct swim *swim, struct timer *timer);

/* Starts a push/pull that joins; ends in EFFECT_SWIM_SYNC_DONE with the number returned, or 0 if
 * no stream is free. `dial_timeout` limits the connect, tcp_timeout each later step. */
uint32_t swim_join(struct swim *swim, const struct endpoint *to, uint64_t dial_timeout);

/* Ends a push/pull that joins and is still waiting for its connection: nothing has been said yet.
 * False when it has come further, and goes on. */
bool swim_cancel_join(struct swim *swim, uint32_t stream);

/* A leave is being announced: no move to another address begins or goes on from here on. */
void swim_prepare_leave(struct swim *swim);

/* The former life of our name, at another address, is being told to have left (move.c):
 * EFFECT_SWIM_MOVED follows when that is done. */
bool swim_is_moving(const struct swim *swim);

/* Asks whether who is at this address has that name: nobody else answers. The ack is reported as
 * EFFECT_SWIM_ACK with the `sequence` that was given, one of swim_next_sequence. */
void swim_ping(struct swim *swim, const struct endpoint *to, struct span name, uint32_t sequence);
uint32_t swim_next_sequence(struct swim *swim);

/* Tells the others that we leave, each of them directly (at most TOLD_DIRECTLY_MAX) and by gossip;
 * EFFECT_SWIM_LEFT when they have been told. */
void swim_leave(struct swim *swim, uint64_t timeout);

/* Advertises new metadata; EFFECT_SWIM_UPDATED when the others have been told. False when memory is
 * out. */
bool swim_update_meta(struct swim *swim, struct span meta, uint64_t timeout);

/* Sends user messages that fit a datagram directly to one member. */
void swim_send_user_message(struct swim *swim, const struct endpoint *to, struct span message);
/* The same to every other live member, at most TOLD_DIRECTLY_MAX of them. */
void swim_tell_all(struct swim *swim, struct span message);

/* There is something to gossip: a tick will come. Called by whoever fills a queue. */
void swim_gossip_wanted(struct swim *swim);

/* Broadcasts that wait. */
uint32_t swim_queue_depth(const struct swim *swim);

/* Other members that are alive or suspect. */
uint32_t swim_other_live_count(const struct swim *swim);

/* Nanoseconds since the member's last change of state, to about 67 ms. */
uint64_t swim_age(const struct swim *swim, uint32_t member);
uint32_t swim_coarse_time(const struct swim *swim);

/* retransmit_mult * ceil(log10(members + 1)) */
uint32_t swim_transmit_limit(const struct swim *swim, uint32_t members);

/* Bytes for gossiped messages in a datagram with nothing else in it. */
size_t swim_gossip_limit(const struct swim *swim);

/* False when lines of this kind have come too often lately; the next one that passes says how
 * many were left out. */
bool swim_log_allowed(struct swim *swim, enum limited_log kind, enum log_level level);

#define swim_log(swim, level, ...)                                                                 \
    do {                                                                                           \
        if ((level) >= (swim)->config.log_level)                                                   \
            outbox_log(&(swim)->outbox, (level), __VA_ARGS__);                                     \
    } while (0)

/* For lines that a peer can provoke. */
#define swim_log_limited(swim, kind, level, ...)                                                   \
    do {                                                                                           \
        if ((level) >= (swim)->config.log_level && swim_log_allowed(swim, kind, level))            \
            outbox_log(&(swim)->outbox, (level), __VA_ARGS__);                                     \
    } while (0)

#endif

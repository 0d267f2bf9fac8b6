/* What the source files of this room share; no other room includes it. */
#ifndef SERF_INTERNAL_H
#define SERF_INTERNAL_H

#include "coordinate.h"
#include "join_policy.h"
#include "serf.h"
#include "serf_message.h"
#include "serf_metrics.h"
#include "snapshot.h"
#include "swim.h"

enum {
    RECENT_INTENTS_MAX = 65536, /* names that intents have come for before the member did */
    COMMANDS_MAX = 4096,        /* commands of this member's own users in progress */
    JOINS_MAX = 1024,           /* joins in progress */
    CONTACTS_AT_ONCE_MAX = 16,  /* of one join */
    INQUIRIES_MAX = 32,         /* remembered addresses that are being asked who is there */
    INQUIRY_PINGS = 3,          /* to each, half a second apart */
    PRUNES_MAX = 1024,          /* members that wait to be forgotten */
    RING_IDS_MAX = 1024,        /* user events, or queries, with one and the same Lamport time */
    EVENT_RING_BYTES_MAX = 4194304,
    LTIME_BITS_MAX = 62,
    OPEN_QUERIES_MAX = 1024, /* queries of others that may still be answered */
    COLLECTORS_MAX = 1024,   /* queries of our own that gather answers */
    KEY_COMMANDS_MAX = 64,
    HELD_EVENTS_MAX = 4096, /* user events that wait to be coalesced */
    RELAY_FACTOR_MAX = 255,
};

#define QUERY_TIMEOUT_MAX (UINT64_C(3600) * NANOSECONDS_PER_S)

/* A peer's Lamport time is believed below LTIME_FREE_MAX, or at most LTIME_JUMP_MAX above the own
 * clocks: one that is far above would leave the clocks no room. No clock passes LTIME_MAX. */
#define LTIME_MAX      (UINT64_C(1) << LTIME_BITS_MAX)
#define LTIME_FREE_MAX (UINT64_C(1) << (LTIME_BITS_MAX - 1))
#define LTIME_JUMP_MAX (UINT64_C(1) << 20)

enum serf_timer_kind {
    TIMER_REAP = TIMER_SERF,
    TIMER_RECONNECT,
    TIMER_QUEUE_CHECK,
    TIMER_COALESCE_QUANTUM,
    TIMER_COALESCE_QUIESCENT,
    TIMER_COMMAND,
    TIMER_PRUNE,
    TIMER_POLICY,
    TIMER_REJOIN,
    TIMER_INQUIRY,
    TIMER_OPEN_QUERY,
    TIMER_COLLECTOR,
    TIMER_EVENT_QUANTUM,
    TIMER_EVENT_QUIESCENT,
    TIMER_RECORD,
};

enum command_kind {
    COMMAND_JOIN,
    COMMAND_LEAVE,
    COMMAND_FORCE_LEAVE,
    COMMAND_SET_TAGS,
};

enum leave_stage {
    LEAVE_INTENT,    /* the intent is spreading */
    LEAVE_DEPARTURE, /* the membership core says goodbye */
    LEAVE_PROPAGATE, /* what was said last is still under way */
};

struct command {
    struct timer timer;
    uint32_t id;
    enum command_kind kind;
    enum leave_stage leave_stage;
    struct atom *message; /* the broadcast whose end this waits for, or NULL */
};

/* --- join.c --- */

enum join_purpose {
    JOIN_COMMANDED, /* a user's */
    JOIN_TRY,       /* the policy's */
    JOIN_CHECK,     /* the policy looks whether there is more: no join intent */
    JOIN_REJOIN,    /* to somebody known from before a restart: no join intent either */
};

enum contact_state {
    CONTACT_WAITING,
    CONTACT_RUNNING,
    CONTACT_DONE,
    CONTACT_FAILED,
};

struct contact { /* one address to be asked */
    struct endpoint endpoint;
    uint32_t entry; /* of the join's list */
    enum contact_state state;
    char *error; /* owned */
};

struct join_entry { /* one item of a join's list */
    struct join *join;
    char *text;       /* owned: as it was given */
    uint32_t request; /* of the resolution under way, or 0 */
    char *error;      /* owned: why it could not be resolved */
};

struct join {
    struct join *next;
    enum join_purpose purpose;
    uint32_t command; /* of JOIN_COMMANDED */
    bool ignore_old;  /* user events from before are not wanted */
    uint64_t dial_timeout;
    struct join_entry *entries;
    uint32_t entry_count;
    struct contact *contacts; /* asked in this order */
    uint32_t contact_count, contact_capacity, contacts_started;
    struct {
        uint32_t sync, contact;
    } running[CONTACTS_AT_ONCE_MAX];
    uint32_t unresolved, running_count;
    uint32_t reached; /* contacts that answered, oneself included */
    uint32_t peers;   /* of those, others than oneself */
    uint32_t new_members;
    uint32_t known; /* addresses that a check left out: its own, and of members that are alive */
};

struct intent {
    struct atom *name; /* NULL: a free place */
    uint64_t ltime;
    uint64_t received;
    bool leave;
    uint32_t next_free;
};

struct prune {
    struct timer timer;
    uint32_t member;
};

struct ring_slot { /* user events, or query ids, of one Lamport time */
    uint64_t ltime;
    uint32_t count;
    union {
        struct atom **events; /* {Name, Payload} encoded */
        uint32_t *ids;
    };
};

struct open_query {     /* somebody's query that may still be answered */
    struct timer timer; /* its deadline */
    uint32_t id;        /* for serf_respond */
    uint32_t query_id;  /* the asker's */
    uint64_t ltime;
    struct endpoint origin;
    struct atom *origin_name;
    uint8_t relay_factor;
    bool answered;
};

enum query_purpose { QUERY_OF_APPLICATION, QUERY_OF_CONFLICT, QUERY_OF_KEYS };

struct sender_set {
    struct atom **names; /* references held */
    uint32_t count;
    struct hash_index index;
};

struct collector { /* a query of our own */
    struct timer timer;
    uint32_t id;
    enum query_purpose purpose;
    uint32_t query_id;
    uint64_t ltime;
    bool acks_wanted;
    uint32_t senders_max;
    struct sender_set acked, answered;
};

struct key_command {
    struct key_command *next;
    uint32_t id;
    enum key_operation operation;
    uint32_t query; /* the collector's; 0: waits for those before it */
    uint8_t relay_factor;
    uint8_t key_size;
    uint8_t key[KEY_REQUEST_SIZE_MAX];
    struct key_report report;
};

struct held_event;

enum inquiry_purpose { INQUIRY_REJOIN, INQUIRY_RECONNECT, INQUIRY_CONFLICT };

struct inquiry { /* is it still this one who lives there? */
    struct timer timer;
    enum inquiry_purpose purpose;
    uint32_t sequence, pings;
    uint32_t query;    /* of INQUIRY_CONFLICT: somebody's open query that waits for it */
    struct atom *name; /* reference held */
    struct endpoint endpoint;
};

struct rejoin { /* looks for those who are remembered from before a restart */
    struct timer timer;
    struct snapshot_peer *peers; /* owned; in the order in which they are asked. `failed_at` is 0
                                    until it is recorded that nothing has been heard of it. Who
                                    turns up is taken out. */
    uint32_t count, next;
    struct hash_index index; /* by name */
    uint32_t asked;          /* inquiries that have not ended */
    struct atom *candidate;  /* it has answered, and states are being exchanged; or NULL */
    bool all_asked;          /* once, in vain */
    bool settled;            /* somebody is found: the others are looked for now and then */
};

struct recording {      /* what has been written to the snapshot */
    struct timer timer; /* the clock has moved on and is written soon */
    uint64_t clock, event_clock, query_clock;
    uint64_t began; /* when config.time_of_day was true */
    bool resumed;   /* from a life before: what it missed is wanted */
    bool left;      /* nothing more is told about members */
};

struct pending_event {     /* a member event held back by the coalescer */
    struct atom *identity; /* reference held */
    uint64_t status_ltime;
    uint32_t member;
    enum member_status status;
    enum member_event_type type;
};

struct serf {
    struct swim swim;
    struct serf_config config;
    struct atom *timeout_tag; /* config.reconnect_timeout_tag, or NULL */
    enum serf_state state;
    uint64_t clock, event_clock, query_clock; /* the next time that is unused */
    uint64_t event_min_time, query_min_time;

    struct broadcast_queue intents, queries, events;
    size_t user_credit; /* bytes of datagrams that queries and user events have earned */
    size_t user_room;   /* of them, kept free for these in the datagram that is being made */

    struct {
        struct intent *places; /* owned */
        uint32_t count, capacity, used, free;
        struct hash_index index;
    } recent;

    struct ring_slot *event_ring; /* made when the first event comes */
    struct ring_slot *query_ring;
    size_t event_ring_bytes;

    struct number_map commands;
    uint32_t last_command;
    struct command *leave; /* the leave under way, or NULL */
    struct command *tag_change;
    struct join *joins;
    uint32_t join_count;
    struct number_map syncs;       /* stream -> the join that asks a contact on it */
    struct number_map resolutions; /* name look-up -> struct join_entry */
    uint32_t last_resolution;
    struct number_map prunes; /* by member */
    struct join_policy policy;
    struct rejoin rejoin;
    struct number_map inquiries; /* by sequence number */
    struct recording recording;

    struct number_map open_queries; /* by id */
    struct number_map collectors;   /* by id */
    uint32_t last_query, last_collector;
    struct key_command *key_commands;      /* oldest first */
    struct key_command *ended_key_command; /* their reports are being read */
    struct key_report no_report;
    struct {
        bool running;
        uint32_t responses, matching;
    } vote; /* on our own name */

    struct coordinate_model position;
    struct number_map positions; /* member -> struct coordinate_peer */

    struct held_event *held; /* owned */
    uint32_t held_count, held_capacity;
    struct timer event_quantum, event_quiescent;

    struct pending_event *pending; /* owned */
    uint32_t pending_count, pending_capacity;
    struct number_map pending_of; /* member -> 1 + its place in `pending` */

    struct timer reap_timer, reconnect_timer, queue_timer;
    struct timer quantum_timer, quiescent_timer;
    struct serf_metrics metrics;
    struct buffer received; /* the message being handled */
    struct buffer scratch;
};

#define serf_log(serf, level, ...) swim_log(&(serf)->swim, level, __VA_ARGS__)
#define serf_log_limited(serf, kind, level, ...)                                                   \
    swim_log_limited(&(serf)->swim, kind, level, __VA_ARGS__)

/* serf.c */
void serf_pump(struct serf *serf);
void clock_witness(uint64_t *clock, uint64_t time);
bool ltime_is_sane(struct serf *serf, const char *what, uint64_t ltime);

/* members.c */
void serf_member_joined(struct serf *serf, uint32_t member);
void serf_member_departed(struct serf *serf, uint32_t member);
void serf_member_updated(struct serf *serf, uint32_t member);
void serf_member_conflict(struct serf *serf, uint32_t member, const struct endpoint *other);
void serf_member_forced_left(struct serf *serf, uint32_t member);
void serf_prune(struct serf *serf, uint32_t member);
void serf_prune_timer(struct serf *serf, struct timer *timer);
void serf_reap(struct serf *serf);
void serf_reconnect(struct serf *serf);
void serf_free_prunes(struct serf *serf);

/* coalesce.c */
void coalesce_event(struct serf *serf, uint32_t member, enum member_event_type type);
void coalesce_flush(struct serf *serf);
void coalesce_fini(struct serf *serf);

/* intents.c */
void intents_init(struct serf *serf);
void intents_fini(struct serf *serf);
bool handle_leave_intent(struct serf *serf, const struct leave_intent *intent);
bool handle_join_intent(struct serf *serf, const struct join_intent *intent);
/* Takes what was buffered for a member that has just become known. */
void intents_apply(struct serf *serf, uint32_t member);
void intents_expire(struct serf *serf);
void broadcast_join_intent(struct serf *serf);
/* Tells everybody directly that this name is about to leave where it was before. */
void tell_leave_of_former_life(struct serf *serf);

/* queues.c */
void queues_init(struct serf *serf);
void queues_fini(struct serf *serf);
void queues_draw(void *context, size_t limit, struct compound *compound);
size_t queues_reserve(void *context, size_t limit);
void queues_check(struct serf *serf);
/* Queues the bytes of a message. NULL when that was not possible; the atom is borrowed from the
 * queue. `notify`: queues_finished is told. */
struct atom *queue_message(struct serf *serf, struct broadcast_queue *queue, struct span message,
                           bool notify);
/* Takes the message out of the queue, if it is still there; it counts as finished. */
void queue_withdraw(struct broadcast_queue *queue, const struct atom *message);

/* user_events.c */
void handle_user_message(struct serf *serf, struct span message);
bool handle_user_event(struct serf *serf, const struct user_event_message *event);
void write_event_ring(const struct serf *serf, struct buffer *out);
void rings_fini(struct serf *serf);
/* The slot of a Lamport time; `fresh`: what is in it belongs to another time. NULL: no memory. */
struct ring_slot *ring_slot_for(struct ring_slot **ring, uint32_t size, uint64_t ltime,
                                bool *fresh);
/* The time is before what a ring remembers. */
bool ring_is_past(uint64_t clock, uint32_t size, uint64_t ltime);

/* event_coalesce.c */
bool event_is_held(const struct serf *serf, const struct user_event_message *event);
void event_hold(struct serf *serf, const struct user_event_message *event);
/* Hands an event to the application at once. */
void event_tell(struct serf *serf, const struct user_event_message *event);
void events_flush(struct serf *serf);
void events_held_fini(struct serf *serf);

/* queries.c: of others */
bool handle_query(struct serf *serf, const struct query_message *query);
/* The encoded answer, without a look at limits. */
bool query_answer_encode(const struct serf *serf, const struct open_query *query,
                         struct span payload, struct buffer *message);
bool query_answer(struct serf *serf, struct open_query *query, struct span payload,
                  struct buffer *error);
void query_timer(struct serf *serf, struct timer *timer);
void queries_fini(struct serf *serf);

/* internal_queries.c; `name` is without its prefix */
void internal_query(struct serf *serf, struct open_query *query, struct span name,
                    struct span payload);
/* INQUIRY_CONFLICT has ended: `answered` or not. */
void answer_conflict_at_last(struct serf *serf, const struct inquiry *inquiry, bool answered);

/* query_collector.c: of our own */
struct collector *query_ask(struct serf *serf, enum query_purpose purpose,
                            const struct serf_query_parameters *parameters, struct buffer *error);
void handle_query_response(struct serf *serf, const struct query_response_message *response);
void collector_timer(struct serf *serf, struct timer *timer);
/* Nobody is left to answer: the query ends at the next turn. */
void query_end_now(struct serf *serf, uint32_t query);
void collectors_fini(struct serf *serf);

/* key_commands.c */
void key_query_take(struct serf *serf, uint32_t query, struct span from, struct span payload);
void key_query_ended(struct serf *serf, uint32_t query);
void key_commands_run(struct serf *serf);
/* The effects have been taken, and with them the reports. */
void key_commands_forget_ended(struct serf *serf);
void key_commands_fini(struct serf *serf);

/* name_vote.c */
void name_vote_begin(struct serf *serf);
void name_vote_take(struct serf *serf, struct span payload);
void name_vote_ended(struct serf *serf);

/* positions.c */
void position_write(void *context, struct buffer *out);
void position_learn(void *context, uint32_t member, uint64_t round_trip, struct span payload);
void position_forget(struct serf *serf, uint32_t member);
void positions_fini(struct serf *serf);

/* exchange.c: the Serf layer's part of a push/pull */
void write_local_state(void *context, bool join, struct buffer *out);
void merge_remote_state(struct serf *serf, struct span bytes, bool join);

/* commands.c */
uint32_t next_command_id(struct serf *serf);
struct command *command_new(struct serf *serf, enum command_kind kind);
void command_done(struct serf *serf, uint32_t id, bool ok, uint32_t count, const char *error);
void command_end(struct serf *serf, struct command *command, bool ok, const char *error);
void command_timer(struct serf *serf, struct timer *timer);
void command_broadcast_finished(struct serf *serf, const struct atom *message);
void command_left(struct serf *serf, bool timed_out);
/* Another member is gone, or a join ended: a leave need not wait until it is heard by nobody. */
void command_listener_gone(struct serf *serf);
void command_updated(struct serf *serf, bool timed_out);
void commands_fini(struct serf *serf);

/* join.c */
struct join *join_start(struct serf *serf, enum join_purpose purpose, const struct span *addresses,
                        size_t count, bool replay, uint64_t dial_timeout);
/* Ends and frees a join that waits for nothing more. */
void join_end_if_done(struct serf *serf, struct join *join);
void join_resolved(struct serf *serf, uint32_t request, const struct endpoint *endpoints,
                   size_t count, bool whole, const char *error);
void join_synced(struct serf *serf, const struct effect *effect);
bool joins_ignore_old(const struct serf *serf);
/* This member leaves: joins that have told nobody of it yet end here. */
void joins_stop(struct serf *serf);
/* The reference's words for what went wrong, or one line with "; " between the reasons. */
void join_error_text(const struct join *join, bool one_line, struct buffer *out);
/* Whether what was to be asked is not known in full: a name that could not be looked up. */
bool join_has_unresolved(const struct join *join);
void joins_fini(struct serf *serf);

/* inquiry.c */
/* Pings the address under the name; goes on with what the purpose says, to exchange states on the
 * ack only. `query` as in struct inquiry. False when too many are asked, or memory is out. */
bool inquire(struct serf *serf, enum inquiry_purpose purpose, struct span name,
             const struct endpoint *endpoint, uint32_t query);
void inquiry_timer(struct serf *serf, struct timer *timer);
void inquiry_answered(struct serf *serf, uint32_t sequence);
void inquiries_stop(struct serf *serf);

/* rejoin.c */
/* Takes over what the snapshot knows; asks the first of its members at the next turn. False when
 * memory is out. */
bool rejoin_begin(struct serf *serf, const struct snapshot *snapshot);
void rejoin_timer(struct serf *serf);
void rejoin_unanswered(struct serf *serf);
void rejoin_answered(struct serf *serf, struct atom *name, const struct endpoint *endpoint);
void rejoin_ended(struct serf *serf, const struct join *join);
/* The first round is under way: events that were missed are on their way, whoever brings them. */
bool rejoin_is_resuming(const struct serf *serf);
/* It turned up, or need not be looked for. True when it was remembered. */
bool rejoin_forget(struct serf *serf, struct span name);
/* Records who has not turned up, and forgets whom reconnect_timeout has passed. */
void rejoin_age(struct serf *serf);
/* How many are looked for as failed members are, and one of them. */
uint32_t rejoin_lost_count(const struct serf *serf);
const struct snapshot_peer *rejoin_pick(const struct serf *serf, uint32_t number);
void rejoin_fini(struct serf *serf);

/* recording.c: each does nothing when no snapshot is kept */
void record_member(struct serf *serf, uint32_t member, bool alive);
/* After record_member: it did not leave, and may come back. */
void record_failed(struct serf *serf, uint32_t member);
/* Of those that are remembered from the last life, and are no members of this one. */
void record_absent(struct serf *serf, const struct snapshot_peer *peer);
void record_gone(struct serf *serf, struct span name);
/* The time of day, in seconds since 1970; at least 1. */
uint64_t record_time(const struct serf *serf);
void record_event_time(struct serf *serf, uint64_t ltime);
void record_query_time(struct serf *serf, uint64_t ltime);
void record_leave(struct serf *serf);
/* The member clock may have moved: it is written half a second later. */
void record_clock_soon(struct serf *serf);
void record_clock(struct serf *serf);

/* join_policy.c */
void policy_timer(struct serf *serf);
void policy_try_ended(struct serf *serf, const struct join *join);
void policy_fini(struct serf *serf);

#endif

/* One member of a Serf cluster, as a pure state machine.
 *
 * It owns no socket, clock, thread or file. A host (the agent's node, the simulator, a test) calls
 * it with what happened and the time, and after every call drains serf_next_effect and learns from
 * serf_next_deadline when to call serf_advance. A call that comes while effects wait queues its own
 * behind them. Time is nanoseconds on a clock that never goes
 * back. Everything the member does is a function of these calls and of its seed.
 *
 *     serf_packet(serf, now, &from, datagram);
 *     while (serf_next_effect(serf, &effect))
 *         perform(&effect);
 *     sleep_until(serf_next_deadline(serf));
 *     serf_advance(serf, now);
 */
#ifndef SERF_SERF_H
#define SERF_SERF_H

#include "effect.h"
#include "intern.h"
#include "swim_config.h"

enum {
    SERF_PROTOCOL_MIN = 2,
    SERF_PROTOCOL_MAX = 5,
    JOIN_ADDRESSES_MAX = 1024,     /* of one join */
    RESOLVED_ADDRESSES_MAX = 1024, /* of one name, service or provider */
    NODE_NAME_SIZE_MAX = 128,      /* with validate_node_names */
};

struct snapshot;

/* A queue of the Serf layer is cut back to its depth when it is so much longer, so that a full one
 * is not cut at every message. */
enum { QUEUE_SLACK = 512 };

struct serf_config {
    struct swim_config swim;  /* name, addresses, profile, encryption; meta is filled from tags */
    uint8_t protocol_version; /* 2 to 5 */
    bool validate_node_names;

    uint64_t broadcast_timeout; /* of leave, force-leave and tag changes */
    uint64_t leave_timeout;     /* of a leave in all, its steps included */
    uint64_t leave_propagate_delay;
    uint64_t coalesce_period; /* 0: member events are not coalesced */
    uint64_t quiescent_period;
    uint64_t reap_interval;
    uint64_t recent_intent_timeout;
    uint64_t reconnect_interval;
    uint64_t reconnect_timeout;
    uint64_t tombstone_timeout;
    uint64_t queue_check_interval;
    uint32_t queue_depth_warning;
    uint32_t max_queue_depth;
    uint32_t min_queue_depth;      /* above 0 the limit is twice the members, but at least this */
    uint64_t user_coalesce_period; /* 0: user events are not coalesced */
    uint64_t user_quiescent_period;
    uint32_t user_event_size_limit; /* bytes, before and after encoding */
    uint32_t query_size_limit;      /* bytes of the encoded message, likewise below */
    uint32_t query_response_size_limit;
    bool coordinates;            /* learned from probes, told in acks */
    bool resolve_name_conflicts; /* by a vote, whose loser stops */
    uint32_t event_buffer;       /* slots of the ring that recognises duplicate user events */
    uint32_t query_buffer;

    /* Whether a regular expression (RE2's language, not anchored), which a peer sent, matches
     * `text`. False with the reason in `error` when it is no such expression. NULL: no filter by
     * tags selects this member. */
    bool (*expression_matches)(struct span expression, struct span text, struct buffer *error);

    /* The tag with which a member says for how long it is remembered after it failed or left, as a
     * duration ("10m"), in place of the two timeouts above; empty: none does. */
    struct span reconnect_timeout_tag;

    uint64_t time_of_day; /* at the time of serf_new, in seconds since 1970; goes into records of
                             failures only. 0: unknown, and such records do not expire */
    bool record;          /* what must survive a restart is told as EFFECT_RECORD */
    const struct snapshot *restored; /* borrowed during serf_new: what the last life recorded, or
                                        NULL; whoever was alive then is asked again */
};

/* The reference agent's defaults around the given profile's membership settings. */
void serf_config_init(struct serf_config *config, void (*profile)(struct swim_config *config));

struct serf;

/* `pool` is borrowed and may be shared; `seed` has RANDOM_SEED_SIZE bytes. On failure NULL, with
 * the reason in `error` (the reference's words, such as "Encoded length of tags exceeds limit of
 * 512 bytes"). The member's own join event is among the first effects. */
struct serf *serf_new(const struct serf_config *config, struct intern_pool *pool,
                      const uint8_t *seed, uint64_t now, struct buffer *error);
void serf_free(struct serf *serf);

/* --- what happened --- */

void serf_packet(struct serf *serf, uint64_t now, const struct endpoint *from,
                 struct span datagram);
/* A datagram to this address could not be sent (the system refused it). */
void serf_packet_failed(struct serf *serf, uint64_t now, const struct endpoint *to);

/* A peer connected. Returns the stream's id, or 0: refuse it (too many streams). */
uint32_t serf_stream_accepted(struct serf *serf, uint64_t now, const struct endpoint *from);
void serf_stream_opened(struct serf *serf, uint64_t now, uint32_t stream);
/* The connect failed or the stream broke; `reason` as in "dial tcp 10.0.0.1:7946: connect:
 * connection refused". The id is dead from here on. Unknown ids are ignored, here and below. */
void serf_stream_failed(struct serf *serf, uint64_t now, uint32_t stream, const char *reason);
void serf_stream_data(struct serf *serf, uint64_t now, uint32_t stream, struct span bytes);
/* The peer sends no more. */
void serf_stream_ended(struct serf *serf, uint64_t now, uint32_t stream);

/* The answer to EFFECT_RESOLVE: `count` endpoints (ports filled in), or 0 and why, as in
 * "lookup nohost: no such host". */
void serf_resolved(struct serf *serf, uint64_t now, uint32_t request,
                   const struct endpoint *endpoints, size_t count, const char *error);
/* The same where others could not be looked up, and why: these endpoints are asked, but to reach
 * nobody but oneself among them does not mean that there is nobody else. */
void serf_resolved_in_part(struct serf *serf, uint64_t now, uint32_t request,
                           const struct endpoint *endpoints, size_t count, const char *error);

/* Lets every timer that is due fire. */
void serf_advance(struct serf *serf, uint64_t now);
uint64_t serf_next_deadline(const struct serf *serf);

/* The next thing to do; false when there is none. */
bool serf_next_effect(struct serf *serf, struct effect *effect);

/* --- commands; each ends with one EFFECT_COMMAND_DONE that carries the number returned --- */

/* Contacts every address (as in serf_retry_join; the first answer to each counts). `replay`: user
 * events from before the join are delivered too. Reaching oneself counts, as in the reference. */
uint32_t serf_join(struct serf *serf, uint64_t now, const struct span *addresses, size_t count,
                   bool replay);

/* Says goodbye and waits until the cluster has heard it. A second call while the first runs is
 * answered with "Leave already in progress". */
uint32_t serf_leave(struct serf *serf, uint64_t now);

/* Turns a failed member into one that left; `prune` forgets it. */
uint32_t serf_force_leave(struct serf *serf, uint64_t now, struct span name, bool prune);

struct tag {
    struct span key, value;
};

/* Replaces this member's tags. */
uint32_t serf_set_tags(struct serf *serf, uint64_t now, const struct tag *tags, size_t count);

/* --- user events and queries (Serf specification, sections 4 and 5) --- */

enum { USER_EVENT_SIZE_MAX = 9216 }; /* that user_event_size_limit may ask for */

/* Tells every member, ourselves included. False with the reference's words in `error`. */
bool serf_user_event(struct serf *serf, uint64_t now, struct span name, struct span payload,
                     bool coalesce, struct buffer *error);

struct serf_query_parameters {
    struct span name, payload;
    const struct span *nodes; /* who is asked; none: everybody */
    size_t node_count;
    const struct tag *tags; /* each value a regular expression that the member's tag must match */
    size_t tag_count;
    bool acknowledge; /* who is asked says so at once */
    uint8_t relay_factor;
    uint64_t timeout; /* 0: serf_query_timeout */
};

/* Asks. Returns the query's number, which EFFECT_QUERY_ACK, _RESPONSE and at last _DONE carry; 0
 * with the reference's words in `error`. */
uint32_t serf_query(struct serf *serf, uint64_t now, const struct serf_query_parameters *parameters,
                    struct buffer *error);
/* Nobody wants the answers any more. */
void serf_query_cancel(struct serf *serf, uint32_t query);
/* Nanoseconds: how long the answers of all members may take. */
uint64_t serf_query_timeout(const struct serf *serf);

/* Answers a query that came as EFFECT_QUERY, once. False with the reference's words in `error`. */
bool serf_respond(struct serf *serf, uint64_t now, uint32_t query, struct span payload,
                  struct buffer *error);

/* --- keys over the cluster (Serf specification, section 6) --- */

enum key_operation { KEY_INSTALL, KEY_USE, KEY_REMOVE, KEY_LIST };

enum {
    KEY_REQUEST_SIZE_MAX = 64, /* bytes of a key that is asked for; members refuse odd ones */
    KEY_TEXT_SIZE_MAX = 64,    /* of a key in base64 */
    REPORTED_KEYS_MAX = 1024,
};

struct key_message {
    struct span node, text;
    uint8_t *bytes; /* owned: what both point into */
};

struct key_count {
    char key[KEY_TEXT_SIZE_MAX + 1]; /* base64 */
    uint32_t nodes;                  /* that have it */
};

struct key_report {
    uint32_t nodes, responses, errors;
    struct key_message *messages;
    uint32_t message_count;
    struct key_count *keys, *primary_keys;
    uint32_t key_count, primary_count;
};

/* Has all members install, use, remove or list keys; `key` is raw bytes, empty for a list. Ends
 * with EFFECT_KEYS_DONE, which carries the number returned. */
uint32_t serf_keys(struct serf *serf, uint64_t now, enum key_operation operation, struct span key,
                   uint8_t relay_factor);

/* After EFFECT_KEYRING_CHANGED: the file is written, there is none (`error` NULL), or why not
 * ("Failed to write keyring file: ..."). */
void serf_keyring_saved(struct serf *serf, uint64_t now, uint32_t query, const char *error);

struct retry_join {
    uint64_t interval;     /* the longest wait between tries; at least a second is kept */
    uint32_t max_attempts; /* after so many failures EFFECT_STOP; 0: never */
    bool replay;           /* user events from before the join are delivered too */
    bool watch;            /* look for life whether others are behind the addresses, also without a
                              label or a key to keep strangers out */
};

/* The policy that brings a member into its cluster and keeps looking while it is alone: see
 * join_policy.h. Addresses are "[name/]host[:port]", "srv+NAME" and "provider=...". Called again,
 * it starts anew with these addresses; none ends it. Reports with log lines. */
void serf_retry_join(struct serf *serf, uint64_t now, const struct span *addresses, size_t count,
                     const struct retry_join *options);

/* For the end of a life without a leave: the member clock is recorded now, not half a second
 * later. */
void serf_record_clock(struct serf *serf, uint64_t now);

/* --- questions --- */

/* Appends a whole snapshot, as short as can be, that may replace all that was recorded so far.
 * False when memory is out. */
bool serf_write_snapshot(const struct serf *serf, struct buffer *out);

/* Visits the members in order of their names' slots: start with *position = 0. */
bool serf_next_member(const struct serf *serf, uint32_t *position, struct member_view *member);
bool serf_find_member(const struct serf *serf, struct span name, struct member_view *member);
void serf_local_member(const struct serf *serf, struct member_view *member);

struct serf_stats {
    uint32_t members, failed, left;
    uint32_t health_score;
    uint64_t member_time, event_time, query_time;
    uint32_t intent_queue, event_queue, query_queue;
    uint64_t coordinate_resets;
    bool encrypted;
    /* Since the start; see struct swim_metrics. */
    uint64_t plaintext_accepted, unlabelled_accepted, labels_refused, answers_withheld;
    /* For whoever watches that nothing goes back and nothing grows without end. */
    uint32_t incarnation;
    uint32_t membership_queue, suspicions, relays, streams;
    uint32_t node_states[4]; /* members by what the membership core thinks: alive, suspect, dead,
                                left (enum node_state) */
};

void serf_stats(const struct serf *serf, struct serf_stats *stats);

/* The join policy has asked its addresses, and each of several times all that answered was this
 * very member: nobody else is there to be found. */
bool serf_found_nobody_else(const struct serf *serf);

/* What was counted since the start (swim_metrics.h, serf_metrics.h). */
struct swim_metrics;
struct serf_metrics;

const struct swim_metrics *serf_swim_metrics(const struct serf *serf);
const struct serf_metrics *serf_metrics(const struct serf *serf);

/* --- network coordinates (coordinate.h) --- */

struct coordinate;

/* Where a member is, as far as is known: false when coordinates are off, or the member is unknown
 * or has not answered a probe yet. */
bool serf_coordinate(const struct serf *serf, struct span name, struct coordinate *coordinate);

enum serf_state {
    SERF_ALIVE,
    SERF_LEAVING,
    SERF_LEFT,
};

enum serf_state serf_state(const struct serf *serf);

/* Appends the metadata that carries these tags at this protocol version. False when it would be
 * longer than META_SIZE_MAX ("Encoded length of tags exceeds limit of 512 bytes"). */
bool serf_encode_tags(struct buffer *out, uint8_t protocol_version, const struct tag *tags,
                      size_t count);

#endif

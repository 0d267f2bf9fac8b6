/* What the source files of this room share; no other room includes it. */
#ifndef SWIM_INTERNAL_H
#define SWIM_INTERNAL_H

#include "suspicion.h"
#include "swim.h"

/* Kinds of struct broadcast. An arrival is an alive message, too. */
enum { BROADCAST_ALIVE = 1, BROADCAST_SUSPECT = 2, BROADCAST_DEAD = 3, BROADCAST_ARRIVAL = 4 };

/* state.c: the transitions of memberlist specification, 7.7 */
/* `hash`: the name's, by member_table_hash. `tell`: others are to hear of it from us. */
void swim_apply_alive(struct swim *swim, const struct alive_message *alive, uint32_t hash,
                      bool tell);
void swim_apply_suspect(struct swim *swim, const struct suspect_message *suspect);
/* When it is we who are suspected or said to be dead, and the accuser itself says so from `at`: we
 * have refuted, and it has not heard of it. It is told directly. */
void swim_answer_accuser(struct swim *swim, const struct endpoint *at,
                         const struct suspect_message *accusation);
/* Counts one more answer; false when there were `limit` of them in this second. */
bool swim_may_answer(const struct swim *swim, struct answer_count *answers, uint32_t limit);
/* What we say of ourselves. */
struct alive_message swim_own_alive(const struct swim *swim);
void swim_apply_dead(struct swim *swim, const struct suspect_message *dead);
/* Whether an incarnation that a peer names can be true of this member; logs when not. */
bool swim_believes(struct swim *swim, struct span name, uint32_t incarnation, bool accusation);
/* Raises the own incarnation above `than`, too; it never wraps. */
void swim_next_incarnation(struct swim *swim, uint32_t than);
bool swim_start_self(struct swim *swim, struct span name, struct span meta);
void swim_suspicion_expired(struct swim *swim, struct suspicion *suspicion);
void swim_reap(struct swim *swim);
void swim_free_suspicions(struct swim *swim);
struct span swim_own_name(const struct swim *swim);
bool swim_is_self(const struct swim *swim, struct span name);

/* gossip.c */
void swim_gossip_tick(struct swim *swim);
bool swim_queue_broadcast(struct swim *swim, uint32_t member, unsigned kind, struct span from,
                          bool notify);
/* The member's broadcast, if there is one, is not sent any more. */
void swim_cancel_broadcast(struct swim *swim, uint32_t member);
void swim_broadcast_finished(void *context, const struct broadcast *item);
void swim_broadcast_dropped(void *context, const struct broadcast *item);
/* Fills the rest of the datagram in swim->compound, `used` bytes of which are taken. */
void swim_piggyback(struct swim *swim);
/* Sends swim->compound. */
void swim_send(struct swim *swim, const struct endpoint *to, bool checksum);
/* Starts swim->compound with one message. False when memory is out. */
bool swim_begin_datagram(struct swim *swim, enum message_type type,
                         const struct msgpack_structure *structure, const void *message);
bool swim_add_message(struct swim *swim, enum message_type type,
                      const struct msgpack_structure *structure, const void *message);
/* Whether a peer of these versions wants a checksum. */
bool swim_wants_checksum(const struct swim *swim, uint32_t member);

/* probe.c */
void swim_probe_tick(struct swim *swim);
void swim_probe_timer(struct swim *swim);
void swim_relay_timer(struct swim *swim, struct timer *timer);
void swim_free_relays(struct swim *swim);
void swim_handle_ping(struct swim *swim, const struct endpoint *from, struct span body);
void swim_handle_indirect_ping(struct swim *swim, const struct endpoint *from, struct span body);
void swim_handle_ack(struct swim *swim, const struct endpoint *from, struct span body);
void swim_handle_nack(struct swim *swim, const struct endpoint *from, struct span body);
/* Has a few members ping this address, of which the bytes are as they travel, under a name. Their
 * acks carry the sequence number. */
void swim_ping_by_helpers(struct swim *swim, struct span address, uint16_t port, struct span name,
                          uint32_t sequence);
void swim_probe_send_failed(struct swim *swim, const struct endpoint *to);
/* The TCP ping of the running probe ended. */
void swim_probe_tcp_done(struct swim *swim, uint32_t stream, bool reached);
void swim_change_health(struct swim *swim, int delta);

/* move.c */
/* A peer holds our own name at this address, if it is another one than ours. */
void swim_held_elsewhere(struct swim *swim, struct span address, uint16_t port,
                         uint32_t incarnation);
/* Whether this ack is an answer from there. */
bool swim_move_answered(struct swim *swim, uint32_t sequence);
void swim_move_timer(struct swim *swim);

/* claim.c */
/* A known member that has not left is said to be alive at another address. */
void swim_claimed(struct swim *swim, uint32_t member, const struct alive_message *alive);
/* Whether this ack is an answer from either address. */
bool swim_claim_answered(struct swim *swim, uint32_t sequence);
void swim_claim_timer(struct swim *swim, struct timer *timer);
void swim_free_claims(struct swim *swim);
/* state.c: the member is where this identity says, alive. */
void swim_grant_claim(struct swim *swim, uint32_t member, const struct atom *identity,
                      uint32_t incarnation);

/* swim.c: sends one message (its type byte first) to every live member by itself */
void swim_tell_each(struct swim *swim, struct span message);

/* sync.c */
void swim_push_pull_tick(struct swim *swim);
/* A member came to life: the view grew. Comes before any broadcast about it. */
void swim_view_grew(struct swim *swim);
void swim_catch_up(struct swim *swim);
void swim_stream_timer(struct swim *swim, struct timer *timer);
void swim_free_streams(struct swim *swim);
/* Opens a stream that pings `member` by TCP; 0 when none is free. */
uint32_t swim_open_tcp_ping(struct swim *swim, uint32_t member, uint32_t sequence,
                            uint64_t deadline);
/* The TCP ping on this stream (0: none) has got no answer in time: says so, if it got as far as
 * being sent. */
void swim_tcp_ping_timed_out(struct swim *swim, uint32_t stream);
void swim_close_stream(struct swim *swim, uint32_t stream);

/* versions.c */
struct version_range {
    uint8_t protocol_min, protocol_max, delegate_min, delegate_max;
};
struct version_range version_range_all(void);
void version_range_narrow(struct version_range *range, struct span versions);
/* Of the versions that somebody speaks, at first none. */
struct version_range version_range_none(void);
void version_range_widen(struct version_range *spoken, struct span versions);
bool version_range_holds(const struct version_range *understood,
                         const struct version_range *spoken);
/* False, with the reference's words in `error`, when the member's versions lie outside. */
bool version_range_admits(const struct version_range *range, struct span name, struct span versions,
                          struct buffer *error);

/* "from=10.0.0.1:7946"; `text` has FROM_TEXT_SIZE bytes. */
enum { FROM_TEXT_SIZE = ENDPOINT_TEXT_SIZE + 8 };
const char *swim_from_text(const struct endpoint *from, char *text);

#endif

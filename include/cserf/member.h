/* A member of a Serf cluster inside your program.
 *
 *     config = cserf_config_new();
 *     cserf_config_set_name(config, "web-1");
 *     cserf_config_on_event(config, my_event, NULL);
 *     member = cserf_member_new(config, &error);
 *     cserf_config_free(config);
 *     for (;;) {
 *         struct pollfd wait = {cserf_member_descriptor(member), POLLIN, 0};
 *         poll(&wait, 1, -1);
 *         cserf_member_dispatch(member, &error);
 *     }
 *
 * The member never blocks (but see cserf_member_free), owns no signal and changes nothing in the
 * process but its own descriptors. It must be dispatched whenever its descriptor is readable: a
 * member that is not for more than a second or so is suspected by others, and failed after a few.
 *
 * Callbacks come from cserf_member_dispatch only, one after the other, in the order in which things
 * happened. They may call everything in this header, cserf_member_free included, but for dispatch
 * itself.
 *
 * Threads: a member belongs to one thread at a time, the caller's; calls on one member must not
 * overlap. Different members, and RPC clients, may be used by different threads at once. The
 * library itself starts a short-lived thread when a snapshot is rewritten; no callback comes from
 * it. After fork, the child may only close the descriptor's copy, or exec. */
#ifndef CSERF_MEMBER_H
#define CSERF_MEMBER_H

#include <cserf/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- configuration --- */

/* Setters copy what they are given and return nothing: the first one that fails is what
 * cserf_member_new then reports. NULL or 0 takes a setting back to its default. */
struct cserf_config;

CSERF_API struct cserf_config *cserf_config_new(void);         /* NULL when memory is out */
CSERF_API void cserf_config_free(struct cserf_config *config); /* NULL is ignored */

/* Unique in the cluster; default: the host's name. */
CSERF_API void cserf_config_set_name(struct cserf_config *config, const char *name);

/* "ADDRESS", "ADDRESS:PORT", ":PORT" with a numeric address; an IPv6 address with a port stands in
 * brackets. Default: all addresses of both families, port 7946. Port 0: the system chooses. UDP and
 * TCP. */
CSERF_API void cserf_config_set_bind(struct cserf_config *config, const char *address);

/* The address under which others reach this member, written likewise. Default: the one bound, or
 * the first private address of the machine; the port that is bound. */
CSERF_API void cserf_config_set_advertise(struct cserf_config *config, const char *address);

enum cserf_profile { CSERF_PROFILE_LAN = 0, CSERF_PROFILE_WAN = 1, CSERF_PROFILE_LOCAL = 2 };

/* The network's timing, the same for all members; default: LAN. */
CSERF_API void cserf_config_set_profile(struct cserf_config *config, enum cserf_profile profile);

/* Adds a tag, or changes it. All tags together have 512 bytes, encoded. */
CSERF_API void cserf_config_set_tag(struct cserf_config *config, const char *key,
                                    const char *value);

/* A key of the cluster in base64 (16, 24 or 32 bytes; `serf keygen` makes one). The first is the
 * one that encrypts; all decrypt. Without keys nothing is encrypted. */
CSERF_API void cserf_config_add_key(struct cserf_config *config, const char *key);

/* Keeps clusters on one network apart; no stock Serf can join one that has a label. */
CSERF_API void cserf_config_set_label(struct cserf_config *config, const char *label);

/* A file that remembers members and clocks over a restart, and from which the member rejoins by
 * itself; `rejoin_after_leave`: also after it left gracefully. */
CSERF_API void cserf_config_set_snapshot(struct cserf_config *config, const char *path,
                                         bool rejoin_after_leave);

/* Whether cserf_member_retry_join goes on for life once it has found others, now and then (about
 * once a minute for each member, less often in a large cluster), so that clusters which formed
 * apart become one. Default: only with a label or a key, since an address that was given to
 * somebody else would merge two clusters that have nothing to do with each other. */
CSERF_API void cserf_config_set_retry_watch(struct cserf_config *config, bool watch);

/* Joins and leaves within `period_ms` come together, each member's last one only, or earlier after
 * `quiet_ms` without any. Default: none, they come at once. */
CSERF_API void cserf_config_set_coalescing(struct cserf_config *config, uint32_t period_ms,
                                           uint32_t quiet_ms);

CSERF_API void cserf_config_on_event(struct cserf_config *config, cserf_event_callback *callback,
                                     void *context);

/* One line for the log, "component: message", without time or newline, at `level` or above. */
typedef void cserf_log_callback(void *context, enum cserf_log_level level, const char *line);
CSERF_API void cserf_config_on_log(struct cserf_config *config, enum cserf_log_level level,
                                   cserf_log_callback *callback, void *context);

/* The cluster's keys were changed by another member (`serf keys`): all that this one has now, in
 * base64, the encrypting one first, to be kept for the next start. Returns whether they are kept;
 * false is reported to whoever asked. Without this callback they are forgotten with the member. */
typedef bool cserf_keys_callback(void *context, const char *const *keys, size_t count);
CSERF_API void cserf_config_on_keys(struct cserf_config *config, cserf_keys_callback *callback,
                                    void *context);

/* --- life --- */

struct cserf_member;

/* Binds the sockets and starts the member. The configuration may be freed, or used for another one.
 * NULL on failure. */
CSERF_API struct cserf_member *cserf_member_new(const struct cserf_config *config,
                                                struct cserf_error *error);

/* Closes everything at once; for others the member has failed, unless it has left before. Pending
 * callbacks never come. Waits for the disk when there is a snapshot. NULL is ignored. */
CSERF_API void cserf_member_free(struct cserf_member *member);

/* Readable when there is something to do; the same for the member's life. An epoll descriptor:
 * poll, select, or put it into an epoll set or another library's loop, for reading. */
CSERF_API int cserf_member_descriptor(const struct cserf_member *member);

/* Does what is due, and calls back. CSERF_CLOSED after CSERF_EVENT_STOPPED, and when a callback has
 * freed the member; CSERF_BUSY inside a callback. */
CSERF_API enum cserf_code cserf_member_dispatch(struct cserf_member *member,
                                                struct cserf_error *error);

/* Where it listens, and what it tells others, as "ADDRESS:PORT" or "[ADDRESS]:PORT". Borrowed, for
 * the member's life. */
CSERF_API const char *cserf_member_bound(const struct cserf_member *member);
CSERF_API const char *cserf_member_advertised(const struct cserf_member *member);

/* --- commands --- */

/* Comes once for a command that was taken (CSERF_OK), from a later dispatch; `error` has its
 * outcome, CSERF_OK or CSERF_REFUSED with the reason. Never after CSERF_EVENT_STOPPED. May be NULL
 * where a command takes one. */
typedef void cserf_done_callback(void *context, const struct cserf_error *error);

/* `contacted`: of the addresses, how many answered; CSERF_OK when at least one did. */
typedef void cserf_join_callback(void *context, const struct cserf_error *error,
                                 unsigned contacted);

/* Asks at each address ("HOST", "HOST:PORT"; names are looked up) for the members there. `replay`:
 * also for user events of before. */
CSERF_API enum cserf_code cserf_member_join(struct cserf_member *member,
                                            const char *const *addresses, size_t count, bool replay,
                                            cserf_join_callback *done, void *context,
                                            struct cserf_error *error);

/* Joins, tries again every `interval_ms` until it works, and keeps looking while the member is
 * alone, or for life: see cserf_config_set_retry_watch. That is what a service should do at its
 * start. max_attempts 0: for ever; otherwise
 * CSERF_EVENT_STOPPED comes after so many that failed. Called again, it begins anew with these
 * addresses in place of the earlier ones; without any (count 0) the search is over. */
CSERF_API enum cserf_code cserf_member_retry_join(struct cserf_member *member,
                                                  const char *const *addresses, size_t count,
                                                  uint32_t interval_ms, uint32_t max_attempts,
                                                  bool replay, struct cserf_error *error);

/* Says goodbye, and is done when the cluster has heard it: seconds. Then free the member. */
CSERF_API enum cserf_code cserf_member_leave(struct cserf_member *member, cserf_done_callback *done,
                                             void *context, struct cserf_error *error);

/* Has all members take a failed member for one that left; `prune` forgets it. */
CSERF_API enum cserf_code cserf_member_force_leave(struct cserf_member *member, const char *name,
                                                   bool prune, cserf_done_callback *done,
                                                   void *context, struct cserf_error *error);

/* Replaces this member's tags by these. */
CSERF_API enum cserf_code cserf_member_set_tags(struct cserf_member *member,
                                                const struct cserf_tag *tags, size_t count,
                                                cserf_done_callback *done, void *context,
                                                struct cserf_error *error);

/* Tells every member, this one included. Name and payload together have 512 bytes. `coalesce`: of
 * several of this name, receivers may be given the last only. */
CSERF_API enum cserf_code cserf_member_user_event(struct cserf_member *member, const char *name,
                                                  const void *payload, size_t payload_size,
                                                  bool coalesce, struct cserf_error *error);

/* Asks every member, this one included, or those whom the options (NULL: the defaults) select. The
 * callback gets acks and responses until CSERF_ANSWER_DONE. Returns the query's number, 0 on
 * failure. */
CSERF_API uint64_t cserf_member_query(struct cserf_member *member, const char *name,
                                      const void *payload, size_t payload_size,
                                      const struct cserf_query_options *options,
                                      cserf_answer_callback *callback, void *context,
                                      struct cserf_error *error);

/* No more callbacks for this query. Numbers that are done are ignored. */
CSERF_API void cserf_member_query_cancel(struct cserf_member *member, uint64_t query);

/* Has all members, this one included, install, use, remove or list keys; `key` is base64, NULL for
 * a list. `done` is told CSERF_OK when every one of them did it, else CSERF_REFUSED with a summary,
 * and in any case what they reported; it may be NULL. Only a member that encrypts has keys. The
 * steps of a change of keys: install the new one, use it, remove the old one, each when the one
 * before went well. */
CSERF_API enum cserf_code cserf_member_keys(struct cserf_member *member,
                                            enum cserf_key_operation operation, const char *key,
                                            cserf_key_report_callback *done, void *context,
                                            struct cserf_error *error);

/* Answers the query of a CSERF_EVENT_QUERY, once, at once or until its time is up. */
CSERF_API enum cserf_code cserf_member_respond(struct cserf_member *member, uint64_t query,
                                               const void *payload, size_t payload_size,
                                               struct cserf_error *error);

/* --- questions --- */

/* Visits the members: start with *position = 0; NULL at the end. A node is borrowed until the next
 * call on this member. */
CSERF_API const struct cserf_node *cserf_member_next(struct cserf_member *member,
                                                     uint32_t *position);
CSERF_API const struct cserf_node *cserf_member_find(struct cserf_member *member,
                                                     const char *name); /* NULL: unknown */
CSERF_API const struct cserf_node *cserf_member_self(struct cserf_member *member);

/* The round-trip time between two members, in milliseconds, estimated from their network
 * coordinates: neither is asked. `to` NULL: this member. CSERF_REFUSED when one is unknown, or has
 * not answered a probe of this member yet. */
CSERF_API enum cserf_code cserf_member_rtt(const struct cserf_member *member, const char *from,
                                           const char *to, double *rtt_ms,
                                           struct cserf_error *error);

/* This member's own state: CSERF_ALIVE, CSERF_LEAVING or CSERF_LEFT; CSERF_NONE when stopped. */
CSERF_API enum cserf_status cserf_member_status(const struct cserf_member *member);

/* Fill `size`, and as much as the library knows of is written. */
struct cserf_stats {
    size_t size; /* sizeof(struct cserf_stats) */
    uint32_t members, failed, left;
    uint32_t health_score; /* 0: good; it grows when this member misses answers */
    uint32_t intent_queue, event_queue, query_queue;
    uint64_t member_time, event_time, query_time; /* Lamport clocks */
    bool encrypted;
};

CSERF_API void cserf_member_stats(const struct cserf_member *member, struct cserf_stats *stats);

#ifdef __cplusplus
}
#endif

#endif

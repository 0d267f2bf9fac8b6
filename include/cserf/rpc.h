/* A client of an agent that runs elsewhere: cserf's, or the reference's.
 *
 * Calls wait for the agent's answer, up to the client's time limit. Streams, monitors and the
 * answers of a query call back: from cserf_rpc_dispatch, which never waits, and from calls that
 * find records before the answer they wait for. Poll cserf_rpc_descriptor for reading, then
 * dispatch. Inside a callback nothing but cserf_rpc_stop may be called on the same client; the rest
 * answers CSERF_BUSY.
 *
 * After CSERF_TIMED_OUT and CSERF_CLOSED the connection is of no more use: free the client, and
 * connect anew.
 *
 * Threads: a client belongs to one thread at a time; different clients may be used by different
 * threads at once. */
#ifndef CSERF_RPC_H
#define CSERF_RPC_H

#include <cserf/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cserf_rpc;

/* `address`: "HOST:PORT" or "unix:PATH", as the agent's rpc_addr has it; NULL: 127.0.0.1:7373.
 * `auth_key`: the agent's rpc_auth; NULL: none. A name may take 10 s to look up, and a connection
 * 10 s to open. NULL on failure. */
CSERF_API struct cserf_rpc *cserf_rpc_new(const char *address, const char *auth_key,
                                          struct cserf_error *error);

/* Not from inside a callback. NULL is ignored. */
CSERF_API void cserf_rpc_free(struct cserf_rpc *rpc);

/* For each answer that is waited for; at first 30000. A join, a leave and a change of tags take as
 * long as the agent does. */
CSERF_API void cserf_rpc_set_time_limit(struct cserf_rpc *rpc, uint32_t milliseconds);

/* --- streams --- */

/* The same for the client's life. */
CSERF_API int cserf_rpc_descriptor(const struct cserf_rpc *rpc);

/* Hands over the records that have come. CSERF_CLOSED when the agent went away. */
CSERF_API enum cserf_code cserf_rpc_dispatch(struct cserf_rpc *rpc, struct cserf_error *error);

/* Calls back for the events of these types, a comma list as in "member-join,user:deploy,query";
 * NULL: all. Returns the stream's number, 0 on failure. */
CSERF_API uint64_t cserf_rpc_stream(struct cserf_rpc *rpc, const char *types,
                                    cserf_event_callback *callback, void *context,
                                    struct cserf_error *error);

typedef void cserf_line_callback(void *context, const char *line);

/* Calls back for what the agent logs at this level and above ("trace", "debug", "info", "warn",
 * "err"; NULL: "info"), the last few hundred lines first. */
CSERF_API uint64_t cserf_rpc_monitor(struct cserf_rpc *rpc, const char *level,
                                     cserf_line_callback *callback, void *context,
                                     struct cserf_error *error);

/* No more callbacks for this stream or monitor. Inside a callback the agent is not told, and goes
 * on sending in vain. */
CSERF_API enum cserf_code cserf_rpc_stop(struct cserf_rpc *rpc, uint64_t number,
                                         struct cserf_error *error);

/* --- calls --- */

typedef void cserf_node_callback(void *context, const struct cserf_node *node);

/* All members, in the order of their names. */
CSERF_API enum cserf_code cserf_rpc_members(struct cserf_rpc *rpc, cserf_node_callback *callback,
                                            void *context, struct cserf_error *error);

/* Those that match all regular expressions (anchored; NULL: any); each tag's value is one. */
CSERF_API enum cserf_code cserf_rpc_members_filtered(struct cserf_rpc *rpc, const char *name,
                                                     const char *status,
                                                     const struct cserf_tag *tags, size_t tag_count,
                                                     cserf_node_callback *callback, void *context,
                                                     struct cserf_error *error);

CSERF_API enum cserf_code cserf_rpc_user_event(struct cserf_rpc *rpc, const char *name,
                                               const void *payload, size_t payload_size,
                                               bool coalesce, struct cserf_error *error);

/* Asks, and calls back until CSERF_ANSWER_DONE has been handed over: the query's own timeout. */
CSERF_API enum cserf_code cserf_rpc_query(struct cserf_rpc *rpc, const char *name,
                                          const void *payload, size_t payload_size,
                                          const struct cserf_query_options *options,
                                          cserf_answer_callback *callback, void *context,
                                          struct cserf_error *error);

/* Answers the query of a CSERF_EVENT_QUERY. */
CSERF_API enum cserf_code cserf_rpc_respond(struct cserf_rpc *rpc, uint64_t query,
                                            const void *payload, size_t payload_size,
                                            struct cserf_error *error);

/* `contacted` (may be NULL) gets how many of the addresses answered. */
CSERF_API enum cserf_code cserf_rpc_join(struct cserf_rpc *rpc, const char *const *addresses,
                                         size_t count, bool replay, unsigned *contacted,
                                         struct cserf_error *error);

/* Has the agent leave its cluster, and end. */
CSERF_API enum cserf_code cserf_rpc_leave(struct cserf_rpc *rpc, struct cserf_error *error);

CSERF_API enum cserf_code cserf_rpc_force_leave(struct cserf_rpc *rpc, const char *name, bool prune,
                                                struct cserf_error *error);

/* Sets some tags of the agent's and deletes others; a key in both is set. */
CSERF_API enum cserf_code cserf_rpc_set_tags(struct cserf_rpc *rpc, const struct cserf_tag *set,
                                             size_t set_count, const char *const *deleted,
                                             size_t deleted_count, struct cserf_error *error);

/* Has all members install, use, remove or list keys, as `serf keys`; `key` is base64, NULL for a
 * list. `callback` (may be NULL) is called once before this returns, with what was reported, unless
 * the agent gave no answer; CSERF_REFUSED when not every member did it. */
CSERF_API enum cserf_code cserf_rpc_keys(struct cserf_rpc *rpc, enum cserf_key_operation operation,
                                         const char *key, cserf_key_report_callback *callback,
                                         void *context, struct cserf_error *error);

/* The round-trip time between two members, in milliseconds, as `serf rtt` estimates it. `to` NULL:
 * the agent itself. CSERF_REFUSED when the agent has no coordinate for one of them. */
CSERF_API enum cserf_code cserf_rpc_rtt(struct cserf_rpc *rpc, const char *from, const char *to,
                                        double *rtt_ms, struct cserf_error *error);

/* One line of `serf info`, as in "serf", "members", "3". */
typedef void cserf_stat_callback(void *context, const char *section, const char *key,
                                 const char *value);
CSERF_API enum cserf_code cserf_rpc_stats(struct cserf_rpc *rpc, cserf_stat_callback *callback,
                                          void *context, struct cserf_error *error);

#ifdef __cplusplus
}
#endif

#endif

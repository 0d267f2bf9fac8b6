/* One running member: the pure core (serf.h) on the operating system's sockets, clock and name
 * service. Single-threaded: every function is called on the loop's thread, and every callback
 * comes from the loop, never from inside one of these calls, except `log`. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "loop.h"
#include "measurements.h"
#include "resolver.h"
#include "serf.h"

struct node;

struct node_callbacks {
    void *context;
    /* One log line, "component: message", without time or newline. May come from inside a call. */
    void (*log)(void *context, enum log_level level, struct span text);
    void (*member_event)(void *context, enum member_event_type type,
                         const struct member_view *members, size_t count);
    void (*user_event)(void *context, uint64_t ltime, struct span name, struct span payload,
                       bool coalesce);
    /* Somebody's query: answered with node_respond until `deadline` (loop_now's time). The spans
     * here and below are valid until the next call of this header. */
    void (*query)(void *context, uint32_t query, uint64_t ltime, uint64_t deadline,
                  struct span name, struct span payload, struct span source);
    /* A query of our own: `from` has got it; has answered; no more answers come. */
    void (*query_ack)(void *context, uint32_t query, struct span from);
    void (*query_response)(void *context, uint32_t query, struct span from, struct span payload);
    void (*query_done)(void *context, uint32_t query);
    /* A member has changed our keyring over the cluster: write its file, if there is one, and call
     * node_keyring_saved. */
    void (*keyring_changed)(void *context, uint32_t query);
    /* Finds where members may be by a provider's settings ("provider=k8s ...", RESOLVE_PROVIDER),
     * as resolver_lookup does by a name: `done` comes once, from the loop, unless the node has been
     * freed before; false when memory is out. NULL: no provider is known. */
    bool (*discover)(void *context, struct span settings, uint16_t port, resolver_done *done,
                     void *done_context);
    /* The member must stop by the protocol's own decision; the owner calls node_free, at once or
     * later. */
    void (*stopped)(void *context, enum stop_reason reason);
};

/* What the node measures itself, from its start; see swim_metrics.h. Nanoseconds. */
struct node_metrics {
    struct measurements
        gossip; /* timer calls of the core in which it gossiped, until all was sent */
    struct measurements snapshot_append, snapshot_compact;
};

struct node_config {
    struct serf_config serf;   /* swim.advertise may be unset (address_size 0): see node_new */
    const char *bind_address;  /* numeric, "" or NULL: every address, both families */
    uint16_t bind_port;        /* 0: the system chooses */
    const char *snapshot_path; /* NULL: nothing is remembered over a restart */
    bool rejoin_after_leave;   /* also after a graceful leave; needs a snapshot */
    struct node_callbacks callbacks;
};

/* Binds TCP and UDP on the same port, finds the address to advertise, and starts the member. An
 * unset advertise address becomes the bind address, or for 0.0.0.0, :: and "" the first private
 * address of the machine (memberlist specification, 9.4); an advertise port of 0 becomes the bound
 * port. NULL on failure, with the reference's words in `error` (what follows "Error creating
 * Serf: "). */
struct node *node_new(struct loop *loop, const struct node_config *config, struct buffer *error);

/* Closes everything at once, without a leave. Allowed inside the callbacks (but not in `log`). */
void node_free(struct node *node);

/* Borrowed, for the questions of serf.h (members, stats, state). Never call its inputs. */
const struct serf *node_serf(const struct node *node);
const struct node_metrics *node_metrics(const struct node *node);
struct endpoint node_bound(const struct node *node); /* with the real port */
struct endpoint node_advertised(const struct node *node);

/* `done` is called once, from the loop; only where memory was out for more than 64 commands in one
 * turn of the loop, for those beyond from inside the call. count: of a join, the hosts contacted.
 * error: empty when it went well. After node_free, what was running is not called back. Each call
 * copies what it is given; `done` may be NULL. */
typedef void node_done(void *context, bool ok, uint32_t count, struct span error);

void node_join(struct node *node, const struct span *addresses, size_t count, bool replay,
               node_done *done, void *context);
void node_leave(struct node *node, node_done *done, void *context);
void node_force_leave(struct node *node, struct span name, bool prune, node_done *done,
                      void *context);
void node_set_tags(struct node *node, const struct tag *tags, size_t count, node_done *done,
                   void *context);
/* See serf_retry_join. */
void node_retry_join(struct node *node, const struct span *addresses, size_t count,
                     const struct retry_join *options);

/* --- user events, queries and keys (serf.h) ---
 *
 * The three that return at once must not be called from inside a callback of the node. */

/* False with the reference's words in `error`. */
bool node_user_event(struct node *node, struct span name, struct span payload, bool coalesce,
                     struct buffer *error);
/* The query's number, which the callbacks carry; 0 with the reference's words in `error`. */
uint32_t node_query(struct node *node, const struct serf_query_parameters *parameters,
                    struct buffer *error);
/* False with the reference's words in `error`. */
bool node_respond(struct node *node, uint32_t query, struct span payload, struct buffer *error);

/* No more callbacks for this query. */
void node_query_cancel(struct node *node, uint32_t query);

/* `error`: why the keyring's file could not be written ("Failed to write keyring file: ..."), or
 * NULL when it was, or there is none. */
void node_keyring_saved(struct node *node, uint32_t query, const char *error);

/* `error`: the reference's words, empty when all members did it. The report is borrowed. */
typedef void node_keys_done(void *context, const struct key_report *report, struct span error);

/* `done` is called as a node_done is, and may not be NULL. */
void node_keys(struct node *node, enum key_operation operation, struct span key,
               uint8_t relay_factor, node_keys_done *done, void *context);

#endif

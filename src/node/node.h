/* One running member: the pure core (serf.h) on the operating system's sockets, clock and name
 * service. Single-threaded: every function is called on the loop's thread, and every callback
 * comes from the loop, never from inside one of these calls, except `log`. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "loop.h"
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
    /* The member must stop by the protocol's own decision; the owner calls node_free, at once or
     * later. */
    void (*stopped)(void *context, enum stop_reason reason);
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
struct endpoint node_bound(const struct node *node); /* with the real port */
struct endpoint node_advertised(const struct node *node);

/* `done` is called once, from the loop. count: of a join, the hosts contacted. error: empty when
 * it went well. After node_free, what was running is not called back. Each call copies what it is
 * given; `done` may be NULL. */
typedef void node_done(void *context, bool ok, uint32_t count, struct span error);

void node_join(struct node *node, const struct span *addresses, size_t count, bool replay,
               node_done *done, void *context);
void node_leave(struct node *node, node_done *done, void *context);
void node_force_leave(struct node *node, struct span name, bool prune, node_done *done,
                      void *context);
void node_set_tags(struct node *node, const struct tag *tags, size_t count, node_done *done,
                   void *context);
void node_retry_join(struct node *node, const struct span *addresses, size_t count,
                     uint64_t interval, uint32_t max_attempts, bool replay);

#endif

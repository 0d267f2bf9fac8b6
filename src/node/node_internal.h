/* The node's own tables, shared by its files.
 *
 * node.c          brings what happens to the core and does what the core wants done
 * node_stream.c   the core's stream ids and the connections behind them
 * node_command.c  commands, from the call to the answer
 * node_query.c    user events, queries and keys
 * node_start.c    binding, and the address to advertise */
#ifndef NODE_NODE_INTERNAL_H
#define NODE_NODE_INTERNAL_H

#include "node.h"
#include "number_map.h"
#include "resolver.h"
#include "snapshot_file.h"
#include "tcp.h"
#include "udp.h"

enum { REFUSED_COMMANDS_MAX = 64 }; /* for want of memory, and still to be answered */

struct node_stream {
    struct node_stream *next, **link;
    struct node *node;
    uint32_t id;
    struct connection *connection; /* owned; NULL when it could not be made */
    struct loop_task broken;       /* tells the core of a failure found while it was being served */
};

/* A question to the resolver, or to a provider. */
struct node_resolve {
    struct node_resolve *next, **link;
    struct node *node;
    uint32_t request;
};

struct command;

struct refused_command { /* one of the two callbacks */
    node_done *done;
    node_keys_done *keys_done;
    void *context;
};

struct node {
    struct loop *loop;
    struct node_callbacks callbacks;
    struct serf *serf; /* owned */
    struct intern_pool pool;
    bool pool_ready;
    uint64_t close_patience;
    struct endpoint bound, advertised;

    struct listener *listener;
    struct udp *udp;
    struct resolver *resolver;
    struct loop_timer timer;     /* at the core's next deadline */
    unsigned reads_before_timer; /* turns for which sockets have held a due timer up */

    struct number_map streams;       /* id to struct node_stream */
    struct node_stream *stream_list; /* the same */
    struct node_stream *next_stream; /* where a walk over the list goes on */
    struct node_resolve *resolves;

    struct command *commands, **commands_end; /* waiting for the core, oldest first */
    struct command *running;                  /* waiting for EFFECT_COMMAND_DONE */
    struct loop_task start_commands;
    struct refused_command refused[REFUSED_COMMANDS_MAX];
    unsigned refused_count;

    struct snapshot_file *snapshot; /* NULL: none is kept */

    struct key_request_call *key_calls, **key_calls_end; /* waiting for the core, oldest first */
    struct key_request_call *key_calls_running;
    struct loop_task start_key_calls;
    struct keyring_save *saves, **saves_end; /* answers of the owner, oldest first */
    struct loop_task answer_saves;

    struct loop_task stop;
    enum stop_reason stop_reason;

    struct node_metrics metrics;
    unsigned held; /* entries from the loop that are under way: see node_enter */
    bool freed;    /* by a callback of such an entry */
};

/* Every entry from the loop stands between these two. Entering performs what the core had queued
 * before; leaving performs what it has queued since, arms the timer, and frees the node if a
 * callback asked for it. False: the node is gone for its owner, do nothing but leave. */
bool node_enter(struct node *node);
void node_leave_entry(struct node *node);

void node_log(struct node *node, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

extern const struct udp_callbacks node_udp_callbacks; /* without a context */

/* node_start.c: listener, UDP socket, bound and advertised addresses; fills in `serf`. */
bool node_bind(struct node *node, const struct node_config *config, struct serf_config *serf,
               struct buffer *error);

/* node_stream.c */
extern const struct listener_callbacks node_listener_callbacks; /* without a context */
void node_stream_perform(struct node *node, const struct effect *effect);
/* Reads what has arrived on every stream, until `end`. True when more may be there. */
bool node_streams_receive(struct node *node, uint64_t end);
void node_streams_free(struct node *node);

/* node_query.c */
void node_queries_init(struct node *node);
void node_query_perform(struct node *node, const struct effect *effect);
void node_queries_free(struct node *node);

/* node_command.c */
void node_commands_init(struct node *node);
/* Answers it with "out of memory". */
void node_refuse_command(struct node *node, const struct refused_command *refused);
void node_command_done(struct node *node, const struct effect *effect);
void node_commands_free(struct node *node);

#endif

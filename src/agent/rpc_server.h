/* The agent's RPC server (agent specification, section 5): what `serf members` and every other
 * client talks to. Requests of one connection are answered in order, and a slow one (a join, a
 * leave) holds up that connection only. A client that does not read costs its own records, and in
 * the end its connection, never the agent's time. */
#ifndef AGENT_RPC_SERVER_H
#define AGENT_RPC_SERVER_H

#include "log.h"
#include "metrics.h"
#include "node.h"

enum {
    RPC_CLIENTS_MAX = 256,
    RPC_STREAMS_MAX = 64,                     /* of one connection */
    RPC_TAGS_MAX = 512,                       /* of one request; encoded tags have 512 bytes */
    RPC_QUERY_NODES_MAX = 1024,               /* that one query asks by name */
    RPC_OWN_QUERIES_MAX = 256,                /* of one connection that wait for their answers */
    RPC_OPEN_QUERIES_MAX = 1024,              /* that one connection may respond to */
    RPC_FIRST_REQUEST_SIZE_MAX = 64 * 1024,   /* of a client that has not shown its token */
    RPC_INPUT_BYTES_MAX = 16 * 1024 * 1024,   /* unfinished requests of all clients together */
    RPC_RESPONSE_SIZE_MAX = 64 * 1024 * 1024, /* one response */
    RPC_UNREAD_SIZE_MAX = 1024 * 1024,        /* unsent bytes; beyond it records are dropped */
};

#define RPC_WRITE_TIMEOUT_NS  UINT64_C(60000000000) /* without a byte sent: the client is gone */
#define RPC_CLOSE_PATIENCE_NS UINT64_C(1000000000)  /* for the last bytes of a connection */

struct rpc_server_config {
    struct loop *loop;
    const char *address;  /* rpc_address.h, but not "none"; an empty host: all addresses */
    const char *auth_key; /* "": none; copied */
    struct node *node;
    struct agent_log *log;
    void *context;
    /* Appends a map of maps of strings, in the RPC dialect of msgpack. */
    void (*stats)(void *context, struct buffer *out);
    /* Deletes, then sets. Spans are borrowed for the call. `done` comes from the loop. */
    void (*set_tags)(void *context, const struct tag *set, size_t set_count,
                     const struct span *deleted, size_t deleted_count, node_done *done,
                     void *done_context);
    void (*leave)(void *context, node_done *done, void *done_context);
    /* The leave asked for over RPC is finished and answered: shut down with status 0. Comes from
     * the loop; the server may be freed from inside. */
    void (*left)(void *context);
    struct agent_metrics *metrics; /* NULL: nobody wants to know */
};

struct rpc_server;

/* NULL with the reason in `error`, as in
 * "listen tcp 127.0.0.1:7373: bind: address already in use". */
struct rpc_server *rpc_server_new(const struct rpc_server_config *config, struct buffer *error);

/* Closes the listener and every connection. Commands still running in the node must not call back
 * any more: free the node right after, without running the loop in between. NULL is ignored. */
void rpc_server_free(struct rpc_server *server);

/* As bound, with the real port. */
struct endpoint rpc_server_bound(const struct rpc_server *server);

/* Hands an event to the streams that want it. */
void rpc_server_member_event(struct rpc_server *server, enum member_event_type type,
                             const struct member_view *members, size_t count);
void rpc_server_user_event(struct rpc_server *server, uint64_t ltime, struct span name,
                           struct span payload, bool coalesce);
/* Somebody's query, which a client may respond to until `deadline`. */
void rpc_server_query(struct rpc_server *server, uint32_t query, uint64_t ltime, uint64_t deadline,
                      struct span name, struct span payload);

/* What comes back for a query of a client's; one that is not known is ignored. */
void rpc_server_query_ack(struct rpc_server *server, uint32_t query, struct span from);
void rpc_server_query_response(struct rpc_server *server, uint32_t query, struct span from,
                               struct span payload);
void rpc_server_query_done(struct rpc_server *server, uint32_t query);

#endif

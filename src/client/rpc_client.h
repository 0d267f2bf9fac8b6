/* A blocking RPC client (agent specification, 1.4 and section 5). Every wait has an end, except
 * where a command legitimately takes as long as the cluster does. */
#ifndef CLIENT_RPC_CLIENT_H
#define CLIENT_RPC_CLIENT_H

#include "rpc_message.h"

enum { RPC_ANSWER_SIZE_MAX = 256 * 1024 * 1024 }; /* a cluster of a million members */

#define RPC_CONNECT_TIMEOUT_NS UINT64_C(10000000000)
#define RPC_WRITE_DEADLINE_NS  UINT64_C(10000000000)
#define RPC_ANSWER_TIMEOUT_NS  UINT64_C(30000000000)
#define RPC_WAIT               UINT64_MAX /* as long as it takes */

struct rpc_client;

/* Connects, shakes hands and, unless `auth_key` is empty, shows the token. NULL with the reason in
 * `error`, as in "dial tcp 127.0.0.1:7373: connect: connection refused" or "client closed". */
struct rpc_client *rpc_client_open(const char *address, const char *auth_key, struct buffer *error);
void rpc_client_free(struct rpc_client *client);

/* Called for a record of a stream that comes while an answer is waited for, and by
 * rpc_client_listen. `body` is one encoded value, borrowed. */
typedef void rpc_client_record(void *context, uint64_t seq, struct span body);
void rpc_client_on_record(struct rpc_client *client, rpc_client_record *callback, void *context);

/* Sends a command (`body` is its structure, NULL when it has none) and waits for the answer.
 * `answer` becomes the body, borrowed until the next call; empty when the command has none. False
 * with the agent's words or "client closed", "EOF" and the like in `error`. */
bool rpc_client_call(struct rpc_client *client, enum rpc_command command, const void *body,
                     uint64_t timeout, struct span *answer, struct buffer *error);

/* Why the last call, or the last rpc_client_next or _take, failed. */
enum rpc_client_failure {
    RPC_CLIENT_GOOD,
    RPC_CLIENT_REFUSED,   /* the agent answered with an error */
    RPC_CLIENT_TOO_LARGE, /* nothing was sent */
    RPC_CLIENT_TIMED_OUT, /* an answer that comes later would be taken for a record: after a call
                             the client is of no more use */
    RPC_CLIENT_LOST,      /* the agent went away, or what it says is no RPC */
};
enum rpc_client_failure rpc_client_failure(const struct rpc_client *client);

/* The Seq of the last call. */
uint64_t rpc_client_seq(const struct rpc_client *client);

/* Hands over one record; RPC_WAIT or loop_now's time. False when there is none by then, or the
 * agent went away, with the reason in `error`. A record of which a part has come is continued by
 * the next call. */
bool rpc_client_next(struct rpc_client *client, uint64_t deadline, struct buffer *error);

/* The same without waiting. Unless `read` is set, only what a call has read beyond its answer is
 * looked at: no poll of the descriptor tells of it. */
bool rpc_client_take(struct rpc_client *client, bool read, struct buffer *error);

/* For poll: borrowed. */
int rpc_client_descriptor(const struct rpc_client *client);

/* Hands over records until the agent goes away. */
void rpc_client_listen(struct rpc_client *client);

#endif

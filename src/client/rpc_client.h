/* A blocking RPC client (agent specification, 1.4 and section 5). Every wait has an end, except
 * where a command legitimately takes as long as the cluster does. */
#ifndef CLI_RPC_CLIENT_H
#define CLI_RPC_CLIENT_H

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

/* The Seq of the last call. */
uint64_t rpc_client_seq(const struct rpc_client *client);

/* Hands over one record; RPC_WAIT or loop_now's time. False when there is none by then, or the
 * agent went away, with the reason in `error`. */
bool rpc_client_next(struct rpc_client *client, uint64_t deadline, struct buffer *error);

/* Hands over records until the agent goes away. */
void rpc_client_listen(struct rpc_client *client);

#endif

/* One query over RPC, from the request to the record that says it is done. Records without a
 * sender, which some agents send at the deadline, are skipped. */
#ifndef CLI_QUERY_RUN_H
#define CLI_QUERY_RUN_H

#include "rpc_client.h"

#define QUERY_PATIENCE_NS         UINT64_C(30000000000)  /* beyond the query's own timeout */
#define QUERY_DEFAULT_PATIENCE_NS UINT64_C(300000000000) /* where the agent chooses the timeout */

/* Spans are borrowed for the call. A callback may be NULL. */
struct query_observer {
    void *context;
    void (*dispatched)(void *context);
    void (*ack)(void *context, struct span from);
    void (*response)(void *context, struct span from, struct span payload);
    /* A member event came on a stream that was opened before; `name` failed, left or was reaped. */
    void (*gone)(void *context, struct span name);
    /* Asked after each record: true ends the query early. */
    bool (*satisfied)(void *context);
};

enum query_end {
    QUERY_DONE,
    QUERY_SATISFIED,
    QUERY_REFUSED, /* the agent's words are in `error` */
    QUERY_LOST,    /* it was asked, and then the agent went away */
};

enum query_end query_run(struct rpc_client *client, const struct rpc_query *query,
                         const struct query_observer *observer, struct buffer *error);

#endif

/* The RPC client's own tables, shared by its files.
 *
 * lib_rpc.c         life, streams, dispatch
 * lib_rpc_calls.c   one function a command
 * lib_rpc_keys.c    those about keys
 * lib_rpc_record.c  records and lists, from what came to what is called back */
#ifndef LIB_LIB_RPC_H
#define LIB_LIB_RPC_H

#include <cserf/rpc.h>

#include "lib_error.h"
#include "node_view.h"
#include "rpc_client.h"

/* Something that records come for. */
struct subscription {
    struct subscription *next;
    uint64_t seq;
    cserf_event_callback *on_event; /* one of the three */
    cserf_line_callback *on_line;
    cserf_answer_callback *on_answer;
    void *context;
    bool done;    /* a query's last record has come */
    bool stopped; /* no more callbacks; freed when nothing is under way */
};

struct cserf_rpc {
    struct rpc_client *client; /* owned */
    char *address;             /* owned: the client borrows it */
    uint64_t time_limit;       /* nanoseconds */
    struct subscription *subscriptions;
    bool entered; /* a call or a dispatch is under way: callbacks may be */
    bool lost;    /* of no more use */
    struct node_view view;
    struct buffer text; /* what a callback is shown */
};

/* --- lib_rpc.c --- */

/* Every function of the header stands between these two. CSERF_BUSY, or CSERF_CLOSED when the
 * connection is lost: don't leave. */
enum cserf_code rpc_enter(struct cserf_rpc *rpc, struct cserf_error *error);
/* Hands over the records that came with the answer; returns `code`. */
enum cserf_code rpc_leave(struct cserf_rpc *rpc, enum cserf_code code);

/* What the client's last failure is to the program; consumes `reason`. */
enum cserf_code rpc_failed(struct cserf_rpc *rpc, struct buffer *reason, struct cserf_error *error);

/* One command, within the time limit; the answer is borrowed until rpc_leave. */
enum cserf_code rpc_ask(struct cserf_rpc *rpc, enum rpc_command command, const void *body,
                        struct span *answer, struct cserf_error *error);
enum cserf_code rpc_malformed(struct cserf_error *error);

/* NULL when memory is out. Its records are those of the next request. */
struct subscription *subscription_new(struct cserf_rpc *rpc, void *context);
void subscription_free(struct cserf_rpc *rpc, struct subscription *subscription);

/* --- lib_rpc_record.c --- */

void rpc_take_record(struct cserf_rpc *rpc, struct subscription *to, struct span body);
/* NULL when memory is out. */
const struct cserf_node *rpc_show_member(struct node_view *view, const struct rpc_member *member);

#endif

/* The members whose answers a query waits for, when it ends before its deadline (-until-complete,
 * -until-acks): those that were alive when it was sent and that its filters select, until they have
 * answered or are gone. The agent says who they are, so that any agent will do. */
#ifndef CLI_AWAITED_H
#define CLI_AWAITED_H

#include "member_list.h"
#include "rpc_client.h"

struct awaited {
    struct buffer answer; /* what the list's spans point into */
    struct member_list list;
    bool *here; /* owned; for each member of the list: it is still awaited */
    size_t count;
};

/* Opens a stream of members that go, then asks who is there. False with the reason in `error`;
 * awaited_fini is due in any case. */
bool awaited_ask(struct awaited *awaited, struct rpc_client *client, const struct rpc_query *query,
                 struct buffer *error);
void awaited_fini(struct awaited *awaited);

/* It has answered, or is gone. */
void awaited_remove(struct awaited *awaited, struct span name);

#endif

#include "awaited.h"

#include <stdlib.h>

/* The filters of members stand between "^" and "$"; those of queries match anywhere. */
static bool widen_filters(struct span tags, struct buffer *out)
{
    struct rpc_walker walker;
    struct span key, expression;
    struct buffer wide;
    bool good = rpc_map_open(&walker, tags);
    buffer_init(&wide, RPC_STRING_SIZE_MAX);
    msgpack_write_map(out, good ? walker.left : 0);
    while (good && rpc_map_next(&walker, &key, &expression)) {
        buffer_reset(&wide);
        buffer_append_text(&wide, "(?s:.*)(?:");
        buffer_append_span(&wide, expression);
        buffer_append_text(&wide, ")(?s:.*)");
        msgpack_write_string(out, key);
        msgpack_write_string(out, buffer_span(&wide));
        good = !wide.failed;
    }
    buffer_fini(&wide);
    return good && !walker.failed && !out->failed;
}

static bool is_named(struct span nodes, struct span name)
{
    struct rpc_walker walker;
    struct span node;
    if (!rpc_list_open(&walker, nodes) || walker.left == 0)
        return true;
    while (rpc_list_next(&walker, &node))
        if (span_equal(node, name))
            return true;
    return false;
}

static bool take_members(struct awaited *awaited, struct span answer, struct span nodes,
                         struct buffer *error)
{
    if (!buffer_append_span(&awaited->answer, answer)) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    if (!member_list_read(&awaited->list, buffer_span(&awaited->answer), error))
        return false;
    awaited->here = calloc(awaited->list.count + 1, sizeof *awaited->here);
    if (!awaited->here) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    for (size_t i = 0; i < awaited->list.count; i++) {
        awaited->here[i] = is_named(nodes, awaited->list.members[i].name);
        awaited->count += awaited->here[i];
    }
    return true;
}

bool awaited_ask(struct awaited *awaited, struct rpc_client *client, const struct rpc_query *query,
                 struct buffer *error)
{
    const struct rpc_stream stream = {span_text("member-failed,member-leave,member-reap")};
    struct span answer;
    struct buffer tags;
    *awaited = (struct awaited){.count = 0};
    buffer_init(&awaited->answer, RPC_ANSWER_SIZE_MAX);
    buffer_init(&tags, RPC_REQUEST_SIZE_MAX);
    bool good = widen_filters(query->filter_tags, &tags);
    if (!good)
        buffer_append_text(error, "the tag filters are too long");
    const struct rpc_members_filtered members = {SPAN_EMPTY, span_text("alive"),
                                                 buffer_span(&tags)};
    good = good &&
           rpc_client_call(client, RPC_STREAM, &stream, RPC_ANSWER_TIMEOUT_NS, &answer, error) &&
           rpc_client_call(client, RPC_MEMBERS_FILTERED, &members, RPC_ANSWER_TIMEOUT_NS, &answer,
                           error) &&
           take_members(awaited, answer, query->filter_nodes, error);
    buffer_fini(&tags);
    return good;
}

void awaited_fini(struct awaited *awaited)
{
    member_list_fini(&awaited->list);
    buffer_fini(&awaited->answer);
    free(awaited->here);
}

void awaited_remove(struct awaited *awaited, struct span name)
{
    size_t place = member_list_find(&awaited->list, name);
    if (place == awaited->list.count)
        return;
    awaited->count -= awaited->here[place];
    awaited->here[place] = false;
}

#include "query_run.h"

#include "loop.h"

struct query_run {
    const struct query_observer *observer;
    uint64_t seq;
    bool done;
};

static void take_answer(struct query_run *run, struct span body)
{
    const struct query_observer *to = run->observer;
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct rpc_query_record record;
    if (msgpack_read_structure(&reader, &rpc_query_record_structure, &record) != MSGPACK_OK)
        return;
    if (span_equal_text(record.type, "done"))
        run->done = true;
    else if (record.from.size == 0)
        return;
    else if (span_equal_text(record.type, "ack") && to->ack)
        to->ack(to->context, record.from);
    else if (span_equal_text(record.type, "response") && to->response)
        to->response(to->context, record.from, record.payload);
}

static void take_event(const struct query_run *run, struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct rpc_member_event_record event;
    struct rpc_walker walker;
    struct rpc_member member;
    if (run->observer->gone &&
        msgpack_read_structure(&reader, &rpc_member_event_record_structure, &event) == MSGPACK_OK &&
        rpc_list_open(&walker, event.members))
        while (rpc_member_next(&walker, &member))
            run->observer->gone(run->observer->context, member.name);
}

static void take_record(void *context, uint64_t seq, struct span body)
{
    struct query_run *run = context;
    if (seq == run->seq)
        take_answer(run, body);
    else
        take_event(run, body);
}

static uint64_t deadline_of(const struct rpc_query *query)
{
    uint64_t now = loop_now();
    if (query->timeout == 0)
        return now + QUERY_DEFAULT_PATIENCE_NS;
    if (query->timeout < 0)
        return now + QUERY_PATIENCE_NS;
    return now + (uint64_t)query->timeout + QUERY_PATIENCE_NS;
}

enum query_end query_run(struct rpc_client *client, const struct rpc_query *query,
                         const struct query_observer *observer, struct buffer *error)
{
    struct query_run run = {.observer = observer, .seq = rpc_client_seq(client) + 1};
    struct span answer;
    enum query_end end = QUERY_DONE;
    rpc_client_on_record(client, take_record, &run);
    if (!rpc_client_call(client, RPC_QUERY, query, RPC_ANSWER_TIMEOUT_NS, &answer, error)) {
        end = QUERY_REFUSED;
    } else {
        if (observer->dispatched)
            observer->dispatched(observer->context);
        uint64_t deadline = deadline_of(query);
        while (end == QUERY_DONE && !run.done) {
            if (observer->satisfied && observer->satisfied(observer->context))
                end = QUERY_SATISFIED;
            else if (!rpc_client_next(client, deadline, error))
                end = QUERY_LOST;
        }
    }
    rpc_client_on_record(client, NULL, NULL);
    return end;
}

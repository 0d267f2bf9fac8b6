/* What an agent sends is read as it comes and shown once; what can't be read is passed over, since
 * an agent of the future may say more. */
#include "lib_rpc.h"

/* --- members --- */

static enum cserf_status status_of(struct span text)
{
    for (enum cserf_status status = CSERF_NONE; status <= CSERF_FAILED; status++)
        if (span_equal_text(text, cserf_status_name(status)))
            return status;
    return CSERF_NONE;
}

const struct cserf_node *rpc_show_member(struct node_view *view, const struct rpc_member *member)
{
    const uint8_t versions[6] = {member->protocol_min, member->protocol_max, member->protocol_cur,
                                 member->delegate_min, member->delegate_max, member->delegate_cur};
    struct endpoint endpoint = {0};
    struct rpc_walker walker;
    struct span key, value;
    endpoint_from_bytes(&endpoint, member->addr, member->port);
    endpoint.port = member->port;
    node_view_begin(view, member->name, &endpoint);
    if (rpc_map_open(&walker, member->tags))
        while (rpc_map_next(&walker, &key, &value))
            node_view_tag(view, key, value);
    return node_view_end(view, status_of(member->status), versions);
}

/* --- events --- */

static enum cserf_event_type type_of(struct span text)
{
    for (enum cserf_event_type type = CSERF_EVENT_JOIN; type <= CSERF_EVENT_QUERY; type++)
        if (span_equal_text(text, cserf_event_name(type)))
            return type;
    return CSERF_EVENT_OTHER;
}

static void take_members(struct cserf_rpc *rpc, const struct subscription *to,
                         enum cserf_event_type type, struct span members)
{
    struct rpc_walker walker;
    struct rpc_member member;
    if (!rpc_list_open(&walker, members))
        return;
    while (!to->stopped && rpc_member_next(&walker, &member)) {
        struct cserf_event event = {.type = type};
        event.node = rpc_show_member(&rpc->view, &member);
        if (event.node)
            to->on_event(to->context, &event);
    }
}

static void take_message(struct cserf_rpc *rpc, const struct subscription *to, struct span name,
                         struct cserf_event *event)
{
    buffer_reset(&rpc->text);
    if (!append_c_text(&rpc->text, name))
        return;
    event->name = (const char *)rpc->text.data;
    to->on_event(to->context, event);
}

static void take_user_event(struct cserf_rpc *rpc, const struct subscription *to, struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct rpc_user_event_record record;
    if (msgpack_read_structure(&reader, &rpc_user_event_record_structure, &record) == MSGPACK_OK)
        take_message(rpc, to, record.name,
                     &(struct cserf_event){.type = CSERF_EVENT_USER,
                                           .payload = record.payload.data,
                                           .payload_size = record.payload.size,
                                           .ltime = record.ltime,
                                           .coalesce = record.coalesce});
}

static void take_query(struct cserf_rpc *rpc, const struct subscription *to, struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct rpc_query_event_record record;
    if (msgpack_read_structure(&reader, &rpc_query_event_record_structure, &record) == MSGPACK_OK)
        take_message(rpc, to, record.name,
                     &(struct cserf_event){.type = CSERF_EVENT_QUERY,
                                           .payload = record.payload.data,
                                           .payload_size = record.payload.size,
                                           .ltime = record.ltime,
                                           .query = record.id});
}

static void take_event(struct cserf_rpc *rpc, const struct subscription *to, struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct rpc_member_event_record record; /* its first field is what all have in common */
    if (msgpack_read_structure(&reader, &rpc_member_event_record_structure, &record) != MSGPACK_OK)
        return;
    enum cserf_event_type type = type_of(record.event);
    if (type == CSERF_EVENT_USER)
        take_user_event(rpc, to, body);
    else if (type == CSERF_EVENT_QUERY)
        take_query(rpc, to, body);
    else if (type == CSERF_EVENT_OTHER)
        take_message(rpc, to, record.event, &(struct cserf_event){.type = type});
    else
        take_members(rpc, to, type, record.members);
}

/* --- lines and answers --- */

static void take_line(struct cserf_rpc *rpc, const struct subscription *to, struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct rpc_log_record record;
    buffer_reset(&rpc->text);
    if (msgpack_read_structure(&reader, &rpc_log_record_structure, &record) == MSGPACK_OK &&
        append_c_text(&rpc->text, record.log))
        to->on_line(to->context, (const char *)rpc->text.data);
}

/* Some agents send records without a sender at the deadline: those say nothing. */
static void take_answer(struct cserf_rpc *rpc, struct subscription *to, struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct rpc_query_record record;
    struct cserf_answer answer = {0};
    if (msgpack_read_structure(&reader, &rpc_query_record_structure, &record) != MSGPACK_OK)
        return;
    buffer_reset(&rpc->text);
    if (span_equal_text(record.type, "done")) {
        to->done = true;
        answer.type = CSERF_ANSWER_DONE;
    } else if (record.from.size > 0 && append_c_text(&rpc->text, record.from)) {
        answer = (struct cserf_answer){
            .type = span_equal_text(record.type, "ack") ? CSERF_ANSWER_ACK : CSERF_ANSWER_RESPONSE,
            .from = (const char *)rpc->text.data,
            .payload = record.payload.data,
            .payload_size = record.payload.size,
        };
    }
    if (answer.type != 0 && to->on_answer)
        to->on_answer(to->context, &answer);
}

void rpc_take_record(struct cserf_rpc *rpc, struct subscription *to, struct span body)
{
    if (to->on_event)
        take_event(rpc, to, body);
    else if (to->on_line)
        take_line(rpc, to, body);
    else if (!to->done)
        take_answer(rpc, to, body);
}

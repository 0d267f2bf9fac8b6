/* Listens, and hands the agent's events to the streams of all sessions. */
#include "rpc_server.h"

#include "resolver.h"
#include "rpc_address.h"
#include "rpc_session.h"
#include "serf_message.h"

#include <stdlib.h>

static void server_accepted(void *context, struct connection *connection)
{
    struct rpc_server *server = context;
    char text[CONNECTION_TEXT_SIZE];
    connection_remote_text(connection, text);
    if (server->config.metrics)
        server->config.metrics->ipc_accepted++;
    if (server->session_count < RPC_CLIENTS_MAX) {
        agent_log_printf(server->config.log, LOG_LEVEL_INFO, "agent.ipc: Accepted client: %s",
                         text);
        rpc_session_new(server, connection);
        return;
    }
    connection_free(connection);
    rpc_notice_printf(&server->refusals, LOG_LEVEL_WARN,
                      "agent.ipc: Refused client: %s: %d clients are connected, which is the limit",
                      text, RPC_CLIENTS_MAX);
}

static void server_accept_failed(void *context, const char *reason)
{
    struct rpc_server *server = context;
    agent_log_printf(server->config.log, LOG_LEVEL_ERR, "agent.ipc: Failed to accept client: %s",
                     reason);
}

static bool find_endpoint(const struct rpc_address *address, struct endpoint *endpoint,
                          struct buffer *error)
{
    *endpoint = (struct endpoint){.port = address->port};
    if (address->host[0] == '\0' || endpoint_from_text(endpoint, address->host, address->port))
        return true;
    return resolve_now(NULL, address->host, address->port, endpoint, 1, error) > 0;
}

static bool server_listen(struct rpc_server *server, struct buffer *error)
{
    struct loop *loop = server->config.loop;
    const struct listener_callbacks callbacks = {
        .context = server, .accepted = server_accepted, .accept_failed = server_accept_failed};
    struct rpc_address address;
    struct endpoint endpoint;
    struct buffer reason;
    buffer_init(&reason, 1024);
    bool parsed = rpc_address_parse(&address, server->config.address, &reason);
    if (parsed && address.kind == RPC_OVER_UNIX)
        server->listener = listener_new_unix(loop, address.path, &callbacks, error);
    else if (parsed && find_endpoint(&address, &endpoint, &reason))
        server->listener = listener_new(loop, &endpoint, &callbacks, error);
    if (reason.size > 0)
        buffer_printf(error, "listen %s: %s", address.kind == RPC_OVER_UNIX ? "unix" : "tcp",
                      buffer_text(&reason));
    buffer_fini(&reason);
    return server->listener != NULL;
}

/* --- the end of the agent, asked for over RPC --- */

static void tell_left(void *context)
{
    struct rpc_server *server = context;
    loop_timer_cancel(&server->left_timer);
    server->config.left(server->config.context);
}

/* The client does not take its answer: the agent won't stay for that. */
static void left_timer_due(void *context)
{
    struct rpc_server *server = context;
    server->leaver = NULL;
    loop_defer(&server->left_task);
}

void rpc_server_left(struct rpc_server *server)
{
    loop_defer(&server->left_task);
}

/* --- life --- */

struct rpc_server *rpc_server_new(const struct rpc_server_config *config, struct buffer *error)
{
    struct rpc_server *server = calloc(1, sizeof *server);
    if (!server || !loop_timer_init(&server->left_timer, config->loop, left_timer_due, server)) {
        free(server);
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    server->config = *config;
    server->auth_key = strdup(config->auth_key);
    loop_task_init(&server->left_task, config->loop, tell_left, server);
    buffer_init(&server->tags, RPC_UNREAD_SIZE_MAX);
    buffer_init(&server->items, RPC_RESPONSE_SIZE_MAX);
    buffer_init(&server->body, RPC_RESPONSE_SIZE_MAX);
    buffer_init(&server->output, RPC_RESPONSE_SIZE_MAX);
    buffer_init(&server->record, RPC_UNREAD_SIZE_MAX);
    bool ready =
        server->auth_key &&
        rpc_notice_init(&server->refusals, config->loop, config->log, &server->complaining) &&
        rpc_notice_init(&server->slowness, config->loop, config->log, &server->complaining);
    if (!ready)
        buffer_append_text(error, "out of memory");
    if (!ready || !server_listen(server, error)) {
        rpc_server_free(server);
        return NULL;
    }
    return server;
}

void rpc_server_free(struct rpc_server *server)
{
    if (!server)
        return;
    listener_free(server->listener);
    server->leaver = NULL;
    while (server->sessions)
        rpc_session_end(server->sessions);
    while (server->pendings)
        rpc_pending_free(server->pendings);
    loop_task_cancel(&server->left_task);
    loop_timer_fini(&server->left_timer);
    rpc_notice_fini(&server->refusals);
    rpc_notice_fini(&server->slowness);
    number_map_fini(&server->own_queries);
    buffer_fini(&server->tags);
    buffer_fini(&server->items);
    buffer_fini(&server->body);
    buffer_fini(&server->output);
    buffer_fini(&server->record);
    free(server->auth_key);
    free(server);
}

struct endpoint rpc_server_bound(const struct rpc_server *server)
{
    return listener_bound(server->listener);
}

/* --- events --- */

static uint32_t count_tags(struct span meta)
{
    struct tag_reader reader;
    struct span key, value;
    uint32_t count = 0;
    if (tag_reader_open(&reader, meta))
        while (tag_reader_next(&reader, &key, &value))
            count++;
    return count;
}

static void append_tags(struct buffer *out, struct span meta)
{
    struct tag_reader reader;
    struct span key, value;
    msgpack_write_map(out, count_tags(meta));
    if (!tag_reader_open(&reader, meta))
        return;
    while (tag_reader_next(&reader, &key, &value)) {
        msgpack_write_string(out, key);
        msgpack_write_string(out, value);
    }
}

void rpc_append_member(struct rpc_server *server, struct buffer *out,
                       const struct member_view *member)
{
    buffer_reset(&server->tags);
    append_tags(&server->tags, member->meta);
    const struct rpc_member record = {
        .addr = member->address,
        .delegate_cur = member->versions[5],
        .delegate_max = member->versions[4],
        .delegate_min = member->versions[3],
        .name = member->name,
        .port = member->endpoint.port,
        .protocol_cur = member->versions[2],
        .protocol_max = member->versions[1],
        .protocol_min = member->versions[0],
        .status = span_text(member_status_name(member->status)),
        .tags = buffer_span(&server->tags),
    };
    msgpack_write_structure(out, &rpc_member_structure, MSGPACK_RPC, &record);
    if (server->tags.failed)
        out->failed = true;
}

static void send_to_streams(struct rpc_server *server, enum stream_event event, struct span name,
                            struct span body)
{
    for (struct rpc_session *session = server->sessions; session; session = session->next)
        for (size_t i = 0; i < session->stream_count; i++)
            if (stream_filter_wants(&session->streams[i].filter, event, name))
                rpc_session_send_event(session, session->streams[i].seq, body);
}

static bool has_streams(const struct rpc_server *server)
{
    for (const struct rpc_session *session = server->sessions; session; session = session->next)
        if (session->stream_count > 0)
            return true;
    return false;
}

void rpc_server_member_event(struct rpc_server *server, enum member_event_type type,
                             const struct member_view *members, size_t count)
{
    static const enum stream_event events[] = {
        [MEMBER_EVENT_JOIN] = STREAM_MEMBER_JOIN,     [MEMBER_EVENT_LEAVE] = STREAM_MEMBER_LEAVE,
        [MEMBER_EVENT_FAILED] = STREAM_MEMBER_FAILED, [MEMBER_EVENT_UPDATE] = STREAM_MEMBER_UPDATE,
        [MEMBER_EVENT_REAP] = STREAM_MEMBER_REAP,
    };
    if (!has_streams(server))
        return;
    struct buffer *body = &server->body;
    buffer_reset(body);
    msgpack_write_map(body, 2);
    msgpack_write_string_text(body, "Event");
    msgpack_write_string_text(body, member_event_name(type));
    msgpack_write_string_text(body, "Members");
    msgpack_write_array(body, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        rpc_append_member(server, body, &members[i]);
    if (!body->failed)
        send_to_streams(server, events[type], SPAN_EMPTY, buffer_span(body));
}

void rpc_server_user_event(struct rpc_server *server, uint64_t ltime, struct span name,
                           struct span payload, bool coalesce)
{
    if (!has_streams(server))
        return;
    const struct rpc_user_event_record record = {
        .coalesce = coalesce,
        .event = span_text("user"),
        .ltime = ltime,
        .name = name,
        .payload = payload,
    };
    struct buffer *body = &server->body;
    buffer_reset(body);
    msgpack_write_structure(body, &rpc_user_event_record_structure, MSGPACK_RPC, &record);
    if (!body->failed)
        send_to_streams(server, STREAM_USER, name, buffer_span(body));
}

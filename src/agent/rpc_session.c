/* One connection: bytes in become requests, answers and records become bytes out.
 *
 * What a client makes us hold is bounded three ways. Unfinished requests are limited each and in
 * sum. While an answer is still unread no further request is taken, so that a client that only
 * writes fills its own socket. Records, which nobody asked for one by one, are dropped when too
 * much is unread; the notice about it comes at most once a second, whatever the number of clients,
 * and is itself no reason for another, or the complaint would feed itself. And a client that takes
 * no byte for a minute is gone. */
#include "rpc_session.h"

#include <stdlib.h>

/* From anywhere, also from inside a walk over all sessions: the timer does it. */
static void close_soon(struct rpc_session *session)
{
    session->closing = true;
    loop_timer_set(&session->write_timer, loop_now());
}

static void session_write(struct rpc_session *session, struct span bytes)
{
    if (!connection_write(session->connection, bytes)) {
        rpc_notice_printf(&session->server->slowness, LOG_LEVEL_ERR,
                          "agent.ipc: Failed to answer %s: more than %d bytes are unread",
                          session->remote, RPC_RESPONSE_SIZE_MAX);
        close_soon(session);
        return;
    }
    session->written += bytes.size;
    size_t unsent = connection_unsent(session->connection);
    if (unsent > 0 && !timer_armed(&session->write_timer.timer)) {
        session->sent_before = session->written - unsent;
        loop_timer_set(&session->write_timer, loop_now() + RPC_WRITE_TIMEOUT_NS);
    }
}

static void write_timer_due(void *context)
{
    struct rpc_session *session = context;
    size_t unsent = connection_unsent(session->connection);
    uint64_t sent = session->written - unsent;
    if (session->closing) {
        rpc_session_end(session);
        return;
    }
    if (unsent > 0 && sent == session->sent_before) {
        rpc_notice_printf(&session->server->slowness, LOG_LEVEL_WARN,
                          "agent.ipc: Closing client %s: it has read nothing for %d s",
                          session->remote, (int)(RPC_WRITE_TIMEOUT_NS / 1000000000));
        rpc_session_end(session);
        return;
    }
    session->sent_before = sent;
    if (unsent > 0)
        loop_timer_set(&session->write_timer, loop_now() + RPC_WRITE_TIMEOUT_NS);
}

static void write_header(struct buffer *out, uint64_t seq, struct span error)
{
    const struct rpc_response_header header = {error, seq};
    msgpack_write_structure(out, &rpc_response_header_structure, MSGPACK_RPC, &header);
}

void rpc_session_respond(struct rpc_session *session, uint64_t seq, struct span error,
                         struct span body)
{
    struct buffer *out = &session->server->output;
    buffer_reset(out);
    write_header(out, seq, error);
    buffer_append_span(out, body);
    if (out->failed) {
        rpc_notice_printf(&session->server->slowness, LOG_LEVEL_ERR,
                          "agent.ipc: Failed to answer %s: out of memory, or more than %d bytes",
                          session->remote, RPC_RESPONSE_SIZE_MAX);
        close_soon(session);
        return;
    }
    session_write(session, buffer_span(out));
}

/* --- records --- */

static void notice_drop(struct rpc_session *session, const char *what)
{
    struct rpc_server *server = session->server;
    if (!server->complaining)
        rpc_notice_printf(&server->slowness, LOG_LEVEL_WARN,
                          "agent.ipc: Dropping %s to ipc.client: %s", what, session->remote);
}

static bool too_slow(const struct rpc_session *session)
{
    return session->closing || connection_unsent(session->connection) > RPC_UNREAD_SIZE_MAX;
}

bool rpc_session_takes_record(struct rpc_session *session, const char *what)
{
    if (!too_slow(session))
        return true;
    notice_drop(session, what);
    return false;
}

void rpc_session_send_event(struct rpc_session *session, uint64_t seq, struct span body)
{
    if (rpc_session_takes_record(session, "event"))
        rpc_session_respond(session, seq, SPAN_EMPTY, body);
}

/* May come while any other message is being built, hence the buffer of its own. */
static void monitor_line(void *context, enum log_level level, struct span text)
{
    struct rpc_session *session = context;
    if (level < session->monitor_level)
        return;
    if (too_slow(session)) {
        notice_drop(session, "logs");
        return;
    }
    struct buffer *out = &session->server->record;
    buffer_reset(out);
    write_header(out, session->monitor_seq, SPAN_EMPTY);
    const struct rpc_log_record record = {text};
    msgpack_write_structure(out, &rpc_log_record_structure, MSGPACK_RPC, &record);
    if (!out->failed)
        session_write(session, buffer_span(out));
}

void rpc_session_start_monitor(struct rpc_session *session, uint64_t seq, enum log_level level)
{
    session->monitoring = true;
    session->monitor_seq = seq;
    session->monitor_level = level;
    session->monitor = (struct log_subscriber){.line = monitor_line, .context = session};
    agent_log_subscribe(session->server->config.log, &session->monitor);
}

void rpc_session_stop_monitor(struct rpc_session *session)
{
    if (session->monitoring)
        agent_log_unsubscribe(session->server->config.log, &session->monitor);
    session->monitoring = false;
}

struct rpc_event_stream *rpc_session_find_stream(struct rpc_session *session, uint64_t seq)
{
    for (size_t i = 0; i < session->stream_count; i++)
        if (session->streams[i].seq == seq)
            return &session->streams[i];
    return NULL;
}

void rpc_session_stop_stream(struct rpc_session *session, struct rpc_event_stream *stream)
{
    stream_filter_fini(&stream->filter);
    *stream = session->streams[--session->stream_count];
}

/* --- requests --- */

/* Whether the next request may be taken now. */
static bool is_free(const struct rpc_session *session)
{
    return !session->closing && !session->pending &&
           connection_unsent(session->connection) <= RPC_UNREAD_SIZE_MAX;
}

static void refuse_request(struct rpc_session *session, enum rpc_request_status status,
                           const struct rpc_request *request)
{
    struct rpc_notice *refusals = &session->server->refusals;
    if (status == RPC_REQUEST_BAD_HEADER)
        rpc_notice_printf(refusals, LOG_LEVEL_ERR,
                          "agent.ipc: failed to decode request header: %s sent something that is "
                          "no request, or one of more than %zu bytes",
                          session->remote, session->parser.size_max);
    else
        rpc_notice_printf(
            refusals, LOG_LEVEL_ERR,
            "agent.ipc: Failed to evaluate request: decode failed: the body of '%.*s' "
            "from %s is malformed or too large",
            SPAN_PRINT(request->header.command), session->remote);
    session->closing = true;
}

/* Carries out the requests that are complete; returns how many bytes they took. */
static size_t run_requests(struct rpc_session *session)
{
    size_t offset = 0;
    while (offset < session->input.size && is_free(session)) {
        struct rpc_request request;
        size_t size = 0;
        enum rpc_request_status status = rpc_request_parse(
            &session->parser, span_from(buffer_span(&session->input), offset), &request, &size);
        if (status == RPC_REQUEST_SHORT)
            break;
        if (status == RPC_REQUEST_READY)
            rpc_command_run(session, &request);
        else
            refuse_request(session, status, &request);
        offset += size;
    }
    return offset;
}

/* An idle client holds no memory for its input. */
static void drop_input(struct rpc_session *session, size_t size)
{
    session->server->input_bytes -= size;
    buffer_consume(&session->input, size);
    if (session->input.size > 0)
        return;
    size_t maximum = session->input.maximum;
    buffer_fini(&session->input);
    buffer_init(&session->input, maximum);
}

void rpc_session_continue(struct rpc_session *session)
{
    if (session->processing)
        return;
    session->processing = true;
    drop_input(session, run_requests(session));
    session->processing = false;
    if (session->closing || (session->ended && is_free(session)))
        rpc_session_end(session);
    else
        connection_set_reading(session->connection, is_free(session));
}

static void resume(void *context)
{
    rpc_session_continue(context);
}

/* --- the connection --- */

static void session_received(void *context, struct span bytes)
{
    struct rpc_session *session = context;
    struct rpc_server *server = session->server;
    if (server->input_bytes + bytes.size > RPC_INPUT_BYTES_MAX ||
        !buffer_append_span(&session->input, bytes)) {
        rpc_notice_printf(&server->refusals, LOG_LEVEL_ERR,
                          "agent.ipc: Closing client %s: unfinished requests of all clients exceed "
                          "%d bytes, or memory is out",
                          session->remote, RPC_INPUT_BYTES_MAX);
        rpc_session_end(session);
        return;
    }
    server->input_bytes += bytes.size;
    rpc_session_continue(session);
}

static void session_peer_ended(void *context)
{
    struct rpc_session *session = context;
    session->ended = true;
    rpc_session_continue(session);
}

static void session_failed(void *context, const char *reason)
{
    struct rpc_session *session = context;
    rpc_notice_printf(&session->server->refusals, LOG_LEVEL_ERR,
                      "agent.ipc: failed to decode request header: %s", reason);
    connection_free(session->connection);
    session->connection = NULL;
    rpc_session_end(session);
}

static void session_drained(void *context)
{
    struct rpc_session *session = context;
    loop_timer_cancel(&session->write_timer);
    if (session->server->leaver == session) {
        session->server->leaver = NULL;
        rpc_server_left(session->server);
    }
    rpc_session_continue(session);
}

void rpc_session_new(struct rpc_server *server, struct connection *connection)
{
    struct rpc_session *session = calloc(1, sizeof *session);
    if (!session ||
        !loop_timer_init(&session->write_timer, server->config.loop, write_timer_due, session)) {
        free(session);
        connection_free(connection);
        return;
    }
    loop_task_init(&session->resume, server->config.loop, resume, session);
    session->server = server;
    session->connection = connection;
    connection_remote_text(connection, session->remote);
    session->authenticated = *server->auth_key == '\0';
    buffer_init(&session->input, RPC_REQUEST_SIZE_MAX + CONNECTION_READ_SIZE);
    rpc_request_parser_init(&session->parser, session->authenticated ? RPC_REQUEST_SIZE_MAX
                                                                     : RPC_FIRST_REQUEST_SIZE_MAX);
    session->next = server->sessions;
    session->link = &server->sessions;
    if (session->next)
        session->next->link = &session->next;
    server->sessions = session;
    server->session_count++;
    connection_set_write_limit(connection, RPC_RESPONSE_SIZE_MAX);
    const struct connection_callbacks callbacks = {.context = session,
                                                   .received = session_received,
                                                   .ended = session_peer_ended,
                                                   .failed = session_failed,
                                                   .drained = session_drained};
    connection_start(connection, &callbacks);
}

void rpc_session_end(struct rpc_session *session)
{
    struct rpc_server *server = session->server;
    rpc_session_stop_monitor(session);
    while (session->stream_count > 0)
        rpc_session_stop_stream(session, &session->streams[session->stream_count - 1]);
    rpc_session_end_queries(session);
    loop_task_cancel(&session->resume);
    if (session->pending)
        session->pending->session = NULL;
    *session->link = session->next;
    if (session->next)
        session->next->link = session->link;
    server->session_count--;
    server->input_bytes -= session->input.size;
    if (server->leaver == session) {
        server->leaver = NULL;
        rpc_server_left(server);
    }
    if (session->connection)
        connection_close(session->connection, RPC_CLOSE_PATIENCE_NS);
    loop_timer_fini(&session->write_timer);
    buffer_fini(&session->input);
    free(session);
}

/* What each RPC command does. A command that is not carried out (no handshake yet, no token, a
 * feature that this agent does not have) is answered all the same, its body having been taken with
 * it: the next request starts where the client thinks it does. */
#include "coordinate.h"
#include "join_log.h"
#include "members_filter.h"
#include "rpc_session.h"

#include <stdio.h>
#include <stdlib.h>

static const uint8_t empty_members[] = {0x81, 0xa7, 'M', 'e', 'm', 'b', 'e', 'r', 's', 0x90};

static struct span no_members(void)
{
    return span_make(empty_members, sizeof empty_members);
}

void rpc_respond_ok(struct rpc_session *session, const struct rpc_request *request)
{
    rpc_session_respond(session, request->header.seq, SPAN_EMPTY, SPAN_EMPTY);
}

void rpc_respond_error(struct rpc_session *session, const struct rpc_request *request,
                       const char *error)
{
    rpc_session_respond(session, request->header.seq, span_text(error), SPAN_EMPTY);
}

static void log_refusal(struct rpc_session *session, const char *reason)
{
    rpc_notice_printf(&session->server->refusals, LOG_LEVEL_ERR,
                      "agent.ipc: Failed to evaluate request: %s", reason);
}

void rpc_refuse_body(struct rpc_session *session, const char *part)
{
    rpc_notice_printf(&session->server->refusals, LOG_LEVEL_ERR,
                      "agent.ipc: Failed to evaluate request: decode failed: %s", part);
    session->closing = true;
}

/* --- commands that wait --- */

struct rpc_pending *rpc_begin_waiting(struct rpc_session *session,
                                      const struct rpc_request *request)
{
    struct rpc_server *server = session->server;
    struct rpc_pending *pending = calloc(1, sizeof *pending);
    if (!pending) {
        rpc_respond_error(session, request, "out of memory");
        return NULL;
    }
    *pending = (struct rpc_pending){.next = server->pendings,
                                    .link = &server->pendings,
                                    .server = server,
                                    .session = session,
                                    .seq = request->header.seq};
    if (pending->next)
        pending->next->link = &pending->next;
    server->pendings = pending;
    session->pending = pending;
    return pending;
}

void rpc_pending_free(struct rpc_pending *pending)
{
    *pending->link = pending->next;
    if (pending->next)
        pending->next->link = pending->link;
    free(pending);
}

/* Requests that waited are taken up by the loop: this may be a callback of the node, from inside
 * which it takes no new commands. */
void rpc_end_waiting(struct rpc_pending *pending, struct span error, struct span body)
{
    struct rpc_session *session = pending->session;
    uint64_t seq = pending->seq;
    rpc_pending_free(pending);
    if (!session)
        return;
    session->pending = NULL;
    rpc_session_respond(session, seq, error, body);
    loop_defer(&session->resume);
}

/* --- membership --- */

static void join_done(void *context, bool ok, uint32_t count, struct span error)
{
    struct rpc_pending *pending = context;
    struct rpc_server *server = pending->server;
    const struct rpc_join_response response = {count};
    join_log_end(server->config.log, count, error);
    buffer_reset(&server->body);
    msgpack_write_structure(&server->body, &rpc_join_response_structure, MSGPACK_RPC, &response);
    rpc_end_waiting(pending, count > 0 || ok ? SPAN_EMPTY : error, buffer_span(&server->body));
}

static void run_join(struct rpc_session *session, const struct rpc_request *request)
{
    struct span addresses[JOIN_ADDRESSES_MAX];
    size_t count = 0;
    struct rpc_walker walker;
    struct span address;
    bool list = rpc_list_open(&walker, request->join.existing);
    while (list && count < JOIN_ADDRESSES_MAX && rpc_list_next(&walker, &address))
        addresses[count++] = address;
    if (!list || walker.failed) {
        rpc_refuse_body(session, "'Existing' is no list of strings");
        return;
    }
    struct buffer *body = &session->server->body;
    const struct rpc_join_response none = {0};
    buffer_reset(body);
    msgpack_write_structure(body, &rpc_join_response_structure, MSGPACK_RPC, &none);
    if (count == 0 || walker.left > 0) {
        const char *error = count == 0 ? "" : "more than 1024 addresses in one join";
        rpc_session_respond(session, request->header.seq, span_text(error), buffer_span(body));
        return;
    }
    join_log_begin(session->server->config.log, addresses, count, request->join.replay);
    struct rpc_pending *pending = rpc_begin_waiting(session, request);
    if (pending)
        node_join(session->server->config.node, addresses, count, request->join.replay, join_done,
                  pending);
}

static void force_leave_done(void *context, bool ok, uint32_t count, struct span error)
{
    (void)count;
    struct rpc_pending *pending = context;
    if (!ok)
        agent_log_printf(pending->server->config.log, LOG_LEVEL_WARN,
                         "agent: failed to remove node%s: %.*s", pending->prune ? " (prune)" : "",
                         SPAN_PRINT(error));
    rpc_end_waiting(pending, ok ? SPAN_EMPTY : error, SPAN_EMPTY);
}

static void run_force_leave(struct rpc_session *session, const struct rpc_request *request)
{
    const struct rpc_force_leave *body = &request->force_leave;
    agent_log_printf(session->server->config.log, LOG_LEVEL_INFO,
                     "agent: Force leaving node%s: %.*s", body->prune ? " (prune)" : "",
                     SPAN_PRINT(body->node));
    struct rpc_pending *pending = rpc_begin_waiting(session, request);
    if (!pending)
        return;
    pending->prune = body->prune;
    node_force_leave(session->server->config.node, body->node, body->prune, force_leave_done,
                     pending);
}

static void leave_done(void *context, bool ok, uint32_t count, struct span error)
{
    (void)count;
    struct rpc_pending *pending = context;
    struct rpc_server *server = pending->server;
    struct rpc_session *session = pending->session;
    if (!ok)
        agent_log_printf(server->config.log, LOG_LEVEL_ERR, "agent.ipc: leave failed: %.*s",
                         SPAN_PRINT(error));
    bool left = ok || serf_state(node_serf(server->config.node)) == SERF_LEFT;
    if (left && session) {
        server->leaver = session;
        loop_timer_set(&server->left_timer, loop_now() + RPC_CLOSE_PATIENCE_NS);
    } else if (left) {
        rpc_server_left(server);
    }
    rpc_end_waiting(pending, ok ? SPAN_EMPTY : error, SPAN_EMPTY);
    if (server->leaver && server->leaver == session &&
        connection_unsent(session->connection) == 0) {
        server->leaver = NULL;
        rpc_server_left(server);
    }
}

static void run_leave(struct rpc_session *session, const struct rpc_request *request)
{
    struct rpc_server *server = session->server;
    agent_log_printf(server->config.log, LOG_LEVEL_INFO, "agent.ipc: Graceful leave triggered");
    struct rpc_pending *pending = rpc_begin_waiting(session, request);
    if (pending)
        server->config.leave(server->config.context, leave_done, pending);
}

/* --- the members --- */

/* The body {"Members": [...]} from `count` encoded members. */
static void respond_members(struct rpc_session *session, const struct rpc_request *request,
                            uint32_t count)
{
    struct rpc_server *server = session->server;
    struct buffer *body = &server->body;
    buffer_reset(body);
    msgpack_write_map(body, 1);
    msgpack_write_string_text(body, "Members");
    msgpack_write_array(body, count);
    buffer_append_span(body, buffer_span(&server->items));
    if (body->failed || server->items.failed)
        rpc_session_respond(session, request->header.seq,
                            span_text("the list of members is too long for one answer"),
                            no_members());
    else
        rpc_session_respond(session, request->header.seq, SPAN_EMPTY, buffer_span(body));
}

static void respond_no_members(struct rpc_session *session, const struct rpc_request *request,
                               struct span error)
{
    rpc_session_respond(session, request->header.seq, error, no_members());
}

/* Encodes the members that pass the filter (NULL: all) into `items`. False when it is too costly.
 */
static bool collect_members(struct rpc_server *server, struct members_filter *filter,
                            uint32_t *count)
{
    const struct serf *serf = node_serf(server->config.node);
    uint32_t position = 0;
    struct member_view member;
    *count = 0;
    buffer_reset(&server->items);
    while (serf_next_member(serf, &position, &member)) {
        enum expression_result result =
            filter ? members_filter_match(filter, &member) : EXPRESSION_YES;
        if (result == EXPRESSION_TOO_COSTLY)
            return false;
        if (result == EXPRESSION_NO)
            continue;
        rpc_append_member(server, &server->items, &member);
        ++*count;
    }
    return true;
}

static void run_members(struct rpc_session *session, const struct rpc_request *request)
{
    uint32_t count;
    collect_members(session->server, NULL, &count);
    respond_members(session, request, count);
}

static void respond_filtered(struct rpc_session *session, const struct rpc_request *request,
                             const struct tag *tags, size_t tag_count)
{
    const struct rpc_members_filtered *body = &request->members_filtered;
    struct buffer error;
    uint32_t count;
    buffer_init(&error, 2 * EXPRESSION_SIZE_MAX);
    struct members_filter *filter =
        members_filter_new(body->name, body->status, tags, tag_count, &error);
    bool matched = filter && collect_members(session->server, filter, &count);
    if (filter && !matched)
        buffer_append_text(&error, "a regular expression takes too many steps to match");
    if (matched) {
        respond_members(session, request, count);
    } else {
        log_refusal(session, buffer_text(&error));
        respond_no_members(session, request, buffer_span(&error));
    }
    members_filter_free(filter);
    buffer_fini(&error);
}

static void run_members_filtered(struct rpc_session *session, const struct rpc_request *request)
{
    struct tag tags[MEMBERS_FILTER_TAGS_MAX];
    size_t count = 0;
    struct rpc_walker walker;
    struct tag tag;
    bool map = rpc_map_open(&walker, request->members_filtered.tags);
    while (map && count < MEMBERS_FILTER_TAGS_MAX && rpc_map_next(&walker, &tag.key, &tag.value))
        tags[count++] = tag;
    if (!map || walker.failed)
        rpc_refuse_body(session, "'Tags' is no map of strings");
    else if (walker.left > 0)
        respond_no_members(session, request, span_text("more than 64 tag filters"));
    else
        respond_filtered(session, request, tags, count);
}

/* --- tags --- */

static void tags_done(void *context, bool ok, uint32_t count, struct span error)
{
    (void)count;
    rpc_end_waiting(context, ok ? SPAN_EMPTY : error, SPAN_EMPTY);
}

static void run_tags(struct rpc_session *session, const struct rpc_request *request)
{
    struct tag set[RPC_TAGS_MAX], tag;
    struct span deleted[RPC_TAGS_MAX], key;
    size_t set_count = 0, deleted_count = 0;
    struct rpc_walker sets, deletes;
    bool open = rpc_map_open(&sets, request->tags.tags) &&
                rpc_list_open(&deletes, request->tags.delete_tags);
    while (open && set_count < RPC_TAGS_MAX && rpc_map_next(&sets, &tag.key, &tag.value))
        set[set_count++] = tag;
    while (open && deleted_count < RPC_TAGS_MAX && rpc_list_next(&deletes, &key))
        deleted[deleted_count++] = key;
    if (!open || sets.failed || deletes.failed) {
        rpc_refuse_body(session, "'Tags' is no map of strings, or 'DeleteTags' no list of strings");
        return;
    }
    if (sets.left > 0 || deletes.left > 0) {
        rpc_respond_error(session, request, "more than 512 tags in one request");
        return;
    }
    struct rpc_server *server = session->server;
    struct rpc_pending *pending = rpc_begin_waiting(session, request);
    if (pending)
        server->config.set_tags(server->config.context, set, set_count, deleted, deleted_count,
                                tags_done, pending);
}

/* --- streams --- */

static void run_stream(struct rpc_session *session, const struct rpc_request *request)
{
    if (rpc_session_find_stream(session, request->header.seq)) {
        rpc_respond_error(session, request, "Stream with given sequence exists");
        return;
    }
    if (session->stream_count == RPC_STREAMS_MAX) {
        rpc_respond_error(session, request, "more than 64 streams on one connection");
        return;
    }
    struct rpc_event_stream stream = {.seq = request->header.seq};
    switch (stream_filter_init(&stream.filter, request->stream.type)) {
    case STREAM_FILTER_INVALID:
        rpc_respond_error(session, request, "Invalid event filter");
        break;
    case STREAM_FILTER_NO_MEMORY:
        rpc_respond_error(session, request, "out of memory");
        break;
    case STREAM_FILTER_OK:
        session->streams[session->stream_count++] = stream;
        rpc_respond_ok(session, request);
        break;
    }
}

static void refuse_log_level(struct rpc_session *session, const struct rpc_request *request)
{
    struct span level = request->monitor.log_level;
    struct buffer error;
    buffer_init(&error, 256);
    buffer_append_text(&error, "Unknown log level: ");
    for (size_t i = 0; i < level.size; i++) {
        uint8_t c = level.data[i];
        buffer_append_u8(&error, c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c);
    }
    rpc_session_respond(session, request->header.seq, buffer_span(&error), SPAN_EMPTY);
    buffer_fini(&error);
}

static void run_monitor(struct rpc_session *session, const struct rpc_request *request)
{
    enum log_level level;
    if (!log_level_parse(request->monitor.log_level, &level)) {
        refuse_log_level(session, request);
        return;
    }
    if (session->monitoring) {
        rpc_respond_error(session, request, "Monitor already exists");
        return;
    }
    rpc_respond_ok(session, request);
    rpc_session_start_monitor(session, request->header.seq, level);
}

static void run_stop(struct rpc_session *session, const struct rpc_request *request)
{
    struct rpc_event_stream *stream = rpc_session_find_stream(session, request->stop.stop);
    if (stream)
        rpc_session_stop_stream(session, stream);
    if (session->monitoring && session->monitor_seq == request->stop.stop)
        rpc_session_stop_monitor(session);
    rpc_respond_ok(session, request);
}

/* --- the rest --- */

static void run_stats(struct rpc_session *session, const struct rpc_request *request)
{
    struct rpc_server *server = session->server;
    buffer_reset(&server->body);
    server->config.stats(server->config.context, &server->body);
    rpc_session_respond(session, request->header.seq, SPAN_EMPTY, buffer_span(&server->body));
}

static void run_handshake(struct rpc_session *session, const struct rpc_request *request)
{
    if (session->handshaken) {
        rpc_respond_error(session, request, "Handshake already performed");
    } else if (request->handshake.version != RPC_VERSION) {
        rpc_respond_error(session, request, "Unsupported IPC version");
    } else {
        session->handshaken = true;
        rpc_respond_ok(session, request);
    }
}

/* Takes as long for a token that is wrong in its first byte as for one wrong in its last. */
static bool token_matches(const struct rpc_server *server, struct span token)
{
    struct span wanted = span_text(server->auth_key);
    unsigned difference = token.size != wanted.size;
    for (size_t i = 0; i < token.size && wanted.size > 0; i++)
        difference |= (unsigned)(token.data[i] ^ wanted.data[i % wanted.size]);
    return difference == 0;
}

static void run_auth(struct rpc_session *session, const struct rpc_request *request)
{
    if (!token_matches(session->server, request->auth.auth_key)) {
        rpc_respond_error(session, request, "Invalid authentication token");
        return;
    }
    session->authenticated = true;
    session->parser.size_max = RPC_REQUEST_SIZE_MAX;
    rpc_request_parser_init(&session->parser, RPC_REQUEST_SIZE_MAX);
    rpc_respond_ok(session, request);
}

static void append_coordinate(struct rpc_server *server, const struct coordinate *coordinate)
{
    struct buffer *vector = &server->tags;
    buffer_reset(vector);
    msgpack_write_array(vector, COORDINATE_DIMENSIONS);
    for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
        msgpack_write_double(vector, coordinate->vector[i]);
    const struct rpc_coordinate message = {
        .adjustment = coordinate->adjustment,
        .error = coordinate->error,
        .height = coordinate->height,
        .vec = buffer_span(vector),
    };
    msgpack_write_structure(&server->items, &rpc_coordinate_structure, MSGPACK_RPC, &message);
}

static void run_get_coordinate(struct rpc_session *session, const struct rpc_request *request)
{
    struct rpc_server *server = session->server;
    struct coordinate coordinate;
    struct rpc_coordinate_response response = {.ok = serf_coordinate(node_serf(server->config.node),
                                                                     request->get_coordinate.node,
                                                                     &coordinate)};
    buffer_reset(&server->items);
    buffer_reset(&server->body);
    if (response.ok)
        append_coordinate(server, &coordinate);
    response.coord = buffer_span(&server->items);
    msgpack_write_structure(&server->body, &rpc_coordinate_response_structure, MSGPACK_RPC,
                            &response);
    rpc_session_respond(session, request->header.seq, SPAN_EMPTY, buffer_span(&server->body));
}

static void refuse_unknown(struct rpc_session *session, const struct rpc_request *request)
{
    enum { SHOWN = 128 };
    struct span name = request->header.command;
    char reason[SHOWN + 64];
    snprintf(reason, sizeof reason, "command '%.*s%s' not recognized",
             name.size < SHOWN ? (int)name.size : SHOWN,
             name.size > 0 ? (const char *)name.data : "", name.size < SHOWN ? "" : "...");
    log_refusal(session, reason);
    rpc_respond_error(session, request, "Unsupported command");
    session->closing = true;
}

typedef void run_command(struct rpc_session *session, const struct rpc_request *request);

static run_command *const commands[RPC_COMMAND_COUNT + 1] = {
    [RPC_HANDSHAKE] = run_handshake,
    [RPC_AUTH] = run_auth,
    [RPC_EVENT] = rpc_run_event,
    [RPC_FORCE_LEAVE] = run_force_leave,
    [RPC_JOIN] = run_join,
    [RPC_MEMBERS] = run_members,
    [RPC_MEMBERS_FILTERED] = run_members_filtered,
    [RPC_TAGS] = run_tags,
    [RPC_STREAM] = run_stream,
    [RPC_MONITOR] = run_monitor,
    [RPC_STOP] = run_stop,
    [RPC_LEAVE] = run_leave,
    [RPC_QUERY] = rpc_run_query,
    [RPC_RESPOND] = rpc_run_respond,
    [RPC_INSTALL_KEY] = rpc_run_keys,
    [RPC_USE_KEY] = rpc_run_keys,
    [RPC_REMOVE_KEY] = rpc_run_keys,
    [RPC_LIST_KEYS] = rpc_run_keys,
    [RPC_STATS] = run_stats,
    [RPC_GET_COORDINATE] = run_get_coordinate,
    [RPC_COMMAND_COUNT] = refuse_unknown,
};

/* An unknown command may have a body that can't be told from the next request: whatever the reason
 * for not carrying it out, the connection ends with it. */
void rpc_command_run(struct rpc_session *session, const struct rpc_request *request)
{
    if (!session->handshaken && request->command != RPC_HANDSHAKE) {
        log_refusal(session, "Handshake required");
        rpc_respond_error(session, request, "Handshake required");
        session->closing = true;
        return;
    }
    bool open =
        session->authenticated || request->command == RPC_HANDSHAKE || request->command == RPC_AUTH;
    if (!open) {
        rpc_notice_printf(&session->server->refusals, LOG_LEVEL_WARN,
                          "agent.ipc: Client sending commands before auth");
        rpc_respond_error(session, request, "Authentication required");
        session->closing = session->closing || request->command == RPC_COMMAND_COUNT;
        return;
    }
    if (session->server->config.metrics)
        session->server->config.metrics->ipc_commands++;
    commands[request->command](session, request);
}

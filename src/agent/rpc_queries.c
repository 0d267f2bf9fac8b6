/* User events and queries over RPC (agent specification, 5.4, 5.7 and 5.9).
 *
 * A query has two sides here. A client that asks gets a record for each ack and response, and one
 * that says that it is done, which is never dropped: the client waits for it. A client that streams
 * queries gets each with a number of its own connection's, with which it may respond until the
 * deadline. Both are bounded for each connection, and end with it. */
#include "expression.h"
#include "rpc_session.h"

#include <stdlib.h>

/* --- user events --- */

/* As in `agent: Requesting ... Payload: "..."`. */
static void log_request(struct rpc_session *session, const char *what, struct span name,
                        const char *between, struct span payload)
{
    struct buffer quoted;
    buffer_init(&quoted, 4 * RPC_STRING_SIZE_MAX + 2);
    buffer_append_quoted(&quoted, payload);
    agent_log_printf(session->server->config.log, LOG_LEVEL_DEBUG,
                     "agent: Requesting %s send: %.*s.%s Payload: %s", what, SPAN_PRINT(name),
                     between, buffer_text(&quoted));
    buffer_fini(&quoted);
}

/* Answers with `error`, which is empty when it went well; what failed is also logged. */
static void respond_with(struct rpc_session *session, const struct rpc_request *request,
                         const char *failed, struct buffer *error)
{
    if (error->size > 0 && failed)
        agent_log_printf(session->server->config.log, LOG_LEVEL_WARN, "agent: failed to %s: %s",
                         failed, buffer_text(error));
    rpc_session_respond(session, request->header.seq, buffer_span(error), SPAN_EMPTY);
}

static void no_reason(bool done, struct buffer *error)
{
    if (!done && error->size == 0)
        buffer_append_text(error, "out of memory");
}

void rpc_run_event(struct rpc_session *session, const struct rpc_request *request)
{
    const struct rpc_event *event = &request->event;
    struct buffer error;
    buffer_init(&error, 1024);
    log_request(session, "user event", event->name,
                event->coalesce ? " Coalesced: true." : " Coalesced: false.", event->payload);
    no_reason(node_user_event(session->server->config.node, event->name, event->payload,
                              event->coalesce, &error),
              &error);
    respond_with(session, request, "send user event", &error);
    buffer_fini(&error);
}

/* --- queries of a client --- */

static void forget_own_query(struct rpc_own_query *own)
{
    number_map_remove(&own->session->server->own_queries, own->query);
    *own->link = own->next;
    if (own->next)
        own->next->link = own->link;
    own->session->own_query_count--;
    free(own);
}

/* False when memory is out; the query's answers then have nowhere to go. */
static bool remember_own_query(struct rpc_session *session, uint32_t query, uint64_t seq)
{
    struct rpc_own_query *own = calloc(1, sizeof *own);
    if (!own || !number_map_insert(&session->server->own_queries, query, own)) {
        free(own);
        return false;
    }
    *own = (struct rpc_own_query){.next = session->own_queries,
                                  .link = &session->own_queries,
                                  .session = session,
                                  .query = query,
                                  .seq = seq};
    if (own->next)
        own->next->link = &own->next;
    session->own_queries = own;
    session->own_query_count++;
    return true;
}

/* Names with this prefix are the members' own; the ping is harmless. */
static bool is_internal(const struct rpc_query *query)
{
    static const char prefix[] = "_serf_";
    size_t size = sizeof prefix - 1;
    if (query->name.size < size || memcmp(query->name.data, prefix, size) != 0)
        return false;
    return query->payload.size > 0 || !span_equal_text(query->name, "_serf_ping");
}

/* Members that do not understand an expression stay silent, and the one who asked would wonder. */
static bool expressions_are_good(const struct serf_query_parameters *parameters,
                                 struct buffer *error)
{
    for (size_t i = 0; i < parameters->tag_count; i++) {
        struct buffer reason;
        buffer_init(&reason, 2 * EXPRESSION_SIZE_MAX);
        struct expression *expression =
            expression_new(parameters->tags[i].value, EXPRESSION_ANYWHERE, &reason);
        bool good = expression != NULL;
        if (!good)
            buffer_printf(error, "Failed to compile regex: %s", buffer_text(&reason));
        expression_free(expression);
        buffer_fini(&reason);
        if (!good)
            return false;
    }
    return true;
}

static void ask(struct rpc_session *session, const struct rpc_request *request,
                const struct serf_query_parameters *parameters, struct buffer *error)
{
    struct node *node = session->server->config.node;
    if (session->own_query_count >= RPC_OWN_QUERIES_MAX) {
        buffer_printf(error, "%d queries of this connection are in progress: no more at once",
                      RPC_OWN_QUERIES_MAX);
        return;
    }
    if (!expressions_are_good(parameters, error))
        return;
    uint32_t query = node_query(node, parameters, error);
    if (query != 0 && !remember_own_query(session, query, request->header.seq)) {
        node_query_cancel(node, query);
        query = 0;
    }
    no_reason(query != 0, error);
}

/* A timeout that is over already still lets the question out. */
static uint64_t query_timeout(int64_t timeout)
{
    return timeout < 0 ? 1 : (uint64_t)timeout;
}

static void run_query(struct rpc_session *session, const struct rpc_request *request,
                      const struct serf_query_parameters *parameters)
{
    struct buffer error;
    buffer_init(&error, 4 * EXPRESSION_SIZE_MAX);
    if (is_internal(&request->query)) {
        buffer_append_text(&error, "Queries cannot contain the '_serf_' prefix");
        respond_with(session, request, NULL, &error);
    } else {
        log_request(session, "query", parameters->name, "", parameters->payload);
        ask(session, request, parameters, &error);
        respond_with(session, request, "start user query", &error);
    }
    buffer_fini(&error);
}

void rpc_run_query(struct rpc_session *session, const struct rpc_request *request)
{
    const struct rpc_query *query = &request->query;
    struct span nodes[RPC_QUERY_NODES_MAX];
    struct tag tags[RPC_TAGS_MAX];
    struct serf_query_parameters parameters = {
        .name = query->name,
        .payload = query->payload,
        .nodes = nodes,
        .tags = tags,
        .acknowledge = query->request_ack,
        .relay_factor = query->relay_factor,
        .timeout = query_timeout(query->timeout),
    };
    struct rpc_walker list, map;
    bool open = rpc_list_open(&list, query->filter_nodes) && rpc_map_open(&map, query->filter_tags);
    while (open && parameters.node_count < RPC_QUERY_NODES_MAX &&
           rpc_list_next(&list, &nodes[parameters.node_count]))
        parameters.node_count++;
    while (open && parameters.tag_count < RPC_TAGS_MAX &&
           rpc_map_next(&map, &tags[parameters.tag_count].key, &tags[parameters.tag_count].value))
        parameters.tag_count++;
    if (!open || list.failed || map.failed)
        rpc_refuse_body(session,
                        "'FilterNodes' is no list of strings, or 'FilterTags' no map of strings");
    else if (list.left > 0 || map.left > 0)
        rpc_respond_error(session, request,
                          "more than 1024 nodes, or 512 tags, in the filters of one query");
    else
        run_query(session, request, &parameters);
}

/* --- what comes back --- */

static void send_record(struct rpc_server *server, const struct rpc_own_query *own,
                        const char *type, struct span from, struct span payload)
{
    const struct rpc_query_record record = {
        .from = from, .payload = payload, .type = span_text(type)};
    struct buffer *body = &server->body;
    buffer_reset(body);
    msgpack_write_structure(body, &rpc_query_record_structure, MSGPACK_RPC, &record);
    if (!body->failed)
        rpc_session_respond(own->session, own->seq, SPAN_EMPTY, buffer_span(body));
}

void rpc_server_query_ack(struct rpc_server *server, uint32_t query, struct span from)
{
    const struct rpc_own_query *own = number_map_find(&server->own_queries, query);
    if (own && rpc_session_takes_record(own->session, "ack"))
        send_record(server, own, "ack", from, SPAN_EMPTY);
}

/* The payload is there, be it empty: only an ack has none. */
void rpc_server_query_response(struct rpc_server *server, uint32_t query, struct span from,
                               struct span payload)
{
    const struct rpc_own_query *own = number_map_find(&server->own_queries, query);
    if (payload.size == 0)
        payload = span_make("", 0);
    if (own && rpc_session_takes_record(own->session, "response"))
        send_record(server, own, "response", from, payload);
}

void rpc_server_query_done(struct rpc_server *server, uint32_t query)
{
    struct rpc_own_query *own = number_map_find(&server->own_queries, query);
    if (!own)
        return;
    if (!own->session->closing)
        send_record(server, own, "done", SPAN_EMPTY, SPAN_EMPTY);
    forget_own_query(own);
}

/* --- queries of others --- */

static void forget_overdue(struct rpc_session *session)
{
    size_t kept = 0;
    uint64_t now = loop_now();
    for (size_t i = 0; i < session->open_query_count; i++)
        if (session->open_queries[i].deadline >= now)
            session->open_queries[kept++] = session->open_queries[i];
    session->open_query_count = kept;
}

static void grow_open_queries(struct rpc_session *session)
{
    size_t capacity = session->open_query_capacity > 0 ? 2 * session->open_query_capacity : 8;
    struct rpc_open_query *larger =
        realloc(session->open_queries, capacity * sizeof *session->open_queries);
    if (!larger)
        return;
    session->open_queries = larger;
    session->open_query_capacity = capacity;
}

/* Room for one more; where there can't be more, the oldest gives way. */
static bool make_room(struct rpc_session *session)
{
    if (session->open_query_count < session->open_query_capacity)
        return true;
    forget_overdue(session);
    if (session->open_query_capacity < RPC_OPEN_QUERIES_MAX &&
        2 * session->open_query_count >= session->open_query_capacity)
        grow_open_queries(session);
    if (session->open_query_count < session->open_query_capacity)
        return true;
    if (session->open_query_count == 0)
        return false;
    memmove(session->open_queries, session->open_queries + 1,
            --session->open_query_count * sizeof *session->open_queries);
    return true;
}

/* The number under which the client may respond; 0 when memory is out. */
static uint64_t remember_open_query(struct rpc_session *session, uint32_t query, uint64_t deadline)
{
    if (!make_room(session))
        return 0;
    session->open_queries[session->open_query_count++] =
        (struct rpc_open_query){++session->last_open_query, query, deadline};
    return session->last_open_query;
}

static void stream_query(struct rpc_session *session, uint64_t seq, uint32_t query,
                         uint64_t deadline, struct rpc_query_event_record *record)
{
    struct buffer *body = &session->server->body;
    if (!rpc_session_takes_record(session, "event"))
        return;
    record->id = remember_open_query(session, query, deadline);
    buffer_reset(body);
    msgpack_write_structure(body, &rpc_query_event_record_structure, MSGPACK_RPC, record);
    if (record->id != 0 && !body->failed)
        rpc_session_respond(session, seq, SPAN_EMPTY, buffer_span(body));
}

void rpc_server_query(struct rpc_server *server, uint32_t query, uint64_t ltime, uint64_t deadline,
                      struct span name, struct span payload)
{
    struct rpc_query_event_record record = {
        .event = span_text("query"), .ltime = ltime, .name = name, .payload = payload};
    for (struct rpc_session *session = server->sessions; session; session = session->next)
        for (size_t i = 0; i < session->stream_count; i++)
            if (stream_filter_wants(&session->streams[i].filter, STREAM_QUERY, name))
                stream_query(session, session->streams[i].seq, query, deadline, &record);
}

static const struct rpc_open_query *find_open_query(const struct rpc_session *session, uint64_t id)
{
    for (size_t i = 0; i < session->open_query_count; i++)
        if (session->open_queries[i].id == id && session->open_queries[i].deadline >= loop_now())
            return &session->open_queries[i];
    return NULL;
}

void rpc_run_respond(struct rpc_session *session, const struct rpc_request *request)
{
    const struct rpc_open_query *open = find_open_query(session, request->respond.id);
    if (!open) {
        rpc_respond_error(session, request, "No pending queries matching ID");
        return;
    }
    struct buffer error;
    buffer_init(&error, 1024);
    no_reason(
        node_respond(session->server->config.node, open->query, request->respond.payload, &error),
        &error);
    respond_with(session, request, NULL, &error);
    buffer_fini(&error);
}

void rpc_session_end_queries(struct rpc_session *session)
{
    while (session->own_queries) {
        node_query_cancel(session->server->config.node, session->own_queries->query);
        forget_own_query(session->own_queries);
    }
    free(session->open_queries);
    session->open_queries = NULL;
    session->open_query_count = session->open_query_capacity = 0;
}

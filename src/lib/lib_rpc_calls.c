/* One function a command: its body, the question, what comes of the answer. */
#include "lib_rpc.h"

#include "arguments.h"
#include "loop.h"
#include "member_list.h"
#include "network_coordinate.h"

#include <stdio.h>

enum { CALL_LIST_MAX = 1024 * 1024 };

/* How long a query may last beyond its own time, and where the agent chooses that. */
#define QUERY_PATIENCE_NS         UINT64_C(30000000000)
#define QUERY_DEFAULT_PATIENCE_NS UINT64_C(300000000000)

/* A command whose answer says nothing. */
static enum cserf_code simple_call(struct cserf_rpc *rpc, enum rpc_command command,
                                   const void *body, struct cserf_error *error)
{
    struct span answer;
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    return rpc_leave(rpc, rpc_ask(rpc, command, body, &answer, error));
}

static void write_texts(struct buffer *out, const char *const *texts, size_t count)
{
    msgpack_write_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        msgpack_write_string_text(out, texts[i]);
}

static void write_tags(struct buffer *out, const struct cserf_tag *tags, size_t count)
{
    msgpack_write_map(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        msgpack_write_string_text(out, tags[i].key);
        msgpack_write_string_text(out, tags[i].value);
    }
}

static enum cserf_code too_large(struct cserf_error *error)
{
    return lib_fail(error, CSERF_INVALID, "the request is larger than the limit of 1 MiB");
}

/* --- members --- */

static enum cserf_code list_members(struct cserf_rpc *rpc, enum rpc_command command,
                                    const void *body, cserf_node_callback *callback, void *context,
                                    struct cserf_error *error)
{
    struct span answer;
    struct member_list list;
    struct buffer reason;
    enum cserf_code code = rpc_ask(rpc, command, body, &answer, error);
    if (code != CSERF_OK)
        return code;
    buffer_init(&reason, 1024);
    if (!member_list_read(&list, answer, &reason))
        code = rpc_malformed(error);
    for (size_t i = 0; i < list.count && code == CSERF_OK; i++) {
        const struct cserf_node *node = rpc_show_member(&rpc->view, &list.members[i]);
        if (node)
            callback(context, node);
        else
            code = lib_no_memory(error);
    }
    member_list_fini(&list);
    buffer_fini(&reason);
    return code;
}

enum cserf_code cserf_rpc_members(struct cserf_rpc *rpc, cserf_node_callback *callback,
                                  void *context, struct cserf_error *error)
{
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    return rpc_leave(rpc, list_members(rpc, RPC_MEMBERS, NULL, callback, context, error));
}

enum cserf_code cserf_rpc_members_filtered(struct cserf_rpc *rpc, const char *name,
                                           const char *status, const struct cserf_tag *tags,
                                           size_t tag_count, cserf_node_callback *callback,
                                           void *context, struct cserf_error *error)
{
    struct buffer tag_map;
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    buffer_init(&tag_map, CALL_LIST_MAX);
    write_tags(&tag_map, tags, tag_count);
    const struct rpc_members_filtered body = {
        .name = span_text(name), .status = span_text(status), .tags = buffer_span(&tag_map)};
    code = tag_map.failed
               ? too_large(error)
               : list_members(rpc, RPC_MEMBERS_FILTERED, &body, callback, context, error);
    buffer_fini(&tag_map);
    return rpc_leave(rpc, code);
}

enum cserf_code cserf_rpc_join(struct cserf_rpc *rpc, const char *const *addresses, size_t count,
                               bool replay, unsigned *contacted, struct cserf_error *error)
{
    struct buffer list;
    struct span answer;
    struct rpc_join_response response = {0};
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    buffer_init(&list, CALL_LIST_MAX);
    write_texts(&list, addresses, count);
    const struct rpc_join body = {buffer_span(&list), replay};
    code = list.failed ? too_large(error) : rpc_ask(rpc, RPC_JOIN, &body, &answer, error);
    buffer_fini(&list);
    if (code == CSERF_OK) {
        struct msgpack_reader reader = msgpack_reader_of(answer);
        if (msgpack_read_structure(&reader, &rpc_join_response_structure, &response) != MSGPACK_OK)
            code = rpc_malformed(error);
    }
    if (contacted)
        *contacted = response.num > 0 ? (unsigned)response.num : 0;
    return rpc_leave(rpc, code);
}

enum cserf_code cserf_rpc_leave(struct cserf_rpc *rpc, struct cserf_error *error)
{
    return simple_call(rpc, RPC_LEAVE, NULL, error);
}

enum cserf_code cserf_rpc_force_leave(struct cserf_rpc *rpc, const char *name, bool prune,
                                      struct cserf_error *error)
{
    const struct rpc_force_leave body = {span_text(name), prune};
    return simple_call(rpc, RPC_FORCE_LEAVE, &body, error);
}

enum cserf_code cserf_rpc_set_tags(struct cserf_rpc *rpc, const struct cserf_tag *set,
                                   size_t set_count, const char *const *deleted,
                                   size_t deleted_count, struct cserf_error *error)
{
    struct buffer set_map, deleted_list;
    buffer_init(&set_map, CALL_LIST_MAX);
    buffer_init(&deleted_list, CALL_LIST_MAX);
    write_tags(&set_map, set, set_count);
    write_texts(&deleted_list, deleted, deleted_count);
    const struct rpc_tags body = {buffer_span(&deleted_list), buffer_span(&set_map)};
    enum cserf_code code = set_map.failed || deleted_list.failed
                               ? too_large(error)
                               : simple_call(rpc, RPC_TAGS, &body, error);
    buffer_fini(&set_map);
    buffer_fini(&deleted_list);
    return code;
}

/* --- events and queries --- */

enum cserf_code cserf_rpc_user_event(struct cserf_rpc *rpc, const char *name, const void *payload,
                                     size_t payload_size, bool coalesce, struct cserf_error *error)
{
    const struct rpc_event body = {coalesce, span_text(name), span_make(payload, payload_size)};
    return simple_call(rpc, RPC_EVENT, &body, error);
}

enum cserf_code cserf_rpc_respond(struct cserf_rpc *rpc, uint64_t query, const void *payload,
                                  size_t payload_size, struct cserf_error *error)
{
    const struct rpc_respond body = {query, span_make(payload, payload_size)};
    return simple_call(rpc, RPC_RESPOND, &body, error);
}

static enum cserf_code wait_for_answers(struct cserf_rpc *rpc, const struct subscription *to,
                                        uint64_t patience, struct cserf_error *error)
{
    uint64_t deadline = loop_now() + patience;
    struct buffer reason;
    buffer_init(&reason, LIB_ERROR_SIZE_MAX);
    while (!to->done)
        if (!rpc_client_next(rpc->client, deadline, &reason))
            return rpc_failed(rpc, &reason, error);
    buffer_fini(&reason);
    return lib_good(error);
}

static enum cserf_code ask_query(struct cserf_rpc *rpc, const struct rpc_query *body,
                                 cserf_answer_callback *callback, void *context,
                                 struct cserf_error *error)
{
    struct span answer;
    uint64_t patience =
        body->timeout > 0 ? (uint64_t)body->timeout + QUERY_PATIENCE_NS : QUERY_DEFAULT_PATIENCE_NS;
    struct subscription *to = subscription_new(rpc, context);
    if (!to)
        return lib_no_memory(error);
    to->on_answer = callback;
    enum cserf_code code = rpc_ask(rpc, RPC_QUERY, body, &answer, error);
    if (code == CSERF_OK)
        code = wait_for_answers(rpc, to, patience, error);
    subscription_free(rpc, to);
    return code;
}

enum cserf_code cserf_rpc_query(struct cserf_rpc *rpc, const char *name, const void *payload,
                                size_t payload_size, const struct cserf_query_options *options,
                                cserf_answer_callback *callback, void *context,
                                struct cserf_error *error)
{
    struct cserf_query_options full = query_options_of(options);
    struct buffer nodes, tags;
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    buffer_init(&nodes, CALL_LIST_MAX);
    buffer_init(&tags, CALL_LIST_MAX);
    write_texts(&nodes, full.nodes, full.node_count);
    write_tags(&tags, full.tags, full.tag_count);
    const struct rpc_query body = {
        .filter_nodes = full.node_count > 0 ? buffer_span(&nodes) : SPAN_EMPTY,
        .filter_tags = buffer_span(&tags),
        .name = span_text(name),
        .payload = span_make(payload, payload_size),
        .relay_factor = full.relay_factor,
        .request_ack = full.acks,
        .timeout = (int64_t)(full.timeout_ms * NANOSECONDS_PER_MS),
    };
    code = nodes.failed || tags.failed ? too_large(error)
                                       : ask_query(rpc, &body, callback, context, error);
    buffer_fini(&nodes);
    buffer_fini(&tags);
    return rpc_leave(rpc, code);
}

/* --- stats --- */

/* Section, key and value in one buffer. */
static bool show_stat(struct cserf_rpc *rpc, struct span section, const struct pair *pair,
                      cserf_stat_callback *callback, void *context)
{
    buffer_reset(&rpc->text);
    if (!append_c_text(&rpc->text, section) || !append_c_text(&rpc->text, pair->key) ||
        !append_c_text(&rpc->text, pair->value))
        return false;
    const char *first = (const char *)rpc->text.data, *second = first + strlen(first) + 1;
    callback(context, first, second, second + strlen(second) + 1);
    return true;
}

static bool show_section(struct cserf_rpc *rpc, const struct pair *section,
                         cserf_stat_callback *callback, void *context, struct buffer *reason)
{
    struct pair_list list;
    if (!pair_list_read(&list, section->value, false, reason))
        return false;
    bool good = true;
    for (size_t i = 0; good && i < list.count; i++)
        good = show_stat(rpc, section->key, &list.pairs[i], callback, context);
    pair_list_fini(&list);
    return good;
}

static enum cserf_code show_stats(struct cserf_rpc *rpc, struct span answer,
                                  cserf_stat_callback *callback, void *context,
                                  struct cserf_error *error)
{
    struct pair_list sections;
    struct buffer reason;
    buffer_init(&reason, 1024);
    bool good = pair_list_read(&sections, answer, true, &reason);
    for (size_t i = 0; good && i < sections.count; i++)
        good = show_section(rpc, &sections.pairs[i], callback, context, &reason);
    pair_list_fini(&sections);
    buffer_fini(&reason);
    return good ? CSERF_OK : rpc_malformed(error);
}

enum cserf_code cserf_rpc_stats(struct cserf_rpc *rpc, cserf_stat_callback *callback, void *context,
                                struct cserf_error *error)
{
    struct span answer;
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    code = rpc_ask(rpc, RPC_STATS, NULL, &answer, error);
    if (code == CSERF_OK)
        code = show_stats(rpc, answer, callback, context, error);
    return rpc_leave(rpc, code);
}

/* --- coordinates --- */

/* Into `name`; empty where the agent does not say. */
static void take_own_name(void *context, const char *section, const char *key, const char *value)
{
    struct buffer *name = context;
    if (strcmp(section, "agent") == 0 && strcmp(key, "name") == 0)
        buffer_append_text(name, value);
}

static enum cserf_code find_coordinate(struct cserf_rpc *rpc, const char *name,
                                       struct network_coordinate *coordinate,
                                       struct cserf_error *error)
{
    const struct rpc_get_coordinate body = {span_text(name)};
    struct rpc_coordinate_response response;
    struct span answer;
    char text[CSERF_ERROR_TEXT_SIZE];
    enum cserf_code code = rpc_ask(rpc, RPC_GET_COORDINATE, &body, &answer, error);
    if (code != CSERF_OK)
        return code;
    struct msgpack_reader reader = msgpack_reader_of(answer);
    if (msgpack_read_structure(&reader, &rpc_coordinate_response_structure, &response) !=
            MSGPACK_OK ||
        (response.ok && !network_coordinate_read(response.coord, coordinate)))
        return rpc_malformed(error);
    if (response.ok)
        return CSERF_OK;
    snprintf(text, sizeof text, "the agent has no coordinate for a member '%s'", name);
    return lib_fail(error, CSERF_REFUSED, text);
}

static enum cserf_code estimate(struct cserf_rpc *rpc, const char *from, const char *to,
                                double *rtt_ms, struct cserf_error *error)
{
    struct network_coordinate a, b;
    enum cserf_code code = find_coordinate(rpc, from, &a, error);
    if (code == CSERF_OK)
        code = find_coordinate(rpc, to, &b, error);
    if (code == CSERF_OK)
        *rtt_ms = network_coordinate_distance(&a, &b) * 1000;
    return code;
}

enum cserf_code cserf_rpc_rtt(struct cserf_rpc *rpc, const char *from, const char *to,
                              double *rtt_ms, struct cserf_error *error)
{
    struct buffer name;
    struct span answer;
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    buffer_init(&name, LIB_ERROR_SIZE_MAX);
    if (!to) {
        code = rpc_ask(rpc, RPC_STATS, NULL, &answer, error);
        if (code == CSERF_OK)
            code = show_stats(rpc, answer, take_own_name, &name, error);
        to = buffer_text(&name);
    }
    if (code == CSERF_OK)
        code = estimate(rpc, from, to, rtt_ms, error);
    buffer_fini(&name);
    return rpc_leave(rpc, code);
}

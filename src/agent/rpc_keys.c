/* The keyring over RPC (agent specification, 2.7 and 5.4): one command has all members change or
 * list their keys, and is answered when they have, or when their time is up. What each of them said
 * comes with the answer in any case. */
#include "rpc_session.h"

#include "base64.h"

#include <stdio.h>

/* The values of the two maps of a key response. */
static void append_report(struct rpc_server *server, const struct key_report *report, bool list)
{
    struct rpc_key_response response = {
        .num_err = report->errors, .num_nodes = report->nodes, .num_resp = report->responses};
    struct buffer *values = &server->items;
    buffer_reset(values);
    if (list) {
        msgpack_write_map(values, report->key_count);
        for (uint32_t i = 0; i < report->key_count; i++) {
            msgpack_write_string_text(values, report->keys[i].key);
            msgpack_write_unsigned(values, report->keys[i].nodes);
        }
    }
    size_t keys_size = values->size;
    msgpack_write_map(values, report->message_count);
    for (uint32_t i = 0; i < report->message_count; i++) {
        msgpack_write_string(values, report->messages[i].node);
        msgpack_write_string(values, report->messages[i].text);
    }
    response.keys = span_make(values->data, keys_size);
    response.messages = span_from(buffer_span(values), keys_size);
    buffer_reset(&server->body);
    msgpack_write_structure(&server->body, &rpc_key_response_structure, MSGPACK_RPC, &response);
    server->body.failed = server->body.failed || values->failed;
}

static void keys_done(void *context, const struct key_report *report, struct span error)
{
    struct rpc_pending *pending = context;
    struct rpc_server *server = pending->server;
    append_report(server, report, pending->list);
    rpc_end_waiting(pending, error, buffer_span(&server->body));
}

static void log_initiation(struct rpc_server *server, enum key_operation operation)
{
    static const char *const words[] = {[KEY_INSTALL] = "key installation",
                                        [KEY_USE] = "primary key change",
                                        [KEY_REMOVE] = "key removal",
                                        [KEY_LIST] = "key listing"};
    agent_log_printf(server->config.log, LOG_LEVEL_INFO, "agent: Initiating %s", words[operation]);
}

static enum key_operation operation_of(enum rpc_command command)
{
    return command == RPC_INSTALL_KEY  ? KEY_INSTALL
           : command == RPC_USE_KEY    ? KEY_USE
           : command == RPC_REMOVE_KEY ? KEY_REMOVE
                                       : KEY_LIST;
}

static void refuse_key(struct rpc_session *session, const struct rpc_request *request,
                       const char *reason)
{
    static const struct key_report none;
    struct rpc_server *server = session->server;
    append_report(server, &none, false);
    rpc_session_respond(session, request->header.seq, span_text(reason),
                        buffer_span(&server->body));
}

void rpc_run_keys(struct rpc_session *session, const struct rpc_request *request)
{
    struct rpc_server *server = session->server;
    enum key_operation operation = operation_of(request->command);
    struct buffer key;
    char reason[64];
    size_t offset = 0;
    buffer_init(&key, RPC_STRING_SIZE_MAX);
    log_initiation(server, operation);
    if (operation != KEY_LIST && !base64_decode(request->key.key, &key, &offset)) {
        snprintf(reason, sizeof reason, "illegal base64 data at input byte %zu", offset);
        refuse_key(session, request, reason);
    } else {
        struct rpc_pending *pending = rpc_begin_waiting(session, request);
        if (pending) {
            pending->list = operation == KEY_LIST;
            node_keys(server->config.node, operation, buffer_span(&key), 0, keys_done, pending);
        }
    }
    if (key.size > 0)
        explicit_bzero(key.data, key.size);
    buffer_fini(&key);
}

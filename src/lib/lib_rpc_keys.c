/* An agent's answer about keys has its report also when it is an error, so both are told. */
#include "lib_keys.h"
#include "lib_rpc.h"
#include "member_list.h"

static enum cserf_code tell_keys(const struct rpc_key_response *response,
                                 const struct pair_list *keys, const struct pair_list *messages,
                                 cserf_key_report_callback *callback, void *context,
                                 struct cserf_error *error)
{
    struct key_answer *answer = key_answer_new(keys->count, messages->count);
    if (!answer)
        return lib_no_memory(error);
    answer->report.nodes = (uint32_t)response->num_nodes;
    answer->report.responses = (uint32_t)response->num_resp;
    answer->report.errors = (uint32_t)response->num_err;
    for (size_t i = 0; i < keys->count; i++) {
        struct msgpack_reader reader = msgpack_reader_of(keys->pairs[i].value);
        int64_t nodes = 0;
        msgpack_read_signed(&reader, &nodes);
        key_answer_add_key(answer, keys->pairs[i].key, (uint32_t)nodes, 0);
    }
    for (size_t i = 0; i < messages->count; i++)
        key_answer_add_message(answer, messages->pairs[i].key, messages->pairs[i].value);
    enum cserf_code code = answer->failed ? lib_no_memory(error) : error->code;
    callback(context, error, &answer->report);
    key_answer_free(answer);
    return code;
}

static enum cserf_code show_keys(struct span answer, cserf_key_report_callback *callback,
                                 void *context, struct cserf_error *error)
{
    struct msgpack_reader reader = msgpack_reader_of(answer);
    struct rpc_key_response response;
    struct pair_list keys = {0}, messages = {0};
    struct buffer reason;
    if (msgpack_read_structure(&reader, &rpc_key_response_structure, &response) != MSGPACK_OK)
        return rpc_malformed(error);
    buffer_init(&reason, 1024);
    bool good = pair_list_read(&keys, response.keys, true, &reason) &&
                pair_list_read(&messages, response.messages, false, &reason);
    enum cserf_code code = !good ? rpc_malformed(error)
                           : callback
                               ? tell_keys(&response, &keys, &messages, callback, context, error)
                               : error->code;
    pair_list_fini(&keys);
    pair_list_fini(&messages);
    buffer_fini(&reason);
    return code;
}

enum cserf_code cserf_rpc_keys(struct cserf_rpc *rpc, enum cserf_key_operation operation,
                               const char *key, cserf_key_report_callback *callback, void *context,
                               struct cserf_error *error)
{
    static const enum rpc_command commands[] = {[CSERF_KEY_INSTALL] = RPC_INSTALL_KEY,
                                                [CSERF_KEY_USE] = RPC_USE_KEY,
                                                [CSERF_KEY_REMOVE] = RPC_REMOVE_KEY,
                                                [CSERF_KEY_LIST] = RPC_LIST_KEYS};
    const struct rpc_key body = {span_text(key ? key : "")};
    struct cserf_error own;
    struct span answer;
    if (!error)
        error = &own;
    if (operation < CSERF_KEY_INSTALL || operation > CSERF_KEY_LIST)
        return lib_fail(error, CSERF_INVALID, "keys are installed, used, removed or listed");
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    code = rpc_ask(rpc, commands[operation], &body, &answer, error);
    if (answer.size > 0)
        code = show_keys(answer, callback, context, error);
    return rpc_leave(rpc, code);
}

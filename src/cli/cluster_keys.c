/* The agent counts who has answered: a command has succeeded when each member that is alive has
 * done it. It can't count whom it does not see, so it is asked for its members before. */
#include "cluster_keys.h"

#include "base64.h"
#include "keyring.h"

#include <inttypes.h>

enum {
    KEY_TEXT_SIZE = 64,
    REASONS_SHOWN = 3,
};

static const uint64_t patience = UINT64_C(120000000000); /* longer than any query lasts */

static struct rpc_client *connect_agent(const struct client_options *options, struct buffer *error)
{
    struct buffer reason;
    buffer_init(&reason, 4096);
    struct rpc_client *client = rpc_client_open(options->address, options->auth_key, &reason);
    if (!client)
        buffer_printf(error, "the agent at %s: %s", options->address, buffer_text(&reason));
    buffer_fini(&reason);
    return client;
}

static bool read_members(struct rpc_client *client, struct member_list *list, struct buffer *error)
{
    struct span answer;
    return rpc_client_call(client, RPC_MEMBERS, NULL, RPC_ANSWER_TIMEOUT_NS, &answer, error) &&
           member_list_read(list, answer, error);
}

static bool has_joined(struct rpc_client *client, struct buffer *error)
{
    struct member_list list;
    size_t alive = 0;
    if (!read_members(client, &list, error))
        return false;
    for (size_t i = 0; i < list.count; i++)
        alive += span_equal(list.members[i].status, span_text("alive"));
    member_list_fini(&list);
    if (alive < 2)
        buffer_append_text(error, "no other member is alive; the agent has not joined the cluster, "
                                  "or the cluster uses other keys");
    return alive >= 2;
}

bool cluster_is_joined(const struct client_options *options, struct buffer *error)
{
    struct rpc_client *client = connect_agent(options, error);
    bool good = client && has_joined(client, error);
    rpc_client_free(client);
    return good;
}

/* "; serf-1: No response; ..." */
static void append_reasons(struct span messages, struct buffer *error)
{
    struct pair_list pairs;
    struct buffer ignored;
    buffer_init(&ignored, 256);
    if (pair_list_read(&pairs, messages, false, &ignored)) {
        for (size_t i = 0; i < pairs.count && i < REASONS_SHOWN; i++)
            buffer_printf(error, "; %.*s: %.*s", SPAN_PRINT(pairs.pairs[i].key),
                          SPAN_PRINT(pairs.pairs[i].value));
        pair_list_fini(&pairs);
    }
    buffer_fini(&ignored);
}

/* `response` borrows until the next call. */
static bool key_call(struct rpc_client *client, enum rpc_command command, const char *key,
                     struct rpc_key_response *response, struct buffer *error)
{
    const struct rpc_key body = {span_text(key)};
    struct span answer;
    *response = (struct rpc_key_response){.num_nodes = 0};
    bool good = rpc_client_call(client, command, &body, patience, &answer, error);
    struct msgpack_reader reader = msgpack_reader_of(answer);
    if (answer.size > 0 &&
        msgpack_read_structure(&reader, &rpc_key_response_structure, response) == MSGPACK_OK) {
        if (!good)
            append_reasons(response->messages, error);
        return good;
    }
    if (good)
        buffer_append_text(error, "malformed answer");
    return false;
}

static bool key_step(const struct client_options *options, enum rpc_command command,
                     struct span key, int64_t *members, struct buffer *error)
{
    struct rpc_client *client = connect_agent(options, error);
    struct rpc_key_response response;
    struct buffer text;
    if (!client)
        return false;
    buffer_init(&text, KEY_TEXT_SIZE);
    base64_encode(key, &text);
    bool good = has_joined(client, error) &&
                key_call(client, command, buffer_text(&text), &response, error);
    *members = good ? response.num_nodes : 0;
    explicit_bzero(text.data, text.size);
    buffer_fini(&text);
    rpc_client_free(client);
    return good;
}

bool cluster_keys_install(const struct client_options *options, struct span key, int64_t *members,
                          struct buffer *error)
{
    return key_step(options, RPC_INSTALL_KEY, key, members, error);
}

bool cluster_keys_use(const struct client_options *options, struct span key, int64_t *members,
                      struct buffer *error)
{
    return key_step(options, RPC_USE_KEY, key, members, error);
}

/* The keys that any member has, but for `kept`, in copies; each ends with a NUL. */
static bool list_others(struct rpc_client *client, const char *kept, struct buffer *others,
                        int64_t *members, struct buffer *error)
{
    struct rpc_key_response response;
    struct pair_list pairs;
    if (!key_call(client, RPC_LIST_KEYS, "", &response, error) ||
        !pair_list_read(&pairs, response.keys, true, error))
        return false;
    *members = response.num_nodes;
    for (size_t i = 0; i < pairs.count; i++)
        if (!span_equal(pairs.pairs[i].key, span_text(kept))) {
            buffer_append_span(others, pairs.pairs[i].key);
            buffer_append_u8(others, '\0');
        }
    pair_list_fini(&pairs);
    return !others->failed;
}

static bool remove_others(struct rpc_client *client, const char *kept, int64_t *members,
                          struct buffer *error)
{
    struct rpc_key_response response;
    struct buffer others;
    buffer_init(&others, KEY_TEXT_SIZE * KEYRING_KEYS_MAX);
    bool good = list_others(client, kept, &others, members, error);
    for (size_t at = 0; good && at < others.size; at += strlen((char *)others.data + at) + 1)
        good = key_call(client, RPC_REMOVE_KEY, (char *)others.data + at, &response, error);
    buffer_truncate(&others, 0);
    good = good && list_others(client, kept, &others, members, error);
    if (good && others.size > 0)
        buffer_append_text(error, "a member has another key again");
    good = good && others.size == 0;
    if (others.data)
        explicit_bzero(others.data, others.capacity);
    buffer_fini(&others);
    return good;
}

bool cluster_keys_remove_others(const struct client_options *options, struct span key,
                                int64_t *members, struct buffer *error)
{
    struct rpc_client *client = connect_agent(options, error);
    struct buffer text;
    if (!client)
        return false;
    buffer_init(&text, KEY_TEXT_SIZE);
    base64_encode(key, &text);
    bool good =
        has_joined(client, error) && remove_others(client, buffer_text(&text), members, error);
    explicit_bzero(text.data, text.size);
    buffer_fini(&text);
    rpc_client_free(client);
    return good;
}

bool cluster_names(const struct client_options *options, struct buffer *names,
                   struct buffer *failed, struct buffer *error)
{
    struct rpc_client *client = connect_agent(options, error);
    struct member_list list;
    bool good = client && read_members(client, &list, error);
    for (size_t i = 0; good && i < list.count; i++) {
        const struct rpc_member *member = &list.members[i];
        if (span_equal(member->status, span_text("failed")))
            buffer_printf(failed, "%s%.*s", failed->size ? ", " : "", SPAN_PRINT(member->name));
        if (!span_equal(member->status, span_text("left"))) {
            buffer_append_span(names, member->name);
            buffer_append_u8(names, '\0');
        }
    }
    if (good)
        member_list_fini(&list);
    rpc_client_free(client);
    return good;
}

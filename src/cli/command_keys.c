#include "client_options.h"
#include "member_list.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>

static const char help[] =
    "Usage: serf keys [options]...\n"
    "\n"
    "  Changes the keys that encrypt the gossip, on all members at once, or lists them.\n"
    "  A rotation installs the new key everywhere, then uses it, then removes the old\n"
    "  one. The status is 0 when every member has done it.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -install=<key>            Take this key (base64) as well when messages are read.\n"
    "  -use=<key>                Encrypt with this key, which is installed everywhere.\n"
    "  -remove=<key>             Forget this key, which is not in use.\n"
    "  -list                     Show the keys and how many members have "
    "each.\n" CLIENT_OPTIONS_HELP;

struct key_action {
    enum rpc_command command;
    const char *begin, *end, *failed;
};

static const struct key_action list_action = {
    RPC_LIST_KEYS, "Asking all members for installed keys...",
    "Keys gathered, listing cluster keys...", "Failed to gather member keys"};
static const struct key_action install_action = {
    RPC_INSTALL_KEY, "Installing key on all members...", "Successfully installed key!",
    "Error installing key"};
static const struct key_action use_action = {RPC_USE_KEY, "Changing primary key on all members...",
                                             "Successfully changed primary key!",
                                             "Error changing primary key"};
static const struct key_action remove_action = {RPC_REMOVE_KEY, "Removing key on all members...",
                                                "Successfully removed key!", "Error removing key"};

/* Sorted rows; each is "BEFORE|key|value" or "key|VALUE". */
static void print_table(const struct table *table)
{
    struct buffer out;
    buffer_init(&out, TABLE_SIZE_MAX);
    if (table->row_count > 0 && table_format(table, &out)) {
        fwrite(out.data, 1, out.size, stdout);
        putchar('\n');
    }
    buffer_fini(&out);
}

static void print_messages(struct span messages)
{
    struct pair_list pairs;
    struct table table;
    struct buffer error;
    buffer_init(&error, 256);
    table_init(&table);
    if (pair_list_read(&pairs, messages, false, &error)) {
        for (size_t i = 0; i < pairs.count; i++) {
            buffer_append_text(&table.text, "failed: |");
            buffer_append_span(&table.text, pairs.pairs[i].key);
            buffer_append_u8(&table.text, '|');
            buffer_append_span(&table.text, pairs.pairs[i].value);
            table_end_row(&table);
        }
        pair_list_fini(&pairs);
    }
    print_table(&table);
    table_fini(&table);
    buffer_fini(&error);
}

static void print_keys(const struct rpc_key_response *response)
{
    struct pair_list pairs;
    struct table table;
    struct buffer error;
    buffer_init(&error, 256);
    table_init(&table);
    if (pair_list_read(&pairs, response->keys, true, &error)) {
        for (size_t i = 0; i < pairs.count; i++) {
            struct msgpack_reader reader = msgpack_reader_of(pairs.pairs[i].value);
            int64_t count = 0;
            msgpack_read_signed(&reader, &count);
            buffer_append_span(&table.text, pairs.pairs[i].key);
            buffer_printf(&table.text, "|[%" PRId64 "/%" PRId64 "]", count, response->num_nodes);
            table_end_row(&table);
        }
        pair_list_fini(&pairs);
    }
    putchar('\n');
    print_table(&table);
    table_fini(&table);
    buffer_fini(&error);
}

static int perform(const struct client_options *options, struct rpc_client *client,
                   const struct key_action *action, const char *key)
{
    const struct rpc_key body = {span_text(key)};
    struct rpc_key_response response = {.num_nodes = 0};
    struct span answer;
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    printf("==> %s\n", action->begin);
    fflush(stdout);
    bool good = rpc_client_call(client, action->command, &body, RPC_WAIT, &answer, &error);
    struct msgpack_reader reader = msgpack_reader_of(answer);
    if (answer.size > 0 &&
        msgpack_read_structure(&reader, &rpc_key_response_structure, &response) != MSGPACK_OK) {
        response = (struct rpc_key_response){.num_nodes = 0};
        if (good)
            buffer_append_text(&error, "malformed answer");
        good = false;
    }
    if (good) {
        printf("==> %s\n", action->end);
        if (action == &list_action)
            print_keys(&response);
    } else {
        print_messages(response.messages);
        putchar('\n');
        client_error(options, action->failed, &error);
    }
    buffer_fini(&error);
    return good ? 0 : 1;
}

static int run(int argc, char **argv)
{
    const char *install = "", *use = "", *removed = "";
    bool list = false;
    const struct flag flags[] = {
        {"install", FLAG_STRING, &install, NULL},
        {"use", FLAG_STRING, &use, NULL},
        {"remove", FLAG_STRING, &removed, NULL},
        {"list", FLAG_BOOL, &list, NULL},
    };
    struct client_options options;
    if (client_options_parse(&options, &command_keys, flags, 4, argc, argv) < 0)
        return 1;
    int given = (*install != '\0') + (*use != '\0') + (*removed != '\0') + list;
    if (given != 1) {
        printf("%s\n", given == 0 ? help : "Only one of -install, -use, -remove, or -list allowed");
        return 1;
    }
    struct rpc_client *client = client_options_connect(&options);
    if (!client)
        return 1;
    const struct key_action *action = list               ? &list_action
                                      : *install != '\0' ? &install_action
                                      : *use != '\0'     ? &use_action
                                                         : &remove_action;
    const char *key = *install != '\0' ? install : *use != '\0' ? use : removed;
    int status = perform(&options, client, action, key);
    rpc_client_free(client);
    return status;
}

const struct command command_keys = {
    "keys", "Manipulate the internal encryption keyring used by Serf", help, run};

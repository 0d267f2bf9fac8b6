#include "client_options.h"
#include "json_writer.h"
#include "member_list.h"
#include "members_output.h"

#include <stdio.h>

static const char help[] =
    "Usage: serf members [options]\n"
    "\n"
    "  Lists the members of the cluster that an agent knows. The filters are regular\n"
    "  expressions, which must match from the beginning to the end.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -detailed                 Also show the protocol versions (text only).\n"
    "  -format=text              'text' or 'json'.\n"
    "  -name=<regexp>            Only members whose name matches.\n"
    "  -role=<regexp>            Deprecated: the same as -tag role=<regexp>.\n"
    "  -status=<regexp>          Only members whose status (alive, leaving, left, failed) "
    "matches.\n"
    "  -tag <key>=<regexp>       Only members whose tag matches; repeatable, all must "
    "match.\n" CLIENT_OPTIONS_HELP;

struct members_options {
    struct client_options client;
    bool detailed, role_given;
    const char *format, *name, *role, *status;
    struct flag_list tags;
};

static int parse(struct members_options *options, int argc, char **argv)
{
    *options = (struct members_options){.format = "text", .name = "", .role = "", .status = ""};
    const struct flag flags[] = {
        {"detailed", FLAG_BOOL, &options->detailed, NULL},
        {"format", FLAG_STRING, &options->format, NULL},
        {"name", FLAG_STRING, &options->name, NULL},
        {"role", FLAG_STRING, &options->role, &options->role_given},
        {"status", FLAG_STRING, &options->status, NULL},
        {"tag", FLAG_LIST, &options->tags, NULL},
    };
    int first = client_options_parse(&options->client, &command_members, flags,
                                     sizeof flags / sizeof flags[0], argc, argv);
    options->client.clean_output = strcmp(options->format, "json") == 0;
    return first;
}

/* Appends the map of the tag filters; of two with one key the last counts. */
static bool append_filters(struct members_options *options, struct buffer *out)
{
    struct pair pairs[CLI_TAGS_MAX + 1];
    size_t count = 0;
    bool role = options->role_given && *options->role != '\0';
    if (options->tags.count > CLI_TAGS_MAX) {
        printf("Error: more than %d tags\n", CLI_TAGS_MAX);
        return false;
    }
    for (size_t i = 0; i < options->tags.count + role; i++) {
        struct pair pair = {span_text("role"), span_text(options->role)};
        if (i < options->tags.count &&
            !client_parse_tag(&options->client, options->tags.values[i], &pair.key, &pair.value))
            return false;
        size_t place = 0;
        while (place < count && !span_equal(pairs[place].key, pair.key))
            place++;
        pairs[place] = pair;
        count += place == count;
    }
    msgpack_write_map(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        msgpack_write_string(out, pairs[i].key);
        msgpack_write_string(out, pairs[i].value);
    }
    return true;
}

static int print(const struct members_options *options, struct span body, struct buffer *error)
{
    struct member_list list;
    struct buffer out;
    if (!member_list_read(&list, body, error))
        return client_error(&options->client, "Error retrieving members", error);
    buffer_init(&out, TABLE_SIZE_MAX);
    bool printed = true;
    if (strcmp(options->format, "json") == 0)
        printed = members_json(&list, &out);
    else if (strcmp(options->format, "text") == 0)
        printed = members_text(&list, options->detailed, &out);
    else
        buffer_printf(error, "Invalid output format \"%s\"", options->format);
    if (!printed)
        buffer_append_text(error, "out of memory, or malformed tags");
    bool good = error->size == 0;
    if (good)
        fwrite(out.data, 1, out.size, stdout);
    else
        client_error(&options->client, "Encoding error", error);
    buffer_fini(&out);
    member_list_fini(&list);
    return good ? 0 : 1;
}

static int ask(const struct members_options *options, struct span filters)
{
    const struct rpc_members_filtered body = {span_text(options->name), span_text(options->status),
                                              filters};
    struct rpc_client *client = client_options_connect(&options->client);
    if (!client)
        return 1;
    struct span answer;
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    int status;
    if (rpc_client_call(client, RPC_MEMBERS_FILTERED, &body, RPC_ANSWER_TIMEOUT_NS, &answer,
                        &error))
        status = print(options, answer, &error);
    else
        status = client_error(&options->client, "Error retrieving members", &error);
    buffer_fini(&error);
    rpc_client_free(client);
    return status;
}

static int run(int argc, char **argv)
{
    struct members_options options;
    struct buffer filters;
    buffer_init(&filters, RPC_REQUEST_SIZE_MAX);
    int status = 1;
    if (parse(&options, argc, argv) >= 0) {
        if (options.role_given && *options.role != '\0')
            fprintf(stderr, "Deprecation warning: 'Role' has been replaced with 'Tags'\n");
        if (append_filters(&options, &filters))
            status = ask(&options, buffer_span(&filters));
    }
    buffer_fini(&filters);
    flag_list_fini(&options.tags);
    return status;
}

const struct command command_members = {"members", "Lists the members of a Serf cluster", help,
                                        run};

#include "client_options.h"

#include <stdio.h>

static const char help[] =
    "Usage: serf tags [options] ...\n"
    "\n"
    "  Changes the tags of a running agent. A tag that is both set and deleted is set.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -set key=value            Set a tag; repeatable.\n"
    "  -delete key               Delete a tag, if there is one; repeatable.\n" CLIENT_OPTIONS_HELP;

static void append_delete(const struct flag_list *list, struct buffer *out)
{
    msgpack_write_array(out, (uint32_t)list->count);
    for (size_t i = 0; i < list->count; i++)
        msgpack_write_string_text(out, list->values[i]);
}

static int change_tags(const struct client_options *options, struct rpc_client *client,
                       const struct flag_list *set, const struct flag_list *deleted)
{
    struct buffer set_value, deleted_value, error;
    struct span answer;
    buffer_init(&set_value, RPC_REQUEST_SIZE_MAX);
    buffer_init(&deleted_value, RPC_REQUEST_SIZE_MAX);
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    int status = 1;
    if (client_append_tags(options, set, &set_value)) {
        append_delete(deleted, &deleted_value);
        const struct rpc_tags body = {buffer_span(&deleted_value), buffer_span(&set_value)};
        if (rpc_client_call(client, RPC_TAGS, &body, RPC_WAIT, &answer, &error)) {
            printf("Successfully updated agent tags\n");
            status = 0;
        } else {
            client_error(options, "Error setting tags", &error);
        }
    }
    buffer_fini(&set_value);
    buffer_fini(&deleted_value);
    buffer_fini(&error);
    return status;
}

static int run_parsed(const struct client_options *options, const struct flag_list *set,
                      const struct flag_list *deleted)
{
    if (set->count == 0 && deleted->count == 0) {
        printf("%s\n", help);
        return 1;
    }
    if (set->count > CLI_TAGS_MAX || deleted->count > CLI_TAGS_MAX) {
        printf("Error setting tags: more than %d tags in one command\n", CLI_TAGS_MAX);
        return 1;
    }
    struct rpc_client *client = client_options_connect(options);
    if (!client)
        return 1;
    int status = change_tags(options, client, set, deleted);
    rpc_client_free(client);
    return status;
}

static int run(int argc, char **argv)
{
    struct flag_list set = {0}, deleted = {0};
    const struct flag flags[] = {
        {"set", FLAG_LIST, &set, NULL},
        {"delete", FLAG_LIST, &deleted, NULL},
    };
    struct client_options options;
    int status = 1;
    if (client_options_parse(&options, &command_tags, flags, 2, argc, argv) >= 0)
        status = run_parsed(&options, &set, &deleted);
    flag_list_fini(&set);
    flag_list_fini(&deleted);
    return status;
}

const struct command command_tags = {"tags", "Modify tags of a running Serf agent", help, run};

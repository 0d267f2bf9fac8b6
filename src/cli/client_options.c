#include "client_options.h"

#include "rpc_address.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value != '\0' ? value : otherwise;
}

int client_options_parse(struct client_options *options, const struct command *command,
                         const struct flag *flags, size_t flag_count, int argc, char **argv)
{
    struct flag all[CLI_FLAGS_MAX];
    assert(flag_count + 2 <= CLI_FLAGS_MAX);
    *options = (struct client_options){
        .address = environment("SERF_RPC_ADDR", RPC_ADDRESS_DEFAULT),
        .auth_key = environment("SERF_RPC_AUTH", ""),
    };
    for (size_t i = 0; i < flag_count; i++)
        all[i] = flags[i];
    all[flag_count] = (struct flag){"rpc-addr", FLAG_STRING, &options->address, NULL};
    all[flag_count + 1] = (struct flag){"rpc-auth", FLAG_STRING, &options->auth_key, NULL};
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    int first = flags_parse(all, flag_count + 2, argc, argv, &error);
    if (first < 0) {
        fprintf(stderr, "%s\n", buffer_text(&error));
        printf("%s\n", command->help);
    }
    buffer_fini(&error);
    return first;
}

struct rpc_client *client_options_connect(const struct client_options *options)
{
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    struct rpc_client *client = rpc_client_open(options->address, options->auth_key, &error);
    if (!client)
        client_error(options, "Error connecting to Serf agent", &error);
    buffer_fini(&error);
    return client;
}

int client_error(const struct client_options *options, const char *prefix, struct buffer *message)
{
    FILE *out = options->clean_output ? stderr : stdout;
    fprintf(out, "%s: ", prefix);
    fwrite(message->data, 1, message->size, out);
    fputc('\n', out);
    return 1;
}

int client_usage_error(const struct command *command, const char *message)
{
    printf("%s\n\n%s\n", message, command->help);
    return 1;
}

bool client_parse_tag(const struct client_options *options, const char *text, struct span *key,
                      struct span *value)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        fprintf(options->clean_output ? stderr : stdout, "Error: Invalid tag: '%s'\n", text);
        return false;
    }
    *key = span_make(text, (size_t)(equals - text));
    *value = span_text(equals + 1);
    return true;
}

bool client_append_tags(const struct client_options *options, const struct flag_list *tags,
                        struct buffer *out)
{
    struct {
        struct span key, value;
    } pairs[CLI_TAGS_MAX], pair;
    size_t count = 0;
    if (tags->count > CLI_TAGS_MAX) {
        fprintf(options->clean_output ? stderr : stdout, "Error: more than %d tags\n",
                CLI_TAGS_MAX);
        return false;
    }
    for (size_t i = 0; i < tags->count; i++) {
        if (!client_parse_tag(options, tags->values[i], &pair.key, &pair.value))
            return false;
        size_t place = 0;
        while (place < count && !span_equal(pairs[place].key, pair.key))
            place++;
        pairs[place].key = pair.key;
        pairs[place].value = pair.value;
        count += place == count;
    }
    msgpack_write_map(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        msgpack_write_string(out, pairs[i].key);
        msgpack_write_string(out, pairs[i].value);
    }
    return true;
}

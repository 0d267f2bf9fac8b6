#include "client_options.h"
#include "json_writer.h"
#include "member_list.h"
#include "table.h"

#include <stdio.h>

static const char help[] =
    "Usage: serf info [options]\n"
    "\n"
    "  Shows what an agent says about itself: its cluster's counters, its tags, its\n"
    "  event handlers.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -format=text              'text' or 'json'.\n" CLIENT_OPTIONS_HELP;

static void append_section(struct buffer *out, struct span name, const struct pair_list *values)
{
    buffer_append_span(out, name);
    buffer_append_text(out, ":\n");
    for (size_t i = 0; i < values->count; i++) {
        buffer_append_u8(out, '\t');
        buffer_append_span(out, values->pairs[i].key);
        buffer_append_text(out, " = ");
        buffer_append_span(out, values->pairs[i].value);
        buffer_append_u8(out, '\n');
    }
}

static void write_section(struct json_writer *writer, struct span name,
                          const struct pair_list *values)
{
    json_write_key(writer, name);
    json_write_open(writer, '{');
    for (size_t i = 0; i < values->count; i++) {
        json_write_key(writer, values->pairs[i].key);
        json_write_string(writer, values->pairs[i].value);
    }
    json_write_close(writer, '}');
}

/* Trailing white space goes, one newline stays. */
static void end_text(struct buffer *out)
{
    size_t size = out->size;
    while (size > 0 && strchr(" \t\r\n", out->data[size - 1]))
        size--;
    buffer_truncate(out, size);
}

static bool format(struct span answer, bool json, struct buffer *out, struct buffer *error)
{
    struct pair_list sections, values;
    struct json_writer writer;
    if (!pair_list_read(&sections, answer, true, error))
        return false;
    json_writer_init(&writer, out);
    if (json)
        json_write_open(&writer, '{');
    bool good = true;
    for (size_t i = 0; good && i < sections.count; i++) {
        good = pair_list_read(&values, sections.pairs[i].value, false, error);
        if (json)
            write_section(&writer, sections.pairs[i].key, &values);
        else
            append_section(out, sections.pairs[i].key, &values);
        pair_list_fini(&values);
    }
    if (json)
        json_write_close(&writer, '}');
    else
        end_text(out);
    buffer_append_u8(out, '\n');
    pair_list_fini(&sections);
    return good;
}

static int print(const struct client_options *options, const char *format_name, struct span answer,
                 struct buffer *error)
{
    bool json = strcmp(format_name, "json") == 0;
    struct buffer out;
    buffer_init(&out, TABLE_SIZE_MAX);
    if (json || strcmp(format_name, "text") == 0)
        format(answer, json, &out, error);
    else
        buffer_printf(error, "Invalid output format \"%s\"", format_name);
    if (out.failed)
        buffer_append_text(error, "out of memory");
    bool good = error->size == 0;
    if (good)
        fwrite(out.data, 1, out.size, stdout);
    else
        client_error(options, "Encoding error", error);
    buffer_fini(&out);
    return good ? 0 : 1;
}

static int run(int argc, char **argv)
{
    const char *format_name = "text";
    const struct flag flags[] = {{"format", FLAG_STRING, &format_name, NULL}};
    struct client_options options;
    if (client_options_parse(&options, &command_info, flags, 1, argc, argv) < 0)
        return 1;
    options.clean_output = strcmp(format_name, "json") == 0;
    struct rpc_client *client = client_options_connect(&options);
    if (!client)
        return 1;
    struct span answer;
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    int status;
    if (rpc_client_call(client, RPC_STATS, NULL, RPC_ANSWER_TIMEOUT_NS, &answer, &error))
        status = print(&options, format_name, answer, &error);
    else
        status = client_error(&options, "Error querying agent", &error);
    buffer_fini(&error);
    rpc_client_free(client);
    return status;
}

const struct command command_info = {"info", "Provides debugging information for operators", help,
                                     run};

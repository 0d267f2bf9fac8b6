#include "awaited.h"
#include "client_options.h"
#include "json_writer.h"
#include "member_list.h"
#include "query_run.h"
#include "table.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
    "Usage: serf query [options] name payload\n"
    "\n"
    "  Asks the members of the cluster, and shows who has got the question and who\n"
    "  answers what, until the time for answers is up.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -format=text              'text' or 'json'.\n"
    "  -node=<name>              Ask only this member; repeatable.\n"
    "  -tag <key>=<regexp>       Ask only members in whose tag the expression is found;\n"
    "                            repeatable, all must be.\n"
    "  -timeout=0s               The time for answers; 0: what the agent thinks is enough.\n"
    "  -no-ack                   Nobody need say that the question has come.\n"
    "  -relay-factor=0           Answers come through so many other members as well.\n"
    "  -until-complete           End as soon as every member that was alive, and is asked,\n"
    "                            has answered or is gone.\n"
    "  -until-acks               End as soon as each of them has said that the question has\n"
    "                            come, or is gone.\n" CLIENT_OPTIONS_HELP;

enum { RELAY_FACTOR_MAX = 255 };

struct query_options {
    struct client_options client;
    const char *format;
    struct flag_list nodes, tags;
    int64_t timeout, relay_factor;
    bool no_ack, until_complete, until_acks;
};

struct query_state {
    const struct query_options *options;
    const char *name;
    bool json;
    uint64_t acks, responses;
    struct buffer ack_list, response_map; /* with json: the elements, encoded, without a header */
    struct awaited awaited;
    bool awaiting;
};

/* --- as the answers come --- */

static void dispatched(void *context)
{
    const struct query_state *state = context;
    if (state->json)
        return;
    printf("Query '%s' dispatched\n", state->name);
    fflush(stdout);
}

static void take_ack(void *context, struct span from)
{
    struct query_state *state = context;
    state->acks++;
    if (state->options->until_acks)
        awaited_remove(&state->awaited, from);
    if (state->json) {
        msgpack_write_string(&state->ack_list, from);
        return;
    }
    printf("Ack from '%.*s'\n", SPAN_PRINT(from));
    fflush(stdout);
}

static void take_response(void *context, struct span from, struct span payload)
{
    struct query_state *state = context;
    state->responses++;
    if (state->options->until_complete)
        awaited_remove(&state->awaited, from);
    if (state->json) {
        msgpack_write_string(&state->response_map, from);
        msgpack_write_string(&state->response_map, payload);
        return;
    }
    if (payload.size > 0 && payload.data[payload.size - 1] == '\n')
        payload.size--;
    printf("Response from '%.*s': ", SPAN_PRINT(from));
    fwrite(payload.data, 1, payload.size, stdout);
    putchar('\n');
    fflush(stdout);
}

static void member_gone(void *context, struct span name)
{
    struct query_state *state = context;
    if (state->awaiting)
        awaited_remove(&state->awaited, name);
}

static bool satisfied(void *context)
{
    const struct query_state *state = context;
    return state->awaiting && state->awaited.count == 0;
}

static void interrupted(int signal_number)
{
    (void)signal_number;
    _exit(1);
}

/* --- at the end --- */

static void write_acks(struct json_writer *writer, const struct query_state *state)
{
    struct buffer list;
    struct rpc_walker walker;
    struct span name;
    json_write_key(writer, span_text("Acks"));
    if (state->acks == 0) {
        json_write_null(writer);
        return;
    }
    buffer_init(&list, TABLE_SIZE_MAX);
    msgpack_write_array(&list, (uint32_t)state->acks);
    buffer_append_span(&list, buffer_span(&state->ack_list));
    json_write_open(writer, '[');
    if (rpc_list_open(&walker, buffer_span(&list)))
        while (rpc_list_next(&walker, &name))
            json_write_string(writer, name);
    json_write_close(writer, ']');
    writer->out->failed = writer->out->failed || list.failed;
    buffer_fini(&list);
}

static void write_responses(struct json_writer *writer, const struct query_state *state,
                            struct buffer *error)
{
    struct buffer map;
    struct pair_list pairs;
    buffer_init(&map, TABLE_SIZE_MAX);
    msgpack_write_map(&map, (uint32_t)state->responses);
    buffer_append_span(&map, buffer_span(&state->response_map));
    json_write_key(writer, span_text("Responses"));
    json_write_open(writer, '{');
    if (pair_list_read(&pairs, buffer_span(&map), false, error)) {
        for (size_t i = 0; i < pairs.count; i++) {
            if (i > 0 && span_equal(pairs.pairs[i].key, pairs.pairs[i - 1].key))
                continue; /* a node answers once */
            json_write_key(writer, pairs.pairs[i].key);
            json_write_string(writer, pairs.pairs[i].value);
        }
        pair_list_fini(&pairs);
    }
    json_write_close(writer, '}');
    buffer_fini(&map);
}

static bool print_json(const struct query_state *state, struct buffer *error)
{
    struct buffer out;
    struct json_writer writer;
    buffer_init(&out, TABLE_SIZE_MAX);
    json_writer_init(&writer, &out);
    json_write_open(&writer, '{');
    write_acks(&writer, state);
    write_responses(&writer, state, error);
    json_write_close(&writer, '}');
    buffer_append_u8(&out, '\n');
    bool good =
        error->size == 0 && !out.failed && !state->ack_list.failed && !state->response_map.failed;
    if (good)
        fwrite(out.data, 1, out.size, stdout);
    else if (error->size == 0)
        buffer_append_text(error, "the answers are more than memory takes");
    buffer_fini(&out);
    return good;
}

static void print_totals(const struct query_state *state)
{
    if (!state->options->no_ack)
        printf("Total Acks: %llu\n", (unsigned long long)state->acks);
    printf("Total Responses: %llu\n", (unsigned long long)state->responses);
}

/* What came is shown, whatever then happened. */
static int finish(const struct query_state *state, enum query_end end, struct buffer *lost)
{
    struct buffer error;
    int status = 0;
    if (end == QUERY_REFUSED)
        return client_error(&state->options->client, "Error sending query", lost);
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    if (!state->json)
        print_totals(state);
    else if (!print_json(state, &error))
        status = client_error(&state->options->client, "Error sending query", &error);
    buffer_fini(&error);
    if (end != QUERY_LOST)
        return status;
    fflush(stdout);
    fprintf(stderr, "Error: the agent went away before the time for answers was up: %s\n",
            buffer_text(lost));
    return 1;
}

/* --- asking --- */

static int ask(struct query_state *state, struct rpc_client *client, const struct rpc_query *query,
               struct buffer *error)
{
    const struct query_options *options = state->options;
    const struct query_observer observer = {
        .context = state,
        .dispatched = dispatched,
        .ack = take_ack,
        .response = take_response,
        .gone = member_gone,
        .satisfied = satisfied,
    };
    state->awaiting = options->until_complete || options->until_acks;
    if (state->awaiting && !awaited_ask(&state->awaited, client, query, error))
        return client_error(&options->client, "Error getting members", error);
    const struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGINT, &action, NULL);
    return finish(state, query_run(client, query, &observer, error), error);
}

static int run_connected(const struct query_options *options, struct rpc_client *client,
                         const char *name, const struct rpc_query *query)
{
    struct query_state state = {
        .options = options, .name = name, .json = strcmp(options->format, "json") == 0};
    struct buffer error;
    if (!state.json && strcmp(options->format, "text") != 0) {
        printf("Invalid format: %s\n", options->format);
        return 1;
    }
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    buffer_init(&state.ack_list, TABLE_SIZE_MAX);
    buffer_init(&state.response_map, TABLE_SIZE_MAX);
    int status = ask(&state, client, query, &error);
    if (state.awaiting)
        awaited_fini(&state.awaited);
    buffer_fini(&state.ack_list);
    buffer_fini(&state.response_map);
    buffer_fini(&error);
    return status;
}

static int run_query(const struct query_options *options, char **words, int count)
{
    struct buffer nodes, tags;
    struct rpc_client *client = NULL;
    int status = 1;
    buffer_init(&nodes, RPC_REQUEST_SIZE_MAX);
    buffer_init(&tags, RPC_REQUEST_SIZE_MAX);
    msgpack_write_array(&nodes, (uint32_t)options->nodes.count);
    for (size_t i = 0; i < options->nodes.count; i++)
        msgpack_write_string_text(&nodes, options->nodes.values[i]);
    if (client_append_tags(&options->client, &options->tags, &tags))
        client = client_options_connect(&options->client);
    if (client) {
        const struct rpc_query query = {
            .filter_nodes = options->nodes.count > 0 ? buffer_span(&nodes) : SPAN_EMPTY,
            .filter_tags = buffer_span(&tags),
            .name = span_text(words[0]),
            .payload = count > 1 ? span_text(words[1]) : SPAN_EMPTY,
            .relay_factor = (uint8_t)options->relay_factor,
            .request_ack = !options->no_ack,
            .timeout = options->timeout,
        };
        status = run_connected(options, client, words[0], &query);
    }
    rpc_client_free(client);
    buffer_fini(&nodes);
    buffer_fini(&tags);
    return status;
}

/* What can be said before an agent is asked. NULL when all is well. */
static const char *check(const struct query_options *options)
{
    if (options->relay_factor < 0 || options->relay_factor > RELAY_FACTOR_MAX)
        return "Relay factor must be between 0 and 255";
    if (options->until_complete && options->until_acks)
        return "Only one of -until-complete and -until-acks allowed";
    if (options->until_acks && options->no_ack)
        return "-until-acks waits for what -no-ack forbids: take one of them out";
    return NULL;
}

static int run_parsed(const struct query_options *options, char **words, int count)
{
    if (count == 0)
        return client_usage_error(&command_query, "A query name must be specified.");
    if (count > 2)
        return client_usage_error(&command_query, CLIENT_TOO_MANY_ARGUMENTS);
    const char *reason = check(options);
    if (!reason)
        return run_query(options, words, count);
    printf("%s\n", reason);
    return 1;
}

static int run(int argc, char **argv)
{
    struct query_options options = {.format = "text"};
    const struct flag flags[] = {
        {"format", FLAG_STRING, &options.format, NULL},
        {"node", FLAG_LIST, &options.nodes, NULL},
        {"tag", FLAG_LIST, &options.tags, NULL},
        {"timeout", FLAG_DURATION, &options.timeout, NULL},
        {"no-ack", FLAG_BOOL, &options.no_ack, NULL},
        {"relay-factor", FLAG_INTEGER, &options.relay_factor, NULL},
        {"until-complete", FLAG_BOOL, &options.until_complete, NULL},
        {"until-acks", FLAG_BOOL, &options.until_acks, NULL},
    };
    int first = client_options_parse(&options.client, &command_query, flags,
                                     sizeof flags / sizeof flags[0], argc, argv);
    options.client.clean_output = strcmp(options.format, "json") == 0;
    int status = first < 0 ? 1 : run_parsed(&options, argv + first, argc - first);
    flag_list_fini(&options.nodes);
    flag_list_fini(&options.tags);
    return status;
}

const struct command command_query = {"query", "Send a query to the Serf cluster", help, run};

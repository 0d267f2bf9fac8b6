#include "client_options.h"
#include "network_coordinate.h"
#include "member_list.h"

#include <stdio.h>

static const char help[] =
    "Usage: serf rtt [options] node1 [node2]\n"
    "\n"
    "  Estimates the round-trip time between two members from their network\n"
    "  coordinates. Without a second name the other end is the agent that is asked.\n"
    "\n"
    "Options:\n"
    "\n" CLIENT_OPTIONS_HELP;

/* The agent's own name, out of its answer to `stats`. False with the reason in `error`. */
static bool own_name(struct rpc_client *client, struct buffer *name, struct buffer *error)
{
    struct span answer;
    struct pair_list sections, values;
    if (!rpc_client_call(client, RPC_STATS, NULL, RPC_ANSWER_TIMEOUT_NS, &answer, error) ||
        !pair_list_read(&sections, answer, true, error))
        return false;
    for (size_t i = 0; i < sections.count; i++) {
        if (!span_equal_text(sections.pairs[i].key, "agent") ||
            !pair_list_read(&values, sections.pairs[i].value, false, error))
            continue;
        for (size_t j = 0; j < values.count; j++)
            if (span_equal_text(values.pairs[j].key, "name"))
                buffer_append_span(name, values.pairs[j].value);
        pair_list_fini(&values);
    }
    pair_list_fini(&sections);
    return error->size == 0;
}

/* 0: found; otherwise the command's exit status, all being said. */
static int find(const struct client_options *options, struct rpc_client *client, const char *name,
                struct network_coordinate *coordinate)
{
    const struct rpc_get_coordinate request = {span_text(name)};
    struct rpc_coordinate_response response;
    struct span answer;
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    if (rpc_client_call(client, RPC_GET_COORDINATE, &request, RPC_ANSWER_TIMEOUT_NS, &answer,
                        &error)) {
        struct msgpack_reader reader = msgpack_reader_of(answer);
        if (msgpack_read_structure(&reader, &rpc_coordinate_response_structure, &response) !=
                MSGPACK_OK ||
            (response.ok && !network_coordinate_read(response.coord, coordinate)))
            buffer_append_text(&error, "malformed answer");
    }
    int status = 0;
    if (error.size > 0) {
        status = client_error(options, "Error getting coordinates", &error);
    } else if (!response.ok) {
        buffer_append_quoted(&error, span_text(name));
        printf("Could not find a coordinate for node %s\n", buffer_text(&error));
        status = 1;
    }
    buffer_fini(&error);
    return status;
}

static int estimate(const struct client_options *options, struct rpc_client *client, const char *a,
                    const char *b)
{
    struct network_coordinate from, to;
    int status = find(options, client, a, &from);
    if (status == 0)
        status = find(options, client, b, &to);
    if (status != 0)
        return status;
    printf("Estimated %s <-> %s rtt: %.3f ms\n", a, b,
           network_coordinate_distance(&from, &to) * 1000);
    return 0;
}

static int run_connected(const struct client_options *options, struct rpc_client *client, int count,
                         char **names)
{
    if (count == 2)
        return estimate(options, client, names[0], names[1]);
    if (count != 1)
        return client_usage_error(&command_rtt, "One or two node names must be specified");
    struct buffer name, error;
    buffer_init(&name, RPC_STRING_SIZE_MAX);
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    int status;
    if (own_name(client, &name, &error))
        status = estimate(options, client, names[0], buffer_text(&name));
    else
        status = client_error(options, "Error querying agent", &error);
    buffer_fini(&name);
    buffer_fini(&error);
    return status;
}

static int run(int argc, char **argv)
{
    struct client_options options;
    int first = client_options_parse(&options, &command_rtt, NULL, 0, argc, argv);
    if (first < 0)
        return 1;
    struct rpc_client *client = client_options_connect(&options);
    if (!client)
        return 1;
    int status = run_connected(&options, client, argc - first, argv + first);
    rpc_client_free(client);
    return status;
}

const struct command command_rtt = {"rtt", "Estimates network round trip time between nodes", help,
                                    run};

#include "client_options.h"

#include <inttypes.h>
#include <stdio.h>

static const char help[] =
    "Usage: serf join [options] address ...\n"
    "\n"
    "  Makes a running agent join a cluster through at least one of its members. An\n"
    "  address is a name or an IP address, with a port when it is not the agent's own;\n"
    "  or srv+NAME, which SRV records lead to; or \"provider=k8s ...\", which the Kubernetes\n"
    "  API server is asked for.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -replay                   Ask for past user events too.\n" CLIENT_OPTIONS_HELP;

static bool read_count(struct span answer, int64_t *count)
{
    struct msgpack_reader reader = msgpack_reader_of(answer);
    struct rpc_join_response response;
    if (msgpack_read_structure(&reader, &rpc_join_response_structure, &response) != MSGPACK_OK)
        return false;
    *count = response.num;
    return true;
}

static int join(const struct client_options *options, struct span existing, bool replay)
{
    const struct rpc_join body = {existing, replay};
    struct rpc_client *client = client_options_connect(options);
    if (!client)
        return 1;
    struct span answer;
    struct buffer error;
    int64_t count = 0;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    if (rpc_client_call(client, RPC_JOIN, &body, RPC_WAIT, &answer, &error) &&
        !read_count(answer, &count))
        buffer_append_text(&error, "malformed answer");
    int status = 0;
    if (error.size > 0)
        status = client_error(options, "Error joining the cluster", &error);
    else
        printf("Successfully joined cluster by contacting %" PRId64 " nodes.\n", count);
    buffer_fini(&error);
    rpc_client_free(client);
    return status;
}

static int run(int argc, char **argv)
{
    bool replay = false;
    const struct flag flags[] = {{"replay", FLAG_BOOL, &replay, NULL}};
    struct client_options options;
    int first = client_options_parse(&options, &command_join, flags, 1, argc, argv);
    if (first < 0)
        return 1;
    if (first >= argc)
        return client_usage_error(&command_join, "At least one address to join must be specified.");
    struct buffer existing;
    buffer_init(&existing, RPC_REQUEST_SIZE_MAX);
    msgpack_write_array(&existing, (uint32_t)(argc - first));
    for (int i = first; i < argc; i++)
        msgpack_write_string_text(&existing, argv[i]);
    int status = 1;
    if (existing.failed)
        printf("Error joining the cluster: the addresses are longer than the limit of 1 MiB\n");
    else
        status = join(&options, buffer_span(&existing), replay);
    buffer_fini(&existing);
    return status;
}

const struct command command_join = {"join", "Tell Serf agent to join cluster", help, run};

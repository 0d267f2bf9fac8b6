#include "client_options.h"

#include <stdio.h>

static const char help[] = "Usage: serf leave\n"
                           "\n"
                           "  Makes a running agent say goodbye to its cluster and stop.\n"
                           "\n"
                           "Options:\n"
                           "\n" CLIENT_OPTIONS_HELP;

static int run(int argc, char **argv)
{
    struct client_options options;
    if (client_options_parse(&options, &command_leave, NULL, 0, argc, argv) < 0)
        return 1;
    struct rpc_client *client = client_options_connect(&options);
    if (!client)
        return 1;
    struct span answer;
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    int status = 0;
    if (rpc_client_call(client, RPC_LEAVE, NULL, RPC_WAIT, &answer, &error))
        printf("Graceful leave complete\n");
    else
        status = client_error(&options, "Error leaving", &error);
    buffer_fini(&error);
    rpc_client_free(client);
    return status;
}

const struct command command_leave = {"leave", "Gracefully leaves the Serf cluster and shuts down",
                                      help, run};

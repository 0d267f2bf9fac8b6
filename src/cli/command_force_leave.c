#include "client_options.h"

static const char help[] =
    "Usage: serf force-leave [options] name\n"
    "\n"
    "  Turns a failed member into one that left, so that nobody tries to reach it any\n"
    "  more. A member that is alive refutes this.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -prune                    Forget the member altogether.\n" CLIENT_OPTIONS_HELP;

static int run(int argc, char **argv)
{
    bool prune = false;
    const struct flag flags[] = {{"prune", FLAG_BOOL, &prune, NULL}};
    struct client_options options;
    int first = client_options_parse(&options, &command_force_leave, flags, 1, argc, argv);
    if (first < 0)
        return 1;
    if (argc - first != 1)
        return client_usage_error(&command_force_leave,
                                  "A node name must be specified to force leave.");
    const struct rpc_force_leave body = {span_text(argv[first]), prune};
    struct rpc_client *client = client_options_connect(&options);
    if (!client)
        return 1;
    struct span answer;
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    int status = 0;
    if (!rpc_client_call(client, RPC_FORCE_LEAVE, &body, RPC_WAIT, &answer, &error))
        status = client_error(&options, "Error force leaving", &error);
    buffer_fini(&error);
    rpc_client_free(client);
    return status;
}

const struct command command_force_leave = {
    "force-leave", "Forces a member of the cluster to enter the \"left\" state", help, run};

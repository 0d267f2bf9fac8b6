#include "client_options.h"

#include <stdio.h>

static const char help[] =
    "Usage: serf event [options] name payload\n"
    "\n"
    "  Tells all members of the cluster that something has happened.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -coalesce=true            Of several events with this name that come within a few\n"
    "                            seconds only the last one need be "
    "delivered.\n" CLIENT_OPTIONS_HELP;

static int send_event(const struct client_options *options, const struct rpc_event *event)
{
    struct rpc_client *client = client_options_connect(options);
    if (!client)
        return 1;
    struct span answer;
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    int status = 0;
    if (rpc_client_call(client, RPC_EVENT, event, RPC_ANSWER_TIMEOUT_NS, &answer, &error))
        printf("Event '%.*s' dispatched! Coalescing enabled: %s\n", SPAN_PRINT(event->name),
               event->coalesce ? "true" : "false");
    else
        status = client_error(options, "Error sending event", &error);
    buffer_fini(&error);
    rpc_client_free(client);
    return status;
}

static int run(int argc, char **argv)
{
    bool coalesce = true;
    const struct flag flags[] = {{"coalesce", FLAG_BOOL, &coalesce, NULL}};
    struct client_options options;
    int first = client_options_parse(&options, &command_event, flags, 1, argc, argv);
    if (first < 0)
        return 1;
    if (first >= argc)
        return client_usage_error(&command_event, "An event name must be specified.");
    if (argc - first > 2)
        return client_usage_error(&command_event, CLIENT_TOO_MANY_ARGUMENTS);
    const struct rpc_event event = {
        .coalesce = coalesce,
        .name = span_text(argv[first]),
        .payload = first + 1 < argc ? span_text(argv[first + 1]) : SPAN_EMPTY,
    };
    return send_event(&options, &event);
}

const struct command command_event = {"event", "Send a custom event through the Serf cluster", help,
                                      run};

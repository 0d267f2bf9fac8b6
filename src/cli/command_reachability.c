#include "client_options.h"
#include "loop.h"
#include "member_list.h"
#include "query_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
    "Usage: serf reachability [options]\n"
    "\n"
    "  Asks every member for a sign of life, and compares those who give one with those\n"
    "  who should.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -verbose                  Show each sign of life, and how long it "
    "took.\n" CLIENT_OPTIONS_HELP;

static const char tips[] =
    "\n"
    "Troubleshooting tips:\n"
    "* Ensure that the bind addr:port is accessible by all other nodes\n"
    "* If an advertise address is set, ensure it routes to the bind address\n"
    "* Check that no nodes are behind a NAT\n"
    "* If nodes are behind firewalls or iptables, check that Serf traffic is permitted (UDP and "
    "TCP)\n"
    "* Verify networking equipment is functional\n";

enum { NAMES_SIZE_MAX = 64 * 1024 * 1024 };

struct reachability {
    bool verbose;
    struct member_list members;
    bool *acked; /* for each member */
    size_t live, acks;
    bool duplicates;
    struct buffer strangers; /* the lines of those who are not alive */
    uint64_t last;           /* when the last sign of life came */
};

static bool is_live(const struct rpc_member *member)
{
    return span_equal_text(member->status, "alive");
}

static void take_ack(void *context, struct span from)
{
    struct reachability *state = context;
    size_t place = member_list_find(&state->members, from);
    bool known = place < state->members.count;
    if (state->verbose)
        printf("\tAck from '%.*s'\n", SPAN_PRINT(from));
    if (known && state->acked[place]) {
        printf("Duplicate response from '%.*s'\n", SPAN_PRINT(from));
        state->duplicates = true;
    } else {
        state->acks++;
        if (!known || !is_live(&state->members.members[place]))
            buffer_printf(&state->strangers, "\t%.*s\n", SPAN_PRINT(from));
    }
    if (known)
        state->acked[place] = true;
    state->last = loop_now();
    fflush(stdout);
}

static void interrupted(int signal_number)
{
    (void)signal_number;
    static const char text[] = "Test interrupted\n";
    ssize_t written = write(STDOUT_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(1);
}

static void print_missing(const struct reachability *state)
{
    for (size_t i = 0; i < state->members.count; i++)
        if (is_live(&state->members.members[i]) && !state->acked[i])
            printf("\t%.*s\n", SPAN_PRINT(state->members.members[i].name));
}

static int judge(const struct reachability *state)
{
    if (state->duplicates)
        printf("Duplicate responses means there is a misconfiguration. Verify that node names are "
               "unique.\n");
    if (state->acks == state->live) {
        printf("Successfully contacted all live nodes\n");
        return state->duplicates ? 1 : 0;
    }
    if (state->acks > state->live) {
        printf("Received more acks than live nodes! Acks from non-live nodes:\n");
        fwrite(state->strangers.data, 1, state->strangers.size, stdout);
        printf("This could mean Serf is detecting false-failures due to a misconfiguration or "
               "network issue.\n");
    } else {
        printf("Received less acks than live nodes! Missing acks from:\n");
        print_missing(state);
        printf("This could mean Serf gossip packets are being lost due to a misconfiguration or "
               "network issue.\n");
    }
    printf("%s", tips);
    return 1;
}

static int test(struct reachability *state, const struct client_options *options,
                struct rpc_client *client, struct buffer *error)
{
    const struct rpc_query ping = {.name = span_text("_serf_ping"), .request_ack = true};
    const struct query_observer observer = {.context = state, .ack = take_ack};
    const struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGINT, &action, NULL);
    printf("Total members: %zu, live members: %zu\n", state->members.count, state->live);
    printf("Starting reachability test...\n");
    fflush(stdout);
    uint64_t start = loop_now();
    state->last = start;
    enum query_end end = query_run(client, &ping, &observer, error);
    if (end != QUERY_DONE)
        return client_error(options, "Error sending query", error);
    if (state->verbose)
        printf("Query time: %.2f sec, time to last response: %.2f sec\n",
               (double)(loop_now() - start) / 1e9, (double)(state->last - start) / 1e9);
    return judge(state);
}

/* The list outlives the answer that it came in. */
static bool take_members(struct reachability *state, struct rpc_client *client,
                         struct buffer *answer, struct buffer *error)
{
    struct span body;
    if (!rpc_client_call(client, RPC_MEMBERS, NULL, RPC_ANSWER_TIMEOUT_NS, &body, error))
        return false;
    if (!buffer_append_span(answer, body)) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    if (!member_list_read(&state->members, buffer_span(answer), error))
        return false;
    state->acked = calloc(state->members.count + 1, sizeof *state->acked);
    if (!state->acked)
        buffer_append_text(error, "out of memory");
    for (size_t i = 0; i < state->members.count; i++)
        state->live += is_live(&state->members.members[i]);
    return state->acked != NULL;
}

static int run_connected(const struct client_options *options, struct rpc_client *client,
                         bool verbose)
{
    struct reachability state = {.verbose = verbose};
    struct buffer answer, error;
    buffer_init(&answer, RPC_ANSWER_SIZE_MAX);
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    buffer_init(&state.strangers, NAMES_SIZE_MAX);
    int status;
    if (take_members(&state, client, &answer, &error))
        status = test(&state, options, client, &error);
    else
        status = client_error(options, "Error getting members", &error);
    free(state.acked);
    member_list_fini(&state.members);
    buffer_fini(&state.strangers);
    buffer_fini(&answer);
    buffer_fini(&error);
    return status;
}

static int run(int argc, char **argv)
{
    bool verbose = false;
    const struct flag flags[] = {{"verbose", FLAG_BOOL, &verbose, NULL}};
    struct client_options options;
    if (client_options_parse(&options, &command_reachability, flags, 1, argc, argv) < 0)
        return 1;
    struct rpc_client *client = client_options_connect(&options);
    if (!client)
        return 1;
    int status = run_connected(&options, client, verbose);
    rpc_client_free(client);
    return status;
}

const struct command command_reachability = {"reachability", "Test network reachability", help,
                                             run};

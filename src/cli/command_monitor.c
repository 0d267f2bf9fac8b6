#include "client_options.h"
#include "value_text.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
    "Usage: serf monitor [options]\n"
    "\n"
    "  Shows the events that an agent receives and what it logs, the last 512 lines\n"
    "  first, until it is interrupted.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -log-level=info           The least severe level shown: trace, debug, info, warn, "
    "err.\n" CLIENT_OPTIONS_HELP;

enum { RECORD_TEXT_SIZE_MAX = 64 * 1024 * 1024 };

struct monitor {
    uint64_t stream_seq; /* every other record is a log line */
};

/* Being interrupted is the way to end this command. Each record is flushed when it is printed. */
static void interrupted(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

static void print_log(struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct rpc_log_record record;
    if (msgpack_read_structure(&reader, &rpc_log_record_structure, &record) == MSGPACK_OK)
        printf("%.*s\n", SPAN_PRINT(record.log));
}

static void append_event(struct buffer *out, struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct span key;
    uint32_t pairs;
    if (msgpack_read_map(&reader, &pairs) != MSGPACK_OK)
        return;
    buffer_append_text(out, "Event Info:\n");
    for (; pairs > 0 && msgpack_read_bytes(&reader, &key) == MSGPACK_OK; pairs--) {
        size_t start = reader.offset;
        if (msgpack_skip(&reader) != MSGPACK_OK)
            return;
        buffer_printf(out, "\t%.*s: ", SPAN_PRINT(key));
        value_text(span_make(reader.input.data + start, reader.offset - start), out);
        buffer_append_u8(out, '\n');
    }
}

static void print_record(void *context, uint64_t seq, struct span body)
{
    const struct monitor *monitor = context;
    if (seq != monitor->stream_seq) {
        print_log(body);
    } else {
        struct buffer out;
        buffer_init(&out, RECORD_TEXT_SIZE_MAX);
        append_event(&out, body);
        fwrite(out.data, 1, out.size, stdout);
        buffer_fini(&out);
    }
    fflush(stdout);
}

static int watch(const struct client_options *options, struct rpc_client *client, const char *level)
{
    struct monitor monitor = {0};
    const struct rpc_stream stream = {span_text("*")};
    const struct rpc_monitor lines = {span_text(level)};
    struct span answer;
    struct buffer error;
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    rpc_client_on_record(client, print_record, &monitor);
    const char *failed = NULL;
    if (!rpc_client_call(client, RPC_STREAM, &stream, RPC_ANSWER_TIMEOUT_NS, &answer, &error))
        failed = "Error starting stream";
    monitor.stream_seq = rpc_client_seq(client);
    if (!failed &&
        !rpc_client_call(client, RPC_MONITOR, &lines, RPC_ANSWER_TIMEOUT_NS, &answer, &error))
        failed = "Error starting monitor";
    if (failed) {
        client_error(options, failed, &error);
    } else {
        rpc_client_listen(client);
        printf("\nRemote side ended the monitor! This usually means that the\n"
               "remote side has exited or crashed.\n");
    }
    buffer_fini(&error);
    return 1;
}

static int run(int argc, char **argv)
{
    const char *level = "INFO";
    const struct flag flags[] = {{"log-level", FLAG_STRING, &level, NULL}};
    struct client_options options;
    if (client_options_parse(&options, &command_monitor, flags, 1, argc, argv) < 0)
        return 1;
    struct rpc_client *client = client_options_connect(&options);
    if (!client)
        return 1;
    const struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGINT, &action, NULL);
    int status = watch(&options, client, level);
    rpc_client_free(client);
    return status;
}

const struct command command_monitor = {"monitor", "Stream logs from a Serf agent", help, run};

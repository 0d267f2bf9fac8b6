/* Asks the agent of this machine by HTTP, as a probe of the platform would: for images in which
 * there is neither a shell nor curl. */
#include "client_options.h"

#include "resolver.h"
#include "tcp.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ANSWER_SIZE_MAX = 64 * 1024,
    DEFAULT_PORT = 7374,
};

static const uint64_t patience = UINT64_C(5000000000);

static const char help[] =
    "Usage: serf health [options]\n"
    "\n"
    "  Asks a running agent over HTTP whether it has joined its cluster, and exits\n"
    "  with status 0 if it has, else 1.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -http-addr=127.0.0.1:7374 Address of the agent's HTTP server; also SERF_HTTP_ADDR.\n"
    "  -live                     Only whether the agent answers at all.";

struct asking {
    struct loop *loop;
    struct connection *connection;
    struct buffer answer;
    char reason[512];
};

static void on_received(void *context, struct span bytes)
{
    struct asking *asking = context;
    if (!buffer_append_span(&asking->answer, bytes))
        loop_stop(asking->loop);
}

static void on_ended(void *context)
{
    loop_stop(((struct asking *)context)->loop);
}

static void on_failed(void *context, const char *reason)
{
    struct asking *asking = context;
    snprintf(asking->reason, sizeof asking->reason, "%s", reason);
    loop_stop(asking->loop);
}

static void on_late(void *context)
{
    struct asking *asking = context;
    snprintf(asking->reason, sizeof asking->reason, "no answer in 5s");
    loop_stop(asking->loop);
}

/* The answer is in `asking`, or the reason why there is none. */
static void ask(struct asking *asking, const struct endpoint *to, const char *path)
{
    struct loop_timer timer;
    struct buffer request;
    struct connection_callbacks callbacks = {
        .context = asking, .received = on_received, .ended = on_ended, .failed = on_failed};
    if (!loop_timer_init(&timer, asking->loop, on_late, asking))
        return;
    loop_timer_set(&timer, loop_now() + patience);
    buffer_init(&request, 1024);
    buffer_printf(&request, "GET %s HTTP/1.1\r\nHost: serf\r\nConnection: close\r\n\r\n", path);
    asking->connection = connection_open(asking->loop, to, loop_now() + patience, &callbacks);
    if (asking->connection && connection_write(asking->connection, buffer_span(&request)))
        loop_run(asking->loop);
    connection_free(asking->connection);
    buffer_fini(&request);
    loop_timer_fini(&timer);
}

/* 0 when the answer says 200; prints what stands in its body. */
static int tell(struct asking *asking)
{
    const char *text = buffer_text(&asking->answer);
    const char *body = strstr(text, "\r\n\r\n");
    if (asking->reason[0] || strncmp(text, "HTTP/1.1 ", 9) != 0 || !body) {
        printf("Error asking the agent: %s\n",
               asking->reason[0] ? asking->reason : "the answer is no HTTP");
        return 1;
    }
    printf("%s", body + 4);
    return strncmp(text + 9, "200 ", 4) == 0 ? 0 : 1;
}

static bool find_address(const char *text, struct endpoint *endpoint, struct buffer *error)
{
    char host[256];
    long port = DEFAULT_PORT;
    const char *bracket = strchr(text, ']');
    const char *colon = strchr(bracket ? bracket : text, ':');
    size_t size = colon ? (size_t)(colon - text) : strlen(text);
    char *end = NULL;
    if (colon && !bracket && strchr(colon + 1, ':'))
        size = strlen(text); /* an IPv6 address without a port */
    else if (colon)
        port = strtol(colon + 1, &end, 10);
    bool bracketed = size >= 2 && text[0] == '[' && text[size - 1] == ']';
    if (size >= sizeof host || port < 1 || port > UINT16_MAX || (end && *end)) {
        buffer_printf(error, "'%s' is no address; write it as host:port", text);
        return false;
    }
    snprintf(host, sizeof host, "%.*s", (int)(bracketed ? size - 2 : size),
             bracketed ? text + 1 : text);
    return resolve_now(NULL, host[0] ? host : "127.0.0.1", (uint16_t)port, endpoint, 1, error) == 1;
}

static int run(int argc, char **argv)
{
    const char *address = getenv("SERF_HTTP_ADDR");
    bool live = false;
    struct flag flags[] = {{"http-addr", FLAG_STRING, &address, NULL},
                           {"live", FLAG_BOOL, &live, NULL}};
    struct buffer error;
    struct endpoint endpoint;
    struct asking asking = {0};
    buffer_init(&error, CLI_ERROR_SIZE_MAX);
    if (flags_parse(flags, 2, argc, argv, &error) < 0) {
        fprintf(stderr, "%s\n", buffer_text(&error));
        buffer_fini(&error);
        return client_usage_error(&command_health, "The options of this command are below.");
    }
    int status = 1;
    if (!find_address(address && *address ? address : "127.0.0.1", &endpoint, &error)) {
        printf("Error asking the agent: %s\n", buffer_text(&error));
    } else if ((asking.loop = loop_new())) {
        buffer_init(&asking.answer, ANSWER_SIZE_MAX);
        ask(&asking, &endpoint, live ? "/health/live" : "/health/ready");
        status = tell(&asking);
        buffer_fini(&asking.answer);
        loop_free(asking.loop);
    }
    buffer_fini(&error);
    return status;
}

const struct command command_health = {"health", "Tells whether an agent is ready", help, run};

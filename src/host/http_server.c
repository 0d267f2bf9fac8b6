/* Every answer ends its connection: what asks here asks every few seconds, and a connection that is
 * kept would be one of few. A long answer is made a part at a time, each when the one before is in
 * the kernel's hands, so that no client makes the program hold a list or the loop wait. */
#include "http_server.h"

#include "tcp.h"

#include <stdio.h>
#include <stdlib.h>

/* What the kernel holds for us counts as our memory in a container. */
enum { KERNEL_SIZE = 64 * 1024 };

struct http_exchange {
    struct http_exchange *next, **link;
    struct http_server *server;
    struct connection *connection;
    struct loop_timer timer;
    struct buffer input;
    struct http_request request;
    bool answered;
    http_more *more; /* NULL: all has been written */
    void *state;
};

struct http_server {
    struct http_server_config config;
    struct listener *listener;
    struct http_exchange *exchanges;
    size_t count;
};

static void exchange_free(struct http_exchange *exchange)
{
    *exchange->link = exchange->next;
    if (exchange->next)
        exchange->next->link = exchange->link;
    exchange->server->count--;
    connection_free(exchange->connection);
    if (exchange->timer.loop)
        loop_timer_fini(&exchange->timer);
    buffer_fini(&exchange->input);
    free(exchange->state);
    free(exchange);
}

/* The answer is written: what is left is the connection's business. */
static void finish(struct http_exchange *exchange)
{
    connection_close(exchange->connection, HTTP_PATIENCE_NS);
    exchange->connection = NULL;
    exchange_free(exchange);
}

static size_t unsent(const struct http_server *server)
{
    size_t bytes = 0;
    for (const struct http_exchange *each = server->exchanges; each; each = each->next)
        bytes += connection_unsent(each->connection);
    return bytes;
}

/* Frees the oldest; false when that would be `present`. */
static bool free_oldest(struct http_server *server, const struct http_exchange *present)
{
    struct http_exchange *oldest = server->exchanges;
    while (oldest && oldest->next)
        oldest = oldest->next;
    if (!oldest || oldest == present)
        return false;
    exchange_free(oldest);
    return true;
}

static void wait_again(struct http_exchange *exchange)
{
    loop_timer_set(&exchange->timer, loop_now() + HTTP_PATIENCE_NS);
}

/* --- answering --- */

static const char *reason_of(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Internal Server Error";
    }
}

static void write_head(struct http_exchange *exchange, unsigned status, const char *type,
                       const char *length)
{
    struct buffer head;
    buffer_init(&head, 1024);
    buffer_printf(&head,
                  "HTTP/1.1 %u %s\r\nContent-Type: %s\r\n%s%s"
                  "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                  status, reason_of(status), type, length,
                  status == 405 ? "Allow: GET, HEAD\r\n" : "");
    connection_write(exchange->connection, buffer_span(&head));
    buffer_fini(&head);
    exchange->answered = true;
}

void http_answer(struct http_exchange *exchange, unsigned status, const char *type,
                 struct span body)
{
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", body.size);
    write_head(exchange, status, type, length);
    if (!exchange->request.head)
        connection_write(exchange->connection, body);
    while (unsent(exchange->server) > HTTP_UNSENT_MAX && free_oldest(exchange->server, exchange)) {
    }
}

void http_answer_in_parts(struct http_exchange *exchange, const char *type, http_more *more,
                          void *state)
{
    write_head(exchange, 200, type, exchange->request.old ? "" : "Transfer-Encoding: chunked\r\n");
    exchange->state = state;
    exchange->more = exchange->request.head ? NULL : more;
}

/* Writes the next part; false when the client does not get one any more. */
static bool write_part(struct http_exchange *exchange)
{
    struct buffer part, chunk;
    buffer_init(&part, HTTP_PART_SIZE_MAX);
    buffer_init(&chunk, HTTP_PART_SIZE_MAX + 64);
    if (!exchange->more(exchange->state, &part))
        exchange->more = NULL;
    if (exchange->request.old) {
        buffer_append_span(&chunk, buffer_span(&part));
    } else {
        buffer_printf(&chunk, "%zx\r\n", part.size);
        buffer_append_span(&chunk, buffer_span(&part));
        buffer_append_text(&chunk, exchange->more ? "\r\n" : "\r\n0\r\n\r\n");
    }
    bool good = !part.failed && !chunk.failed && part.size > 0 &&
                connection_write(exchange->connection, buffer_span(&chunk));
    buffer_fini(&part);
    buffer_fini(&chunk);
    return good;
}

/* --- the connection --- */

static void on_drained(void *context)
{
    struct http_exchange *exchange = context;
    if (!exchange->answered)
        return;
    wait_again(exchange);
    if (!exchange->more)
        finish(exchange);
    else if (!write_part(exchange))
        exchange_free(exchange);
}

static void answer(struct http_exchange *exchange, enum http_verdict verdict)
{
    struct http_server *server = exchange->server;
    connection_set_reading(exchange->connection, false);
    wait_again(exchange);
    if (verdict == HTTP_READY)
        server->config.requested(server->config.context, exchange, &exchange->request);
    else
        http_answer(exchange, exchange->request.status, "text/plain",
                    span_text("this server takes GET and HEAD over HTTP/1.1, with at most 8 KiB "
                              "of headers\n"));
    buffer_reset(&exchange->input); /* the request's path was in there */
    if (!exchange->answered)
        exchange_free(exchange);
}

static void on_received(void *context, struct span bytes)
{
    struct http_exchange *exchange = context;
    if (exchange->answered)
        return;
    size_t room = HTTP_HEAD_SIZE_MAX - exchange->input.size;
    if (!buffer_append(&exchange->input, bytes.data, bytes.size < room ? bytes.size : room)) {
        exchange_free(exchange);
        return;
    }
    enum http_verdict verdict =
        http_request_parse(buffer_span(&exchange->input), &exchange->request);
    if (verdict != HTTP_SHORT)
        answer(exchange, verdict);
}

static void on_ended(void *context)
{
    struct http_exchange *exchange = context;
    if (!exchange->answered)
        exchange_free(exchange);
}

static void on_failed(void *context, const char *reason)
{
    (void)reason;
    exchange_free(context);
}

static void on_timer(void *context)
{
    exchange_free(context);
}

static void on_accepted(void *context, struct connection *connection)
{
    struct http_server *server = context;
    if (server->count == HTTP_CONNECTIONS_MAX)
        free_oldest(server, NULL);
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange) {
        connection_free(connection);
        return;
    }
    *exchange = (struct http_exchange){.next = server->exchanges,
                                       .link = &server->exchanges,
                                       .server = server,
                                       .connection = connection};
    if (exchange->next)
        exchange->next->link = &exchange->next;
    server->exchanges = exchange;
    server->count++;
    buffer_init(&exchange->input, HTTP_HEAD_SIZE_MAX);
    if (!loop_timer_init(&exchange->timer, server->config.loop, on_timer, exchange)) {
        exchange_free(exchange);
        return;
    }
    wait_again(exchange);
    struct connection_callbacks callbacks = {
        .context = exchange,
        .received = on_received,
        .ended = on_ended,
        .failed = on_failed,
        .drained = on_drained,
    };
    connection_set_kernel_limit(connection, KERNEL_SIZE);
    connection_start(connection, &callbacks);
}

/* --- life --- */

struct http_server *http_server_new(const struct http_server_config *config, struct buffer *error)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    server->config = *config;
    struct listener_callbacks callbacks = {.context = server, .accepted = on_accepted};
    server->listener = listener_new(config->loop, &config->address, &callbacks, error);
    if (!server->listener) {
        free(server);
        return NULL;
    }
    return server;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    while (server->exchanges)
        exchange_free(server->exchanges);
    listener_free(server->listener);
    free(server);
}

struct endpoint http_server_bound(const struct http_server *server)
{
    return listener_bound(server->listener);
}

/* A request has a connection of its own, which ends with it: what asks here asks every half minute,
 * and a connection that is kept would have to be watched, renewed with the token, and distrusted
 * after each pause.
 *
 * The steps follow each other: files, name, connection, handshake, request, answer. One function
 * ends a request, wherever it stands, and is the last thing that the step calls. */
#include "kube_api.h"

#include <stdio.h>
#include <stdlib.h>

#include "endpoint.h"
#include "files.h"
#include "http_response.h"
#include "kube_server.h"
#include "resolver.h"
#include "tcp.h"
#include "tls_client.h"

#define TIMEOUT_NS  UINT64_C(10000000000)
#define FAREWELL_NS UINT64_C(2000000000)

enum {
    HTTPS_PORT = 443,
    ADDRESSES_MAX = 8,    /* of the server that are tried */
    HEAD_SIZE_MAX = 1024, /* without path and token */
};

struct request {
    struct request *next, **link;
    struct kube_api *api;
    struct loop_timer timer; /* the beginning, then the time limit */
    bool begun;
    kube_done *done;
    void *context;
    struct buffer text; /* what is sent; holds the token once it is complete */
    enum kube_method method;
    char *path, *type; /* owned; type may be NULL */
    struct buffer body;

    struct kube_server server;
    struct resolver *resolver; /* owned; NULL for a numeric address */
    struct endpoint addresses[ADDRESSES_MAX];
    size_t address_count, address_next;
    struct connection *connection;
    struct tls_client *tls;
    bool opened, sent;
    struct http_response response;
};

struct kube_api {
    struct loop *loop;
    struct kube_config config;
    struct request *requests;
    size_t request_count;
};

/* --- the end of a request --- */

static void wipe(struct buffer *buffer)
{
    if (buffer->data)
        explicit_bzero(buffer->data, buffer->size);
    buffer_fini(buffer);
}

static void request_free(struct request *request)
{
    *request->link = request->next;
    if (request->next)
        request->next->link = request->link;
    request->api->request_count--;
    loop_timer_fini(&request->timer);
    resolver_free(request->resolver);
    connection_free(request->connection);
    tls_client_free(request->tls);
    wipe(&request->text);
    wipe(&request->body);
    http_response_fini(&request->response);
    free(request->path);
    free(request->type);
    free(request);
}

/* The last that a step calls: the client may be gone afterwards. */
static void finish(struct request *request, const char *error)
{
    kube_done *done = request->done;
    void *context = request->context;
    struct http_response response = request->response;
    unsigned status = error ? 0 : response.status;
    http_response_init(&request->response, 0);
    request_free(request);
    done(context, status, error ? SPAN_EMPTY : buffer_span(&response.body), error);
    http_response_fini(&response);
}

/* Behind the server's name. */
static void fail(struct request *request, const char *reason)
{
    struct buffer error;
    buffer_init(&error, 4096);
    buffer_printf(&error, "%s%s%s", request->server.text, request->server.text[0] ? ": " : "",
                  reason);
    finish(request, error.failed ? "out of memory" : buffer_text(&error));
    buffer_fini(&error);
}

/* --- what is sent --- */

static const char *folder_of(const struct kube_config *config)
{
    return config && config->folder ? config->folder : KUBE_ACCOUNT_FOLDER;
}

static bool read_file(const struct kube_config *config, const char *name, struct buffer *out,
                      struct buffer *error)
{
    struct buffer path;
    buffer_init(&path, strlen(folder_of(config)) + strlen(name) + 2);
    bool good = buffer_printf(&path, "%s/%s", folder_of(config), name) &&
                file_read(buffer_text(&path), out, error);
    if (path.failed)
        buffer_append_text(error, "out of memory");
    while (good && out->size > 0 && strchr(" \t\r\n", out->data[out->size - 1]))
        buffer_truncate(out, out->size - 1);
    if (good && out->size == 0) {
        buffer_printf(error, "%s is empty", buffer_text(&path));
        good = false;
    }
    buffer_fini(&path);
    return good;
}

/* Visible ASCII only: nothing that would end the header's line. */
static bool is_token(struct span token)
{
    for (size_t i = 0; i < token.size; i++)
        if (token.data[i] <= ' ' || token.data[i] >= 0x7f)
            return false;
    return true;
}

/* In memory that is had at once: growing would leave copies of the token behind. */
static void write_text(struct request *request, struct span token)
{
    struct buffer *text = &request->text;
    if (buffer_extend(text,
                      strlen(request->path) + token.size + request->body.size + HEAD_SIZE_MAX))
        buffer_truncate(text, 0);
    const char *form = strchr(request->server.host, ':') ? "[%s]" : "%s";
    char port[16] = "", host[HOST_NAME_SIZE_MAX + 3];
    snprintf(host, sizeof host, form, request->server.host);
    if (request->server.port != HTTPS_PORT)
        snprintf(port, sizeof port, ":%u", request->server.port);
    buffer_printf(text, "%s ", request->method == KUBE_PATCH ? "PATCH" : "GET");
    buffer_append_text(text, request->path);
    buffer_printf(text,
                  " HTTP/1.1\r\nHost: %s%s\r\nUser-Agent: serf/" CSERF_VERSION
                  "\r\nAccept: application/json\r\nConnection: close\r\n",
                  host, port);
    if (request->type)
        buffer_printf(text, "Content-Type: %s\r\nContent-Length: %zu\r\n", request->type,
                      request->body.size);
    buffer_append_text(text, "Authorization: Bearer ");
    buffer_append_span(text, token);
    buffer_append_text(text, "\r\n\r\n");
    buffer_append_span(text, buffer_span(&request->body));
}

/* Token and certificates as they are now. False with the reason in `error`. */
static bool prepare(struct request *request, struct buffer *error)
{
    const struct kube_config *config = &request->api->config;
    struct buffer token, certificates, wrong;
    buffer_init(&token, KUBE_TOKEN_SIZE_MAX);
    buffer_init(&certificates, KUBE_CERTIFICATES_SIZE_MAX);
    buffer_init(&wrong, 1024);
    bool good = read_file(config, "token", &token, error) &&
                read_file(config, "ca.crt", &certificates, error);
    if (good && !is_token(buffer_span(&token))) {
        buffer_append_text(error, "the service account's token has characters that no token has");
        good = false;
    }
    if (good) {
        write_text(request, buffer_span(&token));
        request->tls = tls_client_new(buffer_span(&certificates), request->server.host, &wrong);
        good = request->tls != NULL;
        if (!good)
            buffer_printf(error, "%s/ca.crt: %s", folder_of(config), buffer_text(&wrong));
    }
    if (good && request->text.failed) {
        buffer_append_text(error, "out of memory");
        good = false;
    }
    wipe(&token);
    buffer_fini(&certificates);
    buffer_fini(&wrong);
    return good;
}

/* --- the connection --- */

static void connect_next(struct request *request);

/* What came or went since the last step; ends the request when it is over. */
static void step(struct request *request, struct span received)
{
    struct buffer plain, outgoing, error;
    buffer_init(&plain, CONNECTION_READ_SIZE * 2);
    buffer_init(&outgoing, CONNECTION_WRITE_MAX);
    buffer_init(&error, 1024);
    enum tls_progress progress = tls_client_step(request->tls, received, &plain, &outgoing, &error);
    if (progress == TLS_GOING && tls_client_is_open(request->tls) && !request->sent) {
        request->sent = true;
        if (!tls_client_write(request->tls, buffer_span(&request->text), &error))
            progress = TLS_FAILED;
        wipe(&request->text);
        if (progress == TLS_GOING)
            progress = tls_client_step(request->tls, SPAN_EMPTY, &plain, &outgoing, &error);
    }
    bool open = http_response_feed(&request->response, buffer_span(&plain));
    if (open && progress == TLS_ENDED)
        http_response_end(&request->response);
    bool done = request->response.state == HTTP_RESPONSE_DONE;
    bool wrong = request->response.state == HTTP_RESPONSE_WRONG;
    if (done)
        tls_client_end(request->tls, &outgoing);
    if (outgoing.size > 0 && !connection_write(request->connection, buffer_span(&outgoing)) &&
        !done && !wrong) {
        wrong = true;
        request->response.wrong = "out of memory";
    }
    wipe(&plain);
    buffer_fini(&outgoing);
    if (done || wrong || progress == TLS_FAILED) {
        connection_close(request->connection, FAREWELL_NS);
        request->connection = NULL;
    }
    if (done)
        finish(request, NULL);
    else if (wrong)
        fail(request, request->response.wrong);
    else if (progress == TLS_FAILED)
        fail(request, buffer_text(&error));
    buffer_fini(&error);
}

static void on_opened(void *context)
{
    struct request *request = context;
    request->opened = true;
    step(request, SPAN_EMPTY);
}

static void on_received(void *context, struct span bytes)
{
    step(context, bytes);
}

static void on_ended(void *context)
{
    struct request *request = context;
    fail(request, tls_client_is_open(request->tls) ? "the connection ended before the answer did"
                                                   : "the connection ended in the TLS handshake");
}

static void on_failed(void *context, const char *reason)
{
    struct request *request = context;
    if (request->opened || request->address_next == request->address_count) {
        fail(request, reason);
        return;
    }
    connection_free(request->connection);
    request->connection = NULL;
    connect_next(request);
}

static void connect_next(struct request *request)
{
    struct connection_callbacks callbacks = {
        .context = request,
        .opened = on_opened,
        .received = on_received,
        .ended = on_ended,
        .failed = on_failed,
    };
    const struct endpoint *address = &request->addresses[request->address_next++];
    bool last = request->address_next == request->address_count;
    uint64_t deadline =
        last ? TIMER_NEVER : loop_now() + request->api->config.timeout / request->address_count;
    request->connection = connection_open(request->api->loop, address, deadline, &callbacks);
    if (!request->connection)
        fail(request, "out of memory");
}

static void on_resolved(void *context, const struct endpoint *endpoints, size_t count,
                        const char *error)
{
    struct request *request = context;
    if (count == 0) {
        fail(request, error);
        return;
    }
    request->address_count = count < ADDRESSES_MAX ? count : ADDRESSES_MAX;
    for (size_t i = 0; i < request->address_count; i++)
        request->addresses[i] = endpoints[i];
    connect_next(request);
}

static void find_address(struct request *request)
{
    if (endpoint_from_text(&request->addresses[0], request->server.host, request->server.port)) {
        request->address_count = 1;
        connect_next(request);
        return;
    }
    struct resolver_config config = {.timeout = request->api->config.timeout};
    request->resolver = resolver_new(request->api->loop, &config);
    if (!request->resolver || !resolver_lookup(request->resolver, span_text(request->server.host),
                                               request->server.port, on_resolved, request))
        fail(request, "out of memory");
}

static void begin(struct request *request)
{
    struct buffer error;
    buffer_init(&error, 4096);
    if (kube_server_find(&request->server, request->api->config.server, &error) &&
        prepare(request, &error))
        find_address(request);
    else
        finish(request, error.size > 0 ? buffer_text(&error) : "out of memory");
    buffer_fini(&error);
}

static void on_timer(void *context)
{
    struct request *request = context;
    uint64_t timeout = request->api->config.timeout;
    if (!request->begun) {
        request->begun = true;
        loop_timer_set(&request->timer, loop_now() + timeout);
        begin(request);
        return;
    }
    char reason[64];
    snprintf(reason, sizeof reason, "no answer within %.3g s", (double)timeout / 1e9);
    fail(request, reason);
}

/* --- the client --- */

static bool copy_request(struct request *request, const char *path, const char *type,
                         struct span body)
{
    request->path = strlen(path) <= KUBE_PATH_SIZE_MAX ? strdup(path) : NULL;
    request->type = type ? strdup(type) : NULL;
    buffer_append_span(&request->body, body);
    return request->path && (request->type || !type) && !request->body.failed;
}

bool kube_api_request(struct kube_api *api, enum kube_method method, const char *path,
                      const char *type, struct span body, kube_done *done, void *context)
{
    struct request *request =
        api->request_count < KUBE_REQUESTS_MAX ? calloc(1, sizeof *request) : NULL;
    if (!request)
        return false;
    if (!loop_timer_init(&request->timer, api->loop, on_timer, request)) {
        free(request);
        return false;
    }
    request->api = api;
    request->method = method;
    request->done = done;
    request->context = context;
    buffer_init(&request->text,
                KUBE_PATH_SIZE_MAX + KUBE_TOKEN_SIZE_MAX + KUBE_BODY_SIZE_MAX + HEAD_SIZE_MAX);
    buffer_init(&request->body, KUBE_BODY_SIZE_MAX);
    http_response_init(&request->response, api->config.answer_size_max);
    request->next = api->requests;
    request->link = &api->requests;
    if (request->next)
        request->next->link = &request->next;
    api->requests = request;
    api->request_count++;
    if (!copy_request(request, path, type, body)) {
        request_free(request);
        return false;
    }
    loop_timer_set(&request->timer, 0);
    return true;
}

struct kube_api *kube_api_new(struct loop *loop, const struct kube_config *config)
{
    struct kube_api *api = calloc(1, sizeof *api);
    if (!api)
        return NULL;
    api->loop = loop;
    if (config)
        api->config = *config;
    if (api->config.timeout == 0)
        api->config.timeout = TIMEOUT_NS;
    if (api->config.answer_size_max == 0)
        api->config.answer_size_max = KUBE_ANSWER_SIZE_MAX;
    return api;
}

void kube_api_free(struct kube_api *api)
{
    if (!api)
        return;
    while (api->requests)
        request_free(api->requests);
    free(api);
}

bool kube_account_namespace(const struct kube_config *config, struct buffer *out,
                            struct buffer *error)
{
    struct buffer name;
    buffer_init(&name, KUBE_NAMESPACE_SIZE_MAX + 1);
    bool good =
        read_file(config, "namespace", &name, error) && buffer_append_span(out, buffer_span(&name));
    buffer_fini(&name);
    return good;
}

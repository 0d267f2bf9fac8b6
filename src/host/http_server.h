/* A small HTTP server for pages that a program tells about itself. One request a connection; slow
 * clients and many clients cost their own connection only: where there are too many, or they leave
 * too much unread, the oldest one's connection is closed, so that who asks for our health is heard
 * whatever others do. */
#ifndef HOST_HTTP_SERVER_H
#define HOST_HTTP_SERVER_H

#include "buffer.h"
#include "endpoint.h"
#include "http_request.h"
#include "loop.h"

enum {
    HTTP_CONNECTIONS_MAX = 64,
    HTTP_UNSENT_MAX = 8 * 1024 * 1024, /* of all connections; one answer may be longer */
    HTTP_PART_SIZE_MAX = 64 * 1024,
};

#define HTTP_PATIENCE_NS                                                                           \
    UINT64_C(10000000000) /* for the request, and for each part of the answer */

struct http_server;
struct http_exchange; /* a request that is being answered */

struct http_server_config {
    struct loop *loop;
    struct endpoint address; /* as listener_new's */
    void *context;
    /* Answers, with one of the two calls below, before it returns. */
    void (*requested)(void *context, struct http_exchange *exchange,
                      const struct http_request *request);
};

/* NULL with "listen tcp 127.0.0.1:7374: bind: address already in use" in `error`. */
struct http_server *http_server_new(const struct http_server_config *config, struct buffer *error);
void http_server_free(struct http_server *server);
struct endpoint http_server_bound(const struct http_server *server);

/* The whole answer. `type` is its media type. */
void http_answer(struct http_exchange *exchange, unsigned status, const char *type,
                 struct span body);

/* An answer that is made as the client takes it: `more` appends a part of it (of any size up to
 * HTTP_PART_SIZE_MAX, not empty), and returns false when it was the last. `state` is freed with
 * free() in the end. */
typedef bool http_more(void *state, struct buffer *out);
void http_answer_in_parts(struct http_exchange *exchange, const char *type, http_more *more,
                          void *state);

#endif

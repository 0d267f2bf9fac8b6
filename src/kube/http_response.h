/* One answer of an HTTP/1.1 server (RFC 9112), from bytes as they come. The body may have a length,
 * come in chunks, or end with the connection. Interim answers (1xx) are passed over; names and
 * values of headers that don't matter here are not looked at. */
#ifndef KUBE_HTTP_RESPONSE_H
#define KUBE_HTTP_RESPONSE_H

#include "buffer.h"

enum {
    HTTP_RESPONSE_LINE_MAX = 8 * 1024,  /* of a status line, header or chunk head */
    HTTP_RESPONSE_HEAD_MAX = 64 * 1024, /* all lines outside of the body, beside chunk heads */
};

enum http_response_state {
    HTTP_RESPONSE_STATUS,
    HTTP_RESPONSE_HEADERS,
    HTTP_RESPONSE_SIZED, /* `left` bytes of the body are still to come */
    HTTP_RESPONSE_UNSIZED,
    HTTP_RESPONSE_CHUNK_HEAD,
    HTTP_RESPONSE_CHUNK,
    HTTP_RESPONSE_CHUNK_END,
    HTTP_RESPONSE_TRAILERS,
    HTTP_RESPONSE_DONE,
    HTTP_RESPONSE_WRONG,
};

struct http_response {
    enum http_response_state state;
    unsigned status; /* 200 to 599 when done */
    struct buffer body;
    const char *wrong; /* static: what is wrong, when it is */
    /* private */
    struct buffer line;
    size_t head_size;
    uint64_t left;
    bool sized, chunked;
};

void http_response_init(struct http_response *response, size_t body_max);
void http_response_fini(struct http_response *response); /* wipes the body */

/* True as long as more may come; false when the answer is complete or wrong. What follows a
 * complete answer is not looked at. */
bool http_response_feed(struct http_response *response, struct span bytes);

/* The connection has ended in order: the answer is complete or wrong from here on. */
void http_response_end(struct http_response *response);

#endif

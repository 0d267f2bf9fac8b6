/* The head of an HTTP/1 request (RFC 9112), as much of it as a server of a few pages needs: GET and
 * HEAD, no bodies. */
#ifndef HOST_HTTP_REQUEST_H
#define HOST_HTTP_REQUEST_H

#include "span.h"

enum { HTTP_HEAD_SIZE_MAX = 8192 };

enum http_verdict {
    HTTP_SHORT, /* more bytes are to come */
    HTTP_READY,
    HTTP_REFUSED, /* with `status` */
};

struct http_request {
    struct span path; /* borrowed; without what stands behind a '?' */
    bool head;        /* only the head of the answer is wanted */
    bool old;         /* HTTP/1.0: knows no chunks */
    unsigned status;  /* 400, 405, 431 or 505 */
};

enum http_verdict http_request_parse(struct span bytes, struct http_request *request);

#endif

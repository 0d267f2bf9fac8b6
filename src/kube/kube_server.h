/* Where the API server is. */
#ifndef KUBE_KUBE_SERVER_H
#define KUBE_KUBE_SERVER_H

#include "buffer.h"
#include "resolver.h"

enum { KUBE_SERVER_TEXT_SIZE = HOST_NAME_SIZE_MAX + 32 };

struct kube_server {
    char host[HOST_NAME_SIZE_MAX + 1]; /* a name, or an address without brackets */
    uint16_t port;
    char text[KUBE_SERVER_TEXT_SIZE]; /* "https://[fd00::1]:443" */
};

/* From "https://HOST[:PORT]", or where `url` is NULL from the environment: see kube_api.h. Nothing
 * but https is taken, since a token goes there. False with the reason in `error`. */
bool kube_server_find(struct kube_server *server, const char *url, struct buffer *error);

#endif

/* The kernel's error texts differ from Go's in one thing only, the first letter's case. */
#include "socket_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

socklen_t socket_address_make(union socket_address *address, int family,
                              const struct endpoint *endpoint)
{
    memset(address, 0, sizeof *address);
    if (family == AF_INET && endpoint->address_size == 4) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(endpoint->port);
        memcpy(&address->v4.sin_addr, endpoint->address, 4);
        return sizeof address->v4;
    }
    if (family != AF_INET6 || endpoint->address_size == 0)
        return 0;
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(endpoint->port);
    uint8_t *bytes = address->v6.sin6_addr.s6_addr;
    if (endpoint->address_size == 16) {
        memcpy(bytes, endpoint->address, 16);
    } else {
        bytes[10] = bytes[11] = 0xff;
        memcpy(bytes + 12, endpoint->address, 4);
    }
    return sizeof address->v6;
}

bool socket_address_read(struct endpoint *endpoint, const union socket_address *address)
{
    if (address->any.sa_family == AF_INET)
        return endpoint_from_bytes(endpoint, span_make(&address->v4.sin_addr, 4),
                                   ntohs(address->v4.sin_port));
    if (address->any.sa_family == AF_INET6)
        return endpoint_from_bytes(endpoint, span_make(&address->v6.sin6_addr, 16),
                                   ntohs(address->v6.sin6_port));
    return false;
}

bool endpoint_is_any(const struct endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->address_size; i++) {
        if (endpoint->address[i] != 0)
            return false;
    }
    return true;
}

const char *system_error_text(int error_number)
{
    static _Thread_local char text[128];
    const char *description = strerrordesc_np(error_number);
    if (!description) {
        snprintf(text, sizeof text, "errno %d", error_number);
        return text;
    }
    snprintf(text, sizeof text, "%s", description);
    if (!isupper((unsigned char)text[1]))
        text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

static void append_reason(struct buffer *error, const char *step, int error_number)
{
    if (error_number == ETIME)
        buffer_append_text(error, ": i/o timeout");
    else
        buffer_printf(error, ": %s: %s", step, system_error_text(error_number));
}

void listen_error_text(struct buffer *error, const char *network, const struct endpoint *address,
                       const char *step, int error_number)
{
    char text[ENDPOINT_TEXT_SIZE];
    buffer_printf(error, "listen %s %s", network, endpoint_text(address, text));
    append_reason(error, step, error_number);
}

void dial_error_text(struct buffer *error, const char *network, const struct endpoint *remote,
                     const char *step, int error_number)
{
    char text[ENDPOINT_TEXT_SIZE];
    buffer_printf(error, "dial %s %s", network, endpoint_text(remote, text));
    append_reason(error, step, error_number);
}

void stream_error_text(struct buffer *error, const char *operation, const struct endpoint *local,
                       const struct endpoint *remote, int error_number)
{
    char local_text[ENDPOINT_TEXT_SIZE], remote_text[ENDPOINT_TEXT_SIZE];
    buffer_printf(error, "%s tcp %s->%s", operation, endpoint_text(local, local_text),
                  endpoint_text(remote, remote_text));
    append_reason(error, operation, error_number);
}

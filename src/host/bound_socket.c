/* "Every address" is one IPv6 socket that takes IPv4 too, as in the reference: the alternative, two
 * sockets, would need a port that is free in both families at once. IPV6_V6ONLY is always set, one
 * way or the other, since the machine's default (bindv6only) is not ours to guess. */
#include "bound_socket.h"

#include <errno.h>
#include <unistd.h>

#include "socket_text.h"

static int open_socket(int type, int family, bool both)
{
    int descriptor = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int only_v6 = !both;
    if (descriptor >= 0 && family == AF_INET6 &&
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6) != 0) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

static bool bind_socket(int descriptor, int type, int family, const struct endpoint *endpoint)
{
    int on = 1;
    if (type == SOCK_STREAM)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    union socket_address address;
    socklen_t size = socket_address_make(&address, family, endpoint);
    return bind(descriptor, &address.any, size) == 0;
}

static int try_family(int type, int family, const struct endpoint *endpoint, bool both,
                      const char **step)
{
    *step = "socket";
    int descriptor = open_socket(type, family, both);
    if (descriptor < 0)
        return -1;
    *step = "bind";
    if (bind_socket(descriptor, type, family, endpoint))
        return descriptor;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

int bound_socket_open(int type, const struct endpoint *address, int *family, struct buffer *error)
{
    bool any = endpoint_is_any(address);
    struct endpoint wide = {.address_size = 16, .port = address->port};
    const char *step;
    *family = any || address->address_size == 16 ? AF_INET6 : AF_INET;
    int descriptor = try_family(type, *family, any ? &wide : address, any, &step);
    /* Without IPv6 the socket can't be made, or (when it is merely disabled) not bound. */
    if (descriptor < 0 && any && errno != EADDRINUSE && errno != EACCES) {
        struct endpoint narrow = {.address_size = 4, .port = address->port};
        *family = AF_INET;
        descriptor = try_family(type, *family, &narrow, false, &step);
    }
    if (descriptor < 0)
        listen_error_text(error, type == SOCK_STREAM ? "tcp" : "udp", address, step, errno);
    return descriptor;
}

struct endpoint bound_socket_endpoint(int descriptor)
{
    union socket_address address;
    socklen_t size = sizeof address;
    struct endpoint endpoint = {0};
    if (getsockname(descriptor, &address.any, &size) == 0)
        socket_address_read(&endpoint, &address);
    return endpoint;
}

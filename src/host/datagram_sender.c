#include "datagram_sender.h"

#include "socket_text.h"

#include <errno.h>
#include <unistd.h>

int datagram_sender_open(const struct endpoint *to, struct buffer *error)
{
    int family = to->address_size == 16 ? AF_INET6 : AF_INET;
    int descriptor = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        dial_error_text(error, "udp", to, "socket", errno);
        return -1;
    }
    union socket_address address;
    socklen_t size = socket_address_make(&address, family, to);
    if (connect(descriptor, &address.any, size) == 0)
        return descriptor;
    dial_error_text(error, "udp", to, "connect", errno);
    close(descriptor);
    return -1;
}

bool datagram_sender_send(int descriptor, struct span datagram)
{
    if (send(descriptor, datagram.data, datagram.size, MSG_NOSIGNAL) >= 0)
        return true;
    return errno == EAGAIN || errno == ENOBUFS || errno == EINTR;
}

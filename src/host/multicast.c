/* The well-known port is shared with every other speaker of multicast DNS on this machine, and
 * whatever is sent to it from afar arrives as well. Only what was sent to the group is taken, so
 * that nobody beyond the link can have an answer sent to somebody else.
 *
 * The group is joined, and questions go out, on each interface by its index: which one the routing
 * table would choose for a multicast address is a matter of luck. */
#include "multicast.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAMILIES = 2, V4 = 0, V6 = 1 };

struct multicast_socket {
    struct multicast *owner;
    int family; /* V4 or V6 */
    int descriptor;
    bool asks; /* the port of its own */
    struct loop_watch watch;
};

struct multicast {
    struct multicast_config config;
    char interface[IF_NAMESIZE]; /* "": all */
    struct multicast_socket listens[FAMILIES], asks[FAMILIES];
    unsigned interfaces[MULTICAST_INTERFACES_MAX]; /* indices on which a group was joined */
    size_t interface_count;
    bool active; /* inside a callback */
    bool freed;  /* meanwhile */
};

static const uint8_t group_v4[] = {224, 0, 0, 251};
static const uint8_t group_v6[] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb};

static socklen_t group_address(union socket_address *address, int family, unsigned interface)
{
    memset(address, 0, sizeof *address);
    if (family == V4) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(MULTICAST_PORT);
        memcpy(&address->v4.sin_addr, group_v4, sizeof group_v4);
        return sizeof address->v4;
    }
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(MULTICAST_PORT);
    address->v6.sin6_scope_id = interface;
    memcpy(&address->v6.sin6_addr, group_v6, sizeof group_v6);
    return sizeof address->v6;
}

/* --- opening --- */

static bool set(int descriptor, int level, int option, int value)
{
    return setsockopt(descriptor, level, option, &value, sizeof value) == 0;
}

/* RFC 6762, 11: answers have the highest hop limit; routers do not pass these groups on. */
static bool prepare(int descriptor, int family)
{
    if (family == V4)
        return set(descriptor, IPPROTO_IP, IP_PKTINFO, 1) &&
               set(descriptor, IPPROTO_IP, IP_MULTICAST_TTL, 255) &&
               set(descriptor, IPPROTO_IP, IP_TTL, 255) &&
               set(descriptor, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    return set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
           set(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
           set(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255) &&
           set(descriptor, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255);
}

static int open_socket(int family, uint16_t port)
{
    union socket_address address = {0};
    int descriptor =
        socket(family == V4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    if (family == V4) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
    } else {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
    }
    bool good =
        prepare(descriptor, family) &&
        (port == 0 || set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)) &&
        bind(descriptor, &address.any, family == V4 ? sizeof address.v4 : sizeof address.v6) == 0;
    if (good)
        return descriptor;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

static void on_ready(void *context, int ready);

static bool socket_init(struct multicast *multicast, struct multicast_socket *sock, int family,
                        bool asks)
{
    *sock = (struct multicast_socket){.owner = multicast, .family = family, .asks = asks};
    sock->descriptor = open_socket(family, asks ? 0 : MULTICAST_PORT);
    return sock->descriptor >= 0 &&
           loop_watch_init(&sock->watch, multicast->config.loop, sock->descriptor, on_ready,
                           sock) &&
           loop_watch_set(&sock->watch, LOOP_READ);
}

static void socket_fini(struct multicast_socket *sock)
{
    if (sock->watch.event)
        loop_watch_fini(&sock->watch);
    if (sock->owner && sock->descriptor >= 0)
        close(sock->descriptor);
    *sock = (struct multicast_socket){.descriptor = -1};
}

/* --- interfaces --- */

static bool join(const struct multicast *multicast, int family, unsigned interface)
{
    int descriptor = multicast->listens[family].descriptor;
    if (descriptor < 0)
        return false;
    if (family == V4) {
        struct ip_mreqn request = {.imr_ifindex = (int)interface};
        memcpy(&request.imr_multiaddr, group_v4, sizeof group_v4);
        return setsockopt(descriptor, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) ==
                   0 ||
               errno == EADDRINUSE;
    }
    struct ipv6_mreq request = {.ipv6mr_interface = interface};
    memcpy(&request.ipv6mr_multiaddr, group_v6, sizeof group_v6);
    return setsockopt(descriptor, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof request) ==
               0 ||
           errno == EADDRINUSE;
}

static bool is_wanted(const struct multicast *multicast, const struct ifaddrs *entry)
{
    if (multicast->interface[0])
        return strcmp(multicast->interface, entry->ifa_name) == 0;
    return (entry->ifa_flags & IFF_UP) && (entry->ifa_flags & IFF_MULTICAST) &&
           !(entry->ifa_flags & IFF_POINTOPOINT);
}

static void add_interface(struct multicast *multicast, unsigned interface)
{
    for (size_t i = 0; i < multicast->interface_count; i++)
        if (multicast->interfaces[i] == interface)
            return;
    if (multicast->interface_count == MULTICAST_INTERFACES_MAX)
        return;
    bool v4 = join(multicast, V4, interface), v6 = join(multicast, V6, interface);
    if (v4 || v6)
        multicast->interfaces[multicast->interface_count++] = interface;
}

size_t multicast_refresh(struct multicast *multicast)
{
    struct ifaddrs *entries = NULL;
    multicast->interface_count =
        0; /* those that are gone are forgotten; joining twice is no harm */
    if (getifaddrs(&entries) != 0)
        return 0;
    for (const struct ifaddrs *entry = entries; entry; entry = entry->ifa_next) {
        unsigned index = is_wanted(multicast, entry) ? if_nametoindex(entry->ifa_name) : 0;
        if (index != 0)
            add_interface(multicast, index);
    }
    freeifaddrs(entries);
    return multicast->interface_count;
}

/* --- life --- */

static void destroy(struct multicast *multicast)
{
    for (int family = 0; family < FAMILIES; family++) {
        socket_fini(&multicast->listens[family]);
        socket_fini(&multicast->asks[family]);
    }
    free(multicast);
}

void multicast_free(struct multicast *multicast)
{
    if (!multicast)
        return;
    if (multicast->active)
        multicast->freed = true;
    else
        destroy(multicast);
}

/* A kernel without IPv6 leaves IPv4, and the other way round. */
static bool open_families(struct multicast *multicast, struct buffer *error)
{
    bool any = false;
    int reason = EAFNOSUPPORT;
    for (int family = 0; family < FAMILIES; family++) {
        multicast->listens[family].descriptor = multicast->asks[family].descriptor = -1;
        if (family == V4 ? !multicast->config.ipv4 : !multicast->config.ipv6)
            continue;
        if (socket_init(multicast, &multicast->listens[family], family, false) &&
            socket_init(multicast, &multicast->asks[family], family, true)) {
            any = true;
            continue;
        }
        reason = errno;
        socket_fini(&multicast->listens[family]);
        socket_fini(&multicast->asks[family]);
    }
    if (!any)
        buffer_printf(error, "listen udp :%d: bind: %s", MULTICAST_PORT, system_error_text(reason));
    return any;
}

struct multicast *multicast_new(const struct multicast_config *config, struct buffer *error)
{
    struct multicast *multicast = calloc(1, sizeof *multicast);
    if (!multicast) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    multicast->config = *config;
    if (config->interface)
        memcpy(multicast->interface, config->interface,
               strnlen(config->interface, sizeof multicast->interface - 1));
    bool good = open_families(multicast, error);
    if (good && multicast_refresh(multicast) == 0 && config->interface) {
        buffer_printf(error, "the interface '%s' takes no multicast", config->interface);
        good = false;
    }
    if (!good) {
        destroy(multicast);
        return NULL;
    }
    return multicast;
}

/* --- receiving --- */

/* Which address a datagram was sent to, and where it came in. */
struct arrival {
    bool to_group;
    unsigned interface;
};

static struct arrival read_arrival(struct msghdr *header)
{
    struct arrival arrival = {0};
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            arrival.interface = (unsigned)info.ipi_ifindex;
            arrival.to_group = memcmp(&info.ipi_addr, group_v4, sizeof group_v4) == 0;
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            arrival.interface = info.ipi6_ifindex;
            arrival.to_group = memcmp(&info.ipi6_addr, group_v6, sizeof group_v6) == 0;
        }
    }
    return arrival;
}

static bool is_ours(const struct multicast *multicast, unsigned interface)
{
    for (size_t i = 0; i < multicast->interface_count; i++)
        if (multicast->interfaces[i] == interface)
            return true;
    return false;
}

/* False when nothing more has arrived. */
static bool receive_one(struct multicast_socket *sock)
{
    struct multicast *multicast = sock->owner;
    uint8_t bytes[MULTICAST_DATAGRAM_SIZE_MAX];
    union {
        char bytes[256];
        struct cmsghdr aligned;
    } control;
    struct multicast_peer from = {0};
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr header = {.msg_name = &from.address,
                            .msg_namelen = sizeof from.address,
                            .msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    ssize_t size = recvmsg(sock->descriptor, &header, MSG_DONTWAIT);
    if (size < 0)
        return errno == EINTR;
    struct arrival arrival = read_arrival(&header);
    from.interface = arrival.interface;
    if ((header.msg_flags & MSG_TRUNC) ||
        (!sock->asks && !(arrival.to_group && is_ours(multicast, arrival.interface))))
        return true;
    multicast->config.callbacks.received(multicast->config.callbacks.context, &from,
                                         span_make(bytes, (size_t)size), sock->asks);
    return true;
}

static void on_ready(void *context, int ready)
{
    struct multicast_socket *sock = context;
    struct multicast *multicast = sock->owner;
    (void)ready;
    multicast->active = true;
    for (int i = 0; i < MULTICAST_TURN_DATAGRAMS && !multicast->freed; i++)
        if (!receive_one(sock))
            break;
    multicast->active = false;
    if (multicast->freed)
        destroy(multicast);
}

/* --- sending --- */

/* What can't be sent is lost, as any datagram may be. */
static void send_on(int descriptor, int family, unsigned interface,
                    const union socket_address *address, struct span datagram)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
        struct cmsghdr aligned;
    } control = {0};
    union socket_address to = *address;
    struct iovec part = {(void *)(uintptr_t)datagram.data, datagram.size};
    struct msghdr header = {
        .msg_name = &to, .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
    struct cmsghdr *first = &control.aligned;
    if (family == V4) {
        struct in_pktinfo info = {.ipi_ifindex = (int)interface};
        header.msg_namelen = sizeof to.v4;
        header.msg_controllen = CMSG_SPACE(sizeof info);
        first->cmsg_level = IPPROTO_IP;
        first->cmsg_type = IP_PKTINFO;
        first->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(first), &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = interface};
        header.msg_namelen = sizeof to.v6;
        header.msg_controllen = CMSG_SPACE(sizeof info);
        first->cmsg_level = IPPROTO_IPV6;
        first->cmsg_type = IPV6_PKTINFO;
        first->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(first), &info, sizeof info);
    }
    sendmsg(descriptor, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void multicast_ask(struct multicast *multicast, struct span datagram)
{
    for (int family = 0; family < FAMILIES; family++) {
        int descriptor = multicast->asks[family].descriptor;
        for (size_t i = 0; descriptor >= 0 && i < multicast->interface_count; i++) {
            union socket_address group;
            group_address(&group, family, multicast->interfaces[i]);
            send_on(descriptor, family, multicast->interfaces[i], &group, datagram);
        }
    }
}

void multicast_answer(struct multicast *multicast, const struct multicast_peer *to, bool group,
                      struct span datagram)
{
    int family = to->address.any.sa_family == AF_INET ? V4 : V6;
    union socket_address address = to->address;
    if (multicast->listens[family].descriptor < 0)
        return;
    if (group)
        group_address(&address, family, to->interface);
    send_on(multicast->listens[family].descriptor, family, to->interface, &address, datagram);
}

/* The machine's own addresses, and which of them to tell others (memberlist specification, 9.4). */
#ifndef HOST_INTERFACES_H
#define HOST_INTERFACES_H

#include <net/if.h>

#include "buffer.h"
#include "endpoint.h"

enum { INTERFACE_ADDRESSES_MAX = 1024 };

struct interface_address {
    char interface[IF_NAMESIZE];
    struct endpoint address; /* port 0 */
    uint8_t prefix_length;   /* of its network */
    bool up;
    bool default_route; /* the machine's default route leads through this interface */
};

struct interface_table {
    struct interface_address *addresses; /* owned */
    size_t count;
};

/* Reads the addresses of all interfaces, in the kernel's order. False with the system's reason in
 * `error`. */
bool interface_table_read(struct interface_table *table, struct buffer *error);
void interface_table_fini(struct interface_table *table);

bool interface_exists(const char *name);

/* The first address of the interface that is not link-local; false when it has none. */
bool interface_first_address(const struct interface_table *table, const char *interface,
                             struct endpoint *address);
/* Whether any address (NULL) or this address is on the interface. */
bool interface_has_address(const struct interface_table *table, const char *interface,
                           const struct endpoint *address);

/* The address that a member bound to every address tells others: of the private, forwardable
 * addresses of interfaces that are up, the interface of the default route first, IPv4 before IPv6,
 * the larger network first, and then the table's order. False when there is none. */
bool private_address_choose(const struct interface_table *table, struct endpoint *address);

/* In the list of RFC 6890, as the reference understands it. */
bool address_is_private(const struct endpoint *address);
bool address_is_forwardable(const struct endpoint *address);

/* The interface of the default route with the lowest metric, from the text of /proc/net/route and
 * /proc/net/ipv6_route (IPv4's counts first). False when there is none. */
bool default_route_interface(struct span ipv4_routes, struct span ipv6_routes,
                             char interface[IF_NAMESIZE]);

#endif

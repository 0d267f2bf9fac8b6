/* Which address a machine should give to others is a choice over a table, so it is written as one:
 * reading the table is the only part that touches the system. Routes are read from /proc; the
 * reference runs `ip route`, which a container rarely has. */
#include "interfaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>

#include "files.h"
#include "socket_text.h"

enum { ROUTES_SIZE_MAX = 1024 * 1024 };

#define ROUTE_UP     0x1u   /* RTF_UP */
#define ROUTE_REJECT 0x200u /* RTF_REJECT */

struct network {
    uint8_t address[16];
    uint8_t address_size;
    uint8_t prefix_length;
};

#define V4(a, b, c, d, length)                                                                     \
    {                                                                                              \
        {a, b, c, d}, 4, length                                                                    \
    }

/* memberlist specification, 9.4; IPv4-mapped addresses are IPv4 endpoints by the time they come
 * here. */
static const struct network private_networks[] = {
    V4(0, 0, 0, 0, 8),
    V4(10, 0, 0, 0, 8),
    V4(100, 64, 0, 0, 10),
    V4(127, 0, 0, 0, 8),
    V4(169, 254, 0, 0, 16),
    V4(172, 16, 0, 0, 12),
    V4(192, 0, 0, 0, 24),
    V4(192, 0, 2, 0, 24),
    V4(192, 88, 99, 0, 24),
    V4(192, 168, 0, 0, 16),
    V4(198, 18, 0, 0, 15),
    V4(198, 51, 100, 0, 24),
    V4(203, 0, 113, 0, 24),
    V4(240, 0, 0, 0, 4),
    {{0}, 16, 127}, /* :: and ::1 */
    {{0x00, 0x64, 0xff, 0x9b}, 16, 96},
    {{0x01}, 16, 64},
    {{0x20, 0x01}, 16, 16},
    {{0x20, 0x02}, 16, 16},
    {{0xfc}, 16, 7},
    {{0xfe, 0x80}, 16, 10},
};

static const struct network not_forwardable_networks[] = {
    V4(0, 0, 0, 0, 8),
    V4(127, 0, 0, 0, 8),
    V4(169, 254, 0, 0, 16),
    V4(192, 0, 0, 0, 24),
    V4(192, 0, 2, 0, 24),
    V4(198, 51, 100, 0, 24),
    V4(203, 0, 113, 0, 24),
    V4(240, 0, 0, 0, 4),
    {{0}, 16, 127}, /* :: and ::1 */
    {{0x20, 0x01, 0x0d, 0xb8}, 16, 32},
    {{0x20, 0x01, 0x00, 0x10}, 16, 28},
    {{0xfe, 0x80}, 16, 10},
};

static const struct network link_local_networks[] = {
    V4(169, 254, 0, 0, 16),
    {{0xfe, 0x80}, 16, 10},
};

static bool in_network(const struct endpoint *address, const struct network *network)
{
    if (address->address_size != network->address_size)
        return false;
    unsigned whole = network->prefix_length / 8, rest = network->prefix_length % 8;
    if (memcmp(address->address, network->address, whole) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return rest == 0 || ((address->address[whole] ^ network->address[whole]) & mask) == 0;
}

static bool in_list(const struct endpoint *address, const struct network *networks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (in_network(address, &networks[i]))
            return true;
    }
    return false;
}

#define IN_LIST(address, list) in_list(address, list, sizeof(list) / sizeof *(list))

bool address_is_private(const struct endpoint *address)
{
    return IN_LIST(address, private_networks);
}

bool address_is_forwardable(const struct endpoint *address)
{
    return !IN_LIST(address, not_forwardable_networks);
}

/* --- the choice --- */

static bool better(const struct interface_address *a, const struct interface_address *b)
{
    if (a->default_route != b->default_route)
        return a->default_route;
    if (a->address.address_size != b->address.address_size)
        return a->address.address_size == 4;
    return a->prefix_length < b->prefix_length;
}

bool private_address_choose(const struct interface_table *table, struct endpoint *address)
{
    const struct interface_address *best = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct interface_address *candidate = &table->addresses[i];
        if (candidate->up && address_is_private(&candidate->address) &&
            address_is_forwardable(&candidate->address) && (!best || better(candidate, best)))
            best = candidate;
    }
    if (best)
        *address = best->address;
    return best != NULL;
}

bool interface_first_address(const struct interface_table *table, const char *interface,
                             struct endpoint *address)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct interface_address *candidate = &table->addresses[i];
        if (strcmp(candidate->interface, interface) == 0 &&
            !IN_LIST(&candidate->address, link_local_networks)) {
            *address = candidate->address;
            return true;
        }
    }
    return false;
}

bool interface_has_address(const struct interface_table *table, const char *interface,
                           const struct endpoint *address)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct interface_address *candidate = &table->addresses[i];
        if (strcmp(candidate->interface, interface) == 0 &&
            (!address || endpoint_address_equal(&candidate->address, address)))
            return true;
    }
    return false;
}

bool interface_exists(const char *name)
{
    return if_nametoindex(name) != 0;
}

/* --- routes --- */

enum { ROUTE_FIELDS = 11, ROUTE_FIELD_SIZE = 40 };

struct route_line {
    char fields[ROUTE_FIELDS][ROUTE_FIELD_SIZE];
    int count;
};

/* The next line, cut at blanks; false at the end. Fields that are too long are cut off. */
static bool next_route(struct span *text, struct route_line *line)
{
    size_t length = 0;
    *line = (struct route_line){0};
    if (text->size == 0)
        return false;
    for (size_t i = 0; i <= text->size; i++) {
        char c = i < text->size ? (char)text->data[i] : '\n';
        bool blank = c == ' ' || c == '\t' || c == '\n';
        if (blank && length > 0) {
            line->count++;
            length = 0;
        } else if (!blank && line->count < ROUTE_FIELDS && length < ROUTE_FIELD_SIZE - 1) {
            line->fields[line->count][length++] = c;
        }
        if (c == '\n') {
            *text = span_from(*text, i + 1);
            return true;
        }
    }
    return false;
}

static uint32_t hexadecimal(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 16);
}

static bool all_zeros(const char *text)
{
    return text[0] != '\0' && strspn(text, "0") == strlen(text);
}

struct best_route {
    char *interface;
    bool found;
    uint32_t metric;
};

static void consider(struct best_route *best, const char *name, uint32_t metric, uint32_t flags)
{
    if (!(flags & ROUTE_UP) || flags & ROUTE_REJECT || (best->found && metric >= best->metric))
        return;
    best->found = true;
    best->metric = metric;
    snprintf(best->interface, IF_NAMESIZE, "%.*s", IF_NAMESIZE - 1, name);
}

bool default_route_interface(struct span ipv4_routes, struct span ipv6_routes,
                             char interface[IF_NAMESIZE])
{
    struct best_route best = {.interface = interface};
    struct route_line line;
    /* Iface Destination Gateway Flags RefCnt Use Metric Mask; metric in decimal */
    while (next_route(&ipv4_routes, &line)) {
        if (line.count >= 8 && all_zeros(line.fields[1]) && all_zeros(line.fields[7]))
            consider(&best, line.fields[0], (uint32_t)strtoul(line.fields[6], NULL, 10),
                     hexadecimal(line.fields[3]));
    }
    /* destination length source length gateway metric refcnt use flags interface */
    while (!best.found && next_route(&ipv6_routes, &line)) {
        if (line.count >= 10 && all_zeros(line.fields[0]) && all_zeros(line.fields[1]))
            consider(&best, line.fields[9], hexadecimal(line.fields[5]),
                     hexadecimal(line.fields[8]));
    }
    return best.found;
}

static bool read_default_interface(char interface[IF_NAMESIZE])
{
    struct buffer ipv4, ipv6, error;
    buffer_init(&ipv4, ROUTES_SIZE_MAX);
    buffer_init(&ipv6, ROUTES_SIZE_MAX);
    buffer_init(&error, 256);
    file_read("/proc/net/route", &ipv4, &error);
    file_read("/proc/net/ipv6_route", &ipv6, &error);
    bool found = default_route_interface(buffer_span(&ipv4), buffer_span(&ipv6), interface);
    buffer_fini(&ipv4);
    buffer_fini(&ipv6);
    buffer_fini(&error);
    return found;
}

/* --- the table --- */

static uint8_t mask_length(const struct sockaddr *mask, uint8_t address_size)
{
    union socket_address bits = {0};
    if (!mask)
        return (uint8_t)(address_size * 8);
    memcpy(&bits, mask, address_size == 4 ? sizeof bits.v4 : sizeof bits.v6);
    const uint8_t *bytes =
        address_size == 4 ? (const uint8_t *)&bits.v4.sin_addr : bits.v6.sin6_addr.s6_addr;
    unsigned length = 0;
    for (unsigned i = 0; i < address_size; i++)
        length += (unsigned)__builtin_popcount(bytes[i]);
    return (uint8_t)length;
}

static bool read_entry(struct interface_address *entry, const struct ifaddrs *from)
{
    union socket_address address = {0};
    if (!from->ifa_addr ||
        (from->ifa_addr->sa_family != AF_INET && from->ifa_addr->sa_family != AF_INET6))
        return false;
    memcpy(&address, from->ifa_addr,
           from->ifa_addr->sa_family == AF_INET ? sizeof address.v4 : sizeof address.v6);
    *entry = (struct interface_address){.up = (from->ifa_flags & IFF_UP) != 0};
    if (!socket_address_read(&entry->address, &address))
        return false;
    entry->address.port = 0;
    entry->prefix_length = mask_length(from->ifa_netmask, entry->address.address_size);
    snprintf(entry->interface, sizeof entry->interface, "%s", from->ifa_name);
    return true;
}

bool interface_table_read(struct interface_table *table, struct buffer *error)
{
    struct ifaddrs *list = NULL;
    char default_interface[IF_NAMESIZE] = "";
    *table = (struct interface_table){0};
    if (getifaddrs(&list) != 0) {
        buffer_append_text(error, system_error_text(errno));
        return false;
    }
    size_t count = 0;
    for (struct ifaddrs *entry = list; entry && count < INTERFACE_ADDRESSES_MAX;
         entry = entry->ifa_next)
        count++;
    table->addresses = calloc(count + 1, sizeof *table->addresses);
    bool found = table->addresses && read_default_interface(default_interface);
    for (struct ifaddrs *entry = list; table->addresses && entry && table->count < count;
         entry = entry->ifa_next) {
        struct interface_address *address = &table->addresses[table->count];
        if (read_entry(address, entry)) {
            address->default_route = found && strcmp(address->interface, default_interface) == 0;
            table->count++;
        }
    }
    freeifaddrs(list);
    if (!table->addresses)
        buffer_append_text(error, "out of memory");
    return table->addresses != NULL;
}

void interface_table_fini(struct interface_table *table)
{
    free(table->addresses);
    *table = (struct interface_table){0};
}

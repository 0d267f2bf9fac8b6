/* -bind, -iface and -advertise answer two questions: where to listen, and what to tell others. An
 * interface that is named alone chooses the address; named beside an address it only checks it. */
#include "agent_address.h"

#include "bare_address.h"
#include "interfaces.h"
#include "resolver.h"
#include "socket_text.h"

#include <stdlib.h>

static bool address_error(struct buffer *error, const char *text, const char *what)
{
    buffer_printf(error, "address %s: %s", text, what);
    return false;
}

static bool parse_port(const char *text, const char *digits, uint16_t *port, struct buffer *error)
{
    uint32_t number = 0;
    for (const char *p = digits; *p; p++) {
        if (*p < '0' || *p > '9')
            return address_error(error, text, "unknown port; a port is a number from 0 to 65535");
        number = number * 10 + (uint32_t)(*p - '0');
        if (number > UINT16_MAX)
            return address_error(error, text, "invalid port; a port is a number from 0 to 65535");
    }
    *port = (uint16_t)number;
    return true;
}

static bool split_bracketed(const char *text, struct buffer *host, uint16_t *port,
                            struct buffer *error)
{
    const char *end = strchr(text, ']');
    if (!end)
        return address_error(error, text, "missing ']' in address");
    if (!buffer_append(host, text + 1, (size_t)(end - text - 1)))
        return address_error(error, text, "the host is too long");
    if (end[1] == '\0')
        return true;
    if (end[1] != ':')
        return address_error(error, text, "expected a port after ']', such as [::1]:7946");
    return parse_port(text, end + 2, port, error);
}

bool address_split(const char *text, struct buffer *host, uint16_t *port, struct buffer *error)
{
    *port = DEFAULT_BIND_PORT;
    if (text[0] == '[')
        return split_bracketed(text, host, port, error);
    if (bare_address_look(text) == BARE_ADDRESS_YES) {
        buffer_append_text(host, text);
        return true;
    }
    const char *colon = strchr(text, ':');
    if (colon && strchr(colon + 1, ':'))
        return address_error(error, text,
                             "too many colons in address; write an IPv6 address and its port as "
                             "[::1]:7946");
    size_t host_size = colon ? (size_t)(colon - text) : strlen(text);
    if (!buffer_append(host, text, host_size))
        return address_error(error, text, "the host is too long");
    return !colon || parse_port(text, colon + 1, port, error);
}

/* A host name is looked up, and its first address taken. No host: no address. */
static bool find_endpoint(const char *text, struct endpoint *endpoint, struct buffer *error)
{
    struct buffer host;
    uint16_t port;
    buffer_init(&host, HOST_NAME_SIZE_MAX + 1);
    *endpoint = (struct endpoint){0};
    bool good = address_split(text, &host, &port, error);
    if (good && host.size > 0 && !endpoint_from_text(endpoint, buffer_text(&host), port))
        good = resolve_now(NULL, buffer_text(&host), port, endpoint, 1, error) == 1;
    endpoint->port = port;
    buffer_fini(&host);
    return good;
}

static bool apply_interface(struct agent_addresses *addresses, const char *interface,
                            const struct interface_table *table, struct buffer *error)
{
    uint16_t port = addresses->bind.port;
    if (!endpoint_is_any(&addresses->bind)) {
        char text[ADDRESS_TEXT_SIZE];
        if (interface_has_address(table, interface, &addresses->bind))
            return true;
        buffer_printf(error, "Interface '%s' has no '%s' address", interface,
                      endpoint_address_text(&addresses->bind, text));
        return false;
    }
    if (!interface_has_address(table, interface, NULL)) {
        buffer_printf(error, "Interface '%s' has no addresses", interface);
        return false;
    }
    if (!interface_first_address(table, interface, &addresses->bind)) {
        buffer_printf(error, "Failed to find usable address for interface '%s'", interface);
        return false;
    }
    addresses->bind.port = port;
    addresses->chose_interface = true;
    return true;
}

static bool look_at_interface(struct agent_addresses *addresses, const char *interface,
                              struct buffer *error)
{
    struct interface_table table;
    struct buffer reason;
    buffer_init(&reason, 256);
    bool good = interface_table_read(&table, &reason);
    if (good) {
        good = apply_interface(addresses, interface, &table, error);
        interface_table_fini(&table);
    } else {
        buffer_printf(error, "Failed to get interface addresses: %s", buffer_text(&reason));
    }
    buffer_fini(&reason);
    return good;
}

static bool labelled(const char *label, const char *text, struct endpoint *endpoint,
                     struct buffer *error)
{
    struct buffer reason;
    buffer_init(&reason, 1024);
    bool good = find_endpoint(text, endpoint, &reason);
    if (!good)
        buffer_printf(error, "Invalid %s address: %s", label, buffer_text(&reason));
    buffer_fini(&reason);
    return good;
}

bool agent_addresses_find(struct agent_addresses *addresses, const struct agent_config *config,
                          struct buffer *error)
{
    *addresses = (struct agent_addresses){0};
    if (!labelled("bind", text_or_empty(config->bind), &addresses->bind, error))
        return false;
    if (config->interface && !look_at_interface(addresses, config->interface, error))
        return false;
    if (!config->advertise)
        return true;
    if (!labelled("advertise", config->advertise, &addresses->advertise, error))
        return false;
    if (!endpoint_is_any(&addresses->advertise))
        return true;
    buffer_printf(error,
                  "Invalid advertise address: %s is no address that another member can reach",
                  config->advertise);
    return false;
}

#include "rpc_address.h"

#include "bare_address.h"

#include <stdlib.h>

#define RPC_PORT_DEFAULT "7373"

/* Where host and port lie in the text; NULL or what is wrong. */
static const char *split(const char *text, struct span *host, const char **port)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return "missing port in address";
    if (bare_address_look(text) == BARE_ADDRESS_YES) {
        *host = span_text(text);
        *port = RPC_PORT_DEFAULT;
        return NULL;
    }
    if (text[0] != '[') {
        *host = span_make(text, (size_t)(colon - text));
        *port = colon + 1;
        if (memchr(text, ':', host->size))
            return "too many colons in address; write an IPv6 address and its port as [::1]:7373";
        return strpbrk(text, "[]") ? "unexpected bracket in address" : NULL;
    }
    const char *end = strchr(text, ']');
    if (!end)
        return "missing ']' in address";
    *host = span_make(text + 1, (size_t)(end - text - 1));
    *port = end[1] == '\0' ? RPC_PORT_DEFAULT : colon + 1;
    if (end[1] != ':' && end[1] != '\0')
        return "missing port in address";
    if (end[1] == ':' && end + 1 != colon)
        return "too many colons in address";
    return NULL;
}

static bool parse_port(const char *text, uint16_t *port, struct buffer *error)
{
    if (text[0] == '-' && text[1] != '\0' && strspn(text + 1, "0123456789") == strlen(text + 1)) {
        buffer_printf(error, "address %s: invalid port", text);
        return false;
    }
    if (strspn(text, "0123456789") != strlen(text)) {
        buffer_printf(error, "lookup tcp/%s: unknown port", text);
        return false;
    }
    unsigned long number = strtoul(text, NULL, 10);
    if (number > UINT16_MAX) {
        buffer_printf(error, "address %s: invalid port", text);
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

/* "unix:7373" is a port of a host called "unix". */
static bool names_unix_socket(const char *text)
{
    size_t prefix = strlen(RPC_ADDRESS_UNIX);
    if (strncmp(text, RPC_ADDRESS_UNIX, prefix) != 0)
        return false;
    const char *path = text + prefix;
    return *path == '\0' || path[strspn(path, "0123456789")] != '\0';
}

static bool parse_path(struct rpc_address *address, const char *text, struct buffer *error)
{
    const char *path = text + strlen(RPC_ADDRESS_UNIX);
    size_t size = strlen(path);
    address->kind = RPC_OVER_UNIX;
    if (size == 0) {
        buffer_printf(error, "address %s: missing path; write unix:/path/of/the/socket", text);
        return false;
    }
    if (size >= RPC_PATH_SIZE) {
        buffer_printf(error,
                      "address %s: a path of %zu bytes; that of a Unix socket has at most %d", text,
                      size, RPC_PATH_SIZE - 1);
        return false;
    }
    memcpy(address->path, path, size + 1);
    return true;
}

static bool parse_host_and_port(struct rpc_address *address, const char *text, struct buffer *error)
{
    struct span host;
    const char *port;
    const char *reason = split(text, &host, &port);
    if (!reason && host.size >= RPC_HOST_SIZE)
        reason = "host name longer than 255 bytes";
    if (reason) {
        buffer_printf(error, "address %s: %s", text, reason);
        return false;
    }
    memcpy(address->host, host.data, host.size);
    address->host[host.size] = '\0';
    return parse_port(port, &address->port, error);
}

bool rpc_address_parse(struct rpc_address *address, const char *text, struct buffer *error)
{
    *address = (struct rpc_address){.kind = RPC_OVER_TCP};
    if (*text == '\0') {
        buffer_append_text(error, "missing address");
        return false;
    }
    if (strcmp(text, RPC_ADDRESS_NONE) == 0) {
        address->kind = RPC_NOWHERE;
        return true;
    }
    if (names_unix_socket(text))
        return parse_path(address, text, error);
    return parse_host_and_port(address, text, error);
}

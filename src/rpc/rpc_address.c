#include "rpc_address.h"

#include <stdlib.h>

/* Where host and port lie in the text; NULL or what is wrong. */
static const char *split(const char *text, struct span *host, const char **port)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return "missing port in address";
    if (text[0] != '[') {
        *host = span_make(text, (size_t)(colon - text));
        *port = colon + 1;
        if (memchr(text, ':', host->size))
            return "too many colons in address";
        return strpbrk(text, "[]") ? "unexpected bracket in address" : NULL;
    }
    const char *end = strchr(text, ']');
    if (!end)
        return "missing ']' in address";
    if (end[1] != ':')
        return "missing port in address";
    if (end + 1 != colon)
        return "too many colons in address";
    *host = span_make(text + 1, (size_t)(end - text - 1));
    *port = colon + 1;
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

bool rpc_address_parse(struct rpc_address *address, const char *text, struct buffer *error)
{
    struct span host;
    const char *port;
    if (*text == '\0') {
        buffer_append_text(error, "missing address");
        return false;
    }
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

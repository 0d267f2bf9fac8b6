#include "kube_server.h"

#include <stdio.h>
#include <stdlib.h>

#include "endpoint.h"

enum { HTTPS_PORT = 443 };

static bool read_port(const char *text, uint16_t *port)
{
    unsigned value = 0;
    size_t size = strlen(text);
    for (size_t i = 0; i < size && size <= 5; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return size >= 1 && size <= 5 && value >= 1 && value <= UINT16_MAX;
}

static bool read_host(struct kube_server *server, struct span host)
{
    if (host.size == 0 || host.size > HOST_NAME_SIZE_MAX)
        return false;
    for (size_t i = 0; i < host.size; i++)
        if (host.data[i] <= ' ' || host.data[i] >= 0x7f || strchr("/@?#[]%\\", host.data[i]))
            return false;
    memcpy(server->host, host.data, host.size);
    server->host[host.size] = '\0';
    return true;
}

/* "https://HOST[:PORT][/]" */
static bool read_url(struct kube_server *server, const char *url)
{
    static const char scheme[] = "https://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    struct span rest = span_text(url + sizeof scheme - 1);
    if (rest.size > 0 && rest.data[rest.size - 1] == '/')
        rest.size--;
    bool bracketed = rest.size > 0 && rest.data[0] == '[';
    const uint8_t *end = rest.size ? memchr(rest.data, bracketed ? ']' : ':', rest.size) : NULL;
    size_t host_size = end ? (size_t)(end - rest.data) : rest.size;
    if ((bracketed && !end) ||
        !read_host(server, bracketed ? span_make(rest.data + 1, host_size - 1)
                                     : span_make(rest.data, host_size)))
        return false;
    struct endpoint address;
    if (bracketed && (!endpoint_from_text(&address, server->host, 0) || address.address_size != 16))
        return false;
    rest = span_from(rest, host_size + bracketed);
    server->port = HTTPS_PORT;
    if (rest.size == 0)
        return true;
    char port[8];
    snprintf(port, sizeof port, "%.*s", SPAN_PRINT(span_from(rest, 1)));
    return rest.data[0] == ':' && rest.size <= 6 && read_port(port, &server->port);
}

static bool read_environment(struct kube_server *server, struct buffer *error)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    server->port = HTTPS_PORT;
    if (!host || !*host) {
        buffer_append_text(error, "KUBERNETES_SERVICE_HOST is not set: this is not in a pod of "
                                  "Kubernetes");
        return false;
    }
    if (!read_host(server, span_text(host))) {
        buffer_append_text(error, "KUBERNETES_SERVICE_HOST is ");
        buffer_append_quoted(error, span_text(host));
        buffer_append_text(error, ", which is no host");
        return false;
    }
    if (port && *port && !read_port(port, &server->port)) {
        buffer_append_text(error, "KUBERNETES_SERVICE_PORT is ");
        buffer_append_quoted(error, span_text(port));
        buffer_append_text(error, ", which is no port");
        return false;
    }
    return true;
}

bool kube_server_find(struct kube_server *server, const char *url, struct buffer *error)
{
    if (url && !read_url(server, url)) {
        buffer_append_text(error, "the API server ");
        buffer_append_quoted(error, span_text(url));
        buffer_append_text(error, " must be https://HOST or https://HOST:PORT");
        return false;
    }
    if (!url && !read_environment(server, error))
        return false;
    snprintf(server->text, sizeof server->text,
             strchr(server->host, ':') ? "https://[%s]:%u" : "https://%s:%u", server->host,
             server->port);
    return true;
}

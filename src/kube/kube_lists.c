/* What is not there, or is of another type than it should be, reads as absent: fields come and go
 * with versions of Kubernetes. But a page without an array of items is no list. */
#include "kube_lists.h"

#include <stdlib.h>

#include <jansson.h>

#define PORT_ANNOTATION "consul.hashicorp.com/auto-join-port"

enum { CAPACITY_MIN = 16 };

void kube_addresses_fini(struct kube_addresses *addresses)
{
    free(addresses->endpoints);
    *addresses = (struct kube_addresses){0};
}

static bool add(struct kube_addresses *addresses, const char *text, uint16_t port)
{
    struct endpoint endpoint;
    if (!text || addresses->left_out || !endpoint_from_text(&endpoint, text, port))
        return true;
    for (size_t i = 0; i < addresses->count; i++)
        if (endpoint_equal(&addresses->endpoints[i], &endpoint))
            return true;
    if (addresses->count == KUBE_ADDRESSES_MAX) {
        addresses->left_out = true;
        return true;
    }
    if (addresses->count == addresses->capacity) {
        size_t capacity = addresses->capacity ? addresses->capacity * 2 : CAPACITY_MIN;
        struct endpoint *endpoints = realloc(addresses->endpoints, capacity * sizeof *endpoints);
        if (!endpoints)
            return false;
        addresses->endpoints = endpoints;
        addresses->capacity = capacity;
    }
    addresses->endpoints[addresses->count++] = endpoint;
    return true;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Mostly: Jansson has no words for missing memory, or takes it for a key that is no string. */
static bool is_out_of_memory(const json_error_t *problem)
{
    return !problem->text[0] || json_error_code(problem) == json_error_out_of_memory;
}

/* The items, borrowed from `list`; NULL with the reason in `error`. */
static const json_t *open_page(json_t *list, const json_error_t *problem, struct buffer *more,
                               struct buffer *error)
{
    const json_t *items = json_object_get(list, "items");
    if (!list && is_out_of_memory(problem))
        buffer_append_text(error, "out of memory");
    else if (!list)
        buffer_printf(error, "the API server's answer is no JSON from byte %d on",
                      problem->position);
    else if (!json_is_array(items))
        buffer_append_text(error, "the API server's answer is no list: it has no items");
    const char *mark = text_of(json_object_get(list, "metadata"), "continue");
    if (mark && !buffer_append_text(more, mark)) {
        buffer_append_text(error, strlen(mark) > more->maximum
                                      ? "the mark of the next page is too long"
                                      : "out of memory");
        return NULL;
    }
    return json_is_array(items) ? items : NULL;
}

/* --- pods --- */

static bool is_member(const json_t *pod)
{
    const char *phase = text_of(json_object_get(pod, "status"), "phase");
    if (text_of(json_object_get(pod, "metadata"), "deletionTimestamp"))
        return false;
    return !phase || (strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0);
}

static uint16_t port_from(json_int_t value)
{
    return value > 0 && value <= UINT16_MAX ? (uint16_t)value : 0;
}

static uint16_t number_in(const char *text)
{
    json_int_t value = 0;
    size_t size = strlen(text);
    if (size > 5)
        return 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        value = value * 10 + (text[i] - '0');
    }
    return port_from(value);
}

static uint16_t port_named(const json_t *pod, const char *name, bool host_network)
{
    const json_t *containers = json_object_get(json_object_get(pod, "spec"), "containers");
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *ports = json_object_get(json_array_get(containers, i), "ports");
        for (size_t k = 0; k < json_array_size(ports); k++) {
            const json_t *port = json_array_get(ports, k);
            const char *its_name = text_of(port, "name");
            if (its_name && strcmp(its_name, name) == 0)
                return port_from(json_integer_value(
                    json_object_get(port, host_network ? "hostPort" : "containerPort")));
        }
    }
    return 0;
}

static uint16_t port_of(const json_t *pod, bool host_network)
{
    const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
    const char *text = text_of(annotations, PORT_ANNOTATION);
    if (!text || !*text)
        return 0;
    uint16_t number = number_in(text);
    return number ? number : port_named(pod, text, host_network);
}

/* The singular field is older than the plural, which has it as its first. */
static bool add_pod(struct kube_addresses *addresses, const json_t *pod, bool host_network)
{
    const json_t *status = json_object_get(pod, "status");
    const json_t *plural = json_object_get(status, host_network ? "hostIPs" : "podIPs");
    uint16_t port = port_of(pod, host_network);
    bool good = add(addresses, text_of(status, host_network ? "hostIP" : "podIP"), port);
    for (size_t i = 0; good && i < json_array_size(plural); i++)
        good = add(addresses, text_of(json_array_get(plural, i), "ip"), port);
    return good;
}

bool kube_read_pods(struct span page, bool host_network, struct kube_addresses *addresses,
                    struct buffer *more, struct buffer *error)
{
    json_error_t problem;
    json_t *list = json_loadb((const char *)page.data, page.size, 0, &problem);
    const json_t *items = open_page(list, &problem, more, error);
    bool good = true;
    for (size_t i = 0; good && i < json_array_size(items); i++) {
        const json_t *pod = json_array_get(items, i);
        good = !is_member(pod) || add_pod(addresses, pod, host_network);
    }
    if (!good)
        buffer_append_text(error, "out of memory");
    json_decref(list);
    return items && good;
}

/* --- slices --- */

static bool add_endpoint(struct kube_addresses *addresses, const json_t *endpoint)
{
    const json_t *texts = json_object_get(endpoint, "addresses");
    if (json_is_true(json_object_get(json_object_get(endpoint, "conditions"), "terminating")))
        return true;
    bool good = true;
    for (size_t i = 0; good && i < json_array_size(texts); i++)
        good = add(addresses, json_string_value(json_array_get(texts, i)), 0);
    return good;
}

bool kube_read_slices(struct span page, struct kube_addresses *addresses, struct buffer *more,
                      struct buffer *error)
{
    json_error_t problem;
    json_t *list = json_loadb((const char *)page.data, page.size, 0, &problem);
    const json_t *items = open_page(list, &problem, more, error);
    bool good = true;
    for (size_t i = 0; good && i < json_array_size(items); i++) {
        const json_t *endpoints = json_object_get(json_array_get(items, i), "endpoints");
        for (size_t k = 0; good && k < json_array_size(endpoints); k++)
            good = add_endpoint(addresses, json_array_get(endpoints, k));
    }
    if (!good)
        buffer_append_text(error, "out of memory");
    json_decref(list);
    return items && good;
}

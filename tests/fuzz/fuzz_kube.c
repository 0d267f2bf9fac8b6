/* What the API server sends, and the settings that lead to it. The first byte says what the rest
 * is: an HTTP answer in pieces whose body is then read as a list, a list, or a join address. */
#include "http_response.h"
#include "kube_api.h"
#include "kube_lists.h"
#include "kube_provider.h"

#include <assert.h>

enum { BODY_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_addresses(const struct kube_addresses *addresses)
{
    assert(addresses->count <= KUBE_ADDRESSES_MAX);
    for (size_t i = 0; i < addresses->count; i++) {
        const struct endpoint *endpoint = &addresses->endpoints[i];
        assert(endpoint->address_size == 4 || endpoint->address_size == 16);
        assert(i == 0 || !endpoint_equal(endpoint, endpoint - 1));
    }
}

static void read_lists(struct span page)
{
    for (int way = 0; way < 3; way++) {
        struct kube_addresses addresses = {0};
        struct buffer more, error;
        buffer_init(&more, KUBE_CONTINUE_SIZE_MAX);
        buffer_init(&error, 1024);
        bool good = way == 2 ? kube_read_slices(page, &addresses, &more, &error)
                             : kube_read_pods(page, way == 1, &addresses, &more, &error);
        assert(good == (error.size == 0));
        check_addresses(&addresses);
        kube_status_text(500, page, &error);
        kube_addresses_fini(&addresses);
        buffer_fini(&more);
        buffer_fini(&error);
    }
}

static void feed(struct http_response *response, struct span bytes, size_t piece)
{
    bool open = true;
    http_response_init(response, BODY_MAX);
    while (open && bytes.size > 0) {
        size_t size = bytes.size < piece ? bytes.size : piece;
        open = http_response_feed(response, span_make(bytes.data, size));
        bytes = span_from(bytes, size);
    }
    if (open)
        http_response_end(response);
}

/* The pieces don't matter. */
static void read_answer(struct span bytes)
{
    struct http_response whole, parts;
    feed(&whole, bytes, SIZE_MAX);
    feed(&parts, bytes, 1 + bytes.size % 5);
    assert(whole.state == parts.state && !whole.wrong == !parts.wrong);
    assert(!whole.wrong || strcmp(whole.wrong, parts.wrong) == 0);
    assert(whole.state == HTTP_RESPONSE_DONE ||
           (whole.state == HTTP_RESPONSE_WRONG && whole.wrong));
    assert(whole.body.size <= BODY_MAX);
    if (whole.state == HTTP_RESPONSE_DONE) {
        assert(whole.status >= 200 && whole.status <= 599);
        assert(whole.body.size == parts.body.size);
        read_lists(buffer_span(&whole.body));
    }
    http_response_fini(&whole);
    http_response_fini(&parts);
}

static void read_settings(struct span settings)
{
    struct kube_provider provider;
    struct buffer error;
    buffer_init(&error, 64 * 1024);
    bool good = kube_provider_parse(&provider, settings, &error);
    assert(good == (error.size == 0));
    assert(!good || !provider.namespace || provider.namespace[0]);
    if (good)
        kube_provider_fini(&provider);
    buffer_fini(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span rest = span_make(data + 1, size - 1);
    if (data[0] % 3 == 0)
        read_answer(rest);
    else if (data[0] % 3 == 1)
        read_lists(rest);
    else
        read_settings(rest);
    return 0;
}

/* inet_ntop and inet_pton only convert: they open nothing and keep no state. */
#include "endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool endpoint_from_bytes(struct endpoint *endpoint, struct span address, uint16_t port)
{
    if (address.size != 4 && address.size != 16)
        return false;
    if (address.size == 16 && memcmp(address.data, mapped_prefix, sizeof mapped_prefix) == 0)
        address = span_from(address, sizeof mapped_prefix);
    *endpoint = (struct endpoint){.address_size = (uint8_t)address.size, .port = port};
    memcpy(endpoint->address, address.data, address.size);
    return true;
}

bool endpoint_from_text(struct endpoint *endpoint, const char *address, uint16_t port)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, address, bytes) == 1)
        return endpoint_from_bytes(endpoint, span_make(bytes, 4), port);
    if (inet_pton(AF_INET6, address, bytes) == 1)
        return endpoint_from_bytes(endpoint, span_make(bytes, 16), port);
    return false;
}

bool endpoint_address_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->address_size == b->address_size &&
           memcmp(a->address, b->address, a->address_size) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && endpoint_address_equal(a, b);
}

const char *endpoint_address_text(const struct endpoint *endpoint, char *text)
{
    text[0] = '\0';
    if (endpoint->address_size != 0)
        inet_ntop(endpoint->address_size == 4 ? AF_INET : AF_INET6, endpoint->address, text,
                  ADDRESS_TEXT_SIZE);
    return text;
}

const char *endpoint_text(const struct endpoint *endpoint, char *text)
{
    char address[ADDRESS_TEXT_SIZE];
    endpoint_address_text(endpoint, address);
    snprintf(text, ENDPOINT_TEXT_SIZE, endpoint->address_size == 16 ? "[%s]:%u" : "%s:%u", address,
             endpoint->port);
    return text;
}

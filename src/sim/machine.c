#include "machine.h"

#include "simulation_internal.h"

#include <stdio.h>

static const uint8_t network = 10;

void machine_name(uint32_t number, char name[MEMBER_NAME_SIZE])
{
    snprintf(name, MEMBER_NAME_SIZE, "m%05u", number + 1);
}

uint32_t machine_number(struct span name)
{
    uint32_t number = 0;
    if (name.size < 2 || name.size >= MEMBER_NAME_SIZE || name.data[0] != 'm')
        return UINT32_MAX;
    for (size_t i = 1; i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9')
            return UINT32_MAX;
        number = number * 10 + (uint32_t)(name.data[i] - '0');
    }
    return number - 1;
}

void address_endpoint(uint32_t address, struct endpoint *endpoint)
{
    *endpoint = (struct endpoint){
        .address = {network, (uint8_t)(address >> 16), (uint8_t)(address >> 8), (uint8_t)address},
        .address_size = 4,
        .port = MEMBER_PORT,
    };
}

uint32_t address_number(const struct endpoint *endpoint)
{
    const uint8_t *bytes = endpoint->address;
    if (endpoint->address_size != 4 || bytes[0] != network || endpoint->port != MEMBER_PORT)
        return ADDRESS_NONE;
    return (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Whether members can speak with each other (memberlist specification, 6.2): every member's current
 * version must lie in what all alive members understand. */
#include "swim_internal.h"

struct version_range version_range_all(void)
{
    return (struct version_range){0, 255, 0, 255};
}

void version_range_narrow(struct version_range *range, struct span versions)
{
    if (versions.size < 5)
        return;
    const uint8_t *v = versions.data;
    if (v[0] > range->protocol_min)
        range->protocol_min = v[0];
    if (v[1] < range->protocol_max)
        range->protocol_max = v[1];
    if (v[3] > range->delegate_min)
        range->delegate_min = v[3];
    if (v[4] < range->delegate_max)
        range->delegate_max = v[4];
}

bool version_range_admits(const struct version_range *range, struct span name, struct span versions,
                          struct buffer *error)
{
    uint8_t protocol = versions.size >= VERSIONS_SIZE ? versions.data[2] : 0;
    uint8_t delegate = versions.size >= VERSIONS_SIZE ? versions.data[5] : 0;
    if (protocol < range->protocol_min || protocol > range->protocol_max) {
        buffer_printf(error, "Node '%.*s' protocol version (%u) is incompatible: [%u, %u]",
                      SPAN_PRINT(name), protocol, range->protocol_min, range->protocol_max);
        return false;
    }
    if (delegate < range->delegate_min || delegate > range->delegate_max) {
        buffer_printf(error, "Node '%.*s' delegate protocol version (%u) is incompatible: [%u, %u]",
                      SPAN_PRINT(name), delegate, range->delegate_min, range->delegate_max);
        return false;
    }
    return true;
}

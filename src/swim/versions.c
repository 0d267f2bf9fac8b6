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

/* What one whose versions are these speaks. */
static uint8_t protocol_of(struct span versions)
{
    return versions.size >= VERSIONS_SIZE ? versions.data[2] : 0;
}

static uint8_t delegate_of(struct span versions)
{
    return versions.size >= VERSIONS_SIZE ? versions.data[5] : 0;
}

struct version_range version_range_none(void)
{
    return (struct version_range){255, 0, 255, 0};
}

void version_range_widen(struct version_range *spoken, struct span versions)
{
    uint8_t protocol = protocol_of(versions), delegate = delegate_of(versions);
    if (protocol < spoken->protocol_min)
        spoken->protocol_min = protocol;
    if (protocol > spoken->protocol_max)
        spoken->protocol_max = protocol;
    if (delegate < spoken->delegate_min)
        spoken->delegate_min = delegate;
    if (delegate > spoken->delegate_max)
        spoken->delegate_max = delegate;
}

bool version_range_holds(const struct version_range *understood, const struct version_range *spoken)
{
    return spoken->protocol_min >= understood->protocol_min &&
           spoken->protocol_max <= understood->protocol_max &&
           spoken->delegate_min >= understood->delegate_min &&
           spoken->delegate_max <= understood->delegate_max;
}

bool version_range_admits(const struct version_range *range, struct span name, struct span versions,
                          struct buffer *error)
{
    uint8_t protocol = protocol_of(versions), delegate = delegate_of(versions);
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

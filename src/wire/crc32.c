/* The library chooses by processor: carry-less multiplication where there is any. */
#include "crc32.h"

#include <libdeflate.h>

uint32_t crc32_ieee(struct span bytes)
{
    return libdeflate_crc32(0, bytes.data, bytes.size);
}

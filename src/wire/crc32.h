/* CRC-32 as in IEEE 802.3 (and zlib): what a packet's checksum layer carries. */
#ifndef WIRE_CRC32_H
#define WIRE_CRC32_H

#include "span.h"

uint32_t crc32_ieee(struct span bytes);

#endif

/* Eight bytes a step by eight tables ("slicing by 8"): table n gives what a byte does to the
 * remainder when n more bytes follow it. That effect is linear in the byte's bits, so each entry is
 * the exclusive or of at most eight numbers, and the compiler builds the tables from those. */
#include "crc32.h"

#define BIT(i, bit, effect) (((i) >> (bit)&1) ? UINT32_C(effect) : 0)

#define BASIS_0(f, i)                                                                              \
    (f(i, 0, 0x77073096) ^ f(i, 1, 0xee0e612c) ^ f(i, 2, 0x076dc419) ^ f(i, 3, 0x0edb8832) ^       \
     f(i, 4, 0x1db71064) ^ f(i, 5, 0x3b6e20c8) ^ f(i, 6, 0x76dc4190) ^ f(i, 7, 0xedb88320))
#define BASIS_1(f, i)                                                                              \
    (f(i, 0, 0x191b3141) ^ f(i, 1, 0x32366282) ^ f(i, 2, 0x646cc504) ^ f(i, 3, 0xc8d98a08) ^       \
     f(i, 4, 0x4ac21251) ^ f(i, 5, 0x958424a2) ^ f(i, 6, 0xf0794f05) ^ f(i, 7, 0x3b83984b))
#define BASIS_2(f, i)                                                                              \
    (f(i, 0, 0x01c26a37) ^ f(i, 1, 0x0384d46e) ^ f(i, 2, 0x0709a8dc) ^ f(i, 3, 0x0e1351b8) ^       \
     f(i, 4, 0x1c26a370) ^ f(i, 5, 0x384d46e0) ^ f(i, 6, 0x709a8dc0) ^ f(i, 7, 0xe1351b80))
#define BASIS_3(f, i)                                                                              \
    (f(i, 0, 0xb8bc6765) ^ f(i, 1, 0xaa09c88b) ^ f(i, 2, 0x8f629757) ^ f(i, 3, 0xc5b428ef) ^       \
     f(i, 4, 0x5019579f) ^ f(i, 5, 0xa032af3e) ^ f(i, 6, 0x9b14583d) ^ f(i, 7, 0xed59b63b))
#define BASIS_4(f, i)                                                                              \
    (f(i, 0, 0x3d6029b0) ^ f(i, 1, 0x7ac05360) ^ f(i, 2, 0xf580a6c0) ^ f(i, 3, 0x30704bc1) ^       \
     f(i, 4, 0x60e09782) ^ f(i, 5, 0xc1c12f04) ^ f(i, 6, 0x58f35849) ^ f(i, 7, 0xb1e6b092))
#define BASIS_5(f, i)                                                                              \
    (f(i, 0, 0xcb5cd3a5) ^ f(i, 1, 0x4dc8a10b) ^ f(i, 2, 0x9b914216) ^ f(i, 3, 0xec53826d) ^       \
     f(i, 4, 0x03d6029b) ^ f(i, 5, 0x07ac0536) ^ f(i, 6, 0x0f580a6c) ^ f(i, 7, 0x1eb014d8))
#define BASIS_6(f, i)                                                                              \
    (f(i, 0, 0xa6770bb4) ^ f(i, 1, 0x979f1129) ^ f(i, 2, 0xf44f2413) ^ f(i, 3, 0x33ef4e67) ^       \
     f(i, 4, 0x67de9cce) ^ f(i, 5, 0xcfbd399c) ^ f(i, 6, 0x440b7579) ^ f(i, 7, 0x8816eaf2))
#define BASIS_7(f, i)                                                                              \
    (f(i, 0, 0xccaa009e) ^ f(i, 1, 0x4225077d) ^ f(i, 2, 0x844a0efa) ^ f(i, 3, 0xd3e51bb5) ^       \
     f(i, 4, 0x7cbb312b) ^ f(i, 5, 0xf9766256) ^ f(i, 6, 0x299dc2ed) ^ f(i, 7, 0x533b85da))

#define ENTRIES_4(basis, i)                                                                        \
    basis(BIT, (i)), basis(BIT, (i) + 1), basis(BIT, (i) + 2), basis(BIT, (i) + 3)
#define ENTRIES_16(basis, i)                                                                       \
    ENTRIES_4(basis, (i)), ENTRIES_4(basis, (i) + 4), ENTRIES_4(basis, (i) + 8),                   \
        ENTRIES_4(basis, (i) + 12)
#define ENTRIES_64(basis, i)                                                                       \
    ENTRIES_16(basis, (i)), ENTRIES_16(basis, (i) + 16), ENTRIES_16(basis, (i) + 32),              \
        ENTRIES_16(basis, (i) + 48)
#define ENTRIES_256(basis)                                                                         \
    {                                                                                              \
        ENTRIES_64(basis, 0), ENTRIES_64(basis, 64), ENTRIES_64(basis, 128),                       \
            ENTRIES_64(basis, 192)                                                                 \
    }

static const uint32_t tables[8][256] = {
    ENTRIES_256(BASIS_0), ENTRIES_256(BASIS_1), ENTRIES_256(BASIS_2), ENTRIES_256(BASIS_3),
    ENTRIES_256(BASIS_4), ENTRIES_256(BASIS_5), ENTRIES_256(BASIS_6), ENTRIES_256(BASIS_7),
};

static uint32_t read_little_endian(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t crc32_ieee(struct span bytes)
{
    uint32_t crc = UINT32_MAX;
    const uint8_t *p = bytes.data;
    size_t left = bytes.size;
    for (; left >= 8; p += 8, left -= 8) {
        uint32_t low = read_little_endian(p) ^ crc;
        uint32_t high = read_little_endian(p + 4);
        crc = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^ tables[5][low >> 16 & 0xff] ^
              tables[4][low >> 24] ^ tables[3][high & 0xff] ^ tables[2][high >> 8 & 0xff] ^
              tables[1][high >> 16 & 0xff] ^ tables[0][high >> 24];
    }
    for (; left > 0; p++, left--)
        crc = crc >> 8 ^ tables[0][(crc ^ *p) & 0xff];
    return ~crc;
}

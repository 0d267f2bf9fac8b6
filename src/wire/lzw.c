/* The encoder's dictionary is a hash table from (match, next byte) to code, as large as the input
 * can make it: what a packet needs stays in the processor's nearest cache, and is quickly wiped.
 *
 * The decoder keeps no strings: the string of a code is the string of the code before plus one
 * byte, and both stand side by side in the output already. A code is where and how long. */
#include "lzw.h"

#include <stdlib.h>
#include <string.h>

enum {
    CLEAR_CODE = 256,
    END_CODE = 257,
    FIRST_WIDTH = 9,
    WIDTH_MAX = 12,
    CODE_MAX = 4095,
    HASH_PLACES_MIN = 256,
    HASH_PLACES_MAX = 8192, /* twice as many as there are codes */
};

/* An entry is match code (12 bits), next byte (8), code of both (12); 0 where there is none. */
struct lzw_table {
    uint32_t entries[HASH_PLACES_MAX];
};

struct encoder {
    uint32_t *entries;
    uint32_t places; /* in use: a power of two, at least twice the bytes or codes there can be */
    struct buffer *out;
    uint64_t bits; /* not yet written, low end first */
    uint32_t bit_count;
    uint32_t width;
    uint32_t high; /* the newest code */
    uint32_t overflow;
};

struct lzw_table *lzw_table_new(void)
{
    return calloc(1, sizeof(struct lzw_table));
}

void lzw_table_free(struct lzw_table *table)
{
    free(table);
}

static void put_code(struct encoder *encoder, uint32_t code)
{
    encoder->bits |= (uint64_t)code << encoder->bit_count;
    encoder->bit_count += encoder->width;
    if (encoder->bit_count < 32)
        return;
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(encoder->bits >> (8 * i));
    buffer_append(encoder->out, bytes, sizeof bytes);
    encoder->bits >>= 32;
    encoder->bit_count -= 32;
}

static void put_last_bits(struct encoder *encoder)
{
    uint8_t bytes[8];
    size_t size = (encoder->bit_count + 7) / 8;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(encoder->bits >> (8 * i));
    buffer_append(encoder->out, bytes, size);
}

static void forget_dictionary(struct encoder *encoder)
{
    memset(encoder->entries, 0, encoder->places * sizeof *encoder->entries);
    encoder->width = FIRST_WIDTH;
    encoder->high = END_CODE;
    encoder->overflow = 1 << FIRST_WIDTH;
}

/* After a match was emitted: a new code comes into being, unless there is none left, in which case
 * everything starts anew and false is returned. */
static bool next_code(struct encoder *encoder)
{
    encoder->high++;
    if (encoder->high == encoder->overflow) {
        encoder->width++;
        encoder->overflow <<= 1;
    }
    if (encoder->high < CODE_MAX)
        return true;
    put_code(encoder, CLEAR_CODE);
    forget_dictionary(encoder);
    return false;
}

/* Where the search for a match and the byte after it begins. The byte is spread over the table; the
 * match comes last and is only added, since all that follows waits for it. */
static uint32_t first_place(uint32_t match, uint32_t next)
{
    return match ^ (next * UINT32_C(0x9e3779b1) >> 19);
}

static void compress_bytes(struct encoder *encoder, struct span input)
{
    const uint32_t mask = encoder->places - 1;
    uint32_t match = input.data[0];
    for (size_t i = 1; i < input.size && !encoder->out->failed; i++) {
        uint32_t next = input.data[i];
        uint32_t key = match << 8 | next;
        uint32_t place = first_place(match, next) & mask;
        uint32_t entry;
        while ((entry = encoder->entries[place]) != 0 && entry >> 12 != key)
            place = (place + 1) & mask;
        if (entry != 0) {
            match = entry & CODE_MAX;
            continue;
        }
        put_code(encoder, match);
        match = next;
        if (next_code(encoder))
            encoder->entries[place] = key << 12 | encoder->high;
    }
    put_code(encoder, match);
    next_code(encoder);
}

bool lzw_compress(struct lzw_table *table, struct span input, struct buffer *out)
{
    size_t start = out->size;
    struct encoder encoder = {.entries = table->entries, .places = HASH_PLACES_MIN, .out = out};
    while (encoder.places < HASH_PLACES_MAX && encoder.places < 2 * input.size)
        encoder.places *= 2;
    forget_dictionary(&encoder);
    put_code(&encoder, CLEAR_CODE);
    if (input.size > 0)
        compress_bytes(&encoder, input);
    put_code(&encoder, END_CODE);
    put_last_bits(&encoder);
    if (out->failed)
        buffer_truncate(out, start);
    return !out->failed;
}

struct decoder {
    struct span input;
    size_t offset;
    uint64_t bits;
    uint32_t bit_count;
    uint32_t width;
    uint32_t high;
    uint32_t overflow;
    bool has_previous;
    uint32_t previous_start; /* where the previous code's string stands in the output */
    uint32_t previous_size;
    uint32_t starts[CODE_MAX + 1];
    uint32_t sizes[CODE_MAX + 1];
};

static void restart(struct decoder *decoder)
{
    decoder->width = FIRST_WIDTH;
    decoder->high = END_CODE;
    decoder->overflow = 1 << FIRST_WIDTH;
    decoder->has_previous = false;
    decoder->previous_start = decoder->previous_size = 0;
}

static bool get_code(struct decoder *decoder, uint32_t *code)
{
    while (decoder->bit_count < decoder->width) {
        if (decoder->offset == decoder->input.size)
            return false;
        decoder->bits |= (uint64_t)decoder->input.data[decoder->offset++] << decoder->bit_count;
        decoder->bit_count += 8;
    }
    *code = (uint32_t)decoder->bits & ((UINT32_C(1) << decoder->width) - 1);
    decoder->bits >>= decoder->width;
    decoder->bit_count -= decoder->width;
    return true;
}

static inline uint8_t *extend(struct buffer *out, size_t size)
{
    if (size > out->capacity - out->size || size > out->maximum - out->size)
        return buffer_extend(out, size);
    uint8_t *start = out->data + out->size;
    out->size += size;
    return start;
}

/* Appends the string of a code that is no literal. Source and target overlap by one byte when the
 * code is the one that is just coming into being, so short strings are copied upwards. */
static bool copy_string(struct buffer *out, size_t source, size_t size)
{
    uint8_t *target = extend(out, size);
    if (!target)
        return false;
    const uint8_t *from = out->data + source;
    if (from + size <= target)
        memcpy(target, from, size);
    else
        for (size_t i = 0; i < size; i++)
            target[i] = from[i];
    return true;
}

static void advance(struct decoder *decoder, uint32_t start, uint32_t size)
{
    if (decoder->has_previous) {
        decoder->starts[decoder->high] = decoder->previous_start;
        decoder->sizes[decoder->high] = decoder->previous_size + 1;
    }
    decoder->previous_start = start;
    decoder->previous_size = size;
    decoder->has_previous = true;
    decoder->high++;
    if (decoder->high < decoder->overflow)
        return;
    if (decoder->width < WIDTH_MAX) {
        decoder->width++;
        decoder->overflow <<= 1;
    } else {
        decoder->has_previous = false;
        decoder->high--;
    }
}

static enum lzw_status decode(struct decoder *decoder, struct buffer *out)
{
    const size_t origin = out->size;
    uint32_t code;
    restart(decoder);
    while (get_code(decoder, &code)) {
        if (code == CLEAR_CODE) {
            restart(decoder);
            continue;
        }
        if (code == END_CODE)
            return LZW_OK;
        if (code > decoder->high)
            return LZW_INVALID;
        size_t start = out->size - origin;
        uint32_t size = 1;
        if (code < CLEAR_CODE) {
            uint8_t *target = extend(out, 1);
            if (!target)
                return LZW_TOO_LARGE;
            *target = (uint8_t)code;
        } else {
            bool being_made = code == decoder->high && decoder->has_previous;
            size = being_made ? decoder->previous_size + 1 : decoder->sizes[code];
            uint32_t source = being_made ? decoder->previous_start : decoder->starts[code];
            if (!copy_string(out, origin + source, size))
                return LZW_TOO_LARGE;
        }
        if (start > UINT32_MAX - CODE_MAX)
            return LZW_TOO_LARGE;
        advance(decoder, (uint32_t)start, size);
    }
    return LZW_TRUNCATED;
}

enum lzw_status lzw_decompress(struct span input, struct buffer *out)
{
    struct decoder decoder;
    decoder.input = input;
    decoder.offset = 0;
    decoder.bits = 0;
    decoder.bit_count = 0;
    enum lzw_status status = decode(&decoder, out);
    if (status == LZW_TOO_LARGE && out->maximum - out->size > CODE_MAX)
        return LZW_OUT_OF_MEMORY;
    return status;
}

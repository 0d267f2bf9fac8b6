/* Reading works on borrowed bytes: a datagram is decrypted at most once (into `plain`), and what is
 * decompressed is collected in `expanded`, which is given its full size when the first compressed
 * datagram arrives, so that spans into it stay good while more is added. (The memory is the
 * kernel's until it is written to.) The nesting of compounds and compress messages is a small stack
 * of positions instead of calls.
 *
 * Sealing builds the datagram inside out in `assembled`, behind a gap that becomes the checksum. */
#include "packet.h"

#include "crc32.h"

#include <assert.h>
#include <stdlib.h>

enum { COMPRESS_HEADER_MIN = 13 }; /* type, map, "Algo" 0, "Buf" and the shortest length */

void wire_codec_init(struct wire_codec *codec, struct random *random)
{
    *codec = (struct wire_codec){
        .verify_incoming = true,
        .verify_outgoing = true,
        .compress = true,
        .encryption_version = 1,
        .random = random,
    };
    buffer_init(&codec->plain, PACKET_SIZE_MAX);
    buffer_init(&codec->expanded, PACKET_EXPANDED_MAX);
    buffer_init(&codec->assembled, SIZE_MAX);
    buffer_init(&codec->packed, SIZE_MAX);
}

void wire_codec_fini(struct wire_codec *codec)
{
    buffer_fini(&codec->plain);
    buffer_fini(&codec->expanded);
    buffer_fini(&codec->assembled);
    buffer_fini(&codec->packed);
    lzw_table_free(codec->table);
    codec->table = NULL;
}

bool wire_codec_accepts_label(const struct wire_codec *codec, struct span label)
{
    return span_equal(label, codec->label) ||
           (label.size == 0 && codec->label_mode != LABEL_STRICT);
}

size_t wire_codec_overhead(const struct wire_codec *codec, bool sealed)
{
    struct span label = wire_codec_sent_label(codec);
    size_t overhead = label.size > 0 ? 2 + label.size : 0;
    if (sealed)
        overhead += codec->encryption_version == 0 ? SEAL_OVERHEAD_V0 : SEAL_OVERHEAD_V1;
    return overhead;
}

/* --- compression --- */

bool compress_message_write(struct wire_codec *codec, struct span message, struct buffer *packed,
                            struct buffer *out)
{
    if (!codec->table)
        codec->table = lzw_table_new();
    if (!codec->table)
        return false;
    buffer_reset(packed);
    if (!lzw_compress(codec->table, message, packed))
        return false;
    struct compress_message compressed = {.algorithm = 0, .data = buffer_span(packed)};
    size_t start = out->size;
    message_write(out, MESSAGE_COMPRESS, &compress_structure, &compressed);
    if (out->failed)
        buffer_truncate(out, start);
    return !out->failed;
}

int compress_message_read(struct span body, struct buffer *out, uint64_t *algorithm)
{
    struct compress_message compressed;
    if (!message_read(body, &compress_structure, &compressed))
        return DECOMPRESS_MALFORMED;
    *algorithm = compressed.algorithm;
    if (compressed.algorithm != 0)
        return DECOMPRESS_UNKNOWN_ALGORITHM;
    return (int)lzw_decompress(compressed.data, out);
}

/* --- reading --- */

static struct packet_problem problem_of(enum packet_error error)
{
    return (struct packet_problem){.error = error};
}

/* `used`: the label that is part of the seal. */
static struct packet_problem strip_label(const struct wire_codec *codec, struct span *bytes,
                                         struct span *used)
{
    struct span label = SPAN_EMPTY;
    if (bytes->data[0] == MESSAGE_HAS_LABEL) {
        if (bytes->size < 2)
            return problem_of(PACKET_LABEL_TRUNCATED);
        if (bytes->data[1] == 0)
            return problem_of(PACKET_LABEL_EMPTY);
        if (bytes->data[1] > bytes->size - 2)
            return problem_of(PACKET_LABEL_TRUNCATED);
        label = span_make(bytes->data + 2, bytes->data[1]);
        *bytes = span_from(*bytes, 2 + label.size);
    }
    if (codec->skip_inbound_label_check && label.size > 0)
        return problem_of(PACKET_LABEL_DOUBLE);
    if (!codec->skip_inbound_label_check && !wire_codec_accepts_label(codec, label))
        return (struct packet_problem){.error = PACKET_LABEL_UNACCEPTABLE, .text = label};
    *used = codec->skip_inbound_label_check ? codec->label : label;
    return problem_of(PACKET_OK);
}

static struct packet_problem decrypt(struct packet_reader *reader, struct span label,
                                     struct span *bytes)
{
    struct wire_codec *codec = reader->codec;
    if (!wire_codec_encrypts(codec))
        return problem_of(PACKET_OK);
    buffer_reset(&codec->plain);
    enum open_status status = keyring_open(codec->keyring, label, *bytes, &codec->plain);
    if (status == OPEN_OK) {
        *bytes = buffer_span(&codec->plain);
        return problem_of(PACKET_OK);
    }
    if (status == OPEN_OUT_OF_MEMORY)
        return problem_of(PACKET_OUT_OF_MEMORY);
    if (!codec->verify_incoming) {
        reader->was_plain = true;
        return problem_of(PACKET_OK);
    }
    return (struct packet_problem){.error = PACKET_DECRYPT_FAILED,
                                   .detail = (int)status,
                                   .number = open_status_number(status, *bytes)};
}

static struct packet_problem verify_checksum(struct span *bytes)
{
    if (bytes->size < CRC_HEADER_SIZE || bytes->data[0] != MESSAGE_HAS_CRC)
        return problem_of(PACKET_OK);
    uint32_t expected = read_u32(bytes->data + 1);
    *bytes = span_from(*bytes, CRC_HEADER_SIZE);
    uint32_t computed = crc32_ieee(*bytes);
    if (computed == expected)
        return problem_of(PACKET_OK);
    return (struct packet_problem){.error = PACKET_BAD_CHECKSUM,
                                   .number = (uint64_t)computed << 32 | expected};
}

struct packet_problem packet_open(struct packet_reader *reader, struct wire_codec *codec,
                                  struct span datagram)
{
    reader->codec = codec;
    reader->depth = 0;
    reader->has_pending = false;
    reader->was_plain = reader->was_unlabelled = false;
    buffer_reset(&codec->expanded);
    if (datagram.size == 0)
        return problem_of(PACKET_EMPTY);
    struct span label = SPAN_EMPTY;
    struct packet_problem problem = strip_label(codec, &datagram, &label);
    reader->was_unlabelled = label.size != codec->label.size;
    if (problem.error == PACKET_OK)
        problem = decrypt(reader, label, &datagram);
    if (problem.error == PACKET_OK)
        problem = verify_checksum(&datagram);
    if (problem.error == PACKET_OK) {
        reader->pending = datagram;
        reader->has_pending = true;
    }
    return problem;
}

static enum packet_error open_compound(struct packet_reader *reader, struct span body)
{
    if (body.size == 0)
        return PACKET_COMPOUND_NO_COUNT;
    size_t lengths_size = (size_t)body.data[0] * COMPOUND_PART_OVERHEAD;
    if (lengths_size > body.size - 1)
        return PACKET_COMPOUND_TRUNCATED;
    if (reader->depth == PACKET_DEPTH_MAX)
        return PACKET_TOO_DEEP;
    reader->level[reader->depth].lengths = span_make(body.data + 1, lengths_size);
    reader->level[reader->depth].parts = span_from(body, 1 + lengths_size);
    reader->depth++;
    return PACKET_OK;
}

/* Takes its place in the nesting as a level without parts: what it holds is pending. */
static struct packet_problem open_compressed(struct packet_reader *reader, struct span body)
{
    if (reader->depth == PACKET_DEPTH_MAX)
        return problem_of(PACKET_TOO_DEEP);
    struct buffer *expanded = &reader->codec->expanded;
    if (expanded->capacity < expanded->maximum) {
        if (!buffer_extend(expanded, expanded->maximum))
            return problem_of(PACKET_OUT_OF_MEMORY);
        buffer_reset(expanded);
    }
    size_t start = expanded->size;
    uint64_t algorithm = 0;
    int error = compress_message_read(body, expanded, &algorithm);
    if (error == LZW_TOO_LARGE)
        return problem_of(PACKET_TOO_LARGE);
    if (error != 0)
        return (struct packet_problem){
            .error = PACKET_DECOMPRESS_FAILED, .detail = error, .number = algorithm};
    reader->level[reader->depth].lengths = SPAN_EMPTY;
    reader->level[reader->depth].parts = SPAN_EMPTY;
    reader->depth++;
    reader->pending = span_from(buffer_span(expanded), start);
    reader->has_pending = true;
    return problem_of(PACKET_OK);
}

/* Makes the next part of the innermost compound pending. */
static struct packet_problem next_part(struct packet_reader *reader)
{
    struct span *lengths = &reader->level[reader->depth - 1].lengths;
    struct span *parts = &reader->level[reader->depth - 1].parts;
    if (lengths->size == 0) {
        reader->depth--;
        return problem_of(PACKET_OK);
    }
    size_t size = read_u16(lengths->data);
    if (size > parts->size) {
        uint64_t lost = lengths->size / COMPOUND_PART_OVERHEAD;
        reader->depth--;
        return (struct packet_problem){.error = PACKET_COMPOUND_PARTS_LOST, .number = lost};
    }
    reader->pending = span_make(parts->data, size);
    reader->has_pending = true;
    *lengths = span_from(*lengths, COMPOUND_PART_OVERHEAD);
    *parts = span_from(*parts, size);
    return problem_of(PACKET_OK);
}

bool packet_next(struct packet_reader *reader, struct span *message, struct packet_problem *problem)
{
    *message = SPAN_EMPTY;
    *problem = problem_of(PACKET_OK);
    while (reader->has_pending || reader->depth > 0) {
        if (!reader->has_pending) {
            *problem = next_part(reader);
        } else {
            struct span pending = reader->pending;
            reader->has_pending = false;
            if (pending.size == 0) {
                *problem = problem_of(PACKET_NO_TYPE);
            } else if (pending.data[0] == MESSAGE_COMPOUND) {
                *problem = problem_of(open_compound(reader, span_from(pending, 1)));
            } else if (pending.data[0] == MESSAGE_COMPRESS) {
                *problem = open_compressed(reader, span_from(pending, 1));
            } else {
                *message = pending;
                return true;
            }
        }
        if (problem->error == PACKET_TOO_LARGE || problem->error == PACKET_OUT_OF_MEMORY)
            reader->depth = 0;
        if (problem->error != PACKET_OK)
            return true;
    }
    return false;
}

/* --- words --- */

void decompress_error_text(int error, uint64_t algorithm, uint64_t limit, struct buffer *out)
{
    switch (error) {
    case LZW_TRUNCATED:
        buffer_append_text(out, "unexpected EOF");
        break;
    case LZW_INVALID:
        buffer_append_text(out, "lzw: invalid code");
        break;
    case LZW_TOO_LARGE:
        buffer_printf(out, "decompressed message is larger than limit (%llu)",
                      (unsigned long long)limit);
        break;
    case LZW_OUT_OF_MEMORY:
        buffer_append_text(out, "out of memory");
        break;
    case DECOMPRESS_MALFORMED:
        buffer_append_text(out, "compress message does not decode");
        break;
    case DECOMPRESS_UNKNOWN_ALGORITHM:
        buffer_printf(out, "cannot decompress unknown algorithm %llu",
                      (unsigned long long)algorithm);
        break;
    default:
        break;
    }
}

void packet_problem_text(const struct packet_problem *problem, struct buffer *out)
{
    switch (problem->error) {
    case PACKET_OK:
        break;
    case PACKET_EMPTY:
        buffer_append_text(out, "UDP packet too short (65536 bytes)");
        break;
    case PACKET_LABEL_TRUNCATED:
        buffer_append_text(out, "cannot decode label; packet has been truncated");
        break;
    case PACKET_LABEL_EMPTY:
        buffer_append_text(out, "label header cannot be empty when present");
        break;
    case PACKET_LABEL_DOUBLE:
        buffer_append_text(out, "unexpected double packet label header:");
        break;
    case PACKET_LABEL_UNACCEPTABLE:
        buffer_append_text(out, "discarding packet with unacceptable label ");
        buffer_append_quoted(out, problem->text);
        buffer_append_u8(out, ':');
        break;
    case PACKET_DECRYPT_FAILED:
        buffer_append_text(out, "Decrypt packet failed: ");
        open_status_text((enum open_status)problem->detail, problem->number, out);
        break;
    case PACKET_BAD_CHECKSUM:
        buffer_printf(out, "Got invalid checksum for UDP packet: %x, %x",
                      (unsigned)(problem->number >> 32), (unsigned)problem->number);
        break;
    case PACKET_NO_TYPE:
        buffer_append_text(out, "missing message type byte");
        break;
    case PACKET_COMPOUND_NO_COUNT:
        buffer_append_text(out, "Failed to decode compound request: missing compound length byte");
        break;
    case PACKET_COMPOUND_TRUNCATED:
        buffer_append_text(out, "Failed to decode compound request: truncated len slice");
        break;
    case PACKET_COMPOUND_PARTS_LOST:
        buffer_printf(out, "Compound request had %u truncated messages", (unsigned)problem->number);
        break;
    case PACKET_DECOMPRESS_FAILED:
        buffer_append_text(out, "Failed to decompress payload: ");
        decompress_error_text(problem->detail, problem->number, PACKET_EXPANDED_MAX, out);
        break;
    case PACKET_TOO_DEEP:
        buffer_printf(out, "messages are nested more than %d deep", PACKET_DEPTH_MAX);
        break;
    case PACKET_TOO_LARGE:
        buffer_append_text(out, "Failed to decompress payload: ");
        decompress_error_text(LZW_TOO_LARGE, 0, PACKET_EXPANDED_MAX, out);
        break;
    case PACKET_OUT_OF_MEMORY:
        buffer_append_text(out, "out of memory, packet dropped");
        break;
    }
}

/* --- writing --- */

void compound_init(struct compound *compound)
{
    buffer_init(&compound->parts, (size_t)COMPOUND_PARTS_MAX * UINT16_MAX);
    compound->count = 0;
}

void compound_fini(struct compound *compound)
{
    buffer_fini(&compound->parts);
    compound->count = 0;
}

void compound_reset(struct compound *compound)
{
    buffer_reset(&compound->parts);
    compound->count = 0;
}

size_t compound_begin(struct compound *compound)
{
    return compound->parts.size;
}

bool compound_end(struct compound *compound, size_t begin)
{
    size_t size = compound->parts.size - begin;
    if (compound->count == COMPOUND_PARTS_MAX || size > UINT16_MAX || compound->parts.failed) {
        buffer_truncate(&compound->parts, begin);
        compound->parts.failed = false;
        return false;
    }
    compound->sizes[compound->count++] = (uint16_t)size;
    return true;
}

bool compound_add(struct compound *compound, struct span message)
{
    size_t begin = compound_begin(compound);
    buffer_append_span(&compound->parts, message);
    return compound_end(compound, begin);
}

static void assemble(struct buffer *out, const struct compound *compound)
{
    buffer_reset(out);
    buffer_extend(out, CRC_HEADER_SIZE);
    if (compound->count > 1) {
        buffer_append_u8(out, MESSAGE_COMPOUND);
        buffer_append_u8(out, (uint8_t)compound->count);
        for (uint16_t i = 0; i < compound->count; i++)
            buffer_append_u16(out, compound->sizes[i]);
    }
    buffer_append_span(out, buffer_span(&compound->parts));
}

/* Puts a compress message in the place of the message behind the gap, if that is shorter. When the
 * attempt fails for any reason, the message stays as it is. */
static void compress(struct wire_codec *codec)
{
    struct buffer *assembled = &codec->assembled;
    size_t plain_size = assembled->size - CRC_HEADER_SIZE;
    if (plain_size <= COMPRESS_HEADER_MIN)
        return;
    codec->packed.maximum = plain_size - COMPRESS_HEADER_MIN;
    if (!codec->table)
        codec->table = lzw_table_new();
    buffer_reset(&codec->packed);
    if (!codec->table ||
        !lzw_compress(codec->table, span_from(buffer_span(assembled), CRC_HEADER_SIZE),
                      &codec->packed))
        return;
    size_t packed_size = codec->packed.size;
    size_t length_size = packed_size <= 31 ? 1 : packed_size <= UINT16_MAX ? 3 : 5;
    if (COMPRESS_HEADER_MIN - 1 + length_size + packed_size >= plain_size)
        return;
    struct compress_message compressed = {.algorithm = 0, .data = buffer_span(&codec->packed)};
    buffer_truncate(assembled, CRC_HEADER_SIZE);
    message_write(assembled, MESSAGE_COMPRESS, &compress_structure, &compressed);
}

static struct span finish_message(struct wire_codec *codec, bool checksum)
{
    struct span whole = buffer_span(&codec->assembled);
    struct span message = span_from(whole, CRC_HEADER_SIZE);
    if (!checksum)
        return message;
    uint32_t crc = crc32_ieee(message);
    uint8_t *header = codec->assembled.data;
    header[0] = MESSAGE_HAS_CRC;
    for (int i = 0; i < 4; i++)
        header[1 + i] = (uint8_t)(crc >> (24 - 8 * i));
    return whole;
}

bool packet_seal(struct wire_codec *codec, const struct compound *compound, bool checksum,
                 struct buffer *out)
{
    assert(compound->count > 0);
    assemble(&codec->assembled, compound);
    if (codec->assembled.failed)
        return false;
    if (codec->compress)
        compress(codec);
    struct span message = finish_message(codec, checksum);
    const size_t start = out->size;
    const bool had_failed = out->failed;
    bool done = true;
    const struct span label = wire_codec_sent_label(codec);
    if (label.size > 0) {
        uint8_t header[2] = {MESSAGE_HAS_LABEL, (uint8_t)label.size};
        done = buffer_append(out, header, sizeof header) && buffer_append_span(out, label);
    }
    if (done && wire_codec_encrypts(codec) && codec->verify_outgoing)
        done = keyring_seal(codec->keyring, codec->encryption_version, codec->random, label,
                            message, out);
    else if (done)
        done = buffer_append_span(out, message);
    if (!done) {
        buffer_truncate(out, start);
        out->failed = had_failed;
    }
    return done;
}

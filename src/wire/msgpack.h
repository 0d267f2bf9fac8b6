/* The two msgpack dialects of the protocol.
 *
 * Gossip speaks the old specification: strings and byte strings are one "raw" family. RPC speaks
 * the new one, with str8 and bin. Readers accept both everywhere, every integer width, nil for
 * anything, unknown keys, and a structure written as an array of its fields in declaration order.
 * Nothing here recurses on input, and no length is used before it is checked. */
#ifndef WIRE_MSGPACK_H
#define WIRE_MSGPACK_H

#include "buffer.h"
#include "span.h"

/* --- writing; errors stay in buffer->failed --- */

void msgpack_write_nil(struct buffer *out);
void msgpack_write_bool(struct buffer *out, bool value);
void msgpack_write_unsigned(struct buffer *out, uint64_t value); /* shortest form */
/* Shortest form; a value that is not negative is written as unsigned, which every peer accepts. */
void msgpack_write_signed(struct buffer *out, int64_t value);
void msgpack_write_double(struct buffer *out, double value); /* always 9 bytes */
void msgpack_write_array(struct buffer *out, uint32_t count);
void msgpack_write_map(struct buffer *out, uint32_t count);
void msgpack_write_raw(struct buffer *out, struct span bytes); /* gossip: a0, da, db */
void msgpack_write_raw_text(struct buffer *out, const char *text);
void msgpack_write_string(struct buffer *out, struct span bytes); /* RPC: a0, d9, da, db */
void msgpack_write_string_text(struct buffer *out, const char *text);
void msgpack_write_binary(struct buffer *out, struct span bytes); /* RPC: c4, c5, c6 */

/* --- reading --- */

enum msgpack_status {
    MSGPACK_OK,
    MSGPACK_SHORT,   /* the bytes end before the value does: more may come */
    MSGPACK_INVALID, /* no more bytes can mend it */
};

enum msgpack_type {
    MSGPACK_NIL,
    MSGPACK_BOOL,
    MSGPACK_UNSIGNED,
    MSGPACK_NEGATIVE,
    MSGPACK_DOUBLE,
    MSGPACK_RAW,    /* fixstr, str8, str16, str32 */
    MSGPACK_BINARY, /* bin8, bin16, bin32 */
    MSGPACK_ARRAY,
    MSGPACK_MAP,
    MSGPACK_EXTENSION,
};

struct msgpack_token {
    enum msgpack_type type;
    union {
        bool boolean;
        uint64_t number;  /* MSGPACK_UNSIGNED */
        int64_t negative; /* MSGPACK_NEGATIVE: always < 0 */
        double real;
        struct span bytes; /* MSGPACK_RAW, _BINARY, _EXTENSION: borrowed from the input */
        uint32_t count;    /* MSGPACK_ARRAY: elements that follow; MSGPACK_MAP: pairs */
    };
};

/* A position in borrowed bytes. A read that does not return MSGPACK_OK leaves the position where
 * it was. */
struct msgpack_reader {
    struct span input;
    size_t offset;
};

static inline struct msgpack_reader msgpack_reader_of(struct span input)
{
    return (struct msgpack_reader){input, 0};
}

static inline struct span msgpack_rest(const struct msgpack_reader *reader)
{
    return span_from(reader->input, reader->offset);
}

enum { MSGPACK_DEPTH_MAX = 32 }; /* nesting of a skipped value; nothing in the protocol needs 5 */

enum msgpack_status msgpack_read(struct msgpack_reader *reader, struct msgpack_token *token);

/* Skips one value, however nested; deeper than MSGPACK_DEPTH_MAX is invalid. */
enum msgpack_status msgpack_skip(struct msgpack_reader *reader);

/* A skip that can be interrupted: where in a half-arrived value the position is. Starts with depth
 * 0, and is back there when a value is complete. */
struct msgpack_scanner {
    uint64_t left[MSGPACK_DEPTH_MAX]; /* values still to come in each container, outermost first */
    uint32_t depth;
};

/* As msgpack_skip, but on MSGPACK_SHORT the position stays behind the last complete token; call
 * again with the same scanner when the input has grown. */
enum msgpack_status msgpack_scan(struct msgpack_scanner *scanner, struct msgpack_reader *reader);

enum msgpack_status msgpack_read_bool(struct msgpack_reader *reader, bool *value);
enum msgpack_status msgpack_read_unsigned(struct msgpack_reader *reader, uint64_t maximum,
                                          uint64_t *value);
enum msgpack_status msgpack_read_signed(struct msgpack_reader *reader, int64_t *value);
enum msgpack_status msgpack_read_double(struct msgpack_reader *reader, double *value);
enum msgpack_status msgpack_read_bytes(struct msgpack_reader *reader, struct span *value);
/* nil counts as 0 elements in both. */
enum msgpack_status msgpack_read_array(struct msgpack_reader *reader, uint32_t *count);
enum msgpack_status msgpack_read_map(struct msgpack_reader *reader, uint32_t *pairs);

/* --- structures, by table --- */

enum msgpack_field_type {
    FIELD_BOOL,   /* bool */
    FIELD_U8,     /* uint8_t */
    FIELD_U16,    /* uint16_t */
    FIELD_U32,    /* uint32_t */
    FIELD_U64,    /* uint64_t */
    FIELD_I64,    /* int64_t */
    FIELD_DOUBLE, /* double */
    FIELD_STRING, /* struct span: a string; written as raw, or as str in the RPC dialect */
    /* struct span: a byte string; NULL data is written as nil; bin in RPC. An array of integers up
     * to 127 is read too, since its bytes can be borrowed; one with larger elements, which nothing
     * sends, is refused. */
    FIELD_BYTES,
    /* struct span: one encoded value of any kind (nil too), kept as its bytes; empty if absent, and
     * an empty one is written as nil. */
    FIELD_VALUE,
};

struct msgpack_field {
    const char *name;  /* both by MSGPACK_NAME("Name") */
    uint8_t name_size; /* at most 31 */
    enum msgpack_field_type type;
    uint16_t offset;     /* of the member in the structure */
    uint8_t declaration; /* place in the array form, from 0 */
    bool optional;       /* left out when zero or empty */
};

#define MSGPACK_NAME(text) text, sizeof(text) - 1

/* Fields are listed in wire order: ascending bytes of the name. */
struct msgpack_structure {
    const struct msgpack_field *fields;
    uint8_t field_count; /* at most 32 */
};

/* Fills `out` (every field that is missing or nil becomes zero); spans borrow from the input.
 * MSGPACK_INVALID for a wrong type, a value that does not fit, or a key that is no string. */
enum msgpack_status msgpack_read_structure(struct msgpack_reader *reader,
                                           const struct msgpack_structure *structure, void *out);

enum msgpack_dialect {
    MSGPACK_GOSSIP,
    MSGPACK_RPC,
};

void msgpack_write_structure(struct buffer *out, const struct msgpack_structure *structure,
                             enum msgpack_dialect dialect, const void *value);

#endif

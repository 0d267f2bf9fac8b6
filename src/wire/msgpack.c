/* One function, msgpack_read, knows the format: it reads a head and, for strings, the bytes behind
 * it, and touches nothing that it has not counted. Everything else is built on tokens.
 *
 * A scan keeps the counts of the containers it is in, so that it can stop where the bytes end and
 * go on when more have come: a stream that trickles in costs no more than one that comes at once.
 *
 * Structures are read against their table. Peers write keys in the table's order, so the search for
 * a key starts at the field after the last one found and nearly always ends there. */
#include "msgpack.h"

#include <assert.h>

/* --- writing --- */

static void put_head(struct buffer *out, uint8_t code, uint64_t value, size_t width)
{
    uint8_t *start = buffer_extend(out, 1 + width);
    if (!start)
        return;
    start[0] = code;
    for (size_t i = 0; i < width; i++)
        start[1 + i] = (uint8_t)(value >> (8 * (width - 1 - i)));
}

void msgpack_write_nil(struct buffer *out)
{
    put_head(out, 0xc0, 0, 0);
}

void msgpack_write_bool(struct buffer *out, bool value)
{
    put_head(out, value ? 0xc3 : 0xc2, 0, 0);
}

void msgpack_write_unsigned(struct buffer *out, uint64_t value)
{
    if (value <= 0x7f)
        put_head(out, (uint8_t)value, 0, 0);
    else if (value <= UINT8_MAX)
        put_head(out, 0xcc, value, 1);
    else if (value <= UINT16_MAX)
        put_head(out, 0xcd, value, 2);
    else if (value <= UINT32_MAX)
        put_head(out, 0xce, value, 4);
    else
        put_head(out, 0xcf, value, 8);
}

void msgpack_write_signed(struct buffer *out, int64_t value)
{
    if (value >= 0)
        msgpack_write_unsigned(out, (uint64_t)value);
    else if (value >= -32)
        put_head(out, (uint8_t)value, 0, 0);
    else if (value >= INT8_MIN)
        put_head(out, 0xd0, (uint64_t)value, 1);
    else if (value >= INT16_MIN)
        put_head(out, 0xd1, (uint64_t)value, 2);
    else if (value >= INT32_MIN)
        put_head(out, 0xd2, (uint64_t)value, 4);
    else
        put_head(out, 0xd3, (uint64_t)value, 8);
}

void msgpack_write_double(struct buffer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_head(out, 0xcb, bits, 8);
}

static void put_count(struct buffer *out, uint8_t fix, uint8_t code16, uint32_t count)
{
    if (count <= 15)
        put_head(out, (uint8_t)(fix | count), 0, 0);
    else if (count <= UINT16_MAX)
        put_head(out, code16, count, 2);
    else
        put_head(out, (uint8_t)(code16 + 1), count, 4);
}

void msgpack_write_array(struct buffer *out, uint32_t count)
{
    put_count(out, 0x90, 0xdc, count);
}

void msgpack_write_map(struct buffer *out, uint32_t count)
{
    put_count(out, 0x80, 0xde, count);
}

/* Most of all that is written: names of fields, names of nodes, addresses. */
static void put_short_bytes(struct buffer *out, const void *data, size_t size)
{
    uint8_t *start = buffer_extend(out, 1 + size);
    if (!start)
        return;
    start[0] = (uint8_t)(0xa0 | size);
    if (size > 0)
        memcpy(start + 1, data, size);
}

static void put_bytes(struct buffer *out, struct span bytes, bool with_str8)
{
    if (bytes.size <= 31) {
        put_short_bytes(out, bytes.data, bytes.size);
        return;
    }
    if (bytes.size <= UINT8_MAX && with_str8)
        put_head(out, 0xd9, bytes.size, 1);
    else if (bytes.size <= UINT16_MAX)
        put_head(out, 0xda, bytes.size, 2);
    else if (bytes.size <= UINT32_MAX)
        put_head(out, 0xdb, bytes.size, 4);
    else
        out->failed = true;
    if (!out->failed)
        buffer_append_span(out, bytes);
}

void msgpack_write_raw(struct buffer *out, struct span bytes)
{
    put_bytes(out, bytes, false);
}

void msgpack_write_raw_text(struct buffer *out, const char *text)
{
    put_bytes(out, span_text(text), false);
}

void msgpack_write_string(struct buffer *out, struct span bytes)
{
    put_bytes(out, bytes, true);
}

void msgpack_write_string_text(struct buffer *out, const char *text)
{
    put_bytes(out, span_text(text), true);
}

void msgpack_write_binary(struct buffer *out, struct span bytes)
{
    if (bytes.size <= UINT8_MAX)
        put_head(out, 0xc4, bytes.size, 1);
    else if (bytes.size <= UINT16_MAX)
        put_head(out, 0xc5, bytes.size, 2);
    else if (bytes.size <= UINT32_MAX)
        put_head(out, 0xc6, bytes.size, 4);
    else
        out->failed = true;
    if (!out->failed)
        buffer_append_span(out, bytes);
}

/* --- reading --- */

/* The `width` bytes behind the head as a big-endian number. */
static bool get_number(struct span rest, size_t width, uint64_t *number)
{
    if (rest.size < 1 + width)
        return false;
    const uint8_t *p = rest.data + 1;
    switch (width) {
    case 1:
        *number = p[0];
        break;
    case 2:
        *number = read_u16(p);
        break;
    case 4:
        *number = read_u32(p);
        break;
    default:
        *number = read_u64(p);
        break;
    }
    return true;
}

static enum msgpack_status take_bytes(struct msgpack_reader *reader, struct msgpack_token *token,
                                      enum msgpack_type type, size_t head, uint64_t size)
{
    struct span rest = msgpack_rest(reader);
    if (rest.size < head || rest.size - head < size)
        return MSGPACK_SHORT;
    token->type = type;
    token->bytes = span_make(rest.data + head, (size_t)size);
    reader->offset += head + (size_t)size;
    return MSGPACK_OK;
}

/* Bytes with a length of `width` bytes; an extension has its kind between the two. */
static enum msgpack_status take_counted(struct msgpack_reader *reader, struct msgpack_token *token,
                                        enum msgpack_type type, size_t width)
{
    uint64_t size;
    if (!get_number(msgpack_rest(reader), width, &size))
        return MSGPACK_SHORT;
    return take_bytes(reader, token, type, 1 + width + (type == MSGPACK_EXTENSION), size);
}

static enum msgpack_status take_count(struct msgpack_reader *reader, struct msgpack_token *token,
                                      enum msgpack_type type, size_t width)
{
    uint64_t count;
    if (!get_number(msgpack_rest(reader), width, &count))
        return MSGPACK_SHORT;
    token->type = type;
    token->count = (uint32_t)count;
    reader->offset += 1 + width;
    return MSGPACK_OK;
}

static enum msgpack_status take_unsigned(struct msgpack_reader *reader, struct msgpack_token *token,
                                         size_t width)
{
    if (!get_number(msgpack_rest(reader), width, &token->number))
        return MSGPACK_SHORT;
    token->type = MSGPACK_UNSIGNED;
    reader->offset += 1 + width;
    return MSGPACK_OK;
}

static enum msgpack_status take_signed(struct msgpack_reader *reader, struct msgpack_token *token,
                                       size_t width)
{
    uint64_t number;
    if (!get_number(msgpack_rest(reader), width, &number))
        return MSGPACK_SHORT;
    unsigned unused = 64 - 8 * (unsigned)width;
    int64_t value = (int64_t)(number << unused) >> unused;
    if (value < 0) {
        token->type = MSGPACK_NEGATIVE;
        token->negative = value;
    } else {
        token->type = MSGPACK_UNSIGNED;
        token->number = (uint64_t)value;
    }
    reader->offset += 1 + width;
    return MSGPACK_OK;
}

static enum msgpack_status take_real(struct msgpack_reader *reader, struct msgpack_token *token,
                                     size_t width)
{
    uint64_t bits;
    if (!get_number(msgpack_rest(reader), width, &bits))
        return MSGPACK_SHORT;
    if (width == 4) {
        uint32_t bits32 = (uint32_t)bits;
        float real;
        memcpy(&real, &bits32, sizeof real);
        token->real = (double)real;
    } else {
        memcpy(&token->real, &bits, sizeof token->real);
    }
    token->type = MSGPACK_DOUBLE;
    reader->offset += 1 + width;
    return MSGPACK_OK;
}

static enum msgpack_status take_coded(struct msgpack_reader *reader, struct msgpack_token *token,
                                      uint8_t code)
{
    switch (code) {
    case 0xc0:
        token->type = MSGPACK_NIL;
        reader->offset++;
        return MSGPACK_OK;
    case 0xc2:
    case 0xc3:
        token->type = MSGPACK_BOOL;
        token->boolean = code == 0xc3;
        reader->offset++;
        return MSGPACK_OK;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_counted(reader, token, MSGPACK_BINARY, (size_t)1 << (code - 0xc4));
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return take_counted(reader, token, MSGPACK_EXTENSION, (size_t)1 << (code - 0xc7));
    case 0xca:
    case 0xcb:
        return take_real(reader, token, code == 0xca ? 4 : 8);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return take_unsigned(reader, token, (size_t)1 << (code - 0xcc));
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_signed(reader, token, (size_t)1 << (code - 0xd0));
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_bytes(reader, token, MSGPACK_EXTENSION, 2, UINT64_C(1) << (code - 0xd4));
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_counted(reader, token, MSGPACK_RAW, (size_t)1 << (code - 0xd9));
    case 0xdc:
    case 0xdd:
        return take_count(reader, token, MSGPACK_ARRAY, code == 0xdc ? 2 : 4);
    case 0xde:
    case 0xdf:
        return take_count(reader, token, MSGPACK_MAP, code == 0xde ? 2 : 4);
    default:
        return MSGPACK_INVALID;
    }
}

enum msgpack_status msgpack_read(struct msgpack_reader *reader, struct msgpack_token *token)
{
    if (reader->offset >= reader->input.size)
        return MSGPACK_SHORT;
    uint8_t code = reader->input.data[reader->offset];
    if (code <= 0x7f) {
        token->type = MSGPACK_UNSIGNED;
        token->number = code;
    } else if (code >= 0xe0) {
        token->type = MSGPACK_NEGATIVE;
        token->negative = (int8_t)code;
    } else if (code >= 0xc0) {
        return take_coded(reader, token, code);
    } else if (code >= 0xa0) {
        return take_bytes(reader, token, MSGPACK_RAW, 1, code & 0x1f);
    } else {
        token->type = code >= 0x90 ? MSGPACK_ARRAY : MSGPACK_MAP;
        token->count = code & 0x0f;
    }
    reader->offset++;
    return MSGPACK_OK;
}

enum msgpack_status msgpack_scan(struct msgpack_scanner *scanner, struct msgpack_reader *reader)
{
    for (;;) {
        struct msgpack_reader ahead = *reader;
        struct msgpack_token token;
        enum msgpack_status status = msgpack_read(&ahead, &token);
        if (status != MSGPACK_OK)
            return status;
        uint64_t inside = 0;
        if (token.type == MSGPACK_ARRAY)
            inside = token.count;
        else if (token.type == MSGPACK_MAP)
            inside = (uint64_t)token.count * 2;
        if (inside > 0) {
            if (scanner->depth == MSGPACK_DEPTH_MAX)
                return MSGPACK_INVALID;
            scanner->left[scanner->depth++] = inside;
        } else {
            while (scanner->depth > 0 && --scanner->left[scanner->depth - 1] == 0)
                scanner->depth--;
        }
        *reader = ahead;
        if (scanner->depth == 0)
            return MSGPACK_OK;
    }
}

enum msgpack_status msgpack_skip(struct msgpack_reader *reader)
{
    struct msgpack_scanner scanner;
    scanner.depth = 0;
    struct msgpack_reader ahead = *reader;
    enum msgpack_status status = msgpack_scan(&scanner, &ahead);
    if (status == MSGPACK_OK)
        *reader = ahead;
    return status;
}

/* --- values of one kind; a token of another kind puts the position back --- */

static enum msgpack_status refuse(struct msgpack_reader *reader, size_t offset)
{
    reader->offset = offset;
    return MSGPACK_INVALID;
}

enum msgpack_status msgpack_read_bool(struct msgpack_reader *reader, bool *value)
{
    size_t offset = reader->offset;
    struct msgpack_token token;
    enum msgpack_status status = msgpack_read(reader, &token);
    if (status != MSGPACK_OK)
        return status;
    if (token.type == MSGPACK_BOOL)
        *value = token.boolean;
    else if (token.type == MSGPACK_UNSIGNED && token.number <= 1)
        *value = token.number == 1;
    else if (token.type == MSGPACK_NIL)
        *value = false;
    else
        return refuse(reader, offset);
    return MSGPACK_OK;
}

enum msgpack_status msgpack_read_unsigned(struct msgpack_reader *reader, uint64_t maximum,
                                          uint64_t *value)
{
    size_t offset = reader->offset;
    struct msgpack_token token;
    if (offset < reader->input.size && reader->input.data[offset] <= 0x7f &&
        reader->input.data[offset] <= maximum) {
        *value = reader->input.data[reader->offset++];
        return MSGPACK_OK;
    }
    enum msgpack_status status = msgpack_read(reader, &token);
    if (status != MSGPACK_OK)
        return status;
    if (token.type == MSGPACK_UNSIGNED && token.number <= maximum)
        *value = token.number;
    else if (token.type == MSGPACK_NIL)
        *value = 0;
    else
        return refuse(reader, offset);
    return MSGPACK_OK;
}

enum msgpack_status msgpack_read_signed(struct msgpack_reader *reader, int64_t *value)
{
    size_t offset = reader->offset;
    struct msgpack_token token;
    enum msgpack_status status = msgpack_read(reader, &token);
    if (status != MSGPACK_OK)
        return status;
    if (token.type == MSGPACK_UNSIGNED && token.number <= INT64_MAX)
        *value = (int64_t)token.number;
    else if (token.type == MSGPACK_NEGATIVE)
        *value = token.negative;
    else if (token.type == MSGPACK_NIL)
        *value = 0;
    else
        return refuse(reader, offset);
    return MSGPACK_OK;
}

enum msgpack_status msgpack_read_double(struct msgpack_reader *reader, double *value)
{
    size_t offset = reader->offset;
    struct msgpack_token token;
    enum msgpack_status status = msgpack_read(reader, &token);
    if (status != MSGPACK_OK)
        return status;
    if (token.type == MSGPACK_DOUBLE)
        *value = token.real;
    else if (token.type == MSGPACK_UNSIGNED)
        *value = (double)token.number;
    else if (token.type == MSGPACK_NEGATIVE)
        *value = (double)token.negative;
    else if (token.type == MSGPACK_NIL)
        *value = 0.0;
    else
        return refuse(reader, offset);
    return MSGPACK_OK;
}

enum msgpack_status msgpack_read_bytes(struct msgpack_reader *reader, struct span *value)
{
    size_t offset = reader->offset;
    struct msgpack_token token;
    uint8_t code = offset < reader->input.size ? reader->input.data[offset] : 0;
    if (code >= 0xa0 && code <= 0xbf && reader->input.size - offset > (code & 0x1fu)) {
        *value = span_make(reader->input.data + offset + 1, code & 0x1f);
        reader->offset += 1 + value->size;
        return MSGPACK_OK;
    }
    enum msgpack_status status = msgpack_read(reader, &token);
    if (status != MSGPACK_OK)
        return status;
    if (token.type == MSGPACK_RAW || token.type == MSGPACK_BINARY)
        *value = token.bytes;
    else if (token.type == MSGPACK_NIL)
        *value = SPAN_EMPTY;
    else
        return refuse(reader, offset);
    return MSGPACK_OK;
}

static enum msgpack_status read_container(struct msgpack_reader *reader, enum msgpack_type type,
                                          uint32_t *count)
{
    size_t offset = reader->offset;
    struct msgpack_token token;
    enum msgpack_status status = msgpack_read(reader, &token);
    if (status != MSGPACK_OK)
        return status;
    if (token.type == type)
        *count = token.count;
    else if (token.type == MSGPACK_NIL)
        *count = 0;
    else
        return refuse(reader, offset);
    return MSGPACK_OK;
}

enum msgpack_status msgpack_read_array(struct msgpack_reader *reader, uint32_t *count)
{
    return read_container(reader, MSGPACK_ARRAY, count);
}

enum msgpack_status msgpack_read_map(struct msgpack_reader *reader, uint32_t *pairs)
{
    return read_container(reader, MSGPACK_MAP, pairs);
}

/* --- structures --- */

/* An array of integers up to 127 is already a run of bytes, one an element, and is borrowed like
 * any other. */
static enum msgpack_status read_byte_array(struct msgpack_reader *reader, struct span *value)
{
    size_t offset = reader->offset;
    uint32_t count;
    enum msgpack_status status = msgpack_read_array(reader, &count);
    if (status != MSGPACK_OK)
        return status;
    struct span rest = msgpack_rest(reader);
    size_t present = rest.size < count ? rest.size : count;
    for (size_t i = 0; i < present; i++)
        if (rest.data[i] > 0x7f)
            return refuse(reader, offset);
    if (present < count) {
        reader->offset = offset;
        return MSGPACK_SHORT;
    }
    *value = span_make(rest.data, count);
    reader->offset += count;
    return MSGPACK_OK;
}

static enum msgpack_status read_byte_string(struct msgpack_reader *reader, struct span *value)
{
    enum msgpack_status status = msgpack_read_bytes(reader, value);
    return status == MSGPACK_INVALID ? read_byte_array(reader, value) : status;
}

static enum msgpack_status read_encoded(struct msgpack_reader *reader, struct span *value)
{
    size_t start = reader->offset;
    enum msgpack_status status = msgpack_skip(reader);
    if (status == MSGPACK_OK)
        *value = span_make(reader->input.data + start, reader->offset - start);
    return status;
}

static enum msgpack_status read_field(struct msgpack_reader *reader,
                                      const struct msgpack_field *field, void *out)
{
    void *member = (char *)out + field->offset;
    uint64_t number = 0;
    enum msgpack_status status = MSGPACK_INVALID;
    switch (field->type) {
    case FIELD_BOOL:
        return msgpack_read_bool(reader, member);
    case FIELD_U8:
        status = msgpack_read_unsigned(reader, UINT8_MAX, &number);
        if (status == MSGPACK_OK)
            *(uint8_t *)member = (uint8_t)number;
        return status;
    case FIELD_U16:
        status = msgpack_read_unsigned(reader, UINT16_MAX, &number);
        if (status == MSGPACK_OK)
            *(uint16_t *)member = (uint16_t)number;
        return status;
    case FIELD_U32:
        status = msgpack_read_unsigned(reader, UINT32_MAX, &number);
        if (status == MSGPACK_OK)
            *(uint32_t *)member = (uint32_t)number;
        return status;
    case FIELD_U64:
        return msgpack_read_unsigned(reader, UINT64_MAX, member);
    case FIELD_I64:
        return msgpack_read_signed(reader, member);
    case FIELD_DOUBLE:
        return msgpack_read_double(reader, member);
    case FIELD_STRING:
        return msgpack_read_bytes(reader, member);
    case FIELD_BYTES:
        return read_byte_string(reader, member);
    case FIELD_VALUE:
        return read_encoded(reader, member);
    }
    return status;
}

static void clear_field(const struct msgpack_field *field, void *out)
{
    static const uint8_t sizes[] = {
        [FIELD_BOOL] = sizeof(bool),         [FIELD_U8] = sizeof(uint8_t),
        [FIELD_U16] = sizeof(uint16_t),      [FIELD_U32] = sizeof(uint32_t),
        [FIELD_U64] = sizeof(uint64_t),      [FIELD_I64] = sizeof(int64_t),
        [FIELD_DOUBLE] = sizeof(double),     [FIELD_STRING] = sizeof(struct span),
        [FIELD_BYTES] = sizeof(struct span), [FIELD_VALUE] = sizeof(struct span),
    };
    memset((char *)out + field->offset, 0, sizes[field->type]);
}

/* The field with this name; the search starts at `expected`. NULL when there is none. */
static const struct msgpack_field *find_field(const struct msgpack_structure *structure,
                                              uint32_t expected, struct span name)
{
    for (uint32_t tried = 0; tried < structure->field_count; tried++) {
        if (expected >= structure->field_count)
            expected = 0;
        const struct msgpack_field *field = &structure->fields[expected++];
        if (name.size == field->name_size && bytes_equal(name.data, field->name, name.size))
            return field;
    }
    return NULL;
}

static const uint8_t *take_short_number(const uint8_t *at, const uint8_t *end, uint64_t maximum,
                                        uint64_t *number)
{
    uint8_t code = *at++;
    if (code <= 0x7f) {
        *number = code;
    } else if (code == 0xcd && end - at >= 2) {
        *number = read_u16(at);
        at += 2;
    } else if (code == 0xce && end - at >= 4) {
        *number = read_u32(at);
        at += 4;
    } else {
        return NULL;
    }
    return *number <= maximum ? at : NULL;
}

static const uint8_t *take_short_string(const uint8_t *at, const uint8_t *end, struct span *string)
{
    uint8_t code = *at++;
    size_t size = code & 0x1f;
    if (code == 0xda && end - at >= 2) {
        size = read_u16(at);
        at += 2;
    } else if ((code & 0xe0) != 0xa0) {
        return NULL;
    }
    if ((size_t)(end - at) < size)
        return NULL;
    *string = span_make(at, size);
    return at + size;
}

/* The shortest way through what nearly every message consists of: reads the key and the value of
 * `field` when this key is what comes next, and its value a string below 64 KiB, a number or a
 * truth. Returns the position behind it, or NULL, and nothing is changed, when it is anything else.
 */
static const uint8_t *take_usual_field(const uint8_t *at, const uint8_t *end,
                                       const struct msgpack_field *field, void *out)
{
    size_t size = field->name_size;
    if ((size_t)(end - at) < size + 2 || *at != (0xa0 | size) ||
        !bytes_equal(at + 1, field->name, size))
        return NULL;
    at += 1 + size;
    void *member = (char *)out + field->offset;
    uint64_t number;
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_BYTES:
        return take_short_string(at, end, member);
    case FIELD_BOOL:
        if (*at != 0xc2 && *at != 0xc3)
            return NULL;
        *(bool *)member = *at == 0xc3;
        return at + 1;
    case FIELD_U16:
        if ((at = take_short_number(at, end, UINT16_MAX, &number)))
            *(uint16_t *)member = (uint16_t)number;
        return at;
    case FIELD_U32:
        if ((at = take_short_number(at, end, UINT32_MAX, &number)))
            *(uint32_t *)member = (uint32_t)number;
        return at;
    case FIELD_U64:
        if ((at = take_short_number(at, end, UINT64_MAX, &number)))
            *(uint64_t *)member = number;
        return at;
    case FIELD_I64:
        if ((at = take_short_number(at, end, INT64_MAX, &number)))
            *(int64_t *)member = (int64_t)number;
        return at;
    default:
        return NULL;
    }
}

/* Reads the fields of the table from its first on as long as they come as usual, at most `pairs`.
 * Returns how many. */
static uint32_t read_usual_fields(struct msgpack_reader *reader, uint32_t pairs,
                                  const struct msgpack_structure *structure, void *out)
{
    const uint8_t *at = reader->input.data + reader->offset;
    const uint8_t *end = reader->input.data + reader->input.size;
    uint32_t usual = pairs < structure->field_count ? pairs : structure->field_count;
    uint32_t taken = 0;
    for (const uint8_t *next; taken < usual; taken++, at = next)
        if (!(next = take_usual_field(at, end, &structure->fields[taken], out)))
            break;
    reader->offset = (size_t)(at - reader->input.data);
    return taken;
}

/* The pairs that are left, where the field `expected` stands next in the usual order. */
static enum msgpack_status read_pairs(struct msgpack_reader *reader, uint32_t pairs,
                                      const struct msgpack_structure *structure, uint32_t expected,
                                      void *out)
{
    for (uint32_t i = 0; i < pairs; i++) {
        struct msgpack_token key;
        enum msgpack_status status = msgpack_read(reader, &key);
        if (status != MSGPACK_OK)
            return status;
        if (key.type != MSGPACK_RAW && key.type != MSGPACK_BINARY)
            return MSGPACK_INVALID;
        const struct msgpack_field *field = find_field(structure, expected, key.bytes);
        if (field) {
            expected = (uint32_t)(field - structure->fields) + 1;
            status = read_field(reader, field, out);
        } else {
            status = msgpack_skip(reader);
        }
        if (status != MSGPACK_OK)
            return status;
    }
    return MSGPACK_OK;
}

static enum msgpack_status read_as_array(struct msgpack_reader *reader, uint32_t count,
                                         const struct msgpack_structure *structure, void *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct msgpack_field *field = NULL;
        for (uint32_t k = 0; k < structure->field_count; k++)
            if (structure->fields[k].declaration == i)
                field = &structure->fields[k];
        enum msgpack_status status = field ? read_field(reader, field, out) : msgpack_skip(reader);
        if (status != MSGPACK_OK)
            return status;
    }
    return MSGPACK_OK;
}

enum msgpack_status msgpack_read_structure(struct msgpack_reader *reader,
                                           const struct msgpack_structure *structure, void *out)
{
    struct msgpack_reader ahead = *reader;
    struct msgpack_token token;
    enum msgpack_status status = msgpack_read(&ahead, &token);
    if (status != MSGPACK_OK)
        return status;
    uint32_t taken = 0;
    if (token.type == MSGPACK_MAP)
        taken = read_usual_fields(&ahead, token.count, structure, out);
    for (uint32_t i = taken; i < structure->field_count; i++)
        clear_field(&structure->fields[i], out);
    if (token.type == MSGPACK_MAP)
        status = read_pairs(&ahead, token.count - taken, structure, taken, out);
    else if (token.type == MSGPACK_ARRAY)
        status = read_as_array(&ahead, token.count, structure, out);
    else if (token.type != MSGPACK_NIL)
        status = MSGPACK_INVALID;
    if (status == MSGPACK_OK)
        *reader = ahead;
    return status;
}

static bool field_is_empty(const struct msgpack_field *field, const void *value)
{
    const void *member = (const char *)value + field->offset;
    switch (field->type) {
    case FIELD_BOOL:
        return !*(const bool *)member;
    case FIELD_U8:
        return *(const uint8_t *)member == 0;
    case FIELD_U16:
        return *(const uint16_t *)member == 0;
    case FIELD_U32:
        return *(const uint32_t *)member == 0;
    case FIELD_U64:
    case FIELD_I64:
        return *(const uint64_t *)member == 0;
    case FIELD_DOUBLE:
        return *(const double *)member == 0.0;
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_VALUE:
        return ((const struct span *)member)->size == 0;
    }
    return false;
}

static void write_span_field(struct buffer *out, enum msgpack_field_type type,
                             enum msgpack_dialect dialect, struct span bytes)
{
    if (type == FIELD_VALUE && bytes.size > 0)
        buffer_append_span(out, bytes);
    else if (type == FIELD_VALUE || (type == FIELD_BYTES && !bytes.data))
        msgpack_write_nil(out);
    else if (dialect == MSGPACK_GOSSIP)
        msgpack_write_raw(out, bytes);
    else if (type == FIELD_BYTES)
        msgpack_write_binary(out, bytes);
    else
        msgpack_write_string(out, bytes);
}

static void write_field(struct buffer *out, const struct msgpack_field *field,
                        enum msgpack_dialect dialect, const void *value)
{
    const void *member = (const char *)value + field->offset;
    switch (field->type) {
    case FIELD_BOOL:
        msgpack_write_bool(out, *(const bool *)member);
        break;
    case FIELD_U8:
        msgpack_write_unsigned(out, *(const uint8_t *)member);
        break;
    case FIELD_U16:
        msgpack_write_unsigned(out, *(const uint16_t *)member);
        break;
    case FIELD_U32:
        msgpack_write_unsigned(out, *(const uint32_t *)member);
        break;
    case FIELD_U64:
        msgpack_write_unsigned(out, *(const uint64_t *)member);
        break;
    case FIELD_I64:
        msgpack_write_signed(out, *(const int64_t *)member);
        break;
    case FIELD_DOUBLE:
        msgpack_write_double(out, *(const double *)member);
        break;
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_VALUE:
        write_span_field(out, field->type, dialect, *(const struct span *)member);
        break;
    }
}

void msgpack_write_structure(struct buffer *out, const struct msgpack_structure *structure,
                             enum msgpack_dialect dialect, const void *value)
{
    uint32_t absent = 0; /* bit i: field i is left out */
    uint32_t count = structure->field_count;
    assert(structure->field_count <= 32);
    for (uint32_t i = 0; i < structure->field_count; i++) {
        const struct msgpack_field *field = &structure->fields[i];
        if (field->optional && field_is_empty(field, value)) {
            absent |= UINT32_C(1) << i;
            count--;
        }
    }
    msgpack_write_map(out, count);
    for (uint32_t i = 0; i < structure->field_count; i++) {
        if (absent >> i & 1)
            continue;
        const struct msgpack_field *field = &structure->fields[i];
        put_short_bytes(out, field->name, field->name_size);
        write_field(out, field, dialect, value);
    }
}

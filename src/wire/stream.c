/* The reader is a row of stages. Each looks at the bytes that are there and either moves on, asks
 * for more, or ends in a problem; no byte is looked at twice, however thinly the stream trickles
 * in. Unsealing and decompressing put another message in the place of the bytes received and start
 * on that; such a message is whole, so that asking for more of it means that it was cut off. */
#include "stream.h"

#include <stdlib.h>

enum stage {
    STAGE_LABEL,
    STAGE_FRAME, /* the first byte tells whether the message is sealed */
    STAGE_SEALED,
    STAGE_TYPE, /* of a bare message */
    STAGE_COMPRESSED,
    STAGE_VALUE, /* a message that is one map */
    STAGE_USER_HEADER,
    STAGE_PUSH_PULL_HEADER,
    STAGE_NODES,
    STAGE_USER_BYTES,
    STAGE_COMPLETE,
    STAGE_FAILED,
};

enum {
    SEAL_HEADER_SIZE = 5, /* type and length */
    SEALED_MAX = PUSH_PULL_STATE_MAX,
};

void stream_reader_init(struct stream_reader *reader, struct wire_codec *codec, bool from_connector,
                        size_t maximum)
{
    *reader = (struct stream_reader){
        .codec = codec,
        .from_connector = from_connector,
        .stage = from_connector ? STAGE_LABEL : STAGE_FRAME,
        .label_done = !from_connector,
        .has_label = !from_connector && wire_codec_sent_label(codec).size > 0,
    };
    buffer_init(&reader->raw, maximum);
}

void stream_reader_fini(struct stream_reader *reader)
{
    buffer_fini(&reader->raw);
}

static bool fail(struct stream_reader *reader, enum stream_error error, uint64_t number)
{
    reader->stage = STAGE_FAILED;
    reader->problem = (struct stream_problem){.error = error, .number = number};
    return true;
}

static bool fail_with_detail(struct stream_reader *reader, enum stream_error error, int detail,
                             uint64_t number)
{
    fail(reader, error, number);
    reader->problem.detail = detail;
    return true;
}

/* --- stages: false when more bytes are needed --- */

static bool end_label(struct stream_reader *reader, struct span label)
{
    const struct wire_codec *codec = reader->codec;
    if (codec->skip_inbound_label_check && label.size > 0)
        return fail(reader, STREAM_LABEL_DOUBLE, 0);
    if (!codec->skip_inbound_label_check && !wire_codec_accepts_label(codec, label)) {
        fail(reader, STREAM_LABEL_UNACCEPTABLE, 0);
        reader->problem.text = label;
        return true;
    }
    if (label.size > 0)
        buffer_consume(&reader->raw, 2 + label.size);
    reader->has_label = codec->skip_inbound_label_check ? codec->label.size > 0 : label.size > 0;
    reader->label_done = true;
    reader->stage = STAGE_FRAME;
    return true;
}

static bool read_label(struct stream_reader *reader)
{
    struct span raw = buffer_span(&reader->raw);
    if (raw.size == 0)
        return false;
    if (raw.data[0] != MESSAGE_HAS_LABEL)
        return end_label(reader, SPAN_EMPTY);
    if (raw.size < 2)
        return false;
    size_t size = raw.data[1];
    if (size == 0)
        return fail(reader, STREAM_LABEL_EMPTY, 0);
    if (raw.size - 2 < size)
        return false;
    return end_label(reader, span_make(raw.data + 2, size));
}

static bool read_frame(struct stream_reader *reader)
{
    if (reader->raw.size == 0)
        return false;
    bool encrypts = wire_codec_encrypts(reader->codec);
    if (reader->raw.data[0] == MESSAGE_ENCRYPT) {
        if (!encrypts)
            return fail(reader, STREAM_NOT_CONFIGURED_ENCRYPTED, 0);
        reader->stage = STAGE_SEALED;
    } else {
        if (encrypts && reader->codec->verify_incoming)
            return fail(reader, STREAM_NOT_ENCRYPTED, 0);
        reader->was_plain = encrypts;
        reader->stage = STAGE_TYPE;
    }
    return true;
}

/* Goes on with `message`, taking it over, in the place of what was received. */
static void replace_message(struct stream_reader *reader, struct buffer *message)
{
    buffer_fini(&reader->raw);
    reader->raw = *message;
    reader->whole = true;
    reader->scanned = 0;
}

static size_t seal_associated(struct span label, const uint8_t *header,
                              uint8_t associated[SEAL_HEADER_SIZE + LABEL_SIZE_MAX])
{
    size_t label_size = label.size < LABEL_SIZE_MAX ? label.size : LABEL_SIZE_MAX;
    memcpy(associated, header, SEAL_HEADER_SIZE);
    if (label_size > 0)
        memcpy(associated + SEAL_HEADER_SIZE, label.data, label_size);
    return SEAL_HEADER_SIZE + label_size;
}

static bool unseal(struct stream_reader *reader, struct span sealed)
{
    uint8_t associated[SEAL_HEADER_SIZE + LABEL_SIZE_MAX];
    struct span label = reader->has_label ? reader->codec->label : SPAN_EMPTY;
    size_t associated_size = seal_associated(label, reader->raw.data, associated);
    struct buffer plain;
    buffer_init(&plain, reader->raw.maximum);
    enum open_status status = keyring_open(reader->codec->keyring,
                                           span_make(associated, associated_size), sealed, &plain);
    if (status == OPEN_OK && plain.size == 0)
        status = OPEN_EMPTY;
    if (status == OPEN_OK) {
        replace_message(reader, &plain);
        reader->stage = STAGE_TYPE;
        return true;
    }
    buffer_fini(&plain);
    if (status == OPEN_OUT_OF_MEMORY)
        return fail(reader, STREAM_OUT_OF_MEMORY, 0);
    return fail_with_detail(reader, STREAM_DECRYPT_FAILED, (int)status,
                            open_status_number(status, sealed));
}

static bool read_sealed(struct stream_reader *reader)
{
    struct span raw = buffer_span(&reader->raw);
    if (raw.size < SEAL_HEADER_SIZE)
        return false;
    size_t size = read_u32(raw.data + 1);
    if (size > SEALED_MAX)
        return fail(reader, STREAM_TOO_LARGE_SEALED, size);
    if (SEAL_HEADER_SIZE + size > reader->raw.maximum)
        return fail(reader, STREAM_OVER_LIMIT, reader->raw.maximum);
    if (size > STREAM_SEALED_WARNING)
        reader->large_sealed_bytes = size;
    if (raw.size - SEAL_HEADER_SIZE < size)
        return false;
    return unseal(reader, span_make(raw.data + SEAL_HEADER_SIZE, size));
}

static bool read_type(struct stream_reader *reader)
{
    if (reader->raw.size == 0)
        return false;
    uint8_t type = reader->raw.data[0];
    reader->scanned = reader->scan_offset = 1;
    reader->scanner.depth = 0;
    if (type == MESSAGE_COMPRESS && !reader->decompressed)
        reader->stage = STAGE_COMPRESSED;
    else if (type == MESSAGE_PUSH_PULL)
        reader->stage = STAGE_PUSH_PULL_HEADER;
    else if (type == MESSAGE_USER && reader->from_connector)
        reader->stage = STAGE_USER_HEADER;
    else if (type == MESSAGE_PING && reader->from_connector)
        reader->stage = STAGE_VALUE;
    else if ((type == MESSAGE_ACK || type == MESSAGE_ERROR) && !reader->from_connector)
        reader->stage = STAGE_VALUE;
    else
        return fail(reader, STREAM_UNKNOWN_TYPE, type);
    return true;
}

/* The next msgpack value, once it is all there. */
static bool scan_value(struct stream_reader *reader, struct span *value)
{
    struct msgpack_reader bytes = {buffer_span(&reader->raw), reader->scan_offset};
    enum msgpack_status status = msgpack_scan(&reader->scanner, &bytes);
    reader->scan_offset = bytes.offset;
    if (status == MSGPACK_SHORT)
        return false;
    if (status == MSGPACK_INVALID)
        return fail(reader, STREAM_MALFORMED, 0);
    *value = span_make(reader->raw.data + reader->scanned, bytes.offset - reader->scanned);
    reader->scanned = bytes.offset;
    return true;
}

/* The next msgpack value as a structure. True with the stage failed when it is none. */
static bool scan_structure(struct stream_reader *reader, const struct msgpack_structure *structure,
                           void *out)
{
    struct span value;
    if (!scan_value(reader, &value))
        return false;
    if (reader->stage != STAGE_FAILED && !message_read(value, structure, out))
        fail(reader, STREAM_MALFORMED, 0);
    return true;
}

static bool read_compressed(struct stream_reader *reader)
{
    struct span body;
    if (!scan_value(reader, &body))
        return false;
    if (reader->stage == STAGE_FAILED)
        return fail_with_detail(reader, STREAM_DECOMPRESS_FAILED, DECOMPRESS_MALFORMED, 0);
    size_t limit = reader->raw.maximum < DECOMPRESSED_MAX ? reader->raw.maximum : DECOMPRESSED_MAX;
    struct buffer message;
    buffer_init(&message, limit);
    uint64_t algorithm = 0;
    int error = compress_message_read(body, &message, &algorithm);
    if (error == 0 && message.size > 0) {
        message.maximum = reader->raw.maximum;
        replace_message(reader, &message);
        reader->decompressed = true;
        reader->stage = STAGE_TYPE;
        return true;
    }
    buffer_fini(&message);
    if (error == 0)
        return fail(reader, STREAM_EMPTY, 0);
    if (error == DECOMPRESS_UNKNOWN_ALGORITHM)
        return fail(reader, STREAM_UNKNOWN_ALGORITHM, algorithm);
    if (error == LZW_OUT_OF_MEMORY)
        return fail(reader, STREAM_OUT_OF_MEMORY, 0);
    return fail_with_detail(reader, STREAM_DECOMPRESS_FAILED, error, limit);
}

static bool read_value(struct stream_reader *reader)
{
    union {
        struct ping_message ping;
        struct ack_message ack;
        struct error_message error;
    } value;
    uint8_t type = reader->raw.data[0];
    const struct msgpack_structure *structure = type == MESSAGE_PING  ? &ping_structure
                                                : type == MESSAGE_ACK ? &ack_structure
                                                                      : &error_structure;
    if (!scan_structure(reader, structure, &value))
        return false;
    if (reader->stage != STAGE_FAILED)
        reader->stage = STAGE_COMPLETE;
    return true;
}

/* Whether `count` more bytes may come; fails if not. */
static bool has_room(struct stream_reader *reader, uint64_t count)
{
    if (count <= reader->raw.maximum - reader->scanned)
        return true;
    fail(reader, STREAM_OVER_LIMIT, reader->raw.maximum);
    return false;
}

static bool read_user_header(struct stream_reader *reader)
{
    struct user_header header;
    if (!scan_structure(reader, &user_header_structure, &header))
        return false;
    if (reader->stage == STAGE_FAILED)
        return true;
    if (header.size < 0 || header.size > USER_MESSAGE_MAX)
        return fail(reader, STREAM_BAD_USER_SIZE, (uint64_t)header.size);
    reader->user_bytes = (uint64_t)header.size;
    if (has_room(reader, reader->user_bytes))
        reader->stage = STAGE_USER_BYTES;
    return true;
}

static bool read_push_pull_header(struct stream_reader *reader)
{
    struct push_pull_header header;
    if (!scan_structure(reader, &push_pull_header_structure, &header))
        return false;
    if (reader->stage == STAGE_FAILED)
        return true;
    if (header.nodes < 0 || header.nodes > PUSH_PULL_NODES_MAX)
        return fail(reader, STREAM_BAD_NODE_COUNT, (uint64_t)header.nodes);
    if (header.user_state_size < 0 || header.user_state_size > PUSH_PULL_STATE_MAX)
        return fail(reader, STREAM_BAD_STATE_SIZE, (uint64_t)header.user_state_size);
    reader->nodes_left = (uint64_t)header.nodes;
    reader->user_bytes = (uint64_t)header.user_state_size;
    if (has_room(reader, reader->nodes_left + reader->user_bytes))
        reader->stage = STAGE_NODES;
    return true;
}

static bool read_nodes(struct stream_reader *reader)
{
    while (reader->nodes_left > 0) {
        struct push_node_state node;
        if (!scan_structure(reader, &push_node_state_structure, &node))
            return false;
        if (reader->stage == STAGE_FAILED)
            return true;
        reader->nodes_left--;
    }
    if (has_room(reader, reader->user_bytes))
        reader->stage = STAGE_USER_BYTES;
    return true;
}

static bool read_user_bytes(struct stream_reader *reader)
{
    if (reader->raw.size - reader->scanned < reader->user_bytes)
        return false;
    reader->scanned += (size_t)reader->user_bytes;
    reader->stage = STAGE_COMPLETE;
    return true;
}

static bool step(struct stream_reader *reader)
{
    switch ((enum stage)reader->stage) {
    case STAGE_LABEL:
        return read_label(reader);
    case STAGE_FRAME:
        return read_frame(reader);
    case STAGE_SEALED:
        return read_sealed(reader);
    case STAGE_TYPE:
        return read_type(reader);
    case STAGE_COMPRESSED:
        return read_compressed(reader);
    case STAGE_VALUE:
        return read_value(reader);
    case STAGE_USER_HEADER:
        return read_user_header(reader);
    case STAGE_PUSH_PULL_HEADER:
        return read_push_pull_header(reader);
    case STAGE_NODES:
        return read_nodes(reader);
    case STAGE_USER_BYTES:
        return read_user_bytes(reader);
    case STAGE_COMPLETE:
    case STAGE_FAILED:
        break;
    }
    return false;
}

static enum stream_progress progress_of(const struct stream_reader *reader)
{
    if (reader->stage == STAGE_COMPLETE)
        return STREAM_COMPLETE;
    return reader->stage == STAGE_FAILED ? STREAM_FAILED : STREAM_MORE;
}

enum stream_progress stream_reader_feed(struct stream_reader *reader, struct span bytes)
{
    while (bytes.size > 0 && progress_of(reader) == STREAM_MORE) {
        size_t room = reader->raw.maximum - reader->raw.size;
        size_t part = bytes.size < room ? bytes.size : room;
        if (part == 0) {
            fail(reader, STREAM_OVER_LIMIT, reader->raw.maximum);
            break;
        }
        if (!buffer_append(&reader->raw, bytes.data, part)) {
            fail(reader, STREAM_OUT_OF_MEMORY, 0);
            break;
        }
        bytes = span_from(bytes, part);
        while (step(reader))
            ;
        if (reader->whole && progress_of(reader) == STREAM_MORE)
            fail(reader, STREAM_TRUNCATED, 0);
    }
    return progress_of(reader);
}

enum stream_progress stream_reader_end(struct stream_reader *reader)
{
    if (progress_of(reader) != STREAM_MORE)
        return progress_of(reader);
    if (reader->raw.size == 0)
        fail(reader, STREAM_CLOSED, 0);
    else
        fail(reader, reader->label_done ? STREAM_TRUNCATED : STREAM_LABEL_TRUNCATED, 0);
    return STREAM_FAILED;
}

struct span stream_reader_message(const struct stream_reader *reader)
{
    if (reader->stage != STAGE_COMPLETE)
        return SPAN_EMPTY;
    return span_make(reader->raw.data, reader->scanned);
}

/* --- words --- */

bool stream_problem_is_answered(const struct stream_problem *problem)
{
    switch (problem->error) {
    case STREAM_NOT_CONFIGURED_ENCRYPTED:
    case STREAM_NOT_ENCRYPTED:
    case STREAM_TOO_LARGE_SEALED:
    case STREAM_DECRYPT_FAILED:
    case STREAM_UNKNOWN_ALGORITHM:
    case STREAM_DECOMPRESS_FAILED:
    case STREAM_EMPTY:
    case STREAM_OVER_LIMIT:
        return true;
    default:
        return false;
    }
}

static void label_problem_text(const struct stream_problem *problem, struct buffer *out)
{
    if (problem->error == STREAM_LABEL_TRUNCATED) {
        buffer_append_text(out, "cannot decode label; stream has been truncated");
    } else if (problem->error == STREAM_LABEL_EMPTY) {
        buffer_append_text(out, "label header cannot be empty when present");
    } else if (problem->error == STREAM_LABEL_DOUBLE) {
        buffer_append_text(out, "unexpected double stream label header:");
    } else {
        buffer_append_text(out, "discarding stream with unacceptable label ");
        buffer_append_quoted(out, problem->text);
        buffer_append_u8(out, ':');
    }
}

void stream_problem_text(const struct stream_problem *problem, struct buffer *out)
{
    unsigned long long number = problem->number;
    switch (problem->error) {
    case STREAM_OK:
        break;
    case STREAM_CLOSED:
        buffer_append_text(out, "EOF");
        break;
    case STREAM_TRUNCATED:
        buffer_append_text(out, "unexpected EOF");
        break;
    case STREAM_LABEL_TRUNCATED:
    case STREAM_LABEL_EMPTY:
    case STREAM_LABEL_DOUBLE:
    case STREAM_LABEL_UNACCEPTABLE:
        label_problem_text(problem, out);
        break;
    case STREAM_NOT_CONFIGURED_ENCRYPTED:
        buffer_append_text(out, "remote state is encrypted and encryption is not configured");
        break;
    case STREAM_NOT_ENCRYPTED:
        buffer_append_text(out, "encryption is configured but remote state is not encrypted");
        break;
    case STREAM_TOO_LARGE_SEALED:
        buffer_printf(out, "remote node state is larger than limit (%llu)", number);
        break;
    case STREAM_DECRYPT_FAILED:
        open_status_text((enum open_status)problem->detail, number, out);
        break;
    case STREAM_UNKNOWN_ALGORITHM:
        decompress_error_text(DECOMPRESS_UNKNOWN_ALGORITHM, number, 0, out);
        break;
    case STREAM_DECOMPRESS_FAILED:
        decompress_error_text(problem->detail, 0, number, out);
        break;
    case STREAM_EMPTY:
        buffer_append_text(out, "decompressed message is empty");
        break;
    case STREAM_MALFORMED:
        buffer_append_text(out, "message does not decode");
        break;
    case STREAM_BAD_NODE_COUNT:
        buffer_printf(out, "number of nodes in header (%lld) exceeds limit", (long long)number);
        break;
    case STREAM_BAD_STATE_SIZE:
        buffer_printf(out, "user state length (%lld) exceeds limit", (long long)number);
        break;
    case STREAM_BAD_USER_SIZE:
        buffer_printf(out, "user message length (%lld) exceeds limit", (long long)number);
        break;
    case STREAM_UNKNOWN_TYPE:
        buffer_printf(out, "Received invalid msgType (%llu)", number);
        break;
    case STREAM_OVER_LIMIT:
        buffer_printf(out, "message is larger than this node reads (%llu bytes)", number);
        break;
    case STREAM_OUT_OF_MEMORY:
        buffer_append_text(out, "out of memory");
        break;
    }
}

/* --- a complete push/pull --- */

bool push_pull_open(struct push_pull_reader *reader, struct span message)
{
    if (message.size == 0 || message.data[0] != MESSAGE_PUSH_PULL)
        return false;
    reader->nodes = msgpack_reader_of(span_from(message, 1));
    if (msgpack_read_structure(&reader->nodes, &push_pull_header_structure, &reader->header) !=
        MSGPACK_OK)
        return false;
    reader->nodes_left = reader->header.nodes;
    return true;
}

bool push_pull_next(struct push_pull_reader *reader, struct push_node_state *node)
{
    if (reader->nodes_left <= 0)
        return false;
    reader->nodes_left--;
    if (msgpack_read_structure(&reader->nodes, &push_node_state_structure, node) == MSGPACK_OK)
        return true;
    reader->nodes_left = 0;
    return false;
}

struct span push_pull_user_state(const struct push_pull_reader *reader)
{
    struct span state = msgpack_rest(&reader->nodes);
    if (reader->header.user_state_size < 0)
        return SPAN_EMPTY;
    if (state.size > (uint64_t)reader->header.user_state_size)
        state.size = (size_t)reader->header.user_state_size;
    return state;
}

/* --- writing --- */

static bool seal_message(struct wire_codec *codec, struct span label, struct span message,
                         struct buffer *out)
{
    if (!wire_codec_encrypts(codec) || !codec->verify_outgoing)
        return buffer_append_span(out, message);
    size_t sealed_size = keyring_sealed_size(codec->encryption_version, message.size);
    if (sealed_size > UINT32_MAX)
        return false;
    uint8_t header[SEAL_HEADER_SIZE] = {
        MESSAGE_ENCRYPT,
        (uint8_t)(sealed_size >> 24),
        (uint8_t)(sealed_size >> 16),
        (uint8_t)(sealed_size >> 8),
        (uint8_t)sealed_size,
    };
    uint8_t associated[SEAL_HEADER_SIZE + LABEL_SIZE_MAX];
    size_t associated_size = seal_associated(label, header, associated);
    return buffer_append(out, header, sizeof header) &&
           keyring_seal(codec->keyring, codec->encryption_version, codec->random,
                        span_make(associated, associated_size), message, out);
}

static bool compress_and_seal(struct wire_codec *codec, struct span label, struct span message,
                              struct buffer *out)
{
    /* Not the codec's scratch: a state of many megabytes would stay there for ever. */
    struct buffer packed;
    struct buffer compressed;
    buffer_init(&packed, SIZE_MAX);
    buffer_init(&compressed, SIZE_MAX);
    bool done = compress_message_write(codec, message, &packed, &compressed) &&
                seal_message(codec, label, buffer_span(&compressed), out);
    buffer_fini(&packed);
    buffer_fini(&compressed);
    return done;
}

bool stream_seal(struct wire_codec *codec, const struct stream_reader *request, struct span message,
                 struct buffer *out)
{
    const size_t start = out->size;
    const bool had_failed = out->failed;
    bool done = true;
    struct span label = request && !request->has_label ? SPAN_EMPTY : codec->label;
    if (!request)
        label = wire_codec_sent_label(codec);
    if (!request && label.size > 0) {
        uint8_t header[2] = {MESSAGE_HAS_LABEL, (uint8_t)label.size};
        done = buffer_append(out, header, sizeof header) && buffer_append_span(out, label);
    }
    if (done && codec->compress)
        done = compress_and_seal(codec, label, message, out);
    else if (done)
        done = seal_message(codec, label, message, out);
    if (!done) {
        buffer_truncate(out, start);
        out->failed = had_failed;
    }
    return done;
}

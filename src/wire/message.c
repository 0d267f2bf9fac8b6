/* The fields of each message, in the order in which they go over the wire; the number is the place
 * in the reference's declaration, which matters only to peers that send arrays. */
#include "message.h"

#include <stddef.h>

#define STRUCTURE(fields)                                                                          \
    {                                                                                              \
        fields, sizeof(fields) / sizeof(fields)[0]                                                 \
    }

static const struct msgpack_field ping_fields[] = {
    {MSGPACK_NAME("Node"), FIELD_STRING, offsetof(struct ping_message, node), 1, false},
    {MSGPACK_NAME("SeqNo"), FIELD_U32, offsetof(struct ping_message, sequence), 0, false},
    {MSGPACK_NAME("SourceAddr"), FIELD_BYTES, offsetof(struct ping_message, source_address), 2,
     true},
    {MSGPACK_NAME("SourceNode"), FIELD_STRING, offsetof(struct ping_message, source_node), 4, true},
    {MSGPACK_NAME("SourcePort"), FIELD_U16, offsetof(struct ping_message, source_port), 3, true},
};
const struct msgpack_structure ping_structure = STRUCTURE(ping_fields);

static const struct msgpack_field indirect_ping_fields[] = {
    {MSGPACK_NAME("Nack"), FIELD_BOOL, offsetof(struct indirect_ping_message, nack), 4, false},
    {MSGPACK_NAME("Node"), FIELD_STRING, offsetof(struct indirect_ping_message, node), 3, false},
    {MSGPACK_NAME("Port"), FIELD_U16, offsetof(struct indirect_ping_message, port), 2, false},
    {MSGPACK_NAME("SeqNo"), FIELD_U32, offsetof(struct indirect_ping_message, sequence), 0, false},
    {MSGPACK_NAME("SourceAddr"), FIELD_BYTES,
     offsetof(struct indirect_ping_message, source_address), 5, true},
    {MSGPACK_NAME("SourceNode"), FIELD_STRING, offsetof(struct indirect_ping_message, source_node),
     7, true},
    {MSGPACK_NAME("SourcePort"), FIELD_U16, offsetof(struct indirect_ping_message, source_port), 6,
     true},
    {MSGPACK_NAME("Target"), FIELD_BYTES, offsetof(struct indirect_ping_message, target), 1, false},
};
const struct msgpack_structure indirect_ping_structure = STRUCTURE(indirect_ping_fields);

static const struct msgpack_field ack_fields[] = {
    {MSGPACK_NAME("Payload"), FIELD_BYTES, offsetof(struct ack_message, payload), 1, false},
    {MSGPACK_NAME("SeqNo"), FIELD_U32, offsetof(struct ack_message, sequence), 0, false},
};
const struct msgpack_structure ack_structure = STRUCTURE(ack_fields);

static const struct msgpack_field nack_fields[] = {
    {MSGPACK_NAME("SeqNo"), FIELD_U32, offsetof(struct nack_message, sequence), 0, false},
};
const struct msgpack_structure nack_structure = STRUCTURE(nack_fields);

static const struct msgpack_field error_fields[] = {
    {MSGPACK_NAME("Error"), FIELD_STRING, offsetof(struct error_message, error), 0, false},
};
const struct msgpack_structure error_structure = STRUCTURE(error_fields);

static const struct msgpack_field suspect_fields[] = {
    {MSGPACK_NAME("From"), FIELD_STRING, offsetof(struct suspect_message, from), 2, false},
    {MSGPACK_NAME("Incarnation"), FIELD_U32, offsetof(struct suspect_message, incarnation), 0,
     false},
    {MSGPACK_NAME("Node"), FIELD_STRING, offsetof(struct suspect_message, node), 1, false},
};
const struct msgpack_structure suspect_structure = STRUCTURE(suspect_fields);

static const struct msgpack_field alive_fields[] = {
    {MSGPACK_NAME("Addr"), FIELD_BYTES, offsetof(struct alive_message, address), 2, false},
    {MSGPACK_NAME("Incarnation"), FIELD_U32, offsetof(struct alive_message, incarnation), 0, false},
    {MSGPACK_NAME("Meta"), FIELD_BYTES, offsetof(struct alive_message, meta), 4, false},
    {MSGPACK_NAME("Node"), FIELD_STRING, offsetof(struct alive_message, node), 1, false},
    {MSGPACK_NAME("Port"), FIELD_U16, offsetof(struct alive_message, port), 3, false},
    {MSGPACK_NAME("Vsn"), FIELD_BYTES, offsetof(struct alive_message, versions), 5, false},
};
const struct msgpack_structure alive_structure = STRUCTURE(alive_fields);

static const struct msgpack_field push_pull_header_fields[] = {
    {MSGPACK_NAME("Join"), FIELD_BOOL, offsetof(struct push_pull_header, join), 2, false},
    {MSGPACK_NAME("Nodes"), FIELD_I64, offsetof(struct push_pull_header, nodes), 0, false},
    {MSGPACK_NAME("UserStateLen"), FIELD_I64, offsetof(struct push_pull_header, user_state_size), 1,
     false},
};
const struct msgpack_structure push_pull_header_structure = STRUCTURE(push_pull_header_fields);

static const struct msgpack_field push_node_state_fields[] = {
    {MSGPACK_NAME("Addr"), FIELD_BYTES, offsetof(struct push_node_state, address), 1, false},
    {MSGPACK_NAME("Incarnation"), FIELD_U32, offsetof(struct push_node_state, incarnation), 4,
     false},
    {MSGPACK_NAME("Meta"), FIELD_BYTES, offsetof(struct push_node_state, meta), 3, false},
    {MSGPACK_NAME("Name"), FIELD_STRING, offsetof(struct push_node_state, name), 0, false},
    {MSGPACK_NAME("Port"), FIELD_U16, offsetof(struct push_node_state, port), 2, false},
    {MSGPACK_NAME("State"), FIELD_I64, offsetof(struct push_node_state, state), 5, false},
    {MSGPACK_NAME("Vsn"), FIELD_BYTES, offsetof(struct push_node_state, versions), 6, false},
};
const struct msgpack_structure push_node_state_structure = STRUCTURE(push_node_state_fields);

static const struct msgpack_field user_header_fields[] = {
    {MSGPACK_NAME("UserMsgLen"), FIELD_I64, offsetof(struct user_header, size), 0, false},
};
const struct msgpack_structure user_header_structure = STRUCTURE(user_header_fields);

static const struct msgpack_field compress_fields[] = {
    {MSGPACK_NAME("Algo"), FIELD_U8, offsetof(struct compress_message, algorithm), 0, false},
    {MSGPACK_NAME("Buf"), FIELD_BYTES, offsetof(struct compress_message, data), 1, false},
};
const struct msgpack_structure compress_structure = STRUCTURE(compress_fields);

void message_write(struct buffer *out, enum message_type type,
                   const struct msgpack_structure *structure, const void *value)
{
    buffer_append_u8(out, (uint8_t)type);
    msgpack_write_structure(out, structure, MSGPACK_GOSSIP, value);
}

bool message_read(struct span body, const struct msgpack_structure *structure, void *out)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    return msgpack_read_structure(&reader, structure, out) == MSGPACK_OK;
}

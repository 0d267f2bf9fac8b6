/* The fields of each message, in the order in which they go over the wire; the number is the place
 * in the reference's declaration, which matters only to peers that send arrays. */
#include "serf_message.h"

#include <stddef.h>

#define STRUCTURE(fields)                                                                          \
    {                                                                                              \
        fields, sizeof(fields) / sizeof(fields)[0]                                                 \
    }

static const struct msgpack_field leave_intent_fields[] = {
    {MSGPACK_NAME("LTime"), FIELD_U64, offsetof(struct leave_intent, ltime), 0, false},
    {MSGPACK_NAME("Node"), FIELD_STRING, offsetof(struct leave_intent, node), 1, false},
    {MSGPACK_NAME("Prune"), FIELD_BOOL, offsetof(struct leave_intent, prune), 2, false},
};
const struct msgpack_structure leave_intent_structure = STRUCTURE(leave_intent_fields);

static const struct msgpack_field join_intent_fields[] = {
    {MSGPACK_NAME("LTime"), FIELD_U64, offsetof(struct join_intent, ltime), 0, false},
    {MSGPACK_NAME("Node"), FIELD_STRING, offsetof(struct join_intent, node), 1, false},
};
const struct msgpack_structure join_intent_structure = STRUCTURE(join_intent_fields);

static const struct msgpack_field user_event_fields[] = {
    {MSGPACK_NAME("CC"), FIELD_BOOL, offsetof(struct user_event_message, coalesce), 3, false},
    {MSGPACK_NAME("LTime"), FIELD_U64, offsetof(struct user_event_message, ltime), 0, false},
    {MSGPACK_NAME("Name"), FIELD_STRING, offsetof(struct user_event_message, name), 1, false},
    {MSGPACK_NAME("Payload"), FIELD_BYTES, offsetof(struct user_event_message, payload), 2, false},
};
const struct msgpack_structure user_event_structure = STRUCTURE(user_event_fields);

static const struct msgpack_field query_fields[] = {
    {MSGPACK_NAME("Addr"), FIELD_BYTES, offsetof(struct query_message, address), 2, false},
    {MSGPACK_NAME("Filters"), FIELD_VALUE, offsetof(struct query_message, filters), 5, false},
    {MSGPACK_NAME("Flags"), FIELD_U32, offsetof(struct query_message, flags), 6, false},
    {MSGPACK_NAME("ID"), FIELD_U32, offsetof(struct query_message, id), 1, false},
    {MSGPACK_NAME("LTime"), FIELD_U64, offsetof(struct query_message, ltime), 0, false},
    {MSGPACK_NAME("Name"), FIELD_STRING, offsetof(struct query_message, name), 9, false},
    {MSGPACK_NAME("Payload"), FIELD_BYTES, offsetof(struct query_message, payload), 10, false},
    {MSGPACK_NAME("Port"), FIELD_U16, offsetof(struct query_message, port), 3, false},
    {MSGPACK_NAME("RelayFactor"), FIELD_U8, offsetof(struct query_message, relay_factor), 7, false},
    {MSGPACK_NAME("SourceNode"), FIELD_STRING, offsetof(struct query_message, source_node), 4,
     false},
    {MSGPACK_NAME("Timeout"), FIELD_I64, offsetof(struct query_message, timeout_ns), 8, false},
};
const struct msgpack_structure query_structure = STRUCTURE(query_fields);

static const struct msgpack_field tag_filter_fields[] = {
    {MSGPACK_NAME("Expr"), FIELD_STRING, offsetof(struct tag_filter_message, expression), 1, false},
    {MSGPACK_NAME("Tag"), FIELD_STRING, offsetof(struct tag_filter_message, tag), 0, false},
};
const struct msgpack_structure tag_filter_structure = STRUCTURE(tag_filter_fields);

static const struct msgpack_field query_response_fields[] = {
    {MSGPACK_NAME("Flags"), FIELD_U32, offsetof(struct query_response_message, flags), 3, false},
    {MSGPACK_NAME("From"), FIELD_STRING, offsetof(struct query_response_message, from), 2, false},
    {MSGPACK_NAME("ID"), FIELD_U32, offsetof(struct query_response_message, id), 1, false},
    {MSGPACK_NAME("LTime"), FIELD_U64, offsetof(struct query_response_message, ltime), 0, false},
    {MSGPACK_NAME("Payload"), FIELD_BYTES, offsetof(struct query_response_message, payload), 4,
     false},
};
const struct msgpack_structure query_response_structure = STRUCTURE(query_response_fields);

static const struct msgpack_field serf_push_pull_fields[] = {
    {MSGPACK_NAME("EventLTime"), FIELD_U64, offsetof(struct serf_push_pull, event_ltime), 3, false},
    {MSGPACK_NAME("Events"), FIELD_VALUE, offsetof(struct serf_push_pull, events), 4, false},
    {MSGPACK_NAME("LTime"), FIELD_U64, offsetof(struct serf_push_pull, ltime), 0, false},
    {MSGPACK_NAME("LeftMembers"), FIELD_VALUE, offsetof(struct serf_push_pull, left_members), 2,
     false},
    {MSGPACK_NAME("QueryLTime"), FIELD_U64, offsetof(struct serf_push_pull, query_ltime), 5, false},
    {MSGPACK_NAME("StatusLTimes"), FIELD_VALUE, offsetof(struct serf_push_pull, status_ltimes), 1,
     false},
};
const struct msgpack_structure serf_push_pull_structure = STRUCTURE(serf_push_pull_fields);

static const struct msgpack_field event_slot_fields[] = {
    {MSGPACK_NAME("Events"), FIELD_VALUE, offsetof(struct event_slot_message, events), 1, false},
    {MSGPACK_NAME("LTime"), FIELD_U64, offsetof(struct event_slot_message, ltime), 0, false},
};
const struct msgpack_structure event_slot_structure = STRUCTURE(event_slot_fields);

static const struct msgpack_field event_slot_entry_fields[] = {
    {MSGPACK_NAME("Name"), FIELD_STRING, offsetof(struct event_slot_entry, name), 0, false},
    {MSGPACK_NAME("Payload"), FIELD_BYTES, offsetof(struct event_slot_entry, payload), 1, false},
};
const struct msgpack_structure event_slot_entry_structure = STRUCTURE(event_slot_entry_fields);

static const struct msgpack_field conflict_response_fields[] = {
    {MSGPACK_NAME("Addr"), FIELD_BYTES, offsetof(struct conflict_response, address), 1, false},
    {MSGPACK_NAME("DelegateCur"), FIELD_U8, offsetof(struct conflict_response, delegate_current),
     10, false},
    {MSGPACK_NAME("DelegateMax"), FIELD_U8, offsetof(struct conflict_response, delegate_max), 9,
     false},
    {MSGPACK_NAME("DelegateMin"), FIELD_U8, offsetof(struct conflict_response, delegate_min), 8,
     false},
    {MSGPACK_NAME("Name"), FIELD_STRING, offsetof(struct conflict_response, name), 0, false},
    {MSGPACK_NAME("Port"), FIELD_U16, offsetof(struct conflict_response, port), 2, false},
    {MSGPACK_NAME("ProtocolCur"), FIELD_U8, offsetof(struct conflict_response, protocol_current), 7,
     false},
    {MSGPACK_NAME("ProtocolMax"), FIELD_U8, offsetof(struct conflict_response, protocol_max), 6,
     false},
    {MSGPACK_NAME("ProtocolMin"), FIELD_U8, offsetof(struct conflict_response, protocol_min), 5,
     false},
    {MSGPACK_NAME("Status"), FIELD_I64, offsetof(struct conflict_response, status), 4, false},
    {MSGPACK_NAME("Tags"), FIELD_VALUE, offsetof(struct conflict_response, tags), 3, false},
};
const struct msgpack_structure conflict_response_structure = STRUCTURE(conflict_response_fields);

static const struct msgpack_field key_request_fields[] = {
    {MSGPACK_NAME("Key"), FIELD_BYTES, offsetof(struct key_request, key), 0, false},
};
const struct msgpack_structure key_request_structure = STRUCTURE(key_request_fields);

static const struct msgpack_field key_response_fields[] = {
    {MSGPACK_NAME("Keys"), FIELD_VALUE, offsetof(struct key_response, keys), 2, false},
    {MSGPACK_NAME("Message"), FIELD_STRING, offsetof(struct key_response, message), 1, false},
    {MSGPACK_NAME("PrimaryKey"), FIELD_STRING, offsetof(struct key_response, primary_key), 3,
     false},
    {MSGPACK_NAME("Result"), FIELD_BOOL, offsetof(struct key_response, result), 0, false},
};
const struct msgpack_structure key_response_structure = STRUCTURE(key_response_fields);

static const struct msgpack_field relay_header_fields[] = {
    {MSGPACK_NAME("DestAddr"), FIELD_VALUE, offsetof(struct relay_header, destination), 0, false},
    {MSGPACK_NAME("DestName"), FIELD_STRING, offsetof(struct relay_header, destination_name), 1,
     false},
};
const struct msgpack_structure relay_header_structure = STRUCTURE(relay_header_fields);

static const struct msgpack_field relay_address_fields[] = {
    {MSGPACK_NAME("IP"), FIELD_BYTES, offsetof(struct relay_address, address), 0, false},
    {MSGPACK_NAME("Port"), FIELD_I64, offsetof(struct relay_address, port), 1, false},
    {MSGPACK_NAME("Zone"), FIELD_STRING, offsetof(struct relay_address, zone), 2, false},
};
const struct msgpack_structure relay_address_structure = STRUCTURE(relay_address_fields);

static const struct msgpack_field coordinate_fields[] = {
    {MSGPACK_NAME("Adjustment"), FIELD_DOUBLE, offsetof(struct coordinate_message, adjustment), 2,
     false},
    {MSGPACK_NAME("Error"), FIELD_DOUBLE, offsetof(struct coordinate_message, error), 1, false},
    {MSGPACK_NAME("Height"), FIELD_DOUBLE, offsetof(struct coordinate_message, height), 3, false},
    {MSGPACK_NAME("Vec"), FIELD_VALUE, offsetof(struct coordinate_message, vector), 0, false},
};
const struct msgpack_structure coordinate_structure = STRUCTURE(coordinate_fields);

void serf_message_write(struct buffer *out, enum serf_message_type type,
                        const struct msgpack_structure *structure, const void *value)
{
    buffer_append_u8(out, (uint8_t)type);
    msgpack_write_structure(out, structure, MSGPACK_GOSSIP, value);
}

/* --- tags --- */

bool tag_reader_open(struct tag_reader *reader, struct span meta)
{
    *reader = (struct tag_reader){.role = meta};
    if (meta.size == 0 || meta.data[0] != TAGS_MAGIC) {
        reader->bare = true;
        reader->left = 1;
        return true;
    }
    reader->reader = msgpack_reader_of(span_from(meta, 1));
    return msgpack_read_map(&reader->reader, &reader->left) == MSGPACK_OK;
}

bool tag_reader_next(struct tag_reader *reader, struct span *key, struct span *value)
{
    if (reader->left == 0)
        return false;
    reader->left--;
    if (reader->bare) {
        *key = span_text("role");
        *value = reader->role;
        return true;
    }
    if (msgpack_read_bytes(&reader->reader, key) == MSGPACK_OK &&
        msgpack_read_bytes(&reader->reader, value) == MSGPACK_OK)
        return true;
    reader->left = 0;
    return false;
}

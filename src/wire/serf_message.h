/* The messages of the Serf layer (Serf specification, section 1), carried inside the membership
 * layer's user messages and push/pull states: one type byte, then a msgpack map. */
#ifndef WIRE_SERF_MESSAGE_H
#define WIRE_SERF_MESSAGE_H

#include "msgpack.h"

enum serf_message_type {
    SERF_LEAVE = 0,
    SERF_JOIN = 1,
    SERF_PUSH_PULL = 2,
    SERF_USER_EVENT = 3,
    SERF_QUERY = 4,
    SERF_QUERY_RESPONSE = 5,
    SERF_CONFLICT_RESPONSE = 6,
    SERF_KEY_REQUEST = 7,
    SERF_KEY_RESPONSE = 8,
    SERF_RELAY = 9,
};

struct leave_intent {
    uint64_t ltime;
    struct span node;
    bool prune;
};

struct join_intent {
    uint64_t ltime;
    struct span node;
};

struct user_event_message {
    uint64_t ltime;
    struct span name;
    struct span payload; /* NULL data: nil */
    bool coalesce;       /* "CC" */
};

struct query_message {
    uint64_t ltime;
    uint32_t id;
    struct span address;
    uint16_t port;
    struct span source_node;
    struct span filters; /* one encoded value: a list of byte strings, or nil */
    uint32_t flags;
    uint8_t relay_factor;
    int64_t timeout_ns;
    struct span name;
    struct span payload;
};

enum {
    QUERY_FLAG_ACK = 1,
    QUERY_FLAG_NO_BROADCAST = 2,
};

/* A filter by tag, behind its kind byte 1. */
struct tag_filter_message {
    struct span expression; /* a regular expression, not anchored */
    struct span tag;
};

struct query_response_message {
    uint64_t ltime;
    uint32_t id;
    struct span from;
    uint32_t flags; /* 1: this is an ack */
    struct span payload;
};

/* The nested parts are kept as encoded values and walked with a msgpack_reader:
 * status_ltimes a map name -> u64, left_members a list of names, events a list of nil or
 * {Events: list of {Name, Payload}, LTime}. */
struct serf_push_pull {
    uint64_t ltime;
    struct span status_ltimes;
    struct span left_members;
    uint64_t event_ltime;
    struct span events;
    uint64_t query_ltime;
};

struct event_slot_message {
    uint64_t ltime;
    struct span events; /* encoded list of event_slot_entry */
};

struct event_slot_entry {
    struct span name;
    struct span payload;
};

/* The answer about a name: nil instead of this when the name is unknown. */
struct conflict_response {
    struct span name;
    struct span address;
    uint16_t port;
    struct span tags; /* encoded map of strings to strings */
    int64_t status;
    uint8_t protocol_min, protocol_max, protocol_current;
    uint8_t delegate_min, delegate_max, delegate_current;
};

struct key_request {
    struct span key; /* raw bytes; empty for a list request */
};

struct key_response {
    bool result;
    struct span message;
    struct span keys; /* encoded list of base64 strings, or nil */
    struct span primary_key;
};

/* Followed by one complete message of this layer. */
struct relay_header {
    struct span destination; /* one encoded relay_address */
    struct span destination_name;
};

struct relay_address {
    struct span address;
    int64_t port;
    struct span zone; /* always empty */
};

/* A network coordinate, the payload of an ack behind the byte 01 (Serf specification, 7.3). */
struct coordinate_message {
    struct span vector; /* encoded list of doubles, in seconds */
    double error;
    double adjustment; /* seconds */
    double height;     /* seconds */
};

extern const struct msgpack_structure leave_intent_structure;
extern const struct msgpack_structure join_intent_structure;
extern const struct msgpack_structure user_event_structure;
extern const struct msgpack_structure query_structure;
extern const struct msgpack_structure tag_filter_structure;
extern const struct msgpack_structure query_response_structure;
extern const struct msgpack_structure serf_push_pull_structure;
extern const struct msgpack_structure event_slot_structure;
extern const struct msgpack_structure event_slot_entry_structure;
extern const struct msgpack_structure conflict_response_structure;
extern const struct msgpack_structure key_request_structure;
extern const struct msgpack_structure key_response_structure;
extern const struct msgpack_structure relay_header_structure;
extern const struct msgpack_structure relay_address_structure;
extern const struct msgpack_structure coordinate_structure;

/* Appends the type byte and the body, in the gossip dialect. */
void serf_message_write(struct buffer *out, enum serf_message_type type,
                        const struct msgpack_structure *structure, const void *value);

/* Tags as node metadata: ff and a map, or for protocol 2 the bare value of the tag `role`. */
enum { TAGS_MAGIC = 0xff };

/* Walks metadata that holds tags. */
struct tag_reader {
    struct msgpack_reader reader;
    uint32_t left;    /* pairs still to come */
    struct span role; /* metadata without the magic byte: the one tag there is */
    bool bare;
};

/* False when the metadata does not decode. Metadata without the magic byte (empty too) has the one
 * tag `role`, its value the whole metadata. */
bool tag_reader_open(struct tag_reader *reader, struct span meta);
/* False at the end, or at the first pair that does not decode. */
bool tag_reader_next(struct tag_reader *reader, struct span *key, struct span *value);

#endif

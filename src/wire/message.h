/* The messages of the membership layer (memberlist specification, sections 1 and 2): one type byte,
 * then a msgpack map whose keys are the field names in ascending byte order. */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "msgpack.h"

enum message_type {
    MESSAGE_PING = 0,
    MESSAGE_INDIRECT_PING = 1,
    MESSAGE_ACK = 2,
    MESSAGE_SUSPECT = 3,
    MESSAGE_ALIVE = 4,
    MESSAGE_DEAD = 5,
    MESSAGE_PUSH_PULL = 6,
    MESSAGE_COMPOUND = 7,
    MESSAGE_USER = 8,
    MESSAGE_COMPRESS = 9,
    MESSAGE_ENCRYPT = 10, /* streams only */
    MESSAGE_NACK = 11,
    MESSAGE_HAS_CRC = 12,
    MESSAGE_ERROR = 13,
    MESSAGE_HAS_LABEL = 244,
};

enum {
    VERSIONS_SIZE = 6, /* protocol min, max, current; delegate min, max, current */
    META_SIZE_MAX = 512,
    MEMBER_NAME_SIZE_MAX = 255, /* a DNS name's limit; the protocol itself has none */
    PUSH_PULL_NODES_MAX = 1048576,
    PUSH_PULL_STATE_MAX = 20971520,
    USER_MESSAGE_MAX = 20971520,
    DECOMPRESSED_MAX = 41943040, /* bytes of a decompressed stream message */
};

enum node_state {
    NODE_ALIVE = 0,
    NODE_SUSPECT = 1,
    NODE_DEAD = 2,
    NODE_LEFT = 3,
};

struct ping_message {
    uint32_t sequence;
    struct span node;           /* the name that is asked for; empty: whoever is there */
    struct span source_address; /* 4 or 16 bytes, or empty */
    uint16_t source_port;
    struct span source_node;
};

struct indirect_ping_message {
    uint32_t sequence;
    struct span target; /* address, 4 or 16 bytes */
    uint16_t port;
    struct span node;
    bool nack; /* the sender understands a nack */
    struct span source_address;
    uint16_t source_port;
    struct span source_node;
};

struct ack_message {
    uint32_t sequence;
    struct span payload; /* NULL data: nil */
};

struct nack_message {
    uint32_t sequence;
};

struct error_message {
    struct span error;
};

struct suspect_message { /* also a dead message: the two have the same fields */
    uint32_t incarnation;
    struct span node;
    struct span from;
};

struct alive_message {
    uint32_t incarnation;
    struct span node;
    struct span address;
    uint16_t port;
    struct span meta;
    struct span versions;
};

struct push_pull_header {
    int64_t nodes;
    int64_t user_state_size;
    bool join;
};

struct push_node_state {
    struct span name;
    struct span address;
    uint16_t port;
    struct span meta;
    uint32_t incarnation;
    int64_t state; /* enum node_state, or a value of the future */
    struct span versions;
};

struct user_header {
    int64_t size;
};

struct compress_message {
    uint8_t algorithm;
    struct span data;
};

extern const struct msgpack_structure ping_structure;
extern const struct msgpack_structure indirect_ping_structure;
extern const struct msgpack_structure ack_structure;
extern const struct msgpack_structure nack_structure;
extern const struct msgpack_structure error_structure;
extern const struct msgpack_structure suspect_structure;
extern const struct msgpack_structure alive_structure;
extern const struct msgpack_structure push_pull_header_structure;
extern const struct msgpack_structure push_node_state_structure;
extern const struct msgpack_structure user_header_structure;
extern const struct msgpack_structure compress_structure;

/* Appends the type byte and the body, in the gossip dialect. */
void message_write(struct buffer *out, enum message_type type,
                   const struct msgpack_structure *structure, const void *value);

/* Reads the body that follows a type byte; bytes after it are ignored. False when malformed. */
bool message_read(struct span body, const struct msgpack_structure *structure, void *out);

#endif

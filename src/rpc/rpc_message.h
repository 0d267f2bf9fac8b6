/* The messages of the RPC protocol (agent specification, section 5), as structures and the tables
 * that read and write them with msgpack_read_structure and msgpack_write_structure (dialect
 * MSGPACK_RPC). A request is a header and, for most commands, a body; so is a response. Nothing
 * frames them: each is one msgpack object after the other.
 *
 * Fields of type FIELD_VALUE hold one encoded msgpack value: the readers at the end walk them. */
#ifndef RPC_RPC_MESSAGE_H
#define RPC_RPC_MESSAGE_H

#include "msgpack.h"

enum { RPC_VERSION = 1 }; /* the only one there is */

enum {
    /* What one string or byte string may hold: the largest that means anything is a user event's
     * payload (9216 bytes). */
    RPC_STRING_SIZE_MAX = 64 * 1024,
    /* A whole request, header and body: room for a join of a thousand long names. */
    RPC_REQUEST_SIZE_MAX = 1024 * 1024,
};

enum rpc_command {
    RPC_HANDSHAKE,
    RPC_AUTH,
    RPC_EVENT,
    RPC_FORCE_LEAVE,
    RPC_JOIN,
    RPC_MEMBERS,
    RPC_MEMBERS_FILTERED,
    RPC_TAGS,
    RPC_STREAM,
    RPC_MONITOR,
    RPC_STOP,
    RPC_LEAVE,
    RPC_QUERY,
    RPC_RESPOND,
    RPC_INSTALL_KEY,
    RPC_USE_KEY,
    RPC_REMOVE_KEY,
    RPC_LIST_KEYS,
    RPC_STATS,
    RPC_GET_COORDINATE,
    RPC_COMMAND_COUNT, /* also: a command that is not known */
};

struct rpc_command_info {
    const char *name;                         /* on the wire */
    const struct msgpack_structure *request;  /* the request's body; NULL: it has none */
    const struct msgpack_structure *response; /* the response's body; NULL: it has none */
};

/* Indexed by enum rpc_command. */
extern const struct rpc_command_info rpc_commands[RPC_COMMAND_COUNT];

/* RPC_COMMAND_COUNT when no command has this name. */
enum rpc_command rpc_command_find(struct span name);

/* --- headers --- */

struct rpc_request_header {
    struct span command;
    uint64_t seq;
};

struct rpc_response_header {
    struct span error; /* empty: it went well */
    uint64_t seq;
};

/* --- request bodies --- */

struct rpc_handshake {
    int64_t version;
};

struct rpc_auth {
    struct span auth_key;
};

struct rpc_event {
    bool coalesce;
    struct span name;
    struct span payload;
};

struct rpc_force_leave {
    struct span node;
    bool prune;
};

struct rpc_join {
    struct span existing; /* value: list of strings */
    bool replay;
};

struct rpc_members_filtered {
    struct span name;   /* regular expression; empty: any */
    struct span status; /* regular expression; empty: any */
    struct span tags;   /* value: map key -> regular expression */
};

struct rpc_tags {
    struct span delete_tags; /* value: list of strings */
    struct span tags;        /* value: map of strings */
};

struct rpc_stream {
    struct span type; /* comma list of event filters; empty: all */
};

struct rpc_monitor {
    struct span log_level;
};

struct rpc_stop {
    uint64_t stop; /* Seq of the stream or monitor */
};

struct rpc_query {
    struct span filter_nodes; /* value: list of strings */
    struct span filter_tags;  /* value: map of strings */
    struct span name;
    struct span payload;
    uint8_t relay_factor;
    bool request_ack;
    int64_t timeout; /* nanoseconds; 0: the agent's default */
};

struct rpc_respond {
    uint64_t id;
    struct span payload;
};

struct rpc_key {
    struct span key; /* base64 */
};

struct rpc_get_coordinate {
    struct span node;
};

/* --- response bodies --- */

struct rpc_join_response {
    int64_t num; /* hosts contacted */
};

struct rpc_members_response {
    struct span members; /* value: list of struct rpc_member */
};

struct rpc_member {
    struct span addr; /* 4 or 16 bytes */
    uint8_t delegate_cur, delegate_max, delegate_min;
    struct span name;
    uint16_t port;
    uint8_t protocol_cur, protocol_max, protocol_min;
    struct span status;
    struct span tags; /* value: map of strings */
};

struct rpc_key_response {
    struct span keys;     /* value: map key -> number of nodes */
    struct span messages; /* value: map node -> text */
    int64_t num_err, num_nodes, num_resp;
};

struct rpc_coordinate_response {
    struct span coord; /* value: struct rpc_coordinate, or nil */
    bool ok;
};

struct rpc_coordinate {
    double adjustment, error, height; /* seconds, but for the error */
    struct span vec;                  /* value: list of numbers, seconds */
};

/* --- records of streams and monitors, each after a header with the stream's Seq --- */

struct rpc_member_event_record {
    struct span event;   /* "member-join" and so on */
    struct span members; /* value: list of struct rpc_member */
};

struct rpc_user_event_record {
    bool coalesce;
    struct span event; /* "user" */
    uint64_t ltime;
    struct span name;
    struct span payload;
};

struct rpc_query_event_record {
    struct span event; /* "query" */
    uint64_t id;
    uint64_t ltime;
    struct span name;
    struct span payload;
};

struct rpc_log_record {
    struct span log; /* one line, no newline */
};

struct rpc_query_record {
    struct span from;
    struct span payload;
    struct span type; /* "ack", "response" or "done" */
};

extern const struct msgpack_structure rpc_request_header_structure;
extern const struct msgpack_structure rpc_response_header_structure;
extern const struct msgpack_structure rpc_handshake_structure;
extern const struct msgpack_structure rpc_auth_structure;
extern const struct msgpack_structure rpc_event_structure;
extern const struct msgpack_structure rpc_force_leave_structure;
extern const struct msgpack_structure rpc_join_structure;
extern const struct msgpack_structure rpc_members_filtered_structure;
extern const struct msgpack_structure rpc_tags_structure;
extern const struct msgpack_structure rpc_stream_structure;
extern const struct msgpack_structure rpc_monitor_structure;
extern const struct msgpack_structure rpc_stop_structure;
extern const struct msgpack_structure rpc_query_structure;
extern const struct msgpack_structure rpc_respond_structure;
extern const struct msgpack_structure rpc_key_structure;
extern const struct msgpack_structure rpc_get_coordinate_structure;
extern const struct msgpack_structure rpc_join_response_structure;
extern const struct msgpack_structure rpc_members_response_structure;
extern const struct msgpack_structure rpc_member_structure;
extern const struct msgpack_structure rpc_key_response_structure;
extern const struct msgpack_structure rpc_coordinate_response_structure;
extern const struct msgpack_structure rpc_coordinate_structure;
extern const struct msgpack_structure rpc_member_event_record_structure;
extern const struct msgpack_structure rpc_user_event_record_structure;
extern const struct msgpack_structure rpc_query_event_record_structure;
extern const struct msgpack_structure rpc_log_record_structure;
extern const struct msgpack_structure rpc_query_record_structure;

/* --- walking encoded values --- */

/* A list or map inside a FIELD_VALUE. An absent or nil value has no elements. */
struct rpc_walker {
    struct msgpack_reader reader;
    uint32_t left; /* elements, or pairs, still to come */
    bool failed;   /* an element was of the wrong type */
};

/* False when the value is no list, or no map. */
bool rpc_list_open(struct rpc_walker *walker, struct span value);
bool rpc_map_open(struct rpc_walker *walker, struct span value);

/* False at the end and at the first element of a wrong type, which also sets `failed`. */
bool rpc_list_next(struct rpc_walker *walker, struct span *string);
bool rpc_map_next(struct rpc_walker *walker, struct span *key, struct span *string);
bool rpc_member_next(struct rpc_walker *walker, struct rpc_member *member);

#endif

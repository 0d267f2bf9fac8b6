/* One table a message, in wire order: ascending names, which is also the order of the array form.
 */
#include "rpc_message.h"

#define FIELD(structure, place, name, type, member)                                                \
    {                                                                                              \
        MSGPACK_NAME(name), FIELD_##type, offsetof(struct structure, member), place, false         \
    }
#define STRUCTURE(name, fields)                                                                    \
    const struct msgpack_structure name##_structure = {fields, sizeof fields / sizeof fields[0]}

static const struct msgpack_field request_header_fields[] = {
    FIELD(rpc_request_header, 0, "Command", STRING, command),
    FIELD(rpc_request_header, 1, "Seq", U64, seq),
};
STRUCTURE(rpc_request_header, request_header_fields);

static const struct msgpack_field response_header_fields[] = {
    FIELD(rpc_response_header, 0, "Error", STRING, error),
    FIELD(rpc_response_header, 1, "Seq", U64, seq),
};
STRUCTURE(rpc_response_header, response_header_fields);

static const struct msgpack_field handshake_fields[] = {
    FIELD(rpc_handshake, 0, "Version", I64, version),
};
STRUCTURE(rpc_handshake, handshake_fields);

static const struct msgpack_field auth_fields[] = {
    FIELD(rpc_auth, 0, "AuthKey", STRING, auth_key),
};
STRUCTURE(rpc_auth, auth_fields);

static const struct msgpack_field event_fields[] = {
    FIELD(rpc_event, 0, "Coalesce", BOOL, coalesce),
    FIELD(rpc_event, 1, "Name", STRING, name),
    FIELD(rpc_event, 2, "Payload", BYTES, payload),
};
STRUCTURE(rpc_event, event_fields);

static const struct msgpack_field force_leave_fields[] = {
    FIELD(rpc_force_leave, 0, "Node", STRING, node),
    FIELD(rpc_force_leave, 1, "Prune", BOOL, prune),
};
STRUCTURE(rpc_force_leave, force_leave_fields);

static const struct msgpack_field join_fields[] = {
    FIELD(rpc_join, 0, "Existing", VALUE, existing),
    FIELD(rpc_join, 1, "Replay", BOOL, replay),
};
STRUCTURE(rpc_join, join_fields);

static const struct msgpack_field members_filtered_fields[] = {
    FIELD(rpc_members_filtered, 0, "Name", STRING, name),
    FIELD(rpc_members_filtered, 1, "Status", STRING, status),
    FIELD(rpc_members_filtered, 2, "Tags", VALUE, tags),
};
STRUCTURE(rpc_members_filtered, members_filtered_fields);

static const struct msgpack_field tags_fields[] = {
    FIELD(rpc_tags, 0, "DeleteTags", VALUE, delete_tags),
    FIELD(rpc_tags, 1, "Tags", VALUE, tags),
};
STRUCTURE(rpc_tags, tags_fields);

static const struct msgpack_field stream_fields[] = {
    FIELD(rpc_stream, 0, "Type", STRING, type),
};
STRUCTURE(rpc_stream, stream_fields);

static const struct msgpack_field monitor_fields[] = {
    FIELD(rpc_monitor, 0, "LogLevel", STRING, log_level),
};
STRUCTURE(rpc_monitor, monitor_fields);

static const struct msgpack_field stop_fields[] = {
    FIELD(rpc_stop, 0, "Stop", U64, stop),
};
STRUCTURE(rpc_stop, stop_fields);

static const struct msgpack_field query_fields[] = {
    FIELD(rpc_query, 0, "FilterNodes", VALUE, filter_nodes),
    FIELD(rpc_query, 1, "FilterTags", VALUE, filter_tags),
    FIELD(rpc_query, 2, "Name", STRING, name),
    FIELD(rpc_query, 3, "Payload", BYTES, payload),
    FIELD(rpc_query, 4, "RelayFactor", U8, relay_factor),
    FIELD(rpc_query, 5, "RequestAck", BOOL, request_ack),
    FIELD(rpc_query, 6, "Timeout", I64, timeout),
};
STRUCTURE(rpc_query, query_fields);

static const struct msgpack_field respond_fields[] = {
    FIELD(rpc_respond, 0, "ID", U64, id),
    FIELD(rpc_respond, 1, "Payload", BYTES, payload),
};
STRUCTURE(rpc_respond, respond_fields);

static const struct msgpack_field key_fields[] = {
    FIELD(rpc_key, 0, "Key", STRING, key),
};
STRUCTURE(rpc_key, key_fields);

static const struct msgpack_field get_coordinate_fields[] = {
    FIELD(rpc_get_coordinate, 0, "Node", STRING, node),
};
STRUCTURE(rpc_get_coordinate, get_coordinate_fields);

static const struct msgpack_field join_response_fields[] = {
    FIELD(rpc_join_response, 0, "Num", I64, num),
};
STRUCTURE(rpc_join_response, join_response_fields);

static const struct msgpack_field members_response_fields[] = {
    FIELD(rpc_members_response, 0, "Members", VALUE, members),
};
STRUCTURE(rpc_members_response, members_response_fields);

static const struct msgpack_field member_fields[] = {
    FIELD(rpc_member, 0, "Addr", BYTES, addr),
    FIELD(rpc_member, 1, "DelegateCur", U8, delegate_cur),
    FIELD(rpc_member, 2, "DelegateMax", U8, delegate_max),
    FIELD(rpc_member, 3, "DelegateMin", U8, delegate_min),
    FIELD(rpc_member, 4, "Name", STRING, name),
    FIELD(rpc_member, 5, "Port", U16, port),
    FIELD(rpc_member, 6, "ProtocolCur", U8, protocol_cur),
    FIELD(rpc_member, 7, "ProtocolMax", U8, protocol_max),
    FIELD(rpc_member, 8, "ProtocolMin", U8, protocol_min),
    FIELD(rpc_member, 9, "Status", STRING, status),
    FIELD(rpc_member, 10, "Tags", VALUE, tags),
};
STRUCTURE(rpc_member, member_fields);

static const struct msgpack_field key_response_fields[] = {
    FIELD(rpc_key_response, 0, "Keys", VALUE, keys),
    FIELD(rpc_key_response, 1, "Messages", VALUE, messages),
    FIELD(rpc_key_response, 2, "NumErr", I64, num_err),
    FIELD(rpc_key_response, 3, "NumNodes", I64, num_nodes),
    FIELD(rpc_key_response, 4, "NumResp", I64, num_resp),
};
STRUCTURE(rpc_key_response, key_response_fields);

static const struct msgpack_field coordinate_response_fields[] = {
    FIELD(rpc_coordinate_response, 0, "Coord", VALUE, coord),
    FIELD(rpc_coordinate_response, 1, "Ok", BOOL, ok),
};
STRUCTURE(rpc_coordinate_response, coordinate_response_fields);

static const struct msgpack_field coordinate_fields[] = {
    FIELD(rpc_coordinate, 0, "Adjustment", DOUBLE, adjustment),
    FIELD(rpc_coordinate, 1, "Error", DOUBLE, error),
    FIELD(rpc_coordinate, 2, "Height", DOUBLE, height),
    FIELD(rpc_coordinate, 3, "Vec", VALUE, vec),
};
STRUCTURE(rpc_coordinate, coordinate_fields);

static const struct msgpack_field member_event_record_fields[] = {
    FIELD(rpc_member_event_record, 0, "Event", STRING, event),
    FIELD(rpc_member_event_record, 1, "Members", VALUE, members),
};
STRUCTURE(rpc_member_event_record, member_event_record_fields);

static const struct msgpack_field user_event_record_fields[] = {
    FIELD(rpc_user_event_record, 0, "Coalesce", BOOL, coalesce),
    FIELD(rpc_user_event_record, 1, "Event", STRING, event),
    FIELD(rpc_user_event_record, 2, "LTime", U64, ltime),
    FIELD(rpc_user_event_record, 3, "Name", STRING, name),
    FIELD(rpc_user_event_record, 4, "Payload", BYTES, payload),
};
STRUCTURE(rpc_user_event_record, user_event_record_fields);

static const struct msgpack_field query_event_record_fields[] = {
    FIELD(rpc_query_event_record, 0, "Event", STRING, event),
    FIELD(rpc_query_event_record, 1, "ID", U64, id),
    FIELD(rpc_query_event_record, 2, "LTime", U64, ltime),
    FIELD(rpc_query_event_record, 3, "Name", STRING, name),
    FIELD(rpc_query_event_record, 4, "Payload", BYTES, payload),
};
STRUCTURE(rpc_query_event_record, query_event_record_fields);

static const struct msgpack_field log_record_fields[] = {
    FIELD(rpc_log_record, 0, "Log", STRING, log),
};
STRUCTURE(rpc_log_record, log_record_fields);

static const struct msgpack_field query_record_fields[] = {
    FIELD(rpc_query_record, 0, "From", STRING, from),
    FIELD(rpc_query_record, 1, "Payload", BYTES, payload),
    FIELD(rpc_query_record, 2, "Type", STRING, type),
};
STRUCTURE(rpc_query_record, query_record_fields);

/* The body of `stats` is a map of maps, which no table describes. */
const struct rpc_command_info rpc_commands[RPC_COMMAND_COUNT] = {
    [RPC_HANDSHAKE] = {"handshake", &rpc_handshake_structure, NULL},
    [RPC_AUTH] = {"auth", &rpc_auth_structure, NULL},
    [RPC_EVENT] = {"event", &rpc_event_structure, NULL},
    [RPC_FORCE_LEAVE] = {"force-leave", &rpc_force_leave_structure, NULL},
    [RPC_JOIN] = {"join", &rpc_join_structure, &rpc_join_response_structure},
    [RPC_MEMBERS] = {"members", NULL, &rpc_members_response_structure},
    [RPC_MEMBERS_FILTERED] = {"members-filtered", &rpc_members_filtered_structure,
                              &rpc_members_response_structure},
    [RPC_TAGS] = {"tags", &rpc_tags_structure, NULL},
    [RPC_STREAM] = {"stream", &rpc_stream_structure, NULL},
    [RPC_MONITOR] = {"monitor", &rpc_monitor_structure, NULL},
    [RPC_STOP] = {"stop", &rpc_stop_structure, NULL},
    [RPC_LEAVE] = {"leave", NULL, NULL},
    [RPC_QUERY] = {"query", &rpc_query_structure, NULL},
    [RPC_RESPOND] = {"respond", &rpc_respond_structure, NULL},
    [RPC_INSTALL_KEY] = {"install-key", &rpc_key_structure, &rpc_key_response_structure},
    [RPC_USE_KEY] = {"use-key", &rpc_key_structure, &rpc_key_response_structure},
    [RPC_REMOVE_KEY] = {"remove-key", &rpc_key_structure, &rpc_key_response_structure},
    [RPC_LIST_KEYS] = {"list-keys", NULL, &rpc_key_response_structure},
    [RPC_STATS] = {"stats", NULL, NULL},
    [RPC_GET_COORDINATE] = {"get-coordinate", &rpc_get_coordinate_structure,
                            &rpc_coordinate_response_structure},
};

enum rpc_command rpc_command_find(struct span name)
{
    int command = 0;
    while (command < RPC_COMMAND_COUNT && !span_equal_text(name, rpc_commands[command].name))
        command++;
    return (enum rpc_command)command;
}

bool rpc_list_open(struct rpc_walker *walker, struct span value)
{
    *walker = (struct rpc_walker){msgpack_reader_of(value), 0, false};
    return value.size == 0 || msgpack_read_array(&walker->reader, &walker->left) == MSGPACK_OK;
}

bool rpc_map_open(struct rpc_walker *walker, struct span value)
{
    *walker = (struct rpc_walker){msgpack_reader_of(value), 0, false};
    return value.size == 0 || msgpack_read_map(&walker->reader, &walker->left) == MSGPACK_OK;
}

/* Counts one element down; false at the end. */
static bool advance(struct rpc_walker *walker)
{
    if (walker->left == 0 || walker->failed)
        return false;
    walker->left--;
    return true;
}

bool rpc_list_next(struct rpc_walker *walker, struct span *string)
{
    if (!advance(walker))
        return false;
    walker->failed = msgpack_read_bytes(&walker->reader, string) != MSGPACK_OK;
    return !walker->failed;
}

bool rpc_map_next(struct rpc_walker *walker, struct span *key, struct span *string)
{
    if (!advance(walker))
        return false;
    walker->failed = msgpack_read_bytes(&walker->reader, key) != MSGPACK_OK ||
                     msgpack_read_bytes(&walker->reader, string) != MSGPACK_OK;
    return !walker->failed;
}

bool rpc_member_next(struct rpc_walker *walker, struct rpc_member *member)
{
    if (!advance(walker))
        return false;
    walker->failed =
        msgpack_read_structure(&walker->reader, &rpc_member_structure, member) != MSGPACK_OK;
    return !walker->failed;
}

/* The captures of the agent specification, 5.2 and 5.5, read and written. */
#include "capture.h"
#include "rpc_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Reads the capture, which must be one whole object, into `message`; its spans borrow from
 * `bytes`. */
static void read_capture(const char *hex, const struct msgpack_structure *structure,
                         struct buffer *bytes, void *message)
{
    buffer_init(bytes, 4096);
    append_hex(bytes, hex);
    struct msgpack_reader reader = msgpack_reader_of(buffer_span(bytes));
    assert_int_equal(msgpack_read_structure(&reader, structure, message), MSGPACK_OK);
    assert_int_equal(reader.offset, bytes->size);
}

static void writes_back(const struct buffer *bytes, const struct msgpack_structure *structure,
                        const void *message)
{
    struct buffer out;
    buffer_init(&out, 4096);
    msgpack_write_structure(&out, structure, MSGPACK_RPC, message);
    assert_false(out.failed);
    assert_int_equal(out.size, bytes->size);
    assert_memory_equal(out.data, bytes->data, out.size);
    buffer_fini(&out);
}

#define assert_text(span, text) assert_true(span_equal_text((span), (text)))

static void headers_and_handshake(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_request_header request;
    read_capture("82a7436f6d6d616e64a968616e647368616b65a353657101", &rpc_request_header_structure,
                 &bytes, &request);
    assert_text(request.command, "handshake");
    assert_int_equal(request.seq, 1);
    writes_back(&bytes, &rpc_request_header_structure, &request);
    buffer_fini(&bytes);

    struct rpc_handshake handshake;
    read_capture("81a756657273696f6e01", &rpc_handshake_structure, &bytes, &handshake);
    assert_int_equal(handshake.version, 1);
    writes_back(&bytes, &rpc_handshake_structure, &handshake);
    buffer_fini(&bytes);

    struct rpc_response_header response;
    read_capture("82a54572726f72a0a353657101", &rpc_response_header_structure, &bytes, &response);
    assert_int_equal(response.error.size, 0);
    writes_back(&bytes, &rpc_response_header_structure, &response);
    buffer_fini(&bytes);
}

static void errors_of_32_bytes_are_str8(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_response_header response = {span_text("Stream with given sequence exists"), 2};
    buffer_init(&bytes, 256);
    append_hex(&bytes, "82a54572726f72d921");
    buffer_append_text(&bytes, "Stream with given sequence exists");
    append_hex(&bytes, "a353657102");
    writes_back(&bytes, &rpc_response_header_structure, &response);
    buffer_fini(&bytes);
}

static void auth_and_force_leave(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_auth auth;
    read_capture("81a7417574684b6579a46b657931", &rpc_auth_structure, &bytes, &auth);
    assert_text(auth.auth_key, "key1");
    writes_back(&bytes, &rpc_auth_structure, &auth);
    buffer_fini(&bytes);

    struct rpc_force_leave leave;
    read_capture("82a44e6f6465a27a7aa55072756e65c3", &rpc_force_leave_structure, &bytes, &leave);
    assert_text(leave.node, "zz");
    assert_true(leave.prune);
    writes_back(&bytes, &rpc_force_leave_structure, &leave);
    buffer_fini(&bytes);
}

static void events_and_queries(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_event event;
    read_capture("83a8436f616c65736365c2a44e616d65a165a75061796c6f6164c40170", &rpc_event_structure,
                 &bytes, &event);
    assert_false(event.coalesce);
    assert_text(event.name, "e");
    assert_text(event.payload, "p");
    writes_back(&bytes, &rpc_event_structure, &event);
    buffer_fini(&bytes);

    struct rpc_query query;
    read_capture("87ab46696c7465724e6f64657391a26e31aa46696c7465725461677381a4726f6c65a177"
                 "a44e616d65a171a75061796c6f6164c402706cab52656c6179466163746f7200"
                 "aa5265717565737441636bc3a754696d656f7574d211e1a300",
                 &rpc_query_structure, &bytes, &query);
    assert_int_equal(query.timeout, 300000000);
    assert_true(query.request_ack);
    assert_text(query.payload, "pl");
    buffer_fini(&bytes);
}

static void join_and_its_answer(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_join join;
    read_capture("82a84578697374696e6792a93132372e302e302e31a93132372e302e302e39a65265706c6179c3",
                 &rpc_join_structure, &bytes, &join);
    assert_true(join.replay);
    struct rpc_walker walker;
    struct span address;
    assert_true(rpc_list_open(&walker, join.existing));
    assert_true(rpc_list_next(&walker, &address));
    assert_text(address, "127.0.0.1");
    assert_true(rpc_list_next(&walker, &address));
    assert_text(address, "127.0.0.9");
    assert_false(rpc_list_next(&walker, &address));
    assert_false(walker.failed);
    writes_back(&bytes, &rpc_join_structure, &join);
    buffer_fini(&bytes);

    struct rpc_join_response response;
    read_capture("81a34e756d01", &rpc_join_response_structure, &bytes, &response);
    assert_int_equal(response.num, 1);
    writes_back(&bytes, &rpc_join_response_structure, &response);
    buffer_fini(&bytes);
}

static void filters_and_members(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_members_filtered filter;
    read_capture("83a44e616d65a0a6537461747573a0a45461677381a4726f6c65a27765",
                 &rpc_members_filtered_structure, &bytes, &filter);
    struct rpc_walker walker;
    struct span key, value;
    assert_true(rpc_map_open(&walker, filter.tags));
    assert_true(rpc_map_next(&walker, &key, &value));
    assert_text(key, "role");
    assert_text(value, "we");
    assert_false(rpc_map_next(&walker, &key, &value));
    writes_back(&bytes, &rpc_members_filtered_structure, &filter);
    buffer_fini(&bytes);

    struct rpc_members_response none;
    read_capture("81a74d656d6265727390", &rpc_members_response_structure, &bytes, &none);
    assert_true(rpc_list_open(&walker, none.members));
    assert_int_equal(walker.left, 0);
    writes_back(&bytes, &rpc_members_response_structure, &none);
    buffer_fini(&bytes);
}

static void one_member(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_members_response response;
    read_capture("81a74d656d62657273918ba441646472c4047f000002ab44656c656761746543757205"
                 "ab44656c65676174654d617805ab44656c65676174654d696e02a44e616d65a26e32"
                 "a4506f7274cd1f0aab50726f746f636f6c43757202ab50726f746f636f6c4d617805"
                 "ab50726f746f636f6c4d696e01a6537461747573a5616c697665a45461677381a4726f6c65a26462",
                 &rpc_members_response_structure, &bytes, &response);
    writes_back(&bytes, &rpc_members_response_structure, &response);
    struct rpc_walker walker;
    struct rpc_member member;
    assert_true(rpc_list_open(&walker, response.members));
    assert_true(rpc_member_next(&walker, &member));
    assert_memory_equal(member.addr.data, "\x7f\0\0\x02", 4);
    assert_text(member.name, "n2");
    assert_text(member.status, "alive");
    assert_int_equal(member.port, 7946);
    assert_int_equal(member.delegate_cur, 5);
    assert_int_equal(member.delegate_max, 5);
    assert_int_equal(member.delegate_min, 2);
    assert_int_equal(member.protocol_cur, 2);
    assert_int_equal(member.protocol_max, 5);
    assert_int_equal(member.protocol_min, 1);
    struct buffer again;
    buffer_init(&again, 4096);
    append_hex(&again, "81a74d656d6265727391");
    msgpack_write_structure(&again, &rpc_member_structure, MSGPACK_RPC, &member);
    assert_int_equal(again.size, bytes.size);
    assert_memory_equal(again.data, bytes.data, again.size);
    assert_false(rpc_member_next(&walker, &member));
    buffer_fini(&again);
    buffer_fini(&bytes);
}

static void records(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_query_record query;
    read_capture("83a446726f6da26e31a75061796c6f6164c0a454797065a361636b",
                 &rpc_query_record_structure, &bytes, &query);
    assert_text(query.type, "ack");
    assert_null(query.payload.data);
    writes_back(&bytes, &rpc_query_record_structure, &query);
    buffer_fini(&bytes);
    read_capture("83a446726f6da26e31a75061796c6f6164c4057265737021a454797065a8726573706f6e7365",
                 &rpc_query_record_structure, &bytes, &query);
    writes_back(&bytes, &rpc_query_record_structure, &query);
    buffer_fini(&bytes);

    struct rpc_user_event_record user;
    read_capture("85a8436f616c65736365c2a54576656e74a475736572a54c54696d6501a44e616d65"
                 "a66465706c6f79a75061796c6f6164c40568656c6c6f",
                 &rpc_user_event_record_structure, &bytes, &user);
    assert_text(user.name, "deploy");
    assert_int_equal(user.ltime, 1);
    writes_back(&bytes, &rpc_user_event_record_structure, &user);
    buffer_fini(&bytes);

    struct rpc_query_event_record event;
    read_capture("85a54576656e74a57175657279a2494401a54c54696d6501a44e616d65a46c6f6164"
                 "a75061796c6f6164c4027070",
                 &rpc_query_event_record_structure, &bytes, &event);
    assert_int_equal(event.id, 1);
    writes_back(&bytes, &rpc_query_event_record_structure, &event);
    buffer_fini(&bytes);

    static const char line[] = "2026/11/22 13:49:17 [INFO] agent: Serf agent starting";
    const struct rpc_log_record record = {span_text(line)};
    buffer_init(&bytes, 256);
    append_hex(&bytes, "81a34c6f67d935");
    buffer_append_text(&bytes, line);
    writes_back(&bytes, &rpc_log_record_structure, &record);
    buffer_fini(&bytes);
}

static void streams_monitors_and_stop(void **state)
{
    (void)state;
    struct buffer bytes;
    struct rpc_stream stream;
    read_capture("81a454797065a12a", &rpc_stream_structure, &bytes, &stream);
    assert_text(stream.type, "*");
    writes_back(&bytes, &rpc_stream_structure, &stream);
    buffer_fini(&bytes);
    struct rpc_monitor monitor;
    read_capture("81a84c6f674c6576656ca47761726e", &rpc_monitor_structure, &bytes, &monitor);
    assert_text(monitor.log_level, "warn");
    writes_back(&bytes, &rpc_monitor_structure, &monitor);
    buffer_fini(&bytes);
    struct rpc_stop stop;
    read_capture("81a453746f7004", &rpc_stop_structure, &bytes, &stop);
    assert_int_equal(stop.stop, 4);
    writes_back(&bytes, &rpc_stop_structure, &stop);
    buffer_fini(&bytes);
}

static void walkers_stop_at_a_wrong_type(void **state)
{
    (void)state;
    struct rpc_walker walker;
    struct span string;
    assert_false(rpc_list_open(&walker, span_make("\x81\xa1x\x01", 4)));
    assert_false(rpc_map_open(&walker, span_make("\x91\x01", 2)));
    assert_true(rpc_list_open(&walker, span_make("\x92\xa1x\x01", 4)));
    assert_true(rpc_list_next(&walker, &string));
    assert_false(rpc_list_next(&walker, &string));
    assert_true(walker.failed);
    assert_true(rpc_list_open(&walker, SPAN_EMPTY));
    assert_false(rpc_list_next(&walker, &string));
    assert_false(walker.failed);
}

static void commands_are_found_by_their_exact_name(void **state)
{
    (void)state;
    for (int i = 0; i < RPC_COMMAND_COUNT; i++)
        assert_int_equal(rpc_command_find(span_text(rpc_commands[i].name)), i);
    assert_int_equal(rpc_command_find(span_text("Members")), RPC_COMMAND_COUNT);
    assert_int_equal(rpc_command_find(SPAN_EMPTY), RPC_COMMAND_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_and_handshake),
        cmocka_unit_test(errors_of_32_bytes_are_str8),
        cmocka_unit_test(auth_and_force_leave),
        cmocka_unit_test(events_and_queries),
        cmocka_unit_test(join_and_its_answer),
        cmocka_unit_test(filters_and_members),
        cmocka_unit_test(one_member),
        cmocka_unit_test(records),
        cmocka_unit_test(streams_monitors_and_stop),
        cmocka_unit_test(walkers_stop_at_a_wrong_type),
        cmocka_unit_test(commands_are_found_by_their_exact_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

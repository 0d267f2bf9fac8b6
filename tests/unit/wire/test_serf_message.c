/* The byte vectors of the Serf specification (Appendix A), decoded and encoded. */
#include "hex.h"
#include "packet.h"
#include "serf_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Decodes the bytes behind the type byte, and encodes what came out: the same bytes. */
static void read_and_write_back(struct span bytes, enum serf_message_type type,
                                const struct msgpack_structure *structure, void *value)
{
    struct buffer out;
    buffer_init(&out, 2000);
    struct msgpack_reader reader = msgpack_reader_of(span_from(bytes, 1));
    assert_int_equal(bytes.data[0], type);
    assert_int_equal(msgpack_read_structure(&reader, structure, value), MSGPACK_OK);
    assert_int_equal(msgpack_rest(&reader).size, 0);
    serf_message_write(&out, type, structure, value);
    assert_false(out.failed);
    assert_bytes(buffer_span(&out), bytes);
    buffer_fini(&out);
}

static bool read_only(const char *body, const struct msgpack_structure *structure, void *value)
{
    struct msgpack_reader reader = msgpack_reader_of(hex(body));
    return msgpack_read_structure(&reader, structure, value) == MSGPACK_OK;
}

static void join(void **state)
{
    (void)state;
    struct join_intent m;
    read_and_write_back(hex("0182a54c54696d6501a44e6f6465a26e31"), SERF_JOIN,
                        &join_intent_structure, &m);
    assert_int_equal(m.ltime, 1);
    assert_bytes_text(m.node, "n1");
}

static void join_as_an_array(void **state)
{
    (void)state;
    struct join_intent m;
    assert_true(read_only("924da3617272", &join_intent_structure, &m));
    assert_int_equal(m.ltime, 77);
    assert_bytes_text(m.node, "arr");
}

static void leave_with_and_without_prune(void **state)
{
    (void)state;
    struct leave_intent m;
    read_and_write_back(hex("0083a54c54696d6502a44e6f6465a27031a55072756e65c2"), SERF_LEAVE,
                        &leave_intent_structure, &m);
    assert_int_equal(m.ltime, 2);
    assert_bytes_text(m.node, "p1");
    assert_false(m.prune);
    read_and_write_back(hex("0083a54c54696d6560a44e6f6465a26e32a55072756e65c3"), SERF_LEAVE,
                        &leave_intent_structure, &m);
    assert_int_equal(m.ltime, 96);
    assert_true(m.prune);
    assert_true(read_only("82a54c54696d6508a44e6f6465a567686f7374", &leave_intent_structure, &m));
    assert_int_equal(m.ltime, 8);
    assert_bytes_text(m.node, "ghost");
    assert_false(m.prune);
}

static void user_events(void **state)
{
    (void)state;
    struct user_event_message m;
    read_and_write_back(
        hex("0384a24343c2a54c54696d6501a44e616d65a66465706c6f79a75061796c6f6164a568656c6c6f"),
        SERF_USER_EVENT, &user_event_structure, &m);
    assert_int_equal(m.ltime, 1);
    assert_bytes_text(m.name, "deploy");
    assert_bytes_text(m.payload, "hello");
    assert_false(m.coalesce);
    read_and_write_back(
        hex("0384a24343c3a54c54696d6502a44e616d65a66465706c6f79a75061796c6f6164a568656c6c6f"),
        SERF_USER_EVENT, &user_event_structure, &m);
    assert_true(m.coalesce);
    read_and_write_back(
        hex("0384a24343c3a54c54696d6503a44e616d65a96e6f7061796c6f6164a75061796c6f6164c0"),
        SERF_USER_EVENT, &user_event_structure, &m);
    assert_int_equal(m.ltime, 3);
    assert_null(m.payload.data);
}

static void query_with_its_timeout_in_the_old_and_the_new_form(void **state)
{
    (void)state;
    static const char head[] =
        "048ba441646472a47f4d000ba746696c74657273c0a5466c61677301a24944ce3ea20bf4a54c54696d6501a44e"
        "616d65a6757074696d65a75061796c6f6164a178a4506f7274cd1f0aab52656c6179466163746f7200aa536f75"
        "7263654e6f6465a26e31a754696d656f7574";
    struct span bytes = joined(hex(head), hex("ce3b9aca00"));
    assert_int_equal(bytes.size, 113);
    struct query_message m;
    read_and_write_back(bytes, SERF_QUERY, &query_structure, &m);
    assert_int_equal(m.ltime, 1);
    assert_int_equal(m.id, 1050807284);
    assert_bytes(m.address, hex("7f4d000b"));
    assert_int_equal(m.port, 7946);
    assert_bytes_text(m.source_node, "n1");
    assert_bytes(m.filters, hex("c0"));
    assert_int_equal(m.flags, QUERY_FLAG_ACK);
    assert_int_equal(m.relay_factor, 0);
    assert_true(m.timeout_ns == 1000000000);
    assert_bytes_text(m.name, "uptime");
    assert_bytes_text(m.payload, "x");

    struct query_message new_form;
    struct msgpack_reader reader =
        msgpack_reader_of(span_from(joined(hex(head), hex("d23b9aca00")), 1));
    assert_int_equal(msgpack_read_structure(&reader, &query_structure, &new_form), MSGPACK_OK);
    assert_true(new_form.timeout_ns == m.timeout_ns);
}

static void query_with_filters(void **state)
{
    (void)state;
    struct span bytes =
        hex("048ba441646472a47f4d000ba746696c7465727393a80092a26e31a27031b30182a445787072a4656173"
            "74a3546167a26463b40182a445787072a3772e2aa3546167a4726f6c65a5466c61677301a24944ce731e3e"
            "29a54c54696d6503a44e616d65a466696c74a75061796c6f6164a27070a4506f7274cd1f0aab52656c6179"
            "466163746f7200aa536f757263654e6f6465a26e31a754696d656f7574ce0bebc200");
    assert_int_equal(bytes.size, 162);
    struct query_message m;
    read_and_write_back(bytes, SERF_QUERY, &query_structure, &m);
    assert_int_equal(m.ltime, 3);
    assert_true(m.timeout_ns == 200000000);
    static const char *const filters[] = {
        "0092a26e31a27031",
        "0182a445787072a465617374a3546167a26463",
        "0182a445787072a3772e2aa3546167a4726f6c65",
    };
    struct msgpack_reader reader = msgpack_reader_of(m.filters);
    uint32_t count;
    assert_int_equal(msgpack_read_array(&reader, &count), MSGPACK_OK);
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i < count; i++) {
        struct span filter;
        assert_int_equal(msgpack_read_bytes(&reader, &filter), MSGPACK_OK);
        assert_bytes(filter, hex(filters[i]));
    }
}

static void query_with_relay_factor_and_a_long_payload(void **state)
{
    (void)state;
    struct span bytes = hex(
        "048ba441646472a47f4d000ba746696c74657273c0a5466c61677300a24944ce5b4408a1a54c54696d6504"
        "a44e616d65a56e6f61636ba75061796c6f6164da002878787878787878787878787878787878787878787878"
        "787878787878787878787878787878787878a4506f7274cd1f0aab52656c6179466163746f7202aa536f7572"
        "63654e6f6465a26e31a754696d656f7574ce0bebc200");
    assert_int_equal(bytes.size, 153);
    struct query_message m;
    read_and_write_back(bytes, SERF_QUERY, &query_structure, &m);
    assert_int_equal(m.relay_factor, 2);
    assert_int_equal(m.flags, 0);
    assert_bytes(m.payload, repeated('x', 40));
}

static void query_of_an_old_sender_lacks_fields(void **state)
{
    (void)state;
    struct query_message m;
    assert_true(read_only("82a24944ce3ea20bf4a44e616d65a6757074696d65", &query_structure, &m));
    assert_int_equal(m.id, 1050807284);
    assert_int_equal(m.filters.size, 0);
    assert_int_equal(m.source_node.size, 0);
    assert_int_equal(m.relay_factor, 0);
}

static void query_ack_and_response(void **state)
{
    (void)state;
    struct query_response_message m;
    read_and_write_back(
        hex("0585a5466c61677301a446726f6da26e32a24944cd1092a54c54696d6564a75061796c6f6164c0"),
        SERF_QUERY_RESPONSE, &query_response_structure, &m);
    assert_int_equal(m.ltime, 100);
    assert_int_equal(m.id, 4242);
    assert_bytes_text(m.from, "n2");
    assert_int_equal(m.flags, 1);
    assert_null(m.payload.data);
    read_and_write_back(hex("0585a5466c61677300a446726f6da26e32a24944cd1092a54c54696d6564a75061796c"
                            "6f6164ac726573702d66726f6d2d6e32"),
                        SERF_QUERY_RESPONSE, &query_response_structure, &m);
    assert_int_equal(m.flags, 0);
    assert_bytes_text(m.payload, "resp-from-n2");
}

static void relay_holds_one_complete_message(void **state)
{
    (void)state;
    struct span header = hex("0982a8446573744164647283a24950a47f4d000ba4506f7274cd1f0aa45a6f6e65a0"
                             "a8446573744e616d65a26e31");
    struct span inner = hex("0585a5466c61677301a446726f6da26e32a24944ce050c4b00a54c54696d6501a75061"
                            "796c6f6164c0");
    struct relay_header m;
    read_and_write_back(header, SERF_RELAY, &relay_header_structure, &m);
    assert_bytes_text(m.destination_name, "n1");

    struct relay_address address;
    struct msgpack_reader reader = msgpack_reader_of(m.destination);
    assert_int_equal(msgpack_read_structure(&reader, &relay_address_structure, &address),
                     MSGPACK_OK);
    assert_bytes(address.address, hex("7f4d000b"));
    assert_int_equal(address.port, 7946);
    assert_int_equal(address.zone.size, 0);
    struct buffer out;
    buffer_init(&out, 100);
    msgpack_write_structure(&out, &relay_address_structure, MSGPACK_GOSSIP, &address);
    assert_bytes(buffer_span(&out), m.destination);
    buffer_fini(&out);

    reader = msgpack_reader_of(span_from(joined(header, inner), 1));
    assert_int_equal(msgpack_read_structure(&reader, &relay_header_structure, &m), MSGPACK_OK);
    assert_bytes(msgpack_rest(&reader), inner);
    struct query_response_message response;
    read_and_write_back(inner, SERF_QUERY_RESPONSE, &query_response_structure, &response);
    assert_int_equal(response.id, 84691712);

    /* the port as newer senders write it */
    assert_true(read_only("83a24950a47f4d000ba4506f7274d11f0aa45a6f6e65a0",
                          &relay_address_structure, &address));
    assert_int_equal(address.port, 7946);
}

static void conflict_query_and_answers(void **state)
{
    (void)state;
    struct query_message query;
    read_and_write_back(
        hex("048ba441646472a47f4d000ba746696c74657273c0a5466c61677300a24944ce0eb5fc7ba54c54696d6501"
            "a44e616d65ae5f736572665f636f6e666c696374a75061796c6f6164a26e31a4506f7274cd1f0aab52656c"
            "61"
            "79466163746f7200aa536f757263654e6f6465a26e31a754696d656f7574cebebc2000"),
        SERF_QUERY, &query_structure, &query);
    assert_int_equal(query.id, 246807675);
    assert_true(query.timeout_ns == INT64_C(3200000000));
    assert_bytes_text(query.name, "_serf_conflict");

    struct conflict_response m;
    read_and_write_back(
        hex("068ba441646472a47f4d000bab44656c656761746543757205ab44656c65676174654d617805ab44656c65"
            "676174654d696e02a44e616d65a26e31a4506f7274cd1f0aab50726f746f636f6c43757202ab50726f746f"
            "636f6c4d617805ab50726f746f636f6c4d696e01a653746174757301a45461677381a4726f6c65a377656"
            "2"),
        SERF_CONFLICT_RESPONSE, &conflict_response_structure, &m);
    assert_bytes_text(m.name, "n1");
    assert_int_equal(m.port, 7946);
    assert_int_equal(m.status, 1);
    assert_int_equal(m.protocol_min, 1);
    assert_int_equal(m.protocol_max, 5);
    assert_int_equal(m.protocol_current, 2);
    assert_int_equal(m.delegate_min, 2);
    assert_int_equal(m.delegate_max, 5);
    assert_int_equal(m.delegate_current, 5);
    assert_bytes(m.tags, hex("81a4726f6c65a3776562"));

    assert_true(read_only("c0", &conflict_response_structure, &m)); /* of 06c0: unknown */
    assert_int_equal(m.name.size, 0);
}

static void key_requests(void **state)
{
    (void)state;
    struct key_request m;
    read_and_write_back(hex("0781a34b6579b030313233343536373839616263646566"), SERF_KEY_REQUEST,
                        &key_request_structure, &m);
    assert_bytes_text(m.key, "0123456789abcdef");
    read_and_write_back(hex("0781a34b6579a0"), SERF_KEY_REQUEST, &key_request_structure, &m);
    assert_int_equal(m.key.size, 0);
}

static void key_responses(void **state)
{
    (void)state;
    struct key_response m;
    read_and_write_back(
        hex("0884a44b657973c0a74d657373616765a0aa5072696d6172794b6579a0a6526573756c74c3"),
        SERF_KEY_RESPONSE, &key_response_structure, &m);
    assert_true(m.result);
    assert_bytes(m.keys, hex("c0"));
    read_and_write_back(
        hex("0884a44b657973c0a74d657373616765da002d4e6f206b657972696e6720746f206d6f646966792028656e"
            "6372797074696f6e206e6f7420656e61626c656429aa5072696d6172794b6579a0a6526573756c74c2"),
        SERF_KEY_RESPONSE, &key_response_structure, &m);
    assert_false(m.result);
    assert_bytes_text(m.message, "No keyring to modify (encryption not enabled)");
    read_and_write_back(
        hex("0884a44b657973c0a74d657373616765da00236b65792073697a65206d7573742062652031362c20323420"
            "6f72203332206279746573aa5072696d6172794b6579a0a6526573756c74c2"),
        SERF_KEY_RESPONSE, &key_response_structure, &m);
    assert_bytes_text(m.message, "key size must be 16, 24 or 32 bytes");
    read_and_write_back(
        hex("0884a44b65797393b8415145424151454241514542415145424151454241513d3db8416749434167494341"
            "6"
            "749434167494341674943"
            "41673d3db841774d4441774d4441774d4441774d4441774d4441773d3da74d657373616765a0aa5072696d"
            "61"
            "72794b6579b8415145424151454241514542415145424151454241513d3da6526573756c74c3"),
        SERF_KEY_RESPONSE, &key_response_structure, &m);
    assert_bytes_text(m.primary_key, "AQEBAQEBAQEBAQEBAQEBAQ==");
    struct msgpack_reader reader = msgpack_reader_of(m.keys);
    uint32_t count;
    struct span key;
    assert_int_equal(msgpack_read_array(&reader, &count), MSGPACK_OK);
    assert_int_equal(count, 3);
    assert_int_equal(msgpack_read_bytes(&reader, &key), MSGPACK_OK);
    assert_bytes_text(key, "AQEBAQEBAQEBAQEBAQEBAQ==");
}

static void push_pull_of_a_fresh_node(void **state)
{
    (void)state;
    struct span bytes = joined(
        joined(hex("0286aa4576656e744c54696d6501a64576656e7473dc0200"), repeated(0xc0, 512)),
        hex("a54c54696d6501ab4c6566744d656d6265727390aa51756572794c54696d6501ac5374617475734c54696d"
            "657381a26e3100"));
    assert_int_equal(bytes.size, 586);
    struct serf_push_pull m;
    read_and_write_back(bytes, SERF_PUSH_PULL, &serf_push_pull_structure, &m);
    assert_int_equal(m.ltime, 1);
    assert_int_equal(m.event_ltime, 1);
    assert_int_equal(m.query_ltime, 1);
    assert_bytes(m.left_members, hex("90"));

    struct msgpack_reader reader = msgpack_reader_of(m.status_ltimes);
    uint32_t count;
    struct span name;
    uint64_t ltime;
    assert_int_equal(msgpack_read_map(&reader, &count), MSGPACK_OK);
    assert_int_equal(count, 1);
    assert_int_equal(msgpack_read_bytes(&reader, &name), MSGPACK_OK);
    assert_int_equal(msgpack_read_unsigned(&reader, UINT64_MAX, &ltime), MSGPACK_OK);
    assert_bytes_text(name, "n1");
    assert_int_equal(ltime, 0);

    reader = msgpack_reader_of(m.events);
    assert_int_equal(msgpack_read_array(&reader, &count), MSGPACK_OK);
    assert_int_equal(count, 512);
}

static void event_slots_of_a_push_pull(void **state)
{
    (void)state;
    struct span bytes = hex(
        "c082a64576656e74739182a44e616d65a66465706c6f79a75061796c6f6164a568656c6c6fa54c54696d65"
        "0182a64576656e74739182a44e616d65a66465706c6f79a75061796c6f6164a568656c6c6fa54c54696d6502");
    struct msgpack_reader reader = msgpack_reader_of(bytes);
    struct buffer out;
    buffer_init(&out, 1000);
    for (uint64_t i = 0; i < 3; i++) {
        struct event_slot_message slot;
        assert_int_equal(msgpack_read_structure(&reader, &event_slot_structure, &slot), MSGPACK_OK);
        assert_int_equal(slot.ltime, i); /* the empty slot reads as zero */
        if (i == 0)
            continue;
        struct msgpack_reader entries = msgpack_reader_of(slot.events);
        uint32_t count;
        struct event_slot_entry entry;
        assert_int_equal(msgpack_read_array(&entries, &count), MSGPACK_OK);
        assert_int_equal(count, 1);
        assert_int_equal(msgpack_read_structure(&entries, &event_slot_entry_structure, &entry),
                         MSGPACK_OK);
        assert_bytes_text(entry.name, "deploy");
        assert_bytes_text(entry.payload, "hello");

        struct buffer list;
        buffer_init(&list, 1000);
        msgpack_write_array(&list, 1);
        msgpack_write_structure(&list, &event_slot_entry_structure, MSGPACK_GOSSIP, &entry);
        struct event_slot_message copy = {.ltime = i, .events = buffer_span(&list)};
        msgpack_write_structure(&out, &event_slot_structure, MSGPACK_GOSSIP, &copy);
        buffer_fini(&list);
    }
    assert_bytes(buffer_span(&out), span_from(bytes, 1));
    buffer_fini(&out);
}

static void whole_datagrams_of_the_gossip_path(void **state)
{
    (void)state;
    static const char *const datagrams[] = {
        "0ce7673c57080384a24343c2a54c54696d6501a44e616d65a66465706c6f79a75061796c6f6164a27631",
        "0c28972c14080384a24343c3a54c54696d6502a44e616d65a66465706c6f79a75061796c6f6164a27632",
        "0c91b06f35080083a54c54696d6503a44e6f6465a26e32a55072756e65c2",
    };
    struct random random;
    struct wire_codec codec;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){1});
    wire_codec_init(&codec, &random);
    codec.compress = false;
    for (size_t i = 0; i < 3; i++) {
        struct packet_reader reader;
        struct packet_problem problem;
        struct span message;
        assert_int_equal(packet_open(&reader, &codec, hex(datagrams[i])).error, PACKET_OK);
        assert_true(packet_next(&reader, &message, &problem));
        assert_int_equal(problem.error, PACKET_OK);
        assert_int_equal(message.data[0], MESSAGE_USER);
        assert_int_equal(message.data[1], i < 2 ? SERF_USER_EVENT : SERF_LEAVE);

        struct compound compound;
        struct buffer out;
        compound_init(&compound);
        buffer_init(&out, 1000);
        assert_true(compound_add(&compound, message));
        assert_true(packet_seal(&codec, &compound, true, &out));
        assert_bytes(buffer_span(&out), hex(datagrams[i]));
        buffer_fini(&out);
        compound_fini(&compound);
        assert_false(packet_next(&reader, &message, &problem));
    }
    wire_codec_fini(&codec);
}

static void coordinates(void **state)
{
    (void)state;
    struct span zeros = SPAN_EMPTY;
    for (int i = 0; i < 8; i++)
        zeros = joined(zeros, hex("cb0000000000000000"));
    struct span origin = joined(
        hex("0184aa41646a7573746d656e74cb0000000000000000a54572726f72cb3ff8000000000000a6486569"
            "676874cb3ee4f8b588e368f1a356656398"),
        zeros);
    assert_int_equal(origin.size, 130);
    struct coordinate_message m;
    read_and_write_back(origin, (enum serf_message_type)1, &coordinate_structure, &m);
    assert_true(m.adjustment == 0.0 && m.error == 1.5 && m.height == 1e-05);

    struct span moved =
        hex("0184aa41646a7573746d656e74cb3efe3eb4c69bb04ba54572726f72cb3ff6f8599e6f4bffa64865696768"
            "74cb3ee4"
            "f8b588e368f1a356656398cbbf12aed0ed66fc24cbbf1266e95ebf5e66cbbf126d7cb29ba04fcbbec750e8"
            "0ec7c2"
            "0fcb3f0320dd38f2ffddcb3f0569835736413dcbbf04b560ea2ad96dcb3f16ede5c64bc517");
    read_and_write_back(moved, (enum serf_message_type)1, &coordinate_structure, &m);
    assert_true(m.adjustment == 2.8843828125000003e-05);
    assert_true(m.error == 1.4356323422296098);
    assert_true(m.height == 1e-05);
}

static void assert_next_tag(struct tag_reader *reader, const char *key, const char *value)
{
    struct span k;
    struct span v;
    assert_true(tag_reader_next(reader, &k, &v));
    assert_bytes_text(k, key);
    assert_bytes_text(v, value);
}

static void assert_no_more_tags(struct tag_reader *reader)
{
    struct span k;
    struct span v;
    assert_false(tag_reader_next(reader, &k, &v));
    assert_false(tag_reader_next(reader, &k, &v));
}

static void tags_of_protocol_3_and_later(void **state)
{
    (void)state;
    struct tag_reader reader;
    assert_true(tag_reader_open(&reader, hex("ff82a4726f6c65a3776562a178a179")));
    assert_next_tag(&reader, "role", "web");
    assert_next_tag(&reader, "x", "y");
    assert_no_more_tags(&reader);
    assert_true(tag_reader_open(&reader, hex("ff80")));
    assert_no_more_tags(&reader);
    assert_true(tag_reader_open(&reader, hex("ffc0")));
    assert_no_more_tags(&reader);
    assert_true(tag_reader_open(&reader, hex("ffde0001c40178d90179")));
    assert_next_tag(&reader, "x", "y");
    assert_no_more_tags(&reader);
}

static void tags_of_protocol_2_are_the_bare_role(void **state)
{
    (void)state;
    struct tag_reader reader;
    assert_true(tag_reader_open(&reader, hex("776562")));
    assert_next_tag(&reader, "role", "web");
    assert_no_more_tags(&reader);
    assert_true(tag_reader_open(&reader, SPAN_EMPTY));
    assert_next_tag(&reader, "role", "");
    assert_no_more_tags(&reader);
}

static void of_broken_tags_those_before_the_break_are_kept(void **state)
{
    (void)state;
    struct tag_reader reader;
    assert_false(tag_reader_open(&reader, hex("ff")));
    assert_false(tag_reader_open(&reader, hex("ff07")));
    assert_true(tag_reader_open(&reader, hex("ff83a178a179a17a07a161a162")));
    assert_next_tag(&reader, "x", "y");
    assert_no_more_tags(&reader);
    assert_true(tag_reader_open(&reader, hex("ffdfffffffffa178a179a1")));
    assert_next_tag(&reader, "x", "y");
    assert_no_more_tags(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join),
        cmocka_unit_test(join_as_an_array),
        cmocka_unit_test(leave_with_and_without_prune),
        cmocka_unit_test(user_events),
        cmocka_unit_test(query_with_its_timeout_in_the_old_and_the_new_form),
        cmocka_unit_test(query_with_filters),
        cmocka_unit_test(query_with_relay_factor_and_a_long_payload),
        cmocka_unit_test(query_of_an_old_sender_lacks_fields),
        cmocka_unit_test(query_ack_and_response),
        cmocka_unit_test(relay_holds_one_complete_message),
        cmocka_unit_test(conflict_query_and_answers),
        cmocka_unit_test(key_requests),
        cmocka_unit_test(key_responses),
        cmocka_unit_test(push_pull_of_a_fresh_node),
        cmocka_unit_test(event_slots_of_a_push_pull),
        cmocka_unit_test(whole_datagrams_of_the_gossip_path),
        cmocka_unit_test(coordinates),
        cmocka_unit_test(tags_of_protocol_3_and_later),
        cmocka_unit_test(tags_of_protocol_2_are_the_bare_role),
        cmocka_unit_test(of_broken_tags_those_before_the_break_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

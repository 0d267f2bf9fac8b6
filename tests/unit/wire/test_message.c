/* The body examples of the memberlist specification (2.6), decoded and encoded. */
#include "hex.h"
#include "message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const char ping_bytes[] =
    "0085a44e6f6465a462657461a55365714e6f01aa536f7572636541646472a47f00000baa536f757263654e6f6465"
    "a5616c706861aa536f75726365506f7274cd1f0a";
static const char ping_without_source_bytes[] = "0082a44e6f6465a462657461a55365714e6fcd012c";
static const char ping_32_bytes[] =
    "0082a44e6f6465da00206e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6ea55365714e"
    "6fcc80";
static const char indirect_ping_bytes[] =
    "0188a44e61636bc3a44e6f6465a462657461a4506f7274cd1f0aa55365714e6fce00011170aa536f75726365416464"
    "72a47f00000baa536f757263654e6f6465a5616c706861aa536f75726365506f7274cd1f0aa6546172676574a47f00"
    "000c";
static const char ack_null_bytes[] = "0282a75061796c6f6164c0a55365714e6f01";
static const char ack_hi_bytes[] = "0282a75061796c6f6164a26869a55365714e6f01";
static const char nack_bytes[] = "0b81a55365714e6f09";
static const char suspect_bytes[] =
    "0383a446726f6da5616c706861ab496e6361726e6174696f6e01a44e6f6465a567616d6d61";
static const char alive_v4_bytes[] =
    "0486a441646472a47f00000bab496e6361726e6174696f6e01a44d657461c0a44e6f6465a5616c706861a4506f7274"
    "cd1f0aa356736ea6010502020505";
static const char alive_v6_bytes[] =
    "0486a441646472b0fdfdfdfdfdfdfdfdfdfdfdfdfdfdfdfdab496e6361726e6174696f6eceffffffffa44d657461a1"
    "6da44e6f6465a5616c706861a4506f727450a356736ea6010502020504";
static const char dead_bytes[] =
    "0583a446726f6da5616c706861ab496e6361726e6174696f6e01a44e6f6465a567616d6d61";
static const char left_bytes[] =
    "0583a446726f6da462657461ab496e6361726e6174696f6e01a44e6f6465a462657461";
static const char error_bytes[] =
    "0d81a54572726f72da003a656e6372797074696f6e20697320636f6e66696775726564206275742072656d6f746520"
    "7374617465206973206e6f7420656e63727970746564";

/* Decodes the bytes behind the type byte, and encodes what came out: the same bytes. */
static void read_and_write_back(const char *text, enum message_type type,
                                const struct msgpack_structure *structure, void *value)
{
    struct span bytes = hex(text);
    struct buffer out;
    buffer_init(&out, 1000);
    assert_int_equal(bytes.data[0], type);
    assert_true(message_read(span_from(bytes, 1), structure, value));
    message_write(&out, type, structure, value);
    assert_false(out.failed);
    assert_bytes(buffer_span(&out), bytes);
    buffer_fini(&out);
}

static void ping(void **state)
{
    (void)state;
    struct ping_message m;
    read_and_write_back(ping_bytes, MESSAGE_PING, &ping_structure, &m);
    assert_int_equal(m.sequence, 1);
    assert_bytes_text(m.node, "beta");
    assert_bytes(m.source_address, hex("7f00000b"));
    assert_int_equal(m.source_port, 7946);
    assert_bytes_text(m.source_node, "alpha");

    read_and_write_back(ping_without_source_bytes, MESSAGE_PING, &ping_structure, &m);
    assert_int_equal(m.sequence, 300);
    assert_int_equal(m.source_address.size, 0);
    assert_int_equal(m.source_port, 0);
    assert_int_equal(m.source_node.size, 0);

    read_and_write_back(ping_32_bytes, MESSAGE_PING, &ping_structure, &m);
    assert_int_equal(m.sequence, 128);
    assert_bytes(m.node, repeated('n', 32));
}

static void indirect_ping(void **state)
{
    (void)state;
    struct indirect_ping_message m;
    read_and_write_back(indirect_ping_bytes, MESSAGE_INDIRECT_PING, &indirect_ping_structure, &m);
    assert_true(m.nack);
    assert_int_equal(m.sequence, 70000);
    assert_bytes(m.target, hex("7f00000c"));
    assert_int_equal(m.port, 7946);
    assert_bytes_text(m.node, "beta");
    assert_bytes(m.source_address, hex("7f00000b"));
    assert_int_equal(m.source_port, 7946);
    assert_bytes_text(m.source_node, "alpha");
}

static void ack_and_nack(void **state)
{
    (void)state;
    struct ack_message ack;
    read_and_write_back(ack_null_bytes, MESSAGE_ACK, &ack_structure, &ack);
    assert_int_equal(ack.sequence, 1);
    assert_null(ack.payload.data);
    read_and_write_back(ack_hi_bytes, MESSAGE_ACK, &ack_structure, &ack);
    assert_bytes_text(ack.payload, "hi");
    struct nack_message nack;
    read_and_write_back(nack_bytes, MESSAGE_NACK, &nack_structure, &nack);
    assert_int_equal(nack.sequence, 9);
}

static void suspect_dead_and_left(void **state)
{
    (void)state;
    struct suspect_message m;
    read_and_write_back(suspect_bytes, MESSAGE_SUSPECT, &suspect_structure, &m);
    assert_int_equal(m.incarnation, 1);
    assert_bytes_text(m.node, "gamma");
    assert_bytes_text(m.from, "alpha");
    read_and_write_back(dead_bytes, MESSAGE_DEAD, &suspect_structure, &m);
    assert_bytes_text(m.node, "gamma");
    assert_bytes_text(m.from, "alpha");
    read_and_write_back(left_bytes, MESSAGE_DEAD, &suspect_structure, &m);
    assert_true(span_equal(m.node, m.from));
}

static void alive(void **state)
{
    (void)state;
    struct alive_message m;
    read_and_write_back(alive_v4_bytes, MESSAGE_ALIVE, &alive_structure, &m);
    assert_bytes(m.address, hex("7f00000b"));
    assert_int_equal(m.incarnation, 1);
    assert_null(m.meta.data);
    assert_bytes_text(m.node, "alpha");
    assert_int_equal(m.port, 7946);
    assert_bytes(m.versions, hex("010502020505"));
    read_and_write_back(alive_v6_bytes, MESSAGE_ALIVE, &alive_structure, &m);
    assert_int_equal(m.address.size, 16);
    assert_int_equal(m.incarnation, UINT32_MAX);
    assert_bytes_text(m.meta, "m");
    assert_int_equal(m.port, 80);
    assert_bytes(m.versions, hex("010502020504"));
}

static void error(void **state)
{
    (void)state;
    struct error_message m;
    read_and_write_back(error_bytes, MESSAGE_ERROR, &error_structure, &m);
    assert_bytes_text(m.error, "encryption is configured but remote state is not encrypted");
}

static void push_pull_header_in_the_old_and_the_new_form(void **state)
{
    (void)state;
    struct push_pull_header m;
    read_and_write_back("0683a44a6f696ec3a54e6f64657302ac5573657253746174654c656e48",
                        MESSAGE_PUSH_PULL, &push_pull_header_structure, &m);
    assert_true(m.join);
    assert_int_equal(m.nodes, 2);
    assert_int_equal(m.user_state_size, 72);
    read_and_write_back("0683a44a6f696ec2a54e6f646573ccc8ac5573657253746174654c656ecd024c",
                        MESSAGE_PUSH_PULL, &push_pull_header_structure, &m);
    assert_int_equal(m.nodes, 200);
    assert_int_equal(m.user_state_size, 588);
    struct span new_form = hex("83a44a6f696ec2a54e6f646573d100c8ac5573657253746174654c656ed1024c");
    assert_true(message_read(new_form, &push_pull_header_structure, &m));
    assert_false(m.join);
    assert_int_equal(m.nodes, 200);
    assert_int_equal(m.user_state_size, 588);
}

static void push_node_state(void **state)
{
    (void)state;
    struct push_node_state m;
    /* A node state has no type byte: the one in front is for the helper. */
    read_and_write_back("0087a441646472a47f00000bab496e6361726e6174696f6e01a44d657461a16da44e616d65"
                        "a5616c706861a4506f7274cd1f0aa5537461746500a356736ea6010502020505",
                        MESSAGE_PING, &push_node_state_structure, &m);
    assert_bytes_text(m.name, "alpha");
    assert_bytes_text(m.meta, "m");
    assert_int_equal(m.state, NODE_ALIVE);
    assert_int_equal(m.port, 7946);
    read_and_write_back("0087a441646472a47f00000bab496e6361726e6174696f6e01a44d657461c0a44e616d65a5"
                        "616c706861a4506f7274cd1f0aa5537461746503a356736ea6010502020505",
                        MESSAGE_PING, &push_node_state_structure, &m);
    assert_int_equal(m.state, NODE_LEFT);
    assert_null(m.meta.data);
}

static void user_header_in_the_old_and_the_new_form(void **state)
{
    (void)state;
    struct user_header m;
    read_and_write_back("0881aa557365724d73674c656e05", MESSAGE_USER, &user_header_structure, &m);
    assert_int_equal(m.size, 5);
    read_and_write_back("0881aa557365724d73674c656ecc80", MESSAGE_USER, &user_header_structure, &m);
    assert_int_equal(m.size, 128);
    assert_true(message_read(hex("81aa557365724d73674c656ed10080"), &user_header_structure, &m));
    assert_int_equal(m.size, 128);
}

static void compress(void **state)
{
    (void)state;
    struct compress_message m;
    read_and_write_back("0982a4416c676f00a3427566a400c30404", MESSAGE_COMPRESS, &compress_structure,
                        &m);
    assert_int_equal(m.algorithm, 0);
    assert_bytes(m.data, hex("00c30404"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping),
        cmocka_unit_test(indirect_ping),
        cmocka_unit_test(ack_and_nack),
        cmocka_unit_test(suspect_dead_and_left),
        cmocka_unit_test(alive),
        cmocka_unit_test(error),
        cmocka_unit_test(push_pull_header_in_the_old_and_the_new_form),
        cmocka_unit_test(push_node_state),
        cmocka_unit_test(user_header_in_the_old_and_the_new_form),
        cmocka_unit_test(compress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

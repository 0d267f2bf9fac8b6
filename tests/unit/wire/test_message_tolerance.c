/* What decoders accept: the table of the memberlist specification (2.4), row by row. */
#include "hex.h"
#include "message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ADDR        "a441646472"
#define INCARNATION "ab496e6361726e6174696f6e"
#define META        "a44d657461"
#define NODE        "a44e6f6465"
#define PORT        "a4506f7274"
#define SEQUENCE    "a55365714e6f"
#define NACK        "a44e61636b"

static bool read_ping(const char *text, struct ping_message *m)
{
    return message_read(hex(text), &ping_structure, m);
}

static bool read_alive(const char *text, struct alive_message *m)
{
    return message_read(hex(text), &alive_structure, m);
}

static void any_integer_width_and_signedness_that_fits(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        "81" SEQUENCE "05",     "81" SEQUENCE "cc05",       "81" SEQUENCE "cd0005",
        "81" SEQUENCE "d005",   "81" SEQUENCE "ce00000005", "81" SEQUENCE "cf0000000000000005",
        "81" SEQUENCE "d10005", "81" SEQUENCE "d200000005", "81" SEQUENCE "d30000000000000005",
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        struct ping_message m;
        assert_true(read_ping(spellings[i], &m));
        assert_int_equal(m.sequence, 5);
    }
}

static void negative_into_unsigned_is_an_error(void **state)
{
    (void)state;
    struct ping_message m;
    assert_false(read_ping("81" SEQUENCE "ff", &m));
    assert_false(read_ping("81" SEQUENCE "d0ff", &m));
    assert_false(read_ping("81" SEQUENCE "d3ffffffffffffffff", &m));
}

static void overflow_of_the_field_is_an_error(void **state)
{
    (void)state;
    struct alive_message m;
    assert_true(read_alive("81" PORT "cdffff", &m));
    assert_int_equal(m.port, 65535);
    assert_false(read_alive("81" PORT "ce00010000", &m));
    assert_true(read_alive("81" INCARNATION "ceffffffff", &m));
    assert_false(read_alive("81" INCARNATION "cf0000000100000000", &m));
    struct compress_message compress;
    assert_false(message_read(hex("81a4416c676fcd0100"), &compress_structure, &compress));
    struct user_header header;
    assert_false(message_read(hex("81aa557365724d73674c656ecf8000000000000000"),
                              &user_header_structure, &header));
}

static void a_signed_field_takes_negative_numbers(void **state)
{
    (void)state;
    struct user_header header;
    assert_true(message_read(hex("81aa557365724d73674c656eff"), &user_header_structure, &header));
    assert_int_equal(header.size, -1);
    assert_true(
        message_read(hex("81aa557365724d73674c656ed1ff00"), &user_header_structure, &header));
    assert_int_equal(header.size, -256);
}

static void float_into_integer_is_an_error(void **state)
{
    (void)state;
    struct ping_message m;
    assert_false(read_ping("81" SEQUENCE "ca3f800000", &m));
    assert_false(read_ping("81" SEQUENCE "cb3ff0000000000000", &m));
}

static void bool_may_be_a_fixint_0_or_1(void **state)
{
    (void)state;
    struct indirect_ping_message m;
    assert_true(message_read(hex("81" NACK "01"), &indirect_ping_structure, &m));
    assert_true(m.nack);
    assert_true(message_read(hex("81" NACK "00"), &indirect_ping_structure, &m));
    assert_false(m.nack);
    assert_false(message_read(hex("81" NACK "02"), &indirect_ping_structure, &m));
    assert_false(message_read(hex("81" NACK "a131"), &indirect_ping_structure, &m));
}

static void str8_is_a_string(void **state)
{
    (void)state;
    struct ping_message m;
    assert_true(read_ping("82d9044e6f6465d90462657461" SEQUENCE "01", &m));
    assert_bytes_text(m.node, "beta");
    assert_int_equal(m.sequence, 1);
}

static void bin_of_each_width_is_a_byte_string(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        "81" ADDR "c4047f00000b", "81" ADDR "c500047f00000b", "81" ADDR "c6000000047f00000b",
        "81" ADDR "d9047f00000b", "81" ADDR "da00047f00000b", "81" ADDR "db000000047f00000b",
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        struct alive_message m;
        assert_true(read_alive(spellings[i], &m));
        assert_bytes(m.address, hex("7f00000b"));
    }
}

static void bin_is_a_string_and_a_key_as_the_new_decoder_has_it(void **state)
{
    (void)state;
    struct ping_message m;
    assert_true(read_ping("82c4044e6f6465c40462657461" SEQUENCE "01", &m));
    assert_bytes_text(m.node, "beta");
}

static void an_array_of_small_integers_is_a_byte_string(void **state)
{
    (void)state;
    struct alive_message m;
    assert_true(read_alive("82" ADDR "947f00000b" NODE "a161", &m));
    assert_bytes(m.address, hex("7f00000b"));
    assert_bytes_text(m.node, "a");
    assert_true(read_alive("82" ADDR "dc00047f00000b" NODE "a161", &m));
    assert_bytes(m.address, hex("7f00000b"));
    assert_true(read_alive("81" ADDR "90", &m));
    assert_int_equal(m.address.size, 0);
    assert_false(read_alive("81" ADDR "92c001", &m));     /* no integers */
    assert_false(read_alive("81" ADDR "92cc80cc81", &m)); /* not to be borrowed */
    assert_false(read_alive("81" ADDR "ddffffffff0102", &m));
    assert_false(read_alive("81" NODE "916e", &m)); /* a string is no byte string */
}

static void nil_is_the_zero_value_of_any_field(void **state)
{
    (void)state;
    struct alive_message m;
    assert_true(
        read_alive("86" ADDR "c0" INCARNATION "c0" META "c0" NODE "c0" PORT "c0a356736ec0", &m));
    assert_int_equal(m.address.size + m.meta.size + m.node.size + m.versions.size, 0);
    assert_int_equal(m.incarnation, 0);
    assert_int_equal(m.port, 0);
    struct indirect_ping_message indirect;
    assert_true(message_read(hex("81" NACK "c0"), &indirect_ping_structure, &indirect));
    assert_false(indirect.nack);
}

static void nil_for_the_whole_body_is_zero_values(void **state)
{
    (void)state;
    struct ping_message m = {.sequence = 7, .node = span_text("left over")};
    assert_true(read_ping("c0", &m));
    assert_int_equal(m.sequence, 0);
    assert_int_equal(m.node.size, 0);
}

static void an_empty_map_and_missing_fields_are_zero_values(void **state)
{
    (void)state;
    struct ping_message m = {.sequence = 7, .source_port = 7, .node = span_text("left over")};
    assert_true(read_ping("80", &m));
    assert_int_equal(m.sequence, 0);
    assert_int_equal(m.source_port, 0);
    assert_int_equal(m.node.size, 0);
    m.sequence = 7;
    assert_true(read_ping("81" NODE "a161", &m));
    assert_int_equal(m.sequence, 0);
    assert_bytes_text(m.node, "a");
}

static void keys_come_in_any_order(void **state)
{
    (void)state;
    struct alive_message m;
    assert_true(read_alive("84" PORT "05" NODE "a161" ADDR "a47f00000b" INCARNATION "03", &m));
    assert_int_equal(m.port, 5);
    assert_bytes_text(m.node, "a");
    assert_bytes(m.address, hex("7f00000b"));
    assert_int_equal(m.incarnation, 3);
}

static void keys_are_case_sensitive(void **state)
{
    (void)state;
    struct ping_message m;
    assert_true(read_ping("81a46e6f6465a161", &m));
    assert_int_equal(m.node.size, 0);
}

static void a_key_that_begins_like_a_field_is_another_key(void **state)
{
    (void)state;
    struct ping_message m;
    assert_true(read_ping("83a34e6f64a161a54e6f646573a162a54e6f646500a163", &m));
    assert_int_equal(m.node.size, 0);
}

static void unknown_keys_are_skipped_whatever_their_value(void **state)
{
    (void)state;
    static const char *const values[] = {
        "c0",
        "c2",
        "7f",
        "ff",
        "cc80",
        "cdffff",
        "ceffffffff",
        "cfffffffffffffffff",
        "d080",
        "d18000",
        "d280000000",
        "d38000000000000000",
        "ca00000000",
        "cb0000000000000000",
        "a161",
        "d90161",
        "da000161",
        "db0000000161",
        "c40161",
        "c5000161",
        "c60000000161",
        "90",
        "93010203",
        "dc000101",
        "dd0000000101",
        "81a16101",
        "de0001a16101",
        "df0000000101c0",
        "9281a1619101c0",
        "d40161",
        "d5010000",
        "d60100000000",
        "d7010000000000000000",
        "d80100000000000000000000000000000000",
        "c7020161ff",
        "c800020161ff",
        "c9000000020161ff",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct span body = joined(joined(hex("82a158"), hex(values[i])), hex(SEQUENCE "09"));
        struct ping_message m;
        assert_true(message_read(body, &ping_structure, &m));
        assert_int_equal(m.sequence, 9);
    }
}

static void a_key_that_is_no_string_is_an_error(void **state)
{
    (void)state;
    struct ping_message m;
    assert_false(read_ping("8101a161", &m));
    assert_false(read_ping("81c0a161", &m));
    assert_false(read_ping("8190a161", &m));
}

static void of_duplicate_keys_the_last_wins(void **state)
{
    (void)state;
    struct ping_message m;
    assert_true(read_ping("83" SEQUENCE "01" NODE "a161" SEQUENCE "02", &m));
    assert_int_equal(m.sequence, 2);
    assert_true(read_ping("82" SEQUENCE "01" SEQUENCE "c0", &m));
    assert_int_equal(m.sequence, 0);
}

static void a_structure_may_be_an_array_in_declaration_order(void **state)
{
    (void)state;
    struct ping_message m;
    assert_true(read_ping("9501a462657461a47f00000bcd1f0aa5616c706861", &m));
    assert_int_equal(m.sequence, 1);
    assert_bytes_text(m.node, "beta");
    assert_bytes(m.source_address, hex("7f00000b"));
    assert_int_equal(m.source_port, 7946);
    assert_bytes_text(m.source_node, "alpha");
    assert_true(read_ping("9107", &m)); /* short */
    assert_int_equal(m.sequence, 7);
    assert_int_equal(m.node.size, 0);
    assert_true(read_ping("9701a0a000a0c09101", &m)); /* long */
    assert_true(read_ping("90", &m));

    struct alive_message alive;
    assert_true(read_alive("9603a161a47f00000b05a16da6010502020505", &alive));
    assert_int_equal(alive.incarnation, 3);
    assert_bytes_text(alive.node, "a");
    assert_bytes(alive.address, hex("7f00000b"));
    assert_int_equal(alive.port, 5);
    assert_bytes_text(alive.meta, "m");
    assert_bytes(alive.versions, hex("010502020505"));

    struct suspect_message suspect;
    assert_true(message_read(hex("9303a161a162"), &suspect_structure, &suspect));
    assert_int_equal(suspect.incarnation, 3);
    assert_bytes_text(suspect.node, "a");
    assert_bytes_text(suspect.from, "b");

    struct indirect_ping_message indirect;
    assert_true(message_read(hex("9801a47f00000c05a162c3a47f00000b06a161"),
                             &indirect_ping_structure, &indirect));
    assert_int_equal(indirect.sequence, 1);
    assert_bytes(indirect.target, hex("7f00000c"));
    assert_int_equal(indirect.port, 5);
    assert_bytes_text(indirect.node, "b");
    assert_true(indirect.nack);
    assert_int_equal(indirect.source_port, 6);
    assert_bytes_text(indirect.source_node, "a");

    struct push_node_state node;
    assert_true(message_read(hex("97a161a47f00000b05a16d0302a6010502020505"),
                             &push_node_state_structure, &node));
    assert_bytes_text(node.name, "a");
    assert_int_equal(node.port, 5);
    assert_bytes_text(node.meta, "m");
    assert_int_equal(node.incarnation, 3);
    assert_int_equal(node.state, NODE_DEAD);

    struct push_pull_header header;
    assert_true(message_read(hex("930207c3"), &push_pull_header_structure, &header));
    assert_int_equal(header.nodes, 2);
    assert_int_equal(header.user_state_size, 7);
    assert_true(header.join);
}

static void a_map_may_have_a_wide_count(void **state)
{
    (void)state;
    struct ping_message m;
    assert_true(read_ping("de0002" NODE "a161" SEQUENCE "05", &m));
    assert_int_equal(m.sequence, 5);
    assert_true(read_ping("df00000002" NODE "a161" SEQUENCE "06", &m));
    assert_int_equal(m.sequence, 6);
    assert_true(read_ping("dc000206a161", &m));
    assert_true(read_ping("dd0000000206a161", &m));
}

static void bytes_after_the_body_are_ignored(void **state)
{
    (void)state;
    struct ping_message m;
    assert_true(read_ping("81" SEQUENCE "05c1ffff", &m));
    assert_int_equal(m.sequence, 5);
}

static void a_body_that_is_neither_map_array_nor_nil_is_an_error(void **state)
{
    (void)state;
    static const char *const bodies[] = {"01", "ff", "c2", "a0", "c400", "ca00000000", "d40100"};
    struct ping_message m;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_false(read_ping(bodies[i], &m));
    assert_false(read_ping("", &m));
    assert_false(read_ping("c1", &m));
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    struct ping_message m;
    struct span deep = joined(repeated(0x91, MSGPACK_DEPTH_MAX), hex("c0"));
    assert_true(message_read(joined(hex("81a158"), deep), &ping_structure, &m));
    deep = joined(repeated(0x91, MSGPACK_DEPTH_MAX + 1), hex("c0"));
    assert_false(message_read(joined(hex("81a158"), deep), &ping_structure, &m));
    deep = joined(repeated(0x91, 60000), hex("c0"));
    assert_false(message_read(joined(hex("81a158"), deep), &ping_structure, &m));
}

static void null_and_empty_byte_strings_both_read_as_nothing(void **state)
{
    (void)state;
    struct alive_message m;
    assert_true(read_alive("81" META "c0", &m));
    assert_int_equal(m.meta.size, 0);
    assert_true(read_alive("81" META "a0", &m));
    assert_int_equal(m.meta.size, 0);
}

static void a_message_cut_off_anywhere_is_an_error(void **state)
{
    (void)state;
    struct span whole = hex("86a441646472a47f00000bab496e6361726e6174696f6eceffffffffa44d657461a16d"
                            "a44e6f6465a5616c706861a4506f7274cd1f0aa356736ea6010502020505");
    for (size_t size = 0; size < whole.size; size++) {
        struct alive_message m;
        struct span part = joined(span_make(whole.data, size), SPAN_EMPTY);
        assert_false(message_read(part, &alive_structure, &m));
    }
}

/* Keys in the usual order with short values are read by a way of their own. */
static void a_usual_message_is_checked_as_any_other(void **state)
{
    (void)state;
    struct alive_message m;
    struct nack_message nack;
    const char *const before =
        "86" ADDR "a47f00000b" INCARNATION "ceffffffff" META "a16d" NODE "a161" PORT;
    const char *const behind = "a356736ea6010502020505";
    static const struct {
        const char *port;
        bool fits;
    } ports[] = {{"7f", true},
                 {"cd1f0a", true},
                 {"ce0000ffff", true},
                 {"ce00010000", false},
                 {"cf0000000000000005", true},
                 {"ff", false},
                 {"a0", false}};
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s%s%s", before, ports[i].port, behind);
        assert_int_equal(read_alive(text, &m), ports[i].fits);
        assert_true(!ports[i].fits || m.versions.size == 6);
    }
    assert_true(message_read(hex("81" SEQUENCE "cd0001"), &nack_structure, &nack));
    assert_false(message_read(hex("81" SEQUENCE "cd00"), &nack_structure, &nack));
    assert_false(message_read(hex("81" SEQUENCE "ce000000"), &nack_structure, &nack));
    assert_false(message_read(hex("81" SEQUENCE), &nack_structure, &nack));
}

static void random_changes_never_do_harm(void **state)
{
    (void)state;
    struct span whole = hex("86a441646472a47f00000bab496e6361726e6174696f6eceffffffffa44d657461a16d"
                            "a44e6f6465a5616c706861a4506f7274cd1f0aa356736ea6010502020505");
    uint8_t *bytes = malloc(whole.size);
    for (size_t i = 0; i < whole.size; i++)
        for (unsigned value = 0; value < 256; value++) {
            struct alive_message m;
            memcpy(bytes, whole.data, whole.size);
            bytes[i] = (uint8_t)value;
            if (message_read(span_make(bytes, whole.size), &alive_structure, &m)) {
                assert_true(m.node.size <= whole.size && m.meta.size <= whole.size);
                assert_true(m.address.size <= whole.size && m.versions.size <= whole.size);
            }
        }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_integer_width_and_signedness_that_fits),
        cmocka_unit_test(negative_into_unsigned_is_an_error),
        cmocka_unit_test(overflow_of_the_field_is_an_error),
        cmocka_unit_test(a_signed_field_takes_negative_numbers),
        cmocka_unit_test(float_into_integer_is_an_error),
        cmocka_unit_test(bool_may_be_a_fixint_0_or_1),
        cmocka_unit_test(str8_is_a_string),
        cmocka_unit_test(bin_of_each_width_is_a_byte_string),
        cmocka_unit_test(bin_is_a_string_and_a_key_as_the_new_decoder_has_it),
        cmocka_unit_test(an_array_of_small_integers_is_a_byte_string),
        cmocka_unit_test(nil_is_the_zero_value_of_any_field),
        cmocka_unit_test(nil_for_the_whole_body_is_zero_values),
        cmocka_unit_test(an_empty_map_and_missing_fields_are_zero_values),
        cmocka_unit_test(keys_come_in_any_order),
        cmocka_unit_test(keys_are_case_sensitive),
        cmocka_unit_test(a_key_that_begins_like_a_field_is_another_key),
        cmocka_unit_test(unknown_keys_are_skipped_whatever_their_value),
        cmocka_unit_test(a_key_that_is_no_string_is_an_error),
        cmocka_unit_test(of_duplicate_keys_the_last_wins),
        cmocka_unit_test(a_structure_may_be_an_array_in_declaration_order),
        cmocka_unit_test(a_map_may_have_a_wide_count),
        cmocka_unit_test(bytes_after_the_body_are_ignored),
        cmocka_unit_test(a_body_that_is_neither_map_array_nor_nil_is_an_error),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(null_and_empty_byte_strings_both_read_as_nothing),
        cmocka_unit_test(a_message_cut_off_anywhere_is_an_error),
        cmocka_unit_test(a_usual_message_is_checked_as_any_other),
        cmocka_unit_test(random_changes_never_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

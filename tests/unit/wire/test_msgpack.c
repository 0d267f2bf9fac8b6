#include "hex.h"
#include "msgpack.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static struct buffer out;

static int make_buffer(void **state)
{
    (void)state;
    buffer_init(&out, 1 << 20);
    return 0;
}

static int free_buffer(void **state)
{
    (void)state;
    buffer_fini(&out);
    return 0;
}

static void assert_written(const char *expected)
{
    assert_false(out.failed);
    assert_bytes(buffer_span(&out), hex(expected));
    buffer_reset(&out);
}

static void integers_take_their_shortest_form(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *bytes;
    } unsigned_cases[] = {
        {0, "00"},
        {127, "7f"},
        {128, "cc80"},
        {255, "ccff"},
        {256, "cd0100"},
        {65535, "cdffff"},
        {65536, "ce00010000"},
        {UINT32_MAX, "ceffffffff"},
        {UINT64_C(4294967296), "cf0000000100000000"},
        {UINT64_MAX, "cfffffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof unsigned_cases / sizeof unsigned_cases[0]; i++) {
        msgpack_write_unsigned(&out, unsigned_cases[i].value);
        assert_written(unsigned_cases[i].bytes);
        uint64_t value;
        struct msgpack_reader reader = msgpack_reader_of(hex(unsigned_cases[i].bytes));
        assert_int_equal(msgpack_read_unsigned(&reader, UINT64_MAX, &value), MSGPACK_OK);
        assert_true(value == unsigned_cases[i].value);
    }
    static const struct {
        int64_t value;
        const char *bytes;
    } signed_cases[] = {
        {0, "00"},
        {127, "7f"},
        {128, "cc80"},
        {-1, "ff"},
        {-32, "e0"},
        {-33, "d0df"},
        {-128, "d080"},
        {-129, "d1ff7f"},
        {-32768, "d18000"},
        {-32769, "d2ffff7fff"},
        {INT32_MIN, "d280000000"},
        {INT64_C(-2147483649), "d3ffffffff7fffffff"},
        {INT64_MIN, "d38000000000000000"},
        {INT64_MAX, "cf7fffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof signed_cases / sizeof signed_cases[0]; i++) {
        msgpack_write_signed(&out, signed_cases[i].value);
        assert_written(signed_cases[i].bytes);
        int64_t value;
        struct msgpack_reader reader = msgpack_reader_of(hex(signed_cases[i].bytes));
        assert_int_equal(msgpack_read_signed(&reader, &value), MSGPACK_OK);
        assert_true(value == signed_cases[i].value);
    }
}

static void signed_forms_of_positive_numbers_are_read(void **state)
{
    (void)state;
    static const char *const spellings[] = {"d064", "d10064", "d200000064", "d30000000000000064"};
    for (size_t i = 0; i < 4; i++) {
        struct msgpack_reader reader = msgpack_reader_of(hex(spellings[i]));
        uint64_t value;
        assert_int_equal(msgpack_read_unsigned(&reader, 100, &value), MSGPACK_OK);
        assert_int_equal(value, 100);
    }
}

static void assert_head(void (*write)(struct buffer *, struct span), size_t size, const char *head)
{
    struct span bytes = repeated('x', size);
    write(&out, bytes);
    assert_false(out.failed);
    assert_bytes(buffer_span(&out), joined(hex(head), bytes));
    struct msgpack_reader reader = msgpack_reader_of(buffer_span(&out));
    struct span value;
    assert_int_equal(msgpack_read_bytes(&reader, &value), MSGPACK_OK);
    assert_bytes(value, bytes);
    buffer_reset(&out);
}

static void gossip_strings_are_the_old_raw_family(void **state)
{
    (void)state;
    assert_head(msgpack_write_raw, 0, "a0");
    assert_head(msgpack_write_raw, 31, "bf");
    assert_head(msgpack_write_raw, 32, "da0020");
    assert_head(msgpack_write_raw, 255, "da00ff");
    assert_head(msgpack_write_raw, 65535, "daffff");
    assert_head(msgpack_write_raw, 65536, "db00010000");
}

static void rpc_strings_and_byte_strings_are_the_new_families(void **state)
{
    (void)state;
    assert_head(msgpack_write_string, 31, "bf");
    assert_head(msgpack_write_string, 32, "d920");
    assert_head(msgpack_write_string, 255, "d9ff");
    assert_head(msgpack_write_string, 256, "da0100");
    assert_head(msgpack_write_string, 65536, "db00010000");
    assert_head(msgpack_write_binary, 0, "c400");
    assert_head(msgpack_write_binary, 255, "c4ff");
    assert_head(msgpack_write_binary, 256, "c50100");
    assert_head(msgpack_write_binary, 65536, "c600010000");
}

static void containers_take_their_shortest_form(void **state)
{
    (void)state;
    msgpack_write_array(&out, 15);
    assert_written("9f");
    msgpack_write_array(&out, 16);
    assert_written("dc0010");
    msgpack_write_array(&out, 65536);
    assert_written("dd00010000");
    msgpack_write_map(&out, 0);
    assert_written("80");
    msgpack_write_map(&out, 16);
    assert_written("de0010");
    msgpack_write_map(&out, 65536);
    assert_written("df00010000");
}

static void the_rest_of_the_scalars(void **state)
{
    (void)state;
    msgpack_write_nil(&out);
    msgpack_write_bool(&out, false);
    msgpack_write_bool(&out, true);
    msgpack_write_double(&out, 1.5);
    msgpack_write_raw_text(&out, "a");
    msgpack_write_string_text(&out, "b");
    assert_written("c0c2c3cb3ff8000000000000a161a162");
}

static void a_double_may_come_as_float_or_integer(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        double value;
    } cases[] = {
        {"cb3ff8000000000000", 1.5}, {"ca3fc00000", 1.5}, {"05", 5.0}, {"ff", -1.0}, {"c0", 0.0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct msgpack_reader reader = msgpack_reader_of(hex(cases[i].bytes));
        double value;
        assert_int_equal(msgpack_read_double(&reader, &value), MSGPACK_OK);
        assert_true(value == cases[i].value);
    }
    struct msgpack_reader reader = msgpack_reader_of(hex("a131"));
    double value;
    assert_int_equal(msgpack_read_double(&reader, &value), MSGPACK_INVALID);
}

static void a_failed_read_leaves_the_position(void **state)
{
    (void)state;
    struct msgpack_reader reader = msgpack_reader_of(hex("01a3616263"));
    struct span bytes;
    bool boolean;
    double real;
    uint64_t number;
    int64_t integer;
    uint32_t count;
    assert_int_equal(msgpack_read_bytes(&reader, &bytes), MSGPACK_INVALID);
    assert_int_equal(msgpack_read_array(&reader, &count), MSGPACK_INVALID);
    assert_int_equal(msgpack_read_map(&reader, &count), MSGPACK_INVALID);
    assert_int_equal(msgpack_read_unsigned(&reader, 0, &number), MSGPACK_INVALID);
    assert_int_equal(reader.offset, 0);
    assert_int_equal(msgpack_skip(&reader), MSGPACK_OK);
    assert_int_equal(msgpack_read_bool(&reader, &boolean), MSGPACK_INVALID);
    assert_int_equal(msgpack_read_double(&reader, &real), MSGPACK_INVALID);
    assert_int_equal(msgpack_read_signed(&reader, &integer), MSGPACK_INVALID);
    assert_int_equal(reader.offset, 1);
    assert_int_equal(msgpack_read_bytes(&reader, &bytes), MSGPACK_OK);
    assert_int_equal(msgpack_read_bytes(&reader, &bytes), MSGPACK_SHORT);
    assert_int_equal(reader.offset, 5);
}

static void short_and_invalid_are_told_apart(void **state)
{
    (void)state;
    static const char *const short_values[] = {
        "",     "a261",     "cc",       "cd00",         "ce000000",     "cf00", "ca",
        "cb00", "d9",       "d901",     "da00",         "db",           "c4",   "c401",
        "c500", "c6000000", "c7",       "c701",         "c70101",       "d4",   "d401",
        "d8",   "dc00",     "dd000000", "de",           "df",           "91",   "9201",
        "81",   "81a161",   "92919101", "dbffffffff00", "c9ffffffff01",
    };
    for (size_t i = 0; i < sizeof short_values / sizeof short_values[0]; i++) {
        struct msgpack_reader reader = msgpack_reader_of(hex(short_values[i]));
        assert_int_equal(msgpack_skip(&reader), MSGPACK_SHORT);
        assert_int_equal(reader.offset, 0);
    }
    static const char *const invalid[] = {"c1", "91c1", "81a161c1"};
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        struct msgpack_reader reader = msgpack_reader_of(hex(invalid[i]));
        assert_int_equal(msgpack_skip(&reader), MSGPACK_INVALID);
        assert_int_equal(reader.offset, 0);
    }
}

static void a_skip_counts_containers_within_containers(void **state)
{
    (void)state;
    struct msgpack_reader reader = msgpack_reader_of(hex("9382a16190a16291c0"
                                                         "80"
                                                         "9192c2c3"
                                                         "07"));
    assert_int_equal(msgpack_skip(&reader), MSGPACK_OK);
    assert_bytes(msgpack_rest(&reader), hex("07"));
}

static void a_scan_goes_on_where_the_bytes_ended(void **state)
{
    (void)state;
    struct span whole = hex("9382a16190a16291cdffff80d902616207");
    struct msgpack_scanner scanner;
    scanner.depth = 0;
    size_t offset = 0;
    for (size_t size = 0; size < whole.size - 1; size++) {
        struct msgpack_reader reader = {span_make(whole.data, size), offset};
        assert_int_equal(msgpack_scan(&scanner, &reader), MSGPACK_SHORT);
        assert_true(reader.offset >= offset && reader.offset <= size);
        assert_true(size - reader.offset < 5); /* no token is looked at twice but the last */
        offset = reader.offset;
    }
    struct msgpack_reader reader = {whole, offset};
    assert_int_equal(msgpack_scan(&scanner, &reader), MSGPACK_OK);
    assert_int_equal(scanner.depth, 0);
    assert_bytes(msgpack_rest(&reader), hex("07"));
}

static void a_huge_count_costs_nothing_before_its_bytes_come(void **state)
{
    (void)state;
    struct msgpack_reader reader = msgpack_reader_of(hex("ddffffffffc0"));
    assert_int_equal(msgpack_skip(&reader), MSGPACK_SHORT);
    reader = msgpack_reader_of(hex("dfffffffffc0c0"));
    assert_int_equal(msgpack_skip(&reader), MSGPACK_SHORT);
}

struct sample {
    bool flag;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    int64_t i64;
    double real;
    struct span text;
    struct span bytes;
    struct span value;
};

static const struct msgpack_field sample_fields[] = {
    {MSGPACK_NAME("A"), FIELD_BOOL, offsetof(struct sample, flag), 0, true},
    {MSGPACK_NAME("B"), FIELD_U8, offsetof(struct sample, u8), 1, true},
    {MSGPACK_NAME("C"), FIELD_U16, offsetof(struct sample, u16), 2, true},
    {MSGPACK_NAME("D"), FIELD_U32, offsetof(struct sample, u32), 3, true},
    {MSGPACK_NAME("E"), FIELD_U64, offsetof(struct sample, u64), 4, true},
    {MSGPACK_NAME("F"), FIELD_I64, offsetof(struct sample, i64), 5, true},
    {MSGPACK_NAME("G"), FIELD_DOUBLE, offsetof(struct sample, real), 6, true},
    {MSGPACK_NAME("H"), FIELD_STRING, offsetof(struct sample, text), 7, true},
    {MSGPACK_NAME("I"), FIELD_BYTES, offsetof(struct sample, bytes), 8, true},
    {MSGPACK_NAME("J"), FIELD_VALUE, offsetof(struct sample, value), 9, true},
};
static const struct msgpack_structure sample_structure = {sample_fields, 10};
static const struct msgpack_field required_fields[] = {
    {MSGPACK_NAME("H"), FIELD_STRING, offsetof(struct sample, text), 0, false},
    {MSGPACK_NAME("I"), FIELD_BYTES, offsetof(struct sample, bytes), 1, false},
    {MSGPACK_NAME("J"), FIELD_VALUE, offsetof(struct sample, value), 2, false},
};
static const struct msgpack_structure required_structure = {required_fields, 3};

static void optional_fields_are_left_out_when_empty(void **state)
{
    (void)state;
    struct sample sample = {0};
    msgpack_write_structure(&out, &sample_structure, MSGPACK_GOSSIP, &sample);
    assert_written("80");
    msgpack_write_structure(&out, &required_structure, MSGPACK_GOSSIP, &sample);
    assert_written("83a148a0a149c0a14ac0");
    sample.bytes = span_text("");
    msgpack_write_structure(&out, &required_structure, MSGPACK_GOSSIP, &sample);
    assert_written("83a148a0a149a0a14ac0");
}

static void the_dialect_chooses_the_family_of_strings(void **state)
{
    (void)state;
    struct sample sample = {
        .text = repeated('t', 32), .bytes = span_text("b"), .value = hex("9101")};
    msgpack_write_structure(&out, &required_structure, MSGPACK_GOSSIP, &sample);
    assert_written("83a148da00207474747474747474747474747474747474747474747474747474747474747474"
                   "a149a162a14a9101");
    msgpack_write_structure(&out, &required_structure, MSGPACK_RPC, &sample);
    assert_written("83a148d9207474747474747474747474747474747474747474747474747474747474747474"
                   "a149c40162a14a9101");
}

static void every_kind_of_field_comes_back(void **state)
{
    (void)state;
    struct sample sample = {true,
                            200,
                            60000,
                            4000000000u,
                            UINT64_MAX,
                            -5,
                            -0.125,
                            span_text("text"),
                            span_text("bytes"),
                            hex("81a16192c0c3")};
    for (int dialect = MSGPACK_GOSSIP; dialect <= MSGPACK_RPC; dialect++) {
        struct sample back;
        msgpack_write_structure(&out, &sample_structure, (enum msgpack_dialect)dialect, &sample);
        struct msgpack_reader reader = msgpack_reader_of(buffer_span(&out));
        assert_int_equal(msgpack_read_structure(&reader, &sample_structure, &back), MSGPACK_OK);
        assert_int_equal(reader.offset, out.size);
        assert_true(back.flag && back.u8 == 200 && back.u16 == 60000);
        assert_true(back.u32 == 4000000000u && back.u64 == UINT64_MAX && back.i64 == -5);
        assert_true(back.real == -0.125);
        assert_bytes_text(back.text, "text");
        assert_bytes_text(back.bytes, "bytes");
        assert_bytes(back.value, sample.value);
        buffer_reset(&out);
    }
}

static void a_half_arrived_structure_is_short(void **state)
{
    (void)state;
    struct sample sample = {.text = span_text("text"), .bytes = span_text("bytes")};
    msgpack_write_structure(&out, &required_structure, MSGPACK_RPC, &sample);
    for (size_t size = 0; size < out.size; size++) {
        struct msgpack_reader reader = msgpack_reader_of(span_make(out.data, size));
        struct sample back;
        assert_int_equal(msgpack_read_structure(&reader, &required_structure, &back),
                         MSGPACK_SHORT);
        assert_int_equal(reader.offset, 0);
    }
    buffer_reset(&out);
}

static void a_full_buffer_is_seen_once_at_the_end(void **state)
{
    (void)state;
    struct buffer small;
    struct sample sample = {.text = repeated('t', 100), .bytes = span_text("bytes")};
    buffer_init(&small, 50);
    msgpack_write_structure(&small, &required_structure, MSGPACK_RPC, &sample);
    assert_true(small.failed);
    assert_true(small.size <= 50);
    buffer_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_take_their_shortest_form),
        cmocka_unit_test(signed_forms_of_positive_numbers_are_read),
        cmocka_unit_test(gossip_strings_are_the_old_raw_family),
        cmocka_unit_test(rpc_strings_and_byte_strings_are_the_new_families),
        cmocka_unit_test(containers_take_their_shortest_form),
        cmocka_unit_test(the_rest_of_the_scalars),
        cmocka_unit_test(a_double_may_come_as_float_or_integer),
        cmocka_unit_test(a_failed_read_leaves_the_position),
        cmocka_unit_test(short_and_invalid_are_told_apart),
        cmocka_unit_test(a_skip_counts_containers_within_containers),
        cmocka_unit_test(a_scan_goes_on_where_the_bytes_ended),
        cmocka_unit_test(a_huge_count_costs_nothing_before_its_bytes_come),
        cmocka_unit_test(optional_fields_are_left_out_when_empty),
        cmocka_unit_test(the_dialect_chooses_the_family_of_strings),
        cmocka_unit_test(every_kind_of_field_comes_back),
        cmocka_unit_test(a_half_arrived_structure_is_short),
        cmocka_unit_test(a_full_buffer_is_seen_once_at_the_end),
    };
    return cmocka_run_group_tests(tests, make_buffer, free_buffer);
}

#include "hex.h"
#include "keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define K16   "000102030405060708090a0b0c0d0e0f"
#define K24   K16 "1011121314151617"
#define K32   K24 "18191a1b1c1d1e1f"
#define PING  "0082a44e6f6465a462657461a55365714e6f01"
#define NONCE "a0a1a2a3a4a5a6a7a8a9aaab"

static struct random source;

/* A source whose next bytes are the nonce of the vectors. */
static struct random *nonce_source(void)
{
    static struct random fixed;
    random_init(&fixed, (const uint8_t[RANDOM_SEED_SIZE]){0});
    struct span nonce = hex(NONCE);
    fixed.used = sizeof fixed.block - nonce.size;
    memcpy(fixed.block + fixed.used, nonce.data, nonce.size);
    return &fixed;
}

static struct keyring *ring_of(const char *key)
{
    struct keyring *keyring = keyring_new();
    assert_non_null(keyring);
    assert_int_equal(keyring_add(keyring, hex(key)), KEYRING_OK);
    return keyring;
}

static void assert_vector(const char *key, uint8_t version, struct span associated,
                          struct span plain, struct span sealed)
{
    struct keyring *keyring = ring_of(key);
    struct buffer out;
    buffer_init(&out, 1000);
    assert_int_equal(keyring_open(keyring, associated, sealed, &out), OPEN_OK);
    assert_bytes(buffer_span(&out), plain);
    buffer_reset(&out);
    assert_true(keyring_seal(keyring, version, nonce_source(), associated, plain, &out));
    assert_bytes(buffer_span(&out), sealed);
    assert_int_equal(out.size, keyring_sealed_size(version, plain.size));
    buffer_fini(&out);
    keyring_free(keyring);
}

static void packet_vectors_of_the_specification_both_ways(void **state)
{
    (void)state;
    struct span ping = hex(PING);
    assert_vector(
        K16, 1, SPAN_EMPTY, ping,
        hex("01" NONCE "aa049cf511ed56aee81dc161e341d5111d8122b9c169b1e3a75a1e14af36a8ff590044"));
    assert_vector(
        K24, 1, SPAN_EMPTY, ping,
        hex("01" NONCE "3be01a2c96377dd79c50cba04a8e9108da782a27cbfb0a0598afabbb285e52bf2086f7"));
    assert_vector(
        K32, 1, SPAN_EMPTY, ping,
        hex("01" NONCE "e69ad8632aaf671b0000f3b2a229a5af3ec358a3701494abab6f48c45541ea47e4df66"));
    assert_vector(
        K16, 1, span_text("blue"), ping,
        hex("01" NONCE "aa049cf511ed56aee81dc161e341d5111d812231c34ea5f05b083caafe830062e734d2"));
    assert_vector(K16, 0, SPAN_EMPTY, ping,
                  hex("00" NONCE
                      "aa049cf511ed56aee81dc161e341d5111d8122058e1a30a2281d7c964f8082a5ac8be2dc36a2"
                      "3f9375424a9736effae9"));
    assert_vector(K16, 0, SPAN_EMPTY, hex(K16),
                  hex("00" NONCE
                      "aa873ab87a8c350d8271bf0b4a1fbe6f43fe331893072dbf3500618b529d9fb8d920ad4d82e2"
                      "ba42617292ca8dfccf3b"));
}

static void stream_vectors_of_the_specification_both_ways(void **state)
{
    (void)state;
    struct span ping = hex(PING);
    assert_vector(
        K16, 1, hex("0a00000030"), ping,
        hex("01" NONCE "aa049cf511ed56aee81dc161e341d5111d812217bebcd5b8559d5470399a118e642f7b"));
    assert_vector(
        K16, 1, hex("0a00000030626c7565"), ping,
        hex("01" NONCE "aa049cf511ed56aee81dc161e341d5111d81223b6260261145dfd67bfe749b758911af"));
    assert_vector(K16, 0, hex("0a0000003d"), ping,
                  hex("00" NONCE
                      "aa049cf511ed56aee81dc161e341d5111d8122058e1a30a2281d7c964f8082a58d9a5e215c4c"
                      "bfe469ea8cf9a9bae686"));
}

static void every_length_comes_back_in_both_versions(void **state)
{
    (void)state;
    struct keyring *keyring = ring_of(K32);
    struct buffer sealed;
    struct buffer out;
    buffer_init(&sealed, 1000);
    buffer_init(&out, 1000);
    for (uint8_t version = 0; version <= 1; version++)
        for (size_t size = 0; size < 70; size++) {
            struct span plain = span_make(repeated(3, 70).data, size);
            buffer_reset(&sealed);
            buffer_reset(&out);
            assert_true(keyring_seal(keyring, version, &source, SPAN_EMPTY, plain, &sealed));
            size_t padding = version == 0 ? 16 - size % 16 : 0;
            assert_int_equal(sealed.size, 29 + size + padding);
            assert_int_equal(keyring_open(keyring, SPAN_EMPTY, buffer_span(&sealed), &out),
                             OPEN_OK);
            assert_bytes(buffer_span(&out), plain);
        }
    buffer_fini(&sealed);
    buffer_fini(&out);
    keyring_free(keyring);
}

static void a_change_of_any_byte_is_found(void **state)
{
    (void)state;
    struct keyring *keyring = ring_of(K16);
    struct buffer sealed;
    struct buffer out;
    buffer_init(&sealed, 1000);
    buffer_init(&out, 1000);
    buffer_append_text(&out, "before");
    assert_true(keyring_seal(keyring, 1, &source, span_text("blue"), span_text("hi"), &sealed));
    for (size_t i = 0; i < sealed.size; i++) {
        sealed.data[i] ^= 0x10;
        assert_int_not_equal(keyring_open(keyring, span_text("blue"), buffer_span(&sealed), &out),
                             OPEN_OK);
        assert_bytes_text(buffer_span(&out), "before");
        sealed.data[i] ^= 0x10;
    }
    assert_int_equal(keyring_open(keyring, span_text("green"), buffer_span(&sealed), &out),
                     OPEN_NO_KEY);
    assert_int_equal(keyring_open(keyring, span_text("blue"), buffer_span(&sealed), &out), OPEN_OK);
    buffer_fini(&sealed);
    buffer_fini(&out);
    keyring_free(keyring);
}

static void assert_refused(struct keyring *keyring, struct span sealed, enum open_status expected,
                           const char *text)
{
    struct buffer out;
    buffer_init(&out, 1000);
    assert_int_equal(keyring_open(keyring, SPAN_EMPTY, sealed, &out), expected);
    assert_int_equal(out.size, 0);
    open_status_text(expected, open_status_number(expected, sealed), &out);
    assert_string_equal(buffer_text(&out), text);
    buffer_fini(&out);
}

static void what_can_not_be_opened_is_named_in_the_references_words(void **state)
{
    (void)state;
    struct keyring *keyring = ring_of(K16);
    assert_refused(keyring, SPAN_EMPTY, OPEN_EMPTY, "cannot decrypt empty payload");
    assert_refused(keyring, hex("02"), OPEN_UNSUPPORTED_VERSION,
                   "unsupported encryption version 2");
    assert_refused(keyring, joined(hex("ff"), repeated(0, 100)), OPEN_UNSUPPORTED_VERSION,
                   "unsupported encryption version 255");
    assert_refused(keyring, joined(hex("01"), repeated(0, 27)), OPEN_TOO_SMALL,
                   "payload is too small to decrypt: 28");
    assert_refused(keyring, joined(hex("00"), repeated(0, 43)), OPEN_TOO_SMALL,
                   "payload is too small to decrypt: 44");
    assert_refused(keyring, joined(hex("01"), repeated(0, 28)), OPEN_NO_KEY,
                   "no installed keys could decrypt the message");
    keyring_free(keyring);
}

/* Version 0 with padding that we choose: sealing without padding and changing the version byte,
 * which is not authenticated. */
static void seal_with_padding(struct keyring *keyring, struct span padded, struct buffer *sealed)
{
    buffer_reset(sealed);
    assert_true(keyring_seal(keyring, 1, &source, SPAN_EMPTY, padded, sealed));
    sealed->data[0] = 0;
}

static void padding_of_version_0_is_validated(void **state)
{
    (void)state;
    struct keyring *keyring = ring_of(K16);
    struct buffer sealed;
    struct buffer out;
    buffer_init(&sealed, 1000);
    buffer_init(&out, 1000);
    static const char *const bad[] = {
        "61616161616161616161616161616100",                                 /* zero */
        "61616161616161616161616161616111",                                 /* more than a block */
        "6161616161616161616161616161611111111111111111111111111111111111", /* and it agrees */
        "616161616161616161616161616161ff", /* longer than the message */
        "61616161616161616161616161610302", /* bytes that do not agree */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        seal_with_padding(keyring, hex(bad[i]), &sealed);
        assert_int_equal(keyring_open(keyring, SPAN_EMPTY, buffer_span(&sealed), &out),
                         OPEN_NO_KEY);
        assert_int_equal(out.size, 0);
    }
    seal_with_padding(keyring, hex("61616161616161616161616161610202"), &sealed);
    assert_int_equal(keyring_open(keyring, SPAN_EMPTY, buffer_span(&sealed), &out), OPEN_OK);
    assert_bytes(buffer_span(&out), repeated('a', 14));
    buffer_fini(&sealed);
    buffer_fini(&out);
    keyring_free(keyring);
}

static void every_key_is_tried_and_only_the_primary_seals(void **state)
{
    (void)state;
    struct keyring *theirs = ring_of(K24);
    struct keyring *ours = ring_of(K16);
    struct buffer sealed;
    struct buffer out;
    buffer_init(&sealed, 1000);
    buffer_init(&out, 1000);
    assert_true(keyring_seal(theirs, 1, &source, SPAN_EMPTY, span_text("hi"), &sealed));
    assert_int_equal(keyring_open(ours, SPAN_EMPTY, buffer_span(&sealed), &out), OPEN_NO_KEY);
    assert_int_equal(keyring_add(ours, hex(K24)), KEYRING_OK);
    assert_int_equal(keyring_open(ours, SPAN_EMPTY, buffer_span(&sealed), &out), OPEN_OK);
    assert_bytes_text(buffer_span(&out), "hi");

    buffer_reset(&sealed);
    assert_true(keyring_seal(ours, 1, &source, SPAN_EMPTY, span_text("ho"), &sealed));
    assert_int_equal(keyring_open(theirs, SPAN_EMPTY, buffer_span(&sealed), &out), OPEN_NO_KEY);
    assert_int_equal(keyring_use(ours, hex(K24)), KEYRING_OK);
    buffer_reset(&sealed);
    assert_true(keyring_seal(ours, 1, &source, SPAN_EMPTY, span_text("ho"), &sealed));
    assert_int_equal(keyring_open(theirs, SPAN_EMPTY, buffer_span(&sealed), &out), OPEN_OK);
    buffer_fini(&sealed);
    buffer_fini(&out);
    keyring_free(theirs);
    keyring_free(ours);
}

static void an_empty_keyring_means_no_encryption(void **state)
{
    (void)state;
    struct keyring *keyring = keyring_new();
    struct buffer out;
    buffer_init(&out, 1000);
    assert_int_equal(keyring_count(NULL), 0);
    assert_int_equal(keyring_count(keyring), 0);
    assert_false(keyring_seal(keyring, 1, &source, SPAN_EMPTY, span_text("hi"), &out));
    assert_false(keyring_seal(NULL, 1, &source, SPAN_EMPTY, span_text("hi"), &out));
    buffer_fini(&out);
    keyring_free(keyring);
    keyring_free(NULL);
}

static void only_keys_of_16_24_or_32_bytes_are_added(void **state)
{
    (void)state;
    struct keyring *keyring = keyring_new();
    for (size_t size = 0; size <= 64; size++) {
        bool good = size == 16 || size == 24 || size == 32;
        assert_int_equal(keyring_add(keyring, repeated(1, size)),
                         good ? KEYRING_OK : KEYRING_BAD_SIZE);
    }
    assert_int_equal(keyring_count(keyring), 3);
    assert_string_equal(keyring_status_text(KEYRING_BAD_SIZE),
                        "key size must be 16, 24 or 32 bytes");
    keyring_free(keyring);
}

static void the_first_key_is_primary_and_a_known_one_stays_in_its_place(void **state)
{
    (void)state;
    struct keyring *keyring = ring_of(K16);
    assert_int_equal(keyring_add(keyring, hex(K24)), KEYRING_OK);
    assert_int_equal(keyring_add(keyring, hex(K32)), KEYRING_OK);
    assert_int_equal(keyring_add(keyring, hex(K16)), KEYRING_OK);
    assert_int_equal(keyring_add(keyring, hex(K24)), KEYRING_OK);
    assert_int_equal(keyring_count(keyring), 3);
    assert_bytes(keyring_key(keyring, 0), hex(K16));
    assert_bytes(keyring_key(keyring, 1), hex(K24));
    assert_bytes(keyring_key(keyring, 2), hex(K32));
    keyring_free(keyring);
}

static void use_moves_a_key_to_the_front_and_keeps_the_others_in_order(void **state)
{
    (void)state;
    struct keyring *keyring = ring_of(K16);
    keyring_add(keyring, hex(K24));
    keyring_add(keyring, hex(K32));
    assert_int_equal(keyring_use(keyring, hex(K32)), KEYRING_OK);
    assert_bytes(keyring_key(keyring, 0), hex(K32));
    assert_bytes(keyring_key(keyring, 1), hex(K16));
    assert_bytes(keyring_key(keyring, 2), hex(K24));
    assert_int_equal(keyring_use(keyring, repeated(9, 16)), KEYRING_UNKNOWN_KEY);
    assert_string_equal(keyring_status_text(KEYRING_UNKNOWN_KEY),
                        "requested key is not in the keyring");
    keyring_free(keyring);
}

static void remove_refuses_the_primary_and_ignores_an_unknown_key(void **state)
{
    (void)state;
    struct keyring *keyring = ring_of(K16);
    keyring_add(keyring, hex(K24));
    keyring_add(keyring, hex(K32));
    assert_int_equal(keyring_remove(keyring, hex(K16)), KEYRING_PRIMARY_KEY);
    assert_string_equal(keyring_status_text(KEYRING_PRIMARY_KEY),
                        "removing the primary key is not allowed");
    assert_int_equal(keyring_remove(keyring, repeated(9, 16)), KEYRING_OK);
    assert_int_equal(keyring_count(keyring), 3);
    assert_int_equal(keyring_remove(keyring, hex(K24)), KEYRING_OK);
    assert_int_equal(keyring_count(keyring), 2);
    assert_bytes(keyring_key(keyring, 1), hex(K32));
    keyring_free(keyring);
}

static void a_full_keyring_takes_no_more(void **state)
{
    (void)state;
    struct keyring *keyring = keyring_new();
    for (int i = 0; i < KEYRING_KEYS_MAX; i++)
        assert_int_equal(keyring_add(keyring, repeated((uint8_t)i, 16)), KEYRING_OK);
    assert_int_equal(keyring_add(keyring, repeated(1, 32)), KEYRING_FULL);
    assert_int_equal(keyring_add(keyring, repeated(1, 16)), KEYRING_OK); /* known */
    assert_int_equal(keyring_count(keyring), KEYRING_KEYS_MAX);
    keyring_free(keyring);
}

/* As `printf '\1\1...' | sha256sum` says. */
static void a_fingerprint_is_the_beginning_of_sha_256(void **state)
{
    (void)state;
    char text[KEY_FINGERPRINT_SIZE];
    assert_string_equal(key_fingerprint(repeated(1, 16), text), "cc8cd41c");
    assert_string_equal(key_fingerprint(repeated(1, 32), text), "72cd6e84");
}

static int seed_source(void **state)
{
    (void)state;
    random_init(&source, (const uint8_t[RANDOM_SEED_SIZE]){4});
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packet_vectors_of_the_specification_both_ways),
        cmocka_unit_test(stream_vectors_of_the_specification_both_ways),
        cmocka_unit_test(every_length_comes_back_in_both_versions),
        cmocka_unit_test(a_change_of_any_byte_is_found),
        cmocka_unit_test(what_can_not_be_opened_is_named_in_the_references_words),
        cmocka_unit_test(padding_of_version_0_is_validated),
        cmocka_unit_test(every_key_is_tried_and_only_the_primary_seals),
        cmocka_unit_test(an_empty_keyring_means_no_encryption),
        cmocka_unit_test(only_keys_of_16_24_or_32_bytes_are_added),
        cmocka_unit_test(the_first_key_is_primary_and_a_known_one_stays_in_its_place),
        cmocka_unit_test(use_moves_a_key_to_the_front_and_keeps_the_others_in_order),
        cmocka_unit_test(remove_refuses_the_primary_and_ignores_an_unknown_key),
        cmocka_unit_test(a_full_keyring_takes_no_more),
        cmocka_unit_test(a_fingerprint_is_the_beginning_of_sha_256),
    };
    return cmocka_run_group_tests(tests, seed_source, NULL);
}

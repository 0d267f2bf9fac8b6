#include "keyring_secret.h"

#include "base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include <jansson.h>

/* 16, 16 and 32 bytes; the fingerprints as `sha256sum` says. */
#define ONE              "AQEBAQEBAQEBAQEBAQEBAQ=="
#define TWO              "AgICAgICAgICAgICAgICAg=="
#define LONG             "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define ONE_FINGERPRINT  "cc8cd41c"
#define LONG_FINGERPRINT "72cd6e84"

static char object_text[8192];

/* A Secret with this list, and these annotations (JSON, or ""). */
static struct span object(const char *list, const char *annotations)
{
    struct buffer encoded;
    buffer_init(&encoded, 8192);
    base64_encode(span_text(list), &encoded);
    snprintf(object_text, sizeof object_text,
             "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"serf-keyring\","
             "\"resourceVersion\":\"17\"%s%s},\"data\":{\"keyring.json\":\"%s\"}}",
             *annotations ? ",\"annotations\":" : "", annotations, buffer_text(&encoded));
    buffer_fini(&encoded);
    return span_text(object_text);
}

static const char *annotations(const char *key, const char *since)
{
    static char text[256];
    snprintf(text, sizeof text, "{\"serf/rotation-key\":\"%s\",\"serf/rotation-since\":\"%s\"}",
             key, since);
    return text;
}

static void assert_refused(struct span text, const char *reason)
{
    struct keyring_secret secret;
    struct buffer error;
    buffer_init(&error, 4096);
    assert_false(keyring_secret_read(&secret, text, "keyring.json", &error));
    if (!strstr(buffer_text(&error), reason))
        fail_msg("\"%s\" does not say \"%s\"", buffer_text(&error), reason);
    assert_null(strstr(buffer_text(&error), "AQEB"));
    buffer_fini(&error);
}

static struct keyring_secret read_secret(struct span text)
{
    struct keyring_secret secret;
    struct buffer error;
    buffer_init(&error, 4096);
    bool good = keyring_secret_read(&secret, text, "keyring.json", &error);
    if (!good)
        fail_msg("%s", buffer_text(&error));
    buffer_fini(&error);
    return secret;
}

static void the_new_key_s_place_in_the_list_says_how_far_a_rotation_is(void **state)
{
    (void)state;
    struct keyring_secret secret = read_secret(object("[\"" ONE "\",\"" TWO "\"]", ""));
    assert_int_equal(secret.place, ROTATION_NONE);
    assert_int_equal(keyring_count(secret.keys), 2);
    assert_string_equal(secret.version, "17");
    keyring_secret_fini(&secret);
    const char *notes = annotations(LONG_FINGERPRINT, "1970-01-02T00:00:01Z");
    secret = read_secret(object("[\"" ONE "\",\"" TWO "\",\"" LONG "\"]", notes));
    assert_int_equal(secret.place, ROTATION_LAST);
    assert_int_equal(secret.new_key, 2);
    assert_int_equal(secret.since, 86401);
    keyring_secret_fini(&secret);
    secret = read_secret(object("[\"" LONG "\",\"" ONE "\"]", notes));
    assert_int_equal(secret.place, ROTATION_FIRST);
    assert_int_equal(secret.new_key, 0);
    keyring_secret_fini(&secret);
}

static void what_is_no_keyring_is_refused_without_telling_a_key(void **state)
{
    (void)state;
    const char *gone = annotations("01234567", "1970-01-02T00:00:01Z");
    assert_refused(span_text("rubbish"), "no Secret");
    assert_refused(span_text("[]"), "no Secret");
    assert_refused(span_text("{\"metadata\":{\"resourceVersion\":\"1\\\"\"},\"data\":{}}"),
                   "no Secret");
    assert_refused(span_text("{\"metadata\":{\"resourceVersion\":\"1\"},\"data\":{}}"),
                   "no key keyring.json");
    assert_refused(span_text("{\"metadata\":{\"resourceVersion\":\"1\"},"
                             "\"data\":{\"keyring.json\":\"?\"}}"),
                   "not base64");
    assert_refused(object("[]", ""), "expected a list");
    assert_refused(object("{\"a\":\"" ONE "\"}", ""), "expected a list");
    assert_refused(object("[\"" ONE "\",3]", ""), "key 2 of the list");
    assert_refused(object("[\"" ONE "\",\"AQEBAQ==\"]", ""), "key 2 of the list");
    assert_refused(object("[\"" ONE "\",\"" LONG LONG "\"]", ""), "key 2 of the list");
    assert_refused(object("[\"" ONE "\"]", gone), "which is not in its list");
    assert_refused(object("[\"" ONE "\"]", annotations(ONE_FINGERPRINT, "yesterday")),
                   "rotation-since");
    assert_refused(object("[\"" ONE "\"]", "{\"serf/rotation-key\":\"" ONE_FINGERPRINT "\"}"),
                   "rotation-since");
}

/* The list of the patch, as base64 of its JSON has it, without blanks. */
static void assert_patch(enum rotation_place place, const char *list, const char *key,
                         const char *since)
{
    struct keyring_secret secret = read_secret(object("[\"" ONE "\",\"" TWO "\"]", ""));
    struct buffer patch, error, added, text;
    size_t offset;
    buffer_init(&patch, 4096);
    buffer_init(&error, 4096);
    buffer_init(&added, 64);
    buffer_init(&text, 4096);
    assert_true(base64_decode(span_text(LONG), &added, &offset));
    assert_true(keyring_secret_patch(&secret, buffer_span(&added), place, 86401, "keyring.json",
                                     &patch, &error));
    json_t *root = json_loads(buffer_text(&patch), 0, NULL);
    const char *encoded, *version;
    json_t *annotated, *time;
    assert_int_equal(json_unpack(root, "{s:{s:s,s:{s:o,s:o!}!},s:{s:s!}!}", "metadata",
                                 "resourceVersion", &version, "annotations", "serf/rotation-key",
                                 &annotated, "serf/rotation-since", &time, "data", "keyring.json",
                                 &encoded),
                     0);
    assert_string_equal(version, "17");
    assert_true(base64_decode(span_text(encoded), &text, &offset));
    assert_string_equal(buffer_text(&text), list);
    assert_string_equal(json_is_null(annotated) ? "" : json_string_value(annotated), key);
    assert_string_equal(json_is_null(time) ? "" : json_string_value(time), since);
    json_decref(root);
    buffer_fini(&patch);
    buffer_fini(&error);
    buffer_fini(&added);
    buffer_fini(&text);
    keyring_secret_fini(&secret);
}

static void a_patch_puts_the_key_in_its_place_and_says_since_when(void **state)
{
    (void)state;
    assert_patch(ROTATION_LAST, "[\n  \"" ONE "\",\n  \"" TWO "\",\n  \"" LONG "\"\n]",
                 LONG_FINGERPRINT, "1970-01-02T00:00:01Z");
    assert_patch(ROTATION_FIRST, "[\n  \"" LONG "\",\n  \"" ONE "\",\n  \"" TWO "\"\n]",
                 LONG_FINGERPRINT, "1970-01-02T00:00:01Z");
}

static void the_last_patch_leaves_the_key_alone_and_no_annotation(void **state)
{
    (void)state;
    assert_patch(ROTATION_NONE, "[\n  \"" LONG "\"\n]", "", "");
}

static void a_full_list_takes_no_new_key(void **state)
{
    (void)state;
    struct keyring_secret secret = {.keys = keyring_new()};
    struct buffer patch, error;
    uint8_t key[16] = {0};
    buffer_init(&patch, 65536);
    buffer_init(&error, 4096);
    for (key[0] = 0; key[0] < KEYRING_KEYS_MAX; key[0]++)
        assert_int_equal(keyring_add(secret.keys, span_make(key, sizeof key)), KEYRING_OK);
    assert_false(keyring_secret_patch(&secret, span_make(key, sizeof key), ROTATION_LAST, 0, "k",
                                      &patch, &error));
    assert_true(error.size > 0);
    buffer_fini(&patch);
    buffer_fini(&error);
    keyring_secret_fini(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_new_key_s_place_in_the_list_says_how_far_a_rotation_is),
        cmocka_unit_test(what_is_no_keyring_is_refused_without_telling_a_key),
        cmocka_unit_test(a_patch_puts_the_key_in_its_place_and_says_since_when),
        cmocka_unit_test(the_last_patch_leaves_the_key_alone_and_no_annotation),
        cmocka_unit_test(a_full_list_takes_no_new_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

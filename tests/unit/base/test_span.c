#include "span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void strings_are_equal_when_all_their_bytes_are(void **state)
{
    (void)state;
    uint8_t a[40], b[40];
    for (size_t size = 0; size <= sizeof a; size++) {
        for (size_t i = 0; i < size; i++)
            a[i] = b[i] = (uint8_t)(i + 1);
        assert_true(span_equal(span_make(a, size), span_make(b, size)));
        for (size_t i = 0; i < size; i++) {
            b[i] ^= 0x80;
            assert_false(span_equal(span_make(a, size), span_make(b, size)));
            b[i] ^= 0x80;
        }
        assert_false(size > 0 && span_equal(span_make(a, size), span_make(b, size - 1)));
    }
    assert_true(span_equal(SPAN_EMPTY, span_make("", 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_equal_when_all_their_bytes_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "network_coordinate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void write_coordinate(struct buffer *out, double x, double y, double height,
                             double adjustment)
{
    msgpack_write_map(out, 4);
    msgpack_write_string_text(out, "Adjustment");
    msgpack_write_double(out, adjustment);
    msgpack_write_string_text(out, "Error");
    msgpack_write_double(out, 1.5);
    msgpack_write_string_text(out, "Height");
    msgpack_write_double(out, height);
    msgpack_write_string_text(out, "Vec");
    msgpack_write_array(out, 2);
    msgpack_write_double(out, x);
    msgpack_write_double(out, y);
}

static double distance(double adjustment)
{
    struct network_coordinate a, b;
    struct buffer out;
    buffer_init(&out, 1024);
    write_coordinate(&out, 0, 0, 0.25, adjustment);
    assert_true(network_coordinate_read(buffer_span(&out), &a));
    buffer_reset(&out);
    write_coordinate(&out, 3, 4, 0.5, 0);
    assert_true(network_coordinate_read(buffer_span(&out), &b));
    buffer_fini(&out);
    return network_coordinate_distance(&a, &b);
}

static void the_distance_is_that_of_the_vectors_with_heights_and_adjustments(void **state)
{
    (void)state;
    assert_true(distance(0) == 5.75);
    assert_true(distance(-0.75) == 5);
}

static void an_adjustment_that_would_make_it_negative_does_not_count(void **state)
{
    (void)state;
    assert_true(distance(-6) == 5.75);
}

static void what_is_no_coordinate_is_refused(void **state)
{
    (void)state;
    struct network_coordinate coordinate;
    assert_false(network_coordinate_read(span_text("\xa1x"), &coordinate));
    assert_false(network_coordinate_read(span_text("\x81\xa3Vec\x01"), &coordinate));
    assert_false(network_coordinate_read(span_text("\x81\xa3Vec\xdc\x7f\xff"), &coordinate));
    assert_false(network_coordinate_read(span_text("\x81\xa3Vec\x92\x01\xa1x"), &coordinate));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_distance_is_that_of_the_vectors_with_heights_and_adjustments),
        cmocka_unit_test(an_adjustment_that_would_make_it_negative_does_not_count),
        cmocka_unit_test(what_is_no_coordinate_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

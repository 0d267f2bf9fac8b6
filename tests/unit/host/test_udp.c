#include "loop_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "udp.h"

enum { MANY = 200 };

struct side {
    struct udp *udp;
    struct endpoint at;
    unsigned received, failed;
    size_t last_size;
    uint8_t last_first_byte;
    uint8_t order[MANY];
    struct endpoint from;
    int error_number;
    bool free_inside;
};

static struct side left, right;
static struct buffer error;

static void on_received(void *context, const struct endpoint *from, struct span datagram)
{
    struct side *side = context;
    side->from = *from;
    side->last_size = datagram.size;
    if (datagram.size > 0) {
        side->last_first_byte = datagram.data[0];
        if (side->received < MANY)
            side->order[side->received] = datagram.data[0];
    }
    side->received++;
    if (side->free_inside) {
        udp_free(side->udp);
        side->udp = NULL;
    }
}

static void on_failed(void *context, const struct endpoint *to, int error_number)
{
    struct side *side = context;
    (void)to;
    side->failed++;
    side->error_number = error_number;
}

static bool open_side(struct side *side, struct loop *loop, const char *address)
{
    struct udp_callbacks callbacks = {side, on_received, on_failed};
    struct endpoint at = {0};
    *side = (struct side){0};
    assert_true(address[0] == '\0' || endpoint_from_text(&at, address, 0));
    side->udp = udp_new(loop, &at, &callbacks, &error);
    if (!side->udp)
        return false;
    side->at = udp_bound(side->udp);
    return true;
}

static int open_loop(void **state)
{
    buffer_init(&error, 512);
    left = right = (struct side){0};
    *state = loop_new();
    return *state ? 0 : -1;
}

static int close_loop(void **state)
{
    udp_free(left.udp);
    udp_free(right.udp);
    loop_free(*state);
    buffer_fini(&error);
    return 0;
}

static void datagrams_leave_in_batches_and_arrive_whole_and_in_order(void **state)
{
    struct loop *loop = *state;
    assert_true(open_side(&left, loop, "127.0.0.1"));
    assert_true(open_side(&right, loop, "127.0.0.1"));
    uint8_t bytes[1400];
    for (unsigned i = 0; i < MANY; i++) {
        memset(bytes, (int)i, sizeof bytes);
        udp_send(left.udp, &right.at, span_make(bytes, sizeof bytes));
    }
    assert_true(loop_until(loop, &right.received, MANY));
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(right.order[i], i);
    assert_int_equal(right.last_size, 1400);
    assert_true(endpoint_equal(&right.from, &left.at));
    assert_int_equal(udp_counters(left.udp)->sent, MANY);
    assert_int_equal(udp_counters(right.udp)->received, MANY);
}

static void one_turn_hands_over_a_bounded_number(void **state)
{
    struct loop *loop = *state;
    assert_true(open_side(&left, loop, "127.0.0.1"));
    assert_true(open_side(&right, loop, "127.0.0.1"));
    for (unsigned i = 0; i < MANY; i++)
        udp_send(left.udp, &right.at, span_text("x"));
    udp_flush(left.udp);
    assert_true(udp_receive(right.udp));
    assert_in_range(right.received, 1, UDP_TURN_DATAGRAMS);
    assert_true(loop_until(loop, &right.received, MANY));
    assert_false(udp_receive(right.udp));
}

static void the_largest_and_the_empty_datagram_pass(void **state)
{
    struct loop *loop = *state;
    assert_true(open_side(&left, loop, "127.0.0.1"));
    assert_true(open_side(&right, loop, "127.0.0.1"));
    size_t size = 65507;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 'z', size);
    udp_send(left.udp, &right.at, span_make(bytes, size));
    assert_true(loop_until(loop, &right.received, 1));
    assert_int_equal(right.last_size, size);
    assert_int_equal(right.last_first_byte, 'z');
    udp_send(left.udp, &right.at, SPAN_EMPTY);
    assert_true(loop_until(loop, &right.received, 2));
    assert_int_equal(right.last_size, 0);
    free(bytes);
}

static void a_refused_datagram_is_reported_and_the_others_leave(void **state)
{
    struct loop *loop = *state;
    struct endpoint other_family;
    assert_true(open_side(&left, loop, "127.0.0.1"));
    assert_true(open_side(&right, loop, "127.0.0.1"));
    assert_true(endpoint_from_text(&other_family, "::1", 9));
    static const uint8_t too_long[65508];
    udp_send(left.udp, &right.at, span_text("a"));
    udp_send(left.udp, &other_family, span_text("b"));
    udp_send(left.udp, &right.at, span_make(too_long, sizeof too_long));
    udp_send(left.udp, &right.at, span_text("d"));
    assert_int_equal(left.failed, 0);
    assert_true(loop_until(loop, &right.received, 2));
    assert_int_equal(right.order[0], 'a');
    assert_int_equal(right.order[1], 'd');
    assert_int_equal(left.failed, 2);
    assert_int_equal(left.error_number, EMSGSIZE);
}

static void bound_to_every_address_both_families_arrive(void **state)
{
    struct loop *loop = *state;
    assert_true(open_side(&right, loop, ""));
    struct endpoint to;
    assert_true(endpoint_from_text(&to, "127.0.0.1", right.at.port));
    assert_true(open_side(&left, loop, "127.0.0.1"));
    udp_send(left.udp, &to, span_text("4"));
    assert_true(loop_until(loop, &right.received, 1));
    assert_int_equal(right.from.address_size, 4);
    /* And back, from the socket that is bound to all. */
    udp_send(right.udp, &right.from, span_text("r"));
    assert_true(loop_until(loop, &left.received, 1));
    assert_int_equal(left.from.port, right.at.port);
    udp_free(left.udp);
    if (!open_side(&left, loop, "::1"))
        skip();
    assert_true(endpoint_from_text(&to, "::1", right.at.port));
    udp_send(left.udp, &to, span_text("6"));
    assert_true(loop_until(loop, &right.received, 2));
    assert_int_equal(right.from.address_size, 16);
}

static void a_port_in_use_is_named_in_the_references_words(void **state)
{
    char expected[128], address[ENDPOINT_TEXT_SIZE];
    struct udp_callbacks callbacks = {0};
    assert_true(open_side(&left, *state, "127.0.0.1"));
    assert_null(udp_new(*state, &left.at, &callbacks, &error));
    snprintf(expected, sizeof expected, "listen udp %s: bind: address already in use",
             endpoint_text(&left.at, address));
    assert_string_equal(buffer_text(&error), expected);
}

static void freeing_inside_a_callback_ends_the_callbacks(void **state)
{
    struct loop *loop = *state;
    assert_true(open_side(&left, loop, "127.0.0.1"));
    assert_true(open_side(&right, loop, "127.0.0.1"));
    right.free_inside = true;
    udp_send(left.udp, &right.at, span_text("1"));
    udp_send(left.udp, &right.at, span_text("2"));
    assert_true(loop_until(loop, &right.received, 1));
    loop_turn(loop, false);
    assert_int_equal(right.received, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(datagrams_leave_in_batches_and_arrive_whole_and_in_order),
        TEST(one_turn_hands_over_a_bounded_number),
        TEST(the_largest_and_the_empty_datagram_pass),
        TEST(a_refused_datagram_is_reported_and_the_others_leave),
        TEST(bound_to_every_address_both_families_arrive),
        TEST(a_port_in_use_is_named_in_the_references_words),
        TEST(freeing_inside_a_callback_ends_the_callbacks),
    };
    return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}

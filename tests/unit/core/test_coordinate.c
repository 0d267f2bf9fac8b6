/* Network coordinates, against vectors that were taken from the reference (Serf specification,
 * appendix C) and against round-trip times that are known. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "coordinate.h"

#include <math.h>
#include <stdio.h>

static struct random random_numbers;

static int set_up(void **state)
{
    static const uint8_t seed[RANDOM_SEED_SIZE] = {5};
    (void)state;
    random_init(&random_numbers, seed);
    return 0;
}

static uint64_t bits(double number)
{
    uint64_t value;
    memcpy(&value, &number, sizeof value);
    return value;
}

static const struct coordinate peer_of_the_appendix = {
    .vector = {0.01, -0.02, 0, 0.003}, .error = 0.5, .adjustment = 0.001, .height = 0.002};

static void the_first_answer_moves_as_in_the_reference(void **state)
{
    (void)state;
    struct coordinate_model model;
    struct coordinate_peer peer = {0};
    coordinate_model_init(&model);
    assert_int_equal(
        coordinate_update(&model, &peer, &peer_of_the_appendix, 61107215, &random_numbers),
        COORDINATE_TAKEN);
    assert_int_equal(bits(model.own.error), UINT64_C(0x3ff53e9f15e57a35));
    assert_int_equal(bits(model.own.adjustment), UINT64_C(0x3f47fc5cd41c331e));
    assert_int_equal(bits(model.own.height), UINT64_C(0x3f43c789b0593d3b));
    assert_int_equal(bits(model.own.vector[0]), UINT64_C(0xbf683198c8d68025));
    assert_int_equal(bits(model.own.vector[1]), UINT64_C(0x3f783198c8d68025));
    assert_int_equal(bits(model.own.vector[3]), UINT64_C(0xbf4d0850f1016693));
    assert_true(model.own.vector[2] == 0 && model.own.vector[7] == 0);
}

static void a_run_of_answers_moves_as_in_the_reference(void **state)
{
    (void)state;
    static const struct {
        uint64_t round_trip;
        double error, adjustment, height, x, y, w;
        int64_t distance;
    } steps[] = {
        {50000000, 1.310358645, 0.0005110115245919733, 0.00041807829442136246,
         -0.0020302403001666277, 0.004060480600333255, -0.0006090720900499882, 31070549},
        {30000000, 1.141752221814284, 0.0009287603751871838, 0.0007232471499744206,
         -0.003548493368210423, 0.007096986736420846, -0.0010645480104631267, 35218801},
        {80000000, 0.9946428122464261, 0.0012765382916463167, 0.0009522019902918191,
         -0.004687572251551161, 0.009375144503102322, -0.001406271675465348, 38365413},
        {40000000, 0.8359646717373723, 0.001366912137452158, 0.0009764291396279479,
         -0.004808105405186852, 0.009616210810373704, -0.0014424316215560554, 38751949},
        {41000000, 0.7137682216592084, 0.0014727110889743115, 0.0010077595285265023,
         -0.004963978063226629, 0.009927956126453258, -0.0014891934189679885, 39240743},
    };
    struct coordinate_model model;
    struct coordinate_peer peer = {0};
    coordinate_model_init(&model);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        coordinate_update(&model, &peer, &peer_of_the_appendix, steps[i].round_trip,
                          &random_numbers);
        assert_int_equal(bits(model.own.error), bits(steps[i].error));
        assert_int_equal(bits(model.own.adjustment), bits(steps[i].adjustment));
        assert_int_equal(bits(model.own.height), bits(steps[i].height));
        assert_int_equal(bits(model.own.vector[0]), bits(steps[i].x));
        assert_int_equal(bits(model.own.vector[1]), bits(steps[i].y));
        assert_int_equal(bits(model.own.vector[3]), bits(steps[i].w));
        assert_int_equal(coordinate_distance(&model.own, &peer_of_the_appendix), steps[i].distance);
    }
}

static void distances_ignore_adjustments_that_would_make_them_negative(void **state)
{
    (void)state;
    struct coordinate a = {.vector = {-0.5, 1.3, 2.4}, .height = 0.7, .adjustment = 0.1};
    struct coordinate b = {.vector = {1.2, -2.3, 3.4}, .height = 0.1, .adjustment = 0.2};
    assert_int_equal(coordinate_distance(&a, &b), 5204875150);
    a.height = b.height = 0;
    a.adjustment = -1e6;
    assert_int_equal(coordinate_distance(&a, &b), 4104875150);
    a.vector[0] = 1e300;
    assert_int_equal(coordinate_distance(&a, &b), INT64_MAX);
}

static void a_single_late_answer_is_filtered_out(void **state)
{
    (void)state;
    static const uint64_t times[] = {201, 200, 207, 1900, 203, 199, 211};
    static const double medians[] = {.201, .201, .201, .207, .207, .203, .203};
    struct coordinate_model model;
    struct coordinate_peer peer = {0};
    struct coordinate other = {.error = 1.5, .height = 1e-5};
    coordinate_model_init(&model);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        uint32_t place = model.next_adjustment;
        coordinate_update(&model, &peer, &other, times[i] * 1000000, &random_numbers);
        /* the sample is the filtered time less the distance before gravity: near enough */
        double distance = (double)coordinate_distance(&model.own, &other) / 1e9 -
                          model.own.adjustment - other.adjustment;
        assert_true(fabs(model.adjustments[place] + distance - medians[i]) < 0.002);
    }
}

static void what_is_no_number_or_no_time_changes_nothing(void **state)
{
    (void)state;
    struct coordinate_model model, before;
    struct coordinate_peer peer = {0};
    coordinate_model_init(&model);
    before = model;
    for (int i = 0; i < 11; i++) {
        struct coordinate bad = peer_of_the_appendix;
        double *fields[] = {&bad.error, &bad.adjustment, &bad.height};
        *(i < 8 ? &bad.vector[i] : fields[i - 8]) = i % 2 ? (double)NAN : (double)INFINITY;
        assert_int_equal(coordinate_update(&model, &peer, &bad, 1000000, &random_numbers),
                         COORDINATE_INVALID);
    }
    assert_int_equal(coordinate_update(&model, &peer, &peer_of_the_appendix, UINT64_C(10000000001),
                                       &random_numbers),
                     COORDINATE_BAD_TIME);
    assert_memory_equal(&model, &before, sizeof model);
    assert_int_equal(peer.latency_count, 0);
    assert_int_equal(coordinate_update(&model, &peer, &peer_of_the_appendix, 0, &random_numbers),
                     COORDINATE_TAKEN);
}

static void a_position_that_became_no_number_starts_anew(void **state)
{
    (void)state;
    struct coordinate_model model;
    struct coordinate_peer peer = {0};
    struct coordinate huge = {.vector = {1.7e308, 1.7e308}, .error = 1.5, .height = 1e-5};
    coordinate_model_init(&model);
    for (int i = 0; i < 50; i++) {
        coordinate_update(&model, &peer, &huge, 1000000, &random_numbers);
        assert_true(coordinate_is_valid(&model.own));
    }
    assert_true(model.resets > 0);
}

static void the_payload_of_a_fresh_member_is_the_reference_s(void **state)
{
    (void)state;
    static const uint8_t head[] =
        "\x01\x84\xaa\x41\x64\x6a\x75\x73\x74\x6d\x65\x6e\x74\xcb\0\0\0\0\0\0\0\0\xa5\x45\x72\x72"
        "\x6f\x72\xcb\x3f\xf8\0\0\0\0\0\0\xa6\x48\x65\x69\x67\x68\x74\xcb\x3e\xe4\xf8\xb5\x88\xe3"
        "\x68\xf1\xa3\x56\x65\x63\x98\xcb";
    struct coordinate_model model;
    struct coordinate again;
    struct buffer payload;
    coordinate_model_init(&model);
    buffer_init(&payload, 512);
    coordinate_write(&payload, &model.own);
    assert_int_equal(payload.size, 130);
    assert_memory_equal(payload.data, head, sizeof head - 1);
    assert_true(coordinate_read(buffer_span(&payload), &again));
    assert_memory_equal(&again, &model.own, sizeof again);
    for (size_t size = 0; size < payload.size; size++)
        assert_false(coordinate_read(span_make(payload.data, size), &again));
    payload.data[0] = 2;
    assert_false(coordinate_read(buffer_span(&payload), &again));
    buffer_fini(&payload);
}

/* Members on a plane, whose round-trip times are distances: after some hundreds of probes each
 * estimate is near the truth. */
static void estimates_come_near_to_true_times(void **state)
{
    (void)state;
    enum { MEMBERS = 25, ROUNDS = 300 };
    struct coordinate_model models[MEMBERS];
    static struct coordinate_peer peers[MEMBERS][MEMBERS];
    double worst = 0, sum = 0;
    memset(peers, 0, sizeof peers);
    for (int i = 0; i < MEMBERS; i++)
        coordinate_model_init(&models[i]);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < MEMBERS; i++) {
            int j = (int)random_below(&random_numbers, MEMBERS);
            if (i == j)
                continue;
            double x = i % 5 - j % 5, y = i / 5 - j / 5;
            uint64_t time = (uint64_t)(sqrt(x * x + y * y) * 10e6);
            coordinate_update(&models[i], &peers[i][j], &models[j].own, time, &random_numbers);
        }
    for (int i = 0; i < MEMBERS; i++)
        for (int j = 0; j < MEMBERS; j++) {
            double x = i % 5 - j % 5, y = i / 5 - j / 5;
            double truth = sqrt(x * x + y * y) * 10e6;
            if (i == j)
                continue;
            double wrong =
                fabs((double)coordinate_distance(&models[i].own, &models[j].own) - truth) / truth;
            worst = wrong > worst ? wrong : worst;
            sum += wrong;
        }
    assert_true(sum / (MEMBERS * (MEMBERS - 1)) < 0.05);
    assert_true(worst < 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_answer_moves_as_in_the_reference),
        cmocka_unit_test(a_run_of_answers_moves_as_in_the_reference),
        cmocka_unit_test(distances_ignore_adjustments_that_would_make_them_negative),
        cmocka_unit_test(a_single_late_answer_is_filtered_out),
        cmocka_unit_test(what_is_no_number_or_no_time_changes_nothing),
        cmocka_unit_test(a_position_that_became_no_number_starts_anew),
        cmocka_unit_test(the_payload_of_a_fresh_member_is_the_reference_s),
        cmocka_unit_test(estimates_come_near_to_true_times),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

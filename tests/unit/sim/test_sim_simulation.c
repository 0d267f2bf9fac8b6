/* The simulated cluster as a whole: what each fault does to it, and that a run is a function of
 * its scenario and seed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "player.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct run_result played(const char *text, uint64_t seed, FILE *trace)
{
    struct scenario scenario;
    struct run_result result = {0};
    struct buffer error;
    struct player_options options = {.seed = seed, .trace = trace};
    buffer_init(&error, 4096);
    if (!scenario_parse(&scenario, "test", span_text(text), &error) ||
        !play(&scenario, &options, &result, &error))
        fail_msg("%s", buffer_text(&error));
    scenario_fini(&scenario);
    buffer_fini(&error);
    return result;
}

static struct run_result played_well(const char *text)
{
    struct run_result result = played(text, 1, NULL);
    if (result.violation.found)
        fail_msg("%s: %s", invariant_name(result.violation.invariant), result.violation.text);
    return result;
}

static const char busy[] = "members 12\n"
                           "link delay 1ms..20ms loss 5% duplicate 5% reorder 10%\n"
                           "at 0s start all over 2s join service\n"
                           "at 10s every 1s 20 times event any 1\n"
                           "at 15s partition 1..4 | 5..12\n"
                           "at 40s heal\n"
                           "at 60s restart any 2 after 1s\n"
                           "at 60s pause any 1 for 5s\n"
                           "at 70s slow any 2 by 100ms for 20s\n"
                           "at 80s tags any 3\n"
                           "run 120s\n";

static void the_same_seed_gives_the_same_trace_byte_for_byte(void **state)
{
    (void)state;
    char *texts[2];
    size_t sizes[2];
    uint64_t digests[2];
    for (int i = 0; i < 2; i++) {
        FILE *trace = open_memstream(&texts[i], &sizes[i]);
        struct run_result result = played(busy, 7, trace);
        fclose(trace);
        digests[i] = result.digest;
        run_result_fini(&result);
    }
    assert_true(sizes[0] > 100000);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(texts[0], texts[1], sizes[0]);
    assert_true(digests[0] == digests[1]);
    free(texts[0]);
    free(texts[1]);
}

static void a_trace_changes_nothing_and_another_seed_does(void **state)
{
    (void)state;
    char *text;
    size_t size;
    FILE *trace = open_memstream(&text, &size);
    struct run_result traced = played(busy, 7, trace);
    struct run_result quiet = played(busy, 7, NULL);
    struct run_result other = played(busy, 8, NULL);
    fclose(trace);
    free(text);
    assert_true(traced.digest == quiet.digest);
    assert_true(traced.digest != other.digest);
    run_result_fini(&traced);
    run_result_fini(&quiet);
    run_result_fini(&other);
}

static void members_that_start_together_agree(void **state)
{
    (void)state;
    struct run_result result = played_well("members 30\nat 0s start all join service\n"
                                           "run until settled\n");
    assert_true(result.agreed && result.all_checked);
    assert_int_equal(result.joins, 30 * 30);
    assert_int_equal(result.failures, 0);
    run_result_fini(&result);
}

static void a_name_that_lags_brings_members_together_only_then(void **state)
{
    (void)state;
    struct run_result result = played_well("members 4\nnames lag 40s\nsettle within 60s\n"
                                           "at 0s start all join headless\n"
                                           "run until agreed for 0s\n");
    assert_in_range(result.agreed_after, 40 * NANOSECONDS_PER_S, 50 * NANOSECONDS_PER_S);
    run_result_fini(&result);
}

static void a_crash_is_noticed_by_all(void **state)
{
    (void)state;
    struct run_result result = played_well("members 10\nat 0s start all join service\n"
                                           "at 20s crash 3\nrun until settled\n");
    assert_int_equal(result.failures, 9);
    assert_int_equal(result.crashes_known, 1);
    assert_true(result.worst_crash > NANOSECONDS_PER_S && result.worst_crash < result.crash_bound);
    run_result_fini(&result);
}

static void both_sides_of_a_partition_give_each_other_up_and_find_back(void **state)
{
    (void)state;
    struct run_result result = played_well("members 10\nat 0s start all join service\n"
                                           "at 20s partition 1..4 | 5..10\nat 80s heal\n"
                                           "run until settled\n");
    assert_int_equal(result.false_failures, 2 * 4 * 6);
    assert_true(result.agreed);
    run_result_fini(&result);
}

static void a_one_way_block_also_lets_streams_hang(void **state)
{
    (void)state;
    struct run_result result = played_well("members 6\nat 0s start all join service\n"
                                           "at 20s block 2..6 to 1\nat 60s heal\n"
                                           "run until settled\n");
    assert_true(result.false_failures >= 5);
    run_result_fini(&result);
}

static void a_pause_longer_than_the_suspicion_is_a_false_failure(void **state)
{
    (void)state;
    struct run_result result = played_well("members 6\nat 0s start all join service\n"
                                           "at 20s pause 2 for 60s\nrun until settled\n");
    assert_int_equal(result.false_failures, 5);
    run_result_fini(&result);
}

/* After a stall the sockets are read before the timers: who wakes up suspects nobody. */
static void who_wakes_up_from_a_pause_declares_nobody_failed(void **state)
{
    (void)state;
    struct run_result result =
        played_well("members 20\nexpect no failures\nat 0s start all join service\n"
                    "at 20s every 10s 10 times pause any 5 for 2s\nrun until settled\n");
    assert_int_equal(result.failures, 0);
    run_result_fini(&result);
}

/* Its system took connections in for it, a partition kept their bytes, and then it died. */
static void connections_of_a_process_that_dies_before_it_reads_them_are_reset(void **state)
{
    (void)state;
    struct run_result result = played_well("members 6\nat 0s start all join service\n"
                                           "at 20s pause 2 for 10s\n"
                                           "at 25s partition 2 | 1,3..6\n"
                                           "at 31s crash 2\nat 32s heal\nrun until settled\n");
    assert_int_equal(result.crashes_known, 1);
    run_result_fini(&result);
}

static void a_restart_at_once_goes_unnoticed(void **state)
{
    (void)state;
    struct run_result result =
        played_well("members 8\nexpect no failures\nat 0s start all join service\n"
                    "at 20s restart 3 after 500ms\nrun until settled\n");
    assert_int_equal(result.failures + result.leaves, 0);
    run_result_fini(&result);
}

static void a_graceful_leave_is_no_failure(void **state)
{
    (void)state;
    struct run_result result =
        played_well("members 8\nexpect no failures\nat 0s start all join service\n"
                    "at 20s leave 3,4\nrun until settled\n");
    assert_true(result.leaves >= 2 * 6);
    assert_int_equal(result.failures, 0);
    run_result_fini(&result);
}

static void user_events_reach_everybody_once(void **state)
{
    (void)state;
    struct run_result result = played_well("members 10\nat 0s start all join service\n"
                                           "at 20s every 200ms 30 times event any 1\n"
                                           "run until settled\n");
    assert_int_equal(result.user_events, 30);
    assert_int_equal(result.user_deliveries, 300);
    assert_int_equal(result.user_deliveries_expected, 300);
    run_result_fini(&result);
}

/* A cluster that is never joined never agrees: the whole of it must fail, too, and not only the
 * checker on its own. */
static void members_that_never_meet_are_a_violation(void **state)
{
    (void)state;
    struct run_result result = played("members 3\nsettle within 30s\n"
                                      "at 0s start all join nobody\nrun until settled\n",
                                      1, NULL);
    assert_true(result.violation.found);
    assert_int_equal(result.violation.invariant, INVARIANT_AGREEMENT);
    assert_false(result.agreed);
    run_result_fini(&result);
}

static void a_bound_that_is_too_short_is_a_violation(void **state)
{
    (void)state;
    struct run_result result = played("members 10\ncrash bound 2s\n"
                                      "at 0s start all join service\n"
                                      "at 20s crash 3\nrun until settled\n",
                                      1, NULL);
    assert_true(result.violation.found);
    assert_int_equal(result.violation.invariant, INVARIANT_CRASH_KNOWN);
    assert_int_equal(result.violation.subject, 2);
    run_result_fini(&result);
}

static void a_set_beyond_the_members_is_an_error(void **state)
{
    (void)state;
    struct scenario scenario;
    struct run_result result;
    struct buffer error;
    struct player_options options = {.seed = 1};
    buffer_init(&error, 4096);
    assert_true(
        scenario_parse(&scenario, "test", span_text("members 5\nat 0s start 1..6\n"), &error));
    assert_false(play(&scenario, &options, &result, &error));
    assert_non_null(strstr(buffer_text(&error), "test:2: "));
    scenario_fini(&scenario);
    buffer_fini(&error);
}

static void samples_follow_what_members_know(void **state)
{
    (void)state;
    struct run_result result = played_well("members 20\nat 0s start all over 5s join service\n"
                                           "at 20s crash 5\nrun 60s\n");
    const struct sample *first = &result.samples.samples[0];
    const struct sample *last = &result.samples.samples[result.samples.count - 1];
    assert_int_equal(result.samples.mark_count, 2);
    assert_true(first->most <= 2);
    assert_int_equal(last->running, 19);
    assert_int_equal(last->least, 19);
    assert_int_equal(last->median, 19);
    assert_int_equal(last->most, 19);
    run_result_fini(&result);
}

/* Of members that are points in a plane, in millionths. */
static struct estimates estimated_after(const char *run)
{
    char text[256];
    snprintf(text, sizeof text,
             "members 30\nplane 80ms\nlink delay 500us..2ms\nat 0s start all join service\n"
             "run %s\n",
             run);
    struct run_result result = played_well(text);
    struct estimates estimates = result.estimates;
    run_result_fini(&result);
    assert_int_equal(estimates.pairs, 30 * 29 / 2);
    return estimates;
}

static void coordinates_come_ever_closer_to_the_true_round_trips(void **state)
{
    (void)state;
    struct estimates early = estimated_after("30s"), later = estimated_after("120s"),
                     late = estimated_after("400s");
    assert_true(early.median > later.median && later.median > late.median);
    assert_true(early.most > later.most && later.most > late.most);
    assert_in_range(late.median, 1, 20000);
    assert_in_range(late.most, 1, 150000);
}

static void assert_disappointed(const char *text, const char *what)
{
    struct run_result result = played(text, 1, NULL);
    assert_true(result.violation.found);
    assert_int_equal(result.violation.invariant, INVARIANT_EXPECTATION);
    assert_non_null(strstr(result.violation.text, what));
    run_result_fini(&result);
}

static void coordinates_that_are_wrong_are_a_violation_where_the_scenario_says_so(void **state)
{
    (void)state;
    assert_disappointed("members 30\nplane 80ms\nat 0s start all join service\n"
                        "expect coordinates median 5% most 20%\nrun 20s\n",
                        "in the middle; the scenario expects 5 %");
}

static void an_event_that_did_not_come_is_a_violation_where_the_scenario_says_so(void **state)
{
    (void)state;
    assert_disappointed("members 6\nat 0s start all join service\nexpect events 100%\n"
                        "at 30s partition 1 | 2..6\nat 30100ms event 1\n"
                        "healing bound 600s\ncrash bound 600s\nrun 33s\n",
                        "1 of 6 deliveries of user events came");
}

static void everybody_answers_a_query_once(void **state)
{
    (void)state;
    struct run_result result = played_well("members 20\nlink delay 1ms..5ms\n"
                                           "at 0s start all over 2s join service\n"
                                           "expect answers 100%\n"
                                           "at 30s every 1s 20 times query any 1\nrun 90s\n");
    assert_int_equal(result.queries, 20);
    assert_int_equal(result.answers, 20 * 20);
    assert_int_equal(result.answers_expected, 20 * 20);
    run_result_fini(&result);
}

static void answers_that_do_not_come_are_a_violation_where_the_scenario_says_so(void **state)
{
    (void)state;
    assert_disappointed("members 6\nat 0s start all join service\nexpect answers 100%\n"
                        "at 30s partition 1..3 | 4..6\nat 30100ms query 1\n"
                        "healing bound 600s\ncrash bound 600s\nrun 33s\n",
                        " of 6 answers came");
}

static void a_dead_member_that_is_forced_out_has_left_everywhere(void **state)
{
    (void)state;
    struct run_result result = played_well("members 10\nat 0s start all join service\n"
                                           "at 20s crash 3\nat 60s force-leave 3\n"
                                           "run until settled\n");
    assert_true(result.agreed);
    assert_int_equal(result.failures, 9);
    assert_int_equal(result.leaves, 9);
    run_result_fini(&result);
}

static void a_member_that_runs_refuses_to_be_forced_out(void **state)
{
    (void)state;
    struct run_result result = played_well("members 10\nat 0s start all join service\n"
                                           "at 20s every 5s 5 times force-leave 3\n"
                                           "run until settled\n");
    assert_true(result.agreed);
    assert_int_equal(result.leaves + result.failures, 0);
    run_result_fini(&result);
}

static void members_that_saw_each_other_fail_find_back_after_a_power_cut(void **state)
{
    (void)state;
    struct run_result result = played_well("members 8\nat 0s start all join service\n"
                                           "at 20s block all to all\n"
                                           "at 300s restart all after 30s join nobody\n"
                                           "at 310s heal\nrun until settled\n");
    assert_true(result.agreed);
    assert_int_equal(result.false_failures, 8 * 7);
    run_result_fini(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_trace_byte_for_byte),
        cmocka_unit_test(a_trace_changes_nothing_and_another_seed_does),
        cmocka_unit_test(members_that_start_together_agree),
        cmocka_unit_test(a_name_that_lags_brings_members_together_only_then),
        cmocka_unit_test(a_crash_is_noticed_by_all),
        cmocka_unit_test(both_sides_of_a_partition_give_each_other_up_and_find_back),
        cmocka_unit_test(a_one_way_block_also_lets_streams_hang),
        cmocka_unit_test(a_pause_longer_than_the_suspicion_is_a_false_failure),
        cmocka_unit_test(who_wakes_up_from_a_pause_declares_nobody_failed),
        cmocka_unit_test(connections_of_a_process_that_dies_before_it_reads_them_are_reset),
        cmocka_unit_test(a_restart_at_once_goes_unnoticed),
        cmocka_unit_test(a_graceful_leave_is_no_failure),
        cmocka_unit_test(user_events_reach_everybody_once),
        cmocka_unit_test(members_that_never_meet_are_a_violation),
        cmocka_unit_test(a_bound_that_is_too_short_is_a_violation),
        cmocka_unit_test(a_set_beyond_the_members_is_an_error),
        cmocka_unit_test(coordinates_come_ever_closer_to_the_true_round_trips),
        cmocka_unit_test(coordinates_that_are_wrong_are_a_violation_where_the_scenario_says_so),
        cmocka_unit_test(an_event_that_did_not_come_is_a_violation_where_the_scenario_says_so),
        cmocka_unit_test(everybody_answers_a_query_once),
        cmocka_unit_test(answers_that_do_not_come_are_a_violation_where_the_scenario_says_so),
        cmocka_unit_test(a_dead_member_that_is_forced_out_has_left_everywhere),
        cmocka_unit_test(a_member_that_runs_refuses_to_be_forced_out),
        cmocka_unit_test(members_that_saw_each_other_fail_find_back_after_a_power_cut),
        cmocka_unit_test(samples_follow_what_members_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

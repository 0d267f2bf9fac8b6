/* Each invariant's checker sees a violation that is planted, and stays silent without one. The
 * checker is told what a cluster would tell it; no cluster runs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "checker.h"

enum { MEMBERS = 5 };

#define SECONDS(n) ((uint64_t)(n)*NANOSECONDS_PER_S)

static const struct bounds bounds = {
    .crash = SECONDS(20), .healing = SECONDS(40), .move = SECONDS(50)};
static const struct checker_limits limits = {
    .serf_queue = 100, .membership = MEMBERS, .relays = 10, .streams = 8};
static struct checker *checker;
static uint64_t now;

static void event(uint32_t viewer, enum member_event_type type, uint32_t subject)
{
    checker_member_event(checker, now, viewer, type, subject, 0);
}

/* All five run and know each other. */
static int begin(void **state)
{
    (void)state;
    now = SECONDS(1);
    checker = checker_new(MEMBERS, &bounds, &limits);
    for (uint32_t i = 0; i < MEMBERS; i++)
        checker_started(checker, now, i, 0, false);
    for (uint32_t viewer = 0; viewer < MEMBERS; viewer++)
        for (uint32_t subject = 0; subject < MEMBERS; subject++)
            event(viewer, MEMBER_EVENT_JOIN, subject);
    assert_true(checker_agrees(checker));
    return 0;
}

static int end(void **state)
{
    (void)state;
    checker_free(checker);
    return 0;
}

static void pass(uint64_t duration)
{
    uint64_t until = now + duration;
    while (checker_next(checker) <= until) {
        now = checker_next(checker) > now ? checker_next(checker) : now;
        checker_due(checker, now);
    }
    now = until;
}

static void assert_violated(enum invariant invariant, int64_t viewer, int64_t subject)
{
    assert_true(checker->violation.found);
    assert_int_equal(checker->violation.invariant, invariant);
    assert_int_equal(checker->violation.viewer, viewer);
    assert_int_equal(checker->violation.subject, subject);
    assert_true(checker->violation.time <= now);
}

static void assert_healthy(void)
{
    pass(SECONDS(200));
    checker_finish(checker, now);
    assert_true(checker_is_settled(checker));
    if (checker->violation.found)
        fail_msg("%s: %s", invariant_name(checker->violation.invariant), checker->violation.text);
}

/* --- nothing is wrong --- */

static void a_healthy_cluster_violates_nothing(void **state)
{
    (void)state;
    assert_healthy();
}

static void a_crash_that_all_notice_in_time_violates_nothing(void **state)
{
    (void)state;
    checker_crashed(checker, now, 4);
    pass(SECONDS(10));
    for (uint32_t viewer = 0; viewer < 4; viewer++)
        event(viewer, MEMBER_EVENT_FAILED, 4);
    assert_true(checker->worst_crash == SECONDS(10));
    assert_healthy();
}

static void a_false_failure_that_heals_in_time_violates_nothing(void **state)
{
    (void)state;
    checker_disturbed(checker, now);
    event(0, MEMBER_EVENT_FAILED, 1);
    pass(SECONDS(500));
    checker_peace(checker, now);
    pass(SECONDS(39));
    event(0, MEMBER_EVENT_JOIN, 1);
    assert_healthy();
}

static void a_goodbye_that_nobody_left_has_heard_may_be_called_a_failure(void **state)
{
    (void)state;
    checker_leaving(checker, now, 4);
    checker_left(checker, now, 4);
    for (uint32_t viewer = 0; viewer < 4; viewer++)
        event(viewer, MEMBER_EVENT_FAILED, 4);
    assert_healthy();
}

/* --- false failures --- */

static void a_member_that_runs_and_is_held_failed_after_the_healing_bound_is_caught(void **state)
{
    (void)state;
    checker_disturbed(checker, now);
    event(0, MEMBER_EVENT_FAILED, 1);
    pass(SECONDS(5));
    checker_peace(checker, now);
    pass(SECONDS(39));
    assert_false(checker->violation.found);
    pass(SECONDS(1));
    assert_violated(INVARIANT_FALSE_FAILURE, 0, 1);
}

static void a_failure_declared_long_after_peace_is_caught_at_once(void **state)
{
    (void)state;
    pass(SECONDS(100));
    event(2, MEMBER_EVENT_FAILED, 3);
    assert_violated(INVARIANT_FALSE_FAILURE, 2, 3);
}

static void a_failure_that_a_scenario_excludes_is_caught(void **state)
{
    (void)state;
    checker->expect_no_failures = true;
    checker_crashed(checker, now, 4);
    event(0, MEMBER_EVENT_FAILED, 4);
    assert_false(checker->violation.found); /* that one did crash */
    event(0, MEMBER_EVENT_FAILED, 1);
    assert_violated(INVARIANT_EXPECTATION, 0, 1);
}

/* --- crashes --- */

static void a_crash_that_one_member_does_not_notice_is_caught(void **state)
{
    (void)state;
    checker_crashed(checker, now, 4);
    for (uint32_t viewer = 0; viewer < 3; viewer++)
        event(viewer, MEMBER_EVENT_FAILED, 4);
    pass(SECONDS(19));
    assert_false(checker->violation.found);
    pass(SECONDS(1));
    assert_violated(INVARIANT_CRASH_KNOWN, 3, 4);
}

static void a_disturbance_gives_more_time_to_notice_a_crash(void **state)
{
    (void)state;
    checker_crashed(checker, now, 4);
    checker_disturbed(checker, now);
    pass(SECONDS(100));
    checker_peace(checker, now);
    pass(SECONDS(19));
    assert_false(checker->violation.found);
    pass(SECONDS(1));
    assert_true(checker->violation.found);
    assert_int_equal(checker->violation.invariant, INVARIANT_CRASH_KNOWN);
}

static void a_dead_member_that_is_declared_alive_is_caught(void **state)
{
    (void)state;
    checker_crashed(checker, now, 4);
    for (uint32_t viewer = 0; viewer < 4; viewer++)
        event(viewer, MEMBER_EVENT_FAILED, 4);
    pass(SECONDS(30));
    assert_false(checker->violation.found);
    event(1, MEMBER_EVENT_JOIN, 4);
    assert_violated(INVARIANT_CRASH_KNOWN, 1, 4);
}

static void a_new_life_of_the_same_member_is_no_resurrection(void **state)
{
    (void)state;
    checker_crashed(checker, now, 4);
    for (uint32_t viewer = 0; viewer < 4; viewer++)
        event(viewer, MEMBER_EVENT_FAILED, 4);
    pass(SECONDS(30));
    checker_started(checker, now, 4, 0, false);
    for (uint32_t viewer = 0; viewer < 4; viewer++)
        event(viewer, MEMBER_EVENT_JOIN, 4);
    for (uint32_t subject = 0; subject < MEMBERS; subject++)
        event(4, MEMBER_EVENT_JOIN, subject);
    assert_healthy();
}

/* --- going back --- */

static const struct serf_stats stats_now = {
    .incarnation = 7, .member_time = 50, .event_time = 60, .query_time = 70};

static void each_clock_that_goes_back_is_caught(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++) {
        struct serf_stats stats = stats_now;
        checker->violation.found = false;
        checker_stats(checker, now, 2, &stats);
        stats.incarnation -= which == 0;
        stats.member_time -= which == 1;
        stats.event_time -= which == 2;
        stats.query_time -= which == 3;
        assert_false(checker->violation.found);
        checker_stats(checker, now, 2, &stats);
        assert_violated(INVARIANT_GOING_BACK, 2, CHECKER_NOBODY);
        end(state);
        begin(state);
    }
}

static void a_new_life_begins_with_new_clocks(void **state)
{
    (void)state;
    struct serf_stats stats = stats_now;
    checker_stats(checker, now, 2, &stats);
    checker_crashed(checker, now, 2);
    checker_started(checker, now, 2, 0, false);
    stats = (struct serf_stats){.incarnation = 1};
    checker_stats(checker, now, 2, &stats);
    assert_false(checker->violation.found);
}

/* --- delivered twice --- */

static void a_user_event_that_comes_twice_in_one_life_is_caught(void **state)
{
    (void)state;
    uint32_t first = checker_user_event_sent(checker, now);
    uint32_t second = checker_user_event_sent(checker, now);
    checker_user_event(checker, now, 1, first);
    checker_user_event(checker, now, 1, second);
    checker_user_event(checker, now, 2, first);
    assert_false(checker->violation.found);
    checker_user_event(checker, now, 1, first);
    assert_violated(INVARIANT_DELIVERED_TWICE, 1, CHECKER_NOBODY);
}

static void each_member_event_that_tells_nothing_new_is_caught(void **state)
{
    (void)state;
    static const struct {
        enum member_event_type before, repeated;
    } cases[] = {
        {MEMBER_EVENT_JOIN, MEMBER_EVENT_JOIN},   {MEMBER_EVENT_FAILED, MEMBER_EVENT_FAILED},
        {MEMBER_EVENT_LEAVE, MEMBER_EVENT_LEAVE}, {MEMBER_EVENT_LEAVE, MEMBER_EVENT_FAILED},
        {MEMBER_EVENT_JOIN, MEMBER_EVENT_UPDATE}, {MEMBER_EVENT_REAP, MEMBER_EVENT_REAP},
        {MEMBER_EVENT_REAP, MEMBER_EVENT_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        checker_crashed(checker, now, 4);
        if (cases[i].before != MEMBER_EVENT_JOIN)
            event(0, cases[i].before, 4);
        assert_false(checker->violation.found);
        event(0, cases[i].repeated, 4);
        assert_violated(INVARIANT_DELIVERED_TWICE, 0, 4);
        end(state);
        begin(state);
    }
}

/* --- limits --- */

static void each_queue_beyond_its_limit_is_caught(void **state)
{
    (void)state;
    struct serf_stats full = {.intent_queue = 100,
                              .event_queue = 100,
                              .query_queue = 100,
                              .membership_queue = MEMBERS,
                              .suspicions = MEMBERS,
                              .relays = 10,
                              .streams = 8};
    checker_stats(checker, now, 3, &full);
    assert_false(checker->violation.found);
    uint32_t *const depths[] = {&full.intent_queue,     &full.event_queue, &full.query_queue,
                                &full.membership_queue, &full.suspicions,  &full.relays,
                                &full.streams};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        checker->violation.found = false;
        ++*depths[i];
        checker_stats(checker, now, 3, &full);
        assert_violated(INVARIANT_QUEUE_LIMIT, 3, CHECKER_NOBODY);
        --*depths[i];
    }
}

/* --- agreement --- */

static void a_member_that_somebody_never_learns_of_is_caught(void **state)
{
    (void)state;
    checker_crashed(checker, now, 4);
    for (uint32_t viewer = 0; viewer < 4; viewer++)
        event(viewer, MEMBER_EVENT_FAILED, 4);
    checker_started(checker, now, 4, 0, false);
    for (uint32_t subject = 0; subject < MEMBERS; subject++)
        event(4, MEMBER_EVENT_JOIN, subject);
    for (uint32_t viewer = 0; viewer < 3; viewer++)
        event(viewer, MEMBER_EVENT_JOIN, 4);
    event(3, MEMBER_EVENT_REAP, 4);
    pass(SECONDS(39));
    assert_false(checker->violation.found);
    pass(SECONDS(1));
    assert_violated(INVARIANT_AGREEMENT, 3, 4);
}

static void tags_that_somebody_does_not_learn_are_caught(void **state)
{
    (void)state;
    checker_tags_changed(checker, now, 1, 2);
    for (uint32_t viewer = 0; viewer < 4; viewer++)
        checker_member_event(checker, now, viewer, MEMBER_EVENT_UPDATE, 1, 2);
    pass(SECONDS(40));
    assert_violated(INVARIANT_AGREEMENT, 4, 1);
}

static void members_that_disagree_whether_one_left_or_failed_are_caught(void **state)
{
    (void)state;
    checker_leaving(checker, now, 4);
    checker_left(checker, now, 4);
    for (uint32_t viewer = 0; viewer < 4; viewer++)
        event(viewer, viewer == 2 ? MEMBER_EVENT_FAILED : MEMBER_EVENT_LEAVE, 4);
    pass(SECONDS(40));
    assert_violated(INVARIANT_AGREEMENT, 2, 4);
}

static void a_view_that_changes_after_all_had_agreed_is_caught(void **state)
{
    (void)state;
    checker_crashed(checker, now, 4);
    for (uint32_t viewer = 0; viewer < 4; viewer++)
        event(viewer, MEMBER_EVENT_FAILED, 4);
    pass(SECONDS(60));
    assert_true(checker_is_settled(checker));
    checker_member_event(checker, now, 0, MEMBER_EVENT_UPDATE, 1, 3);
    assert_violated(INVARIANT_AGREEMENT, 0, 1);
}

static void a_run_that_ends_in_disagreement_is_caught(void **state)
{
    (void)state;
    checker_crashed(checker, now, 4);
    checker_finish(checker, now);
    assert_violated(INVARIANT_AGREEMENT, 0, 4);
}

static void an_answer_that_differs_from_the_events_is_caught(void **state)
{
    (void)state;
    checker_compare(checker, now, 0, 1, STATUS_ALIVE);
    checker_compare(checker, now, 0, 1, STATUS_LEAVING); /* that is no event */
    assert_false(checker->violation.found);
    checker_compare(checker, now, 0, 1, STATUS_NONE);
    assert_violated(INVARIANT_CROSS_CHECK, 0, 1);
}

static void dead_members_and_moved_ones_leave_more_time_to_heal(void **state)
{
    (void)state;
    checker->bounds.reconnect = SECONDS(5);
    assert_true(checker_healing_bound(checker) == SECONDS(45));
    checker_crashed(checker, now, 4);
    checker_crashed(checker, now, 3);
    assert_true(checker_healing_bound(checker) == SECONDS(55));
    checker_started(checker, now, 4, 0, true);
    assert_true(checker_healing_bound(checker) == SECONDS(100));
    assert_true(checker_settle_bound(checker) == SECONDS(100));
    checker->settle_bound = SECONDS(7);
    assert_true(checker_settle_bound(checker) == SECONDS(7));
}

static void only_the_first_violation_is_kept(void **state)
{
    (void)state;
    pass(SECONDS(100));
    event(0, MEMBER_EVENT_FAILED, 1);
    event(2, MEMBER_EVENT_FAILED, 3);
    assert_violated(INVARIANT_FALSE_FAILURE, 0, 1);
}

/* --- the sums --- */

/* What checker_agrees says from its sums, by looking at every pair. */
static bool agrees_by_looking(void)
{
    for (uint32_t viewer = 0; viewer < MEMBERS; viewer++)
        for (uint32_t i = 0; i < MEMBERS; i++) {
            enum truth truth = checker->subjects[i].truth;
            enum member_status view = checker_view(checker, viewer, i);
            if (checker->subjects[viewer].truth != TRUTH_RUNNING || truth == TRUTH_LEAVING)
                continue;
            if (truth == TRUTH_RUNNING ? view != STATUS_ALIVE
                                       : view == STATUS_ALIVE || truth == TRUTH_LEFT)
                return false;
        }
    return true;
}

static void the_sums_are_those_of_all_pairs(void **state)
{
    (void)state;
    struct random random;
    uint8_t seed[RANDOM_SEED_SIZE] = {3};
    uint32_t agreed = 0;
    random_init(&random, seed);
    for (int step = 0; step < 20000; step++) {
        uint32_t member = (uint32_t)random_below(&random, MEMBERS);
        uint32_t viewer = (uint32_t)random_below(&random, MEMBERS);
        enum truth truth = checker->subjects[member].truth;
        checker->violation.found = false; /* wild events are planted here */
        now += NANOSECONDS_PER_MS;
        if (random_below(&random, 20) == 0) {
            if (truth == TRUTH_RUNNING && random_below(&random, 2))
                checker_crashed(checker, now, member);
            else if (truth == TRUTH_CRASHED)
                checker_started(checker, now, member, 0, false);
        } else if (checker->subjects[viewer].truth == TRUTH_RUNNING) {
            /* mostly what is true */
            bool alive = (truth == TRUTH_RUNNING) != (random_below(&random, 40) == 0);
            if ((checker_view(checker, viewer, member) == STATUS_ALIVE) != alive)
                event(viewer, alive ? MEMBER_EVENT_JOIN : MEMBER_EVENT_FAILED, member);
        }
        assert_true(checker_agrees(checker) == agrees_by_looking());
        agreed += checker_agrees(checker);
    }
    assert_in_range(agreed, 100, 19900);
}

static void a_query_that_comes_twice_is_caught(void **state)
{
    (void)state;
    assert_int_equal(checker_query_sent(checker, now, 0), 0);
    checker_query(checker, now, 1, 0);
    checker_query(checker, now, 2, 0);
    assert_false(checker->violation.found);
    checker_query(checker, now, 1, 0);
    assert_violated(INVARIANT_DELIVERED_TWICE, 1, CHECKER_NOBODY);
}

static void answers_count_of_those_that_were_and_are_there(void **state)
{
    (void)state;
    uint64_t answers, expected;
    pass(SECONDS(60));
    uint32_t query = checker_query_sent(checker, now, 0);
    checker_answer(checker, query, 0);
    checker_answer(checker, query, 1);
    checker_answer(checker, query, 1);
    checker_crashed(checker, now, 2);
    checker_answer_coverage(checker, &answers, &expected);
    assert_int_equal(answers, 2);
    assert_int_equal(expected, 4);
    checker_crashed(checker, now, 0); /* nobody waits for answers any more */
    checker_answer_coverage(checker, &answers, &expected);
    assert_int_equal(expected, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_healthy_cluster_violates_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_crash_that_all_notice_in_time_violates_nothing, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_false_failure_that_heals_in_time_violates_nothing, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            a_goodbye_that_nobody_left_has_heard_may_be_called_a_failure, begin, end),
        cmocka_unit_test_setup_teardown(
            a_member_that_runs_and_is_held_failed_after_the_healing_bound_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(a_failure_declared_long_after_peace_is_caught_at_once,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_failure_that_a_scenario_excludes_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(a_crash_that_one_member_does_not_notice_is_caught, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_disturbance_gives_more_time_to_notice_a_crash, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_dead_member_that_is_declared_alive_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(a_new_life_of_the_same_member_is_no_resurrection, begin,
                                        end),
        cmocka_unit_test_setup_teardown(each_clock_that_goes_back_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(a_new_life_begins_with_new_clocks, begin, end),
        cmocka_unit_test_setup_teardown(a_user_event_that_comes_twice_in_one_life_is_caught, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_query_that_comes_twice_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(answers_count_of_those_that_were_and_are_there, begin, end),
        cmocka_unit_test_setup_teardown(each_member_event_that_tells_nothing_new_is_caught, begin,
                                        end),
        cmocka_unit_test_setup_teardown(each_queue_beyond_its_limit_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(a_member_that_somebody_never_learns_of_is_caught, begin,
                                        end),
        cmocka_unit_test_setup_teardown(tags_that_somebody_does_not_learn_are_caught, begin, end),
        cmocka_unit_test_setup_teardown(members_that_disagree_whether_one_left_or_failed_are_caught,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_view_that_changes_after_all_had_agreed_is_caught, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_run_that_ends_in_disagreement_is_caught, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_that_differs_from_the_events_is_caught, begin,
                                        end),
        cmocka_unit_test_setup_teardown(dead_members_and_moved_ones_leave_more_time_to_heal, begin,
                                        end),
        cmocka_unit_test_setup_teardown(only_the_first_violation_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(the_sums_are_those_of_all_pairs, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

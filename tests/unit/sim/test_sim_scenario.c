/* The language of scenarios: what it means, and that errors name the place, the word and what was
 * expected there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "random_scenario.h"
#include "scenario.h"
#include "scenario_library.h"

#include <stdio.h>
#include <string.h>

static const uint64_t second = UINT64_C(1000000000);

static void assert_refused(const char *line, const char *error_wanted)
{
    char text[512];
    struct scenario scenario;
    struct buffer error;
    buffer_init(&error, 4096);
    snprintf(text, sizeof text, "members 10\n%s\n", line);
    assert_false(scenario_parse(&scenario, "a/test.scenario", span_text(text), &error));
    if (!strstr(buffer_text(&error), error_wanted))
        fail_msg("%s: %s", line, buffer_text(&error));
    assert_ptr_equal(strstr(buffer_text(&error), "a/test.scenario:2: "), buffer_text(&error));
    buffer_fini(&error);
}

static struct scenario parsed(const char *text)
{
    struct scenario scenario;
    struct buffer error;
    buffer_init(&error, 4096);
    if (!scenario_parse(&scenario, "test.scenario", span_text(text), &error))
        fail_msg("%s", buffer_text(&error));
    buffer_fini(&error);
    return scenario;
}

static void a_scenario_says_what_it_says(void **state)
{
    (void)state;
    struct scenario scenario = parsed("# A sentence.\n"
                                      "members 40\n"
                                      "profile wan of 1..10  # behind the hill\n"
                                      "link delay 1ms..5ms loss 1.5% duplicate 1% reorder 20%\n"
                                      "healing bound 90s\n"
                                      "expect no failures\n"
                                      "at 60s every 10s 3 times pause any 2 for 20s\n"
                                      "at 1m30s partition 1..20 | 21,23..40\n"
                                      "at 2m restart 5% over 5s after 1s at new address\n"
                                      "run until agreed for 5s\n");
    assert_string_equal(scenario.name, "test");
    assert_string_equal(scenario.sentence, "A sentence.");
    assert_int_equal(scenario.member_count, 40);
    assert_int_equal(scenario.profiles[0].profile, PROFILE_WAN);
    assert_int_equal(scenario.link.loss, 15000);
    assert_int_equal(scenario.link.reorder, 200000);
    assert_true(scenario.link.delay_max == second / 200);
    assert_true(scenario.healing_bound == 90 * second);
    assert_true(scenario.expect_no_failures);
    assert_int_equal(scenario.action_count, 3);
    const struct action *action = scenario.actions;
    assert_int_equal(action->kind, ACTION_PAUSE);
    assert_int_equal(action->times, 3);
    assert_true(action->every == 10 * second && action->duration == 20 * second);
    action++;
    assert_true(action->at == 90 * second);
    assert_int_equal(action->set_count, 2);
    assert_int_equal(action->sets[1].count, 2);
    action++;
    assert_int_equal(action->sets[0].items[0].kind, SET_RANDOM_SHARE);
    assert_true(action->new_address && !action->gracefully && action->pause == second);
    assert_true(!scenario.run_until_settled && scenario.agreed_for == 5 * second);
    scenario_fini(&scenario);
}

static void errors_name_the_line_the_word_and_what_was_expected(void **state)
{
    (void)state;
    assert_refused("at 5x start all", "\"5x\": expected a duration such as 30s");
    assert_refused("at 5s explode all", "\"explode\": expected start, crash,");
    assert_refused("at 5s crash 5..3", "\"5..3\": expected members such as 7");
    assert_refused("at 5s crash", "the end of the line: expected members");
    assert_refused("at 5s crash 0", "\"0\": expected members");
    assert_refused("at 5s crash 3 join service", "\"join\": expected the end of the statement");
    assert_refused("at 5s pause 3", "the end of the line: expected \"for\"");
    assert_refused("at 5s partition 1..5",
                   "the end of the line: expected \"|\" and the other side");
    assert_refused("at 5s every 1s 0 times heal", "\"0\": expected a number from 1");
    assert_refused("link loss 101%", "\"101%\": expected a share such as 5%");
    assert_refused("link delay 5ms..1ms", "\"5ms..1ms\": expected a delay");
    assert_refused("link speed 5", "\"speed\": expected \"delay\", \"loss\"");
    assert_refused("profile moon", "\"moon\": expected lan, wan or local");
    assert_refused("members 0", "\"0\": expected a number from 1 to 65536");
    assert_refused("run until dawn", "\"dawn\": expected \"settled\" or \"agreed\"");
    assert_refused("plane 0s", "\"0s\": expected a round trip from 1ms to 10s");
    assert_refused("expect much", "\"much\": expected \"no failures\", \"events\"");
    assert_refused("expect coordinates most 5%", "\"most\": expected \"median\"");
    assert_refused("hello", "\"hello\": expected members, profile,");
    assert_refused("settle within 5s please", "\"please\": expected the end of the line");
}

static void a_scenario_needs_members(void **state)
{
    (void)state;
    struct scenario scenario;
    struct buffer error;
    buffer_init(&error, 4096);
    assert_false(scenario_parse(&scenario, "x", span_text("run 5s\n"), &error));
    assert_non_null(strstr(buffer_text(&error), "members N"));
    buffer_fini(&error);
}

static void no_bytes_hurt_the_parser(void **state)
{
    (void)state;
    struct random random;
    uint8_t seed[RANDOM_SEED_SIZE] = {9};
    random_init(&random, seed);
    for (int i = 0; i < 3000; i++) {
        char text[2048];
        struct scenario scenario;
        struct buffer error;
        const char *from = scenario_library[random_below(&random, scenario_library_count)].text;
        snprintf(text, sizeof text, "%s", from);
        for (uint64_t k = 1 + random_below(&random, 4); k > 0; k--)
            text[random_below(&random, strlen(from) < 2000 ? strlen(from) : 2000)] =
                (char)random_below(&random, 256);
        buffer_init(&error, 4096);
        if (scenario_parse(&scenario, "noise",
                           span_make(text, strlen(from) < 2000 ? strlen(from) : 2000), &error))
            scenario_fini(&scenario);
        else
            assert_true(error.size > 0);
        buffer_fini(&error);
    }
}

static void every_scenario_that_is_built_in_has_a_sentence(void **state)
{
    (void)state;
    assert_true(scenario_library_count >= 15);
    for (size_t i = 0; i < scenario_library_count; i++) {
        struct scenario scenario = parsed(scenario_library[i].text);
        size_t length = strlen(scenario.sentence);
        assert_in_range(length, 20, sizeof scenario.sentence - 1);
        assert_int_equal(scenario.sentence[length - 1], '.');
        scenario_fini(&scenario);
    }
}

static void random_scenarios_are_in_the_language_and_of_their_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct buffer text, again;
        buffer_init(&text, 65536);
        buffer_init(&again, 65536);
        random_scenario_write(seed, &text);
        random_scenario_write(seed, &again);
        assert_true(span_equal(buffer_span(&text), buffer_span(&again)));
        struct scenario scenario = parsed(buffer_text(&text));
        scenario_fini(&scenario);
        buffer_fini(&text);
        buffer_fini(&again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scenario_says_what_it_says),
        cmocka_unit_test(errors_name_the_line_the_word_and_what_was_expected),
        cmocka_unit_test(a_scenario_needs_members),
        cmocka_unit_test(no_bytes_hurt_the_parser),
        cmocka_unit_test(every_scenario_that_is_built_in_has_a_sentence),
        cmocka_unit_test(random_scenarios_are_in_the_language_and_of_their_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A rotation, its Secret and the members in one process, with time as a variable. The one who
 * rotates is stopped at every step, before it, half way and after it, and begins anew; pods start
 * from the Secret, and from the Secret as it was a moment ago; after every step each pod that could
 * start must understand each member, and be understood. */
#include "key_rotation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

enum {
    MEMBERS = 4,
    OLD_KEYS = 2,
    KEYS_MAX = 8,
    STALE_SECONDS = 90, /* for so long a pod may still start from the Secret as it was before */
    STEPS_MAX = 2000,
};

/* Sets of keys as bits. */
struct pod {
    unsigned keys, primary;
};

struct secret {
    unsigned keys, primary, new_key;
    enum rotation_place place;
    int64_t since;
};

struct world {
    int64_t now;
    struct secret secret, before; /* `before` until `changed` + STALE_SECONDS */
    int64_t changed;
    struct pod members[MEMBERS];
    unsigned keys_made, steps, refused;
    bool deaf; /* one member does not answer */
};

static const struct rotation_times times = {
    .settle = 120, .wait = 600, .repeat = 30, .pause = 5, .attempts = 4};

static void begin_world(struct world *world)
{
    *world = (struct world){.now = 1000000, .keys_made = OLD_KEYS};
    world->secret = (struct secret){.keys = 3, .primary = 1};
    world->before = world->secret;
    for (unsigned i = 0; i < MEMBERS; i++)
        world->members[i] = (struct pod){3, 1};
}

static void assert_understood(const struct pod *a, const struct pod *b)
{
    assert_true(a->keys & b->primary);
    assert_true(b->keys & a->primary);
}

/* Every pod that starts now, and every member, can talk to every member. */
static void check(const struct world *world)
{
    const struct pod fresh = {world->secret.keys, world->secret.primary};
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_true(world->secret.keys & world->members[i].primary);
        assert_understood(&fresh, &world->members[i]);
        for (unsigned j = 0; j < i; j++)
            assert_understood(&world->members[i], &world->members[j]);
    }
}

/* A pod is replaced by one that has the Secret as it was, while it may. */
static void replace_a_pod(struct world *world, unsigned which)
{
    bool stale = world->now < world->changed + STALE_SECONDS;
    const struct secret *from = stale ? &world->before : &world->secret;
    world->members[which] = (struct pod){from->keys, from->primary};
    check(world);
}

static void put_secret(struct world *world, struct secret secret)
{
    world->before = world->secret;
    world->changed = world->now;
    world->secret = secret;
}

/* The first `count` members do it; false when one of them can't. */
static bool tell_members(struct world *world, enum rotation_step step, unsigned count)
{
    unsigned key = world->secret.new_key;
    for (unsigned i = 0; i < count; i++) {
        struct pod *pod = &world->members[i];
        if (world->deaf && i == MEMBERS - 1)
            return false;
        if ((step == ROTATION_USE && !(pod->keys & key)) ||
            (step == ROTATION_REMOVE && pod->primary != key)) {
            world->refused++;
            return false;
        }
        if (step == ROTATION_INSTALL)
            pod->keys |= key;
        else if (step == ROTATION_USE)
            pod->primary = key;
        else
            pod->keys = key;
    }
    return true;
}

static void change_secret(struct world *world, enum rotation_step step)
{
    struct secret secret = world->secret;
    secret.since = world->now;
    if (step == ROTATION_BEGIN) {
        secret.new_key = 1U << world->keys_made++;
        assert_true(world->keys_made < KEYS_MAX);
        secret.keys |= secret.new_key;
        secret.place = ROTATION_LAST;
    } else if (step == ROTATION_PROMOTE) {
        secret.primary = secret.new_key;
        secret.place = ROTATION_FIRST;
    } else {
        secret = (struct secret){secret.new_key, secret.new_key, 0, ROTATION_NONE, 0};
    }
    put_secret(world, secret);
}

static bool changes_secret(enum rotation_step step)
{
    return step == ROTATION_BEGIN || step == ROTATION_PROMOTE || step == ROTATION_FINISH;
}

static void begin_rotation(struct rotation *rotation, const struct world *world)
{
    rotation_init(rotation, &times);
    rotation_secret(rotation, world->secret.place, world->secret.since, world->now);
}

enum outcome {
    GOES_ON,
    STOPS_BEFORE,
    STOPS_HALF_WAY,
    STOPS_AFTER,
};

/* One step. False when the one who rotates was stopped. */
static bool perform(struct rotation *rotation, struct world *world, enum rotation_step step,
                    enum outcome outcome)
{
    bool good = true;
    if (outcome == STOPS_BEFORE)
        return false;
    if (step == ROTATION_SLEEP) {
        assert_true(rotation->wake > world->now);
        world->now = rotation->wake;
        return outcome == GOES_ON;
    }
    if (changes_secret(step))
        change_secret(world, step);
    else
        good = tell_members(world, step, outcome == STOPS_HALF_WAY ? MEMBERS / 2 : MEMBERS);
    check(world);
    if (outcome != GOES_ON)
        return false;
    if (changes_secret(step))
        rotation_secret(rotation, world->secret.place, world->secret.since, world->now);
    else if (good)
        rotation_succeeded(rotation, step);
    else
        rotation_failed(rotation, world->now);
    return true;
}

/* Rotates until it is done, and stops at step `first` (and `second` steps after it began anew). A
 * pod is replaced before every `every`th step. */
static void rotate(struct world *world, unsigned first, enum outcome how, unsigned second,
                   unsigned every)
{
    struct rotation rotation;
    begin_rotation(&rotation, world);
    unsigned left = first;
    for (world->steps = 1; world->steps < STEPS_MAX; world->steps++, world->now++) {
        enum rotation_step step = rotation_next(&rotation, world->now);
        assert_int_equal(step, rotation_next(&rotation, world->now));
        assert_int_not_equal(step, ROTATION_GIVE_UP);
        if (step == ROTATION_DONE)
            return;
        if (every && world->steps % every == 0)
            replace_a_pod(world, world->steps / every % MEMBERS);
        if (!perform(&rotation, world, step, --left == 0 ? how : GOES_ON)) {
            left = second;
            second = 0;
            begin_rotation(&rotation, world);
            /* It stopped when all was done but that it knew of it: nothing is begun anew here. */
            if (world->secret.place == ROTATION_NONE && world->keys_made > OLD_KEYS)
                return;
        }
    }
    fail_msg("not done after %u steps", world->steps);
}

static void assert_rotated(const struct world *world)
{
    const unsigned key = 1U << OLD_KEYS;
    assert_int_equal(world->secret.keys, key);
    assert_int_equal(world->secret.place, ROTATION_NONE);
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(world->members[i].primary, key);
}

static void a_rotation_ends_with_the_new_key_alone_everywhere(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world);
    int64_t began = world.now;
    rotate(&world, 0, GOES_ON, 0, 0);
    assert_rotated(&world);
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(world.members[i].keys, world.secret.keys);
    assert_true(world.now - began >= times.settle + times.wait);
}

static void a_rotation_that_stops_anywhere_is_taken_up_there(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world);
    rotate(&world, 0, GOES_ON, 0, 0);
    const unsigned steps = world.steps;
    for (unsigned first = 1; first <= steps; first++)
        for (enum outcome how = STOPS_BEFORE; how <= STOPS_AFTER; how++)
            for (unsigned second = 0; second <= 10; second++) {
                begin_world(&world);
                rotate(&world, first, how, second, 0);
                assert_rotated(&world);
            }
}

static void pods_may_be_replaced_at_any_time_of_a_rotation_that_stops_anywhere(void **state)
{
    struct world world;
    (void)state;
    for (unsigned every = 1; every <= 7; every++)
        for (unsigned first = 1; first <= 80; first++)
            for (enum outcome how = STOPS_BEFORE; how <= STOPS_AFTER; how++) {
                begin_world(&world);
                rotate(&world, first, how, 0, every);
                assert_rotated(&world);
            }
}

static void
members_install_the_key_again_right_before_it_is_used_and_others_are_removed(void **state)
{
    struct rotation rotation;
    (void)state;
    rotation_init(&rotation, &times);
    rotation_secret(&rotation, ROTATION_LAST, 0, 0);
    assert_int_equal(rotation_next(&rotation, 0), ROTATION_INSTALL);
    rotation_succeeded(&rotation, ROTATION_INSTALL);
    for (int64_t now = times.repeat; now <= times.settle; now += times.repeat) {
        assert_int_equal(rotation_next(&rotation, now - times.repeat), ROTATION_SLEEP);
        assert_int_equal(rotation_next(&rotation, now), ROTATION_INSTALL);
        rotation_succeeded(&rotation, ROTATION_INSTALL);
    }
    assert_int_equal(rotation_next(&rotation, times.settle), ROTATION_USE);
    rotation_secret(&rotation, ROTATION_FIRST, 200, 200);
    for (int64_t now = 200; now <= 200 + times.wait; now += times.repeat) {
        assert_int_equal(rotation_next(&rotation, now), ROTATION_INSTALL);
        rotation_succeeded(&rotation, ROTATION_INSTALL);
        assert_int_equal(rotation_next(&rotation, now), ROTATION_USE);
        rotation_succeeded(&rotation, ROTATION_USE);
        if (now < 200 + times.wait)
            assert_int_equal(rotation_next(&rotation, now), ROTATION_SLEEP);
    }
    assert_int_equal(rotation_next(&rotation, 200 + times.wait), ROTATION_REMOVE);
}

static void a_full_rollout_ends_the_second_wait_alone(void **state)
{
    struct rotation rotation;
    (void)state;
    rotation_init(&rotation, &times);
    rotation_secret(&rotation, ROTATION_LAST, 0, 0);
    rotation_rolled_out(&rotation);
    rotation_succeeded(&rotation, ROTATION_INSTALL);
    assert_int_equal(rotation_next(&rotation, 1), ROTATION_SLEEP);
    rotation_secret(&rotation, ROTATION_FIRST, 200, 200);
    rotation_succeeded(&rotation, ROTATION_INSTALL);
    rotation_succeeded(&rotation, ROTATION_USE);
    assert_int_equal(rotation_next(&rotation, 200), ROTATION_SLEEP);
    rotation_rolled_out(&rotation);
    assert_int_equal(rotation_next(&rotation, 230), ROTATION_INSTALL);
    rotation_succeeded(&rotation, ROTATION_INSTALL);
    rotation_succeeded(&rotation, ROTATION_USE);
    assert_int_equal(rotation_next(&rotation, 230), ROTATION_REMOVE);
}

static void a_member_that_does_not_answer_is_waited_for_and_then_given_up(void **state)
{
    struct world world;
    struct rotation rotation;
    enum rotation_step step;
    (void)state;
    begin_world(&world);
    change_secret(&world, ROTATION_BEGIN);
    world.deaf = true;
    begin_rotation(&rotation, &world);
    unsigned tries = 0;
    while ((step = rotation_next(&rotation, world.now)) != ROTATION_GIVE_UP) {
        tries += step == ROTATION_INSTALL;
        perform(&rotation, &world, step, GOES_ON);
    }
    assert_int_equal(tries, times.attempts);
    assert_int_equal(world.secret.place, ROTATION_LAST);
    assert_int_equal(world.members[0].primary, 1);
}

static void a_member_that_answers_late_costs_tries_and_nothing_else(void **state)
{
    struct rotation rotation;
    (void)state;
    rotation_init(&rotation, &times);
    rotation_secret(&rotation, ROTATION_FIRST, 0, 0);
    for (int64_t now = 0; now < 100 * times.pause; now += times.repeat) {
        rotation_succeeded(&rotation, ROTATION_INSTALL);
        rotation_failed(&rotation, now);
        assert_int_equal(rotation_next(&rotation, now), ROTATION_SLEEP);
        assert_int_equal(rotation_next(&rotation, now + times.pause), ROTATION_INSTALL);
        rotation_succeeded(&rotation, ROTATION_INSTALL);
        rotation_succeeded(&rotation, ROTATION_USE);
        assert_int_equal(rotation_next(&rotation, now + times.pause), ROTATION_SLEEP);
    }
}

/* A success of an earlier step is no progress: else `install` would renew the patience for `use`.
 */
static void a_step_that_always_fails_is_given_up_although_the_one_before_it_succeeds(void **state)
{
    struct rotation rotation;
    (void)state;
    rotation_init(&rotation, &times);
    rotation_secret(&rotation, ROTATION_FIRST, 0, 0);
    for (unsigned i = 0; i < times.attempts; i++) {
        assert_int_equal(rotation_next(&rotation, i * times.pause), ROTATION_INSTALL);
        rotation_succeeded(&rotation, ROTATION_INSTALL);
        rotation_failed(&rotation, i * times.pause);
    }
    assert_int_equal(rotation_next(&rotation, 1000), ROTATION_GIVE_UP);
}

static void a_rotation_that_somebody_else_finished_is_done(void **state)
{
    struct rotation rotation;
    (void)state;
    rotation_init(&rotation, &times);
    rotation_secret(&rotation, ROTATION_FIRST, 0, 700);
    rotation_failed(&rotation, 700);
    rotation_secret(&rotation, ROTATION_NONE, 0, 701);
    assert_int_equal(rotation_next(&rotation, 702), ROTATION_DONE);
}

static void a_time_in_the_future_is_taken_for_now(void **state)
{
    struct rotation rotation;
    (void)state;
    rotation_init(&rotation, &times);
    rotation_secret(&rotation, ROTATION_LAST, 1000000, 100);
    rotation_succeeded(&rotation, ROTATION_INSTALL);
    assert_int_equal(rotation_next(&rotation, 100), ROTATION_SLEEP);
    assert_int_equal(rotation_next(&rotation, 100 + times.settle), ROTATION_INSTALL);
    rotation_succeeded(&rotation, ROTATION_INSTALL);
    assert_int_equal(rotation_next(&rotation, 100 + times.settle), ROTATION_USE);
}

static void a_secret_that_somebody_else_changes_again_and_again_is_given_up(void **state)
{
    struct rotation rotation;
    (void)state;
    rotation_init(&rotation, &times);
    rotation_secret(&rotation, ROTATION_NONE, 0, 0);
    for (unsigned i = 0; i < times.attempts; i++) {
        assert_int_equal(rotation_next(&rotation, 10 * (i + 1)), ROTATION_BEGIN);
        rotation_failed(&rotation, 10 * i);
        rotation_secret(&rotation, ROTATION_NONE, 0, 10 * i);
    }
    assert_int_equal(rotation_next(&rotation, 1000), ROTATION_GIVE_UP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rotation_ends_with_the_new_key_alone_everywhere),
        cmocka_unit_test(a_rotation_that_stops_anywhere_is_taken_up_there),
        cmocka_unit_test(pods_may_be_replaced_at_any_time_of_a_rotation_that_stops_anywhere),
        cmocka_unit_test(
            members_install_the_key_again_right_before_it_is_used_and_others_are_removed),
        cmocka_unit_test(a_full_rollout_ends_the_second_wait_alone),
        cmocka_unit_test(a_member_that_does_not_answer_is_waited_for_and_then_given_up),
        cmocka_unit_test(a_member_that_answers_late_costs_tries_and_nothing_else),
        cmocka_unit_test(a_step_that_always_fails_is_given_up_although_the_one_before_it_succeeds),
        cmocka_unit_test(a_rotation_that_somebody_else_finished_is_done),
        cmocka_unit_test(a_time_in_the_future_is_taken_for_now),
        cmocka_unit_test(a_secret_that_somebody_else_changes_again_and_again_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

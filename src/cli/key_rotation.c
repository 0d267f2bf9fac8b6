/* A function of the Secret, of the time and of how the steps went, so that a test can stop it
 * anywhere, and a thousand times a second. The rounds of the waits and what follows a failure are
 * one thing: whenever something may have changed, the members begin with `install` again, which
 * costs a query. */
#include "key_rotation.h"

#include <assert.h>

void rotation_init(struct rotation *rotation, const struct rotation_times *times)
{
    *rotation = (struct rotation){.times = *times};
}

static void begin_round(struct rotation *rotation)
{
    rotation->installed = rotation->used = rotation->removed = false;
}

void rotation_secret(struct rotation *rotation, enum rotation_place place, int64_t since,
                     int64_t now)
{
    since = since < now ? since : now; /* the clock that said it may be ahead */
    if (place != rotation->place || since != rotation->since) {
        rotation->rolled_out = false;
        rotation->failures = 0;
        rotation->wake = now;
    }
    rotation->place = place;
    rotation->since = since;
    rotation->under_way = rotation->under_way || place != ROTATION_NONE;
    begin_round(rotation);
}

/* False when the wait that ends at `end` is over. */
static bool sleep_a_while(struct rotation *rotation, int64_t now, int64_t end)
{
    if (now >= end)
        return false;
    rotation->wake = end - now < rotation->times.repeat ? end : now + rotation->times.repeat;
    rotation->failures = 0;
    begin_round(rotation);
    return true;
}

static enum rotation_step next_where_it_is_last(struct rotation *rotation, int64_t now)
{
    if (!rotation->installed)
        return ROTATION_INSTALL;
    if (sleep_a_while(rotation, now, rotation->since + rotation->times.settle))
        return ROTATION_SLEEP;
    return rotation->used ? ROTATION_PROMOTE : ROTATION_USE;
}

static enum rotation_step next_where_it_is_first(struct rotation *rotation, int64_t now)
{
    if (!rotation->installed)
        return ROTATION_INSTALL;
    if (!rotation->used)
        return ROTATION_USE;
    if (!rotation->rolled_out &&
        sleep_a_while(rotation, now, rotation->since + rotation->times.wait))
        return ROTATION_SLEEP;
    return rotation->removed ? ROTATION_FINISH : ROTATION_REMOVE;
}

enum rotation_step rotation_next(struct rotation *rotation, int64_t now)
{
    if (rotation->failures > 0 && rotation->failures >= rotation->times.attempts)
        return ROTATION_GIVE_UP;
    if (now < rotation->wake)
        return ROTATION_SLEEP;
    switch (rotation->place) {
    case ROTATION_LAST:
        return next_where_it_is_last(rotation, now);
    case ROTATION_FIRST:
        return next_where_it_is_first(rotation, now);
    default:
        return rotation->under_way ? ROTATION_DONE : ROTATION_BEGIN;
    }
}

void rotation_succeeded(struct rotation *rotation, enum rotation_step step)
{
    assert(step == ROTATION_INSTALL || step == ROTATION_USE || step == ROTATION_REMOVE);
    if (step == ROTATION_INSTALL)
        rotation->installed = true;
    else if (step == ROTATION_USE)
        rotation->used = true;
    else
        rotation->removed = true;
}

void rotation_failed(struct rotation *rotation, int64_t now)
{
    rotation->failures++;
    rotation->wake = now + rotation->times.pause;
    begin_round(rotation);
}

void rotation_rolled_out(struct rotation *rotation)
{
    rotation->rolled_out = true;
}

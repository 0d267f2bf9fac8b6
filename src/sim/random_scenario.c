/* The scenario is text, so that one which fails can be kept in a file, cut down by hand, and played
 * again. No expression draws twice: the compiler could choose the order. */
#include "random_scenario.h"

#include "random.h"

#include <inttypes.h>

enum {
    MEMBERS_LEAST = 3,
    MEMBERS_MOST = 24,
    FAULTS_MOST = 8,
    FORMING_S = 15,  /* seconds before the first fault */
    FAULTS_S = 90,   /* seconds in which faults begin */
    DURATION_S = 75, /* seconds that a fault lasts at most */
};

static uint32_t draw(struct random *random, uint32_t from, uint32_t to)
{
    return from + (uint32_t)random_below(random, to - from + 1);
}

static void write_links(struct random *random, struct buffer *out)
{
    static const uint32_t longest[] = {1, 5, 20, 60};
    buffer_printf(out, "link delay 0ms..%ums", longest[draw(random, 0, 3)]);
    if (draw(random, 0, 1))
        buffer_printf(out, " loss %u%%", draw(random, 1, 8));
    if (draw(random, 0, 1)) {
        buffer_printf(out, " duplicate %u%%", draw(random, 1, 10));
        buffer_printf(out, " reorder %u%%", draw(random, 1, 20));
    }
    buffer_append_text(out, "\n");
}

static void write_profile(struct random *random, uint32_t members, struct buffer *out)
{
    uint32_t choice = draw(random, 0, 5);
    if (choice == 0)
        buffer_append_text(out, "profile local\n");
    else if (choice == 1)
        buffer_printf(out, "profile local of 1..%u\n", (members + 1) / 2);
}

static void write_bad_link(struct random *random, struct buffer *out)
{
    buffer_printf(out, "link delay 1ms..%ums", draw(random, 5, 100));
    buffer_printf(out, " loss %u%% duplicate 5%% reorder 10%%\n", draw(random, 10, 50));
}

static void write_bad_members(struct random *random, uint32_t members, struct buffer *out)
{
    buffer_printf(out, "link of any %u", draw(random, 1, (members + 1) / 2));
    buffer_printf(out, " loss %u%%\n", draw(random, 20, 90));
}

/* Something that lasts, and heals: only these need a line of their own for the healing. */
static void write_link_fault(struct random *random, uint32_t members, uint32_t at,
                             struct buffer *out)
{
    uint32_t cut = draw(random, 1, members - 1), kind = draw(random, 0, 3);
    buffer_printf(out, "at %us ", at);
    if (kind == 0)
        buffer_printf(out, "partition 1..%u | %u..%u\n", cut, cut + 1, members);
    else if (kind == 1)
        buffer_printf(out, "block 1..%u to %u..%u\n", cut, cut + 1, members);
    else if (kind == 2)
        write_bad_link(random, out);
    else
        write_bad_members(random, members, out);
    buffer_printf(out, "at %us heal\n", at + draw(random, 1, DURATION_S));
}

static void write_member_fault(struct random *random, uint32_t members, uint32_t at,
                               struct buffer *out)
{
    uint32_t some = draw(random, 1, (members + 3) / 4);
    buffer_printf(out, "at %us ", at);
    switch (draw(random, 0, 8)) {
    case 0:
        buffer_printf(out, "crash any %u\n", draw(random, 1, members > 6 ? 2 : 1));
        break;
    case 1:
        buffer_printf(out, "vanish any 1\n");
        break;
    case 2:
        buffer_printf(out, "restart any %u after %ums\n", some, draw(random, 0, 3000));
        break;
    case 3:
        buffer_printf(out, "restart any %u without memory after %us\n", some, draw(random, 0, 40));
        break;
    case 4:
        buffer_printf(out, "restart any %u gracefully after %us at new address\n", some,
                      draw(random, 0, 5));
        break;
    case 5:
        buffer_printf(out, "pause any %u for %us\n", some, draw(random, 1, DURATION_S));
        break;
    case 6:
        buffer_printf(out, "jump any %u by %us\n", some, draw(random, 1, 120));
        break;
    case 7:
        buffer_printf(out, "slow any %u by %ums", some, draw(random, 20, 800));
        buffer_printf(out, " for %us\n", draw(random, 1, DURATION_S));
        break;
    default:
        buffer_printf(out, "leave any 1\n");
    }
}

static void write_harmless(struct random *random, uint32_t at, struct buffer *out)
{
    buffer_printf(out, "at %us every %ums", at, draw(random, 100, 3000));
    buffer_printf(out, " %u times", draw(random, 1, 10));
    buffer_printf(out, " %s any 1\n", draw(random, 0, 2) ? "event" : "tags");
}

void random_scenario_write(uint64_t seed, struct buffer *out)
{
    struct random random;
    uint8_t bytes[RANDOM_SEED_SIZE] = "serf-sim: scenario";
    for (int i = 0; i < 8; i++)
        bytes[24 + i] = (uint8_t)(seed >> (8 * i));
    random_init(&random, bytes);
    uint32_t members = draw(&random, MEMBERS_LEAST, MEMBERS_MOST);
    buffer_printf(out, "# Random scenario %" PRIu64 ".\nmembers %u\n", seed, members);
    write_profile(&random, members, out);
    write_links(&random, out);
    buffer_printf(out, "at 0s start all over %ums join service\n", draw(&random, 0, 5000));
    uint32_t faults = draw(&random, 1, FAULTS_MOST);
    bool linked = false; /* at most one fault of the links: healing heals them all */
    for (uint32_t i = 0; i < faults; i++) {
        uint32_t at = draw(&random, FORMING_S, FORMING_S + FAULTS_S);
        uint32_t kind = draw(&random, 0, 9);
        if (kind < 3 && !linked)
            write_link_fault(&random, members, at, out);
        else if (kind < 8)
            write_member_fault(&random, members, at, out);
        else
            write_harmless(&random, at, out);
        linked = linked || kind < 3;
    }
    /* Mostly it is over when all agree; now and then it is seen that they stay so. */
    buffer_append_text(out, seed % 8 == 0 ? "run until settled\n" : "run until agreed for 60s\n");
}

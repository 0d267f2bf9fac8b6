/* The language of scenarios: one statement a line, words between blanks, "#" begins a comment. Each
 * statement is a function that takes its words from a reader; whatever a word may not be is refused
 * with what was expected in its place. */
#include "scenario.h"

#include "duration.h"
#include "sim_memory.h"

#include <stdio.h>
#include <stdlib.h>

struct reader {
    const char *where;
    uint32_t line;
    char *words[SCENARIO_WORDS_MAX]; /* of the present line */
    uint32_t count, next;
    struct buffer *error;
    struct scenario *scenario;
};

const char *const action_words[ACTION_KINDS] = {
    [ACTION_START] = "start",
    [ACTION_CRASH] = "crash",
    [ACTION_VANISH] = "vanish",
    [ACTION_RESTART] = "restart",
    [ACTION_LEAVE] = "leave",
    [ACTION_PAUSE] = "pause",
    [ACTION_SLOW] = "slow",
    [ACTION_JUMP] = "jump",
    [ACTION_PARTITION] = "partition",
    [ACTION_BLOCK] = "block",
    [ACTION_HEAL] = "heal",
    [ACTION_LINK] = "link",
    [ACTION_EVENT] = "event",
    [ACTION_TAGS] = "tags",
    [ACTION_JOIN] = "join",
    [ACTION_QUERY] = "query",
    [ACTION_FORCE_LEAVE] = "force-leave",
};

/* --- words --- */

/* Always false, for the caller to return. */
static bool expected(struct reader *reader, const char *what)
{
    if (reader->error->size > 0)
        return false;
    buffer_printf(reader->error, "%s:%u: ", reader->where, reader->line);
    if (reader->next < reader->count)
        buffer_append_quoted(reader->error, span_text(reader->words[reader->next]));
    else
        buffer_append_text(reader->error, "the end of the line");
    buffer_printf(reader->error, ": expected %s", what);
    return false;
}

static const char *peek(const struct reader *reader)
{
    return reader->next < reader->count ? reader->words[reader->next] : "";
}

static bool take(struct reader *reader, const char *word)
{
    if (strcmp(peek(reader), word) != 0)
        return false;
    reader->next++;
    return true;
}

static bool want(struct reader *reader, const char *word)
{
    char what[64];
    snprintf(what, sizeof what, "\"%s\"", word);
    return take(reader, word) || expected(reader, what);
}

/* Reads digits; returns what follows them, or NULL when there are none or too many. */
static const char *read_digits(const char *text, uint32_t *number)
{
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && value <= UINT32_MAX; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    *number = (uint32_t)value;
    return p > text && value <= UINT32_MAX ? p : NULL;
}

static bool read_number(struct reader *reader, uint32_t most, uint32_t *number)
{
    const char *end = read_digits(peek(reader), number);
    if (!end || *end || *number < 1 || *number > most) {
        char what[64];
        snprintf(what, sizeof what, "a number from 1 to %u", most);
        return expected(reader, what);
    }
    reader->next++;
    return true;
}

static bool parse_duration(const char *text, uint64_t *duration)
{
    int64_t value;
    if (!duration_parse(text, &value) || value < 0)
        return false;
    *duration = (uint64_t)value;
    return true;
}

static bool read_duration(struct reader *reader, uint64_t *duration)
{
    if (!parse_duration(peek(reader), duration))
        return expected(reader, "a duration such as 30s, 1m30s or 200ms");
    reader->next++;
    return true;
}

/* "1%", "0.5%": in millionths. */
static bool parse_chance(const char *text, uint32_t *chance)
{
    uint32_t whole, digits = 0;
    const char *p = read_digits(text, &whole);
    if (!p || whole > 100)
        return false;
    *chance = whole * 10000;
    if (*p == '.') {
        uint32_t worth = 1000;
        for (p++; *p >= '0' && *p <= '9' && worth > 0; p++, worth /= 10, digits++)
            *chance += (uint32_t)(*p - '0') * worth;
        if (digits == 0)
            return false;
    }
    return p[0] == '%' && p[1] == '\0' && *chance <= CHANCE_CERTAIN;
}

static bool read_chance(struct reader *reader, uint32_t *chance)
{
    if (!parse_chance(peek(reader), chance))
        return expected(reader, "a share such as 5% or 0.1%");
    reader->next++;
    return true;
}

/* "1ms..5ms", or one duration for both. */
static bool read_delay(struct reader *reader, struct link *link)
{
    char text[64];
    snprintf(text, sizeof text, "%s", peek(reader));
    char *dots = strstr(text, "..");
    if (dots)
        *dots = '\0';
    if (!parse_duration(text, &link->delay_min) ||
        !parse_duration(dots ? dots + 2 : text, &link->delay_max) ||
        link->delay_max < link->delay_min)
        return expected(reader, "a delay such as 5ms, or 1ms..5ms");
    reader->next++;
    return true;
}

/* --- sets --- */

/* "7", "1..50", "0%..50%", "5%", "all". */
static bool parse_item(const char *text, struct set_item *item)
{
    if (strcmp(text, "all") == 0) {
        *item = (struct set_item){.kind = SET_ALL};
        return true;
    }
    uint32_t chance;
    if (parse_chance(text, &chance)) {
        *item = (struct set_item){.kind = SET_RANDOM_SHARE, .from = chance};
        return chance > 0;
    }
    const char *p = read_digits(text, &item->from);
    if (!p)
        return false;
    bool share = *p == '%';
    p += share;
    item->kind = share ? SET_SHARE : SET_RANGE;
    item->to = item->from;
    if (p[0] == '.' && p[1] == '.') {
        p = read_digits(p + 2, &item->to);
        if (!p || (*p == '%') != share)
            return false;
        p += share;
    }
    return *p == '\0' && item->to >= item->from && (share ? item->to <= 100 : item->from >= 1);
}

static bool read_set(struct reader *reader, struct member_set *set)
{
    static const char what[] =
        "members such as 7, 1..50, 1,5,9, 0%..50% (of all, in order), 5% (of "
        "those that run, at random), any 3, or all";
    *set = (struct member_set){0};
    if (take(reader, "any")) {
        set->items[0].kind = SET_RANDOM_COUNT;
        set->count = 1;
        return read_number(reader, SCENARIO_MEMBERS_MAX, &set->items[0].from);
    }
    if (reader->next == reader->count)
        return expected(reader, what);
    char *item = reader->words[reader->next];
    for (;;) {
        char *comma = strchr(item, ',');
        if (comma)
            *comma = '\0';
        bool good = set->count < SET_ITEMS_MAX && parse_item(item, &set->items[set->count]);
        if (comma)
            *comma = ',';
        if (!good)
            return expected(reader, what);
        set->count++;
        if (!comma)
            break;
        item = comma + 1;
    }
    reader->next++;
    return true;
}

/* --- parts of statements --- */

static bool read_link(struct reader *reader, struct link *link)
{
    uint32_t first = reader->next;
    while (reader->next < reader->count) {
        if (take(reader, "delay")) {
            if (!read_delay(reader, link))
                return false;
        } else {
            uint32_t *chance = take(reader, "loss")        ? &link->loss
                               : take(reader, "duplicate") ? &link->duplicate
                               : take(reader, "reorder")   ? &link->reorder
                                                           : NULL;
            if (!chance)
                return expected(reader, "\"delay\", \"loss\", \"duplicate\" or \"reorder\"");
            if (!read_chance(reader, chance))
                return false;
        }
    }
    return reader->next > first ||
           expected(reader, "\"delay\", \"loss\", \"duplicate\" or \"reorder\"");
}

static bool read_join(struct reader *reader, struct join_target *join)
{
    *join = (struct join_target){.once = take(reader, "once")};
    if (take(reader, "nobody"))
        join->kind = JOIN_NOBODY;
    else if (take(reader, "service"))
        join->kind = JOIN_SERVICE;
    else if (take(reader, "headless"))
        join->kind = JOIN_HEADLESS;
    else if (take(reader, "random"))
        join->kind = JOIN_RANDOM;
    else
        join->kind = JOIN_SEEDS;
    return join->kind != JOIN_SEEDS || read_set(reader, &join->seeds) ||
           expected(reader, "whom to join");
}

/* What may follow an action's set, in any order. */
enum option {
    OPTION_OVER = 1,
    OPTION_JOIN = 2,
    OPTION_FOR = 4,
    OPTION_RESTART = 8,
};

static bool read_options(struct reader *reader, struct action *action, unsigned allowed)
{
    while (reader->next < reader->count) {
        bool good;
        if ((allowed & OPTION_OVER) && take(reader, "over"))
            good = read_duration(reader, &action->over);
        else if ((allowed & OPTION_FOR) && take(reader, "for"))
            good = read_duration(reader, &action->duration);
        else if ((allowed & OPTION_JOIN) && take(reader, "join"))
            good = read_join(reader, &action->join);
        else if ((allowed & OPTION_RESTART) && take(reader, "after"))
            good = read_duration(reader, &action->pause);
        else if ((allowed & OPTION_RESTART) && take(reader, "gracefully"))
            good = action->gracefully = true;
        else if ((allowed & OPTION_RESTART) && take(reader, "without"))
            good = action->without_memory = want(reader, "memory");
        else if ((allowed & OPTION_RESTART) && take(reader, "at"))
            good = action->new_address = want(reader, "new") && want(reader, "address");
        else
            good = expected(reader, "the end of the statement");
        if (!good)
            return false;
    }
    return true;
}

static bool read_sides(struct reader *reader, struct action *action)
{
    do {
        if (action->set_count == SIDES_MAX)
            return expected(reader, "no more sides than 6");
        if (!read_set(reader, &action->sets[action->set_count++]))
            return false;
    } while (take(reader, "|"));
    return action->set_count >= 2 || expected(reader, "\"|\" and the other side");
}

/* --- actions --- */

static bool take_action_kind(struct reader *reader, enum action_kind *kind)
{
    for (size_t i = 0; i < ACTION_KINDS; i++)
        if (take(reader, action_words[i])) {
            *kind = (enum action_kind)i;
            return true;
        }
    return expected(reader, "start, crash, vanish, restart, leave, pause, slow, jump, partition, "
                            "block, heal, link, event, tags, join, query or force-leave");
}

static bool read_whom(struct reader *reader, struct action *action)
{
    return read_set(reader, &action->sets[action->set_count++]);
}

static bool read_action_link(struct reader *reader, struct action *action)
{
    action->link = reader->scenario->link;
    if (take(reader, "of") && !read_whom(reader, action))
        return false;
    return read_link(reader, &action->link);
}

static bool read_action(struct reader *reader, struct action *action)
{
    if (!take_action_kind(reader, &action->kind))
        return false;
    switch (action->kind) {
    case ACTION_START:
        action->join.kind = JOIN_SERVICE;
        return read_whom(reader, action) && read_options(reader, action, OPTION_OVER | OPTION_JOIN);
    case ACTION_CRASH:
    case ACTION_VANISH:
    case ACTION_LEAVE:
    case ACTION_EVENT:
    case ACTION_TAGS:
    case ACTION_QUERY:
    case ACTION_FORCE_LEAVE:
        return read_whom(reader, action) && read_options(reader, action, OPTION_OVER);
    case ACTION_JOIN:
        return read_whom(reader, action) && read_join(reader, &action->join) &&
               read_options(reader, action, OPTION_OVER);
    case ACTION_RESTART:
        action->join.kind = JOIN_SERVICE;
        return read_whom(reader, action) &&
               read_options(reader, action, OPTION_OVER | OPTION_JOIN | OPTION_RESTART);
    case ACTION_PAUSE:
        return read_whom(reader, action) && want(reader, "for") &&
               read_duration(reader, &action->duration) &&
               read_options(reader, action, OPTION_OVER);
    case ACTION_SLOW:
        return read_whom(reader, action) && want(reader, "by") &&
               read_duration(reader, &action->amount) && read_options(reader, action, OPTION_FOR);
    case ACTION_JUMP:
        return read_whom(reader, action) && want(reader, "by") &&
               read_duration(reader, &action->amount) && read_options(reader, action, OPTION_OVER);
    case ACTION_PARTITION:
        return read_sides(reader, action) && read_options(reader, action, 0);
    case ACTION_BLOCK:
        return read_whom(reader, action) && want(reader, "to") && read_whom(reader, action) &&
               read_options(reader, action, 0);
    case ACTION_HEAL:
        return read_options(reader, action, 0);
    case ACTION_LINK:
        return read_action_link(reader, action);
    }
    return false;
}

static bool read_at(struct reader *reader)
{
    struct scenario *scenario = reader->scenario;
    if (scenario->action_count == ACTIONS_MAX)
        return expected(reader, "no more actions than 256");
    struct action *action = &scenario->actions[scenario->action_count++];
    *action = (struct action){.line = reader->line, .times = 1};
    if (!read_duration(reader, &action->at))
        return false;
    if (take(reader, "every") &&
        !(read_duration(reader, &action->every) && read_number(reader, 100000, &action->times) &&
          want(reader, "times")))
        return false;
    return read_action(reader, action);
}

/* --- statements of the whole --- */

static bool read_profile(struct reader *reader)
{
    struct scenario *scenario = reader->scenario;
    if (scenario->profile_count == PROFILE_RULES_MAX)
        return expected(reader, "no more profiles than 8");
    struct profile_rule *rule = &scenario->profiles[scenario->profile_count++];
    if (take(reader, "lan"))
        rule->profile = PROFILE_LAN;
    else if (take(reader, "wan"))
        rule->profile = PROFILE_WAN;
    else if (take(reader, "local"))
        rule->profile = PROFILE_LOCAL;
    else
        return expected(reader, "lan, wan or local");
    rule->set = (struct member_set){.items = {{.kind = SET_ALL}}, .count = 1};
    return !take(reader, "of") || read_set(reader, &rule->set);
}

static bool read_run(struct reader *reader)
{
    struct scenario *scenario = reader->scenario;
    scenario->run = scenario->agreed_for = 0;
    scenario->run_until_settled = false;
    if (!take(reader, "until"))
        return read_duration(reader, &scenario->run) &&
               (scenario->run > 0 || expected(reader, "a duration above 0"));
    if (take(reader, "settled"))
        return scenario->run_until_settled = true;
    return (take(reader, "agreed") || expected(reader, "\"settled\" or \"agreed\"")) &&
           (!take(reader, "for") || read_duration(reader, &scenario->agreed_for));
}

static bool read_expectation(struct reader *reader)
{
    struct scenario *scenario = reader->scenario;
    if (take(reader, "events"))
        return read_chance(reader, &scenario->expect_events);
    if (take(reader, "answers"))
        return read_chance(reader, &scenario->expect_answers);
    if (take(reader, "coordinates"))
        return want(reader, "median") && read_chance(reader, &scenario->expect_median) &&
               want(reader, "most") && read_chance(reader, &scenario->expect_most);
    if (!take(reader, "no"))
        return expected(reader, "\"no failures\", \"events\", \"answers\" or \"coordinates\"");
    return scenario->expect_no_failures = want(reader, "failures");
}

static bool read_plane(struct reader *reader)
{
    uint64_t side;
    if (!parse_duration(peek(reader), &side) || side < PLANE_MIN || side > PLANE_MAX)
        return expected(reader, "a round trip from 1ms to 10s, along the side of the plane");
    reader->scenario->plane = side;
    reader->next++;
    return true;
}

static bool read_statement(struct reader *reader)
{
    struct scenario *scenario = reader->scenario;
    if (take(reader, "members"))
        return read_number(reader, SCENARIO_MEMBERS_MAX, &scenario->member_count);
    if (take(reader, "profile"))
        return read_profile(reader);
    if (take(reader, "link"))
        return read_link(reader, &scenario->link);
    if (take(reader, "crash"))
        return want(reader, "bound") && read_duration(reader, &scenario->crash_bound);
    if (take(reader, "healing"))
        return want(reader, "bound") && read_duration(reader, &scenario->healing_bound);
    if (take(reader, "settle"))
        return want(reader, "within") && read_duration(reader, &scenario->settle_bound);
    if (take(reader, "expect"))
        return read_expectation(reader);
    if (take(reader, "plane"))
        return read_plane(reader);
    if (take(reader, "names"))
        return want(reader, "lag") && read_duration(reader, &scenario->names_lag);
    if (take(reader, "run"))
        return read_run(reader);
    if (take(reader, "at"))
        return read_at(reader);
    return expected(reader, "members, profile, link, plane, names lag, crash bound, healing bound, "
                            "settle within, expect, run or at");
}

/* --- lines --- */

static bool split(struct reader *reader, char *line)
{
    reader->count = reader->next = 0;
    for (char *p = line; *p && *p != '#';) {
        if (*p == ' ' || *p == '\t' || *p == '\r') {
            *p++ = '\0';
            continue;
        }
        if (reader->count == SCENARIO_WORDS_MAX) {
            reader->next = reader->count - 1;
            return expected(reader, "no more words on a line than 64");
        }
        reader->words[reader->count++] = p;
        while (*p && *p != ' ' && *p != '\t' && *p != '\r' && *p != '#')
            p++;
        if (*p == '#') {
            *p = '\0';
            break;
        }
    }
    return true;
}

static bool read_line(struct reader *reader, char *line)
{
    if (reader->line == 1 && line[0] == '#')
        snprintf(reader->scenario->sentence, sizeof reader->scenario->sentence, "%s",
                 line + 1 + (line[1] == ' '));
    if (!split(reader, line))
        return false;
    if (reader->count == 0)
        return true;
    return read_statement(reader) &&
           (reader->next == reader->count || expected(reader, "the end of the line"));
}

static bool read_lines(struct reader *reader, char *text)
{
    while (text) {
        char *end = strchr(text, '\n');
        if (end)
            *end = '\0';
        reader->line++;
        if (!read_line(reader, text))
            return false;
        text = end ? end + 1 : NULL;
    }
    reader->count = reader->next = 0;
    if (reader->scenario->member_count == 0)
        return expected(reader, "a line \"members N\" somewhere");
    return true;
}

bool scenario_parse(struct scenario *scenario, const char *where, struct span text,
                    struct buffer *error)
{
    *scenario = (struct scenario){.link = {.delay_min = 500000, .delay_max = 1000000},
                                  .run_until_settled = true};
    if (text.size > SCENARIO_BYTES_MAX ||
        memchr(text.data ? text.data : (const uint8_t *)"", '\0', text.size)) {
        buffer_printf(error, "%s: a scenario is text of at most %u bytes", where,
                      (unsigned)SCENARIO_BYTES_MAX);
        return false;
    }
    const char *slash = strrchr(where, '/');
    snprintf(scenario->name, sizeof scenario->name, "%s", slash ? slash + 1 : where);
    char *dot = strstr(scenario->name, ".scenario");
    if (dot)
        *dot = '\0';
    scenario->actions = sim_allocate(ACTIONS_MAX, sizeof *scenario->actions);
    char *copy = sim_allocate(text.size + 1, 1);
    if (text.size)
        memcpy(copy, text.data, text.size);
    struct reader reader = {.where = where, .error = error, .scenario = scenario};
    bool good = read_lines(&reader, copy);
    free(copy);
    if (!good)
        scenario_fini(scenario);
    return good;
}

void scenario_fini(struct scenario *scenario)
{
    free(scenario->actions);
    scenario->actions = NULL;
    scenario->action_count = 0;
}

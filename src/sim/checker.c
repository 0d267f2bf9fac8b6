/* The sums. Wrong views of members that run are not counted one by one, since a member that starts
 * would make everybody wrong at once: right views are summed, and there must be one for each pair
 * of members that run. Wrong views of all others are counted. */
#include "checker.h"

#include "sim_memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STATUS_MASK = 7,
    TAG_SHIFT = 3,
    EVENT_WORDS = USER_EVENTS_MAX / 64,
};

/* A member is told nothing of what was said before it joined: so long it may take to join. */
static const uint64_t joining_time = 10 * NANOSECONDS_PER_S;

static const char *const clock_names[] = {"incarnation", "member clock", "event clock",
                                          "query clock"};

const char *invariant_name(enum invariant invariant)
{
    static const char *const names[] = {"false failure",   "crash known", "going back",
                                        "delivered twice", "queue limit", "agreement",
                                        "cross-check",     "expectation"};
    return names[invariant];
}

struct checker *checker_new(uint32_t member_count, const struct bounds *bounds,
                            const struct checker_limits *limits)
{
    struct checker *checker = sim_allocate(1, sizeof *checker);
    checker->member_count = member_count;
    checker->bounds = *bounds;
    checker->limits = *limits;
    checker->subjects = sim_allocate(member_count, sizeof *checker->subjects);
    checker->viewers = sim_allocate(member_count, sizeof *checker->viewers);
    checker->peace = checker->agrees = true;
    checker->crash_checked = checker->healing_checked = checker->settle_checked = true;
    return checker;
}

void checker_free(struct checker *checker)
{
    if (!checker)
        return;
    for (uint32_t i = 0; i < checker->member_count; i++) {
        free(checker->viewers[i].cells);
        free(checker->viewers[i].user_events);
        free(checker->viewers[i].queries);
    }
    for (uint32_t i = 0; i < checker->query_count; i++)
        free(checker->queries[i].answered);
    free(checker->queries);
    free(checker->subjects);
    free(checker->viewers);
    free(checker);
}

static void violate(struct checker *checker, enum invariant invariant, uint64_t now, int64_t viewer,
                    int64_t subject, const char *format, ...) __attribute__((format(printf, 6, 7)));

static void violate(struct checker *checker, enum invariant invariant, uint64_t now, int64_t viewer,
                    int64_t subject, const char *format, ...)
{
    struct violation *violation = &checker->violation;
    if (violation->found)
        return;
    violation->found = true;
    violation->invariant = invariant;
    violation->time = now;
    violation->viewer = viewer;
    violation->subject = subject;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(violation->text, sizeof violation->text, format, arguments);
    va_end(arguments);
}

static double seconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / (double)NANOSECONDS_PER_S;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* --- when what is due --- */

uint64_t checker_healing_bound(const struct checker *checker)
{
    return checker->bounds.healing + checker->bounds.reconnect * (checker->dead + 1) +
           (checker->moved ? checker->bounds.move : 0);
}

uint64_t checker_settle_bound(const struct checker *checker)
{
    return checker->settle_bound ? checker->settle_bound
                                 : later(checker->bounds.crash, checker_healing_bound(checker));
}

static uint64_t crash_due(const struct checker *checker)
{
    return later(checker->last_crash, checker->peace_since) + checker->bounds.crash;
}

static uint64_t healing_due(const struct checker *checker)
{
    return later(checker->last_start, checker->peace_since) + checker_healing_bound(checker);
}

static uint64_t settle_due(const struct checker *checker)
{
    return later(checker->last_change, checker->peace_since) + checker_settle_bound(checker);
}

uint64_t checker_next(const struct checker *checker)
{
    uint64_t next = UINT64_MAX;
    if (!checker->peace)
        return next;
    if (!checker->crash_checked && crash_due(checker) < next)
        next = crash_due(checker);
    if (!checker->healing_checked && healing_due(checker) < next)
        next = healing_due(checker);
    if (!checker->settle_checked && settle_due(checker) < next)
        next = settle_due(checker);
    return next;
}

bool checker_is_settled(const struct checker *checker)
{
    return checker->peace && checker->crash_checked && checker->healing_checked &&
           checker->settle_checked;
}

/* --- the sums --- */

/* Wrong views of a member that does not run. */
static uint32_t wrong_views(const struct checker_subject *subject)
{
    const uint32_t *views = subject->views;
    switch (subject->truth) {
    case TRUTH_ABSENT:
        return views[STATUS_ALIVE] + views[STATUS_FAILED] + views[STATUS_LEFT];
    case TRUTH_LEFT:
        /* Where nobody who is left heard its goodbye, all call it failed, and agree. */
        return views[STATUS_ALIVE] + (views[STATUS_LEFT] > 0 ? views[STATUS_FAILED] : 0);
    case TRUTH_CRASHED:
        return views[STATUS_ALIVE];
    default:
        return 0;
    }
}

bool checker_agrees(const struct checker *checker)
{
    return checker->wrong_rest == 0 &&
           checker->current_sum == (uint64_t)checker->running * checker->running;
}

/* Takes a member out of the sums before its truth or the views of it change, and puts it back. */
static void take_out(struct checker *checker, const struct checker_subject *subject)
{
    if (subject->truth == TRUTH_RUNNING)
        checker->current_sum -= subject->current;
    else
        checker->wrong_rest -= wrong_views(subject);
}

static void put_back(struct checker *checker, const struct checker_subject *subject)
{
    if (subject->truth == TRUTH_RUNNING)
        checker->current_sum += subject->current;
    else
        checker->wrong_rest += wrong_views(subject);
}

static void note_agreement(struct checker *checker, uint64_t now, uint32_t viewer, uint32_t subject)
{
    bool agrees = checker_agrees(checker);
    if (agrees && !checker->agrees)
        checker->agrees_since = now;
    if (!agrees && checker->agrees && checker->peace && checker->settle_checked &&
        now > settle_due(checker))
        violate(checker, INVARIANT_AGREEMENT, now, viewer, subject,
                "the views had agreed and nothing has happened since, but one has changed");
    checker->agrees = agrees;
}

static bool is_current(const struct checker_subject *subject, uint16_t cell)
{
    return (cell & STATUS_MASK) == STATUS_ALIVE && cell >> TAG_SHIFT == subject->tag_version;
}

static void count_cell(struct checker_subject *subject, uint16_t cell, int32_t change)
{
    if ((cell & STATUS_MASK) == STATUS_NONE)
        return;
    subject->views[cell & STATUS_MASK] += (uint32_t)change;
    subject->current += is_current(subject, cell) ? (uint32_t)change : 0;
}

/* Nobody holds a dead member alive any more. */
static void note_detection(struct checker *checker, uint64_t now, uint32_t member)
{
    struct checker_subject *subject = &checker->subjects[member];
    if (subject->truth != TRUTH_CRASHED || subject->detected || subject->views[STATUS_ALIVE] > 0)
        return;
    uint64_t took = now - subject->ended;
    subject->detected = true;
    checker->crashes_known++;
    checker->worst_crash = later(checker->worst_crash, took);
    if (checker->peace && now > later(subject->ended, checker->peace_since) + checker->bounds.crash)
        violate(checker, INVARIANT_CRASH_KNOWN, now, CHECKER_NOBODY, member,
                "its crash was known everywhere only after %.1f s; the bound is %.1f s",
                seconds(took), seconds(checker->bounds.crash));
}

/* The views of a member count from now on, or no longer: they stay, for what it is still told. */
static void enter_row(struct checker *checker, uint32_t member)
{
    struct checker_viewer *viewer = &checker->viewers[member];
    if (viewer->cells)
        memset(viewer->cells, 0, checker->member_count * sizeof *viewer->cells);
    else
        viewer->cells = sim_allocate(checker->member_count, sizeof *viewer->cells);
    free(viewer->user_events);
    free(viewer->queries);
    viewer->user_events = viewer->queries = NULL;
    viewer->alive = 0;
    memset(viewer->clocks, 0, sizeof viewer->clocks);
}

static void leave_row(struct checker *checker, uint64_t now, uint32_t member)
{
    struct checker_viewer *viewer = &checker->viewers[member];
    for (uint32_t i = 0; i < checker->member_count; i++) {
        if (viewer->cells[i] == 0)
            continue;
        struct checker_subject *subject = &checker->subjects[i];
        take_out(checker, subject);
        count_cell(subject, viewer->cells[i], -1);
        put_back(checker, subject);
        note_detection(checker, now, i);
    }
    viewer->alive = 0;
}

static void set_truth(struct checker *checker, uint32_t member, enum truth truth)
{
    struct checker_subject *subject = &checker->subjects[member];
    take_out(checker, subject);
    checker->running +=
        (uint32_t)(truth == TRUTH_RUNNING) - (uint32_t)(subject->truth == TRUTH_RUNNING);
    checker->dead +=
        (uint32_t)(truth == TRUTH_CRASHED) - (uint32_t)(subject->truth == TRUTH_CRASHED);
    subject->truth = truth;
    put_back(checker, subject);
}

/* --- what is true --- */

static void change(struct checker *checker, uint64_t now)
{
    checker->last_change = now;
    checker->settle_checked = false;
    checker->agrees = checker_agrees(checker);
}

void checker_started(struct checker *checker, uint64_t now, uint32_t member, uint32_t tag_version,
                     bool moved)
{
    struct checker_subject *subject = &checker->subjects[member];
    enter_row(checker, member);
    set_truth(checker, member, TRUTH_RUNNING);
    subject->started = now;
    checker->moved = checker->moved || moved;
    checker->last_start = now;
    checker->healing_checked = false;
    checker_tags_changed(checker, now, member, tag_version);
}

static void end_life(struct checker *checker, uint64_t now, uint32_t member, enum truth truth)
{
    struct checker_subject *subject = &checker->subjects[member];
    if (subject->truth == TRUTH_RUNNING)
        leave_row(checker, now, member);
    set_truth(checker, member, truth);
    subject->ended = now;
    subject->detected = false;
    checker->last_crash = now;
    checker->crash_checked = false;
    change(checker, now);
}

void checker_crashed(struct checker *checker, uint64_t now, uint32_t member)
{
    end_life(checker, now, member, TRUTH_CRASHED);
    checker->crashes++;
    note_detection(checker, now, member);
}

void checker_leaving(struct checker *checker, uint64_t now, uint32_t member)
{
    leave_row(checker, now, member);
    set_truth(checker, member, TRUTH_LEAVING);
    change(checker, now);
}

void checker_left(struct checker *checker, uint64_t now, uint32_t member)
{
    end_life(checker, now, member, TRUTH_LEFT);
}

void checker_tags_changed(struct checker *checker, uint64_t now, uint32_t member,
                          uint32_t tag_version)
{
    struct checker_subject *subject = &checker->subjects[member];
    if (subject->tag_version != tag_version % TAG_VERSIONS) {
        take_out(checker, subject);
        subject->tag_version = tag_version % TAG_VERSIONS;
        subject->current = 0;
        for (uint32_t i = 0; i < checker->member_count; i++)
            if (checker->subjects[i].truth == TRUTH_RUNNING)
                subject->current += is_current(subject, checker->viewers[i].cells[member]);
        put_back(checker, subject);
    }
    change(checker, now);
}

void checker_disturbed(struct checker *checker, uint64_t now)
{
    (void)now;
    checker->peace = false;
}

void checker_peace(struct checker *checker, uint64_t now)
{
    checker->peace = true;
    checker->peace_since = now;
    checker->crash_checked = checker->healing_checked = checker->settle_checked = false;
    checker->agrees = checker_agrees(checker);
    if (checker->agrees)
        checker->agrees_since = now;
}

uint32_t checker_user_event_sent(struct checker *checker, uint64_t now)
{
    if (checker->user_events_sent == USER_EVENTS_MAX)
        return UINT32_MAX;
    checker->user_event_times[checker->user_events_sent] = now;
    return checker->user_events_sent++;
}

uint32_t checker_query_sent(struct checker *checker, uint64_t now, uint32_t asker)
{
    if (checker->query_count == QUERIES_MAX)
        return UINT32_MAX;
    if (!checker->queries)
        checker->queries = sim_allocate(QUERIES_MAX, sizeof *checker->queries);
    checker->queries[checker->query_count] =
        (struct checker_query){asker, now, sim_allocate(checker->member_count, 1)};
    return checker->query_count++;
}

void checker_forced_left(struct checker *checker, uint64_t now, uint32_t member)
{
    const struct checker_subject *subject = &checker->subjects[member];
    if (subject->truth == TRUTH_CRASHED && subject->detected)
        set_truth(checker, member, TRUTH_LEFT);
    change(checker, now);
}

/* --- what the members believe --- */

enum member_status checker_view(const struct checker *checker, uint32_t viewer, uint32_t subject)
{
    const uint16_t *cells = checker->viewers[viewer].cells;
    return cells ? (enum member_status)(cells[subject] & STATUS_MASK) : STATUS_NONE;
}

static void set_cell(struct checker *checker, uint32_t viewer, uint32_t member, uint16_t cell)
{
    uint16_t *place = &checker->viewers[viewer].cells[member];
    struct checker_subject *subject = &checker->subjects[member];
    checker->viewers[viewer].alive += (uint32_t)((cell & STATUS_MASK) == STATUS_ALIVE) -
                                      (uint32_t)((*place & STATUS_MASK) == STATUS_ALIVE);
    if (checker->subjects[viewer].truth != TRUTH_RUNNING) {
        *place = cell; /* it says goodbye: what it thinks counts no more */
        return;
    }
    take_out(checker, subject);
    count_cell(subject, *place, -1);
    *place = cell;
    count_cell(subject, cell, 1);
    put_back(checker, subject);
}

/* Whether an event says what the viewer has been told already, or could not be told. */
static bool is_news(enum member_event_type type, uint16_t cell, uint16_t next)
{
    unsigned status = cell & STATUS_MASK;
    switch (type) {
    case MEMBER_EVENT_JOIN:
        return status != STATUS_ALIVE;
    case MEMBER_EVENT_FAILED:
        return status == STATUS_ALIVE;
    case MEMBER_EVENT_LEAVE:
        return status == STATUS_ALIVE || status == STATUS_FAILED;
    case MEMBER_EVENT_UPDATE:
        return status != STATUS_NONE && cell != next;
    case MEMBER_EVENT_REAP:
        return status != STATUS_NONE;
    }
    return false;
}

static uint16_t next_cell(enum member_event_type type, uint16_t cell, uint32_t tag_version)
{
    static const uint8_t statuses[] = {
        [MEMBER_EVENT_JOIN] = STATUS_ALIVE,
        [MEMBER_EVENT_LEAVE] = STATUS_LEFT,
        [MEMBER_EVENT_FAILED] = STATUS_FAILED,
    };
    uint16_t tags = (uint16_t)(tag_version % TAG_VERSIONS << TAG_SHIFT);
    if (type == MEMBER_EVENT_REAP)
        return 0;
    if (type == MEMBER_EVENT_UPDATE)
        return (uint16_t)(tags | (cell & STATUS_MASK));
    return (uint16_t)(tags | statuses[type]);
}

static void count_event(struct checker *checker, enum member_event_type type)
{
    checker->joins += type == MEMBER_EVENT_JOIN;
    checker->failures += type == MEMBER_EVENT_FAILED;
    checker->leaves += type == MEMBER_EVENT_LEAVE;
    checker->updates += type == MEMBER_EVENT_UPDATE;
}

/* A scenario may expect that failures are declared only of those that crash. */
static void check_expectation(struct checker *checker, uint64_t now, uint32_t viewer,
                              uint32_t member)
{
    if (!checker->expect_no_failures || checker->subjects[member].truth == TRUTH_CRASHED ||
        checker->subjects[viewer].truth != TRUTH_RUNNING)
        return;
    violate(checker, INVARIANT_EXPECTATION, now, viewer, member,
            "a member that %s was declared failed, which the scenario expects never to happen",
            checker->subjects[member].truth == TRUTH_RUNNING ? "runs" : "said goodbye");
}

/* Somebody has just declared a member to be gone. */
static void check_false_failure(struct checker *checker, uint64_t now, uint32_t viewer,
                                uint32_t member)
{
    const struct checker_subject *subject = &checker->subjects[member];
    if (subject->truth != TRUTH_RUNNING || checker->subjects[viewer].truth != TRUTH_RUNNING)
        return;
    checker->false_failures++;
    uint64_t excused =
        later(checker->peace_since, subject->started) + checker_healing_bound(checker);
    if (checker->peace && now > excused)
        violate(checker, INVARIANT_FALSE_FAILURE, now, viewer, member,
                "a member that runs was declared gone, with the network at peace for %.1f s; "
                "the healing bound is %.1f s",
                seconds(now - checker->peace_since), seconds(checker_healing_bound(checker)));
}

static void check_resurrection(struct checker *checker, uint64_t now, uint32_t viewer,
                               uint32_t member)
{
    const struct checker_subject *subject = &checker->subjects[member];
    if (subject->truth != TRUTH_CRASHED && subject->truth != TRUTH_LEFT)
        return;
    if (checker->peace && now > later(subject->ended, checker->peace_since) + checker->bounds.crash)
        violate(checker, INVARIANT_CRASH_KNOWN, now, viewer, member,
                "a dead member was declared alive %.1f s after its death; the bound for all to "
                "know of it is %.1f s",
                seconds(now - subject->ended), seconds(checker->bounds.crash));
}

void checker_member_event(struct checker *checker, uint64_t now, uint32_t viewer,
                          enum member_event_type type, uint32_t subject, uint32_t tag_version)
{
    if (checker->violation.found || subject >= checker->member_count)
        return;
    uint16_t cell = checker->viewers[viewer].cells[subject];
    uint16_t next = next_cell(type, cell, tag_version);
    count_event(checker, type);
    if (!is_news(type, cell, next))
        violate(checker, INVARIANT_DELIVERED_TWICE, now, viewer, subject,
                "%s was told of a member that was held %s", member_event_name(type),
                member_status_name((enum member_status)(cell & STATUS_MASK)));
    set_cell(checker, viewer, subject, next);
    if (type == MEMBER_EVENT_FAILED)
        check_expectation(checker, now, viewer, subject);
    if (type == MEMBER_EVENT_FAILED || type == MEMBER_EVENT_LEAVE)
        check_false_failure(checker, now, viewer, subject);
    else if (type == MEMBER_EVENT_JOIN)
        check_resurrection(checker, now, viewer, subject);
    note_detection(checker, now, subject);
    note_agreement(checker, now, viewer, subject);
}

/* Marks a number in a set of at most `words` * 64; false when it was there. */
static bool mark(uint64_t **set, uint32_t number, size_t words)
{
    if (!*set)
        *set = sim_allocate(words, sizeof **set);
    uint64_t *word = &(*set)[number / 64], bit = UINT64_C(1) << number % 64;
    bool fresh = !(*word & bit);
    *word |= bit;
    return fresh;
}

void checker_user_event(struct checker *checker, uint64_t now, uint32_t viewer, uint32_t event)
{
    if (event >= USER_EVENTS_MAX)
        return;
    if (!mark(&checker->viewers[viewer].user_events, event, EVENT_WORDS))
        violate(checker, INVARIANT_DELIVERED_TWICE, now, viewer, CHECKER_NOBODY,
                "user event %" PRIu32 " was delivered twice in one life of the process", event);
    checker->user_events_delivered++;
}

void checker_query(struct checker *checker, uint64_t now, uint32_t viewer, uint32_t query)
{
    if (query < QUERIES_MAX &&
        !mark(&checker->viewers[viewer].queries, query, (QUERIES_MAX + 63) / 64))
        violate(checker, INVARIANT_DELIVERED_TWICE, now, viewer, CHECKER_NOBODY,
                "query %" PRIu32 " was delivered twice in one life of the process", query);
}

void checker_answer(struct checker *checker, uint32_t query, uint32_t from)
{
    if (query < checker->query_count && from < checker->member_count)
        checker->queries[query].answered[from] = 1;
}

static void check_limit(struct checker *checker, uint64_t now, uint32_t viewer, const char *what,
                        uint32_t depth, uint32_t limit)
{
    if (depth > limit)
        violate(checker, INVARIANT_QUEUE_LIMIT, now, viewer, CHECKER_NOBODY,
                "its %s holds %" PRIu32 "; the limit is %" PRIu32, what, depth, limit);
}

void checker_stats(struct checker *checker, uint64_t now, uint32_t viewer,
                   const struct serf_stats *stats)
{
    const struct checker_limits *limits = &checker->limits;
    const uint64_t clocks[] = {stats->incarnation, stats->member_time, stats->event_time,
                               stats->query_time};
    uint64_t *seen = checker->viewers[viewer].clocks;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        if (clocks[i] < seen[i])
            violate(checker, INVARIANT_GOING_BACK, now, viewer, CHECKER_NOBODY,
                    "its %s went back from %" PRIu64 " to %" PRIu64, clock_names[i], seen[i],
                    clocks[i]);
        seen[i] = clocks[i];
    }
    check_limit(checker, now, viewer, "intent queue", stats->intent_queue, limits->serf_queue);
    check_limit(checker, now, viewer, "event queue", stats->event_queue, limits->serf_queue);
    check_limit(checker, now, viewer, "query queue", stats->query_queue, limits->serf_queue);
    check_limit(checker, now, viewer, "membership queue", stats->membership_queue,
                limits->membership);
    check_limit(checker, now, viewer, "table of suspicions", stats->suspicions, limits->membership);
    check_limit(checker, now, viewer, "table of relayed probes", stats->relays, limits->relays);
    check_limit(checker, now, viewer, "table of streams", stats->streams, limits->streams);
}

void checker_compare(struct checker *checker, uint64_t now, uint32_t viewer, uint32_t subject,
                     enum member_status status)
{
    enum member_status told = checker_view(checker, viewer, subject);
    /* That a member is leaving is no event: it is alive until it has left. */
    if (status == STATUS_LEAVING)
        status = STATUS_ALIVE;
    if (status != told)
        violate(checker, INVARIANT_CROSS_CHECK, now, viewer, subject,
                "it answers %s, but its events said %s", member_status_name(status),
                member_status_name(told));
}

/* --- verdicts --- */

/* Somebody that holds `subject` in `status`, or CHECKER_NOBODY. */
static int64_t who_holds(const struct checker *checker, uint32_t subject, enum member_status status)
{
    for (uint32_t i = 0; i < checker->member_count; i++)
        if (checker->subjects[i].truth == TRUTH_RUNNING &&
            checker_view(checker, i, subject) == status)
            return i;
    return CHECKER_NOBODY;
}

static void check_crashes(struct checker *checker, uint64_t now)
{
    for (uint32_t i = 0; i < checker->member_count; i++) {
        const struct checker_subject *subject = &checker->subjects[i];
        bool dead = subject->truth == TRUTH_CRASHED || subject->truth == TRUTH_LEFT;
        if (dead && subject->views[STATUS_ALIVE] > 0)
            violate(checker, INVARIANT_CRASH_KNOWN, now, who_holds(checker, i, STATUS_ALIVE), i,
                    "%" PRIu32 " members hold it alive %.1f s after its end; the bound is %.1f s",
                    subject->views[STATUS_ALIVE], seconds(now - subject->ended),
                    seconds(checker->bounds.crash));
    }
}

static void check_failures(struct checker *checker, uint64_t now)
{
    for (uint32_t i = 0; i < checker->member_count; i++) {
        const struct checker_subject *subject = &checker->subjects[i];
        if (subject->truth != TRUTH_RUNNING)
            continue;
        for (unsigned status = STATUS_LEFT; status <= STATUS_FAILED; status++)
            if (subject->views[status] > 0)
                violate(checker, INVARIANT_FALSE_FAILURE, now,
                        who_holds(checker, i, (enum member_status)status), i,
                        "%" PRIu32 " members hold it %s although it runs; the healing bound of "
                        "%.1f s has passed",
                        subject->views[status], member_status_name((enum member_status)status),
                        seconds(checker_healing_bound(checker)));
    }
}

/* Finds one pair that is wrong, for the report. */
static void check_agreement(struct checker *checker, uint64_t now, const char *when)
{
    if (checker_agrees(checker))
        return;
    for (uint32_t viewer = 0; viewer < checker->member_count; viewer++) {
        if (checker->subjects[viewer].truth != TRUTH_RUNNING)
            continue;
        for (uint32_t i = 0; i < checker->member_count; i++) {
            const struct checker_subject *subject = &checker->subjects[i];
            uint16_t cell = checker->viewers[viewer].cells[i];
            unsigned status = cell & STATUS_MASK;
            bool right = subject->truth == TRUTH_RUNNING   ? is_current(subject, cell)
                         : subject->truth == TRUTH_LEAVING ? true
                         : subject->truth == TRUTH_LEFT && subject->views[STATUS_LEFT] > 0
                             ? status == STATUS_NONE || status == STATUS_LEFT
                             : status != STATUS_ALIVE;
            static const char *const truths[] = {"was never started", "runs", "is leaving",
                                                 "has left", "has crashed"};
            if (!right)
                violate(checker, INVARIANT_AGREEMENT, now, viewer, i,
                        "%s it is held %s%s, although it %s", when,
                        member_status_name((enum member_status)status),
                        status == STATUS_ALIVE && subject->truth == TRUTH_RUNNING
                            ? " with tags that are no longer its own"
                            : "",
                        truths[subject->truth]);
        }
    }
}

void checker_due(struct checker *checker, uint64_t now)
{
    if (!checker->peace)
        return;
    if (!checker->crash_checked && now >= crash_due(checker)) {
        checker->crash_checked = true;
        check_crashes(checker, now);
    }
    if (!checker->healing_checked && now >= healing_due(checker)) {
        checker->healing_checked = true;
        check_failures(checker, now);
    }
    if (!checker->settle_checked && now >= settle_due(checker)) {
        char when[80];
        checker->settle_checked = true;
        snprintf(when, sizeof when, "%.1f s after the last change, the bound,",
                 seconds(checker_settle_bound(checker)));
        check_agreement(checker, now, when);
    }
}

void checker_finish(struct checker *checker, uint64_t now)
{
    if (!checker->violation.found)
        check_agreement(checker, now, "at the end of the run");
}

/* The member runs, and had done so for long enough. */
static bool was_there(const struct checker *checker, uint32_t member, uint64_t time)
{
    const struct checker_subject *subject = &checker->subjects[member];
    return subject->truth == TRUTH_RUNNING && subject->started + joining_time <= time;
}

void checker_user_event_coverage(const struct checker *checker, uint64_t *delivered,
                                 uint64_t *expected)
{
    *delivered = *expected = 0;
    for (uint32_t i = 0; i < checker->member_count; i++) {
        const uint64_t *events = checker->viewers[i].user_events;
        for (uint32_t event = 0; event < checker->user_events_sent; event++) {
            if (!was_there(checker, i, checker->user_event_times[event]))
                continue;
            ++*expected;
            *delivered += events && (events[event / 64] >> event % 64 & 1);
        }
    }
}

void checker_answer_coverage(const struct checker *checker, uint64_t *answers, uint64_t *expected)
{
    *answers = *expected = 0;
    for (uint32_t i = 0; i < checker->query_count; i++) {
        const struct checker_query *query = &checker->queries[i];
        if (!was_there(checker, query->asker, query->time))
            continue;
        for (uint32_t member = 0; member < checker->member_count; member++)
            if (was_there(checker, member, query->time)) {
                ++*expected;
                *answers += query->answered[member];
            }
    }
}

void checker_disappointed(struct checker *checker, uint64_t now, const char *text)
{
    violate(checker, INVARIANT_EXPECTATION, now, CHECKER_NOBODY, CHECKER_NOBODY, "%s", text);
}

/* The invariants of a cluster, checked while it runs.
 *
 * The checker is told what is true (who runs, who crashed, when the network is at peace) and what
 * each member believes (its member events). It keeps a cell for each pair of members and sums over
 * the cells, so that a change of one view costs the same however many members there are; only what
 * happens to a member itself costs a pass over its row.
 *
 *   false failure   No member that runs is held failed or left, by any that runs, once the network
 *                   has been at peace, and the member has run, for the healing bound.
 *   crash known     Nobody that runs holds a dead member alive when the crash bound has passed
 *                   since its death and since peace.
 *   going back      Within one life of a process its incarnation and its three Lamport clocks
 *                   never go back.
 *   delivered twice No user event and no query reaches a process twice, and no member event tells
 * what the process has told already. queue limit     Every queue and table of a process stays under
 * its limit. agreement       Everybody holds everybody to be what it is, with the tags that it has,
 * when the settling bound has passed since the last change and since peace; from then on nobody's
 * view changes. cross-check     What a process answers when it is asked is what its events said.
 *   expectation     What the scenario itself says must not happen.
 *
 * The first violation is kept; after it nothing more is checked. Members are numbers from 0, times
 * are virtual nanoseconds. */
#ifndef SIM_CHECKER_H
#define SIM_CHECKER_H

#include "bounds.h"

enum invariant {
    INVARIANT_FALSE_FAILURE,
    INVARIANT_CRASH_KNOWN,
    INVARIANT_GOING_BACK,
    INVARIANT_DELIVERED_TWICE,
    INVARIANT_QUEUE_LIMIT,
    INVARIANT_AGREEMENT,
    INVARIANT_CROSS_CHECK,
    INVARIANT_EXPECTATION,
};

const char *invariant_name(enum invariant invariant);

enum truth {               /* what a member really is */
             TRUTH_ABSENT, /* it was never started */
             TRUTH_RUNNING,
             TRUTH_LEAVING, /* it is saying goodbye: nobody is wrong about it, whatever they think
                             */
             TRUTH_LEFT,    /* it has said goodbye */
             TRUTH_CRASHED,
};

enum { CHECKER_NOBODY = -1, USER_EVENTS_MAX = 4096, QUERIES_MAX = 1024, TAG_VERSIONS = 8192 };

struct violation {
    bool found;
    enum invariant invariant;
    uint64_t time;
    int64_t viewer, subject; /* members, or CHECKER_NOBODY */
    char text[240];          /* one line: what is, and what should be */
};

struct checker_subject { /* of one member, what all that run think of it */
    enum truth truth;
    uint32_t tag_version;
    uint64_t started, ended; /* when its present or last life began and ended */
    uint32_t views[8];       /* how many hold it in each status; [STATUS_NONE] is not kept */
    uint32_t current;        /* of those that hold it alive: with the present tags */
    bool detected;           /* after its crash nobody held it alive any more */
};

struct checker_viewer {    /* of one member, what itself thinks */
    uint16_t *cells;       /* owned; a status and a tag version for each member; NULL: never ran */
    uint32_t alive;        /* how many it holds alive */
    uint64_t *user_events; /* owned; a bit an event that this life has delivered; NULL: none */
    uint64_t *queries;     /* owned; likewise */
    uint64_t clocks[4];    /* incarnation, member, event and query time when last seen */
};

struct checker_query {
    uint32_t asker;
    uint64_t time;
    uint8_t *answered; /* owned; a byte a member */
};

struct checker_limits {
    uint32_t serf_queue; /* each of the three queues of the Serf layer */
    uint32_t membership; /* the membership queue and the suspicions: one a member */
    uint32_t relays, streams;
};

struct checker {
    uint32_t member_count;
    struct bounds bounds;
    uint64_t settle_bound; /* 0: the longer one of those for a crash and for healing */
    struct checker_limits limits;
    bool expect_no_failures;          /* of members that run */
    struct checker_subject *subjects; /* owned */
    struct checker_viewer *viewers;   /* owned */

    /* Sums over all pairs. */
    uint32_t dead;        /* members in TRUTH_CRASHED */
    uint32_t running;     /* members in TRUTH_RUNNING: subjects that must be known, and viewers */
    uint64_t current_sum; /* right views of those */
    uint64_t wrong_rest;  /* wrong views of the others */

    bool peace;
    uint64_t peace_since, last_crash, last_start, last_change;
    bool moved;
    bool crash_checked, healing_checked, settle_checked; /* since the last change that matters */
    bool agrees;
    uint64_t agrees_since;

    struct violation violation;

    /* What a report tells. */
    uint64_t joins, failures, leaves, updates; /* member events */
    uint64_t false_failures;                   /* told to have failed or left while they ran */
    uint64_t worst_crash;                      /* the longest time from a death until all knew */
    uint32_t crashes, crashes_known;
    uint32_t user_events_sent;
    uint64_t user_events_delivered;
    uint64_t user_event_times[USER_EVENTS_MAX];
    struct checker_query *queries; /* owned */
    uint32_t query_count;
};

struct checker *checker_new(uint32_t member_count, const struct bounds *bounds,
                            const struct checker_limits *limits);
void checker_free(struct checker *checker);

/* --- what is true --- */

/* A new life of a member's process; `moved`: at another address than before. */
void checker_started(struct checker *checker, uint64_t now, uint32_t member, uint32_t tag_version,
                     bool moved);
void checker_crashed(struct checker *checker, uint64_t now, uint32_t member);
void checker_leaving(struct checker *checker, uint64_t now, uint32_t member);
void checker_left(struct checker *checker, uint64_t now, uint32_t member);
void checker_tags_changed(struct checker *checker, uint64_t now, uint32_t member,
                          uint32_t tag_version);
/* Something is wrong with the network, a clock or a process; or nothing is any more. A disturbance
 * that has no length is both, one after the other. */
void checker_disturbed(struct checker *checker, uint64_t now);
void checker_peace(struct checker *checker, uint64_t now);
/* A user event was given to the cluster; returns its number, or UINT32_MAX when there were
 * USER_EVENTS_MAX already. */
uint32_t checker_user_event_sent(struct checker *checker, uint64_t now);
/* Likewise a query, at most QUERIES_MAX of which are followed. */
uint32_t checker_query_sent(struct checker *checker, uint64_t now, uint32_t asker);
/* Somebody was told that this member has left; where all know that it is dead, they must believe
 * it. */
void checker_forced_left(struct checker *checker, uint64_t now, uint32_t member);

/* --- what the members believe --- */

void checker_member_event(struct checker *checker, uint64_t now, uint32_t viewer,
                          enum member_event_type type, uint32_t subject, uint32_t tag_version);
void checker_user_event(struct checker *checker, uint64_t now, uint32_t viewer, uint32_t event);
void checker_query(struct checker *checker, uint64_t now, uint32_t viewer, uint32_t query);
void checker_answer(struct checker *checker, uint32_t query, uint32_t from);
/* After any call of the member's core. */
void checker_stats(struct checker *checker, uint64_t now, uint32_t viewer,
                   const struct serf_stats *stats);
/* Compares one answer of a process with what its events said. */
void checker_compare(struct checker *checker, uint64_t now, uint32_t viewer, uint32_t subject,
                     enum member_status status);

/* --- verdicts --- */

/* The bounds for what has happened so far: for healing, and for agreement. */
uint64_t checker_healing_bound(const struct checker *checker);
uint64_t checker_settle_bound(const struct checker *checker);

/* When checker_due wants to be called next, or UINT64_MAX. */
uint64_t checker_next(const struct checker *checker);
void checker_due(struct checker *checker, uint64_t now);
/* The run is over: whoever does not agree now never will. */
void checker_finish(struct checker *checker, uint64_t now);

bool checker_agrees(const struct checker *checker);
/* All bounds have passed, and what they promise has been checked. */
bool checker_is_settled(const struct checker *checker);
enum member_status checker_view(const struct checker *checker, uint32_t viewer, uint32_t subject);
/* How many of the user events each member that runs, and ran when they were sent, has delivered,
 * of how many. */
void checker_user_event_coverage(const struct checker *checker, uint64_t *delivered,
                                 uint64_t *expected);
/* How many answers came from members that run, and ran when they were asked, of how many; of the
 * queries of members whose life goes on. */
void checker_answer_coverage(const struct checker *checker, uint64_t *answers, uint64_t *expected);
/* What the scenario expects did not come true. */
void checker_disappointed(struct checker *checker, uint64_t now, const char *text);

#endif

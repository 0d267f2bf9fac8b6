/* A scenario: how many members, on what links, and what befalls them when. docs/simulator.md shows
 * the language that it is written in. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "buffer.h"
#include "links.h"

enum {
    SET_ITEMS_MAX = 8,
    SIDES_MAX = 6,
    ACTIONS_MAX = 256,
    PROFILE_RULES_MAX = 8,
    SCENARIO_BYTES_MAX = 65536,
    SCENARIO_WORDS_MAX = 64,
    SCENARIO_MEMBERS_MAX = 65536,
};

/* The side of a plane, in nanoseconds; no coordinate tells of longer round trips. */
#define PLANE_MIN UINT64_C(1000000)
#define PLANE_MAX UINT64_C(10000000000)

enum set_kind {
    SET_RANGE, /* members `from` to `to`, from 1 */
    SET_SHARE, /* those between `from` and `to` percent of all, in order of their numbers */
    SET_ALL,
    SET_RANDOM_COUNT, /* `from` of those that run, drawn at random */
    SET_RANDOM_SHARE, /* `from` millionths of those that run, rounded up */
};

struct set_item {
    enum set_kind kind;
    uint32_t from, to;
};

struct member_set {
    struct set_item items[SET_ITEMS_MAX];
    uint32_t count;
};

enum join_kind {
    JOIN_NOBODY,
    JOIN_SERVICE,  /* the service address, by the retrying policy */
    JOIN_HEADLESS, /* a name that resolves to all that run, likewise */
    JOIN_RANDOM,   /* a member that runs at that time */
    JOIN_SEEDS,    /* the addresses of a set */
};

struct join_target {
    enum join_kind kind;
    bool once; /* one join, in place of the policy */
    struct member_set seeds;
};

enum action_kind {
    ACTION_START,
    ACTION_CRASH,
    ACTION_VANISH,
    ACTION_RESTART,
    ACTION_LEAVE,
    ACTION_PAUSE,
    ACTION_SLOW,
    ACTION_JUMP,
    ACTION_PARTITION,
    ACTION_BLOCK,
    ACTION_HEAL,
    ACTION_LINK,
    ACTION_EVENT,
    ACTION_TAGS,
    ACTION_JOIN,
    ACTION_QUERY,
    ACTION_FORCE_LEAVE,
};

/* The word that an action begins with. */
extern const char *const action_words[];
enum { ACTION_KINDS = ACTION_FORCE_LEAVE + 1 };

struct action {
    enum action_kind kind;
    uint32_t line;
    uint64_t at, every;
    uint32_t times;
    struct member_set sets[SIDES_MAX]; /* whom; of a partition its sides; of a block from and to */
    uint32_t set_count;
    uint64_t over;     /* spread evenly over that time */
    uint64_t duration; /* of a pause or a slowness */
    uint64_t amount;   /* of a jump; a turn of the slow */
    uint64_t pause;    /* of a restart: between the end and the start */
    bool new_address, without_memory, gracefully;
    struct join_target join;
    struct link link;
};

enum profile {
    PROFILE_LAN,
    PROFILE_WAN,
    PROFILE_LOCAL,
};

struct profile_rule {
    enum profile profile;
    struct member_set set;
};

struct scenario {
    char name[64];
    char sentence[160]; /* the first line's comment */
    uint32_t member_count;
    struct profile_rule profiles[PROFILE_RULES_MAX]; /* the last that holds a member counts */
    uint32_t profile_count;
    struct link link;
    uint64_t crash_bound, healing_bound, settle_bound; /* 0: the protocol's (bounds.h) */
    bool expect_no_failures;
    uint32_t expect_events, expect_answers; /* the least share delivered, in millionths; 0: any */
    uint32_t expect_median, expect_most;    /* the largest errors of round trips that coordinates
                                               estimate, in the middle and for 95 % of all pairs of
                                               members, in millionths; 0: any */
    uint64_t plane; /* members are points in a square with this round trip along its side; 0: no */
    uint64_t names_lag;     /* "headless" names who ran that long ago; 0: who runs now */
    uint64_t run;           /* how long; 0: until the bounds have passed, or all agree */
    bool run_until_settled; /* until every bound has passed after the last change (the default) */
    uint64_t agreed_for;    /* else: until all agree, and that for so long */
    struct action *actions; /* owned */
    uint32_t action_count;
};

/* Reads a scenario. `where` names it in errors ("file:line: 'word': what is wrong and what was
 * expected"). False with one line in `error`; the scenario then holds nothing. */
bool scenario_parse(struct scenario *scenario, const char *where, struct span text,
                    struct buffer *error);
void scenario_fini(struct scenario *scenario);

/* Marks the members of a set in `members` (a byte for each of `count`, zeroed here). `up` are those
 * that run, for random draws; `random` may be NULL for a set without any. False when the set names
 * a member that there is not. */
bool member_set_resolve(const struct member_set *set, uint32_t count, const uint32_t *up,
                        uint32_t up_count, struct random *random, uint8_t *members);

#endif

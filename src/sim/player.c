/* An action comes due as a whole; then it is spread over its members, each of which has a step of
 * its own in the event queue. A restart is two steps, and three when it is graceful. */
#include "player.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    STEPS_BETWEEN_REPORTS = 4096,
    TRIES_FOR_ANOTHER = 16, /* draws for a member other than oneself */
    SEEDS_MAX = 64,
};

/* After the last action a scenario that does not say how long it runs is given this long to come to
 * peace. */
static const uint64_t peace_patience = 600 * NANOSECONDS_PER_S;

enum step {              /* in the high half of a scheduled number; the low half is the action */
            STEP_ACTION, /* detail: how often it has been done */
            STEP_MEMBER, /* detail: the member, here and below */
            STEP_START,
            STEP_STOP,
};

struct player {
    const struct scenario *scenario;
    struct simulation *simulation;
    uint32_t member_count;
    uint8_t *members;     /* owned: the set at hand */
    uint32_t *restart_as; /* owned: by member: 1 + the action that restarts it when it has left */
    uint32_t pending;     /* steps scheduled, and leaves under way */
    uint64_t last_step;
    struct samples samples;
    struct estimates estimates;
};

/* --- the simulation's configuration --- */

/* Room is made for everybody at once: tables that thousands of members grow in step leave holes
 * that none of them can use. */
static void choose_profile(struct serf_config *config, enum profile profile, uint32_t members)
{
    static void (*const profiles[])(struct swim_config *) = {
        [PROFILE_LAN] = swim_config_lan,
        [PROFILE_WAN] = swim_config_wan,
        [PROFILE_LOCAL] = swim_config_local,
    };
    serf_config_init(config, profiles[profile]);
    config->coalesce_period = config->quiescent_period = 0;
    config->swim.compress = false;
    config->swim.members_expected = members;
}

static bool resolve_for_config(const struct member_set *set, uint32_t count, uint8_t *members)
{
    return member_set_resolve(set, count, NULL, 0, NULL, members);
}

static struct bounds widest_bounds(const struct simulation_config *config, const uint8_t *used,
                                   uint64_t longest_delay)
{
    struct bounds widest = {0};
    for (uint32_t i = 0; i < PROFILES_MAX; i++) {
        struct bounds bounds =
            bounds_for(&config->profiles[i], config->member_count, longest_delay);
        if (!used[i])
            continue;
        widest.spread = bounds.spread > widest.spread ? bounds.spread : widest.spread;
        widest.repair = bounds.repair > widest.repair ? bounds.repair : widest.repair;
        widest.crash = bounds.crash > widest.crash ? bounds.crash : widest.crash;
        widest.reconnect =
            bounds.reconnect > widest.reconnect ? bounds.reconnect : widest.reconnect;
        widest.healing = bounds.healing > widest.healing ? bounds.healing : widest.healing;
        widest.move = bounds.move > widest.move ? bounds.move : widest.move;
    }
    return widest;
}

static uint64_t longest_delay(const struct scenario *scenario)
{
    /* The diagonal of the plane, one way. */
    uint64_t longest = scenario->link.delay_max + scenario->plane * 3 / 4;
    for (uint32_t i = 0; i < scenario->action_count; i++) {
        const struct action *action = &scenario->actions[i];
        if (action->kind == ACTION_SLOW && action->amount > longest)
            longest = action->amount;
    }
    return longest;
}

/* Where a scenario states a bound it holds for all that may happen in it. */
static void choose_bounds(const struct scenario *scenario, struct checker *checker)
{
    if (scenario->crash_bound)
        checker->bounds.crash = scenario->crash_bound;
    if (scenario->healing_bound) {
        checker->bounds.healing = scenario->healing_bound;
        checker->bounds.reconnect = checker->bounds.move = 0;
    }
    checker->settle_bound = scenario->settle_bound;
    checker->expect_no_failures = scenario->expect_no_failures;
}

/* --- steps --- */

static void schedule(struct player *player, uint64_t time, enum step step, uint32_t action,
                     uint32_t detail)
{
    player->pending++;
    simulation_schedule(player->simulation, time, (uint32_t)step << 16 | action, detail);
}

static bool resolve(struct player *player, const struct member_set *set)
{
    struct simulation *simulation = player->simulation;
    return member_set_resolve(set, player->member_count, simulation->up, simulation->up_count,
                              &simulation->random, player->members);
}

static uint32_t another(struct player *player, uint32_t member)
{
    for (int i = 0; i < TRIES_FOR_ANOTHER; i++) {
        uint32_t drawn = simulation_any_up(player->simulation);
        if (drawn != member)
            return drawn;
    }
    return UINT32_MAX;
}

static void join_members(struct player *player, uint32_t member, const uint8_t *chosen, bool once)
{
    char texts[SEEDS_MAX][ENDPOINT_TEXT_SIZE];
    struct span addresses[SEEDS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < player->member_count && count < SEEDS_MAX; i++) {
        if (!chosen[i])
            continue;
        struct endpoint endpoint = simulation_endpoint(player->simulation, i);
        addresses[count] = span_text(endpoint_text(&endpoint, texts[count]));
        count++;
    }
    if (count > 0)
        simulation_join(player->simulation, member, addresses, count, once);
}

static void join(struct player *player, uint32_t member, const struct join_target *target)
{
    struct span name = span_text(target->kind == JOIN_HEADLESS ? "headless" : "serf");
    uint32_t other;
    switch (target->kind) {
    case JOIN_NOBODY:
        break;
    case JOIN_SERVICE:
    case JOIN_HEADLESS:
        simulation_join(player->simulation, member, &name, 1, target->once);
        break;
    case JOIN_RANDOM:
        other = another(player, member);
        memset(player->members, 0, player->member_count);
        if (other != UINT32_MAX)
            player->members[other] = 1;
        join_members(player, member, player->members, target->once);
        break;
    case JOIN_SEEDS:
        resolve(player, &target->seeds);
        join_members(player, member, player->members, target->once);
        break;
    }
}

static void start_member(struct player *player, const struct action *action, uint32_t member)
{
    struct simulation *simulation = player->simulation;
    if (simulation_is_up(simulation, member))
        return;
    simulation_start(simulation, member, action->new_address);
    /* Also one that remembers others: they may all be out of its reach. */
    join(player, member, &action->join);
    simulation_forget(simulation, member);
}

static void leave_member(struct player *player, uint32_t member)
{
    struct machine *machine = &player->simulation->machines[member];
    if (!machine->serf || machine->leaving || machine->paused)
        return;
    player->pending++;
    simulation_leave(player->simulation, member);
}

static void restart_member(struct player *player, uint32_t action_number, uint32_t member)
{
    const struct action *action = &player->scenario->actions[action_number];
    struct simulation *simulation = player->simulation;
    if (action->gracefully && simulation_is_up(simulation, member)) {
        player->restart_as[member] = action_number + 1;
        leave_member(player, member);
        return;
    }
    if (simulation->machines[member].leaving)
        return;
    if (!action->without_memory)
        simulation_remember(simulation, member);
    simulation_crash(simulation, member, false);
    schedule(player, simulation->now + action->pause, STEP_START, action_number, member);
}

static void stop_member(struct player *player, uint32_t member)
{
    uint32_t again = player->restart_as[member];
    player->restart_as[member] = 0;
    simulation_stop(player->simulation, member);
    if (again)
        schedule(player, player->simulation->now + player->scenario->actions[again - 1].pause,
                 STEP_START, again - 1, member);
}

static void crash_member(struct player *player, uint32_t member, bool silent)
{
    if (player->simulation->machines[member].leaving)
        return; /* on its way out already; its leave is waited for */
    simulation_crash(player->simulation, member, silent);
}

static void act_on_member(struct player *player, uint32_t action_number, uint32_t member)
{
    const struct action *action = &player->scenario->actions[action_number];
    struct simulation *simulation = player->simulation;
    uint32_t other;
    switch (action->kind) {
    case ACTION_START:
        start_member(player, action, member);
        break;
    case ACTION_CRASH:
    case ACTION_VANISH:
        crash_member(player, member, action->kind == ACTION_VANISH);
        break;
    case ACTION_RESTART:
        restart_member(player, action_number, member);
        break;
    case ACTION_LEAVE:
        leave_member(player, member);
        break;
    case ACTION_PAUSE:
        simulation_pause(simulation, member, action->duration);
        break;
    case ACTION_SLOW:
        simulation_slow(simulation, member, action->amount, action->duration);
        break;
    case ACTION_JUMP:
        simulation_jump(simulation, member, action->amount);
        break;
    case ACTION_EVENT:
        simulation_user_event(simulation, member);
        break;
    case ACTION_JOIN:
        join(player, member, &action->join);
        break;
    case ACTION_QUERY:
        simulation_query(simulation, member);
        break;
    case ACTION_FORCE_LEAVE:
        other = another(player, member);
        if (other != UINT32_MAX)
            simulation_force_leave(simulation, other, member);
        break;
    case ACTION_TAGS:
        simulation_change_tags(simulation, member);
        break;
    default:
        break;
    }
}

static void spread(struct player *player, uint32_t action_number)
{
    const struct action *action = &player->scenario->actions[action_number];
    uint64_t now = player->simulation->now;
    uint32_t count = 0, done = 0;
    resolve(player, &action->sets[0]);
    for (uint32_t i = 0; i < player->member_count; i++)
        count += player->members[i];
    for (uint32_t i = 0; i < player->member_count; i++)
        if (player->members[i])
            schedule(player, now + action->over / (count > 1 ? count - 1 : 1) * done++, STEP_MEMBER,
                     action_number, i);
}

static void change_links(struct player *player, const struct action *action)
{
    struct links *links = &player->simulation->links;
    uint8_t *from;
    switch (action->kind) {
    case ACTION_PARTITION:
        for (uint32_t side = 0; side < action->set_count; side++) {
            resolve(player, &action->sets[side]);
            links_set_group(links, player->members, (uint8_t)(side + 1));
        }
        break;
    case ACTION_BLOCK:
        from = sim_allocate(player->member_count, 1);
        resolve(player, &action->sets[0]);
        memcpy(from, player->members, player->member_count);
        resolve(player, &action->sets[1]);
        if (!links_block(links, from, player->members)) {
            fprintf(stderr, "serf-sim: %s:%u: more than %u blocks at once\n",
                    player->scenario->name, action->line, (unsigned)LINK_BLOCKS_MAX);
            exit(2);
        }
        free(from);
        break;
    case ACTION_LINK:
        if (action->set_count > 0)
            resolve(player, &action->sets[0]);
        links_degrade(links, &action->link, action->set_count > 0 ? player->members : NULL);
        break;
    default:
        links_heal(links);
    }
    simulation_links_changed(player->simulation);
}

static void begin_action(struct player *player, uint32_t number, uint32_t done)
{
    const struct action *action = &player->scenario->actions[number];
    samples_mark(&player->samples, player->simulation->now, action_words[action->kind]);
    if (action->kind == ACTION_PARTITION || action->kind == ACTION_BLOCK ||
        action->kind == ACTION_LINK || action->kind == ACTION_HEAL)
        change_links(player, action);
    else
        spread(player, number);
    if (done + 1 < action->times)
        schedule(player, player->simulation->now + action->every, STEP_ACTION, number, done + 1);
}

static void on_happens(void *context, uint32_t number, uint32_t detail)
{
    struct player *player = context;
    uint32_t action = number & 0xffff;
    player->pending--;
    player->last_step = player->simulation->now;
    switch ((enum step)(number >> 16)) {
    case STEP_ACTION:
        begin_action(player, action, detail);
        break;
    case STEP_MEMBER:
        act_on_member(player, action, detail);
        break;
    case STEP_START:
        start_member(player, &player->scenario->actions[action], detail);
        break;
    case STEP_STOP:
        stop_member(player, detail);
        break;
    }
}

/* The core is still at work: the process ends at the next turn. */
static void on_left(void *context, uint32_t member)
{
    struct player *player = context;
    player->pending--;
    schedule(player, player->simulation->now, STEP_STOP, 0, member);
}

/* --- the run --- */

static bool is_over(const struct player *player)
{
    const struct simulation *simulation = player->simulation;
    const struct checker *checker = simulation->checker;
    if (checker->violation.found)
        return true;
    if (player->scenario->run > 0 || player->pending > 0)
        return false;
    if (!checker->peace)
        return simulation->now > player->last_step + peace_patience;
    uint64_t agreed_for = player->scenario->agreed_for;
    return checker_is_settled(checker) ||
           (!player->scenario->run_until_settled && checker->agrees &&
            simulation->now >= checker->agrees_since + agreed_for &&
            simulation->now >= checker->last_change + agreed_for);
}

static void expect_share(struct checker *checker, uint64_t now, const char *what, uint32_t least,
                         uint64_t came, uint64_t expected)
{
    char text[160];
    if (least == 0 || came * CHANCE_CERTAIN >= expected * least)
        return;
    snprintf(text, sizeof text, "%llu of %llu %s came; the scenario expects %g %%",
             (unsigned long long)came, (unsigned long long)expected, what, least / 1e4);
    checker_disappointed(checker, now, text);
}

static void expect_error(struct checker *checker, uint64_t now, const char *what, uint32_t limit,
                         uint32_t error)
{
    char text[160];
    if (limit == 0 || error <= limit)
        return;
    snprintf(text, sizeof text,
             "round trips are estimated with an error of %g %% %s; the scenario expects %g %%",
             error / 1e4, what, limit / 1e4);
    checker_disappointed(checker, now, text);
}

static void check_expectations(struct player *player)
{
    const struct scenario *scenario = player->scenario;
    struct checker *checker = player->simulation->checker;
    uint64_t now = player->simulation->now, came, expected;
    checker_user_event_coverage(checker, &came, &expected);
    expect_share(checker, now, "deliveries of user events", scenario->expect_events, came,
                 expected);
    checker_answer_coverage(checker, &came, &expected);
    expect_share(checker, now, "answers", scenario->expect_answers, came, expected);
    if (scenario->plane > 0)
        player->estimates = estimates_measure(player->simulation);
    expect_error(checker, now, "in the middle", scenario->expect_median, player->estimates.median);
    expect_error(checker, now, "for 95 % of all pairs", scenario->expect_most,
                 player->estimates.most);
}

static void run(struct player *player, const struct player_options *options)
{
    struct simulation *simulation = player->simulation;
    uint64_t end = player->scenario->run ? player->scenario->run : TIME_NEVER - 1;
    uint64_t steps = 0;
    while (!is_over(player) && simulation_step(simulation, end)) {
        samples_take(&player->samples, simulation->checker, simulation->now);
        if (++steps % STEPS_BETWEEN_REPORTS == 0 && options->progress)
            options->progress(options->context, simulation);
    }
    checker_finish(simulation->checker, simulation->now);
    if (!simulation->checker->violation.found && player->member_count <= 512)
        simulation_cross_check(simulation);
    check_expectations(player);
}

static void conclude(struct player *player, const struct player_options *options,
                     struct run_result *result)
{
    const struct simulation *simulation = player->simulation;
    const struct checker *checker = simulation->checker;
    uint64_t changed =
        checker->last_change > checker->peace_since ? checker->last_change : checker->peace_since;
    *result = (struct run_result){
        .seed = options->seed,
        .member_count = player->member_count,
        .virtual_time = simulation->now,
        .counts = simulation->counts,
        .digest = simulation->trace.digest,
        .crash_bound = checker->bounds.crash,
        .settle_bound = checker_settle_bound(checker),
        .violation = checker->violation,
        .agreed = checker->agrees && checker->peace,
        .all_checked = checker_is_settled(checker),
        .agreed_after = checker->agrees_since > changed ? checker->agrees_since - changed : 0,
        .joins = checker->joins,
        .failures = checker->failures,
        .leaves = checker->leaves,
        .updates = checker->updates,
        .false_failures = checker->false_failures,
        .crashes = checker->crashes,
        .crashes_known = checker->crashes_known,
        .worst_crash = checker->worst_crash,
        .user_events = checker->user_events_sent,
        .queries = checker->query_count,
        .estimates = player->estimates,
        .samples = player->samples,
    };
    checker_user_event_coverage(checker, &result->user_deliveries,
                                &result->user_deliveries_expected);
    checker_answer_coverage(checker, &result->answers, &result->answers_expected);
}

static bool sets_fit(const struct scenario *scenario, struct player *player, struct buffer *error)
{
    for (uint32_t i = 0; i < scenario->action_count; i++) {
        const struct action *action = &scenario->actions[i];
        bool fit = action->join.kind != JOIN_SEEDS || resolve(player, &action->join.seeds);
        for (uint32_t k = 0; k < action->set_count; k++)
            fit = resolve(player, &action->sets[k]) && fit;
        if (!fit) {
            buffer_printf(error, "%s:%u: it names members that there are not: there are %u",
                          scenario->name, action->line, player->member_count);
            return false;
        }
    }
    return true;
}

static bool configure(const struct scenario *scenario, struct simulation_config *config,
                      uint8_t *profile_of, uint8_t *used, uint8_t *members)
{
    for (uint32_t i = 0; i < PROFILES_MAX; i++)
        choose_profile(&config->profiles[i], (enum profile)i, config->member_count);
    for (uint32_t i = 0; i < scenario->profile_count; i++) {
        const struct profile_rule *rule = &scenario->profiles[i];
        if (!resolve_for_config(&rule->set, config->member_count, members))
            return false;
        for (uint32_t k = 0; k < config->member_count; k++)
            if (members[k])
                profile_of[k] = (uint8_t)rule->profile;
    }
    for (uint32_t k = 0; k < config->member_count; k++)
        used[profile_of[k]] = 1;
    return true;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

bool play(const struct scenario *scenario, const struct player_options *options,
          struct run_result *result, struct buffer *error)
{
    double cpu_before = cpu_seconds();
    struct simulation_config config = {
        .member_count = options->member_count ? options->member_count : scenario->member_count,
        .seed = options->seed,
        .link = scenario->link,
        .plane = scenario->plane,
        .names_lag = scenario->names_lag,
    };
    struct player player = {.scenario = scenario, .member_count = config.member_count};
    uint8_t used[PROFILES_MAX] = {0};
    uint8_t *profile_of = sim_allocate(config.member_count, 1);
    player.members = sim_allocate(config.member_count, 1);
    player.restart_as = sim_allocate(config.member_count, sizeof *player.restart_as);
    bool good = configure(scenario, &config, profile_of, used, player.members);
    if (!good)
        buffer_printf(error, "%s: a profile names members that there are not: there are %u",
                      scenario->name, config.member_count);
    config.profile_of = profile_of;
    config.bounds = widest_bounds(&config, used, longest_delay(scenario));
    player.simulation = simulation_new(&config);
    player.simulation->trace.file = options->trace;
    player.simulation->happens = on_happens;
    player.simulation->left = on_left;
    player.simulation->context = &player;
    choose_bounds(scenario, player.simulation->checker);
    good = good && sets_fit(scenario, &player, error);
    if (good) {
        samples_init(&player.samples);
        for (uint32_t i = 0; i < scenario->action_count; i++)
            schedule(&player, scenario->actions[i].at, STEP_ACTION, i, 0);
        run(&player, options);
        conclude(&player, options, result);
        result->cpu_seconds = cpu_seconds() - cpu_before;
        result->peak_bytes = peak_bytes();
    }
    simulation_free(player.simulation);
    free(profile_of);
    free(player.members);
    free(player.restart_as);
    return good;
}

void run_result_fini(struct run_result *result)
{
    samples_fini(&result->samples);
}

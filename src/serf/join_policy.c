#include "serf_internal.h"

#include "duration.h"

#include <stdlib.h>

static const uint64_t first_wait = 400 * NANOSECONDS_PER_MS;
static const uint64_t first_dial_timeout = 1 * NANOSECONDS_PER_S;
/* While it is young a member that is alone looks often: a name service may have remembered that
 * there was nobody yet. */
static const uint64_t young_time = 120 * NANOSECONDS_PER_S;
static const uint64_t young_wait_max = 5 * NANOSECONDS_PER_S;
/* CHECKS_MIN checks, at most this far apart, fit into five seconds. */
static const uint64_t check_wait = 1200 * NANOSECONDS_PER_MS;
/* All members together look about once in look_interval, and none more often than look_wait_min. */
static const uint64_t look_interval = 10 * NANOSECONDS_PER_S;
static const uint64_t look_wait_min = 60 * NANOSECONDS_PER_S;

void policy_fini(struct serf *serf)
{
    struct join_policy *policy = &serf->policy;
    timer_cancel(&serf->swim.timers, &policy->timer);
    for (uint32_t i = 0; i < policy->address_count; i++)
        free(policy->addresses[i]);
    free(policy->addresses);
    policy->addresses = NULL;
    policy->address_count = 0;
    policy->phase = POLICY_OFF;
}

/* Between half of `wait` and all of it. */
static uint64_t half_jittered(struct serf *serf, uint64_t wait)
{
    return wait / 2 + random_below(&serf->swim.random, wait / 2 + 1);
}

static bool is_alone(const struct serf *serf)
{
    return swim_other_live_count(&serf->swim) == 0;
}

/* The wait before the next try: half as long again as the last, up to the interval. */
static uint64_t try_wait(struct serf *serf)
{
    struct join_policy *policy = &serf->policy;
    uint64_t limit = policy->interval;
    if (serf->swim.now < policy->young_until && limit > young_wait_max)
        limit = young_wait_max;
    uint64_t wait = first_wait;
    for (uint32_t i = 0; i < policy->waits && wait < limit; i++)
        wait += wait / 2;
    policy->waits++;
    return half_jittered(serf, wait < limit ? wait : limit);
}

static void log_addresses(struct serf *serf)
{
    const struct join_policy *policy = &serf->policy;
    struct buffer list;
    buffer_init(&list, 4096);
    for (uint32_t i = 0; i < policy->address_count; i++)
        buffer_printf(&list, "%s%s", i ? " " : "", policy->addresses[i]);
    serf_log(serf, LOG_LEVEL_INFO, "agent: joining: [%s] replay: %s", buffer_text(&list),
             policy->replay ? "true" : "false");
    buffer_fini(&list);
}

static void start_try(struct serf *serf, enum join_purpose purpose)
{
    struct join_policy *policy = &serf->policy;
    struct span *addresses = malloc(policy->address_count * sizeof *addresses);
    if (!addresses)
        return;
    for (uint32_t i = 0; i < policy->address_count; i++)
        addresses[i] = span_text(policy->addresses[i]);
    /* A service address that does not lead back to its own caller lets such a try hang: early
     * ones get little time. */
    bool patient = serf->swim.now >= policy->young_until;
    uint64_t dial_timeout = serf->config.swim.tcp_timeout;
    if (!patient && dial_timeout > first_dial_timeout)
        dial_timeout = first_dial_timeout;
    /* A member that resumes its life has missed something; what it has seen it knows. */
    bool replay = policy->replay || serf->recording.resumed;
    struct join *join =
        join_start(serf, purpose, addresses, policy->address_count, replay, dial_timeout);
    free(addresses);
    if (!join)
        return;
    policy->in_flight++;
    join_end_if_done(serf, join); /* every address may have been refused at once */
}

static void wait_for(struct serf *serf, uint64_t wait)
{
    timer_set(&serf->swim.timers, &serf->policy.timer, serf->swim.now + wait);
}

static void begin_trying(struct serf *serf)
{
    serf->policy.phase = POLICY_TRYING;
    serf->policy.waits = 0;
    serf->policy.young_until = serf->swim.now + young_time;
    wait_for(serf, 0);
}

static void begin_checking(struct serf *serf)
{
    struct join_policy *policy = &serf->policy;
    policy->phase = POLICY_CHECKING;
    policy->checks = policy->quiet_checks = policy->waits = 0;
    wait_for(serf, half_jittered(serf, check_wait));
}

/* How long a member that is content waits before it looks at the addresses again. */
static uint64_t look_wait(struct serf *serf)
{
    uint64_t wait = look_interval * (swim_other_live_count(&serf->swim) + 1);
    if (wait < look_wait_min)
        wait = look_wait_min;
    return wait / 2 + random_below(&serf->swim.random, wait + 1);
}

static void begin_watching(struct serf *serf)
{
    struct join_policy *policy = &serf->policy;
    policy->phase = POLICY_WATCHING;
    policy->next_look = serf->swim.now + look_wait(serf);
    wait_for(serf, half_jittered(serf, policy->interval));
}

/* Another cluster may be behind the addresses: members that started while the network was broken
 * found only those on their side, and were content. */
static void watch(struct serf *serf)
{
    struct join_policy *policy = &serf->policy;
    if (is_alone(serf)) {
        serf_log(serf, LOG_LEVEL_INFO,
                 "agent: alone in the cluster: asking the join addresses again");
        begin_trying(serf);
        return;
    }
    if (policy->watch && serf->swim.now >= policy->next_look &&
        policy->in_flight < TRIES_AT_ONCE_MAX) {
        policy->next_look = serf->swim.now + look_wait(serf);
        start_try(serf, JOIN_CHECK);
    }
    wait_for(serf, half_jittered(serf, policy->interval));
}

void policy_timer(struct serf *serf)
{
    struct join_policy *policy = &serf->policy;
    switch (policy->phase) {
    case POLICY_OFF:
        break;
    case POLICY_TRYING:
        /* The next try does not wait for this one. */
        wait_for(serf, try_wait(serf));
        if (policy->in_flight < TRIES_AT_ONCE_MAX) {
            serf_log(serf, LOG_LEVEL_INFO, "agent: Joining cluster...(replay: %s)",
                     policy->replay ? "true" : "false");
            log_addresses(serf);
            start_try(serf, JOIN_TRY);
        }
        break;
    case POLICY_CHECKING:
        if (policy->waits >= CHECKS_MIN) {
            wait_for(serf, try_wait(serf));
        } else {
            policy->waits++;
            wait_for(serf, half_jittered(serf, check_wait));
        }
        if (policy->in_flight < TRIES_AT_ONCE_MAX)
            start_try(serf, JOIN_CHECK);
        break;
    case POLICY_WATCHING:
        watch(serf);
        break;
    }
}

/* "1.25s": the time until the next try. */
static const char *wait_text(const struct serf *serf, char *text)
{
    uint64_t wait =
        timer_armed(&serf->policy.timer) ? serf->policy.timer.deadline - serf->swim.now : 0;
    return duration_text((int64_t)(wait - wait % NANOSECONDS_PER_MS), text);
}

/* As many attempts as max_attempts have failed, and the time that they take at the retry interval
 * has passed: tries are closer together than that while the member is young, which must not shorten
 * the patience that was asked for. */
static bool attempts_exhausted(const struct serf *serf)
{
    const struct join_policy *policy = &serf->policy;
    uint64_t passed = serf->swim.now - policy->started;
    return policy->max_attempts > 0 && !policy->satisfied && is_alone(serf) &&
           policy->failures > policy->max_attempts &&
           passed / policy->interval >= policy->max_attempts;
}

static void log_failure(struct serf *serf, const struct join *join)
{
    struct buffer text;
    char wait[DURATION_TEXT_SIZE];
    buffer_init(&text, 65536);
    join_error_text(join, true, &text);
    serf_log(serf, LOG_LEVEL_WARN, "agent: error joining: %s", buffer_text(&text));
    serf_log(serf, LOG_LEVEL_WARN, "agent: Join failed: %s, retrying in %s", buffer_text(&text),
             wait_text(serf, wait));
    buffer_fini(&text);
}

static void try_ended(struct serf *serf, const struct join *join)
{
    char wait[DURATION_TEXT_SIZE];
    struct join_policy *policy = &serf->policy;
    bool only_self = join->peers == 0 && join->reached > 0 &&
                     join->reached == join->contact_count && !join_has_unresolved(join);
    policy->lonely = only_self ? policy->lonely + 1 : 0;
    if (join->reached > 0) {
        policy->satisfied = true;
        serf_log(serf, LOG_LEVEL_INFO, "agent: joined: %u nodes", join->reached);
    }
    if (join->peers > 0) {
        serf_log(serf, LOG_LEVEL_INFO, "agent: Join completed. Synced with %u initial agents",
                 join->peers);
        begin_checking(serf);
    } else if (join->reached > 0) {
        serf_log(serf, LOG_LEVEL_INFO,
                 "agent: the join addresses led back to this very node, which is no peer: "
                 "asking again in %s",
                 wait_text(serf, wait));
    } else {
        policy->failures++;
        if (attempts_exhausted(serf)) {
            serf_log(serf, LOG_LEVEL_ERR, "agent: maximum retry join attempts made, exiting");
            policy_fini(serf);
            struct effect *effect = outbox_add(&serf->swim.outbox, EFFECT_STOP);
            if (effect)
                effect->stop.reason = STOP_RETRY_JOIN_EXHAUSTED;
            return;
        }
        log_failure(serf, join);
    }
}

static void check_ended(struct serf *serf, const struct join *join)
{
    struct join_policy *policy = &serf->policy;
    if (join->reached == 0 && join->known == 0)
        return; /* it looked at nothing: the addresses are asked on, ever less often */
    policy->waits = 0;
    policy->checks++;
    if (join->peers > 0 || join->known > 0)
        policy->quiet_checks = join->new_members == 0 ? policy->quiet_checks + 1 : 0;
    if (join->new_members > 0)
        serf_log(serf, LOG_LEVEL_INFO,
                 "agent: asked the join addresses again and found %u more members",
                 join->new_members);
    bool content = policy->checks >= CHECKS_MIN && policy->quiet_checks >= QUIET_CHECKS;
    if (content || policy->checks >= CHECKS_MAX)
        begin_watching(serf);
}

static void look_ended(struct serf *serf, const struct join *join)
{
    if (join->new_members == 0)
        return;
    serf_log(serf, LOG_LEVEL_INFO,
             "agent: looked at the join addresses again and found %u more members",
             join->new_members);
    begin_checking(serf);
}

void policy_try_ended(struct serf *serf, const struct join *join)
{
    struct join_policy *policy = &serf->policy;
    if (policy->in_flight > 0)
        policy->in_flight--;
    /* One that hung may end in a later phase than its own, and has nothing to say to that. */
    if (policy->phase == POLICY_TRYING && join->purpose == JOIN_TRY)
        try_ended(serf, join);
    else if (policy->phase == POLICY_CHECKING && join->purpose == JOIN_CHECK)
        check_ended(serf, join);
    else if (policy->phase == POLICY_WATCHING && join->purpose == JOIN_CHECK)
        look_ended(serf, join);
}

void serf_retry_join(struct serf *serf, uint64_t now, const struct span *addresses, size_t count,
                     const struct retry_join *options)
{
    serf->swim.now = now;
    struct join_policy *policy = &serf->policy;
    if (count > JOIN_ADDRESSES_MAX || serf->state != SERF_ALIVE)
        return;
    /* Tries of an earlier policy that still run end as this one's. */
    policy_fini(serf);
    if (count == 0)
        return;
    policy->failures = 0;
    policy->satisfied = false;
    policy->lonely = 0;
    policy->addresses = calloc(count, sizeof *policy->addresses);
    for (size_t i = 0; policy->addresses && i < count; i++) {
        char *copy = malloc(addresses[i].size + 1);
        if (!copy)
            break;
        memcpy(copy, addresses[i].data, addresses[i].size);
        copy[addresses[i].size] = '\0';
        policy->addresses[policy->address_count++] = copy;
    }
    if (policy->address_count < count)
        serf_log(serf, LOG_LEVEL_ERR,
                 "agent: out of memory: only %u of %zu join addresses are asked",
                 policy->address_count, count);
    policy->started = now;
    policy->interval =
        options->interval > NANOSECONDS_PER_S ? options->interval : NANOSECONDS_PER_S;
    policy->max_attempts = options->max_attempts;
    policy->replay = options->replay;
    policy->watch = options->watch || serf->config.swim.label.size > 0 ||
                    keyring_count(serf->config.swim.keyring) > 0;
    if (policy->address_count > 0)
        begin_trying(serf);
    serf_pump(serf);
}

bool serf_found_nobody_else(const struct serf *serf)
{
    return serf->policy.lonely >= LONELY_TRIES;
}

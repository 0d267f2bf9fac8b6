/* How members find their cluster behind a service address that picks one of them at random,
 * oneself included. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "join_policy.h"
#include "keyring.h"
#include "virtual_network.h"

#include <stdio.h>

static const char calls[] = "Initiating push/pull sync with:  "; /* whom, it does not know */

static struct network *start_at_once(uint32_t size, uint64_t seed, const char *address)
{
    struct network *network = network_new(seed);
    for (uint32_t i = 0; i < size; i++) {
        char name[16];
        snprintf(name, sizeof name, "serf-%u", i);
        network_start(network, i, name, NULL);
        host_retry_join(network, &network->hosts[i], address, 0);
        network_run(network, random_below(&network->random, 20 * NANOSECONDS_PER_MS));
    }
    return network;
}

static void members_started_at_once_end_in_one_cluster(uint32_t size, uint64_t first_seed,
                                                       uint64_t starts, const char *address)
{
    for (uint64_t seed = first_seed; seed < first_seed + starts; seed++) {
        struct network *network = start_at_once(size, seed, address);
        bool one = network_run_until(network, SECONDS(8), network_agrees);
        if (!one) {
            network_run(network, SECONDS(120));
            fail_msg("%u members, seed %llu: split%s", size, (unsigned long long)seed,
                     network_agrees(network) ? ", healed later" : " for good");
        }
        network_free(network);
    }
}

static void five_started_at_once_end_in_one_cluster(void **state)
{
    (void)state;
    members_started_at_once_end_in_one_cluster(5, 1, 1000, "10.3.0.48");
}

static void five_started_at_once_find_each_other_by_name(void **state)
{
    (void)state;
    members_started_at_once_end_in_one_cluster(5, 1, 1000, "headless");
}

static void twenty_started_at_once_end_in_one_cluster(void **state)
{
    (void)state;
    members_started_at_once_end_in_one_cluster(20, 1000, 30, "10.3.0.48");
}

static void hundred_started_at_once_end_in_one_cluster(void **state)
{
    (void)state;
    members_started_at_once_end_in_one_cluster(100, 5000, 2, "10.3.0.48");
}

static void the_first_member_keeps_looking_although_it_reaches_itself(void **state)
{
    (void)state;
    struct network *network = network_new(5);
    struct host *first = network_start(network, 0, "first", NULL);
    host_retry_join(network, first, "10.3.0.48", 0);
    network_run(network, SECONDS(60));
    assert_true(host_logged(first, "led back to this very node, which is no peer"));
    assert_false(host_logged(first, "Join completed"));
    assert_true(host_logged_times(first, "agent: Joining cluster...(replay: false)") > 10);
    /* not a flood either: at most five seconds apart, half jittered */
    assert_true(host_logged_times(first, "agent: Joining cluster...(replay: false)") < 40);
    network_free(network);
}

static void who_is_led_to_itself_several_times_has_found_nobody_else(void **state)
{
    (void)state;
    struct network *network = network_new(5);
    struct host *first = network_start(network, 0, "first", NULL);
    struct host *refused = network_start(network, 1, "refused", NULL);
    assert_false(serf_found_nobody_else(first->serf));
    host_retry_join(network, first, "10.0.0.1", 0);
    host_retry_join(network, refused, "10.0.0.200", 0);
    network_run(network, SECONDS(60));
    assert_true(serf_found_nobody_else(first->serf));
    /* An address that does not answer has not said that nobody is there. */
    assert_false(serf_found_nobody_else(refused->serf));
    network_free(network);
}

static void the_first_retry_comes_in_under_a_second(void **state)
{
    (void)state;
    struct network *network = network_new(6);
    struct host *host = network_start(network, 0, "a", NULL);
    host_retry_join(network, host, "10.0.0.200", 0);
    network_run(network, SECONDS(1));
    assert_true(host_logged_times(host, "agent: joining: [10.0.0.200] replay: false") >= 2);
    assert_true(host_logged(host, "agent: Join failed: failed to join 10.0.0.200:7946: dial tcp "
                                  "10.0.0.200:7946: connect: connection refused, retrying in "));
    network_free(network);
}

static void a_try_that_hangs_holds_nobody_up(void **state)
{
    (void)state;
    struct network *network = network_new(7);
    struct host *a = network_start(network, 0, "a", NULL);
    struct host *b = network_start(network, 1, "b", NULL);
    network_cut(network, a, b, true, true);
    struct span addresses[] = {span_text("10.0.0.2")};
    serf_retry_join(a->serf, network->now, addresses, 1,
                    &(struct retry_join){.interval = SECONDS(30)});
    host_drain(network, a);
    network_run(network, SECONDS(2));
    assert_true(host_logged_times(a, "agent: joining:") >= 3);
    network_heal(network);
    assert_true(network_run_until(network, SECONDS(6), network_agrees));
    network_free(network);
}

static void names_are_resolved_again_at_every_try(void **state)
{
    (void)state;
    struct network *network = network_new(8);
    struct host *a = network_start(network, 0, "a", NULL);
    host_retry_join(network, a, "headless:7946", 0);
    network_run(network, SECONDS(3));
    network_start(network, 1, "b", NULL);
    assert_true(network_run_until(network, SECONDS(12), network_agrees));
    network_free(network);
}

static void a_new_policy_asks_its_own_addresses_and_no_other(void **state)
{
    (void)state;
    struct network *network = network_new(23);
    struct host *a = network_start(network, 0, "a", NULL);
    host_retry_join(network, a, "10.0.0.200", 0);
    network_run(network, SECONDS(5));
    unsigned before = host_logged_times(a, "agent: joining: [10.0.0.200]");
    assert_true(before > 0);
    host_retry_join(network, a, "10.0.0.2", 0);
    network_start(network, 1, "b", NULL);
    assert_true(network_run_until(network, SECONDS(12), network_agrees));
    assert_int_equal(host_logged_times(a, "agent: joining: [10.0.0.200]"), before);
    serf_retry_join(a->serf, network->now, NULL, 0, &(struct retry_join){.interval = SECONDS(30)});
    host_drain(network, a);
    unsigned last = host_logged_times(a, "agent: joining: [10.0.0.2]");
    network_cut(network, a, &network->hosts[1], true, true);
    network_run(network, SECONDS(300)); /* alone now, which a policy would not bear */
    assert_int_equal(host_logged_times(a, "agent: joining: [10.0.0.2]"), last);
    network_free(network);
}

static void an_unresolvable_name_is_named_once(void **state)
{
    (void)state;
    struct network *network = network_new(18);
    struct host *a = network_start(network, 0, "a", NULL);
    host_join(network, a, "nohost:99");
    network_run(network, SECONDS(1));
    assert_string_equal(buffer_text(&a->done_error),
                        "1 error occurred:\n\t* failed to resolve nohost:99: lookup nohost: no "
                        "such host\n\n");
    assert_true(host_logged(a, "memberlist: failed to resolve nohost:99: lookup nohost: no such "
                               "host\n"));
    network_free(network);
}

static void identical_seed_lists_that_name_oneself_find_the_peers(void **state)
{
    (void)state;
    struct network *network = network_new(19);
    struct span seeds[] = {span_text("10.0.0.1"), span_text("10.0.0.2"), span_text("10.0.0.3")};
    for (uint32_t i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        struct host *host = network_start(network, i, name, NULL);
        serf_retry_join(host->serf, network->now, seeds, 3,
                        &(struct retry_join){.interval = SECONDS(30)});
        host_drain(network, host);
    }
    network_run(network, SECONDS(300));
    assert_true(network_agrees(network));
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(host_logged_times(&network->hosts[i], "led back to this very node") <= 2);
        assert_int_equal(host_logged_times(&network->hosts[i], "agent: Join completed"), 1);
    }
    network_free(network);
}

static void a_lone_member_behind_a_service_address_fills_no_queue(void **state)
{
    (void)state;
    struct network *network = network_new(20);
    struct host *host = network_start(network, 0, "a", NULL);
    host_retry_join(network, host, "10.3.0.48", 0);
    network_run(network, SECONDS(3600));
    struct serf_stats stats;
    serf_stats(host->serf, &stats);
    assert_true(stats.intent_queue == 0 && stats.member_time < 5);
    network_free(network);
}

static void checks_send_no_join_intent(void **state)
{
    (void)state;
    struct network *network = network_new(9);
    network_start(network, 0, "a", NULL);
    struct host *b = network_start(network, 1, "b", NULL);
    host_retry_join(network, b, "10.3.0.48", 0);
    network_run(network, SECONDS(30));
    assert_true(host_logged_times(b, calls) >= 1 + CHECKS_MIN);
    assert_int_equal(host_logged_times(b, "agent: Join completed. Synced with 1 initial agents"),
                     1);
    struct serf_stats stats;
    serf_stats(b->serf, &stats);
    assert_int_equal(stats.member_time, 2); /* one join intent, ever */
    network_free(network);
}

static void a_member_that_lost_everybody_asks_its_join_addresses_again(void **state)
{
    (void)state;
    struct network *network = network_new(10);
    struct host *a = network_start(network, 0, "a", NULL);
    struct host *b = network_start(network, 1, "b", NULL);
    host_retry_join(network, b, "10.3.0.48", 0);
    assert_true(network_run_until(network, SECONDS(10), network_agrees));
    network_run(network, SECONDS(10));
    network_kill(network, a);
    network_run(network, SECONDS(60));
    network_move(network, a, "10.0.0.77"); /* everybody else is new, at new addresses */
    network_start(network, 0, "c", NULL);
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    network_free(network);
}

static void an_outage_right_after_the_first_success_leaves_no_split(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct network *network = network_new(700 + seed);
        struct host *hosts[4];
        for (uint32_t i = 0; i < 4; i++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", i);
            hosts[i] = network_start(network, i, name, NULL);
        }
        for (uint32_t i = 0; i < 4; i++)
            network_cut(network, hosts[i & 1], hosts[2 + (i >> 1)], true, true);
        for (uint32_t i = 0; i < 4; i++)
            host_retry_join(network, hosts[i], "10.3.0.48", 0);
        while (host_count(hosts[0], STATUS_ALIVE) < 2 || host_count(hosts[2], STATUS_ALIVE) < 2)
            network_run(network, SECONDS(1) / 10);
        network->service_down = true;
        network_heal(network);
        network_run(network, SECONDS(20 + seed * 3));
        assert_false(network_agrees(network));
        network->service_down = false;
        if (!network_run_until(network, SECONDS(31), network_agrees))
            fail_msg("seed %llu: split", (unsigned long long)seed);
        network_free(network);
    }
}

static void clusters_that_began_apart_find_each_other(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct network *network = network_new(900 + seed);
        network->watch = true;
        for (uint32_t i = 0; i < 8; i++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", i);
            network_start(network, i, name, NULL);
        }
        for (uint32_t a = 0; a < 4; a++)
            for (uint32_t b = 4; b < 8; b++)
                network_cut(network, &network->hosts[a], &network->hosts[b], true, true);
        for (uint32_t i = 0; i < 8; i++)
            host_retry_join(network, &network->hosts[i], "10.3.0.48", 0);
        network_run(network, SECONDS(120));
        assert_int_equal(host_count(&network->hosts[0], STATUS_ALIVE), 4);
        assert_int_equal(host_count(&network->hosts[7], STATUS_ALIVE), 4);
        network_heal(network);
        if (!network_run_until(network, SECONDS(600), network_agrees))
            fail_msg("seed %llu: split", (unsigned long long)seed);
        network_free(network);
    }
}

/* Starts `count` members that know each other, and then have them look behind the address. */
static struct network *content_cluster(uint64_t seed, uint32_t count, const char *address,
                                       bool watch)
{
    struct network *network = network_new(seed);
    network->watch = watch;
    for (uint32_t i = 0; i < count; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        network_start(network, i, name, NULL);
        host_retry_join(network, &network->hosts[i], address, 0);
    }
    network_run(network, SECONDS(120));
    assert_true(network_agrees(network));
    for (uint32_t i = 0; i < count; i++)
        buffer_reset(&network->hosts[i].log);
    return network;
}

static uint32_t calls_of_all(struct network *network)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < network->host_count; i++)
        count += host_logged_times(&network->hosts[i], calls);
    return count;
}

static void a_cluster_that_watches_looks_about_every_ten_seconds(void **state)
{
    (void)state;
    struct network *network = content_cluster(22, 20, "10.3.0.48", true);
    network_run(network, SECONDS(3000));
    assert_in_range(calls_of_all(network), 200, 400);
    network_free(network);
    network = content_cluster(22, 2, "10.3.0.48", true); /* each not more than once a minute */
    network_run(network, SECONDS(3000));
    assert_in_range(calls_of_all(network), 60, 140);
    network_free(network);
}

static void a_content_member_without_label_or_key_asks_no_address_again(void **state)
{
    (void)state;
    struct network *network = content_cluster(24, 5, "10.3.0.48", false);
    struct host *stranger = network_start(network, 5, "stranger", NULL);
    network->service = stranger->endpoint; /* somebody else has the old address now */
    network_run(network, SECONDS(7200));
    assert_int_equal(calls_of_all(network), 0);
    assert_int_equal(host_count(stranger, STATUS_ALIVE), 1);
    network_free(network);
}

static void a_label_or_a_key_lets_a_member_look_for_life(void **state)
{
    (void)state;
    for (int keyed = 0; keyed < 2; keyed++) {
        struct network *network = network_new(25);
        struct keyring *keyring = keyring_new();
        struct serf_config config = network_config();
        assert_int_equal(keyring_add(keyring, span_text("0123456789abcdef")), KEYRING_OK);
        if (keyed)
            config.swim.keyring = keyring;
        else
            config.swim.label = span_text("a");
        network_start(network, 0, "a", &config);
        network_start(network, 1, "b", &config);
        host_retry_join(network, &network->hosts[0], "10.3.0.48", 0);
        network_run(network, SECONDS(120));
        assert_true(network_agrees(network));
        buffer_reset(&network->hosts[0].log);
        network_run(network, SECONDS(600));
        assert_true(host_logged_times(&network->hosts[0], calls) > 4);
        network_free(network);
        keyring_free(keyring);
    }
}

static void a_split_of_two_and_three_behind_one_address_heals(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct network *network = network_new(400 + seed);
        network->watch = true;
        for (uint32_t i = 0; i < 5; i++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", i);
            network_start(network, i, name, NULL);
        }
        for (uint32_t a = 0; a < 2; a++)
            for (uint32_t b = 2; b < 5; b++)
                network_cut(network, &network->hosts[a], &network->hosts[b], true, true);
        for (uint32_t i = 0; i < 5; i++)
            host_retry_join(network, &network->hosts[i], "10.3.0.48", 0);
        network_run(network, SECONDS(100)); /* both are content: they watch */
        assert_int_equal(host_count(&network->hosts[0], STATUS_ALIVE), 2);
        assert_int_equal(host_count(&network->hosts[4], STATUS_ALIVE), 3);
        network_heal(network);
        if (!network_run_until(network, SECONDS(180), network_agrees))
            fail_msg("seed %llu: still split", (unsigned long long)seed);
        network_free(network);
    }
}

static void who_replaces_all_members_at_once_forms_one_cluster(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct network *network = content_cluster(500 + seed, 5, "headless", true);
        struct endpoint old[5];
        for (uint32_t i = 0; i < 5; i++) {
            old[i] = network->hosts[i].endpoint;
            network_kill(network, &network->hosts[i]);
        }
        network->stale_names = old; /* nobody answers there any more */
        network->stale_name_count = 5;
        for (uint32_t i = 5; i < 10; i++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", i);
            network_start(network, i, name, NULL);
            host_retry_join(network, &network->hosts[i], "headless", 0);
        }
        network_run(network, SECONDS(30));
        assert_int_equal(host_count(&network->hosts[5], STATUS_ALIVE), 1);
        network->stale_names = NULL;
        if (!network_run_until(network, SECONDS(20), network_agrees))
            fail_msg("seed %llu: not one cluster", (unsigned long long)seed);
        network_free(network);
    }
}

static void stale_answers_that_name_a_foreign_cluster_bring_nobody_in(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct network *network = network_new(600 + seed);
        struct serf_config config = network_config();
        struct endpoint foreign[4];
        network->stale_names = foreign;
        for (uint32_t i = 0; i < 7; i++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", i);
            config.swim.label = i < 3 ? span_text("default/other") : span_text("default/serf");
            struct host *host = network_start(network, i, name, &config);
            if (i < 3)
                foreign[network->stale_name_count++] = host->endpoint;
            if (i == 1 || i == 2)
                host_join(network, host, "10.0.0.1");
            if (i >= 3)
                host_retry_join(network, host, "headless", 0);
        }
        network_run(network, SECONDS(300));
        for (uint32_t i = 0; i < 7; i++)
            assert_int_equal(host_count(&network->hosts[i], STATUS_ALIVE), i < 3 ? 3 : 1);
        assert_false(serf_found_nobody_else(network->hosts[3].serf));
        foreign[3] = network->hosts[5].endpoint; /* one right address among wrong ones */
        network->stale_name_count = 4;
        network_run(network, SECONDS(120));
        for (uint32_t i = 0; i < 7; i++)
            assert_int_equal(host_count(&network->hosts[i], STATUS_ALIVE), i < 3 ? 3 : 4);
        network_free(network);
    }
}

static void a_try_is_content_with_a_few_and_checks_leave_out_who_is_known(void **state)
{
    (void)state;
    struct network *network = network_new(21);
    for (uint32_t i = 0; i < 40; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        network_start(network, i, name, NULL);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    assert_true(network_run_until(network, SECONDS(30), network_agrees));
    struct host *host = network_start(network, 40, "last", NULL);
    host_retry_join(network, host, "headless", 0);
    network_run(network, SECONDS(20));
    uint32_t self = host_logged(host, "Initiating push/pull sync with:  10.0.0.41");
    assert_int_equal(host_logged_times(host, calls), TRY_PEERS + self);
    network_start(network, 41, "unheard of", NULL);
    network->watch = true;
    host_retry_join(network, host, "headless", 0);
    network_run(network, SECONDS(20));
    assert_true(network_agrees(network));
    network_free(network);
}

static void addresses_are_asked_one_at_a_time_in_random_order(void **state)
{
    (void)state;
    uint32_t first[4] = {0};
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct network *network = network_new(800 + seed);
        struct host *a = network_start(network, 0, "a", NULL);
        struct span addresses[4];
        char texts[4][16];
        for (uint32_t i = 0; i < 4; i++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", i);
            struct host *silent = network_start(network, i + 1, name, NULL);
            network_cut(network, a, silent, true, true);
            snprintf(texts[i], sizeof texts[i], "10.0.0.%u", i + 2);
            addresses[i] = span_text(texts[i]);
        }
        serf_retry_join(a->serf, network->now, addresses, 4,
                        &(struct retry_join){.interval = SECONDS(30)});
        host_drain(network, a);
        /* The first try has given its first address up, the second one has not yet. */
        network_run(network, 1050 * NANOSECONDS_PER_MS);
        assert_int_equal(host_logged_times(a, "memberlist: failed to join "), 1);
        for (uint32_t i = 0; i < 4; i++) {
            char line[80];
            snprintf(line, sizeof line, "memberlist: failed to join %s:", texts[i]);
            first[i] += host_logged(a, line);
        }
        network_free(network);
    }
    for (uint32_t i = 0; i < 4; i++)
        assert_in_range(first[i], 2, 25);
}

static void exhausted_attempts_stop_the_member(void **state)
{
    (void)state;
    struct network *network = network_new(11);
    struct host *a = network_start(network, 0, "a", NULL);
    host_retry_join(network, a, "10.0.0.200", 2);
    network_run(network, SECONDS(59)); /* the time that two attempts take at the interval */
    assert_false(a->stopped);
    network_run(network, SECONDS(40));
    assert_true(a->stopped);
    assert_true(host_logged(a, "agent: maximum retry join attempts made, exiting"));
    network_free(network);
}

static void reaching_oneself_satisfies_the_limit_of_attempts(void **state)
{
    (void)state;
    struct network *network = network_new(12);
    struct host *a = network_start(network, 0, "a", NULL);
    host_retry_join(network, a, "10.3.0.48", 1);
    network_run(network, SECONDS(120));
    assert_false(a->stopped);
    network_free(network);
}

static void reaching_oneself_counts_for_a_join_that_was_asked_for(void **state)
{
    (void)state;
    struct network *network = network_new(13);
    struct host *a = network_start(network, 0, "a", NULL);
    host_join(network, a, "10.3.0.48");
    network_run(network, SECONDS(1));
    assert_true(a->done_ok);
    assert_int_equal(a->done_count, 1);
    network_free(network);
}

static void a_leave_ends_the_policy(void **state)
{
    (void)state;
    struct network *network = network_new(14);
    struct host *a = network_start(network, 0, "a", NULL);
    host_retry_join(network, a, "10.0.0.200", 0);
    network_run(network, SECONDS(2));
    host_leave(network, a);
    network_run(network, SECONDS(2));
    uint32_t tries = host_logged_times(a, "agent: Joining cluster");
    network_run(network, SECONDS(60));
    assert_int_equal(host_logged_times(a, "agent: Joining cluster"), tries);
    network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_started_at_once_end_in_one_cluster),
        cmocka_unit_test(five_started_at_once_find_each_other_by_name),
        cmocka_unit_test(twenty_started_at_once_end_in_one_cluster),
        cmocka_unit_test(hundred_started_at_once_end_in_one_cluster),
        cmocka_unit_test(the_first_member_keeps_looking_although_it_reaches_itself),
        cmocka_unit_test(who_is_led_to_itself_several_times_has_found_nobody_else),
        cmocka_unit_test(the_first_retry_comes_in_under_a_second),
        cmocka_unit_test(a_try_that_hangs_holds_nobody_up),
        cmocka_unit_test(names_are_resolved_again_at_every_try),
        cmocka_unit_test(a_new_policy_asks_its_own_addresses_and_no_other),
        cmocka_unit_test(an_unresolvable_name_is_named_once),
        cmocka_unit_test(identical_seed_lists_that_name_oneself_find_the_peers),
        cmocka_unit_test(a_lone_member_behind_a_service_address_fills_no_queue),
        cmocka_unit_test(checks_send_no_join_intent),
        cmocka_unit_test(a_member_that_lost_everybody_asks_its_join_addresses_again),
        cmocka_unit_test(an_outage_right_after_the_first_success_leaves_no_split),
        cmocka_unit_test(clusters_that_began_apart_find_each_other),
        cmocka_unit_test(a_cluster_that_watches_looks_about_every_ten_seconds),
        cmocka_unit_test(a_content_member_without_label_or_key_asks_no_address_again),
        cmocka_unit_test(a_label_or_a_key_lets_a_member_look_for_life),
        cmocka_unit_test(a_split_of_two_and_three_behind_one_address_heals),
        cmocka_unit_test(who_replaces_all_members_at_once_forms_one_cluster),
        cmocka_unit_test(stale_answers_that_name_a_foreign_cluster_bring_nobody_in),
        cmocka_unit_test(a_try_is_content_with_a_few_and_checks_leave_out_who_is_known),
        cmocka_unit_test(addresses_are_asked_one_at_a_time_in_random_order),
        cmocka_unit_test(exhausted_attempts_stop_the_member),
        cmocka_unit_test(reaching_oneself_satisfies_the_limit_of_attempts),
        cmocka_unit_test(reaching_oneself_counts_for_a_join_that_was_asked_for),
        cmocka_unit_test(a_leave_ends_the_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

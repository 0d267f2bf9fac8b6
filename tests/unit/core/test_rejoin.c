/* Members that look for those whom they remember: after a restart, and after a failure. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serf_message.h"
#include "snapshot.h"
#include "virtual_network.h"

#include <stdio.h>

static struct serf_config recording(void)
{
    struct serf_config config = network_config();
    config.record = true;
    return config;
}

static struct host *start(struct network *network, uint32_t number)
{
    char name[16];
    struct serf_config config = recording();
    snprintf(name, sizeof name, "n%u", number + 1);
    buffer_reset(&network->hosts[number].log);
    return network_start(network, number, name, &config);
}

static struct network *cluster(uint32_t size)
{
    struct network *network = network_new(71 + size);
    for (uint32_t i = 0; i < size; i++) {
        start(network, i);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    assert_true(network_run_until(network, SECONDS(30), network_agrees));
    network_run(network, SECONDS(1));
    return network;
}

static void cut_all(struct network *network, uint32_t size)
{
    for (uint32_t a = 0; a < size; a++)
        for (uint32_t b = a + 1; b < size; b++)
            network_cut(network, &network->hosts[a], &network->hosts[b], true, true);
}

/* The switch lost its power, everybody saw everybody fail, then all lost theirs. */
static void lose_all(struct network *network, uint32_t size)
{
    cut_all(network, size);
    network_run(network, SECONDS(120));
    for (uint32_t i = 0; i < size; i++) {
        assert_int_equal(host_count(&network->hosts[i], STATUS_FAILED), size - 1);
        network_kill(network, &network->hosts[i]);
    }
}

static void a_cluster_whose_members_saw_each_other_fail_finds_itself_again(void **state)
{
    (void)state;
    struct network *network = cluster(5);
    lose_all(network, 5);
    network_run(network, SECONDS(3600));
    network_heal(network);
    for (uint32_t i = 0; i < 5; i++)
        start(network, i);
    assert_true(network_run_until(network, SECONDS(120), network_agrees));
    network_free(network);
}

static void failed_members_are_remembered_over_several_restarts_and_a_compaction(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    lose_all(network, 3);
    for (int life = 0; life < 3; life++) { /* alone, each time */
        struct host *host = start(network, 0);
        network_run(network, SECONDS(60));
        struct buffer anew;
        buffer_init(&anew, 1 << 20);
        assert_true(serf_write_snapshot(host->serf, &anew));
        buffer_reset(&host->snapshot);
        buffer_append_span(&host->snapshot, buffer_span(&anew));
        buffer_fini(&anew);
        assert_non_null(strstr(buffer_text(&host->snapshot), "# failed: n2 10.0.0.2:7946 "));
        network_kill(network, host);
    }
    network_heal(network);
    for (uint32_t i = 0; i < 3; i++)
        start(network, i);
    assert_true(network_run_until(network, SECONDS(120), network_agrees));
    network_free(network);
}

static void who_is_remembered_is_forgotten_when_reconnect_timeout_has_passed(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    lose_all(network, 3);
    network_heal(network);
    network_run(network, SECONDS(86400 - 3600));
    struct host *host = start(network, 0);
    network_run(network, SECONDS(60));
    assert_true(host_logged(host, "Attempting re-join"));
    network_run(network, SECONDS(3600)); /* it expires while somebody looks */
    buffer_reset(&host->log);
    network_run(network, SECONDS(600));
    assert_false(host_logged(host, "Attempting re-join"));
    assert_non_null(strstr(buffer_text(&host->snapshot), "not-alive: n2\n"));
    host = start(network, 1); /* or before */
    network_run(network, SECONDS(60));
    assert_false(host_logged(host, "Attempting re-join"));
    network_free(network);
}

/* Of those that were alive at the end the time counts from the restart, once. */
static void who_never_comes_back_after_a_restart_expires_too(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    struct host *host = &network->hosts[0];
    for (uint32_t i = 0; i < 3; i++)
        network_kill(network, &network->hosts[i]);
    for (int day = 0; day < 2; day++) {
        start(network, 0);
        network_run(network, SECONDS(60));
        assert_int_equal(host_logged(host, "Attempting re-join"), day == 0);
        network_kill(network, host);
        network_run(network, SECONDS(86400));
    }
    network_free(network);
}

static void two_halves_that_came_back_apart_find_each_other(void **state)
{
    (void)state;
    struct network *network = cluster(4);
    for (uint32_t i = 0; i < 4; i++)
        network_kill(network, &network->hosts[i]);
    for (uint32_t a = 0; a < 2; a++)
        for (uint32_t b = 2; b < 4; b++)
            network_cut(network, &network->hosts[a], &network->hosts[b], true, true);
    for (uint32_t i = 0; i < 4; i++)
        start(network, i);
    network_run(network, SECONDS(300));
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(host_count(&network->hosts[i], STATUS_ALIVE), 2);
    network_heal(network);
    assert_true(network_run_until(network, SECONDS(300), network_agrees));
    network_free(network);
}

static void who_left_meanwhile_is_not_looked_for(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    struct host *host = &network->hosts[0];
    network_kill(network, host);
    host_leave(network, &network->hosts[2]);
    network_run(network, SECONDS(10));
    network_kill(network, &network->hosts[2]);
    start(network, 0);
    network_run(network, SECONDS(600));
    assert_int_equal(host_count(host, STATUS_ALIVE), 2);
    assert_false(host_logged(host, "attempting reconnect"));
    network_free(network);
}

static void who_was_made_to_leave_is_not_looked_for_after_a_restart(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    struct host *host = &network->hosts[0];
    network_kill(network, &network->hosts[2]);
    network_run(network, SECONDS(60));
    host_force_leave(network, &network->hosts[1], "n3", false);
    network_run(network, SECONDS(10));
    for (uint32_t i = 0; i < 2; i++)
        network_kill(network, &network->hosts[i]);
    start(network, 0);
    network_run(network, SECONDS(60));
    assert_true(host_logged(host, "Attempting re-join to previously known node: n2"));
    assert_false(host_logged(host, "Attempting re-join to previously known node: n3"));
    network_free(network);
}

/* --- strangers --- */

static struct host *start_stranger(struct network *network, uint32_t number)
{
    struct serf_config config = network_config();
    return network_start(network, number, "stranger", &config);
}

static void a_rejoin_merges_no_stranger_at_a_remembered_address(void **state)
{
    (void)state;
    struct network *network = cluster(2);
    for (uint32_t i = 0; i < 2; i++)
        network_kill(network, &network->hosts[i]);
    struct host *stranger = start_stranger(network, 0), *host = start(network, 1);
    network_run(network, SECONDS(600));
    assert_true(host_logged(host, "Attempting re-join to previously known node: n1"));
    assert_int_equal(host_sees(stranger, "n2"), STATUS_NONE);
    assert_int_equal(host_sees(host, "stranger"), STATUS_NONE);
    host_join(network, host, "10.0.0.1"); /* a person's join is meant */
    network_run(network, SECONDS(10));
    assert_int_equal(host_sees(stranger, "n2"), STATUS_ALIVE);
    network_free(network);
}

static void a_reconnect_merges_no_stranger_at_a_remembered_address(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    network_kill(network, &network->hosts[0]);
    network_run(network, SECONDS(120)); /* the dead one is no longer gossiped to */
    struct host *stranger = start_stranger(network, 0);
    network_run(network, SECONDS(1200));
    assert_true(host_logged(&network->hosts[1], "attempting reconnect to n1") ||
                host_logged(&network->hosts[2], "attempting reconnect to n1"));
    assert_int_equal(host_count(stranger, STATUS_ALIVE), 1);
    for (uint32_t i = 1; i < 3; i++)
        assert_int_equal(host_sees(&network->hosts[i], "stranger"), STATUS_NONE);
    network_free(network);
}

static void a_failed_member_that_is_there_again_is_reconnected(void **state)
{
    (void)state;
    struct network *network = cluster(3);
    for (uint32_t i = 1; i < 3; i++)
        network_cut(network, &network->hosts[0], &network->hosts[i], true, true);
    network_run(network, SECONDS(300));
    assert_int_equal(host_sees(&network->hosts[1], "n1"), STATUS_FAILED);
    network_heal(network);
    assert_true(network_run_until(network, SECONDS(300), network_agrees));
    network_free(network);
}

static void lost_pings_do_not_keep_a_member_from_its_cluster(void **state)
{
    (void)state;
    struct network *network = cluster(5);
    struct host *host = &network->hosts[4];
    for (int life = 0; life < 20; life++) {
        network_kill(network, host);
        network->packet_loss = 0.2;
        start(network, 4);
        network_run(network, SECONDS(10));
        network_heal(network);
        assert_true(host_logged(host, "Re-joined to previously known node"));
        assert_true(network_run_until(network, SECONDS(70), network_agrees));
    }
    network_free(network);
}

/* --- user events --- */

static void deploy(struct network *network, struct host *host)
{
    struct buffer error;
    buffer_init(&error, 256);
    assert_true(
        serf_user_event(host->serf, network->now, span_text("deploy"), SPAN_EMPTY, false, &error));
    host_drain(network, host);
    network_run(network, SECONDS(2));
}

static uint32_t deploys_seen(struct host *host)
{
    uint32_t count = 0;
    for (const char *at = buffer_text(&host->events); (at = strstr(at, "user deploy")); at++)
        count++;
    return count;
}

static void what_a_join_left_out_is_not_told_after_a_restart(void **state)
{
    (void)state;
    struct network *network = network_new(5);
    start(network, 0);
    for (int i = 0; i < 3; i++)
        deploy(network, &network->hosts[0]);
    struct host *host = start(network, 1);
    host_join(network, host, "10.0.0.1");
    network_run(network, SECONDS(60));
    assert_int_equal(deploys_seen(host), 0);
    network_kill(network, host);
    deploy(network, &network->hosts[0]);
    start(network, 1);
    network_run(network, SECONDS(60));
    assert_int_equal(deploys_seen(host), 1); /* only what it missed */
    network_free(network);
}

/* The policy's join, which leaves old events out, runs beside the rejoin, and may be first. */
static void a_join_beside_the_rejoin_takes_away_nothing_that_was_missed(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct network *network = cluster(3);
        struct host *host = &network->hosts[2];
        deploy(network, &network->hosts[0]);
        network_kill(network, host);
        for (int i = 0; i < 3; i++)
            deploy(network, &network->hosts[0]);
        uint32_t seen = deploys_seen(host);
        start(network, 2);
        if (way == 1)
            host_join(network, host, "10.0.0.2");
        else if (way == 2)
            host_retry_join(network, host, "10.0.0.2", 0);
        assert_true(network_run_until(network, SECONDS(70), network_agrees));
        network_run(network, SECONDS(10));
        assert_int_equal(deploys_seen(host) - seen, 3);
        network_free(network);
    }
}

/* The snapshot is read before anything can arrive: here a peer's exchange of states is the very
 * first thing that happens to the new life. */
static void the_first_exchange_of_states_cannot_overtake_the_snapshot(void **state)
{
    (void)state;
    struct network *network = cluster(2);
    struct host *host = &network->hosts[1];
    for (int i = 0; i < 4; i++)
        deploy(network, &network->hosts[0]);
    assert_int_equal(deploys_seen(host), 4);
    network_kill(network, host);
    deploy(network, &network->hosts[0]);
    start(network, 1);
    host_join(network, &network->hosts[0], "10.0.0.2");
    network_run(network, SECONDS(30));
    assert_int_equal(deploys_seen(host), 5);
    network_free(network);
}

/* --- how long a member is remembered --- */

static void a_member_may_say_by_a_tag_for_how_long_it_is_remembered(void **state)
{
    (void)state;
    static const char *const values[] = {"5m", "rubbish", "-1s"};
    struct network *network = network_new(3);
    for (uint32_t i = 0; i < 5; i++) {
        char name[16];
        struct buffer meta;
        buffer_init(&meta, 512);
        struct serf_config config = network_config();
        config.reconnect_timeout_tag = span_text("expires");
        config.reconnect_timeout = SECONDS(3600);
        struct tag tag = {span_text("expires"), span_text(i >= 2 ? values[i - 2] : "")};
        if (i >= 2)
            assert_true(serf_encode_tags(&meta, 5, &tag, 1));
        config.swim.meta = buffer_span(&meta);
        snprintf(name, sizeof name, "n%u", i + 1);
        network_start(network, i, name, &config);
        buffer_fini(&meta);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    assert_true(network_run_until(network, SECONDS(70), network_agrees));
    for (uint32_t i = 1; i < 5; i++)
        network_kill(network, &network->hosts[i]);
    struct host *host = &network->hosts[0];
    network_run(network, SECONDS(240));
    assert_int_equal(host_count(host, STATUS_FAILED), 4);
    network_run(network, SECONDS(240));
    assert_int_equal(host_sees(host, "n3"), STATUS_NONE);
    assert_int_equal(host_count(host, STATUS_FAILED), 3);
    assert_true(host_logged(host, "The tag 'expires' of 'n4' is no duration"));
    network_run(network, SECONDS(3600));
    assert_int_equal(host_count(host, STATUS_FAILED), 0);
    network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_whose_members_saw_each_other_fail_finds_itself_again),
        cmocka_unit_test(failed_members_are_remembered_over_several_restarts_and_a_compaction),
        cmocka_unit_test(who_is_remembered_is_forgotten_when_reconnect_timeout_has_passed),
        cmocka_unit_test(who_never_comes_back_after_a_restart_expires_too),
        cmocka_unit_test(two_halves_that_came_back_apart_find_each_other),
        cmocka_unit_test(who_left_meanwhile_is_not_looked_for),
        cmocka_unit_test(who_was_made_to_leave_is_not_looked_for_after_a_restart),
        cmocka_unit_test(a_rejoin_merges_no_stranger_at_a_remembered_address),
        cmocka_unit_test(a_reconnect_merges_no_stranger_at_a_remembered_address),
        cmocka_unit_test(a_failed_member_that_is_there_again_is_reconnected),
        cmocka_unit_test(lost_pings_do_not_keep_a_member_from_its_cluster),
        cmocka_unit_test(what_a_join_left_out_is_not_told_after_a_restart),
        cmocka_unit_test(a_join_beside_the_rejoin_takes_away_nothing_that_was_missed),
        cmocka_unit_test(the_first_exchange_of_states_cannot_overtake_the_snapshot),
        cmocka_unit_test(a_member_may_say_by_a_tag_for_how_long_it_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

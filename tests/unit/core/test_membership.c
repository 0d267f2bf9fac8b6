/* The rules of membership, on a small network in virtual time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serf_message.h"
#include "virtual_network.h"

#include <stdio.h>

static struct network *cluster(uint32_t size, const struct serf_config *config)
{
    struct network *network = network_new(size);
    for (uint32_t i = 0; i < size; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i + 1);
        network_start(network, i, name, config);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
        network_run(network, SECONDS(1));
    }
    assert_true(network_run_until(network, SECONDS(30), network_agrees));
    return network;
}

static const char *waited_name;
static enum member_status waited_status;

static bool others_see(struct network *network)
{
    for (uint32_t i = 0; i < network->host_count; i++)
        if (network->hosts[i].serf && host_sees(&network->hosts[i], waited_name) != waited_status)
            return false;
    return true;
}

static void expect_seen_as(struct network *network, const char *name, enum member_status status,
                           uint64_t limit)
{
    waited_name = name;
    waited_status = status;
    assert_true(network_run_until(network, limit, others_see));
}

static void a_join_makes_two_members_known_to_each_other(void **state)
{
    (void)state;
    struct network *network = network_new(1);
    struct host *a = network_start(network, 0, "a", NULL);
    struct host *b = network_start(network, 1, "b", NULL);
    uint32_t command = host_join(network, b, "10.0.0.1:7946");
    network_run(network, SECONDS(1));
    assert_int_equal(b->done_command, command);
    assert_true(b->done_ok);
    assert_int_equal(b->done_count, 1);
    assert_int_equal(host_sees(a, "b"), STATUS_ALIVE);
    assert_int_equal(host_sees(b, "a"), STATUS_ALIVE);
    assert_true(host_logged(a, "serf: EventMemberJoin: b 10.0.0.2"));
    assert_true(host_logged(b, "serf: EventMemberJoin: a 10.0.0.1"));
    network_free(network);
}

static void a_refused_join_says_whom_it_could_not_reach(void **state)
{
    (void)state;
    struct network *network = network_new(1);
    struct host *a = network_start(network, 0, "a", NULL);
    host_join(network, a, "10.0.0.77");
    network_run(network, SECONDS(1));
    assert_false(a->done_ok);
    assert_string_equal(buffer_text(&a->done_error),
                        "1 error occurred:\n\t* failed to join 10.0.0.77:7946: dial tcp "
                        "10.0.0.77:7946: connect: connection refused\n\n");
    network_free(network);
}

static void gossip_spreads_a_join_to_members_that_were_not_asked(void **state)
{
    (void)state;
    struct network *network = cluster(8, NULL);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(host_count(&network->hosts[i], STATUS_ALIVE), 8);
    network_free(network);
}

static void a_killed_member_is_failed_everywhere_and_no_other_is(void **state)
{
    (void)state;
    struct network *network = cluster(5, NULL);
    network_kill(network, &network->hosts[4]);
    /* found by a probe within 5 s or so, then suspected for 4 to 24 s */
    expect_seen_as(network, "n5", STATUS_FAILED, SECONDS(40));
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(host_count(&network->hosts[i], STATUS_ALIVE), 4);
        assert_true(host_logged(&network->hosts[i], "serf: EventMemberFailed: n5 10.0.0.5"));
        assert_int_equal(host_logged_times(&network->hosts[i], "EventMemberFailed"), 1);
    }
    network_free(network);
}

static void a_leaving_member_is_left_everywhere_and_never_failed(void **state)
{
    (void)state;
    struct network *network = cluster(5, NULL);
    uint32_t command = host_leave(network, &network->hosts[2]);
    network_run(network, SECONDS(8));
    assert_int_equal(network->hosts[2].done_command, command);
    assert_true(network->hosts[2].done_ok);
    assert_int_equal(serf_state(network->hosts[2].serf), SERF_LEFT);
    network_kill(network, &network->hosts[2]);
    expect_seen_as(network, "n3", STATUS_LEFT, SECONDS(1));
    network_run(network, SECONDS(60));
    for (uint32_t i = 0; i < 5; i++)
        if (i != 2) {
            assert_int_equal(host_sees(&network->hosts[i], "n3"), STATUS_LEFT);
            assert_false(host_logged(&network->hosts[i], "EventMemberFailed"));
            assert_true(host_logged(&network->hosts[i], "serf: EventMemberLeave: n3 10.0.0.3"));
        }
    network_free(network);
}

static void members_that_all_leave_at_once_do_not_wait_for_each_other(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct network *network = cluster(5, NULL);
        network_run(network, seed * 37 * NANOSECONDS_PER_MS);
        for (uint32_t i = 0; i < 5; i++)
            host_leave(network, &network->hosts[i]);
        for (uint32_t step = 0; step < 40; step++) {
            network_run(network, SECONDS(1) / 10);
            for (uint32_t i = 0; i < 5; i++) /* who has left is gone */
                if (network->hosts[i].serf && network->hosts[i].done_ok &&
                    serf_state(network->hosts[i].serf) == SERF_LEFT)
                    network_kill(network, &network->hosts[i]);
        }
        for (uint32_t i = 0; i < 5; i++)
            assert_null(network->hosts[i].serf);
        network_free(network);
    }
}

static void an_idle_member_wakes_up_for_no_gossip(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 3; size++) {
        struct network *network = cluster(size, NULL);
        network_run(network, SECONDS(20));
        struct host *host = &network->hosts[0];
        uint32_t wakes = 0;
        for (int second = 0; second < 60; second++) {
            uint64_t begin = network->now;
            while (network->now < begin + SECONDS(1)) {
                uint64_t next = serf_next_deadline(host->serf);
                wakes += next <= begin + SECONDS(1);
                network_run(network, next > network->now && next < begin + SECONDS(1)
                                         ? next - network->now
                                         : begin + SECONDS(1) - network->now);
            }
        }
        assert_true(wakes < 200); /* a probe takes two, and five ticks a second would be 300 */
        network_free(network);
    }
}

static void a_lone_member_leaves_at_once(void **state)
{
    (void)state;
    struct network *network = network_new(3);
    struct host *a = network_start(network, 0, "a", NULL);
    host_leave(network, a);
    network_run(network, NANOSECONDS_PER_MS);
    assert_true(a->done_ok);
    assert_int_equal(serf_state(a->serf), SERF_LEFT);
    network_free(network);
}

static void helpers_keep_a_member_alive_whose_direct_path_is_cut(void **state)
{
    (void)state;
    struct network *network = cluster(4, NULL);
    network_cut(network, &network->hosts[0], &network->hosts[1], true, true);
    network_run(network, SECONDS(120));
    assert_true(network_agrees(network));
    for (uint32_t i = 0; i < 4; i++)
        assert_false(host_logged(&network->hosts[i], "EventMemberFailed"));
    assert_true(host_logged(&network->hosts[0], "Failed UDP ping: n2"));
    assert_false(host_logged(&network->hosts[0], "Suspect n2 has failed"));
    network_free(network);
}

static void tcp_keeps_two_members_alive_whose_datagrams_are_lost(void **state)
{
    (void)state;
    struct network *network = cluster(2, NULL);
    network_cut(network, &network->hosts[0], &network->hosts[1], true, false);
    network_run(network, SECONDS(60));
    assert_true(network_agrees(network));
    assert_true(host_logged(&network->hosts[0], "Was able to connect to n2 over TCP but UDP "
                                                "probes failed"));
    network_free(network);
}

static void a_suspected_member_refutes(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    struct suspect_message suspect = {
        .incarnation = 1, .node = span_text("n2"), .from = span_text("n3")};
    struct buffer message;
    buffer_init(&message, 1024);
    message_write(&message, MESSAGE_SUSPECT, &suspect_structure, &suspect);
    host_deliver(network, &network->hosts[0], buffer_span(&message));
    network_run(network, SECONDS(40));
    assert_true(host_logged(&network->hosts[1], "Refuting a suspect message (from: n3)"));
    assert_true(network_agrees(network));
    assert_false(host_logged(&network->hosts[0], "EventMemberFailed"));
    buffer_fini(&message);
    network_free(network);
}

static void thirty_percent_loss_fails_nobody_for_long(void **state)
{
    (void)state;
    struct network *network = cluster(6, NULL);
    network->packet_loss = 0.3;
    network_run(network, SECONDS(120));
    network_heal(network);
    network_run(network, SECONDS(60));
    assert_true(network_agrees(network));
    network_free(network);
}

static void a_restarted_member_is_alive_again_under_its_name(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    network_kill(network, &network->hosts[2]);
    network_start(network, 2, "n3", NULL);
    host_join(network, &network->hosts[2], "10.0.0.1");
    network_run(network, SECONDS(30));
    assert_true(network_agrees(network));
    network_free(network);
}

static void a_member_that_left_may_return_at_another_address(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    host_leave(network, &network->hosts[2]);
    network_run(network, SECONDS(8));
    network_kill(network, &network->hosts[2]);
    network_move(network, &network->hosts[2], "10.0.0.99");
    network_start(network, 2, "n3", NULL);
    host_join(network, &network->hosts[2], "10.0.0.1");
    assert_true(network_run_until(network, SECONDS(10), network_agrees));
    assert_true(host_logged(&network->hosts[0], "Updating address for left or failed node n3 from "
                                                "10.0.0.3:7946 to 10.0.0.99:7946"));
    network_free(network);
}

static void a_living_members_name_cannot_be_taken(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    network_start(network, 3, "n2", NULL);
    host_join(network, &network->hosts[3], "10.0.0.1");
    network_run(network, SECONDS(5));
    assert_true(host_logged(&network->hosts[0], "memberlist: Conflicting address for n2. Mine: "
                                                "10.0.0.2:7946 Theirs: 10.0.0.4:7946 Old state: "
                                                "0"));
    struct member_view n2;
    assert_true(serf_find_member(network->hosts[0].serf, span_text("n2"), &n2));
    assert_int_equal(n2.endpoint.address[3], 2);
    network_free(network);
}

static void changed_tags_reach_everybody_as_an_update(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    struct tag tag = {span_text("role"), span_text("web")};
    struct host *host = &network->hosts[1];
    uint32_t command = serf_set_tags(host->serf, network->now, &tag, 1);
    host_drain(network, host);
    network_run(network, SECONDS(5));
    assert_int_equal(host->done_command, command);
    assert_true(host->done_ok);
    for (uint32_t i = 0; i < 3; i++) {
        struct member_view n2;
        struct tag_reader reader;
        struct span key, value;
        assert_true(serf_find_member(network->hosts[i].serf, span_text("n2"), &n2));
        assert_true(tag_reader_open(&reader, n2.meta));
        assert_true(tag_reader_next(&reader, &key, &value));
        assert_true(span_equal_text(key, "role") && span_equal_text(value, "web"));
        assert_non_null(strstr(buffer_text(&network->hosts[i].events), "member-update n2"));
    }
    network_free(network);
}

static void tags_of_more_than_512_bytes_are_refused(void **state)
{
    (void)state;
    struct network *network = cluster(1, NULL);
    char value[600];
    memset(value, 'x', sizeof value);
    struct tag tag = {span_text("k"), span_make(value, sizeof value)};
    serf_set_tags(network->hosts[0].serf, network->now, &tag, 1);
    host_drain(network, &network->hosts[0]);
    assert_false(network->hosts[0].done_ok);
    assert_string_equal(buffer_text(&network->hosts[0].done_error),
                        "Encoded length of tags exceeds limit of 512 bytes");
    network_free(network);
}

static void a_change_of_tags_is_not_answered_before_it_was_told(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    struct host *host = &network->hosts[2];
    struct tag first = {span_text("k"), span_text("1")}, second = {span_text("k"), span_text("2")};
    uint32_t overtaken = serf_set_tags(host->serf, network->now, &first, 1);
    uint32_t command = serf_set_tags(host->serf, network->now, &second, 1);
    host_drain(network, host);
    assert_int_equal(host->done_command, overtaken);
    network_run(network, SECONDS(2));
    assert_int_equal(host->done_command, command);
    assert_true(host->done_ok);
    network_free(network);
}

static void tags_cannot_be_changed_during_a_leave(void **state)
{
    (void)state;
    for (uint64_t wait_ms = 0; wait_ms < 2000; wait_ms += 200) {
        struct network *network = cluster(3, NULL);
        struct host *leaver = &network->hosts[2];
        struct tag tag = {span_text("k"), span_text("v")};
        host_leave(network, leaver);
        network_run(network, wait_ms * NANOSECONDS_PER_MS);
        uint32_t command = serf_set_tags(leaver->serf, network->now, &tag, 1);
        host_drain(network, leaver);
        assert_int_equal(leaver->done_command, command);
        assert_false(leaver->done_ok);
        network_run(network, SECONDS(8));
        network_kill(network, leaver);
        network_run(network, SECONDS(40));
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(host_sees(&network->hosts[i], "n3"), STATUS_LEFT);
        network_free(network);
    }
}

static void force_leave_turns_a_failed_member_into_one_that_left(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    network_kill(network, &network->hosts[2]);
    expect_seen_as(network, "n3", STATUS_FAILED, SECONDS(40));
    host_force_leave(network, &network->hosts[0], "n3", false);
    expect_seen_as(network, "n3", STATUS_LEFT, SECONDS(5));
    network_run(network, SECONDS(5));
    assert_true(network->hosts[0].done_ok);
    assert_true(host_logged(&network->hosts[1], "EventMemberLeave (forced): n3 10.0.0.3"));
    network_free(network);
}

static void force_leave_of_an_odd_target_says_so(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    struct host *host = &network->hosts[0];
    host_force_leave(network, host, "nobody", false);
    host_force_leave(network, host, "n2", false);
    assert_true(host_logged(host, "force-leave of 'nobody', whom this member does not know"));
    assert_true(host_logged(host, "force-leave of 'n2', who is alive and will refuse it"));
    network_kill(network, &network->hosts[2]);
    expect_seen_as(network, "n3", STATUS_FAILED, SECONDS(40));
    host_force_leave(network, host, "n3", false);
    assert_int_equal(host_logged_times(host, "serf: force-leave of"), 2);
    network_free(network);
}

static void force_leave_with_prune_forgets_a_failed_member(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    network_kill(network, &network->hosts[2]);
    expect_seen_as(network, "n3", STATUS_FAILED, SECONDS(40));
    host_force_leave(network, &network->hosts[0], "n3", true);
    expect_seen_as(network, "n3", STATUS_NONE, SECONDS(5));
    assert_non_null(strstr(buffer_text(&network->hosts[1].events), "member-reap n3"));
    network_free(network);
}

static void force_leave_of_a_living_member_is_refuted(void **state)
{
    (void)state;
    struct network *network = cluster(3, NULL);
    host_force_leave(network, &network->hosts[0], "n3", true);
    network_run(network, SECONDS(15));
    assert_true(network_agrees(network));
    assert_true(host_logged(&network->hosts[2], "Refuting an older leave intent"));
    network_free(network);
}

static void force_leave_of_the_only_other_member_reaches_it(void **state)
{
    (void)state;
    struct network *network = cluster(2, NULL);
    host_force_leave(network, &network->hosts[0], "n2", false);
    assert_int_equal(host_sees(&network->hosts[0], "n2"), STATUS_LEAVING);
    network_run(network, SECONDS(3));
    assert_true(network_agrees(network));
    network_free(network);
}

static void failed_members_are_reaped_after_the_reconnect_timeout(void **state)
{
    (void)state;
    struct serf_config config = network_config();
    config.reconnect_timeout = SECONDS(60);
    struct network *network = cluster(3, &config);
    network_kill(network, &network->hosts[2]);
    expect_seen_as(network, "n3", STATUS_FAILED, SECONDS(40));
    network_run(network, SECONDS(30));
    assert_int_equal(host_sees(&network->hosts[0], "n3"), STATUS_FAILED);
    expect_seen_as(network, "n3", STATUS_NONE, SECONDS(60));
    assert_true(host_logged(&network->hosts[0], "serf: EventMemberReap: n3"));
    network_free(network);
}

static void a_healed_partition_is_found_by_reconnecting(void **state)
{
    (void)state;
    struct network *network = cluster(4, NULL);
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t k = 2; k < 4; k++)
            network_cut(network, &network->hosts[i], &network->hosts[k], true, true);
    network_run(network, SECONDS(120));
    assert_int_equal(host_sees(&network->hosts[0], "n4"), STATUS_FAILED);
    assert_int_equal(host_sees(&network->hosts[3], "n1"), STATUS_FAILED);
    network_heal(network);
    assert_true(network_run_until(network, SECONDS(180), network_agrees));
    network_free(network);
}

static void a_stopped_process_that_wakes_up_suspects_nobody_for_good(void **state)
{
    (void)state;
    struct network *network = cluster(4, NULL);
    network->hosts[1].paused = true;
    network_run(network, SECONDS(60));
    assert_int_equal(host_sees(&network->hosts[0], "n2"), STATUS_FAILED);
    network->hosts[1].paused = false;
    assert_true(network_run_until(network, SECONDS(60), network_agrees));
    assert_false(host_logged(&network->hosts[0], "EventMemberFailed: n3"));
    network_free(network);
}

static void all_profiles_form_a_cluster_and_notice_a_death(void **state)
{
    (void)state;
    void (*const profiles[])(struct swim_config *) = {swim_config_lan, swim_config_wan,
                                                      swim_config_local};
    for (size_t i = 0; i < 3; i++) {
        struct serf_config config;
        serf_config_init(&config, profiles[i]);
        config.coalesce_period = 0;
        struct network *network = cluster(3, &config);
        network_kill(network, &network->hosts[2]);
        expect_seen_as(network, "n3", STATUS_FAILED, SECONDS(260));
        network_free(network);
    }
}

static void coalescing_gathers_the_joins_of_one_moment(void **state)
{
    (void)state;
    struct serf_config config = network_config();
    config.coalesce_period = SECONDS(3);
    config.quiescent_period = SECONDS(1);
    struct network *network = network_new(9);
    for (uint32_t i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%u", i);
        network_start(network, i, name, &config);
        if (i)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    network_run(network, SECONDS(5));
    const char *events = buffer_text(&network->hosts[0].events);
    assert_non_null(strstr(events, "n3"));
    assert_null(strstr(strstr(events, "\n") + 1, "member-join"));
    network_free(network);
}

static void a_user_event_is_delivered_once_everywhere(void **state)
{
    (void)state;
    struct network *network = cluster(4, NULL);
    struct user_event_message event = {
        .ltime = 5, .name = span_text("deploy"), .payload = span_text("v1")};
    struct buffer message;
    buffer_init(&message, 1024);
    buffer_append_u8(&message, MESSAGE_USER);
    serf_message_write(&message, SERF_USER_EVENT, &user_event_structure, &event);
    host_deliver(network, &network->hosts[0], buffer_span(&message));
    network_run(network, SECONDS(5));
    host_deliver(network, &network->hosts[1], buffer_span(&message));
    network_run(network, SECONDS(45)); /* push/pulls carry it too */
    for (uint32_t i = 0; i < 4; i++) {
        const char *first = strstr(buffer_text(&network->hosts[i].events), "user deploy v1");
        assert_non_null(first);
        assert_null(strstr(first + 1, "user deploy v1"));
    }
    buffer_fini(&message);
    network_free(network);
}

static void deliver_event(struct network *network, struct host *host, uint64_t ltime,
                          const char *name)
{
    struct user_event_message event = {.ltime = ltime, .name = span_text(name)};
    struct buffer message;
    buffer_init(&message, 1024);
    buffer_append_u8(&message, MESSAGE_USER);
    serf_message_write(&message, SERF_USER_EVENT, &user_event_structure, &event);
    host_deliver(network, host, buffer_span(&message));
    buffer_fini(&message);
}

static void gossip_reaches_members_that_have_been_alive_for_long(void **state)
{
    (void)state;
    struct network *network = cluster(4, NULL);
    network_run(network, SECONDS(90));
    deliver_event(network, &network->hosts[0], 3, "late");
    network_run(network, SECONDS(1) / 2); /* pings, which carry it too, are further apart */
    for (uint32_t i = 0; i < 4; i++)
        assert_non_null(strstr(buffer_text(&network->hosts[i].events), "user late"));
    network_free(network);
}

static void events_from_before_a_join_are_delivered_only_on_request(void **state)
{
    (void)state;
    struct network *network = cluster(2, NULL);
    deliver_event(network, &network->hosts[0], 3, "old");
    network_run(network, SECONDS(3));
    network_start(network, 2, "n3", NULL);
    network_start(network, 3, "n4", NULL);
    host_join(network, &network->hosts[2], "10.0.0.1");
    struct span address = span_text("10.0.0.1");
    serf_join(network->hosts[3].serf, network->now, &address, 1, true);
    host_drain(network, &network->hosts[3]);
    network_run(network, SECONDS(40)); /* later exchanges bring it no more than the first */
    assert_null(strstr(buffer_text(&network->hosts[2].events), "user old"));
    assert_non_null(strstr(buffer_text(&network->hosts[3].events), "user old"));
    network_free(network);
}

static void clusters_with_different_keys_do_not_merge(void **state)
{
    (void)state;
    struct keyring *one = keyring_new(), *two = keyring_new();
    keyring_add(one, span_text("0123456789abcdef"));
    keyring_add(two, span_text("fedcba9876543210"));
    struct network *network = network_new(4);
    struct serf_config config = network_config();
    config.swim.keyring = one;
    network_start(network, 0, "a", &config);
    network_start(network, 1, "b", &config);
    host_join(network, &network->hosts[1], "10.0.0.1");
    network_run(network, SECONDS(2));
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_ALIVE);
    config.swim.keyring = two;
    network_start(network, 2, "c", &config);
    host_join(network, &network->hosts[2], "10.0.0.1");
    network_run(network, SECONDS(2));
    assert_false(network->hosts[2].done_ok);
    assert_int_equal(host_sees(&network->hosts[0], "c"), STATUS_NONE);
    network_free(network);
    keyring_free(one);
    keyring_free(two);
}

static void clusters_with_different_labels_do_not_merge(void **state)
{
    (void)state;
    struct network *network = network_new(4);
    struct serf_config config = network_config();
    config.swim.label = span_text("blue");
    network_start(network, 0, "a", &config);
    network_start(network, 1, "b", &config);
    host_join(network, &network->hosts[1], "10.0.0.1");
    network_start(network, 2, "c", NULL);
    host_join(network, &network->hosts[2], "10.0.0.1");
    network_run(network, SECONDS(12));
    assert_int_equal(host_sees(&network->hosts[0], "b"), STATUS_ALIVE);
    assert_int_equal(host_sees(&network->hosts[0], "c"), STATUS_NONE);
    assert_false(network->hosts[2].done_ok);
    network_free(network);
}

static void the_same_seed_gives_the_same_trace(void **state)
{
    (void)state;
    struct buffer first;
    buffer_init(&first, 1 << 28);
    for (int run = 0; run < 2; run++) {
        struct network *network = network_new(77);
        network->tracing = true;
        network->packet_loss = 0.1;
        for (uint32_t i = 0; i < 6; i++) {
            char name[8];
            snprintf(name, sizeof name, "n%u", i);
            network_start(network, i, name, NULL);
            host_retry_join(network, &network->hosts[i], "10.3.0.48", 0);
        }
        network_run(network, SECONDS(30));
        assert_true(network->trace.size > 10000);
        if (run == 0)
            buffer_append_span(&first, buffer_span(&network->trace));
        else
            assert_true(span_equal(buffer_span(&first), buffer_span(&network->trace)));
        network_free(network);
    }
    buffer_fini(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_makes_two_members_known_to_each_other),
        cmocka_unit_test(a_refused_join_says_whom_it_could_not_reach),
        cmocka_unit_test(gossip_spreads_a_join_to_members_that_were_not_asked),
        cmocka_unit_test(a_killed_member_is_failed_everywhere_and_no_other_is),
        cmocka_unit_test(a_leaving_member_is_left_everywhere_and_never_failed),
        cmocka_unit_test(members_that_all_leave_at_once_do_not_wait_for_each_other),
        cmocka_unit_test(an_idle_member_wakes_up_for_no_gossip),
        cmocka_unit_test(a_lone_member_leaves_at_once),
        cmocka_unit_test(helpers_keep_a_member_alive_whose_direct_path_is_cut),
        cmocka_unit_test(tcp_keeps_two_members_alive_whose_datagrams_are_lost),
        cmocka_unit_test(a_suspected_member_refutes),
        cmocka_unit_test(thirty_percent_loss_fails_nobody_for_long),
        cmocka_unit_test(a_restarted_member_is_alive_again_under_its_name),
        cmocka_unit_test(a_member_that_left_may_return_at_another_address),
        cmocka_unit_test(a_living_members_name_cannot_be_taken),
        cmocka_unit_test(changed_tags_reach_everybody_as_an_update),
        cmocka_unit_test(tags_of_more_than_512_bytes_are_refused),
        cmocka_unit_test(a_change_of_tags_is_not_answered_before_it_was_told),
        cmocka_unit_test(tags_cannot_be_changed_during_a_leave),
        cmocka_unit_test(force_leave_turns_a_failed_member_into_one_that_left),
        cmocka_unit_test(force_leave_of_an_odd_target_says_so),
        cmocka_unit_test(force_leave_with_prune_forgets_a_failed_member),
        cmocka_unit_test(force_leave_of_a_living_member_is_refuted),
        cmocka_unit_test(force_leave_of_the_only_other_member_reaches_it),
        cmocka_unit_test(failed_members_are_reaped_after_the_reconnect_timeout),
        cmocka_unit_test(a_healed_partition_is_found_by_reconnecting),
        cmocka_unit_test(a_stopped_process_that_wakes_up_suspects_nobody_for_good),
        cmocka_unit_test(all_profiles_form_a_cluster_and_notice_a_death),
        cmocka_unit_test(coalescing_gathers_the_joins_of_one_moment),
        cmocka_unit_test(a_user_event_is_delivered_once_everywhere),
        cmocka_unit_test(gossip_reaches_members_that_have_been_alive_for_long),
        cmocka_unit_test(events_from_before_a_join_are_delivered_only_on_request),
        cmocka_unit_test(clusters_with_different_keys_do_not_merge),
        cmocka_unit_test(clusters_with_different_labels_do_not_merge),
        cmocka_unit_test(the_same_seed_gives_the_same_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

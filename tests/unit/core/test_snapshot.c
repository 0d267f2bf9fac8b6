/* What survives a restart: the snapshot's lines, and members that come back with them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serf_message.h"
#include "snapshot.h"
#include "virtual_network.h"

#include <stdio.h>
#include <stdlib.h>

/* --- the lines --- */

static struct intern_pool pool;

static void read_text(struct snapshot *snapshot, struct span text, bool rejoin)
{
    struct siphash_key key = {1, 2};
    intern_init(&pool, &key);
    snapshot_init(snapshot, &pool);
    assert_true(snapshot_read(snapshot, text, rejoin));
}

static void done(struct snapshot *snapshot)
{
    snapshot_fini(snapshot);
    intern_fini(&pool);
}

static const struct snapshot_peer *find(const struct snapshot *snapshot, const char *name)
{
    for (uint32_t i = 0; i < snapshot->peer_count; i++)
        if (span_equal_text(atom_span(snapshot->peers[i].name), name))
            return &snapshot->peers[i];
    return NULL;
}

static void assert_at(const struct snapshot *snapshot, const char *name, const char *address)
{
    char text[ENDPOINT_TEXT_SIZE];
    const struct snapshot_peer *peer = find(snapshot, name);
    assert_non_null(peer);
    assert_string_equal(endpoint_text(&peer->endpoint, text), address);
}

static void a_file_of_the_reference_is_understood(void **state)
{
    (void)state;
    struct snapshot snapshot;
    read_text(&snapshot,
              span_text("alive: n1 127.0.0.1:7946\n"
                        "alive: n2 127.0.0.2:7946\n"
                        "clock: 1\n"
                        "alive: six [::1]:7947\n"
                        "not-alive: n2\n"
                        "event-clock: 3\n"
                        "query-clock: 4\n"
                        "coordinate: {\"Vec\":[0]}\n"
                        "# a comment\n"
                        "alive: n1 127.0.0.9:7946\n"
                        "clock: 2\n"),
              false);
    assert_int_equal(snapshot.peer_count, 2);
    assert_at(&snapshot, "n1", "127.0.0.9:7946");
    assert_at(&snapshot, "six", "[::1]:7947");
    assert_int_equal(snapshot.clock, 2);
    assert_int_equal(snapshot.event_clock, 3);
    assert_int_equal(snapshot.query_clock, 4);
    assert_int_equal(snapshot.bad_lines, 0);
    done(&snapshot);
}

static void names_may_hold_spaces_and_bytes_of_any_kind(void **state)
{
    (void)state;
    static const char name[] = "two words \0 and \xff";
    struct endpoint endpoint;
    endpoint_from_text(&endpoint, "10.1.2.3", 99);
    struct buffer text;
    buffer_init(&text, 4096);
    snapshot_write_alive(&text, span_make(name, sizeof name - 1), &endpoint);
    struct snapshot snapshot;
    read_text(&snapshot, buffer_span(&text), false);
    assert_int_equal(snapshot.peer_count, 1);
    assert_true(span_equal(atom_span(snapshot.peers[0].name), span_make(name, sizeof name - 1)));
    assert_true(endpoint_equal(&snapshot.peers[0].endpoint, &endpoint));
    snapshot_write_not_alive(&text, span_make(name, sizeof name - 1));
    assert_true(snapshot_read(&snapshot, buffer_span(&text), false));
    done(&snapshot);
    buffer_fini(&text);
}

static void a_torn_last_line_is_left_out(void **state)
{
    (void)state;
    static const char text[] = "alive: a 10.0.0.1:1\nalive: b 10.0.0.2:2\nalive: c 10.0.0.3:";
    struct snapshot snapshot;
    read_text(&snapshot, span_text(text), false);
    assert_int_equal(snapshot.peer_count, 2);
    assert_int_equal(snapshot.bad_lines, 0);
    assert_int_equal(snapshot.complete_bytes, strlen("alive: a 10.0.0.1:1\n") * 2);
    done(&snapshot);
}

static void lines_that_mean_nothing_are_skipped_and_counted(void **state)
{
    (void)state;
    static const char text[] = "alive: a 10.0.0.1:1\n"
                               "alive: nowhere\n"
                               "alive:  10.0.0.1:1\n"
                               "alive: x 10.0.0.1\n"
                               "alive: x 10.0.0.1:65536\n"
                               "alive: x 10.0.0:1\n"
                               "alive: x [::1:1\n"
                               "alive: x :1\n"
                               "not-alive: \n"
                               "clock: \n"
                               "clock: 12x\n"
                               "clock: -1\n"
                               "clock: 99999999999999999999\n"
                               "clock: 18446744073709551615\n"
                               "\n"
                               "\0\0\0\0\n"
                               "clocks: 7\n"
                               "leaves\n"
                               "clock: 5\n";
    struct snapshot snapshot;
    read_text(&snapshot, span_make(text, sizeof text - 1), false);
    assert_int_equal(snapshot.peer_count, 1);
    assert_int_equal(snapshot.clock, 5);
    assert_int_equal(snapshot.bad_lines, 17);
    assert_int_equal(snapshot.first_bad_line, 2);
    done(&snapshot);
}

static void a_leave_forgets_all_before_it_unless_told_otherwise(void **state)
{
    (void)state;
    static const char text[] =
        "alive: a 10.0.0.1:1\nclock: 7\nevent-clock: 8\nquery-clock: 9\nleave\nclock: 8\n";
    struct snapshot snapshot;
    read_text(&snapshot, span_text(text), false);
    assert_int_equal(snapshot.peer_count, 0);
    assert_int_equal(snapshot.clock, 8);
    assert_int_equal(snapshot.event_clock, 0);
    assert_int_equal(snapshot.query_clock, 0);
    done(&snapshot);
    read_text(&snapshot, span_text(text), true);
    assert_int_equal(snapshot.peer_count, 1);
    assert_int_equal(snapshot.event_clock, 8);
    assert_int_equal(snapshot.leaves_ignored, 1);
    done(&snapshot);
}

static void failed_members_are_comments_with_a_time(void **state)
{
    (void)state;
    static const char text[] = "alive: a 10.0.0.1:1\n"
                               "alive: b 10.0.0.2:2\n"
                               "not-alive: a\n"
                               "# failed: a 10.0.0.1:1 1700000000\n"
                               "# failed: two words [::1]:3 5\n"
                               "# failed: back 10.0.0.4:4 5\n"
                               "alive: back 10.0.0.5:5\n"
                               "# failed: gone 10.0.0.6:6 5\n"
                               "not-alive: gone\n"
                               "# failed: b 10.0.0.2:2 7\n";
    struct snapshot snapshot;
    read_text(&snapshot, span_text(text), false);
    assert_int_equal(snapshot.peer_count, 4);
    assert_int_equal(find(&snapshot, "a")->failed_at, 1700000000);
    assert_at(&snapshot, "two words", "[::1]:3");
    assert_int_equal(find(&snapshot, "two words")->failed_at, 5);
    assert_at(&snapshot, "back", "10.0.0.5:5");
    assert_int_equal(find(&snapshot, "back")->failed_at, 0);
    assert_int_equal(find(&snapshot, "b")->failed_at, 7);
    assert_null(find(&snapshot, "gone"));
    done(&snapshot);
}

static void a_comment_that_is_no_record_of_a_failure_is_nothing_to_complain_about(void **state)
{
    (void)state;
    static const char text[] = "# failed:\n"
                               "# failed: \n"
                               "# failed: a\n"
                               "# failed: a 10.0.0.1:1\n"
                               "# failed: a 10.0.0.1:1 0\n"
                               "# failed: a 10.0.0.1:1 -5\n"
                               "# failed: a 10.0.0.1:1 18446744073709551615\n"
                               "# failed: a 10.0.0.1 5\n"
                               "# failed:  10.0.0.1:1 5\n"
                               "# failed because of the power\n"
                               "#failed: a 10.0.0.1:1 5\n";
    struct snapshot snapshot;
    read_text(&snapshot, span_text(text), false);
    assert_int_equal(snapshot.peer_count, 0);
    assert_int_equal(snapshot.bad_lines, 0);
    done(&snapshot);
}

static void a_leave_forgets_failed_members_too(void **state)
{
    (void)state;
    struct snapshot snapshot;
    read_text(&snapshot, span_text("# failed: a 10.0.0.1:1 5\nleave\n"), false);
    assert_int_equal(snapshot.peer_count, 0);
    done(&snapshot);
}

/* Against a plain list, in any order of comings and goings. */
static void comings_and_goings_add_up(void **state)
{
    (void)state;
    static uint16_t ports[200];
    static uint64_t times[200];
    struct buffer text;
    buffer_init(&text, 1 << 20);
    srand(7);
    for (int i = 0; i < 5000; i++) {
        int member = rand() % 200;
        int way = rand() % 4;
        char name[16];
        snprintf(name, sizeof name, "m%d", member);
        ports[member] = (uint16_t)(way ? 1 + rand() % 60000 : 0);
        times[member] = way == 1 ? (uint64_t)i + 1 : 0;
        struct endpoint endpoint;
        endpoint_from_text(&endpoint, "10.0.0.1", ports[member]);
        if (way == 1)
            snapshot_write_failed(&text, span_text(name), &endpoint, times[member]);
        else if (ports[member])
            snapshot_write_alive(&text, span_text(name), &endpoint);
        else
            snapshot_write_not_alive(&text, span_text(name));
    }
    struct snapshot snapshot;
    read_text(&snapshot, buffer_span(&text), false);
    uint32_t alive = 0;
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        const struct snapshot_peer *peer = find(&snapshot, name);
        assert_int_equal(peer ? peer->endpoint.port : 0, ports[i]);
        assert_int_equal(peer ? peer->failed_at : 0, times[i]);
        alive += ports[i] != 0;
    }
    assert_int_equal(snapshot.peer_count, alive);
    done(&snapshot);
    buffer_fini(&text);
}

/* --- members that come back --- */

static struct serf_config recording(void)
{
    struct serf_config config = network_config();
    config.record = true;
    return config;
}

static struct network *recorded_cluster(uint32_t size)
{
    struct serf_config config = recording();
    struct network *network = network_new(31 + size);
    for (uint32_t i = 0; i < size; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i + 1);
        network_start(network, i, name, &config);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    assert_true(network_run_until(network, SECONDS(30), network_agrees));
    network_run(network, SECONDS(1));
    return network;
}

static void broadcast_event(struct network *network, struct host *host, uint64_t ltime)
{
    struct user_event_message event = {.ltime = ltime, .name = span_text("deploy")};
    struct buffer bytes;
    buffer_init(&bytes, 1024);
    buffer_append_u8(&bytes, MESSAGE_USER);
    serf_message_write(&bytes, SERF_USER_EVENT, &user_event_structure, &event);
    host_deliver(network, host, buffer_span(&bytes));
    buffer_fini(&bytes);
}

static uint32_t events_seen(struct host *host)
{
    uint32_t count = 0;
    for (const char *at = buffer_text(&host->events); (at = strstr(at, "user deploy")); at++)
        count++;
    return count;
}

static void a_restarted_member_finds_its_cluster_by_itself_and_nobody_notices(void **state)
{
    (void)state;
    struct serf_config config = recording();
    struct network *network = recorded_cluster(5);
    struct host *host = &network->hosts[4];
    struct serf_stats before, after;
    serf_stats(host->serf, &before);
    network_kill(network, host);
    network_run(network, SECONDS(1));
    network_start(network, 4, "n5", &config);
    serf_stats(host->serf, &after);
    assert_int_equal(after.member_time, before.member_time);
    assert_true(network_run_until(network, SECONDS(3), network_agrees));
    assert_true(host_logged(host, "serf: Attempting re-join to previously known node: n"));
    assert_int_equal(host_logged_times(host, "serf: Re-joined to previously known node: n"), 1);
    network_run(network, SECONDS(60));
    for (uint32_t i = 0; i < 5; i++)
        assert_false(host_logged(&network->hosts[i], "EventMemberFailed"));
    network_free(network);
}

static void events_are_not_told_again_and_missed_ones_are(void **state)
{
    (void)state;
    struct serf_config config = recording();
    struct network *network = recorded_cluster(3);
    struct host *host = &network->hosts[2];
    broadcast_event(network, &network->hosts[0], 4);
    network_run(network, SECONDS(2));
    assert_int_equal(events_seen(host), 1);
    network_kill(network, host);
    broadcast_event(network, &network->hosts[0], 5);
    network_run(network, SECONDS(2));
    network_start(network, 2, "n3", &config);
    network_run(network, SECONDS(10));
    assert_int_equal(events_seen(host), 2);
    network_free(network);
}

static void a_member_that_left_stays_alone_unless_told_otherwise(void **state)
{
    (void)state;
    for (int rejoin = 0; rejoin < 2; rejoin++) {
        struct serf_config config = recording();
        struct network *network = recorded_cluster(3);
        network->rejoin_after_leave = rejoin;
        struct host *host = &network->hosts[2];
        host_leave(network, host);
        network_run(network, SECONDS(6));
        network_kill(network, host);
        network_start(network, 2, "n3", &config);
        network_run(network, SECONDS(10));
        assert_int_equal(host_count(host, STATUS_ALIVE), rejoin ? 3 : 1);
        network_free(network);
    }
}

static void a_cluster_that_was_down_as_a_whole_comes_back(void **state)
{
    (void)state;
    struct serf_config config = recording();
    struct network *network = recorded_cluster(4);
    for (uint32_t i = 0; i < 4; i++)
        network_kill(network, &network->hosts[i]);
    network_run(network, SECONDS(3600));
    for (uint32_t i = 0; i < 4; i++) { /* each long after the one before */
        char name[16];
        snprintf(name, sizeof name, "n%u", i + 1);
        buffer_reset(&network->hosts[i].log);
        struct host *host = network_start(network, i, name, &config);
        network_run(network, SECONDS(100));
        bool nobody = i == 0;
        assert_int_equal(host_logged(host, "Failed to re-join any previously known node"), nobody);
        assert_int_equal(host_logged(host, "serf: Re-joined to previously known node"), !nobody);
    }
    assert_true(network_run_until(network, SECONDS(120), network_agrees));
    network_free(network);
}

static void a_snapshot_written_anew_says_the_same(void **state)
{
    (void)state;
    struct network *network = recorded_cluster(6);
    network_kill(network, &network->hosts[3]);
    host_leave(network, &network->hosts[4]);
    broadcast_event(network, &network->hosts[0], 4);
    network_run(network, SECONDS(60));
    struct buffer text;
    buffer_init(&text, 1 << 20);
    assert_true(serf_write_snapshot(network->hosts[0].serf, &text));
    assert_true(text.size < network->hosts[0].snapshot.size);
    struct snapshot grown;
    read_text(&grown, buffer_span(&network->hosts[0].snapshot), false);
    uint64_t clocks[] = {grown.clock, grown.event_clock, grown.query_clock};
    assert_int_equal(grown.peer_count, 5);
    uint64_t failed_at = find(&grown, "n4")->failed_at;
    assert_true(failed_at > 0);
    done(&grown);
    struct snapshot anew;
    read_text(&anew, buffer_span(&text), false);
    assert_int_equal(anew.peer_count, 5);
    assert_null(find(&anew, "n5"));
    assert_at(&anew, "n4", "10.0.0.4:7946");
    assert_in_range(find(&anew, "n4")->failed_at, failed_at - 1, failed_at + 1);
    assert_at(&anew, "n1", "10.0.0.1:7946");
    assert_int_equal(anew.clock, clocks[0]);
    assert_int_equal(anew.event_clock, clocks[1]);
    assert_int_equal(anew.query_clock, clocks[2]);
    assert_true(anew.clock > 0 && anew.event_clock == 4);
    done(&anew);
    buffer_fini(&text);
    network_free(network);
}

static void nothing_is_recorded_unless_wanted(void **state)
{
    (void)state;
    struct network *network = network_new(2);
    network_start(network, 0, "a", NULL);
    network_start(network, 1, "b", NULL);
    host_join(network, &network->hosts[1], "10.0.0.1");
    network_run(network, SECONDS(5));
    assert_int_equal(network->hosts[0].snapshot.size, 0);
    network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_the_reference_is_understood),
        cmocka_unit_test(names_may_hold_spaces_and_bytes_of_any_kind),
        cmocka_unit_test(a_torn_last_line_is_left_out),
        cmocka_unit_test(lines_that_mean_nothing_are_skipped_and_counted),
        cmocka_unit_test(a_leave_forgets_all_before_it_unless_told_otherwise),
        cmocka_unit_test(failed_members_are_comments_with_a_time),
        cmocka_unit_test(a_comment_that_is_no_record_of_a_failure_is_nothing_to_complain_about),
        cmocka_unit_test(a_leave_forgets_failed_members_too),
        cmocka_unit_test(comings_and_goings_add_up),
        cmocka_unit_test(a_restarted_member_finds_its_cluster_by_itself_and_nobody_notices),
        cmocka_unit_test(events_are_not_told_again_and_missed_ones_are),
        cmocka_unit_test(a_member_that_left_stays_alone_unless_told_otherwise),
        cmocka_unit_test(a_cluster_that_was_down_as_a_whole_comes_back),
        cmocka_unit_test(a_snapshot_written_anew_says_the_same),
        cmocka_unit_test(nothing_is_recorded_unless_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

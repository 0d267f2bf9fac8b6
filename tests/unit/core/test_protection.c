/* A label, or encryption, brought into a cluster that runs: its members are restarted one after the
 * other, three times over, and none is ever missed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "virtual_network.h"

#include <stdio.h>

enum { SIZE = 5, STAGES = 4 };

static struct keyring *keyring;

static struct serf_config label_stage(int stage)
{
    static const enum label_mode modes[] = {LABEL_STRICT, LABEL_ACCEPT, LABEL_SEND, LABEL_STRICT};
    struct serf_config config = network_config();
    config.swim.label = stage == 0 ? SPAN_EMPTY : span_text("blue");
    config.swim.label_mode = modes[stage];
    return config;
}

static struct serf_config encrypted_label_stage(int stage)
{
    struct serf_config config = label_stage(stage);
    config.swim.keyring = keyring;
    return config;
}

static struct serf_config encryption_stage(int stage)
{
    struct serf_config config = network_config();
    config.swim.keyring = stage == 0 ? NULL : keyring;
    config.swim.verify_outgoing = stage >= 2;
    config.swim.verify_incoming = stage >= 3;
    return config;
}

static struct serf_config labelled_encryption_stage(int stage)
{
    struct serf_config config = encryption_stage(stage);
    config.swim.label = span_text("blue");
    return config;
}

static void restart(struct network *network, uint32_t number, const struct serf_config *config)
{
    struct host *host = &network->hosts[number];
    char name[32], peer[32];
    snprintf(name, sizeof name, "%s", host->name);
    snprintf(peer, sizeof peer, "10.0.0.%u", (number + 1) % SIZE + 1);
    host_leave(network, host);
    for (int i = 0; i < 100 && serf_state(host->serf) != SERF_LEFT; i++)
        network_run(network, SECONDS(1) / 10);
    assert_int_equal(serf_state(host->serf), SERF_LEFT);
    network_kill(network, host);
    network_start(network, number, name, config);
    host_join(network, host, peer);
    assert_true(network_run_until(network, SECONDS(70), network_agrees));
}

static void roll(struct network *network, const struct serf_config *config)
{
    for (uint32_t i = 0; i < SIZE; i++) {
        restart(network, i, config);
        if (i == SIZE / 2) /* a time for probes and exchanges from either side to the other */
            network_run(network, SECONDS(70));
        assert_true(network_agrees(network));
    }
}

static struct network *cluster(const struct serf_config *config)
{
    struct network *network = network_new(11);
    for (uint32_t i = 0; i < SIZE; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i + 1);
        network_start(network, i, name, config);
        if (i > 0)
            host_join(network, &network->hosts[i], "10.0.0.1");
    }
    assert_true(network_run_until(network, SECONDS(70), network_agrees));
    return network;
}

static void expect_no_complaint(struct network *network)
{
    for (uint32_t i = 0; i < SIZE; i++) {
        assert_false(host_logged(&network->hosts[i], "EventMemberFailed"));
        assert_false(host_logged(&network->hosts[i], "Suspect"));
        assert_false(host_logged(&network->hosts[i], "unacceptable label"));
        assert_false(host_logged(&network->hosts[i], "ecrypt"));
    }
}

static struct serf_stats stats_of(const struct network *network, uint32_t number)
{
    struct serf_stats stats;
    serf_stats(network->hosts[number].serf, &stats);
    return stats;
}

/* All stages up, and down again. */
static void roll_through(struct serf_config (*stage)(int stage))
{
    keyring = keyring_new();
    keyring_add(keyring, span_text("0123456789abcdef"));
    struct serf_config first = stage(0);
    struct network *network = cluster(&first);
    for (int i = 1; i < STAGES; i++) {
        struct serf_config config = stage(i);
        roll(network, &config);
    }
    expect_no_complaint(network);
    for (int i = STAGES - 2; i >= 0; i--) {
        struct serf_config config = stage(i);
        roll(network, &config);
    }
    expect_no_complaint(network);
    network_free(network);
    keyring_free(keyring);
}

static void a_label_comes_into_a_running_cluster_in_three_rollouts(void **state)
{
    (void)state;
    roll_through(label_stage);
}

static void a_label_comes_into_an_encrypted_cluster_as_well(void **state)
{
    (void)state;
    roll_through(encrypted_label_stage);
}

static void encryption_comes_into_a_running_cluster_in_three_rollouts(void **state)
{
    (void)state;
    roll_through(encryption_stage);
}

static void encryption_comes_into_a_labelled_cluster_as_well(void **state)
{
    (void)state;
    roll_through(labelled_encryption_stage);
}

static void what_is_accepted_unprotected_is_counted_until_nobody_sends_it(void **state)
{
    (void)state;
    keyring = keyring_new();
    keyring_add(keyring, span_text("0123456789abcdef"));
    struct serf_config config = encryption_stage(1);
    config.swim.label = span_text("blue");
    config.swim.label_mode = LABEL_ACCEPT;
    struct network *network = cluster(&config);
    config.swim.verify_outgoing = true;
    config.swim.label_mode = LABEL_SEND;
    for (uint32_t i = 0; i < SIZE - 1; i++)
        restart(network, i, &config);
    network_run(network, SECONDS(60)); /* the last one still sends what anybody could */
    for (uint32_t i = 0; i < SIZE - 1; i++) {
        assert_true(stats_of(network, i).plaintext_accepted > 0);
        assert_true(stats_of(network, i).unlabelled_accepted > 0);
    }
    restart(network, SIZE - 1, &config);
    network_run(network, SECONDS(1));
    struct serf_stats before[SIZE];
    for (uint32_t i = 0; i < SIZE; i++)
        before[i] = stats_of(network, i);
    network_run(network, SECONDS(120));
    for (uint32_t i = 0; i < SIZE; i++) {
        struct serf_stats after = stats_of(network, i);
        assert_int_equal(after.plaintext_accepted, before[i].plaintext_accepted);
        assert_int_equal(after.unlabelled_accepted, before[i].unlabelled_accepted);
        assert_int_equal(after.labels_refused, 0);
    }
    network_free(network);
    keyring_free(keyring);
}

static void what_is_refused_for_its_label_is_counted_and_logged_a_few_times(void **state)
{
    (void)state;
    struct serf_config config = label_stage(3);
    struct network *network = cluster(&config);
    static const uint8_t red[] = {244, 3, 'r', 'e', 'd', 0, 0x80};
    for (int i = 0; i < 500; i++)
        host_deliver(network, &network->hosts[0], span_make(red, sizeof red));
    assert_int_equal(stats_of(network, 0).labels_refused, 500);
    assert_int_equal(host_logged_times(&network->hosts[0],
                                       "discarding packet with unacceptable label \"red\": "
                                       "from=10.9.9.9:7946"),
                     10);
    network_start(network, SIZE, "stranger", NULL);
    host_join(network, &network->hosts[SIZE], "10.0.0.1");
    network_run(network, SECONDS(12));
    assert_false(network->hosts[SIZE].done_ok);
    assert_null(strstr(buffer_text(&network->hosts[SIZE].done_error), "label")); /* it has none */
    assert_true(host_logged(&network->hosts[0], "discarding stream with unacceptable label \"\":"));
    assert_int_equal(host_sees(&network->hosts[0], "stranger"), STATUS_NONE);
    assert_true(stats_of(network, 0).labels_refused > 500);
    network_free(network);
}

static void who_joins_with_another_label_is_told_what_may_be_wrong(void **state)
{
    (void)state;
    struct serf_config config = label_stage(3);
    struct network *network = cluster(&config);
    config.swim.label = span_text("red");
    struct host *host = network_start(network, SIZE, "stranger", &config);
    host_join(network, host, "10.0.0.1");
    network_run(network, SECONDS(12));
    assert_false(host->done_ok);
    assert_non_null(strstr(buffer_text(&host->done_error),
                           "EOF; whoever has no label, or another one, does not answer a member "
                           "with the label 'red'"));
    network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_comes_into_a_running_cluster_in_three_rollouts),
        cmocka_unit_test(a_label_comes_into_an_encrypted_cluster_as_well),
        cmocka_unit_test(encryption_comes_into_a_running_cluster_in_three_rollouts),
        cmocka_unit_test(encryption_comes_into_a_labelled_cluster_as_well),
        cmocka_unit_test(what_is_accepted_unprotected_is_counted_until_nobody_sends_it),
        cmocka_unit_test(what_is_refused_for_its_label_is_counted_and_logged_a_few_times),
        cmocka_unit_test(who_joins_with_another_label_is_told_what_may_be_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a search must have found before a member may call itself the first of its cluster. An answer
 * that does not even name the asker is old, or empty, or about somebody else: where members are
 * named before they are ready, the asker is among them. */
#include "virtual_network.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

static const char *const own = "10.0.0.1";

/* Searches for three minutes at these places. */
static bool is_first_after_search(const char *const *places, size_t count)
{
    struct network *network = network_new(7);
    struct host *host = network_start(network, 0, "only", NULL);
    struct span addresses[4];
    for (size_t i = 0; i < count; i++)
        addresses[i] = span_text(places[i]);
    const struct retry_join options = {.interval = SECONDS(30)};
    serf_retry_join(host->serf, network->now, addresses, count, &options);
    host_drain(network, host);
    network_run(network, SECONDS(180));
    bool first = serf_found_nobody_else(host->serf);
    network_free(network);
    return first;
}

static void a_name_that_leads_to_oneself_alone_names_nobody_else(void **state)
{
    (void)state;
    assert_true(is_first_after_search((const char *[]){"headless"}, 1));
    assert_true(is_first_after_search((const char *[]){own}, 1));
}

/* NXDOMAIN, or an answer without addresses: a cache may have remembered it from before the asker
 * came. */
static void a_name_without_addresses_says_nothing(void **state)
{
    (void)state;
    assert_false(is_first_after_search((const char *[]){"nobody.example"}, 1));
    assert_false(is_first_after_search((const char *[]){own, "nobody.example"}, 2));
}

static void an_answer_with_hosts_that_could_not_be_looked_up_says_nothing(void **state)
{
    (void)state;
    assert_false(is_first_after_search((const char *[]){"partly"}, 1));
}

static void old_addresses_say_nothing(void **state)
{
    (void)state;
    assert_false(is_first_after_search((const char *[]){"10.0.0.200"}, 1));
    assert_false(is_first_after_search((const char *[]){own, "10.0.0.200"}, 2));
}

static void who_searches_nowhere_has_not_found_nobody(void **state)
{
    (void)state;
    assert_false(is_first_after_search(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_leads_to_oneself_alone_names_nobody_else),
        cmocka_unit_test(a_name_without_addresses_says_nothing),
        cmocka_unit_test(an_answer_with_hosts_that_could_not_be_looked_up_says_nothing),
        cmocka_unit_test(old_addresses_say_nothing),
        cmocka_unit_test(who_searches_nowhere_has_not_found_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

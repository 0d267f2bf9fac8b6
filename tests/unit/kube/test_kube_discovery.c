#include "api_fixture.h"

#include "kube_discovery.h"
#include "kube_lists.h"

struct outcome {
    unsigned count;
    size_t endpoint_count;
    struct endpoint first;
    char error[1024];
    struct kube_discovery *free; /* inside the callback */
};

static struct api_server server;
static struct kube_discovery *discovery;
static struct outcome outcome;
static unsigned warnings;
static char warning[1024];

#define ANSWER(status, body) "HTTP/1.1 " status "\r\n\r\n" body
#define POD(address)         "{\"status\": {\"podIP\": \"" address "\"}}"

static const char one_pod[] = ANSWER("200 OK", "{\"items\": [" POD("10.0.0.1") "]}");

static void on_done(void *context, const struct endpoint *endpoints, size_t count,
                    const char *error)
{
    struct outcome *to = context;
    to->count++;
    to->endpoint_count = count;
    assert_true((count == 0) == (error != NULL));
    if (count > 0)
        to->first = endpoints[0];
    snprintf(to->error, sizeof to->error, "%s", error ? error : "");
    kube_discovery_free(to->free);
}

static void on_warning(void *context, const char *text)
{
    (void)context;
    warnings++;
    snprintf(warning, sizeof warning, "%s", text);
}

static int set_up(void **state)
{
    struct loop *loop = loop_new();
    *state = loop;
    outcome = (struct outcome){0};
    warnings = 0;
    if (!loop || api_start(&server) != 0)
        return -1;
    server.answer = one_pod;
    struct kube_config config = {
        .server = server.url, .folder = server.folder, .timeout = PATIENCE_NS};
    discovery = kube_discovery_new(loop, &config, on_warning, NULL);
    return discovery ? 0 : -1;
}

static int tear_down(void **state)
{
    kube_discovery_free(discovery);
    loop_free(*state);
    api_stop(&server);
    return 0;
}

static void discover(struct loop *loop, const char *settings, bool joined)
{
    unsigned before = outcome.count;
    assert_true(kube_discover(discovery, span_text(settings), 7946, joined, on_done, &outcome));
    assert_int_equal(outcome.count, before);
    assert_true(loop_until(loop, &outcome.count, before + 1));
}

static void pods_are_asked_for_by_namespace_and_selectors(void **state)
{
    char address[ENDPOINT_TEXT_SIZE];
    discover(*state, "provider=k8s label_selector=\"app=serf,tier in (a,b)\" field_selector=a=b",
             true);
    assert_int_equal(outcome.endpoint_count, 1);
    assert_string_equal(endpoint_text(&outcome.first, address), "10.0.0.1:7946");
    assert_int_equal(
        strncmp(server.request,
                "GET /api/v1/namespaces/prod/pods?limit=50"
                "&labelSelector=app%3Dserf%2Ctier%20in%20%28a%2Cb%29&fieldSelector=a%3Db HTTP",
                117),
        0);
}

static void endpoints_are_asked_for_by_service(void **state)
{
    server.answer = ANSWER("200 OK", "{\"items\": [{\"endpoints\": [{\"addresses\":"
                                     " [\"10.0.0.2\"]}]}]}");
    discover(*state, "provider=k8s namespace=a/b service=serf", true);
    assert_int_equal(outcome.endpoint_count, 1);
    assert_non_null(strstr(server.request,
                           "GET /apis/discovery.k8s.io/v1/namespaces/a%2Fb/endpointslices?limit="
                           "50&labelSelector=kubernetes.io%2Fservice-name%3Dserf HTTP"));
}

static void pages_follow_each_other(void **state)
{
    server.answers[0] =
        ANSWER("200 OK", "{\"items\": [" POD("10.0.0.1") "],"
                                                         " \"metadata\": {\"continue\": \"a=\"}}");
    server.answers[1] = ANSWER("200 OK", "{\"items\": [" POD("10.0.0.2") "]}");
    discover(*state, "provider=k8s", true);
    assert_int_equal(outcome.endpoint_count, 2);
    assert_non_null(strstr(server.request, "limit=50&continue=a%3D HTTP"));
}

static void a_page_that_is_too_old_begins_the_list_anew_once(void **state)
{
    server.answers[0] = server.answers[2] =
        ANSWER("200 OK", "{\"items\": [" POD("10.0.0.1") "], \"metadata\": {\"continue\": \"a\"}}");
    server.answers[1] = server.answers[3] = ANSWER("410 Gone", "{\"message\": \"too old\"}");
    discover(*state, "provider=k8s", true);
    assert_int_equal(server.requests, 4);
    assert_string_equal(outcome.error, "the API server says 410 Gone: too old");
}

static void pages_without_end_are_left_at_a_limit(void **state)
{
    server.answer =
        ANSWER("200 OK", "{\"items\": [" POD("10.0.0.1") "],"
                                                         " \"metadata\": {\"continue\": \"a\"}}");
    discover(*state, "provider=k8s", true);
    assert_int_equal(server.requests, KUBE_PAGES_MAX);
    assert_int_equal(outcome.endpoint_count, 1);
    assert_int_equal(warnings, 1);
    assert_string_equal(warning, "'provider=k8s' finds more than 3200 objects: the rest is left "
                                 "out; a narrower label_selector avoids that");
}

static void that_addresses_are_left_out_is_told_once(void **state)
{
    struct buffer page;
    buffer_init(&page, 1024 * 1024);
    buffer_append_text(&page, "HTTP/1.1 200 OK\r\n\r\n{\"items\": [");
    for (unsigned i = 0; i <= KUBE_ADDRESSES_MAX; i++)
        buffer_printf(&page, "%s{\"status\": {\"podIP\": \"10.1.%u.%u\"}}", i ? "," : "", i / 250,
                      i % 250);
    buffer_append_text(&page, "]}");
    server.answer = buffer_text(&page);
    server.answers[0] = one_pod;
    uint64_t end = loop_now() + PATIENCE_NS;
    discover(*state, "provider=k8s", false);
    assert_int_equal(warnings, 0);
    while (server.requests < 3 && loop_now() < end)
        discover(*state, "provider=k8s", false);
    assert_int_equal(server.requests, 3);
    assert_int_equal(outcome.endpoint_count, KUBE_ADDRESSES_MAX);
    assert_int_equal(warnings, 1);
    assert_string_equal(warning, "'provider=k8s' finds more than 1024 addresses: the rest is left "
                                 "out; a narrower label_selector avoids that");
    kube_discovery_free(discovery);
    discovery = NULL;
    buffer_fini(&page);
}

static void who_has_joined_is_answered_from_memory(void **state)
{
    discover(*state, "provider=k8s", true);
    for (unsigned i = 0; i < 5; i++)
        discover(*state, "provider=k8s", true);
    assert_int_equal(outcome.endpoint_count, 1);
    assert_int_equal(server.requests, 1);
    discover(*state, "provider=k8s namespace=other", true); /* not asked yet */
    assert_int_equal(server.requests, 2);
}

static void failures_are_remembered_too(void **state)
{
    server.answer = ANSWER("500 Internal Server Error", "");
    discover(*state, "provider=k8s", true);
    discover(*state, "provider=k8s", true);
    assert_int_equal(server.requests, 1);
    assert_string_equal(outcome.error, "the API server says 500 Internal Server Error");
}

static void who_is_alone_asks_again_soon(void **state)
{
    server.answers[0] = ANSWER("500 Internal Server Error", "");
    uint64_t end = loop_now() + PATIENCE_NS;
    discover(*state, "provider=k8s", false);
    while (outcome.endpoint_count == 0 && loop_now() < end)
        discover(*state, "provider=k8s", false);
    assert_int_equal(outcome.endpoint_count, 1);
    assert_int_equal(server.requests, 2);
}

static void who_asks_meanwhile_waits_for_the_same_list(void **state)
{
    for (unsigned i = 0; i < 3; i++)
        assert_true(kube_discover(discovery, span_text("provider=k8s"), (uint16_t)(7000 + i), false,
                                  on_done, &outcome));
    assert_true(loop_until(*state, &outcome.count, 3));
    assert_int_equal(server.requests, 1);
}

static void waiting_has_a_limit(void **state)
{
    for (unsigned i = 0; i <= KUBE_DISCOVERIES_MAX; i++)
        assert_true(
            kube_discover(discovery, span_text("provider=k8s"), 1, false, on_done, &outcome));
    assert_true(loop_until(*state, &outcome.count, 1));
    assert_string_equal(outcome.error, "64 others wait for the API server already");
    assert_true(loop_until(*state, &outcome.count, KUBE_DISCOVERIES_MAX + 1));
}

static void old_settings_make_room_for_new_ones(void **state)
{
    char settings[64];
    for (unsigned i = 0; i < KUBE_SETTINGS_MAX + 3; i++) {
        snprintf(settings, sizeof settings, "provider=k8s namespace=n%u", i);
        discover(*state, settings, true);
        assert_int_equal(outcome.endpoint_count, 1);
    }
}

static void nobody_is_an_error_that_says_where_it_looked(void **state)
{
    server.answer = ANSWER("200 OK", "{\"items\": []}");
    discover(*state, "provider=k8s label_selector=app=serf", true);
    assert_string_equal(outcome.error, "no pod of the namespace prod with app=serf has an address");
    discover(*state, "provider=k8s service=serf namespace=x", true);
    assert_string_equal(outcome.error, "the Service serf of the namespace x has no endpoint");
}

static void wrong_settings_ask_nobody(void **state)
{
    discover(*state, "provider=aws", false);
    assert_string_equal(outcome.error, "there is no provider \"aws\": the only one is k8s");
    discover(*state, "provider=aws", false);
    assert_string_equal(outcome.error, "there is no provider \"aws\": the only one is k8s");
    assert_int_equal(server.requests, 0);
}

static void without_a_namespace_anywhere_the_file_is_named(void **state)
{
    api_write_file(&server, "namespace", "");
    discover(*state, "provider=k8s", false);
    assert_non_null(strstr(outcome.error, "/namespace is empty"));
}

static void freeing_silences_who_waits(void **state)
{
    assert_true(kube_discover(discovery, span_text("provider=k8s"), 1, true, on_done, &outcome));
    assert_true(kube_discover(discovery, span_text("provider=x"), 1, true, on_done, &outcome));
    kube_discovery_free(discovery);
    discovery = NULL;
    loop_turn(*state, false);
    assert_int_equal(outcome.count, 0);
}

static void it_may_be_freed_inside_an_answer(void **state)
{
    outcome.free = discovery;
    for (unsigned i = 0; i < 3; i++)
        assert_true(
            kube_discover(discovery, span_text("provider=k8s"), 1, true, on_done, &outcome));
    discovery = NULL;
    assert_true(loop_until(*state, &outcome.count, 1));
    loop_turn(*state, false);
    assert_int_equal(outcome.count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pods_are_asked_for_by_namespace_and_selectors),
        TEST(endpoints_are_asked_for_by_service),
        TEST(pages_follow_each_other),
        TEST(a_page_that_is_too_old_begins_the_list_anew_once),
        TEST(pages_without_end_are_left_at_a_limit),
        TEST(that_addresses_are_left_out_is_told_once),
        TEST(who_has_joined_is_answered_from_memory),
        TEST(failures_are_remembered_too),
        TEST(who_is_alone_asks_again_soon),
        TEST(who_asks_meanwhile_waits_for_the_same_list),
        TEST(waiting_has_a_limit),
        TEST(old_settings_make_room_for_new_ones),
        TEST(nobody_is_an_error_that_says_where_it_looked),
        TEST(wrong_settings_ask_nobody),
        TEST(without_a_namespace_anywhere_the_file_is_named),
        TEST(freeing_silences_who_waits),
        TEST(it_may_be_freed_inside_an_answer),
    };
    return cmocka_run_group_tests_name("kube_discovery", tests, NULL, NULL);
}

#include "api_fixture.h"

#include "kube_api.h"

struct outcome {
    unsigned count, status;
    char body[4096], error[1024];
    struct kube_api *free; /* inside the callback */
};

static struct api_server server;
static struct kube_config config;
static struct kube_api *api;
static struct outcome outcome;

static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

static void on_done(void *context, unsigned status, struct span body, const char *error)
{
    struct outcome *to = context;
    to->count++;
    to->status = status;
    assert_true((status == 0) == (error != NULL));
    snprintf(to->body, sizeof to->body, "%.*s", SPAN_PRINT(body));
    snprintf(to->error, sizeof to->error, "%s", error ? error : "");
    kube_api_free(to->free);
}

static int set_up(void **state)
{
    struct loop *loop = loop_new();
    *state = loop;
    outcome = (struct outcome){0};
    if (!loop || api_start(&server) != 0)
        return -1;
    server.answer = hello;
    config =
        (struct kube_config){.server = server.url, .folder = server.folder, .timeout = PATIENCE_NS};
    api = kube_api_new(loop, &config);
    return api ? 0 : -1;
}

static int tear_down(void **state)
{
    kube_api_free(api);
    loop_free(*state);
    api_stop(&server);
    return 0;
}

static void use_config(struct loop *loop)
{
    kube_api_free(api);
    api = kube_api_new(loop, &config);
    assert_non_null(api);
}

static void get(struct loop *loop, const char *path)
{
    unsigned before = outcome.count;
    assert_true(kube_api_request(api, KUBE_GET, path, NULL, SPAN_EMPTY, on_done, &outcome));
    assert_int_equal(outcome.count, before);
    assert_true(loop_until(loop, &outcome.count, before + 1));
}

static void assert_failed(const char *reason)
{
    assert_int_equal(outcome.status, 0);
    if (!strstr(outcome.error, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, outcome.error);
    assert_null(strstr(outcome.error, "secret"));
}

static void a_request_carries_the_token_and_the_host(void **state)
{
    char host[64];
    get(*state, "/api/v1/namespaces/default/pods?limit=1");
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.body, "hello");
    assert_int_equal(
        strncmp(server.request, "GET /api/v1/namespaces/default/pods?limit=1 HTTP/1.1\r\n", 54), 0);
    snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%u\r\n", server.port);
    assert_non_null(strstr(server.request, host));
    assert_non_null(strstr(server.request, "\r\nAuthorization: Bearer secret-token\r\n"));
    assert_null(strstr(server.request, "Content-"));
}

static void a_patch_carries_its_body(void **state)
{
    assert_true(kube_api_request(api, KUBE_PATCH, "/x", "application/merge-patch+json",
                                 span_text("{\"data\": {}}"), on_done, &outcome));
    assert_true(loop_until(*state, &outcome.count, 1));
    assert_int_equal(outcome.status, 200);
    assert_int_equal(strncmp(server.request, "PATCH /x HTTP/1.1\r\n", 19), 0);
    assert_non_null(strstr(server.request, "\r\nContent-Type: application/merge-patch+json\r\n"
                                           "Content-Length: 12\r\n"));
    assert_non_null(strstr(server.request, "\r\n\r\n{\"data\": {}}"));
}

static void a_status_that_is_no_success_is_an_answer(void **state)
{
    server.answer = "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://127.0.0.1:1/\r\n"
                    "Content-Length: 0\r\n\r\n";
    get(*state, "/");
    assert_int_equal(outcome.status, 307);
    server.answer = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2\r\nno\r\n0\r\n\r\n";
    get(*state, "/");
    assert_int_equal(outcome.status, 403);
    assert_string_equal(outcome.body, "no");
    assert_int_equal(server.requests, 2);
}

static void files_are_read_anew_for_each_request(void **state)
{
    get(*state, "/");
    api_write_file(&server, "token", "second");
    api_use_certificate(&server, &server.stranger, "IP:127.0.0.1");
    api_trust(&server, &server.stranger);
    get(*state, "/");
    assert_int_equal(outcome.status, 200);
    assert_non_null(strstr(server.request, "Bearer second\r\n"));
}

static void a_server_without_proof_gets_nothing(void **state)
{
    api_use_certificate(&server, &server.stranger, "IP:127.0.0.1");
    get(*state, "/");
    assert_failed(": tls: failed to verify the server's certificate: ");
    api_use_certificate(&server, &server.authority, "IP:127.0.0.2,DNS:127.0.0.1");
    get(*state, "/");
    assert_failed("IP address mismatch");
    snprintf(server.url, sizeof server.url, "https://localhost:%u", server.port);
    get(*state, "/");
    assert_failed("hostname mismatch");
    assert_int_equal(server.requests, 0);
}

static void a_server_may_be_called_by_its_name(void **state)
{
    snprintf(server.url, sizeof server.url, "https://localhost:%u/", server.port);
    get(*state, "/");
    assert_int_equal(outcome.status, 200);
    assert_non_null(strstr(server.request, "\r\nHost: localhost:"));
}

static void old_versions_of_tls_are_refused(void **state)
{
    SSL_CTX_set_security_level(server.context, 0);
    SSL_CTX_set_min_proto_version(server.context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(server.context, TLS1_1_VERSION);
    get(*state, "/");
    assert_failed(": tls: ");
    assert_int_equal(server.requests, 0);
}

static void only_https_is_spoken(void **state)
{
    const char *wrong[] = {"http://127.0.0.1:80",  "127.0.0.1:443",    "https://",
                           "https://a:0",          "https://a:65536",  "https://a:x",
                           "https://fd00::1",      "https://[fd00::1", "https://[10.0.0.1]",
                           "https://[fd00::1]443", "https://user@a",   "https://a/path",
                           "https://a:443:443",    "https://a b",      "https://a\r\nHost: b"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        config.server = wrong[i];
        use_config(*state);
        get(*state, "/");
        assert_failed(" must be https://HOST or https://HOST:PORT");
    }
}

static void the_environment_names_the_server(void **state)
{
    char port[8];
    config.server = NULL;
    use_config(*state);
    unsetenv("KUBERNETES_SERVICE_HOST");
    get(*state, "/");
    assert_failed("KUBERNETES_SERVICE_HOST is not set");
    setenv("KUBERNETES_SERVICE_HOST", "a/b", 1);
    get(*state, "/");
    assert_failed("KUBERNETES_SERVICE_HOST is \"a/b\", which is no host");
    setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "tcp://1", 1);
    get(*state, "/");
    assert_failed("KUBERNETES_SERVICE_PORT is \"tcp://1\", which is no port");
    snprintf(port, sizeof port, "%u", server.port);
    setenv("KUBERNETES_SERVICE_PORT", port, 1);
    get(*state, "/");
    assert_int_equal(outcome.status, 200);
    setenv("KUBERNETES_SERVICE_HOST", "::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "", 1);
    get(*state, "/");
    assert_failed("https://[::1]:443: ");
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
}

static void what_is_wrong_with_the_account_is_told(void **state)
{
    char text[256];
    api_write_file(&server, "token", "secret\nX-Header: 1");
    get(*state, "/");
    assert_failed("the service account's token has characters that no token has");
    api_write_file(&server, "token", " \n");
    get(*state, "/");
    assert_failed("/token is empty");
    api_write_file(&server, "token", "secret");
    api_write_file(&server, "ca.crt", "none\n");
    get(*state, "/");
    assert_failed("/ca.crt: the certificates can't be read: there is none");
    api_write_file(&server, "ca.crt",
                   "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    get(*state, "/");
    assert_failed("/ca.crt: the certificates can't be read: ");
    config.folder = "/nowhere";
    use_config(*state);
    get(*state, "/");
    snprintf(text, sizeof text, "open /nowhere/token: no such file or directory");
    assert_string_equal(outcome.error, text);
}

static void nobody_there_is_told_with_the_address(void **state)
{
    config.server = "https://127.0.0.1:9";
    use_config(*state);
    get(*state, "/");
    assert_string_equal(outcome.error, "https://127.0.0.1:9: dial tcp 127.0.0.1:9: connect: "
                                       "connection refused");
}

static void answers_have_a_limit(void **state)
{
    config.answer_size_max = 4;
    use_config(*state);
    get(*state, "/");
    assert_failed("the answer is larger than the limit");
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell";
    get(*state, "/");
    assert_string_equal(outcome.body, "hell");
}

static void an_answer_that_is_cut_is_none(void **state)
{
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
    get(*state, "/");
    assert_failed("the connection ended before the answer did");
    /* Without a length only TLS's goodbye tells a whole answer from a part. */
    server.answer = "HTTP/1.1 200 OK\r\n\r\nhello";
    get(*state, "/");
    assert_string_equal(outcome.body, "hello");
    server.cut = true;
    get(*state, "/");
    assert_failed("the connection ended before the answer did");
}

static void waiting_has_an_end(void **state)
{
    server.hang = true;
    config.timeout = 200000000;
    use_config(*state);
    get(*state, "/");
    assert_failed("no answer within 0.2 s");
}

static void freeing_the_client_silences_its_requests(void **state)
{
    struct loop *loop = *state;
    for (unsigned turns = 0; turns < 12; turns++) {
        assert_true(kube_api_request(api, KUBE_GET, "/", NULL, SPAN_EMPTY, on_done, &outcome));
        assert_true(kube_api_request(api, KUBE_GET, "/", NULL, SPAN_EMPTY, on_done, &outcome));
        unsigned before = outcome.count;
        for (unsigned i = 0; i < turns && outcome.count == before; i++)
            loop_turn(loop, false);
        before = outcome.count;
        kube_api_free(api);
        loop_turn(loop, false);
        assert_int_equal(outcome.count, before);
        api = kube_api_new(loop, &config);
        assert_non_null(api);
    }
}

static void the_client_may_be_freed_inside_an_answer(void **state)
{
    outcome.free = api;
    api = NULL;
    assert_true(kube_api_request(outcome.free, KUBE_GET, "/", NULL, SPAN_EMPTY, on_done, &outcome));
    assert_true(loop_until(*state, &outcome.count, 1));
    assert_string_equal(outcome.body, "hello");
}

static void requests_at_once_have_a_limit(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KUBE_REQUESTS_MAX; i++)
        assert_true(kube_api_request(api, KUBE_GET, "/", NULL, SPAN_EMPTY, on_done, &outcome));
    assert_false(kube_api_request(api, KUBE_GET, "/", NULL, SPAN_EMPTY, on_done, &outcome));
}

static void the_account_has_a_namespace(void **state)
{
    struct buffer name, error;
    (void)state;
    buffer_init(&name, 100);
    buffer_init(&error, 256);
    assert_true(kube_account_namespace(&config, &name, &error));
    assert_string_equal(buffer_text(&name), "prod");
    config.folder = "/nowhere";
    assert_false(kube_account_namespace(&config, &name, &error));
    assert_string_equal(buffer_text(&error), "open /nowhere/namespace: no such file or directory");
    buffer_fini(&name);
    buffer_fini(&error);
}

static void assert_status_text(unsigned status, const char *body, const char *expected)
{
    struct buffer text;
    buffer_init(&text, 2048);
    kube_status_text(status, span_text(body), &text);
    assert_string_equal(buffer_text(&text), expected);
    buffer_fini(&text);
}

static void a_status_is_told_with_the_server_s_message(void **state)
{
    (void)state;
    assert_status_text(403, "{\"message\": \"pods is forbidden\\nUser \\\"x\\\"\"}",
                       "403 Forbidden: pods is forbidden\\x0aUser \"x\"");
    assert_status_text(500, "<html>", "500 Internal Server Error");
    assert_status_text(404, "{\"message\": 5}", "404 Not Found");
    assert_status_text(418, "", "418");
    assert_status_text(302, "", "302 (a redirect, which is not followed)");
}

static void text_is_percent_encoded(void **state)
{
    struct buffer out;
    (void)state;
    buffer_init(&out, 256);
    kube_append_encoded(&out, span_text("app=serf,tier in (a,b)&-._~/%\xc3"));
    assert_string_equal(buffer_text(&out), "app%3Dserf%2Ctier%20in%20%28a%2Cb%29%26-._~%2F%25%C3");
    buffer_fini(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_carries_the_token_and_the_host),
        TEST(a_patch_carries_its_body),
        TEST(a_status_that_is_no_success_is_an_answer),
        TEST(files_are_read_anew_for_each_request),
        TEST(a_server_without_proof_gets_nothing),
        TEST(a_server_may_be_called_by_its_name),
        TEST(old_versions_of_tls_are_refused),
        TEST(only_https_is_spoken),
        TEST(the_environment_names_the_server),
        TEST(what_is_wrong_with_the_account_is_told),
        TEST(nobody_there_is_told_with_the_address),
        TEST(answers_have_a_limit),
        TEST(an_answer_that_is_cut_is_none),
        TEST(waiting_has_an_end),
        TEST(freeing_the_client_silences_its_requests),
        TEST(the_client_may_be_freed_inside_an_answer),
        TEST(requests_at_once_have_a_limit),
        TEST(the_account_has_a_namespace),
        TEST(a_status_is_told_with_the_server_s_message),
        TEST(text_is_percent_encoded),
    };
    return cmocka_run_group_tests_name("kube_api", tests, NULL, NULL);
}

/* Every allocation fails in turn, alone and with all that follow: each operation is run with the
 * first refused, then the second, and so on until it needs no more. Whatever fails must say so,
 * must not crash, must leave nothing behind (which the sanitizer and valgrind see), and must work
 * again when there is memory. */
#include "api_fixture.h"

#include <event2/event.h>
#include <jansson.h>
#include <openssl/crypto.h>

#include "http_response.h"
#include "kube_discovery.h"
#include "kube_lists.h"
#include "kube_provider.h"

/* --- refusing memory --- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);

/* Of this thread: the server has memory. */
static _Thread_local struct {
    bool armed;
    bool lasting; /* all that follow fail too */
    bool openssl; /* OpenSSL's allocations count (it may have other words), or all others */
    long step;    /* 1: each is refused in turn */
    long allowed, count;
} memory;

static bool refuse(bool openssl)
{
    if (!memory.armed || memory.openssl != openssl)
        return false;
    long number = memory.count++;
    return number == memory.allowed || (memory.lasting && number > memory.allowed);
}

void *__wrap_malloc(size_t size)
{
    return refuse(false) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refuse(false) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return refuse(false) ? NULL : __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    return refuse(false) ? NULL : __real_strdup(text);
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size == 0 || refuse(true) ? NULL : __real_malloc(size);
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size > 0)
        return refuse(true) ? NULL : __real_realloc(block, size);
    free(block);
    return NULL;
}

static void openssl_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    free(block);
}

static int use_refusing_memory(void **state)
{
    (void)state;
    memory.step = 1;
    event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
    json_set_alloc_funcs(__wrap_malloc, free);
    return CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) ? 0 : -1;
}

enum { ALL = -1 };

/* Runs `operation`, which says whether it succeeded, with each of its allocations refused. At least
 * `failures_min` must make it fail; ALL: it never succeeds. */
static void fail_each_allocation(bool (*operation)(void), bool lasting, long failures_min)
{
    long failures = 0;
    for (long allowed = 0;; allowed += memory.step) {
        memory.lasting = lasting;
        memory.allowed = allowed;
        memory.count = 0;
        memory.armed = true;
        bool succeeded = operation();
        memory.armed = false;
        failures += !succeeded;
        if (memory.count <= allowed) {
            assert_true(succeeded || failures_min == ALL);
            break;
        }
        assert_true(!succeeded || failures_min != ALL);
    }
    assert_true(failures >= failures_min);
}

static void fail_each_allocation_alone_and_with_all_that_follow(bool (*operation)(void),
                                                                long failures_min)
{
    fail_each_allocation(operation, false, failures_min);
    fail_each_allocation(operation, true, failures_min);
}

/* Whether a text says what happened. Where there was no memory for the words either, it is empty;
 * and Jansson takes a key that it could not copy for one that is no string. */
static bool says_why(const char *error)
{
    return !*error || strstr(error, "memory") || strstr(error, " is no JSON from byte ");
}

/* --- what reads --- */

static bool parse_settings(void)
{
    struct kube_provider provider;
    struct buffer error;
    buffer_init(&error, 1024);
    bool good = kube_provider_parse(&provider,
                                    span_text("provider=k8s namespace=prod label_selector=\"a in "
                                              "(b,c)\" field_selector=d=e"),
                                    &error);
    memory.armed = false;
    if (good) {
        assert_string_equal(provider.namespace, "prod");
        assert_string_equal(provider.label_selector, "a in (b,c)");
        kube_provider_fini(&provider);
    } else {
        assert_true(says_why(buffer_text(&error)));
    }
    buffer_fini(&error);
    return good;
}

static void settings(void **state)
{
    (void)state;
    fail_each_allocation_alone_and_with_all_that_follow(parse_settings, 6);
}

static bool read_response(void)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "5\r\nhello\r\n200\r\n";
    struct http_response response;
    char chunk[0x200];
    memset(chunk, 'x', sizeof chunk);
    http_response_init(&response, 1024 * 1024);
    http_response_feed(&response, span_text(answer));
    http_response_feed(&response, span_make(chunk, sizeof chunk));
    http_response_feed(&response, span_text("\r\n0\r\n\r\n"));
    memory.armed = false;
    bool good = response.state == HTTP_RESPONSE_DONE;
    if (good)
        assert_int_equal(response.body.size, 5 + sizeof chunk);
    else
        assert_string_equal(response.wrong, "out of memory");
    http_response_fini(&response);
    return good;
}

static void an_answer_of_http(void **state)
{
    (void)state;
    fail_each_allocation_alone_and_with_all_that_follow(read_response, 3);
}

enum { POD_COUNT = 20 }; /* more than a table of addresses begins with */

static char pods[8192], slices[8192];

static void write_lists(void)
{
    size_t size = (size_t)snprintf(pods, sizeof pods, "{\"items\": [");
    for (int i = 0; i < POD_COUNT; i++)
        size += (size_t)snprintf(pods + size, sizeof pods - size,
                                 "%s{\"status\": {\"podIP\": \"10.0.0.%d\"}}", i ? "," : "", i);
    snprintf(pods + size, sizeof pods - size, "], \"metadata\": {\"continue\": \"mark\"}}");
    size = (size_t)snprintf(slices, sizeof slices, "{\"items\": [");
    for (int i = 0; i < POD_COUNT; i++)
        size += (size_t)snprintf(slices + size, sizeof slices - size,
                                 "%s{\"endpoints\": [{\"addresses\": [\"10.0.0.%d\"]}]}",
                                 i ? "," : "", i);
    snprintf(slices + size, sizeof slices - size, "], \"metadata\": {\"continue\": \"mark\"}}");
}

static bool read_list(bool services)
{
    struct kube_addresses addresses = {0};
    struct buffer more, error;
    buffer_init(&more, KUBE_CONTINUE_SIZE_MAX);
    buffer_init(&error, 1024);
    bool good = services ? kube_read_slices(span_text(slices), &addresses, &more, &error)
                         : kube_read_pods(span_text(pods), false, &addresses, &more, &error);
    memory.armed = false;
    if (good) {
        assert_int_equal(addresses.count, POD_COUNT);
        assert_string_equal(buffer_text(&more), "mark");
    } else {
        assert_true(says_why(buffer_text(&error)));
    }
    kube_addresses_fini(&addresses);
    buffer_fini(&more);
    buffer_fini(&error);
    return good;
}

static bool read_pods(void)
{
    return read_list(false);
}

static bool read_slices(void)
{
    return read_list(true);
}

static void lists(void **state)
{
    (void)state;
    write_lists();
    fail_each_allocation_alone_and_with_all_that_follow(read_pods, 50);
    fail_each_allocation_alone_and_with_all_that_follow(read_slices, 50);
}

static bool write_status(void)
{
    struct buffer text;
    buffer_init(&text, 1024);
    kube_status_text(403, span_text("{\"message\": \"no\"}"), &text);
    bool whole = !text.failed && text.size == strlen("403 Forbidden: no");
    kube_append_encoded(&text, span_text("a b"));
    memory.armed = false;
    assert_true(text.failed || strncmp(buffer_text(&text), "403 Forbidden", 13) == 0);
    buffer_fini(&text);
    return whole;
}

static void what_is_said_about_a_refusal(void **state)
{
    (void)state;
    fail_each_allocation_alone_and_with_all_that_follow(write_status, 2);
}

/* --- asking --- */

static struct api_server server;
static struct loop *loop;
static unsigned answers;
static size_t found;
static char reason[1024];

static void on_done(void *context, const struct endpoint *endpoints, size_t count,
                    const char *error)
{
    (void)context;
    assert_true((count > 0) == (error == NULL));
    assert_true(count == 0 || endpoints[0].port == 7946);
    answers++;
    found = count;
    snprintf(reason, sizeof reason, "%s", error ? error : "");
}

static bool discover_at(struct kube_discovery *discovery)
{
    answers = 0;
    found = 0;
    if (!kube_discover(discovery, span_text("provider=k8s"), 7946, false, on_done, NULL))
        return false;
    assert_int_equal(answers, 0);
    assert_true(loop_until(loop, &answers, 1));
    return found == 1;
}

/* The whole way of one question: settings, files, TLS, HTTP, list. */
static bool discover(void)
{
    struct kube_config config = {.server = server.url, .folder = server.folder};
    struct kube_discovery *discovery = kube_discovery_new(loop, &config, NULL, NULL);
    bool good = discovery && discover_at(discovery);
    memory.armed = false;
    if (discovery && answers && !good)
        assert_true(*reason && (memory.openssl || says_why(reason)));
    kube_discovery_free(discovery);
    return good;
}

static int start_server(void **state)
{
    (void)state;
    loop = loop_new();
    if (!loop || api_start(&server) != 0)
        return -1;
    server.answer = "HTTP/1.1 200 OK\r\n\r\n{\"items\": [{\"status\": {\"podIP\": \"10.0.0.1\"}}]}";
    return discover() ? 0 : -1; /* whatever is made once */
}

static int stop_server(void **state)
{
    (void)state;
    loop_free(loop);
    api_stop(&server);
    return 0;
}

static void a_question_to_the_api_server(void **state)
{
    (void)state;
    fail_each_allocation_alone_and_with_all_that_follow(discover, 20);
}

/* Of thousands of allocations some: the step has no factor with what repeats. */
static void use_openssl_s_allocations(bool use)
{
    memory.openssl = use;
    memory.step = use ? 29 : 1;
}

static void a_question_to_the_api_server_inside_openssl(void **state)
{
    (void)state;
    use_openssl_s_allocations(true);
    fail_each_allocation_alone_and_with_all_that_follow(discover, 20);
    use_openssl_s_allocations(false);
}

static void no_failure_makes_a_stranger_s_certificate_good(void **state)
{
    (void)state;
    api_use_certificate(&server, &server.stranger, "IP:127.0.0.1");
    use_openssl_s_allocations(true);
    fail_each_allocation(discover, false, ALL);
    use_openssl_s_allocations(false);
}

static void settings_that_could_not_be_read_are_read_again(void **state)
{
    struct kube_config config = {.server = server.url, .folder = server.folder};
    (void)state;
    for (memory.allowed = 0; memory.allowed < 4; memory.allowed++) {
        struct kube_discovery *discovery = kube_discovery_new(loop, &config, NULL, NULL);
        answers = 0;
        memory.count = 0;
        memory.armed = true;
        bool asked = kube_discover(discovery, span_text("provider=k8s"), 7946, true, on_done, NULL);
        memory.armed = false;
        assert_true(!asked || loop_until(loop, &answers, 1));
        assert_true(discover_at(discovery));
        kube_discovery_free(discovery);
    }
}

int main(void)
{
#define ASKING(name) cmocka_unit_test_setup_teardown(name, start_server, stop_server)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings),
        cmocka_unit_test(an_answer_of_http),
        cmocka_unit_test(lists),
        cmocka_unit_test(what_is_said_about_a_refusal),
        ASKING(a_question_to_the_api_server),
        ASKING(a_question_to_the_api_server_inside_openssl),
        ASKING(no_failure_makes_a_stranger_s_certificate_good),
        ASKING(settings_that_could_not_be_read_are_read_again),
    };
    return cmocka_run_group_tests_name("kube_allocation", tests, use_refusing_memory, NULL);
}

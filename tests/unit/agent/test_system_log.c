/* The system log is a socket of the test's own. */
#include "support.h"

#include "system_log.h"

#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct agent_log *log_;
static struct system_log *system_log;
static struct buffer error;
static char path[128];
static const char *const paths[] = {"/no/such/socket", path, NULL};
static int listener = -1, null_output;
static char datagram[LOG_LINE_SIZE_MAX + 512];

static void listen_again(int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    listener = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(listener, 4), 0);
}

static int set_up(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    if (make_directory(state) != 0)
        return -1;
    snprintf(path, sizeof(path), "%s/log", test_directory);
    null_output = open("/dev/null", O_WRONLY);
    log_ = agent_log_new(null_output, LOG_LEVEL_INFO);
    buffer_init(&error, 1024);
    return log_ ? 0 : -1;
}

static int tear_down(void **state)
{
    system_log_free(system_log);
    system_log = NULL;
    agent_log_free(log_);
    buffer_fini(&error);
    close(null_output);
    if (listener >= 0)
        close(listener);
    listener = -1;
    return remove_directory(state);
}

/* The next datagram, "" when there is none. */
static const char *receive(int from)
{
    ssize_t size = recv(from, datagram, sizeof(datagram) - 1, 0);
    datagram[size > 0 ? size : 0] = '\0';
    return datagram;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        fail_msg("\"%s\" does not match %s", text, pattern);
    regfree(&regex);
}

static void start(void)
{
    system_log = system_log_new(log_, 16, paths, &error);
    assert_non_null(system_log);
}

static void a_line_is_a_datagram_with_priority_time_and_process(void **state)
{
    (void)state;
    char pattern[128];
    listen_again(SOCK_DGRAM);
    start();
    agent_log_printf(log_, LOG_LEVEL_INFO, "agent: hello %d", 7);
    snprintf(pattern, sizeof(pattern),
             "^<133>[A-Z][a-z]{2} [ 123][0-9] [0-9:]{8} serf\\[%d\\]: agent: hello 7\n$",
             (int)getpid());
    assert_matches(receive(listener), pattern);
    assert_string_equal(receive(listener), "");
}

static void severities_are_the_references_and_the_level_is_that_of_the_log(void **state)
{
    (void)state;
    static const char *const starts[] = {"<135>", "<134>", "<133>", "<132>", "<131>"};
    listen_again(SOCK_DGRAM);
    start();
    agent_log_printf(log_, LOG_LEVEL_DEBUG, "agent: below");
    assert_string_equal(receive(listener), "");
    agent_log_set_level(log_, LOG_LEVEL_TRACE);
    for (int level = LOG_LEVEL_TRACE; level <= LOG_LEVEL_ERR; level++) {
        agent_log_printf(log_, (enum log_level)level, "agent: x");
        assert_starts_with(receive(listener), starts[level]);
    }
}

static void lines_from_before_are_sent_too(void **state)
{
    (void)state;
    listen_again(SOCK_DGRAM);
    agent_log_printf(log_, LOG_LEVEL_INFO, "agent: early");
    start();
    assert_contains(receive(listener), "]: agent: early\n");
}

static void facilities_are_known_in_any_case(void **state)
{
    (void)state;
    int facility;
    assert_true(system_log_facility("LOCAL7", &facility));
    assert_int_equal(facility, 23);
    assert_true(system_log_facility("daemon", &facility));
    assert_int_equal(facility, 3);
    assert_false(system_log_facility("BOGUS", &facility));
    assert_false(system_log_facility("", &facility));
}

static void where_nobody_listens_the_reason_is_given(void **state)
{
    (void)state;
    assert_null(system_log_new(log_, 16, paths, &error));
    assert_starts_with(buffer_text(&error),
                       "Unix syslog delivery error; nobody listens on /no/such");
}

static void a_system_log_that_is_restarted_is_found_again(void **state)
{
    (void)state;
    listen_again(SOCK_DGRAM);
    start();
    close(listener);
    agent_log_printf(log_, LOG_LEVEL_INFO, "agent: lost 1");
    agent_log_printf(log_, LOG_LEVEL_INFO, "agent: lost 2");
    listen_again(SOCK_DGRAM);
    agent_log_printf(log_, LOG_LEVEL_INFO, "agent: found");
    assert_contains(receive(listener), "<132>");
    assert_contains(datagram, "agent: 2 lines were dropped here: ");
    assert_contains(receive(listener), "]: agent: found\n");
}

static void a_system_log_that_does_not_read_makes_nobody_wait(void **state)
{
    (void)state;
    listen_again(SOCK_DGRAM);
    start();
    for (int i = 0; i < 5000; i++)
        agent_log_printf(log_, LOG_LEVEL_INFO, "agent: line %d", i);
    int read = 0;
    while (*receive(listener))
        read++;
    assert_in_range(read, 1, 4999);
    agent_log_printf(log_, LOG_LEVEL_INFO, "agent: after");
    assert_contains(receive(listener), "lines were dropped here");
    assert_contains(receive(listener), "agent: after");
}

static void a_stream_will_do_as_well(void **state)
{
    (void)state;
    listen_again(SOCK_STREAM);
    start();
    int accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    agent_log_printf(log_, LOG_LEVEL_INFO, "agent: one");
    agent_log_printf(log_, LOG_LEVEL_INFO, "agent: two");
    assert_matches(receive(accepted), "^<133>.*agent: one\n<133>.*agent: two\n$");
    close(accepted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_is_a_datagram_with_priority_time_and_process),
        TEST(severities_are_the_references_and_the_level_is_that_of_the_log),
        TEST(lines_from_before_are_sent_too),
        TEST(facilities_are_known_in_any_case),
        TEST(where_nobody_listens_the_reason_is_given),
        TEST(a_system_log_that_is_restarted_is_found_again),
        TEST(a_system_log_that_does_not_read_makes_nobody_wait),
        TEST(a_stream_will_do_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

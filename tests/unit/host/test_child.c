#include <signal.h>
#include "loop_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"

static char text[64 * 1024 + 1];

static pid_t start_shell(const char *script, struct child_pipes *pipes)
{
    const char *const arguments[] = {"/bin/sh", "-c", script, NULL};
    static char path[] = "PATH=/usr/bin:/bin", mark[] = "MARK=only this";
    char *const environment[] = {path, mark, NULL};
    struct child_program program = {"/bin/sh", arguments, environment, SPAN_EMPTY};
    return child_start(&program, pipes);
}

/* Everything that it says, until it closes its output. */
static void read_all(int descriptor)
{
    size_t size = 0;
    struct pollfd ready = {.fd = descriptor, .events = POLLIN};
    while (poll(&ready, 1, 10000) > 0) {
        ssize_t n = read(descriptor, text + size, sizeof(text) - size - 1);
        if (n <= 0)
            break;
        size += (size_t)n;
    }
    text[size] = '\0';
}

/* Runs it with this input; returns its status. */
static int run_shell(const char *script, const char *input)
{
    struct child_pipes pipes;
    int status;
    pid_t pid = start_shell(script, &pipes);
    assert_true(pid > 0);
    assert_int_equal(write(pipes.input, input, strlen(input)), strlen(input));
    close(pipes.input);
    read_all(pipes.output);
    close(pipes.output);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void input_goes_in_and_both_outputs_come_out_in_one_stream(void **state)
{
    (void)state;
    int status = run_shell("cat; echo to stderr >&2; echo to stdout; exit 3", "input\n");
    assert_string_equal(text, "input\nto stderr\nto stdout\n");
    assert_int_equal(WEXITSTATUS(status), 3);
}

static void the_environment_is_the_one_that_was_given(void **state)
{
    (void)state;
    setenv("INHERITED", "yes", 1);
    run_shell("echo \"$MARK$INHERITED\"", "");
    assert_string_equal(text, "only this\n");
}

static void it_leads_a_process_group_of_its_own(void **state)
{
    (void)state;
    struct child_pipes pipes;
    pid_t pid = start_shell("read line", &pipes);
    assert_true(pid > 0);
    assert_int_equal(getpgid(pid), pid);
    close(pipes.input);
    close(pipes.output);
    waitpid(pid, NULL, 0);
}

static void no_signal_is_blocked_or_ignored(void **state)
{
    (void)state;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    /* No shell, since some unblock what was blocked. */
    struct child_pipes pipes;
    const char *const arguments[] = {"grep", "-E", "SigBlk|SigIgn", "/proc/self/status", NULL};
    char *const environment[] = {NULL};
    struct child_program program = {"/bin/grep", arguments, environment, SPAN_EMPTY};
    pid_t pid = child_start(&program, &pipes);
    assert_true(pid > 0);
    read_all(pipes.output);
    close(pipes.input);
    close(pipes.output);
    waitpid(pid, NULL, 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    unsigned long long masks[2] = {1, 1};
    char *start = strchr(text, ':');
    masks[0] = strtoull(start + 1, &start, 16);
    masks[1] = strtoull(strchr(start, ':') + 1, NULL, 16);
    assert_int_equal(masks[0], 0);
    assert_int_equal(masks[1] & ~(3ull << 31), 0); /* 32 and 33 are the C library's own */
}

static void only_the_three_standard_descriptors_are_open(void **state)
{
    (void)state;
    int inherited = open("/dev/null", O_RDONLY);
    int high = dup2(inherited, 200);
    run_shell("ls /proc/self/fd | tr '\\n' ' '", "");
    close(inherited);
    close(high);
    assert_string_equal(text, "0 1 2 3 "); /* 3 is the folder that is listed */
}

static void pipes_work_where_the_standard_descriptors_were_closed(void **state)
{
    (void)state;
    struct child_pipes pipes;
    int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    close(STDIN_FILENO);
    pid_t pid = start_shell("cat", &pipes);
    assert_true(pid > 0 && pipes.input > STDERR_FILENO && pipes.output > STDERR_FILENO);
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    assert_int_equal(write(pipes.input, "x", 1), 1);
    close(pipes.input);
    read_all(pipes.output);
    close(pipes.output);
    waitpid(pid, NULL, 0);
    assert_string_equal(text, "x");
}

static void the_pipes_never_block_and_are_not_passed_on(void **state)
{
    (void)state;
    struct child_pipes pipes;
    char byte;
    pid_t pid = start_shell("read line", &pipes);
    assert_true(pid > 0);
    assert_int_equal(read(pipes.output, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    for (ssize_t n = 0; n >= 0;)
        n = write(pipes.input, text, sizeof(text));
    assert_int_equal(errno, EAGAIN);
    assert_true(fcntl(pipes.input, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(pipes.output, F_GETFD) & FD_CLOEXEC);
    kill(pid, SIGKILL);
    close(pipes.input);
    close(pipes.output);
    waitpid(pid, NULL, 0);
}

static void input_is_in_the_pipe_before_the_program_begins(void **state)
{
    (void)state;
    struct child_pipes pipes;
    const char *const arguments[] = {"/bin/sh", "-c", "head -c 3", NULL};
    char *const environment[] = {NULL};
    struct child_program program = {"/bin/sh", arguments, environment, span_text("input")};
    pid_t pid = child_start(&program, &pipes);
    assert_true(pid > 0);
    assert_int_equal(pipes.written, 5);
    close(pipes.input);
    read_all(pipes.output);
    close(pipes.output);
    assert_string_equal(text, "inp");
    waitpid(pid, NULL, 0);
    memset(text, 'x', sizeof(text));
    program.input = span_make(text, sizeof(text)); /* one byte more is more than a pipe holds */
    pid = child_start(&program, &pipes);
    assert_true(pid > 0);
    assert_in_range(pipes.written, 4096, 64 * 1024);
    close(pipes.input);
    close(pipes.output);
    waitpid(pid, NULL, 0);
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    for (int i = 0; i < 256; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

static void a_program_that_is_not_there_is_an_error_and_leaves_nothing_open(void **state)
{
    (void)state;
    struct child_pipes pipes;
    const char *const arguments[] = {"x", NULL};
    char *const environment[] = {NULL};
    struct child_program program = {"/no/such/program", arguments, environment, SPAN_EMPTY};
    size_t before = count_descriptors();
    assert_int_equal(child_start(&program, &pipes), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_goes_in_and_both_outputs_come_out_in_one_stream),
        cmocka_unit_test(the_environment_is_the_one_that_was_given),
        cmocka_unit_test(it_leads_a_process_group_of_its_own),
        cmocka_unit_test(no_signal_is_blocked_or_ignored),
        cmocka_unit_test(only_the_three_standard_descriptors_are_open),
        cmocka_unit_test(pipes_work_where_the_standard_descriptors_were_closed),
        cmocka_unit_test(the_pipes_never_block_and_are_not_passed_on),
        cmocka_unit_test(input_is_in_the_pipe_before_the_program_begins),
        cmocka_unit_test(a_program_that_is_not_there_is_an_error_and_leaves_nothing_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

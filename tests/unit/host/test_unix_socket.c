#include "unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char directory[] = "/tmp/unix-socket-XXXXXX";
static char path[80];
static struct unix_socket_file file;
static struct buffer error;

static int make_place(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/unix-socket-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/rpc", directory);
    buffer_init(&error, 1024);
    return 0;
}

static int remove_place(void **state)
{
    (void)state;
    unlink(path);
    buffer_fini(&error);
    return rmdir(directory);
}

static int open_here(void)
{
    return unix_socket_listen(path, 8, &file, &error);
}

/* As a process leaves it that was killed. */
static void leave_dead_file(void)
{
    int descriptor = open_here();
    assert_true(descriptor >= 0);
    free(file.path);
    close(descriptor);
}

static void only_its_owner_may_connect_whatever_the_umask(void **state)
{
    (void)state;
    struct stat status;
    mode_t before = umask(0);
    int descriptor = open_here();
    umask(before);
    assert_true(descriptor >= 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    int client = unix_socket_connect(path);
    assert_true(client >= 0);
    close(client);
    close(descriptor);
    unix_socket_remove(&file);
    assert_int_equal(access(path, F_OK), -1);
}

static void the_file_of_a_dead_owner_is_replaced(void **state)
{
    (void)state;
    leave_dead_file();
    int descriptor = open_here();
    assert_true(descriptor >= 0);
    close(descriptor);
    unix_socket_remove(&file);
}

static void the_place_of_a_living_owner_is_not_taken(void **state)
{
    (void)state;
    struct unix_socket_file other;
    char wanted[256];
    int descriptor = open_here();
    assert_int_equal(unix_socket_listen(path, 8, &other, &error), -1);
    snprintf(wanted, sizeof wanted,
             "listen unix %s: bind: address already in use: process %d listens there; stop it, or "
             "give this agent another path",
             path, (int)getpid());
    assert_string_equal(buffer_text(&error), wanted);
    int client = unix_socket_connect(path); /* it is still there */
    assert_true(client >= 0);
    close(client);
    close(descriptor);
    unix_socket_remove(&file);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(open_here(), -1);
    assert_non_null(strstr(buffer_text(&error), "no socket; take it away"));
    assert_int_equal(access(path, F_OK), 0);
}

static void the_file_of_a_successor_is_not_removed(void **state)
{
    (void)state;
    struct unix_socket_file other;
    int first = open_here();
    assert_int_equal(unlink(path), 0);
    int second = unix_socket_listen(path, 8, &other, &error);
    assert_true(second >= 0);
    unix_socket_remove(&file);
    assert_int_equal(access(path, F_OK), 0);
    unix_socket_remove(&other);
    assert_int_equal(access(path, F_OK), -1);
    close(first);
    close(second);
}

/* Each of them finds the dead file; one gets its place, and keeps it. */
static void of_many_that_start_at_once_one_listens(void **state)
{
    (void)state;
    enum { MANY = 8 };
    pid_t children[MANY];
    int go[2], done[2], winners = 0;
    leave_dead_file();
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(done), 0);
    for (int i = 0; i < MANY; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        char byte;
        close(go[1]);
        close(done[1]);
        ssize_t size = read(go[0], &byte, 1); /* the end of the pipe: all begin */
        int descriptor = open_here();
        if (descriptor < 0)
            _exit(1);
        size += read(done[0], &byte, 1); /* the winner stays until all others have tried */
        _exit(size == 0 && access(path, F_OK) == 0 ? 0 : 2);
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0, ended = 0; i < MANY; i++) {
        int status;
        if (i == MANY - 1)
            close(done[1]);
        ended = waitpid(-1, &status, 0);
        assert_true(ended > 0);
        assert_true(WIFEXITED(status));
        assert_int_not_equal(WEXITSTATUS(status), 2);
        winners += WEXITSTATUS(status) == 0;
    }
    close(done[0]);
    assert_int_equal(winners, 1);
}

static void a_path_that_the_kernel_cannot_take_is_refused(void **state)
{
    (void)state;
    char longer[200];
    memset(longer, 'x', sizeof longer);
    longer[108] = '\0';
    assert_int_equal(unix_socket_listen(longer, 8, &file, &error), -1);
    assert_non_null(strstr(buffer_text(&error), "at most 107 bytes"));
    assert_int_equal(unix_socket_connect(longer), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(unix_socket_connect(path), -1);
    assert_int_equal(errno, ENOENT);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(only_its_owner_may_connect_whatever_the_umask),
        PLACED(the_file_of_a_dead_owner_is_replaced),
        PLACED(the_place_of_a_living_owner_is_not_taken),
        PLACED(what_is_no_socket_is_left_alone),
        PLACED(the_file_of_a_successor_is_not_removed),
        PLACED(of_many_that_start_at_once_one_listens),
        PLACED(a_path_that_the_kernel_cannot_take_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

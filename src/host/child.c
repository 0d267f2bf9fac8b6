/* posix_spawn, since it shares the parent's memory until the program is loaded: an agent that knows
 * many thousands of members starts a handler as quickly as a small one, and no code of ours runs
 * between fork and exec. It also reports a program that can't be loaded as an error of the call.
 *
 * Descriptors of ours are all closed on exec; those that this process inherited itself, which may
 * be anything, are closed by number. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

enum { FIRST_BEYOND_STANDARD = STDERR_FILENO + 1 };

static void close_both(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

/* A process started with its standard input closed would get that number for a pipe, and the
 * child's dup2 would then replace one end by another. */
static bool move_beyond_standard(int *end)
{
    if (*end >= FIRST_BEYOND_STANDARD)
        return true;
    int moved = fcntl(*end, F_DUPFD_CLOEXEC, FIRST_BEYOND_STANDARD);
    if (moved < 0)
        return false;
    close(*end);
    *end = moved;
    return true;
}

static bool open_pipe(int ends[2], int ours)
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    if (move_beyond_standard(&ends[0]) && move_beyond_standard(&ends[1]) &&
        fcntl(ends[ours], F_SETFL, O_NONBLOCK) == 0)
        return true;
    int error = errno;
    close_both(ends);
    errno = error;
    return false;
}

static int set_descriptors(posix_spawn_file_actions_t *actions, int input, int output)
{
    int error = posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(actions, FIRST_BEYOND_STANDARD);
    return error;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setflags(
        attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!error)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (!error)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    return error;
}

/* An error number, or 0. */
static int spawn(const struct child_program *program, int input, int output, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = set_descriptors(&actions, input, output);
        if (!error)
            error = set_attributes(&attributes);
        if (!error)
            error = posix_spawn(pid, program->path, &actions, &attributes,
                                (char *const *)(uintptr_t)program->arguments, program->environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static size_t fill_pipe(int end, struct span input)
{
    size_t written = 0;
    while (written < input.size) {
        ssize_t n = write(end, input.data + written, input.size - written);
        if (n <= 0)
            break;
        written += (size_t)n;
    }
    return written;
}

pid_t child_start(const struct child_program *program, struct child_pipes *pipes)
{
    int input[2], output[2];
    if (!open_pipe(input, 1))
        return -1;
    if (!open_pipe(output, 0)) {
        int error = errno;
        close_both(input);
        errno = error;
        return -1;
    }
    pid_t pid = -1;
    size_t written = fill_pipe(input[1], program->input);
    int error = spawn(program, input[0], output[1], &pid);
    close(input[0]);
    close(output[1]);
    if (error) {
        close(input[1]);
        close(output[0]);
        errno = error;
        return -1;
    }
    *pipes = (struct child_pipes){.input = input[1], .output = output[0], .written = written};
    return pid;
}

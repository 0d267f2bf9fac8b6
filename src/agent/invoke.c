/* The end of a run is the end of the process and the end of its output, in either order, as in the
 * reference: a script that starts something in the background without redirecting its output is not
 * done before that is. A time limit ends this too: after KILL the output is not waited for.
 *
 * A script need not read its input. What fits into the pipe is there before it starts, and the rest
 * is written as it reads; when it ends without, that is a line in the log and no failure. */
#include "invoke.h"

#include "child.h"
#include "socket_text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READ_SIZE = 16 * 1024,
    READS_PER_TURN = 4, /* a flood must not hold the loop */
};

#define GROUP_INTERVAL_NS UINT64_C(50000000)

enum limit_stage {
    WITHIN_LIMIT,
    TERMINATED,
    KILLED,
};

struct invocation {
    struct invocation_config config;
    pid_t pid;
    struct child child;
    bool exited;
    int status;        /* as waitpid gives it */
    int input, output; /* -1: closed */
    struct loop_watch input_watch, output_watch;
    size_t written;
    char input_error[INVOKE_ERROR_SIZE_MAX];
    struct loop_timer slow_timer; /* after TERM: until the group is looked at again */
    struct loop_timer limit_timer;
    enum limit_stage stage;
    uint64_t output_size;
    uint8_t ring[INVOKE_OUTPUT_SIZE_MAX]; /* byte n of the output is at n modulo its size */
};

/* --- the end --- */

static void close_input(struct invocation *invocation)
{
    if (invocation->input < 0)
        return;
    loop_watch_fini(&invocation->input_watch);
    close(invocation->input);
    invocation->input = -1;
}

static void close_output(struct invocation *invocation)
{
    if (invocation->output < 0)
        return;
    loop_watch_fini(&invocation->output_watch);
    close(invocation->output);
    invocation->output = -1;
}

void invocation_abandon(struct invocation *invocation)
{
    if (!invocation)
        return;
    child_unwatch(&invocation->child);
    close_input(invocation);
    close_output(invocation);
    loop_timer_fini(&invocation->slow_timer);
    loop_timer_fini(&invocation->limit_timer);
    free(invocation);
}

/* The words of the reference, for scripts that watch the log. */
static const char *signal_text(int number, char *text, size_t size)
{
    static const char *const names[] = {
        [SIGHUP] = "hangup",
        [SIGINT] = "interrupt",
        [SIGQUIT] = "quit",
        [SIGILL] = "illegal instruction",
        [SIGTRAP] = "trace/breakpoint trap",
        [SIGABRT] = "aborted",
        [SIGBUS] = "bus error",
        [SIGFPE] = "floating point exception",
        [SIGKILL] = "killed",
        [SIGUSR1] = "user defined signal 1",
        [SIGSEGV] = "segmentation fault",
        [SIGUSR2] = "user defined signal 2",
        [SIGPIPE] = "broken pipe",
        [SIGALRM] = "alarm clock",
        [SIGTERM] = "terminated",
    };
    if (number > 0 && (size_t)number < sizeof(names) / sizeof(names[0]) && names[number])
        snprintf(text, size, "signal: %s", names[number]);
    else
        snprintf(text, size, "signal: signal %d", number);
    return text;
}

static const char *ending_text(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status)) {
        signal_text(WTERMSIG(status), text, size);
        if (WCOREDUMP(status)) {
            size_t used = strlen(text);
            snprintf(text + used, size - used, " (core dumped)");
        }
        return text;
    }
    if (WEXITSTATUS(status) == 0)
        return "";
    snprintf(text, size, "exit status %d", WEXITSTATUS(status));
    return text;
}

/* The ring, turned so that it begins with the oldest byte that is left. */
static struct span straighten(struct invocation *invocation, uint8_t *out)
{
    if (invocation->output_size <= sizeof(invocation->ring))
        return span_make(invocation->ring, (size_t)invocation->output_size);
    size_t start = (size_t)(invocation->output_size % sizeof(invocation->ring));
    memcpy(out, invocation->ring + start, sizeof(invocation->ring) - start);
    memcpy(out + sizeof(invocation->ring) - start, invocation->ring, start);
    return span_make(out, sizeof(invocation->ring));
}

static void finish(struct invocation *invocation)
{
    uint8_t straight[INVOKE_OUTPUT_SIZE_MAX];
    char ending[64];
    if (invocation->written < invocation->config.input.size && !invocation->input_error[0])
        snprintf(invocation->input_error, sizeof(invocation->input_error),
                 "write |1: file already closed");
    struct invocation_result result = {
        .success = WIFEXITED(invocation->status) && WEXITSTATUS(invocation->status) == 0,
        .ending = ending_text(invocation->status, ending, sizeof(ending)),
        .input_error = invocation->input_error[0] ? invocation->input_error : NULL,
        .output = straighten(invocation, straight),
        .output_size = invocation->output_size,
    };
    invocation->config.ended(invocation->config.context, &result);
    invocation_abandon(invocation);
}

/* Processes that were told to end, and have let go of the output, but are still there. Nobody tells
 * us when a group is empty, so it is asked for now and then, until KILL is due. */
static bool group_remains(const struct invocation *invocation)
{
    return invocation->stage == TERMINATED && kill(-invocation->pid, 0) == 0;
}

static void finish_if_done(struct invocation *invocation)
{
    if (!invocation->exited || (invocation->output >= 0 && invocation->stage != KILLED))
        return;
    if (group_remains(invocation))
        loop_timer_set(&invocation->slow_timer, loop_now() + GROUP_INTERVAL_NS);
    else
        finish(invocation);
}

/* --- input and output --- */

/* What the pipe takes now. */
static void write_input(struct invocation *invocation)
{
    struct span rest = span_from(invocation->config.input, invocation->written);
    while (rest.size > 0) {
        ssize_t written = write(invocation->input, rest.data, rest.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN && loop_watch_set(&invocation->input_watch, LOOP_WRITE))
            return;
        if (written < 0) {
            snprintf(invocation->input_error, sizeof(invocation->input_error), "write |1: %s",
                     system_error_text(errno));
            break;
        }
        invocation->written += (size_t)written;
        rest = span_from(rest, (size_t)written);
    }
    close_input(invocation);
}

static void on_input(void *context, int ready)
{
    (void)ready;
    write_input(context);
}

static void keep(struct invocation *invocation, const uint8_t *data, size_t size)
{
    const size_t ring = sizeof(invocation->ring);
    if (size > ring) {
        invocation->output_size += size - ring;
        data += size - ring;
        size = ring;
    }
    size_t start = (size_t)(invocation->output_size % ring);
    size_t first = size < ring - start ? size : ring - start;
    memcpy(invocation->ring + start, data, first);
    memcpy(invocation->ring, data + first, size - first);
    invocation->output_size += size;
}

static void on_output(void *context, int ready)
{
    struct invocation *invocation = context;
    uint8_t data[READ_SIZE];
    (void)ready;
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t size = read(invocation->output, data, sizeof(data));
        if (size > 0) {
            keep(invocation, data, (size_t)size);
            continue;
        }
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        close_output(invocation);
        finish_if_done(invocation);
        return;
    }
}

static void on_exit_status(void *context, int status)
{
    struct invocation *invocation = context;
    invocation->exited = true;
    invocation->status = status;
    finish_if_done(invocation);
}

/* --- time --- */

static void on_slow(void *context)
{
    struct invocation *invocation = context;
    if (invocation->stage == WITHIN_LIMIT)
        invocation->config.slow(invocation->config.context);
    else
        finish_if_done(invocation);
}

static void on_limit(void *context)
{
    struct invocation *invocation = context;
    if (invocation->stage == WITHIN_LIMIT) {
        invocation->stage = TERMINATED;
        kill(-invocation->pid, SIGTERM);
        loop_timer_cancel(&invocation->slow_timer);
        loop_timer_set(&invocation->limit_timer, loop_now() + invocation->config.grace);
        invocation->config.overdue(invocation->config.context);
    } else {
        invocation->stage = KILLED;
        kill(-invocation->pid, SIGKILL);
        finish_if_done(invocation);
    }
}

/* --- the start --- */

/* All that can fail and be undone, before there is a process. */
static struct invocation *prepare(const struct invocation_config *config)
{
    struct invocation *invocation = calloc(1, sizeof(*invocation));
    if (!invocation)
        return NULL;
    invocation->config = *config;
    invocation->input = invocation->output = -1;
    if (loop_timer_init(&invocation->slow_timer, config->loop, on_slow, invocation)) {
        if (loop_timer_init(&invocation->limit_timer, config->loop, on_limit, invocation))
            return invocation;
        loop_timer_fini(&invocation->slow_timer);
    }
    free(invocation);
    return NULL;
}

static bool launch(struct invocation *invocation, struct child_pipes *pipes)
{
    const char *const arguments[] = {INVOKE_SHELL, "-c", invocation->config.script, NULL};
    struct child_program program = {INVOKE_SHELL, arguments, invocation->config.environment,
                                    invocation->config.input};
    invocation->pid = child_start(&program, pipes);
    return invocation->pid > 0;
}

/* Watches the pipes; one that can't be watched is closed, and the script sees its end. */
static void attach(struct invocation *invocation, const struct child_pipes *pipes)
{
    const struct invocation_config *config = &invocation->config;
    reaper_watch(config->reaper, &invocation->child, invocation->pid, on_exit_status, invocation);
    invocation->input = pipes->input;
    invocation->output = pipes->output;
    invocation->written = pipes->written;
    bool good = loop_watch_init(&invocation->output_watch, config->loop, pipes->output, on_output,
                                invocation) &&
                loop_watch_set(&invocation->output_watch, LOOP_READ);
    if (!good)
        close_output(invocation);
    if (loop_watch_init(&invocation->input_watch, config->loop, pipes->input, on_input, invocation))
        write_input(invocation);
    else
        close_input(invocation);
}

struct invocation *invocation_start(const struct invocation_config *config, struct buffer *error)
{
    struct child_pipes pipes;
    struct invocation *invocation = prepare(config);
    if (!invocation) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    if (!launch(invocation, &pipes)) {
        buffer_printf(error, "fork/exec %s: %s", INVOKE_SHELL, system_error_text(errno));
        invocation_abandon(invocation);
        return NULL;
    }
    attach(invocation, &pipes);
    loop_timer_set(&invocation->slow_timer, loop_now() + config->slow_after);
    if (config->time_limit > 0)
        loop_timer_set(&invocation->limit_timer, loop_now() + config->time_limit);
    return invocation;
}

/* One run of a handler's script: /bin/sh -c SCRIPT with the event on its standard input (agent
 * specification, 4.2). Everything happens on the loop. */
#ifndef AGENT_INVOKE_H
#define AGENT_INVOKE_H

#include "buffer.h"
#include "loop.h"
#include "process.h"

enum {
    INVOKE_OUTPUT_SIZE_MAX = 8192, /* the last bytes of the output survive */
    INVOKE_ERROR_SIZE_MAX = 256,
};

#define INVOKE_SHELL "/bin/sh"

struct invocation;

struct invocation_result {
    bool success;            /* exit status 0 */
    const char *ending;      /* "exit status 3", "signal: killed"; "" on success */
    const char *input_error; /* "write |1: broken pipe" when not all input was taken, else NULL */
    struct span output;      /* its end, when there was more than INVOKE_OUTPUT_SIZE_MAX */
    uint64_t output_size;    /* of all of it */
};

struct invocation_config {
    struct loop *loop;
    struct reaper *reaper;
    const char *script;  /* borrowed for the call */
    char **environment;  /* likewise */
    struct span input;   /* borrowed until the end */
    uint64_t slow_after; /* nanoseconds until the script is called slow */
    uint64_t time_limit; /* 0: none; then TERM for its process group */
    uint64_t grace;      /* from TERM to KILL */
    void *context;
    void (*slow)(void *context);    /* `slow_after` has passed, within the time limit; once */
    void (*overdue)(void *context); /* the time limit has passed; once */
    /* The process is gone and its output is at its end (a child of its own that keeps the output
     * open is waited for). The invocation is freed after this. */
    void (*ended)(void *context, const struct invocation_result *result);
};

/* NULL when it can't be started, with the reason ("fork/exec /bin/sh: no such file or directory")
 * in `error`. Calls nothing back from inside. */
struct invocation *invocation_start(const struct invocation_config *config, struct buffer *error);

/* Leaves the process to itself; nothing is called back. NULL is ignored. */
void invocation_abandon(struct invocation *invocation);

#endif

/* Starts a program with pipes to its standard input and from its output. Its end is then told by
 * the reaper (process.h). */
#ifndef HOST_CHILD_H
#define HOST_CHILD_H

#include <sys/types.h>

#include "span.h"

struct child_program {
    const char *path;             /* no search along PATH */
    const char *const *arguments; /* the program's own name first, NULL last */
    char *const *environment;     /* all of it, NULL last */
    struct span input;            /* for its standard input: see `written` */
};

/* The parent's ends: non-blocking, and closed in every other program that is started. */
struct child_pipes {
    int input;  /* what is written here is the child's standard input */
    int output; /* what it says on standard output and standard error comes here, in one stream */
    /* Bytes of `program.input` that stand in the pipe already: as many as it holds, written before
     * the program begins, so that one that does not care for them can't break the pipe. */
    size_t written;
};

/* Starts the program, in the present directory, as the leader of a process group of its own, with
 * no signal blocked or ignored, and with no descriptors but its three. Returns its process id; the
 * pipes are then the caller's to close. -1 with errno when it can't be started. Waits for nothing
 * but the system's loading of the program. */
pid_t child_start(const struct child_program *program, struct child_pipes *pipes);

#endif

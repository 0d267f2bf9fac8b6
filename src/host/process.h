/* Children that ended. As process 1 of a container, this process also inherits everybody's orphans
 * and must collect them, or they stay as zombies. */
#ifndef HOST_PROCESS_H
#define HOST_PROCESS_H

#include <sys/types.h>

#include "loop.h"

struct reaper;

/* `status` as waitpid gives it. */
typedef void child_ended(void *context, int status);

struct child {
    struct child *next, **link;
    pid_t pid;
    child_ended *callback;
    void *context;
};

/* Watches for SIGCHLD. Children that nobody watches are left alone unless this is process 1 or
 * `orphans` is set, which collects every child. NULL when memory is out. One per process. */
struct reaper *reaper_new(struct loop *loop, bool orphans);
void reaper_free(struct reaper *reaper);

/* Calls back from the loop when the child has ended, and collects it. To be called in the same turn
 * in which the child was made. */
void reaper_watch(struct reaper *reaper, struct child *child, pid_t pid, child_ended *callback,
                  void *context);
void child_unwatch(struct child *child);

#endif

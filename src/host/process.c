/* Signals merge, so one SIGCHLD may stand for many children: each is asked for until none is left.
 * Only the collector of orphans asks for "any child"; otherwise a library's child could be taken
 * from under it. */
#include "process.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct reaper {
    struct loop_signal signal;
    struct child *children;
    bool orphans;
};

static void finish(struct child *child, int status)
{
    child_unwatch(child);
    child->callback(child->context, status);
}

static void collect_everything(struct reaper *reaper)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *child = reaper->children;
        while (child && child->pid != pid)
            child = child->next;
        if (child)
            finish(child, status);
    }
}

/* The first child that ended; NULL when all run on. Starting over after each leaves callbacks free
 * to change the list. */
static struct child *next_ended(struct reaper *reaper, int *status)
{
    struct child *child = reaper->children;
    while (child && waitpid(child->pid, status, WNOHANG) != child->pid)
        child = child->next;
    return child;
}

static void on_child(void *context, int signal_number)
{
    struct reaper *reaper = context;
    (void)signal_number;
    if (reaper->orphans) {
        collect_everything(reaper);
        return;
    }
    struct child *child;
    int status = 0;
    while ((child = next_ended(reaper, &status)))
        finish(child, status);
}

struct reaper *reaper_new(struct loop *loop, bool orphans)
{
    struct reaper *reaper = calloc(1, sizeof *reaper);
    if (!reaper)
        return NULL;
    reaper->orphans = orphans || getpid() == 1;
    if (!loop_signal_init(&reaper->signal, loop, SIGCHLD, on_child, reaper)) {
        free(reaper);
        return NULL;
    }
    return reaper;
}

void reaper_free(struct reaper *reaper)
{
    if (!reaper)
        return;
    while (reaper->children)
        child_unwatch(reaper->children);
    loop_signal_fini(&reaper->signal);
    free(reaper);
}

void reaper_watch(struct reaper *reaper, struct child *child, pid_t pid, child_ended *callback,
                  void *context)
{
    *child = (struct child){.next = reaper->children,
                            .link = &reaper->children,
                            .pid = pid,
                            .callback = callback,
                            .context = context};
    if (child->next)
        child->next->link = &child->next;
    reaper->children = child;
}

void child_unwatch(struct child *child)
{
    if (!child->link)
        return;
    *child->link = child->next;
    if (child->next)
        child->next->link = child->link;
    child->link = NULL;
}

/* One thread for one piece of work: what is done this way is rare (a snapshot is rewritten after
 * thousands of changes), so a thread that exists all the time would cost more than it saves. */
#include "background.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STACK_SIZE = 128 * 1024 };

struct background {
    pthread_t thread;
    int descriptor; /* readable when the work is done */
    struct loop_watch watch;
    background_work *work;
    loop_callback *done;
    void *context;
};

static void *work(void *argument)
{
    struct background *background = argument;
    background->work(background->context);
    uint64_t one = 1;
    while (write(background->descriptor, &one, sizeof one) < 0 && errno == EINTR)
        ;
    return NULL;
}

static void release(struct background *background)
{
    pthread_join(background->thread, NULL);
    loop_watch_fini(&background->watch);
    close(background->descriptor);
    free(background);
}

static void on_ready(void *context, int ready)
{
    struct background *background = context;
    loop_callback *done = background->done;
    void *done_context = background->context;
    (void)ready;
    release(background);
    done(done_context);
}

/* Signals are for the loop's thread. */
static bool start_thread(struct background *background)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool started = pthread_create(&background->thread, &attributes, work, background) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

struct background *background_start(struct loop *loop, background_work *work_function,
                                    loop_callback *done, void *context)
{
    struct background *background = malloc(sizeof *background);
    if (!background)
        return NULL;
    *background = (struct background){.work = work_function, .done = done, .context = context};
    background->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (background->descriptor < 0) {
        free(background);
        return NULL;
    }
    if (loop_watch_init(&background->watch, loop, background->descriptor, on_ready, background)) {
        if (loop_watch_set(&background->watch, LOOP_READ) && start_thread(background))
            return background;
        loop_watch_fini(&background->watch);
    }
    close(background->descriptor);
    free(background);
    return NULL;
}

void background_finish(struct background *background)
{
    if (background)
        release(background);
}

/* libevent watches the descriptors and signals; the order of a turn is ours. event_base_loop runs
 * one round at a time, and around it this file keeps the timers, the deferred work and the work
 * that ends a turn. libevent's own order would do as well on a quiet day, but after a stall a timer
 * in its heap and a datagram in the kernel are ready together, and only one order is right.
 *
 * libevent has no timer of ours: a timerfd wakes the base in time for the next one, and is set only
 * when that changes. (libevent's own precise timers set theirs before every wait, one system call
 * for each datagram that comes alone; its coarse ones may be milliseconds late.)
 *
 * libevent does not say which descriptor it waits on. A loop that runs inside another one therefore
 * keeps a second epoll set of the same descriptors, which is never waited on here. */
#include "loop.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define WAKE_EXPIRED  0 /* set again before the next wait, which also makes it unreadable */
#define LONG_PAST     1 /* a deadline: at once */

struct loop {
    struct event_base *base;
    struct event *wake;     /* always added */
    int wake_descriptor;    /* a timerfd */
    uint64_t wake_deadline; /* what it is set to, or WAKE_EXPIRED */
    struct timer_heap timers;
    uint32_t timer_count; /* initialised, armed or not: places kept in the heap */
    struct loop_task *deferred, *finishing, *on_free;
    bool stopped;
    int nest; /* an epoll set of all that is waited for; -1: nobody else waits for it */
    void *connections;
};

uint64_t loop_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void on_wake(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    ((struct loop *)context)->wake_deadline = WAKE_EXPIRED;
}

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    struct event_base *base = NULL;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    timer_heap_init(&loop->timers);
    loop->wake_deadline = TIMER_NEVER;
    loop->nest = -1;
    loop->wake_descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    loop->base = base_new();
    if (loop->base && loop->wake_descriptor >= 0)
        loop->wake =
            event_new(loop->base, loop->wake_descriptor, EV_READ | EV_PERSIST, on_wake, loop);
    if (!loop->wake || event_add(loop->wake, NULL) != 0) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

static void run_tasks(struct loop_task **list)
{
    struct loop_task *task = *list;
    if (!task)
        return;
    /* A list of its own: what is deferred meanwhile waits for the next turn. */
    struct loop_task *batch = task;
    batch->link = &batch;
    *list = NULL;
    while ((task = batch)) {
        loop_task_cancel(task);
        task->callback(task->context);
    }
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    run_tasks(&loop->on_free);
    if (loop->wake)
        event_free(loop->wake);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->wake_descriptor >= 0)
        close(loop->wake_descriptor);
    if (loop->nest >= 0)
        close(loop->nest);
    free(loop->connections);
    timer_heap_fini(&loop->timers);
    free(loop);
}

struct event_base *loop_event_base(struct loop *loop)
{
    return loop->base;
}

void **loop_connections(struct loop *loop)
{
    return &loop->connections;
}

/* --- a turn --- */

static void set_wake(struct loop *loop, uint64_t deadline)
{
    if (deadline == loop->wake_deadline)
        return;
    loop->wake_deadline = deadline;
    struct itimerspec when = {0}; /* zero: never; in the past: at once */
    if (deadline != TIMER_NEVER) {
        uint64_t due = deadline > 0 ? deadline : 1;
        when.it_value.tv_sec = (time_t)(due / NS_PER_SECOND);
        when.it_value.tv_nsec = (long)(due % NS_PER_SECOND);
    }
    int status = timerfd_settime(loop->wake_descriptor, TFD_TIMER_ABSTIME, &when, NULL);
    assert(status == 0);
    (void)status;
}

static void arm_wake(struct loop *loop)
{
    set_wake(loop, timer_heap_next(&loop->timers));
}

/* Nothing but our own timerfd, and that is not set. */
static bool has_nothing_to_wait_for(const struct loop *loop)
{
    return !loop->deferred && !loop->finishing && loop->wake_deadline == TIMER_NEVER &&
           event_base_get_num_events(loop->base,
                                     EVENT_BASE_COUNT_ADDED | EVENT_BASE_COUNT_VIRTUAL) <= 1;
}

/* Fires what is due and was armed before this call: a timer that re-arms itself for now waits for
 * the next turn. */
static void fire_timers(struct loop *loop)
{
    uint64_t now = loop_now();
    uint64_t newest = loop->timers.next_order;
    struct timer *timer;
    while ((timer = timer_heap_expire(&loop->timers, now))) {
        if (timer->order >= newest) {
            timer_set(&loop->timers, timer, timer->deadline);
            return;
        }
        struct loop_timer *due =
            (struct loop_timer *)((char *)timer - offsetof(struct loop_timer, timer));
        due->callback(due->context);
    }
}

/* False when there is nothing to wait for. */
static bool turn(struct loop *loop, bool wait)
{
    arm_wake(loop);
    int flags = EVLOOP_ONCE;
    if (!wait || loop->deferred || loop->finishing)
        flags |= EVLOOP_NONBLOCK;
    bool idle = has_nothing_to_wait_for(loop);
    if (!idle)
        event_base_loop(loop->base, flags);
    run_tasks(&loop->deferred);
    fire_timers(loop);
    run_tasks(&loop->finishing);
    return !idle;
}

void loop_turn(struct loop *loop, bool wait)
{
    bool unfinished = loop->finishing != NULL;
    run_tasks(&loop->finishing);
    turn(loop, wait && !unfinished);
}

void loop_run(struct loop *loop)
{
    loop->stopped = false;
    run_tasks(&loop->finishing);
    while (!loop->stopped && turn(loop, true)) {
    }
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

/* --- inside another event loop --- */

static bool nest_watch(struct loop *loop, int descriptor, int wanted, bool is_new)
{
    struct epoll_event event = {.data.fd = descriptor};
    event.events = (wanted & LOOP_READ ? EPOLLIN : 0u) | (wanted & LOOP_WRITE ? EPOLLOUT : 0u);
    int operation = !wanted ? EPOLL_CTL_DEL : is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    return loop->nest < 0 || epoll_ctl(loop->nest, operation, descriptor, &event) == 0;
}

int loop_descriptor(struct loop *loop)
{
    if (loop->nest >= 0)
        return loop->nest;
    loop->nest = epoll_create1(EPOLL_CLOEXEC);
    if (loop->nest >= 0 && !nest_watch(loop, loop->wake_descriptor, LOOP_READ, true)) {
        close(loop->nest);
        loop->nest = -1;
    }
    return loop->nest;
}

void loop_arm(struct loop *loop)
{
    if (loop->deferred || loop->finishing)
        set_wake(loop, LONG_PAST);
    else
        arm_wake(loop);
}

/* --- timers --- */

bool loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_callback *callback,
                     void *context)
{
    *timer = (struct loop_timer){.callback = callback, .context = context};
    if (!timer_heap_reserve(&loop->timers, loop->timer_count + 1 - loop->timers.count))
        return false;
    loop->timer_count++;
    timer->loop = loop;
    return true;
}

void loop_timer_fini(struct loop_timer *timer)
{
    if (!timer->loop)
        return;
    loop_timer_cancel(timer);
    timer->loop->timer_count--;
    timer->loop = NULL;
}

void loop_timer_set(struct loop_timer *timer, uint64_t deadline)
{
    if (deadline == TIMER_NEVER) {
        loop_timer_cancel(timer);
        return;
    }
    /* The past counts as now: a timer that is always late must not overtake those due since. */
    uint64_t now = loop_now();
    bool placed = timer_set(&timer->loop->timers, &timer->timer, deadline > now ? deadline : now);
    assert(placed);
    (void)placed;
}

void loop_timer_cancel(struct loop_timer *timer)
{
    if (timer_armed(&timer->timer))
        timer_cancel(&timer->loop->timers, &timer->timer);
}

/* --- tasks --- */

void loop_task_init(struct loop_task *task, struct loop *loop, loop_callback *callback,
                    void *context)
{
    *task = (struct loop_task){.loop = loop, .callback = callback, .context = context};
}

void loop_task_cancel(struct loop_task *task)
{
    if (!task->link)
        return;
    *task->link = task->next;
    if (task->next)
        task->next->link = task->link;
    task->next = NULL;
    task->link = NULL;
}

/* At the end: tasks run in the order in which they were put off. The lists are short. */
static void append(struct loop_task **list, struct loop_task *task)
{
    if (task->link)
        return;
    while (*list)
        list = &(*list)->next;
    *list = task;
    task->link = list;
}

void loop_defer(struct loop_task *task)
{
    append(&task->loop->deferred, task);
}

void loop_finish_turn(struct loop_task *task)
{
    append(&task->loop->finishing, task);
}

void loop_on_free(struct loop_task *task)
{
    append(&task->loop->on_free, task);
}

/* --- descriptors --- */

static void on_ready(evutil_socket_t descriptor, short events, void *context)
{
    struct loop_watch *watch = context;
    int ready = (events & EV_READ ? LOOP_READ : 0) | (events & EV_WRITE ? LOOP_WRITE : 0);
    (void)descriptor;
    watch->callback(watch->context, ready & watch->wanted);
}

bool loop_watch_init(struct loop_watch *watch, struct loop *loop, int descriptor,
                     loop_ready *callback, void *context)
{
    *watch = (struct loop_watch){
        .loop = loop, .descriptor = descriptor, .callback = callback, .context = context};
    watch->event = event_new(loop->base, descriptor, EV_READ | EV_PERSIST, on_ready, watch);
    return watch->event != NULL;
}

void loop_watch_fini(struct loop_watch *watch)
{
    if (watch->event && watch->wanted)
        nest_watch(watch->loop, watch->descriptor, 0, false);
    if (watch->event)
        event_free(watch->event);
    watch->event = NULL;
}

bool loop_watch_set(struct loop_watch *watch, int wanted)
{
    if (wanted == watch->wanted)
        return true;
    bool is_new = watch->wanted == 0;
    if (!is_new)
        event_del(watch->event);
    watch->wanted = 0;
    bool nested = nest_watch(watch->loop, watch->descriptor, wanted, is_new);
    if (!wanted)
        return true;
    short events = (short)(EV_PERSIST | (wanted & LOOP_READ ? EV_READ : 0) |
                           (wanted & LOOP_WRITE ? EV_WRITE : 0));
    if (!nested ||
        event_assign(watch->event, watch->loop->base, watch->descriptor, events, on_ready, watch) !=
            0 ||
        event_add(watch->event, NULL) != 0) {
        nest_watch(watch->loop, watch->descriptor, 0, false);
        return false;
    }
    watch->wanted = wanted;
    return true;
}

/* --- signals --- */

static void on_signal(evutil_socket_t number, short events, void *context)
{
    struct loop_signal *watch = context;
    (void)events;
    watch->callback(watch->context, (int)number);
}

bool loop_signal_init(struct loop_signal *watch, struct loop *loop, int signal_number,
                      loop_signalled *callback, void *context)
{
    *watch =
        (struct loop_signal){.number = signal_number, .callback = callback, .context = context};
    watch->event = evsignal_new(loop->base, signal_number, on_signal, watch);
    if (watch->event && event_add(watch->event, NULL) == 0)
        return true;
    loop_signal_fini(watch);
    return false;
}

void loop_signal_fini(struct loop_signal *watch)
{
    if (watch->event)
        event_free(watch->event);
    watch->event = NULL;
}

/* The event loop: one thread, file descriptors, timers, signals and work put off.
 *
 * It wraps a libevent base, so that libevent's own parts (its HTTP server, TLS streams) can run on
 * the same loop. A turn of the loop is, in this order: ready file descriptors and signals, work
 * that was deferred, timers that are due, and last the work that finishes a turn (such as sending
 * what was collected). Sockets are thus always read before timers are let expire.
 *
 * Structs are embedded in their owners and their fields are private. A loop and what is on it
 * belong to one thread; loops on different threads do not touch each other. Every callback may arm,
 * cancel or finish anything, itself included. */
#ifndef HOST_LOOP_H
#define HOST_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timer_heap.h"

struct event;
struct event_base;
struct loop;

typedef void loop_callback(void *context);

/* NULL when memory or file descriptors are out. */
struct loop *loop_new(void);

/* Frees the loop, and what its users left behind for it to close (connections that were still
 * sending their last bytes). Timers, watches and signals must be finished before. */
void loop_free(struct loop *loop);

/* Runs until loop_stop, or until there is nothing left to wait for. */
void loop_run(struct loop *loop);

/* One turn: waits for something to happen when `wait` is set, otherwise does what is ready now. A
 * turn that was left unfinished is finished first, and nothing is then waited for. */
void loop_turn(struct loop *loop, bool wait);

/* Makes loop_run return after the present turn. */
void loop_stop(struct loop *loop);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t loop_now(void);

struct event_base *loop_event_base(struct loop *loop);

/* --- inside another event loop --- */

/* A descriptor that is readable when a turn of the loop has something to do, for somebody else's
 * poll; closed by loop_free. -1 when descriptors are out. Called before anything is watched. Each
 * wait for it is preceded by loop_arm. */
int loop_descriptor(struct loop *loop);

/* Has the descriptor wake its waiter in time for the next timer, and at once for work put off. */
void loop_arm(struct loop *loop);

/* The place for what all connections of the loop share (connection.c); NULL at first, and given to
 * free() with the loop. */
void **loop_connections(struct loop *loop);

/* --- timers --- */

/* One-shot, never early. */
struct loop_timer {
    struct timer timer;
    struct loop *loop;
    loop_callback *callback;
    void *context;
};

/* False when memory is out; afterwards setting can't fail. */
bool loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_callback *callback,
                     void *context);
void loop_timer_fini(struct loop_timer *timer);

/* `deadline` in loop_now's time; one in the past fires in the next turn. Moves an armed timer.
 * TIMER_NEVER cancels. */
void loop_timer_set(struct loop_timer *timer, uint64_t deadline);
void loop_timer_cancel(struct loop_timer *timer);

/* --- work put off --- */

struct loop_task {
    struct loop_task *next,
        **link; /* of the list it waits in; link is NULL when it waits in none */
    struct loop *loop;
    loop_callback *callback;
    void *context;
};

void loop_task_init(struct loop_task *task, struct loop *loop, loop_callback *callback,
                    void *context);
/* Takes it out of its list, if it waits in one; also how a task is finished. */
void loop_task_cancel(struct loop_task *task);

/* Runs the task once, from the loop, after the sockets have been looked at again. */
void loop_defer(struct loop_task *task);
/* Runs the task once, at the end of the present turn, before the loop sleeps. */
void loop_finish_turn(struct loop_task *task);
/* Runs the task when the loop is freed: for things that outlive their owner. */
void loop_on_free(struct loop_task *task);

/* --- file descriptors --- */

enum {
    LOOP_READ = 1,
    LOOP_WRITE = 2,
};

typedef void loop_ready(void *context, int ready); /* LOOP_READ, LOOP_WRITE or both */

struct loop_watch {
    struct event *event; /* owned */
    struct loop *loop;
    int descriptor;
    int wanted;
    loop_ready *callback;
    void *context;
};

/* The descriptor stays the caller's; it must be open until loop_watch_fini. False when memory is
 * out. Nothing is watched for until loop_watch_set. */
bool loop_watch_init(struct loop_watch *watch, struct loop *loop, int descriptor,
                     loop_ready *callback, void *context);
void loop_watch_fini(struct loop_watch *watch);

/* Level-triggered: LOOP_READ, LOOP_WRITE, both, or 0. False when the system refused. */
bool loop_watch_set(struct loop_watch *watch, int wanted);

/* --- signals --- */

typedef void loop_signalled(void *context, int signal_number);

struct loop_signal {
    struct event *event; /* owned */
    int number;
    loop_signalled *callback;
    void *context;
};

/* Watches for a signal from now on; false when memory is out. */
bool loop_signal_init(struct loop_signal *watch, struct loop *loop, int signal_number,
                      loop_signalled *callback, void *context);
void loop_signal_fini(struct loop_signal *watch);

#endif

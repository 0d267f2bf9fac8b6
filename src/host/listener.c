/* A listener that can't accept (most often: too many open files) stops watching its socket for a
 * while, since a level-triggered loop would otherwise spin on it. */
#include "tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bound_socket.h"
#include "connection.h"
#include "socket_text.h"
#include "unix_socket.h"

enum { BACKLOG = 4096 };

struct listener {
    int descriptor;
    struct loop *loop;
    struct loop_watch watch;
    struct loop_timer retry;
    struct listener_callbacks callbacks;
    uint64_t pause;
    struct accept_reports reports;
    struct unix_socket_file file; /* of a Unix socket */
    bool accepting;               /* inside on_ready */
    bool freed;                   /* meanwhile */
};

uint64_t accept_backoff_next(uint64_t pause)
{
    if (pause == 0)
        return ACCEPT_BACKOFF_MIN_NS;
    return pause < ACCEPT_BACKOFF_MAX_NS / 2 ? pause * 2 : ACCEPT_BACKOFF_MAX_NS;
}

bool accept_report_allowed(struct accept_reports *reports, uint64_t now)
{
    if (reports->count == 0 || now - reports->since >= ACCEPT_REPORT_WINDOW_NS) {
        reports->since = now;
        reports->count = 0;
    }
    if (reports->count == ACCEPT_REPORTS) {
        reports->left_out++;
        return false;
    }
    reports->count++;
    return true;
}

static void release(struct listener *listener)
{
    loop_watch_fini(&listener->watch);
    loop_timer_fini(&listener->retry);
    if (listener->descriptor >= 0)
        close(listener->descriptor);
    listener->descriptor = -1;
    unix_socket_remove(&listener->file);
}

static void report_failure(struct listener *listener, int error_number)
{
    if (!listener->callbacks.accept_failed ||
        !accept_report_allowed(&listener->reports, loop_now()))
        return;
    char address[ENDPOINT_TEXT_SIZE];
    struct endpoint bound = listener_bound(listener);
    struct buffer reason;
    buffer_init(&reason, 256);
    buffer_printf(&reason, "accept %s %s: accept4: %s", listener->file.path ? "unix" : "tcp",
                  listener->file.path ? listener->file.path : endpoint_text(&bound, address),
                  system_error_text(error_number));
    if (listener->reports.left_out > 0)
        buffer_printf(&reason, " (and %u times more since the last such line)",
                      listener->reports.left_out);
    listener->reports.left_out = 0;
    listener->callbacks.accept_failed(listener->callbacks.context, buffer_text(&reason));
    buffer_fini(&reason);
}

static void pause_accepting(struct listener *listener)
{
    listener->pause = accept_backoff_next(listener->pause);
    loop_watch_set(&listener->watch, 0);
    loop_timer_set(&listener->retry, loop_now() + listener->pause);
}

/* False when there is nothing more to accept now. */
static bool accept_one(struct listener *listener)
{
    union socket_address address;
    socklen_t size = sizeof address;
    struct endpoint remote = {0};
    int descriptor =
        accept4(listener->descriptor, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        if (errno == ECONNABORTED || errno == EINTR)
            return true;
        if (errno != EAGAIN) {
            int reason = errno;
            pause_accepting(listener);
            report_failure(listener, reason);
        }
        return false;
    }
    listener->pause = 0;
    socket_address_read(&remote, &address);
    struct connection *connection = connection_adopt(listener->loop, descriptor, &remote);
    if (connection)
        listener->callbacks.accepted(listener->callbacks.context, connection);
    else
        close(descriptor);
    return true;
}

static void on_ready(void *context, int ready)
{
    struct listener *listener = context;
    (void)ready;
    listener->accepting = true;
    for (int i = 0; i < LISTENER_BATCH && !listener->freed; i++) {
        if (!accept_one(listener))
            break;
    }
    listener->accepting = false;
    if (listener->freed)
        free(listener);
}

static void on_retry(void *context)
{
    struct listener *listener = context;
    if (!loop_watch_set(&listener->watch, LOOP_READ)) {
        listener->pause = accept_backoff_next(listener->pause);
        loop_timer_set(&listener->retry, loop_now() + listener->pause);
    }
}

static bool attach(struct listener *listener, struct buffer *error)
{
    if (loop_watch_init(&listener->watch, listener->loop, listener->descriptor, on_ready,
                        listener) &&
        loop_timer_init(&listener->retry, listener->loop, on_retry, listener) &&
        loop_watch_set(&listener->watch, LOOP_READ))
        return true;
    buffer_append_text(error, "out of memory");
    return false;
}

static struct listener *allocate(struct loop *loop, const struct listener_callbacks *callbacks,
                                 struct buffer *error)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    listener->descriptor = -1;
    listener->loop = loop;
    listener->callbacks = *callbacks;
    return listener;
}

static bool open_tcp(struct listener *listener, const struct endpoint *address,
                     struct buffer *error)
{
    int family;
    listener->descriptor = bound_socket_open(SOCK_STREAM, address, &family, error);
    if (listener->descriptor < 0)
        return false;
    if (listen(listener->descriptor, BACKLOG) == 0)
        return true;
    listen_error_text(error, "tcp", address, "listen", errno);
    return false;
}

struct listener *listener_new(struct loop *loop, const struct endpoint *address,
                              const struct listener_callbacks *callbacks, struct buffer *error)
{
    struct listener *listener = allocate(loop, callbacks, error);
    if (listener && open_tcp(listener, address, error) && attach(listener, error))
        return listener;
    listener_free(listener);
    return NULL;
}

struct listener *listener_new_unix(struct loop *loop, const char *path,
                                   const struct listener_callbacks *callbacks, struct buffer *error)
{
    struct listener *listener = allocate(loop, callbacks, error);
    if (!listener)
        return NULL;
    listener->descriptor = unix_socket_listen(path, BACKLOG, &listener->file, error);
    if (listener->descriptor >= 0 && attach(listener, error))
        return listener;
    listener_free(listener);
    return NULL;
}

void listener_free(struct listener *listener)
{
    if (!listener)
        return;
    release(listener);
    if (listener->accepting)
        listener->freed = true;
    else
        free(listener);
}

struct endpoint listener_bound(const struct listener *listener)
{
    return bound_socket_endpoint(listener->descriptor);
}

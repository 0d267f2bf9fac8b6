/* Callbacks may free the connection that calls them. Every entry from the loop therefore holds it
 * (enter, leave): freeing a held connection closes the socket and silences the callbacks at once,
 * and the memory goes when the entry returns.
 *
 * A closed connection that still has something to say outlives its owner. Those are kept in one
 * list with a limit on their number and on their unsent bytes, and the oldest give way: a peer
 * that asks for much and reads nothing must not make us keep it all. */
#include "connection.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "socket_text.h"
#include "unix_socket.h"

enum {
    WRITE_PARTS = 16, /* chunks of the write buffer handed to one system call */
    RECEIVES_BEFORE_FAILURE = 16,
    LINGERING_MAX = 256,
    LINGERING_BYTES_MAX = 64 * 1024 * 1024,
    KEEPALIVE_SECONDS = 15, /* as in the reference */
};

enum state {
    CONNECTING,
    ACCEPTED, /* not started */
    OPEN,
    FAILED,
};

struct connection {
    int descriptor;
    enum state state;
    int failure; /* errno of a connect that failed at once */
    const char *failed_step;
    struct loop *loop;
    struct shared *shared; /* the loop's */
    struct loop_watch watch;
    struct loop_timer timer; /* connecting: the deadline; lingering: the end of patience */
    struct loop_task flush, on_free;
    struct connection_callbacks callbacks;
    struct endpoint local, remote;
    struct evbuffer *out; /* NULL until the first write */
    size_t write_limit;
    unsigned held;
    bool freed;
    bool reading; /* wanted by the owner */
    bool ended;   /* the peer sends no more */
    bool wrote;   /* anything, ever */
    bool shut;    /* our side is ended */
    bool lingering;
    struct connection *older, *newer; /* of those that linger */
};

/* One for each loop, since loops may run on different threads. */
struct shared {
    struct connection *oldest, *newest; /* of those that linger */
    unsigned lingering_count;
    bool scratch_used;
    uint8_t scratch[CONNECTION_READ_SIZE]; /* what is read, until `received` returns; untouched,
                                              these pages cost nothing */
};

/* --- life --- */

static void linger_remove(struct connection *c)
{
    if (!c->lingering)
        return;
    struct shared *shared = c->shared;
    *(c->older ? &c->older->newer : &shared->oldest) = c->newer;
    *(c->newer ? &c->newer->older : &shared->newest) = c->older;
    shared->lingering_count--;
    c->lingering = false;
}

static void enter(struct connection *c)
{
    c->held++;
}

static void leave(struct connection *c)
{
    if (--c->held == 0 && c->freed)
        free(c);
}

void connection_free(struct connection *c)
{
    if (!c || c->freed)
        return;
    c->freed = true;
    c->callbacks = (struct connection_callbacks){0};
    linger_remove(c);
    loop_task_cancel(&c->flush);
    loop_task_cancel(&c->on_free);
    loop_timer_fini(&c->timer);
    loop_watch_fini(&c->watch);
    if (c->descriptor >= 0)
        close(c->descriptor);
    c->descriptor = -1;
    if (c->out)
        evbuffer_free(c->out);
    c->out = NULL;
    if (c->held == 0)
        free(c);
}

static bool alive(const struct connection *c)
{
    return !c->freed && c->state != FAILED;
}

static void fail(struct connection *c, struct buffer *reason)
{
    if (!alive(c))
        return;
    if (c->lingering) {
        connection_free(c);
        return;
    }
    c->state = FAILED;
    loop_watch_set(&c->watch, 0);
    loop_timer_cancel(&c->timer);
    if (c->callbacks.failed)
        c->callbacks.failed(c->callbacks.context, buffer_text(reason));
}

static void fail_dial(struct connection *c, const char *step, int error_number)
{
    struct buffer reason;
    buffer_init(&reason, 512);
    dial_error_text(&reason, "tcp", &c->remote, step, error_number);
    fail(c, &reason);
    buffer_fini(&reason);
}

static void fail_stream(struct connection *c, const char *operation, int error_number)
{
    struct buffer reason;
    buffer_init(&reason, 512);
    if (c->remote.address_size > 0) {
        stream_error_text(&reason, operation, &c->local, &c->remote, error_number);
    } else {
        char text[CONNECTION_TEXT_SIZE];
        buffer_printf(&reason, "%s %s: %s: %s", operation, connection_remote_text(c, text),
                      operation, system_error_text(error_number));
    }
    fail(c, &reason);
    buffer_fini(&reason);
}

static void watch_for(struct connection *c)
{
    int wanted = 0;
    if (c->state == CONNECTING)
        wanted = LOOP_WRITE;
    else if (c->state == OPEN)
        wanted =
            (c->reading && !c->ended ? LOOP_READ : 0) | (connection_unsent(c) > 0 ? LOOP_WRITE : 0);
    if (!loop_watch_set(&c->watch, wanted))
        fail_stream(c, "read", ENOMEM);
}

/* --- lingering --- */

/* What a closed connection does next. */
static void linger_on(struct connection *c)
{
    if (!c->lingering || c->state != OPEN || connection_unsent(c) > 0)
        return;
    if (!c->shut)
        shutdown(c->descriptor, SHUT_WR);
    c->shut = true;
    if (c->ended)
        connection_free(c);
}

static size_t lingering_bytes(const struct shared *shared)
{
    size_t bytes = 0;
    for (const struct connection *c = shared->oldest; c; c = c->newer)
        bytes += connection_unsent(c);
    return bytes;
}

static void linger_add(struct connection *c)
{
    struct shared *shared = c->shared;
    c->lingering = true;
    c->older = shared->newest;
    c->newer = NULL;
    *(c->older ? &c->older->newer : &shared->oldest) = c;
    shared->newest = c;
    shared->lingering_count++;
    while (shared->oldest != c && (shared->lingering_count > LINGERING_MAX ||
                                   lingering_bytes(shared) > LINGERING_BYTES_MAX))
        connection_free(shared->oldest);
}

static void on_loop_free(void *context)
{
    connection_free(context);
}

void connection_close(struct connection *c, uint64_t patience)
{
    if (!c || c->freed)
        return;
    assert(!c->lingering);
    if (c->state == FAILED || !c->wrote) {
        connection_free(c);
        return;
    }
    enter(c);
    c->callbacks = (struct connection_callbacks){0};
    if (c->state == ACCEPTED)
        c->state = OPEN;
    c->reading = true;
    linger_add(c);
    loop_on_free(&c->on_free);
    loop_timer_set(&c->timer, loop_now() + patience);
    watch_for(c);
    linger_on(c);
    leave(c);
}

/* --- reading --- */

static void end(struct connection *c)
{
    c->ended = true;
    watch_for(c);
    if (alive(c) && c->callbacks.ended)
        c->callbacks.ended(c->callbacks.context);
    if (alive(c))
        linger_on(c);
}

/* True when more may be there. */
static bool receive(struct connection *c)
{
    struct shared *shared = c->shared;
    ssize_t size;
    do
        size = recv(c->descriptor, shared->scratch, sizeof shared->scratch, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size == 0) {
        end(c);
        return false;
    }
    if (size < 0) {
        if (errno != EAGAIN)
            fail_stream(c, "read", errno);
        return false;
    }
    if (c->callbacks.received) {
        assert(!shared->scratch_used);
        shared->scratch_used = true;
        c->callbacks.received(c->callbacks.context, span_make(shared->scratch, (size_t)size));
        shared->scratch_used = false;
    }
    return alive(c) && c->reading;
}

bool connection_receive(struct connection *c)
{
    if (c->state != OPEN || !c->reading || c->ended)
        return false;
    enter(c);
    bool more = receive(c);
    leave(c);
    return more;
}

/* --- writing --- */

static ssize_t send_part(struct connection *c)
{
    struct evbuffer_iovec parts[WRITE_PARTS];
    int count = evbuffer_peek(c->out, -1, NULL, parts, WRITE_PARTS);
    if (count > WRITE_PARTS)
        count = WRITE_PARTS;
    /* sendmsg rather than writev: a peer that is gone must not raise SIGPIPE. */
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    ssize_t size;
    do
        size = sendmsg(c->descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (size < 0 && errno == EINTR);
    return size;
}

/* A peer that refuses more may have said why before: that comes first. */
static void fail_write(struct connection *c, int error_number)
{
    for (int i = 0; i < RECEIVES_BEFORE_FAILURE && c->reading && !c->ended && receive(c); i++) {
    }
    fail_stream(c, "write", error_number);
}

static void flush(struct connection *c)
{
    if (c->state != OPEN || connection_unsent(c) == 0)
        return;
    while (connection_unsent(c) > 0) {
        ssize_t size = send_part(c);
        if (size < 0 && errno != EAGAIN) {
            fail_write(c, errno);
            return;
        }
        if (size < 0)
            break;
        evbuffer_drain(c->out, (size_t)size);
    }
    watch_for(c);
    if (!alive(c) || connection_unsent(c) > 0)
        return;
    if (c->callbacks.drained)
        c->callbacks.drained(c->callbacks.context);
    if (alive(c))
        linger_on(c);
}

static void on_flush(void *context)
{
    struct connection *c = context;
    enter(c);
    flush(c);
    leave(c);
}

bool connection_write(struct connection *c, struct span bytes)
{
    if (c->state == FAILED || bytes.size == 0)
        return true;
    size_t unsent = connection_unsent(c);
    if (bytes.size > c->write_limit || unsent > c->write_limit - bytes.size)
        return false;
    if (!c->out)
        c->out = evbuffer_new();
    if (!c->out || evbuffer_add(c->out, bytes.data, bytes.size) != 0)
        return false;
    c->wrote = true;
    loop_finish_turn(&c->flush);
    return true;
}

void connection_set_write_limit(struct connection *c, size_t limit)
{
    c->write_limit = limit;
}

/* The kernel doubles the size, for what it needs itself. */
void connection_set_kernel_limit(struct connection *c, size_t size)
{
    int bytes = size < INT_MAX ? (int)size : INT_MAX;
    setsockopt(c->descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

size_t connection_unsent(const struct connection *c)
{
    return c->out ? evbuffer_get_length(c->out) : 0;
}

/* --- connecting --- */

static void opened(struct connection *c)
{
    union socket_address address;
    socklen_t size = sizeof address;
    c->state = OPEN;
    if (!c->lingering)
        loop_timer_cancel(&c->timer);
    if (getsockname(c->descriptor, &address.any, &size) == 0)
        socket_address_read(&c->local, &address);
}

static void connected(struct connection *c)
{
    int error_number = 0;
    socklen_t size = sizeof error_number;
    if (getsockopt(c->descriptor, SOL_SOCKET, SO_ERROR, &error_number, &size) != 0)
        error_number = errno;
    if (error_number != 0) {
        fail_dial(c, "connect", error_number);
        return;
    }
    opened(c);
    /* The kernel may choose the very port we call, and the socket then connects to itself. */
    if (endpoint_equal(&c->local, &c->remote)) {
        fail_dial(c, "connect", ECONNREFUSED);
        return;
    }
    if (c->callbacks.opened)
        c->callbacks.opened(c->callbacks.context);
    if (alive(c))
        watch_for(c);
}

static void on_ready(void *context, int ready)
{
    struct connection *c = context;
    enter(c);
    if (c->state == CONNECTING) {
        connected(c);
    } else {
        if (ready & LOOP_READ)
            receive(c);
        if (alive(c) && ready & LOOP_WRITE)
            flush(c);
    }
    leave(c);
}

static void on_timer(void *context)
{
    struct connection *c = context;
    if (c->lingering) {
        connection_free(c);
        return;
    }
    enter(c);
    if (c->failure != 0)
        fail_dial(c, c->failed_step, c->failure);
    else if (c->state == CONNECTING)
        fail_dial(c, "connect", ETIME);
    leave(c);
}

static void tune(int descriptor)
{
    int on = 1, seconds = KEEPALIVE_SECONDS;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

/* NULL when memory is out. */
static struct shared *shared_of(struct loop *loop)
{
    void **place = loop_connections(loop);
    struct shared *shared = *place ? *place : malloc(sizeof *shared);
    if (shared && !*place) {
        shared->oldest = shared->newest = NULL;
        shared->lingering_count = 0;
        shared->scratch_used = false;
        *place = shared;
    }
    return shared;
}

static struct connection *connection_new(struct loop *loop, int descriptor,
                                         const struct endpoint *remote)
{
    struct shared *shared = shared_of(loop);
    struct connection *c = shared ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return NULL;
    c->shared = shared;
    c->descriptor = descriptor;
    c->loop = loop;
    c->remote = *remote;
    c->write_limit = CONNECTION_WRITE_MAX;
    loop_task_init(&c->flush, loop, on_flush, c);
    loop_task_init(&c->on_free, loop, on_loop_free, c);
    if (loop_timer_init(&c->timer, loop, on_timer, c) &&
        loop_watch_init(&c->watch, loop, descriptor, on_ready, c))
        return c;
    c->descriptor = -1;
    connection_free(c);
    return NULL;
}

struct connection *connection_adopt(struct loop *loop, int descriptor,
                                    const struct endpoint *remote)
{
    struct connection *c = connection_new(loop, descriptor, remote);
    if (!c)
        return NULL;
    tune(descriptor);
    opened(c);
    c->state = ACCEPTED;
    return c;
}

void connection_start(struct connection *c, const struct connection_callbacks *callbacks)
{
    assert(c->state == ACCEPTED);
    c->state = OPEN;
    c->callbacks = *callbacks;
    c->reading = true;
    watch_for(c);
}

/* Starts connecting; a failure at once is kept for the loop to report. */
static void dial(struct connection *c, uint64_t deadline)
{
    union socket_address address;
    socklen_t size =
        socket_address_make(&address, c->remote.address_size == 4 ? AF_INET : AF_INET6, &c->remote);
    c->failed_step = "socket";
    if (c->descriptor < 0) {
        c->failure = c->failure ? c->failure : EBADF;
    } else if (connect(c->descriptor, &address.any, size) != 0 && errno != EINPROGRESS &&
               errno != EINTR) {
        c->failed_step = "connect";
        c->failure = errno;
    } else if (!loop_watch_set(&c->watch, LOOP_WRITE)) {
        c->failure = ENOMEM;
    }
    loop_timer_set(&c->timer, c->failure ? 0 : deadline);
}

struct connection *connection_open(struct loop *loop, const struct endpoint *remote,
                                   uint64_t deadline, const struct connection_callbacks *callbacks)
{
    int descriptor = socket(remote->address_size == 4 ? AF_INET : AF_INET6,
                            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int reason = descriptor < 0 ? errno : 0;
    struct connection *c = connection_new(loop, descriptor, remote);
    if (!c) {
        if (descriptor >= 0)
            close(descriptor);
        return NULL;
    }
    if (descriptor >= 0)
        tune(descriptor);
    c->failure = reason;
    c->callbacks = *callbacks;
    c->reading = true;
    dial(c, deadline);
    return c;
}

void connection_set_reading(struct connection *c, bool reading)
{
    c->reading = reading;
    if (c->state == OPEN)
        watch_for(c);
}

struct endpoint connection_local(const struct connection *c)
{
    return c->local;
}

struct endpoint connection_remote(const struct connection *c)
{
    return c->remote;
}

const char *connection_remote_text(const struct connection *c, char *text)
{
    static_assert((int)CONNECTION_TEXT_SIZE >= (int)ENDPOINT_TEXT_SIZE &&
                      (int)CONNECTION_TEXT_SIZE >= (int)UNIX_PEER_TEXT_SIZE,
                  "either kind of peer fits");
    return c->remote.address_size > 0 ? endpoint_text(&c->remote, text)
                                      : unix_peer_text(c->descriptor, text);
}

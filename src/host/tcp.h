/* TCP, and Unix sockets to listen on: listeners that hand over connections, and connections with a
 * bounded write buffer.
 *
 * Reading goes through one buffer that all connections of the loop share, so that an idle
 * connection costs a few hundred bytes. Nothing raises SIGPIPE. */
#ifndef HOST_TCP_H
#define HOST_TCP_H

#include "buffer.h"
#include "endpoint.h"
#include "loop.h"

struct connection;
struct listener;

enum {
    CONNECTION_READ_SIZE = 64 * 1024,        /* handed over at once, at most */
    CONNECTION_WRITE_MAX = 64 * 1024 * 1024, /* default limit of unsent bytes */
    LISTENER_BATCH = 32,                     /* connections accepted in one turn */
    CONNECTION_TEXT_SIZE = 56,
    ACCEPT_REPORTS = 10, /* failures told in ACCEPT_REPORT_WINDOW_NS */
};

/* Accept errors (memberlist specification, 8): wait, doubling. */
#define ACCEPT_BACKOFF_MIN_NS   UINT64_C(5000000)
#define ACCEPT_BACKOFF_MAX_NS   UINT64_C(1000000000)
#define ACCEPT_REPORT_WINDOW_NS UINT64_C(10000000000)

struct listener_callbacks {
    void *context;
    /* The callee owns the connection. Nothing is read until connection_start. */
    void (*accepted)(void *context, struct connection *connection);
    /* Accepting failed, as in "accept tcp 127.0.0.1:7946: accept4: too many open files"; the
     * listener tries again by itself after a pause. Whoever connects can provoke this, so it comes
     * ACCEPT_REPORTS times in a window at most; what was left out is counted behind the reason of
     * the next, " (and 3 times more since the last such line)". May be NULL. */
    void (*accept_failed)(void *context, const char *reason);
};

/* Binds and listens; the meaning of `address` is udp_new's. NULL on failure, with
 * "listen tcp 127.0.0.1:7373: bind: address already in use" in `error`. */
struct listener *listener_new(struct loop *loop, const struct endpoint *address,
                              const struct listener_callbacks *callbacks, struct buffer *error);
/* The same on a Unix socket at `path`: unix_socket.h says what becomes of the file. Its connections
 * have no endpoints. */
struct listener *listener_new_unix(struct loop *loop, const char *path,
                                   const struct listener_callbacks *callbacks,
                                   struct buffer *error);
/* Stops listening; connections that were handed over live on. */
void listener_free(struct listener *listener);

/* As bound, with the real port; 16 zero bytes when bound to every address of both families. */
struct endpoint listener_bound(const struct listener *listener);

/* The next pause after `pause` (0: none so far). */
uint64_t accept_backoff_next(uint64_t pause);

/* Zero it before the first. */
struct accept_reports {
    uint64_t since; /* when the window began */
    uint32_t count; /* told in it */
    uint32_t left_out;
};

/* Whether a failure at `now` is told; one that is not is counted in `left_out`, which whoever
 * tells the next one sets back. */
bool accept_report_allowed(struct accept_reports *reports, uint64_t now);

/* Callbacks come from the loop only, except where connection_receive is called. From inside any of
 * them the owner may call connection_close or connection_free. Each may be NULL. */
struct connection_callbacks {
    void *context;
    /* A connection made with connection_open is established. */
    void (*opened)(void *context);
    /* `bytes` is borrowed during the call, and not empty. */
    void (*received)(void *context, struct span bytes);
    /* The peer sends no more; writing still works. Comes once, after the last bytes. */
    void (*ended)(void *context);
    /* The connection could not be made, or broke; `reason` as in socket_text.h. Nothing comes
     * afterwards; the owner frees. */
    void (*failed)(void *context, const char *reason);
    /* Everything written so far is in the kernel's hands. */
    void (*drained)(void *context);
};

/* Connects, and starts reading once connected. `deadline` in loop_now's time (TIMER_NEVER: the
 * kernel's own patience). NULL only when memory is out: every other failure is reported through
 * `failed`, from the loop. Writing may begin at once. */
struct connection *connection_open(struct loop *loop, const struct endpoint *remote,
                                   uint64_t deadline, const struct connection_callbacks *callbacks);

/* Gives an accepted connection its owner's callbacks, and starts reading. */
void connection_start(struct connection *connection, const struct connection_callbacks *callbacks);

/* Closes at once; unsent bytes are lost. NULL is ignored. */
void connection_free(struct connection *connection);

/* Sends what was written, then closes, within `patience` nanoseconds. The connection is no longer
 * the caller's: no callback comes any more. Where bytes were written, the connection is kept until
 * the peer has closed too (or patience is over), what it still sends being thrown away: closing
 * over unread bytes would reset the connection and could take our last bytes with it. */
void connection_close(struct connection *connection, uint64_t patience);

/* Appends to what is sent. False, and nothing appended, when more than the limit would be unsent
 * or memory is out; the owner decides what that means (usually: close). On a connection that
 * failed, true: its bytes go nowhere. */
bool connection_write(struct connection *connection, struct span bytes);
void connection_set_write_limit(struct connection *connection, size_t limit);
size_t connection_unsent(const struct connection *connection);

/* Has the kernel hold about `size` bytes, at most, that the peer has not taken; by default it may
 * be megabytes. Where the kernel does not want to, all stays as it is. */
void connection_set_kernel_limit(struct connection *connection, size_t size);

/* Reading can be paused while the owner is busy with what it has; `ended` waits too. */
void connection_set_reading(struct connection *connection, bool reading);

/* Reads what has arrived (at most CONNECTION_READ_SIZE) now, without waiting. True when more may be
 * there. Must not be called from inside `received`. The connection may be gone afterwards if its
 * callbacks freed it. */
bool connection_receive(struct connection *connection);

/* Address unset while not connected. */
struct endpoint connection_local(const struct connection *connection);
struct endpoint connection_remote(const struct connection *connection);

/* The peer for a log line: "127.0.0.1:50312", or "unix pid 4711 uid 1000". Returns `text`, of
 * CONNECTION_TEXT_SIZE bytes. */
const char *connection_remote_text(const struct connection *connection, char *text);

#endif

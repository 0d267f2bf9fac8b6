/* Inside the RPC server: one client's connection. rpc_server.c listens and hands out events,
 * rpc_session.c moves bytes, rpc_commands.c carries out requests, and of those rpc_queries.c the
 * ones about user events and queries, rpc_keys.c the ones about keys. */
#ifndef AGENT_RPC_SESSION_H
#define AGENT_RPC_SESSION_H

#include "number_map.h"
#include "rpc_request.h"
#include "rpc_notice.h"
#include "rpc_server.h"
#include "stream_filter.h"
#include "tcp.h"

/* A command that the node or the agent is busy with. It outlives its session. */
struct rpc_pending {
    struct rpc_pending *next, **link; /* of the server's list */
    struct rpc_server *server;
    struct rpc_session *session; /* NULL: the client is gone */
    enum rpc_command command;
    bool prune; /* of a force-leave */
    bool list;  /* of keys */
    uint64_t seq;
};

struct rpc_event_stream {
    uint64_t seq;
    struct stream_filter filter;
};

/* A query of the client's own, whose answers it gets until it is done. */
struct rpc_own_query {
    struct rpc_own_query *next, **link; /* of the session's list */
    struct rpc_session *session;
    uint32_t query; /* the node's number */
    uint64_t seq;
};

/* A query that the client was told of, and may respond to. */
struct rpc_open_query {
    uint64_t id;       /* the connection's own number, from 1 */
    uint32_t query;    /* the node's */
    uint64_t deadline; /* loop_now's time */
};

struct rpc_session {
    struct rpc_session *next, **link; /* of the server's list */
    struct rpc_server *server;
    struct connection *connection; /* owned */
    char remote[CONNECTION_TEXT_SIZE];

    struct buffer input; /* what is not yet a whole request */
    struct rpc_request_parser parser;
    bool handshaken, authenticated;
    bool ended;      /* the client sends no more */
    bool closing;    /* nothing more is carried out; rpc_session_continue or the timer ends it */
    bool processing; /* rpc_session_continue is at work further up the stack */
    struct rpc_pending *pending; /* the command that later requests wait for */
    struct loop_task resume;     /* when it is over */

    struct rpc_event_stream streams[RPC_STREAMS_MAX];
    size_t stream_count;
    struct rpc_own_query *own_queries;
    size_t own_query_count;
    struct rpc_open_query *open_queries; /* owned, ascending by id */
    size_t open_query_count, open_query_capacity;
    uint64_t last_open_query;
    struct log_subscriber monitor; /* `monitoring` */
    bool monitoring;
    enum log_level monitor_level;
    uint64_t monitor_seq;

    struct loop_timer write_timer; /* armed while something is unsent, or to close */
    uint64_t written, sent_before; /* bytes: ever written; sent when the timer was armed */
};

struct rpc_server {
    struct rpc_server_config config;
    char *auth_key; /* owned */
    struct listener *listener;
    struct rpc_session *sessions;
    uint32_t session_count;
    struct rpc_notice refusals, slowness; /* of clients, in the log */
    bool complaining;                     /* about a client, in the log, just now */
    size_t input_bytes;                   /* held by all sessions */
    struct rpc_pending *pendings;
    struct number_map own_queries; /* struct rpc_own_query by the node's number */
    struct rpc_session *leaver;    /* its answer is on the way; then the agent may stop */
    struct loop_task left_task;
    struct loop_timer left_timer;
    struct buffer tags;   /* scratch: one member's tags */
    struct buffer items;  /* scratch: members of a list being built */
    struct buffer body;   /* scratch: a body being built */
    struct buffer output; /* scratch: header and body together */
    struct buffer record; /* scratch: a log record, which may come while the others are in use */
};

/* Takes the connection over. When memory is out it is closed. */
void rpc_session_new(struct rpc_server *server, struct connection *connection);

/* Closes; what was written is still sent. */
void rpc_session_end(struct rpc_session *session);

/* Carries on with requests that came while the session was busy. The session may be gone
 * afterwards. */
void rpc_session_continue(struct rpc_session *session);

/* --- what the commands share (rpc_commands.c) --- */

void rpc_respond_ok(struct rpc_session *session, const struct rpc_request *request);
void rpc_respond_error(struct rpc_session *session, const struct rpc_request *request,
                       const char *error);
/* A body whose parts have the wrong types, found late: the connection is closed, as for one that
 * does not decode at all. */
void rpc_refuse_body(struct rpc_session *session, const char *part);
/* The command takes its time: later requests of the connection wait. NULL when memory is out, which
 * is then answered. */
struct rpc_pending *rpc_begin_waiting(struct rpc_session *session,
                                      const struct rpc_request *request);
/* The command is over: answers if the client is still there, and lets it go on, from the loop. */
void rpc_end_waiting(struct rpc_pending *pending, struct span error, struct span body);

/* Answers with a header and, unless `body` is empty, the encoded body, in one piece. */
void rpc_session_respond(struct rpc_session *session, uint64_t seq, struct span error,
                         struct span body);

/* Whether the client reads fast enough for one more record; if not, the log is told that one of
 * `what` was dropped. */
bool rpc_session_takes_record(struct rpc_session *session, const char *what);

/* Sends a record of a stream, or drops it when the client is too slow to read. */
void rpc_session_send_event(struct rpc_session *session, uint64_t seq, struct span body);

/* Replays the log's ring, and sends every new line from now on. */
void rpc_session_start_monitor(struct rpc_session *session, uint64_t seq, enum log_level level);
void rpc_session_stop_monitor(struct rpc_session *session);

struct rpc_event_stream *rpc_session_find_stream(struct rpc_session *session, uint64_t seq);
void rpc_session_stop_stream(struct rpc_session *session, struct rpc_event_stream *stream);

/* Carries a request out: answers it, or makes the session wait. */
void rpc_command_run(struct rpc_session *session, const struct rpc_request *request);

/* rpc_queries.c */
void rpc_run_event(struct rpc_session *session, const struct rpc_request *request);
void rpc_run_query(struct rpc_session *session, const struct rpc_request *request);
void rpc_run_respond(struct rpc_session *session, const struct rpc_request *request);
/* The client is gone: its queries are cancelled, and those it could respond to forgotten. */
void rpc_session_end_queries(struct rpc_session *session);

/* rpc_keys.c */
void rpc_run_keys(struct rpc_session *session, const struct rpc_request *request);

/* Appends one encoded struct rpc_member. */
void rpc_append_member(struct rpc_server *server, struct buffer *out,
                       const struct member_view *member);

/* The leave is over and answered as well as can be: tells the agent, from the loop. */
void rpc_server_left(struct rpc_server *server);

/* Forgets a command that is over. */
void rpc_pending_free(struct rpc_pending *pending);

#endif

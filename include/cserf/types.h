/* What members and RPC clients have in common: errors, members as they are listed, events, queries.
 *
 * Texts are NUL-terminated UTF-8 as a rule; names and tags come from other machines, and a zero
 * byte in one is shown as '?'. Payloads are bytes with a size. All pointers that the library hands
 * to a callback, and what they point to, are the library's and valid until the callback returns;
 * what a program hands to the library is copied before the call returns. */
#ifndef CSERF_TYPES_H
#define CSERF_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cserf/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- errors --- */

enum cserf_code {
    CSERF_OK = 0,
    CSERF_INVALID = 1,   /* an argument is wrong, and would be the next time too */
    CSERF_NO_MEMORY = 2, /* or no file descriptors */
    CSERF_REFUSED = 3,   /* the member or the agent was asked, and said no */
    CSERF_SYSTEM = 4,    /* a socket or a file: no connection, an address in use */
    CSERF_TIMED_OUT = 5, /* no answer within the time limit */
    CSERF_CLOSED = 6,    /* the member has stopped, or the agent went away */
    CSERF_BUSY = 7       /* not from inside a callback */
};

enum { CSERF_ERROR_TEXT_SIZE = 508 };

/* What went wrong, for the program and for people. Every call that can fail takes one, which may be
 * NULL, writes it when it fails, and returns the same code (or NULL, or 0). The text names the
 * thing and the remedy, or is what the agent said; it is cut to fit. */
struct cserf_error {
    enum cserf_code code;
    char text[CSERF_ERROR_TEXT_SIZE];
};

/* --- members --- */

/* As `serf members` shows it. */
enum cserf_status {
    CSERF_NONE = 0,
    CSERF_ALIVE = 1,
    CSERF_LEAVING = 2,
    CSERF_LEFT = 3,
    CSERF_FAILED = 4
};

CSERF_API const char *cserf_status_name(enum cserf_status status); /* "alive" and so on */

struct cserf_tag {
    const char *key, *value;
};

/* One line of the list of members. */
struct cserf_node {
    const char *name;
    const char *address; /* numeric, without brackets */
    uint16_t port;
    enum cserf_status status;
    const struct cserf_tag *tags;
    size_t tag_count;
    uint8_t protocol_min, protocol_max, protocol_current; /* gossip's */
    uint8_t delegate_min, delegate_max, delegate_current; /* Serf's */
};

/* --- events --- */

enum cserf_event_type {
    CSERF_EVENT_JOIN = 1,
    CSERF_EVENT_LEAVE = 2,
    CSERF_EVENT_FAILED = 3,
    CSERF_EVENT_UPDATE = 4,  /* its tags or its address are others */
    CSERF_EVENT_REAP = 5,    /* it is forgotten */
    CSERF_EVENT_USER = 6,    /* somebody's event */
    CSERF_EVENT_QUERY = 7,   /* somebody's query: answer it with _respond, or don't */
    CSERF_EVENT_STOPPED = 8, /* a member's last: it lost its name to another, or gave up joining */
    CSERF_EVENT_OTHER = 99   /* an RPC stream's, of a kind that this version does not know */
};

/* "member-join", "member-leave", "member-failed", "member-update", "member-reap", "user", "query",
 * "stopped". */
CSERF_API const char *cserf_event_name(enum cserf_event_type type);

/* What a type does not have is 0 or NULL. */
struct cserf_event {
    enum cserf_event_type type;
    const struct cserf_node *node; /* the member that joined, left, ... */
    const char *name;              /* of the user event or the query */
    const void *payload;
    size_t payload_size;
    uint64_t ltime;     /* Lamport time */
    uint64_t query;     /* for _respond */
    const char *source; /* who asks; NULL over RPC, which does not tell */
    bool coalesce;      /* of user events of one name, the last counts */
    const char *reason; /* of CSERF_EVENT_STOPPED */
};

typedef void cserf_event_callback(void *context, const struct cserf_event *event);

enum cserf_log_level {
    CSERF_LOG_TRACE = 0,
    CSERF_LOG_DEBUG = 1,
    CSERF_LOG_INFO = 2,
    CSERF_LOG_WARN = 3,
    CSERF_LOG_ERROR = 4,
    CSERF_LOG_NONE = 5 /* as a threshold: nothing */
};

/* --- queries --- */

/* Fill it from CSERF_QUERY_OPTIONS, then change what shall be different. */
struct cserf_query_options {
    size_t size;              /* sizeof(struct cserf_query_options) */
    const char *const *nodes; /* names of those who are asked; none: everybody */
    size_t node_count;
    const struct cserf_tag *tags; /* each value a regular expression (RE2's language, not anchored)
                                     that the tag of this key must match */
    size_t tag_count;
    uint32_t timeout_ms;  /* 0: as long as a cluster of this size needs */
    bool acks;            /* each member says at once that it has the query */
    uint8_t relay_factor; /* answers also come by way of so many others */
};

#define CSERF_QUERY_OPTIONS                                                                        \
    {                                                                                              \
        sizeof(struct cserf_query_options), NULL, 0, NULL, 0, 0, false, 0                          \
    }

enum cserf_answer_type {
    CSERF_ANSWER_ACK = 1,
    CSERF_ANSWER_RESPONSE = 2,
    CSERF_ANSWER_DONE = 3 /* no more comes; without a sender */
};

struct cserf_answer {
    enum cserf_answer_type type;
    const char *from;
    const void *payload;
    size_t payload_size;
};

typedef void cserf_answer_callback(void *context, const struct cserf_answer *answer);

/* --- keys --- */

enum cserf_key_operation {
    CSERF_KEY_INSTALL = 1, /* decrypt with it, too */
    CSERF_KEY_USE = 2,     /* encrypt with it; it is installed */
    CSERF_KEY_REMOVE = 3,  /* forget it; it is not in use */
    CSERF_KEY_LIST = 4
};

/* These two stay as they are. */
struct cserf_key {
    const char *text;       /* base64 */
    uint32_t nodes;         /* members that have it */
    uint32_t primary_nodes; /* that encrypt with it; 0 by RPC, which does not tell */
};

struct cserf_key_message {
    const char *node, *text; /* why this member did not do it, or what it adds */
};

/* What members said to an operation on keys. */
struct cserf_key_report {
    uint32_t nodes, responses, errors;
    const struct cserf_key *keys; /* of a list */
    size_t key_count;
    const struct cserf_key_message *messages;
    size_t message_count;
};

/* `error`: CSERF_OK when all members did it, else CSERF_REFUSED with a summary, or CSERF_NO_MEMORY.
 * Neither pointer is NULL. */
typedef void cserf_key_report_callback(void *context, const struct cserf_error *error,
                                       const struct cserf_key_report *report);

#ifdef __cplusplus
}
#endif

#endif

/* What the protocol wants done. The core changes nothing outside itself: it queues effects, and its
 * host drains the queue after every call. */
#ifndef SWIM_EFFECT_H
#define SWIM_EFFECT_H

#include "buffer.h"
#include "endpoint.h"
#include "member.h"

enum log_level {
    LOG_LEVEL_TRACE,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERR,
    LOG_LEVEL_NONE, /* as a threshold: nothing is formatted */
};

enum effect_kind {
    /* For the operating system. */
    EFFECT_PACKET,       /* send a datagram */
    EFFECT_STREAM_OPEN,  /* connect; answer with _stream_opened or _stream_failed */
    EFFECT_STREAM_WRITE, /* append to what the stream sends */
    EFFECT_STREAM_CLOSE, /* send what was written, then close; the id is dead from here on */
    EFFECT_RESOLVE,      /* look up where members may be; answer with serf_resolved */
    /* For people. */
    EFFECT_LOG,
    /* For the application. */
    EFFECT_MEMBER_EVENT,
    EFFECT_USER_EVENT,
    EFFECT_QUERY,           /* somebody's: answer with serf_respond */
    EFFECT_QUERY_ACK,       /* to a query of our own: it has arrived */
    EFFECT_QUERY_RESPONSE,  /* an answer to it */
    EFFECT_QUERY_DONE,      /* its time is up */
    EFFECT_KEYRING_CHANGED, /* write the keyring's file; answer with serf_keyring_saved */
    EFFECT_KEYS_DONE,       /* a command about keys is finished */
    EFFECT_COMMAND_DONE,    /* a join, leave, force-leave or tag change is finished */
    EFFECT_RECORD,          /* append lines to the snapshot */
    EFFECT_STOP,            /* the member must stop: leave nothing, close everything */
    /* From the membership core to the Serf layer; no host sees them. */
    EFFECT_SWIM_JOIN,
    EFFECT_SWIM_LEAVE,
    EFFECT_SWIM_UPDATE,
    EFFECT_SWIM_CONFLICT,
    EFFECT_SWIM_USER_MESSAGE,
    EFFECT_SWIM_REMOTE_STATE,
    EFFECT_SWIM_SYNC_DONE,
    EFFECT_SWIM_LEFT,
    EFFECT_SWIM_UPDATED,
    EFFECT_SWIM_ACK,      /* to swim_ping, or too late to be of use to anybody */
    EFFECT_SWIM_NAMESAKE, /* somebody answers to our name at another address */
    EFFECT_SWIM_MOVING,   /* our former life is about to leave: as if by its own intent */
    EFFECT_SWIM_MOVED,    /* we, to the address where we are: as if newly joined */
};

enum member_event_type {
    MEMBER_EVENT_JOIN,
    MEMBER_EVENT_LEAVE,
    MEMBER_EVENT_FAILED,
    MEMBER_EVENT_UPDATE,
    MEMBER_EVENT_REAP,
};

/* "member-join" and so on. */
const char *member_event_name(enum member_event_type type);

enum stop_reason {
    STOP_RETRY_JOIN_EXHAUSTED, /* "maximum retry join attempts made, exiting" */
    STOP_NAME_CONFLICT,
};

enum resolve_kind {
    RESOLVE_HOST,     /* a host name, without brackets */
    RESOLVE_SERVICE,  /* the owner of SRV records (RFC 2782), which name hosts and ports */
    RESOLVE_PROVIDER, /* "provider=k8s namespace=...": settings as they were written */
};

struct key_report; /* see serf.h */

/* Spans and pointers in an effect are borrowed from the core, until the next call into it other
 * than _next_effect. */
struct effect {
    enum effect_kind kind;
    union {
        struct {
            struct endpoint to;
            struct span datagram;
        } packet;
        struct {
            uint32_t stream;
            struct endpoint to;
            uint64_t deadline; /* of the connect; the core itself enforces it too */
        } open;
        struct {
            uint32_t stream;
            struct span bytes;
        } write;
        struct {
            uint32_t stream;
        } close;
        struct {
            uint32_t request;
            enum resolve_kind kind;
            struct span name; /* what the kind says */
            uint16_t port;    /* of endpoints that the answer names without one */
        } resolve;
        struct {
            enum log_level level;
            struct span text; /* "component: message", no newline at the end */
        } log;
        struct {
            enum member_event_type type;
            const struct member_view *members;
            size_t count;
        } members;
        struct {
            uint64_t ltime;
            struct span name;
            struct span payload;
            bool coalesce;
        } user;
        struct {
            uint32_t query; /* for serf_respond */
            uint64_t ltime;
            uint64_t deadline; /* later answers are refused */
            struct span name;
            struct span payload;
            struct span source; /* who asked */
        } query;
        struct {            /* EFFECT_QUERY_ACK, _RESPONSE, _DONE */
            uint32_t query; /* what serf_query returned */
            struct span from;
            struct span payload;
        } answer;
        struct {
            uint32_t query; /* for serf_keyring_saved */
        } keyring;
        struct {
            uint32_t command; /* what serf_keys returned */
            const struct key_report *report;
            struct span error; /* the reference's words; empty when all went well */
        } keys;
        struct {
            uint32_t command; /* what the command's call returned */
            bool ok;
            uint32_t count;    /* of a join: hosts contacted, oneself included */
            struct span error; /* the reference's words; empty when ok */
        } done;
        struct {
            struct span lines; /* each with its newline: see snapshot.h */
            bool leaving;      /* this must be on the disk before the member is gone */
        } record;
        struct {
            enum stop_reason reason;
        } stop;
        struct { /* EFFECT_SWIM_JOIN, _LEAVE, _UPDATE */
            uint32_t member;
        } swim_member;
        struct { /* EFFECT_SWIM_CONFLICT */
            uint32_t member;
            struct endpoint other;
        } conflict;
        struct { /* EFFECT_SWIM_USER_MESSAGE, _REMOTE_STATE */
            struct span bytes;
            bool join;
        } payload;
        struct { /* EFFECT_SWIM_SYNC_DONE: a push/pull that serf asked for ended */
            uint32_t sync;
            bool ok;
            bool self;            /* it led back to this very member */
            uint32_t new_members; /* alive members first heard of through it */
            struct span error;
        } sync;
        struct { /* EFFECT_SWIM_ACK */
            uint32_t sequence;
        } ack;
        struct { /* EFFECT_SWIM_LEFT, _UPDATED: the broadcast is out, or its time was up */
            bool timed_out;
        } broadcast;
    };
};

#endif

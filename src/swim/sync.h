/* Streams within the core: what sync.c and push_pull.c share. */
#ifndef SWIM_SYNC_H
#define SWIM_SYNC_H

#include "stream.h"
#include "swim_internal.h"

enum sync_kind {
    SYNC_INCOMING,
    SYNC_JOIN,     /* a push/pull that the Serf layer asked for */
    SYNC_PERIODIC, /* a push/pull of our own */
    SYNC_TCP_PING,
};

enum sync_stage {
    SYNC_CONNECTING,
    SYNC_READING,
    SYNC_MERGING, /* the connection is done with; the state is being merged */
};

enum merge_stage {
    MERGE_SURVEY, /* what versions all alive members understand, and which are spoken */
    MERGE_BLAME,  /* somebody speaks what not all understand: who? */
    MERGE_APPLY,
};

struct merge {
    enum merge_stage stage;
    struct push_pull_reader nodes;
    struct version_range understood, spoken;
    uint32_t members; /* merged so far */
    bool join;
};

struct sync {
    struct timer timer;
    uint32_t id;
    enum sync_kind kind;
    enum sync_stage stage;
    struct endpoint remote;
    struct stream_reader reader;
    size_t counted;           /* bytes of the reader that are part of swim->stream_bytes */
    bool counts_push_pull;    /* part of swim->push_pulls */
    bool sent_alone;          /* the state that we sent named nobody else who lives */
    uint64_t sent_hash;       /* of the state that was sent, if it joins */
    uint64_t own_answer_hash; /* SYNC_JOIN: of the answer that we would read from ourselves, or 0 */
    bool reached_self;
    uint32_t new_members;
    uint32_t ping_sequence; /* SYNC_TCP_PING */
    uint64_t deadline;      /* SYNC_TCP_PING */
    uint64_t begun;         /* when we called */
    struct atom *peer;      /* identity of whom we call, or NULL */
    struct merge merge;
};

/* sync.c */
struct span sync_peer_name(const struct sync *sync);
/* Forgets the stream; the host must have been told, or have told us. */
void sync_free(struct swim *swim, struct sync *sync);
void sync_close_connection(struct swim *swim, const struct sync *sync);
/* Ends a stream that went wrong. `connected`: the host still has it. */
void sync_fail(struct swim *swim, struct sync *sync, const char *error, bool connected);
/* Tells the Serf layer how a join went. */
void sync_report_join(struct swim *swim, const struct sync *sync, bool ok, const char *error);
/* Writes one message to the stream; false when memory is out. */
bool sync_send(struct swim *swim, const struct sync *sync, struct span message);
/* Opens a stream. NULL when there is no room; `peer` may be NULL. */
struct sync *sync_call(struct swim *swim, enum sync_kind kind, const struct endpoint *to,
                       struct atom *peer, uint64_t deadline);

/* push_pull.c */
bool push_pull_send(struct swim *swim, struct sync *sync, bool join);
void push_pull_answer(struct swim *swim, struct sync *sync);
/* Takes over the state that the stream has received. */
void push_pull_merge(struct swim *swim, struct sync *sync, bool join);
/* Goes on with a merge that was interrupted. */
void push_pull_merge_slice(struct swim *swim, struct sync *sync);

#endif

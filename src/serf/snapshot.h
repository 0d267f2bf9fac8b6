/* The snapshot: what a member remembers over a restart, as lines of text (Serf specification,
 * section 8, which is also the reference's format).
 *
 *     alive: NAME IP:PORT     a member was alive; the last word is the address
 *     not-alive: NAME         it left or failed
 *     clock: N                the last time that the member clock stood for; likewise
 *     event-clock: N          for user events
 *     query-clock: N          and for queries
 *     leave                   this member left gracefully: all of the above is forgotten
 *     # failed: NAME IP:PORT SECONDS
 *                             it failed at that time (of day, since 1970), and may come back
 *
 * The last one is ours. The reference takes it for a comment, and drops it when it rewrites the
 * file; what is beyond our understanding in it is a comment to us, too.
 *
 * The core writes such lines as EFFECT_RECORD. A host that has a file appends them, and hands the
 * file's bytes to snapshot_read before the member's next life. */
#ifndef SERF_SNAPSHOT_H
#define SERF_SNAPSHOT_H

#include "buffer.h"
#include "endpoint.h"
#include "intern.h"

enum {
    SNAPSHOT_PEERS_MAX = 1048576, /* names, alive and failed; as many as a member table holds */
    SNAPSHOT_LINE_MAX = 512,      /* the longest line that is written, with its newline */
};

#define SNAPSHOT_SECONDS_MAX UINT64_C(0xffffffffff) /* later times of a failure mean nothing */

struct snapshot_peer {
    struct atom *name; /* one reference held */
    struct endpoint endpoint;
    uint64_t failed_at; /* seconds since 1970; 0: it was alive at the end */
};

struct snapshot {
    struct intern_pool *pool;    /* borrowed */
    struct snapshot_peer *peers; /* owned: who was alive at the end, or had failed */
    uint32_t peer_count, peer_capacity;
    struct hash_index index;
    uint64_t clock, event_clock, query_clock; /* 0: none was recorded */
    uint32_t leaves_ignored;
    uint32_t bad_lines, first_bad_line; /* lines that mean nothing, skipped; counted from 1 */
    size_t complete_bytes;              /* up to the last newline: what comes after it was torn */
};

void snapshot_init(struct snapshot *snapshot, struct intern_pool *pool);
void snapshot_fini(struct snapshot *snapshot);

/* Reads a whole file. Later lines override earlier ones; a line that is not understood is counted
 * and skipped, and so is what follows the last newline. `rejoin_after_leave`: "leave" lines forget
 * nothing. False when memory is out. */
bool snapshot_read(struct snapshot *snapshot, struct span file, bool rejoin_after_leave);

/* Append one line each. The name has 1 to MEMBER_NAME_SIZE_MAX bytes, none of them a newline;
 * `failed_at` is at least 1. */
void snapshot_write_alive(struct buffer *out, struct span name, const struct endpoint *endpoint);
void snapshot_write_not_alive(struct buffer *out, struct span name);
void snapshot_write_failed(struct buffer *out, struct span name, const struct endpoint *endpoint,
                           uint64_t failed_at);
void snapshot_write_clock(struct buffer *out, uint64_t time);
void snapshot_write_event_clock(struct buffer *out, uint64_t time);
void snapshot_write_query_clock(struct buffer *out, uint64_t time);
void snapshot_write_leave(struct buffer *out);

#endif

/* The file behind a member's snapshot (Serf specification, section 8; the lines are snapshot.h's).
 *
 * Lines are appended through a small buffer, which is written at the latest half a second after it
 * was begun. When the file has grown to a multiple of what it says it is rewritten beside the old
 * one and renamed over it, on another thread. A disk that is full, or a folder that is gone, costs
 * nothing but the memory of what happened meanwhile: one line in the log, a new try every half
 * minute, and one line when it works again. */
#ifndef NODE_SNAPSHOT_FILE_H
#define NODE_SNAPSHOT_FILE_H

#include "loop.h"
#include "measurements.h"
#include "snapshot.h"

struct snapshot_file;

struct snapshot_file_callbacks {
    void *context;
    /* Appends the whole snapshot, anew (serf_write_snapshot). False when memory is out. */
    bool (*write_anew)(void *context, struct buffer *out);
    void (*complain)(void *context, const char *text); /* for the log: something went wrong */
    void (*inform)(void *context, const char *text);
    struct measurements *compact_times; /* nanoseconds of each rewrite; NULL: nobody asks */
};

/* Opens or creates the file, mode 0644, reads it into `snapshot`, and cuts off a torn last line.
 * NULL with the reason in `error`, as in "failed to open snapshot: open PATH: permission denied".
 */
struct snapshot_file *snapshot_file_open(struct loop *loop, const char *path,
                                         bool rejoin_after_leave,
                                         const struct snapshot_file_callbacks *callbacks,
                                         struct snapshot *snapshot, struct buffer *error);

/* `leaving`: the lines are on their way to the disk at once. */
void snapshot_file_append(struct snapshot_file *file, struct span lines, bool leaving);

/* Writes and syncs what is left; waits for the disk. NULL is ignored. */
void snapshot_file_close(struct snapshot_file *file);

#endif

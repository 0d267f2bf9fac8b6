#include "snapshot_file.h"

#include "background.h"
#include "files.h"
#include "socket_text.h"
#include "swim_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MODE = 0644,
    WRITE_BUFFER = 4096,               /* bytes that wait for a write; as in the reference */
    PENDING_MAX = 16 * 1024 * 1024,    /* bytes that wait for a rewrite to end */
    FILE_SIZE_MAX = 512 * 1024 * 1024, /* of a file that is read */
    COMPACT_MIN = 128 * 1024,          /* a smaller file is left alone */
    LINE_SIZE_TYPICAL = 128,           /* for the size of a file before it was rewritten once */
    COMPACT_FACTOR = 2,                /* of what the file would be when written anew */
};

static const uint64_t flush_delay = 500 * NANOSECONDS_PER_MS;
static const uint64_t retry_delay = 30 * NANOSECONDS_PER_S;

/* What the other thread works on; nobody else touches it meanwhile. */
struct rewriting {
    char *path;
    struct buffer contents, error;
    bool done;
};

struct snapshot_file {
    struct loop *loop;
    struct snapshot_file_callbacks callbacks;
    char *path;
    int descriptor;            /* -1: can't be written at present */
    uint64_t size, compact_at; /* bytes */
    struct buffer pending;     /* not written yet */
    struct loop_timer flush;   /* `pending` has waited long enough */
    struct loop_timer retry;
    struct background *background; /* a rewrite under way */
    uint64_t rewrite_began;
    struct rewriting rewriting;
    bool broken; /* the last write failed: the next rewrite mends it */
};

static void say(void (*to)(void *context, const char *text), void *context, const char *before,
                const char *reason)
{
    struct buffer line;
    buffer_init(&line, 2048);
    buffer_printf(&line, "serf: %s%s", before, reason);
    to(context, buffer_text(&line));
    buffer_fini(&line);
}

static void complain(struct snapshot_file *file, const char *before, const char *reason)
{
    say(file->callbacks.complain, file->callbacks.context, before, reason);
}

/* --- writing --- */

static void close_descriptor(struct snapshot_file *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
}

/* What is in the file by now is a beginning, perhaps with half a line at its end: nothing may be
 * appended to that. What is pending will be part of the rewrite. */
static void give_up(struct snapshot_file *file, const char *operation)
{
    struct buffer reason;
    buffer_init(&reason, 1024);
    buffer_printf(&reason, "%s %s: %s; trying again in 30s", operation, file->path,
                  system_error_text(errno));
    complain(file, "Failed to update snapshot: ", buffer_text(&reason));
    buffer_fini(&reason);
    file->broken = true;
    close_descriptor(file);
    buffer_reset(&file->pending);
    loop_timer_cancel(&file->flush);
    loop_timer_set(&file->retry, loop_now() + retry_delay);
}

static void flush(struct snapshot_file *file)
{
    loop_timer_cancel(&file->flush);
    struct span rest = buffer_span(&file->pending);
    while (rest.size > 0) {
        ssize_t size = write(file->descriptor, rest.data, rest.size);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            give_up(file, "write");
            return;
        }
        rest = span_from(rest, (size_t)size);
    }
    file->size += file->pending.size;
    buffer_reset(&file->pending);
}

/* --- rewriting --- */

static void rewrite(void *context)
{
    struct rewriting *rewriting = context;
    rewriting->done = file_write(rewriting->path, buffer_span(&rewriting->contents), FILE_MODE,
                                 &rewriting->error);
}

static void forget_contents(struct snapshot_file *file)
{
    buffer_fini(&file->rewriting.contents);
    buffer_fini(&file->rewriting.error);
}

static void set_threshold(struct snapshot_file *file, uint64_t needed)
{
    file->compact_at = needed * COMPACT_FACTOR;
    if (file->compact_at < COMPACT_MIN)
        file->compact_at = COMPACT_MIN;
}

static void rewrite_failed(struct snapshot_file *file, const char *reason)
{
    complain(file, "Compaction failed, will reattempt after 30s: ", reason);
    forget_contents(file);
    loop_timer_set(&file->retry, loop_now() + retry_delay);
}

static void on_rewritten(void *context)
{
    struct snapshot_file *file =
        (struct snapshot_file *)(void *)((char *)context -
                                         offsetof(struct snapshot_file, rewriting));
    file->background = NULL;
    if (!file->rewriting.done) {
        rewrite_failed(file, buffer_text(&file->rewriting.error));
        if (!file->broken)
            flush(file); /* the old file is still there */
        return;
    }
    int descriptor = open(file->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (descriptor < 0) {
        forget_contents(file);
        give_up(file, "open");
        return;
    }
    close_descriptor(file);
    file->descriptor = descriptor;
    file->size = file->rewriting.contents.size;
    set_threshold(file, file->size);
    forget_contents(file);
    if (file->callbacks.compact_times)
        measure(file->callbacks.compact_times, loop_now() - file->rewrite_began);
    if (file->broken)
        say(file->callbacks.inform, file->callbacks.context, "Snapshot is being kept again", "");
    file->broken = false;
    flush(file);
}

static void begin_rewrite(struct snapshot_file *file)
{
    if (file->background)
        return;
    loop_timer_cancel(&file->retry);
    if (!file->broken)
        flush(file); /* the old file must be complete, should the new one fail */
    struct rewriting *rewriting = &file->rewriting;
    buffer_init(&rewriting->contents, FILE_SIZE_MAX);
    buffer_init(&rewriting->error, 1024);
    rewriting->done = false;
    /* Lines that come from here on go behind what is written anew. */
    file->rewrite_began = loop_now();
    if (file->callbacks.write_anew(file->callbacks.context, &rewriting->contents))
        file->background = background_start(file->loop, rewrite, on_rewritten, rewriting);
    if (!file->background)
        rewrite_failed(file, "out of memory");
}

static void on_retry(void *context)
{
    begin_rewrite(context);
}

static void on_flush(void *context)
{
    flush(context);
}

void snapshot_file_append(struct snapshot_file *file, struct span lines, bool leaving)
{
    if (file->broken && !file->background)
        return; /* the next rewrite will know */
    buffer_append_span(&file->pending, lines);
    if (file->background)
        return; /* the file is about to be another */
    if (file->pending.size >= WRITE_BUFFER || leaving)
        flush(file);
    else if (!timer_armed(&file->flush.timer))
        loop_timer_set(&file->flush, loop_now() + flush_delay);
    /* Not at once: what is written anew knows all that has happened, and the lines about the rest
     * of it are yet to come. */
    if (!file->broken && file->size > file->compact_at && !timer_armed(&file->retry.timer))
        loop_timer_set(&file->retry, loop_now());
}

/* --- opening and closing --- */

static bool open_file(struct snapshot_file *file, struct buffer *contents, struct buffer *error)
{
    file->descriptor = open(file->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (file->descriptor >= 0)
        return file_read(file->path, contents, error);
    buffer_printf(error, "failed to open snapshot: open %s: %s", file->path,
                  system_error_text(errno));
    return false;
}

static void tell_what_was_read(struct snapshot_file *file, const struct snapshot *snapshot)
{
    struct buffer text;
    buffer_init(&text, 1024);
    for (uint32_t i = 0; i < snapshot->leaves_ignored; i++)
        say(file->callbacks.inform, file->callbacks.context, "Ignoring previous leave in snapshot",
            "");
    buffer_printf(&text, "%u in %s, the first is line %u; they are skipped", snapshot->bad_lines,
                  file->path, snapshot->first_bad_line);
    if (snapshot->bad_lines > 0)
        complain(file, "Unrecognized snapshot lines: ", buffer_text(&text));
    buffer_fini(&text);
}

/* Reads the file; what was torn at its end is cut off, or the next line would be glued to it. */
static bool take_over(struct snapshot_file *file, bool rejoin, struct snapshot *snapshot,
                      struct buffer *error)
{
    struct buffer contents;
    buffer_init(&contents, FILE_SIZE_MAX);
    bool good = open_file(file, &contents, error);
    if (good && !snapshot_read(snapshot, buffer_span(&contents), rejoin)) {
        buffer_append_text(error, "out of memory");
        good = false;
    }
    if (good && snapshot->complete_bytes < contents.size &&
        ftruncate(file->descriptor, (off_t)snapshot->complete_bytes) != 0) {
        buffer_printf(error, "truncate %s: %s", file->path, system_error_text(errno));
        good = false;
    }
    buffer_fini(&contents);
    return good;
}

static void free_file(struct snapshot_file *file)
{
    close_descriptor(file);
    loop_timer_fini(&file->flush);
    loop_timer_fini(&file->retry);
    buffer_fini(&file->pending);
    free(file->path);
    free(file);
}

struct snapshot_file *snapshot_file_open(struct loop *loop, const char *path,
                                         bool rejoin_after_leave,
                                         const struct snapshot_file_callbacks *callbacks,
                                         struct snapshot *snapshot, struct buffer *error)
{
    struct snapshot_file *file = calloc(1, sizeof *file);
    if (!file || !(file->path = strdup(path))) {
        free(file);
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    file->loop = loop;
    file->callbacks = *callbacks;
    file->rewriting.path = file->path;
    file->descriptor = -1;
    buffer_init(&file->pending, PENDING_MAX);
    bool timers = loop_timer_init(&file->flush, loop, on_flush, file) &&
                  loop_timer_init(&file->retry, loop, on_retry, file);
    if (!timers)
        buffer_append_text(error, "out of memory");
    if (!timers || !take_over(file, rejoin_after_leave, snapshot, error)) {
        free_file(file);
        return NULL;
    }
    file->size = snapshot->complete_bytes;
    set_threshold(file, (uint64_t)snapshot->peer_count * LINE_SIZE_TYPICAL);
    tell_what_was_read(file, snapshot);
    return file;
}

void snapshot_file_close(struct snapshot_file *file)
{
    if (!file)
        return;
    if (file->background) {
        background_finish(file->background);
        on_rewritten(&file->rewriting);
    }
    if (!file->broken)
        flush(file);
    if (!file->broken && fsync(file->descriptor) != 0)
        complain(file, "failed to sync snapshot: ", system_error_text(errno));
    free_file(file);
}

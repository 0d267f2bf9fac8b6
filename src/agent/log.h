/* The agent's log and everything else it says on standard output.
 *
 * A line is "2026/11/22 13:44:42 [INFO] agent: Serf agent starting" in local time (agent
 * specification, 3.7 and 7). It goes three ways: to standard output, indented by four spaces, when
 * its level is at least the threshold; into a ring of the last lines of every level; and to every
 * subscriber, of every level too. Control characters in a line are escaped, so that a member's
 * name can't forge a line of its own. With LOG_FORMAT_JSON everything on standard output, notices
 * included, is one JSON object a line (log_json.h); the ring and the subscribers keep the text. */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include "buffer.h"
#include "effect.h"

enum {
    LOG_RING_LINES = 512,
    LOG_RING_BYTES_MAX = 256 * 1024,
    LOG_LINE_SIZE_MAX = 8 * 1024, /* a longer line is cut and ends in "..." */
    LOG_HELD_LINES_MAX = 4096, /* lines held before the log starts to stream; the rest is counted */
};

struct agent_log;

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* A part of a line for programs; both texts are borrowed. */
struct log_field {
    const char *key;
    struct span text;
};

/* "text" or "json", any case. */
bool log_format_parse(const char *text, enum log_format *format);

/* Any case; false when it is none of TRACE, DEBUG, INFO, WARN, ERR. */
bool log_level_parse(struct span text, enum log_level *level);
/* "TRACE" and so on. */
const char *log_level_name(enum log_level level);

/* `output` is a file descriptor, borrowed. Until agent_log_stream, lines for it are held back, and
 * notices are written at once, waiting if need be; afterwards nothing ever waits: what a full pipe
 * does not take is dropped and counted, and one line says how many were lost when there is room
 * again. When the reader of the output is gone the process ends by SIGPIPE, like any filter.
 * NULL when memory is out. */
struct agent_log *agent_log_new(int output, enum log_level threshold);

/* Writes nothing. Subscribers must be gone. NULL is ignored. */
void agent_log_free(struct agent_log *log);

/* Of what is not written yet, lines that are held back keep the format they have. */
void agent_log_set_format(struct agent_log *log, enum log_format format);

void agent_log_set_level(struct agent_log *log, enum log_level threshold);
enum log_level agent_log_level(const struct agent_log *log);

/* `text` is "component: message" without time, level or newline. */
void agent_log_write(struct agent_log *log, enum log_level level, struct span text);
void agent_log_printf(struct agent_log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The fields are what the text says, once more; only JSON has them, and only when
 * agent_log_has_fields does anybody look at them. */
bool agent_log_has_fields(const struct agent_log *log);
void agent_log_write_fields(struct agent_log *log, enum log_level level, struct span text,
                            const struct log_field *fields, size_t field_count);

/* A notice on standard output only: "==> text", or with agent_log_info "    text". An empty text
 * is an empty line. Control characters other than a newline are escaped. */
void agent_log_notice(struct agent_log *log, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void agent_log_info(struct agent_log *log, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A notice that is a warning, or why something failed: the text is the same, JSON has the level. */
void agent_log_alarm(struct agent_log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* For a notice of several lines, which in JSON is one with fields: false with LOG_FORMAT_TEXT, and
 * nothing is written. */
bool agent_log_json_notice(struct agent_log *log, const char *text, const struct log_field *fields,
                           size_t field_count);

/* Writes what was held back; from now on lines go out as they come. */
void agent_log_stream(struct agent_log *log);

/* From now on lines gather, up to LOG_GATHER_SIZE bytes, and go out together: `waiting` is called
 * when the first one waits, and who gave it calls agent_log_flush before long, in the same turn of
 * the event loop. Notices and lines above INFO flush at once. NULL flushes, and ends it. */
enum { LOG_GATHER_SIZE = 4096 };
void agent_log_gather(struct agent_log *log, void (*waiting)(void *context), void *context);
void agent_log_flush(struct agent_log *log);

/* Part of the subscriber's own structure; zero it, then set `line` and `context`. */
struct log_subscriber {
    /* One line with its time and level, without indentation or newline; borrowed for the call.
     * It may unsubscribe, and it may log: such lines reach the output and the ring, but no
     * subscriber, since a slow reader's complaint must not feed itself. */
    void (*line)(void *context, enum log_level level, struct span text);
    void *context;
    struct log_subscriber *next; /* the log's */
    struct log_subscriber *previous;
    bool subscribed;
};

/* Hands the ring to the subscriber, oldest line first, then every new line as it comes. */
void agent_log_subscribe(struct agent_log *log, struct log_subscriber *subscriber);
/* One that is not subscribed is left alone. */
void agent_log_unsubscribe(struct agent_log *log, struct log_subscriber *subscriber);

#endif

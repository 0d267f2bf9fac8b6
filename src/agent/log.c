/* Standard output belongs to somebody else: a terminal, a pipe to a log collector, a file. When a
 * collector stops reading, a daemon that waits for it stops gossiping, and the cluster declares it
 * failed because of a log line. So once the agent runs, output is written only as far as it goes
 * without waiting. Setting O_NONBLOCK would change the descriptor for every process that shares
 * it; asking poll(2) before each piece of at most PIPE_BUF bytes does not, and a pipe that poll
 * calls writable takes that much at once. A regular file makes nobody wait and is not asked: under
 * a storm of events, each of which is a line, what a line costs is most of what an event costs. */
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log_json.h"
#include "socket_text.h"

enum {
    HELD_BYTES_MAX = 1024 * 1024,
    DEFERRED_LINES_MAX = 64,                     /* logged by subscribers during one delivery */
    JSON_LINE_SIZE_MAX = 64 * LOG_LINE_SIZE_MAX, /* message and fields, escaped */
    STARTUP_WAIT_MS = 1000, /* for a reader that is slow before the agent runs */
};

static const char log_indent[] = "    ";

struct log_line {
    char *bytes; /* owned */
    size_t size;
    enum log_level level;
};

enum output_kind { OUTPUT_STREAM, OUTPUT_SOCKET, OUTPUT_REGULAR_FILE };

struct agent_log {
    int output;
    enum output_kind output_kind;
    enum log_level threshold;
    enum log_format format;
    bool streaming;
    bool delivering;

    struct log_line ring[LOG_RING_LINES];
    size_t ring_start;
    size_t ring_count;
    size_t ring_bytes;

    struct log_subscriber *subscribers;
    struct log_subscriber *cursor; /* the next one to hear the line being delivered */

    struct log_line deferred[DEFERRED_LINES_MAX];
    size_t deferred_count;

    time_t time;        /* what time_text says */
    char time_text[32]; /* "2006/01/02 15:04:05 " */
    struct buffer line; /* the line being written */
    struct buffer text; /* the same as it goes out: indented, or in JSON */
    struct buffer held; /* output before agent_log_stream */
    uint32_t held_lines;
    void (*waiting)(void *context); /* NULL: lines do not gather */
    void *waiting_context;
    struct buffer gathered;
    uint32_t gathered_lines;
    struct buffer pending; /* the rest of a line of which the output took a part */
    uint64_t lost;         /* lines dropped since the last one that went out */
    int write_error;       /* errno of the last write that failed: why they were, or 0 */
};

static const char *const level_names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERR"};

bool log_level_parse(struct span text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        size_t size = strlen(level_names[i]);
        if (text.size == size && strncasecmp((const char *)text.data, level_names[i], size) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    assert(level < LOG_LEVEL_NONE);
    return level_names[level];
}

static enum output_kind kind_of(int output)
{
    struct stat status;
    if (fstat(output, &status) != 0)
        return OUTPUT_STREAM;
    return S_ISREG(status.st_mode)    ? OUTPUT_REGULAR_FILE
           : S_ISSOCK(status.st_mode) ? OUTPUT_SOCKET
                                      : OUTPUT_STREAM;
}

struct agent_log *agent_log_new(int output, enum log_level threshold)
{
    struct agent_log *log = calloc(1, sizeof(*log));
    if (!log)
        return NULL;
    log->output = output;
    log->output_kind = kind_of(output);
    log->threshold = threshold;
    buffer_init(&log->line, LOG_LINE_SIZE_MAX + 64);
    buffer_init(&log->text, JSON_LINE_SIZE_MAX);
    buffer_init(&log->held, HELD_BYTES_MAX);
    buffer_init(&log->gathered, LOG_GATHER_SIZE);
    buffer_init(&log->pending, 2 * JSON_LINE_SIZE_MAX);
    return log;
}

bool log_format_parse(const char *text, enum log_format *format)
{
    bool json = strcasecmp(text, "json") == 0;
    if (!json && strcasecmp(text, "text") != 0)
        return false;
    *format = json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
    return true;
}

void agent_log_set_format(struct agent_log *log, enum log_format format)
{
    log->format = format;
}

void agent_log_set_level(struct agent_log *log, enum log_level threshold)
{
    log->threshold = threshold;
}

enum log_level agent_log_level(const struct agent_log *log)
{
    return log->threshold;
}

/* --- text --- */

static void append_escaped(struct buffer *out, uint8_t c)
{
    switch (c) {
    case '\n':
        buffer_append_text(out, "\\n");
        break;
    case '\r':
        buffer_append_text(out, "\\r");
        break;
    case '\t':
        buffer_append_text(out, "\\t");
        break;
    default:
        buffer_printf(out, "\\x%02x", c);
    }
}

/* Control characters are ASCII below 0x20, DEL, and U+0080 to U+009F, which some terminals obey.
 * Those in `kept` pass. */
static bool must_escape(struct span text, size_t i, const char *kept)
{
    uint8_t c = text.data[i];
    if (c == 0xc2)
        return i + 1 < text.size && text.data[i + 1] >= 0x80 && text.data[i + 1] <= 0x9f;
    return (c < 0x20 || c == 0x7f) && !(c && strchr(kept, c));
}

/* Nearly everything is. */
static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f;
}

/* How many bytes from `i` on are plain: eight at a time, whose highest bits show which are not.
 * Below 0x20 the subtraction borrows, from 0x7f on the addition carries. */
static size_t plain_run(struct span text, size_t i)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    size_t start = i;
    for (uint64_t word; text.size - i >= sizeof word; i += sizeof word) {
        memcpy(&word, text.data + i, sizeof word);
        if ((word | (word + ones) | (word - ones * 0x20)) & high)
            break;
    }
    while (i < text.size && is_plain(text.data[i]))
        i++;
    return i - start;
}

/* At most LOG_LINE_SIZE_MAX bytes come out. */
static void append_printable(struct buffer *out, struct span text, const char *kept)
{
    size_t limit = out->size + LOG_LINE_SIZE_MAX - 8;
    for (size_t i = 0; i < text.size;) {
        size_t plain = i + plain_run(text, i);
        while (plain < text.size && !must_escape(text, plain, kept))
            plain += 1 + plain_run(text, plain + 1);
        size_t room = limit > out->size ? limit - out->size : 0;
        buffer_append(out, text.data + i, plain - i < room ? plain - i : room);
        if (out->size >= limit) {
            if (i + room < text.size)
                buffer_append_text(out, "...");
            return;
        }
        i = plain;
        if (i == text.size)
            return;
        if (text.data[i] == 0xc2)
            i++;
        append_escaped(out, text.data[i++]);
    }
}

static void append_time(struct agent_log *log, struct buffer *out)
{
    time_t now = time(NULL);
    struct tm local;
    if (now != log->time || log->time_text[0] == '\0') {
        if (!localtime_r(&now, &local))
            memset(&local, 0, sizeof(local));
        strftime(log->time_text, sizeof(log->time_text), "%Y/%m/%d %H:%M:%S ", &local);
        log->time = now;
    }
    buffer_append_text(out, log->time_text);
}

static void compose_line(struct agent_log *log, enum log_level level, struct span text)
{
    struct buffer *line = &log->line;
    buffer_reset(line);
    append_time(log, line);
    buffer_append_u8(line, '[');
    buffer_append_text(line, log_level_name(level));
    buffer_append_text(line, "] ");
    append_printable(line, text, "");
}

/* --- output --- */

static void end_by_sigpipe(struct agent_log *log)
{
    log->output = -1;
    signal(SIGPIPE, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(SIGPIPE);
}

static bool wait_writable(const struct agent_log *log, int wait_ms)
{
    if (log->output_kind == OUTPUT_REGULAR_FILE)
        return true;
    struct pollfd ready = {.fd = log->output, .events = POLLOUT};
    int polled;
    do
        polled = poll(&ready, 1, wait_ms);
    while (polled < 0 && errno == EINTR);
    return polled > 0;
}

/* Writes as much as goes out while each piece waits at most `wait_ms`; returns how much. A closed
 * output swallows everything; any other failure, such as a full disk, may pass. */
static size_t write_output(struct agent_log *log, struct span bytes, int wait_ms)
{
    size_t written = 0;
    while (written < bytes.size) {
        if (log->output < 0)
            return bytes.size;
        if (!wait_writable(log, wait_ms))
            break;
        size_t piece = bytes.size - written;
        if (piece > PIPE_BUF)
            piece = PIPE_BUF;
        ssize_t n =
            log->output_kind == OUTPUT_SOCKET
                ? send(log->output, bytes.data + written, piece, MSG_DONTWAIT | MSG_NOSIGNAL)
                : write(log->output, bytes.data + written, piece);
        if (n >= 0)
            written += (size_t)n;
        else if (errno == EAGAIN)
            break;
        else if (errno == EPIPE)
            end_by_sigpipe(log);
        else if (errno == EBADF)
            return bytes.size;
        else if (errno != EINTR) {
            log->write_error = errno;
            break;
        }
    }
    return written;
}

/* False when nothing of it went out. What is left of a line that was begun waits in `pending`. */
static bool write_whole(struct agent_log *log, struct span bytes)
{
    size_t written = write_output(log, bytes, log->streaming ? 0 : STARTUP_WAIT_MS);
    if (written == 0)
        return false;
    if (written < bytes.size)
        buffer_append_span(&log->pending, span_from(bytes, written));
    return true;
}

static bool flush_pending(struct agent_log *log)
{
    if (log->pending.size > 0)
        buffer_consume(&log->pending, write_output(log, buffer_span(&log->pending), 0));
    return log->pending.size == 0;
}

static bool report_lost(struct agent_log *log)
{
    if (log->lost == 0)
        return true;
    char text[160];
    struct buffer report;
    buffer_init(&report, 512);
    snprintf(text, sizeof(text), "agent: %llu lines were dropped here: %s",
             (unsigned long long)log->lost,
             log->write_error ? system_error_text(log->write_error)
                              : "nobody read standard output");
    if (log->format == LOG_FORMAT_JSON) {
        log_json_append(&report, LOG_LEVEL_WARN, span_text(text), NULL, 0);
    } else {
        buffer_append_text(&report, log_indent);
        append_time(log, &report);
        buffer_printf(&report, "[WARN] %s\n", text);
    }
    bool written = write_whole(log, buffer_span(&report));
    buffer_fini(&report);
    if (written) {
        log->lost = 0;
        log->write_error = 0;
    }
    return written && log->pending.size == 0;
}

/* `bytes` are whole lines. */
static void put(struct agent_log *log, struct span bytes, uint32_t lines)
{
    if (!flush_pending(log) || !report_lost(log) || !write_whole(log, bytes))
        log->lost += lines;
}

void agent_log_flush(struct agent_log *log)
{
    if (log->gathered_lines == 0)
        return;
    put(log, buffer_span(&log->gathered), log->gathered_lines);
    buffer_reset(&log->gathered);
    log->gathered_lines = 0;
}

void agent_log_gather(struct agent_log *log, void (*waiting)(void *context), void *context)
{
    agent_log_flush(log);
    log->waiting = waiting;
    log->waiting_context = context;
}

static void put_line(struct agent_log *log, enum log_level level, struct span line)
{
    if (!log->waiting) {
        put(log, line, 1);
        return;
    }
    if (log->gathered.size + line.size > LOG_GATHER_SIZE)
        agent_log_flush(log);
    if (!buffer_append_span(&log->gathered, line)) {
        agent_log_flush(log);
        put(log, line, 1);
        return;
    }
    if (log->gathered_lines++ == 0)
        log->waiting(log->waiting_context);
    if (level > LOG_LEVEL_INFO)
        agent_log_flush(log);
}

/* `log->line` holds the line as text; `message` and the fields are what it was made from. */
static void output_line(struct agent_log *log, enum log_level level, struct span message,
                        const struct log_field *fields, size_t field_count)
{
    if (level < log->threshold)
        return;
    struct buffer *text = &log->text;
    buffer_reset(text);
    if (log->format == LOG_FORMAT_JSON) {
        log_json_append(text, level, message, fields, field_count);
    } else {
        buffer_append_text(text, log_indent);
        buffer_append_span(text, buffer_span(&log->line));
        buffer_append_u8(text, '\n');
    }
    if (text->failed) {
        log->lost++;
    } else if (log->streaming) {
        put_line(log, level, buffer_span(text));
    } else if (log->held_lines >= LOG_HELD_LINES_MAX ||
               !buffer_append_span(&log->held, buffer_span(text))) {
        log->lost++;
    } else {
        log->held_lines++;
    }
}

void agent_log_stream(struct agent_log *log)
{
    if (log->streaming)
        return;
    size_t written = 0;
    if (flush_pending(log))
        written = write_output(log, buffer_span(&log->held), STARTUP_WAIT_MS);
    buffer_consume(&log->held, written);
    /* What did not go out: the begun line is finished later, whole lines count as lost. */
    struct span rest = buffer_span(&log->held);
    if (written > 0 && rest.size > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t begun = end ? (size_t)(end - rest.data) + 1 : rest.size;
        buffer_append(&log->pending, rest.data, begun);
        rest = span_from(rest, begun);
    }
    for (size_t i = 0; i < rest.size; i++)
        log->lost += rest.data[i] == '\n';
    buffer_fini(&log->held);
    log->streaming = true;
}

static void append_notice(struct agent_log *log, struct buffer *out, enum log_level level,
                          const char *prefix, const char *text)
{
    if (log->format == LOG_FORMAT_JSON) {
        if (text[0]) /* an empty line is for the eye */
            log_json_append(out, level, span_text(text), NULL, 0);
        return;
    }
    if (text[0])
        buffer_append_text(out, prefix);
    append_printable(out, span_text(text), "\n\t");
    buffer_append_u8(out, '\n');
}

static void print_notice(struct agent_log *log, enum log_level level, const char *prefix,
                         const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return;
    struct buffer out;
    buffer_init(&out, JSON_LINE_SIZE_MAX);
    append_notice(log, &out, level, prefix, text);
    agent_log_flush(log);
    if (!out.failed && out.size > 0)
        put(log, buffer_span(&out), 1);
    buffer_fini(&out);
    free(text);
}

static const char notice_prefix[] = "==> ";

void agent_log_notice(struct agent_log *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_notice(log, LOG_LEVEL_INFO, notice_prefix, format, arguments);
    va_end(arguments);
}

void agent_log_info(struct agent_log *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_notice(log, LOG_LEVEL_INFO, log_indent, format, arguments);
    va_end(arguments);
}

void agent_log_alarm(struct agent_log *log, enum log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_notice(log, level, notice_prefix, format, arguments);
    va_end(arguments);
}

bool agent_log_json_notice(struct agent_log *log, const char *text, const struct log_field *fields,
                           size_t field_count)
{
    if (log->format != LOG_FORMAT_JSON)
        return false;
    struct buffer out;
    buffer_init(&out, JSON_LINE_SIZE_MAX);
    log_json_append(&out, LOG_LEVEL_INFO, span_text(text), fields, field_count);
    agent_log_flush(log);
    if (!out.failed)
        put(log, buffer_span(&out), 1);
    buffer_fini(&out);
    return true;
}

/* --- ring and subscribers --- */

static void ring_drop_oldest(struct agent_log *log)
{
    struct log_line *oldest = &log->ring[log->ring_start];
    log->ring_bytes -= oldest->size;
    free(oldest->bytes);
    *oldest = (struct log_line){0};
    log->ring_start = (log->ring_start + 1) % LOG_RING_LINES;
    log->ring_count--;
}

static char *copy_bytes(struct span bytes)
{
    char *copy = malloc(bytes.size + 1);
    if (copy && bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return copy;
}

static void ring_add(struct agent_log *log, enum log_level level, struct span line)
{
    char *copy = copy_bytes(line);
    if (!copy)
        return;
    while (log->ring_count == LOG_RING_LINES ||
           (log->ring_count > 0 && log->ring_bytes + line.size > LOG_RING_BYTES_MAX))
        ring_drop_oldest(log);
    size_t slot = (log->ring_start + log->ring_count) % LOG_RING_LINES;
    log->ring[slot] = (struct log_line){copy, line.size, level};
    log->ring_count++;
    log->ring_bytes += line.size;
}

static void defer_line(struct agent_log *log, enum log_level level, struct span text)
{
    struct log_line *line = &log->deferred[log->deferred_count];
    if (log->deferred_count == DEFERRED_LINES_MAX || !(line->bytes = copy_bytes(text))) {
        log->lost++;
        return;
    }
    line->size = text.size;
    line->level = level;
    log->deferred_count++;
}

static void write_deferred(struct agent_log *log)
{
    for (size_t i = 0; i < log->deferred_count; i++) {
        struct log_line *line = &log->deferred[i];
        struct span text = span_make(line->bytes, line->size);
        compose_line(log, line->level, text);
        output_line(log, line->level, text, NULL, 0);
        ring_add(log, line->level, buffer_span(&log->line));
        free(line->bytes);
        *line = (struct log_line){0};
    }
    log->deferred_count = 0;
}

static void deliver(struct agent_log *log, enum log_level level, struct span line)
{
    log->delivering = true;
    for (struct log_subscriber *s = log->subscribers; s; s = log->cursor) {
        log->cursor = s->next;
        s->line(s->context, level, line);
    }
    log->cursor = NULL;
    log->delivering = false;
    write_deferred(log);
}

void agent_log_write(struct agent_log *log, enum log_level level, struct span text)
{
    agent_log_write_fields(log, level, text, NULL, 0);
}

bool agent_log_has_fields(const struct agent_log *log)
{
    return log->format == LOG_FORMAT_JSON;
}

void agent_log_write_fields(struct agent_log *log, enum log_level level, struct span text,
                            const struct log_field *fields, size_t field_count)
{
    if (log->delivering) {
        defer_line(log, level, text);
        return;
    }
    compose_line(log, level, text);
    if (log->line.failed) {
        log->lost++;
        return;
    }
    struct span line = buffer_span(&log->line);
    output_line(log, level, text, fields, field_count);
    ring_add(log, level, line);
    if (log->subscribers)
        deliver(log, level, line);
}

void agent_log_printf(struct agent_log *log, enum log_level level, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0) {
        log->lost++;
        return;
    }
    agent_log_write(log, level, span_make(text, (size_t)size));
    free(text);
}

void agent_log_subscribe(struct agent_log *log, struct log_subscriber *subscriber)
{
    assert(!subscriber->subscribed && !log->delivering);
    subscriber->subscribed = true;
    subscriber->previous = NULL;
    subscriber->next = log->subscribers;
    if (log->subscribers)
        log->subscribers->previous = subscriber;
    log->subscribers = subscriber;

    log->delivering = true;
    for (size_t i = 0; i < log->ring_count && subscriber->subscribed; i++) {
        const struct log_line *line = &log->ring[(log->ring_start + i) % LOG_RING_LINES];
        subscriber->line(subscriber->context, line->level, span_make(line->bytes, line->size));
    }
    log->delivering = false;
    write_deferred(log);
}

void agent_log_unsubscribe(struct agent_log *log, struct log_subscriber *subscriber)
{
    if (!subscriber->subscribed)
        return;
    subscriber->subscribed = false;
    if (log->cursor == subscriber)
        log->cursor = subscriber->next;
    if (subscriber->previous)
        subscriber->previous->next = subscriber->next;
    else
        log->subscribers = subscriber->next;
    if (subscriber->next)
        subscriber->next->previous = subscriber->previous;
    subscriber->next = subscriber->previous = NULL;
}

void agent_log_free(struct agent_log *log)
{
    if (!log)
        return;
    assert(!log->subscribers);
    flush_pending(log);
    while (log->ring_count > 0)
        ring_drop_oldest(log);
    buffer_fini(&log->line);
    buffer_fini(&log->text);
    buffer_fini(&log->held);
    buffer_fini(&log->gathered);
    buffer_fini(&log->pending);
    free(log);
}

/* A subscriber of the log, like an RPC client that monitors it, but of the lines that standard
 * output gets, too. Our own datagrams and not syslog(3), which may wait for its reader.
 *
 * A system log that is restarted leaves a socket that refuses: then each line tries to connect
 * anew, which costs two system calls where nobody listens. */
#include "system_log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    TIME_SIZE = sizeof("2026/11/22 13:44:42 ") - 1, /* in front of a line of the log */
    FRAME_SIZE_MAX = LOG_LINE_SIZE_MAX + 128,
};

const char *const system_log_paths[] = {"/dev/log", "/var/run/syslog", "/var/run/log", NULL};

struct system_log {
    struct log_subscriber subscriber;
    struct agent_log *log;
    const char *const *paths;
    int facility;
    int descriptor; /* -1: not connected */
    uint64_t lost;  /* lines since the last one that was sent */
    struct buffer frame;
};

bool system_log_facility(const char *name, int *facility)
{
    static const char *const names[] = {
        "KERN",   "USER",   "MAIL",     "DAEMON", "AUTH",   "SYSLOG", "LPR",    "NEWS",
        "UUCP",   "CRON",   "AUTHPRIV", "FTP",    NULL,     NULL,     NULL,     NULL,
        "LOCAL0", "LOCAL1", "LOCAL2",   "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!names[i] || strcasecmp(name, names[i]) != 0)
            continue;
        *facility = (int)i;
        return true;
    }
    return false;
}

/* The reference's severities, which are one too harmless up to INFO. */
static int severity(enum log_level level)
{
    static const int severities[] = {
        [LOG_LEVEL_TRACE] = 7, [LOG_LEVEL_DEBUG] = 6, [LOG_LEVEL_INFO] = 5,
        [LOG_LEVEL_WARN] = 4,  [LOG_LEVEL_ERR] = 3,
    };
    return severities[level];
}

/* --- the socket --- */

static int connect_path(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, size + 1);
    int descriptor = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    if (connect(descriptor, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

static bool connect_any(struct system_log *system_log)
{
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
    for (size_t t = 0; t < 2; t++)
        for (const char *const *path = system_log->paths; *path; path++) {
            system_log->descriptor = connect_path(*path, types[t]);
            if (system_log->descriptor >= 0)
                return true;
        }
    return false;
}

static void disconnect(struct system_log *system_log)
{
    if (system_log->descriptor >= 0)
        close(system_log->descriptor);
    system_log->descriptor = -1;
}

/* Whether the whole frame went out. A full queue is left alone; any other failure, and a part of a
 * frame in a stream, ends the connection. */
static bool send_once(struct system_log *system_log, struct span frame)
{
    ssize_t sent;
    do
        sent = send(system_log->descriptor, frame.data, frame.size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent == (ssize_t)frame.size)
        return true;
    if (sent >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != EMSGSIZE))
        disconnect(system_log);
    return false;
}

static bool send_frame(struct system_log *system_log, struct span frame)
{
    bool fresh = system_log->descriptor < 0;
    if (fresh && !connect_any(system_log))
        return false;
    if (send_once(system_log, frame))
        return true;
    return !fresh && system_log->descriptor < 0 && connect_any(system_log) &&
           send_once(system_log, frame);
}

/* --- lines --- */

static void compose(struct system_log *system_log, enum log_level level, struct span text)
{
    time_t now = time(NULL);
    struct tm local;
    char stamp[32] = "";
    if (localtime_r(&now, &local))
        strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &local);
    buffer_reset(&system_log->frame);
    buffer_printf(&system_log->frame,
                  "<%d>%s serf[%d]: ", system_log->facility * 8 + severity(level), stamp,
                  (int)getpid());
    buffer_append_span(&system_log->frame, text);
    buffer_append_u8(&system_log->frame, '\n');
}

static bool write_line(struct system_log *system_log, enum log_level level, struct span text)
{
    compose(system_log, level, text);
    return send_frame(system_log, buffer_span(&system_log->frame));
}

static bool report_lost(struct system_log *system_log)
{
    struct buffer text;
    if (system_log->lost == 0)
        return true;
    buffer_init(&text, 128);
    buffer_printf(&text, "agent: %llu lines were dropped here: the system log did not take them",
                  (unsigned long long)system_log->lost);
    bool sent = write_line(system_log, LOG_LEVEL_WARN, buffer_span(&text));
    if (sent)
        system_log->lost = 0;
    buffer_fini(&text);
    return sent;
}

static void on_line(void *context, enum log_level level, struct span text)
{
    struct system_log *system_log = context;
    if (level < agent_log_level(system_log->log))
        return;
    struct span rest = span_from(text, TIME_SIZE + strlen("[] ") + strlen(log_level_name(level)));
    if (!report_lost(system_log) || !write_line(system_log, level, rest))
        system_log->lost++;
}

struct system_log *system_log_new(struct agent_log *log, int facility, const char *const *paths,
                                  struct buffer *error)
{
    struct system_log *system_log = calloc(1, sizeof(*system_log));
    if (!system_log) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    *system_log = (struct system_log){
        .subscriber = {.line = on_line, .context = system_log},
        .log = log,
        .paths = paths,
        .facility = facility,
        .descriptor = -1,
    };
    if (!connect_any(system_log)) {
        buffer_append_text(error, "Unix syslog delivery error; nobody listens on");
        for (const char *const *path = paths; *path; path++)
            buffer_printf(error, "%s %s", path == paths ? "" : ",", *path);
        free(system_log);
        return NULL;
    }
    buffer_init(&system_log->frame, FRAME_SIZE_MAX);
    agent_log_subscribe(log, &system_log->subscriber);
    return system_log;
}

void system_log_free(struct system_log *system_log)
{
    if (!system_log)
        return;
    agent_log_unsubscribe(system_log->log, &system_log->subscriber);
    disconnect(system_log);
    buffer_fini(&system_log->frame);
    free(system_log);
}

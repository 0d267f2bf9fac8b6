/* The count comes by a timer and not with the next line: when a flood ends, its last second would
 * otherwise never be told. */
#include "rpc_notice.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void log_line(struct rpc_notice *notice, enum log_level level, struct span text)
{
    bool before = *notice->logging;
    *notice->logging = true;
    agent_log_write(notice->log, level, text);
    *notice->logging = before;
    loop_timer_set(&notice->timer, loop_now() + RPC_NOTICE_PERIOD_NS);
}

static void timer_due(void *context)
{
    struct rpc_notice *notice = context;
    if (notice->held_back == 0)
        return;
    if (notice->held_back > 1)
        buffer_printf(&notice->text, " (and %" PRIu64 " more such lines since the last one)",
                      notice->held_back - 1);
    notice->held_back = 0;
    log_line(notice, notice->level, buffer_span(&notice->text));
}

bool rpc_notice_init(struct rpc_notice *notice, struct loop *loop, struct agent_log *log,
                     bool *logging)
{
    *notice = (struct rpc_notice){.log = log, .logging = logging};
    buffer_init(&notice->text, RPC_NOTICE_SIZE_MAX + 128);
    return loop_timer_init(&notice->timer, loop, timer_due, notice);
}

void rpc_notice_fini(struct rpc_notice *notice)
{
    if (!notice->log)
        return;
    if (notice->timer.loop)
        loop_timer_fini(&notice->timer);
    buffer_fini(&notice->text);
    notice->log = NULL;
}

void rpc_notice_printf(struct rpc_notice *notice, enum log_level level, const char *format, ...)
{
    char text[RPC_NOTICE_SIZE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    if (!timer_armed(&notice->timer.timer)) {
        log_line(notice, level, span_text(text));
        return;
    }
    notice->held_back++;
    notice->level = level;
    buffer_reset(&notice->text);
    buffer_append_text(&notice->text, text);
}

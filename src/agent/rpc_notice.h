/* Log lines that any RPC client can provoke, as often as it likes: the first one of a kind goes out
 * at once, and after it one a second, which names the last of those held back and counts the
 * others. */
#ifndef AGENT_RPC_NOTICE_H
#define AGENT_RPC_NOTICE_H

#include "log.h"
#include "loop.h"

enum { RPC_NOTICE_SIZE_MAX = 1024 };

#define RPC_NOTICE_PERIOD_NS UINT64_C(1000000000)

struct rpc_notice {
    struct agent_log *log;
    struct loop_timer timer; /* armed for a second after a line */
    struct buffer text;      /* the last one that was */
    enum log_level level;
    uint64_t held_back;
    bool *logging; /* set while a line is being logged */
};

/* `logging` is set during each line: a monitor's client that is too slow for it must not be
 * complained about, or the complaints would never end. False when memory is out. */
bool rpc_notice_init(struct rpc_notice *notice, struct loop *loop, struct agent_log *log,
                     bool *logging);
/* One that was never initialised, but zeroed, is left alone. */
void rpc_notice_fini(struct rpc_notice *notice);

void rpc_notice_printf(struct rpc_notice *notice, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

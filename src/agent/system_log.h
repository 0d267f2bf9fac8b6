/* The log's lines to the system log as well (agent specification, 3.14): a datagram for each, as
 * "<133>Nov 22 13:44:42 serf[4711]: agent: Serf agent starting" and a newline. */
#ifndef AGENT_SYSTEM_LOG_H
#define AGENT_SYSTEM_LOG_H

#include "log.h"

struct system_log;

/* Where the system log listens, in the order of the attempts; NULL last. */
extern const char *const system_log_paths[];

/* The number of a facility such as "LOCAL0", in any case; false when there is none. */
bool system_log_facility(const char *name, int *facility);

/* Connects, and follows `log` (borrowed) at its level of the moment, from the lines on that it
 * still has. Never waits: what can't be sent is counted, and a line tells how many when the system
 * log takes lines again. NULL with the reason in `error` when nobody listens. */
struct system_log *system_log_new(struct agent_log *log, int facility, const char *const *paths,
                                  struct buffer *error);
/* NULL is ignored. */
void system_log_free(struct system_log *system_log);

#endif

/* What the log says of a join that a user asked for (agent specification, 7.1). */
#ifndef AGENT_JOIN_LOG_H
#define AGENT_JOIN_LOG_H

#include "log.h"

/* "agent: joining: [a b] replay: false". */
void join_log_begin(struct agent_log *log, const struct span *addresses, size_t count, bool replay);

/* "agent: joined: 2 nodes"; when nothing was joined, "agent: error joining: " and the errors. */
void join_log_end(struct agent_log *log, uint32_t count, struct span error);

/* Appends a list of errors ("2 errors occurred:", then one a line behind a tab and a star) as one
 * line, its items joined by "; ". Any other text is appended as it is. */
void join_error_line(struct buffer *out, struct span error);

#endif

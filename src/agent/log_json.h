/* The log's lines as JSON objects, one a line, for collectors:
 *
 *   {"time":"2026-11-22T13:44:42.123456Z","level":"INFO","component":"serf",
 *    "message":"EventMemberJoin: n1 10.0.0.1","fields":{"member":"n1","address":"10.0.0.1"}}
 */
#ifndef AGENT_LOG_JSON_H
#define AGENT_LOG_JSON_H

#include "log.h"

/* Appends one line with its newline. `text` is "component: message"; without a component it is the
 * agent's. Of a message, and of each field, at most LOG_LINE_SIZE_MAX bytes are written. */
void log_json_append(struct buffer *out, enum log_level level, struct span text,
                     const struct log_field *fields, size_t field_count);

#endif

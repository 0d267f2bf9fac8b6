/* The file that keeps tags which were changed at run time (agent specification, 3.10). */
#ifndef AGENT_TAGS_FILE_H
#define AGENT_TAGS_FILE_H

#include "config.h"

enum { TAGS_FILE_SIZE_MAX = 64 * 1024 };

/* Sets `*found` when the file exists, and then replaces `tags` (which must be empty) by what it
 * holds. False with "Failed to decode tags file: ..." or the like in `error`. */
bool tags_file_load(const char *path, struct text_map *tags, bool *found, struct buffer *error);

/* Replaces the file in one step, mode 0600. */
bool tags_file_write(const char *path, const struct text_map *tags, struct buffer *error);

/* Appends the file's contents: an object indented by two spaces, keys sorted, "<", ">" and "&"
 * escaped, no newline at the end. */
void tags_file_format(struct buffer *out, const struct text_map *tags);

#endif

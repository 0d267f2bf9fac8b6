/* Whole files: read with a limit, replaced in one step. Errors as the reference words them, such as
 * "open /etc/serf/keys: no such file or directory". */
#ifndef HOST_FILES_H
#define HOST_FILES_H

#include <sys/types.h>

#include "buffer.h"

/* Appends the file's contents to `out`. False, with the reason in `error`, when it can't be read or
 * has more bytes than `out` may still take ("read PATH: larger than the limit of N bytes"). */
bool file_read(const char *path, struct buffer *out, struct buffer *error);

/* Replaces the file: a reader, and a machine that loses power, see the old contents or the new,
 * never a part. The new file has exactly `mode`. A symbolic link is replaced by a file. */
bool file_write(const char *path, struct span contents, mode_t mode, struct buffer *error);

#endif

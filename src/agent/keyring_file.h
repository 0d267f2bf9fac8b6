/* Keys from the command line and from a keyring file (agent specification, 3.9). */
#ifndef AGENT_KEYRING_FILE_H
#define AGENT_KEYRING_FILE_H

#include "buffer.h"
#include "keyring.h"

enum { KEYRING_FILE_SIZE_MAX = 64 * 1024 };

/* Adds the keys of the file, the first one becoming primary. False with one line in `error`. */
bool keyring_file_load(const char *path, struct keyring *keyring, struct buffer *error);

/* The same for a file that is a copy of `source`, which is mounted from elsewhere and can't be
 * written: the keys of `source`, as it is now, come first, then those that only the file has, which
 * may be newer; the file is written, and need not have been there. */
bool keyring_file_renew(const char *path, const char *source, struct keyring *keyring,
                        struct buffer *error);

/* Replaces the file by these keys, with mode 0600. False with "Failed to write keyring file: ..."
 * in `error`. */
bool keyring_file_save(const char *path, const struct keyring *keyring, struct buffer *error);

/* Decodes one key of any size; `error` then says "illegal base64 data at input byte N". */
bool key_decode(const char *text, struct buffer *key, struct buffer *error);

#endif

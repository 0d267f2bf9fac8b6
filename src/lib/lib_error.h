/* Errors as the library's users see them. */
#ifndef LIB_LIB_ERROR_H
#define LIB_LIB_ERROR_H

#include <cserf/types.h>

#include "buffer.h"

enum { LIB_ERROR_SIZE_MAX = 64 * 1024 }; /* of a text from below, which is then cut */

/* Fills `error`, unless it is NULL, and returns `code`. */
enum cserf_code lib_fail(struct cserf_error *error, enum cserf_code code, const char *text);
enum cserf_code lib_fail_span(struct cserf_error *error, enum cserf_code code, struct span text);
enum cserf_code lib_good(struct cserf_error *error);
enum cserf_code lib_no_memory(struct cserf_error *error);

#endif

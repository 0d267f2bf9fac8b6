#include "lib_error.h"

enum cserf_code lib_fail_span(struct cserf_error *error, enum cserf_code code, struct span text)
{
    if (!error)
        return code;
    size_t size = text.size < CSERF_ERROR_TEXT_SIZE ? text.size : CSERF_ERROR_TEXT_SIZE - 1;
    error->code = code;
    for (size_t i = 0; i < size; i++)
        error->text[i] = text.data[i] == '\0' ? '?' : (char)text.data[i];
    error->text[size] = '\0';
    return code;
}

enum cserf_code lib_fail(struct cserf_error *error, enum cserf_code code, const char *text)
{
    return lib_fail_span(error, code, span_text(text));
}

enum cserf_code lib_good(struct cserf_error *error)
{
    return lib_fail_span(error, CSERF_OK, SPAN_EMPTY);
}

enum cserf_code lib_no_memory(struct cserf_error *error)
{
    return lib_fail(error, CSERF_NO_MEMORY, "out of memory");
}

/* Header fields are looked at only for what no client may send: they change nothing here. */
#include "http_request.h"

static enum http_verdict refuse(struct http_request *request, unsigned status)
{
    request->status = status;
    return HTTP_REFUSED;
}

/* The size of the head with the empty line at its end; 0: it is not complete. */
static size_t head_size(struct span bytes)
{
    size_t line = 0; /* where the present line begins */
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] != '\n')
            continue;
        if (line > 0 && (i == line || (i == line + 1 && bytes.data[line] == '\r')))
            return i + 1;
        line = i + 1;
    }
    return 0;
}

/* Takes the word up to the next blank from the line; empty when there is none. */
static struct span take_word(struct span *line)
{
    const uint8_t *blank = line->size > 0 ? memchr(line->data, ' ', line->size) : NULL;
    size_t size = blank ? (size_t)(blank - line->data) : line->size;
    struct span word = span_make(line->data, size);
    *line = span_from(*line, size + 1);
    return word;
}

static enum http_verdict parse_line(struct span line, struct http_request *request)
{
    struct span method = take_word(&line), target = take_word(&line);
    if (method.size == 0 || target.size == 0 || line.size < 6 || memcmp(line.data, "HTTP/", 5) != 0)
        return refuse(request, 400);
    request->old = span_equal_text(line, "HTTP/1.0");
    if (!request->old && !span_equal_text(line, "HTTP/1.1"))
        return refuse(request, 505);
    request->head = span_equal_text(method, "HEAD");
    if (!request->head && !span_equal_text(method, "GET"))
        return refuse(request, 405);
    if (target.data[0] != '/')
        return refuse(request, 400);
    const uint8_t *query = memchr(target.data, '?', target.size);
    request->path = query ? span_make(target.data, (size_t)(query - target.data)) : target;
    return HTTP_READY;
}

enum http_verdict http_request_parse(struct span bytes, struct http_request *request)
{
    *request = (struct http_request){0};
    size_t size = head_size(bytes);
    if (size > HTTP_HEAD_SIZE_MAX || (size == 0 && bytes.size >= HTTP_HEAD_SIZE_MAX))
        return refuse(request, 431);
    if (size == 0)
        return HTTP_SHORT;
    if (memchr(bytes.data, '\0', size))
        return refuse(request, 400);
    const uint8_t *newline = memchr(bytes.data, '\n', size);
    struct span line = span_make(bytes.data, (size_t)(newline - bytes.data));
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    return parse_line(line, request);
}

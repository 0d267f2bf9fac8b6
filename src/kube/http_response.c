/* A server that proved who it is may still be broken, or be a proxy with ideas of its own: lengths
 * are believed only when all of their digits make sense, and nothing is kept beyond its limit. */
#include "http_response.h"

#include <ctype.h>
#include <strings.h>

enum {
    LENGTH_DIGITS_MAX = 18,
    CHUNK_DIGITS_MAX = 15,
};

void http_response_init(struct http_response *response, size_t body_max)
{
    *response = (struct http_response){.state = HTTP_RESPONSE_STATUS};
    buffer_init(&response->body, body_max);
    buffer_init(&response->line, HTTP_RESPONSE_LINE_MAX);
}

void http_response_fini(struct http_response *response)
{
    if (response->body.data)
        explicit_bzero(response->body.data, response->body.size);
    buffer_fini(&response->body);
    buffer_fini(&response->line);
}

static void fail(struct http_response *response, const char *wrong)
{
    response->state = HTTP_RESPONSE_WRONG;
    response->wrong = wrong;
}

/* --- lines --- */

static bool digits_value(struct span text, unsigned base, size_t digits_max, uint64_t *value)
{
    *value = 0;
    if (text.size == 0 || text.size > digits_max)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? c - 'a' + 10u
                         : c >= 'A' && c <= 'F' ? c - 'A' + 10u
                                                : base;
        if (digit >= base)
            return false;
        *value = *value * base + digit;
    }
    return true;
}

static struct span trim(struct span text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = span_from(text, 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* "HTTP/1.1 200 OK" */
static void read_status(struct http_response *response, struct span line)
{
    uint64_t status;
    if (line.size < 12 || memcmp(line.data, "HTTP/1.", 7) != 0 || !isdigit(line.data[7]) ||
        line.data[8] != ' ' || !digits_value(span_make(line.data + 9, 3), 10, 3, &status) ||
        status < 100 || status > 599 || (line.size > 12 && line.data[12] != ' ')) {
        fail(response, "the answer does not begin as one of HTTP/1.1 does");
        return;
    }
    response->status = (unsigned)status;
    response->sized = response->chunked = false;
    response->state = HTTP_RESPONSE_HEADERS;
}

static bool name_is(struct span name, const char *text)
{
    return name.size == strlen(text) && strncasecmp((const char *)name.data, text, name.size) == 0;
}

static void read_header(struct http_response *response, struct span line)
{
    const uint8_t *colon = memchr(line.data, ':', line.size);
    if (!colon || colon == line.data) {
        fail(response, "a header of the answer has no name");
        return;
    }
    struct span name = span_make(line.data, (size_t)(colon - line.data));
    struct span value = trim(span_from(line, name.size + 1));
    uint64_t length;
    if (name_is(name, "content-length")) {
        if (!digits_value(value, 10, LENGTH_DIGITS_MAX, &length) ||
            (response->sized && response->left != length)) {
            fail(response, "the answer's Content-Length is not one number");
            return;
        }
        response->sized = true;
        response->left = length;
    } else if (name_is(name, "transfer-encoding")) {
        if (response->chunked || !name_is(value, "chunked"))
            fail(response, "the answer's Transfer-Encoding is not chunked");
        response->chunked = true;
    }
}

/* The empty line behind the headers. */
static void begin_body(struct http_response *response)
{
    if (response->status < 200)
        response->state = HTTP_RESPONSE_STATUS;
    else if (response->status == 204 || response->status == 304)
        response->state = HTTP_RESPONSE_DONE;
    else if (response->chunked)
        response->state = HTTP_RESPONSE_CHUNK_HEAD;
    else if (!response->sized)
        response->state = HTTP_RESPONSE_UNSIZED;
    else if (response->left > response->body.maximum)
        fail(response, "the answer is larger than the limit");
    else
        response->state = response->left > 0 ? HTTP_RESPONSE_SIZED : HTTP_RESPONSE_DONE;
}

/* "1a3f" or "1a3f;extension" */
static void read_chunk_head(struct http_response *response, struct span line)
{
    const uint8_t *semicolon = line.size ? memchr(line.data, ';', line.size) : NULL;
    if (semicolon)
        line.size = (size_t)(semicolon - line.data);
    if (!digits_value(trim(line), 16, CHUNK_DIGITS_MAX, &response->left))
        fail(response, "a chunk of the answer has no size");
    else if (response->left > response->body.maximum - response->body.size)
        fail(response, "the answer is larger than the limit");
    else
        response->state = response->left > 0 ? HTTP_RESPONSE_CHUNK : HTTP_RESPONSE_TRAILERS;
}

static void read_line(struct http_response *response, struct span line)
{
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    bool empty = line.size == 0;
    switch (response->state) {
    case HTTP_RESPONSE_STATUS:
        read_status(response, line);
        break;
    case HTTP_RESPONSE_HEADERS:
        if (empty)
            begin_body(response);
        else
            read_header(response, line);
        break;
    case HTTP_RESPONSE_CHUNK_HEAD:
        read_chunk_head(response, line);
        break;
    case HTTP_RESPONSE_CHUNK_END:
        if (empty)
            response->state = HTTP_RESPONSE_CHUNK_HEAD;
        else
            fail(response, "a chunk of the answer is longer than its size");
        break;
    default: /* trailers, which say nothing that matters here */
        if (empty)
            response->state = HTTP_RESPONSE_DONE;
        break;
    }
}

/* Takes bytes up to the end of a line, and reads the line when it is there. */
static struct span take_line(struct http_response *response, struct span bytes)
{
    const uint8_t *newline = memchr(bytes.data, '\n', bytes.size);
    size_t size = newline ? (size_t)(newline - bytes.data) : bytes.size;
    bool chunking =
        response->state == HTTP_RESPONSE_CHUNK_HEAD || response->state == HTTP_RESPONSE_CHUNK_END;
    if (!chunking)
        response->head_size += size + (newline != NULL);
    if (size > response->line.maximum - response->line.size ||
        response->head_size > HTTP_RESPONSE_HEAD_MAX) {
        fail(response, "the answer has too many or too long headers");
        return SPAN_EMPTY;
    }
    if (!buffer_append(&response->line, bytes.data, size)) {
        fail(response, "out of memory");
        return SPAN_EMPTY;
    }
    if (!newline)
        return SPAN_EMPTY;
    read_line(response, buffer_span(&response->line));
    buffer_reset(&response->line);
    return span_from(bytes, size + 1);
}

/* --- the body --- */

static struct span take_body(struct http_response *response, struct span bytes)
{
    bool sized = response->state != HTTP_RESPONSE_UNSIZED;
    size_t size = sized && response->left < bytes.size ? (size_t)response->left : bytes.size;
    if (size > response->body.maximum - response->body.size) {
        fail(response, "the answer is larger than the limit");
        return SPAN_EMPTY;
    }
    if (!buffer_append(&response->body, bytes.data, size)) {
        fail(response, "out of memory");
        return SPAN_EMPTY;
    }
    if (sized && (response->left -= size) == 0)
        response->state =
            response->state == HTTP_RESPONSE_CHUNK ? HTTP_RESPONSE_CHUNK_END : HTTP_RESPONSE_DONE;
    return span_from(bytes, size);
}

static bool is_over(const struct http_response *response)
{
    return response->state == HTTP_RESPONSE_DONE || response->state == HTTP_RESPONSE_WRONG;
}

bool http_response_feed(struct http_response *response, struct span bytes)
{
    while (bytes.size > 0 && !is_over(response)) {
        switch (response->state) {
        case HTTP_RESPONSE_SIZED:
        case HTTP_RESPONSE_UNSIZED:
        case HTTP_RESPONSE_CHUNK:
            bytes = take_body(response, bytes);
            break;
        default:
            bytes = take_line(response, bytes);
            break;
        }
    }
    return !is_over(response);
}

void http_response_end(struct http_response *response)
{
    if (response->state == HTTP_RESPONSE_UNSIZED)
        response->state = HTTP_RESPONSE_DONE;
    else if (!is_over(response))
        fail(response, "the connection ended before the answer did");
}

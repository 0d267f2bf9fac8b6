#include <string.h>

#include <jansson.h>

#include "kube_api.h"

enum {
    STATUS_SIZE_MAX = 64 * 1024, /* of a Status object that is read */
    MESSAGE_SIZE_MAX = 512,      /* of its message that is shown */
};

static const char *status_name(unsigned status)
{
    static const struct {
        unsigned status;
        const char *name;
    } names[] = {
        {400, " Bad Request"},
        {401, " Unauthorized"},
        {403, " Forbidden"},
        {404, " Not Found"},
        {409, " Conflict"},
        {410, " Gone"},
        {415, " Unsupported Media Type"},
        {422, " Unprocessable Entity"},
        {429, " Too Many Requests"},
        {500, " Internal Server Error"},
        {502, " Bad Gateway"},
        {503, " Service Unavailable"},
        {504, " Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].status == status)
            return names[i].name;
    return status >= 300 && status < 400 ? " (a redirect, which is not followed)" : "";
}

static void append_printable(struct buffer *out, const char *text)
{
    for (size_t i = 0; text[i] && i < MESSAGE_SIZE_MAX; i++) {
        if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
            buffer_printf(out, "\\x%02x", (uint8_t)text[i]);
        else
            buffer_append_u8(out, (uint8_t)text[i]);
    }
}

void kube_status_text(unsigned status, struct span body, struct buffer *out)
{
    buffer_printf(out, "%u%s", status, status_name(status));
    if (body.size == 0 || body.size > STATUS_SIZE_MAX)
        return;
    json_t *object = json_loadb((const char *)body.data, body.size, 0, NULL);
    const char *message = json_string_value(json_object_get(object, "message"));
    if (message && *message) {
        buffer_append_text(out, ": ");
        append_printable(out, message);
    }
    json_decref(object);
}

void kube_append_encoded(struct buffer *out, struct span text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] && strchr(plain, text.data[i]))
            buffer_append_u8(out, text.data[i]);
        else
            buffer_printf(out, "%%%02X", text.data[i]);
    }
}

#include "kube_provider.h"

#include <stdlib.h>

/* One key=value; both borrowed from the buffer that they were written to. */
struct setting {
    struct span key;
    struct buffer value;
};

/* --- the text --- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What stands in quotes, up to the closing one. */
static bool read_quoted(struct span *rest, struct buffer *value)
{
    for (size_t i = 1; i < rest->size; i++) {
        uint8_t c = rest->data[i];
        if (c == '"') {
            *rest = span_from(*rest, i + 1);
            return rest->size == 0 || is_blank(rest->data[0]);
        }
        if (c == '\\') {
            if (++i == rest->size || (rest->data[i] != '"' && rest->data[i] != '\\'))
                return false;
            c = rest->data[i];
        }
        buffer_append_u8(value, c);
    }
    return false;
}

static bool read_plain(struct span *rest, struct buffer *value)
{
    size_t size = 0;
    while (size < rest->size && !is_blank(rest->data[size])) {
        if (rest->data[size] == '"' || rest->data[size] == '\\')
            return false;
        size++;
    }
    buffer_append(value, rest->data, size);
    *rest = span_from(*rest, size);
    return true;
}

/* Takes the next setting from `rest`, which is not empty and begins with no blank. */
static bool read_setting(struct span *rest, struct setting *setting, struct buffer *error)
{
    size_t size = 0;
    while (size < rest->size && !is_blank(rest->data[size]) && rest->data[size] != '=' &&
           rest->data[size] != '"')
        size++;
    setting->key = span_make(rest->data, size);
    if (size == 0 || size == rest->size || rest->data[size] != '=') {
        buffer_append_quoted(error, size ? setting->key : span_make(rest->data, 1));
        buffer_append_text(error, " is no setting: key=value separated by blanks was expected");
        return false;
    }
    *rest = span_from(*rest, size + 1);
    bool quoted = rest->size > 0 && rest->data[0] == '"';
    if (quoted ? read_quoted(rest, &setting->value) : read_plain(rest, &setting->value))
        return true;
    buffer_printf(error, "the value of %.*s ", SPAN_PRINT(setting->key));
    buffer_append_text(error, quoted
                                  ? "must end with a double quote, with \\\" and \\\\ inside"
                                  : "must stand in double quotes, since it has one or a backslash");
    return false;
}

/* --- what it means --- */

static bool take_text(char **place, struct setting *setting, struct buffer *error)
{
    struct span value = buffer_span(&setting->value);
    if (*place) {
        buffer_printf(error, "%.*s is given twice", SPAN_PRINT(setting->key));
        return false;
    }
    if (value.size == 0 || memchr(value.data, '\0', value.size)) {
        buffer_printf(error, "the value of %.*s is empty, or has a zero byte",
                      SPAN_PRINT(setting->key));
        return false;
    }
    *place = strdup(buffer_text(&setting->value));
    if (!*place)
        buffer_append_text(error, "out of memory");
    return *place != NULL;
}

static bool take_truth(bool *place, struct setting *setting, struct buffer *error)
{
    struct span value = buffer_span(&setting->value);
    *place = span_equal_text(value, "true");
    if (*place || span_equal_text(value, "false"))
        return true;
    buffer_append_quoted(error, value);
    buffer_printf(error, " is no value of %.*s, which is true or false", SPAN_PRINT(setting->key));
    return false;
}

static bool take_name(struct setting *setting, struct buffer *error)
{
    struct span value = buffer_span(&setting->value);
    if (span_equal_text(value, "k8s"))
        return true;
    buffer_append_text(error, "there is no provider ");
    buffer_append_quoted(error, value);
    buffer_append_text(error, ": the only one is k8s");
    return false;
}

static bool take(struct kube_provider *provider, struct setting *setting, struct buffer *error)
{
    if (setting->value.failed) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    if (span_equal_text(setting->key, "provider"))
        return take_name(setting, error);
    if (span_equal_text(setting->key, "namespace"))
        return take_text(&provider->namespace, setting, error);
    if (span_equal_text(setting->key, "label_selector"))
        return take_text(&provider->label_selector, setting, error);
    if (span_equal_text(setting->key, "field_selector"))
        return take_text(&provider->field_selector, setting, error);
    if (span_equal_text(setting->key, "service"))
        return take_text(&provider->service, setting, error);
    if (span_equal_text(setting->key, "host_network"))
        return take_truth(&provider->host_network, setting, error);
    buffer_append_text(error, "unknown key ");
    buffer_append_quoted(error, setting->key);
    buffer_append_text(error, ": provider=k8s knows namespace, label_selector, field_selector, "
                              "host_network and service");
    return false;
}

static bool take_all(struct kube_provider *provider, struct span rest, struct buffer *error)
{
    bool good = true;
    for (;;) {
        while (rest.size > 0 && is_blank(rest.data[0]))
            rest = span_from(rest, 1);
        if (!good || rest.size == 0)
            return good;
        struct setting setting;
        buffer_init(&setting.value, KUBE_SETTINGS_SIZE_MAX + 1);
        good = read_setting(&rest, &setting, error) && take(provider, &setting, error);
        buffer_fini(&setting.value);
    }
}

bool kube_provider_parse(struct kube_provider *provider, struct span settings, struct buffer *error)
{
    *provider = (struct kube_provider){0};
    if (settings.size > KUBE_SETTINGS_SIZE_MAX) {
        buffer_printf(error, "more than %d bytes of settings", KUBE_SETTINGS_SIZE_MAX);
        return false;
    }
    bool good = take_all(provider, settings, error);
    if (good && provider->service &&
        (provider->label_selector || provider->field_selector || provider->host_network)) {
        buffer_append_text(error, "service names endpoints, and label_selector, field_selector and "
                                  "host_network are about pods: give one or the other");
        good = false;
    }
    if (!good)
        kube_provider_fini(provider);
    return good;
}

void kube_provider_fini(struct kube_provider *provider)
{
    free(provider->namespace);
    free(provider->label_selector);
    free(provider->field_selector);
    free(provider->service);
    *provider = (struct kube_provider){0};
}

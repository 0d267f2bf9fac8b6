/* Users' scripts were written for a parser with one dash or two, "-name=value" or "-name value",
 * and booleans that never take the next word. getopt_long knows none of this, so the grammar is
 * spelled out here, with the errors in the words those users know. */
#include "flags.h"

#include "duration.h"

#include <errno.h>
#include <stdlib.h>

void flag_list_fini(struct flag_list *list)
{
    free(list->values);
    *list = (struct flag_list){NULL, 0};
}

static bool flag_list_append(struct flag_list *list, const char *value)
{
    const char **values = realloc(list->values, (list->count + 1) * sizeof *values);
    if (!values)
        return false;
    values[list->count++] = value;
    list->values = values;
    return true;
}

static const struct flag *find_flag(const struct flag *flags, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal_text(name, flags[i].name))
            return &flags[i];
    return NULL;
}

static bool parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(text, yes[i]) != 0 && strcmp(text, no[i]) != 0)
            continue;
        *value = strcmp(text, yes[i]) == 0;
        return true;
    }
    return false;
}

/* What is wrong with the number, or NULL. */
static const char *parse_integer(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (*digits < '0' || *digits > '9')
        return "parse error";
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 0);
    if (*end != '\0')
        return "parse error";
    if (errno == ERANGE)
        return "value out of range";
    *value = number;
    return NULL;
}

static bool refuse_value(const struct flag *flag, const char *value, const char *reason,
                         struct buffer *error)
{
    bool boolean = flag->type == FLAG_BOOL;
    buffer_append_text(error, boolean ? "invalid boolean value " : "invalid value ");
    buffer_append_quoted(error, span_text(value));
    buffer_printf(error, boolean ? " for -%s: %s" : " for flag -%s: %s", flag->name, reason);
    return false;
}

static bool store_value(const struct flag *flag, const char *value, struct buffer *error)
{
    const char *reason = NULL;
    switch (flag->type) {
    case FLAG_BOOL:
        reason = parse_bool(value, flag->value) ? NULL : "parse error";
        break;
    case FLAG_STRING:
        *(const char **)flag->value = value;
        break;
    case FLAG_INTEGER:
        reason = parse_integer(value, flag->value);
        break;
    case FLAG_DURATION:
        reason = duration_parse(value, flag->value) ? NULL : "parse error";
        break;
    case FLAG_LIST:
        reason = flag_list_append(flag->value, value) ? NULL : "out of memory";
        break;
    }
    return reason ? refuse_value(flag, value, reason, error) : true;
}

/* Handles the flag at argv[*index] and moves on to the next word. */
static bool parse_one(const struct flag *flags, size_t flag_count, int argc, char **argv,
                      int *index, struct buffer *error)
{
    const char *word = argv[(*index)++];
    const char *name = word + (word[1] == '-' ? 2 : 1);
    if (*name == '\0' || *name == '-' || *name == '=') {
        buffer_printf(error, "bad flag syntax: %s", word);
        return false;
    }
    size_t name_size = strcspn(name, "=");
    const char *value = name[name_size] == '=' ? name + name_size + 1 : NULL;
    const struct flag *flag = find_flag(flags, flag_count, span_make(name, name_size));
    if (!flag) {
        buffer_printf(error, "flag provided but not defined: -%.*s", (int)name_size, name);
        return false;
    }
    if (!value && flag->type == FLAG_BOOL)
        value = "true";
    if (!value && *index < argc)
        value = argv[(*index)++];
    if (!value) {
        buffer_printf(error, "flag needs an argument: -%s", flag->name);
        return false;
    }
    if (!store_value(flag, value, error))
        return false;
    if (flag->given)
        *flag->given = true;
    return true;
}

int flags_parse(const struct flag *flags, size_t flag_count, int argc, char **argv,
                struct buffer *error)
{
    int index = 1;
    while (index < argc) {
        const char *word = argv[index];
        if (word[0] != '-' || word[1] == '\0')
            break;
        if (strcmp(word, "--") == 0)
            return index + 1;
        if (!parse_one(flags, flag_count, argc, argv, &index, error))
            return -1;
    }
    return index;
}

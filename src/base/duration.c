/* A fraction is scaled in double precision, as the reference does it: what a person writes behind
 * the point has few digits, and those come out exact. Whole numbers never leave integers. */
#include "duration.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t nanoseconds;
};

/* Longer names first where one begins with another. */
static const struct unit units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* micro sign */
    {"\xce\xbcs", 1000}, /* Greek mu */
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", UINT64_C(60) * 1000000000},
    {"h", UINT64_C(3600) * 1000000000},
};

static const uint64_t magnitude_max = UINT64_C(1) << 63;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_whole(const char **text, uint64_t *value)
{
    *value = 0;
    for (; is_digit(**text); ++*text) {
        uint64_t digit = (uint64_t)(**text - '0');
        if (*value > (magnitude_max - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    return true;
}

/* The digits behind the point; those past what 63 bits hold add nothing a nanosecond could show. */
static void read_fraction(const char **text, uint64_t *value, double *scale)
{
    *value = 0;
    *scale = 1;
    for (; is_digit(**text); ++*text) {
        if (*value > (magnitude_max - 9) / 10)
            continue;
        *value = *value * 10 + (uint64_t)(**text - '0');
        *scale *= 10;
    }
}

static const struct unit *read_unit(const char **text)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t length = strlen(units[i].name);
        if (strncmp(*text, units[i].name, length) == 0) {
            *text += length;
            return &units[i];
        }
    }
    return NULL;
}

/* One number with its unit. */
static bool read_part(const char **text, uint64_t *nanoseconds)
{
    const char *start = *text;
    uint64_t whole, fraction = 0;
    double scale = 1;
    if (!read_whole(text, &whole))
        return false;
    size_t digits = (size_t)(*text - start);
    if (**text == '.') {
        ++*text;
        const char *point = *text;
        read_fraction(text, &fraction, &scale);
        digits += (size_t)(*text - point);
    }
    const struct unit *unit = read_unit(text);
    if (digits == 0 || !unit || whole > magnitude_max / unit->nanoseconds)
        return false;
    *nanoseconds = whole * unit->nanoseconds;
    uint64_t rest = (uint64_t)((double)fraction * ((double)unit->nanoseconds / scale));
    if (rest > magnitude_max - *nanoseconds)
        return false;
    *nanoseconds += rest;
    return true;
}

bool duration_parse(const char *text, int64_t *nanoseconds)
{
    bool negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    uint64_t sum = 0;
    if (strcmp(text, "0") == 0) {
        *nanoseconds = 0;
        return true;
    }
    if (*text == '\0')
        return false;
    while (*text != '\0') {
        uint64_t part;
        if (!read_part(&text, &part) || part > magnitude_max - sum)
            return false;
        sum += part;
    }
    if (!negative && sum == magnitude_max)
        return false;
    *nanoseconds = negative ? (int64_t)(UINT64_C(0) - sum) : (int64_t)sum;
    return true;
}

/* `value` in units of `unit`, its fraction without trailing zeros. */
static size_t print_decimal(char *text, size_t size, uint64_t value, uint64_t unit)
{
    int length = snprintf(text, size, "%" PRIu64, value / unit);
    uint64_t rest = value % unit;
    if (rest == 0)
        return (size_t)length;
    text[length++] = '.';
    while (rest > 0) {
        unit /= 10;
        text[length++] = (char)('0' + rest / unit);
        rest %= unit;
    }
    text[length] = '\0';
    return (size_t)length;
}

const char *duration_text(int64_t nanoseconds, char *text)
{
    const uint64_t second = 1000000000;
    uint64_t left = nanoseconds < 0 ? UINT64_C(0) - (uint64_t)nanoseconds : (uint64_t)nanoseconds;
    size_t used = 0, size = DURATION_TEXT_SIZE;
    if (nanoseconds < 0)
        text[used++] = '-';
    if (left > 0 && left < second) {
        const struct unit *unit = left < 1000 ? &units[0] : left < 1000000 ? &units[2] : &units[4];
        used += print_decimal(text + used, size - used, left, unit->nanoseconds);
        snprintf(text + used, size - used, "%s", unit->name);
        return text;
    }
    uint64_t minutes = left / (60 * second);
    if (minutes >= 60)
        used += (size_t)snprintf(text + used, size - used, "%" PRIu64 "h", minutes / 60);
    if (minutes > 0)
        used += (size_t)snprintf(text + used, size - used, "%" PRIu64 "m", minutes % 60);
    used += print_decimal(text + used, size - used, left % (60 * second), second);
    snprintf(text + used, size - used, "s");
    return text;
}

/* PCRE2 runs the expressions, but the language is RE2's: whatever RE2 does not have (references
 * back, looking around, recursion, atomic and possessive forms, verbs) is refused before PCRE2 sees
 * it, both to mean the same everywhere and because those are the forms that explode. What is left
 * can still be made slow, so that every match has limits. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "members_filter.h"

#include "serf_message.h"

#include <pcre2.h>
#include <stdlib.h>

struct tag_filter {
    struct span key; /* borrowed */
    pcre2_code *code;
};

struct members_filter {
    pcre2_compile_context *compile_context;
    pcre2_match_context *match_context;
    pcre2_match_data *match_data;
    pcre2_code *name, *status; /* NULL: any */
    size_t tag_count;
    struct tag_filter tags[];
};

/* --- what RE2 does not have --- */

/* Where the scan of a pattern stands. */
struct syntax {
    struct span pattern;
    size_t offset;
    bool quantified; /* what stands before is a quantifier: another may not follow */
};

static int peek(const struct syntax *syntax, size_t ahead)
{
    size_t at = syntax->offset + ahead;
    return at < syntax->pattern.size ? syntax->pattern.data[at] : -1;
}

static bool is_one_of(int c, const char *set)
{
    return c > 0 && strchr(set, c) != NULL;
}

/* At a backslash: steps over the escape, or says what is wrong with it. */
static const char *check_escape(struct syntax *syntax)
{
    int c = peek(syntax, 1);
    if (c < 0)
        return "trailing backslash";
    if (c == 'Q') { /* literal up to \E, or to the end */
        syntax->offset += 2;
        while (peek(syntax, 0) >= 0 && !(peek(syntax, 0) == '\\' && peek(syntax, 1) == 'E'))
            syntax->offset++;
        syntax->offset += peek(syntax, 0) >= 0 ? 2 : 0;
        return NULL;
    }
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter && !is_one_of(c, "AabBdDfnprPsStvwWxz0"))
        return c >= '1' && c <= '9' ? "references back are not supported"
                                    : "invalid escape sequence";
    syntax->offset += 2;
    return NULL;
}

/* At "(": steps over it and what belongs to it, up to the group's contents. */
static const char *check_group(struct syntax *syntax)
{
    if (peek(syntax, 1) == '*')
        return "missing argument to repetition operator";
    syntax->offset++;
    if (peek(syntax, 0) != '?')
        return NULL;
    syntax->offset++;
    bool named = (peek(syntax, 0) == 'P' && peek(syntax, 1) == '<') ||
                 (peek(syntax, 0) == '<' && !is_one_of(peek(syntax, 1), "=!"));
    if (named)
        return NULL;
    while (is_one_of(peek(syntax, 0), "imsU-"))
        syntax->offset++;
    if (!is_one_of(peek(syntax, 0), ":)"))
        return "invalid or unsupported Perl syntax";
    return NULL;
}

/* Steps over a character class from its "[" on. */
static const char *check_class(struct syntax *syntax)
{
    syntax->offset++;
    if (peek(syntax, 0) == '^')
        syntax->offset++;
    if (peek(syntax, 0) == ']')
        syntax->offset++;
    while (peek(syntax, 0) >= 0 && peek(syntax, 0) != ']') {
        if (peek(syntax, 0) == '[' && peek(syntax, 1) == ':') {
            syntax->offset += 2; /* [:alpha:]; its "]" must not end the class */
            while (peek(syntax, 0) >= 0 && !(peek(syntax, 0) == ':' && peek(syntax, 1) == ']'))
                syntax->offset++;
            syntax->offset += peek(syntax, 0) >= 0 ? 2 : 0;
            continue;
        }
        if (peek(syntax, 0) != '\\') {
            syntax->offset++;
            continue;
        }
        const char *reason = check_escape(syntax);
        if (reason)
            return reason;
    }
    syntax->offset++;
    return NULL;
}

/* The length of "{2}", "{2,}" or "{2,5}" at the offset; 0 when it is none of these, and then a
 * literal brace. `large`: a number over RE2's limit. */
static size_t repeat_length(const struct syntax *syntax, bool *large)
{
    size_t length = 1, digits = 0;
    unsigned number = 0;
    bool comma = false;
    *large = false;
    for (;; length++) {
        int c = peek(syntax, length);
        if (c >= '0' && c <= '9') {
            number =
                number > MEMBERS_FILTER_REPEAT_MAX ? number : number * 10 + (unsigned)(c - '0');
            *large = *large || number > MEMBERS_FILTER_REPEAT_MAX;
            digits++;
        } else if (c == ',' && digits > 0 && !comma) {
            comma = true;
            number = 0;
        } else {
            return c == '}' && digits > 0 ? length + 1 : 0;
        }
    }
}

/* At something that may be a quantifier: steps over it. */
static const char *check_quantifier(struct syntax *syntax, bool *is_quantifier)
{
    bool large = false;
    int c = peek(syntax, 0);
    size_t length = is_one_of(c, "*+?") ? 1 : c == '{' ? repeat_length(syntax, &large) : 0;
    *is_quantifier = length > 0;
    if (length == 0)
        return NULL;
    if (large)
        return "invalid repeat count";
    if (syntax->quantified)
        return "invalid nested repetition operator";
    syntax->offset += length;
    if (peek(syntax, 0) == '?') /* not greedy */
        syntax->offset++;
    return NULL;
}

/* NULL, or why RE2 would refuse the pattern. Plain mistakes are left for PCRE2 to find. */
static const char *check_syntax(struct span pattern)
{
    struct syntax syntax = {pattern, 0, false};
    while (syntax.offset < pattern.size) {
        bool quantifier;
        const char *reason = check_quantifier(&syntax, &quantifier);
        if (reason)
            return reason;
        syntax.quantified = quantifier;
        if (quantifier)
            continue;
        switch (peek(&syntax, 0)) {
        case '\\':
            reason = check_escape(&syntax);
            break;
        case '(':
            reason = check_group(&syntax);
            break;
        case '[':
            reason = check_class(&syntax);
            break;
        default:
            syntax.offset++;
            break;
        }
        if (reason)
            return reason;
    }
    return NULL;
}

/* --- compiling --- */

static bool refuse(struct buffer *error, struct span pattern, const char *reason)
{
    buffer_printf(error, "Failed to compile regex: error parsing regexp: %s: `^%.*s$`", reason,
                  SPAN_PRINT(pattern));
    return false;
}

static bool compile(struct members_filter *filter, struct span pattern, pcre2_code **code,
                    struct buffer *error)
{
    if (pattern.size > MEMBERS_FILTER_PATTERN_MAX) {
        buffer_printf(error, "Failed to compile regex: longer than %d bytes",
                      MEMBERS_FILTER_PATTERN_MAX);
        return false;
    }
    const char *reason = check_syntax(pattern);
    if (reason)
        return refuse(error, pattern, reason);
    uint8_t text[MEMBERS_FILTER_PATTERN_MAX + 2];
    text[0] = '^';
    if (pattern.size > 0)
        memcpy(text + 1, pattern.data, pattern.size);
    text[pattern.size + 1] = '$';
    int number;
    PCRE2_SIZE offset;
    *code = pcre2_compile(text, pattern.size + 2,
                          PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY |
                              PCRE2_NEVER_BACKSLASH_C,
                          &number, &offset, filter->compile_context);
    if (*code)
        return true;
    PCRE2_UCHAR message[128];
    pcre2_get_error_message(number, message, sizeof message);
    return refuse(error, pattern, (const char *)message);
}

static bool compile_all(struct members_filter *filter, struct span name, struct span status,
                        const struct tag *tags, size_t tag_count, struct buffer *error)
{
    filter->compile_context = pcre2_compile_context_create(NULL);
    filter->match_context = pcre2_match_context_create(NULL);
    filter->match_data = pcre2_match_data_create(1, NULL);
    if (!filter->compile_context || !filter->match_context || !filter->match_data) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    pcre2_set_newline(filter->compile_context, PCRE2_NEWLINE_LF);
    pcre2_set_match_limit(filter->match_context, MEMBERS_FILTER_MATCH_LIMIT);
    pcre2_set_depth_limit(filter->match_context, MEMBERS_FILTER_DEPTH_LIMIT);
    pcre2_set_heap_limit(filter->match_context, MEMBERS_FILTER_HEAP_LIMIT_KIB);
    if (name.size > 0 && !compile(filter, name, &filter->name, error))
        return false;
    if (status.size > 0 && !compile(filter, status, &filter->status, error))
        return false;
    for (; filter->tag_count < tag_count; filter->tag_count++) {
        struct tag_filter *tag = &filter->tags[filter->tag_count];
        tag->key = tags[filter->tag_count].key;
        if (!compile(filter, tags[filter->tag_count].value, &tag->code, error))
            return false;
    }
    return true;
}

struct members_filter *members_filter_new(struct span name, struct span status,
                                          const struct tag *tags, size_t tag_count,
                                          struct buffer *error)
{
    if (tag_count > MEMBERS_FILTER_TAGS_MAX) {
        buffer_printf(error, "%zu tag filters are more than the limit of %d", tag_count,
                      MEMBERS_FILTER_TAGS_MAX);
        return NULL;
    }
    struct members_filter *filter = calloc(1, sizeof *filter + tag_count * sizeof filter->tags[0]);
    if (!filter) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    if (!compile_all(filter, name, status, tags, tag_count, error)) {
        members_filter_free(filter);
        return NULL;
    }
    return filter;
}

void members_filter_free(struct members_filter *filter)
{
    if (!filter)
        return;
    for (size_t i = 0; i < filter->tag_count; i++)
        pcre2_code_free(filter->tags[i].code);
    pcre2_code_free(filter->name);
    pcre2_code_free(filter->status);
    pcre2_match_data_free(filter->match_data);
    pcre2_match_context_free(filter->match_context);
    pcre2_compile_context_free(filter->compile_context);
    free(filter);
}

/* --- matching --- */

static enum members_filter_result match(struct members_filter *filter, const pcre2_code *code,
                                        struct span subject)
{
    if (!code)
        return MEMBERS_FILTER_YES;
    const uint8_t *data = subject.size > 0 ? subject.data : (const uint8_t *)"";
    int result =
        pcre2_match(code, data, subject.size, 0, 0, filter->match_data, filter->match_context);
    if (result >= 0)
        return MEMBERS_FILTER_YES;
    return result == PCRE2_ERROR_NOMATCH ? MEMBERS_FILTER_NO : MEMBERS_FILTER_TOO_COSTLY;
}

/* The last tag with this key counts; the empty string when there is none. */
static struct span tag_value(struct span meta, struct span wanted)
{
    struct tag_reader reader;
    struct span key, value, found = SPAN_EMPTY;
    if (tag_reader_open(&reader, meta))
        while (tag_reader_next(&reader, &key, &value))
            if (span_equal(key, wanted))
                found = value;
    return found;
}

enum members_filter_result members_filter_match(struct members_filter *filter,
                                                const struct member_view *member)
{
    struct span status = span_text(member_status_name(member->status));
    enum members_filter_result result = match(filter, filter->name, member->name);
    if (result == MEMBERS_FILTER_YES)
        result = match(filter, filter->status, status);
    for (size_t i = 0; result == MEMBERS_FILTER_YES && i < filter->tag_count; i++)
        result = match(filter, filter->tags[i].code, tag_value(member->meta, filter->tags[i].key));
    return result;
}

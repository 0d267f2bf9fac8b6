/* PCRE2 runs the expressions, but the language is RE2's: whatever RE2 does not have (references
 * back, looking around, recursion, atomic and possessive forms, verbs) is refused before PCRE2 sees
 * it, both to mean the same everywhere and because those are the forms that explode. What is left
 * can still be made slow, so that every match has limits.
 *
 * The filters of queries come from peers and are matched once a query. The same few come again and
 * again, so that the last ones stay compiled. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "expression.h"

#include <pcre2.h>
#include <stdlib.h>

/* "^*" becomes "(?:^)*". */
#define EXPRESSION_TEXT_MAX (3 * (EXPRESSION_SIZE_MAX + 2))

struct expression {
    pcre2_code *code;
    pcre2_match_context *match_context;
    pcre2_match_data *match_data;
};

/* --- what RE2 does not have, and what PCRE2 does not --- */

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
            number = number > EXPRESSION_REPEAT_MAX ? number : number * 10 + (unsigned)(c - '0');
            *large = *large || number > EXPRESSION_REPEAT_MAX;
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

/* At anything but a quantifier: steps over it. */
static const char *check_element(struct syntax *syntax)
{
    switch (peek(syntax, 0)) {
    case '\\':
        return check_escape(syntax);
    case '(':
        return check_group(syntax);
    case '[':
        return check_class(syntax);
    default:
        syntax->offset++;
        return NULL;
    }
}

/* What matches a place and no text, and is followed by a quantifier: RE2 takes it, PCRE2 only in a
 * group. */
static bool needs_group(const struct syntax *syntax, struct span element)
{
    bool large;
    bool place = element.size == 1   ? is_one_of(element.data[0], "^$")
                 : element.size == 2 ? element.data[0] == '\\' && is_one_of(element.data[1], "AzbB")
                                     : false;
    return place && (is_one_of(peek(syntax, 0), "*+?") ||
                     (peek(syntax, 0) == '{' && repeat_length(syntax, &large) > 0));
}

/* Appends the pattern as PCRE2 has it. NULL, or why RE2 would refuse it. Plain mistakes are left
 * for PCRE2 to find. */
static const char *translate(struct span pattern, struct buffer *text)
{
    struct syntax syntax = {pattern, 0, false};
    while (syntax.offset < pattern.size) {
        size_t start = syntax.offset;
        bool quantifier;
        const char *reason = check_quantifier(&syntax, &quantifier);
        syntax.quantified = quantifier;
        if (!reason && !quantifier)
            reason = check_element(&syntax);
        if (reason)
            return reason;
        if (syntax.offset > pattern.size) /* a class that does not end */
            syntax.offset = pattern.size;
        struct span element = span_make(pattern.data + start, syntax.offset - start);
        bool group = !quantifier && needs_group(&syntax, element);
        if (!buffer_append_text(text, group ? "(?:" : "") ||
            !buffer_append(text, element.data, element.size) ||
            !buffer_append_text(text, group ? ")" : ""))
            return "out of memory";
    }
    return NULL;
}

/* --- compiling --- */

static void refuse(struct buffer *error, struct span pattern, enum expression_place place,
                   const char *reason)
{
    const char *before = place == EXPRESSION_WHOLE ? "^" : "";
    const char *behind = place == EXPRESSION_WHOLE ? "$" : "";
    buffer_printf(error, "error parsing regexp: %s: `%s%.*s%s`", reason, before,
                  SPAN_PRINT(pattern), behind);
}

/* NULL when memory is out. */
static pcre2_compile_context *new_compile_context(void)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context)
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    return context;
}

static bool prepare(struct expression *expression, struct buffer *error)
{
    expression->match_context = pcre2_match_context_create(NULL);
    expression->match_data = pcre2_match_data_create(1, NULL);
    if (!expression->match_context || !expression->match_data) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    pcre2_set_match_limit(expression->match_context, EXPRESSION_MATCH_LIMIT);
    pcre2_set_depth_limit(expression->match_context, EXPRESSION_DEPTH_LIMIT);
    pcre2_set_heap_limit(expression->match_context, EXPRESSION_HEAP_LIMIT_KIB);
    return true;
}

/* The pattern with what anchors it, as PCRE2 has it. */
static bool build_text(struct span pattern, enum expression_place place, struct buffer *text,
                       struct buffer *error)
{
    uint8_t whole[EXPRESSION_SIZE_MAX + 2];
    size_t size = 0;
    if (place == EXPRESSION_WHOLE)
        whole[size++] = '^';
    if (pattern.size > 0)
        memcpy(whole + size, pattern.data, pattern.size);
    size += pattern.size;
    if (place == EXPRESSION_WHOLE)
        whole[size++] = '$';
    const char *reason = translate(span_make(whole, size), text);
    if (reason)
        refuse(error, pattern, place, reason);
    return !reason;
}

static bool compile(struct expression *expression, struct span pattern, enum expression_place place,
                    struct span text, struct buffer *error)
{
    pcre2_compile_context *context = new_compile_context();
    if (!context) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    int number;
    PCRE2_SIZE offset;
    expression->code = pcre2_compile(text.size > 0 ? text.data : (const uint8_t *)"", text.size,
                                     PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY |
                                         PCRE2_NEVER_BACKSLASH_C,
                                     &number, &offset, context);
    pcre2_compile_context_free(context);
    if (expression->code)
        return true;
    PCRE2_UCHAR message[128];
    pcre2_get_error_message(number, message, sizeof message);
    refuse(error, pattern, place, (const char *)message);
    return false;
}

struct expression *expression_new(struct span pattern, enum expression_place place,
                                  struct buffer *error)
{
    if (pattern.size > EXPRESSION_SIZE_MAX) {
        buffer_printf(error, "longer than %d bytes", EXPRESSION_SIZE_MAX);
        return NULL;
    }
    struct buffer text;
    buffer_init(&text, EXPRESSION_TEXT_MAX);
    struct expression *expression = NULL;
    if (build_text(pattern, place, &text, error)) {
        expression = calloc(1, sizeof *expression);
        if (!expression)
            buffer_append_text(error, "out of memory");
    }
    if (expression && !(prepare(expression, error) &&
                        compile(expression, pattern, place, buffer_span(&text), error))) {
        expression_free(expression);
        expression = NULL;
    }
    buffer_fini(&text);
    return expression;
}

void expression_free(struct expression *expression)
{
    if (!expression)
        return;
    pcre2_code_free(expression->code);
    pcre2_match_data_free(expression->match_data);
    pcre2_match_context_free(expression->match_context);
    free(expression);
}

/* --- matching --- */

enum expression_result expression_match(const struct expression *expression, struct span text)
{
    const uint8_t *data = text.size > 0 ? text.data : (const uint8_t *)"";
    int result = pcre2_match(expression->code, data, text.size, 0, 0, expression->match_data,
                             expression->match_context);
    if (result >= 0)
        return EXPRESSION_YES;
    return result == PCRE2_ERROR_NOMATCH ? EXPRESSION_NO : EXPRESSION_TOO_COSTLY;
}

/* --- those of peers --- */

struct known_expression {
    struct expression *expression; /* owned; NULL: the place is free */
    size_t size;
    uint8_t pattern[EXPRESSION_SIZE_MAX];
};

static struct known_expression *known; /* EXPRESSIONS_KNOWN places, or NULL before the first */
static unsigned next_known;            /* the place that the next new one takes */

static const struct expression *find_known(struct span pattern)
{
    for (unsigned i = 0; known && i < EXPRESSIONS_KNOWN; i++)
        if (known[i].expression && span_equal(pattern, span_make(known[i].pattern, known[i].size)))
            return known[i].expression;
    return NULL;
}

/* Compiles it, in the place of the one that came first. */
static const struct expression *learn(struct span pattern, struct buffer *error)
{
    if (!known && !(known = calloc(EXPRESSIONS_KNOWN, sizeof *known))) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    struct expression *expression = expression_new(pattern, EXPRESSION_ANYWHERE, error);
    if (!expression)
        return NULL;
    struct known_expression *place = &known[next_known];
    next_known = (next_known + 1) % EXPRESSIONS_KNOWN;
    expression_free(place->expression);
    place->expression = expression;
    place->size = pattern.size;
    if (pattern.size > 0)
        memcpy(place->pattern, pattern.data, pattern.size);
    return expression;
}

bool expression_matches(struct span pattern, struct span text, struct buffer *error)
{
    const struct expression *expression = find_known(pattern);
    if (!expression)
        expression = learn(pattern, error);
    if (!expression)
        return false;
    enum expression_result result = expression_match(expression, text);
    if (result == EXPRESSION_TOO_COSTLY)
        buffer_append_text(error, "it takes too many steps to match");
    return result == EXPRESSION_YES;
}

void expressions_forget(void)
{
    for (unsigned i = 0; known && i < EXPRESSIONS_KNOWN; i++)
        expression_free(known[i].expression);
    free(known);
    known = NULL;
    next_known = 0;
}

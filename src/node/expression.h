/* Regular expressions in the language of RE2, which is what the reference's users write (agent
 * specification, 5.6; Serf specification, 5.3). A match has limits on its steps, its depth and its
 * memory: expressions come from clients and from peers. */
#ifndef NODE_EXPRESSION_H
#define NODE_EXPRESSION_H

#include "buffer.h"

enum {
    EXPRESSION_SIZE_MAX = 1024,       /* bytes of one expression */
    EXPRESSION_REPEAT_MAX = 1000,     /* a{n}: RE2's own limit */
    EXPRESSION_MATCH_LIMIT = 20000,   /* steps of one match */
    EXPRESSION_DEPTH_LIMIT = 4000,    /* remembered points of return of one match */
    EXPRESSION_HEAP_LIMIT_KIB = 1024, /* memory of one match */
    EXPRESSIONS_KNOWN = 16,           /* of peers, that stay compiled */
};

struct expression;

enum expression_place {
    EXPRESSION_ANYWHERE, /* matches where it is found */
    EXPRESSION_WHOLE,    /* stands between "^" and "$", without a group around it */
};

/* NULL with the reason in `error`, such as "error parsing regexp: references back are not
 * supported: `(a)\1`". */
struct expression *expression_new(struct span pattern, enum expression_place place,
                                  struct buffer *error);
void expression_free(struct expression *expression); /* NULL is ignored */

enum expression_result {
    EXPRESSION_NO,
    EXPRESSION_YES,
    EXPRESSION_TOO_COSTLY, /* it met a limit: the answer is not known */
};

enum expression_result expression_match(const struct expression *expression, struct span text);

/* For struct serf_config: whether the pattern, not anchored, is found in `text`. False with the
 * reason in `error` when it is no expression, or too costly. The last EXPRESSIONS_KNOWN patterns
 * are kept compiled. */
bool expression_matches(struct span pattern, struct span text, struct buffer *error);
/* Frees what expression_matches keeps. */
void expressions_forget(void);

#endif

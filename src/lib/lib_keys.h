/* What members said about keys, as the public header shows it. */
#ifndef LIB_LIB_KEYS_H
#define LIB_LIB_KEYS_H

#include <cserf/types.h>

#include "serf.h"

struct key_answer {
    struct cserf_key_report report; /* points to the two */
    struct cserf_key *keys;         /* owned, with their texts, as below */
    struct cserf_key_message *messages;
    bool failed; /* memory was out */
};

/* With room for so many of each; NULL when memory is out. */
struct key_answer *key_answer_new(size_t keys, size_t messages);
void key_answer_free(struct key_answer *answer); /* NULL is ignored */

void key_answer_add_key(struct key_answer *answer, struct span key, uint32_t nodes,
                        uint32_t primary_nodes);
void key_answer_add_message(struct key_answer *answer, struct span node, struct span text);

/* A copy; NULL when memory is out. */
struct key_answer *key_answer_of(const struct key_report *report);

#endif

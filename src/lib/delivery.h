/* What a member has to say, in a queue: nothing is called back from inside the node, so that a
 * callback may call anything. */
#ifndef LIB_DELIVERY_H
#define LIB_DELIVERY_H

#include <cserf/member.h>

#include "effect.h"
#include "member.h"

enum delivery_kind {
    DELIVER_MEMBER, /* first: name, second: encoded tags */
    DELIVER_USER,   /* first: name, second: payload */
    DELIVER_QUERY,  /* likewise; third: who asks */
    DELIVER_LOG,    /* first: the line */
    DELIVER_ANSWER, /* first: from, second: payload */
    DELIVER_KEYS,
    DELIVER_DONE, /* first: the error */
    DELIVER_STOPPED,
};

struct delivery {
    struct delivery *next;
    enum delivery_kind kind;
    enum cserf_event_type type; /* _MEMBER */
    struct member_view view;    /* _MEMBER: without its spans */
    uint64_t ltime;
    uint32_t query; /* _QUERY, _ANSWER, _KEYS */
    bool coalesce;
    enum log_level level;
    enum cserf_answer_type answer;
    enum stop_reason reason;
    void *command; /* _DONE: owned by the member */
    bool ok;
    uint32_t count;
    struct span first, second, third; /* what they point to follows */
};

struct delivery_queue {
    struct delivery *first, **end;
    uint64_t lost; /* for want of memory */
};

void delivery_queue_init(struct delivery_queue *queue);
void delivery_queue_fini(struct delivery_queue *queue);

/* Appends a copy of `delivery` and of the bytes that its spans point to. */
void delivery_put(struct delivery_queue *queue, const struct delivery *delivery);
/* Appends one that was allocated, which can't fail; takes it over. */
void delivery_append(struct delivery_queue *queue, struct delivery *delivery);
/* NULL when there is none; freed by the caller. */
struct delivery *delivery_take(struct delivery_queue *queue);

#endif

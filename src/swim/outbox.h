/* The queue of effects between the core and its host. Bytes of an effect live in one arena, which
 * is emptied when the last effect has been taken: queueing an effect allocates nothing once the
 * arena has grown. */
#ifndef SWIM_OUTBOX_H
#define SWIM_OUTBOX_H

#include "effect.h"
#include "intern.h"
#include "member_table.h"

enum {
    OUTBOX_BYTES_MAX = 256 * 1024 * 1024, /* of one drain; a push/pull of 10^6 members fits */
    OUTBOX_RESERVE = 32, /* places kept for what must not be lost when memory is out */
};

struct outbox_member {     /* one member of a member event */
    struct atom *identity; /* one reference held */
    uint64_t status_ltime;
    enum member_status status;
};

struct outbox_entry {
    struct effect effect;        /* spans are offsets into the arena until the effect is taken */
    struct outbox_member member; /* EFFECT_MEMBER_EVENT with one member */
};

struct outbox {
    struct outbox_entry *entries; /* owned */
    uint32_t count, capacity;
    uint32_t taken;     /* entries before this one have been handed out */
    uint32_t processed; /* entries before this one have been seen by the Serf layer */
    struct buffer arena;
    struct intern_pool *pool;  /* borrowed */
    struct member_view *views; /* scratch for the member event handed out last */
    uint32_t view_capacity;
    uint64_t lost; /* effects given up because memory was out */
};

/* False when memory is out. */
bool outbox_init(struct outbox *outbox, struct intern_pool *pool);
void outbox_fini(struct outbox *outbox);

/* Makes sure that `count` (at most OUTBOX_RESERVE) reports, that is EFFECT_SWIM_* and whatever else
 * must not be lost, can be added; false when memory is out. What changes a member asks first. */
bool outbox_reserve(struct outbox *outbox, uint32_t count);

/* Appends an entry whose spans are still empty; NULL when memory is out. */
struct effect *outbox_add(struct outbox *outbox, enum effect_kind kind);

/* Makes `span` (of an effect in the outbox) a copy of `bytes` in the arena; false when memory is
 * out, and the span is then empty. */
bool outbox_copy(struct outbox *outbox, struct span *span, struct span bytes);

/* For bytes that are written straight into the arena: where they start, and the span from there
 * to the arena's end. */
size_t outbox_begin(const struct outbox *outbox);
void outbox_end(struct outbox *outbox, struct span *span, size_t begin);

/* Takes the newest entry back. */
void outbox_drop_last(struct outbox *outbox);

void outbox_log(struct outbox *outbox, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The line "WORDS NAME", for what is logged so often that a format would cost too much: `words`
 * (short) end with the space. */
void outbox_log_about(struct outbox *outbox, enum log_level level, const char *words,
                      struct span name);

/* A member event; takes over one reference to each identity. */
void outbox_member_event(struct outbox *outbox, enum member_event_type type,
                         const struct outbox_member *members, size_t count);

/* Turns the offsets of an entry's spans into pointers, valid until the arena changes. */
void outbox_resolve(const struct outbox *outbox, struct effect *effect);

/* The next effect for the host, or false; skips what the Serf layer has consumed. */
bool outbox_next(struct outbox *outbox, struct effect *effect);

#endif

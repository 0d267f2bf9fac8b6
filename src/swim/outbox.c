#include "outbox.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOG_LINE_MAX = 1024,      /* longer lines are cut */
    ARENA_KEPT_BYTES = 16384, /* a larger arena is given back when it is empty */
    ENTRIES_KEPT = 64,
};

static bool grow(struct outbox *outbox, uint32_t capacity)
{
    struct outbox_entry *entries = realloc(outbox->entries, capacity * sizeof *entries);
    if (!entries)
        return false;
    outbox->entries = entries;
    outbox->capacity = capacity;
    return true;
}

bool outbox_init(struct outbox *outbox, struct intern_pool *pool)
{
    *outbox = (struct outbox){.pool = pool};
    buffer_init(&outbox->arena, OUTBOX_BYTES_MAX);
    return grow(outbox, 2 * OUTBOX_RESERVE);
}

static void release_members(struct outbox *outbox, struct outbox_entry *entry)
{
    if (entry->effect.kind != EFFECT_MEMBER_EVENT)
        return;
    if (entry->effect.members.count == 1) {
        intern_release(outbox->pool, entry->member.identity);
        return;
    }
    struct outbox_member *many = (struct outbox_member *)(void *)entry->effect.members.members;
    for (size_t i = 0; i < entry->effect.members.count; i++)
        intern_release(outbox->pool, many[i].identity);
    free(many);
}

static void empty(struct outbox *outbox)
{
    for (uint32_t i = 0; i < outbox->count; i++)
        release_members(outbox, &outbox->entries[i]);
    outbox->count = outbox->taken = outbox->processed = 0;
    if (outbox->arena.capacity > ARENA_KEPT_BYTES)
        buffer_fini(&outbox->arena);
    buffer_reset(&outbox->arena);
    if (outbox->capacity > ENTRIES_KEPT)
        grow(outbox, ENTRIES_KEPT); /* that is, shrink; if not, then not */
}

void outbox_fini(struct outbox *outbox)
{
    empty(outbox);
    free(outbox->entries);
    free(outbox->views);
    buffer_fini(&outbox->arena);
    *outbox = (struct outbox){0};
}

/* What others wait for, or what a table's change depends on. */
static bool is_vital(enum effect_kind kind)
{
    return (kind >= EFFECT_SWIM_JOIN && kind != EFFECT_SWIM_ACK) || kind == EFFECT_COMMAND_DONE ||
           kind == EFFECT_STOP || kind == EFFECT_MEMBER_EVENT || kind == EFFECT_STREAM_CLOSE;
}

bool outbox_reserve(struct outbox *outbox, uint32_t count)
{
    if (outbox->taken > 0 && outbox->taken == outbox->count)
        empty(outbox);
    return outbox->capacity - outbox->count >= count || grow(outbox, outbox->capacity * 2);
}

struct effect *outbox_add(struct outbox *outbox, enum effect_kind kind)
{
    if (outbox->taken > 0 && outbox->taken == outbox->count)
        empty(outbox);
    uint32_t wanted = outbox->count + 1 + (is_vital(kind) ? 0 : OUTBOX_RESERVE);
    if (wanted > outbox->capacity && !grow(outbox, outbox->capacity * 2)) {
        outbox->lost++;
        return NULL;
    }
    struct outbox_entry *entry = &outbox->entries[outbox->count++];
    memset(entry, 0, sizeof *entry);
    entry->effect.kind = kind;
    return &entry->effect;
}

void outbox_drop_last(struct outbox *outbox)
{
    assert(outbox->count > outbox->taken);
    outbox->count--;
    release_members(outbox, &outbox->entries[outbox->count]);
}

size_t outbox_begin(const struct outbox *outbox)
{
    return outbox->arena.size;
}

void outbox_end(struct outbox *outbox, struct span *span, size_t begin)
{
    assert(begin <= outbox->arena.size);
    /* Offset plus one, so that an empty span at offset 0 still differs from no span. */
    *span = (struct span){(const uint8_t *)(uintptr_t)(begin + 1), outbox->arena.size - begin};
}

bool outbox_copy(struct outbox *outbox, struct span *span, struct span bytes)
{
    size_t begin = outbox_begin(outbox);
    if (!buffer_append_span(&outbox->arena, bytes)) {
        outbox->arena.failed = false;
        outbox->lost++;
        *span = SPAN_EMPTY;
        return false;
    }
    outbox_end(outbox, span, begin);
    return true;
}

static void add_line(struct outbox *outbox, enum log_level level, struct span text)
{
    struct effect *effect = outbox_add(outbox, EFFECT_LOG);
    if (!effect)
        return;
    effect->log.level = level;
    if (!outbox_copy(outbox, &effect->log.text, text))
        outbox_drop_last(outbox);
}

void outbox_log(struct outbox *outbox, enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    size_t size = (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
    add_line(outbox, level, span_make(line, size));
}

void outbox_log_about(struct outbox *outbox, enum log_level level, const char *words,
                      struct span name)
{
    char line[LOG_LINE_MAX];
    size_t size = strlen(words);
    if (name.size > sizeof line - 1 - size)
        name.size = sizeof line - 1 - size;
    memcpy(line, words, size);
    if (name.size > 0)
        memcpy(line + size, name.data, name.size);
    add_line(outbox, level, span_make(line, size + name.size));
}

void outbox_member_event(struct outbox *outbox, enum member_event_type type,
                         const struct outbox_member *members, size_t count)
{
    struct outbox_member *many = NULL;
    if (count > 1 && (many = malloc(count * sizeof *many)))
        memcpy(many, members, count * sizeof *many);
    struct effect *effect = count == 1 || many ? outbox_add(outbox, EFFECT_MEMBER_EVENT) : NULL;
    if (!effect) {
        outbox->lost++;
        for (size_t i = 0; i < count; i++)
            intern_release(outbox->pool, members[i].identity);
        free(many);
        return;
    }
    effect->members.type = type;
    effect->members.count = count;
    effect->members.members = (const struct member_view *)(const void *)many;
    if (count == 1)
        ((struct outbox_entry *)(void *)effect)->member = members[0];
}

static void resolve_span(const struct outbox *outbox, struct span *span)
{
    if (span->data)
        span->data = outbox->arena.data + ((uintptr_t)span->data - 1);
}

void outbox_resolve(const struct outbox *outbox, struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_PACKET:
        resolve_span(outbox, &effect->packet.datagram);
        break;
    case EFFECT_STREAM_WRITE:
        resolve_span(outbox, &effect->write.bytes);
        break;
    case EFFECT_RESOLVE:
        resolve_span(outbox, &effect->resolve.name);
        break;
    case EFFECT_LOG:
        resolve_span(outbox, &effect->log.text);
        break;
    case EFFECT_USER_EVENT:
        resolve_span(outbox, &effect->user.name);
        resolve_span(outbox, &effect->user.payload);
        break;
    case EFFECT_QUERY:
        resolve_span(outbox, &effect->query.name);
        resolve_span(outbox, &effect->query.payload);
        resolve_span(outbox, &effect->query.source);
        break;
    case EFFECT_QUERY_ACK:
    case EFFECT_QUERY_RESPONSE:
        resolve_span(outbox, &effect->answer.from);
        resolve_span(outbox, &effect->answer.payload);
        break;
    case EFFECT_KEYS_DONE:
        resolve_span(outbox, &effect->keys.error);
        break;
    case EFFECT_RECORD:
        resolve_span(outbox, &effect->record.lines);
        break;
    case EFFECT_COMMAND_DONE:
        resolve_span(outbox, &effect->done.error);
        break;
    case EFFECT_SWIM_USER_MESSAGE:
    case EFFECT_SWIM_REMOTE_STATE:
        resolve_span(outbox, &effect->payload.bytes);
        break;
    case EFFECT_SWIM_SYNC_DONE:
        resolve_span(outbox, &effect->sync.error);
        break;
    default:
        break;
    }
}

/* Makes the views of a member event; false when memory is out. */
static bool make_views(struct outbox *outbox, const struct outbox_entry *entry,
                       struct effect *effect)
{
    size_t count = entry->effect.members.count;
    const struct outbox_member *members =
        count == 1 ? &entry->member
                   : (const struct outbox_member *)(const void *)entry->effect.members.members;
    if (count > outbox->view_capacity) {
        struct member_view *views = realloc(outbox->views, count * sizeof *views);
        if (!views)
            return false;
        outbox->views = views;
        outbox->view_capacity = (uint32_t)count;
    }
    for (size_t i = 0; i < count; i++) {
        identity_view(members[i].identity, &outbox->views[i]);
        outbox->views[i].status = members[i].status;
        outbox->views[i].status_ltime = members[i].status_ltime;
    }
    effect->members.members = outbox->views;
    return true;
}

bool outbox_next(struct outbox *outbox, struct effect *effect)
{
    while (outbox->taken < outbox->count) {
        const struct outbox_entry *entry = &outbox->entries[outbox->taken++];
        if (entry->effect.kind >= EFFECT_SWIM_JOIN)
            continue;
        *effect = entry->effect;
        if (effect->kind != EFFECT_MEMBER_EVENT) {
            outbox_resolve(outbox, effect);
            return true;
        }
        if (make_views(outbox, entry, effect))
            return true;
        outbox->lost++;
    }
    return false;
}

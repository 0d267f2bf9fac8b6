/* One queue for each handler, rather than one for all, so that a stuck handler fills its own only
 * and loses only its own events. What waits in several queues is one event with several references.
 *
 * The lines of a membership event begin with the member's name and a tab, and a name's own tabs are
 * escaped: so events are folded by their text alone, sorted by name and age. */
#include "handler_queue.h"

#include <stdlib.h>

struct handler {
    struct handler_spec spec;
    struct handler_event **events; /* owned, a ring */
    size_t first, count, capacity; /* capacity: 0 or a power of two */
    size_t bytes;
    size_t member_events; /* among the events */
    bool running;
    bool retired; /* replaced: gets no more events */
};

struct handler_queue {
    struct handler **handlers; /* owned; retired ones first */
    size_t count;
    uint64_t next_sequence;
    struct handler_queue_counts counts;
};

/* --- a handler's ring --- */

static struct handler_event **slot(const struct handler *handler, size_t place)
{
    return &handler->events[(handler->first + place) & (handler->capacity - 1)];
}

static bool reserve(struct handler *handler)
{
    if (handler->count < handler->capacity)
        return true;
    size_t capacity = handler->capacity > 0 ? 2 * handler->capacity : 16;
    struct handler_event **events = calloc(capacity, sizeof(struct handler_event *));
    if (!events)
        return false;
    for (size_t i = 0; i < handler->count; i++)
        events[i] = *slot(handler, i);
    free(handler->events);
    handler->events = events;
    handler->first = 0;
    handler->capacity = capacity;
    return true;
}

static bool append(struct handler *handler, struct handler_event *event)
{
    if (!reserve(handler))
        return false;
    *slot(handler, handler->count++) = handler_event_hold(event);
    handler->bytes += handler_event_size(event);
    handler->member_events += event->subject == HANDLER_MEMBER;
    return true;
}

/* The reference becomes the caller's. */
static struct handler_event *take_first(struct handler *handler)
{
    struct handler_event *event = *slot(handler, 0);
    handler->first = (handler->first + 1) & (handler->capacity - 1);
    handler->count--;
    handler->bytes -= handler_event_size(event);
    handler->member_events -= event->subject == HANDLER_MEMBER;
    return event;
}

typedef bool event_test(const struct handler_event *event, uint64_t now);

/* Drops at most `limit` events that pass the test, the oldest first. Returns how many. */
static size_t drop(struct handler *handler, event_test *test, uint64_t now, size_t limit)
{
    size_t dropped = 0, count = handler->count;
    for (size_t i = 0; i < count; i++) {
        struct handler_event *event = take_first(handler);
        if (dropped < limit && test(event, now)) {
            dropped++;
        } else {
            bool appended = append(handler, event); /* there is room: one was just taken */
            (void)appended;
        }
        handler_event_release(event);
    }
    return dropped;
}

static bool is_full(const struct handler *handler)
{
    return handler->count > HANDLER_QUEUE_EVENTS_MAX || handler->bytes > HANDLER_QUEUE_BYTES_MAX;
}

static bool is_late(const struct handler_event *event, uint64_t now)
{
    return event->subject == HANDLER_QUERY && now >= event->deadline;
}

static bool is_user(const struct handler_event *event, uint64_t now)
{
    (void)now;
    return event->subject == HANDLER_USER;
}

static bool is_query(const struct handler_event *event, uint64_t now)
{
    (void)now;
    return event->subject == HANDLER_QUERY;
}

static bool is_member(const struct handler_event *event, uint64_t now)
{
    (void)now;
    return event->subject == HANDLER_MEMBER;
}

static void handler_free(struct handler *handler)
{
    while (handler->count > 0)
        handler_event_release(take_first(handler));
    free(handler->events);
    handler_spec_fini(&handler->spec);
    free(handler);
}

/* --- folding membership events --- */

enum { MEMBER_EVENT_TYPES = MEMBER_EVENT_REAP + 1 };

struct change {
    struct span name, line;
    size_t age; /* larger is later */
    enum member_event_type type;
};

struct changes {
    struct change *items;
    size_t count, capacity;
};

static int compare_changes(const void *x, const void *y)
{
    const struct change *a = x, *b = y;
    size_t shorter = a->name.size < b->name.size ? a->name.size : b->name.size;
    int order = shorter > 0 ? memcmp(a->name.data, b->name.data, shorter) : 0;
    if (order == 0 && a->name.size != b->name.size)
        order = a->name.size < b->name.size ? -1 : 1;
    if (order == 0)
        order = a->age < b->age ? -1 : 1;
    return order;
}

static bool add_change(struct changes *changes, struct change change)
{
    if (changes->count == changes->capacity) {
        size_t capacity = changes->capacity > 0 ? 2 * changes->capacity : 256;
        struct change *items = realloc(changes->items, capacity * sizeof(*items));
        if (!items)
            return false;
        changes->items = items;
        changes->capacity = capacity;
    }
    change.age = changes->count;
    changes->items[changes->count++] = change;
    return true;
}

static bool add_changes(struct changes *changes, const struct handler_event *event)
{
    struct span rest = buffer_span(&event->input);
    while (rest.size > 0) {
        const uint8_t *newline = memchr(rest.data, '\n', rest.size);
        size_t size = newline ? (size_t)(newline - rest.data) + 1 : rest.size;
        const uint8_t *tab = memchr(rest.data, '\t', size);
        struct change change = {.line = span_make(rest.data, size), .type = event->type};
        change.name = span_make(rest.data, tab ? (size_t)(tab - rest.data) : size);
        if (!add_change(changes, change))
            return false;
        rest = span_from(rest, size);
    }
    return true;
}

static bool collect_changes(struct changes *changes, const struct handler *handler)
{
    const struct handler_event *before = NULL;
    bool good = true;
    for (size_t i = 0; good && i < handler->count; i++) {
        const struct handler_event *event = *slot(handler, i);
        if (event->subject != HANDLER_MEMBER || event == before) /* it may wait twice in a row */
            continue;
        good = add_changes(changes, event);
        before = event;
    }
    if (good && changes->count > 0)
        qsort(changes->items, changes->count, sizeof(*changes->items), compare_changes);
    return good;
}

/* The latest change of each member, into the event of its type. */
static bool write_changes(const struct changes *changes,
                          struct handler_event *events[MEMBER_EVENT_TYPES])
{
    for (size_t i = 0; i < changes->count; i++) {
        struct change *change = &changes->items[i];
        struct change *next = i + 1 < changes->count ? change + 1 : NULL;
        if (next && span_equal(change->name, next->name)) {
            if (change->type == MEMBER_EVENT_JOIN && next->type == MEMBER_EVENT_UPDATE)
                next->type = MEMBER_EVENT_JOIN;
            continue;
        }
        struct handler_event **event = &events[change->type];
        if (!*event)
            *event = handler_event_empty(change->type);
        if (!*event || !buffer_append_span(&(*event)->input, change->line))
            return false;
    }
    return true;
}

static size_t matches(const struct handler *handler, const struct handler_event *event)
{
    struct handler_event_key key = handler_event_key(event);
    return handler_spec_matches(&handler->spec, &key);
}

/* False when memory is out: then they stay as they are. */
static bool fold(struct handler_queue *queue, struct handler *handler)
{
    struct changes changes = {0};
    struct handler_event *events[MEMBER_EVENT_TYPES] = {NULL};
    bool good = collect_changes(&changes, handler) && write_changes(&changes, events);
    if (good) {
        drop(handler, is_member, 0, SIZE_MAX);
        queue->counts.coalesced++;
    }
    for (size_t type = 0; type < MEMBER_EVENT_TYPES; type++) {
        if (!events[type])
            continue;
        events[type]->sequence = queue->next_sequence++;
        for (size_t i = good ? matches(handler, events[type]) : 0; i > 0; i--)
            if (!append(handler, events[type]))
                queue->counts.lost++;
        handler_event_release(events[type]);
    }
    free(changes.items);
    return good;
}

static void make_room(struct handler_queue *queue, struct handler *handler, uint64_t now)
{
    if (handler->member_events > MEMBER_EVENT_TYPES * handler->spec.filter_count)
        fold(queue, handler);
    if (is_full(handler))
        queue->counts.late_queries += drop(handler, is_late, now, SIZE_MAX);
    while (is_full(handler)) {
        size_t user = drop(handler, is_user, now, 1);
        size_t queries = user ? 0 : drop(handler, is_query, now, 1);
        queue->counts.dropped_user_events += user;
        queue->counts.dropped_queries += queries;
        if (user + queries == 0)
            break;
    }
}

/* --- the list of handlers --- */

struct handler_queue *handler_queue_new(void)
{
    return calloc(1, sizeof(struct handler_queue));
}

static void free_list(struct handler **handlers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        handler_free(handlers[i]);
    free(handlers);
}

void handler_queue_free(struct handler_queue *queue)
{
    if (!queue)
        return;
    free_list(queue->handlers, queue->count);
    free(queue);
}

static struct handler *handler_new(const char *text, struct buffer *error)
{
    struct handler *handler = calloc(1, sizeof(*handler));
    if (!handler) {
        buffer_append_text(error, "out of memory");
    } else if (!handler_spec_parse(&handler->spec, text, error)) {
        free(handler);
        handler = NULL;
    }
    return handler;
}

static int compare_sequences(const void *x, const void *y)
{
    const struct handler_event *a = *(struct handler_event *const *)x;
    const struct handler_event *b = *(struct handler_event *const *)y;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static bool is_unstarted(const struct handler_event *event, uint64_t now)
{
    (void)now;
    return !event->started;
}

/* What no handler has got yet, oldest first, each once and with a reference; NULL when memory is
 * out. */
static struct handler_event **take_unstarted(struct handler_queue *queue, size_t *count)
{
    size_t total = 0;
    for (size_t i = 0; i < queue->count; i++)
        total += queue->handlers[i]->count;
    struct handler_event **events = calloc(total + 1, sizeof(struct handler_event *));
    if (!events)
        return NULL;
    size_t taken = 0;
    for (size_t i = 0; i < queue->count; i++)
        for (size_t k = 0; k < queue->handlers[i]->count; k++)
            if (!(*slot(queue->handlers[i], k))->started)
                events[taken++] = *slot(queue->handlers[i], k);
    if (taken > 0)
        qsort(events, taken, sizeof(struct handler_event *), compare_sequences);
    *count = 0;
    for (size_t i = 0; i < taken; i++)
        if (*count == 0 || events[*count - 1] != events[i])
            events[(*count)++] = handler_event_hold(events[i]);
    for (size_t i = 0; i < queue->count; i++)
        drop(queue->handlers[i], is_unstarted, 0, SIZE_MAX);
    return events;
}

static void deliver(struct handler_queue *queue, struct handler_event *event, uint64_t now)
{
    for (size_t i = 0; i < queue->count; i++) {
        struct handler *handler = queue->handlers[i];
        size_t times = handler->retired ? 0 : matches(handler, event);
        for (size_t k = 0; k < times; k++)
            if (!append(handler, event))
                queue->counts.lost++;
        if (is_full(handler))
            make_room(queue, handler, now);
    }
}

/* Frees the retired handlers that have nothing left to do. */
static void sweep(struct handler_queue *queue)
{
    size_t kept = 0;
    for (size_t i = 0; i < queue->count; i++) {
        struct handler *handler = queue->handlers[i];
        if (handler->retired && !handler->running && handler->count == 0)
            handler_free(handler);
        else
            queue->handlers[kept++] = handler;
    }
    queue->count = kept;
}

/* The old handlers and the new ones in one list; NULL when memory is out or a text is wrong. */
static struct handler **join_lists(const struct handler_queue *queue, const struct text_list *texts,
                                   struct buffer *error)
{
    struct handler **handlers = calloc(queue->count + texts->count + 1, sizeof(struct handler *));
    if (!handlers) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < texts->count; i++) {
        handlers[queue->count + i] = handler_new(texts->values[i], error);
        if (handlers[queue->count + i])
            continue;
        while (i-- > 0)
            handler_free(handlers[queue->count + i]);
        free(handlers);
        return NULL;
    }
    for (size_t i = 0; i < queue->count; i++)
        handlers[i] = queue->handlers[i];
    return handlers;
}

bool handler_queue_set(struct handler_queue *queue, const struct text_list *texts,
                       struct buffer *error)
{
    size_t waiting = 0;
    struct handler **handlers = join_lists(queue, texts, error);
    if (!handlers)
        return false;
    struct handler_event **events = take_unstarted(queue, &waiting);
    if (!events) {
        for (size_t i = 0; i < texts->count; i++)
            handler_free(handlers[queue->count + i]);
        free(handlers);
        buffer_append_text(error, "out of memory");
        return false;
    }
    for (size_t i = 0; i < queue->count; i++)
        queue->handlers[i]->retired = true;
    free(queue->handlers);
    queue->handlers = handlers;
    queue->count += texts->count;
    uint64_t folded = queue->counts.coalesced;
    for (size_t i = 0; i < waiting; i++) {
        deliver(queue, events[i], 0);
        handler_event_release(events[i]);
    }
    /* Several queues may have folded the same changes, each for itself. */
    for (size_t i = 0; folded > 0 && i < queue->count; i++)
        if (!queue->handlers[i]->retired && queue->handlers[i]->member_events > 0)
            fold(queue, queue->handlers[i]);
    free(events);
    sweep(queue);
    return true;
}

/* --- events in, runs out --- */

void handler_queue_push(struct handler_queue *queue, struct handler_event *event, uint64_t now)
{
    if (!event) {
        queue->counts.lost++;
        return;
    }
    event->sequence = queue->next_sequence++;
    deliver(queue, event, now);
    handler_event_release(event);
}

/* A handler with the same text, from an earlier list, is not done yet. */
static bool waits_for_predecessor(const struct handler_queue *queue, const struct handler *handler)
{
    for (size_t i = 0; i < queue->count && queue->handlers[i] != handler; i++) {
        const struct handler *earlier = queue->handlers[i];
        if (earlier->retired && (earlier->running || earlier->count > 0) &&
            strcmp(earlier->spec.text, handler->spec.text) == 0)
            return true;
    }
    return false;
}

static void skip_late(struct handler_queue *queue, struct handler *handler, uint64_t now)
{
    while (handler->count > 0 && is_late(*slot(handler, 0), now)) {
        handler_event_release(take_first(handler));
        queue->counts.late_queries++;
    }
}

bool handler_queue_next(struct handler_queue *queue, uint64_t now, struct handler_run *run)
{
    struct handler *next = NULL;
    for (size_t i = 0; i < queue->count; i++) {
        struct handler *handler = queue->handlers[i];
        skip_late(queue, handler, now);
        if (handler->running || handler->count == 0 || waits_for_predecessor(queue, handler))
            continue;
        if (!next || (*slot(handler, 0))->sequence < (*slot(next, 0))->sequence)
            next = handler;
    }
    if (!next) {
        sweep(queue);
        return false;
    }
    next->running = true;
    *run = (struct handler_run){next, next->spec.script, take_first(next)};
    run->event->started = true;
    return true;
}

void handler_queue_finished(struct handler_queue *queue, struct handler *handler)
{
    handler->running = false;
    sweep(queue);
}

bool handler_queue_idle(const struct handler_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        if (queue->handlers[i]->running || queue->handlers[i]->count > 0)
            return false;
    return true;
}

struct handler_queue_counts handler_queue_counts(const struct handler_queue *queue)
{
    return queue->counts;
}

/* --- the present list --- */

static size_t count_retired(const struct handler_queue *queue)
{
    size_t count = 0;
    while (count < queue->count && queue->handlers[count]->retired)
        count++;
    return count;
}

size_t handler_queue_handlers(const struct handler_queue *queue)
{
    return queue->count - count_retired(queue);
}

const struct handler_spec *handler_queue_spec(const struct handler_queue *queue, size_t place)
{
    return &queue->handlers[count_retired(queue) + place]->spec;
}

size_t handler_queue_length(const struct handler_queue *queue, size_t place)
{
    return queue->handlers[count_retired(queue) + place]->count;
}

/* What the program asks for. The node copies what it is given and answers from its loop, so that
 * these may be called at any time; after each the descriptor is armed anew. */
#include "lib_member.h"

#include <stdlib.h>

#include "arguments.h"
#include "base64.h"

/* --- commands under way --- */

void command_wait_free(struct command_wait *wait)
{
    struct command_wait **place = &wait->member->waits;
    while (*place != wait)
        place = &(*place)->next;
    *place = wait->next;
    free(wait->end);
    key_answer_free(wait->keys);
    free(wait);
}

void member_command_done(void *context, bool ok, uint32_t count, struct span error)
{
    struct command_wait *wait = context;
    lib_fail_span(&wait->error, ok ? CSERF_OK : CSERF_REFUSED, error);
    *wait->end = (struct delivery){.kind = DELIVER_DONE, .command = wait, .ok = ok, .count = count};
    delivery_append(&wait->member->queue, wait->end);
    wait->end = NULL;
}

static struct command_wait *wait_new(struct cserf_member *member, const struct command_wait *from)
{
    struct command_wait *wait = malloc(sizeof *wait);
    struct delivery *end = malloc(sizeof *end);
    if (!wait || !end) {
        free(wait);
        free(end);
        return NULL;
    }
    *wait = *from;
    wait->member = member;
    wait->end = end;
    wait->next = member->waits;
    member->waits = wait;
    return wait;
}

/* Whether the member can take a command. */
static enum cserf_code running(const struct cserf_member *member, struct cserf_error *error)
{
    if (!member->node || member->freed)
        return lib_fail(error, CSERF_CLOSED, "the member has stopped");
    return CSERF_OK;
}

/* The same; `*wait` is NULL where nobody waits for the command's end. */
static enum cserf_code prepare(struct cserf_member *member, const struct command_wait *from,
                               struct command_wait **wait, struct cserf_error *error)
{
    *wait = NULL;
    enum cserf_code code = running(member, error);
    if (code != CSERF_OK || (!from->done && !from->join_done && !from->keys_done))
        return code;
    *wait = wait_new(member, from);
    return *wait ? CSERF_OK : lib_no_memory(error);
}

static enum cserf_code taken(struct cserf_member *member, struct cserf_error *error)
{
    loop_arm(member->loop);
    return lib_good(error);
}

struct asked_query *member_find_asked(const struct cserf_member *member, uint32_t query)
{
    struct asked_query *asked = member->asked;
    while (asked && asked->query != query)
        asked = asked->next;
    return asked;
}

void asked_query_free(struct cserf_member *member, struct asked_query *asked)
{
    struct asked_query **place = &member->asked;
    while (*place != asked)
        place = &(*place)->next;
    *place = asked->next;
    free(asked->end);
    free(asked);
}

void member_forget_commands(struct cserf_member *member)
{
    while (member->waits)
        command_wait_free(member->waits);
    while (member->asked)
        asked_query_free(member, member->asked);
}

/* --- membership --- */

static node_done *done_of(const struct command_wait *wait)
{
    return wait ? member_command_done : NULL;
}

enum cserf_code cserf_member_join(struct cserf_member *member, const char *const *addresses,
                                  size_t count, bool replay, cserf_join_callback *done,
                                  void *context, struct cserf_error *error)
{
    const struct command_wait from = {.join_done = done, .context = context};
    struct command_wait *wait;
    struct span spans[JOIN_ADDRESSES_MAX];
    enum cserf_code code = spans_of(addresses, count, spans, error);
    if (code == CSERF_OK)
        code = prepare(member, &from, &wait, error);
    if (code != CSERF_OK)
        return code;
    node_join(member->node, spans, count, replay, done_of(wait), wait);
    return taken(member, error);
}

enum cserf_code cserf_member_retry_join(struct cserf_member *member, const char *const *addresses,
                                        size_t count, uint32_t interval_ms, uint32_t max_attempts,
                                        bool replay, struct cserf_error *error)
{
    struct span spans[JOIN_ADDRESSES_MAX];
    enum cserf_code code = count > 0 ? spans_of(addresses, count, spans, error) : CSERF_OK;
    if (code == CSERF_OK)
        code = running(member, error);
    if (code != CSERF_OK)
        return code;
    struct retry_join options = {.interval = interval_ms * NANOSECONDS_PER_MS,
                                 .max_attempts = max_attempts,
                                 .replay = replay,
                                 .watch = member->retry_watch};
    node_retry_join(member->node, spans, count, &options);
    return taken(member, error);
}

enum cserf_code cserf_member_leave(struct cserf_member *member, cserf_done_callback *done,
                                   void *context, struct cserf_error *error)
{
    const struct command_wait from = {.done = done, .context = context};
    struct command_wait *wait;
    enum cserf_code code = prepare(member, &from, &wait, error);
    if (code != CSERF_OK)
        return code;
    node_leave(member->node, done_of(wait), wait);
    return taken(member, error);
}

enum cserf_code cserf_member_force_leave(struct cserf_member *member, const char *name, bool prune,
                                         cserf_done_callback *done, void *context,
                                         struct cserf_error *error)
{
    const struct command_wait from = {.done = done, .context = context};
    struct command_wait *wait;
    enum cserf_code code = prepare(member, &from, &wait, error);
    if (code != CSERF_OK)
        return code;
    node_force_leave(member->node, span_text(name), prune, done_of(wait), wait);
    return taken(member, error);
}

enum cserf_code cserf_member_set_tags(struct cserf_member *member, const struct cserf_tag *tags,
                                      size_t count, cserf_done_callback *done, void *context,
                                      struct cserf_error *error)
{
    const struct command_wait from = {.done = done, .context = context};
    struct command_wait *wait;
    struct tag copies[QUERY_TAGS_MAX];
    enum cserf_code code = tags_of(tags, count, copies, error);
    if (code == CSERF_OK)
        code = prepare(member, &from, &wait, error);
    if (code != CSERF_OK)
        return code;
    node_set_tags(member->node, copies, count, done_of(wait), wait);
    return taken(member, error);
}

/* --- keys --- */

static void keys_done(void *context, const struct key_report *report, struct span error)
{
    struct command_wait *wait = context;
    if (!wait)
        return;
    wait->keys = key_answer_of(report);
    member_command_done(wait, error.size == 0, 0, error);
    if (!wait->keys)
        lib_no_memory(&wait->error);
}

static enum cserf_code read_key(enum cserf_key_operation operation, const char *text,
                                struct buffer *key, struct cserf_error *error)
{
    size_t offset;
    if (operation < CSERF_KEY_INSTALL || operation > CSERF_KEY_LIST)
        return lib_fail(error, CSERF_INVALID, "keys are installed, used, removed or listed");
    if (operation == CSERF_KEY_LIST)
        return CSERF_OK;
    if (!text || !base64_decode(span_text(text), key, &offset) || key->size == 0)
        return lib_fail(error, CSERF_INVALID,
                        "a key is the base64 of 16, 24 or 32 bytes; `serf keygen` prints one");
    return CSERF_OK;
}

enum cserf_code cserf_member_keys(struct cserf_member *member, enum cserf_key_operation operation,
                                  const char *text, cserf_key_report_callback *done, void *context,
                                  struct cserf_error *error)
{
    static const enum key_operation operations[] = {[CSERF_KEY_INSTALL] = KEY_INSTALL,
                                                    [CSERF_KEY_USE] = KEY_USE,
                                                    [CSERF_KEY_REMOVE] = KEY_REMOVE,
                                                    [CSERF_KEY_LIST] = KEY_LIST};
    const struct command_wait from = {.keys_done = done, .context = context};
    struct command_wait *wait;
    struct buffer key;
    buffer_init(&key, KEY_REQUEST_SIZE_MAX);
    enum cserf_code code = read_key(operation, text, &key, error);
    if (code == CSERF_OK)
        code = prepare(member, &from, &wait, error);
    if (code == CSERF_OK) {
        node_keys(member->node, operations[operation], buffer_span(&key), 0, keys_done, wait);
        code = taken(member, error);
    }
    if (key.size > 0)
        explicit_bzero(key.data, key.size);
    buffer_fini(&key);
    return code;
}

/* --- events and queries --- */

/* `good`, or what the core says. */
static enum cserf_code answered(struct cserf_member *member, bool good, struct buffer *reason,
                                struct cserf_error *error)
{
    loop_arm(member->loop);
    enum cserf_code code =
        good ? lib_good(error) : lib_fail_span(error, CSERF_REFUSED, buffer_span(reason));
    buffer_fini(reason);
    return code;
}

enum cserf_code cserf_member_user_event(struct cserf_member *member, const char *name,
                                        const void *payload, size_t payload_size, bool coalesce,
                                        struct cserf_error *error)
{
    struct buffer reason;
    enum cserf_code code = running(member, error);
    if (code != CSERF_OK)
        return code;
    buffer_init(&reason, LIB_ERROR_SIZE_MAX);
    bool good = node_user_event(member->node, span_text(name), span_make(payload, payload_size),
                                coalesce, &reason);
    return answered(member, good, &reason, error);
}

enum cserf_code cserf_member_respond(struct cserf_member *member, uint64_t query,
                                     const void *payload, size_t payload_size,
                                     struct cserf_error *error)
{
    struct buffer reason;
    enum cserf_code code = running(member, error);
    if (code != CSERF_OK)
        return code;
    buffer_init(&reason, LIB_ERROR_SIZE_MAX);
    bool good =
        node_respond(member->node, (uint32_t)query, span_make(payload, payload_size), &reason);
    return answered(member, good, &reason, error);
}

static struct asked_query *asked_new(struct cserf_member *member, cserf_answer_callback *callback,
                                     void *context)
{
    struct asked_query *asked = calloc(1, sizeof *asked);
    if (!asked)
        return NULL;
    *asked = (struct asked_query){.next = member->asked,
                                  .end = malloc(sizeof *asked->end),
                                  .callback = callback,
                                  .context = context};
    member->asked = asked;
    if (asked->end)
        return asked;
    asked_query_free(member, asked);
    return NULL;
}

static uint64_t ask(struct cserf_member *member, const struct serf_query_parameters *parameters,
                    struct asked_query *asked, struct cserf_error *error)
{
    struct buffer reason;
    buffer_init(&reason, LIB_ERROR_SIZE_MAX);
    asked->query = node_query(member->node, parameters, &reason);
    uint32_t query = asked->query;
    if (query == 0)
        asked_query_free(member, asked);
    answered(member, query != 0, &reason, error);
    return query;
}

uint64_t cserf_member_query(struct cserf_member *member, const char *name, const void *payload,
                            size_t payload_size, const struct cserf_query_options *options,
                            cserf_answer_callback *callback, void *context,
                            struct cserf_error *error)
{
    struct query_spans spans;
    struct cserf_query_options full = query_options_of(options);
    if (running(member, error) != CSERF_OK || query_spans_of(&full, &spans, error) != CSERF_OK)
        return 0;
    struct asked_query *asked = asked_new(member, callback, context);
    if (!asked) {
        lib_no_memory(error);
        return 0;
    }
    const struct serf_query_parameters parameters = {
        .name = span_text(name),
        .payload = span_make(payload, payload_size),
        .nodes = spans.nodes,
        .node_count = full.node_count,
        .tags = spans.tags,
        .tag_count = full.tag_count,
        .acknowledge = full.acks,
        .relay_factor = full.relay_factor,
        .timeout = full.timeout_ms * NANOSECONDS_PER_MS,
    };
    return ask(member, &parameters, asked, error);
}

void cserf_member_query_cancel(struct cserf_member *member, uint64_t query)
{
    struct asked_query *asked =
        query > 0 && query <= UINT32_MAX ? member_find_asked(member, (uint32_t)query) : NULL;
    if (!asked)
        return;
    if (member->node)
        node_query_cancel(member->node, (uint32_t)query);
    if (asked->end)
        asked_query_free(member, asked);
    else
        asked->callback = NULL; /* its end is in the queue */
}

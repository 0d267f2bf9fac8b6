/* Into the queue: the node's callbacks. Out of it: the program's. */
#include "lib_member.h"

#include <stdlib.h>

#include "base64.h"
#include "serf_message.h"

#include <openssl/crypto.h>

/* --- into the queue --- */

static void on_log(void *context, enum log_level level, struct span text)
{
    struct cserf_member *member = context;
    if (member->on_log)
        delivery_put(&member->queue,
                     &(struct delivery){.kind = DELIVER_LOG, .level = level, .first = text});
}

static const enum cserf_event_type event_types[] = {
    [MEMBER_EVENT_JOIN] = CSERF_EVENT_JOIN,     [MEMBER_EVENT_LEAVE] = CSERF_EVENT_LEAVE,
    [MEMBER_EVENT_FAILED] = CSERF_EVENT_FAILED, [MEMBER_EVENT_UPDATE] = CSERF_EVENT_UPDATE,
    [MEMBER_EVENT_REAP] = CSERF_EVENT_REAP,
};

static void on_member_event(void *context, enum member_event_type type,
                            const struct member_view *members, size_t count)
{
    struct cserf_member *member = context;
    for (size_t i = 0; member->on_event && i < count; i++)
        delivery_put(&member->queue, &(struct delivery){.kind = DELIVER_MEMBER,
                                                        .type = event_types[type],
                                                        .view = members[i],
                                                        .first = members[i].name,
                                                        .second = members[i].meta});
}

static void on_user_event(void *context, uint64_t ltime, struct span name, struct span payload,
                          bool coalesce)
{
    struct cserf_member *member = context;
    if (member->on_event)
        delivery_put(&member->queue, &(struct delivery){.kind = DELIVER_USER,
                                                        .ltime = ltime,
                                                        .coalesce = coalesce,
                                                        .first = name,
                                                        .second = payload});
}

static void on_query(void *context, uint32_t query, uint64_t ltime, uint64_t deadline,
                     struct span name, struct span payload, struct span source)
{
    struct cserf_member *member = context;
    (void)deadline;
    if (member->on_event)
        delivery_put(&member->queue, &(struct delivery){.kind = DELIVER_QUERY,
                                                        .query = query,
                                                        .ltime = ltime,
                                                        .first = name,
                                                        .second = payload,
                                                        .third = source});
}

static void put_answer(struct cserf_member *member, enum cserf_answer_type type, uint32_t query,
                       struct span from, struct span payload)
{
    delivery_put(&member->queue, &(struct delivery){.kind = DELIVER_ANSWER,
                                                    .answer = type,
                                                    .query = query,
                                                    .first = from,
                                                    .second = payload});
}

static void on_query_ack(void *context, uint32_t query, struct span from)
{
    put_answer(context, CSERF_ANSWER_ACK, query, from, SPAN_EMPTY);
}

static void on_query_response(void *context, uint32_t query, struct span from, struct span payload)
{
    put_answer(context, CSERF_ANSWER_RESPONSE, query, from, payload);
}

static void on_query_done(void *context, uint32_t query)
{
    struct cserf_member *member = context;
    struct asked_query *asked = member_find_asked(member, query);
    if (!asked || !asked->end)
        return;
    *asked->end =
        (struct delivery){.kind = DELIVER_ANSWER, .answer = CSERF_ANSWER_DONE, .query = query};
    delivery_append(&member->queue, asked->end);
    asked->end = NULL;
}

static void on_keyring_changed(void *context, uint32_t query)
{
    struct cserf_member *member = context;
    if (member->on_keys)
        delivery_put(&member->queue, &(struct delivery){.kind = DELIVER_KEYS, .query = query});
    else
        node_keyring_saved(member->node, query, NULL);
}

static void on_stopped(void *context, enum stop_reason reason)
{
    struct cserf_member *member = context;
    if (!member->stop)
        return;
    *member->stop = (struct delivery){.kind = DELIVER_STOPPED, .reason = reason};
    delivery_append(&member->queue, member->stop);
    member->stop = NULL;
}

struct node_callbacks member_callbacks(struct cserf_member *member)
{
    return (struct node_callbacks){
        .context = member,
        .log = on_log,
        .member_event = on_member_event,
        .user_event = on_user_event,
        .query = on_query,
        .query_ack = on_query_ack,
        .query_response = on_query_response,
        .query_done = on_query_done,
        .keyring_changed = on_keyring_changed,
        .stopped = on_stopped,
    };
}

/* --- out of it --- */

const struct cserf_node *member_view_show(struct node_view *view, const struct member_view *member)
{
    struct tag_reader reader;
    struct span key, value;
    node_view_begin(view, member->name, &member->endpoint);
    if (tag_reader_open(&reader, member->meta))
        while (tag_reader_next(&reader, &key, &value))
            node_view_tag(view, key, value);
    return node_view_end(view, (enum cserf_status)member->status, member->versions);
}

static void tell(struct cserf_member *member, const struct cserf_event *event)
{
    if (member->on_event)
        member->on_event(member->event_context, event);
}

static void tell_member(struct cserf_member *member, struct delivery *delivery)
{
    delivery->view.name = delivery->first;
    delivery->view.meta = delivery->second;
    const struct cserf_node *node = member_view_show(&member->happened, &delivery->view);
    if (node)
        tell(member, &(struct cserf_event){.type = delivery->type, .node = node});
    else
        member->queue.lost++;
}

/* User events and queries: the name, then who asks, in one buffer. */
static void tell_message(struct cserf_member *member, const struct delivery *delivery)
{
    bool is_query = delivery->kind == DELIVER_QUERY;
    buffer_reset(&member->text);
    if (!append_c_text(&member->text, delivery->first) ||
        !append_c_text(&member->text, delivery->third)) {
        member->queue.lost++;
        return;
    }
    const char *name = (const char *)member->text.data;
    tell(member, &(struct cserf_event){
                     .type = is_query ? CSERF_EVENT_QUERY : CSERF_EVENT_USER,
                     .name = name,
                     .payload = delivery->second.data,
                     .payload_size = delivery->second.size,
                     .ltime = delivery->ltime,
                     .query = delivery->query,
                     .source = is_query ? name + strlen(name) + 1 : NULL,
                     .coalesce = delivery->coalesce,
                 });
}

static void tell_line(struct cserf_member *member, enum log_level level, struct span line)
{
    buffer_reset(&member->text);
    if (member->on_log && append_c_text(&member->text, line))
        member->on_log(member->log_context, (enum cserf_log_level)level,
                       (const char *)member->text.data);
}

static void tell_answer(struct cserf_member *member, const struct delivery *delivery)
{
    struct asked_query *asked = member_find_asked(member, delivery->query);
    bool done = delivery->answer == CSERF_ANSWER_DONE;
    if (!asked) /* cancelled */
        return;
    struct asked_query to = *asked;
    if (done)
        asked_query_free(member, asked);
    buffer_reset(&member->text);
    if (!to.callback || !append_c_text(&member->text, delivery->first))
        return;
    const struct cserf_answer answer = {.type = delivery->answer,
                                        .from = done ? NULL : (const char *)member->text.data,
                                        .payload = delivery->second.data,
                                        .payload_size = delivery->second.size};
    to.callback(to.context, &answer);
}

static void tell_done(const struct delivery *delivery)
{
    static const struct cserf_key_report none;
    struct command_wait *wait = delivery->command, copy = *wait;
    wait->end = NULL;
    wait->keys = NULL;
    command_wait_free(wait);
    if (copy.keys_done)
        copy.keys_done(copy.context, &copy.error, copy.keys ? &copy.keys->report : &none);
    else if (copy.join_done)
        copy.join_done(copy.context, &copy.error, delivery->count);
    else
        copy.done(copy.context, &copy.error);
    key_answer_free(copy.keys);
}

/* NULL when memory is out; freed in one piece. */
static bool keep_keys(struct cserf_member *member)
{
    const char *keys[KEYRING_KEYS_MAX];
    size_t count = keyring_count(member->keyring);
    struct buffer text;
    buffer_init(&text, LIB_ERROR_SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        base64_encode(keyring_key(member->keyring, i), &text);
        buffer_append_u8(&text, '\0');
    }
    bool kept = !text.failed;
    const char *place = (const char *)text.data;
    for (size_t i = 0; kept && i < count; i++) {
        keys[i] = place;
        place += strlen(place) + 1;
    }
    kept = kept && member->on_keys(member->keys_context, keys, count);
    if (text.size > 0)
        OPENSSL_cleanse(text.data, text.size);
    buffer_fini(&text);
    return kept;
}

static void tell_keys(struct cserf_member *member, uint32_t query)
{
    bool kept = keep_keys(member);
    if (!member->freed && member->node)
        node_keyring_saved(member->node, query,
                           kept ? NULL
                                : "Failed to write keyring file: the program that the "
                                  "member is part of could not keep the keys");
}

static void tell_stopped(struct cserf_member *member, enum stop_reason reason)
{
    node_free(member->node);
    member->node = NULL;
    member_forget_commands(member);
    tell(member,
         &(struct cserf_event){
             .type = CSERF_EVENT_STOPPED,
             .reason = reason == STOP_RETRY_JOIN_EXHAUSTED
                           ? "maximum retry join attempts made"
                           : "another member has this one's name, and the others decided for it",
         });
}

static void deliver(struct cserf_member *member, struct delivery *delivery)
{
    switch (delivery->kind) {
    case DELIVER_MEMBER:
        tell_member(member, delivery);
        break;
    case DELIVER_USER:
    case DELIVER_QUERY:
        tell_message(member, delivery);
        break;
    case DELIVER_LOG:
        tell_line(member, delivery->level, delivery->first);
        break;
    case DELIVER_ANSWER:
        tell_answer(member, delivery);
        break;
    case DELIVER_KEYS:
        tell_keys(member, delivery->query);
        break;
    case DELIVER_DONE:
        tell_done(delivery);
        break;
    case DELIVER_STOPPED:
        tell_stopped(member, delivery->reason);
        break;
    }
}

/* What is put into the queue meanwhile waits for the next dispatch. */
void member_deliver(struct cserf_member *member)
{
    struct delivery_queue batch = member->queue;
    struct delivery *delivery;
    if (batch.end == &member->queue.first)
        batch.end = &batch.first;
    delivery_queue_init(&member->queue);
    if (batch.lost > 0)
        tell_line(member, LOG_LEVEL_ERR, span_text("cserf: out of memory, events were lost"));
    while (!member->freed && (delivery = delivery_take(&batch))) {
        if (member->node) /* after its end a member says nothing */
            deliver(member, delivery);
        free(delivery);
    }
    delivery_queue_fini(&batch);
}

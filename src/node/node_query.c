/* User events, queries and keys. Those that the core answers at once are passed on at once; what
 * they cause comes as callbacks from the loop's next turn. */
#include "node_internal.h"

#include <assert.h>
#include <stdlib.h>

struct key_request_call {
    struct key_request_call *next;
    uint32_t number; /* the core's, when it is running */
    enum key_operation operation;
    uint8_t relay_factor;
    node_keys_done *done;
    void *context;
    size_t size;
    uint8_t key[KEY_REQUEST_SIZE_MAX + 1]; /* one more: what is too long is refused by the core */
};

struct keyring_save {
    struct keyring_save *next;
    uint32_t query;
    char *error; /* owned; NULL: it went well */
};

/* --- at once --- */

/* What the call caused is performed by the loop. */
static void perform_soon(struct node *node)
{
    loop_timer_set(&node->timer, loop_now());
}

bool node_user_event(struct node *node, struct span name, struct span payload, bool coalesce,
                     struct buffer *error)
{
    assert(node->held == 0 && "not from inside a callback");
    bool sent = serf_user_event(node->serf, loop_now(), name, payload, coalesce, error);
    perform_soon(node);
    return sent;
}

uint32_t node_query(struct node *node, const struct serf_query_parameters *parameters,
                    struct buffer *error)
{
    assert(node->held == 0 && "not from inside a callback");
    uint32_t query = serf_query(node->serf, loop_now(), parameters, error);
    perform_soon(node);
    return query;
}

bool node_respond(struct node *node, uint32_t query, struct span payload, struct buffer *error)
{
    assert(node->held == 0 && "not from inside a callback");
    bool sent = serf_respond(node->serf, loop_now(), query, payload, error);
    perform_soon(node);
    return sent;
}

void node_query_cancel(struct node *node, uint32_t query)
{
    serf_query_cancel(node->serf, query);
}

/* --- keys --- */

static void on_start_key_calls(void *context)
{
    struct node *node = context;
    bool alive = node_enter(node);
    while (alive && node->key_calls) {
        struct key_request_call *call = node->key_calls;
        node->key_calls = call->next;
        if (!node->key_calls)
            node->key_calls_end = &node->key_calls;
        call->next = node->key_calls_running;
        node->key_calls_running = call;
        call->number = serf_keys(node->serf, loop_now(), call->operation,
                                 span_make(call->key, call->size), call->relay_factor);
        explicit_bzero(call->key, sizeof call->key);
    }
    node_leave_entry(node);
}

void node_keys(struct node *node, enum key_operation operation, struct span key,
               uint8_t relay_factor, node_keys_done *done, void *context)
{
    struct key_request_call *call = calloc(1, sizeof *call);
    if (!call) {
        node_refuse_command(node, &(struct refused_command){.keys_done = done, .context = context});
        return;
    }
    *call = (struct key_request_call){
        .operation = operation, .relay_factor = relay_factor, .done = done, .context = context};
    call->size = key.size < sizeof call->key ? key.size : sizeof call->key;
    if (call->size > 0)
        memcpy(call->key, key.data, call->size);
    *node->key_calls_end = call;
    node->key_calls_end = &call->next;
    loop_defer(&node->start_key_calls);
}

static void keys_done(struct node *node, const struct effect *effect)
{
    struct key_request_call **place = &node->key_calls_running;
    while (*place && (*place)->number != effect->keys.command)
        place = &(*place)->next;
    struct key_request_call *call = *place;
    if (!call)
        return;
    *place = call->next;
    call->done(call->context, effect->keys.report, effect->keys.error);
    free(call);
}

static void on_answer_saves(void *context)
{
    struct node *node = context;
    bool alive = node_enter(node);
    while (alive && node->saves) {
        struct keyring_save *save = node->saves;
        node->saves = save->next;
        if (!node->saves)
            node->saves_end = &node->saves;
        serf_keyring_saved(node->serf, loop_now(), save->query, save->error);
        free(save->error);
        free(save);
    }
    node_leave_entry(node);
}

void node_keyring_saved(struct node *node, uint32_t query, const char *error)
{
    struct keyring_save *save = calloc(1, sizeof *save);
    if (!save || (error && !(save->error = strdup(error)))) {
        free(save); /* nobody is answered, which the asker reports */
        return;
    }
    save->query = query;
    *node->saves_end = save;
    node->saves_end = &save->next;
    loop_defer(&node->answer_saves);
}

/* --- callbacks --- */

void node_query_perform(struct node *node, const struct effect *effect)
{
    const struct node_callbacks *to = &node->callbacks;
    switch (effect->kind) {
    case EFFECT_QUERY:
        if (to->query)
            to->query(to->context, effect->query.query, effect->query.ltime, effect->query.deadline,
                      effect->query.name, effect->query.payload, effect->query.source);
        break;
    case EFFECT_QUERY_ACK:
        if (to->query_ack)
            to->query_ack(to->context, effect->answer.query, effect->answer.from);
        break;
    case EFFECT_QUERY_RESPONSE:
        if (to->query_response)
            to->query_response(to->context, effect->answer.query, effect->answer.from,
                               effect->answer.payload);
        break;
    case EFFECT_QUERY_DONE:
        if (to->query_done)
            to->query_done(to->context, effect->answer.query);
        break;
    case EFFECT_KEYRING_CHANGED:
        if (to->keyring_changed)
            to->keyring_changed(to->context, effect->keyring.query);
        else
            node_keyring_saved(node, effect->keyring.query, NULL);
        break;
    case EFFECT_KEYS_DONE:
        keys_done(node, effect);
        break;
    default: /* between the layers of the core */
        break;
    }
}

void node_queries_init(struct node *node)
{
    node->key_calls_end = &node->key_calls;
    node->saves_end = &node->saves;
    loop_task_init(&node->start_key_calls, node->loop, on_start_key_calls, node);
    loop_task_init(&node->answer_saves, node->loop, on_answer_saves, node);
}

static void free_calls(struct key_request_call *call)
{
    while (call) {
        struct key_request_call *next = call->next;
        explicit_bzero(call->key, sizeof call->key);
        free(call);
        call = next;
    }
}

void node_queries_free(struct node *node)
{
    loop_task_cancel(&node->start_key_calls);
    loop_task_cancel(&node->answer_saves);
    free_calls(node->key_calls);
    free_calls(node->key_calls_running);
    while (node->saves) {
        struct keyring_save *save = node->saves;
        node->saves = save->next;
        free(save->error);
        free(save);
    }
}

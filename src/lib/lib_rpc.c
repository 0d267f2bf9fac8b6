/* Records of streams come whenever they like, also in front of an answer that a call waits for, and
 * behind it in the same packet. Those in front are handed over while the call waits, those behind
 * when it ends: a record that stayed in our buffer would not make the descriptor readable. */
#include "lib_rpc.h"

#include <assert.h>
#include <stdlib.h>

#include "rpc_address.h"
#include "swim_config.h"

#define TIME_LIMIT_NS UINT64_C(30000000000)

/* --- life --- */

static void on_record(void *context, uint64_t seq, struct span body)
{
    struct cserf_rpc *rpc = context;
    struct subscription *to = rpc->subscriptions;
    while (to && to->seq != seq)
        to = to->next;
    if (to && !to->stopped)
        rpc_take_record(rpc, to, body);
}

struct cserf_rpc *cserf_rpc_new(const char *address, const char *auth_key,
                                struct cserf_error *error)
{
    struct cserf_rpc *rpc = calloc(1, sizeof *rpc);
    struct buffer reason;
    if (!rpc || !(rpc->address = strdup(address ? address : RPC_ADDRESS_DEFAULT))) {
        free(rpc);
        lib_no_memory(error);
        return NULL;
    }
    rpc->time_limit = TIME_LIMIT_NS;
    node_view_init(&rpc->view);
    buffer_init(&rpc->text, RPC_ANSWER_SIZE_MAX);
    buffer_init(&reason, LIB_ERROR_SIZE_MAX);
    rpc->client = rpc_client_open(rpc->address, auth_key ? auth_key : "", &reason);
    if (rpc->client) {
        rpc_client_on_record(rpc->client, on_record, rpc);
        lib_good(error);
    } else {
        lib_fail_span(error, CSERF_SYSTEM, buffer_span(&reason));
        cserf_rpc_free(rpc);
        rpc = NULL;
    }
    buffer_fini(&reason);
    return rpc;
}

void cserf_rpc_free(struct cserf_rpc *rpc)
{
    if (!rpc)
        return;
    assert(!rpc->entered && "not from inside a callback");
    rpc_client_free(rpc->client);
    while (rpc->subscriptions)
        subscription_free(rpc, rpc->subscriptions);
    node_view_fini(&rpc->view);
    buffer_fini(&rpc->text);
    free(rpc->address);
    free(rpc);
}

void cserf_rpc_set_time_limit(struct cserf_rpc *rpc, uint32_t milliseconds)
{
    rpc->time_limit = milliseconds * NANOSECONDS_PER_MS;
}

int cserf_rpc_descriptor(const struct cserf_rpc *rpc)
{
    return rpc_client_descriptor(rpc->client);
}

/* --- entries --- */

enum cserf_code rpc_enter(struct cserf_rpc *rpc, struct cserf_error *error)
{
    if (rpc->entered)
        return lib_fail(error, CSERF_BUSY,
                        "a call of the same client is under way: not from inside its callbacks");
    if (rpc->lost)
        return lib_fail(error, CSERF_CLOSED, "the connection to the agent is lost; open a new one");
    rpc->entered = true;
    return lib_good(error);
}

static void free_stopped(struct cserf_rpc *rpc)
{
    struct subscription *next;
    for (struct subscription *each = rpc->subscriptions; each; each = next) {
        next = each->next;
        if (each->stopped)
            subscription_free(rpc, each);
    }
}

/* Records until none is left, or, unless `read` is set, none in the buffer. */
static enum cserf_code take_records(struct cserf_rpc *rpc, bool read, struct cserf_error *error)
{
    struct buffer reason;
    buffer_init(&reason, LIB_ERROR_SIZE_MAX);
    while (rpc_client_take(rpc->client, read, &reason)) {
    }
    if (rpc_client_failure(rpc->client) == RPC_CLIENT_LOST)
        return rpc_failed(rpc, &reason, error);
    buffer_fini(&reason);
    return CSERF_OK;
}

enum cserf_code rpc_leave(struct cserf_rpc *rpc, enum cserf_code code)
{
    if (!rpc->lost)
        take_records(rpc, false, NULL);
    free_stopped(rpc);
    rpc->entered = false;
    return code;
}

enum cserf_code cserf_rpc_dispatch(struct cserf_rpc *rpc, struct cserf_error *error)
{
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    return rpc_leave(rpc, take_records(rpc, true, error));
}

/* --- calls --- */

enum cserf_code rpc_failed(struct cserf_rpc *rpc, struct buffer *reason, struct cserf_error *error)
{
    enum cserf_code code = CSERF_REFUSED;
    switch (rpc_client_failure(rpc->client)) {
    case RPC_CLIENT_GOOD:
    case RPC_CLIENT_REFUSED:
        break;
    case RPC_CLIENT_TOO_LARGE:
        code = CSERF_INVALID;
        break;
    case RPC_CLIENT_TIMED_OUT:
        code = CSERF_TIMED_OUT;
        rpc->lost = true;
        break;
    case RPC_CLIENT_LOST:
        code = CSERF_CLOSED;
        rpc->lost = true;
        break;
    }
    lib_fail_span(error, code, buffer_span(reason));
    buffer_fini(reason);
    return code;
}

enum cserf_code rpc_ask(struct cserf_rpc *rpc, enum rpc_command command, const void *body,
                        struct span *answer, struct cserf_error *error)
{
    struct buffer reason;
    buffer_init(&reason, LIB_ERROR_SIZE_MAX);
    if (!rpc_client_call(rpc->client, command, body, rpc->time_limit, answer, &reason))
        return rpc_failed(rpc, &reason, error);
    buffer_fini(&reason);
    return lib_good(error);
}

enum cserf_code rpc_malformed(struct cserf_error *error)
{
    return lib_fail(error, CSERF_REFUSED, "the agent's answer is malformed, or memory is out");
}

/* --- streams --- */

struct subscription *subscription_new(struct cserf_rpc *rpc, void *context)
{
    struct subscription *subscription = calloc(1, sizeof *subscription);
    if (!subscription)
        return NULL;
    subscription->seq = rpc_client_seq(rpc->client) + 1;
    subscription->context = context;
    subscription->next = rpc->subscriptions;
    rpc->subscriptions = subscription;
    return subscription;
}

void subscription_free(struct cserf_rpc *rpc, struct subscription *subscription)
{
    struct subscription **place = &rpc->subscriptions;
    while (*place != subscription)
        place = &(*place)->next;
    *place = subscription->next;
    free(subscription);
}

static uint64_t subscribe(struct cserf_rpc *rpc, enum rpc_command command, const void *body,
                          const struct subscription *from, struct cserf_error *error)
{
    struct span answer;
    if (rpc_enter(rpc, error) != CSERF_OK)
        return 0;
    struct subscription *to = subscription_new(rpc, from->context);
    uint64_t seq = 0;
    if (!to) {
        lib_no_memory(error);
    } else {
        to->on_event = from->on_event;
        to->on_line = from->on_line;
        seq = to->seq;
        if (rpc_ask(rpc, command, body, &answer, error) != CSERF_OK) {
            subscription_free(rpc, to);
            seq = 0;
        }
    }
    rpc_leave(rpc, CSERF_OK);
    return seq;
}

uint64_t cserf_rpc_stream(struct cserf_rpc *rpc, const char *types, cserf_event_callback *callback,
                          void *context, struct cserf_error *error)
{
    const struct rpc_stream body = {span_text(types ? types : "*")};
    const struct subscription from = {.on_event = callback, .context = context};
    return subscribe(rpc, RPC_STREAM, &body, &from, error);
}

uint64_t cserf_rpc_monitor(struct cserf_rpc *rpc, const char *level, cserf_line_callback *callback,
                           void *context, struct cserf_error *error)
{
    const struct rpc_monitor body = {span_text(level ? level : "info")};
    const struct subscription from = {.on_line = callback, .context = context};
    return subscribe(rpc, RPC_MONITOR, &body, &from, error);
}

enum cserf_code cserf_rpc_stop(struct cserf_rpc *rpc, uint64_t number, struct cserf_error *error)
{
    const struct rpc_stop body = {number};
    struct subscription *subscription = rpc->subscriptions;
    struct span answer;
    while (subscription && (subscription->seq != number || subscription->on_answer))
        subscription = subscription->next;
    if (!subscription || subscription->stopped)
        return lib_fail(error, CSERF_INVALID, "no stream or monitor has this number");
    subscription->stopped = true;
    if (rpc->entered)
        return lib_good(error);
    enum cserf_code code = rpc_enter(rpc, error);
    if (code != CSERF_OK)
        return code;
    return rpc_leave(rpc, rpc_ask(rpc, RPC_STOP, &body, &answer, error));
}

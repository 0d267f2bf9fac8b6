/* Calls an agent, cserf's or the reference's: lists the members, fires a user event, waits on a
 * stream until the event has come back, and asks everybody a query.
 *
 *     cc rpc.c -o rpc $(pkg-config --cflags --libs cserf)
 *     ./rpc [ADDRESS:PORT [AUTH_KEY]] */
#include <cserf/cserf.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

static void show_node(void *context, const struct cserf_node *node)
{
    (void)context;
    printf("member %s  %s:%u  %s", node->name, node->address, node->port,
           cserf_status_name(node->status));
    for (size_t i = 0; i < node->tag_count; i++)
        printf("  %s=%s", node->tags[i].key, node->tags[i].value);
    printf("\n");
}

static void on_event(void *context, const struct cserf_event *event)
{
    bool *seen = context;
    if (strcmp(event->name, "example") != 0)
        return;
    printf("event %s: %.*s\n", event->name, (int)event->payload_size, (const char *)event->payload);
    *seen = true;
}

static void on_answer(void *context, const struct cserf_answer *answer)
{
    (void)context;
    if (answer->type == CSERF_ANSWER_ACK)
        printf("ack from %s\n", answer->from);
    else if (answer->type == CSERF_ANSWER_RESPONSE)
        printf("response from %s: %.*s\n", answer->from, (int)answer->payload_size,
               (const char *)answer->payload);
}

static enum cserf_code run(struct cserf_rpc *rpc, struct cserf_error *error)
{
    struct cserf_query_options options = CSERF_QUERY_OPTIONS;
    struct pollfd wait = {cserf_rpc_descriptor(rpc), POLLIN, 0};
    bool seen = false;
    if (cserf_rpc_members(rpc, show_node, NULL, error) != CSERF_OK)
        return error->code;
    if (cserf_rpc_stream(rpc, "user", on_event, &seen, error) == 0)
        return error->code;
    if (cserf_rpc_user_event(rpc, "example", "hello", 5, false, error) != CSERF_OK)
        return error->code;
    while (!seen && poll(&wait, 1, -1) > 0)
        if (cserf_rpc_dispatch(rpc, error) != CSERF_OK)
            return error->code;
    options.acks = true;
    options.timeout_ms = 2000;
    return cserf_rpc_query(rpc, "time", NULL, 0, &options, on_answer, NULL, error);
}

int main(int argc, char **argv)
{
    struct cserf_error error;
    struct cserf_rpc *rpc =
        cserf_rpc_new(argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL, &error);
    if (!rpc || run(rpc, &error) != CSERF_OK)
        fprintf(stderr, "Error: %s\n", error.text);
    cserf_rpc_free(rpc);
    return error.code == CSERF_OK ? 0 : 1;
}

/* The core knows a stream by a number, and a number that it closed may still be on its way here
 * from the network; so every event looks its number up, and a stream leaves the table before the
 * core hears of its end. */
#include "node_internal.h"

#include <stdlib.h>

static void stream_remove(struct node_stream *stream)
{
    struct node *node = stream->node;
    number_map_remove(&node->streams, stream->id);
    if (node->next_stream == stream)
        node->next_stream = stream->next;
    *stream->link = stream->next;
    if (stream->next)
        stream->next->link = stream->link;
    loop_task_cancel(&stream->broken);
    free(stream);
}

/* --- what happens to a stream --- */

static void on_opened(void *context)
{
    struct node_stream *stream = context;
    struct node *node = stream->node;
    uint32_t id = stream->id;
    if (node_enter(node))
        serf_stream_opened(node->serf, loop_now(), id);
    node_leave_entry(node);
}

static void on_received(void *context, struct span bytes)
{
    struct node_stream *stream = context;
    struct node *node = stream->node;
    uint32_t id = stream->id;
    if (node_enter(node))
        serf_stream_data(node->serf, loop_now(), id, bytes);
    node_leave_entry(node);
}

static void on_ended(void *context)
{
    struct node_stream *stream = context;
    struct node *node = stream->node;
    uint32_t id = stream->id;
    if (node_enter(node))
        serf_stream_ended(node->serf, loop_now(), id);
    node_leave_entry(node);
}

static void on_failed(void *context, const char *reason)
{
    struct node_stream *stream = context;
    struct node *node = stream->node;
    uint32_t id = stream->id;
    struct connection *connection = stream->connection;
    stream_remove(stream);
    connection_free(connection);
    if (node_enter(node))
        serf_stream_failed(node->serf, loop_now(), id, reason);
    node_leave_entry(node);
}

static void on_broken(void *context)
{
    struct node_stream *stream = context;
    on_failed(stream,
              stream->connection ? "write tcp: too many unsent bytes" : "dial tcp: out of memory");
}

static struct connection_callbacks callbacks_for(struct node_stream *stream)
{
    return (struct connection_callbacks){
        .context = stream,
        .opened = on_opened,
        .received = on_received,
        .ended = on_ended,
        .failed = on_failed,
    };
}

/* --- the table --- */

/* NULL when memory is out. */
static struct node_stream *stream_add(struct node *node, uint32_t id)
{
    struct node_stream *stream = calloc(1, sizeof *stream);
    if (!stream || !number_map_insert(&node->streams, id, stream)) {
        free(stream);
        return NULL;
    }
    stream->node = node;
    stream->id = id;
    stream->next = node->stream_list;
    stream->link = &node->stream_list;
    if (stream->next)
        stream->next->link = &stream->next;
    node->stream_list = stream;
    loop_task_init(&stream->broken, node->loop, on_broken, stream);
    return stream;
}

void node_streams_free(struct node *node)
{
    while (node->stream_list) {
        connection_free(node->stream_list->connection);
        stream_remove(node->stream_list);
    }
    number_map_fini(&node->streams);
}

bool node_streams_receive(struct node *node, uint64_t end)
{
    bool more = false;
    node->next_stream = node->stream_list;
    while (node->next_stream && !node->freed) {
        if (loop_now() >= end)
            return true;
        struct node_stream *stream = node->next_stream;
        node->next_stream = stream->next;
        if (stream->connection && connection_receive(stream->connection))
            more = true;
    }
    return more;
}

/* --- what the core wants --- */

/* Without memory for the table the core is left to its own deadline for the connect. */
static void open_stream(struct node *node, const struct effect *effect)
{
    struct node_stream *stream = stream_add(node, effect->open.stream);
    if (!stream) {
        node_log(node, LOG_LEVEL_ERR, "memberlist: Failed to open a stream: out of memory");
        return;
    }
    struct connection_callbacks callbacks = callbacks_for(stream);
    stream->connection =
        connection_open(node->loop, &effect->open.to, effect->open.deadline, &callbacks);
    if (!stream->connection)
        loop_defer(&stream->broken);
}

static void write_stream(struct node_stream *stream, struct span bytes)
{
    if (stream->connection && !connection_write(stream->connection, bytes))
        loop_defer(&stream->broken);
}

static void close_stream(struct node_stream *stream)
{
    struct connection *connection = stream->connection;
    uint64_t patience = stream->node->close_patience;
    stream_remove(stream);
    if (connection)
        connection_close(connection, patience);
}

void node_stream_perform(struct node *node, const struct effect *effect)
{
    if (effect->kind == EFFECT_STREAM_OPEN) {
        open_stream(node, effect);
        return;
    }
    bool writing = effect->kind == EFFECT_STREAM_WRITE;
    struct node_stream *stream =
        number_map_find(&node->streams, writing ? effect->write.stream : effect->close.stream);
    if (!stream)
        return;
    if (writing)
        write_stream(stream, effect->write.bytes);
    else
        close_stream(stream);
}

/* --- peers that connect --- */

/* False when the core refuses it, or memory is out. */
static bool accept_stream(struct node *node, struct connection *connection)
{
    struct endpoint from = connection_remote(connection);
    uint32_t id = serf_stream_accepted(node->serf, loop_now(), &from);
    if (id == 0)
        return false;
    struct node_stream *stream = stream_add(node, id);
    if (!stream) {
        serf_stream_failed(node->serf, loop_now(), id, "out of memory");
        return false;
    }
    struct connection_callbacks callbacks = callbacks_for(stream);
    stream->connection = connection;
    connection_start(connection, &callbacks);
    return true;
}

static void on_accepted(void *context, struct connection *connection)
{
    struct node *node = context;
    bool taken = node_enter(node) && accept_stream(node, connection);
    if (!taken)
        connection_free(connection);
    node_leave_entry(node);
}

static void on_accept_failed(void *context, const char *reason)
{
    node_log(context, LOG_LEVEL_ERR, "memberlist: Error accepting TCP connection: %s", reason);
}

const struct listener_callbacks node_listener_callbacks = {
    .accepted = on_accepted,
    .accept_failed = on_accept_failed,
};

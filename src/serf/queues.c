/* The Serf layer's three broadcast queues (Serf specification, section 10): intents first, then
 * queries, then user events. A queue is bounded when something is added, not half a minute later.
 *
 * When many members come and go at once, news of members and intents would fill every datagram, and
 * a user's message would wait for the end of the storm. So each datagram earns queries and user
 * events a share of its room; when they have earned what the next one of them takes, it is kept
 * free for them. Without a storm nothing changes, since there is room for all. */
#include "serf_internal.h"

enum {
    KIND_MESSAGE = 1,
    USER_SHARE = 4, /* of each datagram's room a quarter, when membership would fill it */
};

static void queue_finished(void *context, const struct broadcast *item)
{
    struct serf *serf = context;
    if (item->notify)
        command_broadcast_finished(serf, item->message);
    intern_release(serf->swim.pool, item->message);
}

static void queue_dropped(void *context, const struct broadcast *item)
{
    struct serf *serf = context;
    intern_release(serf->swim.pool, item->message);
}

static uint32_t depth_limit(const struct serf *serf)
{
    uint32_t smallest = serf->config.min_queue_depth;
    uint32_t for_members = 2 * serf->swim.table.serf_count;
    if (smallest == 0)
        return serf->config.max_queue_depth;
    return for_members > smallest ? for_members : smallest;
}

void queues_init(struct serf *serf)
{
    broadcast_queue_init(&serf->intents, queue_finished, serf);
    broadcast_queue_init(&serf->queries, queue_finished, serf);
    broadcast_queue_init(&serf->events, queue_finished, serf);
    uint32_t expected = serf->config.swim.members_expected; /* each comes with an intent */
    uint32_t most = depth_limit(serf) + QUEUE_SLACK;
    broadcast_queue_expect(&serf->intents, expected < most ? expected : most);
}

void queues_fini(struct serf *serf)
{
    broadcast_queue_fini(&serf->intents, queue_dropped);
    broadcast_queue_fini(&serf->queries, queue_dropped);
    broadcast_queue_fini(&serf->events, queue_dropped);
}

static const char *queue_name(const struct serf *serf, const struct broadcast_queue *queue)
{
    if (queue == &serf->intents)
        return "Intent";
    return queue == &serf->queries ? "Query" : "Event";
}

struct atom *queue_message(struct serf *serf, struct broadcast_queue *queue, struct span message,
                           bool notify)
{
    /* A message that no datagram has room for would stay in the queue for ever. */
    if (message.size + USER_MESSAGE_OVERHEAD > swim_gossip_limit(&serf->swim) ||
        message.size > BROADCAST_SIZE_MAX)
        return NULL;
    /* Before it is added, or it could be what is dropped. */
    uint32_t depth_max = depth_limit(serf);
    if (queue->count >= depth_max + QUEUE_SLACK) {
        serf_log_limited(serf, LIMITED_QUEUE, LOG_LEVEL_WARN,
                         "serf: %s queue depth (%u) exceeds limit (%u), dropping messages!",
                         queue_name(serf, queue), queue->count, depth_max);
        broadcast_queue_prune(queue, depth_max);
    }
    struct broadcast item = {.message = intern(serf->swim.pool, message),
                             .size = message.size & 0x7ff,
                             .kind = KIND_MESSAGE,
                             .notify = notify};
    if (!item.message)
        return NULL;
    if (broadcast_queue_add(queue, &item) == BROADCAST_NONE) {
        intern_release(serf->swim.pool, item.message);
        return NULL;
    }
    swim_gossip_wanted(&serf->swim);
    return item.message;
}

struct filling {
    struct compound *compound;
    struct measurements *sent;
};

static bool add_message(void *context, const struct broadcast *item)
{
    const struct filling *filling = context;
    struct compound *compound = filling->compound;
    if (compound->count >= COMPOUND_PARTS_MAX)
        return false;
    size_t begin = compound_begin(compound);
    buffer_append_u8(&compound->parts, MESSAGE_USER);
    buffer_append_span(&compound->parts, atom_span(item->message));
    if (!compound_end(compound, begin))
        return false;
    measure(filling->sent, item->message->size);
    return true;
}

size_t queues_reserve(void *context, size_t limit)
{
    struct serf *serf = context;
    const struct broadcast_queue *next = serf->queries.count > 0 ? &serf->queries : &serf->events;
    size_t wanted = USER_MESSAGE_OVERHEAD + broadcast_queue_next_size(next);
    serf->user_room = 0;
    if (next->count == 0) {
        serf->user_credit = 0;
        return 0;
    }
    serf->user_credit += limit / USER_SHARE;
    if (serf->user_credit > serf->swim.config.udp_buffer_size)
        serf->user_credit = serf->swim.config.udp_buffer_size;
    if (serf->user_credit < wanted || limit < wanted)
        return 0;
    /* For as many messages of this size as there are, at most. */
    size_t room = serf->user_credit < limit ? serf->user_credit : limit;
    serf->user_room = room / wanted < next->count ? room : wanted * next->count;
    return serf->user_room;
}

void queues_draw(void *context, size_t limit, struct compound *compound)
{
    struct serf *serf = context;
    uint32_t transmits = swim_transmit_limit(&serf->swim, serf->swim.table.serf_count);
    struct filling filling = {compound, &serf->metrics.messages_sent};
    size_t room = serf->user_room < limit ? limit - serf->user_room : 0;
    limit -= broadcast_queue_draw(&serf->intents, USER_MESSAGE_OVERHEAD, room, transmits,
                                  add_message, &filling);
    size_t used = broadcast_queue_draw(&serf->queries, USER_MESSAGE_OVERHEAD, limit, transmits,
                                       add_message, &filling);
    used += broadcast_queue_draw(&serf->events, USER_MESSAGE_OVERHEAD, limit - used, transmits,
                                 add_message, &filling);
    serf->user_credit -= used < serf->user_credit ? used : serf->user_credit;
}

void queue_withdraw(struct broadcast_queue *queue, const struct atom *message)
{
    for (uint32_t i = 0; i < queue->item_count; i++)
        if (queue->items[i].kind == KIND_MESSAGE && queue->items[i].message == message) {
            broadcast_queue_cancel(queue, i);
            return;
        }
}

static void check_queue(struct serf *serf, struct broadcast_queue *queue)
{
    const char *name = queue_name(serf, queue);
    if (queue->count >= serf->config.queue_depth_warning)
        serf_log(serf, LOG_LEVEL_WARN, "serf: %s queue depth: %u", name, queue->count);
    uint32_t depth_max = depth_limit(serf);
    if (queue->count > depth_max) {
        serf_log(serf, LOG_LEVEL_WARN,
                 "serf: %s queue depth (%u) exceeds limit (%u), dropping messages!", name,
                 queue->count, depth_max);
        broadcast_queue_prune(queue, depth_max);
    }
}

void queues_check(struct serf *serf)
{
    measure(&serf->metrics.intent_queue, serf->intents.count);
    measure(&serf->metrics.query_queue, serf->queries.count);
    measure(&serf->metrics.event_queue, serf->events.count);
    measure(&serf->swim.metrics.broadcasts, swim_queue_depth(&serf->swim));
    check_queue(serf, &serf->intents);
    check_queue(serf, &serf->queries);
    check_queue(serf, &serf->events);
}

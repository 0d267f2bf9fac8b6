#include "delivery.h"

#include <stdlib.h>

void delivery_queue_init(struct delivery_queue *queue)
{
    *queue = (struct delivery_queue){.end = &queue->first};
}

void delivery_queue_fini(struct delivery_queue *queue)
{
    struct delivery *delivery;
    while ((delivery = delivery_take(queue)))
        free(delivery);
}

static struct span copy_bytes(uint8_t **place, struct span bytes)
{
    struct span copy = span_make(*place, bytes.size);
    if (bytes.size > 0)
        memcpy(*place, bytes.data, bytes.size);
    *place += bytes.size;
    return copy;
}

void delivery_put(struct delivery_queue *queue, const struct delivery *delivery)
{
    size_t size = delivery->first.size + delivery->second.size + delivery->third.size;
    struct delivery *copy = malloc(sizeof *copy + size);
    if (!copy) {
        queue->lost++;
        return;
    }
    uint8_t *place = (uint8_t *)(copy + 1);
    *copy = *delivery;
    copy->first = copy_bytes(&place, delivery->first);
    copy->second = copy_bytes(&place, delivery->second);
    copy->third = copy_bytes(&place, delivery->third);
    delivery_append(queue, copy);
}

void delivery_append(struct delivery_queue *queue, struct delivery *delivery)
{
    delivery->next = NULL;
    *queue->end = delivery;
    queue->end = &delivery->next;
}

struct delivery *delivery_take(struct delivery_queue *queue)
{
    struct delivery *delivery = queue->first;
    if (!delivery)
        return NULL;
    queue->first = delivery->next;
    if (!queue->first)
        queue->end = &queue->first;
    return delivery;
}

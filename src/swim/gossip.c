/* What goes out: the broadcast queue turned into datagrams, on the gossip tick and on the back of
 * pings and acks (memberlist specification, 1.4, 7.9 and 7.10).
 *
 * A queued broadcast holds no bytes. What it says is made from the member's record when it is sent:
 * a record that changes gets a new broadcast, so the two never disagree. */
#include "swim_internal.h"

#include <assert.h>

enum { USER_MESSAGE_ROOM_MIN = 3 }; /* with no more room than this the Serf layer is not asked */

size_t swim_gossip_limit(const struct swim *swim)
{
    return swim->config.udp_buffer_size - COMPOUND_HEADER_SIZE -
           wire_codec_overhead(&swim->codec, true);
}

bool swim_wants_checksum(const struct swim *swim, uint32_t member)
{
    return member_identity(&swim->table, member)->versions[1] >= 5;
}

static bool is_accusation(unsigned kind)
{
    return kind == BROADCAST_SUSPECT || kind == BROADCAST_DEAD;
}

/* Writes the message of a broadcast; the type byte first. */
static void write_broadcast(const struct swim *swim, const struct broadcast *item,
                            struct buffer *out)
{
    const struct member_record *record = member_at(&swim->table, item->member);
    const struct identity *identity = identity_of(record->identity);
    if (!is_accusation(item->kind)) {
        identity_write_alive(identity, record->incarnation, out);
        return;
    }
    struct suspect_message suspect = {
        .incarnation = record->incarnation,
        .node = identity_name(identity),
        .from = atom_span(swim->pool->atoms[item->from]),
    };
    message_write(out, item->kind == BROADCAST_SUSPECT ? MESSAGE_SUSPECT : MESSAGE_DEAD,
                  &suspect_structure, &suspect);
}

void swim_broadcast_dropped(void *context, const struct broadcast *item)
{
    struct swim *swim = context;
    member_at(&swim->table, item->member)->broadcast = BROADCAST_NONE;
    if (is_accusation(item->kind))
        intern_release(swim->pool, swim->pool->atoms[item->from]);
}

void swim_broadcast_finished(void *context, const struct broadcast *item)
{
    struct swim *swim = context;
    swim_broadcast_dropped(context, item);
    if (!item->notify)
        return;
    struct timer *waiting = item->kind == BROADCAST_DEAD ? &swim->leave_timer : &swim->update_timer;
    if (!timer_armed(waiting))
        return;
    timer_cancel(&swim->timers, waiting);
    struct effect *effect = outbox_add(
        &swim->outbox, item->kind == BROADCAST_DEAD ? EFFECT_SWIM_LEFT : EFFECT_SWIM_UPDATED);
    if (effect)
        effect->broadcast.timed_out = false;
}

void swim_cancel_broadcast(struct swim *swim, uint32_t member)
{
    const struct member_record *record = member_at(&swim->table, member);
    if (record->broadcast != BROADCAST_NONE)
        broadcast_queue_cancel(record->arrives ? &swim->arrivals : &swim->changes,
                               record->broadcast);
}

uint32_t swim_queue_depth(const struct swim *swim)
{
    return swim->changes.count + swim->arrivals.count;
}

bool swim_queue_broadcast(struct swim *swim, uint32_t member, unsigned kind, struct span from,
                          bool notify)
{
    struct member_record *record = member_at(&swim->table, member);
    swim_cancel_broadcast(swim, member);
    struct broadcast item = {.member = member, .kind = kind & 0xf, .notify = notify};
    if (is_accusation(kind)) {
        struct atom *accuser = intern(swim->pool, from);
        if (!accuser)
            return false;
        item.from = accuser->slot;
    }
    if (kind == BROADCAST_ARRIVAL && swim->arrivals.count >= ARRIVALS_MAX + ARRIVALS_SLACK)
        broadcast_queue_prune(&swim->arrivals, ARRIVALS_MAX);
    buffer_reset(&swim->scratch);
    write_broadcast(swim, &item, &swim->scratch);
    uint32_t number = BROADCAST_NONE;
    if (!swim->scratch.failed && swim->scratch.size <= swim_gossip_limit(swim) &&
        swim->scratch.size <= BROADCAST_SIZE_MAX) {
        item.size = swim->scratch.size & 0x7ff;
        number = broadcast_queue_add(kind == BROADCAST_ARRIVAL ? &swim->arrivals : &swim->changes,
                                     &item);
    }
    record->broadcast = number;
    record->arrives = kind == BROADCAST_ARRIVAL;
    swim_gossip_wanted(swim);
    if (number == BROADCAST_NONE && is_accusation(kind))
        intern_release(swim->pool, swim->pool->atoms[item.from]);
    return number != BROADCAST_NONE;
}

/* --- datagrams --- */

bool swim_add_message(struct swim *swim, enum message_type type,
                      const struct msgpack_structure *structure, const void *message)
{
    size_t begin = compound_begin(&swim->compound);
    message_write(&swim->compound.parts, type, structure, message);
    return compound_end(&swim->compound, begin);
}

bool swim_begin_datagram(struct swim *swim, enum message_type type,
                         const struct msgpack_structure *structure, const void *message)
{
    compound_reset(&swim->compound);
    return swim_add_message(swim, type, structure, message);
}

void swim_send(struct swim *swim, const struct endpoint *to, bool checksum)
{
    struct effect *effect = outbox_add(&swim->outbox, EFFECT_PACKET);
    if (!effect)
        return;
    effect->packet.to = *to;
    size_t begin = outbox_begin(&swim->outbox);
    if (packet_seal(&swim->codec, &swim->compound, checksum, &swim->outbox.arena)) {
        outbox_end(&swim->outbox, &effect->packet.datagram, begin);
        swim->metrics.packets_sent++;
        swim->metrics.packet_bytes_sent += effect->packet.datagram.size;
    } else {
        swim->outbox.arena.failed = false;
        swim->outbox.lost++;
        outbox_drop_last(&swim->outbox);
    }
}

static bool add_broadcast(void *context, const struct broadcast *item)
{
    struct swim *swim = context;
    if (swim->compound.count >= COMPOUND_PARTS_MAX)
        return false;
    size_t begin = compound_begin(&swim->compound);
    write_broadcast(swim, item, &swim->compound.parts);
    return compound_end(&swim->compound, begin);
}

/* Adds what the queues hold to the datagram, `limit` bytes at most. */
static void add_broadcasts(struct swim *swim, size_t limit)
{
    uint32_t transmits = swim_transmit_limit(swim, swim->table.swim_count);
    size_t reserved = swim->hooks.reserve(swim->hooks.context, limit);
    size_t room = limit - reserved;
    size_t used = broadcast_queue_draw(&swim->changes, COMPOUND_PART_OVERHEAD, room, transmits,
                                       add_broadcast, swim);
    used += broadcast_queue_draw(&swim->arrivals, COMPOUND_PART_OVERHEAD, room - used, transmits,
                                 add_broadcast, swim);
    if (limit - used > USER_MESSAGE_ROOM_MIN && swim->compound.count < COMPOUND_PARTS_MAX)
        swim->hooks.broadcasts(swim->hooks.context, limit - used, &swim->compound);
}

void swim_piggyback(struct swim *swim)
{
    size_t used = swim->compound.parts.size + COMPOUND_HEADER_SIZE +
                  wire_codec_overhead(&swim->codec, swim->codec.verify_outgoing);
    if (used < swim->config.udp_buffer_size)
        add_broadcasts(swim, swim->config.udp_buffer_size - used);
}

static bool accepts_gossip(const void *context, uint32_t member)
{
    const struct swim *swim = context;
    const struct member_record *record = member_at(&swim->table, member);
    if (member == swim->self || !record->in_swim || record->state == NODE_LEFT)
        return false;
    /* One that died lately still hears us, so that it can refute. */
    return record->state != NODE_DEAD ||
           swim_age(swim, member) <= swim->config.gossip_to_the_dead_time;
}

/* Ticks are at least an interval apart. Who has been silent for longer tells news at once: in an
 * idle cluster an event is everywhere after a few hops instead of a few intervals. */
void swim_gossip_wanted(struct swim *swim)
{
    if (timer_armed(&swim->gossip_tick) || swim->config.gossip_interval == 0 ||
        swim->config.gossip_nodes == 0)
        return;
    uint64_t earliest = swim->gossip_ticked + swim->config.gossip_interval;
    timer_set(&swim->timers, &swim->gossip_tick, earliest > swim->now ? earliest : swim->now);
}

/* A tick on which there is nothing to say, or nobody to say it to, is the last one until somebody
 * wants gossip again: an idle member does not wake up for it. */
void swim_gossip_tick(struct swim *swim)
{
    uint32_t picked[GOSSIP_NODES_MAX];
    swim->gossip_ticked = swim->now;
    swim->metrics.gossip_ticks++;
    uint32_t count = member_table_pick(&swim->table, &swim->random, swim->config.gossip_nodes,
                                       picked, accepts_gossip, swim);
    for (uint32_t i = 0; i < count; i++) {
        compound_reset(&swim->compound);
        add_broadcasts(swim, swim_gossip_limit(swim));
        if (swim->compound.count == 0)
            return;
        struct endpoint to = member_endpoint(&swim->table, picked[i]);
        swim_send(swim, &to, swim_wants_checksum(swim, picked[i]));
    }
    if (count > 0)
        swim_gossip_wanted(swim);
}

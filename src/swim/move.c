/* Coming back at another address. A member that vanished without leaving, and whose name starts
 * again elsewhere, is held at its old address by everybody, and neither we nor the reference let a
 * name move unless it has left: the new life would be refused until the old one is dead and
 * forgotten, a minute later. Only the one who comes back can know that it is the same member, so it
 * sees to it itself, with nothing but messages that every peer has understood since version 0.1:
 *
 *   ask      does anybody answer to our name at the old address? By pings of our own and through
 *            helpers, for two seconds. An answer means that two members bear one name: then the
 *            others vote on it.
 *   revive   we are alive there, above the incarnation that is held. It changes nothing where that
 *            is believed; who holds us dead has to believe it, since the dead can't leave. From now
 *            on our own incarnation is above that one: who learns early where we are, by gossip or
 *            from a push/pull, must not take what is still said of the old life for the new one's.
 *   intend   and there we are about to leave: the Serf layer says so, since for the reference who
 *            goes without that has failed;
 *   leave    and have left: from now on a new address is welcome.
 *   arrive   we are alive here, and as after a join the Serf layer says that we have joined;
 *
 *   settle   once more when nobody can have the old life's departure in his answers any longer.
 *
 * Each is told to every member directly, three times, and the phases lie apart: a peer may take in
 * another order what arrives together. */
#include "swim_internal.h"

/* How often each phase speaks. */
static const uint32_t steps_of[] = {[MOVE_ASK] = 4,   [MOVE_REVIVE] = 3, [MOVE_INTEND] = 2,
                                    [MOVE_LEAVE] = 3, [MOVE_ARRIVE] = 3, [MOVE_SETTLE] = 1};

static const uint64_t ask_interval = 500 * NANOSECONDS_PER_MS;
static const uint64_t settle_time = 5 * NANOSECONDS_PER_S;
static const uint64_t quiet_after_answer = 30 * NANOSECONDS_PER_S;

void swim_held_elsewhere(struct swim *swim, struct span address, uint16_t port,
                         uint32_t incarnation)
{
    struct move *move = &swim->move;
    struct endpoint old, own = member_endpoint(&swim->table, swim->self);
    if (move->barred || !endpoint_from_bytes(&old, address, port) || endpoint_equal(&old, &own))
        return;
    if (move->phase != MOVE_IDLE) {
        if (endpoint_equal(&old, &move->old) && incarnation > move->incarnation)
            move->incarnation = incarnation;
        return;
    }
    if (swim->now < move->quiet_until && endpoint_equal(&old, &move->old))
        return;
    move->phase = MOVE_ASK;
    move->step = 0;
    move->old = old;
    move->address_size = (uint8_t)address.size;
    memcpy(move->address, address.data, address.size);
    move->incarnation = incarnation;
    move->sequence = ++swim->sequence;
    timer_set(&swim->timers, &move->timer, swim->now);
}

bool swim_move_answered(struct swim *swim, uint32_t sequence)
{
    struct move *move = &swim->move;
    if (move->phase != MOVE_ASK || move->sequence != sequence)
        return false;
    timer_cancel(&swim->timers, &move->timer);
    move->phase = MOVE_IDLE;
    move->quiet_until = swim->now + quiet_after_answer;
    outbox_add(&swim->outbox, EFFECT_SWIM_NAMESAKE);
    return true;
}

/* --- asking --- */

static void ask(struct swim *swim)
{
    const struct move *move = &swim->move;
    struct span name = swim_own_name(swim);
    swim_ping(swim, &move->old, name, move->sequence);
    swim_ping_by_helpers(swim, span_make(move->address, move->address_size), move->old.port, name,
                         move->sequence);
}

/* --- moving --- */

static void say_alive(struct swim *swim, struct span address, uint16_t port, uint32_t incarnation)
{
    struct alive_message alive = swim_own_alive(swim);
    alive.incarnation = incarnation;
    alive.address = address;
    alive.port = port;
    buffer_reset(&swim->scratch);
    message_write(&swim->scratch, MESSAGE_ALIVE, &alive_structure, &alive);
    if (!swim->scratch.failed)
        swim_tell_each(swim, buffer_span(&swim->scratch));
}

static void say_left(struct swim *swim, uint32_t incarnation)
{
    struct span name = swim_own_name(swim);
    struct suspect_message left = {.incarnation = incarnation, .node = name, .from = name};
    buffer_reset(&swim->scratch);
    message_write(&swim->scratch, MESSAGE_DEAD, &suspect_structure, &left);
    if (!swim->scratch.failed)
        swim_tell_each(swim, buffer_span(&swim->scratch));
}

/* In gossip too, where an older one of ours may still wait. */
static void rise_above(struct swim *swim, uint32_t former)
{
    if (swim->incarnation > former)
        return;
    swim_next_incarnation(swim, former);
    swim_queue_broadcast(swim, swim->self, BROADCAST_ALIVE, SPAN_EMPTY, false);
}

static void say_here(struct swim *swim)
{
    const struct identity *own = member_identity(&swim->table, swim->self);
    swim_queue_broadcast(swim, swim->self, BROADCAST_ALIVE, SPAN_EMPTY, false);
    say_alive(swim, identity_address(own), own->port, swim->incarnation);
}

static void log_move(struct swim *swim)
{
    char from[ENDPOINT_TEXT_SIZE], to[ENDPOINT_TEXT_SIZE];
    struct endpoint own = member_endpoint(&swim->table, swim->self);
    struct span name = swim_own_name(swim);
    swim_log(swim, LOG_LEVEL_INFO,
             "memberlist: %.*s is held at %s, where nobody answers to that name: moving it to %s",
             SPAN_PRINT(name), endpoint_text(&swim->move.old, from), endpoint_text(&own, to));
}

static void take_step(struct swim *swim)
{
    struct move *move = &swim->move;
    struct span old = span_make(move->address, move->address_size);
    if (move->phase > MOVE_ASK)
        rise_above(swim, move->incarnation);
    switch (move->phase) {
    case MOVE_ASK:
        ask(swim);
        break;
    case MOVE_REVIVE:
        say_alive(swim, old, move->old.port, move->incarnation);
        break;
    case MOVE_INTEND:
        outbox_add(&swim->outbox, EFFECT_SWIM_MOVING);
        break;
    case MOVE_LEAVE:
        say_left(swim, move->incarnation);
        break;
    case MOVE_ARRIVE:
        say_here(swim);
        if (move->step == 0)
            outbox_add(&swim->outbox, EFFECT_SWIM_MOVED);
        break;
    case MOVE_SETTLE:
        outbox_add(&swim->outbox, EFFECT_SWIM_MOVED);
        break;
    case MOVE_IDLE:
        break;
    }
}

static void next_phase(struct swim *swim)
{
    struct move *move = &swim->move;
    move->step = 0;
    move->phase = move->phase == MOVE_SETTLE ? MOVE_IDLE : move->phase + 1;
    if (move->phase == MOVE_REVIVE) {
        log_move(swim);
        move->incarnation++;
    }
}

bool swim_is_moving(const struct swim *swim)
{
    return swim->move.phase >= MOVE_REVIVE && swim->move.phase <= MOVE_LEAVE;
}

void swim_prepare_leave(struct swim *swim)
{
    swim->move.barred = true;
}

void swim_move_timer(struct swim *swim)
{
    struct move *move = &swim->move;
    if (move->barred)
        move->phase = MOVE_IDLE;
    if (move->phase == MOVE_IDLE)
        return;
    uint64_t wait =
        move->phase == MOVE_ASK ? ask_interval : swim->config.gossip_interval + ask_interval / 5;
    take_step(swim);
    if (++move->step >= steps_of[move->phase])
        next_phase(swim);
    if (move->phase != MOVE_IDLE)
        timer_set(&swim->timers, &move->timer,
                  swim->now + (move->phase == MOVE_SETTLE ? settle_time : wait));
}

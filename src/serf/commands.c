/* What this member's own users ask for. Every command ends in exactly one EFFECT_COMMAND_DONE. */
#include "serf_internal.h"

#include <stdlib.h>

void command_done(struct serf *serf, uint32_t id, bool ok, uint32_t count, const char *error)
{
    if (id == 0)
        return;
    struct effect *effect = outbox_add(&serf->swim.outbox, EFFECT_COMMAND_DONE);
    if (!effect)
        return;
    effect->done.command = id;
    effect->done.ok = ok;
    effect->done.count = count;
    if (error)
        outbox_copy(&serf->swim.outbox, &effect->done.error, span_text(error));
}

uint32_t next_command_id(struct serf *serf)
{
    do
        serf->last_command++;
    while (serf->last_command == 0 || number_map_find(&serf->commands, serf->last_command));
    return serf->last_command;
}

struct command *command_new(struct serf *serf, enum command_kind kind)
{
    struct command *command =
        serf->commands.count < COMMANDS_MAX ? calloc(1, sizeof *command) : NULL;
    uint32_t id = next_command_id(serf);
    if (!command || !timer_heap_reserve(&serf->swim.timers, 1) ||
        !number_map_insert(&serf->commands, id, command)) {
        free(command);
        return NULL;
    }
    command->id = id;
    command->kind = kind;
    command->timer.kind = TIMER_COMMAND;
    return command;
}

void command_end(struct serf *serf, struct command *command, bool ok, const char *error)
{
    timer_cancel(&serf->swim.timers, &command->timer);
    if (serf->leave == command)
        serf->leave = NULL;
    if (serf->tag_change == command)
        serf->tag_change = NULL;
    number_map_remove(&serf->commands, command->id);
    intern_release(serf->swim.pool, command->message);
    command_done(serf, command->id, ok, 0, error);
    free(command);
}

void commands_fini(struct serf *serf)
{
    uint32_t position = 0;
    struct command *command;
    while ((command = number_map_next(&serf->commands, &position))) {
        intern_release(serf->swim.pool, command->message);
        free(command);
    }
    number_map_fini(&serf->commands);
}

/* A command that could not even begin. */
static uint32_t refuse(struct serf *serf, const char *error)
{
    uint32_t id = next_command_id(serf);
    command_done(serf, id, false, 0, error);
    return id;
}

/* The steps of a leave share its time: each takes what it needs, and never so much that a later one
 * is cut off by the end of all of it. */
enum { LEAVE_PARTS = 20, LEAVE_PARTS_TELL = 8, LEAVE_PARTS_PAUSE = 1, LEAVE_PARTS_PROPAGATE = 2 };

static uint64_t leave_step(const struct serf *serf, uint64_t wanted, uint32_t parts)
{
    uint64_t most = serf->config.leave_timeout / LEAVE_PARTS * parts;
    return wanted < most ? wanted : most;
}

/* Broadcasts a leave intent and lets the command wait for the end of it. */
static bool spread(struct serf *serf, struct command *command, const struct leave_intent *intent)
{
    buffer_reset(&serf->scratch);
    serf_message_write(&serf->scratch, SERF_LEAVE, &leave_intent_structure, intent);
    struct atom *message = queue_message(serf, &serf->intents, buffer_span(&serf->scratch), true);
    if (command->kind == COMMAND_LEAVE)
        swim_tell_all(&serf->swim, buffer_span(&serf->scratch));
    if (!message)
        return false;
    command->message = intern_retain(message);
    uint64_t patience = serf->config.broadcast_timeout;
    if (command->kind == COMMAND_LEAVE)
        patience = leave_step(serf, patience, LEAVE_PARTS_TELL);
    timer_set(&serf->swim.timers, &command->timer, serf->swim.now + patience);
    return true;
}

/* Somebody else is there to hear what we say, if only the member that we speak of, or one that we
 * are just joining: it has heard of us, and its answer will tell us of it. */
static bool has_listeners(const struct serf *serf)
{
    return swim_other_live_count(&serf->swim) > 0 || serf->joins != NULL;
}

/* --- leave (Serf specification, 3.4) --- */

static void leave_depart(struct serf *serf, struct command *command)
{
    struct atom *unheard = command->message;
    command->message = NULL;
    command->leave_stage = LEAVE_DEPARTURE;
    timer_cancel(&serf->swim.timers, &command->timer);
    /* Never in one datagram with the goodbye, which the reference would handle first. */
    if (unheard)
        queue_withdraw(&serf->intents, unheard);
    intern_release(serf->swim.pool, unheard);
    swim_leave(&serf->swim, leave_step(serf, serf->config.broadcast_timeout, LEAVE_PARTS_TELL));
}

void command_left(struct serf *serf, bool timed_out)
{
    struct command *command = serf->leave;
    if (!command || command->leave_stage != LEAVE_DEPARTURE)
        return;
    if (timed_out)
        serf_log(serf, LOG_LEVEL_WARN,
                 "serf: timeout waiting for leave broadcast: timeout waiting for leave broadcast");
    command->leave_stage = LEAVE_PROPAGATE;
    /* With nobody left to hear it there is nothing to wait for. */
    uint64_t delay = leave_step(serf, serf->config.leave_propagate_delay, LEAVE_PARTS_PROPAGATE);
    if (!has_listeners(serf))
        delay = 0;
    timer_set(&serf->swim.timers, &command->timer, serf->swim.now + delay);
}

void command_listener_gone(struct serf *serf)
{
    if (!serf->leave || has_listeners(serf))
        return;
    if (serf->leave->leave_stage == LEAVE_INTENT)
        leave_depart(serf, serf->leave);
    else if (serf->leave->leave_stage == LEAVE_DEPARTURE)
        command_left(serf, false);
}

uint32_t serf_leave(struct serf *serf, uint64_t now)
{
    serf->swim.now = now;
    uint32_t id;
    if (serf->state == SERF_LEFT) {
        id = next_command_id(serf);
        command_done(serf, id, true, 0, NULL);
        return id;
    }
    if (serf->state == SERF_LEAVING)
        return refuse(serf, "Leave already in progress");
    struct command *command = command_new(serf, COMMAND_LEAVE);
    if (!command)
        return refuse(serf, "out of memory");
    id = command->id;
    serf->state = SERF_LEAVING;
    record_leave(serf);
    policy_fini(serf);
    inquiries_stop(serf);
    rejoin_fini(serf);
    joins_stop(serf);
    swim_prepare_leave(&serf->swim);
    serf->leave = command;
    struct leave_intent intent = {.ltime = serf->clock,
                                  .node = member_name(&serf->swim.table, serf->swim.self)};
    serf->clock++;
    handle_leave_intent(serf, &intent);
    if (!has_listeners(serf) || !spread(serf, command, &intent))
        leave_depart(serf, command);
    serf_pump(serf);
    return id;
}

/* --- force-leave --- */

/* The reference takes any name and says nothing. The intent is spread in any case: who is meant may
 * be known to others. */
static void warn_of_odd_target(struct serf *serf, struct span name)
{
    struct member_view member;
    if (!serf_find_member(serf, name, &member))
        serf_log(serf, LOG_LEVEL_WARN,
                 "serf: force-leave of '%.*s', whom this member does not know: is the name right?",
                 SPAN_PRINT(name));
    else if (member.status == STATUS_ALIVE)
        serf_log(serf, LOG_LEVEL_WARN,
                 "serf: force-leave of '%.*s', who is alive and will refuse it: stop its agent, or "
                 "let it leave by itself",
                 SPAN_PRINT(name));
}

uint32_t serf_force_leave(struct serf *serf, uint64_t now, struct span name, bool prune)
{
    serf->swim.now = now;
    if (name.size < 1 || name.size > MEMBER_NAME_SIZE_MAX)
        return refuse(serf, "a node name has 1 to 255 bytes");
    struct command *command = command_new(serf, COMMAND_FORCE_LEAVE);
    if (!command)
        return refuse(serf, "out of memory");
    uint32_t id = command->id;
    warn_of_odd_target(serf, name);
    struct leave_intent intent = {.ltime = serf->clock, .node = name, .prune = prune};
    serf->clock++;
    handle_leave_intent(serf, &intent);
    if (!has_listeners(serf))
        command_end(serf, command, true, NULL);
    else if (!spread(serf, command, &intent))
        command_end(serf, command, false, "the intent could not be queued: out of memory");
    serf_pump(serf);
    return id;
}

/* --- tags --- */

uint32_t serf_set_tags(struct serf *serf, uint64_t now, const struct tag *tags, size_t count)
{
    serf->swim.now = now;
    /* A member that says goodbye has nothing more to say of itself. */
    if (serf->state != SERF_ALIVE)
        return refuse(serf, "Serf can't change tags after Leave or Shutdown");
    struct buffer meta;
    buffer_init(&meta, META_SIZE_MAX);
    uint32_t id;
    if (!serf_encode_tags(&meta, serf->config.protocol_version, tags, count)) {
        id = refuse(serf, "Encoded length of tags exceeds limit of 512 bytes");
    } else {
        struct command *command = command_new(serf, COMMAND_SET_TAGS);
        if (serf->tag_change) /* overtaken: its tags will never be seen */
            command_end(serf, serf->tag_change, true, NULL);
        serf->tag_change = command;
        id = command ? command->id : 0;
        if (!command ||
            !swim_update_meta(&serf->swim, buffer_span(&meta), serf->config.broadcast_timeout)) {
            if (command)
                command_end(serf, command, false, "out of memory");
            else
                id = refuse(serf, "out of memory");
        }
    }
    buffer_fini(&meta);
    serf_pump(serf);
    return id;
}

void command_updated(struct serf *serf, bool timed_out)
{
    if (serf->tag_change)
        command_end(serf, serf->tag_change, !timed_out,
                    timed_out ? "timeout waiting for update broadcast" : NULL);
}

/* --- waiting --- */

void command_broadcast_finished(struct serf *serf, const struct atom *message)
{
    uint32_t position = 0;
    struct command *command;
    /* Ended at the next turn: a queue that is being drawn from must not change. And a leaver's
     * goodbye comes a gossip interval after its intent, so that no peer sees them the other way. */
    uint64_t pause = leave_step(serf, serf->config.swim.gossip_interval, LEAVE_PARTS_PAUSE);
    while ((command = number_map_next(&serf->commands, &position)))
        if (command->message == message) {
            intern_release(serf->swim.pool, command->message);
            command->message = NULL;
            timer_set(&serf->swim.timers, &command->timer,
                      serf->swim.now + (command->kind == COMMAND_LEAVE ? pause : 0));
        }
}

void command_timer(struct serf *serf, struct timer *timer)
{
    struct command *command = (struct command *)(void *)timer;
    bool heard = command->message == NULL;
    if (command->kind == COMMAND_FORCE_LEAVE) {
        command_end(serf, command, heard, heard ? NULL : "timed out broadcasting node removal");
    } else if (command->leave_stage == LEAVE_INTENT) {
        if (!heard)
            serf_log(serf, LOG_LEVEL_WARN, "serf: timeout while waiting for graceful leave");
        leave_depart(serf, command);
    } else {
        serf->state = SERF_LEFT;
        record_clock(serf);
        command_end(serf, command, true, NULL);
    }
}

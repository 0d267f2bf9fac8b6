/* What Serf thinks of each member: the transitions of Serf specification, 3.2, and what time does
 * to those that are gone (3.5, 3.6). */
#include "serf_internal.h"

#include "duration.h"

#include <stdio.h>
#include <stdlib.h>

static const char *address_of(const struct serf *serf, uint32_t member, char *text)
{
    struct endpoint endpoint = member_endpoint(&serf->swim.table, member);
    return endpoint_address_text(&endpoint, text);
}

void serf_member_joined(struct serf *serf, uint32_t member)
{
    char address[ADDRESS_TEXT_SIZE];
    bool known = member_at(&serf->swim.table, member)->in_serf;
    member_set_status(&serf->swim.table, member, STATUS_ALIVE);
    if (!known)
        intents_apply(serf, member);
    serf_log(serf, LOG_LEVEL_INFO, "serf: EventMemberJoin: %.*s %s",
             SPAN_PRINT(member_name(&serf->swim.table, member)), address_of(serf, member, address));
    serf->metrics.joined++;
    record_member(serf, member, true);
    rejoin_forget(serf, member_name(&serf->swim.table, member));
    coalesce_event(serf, member, MEMBER_EVENT_JOIN);
}

void serf_member_departed(struct serf *serf, uint32_t member)
{
    char address[ADDRESS_TEXT_SIZE];
    const struct member_record *record = member_at(&serf->swim.table, member);
    if (!record->in_serf)
        return;
    record_member(serf, member, false);
    struct span name = member_name(&serf->swim.table, member);
    enum member_status status = (enum member_status)record->status;
    /* It said goodbye itself, and only its intent got lost: the reference would call it failed. */
    if (status == STATUS_ALIVE && record->state == NODE_LEFT)
        status = STATUS_LEAVING;
    switch (status) {
    case STATUS_LEAVING:
        serf->metrics.left++;
        member_set_status(&serf->swim.table, member, STATUS_LEFT);
        serf_log(serf, LOG_LEVEL_INFO, "serf: EventMemberLeave: %.*s %s", SPAN_PRINT(name),
                 address_of(serf, member, address));
        coalesce_event(serf, member, MEMBER_EVENT_LEAVE);
        break;
    case STATUS_ALIVE:
        serf->metrics.failed++;
        member_set_status(&serf->swim.table, member, STATUS_FAILED);
        record_failed(serf, member);
        serf_log(serf, LOG_LEVEL_INFO, "serf: EventMemberFailed: %.*s %s", SPAN_PRINT(name),
                 address_of(serf, member, address));
        coalesce_event(serf, member, MEMBER_EVENT_FAILED);
        break;
    default:
        serf_log(serf, LOG_LEVEL_WARN, "serf: Bad state when leave: %u", record->status);
    }
}

void serf_member_updated(struct serf *serf, uint32_t member)
{
    if (!member_at(&serf->swim.table, member)->in_serf)
        return;
    serf->metrics.updated++;
    serf_log(serf, LOG_LEVEL_INFO, "serf: EventMemberUpdate: %.*s",
             SPAN_PRINT(member_name(&serf->swim.table, member)));
    coalesce_event(serf, member, MEMBER_EVENT_UPDATE);
}

void serf_member_conflict(struct serf *serf, uint32_t member, const struct endpoint *other)
{
    char mine[ENDPOINT_TEXT_SIZE], theirs[ENDPOINT_TEXT_SIZE];
    struct endpoint known = member_endpoint(&serf->swim.table, member);
    endpoint_text(other, theirs);
    if (member == serf->swim.self) {
        serf_log_limited(serf, LIMITED_CONFLICT, LOG_LEVEL_ERR,
                         "serf: Node name conflicts with another node at %s. Names must be "
                         "unique! (Resolution enabled: %s)",
                         theirs, serf->config.resolve_name_conflicts ? "true" : "false");
    } else
        serf_log_limited(serf, LIMITED_CONFLICT, LOG_LEVEL_WARN,
                         "serf: Name conflict for '%.*s' both %s and %s are claiming",
                         SPAN_PRINT(member_name(&serf->swim.table, member)),
                         endpoint_text(&known, mine), theirs);
}

/* A failed member of which we now hear that it left: the time of its death stays. */
void serf_member_forced_left(struct serf *serf, uint32_t member)
{
    char address[ADDRESS_TEXT_SIZE];
    member_set_status(&serf->swim.table, member, STATUS_LEFT);
    record_member(serf, member, false);
    serf_log(serf, LOG_LEVEL_INFO, "serf: EventMemberLeave (forced): %.*s %s",
             SPAN_PRINT(member_name(&serf->swim.table, member)), address_of(serf, member, address));
    coalesce_event(serf, member, MEMBER_EVENT_LEAVE);
}

/* --- forgetting --- */

static void cancel_prune(struct serf *serf, uint32_t member)
{
    struct prune *prune = number_map_remove(&serf->prunes, member);
    if (!prune)
        return;
    timer_cancel(&serf->swim.timers, &prune->timer);
    free(prune);
}

static void erase(struct serf *serf, uint32_t member)
{
    cancel_prune(serf, member);
    position_forget(serf, member);
    coalesce_event(serf, member, MEMBER_EVENT_REAP);
    member_leave_serf(&serf->swim.table, member);
    member_free_if_unknown(&serf->swim.table, member);
}

static void prune_now(struct serf *serf, uint32_t member)
{
    char address[ADDRESS_TEXT_SIZE];
    serf_log(serf, LOG_LEVEL_INFO, "serf: EventMemberReap (forced): %.*s %s",
             SPAN_PRINT(member_name(&serf->swim.table, member)), address_of(serf, member, address));
    erase(serf, member);
}

/* A member that is only leaving gets the time to go, or to say that it stays; the reference blocks
 * all members meanwhile, and then hides one that is alive. */
void serf_prune(struct serf *serf, uint32_t member)
{
    if (member_at(&serf->swim.table, member)->status != STATUS_LEAVING) {
        prune_now(serf, member);
        return;
    }
    if (number_map_find(&serf->prunes, member))
        return;
    if (serf->prunes.count >= PRUNES_MAX)
        serf_log_limited(serf, LIMITED_LIMIT, LOG_LEVEL_WARN,
                         "serf: Not pruning '%.*s': %u members wait to be pruned, the limit",
                         SPAN_PRINT(member_name(&serf->swim.table, member)), serf->prunes.count);
    struct prune *prune = serf->prunes.count < PRUNES_MAX ? calloc(1, sizeof *prune) : NULL;
    if (!prune || !timer_heap_reserve(&serf->swim.timers, 1) ||
        !number_map_insert(&serf->prunes, member, prune)) {
        free(prune);
        return;
    }
    prune->timer.kind = TIMER_PRUNE;
    prune->member = member;
    timer_set(&serf->swim.timers, &prune->timer,
              serf->swim.now + serf->config.broadcast_timeout + serf->config.leave_propagate_delay);
}

void serf_prune_timer(struct serf *serf, struct timer *timer)
{
    uint32_t member = ((struct prune *)(void *)timer)->member;
    cancel_prune(serf, member);
    const struct member_record *record = member_at(&serf->swim.table, member);
    if (record->status == STATUS_LEFT || record->status == STATUS_FAILED)
        prune_now(serf, member);
    else if (record->status == STATUS_LEAVING)
        serf_prune(serf, member); /* its death has yet to be noticed */
}

void serf_free_prunes(struct serf *serf)
{
    uint32_t position = 0;
    struct prune *prune;
    while ((prune = number_map_next(&serf->prunes, &position)))
        free(prune);
    number_map_fini(&serf->prunes);
}

/* What the list's timeout is to this member: its own word, where tags may say so. */
static uint64_t timeout_of(struct serf *serf, uint32_t member, uint64_t timeout)
{
    if (!serf->timeout_tag)
        return timeout;
    struct tag_reader reader;
    struct span key, value;
    char text[64];
    int64_t own;
    if (!tag_reader_open(&reader, identity_meta(member_identity(&serf->swim.table, member))))
        return timeout;
    while (tag_reader_next(&reader, &key, &value)) {
        if (!span_equal(key, atom_span(serf->timeout_tag)))
            continue;
        bool fits = value.size < sizeof text &&
                    !memchr(value.data ? (const char *)value.data : "", '\0', value.size);
        if (fits)
            snprintf(text, sizeof text, "%.*s", SPAN_PRINT(value));
        if (fits && duration_parse(text, &own) && own >= 0)
            return (uint64_t)own;
        serf_log_limited(serf, LIMITED_MEMBER, LOG_LEVEL_WARN,
                         "serf: The tag '%.*s' of '%.*s' is no duration such as 10m: it is "
                         "remembered as long as others are",
                         SPAN_PRINT(key), SPAN_PRINT(member_name(&serf->swim.table, member)));
        break;
    }
    return timeout;
}

static bool is_overdue(struct serf *serf, uint32_t member)
{
    const struct member_record *record = member_at(&serf->swim.table, member);
    if (!record->identity || !record->in_serf || member == serf->swim.self)
        return false;
    if (record->status == STATUS_FAILED)
        return swim_age(&serf->swim, member) >
               timeout_of(serf, member, serf->config.reconnect_timeout);
    if (record->status == STATUS_LEFT)
        return swim_age(&serf->swim, member) >
               timeout_of(serf, member, serf->config.tombstone_timeout);
    return false;
}

void serf_reap(struct serf *serf)
{
    const struct member_table *table = &serf->swim.table;
    if (table->status_count[STATUS_FAILED] + table->status_count[STATUS_LEFT] == 0)
        return;
    for (uint32_t member = 0; member < table->slot_count; member++) {
        if (!is_overdue(serf, member))
            continue;
        serf_log(serf, LOG_LEVEL_INFO, "serf: EventMemberReap: %.*s",
                 SPAN_PRINT(member_name(table, member)));
        if (member_at(table, member)->status == STATUS_FAILED)
            record_member(serf, member, false);
        erase(serf, member);
    }
}

/* --- reconnecting --- */

static bool is_failed(const void *context, uint32_t member)
{
    const struct serf *serf = context;
    const struct member_record *record = member_at(&serf->swim.table, member);
    return record->in_serf && record->status == STATUS_FAILED;
}

static void reconnect_to(struct serf *serf, struct span name, const struct endpoint *to)
{
    char text[ENDPOINT_TEXT_SIZE];
    serf_log(serf, LOG_LEVEL_INFO, "serf: attempting reconnect to %.*s %s", SPAN_PRINT(name),
             endpoint_text(to, text));
    inquire(serf, INQUIRY_RECONNECT, name, to, 0);
}

/* Every member tries now and then, so that all together try each failed member about once an
 * interval, however many they are. Those that are remembered from before a restart, and have not
 * been heard of, count as failed. */
void serf_reconnect(struct serf *serf)
{
    const struct member_table *table = &serf->swim.table;
    uint32_t failed = table->status_count[STATUS_FAILED];
    uint32_t wanted = failed + rejoin_lost_count(serf);
    if (wanted == 0 || serf->state != SERF_ALIVE)
        return;
    uint32_t others = table->serf_count - failed - table->status_count[STATUS_LEFT];
    double probability = (double)wanted / (double)(others > 1 ? others : 1);
    if (random_unit(&serf->swim.random) > probability) {
        serf_log(serf, LOG_LEVEL_DEBUG, "serf: forgoing reconnect for random throttling");
        return;
    }
    uint32_t drawn = wanted > failed ? (uint32_t)random_below(&serf->swim.random, wanted) : 0;
    uint32_t member;
    if (failed == 0 || drawn >= failed) {
        const struct snapshot_peer *peer = rejoin_pick(serf, drawn - failed);
        reconnect_to(serf, atom_span(peer->name), &peer->endpoint);
    } else if (member_table_pick(table, &serf->swim.random, 1, &member, is_failed, serf) > 0) {
        struct endpoint to = member_endpoint(table, member);
        reconnect_to(serf, member_name(table, member), &to);
    }
}

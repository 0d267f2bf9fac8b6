/* What a message about a member changes: the transitions of memberlist specification, 7.7, with the
 * checks of its section 11 in front. Every message is checked whole before anything is changed. */
#include "swim_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct span swim_own_name(const struct swim *swim)
{
    return member_name(&swim->table, swim->self);
}

bool swim_is_self(const struct swim *swim, struct span name)
{
    return span_equal(name, swim_own_name(swim));
}

static void emit(struct swim *swim, enum effect_kind kind, uint32_t member)
{
    struct effect *effect = outbox_add(&swim->outbox, kind);
    if (effect)
        effect->swim_member.member = member;
}

/* Reports that a change of one member may need; asked for before anything is changed. */
enum { REPORTS_OF_A_CHANGE = 4 };

static bool may_report(struct swim *swim)
{
    return outbox_reserve(&swim->outbox, REPORTS_OF_A_CHANGE);
}

static uint32_t if_known(const struct swim *swim, uint32_t member)
{
    return member != MEMBER_NONE && member_at(&swim->table, member)->in_swim ? member : MEMBER_NONE;
}

static uint32_t find_known(const struct swim *swim, struct span name)
{
    return if_known(swim, member_table_find(&swim->table, name));
}

static void enter_state(struct swim *swim, uint32_t member, enum node_state state)
{
    member_set_state(&swim->table, member, state);
    member_at(&swim->table, member)->changed = swim_coarse_time(swim);
}

bool swim_start_self(struct swim *swim, struct span name, struct span meta)
{
    const struct swim_config *config = &swim->config;
    uint8_t address[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    size_t size = config->advertise.address_size;
    bool mapped = config->advertise_mapped && size == 4;
    memcpy(mapped ? address + 12 : address, config->advertise.address, size);
    struct atom *identity =
        identity_intern(swim->pool, name, span_make(address, mapped ? 16 : size),
                        config->advertise.port, meta, config->versions);
    if (!identity)
        return false;
    swim->self = member_table_add(&swim->table, identity);
    if (swim->self == MEMBER_NONE) {
        intern_release(swim->pool, identity);
        return false;
    }
    member_at(&swim->table, swim->self)->incarnation = ++swim->incarnation;
    enter_state(swim, swim->self, NODE_ALIVE);
    swim_queue_broadcast(swim, swim->self, BROADCAST_ARRIVAL, SPAN_EMPTY, false);
    swim->metrics.alive++;
    emit(swim, EFFECT_SWIM_JOIN, swim->self);
    return true;
}

/* --- suspicion --- */

static void cancel_suspicion(struct swim *swim, uint32_t member)
{
    struct suspicion *suspicion = number_map_remove(&swim->suspicions, member);
    if (!suspicion)
        return;
    timer_cancel(&swim->timers, &suspicion->timer);
    member_at(&swim->table, member)->suspected = 0;
    suspicion_free(suspicion, swim->pool);
}

void swim_free_suspicions(struct swim *swim)
{
    uint32_t position = 0;
    struct suspicion *suspicion;
    while ((suspicion = number_map_next(&swim->suspicions, &position)))
        suspicion_free(suspicion, swim->pool);
    number_map_fini(&swim->suspicions);
}

/* A moment before the end the suspect is told by ourselves: it may have refuted long ago, and
 * gossip have missed us, which it does about once in ten thousand times. */
static void set_end(struct swim *swim, struct suspicion *suspicion, uint64_t ends)
{
    uint64_t ahead = suspicion->told ? 0 : swim->config.probe_timeout;
    suspicion->ends = ends;
    timer_set(&swim->timers, &suspicion->timer, ends > ahead ? ends - ahead : 0);
}

static bool start_suspicion(struct swim *swim, uint32_t member, struct span from)
{
    struct suspicion *suspicion = calloc(1, sizeof *suspicion);
    struct atom *accuser = intern(swim->pool, from);
    if (!suspicion || !accuser || !timer_heap_reserve(&swim->timers, 1) ||
        !number_map_insert(&swim->suspicions, member, suspicion)) {
        intern_release(swim->pool, accuser);
        free(suspicion);
        return false;
    }
    const struct swim_config *config = &swim->config;
    uint32_t members = swim->table.swim_count;
    suspicion->timer.kind = TIMER_SUSPICION;
    suspicion->member = member;
    suspicion->accusers[0] = accuser;
    suspicion->started = swim->now;
    suspicion->wanted = suspicion_wanted(config->suspicion_mult, members);
    suspicion->minimum = suspicion_minimum(config->suspicion_mult, members, config->probe_interval);
    suspicion->maximum = suspicion->minimum * config->suspicion_max_timeout_mult;
    member_at(&swim->table, member)->suspected = 1;
    set_end(swim, suspicion,
            swim->now + (suspicion->wanted ? suspicion->maximum : suspicion->minimum));
    return true;
}

static void confirm_suspicion(struct swim *swim, const struct suspect_message *suspect,
                              struct suspicion *suspicion)
{
    struct atom *from = intern(swim->pool, suspect->from);
    if (!from)
        return;
    if (suspicion_confirm(suspicion, from)) {
        uint64_t timeout = suspicion_timeout(suspicion->confirmations, suspicion->wanted,
                                             suspicion->minimum, suspicion->maximum);
        set_end(swim, suspicion, suspicion->started + timeout);
        /* It is passed on as it came; who knows a later life would ignore an earlier one. */
        member_at(&swim->table, suspicion->member)->incarnation = suspect->incarnation;
        swim_queue_broadcast(swim, suspicion->member, BROADCAST_SUSPECT, suspect->from, false);
    }
    intern_release(swim->pool, from);
}

static void tell_suspect(struct swim *swim, struct suspicion *suspicion)
{
    uint32_t member = suspicion->member;
    struct suspect_message suspect = {.incarnation = member_at(&swim->table, member)->incarnation,
                                      .node = member_name(&swim->table, member),
                                      .from = swim_own_name(swim)};
    struct endpoint to = member_endpoint(&swim->table, member);
    uint64_t answered = swim->now + swim->config.probe_timeout;
    suspicion->told = true;
    if (swim_begin_datagram(swim, MESSAGE_SUSPECT, &suspect_structure, &suspect))
        swim_send(swim, &to, swim_wants_checksum(swim, member));
    /* A late accuser, or a process that stood still, may have left it no time. */
    set_end(swim, suspicion, suspicion->ends > answered ? suspicion->ends : answered);
}

void swim_suspicion_expired(struct swim *swim, struct suspicion *suspicion)
{
    uint32_t member = suspicion->member;
    uint32_t confirmations = suspicion->confirmations;
    if (!may_report(swim)) {
        timer_set(&swim->timers, &suspicion->timer, swim->now + NANOSECONDS_PER_S);
        return;
    }
    if (!suspicion->told) {
        tell_suspect(swim, suspicion);
        return;
    }
    swim->metrics.degraded_timeouts += confirmations < suspicion->wanted;
    cancel_suspicion(swim, member);
    struct span name = member_name(&swim->table, member);
    swim_log(swim, LOG_LEVEL_INFO,
             "memberlist: Marking %.*s as failed, suspect timeout reached (%u peer confirmations)",
             SPAN_PRINT(name), confirmations);
    struct suspect_message dead = {.incarnation = member_at(&swim->table, member)->incarnation,
                                   .node = name,
                                   .from = swim_own_name(swim)};
    swim_apply_dead(swim, &dead);
}

/* --- refuting --- */

void swim_next_incarnation(struct swim *swim, uint32_t than)
{
    uint32_t last = than > swim->incarnation ? than : swim->incarnation;
    swim->incarnation = last < UINT32_MAX ? last + 1 : last;
    member_at(&swim->table, swim->self)->incarnation = swim->incarnation;
}

static void refute(struct swim *swim, uint32_t accused)
{
    swim_next_incarnation(swim, accused);
    swim_change_health(swim, 1);
    swim_queue_broadcast(swim, swim->self, BROADCAST_ALIVE, SPAN_EMPTY, false);
}

struct alive_message swim_own_alive(const struct swim *swim)
{
    const struct identity *own = member_identity(&swim->table, swim->self);
    return (struct alive_message){
        .incarnation = swim->incarnation,
        .node = identity_name(own),
        .address = identity_address(own),
        .port = own->port,
        .meta = identity_meta(own),
        .versions = span_make(own->versions, VERSIONS_SIZE),
    };
}

void swim_answer_accuser(struct swim *swim, const struct endpoint *at,
                         const struct suspect_message *accusation)
{
    uint32_t accuser = find_known(swim, accusation->from);
    if (accuser == MEMBER_NONE || accuser == swim->self || swim->leaving || swim_is_moving(swim) ||
        !span_equal(accusation->node, swim_own_name(swim)) ||
        accusation->incarnation >= swim->incarnation)
        return;
    struct endpoint held = member_endpoint(&swim->table, accuser);
    if (!endpoint_equal(at, &held))
        return;
    if (!swim_may_answer(swim, &swim->answers_to_accusers, ACCUSERS_ANSWERED_MAX)) {
        swim_log_limited(swim, LIMITED_LIMIT, LOG_LEVEL_WARN,
                         "memberlist: Not answering %.*s, which accuses us: %u such answers in a "
                         "second are the limit",
                         SPAN_PRINT(accusation->from), (unsigned)ACCUSERS_ANSWERED_MAX);
        return;
    }
    struct alive_message alive = swim_own_alive(swim);
    if (swim_begin_datagram(swim, MESSAGE_ALIVE, &alive_structure, &alive))
        swim_send(swim, at, swim_wants_checksum(swim, accuser));
}

bool swim_believes(struct swim *swim, struct span name, uint32_t incarnation, bool accusation)
{
    uint32_t limit = accusation ? INCARNATION_ACCUSED_MAX : INCARNATION_ALIVE_MAX;
    if (incarnation <= limit)
        return true;
    uint32_t member = find_known(swim, name);
    uint32_t known = member == MEMBER_NONE ? 0 : member_at(&swim->table, member)->incarnation;
    if (member == swim->self ? incarnation <= UINT32_MAX - INCARNATION_JUMP_MAX
                             : incarnation <= (uint64_t)known + INCARNATION_JUMP_MAX)
        return true;
    swim_log_limited(swim, LIMITED_MEMBER, LOG_LEVEL_WARN,
                     "memberlist: Ignoring a message about '%.*s': its incarnation %u is far above "
                     "the %u that is known, and could not be refuted",
                     SPAN_PRINT(name), incarnation, known);
    return false;
}

/* --- alive --- */

static bool alive_is_valid(struct swim *swim, const struct alive_message *alive,
                           struct endpoint *endpoint)
{
    const char *wrong = NULL;
    if (alive->node.size < 1 || alive->node.size > MEMBER_NAME_SIZE_MAX)
        wrong = "its name must have 1 to 255 bytes";
    else if (!endpoint_from_bytes(endpoint, alive->address, alive->port))
        wrong = "its address must have 4 or 16 bytes";
    else if (alive->meta.size > META_SIZE_MAX)
        wrong = "its metadata is longer than 512 bytes";
    else if (alive->incarnation == 0)
        wrong = "incarnation 0 is never sent by a member";
    if (!wrong)
        return swim_believes(swim, alive->node, alive->incarnation, false);
    struct span shown = alive->node.size > 64 ? span_make(alive->node.data, 64) : alive->node;
    swim_log_limited(swim, LIMITED_MEMBER, LOG_LEVEL_WARN,
                     "memberlist: Ignoring an alive message about '%.*s': %s", SPAN_PRINT(shown),
                     wrong);
    return false;
}

static bool versions_are_sane(struct swim *swim, const struct alive_message *alive,
                              const struct endpoint *endpoint)
{
    if (alive->versions.size < 3)
        return true;
    const uint8_t *v = alive->versions.data;
    if (v[0] != 0 && v[1] != 0 && v[0] <= v[1])
        return true;
    char text[ENDPOINT_TEXT_SIZE];
    swim_log_limited(swim, LIMITED_MEMBER, LOG_LEVEL_WARN,
                     "memberlist: Ignoring an alive message for '%.*s' (%s) because protocol "
                     "version(s) are wrong: %u <= %u <= %u should be >0",
                     SPAN_PRINT(alive->node), endpoint_text(endpoint, text), v[0], v[2], v[1]);
    return false;
}

/* A name that was never heard of, or only by the Serf layer: it enters as dead with incarnation 0,
 * and what follows brings it to life. */
static uint32_t add_unknown(struct swim *swim, const struct alive_message *alive)
{
    if (alive->versions.size < VERSIONS_SIZE) {
        swim_log_limited(swim, LIMITED_MEMBER, LOG_LEVEL_WARN,
                         "memberlist: Ignoring an alive message for the new member '%.*s': its six "
                         "version bytes are missing",
                         SPAN_PRINT(alive->node));
        return MEMBER_NONE;
    }
    uint32_t member = member_table_find(&swim->table, alive->node);
    if (member == MEMBER_NONE) {
        struct atom *identity = identity_intern(swim->pool, alive->node, alive->address,
                                                alive->port, alive->meta, alive->versions.data);
        member = identity ? member_table_add(&swim->table, identity) : MEMBER_NONE;
        if (member == MEMBER_NONE) {
            intern_release(swim->pool, identity);
            swim_log_limited(swim, LIMITED_LIMIT, LOG_LEVEL_ERR,
                             "memberlist: No room for the member '%.*s': %u are known, the limit "
                             "is %u",
                             SPAN_PRINT(alive->node), swim->table.record_count,
                             swim->table.maximum);
            return MEMBER_NONE;
        }
    }
    enter_state(swim, member, NODE_DEAD);
    return member;
}

/* A known name at another address. True when the member may move there. */
static bool may_move(struct swim *swim, uint32_t member, const struct endpoint *from,
                     const struct endpoint *to)
{
    const struct member_record *record = member_at(&swim->table, member);
    uint64_t reclaim = swim->config.dead_node_reclaim_time;
    char old_text[ENDPOINT_TEXT_SIZE], new_text[ENDPOINT_TEXT_SIZE];
    struct span name = member_name(&swim->table, member);
    endpoint_text(from, old_text);
    endpoint_text(to, new_text);
    if (record->state == NODE_LEFT ||
        (record->state == NODE_DEAD && reclaim > 0 && swim_age(swim, member) > reclaim)) {
        swim_log(swim, LOG_LEVEL_INFO,
                 "memberlist: Updating address for left or failed node %.*s from %s to %s",
                 SPAN_PRINT(name), old_text, new_text);
        return true;
    }
    swim_log_limited(swim, LIMITED_CONFLICT, LOG_LEVEL_ERR,
                     "memberlist: Conflicting address for %.*s. Mine: %s Theirs: %s Old state: %u",
                     SPAN_PRINT(name), old_text, new_text, record->state);
    struct effect *effect = outbox_add(&swim->outbox, EFFECT_SWIM_CONFLICT);
    if (effect) {
        effect->conflict.member = member;
        effect->conflict.other = *to;
    }
    return false;
}

/* "[1 5 2]", as the log of the reference shows bytes; cut to fit. */
static const char *bytes_text(struct span bytes, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (size_t i = 0; i < bytes.size && used + 6 < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%u", i ? " " : "", bytes.data[i]);
    snprintf(text + used, size - used, "]");
    return text;
}

static void alive_about_self(struct swim *swim, const struct alive_message *alive,
                             const struct endpoint *endpoint)
{
    const struct identity *own = member_identity(&swim->table, swim->self);
    if (alive->incarnation < member_at(&swim->table, swim->self)->incarnation)
        return;
    if (alive->incarnation == member_at(&swim->table, swim->self)->incarnation &&
        span_equal(alive->meta, identity_meta(own)) &&
        span_equal(alive->versions, span_make(own->versions, VERSIONS_SIZE)))
        return;
    char where[ENDPOINT_TEXT_SIZE], meta[128], own_meta[128], versions[32], own_versions[32];
    swim_log_limited(
        swim, LIMITED_MEMBER, LOG_LEVEL_WARN,
        "memberlist: Refuting an alive message for '%.*s' (%s) meta:(%s VS %s), "
        "vsn:(%s VS %s)",
        SPAN_PRINT(alive->node), endpoint_text(endpoint, where),
        bytes_text(alive->meta, meta, sizeof meta),
        bytes_text(identity_meta(own), own_meta, sizeof own_meta),
        bytes_text(alive->versions, versions, sizeof versions),
        bytes_text(span_make(own->versions, VERSIONS_SIZE), own_versions, sizeof own_versions));
    refute(swim, alive->incarnation);
}

/* The message is news about another member: take it over. */
static void accept_alive(struct swim *swim, uint32_t member, const struct alive_message *alive,
                         bool tell)
{
    struct member_record *record = member_at(&swim->table, member);
    const uint8_t *versions = alive->versions.size >= VERSIONS_SIZE
                                  ? alive->versions.data
                                  : identity_of(record->identity)->versions;
    struct atom *identity = identity_intern(swim->pool, alive->node, alive->address, alive->port,
                                            alive->meta, versions);
    if (!identity)
        return;
    bool meta_changed = !span_equal(alive->meta, identity_meta(identity_of(record->identity)));
    cancel_suspicion(swim, member);
    member_table_set_identity(&swim->table, member, identity);
    enum node_state before = record->state;
    swim->metrics.alive++;
    swim->metrics.flapped +=
        before == NODE_DEAD && record->incarnation > 0 && swim_age(swim, member) < FLAP_TIMEOUT_NS;
    record->incarnation = alive->incarnation;
    if (before != NODE_ALIVE)
        enter_state(swim, member, NODE_ALIVE);
    bool grew = before == NODE_DEAD || before == NODE_LEFT;
    if (grew)
        swim_view_grew(swim);
    if (tell)
        swim_queue_broadcast(swim, member, grew ? BROADCAST_ARRIVAL : BROADCAST_ALIVE, SPAN_EMPTY,
                             false);
    else
        swim_cancel_broadcast(swim, member);
    if (grew) {
        emit(swim, EFFECT_SWIM_JOIN, member);
    } else if (meta_changed) {
        emit(swim, EFFECT_SWIM_UPDATE, member);
    }
}

void swim_apply_alive(struct swim *swim, const struct alive_message *alive, uint32_t hash,
                      bool tell)
{
    struct endpoint endpoint;
    uint32_t member = if_known(swim, member_table_find_hashed(&swim->table, alive->node, hash));
    bool self = member == swim->self;
    if ((self && swim->leaving) || !may_report(swim))
        return;
    if (!alive_is_valid(swim, alive, &endpoint) || !versions_are_sane(swim, alive, &endpoint))
        return;
    bool moves = false;
    if (member == MEMBER_NONE) {
        member = add_unknown(swim, alive);
        if (member == MEMBER_NONE)
            return;
    } else {
        struct endpoint known = member_endpoint(&swim->table, member);
        if (!endpoint_equal(&known, &endpoint)) {
            if (!may_move(swim, member, &known, &endpoint)) {
                if (self)
                    swim_held_elsewhere(swim, alive->address, alive->port, alive->incarnation);
                else
                    swim_claimed(swim, member, alive);
                return;
            }
            moves = true;
        }
    }
    if (self)
        alive_about_self(swim, alive, &endpoint);
    else if (moves || alive->incarnation > member_at(&swim->table, member)->incarnation)
        accept_alive(swim, member, alive, tell);
}

void swim_grant_claim(struct swim *swim, uint32_t member, const struct atom *atom,
                      uint32_t incarnation)
{
    const struct identity *identity = identity_of(atom);
    char from[ENDPOINT_TEXT_SIZE], to[ENDPOINT_TEXT_SIZE];
    struct endpoint held = member_endpoint(&swim->table, member);
    struct endpoint claimed = identity_endpoint(identity);
    /* Above all that is still said of its former life. It will say that it is alive itself. */
    uint32_t former = member_at(&swim->table, member)->incarnation;
    struct alive_message alive = {
        .incarnation = incarnation > former || former == UINT32_MAX ? incarnation : former + 1,
        .node = identity_name(identity),
        .address = identity_address(identity),
        .port = identity->port,
        .meta = identity_meta(identity),
        .versions = span_make(identity->versions, VERSIONS_SIZE),
    };
    swim_log(swim, LOG_LEVEL_INFO,
             "memberlist: nobody answers to the name %.*s at %s: it has moved to %s",
             SPAN_PRINT(alive.node), endpoint_text(&held, from), endpoint_text(&claimed, to));
    accept_alive(swim, member, &alive, true);
}

/* --- suspect and dead --- */

void swim_apply_suspect(struct swim *swim, const struct suspect_message *suspect)
{
    uint32_t member = find_known(swim, suspect->node);
    if (member == MEMBER_NONE || !may_report(swim))
        return;
    struct member_record *record = member_at(&swim->table, member);
    if (suspect->incarnation < record->incarnation || suspect->from.size > MEMBER_NAME_SIZE_MAX)
        return;
    if (record->suspected) {
        confirm_suspicion(swim, suspect, number_map_find(&swim->suspicions, member));
        return;
    }
    if (record->state != NODE_ALIVE)
        return;
    if (member == swim->self) {
        swim_log_limited(swim, LIMITED_MEMBER, LOG_LEVEL_WARN,
                         "memberlist: Refuting a suspect message (from: %.*s)",
                         SPAN_PRINT(suspect->from));
        refute(swim, suspect->incarnation);
        return;
    }
    if (!start_suspicion(swim, member, suspect->from))
        return;
    swim->metrics.suspect++;
    record->incarnation = suspect->incarnation;
    enter_state(swim, member, NODE_SUSPECT);
    swim_queue_broadcast(swim, member, BROADCAST_SUSPECT, suspect->from, false);
}

void swim_apply_dead(struct swim *swim, const struct suspect_message *dead)
{
    uint32_t member = find_known(swim, dead->node);
    if (member == MEMBER_NONE || !may_report(swim))
        return;
    struct member_record *record = member_at(&swim->table, member);
    if (dead->incarnation < record->incarnation || dead->from.size > MEMBER_NAME_SIZE_MAX)
        return;
    if (record->state == NODE_DEAD || record->state == NODE_LEFT)
        return;
    if (member == swim->self && !swim->leaving) {
        swim_log_limited(swim, LIMITED_MEMBER, LOG_LEVEL_WARN,
                         "memberlist: Refuting a dead message (from: %.*s)",
                         SPAN_PRINT(dead->from));
        refute(swim, dead->incarnation);
        return;
    }
    cancel_suspicion(swim, member);
    swim->metrics.dead++;
    record->incarnation = dead->incarnation;
    enter_state(swim, member, span_equal(dead->node, dead->from) ? NODE_LEFT : NODE_DEAD);
    swim_queue_broadcast(swim, member, BROADCAST_DEAD, dead->from, member == swim->self);
    emit(swim, EFFECT_SWIM_LEAVE, member);
}

/* --- forgetting --- */

/* Forgets members that have been dead for long enough that no gossip about them is under way. The
 * Serf layer may still remember them. */
void swim_reap(struct swim *swim)
{
    for (uint32_t member = 0; member < swim->table.slot_count; member++) {
        const struct member_record *record = member_at(&swim->table, member);
        if (!record->identity || !record->in_swim || member == swim->self)
            continue;
        if (record->state != NODE_DEAD && record->state != NODE_LEFT)
            continue;
        if (swim_age(swim, member) <= swim->config.gossip_to_the_dead_time)
            continue;
        if (record->broadcast != BROADCAST_NONE) {
            if (swim_other_live_count(swim) > 0)
                continue; /* somebody has yet to hear of it */
            swim_cancel_broadcast(swim, member);
        }
        member_leave_swim(&swim->table, member);
        member_free_if_unknown(&swim->table, member);
    }
}

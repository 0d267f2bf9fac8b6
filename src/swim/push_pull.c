/* Push/pull: two members show each other everything they know (memberlist specification, 3.4, 6.2
 * and 7.8).
 *
 * A received state is kept as the bytes that came, verified whole, and then merged a slice at a
 * time, so that a state of a hundred thousand members does not hold up the packets. The answer goes
 * out before anything is merged.
 *
 * A member may be led back to itself, by a service address or by a seed list that names it. It
 * recognises that by what arrives: a request whose bytes are those of a request that it has just
 * sent. */
#include "sync.h"

#include "logarithm.h"

/* --- our own state --- */

static void write_node(const struct swim *swim, uint32_t member, struct buffer *out)
{
    const struct member_record *record = member_at(&swim->table, member);
    const struct identity *identity = identity_of(record->identity);
    struct push_node_state node = {
        .name = identity_name(identity),
        .address = identity_address(identity),
        .port = identity->port,
        .meta = identity_meta(identity),
        .incarnation = record->incarnation,
        .state = record->state,
        .versions = span_make(identity->versions, VERSIONS_SIZE),
    };
    msgpack_write_structure(out, &push_node_state_structure, MSGPACK_GOSSIP, &node);
}

/* Appends the whole push/pull message: ourselves first, then everybody else. */
static bool write_state(struct swim *swim, bool join, struct buffer *out)
{
    struct buffer user_state;
    buffer_init(&user_state, PUSH_PULL_STATE_MAX);
    swim->hooks.local_state(swim->hooks.context, join, &user_state);
    struct push_pull_header header = {
        .nodes = swim->table.swim_count, .user_state_size = (int64_t)user_state.size, .join = join};
    message_write(out, MESSAGE_PUSH_PULL, &push_pull_header_structure, &header);
    write_node(swim, swim->self, out);
    for (uint32_t member = 0; member < swim->table.slot_count; member++) {
        const struct member_record *record = member_at(&swim->table, member);
        if (record->identity && record->in_swim && member != swim->self)
            write_node(swim, member, out);
    }
    buffer_append_span(out, buffer_span(&user_state));
    bool complete = !out->failed && !user_state.failed;
    buffer_fini(&user_state);
    return complete;
}

bool push_pull_send(struct swim *swim, struct sync *sync, bool join)
{
    struct buffer message;
    buffer_init(&message, OUTBOX_BYTES_MAX);
    sync->sent_alone = swim_other_live_count(swim) == 0;
    bool sent = write_state(swim, join, &message);
    if (sent && join)
        sync->sent_hash = siphash(&swim->pool->key, buffer_span(&message));
    sent = sent && sync_send(swim, sync, buffer_span(&message));
    buffer_fini(&message);
    timer_set(&swim->timers, &sync->timer, swim->now + swim->config.tcp_timeout);
    return sent;
}

/* --- merging --- */

static void finish_merge(struct swim *swim, struct sync *sync)
{
    struct span state = push_pull_user_state(&sync->merge.nodes);
    if (state.size > 0) {
        struct effect *effect = outbox_add(&swim->outbox, EFFECT_SWIM_REMOTE_STATE);
        if (effect) {
            effect->payload.join = sync->merge.join;
            if (!outbox_copy(&swim->outbox, &effect->payload.bytes, state))
                outbox_drop_last(&swim->outbox);
        }
    }
    if (sync->kind == SYNC_JOIN)
        sync_report_join(swim, sync, true, NULL);
    sync_free(swim, sync);
}

/* The words for a merge that is refused, which both sides may see. */
static void refuse_merge(struct swim *swim, struct sync *sync, const char *error)
{
    char text[FROM_TEXT_SIZE];
    if (sync->kind == SYNC_INCOMING) {
        swim_log_limited(swim, LIMITED_STREAM, LOG_LEVEL_ERR,
                         "memberlist: Failed push/pull merge: %s %s", error,
                         swim_from_text(&sync->remote, text));
        sync_free(swim, sync);
    } else {
        sync_fail(swim, sync, error, false);
    }
}

static bool is_live(int64_t state)
{
    return state == NODE_ALIVE || state == NODE_SUSPECT;
}

/* What is said of a member that lives at another address than the one it is known at: it is about
 * an earlier life, or about somebody else of that name. */
static bool is_about_another_life(const struct swim *swim, const struct push_node_state *node)
{
    uint32_t member = member_table_find(&swim->table, node->name);
    struct endpoint known, named;
    if (member == MEMBER_NONE || !member_at(&swim->table, member)->in_swim ||
        !is_live(member_at(&swim->table, member)->state) ||
        !endpoint_from_bytes(&named, node->address,
                             node->port ? node->port : swim->config.bind_port))
        return false;
    known = member_endpoint(&swim->table, member);
    return !endpoint_equal(&known, &named);
}

/* Whoever knew nobody has nobody to tell: all that it could tell are those it has just heard of,
 * and they know. Only the first of a state are told on as if they were news, which some of them are
 * where many start at once. Else a newcomer would repeat the whole of a large cluster to it. */
static bool is_told_on(const struct sync *sync)
{
    return !sync->sent_alone || sync->merge.members <= FIRST_STATE_TOLD;
}

static void merge_node(struct swim *swim, const struct sync *sync,
                       const struct push_node_state *node, uint32_t hash)
{
    struct suspect_message departed = {.incarnation = node->incarnation, .node = node->name};
    switch (node->state) {
    case NODE_ALIVE: {
        struct alive_message alive = {
            .incarnation = node->incarnation,
            .node = node->name,
            .address = node->address,
            .port = node->port ? node->port : swim->config.bind_port,
            .meta = node->meta,
            .versions = node->versions,
        };
        swim_apply_alive(swim, &alive, hash, is_told_on(sync));
        break;
    }
    case NODE_LEFT:
        departed.from = node->name;
        if (!is_about_another_life(swim, node) &&
            swim_believes(swim, departed.node, departed.incarnation, true))
            swim_apply_dead(swim, &departed);
        break;
    case NODE_SUSPECT:
    case NODE_DEAD:
        if (swim_is_self(swim, node->name) &&
            swim_believes(swim, node->name, node->incarnation, true))
            swim_held_elsewhere(swim, node->address,
                                node->port ? node->port : swim->config.bind_port,
                                node->incarnation);
        /* Never dead at once: it gets the chance to refute. */
        departed.from = swim_own_name(swim);
        if ((swim_is_self(swim, node->name) || !is_about_another_life(swim, node)) &&
            swim_believes(swim, departed.node, departed.incarnation, true))
            swim_apply_suspect(swim, &departed);
        break;
    default:
        break;
    }
}

/* Whether our own members can speak with what the remote state admits. */
static bool local_members_fit(struct swim *swim, const struct version_range *range,
                              struct buffer *error)
{
    for (uint32_t member = 0; member < swim->table.slot_count; member++) {
        const struct member_record *record = member_at(&swim->table, member);
        if (!record->identity || !record->in_swim || !is_live(record->state))
            continue;
        const struct identity *identity = identity_of(record->identity);
        if (!version_range_admits(range, identity_name(identity),
                                  span_make(identity->versions, VERSIONS_SIZE), error))
            return false;
    }
    return true;
}

/* Those that are dead or have left speak to nobody: their versions block no merge. */
static void survey(struct merge *merge, int64_t state, struct span versions)
{
    if (state == NODE_ALIVE)
        version_range_narrow(&merge->understood, versions);
    if (is_live(state))
        version_range_widen(&merge->spoken, versions);
}

static void survey_local_members(struct swim *swim, struct merge *merge)
{
    for (uint32_t member = 0; member < swim->table.slot_count; member++) {
        const struct member_record *record = member_at(&swim->table, member);
        if (record->identity && record->in_swim)
            survey(merge, record->state,
                   span_make(identity_of(record->identity)->versions, VERSIONS_SIZE));
    }
}

/* Goes on to the next stage, or ends the merge. False when the stream is gone. */
static bool next_merge_stage(struct swim *swim, struct sync *sync)
{
    struct merge *merge = &sync->merge;
    switch (merge->stage) {
    case MERGE_SURVEY:
        survey_local_members(swim, merge);
        if (version_range_holds(&merge->understood, &merge->spoken)) {
            merge->stage = MERGE_APPLY;
            break;
        }
        buffer_reset(&swim->scratch);
        if (!local_members_fit(swim, &merge->understood, &swim->scratch)) {
            refuse_merge(swim, sync, buffer_text(&swim->scratch));
            return false;
        }
        merge->stage = MERGE_BLAME;
        break;
    case MERGE_BLAME:
        merge->stage = MERGE_APPLY;
        break;
    case MERGE_APPLY:
        finish_merge(swim, sync);
        return false;
    }
    push_pull_open(&merge->nodes, stream_reader_message(&sync->reader));
    return true;
}

/* Merges what was read. A look-up reads memory that no cache holds: these overlap. */
static void merge_nodes(struct swim *swim, struct sync *sync, const struct push_node_state *nodes,
                        uint32_t count)
{
    uint32_t hashes[MERGE_AHEAD];
    for (uint32_t i = 0; i < count; i++)
        hashes[i] = member_table_hash(&swim->table, nodes[i].name);
    for (uint32_t i = 0; i < count; i++)
        member_table_expect_record(&swim->table, hashes[i]);
    for (uint32_t i = 0; i < count; i++) {
        sync->merge.members++;
        merge_node(swim, sync, &nodes[i], hashes[i]);
    }
}

/* The present stage for the next few nodes. False when the stream is gone. */
static bool merge_step(struct swim *swim, struct sync *sync, const struct push_node_state *nodes,
                       uint32_t count)
{
    struct merge *merge = &sync->merge;
    switch (merge->stage) {
    case MERGE_SURVEY:
        for (uint32_t i = 0; i < count; i++)
            survey(merge, nodes[i].state, nodes[i].versions);
        break;
    case MERGE_BLAME:
        buffer_reset(&swim->scratch);
        for (uint32_t i = 0; i < count; i++)
            if (is_live(nodes[i].state) &&
                !version_range_admits(&merge->understood, nodes[i].name, nodes[i].versions,
                                      &swim->scratch)) {
                refuse_merge(swim, sync, buffer_text(&swim->scratch));
                return false;
            }
        break;
    case MERGE_APPLY:
        merge_nodes(swim, sync, nodes, count);
        break;
    }
    return true;
}

void push_pull_merge_slice(struct swim *swim, struct sync *sync)
{
    uint64_t joins_before = swim->joins;
    for (uint32_t steps = 0; steps < MERGE_SLICE; steps += MERGE_AHEAD) {
        struct push_node_state nodes[MERGE_AHEAD];
        uint32_t count = 0;
        while (count < MERGE_AHEAD && push_pull_next(&sync->merge.nodes, &nodes[count]))
            count++;
        if (!merge_step(swim, sync, nodes, count))
            return;
        if (count == MERGE_AHEAD)
            continue;
        sync->new_members += (uint32_t)(swim->joins - joins_before);
        joins_before = swim->joins;
        if (!next_merge_stage(swim, sync))
            return;
    }
    sync->new_members += (uint32_t)(swim->joins - joins_before);
    timer_set(&swim->timers, &sync->timer, swim->now);
}

enum { STATE_SIZE_MIN = 64 }; /* bytes of a member in a state: 42 of keys, an address, versions */

/* What is reserved stays in proportion to what came: a peer may count values that are no members.
 */
static void expect_members(struct swim *swim, const struct sync *sync)
{
    const struct push_pull_header *header = &sync->merge.nodes.header;
    size_t size = stream_reader_message(&sync->reader).size;
    uint64_t count = size / STATE_SIZE_MIN;
    if (header->nodes < 0)
        return;
    if ((uint64_t)header->nodes < count)
        count = (uint64_t)header->nodes;
    if (count > swim->table.maximum)
        count = swim->table.maximum;
    member_table_expect(&swim->table, (uint32_t)count);
    if (count <= swim->table.record_count || sync->sent_alone)
        return;
    uint64_t told = swim->arrivals.count + count - swim->table.record_count;
    if (told > ARRIVALS_MAX + ARRIVALS_SLACK)
        told = ARRIVALS_MAX + ARRIVALS_SLACK;
    broadcast_queue_expect(&swim->arrivals, (uint32_t)told);
}

void push_pull_merge(struct swim *swim, struct sync *sync, bool join)
{
    timer_cancel(&swim->timers, &sync->timer);
    sync->stage = SYNC_MERGING;
    sync->merge = (struct merge){
        .understood = version_range_all(), .spoken = version_range_none(), .join = join};
    if (!push_pull_open(&sync->merge.nodes, stream_reader_message(&sync->reader))) {
        refuse_merge(swim, sync, "malformed state");
        return;
    }
    expect_members(swim, sync);
    push_pull_merge_slice(swim, sync);
}

/* --- being asked --- */

/* Our own request has come back to us. Others may have got the same bytes, since all contacts of
 * one join send the same: the one that was led back is the one that will read this answer. */
static void recognise_own_request(struct swim *swim, uint64_t request_hash, uint64_t answer_hash)
{
    uint32_t position = 0;
    struct sync *other;
    while ((other = number_map_next(&swim->streams, &position)))
        if (other->kind == SYNC_JOIN && other->stage == SYNC_READING &&
            other->sent_hash == request_hash)
            other->own_answer_hash = answer_hash;
}

void push_pull_answer(struct swim *swim, struct sync *sync)
{
    char text[FROM_TEXT_SIZE];
    struct push_pull_reader nodes;
    struct span message = stream_reader_message(&sync->reader);
    if (!push_pull_open(&nodes, message)) {
        sync_fail(swim, sync, "malformed state", true);
        return;
    }
    if (swim->push_pulls >= PUSH_PULLS_MAX - 1) {
        swim_log_limited(swim, LIMITED_STREAM, LOG_LEVEL_ERR,
                         "memberlist: Too many pending push/pull requests");
        swim_close_stream(swim, sync->id);
        return;
    }
    sync->counts_push_pull = true;
    swim->push_pulls++;
    uint64_t request_hash = nodes.header.join ? siphash(&swim->pool->key, message) : 0;
    if (!push_pull_send(swim, sync, nodes.header.join)) {
        swim_log_limited(swim, LIMITED_STREAM, LOG_LEVEL_ERR,
                         "memberlist: Failed to push local state: out of memory %s",
                         swim_from_text(&sync->remote, text));
        swim_close_stream(swim, sync->id);
        return;
    }
    if (nodes.header.join)
        recognise_own_request(swim, request_hash, sync->sent_hash);
    sync_close_connection(swim, sync);
    push_pull_merge(swim, sync, nodes.header.join);
}

/* --- asking --- */

static bool may_sync(const void *context, uint32_t member)
{
    const struct swim *swim = context;
    const struct member_record *record = member_at(&swim->table, member);
    return record->in_swim && record->state == NODE_ALIVE && member != swim->self;
}

/* The interval grows with the cluster, so that the bytes a second that all members together spend
 * on it do not (memberlist specification, 7.2). */
static uint64_t scaled_interval(const struct swim *swim)
{
    uint32_t members = swim->table.swim_count;
    uint64_t factor = members <= 32 ? 1 : (uint64_t)log2_ceiling(members) - 5 + 1;
    return swim->config.push_pull_interval * factor;
}

static void sync_with_one(struct swim *swim)
{
    uint32_t member;
    if (swim->leaving ||
        member_table_pick(&swim->table, &swim->random, 1, &member, may_sync, swim) == 0)
        return;
    struct endpoint to = member_endpoint(&swim->table, member);
    sync_call(swim, SYNC_PERIODIC, &to, member_at(&swim->table, member)->identity,
              swim->now + swim->config.tcp_timeout);
}

void swim_push_pull_tick(struct swim *swim)
{
    timer_set(&swim->timers, &swim->push_pull_tick, swim->now + scaled_interval(swim));
    sync_with_one(swim);
}

/* --- catching up ---
 *
 * Gossip tells everybody with high probability only. A member that it missed would learn the news
 * from its next push/pull, up to a minute later. So whoever has seen the view grow makes an extra
 * push/pull or two when it has been quiet for a moment: both sides then know what either knew, and
 * whoever learns something new does the same. They are a second apart, and farther and farther
 * while the view goes on growing: where members come and go all day, gossip and the usual
 * push/pulls do. */

static const uint64_t catch_up_spacing = 1 * NANOSECONDS_PER_S;
enum { SPACING_DOUBLED_MAX = 4 };

static uint64_t quiet_time(const struct swim *swim)
{
    return swim->config.gossip_interval ? 2 * swim->config.gossip_interval : catch_up_spacing;
}

/* When the view has been quiet for two gossip intervals, which is when what was news has been told
 * twice, or up to half as much again later. */
static void set_catch_up(struct swim *swim)
{
    uint64_t quiet = quiet_time(swim);
    uint64_t at = swim->grown + quiet + random_below(&swim->random, quiet / 2);
    uint64_t earliest = swim->caught_up + (catch_up_spacing << swim->spacing_doubled);
    if (swim->caught_up > 0 && at < earliest)
        at = earliest + random_below(&swim->random, quiet / 2);
    timer_set(&swim->timers, &swim->catch_up, at);
}

void swim_view_grew(struct swim *swim)
{
    swim->joins++;
    swim->grown = swim->now;
    swim->catch_ups_due = CATCH_UPS;
    /* Whoever came hears gossip an interval later: first it reads our state, which says which
     * events are old. */
    swim->gossip_ticked = swim->now;
    swim_gossip_wanted(swim); /* here is somebody to tell what waits */
    if (!timer_armed(&swim->catch_up) && swim->config.push_pull_interval > 0)
        set_catch_up(swim);
}

void swim_catch_up(struct swim *swim)
{
    if (swim->now - swim->grown < quiet_time(swim)) {
        set_catch_up(swim);
        return;
    }
    swim->caught_up = swim->now;
    swim->catch_ups_due--;
    if (swim->catch_ups_due > 0) {
        set_catch_up(swim);
        swim->spacing_doubled += swim->spacing_doubled < SPACING_DOUBLED_MAX;
    } else {
        swim->spacing_doubled = 0;
    }
    /* Where many know the same it takes only some of them to pass it on. */
    if (random_below(&swim->random, swim->table.swim_count) < CATCH_UPS_OF_ALL)
        sync_with_one(swim);
}

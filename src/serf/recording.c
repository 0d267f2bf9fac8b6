/* What goes into the snapshot, and when (Serf specification, 8.1, 8.3 and 8.5). A member's coming
 * and going is recorded as it happens, before the coalescer: what the application has not been told
 * yet must not be forgotten. */
#include "serf_internal.h"

static const uint64_t clock_delay = 500 * NANOSECONDS_PER_MS;

/* A record whose lines are being written to the outbox's arena. */
struct record {
    struct effect *effect; /* NULL: memory is out */
    size_t begin;
};

static struct record begin_record(struct serf *serf)
{
    struct outbox *outbox = &serf->swim.outbox;
    struct record record = {.effect = outbox_add(outbox, EFFECT_RECORD)};
    if (record.effect)
        record.begin = outbox_begin(outbox);
    return record;
}

static void end_record(struct serf *serf, const struct record *record)
{
    struct outbox *outbox = &serf->swim.outbox;
    if (outbox->arena.failed) {
        outbox->arena.failed = false;
        buffer_truncate(&outbox->arena, record->begin);
        outbox->lost++;
        outbox_drop_last(outbox);
        return;
    }
    outbox_end(outbox, &record->effect->record.lines, record->begin);
}

void record_clock(struct serf *serf)
{
    timer_cancel(&serf->swim.timers, &serf->recording.timer);
    uint64_t last_used = serf->clock - 1;
    if (!serf->config.record || last_used <= serf->recording.clock)
        return;
    struct record record = begin_record(serf);
    if (!record.effect)
        return;
    snapshot_write_clock(&serf->swim.outbox.arena, last_used);
    end_record(serf, &record);
    serf->recording.clock = last_used;
}

void record_clock_soon(struct serf *serf)
{
    if (serf->config.record && serf->clock - 1 > serf->recording.clock &&
        !timer_armed(&serf->recording.timer))
        timer_set(&serf->swim.timers, &serf->recording.timer, serf->swim.now + clock_delay);
}

/* A name with a newline can't be written: it would be two lines. */
static bool is_one_line(struct span name)
{
    return !memchr(name.data, '\n', name.size);
}

void record_member(struct serf *serf, uint32_t member, bool alive)
{
    struct span name = member_name(&serf->swim.table, member);
    if (!serf->config.record || serf->recording.left || !is_one_line(name))
        return;
    struct record record = begin_record(serf);
    if (!record.effect)
        return;
    struct endpoint endpoint = member_endpoint(&serf->swim.table, member);
    if (alive)
        snapshot_write_alive(&serf->swim.outbox.arena, name, &endpoint);
    else
        snapshot_write_not_alive(&serf->swim.outbox.arena, name);
    end_record(serf, &record);
    record_clock(serf);
}

uint64_t record_time(const struct serf *serf)
{
    uint64_t begin = serf->config.time_of_day * NANOSECONDS_PER_S;
    uint64_t time = (begin + serf->swim.now - serf->recording.began) / NANOSECONDS_PER_S;
    return time > 0 ? time : 1;
}

static void record_failure(struct serf *serf, struct span name, const struct endpoint *endpoint,
                           uint64_t failed_at)
{
    if (!serf->config.record || serf->recording.left || !is_one_line(name))
        return;
    struct record record = begin_record(serf);
    if (!record.effect)
        return;
    snapshot_write_failed(&serf->swim.outbox.arena, name, endpoint, failed_at);
    end_record(serf, &record);
}

void record_failed(struct serf *serf, uint32_t member)
{
    struct endpoint endpoint = member_endpoint(&serf->swim.table, member);
    record_failure(serf, member_name(&serf->swim.table, member), &endpoint, record_time(serf));
}

void record_absent(struct serf *serf, const struct snapshot_peer *peer)
{
    record_failure(serf, atom_span(peer->name), &peer->endpoint, peer->failed_at);
}

void record_gone(struct serf *serf, struct span name)
{
    if (!serf->config.record || serf->recording.left || !is_one_line(name))
        return;
    struct record record = begin_record(serf);
    if (!record.effect)
        return;
    snapshot_write_not_alive(&serf->swim.outbox.arena, name);
    end_record(serf, &record);
}

void record_event_time(struct serf *serf, uint64_t ltime)
{
    if (!serf->config.record || serf->recording.left || ltime <= serf->recording.event_clock)
        return;
    struct record record = begin_record(serf);
    if (!record.effect)
        return;
    snapshot_write_event_clock(&serf->swim.outbox.arena, ltime);
    end_record(serf, &record);
    serf->recording.event_clock = ltime;
}

void record_query_time(struct serf *serf, uint64_t ltime)
{
    if (!serf->config.record || serf->recording.left || ltime <= serf->recording.query_clock)
        return;
    struct record record = begin_record(serf);
    if (!record.effect)
        return;
    snapshot_write_query_clock(&serf->swim.outbox.arena, ltime);
    end_record(serf, &record);
    serf->recording.query_clock = ltime;
}

void record_leave(struct serf *serf)
{
    if (!serf->config.record || serf->recording.left)
        return;
    serf->recording.left = true;
    struct record record = begin_record(serf);
    if (!record.effect)
        return;
    record.effect->record.leaving = true;
    snapshot_write_leave(&serf->swim.outbox.arena);
    end_record(serf, &record);
}

void serf_record_clock(struct serf *serf, uint64_t now)
{
    serf->swim.now = now;
    record_clock(serf);
}

static uint64_t failure_time(const struct serf *serf, uint32_t member)
{
    uint64_t now = record_time(serf);
    uint64_t age = swim_age(&serf->swim, member) / NANOSECONDS_PER_S;
    return now > age ? now - age : 1;
}

static void write_member(const struct serf *serf, uint32_t member, struct buffer *out)
{
    const struct member_table *table = &serf->swim.table;
    const struct member_record *record = member_at(table, member);
    if (!record->identity || !record->in_serf || !is_one_line(member_name(table, member)))
        return;
    struct span name = member_name(table, member);
    struct endpoint endpoint = member_endpoint(table, member);
    if (record->status == STATUS_ALIVE || record->status == STATUS_LEAVING)
        snapshot_write_alive(out, name, &endpoint);
    else if (record->status == STATUS_FAILED)
        snapshot_write_failed(out, name, &endpoint, failure_time(serf, member));
}

static void write_remembered(const struct snapshot_peer *peer, struct buffer *out)
{
    if (peer->failed_at > 0)
        snapshot_write_failed(out, atom_span(peer->name), &peer->endpoint, peer->failed_at);
    else
        snapshot_write_alive(out, atom_span(peer->name), &peer->endpoint);
}

bool serf_write_snapshot(const struct serf *serf, struct buffer *out)
{
    for (uint32_t i = 0; !serf->recording.left && i < serf->swim.table.slot_count; i++)
        write_member(serf, i, out);
    for (uint32_t i = 0; !serf->recording.left && i < serf->rejoin.count; i++)
        write_remembered(&serf->rejoin.peers[i], out);
    snapshot_write_clock(out, serf->recording.clock);
    snapshot_write_event_clock(out, serf->recording.event_clock);
    snapshot_write_query_clock(out, serf->recording.query_clock);
    return !out->failed;
}

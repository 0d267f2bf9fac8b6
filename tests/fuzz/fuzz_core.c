/* A whole member under a random interleaving of datagrams, streams, answers, commands and time,
 * with what must always hold checked after every step. Limits are set low, so that they are met. */
#include "serf_internal.h"

#include "keyring.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMBERS_MAX = 24, STREAMS_MAX = 8, QUEUE_MAX = 32 };

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t take(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static struct span take_span(struct input *input)
{
    size_t size = take(input);
    size |= (size_t)(take(input) & 3) << 8;
    if (size > input->size)
        size = input->size;
    struct span span = span_make(input->data, size);
    input->data += size;
    input->size -= size;
    return span;
}

struct world {
    struct serf *serf;
    uint64_t now;
    uint32_t streams[16], requests[4];
    uint32_t stream_count, request_count;
    uint32_t queries[4], saves[4];
    uint32_t query_count, save_count;
    struct buffer error;
    uint32_t commands_asked, commands_done;
    uint32_t incarnation;
    uint64_t clocks[3];
};

/* What is recorded can be read back. */
static void check_record(struct world *world, struct span lines)
{
    struct snapshot snapshot;
    snapshot_init(&snapshot, world->serf->swim.pool);
    assert(snapshot_read(&snapshot, lines, false));
    assert(snapshot.complete_bytes == lines.size && lines.size > 0 && snapshot.bad_lines == 0);
    snapshot_fini(&snapshot);
}

static void drain(struct world *world)
{
    struct effect effect;
    while (serf_next_effect(world->serf, &effect)) {
        assert(effect.kind < EFFECT_SWIM_JOIN);
        if (effect.kind == EFFECT_STREAM_OPEN)
            world->streams[world->stream_count++ % 16] = effect.open.stream;
        else if (effect.kind == EFFECT_RESOLVE)
            world->requests[world->request_count++ % 4] = effect.resolve.request;
        else if (effect.kind == EFFECT_COMMAND_DONE)
            world->commands_done++;
        else if (effect.kind == EFFECT_QUERY)
            world->queries[world->query_count++ % 4] = effect.query.query;
        else if (effect.kind == EFFECT_KEYRING_CHANGED)
            world->saves[world->save_count++ % 4] = effect.keyring.query;
        else if (effect.kind == EFFECT_KEYS_DONE)
            assert(effect.keys.report->errors <= effect.keys.report->responses);
        else if (effect.kind == EFFECT_RECORD)
            check_record(world, effect.record.lines);
        else if (effect.kind == EFFECT_PACKET)
            assert(effect.packet.datagram.size <= 2048); /* an answer, relayed */
    }
}

static void check(struct world *world)
{
    const struct swim *swim = &world->serf->swim;
    const struct member_table *table = &swim->table;
    uint32_t in_swim = 0, in_serf = 0;
    for (uint32_t m = 0; m < table->slot_count; m++) {
        in_swim += table->records[m].identity && table->records[m].in_swim;
        in_serf += table->records[m].identity && table->records[m].in_serf;
        assert(!table->records[m].suspected || number_map_find(&swim->suspicions, m));
    }
    assert(in_swim == table->swim_count && in_serf == table->serf_count);
    assert(table->record_count <= MEMBERS_MAX && swim->streams.count <= STREAMS_MAX);
    assert(world->serf->intents.count <= QUEUE_MAX + 256);
    assert(world->serf->events.count <= QUEUE_MAX + 256);
    assert(world->serf->open_queries.count <= OPEN_QUERIES_MAX);
    assert(world->serf->collectors.count <= COLLECTORS_MAX);
    assert(swim->incarnation >= world->incarnation && swim->outbox.lost == 0);
    world->incarnation = swim->incarnation;
    const uint64_t clocks[3] = {world->serf->clock, world->serf->event_clock,
                                world->serf->query_clock};
    for (int i = 0; i < 3; i++) {
        assert(clocks[i] >= world->clocks[i] && clocks[i] <= LTIME_MAX + 1000);
        world->clocks[i] = clocks[i];
    }
    if (world->serf->state == SERF_ALIVE)
        assert(table->records[swim->self].state == NODE_ALIVE);
    assert(world->commands_done <= world->commands_asked);
}

static void advance(struct world *world, uint64_t duration)
{
    uint64_t end = world->now + duration;
    for (int turns = 0; turns < 200 && serf_next_deadline(world->serf) <= end; turns++) {
        if (serf_next_deadline(world->serf) > world->now)
            world->now = serf_next_deadline(world->serf);
        serf_advance(world->serf, world->now);
        drain(world);
    }
    world->now = end;
}

static struct endpoint some_endpoint(struct input *input)
{
    struct endpoint endpoint;
    uint8_t address[4] = {10, 0, 0, take(input) % 8};
    endpoint_from_bytes(&endpoint, span_make(address, 4), 7946);
    return endpoint;
}

static void ask(struct world *world, struct span bytes, uint8_t op)
{
    struct tag tag = {span_text("role"), bytes};
    struct serf_query_parameters parameters = {.name = bytes,
                                               .payload = bytes,
                                               .nodes = &bytes,
                                               .node_count = op & 64 ? 1 : 0,
                                               .tags = &tag,
                                               .tag_count = op & 128 ? 1 : 0,
                                               .acknowledge = op & 32,
                                               .relay_factor = op & 7};
    uint32_t query = serf_query(world->serf, world->now, &parameters, &world->error);
    assert((query == 0) == (world->error.size > 0));
    if (op & 16)
        serf_query_cancel(world->serf, query);
}

static bool matches(struct span expression, struct span text, struct buffer *error)
{
    if (expression.size == 0)
        buffer_append_text(error, "empty");
    return expression.size > 0 && text.size > 0 && expression.data[0] == text.data[0];
}

static void step(struct world *world, struct input *input)
{
    uint8_t op = take(input);
    struct serf *serf = world->serf;
    struct endpoint from = some_endpoint(input);
    uint32_t stream = world->streams[take(input) % 16];
    struct span bytes;
    switch (op % 18) {
    case 0:
    case 1:
    case 2:
    case 3:
        serf_packet(serf, world->now, &from, take_span(input));
        break;
    case 4:
        advance(world, (uint64_t)take(input) * 40 * NANOSECONDS_PER_MS);
        break;
    case 5:
        advance(world, (uint64_t)take(input) * NANOSECONDS_PER_S);
        break;
    case 6:
        world->streams[world->stream_count++ % 16] = serf_stream_accepted(serf, world->now, &from);
        break;
    case 7:
    case 8:
        serf_stream_data(serf, world->now, stream, take_span(input));
        break;
    case 9:
        serf_stream_opened(serf, world->now, stream);
        break;
    case 10:
        if (op & 64)
            serf_stream_ended(serf, world->now, stream);
        else
            serf_stream_failed(serf, world->now, stream, "broken");
        break;
    case 11:
        bytes = take_span(input);
        world->commands_asked++;
        if (op & 64)
            serf_force_leave(serf, world->now, bytes, op & 128);
        else
            serf_join(serf, world->now, &bytes, 1, op & 128);
        break;
    case 12:
        serf_resolved(serf, world->now, world->requests[take(input) % 4], &from, op & 64 ? 1 : 0,
                      "no such host");
        break;
    case 13:
        bytes = take_span(input);
        if (op < 32) {
            world->commands_asked++;
            serf_leave(serf, world->now);
        } else if (op < 96) {
            struct tag tag = {span_text("t"), bytes};
            world->commands_asked++;
            serf_set_tags(serf, world->now, &tag, 1);
        } else {
            serf_retry_join(serf, world->now, &bytes, 1,
                            &(struct retry_join){.interval = NANOSECONDS_PER_S,
                                                 .max_attempts = 3,
                                                 .watch = bytes.size % 2 == 0});
        }
        break;
    case 14:
        bytes = take_span(input);
        serf_user_event(serf, world->now, bytes, bytes, op & 64, &world->error);
        break;
    case 15:
        bytes = take_span(input);
        ask(world, bytes, op);
        break;
    case 16:
        bytes = take_span(input);
        serf_respond(serf, world->now, world->queries[take(input) % 4], bytes, &world->error);
        serf_keyring_saved(serf, world->now, world->saves[take(input) % 4],
                           op & 64 ? NULL : "disk full");
        break;
    case 17:
        bytes = take_span(input);
        serf_keys(serf, world->now, (enum key_operation)(op >> 6), bytes, op & 7);
        break;
    }
    buffer_reset(&world->error);
    drain(world);
    check(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct world world = {.now = 1000 * NANOSECONDS_PER_S};
    struct siphash_key key = {1, 2};
    struct intern_pool pool;
    static const uint8_t seed[RANDOM_SEED_SIZE] = {7};
    struct serf_config config;
    struct buffer error;
    intern_init(&pool, &key);
    buffer_init(&error, 1024);
    serf_config_init(&config, take(&input) & 1 ? swim_config_local : swim_config_lan);
    config.swim.name = span_text("self");
    config.swim.members_max = MEMBERS_MAX;
    config.swim.streams_max = STREAMS_MAX;
    config.swim.stream_bytes_max = 1 << 16;
    config.max_queue_depth = QUEUE_MAX;
    config.record = true;
    config.expression_matches = matches;
    struct keyring *keyring = NULL;
    if (take(&input) & 1) { /* read and written in the clear, or no input would get in */
        keyring = keyring_new();
        keyring_add(keyring, span_text("0123456789abcdef"));
        config.swim.keyring = keyring;
        config.swim.verify_incoming = config.swim.verify_outgoing = false;
    }
    buffer_init(&world.error, 4096);
    config.reconnect_timeout = config.tombstone_timeout = 60 * NANOSECONDS_PER_S;
    endpoint_from_text(&config.swim.advertise, "10.0.0.7", 7946);
    world.serf = serf_new(&config, &pool, seed, world.now, &error);
    assert(world.serf);
    drain(&world);
    while (input.size > 0)
        step(&world, &input);
    advance(&world, 300 * NANOSECONDS_PER_S);
    check(&world);
    serf_free(world.serf);
    keyring_free(keyring);
    buffer_fini(&world.error);
    intern_fini(&pool);
    buffer_fini(&error);
    return 0;
}

/* A snapshot file's content: read, written anew from what was understood and read again, which must
 * give the same; and a member that starts with it. */
#include "snapshot.h"

#include "serf.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct snapshot *a, const struct snapshot *b)
{
    assert(a->peer_count == b->peer_count && b->bad_lines == 0);
    for (uint32_t i = 0; i < a->peer_count; i++) {
        assert(a->peers[i].name == b->peers[i].name); /* interned in one pool */
        assert(endpoint_equal(&a->peers[i].endpoint, &b->peers[i].endpoint));
    }
    assert(a->clock == b->clock && a->event_clock == b->event_clock &&
           a->query_clock == b->query_clock);
}

static void read_again(struct intern_pool *pool, const struct snapshot *snapshot)
{
    struct buffer text;
    struct snapshot again;
    buffer_init(&text, 1 << 20);
    for (uint32_t i = 0; i < snapshot->peer_count; i++)
        snapshot_write_alive(&text, atom_span(snapshot->peers[i].name),
                             &snapshot->peers[i].endpoint);
    snapshot_write_clock(&text, snapshot->clock);
    snapshot_write_event_clock(&text, snapshot->event_clock);
    snapshot_write_query_clock(&text, snapshot->query_clock);
    assert(!text.failed);
    snapshot_init(&again, pool);
    assert(snapshot_read(&again, buffer_span(&text), false));
    same(snapshot, &again);
    snapshot_fini(&again);
    buffer_fini(&text);
}

static void live_with(struct intern_pool *pool, const struct snapshot *snapshot)
{
    static const uint8_t seed[RANDOM_SEED_SIZE];
    struct serf_config config;
    struct buffer error;
    struct effect effect;
    buffer_init(&error, 1024);
    serf_config_init(&config, swim_config_lan);
    config.swim.name = span_text("self");
    endpoint_from_text(&config.swim.advertise, "10.0.0.1", 7946);
    config.record = true;
    config.restored = snapshot;
    struct serf *serf = serf_new(&config, pool, seed, NANOSECONDS_PER_S, &error);
    assert(serf);
    serf_advance(serf, 2 * NANOSECONDS_PER_S);
    while (serf_next_effect(serf, &effect))
        if (effect.kind == EFFECT_STREAM_OPEN)
            assert(snapshot->peer_count > 0);
    serf_free(serf);
    buffer_fini(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct siphash_key key = {3, 4};
    struct intern_pool pool;
    struct snapshot snapshot;
    intern_init(&pool, &key);
    snapshot_init(&snapshot, &pool);
    struct span file = span_make(data + 1, size - 1);
    assert(snapshot_read(&snapshot, file, data[0] & 1));
    assert(snapshot.complete_bytes <= file.size);
    assert(snapshot.complete_bytes == 0 || file.data[snapshot.complete_bytes - 1] == '\n');
    read_again(&pool, &snapshot);
    live_with(&pool, &snapshot);
    snapshot_fini(&snapshot);
    intern_fini(&pool);
    return 0;
}

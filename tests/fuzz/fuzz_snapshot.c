/* A snapshot file's content: read, written anew from what was understood and read again, which must
 * give the same; and a member that starts with it. */
#include "snapshot.h"

#include "message.h"
#include "serf.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct snapshot *a, const struct snapshot *b)
{
    assert(a->peer_count == b->peer_count && b->bad_lines == 0);
    for (uint32_t i = 0; i < a->peer_count; i++) {
        assert(a->peers[i].name == b->peers[i].name); /* interned in one pool */
        assert(endpoint_equal(&a->peers[i].endpoint, &b->peers[i].endpoint));
        assert(a->peers[i].failed_at == b->peers[i].failed_at);
    }
    assert(a->clock == b->clock && a->event_clock == b->event_clock &&
           a->query_clock == b->query_clock);
}

static void read_again(struct intern_pool *pool, const struct snapshot *snapshot)
{
    struct buffer text;
    struct snapshot again;
    buffer_init(&text, 1 << 20);
    for (uint32_t i = 0; i < snapshot->peer_count; i++) {
        const struct snapshot_peer *peer = &snapshot->peers[i];
        if (peer->failed_at > 0)
            snapshot_write_failed(&text, atom_span(peer->name), &peer->endpoint, peer->failed_at);
        else
            snapshot_write_alive(&text, atom_span(peer->name), &peer->endpoint);
    }
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

/* Perhaps the answer to a ping: who is remembered is there. */
static void acknowledge(struct serf *serf, uint64_t now, uint32_t sequence)
{
    struct endpoint from;
    struct ack_message ack = {.sequence = sequence};
    struct buffer datagram;
    buffer_init(&datagram, 1024);
    endpoint_from_text(&from, "10.0.0.2", 7946);
    message_write(&datagram, MESSAGE_ACK, &ack_structure, &ack);
    serf_packet(serf, now, &from, buffer_span(&datagram));
    buffer_fini(&datagram);
}

static void write_and_read(struct serf *serf, struct intern_pool *pool)
{
    struct buffer text;
    struct snapshot again;
    buffer_init(&text, 1 << 20);
    snapshot_init(&again, pool);
    assert(serf_write_snapshot(serf, &text));
    assert(snapshot_read(&again, buffer_span(&text), false) && again.bad_lines == 0);
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
    config.reconnect_timeout_tag = span_text("expires");
    config.time_of_day = 1700000000;
    config.restored = snapshot;
    struct serf *serf = serf_new(&config, pool, seed, NANOSECONDS_PER_S, &error);
    assert(serf);
    for (uint32_t second = 2; second < 120; second += second < 10 ? 1 : 10) {
        serf_advance(serf, second * NANOSECONDS_PER_S);
        acknowledge(serf, second * NANOSECONDS_PER_S, second);
        while (serf_next_effect(serf, &effect))
            if (effect.kind == EFFECT_STREAM_OPEN)
                assert(snapshot->peer_count > 0);
    }
    write_and_read(serf, pool);
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

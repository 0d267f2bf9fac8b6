/* Every allocation of a member's life fails once: nothing crashes, nothing leaks, and the member
 * goes on. The linker puts our malloc, calloc and realloc in front of the library's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serf.h"
#include "serf_message.h"
#include "snapshot.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t allocations_left = -1; /* -1: all succeed; 0: the next fails, and only that one */
static int64_t allocations;

static bool fails(void)
{
    allocations++;
    if (allocations_left < 0)
        return false;
    return allocations_left-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

struct life {
    struct serf *serf;
    uint64_t now;
    uint32_t opened; /* the stream that was opened last */
    uint32_t request;
};

static void drain(struct life *life)
{
    struct effect effect;
    while (serf_next_effect(life->serf, &effect)) {
        if (effect.kind == EFFECT_STREAM_OPEN)
            life->opened = effect.open.stream;
        if (effect.kind == EFFECT_RESOLVE)
            life->request = effect.resolve.request;
    }
}

static const uint8_t address[4] = {10, 0, 0, 9};
static const uint8_t versions[6] = {1, 5, 2, 2, 5, 5};
static struct buffer prepared; /* made before anything fails */

static struct endpoint peer(void)
{
    struct endpoint endpoint;
    endpoint_from_bytes(&endpoint, span_make(address, 4), 7946);
    return endpoint;
}

static void deliver(struct life *life, enum message_type type,
                    const struct msgpack_structure *structure, const void *message)
{
    struct endpoint from = peer();
    buffer_reset(&prepared);
    message_write(&prepared, type, structure, message);
    serf_packet(life->serf, life->now, &from, buffer_span(&prepared));
    drain(life);
}

static void deliver_user(struct life *life, enum serf_message_type type,
                         const struct msgpack_structure *structure, const void *message)
{
    struct endpoint from = peer();
    buffer_reset(&prepared);
    buffer_append_u8(&prepared, MESSAGE_USER);
    serf_message_write(&prepared, type, structure, message);
    serf_packet(life->serf, life->now, &from, buffer_span(&prepared));
    drain(life);
}

static void receive_packets(struct life *life)
{
    struct alive_message alive = {.incarnation = 3,
                                  .node = span_text("peer"),
                                  .address = span_make(address, 4),
                                  .port = 7946,
                                  .versions = span_make(versions, 6)};
    struct ping_message ping = {.sequence = 9};
    struct indirect_ping_message indirect = {.sequence = 5,
                                             .target = span_make(address, 4),
                                             .port = 7946,
                                             .nack = true,
                                             .node = span_text("peer")};
    struct suspect_message suspect = {
        .incarnation = 3, .node = span_text("peer"), .from = span_text("third")};
    struct join_intent join = {.ltime = 7, .node = span_text("unknown")};
    struct leave_intent leave = {.ltime = 8, .node = span_text("peer"), .prune = true};
    struct user_event_message event = {.ltime = 4, .name = span_text("e")};
    struct query_message query = {.ltime = 4, .id = 77, .name = span_text("q")};
    deliver(life, MESSAGE_ALIVE, &alive_structure, &alive);
    deliver(life, MESSAGE_PING, &ping_structure, &ping);
    deliver(life, MESSAGE_INDIRECT_PING, &indirect_ping_structure, &indirect);
    deliver(life, MESSAGE_SUSPECT, &suspect_structure, &suspect);
    suspect.from = span_text("fourth");
    deliver(life, MESSAGE_SUSPECT, &suspect_structure, &suspect);
    deliver_user(life, SERF_JOIN, &join_intent_structure, &join);
    deliver_user(life, SERF_LEAVE, &leave_intent_structure, &leave);
    deliver_user(life, SERF_USER_EVENT, &user_event_structure, &event);
    deliver_user(life, SERF_QUERY, &query_structure, &query);
}

static void receive_state(struct life *life, uint32_t stream)
{
    struct push_pull_header header = {.nodes = 1, .user_state_size = 0, .join = true};
    struct push_node_state node = {.name = span_text("other"),
                                   .incarnation = 1,
                                   .port = 1,
                                   .address = span_make(address, 4),
                                   .versions = span_make(versions, 6)};
    static const char state[] = "\x02\x83\xabLeftMembers\x91\xa5other\xa5LTime\x09"
                                "\xacStatusLTimes\x82\xa5other\x04\xa1x\x05";
    struct span user_state = span_make(state, sizeof state - 1);
    header.user_state_size = (int64_t)user_state.size;
    buffer_reset(&prepared);
    message_write(&prepared, MESSAGE_PUSH_PULL, &push_pull_header_structure, &header);
    msgpack_write_structure(&prepared, &push_node_state_structure, MSGPACK_GOSSIP, &node);
    buffer_append_span(&prepared, user_state);
    serf_stream_data(life->serf, life->now, stream, buffer_span(&prepared));
    drain(life);
}

static void advance(struct life *life, uint64_t duration)
{
    uint64_t end = life->now + duration;
    while (serf_next_deadline(life->serf) <= end) {
        if (serf_next_deadline(life->serf) > life->now)
            life->now = serf_next_deadline(life->serf);
        serf_advance(life->serf, life->now);
        drain(life);
    }
    life->now = end;
}

static void join_and_retry(struct life *life)
{
    struct endpoint from = peer();
    struct span addresses[] = {span_text("10.0.0.9"), span_text("name"), span_text("a:b:c")};
    serf_join(life->serf, life->now, addresses, 3, false);
    drain(life);
    if (life->request)
        serf_resolved(life->serf, life->now, life->request, &from, 1, NULL);
    drain(life);
    if (life->opened) {
        serf_stream_opened(life->serf, life->now, life->opened);
        drain(life);
        receive_state(life, life->opened);
    }
    serf_retry_join(life->serf, life->now, addresses, 2,
                    &(struct retry_join){.interval = 30 * NANOSECONDS_PER_S});
    drain(life);
    uint32_t stream = serf_stream_accepted(life->serf, life->now, &from);
    drain(life);
    if (stream)
        receive_state(life, stream);
}

static void ask_and_tell(struct life *life)
{
    struct buffer error;
    struct span nodes[] = {span_text("self"), span_text("peer")};
    struct serf_query_parameters parameters = {.name = span_text("q"),
                                               .nodes = nodes,
                                               .node_count = 2,
                                               .acknowledge = true,
                                               .relay_factor = 1};
    struct query_response_message response = {
        .ltime = 5, .from = span_text("peer"), .payload = span_text("x")};
    buffer_init(&error, 256);
    serf_user_event(life->serf, life->now, span_text("e"), span_text("p"), true, &error);
    serf_query(life->serf, life->now, &parameters, &error);
    drain(life);
    deliver_user(life, SERF_QUERY_RESPONSE, &query_response_structure, &response);
    serf_respond(life->serf, life->now, 1, span_text("a"), &error);
    serf_keys(life->serf, life->now, KEY_INSTALL, span_text("0123456789abcdef"), 0);
    serf_keys(life->serf, life->now, KEY_LIST, SPAN_EMPTY, 0);
    drain(life);
    serf_keyring_saved(life->serf, life->now, 2, NULL);
    drain(life);
    advance(life, 10 * NANOSECONDS_PER_S);
    buffer_fini(&error);
}

static const char remembered[] = "alive: before 10.0.0.8:7946\nalive: self 10.0.0.1:7946\n"
                                 "alive: gone 10.0.0.9:1\nnot-alive: gone\nclock: 3\n";

/* Returns whether the member could be started at all. */
static bool live(struct keyring *keyring)
{
    struct siphash_key key = {1, 2};
    struct intern_pool pool;
    uint8_t seed[RANDOM_SEED_SIZE] = {1};
    struct serf_config config;
    struct buffer error;
    struct life life = {.now = NANOSECONDS_PER_S};
    intern_init(&pool, &key);
    buffer_init(&error, 1024);
    serf_config_init(&config, swim_config_local);
    config.swim.name = span_text("self");
    config.swim.advertise = peer();
    config.swim.advertise.address[3] = 1;
    config.swim.keyring = keyring;
    config.swim.verify_incoming = false;
    struct snapshot snapshot;
    snapshot_init(&snapshot, &pool);
    config.record = true;
    config.restored = &snapshot;
    if (snapshot_read(&snapshot, span_text(remembered), false))
        life.serf = serf_new(&config, &pool, seed, life.now, &error);
    snapshot_fini(&snapshot);
    if (life.serf) {
        struct tag tag = {span_text("role"), span_text("web")};
        drain(&life);
        receive_packets(&life);
        join_and_retry(&life);
        advance(&life, 2 * NANOSECONDS_PER_S);
        ask_and_tell(&life);
        serf_set_tags(life.serf, life.now, &tag, 1);
        serf_force_leave(life.serf, life.now, span_text("other"), true);
        drain(&life);
        advance(&life, 20 * NANOSECONDS_PER_S);
        serf_leave(life.serf, life.now);
        drain(&life);
        advance(&life, 20 * NANOSECONDS_PER_S);
        if (serf_state(life.serf) == SERF_ALIVE) { /* that was the command that was refused */
            serf_leave(life.serf, life.now);
            drain(&life);
            advance(&life, 20 * NANOSECONDS_PER_S);
        }
        assert_int_equal(serf_state(life.serf), SERF_LEFT);
    }
    bool started = life.serf != NULL;
    serf_free(life.serf);
    buffer_fini(&error);
    intern_fini(&pool); /* asserts that every reference was given back */
    return started;
}

static void fail_each_allocation_in_turn(struct keyring *keyring)
{
    allocations_left = -1;
    assert_true(live(keyring));
    allocations = 0;
    assert_true(live(keyring));
    int64_t total = allocations;
    assert_true(total > 50);
    int64_t not_started = 0;
    for (int64_t i = 0; i < total; i++) {
        allocations_left = i;
        not_started += !live(keyring);
    }
    allocations_left = -1;
    assert_true(not_started > 0 && not_started < 40);
}

static void a_failed_allocation_costs_a_step_and_never_the_member(void **state)
{
    (void)state;
    buffer_init(&prepared, 65536);
    buffer_extend(&prepared, 16384);
    fail_each_allocation_in_turn(NULL);
    struct keyring *keyring = keyring_new();
    keyring_add(keyring, span_text("0123456789abcdef"));
    fail_each_allocation_in_turn(keyring);
    keyring_free(keyring);
    buffer_fini(&prepared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_allocation_costs_a_step_and_never_the_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

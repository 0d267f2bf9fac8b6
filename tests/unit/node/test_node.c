#include <stdio.h>

#include "../host/loop_fixture.h"
#include "fake_serf.h"
#include "interfaces.h"
#include "node.h"
#include "socket_text.h"
#include "tcp.h"
#include "udp.h"

enum { MANY = 200, REFUSED_MAX = 64 };

/* The linker puts these in front of the library's. */
static bool out_of_memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
    return out_of_memory ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return out_of_memory ? NULL : __real_calloc(count, size);
}

/* The application, and a peer with sockets of its own. */
struct world {
    struct loop *loop;
    struct node *node;
    char log[4096];
    unsigned member_events, done, stopped;
    bool ok;
    uint32_t count;
    char error[128];
    bool free_in_callback;
    char told[512]; /* callbacks about queries and keys */
    unsigned tellings;
    bool no_providers, provider_refuses;
    resolver_done *discovered;
    void *discovered_context;

    struct udp *udp;
    struct endpoint udp_at;
    unsigned datagrams;
    struct endpoint datagram_from;
    struct listener *listener;
    struct connection *connection;
    unsigned opened, ended, failed, received, accepted;
    char bytes[64];
};

static struct world world;
static struct buffer error;

static void on_log(void *context, enum log_level level, struct span text)
{
    size_t used = strlen(world.log);
    (void)context;
    snprintf(world.log + used, sizeof world.log - used, "%d %.*s\n", level, SPAN_PRINT(text));
}

static void maybe_free(void)
{
    if (!world.free_in_callback)
        return;
    node_free(world.node);
    world.node = NULL;
}

static void on_member_event(void *context, enum member_event_type type,
                            const struct member_view *members, size_t count)
{
    (void)context;
    (void)type;
    (void)members;
    (void)count;
    world.member_events++;
    maybe_free();
}

static void __attribute__((format(printf, 1, 2))) tell(const char *format, ...)
{
    size_t used = strlen(world.told);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world.told + used, sizeof world.told - used, format, arguments);
    va_end(arguments);
    world.tellings++;
    maybe_free();
}

static void on_query(void *context, uint32_t query, uint64_t ltime, uint64_t deadline,
                     struct span name, struct span payload, struct span source)
{
    (void)context;
    tell("query %u %llu %llu %.*s %.*s %.*s; ", query, (unsigned long long)ltime,
         (unsigned long long)deadline, SPAN_PRINT(name), SPAN_PRINT(payload), SPAN_PRINT(source));
}

static void on_query_ack(void *context, uint32_t query, struct span from)
{
    (void)context;
    tell("ack %u %.*s; ", query, SPAN_PRINT(from));
}

static void on_query_response(void *context, uint32_t query, struct span from, struct span payload)
{
    (void)context;
    tell("response %u %.*s %.*s; ", query, SPAN_PRINT(from), SPAN_PRINT(payload));
}

static void on_query_done(void *context, uint32_t query)
{
    (void)context;
    tell("done %u; ", query);
}

static void on_keyring_changed(void *context, uint32_t query)
{
    (void)context;
    node_keyring_saved(world.node, query, "full");
    node_keyring_saved(world.node, query + 1, NULL);
    tell("keyring %u; ", query);
}

static bool on_discover(void *context, struct span settings, uint16_t port, resolver_done *done,
                        void *done_context)
{
    (void)context;
    world.discovered = done;
    world.discovered_context = done_context;
    if (world.provider_refuses)
        return false;
    tell("discover %.*s %u; ", SPAN_PRINT(settings), port);
    return true;
}

static void on_keys_done(void *context, const struct key_report *report, struct span text)
{
    assert_ptr_equal(context, &world);
    tell("keys %u %.*s; ", report->nodes, SPAN_PRINT(text));
}

static void on_stopped(void *context, enum stop_reason reason)
{
    (void)context;
    assert_int_equal(reason, STOP_NAME_CONFLICT);
    world.stopped++;
    maybe_free();
}

static void on_done(void *context, bool ok, uint32_t count, struct span text)
{
    assert_ptr_equal(context, &world);
    world.done++;
    world.ok = ok;
    world.count = count;
    snprintf(world.error, sizeof world.error, "%.*s", SPAN_PRINT(text));
    maybe_free();
}

static void on_datagram(void *context, const struct endpoint *from, struct span datagram)
{
    (void)context;
    (void)datagram;
    world.datagrams++;
    world.datagram_from = *from;
}

static void on_opened(void *context)
{
    (void)context;
    world.opened++;
}

static void on_received(void *context, struct span bytes)
{
    size_t used = strlen(world.bytes);
    (void)context;
    world.received++;
    snprintf(world.bytes + used, sizeof world.bytes - used, "%.*s", SPAN_PRINT(bytes));
}

static void on_ended(void *context)
{
    (void)context;
    world.ended++;
}

static void on_failed(void *context, const char *reason)
{
    (void)context;
    (void)reason;
    world.failed++;
}

static const struct connection_callbacks peer_callbacks = {
    .opened = on_opened,
    .received = on_received,
    .ended = on_ended,
    .failed = on_failed,
};

static void on_accepted(void *context, struct connection *connection)
{
    (void)context;
    world.accepted++;
    world.connection = connection;
    connection_start(connection, &peer_callbacks);
}

static struct node_config config_for(const char *bind_address)
{
    struct node_config config = {.bind_address = bind_address};
    config.serf.swim.tcp_timeout = NANOSECONDS_PER_S;
    config.callbacks = (struct node_callbacks){
        .log = on_log,
        .member_event = on_member_event,
        .query = on_query,
        .query_ack = on_query_ack,
        .query_response = on_query_response,
        .query_done = on_query_done,
        .keyring_changed = on_keyring_changed,
        .discover = world.no_providers ? NULL : on_discover,
        .stopped = on_stopped,
    };
    return config;
}

static int set_up(void **state)
{
    struct udp_callbacks udp_callbacks = {.received = on_datagram};
    struct endpoint at;
    (void)state;
    world = (struct world){.loop = loop_new()};
    buffer_init(&error, 1024);
    fake_reset();
    endpoint_from_text(&at, "127.0.0.1", 0);
    world.udp = udp_new(world.loop, &at, &udp_callbacks, &error);
    world.udp_at = udp_bound(world.udp);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    node_free(world.node);
    udp_free(world.udp);
    listener_free(world.listener);
    connection_free(world.connection);
    loop_free(world.loop);
    buffer_fini(&error);
    return 0;
}

static void start(void)
{
    struct node_config config = config_for("127.0.0.1");
    world.node = node_new(world.loop, &config, &error);
    assert_string_equal(buffer_text(&error), "");
    assert_non_null(world.node);
}

static void connect_to_node(void)
{
    struct endpoint at = node_bound(world.node);
    world.connection = connection_open(world.loop, &at, TIMER_NEVER, &peer_callbacks);
    assert_true(loop_until(world.loop, &world.opened, 1));
    assert_true(loop_until(world.loop, &fake.accepted, 1));
}

static void listen_as_peer(void)
{
    struct listener_callbacks callbacks = {.accepted = on_accepted};
    struct endpoint at;
    endpoint_from_text(&at, "127.0.0.1", 0);
    world.listener = listener_new(world.loop, &at, &callbacks, &error);
    assert_non_null(world.listener);
}

static void poke(void)
{
    struct endpoint at = node_bound(world.node);
    unsigned before = fake.packets;
    udp_send(world.udp, &at, span_text("poke"));
    assert_true(loop_until(world.loop, &fake.packets, before + 1));
}

static struct effect write_effect(uint32_t stream, const char *text)
{
    return (struct effect){.kind = EFFECT_STREAM_WRITE,
                           .write = {.stream = stream, .bytes = span_text(text)}};
}

static struct effect close_effect(uint32_t stream)
{
    return (struct effect){.kind = EFFECT_STREAM_CLOSE, .close = {.stream = stream}};
}

/* --- tests --- */

static void the_first_effects_are_performed_by_the_loop(void **state)
{
    (void)state;
    fake_say((struct effect){.kind = EFFECT_MEMBER_EVENT});
    start();
    assert_int_equal(world.member_events, 0);
    assert_true(loop_until(world.loop, &world.member_events, 1));
}

static void datagrams_go_in_and_leave_from_the_listening_port(void **state)
{
    (void)state;
    start();
    struct endpoint at = node_bound(world.node);
    fake_say((struct effect){.kind = EFFECT_PACKET,
                             .packet = {.to = world.udp_at, .datagram = span_text("answer")}});
    poke();
    assert_true(endpoint_equal(&fake.from, &world.udp_at));
    assert_true(loop_until(world.loop, &world.datagrams, 1));
    assert_true(endpoint_equal(&world.datagram_from, &at));
}

static void a_datagram_that_the_system_refuses_is_reported(void **state)
{
    struct endpoint other_family;
    (void)state;
    start();
    endpoint_from_text(&other_family, "::1", 7);
    fake_say((struct effect){.kind = EFFECT_PACKET,
                             .packet = {.to = other_family, .datagram = span_text("x")}});
    poke();
    assert_true(loop_until(world.loop, &fake.failed, 1));
    assert_non_null(strstr(fake.diary, "packet to [::1]:7 failed; "));
}

static void datagrams_that_have_arrived_come_before_a_timer_that_is_due(void **state)
{
    (void)state;
    start();
    loop_turn(world.loop, false);
    fake.advances = 0;
    struct endpoint at = node_bound(world.node);
    for (unsigned i = 0; i < MANY; i++)
        udp_send(world.udp, &at, span_text("p"));
    udp_flush(world.udp);
    /* As after a stall: the deadline is long past, and the answers wait in the kernel. */
    fake.deadline = 1;
    fake_say((struct effect){.kind = EFFECT_LOG});
    node_leave(world.node, NULL, NULL);
    assert_true(loop_until(world.loop, &fake.advances, 1));
    assert_int_equal(fake.packets_at_first_advance, MANY);
}

static void bytes_that_have_arrived_come_before_a_timer_that_is_due(void **state)
{
    (void)state;
    start();
    connect_to_node();
    fake.advances = 0;
    connection_write(world.connection, span_text("in time"));
    fake.deadline = 1;
    node_leave(world.node, NULL, NULL);
    assert_true(loop_until(world.loop, &fake.advances, 1));
    assert_non_null(strstr(fake.diary, "stream 1 data in time; "));
    assert_int_equal(fake.data, 1);
}

static void an_accepted_stream_is_answered_and_closed_and_its_id_is_dead(void **state)
{
    (void)state;
    start();
    connect_to_node();
    struct endpoint local = connection_local(world.connection);
    assert_true(endpoint_equal(&fake.from, &local));
    fake_say(write_effect(1, "ans"));
    fake_say(write_effect(1, "wer"));
    fake_say(close_effect(1));
    fake_say(write_effect(1, "never"));
    connection_write(world.connection, span_text("ask"));
    assert_true(loop_until(world.loop, &world.ended, 1));
    assert_string_equal(world.bytes, "answer");
    assert_string_equal(fake.diary, "stream 1 accepted; stream 1 data ask; ");
    connection_write(world.connection, span_text("more"));
    poke();
    assert_string_equal(fake.diary, "stream 1 accepted; stream 1 data ask; packet poke; ");
}

static void the_end_of_a_peer_is_told(void **state)
{
    (void)state;
    start();
    connect_to_node();
    connection_free(world.connection);
    world.connection = NULL;
    assert_true(loop_until(world.loop, &fake.ended, 1));
    assert_string_equal(fake.diary, "stream 1 accepted; stream 1 ended; ");
}

static void a_stream_that_the_core_refuses_is_closed(void **state)
{
    (void)state;
    start();
    fake.next_stream = 0;
    connect_to_node();
    while (world.ended + world.failed == 0)
        loop_turn(world.loop, true);
    assert_int_equal(fake.data + fake.ended + fake.failed, 0);
}

static void an_opened_stream_carries_both_ways(void **state)
{
    (void)state;
    start();
    listen_as_peer();
    fake_say((struct effect){
        .kind = EFFECT_STREAM_OPEN,
        .open = {.stream = 9, .to = listener_bound(world.listener), .deadline = TIMER_NEVER}});
    fake_say(write_effect(9, "hello"));
    poke();
    assert_true(loop_until(world.loop, &fake.opened, 1));
    assert_true(loop_until(world.loop, &world.received, 1));
    assert_string_equal(world.bytes, "hello");
    connection_write(world.connection, span_text("there"));
    assert_true(loop_until(world.loop, &fake.data, 1));
    assert_non_null(strstr(fake.diary, "stream 9 opened; stream 9 data there; "));
}

static void a_stream_that_can_not_be_opened_fails_with_the_reason(void **state)
{
    char expected[128], text[ENDPOINT_TEXT_SIZE];
    (void)state;
    start();
    /* The peer's UDP port has no TCP listener. */
    fake_say((struct effect){.kind = EFFECT_STREAM_OPEN,
                             .open = {.stream = 9, .to = world.udp_at, .deadline = TIMER_NEVER}});
    poke();
    assert_true(loop_until(world.loop, &fake.failed, 1));
    snprintf(expected, sizeof expected,
             "stream 9 failed: dial tcp %s: connect: connection refused; ",
             endpoint_text(&world.udp_at, text));
    assert_non_null(strstr(fake.diary, expected));
}

static void names_are_resolved(void **state)
{
    (void)state;
    start();
    fake_say(
        (struct effect){.kind = EFFECT_RESOLVE,
                        .resolve = {.request = 5, .name = span_text("10.1.2.3"), .port = 7946}});
    fake_say((struct effect){.kind = EFFECT_RESOLVE, .resolve = {.request = 6}});
    poke();
    assert_true(loop_until(world.loop, &fake.resolved, 2));
    assert_non_null(strstr(fake.diary, "request 5: 1 ; "));
    assert_non_null(strstr(fake.diary, "request 6: 0 lookup : no such host; "));
    assert_int_equal(fake.answer.port, 7946);
}

static void services_are_resolved(void **state)
{
    (void)state;
    start();
    fake_say((struct effect){.kind = EFFECT_RESOLVE,
                             .resolve = {.request = 5, .kind = RESOLVE_SERVICE}});
    poke();
    assert_true(loop_until(world.loop, &fake.resolved, 1));
    assert_non_null(strstr(fake.diary, "request 5: 0 lookup : no such host; "));
}

static struct effect provider_effect(void)
{
    return (struct effect){.kind = EFFECT_RESOLVE,
                           .resolve = {.request = 5,
                                       .kind = RESOLVE_PROVIDER,
                                       .name = span_text("provider=k8s"),
                                       .port = 7000}};
}

static void a_provider_is_asked(void **state)
{
    (void)state;
    start();
    fake_say(provider_effect());
    poke();
    assert_true(loop_until(world.loop, &world.tellings, 1));
    assert_string_equal(world.told, "discover provider=k8s 7000; ");
    struct endpoint found;
    assert_true(endpoint_from_text(&found, "10.1.2.3", 7001));
    world.discovered(world.discovered_context, &found, 1, NULL);
    assert_non_null(strstr(fake.diary, "request 5: 1 ; "));
    assert_int_equal(fake.answer.port, 7001);
    fake_say(provider_effect());
    poke();
    assert_true(loop_until(world.loop, &world.tellings, 2));
    world.discovered(world.discovered_context, &found, 1, "the rest is lost");
    assert_non_null(strstr(fake.diary, "in part: request 5: 1 the rest is lost; "));
}

static void without_providers_that_is_the_answer(void **state)
{
    (void)state;
    world.no_providers = true;
    start();
    fake_say(provider_effect());
    poke();
    assert_true(loop_until(world.loop, &fake.resolved, 1));
    assert_non_null(strstr(fake.diary, "request 5: 0 this program knows no providers; "));
}

static void every_question_is_answered_when_memory_is_out(void **state)
{
    (void)state;
    world.provider_refuses = true;
    start();
    for (unsigned i = 0; i < FAKE_EFFECTS_MAX - 1; i++) {
        fake_say(provider_effect());
        fake.said[i].resolve.request = i;
    }
    fake_say((struct effect){.kind = EFFECT_MEMBER_EVENT});
    poke();
    assert_true(loop_until(world.loop, &world.member_events, 1));
    assert_int_equal(fake.resolved, FAKE_EFFECTS_MAX - 1);
    assert_non_null(strstr(fake.diary, "request 0: 0 lookup: out of memory; "));
    assert_non_null(strstr(fake.diary, "request 30: 0 lookup: out of memory; "));
}

static void commands_are_answered_from_the_loop_when_memory_is_out(void **state)
{
    struct span address = span_text("a:1");
    (void)state;
    start();
    loop_turn(world.loop, false);
    out_of_memory = true;
    node_join(world.node, &address, 1, false, on_done, &world);
    node_keys(world.node, KEY_LIST, SPAN_EMPTY, 0, on_keys_done, &world);
    node_leave(world.node, NULL, NULL);
    out_of_memory = false;
    assert_int_equal(world.done + world.tellings, 0);
    assert_true(loop_until(world.loop, &world.done, 1));
    assert_false(world.ok);
    assert_string_equal(world.error, "out of memory");
    assert_string_equal(world.told, "keys 0 out of memory; ");
    assert_string_equal(fake.diary, "");
}

static void of_many_commands_without_memory_each_is_answered_once(void **state)
{
    (void)state;
    start();
    loop_turn(world.loop, false);
    world.log[0] = '\0';
    out_of_memory = true;
    for (unsigned i = 0; i < REFUSED_MAX; i++)
        node_leave(world.node, on_done, &world);
    assert_int_equal(world.done, 0);
    node_leave(world.node, on_done, &world);
    out_of_memory = false;
    assert_int_equal(world.done, 1);
    assert_true(loop_until(world.loop, &world.done, REFUSED_MAX + 1));
    loop_turn(world.loop, false);
    assert_int_equal(world.done, REFUSED_MAX + 1);
}

static void commands_are_copied_and_answered_from_the_loop(void **state)
{
    char first[] = "a:1", second[] = "bc";
    struct span addresses[] = {span_text(first), span_text(second)};
    struct tag tag = {span_text("role"), span_text("web")};
    (void)state;
    start();
    loop_turn(world.loop, false);
    fake_say((struct effect){
        .kind = EFFECT_COMMAND_DONE,
        .done = {.command = 1, .ok = false, .count = 3, .error = span_text("why")}});
    node_join(world.node, addresses, 2, true, on_done, &world);
    node_set_tags(world.node, &tag, 1, on_done, &world);
    node_force_leave(world.node, span_text("gone"), true, NULL, NULL);
    node_retry_join(world.node, addresses, 2,
                    &(struct retry_join){.interval = 30, .max_attempts = 4, .watch = true});
    first[0] = second[0] = 'x';
    assert_string_equal(fake.diary, "");
    assert_true(loop_until(world.loop, &world.done, 1));
    assert_string_equal(fake.diary, "join a:1 bc replay; tags role=web; force-leave gone prune; "
                                    "retry-join 2 30 4 0 1; ");
    assert_false(world.ok);
    assert_int_equal(world.count, 3);
    assert_string_equal(world.error, "why");
    assert_int_equal(world.done, 1);
}

static void the_node_may_be_freed_inside_any_callback(void **state)
{
    (void)state;
    start();
    world.free_in_callback = true;
    fake_say((struct effect){.kind = EFFECT_COMMAND_DONE, .done = {.command = 1, .ok = true}});
    fake_say((struct effect){.kind = EFFECT_MEMBER_EVENT});
    node_leave(world.node, on_done, &world);
    node_leave(world.node, on_done, &world);
    assert_true(loop_until(world.loop, &world.done, 1));
    assert_true(fake.freed);
    assert_int_equal(world.member_events, 0);

    fake_reset();
    start();
    fake_say((struct effect){.kind = EFFECT_MEMBER_EVENT});
    struct endpoint at = node_bound(world.node);
    udp_send(world.udp, &at, span_text("1"));
    udp_send(world.udp, &at, span_text("2"));
    assert_true(loop_until(world.loop, &world.member_events, 1));
    assert_true(fake.freed);
    assert_int_equal(fake.packets, 1);

    fake_reset();
    start();
    connect_to_node();
    fake_say((struct effect){.kind = EFFECT_MEMBER_EVENT});
    connection_write(world.connection, span_text("x"));
    assert_true(loop_until(world.loop, &world.member_events, 2));
    assert_true(fake.freed);
}

static void events_and_queries_are_passed_on_and_their_answers_come_from_the_loop(void **state)
{
    (void)state;
    struct serf_query_parameters parameters = {.name = span_text("q")};
    start();
    loop_turn(world.loop, false);
    fake_say((struct effect){.kind = EFFECT_QUERY,
                             .query = {.query = 3,
                                       .ltime = 4,
                                       .deadline = 5,
                                       .name = span_text("n"),
                                       .payload = span_text("p"),
                                       .source = span_text("s")}});
    fake_say(
        (struct effect){.kind = EFFECT_QUERY_ACK, .answer = {.query = 5, .from = span_text("a")}});
    fake_say(
        (struct effect){.kind = EFFECT_QUERY_RESPONSE,
                        .answer = {.query = 5, .from = span_text("b"), .payload = span_text("c")}});
    fake_say((struct effect){.kind = EFFECT_QUERY_DONE, .answer = {.query = 5}});
    assert_true(node_user_event(world.node, span_text("e"), span_text("x"), true, &error));
    assert_string_equal(world.told, "");
    assert_true(loop_until(world.loop, &world.tellings, 4));
    assert_string_equal(world.told, "query 3 4 5 n p s; ack 5 a; response 5 b c; done 5; ");
    assert_int_equal(node_query(world.node, &parameters, &error), 5);
    assert_true(node_respond(world.node, 3, span_text("r"), &error));
    node_query_cancel(world.node, 5);
    assert_string_equal(fake.diary, "event e x coalesced; query q; respond 3 r; cancel 5; ");
}

static void keys_are_changed_and_their_files_written_by_way_of_the_loop(void **state)
{
    (void)state;
    static const struct key_report report = {.nodes = 9};
    start();
    loop_turn(world.loop, false);
    fake_say((struct effect){.kind = EFFECT_KEYS_DONE,
                             .keys = {.command = 7, .report = &report, .error = span_text("why")}});
    fake_say((struct effect){.kind = EFFECT_KEYRING_CHANGED, .keyring = {.query = 8}});
    node_keys(world.node, KEY_USE, span_text("0123456789abcdef"), 2, on_keys_done, &world);
    assert_string_equal(fake.diary, "");
    assert_true(loop_until(world.loop, &world.tellings, 2));
    loop_turn(world.loop, false);
    loop_turn(world.loop, false);
    assert_string_equal(world.told, "keys 9 why; keyring 8; ");
    assert_string_equal(fake.diary, "keys 1 16 2; saved 8 full; saved 9 well; ");
}

static void a_stop_is_told_after_the_step_that_caused_it(void **state)
{
    (void)state;
    start();
    world.free_in_callback = true;
    fake_say((struct effect){.kind = EFFECT_STOP, .stop = {.reason = STOP_NAME_CONFLICT}});
    struct endpoint at = node_bound(world.node);
    udp_send(world.udp, &at, span_text("x"));
    assert_true(loop_until(world.loop, &world.stopped, 1));
    assert_true(fake.freed);
}

static void the_bound_address_is_advertised_and_both_sockets_share_its_port(void **state)
{
    (void)state;
    start();
    struct endpoint bound = node_bound(world.node), advertised = node_advertised(world.node);
    assert_true(bound.port != 0);
    assert_true(endpoint_equal(&bound, &advertised));
    assert_true(endpoint_equal(&bound, &fake.config.swim.advertise));
    assert_int_equal(fake.config.swim.bind_port, bound.port);
    assert_false(fake.config.swim.advertise_mapped);
    poke();
    connect_to_node();
}

static void bound_to_every_address_a_private_one_is_advertised(void **state)
{
    struct node_config config = config_for("0.0.0.0");
    struct interface_table table;
    struct endpoint expected;
    (void)state;
    assert_true(interface_table_read(&table, &error));
    bool found = private_address_choose(&table, &expected);
    interface_table_fini(&table);
    world.node = node_new(world.loop, &config, &error);
    if (!found) {
        assert_null(world.node);
        assert_string_equal(buffer_text(&error),
                            "Failed to create memberlist: failed to get final advertise address: "
                            "no private IP address found, and explicit IP not provided");
        return;
    }
    assert_non_null(world.node);
    struct endpoint advertised = node_advertised(world.node), bound = node_bound(world.node);
    assert_true(endpoint_address_equal(&advertised, &expected));
    assert_int_equal(advertised.port, bound.port);
    assert_true(fake.config.swim.advertise_mapped);
}

static void a_public_address_without_encryption_is_warned_of(void **state)
{
    struct node_config config = config_for("127.0.0.1");
    (void)state;
    assert_true(endpoint_from_text(&config.serf.swim.advertise, "8.8.8.8", 0));
    world.node = node_new(world.loop, &config, &error);
    assert_non_null(world.node);
    assert_non_null(
        strstr(world.log, "3 memberlist: Binding to public address without encryption!\n"));
    assert_int_equal(node_advertised(world.node).port, node_bound(world.node).port);
}

static void a_port_in_use_is_named_in_the_references_words(void **state)
{
    struct node_config config = config_for("127.0.0.1");
    char expected[512];
    (void)state;
    start();
    unsigned port = config.bind_port = node_bound(world.node).port;
    assert_null(node_new(world.loop, &config, &error));
    snprintf(expected, sizeof expected,
             "Failed to create memberlist: could not set up network transport: failed to obtain "
             "an address: failed to start TCP listener on \"127.0.0.1\" port %u: listen tcp "
             "127.0.0.1:%u: bind: address already in use",
             port, port);
    assert_string_equal(buffer_text(&error), expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_effects_are_performed_by_the_loop),
        TEST(datagrams_go_in_and_leave_from_the_listening_port),
        TEST(a_datagram_that_the_system_refuses_is_reported),
        TEST(datagrams_that_have_arrived_come_before_a_timer_that_is_due),
        TEST(bytes_that_have_arrived_come_before_a_timer_that_is_due),
        TEST(an_accepted_stream_is_answered_and_closed_and_its_id_is_dead),
        TEST(the_end_of_a_peer_is_told),
        TEST(a_stream_that_the_core_refuses_is_closed),
        TEST(an_opened_stream_carries_both_ways),
        TEST(a_stream_that_can_not_be_opened_fails_with_the_reason),
        TEST(names_are_resolved),
        TEST(services_are_resolved),
        TEST(every_question_is_answered_when_memory_is_out),
        TEST(commands_are_answered_from_the_loop_when_memory_is_out),
        TEST(of_many_commands_without_memory_each_is_answered_once),
        TEST(a_provider_is_asked),
        TEST(without_providers_that_is_the_answer),
        TEST(commands_are_copied_and_answered_from_the_loop),
        TEST(the_node_may_be_freed_inside_any_callback),
        TEST(a_stop_is_told_after_the_step_that_caused_it),
        TEST(events_and_queries_are_passed_on_and_their_answers_come_from_the_loop),
        TEST(keys_are_changed_and_their_files_written_by_way_of_the_loop),
        TEST(the_bound_address_is_advertised_and_both_sockets_share_its_port),
        TEST(bound_to_every_address_a_private_one_is_advertised),
        TEST(a_public_address_without_encryption_is_warned_of),
        TEST(a_port_in_use_is_named_in_the_references_words),
    };
    return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}

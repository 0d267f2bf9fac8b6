/* The RPC server on a real loop and real loopback connections, with a member that is made up: its
 * commands end when the test says so. Waiting is for a condition, with an end. */
#include "capture.h"
#include "coordinate.h"
#include "rpc_notice.h"
#include "rpc_request.h"
#include "rpc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <unistd.h>
#include <cmocka.h>

#define PATIENCE_NS UINT64_C(20000000000)

/* --- the made-up member --- */

static struct {
    node_done *done; /* of the command that runs */
    void *context;
    unsigned joins, leaves, lefts;
    char tags[64];

    unsigned events, queries, cancels, responses;
    uint32_t last_query; /* asked; 0: the next one is refused */
    char question[128];  /* "name payload: nodes | tags, acks, relay, timeout" */
    uint32_t responded;  /* the query that was answered */
    char response[64];
    node_keys_done *keys_done;
    void *keys_context;
    enum key_operation key_operation;
    size_t key_size;
    bool inside; /* of a callback, where commands that return at once are not allowed */
} fake;

const struct serf *node_serf(const struct node *node)
{
    (void)node;
    return NULL;
}

enum serf_state serf_state(const struct serf *serf)
{
    (void)serf;
    return SERF_LEFT;
}

static struct member_view fake_member(void)
{
    static const uint8_t meta[] = {0xff, 0x81, 0xa4, 'r', 'o', 'l', 'e', 0xa2, 'd', 'b'};
    static const uint8_t address[] = {127, 0, 0, 2};
    struct member_view member = {
        .name = span_text("n2"),
        .address = span_make(address, 4),
        .meta = span_make(meta, sizeof meta),
        .versions = {1, 5, 2, 2, 5, 5},
        .status = STATUS_ALIVE,
    };
    endpoint_from_bytes(&member.endpoint, member.address, 7946);
    return member;
}

bool serf_next_member(const struct serf *serf, uint32_t *position, struct member_view *member)
{
    (void)serf;
    *member = fake_member();
    return (*position)++ == 0;
}

static void begin(node_done *done, void *context)
{
    assert_null(fake.done);
    fake.done = done;
    fake.context = context;
}

static void finish(bool ok, uint32_t count, const char *error)
{
    node_done *done = fake.done;
    fake.done = NULL;
    fake.inside = true;
    done(fake.context, ok, count, span_text(error));
    fake.inside = false;
}

void node_join(struct node *node, const struct span *addresses, size_t count, bool replay,
               node_done *done, void *context)
{
    (void)node, (void)addresses, (void)count, (void)replay;
    fake.joins++;
    begin(done, context);
}

void node_force_leave(struct node *node, struct span name, bool prune, node_done *done,
                      void *context)
{
    (void)node, (void)name, (void)prune;
    begin(done, context);
}

bool node_user_event(struct node *node, struct span name, struct span payload, bool coalesce,
                     struct buffer *error)
{
    (void)node, (void)payload, (void)coalesce;
    assert_false(fake.inside);
    fake.events++;
    if (!span_equal_text(name, "large"))
        return true;
    buffer_append_text(error, "user event exceeds configured limit of 512 bytes before encoding");
    return false;
}

uint32_t node_query(struct node *node, const struct serf_query_parameters *parameters,
                    struct buffer *error)
{
    (void)node;
    assert_false(fake.inside);
    fake.queries++;
    struct buffer text;
    buffer_init(&text, sizeof fake.question - 1);
    buffer_printf(&text, "%.*s %.*s:", SPAN_PRINT(parameters->name),
                  SPAN_PRINT(parameters->payload));
    for (size_t i = 0; i < parameters->node_count; i++)
        buffer_printf(&text, " %.*s", SPAN_PRINT(parameters->nodes[i]));
    buffer_append_text(&text, " |");
    for (size_t i = 0; i < parameters->tag_count; i++)
        buffer_printf(&text, " %.*s=%.*s", SPAN_PRINT(parameters->tags[i].key),
                      SPAN_PRINT(parameters->tags[i].value));
    buffer_printf(&text, ", %d, %d, %llu", parameters->acknowledge, parameters->relay_factor,
                  (unsigned long long)parameters->timeout);
    snprintf(fake.question, sizeof fake.question, "%s", buffer_text(&text));
    buffer_fini(&text);
    if (!span_equal_text(parameters->name, "large"))
        return ++fake.last_query;
    buffer_append_text(error, "query exceeds limit of 1024 bytes");
    return 0;
}

void node_query_cancel(struct node *node, uint32_t query)
{
    (void)node, (void)query;
    fake.cancels++;
}

bool node_respond(struct node *node, uint32_t query, struct span payload, struct buffer *error)
{
    (void)node;
    assert_false(fake.inside);
    bool first = fake.responded != query;
    fake.responded = query;
    fake.responses++;
    snprintf(fake.response, sizeof fake.response, "%.*s", SPAN_PRINT(payload));
    if (!first)
        buffer_append_text(error, "failed to respond to key query: response already sent");
    return first;
}

void node_keys(struct node *node, enum key_operation operation, struct span key,
               uint8_t relay_factor, node_keys_done *done, void *context)
{
    (void)node, (void)relay_factor;
    assert_null(fake.keys_done);
    fake.keys_done = done;
    fake.keys_context = context;
    fake.key_operation = operation;
    fake.key_size = key.size;
}

static struct coordinate fake_coordinate(void)
{
    return (struct coordinate){.vector = {1, 2}, .error = 0.5, .adjustment = 0.25, .height = 4};
}

bool serf_coordinate(const struct serf *serf, struct span name, struct coordinate *coordinate)
{
    (void)serf;
    *coordinate = fake_coordinate();
    return span_equal_text(name, "n2");
}

static void fake_stats(void *context, struct buffer *out)
{
    (void)context;
    msgpack_write_map(out, 0);
}

static void fake_set_tags(void *context, const struct tag *set, size_t set_count,
                          const struct span *deleted, size_t deleted_count, node_done *done,
                          void *done_context)
{
    (void)context;
    assert_int_equal(set_count, 1);
    assert_int_equal(deleted_count, 1);
    snprintf(fake.tags, sizeof fake.tags, "%.*s=%.*s -%.*s", SPAN_PRINT(set[0].key),
             SPAN_PRINT(set[0].value), SPAN_PRINT(deleted[0]));
    begin(done, done_context);
}

static void fake_leave(void *context, node_done *done, void *done_context)
{
    (void)context;
    fake.leaves++;
    begin(done, done_context);
}

static void fake_left(void *context)
{
    (void)context;
    fake.lefts++;
}

/* --- the server --- */

struct world {
    struct loop *loop;
    struct agent_log *log;
    struct rpc_server *server;
    int output;
    struct log_subscriber listener;
    struct buffer lines; /* everything that was logged */
};

static void remember(void *context, enum log_level level, struct span text)
{
    (void)level;
    struct world *world = context;
    buffer_append_span(&world->lines, text);
    buffer_append_u8(&world->lines, '\n');
}

static unsigned count_logged(struct world *world, const char *text)
{
    unsigned count = 0;
    const char *found = buffer_text(&world->lines);
    while ((found = strstr(found, text)) != NULL) {
        count++;
        found++;
    }
    return count;
}

static void world_open_at(struct world *world, const char *at, const char *auth_key)
{
    memset(&fake, 0, sizeof fake);
    *world = (struct world){.loop = loop_new(), .output = open("/dev/null", O_WRONLY)};
    world->log = agent_log_new(world->output, LOG_LEVEL_ERR);
    buffer_init(&world->lines, 64 * 1024 * 1024);
    world->listener = (struct log_subscriber){.line = remember, .context = world};
    agent_log_subscribe(world->log, &world->listener);
    struct buffer error;
    buffer_init(&error, 1024);
    const struct rpc_server_config config = {
        .loop = world->loop,
        .address = at,
        .auth_key = auth_key,
        .log = world->log,
        .stats = fake_stats,
        .set_tags = fake_set_tags,
        .leave = fake_leave,
        .left = fake_left,
    };
    world->server = rpc_server_new(&config, &error);
    assert_non_null(world->server);
    buffer_fini(&error);
}

static void world_open(struct world *world, const char *auth_key)
{
    world_open_at(world, "127.0.0.1:0", auth_key);
}

static void world_close(struct world *world)
{
    rpc_server_free(world->server);
    agent_log_unsubscribe(world->log, &world->listener);
    loop_free(world->loop);
    agent_log_free(world->log);
    buffer_fini(&world->lines);
    close(world->output);
}

/* --- a client --- */

struct peer {
    struct world *world;
    int descriptor;
    bool closed; /* by the server */
    struct buffer input;
    size_t used;
    uint64_t seq;
};

static void peer_connect(struct peer *peer, struct world *world)
{
    struct endpoint bound = rpc_server_bound(world->server);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(bound.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *peer = (struct peer){.world = world, .descriptor = socket(AF_INET, SOCK_STREAM, 0)};
    buffer_init(&peer->input, 64 * 1024 * 1024);
    assert_int_equal(connect(peer->descriptor, (struct sockaddr *)&address, sizeof address), 0);
}

static void peer_close(struct peer *peer)
{
    close(peer->descriptor);
    buffer_fini(&peer->input);
}

static void peer_send(struct peer *peer, struct span bytes)
{
    assert_int_equal(send(peer->descriptor, bytes.data, bytes.size, MSG_NOSIGNAL),
                     (ssize_t)bytes.size);
}

static void peer_request(struct peer *peer, enum rpc_command command, const void *body)
{
    const struct rpc_request_header header = {span_text(rpc_commands[command].name), ++peer->seq};
    struct buffer out;
    buffer_init(&out, RPC_REQUEST_SIZE_MAX);
    msgpack_write_structure(&out, &rpc_request_header_structure, MSGPACK_RPC, &header);
    if (rpc_commands[command].request)
        msgpack_write_structure(&out, rpc_commands[command].request, MSGPACK_RPC, body);
    peer_send(peer, buffer_span(&out));
    buffer_fini(&out);
}

static void turn(struct world *world)
{
    loop_turn(world->loop, false);
    poll(NULL, 0, 1);
}

static void peer_receive(struct peer *peer)
{
    uint8_t bytes[65536];
    ssize_t size = recv(peer->descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0)
        buffer_append(&peer->input, bytes, (size_t)size);
    peer->closed = size == 0 || (size < 0 && errno != EAGAIN);
}

/* The next object that the server sends; false when it closes instead. */
static bool peer_next(struct peer *peer, struct span *object)
{
    uint64_t end = loop_now() + PATIENCE_NS;
    while (loop_now() < end) {
        struct rpc_scanner scanner;
        rpc_scanner_init(&scanner, 64 * 1024 * 1024, 64 * 1024 * 1024);
        struct span rest = span_from(buffer_span(&peer->input), peer->used);
        if (rpc_scan(&scanner, rest) == MSGPACK_OK) {
            *object = span_make(rest.data, scanner.offset);
            peer->used += scanner.offset;
            return true;
        }
        if (peer->closed)
            return false;
        turn(peer->world);
        peer_receive(peer);
    }
    fail_msg("the server neither answers nor closes");
    return false;
}

static void expect_header(struct peer *peer, uint64_t seq, const char *error)
{
    struct span object;
    struct rpc_response_header header;
    assert_true(peer_next(peer, &object));
    struct msgpack_reader reader = msgpack_reader_of(object);
    assert_int_equal(msgpack_read_structure(&reader, &rpc_response_header_structure, &header),
                     MSGPACK_OK);
    assert_int_equal(header.seq, seq);
    char text[1024];
    snprintf(text, sizeof text, "%.*s", SPAN_PRINT(header.error));
    assert_string_equal(text, error);
}

static void expect_closed(struct peer *peer)
{
    struct span object;
    assert_false(peer_next(peer, &object));
}

/* Nothing more has been answered, after the server has had its turns. */
static void expect_silence(struct peer *peer)
{
    for (int i = 0; i < 20; i++)
        turn(peer->world);
    peer_receive(peer);
    assert_int_equal(peer->input.size, peer->used);
    assert_false(peer->closed);
}

static void peer_introduce(struct peer *peer, struct world *world)
{
    const struct rpc_handshake handshake = {RPC_VERSION};
    peer_connect(peer, world);
    peer_request(peer, RPC_HANDSHAKE, &handshake);
    expect_header(peer, 1, "");
}

static void wait_until(struct world *world, const unsigned *count)
{
    uint64_t end = loop_now() + PATIENCE_NS;
    while (*count == 0 && loop_now() < end)
        turn(world);
    assert_int_equal(*count, 1);
}

static void wait_logged(struct world *world, const char *text)
{
    uint64_t end = loop_now() + PATIENCE_NS;
    while (count_logged(world, text) == 0 && loop_now() < end)
        turn(world);
    if (count_logged(world, text) == 0)
        fail_msg("not logged: %s", text);
}

static uint8_t join_list[] = {0x91, 0xa9, '1', '2', '7', '.', '0', '.', '0', '.', '1'};

static struct rpc_join join_body(void)
{
    return (struct rpc_join){span_make(join_list, sizeof join_list), false};
}

/* --- the rules --- */

static void the_first_command_is_a_handshake(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_connect(&peer, &world);
    peer_request(&peer, RPC_MEMBERS, NULL);
    expect_header(&peer, 1, "Handshake required");
    expect_closed(&peer);
    peer_close(&peer);

    const struct rpc_handshake wrong = {2}, right = {1};
    peer_connect(&peer, &world);
    peer_request(&peer, RPC_HANDSHAKE, &wrong);
    expect_header(&peer, 1, "Unsupported IPC version");
    peer_request(&peer, RPC_HANDSHAKE, &right);
    expect_header(&peer, 2, "");
    peer_request(&peer, RPC_HANDSHAKE, &right);
    expect_header(&peer, 3, "Handshake already performed");
    peer_close(&peer);
    world_close(&world);
}

static void bodies_are_taken_with_their_command_before_auth(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct span body;
    world_open(&world, "secret");
    peer_introduce(&peer, &world);
    const struct rpc_join join = join_body();
    const struct rpc_auth wrong = {span_text("secrez")}, right = {span_text("secret")};
    peer_request(&peer, RPC_JOIN, &join);
    peer_request(&peer, RPC_AUTH, &wrong);
    peer_request(&peer, RPC_AUTH, &right);
    peer_request(&peer, RPC_MEMBERS, NULL);
    expect_header(&peer, 2, "Authentication required");
    expect_header(&peer, 3, "Invalid authentication token");
    expect_header(&peer, 4, "");
    expect_header(&peer, 5, "");
    assert_true(peer_next(&peer, &body));
    expect_silence(&peer);
    assert_int_equal(fake.joins, 0);
    assert_int_equal(count_logged(&world, "Client sending commands before auth"), 1);
    peer_close(&peer);
    world_close(&world);
}

static void members_are_the_captured_bytes(void **state)
{
    (void)state;
    static const char captured[] =
        "81a74d656d62657273918ba441646472c4047f000002ab44656c656761746543757205"
        "ab44656c65676174654d617805ab44656c65676174654d696e02a44e616d65a26e32a4506f7274cd1f0a"
        "ab50726f746f636f6c43757202ab50726f746f636f6c4d617805ab50726f746f636f6c4d696e01"
        "a6537461747573a5616c697665a45461677381a4726f6c65a26462";
    struct buffer wanted;
    struct world world;
    struct peer peer;
    struct span body;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    peer_request(&peer, RPC_MEMBERS, NULL);
    expect_header(&peer, 2, "");
    assert_true(peer_next(&peer, &body));
    buffer_init(&wanted, 1024);
    append_hex(&wanted, captured);
    assert_true(span_equal(body, buffer_span(&wanted)));
    buffer_fini(&wanted);
    peer_close(&peer);
    world_close(&world);
}

static void a_bad_regexp_is_answered_and_the_connection_lives(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct span body;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    struct rpc_members_filtered filter = {.name = span_text("(n)\\1")};
    peer_request(&peer, RPC_MEMBERS_FILTERED, &filter);
    expect_header(&peer, 2,
                  "Failed to compile regex: error parsing regexp: references back are not "
                  "supported: `^(n)\\1$`");
    assert_true(peer_next(&peer, &body));
    assert_int_equal(body.size, 10);
    filter.name = span_text("n.");
    peer_request(&peer, RPC_MEMBERS_FILTERED, &filter);
    expect_header(&peer, 3, "");
    assert_true(peer_next(&peer, &body));
    assert_true(body.size > 100);
    filter.name = span_text("zz");
    peer_request(&peer, RPC_MEMBERS_FILTERED, &filter);
    expect_header(&peer, 4, "");
    assert_true(peer_next(&peer, &body));
    assert_int_equal(body.size, 10);
    peer_close(&peer);
    world_close(&world);
}

static void a_slow_command_holds_up_its_own_connection_only(void **state)
{
    (void)state;
    struct world world;
    struct peer peer, other;
    struct span body;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    peer_introduce(&other, &world);
    const struct rpc_join join = join_body();
    peer_request(&peer, RPC_JOIN, &join);
    peer_request(&peer, RPC_STATS, NULL);
    wait_until(&world, &fake.joins);
    peer_request(&other, RPC_STATS, NULL);
    expect_header(&other, 2, "");
    assert_true(peer_next(&other, &body));
    expect_silence(&peer);
    finish(true, 1, "");
    expect_header(&peer, 2, "");
    assert_true(peer_next(&peer, &body));
    assert_memory_equal(body.data, "\x81\xa3Num\x01", 6);
    expect_header(&peer, 3, "");
    peer_close(&peer);
    peer_close(&other);
    world_close(&world);
}

static void a_client_may_vanish_while_its_command_runs(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_join join = join_body();
    peer_request(&peer, RPC_JOIN, &join);
    wait_until(&world, &fake.joins);
    const struct linger reset = {1, 0};
    setsockopt(peer.descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    peer_close(&peer);
    for (int i = 0; i < 20; i++)
        turn(&world);
    finish(false, 0, "nobody");
    for (int i = 0; i < 20; i++)
        turn(&world);
    world_close(&world);
}

static void a_command_may_still_run_when_the_server_goes(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_join join = join_body();
    peer_request(&peer, RPC_JOIN, &join);
    wait_until(&world, &fake.joins);
    world_close(&world);
    peer_close(&peer);
}

static void the_agent_is_told_after_the_leave_is_answered(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    peer_request(&peer, RPC_LEAVE, NULL);
    wait_until(&world, &fake.leaves);
    assert_int_equal(fake.lefts, 0);
    finish(true, 0, "");
    wait_until(&world, &fake.lefts);
    expect_header(&peer, 2, "");
    peer_close(&peer);

    fake.leaves = fake.lefts = 0;
    peer_introduce(&peer, &world);
    peer_request(&peer, RPC_LEAVE, NULL);
    wait_until(&world, &fake.leaves);
    peer_close(&peer);
    finish(true, 0, "");
    wait_until(&world, &fake.lefts);
    world_close(&world);
}

static void tags_are_handed_over(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_tags tags = {span_make("\x91\xa1z", 3), span_make("\x81\xa1x\xa1y", 5)};
    peer_request(&peer, RPC_TAGS, &tags);
    while (!fake.done)
        turn(&world);
    assert_string_equal(fake.tags, "x=y -z");
    finish(false, 0, "too long");
    expect_header(&peer, 2, "too long");
    peer_close(&peer);
    world_close(&world);
}

static void streams_get_the_events_that_they_want(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct span body;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_stream bad = {span_text("bogus")}, users = {span_text("user:deploy")};
    const struct rpc_stream failures = {span_text("member-failed")};
    peer_request(&peer, RPC_STREAM, &bad);
    expect_header(&peer, 2, "Invalid event filter");
    peer_request(&peer, RPC_STREAM, &users);
    expect_header(&peer, 3, "");
    peer_request(&peer, RPC_STREAM, &failures);
    expect_header(&peer, 4, "");
    peer.seq--;
    peer_request(&peer, RPC_STREAM, &users);
    expect_header(&peer, 4, "Stream with given sequence exists");
    struct member_view member = fake_member();
    rpc_server_user_event(world.server, 1, span_text("other"), SPAN_EMPTY, false);
    rpc_server_member_event(world.server, MEMBER_EVENT_JOIN, &member, 1);
    rpc_server_member_event(world.server, MEMBER_EVENT_FAILED, &member, 1);
    rpc_server_user_event(world.server, 1, span_text("deploy"), span_text("hello"), false);
    expect_header(&peer, 4, "");
    assert_true(peer_next(&peer, &body));
    assert_memory_equal(body.data,
                        "\x82\xa5"
                        "Event\xad"
                        "member-failed\xa7"
                        "Members\x91",
                        30);
    expect_header(&peer, 3, "");
    assert_true(peer_next(&peer, &body));
    assert_memory_equal(body.data,
                        "\x85\xa8"
                        "Coalesce\xc2\xa5"
                        "Event\xa4user",
                        21);
    const struct rpc_stop stop = {3};
    peer_request(&peer, RPC_STOP, &stop);
    expect_header(&peer, 5, "");
    rpc_server_user_event(world.server, 1, span_text("deploy"), span_text("hello"), false);
    expect_silence(&peer);
    peer_close(&peer);
    world_close(&world);
}

static void a_monitor_gets_the_ring_and_then_what_comes(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct span body;
    world_open(&world, "");
    agent_log_printf(world.log, LOG_LEVEL_WARN, "test: old");
    agent_log_printf(world.log, LOG_LEVEL_DEBUG, "test: below");
    peer_introduce(&peer, &world);
    const struct rpc_monitor bad = {span_text("loud")}, warnings = {span_text("warn")};
    peer_request(&peer, RPC_MONITOR, &bad);
    expect_header(&peer, 2, "Unknown log level: LOUD");
    peer_request(&peer, RPC_MONITOR, &warnings);
    expect_header(&peer, 3, "");
    expect_header(&peer, 3, "");
    assert_true(peer_next(&peer, &body));
    assert_non_null(memmem(body.data, body.size, "[WARN] test: old", 16));
    agent_log_printf(world.log, LOG_LEVEL_INFO, "test: below");
    agent_log_printf(world.log, LOG_LEVEL_ERR, "test: new");
    expect_header(&peer, 3, "");
    assert_true(peer_next(&peer, &body));
    assert_non_null(memmem(body.data, body.size, "[ERR] test: new", 15));
    peer_request(&peer, RPC_MONITOR, &warnings);
    expect_header(&peer, 4, "Monitor already exists");
    const struct rpc_stop stop = {3};
    peer_request(&peer, RPC_STOP, &stop);
    expect_header(&peer, 5, "");
    agent_log_printf(world.log, LOG_LEVEL_ERR, "test: newer");
    expect_silence(&peer);
    peer_close(&peer);
    world_close(&world);
}

/* Lines are written until the client's socket and its share of our memory are full; the notices
 * that follow come once a second, however many lines are dropped. */
static void a_slow_monitor_costs_one_notice_not_a_storm(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    char line[4096];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_monitor monitor = {span_text("info")};
    peer_request(&peer, RPC_MONITOR, &monitor);
    expect_header(&peer, 2, "");
    uint64_t start = loop_now();
    for (int i = 0; i < 6000; i++)
        agent_log_printf(world.log, LOG_LEVEL_INFO, "test: %s", line);
    uint64_t seconds = (loop_now() - start) / RPC_NOTICE_PERIOD_NS;
    /* the notice reaches the ring, where a second monitor finds it */
    struct peer other;
    struct span body;
    unsigned notices = 0;
    for (int i = 0; i < 3; i++)
        agent_log_printf(world.log, LOG_LEVEL_WARN, "test: last");
    peer_introduce(&other, &world);
    const struct rpc_monitor warnings = {span_text("warn")};
    peer_request(&other, RPC_MONITOR, &warnings);
    expect_header(&other, 2, "");
    for (unsigned last = 0; last < 3;) {
        expect_header(&other, 2, "");
        assert_true(peer_next(&other, &body));
        last += memmem(body.data, body.size, "test: last", 10) != NULL;
        notices += memmem(body.data, body.size, "Dropping logs to ipc.client", 27) != NULL;
    }
    assert_true(notices <= seconds + 1);
    peer_close(&other);
    peer_close(&peer);
    world_close(&world);
}

static void expect_body(struct peer *peer, const char *hex)
{
    struct span body;
    struct buffer wanted;
    assert_true(peer_next(peer, &body));
    buffer_init(&wanted, 4096);
    append_hex(&wanted, hex);
    if (!span_equal(body, buffer_span(&wanted))) {
        for (size_t i = 0; i < body.size; i++)
            print_error("%02x", body.data[i]);
        fail_msg(" is not %s", hex);
    }
    buffer_fini(&wanted);
}

static void run_turns(struct world *world)
{
    for (int i = 0; i < 20; i++)
        turn(world);
}

static void events_are_sent_or_refused_with_the_members_words(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_event event = {.name = span_text("deploy"), .payload = span_text("a\nb")};
    const struct rpc_event large = {.name = span_text("large"), .coalesce = true};
    peer_request(&peer, RPC_EVENT, &event);
    expect_header(&peer, 2, "");
    peer_request(&peer, RPC_EVENT, &large);
    expect_header(&peer, 3, "user event exceeds configured limit of 512 bytes before encoding");
    assert_int_equal(fake.events, 2);
    assert_int_equal(count_logged(&world, "[DEBUG] agent: Requesting user event send: deploy. "
                                          "Coalesced: false. Payload: \"a\\nb\""),
                     1);
    assert_int_equal(count_logged(&world, "[DEBUG] agent: Requesting user event send: large. "
                                          "Coalesced: true. Payload: \"\""),
                     1);
    assert_int_equal(count_logged(&world, "[WARN] agent: failed to send user event: user event "
                                          "exceeds configured limit"),
                     1);
    peer_close(&peer);
    world_close(&world);
}

/* The bytes are the specification's captures. */
static void a_query_is_answered_by_records_until_it_is_done(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_query query = {
        .filter_nodes = span_make("\x92\xa2n1\xa2n2", 7),
        .filter_tags = span_make("\x81\xa4role\xa1w", 8),
        .name = span_text("load"),
        .payload = span_text("pl"),
        .relay_factor = 3,
        .request_ack = true,
        .timeout = 300000000,
    };
    peer_request(&peer, RPC_QUERY, &query);
    expect_header(&peer, 2, "");
    assert_string_equal(fake.question, "load pl: n1 n2 | role=w, 1, 3, 300000000");
    uint32_t number = fake.last_query;
    rpc_server_query_ack(world.server, number, span_text("n1"));
    rpc_server_query_ack(world.server, number + 1, span_text("n1"));
    rpc_server_query_response(world.server, number, span_text("n1"), span_text("reply"));
    rpc_server_query_response(world.server, number, span_text("n2"), SPAN_EMPTY);
    rpc_server_query_done(world.server, number);
    rpc_server_query_ack(world.server, number, span_text("n2"));
    expect_header(&peer, 2, "");
    expect_body(&peer, "83a446726f6da26e31a75061796c6f6164c0a454797065a361636b");
    expect_header(&peer, 2, "");
    expect_body(&peer,
                "83a446726f6da26e31a75061796c6f6164c4057265706c79a454797065a8726573706f6e7365");
    expect_header(&peer, 2, "");
    expect_body(&peer, "83a446726f6da26e32a75061796c6f6164c400a454797065a8726573706f6e7365");
    expect_header(&peer, 2, "");
    expect_body(&peer, "83a446726f6da0a75061796c6f6164c0a454797065a4646f6e65");
    expect_silence(&peer);
    assert_int_equal(fake.cancels, 0);
    peer_close(&peer);
    run_turns(&world);
    assert_int_equal(fake.cancels, 0);
    world_close(&world);
}

static void queries_that_cannot_be_asked_are_refused(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    struct rpc_query query = {.name = span_text("large")};
    peer_request(&peer, RPC_QUERY, &query);
    expect_header(&peer, 2, "query exceeds limit of 1024 bytes");
    assert_int_equal(count_logged(&world, "[WARN] agent: failed to start user query: query exceeds "
                                          "limit of 1024 bytes"),
                     1);
    query.name = span_text("_serf_conflict");
    peer_request(&peer, RPC_QUERY, &query);
    expect_header(&peer, 3, "Queries cannot contain the '_serf_' prefix");
    query.name = span_text("_serf_ping");
    query.payload = span_text("x");
    peer_request(&peer, RPC_QUERY, &query);
    expect_header(&peer, 4, "Queries cannot contain the '_serf_' prefix");
    assert_int_equal(fake.queries, 1);
    query.payload = SPAN_EMPTY;
    peer_request(&peer, RPC_QUERY, &query);
    expect_header(&peer, 5, "");
    assert_int_equal(fake.queries, 2);
    query.filter_tags = span_make("\x81\xa1x\xa4(?=a", 8);
    peer_request(&peer, RPC_QUERY, &query);
    expect_header(&peer, 6,
                  "Failed to compile regex: error parsing regexp: invalid or unsupported Perl "
                  "syntax: `(?=a`");
    query.filter_tags = SPAN_EMPTY;
    query.timeout = -1;
    peer_request(&peer, RPC_QUERY, &query);
    expect_header(&peer, 7, "");
    assert_string_equal(fake.question, "_serf_ping : |, 0, 0, 1");
    query.filter_nodes = span_make("\x01", 1);
    peer_request(&peer, RPC_QUERY, &query);
    expect_closed(&peer);
    peer_close(&peer);
    world_close(&world);
}

static void the_queries_of_one_connection_are_limited_and_end_with_it(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_query query = {.name = span_text("q")};
    for (unsigned i = 0; i < RPC_OWN_QUERIES_MAX; i++) {
        peer_request(&peer, RPC_QUERY, &query);
        expect_header(&peer, 2 + i, "");
    }
    peer_request(&peer, RPC_QUERY, &query);
    expect_header(&peer, 2 + RPC_OWN_QUERIES_MAX,
                  "256 queries of this connection are in progress: no more at once");
    rpc_server_query_done(world.server, 7);
    expect_header(&peer, 8, "");
    expect_body(&peer, "83a446726f6da0a75061796c6f6164c0a454797065a4646f6e65");
    peer_request(&peer, RPC_QUERY, &query);
    expect_header(&peer, 3 + RPC_OWN_QUERIES_MAX, "");
    peer_close(&peer);
    run_turns(&world);
    assert_int_equal(fake.cancels, RPC_OWN_QUERIES_MAX);
    rpc_server_query_done(world.server, 8);
    world_close(&world);
    assert_int_equal(fake.cancels, RPC_OWN_QUERIES_MAX);
}

static void a_streamed_query_is_answered_under_the_connections_own_number(void **state)
{
    (void)state;
    struct world world;
    struct peer peer, other;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    peer_introduce(&other, &world);
    const struct rpc_stream loads = {span_text("query:load")}, all = {span_text("*")};
    peer_request(&peer, RPC_STREAM, &loads);
    expect_header(&peer, 2, "");
    peer_request(&other, RPC_STREAM, &all);
    expect_header(&other, 2, "");
    uint64_t soon = loop_now() + PATIENCE_NS;
    rpc_server_query(world.server, 70, 1, soon, span_text("other"), SPAN_EMPTY);
    rpc_server_query(world.server, 71, 1, soon, span_text("load"), span_text("pp"));
    expect_header(&peer, 2, "");
    expect_body(&peer, "85a54576656e74a57175657279a2494401a54c54696d6501a44e616d65a46c6f6164"
                       "a75061796c6f6164c4027070");
    struct span body;
    for (int i = 0; i < 2; i++) {
        expect_header(&other, 2, "");
        assert_true(peer_next(&other, &body));
    }
    struct rpc_respond respond = {.id = 2, .payload = span_text("42")};
    peer_request(&peer, RPC_RESPOND, &respond);
    expect_header(&peer, 3, "No pending queries matching ID");
    peer_request(&other, RPC_RESPOND, &respond);
    expect_header(&other, 3, "");
    assert_int_equal(fake.responded, 71);
    assert_string_equal(fake.response, "42");
    respond.id = 1;
    peer_request(&peer, RPC_RESPOND, &respond);
    expect_header(&peer, 4, "failed to respond to key query: response already sent");
    rpc_server_query(world.server, 72, 1, loop_now() - 1, span_text("load"), SPAN_EMPTY);
    expect_header(&peer, 2, "");
    assert_true(peer_next(&peer, &body));
    respond.id = 2;
    peer_request(&peer, RPC_RESPOND, &respond);
    expect_header(&peer, 5, "No pending queries matching ID");
    peer_close(&peer);
    peer_close(&other);
    world_close(&world);
}

static void of_too_many_open_queries_the_oldest_is_forgotten(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct span body;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_stream all = {span_text("query")};
    peer_request(&peer, RPC_STREAM, &all);
    expect_header(&peer, 2, "");
    for (uint32_t i = 1; i <= RPC_OPEN_QUERIES_MAX + 1; i++) {
        rpc_server_query(world.server, i, 1, loop_now() + PATIENCE_NS, span_text("q"), SPAN_EMPTY);
        expect_header(&peer, 2, "");
        assert_true(peer_next(&peer, &body));
    }
    struct rpc_respond respond = {.id = 1};
    peer_request(&peer, RPC_RESPOND, &respond);
    expect_header(&peer, 3, "No pending queries matching ID");
    for (respond.id = 2; respond.id <= RPC_OPEN_QUERIES_MAX + 1;
         respond.id += RPC_OPEN_QUERIES_MAX - 1) {
        peer_request(&peer, RPC_RESPOND, &respond);
        expect_header(&peer, peer.seq, "");
        assert_int_equal(fake.responded, respond.id);
    }
    peer_close(&peer);
    world_close(&world);
}

static void finish_keys(const struct key_report *report, const char *error)
{
    node_keys_done *done = fake.keys_done;
    fake.keys_done = NULL;
    fake.inside = true;
    done(fake.keys_context, report, span_text(error));
    fake.inside = false;
}

static void wait_for_keys(struct world *world)
{
    uint64_t end = loop_now() + PATIENCE_NS;
    while (!fake.keys_done && loop_now() < end)
        turn(world);
    assert_non_null(fake.keys_done);
}

static void key_commands_are_answered_with_what_each_member_said(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    struct rpc_key key = {span_text("AAECAwQFBgcICQoLDA0ODw==")};
    struct key_message message = {.node = span_text("n2"), .text = span_text("no")};
    struct key_count count = {.key = "k", .nodes = 200};
    const struct key_report failed = {
        .nodes = 2, .responses = 2, .errors = 1, .messages = &message, .message_count = 1};
    const struct key_report listed = {.nodes = 1, .responses = 1, .keys = &count, .key_count = 1};
    peer_request(&peer, RPC_USE_KEY, &key);
    wait_for_keys(&world);
    assert_int_equal(fake.key_operation, KEY_USE);
    assert_int_equal(fake.key_size, 16);
    assert_int_equal(count_logged(&world, "[INFO] agent: Initiating primary key change"), 1);
    finish_keys(&failed, "1/2 nodes reported failure");
    expect_header(&peer, 2, "1/2 nodes reported failure");
    expect_body(&peer, "85a44b657973c0a84d6573736167657381a26e32a26e6fa64e756d45727201"
                       "a84e756d4e6f64657302a74e756d5265737002");
    peer_request(&peer, RPC_LIST_KEYS, NULL);
    wait_for_keys(&world);
    assert_int_equal(fake.key_operation, KEY_LIST);
    finish_keys(&listed, "");
    expect_header(&peer, 3, "");
    expect_body(&peer, "85a44b65797381a16bccc8a84d6573736167657380a64e756d45727200"
                       "a84e756d4e6f64657301a74e756d5265737001");
    key.key = span_text("*");
    peer_request(&peer, RPC_INSTALL_KEY, &key);
    expect_header(&peer, 4, "illegal base64 data at input byte 0");
    expect_body(&peer, "85a44b657973c0a84d6573736167657380a64e756d45727200"
                       "a84e756d4e6f64657300a74e756d5265737000");
    assert_null(fake.keys_done);
    peer_close(&peer);
    world_close(&world);
}

static void coordinates_are_answered_as_gossip_writes_them(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct span body;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    struct rpc_get_coordinate node = {span_text("n2")};
    peer_request(&peer, RPC_GET_COORDINATE, &node);
    expect_header(&peer, 2, "");
    struct buffer wanted;
    struct coordinate coordinate = fake_coordinate();
    buffer_init(&wanted, 1024);
    coordinate_write(&wanted, &coordinate);
    assert_true(peer_next(&peer, &body));
    assert_memory_equal(body.data,
                        "\x82\xa5"
                        "Coord",
                        7);
    assert_memory_equal(body.data + 7, wanted.data + 1, wanted.size - 1);
    assert_memory_equal(body.data + 6 + wanted.size, "\xa2Ok\xc3", 4);
    assert_int_equal(body.size, 10 + wanted.size);
    buffer_fini(&wanted);
    node.node = span_text("nobody");
    peer_request(&peer, RPC_GET_COORDINATE, &node);
    expect_header(&peer, 3, "");
    expect_body(&peer, "82a5436f6f7264c0a24f6bc2");
    peer_close(&peer);
    world_close(&world);
}

/* The member takes no new commands from inside its callbacks. */
static void what_waited_for_a_command_runs_outside_of_its_callback(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct span body;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    const struct rpc_join join = join_body();
    const struct rpc_event event = {.name = span_text("e")};
    const struct rpc_query query = {.name = span_text("q")};
    peer_request(&peer, RPC_JOIN, &join);
    peer_request(&peer, RPC_EVENT, &event);
    peer_request(&peer, RPC_QUERY, &query);
    wait_until(&world, &fake.joins);
    expect_silence(&peer);
    finish(true, 1, "");
    expect_header(&peer, 2, "");
    assert_true(peer_next(&peer, &body));
    expect_header(&peer, 3, "");
    expect_header(&peer, 4, "");
    peer_close(&peer);
    world_close(&world);
}

static void a_unix_socket_serves_and_is_gone_with_the_server(void **state)
{
    (void)state;
    char directory[] = "/tmp/rpc-server-XXXXXX", at[64], wanted[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/rpc", directory);
    snprintf(at, sizeof at, "unix:%s/rpc", directory);
    struct world world;
    world_open_at(&world, at, "");
    struct peer peer = {.world = &world, .descriptor = socket(AF_UNIX, SOCK_STREAM, 0)};
    buffer_init(&peer.input, 1024 * 1024);
    assert_int_equal(connect(peer.descriptor, (struct sockaddr *)&address, sizeof address), 0);
    const struct rpc_handshake handshake = {RPC_VERSION};
    peer_request(&peer, RPC_HANDSHAKE, &handshake);
    expect_header(&peer, 1, "");
    snprintf(wanted, sizeof wanted, "Accepted client: unix pid %d uid %d", (int)getpid(),
             (int)getuid());
    assert_int_equal(count_logged(&world, wanted), 1);
    peer_close(&peer);
    world_close(&world);
    assert_int_equal(access(address.sun_path, F_OK), -1);
    assert_int_equal(rmdir(directory), 0);
}

/* Whoever reaches the port can provoke refusals, as fast as it can connect. */
static void refusals_cost_one_line_a_second_and_are_counted(void **state)
{
    (void)state;
    enum { REFUSED = 40 };
    struct world world;
    world_open(&world, "sesame");
    uint64_t start = loop_now();
    for (int i = 0; i < REFUSED; i++) {
        struct peer peer;
        peer_connect(&peer, &world);
        peer_send(&peer, span_text("GET / HTTP/1.1\r\n\r\n"));
        expect_closed(&peer);
        peer_close(&peer);
    }
    struct peer peer;
    peer_introduce(&peer, &world);
    peer_request(&peer, RPC_MEMBERS, NULL);
    expect_header(&peer, 2, "Authentication required");
    wait_logged(&world, "Client sending commands before auth");
    unsigned lines = count_logged(&world, "failed to decode request header");
    assert_true(lines >= 1 && lines <= (loop_now() - start) / RPC_NOTICE_PERIOD_NS + 1);
    assert_true(count_logged(&world, "more such lines since the last one)") >= 1);
    peer_close(&peer);
    world_close(&world);
}

/* Of all clients together, not of each. */
static void slow_clients_cost_one_line_a_second_together(void **state)
{
    (void)state;
    enum { SLOW = 12 };
    struct world world;
    struct peer slow[SLOW];
    char line[8000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    world_open(&world, "");
    const struct rpc_monitor monitor = {span_text("info")};
    for (int i = 0; i < SLOW; i++) {
        peer_introduce(&slow[i], &world);
        peer_request(&slow[i], RPC_MONITOR, &monitor);
        expect_header(&slow[i], 2, "");
    }
    uint64_t start = loop_now();
    for (int i = 0; i < 1500; i++) {
        agent_log_printf(world.log, LOG_LEVEL_INFO, "test: %s", line);
        loop_turn(world.loop, false);
    }
    wait_logged(&world, "more such lines since the last one)");
    unsigned told = count_logged(&world, "Dropping logs to ipc.client");
    assert_true(told <= (loop_now() - start) / RPC_NOTICE_PERIOD_NS + 1);
    /* A line about them is dropped for them too, which is no reason for the next one. */
    uint64_t end = loop_now() + 3 * RPC_NOTICE_PERIOD_NS;
    while (loop_now() < end)
        turn(&world);
    unsigned later = count_logged(&world, "Dropping logs to ipc.client");
    assert_true(later <= told + 1);
    for (int i = 0; i < SLOW; i++)
        peer_close(&slow[i]);
    world_close(&world);
}

static void garbage_and_unknown_commands_close_the_connection(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    world_open(&world, "");
    peer_connect(&peer, &world);
    peer_send(&peer, span_text("GET / HTTP/1.1\r\n\r\n"));
    expect_closed(&peer);
    peer_close(&peer);
    assert_int_equal(count_logged(&world, "failed to decode request header"), 1);

    peer_introduce(&peer, &world);
    peer_send(&peer, span_text("\x82\xa7"
                               "Command\xa5"
                               "bogus\xa3Seq\x07"));
    expect_header(&peer, 7, "Unsupported command");
    expect_closed(&peer);
    peer_close(&peer);

    peer_introduce(&peer, &world);
    const struct rpc_join wrong = {span_make("\x01", 1), false};
    peer_request(&peer, RPC_JOIN, &wrong);
    expect_closed(&peer);
    peer_close(&peer);
    /* the third refusal within a second is told at its end */
    wait_logged(&world, "Failed to evaluate request: decode failed");
    world_close(&world);
}

static void a_client_that_has_said_all_is_answered_then_closed(void **state)
{
    (void)state;
    struct world world;
    struct peer peer;
    struct span body;
    world_open(&world, "");
    peer_introduce(&peer, &world);
    peer_request(&peer, RPC_STATS, NULL);
    shutdown(peer.descriptor, SHUT_WR);
    expect_header(&peer, 2, "");
    assert_true(peer_next(&peer, &body));
    expect_closed(&peer);
    peer_close(&peer);
    world_close(&world);
}

static void the_number_of_clients_is_limited(void **state)
{
    (void)state;
    static struct peer peers[RPC_CLIENTS_MAX];
    struct world world;
    world_open(&world, "");
    for (int i = 0; i < RPC_CLIENTS_MAX; i++)
        peer_introduce(&peers[i], &world);
    struct peer more;
    peer_connect(&more, &world);
    expect_closed(&more);
    peer_close(&more);
    peer_close(&peers[0]);
    for (int i = 0; i < 20; i++)
        turn(&world);
    peer_introduce(&peers[0], &world);
    for (int i = 0; i < RPC_CLIENTS_MAX; i++)
        peer_close(&peers[i]);
    world_close(&world);
}

static void a_listener_that_fails_says_why(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, "");
    struct endpoint bound = rpc_server_bound(world.server);
    char address[ENDPOINT_TEXT_SIZE], wanted[128];
    endpoint_text(&bound, address);
    struct buffer error;
    buffer_init(&error, 1024);
    struct rpc_server_config config = {
        .loop = world.loop, .address = address, .auth_key = "", .log = world.log};
    assert_null(rpc_server_new(&config, &error));
    snprintf(wanted, sizeof wanted, "listen tcp %s: bind: address already in use", address);
    assert_string_equal(buffer_text(&error), wanted);
    buffer_reset(&error);
    config.address = "nowhere";
    assert_null(rpc_server_new(&config, &error));
    assert_string_equal(buffer_text(&error),
                        "listen tcp: address nowhere: missing port in address");
    buffer_fini(&error);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_command_is_a_handshake),
        cmocka_unit_test(bodies_are_taken_with_their_command_before_auth),
        cmocka_unit_test(members_are_the_captured_bytes),
        cmocka_unit_test(a_bad_regexp_is_answered_and_the_connection_lives),
        cmocka_unit_test(a_slow_command_holds_up_its_own_connection_only),
        cmocka_unit_test(a_client_may_vanish_while_its_command_runs),
        cmocka_unit_test(a_command_may_still_run_when_the_server_goes),
        cmocka_unit_test(the_agent_is_told_after_the_leave_is_answered),
        cmocka_unit_test(tags_are_handed_over),
        cmocka_unit_test(streams_get_the_events_that_they_want),
        cmocka_unit_test(a_monitor_gets_the_ring_and_then_what_comes),
        cmocka_unit_test(a_slow_monitor_costs_one_notice_not_a_storm),
        cmocka_unit_test(events_are_sent_or_refused_with_the_members_words),
        cmocka_unit_test(a_query_is_answered_by_records_until_it_is_done),
        cmocka_unit_test(queries_that_cannot_be_asked_are_refused),
        cmocka_unit_test(the_queries_of_one_connection_are_limited_and_end_with_it),
        cmocka_unit_test(a_streamed_query_is_answered_under_the_connections_own_number),
        cmocka_unit_test(of_too_many_open_queries_the_oldest_is_forgotten),
        cmocka_unit_test(key_commands_are_answered_with_what_each_member_said),
        cmocka_unit_test(coordinates_are_answered_as_gossip_writes_them),
        cmocka_unit_test(what_waited_for_a_command_runs_outside_of_its_callback),
        cmocka_unit_test(a_unix_socket_serves_and_is_gone_with_the_server),
        cmocka_unit_test(refusals_cost_one_line_a_second_and_are_counted),
        cmocka_unit_test(slow_clients_cost_one_line_a_second_together),
        cmocka_unit_test(garbage_and_unknown_commands_close_the_connection),
        cmocka_unit_test(a_client_that_has_said_all_is_answered_then_closed),
        cmocka_unit_test(the_number_of_clients_is_limited),
        cmocka_unit_test(a_listener_that_fails_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "virtual_network.h"

#include "snapshot.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum event_kind {
    EVENT_PACKET,
    EVENT_CONNECT,   /* a connect arrives at the acceptor */
    EVENT_CONNECTED, /* the answer arrives at the connector */
    EVENT_REFUSED,
    EVENT_DATA,
    EVENT_END,
    EVENT_RESOLVED,
};

struct network_event {
    uint64_t time, order;
    enum event_kind kind;
    uint32_t host, life; /* to whom */
    struct endpoint from;
    uint32_t connection;
    uint32_t number; /* stream, or request of a resolution */
    uint16_t port;
    uint8_t *bytes; /* owned */
    size_t size;
};

struct connection {
    uint32_t host[2], life[2]; /* 0: connector, 1: acceptor */
    uint32_t stream[2];
    uint64_t busy_until[2]; /* bytes arrive in order */
    bool open[2];
};

/* --- the heap of events --- */

static bool before(const struct network_event *a, const struct network_event *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static void push(struct network *network, struct network_event event)
{
    if (network->event_count == network->event_capacity) {
        network->event_capacity = network->event_capacity ? network->event_capacity * 2 : 64;
        network->events =
            realloc(network->events, network->event_capacity * sizeof *network->events);
        assert(network->events);
    }
    event.order = network->next_order++;
    size_t i = network->event_count++;
    while (i > 0 && before(&event, &network->events[(i - 1) / 2])) {
        network->events[i] = network->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    network->events[i] = event;
}

static struct network_event pop(struct network *network)
{
    struct network_event first = network->events[0];
    struct network_event last = network->events[--network->event_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= network->event_count)
            break;
        if (child + 1 < network->event_count &&
            before(&network->events[child + 1], &network->events[child]))
            child++;
        if (!before(&network->events[child], &last))
            break;
        network->events[i] = network->events[child];
        i = child;
    }
    if (network->event_count > 0)
        network->events[i] = last;
    return first;
}

static uint64_t arrival(struct network *network)
{
    return network->now + network->delay + random_below(&network->random, network->delay + 1);
}

/* --- construction --- */

struct network *network_new(uint64_t seed)
{
    struct network *network = calloc(1, sizeof *network);
    assert(network);
    uint8_t bytes[RANDOM_SEED_SIZE] = {0};
    memcpy(bytes, &seed, sizeof seed);
    random_init(&network->random, bytes);
    struct siphash_key key = {1, 2};
    intern_init(&network->pool, &key);
    network->now = SECONDS(1000);
    network->delay = NANOSECONDS_PER_MS / 2;
    endpoint_from_text(&network->service, "10.3.0.48", 7946);
    buffer_init(&network->trace, 1 << 28);
    return network;
}

void network_free(struct network *network)
{
    for (uint32_t i = 0; i < network->host_count; i++) {
        serf_free(network->hosts[i].serf);
        buffer_fini(&network->hosts[i].log);
        buffer_fini(&network->hosts[i].events);
        buffer_fini(&network->hosts[i].answers);
        buffer_fini(&network->hosts[i].snapshot);
        buffer_fini(&network->hosts[i].done_error);
    }
    for (size_t i = 0; i < network->event_count; i++)
        free(network->events[i].bytes);
    free(network->events);
    free(network->connections);
    buffer_fini(&network->trace);
    intern_fini(&network->pool);
    free(network);
}

struct serf_config network_config(void)
{
    struct serf_config config;
    serf_config_init(&config, swim_config_lan);
    config.coalesce_period = config.quiescent_period = 0;
    return config;
}

struct host *network_start(struct network *network, uint32_t number, const char *name,
                           const struct serf_config *given)
{
    assert(number < HOSTS_MAX);
    struct host *host = &network->hosts[number];
    assert(!host->serf);
    if (number >= network->host_count) {
        assert(number == network->host_count);
        network->host_count = number + 1;
        char address[32];
        snprintf(address, sizeof address, "10.0.0.%u", number + 1);
        endpoint_from_text(&host->endpoint, address, 7946);
        host->number = number;
        buffer_init(&host->log, 1 << 26);
        buffer_init(&host->events, 1 << 24);
        buffer_init(&host->answers, 1 << 24);
        buffer_init(&host->snapshot, 1 << 24);
        buffer_init(&host->done_error, 1 << 16);
    }
    struct serf_config config = given ? *given : network_config();
    snprintf(host->name, sizeof host->name, "%s", name);
    config.swim.name = span_text(host->name);
    config.swim.advertise = host->endpoint;
    uint8_t seed[RANDOM_SEED_SIZE];
    random_bytes(&network->random, seed, sizeof seed);
    host->life++;
    host->paused = host->stopped = false;
    struct buffer error;
    buffer_init(&error, 1024);
    struct snapshot snapshot;
    snapshot_init(&snapshot, &network->pool);
    config.time_of_day = network->now / NANOSECONDS_PER_S;
    if (config.record) {
        bool read =
            snapshot_read(&snapshot, buffer_span(&host->snapshot), network->rejoin_after_leave);
        assert(read);
        buffer_truncate(&host->snapshot, snapshot.complete_bytes);
        config.restored = &snapshot;
    }
    host->serf = serf_new(&config, &network->pool, seed, network->now, &error);
    snapshot_fini(&snapshot);
    if (!host->serf)
        fprintf(stderr, "%s: %s\n", name, buffer_text(&error));
    buffer_fini(&error);
    assert(host->serf);
    host_drain(network, host);
    return host;
}

/* The system of a process that is gone closes its connections: whoever is at the other end is told.
 */
static void reset_connections(struct network *network, const struct host *host)
{
    for (uint32_t i = 0; i < network->connection_count; i++)
        for (int end = 0; end < 2; end++) {
            struct connection *c = &network->connections[i];
            if (!c->open[end] || c->host[end] != host->number || c->life[end] != host->life)
                continue;
            c->open[end] = false;
            if (c->open[1 - end])
                push(network, (struct network_event){
                                  .kind = EVENT_REFUSED,
                                  .time = arrival(network),
                                  .host = c->host[1 - end],
                                  .life = c->life[1 - end],
                                  .number = c->stream[1 - end],
                                  .bytes = (uint8_t *)strdup("read: connection reset by peer")});
        }
}

void network_kill(struct network *network, struct host *host)
{
    reset_connections(network, host);
    serf_free(host->serf);
    host->serf = NULL;
    host->life++;
}

void network_move(struct network *network, struct host *host, const char *address)
{
    (void)network;
    endpoint_from_text(&host->endpoint, address, 7946);
}

void network_cut(struct network *network, struct host *a, struct host *b, bool packets,
                 bool streams)
{
    struct link_rule rule = {packets, streams};
    network->links[a->number][b->number] = rule;
    network->links[b->number][a->number] = rule;
}

void network_heal(struct network *network)
{
    memset(network->links, 0, sizeof network->links);
    network->packet_loss = 0;
}

/* --- effects --- */

static struct host *host_at(struct network *network, const struct endpoint *endpoint)
{
    for (uint32_t i = 0; i < network->host_count; i++)
        if (network->hosts[i].serf && endpoint_equal(&network->hosts[i].endpoint, endpoint))
            return &network->hosts[i];
    if (!endpoint_equal(endpoint, &network->service) || network->service_down)
        return NULL;
    uint32_t running[HOSTS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < network->host_count; i++)
        if (network->hosts[i].serf)
            running[count++] = i;
    return count ? &network->hosts[running[random_below(&network->random, count)]] : NULL;
}

static void send_packet(struct network *network, struct host *from, const struct effect *effect)
{
    struct host *to = host_at(network, &effect->packet.to);
    if (network->tracing) {
        char where[ENDPOINT_TEXT_SIZE];
        buffer_printf(&network->trace, "%llu %s %s %zu\n", (unsigned long long)network->now,
                      from->name, endpoint_text(&effect->packet.to, where),
                      effect->packet.datagram.size);
    }
    if (network->look)
        network->look(network->look_context, from, effect);
    if (!to || network->links[from->number][to->number].packets_lost ||
        random_unit(&network->random) < network->packet_loss)
        return;
    struct network_event event = {.kind = EVENT_PACKET,
                                  .time = arrival(network),
                                  .host = to->number,
                                  .life = to->life,
                                  .from = from->endpoint,
                                  .size = effect->packet.datagram.size};
    event.bytes = malloc(event.size + 1);
    assert(event.bytes);
    memcpy(event.bytes, effect->packet.datagram.data, event.size);
    push(network, event);
}

static void open_stream(struct network *network, struct host *from, const struct effect *effect)
{
    struct host *to = host_at(network, &effect->open.to);
    if (to && network->links[from->number][to->number].streams_lost)
        return; /* nothing comes back: the core's own deadline ends it */
    struct network_event event = {
        .time = arrival(network), .from = from->endpoint, .number = effect->open.stream};
    if (!to) {
        char where[ENDPOINT_TEXT_SIZE], text[128];
        snprintf(text, sizeof text, "dial tcp %s: connect: connection refused",
                 endpoint_text(&effect->open.to, where));
        event.kind = EVENT_REFUSED;
        event.host = from->number;
        event.life = from->life;
        event.bytes = (uint8_t *)strdup(text);
        push(network, event);
        return;
    }
    if (network->connection_count == network->connection_capacity) {
        network->connection_capacity =
            network->connection_capacity ? network->connection_capacity * 2 : 64;
        network->connections = realloc(network->connections,
                                       network->connection_capacity * sizeof *network->connections);
        assert(network->connections);
    }
    event.connection = network->connection_count++;
    network->connections[event.connection] = (struct connection){.host = {from->number, to->number},
                                                                 .life = {from->life, to->life},
                                                                 .stream = {effect->open.stream, 0},
                                                                 .open = {true, false}};
    event.kind = EVENT_CONNECT;
    event.host = to->number;
    event.life = to->life;
    push(network, event);
}

static struct connection *connection_of(struct network *network, const struct host *host,
                                        uint32_t stream, int *end)
{
    for (uint32_t i = network->connection_count; i-- > 0;)
        for (*end = 0; *end < 2; (*end)++) {
            struct connection *c = &network->connections[i];
            if (c->open[*end] && c->host[*end] == host->number && c->life[*end] == host->life &&
                c->stream[*end] == stream)
                return c;
        }
    return NULL;
}

static void send_on_stream(struct network *network, struct host *from, uint32_t stream,
                           struct span bytes, bool end_of_stream)
{
    int end;
    struct connection *c = connection_of(network, from, stream, &end);
    if (!c)
        return;
    struct host *to = &network->hosts[c->host[1 - end]];
    if (end_of_stream)
        c->open[end] = false;
    if (network->links[from->number][to->number].streams_lost)
        return;
    uint64_t time = arrival(network);
    if (time < c->busy_until[end])
        time = c->busy_until[end];
    c->busy_until[end] = time;
    struct network_event event = {.kind = end_of_stream ? EVENT_END : EVENT_DATA,
                                  .time = time,
                                  .host = to->number,
                                  .life = c->life[1 - end],
                                  .number = c->stream[1 - end],
                                  .connection = (uint32_t)(c - network->connections),
                                  .size = bytes.size};
    event.bytes = malloc(event.size + 1);
    assert(event.bytes);
    if (event.size)
        memcpy(event.bytes, bytes.data, event.size);
    push(network, event);
}

static void note_members(struct host *host, const struct effect *effect)
{
    buffer_append_text(&host->events, member_event_name(effect->members.type));
    for (size_t i = 0; i < effect->members.count; i++)
        buffer_printf(&host->events, " %.*s", SPAN_PRINT(effect->members.members[i].name));
    buffer_append_text(&host->events, "\n");
}

static void note_keys(struct host *host, const struct effect *effect)
{
    const struct key_report *report = effect->keys.report;
    buffer_printf(&host->answers, "keys %u nodes=%u responses=%u errors=%u error=%.*s",
                  effect->keys.command, report->nodes, report->responses, report->errors,
                  SPAN_PRINT(effect->keys.error));
    for (uint32_t i = 0; i < report->message_count; i++)
        buffer_printf(&host->answers, " [%.*s: %.*s]", SPAN_PRINT(report->messages[i].node),
                      SPAN_PRINT(report->messages[i].text));
    for (uint32_t i = 0; i < report->key_count; i++)
        buffer_printf(&host->answers, " %s=%u", report->keys[i].key, report->keys[i].nodes);
    for (uint32_t i = 0; i < report->primary_count; i++)
        buffer_printf(&host->answers, " primary %s=%u", report->primary_keys[i].key,
                      report->primary_keys[i].nodes);
    buffer_append_text(&host->answers, "\n");
}

static void perform(struct network *network, struct host *host, const struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_PACKET:
        send_packet(network, host, effect);
        break;
    case EFFECT_STREAM_OPEN:
        open_stream(network, host, effect);
        break;
    case EFFECT_STREAM_WRITE:
        send_on_stream(network, host, effect->write.stream, effect->write.bytes, false);
        break;
    case EFFECT_STREAM_CLOSE:
        send_on_stream(network, host, effect->close.stream, SPAN_EMPTY, true);
        break;
    case EFFECT_RESOLVE:
        push(network, (struct network_event){
                          .kind = EVENT_RESOLVED,
                          .time = arrival(network),
                          .host = host->number,
                          .life = host->life,
                          .number = effect->resolve.request,
                          .port = effect->resolve.port,
                          .size = effect->resolve.name.size,
                          .bytes = (uint8_t *)strndup((const char *)effect->resolve.name.data,
                                                      effect->resolve.name.size)});
        break;
    case EFFECT_LOG:
        buffer_append_span(&host->log, effect->log.text);
        buffer_append_text(&host->log, "\n");
        break;
    case EFFECT_MEMBER_EVENT:
        note_members(host, effect);
        break;
    case EFFECT_USER_EVENT:
        buffer_printf(&host->events, "user %.*s %.*s\n", SPAN_PRINT(effect->user.name),
                      SPAN_PRINT(effect->user.payload));
        break;
    case EFFECT_COMMAND_DONE:
        host->done_command = effect->done.command;
        host->done_ok = effect->done.ok;
        host->done_count = effect->done.count;
        buffer_reset(&host->done_error);
        buffer_append_span(&host->done_error, effect->done.error);
        break;
    case EFFECT_QUERY:
        buffer_printf(&host->events, "query %.*s %.*s from %.*s\n", SPAN_PRINT(effect->query.name),
                      SPAN_PRINT(effect->query.payload), SPAN_PRINT(effect->query.source));
        if (host->answer && host->query_count < 16)
            host->queries[host->query_count++] = effect->query.query;
        break;
    case EFFECT_QUERY_ACK:
        buffer_printf(&host->answers, "ack %u %.*s\n", effect->answer.query,
                      SPAN_PRINT(effect->answer.from));
        break;
    case EFFECT_QUERY_RESPONSE:
        buffer_printf(&host->answers, "answer %u %.*s ", effect->answer.query,
                      SPAN_PRINT(effect->answer.from));
        buffer_append_span(&host->answers, effect->answer.payload);
        buffer_append_text(&host->answers, "\n");
        break;
    case EFFECT_QUERY_DONE:
        buffer_printf(&host->answers, "done %u\n", effect->answer.query);
        break;
    case EFFECT_KEYRING_CHANGED:
        if (host->save_count < 16)
            host->saves[host->save_count++] = effect->keyring.query;
        break;
    case EFFECT_KEYS_DONE:
        note_keys(host, effect);
        break;
    case EFFECT_RECORD:
        buffer_append_span(&host->snapshot, effect->record.lines);
        break;
    case EFFECT_STOP:
        host->stopped = true;
        break;
    default:
        assert(false && "the core's own reports never reach a host");
    }
}

void host_drain(struct network *network, struct host *host)
{
    struct effect effect;
    for (;;) {
        while (host->serf && serf_next_effect(host->serf, &effect))
            perform(network, host, &effect);
        /* Answers are inputs: they wait until all effects have been taken. */
        if (host->serf && host->query_count > 0)
            serf_respond(host->serf, network->now, host->queries[--host->query_count],
                         span_text(host->answer), &host->done_error);
        else if (host->serf && host->save_count > 0)
            serf_keyring_saved(host->serf, network->now, host->saves[--host->save_count],
                               host->keyring_error);
        else
            return;
    }
}

/* --- running --- */

static void accept_connection(struct network *network, struct host *host,
                              const struct network_event *event)
{
    struct connection *c = &network->connections[event->connection];
    uint32_t stream = serf_stream_accepted(host->serf, network->now, &event->from);
    struct network_event answer = {.kind = stream ? EVENT_CONNECTED : EVENT_REFUSED,
                                   .time = arrival(network),
                                   .host = c->host[0],
                                   .life = c->life[0],
                                   .number = c->stream[0],
                                   .connection = event->connection};
    if (stream) {
        c->stream[1] = stream;
        c->open[1] = true;
    } else {
        answer.bytes = (uint8_t *)strdup("EOF");
    }
    push(network, answer);
}

static void resolve(struct network *network, struct host *host, const struct network_event *event)
{
    struct endpoint found[HOSTS_MAX];
    size_t count = 0;
    bool partly = false;
    const char *name = (const char *)event->bytes;
    if (strcmp(name, "serf") == 0) {
        found[count++] = network->service;
    } else if (strcmp(name, "headless") == 0 && network->stale_names) {
        count = network->stale_name_count;
        memcpy(found, network->stale_names, count * sizeof *found);
    } else if (strcmp(name, "partly") == 0) { /* itself, and others that could not be looked up */
        found[count++] = host->endpoint;
        partly = true;
    } else if (strcmp(name, "headless") == 0) {
        for (uint32_t i = 0; i < network->host_count; i++)
            if (network->hosts[i].serf)
                found[count++] = network->hosts[i].endpoint;
    }
    char error[128];
    snprintf(error, sizeof error, "lookup %s: no such host", name);
    (partly ? serf_resolved_in_part : serf_resolved)(host->serf, network->now, event->number, found,
                                                     count, error);
}

static void happen(struct network *network, struct network_event *event)
{
    struct host *host = &network->hosts[event->host];
    if (host->serf && host->life == event->life && host->paused) {
        event->time = network->now + NANOSECONDS_PER_MS; /* it waits in the socket */
        push(network, *event);
        return;
    }
    if (!host->serf || host->life != event->life) {
        free(event->bytes);
        return;
    }
    struct serf *serf = host->serf;
    struct span bytes = span_make(event->bytes, event->size);
    struct connection *c = &network->connections[event->connection];
    switch (event->kind) {
    case EVENT_PACKET:
        serf_packet(serf, network->now, &event->from, bytes);
        break;
    case EVENT_CONNECT:
        accept_connection(network, host, event);
        break;
    case EVENT_CONNECTED:
        serf_stream_opened(serf, network->now, event->number);
        break;
    case EVENT_REFUSED:
        serf_stream_failed(serf, network->now, event->number, (const char *)event->bytes);
        break;
    case EVENT_DATA:
        if (c->open[c->host[0] == event->host && c->stream[0] == event->number ? 0 : 1])
            serf_stream_data(serf, network->now, event->number, bytes);
        break;
    case EVENT_END:
        if (c->open[c->host[0] == event->host && c->stream[0] == event->number ? 0 : 1])
            serf_stream_ended(serf, network->now, event->number);
        break;
    case EVENT_RESOLVED:
        resolve(network, host, event);
        break;
    }
    host_drain(network, host);
    free(event->bytes);
}

/* The earliest thing to do; false when that is after `end`. */
static bool step(struct network *network, uint64_t end)
{
    uint64_t when = network->event_count ? network->events[0].time : UINT64_MAX;
    struct host *timed = NULL;
    for (uint32_t i = 0; i < network->host_count; i++) {
        struct host *host = &network->hosts[i];
        if (!host->serf || host->paused)
            continue;
        uint64_t deadline = serf_next_deadline(host->serf);
        if (deadline < network->now)
            deadline = network->now;
        if (deadline < when) {
            when = deadline;
            timed = host;
        }
    }
    if (when > end)
        return false;
    network->now = when;
    if (timed) {
        serf_advance(timed->serf, network->now);
        host_drain(network, timed);
    } else {
        struct network_event event = pop(network);
        happen(network, &event);
    }
    return true;
}

void network_run(struct network *network, uint64_t duration)
{
    uint64_t end = network->now + duration;
    while (step(network, end))
        ;
    network->now = end;
}

bool network_run_until(struct network *network, uint64_t limit,
                       bool (*condition)(struct network *network))
{
    uint64_t end = network->now + limit;
    while (!condition(network))
        if (!step(network, end))
            return condition(network);
    return true;
}

/* --- what tests do and ask --- */

uint32_t host_join(struct network *network, struct host *host, const char *address)
{
    struct span span = span_text(address);
    uint32_t command = serf_join(host->serf, network->now, &span, 1, false);
    host_drain(network, host);
    return command;
}

void host_retry_join(struct network *network, struct host *host, const char *address,
                     uint32_t max_attempts)
{
    struct span span = span_text(address);
    struct retry_join options = {
        .interval = SECONDS(30), .max_attempts = max_attempts, .watch = network->watch};
    serf_retry_join(host->serf, network->now, &span, 1, &options);
    host_drain(network, host);
}

uint32_t host_leave(struct network *network, struct host *host)
{
    uint32_t command = serf_leave(host->serf, network->now);
    host_drain(network, host);
    return command;
}

uint32_t host_force_leave(struct network *network, struct host *host, const char *name, bool prune)
{
    uint32_t command = serf_force_leave(host->serf, network->now, span_text(name), prune);
    host_drain(network, host);
    return command;
}

void host_deliver_from(struct network *network, struct host *host, const char *address,
                       struct span datagram)
{
    struct endpoint from;
    endpoint_from_text(&from, address, 7946);
    serf_packet(host->serf, network->now, &from, datagram);
    host_drain(network, host);
}

void host_deliver(struct network *network, struct host *host, struct span datagram)
{
    host_deliver_from(network, host, "10.9.9.9", datagram);
}

enum member_status host_sees(const struct host *host, const char *name)
{
    struct member_view member;
    return serf_find_member(host->serf, span_text(name), &member) ? member.status : STATUS_NONE;
}

uint32_t host_count(const struct host *host, enum member_status status)
{
    uint32_t position = 0, count = 0;
    struct member_view member;
    while (serf_next_member(host->serf, &position, &member))
        count += member.status == status;
    return count;
}

uint32_t host_logged_times(struct host *host, const char *text)
{
    uint32_t times = 0;
    for (const char *p = buffer_text(&host->log); (p = strstr(p, text)); p++)
        times++;
    return times;
}

bool host_logged(struct host *host, const char *text)
{
    return host_logged_times(host, text) > 0;
}

bool network_agrees(struct network *network)
{
    uint32_t running = 0;
    for (uint32_t i = 0; i < network->host_count; i++)
        running += network->hosts[i].serf != NULL;
    for (uint32_t i = 0; i < network->host_count; i++) {
        struct host *host = &network->hosts[i];
        if (!host->serf)
            continue;
        if (host_count(host, STATUS_ALIVE) != running)
            return false;
        for (uint32_t k = 0; k < network->host_count; k++)
            if (network->hosts[k].serf && host_sees(host, network->hosts[k].name) != STATUS_ALIVE)
                return false;
    }
    return true;
}

/* The virtual host. Each process has one wake-up in the queue that counts: when its deadline moves
 * to an earlier time a new one is added, and the old one finds that it is not the one any more;
 * when it moves to a later time the old one comes for nothing and is set again.
 *
 * A process that is stopped, or slow, does not run when something comes for it: datagrams fill the
 * socket's buffer, streams wait in the system. At its next turn it reads everything before it looks
 * at its timers, as the agent does. */
#include "simulation_internal.h"

#include "message.h"
#include "serf_message.h"
#include "snapshot.h"
#include "swim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t clock_origin = 1000 * NANOSECONDS_PER_S; /* of every machine's clock */
static const uint64_t name_delay = 1 * NANOSECONDS_PER_MS;     /* until a name is resolved */
static const uint64_t retry_interval = 30 * NANOSECONDS_PER_S; /* the agent's default */

enum {
    EVENT_DATAGRAM_SIZE = 128,
    SNAPSHOT_BYTES_MAX = 64 * 1024 * 1024,
};

/* --- construction --- */

static struct checker_limits limits_for(const struct serf_config *config, uint32_t members)
{
    return (struct checker_limits){
        .serf_queue = config->max_queue_depth + QUEUE_SLACK,
        .membership = members,
        .relays = RELAYS_MAX,
        .streams = config->swim.streams_max,
    };
}

static uint32_t new_address(struct simulation *simulation, uint32_t machine)
{
    if (simulation->address_count == simulation->address_capacity) {
        simulation->address_capacity += simulation->address_capacity / 2 + 16;
        simulation->owner_of = sim_resize(simulation->owner_of, simulation->address_capacity,
                                          sizeof *simulation->owner_of);
    }
    assert(simulation->address_count < ADDRESS_SERVICE);
    simulation->owner_of[simulation->address_count] = machine;
    return simulation->address_count++;
}

struct simulation *simulation_new(const struct simulation_config *config)
{
    assert(config->member_count >= 1 && config->member_count <= MEMBERS_MAX);
    struct simulation *simulation = sim_allocate(1, sizeof *simulation);
    uint8_t seed[RANDOM_SEED_SIZE] = "serf-sim";
    for (int i = 0; i < 8; i++)
        seed[8 + i] = (uint8_t)(config->seed >> (8 * i));
    random_init(&simulation->random, seed);
    struct siphash_key key = {1, 2};
    intern_init(&simulation->pool, &key);
    event_queue_init(&simulation->queue);
    slab_init(&simulation->slab);
    sim_trace_init(&simulation->trace, NULL);
    simulation->member_count = config->member_count;
    links_init(&simulation->links, config->member_count, &config->link);
    if (config->plane > 0)
        links_place(&simulation->links, &simulation->random, config->plane);
    simulation->names_lag = config->names_lag;
    memcpy(simulation->profiles, config->profiles, sizeof simulation->profiles);
    struct checker_limits limits = limits_for(&config->profiles[0], config->member_count);
    simulation->checker = checker_new(config->member_count, &config->bounds, &limits);
    simulation->machines = sim_allocate(config->member_count, sizeof *simulation->machines);
    simulation->up = sim_allocate(config->member_count, sizeof *simulation->up);
    simulation->up_position = sim_allocate(config->member_count, sizeof *simulation->up_position);
    new_address(simulation, UINT32_MAX - 1); /* 10.0.0.0 is nobody's */
    for (uint32_t i = 0; i < config->member_count; i++) {
        struct machine *machine = &simulation->machines[i];
        machine->number = i;
        machine->address = new_address(simulation, i);
        machine->profile = config->profile_of ? config->profile_of[i] : 0;
        machine->clock_offset = clock_origin;
        machine->wake_at = TIME_NEVER;
        machine->waiting_end = &machine->waiting;
        machine->ready_end = &machine->ready;
        buffer_init(&machine->snapshot, SNAPSHOT_BYTES_MAX);
    }
    return simulation;
}

static void drop_event(struct simulation *simulation, const struct event *event)
{
    switch (event_kind(event)) {
    case HAPPENS_DATAGRAM: {
        struct datagram *datagram = event->pointer;
        slab_give(&simulation->slab, datagram, sizeof *datagram + datagram->size);
        break;
    }
    case HAPPENS_STREAM:
        stream_abandon(simulation, event->pointer);
        break;
    case HAPPENS_RESOLVED:
        slab_give(&simulation->slab, event->pointer, sizeof(struct resolution));
        break;
    default:
        break;
    }
}

void simulation_free(struct simulation *simulation)
{
    if (!simulation)
        return;
    for (uint32_t i = 0; i < simulation->member_count; i++) {
        if (simulation->machines[i].serf)
            simulation_crash(simulation, i, true);
        buffer_fini(&simulation->machines[i].snapshot);
    }
    while (simulation->queue.count > 0) {
        struct event event = event_queue_pop(&simulation->queue);
        drop_event(simulation, &event);
    }
    checker_free(simulation->checker);
    links_fini(&simulation->links);
    event_queue_fini(&simulation->queue);
    slab_fini(&simulation->slab);
    intern_fini(&simulation->pool);
    free(simulation->machines);
    free(simulation->owner_of);
    free(simulation->up);
    free(simulation->up_position);
    free(simulation->listed);
    free(simulation);
}

/* --- who is up --- */

bool simulation_is_up(const struct simulation *simulation, uint32_t member)
{
    return simulation->machines[member].serf != NULL;
}

uint32_t simulation_any_up(struct simulation *simulation)
{
    if (simulation->up_count == 0)
        return UINT32_MAX;
    return simulation->up[random_below(&simulation->random, simulation->up_count)];
}

/* The name service hears of it, late. */
static void list_later(struct simulation *simulation, uint32_t member, bool runs)
{
    if (simulation->names_lag > 0)
        event_queue_push_number(&simulation->queue, simulation->now + simulation->names_lag,
                                HAPPENS_LISTED, simulation->machines[member].address, runs);
}

static void list(struct simulation *simulation, uint32_t address, bool runs)
{
    if (runs) {
        if (simulation->listed_count == simulation->listed_capacity) {
            simulation->listed_capacity += simulation->listed_capacity / 2 + 16;
            simulation->listed = sim_resize(simulation->listed, simulation->listed_capacity,
                                            sizeof *simulation->listed);
        }
        simulation->listed[simulation->listed_count++] = address;
        return;
    }
    for (uint32_t i = 0; i < simulation->listed_count; i++)
        if (simulation->listed[i] == address) {
            simulation->listed[i] = simulation->listed[--simulation->listed_count];
            return;
        }
}

static void come_up(struct simulation *simulation, uint32_t member)
{
    list_later(simulation, member, true);
    simulation->up_position[member] = simulation->up_count;
    simulation->up[simulation->up_count++] = member;
}

static void go_down(struct simulation *simulation, uint32_t member)
{
    list_later(simulation, member, false);
    uint32_t position = simulation->up_position[member];
    uint32_t last = simulation->up[--simulation->up_count];
    simulation->up[position] = last;
    simulation->up_position[last] = position;
}

struct endpoint simulation_endpoint(const struct simulation *simulation, uint32_t member)
{
    struct endpoint endpoint;
    address_endpoint(simulation->machines[member].address, &endpoint);
    return endpoint;
}

/* --- effects --- */

static void send_copy(struct simulation *simulation, const struct machine *machine, uint32_t to,
                      struct span bytes, uint64_t delay)
{
    struct datagram *datagram = slab_take(&simulation->slab, sizeof *datagram + bytes.size);
    datagram->from_address = machine->address;
    datagram->to_address = to;
    datagram->size = (uint32_t)bytes.size;
    memcpy(datagram->bytes, bytes.data, bytes.size);
    event_queue_push(&simulation->queue, simulation->now + delay, HAPPENS_DATAGRAM, datagram);
}

static void send_datagram(struct simulation *simulation, const struct machine *machine,
                          const struct effect *effect)
{
    struct span bytes = effect->packet.datagram;
    uint32_t address = address_number(&effect->packet.to);
    uint64_t delays[2];
    uint32_t copies = 0;
    if (address < simulation->address_count && simulation->owner_of[address] < MEMBERS_MAX)
        copies = links_send(&simulation->links, &simulation->random, machine->number,
                            simulation->owner_of[address], delays);
    for (uint32_t i = 0; i < copies; i++)
        send_copy(simulation, machine, address, bytes, delays[i]);
    simulation->counts.datagrams++;
    simulation->counts.datagram_bytes += bytes.size;
    simulation->counts.datagrams_lost += copies == 0;
    sim_trace_mix(&simulation->trace, (uint64_t)machine->number << 32 | address, bytes.size);
    if (simulation->trace.file) {
        char where[ENDPOINT_TEXT_SIZE];
        sim_trace_line(&simulation->trace, simulation->now, machine->number,
                       "datagram %s %zu bytes%s", endpoint_text(&effect->packet.to, where),
                       bytes.size,
                       copies == 0   ? " lost"
                       : copies == 2 ? " twice"
                                     : "");
    }
}

static void resolve(struct simulation *simulation, const struct machine *machine,
                    const struct effect *effect)
{
    struct resolution *resolution = slab_take(&simulation->slab, sizeof *resolution);
    *resolution = (struct resolution){.machine = machine->number,
                                      .life = machine->life,
                                      .request = effect->resolve.request,
                                      .port = effect->resolve.port};
    snprintf(resolution->host, sizeof resolution->host, "%.*s", SPAN_PRINT(effect->resolve.name));
    event_queue_push(&simulation->queue, simulation->now + name_delay, HAPPENS_RESOLVED,
                     resolution);
}

/* The version that a member's tags carry: the number in its tag "v", 0 without one. */
static uint32_t tag_version_of(struct span meta)
{
    struct tag_reader reader;
    struct span key, value;
    uint32_t version = 0;
    if (meta.size <= 2 || !tag_reader_open(&reader, meta))
        return 0;
    while (tag_reader_next(&reader, &key, &value))
        if (span_equal_text(key, "v"))
            for (size_t i = 0; i < value.size; i++)
                version = version * 10 + (uint32_t)(value.data[i] - '0');
    return version;
}

static void note_members(struct simulation *simulation, const struct machine *machine,
                         const struct effect *effect)
{
    for (size_t i = 0; i < effect->members.count; i++) {
        const struct member_view *member = &effect->members.members[i];
        uint32_t subject = machine_number(member->name);
        sim_trace_mix(&simulation->trace, (uint64_t)machine->number << 32 | subject,
                      effect->members.type);
        sim_trace_line(&simulation->trace, simulation->now, machine->number, "%s %.*s",
                       member_event_name(effect->members.type), SPAN_PRINT(member->name));
        checker_member_event(simulation->checker, simulation->now, machine->number,
                             effect->members.type, subject, tag_version_of(member->meta));
    }
}

static void note_user_event(struct simulation *simulation, const struct machine *machine,
                            const struct effect *effect)
{
    struct span payload = effect->user.payload;
    uint32_t event = payload.size == 4 ? read_u32(payload.data) : UINT32_MAX;
    sim_trace_mix(&simulation->trace, machine->number, event);
    sim_trace_line(&simulation->trace, simulation->now, machine->number, "user-event %u", event);
    checker_user_event(simulation->checker, simulation->now, machine->number, event);
}

/* Everybody answers with the number that it was asked. */
static void note_query(struct simulation *simulation, const struct machine *machine,
                       const struct effect *effect)
{
    uint8_t number[4];
    struct buffer error;
    if (effect->query.payload.size != sizeof number)
        return;
    memcpy(number, effect->query.payload.data, sizeof number);
    sim_trace_mix(&simulation->trace, machine->number, read_u32(number));
    sim_trace_line(&simulation->trace, simulation->now, machine->number, "query %u",
                   read_u32(number));
    checker_query(simulation->checker, simulation->now, machine->number, read_u32(number));
    buffer_init(&error, 256);
    serf_respond(machine->serf, machine_now(simulation, machine), effect->query.query,
                 span_make(number, sizeof number), &error);
    buffer_fini(&error);
}

static void note_answer(struct simulation *simulation, const struct machine *machine,
                        const struct effect *effect)
{
    uint32_t from = machine_number(effect->answer.from);
    sim_trace_mix(&simulation->trace, machine->number, from);
    if (effect->answer.payload.size == 4)
        checker_answer(simulation->checker, read_u32(effect->answer.payload.data), from);
}

static void note_command(struct simulation *simulation, const struct machine *machine,
                         const struct effect *effect)
{
    sim_trace_line(&simulation->trace, simulation->now, machine->number, "command %u %s%.*s",
                   effect->done.command,
                   effect->done.ok ? "ok" : "failed: ", SPAN_PRINT(effect->done.error));
    if (machine->leaving && effect->done.command == machine->leave_command && simulation->left)
        simulation->left(simulation->context, machine->number);
}

static void perform(struct simulation *simulation, struct machine *machine,
                    const struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_PACKET:
        send_datagram(simulation, machine, effect);
        break;
    case EFFECT_STREAM_OPEN:
        stream_open(simulation, machine, effect);
        break;
    case EFFECT_STREAM_WRITE:
        stream_write(simulation, machine, effect->write.stream, effect->write.bytes);
        break;
    case EFFECT_STREAM_CLOSE:
        stream_close(simulation, machine, effect->close.stream);
        break;
    case EFFECT_RESOLVE:
        resolve(simulation, machine, effect);
        break;
    case EFFECT_LOG:
        sim_trace_line(&simulation->trace, simulation->now, machine->number, "log %.*s",
                       SPAN_PRINT(effect->log.text));
        break;
    case EFFECT_MEMBER_EVENT:
        note_members(simulation, machine, effect);
        break;
    case EFFECT_USER_EVENT:
        note_user_event(simulation, machine, effect);
        break;
    case EFFECT_QUERY:
        note_query(simulation, machine, effect);
        break;
    case EFFECT_QUERY_RESPONSE:
        note_answer(simulation, machine, effect);
        break;
    case EFFECT_COMMAND_DONE:
        note_command(simulation, machine, effect);
        break;
    default:
        break; /* nobody here is told to stop: no policy has an end, no name is taken twice */
    }
}

static void set_wake(struct simulation *simulation, struct machine *machine)
{
    uint64_t deadline = serf_next_deadline(machine->serf);
    if (deadline == TIMER_NEVER || machine->paused)
        return;
    uint64_t time = deadline > machine_now(simulation, machine) ? deadline - machine->clock_offset
                                                                : simulation->now;
    if (time >= machine->wake_at)
        return;
    machine->wake_at = time;
    event_queue_push_number(&simulation->queue, time, HAPPENS_WAKE, machine->number, 0);
}

void machine_settle(struct simulation *simulation, struct machine *machine)
{
    struct effect effect;
    struct serf_stats stats;
    while (serf_next_effect(machine->serf, &effect))
        perform(simulation, machine, &effect);
    serf_stats(machine->serf, &stats);
    checker_stats(simulation->checker, simulation->now, machine->number, &stats);
    set_wake(simulation, machine);
}

/* --- turns of a process --- */

void machine_want_turn(struct simulation *simulation, struct machine *machine)
{
    if (machine->paused || machine->slow == 0 || machine->turn_queued)
        return;
    machine->turn_queued = true;
    uint64_t turn = (simulation->now / machine->slow + 1) * machine->slow;
    event_queue_push_number(&simulation->queue, turn, HAPPENS_TURN, machine->number, machine->life);
}

static void read_datagram(struct simulation *simulation, struct machine *machine,
                          struct datagram *datagram)
{
    struct endpoint from;
    address_endpoint(datagram->from_address, &from);
    simulation->counts.steps++;
    sim_trace_mix(&simulation->trace, simulation->now,
                  (uint64_t)machine->number << 32 | datagram->size);
    serf_packet(machine->serf, machine_now(simulation, machine), &from,
                span_make(datagram->bytes, datagram->size));
    slab_give(&simulation->slab, datagram, sizeof *datagram + datagram->size);
    machine_settle(simulation, machine);
}

static struct datagram *take_waiting(struct machine *machine)
{
    struct datagram *first = machine->waiting;
    machine->waiting = NULL;
    machine->waiting_end = &machine->waiting;
    machine->waiting_bytes = 0;
    return first;
}

static void advance(struct simulation *simulation, struct machine *machine)
{
    simulation->counts.steps++;
    sim_trace_mix(&simulation->trace, simulation->now, machine->number);
    serf_advance(machine->serf, machine_now(simulation, machine));
    machine_settle(simulation, machine);
}

/* The process runs after it did not: sockets first, then timers. */
static void take_turn(struct simulation *simulation, struct machine *machine)
{
    struct datagram *datagram = take_waiting(machine);
    while (datagram) {
        struct datagram *next = datagram->next;
        read_datagram(simulation, machine, datagram);
        datagram = next;
    }
    streams_read(simulation, machine);
    advance(simulation, machine);
}

/* --- what is due --- */

static void keep_datagram(struct simulation *simulation, struct machine *machine,
                          struct datagram *datagram)
{
    size_t charged = datagram->size + SOCKET_BUFFER_OVERHEAD;
    if (machine->waiting_bytes + charged > SOCKET_BUFFER_BYTES) {
        simulation->counts.datagrams_lost++;
        slab_give(&simulation->slab, datagram, sizeof *datagram + datagram->size);
        return;
    }
    machine->waiting_bytes += charged;
    datagram->next = NULL;
    *machine->waiting_end = datagram;
    machine->waiting_end = &datagram->next;
    machine_want_turn(simulation, machine);
}

static void datagram_arrives(struct simulation *simulation, struct datagram *datagram)
{
    uint32_t address = datagram->to_address;
    struct machine *machine = &simulation->machines[simulation->owner_of[address]];
    if (!machine->serf || machine->address != address) {
        simulation->counts.datagrams_lost++;
        slab_give(&simulation->slab, datagram, sizeof *datagram + datagram->size);
    } else if (machine_waits(machine)) {
        keep_datagram(simulation, machine, datagram);
    } else {
        read_datagram(simulation, machine, datagram);
    }
}

static void wake(struct simulation *simulation, struct machine *machine)
{
    if (machine->wake_at != simulation->now || !machine->serf)
        return;
    machine->wake_at = TIME_NEVER;
    if (machine_waits(machine))
        machine_want_turn(simulation, machine);
    else if (serf_next_deadline(machine->serf) > machine_now(simulation, machine))
        set_wake(simulation, machine);
    else
        advance(simulation, machine);
}

static uint32_t named_addresses(struct simulation *simulation, struct endpoint *endpoints)
{
    uint32_t count = 0;
    if (simulation->names_lag > 0) {
        for (; count < simulation->listed_count && count < RESOLVED_ADDRESSES_MAX; count++)
            address_endpoint(simulation->listed[count], &endpoints[count]);
        return count;
    }
    for (uint32_t i = 0; i < simulation->up_count && count < RESOLVED_ADDRESSES_MAX; i++)
        endpoints[count++] = simulation_endpoint(simulation, simulation->up[i]);
    return count;
}

static void answer_name(struct simulation *simulation, struct resolution *resolution)
{
    struct machine *machine = &simulation->machines[resolution->machine];
    struct endpoint endpoints[RESOLVED_ADDRESSES_MAX];
    uint32_t count = 0;
    char error[128];
    if (machine->serf && machine->life == resolution->life) {
        if (machine_waits(machine)) { /* it asks again when it runs */
            event_queue_push(&simulation->queue, simulation->now + 10 * name_delay,
                             HAPPENS_RESOLVED, resolution);
            return;
        }
        if (strcmp(resolution->host, "serf") == 0)
            address_endpoint(ADDRESS_SERVICE, &endpoints[count++]);
        else if (strcmp(resolution->host, "headless") == 0)
            count = named_addresses(simulation, endpoints);
        snprintf(error, sizeof error, "lookup %s: no such host", resolution->host);
        serf_resolved(machine->serf, machine_now(simulation, machine), resolution->request,
                      endpoints, count, error);
        machine_settle(simulation, machine);
    }
    slab_give(&simulation->slab, resolution, sizeof *resolution);
}

static void update_peace(struct simulation *simulation)
{
    bool peace = links_are_healthy(&simulation->links) && simulation->paused_count == 0 &&
                 simulation->slowed_count == 0;
    if (!peace && simulation->checker->peace)
        checker_disturbed(simulation->checker, simulation->now);
    else if (peace && !simulation->checker->peace)
        checker_peace(simulation->checker, simulation->now);
}

static void resume(struct simulation *simulation, struct machine *machine)
{
    if (!machine->paused || simulation->now < machine->pause_until)
        return;
    machine->paused = false;
    simulation->paused_count--;
    sim_trace_line(&simulation->trace, simulation->now, machine->number, "resumes");
    update_peace(simulation);
    if (machine->slow > 0)
        machine_want_turn(simulation, machine);
    else if (machine->serf)
        take_turn(simulation, machine);
}

static void become_fast(struct simulation *simulation, struct machine *machine)
{
    if (machine->slow == 0)
        return;
    simulation->slowed_count -= machine->slow_until > 0;
    machine->slow = machine->slow_until = 0;
    update_peace(simulation);
    if (machine->serf && !machine->paused)
        take_turn(simulation, machine);
}

static void happen(struct simulation *simulation, const struct event *event)
{
    enum happening kind = (enum happening)event_kind(event);
    struct machine *machine = kind == HAPPENS_WAKE || kind == HAPPENS_TURN ||
                                      kind == HAPPENS_RESUME || kind == HAPPENS_FAST
                                  ? &simulation->machines[event->number]
                                  : NULL;
    switch (kind) {
    case HAPPENS_DATAGRAM:
        datagram_arrives(simulation, event->pointer);
        break;
    case HAPPENS_STREAM:
        stream_arrives(simulation, event->pointer);
        break;
    case HAPPENS_RESOLVED:
        answer_name(simulation, event->pointer);
        break;
    case HAPPENS_SCHEDULED:
        simulation->happens(simulation->context, event->number, event->detail);
        break;
    case HAPPENS_LISTED:
        list(simulation, event->number, event->detail);
        break;
    case HAPPENS_WAKE:
        wake(simulation, machine);
        break;
    case HAPPENS_TURN:
        machine->turn_queued = false;
        if (machine->serf && !machine->paused)
            take_turn(simulation, machine);
        break;
    case HAPPENS_RESUME:
        resume(simulation, machine);
        break;
    case HAPPENS_FAST:
        if (machine->slow_until > 0 && simulation->now >= machine->slow_until)
            become_fast(simulation, machine);
        break;
    }
}

bool simulation_step(struct simulation *simulation, uint64_t end)
{
    uint64_t next = event_queue_next(&simulation->queue);
    uint64_t due = checker_next(simulation->checker);
    if (due < next && due <= end) {
        simulation->now = due > simulation->now ? due : simulation->now;
        checker_due(simulation->checker, simulation->now);
        return true;
    }
    if (next > end) {
        simulation->now = end;
        return false;
    }
    struct event event = event_queue_pop(&simulation->queue);
    simulation->now = event.time;
    happen(simulation, &event);
    return true;
}

void simulation_schedule(struct simulation *simulation, uint64_t time, uint32_t number,
                         uint32_t detail)
{
    event_queue_push_number(&simulation->queue, time, HAPPENS_SCHEDULED, number, detail);
}

/* --- lives --- */

static size_t write_tag(uint32_t version, char text[16], struct tag *tag)
{
    snprintf(text, 16, "%u", version);
    *tag = (struct tag){span_text("v"), span_text(text)};
    return version > 0 ? 1 : 0;
}

static struct serf *new_process(struct simulation *simulation, struct machine *machine)
{
    struct serf_config config = simulation->profiles[machine->profile];
    char name[MEMBER_NAME_SIZE], text[16];
    struct tag tag;
    struct buffer meta, error;
    uint8_t seed[RANDOM_SEED_SIZE];
    buffer_init(&meta, META_SIZE_MAX);
    buffer_init(&error, 1024);
    machine_name(machine->number, name);
    config.swim.name = span_text(name);
    config.swim.log_level = simulation->trace.file ? LOG_LEVEL_DEBUG : LOG_LEVEL_NONE;
    address_endpoint(machine->address, &config.swim.advertise);
    size_t tags = write_tag(machine->tag_version, text, &tag);
    if (tags > 0)
        serf_encode_tags(&meta, config.protocol_version, &tag, tags);
    config.swim.meta = buffer_span(&meta);
    random_bytes(&simulation->random, seed, sizeof seed);
    config.time_of_day = machine_now(simulation, machine) / NANOSECONDS_PER_S;
    struct snapshot snapshot;
    snapshot_init(&snapshot, &simulation->pool);
    if (machine->snapshot.size > 0 &&
        snapshot_read(&snapshot, buffer_span(&machine->snapshot), false))
        config.restored = &snapshot;
    struct serf *serf =
        serf_new(&config, &simulation->pool, seed, machine_now(simulation, machine), &error);
    if (!serf) {
        fprintf(stderr, "serf-sim: %s: %s\n", name, buffer_text(&error));
        exit(2);
    }
    snapshot_fini(&snapshot);
    buffer_fini(&meta);
    buffer_fini(&error);
    return serf;
}

void simulation_start(struct simulation *simulation, uint32_t member, bool new_address_wanted)
{
    struct machine *machine = &simulation->machines[member];
    if (machine->serf)
        return;
    if (new_address_wanted)
        machine->address = new_address(simulation, member);
    machine->silent = machine->leaving = false;
    machine->life++;
    machine->wake_at = TIME_NEVER;
    machine->serf = new_process(simulation, machine);
    come_up(simulation, member);
    sim_trace_line(&simulation->trace, simulation->now, member, "starts");
    checker_started(simulation->checker, simulation->now, member, machine->tag_version,
                    new_address_wanted);
    machine_settle(simulation, machine);
}

void simulation_remember(struct simulation *simulation, uint32_t member)
{
    struct machine *machine = &simulation->machines[member];
    buffer_reset(&machine->snapshot);
    if (machine->serf && !serf_write_snapshot(machine->serf, &machine->snapshot))
        buffer_reset(&machine->snapshot);
}

void simulation_forget(struct simulation *simulation, uint32_t member)
{
    buffer_fini(&simulation->machines[member].snapshot);
}

static void end_process(struct simulation *simulation, struct machine *machine)
{
    streams_end_life(simulation, machine);
    struct datagram *datagram = take_waiting(machine);
    while (datagram) {
        struct datagram *next = datagram->next;
        slab_give(&simulation->slab, datagram, sizeof *datagram + datagram->size);
        datagram = next;
    }
    serf_free(machine->serf);
    machine->serf = NULL;
    machine->life++;
    simulation->paused_count -= machine->paused;
    machine->paused = false;
    go_down(simulation, machine->number);
}

void simulation_crash(struct simulation *simulation, uint32_t member, bool silent)
{
    struct machine *machine = &simulation->machines[member];
    if (!machine->serf)
        return;
    machine->silent = silent;
    end_process(simulation, machine);
    sim_trace_line(&simulation->trace, simulation->now, member, silent ? "vanishes" : "crashes");
    checker_crashed(simulation->checker, simulation->now, member);
    update_peace(simulation);
}

void simulation_leave(struct simulation *simulation, uint32_t member)
{
    struct machine *machine = &simulation->machines[member];
    if (!machine->serf || machine->leaving || machine->paused)
        return;
    machine->leaving = true;
    sim_trace_line(&simulation->trace, simulation->now, member, "leaves");
    checker_leaving(simulation->checker, simulation->now, member);
    machine->leave_command = serf_leave(machine->serf, machine_now(simulation, machine));
    machine_settle(simulation, machine);
}

void simulation_stop(struct simulation *simulation, uint32_t member)
{
    struct machine *machine = &simulation->machines[member];
    if (!machine->serf || !machine->leaving)
        return;
    end_process(simulation, machine);
    sim_trace_line(&simulation->trace, simulation->now, member, "stops");
    checker_left(simulation->checker, simulation->now, member);
    update_peace(simulation);
}

void simulation_pause(struct simulation *simulation, uint32_t member, uint64_t duration)
{
    struct machine *machine = &simulation->machines[member];
    if (!machine->serf)
        return;
    uint64_t until = simulation->now + duration;
    if (!machine->paused)
        simulation->paused_count++;
    machine->paused = true;
    machine->pause_until = until > machine->pause_until ? until : machine->pause_until;
    sim_trace_line(&simulation->trace, simulation->now, member, "is stopped");
    event_queue_push_number(&simulation->queue, until, HAPPENS_RESUME, member, machine->life);
    update_peace(simulation);
}

void simulation_slow(struct simulation *simulation, uint32_t member, uint64_t turn,
                     uint64_t duration)
{
    struct machine *machine = &simulation->machines[member];
    become_fast(simulation, machine);
    if (turn == 0)
        return;
    machine->slow = turn;
    machine->slow_until = duration > 0 ? simulation->now + duration : 0;
    sim_trace_line(&simulation->trace, simulation->now, member, "is slow");
    if (duration > 0) {
        simulation->slowed_count++;
        event_queue_push_number(&simulation->queue, machine->slow_until, HAPPENS_FAST, member, 0);
    }
    update_peace(simulation);
}

void simulation_jump(struct simulation *simulation, uint32_t member, uint64_t by)
{
    struct machine *machine = &simulation->machines[member];
    machine->clock_offset += by;
    sim_trace_line(&simulation->trace, simulation->now, member, "clock leaps");
    if (simulation->checker->peace) {
        checker_disturbed(simulation->checker, simulation->now);
        checker_peace(simulation->checker, simulation->now);
    }
    if (machine->serf && !machine->paused)
        set_wake(simulation, machine);
}

void simulation_links_changed(struct simulation *simulation)
{
    update_peace(simulation);
}

/* --- commands --- */

static void write_number(uint32_t number, uint8_t bytes[4])
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

void simulation_change_tags(struct simulation *simulation, uint32_t member)
{
    struct machine *machine = &simulation->machines[member];
    char text[16];
    struct tag tag;
    if (!machine->serf || machine->leaving || machine->paused)
        return;
    machine->tag_version++;
    write_tag(machine->tag_version, text, &tag);
    sim_trace_line(&simulation->trace, simulation->now, member, "tags v=%u", machine->tag_version);
    checker_tags_changed(simulation->checker, simulation->now, member, machine->tag_version);
    serf_set_tags(machine->serf, machine_now(simulation, machine), &tag, 1);
    machine_settle(simulation, machine);
}

void simulation_user_event(struct simulation *simulation, uint32_t member)
{
    struct machine *machine = &simulation->machines[member];
    if (!machine->serf || machine_waits(machine))
        return;
    uint32_t event = checker_user_event_sent(simulation->checker, simulation->now);
    if (event == UINT32_MAX)
        return;
    struct serf_stats stats;
    serf_stats(machine->serf, &stats);
    uint8_t number[4];
    write_number(event, number);
    struct user_event_message message = {.ltime = stats.event_time,
                                         .name = span_text("simulated"),
                                         .payload = span_make(number, sizeof number)};
    struct buffer datagram;
    struct endpoint stranger;
    endpoint_from_text(&stranger, "10.255.0.1", MEMBER_PORT);
    buffer_init(&datagram, EVENT_DATAGRAM_SIZE);
    buffer_append_u8(&datagram, MESSAGE_USER);
    serf_message_write(&datagram, SERF_USER_EVENT, &user_event_structure, &message);
    sim_trace_line(&simulation->trace, simulation->now, member, "is handed user event %u", event);
    serf_packet(machine->serf, machine_now(simulation, machine), &stranger, buffer_span(&datagram));
    buffer_fini(&datagram);
    machine_settle(simulation, machine);
}

void simulation_query(struct simulation *simulation, uint32_t member)
{
    struct machine *machine = &simulation->machines[member];
    if (!machine->serf || machine_waits(machine) || machine->leaving)
        return;
    uint32_t query = checker_query_sent(simulation->checker, simulation->now, member);
    if (query == UINT32_MAX)
        return;
    uint8_t number[4];
    write_number(query, number);
    struct serf_query_parameters parameters = {.name = span_text("simulated"),
                                               .payload = span_make(number, sizeof number)};
    struct buffer error;
    buffer_init(&error, 256);
    sim_trace_line(&simulation->trace, simulation->now, member, "asks query %u", query);
    serf_query(machine->serf, machine_now(simulation, machine), &parameters, &error);
    buffer_fini(&error);
    machine_settle(simulation, machine);
}

void simulation_force_leave(struct simulation *simulation, uint32_t member, uint32_t other)
{
    struct machine *machine = &simulation->machines[member];
    char name[MEMBER_NAME_SIZE];
    if (!machine->serf || machine->leaving || machine->paused)
        return;
    machine_name(other, name);
    sim_trace_line(&simulation->trace, simulation->now, member, "forces %s to leave", name);
    checker_forced_left(simulation->checker, simulation->now, other);
    serf_force_leave(machine->serf, machine_now(simulation, machine), span_text(name), false);
    machine_settle(simulation, machine);
}

void simulation_join(struct simulation *simulation, uint32_t member, const struct span *addresses,
                     size_t count, bool once)
{
    struct machine *machine = &simulation->machines[member];
    if (!machine->serf || machine->leaving)
        return;
    uint64_t now = machine_now(simulation, machine);
    /* All addresses are of one cluster here, as in an image's Service. */
    static const struct retry_join options = {.interval = retry_interval, .watch = true};
    if (once)
        serf_join(machine->serf, now, addresses, count, false);
    else
        serf_retry_join(machine->serf, now, addresses, count, &options);
    machine_settle(simulation, machine);
}

void simulation_cross_check(struct simulation *simulation)
{
    for (uint32_t i = 0; i < simulation->up_count; i++) {
        const struct machine *machine = &simulation->machines[simulation->up[i]];
        for (uint32_t k = 0; k < simulation->member_count; k++) {
            char name[MEMBER_NAME_SIZE];
            struct member_view member;
            machine_name(k, name);
            bool known = serf_find_member(machine->serf, span_text(name), &member);
            checker_compare(simulation->checker, simulation->now, machine->number, k,
                            known ? member.status : STATUS_NONE);
        }
    }
}

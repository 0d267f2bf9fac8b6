/* Streams between machines: ordered bytes, as TCP carries them.
 *
 * What travels towards an end is a list of segments, each with the time of its arrival; only the
 * first has an event in the queue, so nothing overtakes. A segment that meets a blocked path is
 * sent again later and later, as TCP does; whether that is too late is for the core to say. A
 * machine's system answers connects and takes in bytes also while its process is stopped. */
#include "simulation_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum segment_kind {
    SEGMENT_CONNECT,
    SEGMENT_ACCEPTED,
    SEGMENT_REFUSED,
    SEGMENT_DATA,
    SEGMENT_END,
    SEGMENT_RESET,
};

struct segment {
    struct segment *next;
    uint64_t arrival;
    enum segment_kind kind;
    uint32_t size;
    uint8_t bytes[];
};

struct stream;

struct stream_end {
    struct stream *stream;
    uint32_t machine, life;
    uint32_t id;     /* the core's number; 0: not accepted by the process, or it is done with it */
    bool closed;     /* the process is done with it, or gone, or refused it */
    bool queued;     /* its first segment has an event in the queue */
    bool ready;      /* it stands in its machine's list of ends to be read */
    bool accepted;   /* the system has taken the connection in */
    uint32_t losses; /* of the first segment, in a row */
    struct segment *first, *last; /* on their way to this end */
    struct stream_end *next_ready;
    struct stream_end *next, **link; /* in the machine's list of open ends */
};

struct stream {
    struct stream_end ends[2]; /* the caller's and the called one's */
    uint32_t caller_address;
};

static struct stream_end *other_end(struct stream_end *end)
{
    struct stream *stream = end->stream;
    return &stream->ends[end == &stream->ends[0]];
}

static void drop_first(struct simulation *simulation, struct stream_end *end)
{
    struct segment *segment = end->first;
    end->first = segment->next;
    if (!end->first)
        end->last = NULL;
    slab_give(&simulation->slab, segment, sizeof *segment + segment->size);
}

/* Frees the stream once nobody has to do with it any more. */
static void release(struct simulation *simulation, struct stream *stream)
{
    for (int i = 0; i < 2; i++)
        if (!stream->ends[i].closed || stream->ends[i].queued || stream->ends[i].ready)
            return;
    for (int i = 0; i < 2; i++)
        while (stream->ends[i].first)
            drop_first(simulation, &stream->ends[i]);
    slab_give(&simulation->slab, stream, sizeof *stream);
}

static void queue_first(struct simulation *simulation, struct stream_end *end)
{
    if (end->queued || end->ready || !end->first)
        return;
    end->queued = true;
    uint64_t time = end->first->arrival;
    event_queue_push(&simulation->queue, time > simulation->now ? time : simulation->now,
                     HAPPENS_STREAM, end);
}

/* Sends a segment towards an end. */
static void send_segment(struct simulation *simulation, struct stream_end *to,
                         enum segment_kind kind, struct span bytes)
{
    if (to->closed)
        return;
    struct segment *segment = slab_take(&simulation->slab, sizeof *segment + bytes.size);
    *segment = (struct segment){
        .arrival = simulation->now + links_stream_delay(&simulation->links, &simulation->random,
                                                        other_end(to)->machine, to->machine),
        .kind = kind,
        .size = (uint32_t)bytes.size,
    };
    if (bytes.size)
        memcpy(segment->bytes, bytes.data, bytes.size);
    if (to->last) {
        if (segment->arrival < to->last->arrival)
            segment->arrival = to->last->arrival;
        to->last->next = segment;
    } else {
        to->first = segment;
    }
    to->last = segment;
    simulation->counts.stream_bytes += bytes.size;
    queue_first(simulation, to);
}

/* --- the process's open ends --- */

static void register_end(struct machine *machine, struct stream_end *end, uint32_t id)
{
    end->id = id;
    if (!number_map_insert(&machine->streams, id, end))
        abort();
    end->next = machine->ends;
    end->link = &machine->ends;
    if (end->next)
        end->next->link = &end->next;
    machine->ends = end;
}

static void unregister_end(struct machine *machine, struct stream_end *end)
{
    end->closed = true;
    if (end->id == 0)
        return;
    number_map_remove(&machine->streams, end->id);
    *end->link = end->next;
    if (end->next)
        end->next->link = end->link;
    end->id = 0;
}

/* --- what the core wants --- */

/* Whom a connect leads to; UINT32_MAX: nobody has that address now. */
static uint32_t called_machine(struct simulation *simulation, const struct endpoint *to)
{
    uint32_t address = address_number(to);
    if (address == ADDRESS_SERVICE)
        return simulation_any_up(simulation);
    if (address >= simulation->address_count)
        return UINT32_MAX;
    uint32_t machine = simulation->owner_of[address];
    return simulation->machines[machine].address == address ? machine : UINT32_MAX;
}

void stream_open(struct simulation *simulation, struct machine *machine,
                 const struct effect *effect)
{
    uint32_t called = called_machine(simulation, &effect->open.to);
    simulation->counts.streams++;
    sim_trace_mix(&simulation->trace, machine->number, called);
    struct stream *stream = slab_take(&simulation->slab, sizeof *stream);
    *stream = (struct stream){.caller_address = machine->address};
    struct stream_end *caller = &stream->ends[0], *answerer = &stream->ends[1];
    caller->stream = answerer->stream = stream;
    caller->machine = machine->number;
    caller->life = machine->life;
    register_end(machine, caller, effect->open.stream);
    answerer->machine = called;
    if (called == UINT32_MAX) {
        /* Nobody is there: the core's own deadline ends it. Behind the service there is always
         * something that refuses. */
        answerer->closed = true;
        answerer->machine = machine->number;
        if (address_number(&effect->open.to) == ADDRESS_SERVICE)
            send_segment(simulation, caller, SEGMENT_REFUSED, SPAN_EMPTY);
        return;
    }
    send_segment(simulation, answerer, SEGMENT_CONNECT, SPAN_EMPTY);
}

void stream_write(struct simulation *simulation, struct machine *machine, uint32_t id,
                  struct span bytes)
{
    struct stream_end *end = number_map_find(&machine->streams, id);
    sim_trace_mix(&simulation->trace, id, bytes.size);
    if (end)
        send_segment(simulation, other_end(end), SEGMENT_DATA, bytes);
}

void stream_close(struct simulation *simulation, struct machine *machine, uint32_t id)
{
    struct stream_end *end = number_map_find(&machine->streams, id);
    if (!end)
        return;
    unregister_end(machine, end);
    send_segment(simulation, other_end(end), SEGMENT_END, SPAN_EMPTY);
    release(simulation, end->stream);
}

void streams_end_life(struct simulation *simulation, struct machine *machine)
{
    while (machine->ends) {
        struct stream_end *end = machine->ends;
        unregister_end(machine, end);
        if (!machine->silent)
            send_segment(simulation, other_end(end), SEGMENT_RESET, SPAN_EMPTY);
        release(simulation, end->stream);
    }
    number_map_fini(&machine->streams);
    machine->streams = (struct number_map){0};
    while (machine->ready) { /* also those that the process never accepted */
        struct stream_end *end = machine->ready;
        machine->ready = end->next_ready;
        end->ready = false;
        if (!end->closed) {
            end->closed = true;
            if (!machine->silent)
                send_segment(simulation, other_end(end), SEGMENT_RESET, SPAN_EMPTY);
        }
        release(simulation, end->stream);
    }
    machine->ready_end = &machine->ready;
    machine->unaccepted = 0;
}

void stream_abandon(struct simulation *simulation, struct stream_end *end)
{
    end->queued = false;
    end->closed = true;
    release(simulation, end->stream);
}

/* --- arriving --- */

/* The system at the called address answers a connect. True when it takes it in. */
static bool system_accepts(struct simulation *simulation, struct stream_end *end)
{
    struct machine *machine = &simulation->machines[end->machine];
    if (other_end(end)->closed || machine->silent) {
        end->closed = true; /* nobody waits, or nobody answers */
    } else if (!machine->serf) {
        end->closed = true;
        send_segment(simulation, other_end(end), SEGMENT_REFUSED, SPAN_EMPTY);
    } else if (machine->unaccepted >= ACCEPT_BACKLOG) {
        end->first->arrival = simulation->now + links_retransmit_wait(end->losses++, true);
    } else {
        machine->unaccepted++;
        end->accepted = true;
        end->life = machine->life;
        send_segment(simulation, other_end(end), SEGMENT_ACCEPTED, SPAN_EMPTY);
    }
    return end->accepted;
}

static void accept_by_process(struct simulation *simulation, struct machine *machine,
                              struct stream_end *end)
{
    struct endpoint from;
    address_endpoint(end->stream->caller_address, &from);
    machine->unaccepted--;
    uint32_t id = serf_stream_accepted(machine->serf, machine_now(simulation, machine), &from);
    if (id != 0) {
        register_end(machine, end, id);
        return;
    }
    end->closed = true;
    send_segment(simulation, other_end(end), SEGMENT_END, SPAN_EMPTY);
}

/* The process takes the first segment. */
static void read_first(struct simulation *simulation, struct machine *machine,
                       struct stream_end *end)
{
    uint64_t now = machine_now(simulation, machine);
    const struct segment *segment = end->first;
    uint32_t id = end->id;
    simulation->counts.steps++;
    sim_trace_mix(&simulation->trace, simulation->now ^ segment->kind,
                  (uint64_t)machine->number << 32 | id);
    switch (segment->kind) {
    case SEGMENT_CONNECT:
        accept_by_process(simulation, machine, end);
        break;
    case SEGMENT_ACCEPTED:
        serf_stream_opened(machine->serf, now, id);
        break;
    case SEGMENT_DATA:
        serf_stream_data(machine->serf, now, id, span_make(segment->bytes, segment->size));
        break;
    case SEGMENT_END:
        serf_stream_ended(machine->serf, now, id);
        break;
    case SEGMENT_REFUSED:
        unregister_end(machine, end);
        serf_stream_failed(machine->serf, now, id, "connect: connection refused");
        break;
    case SEGMENT_RESET:
        unregister_end(machine, end);
        serf_stream_failed(machine->serf, now, id, "read: connection reset by peer");
        break;
    }
    drop_first(simulation, end);
    /* The effects of this call may close the end; it lives on until this has been read. */
    machine_settle(simulation, machine);
}

static void become_ready(struct machine *machine, struct stream_end *end)
{
    if (end->ready)
        return;
    end->ready = true;
    end->next_ready = NULL;
    *machine->ready_end = end;
    machine->ready_end = &end->next_ready;
}

static bool is_blocked(struct simulation *simulation, struct stream_end *end)
{
    return links_blocked(&simulation->links, other_end(end)->machine, end->machine);
}

/* The system took the connection in for a process that is gone by now. */
static bool has_no_process(const struct machine *machine, const struct stream_end *end)
{
    return end->accepted && end->life != machine->life;
}

static void reset_by_system(struct simulation *simulation, struct stream_end *end)
{
    end->closed = true;
    if (!simulation->machines[end->machine].silent)
        send_segment(simulation, other_end(end), SEGMENT_RESET, SPAN_EMPTY);
}

/* Whether the first segment has reached the machine; if not, it is sent again, or given up. */
static bool gets_through(struct simulation *simulation, struct stream_end *end)
{
    if (end->first->arrival > simulation->now)
        return false;
    bool connect = end->first->kind == SEGMENT_CONNECT && !end->accepted;
    if (!is_blocked(simulation, end)) {
        end->losses = connect ? end->losses : 0;
        return !connect || system_accepts(simulation, end);
    }
    end->first->arrival = simulation->now + links_retransmit_wait(end->losses++, connect);
    if (connect && other_end(end)->closed)
        end->closed = true; /* the caller has given up */
    return false;
}

void stream_arrives(struct simulation *simulation, struct stream_end *end)
{
    struct machine *machine = &simulation->machines[end->machine];
    end->queued = false;
    if (!end->closed && has_no_process(machine, end))
        reset_by_system(simulation, end);
    if (!end->closed && gets_through(simulation, end)) {
        if (machine_waits(machine)) {
            become_ready(machine, end);
            machine_want_turn(simulation, machine);
        } else {
            end->ready = true; /* it must outlive the call */
            read_first(simulation, machine, end);
            end->ready = false;
        }
    }
    if (!end->closed)
        queue_first(simulation, end);
    release(simulation, end->stream);
}

void streams_read(struct simulation *simulation, struct machine *machine)
{
    struct stream_end *end = machine->ready;
    machine->ready = NULL;
    machine->ready_end = &machine->ready;
    while (end) {
        struct stream_end *next = end->next_ready;
        while (!end->closed && end->first && end->first->arrival <= simulation->now &&
               !is_blocked(simulation, end))
            read_first(simulation, machine, end);
        end->ready = false;
        if (!end->closed)
            queue_first(simulation, end);
        release(simulation, end->stream);
        end = next;
    }
}

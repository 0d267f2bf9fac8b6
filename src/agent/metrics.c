/* Names are the reference's where it has the number too, so that dashboards go on. What only a
 * garbage-collected runtime has is left out; the three of its gauges that have a meaning here
 * (threads, bytes allocated, bytes taken from the system) are kept under their names. */
#include "metrics.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>

void agent_metrics_fini(struct agent_metrics *metrics)
{
    name_counts_fini(&metrics->scripts);
    for (size_t i = 0; i < NAMED_METRIC_SLOTS; i++)
        free(metrics->script_times[i]);
    *metrics = (struct agent_metrics){0};
}

void agent_metrics_script_ran(struct agent_metrics *metrics, struct span script, uint64_t duration)
{
    struct measurements **times =
        &metrics->script_times[name_counts_place(&metrics->scripts, script)];
    if (!*times)
        *times = calloc(1, sizeof **times);
    if (*times)
        measure(*times, duration);
}

/* --- the table --- */

enum source { FROM_SWIM, FROM_SERF, FROM_NODE, FROM_AGENT, FROM_STATS, FROM_GAUGES };

/* Gauges are made when they are asked for. */
struct gauges {
    double health, alive, suspect, dead, left;
    double members, failed_members, left_members, live_members;
    double intents, events, queries, broadcasts;
    double threads, allocated_bytes, system_bytes;
    double encrypted;
    double sends_plaintext, accepts_plaintext, sends_unlabelled, accepts_unlabelled;
};

struct description {
    enum metric_kind kind;
    enum metric_unit unit;
    const char *name, *page_name, *page_label, *help;
    enum source source;
    size_t offset;
};

/* clang-format off */
#define SWIM(kind, unit, name, page, help, field) \
    {kind, unit, name, page, NULL, help, FROM_SWIM, offsetof(struct swim_metrics, field)}
#define SERF(kind, unit, name, page, help, field) \
    {kind, unit, name, page, NULL, help, FROM_SERF, offsetof(struct serf_metrics, field)}
#define NODE(unit, name, page, help, field) \
    {METRIC_MEASUREMENTS, unit, name, page, NULL, help, FROM_NODE, \
     offsetof(struct node_metrics, field)}
#define AGENT(name, page, help, field) \
    {METRIC_COUNTER, METRIC_PLAIN, name, page, NULL, help, FROM_AGENT, \
     offsetof(struct agent_metrics, field)}
#define ACCEPTED(page, help, field) \
    {METRIC_COUNTER, METRIC_PLAIN, NULL, page, NULL, help, FROM_STATS, \
     offsetof(struct serf_stats, field)}
#define GAUGE(name, page, label, help, field) \
    {METRIC_GAUGE, METRIC_PLAIN, name, page, label, help, FROM_GAUGES, \
     offsetof(struct gauges, field)}

static const struct description descriptions[] = {
    AGENT("agent.ipc.accept", "serf_agent_ipc_accepted_total",
          "RPC connections that were accepted.", ipc_accepted),
    AGENT("agent.ipc.command", "serf_agent_ipc_commands_total",
          "RPC commands that were carried out.", ipc_commands),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.msg.alive", "serf_memberlist_alive_messages_total",
         "Messages that brought a member to life or changed it.", alive),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.msg.suspect",
         "serf_memberlist_suspect_messages_total",
         "Messages that made a member suspect.", suspect),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.msg.dead", "serf_memberlist_dead_messages_total",
         "Messages that made a member dead or gone.", dead),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.udp.sent",
         "serf_memberlist_udp_sent_bytes_total", "Bytes of datagrams sent.", packet_bytes_sent),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.udp.received",
         "serf_memberlist_udp_received_bytes_total", "Bytes of datagrams received.",
         packet_bytes_received),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, NULL, "serf_memberlist_udp_sent_packets_total",
         "Datagrams sent.", packets_sent),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, NULL, "serf_memberlist_udp_received_packets_total",
         "Datagrams received.", packets_received),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.tcp.accept",
         "serf_memberlist_tcp_accepted_total", "Streams that others opened.", streams_accepted),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.tcp.connect",
         "serf_memberlist_tcp_connects_total", "Push/pulls begun with others.", push_pulls_begun),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.tcp.sent",
         "serf_memberlist_tcp_sent_bytes_total", "Bytes sent on streams.", stream_bytes_sent),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, NULL, "serf_memberlist_tcp_received_bytes_total",
         "Bytes received on streams.", stream_bytes_received),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.degraded.probe",
         "serf_memberlist_degraded_probes_total",
         "Probes that were given more time, the health score being above 0.", degraded_probes),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "memberlist.degraded.timeout",
         "serf_memberlist_degraded_timeouts_total",
         "Suspicions that ran out without all confirmations.", degraded_timeouts),
    SWIM(METRIC_MEASUREMENTS, METRIC_NANOSECONDS, "memberlist.probeNode",
         "serf_memberlist_probe_seconds", "Probes, from the ping to the verdict.", probes),
    SWIM(METRIC_MEASUREMENTS, METRIC_NANOSECONDS, "memberlist.pushPullNode",
         "serf_memberlist_push_pull_seconds", "Push/pulls begun here, from the connect to the end.",
         push_pulls),
    NODE(METRIC_NANOSECONDS, "memberlist.gossip", "serf_memberlist_gossip_seconds",
         "Gossip ticks, until the datagrams were handed over.", gossip),
    SWIM(METRIC_MEASUREMENTS, METRIC_PLAIN, "memberlist.queue.broadcasts", NULL, NULL, broadcasts),
    GAUGE("memberlist.health.score", "serf_memberlist_health_score", NULL,
          "How slow this member finds itself; 0 is healthy.", health),
    GAUGE("memberlist.node.instances.alive", "serf_memberlist_nodes", "state=\"alive\"",
          "Members by the state of the membership core.", alive),
    GAUGE("memberlist.node.instances.suspect", "serf_memberlist_nodes", "state=\"suspect\"", NULL,
          suspect),
    GAUGE("memberlist.node.instances.dead", "serf_memberlist_nodes", "state=\"dead\"", NULL, dead),
    GAUGE("memberlist.node.instances.left", "serf_memberlist_nodes", "state=\"left\"", NULL, left),
    GAUGE(NULL, "serf_members", "status=\"alive\"",
          "Members by status, as `serf members` shows it; those leaving count as alive.",
          live_members),
    GAUGE(NULL, "serf_members", "status=\"failed\"", NULL, failed_members),
    GAUGE(NULL, "serf_members", "status=\"left\"", NULL, left_members),
    GAUGE(NULL, "serf_queue_depth", "queue=\"intent\"",
          "Messages that wait to be gossiped, or are being repeated.", intents),
    GAUGE(NULL, "serf_queue_depth", "queue=\"event\"", NULL, events),
    GAUGE(NULL, "serf_queue_depth", "queue=\"query\"", NULL, queries),
    GAUGE(NULL, "serf_queue_depth", "queue=\"membership\"", NULL, broadcasts),
    GAUGE(NULL, "serf_encrypted", NULL, "1 when gossip is encrypted, else 0.", encrypted),
    GAUGE(NULL, "serf_sends_plaintext", NULL,
          "1 while what is sent is not encrypted although there is a key, else 0.",
          sends_plaintext),
    GAUGE(NULL, "serf_accepts_plaintext", NULL,
          "1 while what is not encrypted is read although there is a key, else 0.",
          accepts_plaintext),
    GAUGE(NULL, "serf_sends_unlabelled", NULL,
          "1 while what is sent has no label although there is one, else 0.", sends_unlabelled),
    GAUGE(NULL, "serf_accepts_unlabelled", NULL,
          "1 while what has no label is read although there is one, else 0.", accepts_unlabelled),
    ACCEPTED("serf_plaintext_accepted_total",
             "Datagrams and streams that were read although they were not encrypted.",
             plaintext_accepted),
    ACCEPTED("serf_unlabelled_accepted_total",
             "Datagrams and streams that were read although they had no label.",
             unlabelled_accepted),
    ACCEPTED("serf_labels_refused_total", "Datagrams and streams with another label.",
             labels_refused),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.member.join", "serf_member_joins_total",
         "Members that joined or came back.", joined),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.member.left", "serf_member_leaves_total",
         "Members that left.", left),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.member.failed", "serf_member_failures_total",
         "Members that failed.", failed),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.member.update", "serf_member_updates_total",
         "Members whose tags changed.", updated),
    SWIM(METRIC_COUNTER, METRIC_PLAIN, "serf.member.flap", "serf_member_flaps_total",
         "Members that were back within a minute of their failure.", flapped),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.events", NULL, NULL, events),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.queries", NULL, NULL, queries),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.query_acks", "serf_query_acks_total",
         "Acks to queries of this agent's own.", query_acks),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.query_responses", "serf_query_responses_total",
         "Responses to queries of this agent's own.", query_responses),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.query_duplicate_acks",
         "serf_query_duplicate_acks_total", "Acks that had come before.", query_duplicate_acks),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.query_duplicate_responses",
         "serf_query_duplicate_responses_total", "Responses that had come before.",
         query_duplicate_responses),
    SERF(METRIC_MEASUREMENTS, METRIC_PLAIN, "serf.msgs.received", "serf_messages_received_bytes",
         "Messages of the Serf layer that came by gossip.", messages_received),
    SERF(METRIC_MEASUREMENTS, METRIC_PLAIN, "serf.msgs.sent", "serf_messages_sent_bytes",
         "Messages of the Serf layer placed in a datagram.", messages_sent),
    SERF(METRIC_MEASUREMENTS, METRIC_PLAIN, "serf.queue.Intent", NULL, NULL, intent_queue),
    SERF(METRIC_MEASUREMENTS, METRIC_PLAIN, "serf.queue.Event", NULL, NULL, event_queue),
    SERF(METRIC_MEASUREMENTS, METRIC_PLAIN, "serf.queue.Query", NULL, NULL, query_queue),
    SERF(METRIC_MEASUREMENTS, METRIC_NANOSECONDS, "serf.coordinate.adjustment-ms",
         "serf_coordinate_adjustment_seconds", "How far the own network coordinate moved.",
         adjustments),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.coordinate.rejected",
         "serf_coordinates_rejected_total", "Coordinates that could not be used.",
         coordinates_rejected),
    SERF(METRIC_COUNTER, METRIC_PLAIN, "serf.coordinate.zero-rtt",
         "serf_coordinates_without_distance_total", "Round trips that took no time at all.",
         coordinates_without_distance),
    NODE(METRIC_NANOSECONDS, "serf.snapshot.appendLine", "serf_snapshot_append_seconds",
         "Lines handed to the snapshot.", snapshot_append),
    NODE(METRIC_NANOSECONDS, "serf.snapshot.compact", "serf_snapshot_compact_seconds",
         "Rewrites of the snapshot.", snapshot_compact),
    GAUGE("runtime.num_goroutines", NULL, NULL, NULL, threads),
    GAUGE("runtime.alloc_bytes", NULL, NULL, NULL, allocated_bytes),
    GAUGE("runtime.sys_bytes", NULL, NULL, NULL, system_bytes),
};
/* clang-format on */

enum { DESCRIPTIONS = sizeof descriptions / sizeof descriptions[0] };

_Static_assert(sizeof descriptions / sizeof descriptions[0] <= FIXED_METRICS_MAX,
               "each description has a slot");

/* --- visiting --- */

static struct gauges make_gauges(const struct metric_sources *sources)
{
    const struct serf_stats *stats = &sources->stats;
    struct mallinfo2 memory = mallinfo2();
    return (struct gauges){
        .health = stats->health_score,
        .alive = stats->node_states[NODE_ALIVE],
        .suspect = stats->node_states[NODE_SUSPECT],
        .dead = stats->node_states[NODE_DEAD],
        .left = stats->node_states[NODE_LEFT],
        .failed_members = stats->failed,
        .left_members = stats->left,
        .live_members = stats->members - stats->failed - stats->left,
        .intents = stats->intent_queue,
        .events = stats->event_queue,
        .queries = stats->query_queue,
        .broadcasts = stats->membership_queue,
        .threads = 1,
        .allocated_bytes = (double)(memory.uordblks + memory.hblkhd),
        .system_bytes = (double)(memory.arena + memory.hblkhd),
        .encrypted = stats->encrypted,
        .sends_plaintext = sources->sends_plaintext,
        .accepts_plaintext = sources->accepts_plaintext,
        .sends_unlabelled = sources->sends_unlabelled,
        .accepts_unlabelled = sources->accepts_unlabelled,
    };
}

static const void *base_of(const struct metric_sources *sources, const struct gauges *gauges,
                           enum source source)
{
    switch (source) {
    case FROM_SWIM:
        return sources->swim;
    case FROM_SERF:
        return sources->serf;
    case FROM_NODE:
        return sources->node;
    case FROM_AGENT:
        return sources->agent;
    case FROM_STATS:
        return &sources->stats;
    case FROM_GAUGES:
        break;
    }
    return gauges;
}

static void visit_described(const struct metric_sources *sources, metric_visit *visit,
                            void *context)
{
    struct gauges gauges = make_gauges(sources);
    for (uint32_t i = 0; i < DESCRIPTIONS; i++) {
        const struct description *description = &descriptions[i];
        const void *value =
            (const char *)base_of(sources, &gauges, description->source) + description->offset;
        struct metric metric = {
            .kind = description->kind,
            .unit = description->unit,
            .slot = i,
            .name = description->name,
            .page_name = description->page_name,
            .page_label = description->page_label,
            .help = description->help,
        };
        if (metric.kind == METRIC_COUNTER)
            metric.count = *(const uint64_t *)value;
        else if (metric.kind == METRIC_GAUGE)
            metric.gauge = *(const double *)value;
        else
            metric.measurements = value;
        visit(context, &metric);
    }
}

/* The family's places in use, in order, and "other" when something was counted there. */
static void visit_counts(const struct name_counts *counts, uint32_t slots, struct metric metric,
                         metric_visit *visit, void *context)
{
    metric.kind = METRIC_COUNTER;
    metric.member_key = "name";
    for (uint32_t place = 0; place < NAMED_METRIC_SLOTS; place++) {
        bool other = place + 1 == NAMED_METRIC_SLOTS;
        if (place >= counts->count && !other)
            continue;
        metric.slot = slots + place;
        metric.place = place;
        metric.member = name_counts_name(counts, place);
        metric.count = name_counts_value(counts, place);
        if (metric.count > 0)
            visit(context, &metric);
    }
}

static void visit_scripts(const struct agent_metrics *agent, uint32_t slots, metric_visit *visit,
                          void *context)
{
    struct metric metric = {
        .kind = METRIC_MEASUREMENTS,
        .unit = METRIC_NANOSECONDS,
        .name = "agent.invoke",
        .page_name = "serf_agent_invoke_seconds",
        .help = "Runs of event handlers, in the order in which they first ran.",
        .member_key = "handler",
    };
    for (uint32_t place = 0; place < NAMED_METRIC_SLOTS; place++) {
        if (!agent->script_times[place])
            continue;
        metric.slot = slots + place;
        metric.place = place;
        metric.member = name_counts_name(&agent->scripts, place);
        metric.measurements = agent->script_times[place];
        visit(context, &metric);
    }
}

void metrics_visit(const struct metric_sources *sources, metric_visit *visit, void *context)
{
    static const struct metric events = {.name = "serf.events",
                                         .page_name = "serf_events_total",
                                         .help = "User events that were accepted, by name."};
    static const struct metric queries = {.name = "serf.queries",
                                          .page_name = "serf_queries_total",
                                          .help = "Queries that were accepted, by name."};
    uint32_t slots = FIXED_METRICS_MAX;
    visit_described(sources, visit, context);
    visit_counts(&sources->serf->events_by_name, slots, events, visit, context);
    slots += NAMED_METRIC_SLOTS;
    visit_counts(&sources->serf->queries_by_name, slots, queries, visit, context);
    visit_scripts(sources->agent, slots + NAMED_METRIC_SLOTS, visit, context);
}

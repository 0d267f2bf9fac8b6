/* Ten times a second each sink that can be reached is given the lines that are new to it. One that
 * can't be reached, or does not take what it was given, is given nothing, and what it has not seen
 * grows as sums in the counters themselves: there is no queue to fill. */
#include "metric_sinks.h"

#include "agent_address.h"
#include "datagram_sender.h"
#include "metric_lines.h"
#include "resolver.h"
#include "tcp.h"

#include <stdlib.h>
#include <unistd.h>

struct metric_sink {
    struct metric_sinks *owner;
    const char *name;           /* "statsd" */
    char *address;              /* owned; NULL: not asked for */
    struct metric_lines *lines; /* owned */
    char *host;                 /* owned */
    uint16_t port;
    bool looking_up;
    bool complained; /* about the present failure */
    uint64_t again;  /* when it is looked up, or connected, next */

    int descriptor;                /* statsd's; -1: none */
    struct connection *connection; /* statsite's */
    bool connected;
};

struct metric_sinks {
    struct metric_sinks_config config;
    struct resolver *resolver;
    struct loop_timer timer;
    struct metric_sink statsd, statsite;
};

/* --- reaching a sink --- */

static void sink_close(struct metric_sink *sink)
{
    if (sink->descriptor >= 0)
        close(sink->descriptor);
    sink->descriptor = -1;
    connection_free(sink->connection);
    sink->connection = NULL;
    sink->connected = false;
}

static void sink_failed(struct metric_sink *sink, const char *reason)
{
    sink_close(sink);
    sink->again = loop_now() + METRIC_RETRY_NS;
    if (!sink->complained)
        agent_log_printf(sink->owner->config.log, LOG_LEVEL_WARN,
                         "agent: %s at %s can't be reached: %s; trying again every 5s", sink->name,
                         sink->address, reason);
    sink->complained = true;
}

static void sink_reached(struct metric_sink *sink)
{
    if (sink->complained)
        agent_log_printf(sink->owner->config.log, LOG_LEVEL_INFO, "agent: %s at %s is reached",
                         sink->name, sink->address);
    sink->complained = false;
}

static void on_connected(void *context)
{
    struct metric_sink *sink = context;
    sink->connected = true;
    sink_reached(sink);
}

static void on_ended(void *context)
{
    sink_failed(context, "it closed the connection");
}

static void on_failed(void *context, const char *reason)
{
    sink_failed(context, reason);
}

static void connect_statsite(struct metric_sink *sink, const struct endpoint *to)
{
    struct connection_callbacks callbacks = {
        .context = sink, .opened = on_connected, .ended = on_ended, .failed = on_failed};
    sink->connection =
        connection_open(sink->owner->config.loop, to, loop_now() + METRIC_RETRY_NS, &callbacks);
    if (!sink->connection)
        sink_failed(sink, "out of memory");
    else
        connection_set_write_limit(sink->connection,
                                   METRIC_LINES_SIZE_MAX + STATSITE_UNSENT_SIZE_MAX);
}

static void open_statsd(struct metric_sink *sink, const struct endpoint *to)
{
    struct buffer error;
    buffer_init(&error, 512);
    sink_close(sink);
    sink->descriptor = datagram_sender_open(to, &error);
    sink->again = loop_now() + METRIC_LOOKUP_NS;
    if (sink->descriptor < 0)
        sink_failed(sink, buffer_text(&error));
    else
        sink_reached(sink);
    buffer_fini(&error);
}

static void on_resolved(void *context, const struct endpoint *endpoints, size_t count,
                        const char *error)
{
    struct metric_sink *sink = context;
    sink->looking_up = false;
    if (count == 0)
        sink_failed(sink, error);
    else if (sink == &sink->owner->statsd)
        open_statsd(sink, &endpoints[0]);
    else
        connect_statsite(sink, &endpoints[0]);
}

static void look_up(struct metric_sink *sink)
{
    sink->looking_up = true;
    if (resolver_lookup(sink->owner->resolver, span_text(sink->host), sink->port, on_resolved,
                        sink))
        return;
    sink->looking_up = false;
    sink_failed(sink, "out of memory");
}

/* --- telling it --- */

static bool make_lines(struct metric_sink *sink, struct buffer *out)
{
    const struct metric_sinks_config *config = &sink->owner->config;
    struct metric_sources sources = {0};
    config->sources(config->context, &sources);
    buffer_init(out, METRIC_LINES_SIZE_MAX);
    metric_lines_write(sink->lines, &sources, loop_now(), out);
    return out->size > 0;
}

static void flush_statsd(struct metric_sink *sink)
{
    struct buffer text;
    if (make_lines(sink, &text)) {
        struct span rest = buffer_span(&text), packet;
        while ((packet = metric_lines_packet(rest, STATSD_PACKET_SIZE_MAX)).size > 0) {
            datagram_sender_send(sink->descriptor, packet);
            rest = span_from(rest, packet.size);
        }
    }
    buffer_fini(&text);
}

static void flush_statsite(struct metric_sink *sink)
{
    struct buffer text;
    if (connection_unsent(sink->connection) > STATSITE_UNSENT_SIZE_MAX)
        return;
    if (make_lines(sink, &text))
        connection_write(sink->connection, buffer_span(&text));
    buffer_fini(&text);
}

static void tick_sink(struct metric_sink *sink)
{
    if (!sink->address)
        return;
    if (sink->connected)
        flush_statsite(sink);
    else if (sink->descriptor >= 0)
        flush_statsd(sink);
    if (!sink->looking_up && !sink->connection && loop_now() >= sink->again)
        look_up(sink);
}

static void on_timer(void *context)
{
    struct metric_sinks *sinks = context;
    tick_sink(&sinks->statsd);
    tick_sink(&sinks->statsite);
    loop_timer_set(&sinks->timer, loop_now() + METRIC_FLUSH_NS);
}

/* --- life --- */

static bool has_port(const char *address)
{
    const char *bracket = strrchr(address, ']');
    return strrchr(bracket ? bracket : address, ':') != NULL;
}

static bool read_address(struct metric_sink *sink, const char *address, struct buffer *error)
{
    struct buffer host;
    buffer_init(&host, HOST_NAME_SIZE_MAX);
    bool good = address_split(address, &host, &sink->port, error);
    if (!has_port(address))
        sink->port = METRICS_DEFAULT_PORT;
    sink->host = strdup(host.size > 0 ? buffer_text(&host) : "localhost");
    buffer_fini(&host);
    return good;
}

static bool sink_init(struct metric_sinks *sinks, struct metric_sink *sink, const char *name,
                      const char *address)
{
    char host[256] = "";
    struct buffer error;
    *sink = (struct metric_sink){.owner = sinks, .name = name, .descriptor = -1};
    if (!address)
        return true;
    buffer_init(&error, 512);
    sink->lines = malloc(sizeof *sink->lines);
    bool good = read_address(sink, address, &error);
    if (!good)
        agent_log_printf(sinks->config.log, LOG_LEVEL_WARN,
                         "agent: No metrics go to %s: %s; write %s_addr as host:port", name,
                         buffer_text(&error), name);
    buffer_fini(&error);
    if (!sink->lines || !sink->host)
        return false;
    gethostname(host, sizeof host - 1);
    metric_lines_init(sink->lines, host);
    sink->address = good ? strdup(address) : NULL;
    return !good || sink->address;
}

static void sink_fini(struct metric_sink *sink)
{
    if (sink->connected)
        flush_statsite(sink);
    else if (sink->descriptor >= 0)
        flush_statsd(sink);
    if (sink->connected) {
        connection_close(sink->connection, METRIC_FLUSH_NS);
        sink->connection = NULL;
    }
    sink_close(sink);
    free(sink->lines);
    free(sink->host);
    free(sink->address);
}

struct metric_sinks *metric_sinks_new(const struct metric_sinks_config *config)
{
    struct metric_sinks *sinks = calloc(1, sizeof *sinks);
    if (!sinks)
        return NULL;
    sinks->config = *config;
    sinks->statsd.descriptor = sinks->statsite.descriptor = -1;
    sinks->resolver = resolver_new(config->loop, NULL);
    if (!sinks->resolver || !loop_timer_init(&sinks->timer, config->loop, on_timer, sinks) ||
        !sink_init(sinks, &sinks->statsd, "statsd", config->statsd_address) ||
        !sink_init(sinks, &sinks->statsite, "statsite", config->statsite_address)) {
        metric_sinks_free(sinks);
        return NULL;
    }
    loop_timer_set(&sinks->timer, 0);
    return sinks;
}

void metric_sinks_free(struct metric_sinks *sinks)
{
    if (!sinks)
        return;
    resolver_free(sinks->resolver);
    sink_fini(&sinks->statsd);
    sink_fini(&sinks->statsite);
    if (sinks->timer.loop)
        loop_timer_fini(&sinks->timer);
    free(sinks);
}

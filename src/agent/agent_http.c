#include "agent_http.h"

#include "agent_state.h"
#include "coordinate.h"
#include "json_text.h"
#include "metric_page.h"
#include "msgpack.h"
#include "resolver.h"
#include "serf_message.h"

#include <stdlib.h>

enum {
    PART_SIZE = 16 * 1024, /* a list's part ends when it has become this long */
    STATS_SIZE_MAX = 1024 * 1024,
};

#define JSON_TYPE "application/json"
#define TEXT_TYPE "text/plain; charset=utf-8"

/* --- health --- */

/* Whether whoever could name other members has answered, and named none. A search that failed has
 * not answered: were that ready, an outage of the name service would let a rollout replace a
 * cluster by members that are alone. */
static bool is_the_first(const struct agent *agent)
{
    if (agent->config.retry_join.count > 0)
        return serf_found_nobody_else(node_serf(agent->node));
    return !agent->mdns || mdns_found_nobody_else(agent->mdns);
}

/* NULL when ready, else what is still missing. Once ready, a member stays so in a partition too:
 * taking it out would help nobody. */
static const char *unready_reason(struct agent *agent)
{
    struct serf_stats stats;
    if (agent->phase == AGENT_LEAVING || agent->phase == AGENT_STOPPING ||
        serf_state(node_serf(agent->node)) != SERF_ALIVE)
        return "leaving";
    serf_stats(node_serf(agent->node),
               &stats); /* it tells before events come, which gather first */
    if (stats.members - stats.failed - stats.left > 1)
        agent->met_cluster = true;
    else if (!agent->met_cluster && agent->phase == AGENT_RUNNING)
        agent->met_cluster = is_the_first(agent);
    return agent->met_cluster ? NULL : "not joined yet";
}

void agent_http_met(struct agent *agent, const struct member_view *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!span_equal_text(members[i].name, agent->config.node_name))
            agent->met_cluster = true;
}

static void answer_text(struct http_exchange *exchange, unsigned status, const char *text)
{
    struct buffer line;
    buffer_init(&line, 256);
    buffer_printf(&line, "%s\n", text);
    http_answer(exchange, status, TEXT_TYPE, buffer_span(&line));
    buffer_fini(&line);
}

static void answer_live(struct agent *agent, struct http_exchange *exchange)
{
    (void)agent;
    answer_text(exchange, 200, "live");
}

static void answer_ready(struct agent *agent, struct http_exchange *exchange)
{
    const char *reason = unready_reason(agent);
    answer_text(exchange, reason ? 503 : 200, reason ? reason : "ready");
}

/* --- metrics and stats --- */

static void answer_metrics(struct agent *agent, struct http_exchange *exchange)
{
    struct metric_sources sources;
    struct buffer page;
    agent_metric_sources(agent, &sources);
    buffer_init(&page, METRIC_PAGE_SIZE_MAX);
    metric_page_write(&sources, &page);
    if (page.failed)
        answer_text(exchange, 500, "out of memory");
    else
        http_answer(exchange, 200, METRIC_PAGE_TYPE, buffer_span(&page));
    buffer_fini(&page);
}

/* One section, or nothing when it is not for everybody: scripts may hold secrets. */
static void write_section(struct msgpack_reader *reader, struct span name, struct buffer *out)
{
    struct span text;
    uint32_t pairs = 0;
    size_t before = out->size;
    buffer_append_text(out, out->size > 1 ? "," : "");
    json_append_string(out, name);
    buffer_append_text(out, ":{");
    msgpack_read_map(reader, &pairs);
    for (uint32_t i = 0; i < 2 * pairs && msgpack_read_bytes(reader, &text) == MSGPACK_OK; i++) {
        buffer_append_text(out, i % 2 > 0 ? ":" : i > 0 ? "," : "");
        json_append_string(out, text);
    }
    buffer_append_u8(out, '}');
    if (span_equal_text(name, "event_handlers") && !out->failed)
        buffer_truncate(out, before);
}

/* A map of maps of strings, as agent_stats makes it. */
static void write_stats(struct msgpack_reader *reader, struct buffer *out)
{
    uint32_t sections = 0;
    struct span name;
    buffer_append_u8(out, '{');
    msgpack_read_map(reader, &sections);
    for (; sections > 0 && msgpack_read_bytes(reader, &name) == MSGPACK_OK; sections--)
        write_section(reader, name, out);
    buffer_append_text(out, "}\n");
}

static void answer_stats(struct agent *agent, struct http_exchange *exchange)
{
    struct buffer stats, json;
    buffer_init(&stats, STATS_SIZE_MAX);
    buffer_init(&json, 4 * STATS_SIZE_MAX);
    agent_stats(agent, &stats);
    struct msgpack_reader reader = msgpack_reader_of(buffer_span(&stats));
    write_stats(&reader, &json);
    if (stats.failed || json.failed)
        answer_text(exchange, 500, "out of memory");
    else
        http_answer(exchange, 200, JSON_TYPE, buffer_span(&json));
    buffer_fini(&stats);
    buffer_fini(&json);
}

/* --- lists --- */

struct list {
    const struct serf *serf;
    const char *name;
    /* Appends one member's object; false: it has none. */
    bool (*write)(const struct serf *serf, const struct member_view *member, struct buffer *out);
    uint32_t position;
    bool begun, some;
};

static bool write_list(void *state, struct buffer *out)
{
    struct list *list = state;
    struct member_view member;
    if (!list->begun)
        buffer_printf(out, "{\"%s\":[", list->name);
    list->begun = true;
    while (serf_next_member(list->serf, &list->position, &member)) {
        size_t before = out->size;
        if (list->some)
            buffer_append_u8(out, ',');
        if (list->write(list->serf, &member, out))
            list->some = true;
        else
            buffer_truncate(out, before);
        if (out->size >= PART_SIZE)
            return true;
    }
    buffer_append_text(out, "]}\n");
    return false;
}

static void answer_list(struct agent *agent, struct http_exchange *exchange, const char *name,
                        bool (*write)(const struct serf *serf, const struct member_view *member,
                                      struct buffer *out))
{
    struct list *list = calloc(1, sizeof *list);
    if (!list) {
        answer_text(exchange, 500, "out of memory");
        return;
    }
    *list = (struct list){.serf = node_serf(agent->node), .name = name, .write = write};
    http_answer_in_parts(exchange, JSON_TYPE, write_list, list);
}

static void write_tags(struct span meta, struct buffer *out)
{
    struct tag_reader reader;
    struct span key, value;
    const char *separator = "";
    buffer_append_text(out, "\"tags\":{");
    if (tag_reader_open(&reader, meta))
        for (; tag_reader_next(&reader, &key, &value); separator = ",") {
            buffer_append_text(out, separator);
            json_append_string(out, key);
            buffer_append_u8(out, ':');
            json_append_string(out, value);
        }
    buffer_append_text(out, "},");
}

static bool write_member(const struct serf *serf, const struct member_view *member,
                         struct buffer *out)
{
    char text[ENDPOINT_TEXT_SIZE];
    (void)serf;
    buffer_append_text(out, "{\"name\":");
    json_append_string(out, member->name);
    buffer_append_text(out, ",\"addr\":");
    json_append_string(out, span_text(endpoint_text(&member->endpoint, text)));
    buffer_printf(out, ",\"port\":%u,", member->endpoint.port);
    write_tags(member->meta, out);
    buffer_printf(out, "\"status\":\"%s\",\"protocol\":{\"max\":%u,\"min\":%u,\"version\":%u}}",
                  member_status_name(member->status), member->versions[4], member->versions[3],
                  member->versions[5]);
    return true;
}

static bool write_coordinate(const struct serf *serf, const struct member_view *member,
                             struct buffer *out)
{
    struct coordinate coordinate;
    if (!serf_coordinate(serf, member->name, &coordinate))
        return false;
    buffer_append_text(out, "{\"name\":");
    json_append_string(out, member->name);
    buffer_append_text(out, ",\"vector\":[");
    for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
        buffer_printf(out, "%s%.17g", i > 0 ? "," : "", coordinate.vector[i]);
    buffer_printf(out, "],\"error\":%.17g,\"adjustment\":%.17g,\"height\":%.17g}", coordinate.error,
                  coordinate.adjustment, coordinate.height);
    return true;
}

static void answer_members(struct agent *agent, struct http_exchange *exchange)
{
    answer_list(agent, exchange, "members", write_member);
}

static void answer_coordinates(struct agent *agent, struct http_exchange *exchange)
{
    answer_list(agent, exchange, "coordinates", write_coordinate);
}

/* --- routes --- */

static const struct route {
    const char *path;
    void (*answer)(struct agent *agent, struct http_exchange *exchange);
} routes[] = {
    {"/health/live", answer_live}, {"/health/ready", answer_ready},
    {"/metrics", answer_metrics},  {"/v1/members", answer_members},
    {"/v1/stats", answer_stats},   {"/v1/coordinates", answer_coordinates},
};

static void requested(void *context, struct http_exchange *exchange,
                      const struct http_request *request)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (span_equal_text(request->path, routes[i].path)) {
            routes[i].answer(context, exchange);
            return;
        }
    answer_text(exchange, 404,
                "not here; there are /health/live, /health/ready, /metrics, /v1/members, "
                "/v1/stats and /v1/coordinates");
}

/* --- listening --- */

static bool has_port(const char *address)
{
    const char *bracket = strrchr(address, ']');
    const char *first = strchr(address, ':'), *last = strrchr(address, ':');
    return bracket ? bracket[1] == ':' : first && first == last;
}

static bool find_address(const char *text, struct endpoint *endpoint, struct buffer *error)
{
    struct buffer host;
    uint16_t port;
    buffer_init(&host, HOST_NAME_SIZE_MAX);
    *endpoint = (struct endpoint){0};
    bool good = address_split(text, &host, &port, error);
    if (!has_port(text))
        port = HTTP_DEFAULT_PORT;
    if (good && host.size > 0 && !endpoint_from_text(endpoint, buffer_text(&host), port))
        good = resolve_now(NULL, buffer_text(&host), port, endpoint, 1, error) == 1;
    endpoint->port = port;
    buffer_fini(&host);
    return good;
}

bool agent_http_start(struct agent *agent, struct buffer *error)
{
    struct http_server_config config = {
        .loop = agent->loop, .context = agent, .requested = requested};
    struct buffer reason;
    if (!agent->config.http_addr)
        return true;
    buffer_init(&reason, 1024);
    if (find_address(agent->config.http_addr, &config.address, &reason))
        agent->http = http_server_new(&config, &reason);
    if (!agent->http)
        buffer_printf(error, "Error starting HTTP listener: %s", buffer_text(&reason));
    buffer_fini(&reason);
    return agent->http != NULL;
}

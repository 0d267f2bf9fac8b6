/* The agent's life in the order in which it happens: read the configuration, check it, bind the
 * member's sockets, open the RPC listener, print the banner, join, let the log stream, run, stop.
 * Each step that can fail ends the agent with one line that begins with "==> " (agent
 * specification, 3.6); it comes last, behind what was logged. */
#include "agent.h"

#include "agent_http.h"
#include "agent_state.h"
#include "banner.h"
#include "config_check.h"
#include "config_environment.h"
#include "config_report.h"
#include "expression.h"
#include "join_log.h"
#include "keyring_file.h"
#include "rpc_address.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ERROR_SIZE_MAX = 64 * 1024 };

/* --- configuration --- */

static int show_usage(struct agent_log *log, struct buffer *error)
{
    fprintf(stderr, "%s\n", buffer_text(error));
    agent_log_notice(log, "%s", agent_help);
    return 1;
}

/* True when the agent may go on; otherwise `status` is the exit status, with its reason either
 * printed, or in `error`. */
static bool read_config(struct agent *agent, struct buffer *error)
{
    enum config_status status = agent_config_load(&agent->config, agent->argc, agent->argv, error);
    agent->status = 1;
    if (status == CONFIG_HELP) {
        fprintf(stderr, "%s\n", agent_help);
        agent->status = 0;
    } else if (status == CONFIG_USAGE) {
        show_usage(agent->log, error);
        buffer_reset(error);
    }
    return status == CONFIG_OK;
}

static bool open_system_log(struct agent *agent, struct buffer *error)
{
    int facility = 0;
    struct buffer reason;
    if (!agent->config.enable_syslog || agent->config.check_only)
        return true;
    system_log_facility(text_or_empty(agent->config.syslog_facility), &facility);
    buffer_init(&reason, 512);
    agent->system_log = system_log_new(agent->log, facility, system_log_paths, &reason);
    if (!agent->system_log)
        buffer_printf(error, "Syslog setup failed: %s", buffer_text(&reason));
    buffer_fini(&reason);
    return agent->system_log != NULL;
}

/* First of all, since what is wrong with the rest is said in it. */
static bool set_log_format(struct agent *agent, struct buffer *error)
{
    enum log_format format;
    if (!agent_config_log_format(&agent->config, &format, error))
        return false;
    if (!agent->config.check_only)
        agent_log_set_format(agent->log, format);
    return true;
}

static bool check_config(struct agent *agent, struct buffer *error)
{
    struct agent_config *config = &agent->config;
    enum log_level level;
    if (!set_log_format(agent, error) || !agent_config_check(config, error))
        return false;
    agent_config_notices(config, agent_print_notice, agent->log);
    agent_config_environment_notices(environ, agent_print_notice, agent->log);
    if (!agent_config_log_level(config, &level, error) || !agent_config_check_syslog(config, error))
        return false;
    agent_log_set_level(agent->log, level);
    if (!open_system_log(agent, error))
        return false;
    if (!agent_addresses_find(&agent->addresses, config, error))
        return false;
    if (agent->addresses.chose_interface) {
        char text[ADDRESS_TEXT_SIZE];
        agent_log_notice(agent->log, "Using interface '%s' address '%s'", config->interface,
                         endpoint_address_text(&agent->addresses.bind, text));
    }
    return agent_config_check_key(config, error) && agent_config_profile(config, error);
}

/* --- setup --- */

static bool load_keyring_file(struct agent *agent, struct buffer *error)
{
    const char *path = agent->config.keyring_file;
    if (agent->config.encrypt_key) {
        buffer_append_text(error, "Encryption key not allowed while using a keyring; take either "
                                  "-encrypt or -keyring-file out");
        return false;
    }
    const char *source = agent->config.keyring_source;
    if (source ? !keyring_file_renew(path, source, agent->keyring, error)
               : !keyring_file_load(path, agent->keyring, error))
        return false;
    agent_log_printf(agent->log, LOG_LEVEL_INFO, "agent: Restored keyring with %zu keys from %s",
                     keyring_count(agent->keyring), path);
    return true;
}

static bool setup_secrets(struct agent *agent, struct buffer *error)
{
    if (!agent->config.encrypt_key && !agent->config.keyring_file)
        return true;
    agent->keyring = keyring_new();
    if (!agent->keyring) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    return !agent->config.keyring_file || load_keyring_file(agent, error);
}

static bool setup(struct agent *agent, struct buffer *error)
{
    struct buffer reason;
    buffer_init(&reason, ERROR_SIZE_MAX);
    bool good = agent_tags_setup(agent, &reason) && setup_secrets(agent, &reason);
    if (!good)
        buffer_printf(error, "Failed to setup the Serf agent: %s", buffer_text(&reason));
    buffer_fini(&reason);
    return good;
}

/* --- the member --- */

static void node_logged(void *context, enum log_level level, struct span text)
{
    struct agent *agent = context;
    agent_log_write(agent->log, level, text);
}

/* `ltime` is NULL for a change of members, which has no name either. */
static void log_event(struct agent *agent, struct span kind, struct span name,
                      const uint64_t *ltime)
{
    struct buffer *text = &agent->event_text;
    char number[24] = "";
    buffer_reset(text);
    buffer_append_text(text, "agent: Received event: ");
    buffer_append_span(text, kind);
    if (ltime) {
        buffer_append_text(text, ": ");
        buffer_append_span(text, name);
    }
    if (ltime && agent_log_has_fields(agent->log))
        snprintf(number, sizeof(number), "%llu", (unsigned long long)*ltime);
    const struct log_field fields[] = {
        {"event", kind}, {"name", name}, {"ltime", span_text(number)}};
    agent_log_write_fields(agent->log, LOG_LEVEL_INFO, buffer_span(text), fields, ltime ? 3 : 1);
}

static void member_event(void *context, enum member_event_type type,
                         const struct member_view *members, size_t count)
{
    struct agent *agent = context;
    log_event(agent, span_text(member_event_name(type)), SPAN_EMPTY, NULL);
    agent_http_met(agent, members, count);
    if (agent->rpc)
        rpc_server_member_event(agent->rpc, type, members, count);
    event_handlers_members(agent->handlers, type, members, count);
    agent_service_members_changed(agent);
}

static void user_event(void *context, uint64_t ltime, struct span name, struct span payload,
                       bool coalesce)
{
    struct agent *agent = context;
    log_event(agent, span_text("user-event"), name, &ltime);
    if (agent->rpc)
        rpc_server_user_event(agent->rpc, ltime, name, payload, coalesce);
    event_handlers_user(agent->handlers, ltime, name, payload);
}

static void query(void *context, uint32_t query, uint64_t ltime, uint64_t deadline,
                  struct span name, struct span payload, struct span source)
{
    struct agent *agent = context;
    (void)source;
    log_event(agent, span_text("query"), name, &ltime);
    if (agent->rpc)
        rpc_server_query(agent->rpc, query, ltime, deadline, name, payload);
    event_handlers_query(agent->handlers, query, ltime, deadline, name, payload);
}

static void query_ack(void *context, uint32_t query, struct span from)
{
    struct agent *agent = context;
    if (agent->rpc)
        rpc_server_query_ack(agent->rpc, query, from);
}

static void query_response(void *context, uint32_t query, struct span from, struct span payload)
{
    struct agent *agent = context;
    if (agent->rpc)
        rpc_server_query_response(agent->rpc, query, from, payload);
}

static void query_done(void *context, uint32_t query)
{
    struct agent *agent = context;
    if (agent->rpc)
        rpc_server_query_done(agent->rpc, query);
}

static void keyring_changed(void *context, uint32_t query)
{
    struct agent *agent = context;
    struct buffer error;
    buffer_init(&error, ERROR_SIZE_MAX);
    bool saved = !agent->config.keyring_file ||
                 keyring_file_save(agent->config.keyring_file, agent->keyring, &error);
    node_keyring_saved(agent->node, query, saved ? NULL : buffer_text(&error));
    buffer_fini(&error);
}

/* -encrypt: the base64 has been checked, the size has not. */
static bool take_encrypt_key(struct agent *agent, struct buffer *error)
{
    if (!agent->config.encrypt_key)
        return true;
    struct buffer key;
    buffer_init(&key, 1024);
    enum keyring_status status = KEYRING_BAD_SIZE;
    if (key_decode(agent->config.encrypt_key, &key, error))
        status = keyring_add(agent->keyring, buffer_span(&key));
    if (status != KEYRING_OK)
        buffer_printf(error, "Failed to create memberlist: %s; `serf keygen` prints a good key",
                      keyring_status_text(status));
    if (key.size > 0)
        OPENSSL_cleanse(key.data, key.size);
    buffer_fini(&key);
    return status == KEYRING_OK;
}

static void fill_node_config(struct agent *agent, struct node_config *node, struct span meta,
                             const char *bind_address)
{
    const struct agent_config *config = &agent->config;
    struct buffer none;
    buffer_init(&none, 256);
    serf_config_init(&node->serf, agent_config_profile(config, &none));
    buffer_fini(&none);
    struct swim_config *swim = &node->serf.swim;
    swim->name = span_text(config->node_name);
    swim->meta = meta;
    swim->advertise = agent->addresses.advertise;
    swim->keyring = agent->keyring;
    swim->verify_incoming = config->encrypt_verify_incoming;
    swim->verify_outgoing = config->encrypt_verify_outgoing;
    swim->label = span_text(text_or_empty(config->label));
    swim->label_mode = agent_config_label_mode(config);
    swim->compress = config->enable_compression;
    swim->log_level = LOG_LEVEL_TRACE; /* a monitor may ask for any level */
    node->serf.protocol_version = (uint8_t)config->protocol;
    node->serf.validate_node_names = config->validate_node_names;
    node->serf.broadcast_timeout = (uint64_t)config->broadcast_timeout;
    node->serf.leave_timeout = (uint64_t)config->leave_timeout;
    node->serf.reconnect_interval = (uint64_t)config->reconnect_interval;
    node->serf.reconnect_timeout = (uint64_t)config->reconnect_timeout;
    node->serf.tombstone_timeout = (uint64_t)config->tombstone_timeout;
    node->serf.reconnect_timeout_tag = span_text(text_or_empty(config->reconnect_timeout_tag));
    node->serf.user_event_size_limit = (uint32_t)config->user_event_size_limit;
    node->serf.query_size_limit = (uint32_t)config->query_size_limit;
    node->serf.query_response_size_limit = (uint32_t)config->query_response_size_limit;
    node->serf.queue_depth_warning = (uint32_t)config->queue_depth_warning;
    node->serf.max_queue_depth = (uint32_t)config->max_queue_depth;
    node->serf.min_queue_depth = (uint32_t)config->min_queue_depth;
    node->serf.coordinates = !config->disable_coordinates;
    node->serf.resolve_name_conflicts = !config->disable_name_resolution;
    node->serf.expression_matches = expression_matches;
    node->bind_address = bind_address;
    node->bind_port = agent->addresses.bind.port;
    node->snapshot_path = config->snapshot_path;
    node->rejoin_after_leave = config->rejoin_after_leave;
    node->callbacks = (struct node_callbacks){
        .context = agent,
        .log = node_logged,
        .member_event = member_event,
        .user_event = user_event,
        .query = query,
        .query_ack = query_ack,
        .query_response = query_response,
        .query_done = query_done,
        .keyring_changed = keyring_changed,
        .discover = agent_discover,
        .stopped = agent_node_stopped,
    };
}

/* What can be found wrong before there is a node; `meta` becomes its metadata. */
static bool prepare_node(struct agent *agent, struct buffer *meta, struct buffer *error)
{
    if (!agent_config_check_limits(&agent->config, error) || !take_encrypt_key(agent, error))
        return false;
    if (agent_tags_encode(agent, &agent->tags, meta))
        return true;
    buffer_append_text(error, "Encoded length of tags exceeds limit of 512 bytes");
    return false;
}

static bool create_node(struct agent *agent, struct buffer *error)
{
    struct buffer meta;
    struct node_config config = {0};
    char address[ADDRESS_TEXT_SIZE] = "";
    buffer_init(&meta, META_SIZE_MAX);
    if (agent->addresses.bind.address_size > 0)
        endpoint_address_text(&agent->addresses.bind, address);
    if (prepare_node(agent, &meta, error)) {
        fill_node_config(agent, &config, buffer_span(&meta), address);
        agent->node = node_new(agent->loop, &config, error);
    }
    buffer_fini(&meta);
    return agent->node != NULL;
}

static bool respond(void *context, uint32_t number, struct span payload, struct buffer *error)
{
    return node_respond(((struct agent *)context)->node, number, payload, error);
}

static bool start_handlers(struct agent *agent, struct buffer *error)
{
    const struct agent_config *config = &agent->config;
    struct event_handlers_config handlers = {
        .loop = agent->loop,
        .reaper = agent->reaper,
        .log = agent->log,
        .self_name = config->node_name,
        .tags = &agent->tags,
        .context = agent,
        .respond = respond,
        .metrics = &agent->metrics,
    };
    struct event_handlers_settings settings = {&config->event_handlers, config->handler_concurrency,
                                               config->handler_timeout};
    agent->handlers = event_handlers_new(&handlers);
    if (!agent->handlers)
        buffer_append_text(error, "Failed to start the Serf agent: out of memory");
    return agent->handlers && event_handlers_set(agent->handlers, &settings, error);
}

static const char cannot_create[] = "Failed to start the Serf agent: Error creating Serf: %s";

static bool start_node(struct agent *agent, struct buffer *error)
{
    struct buffer reason;
    buffer_init(&reason, ERROR_SIZE_MAX);
    agent_log_printf(agent->log, LOG_LEVEL_INFO, "agent: Serf agent starting");
    bool good = create_node(agent, &reason);
    if (!good)
        buffer_printf(error, cannot_create, buffer_text(&reason));
    buffer_fini(&reason);
    return good;
}

static const char cannot_listen[] = "Error starting RPC listener: %s";

static bool start_rpc(struct agent *agent, struct buffer *error)
{
    if (strcmp(text_or_empty(agent->config.rpc_addr), RPC_ADDRESS_NONE) == 0)
        return true;
    struct rpc_server_config config = {
        .loop = agent->loop,
        .address = text_or_empty(agent->config.rpc_addr),
        .auth_key = text_or_empty(agent->config.rpc_auth),
        .node = agent->node,
        .log = agent->log,
        .context = agent,
        .stats = agent_stats,
        .set_tags = agent_rpc_set_tags,
        .leave = agent_rpc_leave,
        .left = agent_rpc_left,
        .metrics = &agent->metrics,
    };
    struct buffer reason;
    buffer_init(&reason, 1024);
    agent->rpc = rpc_server_new(&config, &reason);
    if (!agent->rpc)
        buffer_printf(error, cannot_listen, buffer_text(&reason));
    buffer_fini(&reason);
    return agent->rpc != NULL;
}

static bool start_mdns(struct agent *agent, struct buffer *error)
{
    const struct agent_config *config = &agent->config;
    struct mdns_config mdns = {
        .loop = agent->loop,
        .log = agent->log,
        .node = agent->node,
        .cluster = config->discover,
        .node_name = config->node_name,
        .interface = config->mdns_interface ? config->mdns_interface : config->interface,
        .ipv4 = !config->mdns_disable_ipv4,
        .ipv6 = !config->mdns_disable_ipv6,
        .replay = config->replay_on_join,
    };
    if (!config->discover)
        return true;
    struct buffer reason;
    buffer_init(&reason, 512);
    agent->mdns = mdns_new(&mdns, &reason);
    if (!agent->mdns)
        buffer_printf(error, "Error starting mDNS listener: %s", buffer_text(&reason));
    else if (mdns.interface)
        agent_log_printf(agent->log, LOG_LEVEL_INFO,
                         "agent: Starting mDNS listener on interface %s", mdns.interface);
    buffer_fini(&reason);
    return agent->mdns != NULL;
}

static bool start_metrics(struct agent *agent, struct buffer *error)
{
    struct metric_sinks_config config = {
        .loop = agent->loop,
        .log = agent->log,
        .statsd_address = agent->config.statsd_addr,
        .statsite_address = agent->config.statsite_addr,
        .context = agent,
        .sources = agent_metric_sources,
    };
    if (!config.statsd_address && !config.statsite_address)
        return true;
    agent->metric_sinks = metric_sinks_new(&config);
    if (!agent->metric_sinks)
        buffer_append_text(error, "Failed to start the Serf agent: out of memory");
    return agent->metric_sinks != NULL;
}

/* --- banner and join --- */

static void print_banner(struct agent *agent)
{
    const struct agent_config *config = &agent->config;
    struct endpoint bound = node_bound(agent->node);
    struct banner banner = {
        .node_name = config->node_name,
        .bind = agent->addresses.bind,
        .advertise = agent->addresses.advertise,
        .rpc_address = text_or_empty(config->rpc_addr),
        .encrypted = agent->keyring != NULL,
        .snapshot = config->snapshot_path != NULL,
        .profile = text_or_empty(config->profile),
        .compression = config->enable_compression,
        .mdns_cluster = text_or_empty(config->discover),
    };
    banner.bind.port = bound.port;
    banner_print(agent->log, &banner);
}

/* What is open on purpose, for the time that a label or encryption takes to come into a running
 * cluster; forgotten, it stays open. */
static void warn_of_open_doors(struct agent *agent)
{
    const struct agent_config *config = &agent->config;
    if (agent->keyring && !config->encrypt_verify_incoming)
        agent_log_printf(agent->log, LOG_LEVEL_WARN,
                         "agent: encrypt_verify_incoming is false: gossip that is not encrypted is "
                         "accepted, from anybody, until every member encrypts and this is true");
    if (agent->keyring && !config->encrypt_verify_outgoing)
        agent_log_printf(agent->log, LOG_LEVEL_WARN,
                         "agent: encrypt_verify_outgoing is false: this member's gossip is sent "
                         "unencrypted");
    if (config->label && agent_config_label_mode(config) != LABEL_STRICT)
        agent_log_printf(
            agent->log, LOG_LEVEL_WARN,
            "agent: label_mode is %s: gossip without the label is accepted until every "
            "member sends it and this is strict",
            config->label_mode);
}

static struct span *address_spans(const struct text_list *list)
{
    struct span *spans = calloc(list->count + 1, sizeof(*spans));
    for (size_t i = 0; spans && i < list->count; i++)
        spans[i] = span_text(list->values[i]);
    return spans;
}

static void start_join_done(void *context, bool ok, uint32_t count, struct span error)
{
    struct agent *agent = context;
    agent->join_finished = true;
    agent->join_ok = ok && count > 0;
    agent->join_count = count;
    buffer_append_span(&agent->join_error, error);
    join_log_end(agent->log, count, error);
    loop_stop(agent->loop);
}

/* -join: the log is still held back, and a failure ends the agent. */
static bool start_join(struct agent *agent, struct buffer *error)
{
    const struct text_list *list = &agent->config.start_join;
    if (list->count == 0)
        return true;
    struct span *addresses = address_spans(list);
    if (!addresses) {
        buffer_append_text(error, "Error joining the cluster: out of memory");
        return false;
    }
    agent_log_notice(agent->log, "Joining cluster...(replay: %s)",
                     agent->config.replay_on_join ? "true" : "false");
    join_log_begin(agent->log, addresses, list->count, agent->config.replay_on_join);
    agent_service_tell(agent);
    node_join(agent->node, addresses, list->count, agent->config.replay_on_join, start_join_done,
              agent);
    free(addresses);
    while (!agent->join_finished && agent->phase != AGENT_STOPPING)
        loop_run(agent->loop);
    if (agent->phase == AGENT_STOPPING)
        return false;
    if (agent->join_ok)
        agent_log_info(agent->log, "Join completed. Synced with %u initial agents",
                       agent->join_count);
    else
        buffer_append_span(error, buffer_span(&agent->join_error));
    return agent->join_ok;
}

void agent_retry_join(struct agent *agent, const struct agent_config *config)
{
    int64_t attempts = config->retry_max_attempts;
    struct span *addresses = address_spans(&config->retry_join);
    if (!addresses) {
        agent_log_printf(agent->log, LOG_LEVEL_ERR, "agent: retry_join: out of memory");
        return;
    }
    if (attempts < 0)
        attempts = 0;
    if (attempts > UINT32_MAX)
        attempts = UINT32_MAX;
    struct retry_join options = {.interval = (uint64_t)config->retry_interval,
                                 .max_attempts = (uint32_t)attempts,
                                 .replay = agent->config.replay_on_join,
                                 .watch = config->retry_watch};
    node_retry_join(agent->node, addresses, config->retry_join.count, &options);
    free(addresses);
}

/* --- from start to end --- */

static bool open_system(struct agent *agent, struct buffer *error)
{
    agent->loop = loop_new();
    if (agent->loop)
        agent->reaper = reaper_new(agent->loop, false);
    if (agent->reaper && agent_signals_init(agent)) {
        agent_service_open(agent);
        return true;
    }
    buffer_append_text(error, "Failed to start the Serf agent: no memory or file descriptors for "
                              "the event loop");
    return false;
}

static bool start(struct agent *agent, struct buffer *error)
{
    if (!check_config(agent, error))
        return false;
    agent_log_notice(agent->log, "Starting Serf agent...");
    if (!open_system(agent, error) || !setup(agent, error) || !start_handlers(agent, error) ||
        !start_node(agent, error) || !start_mdns(agent, error) || !start_rpc(agent, error) ||
        !agent_http_start(agent, error) || !start_metrics(agent, error))
        return false;
    if (agent->rpc)
        agent_log_notice(agent->log, "Starting Serf agent RPC...");
    print_banner(agent);
    warn_of_open_doors(agent);
    return start_join(agent, error);
}

static void on_lines_waiting(void *context)
{
    loop_finish_turn(&((struct agent *)context)->flush_log);
}

static void on_flush_log(void *context)
{
    agent_log_flush(((struct agent *)context)->log);
}

static void run(struct agent *agent)
{
    agent_log_info(agent->log, "%s", "");
    agent_log_notice(agent->log, "Log data will now stream in as it occurs:");
    agent_log_info(agent->log, "%s", "");
    agent_log_stream(agent->log);
    loop_task_init(&agent->flush_log, agent->loop, on_flush_log, agent);
    agent_log_gather(agent->log, on_lines_waiting, agent);
    agent->phase = AGENT_RUNNING;
    if (agent->config.retry_join.count > 0)
        agent_retry_join(agent, &agent->config);
    agent_service_tell(agent);
    while (agent->phase != AGENT_STOPPING)
        loop_run(agent->loop);
    agent_log_gather(agent->log, NULL, NULL);
    loop_task_cancel(&agent->flush_log);
}

/* --- -check-config --- */

static bool check_node(struct agent *agent, struct buffer *error)
{
    struct buffer meta, reason;
    buffer_init(&meta, META_SIZE_MAX);
    buffer_init(&reason, ERROR_SIZE_MAX);
    bool good = prepare_node(agent, &meta, &reason);
    if (!good)
        buffer_printf(error, cannot_create, buffer_text(&reason));
    buffer_fini(&meta);
    buffer_fini(&reason);
    return good;
}

static bool check_rpc_address(const struct agent_config *config, struct buffer *error)
{
    struct rpc_address address;
    struct buffer reason;
    buffer_init(&reason, 1024);
    bool good = rpc_address_parse(&address, text_or_empty(config->rpc_addr), &reason);
    if (!good)
        buffer_printf(error, cannot_listen, buffer_text(&reason));
    buffer_fini(&reason);
    return good;
}

static void print_report(const struct agent_config *config)
{
    struct buffer report;
    buffer_init(&report, CONFIG_REPORT_SIZE_MAX);
    agent_config_report(config, &report);
    fwrite(report.data, 1, report.size, stdout);
    fflush(stdout);
    buffer_fini(&report);
}

/* All that a start looks at before it touches the network; files that it names are read. */
static void check_only(struct agent *agent, struct buffer *error)
{
    print_report(&agent->config);
    bool good = check_config(agent, error) && setup(agent, error) && check_node(agent, error) &&
                check_rpc_address(&agent->config, error);
    if (good)
        agent_log_notice(agent->log, "The configuration is good");
    else
        agent_log_alarm(agent->log, LOG_LEVEL_ERR, "%s", buffer_text(error));
    agent->status = good ? 0 : 1;
}

static void shut_down(struct agent *agent)
{
    if (agent->node) {
        bool left = serf_state(node_serf(agent->node)) == SERF_LEFT;
        agent_log_printf(agent->log, LOG_LEVEL_INFO, "agent: requesting serf shutdown");
        if (!left)
            agent_log_printf(agent->log, LOG_LEVEL_WARN, "serf: Shutdown without a Leave");
        metric_sinks_free(agent->metric_sinks);
        http_server_free(agent->http);
        mdns_free(agent->mdns);
        rpc_server_free(agent->rpc);
        kube_discovery_free(agent->discovery);
        node_free(agent->node);
        agent_log_printf(agent->log, LOG_LEVEL_INFO, "agent: shutdown complete");
    }
    event_handlers_free(agent->handlers);
    agent_service_close(agent);
    agent_metrics_fini(&agent->metrics);
    agent_tags_fini(agent);
    agent_signals_fini(agent);
    reaper_free(agent->reaper);
    if (agent->loop)
        loop_free(agent->loop);
    keyring_free(agent->keyring);
    expressions_forget();
}

static void live(struct agent *agent, struct buffer *error)
{
    bool started = !agent->config.check_only && start(agent, error);
    if (agent->config.check_only) {
        check_only(agent, error);
        buffer_reset(error);
    } else if (started) {
        run(agent);
    } else {
        agent->status = 1;
        agent_log_stream(agent->log);
    }
    shut_down(agent);
    if (!started && error->size > 0)
        agent_log_alarm(agent->log, LOG_LEVEL_ERR, "%s", buffer_text(error));
    agent_config_fini(&agent->config);
}

int agent_main(int argc, char **argv)
{
    struct agent agent = {.argc = argc, .argv = argv};
    agent_signals_hold();
    struct buffer error;
    agent.log = agent_log_new(STDOUT_FILENO, LOG_LEVEL_INFO);
    if (!agent.log) {
        fprintf(stderr, "out of memory\n");
        return 1;
    }
    buffer_init(&error, ERROR_SIZE_MAX);
    buffer_init(&agent.join_error, ERROR_SIZE_MAX);
    buffer_init(&agent.event_text, LOG_LINE_SIZE_MAX + 64);
    if (read_config(&agent, &error))
        live(&agent, &error);
    else if (error.size > 0)
        agent_log_alarm(agent.log, LOG_LEVEL_ERR, "%s", buffer_text(&error));
    buffer_fini(&agent.join_error);
    buffer_fini(&agent.event_text);
    buffer_fini(&error);
    system_log_free(agent.system_log);
    agent_log_free(agent.log);
    return agent.status;
}

/* What the daemon's parts share: start (agent.c), signals and leaving (agent_control.c), tags and
 * reload (agent_tags.c, agent_reload.c), providers of addresses (agent_discovery.c), and the
 * numbers of `serf info` (agent_stats.c). */
#ifndef AGENT_AGENT_STATE_H
#define AGENT_AGENT_STATE_H

#include "agent.h"
#include "agent_address.h"
#include "config.h"
#include "event_handlers.h"
#include "log.h"
#include "mdns.h"
#include "http_server.h"
#include "kube_discovery.h"
#include "metric_sinks.h"
#include "node.h"
#include "process.h"
#include "rpc_server.h"
#include "service_manager.h"
#include "system_log.h"

enum {
    AGENT_SIGNALS = 3,
    EXIT_NAME_CONFLICT = 3, /* exit status: a restart would only lose the next vote */
};

enum agent_phase {
    AGENT_STARTING, /* until the log streams */
    AGENT_RUNNING,
    AGENT_LEAVING,  /* a signal or an RPC client asked for it */
    AGENT_STOPPING, /* the loop is about to end */
};

struct agent {
    int argc; /* for a reload */
    char **argv;
    struct agent_config config;
    struct agent_addresses addresses;
    struct agent_log *log;
    struct system_log *system_log; /* NULL: not asked for */
    struct loop_task flush_log;    /* at the end of a turn in which something was logged */
    struct loop *loop;
    struct reaper *reaper;
    struct loop_signal signals[AGENT_SIGNALS];
    struct loop_timer leave_timer;
    struct keyring *keyring; /* NULL: no encryption */
    struct node *node;
    struct rpc_server *rpc;
    struct event_handlers *handlers;
    struct service_manager *service;  /* NULL: none to tell */
    struct loop_timer service_timer;  /* changes of members wait for it */
    struct text_map tags;             /* as they are now */
    struct tag_refusal *refusals;     /* answers that wait for the loop */
    struct mdns *mdns;                /* NULL: not asked for */
    struct http_server *http;         /* NULL: not asked for */
    struct kube_discovery *discovery; /* NULL: never asked for */
    bool met_cluster;                 /* ready: see agent_http.c */
    struct agent_metrics metrics;
    struct metric_sinks *metric_sinks; /* NULL: none is configured */

    enum agent_phase phase;
    int status;            /* of the process */
    node_done *leave_done; /* of the RPC client that asked for the leave */
    void *leave_context;
    uint64_t leave_deadline; /* until when a graceful exit waits for event handlers */
    bool draining;           /* it does */
    bool join_finished;      /* of -join */
    bool join_ok;
    uint32_t join_count;
    struct buffer join_error;
    struct buffer event_text; /* scratch: the log line about an event */
};

/* agent.c */

/* Begins to join the addresses of `config` in the background, instead of those of before; none:
 * no longer. */
void agent_retry_join(struct agent *agent, const struct agent_config *config);

/* agent_control.c */

/* Begins to listen for INT, TERM and HUP, first those held back by agent_signals_hold; false when
 * memory is out. */
bool agent_signals_init(struct agent *agent);
void agent_signals_fini(struct agent *agent);
/* Ends the loop; the process will exit with this status. */
void agent_stop(struct agent *agent, int status);
/* For the RPC server. */
void agent_rpc_leave(void *context, node_done *done, void *done_context);
void agent_rpc_left(void *context);
/* For the node: the protocol itself decided to stop. */
void agent_node_stopped(void *context, enum stop_reason reason);

/* agent_tags.c */

/* The tags at start: those of the configuration, or of the tags file. */
bool agent_tags_setup(struct agent *agent, struct buffer *error);
/* Appends the metadata that carries the tags. */
bool agent_tags_encode(const struct agent *agent, const struct text_map *tags, struct buffer *meta);
/* Gossips `tags`, which become the agent's (the map is taken over, and emptied). */
void agent_tags_replace(struct agent *agent, struct text_map *tags, node_done *done, void *context);
/* For the RPC server. */
void agent_rpc_set_tags(void *context, const struct tag *set, size_t set_count,
                        const struct span *deleted, size_t deleted_count, node_done *done,
                        void *done_context);
void agent_tags_fini(struct agent *agent);

/* agent_reload.c */

/* Reads the configuration again and applies what can be applied while running. */
void agent_reload(struct agent *agent);
/* Prints a notice; a config_notice, with the agent's log as its context. */
void agent_print_notice(void *context, const char *text);

/* agent_service.c */

/* Looks for a service manager, which is told how the agent is from then on. Takes its variable out
 * of the environment: before the first event handler. */
void agent_service_open(struct agent *agent);
void agent_service_close(struct agent *agent);
/* Tells what the agent's phase says; to be called when that has changed. */
void agent_service_tell(struct agent *agent);
void agent_service_reloading(struct agent *agent);
void agent_service_members_changed(struct agent *agent);

/* agent_discovery.c */

/* For the node: asks the provider that a join address names. */
bool agent_discover(void *context, struct span settings, uint16_t port, resolver_done *done,
                    void *done_context);

/* agent_stats.c; for the RPC server, with the agent as its context. */
void agent_stats(void *context, struct buffer *out);
/* For the sinks of metrics, likewise. */
void agent_metric_sources(void *context, struct metric_sources *sources);

#endif

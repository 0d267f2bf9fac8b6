/* What the agent was told: defaults, then every -config-file and -config-dir in their order, then
 * the environment (config_environment.h), then the flags (agent specification, 3.1 to 3.4). One
 * table names every key, with its flag, its type and what a reload does with it; parsing, merging,
 * comparing and the manual follow it.
 *
 * Merging: a later string, number or duration replaces an earlier one unless it is empty or zero;
 * a boolean is replaced by any explicit true or false; lists append; tags are united per key. */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "buffer.h"
#include "span.h"

enum {
    CONFIG_FILE_SIZE_MAX = 1024 * 1024,
    CONFIG_FILES_MAX = 1024, /* in one directory */
    QUEUE_DEPTH_MAX = 1024 * 1024,
};

struct text_list {
    char **values; /* owned, as are the strings */
    size_t count;
};

struct text_pair {
    char *key;
    char *value;
};

struct text_map {
    struct text_pair *pairs; /* owned, sorted by key */
    size_t count;
};

/* Strings are owned; NULL is empty. Durations are nanoseconds. */
struct agent_config {
    char *node_name; /* never empty after agent_config_load */
    char *bind;
    char *interface;
    char *advertise;
    char *discover;
    char *mdns_interface;
    bool mdns_disable_ipv4;
    bool mdns_disable_ipv6;
    char *encrypt_key;
    char *keyring_file;
    char *keyring_source;
    bool encrypt_verify_incoming;
    bool encrypt_verify_outgoing;
    char *label;
    char *label_mode; /* NULL: strict */
    struct text_list event_handlers;
    int64_t handler_concurrency;
    int64_t handler_timeout; /* 0: none */
    struct text_list start_join;
    bool replay_on_join;
    struct text_list retry_join;
    int64_t retry_interval;
    int64_t retry_max_attempts;
    bool retry_watch;
    bool rejoin_after_leave;
    char *snapshot_path;
    char *log_level;
    char *log_format;
    bool enable_syslog;
    char *syslog_facility;
    char *profile;
    int64_t protocol;
    char *role; /* agent_config_load has put it into `tags` already */
    struct text_map tags;
    char *tags_file;
    char *rpc_addr;
    char *rpc_auth;
    bool enable_compression;
    int64_t broadcast_timeout;
    int64_t leave_timeout;
    bool leave_on_terminate;
    bool skip_leave_on_interrupt;
    int64_t reconnect_interval;
    int64_t reconnect_timeout;
    int64_t tombstone_timeout;
    char *reconnect_timeout_tag; /* the tag with which a member overrides both for itself */
    bool disable_name_resolution;
    int64_t query_size_limit;
    int64_t query_response_size_limit;
    int64_t user_event_size_limit;
    int64_t queue_depth_warning;
    int64_t max_queue_depth;
    int64_t min_queue_depth;
    char *statsite_addr;
    char *statsd_addr;
    char *http_addr;
    bool metrics_per_peer;
    bool disable_coordinates;
    bool validate_node_names;
    bool msgpack_use_new_time_format; /* the reference accepts the key; it means nothing */

    bool check_only;           /* -check-config: look at it, and start nothing */
    const char *origin;        /* borrowed: where values come from just now; NULL: the defaults */
    struct text_list *sources; /* owned, one for each key: where its value came from */
};

enum config_type {
    CONFIG_STRING,
    CONFIG_BOOL,
    CONFIG_INTEGER,
    CONFIG_DURATION,
    CONFIG_LIST,
    CONFIG_MAP,
    CONFIG_SECTION, /* an object whose keys are in the table as "section.key" */
};

enum config_reload {
    RELOAD_RESTART, /* needs a restart; a reload says so */
    RELOAD_APPLIES,
    RELOAD_SILENT, /* of no consequence while the agent runs */
};

struct config_key {
    const char *name; /* in a file */
    const char *flag; /* NULL: file only */
    enum config_type type;
    size_t offset; /* in struct agent_config */
    enum config_reload reload;
    bool flag_is_opposite; /* the flag set to true makes the key false */
    bool secret; /* never printed or told to handlers; may be in a file (config_environment.h) */
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

enum config_status {
    CONFIG_OK,
    CONFIG_HELP,   /* -h, -help or --help among the arguments */
    CONFIG_USAGE,  /* a flag can't be parsed: `error` is the line for standard error */
    CONFIG_FAILED, /* `error` is one line for the user, such as "Error reading '...': ..." */
};

void agent_config_init(struct agent_config *config); /* the defaults */
void agent_config_fini(struct agent_config *config);

/* Initialises `config` and fills it from argv[1..], the files named there and the environment. Only
 * with CONFIG_OK is there something to _fini. */
enum config_status agent_config_load(struct agent_config *config, int argc, char **argv,
                                     struct buffer *error);

/* Applies one file to the configuration. */
bool agent_config_read_file(struct agent_config *config, const char *path, struct buffer *error);
/* A file, or the files in a directory whose names end in ".json", in byte order of their names. */
bool agent_config_read_path(struct agent_config *config, const char *path, struct buffer *error);
/* Applies one JSON text; `error` says what follows "Error decoding 'PATH': ". */
bool agent_config_decode(struct agent_config *config, struct span json, struct buffer *error);

/* The help text of `serf agent`, without a newline at its end. */
extern const char agent_help[];

/* Whether the two differ in this key. */
bool agent_config_differs(const struct config_key *key, const struct agent_config *a,
                          const struct agent_config *b);

/* The value, of the type that the key says. */
const void *agent_config_value(const struct config_key *key, const struct agent_config *config);
/* Appends where the value came from: "default", a file's path, "flag -node"; of a list or of tags
 * every place, separated by commas. */
void agent_config_append_source(const struct config_key *key, const struct agent_config *config,
                                struct buffer *out);

/* --- pieces that the decoding of files and flags share --- */

/* A later value; false when memory is out. Empty strings change nothing. */
bool config_set_string(struct agent_config *config, const struct config_key *key,
                       const char *value);
bool config_append(struct agent_config *config, const struct config_key *key, const char *value);
bool config_set_pair(struct agent_config *config, const struct config_key *key, struct span name,
                     struct span value);
void config_set_bool(struct agent_config *config, const struct config_key *key, bool value);
void config_set_number(struct agent_config *config, const struct config_key *key, int64_t value);

/* Back to the default; false when memory is out. */
bool config_reset(struct agent_config *config, const struct config_key *key);

/* What is wrong with a duration, such as `time: missing unit in duration "5"`. */
void config_duration_error(struct buffer *error, const char *text);

bool text_map_set(struct text_map *map, struct span key, struct span value);
void text_map_remove(struct text_map *map, struct span key);
bool text_map_copy(struct text_map *to, const struct text_map *from);
void text_map_fini(struct text_map *map);

static inline const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

#endif

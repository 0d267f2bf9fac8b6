/* What was set, as cserf_member_new reads it. */
#ifndef LIB_LIB_CONFIG_H
#define LIB_LIB_CONFIG_H

#include <cserf/member.h>

#include "buffer.h"
#include "endpoint.h"
#include "keyring.h"

enum {
    CONFIG_TAGS_MAX = 256, /* no more fit into the metadata */
    BIND_PORT_DEFAULT = 7946,
};

struct config_tag {
    char *key, *value; /* owned */
};

struct cserf_config {
    char *name, *label, *snapshot_path; /* owned; NULL: the default */
    struct endpoint bind, advertise;    /* address_size 0: the default */
    bool advertise_set;
    bool rejoin_after_leave, retry_watch;
    enum cserf_profile profile;
    struct config_tag tags[CONFIG_TAGS_MAX];
    size_t tag_count;
    struct keyring *keyring; /* owned; NULL: no keys */
    uint32_t coalesce_period_ms, coalesce_quiet_ms;
    cserf_event_callback *on_event;
    void *event_context;
    enum cserf_log_level log_level;
    cserf_log_callback *on_log;
    void *log_context;
    cserf_keys_callback *on_keys;
    void *keys_context;
    struct cserf_error error; /* of the first setter that failed */
};

/* A copy with the same keys; NULL when memory is out. */
struct keyring *keyring_copy(const struct keyring *keyring);

#endif

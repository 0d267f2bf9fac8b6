/* The node runs on a loop of its own, whose descriptor the program polls. A dispatch is one turn of
 * that loop, in which the node's callbacks fill a queue, and then the program's callbacks for what
 * is in the queue, when nothing of ours is under way any more. */
#include "lib_member.h"

#include <stdlib.h>
#include <unistd.h>

#include "coordinate.h"
#include "expression.h"

enum { HOST_NAME_SIZE = 256 };

/* --- birth --- */

static enum cserf_code check(const struct cserf_config *config, struct cserf_error *error)
{
    if (config->error.code != CSERF_OK)
        return lib_fail(error, config->error.code, config->error.text);
    return lib_good(error);
}

/* As expression_matches, but that keeps what it compiled, for one thread. */
static bool matches(struct span pattern, struct span text, struct buffer *error)
{
    struct expression *expression = expression_new(pattern, EXPRESSION_ANYWHERE, error);
    if (!expression)
        return false;
    enum expression_result result = expression_match(expression, text);
    expression_free(expression);
    if (result == EXPRESSION_TOO_COSTLY)
        buffer_append_text(error, "it takes too many steps to match");
    return result == EXPRESSION_YES;
}

static void choose_profile(struct serf_config *serf, enum cserf_profile profile)
{
    serf_config_init(serf, profile == CSERF_PROFILE_LOCAL ? swim_config_local
                           : profile == CSERF_PROFILE_WAN ? swim_config_wan
                                                          : swim_config_lan);
}

static bool encode_tags(const struct cserf_config *config, struct buffer *meta)
{
    struct tag tags[CONFIG_TAGS_MAX];
    for (size_t i = 0; i < config->tag_count; i++)
        tags[i] = (struct tag){span_text(config->tags[i].key), span_text(config->tags[i].value)};
    return serf_encode_tags(meta, SERF_PROTOCOL_MAX, tags, config->tag_count);
}

static void fill(struct node_config *node, struct cserf_member *member,
                 const struct cserf_config *config)
{
    choose_profile(&node->serf, config->profile);
    node->serf.swim.advertise = config->advertise;
    node->serf.swim.keyring = member->keyring;
    node->serf.swim.label = span_text(member->label);
    node->serf.swim.log_level = config->on_log ? (enum log_level)config->log_level : LOG_LEVEL_NONE;
    node->serf.coalesce_period = config->coalesce_period_ms * NANOSECONDS_PER_MS;
    node->serf.quiescent_period = config->coalesce_quiet_ms * NANOSECONDS_PER_MS;
    node->serf.user_coalesce_period = node->serf.coalesce_period;
    node->serf.user_quiescent_period = node->serf.quiescent_period;
    node->serf.expression_matches = matches;
    node->bind_port = config->bind.port;
    node->snapshot_path = config->snapshot_path;
    node->rejoin_after_leave = config->rejoin_after_leave;
    node->callbacks = member_callbacks(member);
}

static void start_node(struct cserf_member *member, const struct cserf_config *config,
                       struct buffer *reason)
{
    struct node_config node = {0};
    struct buffer meta;
    char host[HOST_NAME_SIZE] = "", bind[ADDRESS_TEXT_SIZE] = "";
    buffer_init(&meta, META_SIZE_MAX);
    if (!config->name)
        gethostname(host, sizeof host - 1);
    if (config->bind.address_size > 0)
        endpoint_address_text(&config->bind, bind);
    fill(&node, member, config);
    node.bind_address = bind;
    node.serf.swim.name = span_text(config->name ? config->name : host);
    if (encode_tags(config, &meta)) {
        node.serf.swim.meta = buffer_span(&meta);
        member->node = node_new(member->loop, &node, reason);
    } else {
        buffer_append_text(reason, "Encoded length of tags exceeds limit of 512 bytes");
    }
    buffer_fini(&meta);
}

static void take_callbacks(struct cserf_member *member, const struct cserf_config *config)
{
    member->on_event = config->on_event;
    member->event_context = config->event_context;
    member->on_log = config->log_level < CSERF_LOG_NONE ? config->on_log : NULL;
    member->log_context = config->log_context;
    member->on_keys = config->on_keys;
    member->keys_context = config->keys_context;
}

static struct cserf_member *member_alloc(const struct cserf_config *config)
{
    struct cserf_member *member = calloc(1, sizeof *member);
    if (!member)
        return NULL;
    delivery_queue_init(&member->queue);
    node_view_init(&member->listed);
    node_view_init(&member->happened);
    buffer_init(&member->text, LIB_ERROR_SIZE_MAX);
    take_callbacks(member, config);
    member->retry_watch = config->retry_watch;
    member->stop = calloc(1, sizeof *member->stop);
    member->loop = loop_new();
    member->descriptor = member->loop ? loop_descriptor(member->loop) : -1;
    if (config->keyring)
        member->keyring = keyring_copy(config->keyring);
    if (config->label)
        member->label = strdup(config->label);
    if (member->stop && member->descriptor >= 0 && (member->keyring || !config->keyring) &&
        (member->label || !config->label))
        return member;
    cserf_member_free(member);
    return NULL;
}

struct cserf_member *cserf_member_new(const struct cserf_config *config, struct cserf_error *error)
{
    if (check(config, error) != CSERF_OK)
        return NULL;
    struct cserf_member *member = member_alloc(config);
    if (!member) {
        lib_fail(error, CSERF_NO_MEMORY, "out of memory, or of file descriptors");
        return NULL;
    }
    struct buffer reason;
    buffer_init(&reason, LIB_ERROR_SIZE_MAX);
    start_node(member, config, &reason);
    if (!member->node) {
        lib_fail_span(error, CSERF_SYSTEM, buffer_span(&reason));
        cserf_member_free(member);
        member = NULL;
    } else {
        struct endpoint bound = node_bound(member->node), told = node_advertised(member->node);
        endpoint_text(&bound, member->bound);
        endpoint_text(&told, member->advertised);
        loop_arm(member->loop);
    }
    buffer_fini(&reason);
    return member;
}

/* --- life --- */

static void destroy(struct cserf_member *member)
{
    node_free(member->node);
    member_forget_commands(member);
    delivery_queue_fini(&member->queue);
    free(member->stop);
    if (member->loop)
        loop_free(member->loop);
    keyring_free(member->keyring);
    free(member->label);
    node_view_fini(&member->listed);
    node_view_fini(&member->happened);
    buffer_fini(&member->text);
    free(member);
}

void cserf_member_free(struct cserf_member *member)
{
    if (!member)
        return;
    member->freed = true;
    if (!member->dispatching)
        destroy(member);
}

int cserf_member_descriptor(const struct cserf_member *member)
{
    return member->descriptor;
}

enum cserf_code cserf_member_dispatch(struct cserf_member *member, struct cserf_error *error)
{
    if (member->dispatching)
        return lib_fail(error, CSERF_BUSY, "a member can't be dispatched inside its own callback");
    member->dispatching = true;
    loop_turn(member->loop, false);
    member_deliver(member);
    member->dispatching = false;
    if (member->freed) {
        destroy(member);
        return lib_fail(error, CSERF_CLOSED, "the member was freed by a callback");
    }
    loop_arm(member->loop);
    return member->node ? lib_good(error) : lib_fail(error, CSERF_CLOSED, "the member has stopped");
}

const char *cserf_member_bound(const struct cserf_member *member)
{
    return member->bound;
}

const char *cserf_member_advertised(const struct cserf_member *member)
{
    return member->advertised;
}

/* --- questions --- */

const struct cserf_node *cserf_member_next(struct cserf_member *member, uint32_t *position)
{
    struct member_view view;
    if (!member->node || !serf_next_member(node_serf(member->node), position, &view))
        return NULL;
    return member_view_show(&member->listed, &view);
}

const struct cserf_node *cserf_member_find(struct cserf_member *member, const char *name)
{
    struct member_view view;
    if (!member->node || !serf_find_member(node_serf(member->node), span_text(name), &view))
        return NULL;
    return member_view_show(&member->listed, &view);
}

const struct cserf_node *cserf_member_self(struct cserf_member *member)
{
    struct member_view view;
    if (!member->node)
        return NULL;
    serf_local_member(node_serf(member->node), &view);
    return member_view_show(&member->listed, &view);
}

static bool find_coordinate(const struct cserf_member *member, const char *name,
                            struct coordinate *coordinate)
{
    const struct serf *serf = node_serf(member->node);
    struct member_view self;
    serf_local_member(serf, &self);
    return serf_coordinate(serf, name ? span_text(name) : self.name, coordinate);
}

enum cserf_code cserf_member_rtt(const struct cserf_member *member, const char *from,
                                 const char *to, double *rtt_ms, struct cserf_error *error)
{
    struct coordinate a, b;
    if (!member->node)
        return lib_fail(error, CSERF_CLOSED, "the member has stopped");
    if (!find_coordinate(member, from, &a) || !find_coordinate(member, to, &b))
        return lib_fail(error, CSERF_REFUSED,
                        "one of the two is no member, or has not answered a probe yet");
    *rtt_ms = (double)coordinate_distance(&a, &b) / NANOSECONDS_PER_MS;
    return lib_good(error);
}

enum cserf_status cserf_member_status(const struct cserf_member *member)
{
    if (!member->node)
        return CSERF_NONE;
    switch (serf_state(node_serf(member->node))) {
    case SERF_ALIVE:
        return CSERF_ALIVE;
    case SERF_LEAVING:
        return CSERF_LEAVING;
    case SERF_LEFT:
        return CSERF_LEFT;
    }
    return CSERF_NONE;
}

void cserf_member_stats(const struct cserf_member *member, struct cserf_stats *stats)
{
    struct serf_stats from = {0};
    size_t size = stats->size < sizeof *stats ? stats->size : sizeof *stats;
    if (member->node)
        serf_stats(node_serf(member->node), &from);
    const struct cserf_stats to = {
        .size = stats->size,
        .members = from.members,
        .failed = from.failed,
        .left = from.left,
        .health_score = from.health_score,
        .intent_queue = from.intent_queue,
        .event_queue = from.event_queue,
        .query_queue = from.query_queue,
        .member_time = from.member_time,
        .event_time = from.event_time,
        .query_time = from.query_time,
        .encrypted = from.encrypted,
    };
    memcpy(stats, &to, size);
}

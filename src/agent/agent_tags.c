/* This member's tags: from the configuration, or from a tags file that keeps what clients change.
 * A change is written to the file before it is gossiped, so that what the cluster has seen
 * survives a crash; a file that can't be written refuses the change. */
#include "agent_state.h"

#include "tags_file.h"

#include <stdlib.h>

/* An answer that must come from the loop though it is known at once. */
struct tag_refusal {
    struct tag_refusal *next;
    struct agent *agent;
    struct loop_task task;
    node_done *done;
    void *context;
    struct buffer error;
};

static const char tags_too_long[] = "Encoded length of tags exceeds limit of 512 bytes";

bool agent_tags_setup(struct agent *agent, struct buffer *error)
{
    const char *path = agent->config.tags_file;
    if (!path)
        return text_map_copy(&agent->tags, &agent->config.tags);
    if (agent->config.tags.count > 0) {
        buffer_append_text(error, "Tags config not allowed while using tag files; take either "
                                  "the tags or tags_file out");
        return false;
    }
    bool found;
    if (!tags_file_load(path, &agent->tags, &found, error))
        return false;
    if (found)
        agent_log_printf(agent->log, LOG_LEVEL_INFO, "agent: Restored %zu tag(s) from %s",
                         agent->tags.count, path);
    return true;
}

static struct tag *tag_array(const struct text_map *tags)
{
    struct tag *array = calloc(tags->count + 1, sizeof(*array));
    for (size_t i = 0; array && i < tags->count; i++)
        array[i] = (struct tag){span_text(tags->pairs[i].key), span_text(tags->pairs[i].value)};
    return array;
}

bool agent_tags_encode(const struct agent *agent, const struct text_map *tags, struct buffer *meta)
{
    struct tag *array = tag_array(tags);
    bool encoded =
        array && serf_encode_tags(meta, (uint8_t)agent->config.protocol, array, tags->count);
    free(array);
    return encoded;
}

static void refusal_free(struct tag_refusal *refusal)
{
    struct tag_refusal **link = &refusal->agent->refusals;
    while (*link != refusal)
        link = &(*link)->next;
    *link = refusal->next;
    loop_task_cancel(&refusal->task);
    buffer_fini(&refusal->error);
    free(refusal);
}

static void answer_refusal(void *context)
{
    struct tag_refusal *refusal = context;
    refusal->done(refusal->context, false, 0, buffer_span(&refusal->error));
    refusal_free(refusal);
}

static void refuse(struct agent *agent, const char *reason, node_done *done, void *context)
{
    struct tag_refusal *refusal = calloc(1, sizeof(*refusal));
    if (!refusal) { /* better from here than never */
        done(context, false, 0, span_text(reason));
        return;
    }
    refusal->agent = agent;
    refusal->done = done;
    refusal->context = context;
    buffer_init(&refusal->error, 1024);
    buffer_append_text(&refusal->error, reason);
    refusal->next = agent->refusals;
    agent->refusals = refusal;
    loop_task_init(&refusal->task, agent->loop, answer_refusal, refusal);
    loop_defer(&refusal->task);
}

static bool write_file(struct agent *agent, const struct text_map *tags, struct buffer *error)
{
    struct buffer reason;
    buffer_init(&reason, 512);
    bool written = tags_file_write(agent->config.tags_file, tags, &reason);
    if (!written) {
        buffer_printf(error, "Failed to write tags file: %s", buffer_text(&reason));
        agent_log_printf(agent->log, LOG_LEVEL_ERR, "agent: %s", buffer_text(error));
    }
    buffer_fini(&reason);
    return written;
}

static bool tags_fit(const struct agent *agent, const struct text_map *tags)
{
    struct buffer meta;
    buffer_init(&meta, META_SIZE_MAX);
    bool fit = agent_tags_encode(agent, tags, &meta);
    buffer_fini(&meta);
    return fit;
}

void agent_tags_replace(struct agent *agent, struct text_map *tags, node_done *done, void *context)
{
    struct buffer error;
    buffer_init(&error, 1024);
    struct tag *array = tag_array(tags);
    if (!array)
        buffer_append_text(&error, "out of memory");
    else if (!tags_fit(agent, tags))
        buffer_append_text(&error, tags_too_long);
    else if (!agent->config.tags_file || write_file(agent, tags, &error))
        node_set_tags(agent->node, array, tags->count, done, context);
    free(array);
    if (error.size > 0) {
        refuse(agent, buffer_text(&error), done, context);
        text_map_fini(tags);
    } else {
        text_map_fini(&agent->tags);
        agent->tags = *tags;
        *tags = (struct text_map){NULL, 0};
    }
    buffer_fini(&error);
}

void agent_rpc_set_tags(void *context, const struct tag *set, size_t set_count,
                        const struct span *deleted, size_t deleted_count, node_done *done,
                        void *done_context)
{
    struct agent *agent = context;
    struct text_map tags;
    bool good = text_map_copy(&tags, &agent->tags);
    for (size_t i = 0; good && i < deleted_count; i++)
        text_map_remove(&tags, deleted[i]);
    for (size_t i = 0; good && i < set_count; i++)
        good = text_map_set(&tags, set[i].key, set[i].value);
    if (good) {
        agent_tags_replace(agent, &tags, done, done_context);
    } else {
        text_map_fini(&tags);
        refuse(agent, "out of memory", done, done_context);
    }
}

void agent_tags_fini(struct agent *agent)
{
    while (agent->refusals)
        refusal_free(agent->refusals);
    text_map_fini(&agent->tags);
}

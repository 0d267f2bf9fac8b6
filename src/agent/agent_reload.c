/* SIGHUP: flags and files are read again from scratch (agent specification, 3.8.1). The log level,
 * the event handlers, the tags, the addresses to join in the background, what INT and TERM mean and
 * whether metrics tell of each peer are applied; for every other key that changed, a log line says
 * that it waits for a restart, since an operator who sees "Reloading" believes it is done. With a
 * tags file the tags are the file's business, and a reload leaves them alone. */
#include "agent_state.h"

#include "config_check.h"

void agent_print_notice(void *context, const char *text)
{
    agent_log_alarm(context, LOG_LEVEL_WARN, "%s", text);
}

static bool load_again(struct agent *agent, struct agent_config *fresh)
{
    struct buffer error;
    buffer_init(&error, 8192);
    enum config_status status = agent_config_load(fresh, agent->argc, agent->argv, &error);
    bool good = status == CONFIG_OK;
    if (good && !agent_config_check(fresh, &error)) {
        agent_config_fini(fresh);
        good = false;
    }
    if (!good) {
        agent_log_alarm(agent->log, LOG_LEVEL_ERR, "%s", buffer_text(&error));
        agent_log_alarm(agent->log, LOG_LEVEL_ERR, "Failed to reload configs");
    }
    buffer_fini(&error);
    return good;
}

static void apply_log_level(struct agent *agent, const struct agent_config *fresh)
{
    struct buffer error;
    enum log_level level;
    buffer_init(&error, 256);
    if (agent_config_log_level(fresh, &level, &error))
        agent_log_set_level(agent->log, level);
    else
        agent_log_alarm(agent->log, LOG_LEVEL_ERR, "%s", buffer_text(&error));
    buffer_fini(&error);
}

static void apply_handlers(struct agent *agent, const struct agent_config *fresh)
{
    struct event_handlers_settings settings = {&fresh->event_handlers, fresh->handler_concurrency,
                                               fresh->handler_timeout};
    struct buffer error;
    buffer_init(&error, 256);
    if (!event_handlers_set(agent->handlers, &settings, &error))
        agent_log_alarm(agent->log, LOG_LEVEL_ERR, "Failed to replace the event handlers: %s",
                        buffer_text(&error));
    buffer_fini(&error);
}

static void tags_done(void *context, bool ok, uint32_t count, struct span error)
{
    struct agent *agent = context;
    (void)count;
    if (!ok)
        agent_log_alarm(agent->log, LOG_LEVEL_ERR, "Failed to update tags: %.*s",
                        SPAN_PRINT(error));
}

static bool tags_equal(const struct text_map *a, const struct text_map *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = strcmp(a->pairs[i].key, b->pairs[i].key) == 0 &&
                strcmp(a->pairs[i].value, b->pairs[i].value) == 0;
    return equal;
}

static void apply_tags(struct agent *agent, const struct agent_config *fresh)
{
    struct text_map tags;
    if (agent->config.tags_file) {
        if (fresh->tags.count > 0)
            agent_log_alarm(agent->log, LOG_LEVEL_ERR,
                            "Failed to update tags: Tags config not allowed while "
                            "using tag files");
        return;
    }
    if (tags_equal(&agent->tags, &fresh->tags))
        return;
    if (text_map_copy(&tags, &fresh->tags))
        agent_tags_replace(agent, &tags, tags_done, agent);
    else
        agent_log_alarm(agent->log, LOG_LEVEL_ERR, "Failed to update tags: out of memory");
}

static bool key_differs(const char *name, const struct agent_config *a,
                        const struct agent_config *b)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].name, name) == 0)
            return agent_config_differs(&config_keys[i], a, b);
    return false;
}

/* Addresses that did not change are not asked again: a reload for another reason joins nobody. */
static void apply_retry_join(struct agent *agent, struct agent_config *fresh)
{
    struct agent_config *config = &agent->config;
    if (!key_differs("retry_join", config, fresh) &&
        !key_differs("retry_interval", config, fresh) &&
        !key_differs("retry_max_attempts", config, fresh) &&
        !key_differs("retry_watch", config, fresh))
        return;
    if (fresh->retry_join.count > 0)
        agent_log_printf(agent->log, LOG_LEVEL_INFO,
                         "agent: retry_join has changed: asking its %zu addresses",
                         fresh->retry_join.count);
    else if (config->retry_join.count > 0)
        agent_log_printf(agent->log, LOG_LEVEL_INFO,
                         "agent: retry_join has changed: no address is asked any more");
    agent_retry_join(agent, fresh);
    struct text_list before = config->retry_join;
    config->retry_join = fresh->retry_join;
    fresh->retry_join = before; /* freed with the rest */
    config->retry_interval = fresh->retry_interval;
    config->retry_max_attempts = fresh->retry_max_attempts;
    config->retry_watch = fresh->retry_watch;
}

static void name_what_waits(struct agent *agent, const struct agent_config *fresh)
{
    struct buffer names;
    buffer_init(&names, 2048);
    for (size_t i = 0; i < config_key_count; i++)
        if (config_keys[i].reload == RELOAD_RESTART &&
            agent_config_differs(&config_keys[i], &agent->config, fresh))
            buffer_printf(&names, "%s%s", names.size > 0 ? ", " : "", config_keys[i].name);
    if (names.size > 0)
        agent_log_printf(agent->log, LOG_LEVEL_WARN,
                         "agent: changed in the configuration, but only a restart applies: %s",
                         buffer_text(&names));
    buffer_fini(&names);
}

void agent_reload(struct agent *agent)
{
    struct agent_config fresh;
    agent_log_notice(agent->log, "Reloading configuration...");
    if (!load_again(agent, &fresh))
        return;
    agent_config_notices(&fresh, agent_print_notice, agent->log);
    apply_log_level(agent, &fresh);
    apply_handlers(agent, &fresh);
    apply_tags(agent, &fresh);
    apply_retry_join(agent, &fresh);
    name_what_waits(agent, &fresh);
    agent->config.leave_on_terminate = fresh.leave_on_terminate;
    agent->config.skip_leave_on_interrupt = fresh.skip_leave_on_interrupt;
    agent->config.metrics_per_peer = fresh.metrics_per_peer;
    agent_config_fini(&fresh);
}

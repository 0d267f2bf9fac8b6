/* A command is copied and waits for the loop's next turn, so that no callback comes from inside the
 * call that asked. The core then numbers it, and it waits again for the answer with that number.
 * One block holds the record, its spans and their bytes. */
#include "node_internal.h"

#include <stdlib.h>

enum command_kind {
    COMMAND_JOIN,
    COMMAND_LEAVE,
    COMMAND_FORCE_LEAVE,
    COMMAND_SET_TAGS,
    COMMAND_RETRY_JOIN,
};

struct command {
    struct command *next;
    enum command_kind kind;
    uint32_t number; /* the core's; running commands only */
    node_done *done;
    void *context;
    bool flag; /* replay, or prune */
    struct retry_join retry;
    size_t count;        /* of words */
    struct span words[]; /* their bytes follow */
};

/* The caller's request, before it is copied. */
struct request {
    enum command_kind kind;
    const struct span *words;
    size_t word_count;
    node_done *done;
    void *context;
    bool flag;
    struct retry_join retry;
};

/* NULL when memory is out. */
static struct command *copy_request(const struct request *request)
{
    const struct span *words = request->words;
    size_t size = sizeof(struct command) + request->word_count * sizeof *words;
    for (size_t i = 0; i < request->word_count; i++)
        size += words[i].size;
    struct command *command = calloc(1, size);
    if (!command)
        return NULL;
    uint8_t *bytes = (uint8_t *)(command->words + request->word_count);
    for (size_t i = 0; i < request->word_count; i++) {
        if (words[i].size > 0)
            memcpy(bytes, words[i].data, words[i].size);
        command->words[i] = span_make(bytes, words[i].size);
        bytes += words[i].size;
    }
    command->count = request->word_count;
    command->kind = request->kind;
    command->done = request->done;
    command->context = request->context;
    command->flag = request->flag;
    command->retry = request->retry;
    return command;
}

static void answer_refused(const struct refused_command *refused)
{
    static const struct key_report no_report;
    struct span error = span_text("out of memory");
    if (refused->done)
        refused->done(refused->context, false, 0, error);
    else if (refused->keys_done)
        refused->keys_done(refused->context, &no_report, error);
}

void node_refuse_command(struct node *node, const struct refused_command *refused)
{
    node_log(node, LOG_LEVEL_ERR, "serf: Failed to start a command: out of memory");
    if (node->refused_count < REFUSED_COMMANDS_MAX) {
        node->refused[node->refused_count++] = *refused;
        loop_defer(&node->start_commands);
    } else {
        answer_refused(refused);
    }
}

static void submit(struct node *node, const struct request *request)
{
    struct command *command = copy_request(request);
    if (!command) {
        node_refuse_command(
            node, &(struct refused_command){.done = request->done, .context = request->context});
        return;
    }
    *node->commands_end = command;
    node->commands_end = &command->next;
    loop_defer(&node->start_commands);
}

/* --- running --- */

/* Returns the core's number for it; 0 for a command that is not answered. */
static uint32_t run(struct serf *serf, struct command *command)
{
    uint64_t now = loop_now();
    switch (command->kind) {
    case COMMAND_JOIN:
        return serf_join(serf, now, command->words, command->count, command->flag);
    case COMMAND_LEAVE:
        return serf_leave(serf, now);
    case COMMAND_FORCE_LEAVE:
        return serf_force_leave(serf, now, command->words[0], command->flag);
    case COMMAND_SET_TAGS:
        /* A tag is a key and a value: two words. */
        return serf_set_tags(serf, now, (const struct tag *)command->words, command->count / 2);
    case COMMAND_RETRY_JOIN:
        serf_retry_join(serf, now, command->words, command->count, &command->retry);
        return 0;
    }
    return 0;
}

_Static_assert(sizeof(struct tag) == 2 * sizeof(struct span), "a tag is two words");

static void start_command(struct node *node, struct command *command)
{
    if (!node_enter(node)) {
        free(command);
        node_leave_entry(node);
        return;
    }
    command->number = run(node->serf, command);
    if (command->done) {
        command->next = node->running;
        node->running = command;
    } else {
        free(command);
    }
    node_leave_entry(node);
}

static void on_start_commands(void *context)
{
    struct node *node = context;
    node_enter(node); /* held over all of them: a callback of the first may free the node */
    while (node->refused_count > 0 && !node->freed) {
        struct refused_command refused = node->refused[--node->refused_count];
        answer_refused(&refused);
    }
    while (node->commands && !node->freed) {
        struct command *command = node->commands;
        node->commands = command->next;
        if (!node->commands)
            node->commands_end = &node->commands;
        start_command(node, command);
    }
    node_leave_entry(node);
}

void node_command_done(struct node *node, const struct effect *effect)
{
    struct command **place = &node->running;
    while (*place && (*place)->number != effect->done.command)
        place = &(*place)->next;
    struct command *command = *place;
    if (!command)
        return;
    *place = command->next;
    command->done(command->context, effect->done.ok, effect->done.count, effect->done.error);
    free(command);
}

void node_commands_init(struct node *node)
{
    node->commands_end = &node->commands;
    loop_task_init(&node->start_commands, node->loop, on_start_commands, node);
}

static void free_list(struct command *command)
{
    while (command) {
        struct command *next = command->next;
        free(command);
        command = next;
    }
}

void node_commands_free(struct node *node)
{
    loop_task_cancel(&node->start_commands);
    free_list(node->commands);
    free_list(node->running);
    node->commands = node->running = NULL;
}

/* --- the calls --- */

void node_join(struct node *node, const struct span *addresses, size_t count, bool replay,
               node_done *done, void *context)
{
    submit(node, &(struct request){.kind = COMMAND_JOIN,
                                   .words = addresses,
                                   .word_count = count,
                                   .flag = replay,
                                   .done = done,
                                   .context = context});
}

void node_leave(struct node *node, node_done *done, void *context)
{
    submit(node, &(struct request){.kind = COMMAND_LEAVE, .done = done, .context = context});
}

void node_force_leave(struct node *node, struct span name, bool prune, node_done *done,
                      void *context)
{
    submit(node, &(struct request){.kind = COMMAND_FORCE_LEAVE,
                                   .words = &name,
                                   .word_count = 1,
                                   .flag = prune,
                                   .done = done,
                                   .context = context});
}

void node_set_tags(struct node *node, const struct tag *tags, size_t count, node_done *done,
                   void *context)
{
    submit(node, &(struct request){.kind = COMMAND_SET_TAGS,
                                   .words = (const struct span *)tags,
                                   .word_count = 2 * count,
                                   .done = done,
                                   .context = context});
}

void node_retry_join(struct node *node, const struct span *addresses, size_t count,
                     const struct retry_join *options)
{
    submit(node, &(struct request){.kind = COMMAND_RETRY_JOIN,
                                   .words = addresses,
                                   .word_count = count,
                                   .retry = *options});
}

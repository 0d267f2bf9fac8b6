/* Keys over the cluster (Serf specification, 6.3): one command asks all members to install, use,
 * remove or list keys, and sums up what they answer. Those that change keys run one at a time, or
 * two of them could leave members with different primary keys. */
#include "serf_internal.h"

#include "keyring.h"

#include <stdio.h>
#include <stdlib.h>

/* --- the report --- */

static void add_message(struct key_report *report, struct span node, struct span text)
{
    uint8_t *bytes = malloc(node.size + text.size + 1);
    struct key_message *messages =
        bytes ? realloc(report->messages, (report->message_count + 1) * sizeof *messages) : NULL;
    if (!messages) {
        free(bytes); /* the counts still tell of it */
        return;
    }
    if (node.size > 0)
        memcpy(bytes, node.data, node.size);
    if (text.size > 0)
        memcpy(bytes + node.size, text.data, text.size);
    report->messages = messages;
    messages[report->message_count++] =
        (struct key_message){.node = span_make(bytes, node.size),
                             .text = span_make(bytes + node.size, text.size),
                             .bytes = bytes};
}

static void count_key(struct key_count **counts, uint32_t *size, struct span key)
{
    if (key.size == 0 || key.size > KEY_TEXT_SIZE_MAX)
        return;
    for (uint32_t i = 0; i < *size; i++)
        if (key.size == strlen((*counts)[i].key) &&
            memcmp((*counts)[i].key, key.data, key.size) == 0) {
            (*counts)[i].nodes++;
            return;
        }
    struct key_count *more =
        *size < REPORTED_KEYS_MAX ? realloc(*counts, (*size + 1) * sizeof *more) : NULL;
    if (!more)
        return;
    *counts = more;
    more[*size] = (struct key_count){.nodes = 1};
    memcpy(more[(*size)++].key, key.data, key.size);
}

static void free_report(struct key_report *report)
{
    for (uint32_t i = 0; i < report->message_count; i++)
        free(report->messages[i].bytes);
    free(report->messages);
    free(report->keys);
    free(report->primary_keys);
}

/* --- running --- */

static struct key_command *command_of(struct serf *serf, uint32_t query)
{
    for (struct key_command *command = serf->key_commands; command; command = command->next)
        if (command->query == query)
            return command;
    return NULL;
}

static void free_command(struct key_command *command)
{
    free_report(&command->report);
    if (command->key_size)
        explicit_bzero(command->key, sizeof command->key);
    free(command);
}

void key_commands_fini(struct serf *serf)
{
    while (serf->key_commands) {
        struct key_command *command = serf->key_commands;
        serf->key_commands = command->next;
        free_command(command);
    }
    key_commands_forget_ended(serf);
}

void key_commands_forget_ended(struct serf *serf)
{
    while (serf->ended_key_command) {
        struct key_command *command = serf->ended_key_command;
        serf->ended_key_command = command->next;
        free_command(command);
    }
}

/* Takes the command out and tells how it went; the report lives until the next input. */
static void end_command(struct serf *serf, struct key_command *command, const char *error)
{
    struct key_command **link = &serf->key_commands;
    while (*link != command)
        link = &(*link)->next;
    *link = command->next;
    command->next = serf->ended_key_command;
    serf->ended_key_command = command;
    struct effect *effect = outbox_add(&serf->swim.outbox, EFFECT_KEYS_DONE);
    if (!effect)
        return;
    effect->keys.command = command->id;
    effect->keys.report = &command->report;
    if (error)
        outbox_copy(&serf->swim.outbox, &effect->keys.error, span_text(error));
}

static bool changes_keys(const struct key_command *command)
{
    return command->operation != KEY_LIST;
}

/* A change runs alone; listings run side by side. */
static bool may_run(const struct serf *serf, const struct key_command *command)
{
    for (const struct key_command *other = serf->key_commands; other; other = other->next)
        if (other != command && other->query != 0 && (changes_keys(command) || changes_keys(other)))
            return false;
    return true;
}

static void run_command(struct serf *serf, struct key_command *command)
{
    static const char *const names[] = {"_serf_install-key", "_serf_use-key", "_serf_remove-key",
                                        "_serf_list-keys"};
    struct buffer payload, error;
    buffer_init(&payload, 256);
    buffer_init(&error, 256);
    struct key_request request = {.key = span_make(command->key, command->key_size)};
    serf_message_write(&payload, SERF_KEY_REQUEST, &key_request_structure, &request);
    struct serf_query_parameters parameters = {.name = span_text(names[command->operation]),
                                               .payload = buffer_span(&payload),
                                               .relay_factor = command->relay_factor};
    struct collector *collector = query_ask(serf, QUERY_OF_KEYS, &parameters, &error);
    if (collector)
        command->query = collector->id;
    command->report.nodes =
        serf->swim.table.state_count[NODE_ALIVE] + serf->swim.table.state_count[NODE_SUSPECT];
    if (!collector)
        end_command(serf, command, buffer_text(&error));
    if (payload.size)
        explicit_bzero(payload.data, payload.size);
    buffer_fini(&payload);
    buffer_fini(&error);
}

void key_commands_run(struct serf *serf)
{
    for (struct key_command *command = serf->key_commands, *next; command; command = next) {
        next = command->next;
        if (command->query == 0 && may_run(serf, command))
            run_command(serf, command);
        else if (command->query == 0)
            return; /* in order */
    }
}

uint32_t serf_keys(struct serf *serf, uint64_t now, enum key_operation operation, struct span key,
                   uint8_t relay_factor)
{
    serf->swim.now = now;
    key_commands_forget_ended(serf);
    uint32_t id = next_command_id(serf);
    struct key_command *command = NULL;
    uint32_t waiting = 0;
    struct key_command **link = &serf->key_commands;
    for (; *link; link = &(*link)->next)
        waiting++;
    if (waiting < KEY_COMMANDS_MAX && key.size <= KEY_REQUEST_SIZE_MAX)
        command = calloc(1, sizeof *command);
    if (!command) {
        struct effect *effect = outbox_add(&serf->swim.outbox, EFFECT_KEYS_DONE);
        if (effect) {
            effect->keys.command = id;
            effect->keys.report = &serf->no_report;
            outbox_copy(&serf->swim.outbox, &effect->keys.error,
                        span_text(key.size > KEY_REQUEST_SIZE_MAX
                                      ? "key size must be 16, 24 or 32 bytes"
                                      : "too many key commands are in progress"));
        }
    } else {
        command->id = id;
        command->operation = operation;
        command->relay_factor = relay_factor;
        command->key_size = (uint8_t)key.size;
        if (key.size)
            memcpy(command->key, key.data, key.size);
        *link = command;
        key_commands_run(serf);
    }
    serf_pump(serf);
    return id;
}

/* --- answers --- */

static void fail(struct key_report *report, struct span from, const char *text)
{
    report->errors++;
    add_message(report, from, span_text(text));
}

static void take_keys(struct key_report *report, const struct key_response *response)
{
    struct msgpack_reader reader = msgpack_reader_of(response->keys);
    uint32_t count = 0;
    if (response->keys.size == 0 || msgpack_read_array(&reader, &count) != MSGPACK_OK)
        count = 0;
    for (; count > 0; count--) {
        struct span key;
        if (msgpack_read_bytes(&reader, &key) != MSGPACK_OK)
            break;
        count_key(&report->keys, &report->key_count, key);
    }
    count_key(&report->primary_keys, &report->primary_count, response->primary_key);
}

void key_query_take(struct serf *serf, uint32_t query, struct span from, struct span payload)
{
    struct key_command *command = command_of(serf, query);
    if (!command)
        return;
    struct key_report *report = &command->report;
    struct key_response response;
    char text[128];
    report->responses++;
    if (payload.size < 1 || payload.data[0] != SERF_KEY_RESPONSE) {
        snprintf(text, sizeof text, "Invalid key query response type: %u",
                 payload.size ? payload.data[0] : 0);
        fail(report, from, text);
    } else if (!message_read(span_from(payload, 1), &key_response_structure, &response)) {
        fail(report, from, "Failed to decode key query response: malformed response");
    } else {
        report->errors += !response.result;
        if (!response.result || response.message.size > 0)
            add_message(report, from, response.message);
        if (response.result && response.message.size > 0)
            serf_log(serf, LOG_LEVEL_WARN, "serf: %.*s", SPAN_PRINT(response.message));
        take_keys(report, &response);
    }
    if (report->responses >= report->nodes)
        query_end_now(serf, query);
}

void key_query_ended(struct serf *serf, uint32_t query)
{
    struct key_command *command = command_of(serf, query);
    if (!command)
        return;
    const struct key_report *report = &command->report;
    char error[96];
    if (report->errors != 0)
        snprintf(error, sizeof error, "%u/%u nodes reported failure", report->errors,
                 report->nodes);
    else
        snprintf(error, sizeof error, "%u/%u nodes reported success", report->responses,
                 report->nodes);
    bool good = report->errors == 0 && report->responses == report->nodes;
    end_command(serf, command, good ? NULL : error);
    key_commands_run(serf);
}

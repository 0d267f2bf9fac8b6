#include "lib_keys.h"

#include <stdlib.h>

struct key_answer *key_answer_new(size_t keys, size_t messages)
{
    struct key_answer *answer = calloc(1, sizeof *answer);
    if (!answer)
        return NULL;
    answer->keys = calloc(keys + 1, sizeof *answer->keys);
    answer->messages = calloc(messages + 1, sizeof *answer->messages);
    if (answer->keys && answer->messages) {
        answer->report.keys = answer->keys;
        answer->report.messages = answer->messages;
        return answer;
    }
    key_answer_free(answer);
    return NULL;
}

void key_answer_free(struct key_answer *answer)
{
    if (!answer)
        return;
    for (size_t i = 0; i < answer->report.key_count; i++) {
        explicit_bzero((char *)(uintptr_t)answer->keys[i].text, strlen(answer->keys[i].text));
        free((char *)(uintptr_t)answer->keys[i].text);
    }
    for (size_t i = 0; i < answer->report.message_count; i++) {
        free((char *)(uintptr_t)answer->messages[i].node);
        free((char *)(uintptr_t)answer->messages[i].text);
    }
    free(answer->keys);
    free(answer->messages);
    free(answer);
}

/* Zero bytes become '?'. */
static char *copy_text(struct span text)
{
    char *copy = malloc(text.size + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < text.size; i++)
        copy[i] = text.data[i] == '\0' ? '?' : (char)text.data[i];
    copy[text.size] = '\0';
    return copy;
}

void key_answer_add_key(struct key_answer *answer, struct span key, uint32_t nodes,
                        uint32_t primary_nodes)
{
    char *text = copy_text(key);
    if (text)
        answer->keys[answer->report.key_count++] = (struct cserf_key){text, nodes, primary_nodes};
    else
        answer->failed = true;
}

void key_answer_add_message(struct key_answer *answer, struct span node, struct span text)
{
    char *name = copy_text(node), *words = copy_text(text);
    if (name && words) {
        answer->messages[answer->report.message_count++] = (struct cserf_key_message){name, words};
        return;
    }
    free(name);
    free(words);
    answer->failed = true;
}

static uint32_t primary_nodes(const struct key_report *report, const char *key)
{
    for (uint32_t i = 0; i < report->primary_count; i++)
        if (strcmp(report->primary_keys[i].key, key) == 0)
            return report->primary_keys[i].nodes;
    return 0;
}

struct key_answer *key_answer_of(const struct key_report *report)
{
    struct key_answer *answer = key_answer_new(report->key_count, report->message_count);
    if (!answer)
        return NULL;
    answer->report.nodes = report->nodes;
    answer->report.responses = report->responses;
    answer->report.errors = report->errors;
    for (uint32_t i = 0; i < report->key_count; i++)
        key_answer_add_key(answer, span_text(report->keys[i].key), report->keys[i].nodes,
                           primary_nodes(report, report->keys[i].key));
    for (uint32_t i = 0; i < report->message_count; i++)
        key_answer_add_message(answer, report->messages[i].node, report->messages[i].text);
    if (!answer->failed)
        return answer;
    key_answer_free(answer);
    return NULL;
}

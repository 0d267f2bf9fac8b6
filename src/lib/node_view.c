/* Strings are appended one after the other, each with its NUL, and found again at the end, when the
 * buffer moves no more: name, address, then key and value of each tag. */
#include "node_view.h"

#include <stdlib.h>

enum { VIEW_TEXT_MAX = 1024 * 1024 };

void node_view_init(struct node_view *view)
{
    *view = (struct node_view){0};
    buffer_init(&view->text, VIEW_TEXT_MAX);
}

void node_view_fini(struct node_view *view)
{
    buffer_fini(&view->text);
    free(view->tags);
}

bool append_c_text(struct buffer *buffer, struct span text)
{
    uint8_t *place = buffer_extend(buffer, text.size + 1);
    if (!place)
        return false;
    for (size_t i = 0; i < text.size; i++)
        place[i] = text.data[i] == '\0' ? '?' : text.data[i];
    place[text.size] = '\0';
    return true;
}

void node_view_begin(struct node_view *view, struct span name, const struct endpoint *endpoint)
{
    char address[ADDRESS_TEXT_SIZE] = "";
    buffer_reset(&view->text);
    view->node = (struct cserf_node){.port = endpoint->port};
    if (endpoint->address_size > 0)
        endpoint_address_text(endpoint, address);
    append_c_text(&view->text, name);
    append_c_text(&view->text, span_text(address));
}

void node_view_tag(struct node_view *view, struct span key, struct span value)
{
    if (append_c_text(&view->text, key) && append_c_text(&view->text, value))
        view->node.tag_count++;
}

static bool make_room(struct node_view *view)
{
    size_t wanted = view->node.tag_count;
    if (wanted <= view->tag_capacity)
        return true;
    struct cserf_tag *tags = realloc(view->tags, wanted * sizeof *tags);
    if (!tags)
        return false;
    view->tags = tags;
    view->tag_capacity = wanted;
    return true;
}

static const char *take(const char **place)
{
    const char *text = *place;
    *place += strlen(text) + 1;
    return text;
}

const struct cserf_node *node_view_end(struct node_view *view, enum cserf_status status,
                                       const uint8_t versions[6])
{
    struct cserf_node *node = &view->node;
    if (view->text.failed || !make_room(view))
        return NULL;
    const char *place = (const char *)view->text.data;
    node->name = take(&place);
    node->address = take(&place);
    for (size_t i = 0; i < node->tag_count; i++) {
        view->tags[i].key = take(&place);
        view->tags[i].value = take(&place);
    }
    node->tags = node->tag_count > 0 ? view->tags : NULL;
    node->status = status;
    node->protocol_min = versions[0];
    node->protocol_max = versions[1];
    node->protocol_current = versions[2];
    node->delegate_min = versions[3];
    node->delegate_max = versions[4];
    node->delegate_current = versions[5];
    return node;
}

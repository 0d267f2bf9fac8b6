#include "member_list.h"

#include <stdlib.h>

static int compare_spans(struct span a, struct span b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_members(const void *a, const void *b)
{
    return compare_spans(((const struct rpc_member *)a)->name,
                         ((const struct rpc_member *)b)->name);
}

static int compare_pairs(const void *a, const void *b)
{
    return compare_spans(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

/* Room for one element more, doubling; the count that a list announces is not believed. */
static bool make_room(void **elements, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return true;
    void *larger = realloc(*elements, (count > 0 ? 2 * count : 1) * size);
    if (!larger)
        return false;
    *elements = larger;
    return true;
}

bool member_list_read(struct member_list *list, struct span body, struct buffer *error)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct rpc_members_response response;
    struct rpc_walker walker;
    struct rpc_member member;
    *list = (struct member_list){0};
    bool good =
        msgpack_read_structure(&reader, &rpc_members_response_structure, &response) == MSGPACK_OK &&
        rpc_list_open(&walker, response.members);
    bool room = true;
    while (good && room && rpc_member_next(&walker, &member)) {
        void *members = list->members;
        room = make_room(&members, list->count, sizeof member);
        list->members = members;
        if (room)
            list->members[list->count++] = member;
    }
    good = good && room && !walker.failed;
    if (list->count > 0)
        qsort(list->members, list->count, sizeof member, compare_members);
    if (good)
        return true;
    buffer_append_text(error, room ? "malformed answer" : "out of memory");
    member_list_fini(list);
    return false;
}

void member_list_fini(struct member_list *list)
{
    free(list->members);
    *list = (struct member_list){0};
}

static int compare_name(const void *name, const void *member)
{
    return compare_spans(*(const struct span *)name, ((const struct rpc_member *)member)->name);
}

size_t member_list_find(const struct member_list *list, struct span name)
{
    const struct rpc_member *member = list->count > 0 ? bsearch(&name, list->members, list->count,
                                                                sizeof *list->members, compare_name)
                                                      : NULL;
    return member ? (size_t)(member - list->members) : list->count;
}

/* The value of the walker's next pair, whatever it is. */
static bool next_nested(struct rpc_walker *walker, struct pair *pair)
{
    if (walker->left == 0 || walker->failed)
        return false;
    walker->left--;
    walker->failed = msgpack_read_bytes(&walker->reader, &pair->key) != MSGPACK_OK;
    size_t start = walker->reader.offset;
    walker->failed = walker->failed || msgpack_skip(&walker->reader) != MSGPACK_OK;
    pair->value = span_make(walker->reader.input.data + start, walker->reader.offset - start);
    return !walker->failed;
}

bool pair_list_read(struct pair_list *list, struct span value, bool nested, struct buffer *error)
{
    struct rpc_walker walker;
    struct pair pair;
    *list = (struct pair_list){0};
    bool good = rpc_map_open(&walker, value), room = true;
    while (good && room &&
           (nested ? next_nested(&walker, &pair) : rpc_map_next(&walker, &pair.key, &pair.value))) {
        void *pairs = list->pairs;
        room = make_room(&pairs, list->count, sizeof pair);
        list->pairs = pairs;
        if (room)
            list->pairs[list->count++] = pair;
    }
    good = good && room && !walker.failed;
    if (list->count > 0)
        qsort(list->pairs, list->count, sizeof pair, compare_pairs);
    if (good)
        return true;
    buffer_append_text(error, room ? "malformed answer" : "out of memory");
    pair_list_fini(list);
    return false;
}

void pair_list_fini(struct pair_list *list)
{
    free(list->pairs);
    *list = (struct pair_list){0};
}

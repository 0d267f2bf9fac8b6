/* Tags as node metadata (Serf specification, 3.8). */
#include "serf_internal.h"

#include <stdlib.h>

static int by_key(const void *a, const void *b)
{
    const struct tag *x = a, *y = b;
    size_t shorter = x->key.size < y->key.size ? x->key.size : y->key.size;
    int order = shorter ? memcmp(x->key.data, y->key.data, shorter) : 0;
    if (order != 0)
        return order;
    return (x->key.size > y->key.size) - (x->key.size < y->key.size);
}

bool serf_encode_tags(struct buffer *out, uint8_t protocol_version, const struct tag *tags,
                      size_t count)
{
    struct buffer encoded;
    buffer_init(&encoded, META_SIZE_MAX);
    if (protocol_version < 3) { /* one tag, bare */
        for (size_t i = 0; i < count; i++)
            if (span_equal_text(tags[i].key, "role"))
                buffer_append_span(&encoded, tags[i].value);
    } else {
        struct tag *sorted = malloc((count + 1) * sizeof *sorted);
        if (!sorted)
            return false;
        if (count > 0) {
            memcpy(sorted, tags, count * sizeof *sorted);
            qsort(sorted, count, sizeof *sorted, by_key);
        }
        buffer_append_u8(&encoded, TAGS_MAGIC);
        msgpack_write_map(&encoded, (uint32_t)count);
        for (size_t i = 0; i < count && !encoded.failed; i++) {
            msgpack_write_raw(&encoded, sorted[i].key);
            msgpack_write_raw(&encoded, sorted[i].value);
        }
        free(sorted);
    }
    bool fits = !encoded.failed && buffer_append_span(out, buffer_span(&encoded));
    buffer_fini(&encoded);
    return fits;
}

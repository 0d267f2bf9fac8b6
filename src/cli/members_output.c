#include "members_output.h"

#include "endpoint.h"
#include "json_writer.h"

/* "IP:port"; an address that is neither 4 nor 16 bytes long prints as "?" and its bytes. */
static void append_address(struct buffer *out, const struct rpc_member *member)
{
    struct endpoint endpoint;
    char text[ENDPOINT_TEXT_SIZE];
    if (endpoint_from_bytes(&endpoint, member->addr, member->port)) {
        buffer_append_text(out, endpoint_text(&endpoint, text));
        return;
    }
    buffer_append_u8(out, '?');
    for (size_t i = 0; i < member->addr.size; i++)
        buffer_printf(out, "%02x", member->addr.data[i]);
    buffer_printf(out, ":%u", member->port);
}

static bool append_row(struct buffer *out, const struct rpc_member *member, bool detailed)
{
    struct pair_list tags;
    struct buffer error;
    buffer_init(&error, 64);
    bool good = pair_list_read(&tags, member->tags, false, &error);
    buffer_fini(&error);
    if (!good)
        return false;
    buffer_append_span(out, member->name);
    buffer_append_u8(out, '|');
    append_address(out, member);
    buffer_append_u8(out, '|');
    buffer_append_span(out, member->status);
    buffer_append_u8(out, '|');
    for (size_t i = 0; i < tags.count; i++) {
        buffer_append_text(out, i > 0 ? "," : "");
        buffer_append_span(out, tags.pairs[i].key);
        buffer_append_u8(out, '=');
        buffer_append_span(out, tags.pairs[i].value);
    }
    if (detailed)
        buffer_printf(out, "|Protocol Version: %u|Available Protocol Range: [%u, %u]",
                      member->delegate_cur, member->delegate_min, member->delegate_max);
    pair_list_fini(&tags);
    return true;
}

bool members_text(const struct member_list *list, bool detailed, struct buffer *out)
{
    struct table table;
    table_init(&table);
    bool good = true;
    for (size_t i = 0; good && i < list->count; i++) {
        good = append_row(&table.text, &list->members[i], detailed);
        table_end_row(&table);
    }
    good = good && table_format(&table, out);
    table_fini(&table);
    return good && buffer_append_u8(out, '\n');
}

static void write_text(struct json_writer *writer, const char *key, struct span text)
{
    json_write_key(writer, span_text(key));
    json_write_string(writer, text);
}

static void write_number(struct json_writer *writer, const char *key, uint64_t number)
{
    json_write_key(writer, span_text(key));
    json_write_unsigned(writer, number);
}

static bool write_tags(struct json_writer *writer, const struct rpc_member *member)
{
    struct pair_list tags;
    struct buffer error;
    buffer_init(&error, 64);
    bool good = pair_list_read(&tags, member->tags, false, &error);
    buffer_fini(&error);
    json_write_key(writer, span_text("tags"));
    json_write_open(writer, '{');
    for (size_t i = 0; i < tags.count; i++) {
        json_write_key(writer, tags.pairs[i].key);
        json_write_string(writer, tags.pairs[i].value);
    }
    json_write_close(writer, '}');
    pair_list_fini(&tags);
    return good;
}

static bool write_member(struct json_writer *writer, const struct rpc_member *member)
{
    struct buffer address;
    buffer_init(&address, 1024);
    append_address(&address, member);
    json_write_open(writer, '{');
    write_text(writer, "name", member->name);
    write_text(writer, "addr", buffer_span(&address));
    write_number(writer, "port", member->port);
    bool good = write_tags(writer, member);
    write_text(writer, "status", member->status);
    json_write_key(writer, span_text("protocol"));
    json_write_open(writer, '{');
    write_number(writer, "max", member->delegate_max);
    write_number(writer, "min", member->delegate_min);
    write_number(writer, "version", member->delegate_cur);
    json_write_close(writer, '}');
    json_write_close(writer, '}');
    buffer_fini(&address);
    return good;
}

bool members_json(const struct member_list *list, struct buffer *out)
{
    struct json_writer writer;
    bool good = true;
    json_writer_init(&writer, out);
    json_write_open(&writer, '{');
    json_write_key(&writer, span_text("members"));
    if (list->count == 0) {
        json_write_null(&writer);
    } else {
        json_write_open(&writer, '[');
        for (size_t i = 0; i < list->count; i++)
            good = write_member(&writer, &list->members[i]) && good;
        json_write_close(&writer, ']');
    }
    json_write_close(&writer, '}');
    buffer_append_u8(out, '\n');
    return good && !out->failed;
}

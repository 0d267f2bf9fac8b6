/* The queries that members ask each other (Serf specification, 5.6 and 6.2): whether one is there,
 * what one knows of a name, and what to do with a key. No application sees them. */
#include "serf_internal.h"

#include "base64.h"
#include "keyring.h"

#include <stdlib.h>

static void answer_failed(struct serf *serf, const char *what, struct buffer *error)
{
    serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR, "serf: Failed to respond to %s: %s",
                     what, buffer_text(error));
}

static void answer(struct serf *serf, struct open_query *query, const char *what,
                   struct span payload)
{
    struct buffer error;
    buffer_init(&error, 256);
    if (!query_answer(serf, query, payload, &error))
        answer_failed(serf, what, &error);
    buffer_fini(&error);
}

/* --- what we know of a name --- */

/* `elsewhere` is where it is said to be, or NULL: where we hold it. */
static void write_member(const struct serf *serf, uint32_t member, const struct endpoint *elsewhere,
                         struct buffer *out)
{
    const struct member_record *record = member_at(&serf->swim.table, member);
    const struct identity *identity = identity_of(record->identity);
    struct buffer tags;
    struct tag_reader reader;
    struct span key, value;
    buffer_init(&tags, 8192);
    uint32_t count = 0;
    if (tag_reader_open(&reader, identity_meta(identity)))
        while (tag_reader_next(&reader, &key, &value))
            count++;
    msgpack_write_map(&tags, count);
    if (tag_reader_open(&reader, identity_meta(identity)))
        while (tag_reader_next(&reader, &key, &value)) {
            msgpack_write_raw(&tags, key);
            msgpack_write_raw(&tags, value);
        }
    const uint8_t *versions = identity->versions;
    struct conflict_response response = {
        .name = identity_name(identity),
        .address = elsewhere ? span_make(elsewhere->address, elsewhere->address_size)
                             : identity_address(identity),
        .port = elsewhere ? elsewhere->port : identity->port,
        .tags = buffer_span(&tags),
        .status = record->status,
        .protocol_min = versions[0],
        .protocol_max = versions[1],
        .protocol_current = versions[2],
        .delegate_min = versions[3],
        .delegate_max = versions[4],
        .delegate_current = versions[5],
    };
    serf_message_write(out, SERF_CONFLICT_RESPONSE, &conflict_response_structure, &response);
    out->failed = out->failed || tags.failed;
    buffer_fini(&tags);
}

static bool is_known(const struct serf *serf, uint32_t member)
{
    return member != MEMBER_NONE && member_at(&serf->swim.table, member)->in_serf;
}

static void tell_where(struct serf *serf, struct open_query *query, struct span name,
                       const struct endpoint *elsewhere)
{
    struct buffer payload;
    buffer_init(&payload, 16384);
    uint32_t member = member_table_find(&serf->swim.table, name);
    if (is_known(serf, member)) {
        write_member(serf, member, elsewhere, &payload);
    } else {
        buffer_append_u8(&payload, SERF_CONFLICT_RESPONSE);
        msgpack_write_nil(&payload);
    }
    if (payload.failed)
        serf_log(serf, LOG_LEVEL_ERR, "serf: Failed to encode conflict query response: too long");
    else
        answer(serf, query, "conflict query", buffer_span(&payload));
    buffer_fini(&payload);
}

/* The reference answers with what it holds. A member whose machine died and whose name starts again
 * elsewhere would so be voted out by views of its own former life: so when the asker bears the name
 * itself, we see first whether anybody answers to it where we hold it. */
static void answer_conflict(struct serf *serf, struct open_query *query, struct span name)
{
    if (span_equal(name, member_name(&serf->swim.table, serf->swim.self)))
        return; /* who is asked about itself abstains */
    serf_log(serf, LOG_LEVEL_DEBUG, "serf: Got conflict resolution query for '%.*s'",
             SPAN_PRINT(name));
    uint32_t member = member_table_find(&serf->swim.table, name);
    if (is_known(serf, member) && span_equal(atom_span(query->origin_name), name)) {
        struct endpoint held = member_endpoint(&serf->swim.table, member);
        if (!endpoint_equal(&held, &query->origin) &&
            inquire(serf, INQUIRY_CONFLICT, name, &held, query->id))
            return;
    }
    tell_where(serf, query, name, NULL);
}

void answer_conflict_at_last(struct serf *serf, const struct inquiry *inquiry, bool answered)
{
    struct open_query *query = number_map_find(&serf->open_queries, inquiry->query);
    if (query)
        tell_where(serf, query, atom_span(inquiry->name), answered ? NULL : &query->origin);
}

/* --- keys --- */

static void write_key_response(struct buffer *out, const struct key_response *response)
{
    buffer_reset(out);
    serf_message_write(out, SERF_KEY_RESPONSE, &key_response_structure, response);
}

static void answer_key(struct serf *serf, struct open_query *query, bool result,
                       const char *message)
{
    struct buffer payload;
    buffer_init(&payload, 4096);
    struct key_response response = {.result = result, .message = span_text(message)};
    write_key_response(&payload, &response);
    answer(serf, query, "key query", buffer_span(&payload));
    buffer_fini(&payload);
}

static const char *apply_key(struct serf *serf, enum key_operation operation, struct span key)
{
    static const char *const words[] = {"install key", "change primary key", "remove key"};
    struct keyring *keyring = serf->config.swim.keyring;
    enum keyring_status status;
    if (operation == KEY_INSTALL)
        status = keyring_add(keyring, key);
    else if (operation == KEY_USE)
        status = keyring_use(keyring, key);
    else
        status = keyring_remove(keyring, key);
    if (status == KEYRING_OK)
        return NULL;
    serf_log(serf, LOG_LEVEL_ERR, "serf: Failed to %s: %s", words[operation],
             keyring_status_text(status));
    return keyring_status_text(status);
}

/* The keyring has changed: its file, if there is one, must follow before the answer says so. */
static void save_then_answer(struct serf *serf, struct open_query *query)
{
    struct effect *effect = outbox_add(&serf->swim.outbox, EFFECT_KEYRING_CHANGED);
    if (effect)
        effect->keyring.query = query->id;
    else
        answer_key(serf, query, false, "out of memory");
}

void serf_keyring_saved(struct serf *serf, uint64_t now, uint32_t query, const char *error)
{
    serf->swim.now = now;
    struct open_query *open = number_map_find(&serf->open_queries, query);
    if (error)
        serf_log(serf, LOG_LEVEL_ERR, "serf: %s", error);
    if (open)
        answer_key(serf, open, error == NULL, error ? error : "");
    serf_pump(serf);
}

static void change_key(struct serf *serf, struct open_query *query, enum key_operation operation,
                       struct span payload)
{
    static const char *const names[] = {"install-key", "use-key", "remove-key"};
    static const char disabled[] = "No keyring to modify (encryption not enabled)";
    struct key_request request;
    const char *problem = "";
    if (payload.size < 2 ||
        !message_read(span_from(payload, 1), &key_request_structure, &request)) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                         "serf: Failed to decode key request: malformed request");
    } else if (!serf->config.swim.keyring) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR, "serf: %s", disabled);
        problem = disabled;
    } else {
        serf_log(serf, LOG_LEVEL_INFO, "serf: Received %s query", names[operation]);
        problem = apply_key(serf, operation, request.key);
    }
    if (problem)
        answer_key(serf, query, false, problem);
    else
        save_then_answer(serf, query);
}

/* The first `count` keys, and a message if these are not all. */
static void write_keys(const struct serf *serf, size_t count, struct buffer *payload)
{
    const struct keyring *keyring = serf->config.swim.keyring;
    size_t total = keyring_count(keyring);
    struct buffer keys, one, primary, message;
    buffer_init(&keys, 65536);
    buffer_init(&one, 256);
    buffer_init(&primary, 256);
    buffer_init(&message, 256);
    msgpack_write_array(&keys, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        buffer_reset(&one);
        base64_encode(keyring_key(keyring, i), &one);
        msgpack_write_raw(&keys, buffer_span(&one));
    }
    if (total > 0)
        base64_encode(keyring_key(keyring, 0), &primary);
    if (count < total)
        buffer_printf(&message, "truncated key list response, showing first %zu of %zu keys", count,
                      total);
    struct key_response response = {.result = true,
                                    .message = buffer_span(&message),
                                    .keys = buffer_span(&keys),
                                    .primary_key = buffer_span(&primary)};
    write_key_response(payload, &response);
    buffer_fini(&keys);
    buffer_fini(&one);
    buffer_fini(&primary);
    buffer_fini(&message);
}

static void list_keys(struct serf *serf, struct open_query *query)
{
    static const char disabled[] = "Keyring is empty (encryption not enabled)";
    if (!serf->config.swim.keyring) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR, "serf: %s", disabled);
        answer_key(serf, query, false, disabled);
        return;
    }
    serf_log(serf, LOG_LEVEL_INFO, "serf: Received list-keys query");
    struct buffer payload, message;
    buffer_init(&payload, 65536);
    buffer_init(&message, 65536);
    size_t count = keyring_count(serf->config.swim.keyring);
    for (;; count--) { /* as many as fit an answer */
        write_keys(serf, count, &payload);
        bool fits = query_answer_encode(serf, query, buffer_span(&payload), &message) &&
                    message.size <= serf->config.query_response_size_limit;
        if (fits || count == 0)
            break;
    }
    if (count < keyring_count(serf->config.swim.keyring))
        serf_log(serf, LOG_LEVEL_WARN,
                 "serf: truncated key list response, showing first %zu of "
                 "%zu keys",
                 count, keyring_count(serf->config.swim.keyring));
    answer(serf, query, "key query", buffer_span(&payload));
    buffer_fini(&payload);
    buffer_fini(&message);
}

void internal_query(struct serf *serf, struct open_query *query, struct span name,
                    struct span payload)
{
    if (span_equal_text(name, "ping"))
        return; /* its ack is all that is wanted */
    if (span_equal_text(name, "conflict"))
        answer_conflict(serf, query, payload);
    else if (span_equal_text(name, "install-key"))
        change_key(serf, query, KEY_INSTALL, payload);
    else if (span_equal_text(name, "use-key"))
        change_key(serf, query, KEY_USE, payload);
    else if (span_equal_text(name, "remove-key"))
        change_key(serf, query, KEY_REMOVE, payload);
    else if (span_equal_text(name, "list-keys"))
        list_keys(serf, query);
    else
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_WARN,
                         "serf: Unhandled internal query '%.*s'", SPAN_PRINT(name));
}

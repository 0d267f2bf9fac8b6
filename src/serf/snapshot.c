/* A snapshot ends where the power did: its last line may be torn, a run of zeros may stand where
 * the disk had not caught up, and a previous version may have written what we do not know. So every
 * line is taken by itself, and none of them can stop a start. */
#include "snapshot.h"

#include "serf_internal.h"

#include <stdlib.h>

static uint64_t peer_hash(const void *table, uint32_t item)
{
    const struct snapshot *snapshot = table;
    return snapshot->peers[item].name->hash;
}

static bool peer_has_name(const void *table, uint32_t item, const void *name)
{
    const struct snapshot *snapshot = table;
    return snapshot->peers[item].name == name;
}

void snapshot_init(struct snapshot *snapshot, struct intern_pool *pool)
{
    *snapshot = (struct snapshot){.pool = pool};
    hash_index_init(&snapshot->index, snapshot, peer_hash, peer_has_name);
}

static void forget_all(struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->peer_count; i++)
        intern_release(snapshot->pool, snapshot->peers[i].name);
    snapshot->peer_count = 0;
    hash_index_fini(&snapshot->index);
    hash_index_init(&snapshot->index, snapshot, peer_hash, peer_has_name);
    snapshot->clock = snapshot->event_clock = snapshot->query_clock = 0;
}

void snapshot_fini(struct snapshot *snapshot)
{
    forget_all(snapshot);
    free(snapshot->peers);
    snapshot->peers = NULL;
    snapshot->peer_capacity = 0;
}

/* --- reading --- */

enum line_verdict { LINE_TAKEN, LINE_BAD, LINE_NO_MEMORY };

static bool reserve_peer(struct snapshot *snapshot)
{
    if (!hash_index_reserve(&snapshot->index))
        return false;
    if (snapshot->peer_count < snapshot->peer_capacity)
        return true;
    uint32_t capacity = snapshot->peer_capacity ? snapshot->peer_capacity * 2 : 16;
    struct snapshot_peer *peers = realloc(snapshot->peers, capacity * sizeof *peers);
    if (!peers)
        return false;
    snapshot->peers = peers;
    snapshot->peer_capacity = capacity;
    return true;
}

static enum line_verdict set_peer(struct snapshot *snapshot, struct span name,
                                  const struct endpoint *endpoint, uint64_t failed_at)
{
    struct atom *atom = intern(snapshot->pool, name);
    if (!atom)
        return LINE_NO_MEMORY;
    uint32_t place = hash_index_find(&snapshot->index, atom->hash, atom);
    if (place != HASH_INDEX_NONE) {
        intern_release(snapshot->pool, atom);
        snapshot->peers[place].endpoint = *endpoint;
        snapshot->peers[place].failed_at = failed_at;
        return LINE_TAKEN;
    }
    bool room = snapshot->peer_count < SNAPSHOT_PEERS_MAX;
    if (!room || !reserve_peer(snapshot)) {
        intern_release(snapshot->pool, atom);
        return room ? LINE_NO_MEMORY : LINE_BAD;
    }
    snapshot->peers[snapshot->peer_count] = (struct snapshot_peer){atom, *endpoint, failed_at};
    hash_index_insert(&snapshot->index, atom->hash, snapshot->peer_count++);
    return LINE_TAKEN;
}

/* The last one takes the place of the one that goes. */
static void remove_peer(struct snapshot *snapshot, uint32_t place)
{
    struct snapshot_peer gone = snapshot->peers[place];
    uint32_t last = snapshot->peer_count - 1;
    hash_index_remove(&snapshot->index, gone.name->hash, place);
    if (place != last) {
        struct snapshot_peer moved = snapshot->peers[last];
        hash_index_remove(&snapshot->index, moved.name->hash, last);
        snapshot->peers[place] = moved;
        hash_index_insert(&snapshot->index, moved.name->hash, place);
    }
    snapshot->peer_count = last;
    intern_release(snapshot->pool, gone.name);
}

static bool name_fits(struct span name)
{
    return name.size >= 1 && name.size <= MEMBER_NAME_SIZE_MAX;
}

static enum line_verdict set_not_alive(struct snapshot *snapshot, struct span name)
{
    if (!name_fits(name))
        return LINE_BAD;
    struct atom *atom = intern(snapshot->pool, name);
    if (!atom)
        return LINE_NO_MEMORY;
    uint32_t place = hash_index_find(&snapshot->index, atom->hash, atom);
    if (place != HASH_INDEX_NONE)
        remove_peer(snapshot, place);
    intern_release(snapshot->pool, atom);
    return LINE_TAKEN;
}

static bool read_number(struct span text, uint64_t maximum, uint64_t *number)
{
    uint64_t value = 0;
    if (text.size < 1 || text.size > 20)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';
        if (digit > 9 || value > (maximum - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

/* "10.0.0.1:7946" or "[fd00::1]:7946" */
static bool read_endpoint(struct span text, struct endpoint *endpoint)
{
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    uint64_t port;
    if (colon < 2 || !read_number(span_from(text, colon), UINT16_MAX, &port))
        return false;
    struct span host = span_make(text.data, colon - 1);
    if (host.data[0] == '[') {
        if (host.size < 2 || host.data[host.size - 1] != ']')
            return false;
        host = span_make(host.data + 1, host.size - 2);
    }
    char address[ADDRESS_TEXT_SIZE];
    if (host.size >= sizeof address || memchr(host.data, '\0', host.size))
        return false;
    memcpy(address, host.data, host.size);
    address[host.size] = '\0';
    return endpoint_from_text(endpoint, address, (uint16_t)port);
}

/* Cuts the last word off a line. False when there is but one. */
static bool split_last_word(struct span *text, struct span *word)
{
    size_t space = text->size;
    while (space > 0 && text->data[space - 1] != ' ')
        space--;
    if (space == 0)
        return false;
    *word = span_from(*text, space);
    *text = span_make(text->data, space - 1);
    return true;
}

static enum line_verdict read_peer(struct snapshot *snapshot, struct span text, uint64_t failed_at)
{
    struct span address;
    struct endpoint endpoint;
    if (!split_last_word(&text, &address) || !name_fits(text) || !read_endpoint(address, &endpoint))
        return LINE_BAD;
    return set_peer(snapshot, text, &endpoint, failed_at);
}

/* To others it is a comment, so what is wrong with it is nothing to complain about. */
static enum line_verdict read_failed(struct snapshot *snapshot, struct span text)
{
    struct span time;
    uint64_t failed_at;
    if (!split_last_word(&text, &time) || !read_number(time, SNAPSHOT_SECONDS_MAX, &failed_at) ||
        failed_at == 0)
        return LINE_TAKEN;
    enum line_verdict verdict = read_peer(snapshot, text, failed_at);
    return verdict == LINE_BAD ? LINE_TAKEN : verdict;
}

/* A time that would leave the clocks no room is a damaged one. */
static enum line_verdict read_time(struct span text, uint64_t *time)
{
    return read_number(text, LTIME_FREE_MAX, time) ? LINE_TAKEN : LINE_BAD;
}

static bool starts_with(struct span line, const char *word, struct span *rest)
{
    size_t size = strlen(word);
    if (line.size < size || memcmp(line.data, word, size) != 0)
        return false;
    *rest = span_from(line, size);
    return true;
}

static enum line_verdict read_line(struct snapshot *snapshot, struct span line, bool rejoin)
{
    struct span rest;
    if (starts_with(line, "alive: ", &rest))
        return read_peer(snapshot, rest, 0);
    if (starts_with(line, "not-alive: ", &rest))
        return set_not_alive(snapshot, rest);
    if (starts_with(line, "# failed: ", &rest))
        return read_failed(snapshot, rest);
    if (starts_with(line, "clock: ", &rest))
        return read_time(rest, &snapshot->clock);
    if (starts_with(line, "event-clock: ", &rest))
        return read_time(rest, &snapshot->event_clock);
    if (starts_with(line, "query-clock: ", &rest))
        return read_time(rest, &snapshot->query_clock);
    if (span_equal_text(line, "leave")) {
        if (rejoin)
            snapshot->leaves_ignored++;
        else
            forget_all(snapshot);
        return LINE_TAKEN;
    }
    bool known = starts_with(line, "coordinate: ", &rest) || starts_with(line, "#", &rest);
    return known ? LINE_TAKEN : LINE_BAD;
}

bool snapshot_read(struct snapshot *snapshot, struct span file, bool rejoin_after_leave)
{
    size_t begin = 0;
    for (uint32_t number = 1;; number++) {
        struct span rest = span_from(file, begin);
        const uint8_t *newline = rest.size ? memchr(rest.data, '\n', rest.size) : NULL;
        if (!newline)
            break;
        struct span line = span_make(rest.data, (size_t)(newline - rest.data));
        enum line_verdict verdict = read_line(snapshot, line, rejoin_after_leave);
        if (verdict == LINE_NO_MEMORY)
            return false;
        if (verdict == LINE_BAD && snapshot->bad_lines++ == 0)
            snapshot->first_bad_line = number;
        begin += line.size + 1;
    }
    snapshot->complete_bytes = begin;
    return true;
}

/* --- writing --- */

void snapshot_write_alive(struct buffer *out, struct span name, const struct endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_SIZE];
    buffer_append_text(out, "alive: ");
    buffer_append_span(out, name);
    buffer_printf(out, " %s\n", endpoint_text(endpoint, text));
}

void snapshot_write_not_alive(struct buffer *out, struct span name)
{
    buffer_append_text(out, "not-alive: ");
    buffer_append_span(out, name);
    buffer_append_u8(out, '\n');
}

void snapshot_write_failed(struct buffer *out, struct span name, const struct endpoint *endpoint,
                           uint64_t failed_at)
{
    char text[ENDPOINT_TEXT_SIZE];
    buffer_append_text(out, "# failed: ");
    buffer_append_span(out, name);
    buffer_printf(out, " %s %llu\n", endpoint_text(endpoint, text), (unsigned long long)failed_at);
}

void snapshot_write_clock(struct buffer *out, uint64_t time)
{
    buffer_printf(out, "clock: %llu\n", (unsigned long long)time);
}

void snapshot_write_event_clock(struct buffer *out, uint64_t time)
{
    buffer_printf(out, "event-clock: %llu\n", (unsigned long long)time);
}

void snapshot_write_query_clock(struct buffer *out, uint64_t time)
{
    buffer_printf(out, "query-clock: %llu\n", (unsigned long long)time);
}

void snapshot_write_leave(struct buffer *out)
{
    buffer_append_text(out, "leave\n");
}

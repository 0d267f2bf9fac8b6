/* Streams: who calls, who is called, and what is said on the connection (memberlist specification,
 * sections 3 and 9.1). What a push/pull does is in push_pull.c. */
#include "sync.h"

#include "duration.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *from_text(const struct sync *sync, char *text)
{
    return swim_from_text(&sync->remote, text);
}

struct span sync_peer_name(const struct sync *sync)
{
    return sync->peer ? identity_name(identity_of(sync->peer)) : SPAN_EMPTY;
}

/* --- life and death of a stream --- */

void sync_free(struct swim *swim, struct sync *sync)
{
    timer_cancel(&swim->timers, &sync->timer);
    number_map_remove(&swim->streams, sync->id);
    swim->stream_bytes -= sync->counted;
    swim->push_pulls -= sync->counts_push_pull;
    if (sync->kind == SYNC_JOIN || sync->kind == SYNC_PERIODIC)
        measure(&swim->metrics.push_pulls, swim->now - sync->begun);
    intern_release(swim->pool, sync->peer);
    stream_reader_fini(&sync->reader);
    free(sync);
}

void sync_close_connection(struct swim *swim, const struct sync *sync)
{
    struct effect *effect = outbox_add(&swim->outbox, EFFECT_STREAM_CLOSE);
    if (effect)
        effect->close.stream = sync->id;
}

/* Closes the connection that has been open longest without a word: whoever has something to say
 * comes before those who only hold a place. False when all are talking. */
static bool close_a_silent_one(struct swim *swim)
{
    const struct sync *silent = NULL, *sync;
    uint32_t position = 0;
    while ((sync = number_map_next(&swim->streams, &position)))
        if (sync->kind == SYNC_INCOMING && sync->stage == SYNC_READING &&
            sync->reader.raw.size == 0 &&
            (!silent || sync->timer.deadline < silent->timer.deadline))
            silent = sync;
    if (silent)
        swim_close_stream(swim, silent->id);
    return silent != NULL;
}

static struct sync *new_sync(struct swim *swim, enum sync_kind kind, const struct endpoint *remote)
{
    /* A quarter is kept for our own calls, which callers must not be able to block. */
    uint32_t limit = swim->config.streams_max;
    if (kind == SYNC_INCOMING)
        limit -= limit / 4;
    if (swim->streams.count >= limit && (kind != SYNC_INCOMING || !close_a_silent_one(swim))) {
        swim_log_limited(swim, LIMITED_LIMIT, LOG_LEVEL_WARN,
                         "memberlist: Refusing a stream: %u are open, the limit is %u",
                         swim->streams.count, limit);
        return NULL;
    }
    struct sync *sync = calloc(1, sizeof *sync);
    if (!sync)
        return NULL;
    do
        swim->last_stream++;
    while (swim->last_stream == 0 || number_map_find(&swim->streams, swim->last_stream));
    if (!timer_heap_reserve(&swim->timers, 1) ||
        !number_map_insert(&swim->streams, swim->last_stream, sync)) {
        free(sync);
        return NULL;
    }
    sync->timer.kind = TIMER_STREAM;
    sync->id = swim->last_stream;
    sync->kind = kind;
    sync->remote = *remote;
    stream_reader_init(&sync->reader, &swim->codec, kind == SYNC_INCOMING, DECOMPRESSED_MAX);
    return sync;
}

void sync_report_join(struct swim *swim, const struct sync *sync, bool ok, const char *error)
{
    struct effect *effect = outbox_add(&swim->outbox, EFFECT_SWIM_SYNC_DONE);
    if (!effect)
        return;
    effect->sync.sync = sync->id;
    effect->sync.ok = ok;
    effect->sync.self = sync->reached_self;
    effect->sync.new_members = sync->new_members;
    if (error)
        outbox_copy(&swim->outbox, &effect->sync.error, span_text(error));
}

/* How the reference begins the line about what a caller sent. */
static const char *incoming_prefix(const struct sync *sync)
{
    switch (sync->reader.problem.error) {
    case STREAM_UNKNOWN_TYPE:
    case STREAM_LABEL_UNACCEPTABLE:
    case STREAM_LABEL_DOUBLE:
        return "";
    case STREAM_LABEL_TRUNCATED:
    case STREAM_LABEL_EMPTY:
        return "failed to receive and remove the stream label header: ";
    case STREAM_BAD_NODE_COUNT:
    case STREAM_BAD_STATE_SIZE:
        return "Failed to read remote state: ";
    case STREAM_BAD_USER_SIZE:
        return "Failed to receive user message: ";
    default:
        return "failed to receive: ";
    }
}

/* Who wants another label closes without a word, which would leave a user none the wiser. */
static void report_failed_join(struct swim *swim, const struct sync *sync, const char *error)
{
    char text[1024];
    bool was_silent = sync->stage == SYNC_READING && sync->reader.raw.size == 0;
    if (was_silent && wire_codec_sent_label(&swim->codec).size > 0) {
        snprintf(text, sizeof text,
                 "%.512s; whoever has no label, or another one, does not answer a member with the "
                 "label '%.*s'",
                 error, SPAN_PRINT(swim->codec.label));
        error = text;
    }
    sync_report_join(swim, sync, false, error);
}

static void report_failure(struct swim *swim, const struct sync *sync, const char *error)
{
    char text[FROM_TEXT_SIZE];
    switch (sync->kind) {
    case SYNC_INCOMING:
        swim_log_limited(swim, LIMITED_STREAM, LOG_LEVEL_ERR, "memberlist: %s%s %s",
                         incoming_prefix(sync), error, from_text(sync, text));
        break;
    case SYNC_JOIN:
        report_failed_join(swim, sync, error);
        break;
    case SYNC_PERIODIC:
        swim_log(swim, LOG_LEVEL_ERR, "memberlist: Push/Pull with %.*s failed: %s",
                 SPAN_PRINT(sync_peer_name(sync)), error);
        break;
    case SYNC_TCP_PING:
        if (sync->stage == SYNC_READING) /* a refused connect is no contact, and no news */
            swim_log(swim, LOG_LEVEL_ERR, "memberlist: Failed fallback TCP ping: %s", error);
        swim_probe_tcp_done(swim, sync->id, false);
        break;
    }
}

/* Ends a stream that went wrong. `connected`: the host still has it. */
void sync_fail(struct swim *swim, struct sync *sync, const char *error, bool connected)
{
    report_failure(swim, sync, error);
    if (connected)
        sync_close_connection(swim, sync);
    sync_free(swim, sync);
}

void swim_close_stream(struct swim *swim, uint32_t stream)
{
    struct sync *sync = number_map_find(&swim->streams, stream);
    if (!sync)
        return;
    sync_close_connection(swim, sync);
    sync_free(swim, sync);
}

void swim_free_streams(struct swim *swim)
{
    uint32_t position = 0;
    struct sync *sync;
    while ((sync = number_map_next(&swim->streams, &position))) {
        intern_release(swim->pool, sync->peer);
        stream_reader_fini(&sync->reader);
        free(sync);
    }
    number_map_fini(&swim->streams);
}

/* Writes one message to the stream; false when memory is out. */
bool sync_send(struct swim *swim, const struct sync *sync, struct span message)
{
    struct effect *effect = outbox_add(&swim->outbox, EFFECT_STREAM_WRITE);
    if (!effect)
        return false;
    effect->write.stream = sync->id;
    size_t begin = outbox_begin(&swim->outbox);
    const struct stream_reader *request = sync->kind == SYNC_INCOMING ? &sync->reader : NULL;
    if (!stream_seal(&swim->codec, request, message, &swim->outbox.arena)) {
        swim->outbox.arena.failed = false;
        outbox_drop_last(&swim->outbox);
        return false;
    }
    outbox_end(&swim->outbox, &effect->write.bytes, begin);
    swim->metrics.stream_bytes_sent += effect->write.bytes.size;
    return true;
}

static bool send_structure(struct swim *swim, const struct sync *sync, enum message_type type,
                           const struct msgpack_structure *structure, const void *message)
{
    buffer_reset(&swim->scratch);
    message_write(&swim->scratch, type, structure, message);
    return !swim->scratch.failed && sync_send(swim, sync, buffer_span(&swim->scratch));
}

/* --- a complete message from a connector --- */

static void answer_ping(struct swim *swim, struct sync *sync, struct span body)
{
    char text[FROM_TEXT_SIZE];
    struct ping_message ping;
    if (!message_read(body, &ping_structure, &ping)) {
        swim_log_limited(swim, LIMITED_STREAM, LOG_LEVEL_ERR,
                         "memberlist: Failed to decode ping: malformed %s", from_text(sync, text));
    } else if (ping.node.size > 0 && !swim_is_self(swim, ping.node)) {
        struct span shown = ping.node.size > 128 ? span_make(ping.node.data, 128) : ping.node;
        swim_log_limited(swim, LIMITED_STREAM, LOG_LEVEL_WARN,
                         "memberlist: Got ping for unexpected node %.*s %s", SPAN_PRINT(shown),
                         from_text(sync, text));
    } else {
        struct ack_message ack = {.sequence = ping.sequence};
        send_structure(swim, sync, MESSAGE_ACK, &ack_structure, &ack);
    }
    swim_close_stream(swim, sync->id);
}

static void take_user_message(struct swim *swim, struct sync *sync, struct span body)
{
    struct msgpack_reader reader = msgpack_reader_of(body);
    struct user_header header;
    if (msgpack_read_structure(&reader, &user_header_structure, &header) == MSGPACK_OK &&
        header.size > 0) {
        struct span message = msgpack_rest(&reader);
        if ((uint64_t)header.size < message.size)
            message.size = (size_t)header.size;
        struct effect *effect = outbox_add(&swim->outbox, EFFECT_SWIM_USER_MESSAGE);
        if (effect && !outbox_copy(&swim->outbox, &effect->payload.bytes, message))
            outbox_drop_last(&swim->outbox);
    }
    swim_close_stream(swim, sync->id);
}

static void take_request(struct swim *swim, struct sync *sync)
{
    char text[FROM_TEXT_SIZE];
    struct span message = stream_reader_message(&sync->reader);
    switch (message.data[0]) {
    case MESSAGE_PUSH_PULL:
        push_pull_answer(swim, sync);
        break;
    case MESSAGE_PING:
        answer_ping(swim, sync, span_from(message, 1));
        break;
    case MESSAGE_USER:
        take_user_message(swim, sync, span_from(message, 1));
        break;
    default:
        swim_log_limited(swim, LIMITED_STREAM, LOG_LEVEL_ERR,
                         "memberlist: Received invalid msgType (%u) %s", message.data[0],
                         from_text(sync, text));
        swim_close_stream(swim, sync->id);
    }
}

/* --- a complete message from whom we called --- */

static void unexpected_reply(struct swim *swim, struct sync *sync, uint64_t type)
{
    char text[FROM_TEXT_SIZE];
    buffer_reset(&swim->scratch);
    from_text(sync, text);
    if (sync->kind == SYNC_TCP_PING)
        buffer_printf(&swim->scratch, "unexpected msgType (%u) from ping %s", (unsigned)type, text);
    else
        buffer_printf(&swim->scratch, "received invalid msgType (%u), expected pushPullMsg (6) %s",
                      (unsigned)type, text);
    sync_fail(swim, sync, buffer_text(&swim->scratch), true);
}

static void take_error(struct swim *swim, struct sync *sync, struct span body)
{
    struct error_message error;
    if (!message_read(body, &error_structure, &error))
        error.error = span_text("malformed");
    if (error.error.size > 512)
        error.error.size = 512;
    buffer_reset(&swim->scratch);
    buffer_printf(&swim->scratch, "remote error: %.*s", SPAN_PRINT(error.error));
    sync_fail(swim, sync, buffer_text(&swim->scratch), true);
}

static void take_tcp_ack(struct swim *swim, struct sync *sync, struct span body)
{
    struct ack_message ack;
    if (!message_read(body, &ack_structure, &ack) || ack.sequence != sync->ping_sequence) {
        sync_fail(swim, sync, "sequence number from ack doesn't match ping", true);
        return;
    }
    swim_probe_tcp_done(swim, sync->id, true);
    swim_close_stream(swim, sync->id);
}

static void take_reply(struct swim *swim, struct sync *sync)
{
    struct span message = stream_reader_message(&sync->reader);
    uint8_t wanted = sync->kind == SYNC_TCP_PING ? MESSAGE_ACK : MESSAGE_PUSH_PULL;
    if (message.data[0] != wanted) {
        if (message.data[0] == MESSAGE_ERROR && sync->kind != SYNC_TCP_PING)
            take_error(swim, sync, span_from(message, 1));
        else
            unexpected_reply(swim, sync, message.data[0]);
    } else if (sync->kind == SYNC_TCP_PING) {
        take_tcp_ack(swim, sync, span_from(message, 1));
    } else {
        sync->reached_self = sync->own_answer_hash != 0 &&
                             siphash(&swim->pool->key, message) == sync->own_answer_hash;
        sync_close_connection(swim, sync);
        push_pull_merge(swim, sync, sync->kind == SYNC_JOIN);
    }
}

/* --- inputs --- */

static void reader_failed(struct swim *swim, struct sync *sync)
{
    const struct stream_problem *problem = &sync->reader.problem;
    if (problem->error == STREAM_UNKNOWN_TYPE && sync->kind != SYNC_INCOMING) {
        unexpected_reply(swim, sync, problem->number);
        return;
    }
    swim->metrics.labels_refused += problem->error == STREAM_LABEL_UNACCEPTABLE;
    buffer_reset(&swim->scratch);
    stream_problem_text(problem, &swim->scratch);
    struct buffer words; /* the scratch is needed for the answer */
    buffer_init(&words, 4096);
    buffer_append_span(&words, buffer_span(&swim->scratch));
    if (sync->kind == SYNC_INCOMING && stream_problem_is_answered(problem)) {
        struct error_message error = {.error = buffer_span(&words)};
        send_structure(swim, sync, MESSAGE_ERROR, &error_structure, &error);
    }
    sync_fail(swim, sync, buffer_text(&words), true);
    buffer_fini(&words);
}

static void warn_of_size(struct swim *swim, struct sync *sync)
{
    if (sync->reader.large_sealed_bytes == 0)
        return;
    swim_log_limited(swim, LIMITED_STREAM, LOG_LEVEL_WARN,
                     "memberlist: Remote node state size is (%zu) limit is (%u)",
                     sync->reader.large_sealed_bytes, (unsigned)PUSH_PULL_STATE_MAX);
    sync->reader.large_sealed_bytes = 0;
}

/* Once for each stream, when all of its message is there. */
static void count_protection(struct swim *swim, const struct sync *sync)
{
    bool has_label = sync->kind != SYNC_INCOMING || sync->reader.has_label;
    swim->metrics.plaintext_accepted += sync->reader.was_plain;
    swim->metrics.unlabelled_accepted += swim->codec.label.size > 0 && !has_label;
}

static void take_progress(struct swim *swim, struct sync *sync, enum stream_progress progress)
{
    swim->stream_bytes += sync->reader.raw.size - sync->counted;
    sync->counted = sync->reader.raw.size;
    warn_of_size(swim, sync);
    if (progress == STREAM_COMPLETE)
        count_protection(swim, sync);
    if (progress == STREAM_FAILED)
        reader_failed(swim, sync);
    else if (swim->stream_bytes > swim->config.stream_bytes_max)
        sync_fail(swim, sync, "the streams that are open hold more bytes than the limit", true);
    else if (progress == STREAM_COMPLETE && sync->kind == SYNC_INCOMING)
        take_request(swim, sync);
    else if (progress == STREAM_COMPLETE)
        take_reply(swim, sync);
}

/* The stream of that id, if the host may still speak of it. */
static struct sync *find_sync(const struct swim *swim, uint32_t stream, enum sync_stage stage)
{
    struct sync *sync = number_map_find(&swim->streams, stream);
    return sync && sync->stage == stage ? sync : NULL;
}

uint32_t swim_stream_accepted(struct swim *swim, const struct endpoint *from)
{
    char text[FROM_TEXT_SIZE];
    struct sync *sync = new_sync(swim, SYNC_INCOMING, from);
    if (!sync)
        return 0;
    swim->metrics.streams_accepted++;
    sync->stage = SYNC_READING;
    timer_set(&swim->timers, &sync->timer, swim->now + swim->config.tcp_timeout);
    swim_log(swim, LOG_LEVEL_DEBUG, "memberlist: Stream connection %s", from_text(sync, text));
    return sync->id;
}

static bool send_tcp_ping(struct swim *swim, struct sync *sync)
{
    const struct identity *own = member_identity(&swim->table, swim->self);
    struct ping_message ping = {
        .sequence = sync->ping_sequence,
        .node = sync_peer_name(sync),
        .source_address = identity_address(own),
        .source_port = own->port,
        .source_node = identity_name(own),
    };
    timer_set(&swim->timers, &sync->timer, sync->deadline);
    return send_structure(swim, sync, MESSAGE_PING, &ping_structure, &ping);
}

void swim_stream_opened(struct swim *swim, uint32_t stream)
{
    struct sync *sync = find_sync(swim, stream, SYNC_CONNECTING);
    if (!sync)
        return;
    char text[ENDPOINT_TEXT_SIZE];
    sync->stage = SYNC_READING;
    if (sync->kind != SYNC_TCP_PING)
        swim_log(swim, LOG_LEVEL_DEBUG, "memberlist: Initiating push/pull sync with: %.*s %s",
                 SPAN_PRINT(sync_peer_name(sync)), endpoint_text(&sync->remote, text));
    bool sent = sync->kind == SYNC_TCP_PING ? send_tcp_ping(swim, sync)
                                            : push_pull_send(swim, sync, sync->kind == SYNC_JOIN);
    if (!sent)
        sync_fail(swim, sync, "out of memory", true);
}

void swim_stream_failed(struct swim *swim, uint32_t stream, const char *reason)
{
    struct sync *sync = number_map_find(&swim->streams, stream);
    if (sync && sync->stage != SYNC_MERGING)
        sync_fail(swim, sync, reason, false);
}

void swim_stream_data(struct swim *swim, uint32_t stream, struct span bytes)
{
    struct sync *sync = find_sync(swim, stream, SYNC_READING);
    swim->metrics.stream_bytes_received += bytes.size;
    if (sync)
        take_progress(swim, sync, stream_reader_feed(&sync->reader, bytes));
}

void swim_stream_ended(struct swim *swim, uint32_t stream)
{
    struct sync *sync = find_sync(swim, stream, SYNC_READING);
    if (!sync)
        return;
    if (sync->kind == SYNC_INCOMING && sync->reader.raw.size == 0)
        swim_close_stream(swim, stream); /* a port check: nothing was said, nothing is wrong */
    else
        take_progress(swim, sync, stream_reader_end(&sync->reader));
}

void swim_stream_timer(struct swim *swim, struct timer *timer)
{
    struct sync *sync = (struct sync *)(void *)timer;
    if (sync->stage == SYNC_MERGING) {
        push_pull_merge_slice(swim, sync);
        return;
    }
    char text[ENDPOINT_TEXT_SIZE], error[ENDPOINT_TEXT_SIZE + 32];
    snprintf(error, sizeof error, "%s tcp %s: i/o timeout",
             sync->stage == SYNC_CONNECTING ? "dial" : "read", endpoint_text(&sync->remote, text));
    sync_fail(swim, sync, error, true);
}

/* --- calling --- */

struct sync *sync_call(struct swim *swim, enum sync_kind kind, const struct endpoint *to,
                       struct atom *peer, uint64_t deadline)
{
    struct sync *sync = new_sync(swim, kind, to);
    if (!sync)
        return NULL;
    struct effect *effect = outbox_add(&swim->outbox, EFFECT_STREAM_OPEN);
    if (!effect) {
        sync_free(swim, sync);
        return NULL;
    }
    sync->begun = swim->now;
    swim->metrics.push_pulls_begun += kind != SYNC_TCP_PING;
    sync->peer = peer ? intern_retain(peer) : NULL;
    timer_set(&swim->timers, &sync->timer, deadline);
    effect->open.stream = sync->id;
    effect->open.to = *to;
    effect->open.deadline = deadline;
    return sync;
}

uint32_t swim_join(struct swim *swim, const struct endpoint *to, uint64_t dial_timeout)
{
    struct sync *sync = sync_call(swim, SYNC_JOIN, to, NULL, swim->now + dial_timeout);
    return sync ? sync->id : 0;
}

bool swim_cancel_join(struct swim *swim, uint32_t stream)
{
    struct sync *sync = find_sync(swim, stream, SYNC_CONNECTING);
    if (!sync)
        return false;
    swim_close_stream(swim, stream);
    return true;
}

void swim_tcp_ping_timed_out(struct swim *swim, uint32_t stream)
{
    const struct sync *sync = find_sync(swim, stream, SYNC_READING);
    if (!sync)
        return;
    char text[ENDPOINT_TEXT_SIZE], interval[DURATION_TEXT_SIZE];
    uint64_t scaled = swim->config.probe_interval * (swim->health + 1);
    swim_log(swim, LOG_LEVEL_ERR,
             "memberlist: Failed fallback TCP ping: timeout %s: read tcp %s: i/o timeout",
             duration_text((int64_t)scaled, interval), endpoint_text(&sync->remote, text));
}

uint32_t swim_open_tcp_ping(struct swim *swim, uint32_t member, uint32_t sequence,
                            uint64_t deadline)
{
    struct endpoint to = member_endpoint(&swim->table, member);
    struct sync *sync =
        sync_call(swim, SYNC_TCP_PING, &to, member_at(&swim->table, member)->identity, deadline);
    if (!sync)
        return 0;
    sync->ping_sequence = sequence;
    sync->deadline = deadline;
    return sync->id;
}

#include "fake_serf.h"

#include "swim_metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

struct fake_serf fake;

/* The handle that the host holds; its address is all that matters. */
struct serf {
    int unused;
};

static struct serf handle;

void fake_reset(void)
{
    fake = (struct fake_serf){.deadline = TIMER_NEVER, .next_stream = 1, .next_command = 1};
}

void fake_say(struct effect effect)
{
    assert_true(fake.said_count < FAKE_EFFECTS_MAX);
    fake.said[fake.said_count++] = effect;
}

static void __attribute__((format(printf, 1, 2))) write_down(const char *format, ...)
{
    size_t used = strlen(fake.diary);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fake.diary + used, sizeof fake.diary - used, format, arguments);
    va_end(arguments);
}

/* An input that may come while effects wait. */
static void early_input(struct serf *serf, uint64_t now)
{
    static uint64_t last;
    assert_ptr_equal(serf, &handle);
    assert_false(fake.freed);
    assert_true(now >= last); /* time never goes back */
    last = now;
    fake.inputs++;
    if (fake.queue_next == fake.queue_count)
        fake.queue_next = fake.queue_count = 0;
    assert_true(fake.queue_count + fake.said_count <= FAKE_EFFECTS_MAX);
    memcpy(fake.queue + fake.queue_count, fake.said, fake.said_count * sizeof fake.said[0]);
    fake.queue_count += fake.said_count;
    fake.said_count = 0;
}

/* The host drains the effects after every call. */
static void input(struct serf *serf, uint64_t now)
{
    assert_int_equal(fake.queue_next, fake.queue_count);
    early_input(serf, now);
}

struct serf *serf_new(const struct serf_config *config, struct intern_pool *pool,
                      const uint8_t *seed, uint64_t now, struct buffer *error)
{
    (void)pool;
    (void)seed;
    (void)error;
    fake.config = *config;
    input(&handle, now);
    return &handle;
}

void serf_free(struct serf *serf)
{
    assert_ptr_equal(serf, &handle);
    assert_false(fake.freed);
    fake.freed = true;
}

void serf_packet(struct serf *serf, uint64_t now, const struct endpoint *from, struct span datagram)
{
    input(serf, now);
    fake.from = *from;
    fake.packets++;
    write_down("packet %.*s; ", SPAN_PRINT(datagram));
}

void serf_packet_failed(struct serf *serf, uint64_t now, const struct endpoint *to)
{
    char text[ENDPOINT_TEXT_SIZE];
    input(serf, now);
    fake.failed++;
    write_down("packet to %s failed; ", endpoint_text(to, text));
}

uint32_t serf_stream_accepted(struct serf *serf, uint64_t now, const struct endpoint *from)
{
    input(serf, now);
    fake.accepted++;
    fake.from = *from;
    write_down("stream %u accepted; ", fake.next_stream);
    return fake.next_stream;
}

void serf_stream_opened(struct serf *serf, uint64_t now, uint32_t stream)
{
    input(serf, now);
    fake.opened++;
    write_down("stream %u opened; ", stream);
}

void serf_stream_failed(struct serf *serf, uint64_t now, uint32_t stream, const char *reason)
{
    input(serf, now);
    fake.failed++;
    write_down("stream %u failed: %s; ", stream, reason);
}

void serf_stream_data(struct serf *serf, uint64_t now, uint32_t stream, struct span bytes)
{
    input(serf, now);
    fake.data++;
    write_down("stream %u data %.*s; ", stream, SPAN_PRINT(bytes));
}

void serf_stream_ended(struct serf *serf, uint64_t now, uint32_t stream)
{
    input(serf, now);
    fake.ended++;
    write_down("stream %u ended; ", stream);
}

void serf_resolved(struct serf *serf, uint64_t now, uint32_t request,
                   const struct endpoint *endpoints, size_t count, const char *error)
{
    early_input(serf, now); /* a question that can't be asked is answered at once */
    fake.resolved++;
    if (count > 0)
        fake.answer = endpoints[0];
    write_down("request %u: %zu %s; ", request, count, error ? error : "");
}

void serf_resolved_in_part(struct serf *serf, uint64_t now, uint32_t request,
                           const struct endpoint *endpoints, size_t count, const char *error)
{
    write_down("in part: ");
    serf_resolved(serf, now, request, endpoints, count, error);
}

void serf_advance(struct serf *serf, uint64_t now)
{
    input(serf, now);
    if (fake.advances++ == 0)
        fake.packets_at_first_advance = fake.packets;
    if (fake.deadline <= now)
        fake.deadline = TIMER_NEVER;
}

uint64_t serf_next_deadline(const struct serf *serf)
{
    (void)serf;
    return fake.deadline;
}

bool serf_next_effect(struct serf *serf, struct effect *effect)
{
    assert_ptr_equal(serf, &handle);
    assert_false(fake.freed);
    if (fake.queue_next == fake.queue_count)
        return false;
    *effect = fake.queue[fake.queue_next++];
    return true;
}

void serf_record_clock(struct serf *serf, uint64_t now)
{
    input(serf, now);
}

bool serf_write_snapshot(const struct serf *serf, struct buffer *out)
{
    assert_ptr_equal(serf, &handle);
    return buffer_append_text(out, "written anew\n");
}

uint32_t serf_join(struct serf *serf, uint64_t now, const struct span *addresses, size_t count,
                   bool replay)
{
    input(serf, now);
    write_down("join");
    for (size_t i = 0; i < count; i++)
        write_down(" %.*s", SPAN_PRINT(addresses[i]));
    write_down("%s; ", replay ? " replay" : "");
    return fake.next_command++;
}

uint32_t serf_leave(struct serf *serf, uint64_t now)
{
    input(serf, now);
    write_down("leave; ");
    return fake.next_command++;
}

uint32_t serf_force_leave(struct serf *serf, uint64_t now, struct span name, bool prune)
{
    input(serf, now);
    write_down("force-leave %.*s%s; ", SPAN_PRINT(name), prune ? " prune" : "");
    return fake.next_command++;
}

uint32_t serf_set_tags(struct serf *serf, uint64_t now, const struct tag *tags, size_t count)
{
    input(serf, now);
    write_down("tags");
    for (size_t i = 0; i < count; i++)
        write_down(" %.*s=%.*s", SPAN_PRINT(tags[i].key), SPAN_PRINT(tags[i].value));
    write_down("; ");
    return fake.next_command++;
}

void serf_retry_join(struct serf *serf, uint64_t now, const struct span *addresses, size_t count,
                     const struct retry_join *options)
{
    (void)addresses;
    input(serf, now);
    write_down("retry-join %zu %llu %u %d %d; ", count, (unsigned long long)options->interval,
               options->max_attempts, options->replay, options->watch);
}

bool serf_user_event(struct serf *serf, uint64_t now, struct span name, struct span payload,
                     bool coalesce, struct buffer *error)
{
    (void)error;
    input(serf, now);
    write_down("event %.*s %.*s%s; ", SPAN_PRINT(name), SPAN_PRINT(payload),
               coalesce ? " coalesced" : "");
    return true;
}

uint32_t serf_query(struct serf *serf, uint64_t now, const struct serf_query_parameters *parameters,
                    struct buffer *error)
{
    (void)error;
    input(serf, now);
    write_down("query %.*s; ", SPAN_PRINT(parameters->name));
    return 5;
}

void serf_query_cancel(struct serf *serf, uint32_t query)
{
    assert_ptr_equal(serf, &handle);
    write_down("cancel %u; ", query);
}

bool serf_respond(struct serf *serf, uint64_t now, uint32_t query, struct span payload,
                  struct buffer *error)
{
    (void)error;
    input(serf, now);
    write_down("respond %u %.*s; ", query, SPAN_PRINT(payload));
    return true;
}

uint32_t serf_keys(struct serf *serf, uint64_t now, enum key_operation operation, struct span key,
                   uint8_t relay_factor)
{
    input(serf, now);
    write_down("keys %d %zu %u; ", (int)operation, key.size, relay_factor);
    return 7;
}

void serf_keyring_saved(struct serf *serf, uint64_t now, uint32_t query, const char *error)
{
    input(serf, now);
    write_down("saved %u %s; ", query, error ? error : "well");
}

static struct swim_metrics swim_metrics;

const struct swim_metrics *serf_swim_metrics(const struct serf *serf)
{
    (void)serf;
    return &swim_metrics;
}

/* Every allocation fails in turn: each operation is run with the first allocation refused, then the
 * second, and so on until it succeeds. Whatever fails must say so, must not crash, and must leave
 * nothing behind: as many blocks as before. */
#include "hex.h"
#include "intern.h"
#include "stream.h"
#include "timer_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <openssl/crypto.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

static bool armed;
static long allocations_left; /* while armed: how many more succeed */
static long allocation_count;

static bool refuse(void)
{
    allocation_count++;
    return armed && allocations_left-- <= 0;
}

void *__wrap_malloc(size_t size)
{
    return refuse() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refuse() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return refuse() ? NULL : __real_realloc(block, size);
}

/* OpenSSL is told to allocate here too. */
static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size ? __wrap_malloc(size) : NULL;
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size)
        return __wrap_realloc(block, size);
    free(block);
    return NULL;
}

static void openssl_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    free(block);
}

enum { ATTEMPTS_MAX = 200 };

/* Runs `operation` with 0, 1, 2 ... allocations until it succeeds. It must fail at least
 * `failures_min` times before. Leaks are the sanitizer's and valgrind's to find: every operation
 * frees all that it made. */
static void fail_each_allocation(bool (*operation)(void), int failures_min)
{
    for (int allowed = 0; allowed < ATTEMPTS_MAX; allowed++) {
        allocations_left = allowed;
        armed = true;
        bool succeeded = operation();
        armed = false;
        if (succeeded) {
            assert_true(allowed >= failures_min);
            return;
        }
    }
    fail();
}

static struct random source;
static struct span key;
static struct span ping;
static struct span push_pull;
static struct span sealed_packet;
static struct span compressed_packet;
static struct span sealed_stream;

static bool use_buffer(void)
{
    struct buffer buffer;
    buffer_init(&buffer, 10000);
    bool done = buffer_append_text(&buffer, "one") && buffer_printf(&buffer, "%0300d", 2) &&
                buffer_extend(&buffer, 2000) != NULL;
    assert_int_equal(done, !buffer.failed);
    if (done) {
        const char *text = buffer_text(&buffer);
        done = text[0] == 'o';
    }
    buffer_fini(&buffer);
    return done;
}

static void buffer(void **state)
{
    (void)state;
    fail_each_allocation(use_buffer, 3);
}

static bool use_intern(void)
{
    struct intern_pool pool;
    struct atom *atoms[40];
    int made = 0;
    intern_init(&pool, &(struct siphash_key){1, 2});
    for (; made < 40; made++) {
        uint8_t byte = (uint8_t)made;
        atoms[made] = intern(&pool, span_make(&byte, 1));
        if (!atoms[made])
            break;
    }
    for (int i = 0; i < made; i++) {
        uint8_t byte = (uint8_t)i;
        assert_bytes(atom_span(atoms[i]), span_make(&byte, 1));
        intern_release(&pool, atoms[i]);
    }
    intern_fini(&pool);
    return made == 40;
}

static void interned_atoms(void **state)
{
    (void)state;
    fail_each_allocation(use_intern, 40);
}

static bool use_timers(void)
{
    struct timer_heap heap;
    struct timer timers[40] = {{0}};
    int set = 0;
    timer_heap_init(&heap);
    while (set < 40 && timer_set(&heap, &timers[set], (uint64_t)(100 - set)))
        set++;
    for (int i = set - 1; i >= 0; i--)
        assert_ptr_equal(timer_heap_expire(&heap, 1000), &timers[i]);
    timer_heap_fini(&heap);
    return set == 40;
}

static void timers(void **state)
{
    (void)state;
    fail_each_allocation(use_timers, 2);
}

static bool use_keyring(void)
{
    struct keyring *keyring = keyring_new();
    struct buffer sealed;
    struct buffer plain;
    buffer_init(&sealed, 1000);
    buffer_init(&plain, 1000);
    bool done = keyring != NULL;
    if (done) {
        enum keyring_status status = keyring_add(keyring, key);
        done = status == KEYRING_OK;
        assert_true(done || status == KEYRING_OUT_OF_MEMORY);
        assert_int_equal(keyring_count(keyring), done ? 1 : 0);
    }
    if (done) {
        done = keyring_seal(keyring, 1, &source, SPAN_EMPTY, ping, &sealed);
        assert_true(done || sealed.size == 0);
    }
    if (done) {
        enum open_status status = keyring_open(keyring, SPAN_EMPTY, buffer_span(&sealed), &plain);
        done = status == OPEN_OK;
        assert_true(done || (status == OPEN_OUT_OF_MEMORY && plain.size == 0));
    }
    if (done)
        assert_bytes(buffer_span(&plain), ping);
    buffer_fini(&sealed);
    buffer_fini(&plain);
    keyring_free(keyring);
    return done;
}

static void keyring(void **state)
{
    (void)state;
    fail_each_allocation(use_keyring, 5);
}

/* Made without refusals: what is tested is what uses it. */
static struct keyring *ready_keyring(void)
{
    bool was_armed = armed;
    armed = false;
    struct keyring *made = keyring_new();
    assert_int_equal(keyring_add(made, key), KEYRING_OK);
    armed = was_armed;
    return made;
}

static bool seal_packet(void)
{
    struct wire_codec codec;
    struct compound compound;
    struct buffer out;
    wire_codec_init(&codec, &source);
    codec.keyring = ready_keyring();
    compound_init(&compound);
    buffer_init(&out, 10000);
    bool done = compound_add(&compound, ping) && compound_add(&compound, push_pull);
    if (done) {
        done = packet_seal(&codec, &compound, true, &out);
        assert_true(done || out.size == 0);
    }
    buffer_fini(&out);
    compound_fini(&compound);
    keyring_free(codec.keyring);
    wire_codec_fini(&codec);
    return done;
}

static void sealing_a_packet(void **state)
{
    (void)state;
    fail_each_allocation(seal_packet, 3);
}

static bool open_one_packet(struct span datagram, bool encrypted)
{
    struct wire_codec codec;
    struct packet_reader reader;
    struct span message;
    wire_codec_init(&codec, &source);
    if (encrypted)
        codec.keyring = ready_keyring();
    struct packet_problem problem = packet_open(&reader, &codec, datagram);
    if (problem.error == PACKET_OK)
        while (packet_next(&reader, &message, &problem) && problem.error == PACKET_OK)
            ;
    assert_true(problem.error == PACKET_OK || problem.error == PACKET_OUT_OF_MEMORY);
    keyring_free(codec.keyring);
    wire_codec_fini(&codec);
    return problem.error == PACKET_OK;
}

static bool open_sealed_packet(void)
{
    return open_one_packet(sealed_packet, true);
}

static bool open_compressed_packet(void)
{
    return open_one_packet(compressed_packet, false);
}

static void opening_a_packet(void **state)
{
    (void)state;
    fail_each_allocation(open_sealed_packet, 2);
    fail_each_allocation(open_compressed_packet, 1);
}

static void a_packet_allocates_nothing_once_the_scratch_has_grown(void **state)
{
    (void)state;
    struct wire_codec codec;
    struct compound compound;
    struct buffer out;
    wire_codec_init(&codec, &source);
    codec.keyring = ready_keyring();
    compound_init(&compound);
    buffer_init(&out, 10000);
    for (int i = 0; i < 20; i++) {
        struct packet_reader reader;
        struct packet_problem problem;
        struct span message;
        if (i == 2)
            allocation_count = 0;
        compound_reset(&compound);
        buffer_reset(&out);
        assert_true(compound_add(&compound, ping) && compound_add(&compound, push_pull));
        assert_true(packet_seal(&codec, &compound, true, &out));
        assert_int_equal(packet_open(&reader, &codec, buffer_span(&out)).error, PACKET_OK);
        while (packet_next(&reader, &message, &problem))
            assert_int_equal(problem.error, PACKET_OK);
    }
    assert_int_equal(allocation_count, 0);
    buffer_fini(&out);
    compound_fini(&compound);
    keyring_free(codec.keyring);
    wire_codec_fini(&codec);
}

static bool seal_stream(void)
{
    struct wire_codec codec;
    struct buffer out;
    wire_codec_init(&codec, &source);
    codec.keyring = ready_keyring();
    buffer_init(&out, 10000);
    bool done = stream_seal(&codec, NULL, push_pull, &out);
    assert_true(done || out.size == 0);
    buffer_fini(&out);
    keyring_free(codec.keyring);
    wire_codec_fini(&codec);
    return done;
}

static void sealing_a_stream(void **state)
{
    (void)state;
    fail_each_allocation(seal_stream, 4);
}

static bool read_stream_in_pieces(struct span bytes, bool encrypted, size_t piece)
{
    struct wire_codec codec;
    struct stream_reader reader;
    wire_codec_init(&codec, &source);
    if (encrypted)
        codec.keyring = ready_keyring();
    stream_reader_init(&reader, &codec, true, 100000);
    enum stream_progress progress = STREAM_MORE;
    for (size_t at = 0; at < bytes.size && progress == STREAM_MORE; at += piece) {
        size_t size = bytes.size - at < piece ? bytes.size - at : piece;
        progress = stream_reader_feed(&reader, span_make(bytes.data + at, size));
    }
    if (progress == STREAM_COMPLETE)
        assert_bytes(stream_reader_message(&reader), push_pull);
    else
        assert_int_equal(reader.problem.error, STREAM_OUT_OF_MEMORY);
    stream_reader_fini(&reader);
    keyring_free(codec.keyring);
    wire_codec_fini(&codec);
    return progress == STREAM_COMPLETE;
}

static bool read_plain_stream(void)
{
    return read_stream_in_pieces(push_pull, false, 100);
}

static bool read_sealed_stream(void)
{
    return read_stream_in_pieces(sealed_stream, true, 50);
}

static void reading_a_stream(void **state)
{
    (void)state;
    fail_each_allocation(read_plain_stream, 3);
    fail_each_allocation(read_sealed_stream, 4);
}

static bool seal_prepared(bool encrypted, struct buffer *packet, struct buffer *stream)
{
    struct wire_codec codec;
    struct compound compound;
    wire_codec_init(&codec, &source);
    if (encrypted)
        codec.keyring = ready_keyring();
    compound_init(&compound);
    bool done = compound_add(&compound, ping) && compound_add(&compound, push_pull) &&
                packet_seal(&codec, &compound, true, packet) &&
                stream_seal(&codec, NULL, push_pull, stream);
    compound_fini(&compound);
    keyring_free(codec.keyring);
    wire_codec_fini(&codec);
    return done;
}

static int prepare(void **state)
{
    (void)state;
    struct buffer packet;
    struct buffer stream;
    if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free))
        return -1;
    random_init(&source, (const uint8_t[RANDOM_SEED_SIZE]){3});
    key = repeated(5, 32);
    ping = hex("0082a44e6f6465a3646562a55365714e6f05");
    push_pull =
        joined(hex("0683a44a6f696ec3a54e6f64657301ac5573657253746174654c656ecd0200"
                   "87a441646472a47f00000dab496e6361726e6174696f6e01a44d657461a2ff80a44e616d"
                   "65a567616d6d61a4506f7274cd1f0aa5537461746500a356736ea6010502020505"),
               repeated(0xc0, 512));
    buffer_init(&packet, 10000);
    buffer_init(&stream, 10000);
    bool done = seal_prepared(false, &packet, &stream);
    compressed_packet = joined(buffer_span(&packet), SPAN_EMPTY);
    buffer_reset(&packet);
    buffer_reset(&stream);
    done = done && seal_prepared(true, &packet, &stream);
    sealed_packet = joined(buffer_span(&packet), SPAN_EMPTY);
    sealed_stream = joined(buffer_span(&stream), SPAN_EMPTY);
    buffer_fini(&packet);
    buffer_fini(&stream);
    return done ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer),
        cmocka_unit_test(interned_atoms),
        cmocka_unit_test(timers),
        cmocka_unit_test(keyring),
        cmocka_unit_test(sealing_a_packet),
        cmocka_unit_test(opening_a_packet),
        cmocka_unit_test(a_packet_allocates_nothing_once_the_scratch_has_grown),
        cmocka_unit_test(sealing_a_stream),
        cmocka_unit_test(reading_a_stream),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}

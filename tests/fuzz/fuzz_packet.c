/* A datagram through all its layers, and every message in it decoded; then sealed again. */
#include "packet.h"
#include "serf_message.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wire_codec codec;
static struct random source;

static void decode_all(struct span message)
{
    union {
        struct ping_message ping;
        struct indirect_ping_message indirect;
        struct ack_message ack;
        struct suspect_message suspect;
        struct alive_message alive;
        struct query_message query;
        struct serf_push_pull state;
    } out;
    const struct msgpack_structure *const structures[] = {
        &ping_structure,         &indirect_ping_structure, &ack_structure,
        &suspect_structure,      &alive_structure,         &nack_structure,
        &leave_intent_structure, &query_structure,         &serf_push_pull_structure};
    for (size_t i = 0; i < sizeof structures / sizeof *structures; i++)
        if (message.size > 1)
            message_read(span_from(message, 1), structures[i], &out);
    struct tag_reader tags;
    struct span key, value;
    if (tag_reader_open(&tags, message))
        while (tag_reader_next(&tags, &key, &value))
            ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[RANDOM_SEED_SIZE] = {1};
    static struct compound compound;
    if (!codec.random) {
        random_init(&source, seed);
        wire_codec_init(&codec, &source);
        compound_init(&compound);
    }
    struct packet_reader reader;
    struct buffer text;
    buffer_init(&text, 4096);
    struct packet_problem problem = packet_open(&reader, &codec, span_make(data, size));
    packet_problem_text(&problem, &text);
    struct span message;
    size_t handed_out = 0;
    compound_reset(&compound);
    while (problem.error == PACKET_OK && packet_next(&reader, &message, &problem)) {
        if (problem.error != PACKET_OK) {
            packet_problem_text(&problem, &text);
            problem.error = PACKET_OK;
            continue;
        }
        assert(message.size >= 1 && message.data[0] != MESSAGE_COMPOUND &&
               message.data[0] != MESSAGE_COMPRESS);
        handed_out += message.size;
        decode_all(message);
        if (compound.count < COMPOUND_PARTS_MAX)
            compound_add(&compound, message);
    }
    assert(handed_out <= PACKET_EXPANDED_MAX + PACKET_SIZE_MAX);
    if (compound.count > 0) {
        buffer_reset(&text);
        text.maximum = 2 * PACKET_EXPANDED_MAX;
        packet_seal(&codec, &compound, true, &text);
    }
    buffer_fini(&text);
    return 0;
}

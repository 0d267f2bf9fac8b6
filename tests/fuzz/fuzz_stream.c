/* A stream, fed in pieces whose sizes the input decides, and its push/pull walked. The same bytes
 * fed whole must come to the same end. */
#include "stream.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wire_codec codec;
static struct random source;

static void walk(struct span message)
{
    struct push_pull_reader reader;
    struct push_node_state node;
    if (message.data[0] != MESSAGE_PUSH_PULL || !push_pull_open(&reader, message))
        return;
    while (push_pull_next(&reader, &node))
        ;
    struct span state = push_pull_user_state(&reader);
    assert(state.size <= message.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[RANDOM_SEED_SIZE] = {1};
    if (!codec.random) {
        random_init(&source, seed);
        wire_codec_init(&codec, &source);
    }
    if (size < 2)
        return 0;
    struct stream_reader pieces, whole;
    bool from_connector = data[0] & 1;
    static const enum label_mode modes[] = {LABEL_STRICT, LABEL_SEND, LABEL_ACCEPT, LABEL_STRICT};
    codec.label_mode = modes[data[0] >> 1 & 3];
    codec.label = data[0] & 8 ? span_text("blue") : SPAN_EMPTY;
    size_t step = 1 + data[1] % 64;
    data += 2;
    size -= 2;
    stream_reader_init(&pieces, &codec, from_connector, 1 << 20);
    stream_reader_init(&whole, &codec, from_connector, 1 << 20);
    enum stream_progress progress = STREAM_MORE;
    for (size_t at = 0; at < size && progress == STREAM_MORE; at += step)
        progress =
            stream_reader_feed(&pieces, span_make(data + at, size - at < step ? size - at : step));
    enum stream_progress at_once = stream_reader_feed(&whole, span_make(data, size));
    assert(progress == at_once);
    if (progress == STREAM_MORE)
        progress = stream_reader_end(&pieces);
    if (progress == STREAM_COMPLETE)
        walk(stream_reader_message(&pieces));
    if (progress == STREAM_FAILED) {
        struct buffer text;
        buffer_init(&text, 4096);
        stream_problem_text(&pieces.problem, &text);
        buffer_fini(&text);
    }
    stream_reader_fini(&pieces);
    stream_reader_fini(&whole);
    return 0;
}

#include "hex.h"
#include "serf_message.h"
#include "stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define K16 "000102030405060708090a0b0c0d0e0f"
#define K32 K16 "101112131415161718191a1b1c1d1e1f"

/* The streams of the memberlist specification (Appendix A). */
#define A14_PREFIX                                                                                 \
    "0683a44a6f696ec3a54e6f64657301ac5573657253746174654c656ecd024d87a441646472a47f00000dab496e63" \
    "61"                                                                                           \
    "726e6174696f6e01a44d657461a2ff80a44e616d65a567616d6d61a4506f7274cd1f0aa5537461746500a356736e" \
    "a6"                                                                                           \
    "0105020205050286aa4576656e744c54696d6501a64576656e7473dc0200"
#define A14_SUFFIX                                                                                 \
    "a54c54696d6501ab4c6566744d656d6265727390aa51756572794c54696d6501ac5374617475734c54696d657381" \
    "a5"                                                                                           \
    "67616d6d6100"
#define A15_PREFIX                                                                                 \
    "0683a44a6f696ec3a54e6f64657302ac5573657253746174654c656ecd025387a441646472a47f00000bab496e63" \
    "61"                                                                                           \
    "726e6174696f6e01a44d657461abff81a4726f6c65a3776562a44e616d65a5616c706861a4506f7274cd1f0aa553" \
    "74"                                                                                           \
    "61746500a356736ea601050202050587a441646472a47f00000cab496e6361726e6174696f6e01a44d657461b0ff" \
    "82"                                                                                           \
    "a4726f6c65a26462a26463a26531a44e616d65a462657461a4506f7274cd1f0aa5537461746500a356736ea60105" \
    "02"                                                                                           \
    "0205050286aa4576656e744c54696d6501a64576656e7473dc0200"
#define A15_SUFFIX                                                                                 \
    "a54c54696d6502ab4c6566744d656d6265727390aa51756572794c54696d6501ac5374617475734c54696d657382" \
    "a4"                                                                                           \
    "6265746101a5616c70686100"
#define A16                                                                                        \
    "0683a44a6f696ec3a54e6f64657301ac5573657253746174654c656e0087a441646472a47f3d0016ab496e636172" \
    "6e"                                                                                           \
    "6174696f6e01a44d657461a0a44e616d65a46c617465a4506f7274cd461aa5537461746500a356736ea601050202" \
    "05"                                                                                           \
    "05"
#define A17_REQUEST "0082a44e6f6465a3646562a55365714e6f05"
#define A17_ANSWER  "0282a75061796c6f6164c0a55365714e6f05"
#define A18_ENCRYPTED                                                                              \
    "0d81a54572726f72da003a52656d6f746520737461746520697320656e6372797074656420616e6420656e637279" \
    "70"                                                                                           \
    "74696f6e206973206e6f7420636f6e66696775726564"
#define A18_ALGORITHM                                                                              \
    "0d81a54572726f72da002543616e6e6f74206465636f6d707265737320756e6b6e6f776e20616c676f726974686d" \
    "20"                                                                                           \
    "31"
#define A21                                                                                        \
    "0a0000007101358fcb221d86282df90e715641492a79dd590a527babd7c0e17df821aa6e863fff267f32d07fda2e" \
    "1a"                                                                                           \
    "fddd20d97a361644447683a07dd1fe0df5a5ec59854be8ea302eac466d2501068b95ca1c2bff70bf530374deb030" \
    "89"                                                                                           \
    "2dab609bf656755a9040ef9f202824de9a05e2ac71b1c2f6"
#define A21_PLAIN                                                                                  \
    "0982a4416c676f00a3427566da0045001b042a55448e9c3772b401d051c4cd183979e0d049f3c60d883473408ca9" \
    "68"                                                                                           \
    "26cd993a72ca900121a60e1d1021dbbca15306c41c3a61585ecce8662588320e214a141910"
#define A24                                                                                        \
    "f404626c75650a000000600105ca3fed793c12eae6175fa64c1d9d6ab4ef768d06add624f376147abdc4712f7fe5" \
    "54"                                                                                           \
    "f23fa53f1887c0ee96485386d8c07a287b8726e5266c205ef691668d98ab48abe066bc5b687a456db421ec2ff06c" \
    "e0"                                                                                           \
    "8634af3a660ea1cb3005c866de"
#define A24_PLAIN                                                                                  \
    "0982a4416c676f00a3427566da00340011045255654e19394de69c6152c64d3400c8f0e4914871a2c58a182f6acc" \
    "c8"                                                                                           \
    "71a3c78e203f8a0c4972a4c992284faa4c593120"
#define A25_REQUEST                                                                                \
    "f404626c75650a000000f9012e501eead68c23e2c7e643e85a1394de6f9662e17449a768d2fc9b86ba261dcf4d11" \
    "dd"                                                                                           \
    "9e400f6f432ee3a98aac07fc8ceee99e364c659ffa431439ad90a05167a98bd5ce00973c1caa09eb338de72231f6" \
    "9f"                                                                                           \
    "0f1ef4b782b49c51a34af9af2dc2358ab94cead3131b7aab509f0ff7e7519f8e7bdc5fde470466f2a0493e90e74e" \
    "f3"                                                                                           \
    "0990a66076981578ae5231b155d7695525eae55d20344b3a1f0104f764ea08bf44b711ddeb773fc8f2cbb58058c2" \
    "2e"                                                                                           \
    "9f9bdaf0ec6106e20cce25679c4569f5bd0b9ffc1efe937977e7195f715ce72492a48ffb404dc21ba432ae36b701" \
    "5a"                                                                                           \
    "4d7620946f7c5fb443cc69d1048086b92f35e9c7ebeb5baf24"
#define A25_REPLY                                                                                  \
    "0a000001130179e9af83435a02116bdccb5fa4fba4709260a103f0c68dfd5edf628d4200c4542aa868907e261833" \
    "7d"                                                                                           \
    "f4f9233dfda78ab343c210c2e634be6b2bf96f33e08c53da65b62bac448d56d5fcfae7a5e3d548fdcb757de6513d" \
    "75"                                                                                           \
    "939623402b25c4f591a7f4f70aec880906aa8e667f3cbf327bb0e7b9507892aa30df61ee0c8cc2cbdfc5560114a3" \
    "da"                                                                                           \
    "5f8df42027d105840b1b15984626ed620dd0287ea45b47fdb1c35a51da0f218591d37064bc5b034d49012a39cc9d" \
    "72"                                                                                           \
    "a2ad5ca574863babb7531c91eccb0498f5f87983b5752afe752e50474a67dc5d8f9c45647f04ad1bc391e12342f0" \
    "f3"                                                                                           \
    "9c9228ef725db85d210c1c15abcb3a57386682abeb1a490d8fac4f6914b02ad46672c31fefde9fe93c00dee814"
#define A26_STREAM                                                                                 \
    "0a0000007d000b1c1dacaa3eea6fcbb5d302f5a3a411e2f805be317865ff0c9cb019b1bea3c52c9ad669acc5c177" \
    "81"                                                                                           \
    "da16921b87b3e23342630f8e316fc0bfe423f0ba5c6a4d0c8d8a59181d18f011f17c95e643ae8cbdb94abe7dc0ba" \
    "7c"                                                                                           \
    "5be605a8b7214647f849d6e21560ccd76134938cba00c74ec39c7f5b745006690a58aff4"

enum { MAXIMUM = 100000 };

static struct random source;
static struct wire_codec codec;
static struct keyring *keyring;
static struct stream_reader reader;

static int begin(void **state)
{
    (void)state;
    random_init(&source, (const uint8_t[RANDOM_SEED_SIZE]){6});
    wire_codec_init(&codec, &source);
    codec.compress = false;
    keyring = NULL;
    stream_reader_init(&reader, &codec, true, MAXIMUM);
    return 0;
}

static int end(void **state)
{
    (void)state;
    stream_reader_fini(&reader);
    wire_codec_fini(&codec);
    keyring_free(keyring);
    return 0;
}

static void encrypt_with(const char *key)
{
    keyring = keyring_new();
    assert_int_equal(keyring_add(keyring, hex(key)), KEYRING_OK);
    codec.keyring = keyring;
}

static void restart(bool from_connector, size_t maximum)
{
    stream_reader_fini(&reader);
    stream_reader_init(&reader, &codec, from_connector, maximum);
}

/* Feeds the stream in pieces of `piece` bytes. */
static enum stream_progress feed(bool from_connector, struct span bytes, size_t piece)
{
    restart(from_connector, MAXIMUM);
    enum stream_progress progress = STREAM_MORE;
    for (size_t at = 0; at < bytes.size; at += piece) {
        size_t size = bytes.size - at < piece ? bytes.size - at : piece;
        assert_int_equal(progress, STREAM_MORE);
        progress = stream_reader_feed(&reader, span_make(bytes.data + at, size));
    }
    return progress;
}

/* The stream gives this message, whole, byte by byte, and with bytes behind it. */
static void assert_message(bool from_connector, struct span bytes, struct span expected)
{
    static const size_t pieces[] = {1, 2, 3, 7, 64, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_int_equal(feed(from_connector, bytes, pieces[i]), STREAM_COMPLETE);
        assert_bytes(stream_reader_message(&reader), expected);
        assert_int_equal(stream_reader_end(&reader), STREAM_COMPLETE);
    }
    restart(from_connector, MAXIMUM);
    assert_int_equal(stream_reader_feed(&reader, joined(bytes, hex("00ff"))), STREAM_COMPLETE);
    assert_int_equal(stream_reader_feed(&reader, hex("00ff")), STREAM_COMPLETE);
    assert_bytes(stream_reader_message(&reader), expected);
}

static void assert_text(const char *expected)
{
    struct buffer text;
    buffer_init(&text, 1000);
    stream_problem_text(&reader.problem, &text);
    assert_string_equal(buffer_text(&text), expected);
    buffer_fini(&text);
}

/* The stream is refused with this problem, whole and byte by byte. */
static void assert_refused(bool from_connector, struct span bytes, enum stream_error error,
                           const char *text, bool answered)
{
    for (size_t piece = 1; piece <= bytes.size; piece += bytes.size - 1 ? bytes.size - 1 : 1) {
        restart(from_connector, MAXIMUM);
        enum stream_progress progress = STREAM_MORE;
        for (size_t at = 0; at < bytes.size && progress == STREAM_MORE; at += piece)
            progress = stream_reader_feed(
                &reader,
                span_make(bytes.data + at, at + piece > bytes.size ? bytes.size - at : piece));
        assert_int_equal(progress, STREAM_FAILED);
        assert_int_equal(reader.problem.error, error);
        assert_text(text);
        assert_int_equal(stream_problem_is_answered(&reader.problem), answered);
        assert_int_equal(stream_reader_message(&reader).size, 0);
        assert_int_equal(stream_reader_feed(&reader, hex("00")), STREAM_FAILED);
        assert_int_equal(stream_reader_end(&reader), STREAM_FAILED);
    }
}

static void assert_seals_to(bool as_connector, struct span message, struct span expected)
{
    struct buffer out;
    buffer_init(&out, MAXIMUM);
    struct stream_reader request = {.has_label = codec.label.size > 0};
    assert_true(stream_seal(&codec, as_connector ? NULL : &request, message, &out));
    assert_bytes(buffer_span(&out), expected);
    buffer_fini(&out);
}

/* The codec's random source gives this nonce next. */
static void next_nonce(const uint8_t *nonce)
{
    source.used = sizeof source.block - 12;
    memcpy(source.block + source.used, nonce, 12);
}

static struct span a14(void)
{
    return joined(joined(hex(A14_PREFIX), repeated(0xc0, 512)), hex(A14_SUFFIX));
}

/* --- vectors --- */

static void plaintext_vectors_both_ways(void **state)
{
    (void)state;
    struct span a15 = joined(joined(hex(A15_PREFIX), repeated(0xc0, 512)), hex(A15_SUFFIX));
    assert_int_equal(a14().size, 689);
    assert_int_equal(a15.size, 786);
    assert_message(true, a14(), a14());
    assert_message(false, a15, a15);
    assert_message(true, hex(A16), hex(A16));
    assert_message(true, hex(A17_REQUEST), hex(A17_REQUEST));
    assert_message(false, hex(A17_ANSWER), hex(A17_ANSWER));
    assert_message(false, hex(A18_ENCRYPTED), hex(A18_ENCRYPTED));
    assert_message(false, hex(A18_ALGORITHM), hex(A18_ALGORITHM));
    assert_seals_to(true, a14(), a14());
    assert_seals_to(false, a15, a15);
}

static void a_push_pull_is_walked_node_by_node(void **state)
{
    (void)state;
    struct push_pull_reader walk;
    struct push_node_state node;
    struct span a15 = joined(joined(hex(A15_PREFIX), repeated(0xc0, 512)), hex(A15_SUFFIX));
    assert_true(push_pull_open(&walk, a15));
    assert_true(walk.header.join);
    assert_int_equal(walk.header.nodes, 2);
    assert_int_equal(walk.header.user_state_size, 595);
    assert_true(push_pull_next(&walk, &node));
    assert_bytes_text(node.name, "alpha");
    assert_bytes(node.address, hex("7f00000b"));
    assert_int_equal(node.port, 7946);
    assert_int_equal(node.state, NODE_ALIVE);
    assert_bytes(node.versions, hex("010502020505"));
    assert_true(push_pull_next(&walk, &node));
    assert_bytes_text(node.name, "beta");
    assert_false(push_pull_next(&walk, &node));
    struct span state_bytes = push_pull_user_state(&walk);
    assert_int_equal(state_bytes.size, 595);
    struct serf_push_pull serf;
    assert_int_equal(state_bytes.data[0], SERF_PUSH_PULL);
    struct msgpack_reader body = msgpack_reader_of(span_from(state_bytes, 1));
    assert_int_equal(msgpack_read_structure(&body, &serf_push_pull_structure, &serf), MSGPACK_OK);
    assert_int_equal(serf.ltime, 2);

    assert_true(push_pull_open(&walk, hex(A16)));
    assert_true(push_pull_next(&walk, &node));
    assert_int_equal(node.meta.size, 0);
    assert_int_equal(push_pull_user_state(&walk).size, 0);
    assert_false(push_pull_open(&walk, hex(A17_REQUEST)));
    assert_false(push_pull_open(&walk, SPAN_EMPTY));
}

static void encrypted_error_reply_both_ways(void **state)
{
    (void)state;
    encrypt_with(K32);
    codec.compress = true;
    assert_int_equal(feed(false, hex(A21), 1), STREAM_COMPLETE);
    struct span message = joined(stream_reader_message(&reader), SPAN_EMPTY);
    struct error_message error;
    assert_int_equal(message.data[0], MESSAGE_ERROR);
    assert_true(message_read(span_from(message, 1), &error_structure, &error));
    assert_bytes_text(error.error, "Encryption is configured but remote state is not encrypted");
    assert_message(false, hex(A21), message);
    next_nonce(hex(A21).data + 6);
    assert_seals_to(false, message, hex(A21));
    codec.keyring = NULL;
    assert_seals_to(false, message, hex(A21_PLAIN));
    assert_message(false, hex(A21_PLAIN), message);
}

static void labelled_user_message_both_ways(void **state)
{
    (void)state;
    encrypt_with(K16);
    codec.label = span_text("blue");
    codec.compress = true;
    struct span payload = SPAN_EMPTY;
    for (int i = 0; i < 100; i++)
        payload = joined(payload, span_text("xy"));
    struct span expected = joined(hex("0881aa557365724d73674c656ed100c8"), payload);
    assert_message(true, hex(A24), expected);
    next_nonce(hex(A24).data + 12);
    assert_seals_to(true, expected, hex(A24));
    codec.keyring = NULL;
    assert_seals_to(false, expected, hex(A24_PLAIN));
}

static void labelled_push_pull_request_and_reply_both_ways(void **state)
{
    (void)state;
    encrypt_with(K16);
    codec.label = span_text("blue");
    codec.compress = true;
    assert_int_equal(feed(true, hex(A25_REQUEST), SIZE_MAX / 2), STREAM_COMPLETE);
    struct span request = joined(stream_reader_message(&reader), SPAN_EMPTY);
    assert_int_equal(request.data[0], MESSAGE_PUSH_PULL);
    assert_message(true, hex(A25_REQUEST), request);
    assert_int_equal(feed(false, hex(A25_REPLY), SIZE_MAX / 2), STREAM_COMPLETE);
    struct span reply = joined(stream_reader_message(&reader), SPAN_EMPTY);
    assert_message(false, hex(A25_REPLY), reply);
    struct push_pull_reader walk;
    struct push_node_state node;
    assert_true(push_pull_open(&walk, reply));
    int64_t nodes = 0;
    while (push_pull_next(&walk, &node))
        nodes++;
    assert_int_equal(nodes, walk.header.nodes);
    codec.compress = false; /* this sender did not compress, or did: both forms come back */
    if (span_from(hex(A25_REQUEST), 6).size == 5 + 29 + request.size) {
        next_nonce(hex(A25_REQUEST).data + 12);
        assert_seals_to(true, request, hex(A25_REQUEST));
        next_nonce(hex(A25_REPLY).data + 6);
        assert_seals_to(false, reply, hex(A25_REPLY));
    } else {
        codec.compress = true;
        next_nonce(hex(A25_REQUEST).data + 12);
        assert_seals_to(true, request, hex(A25_REQUEST));
        next_nonce(hex(A25_REPLY).data + 6);
        assert_seals_to(false, reply, hex(A25_REPLY));
    }
}

static void encryption_version_0_both_ways(void **state)
{
    (void)state;
    encrypt_with(K16);
    codec.encryption_version = 0;
    assert_int_equal(feed(true, hex(A26_STREAM), SIZE_MAX / 2), STREAM_COMPLETE);
    struct span message = joined(stream_reader_message(&reader), SPAN_EMPTY);
    assert_int_equal(message.size, 92);
    assert_message(true, hex(A26_STREAM), message);
    next_nonce(hex(A26_STREAM).data + 6);
    assert_seals_to(true, message, hex(A26_STREAM));
}

/* --- labels --- */

static void a_connectors_label_must_be_the_configured_one(void **state)
{
    (void)state;
    assert_refused(true, hex("f404626c7565" A17_REQUEST), STREAM_LABEL_UNACCEPTABLE,
                   "discarding stream with unacceptable label \"blue\":", false);
    codec.label = span_text("blue");
    assert_message(true, hex("f404626c7565" A17_REQUEST), hex(A17_REQUEST));
    assert_refused(true, hex(A17_REQUEST), STREAM_LABEL_UNACCEPTABLE,
                   "discarding stream with unacceptable label \"\":", false);
    assert_refused(true, hex("f403726564"), STREAM_LABEL_UNACCEPTABLE,
                   "discarding stream with unacceptable label \"red\":", false);
    assert_seals_to(true, hex(A17_REQUEST), hex("f404626c7565" A17_REQUEST));
}

static void a_reply_carries_no_label(void **state)
{
    (void)state;
    codec.label = span_text("blue");
    assert_message(false, hex(A17_ANSWER), hex(A17_ANSWER));
    assert_seals_to(false, hex(A17_ANSWER), hex(A17_ANSWER));
    assert_refused(false, hex("f404626c7565" A17_ANSWER), STREAM_UNKNOWN_TYPE,
                   "Received invalid msgType (244)", false);
}

static void a_malformed_label_is_refused(void **state)
{
    (void)state;
    assert_refused(true, hex("f400"), STREAM_LABEL_EMPTY,
                   "label header cannot be empty when present", false);
    static const char *const parts[] = {"f4", "f404", "f404626c75"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(feed(true, hex(parts[i]), 1), STREAM_MORE);
        assert_int_equal(stream_reader_end(&reader), STREAM_FAILED);
        assert_int_equal(reader.problem.error, STREAM_LABEL_TRUNCATED);
        assert_text("cannot decode label; stream has been truncated");
    }
}

static void without_the_inbound_check_a_label_is_a_double(void **state)
{
    (void)state;
    codec.label = span_text("blue");
    codec.skip_inbound_label_check = true;
    assert_message(true, hex(A17_REQUEST), hex(A17_REQUEST));
    assert_refused(true, hex("f404626c7565" A17_REQUEST), STREAM_LABEL_DOUBLE,
                   "unexpected double stream label header:", false);
    encrypt_with(K16);
    assert_int_equal(feed(true, span_from(hex(A24), 6), 1), STREAM_COMPLETE);
}

static void take_stage(int stage)
{
    static const enum label_mode modes[] = {LABEL_STRICT, LABEL_ACCEPT, LABEL_SEND, LABEL_STRICT};
    codec.label_mode = modes[stage];
    codec.label = stage == 0 ? SPAN_EMPTY : span_text("blue");
}

/* Whether a request of one stage and the answer to it are understood. */
static bool understood(int connector, int acceptor)
{
    struct buffer out;
    buffer_init(&out, MAXIMUM);
    take_stage(connector);
    assert_true(stream_seal(&codec, NULL, hex(A17_REQUEST), &out));
    take_stage(acceptor);
    bool complete = feed(true, buffer_span(&out), SIZE_MAX / 2) == STREAM_COMPLETE;
    if (complete) {
        buffer_reset(&out);
        assert_true(stream_seal(&codec, &reader, hex(A17_ANSWER), &out));
        take_stage(connector);
        complete = feed(false, buffer_span(&out), SIZE_MAX / 2) == STREAM_COMPLETE;
    }
    buffer_fini(&out);
    return complete;
}

static void each_stage_of_a_labels_introduction_understands_its_neighbours(void **state)
{
    (void)state;
    static const bool expected[4][4] = {{true, true, true, false},
                                        {true, true, true, false},
                                        {false, true, true, true},
                                        {false, true, true, true}};
    for (int encrypted = 0; encrypted <= 1; encrypted++) {
        if (encrypted)
            encrypt_with(K16);
        for (int connector = 0; connector < 4; connector++)
            for (int acceptor = 0; acceptor < 4; acceptor++)
                assert_int_equal(understood(connector, acceptor), expected[connector][acceptor]);
    }
}

static void another_label_is_refused_in_every_stage(void **state)
{
    (void)state;
    for (int stage = 0; stage < 4; stage++) {
        take_stage(stage);
        assert_refused(true, hex("f403726564" A17_REQUEST), STREAM_LABEL_UNACCEPTABLE,
                       "discarding stream with unacceptable label \"red\":", false);
    }
}

/* --- encryption --- */

static void what_is_sealed_needs_a_key(void **state)
{
    (void)state;
    assert_refused(true, hex("0a"), STREAM_NOT_CONFIGURED_ENCRYPTED,
                   "remote state is encrypted and encryption is not configured", true);
}

static void with_verify_incoming_plaintext_is_refused(void **state)
{
    (void)state;
    encrypt_with(K16);
    assert_refused(true, hex("06"), STREAM_NOT_ENCRYPTED,
                   "encryption is configured but remote state is not encrypted", true);
    assert_refused(false, hex("0d"), STREAM_NOT_ENCRYPTED,
                   "encryption is configured but remote state is not encrypted", true);
    codec.verify_incoming = false;
    assert_message(true, hex(A17_REQUEST), hex(A17_REQUEST));
}

static void a_failed_decryption_is_an_error_even_without_verify_incoming(void **state)
{
    (void)state;
    encrypt_with(K16);
    codec.verify_incoming = false;
    struct span sealed = joined(hex("0a0000003001"), repeated(7, 47));
    assert_refused(true, sealed, STREAM_DECRYPT_FAILED,
                   "no installed keys could decrypt the message", true);
    assert_refused(true, hex("0a0000000105"), STREAM_DECRYPT_FAILED,
                   "unsupported encryption version 5", true);
    assert_refused(true, hex("0a000000020101"), STREAM_DECRYPT_FAILED,
                   "payload is too small to decrypt: 2", true);
    assert_refused(true, hex("0a00000000"), STREAM_DECRYPT_FAILED, "cannot decrypt empty payload",
                   true);
}

static void the_length_is_part_of_the_seal(void **state)
{
    (void)state;
    encrypt_with(K16);
    struct span sealed = hex("0a0000003101a0a1a2a3a4a5a6a7a8a9aaabaa049cf511ed56aee81dc161e341d511"
                             "1d812217bebcd5b8559d5470399a118e642f7b00");
    assert_refused(true, sealed, STREAM_DECRYPT_FAILED,
                   "no installed keys could decrypt the message", true);
}

static void an_announced_length_is_checked_before_anything_grows(void **state)
{
    (void)state;
    encrypt_with(K16);
    assert_refused(true, hex("0a01400001"), STREAM_TOO_LARGE_SEALED,
                   "remote node state is larger than limit (20971521)", true);
    assert_refused(true, hex("0affffffff"), STREAM_TOO_LARGE_SEALED,
                   "remote node state is larger than limit (4294967295)", true);
    assert_true(reader.raw.capacity < 1000);
    /* less than the protocol's limit, more than this reader's */
    assert_refused(true, hex("0a01400000"), STREAM_OVER_LIMIT,
                   "message is larger than this node reads (100000 bytes)", true);
}

static void a_large_sealed_frame_is_noted(void **state)
{
    (void)state;
    encrypt_with(K16);
    restart(true, 30000000);
    assert_int_equal(stream_reader_feed(&reader, hex("0a00c00000")), STREAM_MORE);
    assert_int_equal(reader.large_sealed_bytes, 0);
    restart(true, 30000000);
    assert_int_equal(stream_reader_feed(&reader, hex("0a00c00001")), STREAM_MORE);
    assert_int_equal(reader.large_sealed_bytes, 12582913);
}

/* A stream of our own making around `plain`, which need not be a message. */
static struct span sealed_stream(struct span plain)
{
    struct buffer out;
    bool compress = codec.compress;
    buffer_init(&out, MAXIMUM);
    codec.compress = false;
    assert_true(stream_seal(&codec, NULL, plain, &out));
    codec.compress = compress;
    struct span kept = joined(buffer_span(&out), SPAN_EMPTY);
    buffer_fini(&out);
    return kept;
}

static void a_sealed_frame_with_nothing_in_it_is_refused(void **state)
{
    (void)state;
    encrypt_with(K16);
    assert_refused(true, sealed_stream(SPAN_EMPTY), STREAM_DECRYPT_FAILED,
                   "cannot decrypt empty payload", true);
    codec.encryption_version = 0;
    assert_refused(true, sealed_stream(SPAN_EMPTY), STREAM_DECRYPT_FAILED,
                   "cannot decrypt empty payload", true);
}

static void a_sealed_message_that_is_cut_off_inside_is_refused(void **state)
{
    (void)state;
    encrypt_with(K16);
    struct span message = a14();
    assert_message(true, sealed_stream(message), message);
    for (size_t size = 1; size < message.size; size += 13)
        assert_refused(true, sealed_stream(span_make(message.data, size)), STREAM_TRUNCATED,
                       "unexpected EOF", false);
}

static void what_trails_a_message_within_the_seal_is_ignored(void **state)
{
    (void)state;
    encrypt_with(K16);
    assert_message(true, sealed_stream(hex(A17_REQUEST "ffff")), hex(A17_REQUEST));
}

/* --- compression --- */

static struct span compress_message_of(struct span content)
{
    struct buffer packed;
    struct buffer result;
    buffer_init(&packed, SIZE_MAX);
    buffer_init(&result, SIZE_MAX);
    assert_true(compress_message_write(&codec, content, &packed, &result));
    struct span kept = joined(buffer_span(&result), SPAN_EMPTY);
    buffer_fini(&packed);
    buffer_fini(&result);
    return kept;
}

static void a_stream_is_compressed_even_if_that_makes_it_longer(void **state)
{
    (void)state;
    struct span compressed = compress_message_of(hex("00c0"));
    assert_true(compressed.size > 2);
    codec.compress = true;
    assert_seals_to(true, hex("00c0"), compressed);
    assert_message(true, compressed, hex("00c0"));
}

static void a_compressed_push_pull_comes_whole_or_in_pieces(void **state)
{
    (void)state;
    assert_message(true, compress_message_of(a14()), a14());
    codec.compress = false; /* always understood, whatever our own setting */
    assert_message(true, compress_message_of(a14()), a14());
}

static void compression_goes_one_level_deep(void **state)
{
    (void)state;
    assert_refused(true, compress_message_of(compress_message_of(hex(A17_REQUEST))),
                   STREAM_UNKNOWN_TYPE, "Received invalid msgType (9)", false);
    encrypt_with(K16);
    assert_message(true, sealed_stream(compress_message_of(hex(A17_REQUEST))), hex(A17_REQUEST));
}

static void bad_compressed_messages_are_refused(void **state)
{
    (void)state;
    assert_refused(true, hex("0982a4416c676f01a3427566a400c30404"), STREAM_UNKNOWN_ALGORITHM,
                   "cannot decompress unknown algorithm 1", true);
    assert_refused(true, hex("0982a4416c676f00a3427566a300c304"), STREAM_DECOMPRESS_FAILED,
                   "unexpected EOF", true);
    assert_refused(true, hex("0982a4416c676f00a3427566a700c3b004000000"), STREAM_DECOMPRESS_FAILED,
                   "lzw: invalid code", true);
    assert_refused(true, hex("0901"), STREAM_DECOMPRESS_FAILED, "compress message does not decode",
                   true);
    assert_refused(true, hex("0981c1"), STREAM_DECOMPRESS_FAILED,
                   "compress message does not decode", true);
    assert_refused(true, hex("0982a4416c676f00a3427566a3000302"), STREAM_EMPTY,
                   "decompressed message is empty", true);
}

static void decompression_has_the_readers_limit(void **state)
{
    (void)state;
    struct span big = joined(hex("0881aa557365724d73674c656ece00018600"), repeated(0, 0x18600));
    assert_refused(true, compress_message_of(joined(big, repeated(0, 40000))),
                   STREAM_DECOMPRESS_FAILED, "decompressed message is larger than limit (100000)",
                   true);
    assert_true(reader.raw.capacity <= MAXIMUM);
}

static void decompression_has_the_protocols_limit(void **state)
{
    (void)state;
    struct span bomb = compress_message_of(repeated(0, DECOMPRESSED_MAX + 1));
    assert_true(bomb.size < 40000);
    restart(true, SIZE_MAX / 4);
    assert_int_equal(stream_reader_feed(&reader, bomb), STREAM_FAILED);
    assert_int_equal(reader.problem.error, STREAM_DECOMPRESS_FAILED);
    assert_text("decompressed message is larger than limit (41943040)");
}

/* --- bodies --- */

static void only_the_requests_come_from_a_connector_and_the_replies_from_a_responder(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        uint8_t bytes[] = {(uint8_t)type};
        for (int connector = 0; connector <= 1; connector++) {
            if (type == MESSAGE_HAS_LABEL && connector)
                continue;
            bool known = type == MESSAGE_PUSH_PULL || type == MESSAGE_COMPRESS ||
                         (connector ? type == MESSAGE_PING || type == MESSAGE_USER
                                    : type == MESSAGE_ACK || type == MESSAGE_ERROR);
            enum stream_progress progress = feed(connector, span_make(bytes, 1), 1);
            if (known) {
                assert_int_equal(progress, STREAM_MORE);
            } else {
                assert_int_equal(progress, STREAM_FAILED);
                if (type != MESSAGE_ENCRYPT)
                    assert_int_equal(reader.problem.error, STREAM_UNKNOWN_TYPE);
            }
        }
    }
}

static void user_messages_of_every_size(void **state)
{
    (void)state;
    assert_message(true, hex("0881aa557365724d73674c656e0568656c6c6f"),
                   hex("0881aa557365724d73674c656e0568656c6c6f"));
    assert_message(true, hex("0881aa557365724d73674c656e00"), hex("0881aa557365724d73674c656e00"));
    assert_message(true, hex("08c0"), hex("08c0"));
}

static void the_size_of_a_user_message_is_checked_before_anything_grows(void **state)
{
    (void)state;
    assert_refused(true, hex("0881aa557365724d73674c656eff"), STREAM_BAD_USER_SIZE,
                   "user message length (-1) exceeds limit", false);
    assert_refused(true, hex("0881aa557365724d73674c656ece01400001"), STREAM_BAD_USER_SIZE,
                   "user message length (20971521) exceeds limit", false);
    assert_refused(true, hex("0881aa557365724d73674c656ecf7fffffffffffffff"), STREAM_BAD_USER_SIZE,
                   "user message length (9223372036854775807) exceeds limit", false);
    assert_refused(true, hex("0881aa557365724d73674c656ece01400000"), STREAM_OVER_LIMIT,
                   "message is larger than this node reads (100000 bytes)", true);
    assert_true(reader.raw.capacity < 1000);
}

static void the_counts_of_a_push_pull_are_checked_before_anything_grows(void **state)
{
    (void)state;
#define HEADER(nodes, size) "0683a44a6f696ec3a54e6f646573" nodes "ac5573657253746174654c656e" size
    assert_refused(true, hex(HEADER("ff", "00")), STREAM_BAD_NODE_COUNT,
                   "number of nodes in header (-1) exceeds limit", false);
    assert_refused(true, hex(HEADER("ce00100001", "ff")), STREAM_BAD_NODE_COUNT,
                   "number of nodes in header (1048577) exceeds limit", false);
    assert_refused(true, hex(HEADER("00", "ff")), STREAM_BAD_STATE_SIZE,
                   "user state length (-1) exceeds limit", false);
    assert_refused(true, hex(HEADER("00", "d38000000000000000")), STREAM_BAD_STATE_SIZE,
                   "user state length (-9223372036854775808) exceeds limit", false);
    assert_refused(true, hex(HEADER("01", "ce01400001")), STREAM_BAD_STATE_SIZE,
                   "user state length (20971521) exceeds limit", false);
    assert_refused(true, hex(HEADER("ce00100000", "00")), STREAM_OVER_LIMIT,
                   "message is larger than this node reads (100000 bytes)", true);
    assert_refused(true, hex(HEADER("01", "ce01400000")), STREAM_OVER_LIMIT,
                   "message is larger than this node reads (100000 bytes)", true);
    assert_true(reader.raw.capacity < 1000);
    assert_message(true, hex(HEADER("00", "00")), hex(HEADER("00", "00")));
    assert_message(true, hex(HEADER("02", "01") "c080aa"), hex(HEADER("02", "01") "c080aa"));
}

static void malformed_bodies_are_refused(void **state)
{
    (void)state;
    static const char text[] = "message does not decode";
    assert_refused(true, hex("0001"), STREAM_MALFORMED, text, false);
    assert_refused(true, hex("00c1"), STREAM_MALFORMED, text, false);
    assert_refused(true, hex("0081a55365714e6fff"), STREAM_MALFORMED, text, false);
    assert_refused(true, hex("0801"), STREAM_MALFORMED, text, false);
    assert_refused(true, hex("08c1"), STREAM_MALFORMED, text, false);
    assert_refused(true, hex("06a0"), STREAM_MALFORMED, text, false);
    assert_refused(true, hex("06c1"), STREAM_MALFORMED, text, false);
    assert_refused(true, hex(HEADER("02", "00") "c005"), STREAM_MALFORMED, text, false);
    assert_refused(true, hex(HEADER("02", "00") "c0c1"), STREAM_MALFORMED, text, false);
    assert_refused(true, joined(hex("00"), repeated(0x91, 100)), STREAM_MALFORMED, text, false);
}

static void a_reader_holds_no_more_than_its_maximum(void **state)
{
    (void)state;
    restart(true, 1000);
    /* a string that never ends, in a plaintext ping */
    assert_int_equal(stream_reader_feed(&reader, hex("0081a158dbffffffff")), STREAM_MORE);
    enum stream_progress progress = STREAM_MORE;
    for (int i = 0; i < 2000 && progress == STREAM_MORE; i++)
        progress = stream_reader_feed(&reader, hex("00"));
    assert_int_equal(progress, STREAM_FAILED);
    assert_int_equal(reader.problem.error, STREAM_OVER_LIMIT);
    assert_true(reader.raw.capacity <= 1000);
    /* a message of exactly the maximum is read */
    struct span message = joined(hex("0881aa557365724d73674c656ecd03d8"), repeated(1, 0x3d8));
    assert_int_equal(message.size, 1000);
    restart(true, 1000);
    assert_int_equal(stream_reader_feed(&reader, joined(message, repeated(1, 500))),
                     STREAM_COMPLETE);
    assert_bytes(stream_reader_message(&reader), message);
}

static void the_end_of_the_stream_says_where_it_broke_off(void **state)
{
    (void)state;
    restart(true, MAXIMUM);
    assert_int_equal(stream_reader_end(&reader), STREAM_FAILED);
    assert_int_equal(reader.problem.error, STREAM_CLOSED);
    assert_text("EOF");
    struct span message = a14();
    for (size_t size = 1; size < message.size; size += 11) {
        assert_int_equal(feed(true, span_make(message.data, size), SIZE_MAX / 2), STREAM_MORE);
        assert_int_equal(stream_reader_end(&reader), STREAM_FAILED);
        assert_int_equal(reader.problem.error, STREAM_TRUNCATED);
        assert_text("unexpected EOF");
        assert_false(stream_problem_is_answered(&reader.problem));
    }
    codec.label = span_text("blue");
    assert_int_equal(feed(true, hex("f404626c7565"), 1), STREAM_MORE);
    assert_int_equal(stream_reader_end(&reader), STREAM_FAILED);
    assert_int_equal(reader.problem.error, STREAM_CLOSED);
}

static void a_trickle_of_a_long_value_is_not_scanned_again_and_again(void **state)
{
    (void)state;
    /* One node map whose unknown field holds 60000 nils: byte by byte this is linear only if the
     * scan goes on where it ended. */
    struct span message = joined(hex(HEADER("01", "00") "81a158dcea60"), repeated(0xc0, 60000));
    restart(true, MAXIMUM);
    size_t seen = 0;
    for (size_t i = 0; i < message.size; i++) {
        size_t before = reader.scan_offset;
        enum stream_progress progress = stream_reader_feed(&reader, span_make(message.data + i, 1));
        assert_int_equal(progress, i + 1 < message.size ? STREAM_MORE : STREAM_COMPLETE);
        assert_true(reader.scan_offset >= before);
        seen = reader.scan_offset;
        assert_true(i + 1 - seen < 32);
    }
    assert_int_equal(seen, message.size);
}

static void a_refused_seal_leaves_the_output_as_it_was(void **state)
{
    (void)state;
    struct buffer small;
    buffer_init(&small, 30);
    buffer_append_text(&small, "before");
    codec.label = span_text("blue");
    for (int encrypted = 0; encrypted <= 1; encrypted++)
        for (int compressed = 0; compressed <= 1; compressed++) {
            if (encrypted && !keyring)
                encrypt_with(K16);
            codec.compress = compressed;
            assert_false(stream_seal(&codec, NULL, a14(), &small));
            assert_bytes_text(buffer_span(&small), "before");
            assert_false(small.failed);
        }
    buffer_fini(&small);
}

static void without_verify_outgoing_we_send_plaintext(void **state)
{
    (void)state;
    encrypt_with(K16);
    codec.verify_outgoing = false;
    assert_seals_to(true, hex(A17_REQUEST), hex(A17_REQUEST));
}

static void random_changes_never_do_harm(void **state)
{
    (void)state;
    struct span streams[] = {a14(), compress_message_of(a14()), hex(A17_REQUEST),
                             hex("0881aa557365724d73674c656e0568656c6c6f")};
    for (size_t k = 0; k < 4; k++) {
        uint8_t *bytes = malloc(streams[k].size);
        for (int i = 0; i < 2000; i++) {
            memcpy(bytes, streams[k].data, streams[k].size);
            for (int n = 0; n < 2; n++)
                bytes[random_below(&source, streams[k].size)] = (uint8_t)random_u32(&source);
            restart(i % 2, MAXIMUM);
            if (stream_reader_feed(&reader, span_make(bytes, streams[k].size)) == STREAM_MORE)
                stream_reader_end(&reader);
            struct push_pull_reader walk;
            struct push_node_state node;
            if (push_pull_open(&walk, stream_reader_message(&reader)))
                while (push_pull_next(&walk, &node))
                    assert_true(node.name.size < MAXIMUM);
        }
        free(bytes);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(plaintext_vectors_both_ways),
        test(a_push_pull_is_walked_node_by_node),
        test(encrypted_error_reply_both_ways),
        test(labelled_user_message_both_ways),
        test(labelled_push_pull_request_and_reply_both_ways),
        test(encryption_version_0_both_ways),
        test(a_connectors_label_must_be_the_configured_one),
        test(a_reply_carries_no_label),
        test(a_malformed_label_is_refused),
        test(without_the_inbound_check_a_label_is_a_double),
        test(each_stage_of_a_labels_introduction_understands_its_neighbours),
        test(another_label_is_refused_in_every_stage),
        test(what_is_sealed_needs_a_key),
        test(with_verify_incoming_plaintext_is_refused),
        test(a_failed_decryption_is_an_error_even_without_verify_incoming),
        test(the_length_is_part_of_the_seal),
        test(an_announced_length_is_checked_before_anything_grows),
        test(a_large_sealed_frame_is_noted),
        test(a_sealed_frame_with_nothing_in_it_is_refused),
        test(a_sealed_message_that_is_cut_off_inside_is_refused),
        test(what_trails_a_message_within_the_seal_is_ignored),
        test(a_stream_is_compressed_even_if_that_makes_it_longer),
        test(a_compressed_push_pull_comes_whole_or_in_pieces),
        test(compression_goes_one_level_deep),
        test(bad_compressed_messages_are_refused),
        test(decompression_has_the_readers_limit),
        test(decompression_has_the_protocols_limit),
        test(only_the_requests_come_from_a_connector_and_the_replies_from_a_responder),
        test(user_messages_of_every_size),
        test(the_size_of_a_user_message_is_checked_before_anything_grows),
        test(the_counts_of_a_push_pull_are_checked_before_anything_grows),
        test(malformed_bodies_are_refused),
        test(a_reader_holds_no_more_than_its_maximum),
        test(the_end_of_the_stream_says_where_it_broke_off),
        test(a_trickle_of_a_long_value_is_not_scanned_again_and_again),
        test(a_refused_seal_leaves_the_output_as_it_was),
        test(without_verify_outgoing_we_send_plaintext),
        test(random_changes_never_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "hex.h"
#include "packet.h"
#include "serf_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define K16 "000102030405060708090a0b0c0d0e0f"
#define K32 K16 "101112131415161718191a1b1c1d1e1f"

/* The datagrams of the memberlist specification (Appendix A). */
#define A1                                                                                         \
    "0085a44e6f6465a5616c706861a55365714e6f01aa536f7572636541646472a47f00000caa536f757263654e6f64" \
    "65"                                                                                           \
    "a462657461aa536f75726365506f7274cd1f0a"
#define A2                                                                                         \
    "0282a75061796c6f6164da00820184aa41646a7573746d656e74cb0000000000000000a54572726f72cb3ff80000" \
    "00"                                                                                           \
    "000000a6486569676874cb3ee4f8b588e368f1a356656398cb0000000000000000cb0000000000000000cb000000" \
    "00"                                                                                           \
    "00000000cb0000000000000000cb0000000000000000cb0000000000000000cb0000000000000000cb0000000000" \
    "00"                                                                                           \
    "0000a55365714e6f01"
#define A3                                                                                         \
    "0c2d5668a50486a441646472a47f00000dab496e6361726e6174696f6e01a44d657461a2ff80a44e6f6465a56761" \
    "6d"                                                                                           \
    "6d61a4506f7274cd1f0aa356736ea6010502020505"
#define A4                                                                                         \
    "0c59544ecd0702004c00480486a441646472a47f00000cab496e6361726e6174696f6e01a44d657461b0ff82a472" \
    "6f"                                                                                           \
    "6c65a26462a26463a26531a44e6f6465a462657461a4506f7274cd1f0aa356736ea60105020205050486a4416464" \
    "72"                                                                                           \
    "a47f00000bab496e6361726e6174696f6e01a44d657461abff81a4726f6c65a3776562a44e6f6465a5616c706861" \
    "a4"                                                                                           \
    "506f7274cd1f0aa356736ea6010502020505"
#define A5                                                                                         \
    "0702004200150085a44e6f6465a462657461a55365714e6f02aa536f7572636541646472a47f00000baa536f7572" \
    "63"                                                                                           \
    "654e6f6465a5616c706861aa536f75726365506f7274cd1f0a080182a54c54696d6502a44e6f6465a567616d6d61"
#define A6                                                                                         \
    "0188a44e61636bc3a44e6f6465a567616d6d61a4506f7274cd1f0aa55365714e6f09aa536f7572636541646472a4" \
    "7f"                                                                                           \
    "00000caa536f757263654e6f6465a462657461aa536f75726365506f7274cd1f0aa6546172676574a47f00000d"
#define A7 "0b81a55365714e6f09"
#define A8 "0cda3f3b660383a446726f6da462657461ab496e6361726e6174696f6e01a44e6f6465a567616d6d61"
#define A9                                                                                         \
    "0cb50895ab0702004200240085a44e6f6465a567616d6d61a55365714e6f0baa536f7572636541646472a47f0000" \
    "0c"                                                                                           \
    "aa536f757263654e6f6465a462657461aa536f75726365506f7274cd1f0a0383a446726f6da462657461ab496e63" \
    "61"                                                                                           \
    "726e6174696f6e01a44e6f6465a567616d6d61"
#define A10 "0cd807913e0583a446726f6da5616c706861ab496e6361726e6174696f6e01a44e6f6465a567616d6d61"
#define A11 "0c033f28320583a446726f6da462657461ab496e6361726e6174696f6e01a44e6f6465a462657461"
#define A12                                                                                        \
    "0ca639cc5a080384a24343c3a54c54696d6501a44e616d65a66465706c6f79a75061796c6f6164a676312e322e33"
#define A13                                                                                        \
    "0c439b5a350486a441646472a47f3d000bab496e6361726e6174696f6e02a44d657461abff81a4726f6c65a37765" \
    "62"                                                                                           \
    "a44e6f6465a3646562a4506f7274cd461aa356736ea6010502020505"
#define A19                                                                                        \
    "01f5b358937beb95869910ac9e494550477cb16050c71dbdf5a79615935309b3ca1d817541e7d3c530c52de93711" \
    "4e"                                                                                           \
    "3465a2b30cde09"
#define A19_PLAIN "0c614bc153080182a54c54696d6501a44e6f6465a464656232"
#define A20                                                                                        \
    "01bc4fe98f2f12259201a0d3748551de25a9361d8201dff36c25e5a356c1d4845bd37baa8a7a9de16f3c4d1a3b76" \
    "49"                                                                                           \
    "c27871f387094f6ce64e6152ab8c58bdc74758a1335e00fc5704122bd664f073049be1acd9e4ce582badda22eec9" \
    "6c"                                                                                           \
    "d2db91ebe8d190ca7b558572a7287f0634c29a43beb1f6b0ce9fded327f42ef882c676e0e3841fe8606c000f3a33" \
    "15"                                                                                           \
    "f9"
#define A20_PLAIN                                                                                  \
    "0982a4416c676f00a3427566da00620005083a05254c1e366fc290d10640500042aa82905153670e9d3665dcd059" \
    "06"                                                                                           \
    "a0a3c78ea58ac891f346ceb21ff83e763485a44c9a336836fa2087af16a27168e28db252660c268e2a3b020d3a54" \
    "65"                                                                                           \
    "d18f473d26151a9469d35253cac471f2264040"
#define A22                                                                                        \
    "f404626c756501b04d684b44c5c65f0df508f0c4adb7987574c8d98469f4198dfd028c7e14c9b180b2d76e518052" \
    "23"                                                                                           \
    "af288d0ee4c4"
#define A22_PLAIN "0282a75061796c6f6164c0a55365714e6f02"
#define A23                                                                                        \
    "f404626c756501d191c67873699269287a419248e64ad3cd11e9943fb7f198ee71d96b629a846cf84236dd95e770" \
    "13"                                                                                           \
    "0789bf8ec721688df773e900ce648f34ffa9eb387148b38cfc2a6823980ca646c9e5b54084dc47ffa22a837f217a" \
    "d1"                                                                                           \
    "f9f67e0f508f7494a863bb3ac54e8a10d67b64c08df9d50d5432957bf69ba7bc163308815d511995be140d6536fc" \
    "37"                                                                                           \
    "d041a85ddb5a729cad4163e94146c9862934e9571ae4"
#define A23_PLAIN                                                                                  \
    "0ca7e876080982a4416c676f00a3427566da006c000f0800b083200143a48290212387d49f1e0004ac4ae2664c18" \
    "39"                                                                                           \
    "6ec2d049f3c64d00524dcad00923aa8d18524ede902913ea24943772e83433a2619495396e4c0528204040810207" \
    "13"                                                                                           \
    "2e6cf810408089152f66dcd8f163c89125c3a054c952eacb98336bdeccb9b3e7cf80"
#define A26_DATAGRAM                                                                               \
    "006aa1b2a99bf873ffd8624ad60d6b484f597eac058c00d0e41f752aaea0ba7270a7516ac4615697d467c2b553cf" \
    "35"                                                                                           \
    "b746ecdf58ed891eeb238af40598"

static struct random source;
static struct wire_codec codec;
static struct keyring *keyring;
static struct packet_reader reader;
static struct packet_problem problem;
static struct span message;
static struct buffer out;

static int begin(void **state)
{
    (void)state;
    random_init(&source, (const uint8_t[RANDOM_SEED_SIZE]){6});
    wire_codec_init(&codec, &source);
    codec.compress = false;
    keyring = NULL;
    buffer_init(&out, 100000);
    return 0;
}

static int end(void **state)
{
    (void)state;
    wire_codec_fini(&codec);
    keyring_free(keyring);
    buffer_fini(&out);
    return 0;
}

static void encrypt_with(const char *key)
{
    keyring = keyring_new();
    assert_int_equal(keyring_add(keyring, hex(key)), KEYRING_OK);
    codec.keyring = keyring;
}

static void open_packet(struct span datagram)
{
    problem = packet_open(&reader, &codec, datagram);
    assert_int_equal(problem.error, PACKET_OK);
}

static void assert_next(enum message_type type, const struct msgpack_structure *structure,
                        void *value)
{
    assert_true(packet_next(&reader, &message, &problem));
    assert_int_equal(problem.error, PACKET_OK);
    assert_int_equal(message.data[0], type);
    if (structure)
        assert_true(message_read(span_from(message, 1), structure, value));
}

static void assert_next_is(struct span expected)
{
    assert_true(packet_next(&reader, &message, &problem));
    assert_int_equal(problem.error, PACKET_OK);
    assert_bytes(message, expected);
}

static void assert_text(const struct packet_problem *p, const char *expected)
{
    struct buffer text;
    buffer_init(&text, 1000);
    packet_problem_text(p, &text);
    assert_string_equal(buffer_text(&text), expected);
    buffer_fini(&text);
}

static void assert_next_problem(enum packet_error error, const char *text)
{
    assert_true(packet_next(&reader, &message, &problem));
    assert_int_equal(problem.error, error);
    assert_int_equal(message.size, 0);
    if (text)
        assert_text(&problem, text);
}

static void assert_end(void)
{
    assert_false(packet_next(&reader, &message, &problem));
    assert_int_equal(problem.error, PACKET_OK);
    assert_false(packet_next(&reader, &message, &problem));
}

static void assert_refused(struct span datagram, enum packet_error error, const char *text)
{
    problem = packet_open(&reader, &codec, datagram);
    assert_int_equal(problem.error, error);
    assert_text(&problem, text);
    assert_end();
}

/* Seals what a datagram holds again. */
static void seal_again(struct span datagram, bool checksum)
{
    struct compound compound;
    compound_init(&compound);
    open_packet(datagram);
    while (packet_next(&reader, &message, &problem)) {
        assert_int_equal(problem.error, PACKET_OK);
        assert_true(compound_add(&compound, message));
    }
    buffer_reset(&out);
    assert_true(packet_seal(&codec, &compound, checksum, &out));
    compound_fini(&compound);
}

static struct span compress_message_of(struct span content)
{
    struct wire_codec other;
    struct buffer packed;
    struct buffer result;
    wire_codec_init(&other, &source);
    buffer_init(&packed, SIZE_MAX);
    buffer_init(&result, SIZE_MAX);
    assert_true(compress_message_write(&other, content, &packed, &result));
    struct span kept = joined(buffer_span(&result), SPAN_EMPTY);
    buffer_fini(&packed);
    buffer_fini(&result);
    wire_codec_fini(&other);
    return kept;
}

static struct span compound_of(struct span part, unsigned count)
{
    struct span whole = hex("07");
    uint8_t head = (uint8_t)count;
    uint8_t size[2] = {(uint8_t)(part.size >> 8), (uint8_t)part.size};
    whole = joined(whole, span_make(&head, 1));
    for (unsigned i = 0; i < count; i++)
        whole = joined(whole, span_make(size, 2));
    for (unsigned i = 0; i < count; i++)
        whole = joined(whole, part);
    return whole;
}

/* --- vectors --- */

static void plaintext_vectors_decode(void **state)
{
    (void)state;
    struct ping_message ping;
    struct ack_message ack;
    struct alive_message alive;
    struct suspect_message suspect;
    struct indirect_ping_message indirect;
    struct nack_message nack;

    open_packet(hex(A1));
    assert_next(MESSAGE_PING, &ping_structure, &ping);
    assert_bytes_text(ping.node, "alpha");
    assert_int_equal(ping.sequence, 1);
    assert_bytes(ping.source_address, hex("7f00000c"));
    assert_bytes_text(ping.source_node, "beta");
    assert_int_equal(ping.source_port, 7946);
    assert_end();

    open_packet(hex(A2));
    assert_next(MESSAGE_ACK, &ack_structure, &ack);
    assert_int_equal(ack.sequence, 1);
    assert_int_equal(ack.payload.size, 130);
    assert_int_equal(ack.payload.data[0], 1);
    assert_end();

    open_packet(hex(A3));
    assert_next(MESSAGE_ALIVE, &alive_structure, &alive);
    assert_bytes_text(alive.node, "gamma");
    assert_bytes(alive.meta, hex("ff80"));
    assert_bytes(alive.versions, hex("010502020505"));
    assert_end();

    open_packet(hex(A4));
    assert_next(MESSAGE_ALIVE, &alive_structure, &alive);
    assert_int_equal(message.size, 76);
    assert_bytes_text(alive.node, "beta");
    assert_next(MESSAGE_ALIVE, &alive_structure, &alive);
    assert_int_equal(message.size, 72);
    assert_bytes_text(alive.node, "alpha");
    assert_end();

    open_packet(hex(A5));
    assert_next(MESSAGE_PING, &ping_structure, &ping);
    assert_int_equal(ping.sequence, 2);
    assert_next_is(hex("080182a54c54696d6502a44e6f6465a567616d6d61"));
    assert_end();

    open_packet(hex(A6));
    assert_next(MESSAGE_INDIRECT_PING, &indirect_ping_structure, &indirect);
    assert_true(indirect.nack);
    assert_bytes(indirect.target, hex("7f00000d"));
    assert_bytes_text(indirect.node, "gamma");
    assert_int_equal(indirect.sequence, 9);

    open_packet(hex(A7));
    assert_next(MESSAGE_NACK, &nack_structure, &nack);
    assert_int_equal(nack.sequence, 9);

    open_packet(hex(A8));
    assert_next(MESSAGE_SUSPECT, &suspect_structure, &suspect);
    assert_bytes_text(suspect.node, "gamma");
    assert_bytes_text(suspect.from, "beta");

    open_packet(hex(A9));
    assert_next(MESSAGE_PING, &ping_structure, &ping);
    assert_int_equal(ping.sequence, 11);
    assert_next(MESSAGE_SUSPECT, &suspect_structure, &suspect);
    assert_bytes_text(suspect.from, "beta");
    assert_end();

    open_packet(hex(A10));
    assert_next(MESSAGE_DEAD, &suspect_structure, &suspect);
    assert_bytes_text(suspect.from, "alpha");
    open_packet(hex(A11));
    assert_next(MESSAGE_DEAD, &suspect_structure, &suspect);
    assert_true(span_equal(suspect.from, suspect.node));
    open_packet(hex(A12));
    assert_next(MESSAGE_USER, NULL, NULL);
    assert_int_equal(message.data[1], SERF_USER_EVENT);
    open_packet(hex(A13));
    assert_next(MESSAGE_ALIVE, &alive_structure, &alive);
    assert_int_equal(alive.incarnation, 2);
    assert_int_equal(alive.port, 17946);
}

static void plaintext_vectors_encode(void **state)
{
    (void)state;
    static const char *const vectors[] = {A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct span datagram = hex(vectors[i]);
        seal_again(datagram, datagram.data[0] == MESSAGE_HAS_CRC);
        assert_bytes(buffer_span(&out), datagram);
    }
}

/* The codec's random source gives the nonce of a sealed datagram next. */
static void next_nonce_is_of(struct span sealed)
{
    source.used = sizeof source.block - 12;
    memcpy(source.block + source.used, sealed.data + 1, 12);
}

static void encrypted_vectors_both_ways(void **state)
{
    (void)state;
    struct ack_message ack;
    encrypt_with(K32);
    codec.compress = true;
    open_packet(hex(A19));
    assert_next_is(span_from(hex(A19_PLAIN), 5));
    next_nonce_is_of(hex(A19));
    seal_again(hex(A19), true);
    assert_bytes(buffer_span(&out), hex(A19));

    open_packet(hex(A20));
    assert_next(MESSAGE_ACK, &ack_structure, &ack);
    assert_bytes(message, hex(A2));
    next_nonce_is_of(hex(A20));
    seal_again(hex(A20), false);
    assert_bytes(buffer_span(&out), hex(A20));
    codec.keyring = NULL;
    seal_again(hex(A2), false);
    assert_bytes(buffer_span(&out), hex(A20_PLAIN));
}

static void labelled_vectors_both_ways(void **state)
{
    (void)state;
    struct alive_message alive;
    encrypt_with(K16);
    codec.label = span_text("blue");
    open_packet(hex(A22));
    assert_next_is(hex(A22_PLAIN));
    assert_end();
    next_nonce_is_of(span_from(hex(A22), 6));
    seal_again(hex(A22), false);
    assert_bytes(buffer_span(&out), hex(A22));

    codec.compress = true;
    open_packet(hex(A23));
    assert_next(MESSAGE_ALIVE, &alive_structure, &alive);
    assert_next(MESSAGE_ALIVE, &alive_structure, &alive);
    assert_end();
    next_nonce_is_of(span_from(hex(A23), 6));
    seal_again(hex(A23), true);
    assert_bytes(buffer_span(&out), hex(A23));
    codec.keyring = NULL;
    codec.label = SPAN_EMPTY;
    seal_again(hex(A23_PLAIN), true);
    assert_bytes(buffer_span(&out), hex(A23_PLAIN));
}

static void encryption_version_0_both_ways(void **state)
{
    (void)state;
    struct ack_message ack;
    encrypt_with(K16);
    codec.encryption_version = 0;
    open_packet(hex(A26_DATAGRAM));
    assert_next(MESSAGE_ACK, &ack_structure, &ack);
    assert_end();
    next_nonce_is_of(hex(A26_DATAGRAM));
    seal_again(hex(A26_DATAGRAM), false);
    assert_bytes(buffer_span(&out), hex(A26_DATAGRAM));
}

/* --- labels --- */

static void a_label_must_be_the_configured_one(void **state)
{
    (void)state;
    codec.label = span_text("blue");
    open_packet(hex("f404626c7565" A7));
    assert_next_is(hex(A7));
    assert_refused(hex(A7), PACKET_LABEL_UNACCEPTABLE,
                   "discarding packet with unacceptable label \"\":");
    assert_refused(hex("f403726564" A7), PACKET_LABEL_UNACCEPTABLE,
                   "discarding packet with unacceptable label \"red\":");
    codec.label = SPAN_EMPTY;
    open_packet(hex(A7));
    assert_refused(hex("f404626c7565" A7), PACKET_LABEL_UNACCEPTABLE,
                   "discarding packet with unacceptable label \"blue\":");
}

static void take_stage(int stage)
{
    static const enum label_mode modes[] = {LABEL_STRICT, LABEL_ACCEPT, LABEL_SEND, LABEL_STRICT};
    codec.label_mode = modes[stage];
    codec.label = stage == 0 ? SPAN_EMPTY : span_text("blue");
}

static void each_stage_of_a_labels_introduction_understands_its_neighbours(void **state)
{
    (void)state;
    static const bool expected[4][4] = {{true, true, true, false},
                                        {true, true, true, false},
                                        {false, true, true, true},
                                        {false, true, true, true}};
    struct compound compound;
    compound_init(&compound);
    assert_true(compound_add(&compound, hex(A7)));
    for (int encrypted = 0; encrypted <= 1; encrypted++) {
        if (encrypted)
            encrypt_with(K16);
        for (int sender = 0; sender < 4; sender++)
            for (int receiver = 0; receiver < 4; receiver++) {
                take_stage(sender);
                buffer_reset(&out);
                assert_true(packet_seal(&codec, &compound, false, &out));
                take_stage(receiver);
                problem = packet_open(&reader, &codec, buffer_span(&out));
                assert_int_equal(problem.error, expected[sender][receiver]
                                                    ? PACKET_OK
                                                    : PACKET_LABEL_UNACCEPTABLE);
                if (problem.error != PACKET_OK)
                    continue;
                assert_int_equal(reader.was_unlabelled, sender <= 1 && receiver >= 1);
                assert_next_is(hex(A7));
            }
    }
    compound_fini(&compound);
}

static void a_label_is_escaped_before_it_is_shown(void **state)
{
    (void)state;
    assert_refused(hex("f4050a225c1bff" A7), PACKET_LABEL_UNACCEPTABLE,
                   "discarding packet with unacceptable label \"\\n\\\"\\\\\\x1b\xff\":");
}

static void a_malformed_label_is_refused(void **state)
{
    (void)state;
    assert_refused(hex("f4"), PACKET_LABEL_TRUNCATED,
                   "cannot decode label; packet has been truncated");
    assert_refused(hex("f400" A7), PACKET_LABEL_EMPTY, "label header cannot be empty when present");
    assert_refused(hex("f405626c7565"), PACKET_LABEL_TRUNCATED,
                   "cannot decode label; packet has been truncated");
    assert_refused(hex("f4ff626c7565"), PACKET_LABEL_TRUNCATED,
                   "cannot decode label; packet has been truncated");
}

static void without_the_inbound_check_a_label_is_a_double(void **state)
{
    (void)state;
    codec.label = span_text("blue");
    codec.skip_inbound_label_check = true;
    open_packet(hex(A7));
    assert_next_is(hex(A7));
    assert_refused(hex("f404626c7565" A7), PACKET_LABEL_DOUBLE,
                   "unexpected double packet label header:");
    encrypt_with(K16);
    open_packet(span_from(hex(A22), 6)); /* the label is still part of the seal */
    assert_next_is(hex(A22_PLAIN));
}

/* --- encryption --- */

static void with_verify_incoming_plaintext_is_refused(void **state)
{
    (void)state;
    encrypt_with(K16);
    assert_refused(hex(A1), PACKET_DECRYPT_FAILED,
                   "Decrypt packet failed: no installed keys could decrypt the message");
    assert_refused(hex(A7), PACKET_DECRYPT_FAILED,
                   "Decrypt packet failed: unsupported encryption version 11");
    assert_refused(hex("0102"), PACKET_DECRYPT_FAILED,
                   "Decrypt packet failed: payload is too small to decrypt: 2");
}

static void an_empty_packet_behind_a_label_is_refused(void **state)
{
    (void)state;
    codec.label = span_text("blue");
    open_packet(hex("f404626c7565"));
    assert_next_problem(PACKET_NO_TYPE, "missing message type byte");
    assert_end();
    encrypt_with(K16);
    assert_refused(hex("f404626c7565"), PACKET_DECRYPT_FAILED,
                   "Decrypt packet failed: cannot decrypt empty payload");
}

static void without_verify_incoming_what_does_not_decrypt_is_plaintext(void **state)
{
    (void)state;
    encrypt_with(K16);
    codec.verify_incoming = false;
    open_packet(hex(A1));
    assert_true(reader.was_plain);
    assert_next_is(hex(A1));
    open_packet(hex(A4));
    assert_next(MESSAGE_ALIVE, NULL, NULL);
    assert_next(MESSAGE_ALIVE, NULL, NULL);
    assert_end();
    codec.label = span_text("blue");
    open_packet(hex(A22));
    assert_false(reader.was_plain);
    assert_next_is(hex(A22_PLAIN));
}

static void without_a_key_nothing_is_decrypted(void **state)
{
    (void)state;
    open_packet(hex(A19));
    assert_next(MESSAGE_INDIRECT_PING, NULL, NULL); /* the version byte, read as a type */
    codec.keyring = keyring = keyring_new();        /* a keyring without keys is no encryption */
    assert_false(wire_codec_encrypts(&codec));
    open_packet(hex(A1));
    assert_next_is(hex(A1));
}

static void without_verify_outgoing_we_send_plaintext(void **state)
{
    (void)state;
    encrypt_with(K16);
    codec.verify_incoming = false;
    codec.verify_outgoing = false;
    seal_again(hex(A4), true);
    assert_bytes(buffer_span(&out), hex(A4));
}

static void an_encrypted_packet_without_content_has_no_type(void **state)
{
    (void)state;
    encrypt_with(K16);
    assert_true(keyring_seal(keyring, 1, &source, SPAN_EMPTY, SPAN_EMPTY, &out));
    open_packet(buffer_span(&out));
    assert_next_problem(PACKET_NO_TYPE, "missing message type byte");
    assert_end();
}

/* --- checksum --- */

static void a_wrong_checksum_is_refused(void **state)
{
    (void)state;
    assert_refused(hex("0c000000010b81a55365714e6f09"), PACKET_BAD_CHECKSUM,
                   "Got invalid checksum for UDP packet: 7a8d965, 1");
}

static void a_checksum_counts_only_at_its_one_place(void **state)
{
    (void)state;
    open_packet(hex("0c112233"));
    assert_next_is(hex("0c112233")); /* too short */
    open_packet(compound_of(hex(A11), 1));
    assert_next_is(hex(A11));
    open_packet(compress_message_of(hex(A11)));
    assert_next_is(hex(A11));
}

static void a_checksum_over_nothing_has_no_type(void **state)
{
    (void)state;
    open_packet(hex("0c00000000"));
    assert_next_problem(PACKET_NO_TYPE, "missing message type byte");
    assert_end();
}

/* --- compound --- */

static void an_empty_datagram_is_refused(void **state)
{
    (void)state;
    assert_refused(SPAN_EMPTY, PACKET_EMPTY, "UDP packet too short (65536 bytes)");
}

static void a_compound_without_count_is_refused(void **state)
{
    (void)state;
    open_packet(hex("07"));
    assert_next_problem(PACKET_COMPOUND_NO_COUNT,
                        "Failed to decode compound request: missing compound length byte");
    assert_end();
}

static void compound_lengths_are_counted_in_a_wide_integer(void **state)
{
    (void)state;
    /* 2 * 200 does not fit a byte: 144 length bytes would look enough */
    open_packet(joined(hex("07c8"), repeated(0, 144)));
    assert_next_problem(PACKET_COMPOUND_TRUNCATED,
                        "Failed to decode compound request: truncated len slice");
    assert_end();
    open_packet(compound_of(hex(A7), 255));
    for (int i = 0; i < 255; i++)
        assert_next_is(hex(A7));
    assert_end();
}

static void of_a_cut_off_compound_the_whole_parts_are_read(void **state)
{
    (void)state;
    struct span whole = compound_of(hex(A7), 4);
    open_packet(span_make(whole.data, whole.size - 10));
    assert_next_is(hex(A7));
    assert_next_is(hex(A7));
    assert_next_problem(PACKET_COMPOUND_PARTS_LOST, "Compound request had 2 truncated messages");
    assert_end();
}

static void a_lost_part_takes_the_later_ones_with_it(void **state)
{
    (void)state;
    open_packet(hex("07030001ffff000108" A7));
    assert_next_is(hex("08"));
    assert_next_problem(PACKET_COMPOUND_PARTS_LOST, "Compound request had 2 truncated messages");
    assert_end();
}

static void an_empty_compound_part_is_refused_and_the_others_are_read(void **state)
{
    (void)state;
    open_packet(hex("0703000900000009" A7 A7));
    assert_next_is(hex(A7));
    assert_next_problem(PACKET_NO_TYPE, "missing message type byte");
    assert_next_is(hex(A7));
    assert_end();
}

static void a_compound_of_nothing_is_legal_and_trailing_bytes_are_ignored(void **state)
{
    (void)state;
    open_packet(hex("0700"));
    assert_end();
    open_packet(hex("07010009" A7 "ffffff"));
    assert_next_is(hex(A7));
    assert_end();
}

static void unknown_types_are_handed_out(void **state)
{
    (void)state;
    open_packet(hex("0e0102"));
    assert_next_is(hex("0e0102"));
    open_packet(hex("0a0102"));
    assert_next_is(hex("0a0102"));
    open_packet(hex("ff"));
    assert_next_is(hex("ff"));
}

/* --- compression --- */

static void a_bad_compress_message_is_refused_and_the_others_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *part;
        const char *text;
        enum packet_error error;
    } cases[] = {
        {"0982a4416c676f01a3427566a400c30404",
         "Failed to decompress payload: cannot decompress unknown algorithm 1",
         PACKET_DECOMPRESS_FAILED},
        {"0982a4416c676f00a3427566a300c304", "Failed to decompress payload: unexpected EOF",
         PACKET_DECOMPRESS_FAILED},
        {"0982a4416c676f00a3427566a700c3b004000000",
         "Failed to decompress payload: lzw: invalid code", PACKET_DECOMPRESS_FAILED},
        {"0982a4416c676f00a3427566a400c304",
         "Failed to decompress payload: compress message does not decode",
         PACKET_DECOMPRESS_FAILED},
        {"0982a4416c676f00a3427566a3000302", "missing message type byte",
         PACKET_NO_TYPE}, /* holds nothing */
        {"09", "Failed to decompress payload: compress message does not decode",
         PACKET_DECOMPRESS_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span part = hex(cases[i].part);
        uint8_t sizes[] = {7, 2, 0, (uint8_t)part.size, 0, 9};
        open_packet(joined(span_make(sizes, sizeof sizes), joined(part, hex(A7))));
        assert_next_problem(cases[i].error, cases[i].text);
        assert_next_is(hex(A7));
        assert_end();
    }
}

static void nested_compound_and_compress_are_read(void **state)
{
    (void)state;
    struct span inner = compound_of(hex(A1), 3);
    open_packet(compress_message_of(inner));
    for (int i = 0; i < 3; i++)
        assert_next_is(hex(A1));
    assert_end();
    open_packet(compound_of(compress_message_of(inner), 2));
    for (int i = 0; i < 6; i++)
        assert_next_is(hex(A1));
    assert_end();
}

static void nesting_is_limited(void **state)
{
    (void)state;
    struct span nested = hex(A7);
    for (int i = 0; i < PACKET_DEPTH_MAX; i++)
        nested = i % 2 ? compress_message_of(nested) : compound_of(nested, 1);
    open_packet(nested);
    assert_next_is(hex(A7));
    assert_end();
    static const char text[] = "messages are nested more than 4 deep";
    open_packet(compound_of(nested, 1));
    assert_next_problem(PACKET_TOO_DEEP, text);
    assert_end();
    open_packet(compress_message_of(nested));
    assert_next_problem(PACKET_TOO_DEEP, text);
    assert_end();
    for (int i = 0; i < 60; i++)
        nested = compound_of(nested, 1);
    open_packet(nested);
    assert_next_problem(PACKET_TOO_DEEP, text);
    assert_end();
}

static void the_bytes_that_one_datagram_decompresses_to_are_limited(void **state)
{
    (void)state;
    static const char text[] =
        "Failed to decompress payload: decompressed message is larger than limit (262144)";
    struct span fits = joined(hex("08"), repeated(0, PACKET_EXPANDED_MAX - 1));
    open_packet(compress_message_of(fits));
    assert_next_is(fits);
    open_packet(compress_message_of(joined(fits, hex("00"))));
    assert_next_problem(PACKET_TOO_LARGE, text);
    assert_end();
    open_packet(compress_message_of(joined(hex("08"), repeated(0, 40 << 20))));
    assert_next_problem(PACKET_TOO_LARGE, text);
    assert_end();
    assert_true(codec.expanded.capacity <= PACKET_EXPANDED_MAX);
}

static void the_limit_is_for_all_parts_together(void **state)
{
    (void)state;
    struct span part = joined(hex("08"), repeated(0, 99999));
    open_packet(compound_of(compress_message_of(part), 4));
    assert_next_is(part);
    struct span first = message;
    assert_next_is(part);
    assert_bytes(first, part); /* still readable: borrowed until the next packet_open */
    assert_next_problem(PACKET_TOO_LARGE, NULL);
    assert_end();
    open_packet(compress_message_of(part)); /* each datagram has the limit for itself */
    assert_next_is(part);
}

static void work_on_parts_that_fail_counts_against_the_limit(void **state)
{
    (void)state;
    struct span packed = compress_message_of(repeated(0, 100000));
    struct compress_message m;
    assert_true(message_read(span_from(packed, 1), &compress_structure, &m));
    m.data.size -= 3; /* no end code */
    message_write(&out, MESSAGE_COMPRESS, &compress_structure, &m);
    open_packet(compound_of(buffer_span(&out), 10));
    assert_next_problem(PACKET_DECOMPRESS_FAILED, "Failed to decompress payload: unexpected EOF");
    assert_next_problem(PACKET_DECOMPRESS_FAILED, NULL);
    assert_next_problem(PACKET_TOO_LARGE, NULL);
    assert_end();
}

static void compression_is_used_only_when_the_message_gets_shorter(void **state)
{
    (void)state;
    codec.compress = true;
    seal_again(hex(A7), false);
    assert_bytes(buffer_span(&out), hex(A7));
    struct compound compound;
    compound_init(&compound);
    buffer_reset(&out);
    assert_true(compound_add(&compound, joined(hex("08"), repeated(0, 1000))));
    assert_true(packet_seal(&codec, &compound, false, &out));
    assert_int_equal(out.data[0], MESSAGE_COMPRESS);
    assert_true(out.size < 100);
    compound_fini(&compound);
    /* incompressible */
    uint8_t noise[1000];
    random_bytes(&source, noise, sizeof noise);
    noise[0] = MESSAGE_USER;
    seal_again(span_make(noise, sizeof noise), false);
    assert_bytes(buffer_span(&out), span_make(noise, sizeof noise));
    /* every size around the break-even point: never longer, and it comes back */
    for (size_t size = 1; size < 120; size++) {
        struct span text = joined(hex("08"), repeated('x', size));
        seal_again(text, false);
        assert_true(out.size <= text.size);
        assert_true(out.size == text.size ? out.data[0] == MESSAGE_USER
                                          : out.data[0] == MESSAGE_COMPRESS);
        open_packet(buffer_span(&out));
        assert_next_is(text);
    }
}

/* --- sealing --- */

static void a_compound_takes_255_parts_of_65535_bytes(void **state)
{
    (void)state;
    struct compound compound;
    compound_init(&compound);
    assert_true(compound_add(&compound, repeated(8, 65535)));
    assert_false(compound_add(&compound, repeated(8, 65536)));
    for (int i = 1; i < 255; i++)
        assert_true(compound_add(&compound, hex("08")));
    assert_false(compound_add(&compound, hex("08")));
    assert_int_equal(compound.count, 255);
    compound_reset(&compound);
    assert_int_equal(compound.count, 0);
    size_t start = compound_begin(&compound);
    buffer_append_text(&compound.parts, "xy");
    assert_true(compound_end(&compound, start));
    assert_int_equal(compound.sizes[0], 2);
    compound_fini(&compound);
}

static void a_refused_seal_leaves_the_output_as_it_was(void **state)
{
    (void)state;
    struct compound compound;
    struct buffer small;
    compound_init(&compound);
    buffer_init(&small, 20);
    buffer_append_text(&small, "before");
    assert_true(compound_add(&compound, hex(A1)));
    codec.label = span_text("blue");
    assert_false(packet_seal(&codec, &compound, true, &small));
    encrypt_with(K16);
    assert_false(packet_seal(&codec, &compound, true, &small));
    assert_bytes_text(buffer_span(&small), "before");
    assert_false(small.failed);
    buffer_fini(&small);
    compound_fini(&compound);
}

static void the_overhead_is_that_of_label_and_encryption(void **state)
{
    (void)state;
    assert_int_equal(wire_codec_overhead(&codec, false), 0);
    assert_int_equal(wire_codec_overhead(&codec, true), 29);
    codec.encryption_version = 0;
    assert_int_equal(wire_codec_overhead(&codec, true), 45);
    codec.label = span_text("blue");
    assert_int_equal(wire_codec_overhead(&codec, true), 51);
    assert_int_equal(wire_codec_overhead(&codec, false), 6);
}

static void sealing_while_a_datagram_is_open_does_not_disturb_it(void **state)
{
    (void)state;
    encrypt_with(K16);
    codec.compress = true;
    struct compound compound;
    struct buffer datagram;
    compound_init(&compound);
    buffer_init(&datagram, 100000);
    for (int i = 0; i < 5; i++)
        assert_true(compound_add(&compound, hex(A1)));
    assert_true(packet_seal(&codec, &compound, true, &datagram));
    open_packet(buffer_span(&datagram));
    for (int i = 0; i < 5; i++) {
        assert_next_is(hex(A1));
        struct span before = message;
        buffer_reset(&out);
        assert_true(packet_seal(&codec, &compound, true, &out));
        assert_bytes(before, hex(A1));
    }
    assert_end();
    buffer_fini(&datagram);
    compound_fini(&compound);
}

static void random_bytes_never_do_harm(void **state)
{
    (void)state;
    struct span whole = compound_of(compress_message_of(compound_of(hex(A1), 3)), 2);
    uint8_t *bytes = malloc(whole.size);
    for (int i = 0; i < 20000; i++) {
        memcpy(bytes, whole.data, whole.size);
        for (int k = 0; k < 3; k++)
            bytes[random_below(&source, whole.size)] = (uint8_t)random_u32(&source);
        if (packet_open(&reader, &codec, span_make(bytes, whole.size)).error != PACKET_OK)
            continue;
        int handed_out = 0;
        while (packet_next(&reader, &message, &problem)) {
            assert_true(problem.error != PACKET_OK || message.size > 0);
            assert_true(++handed_out < 100000);
        }
    }
    free(bytes);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(plaintext_vectors_decode),
        test(plaintext_vectors_encode),
        test(encrypted_vectors_both_ways),
        test(labelled_vectors_both_ways),
        test(encryption_version_0_both_ways),
        test(a_label_must_be_the_configured_one),
        test(each_stage_of_a_labels_introduction_understands_its_neighbours),
        test(a_label_is_escaped_before_it_is_shown),
        test(a_malformed_label_is_refused),
        test(without_the_inbound_check_a_label_is_a_double),
        test(with_verify_incoming_plaintext_is_refused),
        test(an_empty_packet_behind_a_label_is_refused),
        test(without_verify_incoming_what_does_not_decrypt_is_plaintext),
        test(without_a_key_nothing_is_decrypted),
        test(without_verify_outgoing_we_send_plaintext),
        test(an_encrypted_packet_without_content_has_no_type),
        test(a_wrong_checksum_is_refused),
        test(a_checksum_counts_only_at_its_one_place),
        test(a_checksum_over_nothing_has_no_type),
        test(an_empty_datagram_is_refused),
        test(a_compound_without_count_is_refused),
        test(compound_lengths_are_counted_in_a_wide_integer),
        test(of_a_cut_off_compound_the_whole_parts_are_read),
        test(a_lost_part_takes_the_later_ones_with_it),
        test(an_empty_compound_part_is_refused_and_the_others_are_read),
        test(a_compound_of_nothing_is_legal_and_trailing_bytes_are_ignored),
        test(unknown_types_are_handed_out),
        test(a_bad_compress_message_is_refused_and_the_others_are_read),
        test(nested_compound_and_compress_are_read),
        test(nesting_is_limited),
        test(the_bytes_that_one_datagram_decompresses_to_are_limited),
        test(the_limit_is_for_all_parts_together),
        test(work_on_parts_that_fail_counts_against_the_limit),
        test(compression_is_used_only_when_the_message_gets_shorter),
        test(a_compound_takes_255_parts_of_65535_bytes),
        test(a_refused_seal_leaves_the_output_as_it_was),
        test(the_overhead_is_that_of_label_and_encryption),
        test(sealing_while_a_datagram_is_open_does_not_disturb_it),
        test(random_bytes_never_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

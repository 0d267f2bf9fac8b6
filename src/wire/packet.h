/* The layers of a datagram (memberlist specification, section 1.2), outermost last:
 *
 *     message(s) -> [compound] -> [compress] -> [checksum] -> [encrypt] -> [label] -> datagram
 *
 * Reading peels them off in reverse. One reader works in the scratch memory of its codec, so only
 * one datagram is open at a time and nothing is allocated once the scratch has grown. */
#ifndef WIRE_PACKET_H
#define WIRE_PACKET_H

#include "keyring.h"
#include "lzw.h"
#include "message.h"

enum {
    PACKET_SIZE_MAX = 65536,      /* largest datagram that is read */
    PACKET_EXPANDED_MAX = 262144, /* bytes that one datagram may decompress to, in all */
    PACKET_DEPTH_MAX = 4,         /* legitimate: compress, compound, message */
    COMPOUND_PARTS_MAX = 255,
    COMPOUND_HEADER_SIZE = 2, /* type and count */
    COMPOUND_PART_OVERHEAD = 2,
    CRC_HEADER_SIZE = 5,
    LABEL_SIZE_MAX = 255,
};

/* How far a cluster has come with its label. Members of neighbouring modes understand each other
 * (and those without a label, members that accept it), so that a running cluster can be taken from
 * one to the next member by member. */
enum label_mode {
    LABEL_STRICT, /* sent, and nothing is read without it */
    LABEL_SEND,   /* sent; what comes may have it or none */
    LABEL_ACCEPT, /* not sent; what comes may have it or none */
};

/* What packets and streams of one cluster have in common. */
struct wire_codec {
    struct keyring *keyring; /* borrowed; NULL or empty: encryption is off */
    struct span label;       /* borrowed; empty: none */
    enum label_mode label_mode;
    bool skip_inbound_label_check; /* somebody else has checked labels and taken them off */
    bool verify_incoming;
    bool verify_outgoing;
    bool compress;
    uint8_t encryption_version;
    struct random *random; /* borrowed; nonces */

    struct buffer plain;     /* scratch of the reader: the datagram decrypted */
    struct buffer expanded;  /* scratch of the reader: what was decompressed; never moves */
    struct buffer assembled; /* scratch of packet_seal, which may run while a reader is open */
    struct buffer packed;    /* scratch of packet_seal */
    struct lzw_table *table; /* made on first use */
};

/* Fills the defaults: no key, no label, verify both ways, compression on, encryption version 1. */
void wire_codec_init(struct wire_codec *codec, struct random *random);
void wire_codec_fini(struct wire_codec *codec);

static inline bool wire_codec_encrypts(const struct wire_codec *codec)
{
    return keyring_count(codec->keyring) > 0;
}

/* The label that what we send ourselves carries; empty: none. */
static inline struct span wire_codec_sent_label(const struct wire_codec *codec)
{
    return codec->label_mode == LABEL_ACCEPT ? SPAN_EMPTY : codec->label;
}

/* Whether what comes may carry this label (empty: none). */
bool wire_codec_accepts_label(const struct wire_codec *codec, struct span label);

/* Bytes that label and encryption add to a datagram of ours: what a size budget sets aside.
 * `sealed`: whether to count the encryption. */
size_t wire_codec_overhead(const struct wire_codec *codec, bool sealed);

/* What may be wrong with a compress message besides its LZW data. */
enum decompress_error {
    DECOMPRESS_MALFORMED = 16, /* its body does not decode */
    DECOMPRESS_UNKNOWN_ALGORITHM,
};

/* Why bytes were refused. packet_problem_text gives the reference's words. */
enum packet_error {
    PACKET_OK,
    PACKET_EMPTY,               /* a datagram of no bytes */
    PACKET_LABEL_TRUNCATED,     /* "cannot decode label; packet has been truncated" */
    PACKET_LABEL_EMPTY,         /* "label header cannot be empty when present" */
    PACKET_LABEL_DOUBLE,        /* a label although the check is skipped */
    PACKET_LABEL_UNACCEPTABLE,  /* another cluster's; text is its label */
    PACKET_DECRYPT_FAILED,      /* detail: enum open_status; number: version or size */
    PACKET_BAD_CHECKSUM,        /* number: computed << 32 | expected */
    PACKET_NO_TYPE,             /* "missing message type byte" */
    PACKET_COMPOUND_NO_COUNT,   /* "missing compound length byte" */
    PACKET_COMPOUND_TRUNCATED,  /* "truncated len slice" */
    PACKET_COMPOUND_PARTS_LOST, /* number: how many parts were cut off; the others were read */
    PACKET_DECOMPRESS_FAILED,   /* detail: enum lzw_status or decompress_error; number: algorithm */
    PACKET_TOO_DEEP,            /* nested deeper than PACKET_DEPTH_MAX */
    PACKET_TOO_LARGE,           /* would decompress to more than PACKET_EXPANDED_MAX: ends it */
    PACKET_OUT_OF_MEMORY,
};

struct packet_problem {
    enum packet_error error;
    int detail;
    uint64_t number;
    struct span text; /* borrowed from the datagram */
};

struct packet_reader {
    struct wire_codec *codec;
    struct {
        struct span lengths; /* of the parts still to come, two bytes each */
        struct span parts;   /* their bytes, and whatever trails */
    } level[PACKET_DEPTH_MAX];
    int depth;
    struct span pending; /* a message not yet looked at */
    bool has_pending;
    bool was_plain;      /* it came unencrypted although there is a key */
    bool was_unlabelled; /* it came without a label although there is one */
};

/* Peels off label, encryption and checksum. On an error nothing of the datagram may be used. */
struct packet_problem packet_open(struct packet_reader *reader, struct wire_codec *codec,
                                  struct span datagram);

/* The next message with its type byte (at least one byte), compounds and compression undone;
 * borrowed until the next packet_open. Returns false at the end. A part that can't be read gives
 * true with problem->error set, and the rest of the datagram is still read (except after
 * PACKET_TOO_LARGE and PACKET_OUT_OF_MEMORY). The types that are handed out are never compound or
 * compress; they may be anything else, also unknown ones and a checksum that stands in the wrong
 * place. */
bool packet_next(struct packet_reader *reader, struct span *message,
                 struct packet_problem *problem);

/* The reference's words for a problem, appended to `out`: what stands in its log line between
 * "memberlist: " and the sender (memberlist specification, 10.1). A label is shown quoted and
 * escaped. */
void packet_problem_text(const struct packet_problem *problem, struct buffer *out);

/* Collects messages for one datagram. Add at most COMPOUND_PARTS_MAX. */
struct compound {
    struct buffer parts; /* the messages, one after the other */
    uint16_t sizes[COMPOUND_PARTS_MAX];
    uint16_t count;
};

void compound_init(struct compound *compound);
void compound_fini(struct compound *compound);
void compound_reset(struct compound *compound);
/* False when it is full, the message is larger than 65 535 bytes, or memory is out. */
bool compound_add(struct compound *compound, struct span message);
/* Starts a message in place: write to &compound->parts, then call compound_end, which counts it. */
size_t compound_begin(struct compound *compound);
bool compound_end(struct compound *compound, size_t begin); /* false: it was taken back */

/* Appends the finished datagram (at least one message) to `out`: a lone message goes bare, more as
 * a compound; compressed if that is shorter; checksum if asked for; encrypted and labelled as the
 * codec says. False when memory is out or out->maximum would be passed (out is then as it was). */
bool packet_seal(struct wire_codec *codec, const struct compound *compound, bool checksum,
                 struct buffer *out);

/* Pieces that packets and streams share. */

/* The reference's words for an LZW status or a decompress_error. `limit`: of the output, in bytes.
 */
void decompress_error_text(int error, uint64_t algorithm, uint64_t limit, struct buffer *out);
/* Appends a compress message that holds `message`, using `packed` for the data. False when memory
 * is out or a maximum would be passed; then nothing is appended. */
bool compress_message_write(struct wire_codec *codec, struct span message, struct buffer *packed,
                            struct buffer *out);
/* Appends what the body of a compress message holds. Returns 0, or an enum lzw_status or
 * decompress_error; on failure part of the output may have been appended. */
int compress_message_read(struct span body, struct buffer *out, uint64_t *algorithm);

#endif

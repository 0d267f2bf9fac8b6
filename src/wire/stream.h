/* The framing of a TCP stream (memberlist specification, section 3): one request on a connection,
 * the connector speaks first.
 *
 *     connector:  [label]  then  0a length(4) sealed   or   message
 *     responder:           then  0a length(4) sealed   or   message
 *
 * The connector's label is part of what seals either direction.
 *
 * The message is bare or inside one compress message. A plaintext message has no length: it ends
 * where its parts end, so it is scanned as it arrives. */
#ifndef WIRE_STREAM_H
#define WIRE_STREAM_H

#include "packet.h"

enum stream_error {
    STREAM_OK,
    STREAM_CLOSED,          /* "EOF": the peer closed before the message began */
    STREAM_TRUNCATED,       /* "unexpected EOF": it closed within the message */
    STREAM_LABEL_TRUNCATED, /* "cannot decode label; stream has been truncated" */
    STREAM_LABEL_EMPTY,
    STREAM_LABEL_DOUBLE,
    STREAM_LABEL_UNACCEPTABLE,       /* text: the label that came */
    STREAM_NOT_CONFIGURED_ENCRYPTED, /* sealed, and we have no key */
    STREAM_NOT_ENCRYPTED,            /* plaintext, and we require encryption */
    STREAM_TOO_LARGE_SEALED,         /* number: the length announced */
    STREAM_DECRYPT_FAILED,           /* detail: enum open_status (OPEN_EMPTY also when nothing was
                                        in the seal); number: version or size */
    STREAM_UNKNOWN_ALGORITHM,        /* number: the algorithm */
    STREAM_DECOMPRESS_FAILED, /* detail: enum lzw_status or decompress_error; number: limit */
    STREAM_EMPTY,             /* "decompressed message is empty" */
    STREAM_MALFORMED,         /* a body that is no msgpack, or not of its kind */
    STREAM_BAD_NODE_COUNT,    /* number */
    STREAM_BAD_STATE_SIZE,    /* number */
    STREAM_BAD_USER_SIZE,     /* number */
    STREAM_UNKNOWN_TYPE,      /* number: "Received invalid msgType (N)"; from a connector all
                                 but ping, push/pull and user, from a responder all but ack,
                                 push/pull and err */
    STREAM_OVER_LIMIT,        /* more bytes than this reader may hold */
    STREAM_OUT_OF_MEMORY,
};

struct stream_problem {
    enum stream_error error;
    int detail;
    uint64_t number;
    struct span text;
};

/* Whether an acceptor answers this problem with an err message before it closes: when it could not
 * get at the message (memberlist specification, 3.3 step 3). */
bool stream_problem_is_answered(const struct stream_problem *problem);
/* The words that go into the err message and the log (memberlist specification, 10.2). */
void stream_problem_text(const struct stream_problem *problem, struct buffer *out);

enum stream_progress {
    STREAM_MORE,     /* the message is not complete */
    STREAM_COMPLETE, /* stream_reader_message gives it; what follows it is ignored */
    STREAM_FAILED,
};

struct stream_reader {
    struct stream_problem problem; /* why it failed; text borrows from the reader */
    size_t large_sealed_bytes;     /* announced by a sealed frame above the warning mark, or 0 */
    struct buffer raw;             /* as received, or as decrypted or decompressed */
    bool has_label;                /* the connector said, or its request to come says, our label */
    bool was_plain;                /* it came unencrypted although there is a key */

    /* private to stream.c */
    struct wire_codec *codec; /* borrowed */
    bool from_connector;      /* a label header may come first */
    bool label_done;
    bool decompressed;
    bool whole; /* `raw` is no longer what arrives, but all there will be */
    uint8_t stage;
    size_t scanned;                 /* bytes of the message known to be well-formed */
    size_t scan_offset;             /* up to where the next value was scanned */
    struct msgpack_scanner scanner; /* where in that value the bytes ended */
    uint64_t nodes_left;            /* of a push/pull: node maps still to scan */
    uint64_t user_bytes;            /* of a push/pull or user message: raw bytes at the end */
};

enum { STREAM_SEALED_WARNING = 12582912 }; /* 60 % of PUSH_PULL_STATE_MAX */

/* `maximum`: bytes that the message may have, on the wire and in each form that it takes; while it
 * is decrypted or decompressed, two of these forms exist. */
void stream_reader_init(struct stream_reader *reader, struct wire_codec *codec, bool from_connector,
                        size_t maximum);
void stream_reader_fini(struct stream_reader *reader);

enum stream_progress stream_reader_feed(struct stream_reader *reader, struct span bytes);

/* The peer closed: fails with the problem that fits where the message broke off, unless the message
 * is complete. */
enum stream_progress stream_reader_end(struct stream_reader *reader);

/* The complete message, type byte first; borrowed from the reader. */
struct span stream_reader_message(const struct stream_reader *reader);

/* Walks a complete push/pull message. */
struct push_pull_reader {
    struct push_pull_header header;
    struct msgpack_reader nodes;
    int64_t nodes_left;
};

/* `message` with its type byte, as stream_reader_message gave it. */
bool push_pull_open(struct push_pull_reader *reader, struct span message);
bool push_pull_next(struct push_pull_reader *reader, struct push_node_state *node);
/* After the last node. */
struct span push_pull_user_state(const struct push_pull_reader *reader);

/* Appends the stream's bytes for one message: the label header (connector only), then the message
 * compressed and sealed as the codec says. `request`: what this answers; NULL: we connect. False
 * when memory is out or out->maximum would be passed; nothing is appended then. */
bool stream_seal(struct wire_codec *codec, const struct stream_reader *request, struct span message,
                 struct buffer *out);

#endif

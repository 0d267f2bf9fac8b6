/* DNS messages (RFC 1035, and RFC 2782 for services): read and written for discovery by multicast
 * (RFC 6762), and for whoever asks a name server for services.
 *
 *   header: id, flags, number of questions, answers, authorities, additional records (6 x 16 bits)
 *   question: name, type (16), class (16)
 *   record: name, type (16), class (16), time to live in seconds (32), size of the data (16), data
 *   name: labels (size byte 1 to 63, bytes), ended by a 0 byte or by a pointer (2 bytes, the
 *         highest two bits set) to where it goes on in the message
 *
 * Reading allocates nothing and takes time linear in the message: a pointer must lead backwards
 * each time, and a name has 255 bytes at most. */
#ifndef WIRE_DNS_MESSAGE_H
#define WIRE_DNS_MESSAGE_H

#include "buffer.h"
#include "endpoint.h"

enum {
    DNS_NAME_SIZE_MAX = 255, /* RFC 1035, 2.3.4 */
    DNS_LABEL_SIZE_MAX = 63,
    DNS_MESSAGE_SIZE_MAX = 65535,
};

enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_TXT = 16,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_SRV = 33,
    DNS_TYPE_ANY = 255,
};

enum {
    DNS_CLASS_IN = 1,
    DNS_CLASS_ANY = 255,
    /* RFC 6762, 5.4 and 10.2: of a question, a unicast answer is wanted; of a record, it replaces
     * what was known. */
    DNS_CLASS_TOP_BIT = 0x8000,
    DNS_FLAG_RESPONSE = 0x8000,
    DNS_FLAG_AUTHORITATIVE = 0x0400,
    DNS_FLAG_TRUNCATED = 0x0200,
    DNS_OPCODE_MASK = 0x7800,
    DNS_RESULT_MASK = 0x000f,
};

/* Labels with their size bytes and the 0 at the end; no pointers. */
struct dns_name {
    uint8_t size; /* 0: none; 1: the root */
    uint8_t bytes[DNS_NAME_SIZE_MAX];
};

/* From text with dots between the labels, one at the end or not. False when a label is empty or
 * longer than 63 bytes, or the whole too long. */
bool dns_name_from_text(struct dns_name *name, struct span text);
/* Letters in either case are the same (ASCII). */
bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);
/* Whether `name` ends with the labels of `parent` and has more in front; `*front` (may be NULL) is
 * the size of what is in front. */
bool dns_name_is_below(const struct dns_name *name, const struct dns_name *parent, size_t *front);
/* Appends the first `size` bytes' labels with dots between them, as they are. */
void dns_name_text(struct span labels, struct buffer *out);

struct dns_question {
    struct dns_name name;
    uint16_t type, class;
};

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

struct dns_record {
    enum dns_section section;
    struct dns_name name;
    uint16_t type, class;
    uint32_t ttl;     /* seconds */
    struct span data; /* borrowed, as it is in the message */
    /* Decoded where the type is: */
    struct dns_name target;          /* PTR, CNAME, SRV */
    uint16_t priority, weight, port; /* SRV */
    struct endpoint address;         /* A, AAAA; port 0 */
};

struct dns_reader {
    struct span message;
    size_t offset;
    uint16_t id, flags;
    uint16_t questions, records[3]; /* still to come, by section */
    bool failed;                    /* what follows is malformed, or missing */
};

/* Borrows `message`. False when it is too short for a header. */
bool dns_open(struct dns_reader *reader, struct span message);
/* The questions first, then the records: false at their end, or when reading failed. Reading a
 * record skips the questions that are left. */
bool dns_next_question(struct dns_reader *reader, struct dns_question *question);
bool dns_next_record(struct dns_reader *reader, struct dns_record *record);

/* --- writing ---
 *
 * Appends to a buffer, whose `failed` is to be looked at in the end. */
struct dns_writer {
    struct buffer *out;
    size_t begin;
    uint16_t questions, records[3];
};

void dns_begin(struct dns_writer *writer, struct buffer *out, uint16_t id, uint16_t flags);
void dns_write_question(struct dns_writer *writer, const struct dns_question *question);
/* Writes name, type, class, ttl, and what the type has in `record`; for TXT and types that are not
 * known here `data`. Sections must be written in their order. */
void dns_write_record(struct dns_writer *writer, const struct dns_record *record);
/* Fills in the counts. False when the buffer was too small. */
bool dns_end(struct dns_writer *writer);

#endif

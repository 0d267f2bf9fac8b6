/* Names are the one difficult part: they may go on elsewhere in the message. Each pointer must lead
 * to before the place where the present piece of the name began, which no loop can do. */
#include "dns_message.h"

#include <assert.h>

enum {
    HEADER_SIZE = 12,
    POINTER_BITS = 0xc0,
};

/* --- names --- */

static bool add_label(struct dns_name *name, struct span label)
{
    if (label.size < 1 || label.size > DNS_LABEL_SIZE_MAX ||
        name->size + 1 + label.size + 1 > DNS_NAME_SIZE_MAX)
        return false;
    name->bytes[name->size] = (uint8_t)label.size;
    memcpy(name->bytes + name->size + 1, label.data, label.size);
    name->size = (uint8_t)(name->size + 1 + label.size);
    return true;
}

bool dns_name_from_text(struct dns_name *name, struct span text)
{
    name->size = 0;
    while (text.size > 0) {
        const uint8_t *dot = memchr(text.data, '.', text.size);
        size_t size = dot ? (size_t)(dot - text.data) : text.size;
        if (!add_label(name, span_make(text.data, size)))
            return false;
        text = span_from(text, size + 1);
    }
    name->bytes[name->size++] = 0;
    return true;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

/* Size bytes are below the letters, so that they compare as they are. */
static bool same_bytes(const uint8_t *a, const uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
    return a->size == b->size && same_bytes(a->bytes, b->bytes, a->size);
}

bool dns_name_is_below(const struct dns_name *name, const struct dns_name *parent, size_t *front)
{
    if (name->size <= parent->size || parent->size == 0)
        return false;
    size_t begin = (size_t)name->size - parent->size, label = 0;
    while (label < begin)
        label += 1 + (size_t)name->bytes[label];
    if (label != begin || !same_bytes(name->bytes + begin, parent->bytes, parent->size))
        return false;
    if (front)
        *front = begin;
    return true;
}

void dns_name_text(struct span labels, struct buffer *out)
{
    for (size_t at = 0; at < labels.size && labels.data[at] > 0;
         at += 1 + (size_t)labels.data[at]) {
        if (at > 0)
            buffer_append_u8(out, '.');
        size_t size = labels.data[at];
        if (size > labels.size - at - 1)
            size = labels.size - at - 1;
        buffer_append(out, labels.data + at + 1, size);
    }
}

/* --- reading --- */

static bool fail(struct dns_reader *reader)
{
    reader->failed = true;
    return false;
}

/* Reads the name at `*offset`, which is moved behind it. */
static bool read_name(struct span message, size_t *offset, struct dns_name *name)
{
    size_t at = *offset, piece = *offset;
    bool jumped = false;
    name->size = 0;
    while (at < message.size) {
        uint8_t size = message.data[at];
        if ((size & POINTER_BITS) == POINTER_BITS) {
            if (message.size - at < 2)
                return false;
            size_t target = (size_t)read_u16(message.data + at) & 0x3fff;
            if (target >= piece || target < HEADER_SIZE)
                return false;
            if (!jumped)
                *offset = at + 2;
            jumped = true;
            at = piece = target;
        } else if (size == 0) {
            if (!jumped)
                *offset = at + 1;
            name->bytes[name->size++] = 0;
            return true;
        } else {
            if (message.size - at - 1 < size ||
                !add_label(name, span_make(message.data + at + 1, size)))
                return false;
            at += 1 + (size_t)size;
        }
    }
    return false;
}

bool dns_open(struct dns_reader *reader, struct span message)
{
    *reader = (struct dns_reader){.message = message, .offset = HEADER_SIZE};
    if (message.size < HEADER_SIZE || message.size > DNS_MESSAGE_SIZE_MAX)
        return fail(reader);
    reader->id = read_u16(message.data);
    reader->flags = read_u16(message.data + 2);
    reader->questions = read_u16(message.data + 4);
    for (size_t i = 0; i < 3; i++)
        reader->records[i] = read_u16(message.data + 6 + 2 * i);
    return true;
}

bool dns_next_question(struct dns_reader *reader, struct dns_question *question)
{
    if (reader->failed || reader->questions == 0)
        return false;
    if (!read_name(reader->message, &reader->offset, &question->name) ||
        reader->message.size - reader->offset < 4)
        return fail(reader);
    reader->questions--;
    const uint8_t *rest = reader->message.data + reader->offset;
    question->type = read_u16(rest);
    question->class = read_u16(rest + 2);
    reader->offset += 4;
    return true;
}

static bool read_target(const struct dns_reader *reader, size_t skipped, struct dns_record *record)
{
    size_t offset = reader->offset + skipped, end = reader->offset + record->data.size;
    return record->data.size > skipped &&
           read_name(span_make(reader->message.data, end), &offset, &record->target) &&
           offset == end;
}

/* Decodes the data, which is at the reader's offset. */
static bool read_data(const struct dns_reader *reader, struct dns_record *record)
{
    struct span data = record->data;
    switch (record->type) {
    case DNS_TYPE_A:
        return data.size == 4 && endpoint_from_bytes(&record->address, data, 0);
    case DNS_TYPE_AAAA:
        return data.size == 16 && endpoint_from_bytes(&record->address, data, 0);
    case DNS_TYPE_PTR:
    case DNS_TYPE_CNAME:
        return read_target(reader, 0, record);
    case DNS_TYPE_SRV:
        if (!read_target(reader, 6, record))
            return false;
        record->priority = read_u16(data.data);
        record->weight = read_u16(data.data + 2);
        record->port = read_u16(data.data + 4);
        return true;
    default:
        return true;
    }
}

static bool read_record(struct dns_reader *reader, struct dns_record *record)
{
    if (!read_name(reader->message, &reader->offset, &record->name) ||
        reader->message.size - reader->offset < 10)
        return false;
    const uint8_t *rest = reader->message.data + reader->offset;
    record->type = read_u16(rest);
    record->class = read_u16(rest + 2);
    record->ttl = read_u32(rest + 4);
    size_t size = read_u16(rest + 8);
    reader->offset += 10;
    if (size > reader->message.size - reader->offset)
        return false;
    record->data = span_make(reader->message.data + reader->offset, size);
    if (!read_data(reader, record))
        return false;
    reader->offset += size;
    return true;
}

bool dns_next_record(struct dns_reader *reader, struct dns_record *record)
{
    struct dns_question skipped;
    while (dns_next_question(reader, &skipped))
        ;
    size_t section = 0;
    while (section < 3 && reader->records[section] == 0)
        section++;
    if (reader->failed || section == 3)
        return false;
    reader->records[section]--;
    memset(record, 0, sizeof *record);
    record->section = (enum dns_section)section;
    return read_record(reader, record) || fail(reader);
}

/* --- writing --- */

static void write_name(struct buffer *out, const struct dns_name *name)
{
    buffer_append(out, name->bytes, name->size);
}

static void write_u16_at(struct buffer *out, size_t offset, size_t value)
{
    if (out->failed)
        return;
    out->data[offset] = (uint8_t)(value >> 8);
    out->data[offset + 1] = (uint8_t)value;
}

void dns_begin(struct dns_writer *writer, struct buffer *out, uint16_t id, uint16_t flags)
{
    *writer = (struct dns_writer){.out = out, .begin = out->size};
    buffer_append_u16(out, id);
    buffer_append_u16(out, flags);
    buffer_append_u64(out, 0);
}

void dns_write_question(struct dns_writer *writer, const struct dns_question *question)
{
    writer->questions++;
    write_name(writer->out, &question->name);
    buffer_append_u16(writer->out, question->type);
    buffer_append_u16(writer->out, question->class);
}

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291, 2.5.5.2 */

void dns_write_record(struct dns_writer *writer, const struct dns_record *record)
{
    struct buffer *out = writer->out;
    writer->records[record->section]++;
    write_name(out, &record->name);
    buffer_append_u16(out, record->type);
    buffer_append_u16(out, record->class);
    buffer_append_u32(out, record->ttl);
    size_t size_at = out->size;
    buffer_append_u16(out, 0);
    switch (record->type) {
    case DNS_TYPE_AAAA:
        if (record->address.address_size == 4) /* an IPv4 address in IPv6, as it was read */
            buffer_append(out, mapped_prefix, sizeof mapped_prefix);
        buffer_append(out, record->address.address, record->address.address_size);
        break;
    case DNS_TYPE_A:
        buffer_append(out, record->address.address, record->address.address_size);
        break;
    case DNS_TYPE_SRV:
        buffer_append_u16(out, record->priority);
        buffer_append_u16(out, record->weight);
        buffer_append_u16(out, record->port);
        write_name(out, &record->target);
        break;
    case DNS_TYPE_PTR:
    case DNS_TYPE_CNAME:
        write_name(out, &record->target);
        break;
    default:
        buffer_append_span(out, record->data);
    }
    write_u16_at(out, size_at, out->size - size_at - 2);
}

bool dns_end(struct dns_writer *writer)
{
    struct buffer *out = writer->out;
    write_u16_at(out, writer->begin + 4, writer->questions);
    for (size_t i = 0; i < 3; i++)
        write_u16_at(out, writer->begin + 6 + 2 * i, writer->records[i]);
    return !out->failed;
}

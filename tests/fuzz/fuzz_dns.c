/* A DNS message read to its end; what could be read is written and read again. */
#include "dns_message.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(struct span written, uint32_t questions, uint32_t records)
{
    struct dns_reader reader;
    struct dns_question question;
    struct dns_record record;
    assert(dns_open(&reader, written));
    while (dns_next_question(&reader, &question))
        questions--;
    while (dns_next_record(&reader, &record))
        records--;
    assert(!reader.failed && questions == 0 && records == 0 && reader.offset == written.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_reader reader;
    struct dns_writer writer;
    struct dns_question question;
    struct dns_record record;
    struct buffer out, text;
    uint32_t questions = 0, records = 0;
    if (!dns_open(&reader, span_make(data, size)))
        return 0;
    buffer_init(&out, DNS_MESSAGE_SIZE_MAX);
    buffer_init(&text, DNS_NAME_SIZE_MAX);
    dns_begin(&writer, &out, reader.id, reader.flags);
    for (; dns_next_question(&reader, &question); questions++)
        dns_write_question(&writer, &question);
    for (; dns_next_record(&reader, &record); records++) {
        assert(record.name.size > 0 && record.name.bytes[record.name.size - 1] == 0);
        assert(dns_name_equal(&record.name, &record.name));
        dns_name_is_below(&record.name, &record.target, NULL);
        dns_write_record(&writer, &record);
        buffer_reset(&text);
        dns_name_text(span_make(record.name.bytes, record.name.size), &text);
    }
    if (dns_end(&writer))
        check_again(buffer_span(&out), questions, records);
    buffer_fini(&out);
    buffer_fini(&text);
    return 0;
}

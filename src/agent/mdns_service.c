/* The answer to who offers the service holds everything about it in one message, as the reference's
 * does: where it is, its address, and a text, without which the reference does not believe in it.
 */
#include "mdns_service.h"

#include <stdio.h>

enum { SRV_PRIORITY = 10, SRV_WEIGHT = 1 };

/* --- names --- */

/* Labels of the text, each cut to what a label may have, while the whole leaves room for `rest`. */
static void name_of_labels(struct dns_name *name, struct span text, const char *rest)
{
    struct buffer cut;
    buffer_init(&cut, DNS_NAME_SIZE_MAX + 1);
    size_t room = DNS_NAME_SIZE_MAX - strlen(rest) - 2;
    while (text.size > 0) {
        const uint8_t *dot = memchr(text.data, '.', text.size);
        size_t size = dot ? (size_t)(dot - text.data) : text.size;
        size_t kept = size < DNS_LABEL_SIZE_MAX ? size : DNS_LABEL_SIZE_MAX;
        if (kept > 0 && cut.size + kept + 1 <= room) {
            buffer_append(&cut, text.data, kept);
            buffer_append_u8(&cut, '.');
        }
        text = span_from(text, size + 1);
    }
    buffer_append_text(&cut, rest);
    if (!dns_name_from_text(name, buffer_span(&cut)))
        dns_name_from_text(name, span_text(rest));
    buffer_fini(&cut);
}

bool mdns_service_init(struct mdns_service *service, struct span cluster, struct span node,
                       struct span host, const struct endpoint *address, struct buffer *error)
{
    char text[DNS_NAME_SIZE_MAX];
    *service = (struct mdns_service){.address = *address};
    int size = snprintf(text, sizeof text, "_serf_%.*s._tcp.local", SPAN_PRINT(cluster));
    if (size >= (int)sizeof text / 2 || !dns_name_from_text(&service->service, span_text(text))) {
        buffer_printf(error,
                      "'%.*s' can't be part of a DNS name; a cluster's name has 1 to 57 bytes "
                      "between dots, and about 100 in all",
                      SPAN_PRINT(cluster));
        return false;
    }
    name_of_labels(&service->instance, node, text);
    name_of_labels(&service->host, host, "");
    dns_name_from_text(&service->enumeration, span_text("_services._dns-sd._udp.local"));
    size = snprintf((char *)service->text + 1, sizeof service->text - 1, "Serf '%.*s' cluster",
                    SPAN_PRINT(cluster));
    service->text[0] = (uint8_t)size;
    return true;
}

void mdns_host_name(const struct mdns_service *service, const struct mdns_host *host,
                    struct buffer *out)
{
    size_t front = 0;
    if (dns_name_is_below(&host->instance, &service->service, &front))
        dns_name_text(span_make(host->instance.bytes, front), out);
}

/* --- asking --- */

bool mdns_write_query(const struct mdns_service *service, struct buffer *out)
{
    struct dns_writer writer;
    struct dns_question question = {service->service, DNS_TYPE_PTR, DNS_CLASS_IN};
    dns_begin(&writer, out, 0, 0);
    dns_write_question(&writer, &question);
    return dns_end(&writer);
}

/* --- answering --- */

static void write_record(struct dns_writer *writer, const struct dns_name *name, uint16_t type,
                         const struct mdns_service *service)
{
    struct dns_record record = {
        .section = DNS_ANSWER,
        .name = *name,
        .type = type,
        .class = DNS_CLASS_IN,
        .ttl = MDNS_TTL_S,
    };
    switch (type) {
    case DNS_TYPE_PTR:
        record.target = name == &service->service ? service->instance : service->service;
        break;
    case DNS_TYPE_SRV:
        record.priority = SRV_PRIORITY;
        record.weight = SRV_WEIGHT;
        record.port = service->address.port;
        record.target = service->host;
        break;
    case DNS_TYPE_TXT:
        record.data = span_make(service->text, 1 + (size_t)service->text[0]);
        break;
    default:
        record.address = service->address;
        break;
    }
    dns_write_record(writer, &record);
}

static uint16_t address_type(const struct mdns_service *service)
{
    return service->address.address_size == 16 ? DNS_TYPE_AAAA : DNS_TYPE_A;
}

static void write_instance(struct dns_writer *writer, const struct mdns_service *service)
{
    write_record(writer, &service->instance, DNS_TYPE_SRV, service);
    write_record(writer, &service->host, address_type(service), service);
    write_record(writer, &service->instance, DNS_TYPE_TXT, service);
}

static void answer_instance(struct dns_writer *writer, const struct mdns_service *service,
                            uint16_t type)
{
    if (type == DNS_TYPE_ANY || type == DNS_TYPE_SRV)
        write_instance(writer, service);
    else if (type == DNS_TYPE_TXT)
        write_record(writer, &service->instance, DNS_TYPE_TXT, service);
    else if (type == address_type(service))
        write_record(writer, &service->host, type, service);
}

/* False when it asks for nothing of ours. */
static bool answer_question(struct dns_writer *writer, const struct mdns_service *service,
                            const struct dns_question *question)
{
    uint16_t before = writer->records[DNS_ANSWER], type = question->type;
    uint16_t class = question->class & (uint16_t)~DNS_CLASS_TOP_BIT;
    bool pointer = type == DNS_TYPE_PTR || type == DNS_TYPE_ANY;
    if (class != DNS_CLASS_IN && class != DNS_CLASS_ANY)
        return false;
    if (pointer && dns_name_equal(&question->name, &service->service)) {
        write_record(writer, &service->service, DNS_TYPE_PTR, service);
        write_instance(writer, service);
    } else if (pointer && dns_name_equal(&question->name, &service->enumeration)) {
        write_record(writer, &service->enumeration, DNS_TYPE_PTR, service);
    } else if (dns_name_equal(&question->name, &service->instance)) {
        answer_instance(writer, service, type);
    } else if (dns_name_equal(&question->name, &service->host) &&
               (type == DNS_TYPE_ANY || type == address_type(service))) {
        write_record(writer, &service->host, address_type(service), service);
    }
    return writer->records[DNS_ANSWER] > before;
}

enum mdns_reply mdns_write_reply(const struct mdns_service *service, struct span query,
                                 uint16_t port, struct buffer *out)
{
    struct dns_reader reader;
    struct dns_question question, answered;
    struct dns_writer writer;
    if (!dns_open(&reader, query) || (reader.flags & (DNS_FLAG_RESPONSE | DNS_OPCODE_MASK)))
        return MDNS_NO_REPLY;
    /* One question is answered, whatever else a message asks: ours ask one. A plain resolver (RFC
     * 6762, 6.7) wants its question and its id back. */
    bool full = port == 5353, found = false;
    size_t begin = out->size;
    while (!found && dns_next_question(&reader, &question)) {
        buffer_truncate(out, begin);
        dns_begin(&writer, out, full ? 0 : reader.id, DNS_FLAG_RESPONSE | DNS_FLAG_AUTHORITATIVE);
        answered = question;
        answered.class &= (uint16_t)~DNS_CLASS_TOP_BIT;
        if (!full)
            dns_write_question(&writer, &answered);
        found = answer_question(&writer, service, &question);
    }
    if (!found || !dns_end(&writer))
        return MDNS_NO_REPLY;
    return full && !(question.class & DNS_CLASS_TOP_BIT) ? MDNS_REPLY_TO_GROUP
                                                         : MDNS_REPLY_TO_ASKER;
}

/* --- reading answers --- */

struct found {
    struct dns_name target;
    uint16_t port;
};

/* The instances, and under which name the address of each is to be found. */
static size_t find_services(const struct mdns_service *service, struct span response,
                            struct mdns_host *hosts, struct found *found)
{
    struct dns_reader reader;
    struct dns_record record;
    size_t count = 0;
    if (!dns_open(&reader, response) || !(reader.flags & DNS_FLAG_RESPONSE))
        return 0;
    while (count < MDNS_HOSTS_MAX && dns_next_record(&reader, &record)) {
        if (record.type != DNS_TYPE_SRV || record.ttl == 0 || record.port == 0 ||
            !dns_name_is_below(&record.name, &service->service, NULL))
            continue;
        hosts[count] = (struct mdns_host){.instance = record.name};
        found[count++] = (struct found){record.target, record.port};
    }
    return count;
}

static bool is_usable(const struct endpoint *address)
{
    static const uint8_t none[16];
    const uint8_t *bytes = address->address;
    bool multicast = address->address_size == 4 ? bytes[0] >= 224 : bytes[0] == 0xff;
    return !multicast && memcmp(bytes, none, address->address_size) != 0;
}

/* IPv4 before IPv6, as in the reference; which zone a link-local address is in would be lost. */
static void take_address(struct endpoint *endpoint, const struct endpoint *address, uint16_t port)
{
    bool link_local = address->address_size == 16 && address->address[0] == 0xfe &&
                      (address->address[1] & 0xc0) == 0x80;
    if (!is_usable(address) || link_local ||
        (endpoint->address_size > 0 && address->address_size >= endpoint->address_size))
        return;
    *endpoint = *address;
    endpoint->port = port;
}

size_t mdns_read_hosts(const struct mdns_service *service, struct span response,
                       struct mdns_host *hosts)
{
    struct found found[MDNS_HOSTS_MAX];
    struct dns_reader reader;
    struct dns_record record;
    size_t count = find_services(service, response, hosts, found), good = 0;
    if (count == 0 || !dns_open(&reader, response))
        return 0;
    while (dns_next_record(&reader, &record)) {
        if (record.type != DNS_TYPE_A && record.type != DNS_TYPE_AAAA)
            continue;
        for (size_t i = 0; i < count; i++)
            if (dns_name_equal(&found[i].target, &record.name))
                take_address(&hosts[i].endpoint, &record.address, found[i].port);
    }
    for (size_t i = 0; i < count; i++)
        if (hosts[i].endpoint.address_size > 0)
            hosts[good++] = hosts[i];
    return good;
}

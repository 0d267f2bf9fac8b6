/* The benchmark's peer: any number of members that answer pings, and a sender of gossip at a steady
 * rate. One socket on all addresses of the (private) namespace stands for all of them: a datagram
 * is answered from the address that it was sent to, and each packet of the traffic names the
 * address that it comes from.
 *
 *     gossip_traffic peers PORT
 *     gossip_traffic events|alives|pings PORT TARGET COUNT RATE SOURCES NAME
 *     gossip_traffic receive|echo PORT COUNT
 *
 * "peers" answers pings until its standard input ends. The three kinds of traffic do the same, and
 * when a line comes they send COUNT packets to the agent NAME at TARGET, from SOURCES members in
 * turn (127.2.0.1 and on). Pacing: RATE / 1000 packets on each millisecond, against a clock that
 * does not slip; after a delay at most BURST_MAX packets follow without a pause. "receive" is the
 * floor that the agents are held against: a loop that takes COUNT datagrams, one blocking call
 * each, and does nothing with them ("echo": and sends back a datagram for each).
 *
 * A packet is what a peer without compression sends: one message behind a checksum. */
#include "endpoint.h"
#include "packet.h"
#include "serf_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_NS = 1000000,
    BURST_MAX = 50,
    SOCKET_BUFFER_SIZE = 4 * 1024 * 1024,
    ALIVE_MEMBERS = 100, /* whom the alive messages are about, in turn */
    EVENT_PAYLOAD_SIZE = 32,
    IDLE_END_MS = 3000,            /* a receive loop ends when nothing comes for so long */
    SOURCE_NETWORK = 0x7f020000u,  /* 127.2.0.0: the members that send */
    SUBJECT_NETWORK = 0x7f030000u, /* 127.3.0.0: the members that alive messages are about */
};

enum kind { KIND_PEERS, KIND_EVENTS, KIND_ALIVES, KIND_PINGS };

struct traffic {
    enum kind kind;
    int descriptor;
    uint16_t port;
    struct sockaddr_in target;
    const char *agent;
    uint32_t count, per_tick, sources;
    uint32_t sent, refused, acks;
    struct wire_codec codec;
    struct random random;
    struct compound compound;
    struct buffer datagram;
};

static void die(const char *what)
{
    fprintf(stderr, "gossip_traffic: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_socket(uint16_t port)
{
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, size = SOCKET_BUFFER_SIZE;
    if (descriptor < 0)
        die("socket");
    if (setsockopt(descriptor, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0)
        die("IP_PKTINFO");
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0)
        die("bind");
    return descriptor;
}

/* --- datagrams with both of their addresses --- */

union control {
    struct cmsghdr header;
    uint8_t space[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static bool send_from(int descriptor, struct in_addr source, const struct sockaddr_in *target,
                      struct span datagram)
{
    union control control = {0};
    struct sockaddr_in to = *target;
    struct iovec part = {(void *)(uintptr_t)datagram.data, datagram.size};
    struct msghdr header = {.msg_name = &to,
                            .msg_namelen = sizeof to,
                            .msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    struct in_pktinfo information = {.ipi_spec_dst = source};
    struct cmsghdr *item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = IPPROTO_IP;
    item->cmsg_type = IP_PKTINFO;
    item->cmsg_len = CMSG_LEN(sizeof information);
    memcpy(CMSG_DATA(item), &information, sizeof information);
    return sendmsg(descriptor, &header, 0) >= 0;
}

/* Returns the size, or -1 when nothing waits. */
static ssize_t receive_at(int descriptor, uint8_t *bytes, size_t size, struct sockaddr_in *from,
                          struct in_addr *at)
{
    union control control = {0};
    struct iovec part = {bytes, size};
    struct msghdr header = {.msg_name = from,
                            .msg_namelen = sizeof *from,
                            .msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    ssize_t count = recvmsg(descriptor, &header, MSG_DONTWAIT);
    struct cmsghdr *item = count < 0 ? NULL : CMSG_FIRSTHDR(&header);
    if (item && item->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo information;
        memcpy(&information, CMSG_DATA(item), sizeof information);
        *at = information.ipi_addr;
    }
    return count;
}

static bool seal(struct traffic *traffic)
{
    buffer_reset(&traffic->datagram);
    return packet_seal(&traffic->codec, &traffic->compound, true, &traffic->datagram);
}

/* --- the members' side --- */

static void answer(struct traffic *traffic, struct span message, const struct sockaddr_in *from,
                   struct in_addr at)
{
    struct ping_message ping;
    if (message.data[0] == MESSAGE_ACK)
        traffic->acks++;
    if (message.data[0] != MESSAGE_PING ||
        !message_read(span_from(message, 1), &ping_structure, &ping))
        return;
    struct ack_message ack = {.sequence = ping.sequence, .payload = span_text("")};
    compound_reset(&traffic->compound);
    compound_begin(&traffic->compound);
    message_write(&traffic->compound.parts, MESSAGE_ACK, &ack_structure, &ack);
    if (compound_end(&traffic->compound, 0) && seal(traffic))
        (void)send_from(traffic->descriptor, at, from, buffer_span(&traffic->datagram));
}

static void drain(struct traffic *traffic)
{
    static uint8_t bytes[PACKET_SIZE_MAX];
    struct sockaddr_in from;
    struct in_addr at = {htonl(INADDR_LOOPBACK)};
    ssize_t size;
    while ((size = receive_at(traffic->descriptor, bytes, sizeof bytes, &from, &at)) >= 0) {
        struct packet_reader reader;
        struct packet_problem problem =
            packet_open(&reader, &traffic->codec, span_make(bytes, (size_t)size));
        struct span message;
        while (problem.error == PACKET_OK && packet_next(&reader, &message, &problem))
            if (problem.error == PACKET_OK)
                answer(traffic, message, &from, at);
    }
}

/* --- the traffic --- */

static void write_event(struct buffer *out, uint32_t number)
{
    char payload[EVENT_PAYLOAD_SIZE + 1];
    snprintf(payload, sizeof payload, "%032u", number);
    struct user_event_message event = {
        .ltime = number + 1, .name = span_text("deploy"), .payload = span_text(payload)};
    buffer_append_u8(out, MESSAGE_USER);
    serf_message_write(out, SERF_USER_EVENT, &user_event_structure, &event);
}

static void write_alive(struct traffic *traffic, struct buffer *out, uint32_t number)
{
    static const uint8_t versions[VERSIONS_SIZE] = {1, 5, 2, 2, 5, 5};
    static const uint8_t no_tags[] = {0xff, 0x80};
    uint32_t member = number % ALIVE_MEMBERS;
    uint32_t address = htonl(SUBJECT_NETWORK + 1 + member);
    char name[32];
    snprintf(name, sizeof name, "subject-%03u", member);
    struct alive_message alive = {.incarnation = number / ALIVE_MEMBERS + 1,
                                  .node = span_text(name),
                                  .address = span_make(&address, sizeof address),
                                  .port = traffic->port,
                                  .meta = span_make(no_tags, sizeof no_tags),
                                  .versions = span_make(versions, sizeof versions)};
    message_write(out, MESSAGE_ALIVE, &alive_structure, &alive);
}

static void write_ping(struct traffic *traffic, struct buffer *out, uint32_t number,
                       uint32_t source)
{
    uint32_t address = htonl(SOURCE_NETWORK + 1 + source);
    char name[32];
    snprintf(name, sizeof name, "source-%03u", source);
    struct ping_message ping = {.sequence = number + 1,
                                .node = span_text(traffic->agent),
                                .source_address = span_make(&address, sizeof address),
                                .source_port = traffic->port,
                                .source_node = span_text(name)};
    message_write(out, MESSAGE_PING, &ping_structure, &ping);
}

static void send_one(struct traffic *traffic)
{
    uint32_t number = traffic->sent++, source = number % traffic->sources;
    compound_reset(&traffic->compound);
    compound_begin(&traffic->compound);
    if (traffic->kind == KIND_EVENTS)
        write_event(&traffic->compound.parts, number);
    else if (traffic->kind == KIND_ALIVES)
        write_alive(traffic, &traffic->compound.parts, number);
    else
        write_ping(traffic, &traffic->compound.parts, number, source);
    struct in_addr from = {htonl(SOURCE_NETWORK + 1 + source)};
    if (!compound_end(&traffic->compound, 0) || !seal(traffic) ||
        !send_from(traffic->descriptor, from, &traffic->target, buffer_span(&traffic->datagram)))
        traffic->refused++;
}

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void send_all(struct traffic *traffic)
{
    uint64_t start = now_ns(), next = start;
    while (traffic->sent < traffic->count) {
        for (uint32_t i = 0; i < traffic->per_tick && traffic->sent < traffic->count; i++)
            send_one(traffic);
        drain(traffic);
        next += TICK_NS;
        uint64_t now = now_ns();
        uint64_t late_max = (uint64_t)TICK_NS * BURST_MAX / traffic->per_tick;
        if (now > next + late_max)
            next = now - late_max;
        struct timespec until = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    printf("sent %u refused %u seconds %.2f\n", traffic->sent, traffic->refused,
           (double)(now_ns() - start) / 1e9);
    fflush(stdout);
}

/* Answers pings; a line on standard input starts the traffic, its end ends everything. */
static void serve(struct traffic *traffic)
{
    struct pollfd watched[] = {{.fd = traffic->descriptor, .events = POLLIN},
                               {.fd = STDIN_FILENO, .events = POLLIN}};
    for (;;) {
        char line[64];
        if (poll(watched, 2, -1) < 0 && errno != EINTR)
            die("poll");
        drain(traffic);
        if (watched[1].revents == 0)
            continue;
        if (read(STDIN_FILENO, line, sizeof line) <= 0)
            break;
        if (traffic->kind != KIND_PEERS)
            send_all(traffic);
    }
    printf("acks %u\n", traffic->acks);
}

/* --- the floor --- */

static void receive(uint16_t port, uint32_t count, bool reply)
{
    static uint8_t bytes[PACKET_SIZE_MAX];
    int descriptor = open_socket(port);
    struct timeval idle = {IDLE_END_MS / 1000, 0};
    uint32_t received = 0;
    while (received < count) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(descriptor, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);
        if (got < 0)
            break;
        if (received++ == 0)
            (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
        if (reply)
            (void)sendto(descriptor, bytes, (size_t)got, 0, (struct sockaddr *)&from, size);
    }
    printf("received %u\n", received);
}

/* --- arguments --- */

static uint32_t number_of(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value > UINT32_MAX) {
        fprintf(stderr, "gossip_traffic: \"%s\" is not a number\n", text);
        exit(1);
    }
    return (uint32_t)value;
}

static void usage(void)
{
    fprintf(stderr, "usage: gossip_traffic peers PORT\n"
                    "       gossip_traffic events|alives|pings PORT TARGET COUNT RATE SOURCES "
                    "NAME\n"
                    "       gossip_traffic receive|echo PORT COUNT\n");
    exit(1);
}

static enum kind kind_of(const char *word)
{
    static const char *const words[] = {"peers", "events", "alives", "pings"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return (enum kind)i;
    usage();
    return KIND_PEERS;
}

static void read_target(struct traffic *traffic, char **words)
{
    struct endpoint target;
    if (!endpoint_from_text(&target, words[0], 7946) || target.address_size != 4)
        usage();
    traffic->target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(target.port)};
    memcpy(&traffic->target.sin_addr, target.address, 4);
    traffic->count = number_of(words[1]);
    traffic->per_tick = number_of(words[2]) / 1000;
    traffic->sources = number_of(words[3]);
    traffic->agent = words[4];
    if (traffic->per_tick == 0 || traffic->sources == 0)
        usage();
}

int main(int count, char **words)
{
    static struct traffic traffic;
    static const uint8_t seed[RANDOM_SEED_SIZE];
    if (count < 3)
        usage();
    traffic.port = (uint16_t)number_of(words[2]);
    bool echo = strcmp(words[1], "echo") == 0;
    if (echo || strcmp(words[1], "receive") == 0) {
        if (count != 4)
            usage();
        receive(traffic.port, number_of(words[3]), echo);
        return 0;
    }
    traffic.kind = kind_of(words[1]);
    if (count != (traffic.kind == KIND_PEERS ? 3 : 8))
        usage();
    if (traffic.kind != KIND_PEERS)
        read_target(&traffic, words + 3);
    random_init(&traffic.random, seed);
    wire_codec_init(&traffic.codec, &traffic.random);
    traffic.codec.compress = false;
    compound_init(&traffic.compound);
    buffer_init(&traffic.datagram, PACKET_SIZE_MAX);
    traffic.descriptor = open_socket(traffic.port);
    serve(&traffic);
    return 0;
}

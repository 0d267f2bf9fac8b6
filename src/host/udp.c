/* One system call moves a whole batch each way. The receive slots are 64 KiB each, since that is
 * what a datagram may have, but they are mapped, not touched: gossip fills a page of each. When
 * larger datagrams have filled more, the pages go back as soon as the socket is quiet.
 *
 * Datagrams to send are collected in one arena and leave at the end of the turn. What could not be
 * sent is remembered until then as well, so that udp_send never calls its caller back.
 *
 * A datagram may be expensive (a decompression, a merge), so the limit of a turn is time as well as
 * number; what a system call brought beyond it waits in the slots for the next turn. */
#include "udp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bound_socket.h"
#include "socket_text.h"

enum {
    SLOTS_SIZE = UDP_BATCH * UDP_DATAGRAM_SIZE_MAX,
    USUAL_SIZE = 4096, /* a datagram up to here leaves its slot's first page only */
    ARENA_SIZE = 128 * 1024,
    REFUSED_MAX = 64, /* refusals remembered until the end of a turn; more are only counted */
};

struct receiver {
    uint8_t *slots; /* SLOTS_SIZE bytes, mapped */
    struct mmsghdr headers[UDP_BATCH];
    struct iovec parts[UDP_BATCH];
    union socket_address sources[UDP_BATCH];
    unsigned next, count; /* of the batch: handed over, and read */
    bool emptied;         /* the batch was smaller than asked for: nothing more had arrived */
    bool grown;           /* pages beyond the usual were touched */
    bool active;          /* inside a callback */
    bool freed;           /* meanwhile */
};

struct refusal {
    struct endpoint to;
    int error_number;
};

struct sender {
    uint8_t *arena; /* ARENA_SIZE bytes, mapped */
    size_t used;
    struct mmsghdr headers[UDP_SEND_BATCH];
    struct iovec parts[UDP_SEND_BATCH];
    union socket_address targets[UDP_SEND_BATCH];
    struct endpoint endpoints[UDP_SEND_BATCH];
    unsigned count;
    struct refusal refusals[REFUSED_MAX];
    unsigned refusal_count;
};

struct udp {
    int descriptor;
    int family;
    struct loop_watch watch;
    struct loop_task flush, more;
    struct udp_callbacks callbacks;
    struct udp_counters counters;
    struct receiver in;
    struct sender out;
};

/* --- opening --- */

static uint8_t *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static bool request_receive_buffer(int descriptor, struct buffer *error)
{
    for (int size = UDP_RECEIVE_BUFFER; size >= UDP_RECEIVE_BUFFER_MIN; size /= 2) {
        if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0)
            return true;
    }
    buffer_printf(error, "failed to resize UDP buffer: set udp: setsockopt: %s",
                  system_error_text(errno));
    return false;
}

static void on_ready(void *context, int ready)
{
    (void)ready;
    udp_receive(context);
}

static void on_more(void *context)
{
    udp_receive(context);
}

static void report_refusals(struct udp *udp)
{
    struct sender *out = &udp->out;
    /* The callback may send, and so add refusals; those are reported in the next turn. */
    struct refusal refusals[REFUSED_MAX];
    unsigned count = out->refusal_count;
    memcpy(refusals, out->refusals, count * sizeof *refusals);
    out->refusal_count = 0;
    for (unsigned i = 0; i < count && udp->callbacks.send_failed && !udp->in.freed; i++)
        udp->callbacks.send_failed(udp->callbacks.context, &refusals[i].to,
                                   refusals[i].error_number);
}

static void on_turn_end(void *context)
{
    struct udp *udp = context;
    udp_flush(udp);
    udp->in.active = true;
    report_refusals(udp);
    udp->in.active = false;
    if (udp->in.freed) {
        udp_free(udp);
        return;
    }
    udp_flush(udp);
    if (udp->out.refusal_count > 0)
        loop_defer(&udp->flush);
}

static void prepare(struct udp *udp)
{
    for (unsigned i = 0; i < UDP_BATCH; i++) {
        udp->in.parts[i] =
            (struct iovec){udp->in.slots + i * UDP_DATAGRAM_SIZE_MAX, UDP_DATAGRAM_SIZE_MAX};
        udp->in.headers[i].msg_hdr.msg_iov = &udp->in.parts[i];
        udp->in.headers[i].msg_hdr.msg_iovlen = 1;
        udp->in.headers[i].msg_hdr.msg_name = &udp->in.sources[i];
    }
    for (unsigned i = 0; i < UDP_SEND_BATCH; i++) {
        udp->out.headers[i].msg_hdr.msg_iov = &udp->out.parts[i];
        udp->out.headers[i].msg_hdr.msg_iovlen = 1;
        udp->out.headers[i].msg_hdr.msg_name = &udp->out.targets[i];
    }
}

static bool attach(struct udp *udp, struct loop *loop, struct buffer *error)
{
    udp->in.slots = map(SLOTS_SIZE);
    udp->out.arena = map(ARENA_SIZE);
    if (!udp->in.slots || !udp->out.arena ||
        !loop_watch_init(&udp->watch, loop, udp->descriptor, on_ready, udp) ||
        !loop_watch_set(&udp->watch, LOOP_READ)) {
        buffer_append_text(error, "out of memory");
        return false;
    }
    prepare(udp);
    return true;
}

struct udp *udp_new(struct loop *loop, const struct endpoint *address,
                    const struct udp_callbacks *callbacks, struct buffer *error)
{
    struct udp *udp = calloc(1, sizeof *udp);
    if (!udp) {
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    udp->callbacks = *callbacks;
    loop_task_init(&udp->flush, loop, on_turn_end, udp);
    loop_task_init(&udp->more, loop, on_more, udp);
    udp->descriptor = bound_socket_open(SOCK_DGRAM, address, &udp->family, error);
    if (udp->descriptor < 0 || !request_receive_buffer(udp->descriptor, error) ||
        !attach(udp, loop, error)) {
        udp_free(udp);
        return NULL;
    }
    return udp;
}

void udp_free(struct udp *udp)
{
    if (!udp)
        return;
    if (udp->in.active) {
        udp->in.freed = true;
        return;
    }
    if (udp->out.count > 0)
        udp_flush(udp);
    loop_task_cancel(&udp->flush);
    loop_task_cancel(&udp->more);
    loop_watch_fini(&udp->watch);
    if (udp->descriptor >= 0)
        close(udp->descriptor);
    if (udp->in.slots)
        munmap(udp->in.slots, SLOTS_SIZE);
    if (udp->out.arena)
        munmap(udp->out.arena, ARENA_SIZE);
    free(udp);
}

struct endpoint udp_bound(const struct udp *udp)
{
    return bound_socket_endpoint(udp->descriptor);
}

const struct udp_counters *udp_counters(const struct udp *udp)
{
    return &udp->counters;
}

/* --- receiving --- */

static bool read_batch(struct udp *udp)
{
    struct receiver *in = &udp->in;
    for (unsigned i = 0; i < UDP_BATCH; i++)
        in->headers[i].msg_hdr.msg_namelen = sizeof in->sources[i];
    int count;
    do
        count = recvmmsg(udp->descriptor, in->headers, UDP_BATCH, MSG_DONTWAIT, NULL);
    while (count < 0 && errno == EINTR);
    in->next = 0;
    in->count = count > 0 ? (unsigned)count : 0;
    in->emptied = in->count < UDP_BATCH;
    return in->count > 0;
}

static void hand_over(struct udp *udp)
{
    struct receiver *in = &udp->in;
    unsigned i = in->next++;
    size_t size = in->headers[i].msg_len;
    struct endpoint from;
    if (size > USUAL_SIZE)
        in->grown = true;
    if (!socket_address_read(&from, &in->sources[i]))
        return;
    udp->counters.received++;
    udp->callbacks.received(udp->callbacks.context, &from, span_make(in->parts[i].iov_base, size));
}

static void give_pages_back(struct receiver *in)
{
    if (in->grown)
        madvise(in->slots, SLOTS_SIZE, MADV_DONTNEED);
    in->grown = false;
}

bool udp_receive(struct udp *udp)
{
    struct receiver *in = &udp->in;
    assert(!in->active);
    in->active = true;
    uint64_t end = loop_now() + UDP_TURN_NS;
    bool more = true;
    for (unsigned handed = 0; handed < UDP_TURN_DATAGRAMS && !in->freed && loop_now() < end;
         handed++) {
        if (in->next == in->count && ((handed > 0 && in->emptied) || !read_batch(udp))) {
            more = false;
            give_pages_back(in);
            break;
        }
        hand_over(udp);
    }
    in->active = false;
    if (in->freed) {
        udp_free(udp);
        return false;
    }
    /* What waits in the slots is nothing that the kernel would wake us for. */
    if (in->next < in->count)
        loop_defer(&udp->more);
    return more;
}

/* --- sending --- */

static void remember_refusal(struct udp *udp, const struct endpoint *to, int error_number)
{
    udp->counters.refused++;
    if (udp->out.refusal_count < REFUSED_MAX)
        udp->out.refusals[udp->out.refusal_count++] = (struct refusal){*to, error_number};
    loop_finish_turn(&udp->flush);
}

/* Sends from `first` on; returns the index to go on from. */
static unsigned send_some(struct udp *udp, unsigned first)
{
    struct sender *out = &udp->out;
    int sent = sendmmsg(udp->descriptor, out->headers + first, out->count - first,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
        udp->counters.sent += (unsigned)sent;
        return first + (unsigned)sent;
    }
    if (errno == EINTR)
        return first;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
        udp->counters.dropped += out->count - first;
        return out->count;
    }
    remember_refusal(udp, &out->endpoints[first], errno);
    return first + 1;
}

void udp_flush(struct udp *udp)
{
    for (unsigned first = 0; first < udp->out.count;)
        first = send_some(udp, first);
    udp->out.count = 0;
    udp->out.used = 0;
}

void udp_send(struct udp *udp, const struct endpoint *to, struct span datagram)
{
    struct sender *out = &udp->out;
    if (datagram.size > UDP_DATAGRAM_SIZE_MAX) {
        remember_refusal(udp, to, EMSGSIZE);
        return;
    }
    if (out->count == UDP_SEND_BATCH || ARENA_SIZE - out->used < datagram.size)
        udp_flush(udp);
    unsigned i = out->count;
    socklen_t size = socket_address_make(&out->targets[i], udp->family, to);
    if (size == 0) {
        remember_refusal(udp, to, EAFNOSUPPORT);
        return;
    }
    uint8_t *place = out->arena + out->used;
    if (datagram.size > 0)
        memcpy(place, datagram.data, datagram.size);
    out->used += datagram.size;
    out->parts[i] = (struct iovec){place, datagram.size};
    out->headers[i].msg_hdr.msg_namelen = size;
    out->endpoints[i] = *to;
    out->count++;
    loop_finish_turn(&udp->flush);
}

/* A c-ares channel lives while lookups run, and goes when the last has ended: the next one then
 * reads /etc/resolv.conf afresh, which in a container may have changed, and an agent that never
 * resolves a name has never touched c-ares.
 *
 * Two records stand for one lookup. The lookup is ours and ends with the answer or its time limit;
 * the question is c-ares's and ends when c-ares says so, since a single question can't be taken
 * back. Answers always come from the loop, even those that are known at once.
 *
 * The lookup of a service has a lookup for each host that its records name; what those find waits
 * with the records until the last is there, or the time is over. */
#include "resolver.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/time.h>

#include <ares.h>
#include <ares_nameser.h>

#include "socket_text.h"

#define TRY_TIMEOUT_NS UINT64_C(2000000000)
#define TIMEOUT_NS     UINT64_C(10000000000)

enum {
    TRIES = 2,
    TIMED_OUT = -1,
    DATAGRAM_SIZE_MAX = 1232, /* of an answer over UDP: fits a packet on every path (IPv6's 1280) */
};

struct lookup;

struct question {
    struct resolver *resolver; /* NULL: the resolver is being freed */
    struct lookup *lookup;     /* NULL: it ended before */
};

/* A host that a service's record names. */
struct target {
    struct lookup *lookup; /* of its addresses; NULL when it has ended, or not begun */
    int status;            /* of c-ares, or TIMED_OUT */
    uint16_t port, priority;
    uint32_t order; /* random */
    bool left_out;  /* some of its addresses */
    size_t count;
    struct endpoint *endpoints; /* owned */
    char host[HOST_NAME_SIZE_MAX + 1];
};

struct lookup {
    struct lookup *next, **link;
    struct resolver *resolver;
    struct question *question; /* NULL when c-ares has answered */
    struct loop_timer timer;   /* the time limit, then the delivery */
    uint64_t deadline;
    struct lookup *service; /* NULL: somebody else asked for it */
    struct target *target;  /* then: of `service` */
    struct target *targets; /* of a service, owned; NULL as long as they are not known */
    size_t target_count, targets_open;
    bool targets_asked;
    bool answered;
    bool addresses_left_out, targets_left_out;
    int status; /* of c-ares, or TIMED_OUT */
    resolver_done *done;
    void *context;
    size_t count, capacity;
    struct endpoint *endpoints; /* owned */
    uint16_t port;
    char host[HOST_NAME_SIZE_MAX + 1];
};

/* A descriptor of c-ares. */
struct ares_watch {
    struct ares_watch *next;
    struct resolver *resolver;
    struct loop_watch watch;
};

struct resolver {
    struct loop *loop;
    struct resolver_config config;
    struct loop_timer timer; /* c-ares's own timeouts */
    ares_channel channel;    /* NULL while no question runs */
    struct ares_watch *watches;
    struct lookup *lookups;
    size_t lookup_count;
    size_t question_count;
    bool warned; /* that an answer has more than is used */
};

/* --- the channel --- */

static void after_ares(struct resolver *resolver);

static void on_ready(void *context, int ready)
{
    struct ares_watch *watch = context;
    struct resolver *resolver = watch->resolver;
    int descriptor = watch->watch.descriptor;
    ares_process_fd(resolver->channel, ready & LOOP_READ ? descriptor : ARES_SOCKET_BAD,
                    ready & LOOP_WRITE ? descriptor : ARES_SOCKET_BAD);
    after_ares(resolver);
}

static struct ares_watch *watch_new(struct resolver *resolver, int descriptor)
{
    struct ares_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->resolver = resolver;
    if (!loop_watch_init(&watch->watch, resolver->loop, descriptor, on_ready, watch)) {
        free(watch);
        return NULL;
    }
    watch->next = resolver->watches;
    resolver->watches = watch;
    return watch;
}

/* Called by c-ares whenever it wants something else of a socket, and before it closes one. Without
 * memory for a watch the question runs into its timeout. */
static void on_socket_state(void *context, ares_socket_t descriptor, int readable, int writable)
{
    struct resolver *resolver = context;
    struct ares_watch **place = &resolver->watches;
    while (*place && (*place)->watch.descriptor != descriptor)
        place = &(*place)->next;
    struct ares_watch *watch = *place;
    if (readable || writable) {
        if (watch || (watch = watch_new(resolver, descriptor)))
            loop_watch_set(&watch->watch, (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0));
    } else if (watch) {
        *place = watch->next;
        loop_watch_fini(&watch->watch);
        free(watch);
    }
}

/* c-ares counts its users without a lock. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

static int library_init(void)
{
    pthread_mutex_lock(&library_lock);
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    pthread_mutex_unlock(&library_lock);
    return status;
}

static void library_cleanup(void)
{
    pthread_mutex_lock(&library_lock);
    ares_library_cleanup();
    pthread_mutex_unlock(&library_lock);
}

static int channel_open(struct resolver *resolver)
{
    if (resolver->channel)
        return ARES_SUCCESS;
    struct ares_options options = {
        .flags = ARES_FLAG_EDNS,
        .ednspsz = DATAGRAM_SIZE_MAX,
        .timeout = (int)(resolver->config.try_timeout / 1000000),
        .tries = (int)resolver->config.tries,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolver,
    };
    int status = library_init();
    if (status != ARES_SUCCESS)
        return status;
    status = ares_init_options(&resolver->channel, &options,
                               ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS |
                                   ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        library_cleanup();
        resolver->channel = NULL;
        return status;
    }
    if (resolver->config.servers)
        status = ares_set_servers_ports_csv(resolver->channel, resolver->config.servers);
    return status;
}

static void channel_close(struct resolver *resolver)
{
    if (!resolver->channel)
        return;
    ares_destroy(resolver->channel);
    library_cleanup();
    resolver->channel = NULL;
}

/* Never from inside c-ares: destroys the channel when it is idle, else sets its next timeout. */
static void after_ares(struct resolver *resolver)
{
    if (resolver->question_count == 0) {
        loop_timer_cancel(&resolver->timer);
        channel_close(resolver);
        return;
    }
    struct timeval limit = {.tv_sec = 1}, wait = {0};
    struct timeval *next = ares_timeout(resolver->channel, &limit, &wait);
    loop_timer_set(&resolver->timer, loop_now() + (uint64_t)next->tv_sec * 1000000000 +
                                         ((uint64_t)next->tv_usec + 1000) * 1000);
}

static void on_ares_timer(void *context)
{
    struct resolver *resolver = context;
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    after_ares(resolver);
}

/* --- answers --- */

static void lookup_free(struct lookup *lookup)
{
    for (size_t i = 0; i < lookup->target_count; i++) {
        struct target *target = &lookup->targets[i];
        if (target->lookup)
            lookup_free(target->lookup); /* which has no targets of its own */
        free(target->endpoints);
    }
    free(lookup->targets);
    if (lookup->target)
        lookup->target->lookup = NULL;
    *lookup->link = lookup->next;
    if (lookup->next)
        lookup->next->link = lookup->link;
    lookup->resolver->lookup_count--;
    if (lookup->question)
        lookup->question->lookup = NULL;
    loop_timer_fini(&lookup->timer);
    free(lookup->endpoints);
    free(lookup);
}

static const char *status_text(int status)
{
    switch (status) {
    case TIMED_OUT:
    case ARES_ETIMEOUT:
        return "i/o timeout";
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
    case ARES_ENONAME:
    case ARES_SUCCESS:
        return "no such host";
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_EFORMERR:
    case ARES_ENOTIMP:
    case ARES_EBADRESP:
    case ARES_ECONNREFUSED: /* also what is left when every server has failed */
        return "server misbehaving";
    case ARES_ENOMEM:
        return "out of memory";
    default:
        return ares_strerror(status);
    }
}

static void answer(struct lookup *lookup, int status)
{
    if (lookup->answered)
        return;
    lookup->answered = true;
    lookup->status = status;
    loop_timer_set(&lookup->timer, 0);
}

static bool make_room(struct lookup *lookup)
{
    if (lookup->count < lookup->capacity)
        return true;
    if (lookup->count == RESOLVER_ADDRESSES_MAX) {
        lookup->addresses_left_out = true;
        return false;
    }
    size_t capacity = lookup->capacity ? lookup->capacity * 2 : 4;
    struct endpoint *endpoints = realloc(lookup->endpoints, capacity * sizeof *endpoints);
    if (!endpoints)
        return false;
    lookup->endpoints = endpoints;
    lookup->capacity = capacity;
    return true;
}

static void add_endpoint(struct lookup *lookup, const struct endpoint *endpoint)
{
    if (lookup->addresses_left_out)
        return;
    /* A name of /etc/hosts may come twice. */
    for (size_t i = 0; i < lookup->count; i++) {
        if (endpoint_equal(&lookup->endpoints[i], endpoint))
            return;
    }
    if (make_room(lookup))
        lookup->endpoints[lookup->count++] = *endpoint;
}

/* What the hosts of a service have, in the order of the records. */
static void gather(struct lookup *lookup)
{
    for (size_t i = 0; i < lookup->target_count; i++)
        for (size_t k = 0; k < lookup->targets[i].count; k++)
            add_endpoint(lookup, &lookup->targets[i].endpoints[k]);
    for (size_t i = 0; i < lookup->target_count; i++)
        lookup->addresses_left_out |= lookup->targets[i].left_out;
}

/* Why there is no address, or not one of each host that a service has; else nothing. */
static void write_error(const struct lookup *lookup, struct buffer *error)
{
    const struct target *lost = lookup->targets_asked ? lookup->targets : NULL;
    while (lost && lost < lookup->targets + lookup->target_count && lost->count > 0)
        lost++;
    if (lost && lost < lookup->targets + lookup->target_count)
        buffer_printf(error, "lookup %s: %s", lost->host,
                      status_text(lost->lookup ? TIMED_OUT : lost->status));
    else if (lookup->count == 0)
        buffer_printf(error, "lookup %s: %s", lookup->host, status_text(lookup->status));
}

static void warn_of_limits(const struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    struct buffer text;
    if (!resolver->config.warn || resolver->warned ||
        (!lookup->addresses_left_out && !lookup->targets_left_out))
        return;
    buffer_init(&text, 2 * HOST_NAME_SIZE_MAX);
    buffer_printf(&text, "lookup %s: more than %d %s: the rest is left out", lookup->host,
                  lookup->addresses_left_out ? RESOLVER_ADDRESSES_MAX : RESOLVER_TARGETS_MAX,
                  lookup->addresses_left_out ? "addresses" : "services");
    resolver->warned = !text.failed;
    if (resolver->warned)
        resolver->config.warn(resolver->config.warn_context, buffer_text(&text));
    buffer_fini(&text);
}

static void deliver(struct lookup *lookup)
{
    struct buffer error;
    gather(lookup);
    warn_of_limits(lookup);
    resolver_done *done = lookup->done;
    void *context = lookup->context;
    struct endpoint *endpoints = lookup->endpoints;
    size_t count = lookup->count;
    buffer_init(&error, 2 * HOST_NAME_SIZE_MAX);
    write_error(lookup, &error);
    bool failed = count == 0 || error.size > 0;
    lookup->endpoints = NULL;
    lookup_free(lookup);
    done(context, endpoints, count, failed ? buffer_text(&error) : NULL);
    buffer_fini(&error);
    free(endpoints);
}

/* The last one answers for its service. */
static void deliver_target(struct lookup *lookup)
{
    struct lookup *service = lookup->service;
    lookup->target->endpoints = lookup->endpoints;
    lookup->target->count = lookup->count;
    lookup->target->status = lookup->status;
    lookup->target->left_out = lookup->addresses_left_out;
    lookup->endpoints = NULL;
    lookup_free(lookup);
    if (--service->targets_open == 0)
        answer(service, ARES_SUCCESS);
}

/* c-ares has answered. The lookup, if it has not ended before. */
static struct lookup *question_end(struct question *question)
{
    struct lookup *lookup = question->lookup;
    if (question->resolver)
        question->resolver->question_count--;
    free(question);
    if (lookup)
        lookup->question = NULL;
    return lookup;
}

static void on_addresses(void *context, int status, int timeouts, struct ares_addrinfo *result)
{
    struct lookup *lookup = question_end(context);
    (void)timeouts;
    if (lookup) {
        for (struct ares_addrinfo_node *node = result ? result->nodes : NULL; node;
             node = node->ai_next) {
            union socket_address address = {0};
            struct endpoint endpoint;
            if (node->ai_addrlen > sizeof address)
                continue;
            memcpy(&address, node->ai_addr, node->ai_addrlen);
            if (socket_address_read(&endpoint, &address)) {
                endpoint.port = lookup->port;
                add_endpoint(lookup, &endpoint);
            }
        }
        answer(lookup, status == ARES_SUCCESS && lookup->count == 0 ? ARES_ENODATA : status);
    }
    if (result)
        ares_freeaddrinfo(result);
}

static int compare_targets(const void *left, const void *right)
{
    const struct target *a = left, *b = right;
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

/* The records' targets in the order in which they are wanted; false when memory is out. A target
 * that is the root says that there is no such service (RFC 2782). */
static bool read_records(struct lookup *lookup, const struct ares_srv_reply *records)
{
    size_t count = 0, used = 0;
    for (const struct ares_srv_reply *record = records; record; record = record->next)
        count++;
    struct target *targets = calloc(count + 1, sizeof *targets);
    if (!targets)
        return false;
    for (const struct ares_srv_reply *record = records; record; record = record->next) {
        struct target *target = &targets[used];
        size_t size = record->host ? strlen(record->host) : 0;
        if (size == 0 || size > HOST_NAME_SIZE_MAX || strcmp(record->host, ".") == 0)
            continue;
        memcpy(target->host, record->host, size);
        target->priority = record->priority;
        target->port = record->port ? record->port : lookup->port;
        if (getrandom(&target->order, sizeof target->order, 0) != sizeof target->order)
            target->order = (uint32_t)used;
        used++;
    }
    qsort(targets, used, sizeof *targets, compare_targets);
    lookup->targets = targets;
    lookup->target_count = used < RESOLVER_TARGETS_MAX ? used : RESOLVER_TARGETS_MAX;
    lookup->targets_left_out = used > RESOLVER_TARGETS_MAX;
    return true;
}

static void on_records(void *context, int status, int timeouts, unsigned char *message, int size)
{
    struct lookup *lookup = question_end(context);
    struct ares_srv_reply *records = NULL;
    (void)timeouts;
    if (!lookup)
        return;
    if (status == ARES_SUCCESS)
        status = ares_parse_srv_reply(message, size, &records);
    if (status == ARES_SUCCESS && !read_records(lookup, records))
        status = ARES_ENOMEM;
    ares_free_data(records);
    if (status != ARES_SUCCESS || lookup->target_count == 0)
        answer(lookup, status);
    else
        loop_timer_set(&lookup->timer, 0); /* no question is put from inside c-ares */
}

/* --- questions --- */

/* Opens the channel for one more question; NULL when the lookup is answered instead. */
static struct question *question_new(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    int status = channel_open(resolver);
    struct question *question = status == ARES_SUCCESS ? malloc(sizeof *question) : NULL;
    if (!question) {
        answer(lookup, status == ARES_SUCCESS ? ARES_ENOMEM : status);
        after_ares(resolver);
        return NULL;
    }
    *question = (struct question){resolver, lookup};
    lookup->question = question;
    resolver->question_count++;
    return question;
}

static void ask_for_addresses(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    struct question *question = question_new(lookup);
    if (!question)
        return;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(resolver->channel, lookup->host, NULL, &hints, on_addresses, question);
    after_ares(resolver);
}

static void ask_for_records(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    struct question *question = question_new(lookup);
    if (!question)
        return;
    ares_search(resolver->channel, lookup->host, C_IN, T_SRV, on_records, question);
    after_ares(resolver);
}

static void on_lookup_timer(void *context);

static struct lookup *lookup_new(struct resolver *resolver, struct span host, uint16_t port,
                                 resolver_done *done, void *context)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return NULL;
    if (!loop_timer_init(&lookup->timer, resolver->loop, on_lookup_timer, lookup)) {
        free(lookup);
        return NULL;
    }
    lookup->resolver = resolver;
    lookup->port = port;
    lookup->done = done;
    lookup->context = context;
    size_t size = host.size < HOST_NAME_SIZE_MAX ? host.size : HOST_NAME_SIZE_MAX;
    if (size > 0)
        memcpy(lookup->host, host.data, size);
    lookup->next = resolver->lookups;
    lookup->link = &resolver->lookups;
    if (lookup->next)
        lookup->next->link = &lookup->next;
    resolver->lookups = lookup;
    resolver->lookup_count++;
    return lookup;
}

static bool is_name(struct span host)
{
    return host.size > 0 && host.size <= HOST_NAME_SIZE_MAX && !memchr(host.data, 0, host.size);
}

static void start(struct lookup *lookup, uint64_t deadline)
{
    struct endpoint endpoint;
    if (endpoint_from_text(&endpoint, lookup->host, lookup->port)) {
        add_endpoint(lookup, &endpoint);
        answer(lookup, lookup->count ? ARES_SUCCESS : ARES_ENOMEM);
    } else if (lookup->resolver->lookup_count > RESOLVER_LOOKUPS_MAX) {
        answer(lookup, ARES_ENOMEM);
    } else {
        lookup->deadline = deadline;
        loop_timer_set(&lookup->timer, deadline);
        ask_for_addresses(lookup);
    }
}

static void start_target(struct lookup *service, struct target *target)
{
    struct lookup *lookup =
        lookup_new(service->resolver, span_text(target->host), target->port, NULL, NULL);
    if (!lookup) {
        target->status = ARES_ENOMEM;
        return;
    }
    lookup->service = service;
    lookup->target = target;
    target->lookup = lookup;
    service->targets_open++;
    start(lookup, service->deadline);
}

static void start_targets(struct lookup *service)
{
    service->targets_asked = true;
    loop_timer_set(&service->timer, service->deadline);
    for (size_t i = 0; i < service->target_count; i++)
        start_target(service, &service->targets[i]);
    if (service->targets_open == 0)
        answer(service, ARES_ENOMEM);
}

static void on_lookup_timer(void *context)
{
    struct lookup *lookup = context;
    if (lookup->target_count > 0 && !lookup->targets_asked) {
        start_targets(lookup);
        return;
    }
    if (!lookup->answered) {
        lookup->answered = true;
        lookup->status = TIMED_OUT;
    }
    if (lookup->service)
        deliver_target(lookup);
    else
        deliver(lookup);
}

bool resolver_lookup(struct resolver *resolver, struct span host, uint16_t port,
                     resolver_done *done, void *context)
{
    struct lookup *lookup = lookup_new(resolver, host, port, done, context);
    if (!lookup)
        return false;
    if (is_name(host))
        start(lookup, loop_now() + resolver->config.timeout);
    else
        answer(lookup, ARES_ENOTFOUND);
    return true;
}

bool resolver_lookup_service(struct resolver *resolver, struct span name, uint16_t port,
                             resolver_done *done, void *context)
{
    struct lookup *lookup = lookup_new(resolver, name, port, done, context);
    if (!lookup)
        return false;
    if (!is_name(name)) {
        answer(lookup, ARES_ENOTFOUND);
    } else if (resolver->lookup_count > RESOLVER_LOOKUPS_MAX) {
        answer(lookup, ARES_ENOMEM);
    } else {
        lookup->deadline = loop_now() + resolver->config.timeout;
        loop_timer_set(&lookup->timer, lookup->deadline);
        ask_for_records(lookup);
    }
    return true;
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_config *config)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver)
        return NULL;
    resolver->loop = loop;
    if (config)
        resolver->config = *config;
    if (resolver->config.try_timeout == 0)
        resolver->config.try_timeout = TRY_TIMEOUT_NS;
    if (resolver->config.tries == 0)
        resolver->config.tries = TRIES;
    if (resolver->config.timeout == 0)
        resolver->config.timeout = TIMEOUT_NS;
    if (!loop_timer_init(&resolver->timer, loop, on_ares_timer, resolver)) {
        free(resolver);
        return NULL;
    }
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    while (resolver->lookups)
        lookup_free(resolver->lookups);
    channel_close(resolver);
    assert(resolver->question_count == 0 && !resolver->watches);
    loop_timer_fini(&resolver->timer);
    free(resolver);
}

/* --- waiting --- */

struct waiting {
    bool finished;
    struct endpoint *endpoints;
    size_t count, max;
    struct buffer *error;
};

static void on_waited(void *context, const struct endpoint *endpoints, size_t count,
                      const char *error)
{
    struct waiting *waiting = context;
    waiting->finished = true;
    waiting->count = count < waiting->max ? count : waiting->max;
    for (size_t i = 0; i < waiting->count; i++)
        waiting->endpoints[i] = endpoints[i];
    if (error)
        buffer_append_text(waiting->error, error);
}

size_t resolve_now(const struct resolver_config *config, const char *host, uint16_t port,
                   struct endpoint *endpoints, size_t max, struct buffer *error)
{
    struct waiting waiting = {.endpoints = endpoints, .max = max, .error = error};
    struct loop *loop = loop_new();
    struct resolver *resolver = loop ? resolver_new(loop, config) : NULL;
    if (resolver && resolver_lookup(resolver, span_text(host), port, on_waited, &waiting)) {
        while (!waiting.finished)
            loop_turn(loop, true);
    } else {
        buffer_printf(error, "lookup %s: out of memory", host);
    }
    resolver_free(resolver);
    loop_free(loop);
    return waiting.count;
}

/* One socket, one command at a time. Answers may be as long as a cluster's list of members: the
 * scanner looks at each byte once, however the bytes arrive. */
#include "rpc_client.h"

#include "loop.h"
#include "resolver.h"
#include "rpc_address.h"
#include "rpc_scanner.h"
#include "socket_text.h"
#include "unix_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define BUFFER_ONLY 1 /* a deadline: nothing is read, nothing waited for */

enum {
    DIAL_ADDRESSES_MAX = 8, /* of one name */
    DIAL_AGAIN_MS = 20,
    READ_SIZE = 64 * 1024,
};

struct rpc_client {
    int descriptor;
    const char *address; /* borrowed: for messages */
    uint64_t seq;
    struct buffer input; /* from the object being read on */
    size_t consumed;     /* bytes at the front of `input` that were handed out */
    bool scanning;       /* a part of an object has come, `scanner` knows how much */
    struct rpc_scanner scanner;
    bool record_due; /* a record's header has come, and its body not yet */
    uint64_t record_seq;
    enum rpc_client_failure failure;
    uint64_t patience; /* of the call under way, for messages */
    rpc_client_record *record;
    void *record_context;
};

/* --- connecting --- */

/* Waits for the descriptor; 0 or an errno, ETIME at the deadline. */
static int wait_for(int descriptor, short events, uint64_t deadline)
{
    for (;;) {
        int patience = -1;
        if (deadline != RPC_WAIT) {
            uint64_t now = loop_now();
            uint64_t left = now < deadline ? (deadline - now) / 1000000 + 1 : 0;
            patience = left > 60000 ? 60000 : (int)left;
        }
        struct pollfd entry = {descriptor, events, 0};
        int count = poll(&entry, 1, patience);
        if (count > 0)
            return 0;
        if (count < 0 && errno != EINTR)
            return errno;
        if (deadline != RPC_WAIT && loop_now() >= deadline)
            return ETIME;
    }
}

/* A connected, non-blocking socket, or -1 with the reason in `error`, which names `shown`. */
static int dial_endpoint(const struct endpoint *endpoint, const struct endpoint *shown,
                         uint64_t deadline, struct buffer *error)
{
    union socket_address address;
    int family = endpoint->address_size == 16 ? AF_INET6 : AF_INET;
    socklen_t size = socket_address_make(&address, family, endpoint);
    const char *step = "socket";
    int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failure = descriptor < 0 ? errno : 0;
    if (descriptor >= 0) {
        step = "connect";
        failure = connect(descriptor, &address.any, size) == 0 ? 0 : errno;
        if (failure == EINPROGRESS)
            failure = wait_for(descriptor, POLLOUT, deadline);
        socklen_t length = sizeof failure;
        if (failure == 0)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length);
    }
    if (failure == 0)
        return descriptor;
    dial_error_text(error, "tcp", shown, step, failure);
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

/* The first address that answers; the first failure is the one that is told. `local`: no
 * host was named, and none is shown. */
static int dial_first(const struct endpoint *endpoints, size_t count, bool local,
                      struct buffer *error)
{
    uint64_t deadline = loop_now() + RPC_CONNECT_TIMEOUT_NS;
    struct buffer other;
    buffer_init(&other, 1024);
    int descriptor = -1;
    for (size_t i = 0; descriptor < 0 && i < count; i++) {
        const struct endpoint anywhere = {.port = endpoints[i].port};
        descriptor = dial_endpoint(&endpoints[i], local ? &anywhere : &endpoints[i], deadline,
                                   i == 0 ? error : &other);
    }
    buffer_fini(&other);
    return descriptor;
}

/* No host means this one. */
static size_t local_endpoints(uint16_t port, struct endpoint *endpoints)
{
    endpoint_from_text(&endpoints[0], "127.0.0.1", port);
    endpoint_from_text(&endpoints[1], "::1", port);
    return 2;
}

static int dial_tcp(const struct rpc_address *address, struct buffer *error)
{
    struct endpoint endpoints[DIAL_ADDRESSES_MAX];
    bool local = address->host[0] == '\0';
    struct buffer reason;
    buffer_init(&reason, 1024);
    size_t count = local ? local_endpoints(address->port, endpoints)
                         : resolve_now(NULL, address->host, address->port, endpoints,
                                       DIAL_ADDRESSES_MAX, &reason);
    int descriptor = -1;
    if (count > 0)
        descriptor = dial_first(endpoints, count, local, error);
    else
        buffer_printf(error, "dial tcp: %s", buffer_text(&reason));
    buffer_fini(&reason);
    return descriptor;
}

/* An agent that is slow to accept has a full queue: there is no telling when it has room again. */
static int dial_unix(const char *path, struct buffer *error)
{
    uint64_t deadline = loop_now() + RPC_CONNECT_TIMEOUT_NS;
    int descriptor;
    while ((descriptor = unix_socket_connect(path)) < 0 && errno == EAGAIN && loop_now() < deadline)
        poll(NULL, 0, DIAL_AGAIN_MS);
    if (descriptor >= 0)
        return descriptor;
    int reason = errno;
    buffer_printf(error, "dial unix %s: connect: %s", path, system_error_text(reason));
    if (reason == ENOENT || reason == ECONNREFUSED)
        buffer_append_text(error, "; no agent listens there");
    return -1;
}

static int dial(const char *text, struct buffer *error)
{
    struct rpc_address address;
    struct buffer reason;
    buffer_init(&reason, 1024);
    bool parsed = rpc_address_parse(&address, text, &reason);
    if (!parsed)
        buffer_printf(error, "dial %s: %s", address.kind == RPC_OVER_UNIX ? "unix" : "tcp",
                      buffer_text(&reason));
    buffer_fini(&reason);
    if (!parsed)
        return -1;
    switch (address.kind) {
    case RPC_OVER_TCP:
        return dial_tcp(&address, error);
    case RPC_OVER_UNIX:
        return dial_unix(address.path, error);
    case RPC_NOWHERE:
        break;
    }
    buffer_append_text(error, "'none' is no address: an agent with it listens nowhere");
    return -1;
}

/* --- bytes --- */

static bool send_all(struct rpc_client *client, struct span bytes, struct buffer *error)
{
    uint64_t deadline = loop_now() + RPC_WRITE_DEADLINE_NS;
    while (bytes.size > 0) {
        ssize_t sent = send(client->descriptor, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes = span_from(bytes, (size_t)sent);
            continue;
        }
        int failure = errno == EAGAIN ? wait_for(client->descriptor, POLLOUT, deadline) : errno;
        if (failure == 0 || failure == EINTR)
            continue;
        if (failure == ETIME)
            buffer_printf(error, "the agent at %s takes no more bytes", client->address);
        else
            buffer_append_text(error, "client closed");
        client->failure = RPC_CLIENT_LOST;
        return false;
    }
    return true;
}

/* Reads more into `input`. 0, an errno, ETIME, or EPIPE when the agent sends no more. */
static int receive(struct rpc_client *client, uint64_t deadline)
{
    size_t size = client->input.size;
    uint8_t *place = buffer_extend(&client->input, READ_SIZE);
    if (!place)
        return ENOMEM;
    ssize_t received;
    int failure = 0;
    do {
        received = recv(client->descriptor, place, READ_SIZE, 0);
        failure = received < 0 ? errno : 0;
        if (failure == EAGAIN)
            failure = wait_for(client->descriptor, POLLIN, deadline);
        else if (failure == EINTR)
            failure = 0;
    } while (received < 0 && failure == 0);
    buffer_truncate(&client->input, size + (received > 0 ? (size_t)received : 0));
    return received == 0 ? EPIPE : failure;
}

/* --- objects --- */

/* Waits for one whole object, which stays in `input`. What has come of it before the deadline is
 * kept, and gone on with by the next call. 0, or what receive() says, or EPROTO. */
static int scan_object(struct rpc_client *client, uint64_t deadline, struct span *object)
{
    struct rpc_scanner *scanner = &client->scanner;
    if (!client->scanning)
        rpc_scanner_init(scanner, RPC_ANSWER_SIZE_MAX, RPC_ANSWER_SIZE_MAX);
    client->scanning = true;
    int failure = 0;
    while (failure == 0) {
        struct span input = span_from(buffer_span(&client->input), client->consumed);
        enum msgpack_status status = rpc_scan(scanner, input);
        if (status == MSGPACK_OK) {
            *object = span_make(input.data, scanner->offset);
            client->consumed += scanner->offset;
            client->scanning = false;
            return 0;
        }
        failure = status != MSGPACK_SHORT   ? EPROTO
                  : deadline == BUFFER_ONLY ? ETIME
                                            : receive(client, deadline);
    }
    return failure;
}

static bool read_object(struct rpc_client *client, uint64_t deadline, const char *when_closed,
                        struct span *object, struct buffer *error)
{
    int failure = scan_object(client, deadline, object);
    if (failure == 0)
        return true;
    client->failure = failure == ETIME ? RPC_CLIENT_TIMED_OUT : RPC_CLIENT_LOST;
    if (failure == ETIME)
        buffer_printf(error, "no answer from %s within %g s", client->address,
                      (double)client->patience / 1e9);
    else if (failure == ENOMEM)
        buffer_append_text(error, "out of memory, or an answer of more than 256 MiB");
    else
        buffer_append_text(error, when_closed);
    return false;
}

static bool read_header(struct rpc_client *client, uint64_t deadline,
                        struct rpc_response_header *header, struct buffer *error)
{
    struct span object;
    buffer_consume(&client->input, client->consumed);
    client->consumed = 0;
    if (!read_object(client, deadline, "client closed", &object, error))
        return false;
    struct msgpack_reader reader = msgpack_reader_of(object);
    if (msgpack_read_structure(&reader, &rpc_response_header_structure, header) == MSGPACK_OK)
        return true;
    client->failure = RPC_CLIENT_LOST;
    buffer_append_text(error, "client closed");
    return false;
}

/* A record belongs to a stream: its header is followed by a body in any case. */
static bool read_record(struct rpc_client *client, uint64_t deadline, struct buffer *error)
{
    struct rpc_response_header header;
    struct span body;
    if (!client->record_due) {
        if (!read_header(client, deadline, &header, error))
            return false;
        client->record_due = true;
        client->record_seq = header.seq;
    }
    if (!read_object(client, deadline, "EOF", &body, error))
        return false;
    client->record_due = false;
    if (client->record)
        client->record(client->record_context, client->record_seq, body);
    return true;
}

/* --- calls --- */

static bool has_answer(enum rpc_command command)
{
    return command == RPC_STATS || rpc_commands[command].response;
}

static bool send_request(struct rpc_client *client, enum rpc_command command, const void *body,
                         struct buffer *error)
{
    const struct rpc_command_info *info = &rpc_commands[command];
    const struct rpc_request_header header = {span_text(info->name), ++client->seq};
    struct buffer out;
    buffer_init(&out, RPC_REQUEST_SIZE_MAX);
    msgpack_write_structure(&out, &rpc_request_header_structure, MSGPACK_RPC, &header);
    if (info->request)
        msgpack_write_structure(&out, info->request, MSGPACK_RPC, body);
    bool sent = !out.failed;
    client->failure = sent ? RPC_CLIENT_GOOD : RPC_CLIENT_TOO_LARGE;
    if (sent)
        sent = send_all(client, buffer_span(&out), error);
    else
        buffer_append_text(error, "the request is larger than the limit of 1 MiB");
    buffer_fini(&out);
    return sent;
}

/* The body, which comes with an error too, except where the agent wants a token first. An agent
 * that closes after its error instead has said what there was to say. */
static bool read_answer(struct rpc_client *client, enum rpc_command command,
                        const struct rpc_response_header *header, uint64_t deadline,
                        struct span *answer, struct buffer *error)
{
    bool refused = header->error.size > 0;
    if (refused)
        client->failure = RPC_CLIENT_REFUSED;
    buffer_append_span(error, header->error);
    if (!has_answer(command) || span_equal_text(header->error, "Authentication required"))
        return !refused;
    struct buffer reason;
    buffer_init(&reason, 1024);
    bool read = read_object(client, deadline, "EOF", answer, &reason);
    if (!refused)
        buffer_append_span(error, buffer_span(&reason));
    buffer_fini(&reason);
    if (refused)
        client->failure = RPC_CLIENT_REFUSED;
    return read && !refused;
}

bool rpc_client_call(struct rpc_client *client, enum rpc_command command, const void *body,
                     uint64_t timeout, struct span *answer, struct buffer *error)
{
    *answer = SPAN_EMPTY;
    if (!send_request(client, command, body, error))
        return false;
    uint64_t deadline = timeout == RPC_WAIT ? RPC_WAIT : loop_now() + timeout;
    struct rpc_response_header header;
    client->patience = timeout;
    for (;;) {
        if (client->record_due && !read_record(client, deadline, error))
            return false;
        if (!read_header(client, deadline, &header, error))
            return false;
        if (header.seq == client->seq)
            return read_answer(client, command, &header, deadline, answer, error);
        client->record_due = true;
        client->record_seq = header.seq;
    }
}

bool rpc_client_next(struct rpc_client *client, uint64_t deadline, struct buffer *error)
{
    uint64_t now = loop_now();
    client->patience = deadline > now ? deadline - now : 0;
    return read_record(client, deadline, error);
}

bool rpc_client_take(struct rpc_client *client, bool read, struct buffer *error)
{
    return read_record(client, read ? 0 : BUFFER_ONLY, error);
}

enum rpc_client_failure rpc_client_failure(const struct rpc_client *client)
{
    return client->failure;
}

int rpc_client_descriptor(const struct rpc_client *client)
{
    return client->descriptor;
}

void rpc_client_listen(struct rpc_client *client)
{
    struct buffer error;
    buffer_init(&error, 1024);
    while (rpc_client_next(client, RPC_WAIT, &error))
        ;
    buffer_fini(&error);
}

void rpc_client_on_record(struct rpc_client *client, rpc_client_record *callback, void *context)
{
    client->record = callback;
    client->record_context = context;
}

uint64_t rpc_client_seq(const struct rpc_client *client)
{
    return client->seq;
}

/* --- life --- */

static bool introduce(struct rpc_client *client, const char *auth_key, struct buffer *error)
{
    const struct rpc_handshake handshake = {RPC_VERSION};
    const struct rpc_auth auth = {span_text(auth_key)};
    struct span answer;
    return rpc_client_call(client, RPC_HANDSHAKE, &handshake, RPC_ANSWER_TIMEOUT_NS, &answer,
                           error) &&
           (*auth_key == '\0' ||
            rpc_client_call(client, RPC_AUTH, &auth, RPC_ANSWER_TIMEOUT_NS, &answer, error));
}

struct rpc_client *rpc_client_open(const char *address, const char *auth_key, struct buffer *error)
{
    int descriptor = dial(address, error);
    if (descriptor < 0)
        return NULL;
    struct rpc_client *client = calloc(1, sizeof *client);
    if (!client) {
        close(descriptor);
        buffer_append_text(error, "out of memory");
        return NULL;
    }
    client->descriptor = descriptor;
    client->address = address;
    buffer_init(&client->input, (size_t)RPC_ANSWER_SIZE_MAX + READ_SIZE);
    if (introduce(client, auth_key, error))
        return client;
    rpc_client_free(client);
    return NULL;
}

void rpc_client_free(struct rpc_client *client)
{
    if (!client)
        return;
    close(client->descriptor);
    buffer_fini(&client->input);
    free(client);
}

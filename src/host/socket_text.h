/* Addresses for the kernel, and errors of the network in the words that the reference's users know
 * (those of Go's net package, as the specifications quote them). */
#ifndef HOST_SOCKET_TEXT_H
#define HOST_SOCKET_TEXT_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "buffer.h"
#include "endpoint.h"

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* For a socket of this family: an IPv4 endpoint becomes IPv4-mapped on AF_INET6. Returns the
 * length, or 0 when the endpoint can't be written in that family. */
socklen_t socket_address_make(union socket_address *address, int family,
                              const struct endpoint *endpoint);

/* An IPv4-mapped address becomes an IPv4 endpoint. False for other families. */
bool socket_address_read(struct endpoint *endpoint, const union socket_address *address);

/* 0.0.0.0 or ::, or no address at all. */
bool endpoint_is_any(const struct endpoint *endpoint);

/* "connection refused" for ECONNREFUSED; never NULL. Valid until the next call. */
const char *system_error_text(int error_number);

/* Each returns `error` as text, cut at its maximum:
 *   listen_error_text  "listen tcp 127.0.0.1:7373: bind: address already in use"
 *   dial_error_text    "dial tcp 127.0.0.77:7946: connect: connection refused"; ETIME stands for
 *                      our own deadline: "dial tcp 10.0.0.1:7946: i/o timeout"
 *   stream_error_text  "read tcp LOCAL->REMOTE: read: connection reset by peer"; ETIME:
 *                      "read tcp LOCAL->REMOTE: i/o timeout"
 * `step` is the system call's name; an endpoint without an address prints as ":port". */
void listen_error_text(struct buffer *error, const char *network, const struct endpoint *address,
                       const char *step, int error_number);
void dial_error_text(struct buffer *error, const char *network, const struct endpoint *remote,
                     const char *step, int error_number);
void stream_error_text(struct buffer *error, const char *operation, const struct endpoint *local,
                       const struct endpoint *remote, int error_number);

#endif

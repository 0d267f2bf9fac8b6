/* The client's side of one TLS connection (1.2 or newer), from bytes to bytes: whoever has the
 * socket hands over what came and sends what is to go. The server must prove its name or address by
 * a chain of certificates that ends in one of those given here, and in no other. */
#ifndef KUBE_TLS_CLIENT_H
#define KUBE_TLS_CLIENT_H

#include "buffer.h"

struct tls_client;

/* `authorities`: certificates in PEM, one or more. `host`: a name, or an address without brackets.
 * NULL with the reason in `error`. */
struct tls_client *tls_client_new(struct span authorities, const char *host, struct buffer *error);
void tls_client_free(struct tls_client *client); /* NULL is ignored */

enum tls_progress {
    TLS_GOING,
    TLS_ENDED, /* the peer said that it sends no more */
    TLS_FAILED,
};

/* Goes on with the handshake, then sends and receives; called first to begin. `received` is what
 * the socket brought, perhaps nothing. Appends to `plain` what was decrypted, as long as it takes
 * more, and to `outgoing` what the socket is to send, in case of failure too (an alert). */
enum tls_progress tls_client_step(struct tls_client *client, struct span received,
                                  struct buffer *plain, struct buffer *outgoing,
                                  struct buffer *error);

/* The server has proved itself, and tls_client_write may be called. */
bool tls_client_is_open(const struct tls_client *client);

/* Encrypts all of it, for the next step to send; false with the reason in `error`. */
bool tls_client_write(struct tls_client *client, struct span bytes, struct buffer *error);

/* Says that nothing more will be sent; appends to `outgoing`. */
void tls_client_end(struct tls_client *client, struct buffer *outgoing);

#endif

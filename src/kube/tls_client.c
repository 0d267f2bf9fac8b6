/* OpenSSL between two memory buffers, so that the socket stays the loop's, with its errors in the
 * words that users know, and nothing here ever waits. OpenSSL's own configuration file is not read:
 * what it may load does not exist in a static program. */
#include "tls_client.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "endpoint.h"

enum { RECORD_SIZE = 16 * 1024 };

struct tls_client {
    SSL_CTX *context; /* owned */
    SSL *ssl;         /* owned, with the two below */
    BIO *incoming, *outgoing;
};

/* --- life --- */

static const char out_of_memory[] = "out of memory";

/* The reason of OpenSSL's oldest error, and forgets them all. Memory that was missing at any step
 * is the reason for all: a key that could not be read looks too weak, an issuer unknown. */
static const char *library_reason(const char *otherwise)
{
    const char *reason = NULL;
    unsigned long code;
    while ((code = ERR_get_error()))
        if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
            reason = out_of_memory;
        else if (!reason)
            reason = ERR_reason_error_string(code);
    return reason ? reason : otherwise;
}

/* How many certificates were added; -1 for one that can't be read. */
static int add_authorities(X509_STORE *store, BIO *pem)
{
    int count = 0;
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
        bool added = X509_STORE_add_cert(store, certificate) == 1;
        X509_free(certificate);
        if (!added)
            return -1;
        count++;
    }
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (at_end)
        ERR_clear_error();
    return at_end ? count : -1;
}

/* A certificate that is trusted ends a chain, also where an authority above it has signed it: so
 * does every other client of Kubernetes. */
static bool trust(struct tls_client *client, struct span authorities, struct buffer *error)
{
    X509_STORE *store = SSL_CTX_get_cert_store(client->context);
    BIO *pem = authorities.size <= INT_MAX
                   ? BIO_new_mem_buf(authorities.data ? authorities.data : (const uint8_t *)"",
                                     (int)authorities.size)
                   : NULL;
    int count = pem ? add_authorities(store, pem) : -1;
    BIO_free(pem);
    if (count > 0)
        return X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
    buffer_printf(error, "the certificates can't be read: %s",
                  count == 0 ? "there is none" : library_reason(out_of_memory));
    return false;
}

static bool expect_host(struct tls_client *client, const char *host)
{
    struct endpoint address;
    if (endpoint_from_text(&address, host, 0))
        return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(client->ssl), address.address,
                                         address.address_size) == 1;
    SSL_set_hostflags(client->ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(client->ssl, host) == 1 && SSL_set_tlsext_host_name(client->ssl, host);
}

static bool prepare(struct tls_client *client, const char *host)
{
    client->ssl = SSL_new(client->context);
    client->incoming = BIO_new(BIO_s_mem());
    client->outgoing = BIO_new(BIO_s_mem());
    if (!client->ssl || !client->incoming || !client->outgoing) {
        BIO_free(client->incoming);
        BIO_free(client->outgoing);
        return false;
    }
    BIO_set_mem_eof_return(client->incoming, -1); /* empty is not ended */
    SSL_set_bio(client->ssl, client->incoming, client->outgoing);
    SSL_set_connect_state(client->ssl);
    return expect_host(client, host);
}

struct tls_client *tls_client_new(struct span authorities, const char *host, struct buffer *error)
{
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    ERR_clear_error();
    struct tls_client *client = calloc(1, sizeof *client);
    if (client)
        client->context = SSL_CTX_new(TLS_client_method());
    if (client && client->context) {
        SSL_CTX_set_min_proto_version(client->context, TLS1_2_VERSION);
        SSL_CTX_set_options(client->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_session_cache_mode(client->context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
        if (!trust(client, authorities, error)) {
            tls_client_free(client);
            return NULL;
        }
        if (prepare(client, host))
            return client;
    }
    buffer_append_text(error, library_reason(out_of_memory));
    tls_client_free(client);
    return NULL;
}

void tls_client_free(struct tls_client *client)
{
    if (!client)
        return;
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    ERR_clear_error();
    free(client);
}

/* --- bytes --- */

static bool move_outgoing(struct tls_client *client, struct buffer *outgoing)
{
    size_t pending = BIO_ctrl_pending(client->outgoing), read = 0;
    uint8_t *to = pending ? buffer_extend(outgoing, pending) : NULL;
    if (pending == 0)
        return true;
    return to && BIO_read_ex(client->outgoing, to, pending, &read) && read == pending;
}

static enum tls_progress judge(struct tls_client *client, int result, struct buffer *error)
{
    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TLS_GOING;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_ENDED;
    default:
        break;
    }
    long verdict = SSL_get_verify_result(client->ssl);
    const char *reason = library_reason("the connection broke");
    if (verdict != X509_V_OK && reason != out_of_memory)
        buffer_printf(error, "tls: failed to verify the server's certificate: %s",
                      X509_verify_cert_error_string(verdict));
    else
        buffer_printf(error, "tls: %s", reason);
    return TLS_FAILED;
}

static enum tls_progress advance(struct tls_client *client, struct buffer *plain,
                                 struct buffer *error)
{
    ERR_clear_error();
    if (!SSL_is_init_finished(client->ssl)) {
        int result = SSL_do_handshake(client->ssl);
        if (result != 1)
            return judge(client, result, error);
    }
    for (;;) {
        size_t room = plain->maximum - plain->size, read = 0;
        room = room < RECORD_SIZE ? room : RECORD_SIZE;
        uint8_t *to = room ? buffer_extend(plain, room) : NULL;
        if (!to) {
            buffer_append_text(error, room ? "out of memory" : "more came than was expected");
            return TLS_FAILED;
        }
        int result = SSL_read_ex(client->ssl, to, room, &read);
        buffer_truncate(plain, plain->size - room + read);
        if (result != 1)
            return judge(client, result, error);
    }
}

enum tls_progress tls_client_step(struct tls_client *client, struct span received,
                                  struct buffer *plain, struct buffer *outgoing,
                                  struct buffer *error)
{
    size_t written = 0;
    if (received.size > 0 &&
        (!BIO_write_ex(client->incoming, received.data, received.size, &written) ||
         written != received.size)) {
        buffer_append_text(error, library_reason(out_of_memory));
        return TLS_FAILED;
    }
    enum tls_progress progress = advance(client, plain, error);
    if (!move_outgoing(client, outgoing) && progress != TLS_FAILED) {
        buffer_append_text(error, out_of_memory);
        return TLS_FAILED;
    }
    return progress;
}

bool tls_client_is_open(const struct tls_client *client)
{
    return SSL_is_init_finished(client->ssl);
}

bool tls_client_write(struct tls_client *client, struct span bytes, struct buffer *error)
{
    size_t written = 0;
    ERR_clear_error();
    if (SSL_write_ex(client->ssl, bytes.data, bytes.size, &written) == 1 && written == bytes.size)
        return true;
    buffer_printf(error, "tls: %s", library_reason("the connection broke"));
    return false;
}

void tls_client_end(struct tls_client *client, struct buffer *outgoing)
{
    ERR_clear_error();
    if (SSL_is_init_finished(client->ssl))
        SSL_shutdown(client->ssl);
    ERR_clear_error();
    move_outgoing(client, outgoing);
}

/* A TLS server at 127.0.0.1 on a thread of its own, with a service account that fits it. It answers
 * one connection after the other with what the test wants. */
#ifndef TESTS_API_FIXTURE_H
#define TESTS_API_FIXTURE_H

#include "../host/loop_fixture.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "buffer.h"

enum { REQUEST_SIZE_MAX = 64 * 1024 };

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

struct api_server {
    struct authority authority, stranger;
    SSL_CTX *context; /* replaced between requests only */
    int listener;
    uint16_t port;
    pthread_t thread;
    char url[64];
    char folder[64];
    atomic_uint requests; /* that were answered, or would have been */
    char request[REQUEST_SIZE_MAX];
    /* What it does: writes `answer`, the numbered ones first, or nothing at all. */
    const char *answer, *answers[8];
    bool hang, cut; /* cut: closes without TLS's goodbye */
};

static inline struct authority authority_new(void)
{
    struct authority authority = {EVP_EC_gen("P-256"), X509_new()};
    X509 *certificate = authority.certificate;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, authority.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"authority", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(certificate, authority.key, EVP_sha256()) > 0);
    return authority;
}

static inline void authority_free(struct authority *authority)
{
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
}

/* `names` as OpenSSL writes them: "IP:127.0.0.1,DNS:localhost". */
static inline void api_use_certificate(struct api_server *server, const struct authority *authority,
                                       const char *names)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"127.0.0.1", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate));
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
    SSL_CTX_free(server->context);
    server->context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server->context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server->context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static inline void api_write_file(struct api_server *server, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", server->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static inline void api_trust(struct api_server *server, const struct authority *authority)
{
    char path[128];
    snprintf(path, sizeof path, "%s/ca.crt", server->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    PEM_write_X509(file, authority->certificate);
    fclose(file);
}

/* Up to the end of the head, and of the body where there is a length. */
static inline bool api_read_request(struct api_server *server, SSL *ssl)
{
    size_t size = 0;
    for (;;) {
        int count = SSL_read(ssl, server->request + size, (int)(REQUEST_SIZE_MAX - 1 - size));
        if (count <= 0)
            return false;
        size += (size_t)count;
        server->request[size] = '\0';
        const char *end = strstr(server->request, "\r\n\r\n");
        const char *length = strstr(server->request, "Content-Length: ");
        if (end && (!length || strlen(end + 4) >= strtoul(length + 16, NULL, 10)))
            return true;
    }
}

static inline void api_serve(struct api_server *server, SSL *ssl)
{
    char byte;
    if (SSL_accept(ssl) != 1 || !api_read_request(server, ssl))
        return;
    unsigned number = atomic_fetch_add(&server->requests, 1);
    const char *answer =
        number < 8 && server->answers[number] ? server->answers[number] : server->answer;
    if (server->hang) {
        SSL_read(ssl, &byte, 1);
        return;
    }
    if (*answer)
        SSL_write(ssl, answer, (int)strlen(answer));
    if (server->cut)
        return;
    SSL_shutdown(ssl);
    SSL_read(ssl, &byte, 1); /* until the client has gone: no reset overtakes the answer */
}

static inline void *api_run(void *context)
{
    struct api_server *server = context;
    int descriptor;
    int yes = 1;
    while ((descriptor = accept(server->listener, NULL, NULL)) >= 0) {
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        SSL *ssl = SSL_new(server->context);
        SSL_set_fd(ssl, descriptor);
        api_serve(server, ssl);
        SSL_free(ssl);
        ERR_clear_error();
        close(descriptor);
    }
    return NULL;
}

static inline int api_start(struct api_server *server)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    *server = (struct api_server){.answer = "", .folder = "/tmp/test_kube_XXXXXX"};
    signal(SIGPIPE, SIG_IGN);
    server->authority = authority_new();
    server->stranger = authority_new();
    api_use_certificate(server, &server->authority, "IP:127.0.0.1,DNS:localhost");
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!mkdtemp(server->folder) || bind(server->listener, (struct sockaddr *)&at, size) != 0 ||
        listen(server->listener, 16) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&at, &size) != 0)
        return -1;
    server->port = ntohs(at.sin_port);
    snprintf(server->url, sizeof server->url, "https://127.0.0.1:%u", server->port);
    api_write_file(server, "token", "secret-token\n");
    api_write_file(server, "namespace", "prod");
    api_trust(server, &server->authority);
    return pthread_create(&server->thread, NULL, api_run, server);
}

/* After the clients: a connection that is open holds the thread up. */
static inline void api_stop(struct api_server *server)
{
    const char *names[] = {"token", "namespace", "ca.crt"};
    char path[128];
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", server->folder, names[i]);
        unlink(path);
    }
    rmdir(server->folder);
    SSL_CTX_free(server->context);
    authority_free(&server->authority);
    authority_free(&server->stranger);
}

#endif

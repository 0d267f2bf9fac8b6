/* Questions to the Kubernetes API server, without blocking: one HTTPS connection for each, with the
 * pod's service account.
 *
 * The account's token and the certificates of the authority (`token` and `ca.crt` in its folder)
 * are read anew for every request, since Kubernetes replaces them in a running pod. The server must
 * prove its name or address by a chain that ends in one of those certificates, and in no other,
 * with TLS 1.2 or newer. The token goes to that server only, and into no text for people. Redirects
 * are not followed. Nothing is opened, read or initialised before the first request. */
#ifndef KUBE_KUBE_API_H
#define KUBE_KUBE_API_H

#include "buffer.h"
#include "loop.h"

#define KUBE_ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

enum {
    KUBE_ANSWER_SIZE_MAX = 8 * 1024 * 1024, /* of a body, by default */
    KUBE_REQUESTS_MAX = 64,                 /* under way at once */
    KUBE_PATH_SIZE_MAX = 64 * 1024,
    KUBE_BODY_SIZE_MAX = 4 * 1024 * 1024, /* of a PATCH */
    KUBE_TOKEN_SIZE_MAX = 64 * 1024,
    KUBE_CERTIFICATES_SIZE_MAX = 1024 * 1024,
    KUBE_NAMESPACE_SIZE_MAX = 253,
};

struct kube_config {
    const char *server; /* "https://HOST[:PORT]", HOST perhaps an address, IPv6 in brackets. NULL:
                         * from KUBERNETES_SERVICE_HOST (bare IPv6 too) and KUBERNETES_SERVICE_PORT
                         * (443 when unset), which each request reads anew */
    const char *folder; /* of the service account; NULL: KUBE_ACCOUNT_FOLDER */
    uint64_t timeout;   /* of a request in all, nanoseconds; 0: 10 s */
    size_t answer_size_max; /* a longer body is an error; 0: KUBE_ANSWER_SIZE_MAX */
};

struct kube_api;

enum kube_method {
    KUBE_GET,
    KUBE_PATCH,
};

/* Comes once for every request that was taken, from the loop; it may make new requests and free the
 * client. With an answer, whatever its status: `status` is 100 to 599, `body` is borrowed and may
 * be empty, `error` is NULL. Without one: `status` is 0, and `error` says which server or file and
 * why, "dial tcp 10.96.0.1:443: connect: connection refused". */
typedef void kube_done(void *context, unsigned status, struct span body, const char *error);

/* `config` may be NULL; its strings are borrowed for the client's life. NULL when memory is out. */
struct kube_api *kube_api_new(struct loop *loop, const struct kube_config *config);

/* Requests under way are not called back. NULL is ignored. */
void kube_api_free(struct kube_api *api);

/* `path` begins with a slash and is percent-encoded, its query with it:
 * "/api/v1/namespaces/default/pods?limit=500". `type` and `body` are those of a PATCH
 * ("application/merge-patch+json"), else NULL and empty. All is copied. False when memory is out,
 * KUBE_REQUESTS_MAX are under way, or path or body is beyond its limit: `done` is then never
 * called. */
bool kube_api_request(struct kube_api *api, enum kube_method method, const char *path,
                      const char *type, struct span body, kube_done *done, void *context);

/* The namespace of the service account: the file `namespace` in its folder. `config` may be NULL.
 * False with the reason in `error` ("open PATH: no such file or directory"). Reads at once. */
bool kube_account_namespace(const struct kube_config *config, struct buffer *out,
                            struct buffer *error);

/* What an answer that is no success says, for people: `403 Forbidden: pods is forbidden: User ...`
 * from the `message` of a Status object, or the status alone where the body is none. Cut to the
 * room of `out`, control characters escaped. */
void kube_status_text(unsigned status, struct span body, struct buffer *out);

/* Appends `text` percent-encoded for a path segment or a query value: all but A-Z a-z 0-9 - . _ ~
 */
void kube_append_encoded(struct buffer *out, struct span text);

#endif

#include "secret_store.h"

#include <stdio.h>

enum { REASON_SIZE_MAX = 4096 };

static bool make_path(struct secret_store *store, const char *space, const char *name,
                      struct buffer *error)
{
    struct buffer path, found;
    buffer_init(&path, SECRET_PATH_SIZE_MAX - 1);
    buffer_init(&found, KUBE_NAMESPACE_SIZE_MAX);
    bool good = *space || kube_account_namespace(&store->kube_config, &found, error);
    buffer_append_text(&path, "/api/v1/namespaces/");
    kube_append_encoded(&path, *space ? span_text(space) : buffer_span(&found));
    buffer_append_text(&path, "/secrets/");
    kube_append_encoded(&path, span_text(name));
    if (good && path.failed) {
        buffer_append_text(error, "the names of namespace and Secret are too long");
        good = false;
    }
    snprintf(store->path, sizeof store->path, "%s", buffer_text(&path));
    buffer_fini(&path);
    buffer_fini(&found);
    return good;
}

bool secret_store_init(struct secret_store *store, const char *space, const char *name,
                       const char *entry, const char *folder, struct buffer *error)
{
    *store = (struct secret_store){.entry = entry, .kube_config = {.folder = folder}};
    buffer_init(&store->body, SECRET_SIZE_MAX);
    buffer_init(&store->reason, REASON_SIZE_MAX);
    store->loop = loop_new();
    store->api = store->loop ? kube_api_new(store->loop, &store->kube_config) : NULL;
    if (store->api)
        return make_path(store, space, name, error);
    buffer_append_text(error, "out of memory");
    return false;
}

static void forget_body(struct secret_store *store)
{
    if (store->body.data)
        explicit_bzero(store->body.data, store->body.capacity);
    buffer_reset(&store->body);
}

void secret_store_fini(struct secret_store *store)
{
    forget_body(store);
    kube_api_free(store->api);
    if (store->loop)
        loop_free(store->loop);
    buffer_fini(&store->body);
    buffer_fini(&store->reason);
}

static void on_answer(void *context, unsigned status, struct span body, const char *error)
{
    struct secret_store *store = context;
    store->asked = false;
    store->status = status;
    if (error)
        buffer_append_text(&store->reason, error);
    else if (status != 200)
        kube_status_text(status, body, &store->reason);
    else
        buffer_append_span(&store->body, body);
    loop_stop(store->loop);
}

/* A server that is not there or is busy, a token that was just replaced, somebody else who was
 * faster: that may pass. */
static enum store_result result_of(unsigned status)
{
    if (status == 200)
        return STORE_GOOD;
    return status == 0 || status == 401 || status == 409 || status == 429 || status >= 500
               ? STORE_LATER
               : STORE_NEVER;
}

static enum store_result ask(struct secret_store *store, struct span patch,
                             struct keyring_secret *secret, struct buffer *error)
{
    const char *type = patch.size > 0 ? "application/merge-patch+json" : NULL;
    forget_body(store);
    buffer_reset(&store->reason);
    store->asked = kube_api_request(store->api, type ? KUBE_PATCH : KUBE_GET, store->path, type,
                                    patch, on_answer, store);
    if (!store->asked) {
        store->status = 0;
        buffer_append_text(&store->reason, "out of memory");
    }
    while (store->asked)
        loop_run(store->loop);
    enum store_result result = result_of(store->status);
    if (result == STORE_GOOD &&
        !keyring_secret_read(secret, buffer_span(&store->body), store->entry, &store->reason))
        result = STORE_NEVER;
    if (result != STORE_GOOD)
        buffer_printf(error, "%s the Secret: %s", type ? "changing" : "reading",
                      buffer_text(&store->reason));
    forget_body(store);
    return result;
}

enum store_result secret_store_read(struct secret_store *store, struct keyring_secret *secret,
                                    struct buffer *error)
{
    return ask(store, SPAN_EMPTY, secret, error);
}

enum store_result secret_store_move(struct secret_store *store, struct keyring_secret *secret,
                                    struct span key, enum rotation_place place, int64_t now,
                                    struct buffer *error)
{
    struct keyring_secret changed;
    struct buffer patch;
    enum store_result result = STORE_NEVER;
    buffer_init(&patch, SECRET_SIZE_MAX);
    if (keyring_secret_patch(secret, key, place, now, store->entry, &patch, error))
        result = ask(store, buffer_span(&patch), &changed, error);
    if (result == STORE_GOOD) {
        keyring_secret_fini(secret);
        *secret = changed;
    }
    if (patch.data)
        explicit_bzero(patch.data, patch.capacity);
    buffer_fini(&patch);
    return result;
}

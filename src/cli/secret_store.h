/* The Secret of a cluster's keyring, where it is kept: read and changed at the Kubernetes API
 * server, with the pod's service account. Each call waits for the answer. */
#ifndef CLI_SECRET_STORE_H
#define CLI_SECRET_STORE_H

#include "keyring_secret.h"
#include "kube_api.h"

enum { SECRET_PATH_SIZE_MAX = 2048 };

struct secret_store {
    struct loop *loop;
    struct kube_config kube_config;
    struct kube_api *api;
    char path[SECRET_PATH_SIZE_MAX];
    const char *entry;
    bool asked; /* an answer is awaited */
    unsigned status;
    struct buffer body, reason;
};

/* `space` is the Secret's namespace, "" for that of the account; `entry` the keyring in its data;
 * `folder` that of the account, NULL for the usual one. All borrowed. False with the reason in
 * `error`; secret_store_fini is due in any case. */
bool secret_store_init(struct secret_store *store, const char *space, const char *name,
                       const char *entry, const char *folder, struct buffer *error);
void secret_store_fini(struct secret_store *store);

enum store_result {
    STORE_GOOD,
    STORE_LATER, /* may be different in a while, or when the Secret was read again */
    STORE_NEVER,
};

/* The Secret as it is: to be finished by the caller when the result is STORE_GOOD. */
enum store_result secret_store_read(struct secret_store *store, struct keyring_secret *secret,
                                    struct buffer *error);

/* Moves a key (keyring_secret_patch). With STORE_GOOD, `secret` is what the change made of it; else
 * it is as it was. */
enum store_result secret_store_move(struct secret_store *store, struct keyring_secret *secret,
                                    struct span key, enum rotation_place place, int64_t now,
                                    struct buffer *error);

#endif

/* A Secret with the keyring of a cluster, as the Kubernetes API shows it:
 *
 *   metadata:
 *     resourceVersion: "1234"                            changes with every change
 *     annotations:                                       while the key is being replaced
 *       serf/rotation-key: 1a2b3c4d                      which key is new (key_fingerprint)
 *       serf/rotation-since: 2026-01-31T12:00:00Z        when it came to its place in the list
 *   data:
 *     keyring.json: base64 of a list of base64 keys, the first one primary
 *
 * Changes are JSON merge patches (RFC 7386) with the resourceVersion that was read: the server
 * refuses them when somebody else was faster. */
#ifndef CLI_KEYRING_SECRET_H
#define CLI_KEYRING_SECRET_H

#include "key_rotation.h"
#include "keyring.h"

enum {
    SECRET_VERSION_SIZE_MAX = 128,
    SECRET_SIZE_MAX = 2 * 1024 * 1024, /* Kubernetes keeps 1 MiB of data, here in base64 */
};

struct keyring_secret {
    struct keyring *keys; /* owned; at least one */
    enum rotation_place place;
    size_t new_key; /* where it is in `keys`, unless place is ROTATION_NONE */
    int64_t since;
    char version[SECRET_VERSION_SIZE_MAX];
};

/* `object` is JSON, `entry` the name of the keyring in its data. False with one line in `error`, in
 * which no key is told; there is nothing to finish then. */
bool keyring_secret_read(struct keyring_secret *secret, struct span object, const char *entry,
                         struct buffer *error);
void keyring_secret_fini(struct keyring_secret *secret);

/* Appends the patch that puts a key, which may be new to the Secret, last or first among the
 * others, at the time `now`, or leaves it alone and takes the annotations away (ROTATION_NONE).
 * False when memory is out, the key is no key or there are too many, with the reason in `error`. */
bool keyring_secret_patch(const struct keyring_secret *secret, struct span key,
                          enum rotation_place place, int64_t now, const char *entry,
                          struct buffer *out, struct buffer *error);

#endif

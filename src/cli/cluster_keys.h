/* What the rotation of a key has all members do, by RPC of the agent beside it. Each call connects
 * anew, so that an agent that was started again in between is no matter. */
#ifndef CLI_CLUSTER_KEYS_H
#define CLI_CLUSTER_KEYS_H

#include "client_options.h"
#include "member_list.h"

/* Whether the agent sees another member alive. Alone it has not joined, and knows nothing of those
 * that have the keys. False with the reason in `error`. */
bool cluster_is_joined(const struct client_options *options, struct buffer *error);

/* A step of a rotation on all members that are alive, when the agent has joined them. `*members`
 * becomes their number. False, with who did not and why in `error`; some may have done it. No text
 * tells a key.
 */
bool cluster_keys_install(const struct client_options *options, struct span key, int64_t *members,
                          struct buffer *error);
bool cluster_keys_use(const struct client_options *options, struct span key, int64_t *members,
                      struct buffer *error);
/* All keys but this one, whoever has them. */
bool cluster_keys_remove_others(const struct client_options *options, struct span key,
                                int64_t *members, struct buffer *error);

enum { CLUSTER_NAMES_SIZE_MAX = 64 * 1024 * 1024 };

/* Appends the names of the members that have not left, each with a NUL, and of those that have
 * failed to `failed`, separated by ", ". */
bool cluster_names(const struct client_options *options, struct buffer *names,
                   struct buffer *failed, struct buffer *error);

#endif

/* Where members may be, by asking the API server: what "provider=k8s ..." (kube_provider.h) stands
 * for. What is found is what kube_lists.h says; the asker's own address is among it.
 *
 * A cluster's API server serves everybody, so answers are kept for a while, each with its settings:
 * whoever asks again within KUBE_JOINED_PAUSE_NS of the last list is answered from the last good
 * one. (With several settings in use each waits as many times longer, so that the agent as a whole
 * keeps to one list in that time.) An agent that knows no other member may ask once in
 * KUBE_ALONE_PAUSE_NS. */
#ifndef KUBE_KUBE_DISCOVERY_H
#define KUBE_KUBE_DISCOVERY_H

#include "kube_api.h"
#include "resolver.h"

#define KUBE_JOINED_PAUSE_NS UINT64_C(30000000000)
#define KUBE_ALONE_PAUSE_NS  UINT64_C(1000000000)

enum {
    KUBE_SETTINGS_MAX = 16,    /* different ones that are remembered; the oldest goes first */
    KUBE_DISCOVERIES_MAX = 64, /* that wait for an answer */
    KUBE_PAGE_SIZE = 50,       /* items asked for at once */
    KUBE_PAGES_MAX = 64,       /* of one list */
    KUBE_PAGE_BYTES_MAX = 4 * 1024 * 1024, /* a pod is some 10 KB; read, a page takes five times as
                                            * much, and pods of agents have tight limits */
};

struct kube_discovery;

/* What an operator should know, once for each text of settings: that a list names more than
 * KUBE_ADDRESSES_MAX addresses or has more than KUBE_PAGES_MAX pages, and the rest is left out.
 * Comes from the loop, and may not call back in. */
typedef void kube_warn(void *context, const char *text);

/* `config` as for kube_api_new, but answer_size_max 0: KUBE_PAGE_BYTES_MAX. `warn` may be NULL.
 * NULL when memory is out. */
struct kube_discovery *kube_discovery_new(struct loop *loop, const struct kube_config *config,
                                          kube_warn *warn, void *warn_context);
/* Who still waits is not called back. NULL is ignored. Allowed inside `done`. */
void kube_discovery_free(struct kube_discovery *discovery);

/* `done` comes once, from the loop, as resolver_lookup's does; endpoints that come without a port
 * get `port`. `joined`: other members are known. An empty list is an error, "no pod of the
 * namespace default ...", as is whatever the API server or the settings say. False when memory is
 * out. */
bool kube_discover(struct kube_discovery *discovery, struct span settings, uint16_t port,
                   bool joined, resolver_done *done, void *context);

#endif

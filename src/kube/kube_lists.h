/* Addresses out of the lists of the API server (JSON), without any I/O. */
#ifndef KUBE_KUBE_LISTS_H
#define KUBE_KUBE_LISTS_H

#include "buffer.h"
#include "endpoint.h"

enum {
    KUBE_ADDRESSES_MAX = 1024,         /* the first that the lists name; more are left out */
    KUBE_CONTINUE_SIZE_MAX = 8 * 1024, /* of the mark where the next page begins */
};

/* Each address and port once, in the lists' order. */
struct kube_addresses {
    struct endpoint *endpoints; /* owned; NULL when there is none */
    size_t count, capacity;
    bool left_out; /* there were more than KUBE_ADDRESSES_MAX */
};

void kube_addresses_fini(struct kube_addresses *addresses);

/* Each appends what a page names to `addresses` and the mark of the next page to `more`, which
 * stays empty on the last. False with the reason in `error` when the page is not what it should be,
 * or memory is out.
 *
 * Pods: all their addresses (podIPs, of both families), or those of their nodes (hostIPs) with
 * `host_network`. Pods that are not ready count: a cluster that starts would else wait for itself.
 * Those without an address, those that have ended (phase Succeeded or Failed) and those being
 * deleted do not. The port is 0, or what the annotation consul.hashicorp.com/auto-join-port says: a
 * number, or the name of a container's port (its hostPort with `host_network`).
 *
 * Slices (discovery.k8s.io/v1): the endpoints' addresses, ready or not, but for those that are
 * terminating; slices of names (addressType FQDN) are passed over. The port is 0. */
bool kube_read_pods(struct span page, bool host_network, struct kube_addresses *addresses,
                    struct buffer *more, struct buffer *error);
bool kube_read_slices(struct span page, struct kube_addresses *addresses, struct buffer *more,
                      struct buffer *error);

#endif

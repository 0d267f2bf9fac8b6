/* What a join address says that begins with "provider=": settings in the syntax of go-discover, the
 * library that the reference's relatives use. `key=value` separated by blanks; a value with blanks
 * stands in double quotes, with \" and \\ for the two characters that could not else stand there.
 *
 *     provider=k8s namespace=default label_selector="app=serf,tier in (a,b)"
 *
 *     namespace       where to look; absent: the service account's own
 *     label_selector  which pods, as Kubernetes writes it; absent: all
 *     field_selector  likewise
 *     host_network    true: the pods' nodes are the members' addresses; false when absent
 *     service         the endpoints of this Service, instead of pods: of cserf alone */
#ifndef KUBE_KUBE_PROVIDER_H
#define KUBE_KUBE_PROVIDER_H

#include "buffer.h"

enum { KUBE_SETTINGS_SIZE_MAX = 4096 };

struct kube_provider {
    char *namespace, *label_selector, *field_selector, *service; /* owned; NULL: not given */
    bool host_network;
};

/* False with what is wrong in `error`, "unknown key \"zone\": ..."; nothing is then to be freed. */
bool kube_provider_parse(struct kube_provider *provider, struct span settings,
                         struct buffer *error);
void kube_provider_fini(struct kube_provider *provider);

#endif

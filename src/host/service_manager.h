/* Tells the service manager that started this process how it is: the protocol of sd_notify(3), a
 * datagram of "NAME=value" lines to the socket that the environment variable NOTIFY_SOCKET names.
 * It is spoken here and not by libsystemd, so that the static binary speaks it too. */
#ifndef HOST_SERVICE_MANAGER_H
#define HOST_SERVICE_MANAGER_H

#include "loop.h"

enum { SERVICE_STATUS_SIZE_MAX = 512 }; /* of the status; a longer one is cut */

enum service_state {
    SERVICE_STARTING,
    SERVICE_READY,
    SERVICE_RELOADING, /* until SERVICE_READY is told again */
    SERVICE_STOPPING,
};

struct service_manager;

/* `socket`: an absolute path, or "@" and a name in the abstract namespace. NULL for any other
 * (NULL and "" among them), and when memory or file descriptors are out: a service manager that
 * can't be told is no reason not to run. */
struct service_manager *service_manager_new(struct loop *loop, const char *socket);
void service_manager_free(struct service_manager *manager);

/* Tells the state, and one line for people. Never waits: while the manager's queue is full it is
 * tried again, and what is told meanwhile takes the place of what was not sent. `manager` may be
 * NULL. */
void service_manager_tell(struct service_manager *manager, enum service_state state,
                          const char *status);

#endif

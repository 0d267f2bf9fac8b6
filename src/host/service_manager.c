/* Each datagram tells the whole state and not only what changed, so that the latest one makes those
 * before it superfluous: one message of memory is enough to try again with. */
#include "service_manager.h"

#include "buffer.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MESSAGE_SIZE_MAX = SERVICE_STATUS_SIZE_MAX + 128 };

#define RETRY_NS UINT64_C(100000000)

struct service_manager {
    struct loop_timer retry;
    struct buffer message; /* the latest; empty when it has been sent */
    struct sockaddr_un address;
    socklen_t address_size;
    int descriptor;
};

/* --- the socket --- */

static bool read_address(struct service_manager *manager, const char *socket)
{
    size_t size = strlen(socket);
    if ((socket[0] != '/' && socket[0] != '@') || size < 2 ||
        size >= sizeof(manager->address.sun_path))
        return false;
    manager->address.sun_family = AF_UNIX;
    memcpy(manager->address.sun_path, socket, size + 1);
    manager->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (socket[0] == '@')
        manager->address.sun_path[0] = '\0';
    else
        manager->address_size++;
    return true;
}

/* Not connected: a manager that starts anew has another socket under the same name. */
static void send_message(void *context)
{
    struct service_manager *manager = context;
    ssize_t sent;
    do
        sent = sendto(manager->descriptor, manager->message.data, manager->message.size,
                      MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&manager->address,
                      manager->address_size);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
        loop_timer_set(&manager->retry, loop_now() + RETRY_NS);
        return;
    }
    loop_timer_cancel(&manager->retry);
    buffer_reset(&manager->message);
}

struct service_manager *service_manager_new(struct loop *loop, const char *socket_name)
{
    struct service_manager *manager = calloc(1, sizeof(*manager));
    if (!manager)
        return NULL;
    manager->descriptor = -1;
    buffer_init(&manager->message, MESSAGE_SIZE_MAX);
    if (socket_name && read_address(manager, socket_name))
        manager->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager->descriptor >= 0 && loop_timer_init(&manager->retry, loop, send_message, manager))
        return manager;
    if (manager->descriptor >= 0)
        close(manager->descriptor);
    free(manager);
    return NULL;
}

void service_manager_free(struct service_manager *manager)
{
    if (!manager)
        return;
    loop_timer_fini(&manager->retry);
    close(manager->descriptor);
    buffer_fini(&manager->message);
    free(manager);
}

/* --- messages --- */

static void append_state(struct buffer *message, enum service_state state)
{
    if (state == SERVICE_READY)
        buffer_append_text(message, "READY=1\n");
    if (state ==
        SERVICE_RELOADING) /* the time tells one reload from the next (Type=notify-reload) */
        buffer_printf(message, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", loop_now() / 1000);
    if (state == SERVICE_STOPPING)
        buffer_append_text(message, "STOPPING=1\n");
}

/* A control character would begin another line, and mean something. */
static void append_status(struct buffer *message, const char *status)
{
    buffer_append_text(message, "STATUS=");
    for (size_t i = 0; i < SERVICE_STATUS_SIZE_MAX && status[i] != '\0'; i++)
        buffer_append_u8(message, (uint8_t)status[i] < ' ' ? ' ' : (uint8_t)status[i]);
}

void service_manager_tell(struct service_manager *manager, enum service_state state,
                          const char *status)
{
    if (!manager)
        return;
    buffer_reset(&manager->message);
    append_state(&manager->message, state);
    append_status(&manager->message, status);
    if (manager->message.failed)
        buffer_reset(&manager->message);
    else
        send_message(manager);
}

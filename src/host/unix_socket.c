/* A socket file outlives a process that was killed, and bind(2) then fails for its successor. To
 * remove whatever is there would steal the place of an agent that is alive: its file would be gone,
 * and nobody could tell it so. So the file is asked first. Between the question and the answer's
 * use another process could do the same, and remove the file that was just made: whoever asks holds
 * a lock on the directory, which leaves nothing behind. The mode is set on the socket before it has
 * a name (Linux takes the file's from there): there is no moment at which others may connect. */
#include "unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "socket_text.h"

enum {
    LOCK_TRIES = 100, /* this far apart: a second in all */
    LOCK_WAIT_NS = 10 * 1000 * 1000,
};

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool make_address(struct sockaddr_un *address, const char *path)
{
    size_t size = strlen(path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (size == 0 || size > UNIX_SOCKET_PATH_MAX) {
        errno = size == 0 ? EINVAL : ENAMETOOLONG;
        return false;
    }
    memcpy(address->sun_path, path, size);
    return true;
}

int unix_socket_connect(const char *path)
{
    struct sockaddr_un address;
    int descriptor = make_address(&address, path) ? open_socket() : -1;
    if (descriptor < 0)
        return -1;
    int failed;
    do
        failed = connect(descriptor, (struct sockaddr *)&address, sizeof address);
    while (failed && errno == EINTR);
    if (!failed)
        return descriptor;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

static bool peer_credentials(int descriptor, struct ucred *peer)
{
    socklen_t size = sizeof *peer;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, peer, &size) == 0;
}

const char *unix_peer_text(int descriptor, char *text)
{
    struct ucred peer;
    if (peer_credentials(descriptor, &peer))
        snprintf(text, UNIX_PEER_TEXT_SIZE, "unix pid %ld uid %lu", (long)peer.pid,
                 (unsigned long)peer.uid);
    else
        snprintf(text, UNIX_PEER_TEXT_SIZE, "unix");
    return text;
}

/* --- the place of another --- */

static void refuse(struct buffer *error, const char *path, const char *step, int error_number)
{
    buffer_printf(error, "listen unix %s: %s: %s", path, step, system_error_text(error_number));
}

static bool refuse_living(struct buffer *error, const char *path, int descriptor)
{
    struct ucred peer;
    refuse(error, path, "bind", EADDRINUSE);
    if (peer_credentials(descriptor, &peer))
        buffer_printf(error, ": process %ld listens there", (long)peer.pid);
    else
        buffer_append_text(error, ": somebody listens there");
    buffer_append_text(error, "; stop it, or give this agent another path");
    close(descriptor);
    return false;
}

/* Makes room for the socket file. */
static bool clear_path(const char *path, struct buffer *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return true; /* bind says what there is to say */
    if (!S_ISSOCK(status.st_mode)) {
        refuse(error, path, "bind", EADDRINUSE);
        buffer_append_text(error, ": that is there already and no socket; take it away, or name "
                                  "another path");
        return false;
    }
    int descriptor = unix_socket_connect(path);
    if (descriptor >= 0)
        return refuse_living(error, path, descriptor);
    if (errno == EAGAIN) {
        refuse(error, path, "bind", EADDRINUSE);
        buffer_append_text(error, ": somebody listens there, with many who wait for it");
        return false;
    }
    if (errno == ENOENT)
        return true;
    if (errno != ECONNREFUSED) {
        refuse(error, path, "connect", errno);
        return false;
    }
    if (unlink(path) == 0 || errno == ENOENT)
        return true;
    refuse(error, path, "unlink", errno);
    return false;
}

/* A descriptor of the directory with the lock, or -1: without the right to read the directory, or
 * where somebody keeps it locked, it has to go without. */
static int lock_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[UNIX_SOCKET_PATH_MAX + 1] = ".";
    if (slash)
        snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path),
                 path);
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct timespec wait = {.tv_nsec = LOCK_WAIT_NS};
    for (int i = 0; descriptor >= 0 && i < LOCK_TRIES; i++) {
        if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
            break;
        nanosleep(&wait, NULL);
    }
    return descriptor;
}

/* --- listening --- */

static bool remember_file(struct unix_socket_file *file, const char *path)
{
    struct stat status;
    file->path = strdup(path);
    if (!file->path)
        return false;
    if (lstat(path, &status) != 0 || chmod(path, 0600) != 0) {
        int reason = errno;
        unlink(path);
        free(file->path);
        file->path = NULL;
        errno = reason;
        return false;
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return true;
}

static int bind_and_listen(const char *path, int backlog, struct unix_socket_file *file,
                           struct buffer *error)
{
    struct sockaddr_un address;
    const char *step = "socket";
    int descriptor = make_address(&address, path) ? open_socket() : -1;
    if (descriptor >= 0) {
        fchmod(descriptor, 0600);
        step = "bind";
        if (bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0) {
            step = "listen";
            if (remember_file(file, path) && listen(descriptor, backlog) == 0)
                return descriptor;
        }
    }
    refuse(error, path, step, errno);
    unix_socket_remove(file);
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

int unix_socket_listen(const char *path, int backlog, struct unix_socket_file *file,
                       struct buffer *error)
{
    *file = (struct unix_socket_file){0};
    if (strlen(path) > UNIX_SOCKET_PATH_MAX) {
        refuse(error, path, "bind", ENAMETOOLONG);
        buffer_printf(error, "; a socket's path has at most %d bytes", UNIX_SOCKET_PATH_MAX);
        return -1;
    }
    int lock = lock_directory(path);
    int descriptor = clear_path(path, error) ? bind_and_listen(path, backlog, file, error) : -1;
    if (lock >= 0)
        close(lock);
    return descriptor;
}

void unix_socket_remove(struct unix_socket_file *file)
{
    struct stat status;
    if (file->path && lstat(file->path, &status) == 0 && status.st_dev == file->device &&
        status.st_ino == file->inode)
        unlink(file->path);
    free(file->path);
    *file = (struct unix_socket_file){0};
}

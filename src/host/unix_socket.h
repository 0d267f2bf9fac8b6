/* Unix sockets in the file system: taking the place of one whose owner died, and leaving none. */
#ifndef HOST_UNIX_SOCKET_H
#define HOST_UNIX_SOCKET_H

#include <sys/types.h>

#include "buffer.h"

enum {
    UNIX_SOCKET_PATH_MAX = 107, /* bytes; sun_path without the byte that ends it */
    UNIX_PEER_TEXT_SIZE = 56,
};

/* The file that was made, so that nobody else's is removed. */
struct unix_socket_file {
    char *path; /* owned; NULL: none */
    dev_t device;
    ino_t inode;
};

/* A listening, non-blocking socket whose file has mode 0600. A socket file at `path` on which
 * nobody listens is replaced; one on which somebody does, and anything else that is there, is an
 * error. -1 with, for example, "listen unix /run/serf.sock: bind: address already in use: process
 * 4711 listens there; ..." in `error`. May wait for a second while another process does the same.
 */
int unix_socket_listen(const char *path, int backlog, struct unix_socket_file *file,
                       struct buffer *error);

/* Removes the file if it is still the one that was made, and forgets it. */
void unix_socket_remove(struct unix_socket_file *file);

/* A connected, non-blocking socket, or -1 with errno: EAGAIN when so many wait to be accepted that
 * the kernel takes no more. */
int unix_socket_connect(const char *path);

/* "unix pid 4711 uid 1000": who is at the other end. Returns `text`, of UNIX_PEER_TEXT_SIZE bytes.
 */
const char *unix_peer_text(int descriptor, char *text);

#endif

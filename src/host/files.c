/* A replaced file is written beside the old one, so that the rename stays within one filesystem.
 * The folder is synced too: without it the rename itself may be lost with the power. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "socket_text.h"

enum { READ_STEP = 16 * 1024 };

static bool refuse(struct buffer *error, const char *operation, const char *path)
{
    buffer_printf(error, "%s %s: %s", operation, path, system_error_text(errno));
    return false;
}

static bool read_all(int descriptor, const char *path, struct buffer *out, struct buffer *error)
{
    uint8_t part[READ_STEP];
    for (;;) {
        ssize_t size = read(descriptor, part, sizeof part);
        if (size == 0)
            return true;
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return refuse(error, "read", path);
        if (!buffer_append(out, part, (size_t)size)) {
            if ((size_t)size > out->maximum - out->size)
                buffer_printf(error, "read %s: larger than the limit of %zu bytes", path,
                              out->maximum);
            else
                buffer_printf(error, "read %s: out of memory", path);
            return false;
        }
    }
}

bool file_read(const char *path, struct buffer *out, struct buffer *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return refuse(error, "open", path);
    bool done = read_all(descriptor, path, out, error);
    close(descriptor);
    return done;
}

static bool write_all(int descriptor, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t size = write(descriptor, bytes.data, bytes.size);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return false;
        bytes = span_from(bytes, (size_t)size);
    }
    return true;
}

/* Best effort: some filesystems can't sync a folder, and the file's contents are safe by now. */
static void sync_folder(const char *path)
{
    char *folder = strdup(path);
    if (!folder)
        return;
    char *slash = strrchr(folder, '/');
    const char *name = ".";
    if (slash == folder)
        name = "/";
    else if (slash) {
        *slash = '\0';
        name = folder;
    }
    int descriptor = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    free(folder);
}

static bool fill_and_rename(int descriptor, const char *temporary, const char *path,
                            struct span contents, mode_t mode, struct buffer *error)
{
    bool written =
        write_all(descriptor, contents) && fchmod(descriptor, mode) == 0 && fsync(descriptor) == 0;
    int reason = errno;
    if (close(descriptor) != 0 && written) {
        written = false;
        reason = errno;
    }
    errno = reason;
    if (!written)
        return refuse(error, "write", path);
    if (rename(temporary, path) != 0)
        return refuse(error, "rename", path);
    return true;
}

bool file_write(const char *path, struct span contents, mode_t mode, struct buffer *error)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        errno = ENOMEM;
        return refuse(error, "write", path);
    }
    int descriptor = mkostemp(temporary, O_CLOEXEC);
    if (descriptor < 0) {
        free(temporary);
        return refuse(error, "open", path);
    }
    bool done = fill_and_rename(descriptor, temporary, path, contents, mode, error);
    if (done)
        sync_folder(path);
    else
        unlink(temporary);
    free(temporary);
    return done;
}

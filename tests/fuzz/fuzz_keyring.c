/* A keyring file's content, by the same path as a real one, and a sealed datagram opened with it.
 */
#include "keyring_file.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    if (file < 0)
        file = memfd_create("keyring", 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
        return 0;
    struct keyring *keyring = keyring_new();
    struct buffer error, plain;
    buffer_init(&error, 65536);
    buffer_init(&plain, 65536);
    if (!keyring)
        return 0;
    bool loaded = keyring_file_load(path, keyring, &error);
    assert(loaded ? keyring_count(keyring) > 0 : error.size > 0);
    if (loaded)
        keyring_open(keyring, SPAN_EMPTY, span_make(data, size), &plain);
    keyring_free(keyring);
    buffer_fini(&error);
    buffer_fini(&plain);
    return 0;
}

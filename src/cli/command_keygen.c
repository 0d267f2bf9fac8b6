#include "command.h"

#include "base64.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

enum { KEY_SIZE = 32 }; /* AES-256 */

static const char help[] = "Usage: serf keygen\n"
                           "\n"
                           "  Prints a new random key for -encrypt and encrypt_key.";

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    uint8_t key[KEY_SIZE];
    struct buffer text;
    if (getrandom(key, sizeof key, 0) != KEY_SIZE) {
        printf("Error reading random data: the system gave fewer than %d bytes\n", KEY_SIZE);
        return 1;
    }
    buffer_init(&text, 64);
    base64_encode(span_make(key, sizeof key), &text);
    bool complete = !text.failed;
    printf("%s\n", complete ? buffer_text(&text) : "Error writing the key: out of memory");
    buffer_fini(&text);
    return complete ? 0 : 1;
}

const struct command command_keygen = {"keygen", "Generates a new encryption key", help, run};

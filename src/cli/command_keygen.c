#include "command.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

enum {
    KEY_SIZE = 32, /* AES-256 */
    TEXT_SIZE = (KEY_SIZE + 2) / 3 * 4 + 1,
};

static const char help[] = "Usage: serf keygen\n"
                           "\n"
                           "  Prints a new random key for -encrypt and encrypt_key.";

static void base64(const uint8_t *bytes, size_t size, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3, text += 4) {
        size_t left = size - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        text[0] = digits[group >> 18];
        text[1] = digits[group >> 12 & 63];
        text[2] = '=';
        if (left > 1)
            text[2] = digits[group >> 6 & 63];
        text[3] = '=';
        if (left > 2)
            text[3] = digits[group & 63];
    }
    *text = '\0';
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    uint8_t key[KEY_SIZE];
    char text[TEXT_SIZE];
    if (getrandom(key, sizeof key, 0) != KEY_SIZE) {
        printf("Error reading random data: the system gave fewer than %d bytes\n", KEY_SIZE);
        return 1;
    }
    base64(key, sizeof key, text);
    printf("%s\n", text);
    return 0;
}

const struct command command_keygen = {"keygen", "Generates a new encryption key", help, run};

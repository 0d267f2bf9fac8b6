#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { POOL_BLOCKS_MAX = 4096 };

static void *blocks[POOL_BLOCKS_MAX];
static size_t block_count;

static void free_blocks(void)
{
    while (block_count > 0)
        free(blocks[--block_count]);
}

/* A heap block of exactly this size, so that a sanitizer sees a read past its end. */
static uint8_t *pool_take(size_t size)
{
    if (block_count == 0)
        atexit(free_blocks);
    if (block_count == POOL_BLOCKS_MAX)
        abort();
    uint8_t *block = malloc(size ? size : 1);
    if (!block)
        abort();
    blocks[block_count++] = block;
    return block;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct span hex(const char *text)
{
    size_t digits = 0;
    for (const char *p = text; *p; p++)
        digits += digit(*p) >= 0;
    uint8_t *bytes = pool_take(digits / 2);
    memset(bytes, 0, digits / 2);
    size_t at = 0;
    for (const char *p = text; *p; p++)
        if (digit(*p) >= 0) {
            bytes[at / 2] = (uint8_t)(bytes[at / 2] << 4 | digit(*p));
            at++;
        }
    return span_make(bytes, digits / 2);
}

struct span repeated(uint8_t byte, size_t count)
{
    uint8_t *bytes = pool_take(count);
    memset(bytes, byte, count);
    return span_make(bytes, count);
}

struct span joined(struct span a, struct span b)
{
    uint8_t *bytes = pool_take(a.size + b.size);
    if (a.size)
        memcpy(bytes, a.data, a.size);
    if (b.size)
        memcpy(bytes + a.size, b.data, b.size);
    return span_make(bytes, a.size + b.size);
}

static void print_bytes(const char *title, struct span bytes)
{
    fprintf(stderr, "%s (%zu) ", title, bytes.size);
    for (size_t i = 0; i < bytes.size && i < 400; i++)
        fprintf(stderr, "%02x", bytes.data[i]);
    fputc('\n', stderr);
}

void assert_bytes(struct span actual, struct span expected)
{
    if (span_equal(actual, expected))
        return;
    print_bytes("actual  ", actual);
    print_bytes("expected", expected);
    fail();
}

void assert_bytes_text(struct span actual, const char *expected)
{
    assert_bytes(actual, span_text(expected));
}

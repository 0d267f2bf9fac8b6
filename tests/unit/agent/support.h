/* What the tests of the agent's files share. Each test executable is one source file, so that all
 * of it lives here. */
#ifndef TESTS_AGENT_SUPPORT_H
#define TESTS_AGENT_SUPPORT_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGUMENT_COUNT(argv) ((int)(sizeof(argv) / sizeof((argv)[0])) - 1)

static char test_directory[64];

static inline int make_directory(void **state)
{
    (void)state;
    snprintf(test_directory, sizeof(test_directory), "/tmp/cserf-test-XXXXXX");
    return mkdtemp(test_directory) ? 0 : -1;
}

static inline int remove_directory(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", test_directory);
    return system(command) == 0 ? 0 : -1;
}

/* Writes test_directory/name and returns its path, valid until 8 calls later. */
static inline const char *write_test_file(const char *name, const char *contents)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, 256, "%s/%s", test_directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(contents, file);
    fclose(file);
    return path;
}

static inline void assert_starts_with(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("\"%s\" does not start with \"%s\"", text, start);
}

static inline void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" does not contain \"%s\"", text ? text : "(nothing)", part);
}

#endif

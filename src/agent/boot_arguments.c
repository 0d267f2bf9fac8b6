/* In a pod there is nobody to type flags: the address of the cluster comes from the environment,
 * where Kubernetes puts the Service's. It also puts a dozen variables there that only look like
 * ours (SERF_PORT=tcp://...), so only those named here are read. */
#include "boot_arguments.h"

#include "agent_address.h"
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

static const char mask[] = "********";

/* --- printing --- */

static bool is_secret(struct span name)
{
    static const char *const words[] = {"auth", "encrypt", "key", "password", "secret", "token"};
    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
        size_t size = strlen(words[w]);
        for (size_t i = 0; i + size <= name.size; i++)
            if (strncasecmp((const char *)name.data + i, words[w], size) == 0)
                return true;
    }
    return false;
}

static void append_printable(struct buffer *out, struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '\n')
            buffer_append_text(out, "\\n");
        else if (c < 0x20 || c == 0x7f)
            buffer_printf(out, "\\x%02x", c);
        else
            buffer_append_u8(out, c);
    }
}

void boot_print_environment(struct buffer *out, char *const *environment)
{
    for (; *environment; environment++) {
        struct span variable = span_text(*environment);
        const char *equals = strchr(*environment, '=');
        struct span name =
            equals ? span_make(*environment, (size_t)(equals - *environment)) : variable;
        if (equals && equals[1] && is_secret(name)) {
            append_printable(out, name);
            buffer_printf(out, "=%s", mask);
        } else {
            append_printable(out, variable);
        }
        buffer_append_u8(out, '\n');
    }
}

/* "-encrypt" is followed by the key, "-encrypt=..." holds it. */
static bool names_encrypt(const char *word)
{
    size_t dashes = strspn(word, "-");
    return dashes >= 1 && dashes <= 2 && strcmp(word + dashes, "encrypt") == 0;
}

static size_t encrypt_prefix(const char *word)
{
    size_t dashes = strspn(word, "-");
    return dashes >= 1 && dashes <= 2 && strncmp(word + dashes, "encrypt=", 8) == 0 ? dashes + 8
                                                                                    : 0;
}

void boot_print_arguments(struct buffer *out, int count, char *const *words)
{
    buffer_append_text(out, "serf: starting args(");
    for (int i = 0; i < count; i++) {
        size_t prefix = encrypt_prefix(words[i]);
        if (i > 0)
            buffer_append_u8(out, ' ');
        if (i > 0 && names_encrypt(words[i - 1]))
            buffer_append_text(out, mask);
        else if (prefix > 0)
            buffer_printf(out, "%.*s%s", (int)prefix, words[i], mask);
        else
            append_printable(out, span_text(words[i]));
    }
    buffer_append_text(out, ")\n");
}

/* --- arguments --- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The port when it is a number that differs from the default; 0 otherwise. */
static unsigned service_port(void)
{
    const char *text = variable("SERF_SERVICE_PORT");
    char *end;
    if (!text || *text < '0' || *text > '9')
        return 0;
    unsigned long port = strtoul(text, &end, 10);
    return *end || port > UINT16_MAX || port == DEFAULT_BIND_PORT ? 0 : (unsigned)port;
}

/* NULL when the environment names no cluster, or memory is out. */
static char *environment_address(void)
{
    const char *address = variable("SERF_DISCOVERY_ADDRESS");
    if (address)
        return strdup(address);
    const char *host = variable("SERF_SERVICE_HOST");
    if (!host)
        return NULL;
    bool bracket = strchr(host, ':') && host[0] != '[';
    unsigned port = service_port();
    struct buffer text;
    buffer_init(&text, 1024);
    buffer_printf(&text, "%s%s%s", bracket ? "[" : "", host, bracket ? "]" : "");
    if (port > 0)
        buffer_printf(&text, ":%u", port);
    char *copy = text.failed ? NULL : strdup(buffer_text(&text));
    buffer_fini(&text);
    return copy;
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool names_config(const char *word)
{
    size_t dashes = strspn(word, "-");
    const char *name = word + dashes;
    size_t size = strcspn(name, "=");
    return (dashes == 1 || dashes == 2) &&
           ((size == 10 && strncmp(name, "config-dir", size) == 0) ||
            (size == 11 && strncmp(name, "config-file", size) == 0));
}

static bool config_is_named(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (names_config(argv[i]))
            return true;
    return false;
}

/* Flags or files that can't be read are the agent's to complain about: no address is added. */
static bool wants_address(const struct boot_arguments *arguments)
{
    struct agent_config config;
    struct buffer error;
    buffer_init(&error, 8192);
    bool wanted = false;
    if (agent_config_load(&config, arguments->count, arguments->words, &error) == CONFIG_OK) {
        wanted = config.start_join.count == 0 && config.retry_join.count == 0;
        agent_config_fini(&config);
    }
    buffer_fini(&error);
    return wanted;
}

static void add_word(struct boot_arguments *arguments, const char *word)
{
    arguments->words[arguments->count++] = (char *)(uintptr_t)word;
}

/* Puts -retry-join in front of what could end the flags. */
static void add_address(struct boot_arguments *arguments, int position)
{
    for (int i = arguments->count; i > position; i--)
        arguments->words[i + 1] = arguments->words[i - 1];
    arguments->words[position] = (char *)(uintptr_t) "-retry-join";
    arguments->words[position + 1] = arguments->address;
    arguments->count += 2;
}

bool boot_arguments_make(struct boot_arguments *arguments, int argc, char **argv)
{
    *arguments = (struct boot_arguments){0};
    arguments->words =
        calloc((size_t)argc + BOOT_ADDED_ARGUMENTS_MAX + 1, sizeof(*arguments->words));
    if (!arguments->words)
        return false;
    const char *directory = variable("SERF_CONFDIR");
    if (!directory)
        directory = "/etc/serf";
    add_word(arguments, "agent");
    if (!config_is_named(argc, argv) && is_directory(directory)) {
        add_word(arguments, "-config-dir");
        add_word(arguments, directory);
    }
    int position = arguments->count;
    for (int i = 1; i < argc; i++)
        add_word(arguments, argv[i]);
    if (wants_address(arguments))
        arguments->address = environment_address();
    if (arguments->address)
        add_address(arguments, position);
    return true;
}

void boot_arguments_fini(struct boot_arguments *arguments)
{
    free(arguments->words);
    free(arguments->address);
    *arguments = (struct boot_arguments){0};
}

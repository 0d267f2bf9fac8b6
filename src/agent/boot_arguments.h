/* What the container's entry point makes of its environment. */
#ifndef AGENT_BOOT_ARGUMENTS_H
#define AGENT_BOOT_ARGUMENTS_H

#include "buffer.h"

enum { BOOT_ADDED_ARGUMENTS_MAX = 5 };

struct boot_arguments {
    char **words;  /* owned array that ends in NULL; words are borrowed, but for `address` */
    int count;     /* words[0] is "agent" */
    char *address; /* owned: the -retry-join that was added; NULL when none was */
};

/* The agent's arguments: -config-dir with $SERF_CONFDIR (or /etc/serf) when no configuration is
 * named and the directory exists; the words of argv; -retry-join with what the environment names
 * as the cluster when neither flags nor environment nor files hold an address. False when memory is
 * out. */
bool boot_arguments_make(struct boot_arguments *arguments, int argc, char **argv);
void boot_arguments_fini(struct boot_arguments *arguments);

/* Appends "NAME=value" and a newline for each variable; values of variables whose names speak of
 * keys, encryption, secrets, tokens, passwords or authentication are masked, control characters
 * escaped. */
void boot_print_environment(struct buffer *out, char *const *environment);

/* Appends "serf: starting args(...)" and a newline; the encryption key is masked. */
void boot_print_arguments(struct buffer *out, int count, char *const *words);

#endif

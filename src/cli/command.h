/* The commands of `serf`, and how one is picked (agent specification, 1.1). */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stddef.h>

struct command {
    const char *name;
    const char *synopsis; /* one line of the list of commands */
    const char *help;     /* without a newline at its end; "" when there is nothing to say */
    /* argv[0] is the command's name. Returns the exit status. */
    int (*run)(int argc, char **argv);
};

extern const struct command command_event;
extern const struct command command_force_leave;
extern const struct command command_health;
extern const struct command command_info;
extern const struct command command_join;
extern const struct command command_keygen;
extern const struct command command_keys;
extern const struct command command_leave;
extern const struct command command_members;
extern const struct command command_monitor;
extern const struct command command_query;
extern const struct command command_reachability;
extern const struct command command_rotate_key;
extern const struct command command_rtt;
extern const struct command command_tags;
extern const struct command command_version;

enum { EXIT_NO_COMMAND = 127 }; /* no such command, or none */

/* Runs the command that argv names, or prints help. `commands` are in the order of their names.
 * Output that could not be written makes the exit status 1. */
int dispatch(const struct command *const *commands, size_t count, int argc, char **argv);

#endif

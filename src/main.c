/* One program, two names: `serf` takes commands, `boot` is the entry point of the container image.
 */
#include "agent.h"
#include "boot.h"
#include "command.h"
#include "config.h"

#include <string.h>

static const struct command command_agent = {"agent", "Runs a Serf agent", agent_help, agent_main};

/* In the order of their names. */
static const struct command *const commands[] = {
    &command_agent,        &command_event,      &command_force_leave, &command_health,
    &command_info,         &command_join,       &command_keygen,      &command_keys,
    &command_leave,        &command_members,    &command_monitor,     &command_query,
    &command_reachability, &command_rotate_key, &command_rtt,         &command_tags,
    &command_version,
};

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
    if (strcmp(name, "boot") == 0)
        return boot_main(argc, argv);
    return dispatch(commands, sizeof commands / sizeof commands[0], argc, argv);
}

#include "command.h"

#include <stdio.h>

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("%s\nAgent Protocol: 5 (Understands back to: 2)\n", CSERF_VERSION);
    return 0;
}

const struct command command_version = {"version", "Prints the Serf version", "", run};

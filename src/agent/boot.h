/* The entry point of the container image: what the binary does when it is started as `boot`. */
#ifndef AGENT_BOOT_H
#define AGENT_BOOT_H

/* Prints a ruled line, the environment, a ruled line and "serf: starting args(...)", and becomes
 * the agent, in this very process, so that signals reach it as process 1. The words behind argv[0]
 * are flags for the agent. */
int boot_main(int argc, char **argv);

#endif

/* The daemon: one member of a cluster with its log, its RPC server and its signals. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

/* `serf agent`: argv[0] is the command's name, the flags follow. Returns the exit status when the
 * agent has stopped: 0 after a graceful leave, 1 otherwise (agent specification, 3.8). */
int agent_main(int argc, char **argv);

/* As process 1, which has no default for a signal, holds INT, TERM and HUP back until the agent
 * acts on them; else those that come during the start would be lost. For a program that does
 * something before agent_main, which does this too. */
void agent_signals_hold(void);

#endif

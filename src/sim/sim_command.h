/* The command serf-sim: its flags, and what each asks for. */
#ifndef SIM_COMMAND_H
#define SIM_COMMAND_H

/* Returns the exit status: 0 when all went well, 1 after a violation, 2 when the command or a
 * scenario can't be understood. */
int sim_command(int argc, char **argv);

#endif

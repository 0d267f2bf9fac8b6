/* What all client commands have in common: -rpc-addr, -rpc-auth and their variables (agent
 * specification, 1.3), how a wrong flag is told, and how errors are. */
#ifndef CLI_CLIENT_OPTIONS_H
#define CLI_CLIENT_OPTIONS_H

#include "command.h"
#include "flags.h"
#include "rpc_client.h"

enum {
    CLI_FLAGS_MAX = 16,
    CLI_TAGS_MAX = 512, /* of one command */
    CLI_ERROR_SIZE_MAX = 64 * 1024,
};

/* The flags about the connection, for the end of a help text. */
#define CLIENT_OPTIONS_HELP                                                                        \
    "  -rpc-addr=127.0.0.1:7373  Address of the agent's RPC server, or unix:/path; also\n"         \
    "                            SERF_RPC_ADDR.\n"                                                 \
    "  -rpc-auth=\"\"              Token that the agent asks for; also SERF_RPC_AUTH."

/* Of event and query. */
#define CLIENT_TOO_MANY_ARGUMENTS                                                                  \
    "Too many command line arguments. Only a name and payload must be specified."

struct client_options {
    const char *address; /* borrowed from argv or the environment */
    const char *auth_key;
    bool clean_output; /* errors go to standard error: standard output is for a program to read */
};

/* Parses the command's own flags and the common ones. Returns the index of the first positional
 * argument, or -1 when the command is over with exit status 1, all being said. */
int client_options_parse(struct client_options *options, const struct command *command,
                         const struct flag *flags, size_t flag_count, int argc, char **argv);

/* NULL when that failed and was said. */
struct rpc_client *client_options_connect(const struct client_options *options);

/* Prints "PREFIX: MESSAGE" and returns 1, for the caller to return. */
int client_error(const struct client_options *options, const char *prefix, struct buffer *message);

/* Prints the message, an empty line and the command's help, and returns 1. */
int client_usage_error(const struct command *command, const char *message);

/* Takes "KEY=VALUE" apart; a missing "=" and an empty key are said, with "Error: ", and false. */
bool client_parse_tag(const struct client_options *options, const char *text, struct span *key,
                      struct span *value);

/* Appends the msgpack map of tags "KEY=VALUE"; of two with one key the last counts. False when one
 * is malformed or there are too many, which is said. */
bool client_append_tags(const struct client_options *options, const struct flag_list *tags,
                        struct buffer *out);

#endif

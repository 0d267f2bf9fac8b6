/* The configuration by environment variables, for containers, where a file is a burden and a flag
 * can't hold a secret. Every key of the table (config.h) is SERF_AGENT_ and its name in upper case,
 * with "_" for a dot; keys that hold a secret also are the same name with _FILE, which names a file
 * that holds the value. SERF_AGENT_TAG_<NAME> sets the tag <name>, in lower case.
 *
 * The environment stands between the files and the flags. Lists append, one element a line; an
 * empty value, "false" or 0 takes back what a file said. */
#ifndef AGENT_CONFIG_ENVIRONMENT_H
#define AGENT_CONFIG_ENVIRONMENT_H

#include "config.h"
#include "config_check.h"

enum { CONFIG_SECRET_SIZE_MAX = 64 * 1024 }; /* bytes of a file that holds a secret */

/* Applies the variables, "NAME=value", NULL last. False with one line in `error` that names the
 * variable, never a secret's value. */
bool agent_config_read_environment(struct agent_config *config, char *const *environment,
                                   struct buffer *error);

/* Says, in one line, which variables begin with SERF_AGENT_ and mean nothing, and what those are
 * really called that have a flag's name in place of a key's. What Kubernetes sets
 * for a Service of such a name (SERF_AGENT_SERVICE_HOST, SERF_AGENT_PORT=tcp://...) is not ours and
 * not named. */
void agent_config_environment_notices(char *const *environment, config_notice *notice,
                                      void *context);

/* Whether this variable, "NAME=value", holds a secret of the agent's, or was meant to, under the
 * name of a flag: such a one is not for event handlers. */
bool agent_config_variable_is_secret(const char *variable);

#endif

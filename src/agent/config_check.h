/* What can be said of a configuration before anything is started (agent specification, 3.6). */
#ifndef AGENT_CONFIG_CHECK_H
#define AGENT_CONFIG_CHECK_H

#include "config.h"
#include "log.h"
#include "serf.h"

typedef void config_notice(void *context, const char *text);

/* Steps 5 to 7: event handler filters, interfaces; label and verification; the number of join
 * addresses, and those that name a provider or a service; the form of the HTTP address. False with
 * one line in `error`. */
bool agent_config_check(const struct agent_config *config, struct buffer *error);

/* Of a configuration that was checked. */
enum label_mode agent_config_label_mode(const struct agent_config *config);

/* Step 8: says what is not fatal, and mends it: intervals below a second become one second. */
void agent_config_notices(struct agent_config *config, config_notice *notice, void *context);

/* Step 9. */
bool agent_config_log_level(const struct agent_config *config, enum log_level *level,
                            struct buffer *error);
/* Step 9, too: a log format that there is. */
bool agent_config_log_format(const struct agent_config *config, enum log_format *format,
                             struct buffer *error);
/* Step 10. */
bool agent_config_check_syslog(const struct agent_config *config, struct buffer *error);

/* Steps 15 and 16: the encryption key's base64, the profile. */
bool agent_config_check_key(const struct agent_config *config, struct buffer *error);
typedef void profile_settings(struct swim_config *config);
profile_settings *agent_config_profile(const struct agent_config *config, struct buffer *error);

/* What the cluster layer would refuse; `error` says what follows "Error creating Serf: ". */
bool agent_config_check_limits(const struct agent_config *config, struct buffer *error);

#endif

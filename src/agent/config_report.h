/* What -check-config prints. */
#ifndef AGENT_CONFIG_REPORT_H
#define AGENT_CONFIG_REPORT_H

#include "config.h"

enum { CONFIG_REPORT_SIZE_MAX = 16 * 1024 * 1024 };

/* One line for each key: its name, its value as a configuration file would hold it, and where it
 * comes from. Secrets are masked. */
void agent_config_report(const struct agent_config *config, struct buffer *out);

#endif

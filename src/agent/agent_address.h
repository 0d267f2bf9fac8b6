/* The addresses that an agent binds and tells others (agent specification, 3.5). */
#ifndef AGENT_AGENT_ADDRESS_H
#define AGENT_AGENT_ADDRESS_H

#include "endpoint.h"
#include "config.h"

enum { DEFAULT_BIND_PORT = 7946 };

/* Splits "host", "host:port", "host:", "[v6]", "[v6]:port", bare "v6" and ":port"; no port gives
 * the default one, an empty port gives 0. False with what is wrong in `error`, in the words that
 * the reference's users know ("address ::1:7946: too many colons in address"). */
bool address_split(const char *text, struct buffer *host, uint16_t *port, struct buffer *error);

struct agent_addresses {
    struct endpoint bind;      /* address_size 0: every address, written ":port" */
    struct endpoint advertise; /* address_size 0: the node finds it */
    bool chose_interface;      /* `bind` was found on the interface, which the user is told */
};

/* Works the configuration's addresses out, looking names up and asking the interfaces. False with
 * one line in `error`, such as "Invalid bind address: ...". */
bool agent_addresses_find(struct agent_addresses *addresses, const struct agent_config *config,
                          struct buffer *error);

#endif

/* Network coordinates as an agent answers with them (agent specification, 2.9 and 5.4). */
#ifndef CLIENT_NETWORK_COORDINATE_H
#define CLIENT_NETWORK_COORDINATE_H

#include "msgpack.h"

enum { NETWORK_DIMENSIONS_MAX = 64 }; /* agents use 8 */

struct network_coordinate {
    double vector[NETWORK_DIMENSIONS_MAX]; /* seconds, likewise below */
    uint32_t dimensions;
    double adjustment, height;
};

/* False when it is malformed. */
bool network_coordinate_read(struct span value, struct network_coordinate *coordinate);

/* The estimated round-trip time in seconds. */
double network_coordinate_distance(const struct network_coordinate *a,
                                   const struct network_coordinate *b);

#endif

#include "network_coordinate.h"

#include "rpc_message.h"

#include <math.h>

bool network_coordinate_read(struct span value, struct network_coordinate *coordinate)
{
    struct msgpack_reader reader = msgpack_reader_of(value);
    struct rpc_coordinate message;
    if (msgpack_read_structure(&reader, &rpc_coordinate_structure, &message) != MSGPACK_OK)
        return false;
    *coordinate =
        (struct network_coordinate){.adjustment = message.adjustment, .height = message.height};
    reader = msgpack_reader_of(message.vec);
    if (message.vec.size > 0 && msgpack_read_array(&reader, &coordinate->dimensions) != MSGPACK_OK)
        return false;
    if (coordinate->dimensions > NETWORK_DIMENSIONS_MAX)
        return false;
    for (uint32_t i = 0; i < coordinate->dimensions; i++)
        if (msgpack_read_double(&reader, &coordinate->vector[i]) != MSGPACK_OK)
            return false;
    return true;
}

/* Whole nanoseconds, as the reference counts them. */
double network_coordinate_distance(const struct network_coordinate *a,
                                   const struct network_coordinate *b)
{
    double squares = 0;
    for (uint32_t i = 0; i < a->dimensions && i < b->dimensions; i++) {
        double difference = a->vector[i] - b->vector[i];
        squares += difference * difference;
    }
    double distance = sqrt(squares) + a->height + b->height;
    double adjusted = distance + a->adjustment + b->adjustment;
    return trunc((adjusted > 0 ? adjusted : distance) * 1e9) / 1e9;
}

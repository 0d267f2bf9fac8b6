/* What a listener needs of a connection, beside tcp.h. */
#ifndef HOST_CONNECTION_H
#define HOST_CONNECTION_H

#include "tcp.h"

/* A connection on a non-blocking socket that is connected already; it owns the descriptor. Nothing
 * is read before connection_start. NULL when memory is out (the descriptor is then untouched). */
struct connection *connection_adopt(struct loop *loop, int descriptor,
                                    const struct endpoint *remote);

#endif

/* A UDP socket for telling one receiver something, without a word back: metrics. */
#ifndef HOST_DATAGRAM_SENDER_H
#define HOST_DATAGRAM_SENDER_H

#include "buffer.h"
#include "endpoint.h"

/* A descriptor that the caller closes, or -1 with the reason in `error`, as in
 * "dial udp 10.0.0.1:8125: connect: network is unreachable". */
int datagram_sender_open(const struct endpoint *to, struct buffer *error);

/* Sends, or drops what the system would make us wait for. False when the receiver's machine or a
 * router has said that nobody is there, or the system refused. */
bool datagram_sender_send(int descriptor, struct span datagram);

#endif

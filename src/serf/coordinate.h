/* Network coordinates (Vivaldi, with height, adjustment and gravity; Serf specification, section
 * 7): a position for each member, such that distances are round-trip times. A member learns its own
 * from the answers to its probes. The numbers come out the same, to the last bit, as the
 * reference's, since both use nothing but the four operations and the square root, in one order. */
#ifndef SERF_COORDINATE_H
#define SERF_COORDINATE_H

#include "buffer.h"
#include "random.h"

enum {
    COORDINATE_DIMENSIONS = 8,
    COORDINATE_ADJUSTMENT_WINDOW = 20, /* samples */
    COORDINATE_LATENCY_WINDOW = 3,     /* samples for each peer; their median counts */
    COORDINATE_VERSION = 1,            /* the first byte of an ack's payload */
};

struct coordinate {
    double vector[COORDINATE_DIMENSIONS]; /* seconds */
    double error;                         /* 0 to 1.5: how far it is to be trusted */
    double adjustment;                    /* seconds */
    double height;                        /* seconds: what it takes to reach the network at all */
};

/* What is remembered of one peer. */
struct coordinate_peer {
    struct coordinate coordinate;
    double latencies[COORDINATE_LATENCY_WINDOW]; /* seconds, oldest first */
    uint32_t latency_count;
};

/* One member's own position. */
struct coordinate_model {
    struct coordinate own;
    double adjustments[COORDINATE_ADJUSTMENT_WINDOW]; /* seconds */
    uint32_t next_adjustment;
    uint64_t resets; /* how often the position became no number, and started anew */
};

void coordinate_model_init(struct coordinate_model *model);

enum coordinate_verdict {
    COORDINATE_TAKEN,
    COORDINATE_INVALID,  /* "coordinate is invalid": something in it is no finite number */
    COORDINATE_BAD_TIME, /* the round-trip time is above 10 s */
};

/* Learns from one answer: `other` is the peer's position, `round_trip` in nanoseconds. Takes over
 * `other` into `peer`; what is refused changes nothing. */
enum coordinate_verdict coordinate_update(struct coordinate_model *model,
                                          struct coordinate_peer *peer,
                                          const struct coordinate *other, uint64_t round_trip,
                                          struct random *random);

/* The estimated round-trip time, in nanoseconds. */
int64_t coordinate_distance(const struct coordinate *a, const struct coordinate *b);

bool coordinate_is_valid(const struct coordinate *coordinate);

/* The payload of an ack. Reading fails for another version or
 * another number of dimensions, or bytes that do not decode. */
void coordinate_write(struct buffer *out, const struct coordinate *coordinate);
bool coordinate_read(struct span payload, struct coordinate *coordinate);

#endif

/* What is known of one member, as everybody outside the tables sees it. */
#ifndef SWIM_MEMBER_H
#define SWIM_MEMBER_H

#include "endpoint.h"
#include "message.h"
#include "span.h"

/* The Serf layer's view of a member (Serf specification, 3.1). */
enum member_status {
    STATUS_NONE = 0,
    STATUS_ALIVE = 1,
    STATUS_LEAVING = 2,
    STATUS_LEFT = 3,
    STATUS_FAILED = 4,
};

/* "none", "alive", "leaving", "left", "failed". */
const char *member_status_name(enum member_status status);

/* Spans are borrowed from the core, until the next call into it. */
struct member_view {
    struct span name;
    struct endpoint endpoint;
    struct span address;             /* the 4 or 16 bytes as they travel */
    struct span meta;                /* encoded tags: see tag_reader */
    uint8_t versions[VERSIONS_SIZE]; /* protocol min, max, current; delegate min, max, current */
    enum member_status status;
    uint64_t status_ltime;
};

#endif

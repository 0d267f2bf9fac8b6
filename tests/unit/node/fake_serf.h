/* A core that writes down what it is told and says what the test made it say. It stands in for
 * serf.h, and fails the test when its host does not keep to that contract. */
#ifndef TESTS_FAKE_SERF_H
#define TESTS_FAKE_SERF_H

#include "serf.h"
#include "timer_heap.h"

enum { FAKE_EFFECTS_MAX = 32, FAKE_DIARY_SIZE = 16 * 1024 };

struct fake_serf {
    struct serf_config config; /* as handed to serf_new */
    uint64_t deadline;
    uint32_t next_stream; /* given to the next peer that connects; 0 refuses it */
    uint32_t next_command;
    struct effect said[FAKE_EFFECTS_MAX]; /* queued at the next input */
    unsigned said_count;
    struct effect queue[FAKE_EFFECTS_MAX];
    unsigned queue_next, queue_count;
    char diary[FAKE_DIARY_SIZE]; /* "packet x; stream 1 data hi; " */
    unsigned inputs, packets, advances, resolved, failed, opened, ended, data, accepted;
    unsigned packets_at_first_advance;
    struct endpoint from; /* of the last packet or stream */
    struct endpoint answer;
    bool freed;
};

extern struct fake_serf fake;

void fake_reset(void);
/* The core wants this after the next input (texts must outlive it). */
void fake_say(struct effect effect);

#endif

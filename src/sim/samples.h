/* How many members the members know, over time, and what happened when: what a plot shows. The
 * number of samples stays below SAMPLES_MAX, whatever the length of the run: when they are too many
 * every other one is dropped and later ones are taken half as often. */
#ifndef SIM_SAMPLES_H
#define SIM_SAMPLES_H

#include "checker.h"

enum { SAMPLES_MAX = 1024, MARKS_MAX = 256, MARK_TEXT_SIZE = 40 };

struct sample {
    uint64_t time;
    uint32_t running;
    uint32_t least, median, most; /* members held alive, over those that run */
};

struct mark {
    uint64_t time;
    char text[MARK_TEXT_SIZE];
};

struct samples {
    struct sample *samples; /* owned */
    struct mark *marks;     /* owned */
    uint32_t count, mark_count;
    uint64_t interval, next;
};

void samples_init(struct samples *samples);
void samples_fini(struct samples *samples);

/* Takes a sample if one is due. */
void samples_take(struct samples *samples, const struct checker *checker, uint64_t now);
void samples_mark(struct samples *samples, uint64_t now, const char *text);

#endif

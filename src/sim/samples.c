#include "samples.h"

#include "sim_memory.h"

#include <stdio.h>
#include <stdlib.h>

static const uint64_t first_interval = 100 * NANOSECONDS_PER_MS;

void samples_init(struct samples *samples)
{
    *samples = (struct samples){.interval = first_interval};
    samples->samples = sim_allocate(SAMPLES_MAX, sizeof *samples->samples);
    samples->marks = sim_allocate(MARKS_MAX, sizeof *samples->marks);
}

void samples_fini(struct samples *samples)
{
    free(samples->samples);
    free(samples->marks);
    *samples = (struct samples){0};
}

/* Least, median and most by counting: the values lie between 0 and the number of members. */
static struct sample measure(const struct checker *checker, uint64_t now)
{
    struct sample sample = {.time = now, .running = checker->running};
    uint32_t *having = sim_allocate(checker->member_count + 1, sizeof *having);
    for (uint32_t i = 0; i < checker->member_count; i++)
        if (checker->subjects[i].truth == TRUTH_RUNNING)
            having[checker->viewers[i].alive]++;
    uint32_t seen = 0;
    bool first = true, halfway = false;
    for (uint32_t value = 0; value <= checker->member_count; value++) {
        if (having[value] == 0)
            continue;
        seen += having[value];
        if (first)
            sample.least = value;
        if (!halfway && 2 * seen >= checker->running)
            sample.median = value;
        halfway = halfway || 2 * seen >= checker->running;
        sample.most = value;
        first = false;
    }
    free(having);
    return sample;
}

static void thin_out(struct samples *samples)
{
    for (uint32_t i = 0; i < samples->count / 2; i++)
        samples->samples[i] = samples->samples[2 * i];
    samples->count /= 2;
    samples->interval *= 2;
}

void samples_take(struct samples *samples, const struct checker *checker, uint64_t now)
{
    if (now < samples->next)
        return;
    if (samples->count == SAMPLES_MAX)
        thin_out(samples);
    samples->samples[samples->count++] = measure(checker, now);
    samples->next = now - now % samples->interval + samples->interval;
}

void samples_mark(struct samples *samples, uint64_t now, const char *text)
{
    if (samples->mark_count == MARKS_MAX)
        return;
    struct mark *mark = &samples->marks[samples->mark_count++];
    mark->time = now;
    snprintf(mark->text, sizeof mark->text, "%s", text);
}

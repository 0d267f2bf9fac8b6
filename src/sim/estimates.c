#include "estimates.h"

#include "coordinate.h"

#include <stdlib.h>

enum { ERROR_MAX = 1000000000 }; /* a thousand times the truth, and beyond */

static bool own_coordinate(const struct simulation *simulation, uint32_t member,
                           struct coordinate *coordinate)
{
    char name[MEMBER_NAME_SIZE];
    const struct machine *machine = &simulation->machines[member];
    machine_name(member, name);
    return machine->serf && serf_coordinate(machine->serf, span_text(name), coordinate);
}

static uint32_t relative_error(int64_t estimated, uint64_t truth)
{
    double difference = (double)estimated - (double)truth;
    double error = (difference < 0 ? -difference : difference) / (double)truth * 1e6;
    return error < ERROR_MAX ? (uint32_t)error : ERROR_MAX;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

struct estimates estimates_measure(const struct simulation *simulation)
{
    struct estimates result = {0};
    uint32_t *members = sim_allocate(ESTIMATES_MEMBERS_MAX, sizeof *members);
    struct coordinate *places = sim_allocate(ESTIMATES_MEMBERS_MAX, sizeof *places);
    uint32_t count = 0;
    for (uint32_t i = 0; i < simulation->member_count && count < ESTIMATES_MEMBERS_MAX; i++)
        if (own_coordinate(simulation, i, &places[count]))
            members[count++] = i;
    uint32_t *errors = sim_allocate((size_t)count * count / 2 + 1, sizeof *errors);
    for (uint32_t a = 0; a < count; a++)
        for (uint32_t b = a + 1; b < count; b++)
            errors[result.pairs++] =
                relative_error(coordinate_distance(&places[a], &places[b]),
                               links_round_trip(&simulation->links, members[a], members[b]));
    if (result.pairs > 0) {
        qsort(errors, result.pairs, sizeof *errors, by_size);
        result.median = errors[result.pairs / 2];
        result.most = errors[result.pairs - 1 - result.pairs / 20];
    }
    free(errors);
    free(places);
    free(members);
    return result;
}

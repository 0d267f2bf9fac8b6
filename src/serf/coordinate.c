#include "coordinate.h"

#include "serf_message.h"

#include <math.h>
#include <stdlib.h>

static const double error_max = 1.5;
static const double error_share = 0.25;  /* "ce": how far one sample moves the error */
static const double vector_share = 0.25; /* "cc": and the position */
static const double height_min = 10.0e-6;
static const double gravity = 150.0; /* "rho": weak, so that the cluster stays around the origin */
static const double zero_threshold = 1.0e-6;
static const double seconds_to_nanoseconds = 1.0e9;
static const uint64_t round_trip_max = UINT64_C(10000000000);

static const struct coordinate origin = {.error = 1.5, .height = 10.0e-6};

void coordinate_model_init(struct coordinate_model *model)
{
    *model = (struct coordinate_model){.own = origin};
}

static bool is_finite(double number)
{
    return number - number == 0;
}

bool coordinate_is_valid(const struct coordinate *coordinate)
{
    bool valid = is_finite(coordinate->error) && is_finite(coordinate->adjustment) &&
                 is_finite(coordinate->height);
    for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
        valid = valid && is_finite(coordinate->vector[i]);
    return valid;
}

/* --- distances (Serf specification, 7.2) --- */

static double magnitude(const double *vector)
{
    double sum = 0;
    for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
        sum += vector[i] * vector[i];
    return sqrt(sum);
}

static double raw_distance(const struct coordinate *a, const struct coordinate *b)
{
    double difference[COORDINATE_DIMENSIONS];
    for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
        difference[i] = a->vector[i] - b->vector[i];
    return magnitude(difference) + a->height + b->height;
}

int64_t coordinate_distance(const struct coordinate *a, const struct coordinate *b)
{
    double distance = raw_distance(a, b);
    double adjusted = distance + a->adjustment + b->adjustment;
    if (adjusted > 0)
        distance = adjusted;
    double nanoseconds = distance * seconds_to_nanoseconds;
    /* What no duration can hold is not converted: C does not say what would come out. */
    return nanoseconds >= 9.2e18 ? INT64_MAX : (int64_t)nanoseconds;
}

/* The distance in seconds, having been whole nanoseconds on the way: bits depend on it. */
static double distance_seconds(const struct coordinate *a, const struct coordinate *b)
{
    int64_t nanoseconds = coordinate_distance(a, b);
    return (double)(nanoseconds / 1000000000) + (double)(nanoseconds % 1000000000) / 1e9;
}

/* --- forces --- */

/* The direction from q to p, and how far it is; a random one when they are in one place. */
static double unit_vector(const double *p, const double *q, double *unit, struct random *random)
{
    for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
        unit[i] = p[i] - q[i];
    double size = magnitude(unit);
    double distance = size;
    if (!(size > zero_threshold)) {
        distance = 0;
        for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
            unit[i] = random_unit(random) - 0.5;
        size = magnitude(unit);
    }
    if (!(size > zero_threshold)) {
        for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
            unit[i] = i == 0;
        return 0;
    }
    double scale = 1.0 / size;
    for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
        unit[i] *= scale;
    return distance;
}

static void apply_force(struct coordinate *coordinate, double force, const struct coordinate *other,
                        struct random *random)
{
    double unit[COORDINATE_DIMENSIONS];
    double distance = unit_vector(coordinate->vector, other->vector, unit, random);
    for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
        coordinate->vector[i] += unit[i] * force;
    if (distance > zero_threshold) {
        double height =
            (coordinate->height + other->height) * force / distance + coordinate->height;
        coordinate->height = height > height_min ? height : height_min;
    }
}

/* --- learning --- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of the last few: a single answer that was held up moves nothing. */
static double filter_latency(struct coordinate_peer *peer, double seconds)
{
    if (peer->latency_count == COORDINATE_LATENCY_WINDOW) {
        memmove(peer->latencies, peer->latencies + 1,
                (COORDINATE_LATENCY_WINDOW - 1) * sizeof *peer->latencies);
        peer->latency_count--;
    }
    peer->latencies[peer->latency_count++] = seconds;
    double sorted[COORDINATE_LATENCY_WINDOW];
    memcpy(sorted, peer->latencies, sizeof sorted);
    qsort(sorted, peer->latency_count, sizeof *sorted, compare);
    return sorted[peer->latency_count / 2];
}

static void update_position(struct coordinate *own, const struct coordinate *other, double seconds,
                            struct random *random)
{
    double distance = distance_seconds(own, other);
    double time = seconds > zero_threshold ? seconds : zero_threshold;
    double wrongness = fabs(distance - time) / time;
    double total_error = own->error + other->error;
    if (total_error < zero_threshold)
        total_error = zero_threshold;
    double weight = own->error / total_error;
    own->error = error_share * weight * wrongness + own->error * (1.0 - error_share * weight);
    if (own->error > error_max)
        own->error = error_max;
    apply_force(own, vector_share * weight * (time - distance), other, random);
}

static void update_adjustment(struct coordinate_model *model, const struct coordinate *other,
                              double seconds)
{
    model->adjustments[model->next_adjustment] = seconds - raw_distance(&model->own, other);
    model->next_adjustment = (model->next_adjustment + 1) % COORDINATE_ADJUSTMENT_WINDOW;
    double sum = 0;
    for (int i = 0; i < COORDINATE_ADJUSTMENT_WINDOW; i++)
        sum += model->adjustments[i];
    model->own.adjustment = sum / (2.0 * COORDINATE_ADJUSTMENT_WINDOW);
}

static void update_gravity(struct coordinate *own, struct random *random)
{
    double distance = distance_seconds(&origin, own) / gravity;
    apply_force(own, -1.0 * (distance * distance), &origin, random);
}

enum coordinate_verdict coordinate_update(struct coordinate_model *model,
                                          struct coordinate_peer *peer,
                                          const struct coordinate *other, uint64_t round_trip,
                                          struct random *random)
{
    if (!coordinate_is_valid(other))
        return COORDINATE_INVALID;
    if (round_trip > round_trip_max)
        return COORDINATE_BAD_TIME;
    double seconds = filter_latency(peer, (double)(round_trip / 1000000000) +
                                              (double)(round_trip % 1000000000) / 1e9);
    update_position(&model->own, other, seconds, random);
    update_adjustment(model, other, seconds);
    update_gravity(&model->own, random);
    if (!coordinate_is_valid(&model->own)) {
        model->resets++;
        model->own = origin;
    }
    peer->coordinate = *other;
    return COORDINATE_TAKEN;
}

/* --- on the wire --- */

void coordinate_write(struct buffer *out, const struct coordinate *coordinate)
{
    buffer_append_u8(out, COORDINATE_VERSION);
    msgpack_write_map(out, 4);
    msgpack_write_raw_text(out, "Adjustment");
    msgpack_write_double(out, coordinate->adjustment);
    msgpack_write_raw_text(out, "Error");
    msgpack_write_double(out, coordinate->error);
    msgpack_write_raw_text(out, "Height");
    msgpack_write_double(out, coordinate->height);
    msgpack_write_raw_text(out, "Vec");
    msgpack_write_array(out, COORDINATE_DIMENSIONS);
    for (int i = 0; i < COORDINATE_DIMENSIONS; i++)
        msgpack_write_double(out, coordinate->vector[i]);
}

bool coordinate_read(struct span payload, struct coordinate *coordinate)
{
    struct coordinate_message message;
    struct msgpack_reader reader = msgpack_reader_of(span_from(payload, 1));
    uint32_t dimensions;
    if (payload.size < 2 || payload.data[0] != COORDINATE_VERSION ||
        msgpack_read_structure(&reader, &coordinate_structure, &message) != MSGPACK_OK)
        return false;
    coordinate->error = message.error;
    coordinate->adjustment = message.adjustment;
    coordinate->height = message.height;
    reader = msgpack_reader_of(message.vector);
    if (msgpack_read_array(&reader, &dimensions) != MSGPACK_OK ||
        dimensions != COORDINATE_DIMENSIONS)
        return false;
    for (uint32_t i = 0; i < dimensions; i++)
        if (msgpack_read_double(&reader, &coordinate->vector[i]) != MSGPACK_OK)
            return false;
    return true;
}

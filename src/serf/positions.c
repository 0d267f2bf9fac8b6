/* Network coordinates in the member's life: told in the acks to pings, learned from the acks to our
 * own, and kept for each member that has answered (Serf specification, 7.3). */
#include "serf_internal.h"

#include <stdlib.h>

void position_write(void *context, struct buffer *out)
{
    const struct serf *serf = context;
    coordinate_write(out, &serf->position.own);
}

static struct coordinate_peer *peer_of(struct serf *serf, uint32_t member)
{
    struct coordinate_peer *peer = number_map_find(&serf->positions, member);
    if (peer)
        return peer;
    peer = calloc(1, sizeof *peer);
    if (peer && !number_map_insert(&serf->positions, member, peer)) {
        free(peer);
        peer = NULL;
    }
    return peer;
}

void position_learn(void *context, uint32_t member, uint64_t round_trip, struct span payload)
{
    struct serf *serf = context;
    struct coordinate coordinate;
    if (payload.size == 0)
        return;
    if (payload.data[0] != COORDINATE_VERSION) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                         "serf: Unsupported ping version: %u", payload.data[0]);
        return;
    }
    if (!coordinate_read(payload, &coordinate)) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                         "serf: Failed to decode coordinate from ping: malformed coordinate");
        return;
    }
    struct coordinate_peer *peer = peer_of(serf, member);
    struct coordinate before = serf->position.own;
    enum coordinate_verdict verdict =
        peer ? coordinate_update(&serf->position, peer, &coordinate, round_trip, &serf->swim.random)
             : COORDINATE_INVALID;
    if (peer && peer->latency_count == 0)
        position_forget(serf, member); /* nothing was learned of it */
    serf->metrics.coordinates_without_distance += round_trip == 0;
    if (verdict == COORDINATE_TAKEN)
        measure(&serf->metrics.adjustments,
                (uint64_t)coordinate_distance(&before, &serf->position.own));
    else
        serf->metrics.coordinates_rejected++;
    if (verdict != COORDINATE_TAKEN)
        serf_log(serf, LOG_LEVEL_TRACE, "serf: Rejected coordinate from %.*s: %s",
                 SPAN_PRINT(member_name(&serf->swim.table, member)),
                 verdict == COORDINATE_INVALID ? "coordinate is invalid"
                                               : "round trip time not in valid range");
}

void position_forget(struct serf *serf, uint32_t member)
{
    free(number_map_remove(&serf->positions, member));
}

void positions_fini(struct serf *serf)
{
    uint32_t position = 0;
    struct coordinate_peer *peer;
    while ((peer = number_map_next(&serf->positions, &position)))
        free(peer);
    number_map_fini(&serf->positions);
}

bool serf_coordinate(const struct serf *serf, struct span name, struct coordinate *coordinate)
{
    uint32_t member = member_table_find(&serf->swim.table, name);
    if (!serf->config.coordinates || member == MEMBER_NONE)
        return false;
    const struct coordinate_peer *peer = number_map_find(&serf->positions, member);
    if (member == serf->swim.self)
        *coordinate = serf->position.own;
    else if (peer)
        *coordinate = peer->coordinate;
    return member == serf->swim.self || peer;
}

/* Two members bear one name: each of the two asks all others where they see it, and the one that
 * the majority does not mean goes (Serf specification, 3.7). The reference also goes when nobody
 * answered at all; here that is no verdict. */
#include "serf_internal.h"

void name_vote_begin(struct serf *serf)
{
    if (serf->vote.running || !serf->config.resolve_name_conflicts || serf->state != SERF_ALIVE)
        return;
    struct buffer error;
    buffer_init(&error, 256);
    struct serf_query_parameters parameters = {
        .name = span_text("_serf_conflict"),
        .payload = member_name(&serf->swim.table, serf->swim.self),
    };
    serf->vote.running = query_ask(serf, QUERY_OF_CONFLICT, &parameters, &error) != NULL;
    serf->vote.responses = serf->vote.matching = 0;
    if (!serf->vote.running)
        serf_log(serf, LOG_LEVEL_ERR, "serf: Failed to start name resolution query: %s",
                 buffer_text(&error));
    buffer_fini(&error);
}

void name_vote_take(struct serf *serf, struct span payload)
{
    struct conflict_response response = {0};
    if (payload.size < 1 || payload.data[0] != SERF_CONFLICT_RESPONSE) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                         "serf: Invalid conflict query response type: %u",
                         payload.size ? payload.data[0] : 0);
        return;
    }
    struct span body = span_from(payload, 1);
    bool unknown = body.size == 1 && body.data[0] == 0xc0;
    if (!unknown && !message_read(body, &conflict_response_structure, &response)) {
        serf_log_limited(serf, LIMITED_USER_MESSAGE, LOG_LEVEL_ERR,
                         "serf: Failed to decode conflict query response: malformed response");
        return;
    }
    struct endpoint seen, own = member_endpoint(&serf->swim.table, serf->swim.self);
    serf->vote.responses++;
    if (!unknown && endpoint_from_bytes(&seen, response.address, response.port))
        serf->vote.matching += endpoint_equal(&seen, &own);
}

void name_vote_ended(struct serf *serf)
{
    uint32_t responses = serf->vote.responses, matching = serf->vote.matching;
    serf->vote.running = false;
    if (responses == 0) {
        serf_log(serf, LOG_LEVEL_WARN,
                 "serf: nobody answered in name conflict resolution: staying");
    } else if (matching >= responses / 2 + 1) {
        serf_log(serf, LOG_LEVEL_INFO, "serf: majority in name conflict resolution [%u / %u]",
                 matching, responses);
    } else {
        serf_log(serf, LOG_LEVEL_WARN,
                 "serf: minority in name conflict resolution, quiting [%u / %u]", matching,
                 responses);
        struct effect *effect = outbox_add(&serf->swim.outbox, EFFECT_STOP);
        if (effect)
            effect->stop.reason = STOP_NAME_CONFLICT;
    }
}

/* Peers are many and choose their names, so both how many are told of and how long they may be are
 * limited, and what falls out is counted. The two series are written one after the other, since
 * lines of one name must stand together; the second is about those that the first had room for. */
#include "metric_cluster.h"

#include "coordinate.h"

void metric_cluster_keys(struct metric_text *text, const struct keyring *keyring)
{
    static const char name[] = "serf_key_info";
    char fingerprint[KEY_FINGERPRINT_SIZE];
    for (size_t i = 0; i < keyring_count(keyring); i++) {
        if (!key_fingerprint(keyring_key(keyring, i), fingerprint)[0])
            continue;
        metric_text_head(text, name,
                         "Keys that gossip is decrypted with, by the first 8 hexadecimal digits of "
                         "their SHA-256; the primary one encrypts.",
                         "gauge");
        buffer_printf(text->out, "%s{key=\"%s\",primary=\"%s\"} 1\n", name, fingerprint,
                      i == 0 ? "true" : "false");
    }
}

struct peers {
    struct metric_text *text;
    const struct serf *serf;
    struct member_view self;
    uint32_t shown, left_out;
    bool full;
};

static bool is_shown(const struct peers *peers, const struct member_view *member)
{
    return !span_equal(member->name, peers->self.name) && member->name.size <= PEER_NAME_SIZE_MAX;
}

static void write_status(struct buffer *out, const struct member_view *member)
{
    char address[ENDPOINT_TEXT_SIZE];
    buffer_append_text(out, "serf_peer_status{peer=");
    metric_text_label(out, member->name);
    buffer_printf(out, ",addr=\"%s\",status=\"%s\"} 1\n", endpoint_text(&member->endpoint, address),
                  member_status_name(member->status));
}

static void write_statuses(struct peers *peers)
{
    struct buffer *out = peers->text->out;
    struct member_view member;
    size_t begin = out->size;
    for (uint32_t position = 0; serf_next_member(peers->serf, &position, &member);) {
        size_t before = out->size;
        if (span_equal(member.name, peers->self.name))
            continue;
        peers->full = peers->full || peers->shown == PEERS_MAX;
        if (peers->full || !is_shown(peers, &member)) {
            peers->left_out++;
            continue;
        }
        metric_text_head(peers->text, "serf_peer_status",
                         "1 for each other member, with its address and status.", "gauge");
        write_status(out, &member);
        peers->full = out->size - begin > PEER_LINES_SIZE_MAX;
        if (peers->full) {
            peers->left_out++;
            buffer_truncate(out, before);
        } else {
            peers->shown++;
        }
    }
}

static void write_round_trips(struct peers *peers)
{
    static const char name[] = "serf_peer_round_trip_seconds";
    struct coordinate own, other;
    struct member_view member;
    uint32_t shown = 0;
    if (!serf_coordinate(peers->serf, peers->self.name, &own))
        return;
    for (uint32_t position = 0;
         shown < peers->shown && serf_next_member(peers->serf, &position, &member);) {
        if (!is_shown(peers, &member))
            continue;
        shown++;
        if (!serf_coordinate(peers->serf, member.name, &other))
            continue;
        metric_text_head(peers->text, name,
                         "Round trip to each other member, estimated from network coordinates.",
                         "gauge");
        buffer_printf(peers->text->out, "%s{peer=", name);
        metric_text_label(peers->text->out, member.name);
        buffer_printf(peers->text->out, "} %.9g\n",
                      (double)coordinate_distance(&own, &other) * 1e-9);
    }
}

void metric_cluster_peers(struct metric_text *text, const struct serf *serf)
{
    struct peers peers = {.text = text, .serf = serf};
    serf_local_member(serf, &peers.self);
    write_statuses(&peers);
    write_round_trips(&peers);
    metric_text_plain(text, "serf_peers_left_out",
                      "Other members that have no series of their own, being too many or having "
                      "too long a name.",
                      "gauge", peers.left_out);
}

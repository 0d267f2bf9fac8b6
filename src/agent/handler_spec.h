/* What an event handler is told: "member-join,user:deploy=script" (agent specification, 4.1). The
 * text is split at its first "=". Without a list of events in front, or with an empty one, the
 * script is for every event. */
#ifndef AGENT_HANDLER_SPEC_H
#define AGENT_HANDLER_SPEC_H

#include "buffer.h"
#include "effect.h"

enum { HANDLER_FILTERS_MAX = 256 }; /* of one handler */

enum handler_subject {
    HANDLER_EVERYTHING,
    HANDLER_MEMBER, /* of one type */
    HANDLER_USER,
    HANDLER_QUERY,
};

struct handler_filter {
    enum handler_subject subject;
    enum member_event_type type; /* of HANDLER_MEMBER */
    struct span name;            /* of HANDLER_USER and HANDLER_QUERY; empty: all */
};

struct handler_spec {
    char *text; /* owned; what the spans point into */
    const char *script;
    struct handler_filter *filters; /* owned */
    size_t filter_count;
};

/* What a filter is compared with. */
struct handler_event_key {
    enum handler_subject subject; /* never HANDLER_EVERYTHING */
    enum member_event_type type;
    struct span name;
};

/* Only on success is there something to _fini. On failure `error` says what follows "Invalid event
 * script: ", such as "Event 'bogus' invoking 'script'". */
bool handler_spec_parse(struct handler_spec *spec, const char *text, struct buffer *error);
void handler_spec_fini(struct handler_spec *spec);

/* How often the script runs for the event: once for each filter that matches. */
size_t handler_spec_matches(const struct handler_spec *spec, const struct handler_event_key *key);

/* Appends a filter as `serf info` shows it: "*:", "user:deploy", "member-join:". */
void handler_filter_text(struct buffer *out, const struct handler_filter *filter);

#endif

/* Joining: a list of addresses, each resolved, and the answers asked by a push/pull (memberlist
 * specification, 9.1). A user's join and the tries of the policy are the same thing, but for how
 * many are asked. */
#include "serf_internal.h"

#include <stdio.h>
#include <stdlib.h>

static char *copy_text(struct span text)
{
    char *copy = malloc(text.size + 1);
    if (!copy)
        return NULL;
    if (text.size)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

static void free_join(struct join *join)
{
    for (uint32_t i = 0; i < join->entry_count; i++) {
        free(join->entries[i].text);
        free(join->entries[i].error);
    }
    for (uint32_t i = 0; i < join->contact_count; i++)
        free(join->contacts[i].error);
    free(join->entries);
    free(join->contacts);
    free(join);
}

void joins_fini(struct serf *serf)
{
    while (serf->joins) {
        struct join *join = serf->joins;
        serf->joins = join->next;
        free_join(join);
    }
    number_map_fini(&serf->syncs);
    number_map_fini(&serf->resolutions);
}

bool joins_ignore_old(const struct serf *serf)
{
    for (const struct join *join = serf->joins; join; join = join->next)
        if (join->ignore_old && join->purpose != JOIN_CHECK)
            return true;
    return false;
}

/* --- what was said in the list --- */

struct join_address {
    enum resolve_kind kind;
    struct span name; /* of a host: without brackets */
    uint16_t port;
};

static bool begins_with(struct span text, const char *prefix, struct span *rest)
{
    size_t size = strlen(prefix);
    if (text.size < size || memcmp(text.data, prefix, size) != 0)
        return false;
    *rest = span_from(text, size);
    return true;
}

static bool parse_port(struct span text, uint16_t *port)
{
    uint32_t value = 0;
    if (text.size < 1 || text.size > 5)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

/* Where the port's colon is, or text.size when there is no port: a bracketed address has one behind
 * the bracket, anything else has a port when it has exactly one colon. */
static size_t port_colon(struct span text)
{
    size_t colons = 0, last_colon = text.size, last_bracket = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == ':') {
            colons++;
            last_colon = i;
        } else if (text.data[i] == ']') {
            last_bracket = i;
        }
    }
    bool bracketed = text.size > 0 && text.data[0] == '[';
    if (bracketed)
        return colons > 0 && last_colon > last_bracket ? last_colon : text.size;
    return colons == 1 ? last_colon : text.size;
}

/* "[name/]host[:port]". */
static const char *parse_host(struct span text, struct join_address *address)
{
    const uint8_t *slash = text.size ? memchr(text.data, '/', text.size) : NULL;
    if (slash == text.data && slash)
        return "empty node name provided";
    if (slash)
        text = span_from(text, (size_t)(slash - text.data) + 1);
    size_t colon = port_colon(text);
    if (colon < text.size && !parse_port(span_from(text, colon + 1), &address->port))
        return "the port must be a number from 0 to 65535";
    address->name = span_make(text.data, colon);
    if (colon >= 2 && text.data[0] == '[' && text.data[colon - 1] == ']')
        address->name = span_make(text.data + 1, colon - 2);
    return NULL;
}

/* "[name/]host[:port]", "srv+name" or "provider=..."; NULL when well-formed, else what is wrong. */
static const char *parse_address(struct span text, uint16_t default_port,
                                 struct join_address *address)
{
    struct span rest;
    const char *wrong = NULL;
    *address = (struct join_address){.kind = RESOLVE_HOST, .port = default_port};
    if (begins_with(text, "provider=", &rest)) {
        address->kind = RESOLVE_PROVIDER;
        address->name = text;
        return NULL;
    }
    if (begins_with(text, "srv+", &rest)) {
        address->kind = RESOLVE_SERVICE;
        address->name = rest;
    } else {
        wrong = parse_host(text, address);
    }
    if (!wrong && address->name.size == 0)
        return "no host is named";
    if (!wrong && address->name.size > 253)
        return "a host name has at most 253 characters";
    return wrong;
}

/* --- contacts --- */

static bool add_contact(struct join *join, uint32_t entry, const struct endpoint *endpoint)
{
    if (join->contact_count == join->contact_capacity) {
        uint32_t capacity = join->contact_capacity ? join->contact_capacity * 2 : 4;
        struct contact *contacts = realloc(join->contacts, capacity * sizeof *contacts);
        if (!contacts)
            return false;
        join->contacts = contacts;
        join->contact_capacity = capacity;
    }
    join->contacts[join->contact_count++] = (struct contact){.endpoint = *endpoint, .entry = entry};
    return true;
}

static void fail_contact(struct serf *serf, struct contact *contact, struct span error)
{
    char text[ENDPOINT_TEXT_SIZE];
    contact->state = CONTACT_FAILED;
    contact->error = copy_text(error);
    serf_log(serf, LOG_LEVEL_DEBUG, "memberlist: failed to join %s: %.*s",
             endpoint_text(&contact->endpoint, text), SPAN_PRINT(error));
}

static void start_contact(struct serf *serf, struct join *join, uint32_t number)
{
    struct contact *contact = &join->contacts[number];
    uint32_t sync = swim_join(&serf->swim, &contact->endpoint, join->dial_timeout);
    if (sync != 0 && !number_map_insert(&serf->syncs, sync, join)) {
        swim_cancel_join(&serf->swim, sync);
        sync = 0;
    }
    if (sync == 0) {
        fail_contact(serf, contact, span_text("too many streams are open"));
        return;
    }
    contact->state = CONTACT_RUNNING;
    join->running[join->running_count].sync = sync;
    join->running[join->running_count++].contact = number;
}

/* --- whom to ask --- */

/* What was asked for by name is asked all of it, several at a time. The policy asks one address at
 * a time, in random order, until it has met enough: a thousand members that start together must not
 * each fetch what a thousand know. */
static bool is_of_policy(const struct join *join)
{
    return join->purpose == JOIN_TRY || join->purpose == JOIN_CHECK;
}

static bool has_met_enough(const struct serf *serf, const struct join *join)
{
    if (join->purpose == JOIN_TRY)
        return join->peers >= TRY_PEERS || serf->policy.phase != POLICY_TRYING;
    if (join->purpose == JOIN_CHECK)
        return join->peers > 0 || join->contacts_started >= CHECK_CONTACTS;
    return false;
}

static int compare_contacts(const void *left, const void *right)
{
    const struct endpoint *a = &((const struct contact *)left)->endpoint;
    const struct endpoint *b = &((const struct contact *)right)->endpoint;
    int order = memcmp(a->address, b->address, sizeof a->address);
    if (order == 0)
        order = (int)a->address_size - (int)b->address_size;
    return order != 0 ? order : (int)a->port - (int)b->port;
}

/* A check looks whether there is more than what we know, which an address of our own or of a member
 * that is alive to us can't tell. A service address is nobody's own, and stays. */
static void leave_out_known(struct serf *serf, struct join *join)
{
    const struct member_table *table = &serf->swim.table;
    if (join->contact_count == 0)
        return;
    qsort(join->contacts, join->contact_count, sizeof *join->contacts, compare_contacts);
    for (uint32_t member = 0; member < table->slot_count; member++) {
        const struct member_record *record = member_at(table, member);
        if (!record->identity || !record->in_swim || record->state != NODE_ALIVE)
            continue;
        struct contact known = {.endpoint = member_endpoint(table, member)};
        struct contact *contact = bsearch(&known, join->contacts, join->contact_count,
                                          sizeof *join->contacts, compare_contacts);
        if (contact)
            contact->state = CONTACT_DONE;
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < join->contact_count; i++)
        if (join->contacts[i].state == CONTACT_WAITING)
            join->contacts[left++] = join->contacts[i];
    join->known = join->contact_count - left;
    join->contact_count = left;
}

/* Puts one of those that wait, at random, in front of them. */
static void draw_contact(struct serf *serf, struct join *join)
{
    uint32_t first = join->contacts_started;
    uint32_t drawn =
        first + (uint32_t)random_below(&serf->swim.random, join->contact_count - first);
    struct contact contact = join->contacts[first];
    join->contacts[first] = join->contacts[drawn];
    join->contacts[drawn] = contact;
}

/* Whether the next contact's address has been asked already: two names may lead to one. */
static bool was_asked(const struct join *join)
{
    const struct endpoint *next = &join->contacts[join->contacts_started].endpoint;
    for (uint32_t i = 0; i < join->contacts_started; i++)
        if (endpoint_equal(&join->contacts[i].endpoint, next))
            return true;
    return false;
}

static void forget_resolutions(struct serf *serf, struct join *join, const char *error)
{
    for (uint32_t i = 0; i < join->entry_count && join->unresolved > 0; i++) {
        struct join_entry *entry = &join->entries[i];
        if (entry->request == 0)
            continue;
        number_map_remove(&serf->resolutions, entry->request);
        entry->request = 0;
        entry->error = error ? copy_text(span_text(error)) : NULL;
        join->unresolved--;
    }
}

static void start_policy_contact(struct serf *serf, struct join *join)
{
    if (join->purpose == JOIN_CHECK && join->contacts_started == 0) {
        if (join->unresolved > 0)
            return;
        leave_out_known(serf, join);
    }
    while (join->running_count == 0 && join->contacts_started < join->contact_count &&
           !has_met_enough(serf, join)) {
        draw_contact(serf, join);
        if (was_asked(join))
            join->contacts[join->contacts_started] = join->contacts[--join->contact_count];
        else
            start_contact(serf, join, join->contacts_started++);
    }
    if (join->running_count == 0 && has_met_enough(serf, join))
        forget_resolutions(serf, join, NULL);
}

static void start_contacts(struct serf *serf, struct join *join)
{
    if (is_of_policy(join)) {
        start_policy_contact(serf, join);
        return;
    }
    while (join->contacts_started < join->contact_count &&
           join->running_count < CONTACTS_AT_ONCE_MAX)
        start_contact(serf, join, join->contacts_started++);
}

static void fail_entry(struct serf *serf, struct join_entry *entry, const char *reason)
{
    char error[768];
    snprintf(error, sizeof error, "failed to resolve %s: %s", entry->text ? entry->text : "",
             reason);
    entry->error = copy_text(span_text(error));
    serf_log(serf, LOG_LEVEL_WARN, "memberlist: %s", error);
}

static void ask_for_name(struct serf *serf, struct join *join, uint32_t entry,
                         const struct join_address *address)
{
    struct effect *effect = outbox_add(&serf->swim.outbox, EFFECT_RESOLVE);
    if (!effect) {
        join->entries[entry].error = copy_text(span_text("out of memory"));
        return;
    }
    do
        serf->last_resolution++;
    while (serf->last_resolution == 0 ||
           number_map_find(&serf->resolutions, serf->last_resolution));
    effect->resolve.request = serf->last_resolution;
    effect->resolve.kind = address->kind;
    effect->resolve.port = address->port;
    if (!outbox_copy(&serf->swim.outbox, &effect->resolve.name, address->name) ||
        !number_map_insert(&serf->resolutions, serf->last_resolution, &join->entries[entry])) {
        outbox_drop_last(&serf->swim.outbox);
        join->entries[entry].error = copy_text(span_text("out of memory"));
        return;
    }
    join->entries[entry].request = serf->last_resolution;
    join->unresolved++;
}

static void start_entry(struct serf *serf, struct join *join, uint32_t entry, struct span text)
{
    struct join_address address;
    struct endpoint endpoint;
    char host[256];
    const char *wrong = parse_address(text, serf->config.swim.bind_port, &address);
    join->entries[entry].join = join;
    join->entries[entry].text = copy_text(text);
    if (wrong) {
        fail_entry(serf, &join->entries[entry], wrong);
        return;
    }
    snprintf(host, sizeof host, "%.*s", SPAN_PRINT(address.name));
    if (address.kind != RESOLVE_HOST || !endpoint_from_text(&endpoint, host, address.port))
        ask_for_name(serf, join, entry, &address);
    else if (!add_contact(join, entry, &endpoint))
        join->entries[entry].error = copy_text(span_text("out of memory"));
}

struct join *join_start(struct serf *serf, enum join_purpose purpose, const struct span *addresses,
                        size_t count, bool replay, uint64_t dial_timeout)
{
    if (serf->join_count >= JOINS_MAX)
        return NULL;
    struct join *join = calloc(1, sizeof *join);
    struct join_entry *entries = calloc(count + 1, sizeof *entries);
    if (!join || !entries) {
        free(join);
        free(entries);
        return NULL;
    }
    *join = (struct join){.next = serf->joins,
                          .purpose = purpose,
                          .ignore_old = !replay,
                          .dial_timeout = dial_timeout,
                          .entries = entries,
                          .entry_count = (uint32_t)count};
    serf->joins = join;
    serf->join_count++;
    for (uint32_t entry = 0; entry < count; entry++)
        start_entry(serf, join, entry, addresses[entry]);
    start_contacts(serf, join);
    return join;
}

/* --- answers --- */

void join_resolved(struct serf *serf, uint32_t request, const struct endpoint *endpoints,
                   size_t count, bool whole, const char *error)
{
    struct join_entry *entry = number_map_remove(&serf->resolutions, request);
    if (!entry)
        return;
    struct join *join = entry->join;
    entry->request = 0;
    join->unresolved--;
    if (count == 0 || !whole)
        fail_entry(serf, entry, error ? error : "no address");
    for (size_t i = 0; i < count && i < RESOLVED_ADDRESSES_MAX; i++)
        if (!add_contact(join, (uint32_t)(entry - join->entries), &endpoints[i])) {
            fail_entry(serf, entry, "out of memory");
            break;
        }
    start_contacts(serf, join);
    join_end_if_done(serf, join);
}

/* The contact that is asked on this stream; it no longer counts as running. */
static struct contact *end_contact(struct serf *serf, struct join *join, uint32_t sync)
{
    number_map_remove(&serf->syncs, sync);
    for (uint32_t i = 0; i < join->running_count; i++)
        if (join->running[i].sync == sync) {
            struct contact *contact = &join->contacts[join->running[i].contact];
            join->running[i] = join->running[--join->running_count];
            return contact;
        }
    return NULL;
}

void join_synced(struct serf *serf, const struct effect *effect)
{
    struct join *join = number_map_find(&serf->syncs, effect->sync.sync);
    struct contact *contact = join ? end_contact(serf, join, effect->sync.sync) : NULL;
    if (!contact)
        return; /* a reconnect: nobody waits for it */
    if (effect->sync.ok) {
        contact->state = CONTACT_DONE;
        join->reached++;
        join->peers += !effect->sync.self;
        join->new_members += effect->sync.new_members;
    } else {
        fail_contact(serf, contact, effect->sync.error);
    }
    start_contacts(serf, join);
    join_end_if_done(serf, join);
}

/* --- the end --- */

static void stop_join(struct serf *serf, struct join *join)
{
    const char *reason = "this member is leaving";
    struct span error = span_text(reason);
    forget_resolutions(serf, join, reason);
    for (uint32_t i = join->running_count; i-- > 0;) {
        uint32_t sync = join->running[i].sync;
        if (swim_cancel_join(&serf->swim, sync))
            fail_contact(serf, end_contact(serf, join, sync), error);
    }
    for (uint32_t i = join->contacts_started; i < join->contact_count; i++)
        fail_contact(serf, &join->contacts[i], error);
    join->contacts_started = join->contact_count;
}

void joins_stop(struct serf *serf)
{
    for (struct join *join = serf->joins, *next; join; join = next) {
        next = join->next;
        stop_join(serf, join);
        join_end_if_done(serf, join);
    }
}

bool join_has_unresolved(const struct join *join)
{
    for (uint32_t i = 0; i < join->entry_count; i++)
        if (join->entries[i].error)
            return true;
    return false;
}

static uint32_t error_count(const struct join *join)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < join->entry_count; i++)
        count += join->entries[i].error != NULL;
    for (uint32_t i = 0; i < join->contact_count; i++)
        count += join->contacts[i].state == CONTACT_FAILED;
    return count;
}

static void append_error(struct buffer *out, bool one_line, const char *text)
{
    if (one_line)
        buffer_printf(out, "%s%s", out->size ? "; " : "", text);
    else
        buffer_printf(out, "\t* %s\n", text);
}

void join_error_text(const struct join *join, bool one_line, struct buffer *out)
{
    uint32_t count = error_count(join);
    if (!one_line)
        buffer_printf(out, "%u error%s occurred:\n", count, count == 1 ? "" : "s");
    for (uint32_t entry = 0; entry < join->entry_count; entry++) {
        if (join->entries[entry].error)
            append_error(out, one_line, join->entries[entry].error);
        for (uint32_t i = 0; i < join->contact_count; i++) {
            const struct contact *contact = &join->contacts[i];
            if (contact->entry != entry || contact->state != CONTACT_FAILED)
                continue;
            char where[ENDPOINT_TEXT_SIZE], text[768];
            snprintf(text, sizeof text, "failed to join %s: %s",
                     endpoint_text(&contact->endpoint, where),
                     contact->error ? contact->error : "out of memory");
            append_error(out, one_line, text);
        }
    }
    if (!one_line)
        buffer_append_text(out, "\n");
}

static void unlink_join(struct serf *serf, struct join *join)
{
    struct join **link = &serf->joins;
    while (*link != join)
        link = &(*link)->next;
    *link = join->next;
    serf->join_count--;
}

void join_end_if_done(struct serf *serf, struct join *join)
{
    if (join->unresolved > 0 || join->running_count > 0)
        return;
    unlink_join(serf, join);
    /* Not when we are leaving, which a newer intent would undo; nor when a try of the policy met
     * nobody but us. */
    bool meant = (join->purpose == JOIN_COMMANDED && join->reached > 0) ||
                 (join->purpose == JOIN_TRY && join->peers > 0);
    if (meant && serf->state == SERF_ALIVE)
        broadcast_join_intent(serf);
    if (join->purpose == JOIN_REJOIN) {
        rejoin_ended(serf, join);
    } else if (join->purpose != JOIN_COMMANDED) {
        policy_try_ended(serf, join);
    } else if (join->reached > 0 || join->entry_count == 0) {
        command_done(serf, join->command, true, join->reached, NULL);
    } else {
        struct buffer text;
        buffer_init(&text, 65536);
        join_error_text(join, false, &text);
        command_done(serf, join->command, false, 0, buffer_text(&text));
        buffer_fini(&text);
    }
    free_join(join);
    command_listener_gone(serf);
}

uint32_t serf_join(struct serf *serf, uint64_t now, const struct span *addresses, size_t count,
                   bool replay)
{
    serf->swim.now = now;
    if (++serf->last_command == 0)
        serf->last_command = 1;
    uint32_t command = serf->last_command;
    struct join *join = NULL;
    if (serf->state != SERF_ALIVE)
        command_done(serf, command, false, 0, "Serf can't Join after Leave or Shutdown");
    else if (count > JOIN_ADDRESSES_MAX)
        command_done(serf, command, false, 0, "more than 1024 addresses in one join");
    else if (serf->join_count >= JOINS_MAX)
        command_done(serf, command, false, 0, "1024 joins are in progress: no more at once");
    else if (!(join =
                   join_start(serf, JOIN_COMMANDED, addresses, count,
                              replay || rejoin_is_resuming(serf), serf->config.swim.tcp_timeout)))
        command_done(serf, command, false, 0, "out of memory");
    if (join) {
        join->command = command;
        join_end_if_done(serf, join);
    }
    serf_pump(serf);
    return command;
}

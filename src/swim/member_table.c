#include "member_table.h"

#include "array.h"
#include "broadcast_queue.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(sizeof(struct member_record) == 32, "a view of a member is 32 bytes");

enum {
    PICK_BY_LIST_MAX = 64, /* tables up to this size are picked from without rejection */
    DRAWS_PER_PICK = 64,
};

static uint32_t hash_name(const struct intern_pool *pool, struct span name)
{
    return (uint32_t)siphash(&pool->key, name);
}

static uint64_t record_hash(const void *context, uint32_t member)
{
    const struct member_table *table = context;
    return member_identity(table, member)->name_hash;
}

static bool record_has_name(const void *context, uint32_t member, const void *key)
{
    const struct member_table *table = context;
    return span_equal(member_name(table, member), *(const struct span *)key);
}

void member_table_init(struct member_table *table, struct intern_pool *pool, uint32_t maximum)
{
    *table = (struct member_table){.pool = pool, .maximum = maximum, .free_slot = MEMBER_NONE};
    hash_index_init(&table->index, table, record_hash, record_has_name);
}

void member_table_fini(struct member_table *table)
{
    for (uint32_t member = 0; member < table->slot_count; member++)
        intern_release(table->pool, table->records[member].identity);
    free(table->records);
    hash_index_fini(&table->index);
    *table = (struct member_table){0};
}

uint32_t member_table_hash(const struct member_table *table, struct span name)
{
    uint32_t hash = hash_name(table->pool, name);
    hash_index_expect(&table->index, hash);
    return hash;
}

void member_table_expect_record(const struct member_table *table, uint32_t hash)
{
    uint32_t member = hash_index_candidate(&table->index, hash);
    if (member != HASH_INDEX_NONE)
        __builtin_prefetch(&table->records[member]);
}

uint32_t member_table_find_hashed(const struct member_table *table, struct span name, uint32_t hash)
{
    return hash_index_find(&table->index, hash, &name);
}

uint32_t member_table_find(const struct member_table *table, struct span name)
{
    return member_table_find_hashed(table, name, hash_name(table->pool, name));
}

/* --- identities ---
 *
 * What follows writes the alive message's msgpack by hand, into memory that is known to be large
 * enough; a test holds it to what the table-driven writer makes of the same message. */

enum {
    TOLD_SIZE_MAX =
        5 + 3 + META_SIZE_MAX + 5 + 3 + MEMBER_NAME_SIZE_MAX + 5 + 5 + 4 + 1 + VERSIONS_SIZE,
};

static uint8_t *put_text(uint8_t *at, const char *text)
{
    size_t size = strlen(text);
    memcpy(at, text, size);
    return at + size;
}

static uint8_t *put_raw(uint8_t *at, struct span bytes)
{
    if (bytes.size <= 31) {
        *at++ = (uint8_t)(0xa0 | bytes.size);
    } else {
        *at++ = 0xda;
        *at++ = (uint8_t)(bytes.size >> 8);
        *at++ = (uint8_t)bytes.size;
    }
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static uint8_t *put_number(uint8_t *at, uint32_t number)
{
    int bytes = number <= 0x7f ? 0 : number <= 0xff ? 1 : number <= 0xffff ? 2 : 4;
    if (bytes > 0)
        *at++ = (uint8_t)(bytes == 1 ? 0xcc : bytes == 2 ? 0xcd : 0xce);
    else
        *at++ = (uint8_t)number;
    for (int i = bytes - 1; i >= 0; i--)
        *at++ = (uint8_t)(number >> (8 * i));
    return at;
}

struct atom *identity_intern(struct intern_pool *pool, struct span name, struct span address,
                             uint16_t port, struct span meta, const uint8_t versions[VERSIONS_SIZE])
{
    assert(name.size >= 1 && name.size <= MEMBER_NAME_SIZE_MAX && meta.size <= META_SIZE_MAX);
    assert(address.size == 4 || address.size == 16);
    union {
        struct identity identity;
        uint8_t bytes[offsetof(struct identity, told) + TOLD_SIZE_MAX];
    } parts;
    uint8_t *told = parts.bytes + offsetof(struct identity, told);
    parts.identity = (struct identity){
        .name_hash = hash_name(pool, name),
        .port = port,
        .address_size = (uint8_t)address.size,
        .name_size = (uint8_t)name.size,
        .meta_size = (uint16_t)meta.size,
    };
    memcpy(parts.identity.versions, versions, VERSIONS_SIZE);
    memcpy(parts.identity.address, address.data, address.size);
    uint8_t *at = put_text(told, "\xa4Meta");
    at = put_raw(at, meta);
    parts.identity.meta_at = (uint8_t)(at - told - (ptrdiff_t)meta.size);
    at = put_raw(put_text(at, "\xa4Node"), name);
    parts.identity.name_at = (uint16_t)(at - told - (ptrdiff_t)name.size);
    at = put_number(put_text(at, "\xa4Port"), port);
    at = put_raw(put_text(at, "\xa3Vsn"), span_make(versions, VERSIONS_SIZE));
    parts.identity.told_size = (uint16_t)(at - told);
    return intern(pool, span_make(parts.bytes, (size_t)(at - parts.bytes)));
}

void identity_write_alive(const struct identity *identity, uint32_t incarnation, struct buffer *out)
{
    uint8_t head[64] = {MESSAGE_ALIVE, 0x86};
    uint8_t *at = put_raw(put_text(head + 2, "\xa4"
                                             "Addr"),
                          identity_address(identity));
    at = put_number(put_text(at, "\xabIncarnation"), incarnation);
    size_t head_size = (size_t)(at - head);
    uint8_t *start = buffer_extend(out, head_size + identity->told_size);
    if (!start)
        return;
    memcpy(start, head, head_size);
    memcpy(start + head_size, identity->told, identity->told_size);
}

static bool grow_slots(struct member_table *table, uint32_t capacity)
{
    if (capacity > table->maximum)
        capacity = table->maximum;
    struct member_record *records = realloc(table->records, capacity * sizeof *records);
    if (!records)
        return false;
    table->records = records;
    table->slot_capacity = capacity;
    return true;
}

static bool reserve_slot(struct member_table *table)
{
    return table->free_slot != MEMBER_NONE || table->slot_count < table->slot_capacity ||
           grow_slots(table, array_grown_for(table->slot_capacity, table->slot_count + 1));
}

void member_table_expect(struct member_table *table, uint32_t count)
{
    if (count > table->maximum)
        count = table->maximum;
    if (count > table->slot_capacity)
        grow_slots(table, count);
    hash_index_expect_count(&table->index, count);
}

uint32_t member_table_add(struct member_table *table, struct atom *identity)
{
    if (table->record_count >= table->maximum || !reserve_slot(table) ||
        !hash_index_reserve(&table->index))
        return MEMBER_NONE;
    uint32_t member = table->free_slot;
    if (member != MEMBER_NONE)
        table->free_slot = table->records[member].incarnation;
    else
        member = table->slot_count++;
    table->records[member] =
        (struct member_record){.identity = identity, .broadcast = BROADCAST_NONE};
    hash_index_insert(&table->index, identity_of(identity)->name_hash, member);
    table->record_count++;
    return member;
}

void member_table_set_identity(struct member_table *table, uint32_t member, struct atom *identity)
{
    struct member_record *record = member_at(table, member);
    assert(span_equal(member_name(table, member), identity_name(identity_of(identity))));
    intern_release(table->pool, record->identity);
    record->identity = identity;
}

void member_set_state(struct member_table *table, uint32_t member, enum node_state state)
{
    struct member_record *record = member_at(table, member);
    if (record->in_swim)
        table->state_count[record->state]--;
    else
        table->swim_count++;
    record->in_swim = 1;
    record->state = (uint8_t)state;
    table->state_count[state]++;
}

void member_leave_swim(struct member_table *table, uint32_t member)
{
    struct member_record *record = member_at(table, member);
    assert(record->in_swim);
    table->state_count[record->state]--;
    table->swim_count--;
    record->in_swim = 0;
    record->incarnation = 0;
}

void member_set_status(struct member_table *table, uint32_t member, enum member_status status)
{
    struct member_record *record = member_at(table, member);
    if (record->in_serf)
        table->status_count[record->status]--;
    else
        table->serf_count++;
    record->in_serf = 1;
    record->status = (uint8_t)status;
    table->status_count[status]++;
}

void member_leave_serf(struct member_table *table, uint32_t member)
{
    struct member_record *record = member_at(table, member);
    assert(record->in_serf);
    table->status_count[record->status]--;
    table->serf_count--;
    record->in_serf = 0;
    record->status = STATUS_NONE;
    record->status_ltime = 0;
    record->last_event = 0;
}

void member_free_if_unknown(struct member_table *table, uint32_t member)
{
    struct member_record *record = member_at(table, member);
    if (record->in_swim || record->in_serf)
        return;
    assert(record->broadcast == BROADCAST_NONE && !record->suspected);
    hash_index_remove(&table->index, identity_of(record->identity)->name_hash, member);
    intern_release(table->pool, record->identity);
    *record = (struct member_record){.incarnation = table->free_slot};
    table->free_slot = member;
    table->record_count--;
}

struct endpoint identity_endpoint(const struct identity *identity)
{
    struct endpoint endpoint;
    bool valid = endpoint_from_bytes(&endpoint, identity_address(identity), identity->port);
    assert(valid);
    (void)valid;
    return endpoint;
}

struct endpoint member_endpoint(const struct member_table *table, uint32_t member)
{
    return identity_endpoint(member_identity(table, member));
}

void identity_view(const struct atom *atom, struct member_view *view)
{
    const struct identity *identity = identity_of(atom);
    *view = (struct member_view){
        .name = identity_name(identity),
        .endpoint = identity_endpoint(identity),
        .address = identity_address(identity),
        .meta = identity_meta(identity),
    };
    memcpy(view->versions, identity->versions, VERSIONS_SIZE);
}

static uint32_t pick_by_list(const struct member_table *table, struct random *random,
                             uint32_t wanted, uint32_t *picked,
                             bool (*accept)(const void *context, uint32_t member),
                             const void *context)
{
    uint32_t eligible[PICK_BY_LIST_MAX];
    uint32_t count = 0;
    for (uint32_t member = 0; member < table->slot_count; member++)
        if (table->records[member].identity && accept(context, member))
            eligible[count++] = member;
    uint32_t taken = 0;
    while (taken < wanted && taken < count) {
        uint32_t other = taken + (uint32_t)random_below(random, count - taken);
        picked[taken] = eligible[other];
        eligible[other] = eligible[taken];
        taken++;
    }
    return taken;
}

static bool is_picked(const uint32_t *picked, uint32_t count, uint32_t member)
{
    for (uint32_t i = 0; i < count; i++)
        if (picked[i] == member)
            return true;
    return false;
}

/* Looks at every slot and keeps each eligible one with the same probability (reservoir sampling).
 */
static uint32_t pick_by_scan(const struct member_table *table, struct random *random,
                             uint32_t wanted, uint32_t *picked,
                             bool (*accept)(const void *context, uint32_t member),
                             const void *context)
{
    uint32_t seen = 0;
    for (uint32_t member = 0; member < table->slot_count; member++) {
        if (!table->records[member].identity || !accept(context, member))
            continue;
        uint32_t place = seen < wanted ? seen : (uint32_t)random_below(random, (uint64_t)seen + 1);
        if (place < wanted)
            picked[place] = member;
        seen++;
    }
    return seen < wanted ? seen : wanted;
}

uint32_t member_table_pick(const struct member_table *table, struct random *random, uint32_t wanted,
                           uint32_t *picked, bool (*accept)(const void *context, uint32_t member),
                           const void *context)
{
    if (table->slot_count <= PICK_BY_LIST_MAX)
        return pick_by_list(table, random, wanted, picked, accept, context);
    /* Where many are eligible the first draws find them; where few are, among the slots of all who
     * are gone, a look at every slot does. */
    uint32_t taken = 0;
    for (uint32_t draws = DRAWS_PER_PICK * wanted; draws > 0 && taken < wanted; draws--) {
        uint32_t member = (uint32_t)random_below(random, table->slot_count);
        if (table->records[member].identity && accept(context, member) &&
            !is_picked(picked, taken, member))
            picked[taken++] = member;
    }
    return taken < wanted ? pick_by_scan(table, random, wanted, picked, accept, context) : taken;
}

void probe_order_begin(struct probe_order *order, struct random *random, uint32_t slot_count)
{
    *order = (struct probe_order){.half_bits = 1};
    while (order->half_bits < 16 && (UINT64_C(1) << (2 * order->half_bits)) < slot_count)
        order->half_bits++;
    for (size_t i = 0; i < sizeof order->keys / sizeof *order->keys; i++)
        order->keys[i] = random_u32(random);
}

/* A four-round Feistel network: a permutation whatever its round function is. */
static uint32_t permute(const struct probe_order *order, uint32_t number)
{
    uint32_t mask = (UINT32_C(1) << order->half_bits) - 1;
    uint32_t left = number >> order->half_bits;
    uint32_t right = number & mask;
    for (size_t i = 0; i < sizeof order->keys / sizeof *order->keys; i++) {
        uint32_t mixed = (right ^ order->keys[i]) * UINT32_C(0x9e3779b1);
        mixed ^= mixed >> 15;
        mixed *= UINT32_C(0x85ebca77);
        mixed ^= mixed >> 13;
        uint32_t next = left ^ (mixed & mask);
        left = right;
        right = next;
    }
    return left << order->half_bits | right;
}

uint32_t probe_order_next(struct probe_order *order, uint32_t slot_count)
{
    uint64_t size = UINT64_C(1) << (2 * order->half_bits);
    while (order->position < size) {
        uint32_t slot = permute(order, order->position++);
        if (slot < slot_count)
            return slot;
    }
    return MEMBER_NONE;
}

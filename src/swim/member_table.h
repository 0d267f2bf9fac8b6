/* The one table of members, shared by the membership core and the Serf layer.
 *
 * Each layer has its own presence in a record: the core forgets a dead member after half a minute
 * while Serf remembers it for a day. What all views of a member have in common (its identity: name,
 * address, versions, metadata) lives once in the intern pool. A record is 32 bytes and its place in
 * the index six on average, which is what lets one process simulate ten thousand members that each
 * know ten thousand. Slots are stable while a record lives. */
#ifndef SWIM_MEMBER_TABLE_H
#define SWIM_MEMBER_TABLE_H

#include "intern.h"
#include "member.h"
#include "random.h"

#define MEMBER_NONE UINT32_MAX

/* The bytes of an identity atom. Equal identities are equal bytes: unused bytes are zero.
 *
 * A cluster mostly says "alive", and an identity holds the end of that message as it travels, from
 * the key "Meta" on. Name and metadata are in it, so it takes hardly more room than they do. */
struct identity {
    uint32_t name_hash;
    uint16_t port;
    uint8_t address_size; /* 4 or 16, as the address travels */
    uint8_t name_size;
    uint16_t meta_size;
    uint16_t name_at, told_size; /* places in `told` */
    uint8_t meta_at;
    uint8_t versions[VERSIONS_SIZE];
    uint8_t address[16];
    uint8_t told[];
};

struct member_record {
    struct atom *identity; /* NULL: a free slot */
    uint64_t status_ltime; /* Serf: Lamport time of the last intent */
    uint32_t incarnation;  /* core; of a free slot: the next free slot */
    uint32_t changed;      /* core: coarse time of the last change of state, see swim_age */
    uint32_t broadcast;    /* core: its item in a broadcast queue, or BROADCAST_NONE */
    uint8_t state;         /* core: enum node_state */
    uint8_t status;        /* Serf: enum member_status */
    uint8_t in_swim : 1;   /* the core knows it */
    uint8_t in_serf : 1;   /* Serf knows it */
    uint8_t suspected : 1; /* core: a suspicion is running */
    uint8_t arrives : 1;   /* core: its item is in the queue of arrivals, not of changes */
    uint8_t last_event;    /* Serf: 1 + the last member event that was delivered, or 0 */
};

struct member_table {
    struct member_record *records; /* owned */
    uint32_t slot_count;           /* used part of `records`, free slots included */
    uint32_t slot_capacity;
    uint32_t free_slot;
    uint32_t record_count;
    uint32_t maximum;
    uint32_t swim_count;                      /* records with in_swim: N of the core's formulas */
    uint32_t state_count[NODE_LEFT + 1];      /* of those */
    uint32_t serf_count;                      /* records with in_serf: N of Serf's formulas */
    uint32_t status_count[STATUS_FAILED + 1]; /* of those */
    struct hash_index index;
    struct intern_pool *pool; /* borrowed */
};

void member_table_init(struct member_table *table, struct intern_pool *pool, uint32_t maximum);
void member_table_fini(struct member_table *table);

uint32_t member_table_find(const struct member_table *table, struct span name);

/* A look-up reads a place of the index and then a record, and in a large cluster no cache holds
 * either. Whoever has several names can have these reads overlap: hash all names and expect their
 * places, then expect their records, then find them. */
uint32_t member_table_hash(const struct member_table *table, struct span name);
void member_table_expect_record(const struct member_table *table, uint32_t hash);
uint32_t member_table_find_hashed(const struct member_table *table, struct span name,
                                  uint32_t hash);

/* The identity atom of these parts, with one reference; NULL when memory is out. `address` has 4 or
 * 16 bytes, the name 1 to MEMBER_NAME_SIZE_MAX, the metadata at most META_SIZE_MAX. */
struct atom *identity_intern(struct intern_pool *pool, struct span name, struct span address,
                             uint16_t port, struct span meta,
                             const uint8_t versions[VERSIONS_SIZE]);

/* A new record, in neither layer yet, for a name that is not in the table. Takes over the
 * reference. MEMBER_NONE when the table is full or memory is out (the reference is then still the
 * caller's). */
uint32_t member_table_add(struct member_table *table, struct atom *identity);

/* Makes room for `count` members at once, if there is memory. */
void member_table_expect(struct member_table *table, uint32_t count);

/* Gives the member another identity of the same name; takes over the reference. */
void member_table_set_identity(struct member_table *table, uint32_t member, struct atom *identity);

/* Enter, move within and leave the layers. A record that is in neither layer is freed. */
void member_set_state(struct member_table *table, uint32_t member, enum node_state state);
void member_leave_swim(struct member_table *table, uint32_t member);
void member_set_status(struct member_table *table, uint32_t member, enum member_status status);
void member_leave_serf(struct member_table *table, uint32_t member);
void member_free_if_unknown(struct member_table *table, uint32_t member);

static inline struct member_record *member_at(const struct member_table *table, uint32_t member)
{
    return &table->records[member];
}

static inline const struct identity *identity_of(const struct atom *atom)
{
    return (const struct identity *)(const void *)atom->bytes;
}

static inline const struct identity *member_identity(const struct member_table *table,
                                                     uint32_t member)
{
    return identity_of(table->records[member].identity);
}

static inline struct span identity_name(const struct identity *identity)
{
    return span_make(identity->told + identity->name_at, identity->name_size);
}

static inline struct span identity_meta(const struct identity *identity)
{
    return span_make(identity->told + identity->meta_at, identity->meta_size);
}

static inline struct span identity_address(const struct identity *identity)
{
    return span_make(identity->address, identity->address_size);
}

/* Appends the alive message, its type byte first; errors stay in out->failed. */
void identity_write_alive(const struct identity *identity, uint32_t incarnation,
                          struct buffer *out);

struct endpoint identity_endpoint(const struct identity *identity);
void identity_view(const struct atom *atom, struct member_view *view);

static inline struct span member_name(const struct member_table *table, uint32_t member)
{
    return identity_name(member_identity(table, member));
}

struct endpoint member_endpoint(const struct member_table *table, uint32_t member);

/* Picks up to `wanted` distinct members that `accept` says yes to, at random, each eligible member
 * as likely as any other (memberlist specification, 7.9). Returns how many. */
uint32_t member_table_pick(const struct member_table *table, struct random *random, uint32_t wanted,
                           uint32_t *picked, bool (*accept)(const void *context, uint32_t member),
                           const void *context);

/* The round-robin order of probing (SWIM, section 4.3): every slot once, in an order that is drawn
 * anew for each round. It is a keyed permutation of the slots and costs no memory per member: a
 * member that is added in mid-round stands at a random place of it, as the paper asks. */
struct probe_order {
    uint32_t half_bits; /* the permutation is of 2^(2 * half_bits) numbers */
    uint32_t position;
    uint32_t keys[4];
};

void probe_order_begin(struct probe_order *order, struct random *random, uint32_t slot_count);

/* The next slot below slot_count, or MEMBER_NONE at the end of the round. */
uint32_t probe_order_next(struct probe_order *order, uint32_t slot_count);

#endif

#include "hash_index.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ITEMS = 2000 };

/* The table: item i has the key keys[i]. `spread` decides how badly the hashes collide. */
struct table {
    uint32_t keys[ITEMS];
    uint64_t spread;
};

static uint64_t hash_of_key(const struct table *table, uint32_t key)
{
    return key * UINT64_C(0x9e3779b97f4a7c15) % table->spread;
}

static uint64_t hash_of(const void *table, uint32_t item)
{
    const struct table *t = table;
    return hash_of_key(t, t->keys[item]);
}

static bool has_key(const void *table, uint32_t item, const void *key)
{
    const struct table *t = table;
    return t->keys[item] == *(const uint32_t *)key;
}

static uint32_t find(const struct hash_index *index, const struct table *table, uint32_t key)
{
    return hash_index_find(index, hash_of_key(table, key), &key);
}

static void an_empty_index_finds_nothing(void **state)
{
    (void)state;
    static struct table table = {.spread = UINT64_MAX};
    struct hash_index index;
    hash_index_init(&index, &table, hash_of, has_key);
    assert_int_equal(find(&index, &table, 0), HASH_INDEX_NONE);
    hash_index_fini(&index);
}

static void churn_with_spread(uint64_t spread, int steps)
{
    static struct table table;
    static bool present[ITEMS];
    struct hash_index index;
    struct random random;
    uint32_t count = 0;
    table.spread = spread;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){(uint8_t)spread});
    hash_index_init(&index, &table, hash_of, has_key);
    for (uint32_t i = 0; i < ITEMS; i++) {
        table.keys[i] = i * 7 + 1;
        present[i] = false;
    }
    for (int step = 0; step < steps; step++) {
        uint32_t item = (uint32_t)random_below(&random, ITEMS);
        uint32_t key = table.keys[item];
        assert_int_equal(find(&index, &table, key), present[item] ? item : HASH_INDEX_NONE);
        if (present[item]) {
            hash_index_remove(&index, hash_of_key(&table, key), item);
            count--;
        } else {
            assert_true(hash_index_reserve(&index));
            hash_index_insert(&index, hash_of_key(&table, key), item);
            count++;
        }
        present[item] = !present[item];
        assert_int_equal(index.count, count);
        if (step % 1000 != 0)
            continue;
        for (uint32_t i = 0; i < ITEMS; i++)
            assert_int_equal(find(&index, &table, table.keys[i]), present[i] ? i : HASH_INDEX_NONE);
    }
    assert_true(index.capacity <= 4096); /* churn does not make it grow */
    hash_index_fini(&index);
}

static void churn_agrees_with_a_model(void **state)
{
    (void)state;
    churn_with_spread(UINT64_MAX, 20000);
}

static void churn_agrees_with_a_model_when_hashes_collide(void **state)
{
    (void)state;
    churn_with_spread(50, 5000);
    churn_with_spread(1, 3000); /* all the same */
}

static void a_reserve_makes_room_for_the_next_insert(void **state)
{
    (void)state;
    static struct table table = {.spread = UINT64_MAX};
    struct hash_index index;
    hash_index_init(&index, &table, hash_of, has_key);
    for (uint32_t i = 0; i < ITEMS; i++) {
        table.keys[i] = i;
        assert_true(hash_index_reserve(&index));
        assert_true(hash_index_reserve(&index)); /* asking twice is free */
        assert_true(index.count < index.capacity);
        hash_index_insert(&index, hash_of(&table, i), i);
        assert_true(index.count * 4 <= index.capacity * 3);
    }
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_int_equal(find(&index, &table, i), i);
    hash_index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_index_finds_nothing),
        cmocka_unit_test(churn_agrees_with_a_model),
        cmocka_unit_test(churn_agrees_with_a_model_when_hashes_collide),
        cmocka_unit_test(a_reserve_makes_room_for_the_next_insert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

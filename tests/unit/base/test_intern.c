#include "intern.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct intern_pool pool;

static int begin(void **state)
{
    (void)state;
    intern_init(&pool, &(struct siphash_key){1, 2});
    return 0;
}

static int end(void **state)
{
    (void)state;
    intern_fini(&pool); /* asserts that every atom was released */
    return 0;
}

static void equal_bytes_are_one_atom_with_counted_references(void **state)
{
    (void)state;
    struct atom *a = intern(&pool, span_text("alpha"));
    struct atom *b = intern(&pool, span_text("alpha"));
    struct atom *c = intern(&pool, span_text("beta"));
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_int_equal(a->references, 2);
    assert_true(span_equal_text(atom_span(a), "alpha"));
    assert_int_equal(pool.bytes, 9);
    assert_ptr_equal(intern_retain(a), a);
    assert_int_equal(a->references, 3);
    intern_release(&pool, a);
    intern_release(&pool, a);
    assert_int_equal(pool.bytes, 9);
    intern_release(&pool, a);
    assert_int_equal(pool.bytes, 4);
    intern_release(&pool, c);
    assert_int_equal(pool.bytes, 0);
    intern_release(&pool, NULL);
}

static void the_empty_string_and_bytes_with_nul_are_atoms(void **state)
{
    (void)state;
    struct atom *empty = intern(&pool, SPAN_EMPTY);
    struct atom *a = intern(&pool, span_make("a\0b", 3));
    struct atom *b = intern(&pool, span_make("a\0c", 3));
    assert_int_equal(empty->size, 0);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(intern(&pool, span_text("")), empty);
    intern_release(&pool, empty);
    intern_release(&pool, empty);
    intern_release(&pool, a);
    intern_release(&pool, b);
}

static void atoms_are_aligned_to_8_bytes(void **state)
{
    (void)state;
    struct atom *a = intern(&pool, span_text("x"));
    assert_int_equal((uintptr_t)a->bytes % 8, 0);
    intern_release(&pool, a);
}

static void places_of_released_atoms_are_used_again(void **state)
{
    (void)state;
    enum { NAMES = 300 };
    struct atom *atoms[NAMES] = {NULL};
    struct random random;
    random_init(&random, (const uint8_t[RANDOM_SEED_SIZE]){5});
    for (int step = 0; step < 20000; step++) {
        size_t i = (size_t)random_below(&random, NAMES);
        char name[16];
        snprintf(name, sizeof name, "node-%zu", i);
        if (atoms[i]) {
            assert_true(span_equal_text(atom_span(atoms[i]), name));
            intern_release(&pool, atoms[i]);
            atoms[i] = NULL;
        } else {
            atoms[i] = intern(&pool, span_text(name));
            assert_int_equal(atoms[i]->references, 1);
        }
    }
    assert_true(pool.atom_count <= NAMES);
    for (size_t i = 0; i < NAMES; i++)
        intern_release(&pool, atoms[i]);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(equal_bytes_are_one_atom_with_counted_references),
        test(the_empty_string_and_bytes_with_nul_are_atoms),
        test(atoms_are_aligned_to_8_bytes),
        test(places_of_released_atoms_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

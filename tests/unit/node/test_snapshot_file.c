#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "files.h"
#include "snapshot_file.h"

static char folder[] = "/tmp/cserf-snapshot-XXXXXX";
static char path[64];
static struct loop *loop;
static struct intern_pool pool;
static struct snapshot snapshot;
static struct buffer error, said, anew;
static unsigned written_anew;

static bool write_anew(void *context, struct buffer *out)
{
    (void)context;
    written_anew++;
    return buffer_append_span(out, buffer_span(&anew));
}

static void say(void *context, const char *text)
{
    (void)context;
    buffer_printf(&said, "%s\n", text);
}

static const struct snapshot_file_callbacks callbacks = {
    .write_anew = write_anew, .complain = say, .inform = say};

static int set_up(void **state)
{
    (void)state;
    static const struct siphash_key key = {1, 2};
    snprintf(folder, sizeof folder, "/tmp/cserf-snapshot-XXXXXX");
    if (!mkdtemp(folder) || !(loop = loop_new()))
        return -1;
    snprintf(path, sizeof path, "%s/snapshot", folder);
    intern_init(&pool, &key);
    snapshot_init(&snapshot, &pool);
    buffer_init(&error, 4096);
    buffer_init(&said, 65536);
    buffer_init(&anew, 65536);
    written_anew = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    snapshot_fini(&snapshot);
    intern_fini(&pool);
    buffer_fini(&error);
    buffer_fini(&said);
    buffer_fini(&anew);
    loop_free(loop);
    unlink(path);
    return rmdir(folder); /* nothing else was left there */
}

static struct snapshot_file *open_it(void)
{
    return snapshot_file_open(loop, path, false, &callbacks, &snapshot, &error);
}

static void put(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_file(const char *expected)
{
    struct buffer contents, reason;
    buffer_init(&contents, 1 << 22);
    buffer_init(&reason, 1024);
    assert_true(file_read(path, &contents, &reason));
    assert_string_equal(buffer_text(&contents), expected);
    buffer_fini(&contents);
    buffer_fini(&reason);
}

static uint64_t file_size(void)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static void turn_until_size(uint64_t size)
{
    uint64_t end = loop_now() + UINT64_C(10000000000);
    while (file_size() != size && loop_now() < end) {
        loop_turn(loop, false);
        usleep(1000);
    }
    assert_int_equal(file_size(), size);
}

static void a_new_file_is_made_and_holds_what_was_appended(void **state)
{
    (void)state;
    struct snapshot_file *file = open_it();
    assert_non_null(file);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
    snapshot_file_append(file, span_text("clock: 1\n"), false);
    snapshot_file_append(file, span_text("clock: 2\n"), false);
    snapshot_file_close(file);
    assert_file("clock: 1\nclock: 2\n");
    assert_int_equal(said.size, 0);
}

static void a_line_is_written_although_no_other_follows(void **state)
{
    (void)state;
    struct snapshot_file *file = open_it();
    snapshot_file_append(file, span_text("clock: 1\n"), false);
    assert_int_equal(file_size(), 0);
    turn_until_size(9);
    snapshot_file_close(file);
}

static void a_leave_is_written_at_once(void **state)
{
    (void)state;
    struct snapshot_file *file = open_it();
    snapshot_file_append(file, span_text("clock: 1\n"), false);
    snapshot_file_append(file, span_text("leave\n"), true);
    assert_int_equal(file_size(), 15);
    snapshot_file_close(file);
}

static void a_torn_line_is_cut_off_before_anything_is_appended(void **state)
{
    (void)state;
    put("alive: a 10.0.0.1:1\nalive: b 10.0");
    struct snapshot_file *file = open_it();
    assert_non_null(file);
    assert_int_equal(snapshot.peer_count, 1);
    snapshot_file_append(file, span_text("clock: 1\n"), false);
    snapshot_file_close(file);
    assert_file("alive: a 10.0.0.1:1\nclock: 1\n");
}

static void damaged_lines_are_told_of_in_one_line(void **state)
{
    (void)state;
    put("clock: 7\n?\n?\nclock: x\n");
    struct snapshot_file *file = open_it();
    assert_int_equal(snapshot.clock, 7);
    char expected[256];
    snprintf(expected, sizeof expected,
             "serf: Unrecognized snapshot lines: 3 in %s, the first is line 2; they are skipped\n",
             path);
    assert_string_equal(buffer_text(&said), expected);
    snapshot_file_close(file);
}

static void a_file_that_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_null(open_it());
    char expected[256];
    snprintf(expected, sizeof expected, "failed to open snapshot: open %s: is a directory", path);
    assert_string_equal(buffer_text(&error), expected);
    rmdir(path);
}

static void append_lines(struct snapshot_file *file, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        snapshot_file_append(file, span_text("alive: somebody 10.20.30.40:7946\n"), false);
}

/* It begins when all that has happened has been told, not amid it. */
static void grow_until_it_is_replaced(struct snapshot_file *file)
{
    append_lines(file, 128 * 1024 / 33 + 200);
    assert_int_equal(written_anew, 0);
    uint64_t end = loop_now() + UINT64_C(10000000000);
    while (written_anew == 0 && loop_now() < end)
        loop_turn(loop, false);
    assert_int_equal(written_anew, 1);
}

static void a_file_that_has_grown_is_replaced_by_a_short_one(void **state)
{
    (void)state;
    struct snapshot_file *file = open_it();
    buffer_append_text(&anew, "alive: somebody 10.20.30.40:7946\nclock: 9\n");
    grow_until_it_is_replaced(file);
    snapshot_file_append(file, span_text("clock: 10\n"), false); /* while it is being replaced */
    uint64_t end = loop_now() + UINT64_C(10000000000);
    while (file_size() > 65536 && loop_now() < end) {
        loop_turn(loop, false);
        usleep(1000);
    }
    snapshot_file_append(file, span_text("clock: 11\n"), false);
    snapshot_file_close(file);
    assert_int_equal(written_anew, 1);
    struct buffer contents, reason;
    buffer_init(&contents, 65536);
    buffer_init(&reason, 1024);
    assert_true(file_read(path, &contents, &reason));
    const char *text = buffer_text(&contents);
    assert_int_equal(strncmp(text, buffer_text(&anew), anew.size), 0);
    assert_string_equal(text + contents.size - 20, "clock: 10\nclock: 11\n");
    buffer_fini(&contents);
    buffer_fini(&reason);
}

static void a_close_amid_a_replacement_loses_nothing(void **state)
{
    (void)state;
    struct snapshot_file *file = open_it();
    buffer_append_text(&anew, "clock: 9\n");
    grow_until_it_is_replaced(file);
    snapshot_file_append(file, span_text("clock: 12\n"), false);
    snapshot_file_close(file);
    assert_int_equal(snapshot_read(&snapshot, SPAN_EMPTY, false), true);
    struct snapshot_file *again = open_it();
    assert_int_equal(snapshot.clock, 12);
    snapshot_file_close(again);
}

static void a_replacement_that_fails_leaves_the_old_file_whole(void **state)
{
    (void)state;
    struct snapshot_file *file = open_it();
    assert_int_equal(chmod(folder, 0500), 0);
    if (geteuid() == 0) { /* whom modes do not stop */
        char elsewhere[sizeof folder + 8];
        snprintf(elsewhere, sizeof elsewhere, "%s-gone", folder);
        assert_int_equal(rename(folder, elsewhere), 0);
        grow_until_it_is_replaced(file);
        snapshot_file_append(file, span_text("clock: 13\n"), false);
        snapshot_file_close(file);
        assert_int_equal(rename(elsewhere, folder), 0);
    } else {
        grow_until_it_is_replaced(file);
        snapshot_file_append(file, span_text("clock: 13\n"), false);
        snapshot_file_close(file);
    }
    chmod(folder, 0700);
    assert_non_null(
        strstr(buffer_text(&said), "serf: Compaction failed, will reattempt after 30s"));
    struct snapshot_file *again = open_it();
    assert_int_equal(snapshot.clock, 13);
    assert_int_equal(snapshot.peer_count, 1);
    snapshot_file_close(again);
}

static void a_full_disk_is_one_line_in_the_log(void **state)
{
    (void)state;
    struct rlimit limit, small;
    struct snapshot_file *file = open_it();
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 6000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    append_lines(file, 1000);
    for (int i = 0; i < 100; i++)
        loop_turn(loop, false);
    append_lines(file, 1000);
    setrlimit(RLIMIT_FSIZE, &limit);
    snapshot_file_close(file);
    signal(SIGXFSZ, SIG_DFL);
    char expected[256];
    snprintf(expected, sizeof expected,
             "serf: Failed to update snapshot: write %s: file too large; trying again in 30s\n",
             path);
    assert_string_equal(buffer_text(&said), expected);
    struct snapshot_file *again = open_it(); /* with half a line at its end */
    assert_non_null(again);
    assert_int_equal(snapshot.peer_count, 1);
    assert_int_equal(snapshot.bad_lines, 0);
    snapshot_file_close(again);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_made_and_holds_what_was_appended),
        TEST(a_line_is_written_although_no_other_follows),
        TEST(a_leave_is_written_at_once),
        TEST(a_torn_line_is_cut_off_before_anything_is_appended),
        TEST(damaged_lines_are_told_of_in_one_line),
        TEST(a_file_that_cannot_be_opened_is_an_error),
        TEST(a_file_that_has_grown_is_replaced_by_a_short_one),
        TEST(a_close_amid_a_replacement_loses_nothing),
        TEST(a_replacement_that_fails_leaves_the_old_file_whole),
        TEST(a_full_disk_is_one_line_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

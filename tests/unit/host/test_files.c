#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "files.h"

static char folder[] = "/tmp/cserf-files-XXXXXX";
static char path[64];
static struct buffer contents, error;

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/file", folder);
    buffer_init(&contents, 100);
    buffer_init(&error, 512);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    buffer_fini(&contents);
    buffer_fini(&error);
    return 0;
}

static unsigned files_in_folder(void)
{
    unsigned count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void what_is_written_is_read_back_and_replaced(void **state)
{
    struct stat status;
    (void)state;
    mode_t mask = umask(0077);
    assert_true(file_write(path, span_text("one"), 0644, &error));
    umask(mask);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_true(file_write(path, span_text("two and more"), 0600, &error));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_true(file_read(path, &contents, &error));
    assert_string_equal(buffer_text(&contents), "two and more");
    assert_int_equal(files_in_folder(), 1);
}

static void a_reader_that_opened_before_keeps_the_old_contents(void **state)
{
    char text[8] = "";
    (void)state;
    assert_true(file_write(path, span_text("old"), 0600, &error));
    FILE *before = fopen(path, "r");
    assert_non_null(before);
    assert_true(file_write(path, span_text("new"), 0600, &error));
    assert_non_null(fgets(text, sizeof text, before));
    assert_string_equal(text, "old");
    fclose(before);
}

static void a_file_beyond_the_limit_is_refused(void **state)
{
    char expected[128];
    uint8_t many[101] = {0};
    (void)state;
    assert_true(file_write(path, span_make(many, 100), 0600, &error));
    assert_true(file_read(path, &contents, &error));
    buffer_reset(&contents);
    assert_true(file_write(path, span_make(many, 101), 0600, &error));
    assert_false(file_read(path, &contents, &error));
    snprintf(expected, sizeof expected, "read %s: larger than the limit of 100 bytes", path);
    assert_string_equal(buffer_text(&error), expected);
}

static void failures_name_the_file_and_leave_nothing_behind(void **state)
{
    char expected[128];
    (void)state;
    assert_false(file_read(path, &contents, &error));
    snprintf(expected, sizeof expected, "open %s: no such file or directory", path);
    assert_string_equal(buffer_text(&error), expected);
    buffer_reset(&error);
    assert_false(file_read(folder, &contents, &error));
    snprintf(expected, sizeof expected, "read %s: is a directory", folder);
    assert_string_equal(buffer_text(&error), expected);
    buffer_reset(&error);
    assert_false(file_write("/nowhere/file", SPAN_EMPTY, 0600, &error));
    assert_string_equal(buffer_text(&error), "open /nowhere/file: no such file or directory");
    buffer_reset(&error);
    /* A folder can't be replaced by a file: the temporary one must go again. */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(file_write(path, SPAN_EMPTY, 0600, &error));
    assert_int_equal(files_in_folder(), 1);
    assert_int_equal(rmdir(path), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read_back_and_replaced),
        TEST(a_reader_that_opened_before_keeps_the_old_contents),
        TEST(a_file_beyond_the_limit_is_refused),
        TEST(failures_name_the_file_and_leave_nothing_behind),
    };
    return cmocka_run_group_tests_name("files", tests, make_folder, remove_folder);
}

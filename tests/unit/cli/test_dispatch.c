/* Which command runs, with what, and what is printed where. */
#include "command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char ran[256];

static int note(const char *name, int argc, char **argv)
{
    snprintf(ran, sizeof ran, "%s", name);
    for (int i = 1; i < argc; i++)
        snprintf(ran + strlen(ran), sizeof ran - strlen(ran), " %s", argv[i]);
    return 0;
}

static int run_members(int argc, char **argv)
{
    return note("members", argc, argv);
}

static int run_version(int argc, char **argv)
{
    return note("version", argc, argv);
}

static const struct command members = {"members", "Lists", "Usage: serf members", run_members};
static const struct command version = {"version", "Prints", "", run_version};
static const struct command *const commands[] = {&members, &version};

static char printed[2048]; /* on standard error */

static int dispatch_words(const char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int before = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    ran[0] = '\0';
    int status = dispatch(commands, 2, argc, (char **)argv);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    size_t size = fread(printed, 1, sizeof printed - 1, file);
    printed[size] = '\0';
    fclose(file);
    return status;
}

#define DISPATCH(...) dispatch_words((const char *[]){"serf", __VA_ARGS__, NULL})

static const char usage[] = "Usage: serf [--version] [--help] <command> [<args>]\n\n"
                            "Available commands are:\n"
                            "    members    Lists\n"
                            "    version    Prints\n"
                            "\n";

static void no_command_and_unknown_ones_end_with_127(void **state)
{
    (void)state;
    static const char *const words[] = {"help", "bogus", "-bogus", "-version", "MEMBERS", "member"};
    assert_int_equal(dispatch_words((const char *[]){"serf", NULL}), 127);
    assert_string_equal(printed, usage);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_int_equal(DISPATCH(words[i]), 127);
        assert_string_equal(printed, usage);
    }
    assert_int_equal(DISPATCH("help", "members"), 127);
    assert_int_equal(DISPATCH("bogus", "-h"), 127);
    assert_int_equal(DISPATCH("--", "members"), 127);
}

static void help_is_found_anywhere_before_two_dashes(void **state)
{
    (void)state;
    static const char *const words[] = {"-h", "-help", "--help"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_int_equal(DISPATCH(words[i]), 0);
        assert_string_equal(printed, usage);
        assert_int_equal(DISPATCH("members", "x", words[i]), 0);
        assert_string_equal(printed, "Usage: serf members\n");
        assert_string_equal(ran, "");
        assert_int_equal(DISPATCH("version", words[i]), 0);
        assert_string_equal(printed, "\n");
        assert_int_equal(DISPATCH("members", "--", words[i]), 0);
        assert_string_equal(ran + strlen("members -- "), words[i]);
    }
}

static void the_version_is_found_anywhere_before_two_dashes(void **state)
{
    (void)state;
    assert_int_equal(DISPATCH("-v"), 0);
    assert_string_equal(ran, "version");
    assert_int_equal(DISPATCH("members", "x", "--version"), 0);
    assert_string_equal(ran, "version");
    assert_int_equal(DISPATCH("members", "--", "-v"), 0);
    assert_string_equal(ran, "members -- -v");
}

static void flags_before_the_command_are_refused(void **state)
{
    (void)state;
    assert_int_equal(DISPATCH("-rpc-addr=x", "members"), 1);
    assert_string_equal(printed, "Invalid flags before the subcommand. If these flags are for\n"
                                 "the subcommand, please put them after the subcommand.\n\n"
                                 "Usage: serf members\n");
    assert_string_equal(ran, "");
}

static void a_command_gets_the_words_behind_its_name(void **state)
{
    (void)state;
    assert_int_equal(DISPATCH("members", "-a", "b", ""), 0);
    assert_string_equal(ran, "members -a b ");
    assert_int_equal(DISPATCH("", "members"), 0);
    assert_string_equal(ran, "members");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_command_and_unknown_ones_end_with_127),
        cmocka_unit_test(help_is_found_anywhere_before_two_dashes),
        cmocka_unit_test(the_version_is_found_anywhere_before_two_dashes),
        cmocka_unit_test(flags_before_the_command_are_refused),
        cmocka_unit_test(a_command_gets_the_words_behind_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

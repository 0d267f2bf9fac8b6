/* Help is looked for before anything else, wherever it stands in front of a "--": who asks for it
 * has usually got the rest wrong. The version is asked for the same way. */
#include "command.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct request {
    bool help, version;
    bool flags_first; /* a flag stands before the command */
    int command;      /* index in argv; 0: none */
};

static bool is_one_of(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || (c && strcmp(word, c) == 0);
}

static struct request read_request(int argc, char **argv)
{
    struct request request = {0};
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i];
        if (is_one_of(word, "-h", "-help", "--help"))
            request.help = true;
        else if (is_one_of(word, "-v", "--version", NULL))
            request.version = true;
        else if (request.command == 0 && word[0] == '-')
            request.flags_first = true;
        else if (request.command == 0 && word[0] != '\0')
            request.command = i;
    }
    return request;
}

static const struct command *find_command(const struct command *const *commands, size_t count,
                                          const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void print_usage(const struct command *const *commands, size_t count)
{
    size_t width = 0;
    for (size_t i = 0; i < count; i++)
        width = strlen(commands[i]->name) > width ? strlen(commands[i]->name) : width;
    fprintf(stderr, "Usage: serf [--version] [--help] <command> [<args>]\n\n"
                    "Available commands are:\n");
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "    %-*s    %s\n", (int)width, commands[i]->name, commands[i]->synopsis);
    fprintf(stderr, "\n");
}

static int run(const struct command *const *commands, size_t count, int argc, char **argv)
{
    struct request request = read_request(argc, argv);
    const char *name = request.version       ? "version"
                       : request.command > 0 ? argv[request.command]
                                             : "";
    const struct command *command = find_command(commands, count, name);
    if (!command) {
        print_usage(commands, count);
        return request.help && *name == '\0' ? 0 : EXIT_NO_COMMAND;
    }
    if (request.help) {
        fprintf(stderr, "%s\n", command->help);
        return 0;
    }
    if (request.flags_first && !request.version) {
        fprintf(stderr,
                "Invalid flags before the subcommand. If these flags are for\n"
                "the subcommand, please put them after the subcommand.\n\n%s\n",
                command->help);
        return 1;
    }
    if (request.version)
        return command->run(1, argv);
    return command->run(argc - request.command, argv + request.command);
}

int dispatch(const struct command *const *commands, size_t count, int argc, char **argv)
{
    int status = run(commands, count, argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "serf: cannot write to standard output: %s\n", strerror(errno));
    return status == 0 ? 1 : status;
}

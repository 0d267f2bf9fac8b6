/* A shell as process 1 would keep TERM to itself, and every deleted pod would end as a failed
 * member; so this is no wrapper around the agent, it is the agent. Process 1 also inherits the
 * orphans of the container, which the agent's reaper collects. */
#include "boot.h"

#include "agent.h"
#include "boot_arguments.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { BOOT_OUTPUT_MAX = 4 * 1024 * 1024, RULE_WIDTH = 70 };

static void append_rule(struct buffer *out)
{
    for (int i = 0; i < RULE_WIDTH; i++)
        buffer_append_u8(out, '=');
    buffer_append_u8(out, '\n');
}

static void write_standard_output(struct span text)
{
    while (text.size > 0) {
        ssize_t written = write(STDOUT_FILENO, text.data, text.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        text = span_from(text, (size_t)written);
    }
}

int boot_main(int argc, char **argv)
{
    struct boot_arguments arguments;
    struct buffer out;
    agent_signals_hold();
    if (!boot_arguments_make(&arguments, argc, argv)) {
        fprintf(stderr, "boot: out of memory\n");
        return 1;
    }
    buffer_init(&out, BOOT_OUTPUT_MAX);
    append_rule(&out);
    boot_print_environment(&out, environ);
    append_rule(&out);
    boot_print_arguments(&out, arguments.count, arguments.words);
    write_standard_output(buffer_span(&out));
    buffer_fini(&out);
    int status = agent_main(arguments.count, arguments.words);
    boot_arguments_fini(&arguments);
    return status;
}

#include "sim_command.h"

#include "batch.h"
#include "cold_start.h"
#include "duration.h"
#include "flags.h"
#include "random_scenario.h"
#include "report.h"
#include "scenario_library.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_OK = 0, STATUS_VIOLATION = 1, STATUS_MISUSE = 2, MEMBERS_OF_START = 20 };

static const char usage[] =
    "Usage: serf-sim [options] SCENARIO...\n"
    "\n"
    "  Plays scenarios on a simulated cluster in virtual time and checks its invariants.\n"
    "  A scenario is the name of one that is built in (see --list) or a file. A run is a\n"
    "  function of the scenario, the seed and the number of members.\n"
    "\n"
    "Options:\n"
    "\n"
    "  --list              The scenarios that are built in, a sentence each.\n"
    "  --show              Print the scenarios' text in place of playing them.\n"
    "  --seed N            The seed; of several runs the first one's (default: 1).\n"
    "  --members N         That many members in place of the scenario's.\n"
    "  --trace FILE        Write everything that happens to a file, or - for stdout.\n"
    "  --format FORMAT     The summary as text (default) or json.\n"
    "  --plot FILE         Write an SVG plot of the members known over time.\n"
    "  --random N          Play N scenarios drawn from the seeds SEED, SEED + 1, ...\n"
    "  --search DURATION   Play scenarios drawn from seeds until one fails, that long at most.\n"
    "  --starts N          Play N cold starts of --members members (default: 20) behind one\n"
    "                      service address.\n"
    "  --by-name           --starts by a name that lists all members in place of that.\n"
    "  --jobs N            Spread --random, --search or --starts over N processes (default: 1).\n"
    "  --help              This text.\n"
    "\n"
    "Exit status: 0 when all invariants held, 1 when one did not, 2 for a mistake in the\n"
    "command or a scenario.\n";

struct options {
    bool list, show, help, by_name;
    int64_t seed, members, random, starts, jobs, search;
    const char *trace, *format, *plot;
    char **scenarios;
    int scenario_count;
};

/* --- progress --- */

struct progress {
    bool terminal;
    double last; /* seconds of real time */
    bool shown;
};

static double real_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* On a terminal a line that renews itself; elsewhere a line every ten seconds. */
static void show_progress(void *context, const struct simulation *simulation)
{
    struct progress *progress = context;
    double now = real_seconds();
    if (now - progress->last < (progress->terminal ? 0.5 : 10))
        return;
    progress->last = now;
    progress->shown = true;
    const struct checker *checker = simulation->checker;
    fprintf(stderr,
            "%s%.1f s of virtual time, %" PRIu32 " members run, %.1f %% of their views are right, "
            "%" PRIu64 " steps%s",
            progress->terminal ? "\r" : "", (double)simulation->now / 1e9, checker->running,
            checker->running
                ? 100.0 * (double)checker->current_sum / checker->running / checker->running
                : 100.0,
            simulation->counts.steps, progress->terminal ? "\x1b[K" : "\n");
}

static void end_progress(struct progress *progress)
{
    if (progress->terminal && progress->shown)
        fputs("\r\x1b[K", stderr);
    progress->shown = false;
}

/* --- scenarios --- */

static bool read_file(const char *path, struct buffer *text)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    uint8_t block[4096];
    size_t size;
    while ((size = fread(block, 1, sizeof block, file)) > 0)
        buffer_append(text, block, size);
    bool good = !ferror(file) && !text->failed;
    fclose(file);
    return good;
}

/* The text of a scenario that is built in, or in a file. */
static bool find_scenario(const char *name, struct buffer *text)
{
    for (size_t i = 0; i < scenario_library_count; i++)
        if (strcmp(scenario_library[i].name, name) == 0)
            return buffer_append_text(text, scenario_library[i].text);
    if (read_file(name, text))
        return true;
    fprintf(stderr,
            "serf-sim: %s: no scenario of that name is built in, and no such file can be read; "
            "--list shows those that are built in\n",
            name);
    return false;
}

static void list_scenarios(void)
{
    size_t width = 0;
    for (size_t i = 0; i < scenario_library_count; i++)
        if (strlen(scenario_library[i].name) > width)
            width = strlen(scenario_library[i].name);
    for (size_t i = 0; i < scenario_library_count; i++) {
        const char *sentence = scenario_library[i].text;
        sentence += *sentence == '#';
        sentence += *sentence == ' ';
        printf("%-*s  %.*s\n", (int)width, scenario_library[i].name, (int)strcspn(sentence, "\n"),
               sentence);
    }
}

static FILE *open_output(const char *path)
{
    if (strcmp(path, "-") == 0)
        return stdout;
    FILE *file = fopen(path, "we");
    if (!file)
        fprintf(stderr, "serf-sim: %s can't be written: %m\n", path);
    return file;
}

static bool close_output(FILE *file, const char *path)
{
    bool good = !ferror(file);
    if (file != stdout)
        good = fclose(file) == 0 && good;
    if (!good)
        fprintf(stderr, "serf-sim: %s can't be written whole\n", path);
    return good;
}

/* --- one run --- */

static void write_summary(const struct options *options, const char *name,
                          const struct run_result *result, const char *repeat)
{
    FILE *to = options->trace && strcmp(options->trace, "-") == 0 ? stderr : stdout;
    if (strcmp(options->format, "json") != 0) {
        report_text(to, name, result, repeat);
        return;
    }
    json_t *object = report_json(name, result, repeat);
    if (object && json_dumpf(object, to, JSON_INDENT(2)) == 0)
        fputc('\n', to);
    json_decref(object);
}

static int play_and_report(const struct options *options, const struct scenario *scenario,
                           const char *repeat)
{
    struct progress progress = {.terminal = isatty(STDERR_FILENO), .last = real_seconds()};
    struct player_options player = {.seed = (uint64_t)options->seed,
                                    .member_count = (uint32_t)options->members,
                                    .progress = show_progress,
                                    .context = &progress};
    struct run_result result;
    struct buffer error;
    if (options->trace && !(player.trace = open_output(options->trace)))
        return STATUS_MISUSE;
    buffer_init(&error, 4096);
    bool played = play(scenario, &player, &result, &error);
    end_progress(&progress);
    if (!played)
        fprintf(stderr, "serf-sim: %s\n", buffer_text(&error));
    buffer_fini(&error);
    int status = !played ? STATUS_MISUSE : result.violation.found ? STATUS_VIOLATION : STATUS_OK;
    if (player.trace && !close_output(player.trace, options->trace))
        status = STATUS_MISUSE;
    if (!played)
        return status;
    write_summary(options, scenario->name, &result, repeat);
    FILE *plot = options->plot ? open_output(options->plot) : NULL;
    if (plot)
        plot_svg(plot, scenario->name, &result);
    if (options->plot && (!plot || !close_output(plot, options->plot)))
        status = STATUS_MISUSE;
    run_result_fini(&result);
    return status;
}

static int play_text(const struct options *options, const char *name, struct buffer *text,
                     const char *repeat)
{
    struct scenario scenario;
    struct buffer error;
    buffer_init(&error, 4096);
    int status = STATUS_MISUSE;
    if (scenario_parse(&scenario, name, buffer_span(text), &error)) {
        status = play_and_report(options, &scenario, repeat);
        scenario_fini(&scenario);
    } else {
        fprintf(stderr, "serf-sim: %s\n", buffer_text(&error));
    }
    buffer_fini(&error);
    return status;
}

static int play_named(const struct options *options, const char *name)
{
    struct buffer text, repeat;
    buffer_init(&text, SCENARIO_BYTES_MAX + 1);
    buffer_init(&repeat, 4096);
    int status = STATUS_MISUSE;
    if (find_scenario(name, &text)) {
        buffer_printf(&repeat, "serf-sim --seed %" PRId64, options->seed);
        if (options->members)
            buffer_printf(&repeat, " --members %" PRId64, options->members);
        buffer_printf(&repeat, " %s", name);
        if (options->show) {
            fputs(buffer_text(&text), stdout);
            status = STATUS_OK;
        } else {
            status = play_text(options, name, &text, buffer_text(&repeat));
        }
    }
    buffer_fini(&text);
    buffer_fini(&repeat);
    return status;
}

/* --- many runs --- */

struct batch_context {
    const struct options *options;
    bool starts; /* cold starts, else random scenarios */
};

static void write_numbered(const struct batch_context *batch, uint64_t number, struct buffer *text)
{
    if (batch->starts)
        cold_start_write((uint32_t)batch->options->members, number, batch->options->by_name, text);
    else
        random_scenario_write(number, text);
}

static bool play_numbered(const void *context, uint64_t number, uint64_t *measured)
{
    const struct batch_context *batch = context;
    struct player_options player = {.seed = number};
    struct run_result result;
    struct scenario scenario;
    struct buffer text, error;
    buffer_init(&text, SCENARIO_BYTES_MAX);
    buffer_init(&error, 4096);
    write_numbered(batch, number, &text);
    bool good = scenario_parse(&scenario, "drawn", buffer_span(&text), &error);
    if (good) {
        good = play(&scenario, &player, &result, &error);
        scenario_fini(&scenario);
        if (good) {
            good = !result.violation.found;
            *measured = result.agreed_after;
            run_result_fini(&result);
        }
    }
    if (error.size > 0)
        fprintf(stderr, "serf-sim: number %" PRIu64 ": %s\n", number, buffer_text(&error));
    buffer_fini(&text);
    buffer_fini(&error);
    return good;
}

/* Plays one in full: the text of its scenario, and its summary. */
static int play_one(const struct batch_context *batch, uint64_t number)
{
    struct buffer text, repeat;
    struct options options = *batch->options;
    buffer_init(&text, SCENARIO_BYTES_MAX);
    buffer_init(&repeat, 256);
    write_numbered(batch, number, &text);
    buffer_printf(&repeat, "serf-sim --seed %" PRIu64, number);
    if (batch->starts)
        buffer_printf(&repeat, " --starts 1 --members %" PRId64 "%s", options.members,
                      options.by_name ? " --by-name" : "");
    else
        buffer_append_text(&repeat, " --random 1");
    printf("The scenario:\n\n%s\n", buffer_text(&text));
    options.seed = (int64_t)number;
    options.members = 0;
    int status =
        play_text(&options, batch->starts ? "cold start" : "random", &text, buffer_text(&repeat));
    buffer_fini(&text);
    buffer_fini(&repeat);
    return status;
}

static void show_batch_text(const struct batch_context *batch, const struct batch_result *result)
{
    double runs = result->runs ? (double)result->runs : 1;
    printf("%s: %s\n", batch->starts ? "cold starts" : "random scenarios",
           result->failed ? "FAILED" : "ok");
    printf("  seeds           %" PRId64 " on\n", batch->options->seed);
    if (batch->starts)
        printf("  members         %" PRId64 "\n", batch->options->members);
    printf("  runs            %" PRIu64 "\n", result->runs);
    printf("  agreement       %.3f s after the last change in the mean, %.3f s at worst (seed "
           "%" PRIu64 ")\n",
           (double)result->sum / runs / 1e9, (double)result->worst / 1e9, result->worst_number);
    printf("  CPU             %.2f s\n", result->cpu_seconds);
    if (result->failed)
        printf("  first failure   seed %" PRIu64 "\n", result->failed_number);
    fflush(stdout);
}

static void show_batch_json(const struct batch_context *batch, const struct batch_result *result)
{
    json_t *object = json_pack(
        "{s:s, s:b, s:I, s:I, s:f, s:f, s:I, s:f, s:o}", "batch",
        batch->starts ? "cold starts" : "random scenarios", "ok", !result->failed, "seed",
        (json_int_t)batch->options->seed, "runs", (json_int_t)result->runs,
        "mean_agreement_seconds",
        (double)result->sum / (result->runs ? (double)result->runs : 1) / 1e9,
        "worst_agreement_seconds", (double)result->worst / 1e9, "worst_seed",
        (json_int_t)result->worst_number, "cpu_seconds", result->cpu_seconds, "failed_seed",
        result->failed ? json_integer((json_int_t)result->failed_number) : json_null());
    if (object && json_dumpf(object, stdout, JSON_INDENT(2)) == 0)
        fputc('\n', stdout);
    json_decref(object);
}

static int play_batch(struct options *options)
{
    struct batch_context batch = {.options = options, .starts = options->starts > 0};
    uint64_t count = batch.starts          ? (uint64_t)options->starts
                     : options->search > 0 ? UINT64_MAX / 2
                                           : (uint64_t)options->random;
    struct batch_result result;
    if (batch.starts && options->members == 0)
        options->members = MEMBERS_OF_START;
    if (count == 1) /* with a trace and a plot, if they are wanted */
        return play_one(&batch, (uint64_t)options->seed);
    if (!batch_run((uint64_t)options->seed, count, (uint32_t)options->jobs,
                   (uint64_t)options->search, play_numbered, &batch, &result)) {
        fprintf(stderr, "serf-sim: a process that played a share of the runs died\n");
        return STATUS_MISUSE;
    }
    if (strcmp(options->format, "json") == 0)
        show_batch_json(&batch, &result);
    else
        show_batch_text(&batch, &result);
    if (result.failed)
        play_one(&batch, result.failed_number);
    return result.failed ? STATUS_VIOLATION : STATUS_OK;
}

/* --- the command --- */

static int misuse(const char *text)
{
    fprintf(stderr, "serf-sim: %s\nserf-sim --help shows how it is used.\n", text);
    return STATUS_MISUSE;
}

static const char *problem_of(const struct options *options)
{
    if (strcmp(options->format, "text") != 0 && strcmp(options->format, "json") != 0)
        return "--format must be text or json";
    if (options->members < 0 || options->members > MEMBERS_MAX)
        return "--members must be a number from 1 to 65536";
    if (options->jobs < 1 || options->jobs > BATCH_JOBS_MAX)
        return "--jobs must be a number from 1 to 64";
    if (options->seed < 0)
        return "--seed must be a number from 0 on";
    if (options->random < 0 || options->starts < 0 || options->search < 0)
        return "--random, --starts and --search take what is above 0";
    int modes = (options->random > 0) + (options->starts > 0) + (options->search > 0) +
                (options->scenario_count > 0) + options->list;
    if (modes > 1)
        return "name scenarios, or give one of --list, --random, --search and --starts, not both";
    if (options->by_name && options->starts == 0)
        return "--by-name goes with --starts";
    if (modes == 0)
        return "no scenario is named; --list shows those that are built in";
    return NULL;
}

static int run_options(struct options *options)
{
    const char *problem = options->help ? NULL : problem_of(options);
    if (problem)
        return misuse(problem);
    if (options->help) {
        fputs(usage, stdout);
        return STATUS_OK;
    }
    if (options->list) {
        list_scenarios();
        return STATUS_OK;
    }
    if (options->scenario_count == 0)
        return play_batch(options);
    int worst = STATUS_OK;
    for (int i = 0; i < options->scenario_count; i++) {
        int status = play_named(options, options->scenarios[i]);
        worst = status > worst ? status : worst;
    }
    return worst;
}

int sim_command(int argc, char **argv)
{
    struct options options = {.seed = 1, .jobs = 1, .format = "text"};
    const struct flag flags[] = {
        {"list", FLAG_BOOL, &options.list, NULL},
        {"show", FLAG_BOOL, &options.show, NULL},
        {"help", FLAG_BOOL, &options.help, NULL},
        {"h", FLAG_BOOL, &options.help, NULL},
        {"seed", FLAG_INTEGER, &options.seed, NULL},
        {"members", FLAG_INTEGER, &options.members, NULL},
        {"trace", FLAG_STRING, &options.trace, NULL},
        {"format", FLAG_STRING, &options.format, NULL},
        {"plot", FLAG_STRING, &options.plot, NULL},
        {"random", FLAG_INTEGER, &options.random, NULL},
        {"starts", FLAG_INTEGER, &options.starts, NULL},
        {"search", FLAG_DURATION, &options.search, NULL},
        {"by-name", FLAG_BOOL, &options.by_name, NULL},
        {"jobs", FLAG_INTEGER, &options.jobs, NULL},
    };
    struct buffer error;
    buffer_init(&error, 4096);
    int first = flags_parse(flags, sizeof flags / sizeof *flags, argc, argv, &error);
    if (first < 0) {
        int status = misuse(buffer_text(&error));
        buffer_fini(&error);
        return status;
    }
    buffer_fini(&error);
    options.scenarios = argv + first;
    options.scenario_count = argc - first;
    return run_options(&options);
}

/* The plot is drawn with whole tenths of a pixel, so that it is the same text on every machine. */
#include "report.h"

#include <inttypes.h>

enum {
    WIDTH = 960,
    HEIGHT = 420,
    LEFT = 60, /* margins */
    RIGHT = 20,
    TOP = 40,
    BOTTOM = 50,
    TICKS = 5,
    TENTHS = 10,
};

struct scale {
    uint64_t time;    /* at the right edge */
    uint32_t members; /* at the top */
};

static unsigned x_of(const struct scale *scale, uint64_t time)
{
    uint64_t pixels = (uint64_t)(WIDTH - LEFT - RIGHT) * TENTHS;
    /* In microseconds: a product of nanoseconds could overflow. */
    return (unsigned)(LEFT * TENTHS + time / 1000 * pixels / (scale->time / 1000 + 1));
}

static unsigned y_of(const struct scale *scale, uint32_t members)
{
    uint64_t pixels = (uint64_t)(HEIGHT - TOP - BOTTOM) * TENTHS;
    return (unsigned)((HEIGHT - BOTTOM) * TENTHS - members * pixels / scale->members);
}

#define TENTHS_FORMAT       "%u.%u"
#define TENTHS_PRINT(value) (value) / TENTHS, (value) % TENTHS

static void line(FILE *file, unsigned x1, unsigned y1, unsigned x2, unsigned y2, const char *style)
{
    fprintf(file,
            "<line x1=\"" TENTHS_FORMAT "\" y1=\"" TENTHS_FORMAT "\" x2=\"" TENTHS_FORMAT
            "\" y2=\"" TENTHS_FORMAT "\" %s/>\n",
            TENTHS_PRINT(x1), TENTHS_PRINT(y1), TENTHS_PRINT(x2), TENTHS_PRINT(y2), style);
}

static void text(FILE *file, unsigned x, unsigned y, const char *style, const char *words)
{
    fprintf(file, "<text x=\"" TENTHS_FORMAT "\" y=\"" TENTHS_FORMAT "\" %s>", TENTHS_PRINT(x),
            TENTHS_PRINT(y), style);
    for (; *words; words++)
        if (*words == '<' || *words == '&')
            fprintf(file, "&#%d;", *words);
        else
            fputc(*words, file);
    fputs("</text>\n", file);
}

static void draw_axes(FILE *file, const struct scale *scale)
{
    const char *grid = "stroke=\"#ddd\"";
    for (unsigned i = 0; i <= TICKS; i++) {
        char words[32];
        uint64_t time = scale->time / TICKS * i;
        uint32_t members = (uint32_t)((uint64_t)scale->members * i / TICKS);
        unsigned x = x_of(scale, time), y = y_of(scale, members);
        line(file, x, TOP * TENTHS, x, (HEIGHT - BOTTOM) * TENTHS, grid);
        line(file, LEFT * TENTHS, y, (WIDTH - RIGHT) * TENTHS, y, grid);
        snprintf(words, sizeof words, "%" PRIu64 ".%" PRIu64 " s", time / NANOSECONDS_PER_S,
                 time / (NANOSECONDS_PER_S / 10) % 10);
        text(file, x, (HEIGHT - BOTTOM + 18) * TENTHS, "text-anchor=\"middle\"", words);
        snprintf(words, sizeof words, "%" PRIu32, members);
        text(file, (LEFT - 8) * TENTHS, y + 40, "text-anchor=\"end\"", words);
    }
}

static void draw_marks(FILE *file, const struct scale *scale, const struct samples *samples)
{
    unsigned last = 0, row = 0;
    for (uint32_t i = 0; i < samples->mark_count; i++) {
        unsigned x = x_of(scale, samples->marks[i].time);
        line(file, x, TOP * TENTHS, x, (HEIGHT - BOTTOM) * TENTHS,
             "stroke=\"#c33\" stroke-dasharray=\"2,3\"");
        row = i > 0 && x < last + 600 ? (row + 1) % 3 : 0;
        last = x;
        text(file, x + 20, (TOP - 4) * TENTHS - row * 110, "fill=\"#c33\"", samples->marks[i].text);
    }
}

static uint32_t value_of(const struct sample *sample, int which)
{
    const uint32_t values[] = {sample->running, sample->most, sample->least, sample->median};
    return values[which];
}

static void draw_curves(FILE *file, const struct scale *scale, const struct samples *samples)
{
    static const char *const styles[] = {
        "stroke=\"#999\" stroke-dasharray=\"6,3\"", /* running */
        "stroke=\"#2a7\"",                          /* most */
        "stroke=\"#c70\"",                          /* least */
        "stroke=\"#06c\" stroke-width=\"2\"",       /* median */
    };
    static const char *const names[] = {"running", "most known", "least known", "median known"};
    for (int which = 0; which < 4; which++) {
        fprintf(file, "<polyline fill=\"none\" %s points=\"", styles[which]);
        for (uint32_t i = 0; i < samples->count; i++)
            fprintf(file, "%s" TENTHS_FORMAT "," TENTHS_FORMAT, i ? " " : "",
                    TENTHS_PRINT(x_of(scale, samples->samples[i].time)),
                    TENTHS_PRINT(y_of(scale, value_of(&samples->samples[i], which))));
        fputs("\"/>\n", file);
        unsigned x = (unsigned)(LEFT + 180 * which) * TENTHS, y = (HEIGHT - 12) * TENTHS;
        line(file, x, y - 40, x + 240, y - 40, styles[which]);
        text(file, x + 300, y, "", names[which]);
    }
}

void plot_svg(FILE *file, const char *name, const struct run_result *result)
{
    const struct samples *samples = &result->samples;
    struct scale scale = {.time = result->virtual_time, .members = result->member_count};
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH, HEIGHT);
    text(file, WIDTH / 2 * TENTHS, 140, "text-anchor=\"middle\" font-weight=\"bold\"", name);
    draw_axes(file, &scale);
    draw_marks(file, &scale, samples);
    draw_curves(file, &scale, samples);
    fputs("</svg>\n", file);
}

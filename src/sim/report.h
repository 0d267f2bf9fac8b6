/* What a run came to, for people and for programs. */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include "player.h"

#include <jansson.h>

/* An aligned summary; after a violation the words say what, who, when, and the command that
 * repeats the run. */
void report_text(FILE *file, const char *name, const struct run_result *result, const char *repeat);

/* The same as an object that the caller releases; NULL when memory is out. */
json_t *report_json(const char *name, const struct run_result *result, const char *repeat);

/* An SVG plot of the members known (least, median, most over the members) against time, with the
 * scenario's happenings as marks. */
void plot_svg(FILE *file, const char *name, const struct run_result *result);

#endif

#include "sim_trace.h"

#include "machine.h"

#include <inttypes.h>
#include <stdarg.h>

static const uint64_t fnv_offset = 0xcbf29ce484222325;
static const uint64_t fnv_prime = 0x100000001b3;

void sim_trace_init(struct sim_trace *trace, FILE *file)
{
    *trace = (struct sim_trace){.file = file, .digest = fnv_offset};
}

void sim_trace_mix(struct sim_trace *trace, uint64_t a, uint64_t b)
{
    trace->digest = (trace->digest ^ a) * fnv_prime;
    trace->digest = (trace->digest ^ b) * fnv_prime;
    trace->digest ^= trace->digest >> 32;
}

void sim_trace_line(struct sim_trace *trace, uint64_t now, uint32_t member, const char *format, ...)
{
    if (!trace->file)
        return;
    char name[MEMBER_NAME_SIZE];
    machine_name(member, name);
    fprintf(trace->file, "%" PRIu64 ".%09" PRIu64 " %s ", now / NANOSECONDS_PER_S,
            now % NANOSECONDS_PER_S, name);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(trace->file, format, arguments);
    va_end(arguments);
    fputc('\n', trace->file);
}

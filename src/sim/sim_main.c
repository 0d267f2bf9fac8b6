#include "sim_command.h"

#include <stdlib.h>
#include <unistd.h>

/* Thousands of members' tables are more than the processor's address cache reaches over in small
 * pages; large ones save a tenth of the time. The C library asks for them only when told so by the
 * environment it starts with, so the program starts itself once more. Not in the agent, which has
 * no use for them. */
static void start_with_large_pages(char **argv)
{
    if (getenv("GLIBC_TUNABLES"))
        return;
    if (setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1) == 0)
        execv("/proc/self/exe", argv); /* where that fails, it goes on with small ones */
}

int main(int argc, char **argv)
{
    start_with_large_pages(argv);
    return sim_command(argc, argv);
}

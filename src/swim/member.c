#include "member.h"

#include "effect.h"

const char *member_status_name(enum member_status status)
{
    static const char *const names[] = {"none", "alive", "leaving", "left", "failed"};
    return (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

const char *member_event_name(enum member_event_type type)
{
    static const char *const names[] = {"member-join", "member-leave", "member-failed",
                                        "member-update", "member-reap"};
    return (unsigned)type < sizeof names / sizeof *names ? names[type] : "unknown";
}

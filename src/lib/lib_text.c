/* Names and numbers of the public headers that need nothing else. */
#include <cserf/types.h>

const char *cserf_version(void)
{
    return CSERF_VERSION_TEXT;
}

unsigned cserf_version_number(void)
{
    return CSERF_VERSION_NUMBER;
}

const char *cserf_status_name(enum cserf_status status)
{
    static const char *const names[] = {"none", "alive", "leaving", "left", "failed"};
    return (unsigned)status < sizeof names / sizeof names[0] ? names[status] : "none";
}

const char *cserf_event_name(enum cserf_event_type type)
{
    static const char *const names[] = {
        [CSERF_EVENT_JOIN] = "member-join",     [CSERF_EVENT_LEAVE] = "member-leave",
        [CSERF_EVENT_FAILED] = "member-failed", [CSERF_EVENT_UPDATE] = "member-update",
        [CSERF_EVENT_REAP] = "member-reap",     [CSERF_EVENT_USER] = "user",
        [CSERF_EVENT_QUERY] = "query",          [CSERF_EVENT_STOPPED] = "stopped",
    };
    bool known = (unsigned)type < sizeof names / sizeof names[0] && names[type];
    return known ? names[type] : "other";
}

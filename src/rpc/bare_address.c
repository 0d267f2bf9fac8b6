/* An IPv6 address may leave zeros out, so that another group, or a port, still fits behind it.
 * Where the last group looks like a port (four or five decimal digits) and the rest would do
 * without it, the text is refused: guessed wrongly it would be an address that nobody has. */
#include "bare_address.h"

#include "endpoint.h"

static bool is_v6(const char *text)
{
    struct endpoint endpoint;
    return strchr(text, ':') && endpoint_from_text(&endpoint, text, 0);
}

enum bare_address bare_address_look(const char *text)
{
    const char *colon = strrchr(text, ':');
    char rest[ADDRESS_TEXT_SIZE];
    if (!colon || strchr(text, ':') == colon || (size_t)(colon - text) >= sizeof rest)
        return BARE_ADDRESS_NO;
    memcpy(rest, text, (size_t)(colon - text));
    rest[colon - text] = '\0';
    size_t digits = strlen(colon + 1);
    bool like_port = (digits == 4 || digits == 5) && strspn(colon + 1, "0123456789") == digits;
    if (like_port && is_v6(rest))
        return BARE_ADDRESS_OR_PORT;
    return is_v6(text) ? BARE_ADDRESS_YES : BARE_ADDRESS_NO;
}

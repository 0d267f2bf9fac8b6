/* Command-line flags by the grammar that the reference's users know (agent specification, 1.2):
 * -name, --name, -name=value, -name value (not for booleans), "--" ends them, and so does the first
 * word that does not start with "-". */
#ifndef BASE_FLAGS_H
#define BASE_FLAGS_H

#include "buffer.h"

enum flag_type {
    FLAG_BOOL,     /* bool * */
    FLAG_STRING,   /* const char **: borrowed from argv */
    FLAG_INTEGER,  /* int64_t *: decimal, or 0x.. and 0.. as in C */
    FLAG_DURATION, /* int64_t *: nanoseconds */
    FLAG_LIST,     /* struct flag_list *: appends */
};

struct flag_list {
    const char **values; /* owned array of strings borrowed from argv */
    size_t count;
};

void flag_list_fini(struct flag_list *list);

struct flag {
    const char *name;
    enum flag_type type;
    void *value;
    bool *given; /* set when the flag appears; may be NULL */
};

/* Parses argv[1..]; returns the index of the first positional argument, or -1 with one line in
 * `error` that names the flag and the value, such as
 * "flag provided but not defined: -bogus" or "flag needs an argument: -rpc-addr". */
int flags_parse(const struct flag *flags, size_t flag_count, int argc, char **argv,
                struct buffer *error);

#endif

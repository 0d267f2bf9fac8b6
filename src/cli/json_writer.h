/* JSON as the reference prints it, which scripts compare (agent specification, 1.7): two spaces a
 * level, "{}" when empty, "<", ">", "&", U+2028 and U+2029 escaped, and U+FFFD for what is no
 * UTF-8. The order of keys is the caller's. */
#ifndef CLI_JSON_WRITER_H
#define CLI_JSON_WRITER_H

#include "buffer.h"

enum { JSON_DEPTH_MAX = 16 };

struct json_writer {
    struct buffer *out; /* errors stay in out->failed */
    unsigned depth;
    bool used[JSON_DEPTH_MAX]; /* the object or list at this depth has an element */
    bool after_key;
};

void json_writer_init(struct json_writer *writer, struct buffer *out);

void json_write_open(struct json_writer *writer, char bracket);  /* '{' or '[' */
void json_write_close(struct json_writer *writer, char bracket); /* '}' or ']' */
void json_write_key(struct json_writer *writer, struct span key);
void json_write_string(struct json_writer *writer, struct span text);
void json_write_unsigned(struct json_writer *writer, uint64_t number);
void json_write_null(struct json_writer *writer);

#endif

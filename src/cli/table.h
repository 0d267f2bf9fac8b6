/* Text in columns (agent specification, 1.6). The fields of a row are separated by "|", which no
 * field can escape: a "|" in a name starts a new column, as it always did. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "buffer.h"

enum { TABLE_SIZE_MAX = 256 * 1024 * 1024 };

struct table {
    struct buffer text; /* the rows, one behind the other; append fields here */
    size_t *ends;       /* owned; where each row ends in `text` */
    size_t row_count, row_capacity;
};

void table_init(struct table *table);
void table_fini(struct table *table);

/* Ends the row whose fields were appended. Lost memory shows in text.failed. */
void table_end_row(struct table *table);

/* Appends the rows with their columns aligned, without white space at the beginning and the end,
 * and no newline. False when memory is out. */
bool table_format(const struct table *table, struct buffer *out);

#endif

/* Compression algorithm 0 of the protocol: LZW, least significant bit first, literal width 8, codes
 * of at most 12 bits (the variant that GIF uses). Output is byte for byte what the reference's
 * encoder gives. */
#ifndef WIRE_LZW_H
#define WIRE_LZW_H

#include "buffer.h"

enum lzw_status {
    LZW_OK,
    LZW_TRUNCATED, /* input ended before the end code */
    LZW_INVALID,   /* a code that is not in the table */
    LZW_TOO_LARGE, /* the output would pass out->maximum */
    LZW_OUT_OF_MEMORY,
};

/* The encoder's dictionary, 32 KiB; it is the caller's, so that nothing is allocated per packet. It
 * carries nothing from one call to the next. */
struct lzw_table;
struct lzw_table *lzw_table_new(void); /* NULL when memory is out */
void lzw_table_free(struct lzw_table *table);

/* Appends the compressed form. False (out->failed, nothing appended) when it would pass
 * out->maximum or memory is out. `input` must not lie in `out`. */
bool lzw_compress(struct lzw_table *table, struct span input, struct buffer *out);

/* Appends the decompressed form. Bytes after the end code are ignored. On failure the bytes decoded
 * so far stay in `out`: they were work, and who limits work can count them. `input` must not lie in
 * `out`. */
enum lzw_status lzw_decompress(struct span input, struct buffer *out);

#endif

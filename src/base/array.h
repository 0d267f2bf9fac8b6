/* How arrays that every member of a large cluster has grow. */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stdint.h>

/* The capacity after `capacity` elements: by a half, and by an eighth where that many are more than
 * a page or two. There, moving what is large costs little (the kernel moves pages), and what is
 * reserved in vain would be a fifth of all memory. */
static inline uint32_t array_grown(uint32_t capacity)
{
    return capacity < 8 ? 8 : capacity + (capacity < 1024 ? capacity / 2 : capacity / 8);
}

/* The capacity that holds `needed` elements, by the same steps: where sizes are few, memory that
 * one array has left fits the next. */
static inline uint32_t array_grown_for(uint32_t capacity, uint32_t needed)
{
    while (capacity < needed)
        capacity = array_grown(capacity);
    return capacity;
}

#endif

/* Work that may block, such as waiting for a disk, on a thread of its own. Its end comes back as a
 * turn of the loop. */
#ifndef HOST_BACKGROUND_H
#define HOST_BACKGROUND_H

#include "loop.h"

struct background;

/* Runs on the other thread: it may use what `context` leads to, which nobody else touches
 * meanwhile, and nothing of the loop. */
typedef void background_work(void *context);

/* Starts the work; `done` is called from the loop when it has ended, and the handle is then gone.
 * NULL when the system has no thread, memory or descriptors to give: nothing was started. */
struct background *background_start(struct loop *loop, background_work *work, loop_callback *done,
                                    void *context);

/* Waits for the end of the work; `done` is not called. NULL is ignored. */
void background_finish(struct background *background);

#endif

/* The order in which an encrypted cluster, and the Secret that its pods start from, come to a new
 * key, so that at each moment a pod that starts from the Secret can talk to every member:
 *
 *   place of the new key     what is done there                                      leads to
 *   in the Secret
 *   none                     it is put behind the others                             last
 *   last                     members install it, again and again while `settle`      first
 *                            lasts; then they use it; then it is put in front
 *   first                    members install and use it, again and again while       none
 *                            `wait` lasts or until all pods were replaced; then
 *                            they remove the others; then it stands alone
 *
 * Only the Secret remembers how far a rotation came: by the place of the new key, and by when it
 * came there. Whoever takes it up repeats what was done at that place, which changes nothing.
 *
 * The two waits are for pods that start while this happens, from the Secret as it was a moment ago.
 * One that knows only the old keys must get the new one before it is used; one that starts with an
 * old key as its primary must use the new one before the old ones go.
 *
 * Times are seconds since 1970, in the clock of whoever does it. */
#ifndef CLI_KEY_ROTATION_H
#define CLI_KEY_ROTATION_H

#include <stdbool.h>
#include <stdint.h>

enum rotation_place {
    ROTATION_NONE, /* no rotation is under way */
    ROTATION_LAST,
    ROTATION_FIRST,
};

struct rotation_times {
    int64_t settle, wait; /* at least 0 */
    int64_t repeat;       /* between two rounds of a wait, at least 1 */
    int64_t pause;        /* before what failed is tried again, at least 0 */
    unsigned attempts;    /* that may fail before a round is complete; at least 1 */
};

enum rotation_step {
    ROTATION_BEGIN,   /* put a new key behind the others in the Secret */
    ROTATION_INSTALL, /* have all members take it */
    ROTATION_USE,     /* have all members encrypt with it */
    ROTATION_PROMOTE, /* put it in front in the Secret */
    ROTATION_REMOVE,  /* have all members forget all others */
    ROTATION_FINISH,  /* leave it alone in the Secret, where nothing remembers the rotation then */
    ROTATION_SLEEP,   /* until `wake` */
    ROTATION_DONE,
    ROTATION_GIVE_UP, /* for now: who begins again goes on from here */
};

struct rotation {
    struct rotation_times times;
    enum rotation_place place;
    int64_t since; /* when the new key came to its place */
    int64_t wake;
    unsigned failures; /* since a round was complete, or the new key came to its place */
    bool under_way;    /* the Secret has told of a rotation */
    bool rolled_out;
    bool installed, used, removed; /* in this round */
};

void rotation_init(struct rotation *rotation, const struct rotation_times *times);

/* What the Secret says, as it was read or as a change left it: before the first step, and after
 * BEGIN, PROMOTE and FINISH. Where somebody else changed it first they have failed, too. */
void rotation_secret(struct rotation *rotation, enum rotation_place place, int64_t since,
                     int64_t now);

/* What is to be done now. Asked again, it says the same until it is told how that went. */
enum rotation_step rotation_next(struct rotation *rotation, int64_t now);

/* All members have done INSTALL, USE or REMOVE. */
void rotation_succeeded(struct rotation *rotation, enum rotation_step step);

/* A step failed, perhaps half way: members first do again what comes before it, since one of them
 * may be new. */
void rotation_failed(struct rotation *rotation, int64_t now);

/* Every pod that was there when the new key came to its place has been replaced. */
void rotation_rolled_out(struct rotation *rotation);

#endif

/* The member's own tables, shared by its files.
 *
 * lib_member.c    life, dispatch, questions
 * lib_command.c   commands, events and queries of the program's
 * lib_callback.c  what happens in the node, into the queue and out of it */
#ifndef LIB_LIB_MEMBER_H
#define LIB_LIB_MEMBER_H

#include "delivery.h"
#include "lib_config.h"
#include "lib_error.h"
#include "lib_keys.h"
#include "node.h"
#include "node_view.h"

/* A command under way. What tells of its end is there from the start, since it must not get lost
 * for want of memory. */
struct command_wait {
    struct command_wait *next;
    struct cserf_member *member;
    struct delivery *end; /* owned until it is queued */
    struct cserf_error error;
    cserf_done_callback *done;
    cserf_join_callback *join_done;       /* instead, of a join */
    cserf_key_report_callback *keys_done; /* instead, of a command about keys */
    struct key_answer *keys; /* owned: what is told to keys_done; NULL: memory was out */
    void *context;
};

/* A query of ours under way. */
struct asked_query {
    struct asked_query *next;
    uint32_t query;
    struct delivery *end; /* owned until it is queued */
    cserf_answer_callback *callback;
    void *context;
};

struct cserf_member {
    struct loop *loop;
    int descriptor;          /* the loop's */
    struct node *node;       /* NULL: stopped */
    struct keyring *keyring; /* owned; NULL: no encryption */
    char *label;             /* owned: the core borrows it; NULL: none */
    struct delivery_queue queue;
    struct delivery *stop; /* owned until it is queued */
    struct command_wait *waits;
    struct asked_query *asked;
    bool retry_watch; /* of the configuration */
    bool dispatching;
    bool freed; /* by a callback: dispatch does it */

    cserf_event_callback *on_event;
    void *event_context;
    cserf_log_callback *on_log;
    void *log_context;
    cserf_keys_callback *on_keys;
    void *keys_context;

    struct node_view listed;   /* what a question was answered with */
    struct node_view happened; /* the node of the event under way */
    struct buffer text;        /* its other texts */
    char bound[ENDPOINT_TEXT_SIZE], advertised[ENDPOINT_TEXT_SIZE];
};

/* lib_callback.c */
struct node_callbacks member_callbacks(struct cserf_member *member);
void member_deliver(struct cserf_member *member);
const struct cserf_node *member_view_show(struct node_view *view, const struct member_view *member);

/* lib_command.c */
void member_command_done(void *context, bool ok, uint32_t count, struct span error);
/* Takes it out of its list and frees it. */
void command_wait_free(struct command_wait *wait);
struct asked_query *member_find_asked(const struct cserf_member *member, uint32_t query);
void asked_query_free(struct cserf_member *member, struct asked_query *asked);
/* All that nobody will be called back for any more. */
void member_forget_commands(struct cserf_member *member);

#endif

/* An agent that says what the test prepared, whatever it is asked, byte by byte, and then closes.
 * Where the test wants it to, it first hears a request. */
#ifndef TESTS_CLI_SCRIPTED_AGENT_H
#define TESTS_CLI_SCRIPTED_AGENT_H

#include "rpc_client.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { SCRIPT_PAUSES_MAX = 16 };

struct script {
    pid_t child;
    char address[32];
    struct buffer said;
    bool silent;                      /* does not close when all is said */
    bool whole;                       /* says in one piece what is between two requests */
    size_t pauses[SCRIPT_PAUSES_MAX]; /* places in `said` before which it hears a request */
    unsigned pause_count;
};

static inline void script_init(struct script *script)
{
    script->silent = script->whole = false;
    script->pause_count = 0;
    buffer_init(&script->said, 65536);
}

static inline void say_header(struct script *script, const char *error, uint64_t seq)
{
    const struct rpc_response_header header = {span_text(error), seq};
    msgpack_write_structure(&script->said, &rpc_response_header_structure, MSGPACK_RPC, &header);
}

/* A client sends each request in one piece and waits for its answer. */
static inline void hear_request(struct script *script)
{
    assert_true(script->pause_count < SCRIPT_PAUSES_MAX);
    script->pauses[script->pause_count++] = script->said.size;
}

static inline void play(int listener, const struct script *script)
{
    int peer = accept(listener, NULL, NULL);
    unsigned pause = 0;
    char heard[4096];
    size_t end = 0;
    for (size_t i = 0; i < script->said.size; i = end) {
        for (; pause < script->pause_count && script->pauses[pause] == i; pause++)
            if (recv(peer, heard, sizeof heard, 0) <= 0)
                _exit(0);
        size_t next = pause < script->pause_count ? script->pauses[pause] : script->said.size;
        end = script->whole ? next : i + 1;
        if (send(peer, script->said.data + i, end - i, MSG_NOSIGNAL) != (ssize_t)(end - i))
            break;
    }
    if (!script->silent)
        shutdown(peer, SHUT_WR);
    while (recv(peer, heard, sizeof heard, 0) > 0)
        ;
    _exit(0);
}

static inline void script_start(struct script *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(script->address, sizeof script->address, "127.0.0.1:%u", ntohs(address.sin_port));
    script->child = fork();
    assert_true(script->child >= 0);
    if (script->child == 0)
        play(listener, script);
    close(listener);
}

static inline void script_end(struct script *script)
{
    waitpid(script->child, NULL, 0);
    buffer_fini(&script->said);
}

#endif

#include "loop_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "service_manager.h"

static char directory[] = "/tmp/test-service-manager-XXXXXX";
static char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
static struct loop *loop;

static int open_loop(void **state)
{
    (void)state;
    loop = loop_new();
    unlink(path);
    return loop ? 0 : -1;
}

static int close_loop(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

/* A manager's socket: at a path, or for "@name" in the abstract namespace. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(name);
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                     0);
    return listener;
}

static const char *receive(int listener)
{
    static char text[2048];
    ssize_t size = recv(listener, text, sizeof(text) - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void each_state_has_its_lines(void **state)
{
    (void)state;
    int listener = listen_at(path);
    struct service_manager *manager = service_manager_new(loop, path);
    assert_non_null(manager);
    service_manager_tell(manager, SERVICE_STARTING, "Starting");
    assert_string_equal(receive(listener), "STATUS=Starting");
    service_manager_tell(manager, SERVICE_READY, "n1: 3 alive");
    assert_string_equal(receive(listener), "READY=1\nSTATUS=n1: 3 alive");
    service_manager_tell(manager, SERVICE_RELOADING, "Reloading");
    const char *text = receive(listener);
    unsigned long long microseconds = 0;
    assert_int_equal(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    microseconds = strtoull(text + 27, NULL, 10);
    assert_in_range(microseconds, 1, loop_now() / 1000);
    assert_non_null(strstr(text, "\nSTATUS=Reloading"));
    service_manager_tell(manager, SERVICE_STOPPING, "Bye");
    assert_string_equal(receive(listener), "STOPPING=1\nSTATUS=Bye");
    service_manager_free(manager);
    close(listener);
}

static void a_socket_in_the_abstract_namespace_is_told_too(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof(name), "@test-service-manager-%d", (int)getpid());
    int listener = listen_at(name);
    struct service_manager *manager = service_manager_new(loop, name);
    assert_non_null(manager);
    service_manager_tell(manager, SERVICE_READY, "up");
    assert_string_equal(receive(listener), "READY=1\nSTATUS=up");
    service_manager_free(manager);
    close(listener);
}

static void a_status_stays_one_line_of_limited_length(void **state)
{
    (void)state;
    int listener = listen_at(path);
    struct service_manager *manager = service_manager_new(loop, path);
    service_manager_tell(manager, SERVICE_STARTING, "a\nSTOPPING=1");
    assert_string_equal(receive(listener), "STATUS=a STOPPING=1");
    char longer[2 * SERVICE_STATUS_SIZE_MAX];
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    service_manager_tell(manager, SERVICE_READY, longer);
    assert_int_equal(strlen(receive(listener)),
                     strlen("READY=1\nSTATUS=") + SERVICE_STATUS_SIZE_MAX);
    service_manager_free(manager);
    close(listener);
}

static void without_a_usable_socket_nobody_is_told(void **state)
{
    (void)state;
    char longer[512];
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    assert_null(service_manager_new(loop, NULL));
    assert_null(service_manager_new(loop, ""));
    assert_null(service_manager_new(loop, "@"));
    assert_null(service_manager_new(loop, "relative/path"));
    assert_null(service_manager_new(loop, longer));
    service_manager_tell(NULL, SERVICE_READY, "up");
    service_manager_free(NULL);
}

static void a_manager_that_is_gone_is_no_error_and_told_when_it_is_back(void **state)
{
    (void)state;
    struct service_manager *manager = service_manager_new(loop, path);
    assert_non_null(manager);
    service_manager_tell(manager, SERVICE_READY, "unheard");
    int listener = listen_at(path);
    service_manager_tell(manager, SERVICE_READY, "heard");
    assert_string_equal(receive(listener), "READY=1\nSTATUS=heard");
    service_manager_free(manager);
    close(listener);
}

/* The kernel lets only so many datagrams wait: the last state must come through all the same. */
static void when_the_queue_was_full_the_latest_state_is_told_later(void **state)
{
    (void)state;
    enum { MORE_THAN_WAIT = 5000 };
    int listener = listen_at(path);
    struct service_manager *manager = service_manager_new(loop, path);
    for (int i = 0; i < MORE_THAN_WAIT; i++)
        service_manager_tell(manager, SERVICE_STARTING, "again");
    service_manager_tell(manager, SERVICE_READY, "latest");
    while (strcmp(receive(listener), "STATUS=again") == 0) {
    }
    struct loop_timer guard;
    uint64_t end = loop_now() + PATIENCE_NS;
    bool told = false;
    assert_true(loop_timer_init(&guard, loop, nothing, NULL));
    loop_timer_set(&guard, end);
    while (!told && loop_now() < end) {
        loop_turn(loop, true);
        told = strcmp(receive(listener), "READY=1\nSTATUS=latest") == 0;
    }
    assert_true(told);
    loop_timer_fini(&guard);
    service_manager_free(manager);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_state_has_its_lines, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_socket_in_the_abstract_namespace_is_told_too, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(a_status_stays_one_line_of_limited_length, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(without_a_usable_socket_nobody_is_told, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(a_manager_that_is_gone_is_no_error_and_told_when_it_is_back,
                                        open_loop, close_loop),
        cmocka_unit_test_setup_teardown(when_the_queue_was_full_the_latest_state_is_told_later,
                                        open_loop, close_loop),
    };
    if (!mkdtemp(directory))
        return 1;
    snprintf(path, sizeof(path), "%s/notify", directory);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(directory);
    return failed;
}

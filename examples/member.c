/* A member of a Serf cluster inside a poll() loop of its own. It prints the events that it sees,
 * answers the query "time", and takes lines from its standard input: "members" lists them, "leave"
 * leaves the cluster and ends; every other line is sent to all members as a user event.
 *
 *     cc member.c -o member $(pkg-config --cflags --libs cserf)
 *     ./member NAME ADDRESS:PORT [PEER:PORT ...] */
#include <cserf/cserf.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct cserf_member *member;
static bool running = true;

static void fail(const char *what, const struct cserf_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->text);
    exit(1);
}

static void on_event(void *context, const struct cserf_event *event)
{
    (void)context;
    printf("%s", cserf_event_name(event->type));
    if (event->node)
        printf(" %s %s:%u", event->node->name, event->node->address, event->node->port);
    if (event->name)
        printf(" %s: %.*s", event->name, (int)event->payload_size,
               event->payload ? (const char *)event->payload : "");
    printf("\n");
    if (event->type == CSERF_EVENT_QUERY && strcmp(event->name, "time") == 0) {
        char text[32];
        int size = snprintf(text, sizeof text, "%lld", (long long)time(NULL));
        cserf_member_respond(member, event->query, text, (size_t)size, NULL);
    }
    if (event->type == CSERF_EVENT_STOPPED)
        running = false;
}

static void on_left(void *context, const struct cserf_error *error)
{
    (void)context;
    printf("left: %s\n", error->code == CSERF_OK ? "well" : error->text);
    running = false;
}

static void take_line(char *line)
{
    struct cserf_error error;
    const struct cserf_node *node;
    uint32_t position = 0;
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "members") == 0)
        while ((node = cserf_member_next(member, &position)))
            printf("%s  %s:%u  %s\n", node->name, node->address, node->port,
                   cserf_status_name(node->status));
    else if (strcmp(line, "leave") == 0)
        cserf_member_leave(member, on_left, NULL, NULL);
    else if (cserf_member_user_event(member, line, NULL, 0, false, &error) != CSERF_OK)
        printf("not sent: %s\n", error.text);
}

int main(int argc, char **argv)
{
    struct cserf_config *config = cserf_config_new();
    struct cserf_error error;
    char line[256];
    if (argc < 3 || !config)
        return 1;
    setvbuf(stdin, NULL, _IONBF, 0); /* poll knows nothing of what stdio has read ahead */
    setvbuf(stdout, NULL, _IOLBF, 0);
    cserf_config_set_name(config, argv[1]);
    cserf_config_set_bind(config, argv[2]);
    cserf_config_set_tag(config, "role", "example");
    cserf_config_on_event(config, on_event, NULL);
    member = cserf_member_new(config, &error);
    cserf_config_free(config);
    if (!member)
        fail("start", &error);
    if (argc > 3 && cserf_member_retry_join(member, (const char *const *)argv + 3, (size_t)argc - 3,
                                            5000, 0, false, &error) != CSERF_OK)
        fail("join", &error);
    struct pollfd wait[] = {{cserf_member_descriptor(member), POLLIN, 0}, {0, POLLIN, 0}};
    while (running && poll(wait, 2, -1) > 0) {
        if (wait[0].revents && cserf_member_dispatch(member, &error) != CSERF_OK)
            fail("dispatch", &error);
        if (wait[1].revents && fgets(line, sizeof line, stdin))
            take_line(line);
        else if (wait[1].revents)
            wait[1].fd = -1; /* the end of the input; the member goes on */
    }
    cserf_member_free(member);
    return 0;
}

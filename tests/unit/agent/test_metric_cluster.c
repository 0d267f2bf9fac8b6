/* The lines about each peer, of members that stand here in a table. */
#include "support.h"

#include "coordinate.h"
#include "metric_cluster.h"

enum { MEMBERS = 2000 };

static struct {
    char name[512];
    enum member_status status;
    bool placed;
    double distance; /* seconds from the origin */
} members[MEMBERS];
static uint32_t count; /* members[0] is this one */
static struct buffer out;

static void show(uint32_t member, struct member_view *view)
{
    *view = (struct member_view){.name = span_text(members[member].name),
                                 .status = members[member].status};
    endpoint_from_text(&view->endpoint, "fd00::7", (uint16_t)member);
}

bool serf_next_member(const struct serf *serf, uint32_t *position, struct member_view *member)
{
    (void)serf;
    if (*position == count)
        return false;
    show((*position)++, member);
    return true;
}

void serf_local_member(const struct serf *serf, struct member_view *member)
{
    (void)serf;
    show(0, member);
}

bool serf_coordinate(const struct serf *serf, struct span name, struct coordinate *coordinate)
{
    (void)serf;
    for (uint32_t i = 0; i < count; i++)
        if (span_equal_text(name, members[i].name)) {
            *coordinate = (struct coordinate){.vector = {members[i].distance}};
            return members[i].placed;
        }
    return false;
}

static void add(const char *name, enum member_status status, double distance)
{
    snprintf(members[count].name, sizeof members[count].name, "%s", name);
    members[count].status = status;
    members[count].placed = distance >= 0;
    members[count++].distance = distance;
}

static int begin(void **state)
{
    (void)state;
    count = 0;
    add("self", STATUS_ALIVE, 0);
    buffer_init(&out, 1024 * 1024);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_fini(&out);
    return 0;
}

static const char *lines(void)
{
    struct metric_text text = {.out = &out};
    buffer_reset(&out);
    metric_cluster_peers(&text, NULL);
    assert_false(out.failed);
    return buffer_text(&out);
}

static size_t count_of(const char *text, const char *part)
{
    size_t found = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        found++;
    return found;
}

static void each_other_member_has_its_status_and_its_distance(void **state)
{
    (void)state;
    add("near", STATUS_ALIVE, 0.25);
    add("gone\"\n", STATUS_LEFT, -1);
    const char *text = lines();
    assert_contains(text,
                    "# TYPE serf_peer_status gauge\n"
                    "serf_peer_status{peer=\"near\",addr=\"[fd00::7]:1\",status=\"alive\"} 1\n"
                    "serf_peer_status{peer=\"gone\\\"\\n\",addr=\"[fd00::7]:2\",status=\"left\"} "
                    "1\n");
    assert_contains(text, "\nserf_peer_round_trip_seconds{peer=\"near\"} 0.25\n");
    assert_int_equal(count_of(text, "serf_peer_round_trip_seconds{"), 1);
    assert_contains(text, "\nserf_peers_left_out 0\n");
    assert_null(strstr(text, "self"));
}

static void beyond_the_limit_peers_are_only_counted(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < PEERS_MAX + 5; i++) {
        snprintf(name, sizeof name, "web-%d", i);
        add(name, STATUS_ALIVE, 0.5);
    }
    const char *text = lines();
    assert_int_equal(count_of(text, "\nserf_peer_status{"), PEERS_MAX);
    assert_int_equal(count_of(text, "\nserf_peer_round_trip_seconds{"), PEERS_MAX);
    assert_contains(text, "\nserf_peers_left_out 5\n");
    assert_null(strstr(text, "\"web-1000\""));
}

static void a_long_name_is_left_out_and_takes_no_room_from_others(void **state)
{
    (void)state;
    char name[PEER_NAME_SIZE_MAX + 2];
    memset(name, 'a', sizeof name);
    name[PEER_NAME_SIZE_MAX + 1] = '\0';
    add(name, STATUS_ALIVE, 1);
    add(name + 1, STATUS_ALIVE, 2);
    add("b", STATUS_ALIVE, 3);
    const char *text = lines();
    assert_int_equal(count_of(text, "\nserf_peer_status{"), 2);
    assert_contains(text, "\"} 2\nserf_peer_round_trip_seconds{peer=\"b\"} 3\n");
    assert_contains(text, "\nserf_peers_left_out 1\n");
}

/* A thousand names of control characters, each of which takes five bytes. */
static void names_cannot_make_the_page_grow_without_end(void **state)
{
    (void)state;
    char name[PEER_NAME_SIZE_MAX + 1];
    memset(name, 1, sizeof name);
    name[PEER_NAME_SIZE_MAX] = '\0';
    for (int i = 0; i < PEERS_MAX; i++) {
        snprintf(name, 5, "%04d", i);
        name[4] = 1;
        add(name, STATUS_ALIVE, 1);
    }
    const char *text = lines();
    size_t told = count_of(text, "\nserf_peer_status{");
    char line[64];
    assert_in_range(told, 100, PEERS_MAX - 1);
    assert_int_equal(count_of(text, "\nserf_peer_round_trip_seconds{"), told);
    snprintf(line, sizeof line, "\nserf_peers_left_out %zu\n", PEERS_MAX - told);
    assert_contains(text, line);
    assert_in_range(out.size, 1, 2 * PEER_LINES_SIZE_MAX + 1024);
}

static void without_an_own_position_there_are_no_distances(void **state)
{
    (void)state;
    members[0].placed = false;
    add("near", STATUS_FAILED, 0.25);
    const char *text = lines();
    assert_contains(text, "status=\"failed\"} 1\n");
    assert_null(strstr(text, "round_trip"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(each_other_member_has_its_status_and_its_distance),
        TEST(beyond_the_limit_peers_are_only_counted),
        TEST(a_long_name_is_left_out_and_takes_no_room_from_others),
        TEST(names_cannot_make_the_page_grow_without_end),
        TEST(without_an_own_position_there_are_no_distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

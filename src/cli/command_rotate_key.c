/* The program of a CronJob in Kubernetes, beside a short-lived member of its own. A command of its
 * own and no option of `keys`, which is the reference's and knows nothing of Secrets. It may be
 * stopped at any time; what to do next stands in the Secret (key_rotation.h). */
#include "client_options.h"
#include "cluster_keys.h"
#include "secret_store.h"

#include "duration.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
    KEY_SIZE = 32,           /* AES-256, as of `serf keygen` */
    REPEAT_SECONDS_MAX = 30, /* between the rounds of a wait */
    REPEATS_MIN = 5,
    PAUSE_SECONDS = 5,
    ATTEMPTS = 36, /* three minutes: longer than a member that died is suspected, or an API server
                      starts */
};

static const int64_t second = INT64_C(1000000000);

static const char help[] =
    "Usage: serf rotate-key -secret=NAME [options]\n"
    "\n"
    "  Replaces the key of an encrypted cluster, and in the Kubernetes Secret that its\n"
    "  pods start from: puts a new key behind the old ones, has all members install and\n"
    "  use it, puts it in front, waits for pods that started from an older Secret, has\n"
    "  all members remove the old keys, and leaves the new one alone. When it is stopped\n"
    "  it goes on where it was when it is run again. Runs in a pod whose service account\n"
    "  may get and patch that Secret, beside an agent that has joined the cluster.\n"
    "\n"
    "Options:\n"
    "\n"
    "  -secret=NAME              The Secret. The annotations serf/rotation-key and\n"
    "                            serf/rotation-since tell of a rotation under way.\n"
    "  -namespace=NAME           Its namespace; that of the service account by default.\n"
    "  -key=keyring.json         The keyring in the Secret: a JSON list of base64 keys,\n"
    "                            the first one primary.\n"
    "  -settle=2m                How long members that come install the new key before it\n"
    "                            is used.\n"
    "  -wait=10m                 How long members that come use the new key before the old\n"
    "                            ones are removed; shorter when every pod was replaced.\n"
    "  -account=FOLDER           Folder of the service account's token, certificates and\n"
    "                            namespace; " KUBE_ACCOUNT_FOLDER "\n"
    "                            by default.\n" CLIENT_OPTIONS_HELP;

struct rotate_key {
    struct client_options client;
    const char *name; /* of the Secret */
    struct secret_store store;
    struct keyring_secret secret; /* while `read` */
    bool read;
    struct rotation rotation;
    struct buffer error;         /* of the last step */
    struct buffer replaced;      /* names of members when the key became first */
    bool told[ROTATION_GIVE_UP]; /* that the members have done the step, since it came there */
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("==> ");
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
    fflush(stdout);
}

static struct span new_key_of(const struct rotate_key *rotate)
{
    return keyring_key(rotate->secret.keys, rotate->secret.new_key);
}

/* --- the Secret --- */

static void take_secret(struct rotate_key *rotate, int64_t now)
{
    enum rotation_place before = rotate->rotation.place;
    rotation_secret(&rotate->rotation, rotate->secret.place, rotate->secret.since, now);
    if (rotate->secret.place != before) {
        memset(rotate->told, 0, sizeof rotate->told);
        buffer_reset(&rotate->replaced);
    }
}

static void tell_of_the_secret(struct rotate_key *rotate)
{
    char name[KEY_FINGERPRINT_SIZE];
    const struct keyring_secret *secret = &rotate->secret;
    size_t count = keyring_count(secret->keys);
    if (secret->place == ROTATION_NONE)
        say("The Secret %s holds %zu key%s; %s is primary", rotate->name, count,
            count == 1 ? "" : "s", key_fingerprint(keyring_key(secret->keys, 0), name));
    else
        say("The Secret %s tells of a rotation to %s, which is %s of %zu keys", rotate->name,
            key_fingerprint(new_key_of(rotate), name),
            secret->place == ROTATION_FIRST ? "first" : "last", count);
}

static enum store_result read_secret(struct rotate_key *rotate, int64_t now)
{
    enum store_result result = secret_store_read(&rotate->store, &rotate->secret, &rotate->error);
    rotate->read = result == STORE_GOOD;
    if (rotate->read) {
        take_secret(rotate, now);
        tell_of_the_secret(rotate);
    }
    return result;
}

static enum store_result move_key(struct rotate_key *rotate, struct span key,
                                  enum rotation_place place, const char *where, int64_t now)
{
    char name[KEY_FINGERPRINT_SIZE];
    enum store_result result =
        secret_store_move(&rotate->store, &rotate->secret, key, place, now, &rotate->error);
    if (result == STORE_GOOD) {
        say("The new key %s is %s in the Secret", key_fingerprint(key, name), where);
        take_secret(rotate, now);
    } else if (result == STORE_LATER) { /* perhaps the change was made: read it again */
        keyring_secret_fini(&rotate->secret);
        rotate->read = false;
    }
    return result;
}

static enum store_result add_key(struct rotate_key *rotate, int64_t now)
{
    uint8_t key[KEY_SIZE];
    if (!cluster_is_joined(&rotate->client, &rotate->error))
        return STORE_LATER;
    if (getrandom(key, sizeof key, 0) != KEY_SIZE) {
        buffer_append_text(&rotate->error, "the system gave too few random bytes");
        return STORE_NEVER;
    }
    enum store_result result =
        move_key(rotate, span_make(key, sizeof key), ROTATION_LAST, "last", now);
    explicit_bzero(key, sizeof key);
    return result;
}

static enum store_result move_new_key(struct rotate_key *rotate, enum rotation_place place,
                                      const char *where, int64_t now)
{
    uint8_t key[KEY_SIZE_MAX];
    struct span found = new_key_of(rotate);
    size_t size = found.size;
    memcpy(key, found.data, size);
    enum store_result result = move_key(rotate, span_make(key, size), place, where, now);
    explicit_bzero(key, sizeof key);
    return result;
}

/* --- the members --- */

static bool has_name(const struct buffer *names, const char *name)
{
    for (size_t at = 0; at < names->size; at += strlen((char *)names->data + at) + 1)
        if (strcmp((char *)names->data + at, name) == 0)
            return true;
    return false;
}

/* Looks whether all members of the time when the key became first have left but one: the own. */
static void look_for_a_rollout(struct rotate_key *rotate)
{
    struct buffer names, failed, ignored;
    buffer_init(&names, CLUSTER_NAMES_SIZE_MAX);
    buffer_init(&failed, CLI_ERROR_SIZE_MAX);
    buffer_init(&ignored, CLI_ERROR_SIZE_MAX);
    if (!cluster_names(&rotate->client, &names, &failed, &ignored) || names.failed) {
        buffer_reset(&names);
    } else if (rotate->replaced.size == 0) {
        buffer_append_span(&rotate->replaced, buffer_span(&names));
    } else {
        size_t left = 0;
        for (size_t at = 0; at < rotate->replaced.size;) {
            const char *name = (char *)rotate->replaced.data + at;
            left += has_name(&names, name);
            at += strlen(name) + 1;
        }
        if (left <= 1) {
            say("All members have been replaced since then");
            rotation_rolled_out(&rotate->rotation);
        }
    }
    buffer_fini(&names);
    buffer_fini(&failed);
    buffer_fini(&ignored);
}

/* Who was not there during a rotation knows the old keys alone. */
static void tell_of_the_failed(struct rotate_key *rotate)
{
    struct buffer names, failed, ignored;
    buffer_init(&names, CLUSTER_NAMES_SIZE_MAX);
    buffer_init(&failed, CLI_ERROR_SIZE_MAX);
    buffer_init(&ignored, CLI_ERROR_SIZE_MAX);
    if (cluster_names(&rotate->client, &names, &failed, &ignored) && failed.size > 0)
        say("Failed, and to be started anew when they come back: %s", buffer_text(&failed));
    buffer_fini(&names);
    buffer_fini(&failed);
    buffer_fini(&ignored);
}

static enum store_result tell_members(struct rotate_key *rotate, enum rotation_step step)
{
    static const struct {
        bool (*act)(const struct client_options *options, struct span key, int64_t *members,
                    struct buffer *error);
        const char *doing, *done;
    } acts[ROTATION_GIVE_UP] = {
        [ROTATION_INSTALL] = {cluster_keys_install, "installing the key", "have installed it"},
        [ROTATION_USE] = {cluster_keys_use, "using the key", "use it"},
        [ROTATION_REMOVE] = {cluster_keys_remove_others, "removing other keys",
                             "have removed all others"},
    };
    struct buffer reason;
    int64_t members = 0;
    buffer_init(&reason, CLI_ERROR_SIZE_MAX);
    bool good = acts[step].act(&rotate->client, new_key_of(rotate), &members, &reason);
    if (!good) {
        buffer_printf(&rotate->error, "%s: %s", acts[step].doing, buffer_text(&reason));
    } else {
        if (!rotate->told[step])
            say("All %" PRId64 " members %s", members, acts[step].done);
        rotate->told[step] = true;
        rotation_succeeded(&rotate->rotation, step);
    }
    buffer_fini(&reason);
    if (good && step == ROTATION_USE && rotate->rotation.place == ROTATION_FIRST)
        look_for_a_rollout(rotate);
    if (good && step == ROTATION_REMOVE)
        tell_of_the_failed(rotate);
    return good ? STORE_GOOD : STORE_LATER;
}

/* --- all of it --- */

static enum store_result perform(struct rotate_key *rotate, enum rotation_step step, int64_t now)
{
    if (!rotate->read)
        return read_secret(rotate, now);
    if (step == ROTATION_BEGIN)
        return add_key(rotate, now);
    if (step == ROTATION_PROMOTE)
        return move_new_key(rotate, ROTATION_FIRST, "first", now);
    if (step == ROTATION_FINISH)
        return move_new_key(rotate, ROTATION_NONE, "alone", now);
    return tell_members(rotate, step);
}

static void sleep_until(struct rotate_key *rotate, int64_t now)
{
    struct rotation *rotation = &rotate->rotation;
    char text[DURATION_TEXT_SIZE];
    bool last = rotation->place == ROTATION_LAST;
    if (rotation->failures == 0 && !rotate->told[ROTATION_SLEEP]) {
        int64_t end = rotation->since + (last ? rotation->times.settle : rotation->times.wait);
        say("Waiting %s for pods that started from an older Secret",
            duration_text((end - now) * second, text));
        rotate->told[ROTATION_SLEEP] = true;
    }
    struct timespec rest = {.tv_sec = rotation->wake - now};
    nanosleep(&rest, NULL);
}

static int give_up(struct rotate_key *rotate)
{
    printf("Error rotating the key: %s%s\n", buffer_text(&rotate->error),
           rotate->rotation.under_way ? "; the next run goes on from here" : "");
    return 1;
}

/* The exit status. */
static int rotate_until_done(struct rotate_key *rotate)
{
    for (;;) {
        int64_t now = time(NULL);
        enum rotation_step step = rotation_next(&rotate->rotation, now);
        if (step == ROTATION_DONE)
            return 0;
        if (step == ROTATION_GIVE_UP)
            return give_up(rotate);
        if (step == ROTATION_SLEEP) {
            sleep_until(rotate, now);
            continue;
        }
        buffer_reset(&rotate->error);
        enum store_result result = perform(rotate, step, now);
        if (result == STORE_NEVER)
            return give_up(rotate);
        if (result == STORE_LATER)
            rotation_failed(&rotate->rotation, now);
        if (result == STORE_LATER && rotate->rotation.failures == 1)
            say("Not yet: %s", buffer_text(&rotate->error));
    }
}

/* --- options --- */

/* A Secret's key is made of these alone. */
static bool is_entry_name(const char *text)
{
    return *text != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-_.") == strlen(text);
}

static void set_times(struct rotate_key *rotate, int64_t settle, int64_t wait)
{
    int64_t shorter = (settle < wait ? settle : wait) / second / REPEATS_MIN;
    int64_t repeat = shorter < 1 ? 1 : shorter;
    const struct rotation_times times = {
        .settle = settle / second,
        .wait = wait / second,
        .repeat = repeat < REPEAT_SECONDS_MAX ? repeat : REPEAT_SECONDS_MAX,
        .pause = PAUSE_SECONDS,
        .attempts = ATTEMPTS,
    };
    rotation_init(&rotate->rotation, &times);
}

/* Process 1 of a container ignores what it does not handle. */
static void on_signal(int number)
{
    _exit(128 + number);
}

static int run(int argc, char **argv)
{
    struct rotate_key rotate = {.name = ""};
    const char *space = "", *entry = "keyring.json", *folder = NULL;
    int64_t settle = 120 * second, wait = 600 * second;
    const struct flag flags[] = {
        {"secret", FLAG_STRING, &rotate.name, NULL}, {"namespace", FLAG_STRING, &space, NULL},
        {"key", FLAG_STRING, &entry, NULL},          {"settle", FLAG_DURATION, &settle, NULL},
        {"wait", FLAG_DURATION, &wait, NULL},        {"account", FLAG_STRING, &folder, NULL},
    };
    if (client_options_parse(&rotate.client, &command_rotate_key, flags,
                             sizeof flags / sizeof flags[0], argc, argv) < 0)
        return 1;
    if (*rotate.name == '\0')
        return client_usage_error(&command_rotate_key, "-secret must name a Secret.");
    if (!is_entry_name(entry))
        return client_usage_error(&command_rotate_key,
                                  "-key must be the name of an entry of a Secret: letters, digits, "
                                  "\"-\", \"_\" and \".\".");
    if (settle < 0 || wait < 0)
        return client_usage_error(&command_rotate_key, "-settle and -wait must not be negative.");
    set_times(&rotate, settle, wait);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    buffer_init(&rotate.error, CLI_ERROR_SIZE_MAX);
    buffer_init(&rotate.replaced, CLUSTER_NAMES_SIZE_MAX);
    int status = secret_store_init(&rotate.store, space, rotate.name, entry, folder, &rotate.error)
                     ? rotate_until_done(&rotate)
                     : give_up(&rotate);
    if (rotate.read)
        keyring_secret_fini(&rotate.secret);
    secret_store_fini(&rotate.store);
    buffer_fini(&rotate.error);
    buffer_fini(&rotate.replaced);
    return status;
}

const struct command command_rotate_key = {
    "rotate-key", "Replaces the key of an encrypted cluster in Kubernetes", help, run};

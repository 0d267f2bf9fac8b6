/* One entry for each text of settings: its list that is under way, those who wait for it, and what
 * the last one said. Whoever waits is told by a task of its own, so that it may do anything in
 * return. */
#include "kube_discovery.h"

#include <malloc.h>
#include <stdlib.h>

#include "kube_lists.h"
#include "kube_provider.h"

enum { ERROR_SIZE_MAX = 2 * KUBE_SETTINGS_SIZE_MAX, PATH_SIZE_MAX = 48 * 1024 };

/* Settings that nobody has asked for in this time don't make others wait. */
#define IN_USE_NS (10 * KUBE_JOINED_PAUSE_NS)

struct asker {
    struct asker *next, **link;
    struct kube_discovery *discovery;
    struct entry *entry; /* NULL: it was refused, with `error` */
    struct loop_task answer;
    const char *error; /* static */
    uint16_t port;
    resolver_done *done;
    void *context;
};

struct entry {
    struct entry *next, **link;
    struct kube_discovery *discovery;
    struct buffer settings;
    struct kube_provider provider;
    struct buffer namespace; /* of the service account, where the settings name none */
    unsigned waiting;        /* askers */
    uint64_t asked;          /* when somebody last did */
    uint64_t begun;          /* when the last list began; 0: never */
    bool listing, wrong;     /* wrong: the settings are, and `error` says how */

    struct kube_addresses found; /* by the list that is under way */
    struct buffer more;          /* where its next page begins */
    unsigned pages;
    bool started_anew;
    bool warned; /* that addresses are left out */

    /* What the last list said: the one or the other. */
    struct kube_addresses good;
    struct buffer error;
};

struct kube_discovery {
    struct loop *loop;
    struct kube_config config;
    kube_warn *warn; /* may be NULL */
    void *warn_context;
    struct kube_api *api;
    struct entry *entries; /* the newest first */
    unsigned entry_count;
    struct asker *askers;
    unsigned asker_count;
};

/* --- entries --- */

static void entry_free(struct entry *entry)
{
    *entry->link = entry->next;
    if (entry->next)
        entry->next->link = entry->link;
    entry->discovery->entry_count--;
    kube_provider_fini(&entry->provider);
    buffer_fini(&entry->settings);
    buffer_fini(&entry->namespace);
    buffer_fini(&entry->more);
    buffer_fini(&entry->error);
    kube_addresses_fini(&entry->found);
    kube_addresses_fini(&entry->good);
    free(entry);
}

/* Makes room by the oldest that nobody needs. */
static bool make_room(struct kube_discovery *discovery)
{
    struct entry *oldest = NULL;
    if (discovery->entry_count < KUBE_SETTINGS_MAX)
        return true;
    for (struct entry *entry = discovery->entries; entry; entry = entry->next)
        if (!entry->listing && entry->waiting == 0)
            oldest = entry;
    if (oldest)
        entry_free(oldest);
    return oldest != NULL;
}

static struct entry *entry_new(struct kube_discovery *discovery, struct span settings)
{
    struct entry *entry = make_room(discovery) ? calloc(1, sizeof *entry) : NULL;
    if (!entry)
        return NULL;
    entry->discovery = discovery;
    buffer_init(&entry->settings, KUBE_SETTINGS_SIZE_MAX);
    buffer_init(&entry->namespace, KUBE_NAMESPACE_SIZE_MAX);
    buffer_init(&entry->more, KUBE_CONTINUE_SIZE_MAX);
    buffer_init(&entry->error, ERROR_SIZE_MAX);
    entry->next = discovery->entries;
    entry->link = &discovery->entries;
    if (entry->next)
        entry->next->link = &entry->next;
    discovery->entries = entry;
    discovery->entry_count++;
    if (!buffer_append_span(&entry->settings, settings)) {
        entry_free(entry);
        return NULL;
    }
    entry->wrong = !kube_provider_parse(&entry->provider, settings, &entry->error);
    return entry;
}

/* Settings that were wrong are read again: perhaps there was no memory to read them. */
static struct entry *find_entry(struct kube_discovery *discovery, struct span settings)
{
    struct entry *entry = discovery->entries;
    while (entry && !span_equal(buffer_span(&entry->settings), settings))
        entry = entry->next;
    if (!entry)
        return entry_new(discovery, settings);
    if (entry->wrong) {
        buffer_reset(&entry->error);
        entry->wrong = !kube_provider_parse(&entry->provider, settings, &entry->error);
    }
    return entry;
}

/* --- answers --- */

static void asker_free(struct asker *asker)
{
    *asker->link = asker->next;
    if (asker->next)
        asker->next->link = asker->link;
    asker->discovery->asker_count--;
    if (asker->entry)
        asker->entry->waiting--;
    loop_task_cancel(&asker->answer);
    free(asker);
}

/* The asker may free everything: it gets copies, and nothing is touched afterwards. */
static void on_answer(void *context)
{
    struct asker *asker = context;
    struct entry *entry = asker->entry;
    resolver_done *done = asker->done;
    void *its_context = asker->context;
    struct endpoint *endpoints = NULL;
    size_t count = entry ? entry->good.count : 0;
    struct buffer error;
    buffer_init(&error, ERROR_SIZE_MAX);
    if (count > 0)
        endpoints = malloc(count * sizeof *endpoints);
    for (size_t i = 0; endpoints && i < count; i++) {
        endpoints[i] = entry->good.endpoints[i];
        if (endpoints[i].port == 0)
            endpoints[i].port = asker->port;
    }
    if (!endpoints)
        buffer_append_text(&error, asker->error ? asker->error
                                   : count > 0  ? ""
                                                : buffer_text(&entry->error));
    const char *reason = error.size > 0 ? buffer_text(&error) : "out of memory";
    asker_free(asker);
    done(its_context, endpoints, endpoints ? count : 0, endpoints ? NULL : reason);
    free(endpoints);
    buffer_fini(&error);
}

static void answer_all(struct entry *entry)
{
    for (struct asker *asker = entry->discovery->askers; asker; asker = asker->next)
        if (asker->entry == entry)
            loop_defer(&asker->answer);
}

/* --- lists --- */

/* A mark that is left says that there are pages which nobody asked for. */
static void warn_of_limits(struct entry *entry)
{
    struct kube_discovery *discovery = entry->discovery;
    struct buffer text;
    if (!discovery->warn || entry->warned || entry->error.size > 0 ||
        (!entry->found.left_out && entry->more.size == 0))
        return;
    buffer_init(&text, ERROR_SIZE_MAX);
    bool full = entry->found.count == KUBE_ADDRESSES_MAX;
    buffer_printf(&text, "'%.*s' finds more than %d %s: the rest is left out%s",
                  SPAN_PRINT(buffer_span(&entry->settings)),
                  full ? KUBE_ADDRESSES_MAX : KUBE_PAGES_MAX * KUBE_PAGE_SIZE,
                  full ? "addresses" : "objects",
                  entry->provider.service ? "" : "; a narrower label_selector avoids that");
    entry->warned = !text.failed;
    if (entry->warned)
        discovery->warn(discovery->warn_context, buffer_text(&text));
    buffer_fini(&text);
}

static void end_list(struct entry *entry)
{
    warn_of_limits(entry);
    entry->listing = false;
    kube_addresses_fini(&entry->good);
    if (entry->error.size == 0)
        entry->good = entry->found;
    else
        kube_addresses_fini(&entry->found);
    entry->found = (struct kube_addresses){0};
    buffer_reset(&entry->more);
    malloc_trim(0); /* pages that were read are megabytes in little pieces */
    answer_all(entry);
}

static struct span namespace_of(const struct entry *entry)
{
    return entry->provider.namespace ? span_text(entry->provider.namespace)
                                     : buffer_span(&entry->namespace);
}

static void append_parameter(struct buffer *path, const char *name, struct span value)
{
    buffer_printf(path, "&%s=", name);
    kube_append_encoded(path, value);
}

static bool write_path(const struct entry *entry, struct buffer *path)
{
    const struct kube_provider *provider = &entry->provider;
    buffer_append_text(path, provider->service ? "/apis/discovery.k8s.io/v1/namespaces/"
                                               : "/api/v1/namespaces/");
    kube_append_encoded(path, namespace_of(entry));
    buffer_printf(path, "/%s?limit=%d", provider->service ? "endpointslices" : "pods",
                  KUBE_PAGE_SIZE);
    if (provider->service) {
        append_parameter(path, "labelSelector", span_text("kubernetes.io/service-name="));
        kube_append_encoded(path, span_text(provider->service));
    }
    if (provider->label_selector)
        append_parameter(path, "labelSelector", span_text(provider->label_selector));
    if (provider->field_selector)
        append_parameter(path, "fieldSelector", span_text(provider->field_selector));
    if (entry->more.size > 0)
        append_parameter(path, "continue", buffer_span(&entry->more));
    return !path->failed;
}

static void on_page(void *context, unsigned status, struct span body, const char *error);

static void ask_for_page(struct entry *entry)
{
    struct buffer path;
    buffer_init(&path, PATH_SIZE_MAX);
    if (!write_path(entry, &path) ||
        !kube_api_request(entry->discovery->api, KUBE_GET, buffer_text(&path), NULL, SPAN_EMPTY,
                          on_page, entry)) {
        buffer_append_text(&entry->error, "out of memory");
        end_list(entry);
    }
    buffer_fini(&path);
}

static void begin_pages(struct entry *entry)
{
    kube_addresses_fini(&entry->found);
    buffer_reset(&entry->more);
    entry->pages = 0;
    ask_for_page(entry);
}

static void explain_empty(struct entry *entry)
{
    const struct kube_provider *provider = &entry->provider;
    struct span namespace = namespace_of(entry);
    if (provider->service)
        buffer_printf(&entry->error, "the Service %s of the namespace %.*s has no endpoint",
                      provider->service, SPAN_PRINT(namespace));
    else
        buffer_printf(&entry->error, "no pod of the namespace %.*s%s%s has an address",
                      SPAN_PRINT(namespace), provider->label_selector ? " with " : "",
                      provider->label_selector ? provider->label_selector : "");
}

/* False when the page is not what it should be. */
static bool read_page(struct entry *entry, struct span body)
{
    buffer_reset(&entry->more);
    return entry->provider.service
               ? kube_read_slices(body, &entry->found, &entry->more, &entry->error)
               : kube_read_pods(body, entry->provider.host_network, &entry->found, &entry->more,
                                &entry->error);
}

static void on_page(void *context, unsigned status, struct span body, const char *error)
{
    struct entry *entry = context;
    /* The mark is too old: the list has changed too much meanwhile. */
    if (status == 410 && entry->more.size > 0 && !entry->started_anew) {
        entry->started_anew = true;
        begin_pages(entry);
        return;
    }
    if (error) {
        buffer_append_text(&entry->error, error);
    } else if (status != 200) {
        buffer_append_text(&entry->error, "the API server says ");
        kube_status_text(status, body, &entry->error);
    } else if (read_page(entry, body)) {
        if (entry->more.size > 0 && entry->found.count < KUBE_ADDRESSES_MAX &&
            ++entry->pages < KUBE_PAGES_MAX) {
            ask_for_page(entry);
            return;
        }
        if (entry->found.count == 0)
            explain_empty(entry);
    }
    if (entry->error.size == 0 && entry->found.count == 0)
        buffer_append_text(&entry->error, "out of memory");
    end_list(entry);
}

static void begin_list(struct entry *entry)
{
    entry->listing = true;
    entry->started_anew = false;
    entry->begun = loop_now();
    buffer_reset(&entry->error);
    buffer_reset(&entry->namespace);
    if (!entry->provider.namespace &&
        !kube_account_namespace(&entry->discovery->config, &entry->namespace, &entry->error))
        end_list(entry);
    else
        begin_pages(entry);
}

/* --- askers --- */

static bool is_answered_from_memory(const struct entry *entry, bool joined)
{
    uint64_t now = loop_now(), pause = 0;
    for (const struct entry *each = entry->discovery->entries; each; each = each->next)
        if (!each->wrong && now - each->asked < IN_USE_NS)
            pause += KUBE_JOINED_PAUSE_NS;
    return entry->begun != 0 && now - entry->begun < (joined ? pause : KUBE_ALONE_PAUSE_NS);
}

bool kube_discover(struct kube_discovery *discovery, struct span settings, uint16_t port,
                   bool joined, resolver_done *done, void *context)
{
    struct asker *asker = calloc(1, sizeof *asker);
    if (!asker)
        return false;
    struct entry *entry = NULL;
    if (settings.size > KUBE_SETTINGS_SIZE_MAX)
        asker->error = "more than 4096 bytes of settings";
    else if (discovery->asker_count >= KUBE_DISCOVERIES_MAX)
        asker->error = "64 others wait for the API server already";
    else if (!(entry = find_entry(discovery, settings)))
        asker->error = "out of memory, or 16 other lists are under way";
    asker->discovery = discovery;
    asker->entry = entry;
    asker->port = port;
    asker->done = done;
    asker->context = context;
    loop_task_init(&asker->answer, discovery->loop, on_answer, asker);
    asker->next = discovery->askers;
    asker->link = &discovery->askers;
    if (asker->next)
        asker->next->link = &asker->next;
    discovery->askers = asker;
    discovery->asker_count++;
    if (entry) {
        entry->waiting++;
        entry->asked = loop_now();
    }
    if (!entry || entry->wrong || (!entry->listing && is_answered_from_memory(entry, joined)))
        loop_defer(&asker->answer);
    else if (!entry->listing)
        begin_list(entry);
    return true;
}

/* --- life --- */

struct kube_discovery *kube_discovery_new(struct loop *loop, const struct kube_config *config,
                                          kube_warn *warn, void *warn_context)
{
    struct kube_discovery *discovery = calloc(1, sizeof *discovery);
    if (!discovery)
        return NULL;
    discovery->loop = loop;
    discovery->warn = warn;
    discovery->warn_context = warn_context;
    if (config)
        discovery->config = *config;
    if (discovery->config.answer_size_max == 0)
        discovery->config.answer_size_max = KUBE_PAGE_BYTES_MAX;
    discovery->api = kube_api_new(loop, &discovery->config);
    if (!discovery->api) {
        free(discovery);
        return NULL;
    }
    return discovery;
}

void kube_discovery_free(struct kube_discovery *discovery)
{
    if (!discovery)
        return;
    kube_api_free(discovery->api);
    while (discovery->askers)
        asker_free(discovery->askers);
    while (discovery->entries)
        entry_free(discovery->entries);
    free(discovery);
}

/* TCP first, then UDP on the port that TCP got: a port of 0 is the system's choice among TCP's free
 * ports, and UDP may have lost it meanwhile, so that a few tries are made. */
#include "interfaces.h"
#include "node_internal.h"
#include "socket_text.h"

enum { BIND_TRIES = 10 }; /* with port 0 (memberlist specification, 9.3) */

static const char no_private_address[] =
    "Failed to create memberlist: failed to get final advertise address: "
    "no private IP address found, and explicit IP not provided";

static bool bind_text(const struct node_config *config, struct endpoint *address,
                      struct buffer *error)
{
    const char *text = config->bind_address ? config->bind_address : "";
    *address = (struct endpoint){.port = config->bind_port};
    if (text[0] == '\0' || endpoint_from_text(address, text, config->bind_port))
        return true;
    buffer_printf(error, "\"%s\" is not a numeric address", text);
    return false;
}

static void wrap(struct buffer *error, const char *what, const struct node_config *config,
                 uint16_t port, struct buffer *reason)
{
    buffer_printf(error,
                  "Failed to create memberlist: could not set up network transport: failed to "
                  "obtain an address: failed to start %s listener on \"%s\" port %u: %s",
                  what, config->bind_address ? config->bind_address : "", port,
                  buffer_text(reason));
}

static bool open_listener(struct node *node, const struct endpoint *address, struct buffer *reason)
{
    struct listener_callbacks callbacks = node_listener_callbacks;
    callbacks.context = node;
    node->listener = listener_new(node->loop, address, &callbacks, reason);
    return node->listener != NULL;
}

static bool open_udp(struct node *node, const struct endpoint *address, struct buffer *reason)
{
    struct udp_callbacks callbacks = node_udp_callbacks;
    callbacks.context = node;
    node->udp = udp_new(node->loop, address, &callbacks, reason);
    return node->udp != NULL;
}

/* One try; leaves nothing open when it fails. */
static bool open_both(struct node *node, const struct node_config *config, struct buffer *error)
{
    struct endpoint address;
    struct buffer reason;
    buffer_init(&reason, 512);
    bool done = false;
    if (!bind_text(config, &address, &reason) || !open_listener(node, &address, &reason)) {
        wrap(error, "TCP", config, config->bind_port, &reason);
    } else {
        node->bound = listener_bound(node->listener);
        address.port = node->bound.port;
        done = open_udp(node, &address, &reason);
        if (!done) {
            wrap(error, "UDP", config, address.port, &reason);
            listener_free(node->listener);
            node->listener = NULL;
        }
    }
    buffer_fini(&reason);
    return done;
}

static bool open_sockets(struct node *node, const struct node_config *config, struct buffer *error)
{
    unsigned tries = config->bind_port == 0 ? BIND_TRIES : 1;
    while (!open_both(node, config, error)) {
        if (--tries == 0)
            return false;
        node_log(node, LOG_LEVEL_DEBUG, "memberlist: Got bind error: %s", buffer_text(error));
        buffer_reset(error);
    }
    if (config->bind_port == 0)
        node_log(node, LOG_LEVEL_DEBUG, "memberlist: Using dynamic bind port %u", node->bound.port);
    return true;
}

static bool find_private_address(struct endpoint *address, struct buffer *error)
{
    struct interface_table table;
    struct buffer reason;
    buffer_init(&reason, 256);
    bool read = interface_table_read(&table, &reason);
    bool found = read && private_address_choose(&table, address);
    if (!read)
        buffer_printf(error,
                      "Failed to create memberlist: failed to get final advertise address: failed "
                      "to get interface addresses: %s",
                      buffer_text(&reason));
    else if (!found)
        buffer_append_text(error, no_private_address);
    interface_table_fini(&table);
    buffer_fini(&reason);
    return found;
}

/* memberlist specification, 9.4. */
static bool choose_advertise(struct node *node, const struct node_config *config,
                             struct swim_config *swim, struct buffer *error)
{
    if (swim->advertise.address_size == 0) {
        swim->advertise = node->bound;
        if (endpoint_is_any(&node->bound) && !find_private_address(&swim->advertise, error))
            return false;
        swim->advertise.port = node->bound.port;
        swim->advertise_mapped =
            config->bind_address && strcmp(config->bind_address, "0.0.0.0") == 0;
    }
    if (swim->advertise.port == 0)
        swim->advertise.port = node->bound.port;
    node->advertised = swim->advertise;
    if (!address_is_private(&swim->advertise) && keyring_count(swim->keyring) == 0)
        node_log(node, LOG_LEVEL_WARN, "memberlist: Binding to public address without encryption!");
    return true;
}

bool node_bind(struct node *node, const struct node_config *config, struct serf_config *serf,
               struct buffer *error)
{
    if (!open_sockets(node, config, error))
        return false;
    serf->swim.bind_port = node->bound.port;
    return choose_advertise(node, config, &serf->swim, error);
}

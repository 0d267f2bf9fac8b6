/* IPv6 addresses without brackets, which every option for an address takes. */
#ifndef RPC_BARE_ADDRESS_H
#define RPC_BARE_ADDRESS_H

enum bare_address {
    BARE_ADDRESS_NO,      /* no IPv6 address, or one in brackets */
    BARE_ADDRESS_YES,     /* the whole text is one; it has no port */
    BARE_ADDRESS_OR_PORT, /* "fd00::1:7946": nobody can tell whether that ends in a port */
};

enum bare_address bare_address_look(const char *text);

#endif

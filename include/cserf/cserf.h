/* libcserf: cluster membership by gossip, compatible with Serf.
 *
 *     member.h    run a member of a cluster inside your own event loop
 *     rpc.h       call an agent that runs elsewhere
 *     types.h     what both have in common: errors, members, events, queries
 *     version.h   versions, and what may change between them
 *
 * Link with what `pkg-config --libs cserf` says. */
#ifndef CSERF_CSERF_H
#define CSERF_CSERF_H

#include <cserf/member.h>
#include <cserf/rpc.h>
#include <cserf/types.h>
#include <cserf/version.h>

#endif

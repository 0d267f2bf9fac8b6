/* What the agent tells over HTTP: GET and HEAD of
 *
 *     /health/live      200 while the loop turns
 *     /health/ready     200 once this member has met its cluster, or knows that it is the first,
 *                       until it leaves; else 503 with the reason
 *     /metrics          metric_page.h
 *     /v1/members       as `serf members -format=json`
 *     /v1/stats         as `serf info -format=json`, without the scripts of event handlers
 *     /v1/coordinates   {"coordinates": [{"name", "vector", "error", "adjustment", "height"}]}
 */
#ifndef AGENT_AGENT_HTTP_H
#define AGENT_AGENT_HTTP_H

#include "http_server.h"

struct agent;
struct member_view;

enum { HTTP_DEFAULT_PORT = 7374 };

/* Listens at the configuration's http_addr; true without one, too. */
bool agent_http_start(struct agent *agent, struct buffer *error);

/* Something is known of these members: who knows of another than itself has met its cluster, for
 * good. */
void agent_http_met(struct agent *agent, const struct member_view *members, size_t count);

#endif

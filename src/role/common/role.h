/*
 * What every role process has in common. A role's main is:
 *
 *   int main(int argc, char **argv)
 *   {
 *           static const struct role_ops ops = { .name = "edge", .on_start = ..., ... };
 *           return role_main(argc, argv, &ops);
 *   }
 *
 * role_main: takes the supervisor's channel from descriptor 3, waits for CONFIG (and the LISTEN and LINK that
 * come with it), seeds hashes, calls on_start, closes the sandbox, then runs the loop. The order is fixed:
 *   config -> listeners -> on_start (opens files, warms up libraries) -> sandbox -> on_ready -> loop.
 *
 * The supervisor's channel closing, or SIGTERM, calls on_stop; the role ends by role_end() when it is done
 * (edge: after its open transactions), at the latest after 30 s. Links arrive and go at any time.
 */
#pragma once

#include "base/fault.h"
#include "base/span.h"
#include "ipc/link.h"
#include "say/say.h"

struct loop;
struct os;
struct msg_config; /* generated from src/ipc/messages/config.msg */
struct role;

enum role_id {
	ROLE_NONE,
	ROLE_EDGE,
	ROLE_SCOUT,
	ROLE_SEQUENCER,
	ROLE_CLERK,
	ROLE_COURIER,
	ROLE_WATCH,
	ROLE_DESK,
	ROLE_AUTH,
};

const char *role_name(enum role_id id); /* "edge" */

/* What the sandbox leaves to a role after on_start. Everything not named here is forbidden. */
struct role_sandbox {
	bool network_client; /* may create inet sockets and connect (scout, courier, watch) */
	bool udp;	     /* scout */
	bool threads;	     /* may create threads after on_start */
	const char *const *write_below; /* paths relative to the data directory, NULL-terminated */
	const char *const *read_below;
};

struct role_ops {
	enum role_id id;
	const struct role_sandbox *sandbox;
	struct say_metric *const *metrics; /* sent to the supervisor once a second */
	size_t metrics_n;
	/* False (with why) ends the process with that as its last words. */
	bool (*on_start)(struct role *r, struct fault *why);
	void (*on_ready)(struct role *r); /* may be NULL */
	/* A new link to another role's instance; set its ops with role_link_accept, or return to have it closed. */
	void (*on_link)(struct role *r, enum role_id peer, unsigned peer_instance, int fd);
	/* A listening socket, bound by the supervisor: service is the configuration's name of it ("smtp"). */
	void (*on_listen)(struct role *r, const char *service, int fd);
	void (*on_reload)(struct role *r, const struct msg_config *was); /* role_config is the new one; may be NULL */
	void (*on_stop)(struct role *r);
	/* What the supervisor tells this role alone (watch: Roles, RoleMetrics, ReloadResult). False: malformed,
	 * which ends the role. May be NULL: such messages are malformed then. */
	bool (*on_super)(struct role *r, unsigned type, struct span body);
};

int role_main(int argc, char **argv, const struct role_ops *ops);

struct loop *role_loop(struct role *r);
struct os *role_os(struct role *r);
/* Lives until the next on_reload has returned. */
const struct msg_config *role_config(const struct role *r);
unsigned role_instance(const struct role *r); /* 0, 1, ... */
const char *role_full_name(const struct role *r); /* "edge-0"; also the name of its lane */
const char *role_data(const struct role *r); /* the data directory, no slash at the end */
void *role_state(struct role *r);
void role_set_state(struct role *r, void *state);
/* One line that status shows beside this role ("accepting", "disk reserve reached"). Copied. */
void role_tell(struct role *r, const char *condition);
/* A message to the supervisor (watch: ReloadRequest). LATER: the channel is full or gone. */
enum rc role_tell_super(struct role *r, unsigned type, struct span body);
void role_end(struct role *r); /* leaves the loop; exit status 0 */

/*
 * What every role process has in common. A role's main is:
 *
 *   int main(int argc, char **argv)
 *   {
 *           static const struct role_ops ops = { .id = ROLE_EDGE, .on_start = ..., ... };
 *           return role_main(argc, argv, &ops);
 *   }
 *
 * role_main takes the supervisor's channel from descriptor 3 and waits for the configuration and for Ready, then, in
 * this order:
 *   on_start (opens files, warms up libraries) -> the sandbox closes -> on_listen and on_link for all that came so far
 *   -> on_ready -> the loop. Later links come by on_link from the loop.
 *
 * Listening sockets by service name: those of the configuration ("smtp", "metrics"), and for watch "control", a Unix
 * stream socket. They listen already and do not block. TLS: config->tls_certificate and tls_key name files that this
 * role may read at start and in on_reload; the supervisor has checked that they belong together.
 *
 * The supervisor's channel closing, StopNow or SIGTERM calls on_stop, once; the role ends by role_end() when it is
 * done (edge: after its open transactions), at the latest after ROLE_STOP_S. Links arrive and go at any time.
 * SIGINT and SIGHUP are the supervisor's affair and ignored here.
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

enum { ROLE_STOP_S = 30 };

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
	ROLE_SUBMISSION, /* edge for our own people: ports 587 and 465 */
	ROLE_INDEXER,	 /* reads messages, writes index/digest.db */
	ROLE_CONSOLE,	 /* the administrators' listener */
	ROLE_LAST = ROLE_CONSOLE,
};

const char *role_name(enum role_id id); /* "edge" */

/*
 * What the sandbox leaves to a role after on_start. Everything not named here is forbidden. Paths are relative to the
 * data directory, NULL-terminated, must exist when on_start returns, and may be glob patterns; "%" stands for the
 * role's full name: "ledger/lane-%", "ledger/lane-%.*".
 */
struct role_sandbox {
	bool network_client; /* may create inet sockets and connect (scout, courier, watch) */
	bool udp;	     /* scout */
	bool pairs;	     /* may make pairs of connected sockets (submission) */
	bool threads;	     /* may create threads after on_start; writers of lanes always may */
	const char *const *write_below; /* create, write, rename, remove, read */
	const char *const *read_below;
	/* Absolute: "/etc/resolv.conf", "/etc/ssl/certs". Missing ones are skipped; links lead where they lead. */
	const char *const *read_system;
};

struct role_ops {
	enum role_id id;
	const struct role_sandbox *sandbox;
	struct say_metric *const *metrics; /* sent to the supervisor once a second */
	size_t metrics_n;
	/* False (with why) ends the process with that as its last words. */
	bool (*on_start)(struct role *r, struct fault *why);
	void (*on_ready)(struct role *r); /* may be NULL */
	/* A new link to another role's instance: link_new it (or close fd). After the old one's on_closed or before. */
	void (*on_link)(struct role *r, enum role_id peer, unsigned peer_instance, int fd);
	/* A listening socket, bound by the supervisor: service is the configuration's name of it ("smtp"). */
	void (*on_listen)(struct role *r, const char *service, int fd);
	void (*on_reload)(
		struct role *r,
		const struct msg_config *was); /* role_config is the new one; may be NULL */
	void (*on_stop)(struct role *r);       /* NULL: ends at once */
	/* What the supervisor tells this role alone (watch: Roles, RoleMetrics, ReloadResult). False: malformed,
	 * which ends the role. May be NULL: such messages are malformed then. */
	bool (*on_super)(struct role *r, unsigned type, struct span body);
};

int role_main(int argc, char **argv, const struct role_ops *ops);

struct loop *role_loop(struct role *r);
struct os *role_os(struct role *r);
/* Lives until the next on_reload has returned. */
const struct msg_config *role_config(const struct role *r);
unsigned role_instance(const struct role *r);	  /* 0, 1, ... */
const char *role_full_name(const struct role *r); /* "edge-0"; also the name of its lane */
const char *role_data(const struct role *r);	  /* the data directory, no slash at the end */
void *role_state(struct role *r);
void role_set_state(struct role *r, void *state);
/* One line that status shows beside this role ("accepting", "disk reserve reached"). Copied. */
void role_tell(struct role *r, const char *condition);
/* A message to the supervisor (watch: ReloadRequest). LATER: the channel is full or gone. */
enum rc role_tell_super(struct role *r, unsigned type, struct span body);
/*
 * A link to a peer ended (call it from the link's on_closed): the supervisor makes a new one for both if the peer still
 * runs, after a pause; if the peer died there will be one anyway when it is back. Calling it needlessly does no harm.
 */
void role_link_lost(struct role *r, enum role_id peer, unsigned peer_instance);
void role_end(struct role *r); /* leaves the loop; exit status 0 */

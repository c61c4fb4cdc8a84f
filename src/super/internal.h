/* What the files of the supervisor share. One struct super, one struct child for each role process wanted. */
#pragma once

#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/list.h"
#include "ipc/link.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "role/common/role.h"
#include "super/super.h"

/* ---- topology.c: which roles there are, how many of each, and who speaks with whom ---- */

unsigned super_instances(enum role_id id,
			 const struct msg_config *config); /* 0: this role is not run */
bool super_are_linked(enum role_id a, enum role_id b);
/* Roles that bring work in or out end first; the others have then nothing left to do. */
bool super_ends_first(enum role_id id);

/* ---- users.c: who the roles run as ---- */

struct super_users {
	bool switches; /* started as root */
	bool own;      /* one user a role; else all as uid[0] */
	gid_t gid;
	uid_t uid[ROLE_LAST + 1];
	char text[64]; /* "holdfast-edge, holdfast-scout ...", "nobody" */
};

bool super_users_find(struct super_users *out, struct fault *why);

/* ---- tree.c: the data directory ---- */

/* Makes what is missing, sets owners and modes. REFUSED with a sentence and a way out. */
bool super_tree_make(const char *data, const struct super_users *users, struct fault *why);
/* Takes run/holdfast.pid for this process; -1: another supervisor has it. */
int super_tree_lock(const char *data, struct fault *why);
/* Copies certificate and key (self-signed ones when none are named) to where the roles that speak TLS read them. */
bool super_tls_stage(const struct msg_config *config, const char *data,
		     const struct super_users *users, bool is_start, struct fault *why);
const char *super_tls_certificate(const char *data, struct arena *a);
/* Of this role; of edge for those that have none. */
const char *super_tls_key(const char *data, enum role_id role, struct arena *a);

/* ---- listen.c ---- */

/* "0.0.0.0:25" -> a listening, non-blocking descriptor; -1 with a sentence that says what to do. */
int super_listen(const char *service, const char *address, struct fault *why);
/* A Unix stream socket <data>/run/<name> that this role and the group may use. */
int super_listen_unix(const char *data, const char *name, enum role_id owner, const struct super_users *users,
		      struct fault *why);
/* Which role takes connections of a service. */
enum role_id super_listener_role(const char *service);

/* ---- notify.c: systemd's protocol, one datagram a time ---- */

void super_notify(const char *state); /* "READY=1"; nothing without NOTIFY_SOCKET */
uint64_t super_watchdog_us(void);     /* half of systemd's patience; 0: none */

/* ---- settings.c: the configuration as the roles get it ---- */

struct super_settings {
	struct arena arena;
	struct buf bytes; /* encoded; config borrows from it */
	struct msg_config config;
	/* What the roles get: sealed memory files with the names of the staged certificate and of the role's own copy of
	 * its key; -1 before sealing. */
	int fd[ROLE_LAST + 1];
};

/*
 * Loads path. was: NULL, or the settings in use: what cannot change while running is taken from them and named in
 * *note. NULL with why; every problem was printed to stderr.
 */
struct super_settings *super_settings_load(const char *path, const struct super_settings *was,
					   struct buf *note, struct fault *why);
bool super_settings_seal(struct super_settings *s, const char *data, struct fault *why);
void super_settings_free(struct super_settings *s);

/* ---- child.c: one role process ---- */

enum child_state { CHILD_STARTING = 0, CHILD_RUNNING = 1, CHILD_WAITING = 2, CHILD_STOPPED = 3 };

struct super;
struct child {
	struct list at;
	struct super *super;
	enum role_id id;
	unsigned instance;
	char full_name[48];
	char path[1024]; /* of the program */
	pid_t pid;	 /* 0: none */
	enum child_state state;
	unsigned restarts;
	uint64_t since_us;	  /* wall clock of the last change of state */
	uint64_t running_from_us; /* monotonic; 0: never got there */
	uint64_t pause_us;	  /* before the next start */
	struct link *channel;
	struct loop_timer *restart_at, *kill_at;
	/* stderr of the process */
	int said_fd;
	struct loop_fd *said;
	struct buf line;
	char last_line[400];  /* of the present process */
	char last_words[400]; /* of the last one that died, and how */
	char condition[200];
};

struct child *super_child_new(struct super *s, enum role_id id, unsigned instance);
void super_child_free(struct child *c);
void super_child_start(struct child *c);
void super_child_stop(struct child *c); /* StopNow */
void super_child_kill(struct child *c);
void super_child_reload(struct child *c);
/* The process is gone: status of waitpid. */
void super_child_gone(struct child *c, int status);
bool super_child_send(struct child *c, unsigned type, struct span body, int fd);

/* words.c: what a role writes to stderr, passed on line by line and remembered */
void super_words_open(struct child *c, int fd);
void super_words_close(struct child *c); /* reads what is left first */

/* ---- links.c: pairs of roles ---- */

void super_links_make(struct child *c); /* to all running peers */
void super_link_lost(struct child *c, enum role_id peer, unsigned peer_instance, uint64_t serial);
void super_links_free(struct super *s);

/* ---- super.c ---- */

struct listener_here {
	struct list at;
	char service[32];
	char address[80];
	int fd;
};

struct super {
	const struct super_options *options;
	struct loop *loop;
	struct super_settings *settings;
	struct super_users users;
	char *data;
	char *config_path; /* absolute */
	int lock_fd;
	struct list children;  /* struct child */
	struct list listeners; /* struct listener_here */
	struct list links;     /* links.c */
	uint64_t serial;
	struct loop_timer *roles_at, *deadline_at, *second_stage_at, *watchdog_at;
	bool roles_pending;
	bool is_ready; /* READY=1 was said */
	bool is_stopping;
	bool is_second_stage;
};

struct child *super_find(struct super *s, enum role_id id, unsigned instance);
void super_changed(struct super *s); /* tells watch soon; notices readiness and the end */
/* A message that is not about the child itself: relays to watch, reload. False: malformed. */
bool super_from_watch(struct super *s, struct child *c, unsigned type, struct span body);
void super_relay_metrics(struct super *s, struct child *from, struct span text);

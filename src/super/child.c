/*
 * One role process: started, watched, started again. Between fork and exec the child only calls what is safe there.
 *
 *   U3  Pauses before a restart: 100 ms, 1 s, 2 s ... 30 s, of edge 100 ms, 1 s, 1 s ...: senders are never without an
 *       answer for longer (P2). A role that ran for STEADY_US begins anew. A fork that fails (EAGAIN, test K-11) counts
 *       like a death.
 */
#include "super/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "os/os.h"
#include "say/say.h"

enum {
	FIRST_PAUSE_US = 100000,
	NEXT_PAUSE_US = 1000000,
	LAST_PAUSE_US = 30000000,
	EDGE_LAST_PAUSE_US = 1000000,
	STEADY_US = 10000000,
	GRACE_US = 3000000, /* between the end of its channel and its own end */
	CHANNEL_FD = 3,
};

static void set_state(struct child *c, enum child_state state)
{
	c->state = state;
	c->since_us = os_wall_us(os_real());
	super_changed(c->super);
}

/* ---- messages ---- */

bool super_child_send(struct child *c, unsigned type, struct span body, int fd)
{
	enum rc rc = c->channel ? link_send_fd(c->channel, type, body, fd) : LATER;

	if (rc != OK &&
	    c->channel) /* 4 MiB unread: it will not catch up; a fresh one gets all anew */
		super_child_kill(c);
	return rc == OK;
}

static void on_started(struct child *c, const struct msg_started *m)
{
	if (c->state != CHILD_STARTING)
		return;
	c->running_from_us = loop_now_us(c->super->loop);
	say(SAY_INFO, "role.started", "role", SAY_STR(c->full_name), "pid",
	    SAY_U64((uint64_t)c->pid), "landlock", SAY_U64(m->landlock_abi), "seccomp",
	    SAY_STR(m->seccomp ? "yes" : "no"), NULL);
	set_state(c, CHILD_RUNNING);
}

static bool dispatch(struct child *c, struct arena *a, unsigned type, struct span body)
{
	struct msg_started started;
	struct msg_metrics metrics;
	struct msg_condition condition;
	struct msg_link_lost lost;

	switch (type) {
	case MSG_STARTED:
		if (!msg_started_decode(a, body, &started))
			return false;
		on_started(c, &started);
		return true;
	case MSG_METRICS:
		if (!msg_metrics_decode(a, body, &metrics))
			return false;
		super_relay_metrics(c->super, c, metrics.text);
		return true;
	case MSG_CONDITION:
		if (!msg_condition_decode(a, body, &condition))
			return false;
		(void)snprintf(c->condition, sizeof c->condition, "%.*s", SPAN_FMT(condition.text));
		super_changed(c->super);
		return true;
	case MSG_LINK_LOST:
		if (!msg_link_lost_decode(a, body, &lost))
			return false;
		super_link_lost(c, (enum role_id)lost.peer, lost.peer_instance, lost.serial);
		return true;
	default:
		return super_from_watch(c->super, c, type, body);
	}
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct child *c = arg;
	struct arena a;
	bool ok;

	(void)l;
	arena_init(&a, 1 << 20);
	ok = dispatch(c, &a, type, body);
	arena_fini(&a);
	return ok;
}

static void on_closed(void *arg, struct link *l)
{
	struct child *c = arg;

	(void)l;
	c->channel = NULL;
	loop_timer_set(c->kill_at, GRACE_US); /* it ends by itself, or it does not */
}

static void on_kill(void *arg)
{
	super_child_kill(arg);
}

/* ---- starting ---- */

static _Noreturn void give_up(const char *what)
{
	(void)dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
	_exit(127);
}

static void close_from(int first)
{
	if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
		return;
	for (int fd = first; fd < 4096; fd++)
		(void)close(fd);
}

static void raise_descriptors(void)
{
	struct rlimit files = {0};

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

static void drop_privileges(const struct super_users *u, enum role_id id)
{
	if (!u->switches)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid[id], u->uid[id], u->uid[id]) < 0)
		give_up("cannot become the role's user");
	if (setuid(0) == 0 || geteuid() == 0) {
		errno = EPERM;
		give_up("still root");
	}
}

/* What a role may know of the environment; the operator's may hold secrets (design section 14). Instruments of tests and
 * of the dynamic linker stay. */
static char **role_environment(void)
{
	static const char *const kept[] = {"HOLDFAST_", "TZ=",	  "LANG=", "LC_",      "LD_",
					   "FAKETIME",	"ASAN_",  "LSAN_", "UBSAN_",   "TSAN_",
					   "MALLOC_",	"GLIBC_", "LLVM_", "SSL_CERT_"};
	static char *out[64];
	size_t n = 0;

	for (char **e = environ; *e && n + 1 < sizeof out / sizeof *out; e++)
		for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
			if (strncmp(*e, kept[i], strlen(kept[i])) == 0) {
				out[n++] = *e;
				break;
			}
	out[n] = NULL;
	return out;
}

/* After fork: nothing of the supervisor's but the channel and a pipe for words goes along. */
static _Noreturn void become(const struct child *c, int program, int channel, int said)
{
	char *argv[] = {(char *)(uintptr_t)c->path, (char *)(uintptr_t)c->full_name, NULL};
	int null = open("/dev/null", O_RDWR);
	char **env = role_environment();
	int high[3];
	sigset_t none;

	/* First out of the way of 0 to 4, then into their places. */
	high[0] = fcntl(channel, F_DUPFD, 10);
	high[1] = fcntl(said, F_DUPFD, 10);
	high[2] = fcntl(program, F_DUPFD, 10);
	if (null < 0 || high[0] < 0 || high[1] < 0 || high[2] < 0 || dup2(null, 0) < 0 ||
	    dup2(high[1], 1) < 0 || dup2(high[1], 2) < 0 || dup2(high[0], CHANNEL_FD) < 0 ||
	    dup2(high[2], CHANNEL_FD + 1) < 0)
		give_up("descriptors");
	close_from(CHANNEL_FD + 2);
	(void)fcntl(CHANNEL_FD + 1, F_SETFD, FD_CLOEXEC);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)umask(027);
	if (chdir(c->super->data) < 0)
		give_up(c->super->data);
	raise_descriptors();
	drop_privileges(&c->super->users, c->id);
	(void)execve(c->path, argv, env);
	if (errno ==
	    EACCES) /* a folder above is closed to the role's user, as in somebody's home */
		(void)fexecve(CHANNEL_FD + 1, argv, env);
	give_up(c->path);
}

/* The process runs, its ends are in *out_channel and *out_said. */
static bool spawn(struct child *c, int *out_channel, int *out_said)
{
	int program = open(c->path, O_RDONLY | O_CLOEXEC), channel[2] = {-1, -1},
	    said[2] = {-1, -1};
	pid_t pid = -1;

	if (program >= 0 &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel) == 0 &&
	    pipe2(said, O_CLOEXEC | O_NONBLOCK) == 0)
		pid = fork();
	if (pid == 0)
		become(c, program, channel[1], said[1]);
	if (pid < 0)
		(void)snprintf(c->last_words, sizeof c->last_words, "could not be started: %s",
			       strerror(errno));
	if (program >= 0)
		(void)close(program);
	if (channel[1] >= 0)
		(void)close(channel[1]);
	if (said[1] >= 0)
		(void)close(said[1]);
	if (pid < 0) {
		if (channel[0] >= 0)
			(void)close(channel[0]);
		if (said[0] >= 0)
			(void)close(said[0]);
		return false;
	}
	c->pid = pid;
	*out_channel = channel[0];
	*out_said = said[0];
	return true;
}

static void send_config(struct child *c, bool is_reload)
{
	struct buf body = {0};

	msg_config_now_encode(
		&body, &(struct msg_config_now){span_str(c->full_name), c->instance, is_reload});
	(void)super_child_send(c, MSG_CONFIG_NOW, buf_span(&body), c->super->settings->fd[c->id]);
	buf_fini(&body);
}

static void send_listeners(struct child *c)
{
	LIST_EACH (at, &c->super->listeners) {
		const struct listener_here *l = LIST_ENTRY(at, struct listener_here, at);
		struct buf body = {0};

		if (super_listener_role(l->service) != c->id)
			continue;
		msg_listen_here_encode(&body, &(struct msg_listen_here){span_str(l->service)});
		(void)super_child_send(c, MSG_LISTEN_HERE, buf_span(&body), l->fd);
		buf_fini(&body);
	}
}

static uint64_t next_pause_us(const struct child *c)
{
	uint64_t most = c->id == ROLE_EDGE ? EDGE_LAST_PAUSE_US : LAST_PAUSE_US;

	if (c->pause_us == 0 ||
	    (c->running_from_us && loop_now_us(c->super->loop) - c->running_from_us >= STEADY_US))
		return FIRST_PAUSE_US;
	if (c->pause_us < NEXT_PAUSE_US)
		return NEXT_PAUSE_US;
	return c->pause_us * 2 < most ? c->pause_us * 2 : most;
}

static void wait_to_restart(struct child *c)
{
	if (c->super->is_stopping) {
		set_state(c, CHILD_STOPPED);
		return;
	}
	c->pause_us = next_pause_us(c);
	say(SAY_WARNING, "role.ended", "role", SAY_STR(c->full_name), "last_words",
	    SAY_STR(c->last_words), "again_in_ms", SAY_U64(c->pause_us / 1000), NULL);
	loop_timer_set(c->restart_at, c->pause_us);
	set_state(c, CHILD_WAITING);
}

void super_child_start(struct child *c)
{
	static const struct link_ops ops = {on_message, on_closed, NULL};
	int channel, said;

	must(c->pid == 0);
	c->running_from_us = 0;
	c->condition[0] = '\0';
	c->last_line[0] = '\0';
	if (!spawn(c, &channel, &said)) {
		wait_to_restart(c);
		return;
	}
	super_words_open(c, said);
	c->channel = link_new(c->super->loop, channel, &ops, c);
	set_state(c, CHILD_STARTING);
	send_config(c, false);
	send_listeners(c);
	super_links_make(c);
	(void)super_child_send(c, MSG_READY, SPAN_NONE, -1);
}

void super_child_reload(struct child *c)
{
	if (c->pid > 0 && c->channel)
		send_config(c, true);
}

static void on_restart(void *arg)
{
	struct child *c = arg;

	if (c->super->is_stopping)
		return;
	c->restarts++;
	super_child_start(c);
}

/* ---- ending ---- */

void super_child_stop(struct child *c)
{
	loop_timer_clear(c->restart_at);
	if (c->pid == 0)
		set_state(c, CHILD_STOPPED);
	else if (c->channel)
		(void)link_send(c->channel, MSG_STOP_NOW, SPAN_NONE);
}

void super_child_kill(struct child *c)
{
	if (c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

void super_child_gone(struct child *c, int status)
{
	char how[80] = "ended by itself";

	super_words_close(c);
	if (WIFSIGNALED(status))
		(void)snprintf(how, sizeof how, "killed by signal %d (%s)", WTERMSIG(status),
			       strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		(void)snprintf(how, sizeof how, "exit status %d", WEXITSTATUS(status));
	(void)snprintf(c->last_words, sizeof c->last_words, "%s%s%.320s", how,
		       c->last_line[0] ? "; said last: " : "", c->last_line);
	c->pid = 0;
	link_close(c->channel);
	c->channel = NULL;
	loop_timer_clear(c->kill_at);
	wait_to_restart(c);
}

struct child *super_child_new(struct super *s, enum role_id id, unsigned instance)
{
	struct child *c = must_alloc(sizeof *c);

	c->super = s;
	c->id = id;
	c->instance = instance;
	c->said_fd = -1;
	c->state = CHILD_WAITING;
	if (super_instances(id, &s->settings->config) > 1 || id == ROLE_EDGE ||
	    id == ROLE_COURIER || id == ROLE_DESK)
		(void)snprintf(c->full_name, sizeof c->full_name, "%s-%u", role_name(id), instance);
	else
		(void)snprintf(c->full_name, sizeof c->full_name, "%s", role_name(id));
	c->restart_at = loop_timer_new(s->loop, on_restart, c);
	c->kill_at = loop_timer_new(s->loop, on_kill, c);
	list_append(&s->children, &c->at);
	return c;
}

void super_child_free(struct child *c)
{
	list_remove(&c->at);
	super_words_close(c);
	link_close(c->channel);
	loop_timer_free(c->restart_at);
	loop_timer_free(c->kill_at);
	buf_fini(&c->line);
	free(c);
}

/*
 * A role for the tests of supervisor and sandbox: holdfast-<role> links of this program. It tells all that happens to
 * it as log lines, echoes on the links, answers on its listeners, and does what an "order" on a listener's connection
 * says: one word a line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/common/role.h"

struct peer {
	struct role *role;
	enum role_id id;
	unsigned instance;
	struct link *link;
};

static struct peer peers[32];
static size_t peers_n;
static struct say_metric beats = {"holdfast_test_beats_total", "links seen", SAY_COUNTER, 0};

/* ---- what the sandbox must refuse ---- */

static int try_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int try_open_outside_data(void)
{
	return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int try_execve(void)
{
	char *argv[] = {(char *)(uintptr_t) "true", NULL};

	return execve("/bin/true", argv, NULL);
}

static int try_inet(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int try_inet_udp(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int try_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int try_raw(void)
{
	return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int try_fork(void)
{
	pid_t pid = (pid_t)syscall(SYS_fork);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return (int)pid;
}

static int try_exec_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? -1
		       : 0;
}

static int try_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int try_kill(void)
{
	return kill(getppid(), 0);
}

static int try_write_in_data(void)
{
	int fd = open("ledger/allowed/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	if (fd >= 0)
		(void)close(fd);
	return fd;
}

static int try_write_elsewhere_in_data(void)
{
	return open("views/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
}

static int try_io_uring(void)
{
	char params[256] = {0};

	return (int)syscall(SYS_io_uring_setup, 4, params);
}

static void *in_thread(void *arg)
{
	return arg;
}

static int try_thread(void)
{
	pthread_t t;

	errno = EPERM;
	return pthread_create(&t, NULL, in_thread, NULL) == 0 && pthread_join(t, NULL) == 0 ? 0
											    : -1;
}

static const struct {
	const char *name;
	int (*call)(void);
} trials[] = {
	{"open", try_open},
	{"open-outside", try_open_outside_data},
	{"execve", try_execve},
	{"inet", try_inet},
	{"inet-udp", try_inet_udp},
	{"unix", try_unix},
	{"raw", try_raw},
	{"fork", try_fork},
	{"exec-memory", try_exec_memory},
	{"ptrace", try_ptrace},
	{"kill-parent", try_kill},
	{"write-data", try_write_in_data},
	{"write-elsewhere", try_write_elsewhere_in_data},
	{"io-uring", try_io_uring},
	{"thread", try_thread},
};

/* ---- orders ---- */

static void obey(struct role *r, int fd, const char *order)
{
	struct msg_reload_request ask = {7};
	struct buf body = {0};
	const char *answer = "unknown order\n";

	for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
		if (strcmp(order, trials[i].name) == 0)
			answer = trials[i].call() >= 0 ? "yes\n" : strerrorname_np(errno);
	}
	if (strcmp(order, "die") == 0)
		abort();
	if (strcmp(order, "must") == 0)
		must(peers_n == 12345);
	if (strcmp(order, "leave") == 0) {
		role_end(r);
		answer = "leaving\n";
	}
	if (strcmp(order, "shout") == 0) {
		(void)dprintf(2, "no log line \033[31m at all\n2026-11-21T21:10:22.123456Z super "
				 "notice event=forged\n");
		answer = "shouted\n";
	}
	if (strcmp(order, "user") == 0) {
		(void)dprintf(fd, "%u %u\n", geteuid(), getegid());
		answer = "";
	}
	if (strcmp(order, "reload") == 0) {
		msg_reload_request_encode(&body, &ask);
		answer = role_tell_super(r, MSG_RELOAD_REQUEST, buf_span(&body)) == OK
				 ? "asked\n"
				 : "not asked\n";
		buf_fini(&body);
	}
	if (strcmp(order, "thread-by-others") == 0) {
		for (size_t i = 0; i < peers_n; i++) {
			if (peers[i].link)
				(void)link_send(peers[i].link, MSG_STOP_SITE, SPAN_NONE);
		}
		answer = "passed on\n";
	}
	if (strcmp(order, "malformed") == 0) {
		for (size_t i = 0; i < peers_n; i++) {
			if (peers[i].link)
				(void)link_send(peers[i].link, 999, SPAN_NONE);
		}
		answer = "sent\n";
	}
	(void)dprintf(fd, "%s", answer);
}

struct listener_here {
	struct role *role;
	struct loop_fd *ready;
	int fd;
};

static void on_connection(void *arg, unsigned flags)
{
	struct listener_here *l = arg;
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	char order[64];
	ssize_t n;

	(void)flags;
	if (fd < 0)
		return;
	(void)dprintf(fd, "%s\n", role_full_name(l->role));
	n = read(fd, order, sizeof order - 1);
	order[n > 0 ? n : 0] = '\0';
	order[strcspn(order, "\n")] = '\0';
	if (n > 0)
		obey(l->role, fd, order);
	(void)close(fd);
}

static void on_listen(struct role *r, const char *service, int fd)
{
	static struct listener_here all[8];
	static size_t n;
	struct listener_here *l = &all[n++];

	l->role = r;
	l->fd = fd;
	l->ready = loop_fd_new(role_loop(r), fd, on_connection, l);
	loop_fd_want(l->ready, LOOP_READ);
	say(SAY_NOTICE, "test.listen", "service", SAY_STR(service), NULL);
}

/* ---- links ---- */

static bool on_link_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct peer *p = arg;

	(void)l;
	if (type == MSG_STOP_SITE) {
		say(SAY_NOTICE, "test.thread", "result",
		    SAY_STR(try_thread() == 0 ? "yes" : strerrorname_np(errno)), NULL);
		return true;
	}
	if (type != MSG_CONDITION)
		return false;
	say(SAY_NOTICE, "test.heard", "from", SAY_STR(role_name(p->id)), "instance",
	    SAY_U64(p->instance), "bytes", SAY_U64(body.n), NULL);
	return true;
}

static void on_link_closed(void *arg, struct link *l)
{
	struct peer *p = arg;

	(void)l;
	p->link = NULL;
	say(SAY_NOTICE, "test.unlinked", "from", SAY_STR(role_name(p->id)), NULL);
	role_link_lost(p->role, p->id, p->instance);
}

static void on_link(struct role *r, enum role_id id, unsigned instance, int fd)
{
	static const struct link_ops ops = {on_link_message, on_link_closed, NULL};
	struct buf body = {0};
	struct peer *p = NULL;

	for (size_t i = 0; i < peers_n; i++) {
		if (peers[i].id == id && peers[i].instance == instance)
			p = &peers[i];
	}
	if (!p)
		p = &peers[peers_n++];
	link_close(p->link);
	*p = (struct peer){r, id, instance, link_new(role_loop(r), fd, &ops, p)};
	msg_condition_encode(&body, &(struct msg_condition){.text = SPAN_LIT("hello")});
	(void)link_send(p->link, MSG_CONDITION, buf_span(&body));
	buf_fini(&body);
	say_count(&beats, 1);
}

/* ---- life ---- */

static bool on_start(struct role *r, struct fault *why)
{
	const struct msg_config *config = role_config(r);
	struct os *os = role_os(r);
	char path[1100];
	int fd;

	if (span_starts(config->node, SPAN_LIT("fail-")) && role_instance(r) == 0 &&
	    span_eq(span_from(config->node, 5), span_first(span_str(role_name(ROLE_CLERK)), 5)) &&
	    strcmp(role_full_name(r), "clerk") == 0) {
		fault_set(why, "told to fail");
		return false;
	}
	if (os_mkdir(os, "ledger/allowed", 0750) < 0)
		must(errno == EEXIST || errno == EACCES);
	(void)snprintf(path, sizeof path, "%.*s", SPAN_FMT(config->tls_key));
	fd = open(config->tls_key.n ? path : "/dev/null", O_RDONLY | O_CLOEXEC);
	say(SAY_NOTICE, "test.started", "generation", SAY_U64(config->generation), "data",
	    SAY_STR(role_data(r)), "key", SAY_STR(fd >= 0 ? "readable" : strerrorname_np(errno)),
	    NULL);
	if (fd >= 0)
		(void)close(fd);
	return true;
}

static void on_ready(struct role *r)
{
	role_tell(r, "testing");
}

static void on_reload(struct role *r, const struct msg_config *was)
{
	say(SAY_NOTICE, "test.reloaded", "was", SAY_U64(was->generation), "now",
	    SAY_U64(role_config(r)->generation), NULL);
}

static void on_stop(struct role *r)
{
	say(SAY_NOTICE, "test.stop", NULL);
	if (!span_starts(role_config(r)->node, SPAN_LIT("stubborn")))
		role_end(r);
}

static bool on_super(struct role *r, unsigned type, struct span body)
{
	struct arena a;
	struct msg_roles roles;
	struct msg_role_metrics metrics;
	struct msg_reload_result result;
	bool ok = true;

	(void)r;
	arena_init(&a, 1 << 20);
	if (type == MSG_ROLES && (ok = msg_roles_decode(&a, body, &roles))) {
		for (size_t i = 0; i < roles.roles_n; i++)
			say(SAY_NOTICE, "test.role", "name", SAY_SPAN(roles.roles[i].full_name),
			    "state", SAY_U64(roles.roles[i].state), "restarts",
			    SAY_U64(roles.roles[i].restarts), "condition",
			    SAY_SPAN(roles.roles[i].condition), "words",
			    SAY_SPAN(roles.roles[i].last_words), NULL);
	} else if (type == MSG_ROLE_METRICS && (ok = msg_role_metrics_decode(&a, body, &metrics))) {
		say(SAY_NOTICE, "test.metrics", "of", SAY_SPAN(metrics.full_name), "bytes",
		    SAY_U64(metrics.text.n), NULL);
	} else if (type == MSG_RELOAD_RESULT &&
		   (ok = msg_reload_result_decode(&a, body, &result))) {
		say(SAY_NOTICE, "test.reload_result", "id", SAY_U64(result.id), "ok",
		    SAY_U64(result.ok), "text", SAY_SPAN(result.text), NULL);
	}
	arena_fini(&a);
	return ok;
}

static enum role_id id_of(const char *path)
{
	const char *dash = strrchr(path, '-');

	for (enum role_id id = ROLE_EDGE; dash && id <= ROLE_LAST; id++) {
		if (strcmp(dash + 1, role_name(id)) == 0)
			return id;
	}
	return ROLE_EDGE;
}

int main(int argc, char **argv)
{
	static const char *const below[] = {"ledger/allowed", NULL};
	static const char *const readable[] = {"tls", NULL};
	static const struct role_sandbox closed = {.write_below = below, .read_below = readable};
	static const struct role_sandbox client = {
		.network_client = true, .udp = true, .threads = true};
	static struct say_metric *const metrics[] = {&beats};
	struct role_ops ops = {.metrics = metrics,
			       .metrics_n = 1,
			       .on_start = on_start,
			       .on_ready = on_ready,
			       .on_link = on_link,
			       .on_listen = on_listen,
			       .on_reload = on_reload,
			       .on_stop = on_stop,
			       .on_super = on_super};

	ops.id = id_of(argv[0]);
	ops.sandbox = ops.id == ROLE_WATCH || ops.id == ROLE_SCOUT ? &client : &closed;
	return role_main(argc, argv, &ops);
}

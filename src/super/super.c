/* The supervisor's own life: start, reload, stop. super.h has the invariants, README.md the reasons. */
#include "super/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "say/say.h"

enum {
	ROLES_SOON_US = 50000,
	SECOND_STAGE_US = 20000000, /* the other roles are asked to end then at the latest */
	STOP_LIMIT_US = 28000000,   /* and all are killed; systemd and test K-06 allow 30 s */
};

#ifndef SUPER_LIBEXEC
#define SUPER_LIBEXEC "/usr/libexec/holdfast"
#endif

struct child *super_find(struct super *s, enum role_id id, unsigned instance)
{
	LIST_EACH (at, &s->children) {
		struct child *c = LIST_ENTRY(at, struct child, at);

		if (c->id == id && c->instance == instance)
			return c;
	}
	return NULL;
}

/* ---- watch ---- */

static struct child *watch_of(struct super *s)
{
	struct child *watch = super_find(s, ROLE_WATCH, 0);

	return watch && watch->channel ? watch : NULL;
}

static void send_roles(void *arg)
{
	struct super *s = arg;
	struct child *watch = watch_of(s);
	struct msg_roles m = {0};
	struct arena a;
	struct buf body = {0};
	size_t n = 0;

	s->roles_pending = false;
	if (!watch)
		return;
	arena_init(&a, 0);
	LIST_EACH (at, &s->children)
		n++;
	m.roles = arena_array(&a, n, sizeof *m.roles);
	LIST_EACH (at, &s->children) {
		const struct child *c = LIST_ENTRY(at, struct child, at);

		m.roles[m.roles_n++] = (struct msg_role_state){span_str(c->full_name),
							       (uint32_t)c->pid,
							       (uint8_t)c->state,
							       c->restarts,
							       c->since_us,
							       span_str(c->last_words),
							       span_str(c->condition)};
	}
	msg_roles_encode(&body, &m);
	(void)super_child_send(watch, MSG_ROLES, buf_span(&body), -1);
	buf_fini(&body);
	arena_fini(&a);
}

void super_relay_metrics(struct super *s, struct child *from, struct span text)
{
	struct child *watch = watch_of(s);
	struct buf body = {0};

	if (!watch || link_queued(watch->channel) > 0)
		return; /* there will be others in a second */
	msg_role_metrics_encode(&body, &(struct msg_role_metrics){span_str(from->full_name), text});
	(void)super_child_send(watch, MSG_ROLE_METRICS, buf_span(&body), -1);
	buf_fini(&body);
}

/* ---- reload ---- */

static bool settings_next(struct super *s, struct super_settings **out, struct buf *note,
			  struct fault *why)
{
	struct super_settings *next = super_settings_load(s->config_path, s->settings, note, why);

	if (!next)
		return false;
	if (!super_tls_stage(&next->config, s->data, &s->users, false, why) ||
	    !super_settings_seal(next, s->data, why)) {
		super_settings_free(next);
		return false;
	}
	*out = next;
	return true;
}

static void notify_reloading(void)
{
	struct timespec t;
	char text[80];

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	(void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
		       (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
	super_notify(text);
}

/* The sentence for whoever asked goes to text. */
static bool reload(struct super *s, struct buf *text)
{
	struct super_settings *next = NULL;
	struct buf note = {0};
	struct fault why = {0};
	bool ok;

	notify_reloading();
	ok = settings_next(s, &next, &note, &why);
	if (ok) {
		super_settings_free(s->settings);
		s->settings = next;
		LIST_EACH (at, &s->children)
			super_child_reload(LIST_ENTRY(at, struct child, at));
		(void)buf_printf(text, "the configuration was loaded again");
		if (note.n > 0)
			(void)buf_printf(text, "; changes of %.*s wait for the next start",
					 SPAN_FMT(buf_span(&note)));
	} else {
		(void)buf_printf(text, "the old configuration stays: %s", why.text);
	}
	say(ok ? SAY_NOTICE : SAY_ERROR, ok ? "config.reloaded" : "config.refused", "text",
	    SAY_SPAN(buf_span(text)), "generation", SAY_U64(s->settings->config.generation), NULL);
	super_notify("READY=1");
	buf_fini(&note);
	return ok;
}

static void on_hup(void *arg)
{
	struct super *s = arg;
	struct buf text = {0};

	if (!s->is_stopping)
		(void)reload(s, &text);
	buf_fini(&text);
}

bool super_from_watch(struct super *s, struct child *c, unsigned type, struct span body)
{
	struct msg_reload_request ask;
	struct buf text = {0}, answer = {0};
	struct arena a;
	bool ok;

	arena_init(&a, 4096);
	if (c->id != ROLE_WATCH || type != MSG_RELOAD_REQUEST ||
	    !msg_reload_request_decode(&a, body, &ask))
		return false;
	ok = !s->is_stopping && reload(s, &text);
	msg_reload_result_encode(&answer, &(struct msg_reload_result){ask.id, ok, buf_span(&text)});
	(void)super_child_send(c, MSG_RELOAD_RESULT, buf_span(&answer), -1);
	buf_fini(&text);
	buf_fini(&answer);
	arena_fini(&a);
	return true;
}

/* ---- stop ---- */

static void stop_children(struct super *s, bool first)
{
	LIST_EACH (at, &s->children) {
		struct child *c = LIST_ENTRY(at, struct child, at);

		if (super_ends_first(c->id) == first)
			super_child_stop(c);
	}
}

static void second_stage(void *arg)
{
	struct super *s = arg;

	if (s->is_second_stage)
		return;
	s->is_second_stage = true;
	stop_children(s, false);
}

static void kill_all(void *arg)
{
	struct super *s = arg;

	LIST_EACH (at, &s->children) {
		struct child *c = LIST_ENTRY(at, struct child, at);

		if (c->pid > 0)
			say(SAY_WARNING, "role.killed", "role", SAY_STR(c->full_name), NULL);
		super_child_kill(c);
	}
}

static void close_listeners(struct super *s)
{
	struct list *first;

	while ((first = list_shift(&s->listeners))) {
		struct listener_here *l = LIST_ENTRY(first, struct listener_here, at);

		(void)close(l->fd);
		free(l);
	}
}

static void on_stop(void *arg)
{
	struct super *s = arg;

	if (s->is_stopping) { /* a second time: now */
		kill_all(s);
		return;
	}
	s->is_stopping = true;
	super_notify("STOPPING=1");
	say(SAY_NOTICE, "super.stopping", NULL);
	close_listeners(s);
	loop_timer_set(s->second_stage_at, SECOND_STAGE_US);
	loop_timer_set(s->deadline_at, STOP_LIMIT_US);
	stop_children(s, true);
	super_changed(s);
}

static bool all_gone(struct super *s, bool first_only)
{
	LIST_EACH (at, &s->children) {
		const struct child *c = LIST_ENTRY(at, struct child, at);

		if (c->pid > 0 && (!first_only || super_ends_first(c->id)))
			return false;
	}
	return true;
}

/* ---- what changed ---- */

static bool is_accepting(struct super *s)
{
	LIST_EACH (at, &s->children) {
		const struct child *c = LIST_ENTRY(at, struct child, at);

		if (c->id == ROLE_EDGE && c->state != CHILD_RUNNING)
			return false;
	}
	return true;
}

void super_changed(struct super *s)
{
	if (!s->roles_pending) {
		s->roles_pending = true;
		loop_timer_set(s->roles_at, ROLES_SOON_US);
	}
	if (!s->is_ready && !s->is_stopping && is_accepting(s)) {
		s->is_ready = true;
		super_notify("READY=1");
		say(SAY_NOTICE, "super.accepting", NULL);
	}
	if (s->is_stopping && all_gone(s, true))
		second_stage(s);
	if (s->is_stopping && all_gone(s, false))
		loop_stop(s->loop);
}

static void on_child(void *arg)
{
	struct super *s = arg;
	int status;

	LIST_EACH (at, &s->children) {
		struct child *c = LIST_ENTRY(at, struct child, at);

		if (c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == c->pid)
			super_child_gone(c, status);
	}
}

static void on_watchdog(void *arg)
{
	struct super *s = arg;

	super_notify("WATCHDOG=1");
	loop_timer_set(s->watchdog_at, super_watchdog_us());
}

/* ---- start ---- */

static void add_listener(struct super *s, const char *service, const char *address, int fd)
{
	struct listener_here *l = must_alloc(sizeof *l);

	(void)snprintf(l->service, sizeof l->service, "%s", service);
	(void)snprintf(l->address, sizeof l->address, "%s", address);
	l->fd = fd;
	list_append(&s->listeners, &l->at);
}

static bool complain(const struct fault *why)
{
	(void)fprintf(stderr, "holdfast: %s\n", why->text);
	return false;
}

/* All of them are tried, so that all that is wrong is told at once. */
static bool bind_all(struct super *s)
{
	const struct msg_config *config = &s->settings->config;
	struct fault why = {0};
	bool ok = true;
	int fd;

	for (size_t i = 0; i < config->listen_n; i++) {
		char service[32], address[80];

		(void)snprintf(service, sizeof service, "%.*s",
			       SPAN_FMT(config->listen[i].service));
		(void)snprintf(address, sizeof address, "%.*s",
			       SPAN_FMT(config->listen[i].address));
		fd = super_listen(service, address, &why);
		if (fd < 0)
			ok = complain(&why);
		else
			add_listener(s, service, address, fd);
	}
	fd = super_listen_unix(s->data, "control.sock", ROLE_WATCH, &s->users, &why);
	if (fd < 0)
		return complain(&why);
	add_listener(s, "control", "run/control.sock", fd);
	if (super_instances(ROLE_AUTH, config) == 0)
		return ok;
	fd = super_listen_unix(s->data, "people.sock", ROLE_AUTH, &s->users, &why);
	if (fd < 0)
		return complain(&why);
	add_listener(s, "people", "run/people.sock", fd);
	return ok;
}

/* Beside the program that runs, as in the build folder; else where they are installed. */
static void find_program(const struct super *s, struct child *c)
{
	char here[900];
	ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
	char *slash;

	here[n > 0 ? n : 0] = '\0';
	slash = strrchr(here, '/');
	if (slash)
		*slash = '\0';
	(void)snprintf(c->path, sizeof c->path, "%s/holdfast-%s",
		       s->options->roles_dir ? s->options->roles_dir : here, role_name(c->id));
	if (!s->options->roles_dir && access(c->path, F_OK) < 0)
		(void)snprintf(c->path, sizeof c->path, "%s/holdfast-%s", SUPER_LIBEXEC,
			       role_name(c->id));
}

static bool make_children(struct super *s)
{
	bool ok = true;

	for (enum role_id id = ROLE_EDGE; id <= ROLE_LAST; id++) {
		for (unsigned i = 0; i < super_instances(id, &s->settings->config); i++) {
			struct child *c = super_child_new(s, id, i);

			find_program(s, c);
			if (access(c->path, X_OK) == 0)
				continue;
			if (i == 0)
				(void)fprintf(stderr,
					      "holdfast: the program %s is missing: Holdfast is "
					      "not completely built or "
					      "installed\n",
					      c->path);
			ok = false;
		}
	}
	return ok;
}

/* Everything that can be known to be wrong before anything is started (U1). */
static bool prepare(struct super *s)
{
	struct fault why = {0};

	s->settings = super_settings_load(s->config_path, NULL, NULL, &why);
	if (!s->settings)
		return false; /* said already */
	s->data = must_alloc(s->settings->config.data.n + 1);
	memcpy(s->data, s->settings->config.data.p, s->settings->config.data.n);
	if (!super_users_find(&s->users, &why) || !super_tree_make(s->data, &s->users, &why))
		return complain(&why);
	s->lock_fd = super_tree_lock(s->data, &why);
	if (s->lock_fd < 0 ||
	    !super_tls_stage(&s->settings->config, s->data, &s->users, true, &why) ||
	    !super_settings_seal(s->settings, s->data, &why))
		return complain(&why);
	return make_children(s) && bind_all(s);
}

static void run(struct super *s)
{
	say(SAY_NOTICE, "super.started", "version", SAY_STR(HOLDFAST_VERSION), "data",
	    SAY_STR(s->data), "node", SAY_SPAN(s->settings->config.node), NULL);
	if (s->users.switches)
		say(SAY_NOTICE, "super.user", "roles_run_as", SAY_STR(s->users.text), NULL);
	loop_on_signal(s->loop, SIGCHLD, on_child, s);
	loop_on_signal(s->loop, SIGTERM, on_stop, s);
	loop_on_signal(s->loop, SIGINT, on_stop, s);
	loop_on_signal(s->loop, SIGHUP, on_hup, s);
	LIST_EACH (at, &s->children)
		super_child_start(LIST_ENTRY(at, struct child, at));
	if (super_watchdog_us() > 0)
		on_watchdog(s);
	loop_run(s->loop);
	say(SAY_NOTICE, "super.stopped", NULL);
}

static void super_fini(struct super *s)
{
	super_links_free(s);
	while (!list_is_empty(&s->children))
		super_child_free(LIST_ENTRY(s->children.next, struct child, at));
	close_listeners(s);
	loop_timer_free(s->roles_at);
	loop_timer_free(s->deadline_at);
	loop_timer_free(s->second_stage_at);
	loop_timer_free(s->watchdog_at);
	loop_free(s->loop);
	super_settings_free(s->settings);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	free(s->data);
	free(s->config_path);
}

/* A log reader that stopped reading must not stop us (K-11): lines are dropped then. Terminals are left alone. */
static void unblock_stderr(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		(void)fcntl(STDERR_FILENO, F_SETFL, fcntl(STDERR_FILENO, F_GETFL) | O_NONBLOCK);
}

int super_run(const struct super_options *options)
{
	struct super s = {.options = options, .lock_fd = -1};
	bool ok;

	say_init("super", SAY_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(027);
	list_init(&s.children);
	list_init(&s.listeners);
	list_init(&s.links);
	s.config_path = realpath(options->config_path, NULL);
	if (!s.config_path)
		s.config_path = must_strdup(options->config_path);
	s.loop = loop_new();
	s.roles_at = loop_timer_new(s.loop, send_roles, &s);
	s.deadline_at = loop_timer_new(s.loop, kill_all, &s);
	s.second_stage_at = loop_timer_new(s.loop, second_stage, &s);
	s.watchdog_at = loop_timer_new(s.loop, on_watchdog, &s);
	ok = prepare(&s);
	if (ok) {
		unblock_stderr();
		run(&s);
	}
	super_fini(&s);
	return ok ? 0 : 1;
}

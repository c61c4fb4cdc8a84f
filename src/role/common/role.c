/*
 * The life of a role process, from descriptor 3 to its exit. Runs in every role but the supervisor.
 *
 *   R1  Nothing is served before the sandbox is closed: listeners and links are kept until then.
 *   R2  A configuration that does not decode ends the process before on_start; at a reload the old one stays.
 *   R3  on_stop is called once; ROLE_STOP_S later the process ends whatever the role still does.
 */
#include "role/common/role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/map.h"
#include "base/must.h"
#include "ipc/msg.h"
#include "loop/loop.h"
#include "os/os.h"
#include "role/common/sandbox.h"

enum { CHANNEL_FD = 3 };

/* One configuration: the sealed memory file it came in, mapped, and the lists decoded from it. */
struct held_config {
	struct arena arena;
	void *map;
	size_t map_n;
	struct msg_config config;
};

/* A listener or link that came before the sandbox was closed. */
struct arrival {
	struct list at;
	bool is_listener;
	int fd;
	unsigned peer, peer_instance;
	char service[32];
};

/* The last link to each peer that the supervisor gave us: what is lost is named by its serial. */
struct known_link {
	struct list at;
	unsigned peer, peer_instance;
	uint64_t serial;
};

struct role {
	const struct role_ops *ops;
	struct loop *loop;
	struct link *channel; /* NULL: the supervisor is gone */
	struct held_config *held;
	struct list arrivals;
	struct list links; /* struct known_link */
	struct loop_timer *metrics_at, *stop_at;
	char full_name[48];
	char condition[200];
	char *data;
	unsigned instance;
	void *state;
	bool is_ready; /* Ready came */
	bool is_open;  /* arrivals go straight to the role */
	bool is_stopping, is_ended;
	int status;
};

static struct say_metric metric_malformed = {
	"holdfast_link_malformed_total", "frames and messages that ended a link", SAY_COUNTER, 0};

/* ---- configuration ---- */

static void held_free(struct held_config *h)
{
	if (!h)
		return;
	arena_fini(&h->arena);
	if (h->map)
		(void)munmap(h->map, h->map_n);
	free(h);
}

/* NULL when it cannot be read or decoded. */
static struct held_config *held_read(int fd)
{
	struct held_config *h = must_alloc(sizeof *h);
	struct stat st;

	arena_init(&h->arena, 0);
	if (fstat(fd, &st) == 0 && st.st_size > 0 && (fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE)) {
		h->map_n = (size_t)st.st_size;
		h->map = mmap(NULL, h->map_n, PROT_READ, MAP_PRIVATE, fd, 0);
		if (h->map == MAP_FAILED)
			h->map = NULL;
	}
	if (h->map && msg_config_decode(&h->arena, span_of(h->map, h->map_n), &h->config))
		return h;
	held_free(h);
	return NULL;
}

static enum say_level level_of(struct span name)
{
	static const struct {
		const char *name;
		enum say_level level;
	} rows[] = {{"debug", SAY_DEBUG},
		    {"notice", SAY_NOTICE},
		    {"warning", SAY_WARNING},
		    {"error", SAY_ERROR}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (span_eq(name, span_str(rows[i].name)))
			return rows[i].level;
	}
	return SAY_INFO;
}

/* The absolute path, or "." (the supervisor has changed there) when its parents are closed to this user. */
static char *data_path(struct span data)
{
	char *path = must_alloc(data.n + 1);

	memcpy(path, data.p, data.n);
	while (data.n > 1 && path[data.n - 1] == '/')
		path[--data.n] = '\0';
	if (access(path, X_OK) < 0 && errno == EACCES) {
		free(path);
		return must_strdup(".");
	}
	return path;
}

/* A path below the data directory goes the way of data_path. */
static void follow_data(const struct role *r, struct span *path)
{
	struct span data = r->held->config.data;

	if (strcmp(r->data, ".") == 0 && span_starts(*path, data) && path->n > data.n + 1)
		*path = span_from(*path, data.n + 1);
}

/* The first configuration, or the next one; was is freed. */
static void use_config(struct role *r, struct held_config *next, const struct msg_config_now *now)
{
	struct held_config *was = r->held;

	r->held = next;
	if (!was) {
		(void)snprintf(r->full_name, sizeof r->full_name, "%.*s", SPAN_FMT(now->full_name));
		r->instance = now->instance;
		r->data = data_path(next->config.data);
	}
	follow_data(r, &next->config.tls_certificate);
	follow_data(r, &next->config.tls_key);
	say_init(r->full_name, level_of(next->config.log_level));
	if (was && r->is_open && r->ops->on_reload)
		r->ops->on_reload(r, &was->config);
	held_free(was);
}

static bool take_config(struct role *r, struct span body)
{
	struct held_config *next = NULL;
	struct msg_config_now now;
	struct arena a;
	int fd = link_take_fd(r->channel);

	arena_init(&a, 4096);
	if (fd >= 0 && msg_config_now_decode(&a, body, &now) &&
	    now.full_name.n < sizeof r->full_name)
		next = held_read(fd);
	if (fd >= 0)
		(void)close(fd);
	if (next)
		use_config(r, next, &now);
	arena_fini(&a);
	return next != NULL;
}

/* ---- listeners and links ---- */

static void hand_over(struct role *r, struct arrival *came)
{
	if (came->is_listener && r->ops->on_listen)
		r->ops->on_listen(r, came->service, came->fd);
	else if (!came->is_listener && r->ops->on_link)
		r->ops->on_link(r, (enum role_id)came->peer, came->peer_instance, came->fd);
	else
		(void)close(came->fd);
	free(came);
}

static void arrive(struct role *r, struct arrival *came)
{
	if (r->is_open)
		hand_over(r, came);
	else
		list_append(&r->arrivals, &came->at);
}

/* Takes the descriptor that came along; NULL when there is none. */
static struct arrival *arrival_new(struct role *r)
{
	struct arrival *came;
	int fd = link_take_fd(r->channel);

	if (fd < 0)
		return NULL;
	came = must_alloc(sizeof *came);
	came->fd = fd;
	return came;
}

static bool take_listener(struct role *r, struct span body)
{
	struct arrival *came = arrival_new(r);
	struct msg_listen_here m;
	struct arena a;

	arena_init(&a, 4096);
	if (!came || !msg_listen_here_decode(&a, body, &m) || m.service.n >= sizeof came->service)
		return false;
	came->is_listener = true;
	(void)snprintf(came->service, sizeof came->service, "%.*s", SPAN_FMT(m.service));
	arena_fini(&a);
	arrive(r, came);
	return true;
}

static struct known_link *link_known(struct role *r, unsigned peer, unsigned peer_instance)
{
	LIST_EACH (at, &r->links) {
		struct known_link *k = LIST_ENTRY(at, struct known_link, at);

		if (k->peer == peer && k->peer_instance == peer_instance)
			return k;
	}
	return NULL;
}

static void note_serial(struct role *r, const struct msg_link_here *m)
{
	struct known_link *k = link_known(r, m->peer, m->peer_instance);

	if (!k) {
		k = must_alloc(sizeof *k);
		k->peer = m->peer;
		k->peer_instance = m->peer_instance;
		list_append(&r->links, &k->at);
	}
	k->serial = m->serial;
}

void role_link_lost(struct role *r, enum role_id peer, unsigned peer_instance)
{
	struct known_link *k = link_known(r, peer, peer_instance);
	struct buf body = {0};

	if (!k || r->is_stopping)
		return;
	msg_link_lost_encode(&body,
			     &(struct msg_link_lost){(uint8_t)peer, peer_instance, k->serial});
	(void)role_tell_super(r, MSG_LINK_LOST, buf_span(&body));
	buf_fini(&body);
}

static bool take_link(struct role *r, struct span body)
{
	struct arrival *came = arrival_new(r);
	struct msg_link_here m;
	struct arena a;

	arena_init(&a, 4096);
	if (!came || !msg_link_here_decode(&a, body, &m) || m.peer > ROLE_LAST)
		return false; /* the channel closes, and the process ends with it */
	came->peer = m.peer;
	came->peer_instance = m.peer_instance;
	note_serial(r, &m);
	arena_fini(&a);
	arrive(r, came);
	return true;
}

/* ---- the channel ---- */

static void stop(void *arg)
{
	struct role *r = arg;

	if (r->is_stopping)
		return;
	r->is_stopping = true;
	loop_timer_set(r->stop_at, (uint64_t)ROLE_STOP_S * 1000000);
	if (r->is_open && r->ops->on_stop)
		r->ops->on_stop(r);
	else
		role_end(r);
}

static void stop_now(void *arg)
{
	struct role *r = arg;

	say(SAY_WARNING, "role.stop_took_too_long", "seconds", SAY_U64(ROLE_STOP_S), NULL);
	r->status = 1;
	role_end(r);
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct role *r = arg;

	(void)l;
	switch (type) {
	case MSG_CONFIG_NOW:
		return take_config(r, body);
	case MSG_LISTEN_HERE:
		return take_listener(r, body);
	case MSG_LINK_HERE:
		return take_link(r, body);
	case MSG_READY:
		r->is_ready = true;
		loop_stop(r->loop);
		return true;
	case MSG_STOP_NOW:
		stop(r);
		return true;
	case MSG_ROLES:
	case MSG_ROLE_METRICS:
	case MSG_RELOAD_RESULT:
		if (!r->ops->on_super)
			return false;
		return !r->is_open || r->ops->on_super(r, type, body);
	default:
		return false;
	}
}

static void on_closed(void *arg, struct link *l)
{
	struct role *r = arg;

	(void)l;
	r->channel = NULL;
	stop(r);
	if (!r->is_open)
		loop_stop(r->loop);
}

enum rc role_tell_super(struct role *r, unsigned type, struct span body)
{
	return r->channel ? link_send(r->channel, type, body) : LATER;
}

static void send_metrics(void *arg)
{
	struct role *r = arg;
	struct buf text = {0}, body = {0};
	struct say_metric *const common[] = {&metric_malformed};

	loop_timer_set(r->metrics_at, 1000000);
	if (!r->channel || link_queued(r->channel) > 0)
		return;
	say_set(&metric_malformed, link_malformed());
	say_metrics_render(&text, r->full_name, common, 1);
	if (r->ops->metrics_n)
		say_metrics_render(&text, r->full_name, r->ops->metrics, r->ops->metrics_n);
	msg_metrics_encode(&body, &(struct msg_metrics){.text = buf_span(&text)});
	(void)link_send(r->channel, MSG_METRICS, buf_span(&body));
	buf_fini(&text);
	buf_fini(&body);
}

void role_tell(struct role *r, const char *condition)
{
	struct buf body = {0};

	if (strcmp(r->condition, condition) == 0)
		return;
	(void)snprintf(r->condition, sizeof r->condition, "%s", condition);
	msg_condition_encode(&body, &(struct msg_condition){.text = span_str(r->condition)});
	(void)role_tell_super(r, MSG_CONDITION, buf_span(&body));
	buf_fini(&body);
}

/* ---- from start to end ---- */

static void seed(void)
{
	unsigned char key[16];

	os_random(os_real(), key, sizeof key);
	map_seed(key);
}

static bool channel_is_there(void)
{
	int type = 0;
	socklen_t n = sizeof type;

	return getsockopt(CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	       type == SOCK_SEQPACKET;
}

static void tell_started(struct role *r, const struct sandbox_report *report)
{
	struct buf body = {0};

	msg_started_encode(&body, &(struct msg_started){.landlock_abi = report->landlock_abi,
							.seccomp = report->seccomp});
	(void)role_tell_super(r, MSG_STARTED, buf_span(&body));
	buf_fini(&body);
}

/* on_start, sandbox, then all that came meanwhile (R1). */
static bool open_up(struct role *r, struct fault *why)
{
	struct sandbox_report report = {0};
	struct list *first;

	if (r->ops->on_start && !r->ops->on_start(r, why))
		return false;
	if (r->is_ended)
		return true;
	if (!sandbox_close(r->ops->id, r->ops->sandbox, r->full_name, r->data, &report, why))
		return false;
	r->is_open = true;
	tell_started(r, &report);
	while ((first = list_shift(&r->arrivals)))
		hand_over(r, LIST_ENTRY(first, struct arrival, at));
	if (r->ops->on_ready)
		r->ops->on_ready(r);
	r->metrics_at = loop_timer_new(r->loop, send_metrics, r);
	loop_timer_set(r->metrics_at, 100000);
	if (r->is_stopping && r->ops->on_stop)
		r->ops->on_stop(r);
	return true;
}

static void live(struct role *r)
{
	struct fault why = {0};

	while (!r->is_ready && !r->is_ended && !r->is_stopping)
		loop_run(r->loop);
	if (r->is_stopping || r->is_ended)
		return;
	if (!r->held) {
		fault_set(&why, "no configuration came before Ready");
		r->status = 1;
	} else if (!open_up(r, &why)) {
		r->status = 1;
	}
	if (r->status) {
		say(SAY_ERROR, "role.start_failed", "why", SAY_STR(why.text), NULL);
		return;
	}
	while (!r->is_ended)
		loop_run(r->loop);
}

static void role_fini(struct role *r)
{
	struct list *first;

	while ((first = list_shift(&r->arrivals))) {
		struct arrival *came = LIST_ENTRY(first, struct arrival, at);

		(void)close(came->fd);
		free(came);
	}
	while ((first = list_shift(&r->links)))
		free(LIST_ENTRY(first, struct known_link, at));
	link_close(r->channel);
	loop_timer_free(r->metrics_at);
	loop_timer_free(r->stop_at);
	held_free(r->held);
	free(r->data);
	loop_free(r->loop);
}

int role_main(int argc, char **argv, const struct role_ops *ops)
{
	static const struct link_ops channel_ops = {on_message, on_closed, NULL};
	struct role r = {.ops = ops};

	(void)argc;
	(void)argv;
	if (!channel_is_there()) {
		(void)fprintf(
			stderr,
			"holdfast-%s is a part of Holdfast and is started by `holdfast run`.\n",
			role_name(ops->id));
		return 2;
	}
	(void)fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	list_init(&r.arrivals);
	list_init(&r.links);
	(void)snprintf(r.full_name, sizeof r.full_name, "%s", role_name(ops->id));
	say_init(r.full_name, SAY_INFO);
	seed();
	r.loop = loop_new();
	r.stop_at = loop_timer_new(r.loop, stop_now, &r);
	loop_on_signal(r.loop, SIGTERM, stop, &r);
	r.channel = link_new(r.loop, CHANNEL_FD, &channel_ops, &r);
	live(&r);
	role_fini(&r);
	return r.status;
}

void role_end(struct role *r)
{
	r->is_ended = true;
	loop_stop(r->loop);
}

struct loop *role_loop(struct role *r)
{
	return r->loop;
}

struct os *role_os(struct role *r)
{
	(void)r;
	return os_real();
}

const struct msg_config *role_config(const struct role *r)
{
	must(r->held != NULL);
	return &r->held->config;
}

unsigned role_instance(const struct role *r)
{
	return r->instance;
}

const char *role_full_name(const struct role *r)
{
	return r->full_name;
}

const char *role_data(const struct role *r)
{
	return r->data;
}

void *role_state(struct role *r)
{
	return r->state;
}

void role_set_state(struct role *r, void *state)
{
	r->state = state;
}

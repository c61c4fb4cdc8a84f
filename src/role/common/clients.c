#include "role/common/clients.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/must.h"
#include "ipc/stream_frame.h"
#include "loop/conn.h"
#include "role/common/role.h"
#include "say/say.h"

#define REQUEST_US UINT64_C(30000000)

enum { USERS_KEPT = 512 };

struct user {
	uid_t uid;
	char name[40];
};

struct client {
	struct list at;
	struct clients *clients;
	uint64_t id;
	struct conn *conn;
	struct buf in; /* the beginning of a request that comes in pieces */
	bool waits;    /* for our answer */
	char who[80];
};

struct clients {
	struct role *role;
	const struct clients_options *options;
	struct listener *listener;
	struct list all;
	size_t n;
	uint64_t last_id;
	struct user users[USERS_KEPT];
	size_t users_n;
	uid_t owner;
};

#define CLIENT_OF(l) LIST_ENTRY(l, struct client, at)

/* ---- who ---- */

/* By fgetpwent, which reads the file alone: NSS would load code behind the sandbox. */
struct clients *clients_new(struct role *r, const struct clients_options *options)
{
	struct clients *s = must_alloc(sizeof *s);
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *entry;
	struct stat st;

	s->role = r;
	s->options = options;
	list_init(&s->all);
	s->owner = stat(role_data(r), &st) == 0 ? st.st_uid : 0;
	while (f && s->users_n < USERS_KEPT && (entry = fgetpwent(f))) {
		struct user *u = &s->users[s->users_n++];

		u->uid = entry->pw_uid;
		(void)snprintf(u->name, sizeof u->name, "%s", entry->pw_name);
	}
	if (f)
		(void)fclose(f);
	return s;
}

static bool is_welcome(const struct clients *s, uid_t uid)
{
	return uid == 0 || uid == geteuid() || uid == s->owner;
}

static void name_of(const struct clients *s, uid_t uid, char *out, size_t n)
{
	for (size_t i = 0; i < s->users_n; i++) {
		if (s->users[i].uid == uid) {
			(void)snprintf(out, n, "operator %s (uid %u)", s->users[i].name,
				       (unsigned)uid);
			return;
		}
	}
	(void)snprintf(out, n, "operator with uid %u", (unsigned)uid);
}

uint64_t client_id(const struct client *c)
{
	return c->id;
}

struct client *clients_find(struct clients *s, uint64_t id)
{
	LIST_EACH (l, &s->all) {
		if (CLIENT_OF(l)->id == id)
			return CLIENT_OF(l);
	}
	return NULL;
}

void *client_arg(const struct client *c)
{
	return c->clients->options->arg;
}

const char *client_who(const struct client *c)
{
	return c->who;
}

bool client_waits(const struct client *c)
{
	return c->waits;
}

/* ---- requests and answers ---- */

/* Requests and answers may hold passwords. */
static void wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_fini(b);
}

void client_answer(struct client *c, unsigned type, struct span body)
{
	struct buf frame = {0};

	if (stream_frame_put(&frame, type, body))
		conn_send(c->conn, buf_span(&frame));
	else
		conn_abort(c->conn);
	wipe(&frame);
	c->waits = false;
	conn_deadline(c->conn, REQUEST_US);
	conn_resume(c->conn);
}

static void refuse(struct client *c, const char *why)
{
	char event[40];

	(void)snprintf(event, sizeof event, "%s.malformed", c->clients->options->name);
	say(SAY_WARNING, event, "who", SAY_STR(c->who), "why", SAY_STR(why), NULL);
	conn_abort(c->conn);
}

static void take(struct client *c, unsigned type, struct span body)
{
	const struct clients_options *o = c->clients->options;
	struct arena a;

	c->waits = true;
	conn_pause(c->conn);
	conn_deadline(c->conn, o->answer_us);
	arena_init(&a, o->arena_bytes);
	if (!o->on_request(o->arg, c, &a, type, body))
		refuse(c, "not a request");
	arena_fini(&a);
}

/* Requests may be larger than what a connection keeps waiting (an import): they are gathered. What comes behind a request
 * is left with the connection until it is answered. */
static size_t on_bytes(void *arg, struct conn *conn, struct span bytes)
{
	struct client *c = arg;
	struct fault why = {""};
	struct span body;
	unsigned type;
	size_t used, before = c->in.n;
	enum rc rc;

	(void)conn;
	if (c->waits)
		return 0;
	bytes = span_first(bytes, c->clients->options->request_bytes - before);
	if (!buf_append(&c->in, bytes)) {
		refuse(c, "too long");
		return bytes.n;
	}
	rc = stream_frame_take(buf_span(&c->in), &type, &body, &used, &why);
	if (rc == MORE && c->in.n < c->clients->options->request_bytes)
		return bytes.n;
	if (rc != OK) {
		refuse(c, rc == MORE ? "too long" : why.text);
		wipe(&c->in);
		return bytes.n;
	}
	take(c, type, body);
	wipe(&c->in);
	return used - before;
}

static void on_closed(void *arg, struct conn *conn, enum rc rc, const struct fault *why)
{
	struct client *c = arg;

	(void)conn, (void)rc, (void)why;
	list_remove(&c->at);
	c->clients->n--;
	wipe(&c->in);
	free(c);
}

/* ---- coming and going ---- */

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes, .on_closed = on_closed};
	struct clients *s = arg;
	struct ucred who = {0};
	socklen_t n = sizeof who;
	struct client *c;
	char event[40];

	(void)peer;
	if (is_last || s->n >= s->options->clients ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 || !is_welcome(s, who.uid)) {
		(void)snprintf(event, sizeof event, "%s.refused", s->options->name);
		say(SAY_WARNING, event, "uid", SAY_U64(who.uid), "pid", SAY_I64(who.pid), NULL);
		(void)close(fd);
		return;
	}
	c = must_alloc(sizeof *c);
	c->clients = s;
	c->id = ++s->last_id;
	name_of(s, who.uid, c->who, sizeof c->who);
	list_append(&s->all, &c->at);
	s->n++;
	c->conn = conn_accept(role_loop(s->role), fd, &ops, c);
	conn_deadline(c->conn, REQUEST_US);
}

void clients_listen(struct clients *s, int fd)
{
	listener_free(s->listener);
	s->listener = listener_new(role_loop(s->role), fd, on_accept, s);
}

void clients_stop(struct clients *s)
{
	listener_free(s->listener);
	s->listener = NULL;
	LIST_EACH_SAFE (l, &s->all)
		conn_abort(CLIENT_OF(l)->conn);
}

void clients_free(struct clients *s)
{
	free(s);
}

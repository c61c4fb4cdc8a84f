/*
 * The socket data/run/people.sock: requests of the command line, as frames of stream_frame.h. As at watch's control
 * socket the peer's uid, as the kernel says it, must be root's, our own, or that of the owner of the data directory; it is
 * named in every act (P7). One request at a time of each client; a client that has gone meanwhile changes nothing.
 */
#include "role/auth/internal.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/must.h"
#include "ipc/stream_frame.h"
#include "loop/conn.h"

#define REQUEST_US (30 * AUTH_SECOND_US)

enum {
	REQUEST_BYTES = STREAM_FRAME_HEADER_BYTES + STREAM_FRAME_LIMIT_BYTES,
	USERS_KEPT = 512,
	CLIENTS = 32
};

struct user {
	uid_t uid;
	char name[40];
};

struct client {
	struct list on_people;
	uint64_t id;
	struct auth *auth;
	struct conn *conn;
	struct buf in; /* a request that comes in pieces */
	bool waits;
	char who[80];
};

struct people {
	struct listener *listener;
	struct list clients;
	size_t clients_n;
	uint64_t next_client;
	struct user users[USERS_KEPT];
	size_t users_n;
	uid_t owner;
};

#define CLIENT_OF(l) LIST_ENTRY(l, struct client, on_people)

/* By fgetpwent, which reads the file alone: NSS would load code behind the sandbox. */
void people_prepare(struct auth *a)
{
	struct people *p = must_alloc(sizeof *p);
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *entry;
	struct stat st;

	list_init(&p->clients);
	p->owner = stat(role_data(a->role), &st) == 0 ? st.st_uid : 0;
	while (f && p->users_n < USERS_KEPT && (entry = fgetpwent(f))) {
		struct user *u = &p->users[p->users_n++];

		u->uid = entry->pw_uid;
		(void)snprintf(u->name, sizeof u->name, "%s", entry->pw_name);
	}
	if (f)
		(void)fclose(f);
	a->people = p;
}

static bool is_welcome(const struct people *p, uid_t uid)
{
	return uid == 0 || uid == geteuid() || uid == p->owner;
}

static void name_of(const struct people *p, uid_t uid, char *out, size_t n)
{
	for (size_t i = 0; i < p->users_n; i++) {
		if (p->users[i].uid == uid) {
			(void)snprintf(out, n, "operator %s (uid %u)", p->users[i].name,
				       (unsigned)uid);
			return;
		}
	}
	(void)snprintf(out, n, "operator with uid %u", (unsigned)uid);
}

uint64_t people_client_id(const struct client *c)
{
	return c->id;
}

struct auth *people_auth(const struct client *c)
{
	return c->auth;
}

const char *people_who(const struct client *c)
{
	return c->who;
}

struct client *people_client(struct auth *a, uint64_t id)
{
	LIST_EACH (l, &a->people->clients) {
		if (CLIENT_OF(l)->id == id)
			return CLIENT_OF(l);
	}
	return NULL;
}

void people_answer(struct client *c, bool ok, const char *text, const struct buf *json)
{
	struct msg_people_answer m = {ok, span_str(text), json ? buf_span(json) : SPAN_NONE};
	struct buf body = {0}, frame = {0};

	if (!c)
		return;
	msg_people_answer_encode(&body, &m);
	if (stream_frame_put(&frame, MSG_PEOPLE_ANSWER, buf_span(&body)))
		conn_send(c->conn, buf_span(&frame));
	else
		conn_abort(c->conn);
	secret_wipe_buf(&body);
	secret_wipe_buf(&frame);
	c->waits = false;
	conn_deadline(c->conn, REQUEST_US);
	conn_resume(c->conn);
}

/* The one dispatcher: people_user knows the rest. */
static bool take(struct client *c, unsigned type, struct span body)
{
	struct arena m;
	bool ok;

	arena_init(&m, 4 << 20);
	ok = people_user(c, &m, type, body);
	arena_fini(&m);
	return ok;
}

static void refuse(struct client *c, const char *why)
{
	say(SAY_WARNING, "people.malformed", "who", SAY_STR(c->who), "why", SAY_STR(why), NULL);
	conn_abort(c->conn);
}

/* Requests may be larger than what a connection keeps waiting (an import): they are gathered here. */
static size_t on_bytes(void *arg, struct conn *conn, struct span bytes)
{
	struct client *c = arg;
	struct fault why = {""};
	struct span body;
	unsigned type;
	size_t used;
	enum rc rc;

	if (c->waits)
		return 0;
	if (!buf_append(&c->in, bytes)) {
		refuse(c, "too long");
		return bytes.n;
	}
	rc = stream_frame_take(buf_span(&c->in), &type, &body, &used, &why);
	if (rc == MORE)
		return bytes.n;
	if (rc != OK) {
		refuse(c, why.text);
		return bytes.n;
	}
	c->waits = true;
	conn_pause(conn);
	conn_deadline(conn, 0);
	if (!take(c, type, body))
		refuse(c, "not a request");
	secret_wipe(c->in.p, c->in.n);
	buf_drop(&c->in, used);
	return bytes.n;
}

static void on_closed(void *arg, struct conn *conn, enum rc rc, const struct fault *why)
{
	struct client *c = arg;

	(void)conn, (void)rc, (void)why;
	list_remove(&c->on_people);
	c->auth->people->clients_n--;
	secret_wipe_buf(&c->in);
	free(c);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes, .on_closed = on_closed};
	struct auth *a = arg;
	struct ucred who = {0};
	socklen_t n = sizeof who;
	struct client *c;

	(void)peer;
	if (is_last || a->people->clients_n >= CLIENTS ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 ||
	    !is_welcome(a->people, who.uid)) {
		say(SAY_WARNING, "people.refused", "uid", SAY_U64(who.uid), "pid", SAY_I64(who.pid),
		    NULL);
		(void)close(fd);
		return;
	}
	c = must_alloc(sizeof *c);
	c->auth = a;
	c->id = ++a->people->next_client;
	buf_init(&c->in, REQUEST_BYTES);
	name_of(a->people, who.uid, c->who, sizeof c->who);
	list_init(&c->on_people);
	list_append(&a->people->clients, &c->on_people);
	a->people->clients_n++;
	c->conn = conn_accept(a->loop, fd, &ops, c);
	conn_deadline(c->conn, REQUEST_US);
}

void people_listen(struct auth *a, int fd)
{
	listener_free(a->people->listener);
	a->people->listener = listener_new(a->loop, fd, on_accept, a);
}

void people_stop(struct auth *a)
{
	listener_free(a->people->listener);
	a->people->listener = NULL;
	LIST_EACH_SAFE (l, &a->people->clients)
		conn_abort(CLIENT_OF(l)->conn);
}

void people_free(struct auth *a)
{
	free(a->people);
	a->people = NULL;
}

void people_changed(struct auth *a, struct span account)
{
	struct msg_accounts_changed m = {.accounts = &account, .accounts_n = 1};
	struct buf body = {0};

	msg_accounts_changed_encode(&body, &m);
	LIST_EACH (l, &a->peers) {
		struct peer *p = LIST_ENTRY(l, struct peer, on_auth);

		if (p->role != ROLE_COURIER)
			(void)link_send(p->link, MSG_ACCOUNTS_CHANGED, buf_span(&body));
	}
	buf_fini(&body);
}

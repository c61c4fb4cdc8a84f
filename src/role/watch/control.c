/*
 * The control socket: the command line's requests, as frames of stream_frame.h. The peer's uid, as the kernel says it,
 * must be root's, the one the program was started as, or that of the owner of the data directory; it is named in every act (P7).
 *
 * An act is answered only when it is on disk. The answer's act_id lets the command line wait in the views for what
 * the clerk made of it. A client that has gone meanwhile changes nothing: its act stands.
 */
#include "role/watch/internal.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/must.h"
#include "ipc/stream_frame.h"
#include "loop/conn.h"
#include "loop/loop.h"
#include "os/os.h"
#include "queue/match.h"

#define REQUEST_US    (30 * WATCH_SECOND_US)
#define LEASE_DEFAULT (24 * 3600 * WATCH_SECOND_US)
#define LEASE_LONGEST (366 * LEASE_DEFAULT)

enum { REQUEST_BYTES = 16 << 10, USERS_KEPT = 512, REASON_BYTES = 200 };

struct user {
	uid_t uid;
	char name[40];
};

struct client {
	struct list on_control;
	uint64_t id;
	struct watch *watch;
	struct conn *conn;
	bool waits; /* one request at a time */
	char who[80];
};

struct control {
	struct listener *listener;
	struct list clients;
	size_t clients_n;
	uint64_t next_client;
	struct user users[USERS_KEPT];
	size_t users_n;
	uid_t owner;
};

/* What an operator waits for while the disk works. */
struct pending {
	struct watch *watch;
	uint64_t client, reload;
	bool is_hold;
	char target[WATCH_NAME_BYTES];
	char text[480], id[33];
};

#define CLIENT_OF(l) LIST_ENTRY(l, struct client, on_control)

/* ---- who ---- */

/* By fgetpwent, which reads the file alone: NSS would load code behind the sandbox. */
void control_prepare(struct watch *w)
{
	struct control *c = must_alloc(sizeof *c);
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *p;
	struct stat st;

	list_init(&c->clients);
	c->owner = stat(role_data(w->role), &st) == 0 ? st.st_uid : 0;
	while (f && c->users_n < USERS_KEPT && (p = fgetpwent(f))) {
		struct user *u = &c->users[c->users_n++];

		u->uid = p->pw_uid;
		snprintf(u->name, sizeof u->name, "%s", p->pw_name);
	}
	if (f)
		fclose(f);
	w->control = c;
}

static bool is_welcome(const struct control *c, uid_t uid)
{
	return uid == 0 || uid == geteuid() || uid == c->owner;
}

static void name_of(const struct control *c, uid_t uid, char *out, size_t n)
{
	for (size_t i = 0; i < c->users_n; i++) {
		if (c->users[i].uid == uid) {
			snprintf(out, n, "operator %s (uid %u)", c->users[i].name, (unsigned)uid);
			return;
		}
	}
	snprintf(out, n, "operator with uid %u", (unsigned)uid);
}

/* ---- answers ---- */

static void send_frame(struct client *c, unsigned type, const struct buf *body)
{
	struct buf frame = {0};

	if (stream_frame_put(&frame, type, buf_span(body)))
		conn_send(c->conn, buf_span(&frame));
	else
		conn_abort(c->conn);
	buf_fini(&frame);
	c->waits = false;
	conn_deadline(c->conn, REQUEST_US);
	conn_resume(c->conn);
}

static void answer(struct client *c, bool ok, const char *text, const char *id)
{
	struct msg_control_answer m = {ok, span_str(text), span_str(id ? id : "")};
	struct buf body = {0};

	msg_control_answer_encode(&body, &m);
	send_frame(c, MSG_CONTROL_ANSWER, &body);
	buf_fini(&body);
}

static void answer_json(struct client *c, struct buf *json)
{
	struct msg_status_answer m = {buf_span(json)};
	struct buf body = {0};

	msg_status_answer_encode(&body, &m);
	send_frame(c, MSG_STATUS_ANSWER, &body);
	buf_fini(&body);
}

static struct client *client_of(struct watch *w, uint64_t id)
{
	LIST_EACH (l, &w->control->clients) {
		if (CLIENT_OF(l)->id == id)
			return CLIENT_OF(l);
	}
	return NULL;
}

static struct pending *pending_new(struct client *c)
{
	struct pending *p = must_alloc(sizeof *p);
	unsigned char id[16];

	p->watch = c->watch;
	p->client = c->id;
	os_random(c->watch->os, id, sizeof id);
	hex_encode(p->id, span_of(id, sizeof id));
	return p;
}

static void on_recorded(void *arg, bool is_recorded)
{
	struct pending *p = arg;
	struct watch *w = p->watch;
	struct client *c = client_of(w, p->client);

	if (!is_recorded && p->is_hold && !w->is_stopping)
		hold_put_back(w, span_str(p->target));
	if (is_recorded && p->is_hold && !w->is_stopping)
		site_publish(w);
	if (c && is_recorded)
		answer(c, true, p->text, p->id);
	else if (c)
		answer(c, false, "the ledger cannot be written at the moment: nothing was changed",
		       NULL);
	free(p);
}

/* ---- requests ---- */

static void reason_of(struct span given, char out[REASON_BYTES])
{
	size_t n = given.n < REASON_BYTES - 1 ? given.n : REASON_BYTES - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = given.p[i] < 32 || given.p[i] == 127 ? ' ' : (char)given.p[i];
	out[n] = 0;
}

static void time_text(uint64_t wall_us, char out[40])
{
	time_t t = (time_t)(wall_us / WATCH_SECOND_US);
	struct tm tm;

	out[0] = 0;
	if (gmtime_r(&t, &tm))
		strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void target_of(struct watch *w, struct span given, char out[WATCH_NAME_BYTES])
{
	snprintf(out, WATCH_NAME_BYTES, "%.*s", SPAN_FMT(given));
	if (site_find(w, given))
		return;
	for (char *c = out; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
}

static void no_target(struct client *c, const char *target)
{
	char text[WATCH_NAME_BYTES + 80];

	snprintf(text, sizeof text, "there is no site or domain \"%s\" in the configuration",
		 target);
	answer(c, false, text, NULL);
}

static uint64_t lease_of(uint64_t for_ms)
{
	uint64_t longest_ms = LEASE_LONGEST / 1000;

	return for_ms == 0 ? LEASE_DEFAULT : (for_ms > longest_ms ? longest_ms : for_ms) * 1000;
}

static bool ask_hold(struct client *c, struct arena *a, struct span body)
{
	struct watch *w = c->watch;
	char reason[REASON_BYTES], until[40];
	enum health_hold mode;
	struct msg_hold_set m;
	struct pending *p;
	uint64_t for_us;

	if (!msg_hold_set_decode(a, body, &m))
		return false;
	if (!health_hold_parse(m.mode, &mode)) {
		answer(c, false, "a hold is on, off or auto", NULL);
		return true;
	}
	p = pending_new(c);
	target_of(w, m.target, p->target);
	if (!hold_is_target(w, span_str(p->target))) {
		no_target(c, p->target);
		free(p);
		return true;
	}
	for_us = mode == HOLD_AUTO ? 0 : lease_of(m.for_ms);
	reason_of(m.reason, reason);
	time_text(os_wall_us(w->os) + for_us, until);
	if (mode == HOLD_AUTO)
		snprintf(p->text, sizeof p->text, "hold is automatic again for %s", p->target);
	else
		snprintf(p->text, sizeof p->text, "hold is %s for %s until %s",
			 health_hold_name(mode), p->target, until);
	p->is_hold = true;
	hold_set(w, span_str(p->target), mode, for_us, c->who, reason, p->id,
		 job_new(true, on_recorded, p));
	return true;
}

static bool is_verb(struct span verb)
{
	static const char *const verbs[] = {"retry", "release", "discard", "redirect"};

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (span_eq(verb, span_str(verbs[i])))
			return true;
	}
	return false;
}

/* Who retries or releases what is held for a site says that its primary is repaired: a stopped drain goes on. */
static void resume(struct client *c, struct span verb, const struct queue_match *match)
{
	struct site *s =
		match->flags & QUEUE_MATCH_SITE ? site_find(c->watch, span_str(match->site)) : NULL;
	struct health_observation o = {.sight = SIGHT_RESUME, .hold.who = span_str(c->who)};

	if (s && (span_eq(verb, SPAN_LIT("release")) || span_eq(verb, SPAN_LIT("retry"))))
		site_see(s, &o);
}

static bool ask_queue(struct client *c, struct arena *a, struct span body)
{
	char reason[REASON_BYTES], verb[32], argument[400];
	struct fault why = {""};
	struct queue_match match;
	struct msg_queue_act m;
	struct pending *p;
	struct job *j;

	if (!msg_queue_act_decode(a, body, &m))
		return false;
	if (!is_verb(m.verb)) {
		answer(c, false, "a queue act is retry, release, discard or redirect", NULL);
		return true;
	}
	if (queue_match_parse(m.match, &match, &why) != OK) {
		answer(c, false, why.text, NULL);
		return true;
	}
	if (span_eq(m.verb, SPAN_LIT("redirect")) == span_is_empty(m.argument) ||
	    m.argument.n >= sizeof argument) {
		answer(c, false, "redirect needs an address or a host, and no other act takes one",
		       NULL);
		return true;
	}
	p = pending_new(c);
	reason_of(m.reason, reason);
	snprintf(verb, sizeof verb, "queue.%.*s", SPAN_FMT(m.verb));
	snprintf(argument, sizeof argument, "%.*s", SPAN_FMT(m.argument));
	snprintf(p->text, sizeof p->text, "%s is recorded", verb);
	j = job_new(true, on_recorded, p);
	{
		struct act act = {.verb = verb,
				  .object = m.match,
				  .argument = argument,
				  .reason = reason,
				  .actor = c->who,
				  .confidence = 100};

		memcpy(act.id, p->id, sizeof act.id);
		job_act(c->watch, j, &act);
	}
	books_begin(c->watch);
	books_write(c->watch, j);
	resume(c, m.verb, &match);
	books_commit(c->watch);
	return true;
}

static bool ask_continuity(struct client *c, struct arena *a, struct span body)
{
	struct watch *w = c->watch;
	struct act act = {.verb = "continuity.set", .actor = c->who, .confidence = 100};
	struct msg_continuity_set m;
	enum health_hold mode;
	struct pending *p;
	struct job *j;

	if (!msg_continuity_set_decode(a, body, &m))
		return false;
	if (!health_hold_parse(m.mode, &mode)) {
		answer(c, false, "continuity is on, off or auto", NULL);
		return true;
	}
	p = pending_new(c);
	target_of(w, m.target, p->target);
	if (!hold_is_target(w, span_str(p->target))) {
		no_target(c, p->target);
		free(p);
		return true;
	}
	act.object = span_str(p->target);
	act.argument = health_hold_name(mode);
	act.class = site_find(w, act.object) ? "site" : "domain";
	act.until_us = mode == HOLD_AUTO ? 0 : os_wall_us(w->os) + lease_of(m.for_ms);
	memcpy(act.id, p->id, sizeof act.id);
	snprintf(p->text, sizeof p->text,
		 "continuity %s for %s is recorded; this version has no portal yet, so nothing "
		 "else changes",
		 act.argument, p->target);
	j = job_new(true, on_recorded, p);
	job_act(w, j, &act);
	books_write(w, j);
	return true;
}

static void on_reload_recorded(void *arg, bool is_recorded)
{
	struct pending *p = arg;
	struct msg_reload_request m = {.id = p->client};
	struct client *c = client_of(p->watch, p->client);
	struct buf b = {0};

	msg_reload_request_encode(&b, &m);
	if (!c) {
	} else if (!is_recorded) {
		answer(c, false, "the ledger cannot be written at the moment: nothing was changed",
		       NULL);
	} else if (role_tell_super(p->watch->role, MSG_RELOAD_REQUEST, buf_span(&b)) != OK) {
		answer(c, false, "the supervisor does not listen", NULL);
	}
	buf_fini(&b);
	free(p);
}

void control_reloaded(struct watch *w, const struct msg_reload_result *m)
{
	struct client *c = client_of(w, m->id);
	char text[480];

	snprintf(text, sizeof text, "%.*s", SPAN_FMT(m->text));
	if (c && c->waits)
		answer(c, m->ok, text, NULL);
}

static void ask_reload(struct client *c)
{
	struct pending *p = pending_new(c);
	struct act act = {.verb = "config.reload", .actor = c->who, .confidence = 100};
	struct job *j = job_new(true, on_reload_recorded, p);

	memcpy(act.id, p->id, sizeof act.id);
	job_act(c->watch, j, &act);
	books_write(c->watch, j);
}

static bool take(struct client *c, struct arena *a, unsigned type, struct span body)
{
	struct msg_history_ask history;
	struct msg_status_ask status;
	struct msg_reload reload;
	struct buf json = {0};

	switch (type) {
	case MSG_HOLD_SET:
		return ask_hold(c, a, body);
	case MSG_QUEUE_ACT:
		return ask_queue(c, a, body);
	case MSG_CONTINUITY_SET:
		return ask_continuity(c, a, body);
	case MSG_STATUS_ASK:
		if (!msg_status_ask_decode(a, body, &status))
			return false;
		status_json(c->watch, &json);
		break;
	case MSG_HISTORY_ASK:
		if (!msg_history_ask_decode(a, body, &history))
			return false;
		history_json(c->watch, history.last, &json);
		break;
	case MSG_RELOAD:
		if (!msg_reload_decode(a, body, &reload))
			return false;
		ask_reload(c);
		return true;
	default:
		return false;
	}
	answer_json(c, &json);
	buf_fini(&json);
	return true;
}

/* ---- connections ---- */

static size_t on_bytes(void *arg, struct conn *conn, struct span bytes)
{
	struct client *c = arg;
	struct fault why = {""};
	struct arena a;
	struct span body;
	unsigned type;
	size_t used;
	enum rc rc;
	bool ok;

	if (c->waits)
		return 0;
	rc = stream_frame_take(bytes, &type, &body, &used, &why);
	if (rc == MORE && bytes.n < REQUEST_BYTES)
		return 0;
	if (rc != OK || used > REQUEST_BYTES) {
		say(SAY_WARNING, "control.malformed", "who", SAY_STR(c->who), "why",
		    SAY_STR(why.text), NULL);
		conn_abort(conn);
		return bytes.n;
	}
	c->waits = true;
	conn_pause(conn);
	arena_init(&a, REQUEST_BYTES * 4);
	ok = take(c, &a, type, body);
	arena_fini(&a);
	if (!ok) {
		say(SAY_WARNING, "control.malformed", "who", SAY_STR(c->who), "type", SAY_U64(type),
		    NULL);
		conn_abort(conn);
	}
	return used;
}

static void on_closed(void *arg, struct conn *conn, enum rc rc, const struct fault *why)
{
	struct client *c = arg;

	(void)conn, (void)rc, (void)why;
	list_remove(&c->on_control);
	c->watch->control->clients_n--;
	free(c);
}

static void on_accept(void *arg, int fd, const struct sockaddr_storage *peer, bool is_last)
{
	static const struct conn_ops ops = {.on_bytes = on_bytes, .on_closed = on_closed};
	struct watch *w = arg;
	struct ucred who = {0};
	socklen_t n = sizeof who;
	struct client *c;

	(void)peer;
	if (is_last || w->control->clients_n >= WATCH_CONTROL_CLIENTS ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 ||
	    !is_welcome(w->control, who.uid)) {
		say(SAY_WARNING, "control.refused", "uid", SAY_U64(who.uid), "pid",
		    SAY_I64(who.pid), NULL);
		close(fd);
		return;
	}
	c = must_alloc(sizeof *c);
	c->watch = w;
	c->id = ++w->control->next_client;
	name_of(w->control, who.uid, c->who, sizeof c->who);
	list_init(&c->on_control);
	list_append(&w->control->clients, &c->on_control);
	w->control->clients_n++;
	c->conn = conn_accept(w->loop, fd, &ops, c);
	conn_deadline(c->conn, REQUEST_US);
}

void control_listen(struct watch *w, int fd)
{
	listener_free(w->control->listener);
	w->control->listener = listener_new(w->loop, fd, on_accept, w);
}

void control_stop(struct watch *w)
{
	listener_free(w->control->listener);
	w->control->listener = NULL;
	LIST_EACH_SAFE (l, &w->control->clients)
		conn_abort(CLIENT_OF(l)->conn);
}

void control_free(struct watch *w)
{
	free(w->control);
	w->control = NULL;
}

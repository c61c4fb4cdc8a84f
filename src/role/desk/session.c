/*
 * One session: the connection, the engine of its protocol, the pump between them. An engine does a few
 * steps, then the other sessions have their turn; a client that does not read stops its engine until it does, at most
 * DESK_UNREAD_US (I-16).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "role/desk/internal.h"

/* ---- life ---- */

bool desk_session_enter_account(struct desk_session *s, struct span name)
{
	struct desk *d = s->desk;
	struct desk_account *a = map_get(&d->accounts, name);
	unsigned char *copy;

	must(s->account.n == 0 && name.n > 0);
	if (a && a->sessions >= d->policy->sessions_per_account)
		return false;
	if (!a) {
		a = must_alloc(sizeof *a);
		(void)map_put(&d->accounts, name, a);
	}
	a->sessions++;
	d->people_n++;
	door_leave(&s->door); /* counted by account from now on */
	copy = must_alloc(name.n);
	memcpy(copy, name.p, name.n);
	s->account = span_of(copy, name.n);
	return true;
}

void desk_session_leave_account(struct desk_session *s)
{
	struct desk_account *a;

	if (s->account.n == 0)
		return;
	s->desk->people_n--;
	a = map_get(&s->desk->accounts, s->account);
	if (--a->sessions == 0)
		free(map_remove(&s->desk->accounts, s->account));
	free((void *)(uintptr_t)s->account.p);
	s->account = SPAN_NONE;
}

static void count_sessions(struct desk *d, enum desk_protocol protocol, int more)
{
	size_t *of = protocol == DESK_IMAP ? &d->imap_n : &d->pop3_n;

	*of += (size_t)more;
	d->sessions_n += (size_t)more;
	desk_set(protocol == DESK_IMAP ? METRIC_IMAP : METRIC_POP3, *of);
}

/* The client is gone. */
static void leave(struct desk_session *s)
{
	desk_login_forget(s);
	desk_append_drop(s);
	imap_server_free(s->imap);
	pop3_server_free(s->pop3);
	s->imap = NULL;
	s->pop3 = NULL;
	desk_session_leave_account(s);
	door_leave(&s->door);
	list_remove(&s->link);
	list_remove(&s->hunger);
	list_remove(&s->run);
	count_sessions(s->desk, s->protocol, -1);
}

static void maybe_free(struct desk_session *s)
{
	if (!s->conn && s->pins == 0)
		free(s);
}

void desk_session_unpin(struct desk_session *s)
{
	must(s->pins > 0);
	s->pins--;
	maybe_free(s);
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct desk_session *s = arg;
	struct desk *d = s->desk;

	(void)c;
	if (rc != OK)
		say(SAY_DEBUG, "session.broken", "peer", SAY_STR(s->door.peer), "why",
		    SAY_STR(why->text), NULL);
	leave(s);
	s->conn = NULL;
	maybe_free(s);
	desk_feed_hungry(d);
}

/* ---- the pump ---- */

void desk_session_send(struct desk_session *s, struct span bytes)
{
	conn_send(s->conn, bytes);
}

bool desk_session_is_secure(const struct desk_session *s)
{
	return conn_is_tls(s->conn) || (s->door.is_local && s->desk->policy->allows_clear);
}

static uint64_t engine_deadline(const struct desk_session *s)
{
	return s->imap	 ? imap_server_deadline(s->imap)
	       : s->pop3 ? pop3_server_deadline(s->pop3)
			 : 0;
}

static void arm(struct desk_session *s)
{
	uint64_t until_us = engine_deadline(s), now_us = loop_now_us(s->desk->loop);

	if (s->deaf_until_us && (until_us == 0 || s->deaf_until_us < until_us))
		until_us = s->deaf_until_us;
	/* A later deadline is left for on_deadline to see: setting the timer anew for each command costs more. */
	if (until_us == 0 || (s->armed_at_us && s->armed_at_us <= until_us))
		return;
	s->armed_at_us = until_us;
	conn_deadline(s->conn, until_us > now_us ? until_us - now_us : 1);
}

static void look_if_deaf(struct desk_session *s)
{
	bool is_deaf = conn_unsent(s->conn) > DESK_UNREAD_BYTES;

	if (is_deaf && !s->is_deaf)
		s->deaf_until_us = loop_now_us(s->desk->loop) + DESK_UNREAD_US;
	if (!is_deaf)
		s->deaf_until_us = 0;
	s->is_deaf = is_deaf;
}

static void settle_pause(struct desk_session *s)
{
	bool is_hungry = intake_is_hungry(s->append);
	bool pauses = is_hungry || s->is_deaf || s->is_waiting || !list_is_empty(&s->run);

	if (is_hungry && list_is_empty(&s->hunger))
		list_append(&s->desk->hungry, &s->hunger);
	if (pauses == s->is_paused)
		return;
	s->is_paused = pauses;
	if (pauses)
		conn_pause(s->conn);
	else
		conn_resume(s->conn);
}

static void tick_engine(struct desk_session *s)
{
	uint64_t now_us = loop_now_us(s->desk->loop);

	if (s->imap)
		imap_server_tick(s->imap, now_us);
	if (s->pop3)
		pop3_server_tick(s->pop3, now_us);
}

static enum desk_turn step(struct desk_session *s, struct span *in)
{
	return s->protocol == DESK_IMAP ? desk_imap_step(s, in) : desk_pop3_step(s, in);
}

static void queue_run(struct desk_session *s)
{
	struct desk *d = s->desk;

	if (!list_is_empty(&s->run))
		return;
	if (list_is_empty(&d->runnable))
		loop_wake_up(d->run);
	list_append(&d->runnable, &s->run);
}

/* Whether to step once more. A client that does not read stops its engine; what has ended ends all the same (is_forced). */
static bool goes_on(const struct desk_session *s, enum desk_turn turn, unsigned steps,
		    bool is_forced)
{
	if (turn == TURN_OTHERS && (is_forced || ++steps > DESK_STEPS))
		return false;
	return (turn == TURN_AGAIN || turn == TURN_OTHERS) && (!s->is_deaf || is_forced) &&
	       !intake_is_hungry(s->append);
}

static size_t pump(struct desk_session *s, struct span bytes, bool is_forced)
{
	struct span in = bytes;
	enum desk_turn turn = TURN_AGAIN;

	if (s->is_pumping || !s->is_greeted)
		return 0;
	s->is_pumping = true;
	tick_engine(s);
	for (unsigned steps = 0; goes_on(s, turn, steps, is_forced); steps += turn == TURN_OTHERS) {
		turn = step(s, &in);
		if (turn != TURN_OVER)
			look_if_deaf(s);
	}
	s->is_pumping = false;
	if (turn == TURN_OVER) {
		if (s->is_paused) {
			s->is_paused = false;
			conn_resume(s->conn);
		}
		return bytes.n;
	}
	s->is_waiting = turn == TURN_WAIT;
	if (turn == TURN_OTHERS && !s->is_deaf)
		queue_run(s);
	arm(s);
	settle_pause(s);
	return bytes.n - in.n;
}

void desk_session_go_on(struct desk_session *s)
{
	if (s->conn)
		(void)pump(s, SPAN_NONE, false);
}

static void on_run(void *arg)
{
	struct desk *d = arg;
	struct list round, *at;

	list_init(&round);
	while ((at = list_shift(&d->runnable)) != NULL)
		list_append(&round, at);
	while ((at = list_shift(&round)) != NULL)
		desk_session_go_on(LIST_ENTRY(at, struct desk_session, run));
}

void desk_feed_hungry(struct desk *d)
{
	struct list *at, waiting;

	if (list_is_empty(&d->hungry))
		return;
	list_init(&waiting);
	while ((at = list_shift(&d->hungry)) != NULL)
		list_append(&waiting, at);
	while ((at = list_shift(&waiting)) != NULL) {
		struct desk_session *s = LIST_ENTRY(at, struct desk_session, hunger);

		if (intake_is_hungry(s->append))
			list_append(&d->hungry, &s->hunger);
		else
			queue_run(s);
	}
}

/* ---- the beginning ---- */

/* Too much from its address. */
static void turn_away(struct desk_session *s)
{
	desk_count(METRIC_TURNED_AWAY, 1);
	if (!s->door.begins_with_tls)
		desk_session_send(
			s,
			s->protocol == DESK_IMAP
				? SPAN_LIT("* BYE [LIMIT] Too many sessions from your address\r\n")
				: SPAN_LIT("-ERR [SYS/TEMP] Too many sessions from your "
					   "address\r\n"));
	conn_close(s->conn);
}

static void greet(struct desk_session *s)
{
	struct desk_policy *p = s->desk->policy;

	s->is_greeted = true;
	s->armed_at_us = 0;
	conn_deadline(s->conn, 0);
	if (s->protocol == DESK_IMAP) {
		s->imap = imap_server_new(s->door.is_local ? &p->imap_local : &p->imap);
		tick_engine(s);
		if (s->door.begins_with_tls)
			imap_server_secured(s->imap);
		imap_server_greet(s->imap);
	} else {
		s->pop3 = pop3_server_new(&p->pop3, s->door.begins_with_tls,
					  s->door.is_local && p->allows_clear);
		tick_engine(s);
		pop3_server_greet(s->pop3);
	}
	(void)pump(s, SPAN_NONE, false);
}

/* What came before the session's own protocol, or nothing yet. Returns what of it is used up. */
static size_t come_in(struct desk_session *s, struct span bytes)
{
	struct desk *d = s->desk;
	size_t used;

	switch (door_bytes(&s->door, bytes, &d->policy->door, d->tls, &used)) {
	case OK:
		greet(s);
		return used;
	case MORE:
		return used;
	case EXISTS:
	case REFUSED:
	case LATER:
	case BROKEN:
	case UNSURE:
		break;
	}
	if (s->door.is_unwelcome)
		turn_away(s);
	else
		conn_abort(s->conn);
	return bytes.n;
}

void desk_session_begin_tls(struct desk_session *s)
{
	desk_login_forget(s);
	if (!s->desk->tls) { /* cannot be: it was offered */
		conn_abort(s->conn);
		return;
	}
	conn_start_tls(s->conn, s->desk->tls, true, NULL);
}

/* ---- what the connection says ---- */

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct desk_session *s = arg;
	size_t used = 0;

	(void)c;
	if (!s->door.is_open) {
		used = come_in(s, bytes);
		if (!s->door.is_open || used == bytes.n)
			return used;
	}
	return used + pump(s, span_from(bytes, used), false);
}

static void on_secure(void *arg, struct conn *c)
{
	struct desk_session *s = arg;

	(void)c;
	desk_count(METRIC_TLS, 1);
	if (!s->is_greeted) {
		door_secure(&s->door);
		greet(s);
		return;
	}
	tick_engine(s);
	if (s->imap)
		imap_server_secured(s->imap);
	else
		pop3_server_secured(s->pop3);
	arm(s);
}

static void on_deadline(void *arg, struct conn *c)
{
	struct desk_session *s = arg;

	s->armed_at_us = 0;
	if (!s->is_greeted) {
		conn_abort(c);
	} else if (s->deaf_until_us && loop_now_us(s->desk->loop) >= s->deaf_until_us) {
		say(SAY_INFO, "session.unread", "peer", SAY_STR(s->door.peer), "account",
		    SAY_SPAN(s->account), NULL);
		desk_count(METRIC_UNREAD, 1);
		conn_abort(c);
	} else {
		(void)pump(s, SPAN_NONE, true);
	}
}

static void on_drained(void *arg, struct conn *c)
{
	struct desk_session *s = arg;

	(void)c;
	if (!s->is_deaf)
		return;
	s->is_deaf = false;
	s->deaf_until_us = 0;
	(void)pump(s, SPAN_NONE, false);
}

void desk_session_new(struct desk *d, int fd, enum desk_protocol protocol, bool begins_with_tls)
{
	static const struct conn_ops ops = {
		.on_bytes = on_bytes,
		.on_secure = on_secure,
		.on_drained = on_drained,
		.on_deadline = on_deadline,
		.on_closed = on_closed,
	};
	struct desk_session *s = must_alloc(sizeof *s);

	s->desk = s->reader.desk = d;
	s->protocol = protocol;
	list_init(&s->hunger);
	list_init(&s->run);
	list_append(&d->sessions, &s->link);
	count_sessions(d, protocol, 1);
	if (!d->run)
		d->run = loop_wake_new(d->loop, on_run, d);
	s->conn = conn_accept(d->loop, fd, &ops, s);
	door_init(&s->door, s->conn, d->loop, &d->sources, begins_with_tls, &d->policy->door);
	(void)come_in(s, SPAN_NONE);
}

/* ---- the end ---- */

void desk_session_end(struct desk_session *s, const char *code, const char *text)
{
	if (!s->conn)
		return;
	if (!s->is_greeted) {
		conn_abort(s->conn);
		return;
	}
	if (s->imap)
		imap_server_end(s->imap, code, span_str(text));
	else
		pop3_server_end(s->pop3, span_str(text), true);
	(void)pump(s, SPAN_NONE, true);
}

void desk_session_wind_down(struct desk_session *s)
{
	if (!s->is_greeted) {
		conn_abort(s->conn);
		return;
	}
	if (s->imap)
		imap_server_wind_down(s->imap);
	else
		pop3_server_end(s->pop3, SPAN_LIT("Shutting down; come back in a minute"), false);
	desk_session_go_on(s);
}

/*
 * Mail that desk hands over (submit.msg). It goes through the same door as what comes by the ports: for each message there is
 * a session with a client of our own at the other end of a socket pair, so that the rules for senders and recipients, limits,
 * rate, clean-up and the record are one code. The login is desk's: it names account and send_as as auth told it.
 *
 * First all recipients are asked about, with no message behind; any refused: nothing is taken, and desk hears which. Then the
 * message is sent as it comes; desk hears how much may be under way, and in the end 250 with our id when it is on disk (P1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "role/submission/internal.h"
#include "smtp/client.h"

enum {
	WINDOW_BYTES = 256 << 10,    /* under way from desk to us */
	OVERDRAFT_BYTES = 128 << 10, /* desk may pass its room by a piece */
	SILENCE_US = 120000000,	     /* from desk, or from ourselves */
	INNERS_MOST = 500,
};

struct desk_peer {
	struct list link; /* submission.desks */
	struct submission *own;
	struct link *desk; /* NULL: gone */
	unsigned instance;
	struct list inners;
	size_t inners_n;
};

struct inner {
	struct list link; /* desk_peer.inners */
	struct desk_peer *peer;
	uint64_t id;
	struct conn *conn; /* our end of the pair */
	struct smtp_client *client;
	struct submitter *who; /* NULL: its session has ended */
	struct arena arena;    /* of sender and recipients */
	struct span sender;
	struct smtp_client_rcpt *rcpts;
	size_t rcpts_n;
	uint64_t got, room, most;
	struct buf early; /* came before the message may be sent */
	bool has_all, is_checked, is_answered, is_driving;
	char stored[EDGE_ID_BYTES];
};

/* ---- to desk ---- */

static void tell(struct inner *i, unsigned type, struct buf *body)
{
	if (i->peer && i->peer->desk)
		(void)link_send(i->peer->desk, type, buf_span(body));
	buf_fini(body);
}

static void end(struct inner *i)
{
	i->is_answered = true;
	conn_abort(i->conn);
}

static void answer(struct inner *i, const struct msg_submit_answer *a)
{
	struct buf body = {0};

	if (i->is_answered)
		return;
	msg_submit_answer_encode(&body, a);
	tell(i, MSG_SUBMIT_ANSWER, &body);
	end(i);
}

static void answer_code(struct inner *i, unsigned code, const char *enhanced, const char *text)
{
	answer(i, &(struct msg_submit_answer){.id = i->id,
					      .code = (uint16_t)code,
					      .enhanced = span_str(enhanced),
					      .text = span_str(text),
					      .message = span_str(i->stored)});
}

static void give_room(struct inner *i)
{
	struct buf body = {0};

	if (i->has_all || i->is_answered || i->got + WINDOW_BYTES / 2 < i->room)
		return;
	i->room = i->got + WINDOW_BYTES;
	msg_submit_room_encode(&body, &(struct msg_submit_room){i->id, i->room});
	tell(i, MSG_SUBMIT_ROOM, &body);
}

/* ---- our client ---- */

static void begin(struct inner *i)
{
	bool is_wide = false;

	for (size_t at = 0; at < i->sender.n; at++)
		is_wide = is_wide || i->sender.p[at] > 127;
	for (size_t r = 0; r < i->rcpts_n; r++)
		for (size_t at = 0; at < i->rcpts[r].address.n; at++)
			is_wide = is_wide || i->rcpts[r].address.p[at] > 127;
	smtp_client_mail(i->client, &(struct smtp_client_mail){.sender = i->sender,
							       .rcpts = i->rcpts,
							       .rcpts_n = i->rcpts_n,
							       .is_8bit = true,
							       .needs_smtputf8 = is_wide,
							       .verify_only = !i->is_checked});
}

static unsigned code_of(const struct smtp_rcpt_result *r)
{
	if (r->code)
		return r->code;
	return r->result == SMTP_RESULT_5XX ? 550 : 451;
}

/* The first answer is that of all when it was MAIL's; each refused recipient is named. */
static void answer_refused(struct inner *i)
{
	struct msg_submit_refused *list = must_alloc((i->rcpts_n + 1) * sizeof *list);
	struct msg_submit_answer a = {.id = i->id, .refused = list};

	for (size_t r = 0; r < smtp_client_results(i->client); r++) {
		struct smtp_rcpt_result one = smtp_client_result(i->client, r);

		if (one.result == SMTP_RESULT_ACCEPTED)
			continue;
		if (a.code == 0) {
			a.code = (uint16_t)code_of(&one);
			a.enhanced = span_str(one.enhanced);
			a.text = span_str(one.text);
		}
		if (one.stage == SMTP_STAGE_RCPT)
			list[a.refused_n++] = (struct msg_submit_refused){
				i->rcpts[r].address, (uint16_t)code_of(&one),
				span_str(one.enhanced), span_str(one.text)};
	}
	answer(i, &a);
	free(list);
}

static bool all_accepted(const struct inner *i)
{
	for (size_t r = 0; r < smtp_client_results(i->client); r++)
		if (smtp_client_result(i->client, r).result != SMTP_RESULT_ACCEPTED)
			return false;
	return smtp_client_results(i->client) > 0;
}

static void on_result(struct inner *i)
{
	if (!all_accepted(i)) {
		answer_refused(i);
	} else if (i->is_checked) {
		answer_code(i, 250, "2.0.0", "Ok");
	} else {
		i->is_checked = true;
		smtp_client_next(i->client);
	}
}

static void on_failure(struct inner *i)
{
	struct smtp_client_failure f;

	if (smtp_client_results(i->client) && !all_accepted(i))
		answer_refused(i);
	else if (smtp_client_failed(i->client, &f) && f.code >= 400)
		answer_code(i, f.code, f.enhanced, f.text);
	else
		answer_code(i, 451, "4.3.0", "The message could not be taken; try again later");
}

/* True: what is wanted next may be something else. */
static bool step(struct inner *i)
{
	switch (smtp_client_want(i->client)) {
	case SMTP_WANT_INPUT:
		return false;
	case SMTP_WANT_MAIL:
		begin(i);
		return true;
	case SMTP_WANT_BODY:
		if (i->early.n)
			smtp_client_body(i->client, buf_span(&i->early));
		buf_fini(&i->early);
		if (!i->has_all) {
			if (conn_unsent(i->conn) == 0)
				give_room(i);
			return false;
		}
		smtp_client_body_end(i->client);
		return true;
	case SMTP_WANT_PERMIT:
		smtp_client_permit(i->client);
		return true;
	case SMTP_WANT_RESULT:
		on_result(i);
		return true;
	case SMTP_WANT_TLS: /* never asked for */
	case SMTP_WANT_CLOSE:
		on_failure(i);
		return false;
	}
	return false;
}

static void drive(struct inner *i)
{
	if (i->is_driving)
		return;
	i->is_driving = true;
	while (!i->is_answered && step(i))
		;
	i->is_driving = false;
}

static void on_output(void *arg, struct span bytes)
{
	conn_send(((struct inner *)arg)->conn, bytes);
}

static size_t on_bytes(void *arg, struct conn *c, struct span bytes)
{
	struct inner *i = arg;

	if (i->is_answered)
		return bytes.n;
	conn_deadline(c, SILENCE_US);
	smtp_client_input(i->client, bytes);
	drive(i);
	return bytes.n;
}

static void on_drained(void *arg, struct conn *c)
{
	(void)c;
	drive(arg);
}

static void on_deadline(void *arg, struct conn *c)
{
	(void)c;
	answer_code(arg, 451, "4.4.2", "It took too long; try again");
}

static void on_closed(void *arg, struct conn *c, enum rc rc, const struct fault *why)
{
	struct inner *i = arg;

	(void)c;
	(void)rc;
	(void)why;
	if (!i->is_answered) {
		i->conn = NULL;
		smtp_client_lost(i->client, "the session ended");
		i->is_answered = true;
		if (i->peer && i->peer->desk) {
			struct buf body = {0};

			msg_submit_answer_encode(
				&body, &(struct msg_submit_answer){
					       .id = i->id,
					       .code = i->stored[0] ? 250 : 451,
					       .enhanced = i->stored[0] ? SPAN_LIT("2.0.0")
									: SPAN_LIT("4.3.0"),
					       .text = SPAN_LIT("The session ended"),
					       .message = span_str(i->stored)});
			tell(i, MSG_SUBMIT_ANSWER, &body);
		}
	}
	if (i->who)
		i->who->inner = NULL;
	list_remove(&i->link);
	if (i->peer)
		i->peer->inners_n--;
	smtp_client_free(i->client);
	buf_fini(&i->early);
	arena_fini(&i->arena);
	free(i);
}

/* ---- the session at the other end ---- */

void inner_stored(struct inner *i, const char *id)
{
	memcpy(i->stored, id, sizeof i->stored);
}

void inner_gone(struct inner *i)
{
	if (i)
		i->who = NULL;
}

/* Who it is, as after a login. */
static struct submitter *submitter_from(const struct msg_submit_begin *m)
{
	struct submitter *w = submitter_new();
	size_t n =
		m->send_as_n < SUBMISSION_SEND_AS_LIMIT ? m->send_as_n : SUBMISSION_SEND_AS_LIMIT;

	memcpy(w->account, m->account.p, m->account.n);
	w->send_as = arena_array(&w->arena, n + 1, sizeof *w->send_as);
	for (size_t i = 0; w->send_as && i < n; i++) {
		struct span it = arena_span(&w->arena, m->send_as[i]);

		if (it.p)
			w->send_as[w->send_as_n++] = it;
	}
	w->email = m->email;
	w->email_form = m->form;
	w->identity = arena_span(&w->arena, m->identity);
	return w;
}

static bool open_session(struct inner *i, const struct msg_submit_begin *m)
{
	static const struct conn_ops ops = {
		.on_bytes = on_bytes,
		.on_drained = on_drained,
		.on_deadline = on_deadline,
		.on_closed = on_closed,
	};
	struct edge *e = i->peer->own->edge;
	char source[48];
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return false;
	(void)snprintf(source, sizeof source, "%.*s",
		       (int)(m->source.n < sizeof source ? m->source.n : 0),
		       (const char *)m->source.p);
	i->conn = conn_accept(e->loop, ends[0], &ops, i);
	conn_deadline(i->conn, SILENCE_US);
	i->client = smtp_client_new(&(struct smtp_client_options){
		.helo = e->policy->node, .tls = SMTP_TLS_NEVER, .on_output = on_output, .arg = i});
	i->who = submitter_from(m);
	i->who->inner = i;
	i->who->session = edge_session_inner(e, ends[1], source, i->who);
	return true;
}

/* ---- from desk ---- */

static struct inner *find(struct desk_peer *p, uint64_t id)
{
	LIST_EACH (at, &p->inners) {
		struct inner *i = LIST_ENTRY(at, struct inner, link);

		if (i->id == id)
			return i->is_answered ? NULL : i;
	}
	return NULL;
}

static void turn_away(struct desk_peer *p, uint64_t id, unsigned code, const char *enhanced,
		      const char *text)
{
	struct buf body = {0};

	msg_submit_answer_encode(&body, &(struct msg_submit_answer){.id = id,
								    .code = (uint16_t)code,
								    .enhanced = span_str(enhanced),
								    .text = span_str(text)});
	if (p->desk)
		(void)link_send(p->desk, MSG_SUBMIT_ANSWER, buf_span(&body));
	buf_fini(&body);
}

static void keep_envelope(struct inner *i, const struct msg_submit_begin *m)
{
	i->sender = arena_span(&i->arena, m->sender);
	i->rcpts = arena_array(&i->arena, m->rcpts_n + 1, sizeof *i->rcpts);
	i->rcpts_n = m->rcpts_n;
	for (size_t r = 0; r < m->rcpts_n; r++)
		i->rcpts[r].address = arena_span(&i->arena, m->rcpts[r]);
}

static bool on_begin(struct desk_peer *p, struct arena *a, struct span body)
{
	struct msg_submit_begin m;
	struct inner *i;

	if (!msg_submit_begin_decode(a, body, &m) || m.account.n == 0 ||
	    m.account.n >= SUBMISSION_NAME_BYTES || m.rcpts_n == 0 || find(p, m.id))
		return false;
	if (p->own->edge->is_stopping || p->inners_n >= INNERS_MOST) {
		turn_away(p, m.id, 451, "4.3.2", "Too much at the moment; try again soon");
		return true;
	}
	if (m.rcpts_n > SMTP_CLIENT_RCPTS_LIMIT) {
		turn_away(p, m.id, 550, "5.5.3", "Too many recipients");
		return true;
	}
	i = must_alloc(sizeof *i);
	i->peer = p;
	i->id = m.id;
	i->most = m.bytes;
	arena_init(&i->arena, 0); /* what a frame holds */
	keep_envelope(i, &m);
	if (!open_session(i, &m)) {
		turn_away(p, m.id, 451, "4.3.2", "Too much at the moment; try again soon");
		arena_fini(&i->arena);
		free(i);
		return true;
	}
	list_append(&p->inners, &i->link);
	p->inners_n++;
	return true;
}

static bool on_piece(struct desk_peer *p, struct arena *a, struct span body)
{
	struct msg_submit_piece m;
	struct inner *i;

	if (!msg_submit_piece_decode(a, body, &m))
		return false;
	i = find(p, m.id);
	if (!i)
		return true;
	i->got += m.bytes.n;
	if (i->has_all || i->got > i->room + OVERDRAFT_BYTES)
		return false;
	conn_deadline(i->conn, SILENCE_US);
	if (i->most && i->got > i->most)
		answer_code(i, 552, "5.3.4", "The message is larger than was announced");
	else if (smtp_client_want(i->client) == SMTP_WANT_BODY)
		smtp_client_body(i->client, m.bytes);
	else
		buf_append(&i->early, m.bytes);
	drive(i);
	return true;
}

static bool on_end(struct desk_peer *p, struct arena *a, struct span body)
{
	struct msg_submit_end m;
	struct inner *i;

	if (!msg_submit_end_decode(a, body, &m))
		return false;
	i = find(p, m.id);
	if (i) {
		i->has_all = true;
		drive(i);
	}
	return true;
}

static bool on_drop(struct desk_peer *p, struct arena *a, struct span body)
{
	struct msg_submit_drop m;
	struct inner *i;

	if (!msg_submit_drop_decode(a, body, &m))
		return false;
	i = find(p, m.id);
	if (i)
		end(i);
	return true;
}

static bool on_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct desk_peer *p = arg;
	struct arena a;
	bool good = false;

	(void)l;
	arena_init(&a, 4 << 20);
	if (type == MSG_SUBMIT_BEGIN)
		good = on_begin(p, &a, body);
	else if (type == MSG_SUBMIT_PIECE)
		good = on_piece(p, &a, body);
	else if (type == MSG_SUBMIT_END)
		good = on_end(p, &a, body);
	else if (type == MSG_SUBMIT_DROP)
		good = on_drop(p, &a, body);
	arena_fini(&a);
	return good;
}

/* ---- the links ---- */

/* Nobody is told any more; what is complete is taken all the same. */
static void forget_desk(struct desk_peer *p)
{
	LIST_EACH_SAFE (at, &p->inners) {
		struct inner *i = LIST_ENTRY(at, struct inner, link);

		list_remove(&i->link);
		i->peer = NULL;
		if (!i->has_all && !i->is_answered)
			end(i);
	}
	list_remove(&p->link);
	free(p);
}

static void on_desk_closed(void *arg, struct link *l)
{
	struct desk_peer *p = arg;

	(void)l;
	role_link_lost(p->own->edge->role, ROLE_DESK, p->instance);
	forget_desk(p);
}

bool inner_link(struct edge *e, enum role_id peer, unsigned instance, int fd)
{
	static const struct link_ops ops = {.on_message = on_message, .on_closed = on_desk_closed};
	struct submission *own = e->own;
	struct desk_peer *p;

	if (peer != ROLE_DESK)
		return false;
	LIST_EACH_SAFE (at, &own->desks) {
		p = LIST_ENTRY(at, struct desk_peer, link);
		if (p->instance == instance) {
			link_close(p->desk);
			forget_desk(p);
		}
	}
	p = must_alloc(sizeof *p);
	p->own = own;
	p->instance = instance;
	list_init(&p->inners);
	list_append(&own->desks, &p->link);
	p->desk = link_new(e->loop, fd, &ops, p);
	return true;
}

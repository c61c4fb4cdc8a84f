/* States, the table of commands, works and the step. */
#include "imap/server_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

enum {
	BEFORE = IMAP_BIT(IMAP_ST_OPEN),
	AFTER = IMAP_BIT(IMAP_ST_IN) | IMAP_BIT(IMAP_ST_SELECTED),
	SELECTED = IMAP_BIT(IMAP_ST_SELECTED),
	ANY = BEFORE | AFTER,
};

/* The only dispatcher. */
static const struct imap_verb verbs[] = {
	{"CAPABILITY", ANY, 0, imap_on_capability},
	{"NOOP", ANY, 0, imap_on_noop},
	{"LOGOUT", ANY, IMAP_V_NO_NEWS, imap_on_logout},
	{"ID", ANY, 0, imap_on_id},
	{"STARTTLS", BEFORE, 0, imap_on_starttls},
	{"AUTHENTICATE", BEFORE, 0, imap_on_authenticate},
	{"LOGIN", BEFORE, 0, imap_on_login},
	{"ENABLE", AFTER, 0, imap_on_enable},
	{"SELECT", AFTER, IMAP_V_NO_NEWS, imap_on_select},
	{"EXAMINE", AFTER, IMAP_V_NO_NEWS, imap_on_examine},
	{"CREATE", AFTER, 0, imap_on_create},
	{"DELETE", AFTER, 0, imap_on_delete},
	{"RENAME", AFTER, 0, imap_on_rename},
	{"SUBSCRIBE", AFTER, 0, imap_on_subscribe},
	{"UNSUBSCRIBE", AFTER, 0, imap_on_unsubscribe},
	{"LIST", AFTER, 0, imap_on_list},
	{"LSUB", AFTER, 0, imap_on_lsub},
	{"NAMESPACE", AFTER, 0, imap_on_namespace},
	{"STATUS", AFTER, 0, imap_on_status},
	{"APPEND", AFTER, 0, imap_on_append}, /* one at a time: imap_server_append */
	{"IDLE", AFTER, 0, imap_on_idle},
	{"CHECK", SELECTED, 0, imap_on_noop},
	{"CLOSE", SELECTED, IMAP_V_NO_NEWS, imap_on_close},
	{"UNSELECT", SELECTED, IMAP_V_NO_NEWS, imap_on_unselect},
	{"EXPUNGE", SELECTED, IMAP_V_UID, imap_on_expunge},
	{"SEARCH", SELECTED, IMAP_V_UID | IMAP_V_KEEPS_SEQ, imap_on_search},
	{"FETCH", SELECTED, IMAP_V_UID | IMAP_V_KEEPS_SEQ, imap_on_fetch},
	{"STORE", SELECTED, IMAP_V_UID | IMAP_V_KEEPS_SEQ | IMAP_V_MANY, imap_on_store},
	{"COPY", SELECTED, IMAP_V_UID | IMAP_V_MANY, imap_on_copy},
	{"MOVE", SELECTED, IMAP_V_UID, imap_on_move},
};

static const unsigned may_follow[] = {
	[IMAP_ST_CONNECTED] = IMAP_BIT(IMAP_ST_OPEN) | IMAP_BIT(IMAP_ST_GONE),
	/* OPEN again: after STARTTLS */
	[IMAP_ST_OPEN] = IMAP_BIT(IMAP_ST_IN) | IMAP_BIT(IMAP_ST_TLS) | IMAP_BIT(IMAP_ST_GONE),
	[IMAP_ST_IN] = IMAP_BIT(IMAP_ST_SELECTED) | IMAP_BIT(IMAP_ST_GONE),
	[IMAP_ST_SELECTED] = IMAP_BIT(IMAP_ST_IN) | IMAP_BIT(IMAP_ST_GONE),
	[IMAP_ST_TLS] = IMAP_BIT(IMAP_ST_OPEN) | IMAP_BIT(IMAP_ST_GONE),
	[IMAP_ST_GONE] = 0,
};

void imap_move(struct imap_server *s, enum imap_state next)
{
	if (s->state == next)
		return;
	must(may_follow[s->state] & IMAP_BIT(next));
	s->state = next;
}

const struct imap_verb *imap_verb_of(struct span name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (span_eq_nocase(name, span_str(verbs[i].name)))
			return &verbs[i];
	}
	return NULL;
}

/* ---- works ---- */

struct imap_work *imap_work_new(struct imap_server *s)
{
	struct imap_work *w = must_alloc(sizeof *w);

	buf_init(&w->done, 0);
	arena_init(&w->arena, 0);
	list_append(&s->works, &w->at);
	s->works_n++;
	return w;
}

static void work_free(struct imap_server *s, struct imap_work *w)
{
	list_remove(&w->at);
	s->works_n--;
	if (s->io == w)
		s->io = NULL;
	if (w->release)
		w->release(w);
	if (w->text.p)
		explicit_bzero(w->text.p, w->text.n); /* it may have been a LOGIN */
	buf_fini(&w->text);
	buf_fini(&w->done);
	arena_fini(&w->arena);
	free(w);
}

void imap_finish(struct imap_work *w, const char *format, ...)
{
	char text[1024];
	va_list args;
	int n;

	must(!w->is_finished);
	va_start(args, format);
	n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n < 0)
		n = 0;
	(void)buf_append(&w->done,
			 span_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
	w->is_finished = true;
	w->is_blocked = false;
}

void imap_bad(struct imap_server *s, struct imap_work *w, const char *text)
{
	(void)s;
	imap_finish(w, "BAD %s", text);
}

void imap_store_failed(struct imap_work *w, enum rc rc)
{
	if (rc == REFUSED)
		imap_finish(w, "NO [NONEXISTENT] There is no such mailbox");
	else if (rc == BROKEN)
		imap_finish(w, "NO [SERVERBUG] The mailbox could not be read");
	else
		imap_finish(w, "NO [UNAVAILABLE] Temporarily not available; try again in a moment");
}

void imap_ask(struct imap_server *s, struct imap_work *w, const struct mail_act *act)
{
	must(s->to_say == IMAP_FEED);
	w->ask = ++s->last_id;
	w->asked = IMAP_ASKED;
	w->is_blocked = true;
	s->asked = (struct imap_ask){w->ask, act};
	s->to_say = IMAP_ACT;
}

bool imap_refused(struct imap_work *w, bool tries_create)
{
	static const char *const codes[] = {
		[MAIL_OK] = "",
		[MAIL_NONEXISTENT] = "[NONEXISTENT] There is no such mailbox",
		[MAIL_ALREADYEXISTS] = "[ALREADYEXISTS] There is such a mailbox already",
		[MAIL_CANNOT] = "[CANNOT] This mailbox does not allow it",
		[MAIL_HASCHILDREN] = "[HASCHILDREN] There are mailboxes below it",
		[MAIL_OVERQUOTA] = "[OVERQUOTA] There is no room",
		[MAIL_LIMIT] = "[LIMIT] A limit is reached",
		[MAIL_NOACCOUNT] = "[CONTACTADMIN] The account is closed",
	};
	unsigned code = w->verdict.code;

	if (w->asked == IMAP_LOST) {
		imap_finish(w, "NO [UNAVAILABLE] No word yet of whether it was done; it may have "
			       "been. Look before "
			       "you try again");
		return true;
	}
	if (w->asked == IMAP_UNANSWERED) {
		imap_finish(
			w,
			"NO [UNAVAILABLE] Changes cannot be made right now; try again in a moment");
		return true;
	}
	if (code == MAIL_OK)
		return false;
	if (code == MAIL_NONEXISTENT && tries_create)
		imap_finish(w, "NO [TRYCREATE] There is no such mailbox");
	else
		imap_finish(w, "NO %s",
			    code < sizeof codes / sizeof *codes ? codes[code] : "It was refused");
	return true;
}

bool imap_may_start(const struct imap_server *s, const struct imap_verb *verb)
{
	LIST_EACH (at, &s->works) {
		const struct imap_work *w = LIST_ENTRY(at, struct imap_work, at);

		if (!verb || !(verb->flags & IMAP_V_MANY) || !w->verb ||
		    !(w->verb->flags & IMAP_V_MANY))
			return false;
	}
	return s->works_n < IMAP_ASKS_LIMIT;
}

static void start_verb(struct imap_server *s, struct imap_work *w, bool is_split)
{
	if (!is_split)
		imap_bad(s, w, "That is no command");
	else if (!w->verb)
		imap_bad(s, w, "Command not known");
	else if (w->by_uid && !(w->verb->flags & IMAP_V_UID))
		imap_bad(s, w, "UID is not for this command");
	else if (!(w->verb->legal & IMAP_BIT(s->state)))
		imap_bad(s, w,
			 s->state == IMAP_ST_OPEN ? "Log in first"
			 : s->state == IMAP_ST_IN ? "Select a mailbox first, or log out"
						  : "Not now");
	else
		w->verb->start(s, w);
}

void imap_start(struct imap_server *s)
{
	struct imap_work *w = imap_work_new(s);
	struct span verb;
	bool is_split;

	w->text = s->text;
	s->text = (struct buf){0};
	imap_text_done(s);
	is_split = imap_split(buf_span(&w->text), &w->tag, &verb, &w->by_uid, &w->args);
	w->verb = is_split ? imap_verb_of(verb) : NULL;
	start_verb(s, w, is_split);
}

/* ---- errors and the end ---- */

void imap_bye(struct imap_server *s, const char *code, struct span text)
{
	if (s->state == IMAP_ST_GONE)
		return;
	if (s->state != IMAP_ST_TLS) {
		imap_put(s, code ? "* BYE [%s] " : "* BYE ", code);
		imap_put_span(s, text);
		imap_put(s, "\r\n");
	}
	s->to_say = IMAP_FEED;
	imap_move(s, IMAP_ST_GONE);
}

void imap_count_error(struct imap_server *s)
{
	if (++s->errors >= s->service->limits.errors)
		imap_bye(s, NULL, SPAN_LIT("Too many errors in this session; closing it"));
}

/* Before login. */
static bool moves_deadline(const struct imap_work *w)
{
	return w->verb &&
	       (w->verb->start == imap_on_login || w->verb->start == imap_on_authenticate ||
		w->verb->start == imap_on_starttls);
}

static void tell_end(struct imap_server *s, struct imap_work *w)
{
	struct span done = buf_span(&w->done);
	bool is_error = span_starts(done, SPAN_LIT("BAD")) ||
			(s->state == IMAP_ST_OPEN && span_starts(done, SPAN_LIT("NO")));

	imap_put_span(s, w->tag.n ? w->tag : SPAN_LIT("*"));
	imap_put(s, " ");
	imap_put_span(s, done);
	imap_put(s, "\r\n");
	if (s->state != IMAP_ST_OPEN || moves_deadline(w)) /* I6 */
		s->since_us = s->now_us;
	if (is_error)
		imap_count_error(s);
}

/* The mailbox's news, then the tagged line. False: call again. */
static bool end_work(struct imap_server *s, struct imap_work *w)
{
	unsigned flags = w->verb ? w->verb->flags : IMAP_V_NO_NEWS;
	bool may_expunge = (!(flags & IMAP_V_KEEPS_SEQ) || w->by_uid) && s->works_n == 1;

	if (!(flags & IMAP_V_NO_NEWS) && !imap_sync(s, may_expunge))
		return false;
	tell_end(s, w);
	work_free(s, w);
	if (s->ends_after_work && s->state != IMAP_ST_GONE)
		imap_move(s, IMAP_ST_GONE);
	return true;
}

/* ---- the step ---- */

static struct imap_work *runnable(struct imap_server *s)
{
	LIST_EACH (at, &s->works) {
		struct imap_work *w = LIST_ENTRY(at, struct imap_work, at);
		bool is_first = at == s->works.next;

		if (!w->is_blocked && (is_first || (!w->is_finished && w->asked == IMAP_NO_ASK)))
			return w;
	}
	return NULL;
}

/* IMAP_WAIT: no work can go on. IMAP_FEED: something was done. */
static enum imap_step run_works(struct imap_server *s)
{
	struct imap_work *w = runnable(s);
	enum imap_run_step step;

	if (!w)
		return IMAP_WAIT;
	if (w->is_finished)
		return end_work(s, w) ? IMAP_FEED : IMAP_AGAIN;
	must(w->run);
	step = w->run(s, w);
	if (step == IMAP_RUN_WAIT)
		w->is_blocked = true;
	return step == IMAP_RUN_LATER ? IMAP_AGAIN : IMAP_FEED;
}

static enum imap_step say(struct imap_server *s, struct span *out_piece)
{
	enum imap_step step = s->to_say;

	s->to_say = IMAP_FEED;
	if (step == IMAP_SASL)
		*out_piece = buf_span(&s->login_bytes);
	return step;
}

/* What is to be said before any input is looked at; IMAP_FEED: nothing. */
static enum imap_step standing(struct imap_server *s, struct span *in, struct span *out_piece)
{
	if (s->state == IMAP_ST_GONE) {
		*in = span_from(*in, in->n);
		return IMAP_CLOSE;
	}
	if (s->to_say != IMAP_FEED)
		return say(s, out_piece);
	return imap_is_full(s) ? IMAP_FLUSH : IMAP_FEED;
}

static enum imap_step before_tls(struct imap_server *s, struct span *in)
{
	*in = span_from(*in, in->n); /* I5 */
	if (s->tls_said)
		return IMAP_FEED;
	s->tls_said = true;
	return IMAP_TLS;
}

/* A whole command may wait for those before it. */
static bool start_ready(struct imap_server *s)
{
	struct span tag, verb, args;
	bool by_uid;
	bool is_split = imap_split(buf_span(&s->text), &tag, &verb, &by_uid, &args);

	if (!imap_may_start(s, is_split ? imap_verb_of(verb) : NULL))
		return false;
	if (s->is_message)
		imap_append_start(s);
	else
		imap_start(s);
	return true;
}

static void wind_down(struct imap_server *s)
{
	if (s->winds_down && (list_is_empty(&s->works) || s->input == IMAP_IN_IDLE))
		imap_bye(s, "UNAVAILABLE", SPAN_LIT("Shutting down; come back in a minute"));
}

enum imap_step imap_server_step(struct imap_server *s, struct span *in, struct span *out_piece)
{
	for (;;) {
		enum imap_step step = standing(s, in, out_piece);

		if (step != IMAP_FEED)
			return step;
		if (s->state == IMAP_ST_TLS && list_is_empty(&s->works))
			return before_tls(s, in);
		step = run_works(s);
		if (step == IMAP_AGAIN)
			return imap_is_full(s) ? IMAP_FLUSH : IMAP_AGAIN;
		if (step == IMAP_FEED)
			continue;
		wind_down(s);
		if (s->state == IMAP_ST_GONE)
			continue;
		if (s->input == IMAP_IN_READY && start_ready(s))
			continue;
		if (s->input == IMAP_IN_READY || s->input == IMAP_IN_HOST)
			return IMAP_WAIT;
		imap_idle_news(s);
		if (imap_is_full(s))
			continue;
		if (in->n == 0)
			return IMAP_FEED;
		step = imap_take_input(s, in, out_piece);
		if (step != IMAP_FEED)
			return step;
	}
}

/* ---- the session ---- */

struct imap_server *imap_server_new(const struct imap_service *service)
{
	struct imap_server *s = must_alloc(sizeof *s);

	s->service = service;
	list_init(&s->works);
	buf_init(&s->out, 0);
	imap_text_done(s);
	return s;
}

static void forget_works(struct imap_server *s)
{
	while (!list_is_empty(&s->works))
		work_free(s, LIST_ENTRY(s->works.next, struct imap_work, at));
}

static void forget_text(struct imap_server *s)
{
	if (s->text.p)
		explicit_bzero(s->text.p, s->text.n);
	if (s->login_bytes.p)
		explicit_bzero(s->login_bytes.p, s->login_bytes.n);
	buf_fini(&s->text);
	buf_fini(&s->login_bytes);
}

void imap_server_free(struct imap_server *s)
{
	if (!s)
		return;
	forget_works(s);
	imap_box_forget(s);
	forget_text(s);
	buf_fini(&s->out);
	free(s);
}

void imap_server_serve(struct imap_server *s, const struct imap_service *service)
{
	s->service = service;
}

void imap_server_greet(struct imap_server *s)
{
	struct buf line = {0};

	if (s->state != IMAP_ST_CONNECTED)
		return;
	imap_move(s, IMAP_ST_OPEN);
	s->since_us = s->now_us;
	imap_put_capabilities(s, &line);
	imap_put(s, "* OK [");
	imap_put_span(s, buf_span(&line));
	imap_put(s, "] ");
	imap_put_span(s, s->service->node);
	imap_put(s, " Holdfast ready\r\n");
	buf_fini(&line);
}

void imap_server_secured(struct imap_server *s)
{
	s->is_tls = true;
	if (s->state != IMAP_ST_TLS)
		return;
	forget_works(s);
	forget_text(s);
	imap_text_done(s);
	buf_clear(&s->out);
	s->tls_said = false;
	imap_move(s, IMAP_ST_OPEN);
	s->since_us = s->now_us;
}

const struct imap_ask *imap_server_asked(const struct imap_server *s)
{
	return &s->asked;
}

static const struct mail_range *copy_ranges(struct arena *a, const struct mail_range *r, size_t n)
{
	struct mail_range *copy = n ? arena_array(a, n, sizeof *copy) : NULL;

	if (copy)
		memcpy(copy, r, n * sizeof *copy);
	return copy;
}

void imap_server_lost(struct imap_server *s, uint64_t ask)
{
	LIST_EACH (at, &s->works) {
		struct imap_work *w = LIST_ENTRY(at, struct imap_work, at);

		if (w->asked != IMAP_ASKED || w->ask != ask)
			continue;
		w->asked = IMAP_LOST;
		w->is_blocked = false;
	}
}

void imap_server_verdict(struct imap_server *s, uint64_t ask, const struct mail_verdict *v)
{
	LIST_EACH (at, &s->works) {
		struct imap_work *w = LIST_ENTRY(at, struct imap_work, at);

		if (w->asked != IMAP_ASKED || w->ask != ask)
			continue;
		w->asked = v ? IMAP_ANSWERED : IMAP_UNANSWERED;
		w->is_blocked = false;
		if (!v)
			return;
		if (w->tells_change)
			imap_own_change(s, v->modseq);
		w->verdict = *v;
		w->verdict.text = SPAN_NONE;
		w->verdict.from = copy_ranges(&w->arena, v->from, v->from_n);
		w->verdict.to = copy_ranges(&w->arena, v->to, v->to_n);
		w->verdict.modified = copy_ranges(&w->arena, v->modified, v->modified_n);
		return;
	}
}

void imap_server_changed(struct imap_server *s, uint64_t box)
{
	if (s->box && (box == 0 || box == s->box->id))
		s->has_news = true;
}

uint64_t imap_server_box(const struct imap_server *s)
{
	return s->box ? s->box->id : 0;
}

bool imap_server_is_in(const struct imap_server *s)
{
	return s->state == IMAP_ST_IN || s->state == IMAP_ST_SELECTED;
}

struct span imap_server_output(const struct imap_server *s)
{
	return buf_span(&s->out);
}

void imap_server_sent(struct imap_server *s)
{
	buf_clear(&s->out);
	if (s->out.cap > IMAP_OUT_KEPT && (list_is_empty(&s->works) || s->input == IMAP_IN_IDLE))
		buf_fini(&s->out);
}

/* ---- time ---- */

static bool is_clients_turn(const struct imap_server *s)
{
	if (s->state == IMAP_ST_CONNECTED || s->state == IMAP_ST_GONE || s->to_say != IMAP_FEED)
		return false;
	switch (s->input) {
	case IMAP_IN_LINE:
	case IMAP_IN_LITERAL:
		return list_is_empty(&s->works);
	case IMAP_IN_HOST:
	case IMAP_IN_READY:
		return false;
	case IMAP_IN_SASL:
	case IMAP_IN_IDLE:
	case IMAP_IN_MESSAGE:
	case IMAP_IN_SKIP:
	case IMAP_IN_TAIL:
		return true;
	}
	must_never("unknown input");
}

uint64_t imap_server_deadline(const struct imap_server *s)
{
	const struct imap_server_limits *limits = &s->service->limits;

	if (!is_clients_turn(s))
		return 0;
	if (s->state == IMAP_ST_OPEN || s->state == IMAP_ST_TLS)
		return s->since_us + limits->login_us;
	if (s->input == IMAP_IN_MESSAGE || s->input == IMAP_IN_SKIP || s->input == IMAP_IN_TAIL)
		return s->since_us + limits->command_us +
		       (s->append.bytes - s->left) / 1024 * 1000000;
	if (s->input == IMAP_IN_IDLE || (s->input == IMAP_IN_LINE && s->text.n == 0))
		return s->since_us + limits->idle_us;
	return s->since_us + limits->command_us;
}

void imap_server_tick(struct imap_server *s, uint64_t now_us)
{
	uint64_t deadline = imap_server_deadline(s);

	s->now_us = now_us;
	if (deadline && now_us >= deadline)
		imap_bye(s, NULL, SPAN_LIT("Timed out waiting for you; closing"));
}

void imap_server_end(struct imap_server *s, const char *code, struct span text)
{
	imap_bye(s, code, text);
}

void imap_server_wind_down(struct imap_server *s)
{
	s->winds_down = true;
}

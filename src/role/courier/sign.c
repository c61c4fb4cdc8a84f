/*
 * DKIM for what our own people send to the world: auth is asked which keys the author's domain has, the message's hashes
 * are made here, and auth signs them (identity/dkim.h). The fields stand before the message from then on, at every try of
 * this lease. A domain without keys: nothing is signed. auth away: the message waits, for unsigned it may be refused for good.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"
#include "identity/dkim.h"
#include "loop/loop.h"
#include "mail/header.h"
#include "os/os.h"
#include "role/common/role.h"
#include "role/courier/courier.h"

#define ANSWER_US 10000000u

enum { SIGNATURES_MOST = 4, HEADER_MOST = 1 << 20 };

struct signing {
	struct job *job;
	struct list at; /* courier.signings */
	uint64_t question;
	struct loop_timer *deadline;
	struct span domain; /* in the job's arena */
	struct buf header;
	unsigned char body_hash[DKIM_HASH_BYTES];
	struct {
		struct span selector;
		enum dkim_algorithm algorithm;
	} signers[SIGNATURES_MOST];
	size_t n, next;
	struct buf field; /* of the signature that is asked for */
};

static void end(struct signing *g)
{
	struct job *j = g->job;

	list_remove(&g->at);
	loop_timer_free(g->deadline);
	buf_fini(&g->header);
	buf_fini(&g->field);
	free(g);
	j->signing = NULL;
}

static void is_done(struct signing *g)
{
	struct job *j = g->job;

	end(g);
	j->is_signed = true;
	if (j->c->is_stopping)
		job_lapse(j, "the courier is stopping");
	else
		site_put(j->site, j);
}

static void give_up(struct signing *g, const char *why)
{
	const struct smtp_rcpt_result all = {.result = SMTP_RESULT_UNREACHED,
					     .stage = SMTP_STAGE_CONNECT,
					     .enhanced = "",
					     .text = why};
	struct job *j = g->job;

	end(g);
	job_end_unsent(j, &all, "");
}

static void on_deadline(void *arg)
{
	give_up(arg, "auth, who signs mail, does not answer");
}

/* ---- what is signed ---- */

/* Without comments and, where there are angles, what stands in the last ones. "": not to be told. */
static size_t author_of(struct span from, char *out, size_t limit)
{
	bool is_quoted = false;
	unsigned depth = 0;
	size_t n = 0;

	for (size_t i = 0; i < from.n; i++) {
		char c = (char)from.p[i];

		if (c == '\\' && (is_quoted || depth)) {
			i++;
			continue;
		}
		if (c == '"' && !depth)
			is_quoted = !is_quoted;
		else if (c == '(' && !is_quoted)
			depth++;
		else if (c == ')' && !is_quoted && depth)
			depth--;
		else if (c == '<' && !is_quoted && !depth)
			n = 0;
		else if (c == '>' && !is_quoted && !depth)
			return n;
		else if (!is_quoted && !depth && n < limit)
			out[n++] = c;
	}
	return is_quoted || depth ? 0 : n;
}

/* The domain of the (first) author's address. A domain in a comment or a name is none: its owner did not write this. */
static struct span from_domain(struct arena *a, struct span from)
{
	char text[HEADER_VALUE_LIMIT];
	struct span author = span_of(text, author_of(from, text, sizeof text));
	ssize_t at = span_rchr(author, '@');
	struct span rest = span_from(author, at < 0 ? author.n : (size_t)at + 1);
	size_t n = 0;

	while (n < rest.n && (ascii_is_alnum(rest.p[n]) || rest.p[n] == '-' || rest.p[n] == '.'))
		n++;
	return arena_span(a, span_first(rest, n));
}

struct reading {
	struct signing *signing;
	struct dkim_body body;
	uint64_t at, header_bytes;
};

/* A piece as it goes out: header up to its empty line, then body. */
static void take(struct reading *r, struct span piece)
{
	uint64_t left = r->at < r->header_bytes ? r->header_bytes - r->at : 0;
	struct span head = span_first(piece, left < piece.n ? (size_t)left : piece.n);

	(void)buf_append(&r->signing->header, head);
	dkim_body_feed(&r->body, span_from(piece, head.n));
}

static void take_uncut(struct reading *r, struct span piece)
{
	const struct msg_message_meta *m = &r->signing->job->meta;

	for (size_t i = 0; i < m->cuts_n && piece.n; i++) {
		uint64_t from = m->cuts[i].offset, to = from + m->cuts[i].bytes,
			 stop = r->at + piece.n;

		if (to <= r->at || from >= stop || to < from)
			continue;
		if (from > r->at)
			take(r, span_first(piece, (size_t)(from - r->at)));
		to = to < stop ? to : stop;
		piece = span_from(piece, (size_t)(to - r->at));
		r->at = to;
	}
	take(r, piece);
	r->at += piece.n;
}

/* False: it cannot be read; the session will find that too, and say so. */
static bool read_message(struct signing *g)
{
	struct job *j = g->job;
	const struct record_ref ref = {j->lease.lane_id, j->lease.segment, j->lease.offset};
	struct reading r = {.signing = g, .header_bytes = j->meta.header_bytes};
	struct ledger_body *body;
	struct fault why = {0};
	struct span piece;
	enum rc rc = ledger_body_open(j->c->reader, ref, &body, &why);

	if (rc != OK)
		return false;
	buf_init(&g->header, HEADER_MOST);
	(void)buf_append(&g->header, j->meta.trace);
	dkim_body_init(&r.body, DKIM_RELAXED);
	while ((rc = ledger_body_next(body, &piece, &why)) == OK)
		take_uncut(&r, piece);
	dkim_body_end(&r.body, g->body_hash);
	ledger_body_close(body);
	return rc == MORE;
}

/* ---- auth ---- */

static void ask(struct signing *g, unsigned type, struct buf *body)
{
	loop_timer_set(g->deadline, ANSWER_US);
	if (!links_send(g->job->c->auth, type, body))
		loop_timer_set(g->deadline, 1);
}

static void ask_next(struct signing *g)
{
	unsigned char hash[DKIM_HASH_BYTES];
	struct job *j = g->job;
	struct buf body = {0};
	struct fault why = {0};

	if (g->next == g->n) {
		is_done(g);
		return;
	}
	buf_clear(&g->field);
	if (dkim_sign_begin(&(struct dkim_sign){.domain = g->domain,
						.selector = g->signers[g->next].selector,
						.algorithm = g->signers[g->next].algorithm,
						.at_s = os_wall_us(j->c->os) / 1000000,
						.header = buf_span(&g->header),
						.body_hash = g->body_hash},
			    &g->field, hash, &why) != OK) {
		say(SAY_WARNING, "dkim.not_signed", "id", SAY_SPAN(j->lease.id), "why",
		    SAY_STR(why.text), NULL);
		is_done(g);
		return;
	}
	g->question = ++j->c->last_question;
	msg_sign_ask_encode(&body, &(struct msg_sign_ask){.id = g->question,
							  .domain = g->domain,
							  .selector = g->signers[g->next].selector,
							  .hash = span_of(hash, sizeof hash)});
	ask(g, MSG_SIGN_ASK, &body);
}

static struct signing *by_question(struct courier *c, uint64_t id)
{
	LIST_EACH (at, &c->signings) {
		struct signing *g = LIST_ENTRY(at, struct signing, at);

		if (g->question == id)
			return g;
	}
	return NULL;
}

void sign_signers(struct courier *c, const struct msg_signers *m)
{
	struct signing *g = by_question(c, m->id);

	if (!g)
		return;
	for (size_t i = 0; i < m->signers_n && g->n < SIGNATURES_MOST; i++) {
		g->signers[g->n].selector = arena_span(&g->job->arena, m->signers[i].selector);
		g->n += dkim_selector_is_good(g->signers[g->n].selector) &&
			dkim_algorithm_of(m->signers[i].algorithm, &g->signers[g->n].algorithm);
	}
	if (g->n && !read_message(g))
		g->n = 0;
	ask_next(g);
}

void sign_answer(struct courier *c, const struct msg_sign_answer *m)
{
	struct signing *g = by_question(c, m->id);

	if (!g)
		return;
	if (m->ok && m->signature.n && m->signature.n <= DKIM_SIGNATURE_BYTES) {
		dkim_sign_end(&g->field, m->signature);
		(void)buf_append(&g->job->signatures, buf_span(&g->field));
	} else {
		say(SAY_WARNING, "dkim.no_signature", "domain", SAY_SPAN(g->domain), "why",
		    SAY_SPAN(m->why), NULL);
	}
	g->next++;
	ask_next(g);
}

void sign_auth_gone(struct courier *c)
{
	LIST_EACH (at, &c->signings)
		loop_timer_set(LIST_ENTRY(at, struct signing, at)->deadline, 1);
}

void sign_forget(struct job *j)
{
	if (j->signing)
		end(j->signing);
}

/* ---- the job ---- */

/* auth runs when people can log in (super/topology.c). */
static bool has_auth(const struct msg_config *config)
{
	for (size_t i = 0; i < config->listen_n; i++) {
		struct span s = config->listen[i].service;

		if (!span_eq(s, SPAN_LIT("smtp")) && !span_eq(s, SPAN_LIT("metrics")))
			return true;
	}
	return false;
}

bool sign_is_needed(const struct job *j)
{
	return !j->is_signed && j->meta.origin == 1 && !j->meta.is_sent_on &&
	       span_chr(j->meta.from, '@') >= 0 && has_auth(role_config(j->c->role));
}

void sign_start(struct job *j)
{
	struct signing *g = must_alloc(sizeof *g);
	struct buf body = {0};

	g->job = j;
	j->signing = g;
	list_append(&j->c->signings, &g->at);
	g->deadline = loop_timer_new(j->c->loop, on_deadline, g);
	g->domain = from_domain(&j->arena, j->meta.from);
	g->question = ++j->c->last_question;
	msg_signers_ask_encode(&body,
			       &(struct msg_signers_ask){.id = g->question, .domain = g->domain});
	ask(g, MSG_SIGNERS_ASK, &body);
}

/*
 * APPEND (RFC 9051 s6.3.12; UTF8 of RFC 6855 s4): the message passes through to the host. A message with a NUL is refused
 * unless it came as literal8; so is one the host does not want; both are read over.
 */
#include "imap/server_internal.h"

#include "base/must.h"

enum { TAIL_LIMIT = 64 };

struct append_args {
	struct span name, keywords;
	uint32_t flags;
	uint64_t date_us;
	bool is_utf8;
};

/* What stands before the literal. */
static bool get_append(struct imap_server *s, struct arena *a, struct span *c,
		       struct append_args *out)
{
	*out = (struct append_args){0};
	if (!imap_get_space(c) || !imap_get_mailbox(s, a, c, &out->name) || !imap_get_space(c))
		return false;
	if (c->n && c->p[0] == '(') {
		if (!imap_get_flags(a, c, true, &out->flags, &out->keywords) || !imap_get_space(c))
			return false;
	}
	if (c->n && c->p[0] == '"') {
		if (!imap_get_date_time(c, &out->date_us) || !imap_get_space(c))
			return false;
	}
	out->is_utf8 = imap_get(c, "UTF8 (");
	return imap_get_end(c);
}

bool imap_append_is_due(struct imap_server *s, struct span upto_brace)
{
	struct span tag, verb, args;
	struct append_args append;
	struct arena arena;
	bool by_uid, is_due;

	if (!imap_split(upto_brace, &tag, &verb, &by_uid, &args) || by_uid ||
	    !span_eq_nocase(verb, SPAN_LIT("APPEND")))
		return false;
	arena_init(&arena, 0);
	is_due = get_append(s, &arena, &args, &append);
	arena_fini(&arena);
	return is_due;
}

/* ---- the answers ---- */

static enum imap_run_step run_append(struct imap_server *s, struct imap_work *w)
{
	const struct mail_verdict *v = &w->verdict;

	(void)s;
	if (w->asked == IMAP_NO_ASK)
		return IMAP_RUN_WAIT; /* for input */
	if (imap_refused(w, true))
		return IMAP_RUN_DONE;
	if (v->to_n)
		imap_finish(w, "OK [APPENDUID %u %u] APPEND completed", v->uidvalidity,
			    v->to[0].first);
	else
		imap_finish(w, "OK APPEND completed");
	return IMAP_RUN_DONE;
}

/* Refused: what comes is read over, then the answer is given; or at once when the client waits for "+". */
static void refuse(struct imap_server *s, struct imap_work *w, const char *code, struct span text)
{
	struct buf *line = &w->done;

	(void)buf_printf(line, code && *code ? "NO [%s] " : "NO ", code);
	(void)buf_append(line, text);
	if (!s->coming.waits) {
		s->input = IMAP_IN_SKIP;
		s->since_us = s->now_us;
		return;
	}
	imap_finish(w, "%s", "");
	s->io = NULL;
	imap_text_done(s);
}

static void begin(struct imap_server *s, struct imap_work *w, const struct append_args *args,
		  const struct mail_box *box)
{
	s->append = (struct imap_append){
		.id = ++s->last_id,
		.bytes = s->coming.bytes,
		.act = {.kind = MAIL_ACT_APPEND,
			.box = box->id,
			.flags = args->flags,
			.keywords = args->keywords,
			.date_us = args->date_us,
			.unchanged_since = UINT64_MAX},
	};
	w->ask = s->append.id;
	s->input = IMAP_IN_HOST;
	s->to_say = IMAP_APPEND_BEGIN;
}

void imap_append_start(struct imap_server *s)
{
	struct imap_work *w = imap_work_new(s);
	struct append_args *args = arena_alloc(&w->arena, sizeof *args);
	struct span verb, c;
	struct mail_box box;
	enum rc rc;

	w->text = s->text;
	s->text = (struct buf){0};
	s->part_at = 0;
	s->is_message = false;
	must(imap_split(buf_span(&w->text), &w->tag, &verb, &w->by_uid, &c));
	w->verb = imap_verb_of(verb);
	must(w->verb && get_append(s, &w->arena, &c, args));
	w->data = args;
	w->run = run_append;
	w->is_blocked = true;
	s->io = w;
	s->left = s->append.bytes = s->coming.bytes;
	rc = s->store.ops->box_by_name(s->store.arg, args->name, &box, NULL);
	if (rc == REFUSED || (rc == OK && !box.exists))
		refuse(s, w, "TRYCREATE", SPAN_LIT("There is no such mailbox"));
	else if (rc != OK)
		refuse(s, w, "UNAVAILABLE",
		       SPAN_LIT("Temporarily not available; try again in a moment"));
	else if (s->coming.bytes > s->service->limits.append_bytes)
		refuse(s, w, "TOOBIG", SPAN_LIT("The message is larger than what is taken"));
	else if (s->coming.bytes == 0) /* RFC 9051 s6.3.12 has no use for it */
		refuse(s, w, "", SPAN_LIT("An empty message is none"));
	else
		begin(s, w, args, &box);
}

/* Without a literal it was not an APPEND that anything can be done with. */
void imap_on_append(struct imap_server *s, struct imap_work *w)
{
	imap_bad(s, w, "APPEND wants a mailbox, perhaps flags and a date, and a literal");
}

const struct imap_append *imap_server_append(const struct imap_server *s)
{
	return &s->append;
}

void imap_server_append_open(struct imap_server *s, const char *code, struct span text)
{
	if (!s->io || s->input != IMAP_IN_HOST || s->state == IMAP_ST_OPEN)
		return;
	if (code) {
		refuse(s, s->io, code, text);
		return;
	}
	if (s->coming.waits)
		imap_put(s, "+ Go on\r\n");
	s->input = IMAP_IN_MESSAGE;
	s->since_us = s->now_us;
}

/* ---- the bytes ---- */

static enum imap_step drop(struct imap_server *s, const char *answer)
{
	(void)buf_append(&s->io->done, span_str(answer));
	s->input = IMAP_IN_SKIP;
	return IMAP_APPEND_DROP;
}

static enum imap_step take_message(struct imap_server *s, struct span *in, struct span *out_piece)
{
	struct span piece = span_first(*in, s->left < in->n ? (size_t)s->left : in->n);

	if (!s->coming.is_binary && memchr(piece.p, 0, piece.n))
		return drop(s, "NO [UNKNOWN-CTE] A message with NUL bytes wants a literal8");
	*in = span_from(*in, piece.n);
	s->left -= piece.n;
	if (s->left == 0)
		s->input = IMAP_IN_TAIL;
	*out_piece = piece;
	return IMAP_PIECE;
}

static void skip(struct imap_server *s, struct span *in)
{
	size_t n = s->left < in->n ? (size_t)s->left : in->n;

	*in = span_from(*in, n);
	s->left -= n;
	if (s->left == 0)
		s->input = IMAP_IN_TAIL;
}

static enum imap_step end_message(struct imap_server *s, bool is_good)
{
	struct imap_work *w = s->io;
	bool was_wanted = w->done.n == 0;

	s->io = NULL;
	imap_text_done(s);
	if (was_wanted && is_good) {
		w->asked = IMAP_ASKED;
		return IMAP_APPEND_END;
	}
	if (was_wanted)
		imap_bad(s, w, "One message at a time; nothing may follow it");
	else
		imap_finish(w, "%s", "");
	return was_wanted ? IMAP_APPEND_DROP : IMAP_FEED;
}

/* CRLF, behind a ")" if "UTF8 (" was before. */
static enum imap_step take_tail(struct imap_server *s, struct span *in)
{
	const struct append_args *args = s->io->data;
	ssize_t lf = span_chr(*in, '\n');
	struct span part = lf < 0 ? *in : span_first(*in, (size_t)lf + 1);
	struct span line;

	*in = span_from(*in, part.n);
	s->text.limit = TAIL_LIMIT;
	if (!buf_append(&s->text, part)) {
		imap_bye(s, NULL, SPAN_LIT("What follows the message is no end of a command"));
		return IMAP_APPEND_DROP;
	}
	if (lf < 0)
		return IMAP_FEED;
	line = buf_span(&s->text);
	return end_message(s, span_eq(line, args->is_utf8 ? SPAN_LIT(")\r\n") : SPAN_LIT("\r\n")));
}

enum imap_step imap_append_input(struct imap_server *s, struct span *in, struct span *out_piece)
{
	if (s->input == IMAP_IN_MESSAGE)
		return take_message(s, in, out_piece);
	if (s->input == IMAP_IN_TAIL)
		return take_tail(s, in);
	skip(s, in);
	return IMAP_FEED;
}

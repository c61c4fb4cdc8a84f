/*
 * SEARCH: the looking. What an entry tells is looked at first; the message itself is read only where that leaves the
 * question open, and a message's reading is cut into steps, so that others go first and a client that left stops it.
 */
#include "imap/server_internal.h"

#include "base/ascii.h"
#include "mail/digest.h"
#include "mail/text.h"

enum {
	LOOKS = 1000,		  /* at entries in one step */
	READ_BYTES = 256 << 10,	  /* of a message in one step */
	HEADER_LIMIT = 256 << 10, /* of a header section that is searched */
	DAY_US = 86400,
};

enum truth { NO, YES, UNKNOWN };

/* How deep to look. */
enum depth { BY_ENTRY, BY_DIGEST, BY_BYTES };

/* ---- one key ---- */

static enum truth truth_of(bool value)
{
	return value ? YES : NO;
}

static bool has_keyword(struct span keywords, struct span wanted)
{
	while (keywords.n) {
		if (span_eq_nocase(span_cut(&keywords, ' '), wanted))
			return true;
	}
	return false;
}

static bool is_emailid(const struct mail_entry *e, struct span id)
{
	static const char marks[] = {
		[MAIL_AS_DELIVERED] = 'M', [MAIL_AS_SENT] = 'S', [MAIL_ENCLOSED] = 'E'};
	uint64_t number;

	return id.n > 1 && id.p[0] == marks[e->form] &&
	       span_to_u64(span_from(id, 1), UINT64_MAX, &number) && number == e->number;
}

static bool is_threadid(const struct mail_entry *e, struct span id)
{
	uint64_t thread;

	return id.n > 1 && id.p[0] == 'T' && e->thread &&
	       span_to_u64(span_from(id, 1), UINT64_MAX, &thread) && thread == e->thread;
}

static int64_t day_of(uint64_t us)
{
	return (int64_t)(us / 1000000 / DAY_US);
}

static enum truth test_sent(struct imap_server *s, const struct imap_node *node,
			    const struct mail_entry *e, enum depth depth)
{
	struct mail_digest d;
	int64_t day;

	if (depth < BY_DIGEST)
		return UNKNOWN;
	if (s->store.ops->digest(s->store.arg, e->number, e->form, &d, NULL) != OK)
		return NO;
	day = day_of(d.sent_us ? d.sent_us : e->received_us);
	return truth_of(node->key == IMAP_K_SENT_BEFORE ? day < node->day
			: node->key == IMAP_K_SENT_ON	? day == node->day
							: day >= node->day);
}

static enum truth test_text(const struct imap_search *q, const struct imap_node *node,
			    const struct mail_entry *e, enum depth depth)
{
	if (node->text.n == 0)
		return YES;
	if (!node->is_unknown && imap_set_has(&node->uids, e->uid))
		return YES;
	if (!node->is_unknown && !imap_set_has(&node->unknown, e->uid))
		return NO;
	if (depth < BY_BYTES)
		return UNKNOWN;
	return truth_of(q->maker && digest_maker_holds(q->maker, node->where, node->text));
}

/* Each field of the name: unfolded, decoded, folded in case. */
static bool header_holds(struct span header, struct span name, struct span text)
{
	struct buf value = {0}, folded = {0};
	bool is_found = false;

	while (header.n && !is_found) {
		size_t end = 0;
		struct span field;
		ssize_t colon;

		do { /* the line, and those that continue it */
			ssize_t lf = span_chr(span_from(header, end), '\n');

			end = lf < 0 ? header.n : end + (size_t)lf + 1;
		} while (end < header.n && (header.p[end] == ' ' || header.p[end] == '\t'));
		field = span_first(header, end);
		header = span_from(header, end);
		colon = span_chr(field, ':');
		if (colon < 0 || !span_eq_nocase(span_trim(span_first(field, (size_t)colon)), name))
			continue;
		buf_clear(&value);
		buf_clear(&folded);
		(void)text_header(span_from(field, (size_t)colon + 1), &value);
		(void)text_fold(buf_span(&value), &folded);
		is_found = text.n == 0 ||
			   memmem(folded.p ? folded.p : text.p, folded.n, text.p, text.n) != NULL;
	}
	buf_fini(&value);
	buf_fini(&folded);
	return is_found;
}

static enum truth test(struct imap_server *s, struct imap_search *q, const struct imap_node *node,
		       enum depth depth)
{
	const struct mail_entry *e = q->e;

	switch (node->key) {
	case IMAP_K_ALL:
		return YES;
	case IMAP_K_NONE:
		return NO;
	case IMAP_K_FLAG:
		return truth_of(e->flags & node->flag);
	case IMAP_K_NO_FLAG:
		return truth_of(!(e->flags & node->flag));
	case IMAP_K_KEYWORD:
		return truth_of(has_keyword(e->keywords, node->text));
	case IMAP_K_NO_KEYWORD:
		return truth_of(!has_keyword(e->keywords, node->text));
	case IMAP_K_BEFORE:
		return truth_of(day_of(e->received_us) < node->day);
	case IMAP_K_ON:
		return truth_of(day_of(e->received_us) == node->day);
	case IMAP_K_SINCE:
		return truth_of(day_of(e->received_us) >= node->day);
	case IMAP_K_SENT_BEFORE:
	case IMAP_K_SENT_ON:
	case IMAP_K_SENT_SINCE:
		return test_sent(s, node, e, depth);
	case IMAP_K_LARGER:
		return truth_of(e->bytes > node->number);
	case IMAP_K_SMALLER:
		return truth_of(e->bytes < node->number);
	case IMAP_K_UIDS:
		return truth_of(imap_set_has(&node->uids, e->uid));
	case IMAP_K_TEXT:
		return test_text(q, node, e, depth);
	case IMAP_K_HEADER:
		return depth < BY_BYTES ? UNKNOWN
					: truth_of(header_holds(buf_span(&q->header), node->name,
								node->text));
	case IMAP_K_MODSEQ:
		return truth_of(e->modseq >= node->number);
	case IMAP_K_EMAILID:
		return truth_of(is_emailid(e, node->text));
	case IMAP_K_THREADID:
		return truth_of(is_threadid(e, node->text));
	case IMAP_K_NOT:
	case IMAP_K_AND:
	case IMAP_K_OR:
		break;
	}
	return NO;
}

/* ---- all keys ---- */

static enum truth both(enum truth a, enum truth b)
{
	return a == NO || b == NO ? NO : a == YES && b == YES ? YES : UNKNOWN;
}

static enum truth either(enum truth a, enum truth b)
{
	return a == YES || b == YES ? YES : a == NO && b == NO ? NO : UNKNOWN;
}

static enum truth opposite(enum truth a)
{
	return a == YES ? NO : a == NO ? YES : UNKNOWN;
}

static enum truth evaluate(struct imap_server *s, struct imap_search *q, enum depth depth)
{
	enum truth stack[2 * IMAP_KEY_DEPTH + 2]; /* each open frame holds at most two */
	size_t n = 0;

	for (size_t i = 0; i < q->n; i++) {
		const struct imap_node *node = &q->nodes[i];

		if (node->key == IMAP_K_NOT) {
			stack[n - 1] = opposite(stack[n - 1]);
		} else if (node->key == IMAP_K_AND || node->key == IMAP_K_OR) {
			n--;
			stack[n - 1] = node->key == IMAP_K_AND ? both(stack[n - 1], stack[n])
							       : either(stack[n - 1], stack[n]);
		} else {
			stack[n++] = test(s, q, node, depth);
		}
	}
	return n == 1 ? stack[0] : NO;
}

/* ---- a message that must be read ---- */

void imap_search_close(struct imap_search *q)
{
	if (q->body)
		q->ops->body_close(q->body);
	digest_maker_free(q->maker);
	q->body = NULL;
	q->maker = NULL;
	q->has_header = false;
	q->fed = 0;
	buf_clear(&q->header);
}

static bool wants_header(const struct imap_search *q)
{
	for (size_t i = 0; i < q->n; i++) {
		if (q->nodes[i].key == IMAP_K_HEADER)
			return true;
	}
	return false;
}

/* HEADER alone does not need the body. */
static bool wants_text(const struct imap_search *q)
{
	for (size_t i = 0; i < q->n; i++) {
		const struct imap_node *node = &q->nodes[i];

		if (node->key == IMAP_K_TEXT && node->text.n &&
		    (node->is_unknown || imap_set_has(&node->unknown, q->e->uid)))
			return true;
	}
	return false;
}

/* Without its bytes a message holds no text. */
static bool begin_read(struct imap_server *s, struct imap_search *q)
{
	q->ops = s->store.ops;
	if (q->ops->body_open(s->store.arg, q->e->number, q->e->form, &q->body, NULL) != OK) {
		q->body = NULL;
		return false;
	}
	q->has_header = !wants_header(q);
	if (!wants_text(q))
		return true;
	q->maker = digest_maker_new(true);
	if (!q->maker)
		imap_search_close(q);
	return q->maker != NULL;
}

/* The header section is kept for HEADER: up to the first empty line. */
static void keep_header(struct imap_search *q, struct span piece)
{
	size_t before = q->header.n < 3 ? 0 : q->header.n - 3;
	const unsigned char *end;
	size_t room = HEADER_LIMIT - q->header.n;

	if (q->has_header)
		return;
	(void)buf_append(&q->header, span_first(piece, room));
	end = memmem(q->header.p + before, q->header.n - before, "\n\r\n", 3);
	if (!end)
		end = memmem(q->header.p + before, q->header.n - before, "\n\n", 2);
	if (end)
		q->header.n = (size_t)(end - q->header.p) + 1;
	q->has_header = end || q->header.n == HEADER_LIMIT;
}

/* True: all was read (or it cannot be). */
static bool read_on(struct imap_search *q)
{
	uint64_t all = q->ops->body_bytes(q->body), until = q->fed + READ_BYTES;

	while (q->fed < all && q->fed < until) {
		struct span piece;

		if (q->ops->body_read(q->body, q->fed, IMAP_CHUNK, &piece, NULL) != OK ||
		    piece.n == 0) {
			all = q->fed;
			break;
		}
		keep_header(q, piece);
		if (q->maker)
			digest_maker_feed(q->maker, piece);
		else if (q->has_header)
			return true;
		q->fed += piece.n;
	}
	if (q->fed < all)
		return false;
	if (q->maker)
		digest_maker_end(q->maker);
	return true;
}

static void found(struct imap_search *q)
{
	imap_set_add(&q->found, q->e->uid, q->e->uid);
	if (q->e->modseq > q->modseq)
		q->modseq = q->e->modseq;
}

/* ---- what is said ---- */

static struct mail_range numbers_of(struct imap_server *s, const struct imap_work *w,
				    struct mail_range uids)
{
	if (w->by_uid)
		return uids;
	return (struct mail_range){imap_map_seq(&s->box->map, uids.first),
				   imap_map_seq(&s->box->map, uids.last)};
}

/* Consecutive UIDs that were found are consecutive messages. */
static void put_all(struct imap_server *s, const struct imap_work *w, const struct imap_search *q)
{
	struct imap_set said = {0};

	for (size_t i = 0; i < q->found.n; i++) {
		struct mail_range r = numbers_of(s, w, q->found.r[i]);

		imap_set_add(&said, r.first, r.last);
	}
	imap_put(s, " ALL ");
	imap_set_print(&s->out, said.r, said.n);
	imap_set_clear(&said);
}

static void put_extended(struct imap_server *s, const struct imap_work *w,
			 const struct imap_search *q)
{
	struct buf tag = {0};
	struct imap_set const *f = &q->found;

	imap_put_string(&tag, w->tag);
	imap_put(s, "* ESEARCH (TAG ");
	imap_put_span(s, buf_span(&tag));
	imap_put(s, w->by_uid ? ") UID" : ")");
	buf_fini(&tag);
	if (f->n && (q->returns & IMAP_R_MIN))
		imap_put(s, " MIN %u", numbers_of(s, w, f->r[0]).first);
	if (f->n && (q->returns & IMAP_R_MAX))
		imap_put(s, " MAX %u", numbers_of(s, w, f->r[f->n - 1]).last);
	if (f->n && (q->returns & IMAP_R_ALL))
		put_all(s, w, q);
	if (q->returns & IMAP_R_COUNT)
		imap_put(s, " COUNT %llu", (unsigned long long)imap_set_count(f));
	if (f->n && q->has_modseq)
		imap_put(s, " MODSEQ %llu", (unsigned long long)q->modseq);
	imap_put(s, "\r\n");
}

/* RFC 5182 s2.4 */
static void save(struct imap_server *s, const struct imap_search *q)
{
	const struct imap_set *f = &q->found;
	struct imap_set *saved = &s->box->saved;
	bool is_ends = (q->returns & (IMAP_R_MIN | IMAP_R_MAX)) &&
		       !(q->returns & (IMAP_R_ALL | IMAP_R_COUNT));

	imap_set_clear(saved);
	for (size_t i = 0; !is_ends && i < f->n; i++)
		imap_set_add(saved, f->r[i].first, f->r[i].last);
	if (is_ends && f->n && (q->returns & IMAP_R_MIN))
		imap_set_add(saved, f->r[0].first, f->r[0].first);
	if (is_ends && f->n && (q->returns & IMAP_R_MAX))
		imap_set_add(saved, f->r[f->n - 1].last, f->r[f->n - 1].last);
}

/* "* SEARCH 1 2 3", as long as it is, in pieces. */
static enum imap_run_step say_list(struct imap_server *s, struct imap_work *w)
{
	struct imap_search *q = w->data;

	for (; q->said_range < q->found.n; q->said_range++, q->said = 0) {
		struct mail_range r = numbers_of(s, w, q->found.r[q->said_range]);

		for (uint32_t n = r.first + q->said; n <= r.last && n >= r.first; n++, q->said++) {
			if (imap_is_full(s))
				return IMAP_RUN_AGAIN;
			imap_put(s, " %u", n);
		}
	}
	if (q->has_modseq && q->found.n)
		imap_put(s, " (MODSEQ %llu)", (unsigned long long)q->modseq);
	imap_put(s, "\r\n");
	imap_finish(w, "OK SEARCH completed");
	return IMAP_RUN_DONE;
}

static enum imap_run_step say_found(struct imap_server *s, struct imap_work *w)
{
	struct imap_search *q = w->data;

	if (q->returns & IMAP_R_SAVE)
		save(s, q);
	if (!q->is_extended && !s->is_rev2) {
		imap_put(s, "* SEARCH");
		q->is_saying = true;
		return say_list(s, w);
	}
	if (q->returns != IMAP_R_SAVE)
		put_extended(s, w, q);
	imap_finish(w, "OK SEARCH completed");
	return IMAP_RUN_DONE;
}

/* ---- the run ---- */

/* The next message by what costs nothing, or little. True: it must be read. */
static bool look(struct imap_server *s, struct imap_search *q)
{
	enum truth truth = evaluate(s, q, BY_ENTRY);

	if (truth == UNKNOWN)
		truth = evaluate(s, q, BY_DIGEST);
	if (truth == UNKNOWN)
		return true;
	if (truth == YES)
		found(q);
	return false;
}

static void conclude(struct imap_server *s, struct imap_search *q)
{
	if (evaluate(s, q, BY_BYTES) == YES)
		found(q);
	imap_search_close(q);
	q->e = NULL;
}

enum imap_run_step imap_run_search(struct imap_server *s, struct imap_work *w)
{
	struct imap_search *q = w->data;

	if (q->is_saying)
		return say_list(s, w);
	if (q->body) {
		if (read_on(q))
			conclude(s, q);
		return IMAP_RUN_LATER;
	}
	for (unsigned i = 0; i < LOOKS; i++) {
		uint32_t seq;
		enum rc rc = imap_batch_next(s, &q->batch, 0, &q->e, &seq, NULL);

		if (rc == REFUSED)
			return say_found(s, w);
		if (rc != OK) {
			imap_set_clear(&s->box->saved);
			imap_store_failed(w, rc);
			return IMAP_RUN_DONE;
		}
		if (!look(s, q))
			continue;
		if (!begin_read(s, q))
			conclude(s, q);
		else if (read_on(q))
			conclude(s, q);
		return IMAP_RUN_LATER;
	}
	return IMAP_RUN_LATER;
}

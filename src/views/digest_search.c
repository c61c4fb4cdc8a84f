/*
 * Which messages hold a text. The trigram index proposes (all trigrams of the text in the same column, in any order and
 * place), the kept text decides. Few keys, or a text too short for the index, are looked at one by one.
 */
#include "mail/text.h"
#include "views/digest_internal.h"

enum { TRIGRAMS_LIMIT = 24, SCAN_AT_MOST = 64, TEXT_LIMIT = 8 << 10, MATCH_BYTES = 1024 };

struct search {
	struct digest_db *d;
	enum mail_text where;
	struct span folded;
	const struct digest_key *keys;
	size_t n; /* those that are indexed */
	bool (*on_hit)(void *arg, size_t i);
	void *arg;
};

static bool holds(struct span text, struct span folded)
{
	return folded.n == 0 || (text.n > 0 && memmem(text.p, text.n, folded.p, folded.n));
}

static const char *words_sql(enum mail_text where)
{
	switch (where) {
	case MAIL_TEXT_ALL:
		return "SELECT header, body FROM words WHERE key = ?";
	case MAIL_TEXT_BODY:
		return "SELECT body FROM words WHERE key = ?";
	case MAIL_TEXT_SUBJECT:
		return "SELECT subject FROM words WHERE key = ?";
	case MAIL_TEXT_FROM:
		return "SELECT sender FROM words WHERE key = ?";
	case MAIL_TEXT_TO:
		return "SELECT recipient FROM words WHERE key = ?";
	case MAIL_TEXT_CC:
		return "SELECT cc FROM words WHERE key = ?";
	case MAIL_TEXT_BCC:
		return "SELECT bcc FROM words WHERE key = ?";
	}
	return NULL;
}

static bool row_holds(struct search *s, int64_t key)
{
	sqlite3_stmt *q = views_bind(s->d->v, words_sql(s->where), "i", key);
	bool does = views_row(s->d->v, q) &&
		    (holds(views_text(q, 0), s->folded) ||
		     (s->where == MAIL_TEXT_ALL && holds(views_text(q, 1), s->folded)));

	views_done(q);
	return does;
}

static void scan(struct search *s)
{
	for (size_t i = 0; i < s->n && s->d->v->rc == OK; i++)
		if (row_holds(s, digest_kept_as(s->d, s->keys[i])) && !s->on_hit(s->arg, i))
			return;
}

/* ---- the index ---- */

static size_t char_bytes(unsigned char c)
{
	return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static size_t chars(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += (s.p[i] & 0xc0) != 0x80;
	return n;
}

/* {header body}: "abc" AND "def" ...; at most TRIGRAMS_LIMIT of them, spread over the text. */
static bool match_text(struct search *s, struct buf *out)
{
	const char *columns = s->where == MAIL_TEXT_BODY  ? "body"
			      : s->where == MAIL_TEXT_ALL ? "header body"
							  : "header";
	size_t n = chars(s->folded), step = n <= TRIGRAMS_LIMIT + 2 ? 1 : 3, at = 0, given = 0;

	if (!buf_printf(out, "{%s}: (", columns))
		return false;
	for (size_t i = 0; i + 3 <= n && given < TRIGRAMS_LIMIT; i++) {
		size_t one = char_bytes(s->folded.p[at]),
		       two = one + char_bytes(s->folded.p[at + one]);
		struct span tri = span_first(span_from(s->folded, at),
					     two + char_bytes(s->folded.p[at + two]));

		at += one;
		if (i % step != 0)
			continue;
		if (!buf_append(out, given++ ? SPAN_LIT(" AND \"") : SPAN_LIT("\"")))
			return false;
		for (size_t k = 0; k < tri.n; k++)
			if ((tri.p[k] == '"' && !buf_append_byte(out, '"')) ||
			    !buf_append_byte(out, tri.p[k]))
				return false;
		if (!buf_append_byte(out, '"'))
			return false;
	}
	return buf_append_byte(out, ')');
}

/* A message that may hold it: all keys of its number that read this text. False: stop. */
static bool candidate(struct search *s, int64_t key, size_t *from)
{
	uint64_t number = (uint64_t)key / 4;
	bool is_known = false, does = false;

	while (*from < s->n && s->keys[*from].number < number)
		++*from;
	for (size_t i = *from; i < s->n && s->keys[i].number == number; i++) {
		if (digest_kept_as(s->d, s->keys[i]) != key)
			continue;
		if (!is_known)
			does = row_holds(s, key);
		is_known = true;
		if (does && !s->on_hit(s->arg, i))
			return false;
	}
	return *from < s->n;
}

static void ask_index(struct search *s)
{
	struct buf match;
	sqlite3_stmt *q;
	size_t from = 0;

	buf_init(&match, MATCH_BYTES);
	if (!match_text(s, &match)) {
		buf_fini(&match);
		scan(s);
		return;
	}
	q = views_bind(s->d->v,
		       "SELECT rowid FROM trigrams WHERE trigrams MATCH ? AND rowid BETWEEN ? AND "
		       "? ORDER BY rowid",
		       "sii", buf_span(&match),
		       digest_key_of((struct digest_key){s->keys[0].number, MAIL_AS_DELIVERED}),
		       digest_key_of((struct digest_key){s->keys[s->n - 1].number, MAIL_ENCLOSED}));
	while (views_row(s->d->v, q) && candidate(s, views_int(q, 0), &from))
		;
	views_done(q);
	buf_fini(&match);
}

enum rc digest_search(struct digest_db *d, enum mail_text where, struct span text,
		      const struct digest_key *keys, size_t n, bool (*on_hit)(void *arg, size_t i),
		      bool (*on_unknown)(void *arg, size_t i), void *arg, struct fault *why)
{
	struct search s = {d, where, SPAN_NONE, keys, n, on_hit, arg};
	struct buf folded;
	uint64_t upto = 0;
	bool is_short;
	enum rc rc = digest_upto(d, &upto, why);

	if (rc != OK)
		return rc;
	buf_init(&folded, TEXT_LIMIT);
	if (!text_fold(text, &folded)) {
		buf_fini(&folded);
		fault_set(why, "the text to look for is too long");
		return LATER;
	}
	s.folded = buf_span(&folded);
	while (s.n > 0 && keys[s.n - 1].number >= upto)
		s.n--;
	is_short = chars(s.folded) < 3;
	if (is_short && s.n > DIGEST_SCAN_LIMIT) {
		buf_fini(&folded);
		fault_set(why, "the text to look for is too short for the index");
		return LATER;
	}
	if (s.n > 0 && (is_short || s.n <= SCAN_AT_MOST))
		scan(&s);
	else if (s.n > 0)
		ask_index(&s);
	buf_fini(&folded);
	for (size_t i = s.n; i < n && d->v->rc == OK; i++)
		if (!on_unknown(arg, i))
			break;
	return views_end(d->v, why);
}

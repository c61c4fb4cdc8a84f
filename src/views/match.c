/*
 * A queue_match as the WHERE part of a query over
 *   delivery d JOIN message m USING (number) JOIN address r ON r.id = d.addr JOIN address s ON s.id = m.sender
 *   JOIN site t ON t.id = d.site
 * The text is made of literals of this file only; everything an operator typed is bound.
 */
#include <stdio.h>

#include "base/bytes.h"
#include "base/must.h"
#include "views/internal.h"

static void add_term(struct match_sql *out, const char *text)
{
	size_t len = strlen(out->where), more = strlen(text);

	must(len + more + 8 < sizeof out->where);
	if (len > 0)
		memcpy(out->where + len, " AND ", 6), len += 5;
	memcpy(out->where + len, text, more + 1);
}

static void add_int(struct match_sql *out, const char *text, uint64_t value)
{
	add_term(out, text);
	out->params[out->n].is_int = true;
	out->params[out->n++].i = I(value);
}

static void add_text(struct match_sql *out, const char *text, struct span value)
{
	add_term(out, text);
	out->params[out->n].is_int = false;
	out->params[out->n++].s = value;
}

/* Ours: * is any run. LIKE's: % and _, escaped by a backslash. Either case of ASCII letters, as LIKE does. */
static struct span like_of(struct views *v, struct span before, const char *glob)
{
	struct buf b = {0};
	struct span kept;

	buf_append(&b, before);
	for (const char *p = glob; *p; p++) {
		if (*p == '%' || *p == '_' || *p == '\\')
			buf_append_byte(&b, '\\');
		buf_append_byte(&b, *p == '*' ? '%' : (unsigned char)*p);
	}
	kept = arena_span(&v->arena, buf_span(&b));
	buf_fini(&b);
	return kept;
}

static struct span containing(struct views *v, const char *text)
{
	struct buf b = {0};
	struct span kept = like_of(v, SPAN_LIT("%"), text);

	buf_append(&b, kept);
	buf_append_byte(&b, '%');
	kept = arena_span(&v->arena, buf_span(&b));
	buf_fini(&b);
	return kept;
}

/* The ids that begin so are a range of keys; the id itself is compared where facts are decoded (match_id). */
static void add_id(struct match_sql *out, const char *id)
{
	char low[17], high[17];
	unsigned char bytes[8];
	uint64_t from, to;
	size_t n = strlen(id) < 15 ? strlen(id) : 15;

	memset(low, '0', sizeof low);
	memset(high, 'f', sizeof high);
	low[0] = high[0] = '0'; /* the key is 60 bits */
	memcpy(low + 1, id, n);
	memcpy(high + 1, id, n);
	if (!hex_decode(bytes, 8, span_of(low, 16)))
		return;
	from = __builtin_bswap64(get_u64(bytes));
	if (!hex_decode(bytes, 8, span_of(high, 16)))
		return;
	to = __builtin_bswap64(get_u64(bytes));
	add_int(out,
		"d.number IN (SELECT number FROM id_index WHERE key BETWEEN ? AND ? UNION ALL"
		" SELECT number FROM message WHERE number >= (SELECT upto FROM id_index_upto)"
		" AND key BETWEEN ? AND ?)",
		from);
	for (int i = 0; i < 3; i++) {
		out->params[out->n].is_int = true;
		out->params[out->n++].i = I(i == 1 ? from : to);
	}
}

static uint64_t before(uint64_t now_us, uint64_t span_us)
{
	return now_us > span_us ? now_us - span_us : 0;
}

void match_build(struct views *v, const struct queue_match *m, uint64_t now_us,
		 struct match_sql *out)
{
	memset(out, 0, sizeof *out);
	if (!m)
		return;
	if (m->flags & QUEUE_MATCH_SITE)
		add_text(out, "t.name LIKE ? ESCAPE '\\'", like_of(v, SPAN_NONE, m->site));
	if (m->flags & QUEUE_MATCH_DOMAIN)
		add_text(out, "r.text LIKE ? ESCAPE '\\'", like_of(v, SPAN_LIT("%@"), m->domain));
	if (m->flags & QUEUE_MATCH_RCPT)
		add_text(out, "r.text LIKE ? ESCAPE '\\'", like_of(v, SPAN_NONE, m->rcpt));
	if (m->flags & QUEUE_MATCH_SENDER)
		add_text(out, "s.text LIKE ? ESCAPE '\\'", like_of(v, SPAN_NONE, m->sender));
	if (m->flags & QUEUE_MATCH_ID)
		add_id(out, m->id);
	if ((m->flags & QUEUE_MATCH_STATE) && !m->all_open)
		add_int(out, "d.state = ?", m->state);
	if (m->flags & QUEUE_MATCH_OLDER)
		add_int(out, "m.received_us <= ?", before(now_us, m->older_us));
	if (m->flags & QUEUE_MATCH_NEWER)
		add_int(out, "m.received_us >= ?", before(now_us, m->newer_us));
	if (m->flags & QUEUE_MATCH_LARGER)
		add_int(out, "m.bytes > ?", m->larger_bytes);
	if (m->flags & QUEUE_MATCH_SMALLER)
		add_int(out, "m.bytes < ?", m->smaller_bytes);
	if (m->flags & QUEUE_MATCH_TEXT)
		add_text(out, "d.why LIKE ? ESCAPE '\\'", containing(v, m->text));
}

int match_bind(sqlite3_stmt *q, const struct match_sql *m, int from)
{
	for (size_t i = 0; i < m->n; i++, from++) {
		if (m->params[i].is_int)
			(void)sqlite3_bind_int64(q, from, m->params[i].i);
		else
			(void)sqlite3_bind_text64(
				q, from, m->params[i].s.p ? (const char *)m->params[i].s.p : "",
				m->params[i].s.n, SQLITE_STATIC, SQLITE_UTF8);
	}
	return from;
}

/* The queue as people see it: pages of deliveries, and all about one message. */
#include <stdio.h>

#include "base/must.h"
#include "views/internal.h"

/* The same columns for open and finished deliveries. */
#define OPEN_COLUMNS                                                                               \
	"d.number, d.rcpt, m.received_us, m.bytes, s.text, r.text, t.name, m.facts, d.state,"      \
	" d.next_us, d.tries, d.unsure, coalesce(d.why, ''), t.kind, d.was"
#define JOINS                                                                                      \
	" JOIN message m ON m.number = d.number JOIN address r ON r.id = d.addr"                   \
	" JOIN address s ON s.id = m.sender JOIN site t ON t.id = d.site "

static void row_from(struct views *v, sqlite3_stmt *q, struct views_row *row)
{
	struct msg_message_meta m = {0};

	if (!msg_message_meta_decode(&v->arena, views_text(q, 7), &m))
		memset(&m, 0, sizeof m);
	*row = (struct views_row){
		.number = (uint64_t)views_int(q, 0),
		.rcpt_index = (uint32_t)views_int(q, 1),
		.id = m.id,
		.received_us = (uint64_t)views_int(q, 2),
		.body_bytes = (uint64_t)views_int(q, 3),
		.sender = views_text(q, 4),
		.rcpt = views_text(q, 5),
		.site = views_text(q, 6),
		.subject = m.subject,
		.state = (enum queue_state)views_int(q, 8),
		.next_us = (uint64_t)views_int(q, 9),
		.tries = (uint32_t)views_int(q, 10),
		.unsure = (uint32_t)views_int(q, 11),
		.reason = views_text(q, 12),
	};
	if (views_int(q, 13) == SITE_REDIRECT)
		row->redirect = span_from(row->site, strlen("host:"));
	else if (sqlite3_column_type(q, 14) != SQLITE_NULL)
		row->redirect = row->rcpt;
}

static bool id_fits(const struct queue_match *match, const struct views_row *row)
{
	return !match || !(match->flags & QUEUE_MATCH_ID) ||
	       span_starts(row->id, span_str(match->id));
}

/* A statement of this call alone; *out_next is the first parameter after the match's. */
static sqlite3_stmt *prepare(struct views *v, const char *columns, const struct match_sql *m,
			     const char *rest, int *out_next)
{
	char sql[2048];
	sqlite3_stmt *q = NULL;
	int n = snprintf(sql, sizeof sql, "SELECT %s FROM delivery d" JOINS "WHERE %s %s", columns,
			 m->where[0] ? m->where : "1", rest);
	int code;

	must(n > 0 && (size_t)n < sizeof sql);
	code = v->rc == OK ? sqlite3_prepare_v2(v->db, sql, -1, &q, NULL) : SQLITE_ERROR;
	if (code != SQLITE_OK) {
		views_fail(v, code, sql);
		return NULL;
	}
	*out_next = match_bind(q, m, 1);
	return q;
}

enum rc views_queue_list(struct views *v, const struct queue_match *match, uint64_t now_us,
			 uint64_t after_number, uint32_t after_rcpt, uint32_t limit,
			 bool (*on_row)(void *arg, const struct views_row *row), void *arg,
			 uint32_t *out_n, struct fault *why)
{
	struct match_sql m;
	sqlite3_stmt *q;
	uint32_t n = 0;
	int next = 1;

	match_build(v, match, now_us, &m);
	q = prepare(v, OPEN_COLUMNS, &m,
		    "AND (d.number, d.rcpt) > (?, ?) ORDER BY d.number, d.rcpt", &next);
	if (q) {
		(void)sqlite3_bind_int64(q, next,
					 I(after_number)); /* UINT64_MAX is -1: before all */
		(void)sqlite3_bind_int64(q, next + 1,
					 after_number == UINT64_MAX ? -1 : I(after_rcpt));
	}
	while (n < limit && views_row(v, q)) {
		struct views_row row;

		row_from(v, q, &row);
		if (id_fits(match, &row)) {
			n++;
			if (!on_row(arg, &row))
				break;
		}
	}
	sqlite3_finalize(q);
	*out_n = n;
	return views_end(v, why);
}

enum rc views_queue_count(struct views *v, const struct queue_match *match, uint64_t now_us,
			  uint64_t *out_n, uint64_t *out_bytes, struct fault *why)
{
	struct match_sql m;
	sqlite3_stmt *q;
	int next;

	match_build(v, match, now_us, &m);
	q = prepare(v, "count(*), coalesce(sum(m.bytes), 0)", &m, "", &next);
	if (views_row(v, q)) {
		*out_n = (uint64_t)views_int(q, 0);
		*out_bytes = (uint64_t)views_int(q, 1);
	}
	sqlite3_finalize(q);
	return views_end(v, why);
}

/* ---- one message ---- */

static sqlite3_stmt *prepare_find(struct views *v, const struct match_sql *m)
{
	char sql[2048];
	sqlite3_stmt *q = NULL;
	int code;

	snprintf(sql, sizeof sql, "SELECT d.number, d.facts FROM message d WHERE %s", m->where);
	code = v->rc == OK ? sqlite3_prepare_v2(v->db, sql, -1, &q, NULL) : SQLITE_ERROR;
	if (code != SQLITE_OK) {
		views_fail(v, code, sql);
		return NULL;
	}
	match_bind(q, m, 1);
	return q;
}

static enum rc find(struct views *v, struct span id, uint64_t *out_number, struct fault *why)
{
	struct queue_match match = {.flags = QUEUE_MATCH_ID};
	struct match_sql m;
	sqlite3_stmt *q;
	uint64_t found = 0;
	unsigned n = 0;
	enum rc rc = queue_match_parse(id, &match, why);

	if (rc == OK && match.flags != QUEUE_MATCH_ID) {
		fault_set(why, "name one message by its id");
		rc = REFUSED;
	}
	if (rc != OK)
		return rc;
	match_build(v, &match, 0, &m);
	q = prepare_find(v, &m);
	while (views_row(v, q)) {
		struct msg_message_meta meta;

		if (!msg_message_meta_decode(&v->arena, views_text(q, 1), &meta) ||
		    !span_starts(meta.id, span_str(match.id)))
			continue;
		found = (uint64_t)views_int(q, 0);
		n++;
	}
	sqlite3_finalize(q);
	if (n == 1) {
		*out_number = found;
		return OK;
	}
	fault_set(why,
		  n == 0 ? "no message with the id %s"
			 : "several ids begin with %s; give more digits",
		  match.id);
	return REFUSED;
}

static void show_message(struct views *v, uint64_t number, const struct views_show *show)
{
	sqlite3_stmt *q =
		views_bind(v,
			   "SELECT lane_id, segment, offset, bytes, received_us, facts,"
			   " (SELECT count(*) FROM delivery d WHERE d.number = m.number) +"
			   " (SELECT count(*) FROM done e WHERE e.number = m.number)"
			   " FROM message m WHERE number = ?",
			   "i", I(number));
	struct msg_message_meta m;

	if (views_row(v, q) && msg_message_meta_decode(&v->arena, views_text(q, 5), &m))
		show->on_message(show->arg, &(struct views_message){
						    .number = number,
						    .lane_id = (uint32_t)views_int(q, 0),
						    .segment = (uint32_t)views_int(q, 1),
						    .offset = (uint64_t)views_int(q, 2),
						    .body_bytes = (uint64_t)views_int(q, 3),
						    .received_us = (uint64_t)views_int(q, 4),
						    .id = m.id,
						    .sender = m.sender,
						    .envid = m.envid,
						    .subject = m.subject,
						    .from = m.from,
						    .message_id = m.message_id,
						    .peer = m.peer,
						    .helo = m.helo,
						    .protocol = m.protocol,
						    .tls = m.tls,
						    .spf = m.spf,
						    .list_verdicts = m.list_verdicts,
						    .sender_verified = m.sender_verified,
						    .smtputf8 = m.smtputf8,
						    .is_dsn = m.is_dsn,
						    .rcpts = (uint32_t)views_int(q, 6),
					    });
	views_done(q);
}

static void show_rcpts(struct views *v, uint64_t number, const struct views_show *show)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT " OPEN_COLUMNS " FROM delivery d" JOINS
		"WHERE d.number = ?1 UNION ALL SELECT d.number, d.rcpt, m.received_us, m.bytes,"
		" s.text, r.text, t.name, m.facts, d.state, d.at_us, d.tries, d.unsure,"
		" coalesce(d.why, ''), t.kind, d.was FROM done d" JOINS
		"WHERE d.number = ?1 ORDER BY 2",
		"i", I(number));

	while (views_row(v, q)) {
		struct views_row row;

		row_from(v, q, &row);
		show->on_rcpt(show->arg, &row);
	}
}

static struct span attempt_words(int64_t attempt)
{
	static const struct {
		const char *words;
	} table[] = {
		[ATTEMPT_ACCEPTED] = {"accepted"}, [ATTEMPT_4XX] = {"refused for now"},
		[ATTEMPT_5XX] = {"refused"},	   [ATTEMPT_UNREACHED] = {"not reached"},
		[ATTEMPT_LOST] = {"answer lost"},
	};

	return attempt >= 0 && attempt <= ATTEMPT_LOST ? span_str(table[attempt].words)
						       : SPAN_LIT("unknown");
}

static struct span disposition_words(int64_t disposition)
{
	static const char *const table[] = {
		[DISPOSE_DELIVERED] = "delivered",
		[DISPOSE_HOLD] = "hold",
		[DISPOSE_RETRY] = "retry",
		[DISPOSE_DECIDE] = "decide",
		[DISPOSE_DSN] = "dsn",
		[DISPOSE_UNSURE] = "unsure",
	};

	return disposition >= 0 && disposition <= DISPOSE_UNSURE ? span_str(table[disposition])
								 : SPAN_LIT("unknown");
}

static void show_attempts(struct views *v, uint64_t number, const struct views_show *show)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT rcpt, at_us, attempt, disposition, code, enhanced, text, queue_id, host,"
		" stage, courier FROM attempt WHERE number = ? ORDER BY record, rcpt",
		"i", I(number));

	while (views_row(v, q))
		show->on_attempt(show->arg, &(struct views_attempt){
						    .rcpt_index = (uint32_t)views_int(q, 0),
						    .at_us = (uint64_t)views_int(q, 1),
						    .what = attempt_words(views_int(q, 2)),
						    .then = disposition_words(views_int(q, 3)),
						    .code = (uint16_t)views_int(q, 4),
						    .enhanced = views_text(q, 5),
						    .text = views_text(q, 6),
						    .queue_id = views_text(q, 7),
						    .host = views_text(q, 8),
						    .stage = views_text(q, 9),
						    .courier = views_text(q, 10),
					    });
}

enum rc views_queue_show(struct views *v, struct span id, const struct views_show *show,
			 struct fault *why)
{
	uint64_t number = 0;
	enum rc rc = find(v, id, &number, why);

	if (rc != OK || v->rc != OK) {
		enum rc broken = views_end(v, why);

		return broken != OK ? broken : rc;
	}
	show_message(v, number, show);
	show_rcpts(v, number, show);
	show_attempts(v, number, show);
	return views_end(v, why);
}

enum rc views_each_unsure(struct views *v, struct span site,
			  bool (*on_row)(void *arg, const struct views_row *row), void *arg,
			  struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT d.number, d.rcpt, m.received_us, m.bytes, s.text, r.text, t.name, m.facts, "
		"d.state,"
		" d.next_us, d.tries, d.unsure, d.why, t.kind, d.was"
		" FROM (SELECT u.number, u.rcpt, u.site AS usite, u.began, coalesce(o.site, "
		"e.site) AS site,"
		"  coalesce(o.addr, e.addr) AS addr, coalesce(o.state, e.state) AS state,"
		"  coalesce(o.next_us, 0) AS next_us, coalesce(o.tries, e.tries) AS tries,"
		"  coalesce(o.unsure, e.unsure) AS unsure, coalesce(o.why, e.why, '') AS why,"
		"  coalesce(o.was, e.was) AS was FROM unsure u"
		"  LEFT JOIN delivery o ON o.number = u.number AND o.rcpt = u.rcpt"
		"  LEFT JOIN done e ON e.number = u.number AND e.rcpt = u.rcpt) d" JOINS
		"JOIN site w ON w.id = d.usite WHERE w.name = ?"
		" ORDER BY d.number, d.rcpt",
		"s", site);

	while (views_row(v, q)) {
		struct views_row row;

		row_from(v, q, &row);
		if (!on_row(arg, &row))
			break;
	}
	views_done(q);
	return views_end(v, why);
}

/* All content as text, and a recount: how tests see that a rebuild gives the same and that the counters are right. */
#include "views/people.h"

static const char *const tables[] = {
	"SELECT 'progress', * FROM progress",
	"SELECT 'lane', * FROM lane ORDER BY lane_id",
	"SELECT 'address', * FROM address ORDER BY id",
	"SELECT 'site', * FROM site ORDER BY id",
	"SELECT 'domain', * FROM domain ORDER BY name",
	"SELECT 'message', * FROM message ORDER BY number",
	"SELECT 'delivery', * FROM delivery ORDER BY number, rcpt",
	"SELECT 'done', * FROM done ORDER BY number, rcpt",
	"SELECT 'attempt', * FROM attempt ORDER BY number, rcpt, record",
	"SELECT 'unsure', * FROM unsure ORDER BY site, began, number, rcpt",
	"SELECT 'history', * FROM history ORDER BY number, line",
	"SELECT 'recipient', * FROM recipient ORDER BY key, source",
	"SELECT 'fact', * FROM fact ORDER BY kind, scope, key",
	"SELECT 'account', * FROM account ORDER BY id",
	"SELECT 'alias', * FROM alias ORDER BY address, target",
	"SELECT 'mailbox', * FROM mailbox ORDER BY id",
	"SELECT 'subscription', * FROM subscription ORDER BY account, name",
	"SELECT 'entry', * FROM entry ORDER BY box, uid",
	"SELECT 'thread_ref', key, account, thread, number FROM (SELECT * FROM thread_ref UNION ALL SELECT"
	" key, account, thread, number FROM thread_new n WHERE serial > (SELECT u.serial FROM thread_upto u"
	" WHERE u.part = n.key >> 58 & 63)) ORDER BY key",
	"SELECT 'lost', * FROM lost ORDER BY account, modseq, kind, id, form",
	"SELECT 'setting', * FROM setting ORDER BY account, name",
	"SELECT 'submission', * FROM submission ORDER BY number",
	"SELECT 'gone', * FROM gone ORDER BY box, first",
	"SELECT 'given', * FROM given ORDER BY number, account, kind",
	"SELECT 'given_mid', * FROM given_mid ORDER BY account, mid, number, kind",
	"SELECT 'copies_seen', * FROM copies_seen",
	"SELECT 'shown', * FROM shown ORDER BY serial",
	"SELECT 'home', * FROM home ORDER BY account, number, form, copy",
	"SELECT 'home_told', * FROM home_told ORDER BY site",
	"SELECT 'copied', * FROM copied ORDER BY number, addr",
	"SELECT 'verdict', * FROM verdict ORDER BY lane_id, ask",
};

static void dump_value(sqlite3_stmt *q, int column, struct buf *out)
{
	struct span s;

	switch (sqlite3_column_type(q, column)) {
	case SQLITE_INTEGER:
		buf_printf(out, "|%lld", (long long)views_int(q, column));
		return;
	case SQLITE_NULL:
		buf_printf(out, "|-");
		return;
	default:
		s = views_text(q, column);
		buf_append_byte(out, '|');
		for (size_t i = 0; i < s.n; i++) {
			if (s.p[i] < 32 || s.p[i] >= 127 || s.p[i] == '|')
				buf_printf(out, "\\%02x", s.p[i]);
			else
				buf_append_byte(out, s.p[i]);
		}
	}
}

enum rc views_dump(struct views *v, struct buf *out, struct fault *why)
{
	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
		sqlite3_stmt *q = views_sql(v, tables[t]);

		while (views_row(v, q)) {
			for (int c = 0; c < sqlite3_column_count(q); c++)
				dump_value(q, c, out);
			buf_append_byte(out, '\n');
		}
	}
	return views_end(v, why);
}

static int64_t count(struct views *v, const char *sql, const struct site *s)
{
	sqlite3_stmt *q = views_bind(v, sql, "i", I(s->id));
	int64_t n = views_row(v, q) ? views_int(q, 0) : -1;

	views_done(q);
	return n;
}

/* Every site with a delivery is in memory. */
static bool all_are_known(struct views *v, struct fault *why)
{
	sqlite3_stmt *q = views_sql(v, "SELECT DISTINCT site FROM delivery");
	bool all = true;

	while (all && views_row(v, q)) {
		uint64_t id = (uint64_t)views_int(q, 0);

		all = map_get(&v->site_by_id, map_key_u64(&id)) != NULL;
		if (!all)
			fault_set(why, "site %llu has deliveries and was forgotten", (unsigned long long)id);
	}
	views_done(q);
	return all;
}

enum rc views_check(struct views *v, struct fault *why)
{
	for (size_t i = 0; i < v->sites_n && v->rc == OK; i++) {
		const struct site *s = v->sites[i];
		const struct {
			const char *what;
			int64_t is, must_be;
		} rows[] = {
			{"ready", s->open[0],
			 count(v, "SELECT count(*) FROM delivery WHERE site = ? AND state = 0", s)},
			{"offered", s->open[1],
			 count(v, "SELECT count(*) FROM delivery WHERE site = ? AND state = 1", s)},
			{"deferred", s->open[2],
			 count(v, "SELECT count(*) FROM delivery WHERE site = ? AND state = 2", s)},
			{"decide", s->open[3],
			 count(v, "SELECT count(*) FROM delivery WHERE site = ? AND state = 3", s)},
			{"bytes", s->bytes,
			 count(v,
			       "SELECT coalesce(sum(bytes), 0) FROM delivery JOIN message USING "
			       "(number)"
			       " WHERE site = ?",
			       s)},
		};

		for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
			if (rows[r].is == rows[r].must_be)
				continue;
			fault_set(why, "site %s: %s is %lld, counted %lld", s->name, rows[r].what,
				  (long long)rows[r].is, (long long)rows[r].must_be);
			return REFUSED;
		}
	}
	if (v->rc == OK && !all_are_known(v, why))
		return REFUSED;
	return v->rc == OK ? mailboxes_check(v, why) : views_end(v, why);
}

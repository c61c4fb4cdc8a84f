/* What others read of people's mailboxes; a recount of them for tests. */
#include "views/mailbox.h"

#include "base/must.h"
#include "views/people.h"

static enum rc found(struct views *v, bool is_there, const char *what, struct fault *why)
{
	enum rc rc = views_end(v, why);

	if (rc == OK && !is_there) {
		fault_set(why, "there is no such %s", what);
		return REFUSED;
	}
	return rc;
}

/* ---- accounts ---- */

#define ACCOUNT_COLUMNS                                                                            \
	"SELECT a.id, a.name, a.person, a.active, a.modseq, a.made_us, count(b.id),"               \
	" coalesce(sum(b.total), 0), coalesce(sum(b.bytes), 0) FROM account a LEFT JOIN mailbox b" \
	" ON b.account = a.id AND b.name IS NOT NULL "

static void account_of(sqlite3_stmt *q, struct views_account *out)
{
	*out = (struct views_account){
		.id = (uint64_t)views_int(q, 0),
		.name = views_text(q, 1),
		.person = views_text(q, 2),
		.is_active = views_int(q, 3) != 0,
		.modseq = (uint64_t)views_int(q, 4),
		.made_us = (uint64_t)views_int(q, 5),
		.boxes = (uint64_t)views_int(q, 6),
		.messages = (uint64_t)views_int(q, 7),
		.bytes = (uint64_t)views_int(q, 8),
	};
}

static enum rc one_account(struct views *v, sqlite3_stmt *q, struct views_account *out,
			   struct fault *why)
{
	bool is_there;

	arena_reset(&v->kept);
	is_there = views_row(v, q);
	if (is_there) {
		account_of(q, out);
		out->name = arena_span(&v->kept, out->name);
		out->person = arena_span(&v->kept, out->person);
	}
	views_done(q);
	return found(v, is_there, "account", why);
}

enum rc views_account_by_name(struct views *v, struct span name, struct views_account *out,
			      struct fault *why)
{
	return one_account(v,
			   views_bind(v, ACCOUNT_COLUMNS "WHERE a.name = ? GROUP BY a.id", "s",
				      lower_span(v, name)),
			   out, why);
}

enum rc views_people(struct views *v, struct views_people *out, struct fault *why)
{
	sqlite3_stmt *q = views_sql(
		v,
		"SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM account WHERE active"
		" = 0), (SELECT count(DISTINCT address) FROM alias), count(*),"
		" coalesce(sum(total), 0), coalesce(sum(bytes), 0) FROM mailbox WHERE name IS"
		" NOT NULL");

	if (views_row(v, q))
		*out = (struct views_people){
			.accounts = (uint64_t)views_int(q, 0),
			.disabled = (uint64_t)views_int(q, 1),
			.aliases = (uint64_t)views_int(q, 2),
			.boxes = (uint64_t)views_int(q, 3),
			.messages = (uint64_t)views_int(q, 4),
			.bytes = (uint64_t)views_int(q, 5),
		};
	views_done(q);
	return views_end(v, why);
}

/* ---- mailboxes ---- */

#define BOX_COLUMNS                                                                                \
	"SELECT b.id, b.name AS name, b.special, b.uidvalidity, b.uidnext, b.total, b.unseen,"     \
	" b.deleted, b.bytes, b.modseq, s.name IS NOT NULL, b.unread FROM mailbox b LEFT JOIN "    \
	"subscription"                                                                             \
	" s ON s.account = b.account AND s.name = b.name WHERE "

static void box_of(sqlite3_stmt *q, struct mail_box *out)
{
	*out = (struct mail_box){
		.id = (uint64_t)views_int(q, 0),
		.name = views_text(q, 1),
		.special = (enum mail_special)views_int(q, 2),
		.uidvalidity = (uint32_t)views_int(q, 3),
		.uidnext = (uint32_t)views_int(q, 4),
		.total = (uint32_t)views_int(q, 5),
		.unseen = (uint32_t)views_int(q, 6),
		.deleted = (uint32_t)views_int(q, 7),
		.bytes = (uint64_t)views_int(q, 8),
		.highest_modseq = (uint64_t)views_int(q, 9),
		.is_subscribed = views_int(q, 10) != 0,
		.exists = views_int(q, 0) != 0,
		.unread = (uint32_t)views_int(q, 11),
	};
	if (out->highest_modseq == 0)
		out->highest_modseq = 1;
}

enum rc views_each_box(struct views *v, uint64_t account,
		       bool (*on_box)(void *to, const struct mail_box *b), void *to,
		       struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT * FROM (" BOX_COLUMNS "b.account = ?1 AND b.name IS NOT NULL"
		" UNION ALL SELECT 0, name, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 FROM subscription n WHERE"
		" account = ?1 AND NOT EXISTS (SELECT 1 FROM mailbox o WHERE o.account = ?1 AND"
		" o.name = n.name)) ORDER BY name != 'INBOX', name",
		"i", I(account));

	while (views_row(v, q)) {
		struct mail_box b;

		box_of(q, &b);
		if (!on_box(to, &b))
			break;
	}
	views_done(q);
	return views_end(v, why);
}

static enum rc one_box(struct views *v, sqlite3_stmt *q, struct mail_box *out, struct fault *why)
{
	bool is_there;

	arena_reset(&v->kept);
	is_there = views_row(v, q);
	if (is_there) {
		box_of(q, out);
		out->name = arena_span(&v->kept, out->name);
	}
	views_done(q);
	return found(v, is_there, "mailbox", why);
}

enum rc views_box_by_name(struct views *v, uint64_t account, struct span name, struct mail_box *out,
			  struct fault *why)
{
	struct span rest = name;
	struct buf b = {0};
	enum rc rc;

	if (span_eq_nocase(span_cut(&rest, '/'), SPAN_LIT("INBOX")) && name.n >= 5) {
		buf_append(&b, SPAN_LIT("INBOX"));
		buf_append(&b, span_from(name, 5));
		name = buf_span(&b);
	}
	rc = one_box(
		v,
		views_bind(v, BOX_COLUMNS "b.account = ? AND b.name = ?", "is", I(account), name),
		out, why);
	buf_fini(&b);
	return rc;
}

enum rc views_box_by_id(struct views *v, uint64_t account, uint64_t box, struct mail_box *out,
			struct fault *why)
{
	return one_box(v,
		       views_bind(v,
				  BOX_COLUMNS "b.account = ? AND b.id = ? AND b.name IS NOT NULL",
				  "ii", I(account), I(box)),
		       out, why);
}

/* ---- entries ---- */

#define ENTRY_COLUMNS                                                                              \
	"SELECT uid, flags, keywords, modseq, number, form, received_us, bytes, thread FROM "      \
	"entry "

enum rc views_each_entry(struct views *v, uint64_t box, struct mail_range uids, uint64_t since,
			 bool (*on_entry)(void *to, const struct mail_entry *e), void *to,
			 struct fault *why)
{
	static const char all[] =
		ENTRY_COLUMNS "WHERE box = ? AND uid BETWEEN ? AND ? AND gone = 0 ORDER BY uid";
	static const char some[] =
		"SELECT * FROM (" ENTRY_COLUMNS "INDEXED BY entry_changed WHERE box = ?1 AND"
		" modseq > ?4 AND modseq > born AND uid BETWEEN ?2 AND ?3 AND uid < ?5 AND gone = 0"
		" UNION ALL " ENTRY_COLUMNS "WHERE box = ?1 AND uid BETWEEN max(?2, ?5) AND ?3"
		" AND modseq > ?4 AND gone = 0) ORDER BY uid";
	sqlite3_stmt *q;

	if (since == 0)
		q = views_bind(v, all, "iii", I(box), I(uids.first), I(uids.last));
	else
		q = views_bind(v, some, "iiiii", I(box), I(uids.first), I(uids.last), I(since),
			       I(entry_first_after(v, box, since)));
	while (views_row(v, q)) {
		struct mail_entry e = {
			.uid = (uint32_t)views_int(q, 0),
			.flags = (uint32_t)views_int(q, 1),
			.keywords = views_text(q, 2),
			.modseq = (uint64_t)views_int(q, 3),
			.number = (uint64_t)views_int(q, 4),
			.form = (enum mail_form)views_int(q, 5),
			.received_us = (uint64_t)views_int(q, 6),
			.bytes = (uint64_t)views_int(q, 7),
			.thread = (uint64_t)views_int(q, 8),
		};

		if (!on_entry(to, &e))
			break;
	}
	views_done(q);
	return views_end(v, why);
}

/* Rows of (first, last), ascending: neighbours become one range. */
static enum rc each_joined(struct views *v, sqlite3_stmt *q,
			   bool (*on_range)(void *to, struct mail_range uids), void *to,
			   struct fault *why)
{
	struct mail_range r = {0, 0};
	bool goes_on = true;

	while (goes_on && views_row(v, q)) {
		uint32_t first = (uint32_t)views_int(q, 0), last = (uint32_t)views_int(q, 1);

		if (r.first && first <= r.last + 1) {
			r.last = last > r.last ? last : r.last;
			continue;
		}
		if (r.first)
			goes_on = on_range(to, r);
		r = (struct mail_range){first, last};
	}
	views_done(q);
	if (goes_on && r.first && v->rc == OK)
		(void)on_range(to, r);
	return views_end(v, why);
}

enum rc views_each_gone(struct views *v, uint64_t box, uint64_t since,
			bool (*on_gone)(void *to, struct mail_range uids), void *to,
			struct fault *why)
{
	return each_joined(
		v,
		views_bind(
			v,
			"SELECT uid AS first, uid FROM entry INDEXED BY entry_changed WHERE box ="
			" ?1 AND modseq > ?2 AND modseq > born AND gone = 1 UNION ALL SELECT "
			"first, "
			"last FROM gone"
			" WHERE box = ?1 AND modseq > ?2 ORDER BY first",
			"ii", I(box), I(since)),
		on_gone, to, why);
}

/* Nothing is missing between the first and the last: two looks instead of all rows. */
static bool is_one_range(struct views *v, uint64_t box, struct mail_range *out)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT total, (SELECT uid FROM entry WHERE box = ?1 AND gone = 0 ORDER BY uid"
		" LIMIT 1), (SELECT uid FROM entry WHERE box = ?1 AND gone = 0 ORDER BY uid DESC"
		" LIMIT 1) FROM mailbox WHERE id = ?1",
		"i", I(box));
	bool is_one = false;

	if (views_row(v, q)) {
		int64_t total = views_int(q, 0), first = views_int(q, 1), last = views_int(q, 2);

		is_one = total > 0 && last - first + 1 == total;
		if (is_one)
			*out = (struct mail_range){(uint32_t)first, (uint32_t)last};
	}
	views_done(q);
	return is_one;
}

enum rc views_each_range(struct views *v, uint64_t box,
			 bool (*on_range)(void *to, struct mail_range uids), void *to,
			 struct fault *why)
{
	struct mail_range all;

	if (is_one_range(v, box, &all)) {
		(void)on_range(to, all);
		return views_end(v, why);
	}
	return each_joined(
		v,
		views_bind(v, "SELECT uid, uid FROM entry WHERE box = ? AND gone = 0 ORDER BY uid",
			   "i", I(box)),
		on_range, to, why);
}

/* ---- messages ---- */

static bool mail_from(struct views *v, sqlite3_stmt *q, struct views_mail *out)
{
	struct msg_message_meta m;
	struct views_cut *cuts;

	if (!msg_message_meta_decode(&v->kept, arena_span(&v->kept, views_text(q, 6)), &m))
		return false;
	cuts = arena_array(&v->kept, m.cuts_n + 1, sizeof *cuts);
	must(cuts);
	for (size_t i = 0; i < m.cuts_n; i++)
		cuts[i] = (struct views_cut){m.cuts[i].offset, m.cuts[i].bytes};
	*out = (struct views_mail){
		.lane_id = (uint32_t)views_int(q, 0),
		.segment = (uint32_t)views_int(q, 1),
		.offset = (uint64_t)views_int(q, 2),
		.body_bytes = (uint64_t)views_int(q, 3),
		.trace_bytes = (uint64_t)views_int(q, 4),
		.received_us = (uint64_t)views_int(q, 5),
		.origin = m.origin,
		.cuts = cuts,
		.cuts_n = m.cuts_n,
		.inner_offset = m.inner_offset,
		.inner_bytes = m.inner_bytes,
		.id = m.id,
		.sender = m.sender,
		.message_id = m.message_id,
		.account = m.account,
	};
	return true;
}

enum rc views_mail_by_number(struct views *v, uint64_t number, struct views_mail *out,
			     struct fault *why)
{
	sqlite3_stmt *q = views_bind(v,
				     "SELECT lane_id, segment, offset, bytes, trace_bytes,"
				     " received_us, facts FROM message WHERE number = ?",
				     "i", I(number));
	bool is_there;

	arena_reset(&v->kept);
	is_there = views_row(v, q) && mail_from(v, q, out);
	if (is_there)
		out->number = number;
	views_done(q);
	return found(v, is_there, "message", why);
}

uint64_t views_mail_bytes(const struct views_mail *m, enum mail_form form)
{
	uint64_t cut = 0;

	for (size_t i = 0; i < m->cuts_n; i++)
		cut += m->cuts[i].bytes;
	return form_bytes(form, m->trace_bytes, m->body_bytes, cut, m->inner_bytes);
}

uint64_t views_shown_by(uint64_t serial)
{
	return (serial >> SERIAL_OF_A_RECORD_BITS) - 1;
}

enum rc views_each_shown(struct views *v, uint64_t after_serial, uint32_t limit,
			 bool (*on_shown)(void *arg, const struct views_shown *s), void *arg,
			 struct fault *why)
{
	sqlite3_stmt *q = views_bind(
		v,
		"SELECT serial, number, form FROM shown WHERE serial > ? ORDER BY serial LIMIT ?",
		"ii", I(after_serial), I(limit));

	while (views_row(v, q)) {
		struct views_shown s = {(uint64_t)views_int(q, 0), (uint64_t)views_int(q, 1),
					(enum mail_form)views_int(q, 2)};

		if (!on_shown(arg, &s))
			break;
	}
	views_done(q);
	return views_end(v, why);
}

/* ---- for tests ---- */

enum rc mailboxes_check(struct views *v, struct fault *why)
{
	static const struct {
		const char *what, *sql;
	} wrong[] = {
		{"the counters of mailbox",
		 "SELECT b.id FROM mailbox b LEFT JOIN (SELECT box, count(*) n,"
		 " sum(flags & 1 = 0) u, sum(flags & 8 != 0) d, sum(flags & 25 = 0) r,"
		 " sum(bytes) s, max(uid) top, max(modseq) m FROM entry WHERE gone = 0 GROUP BY"
		 " box) e ON e.box = b.id WHERE b.total != coalesce(n, 0) OR"
		 " b.unseen != coalesce(u, 0) OR b.deleted != coalesce(d, 0) OR"
		 " b.unread != coalesce(r, 0) OR b.bytes != coalesce(s, 0) OR b.uidnext <= "
		 "coalesce(top, 0) OR b.modseq < coalesce(m, 0)"},
		{"the modseq of account",
		 "SELECT a.id FROM account a JOIN mailbox b ON b.account = a.id WHERE b.modseq >"
		 " a.modseq OR b.uidvalidity > a.uidvalidity"},
		{"entries without a mailbox, of",
		 "SELECT box FROM entry WHERE box NOT IN (SELECT id FROM mailbox)"},
		{"entries without a message, of",
		 "SELECT number FROM entry WHERE number NOT IN (SELECT number FROM message)"},
		{"a UID both there and gone, of mailbox",
		 "SELECT g.box FROM gone g JOIN entry e ON e.box = g.box AND e.uid BETWEEN g.first "
		 "AND"
		 " g.last"},
		{"given by Message-ID alone, of account",
		 "SELECT account FROM given_mid m WHERE NOT EXISTS (SELECT 1 FROM given g WHERE"
		 " g.number = m.number AND g.account = m.account AND g.kind = m.kind)"},
		{"entries of another account than their mailbox, of",
		 "SELECT box FROM entry e JOIN mailbox b ON b.id = e.box WHERE b.account != "
		 "e.account"},
		{"an Email in two conversations, number",
		 "SELECT number FROM entry GROUP BY number, account, form HAVING min(thread) !="
		 " max(thread)"},
		{"a conversation of two accounts, of message",
		 "SELECT number FROM entry GROUP BY thread HAVING min(account) != max(account)"},
		{"modseqs that do not grow with UIDs, in mailbox",
		 "SELECT box FROM (SELECT box, modseq, born, lag(born) OVER (PARTITION BY box ORDER"
		 " BY uid) AS before FROM entry) WHERE before > born OR born > modseq"},
		{"given without an entry, of account",
		 "SELECT g.account FROM given g WHERE NOT EXISTS (SELECT 1 FROM entry e JOIN "
		 "mailbox b"
		 " ON b.id = e.box WHERE e.number = g.number AND b.account = g.account) AND NOT "
		 "EXISTS (SELECT 1 FROM submission s WHERE s.number ="
		 " g.number AND g.kind = 1)"},
		{"an entry not shown, of message",
		 "SELECT number FROM entry e WHERE gone = 0 AND NOT EXISTS (SELECT 1 FROM shown s"
		 " WHERE s.number = e.number AND s.form = e.form)"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong && v->rc == OK; i++) {
		sqlite3_stmt *q = views_sql(v, wrong[i].sql);

		if (!views_row(v, q))
			continue;
		fault_set(why, "%s %lld", wrong[i].what, (long long)views_int(q, 0));
		views_done(q);
		return REFUSED;
	}
	return views_end(v, why);
}

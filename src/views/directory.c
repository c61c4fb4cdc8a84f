/* DIRECTORY records: which site takes a domain, who is known; and what deliveries taught. */
#include "base/ascii.h"
#include "views/people.h"

enum source { SOURCE_LISTED = 1, SOURCE_LEARNED = 2 };

/* The key of recipients.map: all lower case, as edge looks it up. */
static struct span key_of(struct views *v, struct span address)
{
	unsigned char *p = arena_alloc(&v->arena, address.n + 1);

	if (!p)
		return SPAN_NONE;
	for (size_t i = 0; i < address.n; i++)
		p[i] = ascii_lower(address.p[i]);
	return span_of(p, address.n);
}

static void recipient_put(struct views *v, struct span key, enum source source, struct span scope,
			  enum publish_recipient verdict)
{
	key = key_of(v, key);
	views_run(v,
		  "INSERT INTO recipient VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE"
		  " SET scope = ?3, verdict = ?4 WHERE scope != ?3 OR verdict != ?4",
		  "sisi", key, I(source), scope, I(verdict));
	if (sqlite3_changes(v->db) > 0)
		v->recipients_version++;
}

void recipient_learn(struct views *v, struct span address, bool is_good)
{
	ssize_t at = span_rchr(address, '@');

	if (at <= 0)
		return;
	recipient_put(v, address, SOURCE_LEARNED, span_from(address, (size_t)at + 1),
		      is_good ? RECIPIENT_GOOD : RECIPIENT_BAD);
}

static void recipients(struct views *v, const struct msg_directory_meta *m)
{
	enum source source =
		span_eq(m->source, SPAN_LIT("configuration")) ? SOURCE_LISTED : SOURCE_LEARNED;

	if (m->replaces) {
		views_run(v, "DELETE FROM recipient WHERE scope = ? AND source = ?", "si", m->scope,
			  I(source));
		v->recipients_version++;
	}
	for (size_t i = 0; i < m->facts_n; i++) {
		struct span value = m->facts[i].value;

		if (span_eq(value, SPAN_LIT("good")) || span_eq(value, SPAN_LIT("bad")))
			recipient_put(v, m->facts[i].key, source, m->scope,
				      span_eq(value, SPAN_LIT("good")) ? RECIPIENT_GOOD
								       : RECIPIENT_BAD);
	}
}

static void domains(struct views *v, const struct msg_directory_meta *m)
{
	if (m->replaces)
		views_run(v, "UPDATE domain SET site = '' WHERE ?1 = '' OR site = ?1 OR name = ?1",
			  "s", m->scope);
	for (size_t i = 0; i < m->facts_n; i++)
		views_run(v,
			  "INSERT INTO domain VALUES (?1, ?2, '', 0) ON CONFLICT DO UPDATE SET "
			  "site = ?2",
			  "ss", m->facts[i].key, m->facts[i].value);
}

void apply_directory(struct views *v, const struct order_entry *e, const struct record *r)
{
	struct msg_directory_meta m;

	if (!msg_directory_meta_decode(&v->arena, r->meta, &m)) {
		v->rc = REFUSED;
		return;
	}
	if (span_eq(m.kind, SPAN_LIT("recipient"))) {
		recipients(v, &m);
		return;
	}
	if (span_eq(m.kind, SPAN_LIT("domain"))) {
		domains(v, &m);
		return;
	}
	if (span_eq(m.kind, SPAN_LIT("account"))) {
		apply_account(v, e, r, &m);
		return;
	}
	if (span_eq(m.kind, SPAN_LIT("alias"))) {
		apply_alias(v, e, r, &m);
		return;
	}
	if (m.replaces)
		views_run(v, "DELETE FROM fact WHERE kind = ? AND scope = ?", "ss", m.kind,
			  m.scope);
	for (size_t i = 0; i < m.facts_n; i++)
		views_run(v,
			  "INSERT INTO fact VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
			  "value = ?4",
			  "ssss", m.kind, m.scope, m.facts[i].key, m.facts[i].value);
}

enum rc views_recipients(struct views *v,
			 bool (*on_recipient)(void *arg, struct span key, uint32_t verdict),
			 void *arg, struct fault *why)
{
	/* Listed after learned: the last of a key counts. */
	sqlite3_stmt *q =
		views_sql(v, "SELECT key, verdict FROM recipient ORDER BY key, source DESC");

	while (views_row(v, q))
		if (!on_recipient(arg, views_text(q, 0), (uint32_t)views_int(q, 1)))
			break;
	views_done(q);
	return views_end(v, why);
}

/*
 * Copies: mail that the primary has handled already, sent here to be shown (mode journal, and `journal.to` of the others).
 * They become records of origin 4: in people's mailboxes, never in the queue, never bounced. Who may send them is named in
 * the configuration, because they pass by every other check.
 *
 * A recipient of a copy is taken as it is (dual delivery), but an address of `journal.to` stands for those whom the message
 * names: a journal report in its first part, a blind copy in its header. Of them only those in our domains are recorded.
 * A message has copies as recipients or others, never both: the second kind is sent off to a transaction of its own.
 */
#include <stdlib.h>

#include "base/must.h"
#include "mail/journal.h"
#include "role/edge/internal.h"

/* Of a transaction with an address of journal.to. */
struct copies {
	struct journal *journal; /* NULL: no memory; a plain copy then */
	bool is_report;
	struct arena arena; /* of rcpts */
	struct msg_rcpt *rcpts;
	size_t rcpts_n, bytes;
	bool is_full;
	struct map seen; /* keys of rcpts */
	char sender[ADDRESS_TEXT_BYTES];
	const struct edge_policy *policy;
	struct header_refs refs; /* of the original */
};

static void forget(struct edge_session *s)
{
	struct copies *c = s->own;

	s->own = NULL;
	if (!c)
		return;
	journal_free(c->journal);
	map_fini(&c->seen, NULL);
	arena_fini(&c->arena);
	free(c);
}

/* ---- recipients ---- */

static bool may_copy(struct edge_session *s, const struct edge_domain *d)
{
	return edge_list_has_peer(&d->copiers, conn_peer(s->conn)) ||
	       edge_list_has_name(&d->copiers, SPAN_NONE, smtp_server_envelope(s->smtp)->sender);
}

static void accept_copy(struct edge_session *s, const struct edge_domain *d, enum edge_copy copy)
{
	enum { FIELDS = 32 };
	const struct smtp_rcpt *r = smtp_server_asked(s->smtp);
	size_t bytes = r->address.n + r->orcpt.n + d->name.n + d->site.n + FIELDS;

	if (bytes > EDGE_RCPTS_BYTES - s->rcpts_bytes) {
		edge_judge_refuse(s, 452, "4.5.3",
				  "Too many recipients; send the rest in another transaction");
		return;
	}
	s->rcpts_bytes += bytes;
	edge_answer(s, 250, "2.1.5", "Recipient ok, for a copy",
		    (uint64_t)(d - s->policy->domains) << 8 | EDGE_TAG_COPY |
			    (copy == EDGE_REPORT ? EDGE_TAG_REPORT : 0u));
}

void edge_copies_rcpt(struct edge_session *s)
{
	struct address a;
	const struct edge_domain *d = edge_judge_asked(s, &a);
	enum edge_copy copy = d ? edge_policy_copy(d, &a) : EDGE_NO_COPY;
	bool is_role = copy == EDGE_COPY && edge_judge_is_role_address(&a);

	if (copy != EDGE_NO_COPY && !may_copy(s, d)) {
		if (!is_role) {
			edge_judge_refuse(s, 550, "5.7.1",
					  "Copies of mail are not taken from you here");
			return;
		}
		copy = EDGE_NO_COPY; /* mail for postmaster@ from outside, as in any domain */
	}
	if (smtp_server_envelope(s->smtp)->rcpts_n > 0 &&
	    edge_is_copy(s) != (copy != EDGE_NO_COPY)) {
		edge_judge_refuse(s, 452, "4.5.3",
				  "Copies and other mail do not mix; send the rest in another "
				  "transaction");
		return;
	}
	if (copy == EDGE_NO_COPY)
		edge_judge_rcpt(s);
	else
		accept_copy(s, d, copy);
}

/* ---- the message ---- */

static bool has_report_rcpt(const struct edge_session *s)
{
	const struct smtp_envelope *e = smtp_server_envelope(s->smtp);

	for (size_t i = 0; edge_is_copy(s) && i < e->rcpts_n; i++) {
		if (e->rcpts[i].tag & EDGE_TAG_REPORT)
			return true;
	}
	return false;
}

void edge_copies_begin(struct edge_session *s)
{
	struct copies *c;

	forget(s);
	if (!has_report_rcpt(s))
		return;
	c = must_alloc(sizeof *c);
	*c = (struct copies){.journal = journal_new(), .policy = s->policy};
	arena_init(&c->arena, 0);
	map_init(&c->seen);
	s->own = c;
}

void edge_copies_piece(struct edge_session *s, struct span piece)
{
	struct copies *c = s->own;

	if (c && c->journal)
		journal_feed(c->journal, piece);
}

bool edge_copies_accept(struct edge_session *s)
{
	struct copies *c = s->own;

	if (c && c->journal)
		c->is_report = journal_end(c->journal);
	return true;
}

/* ---- the record ---- */

static void add(struct copies *c, const struct msg_rcpt *r)
{
	enum { MOST = 1000, FIELDS = 32 };
	char key[ADDRESS_TEXT_BYTES];
	size_t n = address_key_of(r->address, key);
	size_t bytes = r->address.n + r->domain.n + r->site.n + FIELDS;

	if (!n || map_get(&c->seen, span_of(key, n)))
		return;
	if (c->rcpts_n == MOST || bytes > EDGE_RCPTS_BYTES - c->bytes) {
		c->is_full = true;
		return;
	}
	c->bytes += bytes;
	c->rcpts[c->rcpts_n] = *r;
	c->rcpts[c->rcpts_n].address = arena_span(&c->arena, r->address);
	(void)map_put(&c->seen, span_of(key, n), &c->rcpts[c->rcpts_n]);
	c->rcpts_n++;
}

static bool on_named(void *arg, const struct address *a)
{
	struct copies *c = arg;
	const struct edge_domain *d =
		a->is_literal ? NULL : edge_policy_domain(c->policy, address_domain(a));

	if (d && edge_policy_copy(d, a) != EDGE_REPORT)
		add(c, &(struct msg_rcpt){
			       .address = address_span(a), .domain = d->name, .site = d->site});
	return !c->is_full;
}

static bool on_rcpt(void *arg, enum journal_role role, const struct address *a)
{
	(void)role;
	return on_named(arg, a);
}

/* Recipients that stand for themselves, then those whom the message names. */
static void gather(struct edge_session *s, struct copies *c, const struct msg_message_meta *m)
{
	const struct smtp_envelope *e = smtp_server_envelope(s->smtp);

	c->rcpts = arena_array(&c->arena, 1000, sizeof *c->rcpts);
	must(c->rcpts);
	for (size_t i = 0; i < m->rcpts_n; i++) {
		if (!(e->rcpts[i].tag & EDGE_TAG_REPORT))
			add(c, &m->rcpts[i]);
	}
	if (!c->journal)
		return;
	if (c->is_report)
		journal_each_rcpt(c->journal, on_rcpt, c);
	else
		journal_each_named(c->journal, on_named, c);
	if (c->is_full)
		say(SAY_WARNING, "copy.many_recipients", "id", SAY_SPAN(m->id), "shown_to",
		    SAY_U64(c->rcpts_n), NULL);
}

/* The original's own fields instead of the report's. Of an encoded original nothing was seen: the report's stay. */
static void use_report(struct copies *c, struct msg_message_meta *m, char *sender)
{
	const struct header_walk *h = journal_inner_header(c->journal);
	struct address a;

	m->sender = SPAN_NONE;
	if (journal_sender(c->journal, &a)) {
		memcpy(sender, a.text, a.n);
		m->sender = span_of(sender, a.n);
	}
	m->inner_offset = journal_inner_offset(c->journal);
	m->inner_bytes = journal_inner_bytes(c->journal);
	if (!m->inner_bytes)
		return;
	m->message_id = header_message_id(h);
	m->subject = header_subject(h);
	m->from = header_from(h);
	m->date = header_date(h);
	header_refs(h, SPAN_NONE, &c->refs);
	m->refs = c->refs.ids;
	m->refs_n = c->refs.n;
	m->subject_hash = c->refs.subject;
}

void edge_copies_meta(struct edge_session *s, struct msg_message_meta *m)
{
	struct copies *c = s->own;

	if (!edge_is_copy(s))
		return;
	m->origin = 4;
	if (!c)
		return;
	gather(s, c, m);
	if (c->is_report)
		use_report(c, m, c->sender);
	if (c->rcpts_n) { /* else nobody of ours: kept under the address it came to */
		m->rcpts = c->rcpts;
		m->rcpts_n = c->rcpts_n;
	}
}

void edge_copies_stored(struct edge_session *s, enum rc rc)
{
	(void)rc;
	forget(s);
}

void edge_copies_gone(struct edge_session *s)
{
	forget(s);
}

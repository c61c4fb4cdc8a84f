/*
 * Links to those who show mailboxes or index them: desks, the indexer, auth. After each commit they are told what has
 * changed, and desks what became of their changes (B4).
 *
 * A verdict that a desk cannot be told (its link is gone or full) is kept in the views: its next DeskHello names what it
 * still waits for. A change that a link has no room for becomes "look at everything" as soon as there is room.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "loop/loop.h"
#include "role/clerk/internal.h"

/* ---- collecting, while records are applied ---- */

void on_mail_change(void *arg, uint64_t account, uint64_t box, uint64_t modseq)
{
	struct clerk *c = arg;
	struct mail_changes *m = &c->changes;
	size_t at = (size_t)(queue_mix(account * 31 + box) % CHANGES_SLOTS);

	m->any = true;
	if (m->all || !c->is_current)
		return;
	for (; m->slots[at]; at = (at + 1) % CHANGES_SLOTS) {
		struct msg_box_change *known = &m->at[m->slots[at] - 1];

		if (known->account != account || known->box != box)
			continue;
		known->modseq = modseq > known->modseq ? modseq : known->modseq;
		return;
	}
	if (m->n == CHANGES_MAX) {
		m->all = true;
		return;
	}
	m->at[m->n] = (struct msg_box_change){account, box, modseq};
	m->slots[at] = (uint16_t)++m->n;
}

/* Frames of lane, length, bytes; told after the commit. */
void on_mail_verdict(void *arg, uint32_t lane_id, struct span verdict)
{
	struct clerk *c = arg;
	uint32_t head[2] = {lane_id, (uint32_t)verdict.n};

	for (unsigned i = 0; i < CLERK_DESKS_MAX; i++) {
		if (!c->desks[i].link || c->desks[i].lane_id != lane_id)
			continue;
		(void)buf_append(&c->verdicts, span_of(head, sizeof head));
		(void)buf_append(&c->verdicts, verdict);
		return;
	}
}

/* ---- telling ---- */

static void tell(struct clerk *c, struct clerk_reader *r, const struct mail_changes *m)
{
	struct msg_mail_changed out = {.next = views_next(c->views), .all = true};
	struct buf b = {0};

	if (!r->link)
		return;
	if (!m->all && !r->has_missed) {
		out.boxes = (struct msg_box_change *)m->at;
		out.boxes_n = m->n;
		out.all = false;
	}
	msg_mail_changed_encode(&b, &out);
	r->has_missed = link_send(r->link, MSG_MAIL_CHANGED, buf_span(&b)) != OK;
	buf_fini(&b);
}

static void tell_verdicts(struct clerk *c)
{
	struct span rest = buf_span(&c->verdicts);

	while (rest.n) {
		uint32_t head[2];
		struct span verdict;

		memcpy(head, rest.p, sizeof head);
		verdict = span_first(span_from(rest, sizeof head), head[1]);
		rest = span_from(rest, sizeof head + head[1]);
		for (unsigned i = 0; i < CLERK_DESKS_MAX; i++)
			if (c->desks[i].link && c->desks[i].lane_id == head[0])
				(void)link_send(c->desks[i].link, MSG_MAIL_VERDICT, verdict);
	}
	buf_clear(&c->verdicts);
}

void readers_tell(struct clerk *c)
{
	struct mail_changes *m = &c->changes;

	tell_verdicts(c);
	if (!m->any || !c->is_current)
		return;
	for (unsigned i = 0; i < CLERK_DESKS_MAX; i++)
		tell(c, &c->desks[i], m);
	tell(c, &c->indexer, m);
	m->n = 0;
	m->all = m->any = false;
	memset(m->slots, 0, sizeof m->slots);
}

void readers_tell_all(struct clerk *c)
{
	c->changes.any = c->changes.all = true;
	readers_tell(c);
}

/* What a full link could not take. */
static void on_writable(void *arg, struct link *l)
{
	static const struct mail_changes all = {.any = true, .all = true};
	struct clerk_reader *r = arg;

	(void)l;
	if (r->has_missed)
		tell(r->clerk, r, &all);
}

/* ---- what they say ---- */

static bool is_lane_of(const struct clerk_reader *r, struct span lane)
{
	char name[LEDGER_LANE_NAME_BYTES];
	int n = snprintf(name, sizeof name, "desk-%u", r->instance);

	return lane.n < LEDGER_LANE_NAME_BYTES && span_starts(lane, span_of(name, (size_t)n)) &&
	       (lane.n == (size_t)n || lane.p[n] == '.');
}

static bool tell_again(struct clerk_reader *r, uint64_t ask)
{
	struct clerk *c = r->clerk;
	struct fault why = {0};
	struct buf b = {0};
	enum rc rc = views_verdict(c->views, r->lane_id, ask, &b, &why);
	bool ok = rc == MORE || clerk_ok(c, rc, &why);

	if (ok && rc == OK)
		(void)link_send(r->link, MSG_MAIL_VERDICT, buf_span(&b));
	buf_fini(&b);
	return ok;
}

static bool on_desk_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct clerk_reader *r = arg;
	struct clerk *c = r->clerk;
	struct msg_desk_hello m;

	(void)l;
	arena_reset(&c->arena);
	if (type != MSG_DESK_HELLO || !msg_desk_hello_decode(&c->arena, body, &m) ||
	    !is_lane_of(r, m.lane))
		return false;
	r->lane_id = lane_id_of(arena_str(&c->arena, m.lane));
	for (size_t i = 0; i < m.asks_n && !c->is_broken; i++)
		if (!tell_again(r, m.asks[i]))
			break;
	return true;
}

static bool on_silent_message(void *arg, struct link *l, unsigned type, struct span body)
{
	(void)arg, (void)l, (void)type, (void)body;
	return false; /* it has nothing to say to us */
}

static bool on_auth_message(void *arg, struct link *l, unsigned type, struct span body)
{
	struct clerk *c = ((struct clerk_reader *)arg)->clerk;
	struct msg_own_credential m;

	(void)l;
	arena_reset(&c->arena);
	if (type != MSG_OWN_CREDENTIAL || !msg_own_credential_decode(&c->arena, body, &m))
		return false;
	home_credential_came(c, m.account);
	return true;
}

static void on_closed(void *arg, struct link *l)
{
	struct clerk_reader *r = arg;
	struct clerk *c = r->clerk;

	(void)l;
	r->link = NULL;
	r->lane_id = 0;
	c->ops.on_link_lost(c->ops.arg, r->role, r->instance);
}

static void open_link(struct clerk *c, struct clerk_reader *r, const struct link_ops *ops, int fd)
{
	static const struct mail_changes none = {0};

	link_close(r->link);
	r->lane_id = 0;
	r->has_missed = false;
	r->link = link_new(c->loop, fd, ops, r);
	if (c->is_current && r->role != ROLE_AUTH)
		tell(c, r, &none);
}

void clerk_link_desk(struct clerk *c, unsigned instance, int fd)
{
	static const struct link_ops ops = {
		.on_message = on_desk_message, .on_closed = on_closed, .on_writable = on_writable};

	must(instance < CLERK_DESKS_MAX);
	open_link(c, &c->desks[instance], &ops, fd);
}

void clerk_link_indexer(struct clerk *c, int fd)
{
	static const struct link_ops ops = {.on_message = on_silent_message,
					    .on_closed = on_closed,
					    .on_writable = on_writable};

	open_link(c, &c->indexer, &ops, fd);
}

void clerk_link_auth(struct clerk *c, int fd)
{
	static const struct link_ops ops = {.on_message = on_auth_message, .on_closed = on_closed};

	open_link(c, &c->auth, &ops, fd);
}

void readers_init(struct clerk *c)
{
	for (unsigned i = 0; i < CLERK_DESKS_MAX; i++)
		c->desks[i] = (struct clerk_reader){.clerk = c, .role = ROLE_DESK, .instance = i};
	c->indexer = (struct clerk_reader){.clerk = c, .role = ROLE_INDEXER};
	c->auth = (struct clerk_reader){.clerk = c, .role = ROLE_AUTH};
}

void readers_close(struct clerk *c)
{
	for (unsigned i = 0; i < CLERK_DESKS_MAX; i++)
		link_close(c->desks[i].link);
	link_close(c->indexer.link);
	link_close(c->auth.link);
	buf_fini(&c->verdicts);
}

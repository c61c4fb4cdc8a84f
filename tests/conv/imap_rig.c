#include "imap_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "mail/digest.h"
#include "mail/text.h"

struct mail_body {
	struct imap_rig *rig;
	struct span text;
};

/* ---- reading ---- */

static struct rig_box *by_id(struct imap_rig *r, uint64_t id)
{
	for (size_t i = 0; i < r->boxes_n; i++) {
		if (r->boxes[i].exists && r->boxes[i].id == id)
			return &r->boxes[i];
	}
	return NULL;
}

struct rig_box *imap_rig_box(struct imap_rig *r, const char *name)
{
	for (size_t i = 0; i < r->boxes_n; i++) {
		if (strcmp(r->boxes[i].name, name) == 0)
			return &r->boxes[i];
	}
	return NULL;
}

static void describe(const struct imap_rig *r, const struct rig_box *b, struct mail_box *out)
{
	*out = (struct mail_box){.id = b->exists ? b->id : 0,
				 .name = span_str(b->name),
				 .special = b->special,
				 .uidvalidity = 1700000000u + (uint32_t)b->id,
				 .uidnext = b->uidnext,
				 .highest_modseq = b->modseq,
				 .is_subscribed = b->is_subscribed,
				 .exists = b->exists};
	for (size_t i = 0; i < b->n; i++) {
		const struct rig_entry *e = &b->entries[i];

		if (e->is_gone)
			continue;
		out->total++;
		out->unseen += !(e->flags & MAIL_SEEN);
		out->unread += !(e->flags & (MAIL_SEEN | MAIL_DRAFT | MAIL_DELETED));
		out->deleted += (e->flags & MAIL_DELETED) != 0;
		out->bytes += r->texts[e->text].n;
	}
}

static int by_name(const void *a, const void *b)
{
	const struct rig_box *x = *(struct rig_box *const *)a, *y = *(struct rig_box *const *)b;
	bool x_first = strcmp(x->name, "INBOX") == 0, y_first = strcmp(y->name, "INBOX") == 0;

	if (x_first || y_first)
		return y_first - x_first;
	return strcmp(x->name, y->name);
}

static enum rc each_box(void *arg, bool (*on_box)(void *to, const struct mail_box *b), void *to,
			struct fault *why)
{
	struct imap_rig *r = arg;
	struct rig_box *sorted[RIG_BOXES];

	(void)why;
	for (size_t i = 0; i < r->boxes_n; i++)
		sorted[i] = &r->boxes[i];
	qsort(sorted, r->boxes_n, sizeof *sorted, by_name);
	for (size_t i = 0; i < r->boxes_n; i++) {
		struct mail_box b;

		describe(r, sorted[i], &b);
		if ((b.exists || b.is_subscribed) && !on_box(to, &b))
			break;
	}
	return OK;
}

static enum rc box_by_name(void *arg, struct span name, struct mail_box *out, struct fault *why)
{
	struct imap_rig *r = arg;

	(void)why;
	if (r->is_store_broken)
		return LATER;
	for (size_t i = 0; i < r->boxes_n; i++) {
		if (!r->boxes[i].exists || !span_eq(name, span_str(r->boxes[i].name)))
			continue;
		describe(r, &r->boxes[i], out);
		return OK;
	}
	return REFUSED;
}

static enum rc box_by_id(void *arg, uint64_t id, struct mail_box *out, struct fault *why)
{
	struct rig_box *b = by_id(arg, id);

	(void)why;
	if (!b)
		return REFUSED;
	describe(arg, b, out);
	return OK;
}

static enum rc each_entry(void *arg, uint64_t box, struct mail_range uids, uint64_t since,
			  bool (*on_entry)(void *to, const struct mail_entry *e), void *to,
			  struct fault *why)
{
	struct imap_rig *r = arg;
	struct rig_box *b = by_id(r, box);

	(void)why;
	if (r->is_store_broken)
		return LATER;
	for (size_t i = 0; b && i < b->n; i++) {
		const struct rig_entry *e = &b->entries[i];
		struct mail_entry out = {.uid = e->uid,
					 .flags = e->flags,
					 .keywords = span_str(e->keywords),
					 .modseq = e->modseq,
					 .number = e->text,
					 .thread = e->text ? 500 + e->text / 2 : 0,
					 .received_us = e->received_us,
					 .bytes = r->texts[e->text].n};

		if (e->is_gone || e->uid < uids.first || e->uid > uids.last || e->modseq <= since)
			continue;
		if (!on_entry(to, &out))
			break;
	}
	return OK;
}

static enum rc each_gone(void *arg, uint64_t box, uint64_t since,
			 bool (*on_gone)(void *to, struct mail_range uids), void *to,
			 struct fault *why)
{
	struct rig_box *b = by_id(arg, box);

	(void)why;
	for (size_t i = 0; b && i < b->n; i++) {
		const struct rig_entry *e = &b->entries[i];

		if (e->is_gone && e->modseq > since &&
		    !on_gone(to, (struct mail_range){e->uid, e->uid}))
			break;
	}
	return OK;
}

static enum rc each_range(void *arg, uint64_t box,
			  bool (*on_range)(void *to, struct mail_range uids), void *to,
			  struct fault *why)
{
	struct rig_box *b = by_id(arg, box);

	(void)why;
	for (size_t i = 0; b && i < b->n; i++) {
		if (!b->entries[i].is_gone &&
		    !on_range(to, (struct mail_range){b->entries[i].uid, b->entries[i].uid}))
			break;
	}
	return OK;
}

static struct digest_maker *maker_of(struct imap_rig *r, uint64_t number)
{
	digest_maker_free(r->maker);
	r->maker = digest_maker_new(true);
	if (!r->maker)
		return NULL;
	digest_maker_feed(r->maker, buf_span(&r->texts[number]));
	digest_maker_end(r->maker);
	return r->maker;
}

static enum rc digest(void *arg, uint64_t number, enum mail_form form, struct mail_digest *out,
		      struct fault *why)
{
	struct digest_maker *maker = maker_of(arg, number);

	(void)form;
	(void)why;
	return maker && digest_maker_digest(maker, out) ? OK : LATER;
}

static enum rc body_open(void *arg, uint64_t number, enum mail_form form, struct mail_body **out,
			 struct fault *why)
{
	struct imap_rig *r = arg;
	struct mail_body *b;

	(void)form;
	(void)why;
	if (r->texts[number].n == 0)
		return REFUSED;
	b = must_alloc(sizeof *b);
	*b = (struct mail_body){r, buf_span(&r->texts[number])};
	r->open_bodies++;
	*out = b;
	return OK;
}

static uint64_t body_bytes(const struct mail_body *b)
{
	return b->text.n;
}

static enum rc body_read(struct mail_body *b, uint64_t offset, size_t max, struct span *out,
			 struct fault *why)
{
	(void)why;
	b->rig->reads++;
	if (b->rig->read_piece && max > b->rig->read_piece)
		max = b->rig->read_piece;
	*out = span_first(span_from(b->text, (size_t)offset), max);
	return OK;
}

static void body_close(struct mail_body *b)
{
	if (b)
		b->rig->open_bodies--;
	free(b);
}

static enum rc search(void *arg, uint64_t box, enum mail_text where, struct span text,
		      bool (*on_uid)(void *to, uint32_t uid),
		      bool (*on_unknown)(void *to, struct mail_range uids), void *to,
		      struct fault *why)
{
	struct imap_rig *r = arg;
	struct rig_box *b = by_id(r, box);

	(void)why;
	if (!r->has_index || !b)
		return LATER;
	for (size_t i = 0; i < b->n; i++) { /* every second one is not indexed yet */
		const struct rig_entry *e = &b->entries[i];

		if (e->is_gone)
			continue;
		if (e->uid % 2)
			(void)on_unknown(to, (struct mail_range){e->uid, e->uid});
		else if (digest_maker_holds(maker_of(r, e->text), where, text))
			(void)on_uid(to, e->uid);
	}
	return OK;
}

static const struct mail_store_ops ops = {
	.each_box = each_box,
	.box_by_name = box_by_name,
	.box_by_id = box_by_id,
	.each_entry = each_entry,
	.each_gone = each_gone,
	.each_range = each_range,
	.digest = digest,
	.body_open = body_open,
	.body_bytes = body_bytes,
	.body_read = body_read,
	.body_close = body_close,
	.search = search,
};

/* ---- acts ---- */

struct rig_box *imap_rig_add_box(struct imap_rig *r, const char *name, enum mail_special special)
{
	struct rig_box *b = &r->boxes[r->boxes_n++];

	must(r->boxes_n <= RIG_BOXES);
	*b = (struct rig_box){
		.id = ++r->last_box, .special = special, .uidnext = 1, .modseq = 1, .exists = true};
	(void)snprintf(b->name, sizeof b->name, "%s", name);
	return b;
}

size_t imap_rig_add_text(struct imap_rig *r, struct span text)
{
	must(r->texts_n < RIG_TEXTS);
	(void)buf_append(&r->texts[r->texts_n], text);
	return r->texts_n++;
}

struct rig_entry *imap_rig_add(struct imap_rig *r, struct rig_box *b, size_t text, uint32_t flags)
{
	struct rig_entry *e;

	if (b->n == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 8;
		b->entries = reallocarray(b->entries, b->cap, sizeof *e);
		must(b->entries);
	}
	e = &b->entries[b->n++];
	*e = (struct rig_entry){
		.uid = b->uidnext++, .flags = flags, .text = text, .received_us = 1767225600000000};
	e->modseq = b->modseq = ++r->modseq;
	return e;
}

static bool is_in(const struct mail_act *a, uint32_t uid)
{
	for (size_t i = 0; i < a->uids_n; i++) {
		if (uid >= a->uids[i].first && uid <= a->uids[i].last)
			return true;
	}
	return false;
}

struct made {
	struct mail_verdict v;
	struct mail_range from[64], to[64], modified[64];
};

static void store_one(struct rig_entry *e, const struct mail_act *a)
{
	if (a->how == MAIL_HOW_SET) {
		e->flags = a->flags;
		(void)snprintf(e->keywords, sizeof e->keywords, "%.*s", SPAN_FMT(a->keywords));
	} else if (a->how == MAIL_HOW_ADD) {
		e->flags |= a->flags;
		if (a->keywords.n)
			(void)snprintf(e->keywords, sizeof e->keywords, "%.*s",
				       SPAN_FMT(a->keywords));
	} else {
		e->flags &= ~a->flags;
		if (a->keywords.n)
			e->keywords[0] = 0;
	}
}

static void do_store(struct imap_rig *r, const struct mail_act *a, struct made *m)
{
	struct rig_box *b = by_id(r, a->box);
	bool is_changed = false;

	for (size_t i = 0; b && i < b->n; i++) {
		struct rig_entry *e = &b->entries[i];

		if (e->is_gone || !is_in(a, e->uid))
			continue;
		if (e->modseq > a->unchanged_since) {
			m->modified[m->v.modified_n++ % 64] = (struct mail_range){e->uid, e->uid};
			continue;
		}
		store_one(e, a);
		e->modseq = r->modseq + 1;
		is_changed = true;
	}
	if (is_changed)
		m->v.modseq = b->modseq = ++r->modseq;
}

static void do_copy(struct imap_rig *r, const struct mail_act *a, struct made *m, bool is_move)
{
	struct rig_box *from = by_id(r, a->box), *to = by_id(r, a->to);

	if (!from || !to) {
		m->v.code = MAIL_NONEXISTENT;
		return;
	}
	if (r->messages_limit && to->n + from->n > r->messages_limit) {
		m->v.code = MAIL_LIMIT;
		return;
	}
	m->v.box = to->id;
	m->v.uidvalidity = 1700000000u + (uint32_t)to->id;
	for (size_t i = 0, n = from->n; i < n; i++) {
		struct rig_entry *made;

		if (from->entries[i].is_gone || !is_in(a, from->entries[i].uid))
			continue;
		made = imap_rig_add(r, to, from->entries[i].text, from->entries[i].flags);
		if (m->v.from_n < 64) {
			m->from[m->v.from_n++] =
				(struct mail_range){from->entries[i].uid, from->entries[i].uid};
			m->to[m->v.to_n++] = (struct mail_range){made->uid, made->uid};
		}
		if (is_move) {
			from->entries[i].is_gone = true;
			from->entries[i].modseq = from->modseq = ++r->modseq;
		}
	}
	m->v.modseq = r->modseq;
}

static void do_expunge(struct imap_rig *r, const struct mail_act *a, struct made *m)
{
	struct rig_box *b = by_id(r, a->box);

	for (size_t i = 0; b && i < b->n; i++) {
		struct rig_entry *e = &b->entries[i];

		if (e->is_gone || !is_in(a, e->uid) || !(e->flags & MAIL_DELETED))
			continue;
		e->is_gone = true;
		m->v.modseq = e->modseq = b->modseq = ++r->modseq;
	}
}

static void do_create(struct imap_rig *r, const struct mail_act *a, struct made *m)
{
	char name[MAIL_BOX_NAME_BYTES + 1];
	struct rig_box *b;

	(void)snprintf(name, sizeof name, "%.*s", SPAN_FMT(a->name));
	b = imap_rig_box(r, name);
	if (b && b->exists) {
		m->v.code = MAIL_ALREADYEXISTS;
		return;
	}
	if (r->boxes_n == RIG_BOXES) {
		m->v.code = MAIL_LIMIT;
		return;
	}
	if (b)
		*b = (struct rig_box){.is_subscribed = b->is_subscribed,
				      .id = ++r->last_box,
				      .uidnext = 1,
				      .modseq = 1,
				      .exists = true};
	else
		b = imap_rig_add_box(r, name, a->special);
	(void)snprintf(b->name, sizeof b->name, "%s", name);
	m->v.box = b->id;
}

static void do_named(struct imap_rig *r, const struct mail_act *a, struct made *m)
{
	char name[MAIL_BOX_NAME_BYTES + 1];
	struct rig_box *b;

	(void)snprintf(name, sizeof name, "%.*s", SPAN_FMT(a->name));
	b = imap_rig_box(r, name);
	if (!b && a->kind == MAIL_ACT_SUBSCRIBE && r->boxes_n < RIG_BOXES) {
		b = imap_rig_add_box(r, name, MAIL_PLAIN);
		b->exists = false;
	}
	if (!b ||
	    (a->kind != MAIL_ACT_SUBSCRIBE && a->kind != MAIL_ACT_UNSUBSCRIBE && !b->exists)) {
		m->v.code = MAIL_NONEXISTENT;
	} else if (a->kind == MAIL_ACT_SUBSCRIBE || a->kind == MAIL_ACT_UNSUBSCRIBE) {
		b->is_subscribed = a->kind == MAIL_ACT_SUBSCRIBE;
	} else if (b->special == MAIL_INBOX) {
		m->v.code = MAIL_CANNOT;
	} else if (a->kind == MAIL_ACT_DELETE) {
		b->exists = false;
		b->n = 0;
	} else {
		(void)snprintf(b->name, sizeof b->name, "%.*s", SPAN_FMT(a->new_name));
	}
}

static void do_append(struct imap_rig *r, const struct mail_act *a, struct made *m)
{
	struct rig_box *b = by_id(r, a->box);
	struct rig_entry *e;

	if (!b || r->texts_n == RIG_TEXTS) {
		m->v.code = MAIL_NONEXISTENT;
		return;
	}
	e = imap_rig_add(r, b, imap_rig_add_text(r, buf_span(&r->append)), a->flags);
	(void)snprintf(e->keywords, sizeof e->keywords, "%.*s", SPAN_FMT(a->keywords));
	if (a->date_us)
		e->received_us = a->date_us;
	m->v.uidvalidity = 1700000000u + (uint32_t)b->id;
	m->to[m->v.to_n++] = (struct mail_range){e->uid, e->uid};
	m->v.modseq = e->modseq;
}

static void note(struct imap_rig *r, const struct mail_act *a)
{
	static const char *const kinds[] = {"",		 "store",	"expunge", "copy",
					    "move",	 "create",	"delete",  "rename",
					    "subscribe", "unsubscribe", "append"};
	static const char *const hows[] = {"set", "add", "remove"};

	(void)buf_printf(&r->acts, "%s", kinds[a->kind]);
	if (a->kind == MAIL_ACT_STORE)
		(void)buf_printf(&r->acts, " %s %u", hows[a->how], a->flags);
	if (a->kind == MAIL_ACT_APPEND)
		(void)buf_printf(&r->acts, " %u", a->flags);
	if (a->keywords.n)
		(void)buf_printf(&r->acts, " %.*s", SPAN_FMT(a->keywords));
	for (size_t i = 0; i < a->uids_n && i < 20; i++)
		(void)buf_printf(&r->acts, " %u:%u", a->uids[i].first, a->uids[i].last);
	if (a->name.n)
		(void)buf_printf(&r->acts, " %.*s", SPAN_FMT(a->name));
	if (a->new_name.n)
		(void)buf_printf(&r->acts, " %.*s", SPAN_FMT(a->new_name));
	(void)buf_printf(&r->acts, "\n");
}

static void make(struct imap_rig *r, uint64_t id, const struct mail_act *a)
{
	struct made m = {0};

	if (r->is_away) {
		imap_server_verdict(r->s, id, NULL);
		return;
	}
	m.v.from = m.from;
	m.v.to = m.to;
	m.v.modified = m.modified;
	switch (a->kind) {
	case MAIL_ACT_STORE:
		do_store(r, a, &m);
		break;
	case MAIL_ACT_EXPUNGE:
		do_expunge(r, a, &m);
		break;
	case MAIL_ACT_COPY:
	case MAIL_ACT_MOVE:
		do_copy(r, a, &m, a->kind == MAIL_ACT_MOVE);
		break;
	case MAIL_ACT_CREATE:
		do_create(r, a, &m);
		break;
	case MAIL_ACT_DELETE:
	case MAIL_ACT_RENAME:
	case MAIL_ACT_SUBSCRIBE:
	case MAIL_ACT_UNSUBSCRIBE:
		do_named(r, a, &m);
		break;
	case MAIL_ACT_APPEND:
		do_append(r, a, &m);
		break;
	case MAIL_ACT_EMAIL: /* of JMAP alone */
	case MAIL_ACT_SETTING:
		break;
	}
	imap_server_verdict(r->s, id, &m.v);
}

/* The engine's act dies with the next step: a slow host copies it. */
static void ask(struct imap_rig *r, uint64_t id, const struct mail_act *a)
{
	struct mail_act copy = *a;
	struct mail_range *uids;

	note(r, a);
	if (!r->is_slow || a->kind >= MAIL_ACT_CREATE) {
		make(r, id, a);
		return;
	}
	must(r->asked_n < IMAP_ASKS_LIMIT);
	uids = must_alloc((a->uids_n + 1) * sizeof *uids);
	memcpy(uids, a->uids, a->uids_n * sizeof *uids);
	copy.uids = uids;
	r->asked[r->asked_n].id = id;
	r->asked[r->asked_n++].act = copy; /* its words are static in the tests that are slow */
}

static void make_all(struct imap_rig *r)
{
	for (size_t i = 0; i < r->asked_n; i++) {
		make(r, r->asked[i].id, &r->asked[i].act);
		free((void *)(uintptr_t)r->asked[i].act.uids);
	}
	r->asked_n = 0;
}

/* ---- the host ---- */

static void login(struct imap_rig *r, struct span plain)
{
	bool is_anna = span_eq(plain, SPAN_LIT("\0anna\0secret"));

	if (is_anna)
		imap_server_login_fine(r->s, &r->store);
	else
		imap_server_login_refused(r->s, "NO [AUTHENTICATIONFAILED]",
					  SPAN_LIT("Name or password is wrong"));
}

static void take_output(struct imap_rig *r)
{
	struct span out = imap_server_output(r->s);

	if (out.n > r->most_out)
		r->most_out = out.n;
	(void)buf_append(&r->said, out);
	imap_server_sent(r->s);
}

static void on_login(struct imap_rig *r)
{
	const struct imap_login *l = imap_server_login_asked(r->s);

	if (!l->has_initial)
		imap_server_challenge(r->s, SPAN_NONE);
	else
		login(r, l->initial);
}

/* One piece of input to its end. */
static void run(struct imap_rig *r, struct span in)
{
	for (;;) {
		struct span piece = SPAN_NONE;
		enum imap_step step;

		imap_server_tick(r->s, r->now_us);
		step = imap_server_step(r->s, &in, &piece);
		take_output(r);
		switch (step) {
		case IMAP_FEED:
			must(in.n == 0);
			return;
		case IMAP_WAIT:
			must(r->asked_n > 0);
			make_all(r);
			break;
		case IMAP_FLUSH:
			break;
		case IMAP_AGAIN:
			r->turns++;
			break;
		case IMAP_LOGIN:
			on_login(r);
			break;
		case IMAP_SASL:
			login(r, piece);
			break;
		case IMAP_SASL_CANCEL:
			(void)buf_printf(&r->log, "cancel\n");
			break;
		case IMAP_ACT:
			ask(r, imap_server_asked(r->s)->id, imap_server_asked(r->s)->act);
			break;
		case IMAP_APPEND_BEGIN:
			buf_clear(&r->append);
			if (r->is_append_refused)
				imap_server_append_open(r->s, "OVERQUOTA",
							SPAN_LIT("The disk is full"));
			else
				imap_server_append_open(r->s, NULL, SPAN_NONE);
			break;
		case IMAP_PIECE:
			(void)buf_append(&r->append, piece);
			break;
		case IMAP_APPEND_DROP:
			(void)buf_printf(&r->log, "drop\n");
			break;
		case IMAP_APPEND_END:
			must(r->append.n == imap_server_append(r->s)->bytes);
			ask(r, imap_server_append(r->s)->id, &imap_server_append(r->s)->act);
			break;
		case IMAP_TLS:
			r->wants_tls =
				true; /* what else came was in clear text: imap_rig_feed drops it */
			imap_server_secured(r->s);
			return;
		case IMAP_CLOSE:
			r->is_closed = true;
			return;
		}
	}
}

void imap_rig_settle(struct imap_rig *r)
{
	do {
		make_all(r);
		run(r, SPAN_NONE);
	} while (r->asked_n);
}

void imap_rig_feed(struct imap_rig *r, struct span in, size_t step)
{
	r->wants_tls = false;
	while (in.n && !r->is_closed && !r->wants_tls) {
		struct span piece = span_first(in, step ? step : in.n);

		run(r, piece);
		in = span_from(in, piece.n);
	}
	if (!r->is_closed)
		imap_rig_settle(r);
}

void imap_rig_init(struct imap_rig *r)
{
	*r = (struct imap_rig){
		.service = {.node = SPAN_LIT("mx2.example"),
			    .version = SPAN_LIT("1.0"),
			    .mechanisms = "PLAIN",
			    .limits = {.login_us = 60000000,
				       .command_us = 60000000,
				       .idle_us = 1860000000,
				       .errors = 10,
				       .append_bytes = 1 << 20},
			    .has_tls = true,
			    .allows_clear_login = true},
		.modseq = 10,
	};
	r->store = (struct mail_store){&ops, r};
	r->s = imap_server_new(&r->service);
}

void imap_rig_fini(struct imap_rig *r)
{
	make_all(r);
	imap_server_free(r->s);
	must(r->open_bodies == 0);
	digest_maker_free(r->maker);
	for (size_t i = 0; i < RIG_TEXTS; i++)
		buf_fini(&r->texts[i]);
	for (size_t i = 0; i < r->boxes_n; i++)
		free(r->boxes[i].entries);
	buf_fini(&r->append);
	buf_fini(&r->said);
	buf_fini(&r->acts);
	buf_fini(&r->log);
	buf_fini(&r->search_hits);
}

static const char plain[] =
	"From: Anna <anna@example.com>\r\nTo: bert@example.com\r\nSubject: Lunch\r\n"
	"Date: Thu, 1 Jan 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nAt noon?\r\n";
static const char mixed[] = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r\nTo: "
			    "anna@example.com\r\nSubject: Report\r\n"
			    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
			    "--b\r\nContent-Type: text/plain; "
			    "charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
			    "Gr=C3=BC=C3=9Fe\r\n--b\r\nContent-Type: application/octet-stream\r\n"
			    "Content-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n--b--\r\n";

void imap_rig_furnish(struct imap_rig *r)
{
	struct rig_box *inbox = imap_rig_add_box(r, "INBOX", MAIL_INBOX);
	size_t a = imap_rig_add_text(r, span_str(plain)), b = imap_rig_add_text(r, span_str(mixed));
	size_t c = imap_rig_add_text(r, SPAN_LIT("Subject: bare\r\n\r\nx\r\n"));

	inbox->uidnext = 3;
	(void)imap_rig_add(r, inbox, a, 0);
	(void)imap_rig_add(r, inbox, b, MAIL_SEEN);
	(void)imap_rig_add(r, inbox, c, MAIL_DELETED);
	inbox->uidnext = 7;
	(void)imap_rig_add(r, inbox, a, MAIL_SEEN | MAIL_ANSWERED);
	(void)snprintf(inbox->entries[3].keywords, sizeof inbox->entries[3].keywords, "$Work");
	imap_rig_add_box(r, "Sent", MAIL_SENT)->is_subscribed = true;
	(void)imap_rig_add_box(r, "Work", MAIL_PLAIN);
	imap_rig_add_box(r, "Work/2026", MAIL_PLAIN)->is_subscribed = true;
	(void)imap_rig_add_box(r,
			       "Gr\xc3\xbc\xc3\x9f"
			       "e & Co",
			       MAIL_PLAIN);
}

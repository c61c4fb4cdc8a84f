/* LIST (with LIST-EXTENDED, LIST-STATUS, SPECIAL-USE, CHILDREN: RFC 9051 s6.3.9), LSUB, NAMESPACE, STATUS. */
#include "imap/server_internal.h"

enum { PATTERNS_LIMIT = 16 };

enum select_FLAGS {
	SELECT_SUBSCRIBED = 1,
	SELECT_RECURSIVE = 2,
	SELECT_SPECIAL = 4,
	SELECT_REMOTE = 8
};
enum return_FLAGS {
	RETURN_SUBSCRIBED = 1,
	RETURN_CHILDREN = 2,
	RETURN_SPECIAL = 4,
	RETURN_STATUS = 8
};

struct list_work {
	bool is_lsub;
	unsigned select, returns, items;
	struct span patterns[PATTERNS_LIMIT];
	size_t patterns_n;
	struct mail_box *boxes; /* of the account, in the arena */
	size_t n, cap, at;
	struct span told_parent; /* LSUB: the last name without a mailbox */
	struct arena *arena;
};

/* ---- STATUS items ---- */

static const struct {
	const char *name;
	unsigned bit;
} status_items[] = {
	{"MESSAGES", 1},
	{"UIDNEXT", 2},
	{"UIDVALIDITY", 4},
	{"UNSEEN", 8},
	{"DELETED", 16},
	{"SIZE", 32},
	{"HIGHESTMODSEQ", IMAP_STATUS_MODSEQ},
	{"RECENT", 128},
	{"MAILBOXID", 256},
	{"APPENDLIMIT", 512},
};

bool imap_get_status_items(struct span *c, unsigned *out_items)
{
	struct span name;

	*out_items = 0;
	if (!imap_get(c, "("))
		return false;
	do {
		unsigned bit = 0;

		if (!imap_get_atom(c, &name))
			return false;
		for (size_t i = 0; i < sizeof status_items / sizeof *status_items; i++) {
			if (span_eq_nocase(name, span_str(status_items[i].name)))
				bit = status_items[i].bit;
		}
		if (!bit)
			return false;
		*out_items |= bit;
	} while (imap_get_space(c));
	return imap_get(c, ")");
}

static void put_item(struct imap_server *s, const struct mail_box *b, unsigned bit)
{
	uint64_t value = bit == 1		     ? b->total
			 : bit == 2		     ? b->uidnext
			 : bit == 4		     ? b->uidvalidity
			 : bit == 8		     ? b->unseen
			 : bit == 16		     ? b->deleted
			 : bit == 32		     ? b->bytes
			 : bit == IMAP_STATUS_MODSEQ ? b->highest_modseq
			 : bit == 512		     ? s->service->limits.append_bytes
						     : 0;

	if (bit == 256)
		imap_put(s, "(F%llu)", (unsigned long long)b->id);
	else
		imap_put(s, "%llu", (unsigned long long)value);
}

void imap_put_status(struct imap_server *s, const struct mail_box *b, unsigned items)
{
	const char *gap = "";

	imap_put(s, "* STATUS ");
	imap_put_mailbox(s, b->name);
	imap_put(s, " (");
	for (size_t i = 0; i < sizeof status_items / sizeof *status_items; i++) {
		if (!(items & status_items[i].bit))
			continue;
		imap_put(s, "%s%s ", gap, status_items[i].name);
		put_item(s, b, status_items[i].bit);
		gap = " ";
	}
	imap_put(s, ")\r\n");
}

void imap_on_status(struct imap_server *s, struct imap_work *w)
{
	struct span c = w->args, name;
	struct mail_box b;
	unsigned items;
	enum rc rc;

	if (!imap_get_space(&c) || !imap_get_mailbox(s, &w->arena, &c, &name) ||
	    !imap_get_space(&c) || !imap_get_status_items(&c, &items) || !imap_get_end(&c)) {
		imap_bad(s, w, "STATUS wants a mailbox and a list of items");
		return;
	}
	rc = s->store.ops->box_by_name(s->store.arg, name, &b, NULL);
	if (rc == OK && !b.exists)
		rc = REFUSED;
	if (rc != OK) {
		imap_store_failed(w, rc);
		return;
	}
	if (items & IMAP_STATUS_MODSEQ)
		s->has_condstore = true;
	imap_put_status(s, &b, items);
	imap_finish(w, "OK STATUS completed");
}

void imap_on_namespace(struct imap_server *s, struct imap_work *w)
{
	if (!imap_get_end(&w->args)) {
		imap_bad(s, w, "Nothing may follow");
		return;
	}
	imap_put(s, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	imap_finish(w, "OK NAMESPACE completed");
}

/* ---- parsing ---- */

struct word_bit {
	const char *name;
	unsigned bit;
};

static unsigned bit_of(struct span name, const struct word_bit *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (span_eq_nocase(name, span_str(words[i].name)))
			return words[i].bit;
	}
	return 0;
}

/* "(" was read. */
static bool get_selects(struct span *c, unsigned *out)
{
	static const struct word_bit words[] = {{"SUBSCRIBED", SELECT_SUBSCRIBED},
						{"RECURSIVEMATCH", SELECT_RECURSIVE},
						{"SPECIAL-USE", SELECT_SPECIAL},
						{"REMOTE", SELECT_REMOTE}};
	struct span name;

	*out = 0;
	if (imap_get(c, ")"))
		return true;
	do {
		unsigned bit;

		if (!imap_get_atom(c, &name) || !(bit = bit_of(name, words, 4)))
			return false;
		*out |= bit;
	} while (imap_get_space(c));
	/* RFC 5258 s3: not alone */
	return imap_get(c, ")") &&
	       (!(*out & SELECT_RECURSIVE) || (*out & (SELECT_SUBSCRIBED | SELECT_SPECIAL)));
}

static bool get_returns(struct span *c, struct list_work *l)
{
	static const struct word_bit words[] = {{"SUBSCRIBED", RETURN_SUBSCRIBED},
						{"CHILDREN", RETURN_CHILDREN},
						{"SPECIAL-USE", RETURN_SPECIAL},
						{"STATUS", RETURN_STATUS}};
	struct span name;

	if (!imap_get(c, "("))
		return false;
	if (imap_get(c, ")"))
		return true;
	do {
		unsigned bit;

		if (!imap_get_atom(c, &name) || !(bit = bit_of(name, words, 4)))
			return false;
		if (bit == RETURN_STATUS &&
		    (!imap_get_space(c) || !imap_get_status_items(c, &l->items)))
			return false;
		l->returns |= bit;
	} while (imap_get_space(c));
	return imap_get(c, ")");
}

/* Reference and pattern together, as UTF-8. */
static struct span whole_pattern(struct imap_server *s, struct imap_work *w, struct span reference,
				 struct span pattern)
{
	struct buf text = {0}, utf8 = {0};
	struct span out;

	(void)buf_append(&text, reference);
	(void)buf_append(&text, pattern);
	if (s->is_utf8 || !imap_utf7_decode(buf_span(&text), &utf8)) {
		buf_clear(&utf8);
		(void)buf_append(&utf8, buf_span(&text));
	}
	if (utf8.n >= 5 && span_eq_nocase(span_first(buf_span(&utf8), 5), SPAN_LIT("INBOX")) &&
	    (utf8.n == 5 || memchr("/%*", utf8.p[5], 3)))
		memcpy(utf8.p, "INBOX", 5);
	out = arena_span(&w->arena, buf_span(&utf8));
	buf_fini(&text);
	buf_fini(&utf8);
	return out;
}

static bool get_pattern(struct imap_server *s, struct imap_work *w, struct span *c,
			struct span reference)
{
	struct list_work *l = w->data;
	struct span pattern;

	if (l->patterns_n == PATTERNS_LIMIT || !imap_get_list_mailbox(&w->arena, c, &pattern) ||
	    reference.n + pattern.n > 2 * MAIL_BOX_NAME_BYTES)
		return false;
	l->patterns[l->patterns_n++] = whole_pattern(s, w, reference, pattern);
	return true;
}

static bool get_patterns(struct imap_server *s, struct imap_work *w, struct span *c,
			 struct span reference)
{
	if (!imap_get(c, "("))
		return get_pattern(s, w, c, reference);
	do {
		if (!get_pattern(s, w, c, reference))
			return false;
	} while (imap_get_space(c));
	return imap_get(c, ")");
}

static bool get_list(struct imap_server *s, struct imap_work *w)
{
	struct list_work *l = w->data;
	struct span c = w->args, reference;

	if (!imap_get_space(&c))
		return false;
	if (!l->is_lsub && imap_get(&c, "(") &&
	    (!get_selects(&c, &l->select) || !imap_get_space(&c)))
		return false;
	if (!imap_get_astring(&w->arena, &c, &reference) || !imap_get_space(&c) ||
	    !get_patterns(s, w, &c, reference))
		return false;
	if (!l->is_lsub && imap_get(&c, " RETURN ") && !get_returns(&c, l))
		return false;
	return imap_get_end(&c);
}

/* ---- what there is ---- */

static bool on_box(void *to, const struct mail_box *b)
{
	struct list_work *l = to;

	if (l->n == l->cap) {
		size_t wanted = l->cap ? l->cap * 2 : 16;
		struct mail_box *more = arena_array(l->arena, wanted, sizeof *more);

		if (l->n)
			memcpy(more, l->boxes, l->n * sizeof *more);
		l->boxes = more;
		l->cap = wanted;
	}
	l->boxes[l->n] = *b;
	l->boxes[l->n++].name = arena_span(l->arena, b->name);
	return l->n < 2 * MAIL_BOXES_LIMIT;
}

static bool is_below(struct span name, struct span parent)
{
	return name.n > parent.n && span_starts(name, parent) && name.p[parent.n] == '/';
}

/* The first name at or behind "parent/": the list is sorted but for INBOX, which is its first. */
static size_t first_below(const struct list_work *l, struct span parent)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct span name = l->boxes[middle].name;
		int order = span_cmp(span_first(name, parent.n), parent);
		bool is_before =
			order < 0 || (order == 0 && (name.n == parent.n || name.p[parent.n] < '/'));

		if (is_before || (middle == 0 && span_eq(name, SPAN_LIT("INBOX"))))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_below(const struct list_work *l, struct span parent, bool wants_subscribed)
{
	for (size_t i = first_below(l, parent); i < l->n && is_below(l->boxes[i].name, parent);
	     i++) {
		if (wants_subscribed ? l->boxes[i].is_subscribed : l->boxes[i].exists)
			return true;
	}
	return false;
}

static bool matches(const struct list_work *l, struct span name)
{
	for (size_t i = 0; i < l->patterns_n; i++) {
		if (imap_name_matches(name, l->patterns[i]))
			return true;
	}
	return false;
}

/* ---- lines ---- */

static void put_attribute(struct imap_server *s, const char **gap, const char *name)
{
	imap_put(s, "%s%s", *gap, name);
	*gap = " ";
}

static void put_special(struct imap_server *s, const char **gap, enum mail_special special)
{
	static const char *const names[] = {[MAIL_SENT] = "\\Sent",
					    [MAIL_DRAFTS] = "\\Drafts",
					    [MAIL_ARCHIVE] = "\\Archive",
					    [MAIL_TRASH] = "\\Trash",
					    [MAIL_JUNK] = "\\Junk"};

	if ((size_t)special < sizeof names / sizeof *names && names[special])
		put_attribute(s, gap, names[special]);
}

static void put_box(struct imap_server *s, const struct list_work *l, const struct mail_box *b,
		    bool has_info)
{
	const char *gap = "";

	imap_put(s, l->is_lsub ? "* LSUB (" : "* LIST (");
	if (!b->exists)
		put_attribute(s, &gap, l->is_lsub ? "\\Noselect" : "\\NonExistent");
	if (!l->is_lsub)
		put_attribute(s, &gap,
			      has_below(l, b->name, false) ? "\\HasChildren" : "\\HasNoChildren");
	if (b->is_subscribed &&
	    ((l->select & SELECT_SUBSCRIBED) || (l->returns & RETURN_SUBSCRIBED)))
		put_attribute(s, &gap, "\\Subscribed");
	if (b->exists && !l->is_lsub)
		put_special(s, &gap, b->special);
	imap_put(s, ") \"/\" ");
	imap_put_mailbox(s, b->name);
	imap_put(s, has_info ? " (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n" : "\r\n");
}

static void list_one(struct imap_server *s, const struct list_work *l, const struct mail_box *b)
{
	bool is_chosen = b->exists || (b->is_subscribed && (l->select & SELECT_SUBSCRIBED));
	bool has_info = false;

	if (!matches(l, b->name))
		return;
	if (l->select & SELECT_SUBSCRIBED) {
		has_info = (l->select & SELECT_RECURSIVE) && has_below(l, b->name, true);
		is_chosen = is_chosen && (b->is_subscribed || has_info);
	}
	if (l->select & SELECT_SPECIAL)
		is_chosen = is_chosen && b->special > MAIL_INBOX;
	if (!is_chosen)
		return;
	put_box(s, l, b, has_info);
	if ((l->returns & RETURN_STATUS) && b->exists)
		imap_put_status(s, b, l->items);
}

/* "%" names what has something subscribed below (RFC 3501 s6.3.9). */
static void lsub_parents(struct imap_server *s, struct list_work *l, struct span name)
{
	for (size_t i = 1; i < name.n; i++) {
		struct mail_box parent = {.name = span_first(name, i)};

		if (name.p[i] != '/' || !matches(l, parent.name) ||
		    span_eq(parent.name, l->told_parent))
			continue;
		l->told_parent = parent.name;
		for (size_t k = 0; k < l->n; k++) {
			if (l->boxes[k].is_subscribed && span_eq(l->boxes[k].name, parent.name))
				return;
		}
		put_box(s, l, &parent, false);
	}
}

static void lsub_one(struct imap_server *s, struct list_work *l, const struct mail_box *b)
{
	if (!b->is_subscribed)
		return;
	if (matches(l, b->name))
		put_box(s, l, b, false);
	else
		lsub_parents(s, l, b->name);
}

static enum imap_run_step run_list(struct imap_server *s, struct imap_work *w)
{
	struct list_work *l = w->data;

	for (; l->at < l->n && !imap_is_full(s); l->at++) {
		if (l->is_lsub)
			lsub_one(s, l, &l->boxes[l->at]);
		else
			list_one(s, l, &l->boxes[l->at]);
	}
	if (l->at < l->n)
		return IMAP_RUN_AGAIN;
	imap_finish(w, "OK %s completed", w->verb->name);
	return IMAP_RUN_DONE;
}

static void start_list(struct imap_server *s, struct imap_work *w, bool is_lsub)
{
	struct list_work *l = arena_alloc(&w->arena, sizeof *l);
	enum rc rc;

	w->data = l;
	l->is_lsub = is_lsub;
	l->arena = &w->arena;
	if (!get_list(s, w)) {
		imap_bad(s, w, "A reference and a pattern were expected");
		return;
	}
	if (l->patterns_n == 1 && l->patterns[0].n == 0) { /* asks for the separator */
		imap_put(s, "* %s (\\Noselect) \"/\" \"\"\r\n", w->verb->name);
		imap_finish(w, "OK %s completed", w->verb->name);
		return;
	}
	rc = s->store.ops->each_box(s->store.arg, on_box, l, NULL);
	if (rc != OK)
		imap_store_failed(w, rc);
	else
		w->run = run_list;
}

void imap_on_list(struct imap_server *s, struct imap_work *w)
{
	start_list(s, w, false);
}

void imap_on_lsub(struct imap_server *s, struct imap_work *w)
{
	start_list(s, w, true);
}

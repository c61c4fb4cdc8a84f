/*
 * SEARCH: the program (RFC 9051 s6.4.4, 4731, 5182, 7162 s3.1.5). Keys are put in postfix order by a stack of what is
 * open, so that neither reading nor evaluating them recurses.
 */
#include "imap/server_internal.h"

#include "base/ascii.h"
#include "mail/text.h"

enum frame_kind { FRAME_LIST, FRAME_NOT, FRAME_OR };

struct frame {
	enum frame_kind kind;
	unsigned have; /* keys in it so far */
};

struct parse {
	struct imap_server *s;
	struct imap_work *w;
	struct imap_search *q;
	struct span c;
	struct frame stack[IMAP_KEY_DEPTH];
	size_t depth;
	bool is_range_bad;
	unsigned texts; /* keys that look into messages */
};

enum argument {
	ARG_NONE,
	ARG_DATE,
	ARG_NUMBER,
	ARG_TEXT,    /* folded */
	ARG_KEYWORD, /* an atom */
	ARG_HEADER,
	ARG_UIDS,
	ARG_MODSEQ,
	ARG_OBJECTID,
};

static const struct word {
	const char *name;
	enum imap_key key;
	enum argument argument;
	uint32_t flag; /* or enum mail_text */
} words[] = {
	{"ALL", IMAP_K_ALL, ARG_NONE, 0},
	{"ANSWERED", IMAP_K_FLAG, ARG_NONE, MAIL_ANSWERED},
	{"DELETED", IMAP_K_FLAG, ARG_NONE, MAIL_DELETED},
	{"DRAFT", IMAP_K_FLAG, ARG_NONE, MAIL_DRAFT},
	{"FLAGGED", IMAP_K_FLAG, ARG_NONE, MAIL_FLAGGED},
	{"SEEN", IMAP_K_FLAG, ARG_NONE, MAIL_SEEN},
	{"UNANSWERED", IMAP_K_NO_FLAG, ARG_NONE, MAIL_ANSWERED},
	{"UNDELETED", IMAP_K_NO_FLAG, ARG_NONE, MAIL_DELETED},
	{"UNDRAFT", IMAP_K_NO_FLAG, ARG_NONE, MAIL_DRAFT},
	{"UNFLAGGED", IMAP_K_NO_FLAG, ARG_NONE, MAIL_FLAGGED},
	{"UNSEEN", IMAP_K_NO_FLAG, ARG_NONE, MAIL_SEEN},
	{"NEW", IMAP_K_NONE, ARG_NONE, 0}, /* nothing is \Recent here */
	{"RECENT", IMAP_K_NONE, ARG_NONE, 0},
	{"OLD", IMAP_K_ALL, ARG_NONE, 0},
	{"KEYWORD", IMAP_K_KEYWORD, ARG_KEYWORD, 0},
	{"UNKEYWORD", IMAP_K_NO_KEYWORD, ARG_KEYWORD, 0},
	{"BEFORE", IMAP_K_BEFORE, ARG_DATE, 0},
	{"ON", IMAP_K_ON, ARG_DATE, 0},
	{"SINCE", IMAP_K_SINCE, ARG_DATE, 0},
	{"SENTBEFORE", IMAP_K_SENT_BEFORE, ARG_DATE, 0},
	{"SENTON", IMAP_K_SENT_ON, ARG_DATE, 0},
	{"SENTSINCE", IMAP_K_SENT_SINCE, ARG_DATE, 0},
	{"LARGER", IMAP_K_LARGER, ARG_NUMBER, 0},
	{"SMALLER", IMAP_K_SMALLER, ARG_NUMBER, 0},
	{"UID", IMAP_K_UIDS, ARG_UIDS, 0},
	{"TEXT", IMAP_K_TEXT, ARG_TEXT, MAIL_TEXT_ALL},
	{"BODY", IMAP_K_TEXT, ARG_TEXT, MAIL_TEXT_BODY},
	{"SUBJECT", IMAP_K_TEXT, ARG_TEXT, MAIL_TEXT_SUBJECT},
	{"FROM", IMAP_K_TEXT, ARG_TEXT, MAIL_TEXT_FROM},
	{"TO", IMAP_K_TEXT, ARG_TEXT, MAIL_TEXT_TO},
	{"CC", IMAP_K_TEXT, ARG_TEXT, MAIL_TEXT_CC},
	{"BCC", IMAP_K_TEXT, ARG_TEXT, MAIL_TEXT_BCC},
	{"HEADER", IMAP_K_HEADER, ARG_HEADER, 0},
	{"MODSEQ", IMAP_K_MODSEQ, ARG_MODSEQ, 0},
	{"EMAILID", IMAP_K_EMAILID, ARG_OBJECTID, 0},
	{"THREADID", IMAP_K_THREADID, ARG_OBJECTID, 0},
};

static struct imap_node *emit(struct parse *p, enum imap_key key)
{
	struct imap_node *node;

	if (p->q->n == IMAP_KEYS_LIMIT)
		return NULL;
	node = &p->q->nodes[p->q->n++];
	*node = (struct imap_node){.key = key};
	return node;
}

/* ---- arguments ---- */

static bool get_text(struct parse *p, struct span *out)
{
	struct span given;
	struct buf folded = {0};

	if (!imap_get_astring(&p->w->arena, &p->c, &given))
		return false;
	(void)text_fold(given, &folded);
	*out = arena_span(&p->w->arena, buf_span(&folded));
	buf_fini(&folded);
	return true;
}

/* HEADER of a field that has a key of its own is that key. */
static bool get_header(struct parse *p, struct imap_node *node)
{
	if (!imap_get_astring(&p->w->arena, &p->c, &node->name) || !imap_get_space(&p->c) ||
	    !get_text(p, &node->text))
		return false;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (words[i].argument == ARG_TEXT && words[i].flag >= MAIL_TEXT_SUBJECT &&
		    node->text.n && span_eq_nocase(node->name, span_str(words[i].name))) {
			node->key = IMAP_K_TEXT;
			node->where = words[i].flag;
		}
	}
	return true;
}

/* ["/flags/..." SP ("shared" / "priv" / "all") SP] n */
static bool get_modseq(struct parse *p, struct imap_node *node)
{
	struct span ignored;

	if (p->c.n && p->c.p[0] == '"') {
		if (!imap_get_string(&p->w->arena, &p->c, &ignored) || !imap_get_space(&p->c) ||
		    !imap_get_atom(&p->c, &ignored) || !imap_get_space(&p->c))
			return false;
	}
	p->q->has_modseq = true;
	p->s->has_condstore = true;
	return imap_get_number(&p->c, INT64_MAX, &node->number);
}

static bool get_uids(struct parse *p, struct imap_node *node, bool by_uid)
{
	enum imap_set_result result = imap_get_set(p->s, &p->c, by_uid, &node->uids);

	p->is_range_bad = p->is_range_bad || result == IMAP_SET_RANGE;
	return result == IMAP_SET_FINE;
}

static bool get_argument(struct parse *p, const struct word *word, struct imap_node *node)
{
	bool is_text = word->argument == ARG_TEXT || word->argument == ARG_HEADER;

	if (word->argument != ARG_NONE && !imap_get_space(&p->c))
		return false;
	if (is_text && ++p->texts > IMAP_TEXTS_LIMIT)
		return false;
	switch (word->argument) {
	case ARG_NONE:
		return true;
	case ARG_DATE:
		return imap_get_date(&p->c, &node->day);
	case ARG_NUMBER:
		return imap_get_number(&p->c, INT64_MAX, &node->number);
	case ARG_TEXT:
		node->where = word->flag;
		return get_text(p, &node->text);
	case ARG_KEYWORD:
		return imap_get_atom(&p->c, &node->text);
	case ARG_HEADER:
		return get_header(p, node);
	case ARG_UIDS:
		return get_uids(p, node, true);
	case ARG_MODSEQ:
		return get_modseq(p, node);
	case ARG_OBJECTID:
		return imap_get_objectid(&p->c, &node->text);
	}
	return false;
}

static bool get_leaf(struct parse *p)
{
	struct imap_node *node = emit(p, IMAP_K_UIDS);
	struct span name;

	if (!node || p->c.n == 0)
		return false;
	if (ascii_is_digit(p->c.p[0]) || p->c.p[0] == '*' || p->c.p[0] == '$')
		return get_uids(p, node, false);
	if (!imap_get_atom(&p->c, &name))
		return false;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (!span_eq_nocase(name, span_str(words[i].name)))
			continue;
		node->key = words[i].key;
		node->flag = words[i].flag;
		return get_argument(p, &words[i], node);
	}
	return false;
}

/* ---- the order of keys ---- */

static bool push(struct parse *p, enum frame_kind kind)
{
	if (p->depth == IMAP_KEY_DEPTH)
		return false;
	p->stack[p->depth++] = (struct frame){kind, 0};
	return true;
}

/* A key is complete: what was waiting for it may be, too. False: too many. */
static bool complete(struct parse *p)
{
	for (;;) {
		struct frame *f = &p->stack[p->depth - 1];

		f->have++;
		switch (f->kind) {
		case FRAME_LIST:
			return f->have == 1 || emit(p, IMAP_K_AND);
		case FRAME_NOT:
			if (!emit(p, IMAP_K_NOT))
				return false;
			break;
		case FRAME_OR:
			if (f->have < 2)
				return true;
			if (!emit(p, IMAP_K_OR))
				return false;
			break;
		}
		p->depth--;
	}
}

static bool get_key(struct parse *p)
{
	if (imap_get(&p->c, "("))
		return push(p, FRAME_LIST);
	if (imap_get(&p->c, "NOT "))
		return push(p, FRAME_NOT);
	if (imap_get(&p->c, "OR "))
		return push(p, FRAME_OR);
	if (!get_leaf(p) || !complete(p))
		return false;
	while (p->depth > 1 && p->stack[p->depth - 1].kind == FRAME_LIST && imap_get(&p->c, ")")) {
		p->depth--;
		if (!complete(p))
			return false;
	}
	return imap_get_end(&p->c) || imap_get_space(&p->c);
}

static bool get_keys(struct parse *p)
{
	(void)push(p, FRAME_LIST);
	do {
		if (!get_key(p))
			return false;
	} while (!imap_get_end(&p->c));
	return p->depth == 1 && p->stack[0].have > 0;
}

/* "RETURN (MIN MAX ...) " */
static bool get_returns(struct parse *p)
{
	static const char *const names[] = {"MIN", "MAX", "ALL", "COUNT", "SAVE"};
	struct span name;

	if (!imap_get(&p->c, "RETURN ("))
		return true;
	p->q->is_extended = true;
	if (!imap_get(&p->c, ")")) {
		do {
			unsigned bit = 0;

			if (!imap_get_atom(&p->c, &name))
				return false;
			for (unsigned i = 0; i < 5; i++)
				bit |= span_eq_nocase(name, span_str(names[i])) ? 1u << i : 0;
			if (!bit)
				return false;
			p->q->returns |= bit;
		} while (imap_get_space(&p->c));
		if (!imap_get(&p->c, ")"))
			return false;
	}
	return imap_get_space(&p->c);
}

/* False: answered. */
static bool get_charset(struct parse *p)
{
	struct span name;

	if (!imap_get(&p->c, "CHARSET "))
		return true;
	if (!imap_get_astring(&p->w->arena, &p->c, &name) || !imap_get_space(&p->c)) {
		imap_bad(p->s, p->w, "CHARSET wants a name");
		return false;
	}
	if (span_eq_nocase(name, SPAN_LIT("UTF-8")) || span_eq_nocase(name, SPAN_LIT("US-ASCII")))
		return true;
	imap_finish(p->w, "NO [BADCHARSET (US-ASCII UTF-8)] This charset is not known");
	return false;
}

/* ---- the command ---- */

static void release_search(struct imap_work *w)
{
	struct imap_search *q = w->data;

	for (size_t i = 0; i < q->n; i++) {
		imap_set_clear(&q->nodes[i].uids);
		imap_set_clear(&q->nodes[i].unknown);
	}
	imap_set_clear(&q->all);
	imap_set_clear(&q->found);
	imap_batch_end(&q->batch);
	imap_search_close(q);
	buf_fini(&q->header);
}

static bool on_uid(void *to, uint32_t uid)
{
	imap_set_add(to, uid, uid);
	return true;
}

struct index_answer {
	struct imap_node *node;
};

static bool on_found(void *to, uint32_t uid)
{
	return on_uid(&((struct index_answer *)to)->node->uids, uid);
}

static bool on_unknown(void *to, struct mail_range uids)
{
	imap_set_add(&((struct index_answer *)to)->node->unknown, uids.first, uids.last);
	return true;
}

/* What the index knows, once for each text. */
static void ask_index(struct imap_server *s, struct imap_search *q)
{
	for (size_t i = 0; i < q->n; i++) {
		struct index_answer answer = {&q->nodes[i]};

		if (q->nodes[i].key != IMAP_K_TEXT || q->nodes[i].text.n == 0)
			continue;
		if (s->store.ops->search(s->store.arg, s->box->id, q->nodes[i].where,
					 q->nodes[i].text, on_found, on_unknown, &answer,
					 NULL) == OK)
			continue;
		imap_set_clear(&q->nodes[i].uids);
		imap_set_clear(&q->nodes[i].unknown);
		q->nodes[i].is_unknown = true;
	}
}

void imap_on_search(struct imap_server *s, struct imap_work *w)
{
	struct imap_search *q = arena_alloc(&w->arena, sizeof *q);
	struct parse p = {.s = s, .w = w, .q = q, .c = w->args};
	uint32_t last = imap_map_last(&s->box->map);

	q->nodes = arena_array(&w->arena, IMAP_KEYS_LIMIT, sizeof *q->nodes);
	w->data = q;
	w->release = release_search;
	if (!imap_get_space(&p.c) || !get_returns(&p)) {
		imap_bad(s, w, "SEARCH wants keys");
		return;
	}
	if (!get_charset(&p))
		return;
	if (!get_keys(&p)) {
		imap_bad(s, w,
			 p.texts > IMAP_TEXTS_LIMIT ? "Too many texts to look for at once"
			 : p.is_range_bad	    ? "There are not so many messages"
						    : "That is nothing to search for");
		return;
	}
	if ((q->is_extended || s->is_rev2) && q->returns == 0)
		q->returns = IMAP_R_ALL;
	ask_index(s, q);
	if (last)
		imap_set_add(&q->all, 1, last);
	imap_batch_begin(&q->batch, &q->all);
	w->run = imap_run_search;
}

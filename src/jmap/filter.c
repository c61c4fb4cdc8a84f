#include "jmap/filter.h"

#include <stdlib.h>

#include "jmap/email.h"
#include "jmap/operators.h"
#include "mail/text.h"

/* ---- words ---- */

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A phrase at the front, with its quotes; false: the quote is not closed. */
static bool phrase(struct span *rest, struct buf *out)
{
	unsigned char quote = rest->p[0];

	for (size_t i = 1; i < rest->n; i++) {
		unsigned char c = rest->p[i];

		if (c == quote) {
			*rest = span_from(*rest, i + 1);
			return true;
		}
		if (c == '\\' && i + 1 < rest->n &&
		    (rest->p[i + 1] == '"' || rest->p[i + 1] == '\'' || rest->p[i + 1] == '\\'))
			c = rest->p[++i];
		(void)buf_append_byte(out, c);
	}
	buf_clear(out);
	return false;
}

bool jmap_word_next(struct span *rest, struct buf *out)
{
	size_t n = 0;

	buf_clear(out);
	while (rest->n && is_blank(rest->p[0]))
		*rest = span_from(*rest, 1);
	if (rest->n == 0)
		return false;
	if ((rest->p[0] == '"' || rest->p[0] == '\'') && phrase(rest, out))
		return true;
	while (n < rest->n && !is_blank(rest->p[n]))
		n++;
	(void)buf_append(out, span_first(*rest, n));
	*rest = span_from(*rest, n);
	return true;
}

/* ---- nodes ---- */

static struct jmap_node *emit(struct jmap_call *c, struct jmap_filter *f, enum jmap_key key)
{
	if (f->n == JMAP_NODES_LIMIT) {
		(void)jmap_fail(c, "unsupportedFilter", "The filter has more than %d conditions",
				JMAP_NODES_LIMIT);
		return NULL;
	}
	f->nodes[f->n] = (struct jmap_node){.key = key};
	return &f->nodes[f->n++];
}

static bool bad(struct jmap_call *c, const char *name)
{
	return jmap_bad_argument(c, "filter", name);
}

static bool read_box(struct jmap_call *c, struct jmap_filter *f, const json_t *value)
{
	struct jmap_node *n = emit(c, f, JMAP_K_BOX);

	if (!n)
		return false;
	if (!json_is_string(value))
		return bad(c, "inMailbox must be an Id");
	if (!jmap_box_of(jmap_resolved(c, jmap_text(value)), &n->number))
		n->key = JMAP_K_FALSE; /* there is no such mailbox, so nothing in it */
	f->is_mutable = true;
	return true;
}

int jmap_by_number(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return (a > b) - (a < b);
}

static bool read_other(struct jmap_call *c, struct jmap_filter *f, const json_t *value)
{
	struct jmap_node *n = emit(c, f, JMAP_K_BOX_OTHER);
	const json_t *item;
	size_t i;

	if (!n)
		return false;
	if (!json_is_array(value))
		return bad(c, "inMailboxOtherThan must be Ids");
	n->boxes = arena_array(&c->arena, json_array_size(value) + 1, sizeof *n->boxes);
	json_array_foreach(value, i, item)
	{
		if (!json_is_string(item))
			return bad(c, "inMailboxOtherThan must be Ids");
		n->boxes_n += jmap_box_of(jmap_resolved(c, jmap_text(item)), &n->boxes[n->boxes_n]);
	}
	qsort(n->boxes, n->boxes_n, sizeof *n->boxes, jmap_by_number);
	f->is_mutable = true;
	return true;
}

static bool read_date(struct jmap_call *c, struct jmap_filter *f, const json_t *value,
		      enum jmap_key key)
{
	struct jmap_node *n = emit(c, f, key);

	return n && (jmap_utc_read(jmap_text(value), &n->number) ||
		     bad(c, "before and after must be UTCDates"));
}

static bool read_size(struct jmap_call *c, struct jmap_filter *f, const json_t *value,
		      enum jmap_key key)
{
	struct jmap_node *n = emit(c, f, key);

	if (!n)
		return false;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return bad(c, "minSize and maxSize must be UnsignedInts");
	n->number = (uint64_t)json_integer_value(value);
	return true;
}

static bool may_cost(struct jmap_call *c, struct jmap_filter *f)
{
	return f->costly++ < JMAP_COSTLY_LIMIT ||
	       jmap_fail(c, "unsupportedFilter",
			 "At most %d conditions of header fields or threads", JMAP_COSTLY_LIMIT);
}

static bool read_keyword(struct jmap_call *c, struct jmap_filter *f, const json_t *value,
			 enum jmap_key key)
{
	struct jmap_node *n = emit(c, f, key);

	if (!n || (key != JMAP_K_KEYWORD && !may_cost(c, f)))
		return false;
	if (!jmap_is_keyword(jmap_text(value)))
		return bad(c, "a keyword must be a keyword");
	n->word = jmap_text(value);
	n->flag = jmap_keyword_flag(n->word);
	f->is_mutable = true;
	f->has_thread |= key != JMAP_K_KEYWORD;
	return true;
}

static bool negate(struct jmap_call *c, struct jmap_filter *f)
{
	return emit(c, f, JMAP_K_NOT) != NULL;
}

/* All words must be there. */
static bool read_text(struct jmap_call *c, struct jmap_filter *f, const json_t *value,
		      enum mail_text where)
{
	struct span rest = jmap_text(value);
	struct buf word = {0}, folded = {0};
	bool is_fine = json_is_string(value) || bad(c, "what is looked for must be a String");
	unsigned words = 0;

	while (is_fine && jmap_word_next(&rest, &word)) {
		struct jmap_node *n;

		buf_clear(&folded);
		(void)text_fold(buf_span(&word), &folded);
		n = emit(c, f, folded.n ? JMAP_K_TEXT : JMAP_K_TRUE);
		is_fine = n != NULL;
		if (!is_fine)
			break;
		if (n->key == JMAP_K_TEXT && f->words++ == JMAP_WORDS_LIMIT) {
			is_fine = jmap_fail(c, "unsupportedFilter",
					    "At most %d words can be looked for", JMAP_WORDS_LIMIT);
			break;
		}
		n->where = where;
		n->word = arena_span(&c->arena, buf_span(&folded));
		is_fine = words++ == 0 || emit(c, f, JMAP_K_AND);
	}
	if (is_fine && words == 0)
		is_fine = emit(c, f, JMAP_K_TRUE) != NULL;
	buf_fini(&word);
	buf_fini(&folded);
	return is_fine;
}

static bool read_header(struct jmap_call *c, struct jmap_filter *f, const json_t *value)
{
	struct jmap_node *n = emit(c, f, JMAP_K_HEADER);
	struct buf folded = {0};

	if (!n || !may_cost(c, f))
		return false;
	if (!json_is_array(value) || json_array_size(value) < 1 || json_array_size(value) > 2 ||
	    !json_is_string(json_array_get(value, 0)) ||
	    (json_array_size(value) == 2 && !json_is_string(json_array_get(value, 1))))
		return bad(c, "header must be one or two Strings");
	n->name = jmap_text(json_array_get(value, 0));
	n->has_word = json_array_size(value) == 2;
	(void)text_fold(jmap_text(json_array_get(value, 1)), &folded);
	n->word = arena_span(&c->arena, buf_span(&folded));
	buf_fini(&folded);
	f->has_header = true;
	return true;
}

static bool read_attachment(struct jmap_call *c, struct jmap_filter *f, const json_t *value)
{
	struct jmap_node *n = emit(c, f, JMAP_K_ATTACHMENT);

	if (!n)
		return false;
	if (!json_is_boolean(value))
		return bad(c, "hasAttachment must be a Boolean");
	n->value = json_is_true(value);
	return true;
}

/* One property of a FilterCondition. */
static bool read_condition(struct jmap_call *c, struct jmap_filter *f, const char *key,
			   const json_t *value)
{
	static const struct {
		const char *name;
		enum mail_text where;
	} texts[] = {{"text", MAIL_TEXT_ALL}, {"from", MAIL_TEXT_FROM},
		     {"to", MAIL_TEXT_TO},    {"cc", MAIL_TEXT_CC},
		     {"bcc", MAIL_TEXT_BCC},  {"subject", MAIL_TEXT_SUBJECT},
		     {"body", MAIL_TEXT_BODY}};
	struct span name = span_str(key);

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (span_eq(name, span_str(texts[i].name)))
			return read_text(c, f, value, texts[i].where);
	}
	if (strcmp(key, "inMailbox") == 0)
		return read_box(c, f, value);
	if (strcmp(key, "inMailboxOtherThan") == 0)
		return read_other(c, f, value);
	if (strcmp(key, "before") == 0)
		return read_date(c, f, value, JMAP_K_BEFORE);
	if (strcmp(key, "after") == 0)
		return read_date(c, f, value, JMAP_K_AFTER);
	if (strcmp(key, "minSize") == 0)
		return read_size(c, f, value, JMAP_K_MIN);
	if (strcmp(key, "maxSize") == 0)
		return read_size(c, f, value, JMAP_K_MAX);
	if (strcmp(key, "hasKeyword") == 0)
		return read_keyword(c, f, value, JMAP_K_KEYWORD);
	if (strcmp(key, "notKeyword") == 0)
		return read_keyword(c, f, value, JMAP_K_KEYWORD) && negate(c, f);
	if (strcmp(key, "allInThreadHaveKeyword") == 0)
		return read_keyword(c, f, value, JMAP_K_THREAD_ALL);
	if (strcmp(key, "someInThreadHaveKeyword") == 0)
		return read_keyword(c, f, value, JMAP_K_THREAD_SOME);
	if (strcmp(key, "noneInThreadHaveKeyword") == 0)
		return read_keyword(c, f, value, JMAP_K_THREAD_SOME) && negate(c, f);
	if (strcmp(key, "hasAttachment") == 0)
		return read_attachment(c, f, value);
	if (strcmp(key, "header") == 0)
		return read_header(c, f, value);
	return jmap_fail(c, "unsupportedFilter", "There is no condition \"%.60s\"", key);
}

static bool read_conditions(struct jmap_call *c, struct jmap_filter *f, json_t *json)
{
	const char *key;
	json_t *value;
	bool is_first = true;

	json_object_foreach(json, key, value)
	{
		if (json_is_null(value))
			continue;
		if (!read_condition(c, f, key, value) || (!is_first && !emit(c, f, JMAP_K_AND)))
			return false;
		is_first = false;
	}
	return !is_first || emit(c, f, JMAP_K_TRUE);
}

/* ---- the whole ---- */

static bool on_condition(struct jmap_call *c, void *to, json_t *condition)
{
	return read_conditions(c, to, condition);
}

static bool on_join(struct jmap_call *c, void *to, enum jmap_join join)
{
	static const enum jmap_key keys[] = {[JMAP_ALL] = JMAP_K_TRUE,
					     [JMAP_NONE] = JMAP_K_FALSE,
					     [JMAP_NOT] = JMAP_K_NOT,
					     [JMAP_AND] = JMAP_K_AND,
					     [JMAP_OR] = JMAP_K_OR};

	return emit(c, to, keys[join]) != NULL;
}

/* A mailbox that every match must be in, if the filter names one. */
static void find_box(struct jmap_filter *f)
{
	struct jmap_node stack[JMAP_STACK];
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct jmap_node *top = n ? &stack[n - 1] : NULL, *below = n > 1 ? top - 1 : NULL;

		switch (f->nodes[i].key) {
		case JMAP_K_NOT:
			top->key = JMAP_K_TRUE;
			break;
		case JMAP_K_AND:
			if (below->key != JMAP_K_BOX)
				*below = *top;
			n--;
			break;
		case JMAP_K_OR:
			if (top->key != JMAP_K_BOX || below->key != JMAP_K_BOX ||
			    top->number != below->number)
				below->key = JMAP_K_TRUE;
			n--;
			break;
		case JMAP_K_BOX:
			stack[n++] = f->nodes[i];
			break;
		case JMAP_K_TRUE:
		case JMAP_K_FALSE:
		case JMAP_K_BOX_OTHER:
		case JMAP_K_BEFORE:
		case JMAP_K_AFTER:
		case JMAP_K_MIN:
		case JMAP_K_MAX:
		case JMAP_K_KEYWORD:
		case JMAP_K_THREAD_ALL:
		case JMAP_K_THREAD_SOME:
		case JMAP_K_ATTACHMENT:
		case JMAP_K_TEXT:
		case JMAP_K_HEADER:
			stack[n++] = (struct jmap_node){.key = JMAP_K_TRUE};
			break;
		}
	}
	f->has_box = n == 1 && stack[0].key == JMAP_K_BOX;
	f->box = stack[0].number;
}

bool jmap_filter_read(struct jmap_call *c, const json_t *json, struct jmap_filter *out)
{
	static const struct jmap_operators ops = {on_condition, on_join};

	*out = (struct jmap_filter){0};
	out->nodes = arena_array(&c->arena, JMAP_NODES_LIMIT, sizeof *out->nodes);
	if (!jmap_operators_read(c, (json_t *)(uintptr_t)json, &ops, out))
		return false;
	find_box(out);
	return true;
}

void jmap_filter_forget(struct jmap_filter *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->nodes[i].found.uids);
		free(f->nodes[i].found.unknown);
		f->nodes[i].found = (struct jmap_found){0};
	}
}

#include "config/tree.h"

#include <yaml.h>

#include "base/must.h"

struct reader {
	struct config_context *c;
	yaml_parser_t yaml;
	struct tree *root;
	struct tree *open; /* the map or list that is being filled */
	unsigned depth;
	size_t nodes;
	bool has_key; /* in a map: the key was read, its value follows */
	struct span key;
	unsigned key_line, key_column;
	bool is_over; /* a second document began, or a limit was passed */
};

static unsigned mark_line(yaml_mark_t m)
{
	return (unsigned)(m.line & 0x7fffffff) + 1;
}

static unsigned mark_column(yaml_mark_t m)
{
	return (unsigned)(m.column & 0x7fffffff) + 1;
}

struct tree *tree_get(struct tree *node, const char *key)
{
	if (!node || node->kind != TREE_MAP)
		return NULL;
	for (struct tree *at = node->first; at; at = at->next) {
		if (span_eq(at->key, span_str(key)))
			return at;
	}
	return NULL;
}

struct tree *tree_item(struct tree *list, size_t at)
{
	struct tree *item = list ? list->first : NULL;

	while (item && at--)
		item = item->next;
	return item;
}

static void stop(struct reader *r, yaml_mark_t at, const char *hint, const char *text)
{
	config_bad(r->c, mark_line(at), mark_column(at), hint, "%s", text);
	r->is_over = true;
}

static void say_duplicate(struct reader *r, yaml_mark_t at)
{
	for (struct tree *other = r->open->first; other; other = other->next) {
		if (!span_eq(other->key, r->key))
			continue;
		config_bad(r->c, mark_line(at), mark_column(at), "remove one of them",
			   "duplicate key `%s`, given before in line %u", config_show(r->c, r->key),
			   other->key_line);
		r->c->is_hard = true;
		return;
	}
}

/* A key of the open map. */
static void take_key(struct reader *r, const yaml_event_t *event)
{
	if (event->type != YAML_SCALAR_EVENT) {
		stop(r, event->start_mark, "a key is a plain word",
		     "a key cannot be a list or mapping");
		return;
	}
	r->key = arena_span(r->c->arena,
			    span_of(event->data.scalar.value, event->data.scalar.length));
	r->key_line = mark_line(event->start_mark);
	r->key_column = mark_column(event->start_mark);
	r->has_key = true;
	if (r->open->n >= TREE_KEYS)
		stop(r, event->start_mark, NULL, "a mapping has too many keys");
	else
		say_duplicate(r, event->start_mark);
}

static struct tree *add_node(struct reader *r, enum tree_kind kind, yaml_mark_t at)
{
	struct tree *node = arena_alloc(r->c->arena, sizeof *node);

	*node = (struct tree){
		.kind = kind, .line = mark_line(at), .column = mark_column(at), .parent = r->open};
	if (r->open && r->open->kind == TREE_MAP) {
		node->key = r->key;
		node->key_line = r->key_line;
		node->key_column = r->key_column;
		r->has_key = false;
	}
	if (!r->open) {
		r->root = node;
		return node;
	}
	if (r->open->last)
		r->open->last->next = node;
	else
		r->open->first = node;
	r->open->last = node;
	r->open->n++;
	return node;
}

static const char *forbidden(const yaml_event_t *event)
{
	switch ((int)event->type) {
	case YAML_ALIAS_EVENT:
		return "an alias (*name) is not allowed here";
	case YAML_SCALAR_EVENT:
		if (event->data.scalar.anchor)
			return "an anchor (&name) is not allowed here";
		return event->data.scalar.tag ? "a tag (!name) is not allowed here" : NULL;
	case YAML_SEQUENCE_START_EVENT:
		if (event->data.sequence_start.anchor)
			return "an anchor (&name) is not allowed here";
		return event->data.sequence_start.tag ? "a tag (!name) is not allowed here" : NULL;
	case YAML_MAPPING_START_EVENT:
		if (event->data.mapping_start.anchor)
			return "an anchor (&name) is not allowed here";
		return event->data.mapping_start.tag ? "a tag (!name) is not allowed here" : NULL;
	default:
		return NULL;
	}
}

static void take_scalar(struct reader *r, const yaml_event_t *event)
{
	struct tree *node = add_node(r, TREE_SCALAR, event->start_mark);

	node->text = arena_span(r->c->arena,
				span_of(event->data.scalar.value, event->data.scalar.length));
	node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (memchr(node->text.p, '\0', node->text.n))
		stop(r, event->start_mark, NULL, "a value cannot hold a NUL byte");
}

static void take_value(struct reader *r, const yaml_event_t *event)
{
	const char *why = forbidden(event);

	if (why) {
		stop(r, event->start_mark, "write the value out", why);
		return;
	}
	if (++r->nodes > TREE_NODES) {
		stop(r, event->start_mark, "put long lists of recipients into a file of their own",
		     "the configuration has too many values");
		return;
	}
	if (r->open && r->open->kind == TREE_MAP && !r->has_key) {
		take_key(r, event);
		return;
	}
	if (event->type == YAML_SCALAR_EVENT) {
		take_scalar(r, event);
		return;
	}
	if (++r->depth > TREE_DEPTH) {
		stop(r, event->start_mark, NULL, "nested too deeply");
		return;
	}
	r->open = add_node(r, event->type == YAML_MAPPING_START_EVENT ? TREE_MAP : TREE_LIST,
			   event->start_mark);
}

static void take_event(struct reader *r, const yaml_event_t *event)
{
	switch ((int)event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->root)
			stop(r, event->start_mark, "remove the line `---` and what follows",
			     "a second document");
		return;
	case YAML_SCALAR_EVENT:
	case YAML_ALIAS_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		take_value(r, event);
		return;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		must(r->open != NULL);
		r->open = r->open->parent;
		r->depth--;
		/* Back in the outer map, its key has been used up. */
		r->has_key = false;
		return;
	default:
		return;
	}
}

/* libyaml's own words, with what usually causes them. */
static void say_syntax(struct reader *r, struct span text)
{
	const yaml_parser_t *y = &r->yaml;
	yaml_mark_t at = y->problem_mark;
	const char *what = y->problem ? y->problem : "not readable as YAML";
	const char *hint = NULL;

	if (y->error == YAML_READER_ERROR) {
		config_bad(r->c, 0, 0, "save it as UTF-8", "not readable as text: %s at byte %zu",
			   what, y->problem_offset);
		return;
	}
	if (at.index < text.n && text.p[at.index] == '\t')
		hint = "indent with blanks, not with tabs";
	else if (strstr(what, "could not find expected ':'"))
		hint = "a key is followed by a colon and a blank";
	else if (strstr(what, "mapping values are not allowed"))
		hint = "check the indentation of this line and of the line before";
	else if (strstr(what, "did not find expected ',' or"))
		hint = "a bracket is not closed, or a comma is missing";
	else if (strstr(what, "did not find expected key") || strstr(what, "expected '-'"))
		hint = "check the indentation; keys of one level start in the same column";
	if (y->context && y->context_mark.line != at.line)
		config_bad(r->c, mark_line(at), mark_column(at), hint,
			   "%s, %s that began in line %u", what, y->context,
			   mark_line(y->context_mark));
	else
		config_bad(r->c, mark_line(at), mark_column(at), hint, "%s", what);
}

struct tree *tree_read(struct config_context *c, struct span text)
{
	struct reader r = {.c = c};
	bool is_done = false;

	must(yaml_parser_initialize(&r.yaml));
	yaml_parser_set_input_string(&r.yaml, text.p ? text.p : (const unsigned char *)"", text.n);
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
	while (!is_done && !r.is_over) {
		yaml_event_t event;

		if (!yaml_parser_parse(&r.yaml, &event)) {
			say_syntax(&r, text);
			r.is_over = true;
			break;
		}
		is_done = event.type == YAML_STREAM_END_EVENT;
		take_event(&r, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&r.yaml);
	return r.is_over ? NULL : r.root;
}

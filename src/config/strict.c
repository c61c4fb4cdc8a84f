/*
 * Walks the tree and the schema side by side, with a stack of its own (the tree is at most TREE_DEPTH deep), and says
 * everything that libcyaml would refuse, in words, at its place, and what it would let pass: "maybe" as a boolean,
 * "0x19" as a number, empty values.
 */
#include "config/strict.h"

#include "base/buf.h"
#include "base/must.h"
#include "config/schema.h"
#include "config/suggest.h"
#include "config/tree.h"

enum { WALK_DEPTH = 16 };

/* Keys that are planned and that other versions may know; say so instead of "unknown". */
static const char *const later_keys[] = {"contacts", NULL};

/* ---- walking the schema ---- */

struct walk {
	const cyaml_schema_field_t *field[WALK_DEPTH];
	char path[WALK_DEPTH][160];
	unsigned depth;
};

static const cyaml_schema_field_t *inner_fields(const cyaml_schema_value_t *v)
{
	if (v->type == CYAML_SEQUENCE)
		v = v->sequence.entry;
	return v->type == CYAML_MAPPING ? v->mapping.fields : NULL;
}

static void walk_begin(struct walk *w)
{
	*w = (struct walk){.field = {schema_root.mapping.fields}};
}

/* The next key in order, parents before children; NULL at the end. *out_name lives until the next call. */
static const cyaml_schema_field_t *walk_next(struct walk *w, const char **out_name)
{
	while (!w->field[w->depth]->key) {
		if (w->depth == 0)
			return NULL;
		w->depth--;
	}
	const cyaml_schema_field_t *here = w->field[w->depth]++;
	const cyaml_schema_field_t *inner = inner_fields(&here->value);
	char *name = w->path[w->depth];

	(void)snprintf(name, sizeof w->path[0], "%s%s%s%s", w->depth ? w->path[w->depth - 1] : "",
		       w->depth ? "." : "", here->key,
		       here->value.type == CYAML_SEQUENCE && inner ? "[]" : "");
	*out_name = name;
	if (inner && w->depth + 1 < WALK_DEPTH)
		w->field[++w->depth] = inner;
	return here;
}

void config_each_key(void (*on_key)(void *arg, const char *name), void *arg)
{
	struct walk w;
	const char *name;

	walk_begin(&w);
	while (walk_next(&w, &name))
		on_key(arg, name);
}

/* ---- keys ---- */

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *fields, struct span key)
{
	for (const cyaml_schema_field_t *f = fields; f->key; f++) {
		if (span_eq(key, span_str(f->key)))
			return f;
	}
	return NULL;
}

/* Where else a key of this name belongs, "" if nowhere. */
static const char *other_place(struct config_context *c, struct span key)
{
	struct walk w;
	const char *name;
	const cyaml_schema_field_t *f;

	walk_begin(&w);
	while ((f = walk_next(&w, &name))) {
		if (span_eq(key, span_str(f->key)))
			return config_text(c, "it belongs at `%s`; check the indentation", name);
	}
	return "";
}

static const char *known_keys(struct config_context *c, const cyaml_schema_field_t *fields)
{
	struct buf list = {0};
	const char *text;

	for (const cyaml_schema_field_t *f = fields; f->key; f++)
		buf_printf(&list, "%s%s", f == fields ? "" : ", ", f->key);
	text = config_text(c, "known here: %s", buf_cstr(&list));
	buf_fini(&list);
	return text;
}

static void unknown_key(struct config_context *c, const struct tree *node,
			const cyaml_schema_field_t *fields)
{
	struct suggest s;
	const char *hint;

	for (const char *const *k = later_keys; *k; k++) {
		if (span_eq(node->key, span_str(*k))) {
			config_bad(c, node->key_line, node->key_column, "remove it",
				   "`%s` is not in this version", *k);
			return;
		}
	}
	suggest_begin(&s, node->key);
	for (const cyaml_schema_field_t *f = fields; f->key; f++)
		suggest_offer(&s, f->key);
	hint = s.best ? config_text(c, "did you mean `%s`?", s.best) : other_place(c, node->key);
	if (!*hint)
		hint = known_keys(c, fields);
	config_bad(c, node->key_line, node->key_column, hint, "unknown key `%s`",
		   config_show(c, node->key));
}

static void check_map(struct config_context *c, struct tree *node,
		      const cyaml_schema_field_t *fields)
{
	for (struct tree *at = node->first; at; at = at->next) {
		if (!find_field(fields, at->key))
			unknown_key(c, at, fields);
	}
	for (const cyaml_schema_field_t *f = fields; f->key; f++) {
		if ((f->value.flags & CYAML_FLAG_OPTIONAL) || tree_get(node, f->key))
			continue;
		config_bad(c, node->line, node->column, NULL, "the key `%s` is missing%s%s", f->key,
			   node->key.n ? " in an entry of " : "",
			   node->key.n ? config_show(c, node->key) : "");
		c->is_hard = true;
	}
}

/* ---- values ---- */

static void hard(struct config_context *c, const struct tree *node, const char *hint,
		 const char *what)
{
	config_bad(c, node->line, node->column, hint, "%s", what);
	c->is_hard = true;
}

static bool is_null(const struct tree *node)
{
	return node->is_plain && (node->text.n == 0 || span_eq(node->text, SPAN_LIT("~")) ||
				  span_eq_nocase(node->text, SPAN_LIT("null")));
}

static const char *name_of(struct config_context *c, const struct tree *node)
{
	const struct tree *named = node;

	while (named && !named->key.n)
		named = named->parent;
	return named ? config_show(c, named->key) : "the configuration";
}

static void check_bool(struct config_context *c, const struct tree *node)
{
	static const struct {
		const char *text, *hint;
	} meant[] = {
		{"yes", "write true"}, {"on", "write true"},   {"1", "write true"},
		{"no", "write false"}, {"off", "write false"}, {"0", "write false"},
	};
	const char *hint = NULL;

	if (span_eq(node->text, SPAN_LIT("true")) || span_eq(node->text, SPAN_LIT("false")))
		return;
	for (size_t i = 0; i < sizeof meant / sizeof *meant; i++) {
		if (span_eq_nocase(node->text, span_str(meant[i].text)))
			hint = meant[i].hint;
	}
	hard(c, node, hint,
	     config_text(c, "`%s` is true or false, not `%s`", name_of(c, node),
			 config_show(c, node->text)));
}

static void check_number(struct config_context *c, const struct tree *node)
{
	uint64_t value;

	if (span_to_u64(node->text, UINT32_MAX, &value) &&
	    (node->text.n == 1 || node->text.p[0] != '0'))
		return;
	hard(c, node, "write digits only, no unit",
	     config_text(c, "`%s` is a number, not `%s`", name_of(c, node),
			 config_show(c, node->text)));
}

static void check_word(struct config_context *c, const struct tree *node,
		       const cyaml_schema_value_t *v)
{
	struct buf list = {0};
	struct suggest s;
	const char *hint;

	suggest_begin(&s, node->text);
	for (uint32_t i = 0; i < v->enumeration.count; i++) {
		const char *word = v->enumeration.strings[i].str;

		if (span_eq(node->text, span_str(word)))
			goto done;
		suggest_offer(&s, word);
		if (v->enumeration.strings[i].val < SCHEMA_LATER)
			buf_printf(&list, "%s%s", i ? ", " : "", word);
	}
	hint = s.best ? config_text(c, "did you mean `%s`?", s.best)
		      : config_text(c, "choose one of: %s", buf_cstr(&list));
	hard(c, node, hint,
	     config_text(c, "`%s` cannot be `%s`", name_of(c, node), config_show(c, node->text)));
done:
	buf_fini(&list);
}

static void check_scalar(struct config_context *c, const struct tree *node,
			 const cyaml_schema_value_t *v)
{
	if (is_null(node) || node->text.n == 0) {
		hard(c, node, "give a value, or remove the key",
		     config_text(c, "`%s` has no value", name_of(c, node)));
		return;
	}
	if (v->type == CYAML_BOOL)
		check_bool(c, node);
	else if (v->type == CYAML_UINT)
		check_number(c, node);
	else if (v->type == CYAML_ENUM)
		check_word(c, node, v);
	else if (node->text.n > v->string.max)
		hard(c, node, NULL, config_text(c, "`%s` is too long", name_of(c, node)));
}

static void check_list(struct config_context *c, const struct tree *node,
		       const cyaml_schema_value_t *v)
{
	if (node->n < v->sequence.min)
		hard(c, node, NULL, config_text(c, "`%s` is empty", name_of(c, node)));
	if (node->n > v->sequence.max)
		hard(c, node, NULL, config_text(c, "`%s` has too many entries", name_of(c, node)));
}

/* True when node is of the kind that v wants. */
static bool check_kind(struct config_context *c, const struct tree *node,
		       const cyaml_schema_value_t *v)
{
	enum tree_kind want = v->type == CYAML_MAPPING	  ? TREE_MAP
			      : v->type == CYAML_SEQUENCE ? TREE_LIST
							  : TREE_SCALAR;
	const char *hint = NULL;

	if (node->kind == want)
		return true;
	if (node->kind == TREE_SCALAR && is_null(node)) {
		hard(c, node, "give a value, or remove the key",
		     config_text(c, "`%s` has no value", name_of(c, node)));
		return false;
	}
	if (want == TREE_LIST && node->kind == TREE_SCALAR)
		hint = config_text(c, "write %s: [\"%s\"]", name_of(c, node),
				   config_show(c, node->text));
	else if (want == TREE_LIST)
		hint = "begin each entry with `- `";
	hard(c, node, hint,
	     config_text(c, "`%s` must be %s, not %s", name_of(c, node),
			 want == TREE_MAP    ? "a mapping (key: value)"
			 : want == TREE_LIST ? "a list"
					     : "one value",
			 node->kind == TREE_MAP	   ? "a mapping"
			 : node->kind == TREE_LIST ? "a list"
						   : "one value"));
	return false;
}

static void check_one(struct config_context *c, struct tree *node, const cyaml_schema_value_t *v)
{
	if (v->type == CYAML_MAPPING)
		check_map(c, node, v->mapping.fields);
	else if (v->type == CYAML_SEQUENCE)
		check_list(c, node, v);
	else
		check_scalar(c, node, v);
}

/* What the schema says about a child of node; NULL: unknown key. */
static const cyaml_schema_value_t *inner_value(const cyaml_schema_value_t *v,
					       const struct tree *child)
{
	const cyaml_schema_field_t *f;

	if (v->type == CYAML_SEQUENCE)
		return v->sequence.entry;
	f = find_field(v->mapping.fields, child->key);
	return f ? &f->value : NULL;
}

void strict_check(struct config_context *c, struct tree *root)
{
	const cyaml_schema_value_t *value[TREE_DEPTH + 2] = {&schema_root};
	struct tree *at[TREE_DEPTH + 2] = {root};
	unsigned depth = 0;

	for (;;) {
		struct tree *node = at[depth], *next = NULL;
		const cyaml_schema_value_t *v = value[depth];

		if (v && check_kind(c, node, v)) {
			check_one(c, node, v);
			if (node->first) {
				must(depth <= TREE_DEPTH);
				at[++depth] = node->first;
				value[depth] = inner_value(v, node->first);
				continue;
			}
		}
		while (!next) {
			if (depth == 0)
				return;
			next = at[depth]->next;
			if (!next)
				depth--;
		}
		at[depth] = next;
		value[depth] = inner_value(value[depth - 1], next);
	}
}

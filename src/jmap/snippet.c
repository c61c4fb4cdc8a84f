/*
 * SearchSnippet/get (RFC 8621 s5.1). The words of the filter that must be there are looked for in the subject, and in the
 * text as people see it: markup is taken out before anything else is done.
 */
#include "jmap/email.h"
#include "jmap/filter.h"
#include "jmap/mark.h"
#include "jmap/want.h"
#include "mail/html.h"
#include "mail/text.h"

enum { CHUNK = 64 << 10, TEXT_BYTES = 128 << 10, READ_MOST = 8 << 20, LOOKED_BYTES = 512 << 10 };

struct get {
	struct jmap_filter filter;
	struct jmap_words subject, body;
	struct jmap_want want;
	struct jmap_prop props[3], part_props[2];
	json_t *ids; /* ours */
	size_t at;
	json_t *list, *missing;

	json_t *id; /* of the message being read; borrowed of ids */
	struct jmap_view *view;
	struct mail_body *reading;
	uint64_t fed;
};

/* ---- which words ---- */

static void add(struct jmap_words *w, struct span word)
{
	if (w->n < JMAP_MARK_WORDS && word.n)
		w->of[w->n++] = word;
}

/* Leaves under an odd number of NOTs are not looked for: where each value on the stack begins tells which they are. */
static void choose_words(struct get *g)
{
	size_t begins[JMAP_STACK], n = 0;
	bool is_unwanted[JMAP_NODES_LIMIT] = {false};
	const struct jmap_filter *f = &g->filter;

	for (size_t i = 0; i < f->n; i++) {
		if (f->nodes[i].key == JMAP_K_AND || f->nodes[i].key == JMAP_K_OR)
			n--;
		else if (f->nodes[i].key != JMAP_K_NOT)
			begins[n++] = i;
		for (size_t k = f->nodes[i].key == JMAP_K_NOT ? begins[n - 1] : i; k < i; k++)
			is_unwanted[k] = !is_unwanted[k];
	}
	for (size_t i = 0; i < f->n; i++) {
		const struct jmap_node *node = &f->nodes[i];

		if (node->key != JMAP_K_TEXT || is_unwanted[i])
			continue;
		if (node->where == MAIL_TEXT_ALL || node->where == MAIL_TEXT_SUBJECT)
			add(&g->subject, node->word);
		if (node->where == MAIL_TEXT_ALL || node->where == MAIL_TEXT_BODY)
			add(&g->body, node->word);
	}
}

/* The subject, and the values of the text to show. */
static void make_want(struct get *g)
{
	g->props[0] = (struct jmap_prop){.name = "subject", .kind = JMAP_P_HEADER};
	(void)jmap_header_shorthand(SPAN_LIT("subject"), &g->props[0].header);
	g->props[1] = (struct jmap_prop){.name = "textBody", .kind = JMAP_P_TEXT};
	g->props[2] = (struct jmap_prop){.name = "bodyValues", .kind = JMAP_P_VALUES};
	g->part_props[0] = (struct jmap_prop){.name = "partId", .kind = JMAP_B_PART_ID};
	g->part_props[1] = (struct jmap_prop){.name = "type", .kind = JMAP_B_TYPE};
	g->want = (struct jmap_want){.props = g->props,
				     .props_n = g->body.n ? 3 : 1,
				     .body = g->part_props,
				     .body_n = 2,
				     .fetches_text = true,
				     .value_bytes = TEXT_BYTES,
				     .needs_head = true,
				     .needs_body = g->body.n > 0};
}

static bool begin(struct jmap_call *c)
{
	struct get *g = arena_alloc(&c->arena, sizeof *g);
	unsigned most = c->j->service->limits.get;
	json_t *ids, *filter = json_object_get(c->args, "filter");

	c->data = g;
	if (!jmap_args_known(c, "filter emailIds") || !jmap_arg_ids(c, "emailIds", &ids) ||
	    !jmap_filter_read(c, filter, &g->filter))
		return false;
	if (!ids)
		return jmap_bad_argument(c, "emailIds", "must be given");
	if (json_array_size(ids) > most)
		return jmap_fail(c, "requestTooLarge", "At most %u ids", most);
	choose_words(g);
	make_want(g);
	g->ids = jmap_unique(ids);
	g->list = json_array();
	g->missing = json_array();
	(void)json_object_set(c->answer, "filter", filter ? filter : json_null());
	(void)json_object_set_new(c->answer, "list", g->list);
	return true;
}

static void close_message(struct jmap_call *c, struct get *g)
{
	if (g->reading)
		c->j->person->store.ops->body_close(g->reading);
	g->reading = NULL;
	jmap_view_free(g->view);
	g->view = NULL;
}

static void end(struct jmap_call *c)
{
	struct get *g = c->data;

	if (!g)
		return;
	close_message(c, g);
	json_decref(g->ids);
	json_decref(g->missing);
}

/* ---- one message ---- */

static json_t *marked(struct span text, const struct jmap_words *words, bool is_subject)
{
	struct buf out = {0};
	bool is_found = is_subject ? jmap_mark_all(text, words, 2000, &out)
				   : jmap_mark_around(text, words, &out);
	json_t *json = is_found ? jmap_json_text(buf_span(&out)) : json_null();

	buf_fini(&out);
	return json;
}

/* What people see of a body part: without markup, one blank for many and for line ends, no character that turns the
 * direction. */
static void plain(struct span value, bool is_html, struct buf *out)
{
	struct buf stripped = {0}, safe = {0};
	struct html_strip strip;

	if (is_html) {
		html_strip_init(&strip);
		(void)html_strip_feed(&strip, value, &stripped);
		value = buf_span(&stripped);
	}
	(void)text_safe(value, &safe);
	for (size_t i = 0; i < safe.n; i++) {
		if (safe.p[i] != ' ' || (out->n && out->p[out->n - 1] != ' '))
			(void)buf_append_byte(out, safe.p[i]);
	}
	if (out->n && out->p[out->n - 1] == ' ')
		out->n--;
	buf_fini(&stripped);
	buf_fini(&safe);
}

static json_t *body_mark(const struct get *g, const json_t *email)
{
	const json_t *part, *values = json_object_get(email, "bodyValues");
	size_t i, looked = 0;

	json_array_foreach(json_object_get(email, "textBody"), i, part)
	{
		const char *id = json_string_value(json_object_get(part, "partId"));
		struct span type = jmap_text(json_object_get(part, "type"));
		const json_t *value =
			json_object_get(json_object_get(values, id ? id : ""), "value");
		struct buf text = {0};
		json_t *mark;

		looked += jmap_text(value).n;
		if (looked > LOOKED_BYTES)
			break;
		plain(jmap_text(value), span_eq(type, SPAN_LIT("text/html")), &text);
		mark = marked(buf_span(&text), &g->body, false);
		buf_fini(&text);
		if (!json_is_null(mark))
			return mark;
		json_decref(mark);
	}
	return json_null();
}

static void put(struct get *g, const json_t *email)
{
	json_t *one = json_object();
	struct buf subject = {0};

	(void)text_safe(jmap_text(json_object_get(email, "subject")), &subject);
	(void)json_object_set(one, "emailId", g->id);
	(void)json_object_set_new(one, "subject", marked(buf_span(&subject), &g->subject, true));
	(void)json_object_set_new(one, "preview", body_mark(g, email));
	(void)json_array_append_new(g->list, one);
	buf_fini(&subject);
}

/* False: the call has failed. */
static bool open_message(struct jmap_call *c, struct get *g)
{
	const struct mail_store *store = &c->j->person->store;
	struct mail_email_id id;
	struct jmap_places places = {0};
	struct fault why = {0};
	enum rc rc = REFUSED;

	g->id = json_array_get(g->ids, g->at++);
	if (jmap_email_of(jmap_text(g->id), &id))
		rc = jmap_places_read(store, id, &places, &why);
	jmap_places_fini(&places);
	if (rc == REFUSED)
		return json_array_append(g->missing, g->id) == 0;
	if (rc == OK)
		g->view = jmap_view_new(&g->want, SPAN_LIT("G"), false);
	if (rc == OK && !g->view)
		rc = LATER;
	if (rc == OK)
		rc = store->ops->body_open(store->arg, id.number, id.form, &g->reading, &why);
	if (rc != OK)
		g->reading = NULL;
	g->fed = 0;
	return rc == OK || rc == REFUSED || jmap_store_failed(c, rc, &why);
}

/* True: as much as is looked at has been read. */
static bool read_on(struct jmap_call *c, struct get *g)
{
	const struct mail_store_ops *ops = c->j->person->store.ops;
	uint64_t all = g->reading ? ops->body_bytes(g->reading) : 0;
	uint64_t until = g->fed + JMAP_STEP_BYTES;

	all = all < READ_MOST ? all : READ_MOST;
	while (g->fed < all && !jmap_view_has_enough(g->view)) {
		struct span piece;

		if (g->fed >= until)
			return false;
		if (ops->body_read(g->reading, g->fed, CHUNK, &piece, NULL) != OK || piece.n == 0)
			break;
		jmap_view_feed(g->view, piece);
		g->fed += piece.n;
	}
	return true;
}

static enum jmap_step step(struct jmap_call *c)
{
	struct get *g = c->data;
	json_t *email;

	if (!g->view && g->at == json_array_size(g->ids)) {
		(void)json_object_set(c->answer, "notFound",
				      json_array_size(g->missing) ? g->missing : json_null());
		return JMAP_DONE;
	}
	if (!g->view && !open_message(c, g))
		return JMAP_DONE;
	if (!g->view || !read_on(c, g))
		return JMAP_AGAIN;
	email = json_object();
	(void)jmap_view_end(g->view, email);
	put(g, email);
	json_decref(email);
	close_message(c, g);
	return JMAP_AGAIN;
}

const struct jmap_method jmap_snippet_get = {"SearchSnippet/get", JMAP_CAN_MAIL, begin, step, end};

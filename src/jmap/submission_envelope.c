/* Who sends to whom (RFC 8621 s7, s7.5): as the client says, or as the header does. */
#include "base/map.h"
#include "jmap/submission.h"
#include "mail/field.h"
#include "mail/header.h"

struct gather {
	struct jmap_call *c;
	struct jmap_envelope *e;
	struct map seen; /* keys of addresses */
	json_t *invalid;
	bool is_full;
	struct span first; /* of the field at hand */
};

static void begin(struct gather *g, struct jmap_call *c, struct jmap_envelope *e)
{
	*g = (struct gather){.c = c, .e = e, .invalid = json_array()};
	map_init(&g->seen);
	e->rcpts = arena_array(&c->arena, JMAP_RECIPIENTS_MOST, sizeof *e->rcpts);
	e->n = 0;
}

static void add(struct gather *g, struct span text)
{
	struct address a;
	char key[ADDRESS_TEXT_BYTES];
	size_t n;

	if (address_parse(text, true, &a) != ADDRESS_FINE) {
		(void)json_array_append_new(g->invalid, jmap_json_text(text));
		return;
	}
	n = address_key(&a, key);
	if (map_get(&g->seen, span_of(key, n)))
		return;
	if (g->e->n == JMAP_RECIPIENTS_MOST) {
		g->is_full = true;
		return;
	}
	(void)map_put(&g->seen, span_of(key, n), g);
	g->e->rcpts[g->e->n++] = arena_span(&g->c->arena, address_span(&a));
}

static json_t *end(struct gather *g)
{
	json_t *error = NULL;

	map_fini(&g->seen, NULL);
	if (json_array_size(g->invalid)) {
		error = jmap_set_error("invalidRecipients", NULL,
				       "An address is not written right");
		(void)json_object_set(error, "invalidRecipients", g->invalid);
	} else if (g->is_full) {
		error = jmap_set_error("tooManyRecipients", NULL, "At most %d recipients",
				       JMAP_RECIPIENTS_MOST);
		(void)json_object_set_new(error, "maxRecipients",
					  json_integer(JMAP_RECIPIENTS_MOST));
	} else if (g->e->n == 0) {
		error = jmap_set_error("noRecipients", NULL, "There is nobody to send it to");
	}
	json_decref(g->invalid);
	return error;
}

/* ---- as the client says ---- */

static json_t *malformed(void)
{
	return jmap_set_error("invalidProperties", "envelope",
			      "must have mailFrom and rcptTo, without parameters");
}

/* {email, parameters}: there are none that could be given. */
static bool read_address(const json_t *value, struct span *out)
{
	const json_t *parameters = json_object_get(value, "parameters");
	const json_t *email = json_object_get(value, "email");

	if (!json_is_string(email) ||
	    (parameters && !json_is_null(parameters) && json_object_size(parameters) > 0))
		return false;
	*out = jmap_text(email);
	return true;
}

json_t *jmap_envelope_read(struct jmap_call *c, json_t *envelope, struct jmap_envelope *out)
{
	json_t *rcpts = json_object_get(envelope, "rcptTo"), *item;
	struct span text;
	struct address a;
	struct gather g;
	size_t i;

	if (!json_is_array(rcpts) || !read_address(json_object_get(envelope, "mailFrom"), &text))
		return malformed();
	if (text.n && address_parse(text, true, &a) != ADDRESS_FINE)
		return malformed();
	out->sender = text.n ? arena_span(&c->arena, address_span(&a)) : SPAN_LIT("");
	begin(&g, c, out);
	json_array_foreach(rcpts, i, item)
	{
		if (!read_address(item, &text)) {
			json_t *error = end(&g);

			json_decref(error);
			return malformed();
		}
		add(&g, text);
	}
	return end(&g);
}

/* ---- as the header says ---- */

static struct span joined(struct gather *g, const struct field_address *a)
{
	struct buf text = {0};
	struct span out;
	bool is_plain = true;

	for (size_t i = 0; i < a->local.n; i++)
		is_plain =
			is_plain && a->local.p[i] > 32 && !strchr("\"(),:;<>@[\\]", a->local.p[i]);
	if (!is_plain)
		(void)buf_append_byte(&text, '"');
	for (size_t i = 0; i < a->local.n; i++) {
		if (a->local.p[i] == '"' || a->local.p[i] == '\\')
			(void)buf_append_byte(&text, '\\');
		(void)buf_append_byte(&text, a->local.p[i]);
	}
	if (!is_plain)
		(void)buf_append_byte(&text, '"');
	if (a->domain.p) {
		(void)buf_append_byte(&text, '@');
		(void)buf_append(&text, a->domain);
	}
	out = arena_span(&g->c->arena, buf_span(&text));
	buf_fini(&text);
	return out;
}

static bool on_rcpt(void *arg, const struct field_address *a)
{
	struct gather *g = arg;

	if (a->kind == FIELD_MAILBOX)
		add(g, joined(g, a));
	return !g->is_full;
}

static bool on_first(void *arg, const struct field_address *a)
{
	struct gather *g = arg;

	if (a->kind != FIELD_MAILBOX)
		return true;
	g->first = joined(g, a);
	return false;
}

bool jmap_envelope_allows(struct span send_as, struct span address)
{
	struct address a, base, own;

	if (address_parse(address, true, &a) != ADDRESS_FINE)
		return false;
	if (send_as.n && send_as.p[0] == '@')
		return span_eq_nocase(address_domain(&a), span_from(send_as, 1));
	if (address_parse(send_as, true, &own) != ADDRESS_FINE)
		return false;
	return span_eq_nocase(address_span(&a), address_span(&own)) ||
	       (address_without_detail(&a, &base) &&
		span_eq_nocase(address_span(&base), address_span(&own)));
}

static void first_of(struct gather *g, struct span value, struct span *out)
{
	g->first = SPAN_NONE;
	(void)field_addresses(value, on_first, g);
	if (g->first.n)
		*out = g->first;
}

json_t *jmap_envelope_from(struct jmap_call *c, struct span header, struct span send_as,
			   struct jmap_envelope *out)
{
	struct span name, value, whole, from = SPAN_NONE, sender = SPAN_NONE;
	struct address a;
	struct gather g;
	json_t *error;

	begin(&g, c, out);
	while (header_next(&header, &name, &value, &whole)) {
		if (span_eq_nocase(name, SPAN_LIT("From")))
			first_of(&g, value, &from);
		else if (span_eq_nocase(name, SPAN_LIT("Sender")))
			first_of(&g, value, &sender);
		else if (span_eq_nocase(name, SPAN_LIT("To")) ||
			 span_eq_nocase(name, SPAN_LIT("Cc")) ||
			 span_eq_nocase(name, SPAN_LIT("Bcc")))
			(void)field_addresses(value, on_rcpt, &g);
	}
	error = end(&g);
	if (error)
		return error;
	out->sender = sender.n ? sender : from;
	if (!jmap_envelope_allows(send_as, out->sender))
		out->sender = send_as;
	if (address_parse(out->sender, true, &a) != ADDRESS_FINE)
		return jmap_set_error("forbiddenMailFrom", NULL,
				      "The message's author is not this identity");
	out->sender = arena_span(&c->arena, address_span(&a));
	return NULL;
}

json_t *jmap_envelope_json(const struct jmap_envelope *e)
{
	json_t *o = json_object(), *rcpts = json_array();

	for (size_t i = 0; i < e->n; i++) {
		json_t *one = json_object();

		(void)json_object_set_new(one, "email", jmap_json_text(e->rcpts[i]));
		(void)json_object_set_new(one, "parameters", json_null());
		(void)json_array_append_new(rcpts, one);
	}
	(void)json_object_set_new(o, "mailFrom", json_object());
	(void)json_object_set_new(json_object_get(o, "mailFrom"), "email",
				  jmap_json_text(e->sender));
	(void)json_object_set_new(json_object_get(o, "mailFrom"), "parameters", json_null());
	(void)json_object_set_new(o, "rcptTo", rcpts);
	return o;
}

/*
 * A pointer is worked off token by token on a list of values: one to begin with; "*" puts an array's items in its place. In
 * the end what came by "*" is one array, with arrays in it laid flat.
 */
#include "jmap/reference.h"

#include <stdlib.h>

struct spread {
	json_t **values; /* borrowed */
	size_t n, cap;
};

static bool add(struct spread *s, json_t *value)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		json_t **more = reallocarray(s->values, cap, sizeof(json_t *));

		if (!more)
			return false;
		s->values = more;
		s->cap = cap;
	}
	s->values[s->n++] = value;
	return true;
}

/* "~1" is "/", "~0" is "~". False: another "~", or too long. */
static bool unescape(struct span token, char out[256])
{
	size_t n = 0;

	for (size_t i = 0; i < token.n; i++) {
		unsigned char c = token.p[i];

		if (c == '~') {
			if (++i == token.n || (token.p[i] != '0' && token.p[i] != '1'))
				return false;
			c = token.p[i] == '0' ? '~' : '/';
		}
		if (n == 255)
			return false;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return true;
}

/* What a token (not "*" of an array) names in a value. */
static json_t *child(json_t *value, struct span token)
{
	char name[256];
	uint64_t at;

	if (json_is_object(value))
		return unescape(token, name) ? json_object_get(value, name) : NULL;
	if (!json_is_array(value) || (token.n > 1 && token.p[0] == '0') ||
	    !span_to_u64(token, UINT32_MAX, &at))
		return NULL;
	return json_array_get(value, (size_t)at);
}

static bool apply(struct spread *from, struct spread *to, struct span token, bool *is_spread)
{
	bool is_star = span_eq(token, SPAN_LIT("*"));

	for (size_t i = 0; i < from->n; i++) {
		json_t *value = from->values[i], *item;
		size_t at;

		if (!is_star || !json_is_array(value)) {
			item = child(value, token);
			if (!item || !add(to, item))
				return false;
			continue;
		}
		*is_spread = true;
		json_array_foreach(value, at, item)
		{
			if (!add(to, item))
				return false;
		}
	}
	return true;
}

static json_t *gathered(const struct spread *s)
{
	json_t *out = json_array();

	for (size_t i = 0; i < s->n; i++) {
		if (json_is_array(s->values[i]))
			(void)json_array_extend(out, s->values[i]);
		else
			(void)json_array_append(out, s->values[i]);
	}
	return out;
}

json_t *jmap_pointed(json_t *root, struct span pointer)
{
	struct spread now = {0}, next = {0};
	bool is_spread = false, is_fine = add(&now, root);

	if (pointer.n && pointer.p[0] != '/')
		is_fine = false;
	for (unsigned i = 0; is_fine && pointer.n; i++) {
		struct span token;
		struct spread was = now;

		pointer = span_from(pointer, 1);
		token = pointer;
		for (size_t n = 0; n <= pointer.n; n++) {
			if (n == pointer.n || pointer.p[n] == '/') {
				token = span_first(pointer, n);
				pointer = span_from(pointer, n);
				break;
			}
		}
		next.n = 0;
		is_fine = i < JMAP_POINTER_TOKENS && apply(&now, &next, token, &is_spread);
		now = next;
		next = was;
	}
	root = NULL;
	if (is_fine)
		root = is_spread ? gathered(&now) : json_incref(now.values[0]);
	free(now.values);
	free(next.values);
	return root;
}

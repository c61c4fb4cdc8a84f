#include "jmap/window.h"

bool jmap_window_read(struct jmap_call *c, struct jmap_window *w)
{
	const json_t *limit = json_object_get(c->args, "limit");

	*w = (struct jmap_window){.limit = JMAP_WINDOW_MOST};
	w->has_limit = limit && !json_is_null(limit);
	return jmap_arg_int(c, "position", &w->position) &&
	       jmap_arg_int(c, "anchorOffset", &w->offset) &&
	       jmap_arg_text(c, "anchor", &w->anchor) && jmap_arg_uint(c, "limit", &w->limit) &&
	       jmap_arg_bool(c, "calculateTotal", &w->tells_total);
}

bool jmap_window_say(struct jmap_call *c, const struct jmap_window *w, size_t total, ssize_t anchor,
		     json_t *(*id_of)(const void *rows, size_t i), const void *rows)
{
	int64_t n = (int64_t)total, from = w->position;
	uint64_t limit = w->limit < JMAP_WINDOW_MOST ? w->limit : JMAP_WINDOW_MOST;
	json_t *ids;

	if (w->anchor.p && anchor < 0)
		return jmap_fail(c, "anchorNotFound", "The anchor is not among the results");
	if (w->anchor.p)
		from = anchor + w->offset;
	else if (from < 0)
		from += n;
	from = from < 0 ? 0 : from;
	ids = json_array();
	for (int64_t i = from; i < n && (uint64_t)(i - from) < limit; i++)
		(void)json_array_append_new(ids, id_of(rows, (size_t)i));
	(void)json_object_set_new(c->answer, "position", json_integer(from < n ? from : n));
	(void)json_object_set_new(c->answer, "ids", ids);
	if (w->tells_total)
		(void)json_object_set_new(c->answer, "total", json_integer(n));
	if (w->has_limit ? w->limit > limit : from < n && (uint64_t)(n - from) > limit)
		(void)json_object_set_new(c->answer, "limit", json_integer((json_int_t)limit));
	return true;
}

/* Email/query (RFC 8621 s4.4, RFC 8620 s5.5). */
#include "jmap/window.h"
#include "jmap/query.h"

struct run {
	struct jmap_query query;
	struct jmap_window window;
};

static bool begin(struct jmap_call *c)
{
	struct run *r = arena_alloc(&c->arena, sizeof *r);
	struct mail_state state;

	c->data = r;
	if (!jmap_args_known(c, "filter sort position anchor anchorOffset limit calculateTotal "
				"collapseThreads") ||
	    !jmap_window_read(c, &r->window) || !jmap_state(c, &state) ||
	    !jmap_query_read(c, &r->query))
		return false;
	(void)json_object_set_new(c->answer, "queryState", jmap_state_id(state.modseq));
	(void)json_object_set_new(c->answer, "canCalculateChanges", json_true());
	return true;
}

static void end(struct jmap_call *c)
{
	struct run *r = c->data;

	if (r)
		jmap_query_fini(&r->query);
}

static json_t *id_of(const void *rows, size_t i)
{
	const struct jmap_row *row = (const struct jmap_row *)rows + i;

	return jmap_email_id(row->number, row->form);
}

static ssize_t find(const struct jmap_query *q, struct span id)
{
	struct mail_email_id wanted;

	if (!jmap_email_of(id, &wanted))
		return -1;
	for (size_t i = 0; i < q->rows_n; i++) {
		if (q->rows[i].number == wanted.number && q->rows[i].form == wanted.form)
			return (ssize_t)i;
	}
	return -1;
}

static enum jmap_step step(struct jmap_call *c)
{
	struct run *r = c->data;
	ssize_t anchor = -1;

	switch (jmap_query_run(c, &r->query)) {
	case MORE:
		return JMAP_AGAIN;
	case OK:
		if (r->window.anchor.p)
			anchor = find(&r->query, r->window.anchor);
		(void)jmap_window_say(c, &r->window, r->query.rows_n, anchor, id_of, r->query.rows);
		return JMAP_DONE;
	case EXISTS:
	case REFUSED:
	case LATER:
	case BROKEN:
	case UNSURE:
		break;
	}
	return JMAP_DONE; /* it has failed */
}

const struct jmap_method jmap_email_query = {"Email/query", JMAP_CAN_MAIL, begin, step, end};

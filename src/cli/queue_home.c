/* queue home: what people did here and their server does not have yet, from the views, read-only. */
#include "cli/queue.h"

#include "views/mailbox.h"

struct homes {
	struct queue_ask *q;
	json_t *rows; /* with --json */
	struct buf out;
	uint64_t waiting, decide;
};

static const char *state_of(const struct views_home_row *r)
{
	return r->state == HOME_STATE_DECIDE	 ? "decide"
	       : r->state == HOME_STATE_INTENDED ? "offered"
						 : "waits";
}

static const char *what_of(const struct views_home_row *r)
{
	return r->is_folder ? "folder" : r->is_at_home ? "change" : "message";
}

static json_t *row_json(const struct homes *h, const struct views_home_row *r)
{
	uint64_t now = h->q->now_us;

	return json_pack("{s:o, s:o, s:s, s:s, s:I, s:o, s:I, s:I, s:o}", "account",
			 cli_json_span(r->account), "site", cli_json_span(r->site), "state",
			 state_of(r), "what", what_of(r), "number", (json_int_t)r->number,
			 "subject", cli_json_span(r->subject), "tries", (json_int_t)r->tries,
			 "next_in_s",
			 (json_int_t)(r->next_us > now ? (r->next_us - now) / 1000000 : 0),
			 "reason", cli_json_span(r->why));
}

enum { W_STATE = 8, W_WHAT = 8, W_ACCOUNT = 28 };

static void put_row(struct homes *h, const struct views_home_row *r)
{
	const struct term *t = &h->q->c->term;
	size_t rest = t->width > 70 ? t->width - (W_STATE + W_WHAT + W_ACCOUNT + 4) : 30;

	buf_printf(&h->out, "%s", term_on(t, r->state == HOME_STATE_DECIDE ? INK_RED : INK_PLAIN));
	term_cell(&h->out, span_str(state_of(r)), W_STATE, false);
	buf_printf(&h->out, "%s", term_off(t, r->state == HOME_STATE_DECIDE ? INK_RED : INK_PLAIN));
	term_cell(&h->out, span_str(what_of(r)), W_WHAT, false);
	term_cell(&h->out, r->account, W_ACCOUNT, false);
	term_put(&h->out, r->subject, rest);
	buf_append_byte(&h->out, '\n');
	if (r->why.n) {
		buf_printf(&h->out, "%s        ", term_on(t, INK_DIM));
		term_put(&h->out, r->why, t->width > 40 ? t->width - 8 : 32);
		buf_printf(&h->out, "%s\n", term_off(t, INK_DIM));
	}
}

static bool on_row(void *arg, const struct views_home_row *r)
{
	struct homes *h = arg;

	h->decide += r->state == HOME_STATE_DECIDE;
	h->waiting += r->state != HOME_STATE_DECIDE;
	if (h->rows)
		(void)json_array_append_new(h->rows, row_json(h, r));
	else
		put_row(h, r);
	return true;
}

int cmd_queue_home(struct cli *c)
{
	struct homes h = {.rows = c->is_json ? json_array() : NULL};
	struct queue_ask q;
	struct fault why = {0};
	struct term_text a, b;
	enum rc rc;

	if (!queue_begin(c, &q)) {
		json_decref(h.rows);
		return CLI_NO;
	}
	h.q = &q;
	rc = views_home_each(q.views, on_row, &h, &why);
	views_close(q.views);
	if (rc != OK) {
		json_decref(h.rows);
		buf_fini(&h.out);
		return queue_failed(c, &why);
	}
	if (c->is_json)
		cli_print_json(json_pack("{s:b, s:I, s:I, s:o}", "ok", true, "waiting",
					 (json_int_t)h.waiting, "decide", (json_int_t)h.decide,
					 "changes", h.rows));
	else if (!h.waiting && !h.decide)
		(void)puts("Everything people did here is in their mailboxes at home.");
	else
		(void)printf("%.*s%s to go home, %s to decide (holdfast queue retry --match "
			     "site=NAME tries them again).\n",
			     SPAN_FMT(buf_span(&h.out)), term_count(&a, h.waiting),
			     term_count(&b, h.decide));
	buf_fini(&h.out);
	return CLI_FINE;
}

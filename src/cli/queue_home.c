/* queue home: what people did here and their server does not have yet, from the views, read-only. */
#include "cli/queue.h"

#include "cli/people.h"
#include "views/mailbox.h"

enum { SITES_MAX = 64 };

struct homes {
	struct queue_ask *q;
	json_t *rows; /* with --json */
	struct buf out;
	uint64_t waiting, decide;
	const char *sites[SITES_MAX]; /* where something waits */
	size_t sites_n;
};

enum { W_STATE = 8, W_WHAT = 8, W_ACCOUNT = 28 };

static void put_row(struct homes *h, const struct views_home_row *r)
{
	const struct term *t = &h->q->c->term;
	size_t rest = t->width > 70 ? t->width - (W_STATE + W_WHAT + W_ACCOUNT + 4) : 30;

	buf_printf(&h->out, "%s", term_on(t, r->state == HOME_STATE_DECIDE ? INK_RED : INK_PLAIN));
	term_cell(&h->out, span_str(report_home_state(r)), W_STATE, false);
	buf_printf(&h->out, "%s", term_off(t, r->state == HOME_STATE_DECIDE ? INK_RED : INK_PLAIN));
	term_cell(&h->out, span_str(report_home_what(r)), W_WHAT, false);
	term_cell(&h->out, r->account, W_ACCOUNT, false);
	term_put(&h->out, r->subject, rest);
	buf_append_byte(&h->out, '\n');
	if (r->why.n) {
		buf_printf(&h->out, "%s        ", term_on(t, INK_DIM));
		term_put(&h->out, r->why, t->width > 40 ? t->width - 8 : 32);
		buf_printf(&h->out, "%s\n", term_off(t, INK_DIM));
	}
}

static void note_site(struct homes *h, struct span site)
{
	for (size_t i = 0; i < h->sites_n; i++) {
		if (span_eq(site, span_str(h->sites[i])))
			return;
	}
	if (h->sites_n < SITES_MAX)
		h->sites[h->sites_n++] = arena_str(&h->q->c->arena, site);
}

static bool on_row(void *arg, const struct views_home_row *r)
{
	struct homes *h = arg;

	h->decide += r->state == HOME_STATE_DECIDE;
	h->waiting += r->state != HOME_STATE_DECIDE;
	if (r->state != HOME_STATE_DECIDE)
		note_site(h, r->site);
	if (h->rows)
		(void)json_array_append_new(h->rows, report_home_row(r, h->q->now_us));
	else
		put_row(h, r);
	return true;
}

/* ---- why a site's changes wait ---- */

struct asking {
	const char *name;
	bool is_up;
};

static bool on_site(void *arg, const struct views_site *s)
{
	struct asking *a = arg;

	if (span_eq(s->name, span_str(a->name)))
		a->is_up = span_eq(s->state, SPAN_LIT("up")) ||
			   span_eq(s->state, SPAN_LIT("probation"));
	return true;
}

/* What holds up all of a site. "": nothing is known to. */
static void say_why(struct homes *h, const struct msg_site *site, struct buf *out)
{
	struct asking a = {.name = arena_str(&h->q->c->arena, site->name)};
	struct fault why = {0};

	if (!site->imap_n)
		buf_printf(out,
			   "it has no `imap` in the configuration: after three days people get "
			   "what they sent as a message; marks and moves stay here");
	else if (site->master_user.n &&
		 cli_site_has_password(h->q->c, h->q->data, site) == CLI_LACKS)
		buf_printf(out,
			   "there is no password of its master user: holdfast site password %s",
			   a.name);
	else if (views_each_site(h->q->views, on_site, &a, &why) == OK && !a.is_up)
		buf_printf(out, "it goes when the site is up");
	else if (!site->master_user.n)
		buf_printf(out,
			   "it goes when the person logs in here, or by consent: holdfast user "
			   "consent ADDRESS");
}

static json_t *say_whys(struct homes *h)
{
	json_t *all = json_array();
	struct msg_config config = {0};
	const char *data;
	bool is_complete;

	if (!h->sites_n || !cli_find_data(h->q->c, &data, &config, &is_complete))
		return all;
	for (size_t i = 0; i < config.sites_n; i++) {
		for (size_t k = 0; k < h->sites_n; k++) {
			struct buf text = {0};

			if (!span_eq(config.sites[i].name, span_str(h->sites[k])))
				continue;
			say_why(h, &config.sites[i], &text);
			if (text.n)
				(void)json_array_append_new(all, json_pack("{s:s, s:s}", "site",
									   h->sites[k], "text",
									   buf_cstr(&text)));
			buf_fini(&text);
		}
	}
	return all;
}

static void print(struct homes *h, const json_t *whys)
{
	struct term_text waiting, decide;
	const json_t *one;
	size_t i;

	(void)printf("%.*s", SPAN_FMT(buf_span(&h->out)));
	json_array_foreach(whys, i, one)(void)
		printf("%s: %s\n", json_string_value(json_object_get(one, "site")),
		       json_string_value(json_object_get(one, "text")));
	(void)printf("%s to go home, %s to decide%s.\n", term_count(&waiting, h->waiting),
		     term_count(&decide, h->decide),
		     h->decide ? " (holdfast queue retry --match site=NAME tries them again)" : "");
}

int cmd_queue_home(struct cli *c)
{
	struct homes h = {.rows = c->is_json ? json_array() : NULL};
	struct queue_ask q;
	struct fault why = {0};
	json_t *whys;
	enum rc rc;

	if (!queue_begin(c, &q)) {
		json_decref(h.rows);
		return CLI_NO;
	}
	h.q = &q;
	rc = views_home_each(q.views, on_row, &h, &why);
	whys = say_whys(&h);
	views_close(q.views);
	if (rc != OK) {
		json_decref(h.rows);
		json_decref(whys);
		buf_fini(&h.out);
		return queue_failed(c, &why);
	}
	if (c->is_json)
		cli_print_json(json_pack("{s:b, s:I, s:I, s:o, s:o}", "ok", true, "waiting",
					 (json_int_t)h.waiting, "decide", (json_int_t)h.decide,
					 "changes", h.rows, "sites", whys));
	else if (!h.waiting && !h.decide)
		(void)puts("Everything people did here is in their mailboxes at home.");
	else
		print(&h, whys);
	if (!c->is_json)
		json_decref(whys);
	buf_fini(&h.out);
	return CLI_FINE;
}

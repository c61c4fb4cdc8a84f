/* What people did here and their server does not have yet. */
#include "report/report.h"

const char *report_home_state(const struct views_home_row *r)
{
	return r->state == HOME_STATE_DECIDE	 ? "decide"
	       : r->state == HOME_STATE_INTENDED ? "offered"
						 : "waits";
}

const char *report_home_what(const struct views_home_row *r)
{
	return r->is_folder ? "folder" : r->is_at_home ? "change" : "message";
}

json_t *report_home_row(const struct views_home_row *r, uint64_t now_us)
{
	return json_pack("{s:o, s:o, s:s, s:s, s:I, s:o, s:o, s:I, s:I, s:o}", "account",
			 report_text(r->account), "site", report_text(r->site), "state",
			 report_home_state(r), "what", report_home_what(r), "number",
			 (json_int_t)r->number, "subject", report_text(r->subject), "subject_text",
			 report_header(r->subject), "tries", (json_int_t)r->tries, "next_in_s",
			 (json_int_t)(r->next_us > now_us ? (r->next_us - now_us) / 1000000 : 0),
			 "reason", report_text(r->why));
}

struct homes {
	json_t *rows;
	uint64_t now_us, waiting, decide;
};

static bool on_row(void *arg, const struct views_home_row *r)
{
	struct homes *h = arg;

	h->decide += r->state == HOME_STATE_DECIDE;
	h->waiting += r->state != HOME_STATE_DECIDE;
	if (json_array_size(h->rows) < 1000)
		(void)json_array_append_new(h->rows, report_home_row(r, h->now_us));
	return true;
}

json_t *report_home(struct views *v, uint64_t now_us, struct fault *why)
{
	struct homes h = {.rows = json_array(), .now_us = now_us};

	if (views_home_each(v, on_row, &h, why) == OK)
		return json_pack("{s:b, s:I, s:I, s:o}", "ok", 1, "waiting", (json_int_t)h.waiting,
				 "decide", (json_int_t)h.decide, "changes", h.rows);
	json_decref(h.rows);
	return NULL;
}

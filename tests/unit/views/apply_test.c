/* Records become deliveries, counters, receipts; a rebuild gives the same (O-04); queue acts are judged in order. */
#include "story.h"

static unsigned lines_of(const char *dump, const char *table)
{
	unsigned n = 0;

	for (const char *p = dump; p && *p; p = strchr(p, '\n'), p += p != NULL)
		n += strncmp(p, table, strlen(table)) == 0;
	return n;
}

struct seen {
	unsigned sites, rows, acts, attempts, messages;
	struct views_site site;
	char site_reason[256], receipt[512], result[512], names[512], redirect[128];
	struct views_row row;
};

static bool on_site(void *arg, const struct views_site *s)
{
	struct seen *seen = arg;

	seen->sites++;
	seen->site = *s;
	snprintf(seen->receipt, sizeof seen->receipt, "%.*s", SPAN_FMT(s->drain.receipt));
	return false;
}

static bool on_row(void *arg, const struct views_row *row)
{
	struct seen *seen = arg;

	seen->rows++;
	seen->row = *row;
	snprintf(seen->redirect, sizeof seen->redirect, "%.*s", SPAN_FMT(row->redirect));
	return true;
}

static bool on_act(void *arg, const struct views_act *a)
{
	struct seen *seen = arg;

	seen->acts++;
	snprintf(seen->result, sizeof seen->result, "%.*s", SPAN_FMT(a->result));
	snprintf(seen->names, sizeof seen->names, "%.*s", SPAN_FMT(a->reason));
	return true;
}

static struct seen look(struct views *v)
{
	struct seen seen = {0};
	struct fault why;

	assert_int_equal(views_each_site(v, on_site, &seen, &why), OK);
	return seen;
}

static struct seen list(struct views *v, const char *match)
{
	struct seen seen = {0};
	struct queue_match m = {0};
	struct fault why = {0};
	uint32_t n;

	if (match && queue_match_parse(span_str(match), &m, &why) != OK)
		fail_msg("%s", why.text);
	if (views_queue_list(v, match ? &m : NULL, 1700000000 * SECOND + 3600 * SECOND, UINT64_MAX,
			     0, 1000, on_row, &seen, &n, &why) != OK)
		fail_msg("%s", why.text);
	assert_int_equal(n, seen.rows);
	return seen;
}

/* Two mailboxes, an outage, every way a delivery can end. */
static struct story *a_story(void)
{
	struct story *s = story_new();
	uint64_t m[12];

	story_fact(s, "domain", "", "x.example", "hq");
	story_site(s, "hq", "up");
	story_site(s, "hq", "down");
	for (int i = 0; i < 10; i++)
		m[i] = story_message(s, "hq", i % 2 ? "" : "news@far.example", 1000 + (uint64_t)i,
				     i % 3 ? "a@x.example" : "b@x.example",
				     i == 4 ? "c@x.example" : NULL, NULL);
	story_site(s, "hq", "probation");
	story_intent(s, LANE_COURIER, 1, m[0], 0);
	story_outcome(s, LANE_COURIER, 1, m[0], 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	story_site(s, "hq", "up");
	story_intent(s, LANE_COURIER, 2, m[1], 0);
	story_outcome(s, LANE_COURIER, 2, m[1], 0, ATTEMPT_LOST, DISPOSE_UNSURE);
	story_intent(s, LANE_COURIER, 3, m[1], 0);
	story_outcome(s, LANE_COURIER, 3, m[1], 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	story_outcome(s, LANE_COURIER, 4, m[2], 0, ATTEMPT_4XX, DISPOSE_RETRY);
	story_outcome(s, LANE_COURIER, 5, m[3], 0, ATTEMPT_5XX, DISPOSE_DECIDE);
	story_outcome(s, LANE_COURIER, 6, m[4], 0, ATTEMPT_5XX, DISPOSE_DSN);
	story_intent(s, LANE_COURIER, 7, m[4], 1); /* this courier dies; the next sends it again */
	story_intent(s, LANE_COURIER_2, 8, m[4], 1);
	story_outcome(s, LANE_COURIER_2, 8, m[4], 1, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	for (int i = 5; i < 10; i++) {
		story_intent(s, LANE_COURIER_2, 10 + (uint64_t)i, m[i], 0);
		story_outcome(s, LANE_COURIER_2, 10 + (uint64_t)i, m[i], 0, ATTEMPT_ACCEPTED,
			      DISPOSE_DELIVERED);
	}
	story_message(s, "hq", "live@far.example", 10, "a@x.example", NULL);
	story_intent(s, LANE_COURIER_2, 30, m[2], 0);
	story_outcome(s, LANE_COURIER_2, 30, m[2], 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	return s;
}

static void the_receipt_counts_and_names(void **state)
{
	struct story *s = a_story();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);
	struct seen seen;
	struct fault why;

	(void)state;
	story_apply(s, v, 3 + 10, 7);
	seen = look(v);
	assert_int_equal(seen.site.held, 11);
	assert_int_equal(seen.site.ready, 11);
	assert_int_equal(seen.site.phase, PHASE_DOWN);
	assert_int_equal(seen.site.drain.total, 11);
	story_apply(s, v, s->n - 2, 7);
	seen = look(v);
	assert_string_equal(seen.receipt, ""); /* m[2] still waits */
	assert_int_equal(seen.site.drain.deferred, 1);
	assert_int_equal(seen.site.held, 3); /* m[2], m[3] and the live one */
	story_apply(s, v, s->n, 7);
	seen = look(v);
	assert_string_equal(seen.receipt,
			    "9 of 11 handed back, 2 possible duplicates, 1 needs a decision, "
			    "1 returned to their senders");
	assert_int_equal(seen.site.drain.is_open, false);
	assert_int_equal(seen.site.held, 2);
	assert_int_equal(views_history(v, 1, on_act, &seen, &why), OK);
	assert_non_null(strstr(seen.names, "for a@x.example, "));
	assert_non_null(strstr(seen.names, "for c@x.example"));
	seen.rows = 0;
	assert_int_equal(views_each_unsure(v, SPAN_LIT("hq"), on_row, &seen, &why), OK);
	assert_int_equal(seen.rows, 2);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

/* O-04: whatever the batches, wherever it was interrupted, and after everything was deleted. */
/* P4 the other way round: what the primary has already, or never had, is not handed to it. */
static void copies_are_shown_and_never_queued(void **state)
{
	struct story *s = story_new();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);
	struct seen seen;

	(void)state;
	story_site(s, "hq", "down");
	story_message(s, "hq", "s@far.example", 1, "a@x.example", NULL);
	story_kept(s, "hq", 4, "a@x.example");
	story_kept(s, "hq", 2, "a@x.example");
	story_apply(s, v, s->n, 10);
	seen = look(v);
	assert_int_equal(seen.site.held, 1);
	assert_int_equal(views_next(v), s->n);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void o_04_a_rebuild_gives_the_same(void **state)
{
	struct story *s = a_story();
	char *first = story_dir(), *want, *got;
	struct views *v = story_open(first, NULL);
	char command[256];
	bool is_new;

	(void)state;
	story_apply(s, v, s->n, 1);
	want = story_dump(v);
	assert_true(strlen(want) > 2000);
	views_close(v);
	snprintf(command, sizeof command, "rm -rf '%s/views'", first);
	assert_int_equal(system(command), 0);
	v = story_open(first, &is_new);
	assert_true(is_new);
	assert_int_equal(views_next(v), 0);
	for (size_t stop = 5; stop < s->n; stop += 5) { /* closed and opened again on the way */
		story_apply(s, v, stop, 3);
		views_close(v);
		v = story_open(first, &is_new);
		assert_false(is_new);
		assert_int_equal(views_next(v), stop);
	}
	story_apply(s, v, s->n, 1000);
	got = story_dump(v);
	assert_string_equal(got, want);
	free(got);
	free(want);
	views_close(v);
	story_rm(first);
	story_free(s);
}

static void an_uncommitted_batch_is_applied_anew(void **state)
{
	struct story *s = a_story();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);
	struct fault why;
	struct record r = {.type = RECORD_MESSAGE};

	(void)state;
	story_apply(s, v, 4, 2);
	assert_int_equal(views_begin(v, &why), OK);
	r.meta = buf_span(&s->records[4].meta);
	assert_int_equal(views_apply(v, &s->records[4].e, &r, &why), OK);
	views_close(v); /* as a death would */
	v = story_open(dir, NULL);
	assert_int_equal(views_next(v), 4);
	assert_int_equal(look(v).site.held, 1);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void up_forgets_retry_times(void **state)
{
	struct story *s = story_new();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);
	struct seen seen;
	uint64_t m;

	(void)state;
	story_site(s, "hq", "up");
	m = story_message(s, "hq", "", 10, "a@x.example", NULL);
	story_outcome(s, LANE_COURIER, 1, m, 0, ATTEMPT_4XX, DISPOSE_RETRY);
	story_apply(s, v, s->n, 10);
	seen = list(v, NULL);
	assert_int_equal(seen.row.state, QUEUE_DEFERRED);
	assert_int_equal(seen.row.tries, 1);
	assert_true(seen.row.next_us >= s->now_us + 53 * SECOND &&
		    seen.row.next_us <= s->now_us + 67 * SECOND);
	story_site(s, "hq", "down");
	story_site(s, "hq", "probation");
	story_apply(s, v, s->n, 10);
	assert_int_equal(list(v, NULL).row.state, QUEUE_DEFERRED);
	story_site(s, "hq", "up");
	story_apply(s, v, s->n, 10);
	seen = list(v, NULL);
	assert_int_equal(seen.row.state, QUEUE_READY);
	assert_int_equal(seen.row.next_us, 0);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void lists_what_matches(void **state)
{
	static const struct {
		const char *match;
		unsigned rows;
	} rows[] = {
		{"state=held", 11},	  {"site=hq", 11},
		{"site=h*", 11},	  {"site=other", 0},
		{"rcpt=a@x.example", 6},  {"rcpt=A@X.EXAMPLE", 6},
		{"rcpt=*@x.example", 11}, {"domain=x.example", 11},
		{"domain=*.example", 11}, {"domain=example", 0},
		{"sender=<>", 5},	  {"sender=news@*,rcpt=c@*", 1},
		{"larger=1007", 2},	  {"smaller=1KiB,larger=1008B", 1},
		{"older=1d", 0},	  {"newer=1d", 11},
		{"state=deferred", 0},	  {"text=%", 0},
		{"rcpt=_@x.example", 0},  {"rcpt=%", 0},
	};
	struct story *s = a_story();
	char *dir = story_dir(), id[33], match[64];
	struct views *v = story_open(dir, NULL);
	struct seen seen;

	(void)state;
	story_apply(s, v, 13, 100);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (list(v, rows[i].match).rows != rows[i].rows)
			fail_msg("%s: %u rows", rows[i].match, list(v, rows[i].match).rows);
	story_id(5, id);
	snprintf(match, sizeof match, "id=%s", id);
	seen = list(v, match);
	assert_int_equal(seen.rows, 1);
	assert_int_equal(seen.row.number, 5);
	snprintf(match, sizeof match, "%.7s", id);
	assert_int_equal(list(v, match).rows, 1);
	snprintf(match, sizeof match, "%.31s%c", id, id[31] == '0' ? '1' : '0');
	assert_int_equal(list(v, match).rows, 0);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void pages_join(void **state)
{
	struct story *s = a_story();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);
	struct seen seen = {0};
	struct fault why;
	uint64_t number = UINT64_MAX;
	uint32_t rcpt = 0, n, all = 0;

	(void)state;
	story_apply(s, v, 13, 100);
	do {
		assert_int_equal(
			views_queue_list(v, NULL, 0, number, rcpt, 4, on_row, &seen, &n, &why), OK);
		number = seen.row.number;
		rcpt = seen.row.rcpt_index;
		all += n;
	} while (n == 4);
	assert_int_equal(all, 11);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void judge(struct story *s, struct views *v, const char *verb, const char *match,
		  const char *argument, const char *verdict)
{
	static unsigned n;
	struct seen seen = {0};
	struct fault why;
	char id[16];

	snprintf(id, sizeof id, "act-%u", n++);
	assert_int_equal(views_act_result(v, span_str(id), on_act, &seen, &why), MORE);
	story_act(s, id, verb, match, argument);
	story_apply(s, v, s->n, 100);
	assert_int_equal(views_act_result(v, span_str(id), on_act, &seen, &why), OK);
	assert_string_equal(seen.result, verdict);
}

static void queue_acts_are_judged(void **state)
{
	struct story *s = story_new();
	char *dir = story_dir(), *want, *got;
	struct views *v = story_open(dir, NULL);
	struct seen seen;
	uint64_t m[4];

	(void)state;
	story_fact(s, "domain", "", "x.example", "hq");
	story_fact(s, "domain", "", "y.example", "branch");
	story_site(s, "hq", "up");
	for (int i = 0; i < 4; i++)
		m[i] = story_message(s, "hq", "s@far.example", 100, "a@x.example", NULL);
	story_outcome(s, LANE_COURIER, 1, m[0], 0, ATTEMPT_4XX, DISPOSE_RETRY);
	story_outcome(s, LANE_COURIER, 2, m[1], 0, ATTEMPT_5XX, DISPOSE_DECIDE);
	story_intent(s, LANE_COURIER, 3, m[2], 0);
	story_apply(s, v, s->n, 100);
	judge(s, v, "queue.retry", "state=deferred", "",
	      "1 delivery will be tried as soon as the site takes mail");
	judge(s, v, "queue.retry", "state=deferred", "", "nothing in the queue matches");
	judge(s, v, "queue.release", "text=SO IT SAYS,state=decide", "", "1 delivery released");
	assert_int_equal(list(v, "state=ready").rows, 3);
	judge(s, v, "queue.discard", "nonsense", "",
	      "refused: 'nonsense' is not of the form key=value; keys are site domain rcpt sender "
	      "id state older "
	      "newer larger smaller text");
	judge(s, v, "queue.redirect", "site=hq", "b@z.example",
	      "refused: no site takes mail for 'z.example'; name a host instead");
	judge(s, v, "queue.redirect", "state=ready,older=0s", "b@y.example",
	      "3 deliveries redirected");
	seen = list(v, "site=branch");
	assert_int_equal(seen.rows, 3);
	assert_string_equal(seen.redirect, "b@y.example");
	judge(s, v, "queue.redirect", "site=branch", "mx9.y.example:2525",
	      "3 deliveries redirected");
	assert_string_equal(list(v, "state=ready").redirect, "mx9.y.example:2525");
	judge(s, v, "queue.discard", "state=held", "",
	      "3 deliveries discarded; 1 left alone (being delivered, or no site takes them)");
	assert_int_equal(list(v, "state=held").rows, 1);
	want = story_dump(v);
	views_close(v);
	story_rm(dir);
	dir = story_dir();
	v = story_open(dir, NULL);
	story_apply(s, v, s->n, 5);
	got = story_dump(v);
	assert_string_equal(got, want);
	free(got);
	free(want);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void on_message(void *arg, const struct views_message *m)
{
	((struct seen *)arg)->messages += (unsigned)m->rcpts;
}

static void on_rcpt(void *arg, const struct views_row *row)
{
	(void)on_row(arg, row);
}

static void on_attempt(void *arg, const struct views_attempt *a)
{
	struct seen *seen = arg;

	seen->attempts++;
	snprintf(seen->result, sizeof seen->result, "%.*s/%.*s/%u", SPAN_FMT(a->what),
		 SPAN_FMT(a->then), a->code);
}

static void shows_every_attempt(void **state)
{
	struct story *s = a_story();
	char *dir = story_dir(), id[33];
	struct views *v = story_open(dir, NULL), *reader = NULL;
	struct seen seen = {0};
	struct views_show show = {on_message, on_rcpt, on_attempt, &seen};
	struct fault why = {0};

	(void)state;
	story_apply(s, v, s->n, 100);
	story_id(7, id); /* two recipients: one returned, one lost and sent again */
	if (views_open_read(dir, &reader, &why) != OK)
		fail_msg("%s", why.text);
	if (views_queue_show(reader, span_str(id), &show, &why) != OK)
		fail_msg("%s", why.text);
	assert_int_equal(seen.messages, 2);
	assert_int_equal(seen.rows, 2);
	assert_int_equal(seen.attempts, 3);
	assert_string_equal(seen.result, "accepted/delivered/250");
	assert_int_equal(views_queue_show(reader, SPAN_LIT("0123456789"), &show, &why), REFUSED);
	views_close(reader);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

/* An answer lost for mail that was never held: named in history and in the list; if the site goes down then, in its receipt. */
static void unsure_outside_a_drain_is_named(void **state)
{
	struct story *s = story_new();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);
	struct seen seen = {0};
	struct fault why;
	uint64_t a, b;

	(void)state;
	story_site(s, "hq", "up");
	a = story_message(s, "hq", "", 10, "a@x.example", NULL);
	b = story_message(s, "hq", "", 10, "b@x.example", NULL);
	story_apply(s, v, s->n, 10);
	story_intent(s, LANE_COURIER, 1, a, 0);
	story_intent(s, LANE_COURIER, 2, a, 0);
	story_outcome(s, LANE_COURIER, 2, a, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	story_outcome(s, LANE_COURIER, 3, b, 0, ATTEMPT_LOST, DISPOSE_UNSURE);
	story_apply(s, v, s->n, 10);
	assert_int_equal(views_history(v, 2, on_act, &seen, &why), OK);
	assert_non_null(strstr(seen.names, "for b@x.example: no answer came"));
	assert_int_equal(views_each_unsure(v, SPAN_LIT("hq"), on_row, &seen, &why), OK);
	assert_int_equal(seen.rows, 2);
	story_site(s, "hq", "down");
	story_site(s, "hq", "up");
	story_outcome(s, LANE_COURIER, 4, b, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	story_apply(s, v, s->n, 10);
	assert_string_equal(look(v).receipt,
			    "1 of 1 handed back, 1 possible duplicate, 0 need a decision");
	seen.rows = 0;
	assert_int_equal(views_each_unsure(v, SPAN_LIT("hq"), on_row, &seen, &why), OK);
	assert_int_equal(seen.rows, 2);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

/* Delivered a month ago: gone from the views; held: stays. The same whatever the batches. */
static void finished_messages_leave_after_a_month(void **state)
{
	struct story *s = story_new();
	char *dir = story_dir(), *want, *got;
	struct views *v = story_open(dir, NULL);
	uint64_t held, m;

	(void)state;
	story_site(s, "hq", "up");
	held = story_message(s, "hq", "s@far.example", 10, "a@x.example", NULL);
	for (int i = 0; i < 10; i++) {
		m = story_message(s, "hq", "s@far.example", 10, "a@x.example", NULL);
		story_outcome(s, LANE_COURIER, 1, m, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	}
	s->now_us += 31 * 86400 * SECOND;
	while (s->n < STORY_MAX)
		story_fact(s, "limits", "", "k", "v");
	story_apply(s, v, s->n - 1, 1000);
	want = story_dump(v);
	assert_int_equal(lines_of(want, "|message|"), 11);
	free(want);
	story_apply(s, v, s->n, 1000);
	want = story_dump(v);
	assert_int_equal(lines_of(want, "|message|"), 1);
	assert_int_equal(lines_of(want, "|done|"), 0);
	assert_int_equal(lines_of(want, "|attempt|"), 0);
	assert_int_equal(list(v, NULL).row.number, held);
	views_close(v);
	story_rm(dir);
	dir = story_dir();
	v = story_open(dir, NULL);
	story_apply(s, v, s->n, 7);
	got = story_dump(v);
	assert_string_equal(got, want);
	free(got);
	free(want);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

/* More than are put into the index of ids at once: found on both sides of its end, and no other. */
static void ids_are_found_among_many(void **state)
{
	enum { MANY = 70000 };
	char *dir = story_dir(), id[33];
	struct views *v = story_open(dir, NULL);
	struct fault why = {0};

	(void)state;
	for (uint64_t i = 0; i < MANY; i++) {
		struct record r = {.type = RECORD_MESSAGE, .received_us = 1700000000 * SECOND + i};
		struct msg_rcpt to = {.address = SPAN_LIT("a@x.example"), .site = SPAN_LIT("hq")};
		struct msg_message_meta m = {.rcpts = &to, .rcpts_n = 1};
		struct order_entry e = {
			.number = i, .type = RECORD_MESSAGE, .seq = i, .ref = {.lane_id = 1}};
		struct buf b = {0};

		story_id(i, id);
		m.id = span_str(id);
		msg_message_meta_encode(&b, &m);
		r.meta = buf_span(&b);
		if (i % 1000 == 0)
			assert_int_equal(views_begin(v, &why), OK);
		assert_int_equal(views_apply(v, &e, &r, &why), OK);
		if (i % 1000 == 999)
			assert_int_equal(views_commit(v, &why), OK);
		buf_fini(&b);
	}
	for (uint64_t i = 3; i < MANY; i += 9999) {
		struct seen seen = {0};
		struct views_show show = {on_message, on_rcpt, on_attempt, &seen};
		char match[64];

		story_id(i, id);
		assert_int_equal(views_queue_show(v, span_str(id), &show, &why), OK);
		assert_int_equal(seen.rows, 1);
		assert_int_equal(seen.row.number, i);
		snprintf(match, sizeof match, "id=%.20s", id);
		seen = list(v, match);
		assert_int_equal(seen.rows, 1);
		assert_int_equal(seen.row.number, i);
	}
	views_close(v);
	story_rm(dir);
}

static void mail_for_no_site_waits_for_a_decision(void **state)
{
	struct story *s = story_new();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);
	struct seen seen;

	(void)state;
	story_message(s, "", "", 10, "someone@else.example", NULL);
	story_apply(s, v, s->n, 10);
	seen = list(v, "state=decide");
	assert_int_equal(seen.rows, 1);
	assert_int_equal(list(v, "text=no site of the configuration").rows, 1);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

/* One letter to each of many domains, delivered; every 1,000th stays. */
static struct story *many_destinations(void)
{
	static const unsigned domains = 20000;
	struct story *s = story_new();

	for (unsigned i = 0; i < domains; i++) {
		char to[64];
		uint64_t m;

		snprintf(to, sizeof to, "a@d%u.example", i);
		m = story_message(s, VIEWS_WORLD, "me@x.example", 100, to, NULL);
		if (i % 1000 != 0)
			story_outcome(s, LANE_COURIER, i + 1, m, 0, ATTEMPT_ACCEPTED,
				      DISPOSE_DELIVERED);
	}
	return s;
}

static void destinations_with_nothing_open_are_forgotten(void **state)
{
	struct story *s = many_destinations();
	char *dir = story_dir(), *other_dir = story_dir(), *dump, *other_dump;
	struct views *v = story_open(dir, NULL), *other = story_open(other_dir, NULL);
	struct views_site_now site;
	struct seen seen;
	uint32_t first;

	(void)state;
	story_apply(s, v, s->n, 500);
	assert_int_equal(views_sites(v), 20);
	views_site_at(v, 0, &site);
	assert_int_equal(site.ready, 1);
	seen = list(v, "site=world:d1000.example");
	assert_int_equal(seen.rows, 1);

	/* One comes back: as the same site, which counts on. */
	views_site_at(v, 1, &site);
	first = site.id;
	story_message(s, VIEWS_WORLD, "me@x.example", 100, "b@d1.example", NULL);
	story_apply(s, v, s->n, 500);
	assert_int_equal(views_sites(v), 21);
	views_site_at(v, 20, &site);
	assert_true(span_eq(site.name, SPAN_LIT("world:d1.example")));
	assert_int_equal(site.phase, PHASE_UP);
	assert_true(site.id < first);

	/* V1: whoever is in memory, the content is the same; opened again, too. */
	for (size_t until = 1; until < s->n; until += s->n / 5) {
		story_apply(s, other, until, 7);
		views_close(other);
		other = story_open(other_dir, NULL);
	}
	story_apply(s, other, s->n, 3000);
	assert_int_equal(views_sites(other), 21);
	dump = story_dump(v);
	other_dump = story_dump(other);
	assert_int_equal(lines_of(dump, "|site|"), 20000);
	assert_string_equal(dump, other_dump);
	free(dump);
	free(other_dump);
	views_close(v);
	views_close(other);
	story_rm(dir);
	story_rm(other_dir);
	story_free(s);
}

static bool on_recipient(void *arg, struct span key, uint32_t verdict)
{
	buf_printf(arg, "%.*s=%u ", SPAN_FMT(key), verdict);
	return true;
}

static void recipients_are_listed_and_learned(void **state)
{
	struct story *s = story_new();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);
	struct buf all = {0};
	struct fault why;
	uint64_t m, version;

	(void)state;
	story_site(s, "hq", "up");
	story_fact(s, "recipient", "x.example", "Listed@x.example", "good");
	story_fact(s, "recipient", "y.example", "@y.example", "good");
	m = story_message(s, "hq", "", 10, "ok@x.example", "no@x.example", "listed@x.example",
			  NULL);
	story_outcome(s, LANE_COURIER, 1, m, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	story_outcome(s, LANE_COURIER, 1, m, 1, ATTEMPT_5XX, DISPOSE_DECIDE);
	story_outcome(s, LANE_COURIER, 1, m, 2, ATTEMPT_5XX, DISPOSE_DECIDE);
	story_apply(s, v, s->n, 10);
	version = views_recipients_version(v);
	assert_true(version > 0);
	assert_int_equal(views_recipients(v, on_recipient, &all, &why), OK);
	/* The listed one is given last for its key: it counts. */
	assert_string_equal(buf_cstr(&all),
			    "@y.example=1 listed@x.example=2 listed@x.example=1 no@x.example=2 "
			    "ok@x.example=1 ");
	buf_fini(&all);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_receipt_counts_and_names),
		cmocka_unit_test(copies_are_shown_and_never_queued),
		cmocka_unit_test(o_04_a_rebuild_gives_the_same),
		cmocka_unit_test(an_uncommitted_batch_is_applied_anew),
		cmocka_unit_test(up_forgets_retry_times),
		cmocka_unit_test(lists_what_matches),
		cmocka_unit_test(pages_join),
		cmocka_unit_test(queue_acts_are_judged),
		cmocka_unit_test(shows_every_attempt),
		cmocka_unit_test(ids_are_found_among_many),
		cmocka_unit_test(unsure_outside_a_drain_is_named),
		cmocka_unit_test(finished_messages_leave_after_a_month),
		cmocka_unit_test(mail_for_no_site_waits_for_a_decision),
		cmocka_unit_test(destinations_with_nothing_open_are_forgotten),
		cmocka_unit_test(recipients_are_listed_and_learned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What operators are told: the trace of a message, the history with a filter, pages of the queue; continuity as desk reads it. */
#include "../views/story.h"

#include "report/report.h"

static struct views *views_of(struct story *s, char **dir)
{
	struct views *v;

	*dir = story_dir();
	v = story_open(*dir, NULL);
	story_apply(s, v, s->n, 100);
	return v;
}

struct mail {
	const char *sender, *rcpt, *subject, *from, *message_id;
	uint8_t origin;
};

static uint64_t add_mail(struct story *s, const struct mail *mail)
{
	struct msg_rcpt r = {.address = span_str(mail->rcpt),
			     .site = SPAN_LIT("hq"),
			     .domain = SPAN_LIT("x.example")};
	struct msg_message_meta m = {.sender = span_str(mail->sender),
				     .rcpts = &r,
				     .rcpts_n = 1,
				     .subject = span_str(mail->subject),
				     .from = span_str(mail->from),
				     .message_id = span_str(mail->message_id),
				     .peer = SPAN_LIT("192.0.2.7"),
				     .origin = mail->origin};
	struct buf b = {0};
	char id[33];

	story_id(s->n, id);
	m.id = span_str(id);
	msg_message_meta_encode(&b, &m);
	return story_add(s, LANE_EDGE, RECORD_MESSAGE, b, 500);
}

#define RTL "\xe2\x80\xae"

static const struct mail mails[] = {
	{"anna@far.example", "bert@x.example", "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus?= Rom",
	 "Anna <anna@far.example>", "<one@far.example>", 0},
	{"bounce-7@lists.example", "cleo@x.example", "News",
	 "=?utf-8?b?QW5uYSBNdXN0ZXI=?= <news@shop.example>", "<two@shop.example>", 0},
	{"", "bert@x.example", "evil " RTL "gpj\x1b[2Jx\r\n\tend", "\xff\xfe", "", 0},
	{"", "bert@x.example", "a draft", "Bert <bert@x.example>", "<draft@x.example>", 2},
};

static struct story *a_day(uint64_t number[4])
{
	struct story *s = story_new();

	story_fact(s, "domain", "", "x.example", "hq");
	story_fact(s, "account", "bert@x.example", "state", "active");
	story_site(s, "hq", "down");
	for (size_t i = 0; i < 4; i++)
		number[i] = add_mail(s, &mails[i]);
	story_site(s, "hq", "up");
	story_outcome(s, LANE_COURIER, 1, number[0], 0, ATTEMPT_4XX, DISPOSE_RETRY);
	story_intent(s, LANE_COURIER, 2, number[0], 0);
	story_outcome(s, LANE_COURIER, 2, number[0], 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	return s;
}

static json_t *trace(struct views *v, struct views_trace_ask ask)
{
	struct fault why = {0};
	json_t *o;

	if (!ask.before)
		ask.before = UINT64_MAX;
	if (!ask.look_at)
		ask.look_at = 1000;
	if (!ask.most)
		ask.most = 10;
	o = report_trace(v, &ask, 1700000000 * SECOND + 3600 * SECOND, &why);
	if (!o)
		fail_msg("%s", why.text);
	return o;
}

static size_t hits(struct views *v, struct views_trace_ask ask)
{
	json_t *o = trace(v, ask);
	size_t n = json_array_size(json_object_get(o, "messages"));

	json_decref(o);
	return n;
}

static const char *text_in(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void what_is_asked_is_found(void **state)
{
	uint64_t number[4];
	struct story *s = a_day(number);
	char *dir;
	struct views *v = views_of(s, &dir);
	const struct {
		struct views_trace_ask ask;
		size_t n;
	} rows[] = {
		{{.sender = SPAN_LIT("ANNA@far")}, 1},
		{{.sender = SPAN_LIT("anna muster")}, 1}, /* From, decoded */
		{{.sender = SPAN_LIT("anna")}, 2},
		{{.rcpt = SPAN_LIT("Bert@X.example")}, 2}, /* never the draft */
		{{.rcpt = SPAN_LIT("@x.example")}, 3},
		{{.subject = SPAN_LIT("GRÜSSE AUS ROM")}, 1},
		{{.subject = SPAN_LIT("gpj")}, 1},
		{{.subject = SPAN_LIT("draft")}, 0},
		{{.message_id = SPAN_LIT("<two@shop.example>")}, 1},
		{{.message_id = SPAN_LIT("two@shop")}, 1},
		{{.sender = SPAN_LIT("anna"), .rcpt = SPAN_LIT("cleo")}, 1},
		{{.sender = SPAN_LIT("nobody")}, 0},
		{{.sender = SPAN_LIT("%")}, 0},
		{{.rcpt = SPAN_LIT("b_rt")}, 0},
		{{.rcpt = SPAN_LIT("x.example"), .from_us = s->records[number[1]].at_us}, 2},
		{{.rcpt = SPAN_LIT("x.example"), .to_us = s->records[number[1]].at_us}, 2},
		{{.rcpt = SPAN_LIT("x.example"), .most = 1}, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (hits(v, rows[i].ask) != rows[i].n)
			fail_msg("row %zu: %zu", i, hits(v, rows[i].ask));
	}
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void the_whole_way_is_told(void **state)
{
	static const char *const what[] = {"received", "refused for now", "accepted"};
	uint64_t number[4];
	struct story *s = a_day(number);
	char *dir;
	struct views *v = views_of(s, &dir);
	json_t *root = trace(v, (struct views_trace_ask){.message_id = SPAN_LIT("one@far")});
	const json_t *m = json_array_get(json_object_get(root, "messages"), 0), *r, *way, *box;

	(void)state;
	assert_string_equal(text_in(m, "subject_text"), "Grüße aus Rom");
	assert_string_equal(text_in(m, "origin"), "received");
	assert_string_equal(text_in(m, "peer"), "192.0.2.7");
	r = json_array_get(json_object_get(m, "recipients"), 0);
	assert_string_equal(text_in(r, "state"), "delivered");
	assert_true(json_is_null(json_object_get(r, "held_since")));
	way = json_object_get(r, "way");
	assert_int_equal(json_array_size(way), 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(text_in(json_array_get(way, i), "what"), what[i]);
	assert_string_equal(text_in(json_array_get(way, 1), "text"), "so it says");
	box = json_array_get(json_object_get(m, "mailboxes"), 0);
	assert_string_equal(text_in(box, "account"), "bert@x.example");
	assert_string_equal(text_in(box, "mailbox"), "INBOX");
	assert_string_equal(text_in(box, "special"), "inbox");
	assert_true(json_is_true(json_object_get(box, "there")));
	/* envelope facts alone: no key that could hold a flag or a body */
	assert_null(json_object_get(box, "flags"));
	assert_null(json_object_get(m, "body"));
	json_decref(root);

	root = trace(v, (struct views_trace_ask){.message_id = SPAN_LIT("two@")});
	r = json_array_get(
		json_object_get(json_array_get(json_object_get(root, "messages"), 0), "recipients"),
		0);
	assert_string_equal(text_in(r, "state"), "ready");
	assert_false(json_is_null(json_object_get(r, "held_since")));
	json_decref(root);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

/* H-04 */
static void hostile_strings_are_inert(void **state)
{
	uint64_t number[4];
	struct story *s = a_day(number);
	char *dir, *dump;
	struct views *v = views_of(s, &dir);
	json_t *root = trace(v, (struct views_trace_ask){.subject = SPAN_LIT("evil")});
	const json_t *m = json_array_get(json_object_get(root, "messages"), 0);

	(void)state;
	assert_string_equal(text_in(m, "subject_text"), "evil gpj [2Jx end");
	assert_string_equal(text_in(m, "from_text"), "\xef\xbf\xbd\xef\xbf\xbd");
	dump = json_dumps(root, JSON_COMPACT);
	assert_non_null(dump);
	assert_null(strchr(dump, 0x1b)); /* escaped */
	free(dump);
	json_decref(root);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void a_search_goes_on_where_it_stopped(void **state)
{
	uint64_t number[4], before = UINT64_MAX;
	struct story *s = a_day(number);
	unsigned rounds = 0, found = 0;
	char *dir;
	struct views *v = views_of(s, &dir);

	(void)state;
	do {
		json_t *root = trace(v, (struct views_trace_ask){.rcpt = SPAN_LIT("x.example"),
								 .before = before,
								 .look_at = 2,
								 .most = 1});
		json_int_t next = json_integer_value(json_object_get(root, "next"));

		assert_true(json_array_size(json_object_get(root, "messages")) <= 1);
		found += (unsigned)json_array_size(json_object_get(root, "messages"));
		assert_true(next >= 0 && (uint64_t)next < before);
		before = (uint64_t)next;
		json_decref(root);
	} while (before && ++rounds < 50);
	assert_int_equal(found, 3);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void audit(struct views *v, struct views_audit_ask ask, const char *verbs, bool is_end)
{
	struct fault why = {0};
	struct buf seen = {0};
	json_t *root, *o;
	size_t i;

	ask.before = ask.before ? ask.before : UINT64_MAX;
	ask.most = ask.most ? ask.most : 100;
	root = report_audit(v, &ask, &why);
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "history"), i, o)
		buf_printf(&seen, "%s%s", i ? " " : "", text_in(o, "verb"));
	assert_string_equal(buf_cstr(&seen), verbs);
	assert_int_equal(json_is_null(json_object_get(root, "next")), is_end);
	buf_fini(&seen);
	json_decref(root);
}

static void act_of(struct story *s, const char *actor, const char *verb, const char *object,
		   const char *reason)
{
	struct msg_act_meta m = {.verb = span_str(verb),
				 .object = span_str(object),
				 .reason = span_str(reason),
				 .actor = span_str(actor)};
	struct buf b = {0};

	msg_act_meta_encode(&b, &m);
	story_add(s, LANE_WATCH, RECORD_ACT, b, 0);
}

static void the_history_is_filtered(void **state)
{
	struct story *s = story_new();
	char *dir;
	struct views *v;

	(void)state;
	act_of(s, "watch", "site.seen", "hq", "3 failed probes");
	act_of(s, "administrator root@x.example", "hold.set", "hq", "Disk swap");
	act_of(s, "administrator root@x.example", "mail.trace", "from=anna", "ticket 7");
	act_of(s, "operator root (uid 0)", "config.reload", "", "");
	v = views_of(s, &dir);
	audit(v, (struct views_audit_ask){0}, "config.reload mail.trace hold.set site.seen", true);
	audit(v, (struct views_audit_ask){.is_people = true}, "config.reload mail.trace hold.set",
	      true);
	audit(v, (struct views_audit_ask){.text = SPAN_LIT("DISK")}, "hold.set", true);
	audit(v, (struct views_audit_ask){.text = SPAN_LIT("root@x")}, "mail.trace hold.set", true);
	audit(v, (struct views_audit_ask){.text = SPAN_LIT("nothing")}, "", true);
	audit(v, (struct views_audit_ask){.most = 2}, "config.reload mail.trace", false);
	audit(v, (struct views_audit_ask){.most = 2, .before = 2}, "hold.set site.seen", false);
	audit(v, (struct views_audit_ask){.from_us = s->records[3].at_us}, "config.reload", true);
	audit(v, (struct views_audit_ask){.to_us = s->records[0].at_us}, "site.seen", true);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void the_queue_comes_in_pages(void **state)
{
	struct story *s = story_new();
	struct report_queue_ask ask = {
		.now_us = 1800000000 * SECOND, .after_number = UINT64_MAX, .limit = 3};
	struct fault why = {0};
	size_t pages = 0, rows = 0;
	char *dir;
	struct views *v;
	bool more;

	(void)state;
	story_fact(s, "domain", "", "x.example", "hq");
	for (int i = 0; i < 4; i++)
		story_message(s, "hq", "a@b.example", 10, "b@x.example", "c@x.example", NULL);
	v = views_of(s, &dir);
	do {
		json_t *root = report_queue(v, &ask, &why);
		const json_t *next = json_object_get(root, "next");

		assert_int_equal(json_integer_value(json_object_get(root, "total")), 8);
		rows += json_array_size(json_object_get(root, "messages"));
		more = json_is_object(next);
		ask.after_number = (uint64_t)json_integer_value(json_object_get(next, "number"));
		ask.after_rcpt = (uint32_t)json_integer_value(json_object_get(next, "recipient"));
		json_decref(root);
	} while (more && ++pages < 10);
	assert_int_equal(rows, 8);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void order(struct story *s, const char *verb, const char *object, const char *argument,
		  const char *class)
{
	struct msg_act_meta m = {.verb = span_str(verb),
				 .object = span_str(object),
				 .argument = span_str(argument),
				 .class = span_str(class),
				 .actor = SPAN_LIT("watch")};
	struct buf b = {0};

	msg_act_meta_encode(&b, &m);
	story_add(s, LANE_WATCH, RECORD_ACT, b, 0);
}

static void is_on(struct views *v, struct story *s, const char *domain, bool want)
{
	struct views_continuity c;
	struct fault why = {0};

	story_apply(s, v, s->n, 10);
	assert_int_equal(views_continuity(v, span_str(domain), &c, &why), OK);
	assert_int_equal(c.is_on, want);
}

static void continuity_of_a_domain_is_its_order_or_its_sites(void **state)
{
	struct story *s = story_new();
	char *dir;
	struct views *v;

	(void)state;
	story_fact(s, "domain", "", "x.example", "hq");
	v = views_of(s, &dir);
	is_on(v, s, "x.example", false);
	order(s, "continuity.state", "hq", "on", "down");
	is_on(v, s, "x.example", true);
	is_on(v, s, "y.example", false);
	order(s, "continuity.set", "hq", "off", "site"); /* the state that follows counts */
	is_on(v, s, "x.example", true);
	order(s, "continuity.set", "x.example", "off", "domain");
	is_on(v, s, "x.example", false);
	order(s, "continuity.set", "x.example", "auto", "domain");
	is_on(v, s, "x.example", true);
	order(s, "continuity.state", "hq", "asks", "down");
	is_on(v, s, "x.example", false);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_is_found),
		cmocka_unit_test(the_whole_way_is_told),
		cmocka_unit_test(hostile_strings_are_inert),
		cmocka_unit_test(a_search_goes_on_where_it_stopped),
		cmocka_unit_test(the_history_is_filtered),
		cmocka_unit_test(the_queue_comes_in_pages),
		cmocka_unit_test(continuity_of_a_domain_is_its_order_or_its_sites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

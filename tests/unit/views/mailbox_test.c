/* Mailboxes as views: who is shown what, when, once; what acts do to them; that a rebuild gives the same numbers. */
#include "people_dice.h"

#define ANNA	 "anna@x.example"
#define BERTA	 "berta@x.example"
#define ID(text) .message_id = SPAN_LIT(text), .date = SPAN_LIT("today")

enum { INBOX, SENT, DRAFTS, ARCHIVE, TRASH, JUNK };
static const uint64_t DAY = 86400ULL * 1000000;

static void after(const struct story *s, struct views *v)
{
	story_apply(s, v, s->n, 7);
}

struct world {
	struct story *s;
	char *dir;
	struct views *v;
	uint64_t anna, berta;
};

static struct world world_new(void)
{
	struct world w = {.s = story_new(), .dir = story_dir()};

	w.v = story_open(w.dir, NULL);
	w.anna = story_account(w.s, ANNA, "active");
	w.berta = story_account(w.s, BERTA, "active");
	return w;
}

static void world_free(struct world *w)
{
	views_close(w->v);
	story_rm(w->dir);
	story_free(w->s);
}

static uint64_t inbox_of(const struct world *w)
{
	return box_id(w->anna, INBOX);
}

/* n messages for Anna. */
static void letters(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		story_letter(w->s, LETTER(.sender = SPAN_NONE), 100, ANNA, NULL);
}

static bool one_row(void *to, const struct views_row *row)
{
	(void)row;
	++*(unsigned *)to;
	return true;
}

static unsigned look_deliveries(struct views *v)
{
	struct fault why;
	unsigned rows = 0;
	uint32_t n;

	assert_int_equal(
		views_queue_list(v, NULL, 0, UINT64_MAX, 0, 1000, one_row, &rows, &n, &why), OK);
	return rows;
}

/* ---- who gets it ---- */

static void mail_is_in_the_inbox_at_once(void **state)
{
	struct world w = world_new();
	struct mail_box b;

	(void)state;
	story_site(w.s, "hq", "down");
	story_letter(w.s, LETTER(ID("<1>")), 100, "Anna@x.example", BERTA);
	after(w.s, w.v);
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:3");
	assert_string_equal(shows(w.v, "ANNA@X.example", "inBox"), "1:3");
	assert_string_equal(shows(w.v, BERTA, "INBOX"), "1:3");
	assert_string_equal(boxes(w.v, ANNA), "INBOX Archive Drafts Junk Sent Trash");
	b = box_of(w.v, ANNA, "INBOX");
	assert_int_equal(b.id, inbox_of(&w));
	assert_int_equal(b.special, MAIL_INBOX);
	assert_int_equal(b.uidvalidity, 1700000000);
	assert_int_equal(b.uidnext, 2);
	assert_int_equal(b.total, 1);
	assert_int_equal(b.unseen, 1);
	assert_int_equal(b.bytes, 118);
	assert_int_equal(box_of(w.v, ANNA, "Junk").uidvalidity, 1700000005);
	world_free(&w);
}

static void addresses_lead_to_accounts(void **state)
{
	static const struct {
		const char *to, *also;
		bool anna, berta;
	} rows[] = {
		{"anna@x.example", "ANNA@x.example", true, false},
		{"anna+list@x.example", NULL, true, false},
		{"nobody@x.example", NULL, false, false},
		{"info@x.example", NULL, true, false},
		{"info+tag@x.example", "anna@x.example", true, false},
		{"all@x.example", NULL, true, true},
		{"all@x.example", "berta@x.example", true, true},
		{"round@x.example", NULL, false, true},
		{"whatever@y.example", NULL, false, true},
		{"special@y.example", NULL, true, false},
		{"@x.example", NULL, false, false},
	};
	struct world w = world_new();
	unsigned anna = 0, berta = 0;

	(void)state;
	story_alias(w.s, "info@x.example", "anna+info@x.example", NULL);
	story_alias(w.s, "All@x.example", "info@x.example", BERTA);
	story_alias(w.s, "round@x.example", "circle@x.example", BERTA);
	story_alias(w.s, "circle@x.example", "round@x.example", NULL);
	story_alias(w.s, "@y.example", BERTA, NULL);
	story_alias(w.s, "special@y.example", ANNA, NULL);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		story_letter(w.s, LETTER(.sender = SPAN_NONE), 10, rows[i].to, rows[i].also);
		after(w.s, w.v);
		anna += rows[i].anna;
		berta += rows[i].berta;
		if (box_of(w.v, ANNA, "INBOX").total != anna ||
		    box_of(w.v, BERTA, "INBOX").total != berta)
			fail_msg("%s: Anna has %u, Berta %u", rows[i].to,
				 box_of(w.v, ANNA, "INBOX").total,
				 box_of(w.v, BERTA, "INBOX").total);
	}
	world_free(&w);
}

static void what_came_before_the_account_is_there(void **state)
{
	struct story *s = story_new();
	char *dir = story_dir();
	struct views *v = story_open(dir, NULL);

	(void)state;
	story_letter(s, LETTER(.sender = SPAN_NONE), 10, ANNA, NULL); /* 0: too old */
	s->now_us += 31 * DAY;
	story_letter(s, LETTER(.sender = SPAN_NONE), 10, "Anna+x@x.example", NULL); /* 1 */
	story_letter(s, LETTER(.sender = SPAN_NONE), 10, BERTA, "info@x.example");  /* 2 */
	story_letter(s, LETTER(.origin = 4, .inner_bytes = 7), 10, ANNA, NULL);	    /* 3 */
	story_alias(s, "info@x.example", "team@x.example", NULL);
	story_alias(s, "team@x.example", ANNA, NULL);
	story_account(s, ANNA, "active");
	after(s, v);
	assert_string_equal(shows(v, ANNA, "INBOX"), "1:1 2:2 3:3");
	/* An alias made later brings what came for it, once, whatever became of it. */
	story_letter(s, LETTER(.sender = SPAN_NONE), 10, "sales@x.example", NULL); /* 7 */
	story_letter(s, LETTER(.sender = SPAN_NONE), 10, "sales@x.example", ANNA); /* 8 */
	story_alias(s, "sales@x.example", ANNA, NULL);
	after(s, v);
	assert_string_equal(shows(v, ANNA, "INBOX"), "1:1 2:2 3:3 4:8 5:7");
	story_change(s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = box_id(6, INBOX), .how = MAIL_HOW_ADD,
			 .flags = MAIL_DELETED, .unchanged_since = UINT64_MAX),
		     1, 5);
	story_change(s, ANNA, ACT(.kind = MAIL_ACT_EXPUNGE, .box = box_id(6, INBOX)), 1, 9);
	story_alias(s, "sales@x.example", NULL, NULL);
	story_alias(s, "sales@x.example", ANNA, NULL);
	after(s, v);
	assert_string_equal(shows(v, ANNA, "INBOX"), "");
	/* Deleted, and made anew: another account, with other numbers. */
	story_account(s, ANNA, "deleted");
	story_letter(s, LETTER(.sender = SPAN_NONE), 10, ANNA, NULL); /* 15 */
	after(s, v);
	story_account(s, ANNA, "active");
	after(s, v);
	assert_string_equal(shows(v, ANNA, "INBOX"), "1:1 2:2 3:3 4:7 5:8 6:15");
	assert_int_equal(account_id(v, ANNA), 17);
	views_close(v);
	story_rm(dir);
	story_free(s);
}

static void a_disabled_account_still_gets_its_mail(void **state)
{
	struct world w = world_new();
	struct views_people people;
	struct fault why;
	uint64_t act;

	(void)state;
	story_account(w.s, ANNA, "disabled");
	letters(&w, 1);
	act = story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("x")), 0, 0);
	after(w.s, w.v);
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:3");
	assert_string_equal(verdict_on(w.v, act), "7");
	assert_int_equal(views_people(w.v, &people, &why), OK);
	assert_int_equal(people.accounts, 2);
	assert_int_equal(people.disabled, 1);
	assert_int_equal(people.boxes, 12);
	assert_int_equal(people.messages, 1);
	world_free(&w);
}

static void a_copy_of_the_primary_is_shown_once(void **state)
{
	struct world w = world_new();

	(void)state;
	story_letter(w.s, LETTER(ID("<1>")), 10, ANNA, NULL);				/* 2 */
	story_letter(w.s, LETTER(ID("<1>"), .origin = 4), 10, ANNA, BERTA);		/* 3 */
	story_letter(w.s, LETTER(ID("<1>"), .origin = 4), 10, BERTA, NULL);		/* 4 */
	story_letter(w.s, LETTER(.message_id = SPAN_LIT("<1>"), .origin = 4), 10, ANNA, /* 5 */
		     NULL);
	story_letter(w.s, LETTER(ID("<1>")), 10, ANNA, NULL); /* 6: twice from outside is twice */
	/* What the primary says Anna wrote. */
	story_letter(w.s, LETTER(ID("<2>"), .origin = 4, .sender = SPAN_LIT(ANNA)), 10, BERTA,
		     NULL); /* 7 */
	after(w.s, w.v);
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2 2:5 3:6");
	assert_string_equal(shows(w.v, BERTA, "INBOX"), "1:3 2:7");
	assert_string_equal(shows(w.v, ANNA, "Sent"), "1:7/1");
	assert_int_equal(look_deliveries(w.v), 2);
	world_free(&w);
}

/* ---- Sent ---- */

static void sent_has_one_copy(void **state)
{
	static const struct {
		int own_after_s; /* when the client's own copy comes; 0: never */
		const char *want;
	} rows[] = {
		{0, "ours"},   {60, "own"},	  {-60, "own"},
		{-599, "own"}, {700, "ours own"}, {-700, "own ours"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct world w = world_new();
		uint64_t begin = w.s->now_us + 1000 * SECOND, ours = 0, own = 0;
		char want[64] = "";

		for (unsigned turn = 0; turn < 2; turn++) {
			bool is_own = rows[i].own_after_s < 0 ? turn == 0 : turn == 1;

			w.s->now_us = begin;
			if (is_own)
				w.s->now_us = begin + (uint64_t)(rows[i].own_after_s * 1000000LL);
			if (!is_own)
				ours = story_letter(
					w.s,
					LETTER(ID("<1>"), .origin = 1, .account = SPAN_LIT(ANNA)),
					50, BERTA, NULL);
			else if (rows[i].own_after_s)
				own = story_put(w.s, ANNA, box_id(w.anna, SENT), MAIL_SEEN, "<1>",
						60);
		}
		after(w.s, w.v);
		if (strcmp(rows[i].want, "ours") == 0)
			snprintf(want, sizeof want, "1:%u/1", (unsigned)ours);
		else if (strcmp(rows[i].want, "own") == 0)
			snprintf(want, sizeof want, "%u:%u/1", rows[i].own_after_s > 0 ? 2 : 1,
				 (unsigned)own);
		else if (strcmp(rows[i].want, "ours own") == 0)
			snprintf(want, sizeof want, "1:%u/1 2:%u/1", (unsigned)ours, (unsigned)own);
		else if (strcmp(rows[i].want, "own ours") == 0)
			snprintf(want, sizeof want, "1:%u/1 2:%u/1", (unsigned)own, (unsigned)ours);
		assert_string_equal(shows(w.v, ANNA, "Sent"), want);
		assert_int_equal(box_of(w.v, BERTA, "INBOX").total, 1);
		world_free(&w);
	}
}

static bool last_form(void *to, const struct mail_entry *e)
{
	*(struct mail_entry *)to = *e;
	return true;
}

static void sizes_are_those_of_the_form(void **state)
{
	struct msg_cut cut = {10, 25};
	struct world w = world_new();
	struct mail_entry e;
	struct views_mail m;
	struct fault why;
	uint64_t n = story_letter(w.s,
				  LETTER(ID("<1>"), .origin = 1, .account = SPAN_LIT(ANNA),
					 .cuts = &cut, .cuts_n = 1),
				  200, BERTA, NULL);

	(void)state;
	story_letter(w.s, LETTER(ID("<2>"), .origin = 4, .inner_offset = 100, .inner_bytes = 77),
		     400, ANNA, NULL);
	after(w.s, w.v);
	assert_int_equal(box_of(w.v, BERTA, "INBOX").bytes, 18 + 200 - 25);
	assert_int_equal(box_of(w.v, ANNA, "Sent").bytes, 18 + 200);
	assert_int_equal(box_of(w.v, ANNA, "INBOX").bytes, 77);
	assert_int_equal(views_each_entry(w.v, inbox_of(&w), (struct mail_range){1, 1}, 0,
					  last_form, &e, &why),
			 OK);
	assert_int_equal(e.form, MAIL_ENCLOSED);
	assert_int_equal(views_mail_by_number(w.v, n, &m, &why), OK);
	assert_int_equal(m.cuts_n, 1);
	assert_int_equal(m.cuts[0].bytes, 25);
	assert_int_equal(m.trace_bytes, 18);
	assert_int_equal(m.offset, n * 4096);
	assert_int_equal(m.origin, 1);
	assert_int_equal(views_mail_bytes(&m, MAIL_AS_DELIVERED), 193);
	assert_int_equal(views_mail_by_number(w.v, 0, &m, &why), REFUSED);
	world_free(&w);
}

/* ---- acts ---- */

static void flags_are_set_under_conditions(void **state)
{
	struct world w = world_new();
	uint64_t inbox = inbox_of(&w), modseq, act;

	(void)state;
	letters(&w, 5); /* 2 to 6 */
	after(w.s, w.v);
	assert_int_equal(box_of(w.v, ANNA, "INBOX").unseen, 5);
	modseq = box_of(w.v, ANNA, "INBOX").highest_modseq;
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = inbox, .how = MAIL_HOW_ADD,
			 .flags = MAIL_SEEN, .keywords = SPAN_LIT("$Work b"),
			 .unchanged_since = UINT64_MAX),
		     2, 3);
	act = story_change(w.s, ANNA,
			   ACT(.kind = MAIL_ACT_STORE, .box = inbox, .how = MAIL_HOW_SET,
			       .flags = MAIL_FLAGGED | MAIL_DELETED, .unchanged_since = modseq),
			   1, UINT32_MAX);
	after(w.s, w.v);
	assert_string_equal(verdict_on(w.v, act), "0 modified 2:3");
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2/12 2:3/1($Work b) 3:4/1($Work b) "
						       "4:5/12 5:6/12");
	assert_string_equal(shows_since(w.v, ANNA, "INBOX", modseq + 1), "1:2/12 4:5/12 5:6/12");
	assert_int_equal(box_of(w.v, ANNA, "INBOX").unseen, 3);
	assert_int_equal(box_of(w.v, ANNA, "INBOX").deleted, 3);
	assert_int_equal(box_of(w.v, ANNA, "INBOX").highest_modseq, modseq + 2);
	/* Nothing changes: no modseq is taken. */
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = inbox, .how = MAIL_HOW_REMOVE,
			 .flags = MAIL_DRAFT, .keywords = SPAN_LIT("never"),
			 .unchanged_since = UINT64_MAX),
		     1, 5);
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = inbox, .how = MAIL_HOW_ADD,
			 .keywords = SPAN_LIT("$work a c"), .unchanged_since = UINT64_MAX),
		     2, 2);
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = inbox, .how = MAIL_HOW_REMOVE,
			 .keywords = SPAN_LIT("$WORK"), .unchanged_since = UINT64_MAX),
		     3, 3);
	after(w.s, w.v);
	assert_string_equal(shows_since(w.v, ANNA, "INBOX", modseq + 2),
			    "2:3/1($Work a b c) 3:4/1(b)");
	assert_int_equal(box_of(w.v, ANNA, "INBOX").highest_modseq, modseq + 4);
	world_free(&w);
}

static void messages_are_copied_moved_and_expunged(void **state)
{
	struct world w = world_new();
	uint64_t inbox = inbox_of(&w), archive = box_id(w.anna, ARCHIVE), before, a, b, c, d, e;

	(void)state;
	letters(&w, 6); /* 2 to 7 */
	after(w.s, w.v);
	assert_string_equal(there(w.v, inbox), "1:6");
	assert_string_equal(there(w.v, archive), "");
	before = box_of(w.v, ANNA, "INBOX").highest_modseq;
	a = story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_COPY, .box = inbox, .to = archive), 2, 3);
	b = story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_MOVE, .box = inbox, .to = archive), 3, 4);
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = inbox, .how = MAIL_HOW_ADD,
			 .flags = MAIL_DELETED, .unchanged_since = UINT64_MAX),
		     5, 5);
	c = story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_EXPUNGE, .box = inbox), 1, UINT32_MAX);
	d = story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_COPY, .box = inbox, .to = inbox), 1,
			 UINT32_MAX);
	e = story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_MOVE, .box = inbox, .to = inbox), 1, 1);
	after(w.s, w.v);
	assert_string_equal(verdict_on(w.v, a), "0 from 2:3 to 1:2");
	assert_string_equal(verdict_on(w.v, b), "0 from 3:4 to 3:4");
	assert_string_equal(verdict_on(w.v, c), "0 from 5");
	assert_string_equal(verdict_on(w.v, d), "0 from 1:2,6 to 7:9");
	assert_string_equal(verdict_on(w.v, e), "0 from 1 to 10");
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "2:3 6:7 7:2 8:3 9:7 10:2");
	assert_string_equal(shows(w.v, ANNA, "Archive"), "1:3 2:4 3:4 4:5");
	assert_string_equal(there(w.v, inbox), "2,6:10");
	assert_string_equal(there(w.v, archive), "1:4");
	assert_string_equal(gone_since(w.v, inbox, 0), "1,3:5");
	assert_string_equal(gone_since(w.v, inbox, before), "1,3:5");
	assert_string_equal(gone_since(w.v, inbox, before + 2), "1,5");
	world_free(&w);
}

static void a_reader_sees_one_moment(void **state)
{
	struct world w = world_new();
	struct fault why = {0};
	struct views *r;

	(void)state;
	letters(&w, 1);
	after(w.s, w.v);
	if (views_open_read(w.dir, &r, &why) != OK)
		fail_msg("%s", why.text);
	views_read_begin(r);
	assert_int_equal(box_of(r, ANNA, "INBOX").total, 1);
	letters(&w, 1);
	after(w.s, w.v);
	assert_int_equal(box_of(r, ANNA, "INBOX").total, 1);
	assert_string_equal(there(r, inbox_of(&w)), "1");
	views_read_end(r);
	assert_int_equal(box_of(r, ANNA, "INBOX").total, 2);
	assert_string_equal(there(r, inbox_of(&w)), "1:2");
	views_read_end(r); /* does nothing */
	views_read_begin(r);
	views_close(r); /* in the middle of it */
	world_free(&w);
}

static void what_is_refused_changes_nothing(void **state)
{
	struct world w = world_new();
	uint64_t inbox = inbox_of(&w), hers = box_id(w.berta, INBOX);
	const struct {
		struct msg_mail_act act;
		uint32_t first, last;
		const char *account, *want;
	} rows[] = {
		{ACT(.kind = MAIL_ACT_STORE, .box = hers, .flags = 1), 1, 1, ANNA, "1"},
		{ACT(.kind = MAIL_ACT_COPY, .box = inbox, .to = hers), 1, 1, ANNA, "1"},
		{ACT(.kind = MAIL_ACT_MOVE, .box = inbox, .to = 99), 1, 1, ANNA, "1"},
		{ACT(.kind = MAIL_ACT_EXPUNGE, .box = 1), 1, 1, ANNA, "1"},
		{ACT(.kind = MAIL_ACT_STORE, .box = inbox, .flags = 32), 1, 1, ANNA, "6"},
		{ACT(.kind = MAIL_ACT_STORE, .box = inbox, .how = 3), 1, 1, ANNA, "6"},
		{ACT(.kind = MAIL_ACT_STORE, .box = inbox, .keywords = SPAN_LIT("b a")), 1, 1, ANNA,
		 "6"},
		{ACT(.kind = MAIL_ACT_STORE, .box = inbox, .keywords = SPAN_LIT("a\r\nb")), 1, 1,
		 ANNA, "6"},
		{ACT(.kind = MAIL_ACT_STORE, .box = inbox, .flags = 1), 2, 1, ANNA, "6"},
		{ACT(.kind = MAIL_ACT_STORE, .box = inbox, .flags = 1), 1, 1, "no@x.example", "7"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("Inbox")), 0, 0, ANNA, "2"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("Sent/")), 0, 0, ANNA, "2"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("")), 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("/")), 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("/a")), 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("a//b")), 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("a%")), 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("a\xff")), 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("a\nb")), 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_CREATE,
		     .name = SPAN_LIT("1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1")),
		 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("x"), .special = MAIL_SENT), 0, 0,
		 ANNA, "3"},
		{ACT(.kind = MAIL_ACT_DELETE, .name = SPAN_LIT("INBOX")), 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_DELETE, .name = SPAN_LIT("Trash")), 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_DELETE, .name = SPAN_LIT("none")), 0, 0, ANNA, "1"},
		{ACT(.kind = MAIL_ACT_RENAME, .name = SPAN_LIT("Sent"), .new_name = SPAN_LIT("y")),
		 0, 0, ANNA, "3"},
		{ACT(.kind = MAIL_ACT_RENAME, .name = SPAN_LIT("none"), .new_name = SPAN_LIT("y")),
		 0, 0, ANNA, "1"},
		{ACT(.kind = MAIL_ACT_RENAME, .name = SPAN_LIT("INBOX"),
		     .new_name = SPAN_LIT("Sent")),
		 0, 0, ANNA, "2"},
		{ACT(.kind = MAIL_ACT_APPEND, .box = inbox), 0, 0, ANNA, "3"},
		{ACT(.kind = 99), 0, 0, ANNA, "3"},
	};
	char *before = NULL, *now;

	(void)state;
	letters(&w, 2);
	after(w.s, w.v);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t act;

		free(before);
		before = must_strdup(boxes(w.v, ANNA));
		act = story_change(w.s, rows[i].account, rows[i].act, rows[i].first, rows[i].last);
		after(w.s, w.v);
		if (strcmp(verdict_on(w.v, act), rows[i].want) != 0)
			fail_msg("row %zu: %s", i, verdict_on(w.v, act));
		now = must_strdup(boxes(w.v, ANNA));
		assert_string_equal(now, before);
		free(now);
	}
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2 2:3");
	assert_string_equal(shows(w.v, BERTA, "INBOX"), "");
	free(before);
	world_free(&w);
}

static void mailboxes_come_go_and_change_names(void **state)
{
	struct world w = world_new();
	uint64_t inbox = inbox_of(&w), make, act;
	uint32_t uidvalidity;

	(void)state;
	letters(&w, 2); /* 2, 3 */
	make = story_change(w.s, ANNA,
			    ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("P/Moon/Dust")), 0, 0);
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_SUBSCRIBE, .name = SPAN_LIT("P/Moon/Dust")), 0,
		     0);
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_SUBSCRIBE, .name = SPAN_LIT("Nowhere")), 0, 0);
	after(w.s, w.v);
	assert_string_equal(boxes(w.v, ANNA),
			    "INBOX Archive Drafts Junk Nowhere! P- P/Moon- P/Moon/Dust Sent Trash");
	assert_int_equal(box_of(w.v, ANNA, "P/Moon/Dust").id, box_id(make, 2));
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_COPY, .box = inbox, .to = box_id(make, 2)), 1,
		     2);
	act = story_change(w.s, ANNA,
			   ACT(.kind = MAIL_ACT_RENAME, .name = SPAN_LIT("P/Moon"),
			       .new_name = SPAN_LIT("Q/Sun")),
			   0, 0);
	after(w.s, w.v);
	assert_string_equal(verdict_on(w.v, act), "0");
	assert_string_equal(
		boxes(w.v, ANNA),
		"INBOX Archive Drafts Junk Nowhere! P- Q- Q/Sun- Q/Sun/Dust Sent Trash");
	assert_string_equal(shows(w.v, ANNA, "Q/Sun/Dust"), "1:2 2:3");
	assert_int_equal(box_of(w.v, ANNA, "Q/Sun/Dust").id, box_id(make, 2));
	uidvalidity = box_of(w.v, ANNA, "Q/Sun/Dust").uidvalidity;
	act = story_change(w.s, ANNA,
			   ACT(.kind = MAIL_ACT_RENAME, .name = SPAN_LIT("Q"),
			       .new_name = SPAN_LIT("Q/Sun/R")),
			   0, 0);
	after(w.s, w.v);
	assert_string_equal(verdict_on(w.v, act), "3");
	act = story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_DELETE, .name = SPAN_LIT("Q/Sun")), 0,
			   0);
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_DELETE, .name = SPAN_LIT("Q/Sun/Dust")), 0, 0);
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_DELETE, .name = SPAN_LIT("P")), 0, 0);
	after(w.s, w.v);
	assert_string_equal(verdict_on(w.v, act), "4");
	assert_string_equal(boxes(w.v, ANNA),
			    "INBOX Archive Drafts Junk Nowhere! Q- Q/Sun- Q/Sun/Dust! Sent Trash");
	/* The same name again is another mailbox. */
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("Q/Sun/Dust")), 0, 0);
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_UNSUBSCRIBE, .name = SPAN_LIT("Nowhere")), 0,
		     0);
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_RENAME, .name = SPAN_LIT("inbox"),
			 .new_name = SPAN_LIT("Old")),
		     0, 0);
	letters(&w, 1);
	after(w.s, w.v);
	assert_string_equal(boxes(w.v, ANNA),
			    "INBOX Archive Drafts Junk Old- Q- Q/Sun- Q/Sun/Dust Sent Trash");
	assert_true(box_of(w.v, ANNA, "Q/Sun/Dust").uidvalidity > uidvalidity);
	assert_string_equal(shows(w.v, ANNA, "Q/Sun/Dust"), "");
	assert_string_equal(shows(w.v, ANNA, "Old"), "1:2 2:3");
	assert_int_equal(box_of(w.v, ANNA, "INBOX").id, inbox);
	assert_int_equal(box_of(w.v, ANNA, "INBOX").uidnext, 4);
	assert_string_equal(gone_since(w.v, inbox, 0), "1:2");
	world_free(&w);
}

static void a_person_puts_a_message(void **state)
{
	struct world w = world_new();
	uint64_t ok = story_put(w.s, ANNA, box_id(w.anna, DRAFTS), MAIL_DRAFT | MAIL_SEEN, "<d>",
				30),
		 no = story_put(w.s, ANNA, 5, 0, "<e>", 30);

	(void)state;
	after(w.s, w.v);
	assert_string_equal(verdict_on(w.v, ok), "0 to 1");
	assert_string_equal(verdict_on(w.v, no), "1");
	assert_string_equal(shows(w.v, ANNA, "Drafts"), "1:2/17");
	assert_int_equal(look_deliveries(w.v), 0);
	world_free(&w);
}

/* ---- the window ---- */

static void the_window_ends_what_waits_for_nothing(void **state)
{
	struct world w = world_new();
	uint64_t inbox = inbox_of(&w), m, before;
	char *text;

	(void)state;
	m = story_letter(w.s, LETTER(ID("<1>")), 10, ANNA, NULL); /* 2: handed back */
	story_intent(w.s, LANE_COURIER, 1, m, 0);
	story_outcome(w.s, LANE_COURIER, 1, m, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	story_letter(w.s, LETTER(ID("<2>")), 10, ANNA, NULL);	  /* 5: held */
	m = story_letter(w.s, LETTER(ID("<3>")), 10, ANNA, NULL); /* 6: handed back, flagged */
	story_intent(w.s, LANE_COURIER, 2, m, 0);
	story_outcome(w.s, LANE_COURIER, 2, m, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = inbox, .how = MAIL_HOW_ADD,
			 .flags = MAIL_FLAGGED, .unchanged_since = UINT64_MAX),
		     3, 3);
	story_put(w.s, ANNA, box_id(w.anna, DRAFTS), MAIL_DRAFT, "<4>", 10); /* 10 */
	w.s->now_us += 29 * DAY;
	letters(&w, 1); /* 11 */
	after(w.s, w.v);
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2 2:5 3:6/4 4:11");
	before = box_of(w.v, ANNA, "INBOX").highest_modseq;
	w.s->now_us += 2 * DAY;
	letters(&w, 1); /* 12 */
	after(w.s, w.v);
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "2:5 3:6/4 4:11 5:12");
	assert_string_equal(shows(w.v, ANNA, "Drafts"), "1:10/16");
	assert_string_equal(gone_since(w.v, inbox, before), "1");
	/* Its row goes with the next pruning; the UID is remembered. */
	while (w.s->n < STORY_MAX)
		story_site(w.s, "hq", "up");
	after(w.s, w.v);
	text = story_dump(w.v);
	assert_null(strstr(text, "\n|message|2|"));
	assert_non_null(strstr(text, "\n|message|5|"));
	assert_non_null(strstr(text, "\n|message|10|"));
	free(text);
	assert_string_equal(gone_since(w.v, inbox, before), "1");
	assert_string_equal(gone_since(w.v, inbox, before + 2), "");
	world_free(&w);
}

/* A site without IMAP: changes cannot go home, so they are not waited for, also in a rebuild; what is only here stays. */
static void the_window_waits_for_no_home_that_cannot_be_reached(void **state)
{
	struct world w = world_new();
	char *dir = story_dir(), *want, *got;
	struct views *again = story_open(dir, NULL);
	uint64_t inbox = inbox_of(&w), m;

	(void)state;
	m = story_letter(w.s, LETTER(ID("<1>")), 10, ANNA, NULL); /* 2 */
	story_intent(w.s, LANE_COURIER, 1, m, 0);
	story_outcome(w.s, LANE_COURIER, 1, m, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = inbox, .how = MAIL_HOW_ADD,
			 .flags = MAIL_FLAGGED, .unchanged_since = UINT64_MAX),
		     1, 1);
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_COPY, .box = inbox, .to = box_id(w.anna, ARCHIVE)), 1, 1);
	story_put(w.s, ANNA, box_id(w.anna, DRAFTS), MAIL_DRAFT, "<4>", 10); /* 7 */
	story_fact(w.s, "domain", "", "x.example", "hq");
	story_fact(w.s, "site", "hq", "imap", "yes");
	w.s->now_us += 31 * DAY;
	letters(&w, 1); /* 10 */
	after(w.s, w.v);
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2/4 2:10");
	story_fact(w.s, "site", "hq", "imap", "no");
	w.s->now_us += DAY / 12;
	letters(&w, 1); /* 12 */
	after(w.s, w.v);
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "2:10 3:12");
	assert_string_equal(shows(w.v, ANNA, "Archive"), "");
	assert_string_equal(shows(w.v, ANNA, "Drafts"), "1:7/16");
	want = story_dump(w.v);
	assert_null(strstr(want, "|home|2|2|")); /* nothing that would be taken for a deletion */
	after(w.s, again);
	got = story_dump(again);
	assert_string_equal(got, want);
	free(want);
	free(got);
	views_close(again);
	story_rm(dir);
	world_free(&w);
}

/* ---- L7 ---- */

/* The same records in batches of any size, with the database closed and opened on the way, and from nothing. */
static void l7_a_rebuild_gives_the_same_numbers(void **state)
{
	const unsigned rounds = 6;
	unsigned seen = 0;

	(void)state;
	for (unsigned round = 0; round < rounds; round++) {
		struct dice d = {.seed = round + 1};
		struct story *s = story_new();
		char *dir = story_dir(), *want, *got;
		struct views *v = story_open(dir, NULL);
		uint64_t accounts[3];
		char command[256];

		story_letter(s, LETTER(.sender = SPAN_NONE), 10, ANNA, "team@x.example");
		accounts[0] = story_account(s, ANNA, "active");
		accounts[1] = story_account(s, BERTA, "active");
		accounts[2] = story_account(s, "carl@x.example", "active");
		while (s->n < (round ? 700 : STORY_MAX - 4)) /* the first up to a pruning */
			random_step(s, &d, accounts);
		while (round == 0 && s->n < STORY_MAX)
			story_site(s, "hq", "up");
		story_apply(s, v, s->n, 1);
		want = story_dump(v);
		assert_true(strstr(want, "\n|entry|") && strstr(want, "\n|mailbox|") &&
			    strstr(want, "\n|verdict|"));
		seen |= (strstr(want, "\n|thread_ref|") ? 1u : 0) |
			(strstr(want, "\n|setting|") ? 2u : 0) |
			(strstr(want, "\n|submission|") ? 4u : 0);
		assert_true(round > 0 || (strstr(want, "\n|gone|") && strstr(want, "\n|lost|")));
		views_close(v);
		snprintf(command, sizeof command, "rm -rf '%s/views'", dir);
		assert_int_equal(system(command), 0);
		v = story_open(dir, NULL);
		while (views_next(v) < s->n) {
			size_t to = (size_t)views_next(v) + 1 + (size_t)roll(&d, 150);

			story_apply(s, v, to < s->n ? to : s->n, 1 + (size_t)roll(&d, 40));
			views_close(v);
			v = story_open(dir, NULL);
		}
		got = story_dump(v);
		assert_string_equal(got, want);
		free(got);
		free(want);
		views_close(v);
		story_rm(dir);
		story_free(s);
	}
	assert_int_equal(seen, 7);
}

/* B1, B2: UIDs and modseqs only grow; what changed and what went can be asked for from any point. */
static void l7_numbers_only_grow(void **state)
{
	struct dice d = {.seed = 77};
	struct world w = world_new();
	uint64_t accounts[3] = {w.anna, w.berta, 0};
	uint64_t modseq = 0;
	uint32_t uidnext = 0, uidvalidity = 0;

	(void)state;
	accounts[2] = story_account(w.s, "carl@x.example", "active");
	while (w.s->n < 400) {
		struct mail_box b;

		random_step(w.s, &d, accounts);
		story_account(w.s, ANNA, "active");
		after(w.s, w.v);
		b = box_of(w.v, ANNA, "INBOX");
		if (b.uidvalidity == uidvalidity) {
			assert_true(b.highest_modseq >= modseq);
			assert_true(b.uidnext >= uidnext);
		} else {
			assert_true(b.uidvalidity > uidvalidity);
		}
		if (b.uidvalidity == uidvalidity && b.highest_modseq == modseq) {
			assert_string_equal(shows_since(w.v, ANNA, "INBOX", modseq), "");
			assert_string_equal(gone_since(w.v, b.id, modseq), "");
		}
		uidvalidity = b.uidvalidity;
		uidnext = b.uidnext;
		modseq = b.highest_modseq;
	}
	world_free(&w);
}

static bool shown_text(void *to, const struct views_shown *s)
{
	buf_printf(to, "%llu/%d ", (unsigned long long)s->number, (int)s->form);
	return true;
}

static bool shown_last(void *to, const struct views_shown *s)
{
	assert_true(s->serial > *(uint64_t *)to);
	*(uint64_t *)to = s->serial;
	return true;
}

static void the_indexer_sees_each_message_once(void **state)
{
	struct world w = world_new();
	struct fault why;
	struct buf text = {0};
	uint64_t last = 0;

	(void)state;
	story_letter(w.s, LETTER(.sender = SPAN_NONE), 9, "late@x.example", NULL);	   /* 2 */
	story_letter(w.s, LETTER(.origin = 1, .account = SPAN_LIT(ANNA)), 9, ANNA, BERTA); /* 3 */
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_COPY, .box = inbox_of(&w), .to = box_id(w.anna, TRASH)),
		     1, 1);
	after(w.s, w.v);
	assert_int_equal(views_each_shown(w.v, 0, 100, shown_last, &last, &why), OK);
	story_account(w.s, "late@x.example", "active"); /* brings an older one */
	after(w.s, w.v);
	assert_int_equal(views_each_shown(w.v, 0, 100, shown_text, &text, &why), OK);
	assert_string_equal(buf_cstr(&text), "3/0 3/1 2/0 ");
	buf_clear(&text);
	assert_int_equal(views_each_shown(w.v, last, 100, shown_text, &text, &why), OK);
	assert_string_equal(buf_cstr(&text), "2/0 ");
	buf_fini(&text);
	assert_true(views_is_current(w.v, w.dir));
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_is_in_the_inbox_at_once),
		cmocka_unit_test(addresses_lead_to_accounts),
		cmocka_unit_test(what_came_before_the_account_is_there),
		cmocka_unit_test(a_disabled_account_still_gets_its_mail),
		cmocka_unit_test(a_copy_of_the_primary_is_shown_once),
		cmocka_unit_test(sent_has_one_copy),
		cmocka_unit_test(sizes_are_those_of_the_form),
		cmocka_unit_test(flags_are_set_under_conditions),
		cmocka_unit_test(messages_are_copied_moved_and_expunged),
		cmocka_unit_test(a_reader_sees_one_moment),
		cmocka_unit_test(what_is_refused_changes_nothing),
		cmocka_unit_test(mailboxes_come_go_and_change_names),
		cmocka_unit_test(a_person_puts_a_message),
		cmocka_unit_test(the_window_ends_what_waits_for_nothing),
		cmocka_unit_test(the_window_waits_for_no_home_that_cannot_be_reached),
		cmocka_unit_test(l7_a_rebuild_gives_the_same_numbers),
		cmocka_unit_test(l7_numbers_only_grow),
		cmocka_unit_test(the_indexer_sees_each_message_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

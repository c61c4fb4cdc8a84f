/* What JMAP asks of the views and of the clerk: conversations, changes since a modseq, patches of Emails, submissions. */
#include <glob.h>
#include <sqlite3.h>
#include <time.h>

#include "people_story.h"

#define ANNA	    "anna@x.example"
#define BERTA	    "berta@x.example"
#define LETTER(...) ((struct msg_message_meta){__VA_ARGS__})
#define ACT(...)    ((struct msg_mail_act){__VA_ARGS__})
#define REFS(...)   .refs = (uint64_t[]){__VA_ARGS__}, .refs_n = sizeof((uint64_t[]){__VA_ARGS__}) / 8

enum { INBOX, SENT, DRAFTS, ARCHIVE, TRASH, JUNK };
static const uint64_t DAY = 86400ULL * 1000000;

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
	struct fault why = {0};

	if (views_check(w->v, &why) != OK)
		fail_msg("%s", why.text);
	views_close(w->v);
	story_rm(w->dir);
	story_free(w->s);
}

static void after(struct world *w)
{
	story_apply(w->s, w->v, w->s->n, 7);
}

static uint64_t box(const struct world *w, unsigned which)
{
	return box_id(w->anna, which);
}

static uint64_t letter(struct world *w)
{
	return story_letter(w->s, LETTER(.sender = SPAN_NONE), 100, ANNA, NULL);
}

static uint64_t now(struct world *w, const char *account)
{
	struct mail_state s = {0};
	struct fault why = {0};

	after(w);
	assert_int_equal(views_state(w->v, account_id(w->v, account), &s, &why), OK);
	return s.modseq;
}

/* ---- conversations ---- */

static bool on_place_thread(void *to, uint64_t in, const struct mail_entry *e)
{
	(void)in;
	*(uint64_t *)to = e->thread;
	return true;
}

static uint64_t thread_of_form(struct world *w, const char *account, uint64_t number,
			       enum mail_form form)
{
	struct fault why = {0};
	uint64_t thread = 0;

	after(w);
	if (views_each_place(w->v, account_id(w->v, account), number, form, on_place_thread,
			     &thread, &why) != OK)
		fail_msg("%s %llu: %s", account, (unsigned long long)number, why.text);
	return thread;
}

static uint64_t thread(struct world *w, uint64_t number)
{
	return thread_of_form(w, ANNA, number, MAIL_AS_DELIVERED);
}

static bool on_email_text(void *to, const struct mail_email *e)
{
	buf_printf(to, "%s%llu/%d", ((struct buf *)to)->n ? " " : "", (unsigned long long)e->number,
		   (int)e->form);
	return true;
}

static const char *talk(struct world *w, const char *account, uint64_t of)
{
	static struct buf text;
	struct fault why = {0};

	after(w);
	buf_clear(&text);
	if (views_each_of_thread(w->v, account_id(w->v, account), of, on_email_text, &text, &why) !=
	    OK)
		return "none";
	return buf_cstr(&text);
}

static uint64_t answer(struct world *w, uint64_t subject, uint64_t *refs, size_t n)
{
	return story_letter(w->s, LETTER(.refs = refs, .refs_n = n, .subject_hash = subject), 100,
			    ANNA, NULL);
}

#define ANSWER(w, subject, ...)                                                                    \
	answer(w, subject, (uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / 8)

static void answers_join_their_conversation(void **state)
{
	struct world w = world_new();
	uint64_t first = ANSWER(&w, 7, 1), second = ANSWER(&w, 7, 2, 1),
		 other = ANSWER(&w, 8, 3, 1), /* another subject */
		third = ANSWER(&w, 7, 4, 2), orphan = ANSWER(&w, 7, 50, 60, 70),
		 sibling = ANSWER(&w, 7, 51, 80, 70), parent = ANSWER(&w, 7, 60),
		 to_other = ANSWER(&w, 8, 9, 3, 1), nothing = letter(&w),
		 nothing_again = letter(&w);

	(void)state;
	assert_int_equal(thread(&w, second), thread(&w, first));
	assert_int_equal(thread(&w, third), thread(&w, first));
	assert_int_not_equal(thread(&w, other), thread(&w, first));
	assert_int_equal(thread(&w, to_other), thread(&w, other));
	assert_int_not_equal(thread(&w, orphan), thread(&w, first));
	assert_int_equal(thread(&w, sibling), thread(&w, orphan)); /* the same one was answered */
	assert_int_equal(thread(&w, parent), thread(&w, orphan));  /* it comes after its answer */
	assert_int_not_equal(thread(&w, nothing), thread(&w, nothing_again));
	assert_string_equal(talk(&w, ANNA, thread(&w, first)), "2/0 3/0 5/0");
	assert_string_equal(talk(&w, BERTA, thread(&w, first)), "none");
	assert_string_equal(talk(&w, ANNA, 12345), "none");
	world_free(&w);
}

/* What the two conversations turn out to have in common later does not merge them: ids are fixed. */
static void conversations_are_never_merged(void **state)
{
	struct world w = world_new();
	uint64_t a = ANSWER(&w, 7, 1), b = ANSWER(&w, 7, 2), both = ANSWER(&w, 7, 3, 2, 1), was;

	(void)state;
	was = thread(&w, a);
	assert_int_not_equal(thread(&w, b), was);
	assert_int_equal(thread(&w, both), thread(&w, b)); /* the nearest */
	assert_int_equal(thread(&w, a), was);
	world_free(&w);
}

/* Of a table that only the views know. */
static int64_t rows_of(const char *dir, const char *sql)
{
	char pattern[128];
	glob_t found = {0};
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;
	int64_t n;

	snprintf(pattern, sizeof pattern, "%s/views/g*/queue.db", dir);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(sqlite3_open_v2(found.gl_pathv[0], &db, SQLITE_OPEN_READONLY, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	globfree(&found);
	return n;
}

/*
 * References go over from what is kept in memory into their tree while mail comes. Where one leads to is the same before
 * and after, whatever the transactions were and also when the views were opened anew meanwhile.
 */
static void references_lead_to_the_same_wherever_they_are(void **state)
{
	enum { LETTERS = 20000, EACH = 4 };
	struct world w = world_new(), again = {.s = w.s, .dir = story_dir()};
	uint64_t first = w.s->n;
	char *dump, *other;

	(void)state;
	for (uint64_t i = 0; i < LETTERS; i++)
		ANSWER(&w, 7, 4 * i + 1, 4 * i + 2, 4 * i + 3, 4 * i + 4);
	story_apply(w.s, w.v, w.s->n, 1000);
	assert_in_range(rows_of(w.dir, "SELECT count(*) FROM thread_ref"), 1000, LETTERS * EACH);
	for (uint64_t i = 0; i < LETTERS; i += 3333)
		assert_int_equal(thread(&w, ANSWER(&w, 7, 1000000 + i, 4 * i + 4)),
				 thread(&w, first + i));
	again.v = story_open(again.dir, NULL);
	story_apply(w.s, again.v, LETTERS * 9 / 10, 333);
	assert_in_range(rows_of(again.dir, "SELECT count(*) FROM thread_ref"), 100, 40000);
	views_close(again.v);
	again.v = story_open(again.dir, NULL);
	story_apply(w.s, again.v, w.s->n, 77);
	dump = story_dump(w.v);
	other = story_dump(again.v);
	assert_string_equal(dump, other);
	assert_int_not_equal(rows_of(w.dir, "SELECT count(*) FROM thread_ref"),
			     rows_of(again.dir, "SELECT count(*) FROM thread_ref"));
	free(dump);
	free(other);
	story_directory(w.s, "account", ANNA, true, "state", (const char *[]){"deleted"}, 1);
	after(&w);
	assert_int_equal(rows_of(w.dir, "SELECT (SELECT count(*) FROM thread_ref) + (SELECT"
					" count(*) FROM thread_new)"),
			 0);
	views_close(again.v);
	story_rm(again.dir);
	world_free(&w);
}

static void conversations_are_of_one_account(void **state)
{
	struct world w = world_new();
	uint64_t m = story_letter(w.s, LETTER(REFS(1), .subject_hash = 7), 10, ANNA, BERTA);

	(void)state;
	assert_int_not_equal(thread_of_form(&w, ANNA, m, MAIL_AS_DELIVERED),
			     thread_of_form(&w, BERTA, m, MAIL_AS_DELIVERED));
	world_free(&w);
}

/* Both forms of one message, and what was put here. */
static void forms_and_drafts_are_in_it(void **state)
{
	struct world w = world_new();
	uint64_t self = story_letter(w.s, LETTER(.origin = 1, .account = SPAN_LIT(ANNA), REFS(1)),
				     9, ANNA, NULL),
		 without = story_letter(w.s, LETTER(.origin = 1, .account = SPAN_LIT(ANNA)), 9,
					ANNA, NULL);

	(void)state;
	assert_int_equal(thread_of_form(&w, ANNA, self, MAIL_AS_SENT), thread(&w, self));
	assert_int_equal(thread_of_form(&w, ANNA, without, MAIL_AS_SENT), thread(&w, without));
	world_free(&w);
}

/* What was noted of a message leaves with it; its conversation stays. */
static void what_left_is_no_longer_known(void **state)
{
	struct world w = world_new();
	uint64_t first = ANSWER(&w, 7, 1), was;
	char *dump;

	(void)state;
	story_intent(w.s, LANE_COURIER, 1, first, 0);
	story_outcome(w.s, LANE_COURIER, 1, first, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	was = thread(&w, first);
	w.s->now_us += 40 * DAY;
	ANSWER(&w, 7, 2, 1);
	after(&w);
	assert_string_equal(talk(&w, ANNA, was), "5/0");
	while (w.s->n < 2 * STORY_MAX + 1)
		story_site(w.s, "hq", "up");
	after(&w);
	dump = story_dump(w.v);
	assert_null(strstr(dump, "\n|message|2|"));
	assert_null(strstr(dump, "|1|7|"));
	free(dump);
	assert_string_equal(talk(&w, ANNA, was), "5/0");
	world_free(&w);
}

/* ---- changes ---- */

static bool on_change_text(void *to, const struct mail_change *c)
{
	static const char *const kinds[] = {"+", "*", "-"};

	buf_printf(to, "%s%s%llu", ((struct buf *)to)->n ? " " : "", kinds[c->kind],
		   (unsigned long long)c->id);
	if (c->form)
		buf_printf(to, "/%d", (int)c->form);
	if (c->counts_only)
		buf_printf(to, "n");
	return true;
}

typedef enum rc (*asker)(struct views *v, uint64_t account, uint64_t since,
			 bool (*on_change)(void *to, const struct mail_change *c), void *to,
			 struct fault *why);

static const char *changes(struct world *w, asker ask, const char *account, uint64_t since)
{
	static struct buf text;
	struct fault why = {0};
	enum rc rc;

	after(w);
	buf_clear(&text);
	rc = ask(w->v, account_id(w->v, account), since, on_change_text, &text, &why);
	return rc == REFUSED ? "cannot be told" : rc == OK ? buf_cstr(&text) : "fault";
}

static void store(struct world *w, unsigned which, uint32_t uid, uint32_t flags)
{
	story_change(w->s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = box(w, which), .how = MAIL_HOW_ADD,
			 .flags = flags, .unchanged_since = UINT64_MAX),
		     uid, uid);
}

static void emails_are_told_once(void **state)
{
	struct world w = world_new();
	uint64_t start = now(&w, ANNA), a = letter(&w), b = letter(&w), then, moved;

	(void)state;
	assert_true(a == 2 && b == 3);
	assert_string_equal(changes(&w, views_changed_emails, ANNA, start), "+2 +3");
	then = now(&w, ANNA);
	assert_string_equal(changes(&w, views_changed_emails, ANNA, then), "");
	store(&w, INBOX, 2, MAIL_SEEN);
	store(&w, INBOX, 1, MAIL_FLAGGED);
	letter(&w); /* 6 */
	assert_string_equal(changes(&w, views_changed_emails, ANNA, then), "*3 *2 +6");
	assert_string_equal(changes(&w, views_changed_emails, ANNA, start), "+3 +2 +6");
	moved = now(&w, ANNA);
	story_change(w.s, ANNA,
		     ACT(.kind = MAIL_ACT_MOVE, .box = box(&w, INBOX), .to = box(&w, ARCHIVE)), 1,
		     2);
	assert_string_equal(changes(&w, views_changed_emails, ANNA, moved), "*2 *3");
	assert_string_equal(changes(&w, views_changed_emails, ANNA, then), "+6 *2 *3");
	store(&w, ARCHIVE, 1, MAIL_DELETED); /* gone for JMAP */
	assert_string_equal(changes(&w, views_changed_emails, ANNA, moved), "*3 -2");
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_EXPUNGE, .box = box(&w, ARCHIVE)), 1, 9);
	assert_string_equal(changes(&w, views_changed_emails, ANNA, moved), "*3 -2");
	assert_string_equal(changes(&w, views_changed_emails, ANNA, start),
			    "+6 +3"); /* 2 came and went */
	assert_string_equal(changes(&w, views_changed_emails, ANNA, now(&w, ANNA) + 1),
			    "cannot be told");
	world_free(&w);
}

/* An Email is told as gone long after its message left the views, and in the end it is said that nobody knows. */
static void what_left_the_views_is_told(void **state)
{
	struct world w = world_new();
	uint64_t m = letter(&w), then, fresh;
	char *dump;

	(void)state;
	story_intent(w.s, LANE_COURIER, 1, m, 0);
	story_outcome(w.s, LANE_COURIER, 1, m, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	then = now(&w, ANNA);
	w.s->now_us += 40 * DAY;
	letter(&w); /* 5 */
	while (w.s->n < STORY_MAX + 1)
		story_site(w.s, "hq", "up");
	after(&w);
	dump = story_dump(w.v);
	assert_null(strstr(dump, "\n|message|2|"));
	free(dump);
	assert_string_equal(changes(&w, views_changed_emails, ANNA, then), "+5 -2");
	assert_string_equal(changes(&w, views_changed_emails, ANNA, then - 1), "+5");
	fresh = now(&w, ANNA);
	w.s->now_us += 40 * DAY;
	while (w.s->n < 2 * STORY_MAX + 1)
		story_site(w.s, "hq", "up");
	assert_string_equal(changes(&w, views_changed_emails, ANNA, then), "cannot be told");
	assert_string_equal(changes(&w, views_changed_threads, ANNA, then), "cannot be told");
	assert_string_equal(changes(&w, views_changed_boxes, ANNA, then), "cannot be told");
	/* 5 waits for its hand-back and is there */
	assert_string_equal(changes(&w, views_changed_emails, ANNA, fresh), "");
	world_free(&w);
}

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool count_entry(void *to, const struct mail_entry *e)
{
	(void)e;
	++*(unsigned *)to;
	return true;
}

/* A mailbox of tens of thousands: what changed lately costs what changed, many times less than looking at all. */
static void recent_changes_cost_little_in_a_large_mailbox(void **state)
{
	enum { LETTERS = STORY_ROOM - 100, TIMES = 10 };
	struct world w = world_new();
	uint64_t start = now(&w, ANNA), then, account;
	struct fault why = {0};
	unsigned n = 0;
	double all, some;

	(void)state;
	for (unsigned i = 0; i < LETTERS; i++)
		letter(&w);
	story_apply(w.s, w.v, w.s->n, 1000);
	then = now(&w, ANNA);
	store(&w, INBOX, 20000, MAIL_SEEN);
	letter(&w);
	after(&w);
	account = account_id(w.v, ANNA);
	all = cpu_s();
	assert_int_equal(views_each_entry(w.v, box(&w, INBOX), (struct mail_range){1, UINT32_MAX},
					  0, count_entry, &n, &why),
			 OK);
	all = cpu_s() - all;
	assert_int_equal(n, LETTERS + 1);
	assert_string_equal(changes(&w, views_changed_threads, ANNA, start), "cannot be told");
	some = cpu_s();
	for (unsigned i = 0; i < TIMES; i++) {
		struct buf text = {0};

		assert_int_equal(
			views_changed_emails(w.v, account, then, on_change_text, &text, &why), OK);
		assert_int_equal(
			views_changed_threads(w.v, account, then, on_change_text, &text, &why), OK);
		assert_int_equal(
			views_changed_boxes(w.v, account, then, on_change_text, &text, &why), OK);
		assert_non_null(strstr(buf_cstr(&text), "*20001 +"));
		buf_fini(&text);
	}
	some = cpu_s() - some;
	if (some > all)
		fail_msg("%d times what changed: %.4f s; all entries once: %.4f s", TIMES, some,
			 all);
	world_free(&w);
}

static void mailboxes_are_told(void **state)
{
	struct world w = world_new();
	uint64_t start = now(&w, ANNA), made, id, then, renamed;

	(void)state;
	made = story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("A/B")), 0, 0);
	id = box_id(made, 0);
	then = now(&w, ANNA);
	letter(&w);
	after(&w);
	{
		char want[100];

		snprintf(want, sizeof want, "+%llu +%llu *%llun", (unsigned long long)id,
			 (unsigned long long)id + 1, (unsigned long long)box(&w, INBOX));
		assert_string_equal(changes(&w, views_changed_boxes, ANNA, start), want);
		snprintf(want, sizeof want, "*%llun", (unsigned long long)box(&w, INBOX));
		assert_string_equal(changes(&w, views_changed_boxes, ANNA, then), want);
		renamed = now(&w, ANNA);
		story_change(w.s, ANNA,
			     ACT(.kind = MAIL_ACT_RENAME, .name = SPAN_LIT("A/B"),
				 .new_name = SPAN_LIT("A/C")),
			     0, 0);
		snprintf(want, sizeof want, "*%llu", (unsigned long long)id + 1);
		assert_string_equal(changes(&w, views_changed_boxes, ANNA, renamed), want);
		renamed = now(&w, ANNA);
		story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_UNSUBSCRIBE, .name = SPAN_LIT("Junk")),
			     0, 0);
		snprintf(want, sizeof want, "*%llu", (unsigned long long)box(&w, JUNK));
		assert_string_equal(changes(&w, views_changed_boxes, ANNA, renamed), want);
		renamed = now(&w, ANNA);
		story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_DELETE, .name = SPAN_LIT("A/C")), 0,
			     0);
		snprintf(want, sizeof want, "-%llu", (unsigned long long)id + 1);
		assert_string_equal(changes(&w, views_changed_boxes, ANNA, renamed), want);
		snprintf(want, sizeof want, "+%llu *%llun *%llu", (unsigned long long)id,
			 (unsigned long long)box(&w, INBOX), (unsigned long long)box(&w, JUNK));
		assert_string_equal(changes(&w, views_changed_boxes, ANNA, start), want);
	}
	world_free(&w);
}

static void conversations_are_told(void **state)
{
	struct world w = world_new();
	uint64_t start = now(&w, ANNA), first = ANSWER(&w, 7, 1), a, then;
	char want[100];

	(void)state;
	a = thread(&w, first);
	then = now(&w, ANNA);
	store(&w, INBOX, 1, MAIL_SEEN); /* its Email changes, the conversation does not */
	assert_string_equal(changes(&w, views_changed_threads, ANNA, then), "");
	ANSWER(&w, 7, 2, 1);
	snprintf(want, sizeof want, "*%llu", (unsigned long long)a);
	assert_string_equal(changes(&w, views_changed_threads, ANNA, then), want);
	snprintf(want, sizeof want, "+%llu", (unsigned long long)a);
	assert_string_equal(changes(&w, views_changed_threads, ANNA, start), want);
	store(&w, INBOX, 1, MAIL_DELETED);
	store(&w, INBOX, 2, MAIL_DELETED);
	snprintf(want, sizeof want, "-%llu", (unsigned long long)a);
	assert_string_equal(changes(&w, views_changed_threads, ANNA, then), want);
	assert_string_equal(changes(&w, views_changed_threads, ANNA, start), "");
	world_free(&w);
}

/* ---- patches ---- */

struct patch {
	struct msg_email_id emails[8];
	size_t n;
	struct msg_mail_act act;
};

static uint64_t apply_patch(struct world *w, struct msg_mail_act a, uint64_t first, uint64_t second)
{
	struct msg_email_id ids[2] = {{first, 0}, {second, 0}};

	a.kind = MAIL_ACT_EMAIL;
	a.emails = ids;
	a.emails_n = second ? 2 : 1;
	return story_change(w->s, ANNA, a, 0, 0);
}

#define PATCH(w, first, second, ...)                                                               \
	apply_patch(w, ACT(.how = MAIL_HOW_ADD, __VA_ARGS__), first, second)
#define BOXES(...)                                                                                 \
	(uint64_t[])                                                                               \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

/* "code modseq was missing" */
static const char *judged(struct world *w, uint64_t ask)
{
	static struct buf text;
	struct msg_mail_verdict m;
	struct fault why = {0};
	struct buf b = {0};
	struct arena a;

	after(w);
	arena_init(&a, 0);
	buf_clear(&text);
	assert_int_equal(views_verdict(w->v, LANE_DESK, ask, &b, &why), OK);
	assert_true(msg_mail_verdict_decode(&a, buf_span(&b), &m));
	buf_printf(&text, "%u", m.code);
	if (m.modseq)
		buf_printf(&text, " +%llu", (unsigned long long)(m.modseq - m.was));
	for (size_t i = 0; i < m.missing_n; i++)
		buf_printf(&text, " %llu/%u", (unsigned long long)m.missing[i].number,
			   m.missing[i].form);
	arena_fini(&a);
	buf_fini(&b);
	return buf_cstr(&text);
}

static void emails_are_marked(void **state)
{
	struct world w = world_new();
	uint64_t a = letter(&w), b = letter(&w);

	(void)state;
	assert_string_equal(
		judged(&w, PATCH(&w, a, b, .flags = MAIL_SEEN, .keywords = SPAN_LIT("x y"))),
		"0 +1");
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2/1(x y) 2:3/1(x y)");
	assert_string_equal(
		judged(&w, PATCH(&w, a, 99, .flags_off = MAIL_SEEN, .flags = MAIL_FLAGGED,
				 .keywords = SPAN_LIT("a"), .keywords_off = SPAN_LIT("y"))),
		"0 +1 99/0");
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2/4(a x) 2:3/1(x y)");
	assert_string_equal(judged(&w, apply_patch(&w, ACT(.how = MAIL_HOW_SET, .flags = 2), b, 0)),
			    "0 +1");
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2/4(a x) 2:3/2");
	assert_string_equal(judged(&w, PATCH(&w, b, 0, .flags = 2)), "0"); /* as it was */
	world_free(&w);
}

static void emails_go_from_place_to_place(void **state)
{
	struct world w = world_new();
	uint64_t a = letter(&w), b = letter(&w), in = box(&w, INBOX), arch = box(&w, ARCHIVE),
		 trash = box(&w, TRASH);

	(void)state;
	assert_string_equal(judged(&w, PATCH(&w, a, 0, .into = BOXES(arch), .into_n = 1)), "0 +1");
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2 2:3");
	assert_string_equal(shows(w.v, ANNA, "Archive"), "1:2");
	/* marks are of all its places; it is marked and moved at once */
	PATCH(&w, a, b, .flags = MAIL_FLAGGED, .into = BOXES(trash), .into_n = 1, .is_only = true);
	after(&w);
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "");
	assert_string_equal(shows(w.v, ANNA, "Archive"), "");
	assert_string_equal(shows(w.v, ANNA, "Trash"), "1:2/4 2:3/4");
	/* nowhere: nothing of it happens */
	assert_string_equal(judged(&w, PATCH(&w, a, b, .flags = MAIL_SEEN,
					     .out_of = BOXES(trash, in), .out_of_n = 2)),
			    "9");
	assert_string_equal(shows(w.v, ANNA, "Trash"), "1:2/4 2:3/4");
	assert_string_equal(judged(&w, PATCH(&w, a, 0, .into = BOXES(12345), .into_n = 1)), "1");
	assert_string_equal(
		judged(&w, PATCH(&w, a, 0, .into = BOXES(box_id(w.berta, INBOX)), .into_n = 1)),
		"1");
	PATCH(&w, a, 0, .into = BOXES(in), .into_n = 1, .out_of = BOXES(trash), .out_of_n = 1);
	after(&w);
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "3:2/4");
	assert_string_equal(shows(w.v, ANNA, "Trash"), "2:3/4");
	/* destroyed */
	assert_string_equal(judged(&w, PATCH(&w, a, b, .is_only = true)), "0 +1");
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "");
	assert_string_equal(shows(w.v, ANNA, "Trash"), "");
	assert_string_equal(judged(&w, PATCH(&w, a, b, .is_only = true)), "0 2/0 3/0");
	world_free(&w);
}

static void patches_look_at_what_they_get(void **state)
{
	struct world w = world_new();
	uint64_t a = letter(&w), b = letter(&w), modseq = now(&w, ANNA);
	struct msg_mail_act old = ACT(.how = MAIL_HOW_ADD, .flags = 1, .if_state = modseq - 1);

	(void)state;
	assert_string_equal(judged(&w, apply_patch(&w, old, a, 0)), "8");
	old.if_state = modseq;
	assert_string_equal(judged(&w, apply_patch(&w, old, a, 0)), "0 +1");
	assert_string_equal(judged(&w, apply_patch(&w, old, b, 0)), "8");
	old.if_state = 0;
	assert_string_equal(judged(&w, apply_patch(&w, old, b, a)), "6"); /* not in order */
	assert_string_equal(judged(&w, apply_patch(&w, old, a, a)), "6"); /* twice */
	old.flags = MAIL_DELETED;
	assert_string_equal(judged(&w, apply_patch(&w, old, a, 0)), "6");
	old.flags = 0;
	old.keywords = SPAN_LIT("b a");
	assert_string_equal(judged(&w, apply_patch(&w, old, a, 0)), "6");
	old.keywords = SPAN_NONE;
	old.keywords_off = SPAN_LIT("  ");
	assert_string_equal(judged(&w, apply_patch(&w, old, a, 0)), "6");
	/* every kind goes by the state */
	assert_string_equal(judged(&w, story_change(w.s, ANNA,
						    ACT(.kind = MAIL_ACT_CREATE,
							.name = SPAN_LIT("N"), .if_state = modseq),
						    0, 0)),
			    "8");
	assert_string_equal(boxes(w.v, ANNA), "INBOX Archive Drafts Junk Sent Trash");
	world_free(&w);
}

/* \Deleted: not there for JMAP, until it is put there again. */
static void what_is_deleted_is_not_there(void **state)
{
	struct world w = world_new();
	uint64_t a = letter(&w), b = letter(&w);

	(void)state;
	store(&w, INBOX, 1, MAIL_DELETED);
	assert_string_equal(judged(&w, PATCH(&w, a, b, .flags = MAIL_SEEN)), "0 +1 2/0");
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2/8 2:3/1");
	PATCH(&w, b, 0, .into = BOXES(box(&w, ARCHIVE)), .into_n = 1);
	store(&w, INBOX, 2, MAIL_DELETED);
	assert_string_equal(judged(&w, PATCH(&w, b, 0, .into = BOXES(box(&w, INBOX)), .into_n = 1)),
			    "0 +1");
	assert_string_equal(shows(w.v, ANNA, "INBOX"), "1:2/8 2:3/1");
	world_free(&w);
}

/* ---- settings ---- */

static bool on_setting_text(void *to, struct span name, struct span value)
{
	buf_printf(to, "%.*s=%.*s;", SPAN_FMT(name), SPAN_FMT(value));
	return true;
}

static const char *settings(struct world *w, const char *account)
{
	static struct buf text;
	struct fault why = {0};

	after(w);
	buf_clear(&text);
	assert_int_equal(
		views_each_setting(w->v, account_id(w->v, account), on_setting_text, &text, &why),
		OK);
	return buf_cstr(&text);
}

static uint64_t set(struct world *w, const char *name, struct span value)
{
	return story_change(w->s, ANNA,
			    ACT(.kind = MAIL_ACT_SETTING, .name = span_str(name), .value = value),
			    0, 0);
}

static void settings_are_kept(void **state)
{
	struct world w = world_new();
	char *big = must_alloc((64 << 10) + 1);

	(void)state;
	memset(big, 'x', (64 << 10) + 1);
	assert_string_equal(judged(&w, set(&w, "b", SPAN_LIT("1"))), "0 +1");
	assert_string_equal(judged(&w, set(&w, "a", SPAN_LIT("2"))), "0 +1");
	assert_string_equal(judged(&w, set(&w, "a", SPAN_LIT("2"))), "0");
	assert_string_equal(settings(&w, ANNA), "a=2;b=1;");
	assert_string_equal(settings(&w, BERTA), "");
	assert_string_equal(judged(&w, set(&w, "a", SPAN_LIT("3"))), "0 +1");
	assert_string_equal(judged(&w, set(&w, "b", SPAN_NONE)), "0 +1");
	assert_string_equal(judged(&w, set(&w, "b", SPAN_NONE)), "0");
	assert_string_equal(settings(&w, ANNA), "a=3;");
	assert_string_equal(judged(&w, set(&w, "", SPAN_LIT("1"))), "6");
	assert_string_equal(judged(&w, set(&w, "n", SPAN_LIT("\xff"))), "6");
	assert_string_equal(judged(&w, set(&w, "big", span_of(big, (64 << 10) + 1))), "6");
	assert_string_equal(judged(&w, set(&w, "big", span_of(big, 64 << 10))), "0 +1");
	for (int i = 0; i < 98; i++) {
		char name[8];

		snprintf(name, sizeof name, "s%d", i);
		set(&w, name, SPAN_LIT("1"));
	}
	assert_string_equal(judged(&w, set(&w, "one more", SPAN_LIT("1"))), "6");
	assert_string_equal(judged(&w, set(&w, "a", SPAN_LIT("4"))), "0 +1");
	free(big);
	world_free(&w);
}

/* ---- submissions ---- */

static bool on_submission_text(void *to, const struct mail_submission *s)
{
	buf_printf(to, "%llu(%llu/%d %.*s)@%llu ", (unsigned long long)s->number,
		   (unsigned long long)s->email, (int)s->email_form, SPAN_FMT(s->identity),
		   (unsigned long long)s->modseq);
	return true;
}

static const char *submissions(struct world *w, uint64_t since)
{
	static struct buf text;
	struct fault why = {0};

	after(w);
	buf_clear(&text);
	assert_int_equal(views_each_submission(w->v, account_id(w->v, ANNA), since,
					       on_submission_text, &text, &why),
			 OK);
	return buf_cstr(&text);
}

static bool on_delivery_text(void *to, const struct mail_delivery *d)
{
	buf_printf(to, "%.*s:%d(%.*s) ", SPAN_FMT(d->address), (int)d->state, SPAN_FMT(d->reply));
	return true;
}

static const char *deliveries(struct world *w, const char *account, uint64_t number)
{
	static struct buf text;
	struct fault why = {0};

	after(w);
	buf_clear(&text);
	if (views_each_delivery(w->v, account_id(w->v, account), number, on_delivery_text, &text,
				&why) != OK)
		return "none";
	return buf_cstr(&text);
}

static uint64_t submissions_now(struct world *w)
{
	struct mail_state s = {0};
	struct fault why = {0};

	after(w);
	assert_int_equal(views_state(w->v, account_id(w->v, ANNA), &s, &why), OK);
	return s.submissions;
}

static void submissions_tell_what_became_of_them(void **state)
{
	struct world w = world_new();
	uint64_t draft = story_put(w.s, ANNA, box(&w, DRAFTS), MAIL_DRAFT, "<1>", 10), m, was;

	(void)state;
	story_letter(w.s, LETTER(.origin = 1, .account = SPAN_LIT(ANNA)), 9, BERTA, NULL); /* 3 */
	m = story_letter(w.s,
			 LETTER(.origin = 1, .account = SPAN_LIT(ANNA),
				.sent_copy = SPAN_LIT("none"), .email = draft,
				.email_form = MAIL_AS_SENT, .identity = SPAN_LIT("I1")),
			 9, "out@x.example", "two@x.example");
	assert_string_equal(submissions(&w, 0), "3(3/1 )@1 4(2/1 I1)@2 ");
	assert_string_equal(shows(w.v, ANNA, "Sent"), "1:3/1"); /* none of the second */
	assert_string_equal(deliveries(&w, ANNA, m), "out@x.example:0() two@x.example:0() ");
	assert_string_equal(deliveries(&w, BERTA, m), "none");
	assert_string_equal(deliveries(&w, ANNA, draft), "none");
	was = submissions_now(&w);
	story_intent(w.s, LANE_COURIER, 1, m, 0);
	assert_int_equal(submissions_now(&w), was); /* it waits as before */
	story_outcome(w.s, LANE_COURIER, 1, m, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
	assert_true(submissions_now(&w) > was);
	assert_string_equal(submissions(&w, was), "4(2/1 I1)@3 ");
	assert_non_null(strstr(deliveries(&w, ANNA, m), "out@x.example:1(2"));
	story_intent(w.s, LANE_COURIER, 2, m, 1);
	story_outcome(w.s, LANE_COURIER, 2, m, 1, ATTEMPT_5XX, DISPOSE_DSN);
	assert_non_null(strstr(deliveries(&w, ANNA, m), "two@x.example:2(5"));
	world_free(&w);
}

/* The client files its own copy: that of the primary is not shown beside it. */
static void sent_copy_none_counts_as_given(void **state)
{
	struct world w = world_new();

	(void)state;
	story_letter(w.s,
		     LETTER(.origin = 1, .account = SPAN_LIT(ANNA), .sent_copy = SPAN_LIT("none"),
			    .message_id = SPAN_LIT("<1>"), .date = SPAN_LIT("today")),
		     9, BERTA, NULL);
	story_letter(w.s,
		     LETTER(.origin = 4, .sender = SPAN_LIT(ANNA), .message_id = SPAN_LIT("<1>"),
			    .date = SPAN_LIT("today")),
		     9, BERTA, NULL);
	after(&w);
	assert_string_equal(shows(w.v, ANNA, "Sent"), "");
	assert_string_equal(shows(w.v, BERTA, "INBOX"), "1:2");
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_join_their_conversation),
		cmocka_unit_test(conversations_are_never_merged),
		cmocka_unit_test(references_lead_to_the_same_wherever_they_are),
		cmocka_unit_test(conversations_are_of_one_account),
		cmocka_unit_test(forms_and_drafts_are_in_it),
		cmocka_unit_test(what_left_is_no_longer_known),
		cmocka_unit_test(emails_are_told_once),
		cmocka_unit_test(what_left_the_views_is_told),
		cmocka_unit_test(recent_changes_cost_little_in_a_large_mailbox),
		cmocka_unit_test(mailboxes_are_told),
		cmocka_unit_test(conversations_are_told),
		cmocka_unit_test(emails_are_marked),
		cmocka_unit_test(emails_go_from_place_to_place),
		cmocka_unit_test(patches_look_at_what_they_get),
		cmocka_unit_test(what_is_deleted_is_not_there),
		cmocka_unit_test(settings_are_kept),
		cmocka_unit_test(submissions_tell_what_became_of_them),
		cmocka_unit_test(sent_copy_none_counts_as_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

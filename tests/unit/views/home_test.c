/* What has to be done at home follows from people's changes; leases, results, the receipt; a rebuild gives the same. */
#include "people_story.h"
#include "queue/home.h"

#define ANNA	    "anna@x.example"
#define LETTER(...) ((struct msg_message_meta){__VA_ARGS__})
#define ACT(...)    ((struct msg_mail_act){__VA_ARGS__})

enum { INBOX, SENT, DRAFTS, ARCHIVE, TRASH, JUNK };
enum { LANE_HOME = 88 };

struct world {
	struct story *s;
	char *dir;
	struct views *v;
	uint64_t anna, lease;
};

static struct world world_new(void)
{
	struct world w = {.s = story_new(), .dir = story_dir()};

	w.v = story_open(w.dir, NULL);
	story_fact(w.s, "domain", "hq", "x.example", "hq");
	story_site(w.s, "hq", "up");
	w.anna = story_account(w.s, ANNA, "active");
	return w;
}

static void world_free(struct world *w)
{
	views_close(w->v);
	story_rm(w->dir);
	story_free(w->s);
}

static uint64_t box(const struct world *w, unsigned which)
{
	return box_id(w->anna, which);
}

static uint64_t letter(struct world *w, const char *message_id)
{
	return story_letter(w->s,
			    LETTER(.message_id = span_str(message_id), .date = SPAN_LIT("today")),
			    100, ANNA, NULL);
}

/* The delivery of the letter is done. */
static void handed_back(struct world *w, uint64_t number)
{
	w->lease++;
	story_intent(w->s, LANE_COURIER, w->lease, number, 0);
	story_outcome(w->s, LANE_COURIER, w->lease, number, 0, ATTEMPT_ACCEPTED, DISPOSE_DELIVERED);
}

static void store(struct world *w, unsigned which, uint32_t uid, enum mail_how how, uint32_t flags)
{
	story_change(w->s, ANNA,
		     ACT(.kind = MAIL_ACT_STORE, .box = box(w, which), .how = (uint8_t)how,
			 .flags = flags, .unchanged_since = UINT64_MAX),
		     uid, uid);
}

static void transfer(struct world *w, enum mail_act_kind kind, unsigned from, uint32_t uid,
		     unsigned to)
{
	story_change(w->s, ANNA, ACT(.kind = (uint8_t)kind, .box = box(w, from), .to = box(w, to)),
		     uid, uid);
}

static void expunge(struct world *w, unsigned which, uint32_t uid)
{
	store(w, which, uid, MAIL_HOW_ADD, MAIL_DELETED);
	story_change(w->s, ANNA, ACT(.kind = MAIL_ACT_EXPUNGE, .box = box(w, which)), uid, uid);
}

static uint64_t later(const struct world *w)
{
	return w->s->now_us + 3600 * SECOND;
}

static struct msg_home_lease lease_of(struct world *w, struct arena *a)
{
	struct msg_home_lease m = {0};
	struct fault why = {0};

	story_apply(w->s, w->v, w->s->n, 5);
	assert_int_equal(views_home_lease(w->v, w->anna + 1, later(w), 100, a, &m, &why), OK);
	return m;
}

/* "append 3 to 1 +1; change 4 from 1 move 3; ...": number, special mailboxes, flags. */
static const char *left(struct world *w)
{
	static const char *const actions[] = {"nothing", "append", "change", "folder"};
	static struct buf text;
	struct msg_home_lease m;
	struct arena a;

	arena_init(&a, 0);
	buf_clear(&text);
	m = lease_of(w, &a);
	for (size_t i = 0; i < m.items_n; i++) {
		const struct msg_home_item *t = &m.items[i];

		buf_printf(&text, "%s%s", text.n ? "; " : "", actions[t->action]);
		if (t->action == HOME_FOLDER) {
			buf_printf(&text, " %.*s", SPAN_FMT(t->to_name));
			continue;
		}
		buf_printf(&text, " %llu", (unsigned long long)t->number);
		if (t->action == HOME_CHANGE)
			buf_printf(&text, " in %u", t->from_special);
		if (t->action == HOME_APPEND || t->moves)
			buf_printf(&text, " to %u", t->to_special);
		if (t->add || t->remove)
			buf_printf(&text, " +%u-%u", t->add, t->remove);
	}
	arena_fini(&a);
	return buf_cstr(&text);
}

/* A courier says so of everything that is left. */
static void all_ends(struct world *w, enum home_result result, uint32_t did, bool intends)
{
	struct msg_home_result results[20] = {0};
	struct msg_home_step step = {
		.lease = 1, .account = w->anna + 1, .intends = intends, .results = results};
	struct msg_act_meta act = {.verb = SPAN_LIT("home"), .object = SPAN_LIT(ANNA)};
	struct buf detail = {0}, b = {0};
	struct msg_home_lease m;
	struct arena a;

	arena_init(&a, 0);
	m = lease_of(w, &a);
	for (size_t i = 0; i < m.items_n && i < 20; i++)
		results[step.results_n++] = (struct msg_home_result){.number = m.items[i].number,
								     .form = m.items[i].form,
								     .copy = m.items[i].copy,
								     .version = m.items[i].version,
								     .to_box = m.items[i].to_box,
								     .result = (uint8_t)result,
								     .did = did,
								     .text = SPAN_LIT("so it was")};
	msg_home_step_encode(&detail, &step);
	act.detail = buf_span(&detail);
	msg_act_meta_encode(&b, &act);
	story_add(w->s, LANE_HOME, RECORD_ACT, b, 0);
	buf_fini(&detail);
	arena_fini(&a);
}

static void looks(struct world *w, const char *wanted)
{
	assert_string_equal(left(w), wanted);
}

/* ---- */

static void delivered_mail_asks_for_nothing(void **state)
{
	struct world w = world_new();

	(void)state;
	handed_back(&w, letter(&w, "<1>"));
	looks(&w, "");
	world_free(&w);
}

static void marks_wait_for_the_hand_back(void **state)
{
	struct world w = world_new();
	uint64_t n = letter(&w, "<1>");
	char wanted[60];

	(void)state;
	store(&w, INBOX, 1, MAIL_HOW_ADD, MAIL_SEEN);
	looks(&w, "");
	handed_back(&w, n);
	snprintf(wanted, sizeof wanted, "change %u in 1 +1-0", (unsigned)n);
	looks(&w, wanted);
	all_ends(&w, HOME_DONE, HOME_DID_MARK, false);
	looks(&w, "");
	store(&w, INBOX, 1, MAIL_HOW_REMOVE, MAIL_SEEN);
	snprintf(wanted, sizeof wanted, "change %u in 1 +0-1", (unsigned)n);
	looks(&w, wanted);
	world_free(&w);
}

/* One change of a message is judged once, whatever it is made of: moving many holds nobody up. */
static void a_move_is_one_change(void **state)
{
	struct world w = world_new();
	uint64_t n = letter(&w, "<1>");
	char wanted[60], *dump;

	(void)state;
	handed_back(&w, n);
	transfer(&w, MAIL_ACT_MOVE, INBOX, 1, ARCHIVE);
	snprintf(wanted, sizeof wanted, "change %u in 1 to 4", (unsigned)n);
	looks(&w, wanted);
	dump = story_dump(w.v);
	/* account, number, form, copy, state (waits), at home, box, touched, words, version */
	snprintf(wanted, sizeof wanted, "|%u|0|0|0|1|", (unsigned)n);
	assert_non_null(strstr(dump, wanted));
	assert_non_null(strstr(strstr(dump, wanted), "|0||1|"));
	assert_true(strstr(strstr(dump, wanted), "|0||1|") < strchr(strstr(dump, wanted), '\n'));
	free(dump);
	world_free(&w);
}

/* G1 */
static void only_where_it_ends_counts(void **state)
{
	struct world w = world_new();
	uint64_t a = letter(&w, "<1>"), b = letter(&w, "<2>"), c = letter(&w, "<3>");
	char wanted[200];

	(void)state;
	handed_back(&w, a), handed_back(&w, b), handed_back(&w, c);
	transfer(&w, MAIL_ACT_COPY, INBOX, 1, ARCHIVE);
	expunge(&w, INBOX, 1);
	transfer(&w, MAIL_ACT_MOVE, INBOX, 2, ARCHIVE);
	transfer(&w, MAIL_ACT_MOVE, ARCHIVE, 2, INBOX);
	expunge(&w, INBOX, 3);
	snprintf(wanted, sizeof wanted, "change %u in 1 to 4; change %u in 1 to 5", (unsigned)a,
		 (unsigned)c);
	looks(&w, wanted);
	all_ends(&w, HOME_DONE, HOME_DID_MOVE, false);
	looks(&w, "");
	/* from where it is now */
	transfer(&w, MAIL_ACT_MOVE, ARCHIVE, 1, JUNK);
	snprintf(wanted, sizeof wanted, "change %u in 4 to 6", (unsigned)a);
	looks(&w, wanted);
	world_free(&w);
}

static void a_copy_is_appended_once(void **state)
{
	struct world w = world_new();
	uint64_t n = letter(&w, "<1>");
	char wanted[60];

	(void)state;
	handed_back(&w, n);
	transfer(&w, MAIL_ACT_COPY, INBOX, 1, ARCHIVE);
	snprintf(wanted, sizeof wanted, "append %u to 4", (unsigned)n);
	looks(&w, wanted);
	all_ends(&w, HOME_DONE, HOME_DID_APPEND, false);
	looks(&w, "");
	expunge(&w, INBOX, 1); /* G3: the copy at home stays, the first goes */
	snprintf(wanted, sizeof wanted, "change %u in 1 to 5", (unsigned)n);
	looks(&w, wanted);
	world_free(&w);
}

static void what_was_put_here_is_appended(void **state)
{
	struct world w = world_new();
	uint64_t draft = story_put(w.s, ANNA, box(&w, DRAFTS), MAIL_DRAFT | MAIL_SEEN, "<d>", 60);
	char wanted[60];

	(void)state;
	snprintf(wanted, sizeof wanted, "append %u to 3 +17-0", (unsigned)draft);
	looks(&w, wanted);
	expunge(&w, DRAFTS, 1);
	looks(&w, "");
	world_free(&w);
}

/* W1: after a crash nobody knows; it is asked again, and says so. */
static void an_intended_one_is_asked_again(void **state)
{
	struct world w = world_new();
	struct msg_home_lease m;
	struct fault why = {0};
	struct arena a;

	(void)state;
	story_put(w.s, ANNA, box(&w, SENT), MAIL_SEEN, "<s>", 60);
	all_ends(&w, HOME_DONE, 0, true);
	arena_init(&a, 0);
	m = lease_of(&w, &a);
	assert_int_equal(m.items_n, 1);
	assert_true(m.items[0].was_intended);
	/* but not at once: the APPEND may still be under way */
	assert_int_equal(views_home_lease(w.v, w.anna + 1, w.s->now_us + SECOND, 100, &a, &m, &why),
			 OK);
	assert_int_equal(m.items_n, 0);
	arena_fini(&a);
	all_ends(&w, HOME_DONE, HOME_WAS_THERE, false);
	looks(&w, "");
	world_free(&w);
}

static void what_does_not_work_is_given_up_and_tried_again(void **state)
{
	struct world w = world_new();
	struct views_home_left n;
	struct fault why = {0};

	(void)state;
	story_put(w.s, ANNA, box(&w, SENT), MAIL_SEEN, "<s>", 60);
	for (unsigned i = 0; i < HOME_TRIES; i++) {
		assert_true(left(&w)[0]);
		all_ends(&w, HOME_LATER, 0, false);
	}
	looks(&w, "");
	assert_int_equal(views_home_left(w.v, SPAN_LIT("hq"), &n, &why), OK);
	assert_int_equal(n.decide, 1);
	assert_int_equal(n.waiting, 0);
	story_act(w.s, "", "queue.retry", "site=hq", "");
	assert_true(left(&w)[0]);
	world_free(&w);
}

static void a_folder_is_made(void **state)
{
	struct world w = world_new();

	(void)state;
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_CREATE, .name = SPAN_LIT("A/B")), 0, 0);
	looks(&w, "folder A; folder A/B");
	story_change(w.s, ANNA, ACT(.kind = MAIL_ACT_DELETE, .name = SPAN_LIT("A/B")), 0, 0);
	looks(&w, "folder A");
	all_ends(&w, HOME_DONE, HOME_DID_FOLDER, false);
	looks(&w, "");
	world_free(&w);
}

static bool find_receipt(void *arg, const struct views_act *a)
{
	if (span_eq(a->verb, SPAN_LIT("home.receipt")))
		buf_printf(arg, "%.*s", SPAN_FMT(a->result));
	return true;
}

static void the_receipt_says_it_once(void **state)
{
	struct world w = world_new();
	struct buf text = {0};
	struct fault why = {0};
	uint64_t n;

	(void)state;
	story_site(w.s, "hq", "down");
	n = letter(&w, "<1>");
	story_put(w.s, ANNA, box(&w, SENT), MAIL_SEEN, "<s>", 60);
	store(&w, INBOX, 1, MAIL_HOW_ADD, MAIL_SEEN);
	story_site(w.s, "hq", "up");
	handed_back(&w, n);
	all_ends(&w, HOME_DONE, HOME_DID_APPEND, false);
	store(&w, INBOX, 1, MAIL_HOW_REMOVE, MAIL_SEEN);
	all_ends(&w, HOME_DONE, HOME_DID_MARK, false); /* of an ordinary day */
	story_apply(w.s, w.v, w.s->n, 3);
	assert_int_equal(views_history(w.v, 100, find_receipt, &text, &why), OK);
	assert_non_null(strstr(buf_cstr(&text), "1 sent message in Sent"));
	assert_null(strstr(buf_cstr(&text) + 10,
			   "Sent1")); /* a second one would follow without a gap */
	buf_fini(&text);
	world_free(&w);
}

/* H2, V1 */
static void a_rebuild_gives_the_same(void **state)
{
	struct world w = world_new();
	char *want, *got, *dir = story_dir();
	struct views *again = story_open(dir, NULL);
	uint64_t n = letter(&w, "<1>");

	(void)state;
	story_put(w.s, ANNA, box(&w, SENT), MAIL_SEEN, "<s>", 60);
	transfer(&w, MAIL_ACT_COPY, INBOX, 1, ARCHIVE);
	all_ends(&w, HOME_DONE, 0, true);
	handed_back(&w, n);
	all_ends(&w, HOME_LATER, 0, false);
	store(&w, INBOX, 1, MAIL_HOW_ADD, MAIL_FLAGGED);
	all_ends(&w, HOME_DONE, HOME_DID_APPEND, false);
	expunge(&w, ARCHIVE, 1);
	story_apply(w.s, w.v, w.s->n, 100);
	story_apply(w.s, again, w.s->n, 1);
	want = story_dump(w.v);
	got = story_dump(again);
	assert_non_null(strstr(want, "\n|home|"));
	assert_string_equal(got, want);
	free(want);
	free(got);
	views_close(again);
	story_rm(dir);
	world_free(&w);
}

/* ---- JMAP's patches ---- */

#define PATCH(w, n, f, ...)                                                                        \
	patch(w, n, f,                                                                             \
	      ((struct msg_mail_act){.kind = MAIL_ACT_EMAIL, .how = MAIL_HOW_ADD, __VA_ARGS__}))
#define INTO(...) .into = (uint64_t[]){__VA_ARGS__}, .into_n = sizeof((uint64_t[]){__VA_ARGS__}) / 8

static void patch(struct world *w, uint64_t number, enum mail_form form, struct msg_mail_act a)
{
	struct msg_email_id id = {number, (uint8_t)form};

	a.emails = &id;
	a.emails_n = 1;
	story_change(w->s, ANNA, a, 0, 0);
}

static uint64_t handed_letter(struct world *w)
{
	uint64_t n = letter(w, "<1>");

	handed_back(w, n);
	return n;
}

/* The same told by IMAP and by JMAP asks for the same at home, before and after it was done. */
static void jmap_goes_home_as_imap_does(void **state)
{
	enum { WAYS = 2, CASES = 6 };
	char texts[WAYS][400];

	(void)state;
	for (int i = 0; i < CASES; i++) {
		for (int way = 0; way < WAYS; way++) {
			struct world w = world_new();
			bool imap = way == 0;
			uint64_t n =
				i == 3 ? story_put(w.s, ANNA, box(&w, DRAFTS), MAIL_DRAFT, "<1>", 9)
				       : handed_letter(&w);

			switch (i) {
			case 0: /* marked and moved */
				if (imap) {
					store(&w, INBOX, 1, MAIL_HOW_ADD, MAIL_FLAGGED);
					transfer(&w, MAIL_ACT_MOVE, INBOX, 1, ARCHIVE);
				} else {
					PATCH(&w, n, 0, .flags = MAIL_FLAGGED,
					      INTO(box(&w, ARCHIVE)), .is_only = true);
				}
				break;
			case 1: /* a further place */
				if (imap)
					transfer(&w, MAIL_ACT_COPY, INBOX, 1, ARCHIVE);
				else
					PATCH(&w, n, 0, INTO(box(&w, ARCHIVE)));
				break;
			case 2: /* destroyed */
				if (imap)
					expunge(&w, INBOX, 1);
				else
					PATCH(&w, n, 0, .is_only = true);
				break;
			case 3: /* a draft that was sent */
				if (imap) {
					store(&w, DRAFTS, 1, MAIL_HOW_SET, MAIL_SEEN);
					transfer(&w, MAIL_ACT_MOVE, DRAFTS, 1, SENT);
				} else {
					PATCH(&w, n, MAIL_AS_SENT, .flags = MAIL_SEEN,
					      .flags_off = MAIL_DRAFT, INTO(box(&w, SENT)),
					      .is_only = true);
				}
				break;
			case 4: /* two places, and not where it was */
				if (imap) {
					transfer(&w, MAIL_ACT_COPY, INBOX, 1, ARCHIVE);
					transfer(&w, MAIL_ACT_COPY, INBOX, 1, JUNK);
					expunge(&w, INBOX, 1);
				} else {
					PATCH(&w, n, 0, INTO(box(&w, ARCHIVE), box(&w, JUNK)),
					      .is_only = true);
				}
				break;
			case 5: /* there and back */
				if (imap) {
					transfer(&w, MAIL_ACT_MOVE, INBOX, 1, TRASH);
					transfer(&w, MAIL_ACT_MOVE, TRASH, 1, INBOX);
				} else {
					PATCH(&w, n, 0, INTO(box(&w, TRASH)), .is_only = true);
					PATCH(&w, n, 0, INTO(box(&w, INBOX)), .is_only = true);
				}
				break;
			}
			snprintf(texts[way], sizeof texts[way], "%s | ", left(&w));
			all_ends(&w, HOME_DONE, i == 3 ? HOME_DID_APPEND : HOME_DID_MOVE, false);
			strcat(texts[way], left(&w));
			if (way == 1 && i != 5) { /* something was asked at all */
				assert_int_not_equal(texts[way][0], ' ');
			}
			world_free(&w);
		}
		if (strcmp(texts[0], texts[1]) != 0)
			fail_msg("case %d: '%s' by IMAP, '%s' by JMAP", i, texts[0], texts[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivered_mail_asks_for_nothing),
		cmocka_unit_test(marks_wait_for_the_hand_back),
		cmocka_unit_test(a_move_is_one_change),
		cmocka_unit_test(only_where_it_ends_counts),
		cmocka_unit_test(a_copy_is_appended_once),
		cmocka_unit_test(what_was_put_here_is_appended),
		cmocka_unit_test(an_intended_one_is_asked_again),
		cmocka_unit_test(what_does_not_work_is_given_up_and_tried_again),
		cmocka_unit_test(a_folder_is_made),
		cmocka_unit_test(jmap_goes_home_as_imap_does),
		cmocka_unit_test(the_receipt_says_it_once),
		cmocka_unit_test(a_rebuild_gives_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

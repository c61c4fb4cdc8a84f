/* What is left to do at home for one message: home_plan, row by row. */
#include "queue/home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

enum { INBOX = 1, SENT, ARCHIVE, TRASH, DRAFTS };

static const enum mail_special specials[] = {[INBOX] = MAIL_INBOX,
					     [SENT] = MAIL_SENT,
					     [ARCHIVE] = MAIL_ARCHIVE,
					     [TRASH] = MAIL_TRASH,
					     [DRAFTS] = MAIL_DRAFTS};

struct row {
	const char *name;
	unsigned home; /* 0: the primary has not got it */
	uint32_t touched;
	const char *words;
	struct {
		unsigned box;
		uint32_t flags;
		const char *keywords;
		bool appended;
	} at[3];
	const char *wanted;
};

static void plan_text(const struct row *r, char out[300])
{
	static const char *const actions[] = {"nothing", "append", "change"};
	struct home_place places[3];
	struct home_facts f = {.is_at_home = r->home,
			       .box = r->home,
			       .special = specials[r->home],
			       .touched = r->touched,
			       .words = span_str(r->words ? r->words : ""),
			       .places = places};
	char words[2 * HOME_WORDS_BYTES];
	struct home_plan p;

	for (; f.places_n < 3 && r->at[f.places_n].box; f.places_n++)
		places[f.places_n] = (struct home_place){
			.box = r->at[f.places_n].box,
			.special = specials[r->at[f.places_n].box],
			.flags = r->at[f.places_n].flags,
			.keywords = span_str(r->at[f.places_n].keywords ? r->at[f.places_n].keywords
									: ""),
			.is_appended = r->at[f.places_n].appended};
	home_plan(&f, words, &p);
	(void)snprintf(out, 300, "%s%s%s +%u-%u +[%.*s]-[%.*s]", actions[p.action],
		       p.moves ? " move" : "", p.trashes ? " trash" : "", p.add, p.remove,
		       SPAN_FMT(p.add_words), SPAN_FMT(p.remove_words));
	if (p.to)
		(void)snprintf(out + strlen(out), 20, " to %u", (unsigned)p.to);
}

static void plans(void **state)
{
	static const struct row rows[] = {
		{"untouched", INBOX, 0, "", {{.box = INBOX}}, "nothing +0-0 +[]-[] to 1"},
		{"read",
		 INBOX,
		 MAIL_SEEN,
		 "",
		 {{.box = INBOX, .flags = MAIL_SEEN}},
		 "change +1-0 +[]-[] to 1"},
		{"unread again", INBOX, MAIL_SEEN, "", {{.box = INBOX}}, "change +0-1 +[]-[] to 1"},
		{"only what was touched (G2)",
		 INBOX,
		 MAIL_FLAGGED,
		 "",
		 {{.box = INBOX, .flags = MAIL_SEEN | MAIL_FLAGGED}},
		 "change +4-0 +[]-[] to 1"},
		{"deleted is not a mark that goes (G2)",
		 INBOX,
		 MAIL_DELETED,
		 "",
		 {{.box = INBOX, .flags = MAIL_DELETED}},
		 "nothing +0-0 +[]-[] to 1"},
		{"keywords",
		 INBOX,
		 0,
		 "a b",
		 {{.box = INBOX, .keywords = "b c"}},
		 "change +0-0 +[b]-[a] to 1"},
		{"moved", INBOX, 0, "", {{.box = ARCHIVE}}, "change move +0-0 +[]-[] to 3"},
		{"moved and marked",
		 INBOX,
		 MAIL_SEEN,
		 "",
		 {{.box = ARCHIVE, .flags = MAIL_SEEN}},
		 "change move +1-0 +[]-[] to 3"},
		{"copied: stays where it is",
		 INBOX,
		 0,
		 "",
		 {{.box = INBOX}, {.box = ARCHIVE}},
		 "nothing +0-0 +[]-[] to 1"},
		{"copied and the first deleted: a move (G1)",
		 INBOX,
		 0,
		 "",
		 {{.box = ARCHIVE}},
		 "change move +0-0 +[]-[] to 3"},
		{"the copy is there already, the first deleted (G3)",
		 INBOX,
		 0,
		 "",
		 {{.box = ARCHIVE, .appended = true}},
		 "change trash +0-0 +[]-[]"},
		{"deleted (G3)", INBOX, 0, "", {{0}}, "change trash +0-0 +[]-[]"},
		{"deleted from Trash: it is there (G3)",
		 TRASH,
		 0,
		 "",
		 {{0}},
		 "nothing +0-0 +[]-[]"},
		{"sent", 0, 0, "", {{.box = SENT, .flags = MAIL_SEEN}}, "append +1-0 +[]-[] to 2"},
		{"a draft with a keyword",
		 0,
		 MAIL_SEEN,
		 "",
		 {{.box = DRAFTS, .flags = MAIL_DRAFT, .keywords = "x"}},
		 "append +16-1 +[x]-[] to 5"},
		{"a draft thrown away (G3)", 0, 0, "", {{0}}, "nothing +0-0 +[]-[]"},
		{"appended, then moved",
		 SENT,
		 0,
		 "",
		 {{.box = ARCHIVE}},
		 "change move +0-0 +[]-[] to 3"},
	};
	char got[300];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		plan_text(&rows[i], got);
		if (strcmp(got, rows[i].wanted) != 0)
			fail_msg("%s:\n  wanted %s\n  got    %s", rows[i].name, rows[i].wanted,
				 got);
	}
}

static void copies(void **state)
{
	struct home_place places[] = {{.box = INBOX}, {.box = ARCHIVE}};
	struct home_facts f = {.is_at_home = true,
			       .box = INBOX,
			       .special = MAIL_INBOX,
			       .places = places,
			       .places_n = 2};
	char words[2 * HOME_WORDS_BYTES];
	struct home_plan p;

	(void)state;
	home_plan(&f, words, &p);
	assert_true(home_copy_is_wanted(ARCHIVE, &f, &p));
	assert_false(home_copy_is_wanted(INBOX, &f, &p));
	assert_false(home_copy_is_wanted(TRASH, &f, &p)); /* it is not there any more */
	places[1].is_appended = true;
	assert_false(home_copy_is_wanted(ARCHIVE, &f, &p));
	/* the first one went: the copy is where it moves to */
	places[0] = (struct home_place){.box = ARCHIVE};
	f.places_n = 1;
	home_plan(&f, words, &p);
	assert_false(home_copy_is_wanted(ARCHIVE, &f, &p));
}

static void words_that_differ(void **state)
{
	static const struct {
		const char *touched, *before, *after, *wanted;
	} rows[] = {
		{"", "", "a", "a"},   {"", "a", "", "a"},     {"", "a b", "b c", "a c"},
		{"a", "a", "a", "a"}, {"a", "b", "b a", "a"}, {"x y", "Y", "", "x y"},
	};
	char out[HOME_WORDS_BYTES], many[4 * HOME_WORDS_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = home_words_differ(span_str(rows[i].touched), span_str(rows[i].before),
					     span_str(rows[i].after), out);

		assert_true(span_eq(span_of(out, n), span_str(rows[i].wanted)));
	}
	for (size_t i = 0; i + 8 < sizeof many; i += 7)
		(void)snprintf(many + i, 8, "w%05zu ", i / 7 % 100000);
	assert_true(home_words_differ(SPAN_NONE, SPAN_NONE, span_str(many), out) <=
		    HOME_WORDS_BYTES);
}

static void waits_grow(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * HOME_TRIES; i++)
		assert_true(home_retry_ms(i) <= home_retry_ms(i + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans),
		cmocka_unit_test(copies),
		cmocka_unit_test(words_that_differ),
		cmocka_unit_test(waits_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What changed since a modseq: any story, any moment. What is told makes the old state the new one. */
#include "people_dice.h"

#define ANNA "anna@x.example"

enum { MOMENTS = 60, EMAILS_MOST = 700, BOXES_MOST = 64, THREADS_MOST = 700 };

struct email_then {
	uint64_t number, thread, places; /* places: a hash of where and how */
	enum mail_form form;
};
struct moment {
	uint64_t modseq;
	struct email_then emails[EMAILS_MOST];
	size_t emails_n;
	struct {
		uint64_t id, how;
	} boxes[BOXES_MOST];
	size_t boxes_n;
};

struct looking {
	struct moment *m;
	uint64_t box;
};

static uint64_t text_hash(struct span s)
{
	uint64_t h = 7;

	for (size_t i = 0; i < s.n; i++)
		h = queue_mix(h + s.p[i]);
	return h;
}

static bool see_entry(void *to, const struct mail_entry *e)
{
	struct looking *l = to;
	struct moment *m = l->m;
	size_t i = 0;
	uint64_t how = queue_mix(l->box * 64 + e->flags) + text_hash(e->keywords);

	if (e->flags & MAIL_DELETED)
		return true;
	while (i < m->emails_n &&
	       (m->emails[i].number != e->number || m->emails[i].form != e->form))
		i++;
	must(i < EMAILS_MOST);
	if (i == m->emails_n)
		m->emails[m->emails_n++] = (struct email_then){
			.number = e->number, .thread = e->thread, .form = e->form};
	m->emails[i].places += how; /* in any order */
	return true;
}

static bool see_box(void *to, const struct mail_box *b)
{
	struct moment *m = to;

	if (!b->exists)
		return true;
	must(m->boxes_n < BOXES_MOST);
	m->boxes[m->boxes_n].id = b->id;
	m->boxes[m->boxes_n++].how = text_hash(b->name) + (uint64_t)b->is_subscribed;
	return true;
}

static bool look(struct views *v, uint64_t account, struct moment *m)
{
	struct mail_state s;
	struct fault why = {0};

	memset(m, 0, sizeof *m);
	if (views_state(v, account, &s, &why) != OK)
		return false;
	m->modseq = s.modseq;
	assert_int_equal(views_each_box(v, account, see_box, m, &why), OK);
	for (size_t i = 0; i < m->boxes_n; i++) {
		struct looking l = {m, m->boxes[i].id};

		assert_int_equal(views_each_entry(v, l.box, (struct mail_range){1, UINT32_MAX}, 0,
						  see_entry, &l, &why),
				 OK);
	}
	return true;
}

struct told {
	struct mail_change at[2 * EMAILS_MOST];
	size_t n;
};

static bool on_told(void *to, const struct mail_change *c)
{
	struct told *t = to;

	must(t->n < 2 * EMAILS_MOST);
	if (t->n && t->at[t->n - 1].modseq > c->modseq)
		fail_msg("not in order");
	t->at[t->n++] = *c;
	return true;
}

/* '+', '*', '-'; 0: nothing is said of it. It is said once. */
static char told_of(const struct told *t, uint64_t id, enum mail_form form)
{
	char kind = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (t->at[i].id != id || t->at[i].form != form)
			continue;
		if (kind)
			fail_msg("%llu/%d is told twice", (unsigned long long)id, (int)form);
		kind = "+*-"[t->at[i].kind];
	}
	return kind;
}

static const struct email_then *email_in(const struct moment *m, const struct email_then *e)
{
	for (size_t i = 0; i < m->emails_n; i++)
		if (m->emails[i].number == e->number && m->emails[i].form == e->form)
			return &m->emails[i];
	return NULL;
}

static void check_emails(struct views *v, uint64_t account, const struct moment *then,
			 const struct moment *present)
{
	static struct told t;
	struct fault why = {0};
	size_t said = 0;

	t.n = 0;
	assert_int_equal(views_changed_emails(v, account, then->modseq, on_told, &t, &why), OK);
	for (size_t i = 0; i < present->emails_n; i++) {
		const struct email_then *e = &present->emails[i], *was = email_in(then, e);
		char kind = told_of(&t, e->number, e->form);

		said += kind != 0;
		if (was) {
			assert_int_equal(was->thread, e->thread);
			if (kind != '*' && (kind || was->places != e->places))
				fail_msg("%llu was there: '%c'", (unsigned long long)e->number,
					 kind);
		} else if (kind != '+' && kind != '*') { /* '*': \Deleted was taken back */
			fail_msg("%llu is new: '%c'", (unsigned long long)e->number, kind);
		}
	}
	for (size_t i = 0; i < then->emails_n; i++) {
		const struct email_then *e = &then->emails[i];

		if (email_in(present, e))
			continue;
		assert_int_equal(told_of(&t, e->number, e->form), '-');
		said++;
	}
	/* Others were under \Deleted then, and are gone or under it now. */
	for (size_t i = 0; i < t.n; i++) {
		const struct email_then e = {.number = t.at[i].id, .form = t.at[i].form};

		if (!email_in(present, &e) && !email_in(then, &e))
			assert_int_equal(t.at[i].kind, MAIL_GONE);
	}
	assert_true(said <= t.n);
}

static bool has_thread(const struct moment *m, uint64_t thread)
{
	for (size_t i = 0; i < m->emails_n; i++)
		if (m->emails[i].thread == thread)
			return true;
	return false;
}

static uint64_t members(const struct moment *m, uint64_t thread)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->emails_n; i++)
		if (m->emails[i].thread == thread)
			sum += queue_mix(m->emails[i].number * 4 + m->emails[i].form);
	return sum;
}

static void check_threads(struct views *v, uint64_t account, const struct moment *then,
			  const struct moment *present)
{
	static struct told t;
	struct fault why = {0};

	t.n = 0;
	assert_int_equal(views_changed_threads(v, account, then->modseq, on_told, &t, &why), OK);
	for (size_t i = 0; i < present->emails_n; i++) {
		uint64_t thread = present->emails[i].thread;
		char kind = told_of(&t, thread, 0);

		if (!has_thread(then, thread))
			assert_true(kind == '+' || kind == '*');
		else if (members(then, thread) != members(present, thread))
			assert_true(kind == '*');
	}
	for (size_t i = 0; i < then->emails_n; i++)
		if (!has_thread(present, then->emails[i].thread))
			assert_int_equal(told_of(&t, then->emails[i].thread, 0), '-');
}

static void check_boxes(struct views *v, uint64_t account, const struct moment *then,
			const struct moment *present)
{
	static struct told t;
	struct fault why = {0};

	t.n = 0;
	assert_int_equal(views_changed_boxes(v, account, then->modseq, on_told, &t, &why), OK);
	for (size_t i = 0; i < present->boxes_n; i++) {
		char kind = told_of(&t, present->boxes[i].id, 0);
		size_t k = 0;

		while (k < then->boxes_n && then->boxes[k].id != present->boxes[i].id)
			k++;
		if (k == then->boxes_n)
			assert_int_equal(kind, '+');
		else if (then->boxes[k].how != present->boxes[i].how)
			assert_int_equal(kind, '*');
		else
			assert_true(kind == '*' || kind == 0);
	}
	for (size_t k = 0; k < then->boxes_n; k++) {
		size_t i = 0;

		while (i < present->boxes_n && present->boxes[i].id != then->boxes[k].id)
			i++;
		if (i == present->boxes_n)
			assert_int_equal(told_of(&t, then->boxes[k].id, 0), '-');
	}
}

static struct views *story_views(struct story **s, char **dir)
{
	*s = story_new();
	*dir = story_dir();
	return story_open(*dir, NULL);
}

static void check_all(struct views *v, uint64_t account, const struct moment *then, size_t n,
		      const struct moment *present)
{
	for (size_t i = 0; i < n; i++) {
		check_emails(v, account, &then[i], present);
		check_threads(v, account, &then[i], present);
		check_boxes(v, account, &then[i], present);
	}
}

/* Moments of Anna's account while a story goes on; at the end each of them is asked what changed since. */
static void changes_are_complete(void **state)
{
	struct moment *then = must_alloc(MOMENTS * sizeof *then),
		      *present = must_alloc(sizeof *present);

	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		struct dice d = {.seed = 500 + round};
		struct story *s;
		char *dir;
		struct views *v = story_views(&s, &dir);
		uint64_t accounts[3], account;
		struct fault why = {0};
		size_t n = 0;

		accounts[0] = story_account(s, ANNA, "active");
		accounts[1] = story_account(s, "berta@x.example", "active");
		accounts[2] = story_account(s, "carl@x.example", "active");
		account = accounts[0] + 1;
		while (round == 0 && s->n < STORY_MAX - 4 * MOMENTS) /* over a pruning */
			random_step(s, &d, accounts);
		while (n < MOMENTS) {
			for (int i = 0; i < 8; i++)
				random_step(s, &d, accounts);
			story_account(s, ANNA, "active");
			story_apply(s, v, s->n, 7);
			if (look(v, account, &then[n++]))
				continue;
			account = account_id(v, ANNA); /* deleted: its next life is another one */
			accounts[0] = account - 1;
			n = 0;
		}
		assert_true(look(v, account, present));
		check_all(v, account, then, n, present);
		if (views_check(v, &why) != OK)
			fail_msg("%s", why.text);
		views_close(v);
		story_rm(dir);
		story_free(s);
	}
	free(then);
	free(present);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_are_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

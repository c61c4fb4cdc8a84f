/*
 * The indexer's work against a real ledger on disk: forms, batches, going on after being killed, what crashes it, a lost
 * database.
 */
#include "role/indexer/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "os/os.h"
#include "role/sequencer/follow.h"
#include "queue/schedule.h"
#include "views/apply.h"
#include "views/digest.h"

struct world {
	char dir[64], ledger[80];
	struct lane *lane;
	struct follow *follow;
	struct index *index;
	struct views *views; /* as the clerk has them */
	uint64_t numbered;
};

static void open_index(struct world *w, struct os *os, bool expect_new)
{
	struct fault why = {0};
	bool is_new = false;

	if (index_open(os, w->dir, &w->index, &is_new, &why) != OK)
		fail_msg("%s", why.text);
	assert_int_equal(is_new, expect_new);
}

static void on_durable(void *arg, const struct lane_result *result)
{
	(void)arg;
	assert_int_equal(result->rc, OK);
}

static void append_meta(struct world *w, enum record_type type, struct span meta, struct span body)
{
	struct record_new r = {.type = type, .received_us = 1000};
	struct lane_position at;
	struct fault why = {0};
	size_t n;

	buf_init(&r.body, 0);
	r.meta = meta;
	(void)buf_append(&r.body, body);
	lane_append(w->lane, &r, 1, 0, false, on_durable, NULL);
	while (lane_step(w->lane))
		;
	lane_collect(w->lane);
	at = lane_durable(w->lane);
	assert_true(follow_durable(w->follow, SPAN_LIT("edge-0"), &at));
	do
		assert_int_equal(follow_step(w->follow, 1000, &n, &why), OK);
	while (n > 0);
	w->numbered = order_size(follow_order(w->follow));
}

static void append_to(struct world *w, const char *to, struct msg_message_meta m, struct span body)
{
	struct msg_rcpt rcpt = {.address = span_str(to), .site = SPAN_LIT("hq")};
	struct buf b = {0};

	m.rcpts = &rcpt;
	m.rcpts_n = 1;
	msg_message_meta_encode(&b, &m);
	append_meta(w, RECORD_MESSAGE, buf_span(&b), body);
	buf_fini(&b);
}

static void append(struct world *w, const struct msg_message_meta *meta, struct span body)
{
	append_to(w, "anna@x.example", *meta, body);
}

/* Its number. */
static uint64_t message(struct world *w, const char *body)
{
	struct msg_message_meta m = {.trace = SPAN_LIT("Received: from x\r\n")};

	append(w, &m, span_str(body));
	return w->numbered - 1;
}

static void account(struct world *w, const char *name)
{
	struct msg_fact fact = {.key = SPAN_LIT("state"), .value = SPAN_LIT("active")};
	struct msg_directory_meta m = {.kind = SPAN_LIT("account"),
				       .scope = span_str(name),
				       .facts = &fact,
				       .facts_n = 1,
				       .source = SPAN_LIT("operator")};
	struct buf b = {0};

	msg_directory_meta_encode(&b, &m);
	append_meta(w, RECORD_DIRECTORY, buf_span(&b), SPAN_NONE);
	buf_fini(&b);
}

static const uint64_t NONE = UINT64_MAX;

/* The clerk: what is numbered, applied. One message may be none: the views of another story. */
static void apply(struct world *w, uint64_t no_message)
{
	static struct queue_schedule schedule;
	struct ledger_reader *reader;
	struct fault why = {0};
	bool is_new;

	queue_schedule_default(&schedule);
	if (!w->views)
		assert_int_equal(views_open_write(os_real(), w->dir, &schedule, NULL, &w->views,
						  &is_new, &why),
				 OK);
	assert_int_equal(ledger_reader_new(os_real(), w->ledger, &reader, &why), OK);
	assert_int_equal(views_begin(w->views, &why), OK);
	for (uint64_t i = views_next(w->views); i < w->numbered; i++) {
		struct order_entry e;
		struct record r;
		size_t n;

		assert_int_equal(order_read(follow_order(w->follow), i, &e, 1, &n, &why), OK);
		assert_int_equal(ledger_read(reader, e.ref, &r, &why), OK);
		if (i == no_message) {
			e.type = r.type = RECORD_ACT;
			r.meta = SPAN_NONE;
		}
		assert_int_equal(views_apply(w->views, &e, &r, &why), OK);
	}
	assert_int_equal(views_commit(w->views, &why), OK);
	assert_int_equal(views_publish(w->views, os_real(), &why), OK);
	ledger_reader_free(reader);
}

static void forget_views(struct world *w)
{
	views_close(w->views);
	w->views = NULL;
	views_condemn(os_real(), w->dir);
}

static void work(struct world *w)
{
	struct fault why = {0};
	enum rc rc;

	apply(w, NONE);
	while ((rc = index_step(w->index, &why)) == OK)
		;
	if (rc != MORE)
		fail_msg("%s", why.text);
}

static int set_up(void **state)
{
	struct world *w = must_alloc(sizeof *w);
	struct lane_options o = {.os = os_real(),
				 .ledger_dir = w->ledger,
				 .name = "edge-0",
				 .segment_bytes = 8 << 20};
	struct fault why = {0};

	strcpy(w->dir, "/tmp/hf-indexer-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->ledger, sizeof w->ledger, "%s/ledger", w->dir);
	assert_int_equal(mkdir(w->ledger, 0700), 0);
	assert_int_equal(lane_open(&o, &w->lane, &why), OK);
	assert_int_equal(follow_open(os_real(), w->ledger, &w->follow, &why), OK);
	account(w, "anna@x.example");
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char command[128];

	index_close(w->index);
	views_close(w->views);
	lane_close(w->lane);
	follow_close(w->follow);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static bool says(struct world *w, uint64_t number, enum mail_form form, const char *text)
{
	struct digest_db *db;
	struct mail_digest d;
	struct fault why = {0};
	bool does;

	assert_int_equal(digest_open_read(w->dir, &db, &why), OK);
	if (digest_get(db, (struct digest_key){number, form}, &d, &why) != OK)
		fail_msg("%s", why.text);
	does = memmem(d.envelope.p, d.envelope.n, text, strlen(text)) ||
	       memmem(d.bodystructure.p, d.bodystructure.n, text, strlen(text));
	digest_close(db);
	return does;
}

static bool is_there(struct world *w, uint64_t number, enum mail_form form)
{
	struct digest_db *db;
	struct mail_digest d;
	struct fault why = {0};
	enum rc rc;

	assert_int_equal(digest_open_read(w->dir, &db, &why), OK);
	rc = digest_get(db, (struct digest_key){number, form}, &d, &why);
	digest_close(db);
	return rc == OK;
}

static void each_form_is_read(void **state)
{
	static const char sent[] = "Subject: hello\r\nBcc: secret@x\r\nTo: a@b\r\n\r\nbody\r\n";
	static const char journal[] = "Subject: report\r\n\r\nSubject: original\r\n\r\ninner\r\n";
	struct world *w = *state;
	struct msg_cut cut = {16, 15};
	struct msg_message_meta m = {.origin = 1, .cuts = &cut, .cuts_n = 1};
	uint64_t plain, with_bcc, report;

	open_index(w, os_real(), true);
	plain = message(w, "Subject: plain\r\n\r\n");
	append(w, &m, span_str(sent));
	with_bcc = w->numbered - 1;
	m = (struct msg_message_meta){
		.origin = 4, .inner_offset = 19, .inner_bytes = sizeof journal - 1 - 19};
	append(w, &m, span_str(journal));
	report = w->numbered - 1;
	append_meta(w, RECORD_ACT, SPAN_NONE, SPAN_NONE);
	work(w);
	assert_true(says(w, plain, MAIL_AS_DELIVERED, "\"plain\""));
	assert_true(says(w, plain, MAIL_AS_SENT, "\"plain\""));
	assert_false(is_there(w, plain, MAIL_ENCLOSED));
	assert_true(says(w, with_bcc, MAIL_AS_SENT, "secret"));
	assert_false(says(w, with_bcc, MAIL_AS_DELIVERED, "secret"));
	assert_true(says(w, with_bcc, MAIL_AS_DELIVERED, "\"a\" NIL") ||
		    says(w, with_bcc, MAIL_AS_DELIVERED, "\"a\" \"b\""));
	assert_true(says(w, report, MAIL_AS_DELIVERED, "\"report\""));
	assert_true(says(w, report, MAIL_ENCLOSED, "\"original\""));
	assert_false(is_there(w, report + 1, MAIL_AS_DELIVERED));
}

static void a_large_message_is_read_in_chunks(void **state)
{
	struct world *w = *state;
	struct buf b;
	uint64_t number;

	open_index(w, os_real(), true);
	buf_init(&b, 0);
	(void)buf_append(&b, SPAN_LIT("Content-Type: text/plain\r\n\r\n"));
	for (int i = 0; i < 10000; i++)
		(void)buf_append(&b, SPAN_LIT("0123456789\r\n"));
	number = message(w, buf_cstr(&b));
	work(w);
	assert_true(says(w, number, MAIL_AS_DELIVERED, " 120000 10000 "));
	buf_fini(&b);
}

/* ---- dying ---- */

/* Reads that show a certain message end the process: a parser that crashes on it. */
static ssize_t deadly_pread(struct os *os, int fd, void *p, size_t n, uint64_t at)
{
	ssize_t got = os_real()->ops->pread(os_real(), fd, p, n, at);

	(void)os;
	if (got > 0 && memmem(p, (size_t)got, "\r\n\r\nPOISON", 10))
		_exit(66);
	return got;
}

/* A process that works until it is done (0) or dies. */
static int work_in_a_process(struct world *w)
{
	/* The views are applied outside: it is the indexer that dies. */
	struct os_ops ops = *os_real()->ops;
	struct os os = {&ops};
	int status;
	pid_t pid;

	ops.pread = deadly_pread;
	apply(w, NONE);
	pid = fork();
	if (pid == 0) {
		struct fault why = {0};
		bool is_new;

		if (index_open(&os, w->dir, &w->index, &is_new, &why) != OK)
			_exit(1);
		while (index_step(w->index, &why) == OK)
			;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void k07_what_crashes_it_twice_is_passed_over(void **state)
{
	struct world *w = *state;
	uint64_t before = message(w, "Subject: before\r\n\r\nx\r\n"),
		 poison = message(w, "Subject: bad\r\n\r\nPOISON\r\n"),
		 after = message(w, "Subject: after\r\n\r\ny\r\n");
	unsigned deaths = 0;

	while (work_in_a_process(w) == 66 && deaths < 10)
		deaths++;
	assert_in_range(deaths, 2, 3);
	assert_true(says(w, before, MAIL_AS_DELIVERED, "\"before\""));
	assert_true(says(w, after, MAIL_AS_DELIVERED, "\"after\""));
	assert_false(says(w, poison, MAIL_AS_DELIVERED, "\"bad\""));
	assert_true(says(w, poison, MAIL_AS_DELIVERED, "octet-stream"));
	/* What was passed over stays so. */
	(void)message(w, "Subject: more\r\n\r\n");
	assert_int_equal(work_in_a_process(w), 0);
}

static void killed_it_goes_on(void **state)
{
	struct world *w = *state;
	struct index_figures f;
	uint64_t last = 0;

	for (int i = 0; i < 600; i++)
		last = message(w, "Subject: one of many\r\n\r\nx\r\n");
	apply(w, NONE);
	open_index(w, os_real(), true);
	assert_int_equal(index_step(w->index, &(struct fault){0}), OK);
	index_figures(w->index, &f);
	assert_true(f.next > 0 && f.next < last);
	index_close(w->index); /* no farewell: as if killed between two batches */
	open_index(w, os_real(), false);
	work(w);
	index_figures(w->index, &f);
	assert_int_equal(f.next, w->numbered);
	assert_true(f.messages < 600);
	assert_true(says(w, last, MAIL_AS_DELIVERED, "one of many"));
}

static void a_lost_or_damaged_database_is_made_again(void **state)
{
	struct world *w = *state;
	uint64_t number = message(w, "Subject: kept\r\n\r\n");
	char path[128];
	FILE *file;

	open_index(w, os_real(), true);
	work(w);
	index_close(w->index);
	(void)snprintf(path, sizeof path, "%s/index/digest.db", w->dir);
	file = fopen(path, "wb");
	assert_non_null(file);
	fputs("not a database, not at all", file);
	fclose(file);
	open_index(w, os_real(), true);
	work(w);
	assert_true(says(w, number, MAIL_AS_DELIVERED, "\"kept\""));
	index_close(w->index);
	digest_condemn(w->dir);
	open_index(w, os_real(), true);
	work(w);
	assert_true(says(w, number, MAIL_AS_DELIVERED, "\"kept\""));
}

static void at_rest_what_no_view_knows_goes(void **state)
{
	struct world *w = *state;
	uint64_t gone = message(w, "Subject: gone\r\n\r\n"),
		 kept = message(w, "Subject: kept\r\n\r\n");
	struct index_figures f;
	struct fault why = {0};

	open_index(w, os_real(), true);
	work(w);
	forget_views(w);
	/* Without views nothing is known to be gone. */
	while (index_rest(w->index, &why) == OK)
		;
	assert_true(is_there(w, gone, MAIL_AS_DELIVERED));
	apply(w, gone);
	(void)message(w, "Subject: newer than the views\r\n\r\n");
	while (index_rest(w->index, &why) == OK)
		;
	index_figures(w->index, &f);
	assert_int_equal(f.forgotten, 1);
	assert_false(is_there(w, gone, MAIL_AS_DELIVERED));
	assert_true(is_there(w, kept, MAIL_AS_DELIVERED));
}

/* Mail for recipients without accounts is not looked into; when one is made, what it shows is. */
static void only_what_is_shown_is_read(void **state)
{
	struct world *w = *state;
	struct msg_message_meta m = {.origin = 0};
	struct index_figures f;
	uint64_t his;

	open_index(w, os_real(), true);
	append_to(w, "otto@x.example", m, SPAN_LIT("Subject: his\r\n\r\n"));
	his = w->numbered - 1;
	(void)message(w, "Subject: hers\r\n\r\n");
	work(w);
	index_figures(w->index, &f);
	assert_int_equal(f.messages, 1);
	assert_false(is_there(w, his, MAIL_AS_DELIVERED));
	account(w, "otto@x.example");
	work(w);
	index_figures(w->index, &f);
	assert_int_equal(f.messages, 2);
	assert_true(says(w, his, MAIL_AS_DELIVERED, "\"his\""));
}

/* Of new views all is looked for; what is there is not read again. */
static void new_views_are_followed(void **state)
{
	struct world *w = *state;
	struct index_figures f;
	uint64_t later, first;

	open_index(w, os_real(), true);
	first = message(w, "Subject: first\r\n\r\n");
	later = message(w, "Subject: later\r\n\r\n");
	apply(w, first);
	work(w);
	assert_false(is_there(w, first, MAIL_AS_DELIVERED));
	forget_views(w);
	assert_int_equal(index_step(w->index, &(struct fault){0}), MORE);
	work(w);
	index_figures(w->index, &f);
	assert_int_equal(f.messages, 2);
	assert_true(is_there(w, first, MAIL_AS_DELIVERED));
	assert_true(is_there(w, later, MAIL_AS_DELIVERED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_form_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_large_message_is_read_in_chunks, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(k07_what_crashes_it_twice_is_passed_over, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(killed_it_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_what_is_shown_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(new_views_are_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(at_rest_what_no_view_knows_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lost_or_damaged_database_is_made_again, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

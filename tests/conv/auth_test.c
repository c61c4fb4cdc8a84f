/* The real holdfast-auth: logins, changes, kills, the primary that vouches; catalogue I-15, H-16, H-17, H-19, H-20, S-23. */
#include "auth_host.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "auth/account.h"
#include "base/must.h"

#define ANNA  "anna@ours.example"
#define WORD  "correct horse battery anna"
#define WORD2 "another horse, another battery"
#define HOME  "192.0.2.10"

enum { LOOKS = 40, KILLS = 12, GUESSES = 1000 };

#if defined(__has_feature)
#define IS_SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

static const char *program;

static void begin(struct auth_host *h)
{
	auth_host_init(h, program);
	auth_host_start(h);
}

static bool contains(struct span text, const char *part)
{
	return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

/* ---- logins ---- */

static void people_log_in(void **state)
{
	struct auth_host h;
	struct msg_login_answer m;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok);
	assert_true(auth_set(&h, ANNA, "alias", "a.muster@ours.example").ok);
	assert_true(auth_set(&h, ANNA, "alias", "@ours.example")
			    .ok); /* what is left over: not to send as */
	assert_true(auth_set(&h, "all@ours.example", "group", ANNA " bert@ours.example").ok);
	m = auth_log_in(&h, "Anna@OURS.example", WORD, HOME, "imap");
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(span_eq(m.account, SPAN_LIT(ANNA)) && span_eq(m.by, SPAN_LIT("password")));
	assert_int_equal(m.send_as_n, 2);
	assert_true(span_eq(m.send_as[1], SPAN_LIT("a.muster@ours.example")));
	m = auth_log_in(&h, "a.muster@ours.example", WORD, HOME, "submission");
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(span_eq(m.account, SPAN_LIT(ANNA)));
	assert_int_equal(auth_host_stop(&h), 0);
}

/* H-17, the text: wrong password, unknown, disabled, somebody else's name to act as. */
static void all_refusals_are_one(void **state)
{
	static const char *const names[] = {ANNA, "nobody@ours.example", "bert@ours.example",
					    "x@else.example", "\x01\n"};
	struct auth_host h;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok && auth_add(&h, "bert@ours.example", WORD).ok);
	assert_true(auth_set(&h, "bert@ours.example", "disable", "").ok);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct msg_login_answer m = auth_log_in(
			&h, names[i], i == 2 ? WORD : "wrong password", "198.51.100.1", "imap");

		assert_int_equal(m.verdict, LOGIN_REFUSED);
		assert_true(span_eq(m.text, span_str(login_text(LOGIN_REFUSED))));
		assert_int_equal(m.account.n + m.by.n + m.send_as_n + m.final.n, 0);
	}
	assert_int_equal(auth_host_stop(&h), 0);
}

static double seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

/* H-17, the time: known and unknown names in turn, each from a place of its own. */
static void known_and_unknown_take_the_same_time(void **state)
{
	double took[2][LOOKS];
	struct auth_host h;
	char name[64], source[32];

	(void)state;
	begin(&h);
	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof name, "user%d@ours.example", i);
		assert_true(auth_add(&h, name, WORD).ok);
	}
	for (int i = 0; i < LOOKS; i++) {
		for (int unknown = 0; unknown < 2; unknown++) {
			double from = seconds();

			(void)snprintf(name, sizeof name, "%s%d@ours.example",
				       unknown ? "none" : "user", i % 8);
			(void)snprintf(source, sizeof source, "10.%d.%d.1", unknown, i);
			assert_int_equal(
				auth_log_in(&h, name, "wrong password", source, "imap").verdict,
				LOGIN_REFUSED);
			took[unknown][i] = seconds() - from;
		}
	}
	qsort(took[0], LOOKS, sizeof **took, by_size);
	qsort(took[1], LOOKS, sizeof **took, by_size);
	assert_true(took[0][LOOKS / 2] > 0.003); /* it was hashed */
	assert_true(took[1][LOOKS / 2] > took[0][LOOKS / 2] * 0.8 &&
		    took[1][LOOKS / 2] < took[0][LOOKS / 2] * 1.25);
	assert_int_equal(auth_host_stop(&h), 0);
}

/* ---- S-23 ---- */

static unsigned start(struct auth_host *h, const char *mechanism, struct span initial, bool secure)
{
	struct msg_login_answer m;
	struct buf body = {0};

	msg_sasl_start_encode(&body, &(struct msg_sasl_start){.id = ++h->last_id,
							      .mechanism = span_str(mechanism),
							      .has_initial = true,
							      .initial = initial,
							      .source = SPAN_LIT("198.51.100.9"),
							      .service = SPAN_LIT("imap"),
							      .secure = secure});
	edge_host_send(h->desk, MSG_SASL_START, buf_span(&body), -1);
	buf_fini(&body);
	assert_true(auth_hear(h, 20000, &m, NULL));
	assert_int_equal(m.id, h->last_id);
	return m.verdict;
}

static void what_is_not_a_login(void **state)
{
	static unsigned char big[LOGIN_SASL_LIMIT_BYTES + 1];
	struct auth_host h;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok);
	assert_int_equal(start(&h, "CRAM-MD5", SPAN_NONE, true), LOGIN_NO_MECHANISM);
	assert_int_equal(start(&h, "SCRAM-SHA-256", SPAN_LIT("n,,n=x,r=y"), true),
			 LOGIN_NO_MECHANISM);
	assert_int_equal(
		start(&h, "PLAIN", span_of("\0" ANNA "\0" WORD, sizeof ANNA + sizeof WORD), false),
		LOGIN_NEEDS_TLS);
	assert_int_equal(start(&h, "PLAIN", SPAN_LIT("garbage"), true), LOGIN_MALFORMED);
	assert_int_equal(start(&h, "PLAIN", span_of(big, sizeof big), true), LOGIN_MALFORMED);
	assert_int_equal(start(&h, "LOGIN", SPAN_NONE, true), LOGIN_MALFORMED);
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	assert_int_equal(auth_host_stop(&h), 0);
}

static unsigned rss_kib(pid_t pid)
{
	char path[64], line[256];
	unsigned kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "VmRSS: %u", &kib) == 1)
			break;
	}
	(void)fclose(f);
	return kib;
}

/* 10,000 logins begun and given up, while somebody who is known logs in. */
static void logins_given_up_cost_nothing(void **state)
{
	struct auth_host h;
	unsigned before;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok && auth_gets_in(&h, ANNA, WORD, HOME));
	before = rss_kib(h.host.pid);
	for (unsigned i = 0; i < 10000; i++) {
		struct buf body = {0};

		msg_sasl_start_encode(&body,
				      &(struct msg_sasl_start){.id = ++h.last_id,
							       .mechanism = SPAN_LIT("LOGIN"),
							       .source = SPAN_LIT("198.51.100.9"),
							       .service = SPAN_LIT("imap"),
							       .secure = true});
		edge_host_send(h.desk, MSG_SASL_START, buf_span(&body), -1);
		buf_clear(&body);
		msg_sasl_cancel_encode(&body, &(struct msg_sasl_cancel){.id = h.last_id});
		edge_host_send(h.desk, MSG_SASL_CANCEL, buf_span(&body), -1);
		buf_clear(&body);
		(void)edge_host_frame(h.desk, 1000, &body); /* its challenge */
		buf_fini(&body);
		if (i % 1000 == 0)
			assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	}
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	if (!IS_SANITIZED) /* which keeps what was freed */
		assert_in_range(rss_kib(h.host.pid), 0, before + 4096);
	assert_int_equal(auth_host_stop(&h), 0);
}

/* ---- I-15, H-16 ---- */

/* Everything at once: answers are counted while more is sent, the owner comes in the middle. */
static void owners_are_not_locked_out(void **state)
{
	unsigned verdicts[LOGIN_LAST + 1] = {0};
	struct auth_host h;
	struct msg_login_answer m;
	char name[64], source[32], word[32];

	(void)state;
	begin(&h);
	for (unsigned u = 0; u < 10; u++) {
		(void)snprintf(name, sizeof name, "user%u@ours.example", u);
		assert_true(auth_add(&h, name, WORD).ok && auth_gets_in(&h, name, WORD, HOME));
	}
	for (unsigned i = 0; i < GUESSES * 10; i++) {
		(void)snprintf(name, sizeof name, "user%u@ours.example", i % 10);
		(void)snprintf(source, sizeof source, "203.0.113.%u", i % 199);
		(void)snprintf(word, sizeof word, "guess number %u", i);
		(void)auth_send_plain(&h, name, word, source, "imap");
		while (auth_hear(&h, i % 50 ? 0 : 1, &m, NULL))
			verdicts[m.verdict]++;
		if (i % 1000 == 500) {
			double from = seconds();
			uint64_t id = auth_send_plain(&h, name, WORD, HOME, "imap");

			do {
				assert_true(auth_hear(&h, 20000, &m, NULL));
				verdicts[m.verdict] += m.id != id;
			} while (m.id != id);
			assert_int_equal(m.verdict, LOGIN_FINE);
			assert_true(seconds() - from < 5);
		}
	}
	while (auth_hear(&h, 2000, &m, NULL))
		verdicts[m.verdict]++;
	assert_int_equal(verdicts[LOGIN_FINE], 0);
	assert_in_range(verdicts[LOGIN_REFUSED], 10,
			10 * 100); /* looked at: at most a hundred of each */
	assert_int_equal(verdicts[LOGIN_REFUSED] + verdicts[LOGIN_THROTTLED] +
				 verdicts[LOGIN_LATER],
			 GUESSES * 10);
	for (unsigned u = 0; u < 10; u++) {
		(void)snprintf(name, sizeof name, "user%u@ours.example", u);
		assert_true(auth_gets_in(&h, name, WORD, HOME));
	}
	assert_int_equal(auth_host_stop(&h), 0);
}

/* A kill does not give a guesser new tries. */
static void counts_survive_a_kill(void **state)
{
	struct auth_host h;
	char source[32], word[32];
	unsigned last = LOGIN_REFUSED;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok && auth_gets_in(&h, ANNA, WORD, HOME));
	for (unsigned i = 0; i < 40 && last != LOGIN_THROTTLED; i++) {
		(void)snprintf(source, sizeof source, "203.0.113.%u", i);
		(void)snprintf(word, sizeof word, "guess number %u", i);
		last = auth_log_in(&h, ANNA, word, source, "imap").verdict;
	}
	assert_int_equal(last, LOGIN_THROTTLED);
	{
		char path[128];
		struct stat st;

		(void)snprintf(path, sizeof path, "%s/secrets/auth/throttle", h.host.folder);
		for (int i = 0; i < 500 && (stat(path, &st) < 0 || st.st_size == 0); i++)
			(void)usleep(20000);
		(void)sleep(2); /* one more round of saving, so that the last counts are in it */
	}
	auth_host_kill(&h);
	auth_host_start(&h);
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	for (unsigned i = 0; i < 6 && last != LOGIN_REFUSED; i++)
		last = auth_log_in(&h, ANNA, "one more guess", "203.0.113.250", "imap").verdict;
	{
		struct buf body = {0};
		struct msg_people_answer answer;

		msg_user_list_encode(&body, &(struct msg_user_list){.match = SPAN_LIT(ANNA)});
		answer = auth_people(&h, MSG_USER_LIST, &body);
		assert_false(contains(answer.json, "\"failures\":0"));
		buf_fini(&body);
	}
	assert_int_equal(auth_host_stop(&h), 0);
}

/* ---- H-20 ---- */

static void a_change_holds_at_once(void **state)
{
	struct auth_host h;
	struct msg_login_answer m;
	unsigned changed = 0;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok && auth_add(&h, "bert@ours.example", WORD2).ok);
	for (int i = 0; i < 3; i++) { /* the second and third from the cache */
		assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
		assert_true(auth_gets_in(&h, "bert@ours.example", WORD2, HOME));
		assert_false(auth_gets_in(&h, "bert@ours.example", WORD, HOME)); /* never mixed */
	}
	assert_true(auth_passwd(&h, ANNA, "a third one for this test").ok);
	(void)auth_send_plain(&h, ANNA, WORD, HOME, "imap");
	assert_true(auth_hear(&h, 20000, &m, &changed));
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	assert_int_equal(changed, 1); /* AccountsChanged came before */
	assert_true(auth_gets_in(&h, ANNA, "a third one for this test", HOME));
	assert_true(auth_set(&h, ANNA, "disable", "").ok);
	assert_false(auth_gets_in(&h, ANNA, "a third one for this test", HOME));
	assert_true(auth_set(&h, ANNA, "enable", "").ok);
	assert_true(auth_gets_in(&h, ANNA, "a third one for this test", HOME));
	assert_true(auth_set(&h, ANNA, "delete", "").ok);
	assert_false(auth_gets_in(&h, ANNA, "a third one for this test", HOME));
	assert_int_equal(auth_host_stop(&h), 0);
}

/* ---- records and kills ---- */

static void every_change_is_recorded(void **state)
{
	struct buf records = {0};
	struct auth_host h;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok);
	assert_true(auth_passwd(&h, ANNA, WORD2).ok);
	assert_true(auth_set(&h, ANNA, "alias", "a@ours.example").ok);
	assert_true(
		auth_set(&h, "all@ours.example", "group", "anna@ours.example x@else.example").ok);
	assert_true(auth_set(&h, "a@ours.example", "unalias", "a@ours.example").ok);
	assert_true(auth_set(&h, ANNA, "disable", "").ok);
	auth_records(&h, &records); /* what was answered is durable */
	assert_non_null(strstr(buf_cstr(&records),
			       "DIRECTORY account anna@ours.example state=active name=Somebody\n"
			       "ACT user.add anna@ours.example by operator"));
	assert_non_null(strstr(buf_cstr(&records), "ACT user.passwd anna@ours.example by"));
	assert_non_null(strstr(buf_cstr(&records),
			       "DIRECTORY alias a@ours.example target=anna@ours.example\n"));
	assert_non_null(strstr(buf_cstr(&records),
			       "DIRECTORY alias all@ours.example "
			       "target=anna@ours.example target=x@else.example\n"));
	assert_non_null(strstr(buf_cstr(&records),
			       "DIRECTORY alias a@ours.example\nACT alias.remove a@ours.example"));
	assert_non_null(
		strstr(buf_cstr(&records), "DIRECTORY account anna@ours.example state=disabled"));
	assert_null(strstr(buf_cstr(&records), "horse")); /* no secret in the ledger */
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&h), 0);
}

/* Killed between the file and the ledger: the next start finishes it (README of src/role/auth). */
static void a_change_cut_off_is_finished(void **state)
{
	static struct account account = {
		.name = "carl@ours.example", .display = "Carl", .is_pending = true};
	struct buf file = {0}, records = {0};
	struct auth_host h;
	char path[200];
	FILE *f;

	(void)state;
	auth_host_init(&h, program);
	memset(account.pending.id, 'c', 32);
	(void)snprintf(account.pending.verb, sizeof account.pending.verb, "user.add");
	(void)snprintf(account.pending.actor, sizeof account.pending.actor,
		       "operator root (uid 0)");
	account.pending.has_directory = true;
	account_write(&account, &file);
	(void)snprintf(path, sizeof path, "%s/secrets/auth/accounts", h.host.folder);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/secrets/auth/accounts/carl@ours.example.account",
		       h.host.folder);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(file.p, 1, file.n, f), file.n);
	assert_int_equal(fclose(f), 0);
	auth_host_start(&h);
	for (int i = 0; i < 500; i++) {
		auth_records(&h, &records);
		if (strstr(buf_cstr(&records),
			   "ACT user.add carl@ours.example by operator root (uid 0)"))
			break;
		(void)usleep(20000);
	}
	assert_non_null(strstr(buf_cstr(&records),
			       "DIRECTORY account carl@ours.example state=active name=Carl\n"
			       "ACT user.add carl@ours.example"));
	/* Once: the mark is gone, and another start adds nothing. */
	assert_true(auth_passwd(&h, "carl@ours.example", WORD).ok);
	auth_host_kill(&h);
	auth_host_start(&h);
	assert_true(auth_gets_in(&h, "carl@ours.example", WORD, HOME));
	auth_records(&h, &records);
	assert_null(strstr(strstr(buf_cstr(&records), "user.add") + 1, "user.add"));
	buf_fini(&file);
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&h), 0);
}

/* Kill -9 somewhere in a password change: the old one or the new one opens it, and what was answered holds. */
static void a_kill_keeps_the_old_or_the_new_password(void **state)
{
	static const char *const words[] = {WORD, WORD2};
	unsigned now = 0, old = 0, new_one = 0;
	struct auth_host h;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok);
	for (int i = 0; i < KILLS; i++) {
		struct buf body = {0};
		bool has_old, has_new;
		int fd;

		msg_user_password_encode(
			&body, &(struct msg_user_password){.account = SPAN_LIT(ANNA),
							   .password = span_str(words[!now])});
		fd = auth_people_send(&h, MSG_USER_PASSWORD, &body);
		buf_fini(&body);
		(void)usleep((useconds_t)(i * i * 4000));
		auth_host_kill(&h);
		(void)close(fd);
		auth_host_start(&h);
		has_old = auth_gets_in(&h, ANNA, words[now], HOME);
		has_new = auth_gets_in(&h, ANNA, words[!now], HOME);
		assert_true(has_old != has_new);
		old += has_old;
		new_one += has_new;
		now = has_new ? !now : now;
	}
	assert_true(old > 0 && new_one > 0); /* both were seen: the kills fell on both sides */
	assert_int_equal(auth_host_stop(&h), 0);
}

static void a_damaged_file_is_set_aside(void **state)
{
	struct auth_host h;
	char path[200];
	FILE *f;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok && auth_add(&h, "bert@ours.example", WORD).ok);
	auth_host_kill(&h);
	(void)snprintf(path, sizeof path, "%s/secrets/auth/accounts/" ANNA ".account",
		       h.host.folder);
	f = fopen(path, "r+");
	assert_non_null(f);
	assert_true(fputs("x", f) >= 0 && fclose(f) == 0);
	auth_host_start(&h);
	assert_false(auth_gets_in(&h, ANNA, WORD, HOME));
	assert_true(auth_gets_in(&h, "bert@ours.example", WORD, HOME));
	(void)strcat(path, ".damaged");
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(auth_host_stop(&h), 0);
}

static void files_are_auths_alone(void **state)
{
	static const char *const names[] = {"accounts/" ANNA ".account", "key"};
	struct auth_host h;
	struct stat st;
	char path[200];

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof path, "%s/secrets/auth/%s", h.host.folder, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	(void)snprintf(path, sizeof path, "%s/secrets/auth/accounts", h.host.folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(auth_host_stop(&h), 0);
}

/* ---- codes ---- */

static struct msg_people_answer app_password(struct auth_host *h, const char *verb)
{
	struct msg_people_answer answer;
	struct buf body = {0};

	msg_app_password_encode(&body, &(struct msg_app_password){.account = SPAN_LIT(ANNA),
								  .verb = span_str(verb),
								  .name = SPAN_LIT("phone")});
	answer = auth_people(h, MSG_APP_PASSWORD, &body);
	buf_fini(&body);
	return answer;
}

static void app_passwords(void **state)
{
	struct auth_host h;
	struct msg_people_answer answer;
	char code[64];

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok);
	answer = app_password(&h, "add");
	text_between(answer.json, "\"password\":\"", code, sizeof code);
	assert_false(app_password(&h, "add").ok); /* there is one of that name */
	assert_true(span_eq(auth_log_in(&h, ANNA, code, HOME, "imap").by,
			    SPAN_LIT("app-password phone")));
	assert_false(auth_gets_in(&h, "bert@ours.example", code, HOME));
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	assert_true(app_password(&h, "remove").ok);
	assert_false(auth_gets_in(&h, ANNA, code, HOME));
	assert_int_equal(auth_host_stop(&h), 0);
}

static void invitations(void **state)
{
	struct auth_host h;
	struct msg_people_answer answer;
	struct msg_login_answer m;
	struct buf body = {0};
	char code[64], second[64];

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, "").ok);
	assert_false(auth_gets_in(&h, ANNA, "anything at all", HOME));
	msg_user_invite_encode(&body, &(struct msg_user_invite){.account = SPAN_LIT(ANNA)});
	answer = auth_people(&h, MSG_USER_INVITE, &body);
	text_between(answer.json, "\"code\":\"", code, sizeof code);
	m = auth_log_in(&h, ANNA, code, HOME, "imap");
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(span_eq(m.by, SPAN_LIT("invitation")));
	/* The program that used it goes on with it; a kill changes nothing of that. */
	auth_host_kill(&h);
	auth_host_start(&h);
	assert_true(span_eq(auth_log_in(&h, ANNA, code, HOME, "imap").by,
			    SPAN_LIT("app-password invitation")));
	/* A new one replaces one that was not used. */
	answer = auth_people(&h, MSG_USER_INVITE, &body);
	text_between(answer.json, "\"code\":\"", code, sizeof code);
	answer = auth_people(&h, MSG_USER_INVITE, &body);
	text_between(answer.json, "\"code\":\"", second, sizeof second);
	assert_false(auth_gets_in(&h, ANNA, code, HOME));
	assert_true(auth_gets_in(&h, ANNA, second, HOME));
	buf_fini(&body);
	assert_int_equal(auth_host_stop(&h), 0);
}

static struct msg_people_answer factor(struct auth_host *h, const char *verb, const char *code)
{
	struct msg_people_answer answer;
	struct buf body = {0};

	msg_second_factor_encode(&body, &(struct msg_second_factor){.account = SPAN_LIT(ANNA),
								    .verb = span_str(verb),
								    .code = span_str(code)});
	answer = auth_people(h, MSG_SECOND_FACTOR, &body);
	buf_fini(&body);
	return answer;
}

/* With a ticket of its own each time; "": none. */
static unsigned use_code(struct auth_host *h, const char *password, const char *code)
{
	struct msg_login_answer m = {0};
	struct buf body = {0};

	if (password[0])
		m = auth_portal(h, ANNA, password, HOME, "portal");
	assert_true(!password[0] || (m.second_factor && m.verdict == LOGIN_FINE));
	msg_factor_use_encode(&body, &(struct msg_factor_use){.id = ++h->last_id,
							      .ticket = m.session,
							      .code = span_str(code),
							      .source = SPAN_LIT(HOME)});
	edge_host_send(h->desk, MSG_FACTOR_USE, buf_span(&body), -1);
	buf_fini(&body);
	assert_true(auth_hear(h, 20000, &m, NULL));
	assert_int_equal(m.id, h->last_id);
	assert_int_equal(m.session.n, m.verdict == LOGIN_FINE ? 43 : 0);
	return m.verdict;
}

/* H-19 */
static void a_second_factor(void **state)
{
	unsigned char secret[TOTP_SECRET_BYTES];
	struct msg_login_answer m;
	struct auth_host h;
	char code[16], recovery[64];
	uint64_t step;

	(void)state;
	begin(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok);
	read_secret(factor(&h, "begin", "").json, secret);
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME)); /* not before it is confirmed */
	assert_false(factor(&h, "confirm", "000000").ok && factor(&h, "confirm", "000001").ok);
	step = (uint64_t)time(NULL) / TOTP_STEP_S;
	(void)snprintf(code, sizeof code, "%06u", totp_code(secret, step));
	text_between(factor(&h, "confirm", code).json, "\"recovery_codes\":[\"", recovery,
		     sizeof recovery);
	assert_false(auth_gets_in(&h, ANNA, WORD,
				  HOME)); /* mail programs have app passwords from now on */
	assert_int_equal(auth_log_in(&h, ANNA, WORD, HOME, "https").verdict,
			 LOGIN_REFUSED); /* nor any other program by HTTP */
	m = auth_portal(&h, ANNA, WORD, HOME, "portal");
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(m.second_factor);
	assert_false(
		auth_gets_in(&h, ANNA, WORD, HOME)); /* nor because it was right a moment ago */
	assert_int_equal(use_code(&h, WORD, code), LOGIN_REFUSED); /* it was used to confirm */
	(void)snprintf(code, sizeof code, "%06u", totp_code(secret, step + 1));
	assert_int_equal(use_code(&h, "", code), LOGIN_REFUSED);
	assert_int_equal(use_code(&h, WORD, code), LOGIN_FINE);
	assert_int_equal(use_code(&h, WORD, code), LOGIN_REFUSED);
	assert_int_equal(use_code(&h, WORD, recovery), LOGIN_FINE);
	auth_host_kill(&h); /* what was used stays used */
	auth_host_start(&h);
	assert_int_equal(use_code(&h, WORD, code), LOGIN_REFUSED);
	assert_int_equal(use_code(&h, WORD, recovery), LOGIN_REFUSED);
	assert_true(factor(&h, "remove", "").ok);
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	assert_int_equal(auth_host_stop(&h), 0);
}

/* ---- the primary vouches (P5) ---- */

static void the_primary_vouches(void **state)
{
	struct buf records = {0};
	struct auth_host h;
	struct msg_login_answer m;

	(void)state;
	auth_host_init(&h, program);
	auth_host_primary(&h);
	h.password = WORD;
	auth_host_start(&h);
	assert_false(auth_gets_in(&h, ANNA, "wrong password", HOME));
	m = auth_log_in(&h, ANNA, WORD, HOME, "imap");
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(span_eq(m.by, SPAN_LIT("primary")));
	auth_records(&h, &records); /* made by it, and in the ledger before it is let in */
	assert_non_null(
		strstr(buf_cstr(&records), "DIRECTORY account anna@ours.example state=active"));
	assert_non_null(strstr(buf_cstr(&records), "ACT user.add anna@ours.example by auth"));
	assert_false(auth_gets_in(&h, "x@else.example", WORD,
				  HOME)); /* no domain of ours: not even asked */
	assert_int_equal(h.asked, 2);
	/* A detail makes no other person, and what servers read in ways of their own is asked of none. */
	assert_true(auth_gets_in(&h, "anna+x@ours.example", WORD, HOME));
	assert_true(auth_gets_in(&h, "Bert+a+b@ours.example", WORD, HOME));
	assert_int_equal(h.asked, 4); /* and anna's again, behind her back */
	assert_false(auth_gets_in(&h, "carl*master@ours.example", WORD, HOME));
	assert_false(auth_gets_in(&h, "\"carl\"@ours.example", WORD, HOME));
	assert_false(auth_gets_in(&h, "x%else.example@ours.example", WORD, HOME));
	assert_false(auth_gets_in(&h, "ours\\carl@ours.example", WORD, HOME));
	assert_int_equal(h.asked, 4);
	buf_clear(&records);
	auth_records(&h, &records);
	assert_null(strchr(buf_cstr(&records), '+'));
	assert_non_null(strstr(buf_cstr(&records), "DIRECTORY account bert@ours.example"));

	h.is_away = true; /* the outage */
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	assert_false(auth_gets_in(&h, ANNA, "wrong password", HOME));
	auth_host_kill(&h);
	auth_host_start(&h);
	m = auth_log_in(&h, ANNA, WORD, HOME, "imap");
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(span_eq(m.by, SPAN_LIT("kept")));
	assert_false(auth_gets_in(&h, "unseen@ours.example", WORD, HOME));
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&h), 0);
}

/* A primary whose directory is down refuses everybody; that ends no login here (P5). */
static void a_primary_that_refuses_everybody(void **state)
{
	struct auth_host h;

	(void)state;
	auth_host_init(&h, program);
	auth_host_primary(&h);
	h.password = WORD;
	auth_host_start(&h);
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	h.password = "nobody has this one";
	for (unsigned asked = h.asked, i = 0; i < 3; i++, asked = h.asked) {
		auth_host_kill(&h); /* a start asks the primary anew at the next login */
		auth_host_start(&h);
		assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
		for (unsigned wait = 0; wait < 500 && h.asked == asked; wait++)
			(void)usleep(10000);
		assert_true(h.asked > asked);
		assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	}
	assert_int_equal(auth_host_stop(&h), 0);
}

/* Another password at the primary: the old one ends when it is next used and the primary has shown that it can say yes. */
static void a_password_changed_at_the_primary(void **state)
{
	struct auth_host h;
	struct msg_login_answer m;
	unsigned changed = 0;

	(void)state;
	auth_host_init(&h, program);
	auth_host_primary(&h);
	h.password = WORD;
	auth_host_start(&h);
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	auth_host_kill(&h); /* a start asks the primary anew at the next login */
	h.password = WORD2;
	auth_host_start(&h);
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME)); /* refused behind its back: doubted */
	for (unsigned i = 0, asked = 1; i < 500 && h.asked == asked; i++)
		(void)usleep(10000);
	assert_true(auth_gets_in(&h, "bert@ours.example", WORD2, HOME));
	(void)auth_send_plain(&h, ANNA, WORD, HOME,
			      "imap"); /* kept: let in, and asked behind its back */
	assert_true(auth_hear(&h, 20000, &m, &changed));
	for (int i = 0; i < 500 && changed == 0; i++)
		(void)auth_hear(&h, 20, &m, &changed);
	assert_int_equal(changed, 1); /* its sessions are over */
	assert_false(auth_gets_in(&h, ANNA, WORD, HOME));
	assert_true(auth_gets_in(&h, ANNA, WORD2, HOME));
	h.is_away = true;
	assert_true(auth_gets_in(&h, ANNA, WORD2, HOME));
	assert_int_equal(auth_host_stop(&h), 0);
}

static void a_kept_verifier_has_an_age(void **state)
{
	struct auth_host h;

	(void)state;
	auth_host_init(&h, program);
	auth_host_primary(&h);
	h.password = WORD;
	h.host.config.verifier_age_ms = 1500;
	auth_host_start(&h);
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	h.is_away = true;
	auth_host_kill(&h);
	auth_host_start(&h);
	(void)usleep(1600000);
	assert_false(auth_gets_in(&h, ANNA, WORD, HOME)); /* too old, and nobody can renew it */
	h.is_away = false;
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	assert_int_equal(auth_host_stop(&h), 0);
}

/* ---- credentials for going home ---- */

static struct msg_credential_answer lease(struct auth_host *h, const char *account)
{
	struct msg_credential_answer m;
	struct buf body = {0};

	msg_credential_ask_encode(&body,
				  &(struct msg_credential_ask){.id = ++h->last_id,
							       .lease = 7,
							       .site = SPAN_LIT("head"),
							       .account = span_str(account)});
	edge_host_send(h->courier, MSG_CREDENTIAL_ASK, buf_span(&body), -1);
	assert_int_equal(edge_host_frame(h->courier, 10000, &body), MSG_CREDENTIAL_ANSWER);
	arena_reset(&h->arena);
	assert_true(msg_credential_answer_decode(&h->arena, arena_span(&h->arena, buf_span(&body)),
						 &m));
	assert_int_equal(m.id, h->last_id);
	buf_fini(&body);
	return m;
}

static void credentials_by_lease(void **state)
{
	struct msg_credential_answer m;
	struct auth_host h;
	struct buf body = {0};

	(void)state;
	auth_host_init(&h, program);
	auth_host_primary(&h);
	h.password = WORD;
	auth_host_start(&h);
	m = lease(&h, ANNA);
	assert_true(m.kind == 0 && m.password.n == 0 && m.why.n > 0);
	assert_true(auth_gets_in(&h, ANNA, WORD, HOME));
	m = lease(&h, ANNA); /* she logged in, and the primary took it */
	assert_int_equal(m.kind, 2);
	assert_true(span_eq(m.password, SPAN_LIT(WORD)) && span_eq(m.user, SPAN_LIT(ANNA)));
	assert_int_equal(lease(&h, "bert@ours.example").kind, 0);
	auth_host_kill(&h); /* it was in memory alone */
	auth_host_start(&h);
	assert_int_equal(lease(&h, ANNA).kind, 0);
	msg_home_consent_encode(&body, &(struct msg_home_consent){.account = SPAN_LIT(ANNA),
								  .password = SPAN_LIT(WORD)});
	assert_true(auth_people(&h, MSG_HOME_CONSENT, &body).ok);
	auth_host_kill(&h); /* what was consented to is kept */
	auth_host_start(&h);
	assert_int_equal(lease(&h, ANNA).kind, 2);
	assert_true(auth_set(&h, ANNA, "disable", "").ok);
	assert_int_equal(lease(&h, ANNA).kind, 0);
	buf_fini(&body);
	assert_int_equal(auth_host_stop(&h), 0);
}

static struct msg_people_answer server_password(struct auth_host *h, const char *place,
						const char *verb, const char *password)
{
	struct msg_people_answer answer;
	struct buf body = {0};

	msg_server_password_encode(&body,
				   &(struct msg_server_password){.place = span_str(place),
								 .verb = span_str(verb),
								 .password = span_str(password)});
	answer = auth_people(h, MSG_SERVER_PASSWORD, &body);
	buf_fini(&body);
	return answer;
}

static void the_master_users_credential(void **state)
{
	struct msg_credential_answer m;
	struct msg_people_answer answer;
	struct auth_host h;

	(void)state;
	auth_host_init(&h, program);
	auth_host_primary(&h);
	h.password = WORD;
	h.site.master_user = SPAN_LIT("master");
	h.site.master_login = SPAN_LIT("%u*%m");
	auth_host_start(&h);
	assert_int_equal(lease(&h, ANNA).kind, 0);
	assert_false(server_password(&h, "hea", "set", "x").ok);	/* no such site */
	assert_false(server_password(&h, "@smarthost", "set", "x").ok); /* it has no user */
	assert_false(server_password(&h, "head", "set", "").ok);
	assert_false(server_password(&h, "head", "set", "two\nlines").ok);
	answer = server_password(&h, "head", "ask", "");
	assert_true(answer.ok && contains(answer.json, "\"is_set\":false"));
	assert_true(server_password(&h, "head", "set", "the master's word").ok);
	answer = server_password(&h, "head", "ask", "");
	assert_true(answer.ok && contains(answer.json, "\"is_set\":true"));
	assert_false(contains(answer.json, "word"));
	auth_host_kill(&h);
	auth_host_start(&h);
	m = lease(&h, ANNA);
	assert_int_equal(m.kind, 1);
	assert_true(span_eq(m.user, SPAN_LIT(ANNA "*master")) && m.authorize.n == 0);
	assert_true(span_eq(m.password, SPAN_LIT("the master's word")));
	h.site.master_login = SPAN_LIT("sasl");
	edge_host_reload(&h.host);
	for (int i = 0; i < 200 && lease(&h, ANNA).authorize.n == 0; i++)
		(void)usleep(10000);
	m = lease(&h, ANNA);
	assert_true(span_eq(m.user, SPAN_LIT("master")) && span_eq(m.authorize, SPAN_LIT(ANNA)));
	assert_true(server_password(&h, "head", "remove", "").ok);
	assert_int_equal(lease(&h, ANNA).kind, 0);
	assert_int_equal(auth_host_stop(&h), 0);
}

/* ---- many at once ---- */

static struct msg_people_answer import(struct auth_host *h, const char *csv, bool dry_run)
{
	struct msg_people_answer answer;
	struct buf body = {0};

	msg_user_import_encode(&body,
			       &(struct msg_user_import){.csv = span_str(csv), .dry_run = dry_run});
	answer = auth_people(h, MSG_USER_IMPORT, &body);
	buf_fini(&body);
	return answer;
}

static void people_by_the_hundred(void **state)
{
	static const char good[] =
		"name,address,aliases,password\r\n"
		"\"Muster, Anna\",anna@ours.example,a@ours.example am@ours.example," WORD "\r\n"
		"Bert,bert@ours.example,,\r\n";
	struct auth_host h;
	struct msg_people_answer answer;

	(void)state;
	begin(&h);
	answer = import(&h, good, true);
	assert_true(answer.ok && contains(answer.text, "2 would be added"));
	assert_false(auth_gets_in(&h, ANNA, WORD, "198.51.100.3"));
	answer = import(&h, "x@ours.example,X,short,\n", false);
	assert_true(!answer.ok && contains(answer.text, "line 1: the password has 5 characters"));
	answer = import(&h, "bert@ours.example,B,,\nnobody@else.example,N,,\n", false);
	assert_true(!answer.ok &&
		    contains(answer.text, "line 2: there is no domain `else.example`"));
	answer = import(&h, good, false);
	assert_true(answer.ok && contains(answer.text, "2 added, 0 were there already, 2 aliases"));
	assert_true(auth_gets_in(&h, "am@ours.example", WORD, HOME));
	answer = import(&h, good, false); /* again: nothing to do */
	assert_true(answer.ok && contains(answer.text, "0 added, 2 were there already, 0 aliases"));
	assert_int_equal(auth_host_stop(&h), 0);
}

/* SCRAM is offered when the last account has its keys, and no longer when one has none. */
static void scram_where_all_have_keys(void **state)
{
	struct buf body = {0};
	struct auth_host h;
	struct msg_mechanisms m;
	struct arena a;
	unsigned type;

	(void)state;
	auth_host_init(&h, program);
	h.host.config.scram = true;
	auth_host_start(&h);
	assert_true(auth_add(&h, ANNA, WORD).ok);
	while ((type = edge_host_frame(h.desk, 10000, &body)) != MSG_MECHANISMS)
		assert_int_not_equal(type, 0);
	arena_init(&a, 4096);
	assert_true(msg_mechanisms_decode(&a, buf_span(&body), &m));
	assert_int_equal(m.names_n, 3);
	assert_true(auth_add(&h, "bert@ours.example", "").ok);
	while ((type = edge_host_frame(h.desk, 10000, &body)) != MSG_MECHANISMS)
		assert_int_not_equal(type, 0);
	assert_true(msg_mechanisms_decode(&a, buf_span(&body), &m));
	assert_int_equal(m.names_n, 2);
	arena_fini(&a);
	buf_fini(&body);
	assert_int_equal(auth_host_stop(&h), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(people_log_in),
		cmocka_unit_test(all_refusals_are_one),
		cmocka_unit_test(known_and_unknown_take_the_same_time),
		cmocka_unit_test(what_is_not_a_login),
		cmocka_unit_test(logins_given_up_cost_nothing),
		cmocka_unit_test(owners_are_not_locked_out),
		cmocka_unit_test(counts_survive_a_kill),
		cmocka_unit_test(a_change_holds_at_once),
		cmocka_unit_test(every_change_is_recorded),
		cmocka_unit_test(a_change_cut_off_is_finished),
		cmocka_unit_test(a_kill_keeps_the_old_or_the_new_password),
		cmocka_unit_test(a_damaged_file_is_set_aside),
		cmocka_unit_test(files_are_auths_alone),
		cmocka_unit_test(app_passwords),
		cmocka_unit_test(invitations),
		cmocka_unit_test(a_second_factor),
		cmocka_unit_test(the_primary_vouches),
		cmocka_unit_test(a_primary_that_refuses_everybody),
		cmocka_unit_test(a_password_changed_at_the_primary),
		cmocka_unit_test(a_kept_verifier_has_an_age),
		cmocka_unit_test(credentials_by_lease),
		cmocka_unit_test(the_master_users_credential),
		cmocka_unit_test(people_by_the_hundred),
		cmocka_unit_test(scram_where_all_have_keys),
	};

	must(argc > 1);
	program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

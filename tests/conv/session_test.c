/*
 * The real holdfast-auth: sessions of browsers, tickets for the second factor, invitations, guesses; catalogue H-08, H-16,
 * H-17, H-19, H-20.
 */
#include "session_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/must.h"
#include "role/common/role.h"

/* ---- H-08 ---- */

static void a_session_outlives_auth(void **state)
{
	struct msg_session_answer m;
	struct secret first, second;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	assert_true(auth_set(&r.h, ANNA, "alias", "a.muster@ours.example").ok);
	assert_int_equal(auth_log_in(&r.h, ANNA, WORD, HOME, "imap").session.n, 0);
	first = log_in(&r, ANNA, WORD);
	second = log_in(&r, ANNA, WORD);
	assert_string_not_equal(first.text, second.text);
	m = ask_at(&r, r.h.desk, first.text);
	assert_true(m.ok && span_eq(m.account, SPAN_LIT(ANNA)));
	assert_true(span_eq(m.person, SPAN_LIT("Somebody")) && span_eq(m.use, SPAN_LIT("portal")));
	assert_int_equal(m.send_as_n, 2);
	assert_false(m.has_factor || m.is_admin || m.later);
	assert_in_range(m.until_us / 1000000, (uint64_t)time(NULL) + 11 * 3600,
			(uint64_t)time(NULL) + 13 * 3600);
	assert_in_range(auth_portal(&r.h, ANNA, WORD, HOME, "portal").session_until_us / 1000000,
			(uint64_t)time(NULL) + 167 * 3600, (uint64_t)time(NULL) + 169 * 3600);
	assert_false(is_at(&r, r.h.console, &first)); /* not the console's */
	rig_again(&r);
	assert_true(is_in(&r, &first) && is_in(&r, &second));
	rig_watch(&r, &first);
	log_out(&r, &first);
	assert_false(is_in(&r, &first));
	assert_int_equal(r.ended, 1);
	rig_again(&r);
	assert_false(is_in(&r, &first));
	assert_true(is_in(&r, &second));
	assert_false(ask_at(&r, r.h.desk, "").ok);
	assert_false(ask_at(&r, r.h.desk, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").ok);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* Nobody can be somebody by reading what auth keeps. */
static void only_hashes_are_kept(void **state)
{
	struct secret s;
	struct rig r;
	char command[300];

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	(void)snprintf(command, sizeof command, "grep -rqa -e '%s' %s", s.text, r.h.host.folder);
	assert_int_not_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	(void)snprintf(command, sizeof command, "grep -q '^open ' %s/secrets/auth/sessions",
		       r.h.host.folder);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void passwd(struct rig *r)
{
	assert_true(auth_passwd(&r->h, ANNA, WORD2).ok);
}

static void disable(struct rig *r)
{
	assert_true(auth_set(&r->h, ANNA, "disable", "").ok);
}

static void delete (struct rig *r)
{
	assert_true(auth_set(&r->h, ANNA, "delete", "").ok);
}

static void give_factor(struct rig *r)
{
	unsigned char secret[TOTP_SECRET_BYTES];
	char recovery[64];

	enrol(r, ANNA, secret, recovery);
}

static void reset(struct rig *r)
{
	struct buf body = {0};

	msg_user_sessions_encode(&body, &(struct msg_user_sessions){SPAN_LIT(ANNA), true});
	assert_true(auth_people(&r->h, MSG_USER_SESSIONS, &body).ok);
	buf_fini(&body);
}

/* Within a second of the answer to whoever ordered it, at a desk that had nothing to do with it. */
static void heard_there_too(struct rig *r, int fd)
{
	struct buf body = {0};
	unsigned type;

	r->ended = 0;
	while (!r->ended && (type = edge_host_frame(fd, 1000, &body)) != 0) {
		if (type == MSG_SESSIONS_ENDED)
			rig_note(r, &body);
	}
	assert_int_equal(r->ended, 1);
	buf_fini(&body);
}

/* Each ends all of hers, nobody else's; a kill right after brings none back. */
static void changes_end_sessions(void **state)
{
	static void (*const changes[])(struct rig * r) = {passwd, disable, delete, give_factor,
							  reset};
	struct secret hers, his;
	struct rig r;
	int other;

	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		rig_begin(&r);
		assert_true(auth_add(&r.h, ANNA, WORD).ok && auth_add(&r.h, BERT, WORD).ok);
		hers = log_in(&r, ANNA, WORD);
		his = log_in(&r, BERT, WORD);
		rig_watch(&r, &hers);
		other = edge_host_link(&r.h.host, ROLE_DESK);
		assert_true(is_at(&r, other, &hers));
		changes[i](&r);
		heard_there_too(&r, other);
		heard_there_too(&r, r.h.console);
		r.ended = 0;
		assert_false(is_in(&r, &hers));
		assert_int_equal(r.ended, 1);
		(void)close(other);
		assert_true(is_in(&r, &his));
		rig_again(&r);
		assert_false(is_in(&r, &hers));
		assert_true(is_in(&r, &his));
		assert_int_equal(auth_host_stop(&r.h), 0);
	}
}

/* ---- H-19 ---- */

static void a_factor_is_asked_for(void **state)
{
	unsigned char secret[TOTP_SECRET_BYTES];
	struct secret one, other, session;
	struct msg_login_answer m;
	char code[16], recovery[64];
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	enrol(&r, ANNA, secret, recovery);
	one = ticket(&r);
	other = ticket(&r);
	assert_false(is_in(&r, &one)); /* a ticket is no session */
	m = use_factor(&r, r.h.desk, &one, "000000");
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("code")));
	next_code(&r, secret, code);
	m = use_factor(&r, r.h.console, &one, code); /* another door's */
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("ticket")));
	m = use_factor(&r, r.h.desk, &one, code);
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(span_eq(m.by, SPAN_LIT("totp")) && span_eq(m.account, SPAN_LIT(ANNA)));
	assert_false(m.second_factor);
	session = keep(m.session);
	assert_true(is_in(&r, &session));
	assert_true(ask_at(&r, r.h.desk, session.text).has_factor);
	m = use_factor(&r, r.h.desk, &one, recovery); /* the ticket was used */
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("ticket")));
	m = use_factor(&r, r.h.desk, &other, code); /* the code was */
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	m = use_factor(&r, r.h.desk, &other, recovery);
	assert_true(m.verdict == LOGIN_FINE && span_eq(m.by, SPAN_LIT("recovery")));
	other = ticket(&r);
	m = use_factor(&r, r.h.desk, &other, recovery);
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	rig_again(&r); /* tickets do not outlive it */
	m = use_factor(&r, r.h.desk, &other, recovery);
	assert_true(span_eq(m.reason, SPAN_LIT("ticket")));
	assert_true(is_in(&r, &session));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void a_ticket_has_few_tries(void **state)
{
	unsigned char secret[TOTP_SECRET_BYTES];
	struct msg_login_answer m;
	char code[16], recovery[64];
	struct secret one;
	unsigned tries = 0;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	enrol(&r, ANNA, secret, recovery);
	one = ticket(&r);
	do {
		(void)snprintf(code, sizeof code, "00000%u", tries++);
		m = use_factor(&r, r.h.desk, &one, code);
		assert_int_equal(m.verdict, LOGIN_REFUSED);
		assert_in_range(tries, 1, 5);
	} while (!span_eq(m.reason, SPAN_LIT("ticket")));
	m = use_factor(&r, r.h.desk, &one, recovery);
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	one = ticket(&r);
	assert_true(auth_set(&r.h, ANNA, "disable", "").ok);
	assert_true(auth_set(&r.h, ANNA, "enable", "").ok);
	m = use_factor(&r, r.h.desk, &one, recovery); /* the account is another since */
	assert_true(span_eq(m.reason, SPAN_LIT("ticket")));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* ---- invitations ---- */

static void an_invitation_makes_it_theirs(void **state)
{
	struct msg_login_answer m;
	struct buf records = {0};
	char code[64];
	struct secret s;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, "").ok && auth_add(&r.h, BERT, WORD).ok);
	invite(&r, ANNA, code);
	m = auth_portal(&r.h, ANNA, code, HOME, "portal"); /* in place of a password */
	assert_true(m.verdict == LOGIN_FINE && span_eq(m.reason, SPAN_LIT("invitation")));
	assert_int_equal(m.session.n, 0);
	m = use_invitation(&r, ANNA, code, "short", HOME);
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("new-password")));
	m = use_invitation(&r, BERT, code, WORD2, HOME);
	assert_true(m.verdict == LOGIN_REFUSED && m.reason.n == 0);
	m = use_invitation(&r, "nobody@ours.example", code, WORD2, HOME);
	assert_true(m.verdict == LOGIN_REFUSED && m.reason.n == 0);
	m = use_invitation(&r, "Anna@OURS.example", code, WORD, HOME);
	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(span_eq(m.account, SPAN_LIT(ANNA)));
	s = keep(m.session);
	auth_records(&r.h, &records);
	assert_non_null(strstr(buf_cstr(&records), "ACT user.invitation-used " ANNA " by " ANNA));
	rig_again(&r);
	assert_true(is_in(&r, &s));
	assert_true(auth_gets_in(&r.h, ANNA, WORD, HOME));
	m = use_invitation(&r, ANNA, code, WORD2, HOME); /* once */
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	assert_false(auth_gets_in(&r.h, ANNA, code, HOME));
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* On the day of the outage, for somebody whose password only the primary knows; which has the last word afterwards. */
static void an_invitation_helps_while_the_primary_is_away(void **state)
{
	struct msg_login_answer m;
	struct buf body = {0};
	struct secret s;
	char code[64];
	struct rig r;

	(void)state;
	memset(&r, 0, sizeof r);
	auth_host_init(&r.h, rig_program);
	auth_host_primary(&r.h);
	r.h.password = WORD;
	r.h.is_away = true;
	auth_host_start(&r.h);
	msg_user_add_encode(&body,
			    &(struct msg_user_add){.account = SPAN_LIT(ANNA), .passthrough = true});
	assert_true(auth_people(&r.h, MSG_USER_ADD, &body).ok);
	buf_fini(&body);
	assert_false(auth_gets_in(&r.h, ANNA, WORD, HOME)); /* nobody here knows it */
	invite(&r, ANNA, code);
	m = use_invitation(&r, ANNA, code, WORD2, HOME);
	assert_int_equal(m.verdict, LOGIN_FINE);
	s = keep(m.session);
	assert_true(is_in(&r, &s) && auth_gets_in(&r.h, ANNA, WORD2, HOME));
	r.h.is_away = false;
	m = auth_log_in(&r.h, ANNA, WORD, HOME, "imap");
	assert_true(m.verdict == LOGIN_FINE && span_eq(m.by, SPAN_LIT("primary")));
	assert_true(auth_gets_in(&r.h, ANNA, WORD, HOME));
	assert_false(auth_gets_in(&r.h, ANNA, WORD2, HOME));
	assert_true(is_in(&r, &s)); /* both were hers */
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* ---- H-16, H-17 ---- */

enum { GUESSES = 400, LOOKS = 40, DOORS = 4 };

static unsigned guess(struct rig *r, unsigned i)
{
	char word[40], source[32];

	(void)snprintf(word, sizeof word, "guess number %u, fifteen", i);
	(void)snprintf(source, sizeof source, "203.0.%u.%u", i / 200, i % 200);
	switch (i % DOORS) {
	case 0:
		return auth_log_in(&r->h, ANNA, word, source, "imap").verdict;
	case 1:
		return auth_portal(&r->h, ANNA, word, source, "portal").verdict;
	case 2:
		return auth_portal(&r->h, ANNA, word, source, "admin").verdict;
	default:
		return use_invitation(r, ANNA, "aaaa-bbbb-cccc-dddd", word, source).verdict;
	}
}

/* One account from many sources, through every door: they count together, and its owner gets in meanwhile. */
static void guesses_count_at_every_door(void **state)
{
	unsigned verdicts[LOGIN_LAST + 1] = {0}, v;
	char word[40];
	struct secret s;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	for (unsigned i = 0; i < GUESSES; i++) {
		verdicts[guess(&r, i)]++;
		if (i % 100 == 50)
			(void)log_in(&r, ANNA, WORD);
	}
	assert_in_range(verdicts[LOGIN_REFUSED], 10, 100);
	assert_int_equal(verdicts[LOGIN_REFUSED] + verdicts[LOGIN_THROTTLED], GUESSES);
	/* Nor is a session a way to try passwords. */
	memset(verdicts, 0, sizeof verdicts);
	for (unsigned i = 0; i < 40; i++) {
		(void)snprintf(word, sizeof word, "guess %u", i);
		v = order(&r, &s, "password", "", word, WORD2).verdict;
		verdicts[v]++;
	}
	assert_in_range(verdicts[LOGIN_REFUSED], 1, 10);
	assert_int_equal(verdicts[LOGIN_REFUSED] + verdicts[LOGIN_THROTTLED], 40);
	assert_true(is_in(&r, &s));
	assert_int_equal(auth_host_stop(&r.h), 0);
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

/* A wrong password at the portal, each from a place of its own; how long it took. */
static double look(struct rig *r, int kind, int i)
{
	static const char *const names[] = {"user", "none", "safe"};
	double from = seconds();
	struct msg_login_answer m;
	char name[64], source[32];

	(void)snprintf(name, sizeof name, "%s%d@ours.example", names[kind], i % 8);
	(void)snprintf(source, sizeof source, "10.%d.%d.1", kind, i);
	m = auth_portal(&r->h, name, "wrong password", source, "portal");
	assert_int_equal(m.verdict, LOGIN_REFUSED);
	assert_true(span_eq(m.text, span_str(login_text(LOGIN_REFUSED))));
	assert_int_equal(m.reason.n + m.account.n + m.person.n + m.session.n + m.send_as_n, 0);
	assert_false(m.second_factor);
	return seconds() - from;
}

/* Known, unknown, and with a second factor: the same words in the same time; the quicker half is less the machine's. */
static void the_portal_does_not_tell_who_is_here(void **state)
{
	unsigned char totp[TOTP_SECRET_BYTES];
	double took[3][LOOKS];
	char recovery[64], name[64];
	struct rig r;

	(void)state;
	rig_begin(&r);
	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof name, "user%d@ours.example", i);
		assert_true(auth_add(&r.h, name, WORD).ok);
		(void)snprintf(name, sizeof name, "safe%d@ours.example", i);
		assert_true(auth_add(&r.h, name, WORD).ok);
		enrol(&r, name, totp, recovery);
	}
	for (int i = 0; i < LOOKS; i++) {
		for (int kind = 0; kind < 3; kind++)
			took[kind][i] = look(&r, kind, i);
	}
	for (int kind = 0; kind < 3; kind++)
		qsort(took[kind], LOOKS, sizeof **took, by_size);
	assert_true(took[0][LOOKS / 4] > 0.003); /* it was hashed */
	for (int kind = 1; kind < 3; kind++)
		assert_true(took[kind][LOOKS / 4] > took[0][LOOKS / 4] * 0.8 &&
			    took[kind][LOOKS / 4] < took[0][LOOKS / 4] * 1.25);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* ---- bounds ---- */

static void an_account_has_so_many(void **state)
{
	struct secret first, last;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	first = log_in(&r, ANNA, WORD);
	rig_watch(&r, &first);
	for (unsigned i = 0; i < SESSIONS_OF_ACCOUNT; i++)
		last = log_in(&r, ANNA, WORD);
	assert_false(is_in(&r, &first));
	assert_true(is_in(&r, &last));
	rig_again(&r);
	assert_false(is_in(&r, &first));
	assert_true(is_in(&r, &last));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* As desk asks for its streams. */
static bool look_at(struct rig *r, const char *secret)
{
	return ask_from(r, r->h.desk, secret, "").ok;
}

static void sessions_end_unused(void **state)
{
	struct secret s;
	struct rig r;

	(void)state;
	memset(&r, 0, sizeof r);
	auth_host_init(&r.h, rig_program);
	r.h.host.config.portal.session_ms = 3000;
	auth_host_start(&r.h);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	for (int i = 0; i < 9; i++) { /* used, it lasts */
		(void)usleep(400000);
		assert_true(is_in(&r, &s));
	}
	for (int i = 0; i < 8; i++) { /* a stream that is open is no use */
		(void)usleep(400000);
		(void)look_at(&r, s.text);
	}
	assert_false(is_in(&r, &s));
	assert_int_equal(auth_host_stop(&r.h), 0);
	memset(&r, 0, sizeof r);
	auth_host_init(&r.h, rig_program);
	r.h.host.config.portal.session_most_ms = 3000;
	auth_host_start(&r.h);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	assert_true(is_in(&r, &s));
	for (int i = 0; i < 8; i++) { /* used or not */
		(void)usleep(400000);
		(void)is_in(&r, &s);
	}
	assert_false(is_in(&r, &s));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_outlives_auth),
		cmocka_unit_test(only_hashes_are_kept),
		cmocka_unit_test(changes_end_sessions),
		cmocka_unit_test(a_factor_is_asked_for),
		cmocka_unit_test(a_ticket_has_few_tries),
		cmocka_unit_test(an_invitation_makes_it_theirs),
		cmocka_unit_test(an_invitation_helps_while_the_primary_is_away),
		cmocka_unit_test(guesses_count_at_every_door),
		cmocka_unit_test(the_portal_does_not_tell_who_is_here),
		cmocka_unit_test(an_account_has_so_many),
		cmocka_unit_test(sessions_end_unused),
	};

	must(argc > 1);
	rig_program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

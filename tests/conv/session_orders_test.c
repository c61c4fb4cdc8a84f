/* The real holdfast-auth: what people and administrators order with their sessions, and operators about them; H-08. */
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

/* ---- people ---- */

/* H-08: a new id for who changed it, and the old one as dead as the others. */
static void people_change_their_password(void **state)
{
	struct secret here, there, new_one;
	struct buf records = {0};
	struct msg_order_answer m;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	here = log_in(&r, ANNA, WORD);
	there = log_in(&r, ANNA, WORD);
	m = order(&r, &here, "password", "", "not this one at all", WORD2);
	assert_true(is_refused(m, "password") && m.verdict == LOGIN_REFUSED);
	assert_true(is_refused(order(&r, &here, "password", "", WORD, "short"), "new-password"));
	assert_true(is_in(&r, &here) && is_in(&r, &there));
	rig_watch(&r, &there);
	m = order(&r, &here, "password", "", WORD, WORD2);
	assert_true(m.ok);
	new_one = keep(m.session);
	assert_int_equal(r.ended, 1);
	assert_false(is_in(&r, &here) || is_in(&r, &there));
	assert_true(is_in(&r, &new_one));
	assert_true(is_refused(order(&r, &here, "show", "", "", ""), "session"));
	auth_records(&r.h, &records);
	assert_non_null(
		strstr(buf_cstr(&records), "ACT user.passwd " ANNA " by " ANNA " (" HOME ")"));
	rig_again(&r);
	assert_false(is_in(&r, &here) || is_in(&r, &there));
	assert_true(is_in(&r, &new_one));
	assert_true(auth_gets_in(&r.h, ANNA, WORD2, HOME));
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void people_have_app_passwords(void **state)
{
	char code[64], token[600];
	struct msg_order_answer m;
	struct secret s;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	assert_true(is_refused(order(&r, &s, "app-add", "phone", "", ""), "password"));
	m = order(&r, &s, "app-add", "my \"phone\"", WORD, "");
	assert_true(m.ok && !m.session.n);
	text_between(m.json, "\"password\":\"", code, sizeof code);
	text_between(m.json, "\"token\":\"", token, sizeof token);
	{ /* base64url(account NUL app password), as RFC 6750 sends it */
		struct buf both = {0}, want = {0};

		buf_append(&both, span_of(ANNA, sizeof ANNA));
		buf_append(&both, span_str(code));
		secret_base64url(&want, buf_span(&both));
		assert_string_equal(token, buf_cstr(&want));
		buf_fini(&both);
		buf_fini(&want);
	}
	assert_true(auth_gets_in(&r.h, ANNA, code, HOME));
	assert_int_equal(auth_portal(&r.h, ANNA, code, HOME, "portal").verdict, LOGIN_REFUSED);
	assert_true(is_refused(order(&r, &s, "password", "", code, WORD2),
			       "password")); /* a program's is no person's */
	m = order(&r, &s, "app-add", "my \"phone\"", WORD, "");
	assert_true(is_refused(m, "name"));
	m = order(&r, &s, "app-list", "", "", "");
	assert_true(m.ok && contains(m.json, "my \\\"phone\\\""));
	assert_true(order(&r, &s, "app-remove", "my \"phone\"", "", "").ok);
	assert_false(auth_gets_in(&r.h, ANNA, code, HOME));
	assert_true(is_in(&r, &s)); /* who removed it stays in */
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void people_set_up_a_factor(void **state)
{
	unsigned char secret[TOTP_SECRET_BYTES];
	struct msg_login_answer l;
	struct msg_order_answer m;
	char code[16], recovery[64];
	struct secret s, was, t;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	assert_true(is_refused(order(&r, &s, "factor-begin", "", "", ""), "password"));
	assert_true(is_refused(order(&r, &s, "factor-confirm", "123456", "", ""), "factor"));
	m = order(&r, &s, "factor-begin", "", WORD, "");
	assert_true(m.ok);
	read_secret(m.json, secret);
	m = order(&r, &s, "factor-confirm", "000000", "", "");
	assert_true(is_refused(m, "code"));
	next_code(&r, secret, code);
	was = s;
	m = order(&r, &s, "factor-confirm", code, "", "");
	assert_true(m.ok);
	text_between(m.json, "\"recovery_codes\":[\"", recovery, sizeof recovery);
	s = keep(m.session);
	assert_true(is_in(&r, &s) && !is_in(&r, &was));
	t = ticket(&r);
	m = order(&r, &s, "codes", "", WORD, "");
	assert_true(m.ok && !m.session.n);
	l = use_factor(&r, r.h.desk, &t, recovery); /* older ones no longer work */
	assert_int_equal(l.verdict, LOGIN_REFUSED);
	assert_true(is_refused(order(&r, &s, "factor-remove", "", WORD2, ""), "password"));
	m = order(&r, &s, "factor-remove", "", WORD, "");
	assert_true(m.ok);
	s = keep(m.session);
	was = log_in(&r, ANNA, WORD);
	assert_true(is_in(&r, &s) && is_in(&r, &was));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void people_see_and_end_sessions(void **state)
{
	struct secret here, there, third;
	struct msg_order_answer m;
	char id[32];
	const char *at;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok && auth_add(&r.h, BERT, WORD2).ok);
	here = log_in(&r, ANNA, WORD);
	m = order(&r, &here, "sessions", "", "", "");
	assert_true(m.ok && contains(m.json, "Browser/1 (test)") &&
		    contains(m.json, "\"is_this\":true"));
	third = log_in(&r, BERT, WORD2);
	m = order(&r, &third, "sessions", "", "", "");
	text_between(m.json, "\"id\":\"", id, sizeof id);
	assert_true(
		is_refused(order(&r, &here, "session-end", id, "", ""), "unknown")); /* another's */
	there = log_in(&r, ANNA, WORD);
	m = order(&r, &here, "sessions", "", "", "");
	at = memmem(m.json.p, m.json.n, "\"is_this\":false", 15);
	assert_non_null(at);
	while (strncmp(at, "\"id\":\"", 6) != 0)
		at--;
	(void)snprintf(id, sizeof id, "%.12s", at + 6);
	rig_watch(&r, &there);
	assert_true(order(&r, &here, "session-end", id, "", "").ok);
	assert_int_equal(r.ended, 1);
	assert_false(is_in(&r, &there));
	there = log_in(&r, ANNA, WORD);
	assert_true(order(&r, &here, "others-end", "", "", "").ok);
	assert_true(is_in(&r, &here) && !is_in(&r, &there) && is_in(&r, &third));
	rig_again(&r);
	assert_true(is_in(&r, &here) && !is_in(&r, &there) && is_in(&r, &third));
	assert_true(is_refused(order(&r, &here, "nonsense", "", "", ""), "malformed"));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* The primary keeps their password: a session as for anybody, and no second password here. */
static void the_primarys_people_have_sessions(void **state)
{
	struct msg_login_answer l;
	struct msg_order_answer m;
	struct secret s, kept;
	struct rig r;

	(void)state;
	memset(&r, 0, sizeof r);
	auth_host_init(&r.h, rig_program);
	auth_host_primary(&r.h);
	r.h.password = WORD;
	auth_host_start(&r.h);
	l = auth_portal(&r.h, ANNA, WORD, HOME, "portal");
	assert_true(l.verdict == LOGIN_FINE && span_eq(l.by, SPAN_LIT("primary")));
	s = keep(l.session);
	assert_true(is_in(&r, &s));
	m = order(&r, &s, "password", "", WORD, WORD2);
	assert_true(is_refused(m, "primary"));
	assert_true(order(&r, &s, "consent", "", WORD, "").ok);
	m = order(&r, &s, "show", "", "", "");
	assert_true(m.ok && contains(m.json, "\"consent\":true"));
	assert_true(order(&r, &s, "consent-end", "", "", "").ok);
	m = order(&r, &s, "show", "", "", "");
	assert_true(m.ok && contains(m.json, "\"consent\":false"));
	r.h.is_away = true;
	rig_again(&r);
	assert_true(is_in(&r, &s));
	l = auth_portal(&r.h, ANNA, WORD, HOME, "portal"); /* by what was kept */
	assert_true(l.verdict == LOGIN_FINE && span_eq(l.by, SPAN_LIT("kept")));
	kept = keep(l.session);
	assert_true(is_in(&r, &kept));
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* ---- administrators ---- */

static struct secret admin(struct rig *r, const unsigned char totp[TOTP_SECRET_BYTES])
{
	struct msg_login_answer m = auth_portal(&r->h, ANNA, WORD, HOME, "admin");
	struct secret t;
	char code[16];

	assert_int_equal(m.verdict, LOGIN_FINE);
	assert_true(m.second_factor);
	t = keep(m.session);
	next_code(r, totp, code);
	m = use_factor(r, r->h.console, &t, code);
	assert_int_equal(m.verdict, LOGIN_FINE);
	return keep(m.session);
}

static struct msg_order_answer admin_order(struct rig *r, const struct secret *s, unsigned type,
					   struct buf *order)
{
	struct buf body = {0};

	msg_admin_order_encode(&body, &(struct msg_admin_order){.id = ++r->h.last_id,
								.session = span_str(s->text),
								.type = (uint16_t)type,
								.body = buf_span(order),
								.source = SPAN_LIT(AWAY)});
	edge_host_send(r->h.console, MSG_ADMIN_ORDER, buf_span(&body), -1);
	buf_fini(&body);
	buf_fini(order);
	return order_answer(r, r->h.console);
}

static struct msg_order_answer admin_set(struct rig *r, const struct secret *s, const char *name,
					 const char *verb, const char *argument)
{
	struct buf body = {0};

	msg_user_set_encode(&body, &(struct msg_user_set){.account = span_str(name),
							  .verb = span_str(verb),
							  .argument = span_str(argument)});
	return admin_order(r, s, MSG_USER_SET, &body);
}

static void administrators_need_a_factor(void **state)
{
	unsigned char totp[TOTP_SECRET_BYTES];
	struct msg_login_answer m;
	struct buf records = {0};
	char recovery[64];
	struct secret s, portal;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	m = auth_portal(&r.h, ANNA, WORD, HOME, "admin");
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("not-admin")));
	assert_false(m.account.n || m.session.n || m.send_as_n || m.person.n);
	assert_false(auth_set(&r.h, ANNA, "admin", "on").ok); /* not before it has a factor */
	enrol(&r, ANNA, totp, recovery);
	m = auth_portal(&r.h, ANNA, WORD, HOME, "admin");
	assert_true(m.verdict == LOGIN_REFUSED && span_eq(m.reason, SPAN_LIT("not-admin")));
	assert_true(auth_set(&r.h, ANNA, "admin", "on").ok);
	s = admin(&r, totp);
	assert_false(is_in(&r, &s)); /* no session of a desk */
	assert_true(ask_at(&r, r.h.console, s.text).is_admin);
	portal = keep(auth_portal(&r.h, ANNA, WORD, HOME, "portal").session);
	assert_true(
		span_eq(use_factor(&r, r.h.console, &portal, recovery).reason, SPAN_LIT("ticket")));
	assert_true(
		is_refused(order_at(&r, r.h.console, &s, "factor-remove", "", WORD, ""), "admin"));
	auth_records(&r.h, &records);
	assert_non_null(strstr(buf_cstr(&records),
			       "DIRECTORY account " ANNA " state=active name=Somebody admin=yes\n"
			       "ACT user.admin " ANNA));
	assert_non_null(strstr(buf_cstr(&records), "ACT user.admin-login " ANNA " by " ANNA));
	rig_again(&r);
	assert_true(ask_at(&r, r.h.console, s.text).ok);
	assert_true(factor(&r, ANNA, "remove", "").ok); /* the operator may; then it is none */
	assert_false(ask_at(&r, r.h.console, s.text).ok);
	enrol(&r, ANNA, totp, recovery);
	m = auth_portal(&r.h, ANNA, WORD, HOME, "admin");
	assert_true(span_eq(m.reason, SPAN_LIT("not-admin")));
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

static void administrators_order(void **state)
{
	unsigned char totp[TOTP_SECRET_BYTES];
	struct buf records = {0}, body = {0};
	struct msg_order_answer m;
	char recovery[64];
	struct secret s, his;
	struct rig r;

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok && auth_add(&r.h, BERT, WORD2).ok);
	his = log_in(&r, BERT, WORD2);
	enrol(&r, ANNA, totp, recovery);
	assert_true(auth_set(&r.h, ANNA, "admin", "on").ok);
	s = admin(&r, totp);
	m = admin_set(&r, &s, BERT, "disable", "");
	assert_true(m.ok && m.session.n == 0);
	assert_false(is_in(&r, &his) || auth_gets_in(&r.h, BERT, WORD2, HOME));
	assert_true(admin_set(&r, &s, BERT, "enable", "").ok);
	assert_true(is_refused(admin_set(&r, &s, BERT, "admin", "on"), "admin"));
	assert_true(is_refused(admin_set(&r, &his, BERT, "name", "x"), "session"));
	assert_true(is_refused(admin_set(&r, &s, "bret@ours.example", "name", "x"), "unknown"));
	msg_user_list_encode(&body, &(struct msg_user_list){.match = SPAN_NONE});
	m = admin_order(&r, &s, MSG_USER_LIST, &body);
	assert_true(m.ok && contains(m.json, BERT));
	/* What shows a secret of another's, or is of the machine, is the command line's. */
	msg_app_password_encode(&body, &(struct msg_app_password){.account = SPAN_LIT(BERT),
								  .verb = SPAN_LIT("add"),
								  .name = SPAN_LIT("spy")});
	assert_true(is_refused(admin_order(&r, &s, MSG_APP_PASSWORD, &body), "machine"));
	msg_second_factor_encode(&body, &(struct msg_second_factor){.account = SPAN_LIT(BERT),
								    .verb = SPAN_LIT("begin")});
	assert_true(is_refused(admin_order(&r, &s, MSG_SECOND_FACTOR, &body), "machine"));
	msg_server_password_encode(&body, &(struct msg_server_password){.place = SPAN_LIT("head"),
									.verb = SPAN_LIT("ask")});
	assert_true(is_refused(admin_order(&r, &s, MSG_SERVER_PASSWORD, &body), "machine"));
	buf_append(&body, SPAN_LIT("garbage"));
	assert_true(is_refused(admin_order(&r, &s, MSG_USER_SET, &body), "malformed"));
	auth_records(&r.h, &records);
	assert_non_null(strstr(buf_cstr(&records),
			       "ACT user.disable " BERT " by administrator " ANNA " (" AWAY ")"));
	assert_true(admin_set(&r, &s, ANNA, "admin", "off").ok); /* looked at with each order */
	assert_true(is_refused(admin_set(&r, &s, BERT, "disable", ""), "session"));
	buf_fini(&records);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

/* The command line's view of them. */
static void operators_see_and_end_sessions(void **state)
{
	struct buf body = {0};
	struct secret s;
	struct rig r;
	char agent[64];

	(void)state;
	rig_begin(&r);
	assert_true(auth_add(&r.h, ANNA, WORD).ok);
	s = log_in(&r, ANNA, WORD);
	msg_user_sessions_encode(&body, &(struct msg_user_sessions){.account = SPAN_LIT(ANNA)});
	text_between(auth_people(&r.h, MSG_USER_SESSIONS, &body).json, "\"agent\":\"", agent,
		     sizeof agent);
	assert_string_equal(agent, "Browser/1 (test)");
	buf_clear(&body);
	rig_watch(&r, &s);
	msg_user_sessions_encode(
		&body, &(struct msg_user_sessions){.account = SPAN_LIT(ANNA), .ends = true});
	assert_true(auth_people(&r.h, MSG_USER_SESSIONS, &body).ok);
	assert_false(is_in(&r, &s));
	assert_int_equal(r.ended, 1);
	rig_again(&r);
	assert_false(is_in(&r, &s));
	buf_fini(&body);
	assert_int_equal(auth_host_stop(&r.h), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(people_change_their_password),
		cmocka_unit_test(people_have_app_passwords),
		cmocka_unit_test(people_set_up_a_factor),
		cmocka_unit_test(people_see_and_end_sessions),
		cmocka_unit_test(the_primarys_people_have_sessions),
		cmocka_unit_test(administrators_need_a_factor),
		cmocka_unit_test(administrators_order),
		cmocka_unit_test(operators_see_and_end_sessions),
	};

	must(argc > 1);
	rig_program = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	return secret_prepare() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}

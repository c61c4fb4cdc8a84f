/*
 * The real holdfast-courier delivers to the world: mail exchangers by scout, what cannot be reached, null MX, notices to
 * the sender (none to an unverified one), DANE (RFC 7672), and what is cut out of a message.
 */
#include "courier_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base64.h"
#include "identity/dkim.h"
#include "ipc/link.h"
#include "queue/verdict.h"
#include "tls/tls.h"

#define BODY                                                                                       \
	"From: a@sender.example\r\nBcc: c@world.example\r\nTo: b@world.example\r\n\r\nHello\r\n"

static struct span loopback = SPAN_LIT("127.0.0.1");

static uint64_t hours_ago(unsigned n)
{
	return ((uint64_t)time(NULL) - n * 3600ull) * 1000000;
}

static void to_world(struct msg_lease *l)
{
	l->site = SPAN_LIT("world:world.example");
	l->sender_verified = true;
	l->received_us = hours_ago(0);
}

static void unverified(struct msg_lease *l)
{
	to_world(l);
	l->sender_verified = false;
}

static void old(struct msg_lease *l)
{
	to_world(l);
	l->received_us = hours_ago(5);
}

static void old_and_told(struct msg_lease *l)
{
	old(l);
	l->rcpts[0].delay_told = true;
}

static void lifetime_over(struct msg_lease *l)
{
	to_world(l);
	l->lifetime_over = true;
}

static struct msg_mx_host here(uint16_t preference)
{
	return (struct msg_mx_host){.host = SPAN_LIT("mx.world.example"),
				    .preference = preference,
				    .addresses = &loopback,
				    .addresses_n = 1,
				    .port = 1};
}

static void begin(struct rig *r, const struct msg_mx_answer *mx)
{
	rig_open(r, &(struct rig_options){.scout = true});
	r->mx = mx;
}

static void send_one(struct rig *r, void (*edit)(struct msg_lease *l))
{
	(void)rig_store(r, SPAN_LIT(BODY), "a@sender.example", "b@world.example");
	(void)rig_lease(r, r->messages_n - 1, "a@sender.example", "b@world.example", edit);
	rig_await_done(r, r->done_n + 1);
}

static void expect_lane(struct rig *r, const char *wanted)
{
	struct buf lane = {0};

	rig_lane(r, &lane);
	assert_string_equal(buf_cstr(&lane), wanted);
	buf_fini(&lane);
}

static void delivers_to_the_exchanger_without_what_is_cut(void **state)
{
	static const struct msg_cut cut = {24, 22};
	struct msg_mx_host host = here(10);
	struct msg_mx_answer mx = {.hosts = &host, .hosts_n = 1};
	struct rig r = {0};

	(void)state;
	begin(&r, &mx);
	r.cuts = &cut;
	r.cuts_n = 1;
	send_one(&r, to_world);
	send_one(&r, to_world);
	expect_lane(&r,
		    "INTENT 0 rcpts=0\nOUTCOME 0 stage=dot 0:accepted/delivered/250:RIG12345\n"
		    "INTENT 1 rcpts=0\nOUTCOME 1 stage=dot 0:accepted/delivered/250:RIG12345\n");
	assert_int_equal(r.questions, 1);  /* kept for a while */
	assert_int_equal(r.evidence_n, 0); /* no site of ours: watch has nothing to judge */
	assert_null(memmem(r.taken[0].data.p, r.taken[0].data.n, "Bcc", 3));
	assert_non_null(memmem(r.taken[0].data.p, r.taken[0].data.n,
			       "From: a@sender.example\r\nTo: b@world.example\r\n\r\nHello\r\n",
			       54));
	rig_close(&r);
}

static void the_next_exchanger_when_the_first_is_dead(void **state)
{
	struct msg_mx_host hosts[2] = {here(20), here(10)};
	struct msg_mx_answer mx = {.hosts = hosts, .hosts_n = 2};
	struct rig r = {0};

	(void)state;
	hosts[1].host = SPAN_LIT("dead.world.example");
	hosts[1].port = 2; /* nobody listens */
	begin(&r, &mx);
	send_one(&r, to_world);
	expect_lane(&r,
		    "INTENT 0 rcpts=0\nOUTCOME 0 stage=dot 0:accepted/delivered/250:RIG12345\n");
	rig_close(&r);
}

static void who_cannot_be_reached_is_tried_by_the_schedule(void **state)
{
	struct msg_mx_host host = here(10);
	struct msg_mx_answer mx = {.hosts = &host, .hosts_n = 1};
	struct rig r = {0};

	(void)state;
	host.port = 2;
	begin(&r, &mx);
	send_one(&r, to_world);
	send_one(&r, old);
	send_one(&r, old_and_told);
	send_one(&r, lifetime_over);
	expect_lane(&r, "OUTCOME 0 stage=connect 0:unreached/retry/0\n"
			"MESSAGE dsn to=a@sender.example site=@world\nOUTCOME 1 stage=connect "
			"0:unreached/retry/0\n"
			"OUTCOME 2 stage=connect 0:unreached/retry/0\n"
			"MESSAGE dsn to=a@sender.example site=@world\nOUTCOME 3 stage=connect "
			"0:unreached/dsn/0\n");
	rig_close(&r);
}

static void n_08_the_dns_fails_or_says_never(void **state)
{
	struct msg_mx_answer mx = {.verdict = 1, .why = SPAN_LIT("SERVFAIL")};
	struct rig r = {0};

	(void)state;
	begin(&r, &mx);
	send_one(&r, to_world);
	mx.verdict = 2;
	mx.why = SPAN_LIT("null MX: the domain takes no mail");
	send_one(&r, to_world);
	send_one(&r, unverified); /* no backscatter */
	expect_lane(
		&r,
		"OUTCOME 0 stage=connect 0:unreached/retry/0\n"
		"MESSAGE dsn to=a@sender.example site=@world\nOUTCOME 1 stage=connect 0:5xx/dsn/0\n"
		"OUTCOME 2 stage=connect 0:5xx/decide/0\n");
	assert_int_equal(r.connections, 0);
	rig_close(&r);
}

/* ---- DANE ---- */

static struct tls_context *certified(struct buf *der)
{
	char folder[] = "/tmp/holdfast-rig-tls-XXXXXX", certificate[64], key[64], line[200];
	struct tls_context *server = NULL;
	struct buf base64 = {0};
	struct fault why = {0};
	FILE *f;

	assert_non_null(mkdtemp(folder));
	(void)snprintf(certificate, sizeof certificate, "%s/c.pem", folder);
	(void)snprintf(key, sizeof key, "%s/k.pem", folder);
	assert_int_equal(tls_self_signed(certificate, key, "mx.world.example", &why), OK);
	assert_int_equal(tls_server_new(certificate, key, "rig", &server, &why), OK);
	f = fopen(certificate, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (line[0] != '-')
			buf_append(&base64, span_trim(span_str(line)));
	}
	(void)fclose(f);
	assert_true(base64_decode(der, buf_span(&base64)));
	buf_fini(&base64);
	assert_int_equal(unlink(certificate) + unlink(key) + rmdir(folder), 0);
	return server;
}

static void play_dane(bool is_right, bool has_records, const char *expected, unsigned under_tls)
{
	struct msg_mx_host host = here(10);
	struct msg_mx_answer mx = {.hosts = &host, .hosts_n = 1};
	struct buf der = {0};
	struct rig r = {.ehlo = "250-rig\r\n250-PIPELINING\r\n250 STARTTLS"};
	struct msg_tlsa record = {.usage = 3, .selector = 0, .matching = 0};

	r.tls = certified(&der);
	if (!is_right)
		der.p[der.n - 1] ^= 1;
	record.data = buf_span(&der);
	host.dane = true;
	host.tlsa = &record;
	host.tlsa_n = has_records;
	begin(&r, &mx);
	send_one(&r, to_world);
	expect_lane(&r, expected);
	assert_int_equal(r.dots_under_tls, under_tls);
	buf_fini(&der);
	rig_close(&r);
}

#define DELIVERED "INTENT 0 rcpts=0\nOUTCOME 0 stage=dot 0:accepted/delivered/250:RIG12345\n"

static void dane_takes_the_key_it_names_and_no_other(void **state)
{
	(void)state;
	play_dane(true, true, DELIVERED, 1);
	play_dane(false, true, "OUTCOME 0 stage=connect 0:unreached/retry/0\n", 0);
	play_dane(true, false, DELIVERED, 1); /* none usable: TLS all the same */
}

static void no_tls_where_it_is_a_must(const char *sts, bool dane)
{
	struct msg_mx_host host = here(10);
	struct msg_mx_answer mx = {.hosts = &host, .hosts_n = 1, .sts = span_str(sts)};
	struct rig r = {0};

	host.dane = dane;
	begin(&r, &mx);
	send_one(&r, to_world);
	expect_lane(&r, "OUTCOME 0 stage=connect 0:unreached/retry/0\n");
	assert_int_equal(r.taken_n, 0);
	rig_close(&r);
}

static void a_host_that_hides_starttls_gets_nothing(void **state)
{
	(void)state;
	no_tls_where_it_is_a_must("", true);
	no_tls_where_it_is_a_must("enforce", false);
}

static void an_enforced_policy_wants_a_certificate_that_verifies(void **state)
{
	struct msg_mx_host host = here(10);
	struct msg_mx_answer mx = {.hosts = &host, .hosts_n = 1, .sts = SPAN_LIT("enforce")};
	struct buf der = {0};
	struct rig r = {.ehlo = "250-rig\r\n250-PIPELINING\r\n250 STARTTLS"};

	(void)state;
	r.tls = certified(&der); /* its own */
	begin(&r, &mx);
	send_one(&r, to_world);
	expect_lane(&r, "OUTCOME 0 stage=connect 0:unreached/retry/0\n");
	mx.sts = SPAN_LIT("");
	buf_fini(&der);
	rig_close(&r);
}

/* ---- DKIM ---- */

static enum dkim_result check(struct rig *r, enum dkim_algorithm algorithm)
{
	const struct rig_delivery *d = &r->taken[0];
	struct span all = buf_span(&d->data), header;
	struct buf record = {0};
	struct dkim_verify *v;
	enum dkim_result result = DKIM_NONE;
	const unsigned char *end = memmem(all.p, all.n, "\r\n\r\n", 4);

	assert_int_equal(dkim_key_algorithm(r->key), algorithm);
	assert_non_null(end);
	header = span_first(all, (size_t)(end - all.p) + 4);
	assert_int_equal(dkim_key_record(r->key, &record, NULL), OK);
	v = dkim_verify_new(header, (uint64_t)time(NULL));
	if (dkim_verify_count(v)) {
		assert_string_equal(dkim_verify_question(v, 0), "rig._domainkey.sender.example");
		dkim_verify_key(v, 0, OK, buf_span(&record));
		dkim_verify_body(v, span_from(all, header.n));
		dkim_verify_end(v);
		result = dkim_verify_result(v, 0);
	}
	dkim_verify_free(v);
	buf_fini(&record);
	return result;
}

static void play_dkim_from(enum dkim_algorithm algorithm, unsigned char origin, const char *from,
			   bool is_sent_on, enum dkim_result expected)
{
	static const struct msg_cut cut = {24, 22};
	struct msg_mx_host host = here(10);
	struct msg_mx_answer mx = {.hosts = &host, .hosts_n = 1};
	struct rig r = {.origin = origin,
			.from = from,
			.is_sent_on = is_sent_on,
			.cuts = &cut,
			.cuts_n = 1};

	assert_int_equal(dkim_key_make(algorithm, &r.key, NULL), OK);
	rig_open(&r, &(struct rig_options){.scout = true, .auth = true});
	r.mx = &mx;
	send_one(&r, to_world);
	expect_lane(&r, DELIVERED);
	assert_int_equal(check(&r, algorithm), expected);
	dkim_key_free(r.key);
	rig_close(&r);
}

static void play_dkim(enum dkim_algorithm algorithm, unsigned char origin,
		      enum dkim_result expected)
{
	play_dkim_from(algorithm, origin, "a@sender.example", false, expected);
}

/* Whose domain only looks as if it had written it does not sign. */
static void what_others_wrote_is_not_signed_for_them(void **state)
{
	static const char *const foreign[] = {
		"a@other.example (b@sender.example)",	  "a@other.example (\\) b@sender.example)",
		"\"b@sender.example\" <a@other.example>", "<a@other.example> (b@sender.example",
		"a@other.example \"@sender.example",
	};

	(void)state;
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		play_dkim_from(DKIM_ED25519_SHA256, 1, foreign[i], false, DKIM_NONE);
	play_dkim_from(DKIM_ED25519_SHA256, 1, "a@sender.example", true, DKIM_NONE);
	play_dkim_from(DKIM_ED25519_SHA256, 1, "\"x@y\" (z@z) <a@sender.example> (n)", false,
		       DKIM_PASS);
}

static void what_our_people_send_is_signed(void **state)
{
	(void)state;
	play_dkim(DKIM_RSA_SHA256, 1, DKIM_PASS);
	play_dkim(DKIM_ED25519_SHA256, 1, DKIM_PASS);
	play_dkim(DKIM_ED25519_SHA256, 0, DKIM_NONE);
}

static void without_auth_it_waits(void **state)
{
	struct msg_mx_host host = here(10);
	struct msg_mx_answer mx = {.hosts = &host, .hosts_n = 1};
	struct rig r = {.origin = 1, .from = "Ann <a@sender.example>"};

	(void)state;
	rig_open(&r, &(struct rig_options){.scout = true, .auth = true});
	r.mx = &mx;
	send_one(&r, to_world); /* no key: as it is */
	link_close(r.auth);
	r.auth = NULL;
	send_one(&r, to_world);
	expect_lane(&r, DELIVERED "OUTCOME 1 stage=connect 0:unreached/retry/0\n");
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivers_to_the_exchanger_without_what_is_cut),
		cmocka_unit_test(the_next_exchanger_when_the_first_is_dead),
		cmocka_unit_test(who_cannot_be_reached_is_tried_by_the_schedule),
		cmocka_unit_test(n_08_the_dns_fails_or_says_never),
		cmocka_unit_test(dane_takes_the_key_it_names_and_no_other),
		cmocka_unit_test(a_host_that_hides_starttls_gets_nothing),
		cmocka_unit_test(what_our_people_send_is_signed),
		cmocka_unit_test(what_others_wrote_is_not_signed_for_them),
		cmocka_unit_test(without_auth_it_waits),
		cmocka_unit_test(an_enforced_policy_wants_a_certificate_that_verifies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

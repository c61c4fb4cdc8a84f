/* Sessions in memory: ours against ours, and ours against OpenSSL driven by hand as a hostile peer. */
#include "tls/tls.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "pem.h"

#define DAY_S 86400L

static char folder[] = "/tmp/holdfast-tls-XXXXXX";
static struct tls_context *server_context;
static struct tls_context *other_service;

static void write_pair(void)
{
	EVP_PKEY *ca_key = pem_key(), *key = pem_key();
	X509 *ca = pem_certificate(ca_key, "Test CA", NULL, -DAY_S, DAY_S, NULL, NULL);
	X509 *x = pem_certificate(key, "mx", "DNS:mx.example,DNS:*.wild.example,IP:192.0.2.1",
				  -DAY_S, DAY_S, ca, ca_key);

	pem_write_key("key", key, 0400);
	pem_write_chain("cert", x, NULL);
	pem_write_chain("ca", ca, NULL);
	X509_free(ca);
	X509_free(x);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
}

static int make_folder(void **state)
{
	(void)state;
	must(mkdtemp(folder) && chdir(folder) == 0);
	write_pair();
	must(tls_server_new("cert", "key", "smtp", &server_context, NULL) == OK);
	must(tls_server_new("cert", "key", "submission", &other_service, NULL) == OK);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	tls_context_unref(server_context);
	tls_context_unref(other_service);
	(void)remove("key");
	(void)remove("cert");
	(void)remove("ca");
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

/* --- ours against ours */

struct end {
	struct tls *t;
	struct buf plain; /* received */
	struct buf wire;  /* to be carried to the other */
	enum rc rc;
	struct fault why;
};

static void end_fini(struct end *e)
{
	tls_free(e->t);
	buf_fini(&e->plain);
	buf_fini(&e->wire);
}

/* Carries what from has to say, step bytes at a time. False when there was nothing. */
static bool carry(struct end *from, struct end *to, size_t step)
{
	struct span s = buf_span(&from->wire);

	if (span_is_empty(s))
		return false;
	while (!span_is_empty(s)) {
		to->rc = tls_input(to->t, span_first(s, step), &to->plain, &to->wire, &to->why);
		if (to->rc != OK && to->rc != MORE)
			break;
		s = span_from(s, step);
	}
	buf_clear(&from->wire);
	return true;
}

static void talk(struct end *a, struct end *b, size_t step)
{
	bool is_more = true;

	while (is_more) {
		is_more = carry(a, b, step);
		is_more = carry(b, a, step) || is_more;
	}
}

static void shake_hands(struct end *client, struct end *server, bool verify, const char *name,
			size_t step)
{
	struct tls_context *c = NULL;

	assert_int_equal(tls_client_new(verify, verify ? "ca" : NULL, &c, NULL), OK);
	*client = (struct end){.t = tls_new(c, false, name)};
	*server = (struct end){.t = tls_new(server_context, true, NULL)};
	tls_context_unref(c);
	client->rc = tls_start(client->t, &client->wire, &client->why);
	talk(client, server, step);
}

static void any_split_of_the_bytes_gives_the_same(void **state)
{
	static const size_t steps[] = {1, 7, 100, 65536};

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct end client, server;

		shake_hands(&client, &server, false, "mx.example", steps[i]);
		assert_true(tls_is_ready(client.t) && tls_is_ready(server.t));
		assert_string_equal(tls_text(client.t), "TLSv1.3 TLS_AES_256_GCM_SHA384");
		assert_string_equal(tls_text(server.t), tls_text(client.t));
		assert_false(tls_is_verified(client.t));
		assert_int_equal(tls_output(client.t, SPAN_LIT("EHLO x\r\n"), &client.wire, NULL),
				 OK);
		assert_int_equal(tls_output(client.t, SPAN_LIT("QUIT\r\n"), &client.wire, NULL),
				 OK);
		assert_int_equal(tls_output(server.t, SPAN_LIT("250 y\r\n"), &server.wire, NULL),
				 OK);
		talk(&client, &server, steps[i]);
		assert_true(span_eq(buf_span(&server.plain), SPAN_LIT("EHLO x\r\nQUIT\r\n")));
		assert_true(span_eq(buf_span(&client.plain), SPAN_LIT("250 y\r\n")));
		assert_false(tls_peer_ended(server.t));
		tls_end(client.t, &client.wire);
		talk(&client, &server, steps[i]);
		assert_true(tls_peer_ended(server.t));
		end_fini(&client);
		end_fini(&server);
	}
}

static void a_megabyte_comes_through(void **state)
{
	static unsigned char block[1u << 20];
	struct end client, server;

	(void)state;
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (unsigned char)(i * 7 + i / 251);
	shake_hands(&client, &server, false, NULL, 4096);
	assert_int_equal(tls_output(client.t, span_of(block, sizeof block), &client.wire, NULL),
			 OK);
	talk(&client, &server, 65536);
	assert_true(span_eq(buf_span(&server.plain), span_of(block, sizeof block)));
	end_fini(&client);
	end_fini(&server);
}

static void a_client_that_verifies_checks_name_and_chain(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} rows[] = {
		{"mx.example", true}, {"MX.example.", true},	  {"a.wild.example", true},
		{"192.0.2.1", true},  {"mx.example.evil", false}, {"a.b.wild.example", false},
		{"192.0.2.2", false}, {"wild.example", false},	  {NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct end client, server;

		shake_hands(&client, &server, true, rows[i].name, 65536);
		assert_int_equal(tls_is_verified(client.t), rows[i].good);
		assert_int_equal(tls_is_ready(client.t), rows[i].good);
		assert_int_equal(client.rc, rows[i].good ? OK : REFUSED);
		assert_int_equal(client.why.text[0] == '\0', rows[i].good);
		end_fini(&client);
		end_fini(&server);
	}
}

static void a_client_that_verifies_wants_a_known_issuer(void **state)
{
	struct tls_context *c = NULL;
	struct end client = {0}, server = {.t = tls_new(server_context, true, NULL)};

	(void)state;
	assert_int_equal(tls_client_new(true, NULL, &c, NULL), OK); /* the system's anchors */
	client.t = tls_new(c, false, "mx.example");
	tls_context_unref(c);
	assert_int_equal(tls_start(client.t, &client.wire, NULL), OK);
	talk(&client, &server, 65536);
	assert_int_equal(client.rc, REFUSED);
	assert_string_equal(client.why.text, "TLS handshake: the certificate does not verify: "
					     "unable to get local issuer certificate");
	assert_int_equal(server.rc, REFUSED); /* it was told by an alert */
	end_fini(&client);
	end_fini(&server);
}

static struct span text_of(const char *path, char *out, size_t out_n)
{
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, out_n, f);
	(void)fclose(f);
	return span_of(out, n);
}

/* The authority, or the server's own certificate; for its name alone; nothing trusts nobody. */
static void a_client_trusts_what_it_was_given(void **state)
{
	char ca[8192], cert[8192];
	const struct {
		struct span pem;
		const char *name;
		enum rc rc;
	} rows[] = {{text_of("ca", ca, sizeof ca), "mx.example", OK},
		    {text_of("cert", cert, sizeof cert), "mx.example", OK},
		    {text_of("cert", cert, sizeof cert), "other.example", REFUSED},
		    {SPAN_NONE, "mx.example", REFUSED}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct end client = {0}, server = {.t = tls_new(server_context, true, NULL)};
		struct tls_context *c = NULL;

		assert_int_equal(tls_client_trusting(rows[i].pem, &c, NULL), OK);
		client.t = tls_new(c, false, rows[i].name);
		tls_context_unref(c);
		assert_int_equal(tls_start(client.t, &client.wire, NULL), OK);
		talk(&client, &server, 65536);
		assert_int_equal(client.rc == REFUSED, rows[i].rc == REFUSED);
		assert_int_equal(tls_is_verified(client.t), rows[i].rc == OK);
		end_fini(&client);
		end_fini(&server);
	}
}

static void anchors_that_cannot_be_read_are_refused(void **state)
{
	static const char *const bad[] = {
		"nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nAA"};
	struct tls_context *c = NULL;
	struct fault why = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(tls_client_trusting(span_str(bad[i]), &c, &why), REFUSED);
		assert_null(c);
		assert_non_null(strstr(why.text, "trust anchors in PEM form: "));
	}
}

static void what_is_no_tls_is_refused(void **state)
{
	struct end server = {.t = tls_new(server_context, true, NULL)};

	(void)state;
	assert_int_equal(tls_input(server.t, SPAN_LIT("RSET\r\nMAIL FROM:<a@b>\r\n"), &server.plain,
				   &server.wire, &server.why),
			 REFUSED);
	assert_int_equal(server.plain.n, 0);
	assert_int_equal(
		tls_input(server.t, SPAN_LIT("QUIT\r\n"), &server.plain, &server.wire, NULL),
		REFUSED); /* T3 */
	assert_int_equal(tls_output(server.t, SPAN_LIT("x"), &server.wire, NULL), REFUSED);
	end_fini(&server);
}

static void t_09_a_flipped_bit_and_a_cut_are_no_end(void **state)
{
	struct end client, server;

	(void)state;
	shake_hands(&client, &server, false, NULL, 65536);
	assert_int_equal(tls_output(client.t, SPAN_LIT("DATA\r\n"), &client.wire, NULL), OK);
	talk(&client, &server, 65536);
	assert_false(tls_peer_ended(server.t)); /* a FIN here is a truncation */
	assert_int_equal(tls_output(client.t, SPAN_LIT(".\r\n"), &client.wire, NULL), OK);
	client.wire.p[client.wire.n - 1] ^= 1;
	talk(&client, &server, 65536);
	assert_int_equal(server.rc, REFUSED);
	assert_false(tls_peer_ended(server.t));
	assert_true(span_eq(buf_span(&server.plain), SPAN_LIT("DATA\r\n")));
	end_fini(&client);
	end_fini(&server);
}

/* T-13: memory of a half-open handshake is bounded, however slowly it comes. */
static void t_13_a_handshake_that_never_ends_is_refused(void **state)
{
	/* A ClientHello that announces 100,000 bytes, in records of 256. */
	static const unsigned char head[] = {22, 3, 1, 1, 0};
	static const unsigned char hello[] = {1, 0x01, 0x86, 0xa0};
	unsigned char record[5 + 256] = {0};
	struct end server = {.t = tls_new(server_context, true, NULL), .rc = MORE};
	size_t sent = 0;

	(void)state;
	memcpy(record, head, sizeof head);
	memcpy(record + 5, hello, sizeof hello);
	while (server.rc == MORE) {
		server.rc = tls_input(server.t, span_of(record, sizeof record), &server.plain,
				      &server.wire, &server.why);
		memset(record + 5, 0, sizeof hello);
		sent += sizeof record;
		assert_true(sent < 40000);
	}
	assert_int_equal(server.rc, REFUSED);
	assert_string_equal(server.why.text, "TLS handshake: more than 32768 bytes");
	end_fini(&server);
}

/* A client of TLS 1.3 may send all it has right behind its Finished: that is no handshake any more. */
static void what_comes_behind_the_last_flight_is_not_counted(void **state)
{
	static unsigned char much[300000];
	struct tls_context *c = NULL;
	struct end client, server = {.t = tls_new(server_context, true, NULL)};

	(void)state;
	assert_int_equal(tls_client_new(false, NULL, &c, NULL), OK);
	client = (struct end){.t = tls_new(c, false, "mx.example")};
	tls_context_unref(c);
	assert_int_equal(tls_start(client.t, &client.wire, &client.why), OK);
	assert_true(carry(&client, &server, 65536));
	assert_true(carry(&server, &client, 65536));
	assert_true(tls_is_ready(client.t) && !tls_is_ready(server.t));
	assert_int_equal(tls_output(client.t, span_of(much, sizeof much), &client.wire, NULL), OK);
	assert_true(carry(&client, &server, SIZE_MAX));
	assert_int_equal(server.rc, OK);
	assert_int_equal(server.plain.n, sizeof much);
	end_fini(&client);
	end_fini(&server);
}

/* T-10: 100 reloads; sessions of the old contexts go on, and a pair that is bad leaves the present one alone. */
static void t_10_sessions_outlive_their_contexts(void **state)
{
	struct tls_context *present = tls_context_ref(server_context), *next = NULL;
	struct end clients[100], servers[100];

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		struct tls_context *c = NULL;

		assert_int_equal(tls_client_new(false, NULL, &c, NULL), OK);
		clients[i] = (struct end){.t = tls_new(c, false, NULL)};
		servers[i] = (struct end){.t = tls_new(present, true, NULL)};
		tls_context_unref(c);
		assert_int_equal(tls_start(clients[i].t, &clients[i].wire, NULL), OK);
		if (i % 2) /* the others are in the middle of their handshake */
			talk(&clients[i], &servers[i], 4096);
		next = NULL;
		assert_int_equal(tls_server_new("cert", "ca", "smtp", &next, NULL), REFUSED);
		assert_null(next);
		assert_int_equal(tls_server_new("cert", "key", "smtp", &next, NULL), OK);
		tls_context_unref(present);
		present = next;
	}
	tls_context_unref(present);
	for (size_t i = 0; i < 100; i++) {
		talk(&clients[i], &servers[i], 4096);
		assert_int_equal(
			tls_output(clients[i].t, SPAN_LIT("NOOP\r\n"), &clients[i].wire, NULL), OK);
		talk(&clients[i], &servers[i], 4096);
		assert_true(span_eq(buf_span(&servers[i].plain), SPAN_LIT("NOOP\r\n")));
		end_fini(&clients[i]);
		end_fini(&servers[i]);
	}
}

/* --- ours against OpenSSL by hand */

struct raw {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out; /* the SSL's */
};

static void raw_new(struct raw *r, int version, SSL_SESSION *ticket)
{
	r->ctx = SSL_CTX_new(TLS_client_method());
	must(SSL_CTX_set_min_proto_version(r->ctx, version) == 1);
	must(SSL_CTX_set_max_proto_version(r->ctx, version) == 1);
	r->ssl = SSL_new(r->ctx);
	r->in = BIO_new(BIO_s_mem());
	r->out = BIO_new(BIO_s_mem());
	SSL_set_bio(r->ssl, r->in, r->out);
	SSL_set_connect_state(r->ssl);
	if (ticket)
		must(SSL_set_session(r->ssl, ticket) == 1);
}

static void raw_fini(struct raw *r)
{
	SSL_free(r->ssl);
	SSL_CTX_free(r->ctx);
}

/* Until neither has anything to say, or the server has had enough. */
static void raw_talk(struct raw *r, struct end *server)
{
	for (;;) {
		char *p;
		long n;
		char got[4096];

		ERR_clear_error();
		(void)SSL_read(r->ssl, got, sizeof got);
		n = BIO_get_mem_data(r->out, &p);
		if (n <= 0)
			return;
		server->rc = tls_input(server->t, span_of(p, (size_t)n), &server->plain,
				       &server->wire, &server->why);
		(void)BIO_reset(r->out);
		(void)BIO_write(r->in, server->wire.p, (int)server->wire.n);
		buf_clear(&server->wire);
		if (server->rc != OK && server->rc != MORE)
			return;
	}
}

static void t_06_key_updates_are_bounded(void **state)
{
	struct raw r;
	struct end server = {.t = tls_new(server_context, true, NULL)};
	int i;

	(void)state;
	raw_new(&r, TLS1_3_VERSION, NULL);
	raw_talk(&r, &server);
	assert_true(tls_is_ready(server.t));
	for (i = 0; i < 1000 && server.rc == OK; i++) {
		assert_int_equal(SSL_key_update(r.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(r.ssl), 1);
		raw_talk(&r, &server);
	}
	assert_int_equal(server.rc, REFUSED);
	assert_in_range(i, 10, 100);
	assert_string_equal(server.why.text, "TLS: more than 64 messages after the handshake");
	raw_fini(&r);
	end_fini(&server);
}

static void t_06_renegotiation_is_refused(void **state)
{
	struct raw r;
	struct end server = {.t = tls_new(server_context, true, NULL)};
	char *p;
	long n;

	(void)state;
	raw_new(&r, TLS1_2_VERSION, NULL);
	raw_talk(&r, &server);
	assert_true(tls_is_ready(server.t));
	assert_int_equal(SSL_renegotiate(r.ssl), 1);
	(void)SSL_do_handshake(r.ssl);
	n = BIO_get_mem_data(r.out, &p);
	assert_true(n > 0);
	assert_int_equal(tls_input(server.t, span_of(p, (size_t)n), &server.plain, &server.wire,
				   &server.why),
			 OK);
	assert_in_range(server.wire.n, 1, 64); /* one alert, enciphered; no ServerHello */
	(void)BIO_reset(r.out);
	(void)BIO_write(r.in, server.wire.p, (int)server.wire.n);
	ERR_clear_error();
	assert_int_not_equal(SSL_do_handshake(r.ssl), 1);
	assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
	raw_fini(&r);
	end_fini(&server);
}

static void t_06_there_is_no_early_data(void **state)
{
	struct raw r;
	struct end server = {.t = tls_new(server_context, true, NULL)};

	(void)state;
	raw_new(&r, TLS1_3_VERSION, NULL);
	raw_talk(&r, &server);
	assert_non_null(SSL_get0_session(r.ssl));
	assert_int_equal(SSL_SESSION_get_max_early_data(SSL_get0_session(r.ssl)), 0);
	raw_fini(&r);
	end_fini(&server);
}

static void old_versions_are_refused(void **state)
{
	struct raw r;
	struct end server = {.t = tls_new(server_context, true, NULL)};

	(void)state;
	raw_new(&r, TLS1_1_VERSION, NULL);
	SSL_set_security_level(r.ssl, 0);
	raw_talk(&r, &server);
	assert_int_equal(server.rc, REFUSED);
	assert_string_equal(server.why.text, "TLS handshake: unsupported protocol");
	raw_fini(&r);
	end_fini(&server);
}

static SSL_SESSION *take_ticket(int version, struct tls_context *from)
{
	struct raw r;
	struct end server = {.t = tls_new(from, true, NULL)};
	SSL_SESSION *s;

	raw_new(&r, version, NULL);
	raw_talk(&r, &server);
	s = SSL_get1_session(r.ssl);
	assert_true(SSL_SESSION_is_resumable(s));
	SSL_set_shutdown(r.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	raw_fini(&r);
	end_fini(&server);
	return s;
}

static bool is_resumed_at(int version, SSL_SESSION *ticket, struct tls_context *at)
{
	struct raw r;
	struct end server = {.t = tls_new(at, true, NULL)};
	bool is_resumed;

	raw_new(&r, version, ticket);
	raw_talk(&r, &server);
	assert_true(tls_is_ready(server.t)); /* a full handshake, not a failure */
	is_resumed = SSL_session_reused(r.ssl);
	raw_fini(&r);
	end_fini(&server);
	return is_resumed;
}

static void t_07_a_ticket_is_good_at_its_own_service_only(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		SSL_SESSION *s = take_ticket(versions[i], server_context);

		assert_false(is_resumed_at(versions[i], s, other_service));
		assert_true(is_resumed_at(versions[i], s, server_context));
		SSL_SESSION_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_split_of_the_bytes_gives_the_same),
		cmocka_unit_test(a_megabyte_comes_through),
		cmocka_unit_test(a_client_that_verifies_checks_name_and_chain),
		cmocka_unit_test(a_client_that_verifies_wants_a_known_issuer),
		cmocka_unit_test(a_client_trusts_what_it_was_given),
		cmocka_unit_test(anchors_that_cannot_be_read_are_refused),
		cmocka_unit_test(what_is_no_tls_is_refused),
		cmocka_unit_test(t_09_a_flipped_bit_and_a_cut_are_no_end),
		cmocka_unit_test(t_13_a_handshake_that_never_ends_is_refused),
		cmocka_unit_test(what_comes_behind_the_last_flight_is_not_counted),
		cmocka_unit_test(t_10_sessions_outlive_their_contexts),
		cmocka_unit_test(t_06_key_updates_are_bounded),
		cmocka_unit_test(t_06_renegotiation_is_refused),
		cmocka_unit_test(t_06_there_is_no_early_data),
		cmocka_unit_test(old_versions_are_refused),
		cmocka_unit_test(t_07_a_ticket_is_good_at_its_own_service_only),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* Certificates and keys from files: T-10, O-02, O-08. */
#include "tls/tls.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <time.h>

#include "pem.h"

#define DAY_S 86400L

static char folder[] = "/tmp/holdfast-tls-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"key",	"cert",	     "own.key",
					    "own.cert", "other.key", "dir"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		(void)remove(names[i]);
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void assert_refused(const char *sentence)
{
	struct tls_context *c = NULL;
	struct fault why = {0};

	assert_int_equal(tls_server_new("cert", "key", "smtp", &c, &why), REFUSED);
	assert_null(c);
	assert_string_equal(why.text, sentence);
}

static void a_good_pair_is_taken_and_its_end_is_known(void **state)
{
	struct tls_context *c = NULL;
	struct fault why = {0};
	EVP_PKEY *key = pem_key();
	X509 *x = pem_certificate(key, "mx", "DNS:mx.example", -DAY_S, 30 * DAY_S, NULL, NULL);
	int64_t ends = (int64_t)time(NULL) + 30 * DAY_S;

	(void)state;
	pem_write_key("key", key, 0400);
	pem_write_chain("cert", x, NULL);
	assert_int_equal(tls_server_new("cert", "key", "smtp", &c, &why), OK);
	assert_in_range(tls_context_not_after(c), ends - 60, ends + 60);
	assert_ptr_equal(tls_context_ref(c), c);
	tls_context_unref(c);
	tls_context_unref(c);
	tls_context_unref(NULL);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void whom_a_certificate_is_for_is_told(void **state)
{
	struct tls_context *c = NULL;
	struct fault why = {0};
	struct buf names = {0};
	EVP_PKEY *key = pem_key();
	X509 *x = pem_certificate(key, "mx", "DNS:mx.example,DNS:*.portal.example,IP:192.0.2.1",
				  -DAY_S, 30 * DAY_S, NULL, NULL);

	(void)state;
	pem_write_key("key", key, 0400);
	pem_write_chain("cert", x, NULL);
	assert_int_equal(tls_server_new("cert", "key", "https", &c, &why), OK);
	assert_true(tls_context_is_for(c, "mx.example"));
	assert_true(tls_context_is_for(c, "mail.portal.example"));
	assert_true(tls_context_is_for(c, "192.0.2.1"));
	assert_false(tls_context_is_for(c, "portal.example"));
	assert_false(tls_context_is_for(c, "192.0.2.2"));
	tls_context_names(c, &names);
	assert_string_equal(buf_cstr(&names), "mx.example, *.portal.example");
	assert_true(tls_context_is_self_signed(c));
	buf_fini(&names);
	tls_context_unref(c);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void o_02_a_key_that_others_can_read_is_refused(void **state)
{
	EVP_PKEY *key = pem_key();
	X509 *x = pem_certificate(key, "mx", "DNS:mx.example", -DAY_S, DAY_S, NULL, NULL);

	(void)state;
	pem_write_chain("cert", x, NULL);
	pem_write_key("key", key, 0644);
	assert_refused(
		"key file key has mode 0644: others may read it, or its group may change it; "
		"chmod 0400 it");
	pem_write_key("key", key, 0660);
	assert_refused(
		"key file key has mode 0660: others may read it, or its group may change it; "
		"chmod 0400 it");
	(void)unlink("key");
	assert_refused("key file key: No such file or directory");
	assert_int_equal(symlink("/dev/null", "key"), 0);
	assert_refused("key file key is not a file");
	(void)unlink("key");
	X509_free(x);
	EVP_PKEY_free(key);
}

static void o_02_a_key_with_a_password_does_not_ask_the_terminal(void **state)
{
	EVP_PKEY *key = pem_key();
	X509 *x = pem_certificate(key, "mx", "DNS:mx.example", -DAY_S, DAY_S, NULL, NULL);
	FILE *f;
	struct tls_context *c = NULL;
	struct fault why = {0};

	(void)state;
	pem_write_chain("cert", x, NULL);
	(void)unlink("key");
	f = fopen("key", "w");
	assert_int_equal(
		PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)"word"), 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod("key", 0400), 0);
	assert_int_equal(tls_server_new("cert", "key", "smtp", &c, &why), REFUSED);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void t_10_o_08_a_key_of_another_certificate_is_refused(void **state)
{
	EVP_PKEY *key = pem_key(), *other = pem_key();
	X509 *x = pem_certificate(key, "mx", "DNS:mx.example", -DAY_S, DAY_S, NULL, NULL);

	(void)state;
	pem_write_chain("cert", x, NULL);
	pem_write_key("key", other, 0400);
	assert_refused("key key does not belong to certificate cert");
	X509_free(x);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void assert_not_current(const char *want)
{
	struct tls_context *c = NULL;
	struct fault why = {0};

	assert_int_equal(tls_server_new("cert", "key", "smtp", &c, &why), OK);
	assert_int_equal(tls_context_is_current(c, &why), REFUSED);
	assert_string_equal(why.text, want);
	tls_context_unref(c);
}

static void t_10_o_08_an_expired_or_future_certificate_is_not_current(void **state)
{
	EVP_PKEY *key = pem_key();
	X509 *old = pem_certificate(key, "mx", "DNS:mx.example", -9 * DAY_S, -DAY_S, NULL, NULL);
	X509 *future = pem_certificate(key, "mx", "DNS:mx.example", DAY_S, 9 * DAY_S, NULL, NULL);

	(void)state;
	pem_write_key("key", key, 0400);
	pem_write_chain("cert", old, NULL);
	assert_not_current("the certificate has expired");
	pem_write_chain("cert", future, NULL);
	assert_not_current("the certificate is not valid yet");
	X509_free(old);
	X509_free(future);
	EVP_PKEY_free(key);
}

static void o_08_a_chain_in_disorder_is_refused(void **state)
{
	EVP_PKEY *key = pem_key(), *ca_key = pem_key(), *stranger_key = pem_key();
	X509 *ca = pem_certificate(ca_key, "CA", NULL, -DAY_S, DAY_S, NULL, NULL);
	X509 *stranger = pem_certificate(stranger_key, "other CA", NULL, -DAY_S, DAY_S, NULL, NULL);
	X509 *x = pem_certificate(key, "mx", "DNS:mx.example", -DAY_S, DAY_S, ca, ca_key);
	struct tls_context *c = NULL;

	(void)state;
	pem_write_key("key", key, 0400);
	pem_write_chain("cert", x, ca);
	assert_int_equal(tls_server_new("cert", "key", "smtp", &c, NULL), OK);
	tls_context_unref(c);
	pem_write_chain("cert", x, stranger);
	assert_refused("certificate cert: number 2 of the file has not issued number 1");
	X509_free(x);
	X509_free(ca);
	X509_free(stranger);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(stranger_key);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void self_signed_is_made_once(void **state)
{
	struct fault why = {0};
	struct tls_context *c = NULL;
	struct stat before, after;

	(void)state;
	assert_int_equal(tls_self_signed("own.cert", "own.key", "mx.example.com", &why), OK);
	assert_int_equal(mode_of("own.key"), 0400);
	assert_int_equal(mode_of("own.cert"), 0444);
	assert_int_equal(stat("own.cert", &before), 0);
	assert_int_equal(tls_self_signed("own.cert", "own.key", "mx.example.com", &why), OK);
	assert_int_equal(stat("own.cert", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(tls_server_new("own.cert", "own.key", "smtp", &c, &why), OK);
	assert_true(tls_context_not_after(c) > (int64_t)time(NULL) + 3600 * DAY_S);
	tls_context_unref(c);
}

static void self_signed_goes_on_where_it_was_cut_short(void **state)
{
	struct fault why = {0};
	struct tls_context *c = NULL;

	(void)state;
	assert_int_equal(tls_self_signed("own.cert", "own.key", "2001:db8::1", &why), OK);
	assert_int_equal(unlink("own.cert"), 0); /* what a crash before the second file leaves */
	assert_int_equal(tls_self_signed("own.cert", "own.key", "2001:db8::1", &why), OK);
	assert_int_equal(tls_server_new("own.cert", "own.key", "smtp", &c, &why), OK);
	tls_context_unref(c);
}

static void self_signed_never_replaces_an_operators_file(void **state)
{
	struct fault why = {0};

	(void)state;
	assert_int_equal(tls_self_signed("own.cert", "other.key", "mx.example.com", &why), REFUSED);
	assert_string_equal(why.text,
			    "certificate own.cert is there, but its key other.key is not");
}

static void self_signed_refuses_what_is_no_host_name(void **state)
{
	static const char *const names[] = {"", "mx.example,DNS:evil", "mx example", "a/b"};
	struct fault why = {0};

	(void)state;
	(void)unlink("own.cert");
	(void)unlink("own.key");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(tls_self_signed("own.cert", "own.key", names[i], &why), REFUSED);
		assert_int_not_equal(access("own.key", F_OK), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_pair_is_taken_and_its_end_is_known),
		cmocka_unit_test(whom_a_certificate_is_for_is_told),
		cmocka_unit_test(o_02_a_key_that_others_can_read_is_refused),
		cmocka_unit_test(o_02_a_key_with_a_password_does_not_ask_the_terminal),
		cmocka_unit_test(t_10_o_08_a_key_of_another_certificate_is_refused),
		cmocka_unit_test(t_10_o_08_an_expired_or_future_certificate_is_not_current),
		cmocka_unit_test(o_08_a_chain_in_disorder_is_refused),
		cmocka_unit_test(self_signed_is_made_once),
		cmocka_unit_test(self_signed_goes_on_where_it_was_cut_short),
		cmocka_unit_test(self_signed_never_replaces_an_operators_file),
		cmocka_unit_test(self_signed_refuses_what_is_no_host_name),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* What the configuration names on the disk. O-01: missing file; O-02: open key, wrong owner, open data directory. */
#include "config/config.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/must.h"
#include "ipc/msg.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char paths[8][128];
	static unsigned at;
	char *path = paths[at++ % 8];

	(void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(in_dir(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(in_dir(name), mode), 0);
}

static int make_dir(void **state)
{
	(void)state;
	(void)strcpy(dir, "/tmp/hf-config-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[100];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static const char *site_keys = ""; /* ", key: value" */

/* Writes the configuration and loads it. more: further lines; domain: keys of the domain's entry. */
static char *load(const char *data, const char *more, const char *recipients,
		  struct msg_config *out, struct arena *arena)
{
	struct config_problems problems;
	struct buf text = {0};
	char *said;

	buf_printf(&text,
		   "node: a.example\ndata: %s\nlisten: { smtp: [\"127.0.0.1:2525\"] }\n"
		   "sites: [{ name: s, primaries: [{ host: p.example }]%s }]\n"
		   "domains: [{ name: a.example, site: s, recipients: [%s] }, { name: b.example, "
		   "site: s }]\n%s",
		   data, site_keys, recipients, more);
	put("h.yaml", buf_cstr(&text), 0644);
	buf_clear(&text);
	(void)(config_load(in_dir("h.yaml"), arena, out, &problems) == OK);
	config_problems_print(&problems, &text);
	said = arena_str(arena, buf_span(&text));
	buf_fini(&text);
	return said;
}

static void o_01_missing_files_are_named(void **state)
{
	struct msg_config c = {0};
	struct arena arena;
	char want[500];

	(void)state;
	arena_init(&arena, 0);
	struct config_problems problems;

	assert_int_equal(config_load(in_dir("none.yaml"), &arena, &c, &problems), REFUSED);
	(void)snprintf(want, sizeof want,
		       "%s/none.yaml: error: cannot open %s/none.yaml: No such file or directory; "
		       "check the spelling of the path",
		       dir, dir);
	assert_string_equal(config_problems_first(&problems, &arena), want);

	(void)snprintf(want, sizeof want,
		       "%s/h.yaml:5:52: error: cannot open %s/people: No such file or directory; "
		       "check the spelling of the path\n",
		       dir, dir);
	assert_string_equal(load(dir, "", "file:people", &c, &arena), want);

	char *said = load(dir, "tls: { certificate: /none/c.pem, key: /none/k.pem }\n", "learn", &c,
			  &arena);

	assert_non_null(
		strstr(said, ":6:21: error: cannot open /none/c.pem: No such file or directory"));
	assert_non_null(strstr(
		said, ":6:39: error: cannot read the key /none/k.pem: No such file or directory"));

	said = load("/proc/none/data", "", "learn", &c, &arena);
	if (geteuid() != 0)
		assert_non_null(strstr(
			said, ":2:7: error: the data directory /proc/none/data is not there"));
	assert_non_null(strstr(load("/dev/null", "", "learn", &c, &arena), "is not a directory"));
	arena_fini(&arena);
}

static void recipients_files_are_read(void **state)
{
	struct msg_config c = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	put("people", "# staff\n  Info@A.example\n\nboss@a.example OK\nx@b.example\r\n", 0644);
	assert_string_equal(load(dir, "", "file:people", &c, &arena), "");
	assert_int_equal(c.domains[0].recipient_files_n, 1);
	assert_true(span_eq(c.domains[0].recipient_files[0],
			    SPAN_LIT("Info@a.example\nboss@a.example\n")));
	assert_false(c.domains[0].learn);
	put("people", "@a.example\n", 0644);
	assert_string_equal(load(dir, "", "file:people", &c, &arena), "");
	assert_true(span_eq(c.domains[0].catch_all, SPAN_LIT("yes")));
	put("people", "ok@a.example\nno address\nx@c.example\n", 0644);
	char *said = load(dir, "", "learn, file:people", &c, &arena);

	assert_non_null(
		strstr(said, "/people:2:1: error: `no` is not an address; one address a line"));
	assert_non_null(strstr(
		said, "/people:3:1: error: `x@c.example` is in no domain of the configuration"));
	put("people", "ok@a.example\n", 0666);
	assert_non_null(strstr(load(dir, "", "file:people", &c, &arena),
			       "can be changed by every user; chmod o-w"));
	arena_fini(&arena);
}

static void o_02_a_key_that_others_can_read_is_refused(void **state)
{
	static const struct {
		mode_t mode;
		bool is_good;
	} rows[] = {{0400, true},  {0600, true},  {0640, true}, {0604, false},
		    {0644, false}, {0660, false}, {0666, false}};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	put("c.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct msg_config c = {0};
		char more[300];
		const char *said;

		put("k.pem", "key", rows[i].mode);
		(void)snprintf(more, sizeof more, "tls: { certificate: %s/c.pem, key: %s/k.pem }\n",
			       dir, dir);
		said = load(dir, more, "learn", &c, &arena);
		if (rows[i].is_good) {
			assert_string_equal(said, "");
			continue;
		}
		assert_non_null(strstr(said, "is open to others (mode 0"));
		assert_non_null(strstr(said, "; chmod 0400 /tmp/hf-config-"));
		assert_true(span_is_empty(c.tls_key));
		assert_int_equal(unlink(in_dir("k.pem")), 0);
	}
	arena_fini(&arena);
}

static void o_02_a_key_of_a_strange_owner_is_refused(void **state)
{
	struct msg_config c = {0};
	struct arena arena;
	char more[300];

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can give a file away */
	arena_init(&arena, 0);
	put("c.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
	(void)unlink(in_dir("k.pem"));
	put("k.pem", "key", 0400);
	assert_int_equal(chown(in_dir("k.pem"), 65534, (gid_t)-1), 0);
	(void)snprintf(more, sizeof more, "tls: { certificate: %s/c.pem, key: %s/k.pem }\n", dir,
		       dir);
	assert_non_null(strstr(load(dir, more, "learn", &c, &arena),
			       "belongs to nobody, who could exchange it; chown root"));
	arena_fini(&arena);
}

static void o_02_a_data_directory_open_to_all_is_refused(void **state)
{
	struct msg_config c = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	assert_int_equal(mkdir(in_dir("data"), 0700), 0);
	assert_string_equal(load(in_dir("data"), "", "learn", &c, &arena), "");
	assert_int_equal(chmod(in_dir("data"), 0750), 0);
	assert_string_equal(load(in_dir("data"), "", "learn", &c, &arena), "");
	assert_int_equal(chmod(in_dir("data"), 0755), 0);
	assert_non_null(strstr(load(in_dir("data"), "", "learn", &c, &arena),
			       "is open to every user (mode 0755); chmod o-rwx"));
	assert_string_equal(load(in_dir("not-yet"), "", "learn", &c, &arena), "");
	arena_fini(&arena);
}

static void o_02_a_configuration_that_all_can_change_is_refused(void **state)
{
	struct config_problems problems;
	struct msg_config c = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	assert_string_equal(load(dir, "", "learn", &c, &arena), "");
	assert_int_equal(chmod(in_dir("h.yaml"), 0666), 0);
	assert_int_equal(config_load(in_dir("h.yaml"), &arena, &c, &problems), REFUSED);
	assert_non_null(strstr(problems.item[0].text, "can be changed by every user"));
	assert_int_equal(config_load(dir, &arena, &c, &problems), REFUSED);
	arena_fini(&arena);
}

/* A half edited file still tells where the data is; the files it names are not looked at. */
static void peek_finds_the_data_in_a_bad_configuration(void **state)
{
	static const struct {
		const char *text, *data;
		enum rc rc;
	} rows[] = {
		{"node: a.example\ndata: /d\nlisten: { smtp: [\"1.1.1.1:25\"] }\n"
		 "sites: [{ name: s, primaries: [{ host: p.example }] }]\ndomains: [{ name: "
		 "a.example, site: s }]\n"
		 "tls: { certificate: /none/c, key: /none/k }\n",
		 "/d", OK},
		{"data: /d\nlisen: {}\n", "/d", REFUSED},
		{"data: /d\ndata: /e\n", "/d", REFUSED},
		{"data: relative\n", "", REFUSED},
		{"data: [/d]\n", "", REFUSED},
		{"data: /d\nnode: [\n", "", REFUSED}, /* no YAML: nothing is guessed */
		{"", "", REFUSED},
	};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct config_problems problems;
		struct msg_config c = {0};
		struct span data;

		put("h.yaml", rows[i].text, 0644);
		assert_int_equal(config_peek(in_dir("h.yaml"), &arena, &c, &data, &problems),
				 rows[i].rc);
		assert_true(span_eq(data, span_str(rows[i].data)));
		assert_int_equal(rows[i].rc == OK, problems.errors == 0);
	}
	arena_fini(&arena);
}

static void anchors_of_a_site_are_read(void **state)
{
	static const char pem[] = "-----BEGIN CERTIFICATE-----\nAAAA\n";
	static const struct {
		const char *keys, *said; /* after the folder */
		bool is_read;
	} rows[] = {
		{", tls: required, tls_ca: ca.pem", "", true},
		{", tls: required, tls_ca: none.pem", ":4:77: error: cannot open ", false},
		{", tls: required, tls_ca: key.pem", ":4:77: error: ", false},
		{", tls_ca: ca.pem", ":4:62: warning: `tls_ca` counts only where TLS is required",
		 true},
	};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	put("ca.pem", pem, 0644);
	put("key.pem", "-----BEGIN PRIVATE KEY-----\n", 0644);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct msg_config c = {0};
		const char *said;

		site_keys = rows[i].keys;
		said = load(dir, "", "learn", &c, &arena);
		if (rows[i].said[0])
			assert_non_null(strstr(said, rows[i].said));
		else
			assert_string_equal(said, "");
		assert_true(!rows[i].is_read || span_eq(c.sites[0].tls_ca, span_str(pem)));
	}
	site_keys = "";
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(o_01_missing_files_are_named, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(recipients_files_are_read, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(o_02_a_key_that_others_can_read_is_refused,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(o_02_a_key_of_a_strange_owner_is_refused, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(o_02_a_data_directory_open_to_all_is_refused,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(o_02_a_configuration_that_all_can_change_is_refused,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(anchors_of_a_site_are_read, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(peek_finds_the_data_in_a_bad_configuration,
						make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

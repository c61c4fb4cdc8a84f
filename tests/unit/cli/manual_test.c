/* The table of commands and the schema of the configuration against the manual pages and the completion. */
#include "cli/cli.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "config/config.h"

static const char *source;

static void read_all(const char *name, struct buf *out)
{
	char path[500];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof path, "%s/%s", source, name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(buf_reserve(out, 1 << 20));
	n = fread(out->p, 1, 1 << 20, f);
	out->n = n;
	assert_int_equal(fclose(f), 0);
	(void)buf_cstr(out);
}

/* A manual page names it at the start of a paragraph, or as an option; roff writes "-" as "\-". */
static bool has(struct buf *page, const char *before, const char *name, const char *after)
{
	char want[200];

	(void)snprintf(want, sizeof want, "%s%s%s", before, name, after);
	return strstr(buf_cstr(page), want) != NULL;
}

static const char *page_of(const char *command)
{
	if (!strncmp(command, "queue ", 6))
		return "doc/man/holdfast-queue.1";
	if (!strncmp(command, "user ", 5))
		return "doc/man/holdfast-user.1";
	if (!strncmp(command, "dkim ", 5))
		return "doc/man/holdfast-dkim.1";
	if (!strcmp(command, "autoconfig"))
		return "doc/man/holdfast-autoconfig.1";
	return !strcmp(command, "doctor") ? "doc/man/holdfast-doctor.1" : "doc/man/holdfast.1";
}

static void every_command_is_in_the_manual(void **state)
{
	struct buf page = {0};

	(void)state;
	read_all("doc/man/holdfast.1", &page);
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		if (has(&page, "\n.B ", c->name, "\n") || has(&page, "\n.BI ", c->name, " \""))
			continue;
		print_error("holdfast.1 does not have: %s\n", c->name);
		fail();
	}
	buf_fini(&page);
}

static void every_option_is_in_the_manual(void **state)
{
	(void)state;
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		struct buf page = {0};

		read_all(page_of(c->name), &page);
		for (const struct cli_option *o = c->options; o && o->name; o++) {
			if (has(&page, "\\-\\-", o->name, ""))
				continue;
			print_error("%s does not have --%s of %s\n", page_of(c->name), o->name,
				    c->name);
			fail();
		}
		buf_fini(&page);
	}
}

static void every_command_and_option_is_completed(void **state)
{
	struct buf text = {0};

	(void)state;
	read_all("packaging/completion/holdfast", &text);
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		const char *second = strchr(c->name, ' ');
		char first[40];

		(void)snprintf(first, sizeof first, "%.*s", (int)strcspn(c->name, " "), c->name);
		if (!(has(&text, " ", second ? second + 1 : first, "") ||
		      has(&text, "\"", second ? second + 1 : first, " ")) ||
		    !(has(&text, " ", first, "") || has(&text, "\"", first, " "))) {
			print_error("the completion does not have: %s\n", c->name);
			fail();
		}
		for (const struct cli_option *o = c->options; o && o->name; o++) {
			if (!has(&text, "--", o->name, "")) {
				print_error("the completion does not have --%s of %s\n", o->name,
					    c->name);
				fail();
			}
		}
	}
	buf_fini(&text);
}

static void key_is_there(void *arg, const char *name)
{
	struct buf *page = arg;

	if (has(page, "\n.B ", name, "\n"))
		return;
	print_error("holdfast.yaml.5 does not have: %s\n", name);
	fail();
}

static void every_key_is_in_the_manual(void **state)
{
	struct buf page = {0};

	(void)state;
	read_all("doc/man/holdfast.yaml.5", &page);
	config_each_key(key_is_there, &page);
	buf_fini(&page);
}

/* The lines for people's mail programs are there, behind a #. */
static void uncomment(struct buf *text)
{
	static const char *const lines[] = {
		"#  submission:", "#  submissions:", "#  imap:", "#  imaps:",
		"#tls:",	  "#imap:",	     "#master:"};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char *at = (char *)memmem(text->p, text->n, lines[i], strlen(lines[i]));

		assert_non_null(at);
		memmove(at, at + 1, text->n - (size_t)(at + 1 - (char *)text->p));
		text->n--;
	}
}

/* The example of the manual and the one that is installed are good. */
static void the_installed_example_is_good(void **state)
{
	struct config_problems problems;
	struct msg_config *config;
	struct buf text = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 0);
	config = arena_alloc(&arena, 4096);
	read_all("packaging/holdfast.yaml.example", &text);
	assert_int_equal(config_parse(buf_span(&text), "example", &arena, config, &problems), OK);
	assert_int_equal(problems.n, 0);
	uncomment(&text);
	assert_int_equal(config_parse(buf_span(&text), "example", &arena, config, &problems), OK);
	assert_int_equal(problems.n, 0);
	buf_fini(&text);
	arena_fini(&arena);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_is_in_the_manual),
		cmocka_unit_test(every_option_is_in_the_manual),
		cmocka_unit_test(every_command_and_option_is_completed),
		cmocka_unit_test(every_key_is_in_the_manual),
		cmocka_unit_test(the_installed_example_is_good),
	};

	if (argc != 2)
		return 2;
	source = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The frame of commands: exit codes, --help and --config in every place, suggestions, --json when nothing runs. */
#include "cli/cli.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"

static char dir[64], config[96];

/* Runs a command line ("@" stands for the configuration's path); *out and *err are what it printed. */
static int run(const char *line, char **out, char **err)
{
	char *words = must_strdup(line), *argv[20] = {words}, *save = NULL;
	int fds[2] = {memfd_create("out", 0), memfd_create("err", 0)}, kept[2] = {dup(1), dup(2)},
	    argc = 0, result;
	char **texts[2] = {out, err};

	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(w, "@") ? w : config;
	(void)fflush(NULL);
	assert_true(dup2(fds[0], 1) >= 0 && dup2(fds[1], 2) >= 0);
	result = cli_main(argc, argv);
	(void)fflush(NULL);
	assert_true(dup2(kept[0], 1) >= 0 && dup2(kept[1], 2) >= 0);
	for (int i = 0; i < 2; i++) {
		static char space[2][65536];
		ssize_t n = pread(fds[i], space[i], sizeof space[i] - 1, 0);

		assert_true(n >= 0);
		space[i][n] = '\0';
		*texts[i] = space[i];
		assert_int_equal(close(fds[i]) | close(kept[i]), 0);
	}
	free(words);
	return result;
}

static int make_dir(void **state)
{
	FILE *f;

	(void)state;
	(void)strcpy(dir, "/tmp/hf-cli-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(config, sizeof config, "%s/h.yaml", dir);
	f = fopen(config, "w");
	if (!f)
		return -1;
	(void)fprintf(
		f,
		"node: mx2.example.net\ndata: %s/data\nlisten: { smtp: [\"127.0.0.1:2525\"] }\n"
		"sites: [{ name: head-office, primaries: [{ host: 127.0.0.1 }] }]\n"
		"domains: [{ name: example.com, site: head-office }]\n",
		dir);
	return fclose(f);
}

static int remove_dir(void **state)
{
	char command[100];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static void every_row(void **state)
{
	static const struct {
		const char *line;
		int result;
		const char *out, *err; /* parts; NULL: nothing at all is printed */
	} rows[] = {
		{"holdfast", 2, NULL, "Usage: holdfast COMMAND"},
		{"holdfast --help", 0, "check-config", NULL},
		{"holdfast -h", 0, "check-config", NULL},
		{"holdfast --version", 0, "holdfast ", NULL},
		{"holdfast version", 0, "holdfast ", NULL},
		{"holdfast version --json", 0, "\"version\"", NULL},
		{"holdfast stauts", 2, NULL, "did you mean `status`?"},
		{"holdfast quue", 2, NULL, "did you mean `queue`?"},
		{"holdfast queue", 2, NULL, "Usage: holdfast queue COMMAND"},
		{"holdfast queue --help", 0, "redirect", NULL},
		{"holdfast queue lits", 2, NULL, "did you mean `queue list`?"},
		{"holdfast archive search anna", 2, NULL,
		 "unknown command `archive`"}, /* nothing pretends */
		{"holdfast user add", 2, NULL, "ADDRESS"},
		{"holdfast user ad anna", 2, NULL, "did you mean `user add`?"},
		{"holdfast user add anna@example.com --no-password --config @", 1, NULL,
		 "add imaps or submissions to `listen`"},
		{"holdfast user passthrough anna@example.com maybe --config @", 2, NULL,
		 "on or off"},
		{"holdfast user add anna@example.com --passthrough --password-stdin", 2, NULL,
		 "either"},
		{"holdfast backup", 2, NULL, "unknown command `backup`"},
		{"holdfast status --jsn", 2, NULL, "did you mean --json?"},
		{"holdfast run --json", 2, NULL, "unknown option --json"},
		{"holdfast --json help", 2, NULL, "--json is not for it"},
		{"holdfast queue list --limit", 2, NULL, "--limit needs a value"},
		{"holdfast queue list --limit x --config @", 2, NULL, "--limit is a number from 1"},
		{"holdfast queue list --unsure=1", 2, NULL, "--unsure takes no value"},
		{"holdfast queue list --match nonsense=1 --config @", 2, NULL, "--match: "},
		{"holdfast queue show", 2, NULL, "`queue show` needs ID"},
		{"holdfast queue discard --config @", 2, NULL, "say which"},
		{"holdfast queue redirect abcdef --config @", 2, NULL, "say where to"},
		{"holdfast hold head-office", 2, NULL, "needs SITE|DOMAIN on|off|auto"},
		{"holdfast hold head-office maybe --config @", 2, NULL,
		 "on, off or auto, not `maybe`"},
		{"holdfast hold head-office on off --config @", 2, NULL, "one word too many"},
		{"holdfast hold head-office on --for 2 --config @", 2, NULL,
		 "--for 2 needs a unit"},
		{"holdfast hold head-ofice on --config @", 1, NULL, "did you mean `head-office`?"},
		{"holdfast hold head-office on --config @", 1, NULL,
		 "Holdfast is not running here"},
		{"holdfast help hold", 0, "Usage: holdfast hold SITE|DOMAIN on|off|auto", NULL},
		{"holdfast help queue list", 0, "--unsure", NULL},
		{"holdfast hold --help", 0, "--reason TEXT", NULL},
		{"holdfast --config @ check-config", 0, "is good", NULL},
		{"holdfast check-config --config @", 0, "1 site, 1 domain, 1 listener", NULL},
		{"holdfast check-config --quiet --config @", 0, NULL, NULL},
		{"holdfast check-config --config /none", 1, NULL, "cannot open /none"},
		{"holdfast check-config --json --config /none", 1, "\"ok\": false", NULL},
		{"holdfast status --config @", 1, "what is held cannot be seen now", NULL},
		{"holdfast status --json --config @", 1, "\"ok\": false", NULL},
		{"holdfast history --config @", 1, NULL, "no views"},
		{"holdfast queue list --config @", 1, NULL, "no views"},
		{"holdfast queue list --json --config @", 1, "\"ok\": false", "no views"},
		{"holdfast reload --config @", 1, NULL, "Holdfast is not running here"},
	};
	char *out, *err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int result = run(rows[i].line, &out, &err);

		if (result != rows[i].result || !strstr(out, rows[i].out ? rows[i].out : "") ||
		    !strstr(err, rows[i].err ? rows[i].err : "") || (!rows[i].out && *out) ||
		    (!rows[i].err && *err)) {
			print_error("%s: exit %d\nout: %s\nerr: %s\n", rows[i].line, result, out,
				    err);
			fail();
		}
	}
}

/* --json: one object on stdout, whatever happens. */
static void json_is_one_object_also_when_nothing_runs(void **state)
{
	static const char *const lines[] = {
		"holdfast status --json --config @",
		"holdfast queue list --json --config @",
		"holdfast check-config --json --config @",
		"holdfast check-config --json --config /none",
		"holdfast hold head-office on --json --config @",
		"holdfast reload --json --config @",
		"holdfast history --json --config @",
		"holdfast queue show abcdef --json --config @",
		"holdfast version --json",
	};
	char *out, *err;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		json_t *o;

		(void)run(lines[i], &out, &err);
		o = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(o))
			print_error("%s: %s\n", lines[i], out);
		assert_true(json_is_object(o));
		json_decref(o);
	}
}

static void every_command_explains_itself(void **state)
{
	char line[100], *out, *err;

	(void)state;
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		(void)snprintf(line, sizeof line, "holdfast %s --help", c->name);
		assert_int_equal(run(line, &out, &err), 0);
		assert_string_equal(err, "");
		assert_non_null(strstr(out, "Usage: holdfast "));
		(void)snprintf(line, sizeof line, "holdfast --help %s", c->name);
		assert_int_equal(run(line, &out, &err), 0);
		/* Fits into 80 columns. */
		for (char *save = NULL, *l = strtok_r(out, "\n", &save); l;
		     l = strtok_r(NULL, "\n", &save)) {
			if (strlen(l) > 80)
				print_error("%s\n", l);
			assert_true(strlen(l) <= 80);
		}
	}
}

/* A half edited file does not keep the operator from asking: the data directory is still found. */
static void commands_work_beside_a_bad_configuration(void **state)
{
	FILE *f = fopen(config, "a");
	char *out, *err;

	(void)state;
	assert_non_null(f);
	assert_true(fputs("lisen: {}\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(run("holdfast status --config @", &out, &err), 1);
	assert_non_null(strstr(err, "has mistakes"));
	assert_non_null(strstr(out, "Missing"));
	assert_non_null(strstr(out, "/run/control.sock"));
	assert_int_equal(run("holdfast reload --config @", &out, &err), 1);
	assert_non_null(strstr(err, "did you mean `listen`?"));
	assert_non_null(strstr(err, "the running system keeps its configuration"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_row, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(json_is_one_object_also_when_nothing_runs, make_dir,
						remove_dir),
		cmocka_unit_test(every_command_explains_itself),
		cmocka_unit_test_setup_teardown(commands_work_beside_a_bad_configuration, make_dir,
						remove_dir),
	};

	(void)setenv("COLUMNS", "80", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

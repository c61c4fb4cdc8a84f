/* One parser of options for all commands, and the shared parts of every command. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "config/config.h"
#include "config/suggest.h"
#include "config/units.h"
#include "ipc/msg.h"

#define DEFAULT_CONFIG "/etc/holdfast/holdfast.yaml"

int cli_usage(const struct cli *c, const char *format, ...)
{
	va_list args;

	(void)fputs("holdfast: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fprintf(stderr, "\nTry `holdfast %s%s--help`.\n", c->command ? c->command->name : "",
		      c->command ? " " : "");
	return CLI_USAGE;
}

int cli_no(const struct cli *c, const char *format, ...)
{
	va_list args;

	(void)c;
	(void)fputs("holdfast: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return CLI_NO;
}

/* ---- finding the command ---- */

/* A row whose words are exactly these; second may be NULL. */
static const struct cli_command *find_command(const char *first, const char *second)
{
	for (const struct cli_command *row = cli_commands; row->name; row++) {
		size_t n = strlen(first);

		if (strncmp(row->name, first, n) != 0)
			continue;
		if (second ? row->name[n] == ' ' && !strcmp(row->name + n + 1, second)
			   : row->name[n] == '\0')
			return row;
	}
	return NULL;
}

/* "queue" is the first word of several commands. */
static bool is_family(const char *first)
{
	size_t n = strlen(first);

	for (const struct cli_command *row = cli_commands; row->name; row++) {
		if (!strncmp(row->name, first, n) && row->name[n] == ' ')
			return true;
	}
	return false;
}

static int unknown_command(struct cli *c, const char *first, const char *second)
{
	struct suggest s;
	char typed[80];

	(void)snprintf(typed, sizeof typed, "%s%s%s", first, second ? " " : "",
		       second ? second : "");
	suggest_begin(&s, span_str(typed));
	for (const struct cli_command *row = cli_commands; row->name; row++) {
		suggest_offer(&s, row->name);
		if (!second)
			suggest_offer(&s,
				      arena_str(&c->arena, span_first(span_str(row->name),
								      strcspn(row->name, " "))));
	}
	if (s.best)
		return cli_usage(c, "unknown command `%s`; did you mean `%s`?", typed, s.best);
	return cli_usage(c, "unknown command `%s`", typed);
}

static void help_family(const struct cli *c, const char *first, FILE *to)
{
	size_t n = strlen(first);

	(void)fprintf(to, "Usage: holdfast %s COMMAND [OPTIONS]\n\n", first);
	for (const struct cli_command *row = cli_commands; row->name; row++) {
		if (!strncmp(row->name, first, n) && row->name[n] == ' ')
			(void)fprintf(to, "  %-16s %s\n", row->name + n + 1, row->help);
	}
	(void)fprintf(to, "\n`holdfast %s COMMAND --help` says more; so does holdfast-%s(1).\n",
		      first, first);
	(void)c;
}

/* ---- options ---- */

struct parse {
	struct cli *c;
	char **argv;
	int argc, at;
	bool wants_help, wants_version, is_rest; /* rest: after "--" */
	int result;				 /* CLI_USAGE once something is wrong */
};

/* "--name=value" or "--name value". NULL: usage was printed. */
static const char *take_value(struct parse *p, const char *name, const char *inside)
{
	if (inside)
		return inside;
	if (p->at + 1 < p->argc)
		return p->argv[++p->at];
	p->result = cli_usage(p->c, "--%s needs a value", name);
	return NULL;
}

static bool is_named(const char *arg, const char *name, const char **out_inside)
{
	size_t n = strlen(name);

	if (strncmp(arg, name, n) != 0 || (arg[n] != '\0' && arg[n] != '='))
		return false;
	*out_inside = arg[n] == '=' ? arg + n + 1 : NULL;
	return true;
}

/* Options that stand before or after the command's name. */
static bool take_common(struct parse *p, const char *arg)
{
	const char *inside;

	if (is_named(arg, "config", &inside)) {
		const char *value = take_value(p, "config", inside);

		if (value)
			p->c->config_path = value;
		return true;
	}
	if (!strcmp(arg, "help")) {
		p->wants_help = true;
		return true;
	}
	if (!strcmp(arg, "version")) {
		p->wants_version = true;
		return true;
	}
	if (!strcmp(arg, "json") && (!p->c->command || p->c->command->has_json)) {
		p->c->is_json = true;
		return true;
	}
	return false;
}

static void unknown_option(struct parse *p, const char *arg)
{
	const struct cli_command *command = p->c->command;
	struct suggest s;

	suggest_begin(&s, span_first(span_str(arg), strcspn(arg, "=")));
	suggest_offer(&s, "config");
	suggest_offer(&s, "help");
	if (command && command->has_json)
		suggest_offer(&s, "json");
	for (const struct cli_option *o = command ? command->options : NULL; o && o->name; o++)
		suggest_offer(&s, o->name);
	if (s.best)
		p->result = cli_usage(p->c, "unknown option --%s; did you mean --%s?", arg, s.best);
	else
		p->result = cli_usage(p->c, "unknown option --%s", arg);
}

static void take_option(struct parse *p, const char *arg)
{
	const struct cli_command *command = p->c->command;

	if (take_common(p, arg))
		return;
	for (unsigned i = 0; command && command->options && command->options[i].name; i++) {
		const struct cli_option *o = &command->options[i];
		const char *inside;

		must(i < CLI_OPTIONS);
		if (!is_named(arg, o->name, &inside))
			continue;
		if (!o->value && inside)
			p->result = cli_usage(p->c, "--%s takes no value", o->name);
		else
			p->c->values[i] = o->value ? take_value(p, o->name, inside) : "";
		return;
	}
	unknown_option(p, arg);
}

static void take_word(struct parse *p, const char *word)
{
	if (p->c->words_n == CLI_WORDS || (p->c->command && p->c->words_n == p->c->command->most)) {
		p->result = cli_usage(p->c, "one word too many: `%s`", word);
		return;
	}
	p->c->words[p->c->words_n++] = word;
}

/* One argument. Before the command is known, words are left to the caller. */
static void take_one(struct parse *p)
{
	const char *arg = p->argv[p->at];

	if (!p->is_rest && !strcmp(arg, "--"))
		p->is_rest = true;
	else if (!p->is_rest && !strcmp(arg, "-h"))
		p->wants_help = true;
	else if (!p->is_rest && !strncmp(arg, "--", 2))
		take_option(p, arg + 2);
	else if (!p->is_rest && arg[0] == '-' && arg[1])
		p->result = cli_usage(p->c, "unknown option %s (options have two dashes)", arg);
	else
		take_word(p, arg);
}

/* The first words choose the command. True: go on with the rest. */
static bool take_name(struct parse *p)
{
	const char *first, *second = NULL;

	while (p->at < p->argc && p->argv[p->at][0] == '-' && p->result == CLI_FINE) {
		take_one(p);
		p->at++;
	}
	if (p->result != CLI_FINE)
		return false;
	if (p->at >= p->argc)
		return true; /* no command at all */
	first = p->argv[p->at++];
	if (is_family(first)) {
		while (p->at < p->argc && p->argv[p->at][0] == '-' && p->result == CLI_FINE) {
			take_one(p);
			p->at++;
		}
		if (p->at < p->argc)
			second = p->argv[p->at++];
		if (!second || p->result != CLI_FINE) {
			if (p->result == CLI_FINE)
				help_family(p->c, first, p->wants_help ? stdout : stderr);
			p->result = p->result != CLI_FINE ? p->result
				    : p->wants_help	  ? -1
							  : CLI_USAGE;
			return false;
		}
	}
	p->c->command = find_command(first, second);
	if (!p->c->command)
		p->result = unknown_command(p->c, first, second);
	return p->c->command != NULL;
}

static int parse_all(struct parse *p)
{
	struct cli *c = p->c;

	if (!take_name(p))
		return p->result;
	while (p->at < p->argc && p->result == CLI_FINE) {
		take_one(p);
		p->at++;
	}
	if (p->result != CLI_FINE)
		return p->result;
	if (p->wants_version) {
		(void)cmd_version(c);
		return -1;
	}
	if (p->wants_help) {
		cli_help(c, c->command, stdout);
		return -1;
	}
	if (!c->command) {
		cli_help(c, NULL, stderr);
		return CLI_USAGE;
	}
	if (c->is_json && !c->command->has_json)
		return cli_usage(c, "this command prints no data: --json is not for it");
	if (c->words_n < c->command->least)
		return cli_usage(c, "`%s` needs %s", c->command->name, c->command->args);
	return CLI_FINE;
}

int cli_main(int argc, char **argv)
{
	struct cli c = {.config_path = DEFAULT_CONFIG};
	struct parse p = {.c = &c, .argv = argv, .argc = argc, .at = 1};
	int result;

	arena_init(&c.arena, 0);
	term_init(&c.term);
	result = parse_all(&p);
	if (result == CLI_FINE)
		result = c.command->run(&c);
	else if (result < 0)
		result = CLI_FINE;
	arena_fini(&c.arena);
	/* A full disk or a closed pipe behind us is a no. */
	if (fflush(stdout) != 0 && result == CLI_FINE)
		result = CLI_NO;
	return result;
}

/* ---- help ---- */

static void help_all(FILE *to)
{
	(void)fputs(
		"Holdfast holds your mail while your mail server is down, and hands it back.\n\n"
		"Usage: holdfast COMMAND [OPTIONS]\n\n",
		to);
	for (const struct cli_command *row = cli_commands; row->name; row++)
		(void)fprintf(to, "  %-16s %s\n", row->name, row->help);
	(void)fputs("\n  --config FILE    the configuration (" DEFAULT_CONFIG ")\n"
		    "  --help           before or after a command\n"
		    "\nFirst steps: holdfast check-config, holdfast doctor, holdfast run. See also "
		    "holdfast(1).\n",
		    to);
}

/* Paragraphs are wrapped; lines that begin with blanks are left as they are. */
static void put_more(const struct cli *c, const char *more, FILE *to)
{
	struct span rest = span_str(more);
	struct buf text = {0};

	(void)fputc('\n', to);
	while (rest.n) {
		struct span line = span_cut(&rest, '\n');

		if (span_starts(line, SPAN_LIT("  ")))
			buf_printf(&text, "%.*s\n", SPAN_FMT(line));
		else
			term_wrap(&c->term, &text, line, 0);
	}
	(void)fputs(buf_cstr(&text), to);
	buf_fini(&text);
}

void cli_help(const struct cli *c, const struct cli_command *one, FILE *to)
{
	if (!one) {
		help_all(to);
		return;
	}
	(void)fprintf(to, "%s\n\nUsage: holdfast %s%s%s [OPTIONS]\n\n", one->help, one->name,
		      *one->args ? " " : "", one->args);
	for (const struct cli_option *o = one->options; o && o->name; o++) {
		char left[64];

		(void)snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "",
			       o->value ? o->value : "");
		(void)fprintf(to, "  %-20s %s\n", left, o->help);
	}
	if (one->has_json)
		(void)fputs("  --json               print one JSON object\n", to);
	(void)fputs("  --config FILE        the configuration (" DEFAULT_CONFIG ")\n", to);
	if (one->more)
		put_more(c, one->more, to);
}

/* ---- values ---- */

const char *cli_value(const struct cli *c, const char *option)
{
	for (unsigned i = 0; c->command->options && c->command->options[i].name; i++) {
		if (!strcmp(c->command->options[i].name, option))
			return c->values[i];
	}
	must_never("an option that the table does not have");
	return NULL;
}

bool cli_flag(const struct cli *c, const char *option)
{
	return cli_value(c, option) != NULL;
}

bool cli_duration(const struct cli *c, const char *option, uint64_t *out_ms)
{
	const char *given = cli_value(c, option);
	struct units_fault fault;

	if (!given || units_duration_ms(span_str(given), out_ms, &fault))
		return true;
	(void)cli_usage(c, "--%s %s %s%s%s", option, given, fault.why, *fault.hint ? "; " : "",
			fault.hint);
	return false;
}

bool cli_number(const struct cli *c, const char *option, uint64_t least, uint64_t most,
		uint64_t *out)
{
	const char *given = cli_value(c, option);
	uint64_t value;

	if (!given)
		return true;
	if (span_to_u64(span_str(given), most, &value) && value >= least) {
		*out = value;
		return true;
	}
	(void)cli_usage(c, "--%s is a number from %llu to %llu, not `%s`", option,
			(unsigned long long)least, (unsigned long long)most, given);
	return false;
}

bool cli_confirm(const struct cli *c, const char *question)
{
	char answer[16];

	if (cli_flag(c, "yes"))
		return true;
	if (!isatty(STDIN_FILENO)) {
		(void)cli_no(c, "%s There is no terminal to ask on: give --yes", question);
		return false;
	}
	(void)fprintf(stderr, "%s [y/N] ", question);
	if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return true;
	(void)fputs("Nothing was done.\n", stderr);
	return false;
}

/*
 * The command line: one table of commands (commands.c), one parser of options for all of them, and what every command
 * shares. Exit codes: 0 fine, 1 no (it did not work, or the answer is no), 2 usage.
 *
 *   V1  A command writes its data to stdout and everything else to stderr; with --json, stdout is one JSON object and nothing
 *       else, also when something is missing.
 *   V2  What changes something is either confirmed on a terminal or given --yes, and carries who did it and why.
 *   V3  Bytes of mail (subjects, replies of servers) never reach the terminal unescaped.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"
#include "cli/term.h"
#include "report/report.h"

struct msg_config;

enum { CLI_FINE = 0, CLI_NO = 1, CLI_USAGE = 2 };
enum { CLI_OPTIONS = 12, CLI_WORDS = 8 };

struct cli_option {
	const char *name;  /* "match" for --match */
	const char *value; /* "EXPR"; NULL: a flag */
	const char *help;
};

struct cli;
struct cli_command {
	const char *name;		  /* "queue list": one or two words */
	const char *args;		  /* "SITE|DOMAIN on|off|auto"; "" */
	const char *help;		  /* one line */
	unsigned least, most;		  /* positional words */
	const struct cli_option *options; /* ends with a NULL name; NULL: none of its own */
	bool has_json;
	int (*run)(struct cli *c);
	const char *more; /* paragraphs of --help; NULL */
};

struct cli {
	const struct cli_command *command;
	const char *config_path;
	bool is_json;
	const char *words[CLI_WORDS];
	unsigned words_n;
	const char *
		values[CLI_OPTIONS]; /* of command->options; NULL: not given; "": a flag that was */
	struct arena arena;
	struct term term;
};

extern const struct cli_command cli_commands[]; /* ends with a NULL name */

int cli_main(int argc, char **argv);

/* The value of an option of this command, NULL if it was not given. */
const char *cli_value(const struct cli *c, const char *option);
bool cli_flag(const struct cli *c, const char *option);
/* Prints "holdfast: ..." and how to get help, to stderr. Returns CLI_USAGE. */
int cli_usage(const struct cli *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* Prints "holdfast: ..." to stderr. Returns CLI_NO. */
int cli_no(const struct cli *c, const char *format, ...) PRINTF_LIKE(2, 3);
void cli_help(const struct cli *c, const struct cli_command *one, FILE *to);
/* --for and the like. False: a usage message was printed. Not given: *out stays. */
bool cli_duration(const struct cli *c, const char *option, uint64_t *out_ms);
/* --after and the like: a moment, or a span of time before now. As cli_duration. */
bool cli_moment(const struct cli *c, const char *option, uint64_t now_us, uint64_t *out_us);
bool cli_number(const struct cli *c, const char *option, uint64_t least, uint64_t most,
		uint64_t *out);

/* The configuration with everything checked, and what is wrong printed to stderr. */
bool cli_load(struct cli *c, struct msg_config *out);
/*
 * Only where the data is, and sites and domains if the configuration is good: a command that talks to a running system
 * must also work while someone has the file half edited. *out_data lives in the arena. False: printed.
 */
bool cli_find_data(struct cli *c, const char **out_data, struct msg_config *out,
		   bool *out_is_complete);

/* Prints one JSON object and a line end to stdout, and frees it. */
void cli_print_json(json_t *object);
/* Asks "... [y/N]" on the terminal, or looks for --yes. False: no (it was said why). */
bool cli_confirm(const struct cli *c, const char *question);

/* ---- the commands ---- */

int cmd_run(struct cli *c);
int cmd_check_config(struct cli *c);
int cmd_status(struct cli *c);
int cmd_history(struct cli *c);
int cmd_hold(struct cli *c);
int cmd_continuity(struct cli *c);
int cmd_timeline(struct cli *c);
int cmd_trace(struct cli *c);
int cmd_queue_list(struct cli *c);
int cmd_queue_show(struct cli *c);
int cmd_queue_home(struct cli *c);
int cmd_queue_act(struct cli *c); /* retry, release, discard, redirect */
int cmd_doctor(struct cli *c);
int cmd_autoconfig(struct cli *c);
int cmd_dkim_create(struct cli *c);
int cmd_dkim_list(struct cli *c);
int cmd_user_add(struct cli *c);
int cmd_user_passwd(struct cli *c);
int cmd_user_state(struct cli *c);
int cmd_user_name(struct cli *c);
int cmd_user_admin(struct cli *c);
int cmd_user_sessions(struct cli *c);
int cmd_user_passthrough(struct cli *c);
int cmd_user_alias(struct cli *c);
int cmd_user_unalias(struct cli *c);
int cmd_user_group(struct cli *c);
int cmd_user_invite(struct cli *c);
int cmd_user_app_password(struct cli *c);
int cmd_user_totp(struct cli *c);
int cmd_user_consent(struct cli *c);
int cmd_user_import(struct cli *c);
int cmd_user_list(struct cli *c);
int cmd_user_show(struct cli *c);
int cmd_site_password(struct cli *c);
int cmd_smarthost_password(struct cli *c);
int cmd_log_verify(struct cli *c);
int cmd_reload(struct cli *c);
int cmd_version(struct cli *c);
int cmd_help(struct cli *c);

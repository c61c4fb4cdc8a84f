/* The one table of commands. Man pages, completion and the tests of both are compared with it. */
#include "cli/cli.h"

#define END                                                                                        \
	{                                                                                          \
		NULL, NULL, NULL                                                                   \
	}

static const struct cli_option run_options[] = {
	{"roles", "FOLDER", "where the programs of the roles are"},
	END,
};
static const struct cli_option check_options[] = {
	{"quiet", NULL, "say nothing when all is well"},
	END,
};
static const struct cli_option hold_options[] = {
	{"for", "TIME", "how long, such as 2h; then auto again (24h)"},
	{"reason", "TEXT", "why, for the history"},
	END,
};
static const struct cli_option list_options[] = {
	{"match", "EXPR", "only these, see below"},
	{"limit", "N", "at most so many (50; with --json 1000)"},
	{"unsure", NULL, "instead: what may have arrived twice"},
	END,
};
static const struct cli_option act_options[] = {
	{"match", "EXPR", "all that match, see below"},
	{"reason", "TEXT", "why, for the history"},
	{"yes", NULL, "do not ask"},
	END,
};
static const struct cli_option redirect_options[] = {
	{"to", "WHERE", "HOST, HOST:PORT or a mail address"},
	{"match", "EXPR", "all that match, see below"},
	{"reason", "TEXT", "why, for the history"},
	{"yes", NULL, "do not ask"},
	END,
};
static const struct cli_option history_options[] = {
	{"last", "N", "the last so many (20)"},
	END,
};

static const struct cli_option doctor_options[] = {
	{"site", "NAME", "only this site"},
	{"sender", "ADDRESS", "of a domain with SPF -all (example.org)"},
	{"patience", "TIME", "how long to ask again after a 4xx (6s)"},
	{"server", "KIND", "print the lines for postfix, exim, exchange or m365"},
	END,
};

static const struct cli_option autoconfig_options[] = {
	{"format", "KIND", "thunderbird, outlook, apple or dns (thunderbird)"},
	{"host", "NAME", "the servers' name (the node)"},
	{"user", "ADDRESS", "for one person"},
	END,
};

#define MATCH_HELP                                                                                 \
	"EXPR is one or more of these, joined by commas; all of them must hold:\n"                 \
	"  site=NAME  domain=GLOB  rcpt=GLOB  sender=GLOB  id=HEX  text=WORDS\n"                   \
	"  state=held|ready|offered|deferred|decide\n"                                             \
	"  older=2h  newer=30m  larger=1MiB  smaller=64KiB\n"                                      \
	"For example: --match 'domain=example.com,older=2h'. See holdfast-queue(1).\n"

const struct cli_command cli_commands[] = {
	{.name = "run",
	 .args = "",
	 .help = "Run Holdfast until it is told to stop",
	 .options = run_options,
	 .run = cmd_run,
	 .more = "Stays in the foreground and logs to stderr. SIGTERM stops it in order, SIGHUP\n"
		 "reloads the configuration. Nothing starts unless all of it is good.\n"},
	{.name = "check-config",
	 .args = "",
	 .help = "Check the configuration and the files it names",
	 .options = check_options,
	 .has_json = true,
	 .run = cmd_check_config,
	 .more = "Changes nothing. Every mistake is printed with file, line, column and a "
		 "suggestion.\n"},
	{.name = "doctor",
	 .args = "",
	 .help = "Check this machine, the primaries and the DNS; say what to change",
	 .options = doctor_options,
	 .has_json = true,
	 .run = cmd_doctor,
	 .more = "Asks each primary how far a message would come, without sending one. Changes "
		 "nothing.\n"
		 "Exits 1 when something is bad.\n"},
	{.name = "status",
	 .args = "",
	 .help = "Show sites, held mail, hand-back and disk",
	 .has_json = true,
	 .run = cmd_status,
	 .more = "Works also when parts of Holdfast are down; then it says what is missing, and "
		 "exits 1.\n"},
	{.name = "history",
	 .args = "",
	 .help = "Show what was decided, by whom and why",
	 .options = history_options,
	 .has_json = true,
	 .run = cmd_history},
	{.name = "hold",
	 .args = "SITE|DOMAIN on|off|auto",
	 .help = "Hold mail by hand, stop holding, or decide by probes",
	 .least = 2,
	 .most = 2,
	 .options = hold_options,
	 .has_json = true,
	 .run = cmd_hold,
	 .more = "on: mail is kept here. off: mail is handed on whatever the probes say. auto: as "
		 "the probes "
		 "say. An order for a domain beats that of its site. on and off end by "
		 "themselves.\n"},
	{.name = "continuity",
	 .args = "SITE|DOMAIN on|off|auto",
	 .help = "Let people work here while their server is down",
	 .least = 2,
	 .most = 2,
	 .options = hold_options,
	 .has_json = true,
	 .run = cmd_continuity},
	{.name = "queue list",
	 .args = "",
	 .help = "List what is held, oldest first",
	 .options = list_options,
	 .has_json = true,
	 .run = cmd_queue_list,
	 .more = MATCH_HELP},
	{.name = "queue show",
	 .args = "ID",
	 .help = "Show one message, its recipients and every try",
	 .least = 1,
	 .most = 1,
	 .has_json = true,
	 .run = cmd_queue_show},
	{.name = "queue retry",
	 .args = "[ID]",
	 .help = "Try at once instead of waiting for the schedule",
	 .most = 1,
	 .options = act_options,
	 .has_json = true,
	 .run = cmd_queue_act,
	 .more = MATCH_HELP},
	{.name = "queue release",
	 .args = "[ID]",
	 .help = "Take off the decision list and offer again",
	 .most = 1,
	 .options = act_options,
	 .has_json = true,
	 .run = cmd_queue_act,
	 .more = MATCH_HELP},
	{.name = "queue discard",
	 .args = "[ID]",
	 .help = "Give up for good, without telling the sender",
	 .most = 1,
	 .options = act_options,
	 .has_json = true,
	 .run = cmd_queue_act,
	 .more = MATCH_HELP},
	{.name = "queue redirect",
	 .args = "[ID]",
	 .help = "Deliver to another host or address",
	 .most = 1,
	 .options = redirect_options,
	 .has_json = true,
	 .run = cmd_queue_act,
	 .more = MATCH_HELP},
	{.name = "autoconfig",
	 .args = "DOMAIN",
	 .help = "Print what tells people's mail programs our servers",
	 .least = 1,
	 .most = 1,
	 .options = autoconfig_options,
	 .has_json = true,
	 .run = cmd_autoconfig,
	 .more = "The file goes to stdout, and where to publish it to stderr.\n"},
	{.name = "log verify",
	 .args = "",
	 .help = "Read the whole ledger and check every byte",
	 .has_json = true,
	 .run = cmd_log_verify,
	 .more = "Reads only; Holdfast may run meanwhile. Exits 1 when there is a problem.\n"},
	{.name = "reload",
	 .args = "",
	 .help = "Load the configuration anew into a running system",
	 .has_json = true,
	 .run = cmd_reload,
	 .more = "A configuration with mistakes is not loaded; the running one stays.\n"},
	{.name = "version",
	 .args = "",
	 .help = "Print the version",
	 .has_json = true,
	 .run = cmd_version},
	{.name = "help",
	 .args = "[COMMAND]",
	 .help = "Explain a command",
	 .most = 2,
	 .run = cmd_help},
	{.name = NULL},
};

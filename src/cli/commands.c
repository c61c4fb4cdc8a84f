/* The one table of commands. Man pages, completion and the tests of both are compared with it. */
#include "cli/cli.h"

static const struct cli_option check_options[] = {
	{"quiet", NULL, "say nothing when all is well"},
	{NULL, NULL, NULL},
};

const struct cli_command cli_commands[] = {
	{.name = "check-config",
	 .args = "",
	 .help = "check the configuration and the files it names",
	 .options = check_options,
	 .has_json = true,
	 .run = cmd_check_config,
	 .more = "Changes nothing. Every mistake is printed with file, line, column and a "
		 "suggestion.\n"},
	{.name = "version",
	 .args = "",
	 .help = "print the version",
	 .has_json = true,
	 .run = cmd_version},
	{.name = "help",
	 .args = "[COMMAND]",
	 .help = "explain a command",
	 .most = 2,
	 .run = cmd_help},
	{.name = NULL},
};

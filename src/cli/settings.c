/* The configuration, as the commands need it; and JSON helpers. */
#include "cli/cli.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "ipc/msg.h"
#include "mail/address.h"

bool cli_load(struct cli *c, struct msg_config *out)
{
	struct config_problems problems;
	struct buf text = {0};
	enum rc rc = config_load(c->config_path, &c->arena, out, &problems);

	config_problems_print(&problems, &text);
	(void)fputs(buf_cstr(&text), stderr);
	buf_fini(&text);
	return rc == OK;
}

/* Says why there is nothing to look at, as JSON too if that was asked for. */
static bool cannot_find(const struct cli *c, const char *text)
{
	if (c->is_json)
		cli_print_json(json_pack("{s:b, s:o, s:[o]}", "ok", false, "text",
					 report_text(span_str(text)), "missing",
					 report_text(span_str(text))));
	return false;
}

bool cli_find_data(struct cli *c, const char **out_data, struct msg_config *out,
		   bool *out_is_complete)
{
	struct config_problems problems;
	struct buf text = {0};
	struct span data;

	*out_is_complete = config_peek(c->config_path, &c->arena, out, &data, &problems) == OK;
	if (!data.n) {
		config_problems_print(&problems, &text);
		(void)fputs(buf_cstr(&text), stderr);
		buf_fini(&text);
		return cannot_find(c, config_problems_first(&problems, &c->arena));
	}
	*out_data = arena_str(&c->arena, data);
	if (access(*out_data, X_OK) < 0 && errno == EACCES) {
		(void)cli_no(
			c,
			"you may not look into %s: run this as root, or as the user it belongs to",
			*out_data);
		return cannot_find(c, "the data directory may not be read by this user");
	}
	if (!*out_is_complete)
		(void)fprintf(stderr,
			      "holdfast: %s has mistakes (see `holdfast check-config`); a running "
			      "system keeps what it "
			      "has loaded\n",
			      c->config_path);
	return true;
}

void cli_print_json(json_t *object)
{
	/* On a terminal no byte of a mail is more than text: it has C1 controls and turned writing. */
	size_t ascii = isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0;

	(void)json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6) | ascii);
	(void)fputc('\n', stdout);
	json_decref(object);
}

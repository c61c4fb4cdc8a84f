/* run, version, help, check-config. */
#include "cli/cli.h"

#include "config/config.h"
#include "ipc/msg.h"
#include "super/super.h"
#include "tls/tls.h"

int cmd_run(struct cli *c)
{
	struct super_options options = {.config_path = c->config_path,
					.roles_dir = cli_value(c, "roles")};

	return super_run(&options) == 0 ? CLI_FINE : CLI_NO;
}

int cmd_version(struct cli *c)
{
	if (c->is_json)
		cli_print_json(json_pack("{s:s}", "version", HOLDFAST_VERSION));
	else
		(void)puts("holdfast " HOLDFAST_VERSION);
	return CLI_FINE;
}

/* `help queue list` is `queue list --help`. */
int cmd_help(struct cli *c)
{
	char help[] = "--help", program[] = "holdfast";
	char *argv[] = {program, NULL, NULL, NULL, NULL};
	int argc = 1;

	for (unsigned i = 0; i < c->words_n; i++)
		argv[argc++] = arena_str(&c->arena, span_str(c->words[i]));
	argv[argc++] = help;
	return cli_main(argc, argv);
}

static json_t *problems_json(const struct config_problems *problems)
{
	json_t *list = json_array();

	for (size_t i = 0; i < problems->n; i++) {
		const struct config_problem *p = &problems->item[i];

		json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:b, s:o, s:o}", "file",
						      p->file, "line", (int)p->line, "column",
						      (int)p->column, "warning", p->is_warning,
						      "text", report_text(span_str(p->text)),
						      "hint", report_text(span_str(p->hint))));
	}
	return list;
}

static void say_good(const struct cli *c, const struct msg_config *config)
{
	(void)printf("%s%s is good%s: %.*s with %zu site%s, %zu domain%s, %zu listener%s.\n",
		     term_on(&c->term, INK_GREEN), c->config_path, term_off(&c->term, INK_GREEN),
		     SPAN_FMT(config->node), config->sites_n, config->sites_n == 1 ? "" : "s",
		     config->domains_n, config->domains_n == 1 ? "" : "s", config->listen_n,
		     config->listen_n == 1 ? "" : "s");
}

static void say_bad(const struct config_problems *problems)
{
	(void)fprintf(
		stderr,
		"%zu mistake%s. Nothing was changed; a running system keeps what it has loaded.\n",
		problems->errors, problems->errors == 1 ? "" : "s");
}

static enum rc check_anchors(const struct msg_config *config, struct fault *why)
{
	enum rc rc = OK;

	for (size_t i = 0; i < config->sites_n && rc == OK; i++) {
		struct tls_context *tls = NULL;

		rc = tls_client_trusting(config->sites[i].tls_ca, &tls, why);
		if (rc != OK)
			fault_context(why, "tls_ca of the site %.*s",
				      SPAN_FMT(config->sites[i].name));
		tls_context_unref(tls);
	}
	return rc;
}

/*
 * Do certificate and key belong together, and is it not over? Can the anchors of the sites be read? Said now rather
 * than at the next start (O-08).
 */
static enum rc check_tls(struct cli *c, const struct msg_config *config,
			 struct config_problems *problems)
{
	struct tls_context *tls = NULL;
	struct fault why = {0};
	enum rc rc = check_anchors(config, &why);

	if (rc == OK && config->tls_certificate.n)
		rc = tls_server_new(arena_str(&c->arena, config->tls_certificate),
				    arena_str(&c->arena, config->tls_key), "smtp", &tls, &why);
	if (rc == OK && tls)
		rc = tls_context_is_current(tls, &why);
	tls_context_unref(tls);
	if (rc == OK)
		return OK;
	problems->errors++;
	if (problems->n < CONFIG_PROBLEMS)
		problems->item[problems->n++] =
			(struct config_problem){.file = c->config_path,
						.text = arena_str(&c->arena, span_str(why.text)),
						.hint = ""};
	return REFUSED;
}

int cmd_check_config(struct cli *c)
{
	struct config_problems problems;
	struct msg_config config = {0};
	struct buf text = {0};
	enum rc rc = config_load(c->config_path, &c->arena, &config, &problems);

	if (rc == OK)
		rc = check_tls(c, &config, &problems);
	if (c->is_json) {
		cli_print_json(json_pack("{s:b, s:i, s:o}", "ok", rc == OK, "errors",
					 (int)problems.errors, "problems",
					 problems_json(&problems)));
		return rc == OK ? CLI_FINE : CLI_NO;
	}
	config_problems_print(&problems, &text);
	(void)fputs(buf_cstr(&text), stderr);
	buf_fini(&text);
	if (rc != OK)
		say_bad(&problems);
	else if (!cli_flag(c, "quiet"))
		say_good(c, &config);
	return rc == OK ? CLI_FINE : CLI_NO;
}

/* hold, continuity, reload: short orders to watch, which records them before it acts. */
#include "cli/control.h"

#include "config/suggest.h"
#include "ipc/msg.h"

static const char *const hold_modes[] = {"on", "off", "auto", NULL};

static bool is_mode(const struct cli *c, const char *word)
{
	for (const char *const *m = hold_modes; *m; m++) {
		if (!strcmp(*m, word))
			return true;
	}
	(void)cli_usage(c, "the last word is on, off or auto, not `%s`", word);
	return false;
}

/* A site or domain of the configuration; watch has the last word, this is for the suggestion. */
static bool is_known_target(const struct cli *c, const struct msg_config *config,
			    const char *target)
{
	struct arena names = {0};
	struct suggest s;
	bool is_known = false;

	suggest_begin(&s, span_str(target));
	for (size_t i = 0; i < config->sites_n; i++) {
		suggest_offer(&s, arena_str(&names, config->sites[i].name));
		is_known |= span_eq(config->sites[i].name, span_str(target));
	}
	for (size_t i = 0; i < config->domains_n; i++) {
		suggest_offer(&s, arena_str(&names, config->domains[i].name));
		is_known |= span_eq_nocase(config->domains[i].name, span_str(target));
	}
	if (!is_known && s.best)
		(void)cli_no(c, "there is no site or domain `%s`; did you mean `%s`?", target,
			     s.best);
	else if (!is_known)
		(void)cli_no(c, "there is no site or domain `%s` in %s", target, c->config_path);
	arena_fini(&names);
	return is_known;
}

/* Prints what watch said: to stdout if it did it. */
static int say_answer(struct cli *c, const struct msg_control_answer *answer)
{
	if (c->is_json)
		cli_print_json(json_pack("{s:b, s:o, s:o}", "ok", answer->ok, "text",
					 report_text(answer->text), "act",
					 report_text(answer->act_id)));
	else if (answer->ok)
		(void)printf("%.*s\n", SPAN_FMT(answer->text));
	else
		(void)cli_no(c, "%.*s", SPAN_FMT(answer->text));
	return answer->ok ? CLI_FINE : CLI_NO;
}

struct order {
	const char *data, *target, *mode, *reason;
	uint64_t for_ms;
};

/* The common part of hold and continuity: words and options checked. CLI_FINE: go on. */
static int take_order(struct cli *c, struct order *o)
{
	struct msg_config config = {0};
	bool is_complete;

	*o = (struct order){.target = c->words[0], .mode = c->words[1]};
	if (!is_mode(c, o->mode) || !cli_duration(c, "for", &o->for_ms))
		return CLI_USAGE;
	if (!strcmp(o->mode, "auto") && cli_flag(c, "for"))
		return cli_usage(c, "auto needs no --for: it lasts until you say otherwise");
	o->reason = cli_value(c, "reason") ? cli_value(c, "reason") : "";
	if (!cli_find_data(c, &o->data, &config, &is_complete))
		return CLI_NO;
	if (is_complete && !is_known_target(c, &config, o->target))
		return CLI_NO;
	return CLI_FINE;
}

int cmd_hold(struct cli *c)
{
	struct order o;
	struct msg_control_answer answer;
	struct msg_hold_set set;
	struct buf body = {0};
	int result = take_order(c, &o);
	bool is_answered;

	if (result != CLI_FINE)
		return result;
	set = (struct msg_hold_set){.target = span_str(o.target),
				    .mode = span_str(o.mode),
				    .for_ms = o.for_ms,
				    .reason = span_str(o.reason)};
	msg_hold_set_encode(&body, &set);
	is_answered = control_do(c, o.data, MSG_HOLD_SET, buf_span(&body), 10000, &answer);
	buf_fini(&body);
	return is_answered ? say_answer(c, &answer) : CLI_NO;
}

int cmd_continuity(struct cli *c)
{
	struct order o;
	struct msg_control_answer answer;
	struct msg_continuity_set set;
	struct buf body = {0};
	int result = take_order(c, &o);
	bool is_answered;

	if (result != CLI_FINE)
		return result;
	set = (struct msg_continuity_set){.target = span_str(o.target),
					  .mode = span_str(o.mode),
					  .for_ms = o.for_ms,
					  .reason = span_str(o.reason)};
	msg_continuity_set_encode(&body, &set);
	is_answered = control_do(c, o.data, MSG_CONTINUITY_SET, buf_span(&body), 10000, &answer);
	buf_fini(&body);
	return is_answered ? say_answer(c, &answer) : CLI_NO;
}

/* O-01: looks at the file here first, where the mistakes can be shown; the supervisor checks it again. */
int cmd_reload(struct cli *c)
{
	struct msg_control_answer answer;
	struct msg_reload ask = {0};
	struct msg_config config = {0};
	struct buf body = {0};
	bool is_answered;

	if (!cli_load(c, &config)) {
		if (c->is_json)
			cli_print_json(json_pack("{s:b, s:s}", "ok", false, "text",
						 "the configuration has mistakes"));
		return cli_no(c, "nothing was loaded; the running system keeps its configuration");
	}
	msg_reload_encode(&body, &ask);
	is_answered = control_do(c, arena_str(&c->arena, config.data), MSG_RELOAD, buf_span(&body),
				 30000, &answer);
	buf_fini(&body);
	return is_answered ? say_answer(c, &answer) : CLI_NO;
}

/* holdfast history: every decision, by whom, and why, newest last. */
#include "cli/control.h"
#include "cli/queue.h"
#include "os/os.h"

struct telling {
	struct cli *c;
	uint64_t now_us;
	json_t *acts;
	struct buf out;
	uint64_t n;
};

static enum term_ink ink_of(const struct views_act *a)
{
	if (span_eq(a->argument, SPAN_LIT("down")) || span_eq(a->argument, SPAN_LIT("stopped")) ||
	    (a->is_judged && !a->ok))
		return INK_RED;
	if (span_eq(a->verb, SPAN_LIT("site.state")) && span_eq(a->argument, SPAN_LIT("up")))
		return INK_GREEN;
	return INK_BOLD;
}

/* "head-office is down", "hold on for head-office", "queue discard site=a". */
static void put_what(struct telling *t, const struct views_act *a, struct buf *line)
{
	struct term_text until;

	if (span_eq(a->verb, SPAN_LIT("site.state")))
		buf_printf(line, "%.*s is %.*s", SPAN_FMT(a->object), SPAN_FMT(a->argument));
	else if (span_eq(a->verb, SPAN_LIT("hold.set")))
		buf_printf(line, "hold %.*s for %.*s", SPAN_FMT(a->argument), SPAN_FMT(a->object));
	else if (span_eq(a->verb, SPAN_LIT("drain.receipt")))
		buf_printf(line, "receipt of %.*s", SPAN_FMT(a->object));
	else
		buf_printf(line, "%.*s %.*s%s%.*s", SPAN_FMT(a->verb), SPAN_FMT(a->object),
			   a->argument.n ? " " : "", SPAN_FMT(a->argument));
	if (a->until_us)
		buf_printf(line, " until %s", term_time(&until, a->until_us, t->now_us));
}

/* How sure watch was, where it judged; an operator is always sure. */
static void put_why(const struct views_act *a, struct buf *line)
{
	if (!span_eq(a->verb, SPAN_LIT("site.state")))
		;
	else if (a->class.n && a->confidence)
		buf_printf(line, "%.*s, %u %% sure: ", SPAN_FMT(a->class), a->confidence);
	else if (a->class.n)
		buf_printf(line, "%.*s: ", SPAN_FMT(a->class));
	buf_append(line, a->reason);
	if (a->result.n && !span_eq(a->result, a->reason))
		buf_printf(line, "%s%.*s", line->n ? "; " : "", SPAN_FMT(a->result));
}

/* "operator root (uid 0)" is "root" here; --json has it all. */
static struct span short_actor(struct span actor)
{
	struct span name = actor;

	if (!span_starts(name, SPAN_LIT("operator ")) || name.p[name.n - 1] != ')')
		return actor;
	name = span_from(name, 9);
	return span_chr(name, ' ') > 0 ? span_cut(&name, ' ') : actor;
}

static bool on_act(void *arg, const struct views_act *a)
{
	struct telling *t = arg;
	struct term_text time;
	struct buf line = {0};
	size_t room = t->c->term.width > 40 ? t->c->term.width - 17 : 23;

	t->n++;
	if (t->acts) {
		(void)json_array_append_new(t->acts, report_act(a));
		return true;
	}
	buf_printf(&t->out, "%-15s  %s", term_time(&time, a->at_us, t->now_us),
		   term_on(&t->c->term, ink_of(a)));
	put_what(t, a, &line);
	if (a->actor.n && !span_eq(a->actor, SPAN_LIT("watch")))
		buf_printf(&line, ", by %.*s", SPAN_FMT(short_actor(a->actor)));
	term_put(&t->out, buf_span(&line), room);
	buf_printf(&t->out, "%s\n", term_off(&t->c->term, ink_of(a)));
	buf_clear(&line);
	put_why(a, &line);
	if (line.n)
		term_wrap(&t->c->term, &t->out, buf_span(&line), 17);
	buf_fini(&line);
	return true;
}

/* ---- without the views ---- */

static struct span span_in(const json_t *o, const char *key)
{
	return span_str(json_string_value(json_object_get(o, key)));
}

static uint64_t number_in(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* Watch remembers its own last acts: all that there is when the views are away. Newest first, so turned round. */
static bool tell_from_watch(struct telling *t, const char *data, uint32_t last)
{
	struct msg_history_ask ask = {last};
	struct msg_status_answer answer;
	struct fault why = {0};
	struct buf body = {0};
	struct span bytes;
	json_t *root = NULL;
	const json_t *list;

	msg_history_ask_encode(&body, &ask);
	if (control_ask(t->c, data, MSG_HISTORY_ASK, buf_span(&body), MSG_STATUS_ANSWER, 5000,
			&bytes, &why) == OK &&
	    msg_status_answer_decode(&t->c->arena, bytes, &answer))
		root = json_loadb((const char *)answer.json.p, answer.json.n,
				  JSON_REJECT_DUPLICATES, NULL);
	buf_fini(&body);
	list = json_object_get(root, "history");
	for (size_t i = json_array_size(list); i > 0; i--) {
		const json_t *o = json_array_get(list, i - 1);
		struct views_act a = {.at_us = number_in(o, "at_us"),
				      .verb = span_in(o, "verb"),
				      .object = span_in(o, "object"),
				      .argument = span_in(o, "argument"),
				      .reason = span_in(o, "reason"),
				      .actor = span_in(o, "actor"),
				      .class = span_in(o, "class"),
				      .until_us = number_in(o, "until_us"),
				      .confidence = (uint32_t)number_in(o, "confidence")};

		(void)on_act(t, &a);
	}
	json_decref(root);
	return list != NULL;
}

/* OK; else why. has_views false: what was told is of watch alone. */
static enum rc tell(struct telling *t, const char *data, uint32_t last, bool *out_has_views,
		    struct fault *why)
{
	struct views *views = NULL;
	enum rc rc = views_open_read(data, &views, why);

	*out_has_views = rc == OK;
	if (rc == OK)
		rc = views_history(views, last, on_act, t, why);
	else if (tell_from_watch(t, data, last))
		rc = OK;
	views_close(views);
	return rc;
}

/* ---- with a filter ---- */

static bool has_filter(const struct cli *c)
{
	return cli_flag(c, "match") || cli_flag(c, "orders") || cli_flag(c, "after") ||
	       cli_flag(c, "before");
}

struct found {
	struct telling *t;
	struct buf *texts; /* newest first */
	size_t n;
};

static bool on_found(void *arg, const struct views_act *a)
{
	struct found *f = arg;

	(void)on_act(f->t, a);
	f->texts[f->n++] = f->t->out;
	f->t->out = (struct buf){0};
	return true;
}

static enum rc tell_text(struct telling *t, struct views *views, const struct views_audit_ask *ask,
			 struct fault *why)
{
	struct found f = {.t = t,
			  .texts = arena_array(&t->c->arena, ask->most + 1, sizeof *f.texts)};
	enum rc rc = views_audit(views, ask, on_found, &f, why);

	while (f.n > 0) {
		struct buf *text = &f.texts[--f.n];

		(void)fwrite(text->p, 1, text->n, stdout);
		buf_fini(text);
	}
	if (rc == OK && !t->n)
		(void)puts("Nothing of that kind was decided.");
	return rc;
}

static int history_filtered(struct telling *t, const char *data, uint64_t last)
{
	struct views_audit_ask ask = {.text = span_str(cli_value(t->c, "match")),
				      .is_people = cli_flag(t->c, "orders"),
				      .before = UINT64_MAX,
				      .most = (uint32_t)last};
	struct views *views = NULL;
	struct fault why = {0};
	json_t *root = NULL;
	enum rc rc;

	if (!cli_moment(t->c, "after", t->now_us, &ask.from_us) ||
	    !cli_moment(t->c, "before", t->now_us, &ask.to_us))
		return CLI_USAGE;
	rc = views_open_read(data, &views, &why);
	if (rc == OK && t->c->is_json)
		root = report_audit(views, &ask, &why);
	else if (rc == OK)
		rc = tell_text(t, views, &ask, &why);
	views_close(views);
	if (rc != OK || (t->c->is_json && !root))
		return queue_failed(t->c, &why);
	if (root)
		cli_print_json(root);
	return CLI_FINE;
}

int cmd_history(struct cli *c)
{
	struct telling t = {.c = c, .now_us = os_wall_us(os_real())};
	struct msg_config config = {0};
	struct fault why = {0};
	bool is_complete, has_views;
	uint64_t last = 20;
	const char *data;
	enum rc rc;

	if (!cli_number(c, "last", 1, 1000000, &last))
		return CLI_USAGE;
	if (!cli_find_data(c, &data, &config, &is_complete))
		return CLI_NO;
	if (has_filter(c))
		return history_filtered(&t, data, last);
	t.acts = c->is_json ? json_array() : NULL;
	rc = tell(&t, data, (uint32_t)last, &has_views, &why);
	if (rc != OK) {
		json_decref(t.acts);
		buf_fini(&t.out);
		return queue_failed(c, &why);
	}
	if (t.acts)
		cli_print_json(json_pack("{s:b, s:o}", "ok", has_views, "history", t.acts));
	else if (t.n == 0)
		(void)puts("Nothing has been decided yet.");
	(void)fwrite(t.out.p, 1, t.out.n, stdout);
	buf_fini(&t.out);
	if (!has_views)
		return cli_no(c, "%s; this is what the watch role itself did last", why.text);
	return CLI_FINE;
}

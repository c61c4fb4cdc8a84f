/*
 * queue retry, release, discard, redirect. The order goes to watch, which records it with who and why; the clerk judges
 * and applies it in the order of records; then the views tell what came of it.
 */
#include "cli/queue.h"

#include <time.h>

#include "cli/control.h"

enum { RESULT_WAIT_MS = 10000 };

struct verb {
	const char *name, *asks, *warns;
	bool asks_always; /* also for a single message */
};

static const struct verb verbs[] = {
	{"retry", "Try", "at once", false},
	{"release", "Offer", "again, also those on the decision list", false},
	{"discard", "Discard", "for good, without telling the sender", true},
	{"redirect", "Redirect", "to another place", true},
};

static const struct verb *verb_of(const struct cli *c)
{
	const char *name = strchr(c->command->name, ' ') + 1;
	const struct verb *v = verbs;

	while (strcmp(v->name, name) != 0)
		v++;
	return v;
}

/* What is acted on: the id, or the expression. CLI_FINE: go on. */
static int take_selection(struct cli *c, const char **out_text, struct queue_match *out)
{
	const char *match = cli_value(c, "match");

	if (match && c->words_n)
		return cli_usage(c, "give an id or --match, not both");
	if (!match && !c->words_n)
		return cli_usage(c, "say which: an id of `holdfast queue list`, or --match EXPR");
	*out_text = match ? match : c->words[0];
	return queue_parse_match(c, *out_text, out) ? CLI_FINE : CLI_USAGE;
}

/* Says how much it is about, and asks. False: printed. */
static bool is_confirmed(struct queue_ask *q, const struct verb *v, const char *text,
			 const struct queue_match *match)
{
	struct term_text n, size;
	struct fault why = {0};
	uint64_t count, bytes;
	char question[300];

	if (views_queue_count(q->views, match, q->now_us, &count, &bytes, &why) != OK) {
		(void)queue_failed(q->c, &why);
		return false;
	}
	if (count == 0) {
		fault_set(&why, "nothing that is held matches %s", text);
		(void)queue_failed(q->c, &why);
		return false;
	}
	if (!v->asks_always && match->flags == QUEUE_MATCH_ID)
		return true;
	(void)snprintf(question, sizeof question, "%s %s deliver%s (%s) %s?", v->asks,
		       term_count(&n, count), count == 1 ? "y" : "ies", term_size(&size, bytes),
		       v->warns);
	return cli_confirm(q->c, question);
}

struct outcome {
	bool is_ok;
	uint64_t count;
	char text[400];
};

static bool on_result(void *arg, const struct views_act *a)
{
	struct outcome *o = arg;

	o->is_ok = a->ok;
	o->count = a->count;
	(void)snprintf(o->text, sizeof o->text, "%.*s", SPAN_FMT(span_first(a->result, 390)));
	return true;
}

/* The clerk usually has it within milliseconds; beyond ten seconds it is said to be on its way. */
static enum rc wait_for_result(struct queue_ask *q, struct span act, struct outcome *out,
			       struct fault *why)
{
	static const struct timespec pause = {.tv_nsec = 20000000};
	enum rc rc = MORE;

	for (unsigned waited = 0; waited < RESULT_WAIT_MS && rc == MORE; waited += 20) {
		rc = views_act_result(q->views, act, on_result, out, why);
		if (rc == MORE)
			(void)nanosleep(&pause, NULL);
	}
	return rc;
}

static int say_outcome(struct cli *c, bool is_ok, uint64_t count, const char *text)
{
	if (c->is_json)
		cli_print_json(json_pack("{s:b, s:I, s:o}", "ok", is_ok, "count", (json_int_t)count,
					 "text", report_text(span_str(text))));
	else if (is_ok)
		(void)puts(text);
	else
		(void)cli_no(c, "%s", text);
	return is_ok ? CLI_FINE : CLI_NO;
}

static int act(struct queue_ask *q, const struct verb *v, const char *text)
{
	const char *to = !strcmp(v->name, "redirect") ? cli_value(q->c, "to") : NULL;
	const char *reason = cli_value(q->c, "reason");
	struct msg_queue_act order = {.verb = span_str(v->name),
				      .match = span_str(text),
				      .argument = span_str(to),
				      .reason = span_str(reason)};
	struct msg_control_answer answer;
	struct outcome outcome = {.text = ""};
	struct fault why = {0};
	struct buf body = {0};
	bool is_answered;
	enum rc rc;

	msg_queue_act_encode(&body, &order);
	is_answered = control_do(q->c, q->data, MSG_QUEUE_ACT, buf_span(&body), 10000, &answer);
	buf_fini(&body);
	if (!is_answered)
		return CLI_NO;
	if (!answer.ok || !answer.act_id.n)
		return say_outcome(q->c, answer.ok, 0, arena_str(&q->c->arena, answer.text));
	rc = wait_for_result(q, answer.act_id, &outcome, &why);
	if (rc == OK)
		return say_outcome(q->c, outcome.is_ok, outcome.count, outcome.text);
	if (rc == MORE)
		return say_outcome(q->c, true, 0,
				   "Recorded; the clerk has not applied it yet. `holdfast history` "
				   "will show it.");
	return queue_failed(q->c, &why);
}

int cmd_queue_act(struct cli *c)
{
	const struct verb *v = verb_of(c);
	struct queue_match match;
	struct queue_ask q;
	const char *text;
	int result = take_selection(c, &text, &match);

	if (result != CLI_FINE)
		return result;
	if (!strcmp(v->name, "redirect") && !cli_value(c, "to"))
		return cli_usage(c, "say where to: --to HOST, HOST:PORT or ADDRESS");
	if (!queue_begin(c, &q))
		return CLI_NO;
	result = is_confirmed(&q, v, text, &match) ? act(&q, v, text) : CLI_NO;
	views_close(q.views);
	return result;
}

/* holdfast log verify: reads the whole ledger, running or not, and ends with one sentence. */
#include "cli/cli.h"

#include <unistd.h>

#include "base/bytes.h"
#include "ipc/msg.h"
#include "ledger/ledger.h"
#include "os/os.h"

struct verifying {
	struct cli *c;
	json_t *problems;
	uint64_t began_us, shown_us;
	uint64_t n;
	bool has_progress; /* a line is on the terminal */
};

enum { SHOWN_PROBLEMS = 100 };

static void clear_progress(struct verifying *v)
{
	if (v->has_progress)
		(void)fputs("\r\033[K", stderr);
	v->has_progress = false;
}

static void on_problem(void *arg, const char *text)
{
	struct verifying *v = arg;

	if (++v->n > SHOWN_PROBLEMS)
		return;
	if (v->problems) {
		(void)json_array_append_new(v->problems, report_text(span_str(text)));
		return;
	}
	clear_progress(v);
	(void)printf("%s%s%s\n", term_on(&v->c->term, INK_RED), text,
		     term_off(&v->c->term, INK_RED));
}

static void on_progress(void *arg, uint64_t done, uint64_t all)
{
	struct verifying *v = arg;
	uint64_t now = os_mono_us(os_real());
	struct term_text a, b, left;

	if (v->problems || !isatty(STDERR_FILENO) || now < v->shown_us + 100000)
		return;
	v->shown_us = now;
	v->has_progress = true;
	(void)fprintf(stderr, "\rReading %s of %s", term_size(&a, done), term_size(&b, all));
	if (done && now > v->began_us + 2000000)
		(void)fprintf(
			stderr, ", %s left",
			term_span_of_time(&left, (uint64_t)((double)(now - v->began_us) *
							    (double)(all - done) / (double)done)));
	(void)fputs("\033[K", stderr);
}

static json_t *report_json(const struct ledger_report *r, json_t *problems)
{
	char root[2 * LEDGER_DIGEST_BYTES + 1];

	hex_encode(root, span_of(r->root, sizeof r->root));
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:o}", "ok",
			 r->problems == 0, "lanes", (json_int_t)r->lanes, "segments",
			 (json_int_t)r->segments, "records", (json_int_t)r->records, "messages",
			 (json_int_t)r->messages, "bytes", (json_int_t)r->bytes, "ordered",
			 (json_int_t)r->ordered, "cut_bytes", (json_int_t)r->cut_bytes, "root",
			 root, "problems_n", (json_int_t)r->problems, "problems", problems);
}

static void say_report(const struct cli *c, const struct ledger_report *r, uint64_t took_us)
{
	enum term_ink ink = r->problems ? INK_RED : INK_GREEN;
	struct term_text lanes, records, messages, bytes, took, problems, cut;
	char root[2 * LEDGER_DIGEST_BYTES + 1];

	hex_encode(root, span_of(r->root, sizeof r->root));
	(void)printf("Read %s lanes, %s records, %s messages, %s in %s.\n",
		     term_count(&lanes, r->lanes), term_count(&records, r->records),
		     term_count(&messages, r->messages), term_size(&bytes, r->bytes),
		     term_span_of_time(&took, took_us));
	if (r->cut_bytes)
		(void)printf("%s at the ends of lanes were never acknowledged and do not count.\n",
			     term_size(&cut, r->cut_bytes));
	(void)printf("%s entries in order, root %s\n", term_count(&records, r->ordered), root);
	if (r->problems)
		(void)printf("%sThe ledger has %s problem%s.%s\n", term_on(&c->term, ink),
			     term_count(&problems, r->problems), r->problems == 1 ? "" : "s",
			     term_off(&c->term, ink));
	else
		(void)printf("%sThe ledger is sound.%s\n", term_on(&c->term, ink),
			     term_off(&c->term, ink));
}

int cmd_log_verify(struct cli *c)
{
	struct verifying v = {.c = c, .began_us = os_mono_us(os_real())};
	struct ledger_report report = {0};
	struct msg_config config = {0};
	struct fault why = {0};
	const char *data;
	bool is_complete;
	char dir[200];
	enum rc rc;

	if (!cli_find_data(c, &data, &config, &is_complete))
		return CLI_NO;
	(void)snprintf(dir, sizeof dir, "%s/ledger", data);
	v.problems = c->is_json ? json_array() : NULL;
	rc = ledger_verify(os_real(), dir, on_problem, on_progress, &v, &report, &why);
	clear_progress(&v);
	if (rc != OK && rc != BROKEN) {
		json_decref(v.problems);
		if (c->is_json)
			cli_print_json(json_pack("{s:b, s:o}", "ok", false, "text",
						 report_text(span_str(why.text))));
		return cli_no(c, "the ledger cannot be read: %s", why.text);
	}
	if (rc == BROKEN && !report.problems)
		report.problems = 1;
	if (c->is_json)
		cli_print_json(report_json(&report, v.problems));
	else
		say_report(c, &report, os_mono_us(os_real()) - v.began_us);
	if (rc == BROKEN && why.text[0])
		(void)cli_no(c, "%s", why.text);
	return report.problems ? CLI_NO : CLI_FINE;
}

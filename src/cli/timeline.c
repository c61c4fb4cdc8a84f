/* holdfast timeline: what the probes of a site said, as watch remembers it. */
#include "cli/control.h"
#include "cli/queue.h"

#include "os/os.h"

enum { CELLS = 60 };

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static uint64_t number_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static json_t *fetch(struct cli *c, const char *data, uint64_t from_us, struct fault *why)
{
	struct msg_timeline_ask ask = {.site = span_str(c->words[0]), .from_us = from_us};
	struct msg_timeline_answer answer;
	struct buf body = {0};
	json_t *root = NULL;
	struct span bytes;

	msg_timeline_ask_encode(&body, &ask);
	if (control_ask(c, data, MSG_TIMELINE_ASK, buf_span(&body), MSG_TIMELINE_ANSWER, 5000,
			&bytes, why) == OK &&
	    msg_timeline_answer_decode(&c->arena, bytes, &answer))
		root = json_loadb((const char *)answer.json.p, answer.json.n,
				  JSON_REJECT_DUPLICATES, NULL);
	buf_fini(&body);
	return root;
}

/* One letter for a bucket: "." good, "-" some failed, "#" all failed, " " nothing. */
static char cell_of(const json_t *b)
{
	uint64_t probes = number_of(b, "probes"), failed = number_of(b, "failed");

	return !probes ? ' ' : !failed ? '.' : failed < probes ? '-' : '#';
}

static void put_cells(const json_t *buckets, uint64_t now_us, struct buf *out)
{
	size_t n = json_array_size(buckets);
	struct term_text time;

	for (size_t i = 0; i < n; i++) {
		const json_t *b = json_array_get(buckets, i);

		if (i % CELLS == 0)
			buf_printf(out, "%s%-15s  ", i ? "\n" : "",
				   term_time(&time, number_of(b, "at_us"), now_us));
		buf_append_byte(out, (unsigned char)cell_of(b));
	}
	buf_printf(out, "%s. good   - some probes failed   # all failed (a sign a minute)\n",
		   n ? "\n" : "");
}

static void put_marks(const struct cli *c, const json_t *marks, uint64_t now_us, struct buf *out)
{
	struct term_text time;
	const json_t *m;
	size_t i;

	json_array_foreach(marks, i, m)
	{
		struct buf line = {0};

		buf_printf(&line, "%s  %s %s", term_time(&time, number_of(m, "at_us"), now_us),
			   text_of(m, "verb"), text_of(m, "argument"));
		if (*text_of(m, "reason"))
			buf_printf(&line, ": %s", text_of(m, "reason"));
		term_wrap(&c->term, out, buf_span(&line), 0);
		buf_fini(&line);
	}
}

static int tell(struct cli *c, json_t *root, uint64_t now_us)
{
	bool ok = json_is_true(json_object_get(root, "ok"));
	struct buf out = {0};

	if (c->is_json) {
		cli_print_json(root);
		return ok ? CLI_FINE : CLI_NO;
	}
	if (!ok) {
		int result = cli_no(c, "%s", text_of(root, "text"));

		json_decref(root);
		return result;
	}
	put_cells(json_object_get(root, "buckets"), now_us, &out);
	put_marks(c, json_object_get(root, "marks"), now_us, &out);
	(void)fwrite(out.p, 1, out.n, stdout);
	buf_fini(&out);
	json_decref(root);
	return CLI_FINE;
}

int cmd_timeline(struct cli *c)
{
	uint64_t now_us = os_wall_us(os_real()), from_us = 0;
	struct msg_config config = {0};
	struct fault why = {0};
	bool is_complete;
	const char *data;
	json_t *root;

	if (!cli_moment(c, "after", now_us, &from_us))
		return CLI_USAGE;
	if (!cli_find_data(c, &data, &config, &is_complete))
		return CLI_NO;
	root = fetch(c, data, from_us, &why);
	if (!root && !why.text[0])
		fault_set(&why, "the watch role gave an answer that makes no sense");
	return root ? tell(c, root, now_us) : queue_failed(c, &why);
}

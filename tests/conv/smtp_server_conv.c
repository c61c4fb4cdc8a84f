/*
 * Runs one script of a dialogue with the server engine, in every way of cutting the client's bytes
 * (all at once, 1, 2, 3, 7, 64 and 1000 at a time) and with questions answered at once or later.
 * Lines of a script:
 *
 *   # comment option NAME VALUE message, recipients, errors, idle, tls, full, auth: before the first line
 *   of the client S: PATTERN the server's next line; * stands for anything C: TEXT a line of the
 *   client; CR LF is added. Escapes: \r \n \t \0 \\ \xHH C! TEXT the same without CR LF C^ COUNT
 *   CHAR the character so many times, no CR LF wait SECONDS | tls | wind-down closed | open how the
 *   session stands at the end M: ENVELOPE the next stored message: "<sender> <rcpt> ..." B: TEXT
 *   and its body, with escapes
 *
 * Messages are compared at the end; no M: line means that nothing may have been stored.
 */
#include "dialogue.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/must.h"

enum { LINE_LIMIT = 8192 };

struct run {
	const char *path;
	unsigned line_no;
	struct dialogue d;
	bool has_begun;
	struct dialogue_options options;
	struct buf expected; /* patterns, each with LF */
	struct buf messages; /* expected: "M: ...\nB: ...\n" as written */
	const char *end;
};

static void unescape(struct buf *out, const char *text)
{
	static const char from[] = "rnt0\\", to[] = "\r\n\t\0\\";

	for (; *text; text++) {
		const char *at;

		if (*text != '\\') {
			buf_append_byte(out, (unsigned char)*text);
		} else if (text[1] == 'x') {
			buf_append_byte(out,
					(unsigned char)(ascii_hex((unsigned char)text[2]) * 16 +
							ascii_hex((unsigned char)text[3])));
			text += 3;
		} else {
			text++;
			at = strchr(from, *text);
			must(*text && at);
			buf_append_byte(out, (unsigned char)to[at - from]);
		}
	}
}

static struct smtp_service with_auth(struct smtp_service s, bool in_clear)
{
	s.auth = SPAN_LIT("PLAIN LOGIN");
	s.auth_in_clear = in_clear;
	s.needs_auth = true;
	return s;
}

static void set_option(struct run *r, const char *text)
{
	char name[32];
	unsigned value;

	must(sscanf(text, "%31s %u", name, &value) == 2);
	if (strcmp(name, "message") == 0)
		r->options.service.limits.message_bytes = value;
	else if (strcmp(name, "recipients") == 0)
		r->options.service.limits.recipients = value;
	else if (strcmp(name, "errors") == 0)
		r->options.service.limits.errors = value;
	else if (strcmp(name, "idle") == 0)
		r->options.service.limits.idle_commands = value;
	else if (strcmp(name, "tls") == 0)
		r->options.service.has_tls = value != 0;
	else if (strcmp(name, "auth") ==
		 0) /* 1: after TLS; 2: in clear text too. Both: no MAIL before */
		r->options.service = with_auth(r->options.service, value == 2);
	else if (strcmp(name, "full") == 0)
		r->options.is_full = value != 0;
	else
		must_never("option not known");
}

static void begin(struct run *r)
{
	if (!r->has_begun)
		dialogue_begin(&r->d, &r->options);
	r->has_begun = true;
}

struct gather {
	struct buf bytes;
};

static void flush(struct run *r, struct gather *g)
{
	if (g->bytes.n) {
		begin(r);
		dialogue_feed(&r->d, buf_span(&g->bytes));
	}
	buf_clear(&g->bytes);
}

static void repeat(struct gather *g, const char *text)
{
	unsigned count;
	char c;

	must(sscanf(text, "%u %c", &count, &c) == 2);
	while (count--)
		buf_append_byte(&g->bytes, (unsigned char)c);
}

static void run_line(struct run *r, struct gather *g, char *line)
{
	unsigned seconds;

	line[strcspn(line, "\n")] = '\0';
	if (line[0] == '#' || line[0] == '\0')
		return;
	if (strncmp(line, "option ", 7) == 0) {
		must(!r->has_begun);
		set_option(r, line + 7);
	} else if (strncmp(line, "S: ", 3) == 0) {
		buf_printf(&r->expected, "%s\n", line + 3);
	} else if (strncmp(line, "C: ", 3) == 0 || strcmp(line, "C:") == 0) {
		unescape(&g->bytes, line[2] ? line + 3 : "");
		buf_append(&g->bytes, SPAN_LIT("\r\n"));
	} else if (strncmp(line, "C! ", 3) == 0) {
		unescape(&g->bytes, line + 3);
	} else if (strncmp(line, "C^ ", 3) == 0) {
		repeat(g, line + 3);
	} else if (sscanf(line, "wait %u", &seconds) == 1) {
		flush(r, g);
		begin(r);
		dialogue_wait(&r->d, seconds * 1000000ull);
	} else if (strcmp(line, "tls") == 0) {
		flush(r, g);
		dialogue_secure(&r->d);
	} else if (strcmp(line, "wind-down") == 0) {
		flush(r, g);
		dialogue_wind_down(&r->d);
	} else if (strcmp(line, "closed") == 0 || strcmp(line, "open") == 0) {
		r->end = line[0] == 'c' ? "closed" : "open";
	} else if (strncmp(line, "M: ", 3) == 0 || strncmp(line, "B: ", 3) == 0) {
		buf_printf(&r->messages, "%s\n", line);
	} else {
		(void)fprintf(stderr, "%s:%u: line not understood: %s\n", r->path, r->line_no,
			      line);
		exit(2);
	}
}

static int wrong(const struct run *r, const char *what, struct span expected, struct span got)
{
	(void)printf("%s (pieces of %zu, %s): %s\n  expected: %.*s\n  got:      %.*s\n", r->path,
		     r->options.step, r->options.is_async ? "answers later" : "answers at once",
		     what, SPAN_FMT(expected), SPAN_FMT(got));
	return 1;
}

static int compare_said(struct run *r)
{
	struct span expected = buf_span(&r->expected), said = buf_span(&r->d.said);

	while (expected.n || said.n) {
		struct span pattern = span_cut(&expected, '\n'), line = span_cut(&said, '\n');
		char p[LINE_LIMIT], l[LINE_LIMIT];

		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		(void)snprintf(p, sizeof p, "%.*s", SPAN_FMT(pattern));
		(void)snprintf(l, sizeof l, "%.*s", SPAN_FMT(line));
		if (fnmatch(p, l, 0) != 0)
			return wrong(r, "the server said something else", pattern, line);
	}
	return 0;
}

static int compare_messages(struct run *r)
{
	struct span expected = buf_span(&r->messages);
	struct buf want = {0};
	size_t i = 0;
	int bad = 0;

	for (; !bad && expected.n; i++) {
		struct span envelope = span_from(span_cut(&expected, '\n'), 3), body;
		char text[LINE_LIMIT];

		buf_clear(&want);
		while (span_starts(expected, SPAN_LIT("B: "))) {
			body = span_from(span_cut(&expected, '\n'), 3);
			(void)snprintf(text, sizeof text, "%.*s", SPAN_FMT(body));
			unescape(&want, text);
		}
		if (i >= r->d.messages_n)
			bad = wrong(r, "a message is missing", envelope, SPAN_NONE);
		else if (!span_eq(buf_span(&r->d.messages[i].envelope), envelope))
			bad = wrong(r, "another envelope", envelope,
				    buf_span(&r->d.messages[i].envelope));
		else if (!span_eq(buf_span(&r->d.messages[i].body), buf_span(&want)))
			bad = wrong(r, "another body", buf_span(&want),
				    buf_span(&r->d.messages[i].body));
	}
	if (!bad && i < r->d.messages_n)
		bad = wrong(r, "a message too many", SPAN_NONE,
			    buf_span(&r->d.messages[i].envelope));
	buf_fini(&want);
	return bad;
}

static int run_script(const char *path, size_t step, bool is_async)
{
	struct run r = {.path = path, .options = dialogue_defaults()};
	struct gather g = {0};
	FILE *f = fopen(path, "r");
	char line[LINE_LIMIT];
	int bad;

	if (!f) {
		perror(path);
		return 2;
	}
	r.options.step = step;
	r.options.is_async = is_async;
	while (fgets(line, sizeof line, f)) {
		r.line_no++;
		run_line(&r, &g, line);
	}
	(void)fclose(f);
	begin(&r);
	flush(&r, &g);
	bad = compare_said(&r) || compare_messages(&r);
	if (!bad && r.end && (strcmp(r.end, "closed") == 0) != r.d.is_closed)
		bad = wrong(&r, "the session's end", span_str(r.end), SPAN_NONE);
	dialogue_end(&r.d);
	buf_fini(&g.bytes);
	buf_fini(&r.expected);
	buf_fini(&r.messages);
	return bad;
}

int main(int argc, char **argv)
{
	static const size_t steps[] = {0, 1, 2, 3, 7, 64, 1000};

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s SCRIPT\n", argv[0]);
		return 2;
	}
	for (size_t i = 0; i < 2 * sizeof steps / sizeof *steps; i++) {
		if (run_script(argv[1], steps[i / 2], i % 2) != 0)
			return 1;
	}
	return 0;
}

/*
 * What roles write to stderr: passed on line by line to ours, and the last of it kept. A role's words are a stranger's
 * (U4): control bytes are masked, and a line that does not begin as this role's own say() lines do is passed on as a
 * value, so that a broken-in role cannot speak in another's name.
 */
#include "super/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/must.h"
#include "say/say.h"

enum { LINE_BYTES = 3000, READS_PER_TURN = 8 };

/* "2026-11-21T21:10:22.123456Z edge-0 ..." */
static bool is_own_line(const struct child *c, struct span line)
{
	struct span rest = line, stamp = span_cut(&rest, ' '), name = span_cut(&rest, ' ');

	return stamp.n == 27 && stamp.p[26] == 'Z' && span_eq(name, span_str(c->full_name));
}

static void pass_on(struct child *c, struct buf *line)
{
	ssize_t put;

	for (size_t i = 0; i < line->n; i++) {
		if (line->p[i] < ' ' || line->p[i] == 127)
			line->p[i] = ' ';
	}
	if (!is_own_line(c, buf_span(line))) {
		(void)snprintf(c->last_line, sizeof c->last_line, "%.*s", SPAN_FMT(buf_span(line)));
		say(SAY_WARNING, "role.said", "role", SAY_STR(c->full_name), "text",
		    SAY_SPAN(buf_span(line)), NULL);
		return;
	}
	/* What comes after the stamp and the name: level, event, values. */
	(void)snprintf(c->last_line, sizeof c->last_line, "%.*s",
		       SPAN_FMT(span_from(buf_span(line), 28 + strlen(c->full_name) + 1)));
	(void)buf_append_byte(line, '\n');
	put = write(STDERR_FILENO, line->p,
		    line->n); /* full or gone: mail matters more than the log */
	(void)put;
}

static void take(struct child *c, struct span bytes)
{
	while (bytes.n > 0) {
		ssize_t end = span_chr(bytes, '\n');
		struct span part = end < 0 ? bytes : span_first(bytes, (size_t)end);

		if (c->line.n + part.n > LINE_BYTES)
			part = span_first(part, LINE_BYTES - c->line.n);
		buf_append(&c->line, part);
		if (end < 0 && c->line.n < LINE_BYTES)
			return;
		if (c->line.n > 0)
			pass_on(c, &c->line);
		buf_clear(&c->line);
		bytes = span_from(bytes, part.n + (end >= 0 && (size_t)end == part.n));
	}
}

/* False: nothing more will come. */
static bool read_some(struct child *c)
{
	unsigned char bytes[4096];

	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = read(c->said_fd, bytes, sizeof bytes);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		take(c, span_of(bytes, (size_t)n));
	}
	return true;
}

static void on_said(void *arg, unsigned flags)
{
	struct child *c = arg;

	(void)flags;
	if (!read_some(c))
		super_words_close(c);
}

void super_words_open(struct child *c, int fd)
{
	must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	c->said_fd = fd;
	c->said = loop_fd_new(c->super->loop, fd, on_said, c);
	loop_fd_want(c->said, LOOP_READ);
}

void super_words_close(struct child *c)
{
	if (c->said_fd < 0)
		return;
	(void)read_some(c);
	if (c->line.n > 0)
		pass_on(c, &c->line);
	loop_fd_free(c->said);
	(void)close(c->said_fd);
	buf_fini(&c->line);
	c->said = NULL;
	c->said_fd = -1;
}

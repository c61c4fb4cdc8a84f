/* Replies: one buffer for a whole pipelined group, so that one send answers it (RFC 2920 s3.2). */
#include "smtp/server_internal.h"

#include "base/ascii.h"
#include "base/must.h"

static void put_code(struct smtp_server *s, unsigned code, bool is_last)
{
	unsigned char head[4];

	head[0] = (unsigned char)('0' + code / 100 % 10);
	head[1] = (unsigned char)('0' + code / 10 % 10);
	head[2] = (unsigned char)('0' + code % 10);
	head[3] = is_last ? ' ' : '-';
	(void)buf_append(&s->out, span_of(head, sizeof head));
}

void server_line(struct smtp_server *s, struct span line, bool is_last, unsigned code)
{
	put_code(s, code, is_last);
	(void)buf_append(&s->out, line);
	(void)buf_append(&s->out, SPAN_LIT("\r\n"));
}

/* Text of the host: what a peer had a hand in must not make a line of its own. */
static void put_text(struct smtp_server *s, struct span text)
{
	enum { TEXT_LIMIT = 400 }; /* a reply line has at most 512 bytes: RFC 5321 s4.5.3.1.5 */
	size_t from = s->out.n;

	if (!buf_append(&s->out, span_first(text, TEXT_LIMIT)))
		return;
	for (size_t i = from; i < s->out.n; i++) {
		if (s->out.p[i] != ' ' && !ascii_is_graph(s->out.p[i]))
			s->out.p[i] = '?';
	}
}

static void too_many_errors(struct smtp_server *s)
{
	server_reply(s, 421, "4.7.0", "Too many errors in this session; closing it");
}

void server_reply_span(struct smtp_server *s, const struct smtp_reply *reply)
{
	if (s->state == ST_GONE)
		return;
	put_code(s, reply->code, true);
	if (reply->enhanced) {
		(void)buf_append(&s->out, span_str(reply->enhanced));
		(void)buf_append(&s->out, SPAN_LIT(" "));
	}
	put_text(s, reply->text);
	(void)buf_append(&s->out, SPAN_LIT("\r\n"));
	if (reply->code == 421 || reply->code == 521)
		server_move(s, ST_GONE);
	else if (reply->code >= 500 && ++s->errors >= s->service->limits.errors)
		too_many_errors(s);
	server_arm(s, s->service->limits.command_us);
}

void server_reply(struct smtp_server *s, unsigned code, const char *enhanced, const char *text)
{
	struct smtp_reply reply = {code, enhanced, span_str(text)};

	server_reply_span(s, &reply);
}

void server_count_idle(struct smtp_server *s)
{
	if (s->state == ST_GONE || ++s->idle_commands <= s->service->limits.idle_commands)
		return;
	if (++s->errors >= s->service->limits.errors)
		too_many_errors(s);
}

struct span smtp_server_output(const struct smtp_server *s)
{
	return buf_span(&s->out);
}

void smtp_server_sent(struct smtp_server *s)
{
	buf_clear(&s->out);
}

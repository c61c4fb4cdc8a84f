/*
 * The body on its way out (RFC 5321 s4.5.2): whole stretches go to the sink as they are; only dots
 * at the start of a line are doubled. A dot after a bare CR or LF is doubled too: no such body is
 * ever stored, and if one were, the receiver that takes it for a line end must not see the end of
 * the message there.
 */
#include "smtp/client_internal.h"

#include "base/must.h"

static void emit(struct smtp_client *c, struct span bytes)
{
	if (bytes.n)
		c->options.on_output(c->options.arg, bytes);
}

static void remember_end(struct smtp_client *c, struct span piece)
{
	if (piece.n >= 2)
		c->last[0] = piece.p[piece.n - 2];
	else
		c->last[0] = c->last[1];
	c->last[1] = piece.p[piece.n - 1];
}

void smtp_client_body(struct smtp_client *c, struct span piece)
{
	struct span rest = piece;
	size_t from = 0; /* where to look for the next dot in rest */

	if (c->state != STATE_BODY || !piece.n)
		return; /* an early reply ended it */
	while (from < rest.n) {
		const unsigned char *dot = memchr(rest.p + from, '.', rest.n - from);
		unsigned char before;

		if (!dot)
			break;
		before = dot == piece.p ? c->last[1] : dot[-1];
		from = (size_t)(dot - rest.p);
		if (before != '\n' && before != '\r') {
			from++;
			continue;
		}
		emit(c, span_first(rest, from + 1));
		rest = span_from(rest, from); /* the same dot again */
		from = 1;
	}
	emit(c, rest);
	remember_end(c, piece);
}

void smtp_client_body_end(struct smtp_client *c)
{
	if (c->state != STATE_BODY)
		return;
	if (c->last[0] != '\r' || c->last[1] != '\n')
		emit(c, SPAN_LIT("\r\n"));
	must(c->taken > 0);
	smtp_talk_enter(c, STATE_PERMIT);
}

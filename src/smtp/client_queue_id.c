/*
 * What the peer calls the message, found in the text of its 250:
 *
 *   Postfix   Ok: queued as 4FxYz3...            Exim      OK id=1qXyZ-0001Ab-2C
 *   sendmail  38LAbcde012345 Message accepted    Exchange  <id@host> [InternalId=123, Hostname=...]
 * Queued mail for delivery qmail     ok 1700000000 qp 12345             OpenSMTPD 3f8a1c2e Message
 * accepted for delivery Gmail     OK 1700000000 a1-20020abc - gsmtp
 */
#include "base/ascii.h"
#include "smtp/client.h"

static bool is_id_byte(unsigned char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '@' || c == '+' ||
	       c == '/';
}

static struct span word_at(struct span s)
{
	size_t n = 0;

	while (n < s.n && n < 120 && is_id_byte(s.p[n]))
		n++;
	while (n && s.p[n - 1] == '.')
		n--;
	return span_first(s, n);
}

/* The word behind the first place where mark stands, without regard to case; empty if it does not.
 */
static struct span word_behind(struct span s, const char *mark)
{
	struct span m = span_str(mark);

	for (size_t i = 0; i + m.n <= s.n; i++) {
		if (span_starts_nocase(span_from(s, i), m) &&
		    (i == 0 || !ascii_is_alnum(s.p[i - 1])))
			return word_at(span_from(s, i + m.n));
	}
	return SPAN_NONE;
}

static bool has_digit(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (ascii_is_digit(s.p[i]))
			return true;
	}
	return false;
}

struct span smtp_queue_id_of(struct span reply_text)
{
	static const char *const marks[] = {"queued as ", "InternalId=", "id=", "queue id ", "qp "};
	struct span rest = reply_text, first;

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		struct span id = word_behind(reply_text, marks[i]);

		if (has_digit(id))
			return id;
	}
	first = span_cut(&rest, ' ');
	if (span_eq_nocase(first, SPAN_LIT("ok")) || span_eq_nocase(first, SPAN_LIT("ok:")))
		first = span_cut(&rest, ' ');
	if (has_digit(first) && first.n >= 8 && word_at(first).n == first.n)
		return first;
	return SPAN_NONE;
}

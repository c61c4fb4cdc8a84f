/*
 * Is what the primary has the message we mean? A Message-ID alone never says so: programs reuse them, and people send the
 * same one twice. What we handed back carries our own id of 128 bits in its Received field. What the primary had before
 * us, and what is looked for before an APPEND, is compared: Message-ID, Date, and then byte for byte.
 */
#include "role/courier/home.h"

/* The next field of a header section, its value with the folds in it. */
static bool next_field(struct span *rest, struct span *out_name, struct span *out_value)
{
	while (rest->n) {
		struct span field = *rest;
		size_t n = 0;
		ssize_t colon;

		do {
			ssize_t end = span_chr(span_from(field, n), '\n');

			n = end < 0 ? field.n : n + (size_t)end + 1;
		} while (n < field.n && (field.p[n] == ' ' || field.p[n] == '\t'));
		*rest = span_from(field, n);
		field = span_first(field, n);
		colon = span_chr(field, ':');
		if (colon <= 0)
			continue;
		*out_name = span_trim(span_first(field, (size_t)colon));
		*out_value = span_trim(span_from(field, (size_t)colon + 1));
		return true;
	}
	return false;
}

static bool holds(struct span text, struct span word)
{
	for (size_t i = 0; word.n && i + word.n <= text.n; i++) {
		if (memcmp(text.p + i, word.p, word.n) == 0)
			return true;
	}
	return false;
}

/* Equal but for white space: folds and what a server makes of them. want may be cut off. */
static bool same_text(struct span have, struct span want)
{
	size_t i = 0, k = 0;

	for (;;) {
		while (i < have.n && have.p[i] <= ' ')
			i++;
		while (k < want.n && want.p[k] <= ' ')
			k++;
		if (k == want.n)
			return true;
		if (i == have.n || have.p[i++] != want.p[k++])
			return false;
	}
}

enum home_match home_match(const struct msg_home_item *item, struct span header, uint64_t size)
{
	bool has_id = false, has_date = false, is_ours = false;
	struct span name, value;

	while (next_field(&header, &name, &value)) {
		if (span_eq_nocase(name, SPAN_LIT("Message-ID")))
			has_id |= span_eq(value, span_trim(item->message_id));
		else if (span_eq_nocase(name, SPAN_LIT("Date")))
			has_date |= same_text(value, item->date);
		else if (span_eq_nocase(name, SPAN_LIT("Received")))
			is_ours |= item->id.n == 32 && holds(value, item->id);
	}
	if (item->message_id.n && !has_id)
		return HOME_MATCH_NO;
	if (is_ours)
		return HOME_MATCH_YES;
	if ((item->date.n && !has_date) || (!item->message_id.n && !item->date.n))
		return HOME_MATCH_NO;
	/* The person's own program saved what it sent: its copy need not be ours byte for byte. */
	if (item->action == HOME_APPEND && item->to_special == MAIL_SENT && item->message_id.n &&
	    item->date.n)
		return HOME_MATCH_YES;
	return size >= item->bytes ? HOME_MATCH_MAYBE : HOME_MATCH_NO;
}

static bool can_be_searched(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 32 || s.p[i] > 126)
			return false;
	}
	return s.n > 0 && s.n <= 900;
}

bool home_search_key(const struct msg_home_item *item, struct span *out_field,
		     struct span *out_text)
{
	struct span id = span_trim(item->message_id), date = span_trim(item->date);

	if (can_be_searched(id)) {
		*out_field = SPAN_LIT("Message-ID");
		*out_text = id;
	} else if (item->action == HOME_CHANGE && item->origin != 2 && item->id.n == 32) {
		*out_field = SPAN_LIT("Received");
		*out_text = item->id;
	} else if (can_be_searched(date)) {
		*out_field = SPAN_LIT("Date");
		*out_text = date;
	} else {
		return false;
	}
	return true;
}

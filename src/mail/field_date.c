/* RFC 5322 s3.3 with the obsolete forms of s4.3, and a little more that is seen: no day's name, no seconds, no zone. */
#include "base/ascii.h"
#include "mail/field.h"
#include "mail/field_scan.h"

enum { WORDS = 8, WORD_BYTES = 16, YEAR_FIRST = 1970, YEAR_LAST = 9999 };

struct when {
	int year, month, day, hour, minute, second, zone_min;
};

struct words {
	struct span of[WORDS];
	size_t n;
};

static void split(struct span s, struct words *w)
{
	size_t at = 0;

	w->n = 0;
	while (w->n < WORDS) {
		size_t from;

		at = scan_blanks(s, at);
		while (at < s.n && s.p[at] == ',')
			at = scan_blanks(s, at + 1);
		if (at >= s.n)
			return;
		from = at;
		while (at < s.n && !scan_is_blank(s.p[at]) && s.p[at] != ',' && s.p[at] != '(')
			at++;
		w->of[w->n++] = span_of(s.p + from, at - from);
	}
}

static bool number(struct span s, uint64_t max, int *out)
{
	uint64_t v;

	if (s.n > 6 || !span_to_u64(s, max, &v))
		return false;
	*out = (int)v;
	return true;
}

static bool month_of(struct span s, int *out)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

	for (int i = 0; i < 12 && s.n >= 3; i++)
		if (span_eq_nocase(span_first(s, 3), span_of(names + 3 * i, 3))) {
			*out = i + 1;
			return true;
		}
	return false;
}

static bool year_of(struct span s, int *out)
{
	if (s.n < 2 || !number(s, YEAR_LAST, out))
		return false;
	if (s.n == 2)
		*out += *out < 50 ? 2000 : 1900;
	else if (s.n == 3)
		*out += 1900;
	return *out >= YEAR_FIRST;
}

static bool time_of(struct span s, struct when *t)
{
	struct span hour = span_cut(&s, ':'), minute = span_cut(&s, ':');

	t->second = 0;
	return number(hour, 23, &t->hour) && number(minute, 59, &t->minute) &&
	       (s.n == 0 || number(s, 60, &t->second));
}

static bool zone_of(struct span s, int *out)
{
	static const struct {
		const char *name;
		int hours;
	} named[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
		     {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
	int hours, minutes;

	*out = 0;
	for (size_t i = 0; i < sizeof named / sizeof *named; i++)
		if (span_eq_nocase(s, span_str(named[i].name)))
			*out = named[i].hours * 60;
	if (s.n == 0 || (s.p[0] != '+' && s.p[0] != '-'))
		return true; /* GMT, UT; others say nothing sure (RFC 5322 s4.3) */
	if (s.n != 5 || !number(span_of(s.p + 1, 2), 23, &hours) ||
	    !number(span_of(s.p + 3, 2), 59, &minutes))
		return false;
	*out = (hours * 60 + minutes) * (s.p[0] == '-' ? -1 : 1);
	return true;
}

static int month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

static bool parse(struct span value, struct when *t)
{
	struct words w;
	size_t i = 0;

	split(value, &w);
	if (w.n > 0 && !ascii_is_digit(w.of[0].p[0]))
		i++;
	if (w.n < i + 3 || !number(w.of[i], 31, &t->day) || t->day < 1 ||
	    !month_of(w.of[i + 1], &t->month) || !year_of(w.of[i + 2], &t->year) ||
	    t->day > month_days(t->year, t->month))
		return false;
	t->hour = t->minute = t->second = t->zone_min = 0;
	if (w.n > i + 3 && !time_of(w.of[i + 3], t))
		return false;
	return w.n <= i + 4 || zone_of(w.of[i + 4], &t->zone_min);
}

bool field_date(struct span value, uint64_t *out_us)
{
	struct when t;
	int64_t days, y, seconds;

	if (!parse(value, &t))
		return false;
	/* days since 1970 of a civil date: years begin in March */
	y = t.year - (t.month <= 2);
	days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * ((t.month + 9) % 12) + 2) / 5 + t.day -
	       719469;
	seconds = days * 86400 + t.hour * 3600 + (t.minute - t.zone_min) * 60 + t.second;
	if (seconds < 0)
		return false;
	*out_us = (uint64_t)seconds * 1000000;
	return true;
}

bool field_date_zone(struct span value, int *out_min)
{
	struct when t;

	if (!parse(value, &t))
		return false;
	*out_min = t.zone_min;
	return true;
}

bool field_date_day(struct span value, int *out_year, int *out_month, int *out_day)
{
	struct when t;

	if (!parse(value, &t))
		return false;
	*out_year = t.year;
	*out_month = t.month;
	*out_day = t.day;
	return true;
}

/* JSON text, ids, states, dates: how things are written in JMAP (RFC 8620 s1.2, s1.4). */
#include "base/ascii.h"
#include "jmap/internal.h"
#include "mail/text.h"

static int append(const char *bytes, size_t n, void *out)
{
	return buf_append(out, span_of(bytes, n)) ? 0 : -1;
}

void jmap_print(const json_t *value, struct buf *out)
{
	(void)json_dump_callback(value, append, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

bool jmap_print_within(const json_t *value, size_t most, struct buf *out)
{
	struct buf whole = *out;
	bool fits;

	whole.limit = out->n + most;
	fits = json_dump_callback(value, append, &whole, JSON_COMPACT | JSON_ENCODE_ANY) == 0;
	if (!fits)
		whole.n = out->n;
	whole.limit = out->limit;
	*out = whole;
	return fits;
}

struct weight {
	size_t bytes, most;
};

/* A little for each piece of syntax: small values take more memory than text. */
static int weigh(const char *bytes, size_t n, void *arg)
{
	struct weight *w = arg;

	(void)bytes;
	w->bytes += n + 8;
	return w->bytes > w->most ? -1 : 0;
}

size_t jmap_weight(const json_t *value, size_t most)
{
	struct weight w = {0, most};

	(void)json_dump_callback(value, weigh, &w, JSON_COMPACT | JSON_ENCODE_ANY);
	return w.bytes;
}

struct span jmap_text(const json_t *string)
{
	if (!json_is_string(string))
		return SPAN_NONE;
	return span_of(json_string_value(string), json_string_length(string));
}

json_t *jmap_json_text(struct span text)
{
	json_t *out = json_stringn(text.n ? (const char *)text.p : "", text.n);
	struct buf safe = {0};

	if (out)
		return out;
	(void)text_safe(text, &safe);
	out = json_stringn(safe.n ? (const char *)safe.p : "", safe.n);
	buf_fini(&safe);
	return out;
}

bool jmap_has_name(const char *names, struct span name)
{
	struct span rest = span_str(names);

	while (rest.n) {
		if (span_eq(span_cut(&rest, ' '), name))
			return true;
	}
	return false;
}

/* ---- ids ---- */

bool jmap_is_id(struct span text)
{
	if (text.n == 0 || text.n > JMAP_ID_BYTES)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = text.p[i];

		if (!ascii_is_alnum(c) && c != '-' && c != '_')
			return false;
	}
	return true;
}

/* The same bytes have the same id as with IMAP (EMAILID, RFC 8474); each form of a message is other bytes. */
static const char marks[] = {
	[MAIL_AS_DELIVERED] = 'M', [MAIL_AS_SENT] = 'S', [MAIL_ENCLOSED] = 'E'};

static json_t *marked(char mark, uint64_t number)
{
	return json_sprintf("%c%llu", mark, (unsigned long long)number);
}

json_t *jmap_email_id(uint64_t number, enum mail_form form)
{
	return marked(marks[form], number);
}

json_t *jmap_box_id(uint64_t box)
{
	return marked('F', box);
}

json_t *jmap_thread_id(uint64_t thread)
{
	return marked('T', thread);
}

json_t *jmap_state_id(uint64_t state)
{
	return json_sprintf("%llu", (unsigned long long)state);
}

/* Only as we write it: without leading zeros, so that a thing has one id. */
static bool number_of(struct span digits, uint64_t *out)
{
	if (digits.n > 1 && digits.p[0] == '0')
		return false;
	return span_to_u64(digits, UINT64_MAX, out);
}

static bool number_marked(struct span id, char mark, uint64_t *out)
{
	return id.n > 1 && id.p[0] == (unsigned char)mark && number_of(span_from(id, 1), out);
}

bool jmap_email_of(struct span id, struct mail_email_id *out)
{
	for (enum mail_form form = MAIL_AS_DELIVERED; form <= MAIL_ENCLOSED; form++) {
		uint64_t number;

		if (!number_marked(id, marks[form], &number))
			continue;
		*out = (struct mail_email_id){number, form};
		return true;
	}
	return false;
}

bool jmap_box_of(struct span id, uint64_t *out)
{
	return number_marked(id, 'F', out);
}

bool jmap_thread_of(struct span id, uint64_t *out)
{
	return number_marked(id, 'T', out);
}

bool jmap_state_of(struct span id, uint64_t *out)
{
	return number_of(id, out);
}

bool jmap_account_of(struct span text, uint64_t *out_account)
{
	return number_marked(text, 'A', out_account);
}

/* ---- dates (RFC 3339) ---- */

/* Days since 1970 of a day of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void jmap_calendar(uint64_t us, int *out_year, int *out_month, int *out_day)
{
	int64_t days = (int64_t)(us / 1000000 / 86400) + 719468, era = days / 146097;
	int64_t of_era = days - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;

	*out_day = (int)(of_year - (153 * month + 2) / 5 + 1);
	*out_month = (int)(month < 10 ? month + 3 : month - 9);
	*out_year = (int)(year + era * 400 + (*out_month <= 2));
}

static json_t *date(uint64_t us, const char *zone)
{
	unsigned long long s = us / 1000000 % 86400;
	int year, month, day;

	jmap_calendar(us, &year, &month, &day);
	return json_sprintf("%04d-%02d-%02dT%02llu:%02llu:%02llu%s", year, month, day, s / 3600,
			    s / 60 % 60, s % 60, zone);
}

json_t *jmap_utc(uint64_t us)
{
	return date(us, "Z");
}

json_t *jmap_date(uint64_t us, int zone_min)
{
	char zone[32];
	int size = zone_min < 0 ? -zone_min : zone_min;
	int64_t local = (int64_t)us + (int64_t)zone_min * 60000000;

	if (zone_min == 0 || local < 0 || size >= 24 * 60)
		return jmap_utc(us);
	(void)snprintf(zone, sizeof zone, "%c%02d:%02d", zone_min < 0 ? '-' : '+', size / 60 % 24,
		       size % 60);
	return date((uint64_t)local, zone);
}

static bool digits(struct span *rest, size_t n, int *out)
{
	uint64_t value;

	if (rest->n < n || !span_to_u64(span_first(*rest, n), 9999, &value))
		return false;
	*out = (int)value;
	*rest = span_from(*rest, n);
	return true;
}

static bool sign(struct span *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != (unsigned char)c)
		return false;
	*rest = span_from(*rest, 1);
	return true;
}

static bool fraction(struct span *rest, uint64_t *out_us)
{
	uint64_t unit = 100000;
	bool has_digit = false;

	*out_us = 0;
	if (!sign(rest, '.'))
		return true;
	for (; rest->n && ascii_is_digit(rest->p[0]); *rest = span_from(*rest, 1)) {
		*out_us += unit * (uint64_t)(rest->p[0] - '0');
		unit /= 10;
		has_digit = true;
	}
	return has_digit;
}

static bool zone(struct span rest, int *out_min)
{
	bool is_west = sign(&rest, '-');
	int hours, minutes;

	if (!is_west && sign(&rest, 'Z')) {
		*out_min = 0;
		return rest.n == 0;
	}
	if ((!is_west && !sign(&rest, '+')) || !digits(&rest, 2, &hours) || !sign(&rest, ':') ||
	    !digits(&rest, 2, &minutes) || rest.n || hours > 23 || minutes > 59)
		return false;
	*out_min = (hours * 60 + minutes) * (is_west ? -1 : 1);
	return true;
}

bool jmap_date_read(struct span text, uint64_t *out_us, int *out_zone_min)
{
	int year, month, day, hour, minute, second, offset;
	uint64_t us;
	int64_t at;

	if (!digits(&text, 4, &year) || !sign(&text, '-') || !digits(&text, 2, &month) ||
	    !sign(&text, '-') || !digits(&text, 2, &day) || !sign(&text, 'T') ||
	    !digits(&text, 2, &hour) || !sign(&text, ':') || !digits(&text, 2, &minute) ||
	    !sign(&text, ':') || !digits(&text, 2, &second) || !fraction(&text, &us) ||
	    !zone(text, &offset))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
	    second > 60)
		return false;
	at = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset * 60;
	if (at < 0) /* before all mail */
		at = 0, us = 0;
	*out_us = (uint64_t)at * 1000000 + us;
	*out_zone_min = offset;
	return true;
}

bool jmap_utc_read(struct span text, uint64_t *out_us)
{
	int zone_min;

	return text.n && text.p[text.n - 1] == 'Z' && jmap_date_read(text, out_us, &zone_min);
}

/* Texts and times. */
#include "report/report.h"

#include <stdio.h>
#include <time.h>

#include "mail/address.h"
#include "mail/text.h"

json_t *report_text(struct span s)
{
	struct buf text = {0};
	json_t *value;

	for (size_t i = 0; i < s.n;) {
		size_t length = s.p[i] ? utf8_length(s.p + i, s.n - i) : 0;

		if (length)
			buf_append(&text, span_of(s.p + i, length));
		else
			buf_append(&text, SPAN_LIT("\xef\xbf\xbd"));
		i += length ? length : 1;
	}
	value = json_stringn(text.n ? (const char *)text.p : "", text.n);
	buf_fini(&text);
	return value;
}

json_t *report_header(struct span raw)
{
	struct buf text = {.limit = 4000};
	json_t *value;

	(void)text_header(raw, &text);
	value = json_stringn(text.n ? (const char *)text.p : "", text.n);
	buf_fini(&text);
	return value ? value : json_string("");
}

json_t *report_time(uint64_t wall_us)
{
	time_t t = (time_t)(wall_us / 1000000);
	struct tm utc;
	char text[40];

	if (!wall_us || !gmtime_r(&t, &utc))
		return json_null();
	(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	return json_string(text);
}

void report_set_time(json_t *object, const char *key, uint64_t wall_us)
{
	char key_us[40];

	(void)snprintf(key_us, sizeof key_us, "%s_us", key);
	(void)json_object_set_new(object, key, report_time(wall_us));
	(void)json_object_set_new(object, key_us,
				  wall_us ? json_integer((json_int_t)wall_us) : json_null());
}

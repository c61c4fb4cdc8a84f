#include "say/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

static struct {
	char name[64];
	enum say_level least;
} speaker = {"holdfast", SAY_INFO};

void say_init(const char *name, enum say_level least)
{
	(void)snprintf(speaker.name, sizeof speaker.name, "%s", name);
	speaker.least = least;
}

static const char *level_name(enum say_level level)
{
	switch (level) {
	case SAY_DEBUG:
		return "debug";
	case SAY_INFO:
		return "info";
	case SAY_NOTICE:
		return "notice";
	case SAY_WARNING:
		return "warning";
	case SAY_ERROR:
		return "error";
	}
	return "?";
}

static bool is_plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '=' || s.p[i] >= 127)
			return false;
	}
	return s.n > 0;
}

static void put_span(struct buf *line, struct span s)
{
	if (is_plain(s)) {
		buf_append(line, s);
		return;
	}
	buf_append_byte(line, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c == '"' || c == '\\')
			buf_printf(line, "\\%c", c);
		else if (c < ' ' || c == 127)
			buf_printf(line, "\\x%02x", c);
		else
			buf_append_byte(line, c);
	}
	buf_append_byte(line, '"');
}

static void put_value(struct buf *line, const struct say_value *v)
{
	switch (v->kind) {
	case SAY_IS_SPAN:
		put_span(line, span_first(v->span, 1024));
		break;
	case SAY_IS_U64:
		buf_printf(line, "%llu", (unsigned long long)v->u64);
		break;
	case SAY_IS_I64:
		buf_printf(line, "%lld", (long long)v->i64);
		break;
	case SAY_IS_F64:
		buf_printf(line, "%.3f", v->f64);
		break;
	}
}

static void put_time(struct buf *line)
{
	struct timespec now;
	struct tm utc;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0 || !gmtime_r(&now.tv_sec, &utc))
		return;
	buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ ", utc.tm_year + 1900, utc.tm_mon + 1,
		   utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000);
}

void say(enum say_level level, const char *event, ...)
{
	struct buf line = {0};
	const char *key;
	va_list args;
	ssize_t put;

	if (level < speaker.least)
		return;
	put_time(&line);
	buf_printf(&line, "%s %s event=%s", speaker.name, level_name(level), event);
	va_start(args, event);
	while ((key = va_arg(args, const char *)) != NULL) {
		struct say_value v = va_arg(args, struct say_value);

		buf_printf(&line, " %s=", key);
		put_value(&line, &v);
	}
	va_end(args);
	buf_append_byte(&line, '\n');
	/* One write per line, so that lines of several processes do not mix; if stderr is full or gone, mail
	 * matters more than the log. */
	put = write(STDERR_FILENO, line.p, line.n);
	(void)put;
	buf_fini(&line);
}

void say_metrics_render(struct buf *out, const char *role, struct say_metric *const *metrics, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct say_metric *m = metrics[i];

		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s{role=\"%s\"} %llu\n", m->name, m->help,
			   m->name, m->kind == SAY_COUNTER ? "counter" : "gauge", m->name, role,
			   (unsigned long long)__atomic_load_n((const uint64_t *)&m->value,
							       __ATOMIC_RELAXED));
	}
}

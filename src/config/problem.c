#include "config/internal.h"

#include <stdarg.h>

#include "base/buf.h"

VPRINTF_LIKE(2)
static const char *format_into(struct arena *arena, const char *format, va_list args)
{
	char text[600];
	int n = vsnprintf(text, sizeof text, format, args);

	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof text)
		n = sizeof text - 1;
	return arena_str(arena, span_of(text, (size_t)n));
}

static void add(struct config_context *c, struct config_problem p)
{
	struct config_problems *all = c->problems;

	if (!p.is_warning)
		all->errors++;
	if (all->n == CONFIG_PROBLEMS) {
		all->more++;
		return;
	}
	if (!p.hint)
		p.hint = "";
	all->item[all->n++] = p;
}

void config_bad(struct config_context *c, unsigned line, unsigned column, const char *hint,
		const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(c, (struct config_problem){.file = c->file,
				       .line = line,
				       .column = column,
				       .hint = hint,
				       .text = format_into(c->arena, format, args)});
	va_end(args);
}

void config_warn(struct config_context *c, unsigned line, unsigned column, const char *hint,
		 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(c, (struct config_problem){.file = c->file,
				       .line = line,
				       .column = column,
				       .is_warning = true,
				       .hint = hint,
				       .text = format_into(c->arena, format, args)});
	va_end(args);
}

void config_bad_in(struct config_context *c, const char *file, unsigned line, const char *hint,
		   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(c, (struct config_problem){.file = file,
				       .line = line,
				       .column = line ? 1 : 0,
				       .hint = hint,
				       .text = format_into(c->arena, format, args)});
	va_end(args);
}

const char *config_text(struct config_context *c, const char *format, ...)
{
	const char *text;
	va_list args;

	va_start(args, format);
	text = format_into(c->arena, format, args);
	va_end(args);
	return text;
}

const char *config_show(struct config_context *c, struct span s)
{
	struct span part = span_first(s, 80);
	char *text = arena_alloc(c->arena, part.n + 4);

	for (size_t i = 0; i < part.n; i++)
		text[i] = part.p[i] < ' ' || part.p[i] == 127 ? '?' : (char)part.p[i];
	if (s.n > part.n)
		memcpy(text + part.n, "...", 3);
	return text;
}

static void print_one(const struct config_problem *p, struct buf *out)
{
	buf_printf(out, "%s", p->file);
	if (p->line)
		buf_printf(out, ":%u:%u", p->line, p->column);
	buf_printf(out, ": %s: %s", p->is_warning ? "warning" : "error", p->text);
	if (*p->hint)
		buf_printf(out, "; %s", p->hint);
}

void config_problems_print(const struct config_problems *problems, struct buf *out)
{
	for (size_t i = 0; i < problems->n; i++) {
		print_one(&problems->item[i], out);
		buf_append_byte(out, '\n');
	}
	if (problems->more)
		buf_printf(out, "... and %zu more\n", problems->more);
}

const char *config_problems_first(const struct config_problems *problems, struct arena *arena)
{
	struct buf line = {0};
	const char *text;

	for (size_t i = 0; i < problems->n; i++) {
		if (problems->item[i].is_warning)
			continue;
		print_one(&problems->item[i], &line);
		break;
	}
	text = arena_str(arena, buf_span(&line));
	buf_fini(&line);
	return text;
}

#include "cli/term.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "mail/address.h"

static unsigned width_of_terminal(void)
{
	struct winsize size;
	const char *given = getenv("COLUMNS");
	uint64_t columns;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
		return size.ws_col;
	if (given && span_to_u64(span_str(given), 1000, &columns) && columns >= 20)
		return (unsigned)columns;
	return 80;
}

void term_init(struct term *t)
{
	const char *kind = getenv("TERM"), *no = getenv("NO_COLOR");

	t->is_terminal = isatty(STDOUT_FILENO);
	t->has_colour = t->is_terminal && !(no && *no) && kind && strcmp(kind, "dumb") != 0;
	t->width = width_of_terminal();
}

const char *term_on(const struct term *t, enum term_ink ink)
{
	static const char *const codes[] = {"",		"\033[1m",  "\033[2m",
					    "\033[32m", "\033[33m", "\033[1;31m"};

	return t->has_colour ? codes[ink] : "";
}

const char *term_off(const struct term *t, enum term_ink ink)
{
	return t->has_colour && ink != INK_PLAIN ? "\033[0m" : "";
}

/* What is not there to be seen and changes how the rest looks: controls, marks and overrides of direction, blanks without
 * width, line separators, tags. H-04: a name or a subject says what it says. */
static bool is_hidden(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{0, 0x1f},	  {0x7f, 0x9f},	    {0xad, 0xad},     {0x61c, 0x61c},
		{0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x200b, 0x200f},
		{0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfe00, 0xfe0f},
		{0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xe0000, 0xe0fff},
	};

	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
		if (code >= hidden[i].first && code <= hidden[i].last)
			return true;
	}
	return false;
}

static uint32_t code_of(const unsigned char *p, size_t length)
{
	uint32_t code = length == 1 ? p[0] : p[0] & (0x7fu >> length);

	for (size_t i = 1; i < length; i++)
		code = code << 6 | (p[i] & 0x3f);
	return code;
}

/* Length of the character at p that may be shown, 0 if it must become "?". */
static size_t shown_length(const unsigned char *p, size_t n)
{
	size_t length = utf8_length(p, n);

	return length && !is_hidden(code_of(p, length)) ? length : 0;
}

size_t term_columns(struct span s)
{
	size_t columns = 0;

	for (size_t i = 0; i < s.n; columns++) {
		size_t length = utf8_length(s.p + i, s.n - i);

		i += length ? length : 1;
	}
	return columns;
}

void term_put(struct buf *out, struct span s, size_t columns)
{
	bool is_cut = term_columns(s) > columns;
	size_t room = is_cut && columns ? columns - 1 : columns;

	for (size_t i = 0; i < s.n && room; room--) {
		size_t length = shown_length(s.p + i, s.n - i),
		       real = utf8_length(s.p + i, s.n - i);

		if (length)
			buf_append(out, span_of(s.p + i, length));
		else
			buf_append_byte(out, '?');
		i += real ? real : 1;
	}
	if (is_cut && columns)
		buf_append(out, SPAN_LIT("…"));
}

void term_cell(struct buf *out, struct span s, size_t columns, bool right)
{
	size_t used = term_columns(s);
	size_t blanks = used < columns ? columns - used : 0;

	if (!right)
		term_put(out, s, columns);
	for (size_t i = 0; i < blanks; i++)
		buf_append_byte(out, ' ');
	if (right)
		term_put(out, s, columns);
}

static void put_blanks(struct buf *out, size_t n)
{
	while (n--)
		buf_append_byte(out, ' ');
}

void term_wrap(const struct term *t, struct buf *out, struct span text, unsigned indent)
{
	size_t room = t->width > indent + 20 ? t->width - indent : 20, used = 0;
	struct span rest = text;

	put_blanks(out, indent);
	while (rest.n) {
		struct span word = span_cut(&rest, ' ');
		size_t columns = term_columns(word);

		if (used && used + 1 + columns > room) {
			buf_append_byte(out, '\n');
			put_blanks(out, indent);
			used = 0;
		}
		if (used) {
			buf_append_byte(out, ' ');
			used++;
		}
		term_put(out, word, 400);
		used += columns;
	}
	buf_append_byte(out, '\n');
}

const char *term_size(struct term_text *space, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1023.95 && unit + 1 < sizeof units / sizeof *units) {
		value /= 1024;
		unit++;
	}
	if (unit == 0 || value >= 99.95)
		(void)snprintf(space->p, sizeof space->p, "%.0f %s", value, units[unit]);
	else
		(void)snprintf(space->p, sizeof space->p, "%.1f %s", value, units[unit]);
	return space->p;
}

const char *term_span_of_time(struct term_text *space, uint64_t us)
{
	unsigned long long s = us / 1000000;

	if (s < 60)
		(void)snprintf(space->p, sizeof space->p, "%llus", s);
	else if (s < 3600)
		(void)snprintf(space->p, sizeof space->p, "%llum %llus", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(space->p, sizeof space->p, "%lluh %llum", s / 3600, s / 60 % 60);
	else
		(void)snprintf(space->p, sizeof space->p, "%llud %lluh", s / 86400, s / 3600 % 24);
	return space->p;
}

const char *term_count(struct term_text *space, uint64_t n)
{
	char digits[24];
	size_t at = 0,
	       length = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);

	for (size_t i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			space->p[at++] = ',';
		space->p[at++] = digits[i];
	}
	space->p[at] = '\0';
	return space->p;
}

const char *term_time(struct term_text *space, uint64_t wall_us, uint64_t now_us)
{
	time_t t = (time_t)(wall_us / 1000000), now = (time_t)(now_us / 1000000);
	struct tm then, today;

	if (!localtime_r(&t, &then) || !localtime_r(&now, &today))
		(void)snprintf(space->p, sizeof space->p, "?");
	else
		(void)strftime(space->p, sizeof space->p,
			       then.tm_year == today.tm_year ? "%d %b %H:%M:%S" : "%d %b %Y %H:%M",
			       &then);
	return space->p;
}

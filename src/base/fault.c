#include "base/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fault_set(struct fault *why, const char *format, ...)
{
	va_list args;

	if (!why)
		return;
	va_start(args, format);
	(void)vsnprintf(why->text, sizeof why->text, format, args);
	va_end(args);
}

void fault_sys(struct fault *why, const char *format, ...)
{
	int err = errno;
	va_list args;
	size_t n;

	if (!why)
		return;
	va_start(args, format);
	(void)vsnprintf(why->text, sizeof why->text, format, args);
	va_end(args);
	n = strlen(why->text);
	(void)snprintf(why->text + n, sizeof why->text - n, ": %s", strerror(err));
	errno = err;
}

void fault_context(struct fault *why, const char *format, ...)
{
	char was[sizeof why->text];
	va_list args;
	size_t n;

	if (!why)
		return;
	memcpy(was, why->text, sizeof was);
	va_start(args, format);
	(void)vsnprintf(why->text, sizeof why->text, format, args);
	va_end(args);
	n = strlen(why->text);
	(void)snprintf(why->text + n, sizeof why->text - n, ": %s", was);
}

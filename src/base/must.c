#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void must_failed(const char *expr, const char *file, int line, const char *func)
{
	(void)fprintf(stderr, "must failed: %s (%s:%d, %s)\n", expr, file, line, func);
	abort();
}

void *must_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	must(p != NULL);
	return p;
}

char *must_strdup(const char *text)
{
	char *copy = strdup(text);

	must(copy != NULL);
	return copy;
}

/* Inside health only. */
#pragma once

#include "health/health.h"

/* Copies at most n - 1 bytes with a NUL; CR, LF, TAB become blanks, the unprintable '?'. */
void health_text(char *out, size_t n, struct span s);
/* How sure a failure of this kind makes us that mail cannot be delivered, per cent. */
uint8_t health_confidence(const struct health_probe *p);

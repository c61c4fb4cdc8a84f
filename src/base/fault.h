/*
 * What went wrong, in words for an operator. The place that detects a fault writes the text once; callers
 * add context or pass it on, and do not log it again. A NULL fault is accepted everywhere and ignored.
 */
#pragma once

#include "base/rc.h"

struct fault {
	char text[480];
};

void fault_set(struct fault *why, const char *format, ...) PRINTF_LIKE(2, 3);
/* As fault_set, followed by ": " and the text of errno. errno is kept. */
void fault_sys(struct fault *why, const char *format, ...) PRINTF_LIKE(2, 3);
/* Puts context and ": " in front of what is there. */
void fault_context(struct fault *why, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * must(expr) checks our own promises and stays on in release builds. Input from a peer, a disk or an
 * operator never reaches it unvalidated. A failed must prints one line and ends the process; the
 * supervisor keeps that line as the role's last words.
 */
#pragma once

#define must(expr) ((expr) ? (void)0 : must_failed(#expr, __FILE__, __LINE__, __func__))

/* For a place that no promise kept lets us reach; what says which place, in words. */
#define must_never(what) must_failed(what, __FILE__, __LINE__, __func__)

_Noreturn void must_failed(const char *expr, const char *file, int line, const char *func);

/* malloc and friends for small own allocations: they end the process instead of returning NULL. */
#include <stddef.h>
void *must_alloc(size_t n) __attribute__((malloc)); /* zeroed */
char *must_strdup(const char *text) __attribute__((malloc));

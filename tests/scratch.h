/*
 * Folders of tests that fail: a test that ends well removes its own, what is left when the program ends goes here. HOLDFAST_KEEP
 * keeps it.
 */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SCRATCH_FOLDERS = 256, SCRATCH_PATH = 128 };

static struct {
	char paths[SCRATCH_FOLDERS][SCRATCH_PATH];
	unsigned n;
	pid_t owner; /* a child that ends has nothing to remove */
} scratch;

static int scratch_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	(void)remove(path);
	return 0;
}

static void scratch_at_exit(void)
{
	if (getpid() != scratch.owner || getenv("HOLDFAST_KEEP"))
		return;
	for (unsigned i = 0; i < scratch.n; i++)
		(void)nftw(scratch.paths[i], scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A folder that mkdtemp made: it is gone when this program ends. */
static inline void scratch_remember(const char *path)
{
	if (scratch.n == 0) {
		scratch.owner = getpid();
		(void)atexit(scratch_at_exit);
	}
	if (scratch.n < SCRATCH_FOLDERS)
		(void)snprintf(scratch.paths[scratch.n++], SCRATCH_PATH, "%s", path);
}

/*
 * A disk, a clock and a source of random in memory, for tests that must decide what a disk may do. Deterministic:
 * the same seed and the same calls give the same answers. Not thread-safe.
 *
 * What it models:
 *   - Writes go to a cache; datasync moves a file's dirty 512-byte sectors and its size to the disk.
 *   - New, removed and renamed names live in the cache until sync_dir of their folder.
 *   - A failed datasync marks the dirty sectors clean and drops them: the cache still shows them, the disk never gets
 *     them, and the next datasync succeeds (what Linux does). forget then shows what the disk has.
 *   - A power cut leaves what was synced. Unsynced sectors are each dropped, kept or torn (its first bytes new, the rest
 *     old), unsynced names and sizes kept or lost in the order they were made, by the seed.
 *   - Locks belong to an open file and go with the process.
 */
#pragma once

#include "os/os.h"

struct os_sim;

struct os_sim *os_sim_new(uint64_t seed);
void os_sim_free(struct os_sim *s);
struct os *os_sim_os(struct os_sim *s);

enum sim_fate {
	SIM_FAIL, /* the call does nothing and fails with the errno */
	SIM_FAIL_AFTER, /* the call is half done (a short write's bytes are there), then fails with the errno */
	SIM_DIE,	/* the call is done, and the process is dead: all further calls fail */
	SIM_DIE_BEFORE, /* the same, without the call */
};

/* Calls that can change or sync the disk, counted from 1. */
uint64_t os_sim_calls(const struct os_sim *s);
/* At the n-th such call (0: none) and, when repeat is set, at every later one. */
void os_sim_plan(struct os_sim *s, uint64_t nth, enum sim_fate fate, int err, bool repeat);
/* After the plan's call has failed, the process dies at the n-th call from there. */
void os_sim_plan_then_die(struct os_sim *s, uint64_t n);
bool os_sim_is_dead(const struct os_sim *s);
/* Every pread and pwritev is cut short at random, and fails with EINTR now and then (D-08). */
void os_sim_be_choppy(struct os_sim *s, bool choppy);
/* Bytes that still fit: beyond it writes that grow a file fail with ENOSPC, after writing what fits. */
void os_sim_set_space(struct os_sim *s, uint64_t bytes);
void os_sim_advance(struct os_sim *s, uint64_t us);

/* The process ended; the machine went on. Open files and locks are gone; a new process may use the disk. */
void os_sim_kill(struct os_sim *s);
enum sim_cut { SIM_CUT_DROP, SIM_CUT_KEEP, SIM_CUT_TORN };
/* Power was cut and came back. */
void os_sim_cut(struct os_sim *s, enum sim_cut how);

/* Damages what is on the disk (and in the cache): flips bits of one byte. False: there is no such byte. */
bool os_sim_flip(struct os_sim *s, const char *path, uint64_t at, unsigned char bits);
int os_sim_open_files(const struct os_sim *s); /* for finding leaks */

/*
 * The file of sessions (auth/session.h has its lines): appended to, and now and then written anew. Only os.h is needed here,
 * so that a test can play the disk.
 *
 *   U5  A session's line is synced before it is told to anybody, and its end before that is said to be done: what was answered
 *       holds over a kill and a power cut. A disk that takes nothing lets sessions begin all the same (in memory), and the
 *       orderer of an end hears that it may not last. That one was used is written without a sync.
 *   U6  A write or sync that failed condemns the file: the next change writes a new one of all that is in memory. So the
 *       table is changed first, and the file told after it.
 */
#pragma once

#include "auth/session.h"
#include "base/fault.h"

struct os;

struct session_file {
	struct os *os;
	char path[2400];
	int fd; /* -1: there is none to append to */
	uint64_t bytes;
};

/* Reads what is there (nothing: no sessions). False: it is there and cannot be read. */
bool session_file_open(struct session_file *f, struct os *os, const char *path, struct sessions *s,
		       struct fault *why);
/* lines: what has just changed in s. False: not known to be on disk; session_file_is_well says so until it is. */
bool session_file_add(struct session_file *f, struct sessions *s, struct span lines, bool is_synced,
		      struct fault *why);
/* All of s anew. */
bool session_file_renew(struct session_file *f, struct sessions *s, struct fault *why);
bool session_file_is_well(const struct session_file *f);
void session_file_close(struct session_file *f);

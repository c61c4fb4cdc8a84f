/*
 * The supervisor, `holdfast run`: reads the configuration, makes the data directory, binds the listeners, starts each
 * role (fork and exec) and keeps it running, until SIGTERM or SIGINT. See README.md here.
 *
 *   U1  Nothing is started unless everything that can be known beforehand is right: configuration, data directory,
 *       certificate, programs, every listener.
 *   U2  A bad configuration at a reload changes nothing.
 *   U3  A role that dies is started again after a growing pause; no failure makes the supervisor spin or end.
 *   U4  What a role sends is read as that of a stranger: it can end its own channel, and no more.
 */
#pragma once

struct super_options {
	const char *config_path;
	/* NULL: beside the running program if they are there, else the installed ones. */
	const char *roles_dir;
};

/* Blocks until the end. 0: stopped in order. 1: could not start; it was said on stderr. */
int super_run(const struct super_options *options);

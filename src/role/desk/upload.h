/* Inside upload*.c: <data>/uploads/<account id>/<32 hexadecimal digits>, the first 8 the second it came (24 h it stays). */
#pragma once

#include <pthread.h>

#include "role/desk/jmap.h"

enum {
	UPLOAD_ID_BYTES = 33, /* with the NUL */
	UPLOAD_PATH_BYTES = 1100,
	UPLOAD_PART_KEPT_S = 3600, /* of one that never became complete */
};

struct upload;

struct desk_uploads {
	struct desk *desk;
	struct map coming; /* account id -> how many */
	size_t pending;	   /* with the worker */
	unsigned ticks;

	/* the worker: syncs, so that the loop does not wait for the disk */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t is_work;
	struct list todo, done; /* struct upload; under the mutex */
	bool ends;
	struct loop_wake *wake;
};

/* ---- upload_file.c ---- */
void upload_folder(const struct desk *d, uint64_t account, char out[UPLOAD_PATH_BYTES]);
void upload_path(const struct desk *d, uint64_t account, const char *id, const char *suffix,
		 char out[UPLOAD_PATH_BYTES]);
/* Removes what is too old and says how many bytes and files are left. */
void upload_usage(struct desk *d, uint64_t account, uint64_t *out_bytes, size_t *out_files);
void upload_sweep(struct desk *d);

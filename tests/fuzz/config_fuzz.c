/* Any bytes as holdfast.yaml: refused with a problem, or accepted; never a file is opened. */
#include <stdlib.h>

#include "base/buf.h"
#include "config/config.h"
#include "ipc/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_problems problems;
	struct msg_config config;
	struct arena arena;
	struct buf text = {0};
	enum rc rc;

	arena_init(&arena, 0);
	rc = config_parse(span_of(data, size), "fuzz.yaml", &arena, &config, &problems);
	if ((rc == OK) != (problems.errors == 0))
		abort();
	config_problems_print(&problems, &text);
	buf_clear(&text);
	if (rc == OK)
		msg_config_encode(&text, &config);
	buf_fini(&text);
	arena_fini(&arena);
	return 0;
}

/* Writes each sample notification to FOLDER/<name>.eml, for the referees. */
#include "dsn_samples.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < DSN_SAMPLES; i++) {
		struct dsn_made made;
		struct buf out;
		char path[512];
		FILE *f;

		buf_init(&out, 0);
		dsn_build(&out, &dsn_samples[i].facts, &made);
		(void)snprintf(path, sizeof path, "%s/%s.eml", argv[1], dsn_samples[i].name);
		f = fopen(path, "wb");
		if (!f || fwrite(out.p, 1, out.n, f) != out.n || fclose(f) != 0)
			return 1;
		buf_fini(&out);
	}
	return argc == 2 ? 0 : 2;
}

/* Feeds every file of a folder to a fuzz target once: finds of the fuzzer stay found without it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const char *path)
{
	static uint8_t bytes[1 << 20];
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t n;

	if (!f)
		return 0;
	n = fread(bytes, 1, sizeof bytes, f);
	(void)fclose(f);
	exact = malloc(n ? n
			 : 1); /* a block of just this size, so that ASan sees one byte too many */
	if (!exact)
		return 0;
	for (size_t i = 0; i < n; i++)
		exact[i] = bytes[i];
	(void)LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 1;
}

int main(int argc, char **argv)
{
	struct dirent **names = NULL;
	char path[4096];
	int fed = 0, n;

	if (argc != 2 || (n = scandir(argv[1], &names, NULL, alphasort)) < 0) {
		(void)fprintf(stderr, "usage: %s CORPUS-FOLDER (must exist)\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < n; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", argv[1], names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			fed += feed(path);
		free(names[i]);
	}
	free(names);
	(void)printf("%d inputs\n", fed);
	return fed > 0 ? 0 : 1;
}

/* holdfast(1). Everything is in cli_main, so that tests can call it. */
#include "cli/cli.h"

#include <locale.h>

int main(int argc, char **argv)
{
	(void)setlocale(LC_TIME, "C");
	return cli_main(argc, argv);
}

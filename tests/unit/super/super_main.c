/* `holdfast run` with roles from a folder of the test's: super_main CONFIG ROLES-DIR */
#include "super/super.h"

int main(int argc, char **argv)
{
	const struct super_options options = {argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : 0};

	return argc == 3 ? super_run(&options) : 2;
}

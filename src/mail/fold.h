/* Inside src/mail: Unicode's full case folding, ascending by from; made by fold_table.py. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct fold_row {
	uint32_t from, to[3]; /* 0: no more */
};
extern const struct fold_row fold_rows[];
extern const size_t fold_rows_n;

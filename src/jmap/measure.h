/*
 * What a JSON text would cost, before it is parsed: how deep it is and how many values it has. Nothing is allocated; one
 * pass; whether it is JSON at all is left to the parser.
 */
#pragma once

#include "base/span.h"

enum jmap_measure { JMAP_FITS, JMAP_TOO_DEEP, JMAP_TOO_MANY };
enum jmap_measure jmap_measured(struct span text, unsigned depth_most, size_t values_most);

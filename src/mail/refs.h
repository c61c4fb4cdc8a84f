/* Inside src/mail: how header.c gathers Message-IDs. */
#pragma once

#include "mail/header.h"

/* A piece of the field's value. In-Reply-To may hold other words; an id stands in < >. */
void header_ids_feed(struct header_ids *h, struct span piece);
/* The field has ended: later ones of its name are ignored. */
void header_ids_end(struct header_ids *h);

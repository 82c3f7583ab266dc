/* What the files of the library share. */
#ifndef INTERNAL_H
#define INTERNAL_H

#include "core.h"

#include <stddef.h>

#define SILENCE (-1) /* word and token of the leaf at the end of silence */

/* Makes room for `needed` elements in an array; 0: there is no memory, and the array is as it was. */
int grow(void **array, int64_t *room, int64_t needed, size_t size);

/* ln P(token | state); the state after it replaces `*state`. */
double next_word(const core_grammar *grammar, int32_t *state, int32_t token);

/* out[k] = best log-probability ahead of class first + k after `state`, for k < count. */
void lm_lookahead(const core_grammar *grammar, const core_look *look, int64_t state, int64_t first, int64_t count,
                  float *out);

/* Appends an arc; 0: no memory. */
int append_arc(core_arcs *arcs, int32_t source, int32_t target, int32_t label, double value);

#endif

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

/* The weight that a word earns after a state of the phrases (0 where there are none), whose next one replaces `*state`;
 * word -1 is the utterance's end, which takes back what was given in advance. */
double next_phrase(const core_phrases *phrases, int32_t *state, int32_t word);

/* First position in the rising values[begin … end - 1] whose value is not below `wanted`. */
int64_t find(const int32_t *values, int64_t begin, int64_t end, int64_t wanted);

/* out[k] = best log-probability ahead of class first + k after `state`, for k < count. */
void lm_lookahead(const core_grammar *grammar, const core_look *look, int64_t state, int64_t first, int64_t count,
                  float *out);

/* Appends an arc; 0: no memory. */
int append_arc(core_arcs *arcs, int32_t source, int32_t target, int32_t label, double value);

#endif

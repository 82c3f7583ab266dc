/* Phrases that are favoured. */
#include "internal.h"

double next_phrase(const core_phrases *phrases, int32_t *state, int32_t word)
{
    int32_t here = *state;
    double given = phrases->potential[here];
    *state = 0;
    while (word >= 0) {
        int64_t end = phrases->arc_begin[here + 1], arc = find(phrases->arc_word, phrases->arc_begin[here], end, word);
        if (arc < end && phrases->arc_word[arc] == word) {
            *state = phrases->arc_next[arc];
            break;
        }
        if (here == 0)
            break;
        here = phrases->fail[here];
    }
    return phrases->earned[*state] + phrases->potential[*state] - given;
}

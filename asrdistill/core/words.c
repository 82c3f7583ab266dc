/* Edit distance of word sequences. */
#include "core.h"

enum { SUBSTITUTION = 4, GAP = 3, PAIR = 0, INSERTION, DELETION };

int64_t core_align_words(int64_t n, const int32_t *ref, int64_t m, const int32_t *hyp, int64_t *cost, uint8_t *move,
                         int64_t *pairs)
{
    for (int64_t j = 0; j <= m; j++) { /* cost is of the row above, then of this row */
        cost[j] = j * GAP;
        move[j] = INSERTION;
    }
    for (int64_t i = 1; i <= n; i++) {
        int64_t corner = cost[0];
        uint8_t *row = move + i * (m + 1);
        cost[0] = i * GAP;
        row[0] = DELETION;
        for (int64_t j = 1; j <= m; j++) {
            int64_t pair = corner + (ref[i - 1] == hyp[j - 1] ? 0 : SUBSTITUTION);
            int64_t insertion = cost[j - 1] + GAP, deletion = cost[j] + GAP;
            int64_t least = insertion < deletion ? insertion : deletion;
            least = pair < least ? pair : least;
            corner = cost[j];
            cost[j] = least;
            row[j] = least == pair ? PAIR : least == insertion ? INSERTION : DELETION;
        }
    }
    int64_t at = n + m;
    for (int64_t i = n, j = m; i > 0 || j > 0;) {
        uint8_t step = move[i * (m + 1) + j];
        at--;
        pairs[2 * at] = step == INSERTION ? -1 : --i;
        pairs[2 * at + 1] = step == DELETION ? -1 : --j;
    }
    return at;
}

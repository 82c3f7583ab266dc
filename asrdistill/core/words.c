/* Edit distance of word sequences. */
#include <stdlib.h>

#include "core.h"

enum { SUBSTITUTION = 4, GAP = 3, PAIR = 0, INSERTION, DELETION, BAND = 64 };

static const int64_t FAR = INT64_MAX / 2; /* cost of cells beside the band */

typedef struct {
    int64_t *cost;   /* (m + 1) of the row above, then of this row */
    int64_t *column; /* (m + 1) where the best path to each cell of the row leaves the middle row */
    uint8_t *move;   /* of a part's cells */
    int64_t most;    /* cells whose moves are kept at once */
    int64_t *pairs, at;
} room;

static int64_t of_pair(int64_t corner, int32_t a, int32_t b) { return corner + (a == b ? 0 : SUBSTITUTION); }

static int64_t least_of(int64_t a, int64_t b) { return a < b ? a : b; }

/* Trace the best path of a part whose moves fit into the room; its words begin at places `first` and `begin`. */
static void trace(room *r, int64_t n, const int32_t *ref, int64_t m, const int32_t *hyp, int64_t first, int64_t begin)
{
    int64_t *cost = r->cost;
    for (int64_t j = 0; j <= m; j++) {
        cost[j] = j * GAP;
        r->move[j] = INSERTION;
    }
    for (int64_t i = 1; i <= n; i++) {
        int64_t corner = cost[0];
        uint8_t *row = r->move + i * (m + 1);
        cost[0] = i * GAP;
        row[0] = DELETION;
        for (int64_t j = 1; j <= m; j++) {
            int64_t pair = of_pair(corner, ref[i - 1], hyp[j - 1]), insertion = cost[j - 1] + GAP;
            int64_t least = least_of(pair, least_of(insertion, cost[j] + GAP));
            corner = cost[j];
            cost[j] = least;
            row[j] = least == pair ? PAIR : least == insertion ? INSERTION : DELETION;
        }
    }
    for (int64_t i = n, j = m; i > 0 || j > 0;) {
        uint8_t step = r->move[i * (m + 1) + j];
        r->at--;
        r->pairs[2 * r->at] = step == INSERTION ? -1 : first + --i;
        r->pairs[2 * r->at + 1] = step == DELETION ? -1 : begin + --j;
    }
}

/* Fill cost and column within diagonals low to high of a part, up to its last row. */
static void fill(room *r, int64_t n, const int32_t *ref, int64_t m, const int32_t *hyp, int64_t low, int64_t high)
{
    int64_t *cost = r->cost, *column = r->column, middle = n / 2;
    for (int64_t j = 0; j <= m; j++)
        cost[j] = j <= high ? j * GAP : FAR;
    for (int64_t i = 1; i <= n; i++) {
        int64_t from = i + low > 1 ? i + low : 1, to = least_of(m, i + high);
        int64_t corner = cost[from - 1], left = FAR, corner_column = column[from - 1], left_column = 0;
        if (i + low < 1) {
            left = cost[0] = i * GAP;
            left_column = column[0];
        }
        for (int64_t j = from; j <= to; j++) {
            int64_t pair = of_pair(corner, ref[i - 1], hyp[j - 1]), insertion = left + GAP;
            int64_t least = least_of(pair, least_of(insertion, cost[j] + GAP));
            int64_t above = column[j];
            left_column = least == pair ? corner_column : least == insertion ? left_column : above;
            corner = cost[j];
            corner_column = above;
            cost[j] = left = least;
            column[j] = left_column;
        }
        for (int64_t j = 0; i == middle && j <= m; j++)
            column[j] = j;
    }
}

/* As trace, of a part of any size (Hirschberg 1975): it is divided where its path leaves the middle row.
 *
 * The path is sought between diagonals (Ukkonen 1985) that are wide enough if a path beyond them, which has more
 * insertions and deletions, would cost more. A path in a region that holds the best one, ties decided in the order of
 * `trace`, is the same: what was not best there does not become so. */
static void align(room *r, int64_t n, const int32_t *ref, int64_t m, const int32_t *hyp, int64_t first, int64_t begin)
{
    if (n < 2 || (n + 1) <= r->most / (m + 1)) {
        trace(r, n, ref, m, hyp, first, begin);
        return;
    }
    int64_t least = m < n ? m - n : 0, greatest = m > n ? m - n : 0, gaps = greatest - least;
    for (int64_t width = BAND, enough = n + m;; width = least_of(4 * width, enough)) {
        fill(r, n, ref, m, hyp, least - width, greatest + width);
        enough = least_of(enough, (r->cost[m] / GAP - gaps) / 2); /* the cost of a path is no less than the least */
        if (width >= enough)
            break;
    }
    int64_t middle = n / 2, column = r->column[m];
    align(r, n - middle, ref + middle, m - column, hyp + column, first + middle, begin + column);
    align(r, middle, ref, column, hyp, first, begin);
}

int64_t core_align_words(int64_t n, const int32_t *ref, int64_t m, const int32_t *hyp, int64_t most, int64_t *pairs)
{
    int64_t cells = (n + 1) <= most / (m + 1) ? (n + 1) * (m + 1) : most;
    room r = {.most = most, .pairs = pairs, .at = n + m};
    r.move = malloc((size_t)(cells > 2 * (m + 1) ? cells : 2 * (m + 1)));
    r.cost = malloc((size_t)(m + 1) * sizeof(int64_t));
    r.column = calloc((size_t)(m + 1), sizeof(int64_t));
    if (r.move && r.cost && r.column)
        align(&r, n, ref, m, hyp, 0, 0);
    else
        r.at = -1;
    free(r.move);
    free(r.cost);
    free(r.column);
    return r.at;
}

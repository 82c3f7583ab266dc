/* Search for the graphones of a word. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double score;
    int32_t node, back, chosen; /* node: of the longest n-gram that is a history */
} hypothesis;

typedef struct {
    double score;
    int32_t place;
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *one = a, *other = b;
    if (one->score != other->score)
        return one->score < other->score ? 1 : -1;
    return one->place < other->place ? -1 : one->place > other->place;
}

/* ln P(token | n-gram of the node); the longest n-gram after it that is a history replaces `*node`. */
static double next_graphone(const core_ngrams *ngrams, int32_t *node, int32_t token)
{
    double score = 0.0;
    int32_t here = *node, found = token;
    while (here >= 0) {
        int64_t end = ngrams->children[here + 1], place = find(ngrams->token, ngrams->children[here], end, token);
        if (place < end && ngrams->token[place] == token) {
            found = (int32_t)place;
            break;
        }
        score += ngrams->backoff[here];
        here = ngrams->suffix[here];
    }
    score += ngrams->logprob[found];
    while (found >= 0 && ngrams->children[found] == ngrams->children[found + 1])
        found = ngrams->suffix[found];
    *node = found;
    return score;
}

int64_t core_pronounce(const core_ngrams *ngrams, int64_t letters, const int64_t *begin, const int32_t *token, double beam,
                       int64_t width, double *score, int32_t *spelled)
{
    int64_t made = 1, room = 1 + width * (begin[2 * letters] + 1), found = 0;
    hypothesis *all = calloc((size_t)room, sizeof *all); /* the first is <s>, node 0 */
    ranked *alive = malloc((size_t)room * sizeof *alive);
    int64_t(*slice)[4] = calloc((size_t)letters + 3, sizeof *slice); /* that end at a letter, by a pair, and by one */
    int whole = all && alive && slice;
    if (whole)
        slice[0][1] = 1;
    for (int64_t i = 0; whole && i <= letters; i++) {
        int64_t count = 0;
        for (int part = 0; part < 4; part += 2)
            for (int64_t h = slice[i][part]; h < slice[i][part + 1]; h++) {
                int32_t node = all[h].node;
                all[h].score += i == letters ? next_graphone(ngrams, &node, 1) : 0.0;
                alive[count++] = (ranked){all[h].score, (int32_t)h};
            }
        qsort(alive, (size_t)count, sizeof *alive, by_score);
        count = count < width ? count : width;
        while (count && alive[count - 1].score < alive[0].score - beam)
            count--;
        found = count;
        for (int64_t n = 1; i < letters && n <= 2; n++) {
            int64_t first = made;
            double floor = -INFINITY;
            for (int64_t k = 0; k < count; k++)
                for (int64_t t = begin[2 * i + n - 1]; t < begin[2 * i + n]; t++) {
                    int32_t node = all[alive[k].place].node;
                    double total = alive[k].score + next_graphone(ngrams, &node, token[t]);
                    if (total < floor)
                        continue;
                    floor = total - beam > floor ? total - beam : floor;
                    all[made++] = (hypothesis){total, node, alive[k].place, token[t]};
                }
            slice[i + n][4 - 2 * n] = first;
            slice[i + n][5 - 2 * n] = made;
        }
    }
    for (int64_t k = 0; whole && k < found; k++) {
        int64_t at = (k + 1) * letters;
        for (int64_t i = k * letters; i < at; i++)
            spelled[i] = -1;
        score[k] = alive[k].score;
        for (int32_t h = alive[k].place; h > 0; h = all[h].back)
            spelled[--at] = all[h].chosen;
    }
    free(all);
    free(alive);
    free(slice);
    return whole ? found : -1;
}

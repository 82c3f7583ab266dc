/* Confusion networks (Xu, Povey, Mangu, Zhu 2011). */
#include "core.h"

#include <stdlib.h>

#define TIE 1e-5 /* extra cost of an insertion, so that paths with fewer words win ties */

/* Cost of aligning a word with a slot. */
static inline double cost(int32_t word, int32_t slot, int32_t nothing)
{
    return word == slot ? 0.0 : slot == nothing ? 1.0 + TIE : 1.0;
}

static inline double share_of(double posterior, double mass) { return posterior / (mass > 1e-300 ? mass : 1e-300); }

/* Expected errors after an arc with `word` against the first q slots (Q + 1), from those before it. */
static void follow(const double *before, int32_t word, int64_t slots, const int32_t *slot, int32_t nothing, double *out)
{
    double extra = cost(word, nothing, nothing);
    out[0] = before[0] + extra;
    for (int64_t q = 1; q <= slots; q++) {
        double least = before[q - 1] + cost(word, slot[q - 1], nothing), more = before[q] + extra;
        double left = out[q - 1] + cost(nothing, slot[q - 1], nothing);
        least = more < least ? more : least;
        out[q] = left < least ? left : least;
    }
}

double core_confusion_align(int64_t arcs, const int32_t *source, const int32_t *target, const int32_t *word,
                            const double *posterior, int64_t nodes, const int32_t *time, int64_t slots,
                            const int32_t *slot, int32_t nothing, int64_t kinds, double *share, double *starts,
                            double *ends)
{
    size_t width = (size_t)slots + 1;
    double *mass = calloc((size_t)nodes, sizeof *mass); /* of the paths through a node */
    double *errors = calloc((size_t)nodes * width, sizeof *errors);
    double *behind = calloc((size_t)nodes * width, sizeof *behind); /* mass of paths aligned at (node, q), from the end */
    double *here = calloc(2 * width, sizeof *here), *left = here + width, expected = -1.0;
    if (!mass || !errors || !behind || !here)
        goto done;
    mass[0] = 1.0;
    for (int64_t arc = 0; arc < arcs; arc++)
        mass[target[arc]] += posterior[arc];
    for (int64_t q = 0; q < slots; q++)
        errors[q + 1] = errors[q] + cost(nothing, slot[q], nothing);
    for (int64_t arc = 0; arc < arcs; arc++) { /* in the order of sources: all that comes into a source has been added */
        double part = share_of(posterior[arc], mass[target[arc]]), *there = errors + (size_t)target[arc] * width;
        follow(errors + (size_t)source[arc] * width, word[arc], slots, slot, nothing, here);
        for (int64_t q = 0; q <= slots; q++)
            there[q] += part * here[q];
    }
    behind[(size_t)nodes * width - 1] = 1.0;
    for (int64_t arc = arcs - 1; arc >= 0; arc--) {
        int32_t s = source[arc], n = target[arc], w = word[arc];
        double part = share_of(posterior[arc], mass[n]);
        if (part == 0.0)
            continue;
        const double *before = errors + (size_t)s * width;
        double *to = behind + (size_t)s * width;
        follow(before, w, slots, slot, nothing, here);
        for (int64_t q = 0; q <= slots; q++)
            left[q] = part * behind[(size_t)n * width + (size_t)q];
        for (int64_t q = slots; q > 0; q--) {
            if (left[q] == 0.0)
                continue;
            int64_t place = (q - 1) * kinds;
            if (here[q] == before[q - 1] + cost(w, slot[q - 1], nothing)) {
                to[q - 1] += left[q];
                share[place + w] += left[q];
                if (w != nothing) {
                    starts[place + w] += left[q] * time[s];
                    ends[place + w] += left[q] * time[n];
                }
            } else if (here[q] == before[q] + cost(w, nothing, nothing)) {
                to[q] += left[q];
            } else {
                left[q - 1] += left[q];
                share[place + nothing] += left[q];
            }
        }
        to[0] += left[0];
    }
    for (int64_t q = slots; q > 0; q--) {
        behind[q - 1] += behind[q];
        share[(q - 1) * kinds + nothing] += behind[q];
    }
    expected = errors[(size_t)nodes * width - 1];
done:
    free(mass);
    free(errors);
    free(behind);
    free(here);
    return expected;
}

/* Lattices: best paths and sums over paths. */
#include "core.h"

#include <math.h>

#ifndef CORE_SOURCES
#define CORE_SOURCES ""
#endif

const char *core_sources(void) { return CORE_SOURCES; }

static double log_add(double a, double b)
{
    if (a == b)
        return a + 0.693147180559945309417232121458176568; /* ln 2; both may be -inf */
    return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b));
}

void core_lattice_best(int64_t arcs, const int32_t *source, const int32_t *target, const double *score, int64_t nodes,
                       double *best, int32_t *came)
{
    for (int64_t node = 0; node < nodes; node++) {
        best[node] = node ? -INFINITY : 0.0;
        came[node] = -1;
    }
    for (int64_t arc = 0; arc < arcs; arc++) {
        double value = best[source[arc]] + score[arc];
        if (value > best[target[arc]]) {
            best[target[arc]] = value;
            came[target[arc]] = (int32_t)arc;
        }
    }
}

void core_lattice_forward(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                          int64_t nodes, double *total)
{
    for (int64_t node = 0; node < nodes; node++)
        total[node] = node ? -INFINITY : 0.0;
    for (int64_t arc = 0; arc < arcs; arc++)
        total[target[arc]] = log_add(total[target[arc]], total[source[arc]] + score[arc]);
}

void core_lattice_backward(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                           int64_t nodes, int32_t summed, double *total)
{
    for (int64_t node = 0; node < nodes; node++)
        total[node] = node < nodes - 1 ? -INFINITY : 0.0;
    for (int64_t arc = arcs - 1; arc >= 0; arc--) {
        double value = total[target[arc]] + score[arc], *here = &total[source[arc]];
        *here = summed ? log_add(*here, value) : value > *here ? value : *here;
    }
}

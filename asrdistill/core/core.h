/* The native kernels of asrdistill. Nothing here has global state: functions may run in any thread, on arrays of their
 * own. Arrays belong to the caller. Indices are trusted: asrdistill/decode/bounds.py checks those of a search graph when
 * it is loaded. Types and orders of operations are fixed, so that results are the same to the bit on every machine. */
#ifndef CORE_H
#define CORE_H

#include <stdint.h>

#define CORE __attribute__((visibility("default")))

/* The hash of the sources that the library was compiled from. */
CORE const char *core_sources(void);

/* Lattices (lattice.c): V nodes and A arcs, sorted by source, each leading upwards; paths lead from node 0 to the last.
 * score (A) is each arc's share of a path's score. */

/* best (V): score of the best path to each node; came (V): the arc by which it comes, or -1. */
CORE void core_lattice_best(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                            int64_t nodes, double *best, int32_t *came);
/* total (V): ln of the sum over all paths from the start to each node. */
CORE void core_lattice_forward(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                               int64_t nodes, double *total);
/* total (V): of the paths from each node to the end the best one's score, or ln of the sum over all. */
CORE void core_lattice_backward(int64_t arcs, const int32_t *source, const int32_t *target, const double *score,
                                int64_t nodes, int32_t summed, double *total);

#endif

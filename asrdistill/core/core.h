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


/* Words (words.c): aligns ref (n) with hyp (m) as sclite does and returns the first of the rows of pairs (n + m, 2) that
 * is used: places in ref and hyp, -1 where there is none. cost (m + 1) and move ((n + 1) * (m + 1)) are room to work. */
CORE int64_t core_align_words(int64_t n, const int32_t *ref, int64_t m, const int32_t *hyp, int64_t *cost,
                              uint8_t *move, int64_t *pairs);

/* Layers of networks (network.c). `most` is the largest set of instructions that may be used: 0 plain, 1 AVX2,
 * 2 AVX-512 with VNNI. In float32 the sets differ by rounding; a row's outputs do not depend on the rows beside it. */

typedef struct {
    const void *weight;    /* panels of 16 units, of float or of int8_t, at most 64 in magnitude */
    const float *scale;    /* of whole panels: what a unit's sum of bytes is multiplied by; NULL: weights are float */
    const float *bias;     /* of whole panels */
    int64_t inputs, units;
    int32_t relu;
} core_layer;

typedef struct {
    const void *x;         /* float; or uint8_t, of which three beyond the last row can be read */
    int64_t count, stride; /* rows, and numbers from one to the next */
    const float *add;      /* what is added to the outputs, or NULL */
    int64_t add_stride;
    float *y;              /* (count, units) */
} core_rows;

CORE void core_layer_run(int32_t most, const core_layer *layer, const core_rows *rows);
/* y (count, size): round(x * factor) + zero, from 0 to 255; factor (size). */
CORE void core_to_bytes(int32_t most, const float *x, int64_t count, int64_t size, const float *factor, int32_t zero,
                        uint8_t *y);
/* y (count, channels): y[t] = sum over k of weight[k] * x[t * step + k * dilation]; weight (taps, channels). */
CORE void core_delayed(int32_t most, const float *x, int64_t count, int64_t step, int64_t dilation, int64_t taps,
                       int64_t channels, const float *weight, float *y);

#endif

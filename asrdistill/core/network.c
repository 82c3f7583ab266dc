/* Layers of acoustic networks: products of frames with weights, in float32 or of bytes.

   core/layers.py packs the weights into panels of 16 units and checks all sizes. In a panel an input's weights of all
   units stand side by side (float32), or those of four inputs, unit by unit (int8). An output is summed in the order of
   its inputs, whatever rows come with it: a stream has the scores of the whole utterance. */

#include "core.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define PANEL 16
#define BLOCK 96 /* rows that stay in the cache while the weights pass */

typedef core_layer Layer;
typedef core_rows Rows;

typedef struct {
    void (*layer)(const Layer *, const Rows *);
    void (*bytes)(const float *, int64_t, int64_t, const float *, int, uint8_t *);
    void (*delayed)(const float *, int64_t, int64_t, int64_t, int64_t, int64_t, const float *, float *);
} Kernels;

INLINE void finish_some(int64_t count, int relu, const float *bias, const float *value, const float *add, float *y)
{
    for (int64_t i = 0; i < count; i++) {
        float sum = value[i] + bias[i];
        sum = relu && !(sum > 0) ? 0 : sum;
        y[i] = add ? sum + add[i] : sum;
    }
}

/* Writes a row's outputs of a panel. */
INLINE void finish(const Layer *layer, const Rows *in, int64_t row, int64_t unit, const float *value)
{
    const float *add = in->add ? in->add + row * in->add_stride + unit : NULL, *bias = layer->bias + unit;
    float *y = in->y + row * layer->units + unit;
    if (layer->units - unit < PANEL)
        finish_some(layer->units - unit, layer->relu, bias, value, add, y);
    else if (add)
        finish_some(PANEL, layer->relu, bias, value, add, y);
    else
        finish_some(PANEL, layer->relu, bias, value, NULL, y);
}

/* Any processor: vectors of 4, which compilers translate. */
typedef int32_t quad __attribute__((vector_size(16), aligned(4), may_alias));
INLINE quad dot_plain(quad sum, const uint8_t *x, const int8_t *w)
{
    for (int i = 0; i < 4; i++)
        sum[i] += x[0] * w[4 * i] + x[1] * w[4 * i + 1] + x[2] * w[4 * i + 2] + x[3] * w[4 * i + 3];
    return sum;
}
#define LANES 4
#define ROWS 3
#define TARGET
#define NAME(x) x##_plain
#define MADD(sum, x, w) ((sum) + (x) * (w))
#define DOT dot_plain
#include "network_tile.h"

#if defined(__x86_64__)
#include <immintrin.h>

INLINE int32_t four_of(const uint8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    return four;
}

/* Weights are at most 64, so that two products fit into 16 bits. */
#define LANES 8
#define ROWS 5
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(x) x##_avx2
#define MADD(sum, x, w) (floats_avx2) _mm256_fmadd_ps(_mm256_set1_ps(x), (__m256)(w), (__m256)(sum))
#define DOT(sum, x, w)                                                                                            \
    (ints_avx2) _mm256_add_epi32((__m256i)(sum),                                                                  \
                                 _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi32(four_of(x)),            \
                                                                        _mm256_loadu_si256((const __m256i *)(w))), \
                                                   _mm256_set1_epi16(1)))
#include "network_tile.h"

#define LANES 16
#define ROWS 12
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")))
#define NAME(x) x##_vnni
#define MADD(sum, x, w) (floats_vnni) _mm512_fmadd_ps(_mm512_set1_ps(x), (__m512)(w), (__m512)(sum))
#define DOT(sum, x, w) \
    (ints_vnni) _mm512_dpbusd_epi32((__m512i)(sum), _mm512_set1_epi32(four_of(x)), _mm512_loadu_si512(w))
#include "network_tile.h"
#endif

static const Kernels *kernels(int32_t most)
{
    (void)most;
#if defined(__x86_64__)
    if (most > 1 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return &kernels_vnni;
    if (most > 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &kernels_avx2;
#endif
    return &kernels_plain;
}

void core_layer_run(int32_t most, const core_layer *layer, const core_rows *rows)
{
    kernels(most)->layer(layer, rows);
}

void core_to_bytes(int32_t most, const float *x, int64_t count, int64_t size, const float *factor, int32_t zero,
                   uint8_t *y)
{
    kernels(most)->bytes(x, count, size, factor, zero, y);
}

void core_delayed(int32_t most, const float *x, int64_t count, int64_t step, int64_t dilation, int64_t taps,
                  int64_t channels, const float *weight, float *y)
{
    kernels(most)->delayed(x, count, step, dilation, taps, channels, weight, y);
}

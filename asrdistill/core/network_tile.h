/* The work of network.c for vectors of LANES numbers. It is included once for each set of instructions, with

     LANES    numbers in a vector
     ROWS     rows of a tile: what its sums take fits into the registers
     TARGET   the instructions that these functions may use
     NAME(x)  x, with the name of the set
     MADD     a vector plus a number times a vector
     DOT      integers plus four products of bytes each */

typedef float NAME(floats) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t NAME(ints) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define PARTS (PANEL / LANES)

TARGET INLINE void NAME(rows)(int count, const Layer *layer, const Rows *in, int64_t row, int64_t unit)
{
    const float *x = (const float *)in->x + row * in->stride, *w = (const float *)layer->weight + unit * layer->inputs;
    NAME(floats) sum[ROWS][PARTS] = {0};
    for (int64_t k = 0; k < layer->inputs; k++, w += PANEL)
        for (int r = 0; r < count; r++)
            for (int p = 0; p < PARTS; p++)
                sum[r][p] = MADD(sum[r][p], x[r * in->stride + k], *(const NAME(floats) *)(w + p * LANES));
    for (int r = 0; r < count; r++)
        finish(layer, in, row + r, unit, (const float *)sum[r]);
}

TARGET INLINE void NAME(rows_of_bytes)(int count, const Layer *layer, const Rows *in, int64_t row, int64_t unit)
{
    int64_t quads = (layer->inputs + 3) / 4;
    const uint8_t *x = (const uint8_t *)in->x + row * in->stride;
    const int8_t *w = (const int8_t *)layer->weight + unit * 4 * quads;
    NAME(ints) sum[ROWS][PARTS] = {0};
    for (int64_t k = 0; k < quads; k++, w += 4 * PANEL)
        for (int r = 0; r < count; r++)
            for (int p = 0; p < PARTS; p++)
                sum[r][p] = DOT(sum[r][p], x + r * in->stride + 4 * k, w + 4 * p * LANES);
    for (int r = 0; r < count; r++) {
        float value[PANEL];
        for (int i = 0; i < PANEL; i++)
            value[i] = (float)((const int32_t *)sum[r])[i] * layer->scale[unit + i];
        finish(layer, in, row + r, unit, value);
    }
}

TARGET static void NAME(layer)(const Layer *layer, const Rows *in)
{
    for (int64_t begin = 0; begin < in->count; begin += BLOCK)
        for (int64_t unit = 0; unit < layer->units; unit += PANEL) {
            int64_t end = begin + BLOCK < in->count ? begin + BLOCK : in->count, row = begin;
            if (layer->scale) {
                for (; row + ROWS <= end; row += ROWS)
                    NAME(rows_of_bytes)(ROWS, layer, in, row, unit);
                for (; row < end; row++)
                    NAME(rows_of_bytes)(1, layer, in, row, unit);
            } else {
                for (; row + ROWS <= end; row += ROWS)
                    NAME(rows)(ROWS, layer, in, row, unit);
                for (; row + 3 <= end; row += 3)
                    NAME(rows)(3, layer, in, row, unit);
                for (; row < end; row++)
                    NAME(rows)(1, layer, in, row, unit);
            }
        }
}

TARGET static void NAME(bytes)(const float *x, int64_t count, int64_t size, const float *factor, int zero, uint8_t *y)
{
    for (int64_t t = 0; t < count; t++, x += size, y += size)
        for (int64_t i = 0; i < size; i++) {
            float value = x[i] * factor[i] + (float)zero;
            value = value > 0 ? value : 0; /* NaN too */
            y[i] = (uint8_t)((value < 255 ? value : 255) + 0.5f);
        }
}

TARGET static void NAME(delayed)(const float *x, int64_t count, int64_t step, int64_t dilation, int64_t taps,
                                 int64_t channels, const float *weight, float *y)
{
    for (int64_t t = 0; t < count; t++, x += step * channels, y += channels)
        for (int64_t k = 0; k < taps; k++)
            for (int64_t i = 0; i < channels; i++)
                y[i] = (k ? y[i] : 0) + x[k * dilation * channels + i] * weight[k * channels + i];
}

static const Kernels NAME(kernels) = {NAME(layer), NAME(bytes), NAME(delayed)};

#undef LANES
#undef ROWS
#undef TARGET
#undef NAME
#undef MADD
#undef DOT
#undef PARTS

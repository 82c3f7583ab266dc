/* Online front end: samples to log-mel filterbanks or cepstra, as Kaldi makes them, in chunks of any sizes. A frame is
 * computed from its own samples alone, so that results do not depend on the chunks. */
#include "internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROOM(array, room, needed) grow((void **)&(array), &(room), (needed), sizeof *(array))

struct core_frontend {
    core_features features;
    float *held, *frame;               /* samples from number `first` on; the frames that were made last */
    int64_t count, first, made;        /* held samples; number of held[0] in the stream; frames made */
    int64_t held_room, frame_room;
    int64_t *span, *order;             /* (bins, 2): where a filter is above 0; (fft / 2): places in a transform */
    double *turn, *re, *im, *sum;      /* (fft / 2, 2) cos, -sin of 2 pi k / fft; (fft / 2); (fft / 2); (size) */
    float *mel, *past;                 /* (bins); (recent, size): frames that the sum is of, besides the prior */
};

static int64_t size_of(const core_features *features) { return features->cepstra ? features->cepstra : features->bins; }

core_frontend *core_frontend_new(const core_features *features)
{
    core_frontend *front = calloc(1, sizeof *front);
    if (!front)
        return NULL;
    size_t half = (size_t)features->fft / 2, bins = (size_t)features->bins, size = (size_t)size_of(features);
    front->features = *features;
    front->span = calloc(bins, 2 * sizeof *front->span);
    front->order = calloc(half, sizeof *front->order);
    front->turn = calloc(4 * half + size, sizeof *front->turn);
    front->mel = calloc(bins, sizeof *front->mel);
    front->past = calloc((size_t)features->recent + 1, size * sizeof *front->past);
    if (!front->span || !front->order || !front->turn || !front->mel || !front->past) {
        core_frontend_free(front);
        return NULL;
    }
    front->re = front->turn + 2 * half;
    front->im = front->re + half;
    front->sum = front->im + half;
    for (size_t k = 0; k < half; k++) {
        double angle = 3.14159265358979323846 * (double)k / (double)half;
        front->turn[2 * k] = cos(angle);
        front->turn[2 * k + 1] = -sin(angle);
        front->order[k] = k ? (front->order[k / 2] + (k % 2 ? (int64_t)half : 0)) / 2 : 0; /* its bits, reversed */
    }
    for (size_t b = 0; b < bins; b++) {
        int64_t *span = front->span + 2 * b;
        for (size_t k = half; k-- > 0;)
            if (features->filter[k * bins + b] > 0) {
                span[0] = (int64_t)k;
                span[1] = span[1] ? span[1] : (int64_t)k + 1;
            }
    }
    for (size_t i = 0; features->mean && i < size; i++)
        front->sum[i] = features->prior * features->mean[i];
    return front;
}

void core_frontend_free(core_frontend *front)
{
    if (!front)
        return;
    void *arrays[] = {front->held, front->frame, front->span, front->order, front->turn, front->mel, front->past,
                      front};
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++)
        free(arrays[k]);
}

/* Fourier transform of fft / 2 complex numbers, which stand in re and im at the places `order` (Cooley and Tukey 1965). */
static void transform(core_frontend *front)
{
    int64_t half = front->features.fft / 2;
    double *re = front->re, *im = front->im;
    for (int64_t length = 1; length < half; length *= 2)
        for (int64_t begin = 0; begin < half; begin += 2 * length)
            for (int64_t k = 0; k < length; k++) {
                const double *turn = front->turn + 2 * (half / length * k);
                int64_t a = begin + k, b = a + length;
                double x = re[b] * turn[0] - im[b] * turn[1], y = re[b] * turn[1] + im[b] * turn[0];
                re[b] = re[a] - x;
                im[b] = im[a] - y;
                re[a] += x;
                im[a] += y;
            }
}

/* Sample number i of a stream that has `total` so far, reflected at its ends. */
static double sample(const core_frontend *front, int64_t i, int64_t total)
{
    while (i < 0 || i >= total)
        i = i < 0 ? -1 - i : 2 * total - 1 - i;
    return front->held[i - front->first];
}

/* The frame whose number is `number`, as are those of samples. */
static void make_frame(core_frontend *front, int64_t number, int64_t begin, int64_t total, float *frame)
{
    const core_features *of = &front->features;
    int64_t half = of->fft / 2, size = size_of(of);
    double mean = 0.0, before = 0.0, *part[2] = {front->re, front->im};
    for (int64_t n = 0; n < of->window; n++)
        mean += sample(front, begin + n, total);
    mean /= (double)of->window;
    memset(front->re, 0, 2 * (size_t)half * sizeof *front->re);
    for (int64_t n = 0; n < of->window; n++) { /* even samples are real parts, odd ones imaginary */
        double here = sample(front, begin + n, total) - mean;
        part[n % 2][front->order[n / 2]] = (here - of->preemphasis * (n ? before : here)) * of->taper[n];
        before = here;
    }
    transform(front);
    double *re = front->re, *im = front->im;
    for (int64_t k = 0; k <= half - k; k++) { /* the transforms of even and odd samples, and powers of their sums */
        int64_t other = k ? half - k : 0;
        double even[2] = {(re[k] + re[other]) / 2, (im[k] - im[other]) / 2};
        double odd[2] = {(im[k] + im[other]) / 2, (re[other] - re[k]) / 2};
        double c = front->turn[2 * k], s = front->turn[2 * k + 1], x = odd[0] * c - odd[1] * s;
        double y = odd[0] * s + odd[1] * c;
        re[k] = (even[0] + x) * (even[0] + x) + (even[1] + y) * (even[1] + y);
        if (k && other != k)
            re[other] = (even[0] - x) * (even[0] - x) + (even[1] - y) * (even[1] - y);
    }
    float *mel = of->cepstra ? front->mel : frame;
    for (int64_t b = 0; b < of->bins; b++) {
        double energy = 0.0;
        for (int64_t k = front->span[2 * b]; k < front->span[2 * b + 1]; k++)
            energy += re[k] * of->filter[k * of->bins + b];
        mel[b] = (float)log(energy > FLT_EPSILON ? energy : FLT_EPSILON);
    }
    for (int64_t i = 0; i < of->cepstra; i++) {
        double sum = 0.0;
        for (int64_t b = 0; b < of->bins; b++)
            sum += (double)(mel[b] > of->floor ? mel[b] : of->floor) * of->dct[b * of->cepstra + i];
        frame[i] = (float)sum;
    }
    double frames = of->prior + (double)(number < of->recent ? number + 1 : of->recent);
    float *past = front->past + (of->recent ? number % of->recent : 0) * size;
    for (int64_t i = 0; of->mean && i < size; i++) {
        front->sum[i] += (double)frame[i] - past[i]; /* which is 0 as long as there are few */
        past[i] = frame[i];
        frame[i] = (float)((frame[i] - front->sum[i] / frames) / of->deviation[i]);
    }
}

int64_t core_frontend_accept(core_frontend *front, const float *samples, int64_t count, int32_t last,
                             const float **frames)
{
    const core_features *of = &front->features;
    int64_t offset = of->snip_edges ? 0 : of->shift / 2 - of->window / 2, size = size_of(of), wanted = 0;
    if (!ROOM(front->held, front->held_room, front->count + count))
        return -1;
    if (count)
        memcpy(front->held + front->count, samples, (size_t)count * sizeof *samples);
    front->count += count;
    int64_t total = front->first + front->count, beyond = total - of->window - offset;
    if (last && !of->snip_edges)
        wanted = (total + of->shift / 2) / of->shift;
    else if (beyond >= 0 && (last || total >= of->window + of->shift)) /* enough to reflect */
        wanted = 1 + beyond / of->shift;
    int64_t made = wanted > front->made ? wanted - front->made : 0;
    if (!ROOM(front->frame, front->frame_room, made * size))
        return -1;
    for (int64_t k = 0; k < made; k++)
        make_frame(front, front->made + k, (front->made + k) * of->shift + offset, total, front->frame + k * size);
    front->made += made;
    int64_t keep = front->made * of->shift + offset; /* from there on, and what may be reflected at the end */
    keep = (keep < total - of->window ? keep : total - of->window) - front->first;
    if (keep > 0) {
        front->count -= keep;
        front->first += keep;
        memmove(front->held, front->held + keep, (size_t)front->count * sizeof *front->held);
    }
    *frames = front->frame;
    return made;
}

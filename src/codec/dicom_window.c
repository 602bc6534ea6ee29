/* Gray values of DICOM: stored value -> modality value (rescale or LUT) -> VOI LUT or window ->
 * MONOCHROME1 inversion, as one table over all stored values (PS3.3 C.11.1, C.11.2; PS3.4 N.2).
 *
 * Every step is done in double and rounded once, half up, at the end; the order of the operations is
 * that of pydicom's apply_modality_lut and apply_voi_lut, so that even ties round alike. As there a
 * VOI LUT goes before a window, and the first of several is taken. Without both, up to 8 bits stored
 * keep their full range (they are what was meant to be seen), more bits are stretched from the
 * smallest to the largest value of the image, padding left out. Read first: dicom.h. */
#include "codec/dicom.h"

#include <math.h>

int eg_codec_dicom_look_up(const eg_dicom_lut *lut, double value) {
    double at = value - lut->first;
    size_t i = !(at >= 0) ? 0 : at >= (double)lut->n ? lut->n - 1 : (size_t)at;
    if (lut->n_bytes < (size_t)lut->n * 2) return lut->data[i];
    return lut->data[2 * i] | lut->data[2 * i + 1] << 8;
}

/* The bits of a stored value as a number. */
static int32_t signed_value(const eg_codec_dicom *d, uint32_t bits) {
    uint32_t sign = 1u << (d->bits_stored - 1);
    return d->is_signed && (bits & sign) ? (int32_t)bits - (int32_t)(2 * sign) : (int32_t)bits;
}

static double modality_value(const eg_codec_dicom *d, int32_t stored) {
    if (d->modality.n > 0) return eg_codec_dicom_look_up(&d->modality, stored);
    return d->has_rescale ? (double)stored * d->slope + d->intercept : stored;
}

/* 0 to `top` for a modality value by the window; formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3. */
static double windowed(const eg_codec_dicom *d, double x, double top) {
    double center = d->center, width = d->width;
    if (d->function == EG_DICOM_SIGMOID) return top / (1 + exp(-4 * (x - center) / width));
    if (d->function == EG_DICOM_LINEAR) {
        center -= 0.5;
        width -= 1;
    }
    if (x <= center - width / 2) return 0;
    if (x > center + width / 2) return top;
    return ((x - center) / width + 0.5) * top;
}

/* Modality values that become black and white where the file has neither window nor VOI LUT. */
static void find_range(double *low, double *high, const uint8_t *present, const eg_codec_dicom *d) {
    uint32_t n = 1u << d->bits_stored;
    *low = INFINITY;
    *high = -INFINITY;
    for (uint32_t i = 0; i < n; i++) {
        int32_t stored = signed_value(d, i);
        bool padding = d->has_padding && stored >= d->padding && stored <= d->padding_limit;
        if (d->bits_stored > 8 && (!present[i] || padding)) continue;
        double x = modality_value(d, stored);
        if (x < *low) *low = x;
        if (x > *high) *high = x;
    }
}

eg_status eg_codec_dicom_window(uint16_t *table, const uint8_t *present, const eg_codec_dicom *d,
                                int top, eg_error *err) {
    double low = 0, high = 0, scale = top;
    bool stretched = d->voi.n == 0 && !d->has_window;
    double narrowest = d->function == EG_DICOM_LINEAR ? 1 : 0;
    if (d->voi.n == 0 && d->has_window &&
        (d->width < narrowest || (narrowest < 1 && d->width <= 0)))
        return eg_fail(err, EG_ERR_INPUT,
                       "the DICOM window has width %g, expected %s - mend or remove the window "
                       "(0028,1050) and (0028,1051)",
                       d->width, narrowest < 1 ? "more than 0" : "1 or more");
    if (stretched) find_range(&low, &high, present, d);
    for (uint32_t i = 0; i < 1u << d->bits_stored; i++) {
        if (!present[i]) continue;
        double x = modality_value(d, signed_value(d, i)), y;
        if (d->voi.n > 0)
            y = eg_codec_dicom_look_up(&d->voi, x) * scale / ((1 << d->voi.bits) - 1);
        else if (d->has_window)
            y = windowed(d, x, scale);
        else /* one value only: black */
            y = high > low ? (x - low) / (high - low) * scale : 0;
        double rounded = floor(y + 0.5); /* a NaN of absurd slopes falls to 0 */
        int value = !(rounded > 0) ? 0 : rounded > scale ? top : (int)rounded;
        table[i] = (uint16_t)(d->photometric == EG_DICOM_MONOCHROME1 ? top - value : value);
    }
    return EG_OK;
}

/* Private to codec: the image formats behind eg_image_decode, each on a borrowed range of bytes, and
 * what they share (memory under the pixel limit, EXIF orientation). Which format a file has is
 * decided in image.c; every format has its own file. Read first: codec.h, "images". */
#ifndef EG_CODEC_IMAGE_FORMATS_H
#define EG_CODEC_IMAGE_FORMATS_H

#include "codec/codec.h"

/* Decode; `options` not NULL. On failure *out is untouched. Error texts have no path in front. */
eg_status eg_codec_jpeg_decode(eg_image *out, const uint8_t *data, size_t size,
                               const eg_image_options *options, eg_error *err);
eg_status eg_codec_png_decode(eg_image *out, const uint8_t *data, size_t size,
                              const eg_image_options *options, eg_error *err);
eg_status eg_codec_tiff_decode(eg_image *out, const uint8_t *data, size_t size,
                               const eg_image_options *options, eg_error *err);
eg_status eg_codec_pnm_decode(eg_image *out, const uint8_t *data, size_t size,
                              const eg_image_options *options, eg_error *err);
eg_status eg_codec_bmp_decode(eg_image *out, const uint8_t *data, size_t size,
                              const eg_image_options *options, eg_error *err);
eg_status eg_codec_webp_decode(eg_image *out, const uint8_t *data, size_t size,
                               const eg_image_options *options, eg_error *err);
eg_status eg_codec_dicom_decode(eg_image *out, const uint8_t *data, size_t size,
                                const eg_image_options *options, eg_error *err);

/* What the header says (as decoding would give it); no pixel is decoded or allocated, no limit is
 * applied. On failure *out is untouched. DICOM: `salt` as eg_image_probe. */
eg_status eg_codec_jpeg_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err);
eg_status eg_codec_png_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err);
eg_status eg_codec_tiff_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err);
eg_status eg_codec_pnm_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err);
eg_status eg_codec_bmp_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err);
eg_status eg_codec_webp_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err);
eg_status eg_codec_dicom_probe(eg_image_info *out, const uint8_t *data, size_t size,
                               const void *salt, size_t n_salt, eg_error *err);

/* Do these first bytes (132 suffice) begin a DICOM file? With the preamble of PS3.10, or the bare
 * elements that some archives write. */
bool eg_codec_dicom_recognised(const void *data, size_t size);

/* EG_ERR_LIMIT when width x height is more than the options allow. */
eg_status eg_codec_image_limit(const eg_image *image, const eg_image_options *options,
                               eg_error *err);
/* Memory for an image whose width, height, channels and deep are set: checks the limits first, then
 * allocates pixels. EG_ERR_LIMIT, EG_ERR_NO_MEMORY. */
eg_status eg_codec_image_alloc(eg_image *image, const eg_image_options *options, eg_error *err);

/* ---- EXIF orientation (image_orientation.c) ---- */

/* Of a JPEG file: 1 to 8, and 1 where none is said or what is said makes no sense. */
int eg_codec_jpeg_orientation(const uint8_t *data, size_t size);
/* Turn the pixels upright, in memory of their own; 1 does nothing. On failure *image is as before.
 * EG_ERR_NO_MEMORY. */
eg_status eg_codec_image_orient(eg_image *image, int orientation, eg_error *err);
/* Do width and height change places? */
static inline bool eg_codec_orientation_turns(int orientation) {
    return orientation >= 5 && orientation <= 8;
}

#endif

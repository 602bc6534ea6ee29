/* Private to codec: a TIFF file that is open in memory, between tiff.c (header, checks, the door) and
 * tiff_pixels.c (strips and tiles to pixels). */
#ifndef EG_CODEC_TIFF_H
#define EG_CODEC_TIFF_H

#include "codec/image_formats.h"
#include <tiffio.h>

typedef struct {
    const uint8_t *data;
    size_t size, pos; /* of the file in memory; pos: libtiff's file position */
    TIFF *tif;
    char text[200]; /* the first thing that libtiff complained of; "": nothing */
    int n_frames;
    bool says_palette; /* the file itself, whatever libtiff makes of it */
    /* the first directory, checked */
    int width, height;
    unsigned bits, samples; /* a sample; samples a pixel in the file, with those that are dropped */
    unsigned photometric, compression;
    int orientation; /* 1 to 8 */
    bool planar;     /* each sample in a plane of its own */
    bool ycbcr;      /* JPEG, turned into RGB by libjpeg */
    bool premultiplied;
    uint8_t palette[256][3];
} eg_tiff;

/* Strips or tiles into image->pixels, whose size, channels and depth are set. */
eg_status eg_codec_tiff_pixels(eg_image *image, eg_tiff *t, eg_error *err);
/* An error with libtiff's reason. */
eg_status eg_codec_tiff_fail(const eg_tiff *t, eg_error *err);

#endif

/* JPEG through libjpeg (the version 6b interface of libjpeg-turbo), giving the pixels that Pillow
 * gives: accurate integer inverse DCT, smooth chroma upsampling; gray stays gray, YCbCr becomes
 * RGB, CMYK becomes RGB by Pillow's rule. The EXIF orientation is applied. With options->min_side
 * libjpeg may decode at 1/2, 1/4 or 1/8 (DCT scaling), which is faster and not exact.
 *
 * libjpeg reports by callbacks that must not return: the error manager here jumps back with setjmp.
 * Its warnings (cut or damaged data, shown as gray areas) are errors here, since such a picture
 * must not train a network unseen. Data behind the end of the first image (multi-picture files) is
 * not read. Read first: image_formats.h;
 * writing: jpeg_encode.c. */
#include "codec/image_formats.h"
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* after stdio.h: jpeglib.h needs FILE and size_t */
#include <jerror.h>
#include <jpeglib.h>

enum { ROWS_A_CALL = 16 };
enum { MAX_SCANS = 100 };                          /* a real progressive file has about 10 */
static const long max_decoder_bytes = 1024L << 20; /* coefficients of a progressive file */

/* Everything of one decode; in one struct so that nothing lives in registers across setjmp. */
typedef struct {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr manager;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    const uint8_t *data;
    size_t size;
    eg_image image;
    uint8_t *cmyk_row; /* one row of four channels, only for CMYK */
    eg_status status;
    eg_error *err;
} jpeg_job;

/* ---- callbacks ---- */

static jpeg_job *job_of(j_common_ptr cinfo) {
    return cinfo->client_data;
}

/* Where the decoder stands in the file; it reads ahead by a few bytes at most. */
static int64_t job_offset(const jpeg_job *job) {
    const struct jpeg_source_mgr *src = job->cinfo.src;
    if (src == NULL || src->next_input_byte == NULL) return 0;
    /* at the end of the data libjpeg reads from a made-up end marker of its own */
    const uint8_t *p = src->next_input_byte;
    if (p < job->data || p > job->data + job->size) return (int64_t)job->size;
    return p - job->data;
}

/* error_exit: turn libjpeg's message into ours and leave. Never returns. */
static void jump_out(j_common_ptr cinfo) {
    jpeg_job *job = job_of(cinfo);
    int64_t offset = job_offset(job);
    char text[JMSG_LENGTH_MAX];
    switch (job->manager.msg_code) {
    case JWRN_JPEG_EOF:
    case JERR_INPUT_EOF:
    case JERR_INPUT_EMPTY:
        offset = (int64_t)job->size;
        job->status = eg_fail_at(job->err, EG_ERR_INPUT, offset,
                                 "unexpected end of JPEG data at byte %jd - the file is cut short",
                                 (intmax_t)offset);
        break;
    case JERR_OUT_OF_MEMORY:
        job->status = eg_fail(job->err, EG_ERR_NO_MEMORY, "no memory to decode the JPEG");
        break;
    case JERR_NO_BACKING_STORE: /* what libjpeg says when max_memory_to_use is reached */
        job->status = eg_fail(job->err, EG_ERR_LIMIT, "the JPEG needs more than %ld MiB to decode",
                              max_decoder_bytes >> 20);
        break;
    default:
        job->manager.format_message(cinfo, text);
        job->status = eg_fail_at(job->err, EG_ERR_INPUT, offset, "bad JPEG data at byte %jd: %s",
                                 (intmax_t)offset, text);
        break;
    }
    longjmp(job->jump, 1);
}

/* Warnings have level -1, chatter is above. A newer JFIF revision is no damage. */
static void on_message(j_common_ptr cinfo, int level) {
    if (level < 0 && cinfo->err->msg_code != JWRN_JFIF_MAJOR) jump_out(cinfo);
}

static void print_nothing(j_common_ptr cinfo) {
    (void)cinfo;
}

/* Called for every piece of input: a tiny file may ask for thousands of passes over a huge
 * image. */
static void count_scans(j_common_ptr cinfo) {
    jpeg_job *job = job_of(cinfo);
    if (job->cinfo.input_scan_number <= MAX_SCANS) return;
    job->status = eg_fail_at(job->err, EG_ERR_LIMIT, job_offset(job),
                             "a progressive JPEG of more than %d scans", MAX_SCANS);
    longjmp(job->jump, 1);
}

/* ---- decoding ---- */

/* Pillow's CMYK to RGB on inverted ("Adobe") values: with K' = stored K and C' = stored C, R = K' -
 * (255 - C') K'/255 rounded, and so on (Convert.c, cmyk2rgb). */
static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *cmyk, int width) {
    for (int x = 0; x < width; x++, rgb += 3, cmyk += 4) {
        int k = cmyk[3];
        for (int c = 0; c < 3; c++) {
            int product = (255 - cmyk[c]) * k + 128;
            int value = k - (((product >> 8) + product) >> 8);
            rgb[c] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

static void start(jpeg_job *job) {
    job->cinfo.err = jpeg_std_error(&job->manager);
    job->manager.error_exit = jump_out;
    job->manager.emit_message = on_message;
    job->manager.output_message = print_nothing;
    job->cinfo.client_data = job;
}

/* Up to and with the header; sets width, height and channels of job->image. */
static void read_header(jpeg_job *job) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    jpeg_create_decompress(cinfo);
    cinfo->client_data = job; /* kept by create, but only by a promise of old versions */
    cinfo->mem->max_memory_to_use = max_decoder_bytes;
    job->progress.progress_monitor = count_scans;
    cinfo->progress = &job->progress;
    jpeg_mem_src(cinfo, job->data, (unsigned long)job->size);
    jpeg_read_header(cinfo, TRUE);
    int n = cinfo->num_components;
    if (n != 1 && n != 3 && n != 4) {
        job->status = eg_fail(job->err, EG_ERR_UNSUPPORTED,
                              "a JPEG of %d components, supported are 1, 3 and 4", n);
        longjmp(job->jump, 1);
    }
    job->image.width = (int)cinfo->image_width;
    job->image.height = (int)cinfo->image_height;
    job->image.channels = n == 1 ? 1 : 3;
}

/* Some rows a call into place; CMYK row by row by way of a row of its own. */
static void read_rows(jpeg_job *job) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    size_t stride = (size_t)job->image.width * (size_t)job->image.channels;
    while (cinfo->output_scanline < cinfo->output_height) {
        uint8_t *row = job->image.pixels + cinfo->output_scanline * stride;
        if (job->cmyk_row != NULL) {
            uint8_t *target = job->cmyk_row;
            if (jpeg_read_scanlines(cinfo, &target, 1) != 1) continue;
            cmyk_to_rgb(row, job->cmyk_row, job->image.width);
            continue;
        }
        JSAMPROW rows[ROWS_A_CALL];
        JDIMENSION n = cinfo->output_height - cinfo->output_scanline;
        if (n > ROWS_A_CALL) n = ROWS_A_CALL;
        for (JDIMENSION i = 0; i < n; i++) rows[i] = row + i * stride;
        jpeg_read_scanlines(cinfo, rows, n);
    }
}

/* The smallest of 1, 1/2, 1/4, 1/8 that leaves both sides `min_side` pixels or more (0: 1). Sides
 * are rounded up, as libjpeg does. */
static int choose_eighths(const eg_image *full, int min_side) {
    int shorter = full->width < full->height ? full->width : full->height;
    int eighths = 8;
    while (min_side > 0 && eighths > 1) {
        int64_t reduced = ((int64_t)shorter * (eighths / 2) + 7) / 8;
        if (reduced < min_side) break;
        eighths /= 2;
    }
    return eighths;
}

/* The settings are libjpeg's defaults, named because Pillow's pixels depend on them. The limit is
 * asked for the full size also where less is decoded, so that a file passes or not whatever the
 * options. */
static void decode(jpeg_job *job, const eg_image_options *options) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    read_header(job);
    job->status = eg_codec_image_limit(&job->image, options, job->err);
    if (job->status != EG_OK) longjmp(job->jump, 1);
    cinfo->scale_num = (unsigned)choose_eighths(&job->image, options->min_side);
    cinfo->scale_denom = 8;
    cinfo->dct_method = JDCT_ISLOW;
    cinfo->do_fancy_upsampling = TRUE;
    cinfo->out_color_space = cinfo->num_components == 1   ? JCS_GRAYSCALE
                             : cinfo->num_components == 3 ? JCS_RGB
                                                          : JCS_CMYK;
    jpeg_calc_output_dimensions(cinfo);
    job->image.width = (int)cinfo->output_width;
    job->image.height = (int)cinfo->output_height;
    job->status = eg_codec_image_alloc(&job->image, options, job->err);
    if (job->status == EG_OK && cinfo->num_components == 4) {
        job->cmyk_row = eg_malloc((size_t)job->image.width * 4);
        if (job->cmyk_row == NULL) {
            job->status = eg_fail(job->err, EG_ERR_NO_MEMORY, "no memory for a row of the JPEG");
        }
    }
    if (job->status != EG_OK) longjmp(job->jump, 1);
    jpeg_start_decompress(cinfo);
    read_rows(job);
    jpeg_finish_decompress(cinfo); /* reads on to the end marker: a cut tail is found here */
}

/* `options` NULL: header only. On success the pixels (or NULL) and the size as in the file are in
 * *out. */
static eg_status run(eg_image *out, int *bits, const uint8_t *data, size_t size,
                     const eg_image_options *options, eg_error *err) {
    jpeg_job *job = eg_calloc(1, sizeof *job);
    if (job == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the JPEG decoder");
    job->data = data;
    job->size = size;
    job->err = err;
    start(job);
    if (setjmp(job->jump) == 0) {
        if (options != NULL) {
            decode(job, options);
        } else {
            read_header(job);
        }
    }
    *bits = job->cinfo.data_precision;
    jpeg_destroy_decompress(&job->cinfo);
    eg_free(job->cmyk_row);
    eg_status status = job->status;
    if (status == EG_OK) {
        *out = job->image;
    } else {
        eg_image_free(&job->image);
    }
    eg_free(job);
    return status;
}

eg_status eg_codec_jpeg_decode(eg_image *out, const uint8_t *data, size_t size,
                               const eg_image_options *options, eg_error *err) {
    eg_image image;
    int bits;
    EG_TRY(run(&image, &bits, data, size, options, err));
    eg_status status = eg_codec_image_orient(&image, eg_codec_jpeg_orientation(data, size), err);
    if (status != EG_OK) {
        eg_image_free(&image);
        return status;
    }
    *out = image;
    return EG_OK;
}

eg_status eg_codec_jpeg_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err) {
    eg_image header;
    int bits;
    EG_TRY(run(&header, &bits, data, size, NULL, err));
    int orientation = eg_codec_jpeg_orientation(data, size);
    bool turns = eg_codec_orientation_turns(orientation);
    *out = (eg_image_info){.format = "JPEG",
                           .width = turns ? header.height : header.width,
                           .height = turns ? header.width : header.height,
                           .channels = header.channels,
                           .bits = bits,
                           .orientation = orientation,
                           .n_frames = 1};
    return EG_OK;
}

/* JPEG through libjpeg (the version 6b interface of libjpeg-turbo), giving the pixels that Pillow
 * gives: accurate integer inverse DCT, smooth chroma upsampling; gray stays gray, YCbCr becomes
 * RGB, CMYK becomes RGB by Pillow's rule.
 *
 * libjpeg reports by callbacks that must not return: the error manager here jumps back with setjmp.
 * Its warnings (cut or damaged data, shown as gray areas) are errors here, since such a picture
 * must not train a network unseen. Data behind the end of the first image (multi-picture files) is
 * not read. Read first: image_formats.h. */
#include "codec/image_formats.h"
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* after stdio.h: jpeglib.h needs FILE and size_t */
#include <jerror.h>
#include <jpeglib.h>

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

/* Row by row into place; CMYK by way of a row of its own. */
static void read_rows(jpeg_job *job) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    size_t stride = (size_t)job->image.width * (size_t)job->image.channels;
    while (cinfo->output_scanline < cinfo->output_height) {
        uint8_t *row = job->image.pixels + cinfo->output_scanline * stride;
        uint8_t *target = job->cmyk_row != NULL ? job->cmyk_row : row;
        if (jpeg_read_scanlines(cinfo, &target, 1) != 1) continue;
        if (job->cmyk_row != NULL) cmyk_to_rgb(row, job->cmyk_row, job->image.width);
    }
}

/* The settings are libjpeg's defaults, named because Pillow's pixels depend on them. */
static void decode(jpeg_job *job, const eg_image_limits *limits) {
    struct jpeg_decompress_struct *cinfo = &job->cinfo;
    read_header(job);
    job->status = eg_codec_image_alloc(&job->image, limits, job->err);
    if (job->status != EG_OK) longjmp(job->jump, 1);
    if (cinfo->num_components == 4) {
        job->cmyk_row = eg_malloc((size_t)job->image.width * 4);
        if (job->cmyk_row == NULL) {
            job->status = eg_fail(job->err, EG_ERR_NO_MEMORY, "no memory for a row of the JPEG");
            longjmp(job->jump, 1);
        }
    }
    cinfo->dct_method = JDCT_ISLOW;
    cinfo->do_fancy_upsampling = TRUE;
    cinfo->out_color_space = cinfo->num_components == 1   ? JCS_GRAYSCALE
                             : cinfo->num_components == 3 ? JCS_RGB
                                                          : JCS_CMYK;
    jpeg_start_decompress(cinfo);
    read_rows(job);
    jpeg_finish_decompress(cinfo); /* reads on to the end marker: a cut tail is found here */
}

/* `limits` NULL: header only. */
static eg_status run(eg_image *out, const uint8_t *data, size_t size, const eg_image_limits *limits,
                     eg_error *err) {
    jpeg_job *job = eg_calloc(1, sizeof *job);
    if (job == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the JPEG decoder");
    job->data = data;
    job->size = size;
    job->err = err;
    start(job);
    if (setjmp(job->jump) == 0) {
        if (limits != NULL) {
            decode(job, limits);
        } else {
            read_header(job);
        }
    }
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
                               const eg_image_limits *limits, eg_error *err) {
    return run(out, data, size, limits, err);
}

eg_status eg_codec_jpeg_probe(eg_image *out, const uint8_t *data, size_t size, eg_error *err) {
    return run(out, data, size, NULL, err);
}

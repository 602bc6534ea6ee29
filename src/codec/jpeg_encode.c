/* JPEG out: gray or RGB of 8 bits, baseline, with libjpeg's defaults (4:2:0 chroma for colour, the
 * standard Huffman tables, accurate integer DCT), so that the same pixels give the same bytes with
 * the same libjpeg. For phantoms, reports and tests. Reading: jpeg.c. */
#include "codec/codec.h"
#include <setjmp.h>
#include <stdio.h>

/* after stdio.h: jpeglib.h needs FILE and size_t */
#include <jerror.h>
#include <jpeglib.h>

enum { PIECE_BYTES = 16384 };

/* Everything of one file; in one struct so that nothing lives in registers across setjmp. */
typedef struct {
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr manager;
    struct jpeg_destination_mgr destination;
    jmp_buf jump;
    eg_buffer made;
    uint8_t piece[PIECE_BYTES]; /* what libjpeg fills before it goes into `made` */
} jpeg_encode_job;

static jpeg_encode_job *encode_job_of(j_compress_ptr cinfo) {
    return cinfo->client_data;
}

/* All that can go wrong with checked arguments is memory. */
static void give_up(j_common_ptr cinfo) {
    longjmp(((jpeg_encode_job *)cinfo->client_data)->jump, 1);
}

static void say_nothing(j_common_ptr cinfo) {
    (void)cinfo;
}

static void begin_piece(j_compress_ptr cinfo) {
    jpeg_encode_job *job = encode_job_of(cinfo);
    job->destination.next_output_byte = job->piece;
    job->destination.free_in_buffer = PIECE_BYTES;
}

/* Called when the piece is full, whatever the counter says (jdatadst.c). */
static boolean take_piece(j_compress_ptr cinfo) {
    jpeg_encode_job *job = encode_job_of(cinfo);
    eg_buffer_add(&job->made, job->piece, PIECE_BYTES);
    if (job->made.failed) longjmp(job->jump, 1);
    begin_piece(cinfo);
    return TRUE;
}

static void end_pieces(j_compress_ptr cinfo) {
    jpeg_encode_job *job = encode_job_of(cinfo);
    eg_buffer_add(&job->made, job->piece, PIECE_BYTES - job->destination.free_in_buffer);
    if (job->made.failed) longjmp(job->jump, 1);
}

static void encode(jpeg_encode_job *job, const eg_image *image, int quality) {
    struct jpeg_compress_struct *cinfo = &job->cinfo;
    jpeg_create_compress(cinfo);
    cinfo->client_data = job;
    job->destination.init_destination = begin_piece;
    job->destination.empty_output_buffer = take_piece;
    job->destination.term_destination = end_pieces;
    cinfo->dest = &job->destination;
    cinfo->image_width = (JDIMENSION)image->width;
    cinfo->image_height = (JDIMENSION)image->height;
    cinfo->input_components = image->channels;
    cinfo->in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(cinfo);
    jpeg_set_quality(cinfo, quality, TRUE);
    cinfo->dct_method = JDCT_ISLOW;
    jpeg_start_compress(cinfo, TRUE);
    size_t stride = (size_t)image->width * (size_t)image->channels;
    while (cinfo->next_scanline < cinfo->image_height) {
        JSAMPROW row = image->pixels + cinfo->next_scanline * stride;
        jpeg_write_scanlines(cinfo, &row, 1);
    }
    jpeg_finish_compress(cinfo);
}

eg_status eg_jpeg_encode(eg_buffer *out, const eg_image *image, int quality, eg_error *err) {
    bool good = (image->channels == 1 || image->channels == 3) && !image->deep && quality >= 1 &&
                quality <= 100 && image->width >= 1 && image->width <= JPEG_MAX_DIMENSION &&
                image->height >= 1 && image->height <= JPEG_MAX_DIMENSION;
    if (!good) {
        return eg_fail(err, EG_ERR_INTERNAL,
                       "cannot encode %d x %d pixels of %d channels and %d bits as JPEG of "
                       "quality %d",
                       image->width, image->height, image->channels, image->deep ? 16 : 8, quality);
    }
    jpeg_encode_job *job = eg_calloc(1, sizeof *job);
    if (job == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the JPEG encoder");
    job->cinfo.err = jpeg_std_error(&job->manager);
    job->manager.error_exit = give_up;
    job->manager.output_message = say_nothing;
    job->cinfo.client_data = job;
    volatile bool done = false;
    if (setjmp(job->jump) == 0) {
        encode(job, image, quality);
        done = true;
    }
    jpeg_destroy_compress(&job->cinfo);
    if (done) eg_buffer_add(out, job->made.data, job->made.size);
    bool failed = !done || out->failed;
    eg_buffer_free(&job->made);
    eg_free(job);
    if (failed) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory to encode the JPEG");
    return EG_OK;
}

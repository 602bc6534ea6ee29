/* PNG through libpng, giving the pixels of Pillow's convert("RGB") (gray pictures: convert("L")):
 * low depths and palettes expanded, alpha and transparency dropped and not blended, gamma and
 * colour profiles ignored.
 *
 * 16-bit samples stay as they are (deep), gray and colour; Pillow cuts 16-bit colour to the high
 * byte. A check sum that is off, also in a chunk that is not needed, and data that ends early are
 * errors. libpng reports by longjmp; its memory goes through our hook. Read first:
 * image_formats.h. */
#include "codec/image_formats.h"
#include <png.h>
#include <setjmp.h>
#include <string.h>

enum { MAX_CHUNKS = 1000, MAX_CHUNK_BYTES = 8 << 20 };

/* Everything of one decode; in one struct so that nothing lives in registers across setjmp. */
typedef struct {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    eg_cursor cursor;
    eg_image image;
    bool no_memory; /* an allocation failed: libpng itself only says that something is wrong */
    eg_status status;
    eg_error *err;
} png_job;

/* ---- callbacks ---- */

/* Never returns. A status that is set already (our own reader's) is the better explanation. */
static void on_error(png_structp png, png_const_charp text) {
    png_job *job = png_get_error_ptr(png);
    if (job->no_memory) {
        job->status = eg_fail(job->err, EG_ERR_NO_MEMORY, "no memory to decode the PNG");
    } else if (job->status == EG_OK) {
        job->status = eg_fail_at(job->err, EG_ERR_INPUT, (int64_t)job->cursor.pos,
                                 "bad PNG data at byte %zu: %s", job->cursor.pos, text);
    }
    longjmp(job->jump, 1);
}

/* Odd but readable (a questionable colour profile, say): Pillow reads it too. */
static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static png_voidp take_memory(png_structp png, png_alloc_size_t size) {
    png_job *job = png_get_mem_ptr(png);
    void *p = eg_malloc(size);
    if (p == NULL) job->no_memory = true;
    return p;
}

static void give_memory(png_structp png, png_voidp p) {
    (void)png;
    eg_free(p);
}

static void read_bytes(png_structp png, png_bytep out, size_t n) {
    png_job *job = png_get_io_ptr(png);
    const uint8_t *p = eg_cursor_take(&job->cursor, n);
    if (p == NULL) {
        job->status = eg_fail_at(job->err, EG_ERR_INPUT, (int64_t)job->cursor.size,
                                 "unexpected end of PNG data at byte %zu - the file is cut short",
                                 job->cursor.size);
        longjmp(job->jump, 1);
    }
    memcpy(out, p, n);
}

/* ---- decoding ---- */

/* Text, profiles and time may hold personal data or decompression bombs, and nothing here needs
 * them. */
static void skip_chunks(png_structp png) {
    static const png_byte names[] = "iCCP\0sPLT\0tEXt\0zTXt\0iTXt\0eXIf\0tIME\0hIST";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, (int)(sizeof names / 5));
}

/* Signature to the first IDAT, with every limit set before; width, height, channels. */
static void read_header(png_job *job) {
    png_structp png = job->png;
    png_set_read_fn(png, job, read_bytes);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours come right after */
    png_set_chunk_cache_max(png, MAX_CHUNKS);
    png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
    skip_chunks(png);
    png_read_info(png, job->info);
    int colour = png_get_color_type(png, job->info);
    bool gray = colour == PNG_COLOR_TYPE_GRAY || colour == PNG_COLOR_TYPE_GRAY_ALPHA;
    job->image.width = (int)png_get_image_width(png, job->info);
    job->image.height = (int)png_get_image_height(png, job->info);
    job->image.channels = gray ? 1 : 3;
    job->image.deep = png_get_bit_depth(png, job->info) == 16;
}

static bool is_little_endian(void) {
    const uint16_t one = 1;
    return *(const uint8_t *)&one == 1;
}

/* Ask libpng for gray or RGB of 8 bits, or of 16 in the machine's order (the file's is big endian);
 * returns the number of passes (7 when interlaced). */
static int set_transforms(png_job *job) {
    png_structp png = job->png;
    int colour = png_get_color_type(png, job->info);
    int depth = png_get_bit_depth(png, job->info);
    if (depth == 16 && is_little_endian()) png_set_swap(png);
    if (colour == PNG_COLOR_TYPE_PALETTE) {
        png_set_packing(png); /* one index a byte; expand_palette does the rest */
    } else if (colour == PNG_COLOR_TYPE_GRAY && depth < 8) {
        png_set_expand_gray_1_2_4_to_8(png);
    }
    if (colour & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, job->info);
    return passes;
}

/* Indexes in the last third of `pixels` to RGB over the whole, in place: writing never overtakes
 * reading. libpng could expand, but does not tell of an index behind the palette then (it shows
 * black, Pillow some gray): damage, an error. */
static void expand_palette(png_job *job) {
    png_colorp palette = NULL;
    int n_colours = 0;
    png_get_PLTE(job->png, job->info, &palette, &n_colours);
    size_t n = (size_t)job->image.width * (size_t)job->image.height;
    uint8_t *rgb = job->image.pixels;
    const uint8_t *indexes = rgb + 2 * n;
    for (size_t i = 0; i < n; i++, rgb += 3) {
        int index = indexes[i];
        if (index >= n_colours) {
            job->status = eg_fail(job->err, EG_ERR_INPUT,
                                  "bad PNG data: palette index %d, the palette has %d colours",
                                  index, n_colours);
            longjmp(job->jump, 1);
        }
        rgb[0] = palette[index].red;
        rgb[1] = palette[index].green;
        rgb[2] = palette[index].blue;
    }
}

/* Passes of an interlaced file go over the same rows again: libpng only touches the new pixels. */
static void decode(png_job *job, const eg_image_options *options) {
    read_header(job);
    bool indexed = png_get_color_type(job->png, job->info) == PNG_COLOR_TYPE_PALETTE;
    job->status = eg_codec_image_alloc(&job->image, options, job->err);
    if (job->status != EG_OK) longjmp(job->jump, 1);
    int passes = set_transforms(job);
    size_t width = (size_t)job->image.width, height = (size_t)job->image.height;
    size_t pixel_bytes = (size_t)job->image.channels * (job->image.deep ? 2 : 1);
    size_t stride = indexed ? width : width * pixel_bytes;
    if (png_get_rowbytes(job->png, job->info) != stride) {
        png_error(job->png, "unexpected row size"); /* our mistake, but never write past a row */
    }
    uint8_t *first = job->image.pixels + (indexed ? 2 * width * height : 0);
    for (int pass = 0; pass < passes; pass++) {
        for (size_t y = 0; y < height; y++) png_read_row(job->png, first + y * stride, NULL);
    }
    if (indexed) expand_palette(job);
    png_read_end(job->png, NULL); /* to IEND, so that a cut tail is found */
}

/* `options` NULL: header only, into *info; else the pixels, into *out. */
static eg_status run(eg_image *out, eg_image_info *info, const uint8_t *data, size_t size,
                     const eg_image_options *options, eg_error *err) {
    png_job *job = eg_calloc(1, sizeof *job);
    if (job == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the PNG decoder");
    job->cursor = (eg_cursor){.data = data, .size = size};
    job->err = err;
    if (setjmp(job->jump) == 0) {
        job->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job,
                                            take_memory, give_memory);
        if (job->png != NULL) job->info = png_create_info_struct(job->png);
        if (job->info == NULL) {
            job->status = eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the PNG decoder");
        } else if (options != NULL) {
            decode(job, options);
        } else {
            read_header(job);
            *info = (eg_image_info){.format = "PNG",
                                    .width = job->image.width,
                                    .height = job->image.height,
                                    .channels = job->image.channels,
                                    .bits = png_get_bit_depth(job->png, job->info),
                                    .orientation = 1,
                                    .n_frames = 1};
        }
    }
    png_destroy_read_struct(&job->png, &job->info, NULL);
    eg_status status = job->status;
    if (status == EG_OK && out != NULL) {
        *out = job->image;
    } else {
        eg_image_free(&job->image);
    }
    eg_free(job);
    return status;
}

eg_status eg_codec_png_decode(eg_image *out, const uint8_t *data, size_t size,
                              const eg_image_options *options, eg_error *err) {
    return run(out, NULL, data, size, options, err);
}

eg_status eg_codec_png_probe(eg_image_info *out, const uint8_t *data, size_t size, eg_error *err) {
    return run(NULL, out, data, size, NULL, err);
}

/* ---- encoding ---- */

typedef struct {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    eg_buffer *out;
} encode_job;

static void on_encode_error(png_structp png, png_const_charp text) {
    (void)text;
    longjmp(((encode_job *)png_get_error_ptr(png))->jump, 1);
}

static png_voidp take_encode_memory(png_structp png, png_alloc_size_t size) {
    (void)png;
    return eg_malloc(size);
}

static void write_bytes(png_structp png, png_bytep data, size_t n) {
    eg_buffer_add(((encode_job *)png_get_io_ptr(png))->out, data, n);
}

static void flush_nothing(png_structp png) {
    (void)png;
}

/* Filter and compression level are libpng's defaults; they never change the pixels. */
static void encode(encode_job *job, const eg_image *image) {
    png_structp png = job->png;
    png_set_write_fn(png, job, write_bytes, flush_nothing);
    png_set_IHDR(png, job->info, (png_uint_32)image->width, (png_uint_32)image->height,
                 image->deep ? 16 : 8,
                 image->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, job->info);
    if (image->deep && is_little_endian()) png_set_swap(png);
    size_t stride = eg_image_bytes(image) / (size_t)image->height;
    for (int y = 0; y < image->height; y++) {
        png_write_row(png, image->pixels + (size_t)y * stride);
    }
    png_write_end(png, NULL);
}

/* No date is written, so that the same pixels give the same bytes. */
eg_status eg_png_encode(eg_buffer *out, const eg_image *image, eg_error *err) {
    if ((image->channels != 1 && image->channels != 3) || image->width < 1 || image->height < 1) {
        return eg_fail(err, EG_ERR_INTERNAL, "cannot encode %d x %d pixels of %d channels as PNG",
                       image->width, image->height, image->channels);
    }
    encode_job *job = eg_calloc(1, sizeof *job);
    if (job == NULL) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory for the PNG encoder");
    eg_buffer made = {0};
    job->out = &made;
    volatile bool done = false;
    if (setjmp(job->jump) == 0) {
        job->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, job, on_encode_error,
                                             on_warning, job, take_encode_memory, give_memory);
        if (job->png != NULL) job->info = png_create_info_struct(job->png);
        if (job->info != NULL) {
            encode(job, image);
            done = true;
        }
    }
    png_destroy_write_struct(&job->png, &job->info);
    eg_free(job);
    if (done) eg_buffer_add(out, made.data, made.size);
    bool failed = !done || made.failed || out->failed;
    eg_buffer_free(&made);
    if (failed) return eg_fail(err, EG_ERR_NO_MEMORY, "no memory to encode the PNG");
    return EG_OK;
}

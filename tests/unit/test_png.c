/* PNG: encode and read back, interlaced files of every kind, damage, failing memory. Pillow's
 * pixels: test_image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <png.h>

#include "unit/hostile_image.h"

static const char *const files[] = {IMAGES "gray.png", IMAGES "palette.png", IMAGES "gray16.png"};
enum { N_FILES = 3 };

static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    return hostile_image(eg_codec_png_decode, eg_codec_png_probe, digest, data, size, err);
}

static void damage_is_found(void **state) {
    (void)state;
    for (int i = 0; i < N_FILES; i++) {
        eg_file_view view = hostile_open(files[i]);
        hostile_prefixes(decode, view.data, view.size);
        hostile_mutations(decode, view.data, view.size, true);
        if (!HOSTILE_SLOW) assert_true(eg_process_peak_bytes() < (size_t)512 << 20);
        assert_in_range(hostile_allocations(decode, view.data, view.size), 4, 30);
        eg_file_close(&view);
    }
}

/* Twice to the same bytes, and back to the same pixels. */
static void reads_back(int width, int height, int channels, bool deep) {
    eg_image image = {width, height, channels, NULL, deep};
    size_t n = eg_image_bytes(&image);
    image.pixels = eg_malloc(n);
    for (size_t i = 0; i < n; i++) image.pixels[i] = (uint8_t)(i * 2654435761u >> 21);
    eg_buffer a = {0}, b = {0};
    eg_error err = {0};
    assert_int_equal(eg_png_encode(&a, &image, &err), EG_OK);
    assert_int_equal(eg_png_encode(&b, &image, &err), EG_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    eg_image back;
    assert_int_equal(eg_image_decode(&back, a.data, a.size, NULL, &err), EG_OK);
    assert_int_equal(back.width, width);
    assert_int_equal(back.height, image.height);
    assert_int_equal(back.channels, channels);
    assert_int_equal(back.deep, deep);
    assert_memory_equal(back.pixels, image.pixels, n);
    eg_image_free(&back);
    eg_image_free(&image);
    eg_buffer_free(&a);
    eg_buffer_free(&b);
}

static void encoded_images_read_back(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        for (int width = 1; width < 70; width += 17) {
            reads_back(width, 71 - width, channels, false);
            reads_back(width, 71 - width, channels, true);
        }
    }
}

static void encoding_fails_cleanly(void **state) {
    (void)state;
    uint8_t pixels[12] = {0};
    eg_image image = {.width = 2, .height = 2, .channels = 3, .pixels = pixels};
    eg_error err = {0};
    size_t before = eg_memory_stats_get().bytes_now;
    eg_status status = EG_ERR_NO_MEMORY;
    for (uint64_t k = 1; status != EG_OK; k++) {
        eg_buffer out = {0};
        eg_memory_fail_at(k);
        status = eg_png_encode(&out, &image, &err);
        eg_memory_fail_at(0);
        if (status != EG_OK) assert_int_equal(status, EG_ERR_NO_MEMORY);
        assert_true(k > 2 || status != EG_OK);
        assert_int_equal(out.size > 0, status == EG_OK);
        eg_buffer_free(&out);
        assert_int_equal(eg_memory_stats_get().bytes_now, before);
    }
    eg_buffer out = {0};
    image.channels = 2;
    assert_int_equal(eg_png_encode(&out, &image, &err), EG_ERR_INTERNAL);
}

/* ---- files made with libpng directly ---- */

static void add_bytes(png_structp png, png_bytep data, size_t n) {
    eg_buffer_add(png_get_io_ptr(png), data, n);
}

static void flush(png_structp png) {
    (void)png;
}

enum { WIDTH = 29, HEIGHT = 19 };

/* Pseudo-random rows; a palette of `n_colours` for indexed files. */
static void make_png(eg_buffer *out, int colour, int depth, int interlace, int n_colours) {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, out, add_bytes, flush);
    png_set_IHDR(png, info, WIDTH, HEIGHT, depth, colour, interlace, 0, 0);
    png_color palette[256];
    for (int i = 0; i < 256; i++) {
        palette[i] = (png_color){(png_byte)i, (png_byte)(i * 7), (png_byte)(255 - i)};
    }
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, n_colours);
    png_set_check_for_invalid_index(png, -1);
    png_write_info(png, info);
    uint8_t rows[HEIGHT][WIDTH * 8];
    png_bytep pointers[HEIGHT];
    eg_random r = eg_random_make(1, (uint32_t)colour, (uint32_t)depth, 0);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH * 8; x++) rows[y][x] = (uint8_t)eg_random_u32(&r);
        pointers[y] = rows[y];
    }
    png_write_image(png, pointers);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

static void interlaced_files_are_the_same(void **state) {
    (void)state;
    static const int kinds[][2] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                                   {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char digests[2][65];
        for (int interlace = 0; interlace < 2; interlace++) {
            eg_buffer file = {0};
            int n_colours = 1 << (kinds[i][1] < 8 ? kinds[i][1] : 8);
            make_png(&file, kinds[i][0], kinds[i][1], interlace, n_colours);
            assert_int_equal(hostile_decode(decode, digests[interlace], file.data, file.size),
                             EG_OK);
            eg_buffer_free(&file);
        }
        assert_string_equal(digests[0], digests[1]);
    }
}

static void an_index_behind_the_palette_is_an_error(void **state) {
    (void)state;
    eg_buffer file = {0};
    make_png(&file, PNG_COLOR_TYPE_PALETTE, 8, 0, 200);
    eg_image image;
    eg_error err = {0};
    assert_int_equal(eg_image_decode(&image, file.data, file.size, NULL, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "the palette has 200 colours"));
    eg_buffer_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(encoded_images_read_back),
        cmocka_unit_test(encoding_fails_cleanly),
        cmocka_unit_test(interlaced_files_are_the_same),
        cmocka_unit_test(an_index_behind_the_palette_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

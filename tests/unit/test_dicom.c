/* DICOM files: pixels against those that pydicom gives (tests/data/dicom, written by
 * scripts/make_dicom_samples.py), the probe, what is refused and how, the patient's hash, that no
 * planted name gets into a text, damage, failing memory. */
#include "codec/dicom.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/dicom/expected.h"
#include "unit/hostile.h"

#define FOLDER       TEST_SOURCE_DIR "/tests/data/dicom/"
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* No output may hold what identifies the planted patient. */
static void check_private(const void *text, size_t n) {
    static const char *const planted[] = {"PLANTED", "NAME", "4711", "HOSPITAL", "19000101"};
    for (size_t i = 0; i < COUNT(planted); i++)
        assert_null(memmem(text, n, planted[i], strlen(planted[i])));
}

static eg_file_view open_sample(const char *name) {
    char path[512];
    snprintf(path, sizeof path, FOLDER "%s.dcm", name);
    return hostile_open(path);
}

/* Pixels, and that the probe agrees with them. */
static eg_status decode(char digest[65], const void *data, size_t size, eg_error *err) {
    eg_image image = {0};
    eg_image_info info = {0};
    eg_image_options options = EG_IMAGE_OPTIONS_DEFAULT;
    eg_status status = eg_codec_dicom_decode(&image, data, size, &options, err);
    if (err != NULL) check_private(err->text, strlen(err->text));
    if (status == EG_OK) {
        status = eg_codec_dicom_probe(&info, data, size, "salt", 4, err);
        if (status == EG_OK)
            assert_true(info.width == image.width && info.height == image.height &&
                        info.channels == image.channels);
        check_private(&info, sizeof info);
    }
    if (status == EG_OK) eg_sha256_hex(digest, image.pixels, eg_image_bytes(&image));
    eg_image_free(&image);
    return status;
}

static void pixels(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(dicom_samples); i++) {
        eg_file_view view = open_sample(dicom_samples[i].name);
        eg_image image = {0};
        eg_image_info info = {0};
        eg_error err = {0};
        char digest[65];
        assert_true(eg_codec_dicom_recognised(view.data, view.size));
        assert_true(eg_codec_dicom_recognised(view.data, 132));
        if (eg_image_decode(&image, view.data, view.size, NULL, &err) != EG_OK)
            fail_msg("%s: %s", dicom_samples[i].name, err.text);
        assert_int_equal(image.width, dicom_samples[i].width);
        assert_int_equal(image.height, dicom_samples[i].height);
        assert_int_equal(image.channels, dicom_samples[i].channels);
        assert_int_equal(image.deep, dicom_samples[i].deep);
        eg_sha256_hex(digest, image.pixels, eg_image_bytes(&image));
        if (strcmp(digest, dicom_samples[i].sha256) != 0)
            fail_msg("%s: other pixels than pydicom's", dicom_samples[i].name);
        assert_int_equal(eg_codec_dicom_probe(&info, view.data, view.size, NULL, 0, &err), EG_OK);
        assert_string_equal(info.format, "DICOM");
        assert_string_equal(info.patient, "");
        assert_int_equal(info.bits, dicom_samples[i].bits);
        assert_int_equal(info.n_frames, dicom_samples[i].n_frames);
        assert_int_equal(info.inverted, strstr(dicom_samples[i].name, "mono1") != NULL);
        eg_image_free(&image);
        eg_file_close(&view);
    }
}

static void refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(dicom_refused); i++) {
        eg_file_view view = open_sample(dicom_refused[i].name);
        eg_image image = {.width = 77};
        eg_error err = {0};
        assert_int_not_equal(eg_image_decode(&image, view.data, view.size, NULL, &err), EG_OK);
        assert_int_equal(image.width, 77); /* nothing written on failure */
        if (strstr(err.text, dicom_refused[i].reason) == NULL)
            fail_msg("'%s' has no '%s'", err.text, dicom_refused[i].reason);
        check_private(err.text, strlen(err.text));
        eg_file_close(&view);
    }
    eg_file_view view = open_sample("explicit_u8");
    eg_image image = {0};
    eg_error err = {0};
    eg_image_options options = {.max_file_bytes = 1 << 20, .max_pixels = 41};
    assert_int_equal(eg_image_decode(&image, view.data, view.size, &options, &err), EG_ERR_LIMIT);
    eg_file_close(&view);
}

/* A change of one element: the bytes behind its tag, type and length. */
static uint8_t *element(uint8_t *data, size_t size, const char *tag_and_type) {
    uint8_t *at = memmem(data, size, tag_and_type, 6);
    assert_non_null(at);
    return at + 8;
}

/* What the header may say wrong, each with its reason. */
static void wrong_headers(void **state) {
    (void)state;
    static const struct {
        const char *tag, *value;
        eg_status status;
        const char *text;
    } cases[] = {
        {"\x28\0\x10\0US", "\0", EG_ERR_INPUT, "no image (0 rows"},
        {"\x28\0\0\1US", "\x20", EG_ERR_UNSUPPORTED, "32 bits allocated"},
        {"\x28\0\1\1US", "\x09", EG_ERR_INPUT, "9 bits stored"},
        {"\x28\0\2\1US", "\x08", EG_ERR_INPUT, "up to bit 8"},
        {"\x28\0\2\0US", "\x03", EG_ERR_INPUT, "3 samples a pixel"},
        {"\x28\0\3\1US", "\x02", EG_ERR_INPUT, "(0028,0103) at byte"},
        {"\x28\0\4\0CS", "YBR_ICT    ", EG_ERR_UNSUPPORTED, "YBR_ICT are not read"},
        {"\x28\0\4\0CS", "WHO KNOWS  ", EG_ERR_INPUT, "photometric interpretation is not one"},
        {"\2\0\x10\0UI", "1.2.840.10008.1.2.2", EG_ERR_UNSUPPORTED, "big endian"},
        {"\2\0\x10\0UI", "1.2.840.10008.1.9.1", EG_ERR_UNSUPPORTED, "1.2.840.10008.1.9.1 is not"},
        {"\2\0\x10\0UI", "PLANTED^NAME       ", EG_ERR_INPUT, "not a UID"},
        {"\2\0\0\0UL", "\xFF\xFF", EG_ERR_INPUT, "more than the file"},
    };
    eg_file_view view = open_sample("explicit_u8");
    uint8_t *copy = malloc(view.size);
    assert_non_null(copy);
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = strlen(cases[i].value);
        eg_error err = {0};
        char digest[65];
        memcpy(copy, view.data, view.size);
        memcpy(element(copy, view.size, cases[i].tag), cases[i].value, n > 0 ? n : 1);
        eg_status status = decode(digest, copy, view.size, &err);
        if (status != cases[i].status || strstr(err.text, cases[i].text) == NULL)
            fail_msg("case %zu: status %d '%s'", i, (int)status, err.text);
    }
    free(copy);
    eg_file_close(&view);
}

static void patient_hash(void **state) {
    (void)state;
    eg_file_view view = open_sample("explicit_u8");
    eg_image_info info = {0}, other = {0};
    eg_error err = {0};
    char hex[65];
    uint8_t *copy = malloc(view.size);
    assert_non_null(copy);
    memcpy(copy, view.data, view.size);
    assert_int_equal(eg_codec_dicom_probe(&info, copy, view.size, "pepper", 6, &err), EG_OK);
    eg_sha256_hex(hex, "pepper\0PLANTED-ID-4711", 22);
    assert_int_equal(strlen(info.patient), 16);
    assert_memory_equal(info.patient, hex, 16);
    assert_int_equal(eg_codec_dicom_probe(&other, copy, view.size, "salt", 4, &err), EG_OK);
    assert_string_not_equal(info.patient, other.patient);
    /* padding is no part of an id, and a blank id is none */
    uint8_t *id = element(copy, view.size, "\x10\0\x20\0LO");
    memcpy(id, " PLANTED-ID-47  ", 16);
    assert_int_equal(eg_codec_dicom_probe(&info, copy, view.size, "salt", 4, &err), EG_OK);
    eg_sha256_hex(hex, "salt\0PLANTED-ID-47", 18);
    assert_memory_equal(info.patient, hex, 16);
    memset(id, ' ', 16);
    assert_int_equal(eg_codec_dicom_probe(&info, copy, view.size, "salt", 4, &err), EG_OK);
    assert_string_equal(info.patient, "");
    free(copy);
    eg_file_close(&view);
}

/* Bits beside the stored ones (overlays of old) do not count, wherever the stored ones lie. */
static void high_bit(void **state) {
    (void)state;
    eg_file_view view = open_sample("implicit_u12_window");
    eg_codec_dicom d;
    eg_error err = {0};
    eg_image plain = {0}, shifted = {0};
    eg_image_options options = EG_IMAGE_OPTIONS_DEFAULT;
    if (eg_codec_dicom_parse(&d, view.data, view.size, &err) != EG_OK) fail_msg("%s", err.text);
    uint8_t moved[96];
    assert_int_equal(d.n_pixel_bytes, sizeof moved);
    for (size_t i = 0; i < sizeof moved; i += 2) {
        unsigned v = d.pixels[i] | (unsigned)d.pixels[i + 1] << 8;
        unsigned w = (v << 3 | 0x8005) & 0xFFFF; /* one bit above, two of three below */
        moved[i] = (uint8_t)w;
        moved[i + 1] = (uint8_t)(w >> 8);
    }
    assert_int_equal(eg_codec_dicom_render(&plain, &d, &options, &err), EG_OK);
    d.pixels = moved;
    d.high_bit = 14;
    assert_int_equal(eg_codec_dicom_render(&shifted, &d, &options, &err), EG_OK);
    assert_memory_equal(plain.pixels, shifted.pixels, eg_image_bytes(&plain));
    eg_image_free(&plain);
    eg_image_free(&shifted);
    eg_file_close(&view);
}

static void recognised(void **state) {
    (void)state;
    static const char *const others[] = {
        "II*\0........................", "\x08\0\x05\0 some text here....",
        "BM..........................", "\x02\0\x01\0............"};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(eg_codec_dicom_recognised(others[i], 24));
    assert_false(eg_codec_dicom_recognised("\x08\0", 2));
    assert_false(eg_codec_dicom_recognised(NULL, 0));
    /* (0008,0005) CS, then (0008,0008): with and without types */
    assert_true(eg_codec_dicom_recognised("\x08\0\5\0CS\4\0ISO \x08\0\x08\0CS\2\0..", 24));
    assert_true(eg_codec_dicom_recognised("\x08\0\5\0\4\0\0\0ISO \x08\0\x08\0\2\0\0\0..", 24));
}

/* Sequences in sequences are followed to a fixed depth: a file of nothing else must not exhaust the
 * stack. */
static void deep_nesting(void **state) {
    (void)state;
    enum { LEVELS = 100000, HEAD = 20, LEVEL = 20 };
    uint8_t *data = malloc(HEAD + LEVEL * LEVELS);
    assert_non_null(data);
    memcpy(data, "\x08\0\5\0CS\4\0ISO \x08\0\x08\0CS\0\0", HEAD);
    for (size_t i = 0; i < LEVELS; i++)
        memcpy(data + HEAD + LEVEL * i,
               "\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF", LEVEL);
    eg_error err = {0};
    char digest[65];
    assert_int_equal(decode(digest, data, HEAD + LEVEL * LEVELS, &err), EG_ERR_LIMIT);
    assert_non_null(strstr(err.text, "64 deep"));
    free(data);
}

static const char *const damaged[] = {
    "explicit_u8_window",  "implicit_u12_window", "rle_u12", "rle_rgb",
    "jpeg_gray_fragments", "jpeg_rgb_bare",       "nested",  "bare"};

static void damage_is_clean(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(damaged); i++) {
        eg_file_view view = open_sample(damaged[i]);
        size_t peak = eg_memory_stats_get().bytes_peak;
        hostile_prefixes(decode, view.data, view.size);
        hostile_mutations(decode, view.data, view.size, false);
        assert_true(eg_memory_stats_get().bytes_peak - peak < (size_t)512 << 20);
        eg_file_close(&view);
    }
}

static void failing_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(damaged); i++) {
        eg_file_view view = open_sample(damaged[i]);
        assert_true(hostile_allocations(decode, view.data, view.size) > 2);
        eg_file_close(&view);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels),         cmocka_unit_test(refused),
        cmocka_unit_test(wrong_headers),  cmocka_unit_test(patient_hash),
        cmocka_unit_test(high_bit),       cmocka_unit_test(recognised),
        cmocka_unit_test(deep_nesting),   cmocka_unit_test(damage_is_clean),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

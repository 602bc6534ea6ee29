/* engraft data --show-augmentation: the PNG, its size and what the document says; what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/run.h"

#include <string.h>
#include <unistd.h>

#define SAMPLES TEST_SOURCE_DIR "/samples/chest_xray"
#define SHEET   TEST_BINARY_DIR "/test_data_sheet.png"

static void sheet_and_document(void **state) {
    (void)state;
    eg_options o;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_image image = {0};
    eg_options_init(&o);
    o.show_augmentation = true;
    o.augment = "xray";
    o.rotate = 2;
    o.out = SHEET;
    unlink(SHEET);
    if (eg_data(&doc, SAMPLES, &o, NULL, &err) != EG_OK) fail_msg("%s", err.text);
    assert_string_equal(doc->kind, "augmentation");
    const json_t *values = json_object_get(doc->root, "values");
    assert_true(json_real_value(json_object_get(values, "rotate")) == 2);
    assert_true(json_real_value(json_object_get(values, "flip")) == 0);
    assert_int_equal(eg_image_read(&image, SHEET, NULL, &err), EG_OK);
    assert_int_equal(image.width, json_integer_value(json_object_get(doc->root, "width")));
    assert_int_equal(image.width, 8 * 228 + 4);
    assert_int_equal(image.height, 6 * 228 + 4);
    /* rows of both classes, no image twice, training images only */
    const json_t *rows = json_object_get(doc->root, "rows");
    size_t n_normal = 0;
    assert_int_equal(json_array_size(rows), 6);
    for (size_t i = 0; i < 6; i++) {
        const char *file = json_string_value(json_object_get(json_array_get(rows, i), "file"));
        assert_memory_equal(file, "train/", 6);
        n_normal += strstr(file, "/NORMAL/") != NULL;
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(
                file, json_string_value(json_object_get(json_array_get(rows, k), "file")));
    }
    assert_int_equal(n_normal, 3);
    eg_image_free(&image);
    eg_doc_free(doc);
    unlink(SHEET);
}

static void refusals(void **state) {
    (void)state;
    eg_options o;
    eg_doc *doc = NULL;
    eg_error err = {0};
    eg_options_init(&o);
    o.show_augmentation = true;
    o.out = SHEET;
    o.model = "resnet51";
    assert_int_equal(eg_data(&doc, SAMPLES, &o, NULL, &err), EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "did you mean resnet50"));
    o.model = NULL;
    o.augment = "gentle";
    assert_int_equal(eg_data(&doc, SAMPLES, &o, NULL, &err), EG_ERR_USAGE);
    o.augment = "light";
    o.out = TEST_BINARY_DIR "/not/there/sheet.png";
    assert_int_equal(eg_data(&doc, SAMPLES, &o, NULL, &err), EG_ERR_IO);
    assert_non_null(strstr(err.text, "not/there"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sheet_and_document),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

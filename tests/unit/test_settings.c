/* Options to settings: what "auto" becomes in each mode, what is refused, and config.json back to
 * the same settings. */
#include "study/run.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define WEIGHTS TEST_BINARY_DIR "/test_settings.pth"

static int make_weights(void **state) {
    (void)state;
    eg_part part = {"abc", 3};
    return eg_file_write_atomic(WEIGHTS, &part, 1, NULL) == EG_OK ? 0 : -1;
}

static eg_settings resolve(const eg_options *o, const char *model, const char *mode) {
    eg_settings s;
    eg_error err = {0};
    if (eg_study_settings_resolve(&s, o, model, mode, &err) != EG_OK) fail_msg("%s", err.text);
    return s;
}

static void auto_values(void **state) {
    (void)state;
    eg_options o;
    eg_options_init(&o);
    o.weights = WEIGHTS;
    eg_settings s = resolve(&o, "resnet18", "finetune");
    assert_true(s.live && !s.lbfgs && s.augmented);
    assert_int_equal(s.bn, EG_BN_TRAIN);
    assert_true(s.o.lr == 5e-4);
    assert_string_equal(s.o.class_weights, "balanced");
    assert_true(s.augment.crop_min == 0.25 && s.augment.flip == 0.5 && s.augment.jitter == 0.3);
    /* SHA-256 of "abc", FIPS 180-2 */
    assert_memory_equal(s.weights_sha256, "ba7816bf8f01cfea", 16);
    eg_study_settings_free(&s);

    s = resolve(&o, "resnet18", "frozen");
    assert_true(!s.live && s.lbfgs && !s.augmented);
    assert_int_equal(s.bn, EG_BN_FROZEN);
    assert_string_equal(s.o.class_weights, "none");
    eg_study_settings_free(&s);

    s = resolve(&o, "small_cnn", "scratch");
    assert_null(s.o.weights);
    assert_true(s.o.lr == 1e-3);
    assert_string_equal(s.weights_sha256, "");
    eg_study_settings_free(&s);
}

/* The preset's values land in the options; what the user gave stays; config.json brings all back. */
static void augmentation(void **state) {
    (void)state;
    eg_options o;
    eg_augment xray, strong;
    eg_error err = {0};
    assert_true(eg_augment_preset(&xray, "xray") && eg_augment_preset(&strong, "strong"));
    eg_options_init(&o);
    o.weights = WEIGHTS;
    o.augment = "xray";
    eg_settings s = resolve(&o, "resnet18", "finetune"), back;
    assert_memory_equal(&s.augment, &xray, sizeof xray);
    assert_true(s.o.rotate == xray.rotate && s.o.crop_min == xray.crop_min && s.o.flip == 0);
    eg_study_settings_free(&s);

    o.rotate = 3;
    o.flip = 0.5;
    o.mixup = 0; /* off is a value too */
    o.augment = "strong";
    s = resolve(&o, "resnet18", "finetune");
    assert_true(s.augment.rotate == 3 && s.augment.flip == 0.5 && s.augment.mixup == 0);
    assert_true(s.augment.cutmix == strong.cutmix && s.augment.noise == strong.noise);
    json_t *json = eg_study_settings_json(&s);
    assert_true(json_real_value(json_object_get(json, "blur")) == strong.blur);
    assert_int_equal(eg_study_settings_read(&back, json, &err), EG_OK);
    assert_memory_equal(&back.augment, &s.augment, sizeof back.augment);
    eg_study_settings_free(&back);
    eg_study_settings_free(&s);

    /* a run of a time when "none" stood beside values that did not count */
    json_object_set_new(json, "augment", json_string("none"));
    json_object_del(json, "rotate");
    assert_int_equal(eg_study_settings_read(&back, json, &err), EG_OK);
    assert_false(back.augmented);
    eg_study_settings_free(&back);
    json_decref(json);
}

/* none and one change of one's own is on; but in a study, the frozen mode stays without. */
static void augmentation_overrides(void **state) {
    (void)state;
    eg_options o;
    eg_error err = {0};
    eg_options_init(&o);
    o.weights = WEIGHTS;
    o.augment = "none";
    eg_settings s = resolve(&o, "resnet18", "finetune"), none;
    assert_false(s.augmented);
    eg_study_settings_free(&s);
    o.noise = 0.02;
    s = resolve(&o, "resnet18", "finetune");
    assert_true(s.augmented && s.augment.noise == 0.02 && s.augment.crop_min == 1);
    eg_study_settings_free(&s);
    o.augment = "auto";
    s = resolve(&o, "resnet18", "frozen"); /* o.mode is finetune: a mode of a study's */
    assert_true(!s.augmented && s.lbfgs);
    eg_study_settings_free(&s);
    o.mode = "frozen";
    s = resolve(&o, "resnet18", "frozen");
    assert_true(s.augmented && s.live);
    eg_study_settings_free(&s);
    o.augment = "absurd";
    assert_int_equal(eg_study_settings_resolve(&none, &o, "resnet18", "frozen", &err),
                     EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "xray or strong"));
}

/* Each weights file its own preset: known by the first digits of its hash. */
static void presets_of_weights(void **state) {
    (void)state;
    const char *v1 = "0676ba61b6795bbe1773cffd859882e5";
    const eg_arch_info *arch = eg_arch_find("resnet50");
    eg_preprocess p;
    assert_int_equal(eg_study_preset_of(&p, arch, NULL, "auto", 0, NULL), EG_OK);
    assert_int_equal(p.resize, 232);
    assert_int_equal(eg_study_preset_of(&p, arch, arch->weights_sha256, "auto", 0, NULL), EG_OK);
    assert_int_equal(p.resize, 232);
    assert_int_equal(eg_study_preset_of(&p, arch, v1, "auto", 0, NULL), EG_OK);
    assert_true(p.resize == 256 && p.crop == 224 && p.interp == EG_INTERP_BILINEAR);
    assert_int_equal(eg_study_preset_of(&p, arch, v1, "weights", 112, NULL), EG_OK);
    assert_true(p.resize == 128 && p.crop == 112);
    /* the digits of another model's file say nothing */
    assert_int_equal(eg_study_preset_of(&p, arch, "394f9c45", "auto", 0, NULL), EG_OK);
    assert_int_equal(p.resize, 232);
    arch = eg_arch_find("regnet_y_16gf");
    assert_int_equal(eg_study_preset_side(arch, "43afe44d00"), 384);
    assert_int_equal(eg_study_preset_side(arch, ""), arch->img_size);
}

/* moving statistics in frozen mode need the trunk in every epoch, so no exact head */
static void frozen_with_moving_statistics(void **state) {
    (void)state;
    eg_options o;
    eg_options_init(&o);
    o.weights = WEIGHTS;
    o.bn = "train";
    eg_settings s = resolve(&o, "resnet18", "frozen");
    assert_true(s.live && !s.lbfgs);
    assert_int_equal(s.bn, EG_BN_TRAIN);
    eg_study_settings_free(&s);
}

static void refused(const eg_options *o, const char *model, const char *mode, eg_status status,
                    const char *text) {
    eg_settings s;
    eg_error err = {0};
    assert_int_equal(eg_study_settings_resolve(&s, o, model, mode, &err), status);
    if (!strstr(err.text, text)) fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void refusals(void **state) {
    (void)state;
    eg_options o;
    eg_options_init(&o);
    refused(&o, "resnet18", "finetune", EG_ERR_NOT_FOUND, "--weights resnet18=FILE");
    refused(&o, "small_cnn", "finetune", EG_ERR_USAGE, "--mode scratch");
    refused(&o, "resnet1", "finetune", EG_ERR_USAGE, "resnet18");
    refused(&o, NULL, "finetune", EG_ERR_USAGE, "--model");
    refused(&o, "resnet18", "thawed", EG_ERR_USAGE, "--mode thawed");
    o.weights = TEST_BINARY_DIR "/no_such_file.pth";
    refused(&o, "resnet18", "finetune", EG_ERR_NOT_FOUND, "no_such_file.pth");
    o.bn = "frozen";
    refused(&o, "small_cnn", "scratch", EG_ERR_USAGE, "--bn");
    o.bn = "auto";
    o.dtype = "half";
    refused(&o, "small_cnn", "scratch", EG_ERR_USAGE, "--dtype half: expected auto, f32 or bf16");
}

/* --dtype becomes a word that config.json keeps: one that the network can be computed in */
static void number_format(void **state) {
    (void)state;
    bool native = eg_net_bf16_native();
    const struct {
        const char *given, *model;
        bool bf16, note;
    } CASES[] = {
        {"auto", "resnet18", native, false}, {"f32", "resnet18", false, false},
        {"bf16", "resnet18", true, !native}, {"auto", "vit_b_16", false, native},
        {"bf16", "vit_b_16", false, true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        eg_options o;
        eg_options_init(&o);
        assert_string_equal(o.dtype, "auto");
        o.dtype = CASES[i].given;
        eg_settings s = resolve(&o, CASES[i].model, "scratch"), back;
        assert_int_equal(s.bf16, CASES[i].bf16);
        assert_string_equal(s.o.dtype, CASES[i].bf16 ? "bf16" : "f32");
        assert_int_equal(s.dtype_note != NULL, CASES[i].note);
        json_t *json = eg_study_settings_json(&s);
        assert_string_equal(json_string_value(json_object_get(json, "dtype")), s.o.dtype);
        /* a run that goes on keeps it; one from before the option was computed in f32 */
        assert_int_equal(eg_study_settings_read(&back, json, NULL), EG_OK);
        assert_int_equal(back.bf16, s.bf16);
        assert_string_equal(back.o.dtype, s.o.dtype);
        eg_study_settings_free(&back);
        json_object_del(json, "dtype");
        assert_int_equal(eg_study_settings_read(&back, json, NULL), EG_OK);
        assert_false(back.bf16);
        assert_string_equal(back.o.dtype, "f32");
        eg_study_settings_free(&back);
        json_decref(json);
        eg_study_settings_free(&s);
    }
}

static void count_notes(void *context, const eg_progress *p) {
    if (p->kind == EG_PROGRESS_NOTE) ++*(int *)context;
}

/* two runs of a study say the same note once */
static void notes_once(void **state) {
    (void)state;
    int n = 0;
    eg_events ev = {.progress = count_notes, .context = &n};
    eg_options o;
    eg_options_init(&o);
    o.dtype = "bf16";
    eg_settings a = resolve(&o, "vit_b_16", "scratch"), b = resolve(&o, "swin_t", "scratch");
    eg_study_settings_say(&a, NULL, &ev);
    assert_int_equal(n, 1);
    eg_study_settings_say(&a, &a, &ev);
    assert_int_equal(n, 1);
    eg_study_settings_say(&b, &a, &ev);
    assert_int_equal(n, 2);
    eg_study_settings_free(&a);
    eg_study_settings_free(&b);
}

/* auto: images of exactly the network's size stay as they are, others get the weights' preset; a
 * word the user gave is never changed. */
static void auto_preprocessing(void **state) {
    (void)state;
    static const struct {
        const char *given;
        int width, height;
        const char *expected;
        eg_fit fit;
        int resize;
    } CASES[] = {
        {"auto", 224, 224, "squash", EG_FIT_SQUASH, 224},
        {"auto", 224, 225, "weights", EG_FIT_CROP, 256},
        {"auto", 0, 0, "weights", EG_FIT_CROP, 256},
        {"weights", 224, 224, "weights", EG_FIT_CROP, 256},
        {"crop", 224, 224, "crop", EG_FIT_CROP, 224},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        eg_options o;
        eg_options_init(&o);
        o.weights = WEIGHTS;
        o.preprocessing = CASES[i].given;
        eg_settings s = resolve(&o, "efficientnet_b0", "finetune");
        eg_dataset ds = {.width = CASES[i].width, .height = CASES[i].height};
        assert_int_equal(eg_study_settings_fit(&s, &ds, NULL, NULL), EG_OK);
        assert_string_equal(s.o.preprocessing, CASES[i].expected);
        assert_int_equal(s.preprocess.fit, CASES[i].fit);
        assert_int_equal(s.preprocess.resize, CASES[i].resize);
        assert_int_equal(s.preprocess.crop, 224);
        eg_study_settings_free(&s);
    }
}

static void config_round_trip(void **state) {
    (void)state;
    eg_options o;
    eg_options_init(&o);
    o.weights = WEIGHTS;
    o.lr = 0.00123;
    o.epochs = 9;
    o.opt = "sgd";
    o.skip_bad = true;
    o.preprocessing = "squash";
    o.img_size = 96;
    eg_settings a = resolve(&o, "efficientnet_b0", "finetune"), b;
    json_t *json = eg_study_settings_json(&a);
    assert_non_null(json);
    assert_null(json_object_get(json, "out"));
    assert_null(json_object_get(json, "workers"));
    eg_error err = {0};
    if (eg_study_settings_read(&b, json, &err) != EG_OK) fail_msg("%s", err.text);
    json_t *again = eg_study_settings_json(&b);
    assert_true(json_equal(json, again));
    assert_true(b.arch == a.arch && b.mode == a.mode && b.live == a.live && b.bn == a.bn);
    assert_memory_equal(&a.preprocess, &b.preprocess, sizeof a.preprocess);
    assert_true(b.o.lr == 0.00123 && b.o.epochs == 9 && b.o.skip_bad);
    json_decref(again);
    /* a wrong type is named */
    json_object_set_new(json, "epochs", json_string("nine"));
    eg_study_settings_free(&b);
    assert_int_equal(eg_study_settings_read(&b, json, &err), EG_ERR_INPUT);
    assert_non_null(strstr(err.text, "settings.epochs"));
    json_decref(json);
    eg_study_settings_free(&a);
}

static void presets(void **state) {
    (void)state;
    eg_preprocess p, back;
    eg_error err = {0};
    const eg_arch_info *arch = eg_arch_find("resnet50");
    assert_int_equal(eg_study_preset(&p, arch, "auto", 0, &err), EG_OK);
    assert_int_equal(p.crop, arch->img_size);
    assert_int_equal(p.resize, arch->resize);
    json_t *json = eg_study_preset_json(&p);
    assert_int_equal(eg_study_preset_parse(&back, json, &err), EG_OK);
    assert_memory_equal(&p, &back, sizeof p);
    json_object_set_new(json, "crop", json_integer(0));
    assert_int_equal(eg_study_preset_parse(&back, json, &err), EG_ERR_INPUT);
    json_decref(json);
    /* another size keeps the share of the shorter side */
    assert_int_equal(eg_study_preset(&p, arch, "weights", arch->img_size / 2, &err), EG_OK);
    assert_int_equal(p.resize, arch->resize / 2);
    assert_int_equal(eg_study_preset(&p, arch, "crop", 64, &err), EG_OK);
    assert_true(p.fit == EG_FIT_CROP && p.resize == 64 && p.crop == 64);
    assert_int_equal(eg_study_preset(&p, arch, "stretch", 0, &err), EG_ERR_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_values),
        cmocka_unit_test(augmentation),
        cmocka_unit_test(augmentation_overrides),
        cmocka_unit_test(presets_of_weights),
        cmocka_unit_test(frozen_with_moving_statistics),
        cmocka_unit_test(refusals),
        cmocka_unit_test(auto_preprocessing),
        cmocka_unit_test(config_round_trip),
        cmocka_unit_test(presets),
        cmocka_unit_test(number_format),
        cmocka_unit_test(notes_once),
    };
    return cmocka_run_group_tests(tests, make_weights, NULL);
}

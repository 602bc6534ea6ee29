/* --weights: plain FILE, MODEL=FILE, paths with '=', and the contradictions. */
#include "study/run.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *spec, const char *model, const char *expected) {
    char *path = NULL;
    eg_error err = {0};
    assert_int_equal(eg_study_weights_find(&path, spec, model, &err), EG_OK);
    if (expected)
        assert_string_equal(path, expected);
    else
        assert_null(path);
    eg_free(path);
}

static void finds_the_file(void **state) {
    (void)state;
    check(NULL, "resnet18", NULL);
    check("", "resnet18", NULL);
    check("a.pth", "resnet18", "a.pth");
    check("resnet18=a.pth", "resnet18", "a.pth");
    check("resnet18=a.pth", "resnet50", NULL);
    check("resnet18=a.pth\nresnet50=b.pth", "resnet50", "b.pth");
    check("plain.pth\nresnet50=b.pth", "resnet50", "b.pth");
    check("plain.pth\nresnet50=b.pth", "resnet18", "plain.pth");
}

/* what stands before '=' must be a known model, else the whole is a path */
static void equals_in_a_path(void **state) {
    (void)state;
    check("dir/seed=3/a.pth", "resnet18", "dir/seed=3/a.pth");
    check("resnet18=x=y.pth", "resnet18", "x=y.pth");
}

static void contradictions(void **state) {
    (void)state;
    char *path = NULL;
    eg_error err = {0};
    assert_int_equal(eg_study_weights_find(&path, "a.pth\nb.pth", "resnet18", &err), EG_ERR_USAGE);
    assert_non_null(strstr(err.text, "a.pth and b.pth"));
    assert_int_equal(eg_study_weights_find(&path, "resnet18=", "resnet18", &err), EG_ERR_USAGE);
    assert_null(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_file),
        cmocka_unit_test(equals_in_a_path),
        cmocka_unit_test(contradictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which file of the caches counts: by its SHA-256 alone, PyTorch's folder first, under the old name
 * too, and never because of its name. Small files stand for the weights. */
#include "study/run.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "temp_tree.h"
#include <sys/stat.h>

static const char content[] = "the weights";
static char sha256[65], torch_cache[600], cache[600];
static eg_options options;

static int begin(void **state) {
    (void)state;
    tree_begin();
    tree_folder("torch");
    tree_folder("cache");
    snprintf(torch_cache, sizeof torch_cache, "%s/torch", tree_root);
    snprintf(cache, sizeof cache, "%s/cache", tree_root);
    options.torch_cache = torch_cache;
    options.cache = cache;
    eg_sha256_hex(sha256, content, sizeof content);
    return 0;
}

static int finish(void **state) {
    (void)state;
    tree_end();
    return 0;
}

static void put(const char *path) {
    tree_write(path, content, sizeof content);
}

/* Looked for as `file` of `model` with this SHA-256; NULL: not found. The caller frees it. */
static char *look(eg_cached_weights *found, const char *model, const char *file,
                  const char *digits) {
    eg_error err = {0};
    if (eg_study_weights_cached(found, model, file, digits, &options, &err) != EG_OK)
        fail_msg("%s", err.text);
    return found->path;
}

static void finds(const char *model, const char *file, const char *digits, const char *path,
                  const char *place, bool full) {
    eg_cached_weights found;
    char *at = look(&found, model, file, digits);
    if (!at) fail_msg("not found; %s", found.wrong);
    assert_string_equal(at, tree_path(path));
    assert_string_equal(found.place, place);
    assert_string_equal(found.sha256, sha256);
    assert_int_equal(found.full, full);
    eg_free(at);
}

/* `wrong`: part of what the user is told; NULL: nothing. */
static void finds_none(const char *model, const char *file, const char *digits, const char *wrong) {
    eg_cached_weights found;
    assert_null(look(&found, model, file, digits));
    if (wrong && !strstr(found.wrong, wrong)) fail_msg("\"%s\", not %s", found.wrong, wrong);
    if (!wrong) assert_string_equal(found.wrong, "");
}

static void places(void **state) {
    (void)state;
    finds_none("net", "a.pth", sha256, NULL);
    put("cache/a.pth");
    finds("net", "a.pth", sha256, "cache/a.pth", "the cache", true);
    put("torch/a.pth");
    finds("net", "a.pth", sha256, "torch/a.pth", "PyTorch's cache", true);
    options.torch_cache = NULL; /* not looked at */
    finds("net", "a.pth", sha256, "cache/a.pth", "the cache", true);
    options.torch_cache = torch_cache;
}

static void digits(void **state) {
    (void)state;
    char some[65] = "";
    put("cache/b.pth");
    memcpy(some, sha256, 8); /* as in a file's name */
    finds("net", "b.pth", some, "cache/b.pth", "the cache", false);
    some[7] = some[7] == '0' ? '1' : '0';
    finds_none("net", "b.pth", some, "another SHA-256");
    some[7] = '\0'; /* right ones, but too few to be a check */
    finds_none("net", "b.pth", some, "another SHA-256");
    finds_none("net", "b.pth", "", "another SHA-256");
    finds_none("net", NULL, sha256, NULL); /* a network without weights */
    finds_none("net", "b.pth", NULL, NULL);
}

/* A file of the name that is not it: said, stepped over, and the next place is looked at. */
static void wrong_files(void **state) {
    (void)state;
    tree_write("torch/c.pth", "damaged", 7);
    finds_none("net", "c.pth", sha256, "torch/c.pth is there but has another SHA-256");
    put("cache/c.pth");
    finds("net", "c.pth", sha256, "cache/c.pth", "the cache", true);
    tree_folder("cache/d.pth"); /* a folder is no file */
    finds_none("net", "d.pth", sha256, NULL);
    assert_int_equal(mkfifo(tree_path("cache/e.pth"), 0600), 0); /* not waited for */
    finds_none("net", "e.pth", sha256, "e.pth is there but cannot be read");
}

/* EfficientNet-B0: the file of today lies in caches under the name of before 2023 as well. */
static void two_names(void **state) {
    (void)state;
    const char *old_digits, *old = eg_study_weights_old_name("efficientnet_b0", &old_digits);
    const char *now = eg_arch_find("efficientnet_b0")->weights_file;
    char path[300];
    assert_string_equal(old, "efficientnet_b0_rwightman-3dd342df.pth");
    assert_string_equal(old_digits, "3dd342df");
    snprintf(path, sizeof path, "cache/%s", old);
    tree_write(path, "neither", 7);
    finds_none("efficientnet_b0", now, sha256, "3dd342df.pth is there but has another SHA-256");
    put(path);
    finds("efficientnet_b0", now, sha256, path, "the cache", true);
    finds_none("efficientnet_b1", now, sha256, NULL); /* nobody else's */
    snprintf(path, sizeof path, "cache/%s", now);
    put(path);
    finds("efficientnet_b0", now, sha256, path, "the cache", true); /* today's name first */
    assert_null(eg_study_weights_old_name("resnet18", &old_digits));
    assert_null(old_digits);
    /* the old content is known by 8 digits only */
    bool full = true;
    char before[65] = "3dd342df";
    memset(before + 8, 'a', 56);
    assert_true(eg_study_weights_match(&full, before, "3dd342df"));
    assert_false(full);
    assert_false(
        eg_study_weights_match(&full, before, eg_arch_find("efficientnet_b0")->weights_sha256));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(places), cmocka_unit_test(digits),
                                       cmocka_unit_test(wrong_files), cmocka_unit_test(two_names)};
    return cmocka_run_group_tests(tests, begin, finish);
}

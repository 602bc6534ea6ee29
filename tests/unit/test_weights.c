/* The door: dispatch, unwrapping, notes, the scan, and the whole folder of hostile files. */
#include "unit/weights_samples.h"

#include <dirent.h>

/* Reading `path` must fail with `status` and a text that holds `part`. */
static void check_refused(const char *path, eg_status status, const char *part) {
    eg_error err = {0};
    eg_state_dict *sd = NULL;
    assert_int_equal(eg_weights_read(&sd, path, &err), status);
    assert_null(sd);
    assert_int_equal(strncmp(err.text, path, strlen(path)), 0);
    if (strstr(err.text, part) == NULL) fail_msg("'%s' does not say '%s'", err.text, part);
}

static void unwraps(void **state) {
    (void)state;
    static const char *const files[] = {SAMPLES "zip_nested.pth", SAMPLES "legacy_nested.pth"};
    for (int i = 0; i < 2; i++) {
        eg_state_dict *sd = read_sample(files[i]);
        check_all_samples(sd);
        assert_non_null(
            strstr(eg_state_dict_note(sd), "took 'state_dict' of {epoch, state_dict, best"));
        eg_state_dict_free(sd);
    }
}

/* An optimiser's tensors are below integer keys and are not taken for a network. */
static void ignores_optimizers(void **state) {
    (void)state;
    static const char *const files[] = {SAMPLES "zip_training.pth", SAMPLES "legacy_training.pth"};
    eg_state_dict *plain = read_sample(SAMPLES "zip_model.pth");
    assert_int_equal(eg_state_dict_count(plain), 9);
    for (int i = 0; i < 2; i++) {
        eg_state_dict *sd = read_sample(files[i]);
        assert_true(same_tensors(sd, plain));
        assert_non_null(
            strstr(eg_state_dict_note(sd), "took 'model' of {model, sgd, adam, epoch}"));
        eg_state_dict_free(sd);
    }
    eg_state_dict_free(plain);
}

static void strips_module(void **state) {
    (void)state;
    static const char *const files[] = {SAMPLES "zip_module.pth", SAMPLES "legacy_module.pth"};
    for (int i = 0; i < 2; i++) {
        eg_state_dict *sd = read_sample(files[i]);
        check_all_samples(sd);
        assert_string_equal(eg_state_dict_note(sd), "stripped 'module.' from 16 names");
        eg_state_dict_free(sd);
    }
}

static void says_why(void **state) {
    (void)state;
    check_refused(SAMPLES "zip_two.pth", EG_ERR_INPUT,
                  "several state dicts: 'model' (16 tensors), 'ema' (16 tensors)");
    check_refused(SAMPLES "legacy_list.pth", EG_ERR_INPUT, "not a state dict");
    check_refused(
        HOSTILE "n_call_posix.system.pth", EG_ERR_INPUT,
        "data.pkl: global posix.system at byte 2 is not allowed: only tensors, numbers, text and "
        "containers are read; nothing was executed");
    check_refused(HOSTILE "n_call_plain_pickle.pth", EG_ERR_INPUT, "global posix.system at byte 2");
    check_refused(HOSTILE "n_call_plain_protocol0.pth", EG_ERR_INPUT,
                  "global posix.system at byte 0");
    check_refused(HOSTILE "n_call_plain_protocol4.pth", EG_ERR_INPUT,
                  "global posix.system at byte");
    check_refused(HOSTILE "n_call_osESC.system.pth", EG_ERR_INPUT, "global os?[31m.system");
    check_refused(HOSTILE "n_call_stack_global.pth", EG_ERR_INPUT, "STACK_GLOBAL at byte");
    check_refused(HOSTILE "n_proto_4.pth", EG_ERR_INPUT, "protocol 4");
    check_refused(HOSTILE "n_zip_crc.pth", EG_ERR_INPUT,
                  "'a/data/0': its checksum (CRC32) is wrong");
    check_refused(HOSTILE "n_zip_flag_encrypted.pth", EG_ERR_INPUT, "encrypted");
    check_refused(HOSTILE "n_zip_overlap_inside.pth", EG_ERR_INPUT, "overlaps");
    check_refused(HOSTILE "n_zip_torchscript.pth", EG_ERR_INPUT, "TorchScript");
    check_refused(HOSTILE "n_zip_big_endian.pth", EG_ERR_INPUT, "little endian");
    check_refused(HOSTILE "n_tensor_storage_longer.pth", EG_ERR_INPUT,
                  "at byte 288 has 16 bytes, but data.pkl says 20");
    check_refused(HOSTILE "n_tensor_size_beyond.pth", EG_ERR_INPUT,
                  "does not fit into its storage");
    check_refused(HOSTILE "n_tensor_twice.pth", EG_ERR_INPUT, "'w' is given twice");
    check_refused(HOSTILE "n_hidden_second_pickle.pth", EG_ERR_INPUT,
                  "something follows the pickle");
    check_refused(HOSTILE "n_bomb_depth.pth", EG_ERR_LIMIT, "64 deep");
    check_refused(HOSTILE "n_bomb_ops.pth", EG_ERR_LIMIT, "million");
    check_refused(HOSTILE "n_bomb_stack.pth", EG_ERR_LIMIT, "stack is full");
    check_refused(HOSTILE "n_bomb_get_ratio.pth", EG_ERR_LIMIT, "memo bomb");
    check_refused(HOSTILE "n_bomb_expanded.pth", EG_ERR_LIMIT, "4 times");
    check_refused(HOSTILE "n_bomb_deflate.pth", EG_ERR_LIMIT, "unpack to more");
    check_refused(HOSTILE "n_bomb_cycle.pth", EG_ERR_INPUT, "changed after");
    check_refused(HOSTILE "n_other_tar.pth", EG_ERR_INPUT,
                  "tar: a member's header is damaged (its sum is wrong), at byte 0");
    check_refused(HOSTILE "n_tar_call_value.pth", EG_ERR_INPUT,
                  "pickle: global os.system at byte 1571 is not allowed");
    check_refused(HOSTILE "n_tar_hidden_pickle.pth", EG_ERR_INPUT, "a second, hidden one");
    check_refused(HOSTILE "n_tar_pax_path.pth", EG_ERR_INPUT, "changes more than times");
    check_refused(HOSTILE "n_tar_extra.pth", EG_ERR_INPUT, "not torch's: member 'readme'");
    check_refused(HOSTILE "n_safe_hole.safetensors", EG_ERR_INPUT, "'w' at byte 9: its data");
    check_refused(HOSTILE "n_other_html.pth", EG_ERR_INPUT, "web page");
    check_refused(HOSTILE "n_other_empty.pth", EG_ERR_INPUT, "empty");
    check_refused(HOSTILE "n_safe_sha.safetensors", EG_ERR_INPUT, "damaged");
    check_refused(HOSTILE "absent.pth", EG_ERR_NOT_FOUND, "");
}

/* The offset of an error is one of the file, also inside a member. */
static void offsets_are_of_the_file(void **state) {
    (void)state;
    eg_error err = {0};
    eg_state_dict *sd = NULL;
    eg_weights_read(&sd, HOSTILE "n_call_posix.system.pth", &err);
    size_t n;
    uint8_t *data = load_bytes(HOSTILE "n_call_posix.system.pth", &n);
    assert_true(err.offset > 0 && (size_t)err.offset + 14 < n);
    assert_memory_equal(data + err.offset, "cposix\nsystem\n", 14);
    eg_free(data);
}

/* Refusals that are about the file as a whole: what it is, what it lacks, how much it unpacks to, or a
 * name that two tensors have. All others must say a byte. */
static bool has_no_place(const char *name) {
    static const char *const whole[] = {
        "n_other_",           "n_tree_",           "n_bomb_deflate.pth", "n_bomb_dup_paths",
        "n_bomb_many_d",      "n_tar_id_storage",  "n_tar_zeros_first",  "n_tensor_name_",
        "n_tensor_twice",     "n_zip_empty",       "n_zip_no_pickle",    "n_zip_no_version",
        "n_zip_prefix.pth",   "n_safe_cut_length", "n_safe_json_list",   "n_safe_length_100m",
        "n_safe_length_huge", "n_safe_name_empty"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strncmp(name, whole[i], strlen(whole[i])) == 0) return true;
    return false;
}

/* "byte " and a decimal number. */
static bool says_byte(const char *text) {
    for (const char *at = strstr(text, "byte "); at != NULL; at = strstr(at + 1, "byte "))
        if (at[5] >= '0' && at[5] <= '9') return true;
    return false;
}

/* n_*: refused with a text, within the limits; y_*: loads, and "w" is there with its values. */
static void hostile_folder(void **state) {
    (void)state;
    int n_refused = 0, n_read = 0;
    DIR *folder = opendir(HOSTILE);
    assert_non_null(folder);
    for (struct dirent *d; (d = readdir(folder)) != NULL;) {
        if (d->d_name[0] == '.') continue;
        char path[1024];
        snprintf(path, sizeof path, HOSTILE "%s", d->d_name);
        eg_error err = {0};
        eg_state_dict *sd = NULL;
        eg_status status = eg_weights_read(&sd, path, &err);
        if (d->d_name[0] == 'n') {
            if (status == EG_OK) fail_msg("%s was read", d->d_name);
            assert_true(status == EG_ERR_INPUT || status == EG_ERR_LIMIT);
            assert_true(err.status == status && strlen(err.text) > strlen(path) + 10);
            for (const char *c = err.text; *c; c++) assert_true((uint8_t)*c >= 0x20);
            if (!says_byte(err.text + strlen(path)) && !has_no_place(d->d_name))
                fail_msg("no byte in '%s'", err.text);
            n_refused++;
        } else {
            if (status != EG_OK) fail_msg("%s", err.text);
            assert_non_null(eg_state_dict_find(sd, "w"));
            touch_all(sd);
            n_read++;
        }
        eg_state_dict_free(sd);
        json_t *globals = NULL; /* must end and not crash, whatever it finds */
        const char *container = NULL;
        if (eg_weights_scan(&globals, &container, path, NULL) == EG_OK) json_decref(globals);
    }
    closedir(folder);
    assert_true(n_refused >= 330);
    assert_true(n_read >= 35);
}

/* "name" at "offset" must be in the list with this verdict. */
static void check_listed(const json_t *globals, const char *name, json_int_t offset, bool allowed) {
    size_t i;
    json_t *g;
    json_array_foreach(globals, i, g) {
        if (strcmp(json_string_value(json_object_get(g, "name")), name) != 0) continue;
        if (offset >= 0) assert_int_equal(json_integer_value(json_object_get(g, "offset")), offset);
        assert_int_equal(json_is_true(json_object_get(g, "allowed")), allowed);
        return;
    }
    fail_msg("%s is not listed", name);
}

static void scans(void **state) {
    (void)state;
    static const struct {
        const char *path, *container, *name;
        json_int_t offset;
        bool allowed;
    } cases[] = {
        {HOSTILE "n_call_posix.system.pth", "torch zip", "posix.system", 2, false},
        {HOSTILE "n_call_stack_global.pth", "torch zip", "posix.system", -1, false},
        {HOSTILE "n_call_inst.pth", "torch zip", "posix.system", -1, false},
        {HOSTILE "n_call_plain_protocol0.pth", "torch legacy", "posix.system", 0, false},
        {HOSTILE "n_call_plain_protocol4.pth", "torch legacy", "posix.system", -1, false},
        {HOSTILE "n_hidden_second_pickle.pth", "torch zip", "os.system", -1, false},
        {HOSTILE "n_tar_call_value.pth", "torch tar", "os.system", 1571, false},
        {HOSTILE "n_tar_call_views.pth", "torch tar", "os.system", -1, false},
        {HOSTILE "n_tar_hidden_pickle.pth", "torch tar", "os.system", -1, false},
        {SAMPLES "tar_plain.pth", "torch tar", "torch.ByteStorage", -1, true},
        {SAMPLES "tar_plain.pth", "torch tar", "torch.HalfTensor", -1, true},
        {HOSTILE "n_legacy_call_in_keys.pth", "torch legacy", "os.system", -1, false},
        {SAMPLES "zip_plain.pth", "torch zip", "torch._utils._rebuild_tensor_v2", -1, true},
        {SAMPLES "legacy_plain.pth", "torch legacy", "torch.FloatStorage", -1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *globals = NULL;
        const char *container = NULL;
        eg_error err = {0};
        if (eg_weights_scan(&globals, &container, cases[i].path, &err) != EG_OK)
            fail_msg("%s", err.text);
        assert_string_equal(container, cases[i].container);
        check_listed(globals, cases[i].name, cases[i].offset, cases[i].allowed);
        json_decref(globals);
    }
    json_t *none = NULL;
    const char *container = NULL;
    assert_int_equal(eg_weights_scan(&none, &container, SAMPLES "plain.safetensors", NULL), EG_OK);
    assert_int_equal(json_array_size(none), 0);
    json_decref(none);
}

/* eg_weights_decode keeps nothing of the caller's memory. */
static void decode_copies(void **state) {
    (void)state;
    size_t n;
    uint8_t *data = load_bytes(SAMPLES "zip_plain.pth", &n);
    eg_state_dict *sd = try_decode(data, n);
    memset(data, 0xEE, n);
    eg_free(data);
    check_all_samples(sd);
    eg_state_dict_free(sd);
    assert_null(try_decode((const uint8_t *)"", 0));
}

static void decode_allocations(void **state) {
    (void)state;
    size_t n, before = eg_memory_stats_get().bytes_now;
    uint8_t *data = load_bytes(SAMPLES "zip_parameter.pth", &n);
    eg_status status = EG_ERR_NO_MEMORY;
    for (uint64_t k = 1; status != EG_OK; k++) {
        eg_state_dict *sd = NULL;
        eg_memory_fail_at(k);
        status = eg_weights_decode(&sd, data, n, NULL);
        eg_memory_fail_at(0);
        assert_true(status == EG_OK || (status == EG_ERR_NO_MEMORY && sd == NULL));
        eg_state_dict_free(sd);
    }
    eg_free(data);
    assert_int_equal(eg_memory_stats_get().bytes_now, before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unwraps),
        cmocka_unit_test(ignores_optimizers),
        cmocka_unit_test(strips_module),
        cmocka_unit_test(says_why),
        cmocka_unit_test(offsets_are_of_the_file),
        cmocka_unit_test(hostile_folder),
        cmocka_unit_test(scans),
        cmocka_unit_test(decode_copies),
        cmocka_unit_test(decode_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The option table: one list, read by the parser, --help, the man page and config.json. Also the
 * names of the commands. Knows what an option is called, where its field lies and which values it
 * takes; not what it means. Read first: include/engraft.h section 2. A new option is one row here
 * and one field in eg_options. */
#include "base/base.h"

#include <string.h>

/* Bits of the commands that take an option. */
enum {
#define COMMAND_BIT(id, name, args, help) id = 1u << EG_COMMAND_##id,
    EG_COMMAND_LIST(COMMAND_BIT)
#undef COMMAND_BIT
        LEARN = TRAIN | STUDY,
    RUNS = TRAIN | STUDY | FEATURES | EVAL | PREDICT,
    ALL = (1u << EG_COMMAND_COUNT) - 1u
};

/* The rows. Six row kinds, so that each says only what its type needs, and so that the words of a
 * CHOICE are written once: the same list expands into the public table ("a|b|c") and into the
 * static words that a field points to. */
// clang-format off
#define OPTION_LIST(FLAG, INT, SIZE, REAL, TEXT, CHOICE) \
    /* data */ \
    CHOICE("val-by", 0, NULL, val_by, "patient", ("patient", "image"), LEARN, \
           "what is kept whole when validation is made from train") \
    REAL("val-share", 0, "val-fraction,val-split", val_share, "0.2", 0.01, 0.9, NULL, LEARN, \
         "share of train used for validation when DIR has no val folder") \
    CHOICE("patients", 0, NULL, patients, "auto", ("auto", "none", "kermany", "prefix"), LEARN, \
           "how file names give patients") \
    FLAG("skip-bad", 0, NULL, skip_bad, RUNS, \
         "leave out images that cannot be read, after naming them") \
    CHOICE("preprocessing", 0, NULL, preprocessing, "auto", \
           ("auto", "weights", "squash", "crop"), LEARN | FEATURES, \
           "weights: resize and crop as trained; auto: that, or none when the size fits") \
    INT("img-size", 0, "imgsz,image-size", img_size, "0", 0, 4096, "pixels", \
        LEARN | FEATURES | MODELS | EXPORT | BENCH, \
        "side of the network's input; 0: that of the weights") \
    /* network */ \
    TEXT("model", 'm', "arch", model, NULL, "NAME", TRAIN | FEATURES | EXPORT, \
         "the network (see engraft models)") \
    TEXT("models", 0, NULL, models, NULL, "NAME,NAME", STUDY | MODELS, \
         "the networks (see engraft models, which also takes patterns: resnet*)") \
    CHOICE("mode", 0, NULL, mode, "finetune", ("finetune", "frozen", "scratch"), TRAIN, \
           "train every layer, only the last one, or start from random weights") \
    TEXT("modes", 0, NULL, modes, "finetune,frozen", "MODE,MODE", STUDY, \
         "how each network is trained") \
    TEXT("weights", 'w', "pretrained", weights, NULL, "[MODEL=]FILE", LEARN | FEATURES | MODELS, \
         "pretrained weights, .pth or .safetensors; MODEL=FILE, repeated, with several models") \
    TEXT("cache", 0, "cache-dir", cache, NULL, "DIR", PULL | LEARN | FEATURES | MODELS, \
         "folder of pulled weights: $ENGRAFT_CACHE, else engraft/weights in $XDG_CACHE_HOME or " \
         "~/.cache") \
    TEXT("torch-cache", 0, NULL, torch_cache, NULL, "DIR", PULL | LEARN | FEATURES | MODELS, \
         "PyTorch's folder, looked at first: hub/checkpoints in $TORCH_HOME or ~/.cache/torch") \
    TEXT("feature-cache", 0, NULL, feature_cache, NULL, "DIR", LEARN | FEATURES | MODELS | EVAL, \
         "folder of features computed earlier, at most 2 GiB: $ENGRAFT_FEATURE_CACHE, else " \
         "engraft/features in $XDG_CACHE_HOME or ~/.cache") \
    FLAG("no-feature-cache", 0, "no-cache", no_feature_cache, LEARN | FEATURES | MODELS | EVAL, \
         "compute features anew and keep none") \
    CHOICE("bn", 0, NULL, bn, "auto", ("auto", "frozen", "stats", "train"), LEARN, \
           "batch norm: nothing moves, statistics move, all trains; auto: frozen mode frozen, " \
           "else train") \
    CHOICE("dtype", 0, "precision", dtype, "auto", ("auto", "f32", "bf16"), RUNS | MODELS | BENCH, \
           "number format of the computation; auto: bf16 where the processor has it, else f32; " \
           "eval and predict: as in training") \
    REAL("dropout", 0, "drop", dropout, "-1", -1, 0.95, NULL, LEARN, \
         "rate before the last layer; below 0: the network's own") \
    /* recipe */ \
    INT("epochs", 'e', NULL, epochs, "5", 1, 100000, NULL, LEARN | MODELS, \
        "passes over the training images") \
    INT("batch-size", 'b', "batch", batch_size, "16", 1, 65536, "images", RUNS | MODELS | BENCH, \
        "images a step") \
    CHOICE("opt", 0, "optimizer", opt, "adamw", ("sgd", "adamw"), LEARN, "optimiser") \
    REAL("lr", 0, "lr0,learning-rate", lr, "0", 0, 1e30, NULL, LEARN, \
         "learning rate; 0: chosen by mode and optimiser (config.json says what it became)") \
    REAL("momentum", 0, NULL, momentum, "0.9", 0, 1, NULL, LEARN, "momentum of sgd") \
    REAL("weight-decay", 0, "wd", weight_decay, "0.01", 0, 100, NULL, LEARN, "weight decay") \
    CHOICE("sched", 0, "scheduler,lr-scheduler", sched, "cosine", ("constant", "step", "cosine", \
           "onecycle"), LEARN, \
           "how the learning rate moves") \
    REAL("warmup-epochs", 0, "lr-warmup-epochs", warmup_epochs, "1", 0, 100000, "epochs", LEARN, \
         "epochs in which the learning rate rises") \
    REAL("min-lr", 0, "lr-min", min_lr, "0", 0, 1e30, NULL, LEARN, \
         "learning rate at the end of cosine") \
    INT("step-size", 0, "lr-step-size", step_size, "7", 1, 100000, "epochs", LEARN, \
        "epochs between steps of step") \
    REAL("gamma", 0, "lr-gamma", gamma, "0.1", 1e-6, 1, NULL, LEARN, "factor of a step") \
    CHOICE("class-weights", 0, NULL, class_weights, "auto", ("auto", "none", "balanced"), LEARN, \
           "weight of each class in the loss") \
    REAL("label-smoothing", 0, "smoothing", label_smoothing, "0", 0, 0.99, NULL, LEARN, \
         "label smoothing") \
    INT("patience", 0, NULL, patience, "0", 0, 100000, "epochs", LEARN, \
        "epochs without a better validation loss before stopping; 0: never") \
    REAL("clip-grad", 0, "clip-grad-norm", clip_grad, "0", 0, 1e30, NULL, LEARN, \
         "limit of the global gradient norm; 0: none") \
    CHOICE("head", 0, NULL, head, "lbfgs", ("lbfgs", "recipe"), LEARN, \
           "frozen mode: solve the last layer exactly, or train it by the recipe") \
    REAL("C", 0, NULL, C, "0.01", 1e-12, 1e12, NULL, LEARN, \
         "inverse L2 penalty of the exact head") \
    /* augmentation */ \
    CHOICE("augment", 0, "augmentation", augment, "auto", ("auto", "none", "light"), LEARN, \
           "changes to training images; auto: light, but none in frozen mode") \
    REAL("crop-min", 0, NULL, crop_min, "0.25", 0.01, 1, NULL, LEARN, \
         "smallest area of the random resized crop, share of the image") \
    REAL("flip", 0, "hflip,fliplr", flip, "0.5", 0, 1, NULL, LEARN, \
         "probability of a left-right flip") \
    REAL("jitter", 0, "color-jitter", jitter, "0.3", 0, 1, NULL, LEARN, \
         "brightness and contrast factors within 1 +- this") \
    /* running */ \
    INT("seed", 0, NULL, seed, "0", 0, 9007199254740992.0, NULL, LEARN | FEATURES, "random seed") \
    INT("threads", 't', NULL, threads, "0", 0, 1024, NULL, RUNS | MODELS | VERSION | BENCH, \
        "compute threads; 0: every processor allowed to the process") \
    INT("workers", 'j', NULL, workers, "0", 0, 256, NULL, RUNS, "decoding threads; 0: automatic") \
    SIZE("max-memory", 0, NULL, max_memory, "0", RUNS | BENCH, \
        "keep the process below this, as 800M or 1.5G, with smaller batches; 0: no limit") \
    FLAG("deterministic", 0, NULL, deterministic, RUNS | BENCH, \
         "the same bits for any number of threads; bench says what it costs") \
    TEXT("out", 'o', "output,output-dir", out, NULL, "PATH", LEARN | FEATURES | REPORT | EXPORT, \
         "folder or file that is written") \
    FLAG("overwrite", 0, "exist-ok,force", overwrite, LEARN | FEATURES | EXPORT, \
         "replace what is at --out") \
    TEXT("resume", 0, NULL, resume, NULL, "RUN", TRAIN, "run folder to continue") \
    /* pull */ \
    TEXT("url", 0, "mirror", url, NULL, "URL", PULL, \
         "base address of a mirror, or the address of the file itself (also $ENGRAFT_MIRROR)") \
    INT("timeout", 0, NULL, timeout, "30", 1, 3600, "seconds", PULL, \
        "give a connection up that brings nothing for so long") \
    INT("retries", 0, NULL, retries, "3", 0, 100, NULL, PULL, \
        "new connections in a row that bring nothing; 0: stop at the first break") \
    TEXT("ca-file", 0, "cacert", ca_file, NULL, "FILE", PULL, \
         "certificates to trust, PEM (also $SSL_CERT_FILE)") \
    FLAG("dry-run", 'n', NULL, dry_run, PULL, "say what is there and what would be fetched") \
    /* single commands */ \
    FLAG("measure", 0, NULL, measure, MODELS, "time each network on this machine") \
    CHOICE("mode", 0, NULL, bench_mode, "train", ("train", "predict"), BENCH, \
           "a training step (forward, backward, sgd), or a prediction batch") \
    INT("repeats", 0, NULL, repeats, "5", 1, 1000, "steps", BENCH, \
        "steps measured, after one to warm up; the median counts") \
    FLAG("verify", 0, NULL, verify, INSPECT, "read every byte and compare every checksum") \
    FLAG("kernels", 0, NULL, kernels, VERSION, "list the kernels in use") \
    TEXT("sort", 0, NULL, sort, NULL, "[-]COLUMN", MODELS, \
         "column that orders the table: names from a, accuracy from the highest, costs from the " \
         "lowest; -COLUMN the other way") \
    TEXT("family", 0, NULL, family, NULL, "NAME,NAME", MODELS, "only networks of these families") \
    FLAG("recommend", 0, NULL, recommend, MODELS, \
         "measure a short list and choose two networks for the images of --data") \
    TEXT("data", 0, "data-dir,data-path", data, NULL, "DIR", MODELS, \
         "class folders whose number of images decides the time of --recommend") \
    REAL("budget-minutes", 0, NULL, budget_minutes, "60", 0.001, 1e6, "minutes", MODELS, \
         "time that one network may take, fine-tuning and features together") \
    REAL("budget-memory", 0, NULL, budget_memory, "0", 0, 1e6, "GB", MODELS, \
         "memory that a training step may take; 0: what is free on this machine") \
    FLAG("transferability", 0, NULL, transferability, MODELS, \
         "with --recommend: LogME of the networks whose weights are here, on the user's images") \
    FLAG("all", 0, NULL, all, INSPECT, "list every tensor") \
    CHOICE("lang", 0, "language", lang, "en", ("en", "zh-TW"), STUDY | REPORT, \
           "language of the report") \
    CHOICE("split", 0, NULL, split, "test", ("test", "val", "train"), EVAL, \
           "images that are scored") \
    /* export */ \
    CHOICE("format", 0, NULL, format, NULL, ("pth", "safetensors", "onnx"), EXPORT, \
           "kind of file that is written; default: by the end of --out's name") \
    FLAG("keep-bn", 0, NULL, keep_bn, EXPORT, \
         "ONNX: batch norms stay operators instead of going into the convolutions") \
    FLAG("with-preprocessing", 0, NULL, with_preprocessing, EXPORT, \
         "ONNX: take 8-bit RGB pixels (N,H,W,3) and scale and normalise them in the graph") \
    /* output */ \
    FLAG("json", 0, NULL, json, ALL, "print the result as JSON") \
    FLAG("quiet", 'q', NULL, quiet, ALL, "no progress and no notes") \
    FLAG("verbose", 'v', NULL, verbose, ALL, "also print every setting in use")
// clang-format on

/* offsetof that does not compile unless the field has the type that the row kind writes */
#define FIELD(field, ctype) _Generic(((eg_options *)0)->field, ctype : offsetof(eg_options, field))

// clang-format off
#define JOIN1(a) a
#define JOIN2(a, b) a "|" b
#define JOIN3(a, b, c) a "|" b "|" c
#define JOIN4(a, b, c, d) a "|" b "|" c "|" d
#define JOIN5(a, b, c, d, e) a "|" b "|" c "|" d "|" e
#define JOIN_PICK(a, b, c, d, e, macro, ...) macro
#define JOIN(...) \
    JOIN_PICK(__VA_ARGS__, JOIN5, JOIN4, JOIN3, JOIN2, JOIN1, )(__VA_ARGS__)
// clang-format on
#define UNWRAP(...) __VA_ARGS__

#define ROW_FLAG(name, letter, aliases, field, commands, help)                                     \
    {name, letter, aliases, EG_OPTION_FLAG, FIELD(field, bool), NULL,                              \
     0,    0,      NULL,    NULL,           commands,           help},
#define ROW_INT(name, letter, aliases, field, fallback, min, max, unit, commands, help)            \
    {name, letter, aliases,  EG_OPTION_INT, FIELD(field, int64_t), fallback, min, max,             \
     NULL, unit,   commands, help},
#define ROW_SIZE(name, letter, aliases, field, fallback, commands, help)                           \
    {name, letter,   aliases, EG_OPTION_SIZE, FIELD(field, int64_t), fallback, 0, 0, NULL,         \
     NULL, commands, help},
#define ROW_REAL(name, letter, aliases, field, fallback, min, max, unit, commands, help)           \
    {name, letter,   aliases, EG_OPTION_REAL, FIELD(field, double), fallback, min, max, NULL,      \
     unit, commands, help},
#define ROW_TEXT(name, letter, aliases, field, fallback, unit, commands, help)                     \
    {name, letter,   aliases, EG_OPTION_TEXT, FIELD(field, const char *), fallback, 0, 0, NULL,    \
     unit, commands, help},
#define ROW_CHOICE(name, letter, aliases, field, fallback, words, commands, help)                  \
    {name,     letter, aliases, EG_OPTION_CHOICE, FIELD(field, const char *),                      \
     fallback, 0,      0,       JOIN words,       NULL,                                            \
     commands, help},

static const eg_option options[] = {
    OPTION_LIST(ROW_FLAG, ROW_INT, ROW_SIZE, ROW_REAL, ROW_TEXT, ROW_CHOICE)};
enum { N_OPTIONS = sizeof options / sizeof options[0], MAX_CHOICES = 5 };

/* Words of the choices, parallel to `options`; a CHOICE field points into this. */
#define WORDS_NONE(...)                                                             {NULL},
#define WORDS_CHOICE(name, letter, aliases, field, fallback, words, commands, help) {UNWRAP words},
static const char *const choice_words[N_OPTIONS][MAX_CHOICES + 1] = {
    OPTION_LIST(WORDS_NONE, WORDS_NONE, WORDS_NONE, WORDS_NONE, WORDS_NONE, WORDS_CHOICE)};

static const struct {
    const char *name, *arguments, *help;
} commands[EG_COMMAND_COUNT] = {
#define COMMAND_ROW(id, name, args, help) {name, args, help},
    EG_COMMAND_LIST(COMMAND_ROW)
#undef COMMAND_ROW
};

const eg_option *eg_option_table(size_t *n) {
    *n = N_OPTIONS;
    return options;
}

const char *eg_command_name(eg_command command) {
    return (unsigned)command < EG_COMMAND_COUNT ? commands[command].name : "";
}

const char *eg_command_arguments(eg_command command) {
    return (unsigned)command < EG_COMMAND_COUNT ? commands[command].arguments : "";
}

const char *eg_command_help(eg_command command) {
    return (unsigned)command < EG_COMMAND_COUNT ? commands[command].help : "";
}

void eg_options_init(eg_options *o) {
    memset(o, 0, sizeof *o);
    for (int i = 0; i < N_OPTIONS; i++)
        /* a fallback that its own option refuses is a defect that test_options.c finds */
        if (options[i].fallback) eg_options_set(o, &options[i], options[i].fallback, NULL);
}

static eg_status set_flag(bool *field, const eg_option *option, const char *value, eg_error *err) {
    static const char *const yes[] = {"1", "true", "yes", "on"};
    static const char *const no[] = {"0", "false", "no", "off"};
    for (size_t i = 0; i < 4; i++) {
        if (value && strcmp(value, yes[i]) != 0 && strcmp(value, no[i]) != 0) continue;
        *field = !value || strcmp(value, yes[i]) == 0;
        return EG_OK;
    }
    return eg_fail(err, EG_ERR_USAGE, "--%s %s: expected yes or no", option->name, value);
}

/* A refused choice lists all of them: "expected sgd or adamw". */
static eg_status fail_choice(const eg_option *option, const char *value, eg_error *err) {
    char list[256];
    size_t used = 0;
    for (const char *c = option->choices; *c && used + 5 < sizeof list; c++) {
        if (*c != '|') {
            list[used++] = *c;
            continue;
        }
        const char *between = strchr(c + 1, '|') ? ", " : " or ";
        memcpy(list + used, between, strlen(between));
        used += strlen(between);
    }
    list[used] = '\0';
    return eg_fail(err, EG_ERR_USAGE, "--%s %s: expected %s", option->name, value, list);
}

static eg_status set_choice(const char **field, const eg_option *option, const char *value,
                            eg_error *err) {
    const char *const *words = choice_words[option - options];
    for (; *words; words++) {
        if (strcmp(*words, value) != 0) continue;
        *field = *words;
        return EG_OK;
    }
    return fail_choice(option, value, err);
}

eg_status eg_options_set(eg_options *o, const eg_option *option, const char *value, eg_error *err) {
    void *field = (char *)o + option->offset;
    if (option->type == EG_OPTION_FLAG) return set_flag(field, option, value, err);
    if (!value || !*value)
        return eg_fail(err, EG_ERR_USAGE, "--%s: expected a value", option->name);
    switch (option->type) {
    case EG_OPTION_INT: {
        int64_t v;
        if (!eg_parse_int(&v, value) || v < (int64_t)option->min || v > (int64_t)option->max)
            return eg_fail(err, EG_ERR_USAGE, "--%s %s: expected a whole number from %.0f to %.0f",
                           option->name, value, option->min, option->max);
        *(int64_t *)field = v;
        return EG_OK;
    }
    case EG_OPTION_SIZE:
        return eg_parse_size(field, value)
                   ? EG_OK
                   : eg_fail(err, EG_ERR_USAGE, "--%s %s: expected bytes, as 800M or 1.5G",
                             option->name, value);
    case EG_OPTION_REAL: {
        double v;
        if (!eg_parse_real(&v, value) || v < option->min || v > option->max)
            return eg_fail(err, EG_ERR_USAGE, "--%s %s: expected a number from %g to %g",
                           option->name, value, option->min, option->max);
        *(double *)field = v;
        return EG_OK;
    }
    case EG_OPTION_CHOICE:
        return set_choice(field, option, value, err);
    case EG_OPTION_TEXT:
    default:
        *(const char **)field = value;
        return EG_OK;
    }
}

/* Is `name` (n characters) the same as `word` (w characters), with '_' counted as '-'? */
static bool same_name(const char *name, size_t n, const char *word, size_t w) {
    if (n != w) return false;
    for (size_t i = 0; i < n; i++)
        if ((name[i] == '_' ? '-' : name[i]) != word[i]) return false;
    return true;
}

const eg_option *eg_option_find(const char *name, eg_command command) {
    size_t n = strlen(name);
    for (int i = 0; i < N_OPTIONS; i++) {
        if (!(options[i].commands & 1u << command)) continue;
        if (same_name(name, n, options[i].name, strlen(options[i].name))) return &options[i];
        for (const char *a = options[i].aliases; a && *a;) {
            size_t w = strcspn(a, ",");
            if (same_name(name, n, a, w)) return &options[i];
            a += w + (a[w] == ',');
        }
    }
    return NULL;
}

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
    SETS = TRAIN | STUDY | FEATURES | EVAL | DATA | EXPLAIN, /* commands that open a data set */
    DRAWS = TRAIN | STUDY | DATA,                            /* and draw its splits */
    RUNS = TRAIN | STUDY | FEATURES | EVAL | PREDICT,
    ALL = (1u << EG_COMMAND_COUNT) - 1u
};

/* The rows. Six row kinds, so that each says only what its type needs, and so that the words of a
 * CHOICE are written once: the same list expands into the public table ("a|b|c") and into the
 * static words that a field points to. */
// clang-format off
#define OPTION_LIST(FLAG, INT, SIZE, REAL, TEXT, CHOICE) \
    /* data */ \
    CHOICE("val-by", 0, "split-by", val_by, "patient", ("patient", "image", "block"), DRAWS, \
           "what is kept whole when a split is drawn; block: neighbouring ids of each series") \
    REAL("val-share", 0, "val-fraction,val-split", val_share, "0.2", 0.01, 0.9, NULL, LEARN, \
         "share of train used for validation when DIR has no val folder") \
    REAL("test-share", 0, NULL, test_share, "0.2", 0, 0.9, NULL, DRAWS, \
         "share made into a test split when the data have no split at all; 0: none") \
    INT("folds", 0, "k-fold", folds, "0", 0, 1000, NULL, DRAWS, \
        "cut train into so many parts, of which --fold is validation; 0: by --val-share") \
    INT("fold", 0, NULL, fold, "1", 1, 1000, NULL, DRAWS, "part that is validation, from 1") \
    TEXT("split-file", 0, "splits", split_file, NULL, "FILE", LEARN | DATA | EVAL | FEATURES, \
         "CSV file,split written by --save-split: use that split") \
    TEXT("save-split", 0, NULL, save_split, NULL, "FILE", DRAWS, "write the split used as CSV") \
    FLAG("allow-shared-patients", 0, NULL, allow_shared_patients, DRAWS | EVAL, \
         "go on although a patient is on both sides of a split") \
    CHOICE("patients", 0, NULL, patients, "auto", \
           ("auto", "none", "kermany", "prefix", "dicom", "column"), LEARN | DATA, \
           "what gives patients: file names (kermany, prefix), DICOM headers, the CSV's column") \
    TEXT("patient-salt", 0, NULL, patient_salt, NULL, "FILE", SETS | WHY, \
         "bytes mixed into the hashes of DICOM patient ids; default: made once, kept in --cache") \
    TEXT("columns", 0, NULL, columns, NULL, "path=NAME,label=NAME,...", SETS, \
         "columns of a CSV: path, label, patient, split; default: found by their usual names") \
    FLAG("skip-bad", 0, NULL, skip_bad, RUNS | WHY, \
         "leave out images that cannot be read, after naming them") \
    CHOICE("decode", 0, NULL, decode, "exact", ("exact", "fast"), RUNS, \
           "fast: large JPEG files at 1/2, 1/4 or 1/8, not bit for bit what PyTorch sees") \
    INT("max-pixels", 0, NULL, max_pixels, "89478485", 1, 4294967296.0, NULL, RUNS | DATA, \
        "largest image that is read") \
    CHOICE("preprocessing", 0, NULL, preprocessing, "auto", \
           ("auto", "weights", "squash", "crop"), LEARN | FEATURES, \
           "weights: resize and crop as trained; auto: that, or none when the size fits") \
    INT("img-size", 0, "imgsz,image-size", img_size, "0", 0, 4096, "pixels", \
        LEARN | FEATURES | MODELS | EXPORT | BENCH | DATA, \
        "side of the network's input; 0: that of the weights") \
    /* network */ \
    TEXT("model", 'm', "arch", model, NULL, "NAME", TRAIN | FEATURES | EXPORT | DATA, \
         "the network (see engraft models)") \
    TEXT("models", 0, NULL, models, NULL, "NAME,NAME", STUDY | MODELS, \
         "the networks (see engraft models, which also takes patterns: resnet*)") \
    CHOICE("mode", 0, NULL, mode, "finetune", ("finetune", "frozen", "scratch", "lp-ft"), TRAIN, \
           "train every layer, only the last one, start from random weights, or solve the last " \
           "layer first and train every layer from there") \
    TEXT("modes", 0, NULL, modes, "finetune,frozen", "MODE,MODE", STUDY, \
         "how each network is trained") \
    TEXT("weights", 'w', "pretrained", weights, NULL, "[MODEL=]FILE", \
         LEARN | FEATURES | MODELS | DATA, \
         "pretrained weights, .pth or .safetensors; MODEL=FILE, repeated, with several models") \
    TEXT("cache", 0, "cache-dir", cache, NULL, "DIR", PULL | MODELS | SETS | WHY, \
         "folder of pulled weights: $ENGRAFT_CACHE, else engraft/weights in $XDG_CACHE_HOME or " \
         "~/.cache") \
    TEXT("torch-cache", 0, NULL, torch_cache, NULL, "DIR", PULL | LEARN | FEATURES | MODELS, \
         "PyTorch's folder, looked at first: hub/checkpoints in $TORCH_HOME or ~/.cache/torch") \
    TEXT("feature-cache", 0, NULL, feature_cache, NULL, "DIR", \
         LEARN | FEATURES | MODELS | EVAL | DATA | WHY, \
         "folder of features computed earlier, at most 2 GiB: $ENGRAFT_FEATURE_CACHE, else " \
         "engraft/features in $XDG_CACHE_HOME or ~/.cache") \
    FLAG("no-feature-cache", 0, "no-cache", no_feature_cache, \
         LEARN | FEATURES | MODELS | EVAL | DATA | WHY, \
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
    CHOICE("recipe", 0, "preset", recipe, "default", ("default", "quick", "xray", "strong"), LEARN, \
           "values for options that are not given: quick looks, chest radiographs, long training") \
    INT("epochs", 'e', NULL, epochs, "5", 1, 100000, NULL, LEARN | MODELS, \
        "passes over the training images") \
    INT("batch-size", 'b', "batch", batch_size, "16", 1, 65536, "images", RUNS | MODELS | BENCH, \
        "images a step") \
    INT("accumulate", 0, "accumulation-steps,grad-accum-steps", accumulate, "1", 1, 4096, \
        "batches", LEARN, \
        "batches a step, as one larger batch but for batch norm, which sees each alone") \
    CHOICE("opt", 0, "optimizer", opt, "adamw", ("sgd", "adamw", "rmsprop"), LEARN, "optimiser") \
    REAL("lr", 0, "lr0,learning-rate", lr, "0", 0, 1e30, NULL, LEARN, \
         "learning rate; 0: chosen by mode and optimiser (config.json says what it became)") \
    REAL("momentum", 0, NULL, momentum, "0.9", 0, 1, NULL, LEARN, "momentum of sgd and rmsprop") \
    REAL("weight-decay", 0, "wd", weight_decay, "0.01", 0, 100, NULL, LEARN, "weight decay") \
    CHOICE("sched", 0, "scheduler,lr-scheduler", sched, "cosine", ("constant", "step", "cosine", \
           "onecycle", "plateau"), LEARN, \
           "how the learning rate moves") \
    REAL("warmup-epochs", 0, "lr-warmup-epochs", warmup_epochs, "1", 0, 100000, "epochs", LEARN, \
         "epochs in which the learning rate rises") \
    REAL("min-lr", 0, "lr-min", min_lr, "0", 0, 1e30, NULL, LEARN, \
         "learning rate at the end of cosine") \
    INT("step-size", 0, "lr-step-size", step_size, "7", 1, 100000, "epochs", LEARN, \
        "epochs between steps of step") \
    REAL("gamma", 0, "lr-gamma", gamma, "0.1", 1e-6, 1, NULL, LEARN, "factor of a step or a plateau") \
    INT("plateau-patience", 0, "lr-patience", plateau_patience, "2", 0, 100000, "epochs", LEARN, \
        "epochs without a better validation loss before the learning rate of plateau falls") \
    CHOICE("class-weights", 0, NULL, class_weights, "auto", ("auto", "none", "balanced"), LEARN, \
           "weight of each class in the loss") \
    REAL("label-smoothing", 0, "smoothing", label_smoothing, "0", 0, 0.99, NULL, LEARN, \
         "label smoothing") \
    CHOICE("loss", 0, NULL, loss, "ce", ("ce", "focal"), LEARN, \
           "cross-entropy, or focal: hard images count more") \
    REAL("focal-gamma", 0, NULL, focal_gamma, "2", 0, 10, NULL, LEARN, \
         "exponent of the focal loss") \
    CHOICE("sampler", 0, NULL, sampler, "shuffle", ("shuffle", "balanced"), LEARN, \
           "balanced: every class equally often in an epoch, its images repeated where it is small") \
    REAL("layer-decay", 0, "layerwise-decay,llrd", layer_decay, "1", 0.01, 1, NULL, LEARN, \
         "factor on the learning rate from block to block, from the last layer to the first") \
    TEXT("unfreeze-from", 0, NULL, unfreeze_from, NULL, "LAYER", LEARN, \
         "train from this layer or stage on, as layer3 or features.5; what is before stays") \
    INT("unfreeze-epochs", 0, "gradual-unfreezing", unfreeze_epochs, "0", 0, 100000, "epochs", \
        LEARN, "let the blocks join from the last to the first over so many epochs; 0: all at once") \
    REAL("ema", 0, "model-ema-decay,ema-decay", ema, "0", 0, 0.999999, NULL, LEARN, \
         "decay a step of the moving average of the weights that is scored and kept; 0: none") \
    INT("average", 0, "swa,soup", average, "0", 0, 1000, "epochs", LEARN, \
        "mean of the last so many epochs' weights, kept when it is better on validation; 0: none") \
    INT("patience", 0, NULL, patience, "0", 0, 100000, "epochs", LEARN, \
        "epochs without a better validation loss before stopping; 0: never") \
    REAL("clip-grad", 0, "clip-grad-norm", clip_grad, "0", 0, 1e30, NULL, LEARN, \
         "limit of the global gradient norm; 0: none") \
    CHOICE("head", 0, NULL, head, "lbfgs", ("lbfgs", "recipe"), LEARN, \
           "frozen mode: solve the last layer exactly, or train it by the recipe") \
    REAL("C", 0, NULL, C, "0.01", 0, 1e12, "or auto", LEARN, \
         "inverse L2 penalty of the exact head; auto (0): by patient-grouped cross-validation") \
    INT("views", 0, NULL, views, "1", 1, 256, NULL, LEARN, \
        "frozen mode: versions of each training image for the head, all but the first augmented") \
    INT("tta", 0, NULL, tta, "0", 0, 64, NULL, LEARN | EVAL | PREDICT, \
        "mean over so many versions of each scored image, all but the first moved a little; 0: 1, " \
        "and for a run what it was scored with") \
    CHOICE("emulate", 0, NULL, emulate, "none", ("none", "torch-tutorial", "fastai", "keras"), \
           TRAIN, "frozen mode as these freeze: batch norm that drifts, that trains, that stays") \
    INT("seeds", 0, NULL, seeds, "1", 1, 1000, "runs", TRAIN, \
        "train with so many seeds from --seed on, into OUT/seed-N: mean, deviation, interval") \
    FLAG("find-lr", 0, "lr-find", find_lr, TRAIN, \
         "sweep the learning rate and suggest one instead of training") \
    /* augmentation */ \
    CHOICE("augment", 0, "augmentation", augment, "auto", \
           ("auto", "none", "light", "xray", "strong"), LEARN | DATA, \
           "changes to training images; auto: light, but none in frozen mode; the next options, " \
           "below 0, are the preset's") \
    REAL("crop-min", 0, NULL, crop_min, "-1", -1, 1, NULL, LEARN | DATA, \
         "smallest area of the random resized crop, share of the image") \
    REAL("flip", 0, "hflip,fliplr", flip, "-1", -1, 1, NULL, LEARN | DATA, \
         "probability of a left-right flip") \
    REAL("jitter", 0, "color-jitter", jitter, "-1", -1, 1, NULL, LEARN | DATA, \
         "brightness and contrast factors within 1 +- this") \
    REAL("rotate", 0, "degrees", rotate, "-1", -1, 180, "degrees", LEARN | DATA, \
         "rotation within +- this") \
    REAL("translate", 0, NULL, translate, "-1", -1, 1, NULL, LEARN | DATA, \
         "shift within +- this share of the side") \
    REAL("zoom", 0, NULL, zoom, "-1", -1, 0.9, NULL, LEARN | DATA, "scale within 1 +- this") \
    REAL("gamma-by", 0, NULL, gamma_by, "-1", -1, 3, NULL, LEARN | DATA, \
         "gamma within 1/(1 + this) and 1 + this") \
    REAL("blur", 0, NULL, blur, "-1", -1, 20, "pixels", LEARN | DATA, \
         "largest sigma of a Gaussian blur") \
    REAL("noise", 0, NULL, noise, "-1", -1, 1, NULL, LEARN | DATA, \
         "largest sigma of Gaussian noise, share of full scale") \
    REAL("cutout", 0, "reprob", cutout, "-1", -1, 0.9, NULL, LEARN | DATA, \
         "largest area of a blanked rectangle, share of the image") \
    REAL("randaugment", 0, "rand-augment", randaugment, "-1", -1, 30, NULL, LEARN | DATA, \
         "strength of two operations drawn from RandAugment's list; 0: none") \
    REAL("mixup", 0, "mixup-alpha", mixup, "-1", -1, 10, NULL, LEARN | DATA, \
         "alpha of mixup: two images blended; 0: off") \
    REAL("cutmix", 0, "cutmix-alpha", cutmix, "-1", -1, 10, NULL, LEARN | DATA, \
         "alpha of cutmix: a rectangle from another image; 0: off") \
    /* running */ \
    INT("seed", 0, NULL, seed, "0", 0, 9007199254740992.0, NULL, \
        LEARN | FEATURES | DATA | PHANTOM | COMPARE, "random seed") \
    INT("threads", 't', NULL, threads, "0", 0, 1024, NULL, \
        RUNS | MODELS | VERSION | BENCH | DATA | PHANTOM | WHY, \
        "compute threads; 0: every processor allowed to the process") \
    INT("workers", 'j', NULL, workers, "0", 0, 256, NULL, RUNS | WHY, \
        "decoding threads; 0: automatic") \
    SIZE("max-memory", 0, NULL, max_memory, "0", RUNS | BENCH, \
        "keep the process below this, as 800M or 1.5G, with smaller batches; 0: no limit") \
    FLAG("deterministic", 0, NULL, deterministic, RUNS | BENCH, \
         "the same bits for any number of threads; bench says what it costs") \
    TEXT("out", 'o', "output,output-dir", out, NULL, "PATH", \
        LEARN | FEATURES | REPORT | EXPORT | DATA | EXPLAIN | EVAL, \
         "folder or file that is written") \
    FLAG("overwrite", 0, "exist-ok,force", overwrite, LEARN | FEATURES | EXPORT | PHANTOM | EVAL, \
         "replace what is at --out, or the phantom at OUT") \
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
    /* data, phantom */ \
    TEXT("preprocessing", 0, NULL, preprocessing_run, NULL, "RUN|MODEL", DATA, \
         "what the common mistakes of preprocessing would change for this run or model") \
    FLAG("show-augmentation", 0, NULL, show_augmentation, DATA, \
         "write a sheet of augmented training images (PNG, --out)") \
    CHOICE("fail-on", 0, NULL, fail_on, "never", ("never", "error", "warning"), DATA, \
           "exit with 1 when there is a finding of this weight or more") \
    TEXT("plant", 0, NULL, plant, NULL, "CAUSE[=STRENGTH]", PHANTOM, \
         "a fault to plant (causes: see below), repeated; strength 0 to 1, default 0.5") \
    INT("images", 0, "n", n_images, "400", 8, 10000000, NULL, PHANTOM, "images in all") \
    TEXT("size", 0, NULL, size, "224x224", "WIDTHxHEIGHT", PHANTOM, "of the images, pixels") \
    CHOICE("image-format", 0, NULL, image_format, "png", ("png", "jpeg"), PHANTOM, \
           "files that are written") \
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
    CHOICE("lang", 0, "language", lang, "en", ("en", "zh-TW"), STUDY | REPORT | DATA, \
           "language of the report") \
    CHOICE("split", 0, NULL, split, "test", ("test", "val", "train"), EVAL | EXPLAIN, \
           "images that are scored") \
    TEXT("operating-point", 0, "threshold-by", operating_point, "none", \
         "none|accuracy|youden|cost=FP:FN|sensitivity=S", EVAL, \
         "threshold chosen on the run's validation predictions, never on what is scored; none: 0.5") \
    CHOICE("calibration", 0, "calibrate", calibration, "none", \
           ("none", "temperature", "platt", "isotonic"), EVAL, \
           "probabilities corrected by what validation predictions show") \
    TEXT("predictions", 0, NULL, predictions, NULL, "FILE", EVAL, \
         "instead of RUN DIR: score this CSV file,label,p_<class>,... again, without images") \
    TEXT("val-predictions", 0, NULL, val_predictions, NULL, "FILE", EVAL, \
         "validation predictions to choose on; default: predictions-val.csv of the run") \
    /* explain */ \
    CHOICE("method", 0, NULL, method, "gradcam", ("gradcam", "gradcam++", "occlusion"), EXPLAIN, \
           "gradients at the last feature map, or the fall of the probability under a patch") \
    TEXT("class", 0, "target-class", target_class, NULL, "NAME", EXPLAIN, \
         "class that is explained; default: the predicted one") \
    INT("patch", 0, "patch-size", patch, "32", 1, 4096, "pixels", EXPLAIN, \
        "side of the square that occlusion covers, of the network's input") \
    INT("top", 0, NULL, top, "12", 1, 1000, "images", EXPLAIN, \
        "with a data set in place of images: so many of the worst errors, and of the least certain") \
    /* export */ \
    CHOICE("format", 0, NULL, format, NULL, ("pth", "safetensors", "onnx"), EXPORT, \
           "kind of file that is written; default: by the end of --out's name") \
    FLAG("keep-bn", 0, NULL, keep_bn, EXPORT, \
         "ONNX: batch norms stay operators instead of going into the convolutions") \
    FLAG("with-preprocessing", 0, NULL, with_preprocessing, EXPORT, \
         "ONNX: take 8-bit RGB pixels (N,H,W,3) and scale and normalise them in the graph") \
    /* output */ \
    TEXT("cause", 0, "only", cause, NULL, "NAME,NAME", WHY, \
         "measure only these causes (their names are in the output)") \
    TEXT("published", 0, NULL, published, NULL, "FILE", COMPARE, \
         "CSV name,accuracy,loss of figures printed elsewhere: what they can be; a RUN: its n") \
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
#define JOIN6(a, b, c, d, e, f) JOIN5(a, b, c, d, e) "|" f
#define JOIN_PICK(a, b, c, d, e, f, macro, ...) macro
#define JOIN(...) \
    JOIN_PICK(__VA_ARGS__, JOIN6, JOIN5, JOIN4, JOIN3, JOIN2, JOIN1, )(__VA_ARGS__)
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
enum { N_OPTIONS = sizeof options / sizeof options[0], MAX_CHOICES = 6 };
_Static_assert((int)N_OPTIONS <= (int)sizeof((eg_options *)0)->given, "eg_options.given");

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
    memset(o->given, 0, sizeof o->given);
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

static eg_status set(eg_options *o, const eg_option *option, const char *value, eg_error *err) {
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
        /* "or auto": 0 stands for what the program chooses */
        const bool takes_auto = option->unit && strcmp(option->unit, "or auto") == 0;
        if (takes_auto && strcmp(value, "auto") == 0) value = "0";
        if (!eg_parse_real(&v, value) || v < option->min || v > option->max)
            return eg_fail(err, EG_ERR_USAGE, "--%s %s: expected %sa number from %g to %g",
                           option->name, value, takes_auto ? "auto or " : "", option->min,
                           option->max);
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

eg_status eg_options_set(eg_options *o, const eg_option *option, const char *value, eg_error *err) {
    eg_status status = set(o, option, value, err);
    if (status == EG_OK) o->given[option - options] = 1;
    return status;
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

/* Commands of the program and the options of all of them: the part of the public interface that grows with every
 * command, in a file of its own. Included by engraft.h, which says what the functions on them do; a program includes
 * engraft.h only. A new command is one row of EG_COMMAND_LIST; a new option is one field of eg_options and one row in
 * src/base/options.c.                                                                                            */
#ifndef ENGRAFT_OPTIONS_H
#define ENGRAFT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Commands as bits, so that an option can name the commands that take it. X(id, name, arguments, what it does) */
#define EG_COMMAND_LIST(X)                                                                         \
    X(MODELS, "models", "[NAME]", "list the networks: parameters, multiply-adds, accuracy, time")  \
    X(PULL, "pull", "MODEL...", "get pretrained weights into the cache, checked by SHA-256")       \
    X(DATA, "data", "DIR", "examine a data set: balance, bad files, duplicates, patients, drift")  \
    X(PHANTOM, "phantom", "OUT", "synthetic chest radiographs with faults planted on request")     \
    X(TRAIN, "train", "DIR", "fine-tune, train a head on frozen features, or train from scratch")  \
    X(EVAL, "eval", "RUN DIR", "score a run on the test images of DIR, with intervals")            \
    X(PREDICT, "predict", "RUN IMAGE...", "class probabilities of images")                         \
    X(EXPLAIN, "explain", "RUN IMAGE...", "pictures of what the network looked at")                \
    X(FEATURES, "features", "DIR", "pooled features of every image into an .npz")                  \
    X(STUDY, "study", "DIR", "the whole assignment, tasks A to E, into one report")                \
    X(COMPARE, "compare", "[RUN]...", "runs side by side: gaps, cost, tests of every difference")  \
    X(WHY, "why", "RUN DIR", "why is the test set harder: each cause with a number and a verdict") \
    X(REPORT, "report", "STUDY", "write the HTML report of a study again")                         \
    X(EXPORT, "export", "RUN|FILE", "write a network as .pth, safetensors or ONNX")                \
    X(INSPECT, "inspect", "FILE",                                                                  \
      "what is in a weights file, an image or a run; executes nothing")                            \
    X(BENCH, "bench", "[MODEL]", "where the time of a step goes, against this machine's limits")   \
    X(VERSION, "version", "", "versions, processor and kernels in use")

typedef enum {
#define EG_COMMAND_ENUM(id, name, args, help) EG_COMMAND_##id,
    EG_COMMAND_LIST(EG_COMMAND_ENUM)
#undef EG_COMMAND_ENUM
        EG_COMMAND_COUNT
} eg_command;

/* What phantom --plant can plant. X(id, name, what strength 1 is; 0 is nothing, and between goes by degrees) */
#define EG_FAULT_LIST(X)                                                                           \
    X(LABEL_NOISE, "label_noise", "40 % of the train labels are flipped")                          \
    X(IMBALANCE, "imbalance", "nine PNEUMONIA to one NORMAL in every split")                       \
    X(PRIOR_SHIFT, "prior_shift", "90 % of the test images are PNEUMONIA, of train and val 50 %")  \
    X(FRAMING_SHIFT, "framing_shift", "NORMAL of train and val is zoomed by 22 % and sits higher") \
    X(PATIENT_LEAK, "patient_leak", "40 % of the test images are of patients of train")            \
    X(DUPLICATES, "duplicates", "20 % of the test images are copies of train images")              \
    X(MARKER, "marker", "every PNEUMONIA of train and val has a letter burned in, no NORMAL has")  \
    X(EXPOSURE_DRIFT, "exposure_drift", "test images are 40 % darker")                             \
    X(BLUR_DRIFT, "blur_drift", "test images are blurred, sigma 1.2 % of the width")               \
    X(NOISE_DRIFT, "noise_drift", "test images have four times the noise")                         \
    X(FEW_IMAGES, "few_images", "3 % of the train and val images are left")                        \
    X(HARD_SIGNAL, "hard_signal", "opacities have a tenth of their contrast")                      \
    X(SUBTYPE_SHIFT, "subtype_shift", "opacities of test are diffuse, those of train never are")   \
    X(RESOLUTION, "resolution", "opacities are fine grain only, lost in a small picture")

typedef enum {
    EG_OPTION_FLAG, /* bool; --name sets, --no-name clears */
    EG_OPTION_INT,
    EG_OPTION_SIZE,  /* both int64_t; SIZE counts bytes, given as 800M or 1.5G */
    EG_OPTION_REAL,  /* double */
    EG_OPTION_TEXT,  /* const char *, NULL when not given */
    EG_OPTION_CHOICE /* const char *, one of `choices` */
} eg_option_type;

typedef struct {
    const char *name;    /* long name without dashes, the canonical one */
    char letter;         /* short name, or 0 */
    const char *aliases; /* further long names, "a,b", or NULL */
    eg_option_type type;
    size_t offset;        /* of the field in eg_options */
    const char *fallback; /* default as text; NULL: not set */
    double min, max;      /* range of INT and REAL, inclusive */
    const char *choices;  /* "a|b|c" for CHOICE, else NULL */
    const char *unit;     /* for the help, or NULL */
    uint32_t commands;    /* bit set of 1u << eg_command */
    const char *help;
} eg_option;

/* Every option of every command, resolved. Text fields are borrowed: they must outlive the call they are given to.
 * A field "auto" (or 0 where said) is resolved per run and written to config.json as what it became.            */
typedef struct {
    /* data */
    const char *val_by;  /* patient | image | block: what is kept whole when a split is drawn */
    double val_share;    /* share of train used for validation, when the tree has no val split */
    double test_share;   /* share made into a test split, when the data have no split at all */
    int64_t folds, fold; /* validation = fold `fold` (from 1) of `folds`; folds 0: by val_share */
    const char *split_file;     /* CSV file,split: the split to be used; NULL: drawn */
    const char *save_split;     /* the same file, written; NULL: not */
    bool allow_shared_patients; /* use a split although a patient is on both sides */
    const char *patients; /* auto | none | kermany | prefix | dicom | column: what gives patients */
    const char
        *patient_salt;   /* file whose bytes salt the hashes of DICOM patient ids; NULL: cache */
    const char *columns; /* of a CSV: "path=NAME,label=NAME,patient=NAME,split=NAME"; NULL: usual */
    bool skip_bad;       /* leave out images that cannot be read, after naming them */
    const char *decode;  /* exact | fast: JPEG at 1/2, 1/4, 1/8 by libjpeg's DCT scaling */
    int64_t max_pixels;  /* of one image */
    const char *preprocessing; /* auto | weights | squash | crop */
    int64_t img_size;          /* pixels a side; 0 = of the weights */
    /* network */
    const char *model;   /* one name (train, features) */
    const char *models;  /* "a,b" (study) */
    const char *mode;    /* finetune | frozen | scratch | lp-ft */
    const char *modes;   /* "finetune,frozen" (study) */
    const char *weights; /* FILE, or MODEL=FILE; several joined with '\n' by the parser */
    const char *cache, *torch_cache, *feature_cache; /* folders of files kept; NULL = not used */
    const char *bn;                                  /* auto | frozen | stats | train */
    const char *dtype; /* auto | f32 | bf16; auto: bf16 where it is native; of a run: the run's */
    double dropout;    /* rate before the last layer; negative = the network's own */
    /* recipe */
    const char *recipe; /* default | quick | xray | strong: values of options that were not given */
    int64_t epochs, batch_size;
    int64_t accumulate; /* batches a step: the gradient of all their images */
    const char *opt;    /* sgd | adamw | rmsprop */
    double lr, momentum, weight_decay;
    const char *sched; /* constant | step | cosine | onecycle | plateau */
    double warmup_epochs, min_lr;
    int64_t step_size;         /* epochs between steps of `step` */
    double gamma;              /* factor of a step, and of a plateau */
    int64_t plateau_patience;  /* epochs without a better loss before the rate of `plateau` falls */
    const char *class_weights; /* auto | none | balanced */
    double label_smoothing;
    const char *loss;    /* ce | focal */
    double focal_gamma;  /* exponent of the focal loss */
    const char *sampler; /* shuffle | balanced: every class as often */
    double layer_decay;  /* factor on the learning rate from block to block towards the input */
    const char *unfreeze_from; /* module: what lies before it is not trained; NULL: all is */
    int64_t unfreeze_epochs;   /* blocks join from the head downwards over so many epochs */
    double ema;                /* decay of the moving average of the weights; 0: none */
    int64_t average;  /* the mean of the last so many epochs' weights as a candidate; 0: no */
    int64_t patience; /* epochs without a better validation loss before stopping; 0 = never */
    double clip_grad; /* global gradient norm limit; 0 = none */
    const char *head; /* lbfgs | recipe (frozen mode) */
    double C;         /* inverse L2 penalty of the exact head; 0: by cross-validation */
    int64_t views;    /* frozen mode: versions of each training image, the first unchanged */
    int64_t
        tta; /* versions of an image whose probabilities are averaged in scoring; 0: 1, or the run's */
    const char *emulate; /* none | torch-tutorial | fastai | keras: their meanings of "frozen" */
    int64_t seeds;       /* runs, with seeds one after another */
    bool find_lr;        /* sweep the learning rate instead of training */
    /* augmentation (training images only) */
    const char *augment; /* auto | none | light | xray | strong */
    /* below 0: of the preset `augment` */
    double crop_min;      /* smallest area of the random resized crop, share of the image; 1: off */
    double flip;          /* probability of a left-right flip */
    double jitter;        /* brightness and contrast factors in [1-j, 1+j] */
    double rotate;        /* degrees, uniform in [-r, r] */
    double translate;     /* share of the side, uniform in [-t, t], each axis */
    double zoom;          /* scale factor in [1-z, 1+z] */
    double gamma_by;      /* exponent in [1/(1+g), 1+g] */
    double blur;          /* largest sigma of a Gaussian blur, pixels of the network's input */
    double noise;         /* largest sigma of Gaussian noise, share of full scale */
    double cutout;        /* largest area of a rectangle that is blanked, share of the image */
    double randaugment;   /* strength 0 to 30 of two operations drawn of RandAugment's list */
    double mixup, cutmix; /* alpha of the Beta distribution; 0: off */
    /* running */
    int64_t seed;
    int64_t threads;             /* compute threads; 0 = all processors allowed to the process */
    int64_t workers, max_memory; /* decoding threads, 0 = automatic; bytes, 0 = no limit */
    const char *out;             /* directory or file written */
    bool overwrite, deterministic, no_feature_cache; /* replace a run; same bits; compute anew */
    const char *resume;                              /* run directory to continue, or NULL */
    /* models, inspect, version, report, predict, eval */
    bool measure, recommend, transferability, verify, kernels, all;
    const char *sort, *family, *data;     /* models: [-]COLUMN; families; class folders */
    double budget_minutes, budget_memory; /* models --recommend: a network; GB, 0 = what is free */
    const char *operating_point; /* eval: none | accuracy | youden | cost=FP:FN | sensitivity=S */
    const char *calibration;     /* eval: none | temperature | platt | isotonic, from validation */
    const char *predictions, *val_predictions; /* eval: CSV scored instead of a run; to choose on */
    const char *lang, *split, *bench_mode;     /* en | zh-TW; test | val | train; train | predict */
    /* explain */
    const char *method, *target_class; /* gradcam | gradcam++ | occlusion; NULL: the predicted */
    int64_t patch, top; /* occlusion: pixels; errors, and uncertain images, of a set */
    /* export */
    const char *format;               /* pth | safetensors | onnx; NULL: by the end of `out` */
    bool keep_bn, with_preprocessing; /* ONNX only */
    /* pull; bench: repeats */
    const char *url, *ca_file; /* mirror: base address, or the file's; trusted certificates (PEM) */
    int64_t timeout, retries, repeats; /* seconds without a byte; vain connections; steps */
    bool dry_run;
    /* data, phantom */
    const char *preprocessing_run; /* data: a run or a model, whose preprocessing is examined */
    bool show_augmentation;        /* data: a picture sheet instead of the examination */
    const char *fail_on;           /* data: never | error | warning: exit code 1 on a finding */
    const char *plant;             /* phantom: CAUSE[=STRENGTH], several joined with '\n' */
    int64_t n_images;              /* phantom: in all */
    const char *size;              /* phantom: WIDTHxHEIGHT, pixels */
    const char *image_format;      /* phantom: png | jpeg */
    const char *cause;             /* why: "NAME,NAME", only these are measured; NULL: all */
    const char *published; /* compare: CSV of figures printed elsewhere, audited; NULL: runs */
    /* output */
    bool json, quiet, verbose;
    uint8_t given[256]; /* by row of the table: set by eg_options_set, not the fallback */
} eg_options;

#endif

/* Door of the codec room: bytes <-> structs. Every reader here faces hostile input: closed allow-lists, checked
 * arithmetic, limits before allocation, errors with a byte offset; every one has a fuzz target. Files are recognised
 * by content, never by extension.                                                                              */
#ifndef EG_CODEC_H
#define EG_CODEC_H

#include "base/base.h"
#include <jansson.h>

/* ---- JSON documents (json_doc.c) ---- */

struct eg_doc {
    json_t *root;
    const char *kind; /* static storage */
};
/* Takes over one reference of `root` (also on failure). NULL: no memory, or root NULL. */
eg_doc *eg_doc_new(json_t *root, const char *kind);
/* Parse a JSON file, at most 256 MiB, duplicate keys rejected. The caller owns *out (json_decref). */
eg_status eg_json_read(json_t **out, const char *path, eg_error *err);
eg_status eg_json_parse(json_t **out, const char *text, size_t size, eg_error *err);
/* Crash-safe write: indented, keys in insertion order, reals with 10 significant digits, NaN as null. */
eg_status eg_json_write(const char *path, const json_t *root, eg_error *err);
/* The same text in memory (eg_free); NULL: no memory. compact: one line. */
char *eg_json_text(const json_t *root, bool compact);
/* json_real, or json_null for NaN and infinities. */
json_t *eg_json_real(double value);

/* ---- images ---- */

typedef struct {
    int width, height, channels; /* pixels; channels 1 or 3 */
    uint8_t *pixels;             /* (H,W,C), eg_free; 8 bit, or uint16_t when deep */
    bool deep;                   /* samples are uint16_t in the machine's order, full scale 65535 */
} eg_image;
void eg_image_free(eg_image *image);          /* frees pixels and clears the struct; NULL allowed */
size_t eg_image_bytes(const eg_image *image); /* of pixels */

typedef struct {
    size_t max_file_bytes; /* default 256 MiB */
    size_t max_pixels;     /* default 89,478,485 (Pillow's warning value) */
    /* 0: exact. Else a JPEG may be decoded at 1/2, 1/4 or 1/8 by libjpeg's DCT scaling, as small as leaves both sides
     * this many pixels or more; other formats are decoded whole */
    int min_side;
} eg_image_options;
#define EG_IMAGE_OPTIONS_DEFAULT ((eg_image_options){(size_t)256 << 20, 89478485, 0})

/* JPEG, PNG, TIFF, PGM/PPM, BMP, WebP (where the library was there at build time) or DICOM, by magic bytes, as Pillow
 * and pydicom read them. Gray stays one channel; 8 bit a sample, but 16-bit samples of PNG, TIFF, PGM/PPM and DICOM stay
 * deep. JPEG: exact (libjpeg-turbo ISLOW, fancy upsampling), YCbCr to RGB, CMYK as Pillow's convert("RGB"). EXIF
 * orientation is applied (JPEG, TIFF). Palettes expanded, alpha dropped as PIL convert("RGB"). The first page or frame
 * of several. DICOM: rescale slope and intercept, VOI window, MONOCHROME1 inverted. A truncated or corrupt stream is an
 * error. Errors: EG_ERR_INPUT with offset, EG_ERR_LIMIT, EG_ERR_UNSUPPORTED, EG_ERR_NOT_FOUND, EG_ERR_IO; text begins
 * with the path. options NULL: the defaults. */
eg_status eg_image_read(eg_image *out, const char *path, const eg_image_options *options,
                        eg_error *err);
eg_status eg_image_decode(eg_image *out, const void *data, size_t size,
                          const eg_image_options *options, eg_error *err);

/* What the header says; no pixel is decoded. */
typedef struct {
    const char *format;          /* static: "JPEG" "PNG" "TIFF" "PNM" "BMP" "WebP" "DICOM" */
    int width, height, channels; /* as eg_image_read would give them */
    int bits;                    /* a sample in the file: 1 to 16 */
    int orientation;             /* EXIF, 1 to 8; 1: upright or not said */
    int n_frames;  /* pages of a TIFF, frames of a DICOM file; only the first is read */
    bool inverted; /* DICOM MONOCHROME1 */
    char patient
        [17]; /* DICOM: first 16 hex digits of SHA-256(salt, patient id); "" without id or salt */
} eg_image_info;
/* `salt` (n bytes; NULL: no patient). Never gives a patient's id or name in any form but this hash. */
eg_status eg_image_probe(eg_image_info *out, const char *path, const void *salt, size_t n_salt,
                         eg_error *err);
/* Do these first bytes of a file (132 suffice) belong to an image format read here? */
bool eg_image_recognised(const void *data, size_t size);
/* For phantoms, reports and tests: encode into `out`. PNG: gray or RGB, 8 or 16 bit. JPEG: 8 bit, quality 1-100. */
eg_status eg_png_encode(eg_buffer *out, const eg_image *image, eg_error *err);
eg_status eg_jpeg_encode(eg_buffer *out, const eg_image *image, int quality, eg_error *err);

/* ---- tables (csv.c) ---- */

/* A CSV or TSV file in memory: first line the names of the columns. RFC 4180 (quoted fields, doubled quotes, line breaks
 * inside them), separator comma, tab or semicolon (whichever the first line has), UTF-8 with or without byte order mark. */
typedef struct {
    size_t n_columns, n_rows;
    const char **names; /* (n_columns) */
    const char **cells; /* (n_rows, n_columns), NUL-terminated */
    size_t *lines;      /* (n_rows) line of the file that a row begins on, from 1 */
    eg_arena *arena;    /* owns everything */
} eg_csv;
/* At most 256 MiB. Errors name the line: a row with another number of fields, an open quote, a NUL, not UTF-8. */
eg_status eg_csv_read(eg_csv *out, const char *path, eg_error *err);
eg_status eg_csv_parse(eg_csv *out, const char *text, size_t size, eg_error *err);
void eg_csv_free(eg_csv *table);
/* Index of the column called so (case ignored), or -1. */
int eg_csv_column(const eg_csv *table, const char *name);
/* One CSV field, quoted when it needs it. */
void eg_csv_add(eg_buffer *b, const char *text);

/* ---- tensors of weights files ---- */

typedef enum {
    EG_DTYPE_F32,
    EG_DTYPE_F64,
    EG_DTYPE_F16,
    EG_DTYPE_BF16,
    EG_DTYPE_I64,
    EG_DTYPE_I32,
    EG_DTYPE_I16,
    EG_DTYPE_I8,
    EG_DTYPE_U8,
    EG_DTYPE_BOOL,
    EG_DTYPE_COUNT
} eg_dtype;
size_t eg_dtype_bytes(eg_dtype dtype);
const char *eg_dtype_name(eg_dtype dtype); /* safetensors' names: "F32", "I64", ... */

#define EG_MAX_DIMS 8
typedef struct {
    const char *name;
    eg_dtype dtype;
    int n_dims;
    int64_t dims[EG_MAX_DIMS];
    const void *data; /* contiguous, row-major, little endian; borrowed from the state dict */
    size_t n_bytes;
} eg_tensor;

/* An ordered list of named tensors as read from one file; owns everything its tensors point at. */
typedef struct eg_state_dict eg_state_dict;
void eg_state_dict_free(eg_state_dict *sd);
size_t eg_state_dict_count(const eg_state_dict *sd);
const eg_tensor *eg_state_dict_at(const eg_state_dict *sd, size_t i);
const eg_tensor *eg_state_dict_find(const eg_state_dict *sd, const char *name); /* NULL: absent */
const char *eg_state_dict_metadata(const eg_state_dict *sd,
                                   const char *key); /* safetensors __metadata__; NULL */
const char *eg_state_dict_container(
    const eg_state_dict *sd); /* "torch zip", "torch legacy", "torch tar", "safetensors" */
size_t eg_state_dict_n_globals(const eg_state_dict *sd); /* pickle globals seen, "module.name" */
const char *eg_state_dict_global(const eg_state_dict *sd, size_t i);
/* What was unwrapped on the way, for the log: "took 'state_dict' of {...}; stripped 'module.'"; NULL: nothing. */
const char *eg_state_dict_note(const eg_state_dict *sd);

/* Read any weights file (the four containers above), dispatched on content; CRCs of a zip are verified.
 * Nested dicts {'state_dict'|'model'|...: {...}} are unwrapped when exactly one fits, `module.` is stripped.
 * Errors: EG_ERR_INPUT with the byte offset ("pickle global os.system at byte 27 is not allowed: ..."), EG_ERR_LIMIT,
 * EG_ERR_NOT_FOUND, EG_ERR_IO; text begins with the path.                                                   */
eg_status eg_weights_read(eg_state_dict **out, const char *path, eg_error *err);
eg_status eg_weights_decode(eg_state_dict **out, const void *data, size_t size,
                            eg_error *err); /* copies what it keeps */
/* Globals of the pickle of a weights file, also of one that eg_weights_read refuses: for inspect. `globals` gets a JSON
 * array of {"name", "offset", "allowed"}; `container` a static name. Executes nothing.                       */
eg_status eg_weights_scan(json_t **globals, const char **container, const char *path,
                          eg_error *err);

typedef struct {
    const char *key, *value;
} eg_text_pair;
/* Crash-safe safetensors file: order of the format (dtype alignment descending, then name), header padded with spaces
 * to 64 bytes, `__metadata__` in the order given plus "engraft.sha256" of the data bytes. Byte-reproducible.   */
eg_status eg_safetensors_write(const char *path, const eg_tensor *tensors, size_t n,
                               const eg_text_pair *metadata, size_t n_metadata, eg_error *err);
/* Crash-safe .pth in torch's zip container, which torch.load(weights_only=True) accepts: an OrderedDict of the tensors
 * in the order given, each storage at a multiple of 64 bytes, with its CRC32. Byte-reproducible (no dates). The bytes
 * are written from where they lie. EG_ERR_IO, EG_ERR_NO_MEMORY, EG_ERR_INTERNAL: a name twice or not UTF-8.     */
eg_status eg_torch_zip_write(const char *path, const eg_tensor *tensors, size_t n, eg_error *err);
/* Any floating or integer tensor to f32; false when the dtype has none (BOOL). `out` has one float an element. */
bool eg_tensor_to_f32(float *out, const eg_tensor *t);
size_t eg_tensor_count(const eg_tensor *t); /* number of elements; 1 for a scalar */

/* ---- NumPy (npy.c, npz.c) ---- */

typedef struct {
    const char *name;  /* member without ".npy" */
    const char *descr; /* NumPy dtype: "<f4", "<i8", "|u1", "<U12" */
    int n_dims;
    int64_t dims[EG_MAX_DIMS];
    const void *data; /* C order */
    size_t n_bytes;
} eg_npy_array;
typedef struct eg_npz eg_npz;
/* Open an .npz and read the headers of its arrays (formats.md 1.7; zip64 too). Stored arrays stay in the mapped file,
 * which may be many GiB; deflated ones are inflated when first asked for. */
eg_status eg_npz_read(eg_npz **out, const char *path, eg_error *err);
size_t eg_npz_count(const eg_npz *npz);
/* Member i in the order of the file. `data` is NULL until eg_npz_get; `descr` "" when it is no array read here (why:
 * eg_npz_get). */
const eg_npy_array *eg_npz_at(const eg_npz *npz, size_t i);
/* The same by name; NULL: absent. */
const eg_npy_array *eg_npz_find(const eg_npz *npz, const char *name);
/* The array with its data (aligned to its elements, good until eg_npz_free), check sum compared the first time.
 * EG_ERR_NOT_FOUND: no such array; EG_ERR_INPUT, EG_ERR_UNSUPPORTED; EG_ERR_LIMIT: deflated and above 4 GiB; text begins
 * with the path. Not for two threads at a time on one npz; what it gave may be read by any. */
eg_status eg_npz_get(const eg_npy_array **out, eg_npz *npz, const char *name, eg_error *err);
void eg_npz_free(eg_npz *npz);
/* Write an uncompressed .npz that numpy.load(allow_pickle=False) reads; crash-safe; byte-reproducible (fixed dates). */
eg_status eg_npz_write(const char *path, const eg_npy_array *arrays, size_t n, eg_error *err);

#endif

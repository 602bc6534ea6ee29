/* Directory of a zip archive in memory, checked before anything is believed. Private to the codec
 * room. */
#ifndef EG_CODEC_ZIP_DIRECTORY_H
#define EG_CODEC_ZIP_DIRECTORY_H

#include "codec/codec.h"

/* Little-endian numbers of the headers that the writers of zip archives build. */
static inline void eg_codec_put_u16(eg_buffer *b, unsigned v) {
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    eg_buffer_add(b, bytes, 2);
}
static inline void eg_codec_put_u32(eg_buffer *b, uint32_t v) {
    eg_codec_put_u16(b, v & 0xFFFF);
    eg_codec_put_u16(b, v >> 16);
}
static inline void eg_codec_put_u64(eg_buffer *b, uint64_t v) {
    eg_codec_put_u32(b, (uint32_t)v);
    eg_codec_put_u32(b, (uint32_t)(v >> 32));
}
/* CRC32 of zip (polynomial 0xEDB88320); 0 for no bytes. Thread-safe (zip_member.c). */
uint32_t eg_codec_crc32(const void *data, size_t n);

#define EG_ZIP_MAX_MEMBERS 100000

typedef struct {
    const char *name;     /* whole name, NUL at the end, no NUL inside */
    size_t header_offset; /* of the local header in the file */
    size_t offset;        /* of the data in the file */
    size_t end;           /* behind the data and its descriptor */
    const uint8_t *data;  /* stored or deflated bytes, borrowed from the file */
    size_t packed_bytes;  /* in the file */
    size_t n_bytes;       /* unpacked; equal to packed_bytes when stored */
    uint32_t crc;         /* CRC32 of the unpacked bytes, as the directory says */
    bool deflated;
} eg_zip_member;

typedef struct {
    eg_zip_member *members; /* in the order of the directory */
    size_t n;
    const eg_zip_member **by_name; /* sorted */
    size_t unpacked_bytes;         /* sum of n_bytes */
    eg_arena *arena;
} eg_zip_directory;

/* Read and check the directory of the archive `data` (borrowed for the life of *out). Refuses:
 * members that overlap, lie outside or behind the directory, are named twice or dangerously, are
 * encrypted, whose local header disagrees with the directory; a comment or anything else behind the
 * end record. No data byte is read. EG_ERR_INPUT, EG_ERR_LIMIT. */
eg_status eg_codec_zip_open(eg_zip_directory **out, const uint8_t *data, size_t size,
                            eg_error *err);
void eg_codec_zip_close(eg_zip_directory *zip);
/* For readers that unpack all of an archive of `file_bytes`: EG_ERR_LIMIT when that comes to far
 * more than re-zipped weights can (16 times the file, at least 64 MiB). */
eg_status eg_codec_zip_bound(const eg_zip_directory *zip, size_t file_bytes, eg_error *err);
const eg_zip_member *eg_codec_zip_find(const eg_zip_directory *zip, const char *name);
/* CRC32 of every member; the first that is wrong is named. Large archives are checked by all
 * threads. */
eg_status eg_codec_zip_verify(const eg_zip_directory *zip, eg_error *err);
/* Bytes of one member. *block: heap block that holds them, owned by the caller, or NULL when *bytes
 * points into the file (stored members). A deflated member is checked against its CRC on the
 * way. */
eg_status eg_codec_zip_unpack(const uint8_t **bytes, void **block, const eg_zip_member *member,
                              eg_error *err);
/* The first bytes of a member, at most `capacity`, without its check sum: *bytes points into the
 * file (stored) or to `room` (deflated). EG_ERR_INPUT, EG_ERR_NO_MEMORY. */
eg_status eg_codec_zip_peek(const uint8_t **bytes, size_t *n, uint8_t *room, size_t capacity,
                            const eg_zip_member *member, eg_error *err);

#endif

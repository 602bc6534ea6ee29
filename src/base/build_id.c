/* The mark that the linker left in the program or library this code is part of: another build,
 * another mark. For what is kept on disk and must not outlive the code that computed it. Without
 * such a mark (ld --build-id=none) there is none to give. */
#include "base/base.h"
#include <link.h>
#include <string.h>

typedef struct {
    uintptr_t here; /* an address of this file */
    char *out;
} search;

/* Does the object hold the address? */
static bool holds(const struct dl_phdr_info *object, uintptr_t address) {
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD && address >= start && address - start < p->p_memsz) return true;
    }
    return false;
}

/* The GNU build id among the notes of one segment: name and content each fill whole words. */
static void read_notes(char *out, const char *at, size_t size) {
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof note);
        size_t name = (note.n_namesz + 3u) & ~(size_t)3,
               content = (note.n_descsz + 3u) & ~(size_t)3;
        size_t whole = sizeof note + name + content;
        if (whole > size) return;
        const char *data = at + sizeof note + name;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(at + sizeof note, "GNU", 4) == 0 && note.n_descsz > 0) {
            eg_sha256_hex(out, data, note.n_descsz);
            return;
        }
        at += whole;
        size -= whole;
    }
}

static int look_at(struct dl_phdr_info *object, size_t size, void *context) {
    search *s = context;
    (void)size;
    if (!holds(object, s->here)) return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &object->dlpi_phdr[i];
        if (p->p_type == PT_NOTE && !s->out[0])
            read_notes(s->out, (const char *)(object->dlpi_addr + p->p_vaddr), p->p_memsz);
    }
    return 1;
}

void eg_build_id(char out[65]) {
    search s = {(uintptr_t)(void *)look_at, out};
    out[0] = '\0';
    dl_iterate_phdr(look_at, &s);
}

/* Purposes of the random streams of the data room, the last word of eg_random_make's key.
 * Private to the room. One purpose a decision, so that switching one augmentation off leaves the
 * draws of the others as they were. */
#ifndef EG_DATA_STREAMS_H
#define EG_DATA_STREAMS_H

enum {
    EG_DATA_STREAM_SPLIT = 0x64610001, /* (seed, 0, 0): order of the patients */
    EG_DATA_STREAM_SHUFFLE,            /* (seed, epoch, 0): order of the images */
    EG_DATA_STREAM_CROP,               /* (seed, epoch, sample) */
    EG_DATA_STREAM_FLIP,
    EG_DATA_STREAM_JITTER,
    EG_DATA_STREAM_ROTATE,
    EG_DATA_STREAM_TRANSLATE,
    EG_DATA_STREAM_ZOOM,
    EG_DATA_STREAM_GAMMA,
    EG_DATA_STREAM_BLUR,
    EG_DATA_STREAM_NOISE, /* its strength, then the noise itself */
    EG_DATA_STREAM_CUTOUT,
    EG_DATA_STREAM_RANDAUGMENT,
    EG_DATA_STREAM_MIX,
    EG_DATA_STREAM_PHANTOM_PATIENTS = 0x64610101, /* (seed, 0, 0): how many images each has */
    EG_DATA_STREAM_PHANTOM_LEAK,                  /* (seed, split, label), the next two too */
    EG_DATA_STREAM_PHANTOM_LABELS,
    EG_DATA_STREAM_PHANTOM_COPIES,
    EG_DATA_STREAM_PHANTOM_NUMBERS, /* (seed, 0, 0) */
    EG_DATA_STREAM_PHANTOM_KIND,    /* (seed, patient, 0), the next one too */
    EG_DATA_STREAM_PHANTOM_ANATOMY,
    EG_DATA_STREAM_PHANTOM_VESSELS,
    EG_DATA_STREAM_PHANTOM_DISEASE, /* (seed, patient, 0 or image) */
    EG_DATA_STREAM_PHANTOM_VISIT,   /* (seed, patient, image), all below */
    EG_DATA_STREAM_PHANTOM_MARKER,
    EG_DATA_STREAM_PHANTOM_LETTER,
    EG_DATA_STREAM_PHANTOM_NOISE
};

#endif

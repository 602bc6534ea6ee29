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
    EG_DATA_STREAM_JITTER
};

#endif

/* recording.h - a recording as the messages that replay it: printed once, sent when it is time. Threads: one.
 */
#ifndef MAYDAY_TOOLS_RECORDING_H
#define MAYDAY_TOOLS_RECORDING_H

#include "base/buf.h"
#include "base/instant.h"
#include "base/uuid.h"

typedef enum sample_state {
    SAMPLE_WAITS = 0,
    SAMPLE_UNDER_WAY,
    SAMPLE_DONE,    /* acknowledged */
    SAMPLE_REFUSED, /* for good, or until the words of the refusal say that it was only too early */
} sample_state;

typedef struct sample {
    char *body;
    int64_t due;    /* microseconds after the start of the replay */
    bool is_vitals; /* else a location */
    bool again;     /* under way, and refused already for coming too fast */
    sample_state state;
    int packet;
    char id[UUID_TEXT_LEN + 1];
} sample;

typedef struct recording {
    const char *format; /* "fit" */
    sample *samples;
    size_t count, room, fixes, readings;
    instant first, last; /* as recorded */
    instant begins;      /* `first` as it is told */
    char broken[256];    /* why the file could not be read to its end; "" */
} recording;

typedef struct recording_wish {
    double speed;     /* 0: as fast as it goes */
    bool as_recorded; /* times are not moved */
    instant now;      /* when the replay starts */
    const char *sensor;
} recording_wish;

/* 0, -ENOMEM, or -EBADMSG with a sentence in ret_recording->broken when nothing of it can be played. */
NODISCARD int recording_make(text file, const recording_wish *wish, recording *ret_recording);
void recording_release(recording *r); /* fits CLEANUP */

#endif

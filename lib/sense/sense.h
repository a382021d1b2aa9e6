/* sense.h - from the bytes of sensors and recordings to readings and fixes. Pure: bytes in, values out; the
 * hosts open and read. Bad input is normal: each decoder says what it refuses, and never reads beyond `len`.
 *
 * Threads: the stream decoders (nmea, recording) belong to one thread each; the rest has no state. */
#ifndef MAYDAY_SENSE_SENSE_H
#define MAYDAY_SENSE_SENSE_H

#include "base/buf.h"
#include "core/reading.h"

/* ---- one thing that was sensed ---- */
typedef enum sensed_kind {
    SENSED_NOTHING = 0,
    SENSED_READING,
    SENSED_FIX,
    SENSED_BATTERY, /* reading.battery alone */
} sensed_kind;

typedef struct sensed {
    sensed_kind kind;
    reading reading;
    fix fix;
    instant dated; /* when it measured, as the device says, by a clock and in a zone of its own; 0: unsaid */
} sensed;

typedef enum sense_verdict {
    SENSE_MALFORMED = 0, /* truncated, reserved, out of its own range */
    SENSE_INVALID, /* well formed, and says itself that it is not to be believed (demo, test, questionable) */
    SENSE_IGNORED, /* well formed, and nothing of ours */
    SENSE_GOOD,
} sense_verdict;

/* ---- Bluetooth GATT characteristics (gatt.c): a table by 16-bit UUID ---- */
typedef struct gatt_characteristic {
    unsigned service, uuid; /* 0x180D, 0x2A37 */
    const char *name;       /* "heart rate measurement" */
    bool indicates;         /* indications rather than notifications */
    sense_verdict (*decode)(const unsigned char *bytes, size_t len, instant now, sensed *ret_sensed);
} gatt_characteristic;
extern const gatt_characteristic gatt_characteristics[];
extern const size_t gatt_characteristic_count;
const gatt_characteristic *gatt_by_uuid(unsigned uuid); /* NULL: none of ours */

/* IEEE 11073-20601 special values (NaN, NRes, +-inf, reserved) become NAN or +-INFINITY. */
double gatt_sfloat(uint16_t raw);
double gatt_float(uint32_t raw);

/* ---- whether what a device dates was measured now (gatt_dates.c): cuffs and thermometers keep what they
 * measured, and tell all of it to whom they are connected with. Begins as zeros, one for each characteristic
 * of a device; and again when `now` has leapt. ---- */
typedef struct gatt_dates {
    bool is_known;
    int64_t off;    /* its clock before ours */
    instant newest; /* that was of now, by its clock */
    instant refused, refused_at;
} gatt_dates;
typedef enum gatt_date_verdict {
    GATT_DATE_BEFORE = 0, /* it was stored */
    GATT_DATE_UNSURE,     /* of those that come within seconds the newest is of now: gatt_dates_accept() it */
    GATT_DATE_NOW,
} gatt_date_verdict;
gatt_date_verdict gatt_dates_judge(gatt_dates *d, instant date, instant now);
void gatt_dates_accept(gatt_dates *d, instant date, instant now);

/* ---- NMEA 0183 (nmea.c): a stream of lines; RMC, GGA, GNS, VTG, ZDA, GST, GSA of any talker ---- */
typedef struct nmea nmea;
NODISCARD int nmea_new(nmea **ret_nmea);
nmea *nmea_free(nmea *n); /* takes NULL, returns NULL */
DEFINE_CLEANUP(nmea, nmea_free)
/* One line, with or without its end. SENSE_GOOD when a fix is complete (one per epoch); SENSE_IGNORED when
 * the line was taken and the fix is not complete, too. Lines without a checksum are taken only with `lax`.
 * `now` gives the century and the day where a line says only the time; 0: take the receiver's own date alone.
 */
sense_verdict nmea_line(nmea *n, text line, bool lax, instant now, fix *ret_fix);
/* Whether the receiver has said the date itself, once at least. */
bool nmea_knows_date(const nmea *n);
/* Nothing follows: the fix that still waited for more of its epoch, if there is one. */
bool nmea_end(nmea *n, fix *ret_fix);

/* ---- recordings (recording.c and one file each: fit.c, gpx.c, tcx.c, nmea.c, csv.c) ---- */
typedef struct recording_format {
    const char *name;                                     /* "fit" */
    bool (*fits)(const unsigned char *bytes, size_t len); /* by its first bytes, not by its name */
    /* Calls `visit` for each thing sensed, in the recording's order, times as recorded. 0, or -EBADMSG with a
     * sentence that names the place; what came before that was visited. `visit` returns false to end it. */
    int (*play)(const unsigned char *bytes, size_t len, bool (*visit)(void *context, const sensed *one),
                void *context, char ret_why[256]);
} recording_format;
extern const recording_format *const recording_formats[];                     /* ended by NULL */
const recording_format *recording_of(const unsigned char *bytes, size_t len); /* NULL: none knows it */

#endif

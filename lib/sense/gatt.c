/* gatt.c - Bluetooth characteristics to readings; see sense.h. A table with one row for each characteristic.
 *
 * Layouts after the GATT Specification Supplement; numbers after IEEE 11073-20601. What all have in common:
 * - Fields are taken in order from a `field` that remembers whether the bytes were enough: one check, at the
 * end.
 * - Bytes behind the known fields are left alone: later versions of the specification append there.
 * - A device's own date and time are local, without a zone, and often never set: a reading is dated when it
 *   came, and what the device says of it stands beside (gatt_dates.c).
 * - A value that the device says it does not have (NaN, NRes) is not put; infinities and reserved ones
 * neither.
 *
 * Threads: no state. */
#include "sense/inside.h"

#include <math.h>

#define MMHG_PER_KPA  7.500616827
#define COMPLAINED_AT 25.0 /* percent: the trust that remains when a sensor complains of its own signal */

/* ---- bytes, least significant first ---- */

typedef struct field {
    const unsigned char *at;
    size_t left;
    bool short_of; /* more was asked for than there is: all values since are 0 */
} field;

static uint32_t take(field *f, size_t width) {
    uint32_t value = 0;
    if (f->short_of || f->left < width) {
        f->short_of = true;
        return 0;
    }
    for (size_t i = 0; i < width; i++)
        value |= (uint32_t)f->at[i] << (8 * i);
    f->at += width;
    f->left -= width;
    return value;
}

static void skip(field *f, size_t width) {
    if (f->left < width)
        f->short_of = true;
    if (f->short_of)
        return;
    f->at += width;
    f->left -= width;
}

/* ---- IEEE 11073 numbers ---- */

/* Powers below zero divide: 366 / 10 is the double nearest to 36.6, 366 * 0.1 is not. */
static double scaled(int32_t mantissa, int exponent) {
    return exponent < 0 ? mantissa / pow(10, -exponent) : mantissa * pow(10, exponent);
}

double gatt_sfloat(uint16_t raw) {
    switch (raw) { /* before the sign is looked at: 0x0800 is no -2048 */
    case 0x07FE:
        return INFINITY;
    case 0x0802:
        return -INFINITY;
    case 0x07FF: /* not a number */
    case 0x0800: /* not at this resolution */
    case 0x0801: /* reserved */
        return NAN;
    }
    int32_t mantissa = raw & 0x0FFF, exponent = raw >> 12;
    return scaled(mantissa >= 0x0800 ? mantissa - 0x1000 : mantissa,
                  exponent >= 0x8 ? exponent - 0x10 : exponent);
}

double gatt_float(uint32_t raw) {
    switch (raw) {
    case 0x007FFFFE:
        return INFINITY;
    case 0x00800002:
        return -INFINITY;
    case 0x007FFFFF:
    case 0x00800000:
    case 0x00800001:
        return NAN;
    }
    int32_t mantissa = (int32_t)(raw & 0x00FFFFFF), exponent = (int32_t)(raw >> 24);
    return scaled(mantissa >= 0x00800000 ? mantissa - 0x01000000 : mantissa,
                  exponent >= 0x80 ? exponent - 0x100 : exponent);
}

/* 0: none that exists, as of a clock that was never set. */
static instant take_date(field *f) {
    int year = (int)take(f, 2), month = (int)take(f, 1), day = (int)take(f, 1);
    int hour = (int)take(f, 1), minute = (int)take(f, 1), second = (int)take(f, 1);
    instant at = 0;
    return !f->short_of && moment_of(year, month, day, hour, minute, second, 0, &at) ? at : 0;
}

static double take_sfloat(field *f) {
    return gatt_sfloat((uint16_t)take(f, 2));
}

static bool out_of(double value, double min, double max) {
    return isfinite(value) && (value < min || value > max);
}

/* A reading that says nothing is the device's way to say that it has nothing. */
static sense_verdict give(const reading *r, instant date, sensed *ret_sensed) {
    if (!reading_says_anything(r))
        return SENSE_INVALID;
    *ret_sensed = (sensed){.kind = SENSED_READING, .reading = *r, .dated = date};
    return SENSE_GOOD;
}

/* ---- heart rate measurement ---- */

enum {
    HR_WIDE = 1 << 0,
    HR_CONTACT = 1 << 1,
    HR_CONTACT_KNOWN = 1 << 2,
    HR_ENERGY = 1 << 3,
    HR_INTERVALS = 1 << 4
};

static void take_intervals(field *f, reading *r) {
    while (!f->short_of && f->left > 0)
        sense_put_rr(r, take(f, 2) * 1000.0 / 1024.0);
}

static sense_verdict heart_rate(const unsigned char *bytes, size_t len, instant now, sensed *ret_sensed) {
    field f = {.at = bytes, .left = len};
    reading r = reading_at(now);
    uint32_t flags = take(&f, 1), rate = take(&f, flags & HR_WIDE ? 2 : 1);
    if (flags & HR_ENERGY)
        skip(&f, 2); /* kilojoules since it was put on */
    if (flags & HR_INTERVALS)
        take_intervals(&f, &r);
    if (f.short_of || rate > 350)
        return SENSE_MALFORMED;
    sense_put(&r, VITAL_HR, rate);
    if (flags & HR_CONTACT_KNOWN)
        r.contact = flags & HR_CONTACT ? CONTACT_GOOD : CONTACT_NONE;
    return give(&r, 0, ret_sensed);
}

/* ---- pulse oximeters ---- */

/* Measurement status: bit 9 data from storage (of a time that is not known here), 10 demonstration, 11 test,
 * 12 calibration, 13 unavailable, 14 questionable, 15 invalid. */
#define PLX_NOT_TO_BE_BELIEVED 0xFE00u

/* Device and sensor status, the bits that tell about the reading. */
#define PLX_BROKEN  (1u << 1 | 1u << 14)             /* malfunction of the equipment, of the sensor */
#define PLX_OFF     (1u << 11 | 1u << 13 | 1u << 15) /* unconnected to the user, displaced, disconnected */
#define PLX_TROUBLE 0x0005FCu /* bits 2 to 8 and 10: signal irregular, inadequate, poor, low perfusion... */

typedef struct oximeter_layout {
    size_t date_time, unset, fast, slow; /* flag bits, 0: none of that kind here */
    size_t measurement, device;
} oximeter_layout;

static const oximeter_layout plx_spot = {
    .date_time = 1 << 0, .unset = 1 << 4, .measurement = 1 << 1, .device = 1 << 2};
static const oximeter_layout plx_continuous = {
    .fast = 1 << 0, .slow = 1 << 1, .measurement = 1 << 2, .device = 1 << 3};

static sense_verdict oximeter(const oximeter_layout *has, const unsigned char *bytes, size_t len, instant now,
                              sensed *ret_sensed) {
    field f = {.at = bytes, .left = len};
    reading r = reading_at(now);
    uint32_t flags = take(&f, 1);
    double spo2 = take_sfloat(&f), rate = take_sfloat(&f);
    instant date = flags & has->date_time ? take_date(&f) : 0;
    skip(&f, (flags & has->fast ? 4u : 0u) + (flags & has->slow ? 4u : 0u));
    uint32_t measurement = flags & has->measurement ? take(&f, 2) : 0;
    uint32_t device = flags & has->device ? take(&f, 3) : 0;
    if (f.short_of || out_of(spo2, 0, 100) || out_of(rate, 0, 350))
        return SENSE_MALFORMED;
    if (flags & has->unset)
        date = 0;
    if (measurement & PLX_NOT_TO_BE_BELIEVED || device & PLX_BROKEN)
        return SENSE_INVALID;
    sense_put(&r, VITAL_SPO2, spo2);
    sense_put(&r, VITAL_HR, rate);
    if (device & PLX_OFF)
        r.contact = CONTACT_NONE;
    if (device & PLX_TROUBLE)
        r.quality = COMPLAINED_AT;
    return give(&r, date, ret_sensed);
}

static sense_verdict oximeter_spot(const unsigned char *bytes, size_t len, instant now, sensed *ret_sensed) {
    return oximeter(&plx_spot, bytes, len, now, ret_sensed);
}

static sense_verdict oximeter_continuous(const unsigned char *bytes, size_t len, instant now,
                                         sensed *ret_sensed) {
    return oximeter(&plx_continuous, bytes, len, now, ret_sensed);
}

/* ---- thermometers ---- */

enum {
    TEMP_FAHRENHEIT = 1 << 0,
    TEMP_DATE_TIME = 1 << 1,
    TEMP_SITE = 1 << 2
};

/* A finger or a toe tells how cold it is outside, not how the body is. */
enum {
    SITE_FINGER = 4,
    SITE_TOE = 8
};

static sense_verdict thermometer(const unsigned char *bytes, size_t len, instant now, sensed *ret_sensed) {
    field f = {.at = bytes, .left = len};
    reading r = reading_at(now);
    uint32_t flags = take(&f, 1);
    double degrees = gatt_float(take(&f, 4));
    instant date = flags & TEMP_DATE_TIME ? take_date(&f) : 0;
    uint32_t site = flags & TEMP_SITE ? take(&f, 1) : 0;
    if (flags & TEMP_FAHRENHEIT)
        degrees = (degrees - 32) / 1.8;
    if (f.short_of || out_of(degrees, 10, 50))
        return SENSE_MALFORMED;
    if (site == SITE_FINGER || site == SITE_TOE)
        return SENSE_IGNORED;
    sense_put(&r, VITAL_TEMP, degrees);
    return give(&r, date, ret_sensed);
}

/* ---- blood pressure ---- */

enum {
    BP_KILOPASCAL = 1 << 0,
    BP_DATE_TIME = 1 << 1,
    BP_PULSE = 1 << 2,
    BP_USER = 1 << 3,
    BP_STATUS = 1 << 4
};

#define BP_TROUBLE (1u << 0 | 1u << 1 | 1u << 5) /* the body moved, the cuff is loose, held wrongly */

static sense_verdict blood_pressure(const unsigned char *bytes, size_t len, instant now, sensed *ret_sensed) {
    field f = {.at = bytes, .left = len};
    reading r = reading_at(now);
    uint32_t flags = take(&f, 1);
    double unit = flags & BP_KILOPASCAL ? MMHG_PER_KPA : 1;
    double systolic = take_sfloat(&f) * unit, diastolic = take_sfloat(&f) * unit;
    skip(&f, 2); /* the mean arterial pressure */
    instant date = flags & BP_DATE_TIME ? take_date(&f) : 0;
    double rate = flags & BP_PULSE ? take_sfloat(&f) : NAN;
    if (flags & BP_USER)
        skip(&f, 1);
    uint32_t status = flags & BP_STATUS ? take(&f, 2) : 0;
    if (f.short_of || out_of(systolic, 0, 350) || out_of(diastolic, 0, 350) || out_of(rate, 0, 350))
        return SENSE_MALFORMED;
    if (isfinite(systolic) && isfinite(diastolic) && diastolic > systolic)
        return SENSE_MALFORMED;
    sense_put(&r, VITAL_SYS, systolic);
    sense_put(&r, VITAL_DIA, diastolic);
    sense_put(&r, VITAL_HR, rate);
    if (status & BP_TROUBLE)
        r.quality = COMPLAINED_AT;
    return give(&r, date, ret_sensed);
}

/* ---- battery ---- */

static sense_verdict battery(const unsigned char *bytes, size_t len, instant now, sensed *ret_sensed) {
    field f = {.at = bytes, .left = len};
    uint32_t percent = take(&f, 1);
    if (f.short_of || percent > 100)
        return SENSE_MALFORMED;
    *ret_sensed = (sensed){.kind = SENSED_BATTERY, .reading = reading_at(now)};
    ret_sensed->reading.battery = percent;
    return SENSE_GOOD;
}

const gatt_characteristic gatt_characteristics[] = {
    {0x180D, 0x2A37, "heart rate measurement", false, heart_rate},
    {0x1822, 0x2A5F, "pulse oximeter, continuous", false, oximeter_continuous},
    {0x1822, 0x2A5E, "pulse oximeter, spot check", true, oximeter_spot},
    {0x1809, 0x2A1C, "temperature measurement", true, thermometer},
    {0x1810, 0x2A35, "blood pressure measurement", true, blood_pressure},
    {0x180F, 0x2A19, "battery level", false, battery},
};
const size_t gatt_characteristic_count = ARRAY_LEN(gatt_characteristics);

const gatt_characteristic *gatt_by_uuid(unsigned uuid) {
    for (size_t i = 0; i < gatt_characteristic_count; i++)
        if (gatt_characteristics[i].uuid == uuid)
            return &gatt_characteristics[i];
    return NULL;
}

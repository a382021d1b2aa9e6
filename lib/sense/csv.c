/* csv.c - tables of samples to readings and fixes; see recording_format in sense.h.
 *
 * The first line names the columns; those whose names are known are taken, in any order, the rest is left
 * alone. Cells are separated by commas, semicolons or tabs, whichever the first line has most of; with
 * semicolons and tabs a comma in a number is its decimal point. Cells may be quoted (RFC 4180). An empty cell
 * says nothing.
 *
 * Times are RFC 3339 (without a zone: UTC), seconds or milliseconds since 1970, or, in a column of seconds
 * since the start ("t_s"), seconds from 1970-01-01T00:00:00Z on, because the day is not said.
 *
 * Pure; threads: no state beyond the call. */
#include "sense/inside.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX  64
#define NAME_LONGEST 32
#define MILLIS_FROM  1e11           /* as seconds it would be of the year 5138 */
#define LATEST_S     253402300799.0 /* the end of the year 9999 */

typedef enum column {
    COLUMN_NONE = 0,
    COLUMN_TIME,    /* a moment */
    COLUMN_ELAPSED, /* seconds */
    COLUMN_LAT,
    COLUMN_LON,
    COLUMN_ACCURACY,
    COLUMN_ALTITUDE,
    COLUMN_SPEED,
    COLUMN_SPEED_KMH,
    COLUMN_HEADING,
    COLUMN_HR,
    COLUMN_SPO2,
    COLUMN_RESP,
    COLUMN_TEMP,
    COLUMN_SYS,
    COLUMN_DIA,
    COLUMN_RR,
    COLUMN_CONTACT,
    COLUMN_QUALITY,
    COLUMN_MOTION,
    COLUMN_BATTERY,
    COLUMN_EVENT,
} column;

/* Compared in lower case, other signs as '_', and without what stands in parentheses. */
static const struct {
    const char *name;
    column what;
} names[] = {
    {"ts", COLUMN_TIME},
    {"time", COLUMN_TIME},
    {"timestamp", COLUMN_TIME},
    {"datetime", COLUMN_TIME},
    {"t_s", COLUMN_ELAPSED},
    {"t", COLUMN_ELAPSED},
    {"seconds", COLUMN_ELAPSED},
    {"elapsed", COLUMN_ELAPSED},
    {"elapsed_s", COLUMN_ELAPSED},
    {"lat", COLUMN_LAT},
    {"latitude", COLUMN_LAT},
    {"lon", COLUMN_LON},
    {"lng", COLUMN_LON},
    {"longitude", COLUMN_LON},
    {"accuracy", COLUMN_ACCURACY},
    {"accuracy_m", COLUMN_ACCURACY},
    {"altitude", COLUMN_ALTITUDE},
    {"altitude_m", COLUMN_ALTITUDE},
    {"elevation", COLUMN_ALTITUDE},
    {"ele", COLUMN_ALTITUDE},
    {"speed", COLUMN_SPEED},
    {"speed_mps", COLUMN_SPEED},
    {"speed_m_s", COLUMN_SPEED},
    {"speed_kmh", COLUMN_SPEED_KMH},
    {"speed_km_h", COLUMN_SPEED_KMH},
    {"heading", COLUMN_HEADING},
    {"course", COLUMN_HEADING},
    {"bearing", COLUMN_HEADING},
    {"hr", COLUMN_HR},
    {"heart_rate", COLUMN_HR},
    {"heart_rate_bpm", COLUMN_HR},
    {"heartrate", COLUMN_HR},
    {"pulse", COLUMN_HR},
    {"bpm", COLUMN_HR},
    {"spo2", COLUMN_SPO2},
    {"resp", COLUMN_RESP},
    {"respiration", COLUMN_RESP},
    {"respiration_rate", COLUMN_RESP},
    {"temp", COLUMN_TEMP},
    {"temp_c", COLUMN_TEMP},
    {"body_temp", COLUMN_TEMP},
    {"body_temperature", COLUMN_TEMP},
    {"sys", COLUMN_SYS},
    {"systolic", COLUMN_SYS},
    {"dia", COLUMN_DIA},
    {"diastolic", COLUMN_DIA},
    {"rr_ms", COLUMN_RR},
    {"contact", COLUMN_CONTACT},
    {"quality", COLUMN_QUALITY},
    {"motion", COLUMN_MOTION},
    {"battery", COLUMN_BATTERY},
    {"event", COLUMN_EVENT},
};

typedef struct table {
    text rest;
    char separator;
    column columns[COLUMNS_MAX];
    size_t count;
    uint64_t line;
    char *why;
} table;

typedef struct row {
    text cells[COLUMNS_MAX];
    size_t count;
} row;

static int wrong(const table *t, const char *format, ...) PRINTF_LIKE(2, 3);
static int wrong(const table *t, const char *format, ...) {
    int used = snprintf(t->why, 256, "line %llu: ", (unsigned long long)t->line);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(t->why + used, 256 - (size_t)used, format, args);
    va_end(args);
    return -EBADMSG;
}

/* What was read, for people: short, and without signs that a terminal obeys. */
static const char *shown(text t, char room[33]) {
    size_t len = t.len < 32 ? t.len : 32;
    for (size_t i = 0; i < len; i++)
        room[i] = t.ptr[i] >= ' ' && t.ptr[i] <= '~' ? t.ptr[i] : '?';
    room[len] = '\0';
    return room;
}

/* ---- cells ---- */

static bool ends_row(char c) {
    return c == '\n' || c == '\r';
}

/* A quoted cell, from behind its quote; "" inside stays as it is, because nothing that is ours holds one. */
static bool take_quoted(text *rest, text *ret_cell) {
    const char *p = rest->ptr, *end = rest->ptr + rest->len;
    for (;;) {
        p = p < end ? memchr(p, '"', (size_t)(end - p)) : NULL;
        if (!p)
            return false;
        if (p + 1 == end || p[1] != '"')
            break;
        p += 2;
    }
    *ret_cell = (text){rest->ptr, (size_t)(p - rest->ptr)};
    *rest = (text){p + 1, (size_t)(end - p - 1)};
    return true;
}

static void skip_blanks(text *rest, char separator) {
    while (rest->len > 0 && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t') && rest->ptr[0] != separator)
        *rest = (text){rest->ptr + 1, rest->len - 1};
}

/* The cell at the start of `rest`, up to the separator or the end of the row. */
static int take_cell(table *t, text *ret_cell) {
    text cell;
    skip_blanks(&t->rest, t->separator);
    if (t->rest.len > 0 && t->rest.ptr[0] == '"') {
        t->rest = (text){t->rest.ptr + 1, t->rest.len - 1};
        if (!take_quoted(&t->rest, &cell))
            return wrong(t, "a quote is opened and never closed");
        skip_blanks(&t->rest, t->separator);
        if (t->rest.len > 0 && t->rest.ptr[0] != t->separator && !ends_row(t->rest.ptr[0]))
            return wrong(t, "something follows the closing quote of a cell");
    } else {
        size_t len = 0;
        while (len < t->rest.len && t->rest.ptr[len] != t->separator && !ends_row(t->rest.ptr[len]))
            len++;
        cell = text_trim((text){t->rest.ptr, len});
        t->rest = (text){t->rest.ptr + len, t->rest.len - len};
    }
    *ret_cell = cell;
    return 0;
}

static void end_row(table *t) {
    if (t->rest.len > 1 && t->rest.ptr[0] == '\r' && t->rest.ptr[1] == '\n')
        t->rest = (text){t->rest.ptr + 1, t->rest.len - 1};
    if (t->rest.len > 0)
        t->rest = (text){t->rest.ptr + 1, t->rest.len - 1};
}

/* 1: a row; 0: there is no more; or a fault. */
static int next_row(table *t, row *ret_row) {
    row r = {.count = 0};
    if (t->rest.len == 0)
        return 0;
    t->line++;
    for (;;) {
        if (r.count == COLUMNS_MAX)
            return wrong(t, "more than %d cells", COLUMNS_MAX);
        int fault = take_cell(t, &r.cells[r.count]);
        if (fault < 0)
            return fault;
        r.count++;
        if (t->rest.len == 0 || t->rest.ptr[0] != t->separator)
            break;
        t->rest = (text){t->rest.ptr + 1, t->rest.len - 1};
    }
    end_row(t);
    *ret_row = r;
    return 1;
}

/* ---- the first line ---- */

static text without_mark(const unsigned char *bytes, size_t len) {
    bool marked = len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0;
    return (text){(const char *)bytes + (marked ? 3 : 0), len - (marked ? 3 : 0)};
}

static char separator_of(text all) {
    size_t commas = 0, semicolons = 0, tabs = 0;
    for (size_t i = 0; i < all.len && !ends_row(all.ptr[i]); i++) {
        commas += all.ptr[i] == ',';
        semicolons += all.ptr[i] == ';';
        tabs += all.ptr[i] == '\t';
    }
    return semicolons > commas && semicolons >= tabs ? ';' : tabs > commas ? '\t' : ',';
}

/* "Heart rate (bpm)" -> "heart_rate" */
static void plain_name(text cell, char ret_name[NAME_LONGEST + 1]) {
    size_t len = 0;
    for (size_t i = 0; i < cell.len && len < NAME_LONGEST; i++) {
        unsigned char c = (unsigned char)cell.ptr[i];
        if (c == '(' || c == '[')
            break;
        if (isalnum(c) && c < 0x80)
            ret_name[len++] = (char)tolower(c);
        else if (len > 0 && ret_name[len - 1] != '_')
            ret_name[len++] = '_';
    }
    while (len > 0 && ret_name[len - 1] == '_')
        len--;
    ret_name[len] = '\0';
}

static column column_of(text cell) {
    char name[NAME_LONGEST + 1];
    plain_name(cell, name);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].what;
    return COLUMN_NONE;
}

static bool has_column(const table *t, column what) {
    for (size_t i = 0; i < t->count; i++)
        if (t->columns[i] == what)
            return true;
    return false;
}

static int read_header(table *t) {
    row header = {0};
    int rows = next_row(t, &header);
    if (rows <= 0)
        return rows < 0 ? rows : wrong(t, "there is no line that names the columns");
    size_t ours = 0;
    for (size_t i = 0; i < header.count; i++) {
        column what = column_of(header.cells[i]);
        if (what != COLUMN_NONE && has_column(t, what))
            return wrong(t, "two columns mean the same; the second is the one at place %zu", i + 1);
        t->columns[t->count++] = what;
        ours += what > COLUMN_ELAPSED;
    }
    if (!has_column(t, COLUMN_TIME) && !has_column(t, COLUMN_ELAPSED))
        return wrong(t, "no column has times: it would be called ts, time, timestamp or t_s");
    return ours > 0 ? 0 : wrong(t, "no column is known besides the times");
}

/* ---- rows ---- */

typedef struct sample {
    instant at;
    bool timed;
    fix place;
    reading body;
} sample;

static bool take_elapsed(text cell, bool comma, sample *s) {
    double seconds;
    if (!parse_number(cell, comma, &seconds) || seconds < 0 || seconds > LATEST_S)
        return false;
    if (!s->timed) /* a moment says more */
        s->at = (instant)llround(seconds * 1e6);
    s->timed = true;
    return true;
}

static bool take_time(text cell, bool comma, sample *s) {
    double seconds;
    if (parse_moment(cell, &s->at)) {
        s->timed = true;
        return true;
    }
    if (!parse_number(cell, comma, &seconds) || seconds < 0 || seconds > LATEST_S * 1e3)
        return false;
    s->at = (instant)llround(seconds >= MILLIS_FROM ? seconds * 1e3 : seconds * 1e6);
    s->timed = true;
    return true;
}

static bool take_intervals(text cell, bool comma, sample *s) {
    text one;
    double ms;
    while (text_next(&cell, ' ', &one)) {
        if (one.len == 0)
            continue;
        if (!parse_number(one, comma, &ms))
            return false;
        sense_put_rr(&s->body, ms);
    }
    return true;
}

static bool take_contact(text cell, sample *s) {
    bool yes = text_is_word(cell, "true") || text_is_word(cell, "yes") || text_is_word(cell, "1");
    bool no = text_is_word(cell, "false") || text_is_word(cell, "no") || text_is_word(cell, "0");
    s->body.contact = yes ? CONTACT_GOOD : CONTACT_NONE;
    return yes || no;
}

static bool take_event(text cell, sample *s) {
    if (text_is_word(cell, "fall"))
        s->body.event = EVENT_FALL;
    else if (text_is_word(cell, "still"))
        s->body.event = EVENT_STILL;
    return s->body.event != EVENT_NOTHING;
}

static bool put_percent(double value, double max, double *to) {
    if (value >= 0 && value <= max)
        *to = value;
    return true;
}

static bool take_number(column what, double value, sample *s) {
    switch (what) {
    case COLUMN_NONE:
    case COLUMN_TIME:
    case COLUMN_ELAPSED:
    case COLUMN_RR:
    case COLUMN_CONTACT:
    case COLUMN_EVENT:
        break; /* read as texts */
    case COLUMN_LAT:
        s->place.lat = value;
        break;
    case COLUMN_LON:
        s->place.lon = value;
        break;
    case COLUMN_ACCURACY:
        s->place.accuracy = value;
        break;
    case COLUMN_ALTITUDE:
        s->place.altitude = value;
        break;
    case COLUMN_SPEED:
        s->place.speed = value;
        break;
    case COLUMN_SPEED_KMH:
        s->place.speed = value / 3.6;
        break;
    case COLUMN_HEADING:
        s->place.heading = value;
        break;
    case COLUMN_HR:
        sense_put(&s->body, VITAL_HR, value);
        break;
    case COLUMN_SPO2:
        sense_put(&s->body, VITAL_SPO2, value);
        break;
    case COLUMN_RESP:
        sense_put(&s->body, VITAL_RESP, value);
        break;
    case COLUMN_TEMP:
        sense_put(&s->body, VITAL_TEMP, value);
        break;
    case COLUMN_SYS:
        sense_put(&s->body, VITAL_SYS, value);
        break;
    case COLUMN_DIA:
        sense_put(&s->body, VITAL_DIA, value);
        break;
    case COLUMN_QUALITY:
        return put_percent(value, 100, &s->body.quality);
    case COLUMN_MOTION:
        return put_percent(value, 50, &s->body.motion);
    case COLUMN_BATTERY:
        return put_percent(value, 100, &s->body.battery);
    }
    return true;
}

static bool take_cell_of(column what, text cell, bool comma, sample *s) {
    double value;
    switch ((int)what) {
    case COLUMN_NONE:
        return true;
    case COLUMN_TIME:
        return take_time(cell, comma, s);
    case COLUMN_ELAPSED:
        return take_elapsed(cell, comma, s);
    case COLUMN_RR:
        return take_intervals(cell, comma, s);
    case COLUMN_CONTACT:
        return take_contact(cell, s);
    case COLUMN_EVENT:
        return take_event(cell, s);
    }
    return parse_number(cell, comma, &value) && take_number(what, value, s);
}

static int read_row(const table *t, const row *r, sample *ret_sample) {
    sample s = {.place = fix_at(0, NAN, NAN), .body = reading_at(0)};
    char room[33];
    if (r->count > t->count)
        return wrong(t, "%zu cells, but %zu columns", r->count, t->count);
    for (size_t i = 0; i < r->count; i++)
        if (r->cells[i].len > 0 && !take_cell_of(t->columns[i], r->cells[i], t->separator != ',', &s))
            return wrong(t, "cell %zu: '%s' is not what its column holds", i + 1, shown(r->cells[i], room));
    if (!s.timed)
        return wrong(t, "it has no time");
    s.place.at = s.body.at = s.at;
    *ret_sample = s;
    return 0;
}

static bool show(const sample *s, bool (*visit)(void *context, const sensed *one), void *context) {
    sensed place = {.kind = SENSED_FIX, .fix = s->place, .reading = reading_at(s->at)};
    sensed body = {.kind = SENSED_READING, .reading = s->body};
    if (sense_tidy(&place.fix) && !visit(context, &place))
        return false;
    if (reading_says_anything(&s->body))
        return visit(context, &body);
    body.kind = SENSED_BATTERY;
    return isnan(s->body.battery) || visit(context, &body);
}

static int play(const unsigned char *bytes, size_t len, bool (*visit)(void *context, const sensed *one),
                void *context, char ret_why[256]) {
    table t = {.rest = without_mark(bytes, len), .why = ret_why};
    t.separator = separator_of(t.rest);
    int rows = read_header(&t);
    if (rows < 0)
        return rows;
    row r = {0};
    while ((rows = next_row(&t, &r)) > 0) {
        sample s = {0};
        if (r.count == 1 && r.cells[0].len == 0)
            continue; /* an empty line */
        int fault = read_row(&t, &r, &s);
        if (fault < 0)
            return fault;
        if (!show(&s, visit, context))
            return 0;
    }
    return rows;
}

static bool fits(const unsigned char *bytes, size_t len) {
    char why[256];
    table t = {.rest = without_mark(bytes, len), .why = why};
    t.separator = separator_of(t.rest);
    return read_header(&t) == 0;
}

extern const recording_format recording_csv;
const recording_format recording_csv = {.name = "csv", .fits = fits, .play = play};

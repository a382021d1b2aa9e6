/* clock.c - does this machine's clock tell the time? Tokens expire and alerts are dated by it. */
#include <math.h>
#include <stdlib.h>
#include <sys/timex.h>

#include "doctor/check.h"

#define SKEW_MAX_S 1.0

extern const check check_clock;

static void look_at_database(doctor *d) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (!d->database)
        return;
    instant before = instant_now();
    if (pg_query(d->database, "SELECT extract(epoch FROM clock_timestamp())", 0, NULL, &rows) != PG_DONE)
        return;
    double here = ((double)before + (double)(instant_now() - before) / 2) / 1e6;
    double skew = strtod(pg_value(rows, 0, 0), NULL) - here;
    if (fabs(skew) > SKEW_MAX_S)
        found(d, FINDING_WARN, "Let both machines follow a time server.",
              "the database's clock is %.1f s %s this one's", fabs(skew), skew > 0 ? "ahead of" : "behind");
    else
        found(d, FINDING_OK, NULL, "the database's clock agrees to %.0f ms", fabs(skew) * 1000.0);
}

static void run(doctor *d) {
    struct timex t = {0};
    int state = adjtimex(&t);
    if (state < 0)
        found(d, FINDING_WARN, NULL, "the kernel does not say whether the clock is right");
    else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
        found(
            d, FINDING_WARN,
            "Let it follow a time server: 'timedatectl set-ntp true', or install chrony. In a container the "
            "host has to.",
            "the clock is not synchronised");
    else
        found(d, FINDING_OK, NULL, "the clock is synchronised (to %.0f ms at worst)",
              (double)t.maxerror / 1000.0);
    look_at_database(d);
}

const check check_clock = {.name = "clock", .run = run};

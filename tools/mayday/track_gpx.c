/* track_gpx.c - see track_gpx.h. */
#include "track_gpx.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    AT,
    LAT,
    LON,
    ALTITUDE,
    BEGINS
};

/* What XML has words for; a control character has no place in it at all. */
static void escape(FILE *to, const char *name) {
    for (const char *c = name; *c; c++) {
        if (*c == '<')
            fputs("&lt;", to);
        else if (*c == '>')
            fputs("&gt;", to);
        else if (*c == '&')
            fputs("&amp;", to);
        else
            fputc((unsigned char)*c < ' ' ? '?' : *c, to);
    }
}

static void write_point(FILE *to, const pg_rows *rows, size_t i) {
    fprintf(to, "      <trkpt lat=\"%s\" lon=\"%s\">", pg_value(rows, i, LAT), pg_value(rows, i, LON));
    if (!pg_is_null(rows, i, ALTITUDE))
        fprintf(to, "<ele>%s</ele>", pg_value(rows, i, ALTITUDE));
    fprintf(to, "<time>%s</time></trkpt>\n", pg_value(rows, i, AT));
}

static void write_all(FILE *to, const char *name, const pg_rows *rows) {
    size_t count = pg_rows_count(rows);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<gpx version=\"1.1\" creator=\"Mayday\" xmlns=\"http://www.topografix.com/GPX/1/1\">\n"
          "  <trk>\n    <name>",
          to);
    escape(to, name);
    fputs("</name>\n", to);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(pg_value(rows, i, BEGINS), "t") == 0)
            fputs(i == 0 ? "    <trkseg>\n" : "    </trkseg>\n    <trkseg>\n", to);
        write_point(to, rows, i);
    }
    fputs(count > 0 ? "    </trkseg>\n  </trk>\n</gpx>\n" : "  </trk>\n</gpx>\n", to);
}

int track_gpx_write(const char *path, const char *name, const pg_rows *rows) {
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *to = to_stdout ? stdout : fopen(path, "we");
    if (!to)
        return -errno;
    write_all(to, name, rows);
    int failed = fflush(to) != 0 || ferror(to) ? -EIO : 0;
    if (!to_stdout && fclose(to) != 0 && failed == 0)
        failed = -EIO;
    return failed;
}

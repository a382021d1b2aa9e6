/* crowd.c - the crowd file, or a made-up crowd. */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "load.h"

#define FILE_LIMIT    (256u << 20)
#define MADE_UP_BYTES 160 /* client id and topic of one made-up person */

static person read_line(text line, const char *path, size_t number) {
    person p = {0};
    if (!text_next(&line, '\t', &p.client) || !text_next(&line, '\t', &p.topic) ||
        !text_next(&line, '\t', &p.token) || !p.client.len || !p.topic.len)
        fail("%s line %zu: expected client id, topic and token separated by tabs", path, number);
    return p;
}

static buf read_file(const char *path) {
    buf file = BUF(FILE_LIMIT);
    int fault = file_read(path, FILE_LIMIT, &file);
    if (fault)
        fail("cannot read %s: %s", path, strerror(-fault));
    return file;
}

size_t crowd_lines(const char *path) {
    buf file = read_file(path);
    text rest = buf_text(&file), line;
    size_t lines = 0;
    while (text_next(&rest, '\n', &line))
        lines += line.len > 0;
    buf_release(&file);
    return lines;
}

static void read_people(crowd *c, const char *path, size_t wanted) {
    buf file = read_file(path);
    text rest = buf_text(&file), line;
    while (c->count < wanted && text_next(&rest, '\n', &line))
        if (line.len) {
            c->people[c->count] = read_line(line, path, c->count + 1);
            c->count++;
        }
    if (c->count < wanted)
        fail("%s holds %zu people, %zu are needed", path, c->count, wanted);
    c->bytes = file.ptr;
}

/* The format is one of the literals in the modes. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void make_people(crowd *c, size_t count, const char *topic_format) {
    c->bytes = malloc(count * MADE_UP_BYTES);
    if (!c->bytes)
        fail("out of memory");
    for (; c->count < count; c->count++) {
        char *at = c->bytes + c->count * MADE_UP_BYTES;
        int client = snprintf(at, 32, "load-%zu", c->count);
        int topic = snprintf(at + 32, MADE_UP_BYTES - 32, topic_format, (int)c->count);
        c->people[c->count] = (person){{at, (size_t)client}, {at + 32, (size_t)topic}, {"", 0}};
    }
}

crowd crowd_gather(const char *path, size_t count, const char *topic_format) {
    crowd c = {.people = calloc(count, sizeof(person))};
    if (!c.people)
        fail("out of memory");
    if (path)
        read_people(&c, path, count);
    else
        make_people(&c, count, topic_format);
    return c;
}

void crowd_release(crowd *c) {
    free(c->people);
    free(c->bytes);
    *c = (crowd){0};
}

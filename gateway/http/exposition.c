/* exposition.c - see exposition.h. */
#include "gateway/http/exposition.h"

#include <math.h>

void exposition_head(buf *to, const char *name, const char *type, const char *help) {
    buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_quoted(buf *to, const char *value) {
    buf_add_char(to, '"');
    for (const char *p = value; *p; p++) {
        if (*p == '\n')
            buf_add_text(to, TEXT("\\n"));
        else if (*p == '"' || *p == '\\')
            buf_printf(to, "\\%c", *p);
        else
            buf_add_char(to, *p);
    }
    buf_add_char(to, '"');
}

static void add_number(buf *to, double number) {
    if (fabs(number) < 1e15 && number == floor(number))
        buf_printf(to, " %.0f\n", number);
    else
        buf_printf(to, " %.12g\n", number);
}

void exposition_sample(buf *to, const char *name, const char *label, const char *value, double number) {
    buf_add_text(to, text_of(name));
    if (label) {
        buf_printf(to, "{%s=", label);
        add_quoted(to, value);
        buf_add_char(to, '}');
    }
    add_number(to, number);
}

void exposition_labelled(buf *to, const char *name, const char *labels, double number) {
    buf_add_text(to, text_of(name));
    if (*labels)
        buf_printf(to, "{%s}", labels);
    add_number(to, number);
}

void exposition_one(buf *to, const char *name, const char *type, const char *help, double number) {
    exposition_head(to, name, type, help);
    exposition_sample(to, name, NULL, NULL, number);
}

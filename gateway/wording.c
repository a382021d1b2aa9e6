/* wording.c - see wording.h. */
#include "gateway/wording.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"

#define FILE_MAX     (1 << 20)
#define PATH_LONGEST 4096
#define LANGS_MAX    4096

static const char ending[] = ".json";

static int PRINTF_LIKE(3, 4) because(char why[WORDING_WHY_MAX], int fault, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, WORDING_WHY_MAX, format, args);
    va_end(args);
    return fault;
}

/* The language of a file's name; empty when it is not one of ours. */
static text language_of(const char *name) {
    text whole = text_of(name);
    size_t len = sizeof ending - 1;
    if (whole.len <= len || whole.ptr[0] == '.' || strcmp(name + whole.len - len, ending) != 0)
        return (text){0};
    return (text){whole.ptr, whole.len - len};
}

static int read_one(const char *folder, const char *name, texts *into, char why[WORDING_WHY_MAX]) {
    char path[PATH_LONGEST], reason[TEXTS_WHY_MAX] = "";
    CLEANUP(buf_release) buf file = BUF(FILE_MAX);
    CLEANUP(json_freep) json *templates = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fault = file_read(path, FILE_MAX, &file);
    if (fault < 0)
        return because(why, fault, "the texts in %.300s can't be read: %s", path, strerror(-fault));
    json_verdict verdict = json_parse_once(buf_text(&file), &templates);
    if (verdict != JSON_OK)
        return because(why, -EBADMSG, "the texts in %.300s: %s", path, json_verdict_name(verdict));
    fault = texts_add(into, language_of(name), templates, reason);
    if (fault < 0)
        return because(why, fault, "the texts in %.200s: %s", path, *reason ? reason : strerror(-fault));
    return 0;
}

static bool speaks(const char *name, const char *fallback) {
    text lang = language_of(name), wanted = text_of(fallback);
    return text_equal(lang, wanted) ||
           (text_starts_with(wanted, lang) && wanted.len > lang.len && wanted.ptr[lang.len] == '-');
}

static int read_all(DIR *folder, const char *path, const char *fallback, texts *into, buf *langs,
                    char why[WORDING_WHY_MAX]) {
    bool spoken = false;
    for (struct dirent *e; (e = readdir(folder));) {
        if (!language_of(e->d_name).ptr)
            continue;
        int fault = read_one(path, e->d_name, into, why);
        if (fault < 0)
            return fault;
        spoken |= speaks(e->d_name, fallback);
        if (langs->len > 0)
            buf_add_char(langs, ' ');
        buf_add_text(langs, language_of(e->d_name));
    }
    return spoken
               ? 0
               : because(why, -ENOENT, "[notify] lang = %.40s: %.300s has no such language", fallback, path);
}

int wording_read(const char *schema_dir, const char *fallback, texts **ret_texts, char **ret_langs,
                 char ret_why[WORDING_WHY_MAX]) {
    char path[PATH_LONGEST];
    (void)snprintf(path, sizeof path, "%.4000s/texts", schema_dir);
    DIR *folder = opendir(path);
    if (!folder)
        return because(ret_why, -errno, "the texts in %.300s can't be read: %s", path, strerror(errno));
    CLEANUP(texts_freep) texts *t = texts_new();
    CLEANUP(buf_release) buf langs = BUF(LANGS_MAX);
    int fault = t ? read_all(folder, path, fallback, t, &langs, ret_why) : -ENOMEM;
    (void)closedir(folder);
    if (fault == 0)
        fault = buf_failed(&langs);
    char *spelled = fault == 0 ? buf_steal(&langs) : NULL;
    if (!spelled)
        return fault < 0 && *ret_why ? fault : because(ret_why, -ENOMEM, "out of memory");
    *ret_texts = t;
    *ret_langs = spelled;
    t = NULL;
    return 0;
}

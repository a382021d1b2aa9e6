/* texts_dir.c - see texts_dir.h. */
#include "msg/texts_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/conf.h"

#define FILE_MAX     ((size_t)1 << 20)
#define PATH_LONGEST 4096

static const char ending[] = ".json";

/* The language that a file is named after; empty when the file is none of ours. */
static text language_of(const char *name) {
    text whole = text_of(name);
    size_t len = sizeof ending - 1;
    if (whole.len <= len || name[0] == '.' || strcmp(name + whole.len - len, ending) != 0)
        return (text){0};
    return (text){name, whole.len - len};
}

static int is_ours(const struct dirent *entry) {
    return language_of(entry->d_name).len > 0;
}

/* scandir() asks by pointers to pointers; strcmp, so that the order is the same in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_file(texts *t, const char *dir, const char *name, char ret_why[TEXTS_DIR_WHY_MAX]) {
    char path[PATH_LONGEST], reason[TEXTS_WHY_MAX] = "";
    CLEANUP(buf_release) buf file = BUF(FILE_MAX);
    CLEANUP(json_freep) json *templates = NULL;
    int len = snprintf(path, sizeof path, "%s/%s", dir, name);
    int fault = len < 0 || (size_t)len >= sizeof path ? -ENAMETOOLONG : file_read(path, FILE_MAX, &file);
    if (fault < 0) {
        (void)snprintf(ret_why, TEXTS_DIR_WHY_MAX, "%.350s: %s", path, strerror(-fault));
        return fault;
    }
    json_verdict verdict = json_parse_once(buf_text(&file), &templates);
    if (verdict != JSON_OK) {
        (void)snprintf(ret_why, TEXTS_DIR_WHY_MAX, "%.350s: %s", path, json_verdict_name(verdict));
        return verdict == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG;
    }
    fault = texts_add(t, language_of(name), templates, reason);
    if (fault < 0)
        (void)snprintf(ret_why, TEXTS_DIR_WHY_MAX, "%.250s: %s", path, reason);
    return fault;
}

static int add_all(texts *t, const char *dir, struct dirent **names, int count, texts_dir_bad bad,
                   void *context, char ret_why[TEXTS_DIR_WHY_MAX]) {
    for (int i = 0; i < count; i++) {
        int fault = add_file(t, dir, names[i]->d_name, ret_why);
        if (fault == -ENOMEM || (fault < 0 && !bad))
            return fault;
        if (fault < 0)
            bad(context, ret_why);
    }
    if (texts_languages(t) > 0)
        return 0;
    (void)snprintf(ret_why, TEXTS_DIR_WHY_MAX, "%.350s has the texts of no language", dir);
    return -ENOENT;
}

int texts_load_dir(const char *schema_dir, texts_dir_bad bad, void *context, texts **ret_texts,
                   char ret_why[TEXTS_DIR_WHY_MAX]) {
    char dir[PATH_LONGEST];
    struct dirent **names = NULL;
    CLEANUP(texts_freep) texts *t = texts_new();
    int len = snprintf(dir, sizeof dir, "%s/texts", schema_dir);
    bool fits = len >= 0 && (size_t)len < sizeof dir;
    int count = t && fits ? scandir(dir, &names, is_ours, by_name) : -1;
    int fault = !t ? -ENOMEM : !fits ? -ENAMETOOLONG : count < 0 ? -errno : 0;
    if (fault < 0)
        (void)snprintf(ret_why, TEXTS_DIR_WHY_MAX, "%.350s: %s", dir, strerror(-fault));
    else
        fault = add_all(t, dir, names, count, bad, context, ret_why);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    if (fault < 0)
        return fault;
    ret_why[0] = '\0';
    *ret_texts = t;
    t = NULL;
    return 0;
}

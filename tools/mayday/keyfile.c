/* keyfile.c - see keyfile.h. */
#include "keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/algorithm.h"

static int say(int fault, char *why, const char *path, const char *what) {
    (void)snprintf(why, KEYFILE_WHY_MAX, "%s: %s", path, what);
    return fault;
}

int keyfile_read(const char *path, json **ret_set, char ret_why[KEYFILE_WHY_MAX]) {
    CLEANUP(buf_release) buf content = BUF(KEYFILE_MAX);
    CLEANUP(json_freep) json *set = NULL;
    int fault = file_read(path, KEYFILE_MAX, &content);
    if (fault < 0)
        return say(fault, ret_why, path, strerror(-fault));
    json_verdict verdict = json_parse_once(buf_text(&content), &set);
    if (content.ptr)
        explicit_bzero(content.ptr, content.len);
    if (verdict != JSON_OK)
        return say(-EBADMSG, ret_why, path, json_verdict_name(verdict));
    if (json_kind_of(json_get(set, "keys")) != JSON_ARRAY)
        return say(-EBADMSG, ret_why, path, "not a JWK Set: an object with an array 'keys' is expected");
    for (size_t i = 0; i < json_length(json_get(set, "keys")); i++)
        if (json_kind_of(json_at(json_get(set, "keys"), i)) != JSON_OBJECT)
            return say(-EBADMSG, ret_why, path, "a key in it is not an object");
    *ret_set = set;
    set = NULL;
    return 0;
}

static int write_all(int fd, text content) {
    for (size_t at = 0; at < content.len;) {
        ssize_t n = write(fd, content.ptr + at, content.len - at);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* The mode is set before the first byte is written, so that a secret is never readable for a moment. */
static int fill(int fd, const char *path, text content, mode_t mode, mode_t most) {
    struct stat old;
    if (stat(path, &old) == 0) {
        mode = old.st_mode & most;
        if ((old.st_uid != geteuid() || old.st_gid != getegid()) && fchown(fd, old.st_uid, old.st_gid) < 0)
            return -errno;
    }
    if (fchmod(fd, mode) < 0)
        return -errno;
    return write_all(fd, content);
}

static void sync_folder_of(const char *path) {
    CLEANUP(freep) char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = folder ? open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

static int replace(const char *path, text content, mode_t mode, mode_t most) {
    char fresh[4096];
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.XXXXXX", path) >= sizeof fresh)
        return -ENAMETOOLONG;
    int fd = mkostemp(fresh, O_CLOEXEC); /* 0600 */
    if (fd < 0)
        return -errno;
    int fault = fill(fd, path, content, mode, most);
    if (close(fd) < 0 && fault == 0)
        fault = -errno;
    if (fault == 0 && rename(fresh, path) < 0)
        fault = -errno;
    if (fault < 0)
        (void)unlink(fresh);
    else
        sync_folder_of(path);
    return fault;
}

int keyfile_write(const char *path, const json *set, mode_t mode, mode_t most,
                  char ret_why[KEYFILE_WHY_MAX]) {
    CLEANUP(buf_release) buf content = BUF(KEYFILE_MAX);
    json_print_pretty(set, &content);
    buf_add_char(&content, '\n');
    int fault = buf_failed(&content);
    if (fault == 0)
        fault = replace(path, buf_text(&content), mode, most);
    if (content.ptr)
        explicit_bzero(content.ptr, content.len);
    return fault < 0 ? say(fault, ret_why, path, strerror(-fault)) : 0;
}

int keyset_json(const json *set, text without, const json *added, json **ret_set) {
    CLEANUP(json_freep) json *root = json_new_object();
    CLEANUP(json_freep) json *keys = json_new_array();
    const json *old = json_get(set, "keys");
    if (!root || !keys)
        return -ENOMEM;
    for (size_t i = 0; i < json_length(old); i++) {
        const json *key = json_at(old, i);
        bool leave_out = without.ptr && text_equal(json_get_string(key, "kid"), without);
        if (!leave_out && json_append(keys, json_share(key)) < 0)
            return -ENOMEM;
    }
    if (added && json_append(keys, json_share(added)) < 0)
        return -ENOMEM;
    int fault = json_put(root, "keys", keys);
    keys = NULL; /* json_put() took it */
    if (fault < 0)
        return fault;
    *ret_set = root;
    root = NULL;
    return 0;
}

const json *keyfile_find(const json *set, text kid) {
    const json *keys = json_get(set, "keys");
    for (size_t i = 0; i < json_length(keys); i++) {
        text name = json_get_string(json_at(keys, i), "kid");
        if (name.ptr && text_equal(name, kid))
            return json_at(keys, i);
    }
    return NULL;
}

const json *keyfile_last(const json *set) {
    const json *keys = json_get(set, "keys");
    return json_length(keys) ? json_at(keys, json_length(keys) - 1) : NULL;
}

const char *keyfile_algorithm(const json *jwk) {
    text given = json_get_string(jwk, "alg");
    const algorithm *alg = given.ptr
                               ? algorithm_named(given)
                               : algorithm_default(json_get_string(jwk, "kty"), json_get_string(jwk, "crv"));
    return alg ? alg->name : NULL;
}

char *keyfile_signing_path(const char *keys_file) {
    const char *slash = strrchr(keys_file, '/');
    char *path = NULL;
    int folder = slash ? (int)(slash + 1 - keys_file) : 0;
    return asprintf(&path, "%.*s" SIGNING_FILE, folder, keys_file) < 0 ? NULL : path;
}

int keyfile_settings(const char *config_path, settings *ret_settings) {
    char why[CONF_WHY_MAX] = "";
    if (config_path || getenv("MAYDAY_CONF") || access(SETTINGS_DEFAULT_PATH, F_OK) == 0)
        return command_settings(config_path, ret_settings);
    if (conf_load(&settings_table, NULL, ret_settings, why) == 0)
        return EXIT_DONE;
    fprintf(stderr, "mayday: %s\n", why);
    return EXIT_REFUSED;
}

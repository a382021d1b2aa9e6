/* secrets.c - are secrets kept where only those who need them can read them? */
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "doctor/check.h"
#include "keyfile.h"

#define KEYS_FILE_MAX (1 << 20)

extern const check check_secrets;

static bool can(const char *path, mode_t bits) {
    struct stat s;
    return path && stat(path, &s) == 0 && (s.st_mode & bits) != 0;
}

bool readable_by_all(const char *path) {
    return can(path, S_IROTH);
}

/* Keys whose holder can sign: with a private exponent, or shared. */
static size_t signing_keys(const char *path) {
    CLEANUP(buf_release) buf file = BUF(KEYS_FILE_MAX);
    CLEANUP(json_freep) json *set = NULL;
    if (!path || file_read(path, KEYS_FILE_MAX, &file) < 0 ||
        json_parse_once(buf_text(&file), &set) != JSON_OK)
        return 0;
    size_t count = 0;
    const json *keys = json_get(set, "keys");
    for (size_t i = 0; i < json_length(keys); i++)
        count += json_get(json_at(keys, i), "d") || json_get(json_at(keys, i), "k");
    return count;
}

static bool check_writable(doctor *d, const char *path) {
    if (!can(path, S_IWOTH))
        return true;
    found(d, FINDING_FAIL, "chmod o-w it.", "%s can be changed by everybody on this machine", path);
    return false;
}

static bool check_passwords(doctor *d) {
    const char *const conninfos[] = {d->conf.database, d->conf.database_admin, d->conf.gateway_database};
    for (size_t i = 0; i < ARRAY_LEN(conninfos); i++)
        if (conninfos[i] && strstr(conninfos[i], "password=") && readable_by_all(d->config_path)) {
            found(d, FINDING_FAIL, "chmod 640 it, or better: move the password to a passfile.",
                  "%s holds a database password and can be read by everybody on this machine",
                  d->config_path);
            return false;
        }
    return true;
}

/* False, and said, when `path` holds signing keys that everybody can read. */
static bool check_signing(doctor *d, const char *path) {
    size_t signing = signing_keys(path);
    if (!signing || !readable_by_all(path))
        return true;
    found(d, FINDING_FAIL, "chmod 640 it, with the broker's group; then replace the keys: they were open.",
          "%s holds signing keys (%zu) and can be read by everybody on this machine", path, signing);
    return false;
}

/* What speaks for us to those who carry texts and calls. */
static bool check_accounts(doctor *d) {
    const char *const files[] = {d->conf.twilio_token_file, d->conf.vonage_secret_file,
                                 d->conf.vonage_signature_file, d->conf.vonage_private_key,
                                 d->conf.webhook_secret_file};
    bool clean = true;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i] && readable_by_all(files[i])) {
            found(d, FINDING_FAIL,
                  "chmod 600 it, owned by the gateway's user; then change it at the provider: it was open.",
                  "%s holds a secret and can be read by everybody on this machine", files[i]);
            clean = false;
        }
        clean = check_writable(d, files[i]) && clean;
    }
    return clean;
}

static void run(doctor *d) {
    const char *keys = d->conf.keys_file;
    CLEANUP(freep) char *beside = keys ? keyfile_signing_path(keys) : NULL;
    bool clean = check_passwords(d);
    clean = check_signing(d, keys) && clean;
    clean = check_signing(d, beside) && clean;
    clean = check_signing(d, d->conf.gateway_signing_keys) && clean;
    clean = check_signing(d, d->conf.audit_keys) && clean;
    clean = check_writable(d, d->config_path) && clean;
    clean = check_writable(d, keys) && clean;
    clean = check_writable(d, beside) && clean;
    clean = check_writable(d, d->conf.gateway_signing_keys) && clean;
    clean = check_writable(d, d->conf.audit_keys) && clean;
    clean = check_writable(d, d->conf.policy_file) && clean;
    clean = check_accounts(d) && clean;
    if (signing_keys(keys))
        found(d, FINDING_WARN,
              "The broker needs the public halves only; keep what signs with the issuer of the tokens.",
              "%s holds signing keys (%zu): who can read it can make any token", keys, signing_keys(keys));
    else if (clean)
        found(d, FINDING_OK, NULL, "no secret can be read, and nothing changed, by everybody");
}

const check check_secrets = {.name = "secrets", .needs_conf = true, .run = run};

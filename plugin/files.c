/* files.c - the two files that are taken up while the broker runs: keys and policy. A bad file changes
 * nothing but the log. */
#include "plugin/events.h"

#include <stdio.h>
#include <string.h>

#define FILE_LARGEST (4u << 20)

static void tell_count(host *h, const char *kind, size_t count) {
    char detail[64];
    (void)snprintf(detail, sizeof detail, "%zu %s", count, strcmp(kind, "keys") == 0 ? "keys" : "roles");
    events_broker(h, kind, "taken_up", detail);
}

static void tell_refused(host *h, const policy_error *error, int fault) {
    char detail[POLICY_WHY_MAX + 32];
    (void)snprintf(detail, sizeof detail, "line %zu: %s", error->line,
                   error->reason[0] ? error->reason : strerror(-fault));
    events_broker(h, "policy", "refused", detail);
}

static void take_up_keys(host *h) {
    const char *path = h->settings.keys_file;
    CLEANUP(buf_release) buf content = BUF(FILE_LARGEST);
    char why[TOKEN_WHY_MAX] = "";
    keyset *fresh = NULL;
    int fault = file_read(path, FILE_LARGEST, &content);
    if (fault == 0)
        fault = keyset_parse(buf_text(&content), &fresh, why);
    if (fault < 0) {
        host_log(MOSQ_LOG_ERR, "%s is not taken up, %s: %s", path,
                 h->keys ? "the keys from before stay" : "nobody can connect",
                 why[0] ? why : strerror(-fault));
        events_broker(h, "keys", "refused", why[0] ? why : strerror(-fault));
        return;
    }
    (void)keyset_free(h->keys);
    h->keys = fresh;
    host_log(MOSQ_LOG_NOTICE, "took up %zu keys from %s", keyset_count(fresh), path);
    tell_count(h, "keys", keyset_count(fresh));
}

static void take_up_policy(host *h) {
    const char *path = h->settings.policy_file;
    CLEANUP(buf_release) buf content = BUF(FILE_LARGEST);
    policy_error error = {0};
    policy *fresh = NULL;
    int fault = file_read(path, FILE_LARGEST, &content);
    if (fault == 0)
        fault = policy_parse(buf_text(&content), &fresh, &error);
    if (fault < 0) {
        host_log(MOSQ_LOG_ERR, "%s is not taken up, %s: line %zu: %s", path,
                 h->policy ? "the policy from before stays" : "nothing is allowed", error.line,
                 error.reason[0] ? error.reason : strerror(-fault));
        tell_refused(h, &error, fault);
        return;
    }
    (void)policy_free(h->policy);
    h->policy = fresh;
    h->policy_generation++;
    host_log(MOSQ_LOG_NOTICE, "took up %zu roles from %s", policy_role_count(fresh), path);
    tell_count(h, "policy", policy_role_count(fresh));
}

void host_take_up_files(host *h, bool force) {
    if (watch_changed(&h->keys_watch, h->settings.keys_file) || force)
        take_up_keys(h);
    if (watch_changed(&h->policy_watch, h->settings.policy_file) || force)
        take_up_policy(h);
}

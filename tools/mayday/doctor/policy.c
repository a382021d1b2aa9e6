/* policy.c - does the access policy parse? */
#include "core/policy.h"

#include <errno.h>
#include <string.h>

#include "doctor/check.h"

#define POLICY_FILE_MAX (1 << 20)

extern const check check_policy;

static void run(doctor *d) {
    const char *path = d->conf.policy_file ? d->conf.policy_file : "";
    CLEANUP(buf_release) buf file = BUF(POLICY_FILE_MAX);
    CLEANUP(policy_freep) policy *parsed = NULL;
    policy_error error = {0};
    int fault = file_read(path, POLICY_FILE_MAX, &file);
    if (fault == 0)
        fault = policy_parse(buf_text(&file), &parsed, &error);
    if (fault == -EBADMSG)
        found(d, FINDING_FAIL,
              "Correct that line: until then the broker does not start, or keeps the old policy.",
              "%s line %zu: %s", path, error.line, error.reason);
    else if (fault < 0)
        found(d, FINDING_FAIL, "Put the shipped policy there, or name another in [access] policy_file.",
              "%s cannot be read: %s", path, strerror(-fault));
    else if (policy_role_count(parsed) == 0)
        found(d, FINDING_FAIL, "Put the shipped policy there.", "%s names no role: nobody may do anything",
              path);
    else
        found(d, FINDING_OK, NULL, "%s has %zu roles", path, policy_role_count(parsed));
}

const check check_policy = {.name = "policy", .needs_conf = true, .run = run};

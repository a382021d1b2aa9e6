/* state.c - can small durable state (revocations, offline sessions) be kept? */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor/check.h"

#define BROKER_USER "mosquitto"

extern const check check_state;

/* Root may write anywhere, which says nothing: Mosquitto started by root goes on as its own user. */
static bool broker_can_write(const struct stat *s) {
    const struct passwd *broker = getpwnam(BROKER_USER);
    if (!broker || geteuid() != 0)
        return true;
    return (s->st_uid == broker->pw_uid && (s->st_mode & S_IWUSR)) ||
           (s->st_gid == broker->pw_gid && (s->st_mode & S_IWGRP)) || (s->st_mode & S_IWOTH);
}

static void run(doctor *d) {
    static const char *const remedy = "mkdir -p it, and chown it to the user the broker runs as.";
    const char *dir = d->conf.state_dir ? d->conf.state_dir : "";
    struct stat s;
    if (stat(dir, &s) != 0)
        found(d, FINDING_FAIL, remedy, "%s: %s", dir, strerror(errno));
    else if (!S_ISDIR(s.st_mode))
        found(d, FINDING_FAIL, remedy, "%s is not a folder", dir);
    else if (access(dir, R_OK | W_OK | X_OK) != 0)
        found(d, FINDING_WARN, "Run the doctor as root or as the broker's user to be sure.",
              "%s cannot be written by this user", dir);
    else if (!broker_can_write(&s))
        found(d, FINDING_WARN,
              "chown it to the user the broker runs as, unless that is not '" BROKER_USER "'.",
              "%s cannot be written by '" BROKER_USER "'", dir);
    else
        found(d, FINDING_OK, NULL, "%s can be written", dir);
}

const check check_state = {.name = "state", .needs_conf = true, .run = run};

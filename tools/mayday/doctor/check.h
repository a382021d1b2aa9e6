/* check.h - the family of things `mayday doctor` looks at: one row, one file each (list in CMakeLists.txt),
 * run in that order. A check reads and never repairs; it says what it found, and what to do about it. */
#ifndef MAYDAY_TOOLS_DOCTOR_CHECK_H
#define MAYDAY_TOOLS_DOCTOR_CHECK_H

#include "base/json.h"
#include "link.h"
#include "store/journal.h"
#include "store/pg.h"

typedef enum finding {
    FINDING_FAIL = 0, /* something people rely on does not work */
    FINDING_WARN,     /* it works, but not as it should */
    FINDING_OK,
    FINDING_SKIPPED, /* could not be looked at, because of what was found before */
} finding;

/* What the checks share; each may use what those before it learned. */
typedef struct doctor {
    const command *command;
    const char *config_path; /* the file in use */
    const char *sql_dir;     /* NULL: the configured one */
    link_options link;
    settings conf;
    bool has_conf;
    pg *database;   /* as the plugin; NULL: not reached */
    pg *as_gateway; /* likewise; by the check of that name */
    bool has_journal;
    journal_overview journal;
    json *findings; /* NULL: they are printed as they come */
    unsigned fails, warns;
    const char *checking; /* the name of the check at work */
} doctor;

/* `remedy`: a sentence, or NULL when there is nothing to do. */
void found(doctor *d, finding f, const char *remedy, const char *format, ...) PRINTF_LIKE(4, 5);

typedef struct check {
    const char *name;
    bool needs_conf;
    void (*run)(doctor *d);
} check;

extern const check *const checks[]; /* ended by NULL */

/* Is anybody to be texted or called? Then what stands in the way of it is grave. */
bool calls_people(const doctor *d);

/* Whether files can be read by every user of this machine; false when there is no such file. */
bool readable_by_all(const char *path);

/* The free bytes of the disk that holds `path`, or -1. */
int64_t disk_free(const char *path);

/* "1.5 GB" */
void bytes_format(int64_t bytes, char ret_text[32]);

#endif

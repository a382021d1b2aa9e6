/* intake.h - what this gateway's own sensors say, on its way from the edge to the service that watches
 * bodies: a bounded queue, first in, first out, and an eventfd that says that there is something.
 *
 * What goes this way is judged here whether or not a broker or a database is there; what comes back over MQTT
 * with an id that went this way is left (services/vigil.c).
 * When it is full the oldest fix makes room, then the oldest reading without an event; an event (a fall,
 * stillness) never does: only when there is nothing else, the new one is refused.
 *
 * Ownership: a value in, a value out; nothing is referred to. Threads: any; it locks itself, and no call
 * waits. */
#ifndef MAYDAY_GATEWAY_EDGE_INTAKE_H
#define MAYDAY_GATEWAY_EDGE_INTAKE_H

#include "base/text.h"
#include "base/uuid.h"
#include "sense/sense.h"

#define INTAKE_MAX        1024 /* 200 sensors for some seconds */
#define INTAKE_ORG_MAX    64
#define INTAKE_PERSON_MAX 128

typedef struct intake intake;

NODISCARD int intake_new(intake **ret_intake); /* -ENOMEM, or what eventfd() says */
intake *intake_free(intake *in);               /* takes NULL, returns NULL */
DEFINE_CLEANUP(intake, intake_free)

typedef enum intake_verdict {
    INTAKE_REFUSED = 0, /* no such name, or full of events */
    INTAKE_TAKEN,
    INTAKE_CROWDED, /* taken; something older had to go */
} intake_verdict;

/* `id`: that of the message it is published as. */
intake_verdict intake_put(intake *in, text org, text person, const sensed *one,
                          const char id[UUID_TEXT_LEN + 1]);

typedef struct intake_one {
    char org[INTAKE_ORG_MAX + 1], person[INTAKE_PERSON_MAX + 1], id[UUID_TEXT_LEN + 1];
    sensed what;
} intake_one;

bool intake_next(intake *in, intake_one *ret_one); /* false: it is empty */
int intake_fd(const intake *in);                   /* readable while there is something; belongs to `in` */
size_t intake_count(intake *in);
uint64_t intake_lost(intake *in); /* what had to go, ever */

#endif

/* intake.c - see intake.h: a ring under a lock. */
#include "gateway/edge/intake.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct intake {
    pthread_mutex_t lock;
    int fd;
    size_t first, count;
    uint64_t lost;
    intake_one ring[INTAKE_MAX];
};

int intake_new(intake **ret_intake) {
    intake *in = calloc(1, sizeof *in);
    if (!in)
        return -ENOMEM;
    in->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (in->fd < 0) {
        int fault = -errno;
        free(in);
        return fault;
    }
    (void)pthread_mutex_init(&in->lock, NULL);
    *ret_intake = in;
    return 0;
}

intake *intake_free(intake *in) {
    if (!in)
        return NULL;
    (void)close(in->fd);
    (void)pthread_mutex_destroy(&in->lock);
    free(in);
    return NULL;
}

static intake_one *at(intake *in, size_t place) {
    return &in->ring[(in->first + place) % INTAKE_MAX];
}

/* What goes first when there is no room: 0 never. */
static int worth_less(const intake_one *one) {
    if (one->what.kind == SENSED_FIX || one->what.kind == SENSED_BATTERY)
        return 2;
    return one->what.reading.event == EVENT_NOTHING ? 1 : 0;
}

static bool make_room(intake *in) {
    for (int worth = 2; worth > 0; worth--)
        for (size_t i = 0; i < in->count; i++) {
            if (worth_less(at(in, i)) != worth)
                continue;
            for (size_t j = i; j + 1 < in->count; j++)
                *at(in, j) = *at(in, j + 1);
            in->count--;
            in->lost++;
            return true;
        }
    return false;
}

static bool is_name(text t, size_t most) {
    return t.len > 0 && t.len <= most && !memchr(t.ptr, '\0', t.len);
}

intake_verdict intake_put(intake *in, text org, text person, const sensed *one,
                          const char id[UUID_TEXT_LEN + 1]) {
    intake_verdict verdict = INTAKE_TAKEN;
    if (!is_name(org, INTAKE_ORG_MAX) || !is_name(person, INTAKE_PERSON_MAX) || one->kind == SENSED_NOTHING)
        return INTAKE_REFUSED;
    (void)pthread_mutex_lock(&in->lock);
    if (in->count == INTAKE_MAX)
        verdict = make_room(in) ? INTAKE_CROWDED : INTAKE_REFUSED;
    if (verdict == INTAKE_REFUSED) {
        in->lost++;
    } else {
        intake_one *to = at(in, in->count++);
        (void)snprintf(to->org, sizeof to->org, "%.*s", (int)org.len, org.ptr);
        (void)snprintf(to->person, sizeof to->person, "%.*s", (int)person.len, person.ptr);
        (void)snprintf(to->id, sizeof to->id, "%s", id);
        to->what = *one;
        (void)eventfd_write(in->fd, 1);
    }
    (void)pthread_mutex_unlock(&in->lock);
    return verdict;
}

bool intake_next(intake *in, intake_one *ret_one) {
    eventfd_t count;
    (void)pthread_mutex_lock(&in->lock);
    bool any = in->count > 0;
    if (any) {
        *ret_one = *at(in, 0);
        in->first = (in->first + 1) % INTAKE_MAX;
        in->count--;
    }
    if (in->count == 0)
        (void)eventfd_read(in->fd, &count);
    (void)pthread_mutex_unlock(&in->lock);
    return any;
}

int intake_fd(const intake *in) {
    return in->fd;
}

size_t intake_count(intake *in) {
    (void)pthread_mutex_lock(&in->lock);
    size_t count = in->count;
    (void)pthread_mutex_unlock(&in->lock);
    return count;
}

uint64_t intake_lost(intake *in) {
    (void)pthread_mutex_lock(&in->lock);
    uint64_t lost = in->lost;
    (void)pthread_mutex_unlock(&in->lock);
    return lost;
}

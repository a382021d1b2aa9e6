/* funnel.c - see funnel.h. */
#include "gateway/bus/funnel.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct lane {
    funnel_item *first, **end;
    size_t count;
} lane;

struct funnel {
    funnel_free_item free_item;
    int fd;
    pthread_mutex_t lock;
    lane lanes[FUNNEL_LANES];
    uint64_t lost;
};

static void free_plainly(funnel_item *item) {
    free(item);
}

int funnel_new(funnel_free_item free_item, funnel **ret_funnel) {
    funnel *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->free_item = free_item ? free_item : free_plainly;
    (void)pthread_mutex_init(&f->lock, NULL);
    for (size_t i = 0; i < FUNNEL_LANES; i++)
        f->lanes[i].end = &f->lanes[i].first;
    f->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->fd < 0) {
        int fault = -errno;
        (void)funnel_free(f);
        return fault;
    }
    *ret_funnel = f;
    return 0;
}

static funnel_item *pop(lane *l) {
    funnel_item *one = l->first;
    if (!one)
        return NULL;
    l->first = one->next;
    if (!l->first)
        l->end = &l->first;
    l->count--;
    one->next = NULL;
    return one;
}

static void push(lane *l, funnel_item *one) {
    one->next = NULL;
    *l->end = one;
    l->end = &one->next;
    l->count++;
}

funnel *funnel_free(funnel *f) {
    if (!f)
        return NULL;
    for (size_t i = 0; i < FUNNEL_LANES; i++)
        for (funnel_item *one; (one = pop(&f->lanes[i]));)
            f->free_item(one);
    if (f->fd >= 0)
        (void)close(f->fd);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
    return NULL;
}

void funnel_put(funnel *f, size_t at, funnel_item *item, size_t most, funnel_full full) {
    funnel_item *gone = NULL;
    lane *l = &f->lanes[at];
    (void)pthread_mutex_lock(&f->lock);
    if (item && l->count >= most)
        gone = full == FUNNEL_REPLACE && most > 0 ? pop(l) : item;
    f->lost += gone || !item;
    if (item && gone != item) {
        push(l, item);
        (void)eventfd_write(f->fd, 1);
    }
    (void)pthread_mutex_unlock(&f->lock);
    if (gone)
        f->free_item(gone);
}

int funnel_fd(const funnel *f) {
    return f->fd;
}

funnel_item *funnel_take(funnel *f, size_t most) {
    funnel_item *first = NULL, **end = &first;
    eventfd_t count;
    bool left = false;
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < FUNNEL_LANES; i++) {
        for (funnel_item *one; most > 0 && (one = pop(&f->lanes[i])); most--) {
            *end = one;
            end = &one->next;
        }
        left |= f->lanes[i].count > 0;
    }
    if (!left)
        (void)eventfd_read(f->fd, &count);
    (void)pthread_mutex_unlock(&f->lock);
    return first;
}

uint64_t funnel_lost(funnel *f) {
    (void)pthread_mutex_lock(&f->lock);
    uint64_t lost = f->lost;
    (void)pthread_mutex_unlock(&f->lock);
    return lost;
}

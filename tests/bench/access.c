/* access.c - what deciding a delivery costs with many open incidents, and what each costs in memory: the
 * plugin's own policy, membership, decisions and fence, without a broker around them.
 *
 * Every incident has a raiser and members, each with a session of their own. "cached" asks a session about
 * the incident it has been asked about before, as a fan-out does; "cold" asks the policy itself. The
 * reference is one look-up in a plain hash table (uthash) with as many entries, keyed by the topic and the
 * person. All three pick their incident at random, so none of them finds its data in the processor's cache.
 * Each call is timed by itself and the time of reading the clock is in it.
 *
 * Usage: access POLICY INCIDENTS MEMBERS CALLS. One line of JSON on stdout. */
#include "histogram.h"

#include "core/decisions.h"
#include "core/policy.h"
#include "base/conf.h"
#include "plugin/fence.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define ORG  TEXT("bench")
#define SEED UINT64_C(0x6d61796461790001)

typedef struct plain {
    UT_hash_handle hh;
    char key[];
} plain;

typedef struct seat { /* a member of an incident, and their session */
    char topic[80], person[24];
    decisions cache;
} seat;

typedef struct world {
    policy *policy;
    membership *members;
    fence *fence;
    seat *seats;
    size_t incidents, per_incident;
    plain *table;
    uint64_t roles, state;
} world;

static void die(const char *what) {
    fprintf(stderr, "access: %s\n", what);
    exit(EXIT_FAILURE);
}

static policy *read_policy(const char *path) {
    CLEANUP(buf_release) buf content = BUF(1 << 20);
    policy *p = NULL;
    policy_error error = {0};
    if (file_read(path, content.limit, &content) < 0 || policy_parse(buf_text(&content), &p, &error) < 0)
        die(error.reason[0] ? error.reason : path);
    return p;
}

static uint64_t random_next(world *w) {
    w->state ^= w->state << 13;
    w->state ^= w->state >> 7;
    w->state ^= w->state << 17;
    return w->state;
}

static seat *random_seat(world *w) {
    return &w->seats[random_next(w) % (w->incidents * w->per_incident)];
}

static text id_of(const seat *s) {
    return (text){s->topic + sizeof "mayday/v1/bench/alert/" - 1, 36};
}

static void name_seats(world *w) {
    for (size_t i = 0; i < w->incidents; i++) {
        uint64_t a = random_next(w), b = random_next(w);
        for (size_t k = 0; k < w->per_incident; k++) {
            seat *s = &w->seats[i * w->per_incident + k];
            (void)snprintf(s->topic, sizeof s->topic,
                           "mayday/v1/bench/alert/%08x-%04x-7%03x-8%03x-%012llx/chat", (unsigned)a,
                           (unsigned)(a >> 32) & 0xFFFF, (unsigned)(a >> 48) & 0xFFF, (unsigned)b & 0xFFF,
                           (unsigned long long)(b >> 12) & 0xFFFFFFFFFFFF);
            (void)snprintf(s->person, sizeof s->person, "person-%06zu", i * w->per_incident + k);
        }
    }
}

/* Returns the growth of the heap in bytes for each incident. */
static double open_incidents(world *w) {
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < w->incidents * w->per_incident; i++) {
        const seat *s = &w->seats[i];
        relation r = i % w->per_incident == 0 ? RELATION_RAISER : RELATION_ASSIGNED;
        if (membership_add(w->members, ORG, ADDRESS_ALERT, id_of(s), text_of(s->person), r) < 0)
            die("out of memory");
        uint64_t incident = topic_hash(id_of(s), topic_hash(ORG, SEED));
        if (!fence_pass(w->fence, incident, FENCE_STATE, 1) ||
            !fence_pass(w->fence, incident, FENCE_DISPATCH, 1))
            die("the fence refuses a first version");
    }
    return (double)(mallinfo2().uordblks - before) / (double)w->incidents;
}

static void fill_table(world *w) {
    for (size_t i = 0; i < w->incidents * w->per_incident; i++) {
        const seat *s = &w->seats[i];
        size_t topic_len = strlen(s->topic), len = topic_len + strlen(s->person);
        plain *p = calloc(1, sizeof *p + len + 1);
        if (!p)
            die("out of memory");
        (void)snprintf(p->key, len + 1, "%s%s", s->topic, s->person);
        HASH_ADD_KEYPTR(hh, w->table, p->key, len, p);
    }
}

static bool ask_cached(world *w, seat *s) {
    return decisions_find(&s->cache, membership_generation(w->members),
                          topic_hash(text_of(s->topic), SEED)) == DECISION_GRANT;
}

static bool ask_policy(world *w, seat *s) {
    policy_subject who = {
        .org = ORG, .sub = text_of(s->person), .client = text_of(s->person), .roles = w->roles};
    return policy_may_read(w->policy, w->members, &who, text_of(s->topic));
}

static bool ask_table(world *w, seat *s) {
    char key[sizeof s->topic + sizeof s->person];
    plain *found = NULL;
    int len = snprintf(key, sizeof key, "%s%s", s->topic, s->person);
    HASH_FIND(hh, w->table, key, (size_t)len, found);
    return found != NULL;
}

static void keep_all(world *w) {
    for (size_t i = 0; i < w->incidents * w->per_incident; i++)
        decisions_keep(&w->seats[i].cache, membership_generation(w->members),
                       topic_hash(text_of(w->seats[i].topic), SEED), true);
}

static void measure(world *w, const char *name, bool (*ask)(world *, seat *), long calls) {
    histogram h = {0};
    for (long i = 0; i < calls; i++) {
        seat *s = random_seat(w);
        int64_t start = clock_ns();
        bool granted = ask(w, s);
        histogram_add(&h, clock_ns() - start);
        if (!granted)
            die("a member is refused");
    }
    printf("\"%s_ns\":{\"p50\":%.0f,\"p99\":%.0f},", name, histogram_us(&h, 0.5) * 1000,
           histogram_us(&h, 0.99) * 1000);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fputs("usage: access POLICY INCIDENTS MEMBERS CALLS\n", stderr);
        return EXIT_FAILURE;
    }
    static const char *const role = "responder";
    long calls = strtol(argv[4], NULL, 10);
    world w = {
        .policy = read_policy(argv[1]),
        .incidents = strtoul(argv[2], NULL, 10),
        .per_incident = strtoul(argv[3], NULL, 10),
        .members = membership_new(SIZE_MAX),
        .fence = fence_new(SIZE_MAX),
        .state = SEED,
    };
    if (w.incidents == 0 || w.per_incident == 0 || calls < 1)
        die("INCIDENTS, MEMBERS and CALLS are positive numbers");
    w.seats = calloc(w.incidents * w.per_incident, sizeof *w.seats);
    if (!w.members || !w.fence || !w.seats)
        die("out of memory");
    w.roles = policy_roles(w.policy, &role, 1);
    name_seats(&w);
    double bytes = open_incidents(&w);
    fill_table(&w);
    keep_all(&w);
    fputs("{", stdout);
    measure(&w, "table", ask_table, calls);
    measure(&w, "cached", ask_cached, calls);
    measure(&w, "cold", ask_policy, calls);
    printf("\"bytes_per_incident\":%.0f}\n", bytes);
    return EXIT_SUCCESS;
}

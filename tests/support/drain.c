/* drain.c - a journal and a writer without a broker, for tests and for measuring.
 *
 *   drain --journal DIR --database CONNINFO [--node NAME] [--batch N] [--wait MS] [--retry MS] [--grace MS]
 *         [--timeout S] [--generate N] [--persons N] [--queue N] [--join MS]
 *
 * --generate appends N location records before the writer starts. Then every line of stdin is appended as a
 * record: {"org","sender","roles","topic","payload"}, where a payload that is no string is printed as JSON;
 * or {"raw": TEXT} for a body that is no record. "sync": true waits for the disk, "repeat": true marks a
 * raise beyond the rate of its person. Each appended line is answered with "appended SEQ"; what the writer
 * says goes to stdout as it comes. At the end of stdin it waits until all is written (at most --timeout),
 * stops the writer and prints "figures {...}". */
#include "base/json.h"
#include "store/record.h"
#include "store/writer.h"

#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct drain {
    journal *j;
    results *back;
    writer *w;
    const char *dir, *conninfo, *node;
    int64_t batch, wait_ms, retry_ms, grace_ms, timeout_s, generate, persons, queue, join_ms;
} drain;

static double seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int die(const char *what) {
    fprintf(stderr, "drain: %s\n", what);
    return EXIT_FAILURE;
}

static bool append(drain *d, const record *r, bool sync, uint64_t *ret_seq) {
    CLEANUP(buf_release) buf body = BUF(JOURNAL_RECORD_MAX);
    record_encode(r, &body);
    return buf_failed(&body) == 0 &&
           journal_append(d->j, buf_text(&body), JOURNAL_URGENT, sync, ret_seq) == 0;
}

static bool generate(drain *d) {
    unsigned seed = 1;
    for (int64_t i = 0; i < d->generate; i++) {
        uint8_t random[10];
        char id[UUID_TEXT_LEN + 1], ts[INSTANT_TEXT_LEN + 1], payload[512], person[32], topic[128];
        for (size_t k = 0; k < sizeof random; k++)
            random[k] = (uint8_t)(rand_r(&seed) >> 8);
        instant now = instant_now();
        uuid key = uuid7_make(now / 1000, random);
        uuid_format(&key, id);
        instant_format(now, ts);
        (void)snprintf(person, sizeof person, "person-%" PRId64, i % d->persons);
        (void)snprintf(topic, sizeof topic, "mayday/v1/acme/user/%s/location", person);
        (void)snprintf(
            payload, sizeof payload,
            "{\"v\":1,\"id\":\"%s\",\"ts\":\"%s\",\"lat\":%.6f,\"lon\":%.6f,\"accuracy\":%d,\"speed\":%.1f,"
            "\"heading\":%d,\"source\":\"gps\",\"battery\":%d}",
            id, ts, 51.0 + (rand_r(&seed) % 100000) / 1e5, -0.5 + (rand_r(&seed) % 100000) / 1e5,
            3 + rand_r(&seed) % 20, (rand_r(&seed) % 300) / 10.0, rand_r(&seed) % 360, rand_r(&seed) % 101);
        record r = {.received_at = now, .org = TEXT("acme"), .roles = TEXT("member")};
        r.sender = r.client = text_of(person);
        r.topic = text_of(topic);
        r.payload = text_of(payload);
        uint64_t seq;
        if (!append(d, &r, false, &seq))
            return false;
    }
    return true;
}

static bool append_line(drain *d, text line, json_parser *parser) {
    CLEANUP(json_freep) json *said = NULL;
    CLEANUP(buf_release) buf printed = BUF(JOURNAL_RECORD_MAX);
    uint64_t seq = 0;
    bool good;
    if (json_parse(parser, line, &said, NULL) != JSON_OK)
        return false;
    const json *payload = json_get(said, "payload");
    if (json_kind_of(json_get(said, "raw")) == JSON_STRING) {
        good = journal_append(d->j, json_get_string(said, "raw"), JOURNAL_URGENT, false, &seq) == 0;
    } else {
        record r = {.received_at = instant_now(), .org = json_get_string(said, "org")};
        r.sender = r.client = json_get_string(said, "sender");
        r.roles = json_get_string(said, "roles");
        r.topic = json_get_string(said, "topic");
        r.flags = json_boolean(json_get(said, "repeat")) ? RECORD_REPEAT : 0;
        if (json_kind_of(payload) != JSON_STRING)
            json_print(payload, &printed);
        r.payload = json_kind_of(payload) == JSON_STRING ? json_string(payload) : buf_text(&printed);
        good = append(d, &r, json_boolean(json_get(said, "sync")), &seq);
    }
    if (good)
        printf("appended %" PRIu64 "\n", seq);
    return good;
}

static void say_results(drain *d) {
    static const char *const levels[] = {"debug", "info", "notice", "warning", "error"};
    for (result *r; (r = results_take(d->back)) != NULL; free(r)) {
        if (r->kind == RESULT_LOG)
            printf("log %s %s\n", levels[r->level], r->message.ptr);
        else
            printf("member %s %s %s %s %s %s\n", r->kind == RESULT_MEMBER_SET ? "set" : "remove", r->org.ptr,
                   address_family_name(r->family), r->id.ptr, r->person.ptr, relation_name(r->relation));
    }
    fflush(stdout);
}

/* Takes lines from stdin until it ends; in between passes on what the writer says. */
static bool feed(drain *d) {
    CLEANUP(json_parser_freep) json_parser *parser = json_parser_new(64);
    CLEANUP(buf_release) buf input = BUF(64u << 20);
    for (;;) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        say_results(d);
        if (poll(&in, 1, 20) <= 0)
            continue;
        char piece[65536];
        ssize_t n = read(STDIN_FILENO, piece, sizeof piece);
        if (n <= 0)
            return n == 0;
        buf_add(&input, piece, (size_t)n);
        if (buf_failed(&input) < 0)
            return false;
        text rest = buf_text(&input);
        for (const char *end; rest.len && (end = memchr(rest.ptr, '\n', rest.len)) != NULL;) {
            size_t len = (size_t)(end - rest.ptr);
            if (len > 0 && !append_line(d, (text){rest.ptr, len}, parser))
                return false;
            rest = (text){end + 1, rest.len - len - 1};
        }
        memmove(input.ptr, rest.ptr, rest.len);
        input.len = rest.len;
    }
}

static bool drained(drain *d) {
    journal_figures there;
    writer_figures done;
    journal_figures_get(d->j, &there);
    writer_figures_get(d->w, &done);
    return done.written_seq >= there.last_seq;
}

static void say_figures(const drain *d, double seconds) {
    writer_figures f;
    journal_figures there;
    writer_figures_get(d->w, &f);
    journal_figures_get(d->j, &there);
    printf("figures {\"seconds\": %.3f, \"last_seq\": %" PRIu64 ", \"written_seq\": %" PRIu64
           ", \"rows\": %" PRIu64 ", \"duplicates\": %" PRIu64 ", \"dead_letters\": %" PRIu64
           ", \"batches\": %" PRIu64 ", \"failed_batches\": %" PRIu64 ", \"reconnects\": %" PRIu64
           ", \"batch_us_max\": %" PRIu64 "}\n",
           seconds, there.last_seq, f.written_seq, f.rows, f.duplicates, f.dead_letters, f.batches,
           f.failed_batches, f.reconnects, f.batch_us_max);
    fflush(stdout);
}

static int run(drain *d) {
    journal_options where = {
        .dir = d->dir, .segment_size = 32u << 20, .max_size = UINT64_C(8) << 30, .flush_ms = 50};
    journal_report report;
    char why[JOURNAL_WHY_MAX] = "";
    if (journal_open(&where, &d->j, &report, why) < 0)
        return die(why);
    if (!generate(d))
        return die("cannot append");
    d->back = results_new((size_t)d->queue);
    writer_options options = {.conninfo = d->conninfo,
                              .node = d->node,
                              .batch_records = (size_t)d->batch,
                              .batch_wait_ms = (int)d->wait_ms,
                              .retry_max_ms = (int)d->retry_ms,
                              .partitions_ahead = 2,
                              .rules = {.join_window_ms = d->join_ms, .pin_tries = 5, .pin_lock_ms = 900000}};
    double begin = seconds_now();
    if (!d->back || writer_start(&options, d->j, d->back, &d->w) < 0)
        return die("cannot start the writer");
    if (!feed(d))
        return die("a line of input is wrong, or the journal refused it");
    while (!drained(d) && seconds_now() - begin < (double)d->timeout_s) {
        say_results(d);
        (void)poll(NULL, 0, 5);
    }
    bool all = drained(d);
    say_results(d);
    say_figures(d, seconds_now() - begin);
    double stopping = seconds_now();
    d->w = writer_stop(d->w, (int)d->grace_ms);
    say_results(d);
    printf("stopped %.3f\n", seconds_now() - stopping);
    results_free(d->back);
    journal_close(d->j);
    return all ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"journal", required_argument, NULL, 'j'},
        {"database", required_argument, NULL, 'd'},
        {"node", required_argument, NULL, 'n'},
        {"batch", required_argument, NULL, 'b'},
        {"wait", required_argument, NULL, 'w'},
        {"retry", required_argument, NULL, 'r'},
        {"grace", required_argument, NULL, 'g'},
        {"timeout", required_argument, NULL, 't'},
        {"queue", required_argument, NULL, 'q'},
        {"generate", required_argument, NULL, 'N'},
        {"persons", required_argument, NULL, 'p'},
        {"join", required_argument, NULL, 'J'},
        {0},
    };
    drain d = {.node = "test",
               .batch = 8192,
               .wait_ms = 20,
               .retry_ms = 500,
               .grace_ms = 5000,
               .timeout_s = 60,
               .persons = 1000,
               .join_ms = 6 * 3600 * 1000,
               .queue = 20000};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int64_t *number = o == 'b'   ? &d.batch
                          : o == 'w' ? &d.wait_ms
                          : o == 'r' ? &d.retry_ms
                          : o == 'g' ? &d.grace_ms
                          : o == 't' ? &d.timeout_s
                          : o == 'N' ? &d.generate
                          : o == 'p' ? &d.persons
                          : o == 'q' ? &d.queue
                          : o == 'J' ? &d.join_ms
                                     : NULL;
        const char **string = o == 'j' ? &d.dir : o == 'd' ? &d.conninfo : o == 'n' ? &d.node : NULL;
        if (string)
            *string = optarg;
        else if (!number || text_to_i64(text_of(optarg), 0, INT32_MAX, number) < 0)
            return die("see the head of drain.c for its options");
    }
    return d.dir && d.conninfo ? run(&d) : die("--journal and --database are needed");
}

/* journal.c - `mayday journal`: what the journal holds and whether it is sound. Reads the directory as it
 * lies, without the broker's lock, and changes nothing. Payloads are shown only when asked for: they may be
 * private. */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "store/journal.h"
#include "store/record.h"

extern const command command_journal;

typedef struct request {
    const char *dir;
    const settings *settings; /* NULL with --dir and no configuration */
    bool json, payload;
    uint64_t from, limit;
    uint64_t records, damaged, bytes, last_seq;
} request;

enum {
    LINE_MAX_BYTES = 64 << 20
};

/* Takes `object` over. */
static int print_line(json *object) {
    CLEANUP(json_freep) json *root = object;
    CLEANUP(buf_release) buf line = BUF(LINE_MAX_BYTES);
    json_print(root, &line);
    if (!root || buf_failed(&line) < 0)
        return -ENOMEM;
    printf("%s\n", buf_text(&line).ptr);
    return 0;
}

static void put_number(json *object, const char *name, uint64_t value) {
    (void)!json_put(object, name, json_new_integer((int64_t)value));
}

static void put_text(json *object, const char *name, text value) {
    (void)!json_put(object, name, json_new_string(value));
}

/* Control characters of a client must not drive the terminal. */
static void print_plain(text t) {
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.ptr[i];
        if (c < 0x20 || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
}

static int segment_line(void *context, const journal_segment_figures *s) {
    const request *r = context;
    if (!r->json)
        printf("  segment %8" PRIu64 "  %12" PRIu64 " bytes  first record %" PRIu64 "\n", s->number, s->bytes,
               s->first_seq);
    return 0;
}

static int status_json(const request *r, const journal_overview *o, const char *identity) {
    json *object = json_new_object();
    if (!object)
        return -ENOMEM;
    put_text(object, "dir", text_of(r->dir));
    put_text(object, "identity", text_of(identity));
    (void)!json_put(object, "in_use", json_new_bool(o->in_use));
    put_number(object, "segments", o->segments);
    put_number(object, "bytes", o->bytes);
    put_number(object, "first_seq", o->first_seq);
    put_number(object, "last_seq", o->last_seq);
    if (r->settings) {
        put_number(object, "segment_size", (uint64_t)r->settings->journal_segment_size);
        put_number(object, "max_size", (uint64_t)r->settings->journal_max_size);
        put_number(object, "min_free", (uint64_t)r->settings->journal_min_free);
    }
    return print_line(object);
}

static int status(request *r) {
    char why[JOURNAL_WHY_MAX] = "", identity[UUID_TEXT_LEN + 1];
    journal_overview o;
    if (journal_look(r->dir, segment_line, r, &o, why) < 0)
        return command_fail(&command_journal, EXIT_UNREACHABLE, "%s", why);
    uuid_format(&o.identity, identity);
    if (r->json)
        return status_json(r, &o, identity) < 0
                   ? command_fail(&command_journal, EXIT_REFUSED, "out of memory")
                   : EXIT_DONE;
    printf("journal    %s\nidentity   %s\n", r->dir, identity);
    printf("used by    %s\n", o.in_use ? "a running broker" : "nobody");
    if (o.last_seq)
        printf("records    %" PRIu64 " to %" PRIu64 "\n", o.first_seq, o.last_seq);
    else
        puts("records    none");
    printf("disk       %" PRIu64 " bytes in %" PRIu64 " segments", o.bytes, o.segments);
    if (r->settings)
        printf(" of at most %" PRId64, r->settings->journal_max_size);
    putchar('\n');
    return EXIT_DONE;
}

static int verify_visit(void *context, const journal_entry *entry, const char *where) {
    request *r = context;
    if (!entry) {
        r->damaged++;
        if (r->json) {
            json *object = json_new_object();
            put_text(object, "damage", text_of(where));
            return print_line(object);
        }
        printf("damage: %s\n", where);
        return 0;
    }
    r->records++;
    r->bytes += entry->body.len;
    r->last_seq = entry->seq;
    return 0;
}

static int verify(request *r) {
    char why[JOURNAL_WHY_MAX] = "out of memory";
    if (journal_walk(r->dir, 0, verify_visit, r, why) < 0)
        return command_fail(&command_journal, EXIT_UNREACHABLE, "%s", why);
    if (r->json) {
        json *object = json_new_object();
        put_number(object, "records", r->records);
        put_number(object, "bytes", r->bytes);
        put_number(object, "last_seq", r->last_seq);
        put_number(object, "damaged_places", r->damaged);
        (void)!print_line(object);
    } else {
        printf("%" PRIu64 " records, %" PRIu64 " damaged places\n", r->records, r->damaged);
    }
    return r->damaged ? EXIT_REFUSED : EXIT_DONE;
}

static int show_json(const request *r, uint64_t seq, const record *m, const char *at) {
    json *object = json_new_object();
    if (!object)
        return -ENOMEM;
    put_number(object, "seq", seq);
    put_text(object, "received_at", text_of(at));
    put_text(object, "org", m->org);
    put_text(object, "sender", m->sender);
    put_text(object, "client", m->client);
    put_text(object, "topic", m->topic);
    put_number(object, "bytes", m->payload.len);
    (void)!json_put(object, "will", json_new_bool(m->flags & RECORD_WILL));
    if (r->payload)
        put_text(object, "payload", m->payload);
    return print_line(object);
}

static void show_plain(const request *r, uint64_t seq, const record *m, const char *at) {
    printf("%10" PRIu64 "  %s  ", seq, at);
    print_plain(m->sender);
    printf("  ");
    print_plain(m->topic);
    printf("  %zu bytes%s", m->payload.len, m->flags & RECORD_WILL ? "  (will)" : "");
    if (r->payload) {
        printf("  ");
        print_plain(m->payload);
    }
    putchar('\n');
}

static int show_visit(void *context, const journal_entry *entry, const char *where) {
    request *r = context;
    record m;
    char at[INSTANT_TEXT_LEN + 1];
    if (!entry) {
        fprintf(stderr, "damage: %s\n", where);
        r->damaged++;
        return 0;
    }
    if (r->limit && r->records >= r->limit)
        return 1;
    r->records++;
    if (record_decode(entry->body, &m) < 0) {
        fprintf(stderr, "record %" PRIu64 " can't be decoded\n", entry->seq);
        r->damaged++;
        return 0;
    }
    instant_format(m.received_at, at);
    if (r->json)
        return show_json(r, entry->seq, &m, at);
    show_plain(r, entry->seq, &m, at);
    return 0;
}

static int show(request *r) {
    char why[JOURNAL_WHY_MAX] = "out of memory";
    if (journal_walk(r->dir, r->from ? r->from - 1 : 0, show_visit, r, why) < 0)
        return command_fail(&command_journal, EXIT_UNREACHABLE, "%s", why);
    return r->damaged ? EXIT_REFUSED : EXIT_DONE;
}

static const struct {
    const char *name;
    int (*run)(request *r);
} actions[] = {{"status", status}, {"verify", verify}, {"show", show}};

static int act(const char *name, request *r) {
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(actions[i].name, name) == 0)
            return actions[i].run(r);
    return command_fail(&command_journal, EXIT_USAGE, "there is no action '%s'; see 'mayday journal --help'",
                        name);
}

static bool number_of(const char *argument, uint64_t *ret_value) {
    int64_t value;
    if (text_to_i64(text_of(argument), 0, INT64_MAX, &value) < 0)
        return false;
    *ret_value = (uint64_t)value;
    return true;
}

static int parse(int argc, char **argv, request *r) {
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},   {"from", required_argument, NULL, 'f'},
        {"limit", required_argument, NULL, 'l'}, {"json", no_argument, NULL, 'j'},
        {"payload", no_argument, NULL, 'p'},     {0},
    };
    optind = 0; /* start afresh: main() wanted options before the command, we take them anywhere */
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool good = true;
        switch (o) {
        case 'd':
            r->dir = optarg;
            break;
        case 'f':
            good = number_of(optarg, &r->from);
            break;
        case 'l':
            good = number_of(optarg, &r->limit);
            break;
        case 'j':
            r->json = true;
            break;
        case 'p':
            r->payload = true;
            break;
        default:
            return EXIT_USAGE;
        }
        if (!good)
            return command_fail(&command_journal, EXIT_USAGE, "'%s' is not a number", optarg);
    }
    return EXIT_DONE;
}

static int run(const char *config_path, int argc, char **argv) {
    request r = {0};
    settings loaded = {0};
    int code = parse(argc, argv, &r);
    if (code != EXIT_DONE)
        return code;
    if (optind + 1 != argc)
        return command_fail(&command_journal, EXIT_USAGE, "expected status, verify or show");
    if (r.dir)
        return act(argv[optind], &r);
    code = command_settings(config_path, &loaded);
    if (code != EXIT_DONE)
        return code;
    r.dir = loaded.journal_dir ? loaded.journal_dir : "";
    r.settings = &loaded;
    code = act(argv[optind], &r);
    conf_release(&settings_table, &loaded);
    return code;
}

const command command_journal = {
    .name = "journal",
    .summary = "look at the journal: its state, its soundness, its records",
    .help = "Usage: mayday [--config FILE] journal status [--json] [--dir DIR]\n"
            "       mayday [--config FILE] journal verify [--json] [--dir DIR]\n"
            "       mayday [--config FILE] journal show [--json] [--payload] [--from SEQ] [--limit N] [--dir "
            "DIR]\n"
            "\n"
            "status   how many segments and bytes there are, which records, and who uses it.\n"
            "verify   reads everything; names each damaged place; exits with 1 when there is one.\n"
            "show     lists the records: number, time, sender, topic and size.\n"
            "\n"
            "  --dir DIR    this journal instead of the one in the configuration\n"
            "  --json       one JSON object a line\n"
            "  --payload    show payloads too: they may hold private data\n"
            "  --from SEQ   begin at this record\n"
            "  --limit N    show at most N records\n"
            "\n"
            "Works while a broker uses the journal, and changes nothing.\n",
    .run = run,
};

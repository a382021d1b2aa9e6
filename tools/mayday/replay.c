/* replay.c - `mayday replay`: plays a recording (a watch's export, a receiver's log, a table) as one person's
 * vitals and positions, so that Mayday can be tried on what really happened.
 *
 * One loop: what is due goes out, at most WINDOW at once; what is not acknowledged when a connection ends
 * goes again, under the same id. A broker that limits what one person may send says so in words on
 * `rejected`: such a sample goes again, too, and all go slower from then on. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "base/conf.h"
#include "link.h"
#include "payload.h"
#include "recording.h"

#define FILE_MAX     (256u << 20)
#define WINDOW       16 /* under way at once: below the broker's usual 20 */
#define REPORT_US    (5 * INSTANT_SECOND)
#define WORDS_US     (2 * INSTANT_SECOND) /* how long the words of a refusal may take */
#define PAUSE_US     INSTANT_SECOND       /* between attempts to connect */
#define TURN_MAX_MS  250
#define FIRST_GAP_US (INSTANT_SECOND / 25) /* after the first "too fast" */
#define LAST_GAP_US  (2 * INSTANT_SECOND)
#define SETTLE_US    INSTANT_SECOND /* at most so often it becomes slower still */

extern const command command_replay;
static const command *const self = &command_replay;

typedef struct replay {
    link_options link;
    const char *as, *file, *config_path;
    recording_wish wish;
    int64_t keep_trying_ms;
    bool dry_run, quiet, json;

    recording what;
    identity who;
    mqtt_hub *hub;
    mqtt_client *client;
    char *topics[2]; /* location, vitals */
    char *rejected;

    bool up, connecting, stopped;
    instant began, next_report, connect_at, down_since, quiet_since;
    instant not_before, slowed_at; /* the next may go; it was made slower */
    int64_t gap;                   /* between two samples, once the broker asked for it */
    size_t cursor, under_way, done, refused, resent, too_fast;
    char first_refusal[256];
} replay;

/* ---- what becomes of a sample ---- */

static void wait_again(replay *r, sample *s) {
    size_t index = (size_t)(s - r->what.samples);
    s->state = SAMPLE_WAITS;
    s->again = false;
    if (index < r->cursor)
        r->cursor = index;
    r->resent++;
}

static sample *under_way(replay *r, int packet) {
    for (size_t i = r->cursor; i < r->what.count; i++)
        if (r->what.samples[i].state == SAMPLE_UNDER_WAY && r->what.samples[i].packet == packet)
            return &r->what.samples[i];
    return NULL;
}

static void acked(replay *r, const mqtt_event *e) {
    sample *s = under_way(r, e->packet);
    if (!s)
        return;
    r->under_way--;
    if (s->again) {
        wait_again(r, s);
        return;
    }
    s->state = e->reason >= MQTT_REFUSED_AT ? SAMPLE_REFUSED : SAMPLE_DONE;
    r->done += s->state == SAMPLE_DONE;
    r->refused += s->state == SAMPLE_REFUSED;
    if (s->state == SAMPLE_REFUSED && !*r->first_refusal)
        (void)snprintf(r->first_refusal, sizeof r->first_refusal, "%s", mqtt_reason_name(e->reason));
}

/* MQTT 3.1.1 has no reasons: there, only the words tell that an acknowledgement was none. */
static void unsettle(replay *r, sample *s) {
    r->done -= s->state == SAMPLE_DONE;
    r->refused -= s->state == SAMPLE_REFUSED;
}

static void too_fast(replay *r, sample *s, instant now) {
    r->too_fast++;
    if (r->gap == 0 || now - r->slowed_at > SETTLE_US) {
        r->gap = r->gap == 0 ? FIRST_GAP_US : r->gap + r->gap / 4;
        r->gap = r->gap > LAST_GAP_US ? LAST_GAP_US : r->gap;
        r->slowed_at = now;
    }
    if (s->state == SAMPLE_UNDER_WAY) {
        s->again = true;
        return;
    }
    unsettle(r, s);
    wait_again(r, s);
}

static void told(replay *r, const mqtt_event *e, instant now) {
    CLEANUP(json_freep) json *body = NULL;
    if (json_parse_once(e->body, &body) != JSON_OK)
        return;
    text id = json_get_string(body, "id"), code = json_get_string(body, "code"),
         detail = json_get_string(body, "detail");
    for (size_t i = r->what.count; i-- > 0;) {
        sample *s = &r->what.samples[i];
        if (s->state == SAMPLE_WAITS || !text_equal(id, text_of(s->id)))
            continue;
        if (text_equal(code, TEXT("rate_limited"))) {
            too_fast(r, s, now);
            return;
        }
        if (s->state == SAMPLE_DONE) {
            unsettle(r, s);
            s->state = SAMPLE_REFUSED;
            r->refused++;
        }
        (void)snprintf(r->first_refusal, sizeof r->first_refusal, "%.*s: %.*s", (int)code.len,
                       code.ptr ? code.ptr : "", (int)detail.len, detail.ptr ? detail.ptr : "");
        return;
    }
}

/* ---- the connection ---- */

static void listen_to(replay *r) {
    int packet;
    const char *filter = r->rejected;
    r->up = true;
    r->connecting = false;
    (void)!mqtt_subscribe(r->client, &filter, 1, &packet); /* failing, the connection is gone: MQTT_DOWN */
}

static void lost(replay *r, instant now) {
    if (r->up)
        r->down_since = now;
    r->up = r->connecting = false;
    r->connect_at = now + PAUSE_US;
    for (size_t i = r->cursor; i < r->what.count && r->under_way > 0; i++)
        if (r->what.samples[i].state == SAMPLE_UNDER_WAY) {
            r->under_way--;
            wait_again(r, &r->what.samples[i]);
        }
}

static void handle(replay *r, const mqtt_event *e) {
    instant now = instant_now();
    if (e->kind != MQTT_QUIET)
        r->quiet_since = now;
    switch (e->kind) {
    case MQTT_QUIET:
    case MQTT_SUBSCRIBED:
        break;
    case MQTT_STOP:
        r->stopped = true;
        break;
    case MQTT_UP:
        listen_to(r);
        break;
    case MQTT_REFUSED:
    case MQTT_UNREACHABLE:
    case MQTT_DOWN:
        lost(r, now);
        break;
    case MQTT_ACKED:
        acked(r, e);
        break;
    case MQTT_MESSAGE:
        told(r, e, now);
        break;
    }
}

/* With a token of now: a long recording outlives the first one. */
static void come_back(replay *r, instant now) {
    identity fresh = {0};
    r->connect_at = now + PAUSE_US;
    if (link_identity(self, r->config_path, &r->link, "member", &fresh) != EXIT_DONE)
        return; /* it said why; tried again until the patience ends */
    identity_release(&r->who);
    r->who = fresh;
    r->connecting = mqtt_connect(r->client, r->who.token) == 0;
}

/* ---- the loop ---- */

static sample *next_waiting(replay *r) {
    while (r->cursor < r->what.count && (r->what.samples[r->cursor].state == SAMPLE_DONE ||
                                         r->what.samples[r->cursor].state == SAMPLE_REFUSED))
        r->cursor++;
    for (size_t i = r->cursor; i < r->what.count; i++)
        if (r->what.samples[i].state == SAMPLE_WAITS)
            return &r->what.samples[i];
    return NULL;
}

static instant time_of(const replay *r, const sample *s) {
    instant due = r->began + s->due;
    return due < r->not_before ? r->not_before : due;
}

static void send_on(replay *r) {
    sample *s;
    instant now = instant_now();
    while (r->up && r->under_way < WINDOW && (s = next_waiting(r)) && time_of(r, s) <= now) {
        if (mqtt_publish(r->client, r->topics[s->is_vitals], text_of(s->body), &s->packet) < 0)
            return; /* the connection is ending: MQTT_DOWN comes */
        s->state = SAMPLE_UNDER_WAY;
        r->under_way++;
        r->not_before = r->gap > 0 ? now + r->gap : 0;
    }
}

static int turn_ms(replay *r) {
    const sample *s = r->up && r->under_way < WINDOW ? next_waiting(r) : NULL;
    int64_t wait = s ? (time_of(r, s) - instant_now()) / 1000 : TURN_MAX_MS;
    return wait < 0 ? 0 : wait > TURN_MAX_MS ? TURN_MAX_MS : (int)wait + 1;
}

static void report(replay *r, instant now) {
    if (r->quiet || now < r->next_report)
        return;
    r->next_report = now + REPORT_US;
    const sample *next = next_waiting(r);
    double length = (double)(r->what.last - r->what.first) / 1e6;
    double at = !next ? length : r->wish.speed > 0 ? (double)next->due * r->wish.speed / 1e6 : NAN;
    fprintf(stderr, "%zu of %zu acknowledged", r->done, r->what.count);
    if (at >= 0)
        fprintf(stderr, "; at %.0f s of %.0f s", at, length);
    fprintf(stderr, "%s%s\n", r->up ? "" : "; no connection", r->gap ? "; slower, as the broker asks" : "");
}

static bool is_over(replay *r, instant now) {
    if (next_waiting(r) || r->under_way > 0)
        return false;
    /* an acknowledgement may turn out to be none where there are no reasons, and a refusal to be no last word
     */
    return (r->refused == 0 && !r->link.v311) || now - r->quiet_since > WORDS_US;
}

static int play(replay *r) {
    r->began = r->next_report = r->quiet_since = instant_now();
    for (;;) {
        instant now = instant_now();
        if (r->stopped)
            return command_fail(self, EXIT_REFUSED, "stopped after %zu of %zu", r->done, r->what.count);
        if (is_over(r, now))
            return r->refused > 0 || *r->what.broken ? EXIT_REFUSED : EXIT_DONE;
        if (!r->up && now - r->down_since > r->keep_trying_ms * 1000)
            return command_fail(self, EXIT_UNREACHABLE,
                                "the connection ended and does not come back; %zu of %zu were acknowledged",
                                r->done, r->what.count);
        if (!r->up && !r->connecting && now >= r->connect_at)
            come_back(r, now);
        send_on(r);
        report(r, now);
        const mqtt_event *e = mqtt_wait(r->hub, turn_ms(r));
        for (; e->kind != MQTT_QUIET; e = mqtt_wait(r->hub, 0))
            handle(r, e);
    }
}

/* ---- before and after ---- */

static char *topic_of(const char *org, const char *person, const char *kind) {
    CLEANUP(buf_release) buf topic = BUF(4096);
    buf_printf(&topic, "mayday/v1/%s/user/%s/%s", org, person, kind);
    return buf_steal(&topic);
}

static int publish(replay *r) {
    const char *person = r->as ? r->as : r->who.sub;
    r->topics[0] = topic_of(r->who.org, person, "location");
    r->topics[1] = topic_of(r->who.org, person, "vitals");
    r->rejected = topic_of(r->who.org, r->who.sub, "rejected");
    r->hub = mqtt_hub_new();
    if (!r->topics[0] || !r->topics[1] || !r->rejected || !r->hub)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    int code = link_connect(self, r->hub, &r->link, &r->who, "replay", &r->client);
    if (code != EXIT_DONE)
        return code;
    listen_to(r);
    return play(r);
}

static int print_json(const replay *r) {
    CLEANUP(json_freep) json *out = json_new_object();
    CLEANUP(buf_release) buf line = BUF(4096);
    const struct {
        const char *name;
        size_t value;
    } counts[] = {{"samples", r->what.count}, {"fixes", r->what.fixes}, {"readings", r->what.readings},
                  {"acked", r->done},         {"refused", r->refused},  {"resent", r->resent},
                  {"too_fast", r->too_fast}};
    bool good = out && json_put(out, "format", json_new_string(text_of(r->what.format))) == 0;
    for (size_t i = 0; good && i < ARRAY_LEN(counts); i++)
        good = json_put(out, counts[i].name, json_new_integer((int64_t)counts[i].value)) == 0;
    if (good && r->refused && *r->first_refusal)
        good = json_put(out, "first_refusal", json_new_string(text_of(r->first_refusal))) == 0;
    if (!good)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    json_print(out, &line);
    puts(buf_failed(&line) < 0 ? "{}" : line.ptr);
    return EXIT_DONE;
}

static void print_words(const replay *r, double seconds) {
    printf("done: %zu of %zu acknowledged (%zu positions, %zu readings), %zu refused, in %.1f s\n", r->done,
           r->what.count, r->what.fixes, r->what.readings, r->refused, seconds);
    if (r->refused && *r->first_refusal)
        printf("      refused because: %s\n", r->first_refusal);
}

static int dry_run(const replay *r) {
    for (size_t i = 0; i < r->what.count; i++)
        printf("%.3f user/%s/%s %s\n", (double)r->what.samples[i].due / 1e6, r->as ? r->as : "PERSON",
               r->what.samples[i].is_vitals ? "vitals" : "location", r->what.samples[i].body);
    return *r->what.broken ? EXIT_REFUSED : EXIT_DONE;
}

static int send_all(replay *r) {
    if (!r->link.sub && !r->link.token_file && !getenv("MAYDAY_TOKEN_FILE"))
        r->link.sub = r->as;
    int code = link_identity(self, r->config_path, &r->link, "member", &r->who);
    if (code != EXIT_DONE)
        return code;
    code = publish(r);
    if (!r->client)
        return code;
    if (r->json)
        return print_json(r) == EXIT_DONE ? code : EXIT_REFUSED;
    print_words(r, (double)(instant_now() - r->began) / 1e6);
    return code;
}

static int read_recording(replay *r) {
    CLEANUP(buf_release) buf file = BUF(FILE_MAX);
    int fault = file_read(r->file, FILE_MAX, &file);
    if (fault < 0)
        return command_fail(self, EXIT_REFUSED, "cannot read %s: %s", r->file, strerror(-fault));
    r->wish.now = instant_now();
    fault = recording_make(buf_text(&file), &r->wish, &r->what);
    if (fault == -EBADMSG)
        return command_fail(self, EXIT_REFUSED, "%s: %s", r->file, r->what.broken);
    if (fault < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    if (*r->what.broken)
        (void)command_fail(self, EXIT_REFUSED, "%s: %s; what came before it is played", r->file,
                           r->what.broken);
    if (!r->quiet)
        fprintf(stderr, "%s: %s, %zu positions and %zu readings in %.0f s\n", r->file, r->what.format,
                r->what.fixes, r->what.readings, (double)(r->what.last - r->what.first) / 1e6);
    return EXIT_DONE;
}

static bool take_speed(replay *r, const char *value) {
    if (strcmp(value, "max") == 0) {
        r->wish.speed = 0;
        return true;
    }
    return arg_number(self, "speed", value, 0.01, 100000, &r->wish.speed);
}

static bool take_option(replay *r, int option, const char *value) {
    static const char *const starts[] = {"now", "recorded", NULL};
    switch (option) {
    case 'a':
        r->as = value;
        return true;
    case 's':
        return take_speed(r, value);
    case 't':
        r->wish.as_recorded = strcmp(value, "recorded") == 0;
        return arg_choice(self, "start", value, starts);
    case 'S':
        r->wish.sensor = value;
        return true;
    case 'k':
        return arg_duration(self, "keep-trying", value, &r->keep_trying_ms);
    case 'n':
        r->dry_run = true;
        return true;
    case 'q':
        r->quiet = true;
        return true;
    case 'j':
        r->json = true;
        return true;
    default:
        return link_option(self, &r->link, option, value) == LINK_TAKEN;
    }
}

static void release(replay *r) {
    r->hub = mqtt_hub_free(r->hub);
    recording_release(&r->what);
    identity_release(&r->who);
    free(r->topics[0]);
    free(r->topics[1]);
    free(r->rejected);
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"as", required_argument, NULL, 'a'},
        {"speed", required_argument, NULL, 's'},
        {"start", required_argument, NULL, 't'},
        {"sensor", required_argument, NULL, 'S'},
        {"keep-trying", required_argument, NULL, 'k'},
        {"dry-run", no_argument, NULL, 'n'},
        {"quiet", no_argument, NULL, 'q'},
        {"json", no_argument, NULL, 'j'},
        LINK_BROKER_OPTIONS,
        LINK_WHO_OPTIONS,
        {0},
    };
    replay r = {
        .wish = {.speed = 1, .sensor = "replay"}, .keep_trying_ms = 60000, .config_path = config_path};
    link_defaults(&r.link);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&r, option, optarg))
            return EXIT_USAGE;
    if (argc - optind != 1)
        return command_fail(self, EXIT_USAGE, "one FILE is expected; see 'mayday replay --help'");
    r.file = argv[optind];
    int code = read_recording(&r);
    if (code == EXIT_DONE)
        code = r.dry_run ? dry_run(&r) : send_all(&r);
    release(&r);
    return code;
}

const command command_replay = {
    .name = "replay",
    .summary = "play a recording as one person's vitals and positions",
    .help =
        "Usage: mayday replay FILE --as PERSON [OPTION...]\n"
        "\n"
        "Plays what a watch, a receiver or a table recorded as if PERSON wore it now. FILE is known by its\n"
        "content: FIT, GPX, TCX, an NMEA 0183 log, or CSV whose first line names the columns (ts or t_s, "
        "lat,\n"
        "lon, altitude_m, speed_mps, heart_rate_bpm or hr, spo2, temp, resp, sys, dia, rr_ms, contact, "
        "...).\n"
        "\n"
        "  --as PERSON        whose it is (default: the person of the token)\n"
        "  --speed N          times as fast as life, from 0.01 on, or 'max' (default: 1)\n"
        "  --start WHEN       now (default): times are moved. At speed 1 the recording begins now; faster, "
        "its\n"
        "                     end is now when it is reached, because nothing may lie in the future.\n"
        "                     recorded: times stay, and messages say that they waited\n"
        "  --sensor NAME      what to call the sensor (default: replay)\n"
        "  --keep-trying T    when the connection ends, try to come back for this long (default: 60s)\n"
        "  --dry-run          send nothing: print when, where and what, one message a line\n"
        "  --quiet            no progress on stderr\n"
        "  --json             print what came of it as one line of JSON\n"
        "\n" LINK_BROKER_HELP "\n" LINK_WHO_HELP "\n"
        "Mayday takes it as it takes all else: rules, zones and alarms are the real ones. Try it with a person and an\n"
        "organisation for that. Positions say that their source is `replay`, readings what --sensor says.\n"
        "\n"
        "What is not acknowledged when the connection ends is sent again. Where the broker limits how much "
        "one\n"
        "person may send, the replay becomes slower until nothing is refused.\n"
        "\n"
        "Exit codes: 0 all acknowledged, 1 some refused, the file broken (what could be read was sent), or\n"
        "stopped, 2 wrong usage, 3 the broker could not be reached.\n",
    .run = run,
};

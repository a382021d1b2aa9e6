/* plugin.c - the door between Mosquitto and Mayday: builds the host, registers one callback for each event,
 * and takes it all down again in the opposite order. Everything runs on the broker's thread, except the
 * writer and the journal's flusher. */
#include "plugin/host.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/admission.h"
#include "plugin/compat.h"
#include "plugin/events.h"
#include "plugin/memory.h"
#include "core/token_settings.h"

#define WRITER_GRACE_MS 3000
#define CONTROL_TOPIC   "$CONTROL/mayday/v1"

/* Mosquitto looks these three up by name; everything else is hidden. */
#define ENTRY_POINT __attribute__((visibility("default")))
ENTRY_POINT int mosquitto_plugin_version(int supported_version_count, const int *supported_versions);
ENTRY_POINT int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
                                      struct mosquitto_opt *options, int option_count);
ENTRY_POINT int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count);

typedef struct hook {
    int event;
    MOSQ_FUNC_generic_callback callback;
    const char *topic; /* MOSQ_EVT_CONTROL */
} hook;

static const hook hooks[] = {
    {MOSQ_EVT_BASIC_AUTH, on_basic_auth, NULL},
    {MOSQ_EVT_EXT_AUTH_START, on_ext_auth, NULL},
    {MOSQ_EVT_ACL_CHECK, on_acl_check, NULL},
    {MOSQ_EVT_MESSAGE, on_message, NULL},
    {MOSQ_EVT_CONTROL, on_control, CONTROL_TOPIC},
    {MOSQ_EVT_DISCONNECT, on_disconnect, NULL},
    {MOSQ_EVT_RELOAD, on_reload, NULL},
    {MOSQ_EVT_TICK, on_tick, NULL},
};

void host_log(int level, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    mosquitto_log_printf(level, "mayday: %s", line);
}

int mosquitto_plugin_version(int supported_version_count, const int *supported_versions) {
    for (int i = 0; i < supported_version_count; i++)
        if (supported_versions[i] == 5)
            return 5;
    return -1;
}

static const char *config_option(const struct mosquitto_opt *options, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(options[i].key, "config") == 0)
            return options[i].value;
    return SETTINGS_DEFAULT_PATH;
}

static int fail(const char *what, const char *why) {
    host_log(MOSQ_LOG_ERR, "cannot start: %s: %s", what, why);
    return -EINVAL;
}

static int load_settings(host *h, const char *path) {
    char why[CONF_WHY_MAX] = "", machine[64] = "";
    if (conf_load(&settings_table, path, &h->settings, why) < 0)
        return fail("configuration", why);
    (void)gethostname(machine, sizeof machine - 1);
    (void)snprintf(h->node, sizeof h->node, "%s", h->settings.node_name ? h->settings.node_name : machine);
    if (!topic_level_valid(text_of(h->node)))
        return fail("[node] name",
                    "it must fit into one level of a topic: no '/', '+', '#' or control character");
    if (mkdir(h->settings.state_dir, 0700) < 0 && errno != EEXIST)
        return fail(h->settings.state_dir, strerror(errno));
    return 0;
}

static int load_rules(host *h) {
    char why[TOKEN_WHY_MAX] = "";
    token_rules_spec spec = token_spec_of(&h->settings);
    return token_rules_new(&spec, &h->rules, why) < 0 ? fail("token rules", why) : 0;
}

static int load_control_schema(host *h) {
    char path[4096], why[SCHEMA_WHY_MAX] = "";
    CLEANUP(buf_release) buf content = BUF(1 << 20);
    CLEANUP(json_freep) json *root = NULL;
    if (snprintf(path, sizeof path, "%s/control.json", h->settings.schema_dir) >= (int)sizeof path)
        return fail("schemas", "the folder's name is too long");
    int fault = file_read(path, content.limit, &content);
    if (fault < 0)
        return fail(path, strerror(-fault));
    if (json_parse_once(buf_text(&content), &root) != JSON_OK)
        return fail(path, "is not JSON");
    return schema_compile(root, &h->control_schema, why) < 0 ? fail(path, why) : 0;
}

static int load_catalog(host *h) {
    char why[CATALOG_WHY_MAX] = "";
    catalog_limits bounds = {
        .payload_max = (size_t)h->settings.payload_max,
        .depth_max = (int)h->settings.depth_max,
        .clock_skew = h->settings.clock_skew_ms * 1000,
    };
    if (catalog_load(h->settings.schema_dir, &bounds, &h->catalog, why) < 0)
        return fail("schemas", why);
    return load_control_schema(h);
}

/* Starting without keys or policy would be a broker that refuses everyone: better to say so than to seem
 * well. */
static int load_access(host *h) {
    host_take_up_files(h, true);
    if (!h->keys || !h->policy)
        return fail("keys and policy", "see the line above");
    return 0;
}

static int make_tables(host *h) {
    h->sessions = sessions_new(HOST_SESSIONS_MAX);
    h->members = membership_new(HOST_MEMBERSHIPS_MAX);
    h->revoked = revocations_new(HOST_REVOCATIONS_MAX);
    h->results = results_new(HOST_RESULTS_MAX);
    h->fence = fence_new(HOST_INCIDENTS_MAX);
    h->record = BUF(JOURNAL_RECORD_MAX);
    h->shown = BUF(JOURNAL_RECORD_MAX);
    h->event = BUF(128 << 10);  /* each of its texts has a limit */
    h->roles = BUF(UINT16_MAX); /* claims hold far less */
    h->topic_memo = BUF(TOPIC_MAX);
    h->now = instant_now();
    if (!h->sessions || !h->members || !h->revoked || !h->results || !h->fence ||
        RAND_bytes((unsigned char *)&h->hash_seed, sizeof h->hash_seed) != 1)
        return fail("tables", "out of memory");
    char why[LIMITS_WHY_MAX] = "out of memory";
    if (limits_start(&h->settings, h->hash_seed, &h->limits, why) < 0)
        return fail("configuration", why);
    int fault = memory_open(h);
    if (fault < 0)
        return fail("the ledger in the state directory", strerror(-fault));
    admission_end_revoked(h);
    return 0;
}

static int open_journal(host *h) {
    char why[JOURNAL_WHY_MAX] = "";
    journal_report report = {0};
    journal_options options = {
        .dir = h->settings.journal_dir,
        .segment_size = (uint64_t)h->settings.journal_segment_size,
        .max_size = (uint64_t)h->settings.journal_max_size,
        .min_free = (uint64_t)h->settings.journal_min_free,
        .flush_ms = (int)h->settings.journal_flush_ms,
    };
    if (journal_open(&options, &h->journal, &report, why) < 0)
        return fail("journal", why);
    host_log(MOSQ_LOG_INFO, "journal %s: %llu segments, records %llu to %llu", options.dir,
             (unsigned long long)report.segments, (unsigned long long)report.first_seq,
             (unsigned long long)report.last_seq);
    if (report.discarded_bytes > 0)
        host_log(MOSQ_LOG_WARNING,
                 "journal: %llu bytes in %llu places could not be read and were left out; the first: %s",
                 (unsigned long long)report.discarded_bytes, (unsigned long long)report.discarded_places,
                 report.first_reason);
    return 0;
}

static int start_writer(host *h) {
    writer_options options = {
        .conninfo = h->settings.database,
        .node = h->node,
        .batch_records = (size_t)h->settings.batch_records,
        .batch_wait_ms = (int)h->settings.batch_wait_ms,
        .retry_max_ms = (int)h->settings.retry_max_ms,
        .partitions_ahead = (int)h->settings.partitions_ahead,
        .rules = {.join_window_ms = h->settings.join_window_ms,
                  .pin_tries = h->settings.pin_tries,
                  .pin_lock_ms = h->settings.pin_lock_ms},
    };
    int fault = writer_start(&options, h->journal, h->results, &h->writer);
    return fault < 0 ? fail("writer", strerror(-fault)) : 0;
}

static int register_hooks(host *h) {
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++)
        if (mosquitto_callback_register(h->id, hooks[i].event, hooks[i].callback, hooks[i].topic, h) !=
            MOSQ_ERR_SUCCESS)
            return fail("callbacks", "the broker did not take one of them");
    if (compat_register_offline(h->id, on_disconnect, h) != MOSQ_ERR_SUCCESS)
        return fail("callbacks", "the broker did not take the one for clients that go offline");
    return 0;
}

static void tell_start(host *h) {
    char detail[128];
    (void)snprintf(detail, sizeof detail, "%zu keys, policy of %zu roles", keyset_count(h->keys),
                   policy_role_count(h->policy));
    events_broker(h, "start", "", detail);
}

/* Takes NULL and half-built hosts. The writer first: it borrows the journal and the queue. */
static host *host_free(host *h) {
    if (!h)
        return NULL;
    (void)writer_stop(h->writer, WRITER_GRACE_MS);
    (void)journal_close(h->journal);
    (void)results_free(h->results);
    (void)ledger_close(h->ledger);
    (void)sessions_free(h->sessions);
    (void)membership_free(h->members);
    (void)revocations_free(h->revoked);
    (void)catalog_free(h->catalog);
    (void)schema_free(h->control_schema);
    (void)policy_free(h->policy);
    (void)keyset_free(h->keys);
    (void)token_rules_free(h->rules);
    buf_release(&h->record);
    buf_release(&h->roles);
    buf_release(&h->shown);
    buf_release(&h->event);
    buf_release(&h->topic_memo);
    limits_release(&h->limits);
    (void)fence_free(h->fence);
    conf_release(&settings_table, &h->settings);
    free(h);
    return NULL;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata, struct mosquitto_opt *options,
                          int option_count) {
    host *h = calloc(1, sizeof *h);
    if (!h)
        return MOSQ_ERR_NOMEM;
    h->id = identifier;
    if (load_settings(h, config_option(options, option_count)) < 0 || load_rules(h) < 0 ||
        load_catalog(h) < 0 || load_access(h) < 0 || make_tables(h) < 0 || open_journal(h) < 0 ||
        start_writer(h) < 0 || register_hooks(h) < 0) {
        (void)host_free(h);
        return MOSQ_ERR_UNKNOWN;
    }
    *userdata = h;
    tell_start(h);
    host_log(MOSQ_LOG_NOTICE, "ready as node '%s'", h->node);
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count) {
    (void)options, (void)option_count;
    host *h = userdata;
    if (!h)
        return MOSQ_ERR_SUCCESS;
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++)
        (void)mosquitto_callback_unregister(h->id, hooks[i].event, hooks[i].callback, hooks[i].topic);
    compat_unregister_offline(h->id, on_disconnect);
    events_broker(h, "stop", "", "");
    (void)host_free(h);
    return MOSQ_ERR_SUCCESS;
}

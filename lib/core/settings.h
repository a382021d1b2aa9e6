/* settings.h - what /etc/mayday/mayday.conf can say. Shared by the plugin, the gateway and the tools.
 * One row for each key in settings.c; the sample file and mayday.conf(5) are made from those rows. */
#ifndef MAYDAY_CORE_SETTINGS_H
#define MAYDAY_CORE_SETTINGS_H

#include "base/conf.h"

typedef struct settings {
    /* [node] */
    char *node_name;
    char *state_dir;
    /* [token] */
    char *keys_file;
    char *issuer;
    char *audience;
    char *authorized_parties; /* space separated */
    int64_t leeway_ms;
    int64_t token_max;
    char *required_claims; /* space separated */
    char *claim_subject;   /* dotted paths into the claims, alternatives separated by spaces */
    char *claim_org;
    char *claim_roles;
    char *claim_session;
    char *role_map; /* "issued=ours issued=ours" */
    bool username_is_subject;
    /* [access] */
    char *policy_file;
    bool others_allowed;
    /* [messages] */
    char *schema_dir;
    int64_t payload_max; /* bytes */
    int64_t depth_max;
    int64_t clock_skew_ms; /* how far ahead of us a device's `ts` may be */
    /* [journal] */
    char *journal_dir;
    int64_t journal_segment_size;
    int64_t journal_max_size;
    int64_t journal_min_free;
    int64_t journal_flush_ms;
    /* [database] */
    char *database;       /* libpq connection string of the writer */
    char *database_admin; /* libpq connection string for `mayday migrate` */
    char *sql_dir;        /* the numbered migrations */
    int64_t batch_records;
    int64_t batch_wait_ms;
    int64_t retry_max_ms;
    int64_t partitions_ahead;
    /* [status] */
    int64_t status_interval_ms;
    /* [incident] */
    int64_t join_window_ms;
    int64_t grace_ms;
    int64_t pin_tries;
    int64_t pin_lock_ms;
    /* [limits]: "<messages a second> <burst>" for each message type, for one person; see core/rate.h */
    char *limit_telemetry;
    char *limit_talk;
    char *limit_action;
    char *limit_request;
    char *limit_raise;
    /* [gateway] */
    char *gateway_id;
    char *gateway_database; /* libpq connection string */
    char *broker_host;
    int64_t broker_port;
    char *broker_cafile;        /* not empty: TLS */
    char *gateway_signing_keys; /* a JWK Set whose last key signs the gateway's tokens */
    char *gateway_token_file;   /* instead of signing: a token of one organisation */
    char *gateway_orgs;         /* space separated; empty: every organisation the database knows */
    char *gateway_http;         /* "address:port" */
    /* [notify]: how people are reached besides MQTT; see gateway/providers/provider.h */
    char *notify_sms; /* providers in their order, space separated: "twilio vonage" */
    char *notify_voice;
    char *notify_public_url; /* where providers reach this gateway's HTTP: "https://alarm.example.org" */
    int64_t notify_timeout_ms;
    int64_t notify_concurrency;
    char *notify_rate;
    int64_t notify_ring_ms;
    int64_t notify_validity_ms;
    char *notify_emergency; /* space separated */
    char *notify_lang;
    char *notify_map_url;
    char *notify_cafile;
    int64_t notify_trouble_ms;
    /* [twilio] */
    char *twilio_account;
    char *twilio_token_file;
    char *twilio_sms_from; /* senders by country: core/phone.h */
    char *twilio_voice_from;
    char *twilio_url;
    /* [vonage] */
    char *vonage_key;
    char *vonage_secret_file;
    char *vonage_signature_file;
    char *vonage_application;
    char *vonage_private_key;
    char *vonage_sms_from;
    char *vonage_voice_from;
    char *vonage_sms_url;
    char *vonage_api_url;
    /* [timer]: who works alone */
    int64_t timer_answer_ms;
    /* [webhook] */
    char *webhook_secret_file;
    bool webhook_plain;
    /* [vitals] */
    bool vitals_watch;
    int64_t vitals_answer_ms;
    int64_t vitals_quiet_ms;
    int64_t vitals_remind_ms;
    int64_t vitals_keep_ms;
    /* [sensors] */
    char *sensors_file;
    int64_t sensors_backlog; /* bytes */
    int64_t sensors_drain;   /* a second */
    /* [audit] */
    char *audit_keys; /* a JWK Set whose last key signs checkpoints */
} settings;

extern const conf_table settings_table;

#define SETTINGS_DEFAULT_PATH    "/etc/mayday/mayday.conf"
#define SETTINGS_DEFAULT_SENSORS "/etc/mayday/sensors.json"

#endif

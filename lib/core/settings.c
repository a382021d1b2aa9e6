/* settings.c - the rows behind settings.h. */
#include "core/settings.h"

#define ROW(section, key, kind, member, min, max, fallback, help)                                            \
    { section, key, kind, offsetof(settings, member), min, max, fallback, help }

static const conf_row rows[] = {
    ROW("node", "name", CONF_TEXT, node_name, 0, 0, "",
        "The name of this broker in logs, statistics and stored rows. Default: the host's name."),
    ROW("node", "state_dir", CONF_TEXT, state_dir, 0, 0, "/var/lib/mayday",
        "Where small durable state lives: revocations, and what offline durable sessions may read."),

    ROW("token", "keys_file", CONF_TEXT, keys_file, 0, 0, "/etc/mayday/keys.json",
        "A JSON Web Key Set (RFC 7517) with the keys that tokens are verified with. A changed file is taken "
        "up "
        "within a second; a bad one is refused in the log and the last good set stays."),
    ROW("token", "issuer", CONF_TEXT, issuer, 0, 0, "", "When set, a token's 'iss' must equal this."),
    ROW("token", "audience", CONF_TEXT, audience, 0, 0, "",
        "When set, a token's 'aud' must equal this or be a list that holds it."),
    ROW("token", "authorized_parties", CONF_TEXT, authorized_parties, 0, 0, "",
        "When set, a token's 'azp' must be one of these, separated by spaces."),
    ROW("token", "leeway", CONF_DURATION, leeway_ms, 0, 600000, "5s",
        "How far the clocks of issuer and broker may differ when 'exp', 'nbf' and 'iat' are judged."),
    ROW("token", "max_size", CONF_SIZE, token_max, 256, 65535, "8k", "A longer token is refused unread."),
    ROW("token", "required_claims", CONF_TEXT, required_claims, 0, 0, "",
        "Claims that must be present besides the subject, the organisation and 'exp', separated by spaces."),
    ROW("token", "claim_subject", CONF_TEXT, claim_subject, 0, 0, "sub",
        "Which claim says who it is. A dot goes into an object; of several, separated by spaces, the first "
        "present "
        "counts."),
    ROW("token", "claim_org", CONF_TEXT, claim_org, 0, 0, "org",
        "Which claim names the organisation, for "
        "instance 'o.id org_id' for a hosted identity provider."),
    ROW("token", "claim_roles", CONF_TEXT, claim_roles, 0, 0, "roles role",
        "Which claim holds the roles, as an array or as one string; for instance 'o.rol org_role'."),
    ROW("token", "claim_session", CONF_TEXT, claim_session, 0, 0, "sid",
        "Which claim names the login session, for revocation."),
    ROW("token", "role_map", CONF_TEXT, role_map, 0, 0, "",
        "Renames roles as issued to roles of the policy: 'org:admin=admin org:member=member'. A role that is "
        "not "
        "listed keeps its name."),
    ROW("token", "username_is_subject", CONF_BOOL, username_is_subject, 0, 0, "no",
        "Refuse a client whose MQTT username differs from its subject."),

    ROW("access", "policy_file", CONF_TEXT, policy_file, 0, 0, "/etc/mayday/policy.conf",
        "Which role may publish and read which topics. A changed file is taken up within a second; a bad one "
        "is "
        "refused in the log with its line and the last good policy stays."),

    ROW("access", "others_allowed", CONF_BOOL, others_allowed, 0, 0, "no",
        "Clients that did not present a token belong to the broker's other ways to authenticate, and never "
        "see "
        "topics under mayday/. 'yes' lets them use all other topics but $CONTROL; 'no' leaves that to the "
        "broker's own "
        "ACL file, "
        "without which nothing is allowed."),

    ROW("messages", "schema_dir", CONF_TEXT, schema_dir, 0, 0, "/usr/share/mayday/schemas",
        "The JSON Schemas of the messages, one file for each type."),
    ROW("messages", "max_size", CONF_SIZE, payload_max, 1024, 1 << 20, "64k", "A larger payload is refused."),
    ROW("messages", "max_depth", CONF_COUNT, depth_max, 6, 64, "8",
        "A payload nested deeper is refused. Pages of missed messages are six deep."),
    ROW("messages", "clock_skew", CONF_DURATION, clock_skew_ms, 0, 31536000000, "1d",
        "A message dated further ahead of the broker's clock is refused; there is no limit into the past, "
        "because devices queue while offline."),

    ROW("journal", "dir", CONF_TEXT, journal_dir, 0, 0, "/var/lib/mayday/journal",
        "Where accepted messages wait for the database. Put it on a disk whose fdatasync can be trusted."),
    ROW("journal", "segment_size", CONF_SIZE, journal_segment_size, 1 << 20, 1 << 30, "32M",
        "The size of one journal file. One whole segment is always kept back for alerts."),
    ROW("journal", "max_size", CONF_SIZE, journal_max_size, 2 << 20, 0x10000000000, "2G",
        "The most disk the journal takes while the database is away. When it is full telemetry is refused "
        "and, "
        "in the segment kept back, alerts still find room."),
    ROW("journal", "min_free", CONF_SIZE, journal_min_free, 0, 0x10000000000, "256M",
        "Telemetry is refused when the disk would have less than this free."),
    ROW("journal", "flush_interval", CONF_DURATION, journal_flush_ms, 10, 100, "50ms",
        "How often what was not forced to disk at once is forced. At most 100 ms."),

    ROW("database", "writer", CONF_TEXT, database, 0, 0, "dbname=mayday user=mayday_plugin",
        "How the plugin reaches PostgreSQL: a libpq connection string. Keep passwords in a file: "
        "passfile=..."),
    ROW("database", "admin", CONF_TEXT, database_admin, 0, 0, "dbname=mayday user=mayday_owner",
        "How 'mayday migrate' reaches PostgreSQL: as the owner of the schema."),
    ROW("database", "sql_dir", CONF_TEXT, sql_dir, 0, 0, "/usr/share/mayday/sql",
        "Where 'mayday migrate' finds the numbered migrations."),
    ROW("database", "batch_records", CONF_COUNT, batch_records, 1, 100000, "8192",
        "The most records in one transaction."),
    ROW("database", "batch_wait", CONF_DURATION, batch_wait_ms, 0, 10000, "20ms",
        "How long telemetry may wait for company before it is written. Alerts never wait."),
    ROW("database", "retry_max", CONF_DURATION, retry_max_ms, 100, 600000, "10s",
        "The longest pause between attempts to reach a database that is away."),
    ROW("database", "partitions_ahead", CONF_COUNT, partitions_ahead, 1, 366, "7",
        "How many days ahead the tables' partitions are made."),

    ROW("status", "interval", CONF_DURATION, status_interval_ms, 1000, 3600000, "10s",
        "How often the figures under $SYS/broker/mayday/ are published."),

    ROW("incident", "join_window", CONF_DURATION, join_window_ms, 0, 604800000, "6h",
        "A person who raises again within this time of an open incident of theirs joins it."),
    ROW("incident", "grace", CONF_DURATION, grace_ms, 0, 604800000, "15m",
        "How long those who belonged to an incident may still read and write in it after it closed."),
    ROW("incident", "pin_tries", CONF_COUNT, pin_tries, 1, 100, "5",
        "After so many wrong PINs in a row no cancel of that person is taken for pin_lock."),
    ROW("incident", "pin_lock", CONF_DURATION, pin_lock_ms, 1000, 604800000, "15m",
        "How long a person's PIN is locked after too many wrong ones."),

    ROW("timer", "answer_within", CONF_DURATION, timer_answer_ms, 1000, 86400000, "2m",
        "Who asked to be checked on, because they work alone, has so long to answer when their timer has run "
        "out. "
        "Then the alarm is raised for them."),

    ROW("limits", "telemetry", CONF_TEXT, limit_telemetry, 0, 0, "20 200",
        "Locations, vital signs, typing and receipts of one person: messages a second, and how many at once. "
        "What is beyond is refused. Each message type counts for itself, and what had waited on the device "
        "has ten "
        "times this burst for itself. 'off' means no limit."),
    ROW("limits", "talk", CONF_TEXT, limit_talk, 0, 0, "5 500",
        "Chat, inbox, broadcasts, checks and replies: likewise. The burst leaves room for what was queued "
        "offline."),
    ROW("limits", "action", CONF_TEXT, limit_action, 0, 0, "10 500", "Actions and duty: likewise."),
    ROW("limits", "request", CONF_TEXT, limit_request, 0, 0, "1 30",
        "Requests to catch up, and settings: likewise."),
    ROW("limits", "raise", CONF_TEXT, limit_raise, 0, 0, "1 20",
        "A raise is never refused. Beyond this rate a person's repeated presses are journaled like "
        "telemetry, so "
        "that they take neither the disk nor the reserve from the alarms of others."),

    ROW("gateway", "id", CONF_TEXT, gateway_id, 0, 0, "",
        "The name of this gateway: the subject of its tokens. Default: gateway- and the host's name."),
    ROW("gateway", "database", CONF_TEXT, gateway_database, 0, 0, "dbname=mayday user=mayday_gateway",
        "How the gateway reaches PostgreSQL: a libpq connection string."),
    ROW("gateway", "broker_host", CONF_TEXT, broker_host, 0, 0, "127.0.0.1", "The broker it speaks through."),
    ROW("gateway", "broker_port", CONF_COUNT, broker_port, 1, 65535, "1883", "That broker's port."),
    ROW("gateway", "broker_cafile", CONF_TEXT, broker_cafile, 0, 0, "",
        "When set, the connection to the broker is encrypted and its certificate must come from these."),
    ROW("gateway", "signing_keys", CONF_TEXT, gateway_signing_keys, 0, 0, "",
        "A JSON Web Key Set whose last key signs the gateway's own tokens, one for each organisation; its "
        "public "
        "half belongs into keys_file."),
    ROW("gateway", "token_file", CONF_TEXT, gateway_token_file, 0, 0, "",
        "Instead of signing_keys: a file with a token of the role gateway, read again for each connection. "
        "Such a "
        "gateway serves that token's organisation alone."),
    ROW("gateway", "organisations", CONF_TEXT, gateway_orgs, 0, 0, "",
        "The organisations it serves, separated by spaces. Default: all that the database knows."),
    ROW("gateway", "http", CONF_TEXT, gateway_http, 0, 0, "127.0.0.1:8080",
        "Where GET /health and GET /metrics are answered, for whoever can reach it: an address and a port, "
        "'[::1]:8080' for IPv6, ':8080' for all of this machine's. Empty: nowhere."),

    ROW("notify", "sms", CONF_TEXT, notify_sms, 0, 0, "",
        "Who sends texts, in the order they are tried: 'twilio vonage'. Empty: nobody."),
    ROW("notify", "voice", CONF_TEXT, notify_voice, 0, 0, "", "Who makes calls, likewise."),
    ROW("notify", "public_url", CONF_TEXT, notify_public_url, 0, 0, "",
        "How providers reach the gateway's HTTP from outside: 'https://alarm.example.org', without a slash "
        "at its end. "
        "They sign what they send with this address in it. Without it nobody can answer by phone."),
    ROW("notify", "timeout", CONF_DURATION, notify_timeout_ms, 500, 60000, "8s",
        "How long a provider may take to answer one request. Then it is in doubt whether the message went "
        "out."),
    ROW("notify", "concurrency", CONF_COUNT, notify_concurrency, 2, 1000, "64",
        "The most requests under way at once. Routine messages never take more than a quarter, one provider "
        "never more than half."),
    ROW("notify", "rate", CONF_TEXT, notify_rate, 0, 0, "30 60",
        "The most messages to one provider: a second, and at once. Half of it is kept for alerts."),
    ROW("notify", "ring", CONF_DURATION, notify_ring_ms, 5000, 120000, "30s", "How long a phone rings."),
    ROW("notify", "validity", CONF_DURATION, notify_validity_ms, 60000, 36000000, "1h",
        "What could not be sent or delivered in this time is not any more."),
    ROW("notify", "emergency_numbers", CONF_TEXT, notify_emergency, 0, 0, "",
        "Numbers of emergency services that may be dialled, in full, separated by spaces: '+27112'. All "
        "others are "
        "refused, because a false alarm there costs somebody else the line."),
    ROW("notify", "lang", CONF_TEXT, notify_lang, 0, 0, "en",
        "The language of texts and calls for people who did not say theirs, and for what has no "
        "translation."),
    ROW("notify", "map_url", CONF_TEXT, notify_map_url, 0, 0, "https://maps.google.com/?q={lat},{lon}",
        "The link that shows a position in a text."),
    ROW("notify", "cafile", CONF_TEXT, notify_cafile, 0, 0, "",
        "When set, providers' certificates must come from these authorities instead of the system's."),
    ROW("notify", "trouble_after", CONF_DURATION, notify_trouble_ms, 1000, 86400000, "30s",
        "When the broker or the database has been away for so long, those whom an organisation's plan names "
        "for trouble are told; and once more when it is back. At most once an hour."),

    ROW("twilio", "account_sid", CONF_TEXT, twilio_account, 0, 0, "",
        "The account: 'AC' and 32 hexadecimal digits."),
    ROW("twilio", "token_file", CONF_TEXT, twilio_token_file, 0, 0, "",
        "A file with the account's auth token."),
    ROW("twilio", "sms_from", CONF_TEXT, twilio_sms_from, 0, 0, "",
        "Who texts come from, by the country they go to: '+1=+15551230000 +27=MAYDAY *=+447700900000'. A "
        "number, a name "
        "where the country allows it, or a messaging service (MG...)."),
    ROW("twilio", "voice_from", CONF_TEXT, twilio_voice_from, 0, 0, "",
        "Who calls come from, likewise; numbers only."),
    ROW("twilio", "url", CONF_TEXT, twilio_url, 0, 0, "https://api.twilio.com", "The provider's address."),

    ROW("vonage", "api_key", CONF_TEXT, vonage_key, 0, 0, "", "The account's key."),
    ROW("vonage", "secret_file", CONF_TEXT, vonage_secret_file, 0, 0, "",
        "A file with the account's secret."),
    ROW("vonage", "signature_file", CONF_TEXT, vonage_signature_file, 0, 0, "",
        "A file with the account's signature secret, by which its webhooks are known."),
    ROW("vonage", "application_id", CONF_TEXT, vonage_application, 0, 0, "",
        "The application that makes calls."),
    ROW("vonage", "private_key_file", CONF_TEXT, vonage_private_key, 0, 0, "",
        "That application's private key, PEM."),
    ROW("vonage", "sms_from", CONF_TEXT, vonage_sms_from, 0, 0, "",
        "Who texts come from; see [twilio] sms_from."),
    ROW("vonage", "voice_from", CONF_TEXT, vonage_voice_from, 0, 0, "", "Who calls come from; numbers only."),
    ROW("vonage", "sms_url", CONF_TEXT, vonage_sms_url, 0, 0, "https://rest.nexmo.com",
        "The address of its texts."),
    ROW("vonage", "api_url", CONF_TEXT, vonage_api_url, 0, 0, "https://api.nexmo.com",
        "The address of its calls and reports."),

    ROW("webhook", "secret_file", CONF_TEXT, webhook_secret_file, 0, 0, "",
        "A file with the secret that signs what goes to the webhooks of a plan."),
    ROW("webhook", "plain_http", CONF_BOOL, webhook_plain, 0, 0, "no",
        "Allow webhooks at http: addresses. Only within a network of your own."),

    ROW("vitals", "watch", CONF_BOOL, vitals_watch, 0, 0, "yes",
        "Watch the vital signs that people's sensors send, by the rules of their organisation ('mayday "
        "vitals "
        "rules')."),
    ROW("vitals", "answer_within", CONF_DURATION, vitals_answer_ms, 1000, 3600000, "60s",
        "Somebody whose vital signs give cause for concern is asked whether they are OK. Without an answer "
        "in "
        "this time the alarm is raised for them."),
    ROW("vitals", "quiet", CONF_DURATION, vitals_quiet_ms, 0, 86400000, "15m",
        "Who has answered that they are OK is not asked again for so long, unless it gets worse."),
    ROW("vitals", "remind", CONF_DURATION, vitals_remind_ms, 0, 3600000, "20s",
        "The question is repeated so often while there is no answer; 0: never."),
    ROW("vitals", "keep", CONF_DURATION, vitals_keep_ms, 1000, 86400000, "5m",
        "What is known of each person is kept in the database so often, for a gateway that takes over."),

    ROW("sensors", "file", CONF_TEXT, sensors_file, 0, 0, SETTINGS_DEFAULT_SENSORS,
        "The sensors that this gateway reads, and whose they are; a SIGHUP takes up what has changed. "
        "Without "
        "this file "
        "it reads none."),
    ROW("sensors", "backlog", CONF_SIZE, sensors_backlog, 1 << 20, INT64_C(1) << 40, "256M",
        "What is sensed while the broker is away waits in the gateway's state_dir, in so much room at most; "
        "then "
        "every second sample of its oldest part makes way."),
    ROW("sensors", "drain", CONF_COUNT, sensors_drain, 1, 100000, "2000",
        "When the broker is back, so many a second of what waited are sent, beside what is live; fewer on a "
        "slow "
        "link."),

    ROW("audit", "signing_keys", CONF_TEXT, audit_keys, 0, 0, "",
        "A JSON Web Key Set whose last key signs the checkpoints of the audit trail. Without it there are "
        "none, "
        "and whoever may write to the database can rewrite the trail as a whole."),
};

const conf_table settings_table = {rows, ARRAY_LEN(rows)};

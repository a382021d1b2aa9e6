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
    ROW("messages", "max_depth", CONF_COUNT, depth_max, 4, 64, "8", "A payload nested deeper is refused."),
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
};

const conf_table settings_table = {rows, ARRAY_LEN(rows)};

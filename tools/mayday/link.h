/* link.h - what the networked commands share: the options that say which broker and as whom, the token, and
 * one connection made with them. Threads: one. */
#ifndef MAYDAY_TOOLS_LINK_H
#define MAYDAY_TOOLS_LINK_H

#include "command.h"
#include "mqtt.h"
#include "base/uuid.h"

enum {
    LINK_HOST = 1000,
    LINK_PORT,
    LINK_WS,
    LINK_TLS,
    LINK_CAFILE,
    LINK_V311,
    LINK_TOKEN_FILE,
    LINK_SUB,
    LINK_ORG,
    LINK_ROLE,
    LINK_KEYS
};

/* Rows for getopt_long; give what it returns to link_option(). */
#define LINK_BROKER_OPTIONS                                                                                  \
    {"host", required_argument, NULL, LINK_HOST}, {"port", required_argument, NULL, LINK_PORT},              \
        {"ws", no_argument, NULL, LINK_WS}, {"tls", no_argument, NULL, LINK_TLS},                            \
        {"cafile", required_argument, NULL, LINK_CAFILE}, {"v311", no_argument, NULL, LINK_V311},            \
        {"org", required_argument, NULL, LINK_ORG}, {                                                        \
        "keys", required_argument, NULL, LINK_KEYS                                                           \
    }
#define LINK_WHO_OPTIONS                                                                                     \
    {"token-file", required_argument, NULL, LINK_TOKEN_FILE}, {"sub", required_argument, NULL, LINK_SUB}, {  \
        "role", required_argument, NULL, LINK_ROLE                                                           \
    }

#define LINK_BROKER_HELP                                                                                     \
    "Which broker:\n"                                                                                        \
    "  --host NAME        default: $MQTT_HOST, or 127.0.0.1\n"                                               \
    "  --port N           default: $MQTT_PORT, or 1883\n"                                                    \
    "  --ws               speak MQTT over WebSockets\n"                                                      \
    "  --tls              encrypt, and check the broker's certificate and name\n"                            \
    "  --cafile FILE      the certificates to trust with --tls (default: the system's)\n"                    \
    "  --v311             speak MQTT 3.1.1 instead of MQTT 5\n"

#define LINK_WHO_HELP                                                                                        \
    "As whom:\n"                                                                                             \
    "  --token-file FILE  a file with the token (default: $MAYDAY_TOKEN_FILE); or, where the signing keys\n" \
    "                     are at hand, a token is minted for the occasion from\n"                            \
    "  --sub NAME         the person,\n"                                                                     \
    "  --org NAME         the organisation,\n"                                                               \
    "  --role NAMES       the roles, separated by commas (default: member), and\n"                           \
    "  --keys FILE        the JWK Set whose last key signs (default: signing-keys.json beside the\n"         \
    "                     configured keys_file)\n"

typedef struct link_options {
    const char *host; /* all borrowed, from the arguments and the environment */
    const char *cafile, *token_file, *sub, *org, *role, *keys;
    int port;
    bool ws, tls, v311;
} link_options;

void link_defaults(link_options *ret_options);

typedef enum link_parsed {
    LINK_UNKNOWN = 0, /* not one of these options */
    LINK_TAKEN,
    LINK_BAD, /* complained about already */
} link_parsed;
link_parsed link_option(const command *c, link_options *o, int option, const char *value);

/* Who a token speaks for: read from its payload, which is the broker's to verify. Owned texts. */
typedef struct identity {
    char *token;
    char *sub, *org;
    char *roles; /* separated by spaces */
} identity;

void identity_release(identity *who); /* fits CLEANUP */

/* The token of the options, or a minted one. An exit code; complains itself. `fallback_role` is minted when
 * there is no --role. */
NODISCARD int link_identity(const command *c, const char *config_path, const link_options *o,
                            const char *fallback_role, identity *ret_who);

/* Connects as `who` with the client id "<sub>/<purpose>-<random>" and waits for it. EXIT_DONE,
 * EXIT_REFUSED or EXIT_UNREACHABLE, complaining itself. */
NODISCARD int link_connect(const command *c, mqtt_hub *hub, const link_options *o, const identity *who,
                           const char *purpose, mqtt_client **ret_client);

/* The MQTT options that follow from these; `client_id` and what is in `who` are borrowed. */
mqtt_options link_mqtt(const link_options *o, const identity *who, const char *client_id);

/* Subscribes and waits. ret_granted[i] tells for each filter. Messages that come meanwhile are not lost only
 * because none can come before the subscription. EXIT_DONE or EXIT_UNREACHABLE. */
NODISCARD int link_subscribe(const command *c, mqtt_hub *hub, mqtt_client *client, const char *const *filters,
                             size_t count, bool ret_granted[]);

uuid link_new_id(void); /* a fresh UUIDv7 */

#endif

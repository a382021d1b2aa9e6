/* inside.h - what services/sender.c and the files of sending share; nobody else includes it.
 *
 * An errand is one request to a provider: a message that is sent, a look into its list for one in doubt, or a
 * question what became of one. What comes of errands is kept in `results`, as the rows that the database's
 * functions take, until they are stored; so a connection to the database that is lost meanwhile costs
 * nothing. Threads: the sender's own. */
#ifndef MAYDAY_GATEWAY_SENDING_INSIDE_H
#define MAYDAY_GATEWAY_SENDING_INSIDE_H

#include "base/uuid.h"
#include "gateway/sending/carriers.h"
#include "gateway/sending/client.h"
#include "gateway/service.h"
#include "gateway/sending/speech.h"

#define SEARCHES_MAX 16 /* under way at once, besides what is sent */
#define ASKS_MAX     8

/* Rows for one function of the database. */
typedef struct results {
    char **rows; /* JSON objects */
    size_t count, capacity;
    size_t kept; /* of those, from the first on: in our own store, too */
} results;

/* Takes `row` over. Out of memory: it is dropped, and the errand is found again as an orphan. */
void results_add(results *r, json *row);
void results_add_id(results *r, const char *id);
void results_release(results *r);

typedef enum errand_kind {
    ERRAND_SEND = 0,
    ERRAND_SEARCH,
    ERRAND_ASK,
} errand_kind;

typedef struct sender sender;

typedef struct errand {
    sender *owner;
    errand_kind what;
    char id[UUID_TEXT_LEN + 1], attempt[UUID_TEXT_LEN + 1];
    const provider *row;
    carrier *by;  /* ERRAND_SEND */
    bool trying;  /* for carriers_ended() */
    bool refused; /* by the database: it has failed there */
    int rank;
    char *to, *body, *lang, *menu, *reference; /* NULL: not needed */
    int64_t validity_ms;
    instant since; /* of the attempt in doubt; when what is asked about was sent */
    carrier_try tries[TRIES_MAX];
    size_t try_count;
    provider_request request;
    struct errand *previous, *next;
} errand;

errand *errand_new(sender *x, errand_kind what, const char *id);
void errand_free(errand *e); /* takes it out of the sender's list */
provider_message errand_message(const errand *e);
size_t read_tries(const json *tried, carrier_try tries[TRIES_MAX]);

struct sender {
    service_context *s; /* of the step that runs */
    client *client;
    carriers carriers;
    speech speech;
    buf orgs; /* that are served, as an array; empty: all */
    errand *errands;
    size_t searching, asking;
    results ended, settled, receipts; /* rows for end_attempts(), settle_doubts(), settle_receipts_asked() */
    results notified, delivered;      /* ids for mark_reached() */
    bool shelved;                     /* some of `ended` are in our own store, too */
    bool look;                        /* something may be due */
    int64_t look_at;                  /* likewise, from then on */
    int64_t orphans_at, state_at;
    bool missed[4]; /* said that nobody is configured, by kind */
};

int64_t sender_clock_ms(void);
const char *sender_orgs(const sender *x);                               /* NULL: all */
NODISCARD int put_text(json *row, const char *name, const char *value); /* NULL: leaves it out */

/* sending/claim.c: takes what is due and sends it. */
NODISCARD pg_verdict sender_claim(sender *x);

/* sending/outcome.c: what came of it. */
client_done sender_done_of(errand_kind what);
void sender_not_sent(errand *e, const char *why); /* it never left */
NODISCARD pg_verdict sender_store(sender *x, pg *c);
void sender_keep(sender *x);   /* what can't be stored now outlives the gateway in its own store */
void sender_recall(sender *x); /* what was kept by whoever was here before */

/* sending/doubt.c: asks providers. */
NODISCARD pg_verdict sender_find_orphans(sender *x);
NODISCARD pg_verdict sender_search(sender *x);
NODISCARD pg_verdict sender_ask(sender *x);
void sender_found(errand *e, const provider_reply *reply);
void sender_told(errand *e, const provider_reply *reply);

#endif

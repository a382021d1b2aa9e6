/* pin.h - PINs: hashed with a salt by PBKDF2-HMAC-SHA-256 (RFC 8018), compared in constant time.
 * A PIN has few digits, so a hash only slows down whoever steals the database; what stops guessing is the
 * lock after a few wrong ones, which the caller keeps. Spelled "pbkdf2-sha256$<rounds>$<salt hex>$<hash
 * hex>". Threads: no state; the salt comes from OpenSSL. */
#ifndef MAYDAY_CORE_PIN_H
#define MAYDAY_CORE_PIN_H

#include "base/text.h"

#define PIN_HASH_MAX 160
#define PIN_ROUNDS   20000

typedef enum pin_verdict {
    PIN_WRONG = 0,
    PIN_RIGHT,
    PIN_DURESS,
} pin_verdict;

/* Returns 0 or -ENOMEM (also when OpenSSL fails, or for a PIN of more than 1024 bytes). */
NODISCARD int pin_hash(text pin, char ret_hash[PIN_HASH_MAX]);

/* `hash`: as pin_hash() spelled it; an empty or damaged one fits nothing. */
bool pin_fits(text pin, text hash);

/* Which of the two it is; both are always tried, so that the time tells nothing. Whoever has the same PIN for
 * both is under duress: help that comes in vain does less harm. */
pin_verdict pin_judge(text pin, text hash, text duress_hash);

#endif

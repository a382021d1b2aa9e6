/* schema_number.c - numbers compared and divided without rounding. An int64_t holds more digits than a
 * double, and 0.07 is a multiple of 0.01 only in decimal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "msg/schema_private.h"

number number_of(const json *value) {
    if (json_kind_of(value) == JSON_INTEGER)
        return (number){true, json_integer(value), (double)json_integer(value)};
    return (number){false, 0, json_number(value)};
}

static int compare_whole(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

/* An int64_t against a double, without rounding either. */
static int compare_mixed(int64_t a, double b) {
    if (b >= 0x1p63)
        return -1;
    if (b < -0x1p63)
        return 1;
    double whole = trunc(b);
    int order = compare_whole(a, (int64_t)whole);
    return order != 0 ? order : (b < whole) - (b > whole);
}

int number_compare(number a, number b) {
    if (a.whole && b.whole)
        return compare_whole(a.integer, b.integer);
    if (a.whole)
        return compare_mixed(a.integer, b.real);
    if (b.whole)
        return -compare_mixed(b.integer, a.real);
    return (a.real > b.real) - (a.real < b.real);
}

decimal decimal_of(number n) {
    decimal d = {0};
    if (n.whole) {
        d.digits = n.integer < 0 ? -(uint64_t)n.integer : (uint64_t)n.integer;
    } else {
        char shortest[40];
        for (int precision = 14; precision <= 16; precision++) {
            (void)snprintf(shortest, sizeof shortest, "%.*e", precision, fabs(n.real));
            if (strtod(shortest, NULL) == fabs(n.real))
                break;
        }
        const char *c = shortest;
        for (bool fraction = false; *c && *c != 'e'; c++) {
            if (*c < '0' || *c > '9') {
                fraction = true; /* the point of whatever locale */
                continue;
            }
            d.digits = d.digits * 10 + (uint64_t)(*c - '0');
            d.power -= fraction;
        }
        d.power += *c ? (int)strtol(c + 1, NULL, 10) : 0;
    }
    for (; d.digits != 0 && d.digits % 10 == 0; d.digits /= 10)
        d.power++;
    return d;
}

bool decimal_divides(decimal divisor, decimal of) {
    __extension__ typedef unsigned __int128 wide;
    if (of.digits == 0)
        return true;
    int power = of.power - divisor.power;
    if (power < 0) { /* of.digits has no factor 10 left to give, so only a small divisor could do */
        wide scaled = divisor.digits;
        for (; power < 0 && scaled <= of.digits; power++)
            scaled *= 10;
        return power == 0 && of.digits % scaled == 0;
    }
    wide rest = of.digits % divisor.digits;
    for (; power > 0 && rest != 0; power--)
        rest = rest * 10 % divisor.digits;
    return rest == 0;
}

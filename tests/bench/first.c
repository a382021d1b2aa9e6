/* first.c - how long until a broker serves: tries to connect every millisecond, then publishes one location
 * and waits for its PUBACK. The clock starts with the program, which tools/bench runs beside the broker. */
#include "forge.h"
#include "histogram.h"
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static bool listens(const load_options *o) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(o->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, o->host, &to.sin_addr) != 1)
        fail("cannot try the broker: %s", strerror(errno));
    bool connected = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
    close(fd);
    return connected;
}

static void wait_until_it_listens(const load_options *o, int64_t until) {
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!listens(o)) {
        if (clock_ns() > until)
            fail("the broker did not listen in time");
        nanosleep(&pause, NULL);
    }
}

static void take(loop *l, conn *k, const wire_packet *packet) {
    bool *acknowledged = l->mode;
    (void)k;
    if (wire_code(packet, l->options->version) >= 0x80)
        fail("the first message was refused, code %d", wire_code(packet, l->options->version));
    *acknowledged = packet->type == WIRE_PUBACK;
}

static void run(const load_options *o) {
    int64_t begun = clock_ns(), until = begun + (int64_t)(o->patience * 1e9);
    bool acknowledged = false;
    forge f;
    crowd people = crowd_gather(o->credentials, 1, "mayday/v1/bench/user/u%d/location");
    loop l = loop_make(o, 1, (conn_events){.packet = take}, &acknowledged);
    if (forge_start(&f) != 0)
        fail("cannot start: %s", strerror(errno));
    wait_until_it_listens(o, until);
    int64_t listening = clock_ns();
    loop_open_all(&l, &people, 1);
    int64_t up = clock_ns();
    wire_publish(&l.conns[0].out, o->version, people.people[0].topic, forge_location(&f), 1, 1);
    conn_flush(&l, &l.conns[0]);
    while (!acknowledged) {
        loop_turn(&l, 100);
        if (clock_ns() > until)
            fail("the broker accepted a client but did not acknowledge its message in time");
    }
    printf("{\"mode\":\"first\",\"listening_ms\":%.1f,\"connack_ms\":%.1f,\"puback_ms\":%.1f}\n",
           (double)(listening - begun) / 1e6, (double)(up - begun) / 1e6, (double)(clock_ns() - begun) / 1e6);
    loop_leave_all(&l);
    loop_release(&l);
    crowd_release(&people);
}

const load_mode load_mode_first = {
    "first",
    "how long until a starting broker acknowledges a first message",
    {.connections = 1, .window = 1},
    run,
};

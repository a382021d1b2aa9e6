/* verdicts.c - judges JSON lines by one schema: `verdicts <schema.json>`; for each line of standard input, a
 * line with 1 (valid) or 0 on standard output. A line that is no JSON ends the run: it would compare nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "msg/schema.h"

int main(int argc, char **argv) {
    CLEANUP(schema_freep) schema *rules = NULL;
    CLEANUP(freep) char *line = NULL;
    char why[SCHEMA_READ_WHY_MAX];
    size_t room = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s <schema.json>\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (schema_read(argv[1], &rules, why) < 0) {
        fprintf(stderr, "%s\n", why);
        return EXIT_FAILURE;
    }
    for (ssize_t len; (len = getline(&line, &room, stdin)) > 0;) {
        CLEANUP(json_freep) json *value = NULL;
        json_verdict verdict = json_parse_once((text){line, (size_t)len}, &value);
        if (verdict != JSON_OK) {
            fprintf(stderr, "%s: %s", json_verdict_name(verdict), line);
            return EXIT_FAILURE;
        }
        puts(schema_accepts(rules, value, NULL) ? "1" : "0");
    }
    return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

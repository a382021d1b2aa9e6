/* replay.c - runs a fuzz target once on every file of the folders named on the command line, in builds
 * without libFuzzer. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
    CLEANUP(buf_release) buf content = BUF(16 << 20);
    if (file_read(path, content.limit, &content) < 0)
        return 1;
    (void)LLVMFuzzerTestOneInput((const uint8_t *)buf_text(&content).ptr, content.len);
    return 0;
}

int main(int argc, char **argv) {
    int files = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        for (struct dirent *entry; (entry = readdir(folder));) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            failed += replay_file(path);
            files++;
        }
        closedir(folder);
    }
    printf("%d inputs replayed, %d unreadable\n", files, failed);
    return files > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

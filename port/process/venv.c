/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/venv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "value/python.h" /* PY_MAJOR_VERSION, PY_MINOR_VERSION */

/* "version = 3.11.2", or virtualenv's "version_info = 3.11.2.final.0".
 * True when the line says the version. */
static bool read_version(const char *line, int *major, int *minor)
{
    return sscanf(line, " version = %d.%d", major, minor) == 2 ||
           sscanf(line, " version_info = %d.%d", major, minor) == 2;
}

/* An environment that does not say its version is accepted. */
static int check_version(FILE *cfg, const char *dir, struct err *err)
{
    char line[1024];
    int major = PY_MAJOR_VERSION, minor = PY_MINOR_VERSION;

    while (fgets(line, sizeof line, cfg) && !read_version(line, &major, &minor))
        ;
    if (major == PY_MAJOR_VERSION && minor == PY_MINOR_VERSION)
        return 0;
    return err_set(err,
                   "venv %s is of Python %d.%d, but pyport has %d.%d "
                   "in it: make one by python%d.%d -m venv",
                   dir, major, minor, PY_MAJOR_VERSION, PY_MINOR_VERSION,
                   PY_MAJOR_VERSION, PY_MINOR_VERSION);
}

int venv_interpreter(const char *dir, char *path, size_t size, struct err *err)
{
    snprintf(path, size, "%s/pyvenv.cfg", dir);
    FILE *cfg = fopen(path, "re");
    if (!cfg)
        return err_set(err,
                       "venv %s is no virtual environment: cannot read its "
                       "pyvenv.cfg: %s",
                       dir, strerror(errno));
    int rc = check_version(cfg, dir, err);
    fclose(cfg);
    if (rc < 0)
        return -1;
    int n = snprintf(path, size, "%s/bin/python3", dir);
    if (n < 0 || (size_t)n >= size || access(path, X_OK) < 0)
        return err_set(err, "venv %s has no bin/python3", dir);
    return 0;
}

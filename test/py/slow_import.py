# SPDX-License-Identifier: Apache-2.0
"""Takes a while to be imported, and says each time that it is."""

import time

import crew

crew.imports.append(None)
for _ in range(150):
    time.sleep(0.001)


def get():
    return len(crew.imports)

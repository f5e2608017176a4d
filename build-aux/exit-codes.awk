# SPDX-License-Identifier: Apache-2.0
# Reads port/wire/protocol.h, whose exit codes are one line each:
#     X(EXIT_USAGE,    64, "what it means") \
# and prints include/py_exit.hrl:
#     -define(EXIT_USAGE, 64). % what it means

BEGIN {
    print "%% Made from port/wire/protocol.h, where the exit codes are listed."
}

/^ *X\(EXIT_[A-Z_]+, *[0-9]+, *".*"\)/ {
    split($0, quoted, "\"")
    sub(/^ *X\(/, "")
    split($0, field, /, */)
    printf "-define(%s, %d). %% %s\n", field[1], field[2], quoted[2]
    found++
}

END {
    if (!found) {
        print "exit-codes.awk: no exit codes found" >"/dev/stderr"
        exit 1
    }
}

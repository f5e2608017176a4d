# SPDX-License-Identifier: Apache-2.0
# Reads port/wire/protocol.h and prints include/py_protocol.hrl:
#     #define TICK_MS 10                            -define(TICK_MS, 10).
#     X(EXIT_USAGE,    64, "what it means") \       -define(EXIT_USAGE, 64). % …
#     X(ok) X(error) … in PROTOCOL_ATOMS            -define(PROTOCOL_ATOMS, […]).

BEGIN {
    print "%% Made from port/wire/protocol.h."
}

/^#define [A-Z_]+ [0-9]+$/ {
    printf "-define(%s, %d).\n", $2, $3
    numbers++
}

/^ *X\(EXIT_[A-Z_]+, *[0-9]+, *".*"\)/ {
    split($0, quoted, "\"")
    sub(/^ *X\(/, "")
    split($0, field, /, */)
    printf "-define(%s, %d). %% %s\n", field[1], field[2], quoted[2]
    codes++
}

/^#define PROTOCOL_ATOMS\(X\)/ {
    in_atoms = 1
    next
}

in_atoms {
    rest = $0
    while (match(rest, /X\([a-z_]+\)/)) {
        list = list (atoms++ ? ", " : "") \
            "'" substr(rest, RSTART + 2, RLENGTH - 3) "'"
        rest = substr(rest, RSTART + RLENGTH)
    }
    in_atoms = /\\$/
}

END {
    printf "-define(PROTOCOL_ATOMS, [%s]).\n", list
    if (!numbers || !codes || !atoms) {
        print "protocol.awk: numbers, codes or atoms not found" >"/dev/stderr"
        exit 1
    }
}

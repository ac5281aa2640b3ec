#!/usr/bin/env bash
# usage: export_tls.sh READELF LIBRARY
# Thread-local data of the library: little of it, because a library that comes by dlopen shares the linker's static reserve
# (512 bytes for all that are optional) with others; and none by the dynamic models, whose access calls malloc.
set -u
readelf=$1 library=$2
limit=256
bytes=$("$readelf" -lW "$library" | awk '$1 == "TLS" { print $6 }')
n_bad=0

if [ -z "$bytes" ] || [ $((bytes)) -gt "$limit" ]; then
    echo "thread-local data: ${bytes:-none found}, at most $limit bytes wanted"
    n_bad=1
fi
if "$readelf" -rW "$library" | grep -E 'DTPMOD|DTPOFF|TLSDESC'; then
    echo "thread-local data by a dynamic model"
    n_bad=1
fi
# Binutils say so with a flag on x86-64, and with nothing but the relocation on aarch64.
if ! "$readelf" -dW "$library" | grep -q 'STATIC_TLS' && ! "$readelf" -rW "$library" | grep -q 'TLS_TPREL64'; then
    echo "the library does not say that it uses static thread-local data"
    n_bad=1
fi
exit "$n_bad"

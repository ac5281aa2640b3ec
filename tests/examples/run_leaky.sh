#!/usr/bin/env bash
# usage: run_leaky.sh GCRUN LEAKY
# What README.md shows: 4 GiB allocated and never freed must stay below 256 MiB resident, with all that is alive intact.
out=$("$1" "$2" 4) || { echo "status $?: $out"; exit 1; }
echo "$out"
[[ $out =~ at\ most\ ([0-9]+)\ MiB ]] && [ "${BASH_REMATCH[1]}" -lt 256 ]

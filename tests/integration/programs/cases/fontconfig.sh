# fontconfig's own tools: patterns and character sets that refer to their parts by distance, caches written and mapped.
needs="fc-list fc-match fc-cache fc-query"
stress=3
case_run() {
    export XDG_CACHE_HOME=$PWD/cache
    pre fc-cache -f
    pre fc-match -a sans
    pre fc-match -v 'mono:bold:lang=de:size=11'
    pre fc-list : family style charset | sort
    # shellcheck disable=SC2046
    pre fc-query $(fc-list : file | sed 's/: *$//' | sort | head -3)
}

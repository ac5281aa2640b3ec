# A PostScript program of 40 pages rendered to bitmaps and to PDF, and that PDF rendered again.
needs="gs"
stress=100
limit_s=120
case_setup() {
    {
        echo '%!PS'
        for p in $(seq 40); do
            cat <<PS
/Helvetica findfont $((p % 20 + 8)) scalefont setfont
1 1 60 { /i exch def gsave i 9 mul 40 translate i 6 mul rotate 0 0 moveto (page $p line ) show i 8 string cvs show grestore } for
/d 300 dict def 1 1 300 { dup 20 string cvs cvn exch dup mul d 3 1 roll put } for
0 1 40 { /k exch def newpath k 12 mul $((p * 13 % 400)) moveto 100 k 200 300 k 10 mul 500 curveto k 41 div 0.3 1 k 41 div sub setrgbcolor stroke } for
showpage
PS
        done
    } >pages.ps
}
case_run() {
    local quiet="-q -dNOPAUSE -dBATCH -dSAFER"
    # shellcheck disable=SC2086
    pre gs $quiet -sDEVICE=ppmraw -r50 -sOutputFile=p%02d.ppm "$work/pages.ps" && cat p*.ppm | cksum
    # shellcheck disable=SC2086
    pre gs $quiet -sDEVICE=pdfwrite -sOutputFile=all.pdf "$work/pages.ps"
    # shellcheck disable=SC2086
    pre gs $quiet -sDEVICE=pgmraw -r40 -sOutputFile=q%02d.pgm all.pdf && cat q*.pgm | cksum
    # shellcheck disable=SC2086
    pre gs $quiet -sDEVICE=nullpage -c nosuchoperator >error.txt; head -3 error.txt
}

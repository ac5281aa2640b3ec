# A picture (SVG) of one table, from the lines that `run` writes. Any POSIX awk.
#   -v group=macro|real|gc   -v what=time|memory   -v clock=elapsed|cpu
# One bar for each program and library: the median over the rounds of the ratio to the base (glibc, else the first
# library seen), taken within each round, as in the table. Bars longer than LONGEST are cut, which two white strokes show;
# their figures are not. Each library has its color by its place, but this one is red in every picture.
# A library that failed once on a program gets the word instead of a bar.

BEGIN {
    FS = ","
    LONGEST = 3
    UNIT = 150 # of width for a ratio of 1
    LEFT = 130
    BAR = 12
    GAP = 10
    TOP = 58
    n_colors = split("#7f7f7f #1f77b4 #ff7f0e #9467bd #2ca02c #8c564b #17becf #bcbd22 #e8a0a0 #6b4c9a", colors, " ")
    OWN = "gcmalloc"
    OWN_COLOR = "#d62728"
    HALO = "stroke=\"#ffffff\" stroke-width=\"3\" paint-order=\"stroke\"" # no line of the scale runs through a figure
}

$1 == "group" || /^#/ || NF < 11 || $1 != group { next }

{
    if (!($2 in program_seen)) {
        program_seen[$2] = 1
        programs[++n_programs] = $2
    }
    if (!($4 in library_seen)) {
        library_seen[$4] = 1
        libraries[++n_libraries] = $4
    }
    if ($5 > n_rounds)
        n_rounds = $5 + 0
    ran[$2, $4] = 1
    if ($9 != "ok")
        failed[$2, $4] = 1
    else
        value[$2, $4, $5] = what == "memory" ? $8 : clock == "cpu" ? $7 : $6
}

END {
    if (n_programs == 0)
        exit 1
    base = "glibc" in library_seen ? "glibc" : libraries[1]
    for (p = 1; p <= n_programs; p++)
        if ((programs[p], base) in ran)
            shown[++n_shown] = programs[p]
    height = TOP + 20
    for (p = 1; p <= n_shown; p++)
        height += bars_of(shown[p]) * BAR + GAP
    width = LEFT + LONGEST * UNIT + 70
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" " \
           "font-size=\"11\">\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", width, height, width, height
    title = what == "memory" ? "Peak resident memory" : clock == "cpu" ? "Processor time" : "Elapsed time"
    text(LEFT, 18, title ", " group ": ratio to " base " (less is better)", "font-weight=\"bold\"")
    legend()
    scale(height)
    y = TOP
    for (p = 1; p <= n_shown; p++)
        y = program_draw(shown[p], y)
    print "</svg>"
}

function escaped(s) {
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    gsub(/>/, "\\&gt;", s)
    return s
}

function text(x, y, s, more) {
    printf "<text x=\"%d\" y=\"%d\" fill=\"#222222\" %s>%s</text>\n", x, y, more, escaped(s)
}

function bars_of(program,    l, n) {
    for (l = 1; l <= n_libraries; l++)
        n += (program, libraries[l]) in ran
    return n
}

function color(l,    i, n) {
    if (libraries[l] == OWN)
        return OWN_COLOR
    for (i = 1; i <= l; i++)
        n += libraries[i] != OWN
    return colors[(n - 1) % n_colors + 1]
}

# What a bar that is cut at x lacks.
function cut_draw(x, y,    i) {
    for (i = 0; i < 2; i++)
        printf "<path d=\"M%d %d l4 %d\" stroke=\"#ffffff\" stroke-width=\"2\"/>\n", x - 14 + 5 * i, y + BAR - 1, -BAR
}

function legend(    l, x) {
    x = LEFT
    for (l = 1; l <= n_libraries; l++) {
        printf "<rect x=\"%d\" y=\"27\" width=\"9\" height=\"9\" fill=\"%s\"/>\n", x, color(l)
        text(x + 12, 35, libraries[l], "font-size=\"10\"")
        x += 22 + 6 * length(libraries[l])
    }
}

function scale(height,    ratio) {
    for (ratio = 0; ratio <= LONGEST; ratio += 0.5) {
        printf "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"%s\"/>\n", LEFT + ratio * UNIT, TOP - 6,
               LEFT + ratio * UNIT, height - 10, ratio == 1 ? "#888888" : "#e4e4e4"
        text(LEFT + ratio * UNIT - 6, TOP - 9, sprintf("%.1f", ratio), "font-size=\"9\"")
    }
}

function median_ratio(program, library,    r, n, list, x, i) {
    for (r = 1; r <= n_rounds; r++) {
        if (!((program, library, r) in value) || value[program, base, r] + 0 == 0)
            continue
        x = value[program, library, r] / value[program, base, r]
        for (i = ++n; i > 1 && list[i - 1] > x; i--)
            list[i] = list[i - 1]
        list[i] = x
    }
    return n == 0 ? -1 : n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function program_draw(program, y,    l, ratio, cut) {
    text(8, y + 10, program, "")
    for (l = 1; l <= n_libraries; l++) {
        if (!((program, libraries[l]) in ran))
            continue
        ratio = (program, libraries[l]) in failed ? -1 : median_ratio(program, libraries[l])
        cut = ratio > LONGEST ? LONGEST : ratio
        if (ratio < 0) {
            text(LEFT + 4, y + 9, libraries[l] ": FAILED", "font-size=\"9\"")
        } else {
            printf "<rect class=\"bar\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LEFT, y, \
                   cut * UNIT, BAR - 2, color(l)
            if (cut < ratio)
                cut_draw(LEFT + cut * UNIT, y)
            text(LEFT + cut * UNIT + 4, y + 9, sprintf("%.2f", ratio), "font-size=\"9\" " HALO)
        }
        y += BAR
    }
    return y + GAP
}

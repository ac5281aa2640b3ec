# Tables from the lines that `run` writes. Any POSIX awk.
#   -v format=text|md   -v clock=elapsed|cpu
#   -v order="glibc mimalloc ..."   the columns; the base is glibc, else the first
#   -v losses=NAME                  also lists where this library is behind the best of the others
# For macro, real and gc: time and peak resident memory as ratios to the base. A ratio is taken within each round,
# then the median over the rounds; the spread (±) is half the distance between the quartiles. The geometric mean
# is over the programs that both the base and the library survived, and their number stands below it.
# For all groups: the programs' own metrics, median of the absolute values.
# One FAILED run makes the cell FAILED: it is never averaged away.

BEGIN {
    FS = ","
    LOSS = 1.1
    n_libs = split(order, libs, " ")
    base = libs[1]
    for (l = 1; l <= n_libs; l++)
        if (libs[l] == "glibc")
            base = "glibc"
}

$1 == "group" || /^#/ || NF < 11 { next }

{
    program = $2
    if (!(program in group_of)) {
        group_of[program] = $1
        programs[++n_programs] = program
    }
    if ($5 > n_rounds)
        n_rounds = $5 + 0
    ran[program, $4] = 1
    if ($9 != "ok") {
        failed[program, $4] = 1
        next
    }
    value["time", program, $4, $5] = clock == "cpu" ? $7 : $6
    value["memory", program, $4, $5] = $8
    metrics_take($1, program, $4, $5, $11)
}

END {
    n_groups = split("macro real gc", groups, " ")
    for (g = 1; g <= n_groups; g++) {
        ratios_print(groups[g], "time", "ms", 1e6)
        ratios_print(groups[g], "memory", "MiB", 1024)
    }
    metrics_print()
    if (losses != "" && (group_has("macro") || group_has("real") || group_has("gc")))
        losses_print(losses)
}

function metrics_take(group, program, lib, round, text,    n, i, parts, pair) {
    if (text == "-")
        return
    n = split(text, parts, ";")
    for (i = 1; i <= n; i++) {
        split(parts[i], pair, "=")
        if (!(pair[1] in metric_of)) {
            metric_of[pair[1]] = program
            metrics[++n_metrics] = pair[1]
        }
        value["metric " pair[1], program, lib, round] = pair[2]
    }
}

# Fills list[1..n] with the sorted values over the rounds; with over != "", divided by that library's in the
# same round.
function rounds_sorted(what, program, lib, over, list,    r, n, x, i) {
    n = 0
    for (r = 1; r <= n_rounds; r++) {
        if (!((what, program, lib, r) in value) || (over != "" && !((what, program, over, r) in value)))
            continue
        x = value[what, program, lib, r] + 0
        if (over != "" && value[what, program, over, r] + 0 == 0)
            continue
        if (over != "")
            x /= value[what, program, over, r]
        for (i = ++n; i > 1 && list[i - 1] > x; i--)
            list[i] = list[i - 1]
        list[i] = x
    }
    return n
}

function quantile(list, n, q,    at, low) {
    at = 1 + q * (n - 1)
    low = int(at)
    return low >= n ? list[n] : list[low] + (at - low) * (list[low + 1] - list[low])
}

# What the base does not run (a collection, where the base cannot collect) has metrics only.
function is_compared(program, group) {
    return group_of[program] == group && (program, base) in ran
}

function group_has(group,    p) {
    for (p = 1; p <= n_programs; p++)
        if (is_compared(programs[p], group))
            return 1
    return 0
}

function ratios_print(group, what, unit, divisor,    p, l, line, n_all, title) {
    if (!group_has(group))
        return
    title = what == "memory" ? "Peak resident memory" : clock == "cpu" ? "Processor time" : "Elapsed time"
    table_start(title, group ": " unit " of " base ", ratios to it")
    for (l = 1; l <= n_libs; l++)
        log_sum[l] = n_fine[l] = 0
    for (p = 1; p <= n_programs; p++) {
        if (!is_compared(programs[p], group))
            continue
        n_all++
        line = cell_first(programs[p])
        for (l = 1; l <= n_libs; l++)
            line = line cell(ratio_text(what, programs[p], l, divisor))
        print line
    }
    line = cell_first("geometric mean")
    for (l = 1; l <= n_libs; l++)
        line = line cell(n_fine[l] ? sprintf("%.2f", exp(log_sum[l] / n_fine[l])) : "-")
    print line
    line = cell_first("programs compared")
    for (l = 1; l <= n_libs; l++)
        line = line cell(n_fine[l] " of " n_all)
    print line
}

function ratio_text(what, program, l, divisor,    list, n, median, spread) {
    if ((program, libs[l]) in failed)
        return "FAILED"
    n = rounds_sorted(what, program, libs[l], libs[l] == base ? "" : base, list)
    if (n == 0 || (program, base) in failed)
        return "-"
    median = quantile(list, n, 0.5)
    spread = (quantile(list, n, 0.75) - quantile(list, n, 0.25)) / 2
    n_fine[l]++
    if (libs[l] == base)
        return sprintf("%.1f", median / divisor) (n > 1 ? sprintf(" ±%.0f%%", 100 * spread / median) : "")
    log_sum[l] += log(median)
    return sprintf("%.2f", median) (n > 1 ? sprintf(" ±%.2f", spread) : "")
}

function metrics_print(    m, l, line, n, list, name, text) {
    if (n_metrics == 0)
        return
    table_start("The programs' own figures", "medians")
    for (m = 1; m <= n_metrics; m++) {
        name = metrics[m]
        line = cell_first(name)
        for (l = 1; l <= n_libs; l++) {
            n = rounds_sorted("metric " name, metric_of[name], libs[l], "", list)
            text = n ? figure(quantile(list, n, 0.5)) : "-"
            line = line cell((metric_of[name], libs[l]) in failed ? "FAILED" : text)
        }
        print line
    }
}

# How the library stands to the one that it is furthest behind of; "" if that is within LOSS and the spread.
function loss_text(what, program, lib,    l, list, n, median, worst, text) {
    worst = LOSS
    for (l = 1; l <= n_libs; l++) {
        if (libs[l] == lib || index(libs[l], lib "-") == 1 || (program, libs[l]) in failed)
            continue
        n = rounds_sorted(what, program, lib, libs[l], list)
        median = n ? quantile(list, n, 0.5) : 0
        if (median > worst && quantile(list, n, 0.25) > 1) {
            worst = median
            text = sprintf("%s %.2f of %s", what, median, libs[l])
        }
    }
    return text
}

function losses_print(lib,    p, time, memory, n) {
    printf format == "md" ? "\n**Where %s loses** (more than %.0f %% behind the best)\n\n" : \
        "\nWhere %s loses (more than %.0f %% behind the best)\n", lib, 100 * LOSS - 100
    for (p = 1; p <= n_programs; p++) {
        if (group_of[programs[p]] == "micro")
            continue
        time = loss_text("time", programs[p], lib)
        memory = loss_text("memory", programs[p], lib)
        if ((programs[p], lib) in failed)
            time = "FAILED"
        if (time == "" && memory == "")
            continue
        n++
        printf "* %s: %s%s%s\n", programs[p], time, time != "" && memory != "" ? ", " : "", memory
    }
    if (!n)
        print "nowhere"
}

function figure(x) {
    return x >= 100 ? sprintf("%.0f", x) : sprintf("%.3g", x)
}

function table_start(title, note,    l, line) {
    printf format == "md" ? "\n**%s** (%s)\n\n" : "\n%s (%s)\n", title, note
    line = cell_first(format == "md" ? " " : "")
    for (l = 1; l <= n_libs; l++)
        line = line cell(libs[l])
    print line
    if (format != "md")
        return
    line = "|---|"
    for (l = 1; l <= n_libs; l++)
        line = line "--:|"
    print line
}

function cell_first(text) {
    return format == "md" ? "| " text " |" : sprintf("%-28s", text)
}

function cell(text,    width) {
    width = 15 + (index(text, "±") > 0 ? length("±") - 1 : 0)
    return format == "md" ? " " text " |" : sprintf("%" width "s", text)
}

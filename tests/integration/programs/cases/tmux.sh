# A server on a socket of its own, windows and panes running commands, their contents captured.
needs="tmux"
stress=20
case_run() {
    export TMUX_TMPDIR=$PWD
    unset TMUX
    local t="tmux -f /dev/null -L gcm" i
    pre $t new-session -d -s s -x 100 -y 30 'seq 1 200; exec cat'
    for i in 1 2 3; do
        pre $t new-window -t "s:$i" "printf 'window %s\n' $i; seq $i $((i * 300)); exec cat"
        pre $t split-window -t "s:$i" "echo pane $i; exec cat"
    done
    pre $t send-keys -t s:0 'typed text' Enter
    for i in $(seq 100); do # every pane has printed
        [ "$($t capture-pane -p -t s:0 | grep -c typed)" = 2 ] && [ "$($t capture-pane -p -S - -t s:3.0 | grep -c '^900$')" = 1 ] && break
        sleep 0.1
    done
    pre $t list-windows -t s -F '#{window_index} #{window_panes} #{window_width}x#{window_height}'
    pre $t capture-pane -p -S - -t s:0
    pre $t capture-pane -p -S - -t s:3.0 | cksum
    pre $t resize-window -t s:2 -x 80 -y 20
    pre $t set-buffer "$(seq 2000)" && pre $t show-buffer | cksum
    pre $t list-keys | wc -l
    pre $t kill-server
    pre $t ls > /dev/null 2>&1 # its words depend on how far the server's end has come
    echo "after the end: $?"
}

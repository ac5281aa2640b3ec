# Generated picture and sound, encoded by several codecs in threads, decoded again; compared by checksum of the frames.
needs="ffmpeg"
stress=20
limit_s=180
case_run() {
    local quiet="-hide_banner -nostdin -loglevel error -threads 2 -fflags +bitexact -flags +bitexact"
    # shellcheck disable=SC2086
    pre ffmpeg $quiet -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=frequency=440 -t 4 -c:v mpeg4 -c:a aac -fflags +bitexact -flags +bitexact a.mkv
    # shellcheck disable=SC2086
    pre ffmpeg $quiet -i a.mkv -vf 'scale=160:-2,hue=h=40,drawbox=t=4' -f framemd5 -
    # shellcheck disable=SC2086
    pre ffmpeg $quiet -f lavfi -i mandelbrot=size=160x120:rate=10 -t 2 -c:v ffv1 -fflags +bitexact -flags +bitexact b.mkv
    cksum <b.mkv
    # shellcheck disable=SC2086
    pre ffmpeg $quiet -i a.mkv -i b.mkv -filter_complex '[0:v][1:v]overlay=10:10[v]' -map '[v]' -map 0:a -f framemd5 -
    # shellcheck disable=SC2086
    pre ffmpeg $quiet -i no-such-file -f null -
}

# Go with cgo: goroutines on many threads that call C and hold its blocks, callbacks from C into Go, Go's own signals, exit by
# a signal that Go handles. Its collector and ours share a process; its heap is mapped memory, which we read.
needs="go gcc"
stress=100
limit_s=120
case_setup() {
    mkdir src && cp "$here/cases/go_work.go" src/work.go
    (cd src && GO111MODULE=off GOCACHE=$work/cache GOPATH=$work/gopath GOTOOLCHAIN=local CGO_ENABLED=1 go build -o ../work work.go)
    chmod -R u+w "$work"
}
case_run() {
    pre "$work/work"
    GOMAXPROCS=8 GOGC=10 pre "$work/work"
    pre "$work/work" crash 2>/dev/null
}

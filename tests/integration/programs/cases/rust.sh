# Rust: rustc itself compiles (LLVM, threads of code generation), then its program: threads, channels, Arc, a panic that is
# caught, realloc by Vec, condition variables, which wait by a raw futex call.
needs="rustc cc"
stress=60
limit_s=120
case_setup() {
    # Past rustup's proxy, which looks into HOME.
    ln -s "$(rustc --print sysroot)/bin/rustc" real_rustc
    cp "$here/cases/rust_work.rs" work.rs
}
case_run() {
    pre "$(readlink -f "$work/real_rustc")" --edition 2018 -O -C codegen-units=4 -o work "$work/work.rs" && pre ./work
    pre "$(readlink -f "$work/real_rustc")" --edition 2018 --crate-type lib - <<<'fn f(x: u32) -> u64 { x }'
}

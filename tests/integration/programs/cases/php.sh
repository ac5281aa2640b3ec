# Arrays, strings, closures, generators, exceptions; with the Zend allocator and (USE_ZEND_ALLOC=0) with malloc alone.
needs="php"
stress=300
limit_s=120
case_run() {
    pre php -d memory_limit=-1 "$here/cases/php_work.php"
    USE_ZEND_ALLOC=0 pre php -d memory_limit=-1 "$here/cases/php_work.php"
    pre php -r 'exit(7);'
}

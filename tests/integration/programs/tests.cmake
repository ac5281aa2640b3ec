# Real programs, each its own test; the cases are the files in cases/. Debian packages: ../packages.txt.
gcm_test_program(cxx_threads ${CMAKE_CURRENT_LIST_DIR}/cxx_threads.cc)
target_compile_options(cxx_threads PRIVATE -O2)
gcm_preload_path(library)

file(GLOB cases CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/cases/*.sh)
# Those that take a minute in all; the rest are full.
set(quick_cases bash tmux curl cxx_program lua perl vim gawk memcached gdb)
foreach(path IN LISTS cases)
  get_filename_component(case ${path} NAME_WE)
  add_test(NAME program.${case} COMMAND ${CMAKE_CURRENT_LIST_DIR}/run.sh ${library} ${case} $<TARGET_FILE_DIR:cxx_threads>)
  set(label full)
  if(case IN_LIST quick_cases)
    set(label quick)
  endif()
  set_tests_properties(program.${case} PROPERTIES LABELS ${label} TIMEOUT 600 SKIP_RETURN_CODE 77)
endforeach()

foreach(case bash fontconfig perl python3 redis sqlite3)
  add_test(NAME program.${case}_held COMMAND ${CMAKE_CURRENT_LIST_DIR}/run.sh ${library} ${case} $<TARGET_FILE_DIR:cxx_threads>)
  set_tests_properties(program.${case}_held PROPERTIES LABELS full TIMEOUT 600 SKIP_RETURN_CODE 77 ENVIRONMENT GCM_OPTIONS=quarantine=yes)
endforeach()

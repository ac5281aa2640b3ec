# One tiny program per trap; its name says what it proves. Those in trap_programs run alone and take no argument.
file(GLOB trap_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.c ${CMAKE_CURRENT_LIST_DIR}/*.cc)
list(FILTER trap_sources EXCLUDE REGEX "/trap_module\\.c$")
add_library(trap_module MODULE ${CMAKE_CURRENT_LIST_DIR}/trap_module.c)
target_compile_options(trap_module PRIVATE -O1 -fno-builtin)

set(trap_full rlimits_from_the_start rlimit_as_lowered stdio_locked_fork fork_in_loop_while_threads_allocate
  fork_child_collects realloc_moves_while_collecting sleeping_threads_1000 thread_storm dlopen_storm seteuid_storm
  malloc_in_signal_handler mlockall_future processes_while_collecting unshare_user_namespace exit_while_collecting
  debugger_attached thread_stack_cache)
set(trap_with_module tls_dynamic dlopen_storm dlopen_deepbind dlmopen_namespace thread_stack_cache)

foreach(source IN LISTS trap_sources)
  get_filename_component(trap ${source} NAME_WE)
  gcm_test_program(${trap} ${source})
  target_compile_options(${trap} PRIVATE -O2)
  target_link_libraries(${trap} PRIVATE ${CMAKE_DL_LIBS})
  if(trap MATCHES "^(eintr|eintr_others|loaded_late|probation)$")
    continue()
  endif()
  set(label quick)
  if(trap IN_LIST trap_full)
    set(label full)
  endif()
  set(arguments)
  if(trap IN_LIST trap_with_module)
    set(arguments $<TARGET_FILE:trap_module>)
  endif()
  gcm_preload_test(trap.${trap} LABEL ${label} TIMEOUT 240 COMMAND ${trap} ${arguments})
endforeach()

foreach(program eintr eintr_others)
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/${program}.c lines REGEX "^    {\"[a-z_]+\", ")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^    {\"([a-z_]+)\".*" "\\1" case "${line}")
    gcm_preload_test(trap.eintr_${case} LABEL quick TIMEOUT 120 COMMAND ${program} ${case})
  endforeach()
endforeach()

gcm_preload_test(trap.probation LABEL quick TIMEOUT 120 COMMAND probation ENV GCMALLOC=probation=careful,floor=1M)

if(NOT GCM_TEST_LIBRARY)
  add_test(NAME trap.loaded_late COMMAND loaded_late $<TARGET_FILE:gcmalloc>)
  set_tests_properties(trap.loaded_late PROPERTIES LABELS quick TIMEOUT 60)
endif()

# One tiny program per trap; its name says what it proves. Those in trap_programs run alone and take no argument.
file(GLOB trap_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.c ${CMAKE_CURRENT_LIST_DIR}/*.cc)
list(FILTER trap_sources EXCLUDE REGEX "/(trap_module|trap_module_constructor|trap_auditor|trap_interposer|trap_phdr|trap_headers|trap_runtime|sanitized|sanitized_threads)\\.c$")
add_library(trap_module MODULE ${CMAKE_CURRENT_LIST_DIR}/trap_module.c)
target_compile_options(trap_module PRIVATE -O1 -fno-builtin)
foreach(module trap_module_constructor trap_auditor)
  add_library(${module} MODULE ${CMAKE_CURRENT_LIST_DIR}/${module}.c)
  target_compile_definitions(${module} PRIVATE _GNU_SOURCE)
endforeach()
foreach(name fontconfig swipl python luajit) # what is known by the name of its library
  add_library(trap_${name} MODULE ${CMAKE_CURRENT_LIST_DIR}/trap_module.c)
  set_target_properties(trap_${name} PROPERTIES PREFIX "" OUTPUT_NAME lib${name}_trap)
endforeach()
add_library(trap_fiddle MODULE ${CMAKE_CURRENT_LIST_DIR}/trap_module.c)
set_target_properties(trap_fiddle PROPERTIES PREFIX "" OUTPUT_NAME fiddle)
add_library(trap_interposer MODULE ${CMAKE_CURRENT_LIST_DIR}/trap_interposer.c)
target_compile_definitions(trap_interposer PRIVATE _GNU_SOURCE)
target_compile_options(trap_interposer PRIVATE -O1 -fno-builtin)
target_link_libraries(trap_interposer PRIVATE ${CMAKE_DL_LIBS})

set(trap_full rlimits_from_the_start rlimit_as_lowered rlimit_as_usable many_mappings stdio_locked_fork fork_in_loop_while_threads_allocate
  fork_child_collects realloc_moves_while_collecting thread_storm dlopen_storm seteuid_storm
  malloc_in_signal_handler mlockall_future processes_while_collecting unshare_user_namespace exit_while_collecting
  debugger_attached thread_stack_cache fork_behind_each_instruction)
set(trap_with_module tls_dynamic dlopen_storm dlopen_deepbind dlmopen_namespace thread_stack_cache)

foreach(source IN LISTS trap_sources)
  get_filename_component(trap ${source} NAME_WE)
  gcm_test_program(${trap} ${source})
  target_compile_options(${trap} PRIVATE -O2)
  target_link_libraries(${trap} PRIVATE ${CMAKE_DL_LIBS})
  if(trap MATCHES "^(another_interposer|concurrent|eintr|eintr_files|eintr_others|eintr_waits|fork_child_without_helpers|loaded_late|probation|probation_confirms|probation_report|probation_sites|profile_after_main_exit|profile_while_loading|quarantine|settings_of_setuid_program|sleeping_threads|stands_aside)$")
    continue()
  endif()
  set(label quick)
  if(trap IN_LIST trap_full)
    set(label full)
  endif()
  set(arguments)
  if(trap IN_LIST trap_with_module)
    set(arguments $<TARGET_FILE:trap_module>)
  elseif(trap MATCHES "^(malloc_under_locks_of_libc|operators_replaced)$")
    set(arguments $<TARGET_FILE:trap_module_constructor>)
  elseif(trap STREQUAL "fontconfig_refers_by_distance")
    set(arguments $<TARGET_FILE:trap_fontconfig>)
  elseif(trap STREQUAL "runtime_hides_pointers_loaded_late")
    set(arguments $<TARGET_FILE:trap_swipl>)
  elseif(trap STREQUAL "integers_of_python")
    set(arguments $<TARGET_FILE:trap_python>)
  elseif(trap STREQUAL "light_userdata_of_luajit")
    set(arguments $<TARGET_FILE:trap_luajit>)
  elseif(trap STREQUAL "integers_of_ruby")
    set(arguments $<TARGET_FILE:trap_fiddle>)
  elseif(trap STREQUAL "auditor")
    set(arguments $<TARGET_FILE:trap_auditor>)
  endif()
  gcm_preload_test(trap.${trap} LABEL ${label} TIMEOUT 240 COMMAND ${trap} ${arguments})
endforeach()

foreach(variant own_malloc arrays)
  gcm_test_program(operators_replaced_${variant} ${CMAKE_CURRENT_LIST_DIR}/operators_replaced.cc)
  string(TOUPPER ${variant} definition)
  target_compile_definitions(operators_replaced_${variant} PRIVATE ${definition})
  target_link_libraries(operators_replaced_${variant} PRIVATE ${CMAKE_DL_LIBS})
  gcm_preload_test(trap.operators_replaced_${variant} LABEL quick TIMEOUT 60 COMMAND operators_replaced_${variant})
endforeach()
foreach(program operators_replaced operators_replaced_own_malloc operators_replaced_arrays)
  target_compile_options(${program} PRIVATE -O1 -fsized-deallocation -fno-builtin -Wno-sized-deallocation)
endforeach()

# A second library that is preloaded, behind ours and before it.
gcm_preload_path(library)
foreach(order behind before)
  add_test(NAME trap.another_interposer_${order} COMMAND another_interposer)
  set(preload "${library}:$<TARGET_FILE:trap_interposer>")
  if(order STREQUAL "before")
    set(preload "$<TARGET_FILE:trap_interposer>:${library}")
  endif()
  set_tests_properties(trap.another_interposer_${order} PROPERTIES LABELS quick TIMEOUT 120 SKIP_RETURN_CODE 77
    ENVIRONMENT "LD_PRELOAD=${preload}")
endforeach()

# Linked to what stands in for a language's run-time library.
add_library(trap_runtime_names SHARED ${CMAKE_CURRENT_LIST_DIR}/trap_runtime.c)
add_library(trap_runtime_hides SHARED ${CMAKE_CURRENT_LIST_DIR}/trap_runtime.c)
target_compile_definitions(trap_runtime_hides PRIVATE RUNTIME_HIDES)
target_link_libraries(neighbour_with_our_names PRIVATE trap_runtime_names)
target_link_libraries(runtime_hides_pointers PRIVATE trap_runtime_hides)

# Calls the program back, out of a library that it loads.
set_target_properties(malloc_under_locks_of_libc operators_replaced PROPERTIES ENABLE_EXPORTS ON)

# Linked to a fixed address, where the address of malloc is an entry of the program's own.
target_compile_options(malloc_address_in_fixed_program PRIVATE -fno-pie)
target_link_options(malloc_address_in_fixed_program PRIVATE -no-pie)
set_target_properties(malloc_address_in_fixed_program PROPERTIES POSITION_INDEPENDENT_CODE OFF)
# The same beside a library that takes what sanitizers take, and not malloc; and behind one that has malloc, and asks us for more.
foreach(beside phdr headers)
  add_library(trap_${beside} MODULE ${CMAKE_CURRENT_LIST_DIR}/trap_${beside}.c)
  target_compile_definitions(trap_${beside} PRIVATE _GNU_SOURCE)
  target_compile_options(trap_${beside} PRIVATE -fno-builtin)
  add_test(NAME trap.fixed_program_beside_${beside} COMMAND malloc_address_in_fixed_program ${beside})
  set_tests_properties(trap.fixed_program_beside_${beside} PROPERTIES LABELS quick TIMEOUT 120
    ENVIRONMENT "LD_PRELOAD=$<TARGET_FILE:trap_${beside}>:${library}")
endforeach()

foreach(program eintr eintr_others eintr_files eintr_waits)
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/${program}.c lines REGEX "^    {\"[a-z_]+\", ")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^    {\"([a-z_]+)\".*" "\\1" case "${line}")
    gcm_preload_test(trap.eintr_${case} LABEL quick TIMEOUT 120 COMMAND ${program} ${case})
    if(program STREQUAL "eintr")
      gcm_preload_test(trap.eintr_${case}_asked LABEL quick TIMEOUT 120 COMMAND ${program} ${case} asked)
      gcm_preload_test(trap.eintr_${case}_signal LABEL full TIMEOUT 120 COMMAND ${program} ${case} ENV GCMALLOC=signal=pwr)
    endif()
  endforeach()
endforeach()

file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/processes_while_collecting.c lines REGEX "^    {\"[a-z_]+\", ")
foreach(line IN LISTS lines)
  string(REGEX REPLACE "^    {\"([a-z_]+)\".*" "\\1" kind "${line}")
  gcm_preload_test(trap.${kind}_while_collecting LABEL full TIMEOUT 240 COMMAND processes_while_collecting ${kind})
endforeach()

gcm_preload_test(trap.stdio_locked_fork_10min LABEL long TIMEOUT 900 COMMAND stdio_locked_fork ENV GCM_SECONDS=600)
gcm_preload_test(trap.fork_in_loop_5000 LABEL long TIMEOUT 3600 COMMAND fork_in_loop_while_threads_allocate ENV GCM_FORKS=5000)
gcm_preload_test(trap.sleeping_threads_1000 LABEL full TIMEOUT 240 COMMAND sleeping_threads 1000)
gcm_preload_test(trap.sleeping_threads_5000 LABEL long TIMEOUT 600 COMMAND sleeping_threads 5000)
gcm_preload_test(trap.probation LABEL quick TIMEOUT 120 COMMAND probation ENV GCMALLOC=probation=careful,floor=1M,budget=100)
gcm_preload_test(trap.probation_confirms LABEL quick TIMEOUT 120 COMMAND probation_confirms
  ENV GCMALLOC=probation=careful,floor=1M,budget=100)
gcm_preload_test(trap.probation_report LABEL quick TIMEOUT 120 COMMAND probation_report
  ENV GCMALLOC=mode=report,probation=careful,floor=1M,budget=100)
foreach(probation careful eager)
  gcm_preload_test(trap.probation_sites_${probation} LABEL quick TIMEOUT 120 COMMAND probation_sites ${probation}
    ENV GCMALLOC=probation=${probation},floor=1M,budget=100,trace=1,trace_file=probation_sites_${probation}.trace)
endforeach()

# Marking beside the program: a clone of the process does it.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/concurrent.c lines REGEX "^ \\*     [a-z]+   ")
foreach(line IN LISTS lines)
  string(REGEX REPLACE "^ \\*     ([a-z]+) .*" "\\1" case "${line}")
  gcm_preload_test(trap.concurrent_${case} LABEL quick TIMEOUT 120 COMMAND concurrent ${case} $<TARGET_FILE:trap_fontconfig>
    ENV GCMALLOC=concurrent=always,floor=1M,budget=100,percent=20)
endforeach()

# Freed blocks are held back; each case also where collections are made otherwise.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/quarantine.c lines REGEX "^ \\*     [a-z]+   *[a-z]")
foreach(line IN LISTS lines)
  string(REGEX REPLACE "^ \\*     ([a-z]+) .*" "\\1" case "${line}")
  gcm_preload_test(trap.quarantine_${case} LABEL quick TIMEOUT 120 COMMAND quarantine ${case} ENV GCMALLOC=quarantine=yes,floor=16M)
  if(NOT case STREQUAL "limited") # collections that take longer come too seldom for a limit
    gcm_preload_test(trap.quarantine_${case}_checked LABEL full TIMEOUT 240 COMMAND quarantine ${case}
      ENV GCMALLOC=quarantine=yes,floor=16M,check=yes)
  endif()
  gcm_preload_test(trap.quarantine_${case}_careful LABEL full TIMEOUT 240 COMMAND quarantine ${case}
    ENV GCMALLOC=quarantine=yes,floor=16M,probation=careful)
  gcm_preload_test(trap.quarantine_${case}_concurrent LABEL full TIMEOUT 240 COMMAND quarantine ${case}
    ENV GCMALLOC=quarantine=yes,floor=16M,concurrent=always)
endforeach()

gcm_preload_test(trap.profile_after_main_exit LABEL quick TIMEOUT 60 COMMAND profile_after_main_exit ENV GCMALLOC=profile=1)
gcm_preload_test(trap.profile_while_loading LABEL quick TIMEOUT 240 COMMAND profile_while_loading $<TARGET_FILE:trap_module>
  ENV GCMALLOC=profile=1)

gcm_preload_test(trap.fork_child_without_helpers LABEL quick TIMEOUT 120 COMMAND fork_child_without_helpers ENV GCMALLOC=markers=3)

add_test(NAME trap.peers COMMAND ${CMAKE_CURRENT_LIST_DIR}/peers.sh ${library} ${CMAKE_CURRENT_BINARY_DIR} $<TARGET_FILE:trap_module>)
set_tests_properties(trap.peers PROPERTIES LABELS long TIMEOUT 7200)

if(NOT GCM_TEST_LIBRARY)
  foreach(names hidden shown)
    gcm_test_program(linked_names_${names} ${CMAKE_CURRENT_LIST_DIR}/linked_and_hidden.c)
    target_link_libraries(linked_names_${names} PRIVATE gcmalloc_static)
    add_test(NAME trap.linked_names_${names} COMMAND linked_names_${names})
    set_tests_properties(trap.linked_names_${names} PROPERTIES LABELS quick TIMEOUT 60)
  endforeach()
  target_link_options(linked_names_hidden PRIVATE LINKER:--exclude-libs,ALL)
  target_link_libraries(settings_of_setuid_program PRIVATE gcmalloc)
  add_test(NAME trap.settings_of_setuid_program COMMAND settings_of_setuid_program)
  set_tests_properties(trap.settings_of_setuid_program PROPERTIES LABELS quick TIMEOUT 60 SKIP_RETURN_CODE 77)
  add_test(NAME trap.loaded_late COMMAND loaded_late $<TARGET_FILE:gcmalloc>)
  set_tests_properties(trap.loaded_late PROPERTIES LABELS quick TIMEOUT 60)
endif()

# The sanitizer insists on being first where it is a shared library; users are told to pass this, too.
include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_FLAGS -fsanitize=address)
check_c_source_compiles("int main(void) { return 0; }" GCM_HAS_ASAN)
unset(CMAKE_REQUIRED_FLAGS)
if(GCM_HAS_ASAN AND NOT CMAKE_C_FLAGS MATCHES "fsanitize")
  gcm_test_program(sanitized ${CMAKE_CURRENT_LIST_DIR}/sanitized.c)
  target_compile_options(sanitized PRIVATE -fsanitize=address -Wno-use-after-free)
  target_link_options(sanitized PRIVATE -fsanitize=address)
  gcm_preload_test(trap.sanitized LABEL quick TIMEOUT 60 COMMAND sanitized
    ENV ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0:exitcode=99)
endif()

# Linked into the program: before a shared one no preloaded malloc may stand.
set(GCM_TSAN -fsanitize=thread)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND GCM_TSAN -static-libtsan)
endif()
list(JOIN GCM_TSAN " " CMAKE_REQUIRED_FLAGS)
check_c_source_compiles("int main(void) { return 0; }" GCM_HAS_TSAN)
unset(CMAKE_REQUIRED_FLAGS)
if(GCM_HAS_TSAN AND NOT CMAKE_C_FLAGS MATCHES "fsanitize")
  gcm_test_program(sanitized_threads ${CMAKE_CURRENT_LIST_DIR}/sanitized_threads.c)
  target_compile_options(sanitized_threads PRIVATE -fsanitize=thread)
  target_link_options(sanitized_threads PRIVATE ${GCM_TSAN})
  gcm_preload_test(trap.sanitized_threads LABEL quick TIMEOUT 60 COMMAND sanitized_threads ENV TSAN_OPTIONS=exitcode=99)
endif()

# Its own processor hides registers: we only allocate there, and give it nothing to complain about.
find_program(GCM_VALGRIND valgrind)
if(GCM_VALGRIND)
  gcm_preload_test(trap.valgrind LABEL full TIMEOUT 240 ENV GCMALLOC=floor=1M,percent=10
    COMMAND ${GCM_VALGRIND} -q --error-exitcode=9 $<TARGET_FILE:leak_churn> 48 500)
  gcm_preload_test(trap.valgrind_collects_nothing LABEL full TIMEOUT 240
    COMMAND ${GCM_VALGRIND} -q --error-exitcode=9 $<TARGET_FILE:stands_aside>)
  # A program of some megabytes: it lies lower there than its own size.
  gcm_preload_test(trap.valgrind_puts_programs_low LABEL full TIMEOUT 240
    COMMAND ${GCM_VALGRIND} -q --tool=none ${CMAKE_COMMAND} -E echo fine)
endif()
gcm_test_program(stands_aside_sanitizer ${CMAKE_CURRENT_LIST_DIR}/stands_aside.c)
target_compile_definitions(stands_aside_sanitizer PRIVATE STANDS_ASIDE_SANITIZER=1)
target_link_options(stands_aside_sanitizer PRIVATE -rdynamic)
gcm_preload_test(trap.sanitizer_collects_nothing LABEL quick TIMEOUT 60 COMMAND stands_aside_sanitizer)

# Profiles, leak reports and the trace of allocations, of programs whose leaks are known. The scripts say what each is for.
include(CheckCSourceCompiles)
set(profile_dir ${CMAKE_CURRENT_LIST_DIR})
gcm_preload_path(profile_library)

gcm_test_program(planted ${profile_dir}/planted.c)
target_compile_options(planted PRIVATE -O0)
gcm_test_program(planted_cxx ${profile_dir}/planted_cxx.cc)
target_compile_options(planted_cxx PRIVATE -O0)
set(CMAKE_REQUIRED_FLAGS -fsanitize=leak)
check_c_source_compiles("int main(void) { return 0; }" GCM_HAS_LSAN)
unset(CMAKE_REQUIRED_FLAGS)
set(planted_lsan ${CMAKE_CURRENT_BINARY_DIR}/no_such_program)
if(GCM_HAS_LSAN)
  gcm_test_program(planted_lsan ${profile_dir}/planted.c)
  target_compile_options(planted_lsan PRIVATE -O0 -fsanitize=leak)
  target_link_options(planted_lsan PRIVATE -fsanitize=leak)
  set(planted_lsan $<TARGET_FILE:planted_lsan>)
endif()

function(profile_test name label script)
  add_test(NAME profile.${name} COMMAND bash ${profile_dir}/${script} ${profile_library} $<TARGET_FILE:planted>
    $<TARGET_FILE:planted_cxx> $<TARGET_FILE:profile_api>)
  set_tests_properties(profile.${name} PROPERTIES LABELS ${label} TIMEOUT 400 SKIP_RETURN_CODE 77)
endfunction()
profile_test(leaks quick run_leaks.sh)
profile_test(trace quick run_trace.sh)
profile_test(signal quick run_signal.sh)
profile_test(pprof full run_pprof.sh)
add_test(NAME profile.verdicts_valgrind COMMAND bash ${profile_dir}/run_verdicts.sh ${profile_library} $<TARGET_FILE:planted>
  ${planted_lsan} valgrind)
add_test(NAME profile.verdicts_lsan COMMAND bash ${profile_dir}/run_verdicts.sh ${profile_library} $<TARGET_FILE:planted>
  ${planted_lsan} lsan)
set_tests_properties(profile.verdicts_valgrind profile.verdicts_lsan PROPERTIES LABELS full TIMEOUT 400 SKIP_RETURN_CODE 77)

gcm_test_program(profile_api ${profile_dir}/profile_api.c LIBS gcmalloc)
add_test(NAME profile.api COMMAND profile_api)
set_tests_properties(profile.api PROPERTIES LABELS quick TIMEOUT 60)
